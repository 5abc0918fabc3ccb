"""A transaction that spends from a Plutus V3 script, every part of it open to change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nunet_dms.cardano.address import Address, script_address
from nunet_dms.cardano.cbor import Encoded, Tag, encode
from nunet_dms.cardano.chain.ledger import KnownOutput, LedgerState, OutputState
from nunet_dms.cardano.data import Data, encode_data
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.cardano.output import TxOutput, encode_output, new_output
from nunet_dms.cardano.plutus import (
    ExUnits,
    Purpose,
    Redeemer,
    script_data_hash,
    script_hash_v3,
)
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value

ADA = 1_000_000
OWNER, PROVIDER, STRANGER = (PaymentKey.from_seed(bytes([number]) * 32) for number in (11, 12, 13))
TOKEN = AssetId(b"\x11" * 28, b"mNTX")
SLOT = 50_000
ZERO_TIME_MS = 1_666_656_000_000
"""That of the judge's slots, so that scripts are told the same times."""
UNITS = ExUnits(2_000_000, 1_000_000_000)

_FILE = Path(__file__).with_name("plutus_programs.json")
PROGRAMS: dict[str, bytes] = {
    name: bytes.fromhex(script) for name, script in json.loads(_FILE.read_text()).items()
}
"""Compiled scripts; `plutus_programs.py` says what each does, and makes the file."""


def ref(number: int) -> TxInput:
    """Return the reference of an output that exists from the start."""
    return TxInput(bytes([number]) * 32, number)


def script_output(script: bytes, lovelace: int = 10 * ADA, datum: Data | None = 0) -> TxOutput:
    """Return what a script guards, with its datum in the output."""
    address = script_address(script_hash_v3(script), 0)
    raw = None if datum is None else encode_data(datum)
    return new_output(address, Value(lovelace), raw)


@dataclass
class Spend:
    """A transaction of one script input; `raw` encodes and signs what the fields hold by then."""

    scripts: list[bytes]
    unspent: dict[TxInput, TxOutput]
    redeemers: list[Redeemer]
    inputs: list[TxInput]
    outputs: list[TxOutput]
    fee: int = ADA
    collateral: list[TxInput] | None = field(default_factory=lambda: [ref(9)])
    keys: list[PaymentKey] = field(default_factory=lambda: [OWNER])
    body: dict[int, Any] = field(default_factory=dict)
    """Keys of the body that are set, or with None left out, whatever the other fields say."""
    witnesses: dict[int, Any] = field(default_factory=dict)
    """The same for the witness set."""
    as_map: bool = True
    is_valid: bool = True
    slot: int = SLOT
    mint: dict[bytes, dict[bytes, int]] = field(default_factory=dict)
    cost_model: tuple[int, ...] = ()

    def raw(self) -> bytes:
        """Encode the transaction, with the script data hash it needs, and sign it."""
        redeemers = self._redeemers()
        witnesses: dict[int, Any] = {5: Encoded(redeemers)} if self.redeemers else {}
        if self.scripts:
            witnesses[7] = Tag(258, self.scripts)
        body = {
            0: Tag(258, [[each.tx_id, each.index] for each in self.inputs]),
            1: [Encoded(encode_output(output)) for output in self.outputs],
            2: self.fee,
            11: script_data_hash(redeemers, self.cost_model or v3_cost_model()),
        }
        if self.collateral is not None:
            body[13] = Tag(258, [[each.tx_id, each.index] for each in self.collateral])
        if self.mint:
            body[9] = self.mint
        body = _changed(body, self.body)
        signed = blake2b_256(encode(body))
        witnesses[0] = Tag(258, [[key.public, key.sign(signed)] for key in self.keys])
        return encode([body, _changed(witnesses, self.witnesses), self.is_valid, None])

    def _redeemers(self) -> bytes:
        if not self.as_map:
            listed = [
                [each.purpose.value, each.index, Encoded(encode_data(each.data)), _units(each)]
                for each in self.redeemers
            ]
            return encode(listed)
        head = bytes([0xA0 | len(self.redeemers)])
        return head + b"".join(
            [
                encode([each.purpose.value, each.index])
                + encode([Encoded(encode_data(each.data)), _units(each)])
                for each in self.redeemers
            ]
        )

    def state(self, slot: int | None = None) -> LedgerState:
        """Return the ledger that the transaction is handed to."""
        known = {ref: KnownOutput(out, OutputState.UNSPENT) for ref, out in self.unspent.items()}
        return LedgerState(slot or self.slot, 0, known, zero_time_ms=ZERO_TIME_MS)


def spend(
    program: str | bytes, redeemer: Data = 0, datum: Data | None = 0, **changes: Any
) -> Spend:
    """Return a transaction that spends 10 ADA from the program, and 20 ADA of a key."""
    script = program if isinstance(program, bytes) else PROGRAMS[program]
    unspent = {
        ref(1): script_output(script, datum=datum),
        ref(2): new_output(OWNER.address(0), Value.of(20 * ADA, {TOKEN: 500})),
        ref(9): new_output(OWNER.address(0), Value(5 * ADA)),
    }
    case = Spend(
        scripts=[script],
        unspent=unspent,
        redeemers=[Redeemer(Purpose.SPEND, 0, redeemer, UNITS)],
        inputs=[ref(2), ref(1)],
        outputs=[
            new_output(PROVIDER.address(0), Value.of(4 * ADA, {TOKEN: 200})),
            new_output(OWNER.address(0), Value.of(25 * ADA, {TOKEN: 300})),
        ],
    )
    return replace(case, **changes)


def v3_cost_model() -> tuple[int, ...]:
    """Return the cost model in force."""
    from nunet_dms.cardano.chain import evaluator  # noqa: PLC0415 - uplc may be absent

    return evaluator.v3_cost_model()


def base_address(key: PaymentKey, *, stake_is_script: bool) -> Address:
    """Return an address of the key with a stake part."""
    return replace(key.address(0), stake=b"\x07" * 28, stake_is_script=stake_is_script)


def _units(redeemer: Redeemer) -> list[int]:
    return [redeemer.units.memory, redeemer.units.steps]


def _changed(parts: dict[int, Any], changes: dict[int, Any]) -> dict[int, Any]:
    merged = {**parts, **changes}
    return {key: content for key, content in merged.items() if content is not None}
