"""The development ledger as Ogmios shows a node (6.11): JSON-RPC 2.0 by POST, as far as we ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from types import MappingProxyType

from fastapi import APIRouter, Request, Response

from nunet_dms.cardano.body import MAX_OUTPUT_INDEX
from nunet_dms.cardano.chain.archive import ArchivedOutput
from nunet_dms.cardano.chain.node_refusals import number_of
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import Value
from nunet_dms.errors import MalformedError, RefusedError
from nunet_dms.oracle import devnet_face as face
from nunet_dms.oracle.devnet_face import Plain, Shown

BODY_MAX_BYTES = 2 * face.SUBMIT_MAX_BYTES
"""A transaction travels as hex."""
REFERENCES_MAX = 200
"""Outputs asked for in one call."""

INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS = -32600, -32601, -32602
"""Codes of JSON-RPC 2.0."""

router = APIRouter(prefix="/devnet/ogmios", include_in_schema=False)


@router.post("")
@router.post("/")
async def call(request: Request) -> Response:
    """Answer one call; one that holds an error has status 400, as Ogmios has it."""
    return await face.guarded(_called(request), _refused)


async def _called(request: Request) -> Response:
    body = await face.read_object(request, BODY_MAX_BYTES)
    method, params = body.get("method"), body.get("params", {})
    head = {"jsonrpc": "2.0", "method": method, "id": body.get("id")}
    work = METHODS.get(method) if isinstance(method, str) else None
    if work is None or not isinstance(params, dict):
        return _failed(head, UNKNOWN_METHOD, "Unknown method.")
    try:
        result = await face.in_thread(work, face.shown(request), params)
    except MalformedError as error:
        return _failed(head, INVALID_PARAMS, str(error))
    except RefusedError as refusal:
        return _failed(head, number_of(refusal.code), str(refusal))
    return face.plain({"jsonrpc": "2.0", "method": method, "result": result, "id": head["id"]})


def _failed(head: dict[str, Plain], code: int, message: str) -> Response:
    error = {"code": code, "message": message}
    return face.plain(
        {"jsonrpc": "2.0", "method": head["method"], "error": error, "id": head["id"]}, 400
    )


def _refused(status: int, why: str) -> Response:
    return face.plain(
        {"jsonrpc": "2.0", "error": {"code": INVALID_REQUEST, "message": why}, "id": None}, status
    )


def _tip(ledger: Shown, _params: dict[str, Plain]) -> Plain:
    found = ledger.devnet.tip()
    return {"slot": found.slot, "id": found.block_hash.hex()}


def _height(ledger: Shown, _params: dict[str, Plain]) -> Plain:
    return ledger.devnet.tip().height


def _start_time(ledger: Shown, _params: dict[str, Plain]) -> Plain:
    began = datetime.fromtimestamp(ledger.began_s, timezone.utc)
    return began.strftime("%Y-%m-%dT%H:%M:%SZ")


def _genesis(ledger: Shown, params: dict[str, Plain]) -> Plain:
    if params.get("era") != "shelley":
        raise MalformedError("cannot read era: this ledger has Shelley's genesis only")
    return {
        "era": "shelley",
        "startTime": _start_time(ledger, params),
        "networkMagic": DEVNET.magic,
        "network": "testnet",
        "epochLength": face.EPOCH_SLOTS,
        "slotLength": {"milliseconds": 1000},
    }


def _parameters(ledger: Shown, _params: dict[str, Plain]) -> Plain:
    found = ledger.devnet.parameters()
    return {
        "minFeeCoefficient": found.min_fee_a,
        "minFeeConstant": {"ada": {"lovelace": found.min_fee_b}},
        "maxTransactionSize": {"bytes": found.max_tx_size},
        "minUtxoDepositCoefficient": found.coins_per_utxo_byte,
    }


def _utxo(ledger: Shown, params: dict[str, Plain]) -> Plain:
    if "addresses" in params:
        refs = [
            utxo.ref
            for address in map(face.address_of, face.texts_of(params, "addresses"))
            for utxo in ledger.devnet.unspent_outputs(address)
        ]
    else:
        refs = _references(params.get("outputReferences"))
    found = (ledger.output(ref) for ref in refs)
    return [_row(each) for each in found if each is not None and each.spent_by is None]


def _references(given: Plain) -> list[TxInput]:
    if not isinstance(given, list) or len(given) > REFERENCES_MAX:
        raise MalformedError(f"cannot read outputReferences: a list of at most {REFERENCES_MAX}")
    try:
        pairs = [(each["transaction"]["id"], each["index"]) for each in given]
    except (KeyError, TypeError, IndexError) as error:
        raise MalformedError("cannot read outputReferences: one has no id or index") from error
    for tx_id, index in pairs:
        if not isinstance(tx_id, str) or type(index) is not int:
            raise MalformedError("cannot read outputReferences: one has a wrong type")
        if not 0 <= index <= MAX_OUTPUT_INDEX:
            raise MalformedError("cannot read outputReferences: an index is out of bounds")
    return [TxInput(face.hash_of(tx_id), index) for tx_id, index in pairs]


def _row(found: ArchivedOutput) -> Plain:
    return {
        "transaction": {"id": found.ref.tx_id.hex()},
        "index": found.ref.index,
        "address": face.bech32_of(found.output.address),
        "value": _value(found.output.value),
        **({} if found.output.datum is None else {"datum": found.output.datum.hex()}),
    }


def _value(value: Value) -> Plain:
    held: dict[str, dict[str, int]] = {"ada": {"lovelace": value.lovelace}}
    for asset, amount in value.assets:
        held.setdefault(asset.policy.hex(), {})[asset.name.hex()] = amount
    return held


def _submit(ledger: Shown, params: dict[str, Plain]) -> Plain:
    transaction = params.get("transaction")
    text = transaction.get("cbor") if isinstance(transaction, dict) else None
    try:
        raw = bytes.fromhex(text if isinstance(text, str) else "-")
    except ValueError as error:
        raise MalformedError("cannot read transaction: its cbor is no hex") from error
    return {"transaction": {"id": ledger.devnet.submit(raw).hex()}}


METHODS: MappingProxyType[str, Callable[[Shown, dict[str, Plain]], Plain]] = MappingProxyType(
    {
        "queryNetwork/tip": _tip,
        "queryNetwork/blockHeight": _height,
        "queryNetwork/startTime": _start_time,
        "queryNetwork/genesisConfiguration": _genesis,
        "queryLedgerState/protocolParameters": _parameters,
        "queryLedgerState/utxo": _utxo,
        "submitTransaction": _submit,
    }
)
