"""The development ledger as Koios shows a chain (specification 1.4.2), as far as wallets ask."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from nunet_dms.cardano.body import MAX_OUTPUT_INDEX
from nunet_dms.cardano.chain.archive import ArchivedOutput
from nunet_dms.cardano.chain.node_refusals import words_of
from nunet_dms.cardano.fingerprint import asset_fingerprint
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.errors import MalformedError, RefusedError
from nunet_dms.oracle import devnet_face as face
from nunet_dms.oracle.bodies import read_raw
from nunet_dms.oracle.devnet_face import Plain, Shown

router = APIRouter(prefix="/devnet/koios/api/v1", include_in_schema=False)


@router.get("/tip")
async def tip(request: Request) -> Response:
    """Return the last block."""
    return face.plain(await face.in_thread(_tip, face.shown(request)))


@router.get("/genesis")
async def genesis(request: Request) -> Response:
    """Return what this network began with."""
    return face.plain(await face.in_thread(_genesis, face.shown(request)))


@router.get("/cli_protocol_params")
async def parameters(request: Request) -> Response:
    """Return the protocol parameters as cardano-cli names them."""
    return face.plain(await face.in_thread(_parameters, face.shown(request)))


@router.post("/tx_cbor")
async def tx_cbor(request: Request) -> Response:
    """Return transactions' bytes."""
    return await _queried(request, _tx_cbor)


@router.post("/tx_status")
async def tx_status(request: Request) -> Response:
    """Return transactions' confirmations."""
    return await _queried(request, _tx_status)


@router.post("/utxo_info")
async def utxo_info(request: Request) -> Response:
    """Return outputs by reference."""
    return await _queried(request, _utxo_info)


@router.post("/address_utxos")
async def address_utxos(request: Request) -> Response:
    """Return addresses' unspent outputs."""
    return await _queried(request, _address_utxos)


@router.post("/submittx")
async def submit(request: Request) -> Response:
    """Take a transaction; a refusal is told as cardano-submit-api tells it."""
    return await face.guarded(_submitted(request), _refused)


async def _queried(request: Request, query: Plain) -> Response:
    async def answer() -> Response:
        body = await face.read_object(request)
        return face.plain(await face.in_thread(query, face.shown(request), body))

    return await face.guarded(answer(), _refused)


def _refused(status: int, why: str) -> Response:
    """Return an error as PostgREST writes it, which stands behind Koios."""
    return face.plain({"code": "PGRST100", "details": None, "hint": None, "message": why}, status)


async def _submitted(request: Request) -> Response:
    raw = await read_raw(request, face.SUBMIT_MAX_BYTES)
    try:
        tx_id = await face.in_thread(face.shown(request).devnet.submit, raw)
    except RefusedError as refusal:
        return face.plain(_node_refusal(refusal), 400)
    return face.plain(tx_id.hex(), 202)


def _node_refusal(refusal: RefusedError) -> Plain:
    failure = f"ConwayUtxowFailure (UtxoFailure ({words_of(refusal.code)} {str(refusal)!r}))"
    inner = {"kind": "ShelleyTxValidationError", "error": [failure], "era": "ShelleyBasedEraConway"}
    return {
        "tag": "TxSubmitFail",
        "contents": {
            "tag": "TxCmdTxSubmitValidationError",
            "contents": {"tag": "TxValidationErrorInCardanoMode", "contents": inner},
        },
    }


def _tip(ledger: Shown) -> Plain:
    found = ledger.devnet.tip()
    epoch, epoch_slot = divmod(found.slot, face.EPOCH_SLOTS)
    return [
        {
            "hash": found.block_hash.hex(),
            "era": face.ERA,
            "epoch_no": epoch,
            "abs_slot": found.slot,
            "epoch_slot": epoch_slot,
            "block_no": found.height,
            "block_time": found.time_s,
        }
    ]


def _genesis(ledger: Shown) -> Plain:
    return [
        {
            "networkmagic": str(DEVNET.magic),
            "networkid": "Testnet",
            "epochlength": str(face.EPOCH_SLOTS),
            "slotlength": "1",
            "maxlovelacesupply": "45000000000000000",
            "systemstart": ledger.began_s,
            "activeslotcoeff": "1",
            "slotsperkesperiod": "129600",
            "maxkesrevolutions": "62",
            "securityparam": "2160",
            "updatequorum": "1",
            "alonzogenesis": "{}",
        }
    ]


def _parameters(ledger: Shown) -> Plain:
    found = ledger.devnet.parameters()
    return {
        "maxTxSize": found.max_tx_size,
        "txFeeFixed": found.min_fee_b,
        "txFeePerByte": found.min_fee_a,
        "utxoCostPerByte": found.coins_per_utxo_byte,
    }


def _tx_cbor(ledger: Shown, body: dict[str, Plain]) -> Plain:
    rows = []
    for tx_id in map(face.hash_of, face.texts_of(body, "_tx_hashes")):
        found = ledger.devnet.transaction(tx_id)
        block = None if found is None else ledger.archive.block(found.height)
        if found is not None and block is not None:
            rows.append(
                {
                    "tx_hash": tx_id.hex(),
                    "block_hash": found.block_hash.hex(),
                    "block_height": found.height,
                    "epoch_no": block.slot // face.EPOCH_SLOTS,
                    "absolute_slot": block.slot,
                    "tx_timestamp": ledger.time_of(block.slot),
                    "cbor": found.raw.hex(),
                    "valid_contract": found.valid,
                }
            )
    return rows


def _tx_status(ledger: Shown, body: dict[str, Plain]) -> Plain:
    height = ledger.devnet.tip().height
    rows = []
    for tx_id in map(face.hash_of, face.texts_of(body, "_tx_hashes")):
        found = ledger.devnet.transaction(tx_id)
        deep = None if found is None else height - found.height
        rows.append({"tx_hash": tx_id.hex(), "num_confirmations": deep})
    return rows


def _utxo_info(ledger: Shown, body: dict[str, Plain]) -> Plain:
    found = map(ledger.output, map(_ref_of, face.texts_of(body, "_utxo_refs")))
    extended = body.get("_extended") is True
    return [_row(ledger, output, extended=extended) for output in found if output is not None]


def _address_utxos(ledger: Shown, body: dict[str, Plain]) -> Plain:
    extended = body.get("_extended") is True
    rows: list[Plain] = []
    for address in map(face.address_of, face.texts_of(body, "_addresses")):
        for utxo in ledger.devnet.unspent_outputs(address):
            output = ledger.output(utxo.ref)
            if output is not None:
                rows.append(_row(ledger, output, extended=extended))
    return rows


def _row(ledger: Shown, found: ArchivedOutput, *, extended: bool) -> Plain:
    block = ledger.archive.block(found.height)
    slot = block.slot if block else 0
    value = found.output.value
    assets = [
        {
            "policy_id": asset.policy.hex(),
            "asset_name": asset.name.hex(),
            "fingerprint": asset_fingerprint(asset),
            "decimals": DEVNET.token_decimals if asset == ledger.devnet.asset else 0,
            "quantity": str(amount),
        }
        for asset, amount in value.assets
    ]
    datum = found.output.datum
    return {
        "tx_hash": found.ref.tx_id.hex(),
        "tx_index": found.ref.index,
        "address": face.bech32_of(found.output.address),
        "value": str(value.lovelace),
        "stake_address": None,
        "payment_cred": found.output.address[1:29].hex(),
        "epoch_no": slot // face.EPOCH_SLOTS,
        "block_height": found.height,
        "block_time": ledger.time_of(slot),
        "datum_hash": None if datum is None else blake2b_256(datum).hex(),
        "inline_datum": None if datum is None else {"bytes": datum.hex()},
        "reference_script": None,
        "asset_list": assets if extended else None,
        "is_spent": found.spent_by is not None,
    }


def _ref_of(text: str) -> TxInput:
    tx_id, hash_sign, index = text.partition("#")
    if not (hash_sign and index.isascii() and index.isdigit() and len(index) <= 5):
        raise MalformedError(f"cannot read {text!r:.80}: it is no reference such as HASH#0")
    return TxInput(face.hash_of(tx_id), min(int(index), MAX_OUTPUT_INDEX))
