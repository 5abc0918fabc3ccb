"""The development ledger as Blockfrost shows a chain (OpenAPI 0.1.91), as far as wallets ask.

Any project id will do, but there has to be one, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nunet_dms.cardano.chain.archive import ArchivedBlock, ArchivedOutput
from nunet_dms.cardano.chain.backend import ChainTransaction
from nunet_dms.cardano.chain.node_refusals import words_of
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.network import DEVNET
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.transaction import TxInput, read_transaction
from nunet_dms.cardano.value import total
from nunet_dms.errors import RefusedError
from nunet_dms.oracle import devnet_face as face
from nunet_dms.oracle.bodies import read_raw
from nunet_dms.oracle.devnet_face import Plain, Shown

PAGE_ROWS_MAX = 100
PAGES_MAX = 21_474_836
"""As in the specification."""
ERRORS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Payload Too Large",
    500: "Internal Server Error",
}

Count = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)]
Page = Annotated[int, Query(ge=1, le=PAGES_MAX)]

router = APIRouter(prefix="/devnet/blockfrost/api/v0", include_in_schema=False)


@router.get("/blocks/latest")
async def latest_block(request: Request) -> Response:
    """Return the last block."""
    return await _answered(request, _latest_block)


@router.get("/genesis")
async def genesis(request: Request) -> Response:
    """Return what this network began with."""
    return await _answered(request, _genesis)


@router.get("/epochs/latest/parameters")
async def parameters(request: Request) -> Response:
    """Return the protocol parameters."""
    return await _answered(request, _parameters)


@router.get("/txs/{tx_hash}")
async def transaction(request: Request, tx_hash: str) -> Response:
    """Return a transaction's facts."""
    return await _answered(request, _transaction, tx_hash)


@router.get("/txs/{tx_hash}/cbor")
async def transaction_cbor(request: Request, tx_hash: str) -> Response:
    """Return a transaction's bytes."""
    return await _answered(request, _transaction_cbor, tx_hash)


@router.get("/txs/{tx_hash}/utxos")
async def transaction_utxos(request: Request, tx_hash: str) -> Response:
    """Return what a transaction spent and made, and by whom that was spent."""
    return await _answered(request, _transaction_utxos, tx_hash)


@router.get("/addresses/{address}/utxos")
async def address_utxos(
    request: Request, address: str, count: Count = PAGE_ROWS_MAX, page: Page = 1
) -> Response:
    """Return a page of an address's unspent outputs."""
    return await _answered(request, _address_utxos, address, count, page)


@router.post("/tx/submit")
async def submit(request: Request) -> Response:
    """Take a transaction; a refusal is told in the node's words."""

    async def answer() -> Response:
        _check_key(request)
        raw = await read_raw(request, face.SUBMIT_MAX_BYTES)
        try:
            tx_id = await face.in_thread(face.shown(request).devnet.submit, raw)
        except RefusedError as refusal:
            return _refused(400, _node_words(refusal))
        return face.plain(tx_id.hex())

    return await face.guarded(answer(), _refused)


async def _answered(request: Request, work: Callable[..., Plain], *arguments: object) -> Response:
    async def answer() -> Response:
        _check_key(request)
        return face.plain(await face.in_thread(work, face.shown(request), *arguments))

    return await face.guarded(answer(), _refused)


def _check_key(request: Request) -> None:
    if not request.headers.get("project_id"):
        raise RefusedError("no_key", "Invalid project token.")


def _absent() -> RefusedError:
    return RefusedError("absent", "The requested component has not been found.")


def _refused(status: int, why: str) -> Response:
    return face.plain({"status_code": status, "error": ERRORS[status], "message": why}, status)


def _node_words(refusal: RefusedError) -> str:
    failure = f"ConwayUtxowFailure (UtxoFailure ({words_of(refusal.code)} {str(refusal)!r}))"
    return (
        "transaction submit error ShelleyTxValidationError ShelleyBasedEraConway "
        f"(ApplyTxError ({failure} :| []))"
    )


def _latest_block(ledger: Shown) -> Plain:
    found = ledger.devnet.tip()
    block = ledger.archive.block(found.height)
    epoch, epoch_slot = divmod(found.slot, face.EPOCH_SLOTS)
    tx_ids = block.tx_ids if block else ()
    raws = [ledger.devnet.transaction(tx_id) for tx_id in tx_ids]
    read = [read_transaction(each.raw) for each in raws if each is not None]
    made = total(tuple([output.value for each in read for output in each.outputs]))
    return {
        "time": found.time_s,
        "height": found.height,
        "hash": found.block_hash.hex(),
        "slot": found.slot,
        "epoch": epoch,
        "epoch_slot": epoch_slot,
        "slot_leader": "the development ledger",
        "size": sum(each.size for each in read),
        "tx_count": len(tx_ids),
        "output": str(made.lovelace) if read else None,
        "fees": str(sum(each.fee for each in read)) if read else None,
        "block_vrf": None,
        "op_cert": None,
        "op_cert_counter": None,
        "previous_block": block.previous_hash.hex() if block else None,
        "next_block": None,
        "confirmations": 0,
    }


def _genesis(ledger: Shown) -> Plain:
    return {
        "active_slots_coefficient": 1,
        "update_quorum": 1,
        "max_lovelace_supply": "45000000000000000",
        "network_magic": DEVNET.magic,
        "epoch_length": face.EPOCH_SLOTS,
        "system_start": ledger.began_s,
        "slots_per_kes_period": 129_600,
        "slot_length": 1,
        "max_kes_evolutions": 62,
        "security_param": 2160,
    }


def _parameters(ledger: Shown) -> Plain:
    found = ledger.devnet.parameters()
    return {
        "epoch": ledger.devnet.tip().slot // face.EPOCH_SLOTS,
        "min_fee_a": found.min_fee_a,
        "min_fee_b": found.min_fee_b,
        "max_tx_size": found.max_tx_size,
        "coins_per_utxo_size": str(found.coins_per_utxo_byte),
        "coins_per_utxo_word": str(found.coins_per_utxo_byte),
    }


def _located(ledger: Shown, tx_hash: str) -> tuple[ChainTransaction, ArchivedBlock]:
    found = ledger.devnet.transaction(face.hash_of(tx_hash))
    block = None if found is None else ledger.archive.block(found.height)
    if found is None or block is None:
        raise _absent()
    return found, block


def _transaction(ledger: Shown, tx_hash: str) -> Plain:
    found, block = _located(ledger, tx_hash)
    read = read_transaction(found.raw)
    made = total(tuple([output.value for output in read.outputs]))
    return {
        "hash": tx_hash,
        "block": found.block_hash.hex(),
        "block_height": found.height,
        "block_time": ledger.time_of(block.slot),
        "slot": block.slot,
        "index": block.tx_ids.index(read.tx_id),
        "output_amount": face.amounts(made),
        "fees": str(read.fee),
        "deposit": "0",
        "size": read.size,
        "invalid_before": None if read.valid_from is None else str(read.valid_from),
        "invalid_hereafter": None if read.ttl is None else str(read.ttl),
        "utxo_count": len(read.inputs) + len(read.outputs),
        "withdrawal_count": 0,
        "mir_cert_count": 0,
        "delegation_count": 0,
        "stake_cert_count": 0,
        "pool_update_count": 0,
        "pool_retire_count": 0,
        "asset_mint_or_burn_count": len(read.mint),
        "redeemer_count": 0,
        "valid_contract": found.valid,
        "treasury_donation": "0",
    }


def _transaction_cbor(ledger: Shown, tx_hash: str) -> Plain:
    return {"cbor": _located(ledger, tx_hash)[0].raw.hex()}


def _transaction_utxos(ledger: Shown, tx_hash: str) -> Plain:
    found, _ = _located(ledger, tx_hash)
    read = read_transaction(found.raw)
    made = (TxInput(read.tx_id, index) for index in range(len(read.outputs)))
    return {
        "hash": tx_hash,
        "inputs": [
            _output(each) | {"tx_hash": each.ref.tx_id.hex(), "reference": False}
            for each in map(ledger.output, read.inputs)
            if each is not None
        ],
        "outputs": [
            _output(each) | {"consumed_by_tx": each.spent_by.hex() if each.spent_by else None}
            for each in map(ledger.output, made)
            if each is not None
        ],
    }


def _output(found: ArchivedOutput) -> dict[str, Plain]:
    return {
        "address": face.bech32_of(found.output.address),
        "amount": face.amounts(found.output.value),
        "output_index": found.ref.index,
        **_datum(found.output),
        "collateral": False,
        "reference_script_hash": None,
    }


def _datum(output: TxOutput) -> dict[str, Plain]:
    if output.datum is None:
        return {"data_hash": None, "inline_datum": None}
    return {
        "data_hash": blake2b_256(output.datum).hex(),
        "inline_datum": output.datum.hex(),
    }


def _address_utxos(ledger: Shown, address: str, count: int, page: int) -> Plain:
    """Return a page; an address that never held anything is not known to Blockfrost."""
    found = ledger.devnet.unspent_outputs(face.address_of(address))
    if not found and page == 1:
        raise _absent()
    chosen = found[(page - 1) * count : page * count]
    rows = []
    for utxo in chosen:
        output = ledger.output(utxo.ref)
        block = ledger.archive.block(output.height) if output else None
        rows.append(
            {
                "address": address,
                "tx_hash": utxo.ref.tx_id.hex(),
                "output_index": utxo.ref.index,
                "amount": face.amounts(utxo.output.value),
                "block": block.block_hash.hex() if block else "",
                **_datum(utxo.output),
                "reference_script_hash": None,
            }
        )
    return rows
