"""Transactions of every kind that our builder makes, each with the small ledger it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from nunet_dms.cardano import script
from nunet_dms.cardano.address import Address
from nunet_dms.cardano.assembly import Draft, assemble, fee_for
from nunet_dms.cardano.builder import (
    PaymentPlan,
    build_payment,
    build_refund,
    build_settlement,
    build_transfer,
)
from nunet_dms.cardano.cbor import SET_TAG, Encoded, Tag, decode, encode
from nunet_dms.cardano.chain.ledger import KnownOutput, LedgerState, OutputState
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.fees import Utxo, min_lovelace
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.output import TxOutput, new_output
from nunet_dms.cardano.settlement import SettlementTerms
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value, total

ADA = 1_000_000
PEOPLE = tuple(PaymentKey.from_seed(bytes([number]) * 32) for number in range(1, 9))
STRANGER = PaymentKey.from_seed(bytes([99]) * 32)
FOREIGN = (
    AssetId(b"\x11" * 28, b"mNTX"),
    AssetId(b"\x11" * 28, b""),
    AssetId(b"\x22" * 28, b"x" * 32),
)
"""Assets that nobody here can mint."""
OLD_OUTPUT = TxInput(b"\xee" * 32, 1)
"""An output that was spent long ago."""


@dataclass
class Case:
    """A transaction that can still be changed, and the ledger that it is handed to."""

    slot: int
    unspent: dict[TxInput, TxOutput]
    body: dict[Any, Any]
    keys: list[PaymentKey]
    scripts: list[bytes] = field(default_factory=list)
    auxiliary: bytes | None = None
    is_valid: bool | None = True
    gone: dict[TxInput, OutputState] = field(default_factory=dict)
    signed_body: bytes | None = None
    """What the signatures are of, where that is not the body."""
    odd_body: bytes | None = None
    """The body's bytes, where they are not the canonical ones of `body`."""
    more_witnesses: dict[int, object] = field(default_factory=dict)
    edit_witnesses: Callable[[list[list[bytes]]], object] = len
    edit_bytes: Callable[[bytes], bytes] = bytes
    set_tag: bool = True

    def raw(self) -> bytes:
        """Encode the transaction and sign it."""
        body = self.odd_body or encode(self.body)
        signed = blake2b_256(self.signed_body or body)
        pairs = [[key.public, key.sign(signed)] for key in self.keys]
        self.edit_witnesses(pairs)
        parts: dict[int, object] = dict(self.more_witnesses)
        if pairs:
            parts[0] = self._set(pairs)
        if self.scripts:
            parts[1] = self._set([Encoded(each) for each in self.scripts])
        last = None if self.auxiliary is None else Encoded(self.auxiliary)
        middle = [] if self.is_valid is None else [self.is_valid]
        return self.edit_bytes(encode([Encoded(body), parts, *middle, last]))

    def state(self) -> LedgerState:
        """Return the ledger as our rules see it."""
        known = {ref: KnownOutput(out, OutputState.UNSPENT) for ref, out in self.unspent.items()}
        spent = new_output(PEOPLE[0].address(0), Value(5 * ADA))
        known |= {ref: KnownOutput(spent, state) for ref, state in self.gone.items()}
        return LedgerState(self.slot, 0, known)

    def _set(self, items: list[Any]) -> object:
        return Tag(SET_TAG, items) if self.set_tag else items


def random_case(rng: Random) -> Case:
    """Return a transaction that our builder made, of any kind, mostly one that breaks no rule."""
    kind = rng.choices((_transfer, _payment, _settlement, _refund, _faucet), (6, 2, 2, 2, 1))[0]
    return kind(rng)


def plain_case() -> Case:
    """Return one payment of ADA with change, of one signature: the least that can be."""
    owner, other = PEOPLE[:2]
    source = Utxo(TxInput(b"\xaa" * 32, 0), new_output(owner.address(0), Value(100 * ADA)))
    paid = new_output(other.address(0), Value(5 * ADA))
    built = build_transfer((source,), (paid,), owner.address(0))
    return _case(built.raw, 1_000, {source.ref: source.output}, [owner])


def random_script(rng: Random, slot: int, depth: int = 0) -> bytes:
    """Return a native script of any shape; most can be satisfied around this slot."""
    kind = rng.choice(("key", "key", "all", "any", "some", "after", "before"))
    if depth == 3 or kind == "key":
        return script.signature(rng.choice(PEOPLE).key_hash)
    if kind == "after":
        return script.after_slot(max(0, slot - rng.choice((0, 0, 1, 10, -1))))
    if kind == "before":
        return script.before_slot(slot + rng.choice((1, 1, 2, 10, 0)))
    parts = [random_script(rng, slot, depth + 1) for _ in range(rng.randint(0 if depth else 1, 3))]
    if kind == "all":
        return script.all_of(*parts)
    if kind == "any":
        return script.any_of(*parts)
    return script.at_least(rng.choice((0, 1, 1, len(parts), len(parts) + 1)), *parts)


def random_address(rng: Random, key: PaymentKey) -> Address:
    """Return an address of the key, with a stake part or without."""
    if rng.random() < 0.7:
        return key.address(0)
    return replace(key.address(0), stake=bytes([7]) * 28, stake_is_script=rng.random() < 0.5)


def _locks(rng: Random, slot: int, count: int) -> list[bytes]:
    return list(dict.fromkeys(random_script(rng, slot) for _ in range(count)))


def _signers(scripts: list[bytes]) -> list[PaymentKey]:
    named = frozenset().union(*(script.read_script(each).key_hashes() for each in scripts))
    return [key for key in PEOPLE if key.key_hash in named]


def _ref(rng: Random) -> TxInput:
    return TxInput(rng.randbytes(32), rng.choice((0, 1, 2, 255, 256)))


def _assets(rng: Random, choices: tuple[AssetId, ...]) -> dict[AssetId, int]:
    chosen = rng.sample(choices, rng.randint(0, len(choices)))
    return {asset: rng.choice((1, 23, 24, 1000, 10**9, 2**40)) for asset in chosen}


def _transfer(rng: Random) -> Case:
    """Several inputs of keys and scripts, several outputs, minting, burning, time, metadata."""
    slot = rng.randint(1_000, 2_000_000)
    owners = [rng.choice(PEOPLE) for _ in range(rng.randint(1, 3))]
    guards = _locks(rng, slot, rng.choice((0, 0, 0, 1, 2)))
    policies = _locks(rng, slot, rng.choice((0, 0, 0, 1, 2)))
    own = tuple(AssetId(script.script_hash(each), b"own") for each in policies)
    addresses = [random_address(rng, owner) for owner in owners]
    addresses += [Address(0, script.script_hash(each), payment_is_script=True) for each in guards]
    unspent = {
        _ref(rng): new_output(
            address, Value.of(rng.randint(8, 90) * ADA, _assets(rng, FOREIGN + own))
        )
        for address in addresses
    }
    held = total(tuple(output.value for output in unspent.values()))
    mint = tuple((asset, _minted(rng, held.quantity(asset))) for asset in own)
    rest = held + Value(0, mint)
    outputs = []
    for _ in range(rng.randint(0, 3)):
        paid = {asset: rng.randint(0, amount) for asset, amount in rest.assets}
        address = random_address(rng, rng.choice(PEOPLE))
        least = min_lovelace(new_output(address, Value.of(ADA, paid)))
        output = new_output(address, Value.of(least + rng.choice((0, 0, 1, ADA)), paid))
        outputs.append(output)
        rest = rest - output.value
    scripts = list(dict.fromkeys(guards + policies))
    keys = list(dict.fromkeys([*owners, *_signers(scripts)]))
    valid_from = rng.choice((None, slot, slot, slot - 1, slot - 20))
    ttl = rng.choice((None, slot + 1, slot + 1, slot + 2, slot + 20))
    draft = Draft(
        inputs=tuple(unspent),
        outputs=tuple(outputs),
        network_id=0,
        signers=len(keys),
        ttl=ttl,
        valid_from=valid_from,
        mint=mint,
        scripts=tuple(scripts),
        auxiliary=rng.choice((None, encode({674: {"msg": ["a note"]}, 1: [1, b"x", {"k": -5}]}))),
    )
    change = random_address(rng, rng.choice(owners))
    fee = fee_for(draft.with_last_output(new_output(change, rest)))
    fee += rng.choice((0, 0, 1, 20_000, 3 * ADA))
    built = assemble(draft.with_last_output(new_output(change, rest - Value(fee))), fee)
    return _case(built.raw, slot, unspent, keys)


def _minted(rng: Random, held: int) -> int:
    """Return how much to mint, or less than zero to burn; never zero."""
    if held and rng.random() < 0.5:
        return -rng.randint(1, held)
    return rng.choice((1, 1000, 10**12, 2**62))


def _case(raw: bytes, slot: int, unspent: dict[TxInput, TxOutput], keys: list[PaymentKey]) -> Case:
    body, witnesses, _, _ = decode(raw)  # type: ignore[misc]
    scripts = [encode(each) for each in witnesses[1].value] if 1 in witnesses else []
    extra = {_ref(Random(slot)): new_output(STRANGER.address(0), Value(7 * ADA))}
    return Case(slot, unspent | extra, body, keys, scripts, _auxiliary(raw))


def _auxiliary(raw: bytes) -> bytes | None:
    last = decode(raw)[3]  # type: ignore[index]
    return None if last is None else encode(last)


def _terms(rng: Random, deadline_slot: int, job: bytes) -> EscrowTerms:
    hashes = [key.key_hash for key in rng.sample(PEOPLE[:3], 3)]
    return EscrowTerms(commitment_for(job), *hashes, deadline_slot, 0)


def _key(key_hash: bytes) -> PaymentKey:
    return next(key for key in PEOPLE if key.key_hash == key_hash)


def _payment(rng: Random) -> Case:
    """The payment of a job from a wallet of several outputs."""
    slot, job = rng.randint(1_000, 2_000_000), rng.randbytes(32)
    terms = _terms(rng, slot + 3600, job)
    payer = rng.choice(PEOPLE)
    wallet = [
        Utxo(_ref(rng), new_output(random_address(rng, payer), Value.of(lovelace, assets)))
        for lovelace, assets in (
            (rng.randint(3, 9) * ADA, {FOREIGN[0]: 600}),
            (rng.randint(3, 9) * ADA, {FOREIGN[0]: 600, FOREIGN[2]: 5}),
            (rng.randint(3, 9) * ADA, {}),
        )
    ]
    plan = PaymentPlan(
        utxos=tuple(wallet),
        change_address=payer.address(0),
        escrow=terms,
        asset=FOREIGN[0],
        price=rng.choice((1, 600, 601, 1200)),
        job_hash=job,
        ttl=rng.choice((None, slot + 1, slot + 500)),
    )
    unspent = {utxo.ref: utxo.output for utxo in wallet}
    return _case(build_payment(plan).raw, slot, unspent, [payer])


def _escrow(rng: Random, terms: EscrowTerms, amount: int) -> Utxo:
    value = Value.of(rng.choice((3, 3, 5)) * ADA, {FOREIGN[0]: amount})
    return Utxo(_ref(rng), new_output(terms.address, value))


def _settlement(rng: Random) -> Case:
    """The payout of an escrow, of any split, signed by two of the three or by too few."""
    slot, job = rng.randint(1_000, 2_000_000), rng.randbytes(32)
    terms = _terms(rng, slot + rng.choice((-50, 3600)), job)
    amount = rng.choice((1, 100, 10**12))
    escrow = _escrow(rng, terms, amount)
    share = rng.choice((0, 1, amount, amount * rng.randint(0, 100) // 100))
    split = SettlementTerms(
        escrow.ref,
        terms,
        FOREIGN[0],
        random_address(rng, rng.choice(PEOPLE)),
        share,
        random_address(rng, _key(terms.requester)),
        amount - share,
    )
    parties = [_key(each) for each in (terms.requester, terms.node, terms.oracle)]
    signing = rng.sample(parties, rng.choice((2, 2, 2, 1)))
    return _case(build_settlement(escrow, split).raw, slot, {escrow.ref: escrow.output}, signing)


def _refund(rng: Random) -> Case:
    """The requester's refund around the deadline."""
    slot, job = rng.randint(1_000, 2_000_000), rng.randbytes(32)
    terms = _terms(rng, slot - rng.choice((1, 1, 2, 50, 0, -1)), job)
    escrow = _escrow(rng, terms, rng.choice((1, 100)))
    requester = _key(terms.requester)
    start = terms.deadline_slot + rng.choice((1, 1, 2))
    built = build_refund(escrow, terms, random_address(rng, requester), start)
    return _case(built.raw, slot, {escrow.ref: escrow.output}, [requester])


def _faucet(rng: Random) -> Case:
    """A plain transfer that mints under its own key's policy, as the faucet does."""
    slot, owner = rng.randint(1_000, 2_000_000), rng.choice(PEOPLE)
    policy = script.signature(owner.key_hash)
    asset = AssetId(script.script_hash(policy), b"mNTX")
    source = Utxo(_ref(rng), new_output(owner.address(0), Value(rng.randint(10, 10**6) * ADA)))
    minted = ((asset, rng.choice((1, 10**15))),)
    paid = new_output(random_address(rng, rng.choice(PEOPLE)), Value(3 * ADA, minted))
    built = build_transfer((source,), (paid,), owner.address(0), minted, (policy,))
    return _case(built.raw, slot, {source.ref: source.output}, [owner])
