"""Check a quote, then sign what pays for it; nothing that the Oracle says is taken on trust.

The escrow's address is worked out here from the request that we sign. An Oracle that lies about
what our wallet holds makes a transaction that the ledger refuses; one that lies about fees is
held to a bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import (
    PaymentPlan,
    UnsignedTransaction,
    Utxo,
    build_payment,
    sign,
)
from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.cardano.escrow import EscrowTerms
from nunet_dms.cardano.known_network import known_network
from nunet_dms.cardano.network import NETWORK_S_OWN, Network, TokenChoice
from nunet_dms.cardano.payment import PaymentTerms, check_payment
from nunet_dms.errors import VerificationError
from nunet_dms.protocol import strict
from nunet_dms.protocol.amount import ADA, Unit, unit_of
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.job import JobSpec
from nunet_dms.protocol.quote import (
    JobRequest,
    PricePart,
    Quote,
    price_lines,
    price_parts,
    signing_payload,
)
from nunet_dms.protocol.submission import JobSubmission
from nunet_dms.requester.ledger import Terms
from nunet_dms.requester.wallet import Wallet

PAYMENT_LIFE_SLOTS = 3600
"""A payment that is not on the chain by then never will be (one slot is one second)."""
REFUND_WAIT_MAX_SLOTS = 14 * 86_400
"""Longest time after the job's time limit until we may take our tokens back alone."""
ESCROW_LOVELACE_MAX = 10_000_000
"""What an escrow may hold in ADA; it comes back with the settlement, less the fees."""
PAYMENT_FEE_MAX_LOVELACE = 2_000_000
"""A payment costs about 200,000; more means that the fee rules we were told are false."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a quote must be for."""

    spec: JobSpec
    requester: Address
    max_price: int | None = None
    """In base units of the token."""
    node_id: str | None = None
    token: TokenChoice = NETWORK_S_OWN
    """Of our own settings: what we pay with, whatever the Oracle says."""


@dataclass(frozen=True, slots=True)
class Funds:
    """What a payment may be made of, and where its change goes: one address of a key."""

    address: Address
    utxos: tuple[Utxo, ...]


@dataclass(frozen=True, slots=True)
class CheckedQuote:
    """A quote that holds: pay it and the tokens lie where only this job can take them."""

    quote: Quote
    escrow: EscrowTerms
    network: Network
    parts: tuple[PricePart, ...]
    """The price as formulas, reckoned here; they sum up to the price."""

    @property
    def unit(self) -> Unit:
        """What the price is shown in."""
        return unit_of(self.network.token_name, self.network.token_decimals)


def check_quote(
    quote: Quote, wanted: Wanted, info: OracleInfo, slot: int, now_s: float
) -> CheckedQuote:
    """Return the quote with its escrow when it is what was asked for.

    `slot` is the ledger's present one. Raises VerificationError; its code names the rule.
    """
    request = quote.request
    network = known_network(info, wanted.token)
    for holds, code, why in (
        *_identity_rules(request, wanted, info),
        *_price_rules(quote, wanted, unit_of(network.token_name, network.token_decimals)),
        *_time_rules(quote, wanted, slot, now_s),
    ):
        if not holds:
            raise VerificationError(code, f"cannot accept the quote: {why}")
    escrow = escrow_terms(request)
    if escrow.address.bech32 != quote.escrow_address:
        raise VerificationError(
            "wrong_escrow_address",
            "cannot accept the quote: its request commits to another escrow address",
        )
    return CheckedQuote(quote, escrow, network, _parts(quote, wanted))


def build_submission(
    checked: CheckedQuote, wallet: Wallet, funds: Funds, ledger: Terms
) -> JobSubmission:
    """Sign the request (CIP-8) and build its payment, which still lacks its signature.

    Raises CapacityError when the funds are too little, and VerificationError when the fee would
    be out of all proportion.
    """
    quote, request = checked.quote, checked.quote.request
    text = strict.encode(request).decode()
    signed = sign_message(wallet.key, wallet.address, signing_payload(text))
    unsigned = build_payment(
        PaymentPlan(
            utxos=funds.utxos,
            change_address=funds.address,
            escrow=checked.escrow,
            asset=checked.network.asset,
            price=request.price,
            job_hash=bytes.fromhex(request.digest),
            ttl=ledger.slot + PAYMENT_LIFE_SLOTS,
            lovelace=quote.escrow_lovelace,
            params=ledger.fees,
        )
    )
    return JobSubmission(
        quote_id=quote.quote_id,
        request=text,
        cose_sign1=signed.cose_sign1.hex(),
        cose_key=signed.cose_key.hex(),
        payment_tx=fair(unsigned).raw.hex(),
    )


def sign_submission(
    checked: CheckedQuote, wallet: Wallet, funds: Funds, ledger: Terms
) -> JobSubmission:
    """Build a submission, sign its payment, and read that as the Oracle will; raises as above."""
    built = build_submission(checked, wallet, funds, ledger)
    payment = sign(bytes.fromhex(built.payment_tx), wallet.key)
    check_payment(payment, payment_terms(checked))
    return replace(built, payment_tx=payment.hex())


def payment_terms(checked: CheckedQuote) -> PaymentTerms:
    """Return what the payment of a quote must say."""
    request = checked.quote.request
    return PaymentTerms(
        asset=checked.network.asset,
        price=request.price,
        job_hash=bytes.fromhex(request.digest),
        escrow=checked.escrow,
        min_lovelace=checked.quote.escrow_lovelace,
        network=checked.network,
    )


def fair(unsigned: UnsignedTransaction) -> UnsignedTransaction:
    """Return the transaction; raises VerificationError when its fee is out of all proportion."""
    if unsigned.fee > PAYMENT_FEE_MAX_LOVELACE:
        raise VerificationError(
            "fee_too_high",
            f"cannot pay: the Oracle's fee rules ask for {unsigned.fee} lovelace, at most "
            f"{PAYMENT_FEE_MAX_LOVELACE} are paid",
        )
    return unsigned


Rule = tuple[bool, str, str]
"""Whether it holds, its code, and what is wrong when it does not."""


def _identity_rules(request: JobRequest, wanted: Wanted, info: OracleInfo) -> tuple[Rule, ...]:
    return (
        (request.spec_hash == wanted.spec.digest, "wrong_spec", "it is for another job spec"),
        (
            request.requester == wanted.requester.bech32,
            "wrong_requester",
            "it is for another wallet",
        ),
        (
            wanted.node_id in (None, request.node_id),
            "wrong_node",
            "it is from another node than was asked for",
        ),
        (
            (request.network_magic, wanted.requester.network_id)
            == (info.network_magic, info.network_id),
            "wrong_network",
            "it is for another network, or our wallet is of another",
        ),
        (
            (request.token_policy, request.token_name) == (info.token_policy, info.token_name),
            "wrong_token",
            "it asks for another token",
        ),
        (
            request.oracle_key_hash == info.escrow_key_hash,
            "wrong_oracle_key",
            "its escrow names another Oracle",
        ),
    )


def _price_rules(quote: Quote, wanted: Wanted, unit: Unit) -> tuple[Rule, ...]:
    price, limit, told = quote.request.price, wanted.max_price, quote.price_list
    return (
        (told is not None, "no_rates", "it does not tell the rates that its price comes from"),
        (
            told is None
            or quote.lines == price_lines(told, wanted.spec.resources, wanted.spec.time_limit_s),
            "wrong_lines",
            "its lines do not follow from the job and its rates",
        ),
        (
            sum(line.amount for line in quote.lines) == price,
            "wrong_price",
            "its lines do not add up to its price",
        ),
        (
            limit is None or price <= limit,
            "price_above_limit",
            f"its price is {unit.show(price)}, the limit is {unit.show(limit or 0)}",
        ),
        (
            quote.escrow_lovelace <= ESCROW_LOVELACE_MAX,
            "escrow_ada_too_high",
            f"it asks for {ADA.show(quote.escrow_lovelace)}, at most "
            f"{ADA.show(ESCROW_LOVELACE_MAX)} are paid",
        ),
    )


def _parts(quote: Quote, wanted: Wanted) -> tuple[PricePart, ...]:
    """Return the price as formulas; nothing for a quote without rates, which is refused before."""
    if quote.price_list is None:
        return ()
    return price_parts(quote.price_list, wanted.spec.resources, wanted.spec.time_limit_s)


def _time_rules(quote: Quote, wanted: Wanted, slot: int, now_s: float) -> tuple[Rule, ...]:
    earliest = slot + wanted.spec.time_limit_s
    deadline = quote.request.deadline_slot
    return (
        (
            min(quote.expires_s, quote.request.valid_until_s) > now_s,
            "quote_expired",
            "it has expired",
        ),
        (
            earliest <= deadline <= earliest + REFUND_WAIT_MAX_SLOTS,
            "deadline_out_of_bounds",
            f"its deadline is slot {deadline}; it must be {earliest} to "
            f"{earliest + REFUND_WAIT_MAX_SLOTS}",
        ),
    )
