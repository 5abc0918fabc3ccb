"""The chain by the operator's own node, through Ogmios 6 or 7 (JSON-RPC 2.0 over HTTP POST).

A node's ledger state holds unspent outputs and no transactions, which sets the limits:

- `transaction` knows only what was handed in through `submit` here, and answers from its own
  bytes. It counts as included when the ledger state has one of its outputs; its height is the
  tip's when that was first seen, which is the true one or later, so that confirmations are never
  counted too high. Whoever else signed it on the way is not seen.
- `is_spent` is true for an output that is known to have been made and is there no longer. A
  transaction none of whose outputs is left, but one of whose inputs is, was rolled back; one that
  was seen and has neither left is taken for spent.
- A transaction whose outputs were all spent again before it was looked at once is not found: keep
  the Oracle running, or let a second backend agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from nunet_dms.cardano.address import Address, parse_address
from nunet_dms.cardano.chain import remote
from nunet_dms.cardano.chain.answers import Part, wrong
from nunet_dms.cardano.chain.backend import ChainTransaction, Genesis, Tip
from nunet_dms.cardano.chain.http import Body, ChainHttp
from nunet_dms.cardano.chain.ledger import read_bounded
from nunet_dms.cardano.chain.node_refusals import judge_refusal, rule_of_code
from nunet_dms.cardano.chain.ogmios_memory import OgmiosMemory, Remembered
from nunet_dms.cardano.chain.pace import UNLIMITED
from nunet_dms.cardano.chain.remote import Remote
from nunet_dms.cardano.fees import FeeParams, Utxo
from nunet_dms.cardano.network import Network
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import MalformedError

NAME = "ogmios"
LIMIT = UNLIMITED
"""It is the operator's own."""

_REFUSED = frozenset({400})
"""Ogmios's status for every answer that holds an error."""
_ADA = "ada"


class Ogmios(Remote):
    """A chain backend; see the module. The tip's time is told by the length of slots."""

    name = NAME

    def __init__(
        self,
        http: ChainHttp,
        network: Network,
        clock: Callable[[], float],
        memory: OgmiosMemory,
    ) -> None:
        super().__init__(http, network, clock)
        self._memory = memory

    def close(self) -> None:
        """Close connections and file."""
        super().close()
        self._memory.close()

    def transaction(self, tx_id: bytes) -> ChainTransaction | None:
        """Return a transaction that was handed in here, or None while no block holds it."""
        known = self._memory.find(tx_id)
        return None if known is None else self._placed(tx_id, known)

    def utxo(self, ref: TxInput) -> Utxo | None:
        """Return the output if a block made it and none has spent it."""
        found = self._unspent((ref,)).get(ref)
        if found is None:
            return None
        known = self._memory.find(ref.tx_id)
        if known is None:
            return found
        return remote.output_of(read_transaction(known.raw), ref, "ogmios queryLedgerState/utxo")

    def is_spent(self, ref: TxInput) -> bool:
        """Return whether the output is known to have been made, and is gone."""
        known = self._memory.find(ref.tx_id)
        if known is None or ref in self._unspent((ref,)):
            return False
        made = self._placed(ref.tx_id, known) is not None
        return made and ref.index < len(read_transaction(known.raw).outputs)

    def unspent_outputs(self, address: Address) -> tuple[Utxo, ...]:
        """Return what the address holds, richest first, at most 1000."""
        self._check_address(address)
        rows = self._query("queryLedgerState/utxo", {"addresses": [address.bech32]}).items()
        for row in rows:
            remote.check_speaks_of(row.at("address"), address)
        return remote.richest_first([_listed(row) for row in rows])

    def submit(self, raw: bytes) -> bytes:
        """Hand in a signed transaction and return its id; raises as ChainBackend.submit does."""
        transaction = read_bounded(raw)
        self._memory.keep(transaction.tx_id, raw)
        self._ready()
        answer = self._ask("submitTransaction", {"transaction": {"cbor": raw.hex()}})
        failure = answer.find("error")
        if failure is not None:
            said = failure.at("message").text()
            rule = rule_of_code(failure.at("code").whole(-(2**31), 2**31))
            return judge_refusal(self, transaction, said, rule)
        taken = answer.at("result").at("transaction").at("id")
        if taken.octets(32) != transaction.tx_id:
            raise wrong(taken.where, "it took another transaction than was handed in")
        return transaction.tx_id

    def _placed(self, tx_id: bytes, known: Remembered) -> ChainTransaction | None:
        """Return a known transaction with its place, as the ledger state of now has it."""
        transaction = read_transaction(known.raw)
        outputs = [TxInput(tx_id, index) for index in range(len(transaction.outputs))]
        unspent = self._unspent((*outputs, *transaction.inputs))
        height, block_hash = known.height, known.block_hash
        if not unspent.keys() & set(outputs):
            if unspent and height is not None:  # its inputs are back
                self._memory.vanished(tx_id)
            if unspent or height is None or block_hash is None:
                return None
        elif height is None or block_hash is None:
            # Asked after the outputs: this tip is not before the block that made them.
            tip = self._ask_tip()
            height, block_hash = tip.height, tip.block_hash
            self._memory.seen(tx_id, height, block_hash)
        return ChainTransaction(known.raw, height, block_hash, valid=True)

    def _unspent(self, refs: tuple[TxInput, ...]) -> dict[TxInput, Utxo]:
        """Return those of the outputs that the ledger state has."""
        asked = [{"transaction": {"id": ref.tx_id.hex()}, "index": ref.index} for ref in refs]
        rows = self._query("queryLedgerState/utxo", {"outputReferences": asked}).items()
        found = {utxo.ref: utxo for utxo in map(_listed, rows)}
        return {ref: found[ref] for ref in refs if ref in found}

    def _ask_genesis(self) -> Genesis:
        answer = self._ask("queryNetwork/genesisConfiguration", {"era": "shelley"})
        found = _result(answer)
        start = found.at("startTime")
        # Fractions of a second are left away: slots begin at whole ones.
        whole_seconds = start.text().removesuffix("Z").partition(".")[0]
        try:
            began = datetime.fromisoformat(f"{whole_seconds}+00:00")
        except ValueError as error:
            raise wrong(start.where, "it is no time in UTC") from error
        return Genesis(found.at("networkMagic").whole(), int(began.timestamp()))

    def _ask_tip(self) -> Tip:
        found = self._query("queryNetwork/tip", {})
        height = self._query("queryNetwork/blockHeight", {})
        slot = found.at("slot").whole(0, remote.SLOT_MAX)
        return Tip(
            slot=slot,
            height=height.whole(0, remote.HEIGHT_MAX),
            block_hash=found.at("id").octets(32),
            time_s=self._time_of(slot),
        )

    def _ask_parameters(self) -> FeeParams:
        found = self._query("queryLedgerState/protocolParameters", {})
        return remote.fee_params(
            found.at("minFeeCoefficient"),
            found.at("minFeeConstant").at(_ADA).at("lovelace"),
            found.at("minUtxoDepositCoefficient"),
            found.at("maxTransactionSize").at("bytes"),
        )

    def _query(self, method: str, params: dict[str, object]) -> Part:
        self._ready()
        return _result(self._ask(method, params))

    def _ask(self, method: str, params: dict[str, object]) -> Part:
        body = {"jsonrpc": "2.0", "method": method, "params": params, "id": None}
        if not params:
            del body["params"]
        reply = self._http.post("", Body(json.dumps(body).encode()), allowed=_REFUSED)
        return Part(reply.json().value, f"ogmios {method}")


def _result(answer: Part) -> Part:
    """Return an answer's result; raises UnreachableError for an error."""
    failure = answer.find("error")
    if failure is not None:
        raise wrong(answer.where, f"it says {failure.at('message').text():.300}")
    return answer.at("result")


def _listed(row: Part) -> Utxo:
    """Read one unspent output; one at an address that we cannot read keeps no address."""
    ref = remote.read_ref(row.at("transaction").at("id"), row.at("index"))
    lovelace, assets = 0, dict[AssetId, int]()
    for policy, names in row.at("value").entries():
        for name, amount in names.entries():
            if policy == _ADA:
                lovelace = amount.quantity()
            else:
                asset = remote.read_asset(
                    Part(policy, names.where).octets(), Part(name, amount.where).octets(), row.where
                )
                assets[asset] = amount.quantity()
    value = Value.of(lovelace, assets)
    has_datum = row.find("datum") is not None or row.find("datumHash") is not None
    has_script_ref = row.find("script") is not None
    try:
        address = parse_address(row.at("address").text())
    except MalformedError:  # Byron's and pointers': nothing of ours pays there
        return Utxo(ref, TxOutput(b"", value, has_datum, has_script_ref))
    output = remote.listed_output(
        address, value, has_datum=has_datum, has_script_ref=has_script_ref
    )
    return Utxo(ref, output)
