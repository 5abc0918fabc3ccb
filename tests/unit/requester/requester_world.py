"""A quote that holds, and the parties to it; tests break one thing at a time."""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.cardano.address import Address
from nunet_dms.cardano.agreement import escrow_terms
from nunet_dms.cardano.builder import Utxo, new_output
from nunet_dms.cardano.fees import FeeParams
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.protocol.api import OracleInfo
from nunet_dms.protocol.job import JobSpec, Resources
from nunet_dms.protocol.keys import SigningKey, node_id_of
from nunet_dms.protocol.quote import JobRequest, PriceList, Quote, price_lines
from nunet_dms.requester.ledger import Terms
from nunet_dms.requester.pay import CheckedQuote, Funds, Wanted, check_quote
from nunet_dms.requester.wallet import Wallet

NOW_S = 1_800_000_000
SLOT = 5_000
REQUESTER = PaymentKey.from_seed(bytes([1]) * 32)
NODE_SETTLEMENT = PaymentKey.from_seed(bytes([2]) * 32)
ORACLE_ESCROW = PaymentKey.from_seed(bytes([3]) * 32)
PROVIDER = PaymentKey.from_seed(bytes([4]) * 32)
STRANGER = PaymentKey.from_seed(bytes([5]) * 32)
TICKET_KEY = SigningKey(bytes([6]) * 32)
NODE_IDENTITY = SigningKey(bytes([7]) * 32)
HOME = REQUESTER.address(0)
TOKEN = AssetId(bytes(28), b"mNTX")
SPEC = JobSpec(
    image="demo@sha256:" + "0" * 64,
    command=("true",),
    resources=Resources(cpu_mhz=1000, ram_mb=512),
    time_limit_s=100,
)
INFO = OracleInfo(
    version="1",
    network="devnet",
    network_magic=424242,
    network_id=0,
    token_policy=TOKEN.policy.hex(),
    token_name=TOKEN.name.hex(),
    token_decimals=6,
    ticket_key=TICKET_KEY.public,
    escrow_key_hash=ORACLE_ESCROW.key_hash.hex(),
)
REQUEST = JobRequest(
    network_magic=424242,
    spec_hash=SPEC.digest,
    requester=HOME.bech32,
    node_id=node_id_of(NODE_IDENTITY.public),
    node_key_hash=NODE_SETTLEMENT.key_hash.hex(),
    provider_wallet=PROVIDER.address(0).bech32,
    oracle_key_hash=ORACLE_ESCROW.key_hash.hex(),
    token_policy=TOKEN.policy.hex(),
    token_name=TOKEN.name.hex(),
    price=1000,
    deadline_slot=SLOT + 86_500,
    valid_until_s=NOW_S + 300,
    nonce="ab" * 16,
)
WANTED = Wanted(SPEC, HOME)
RATES = PriceList(per_ghz_hour=3_600 * 7, per_ram_gb_hour=21_093)
"""700 for the CPU; for the RAM 299.99 and something, which is 300."""
WALLET = Wallet("default", REQUESTER, HOME)
LEDGER = Terms(FeeParams(), SLOT)


def quote_of(request: JobRequest, **changes: object) -> Quote:
    """Return a quote whose other parts fit the request, but for the changes."""
    quote = Quote(
        quote_id="cd" * 16,
        request=request,
        lines=price_lines(RATES, SPEC.resources, SPEC.time_limit_s),
        price_list=RATES,
        escrow_address=escrow_terms(request).address.bech32,
        escrow_lovelace=3_000_000,
        confirmations=1,
        expires_s=NOW_S + 300,
    )
    return replace(quote, **changes)  # type: ignore[arg-type]


def checked_quote() -> CheckedQuote:
    """Return the quote that holds, checked."""
    return check_quote(quote_of(REQUEST), WANTED, INFO, SLOT, NOW_S)


def funds(
    lovelace: int = 50_000_000, tokens: int = 5000, count: int = 1, at: Address = HOME
) -> Funds:
    """Return what lies at an address, the requester's own unless told, in so many outputs."""
    value = Value.of(lovelace, {TOKEN: tokens} if tokens else {})
    found = [Utxo(TxInput(bytes([9]) * 32, index), new_output(at, value)) for index in range(count)]
    return Funds(at, tuple(found))
