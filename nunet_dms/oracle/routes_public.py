"""The calls that need no session but for one, and the ledger's; see protocol/api.py."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from nunet_dms.cardano.address import parse_address
from nunet_dms.errors import MalformedError, RefusedError
from nunet_dms.oracle import auth, speed, views
from nunet_dms.oracle.bodies import (
    JSON_MAX_BYTES,
    answer,
    answered,
    oracle_of,
    read_json,
    read_raw,
    wallet_of,
    within,
)
from nunet_dms.oracle.clockwork import Clockwork
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.openapi import raw_body, shapes
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import SPEED_MAX_BYTES, Health, OracleInfo, Taken
from nunet_dms.protocol.chain import (
    ChainParameters,
    FaucetRequest,
    TransactionBody,
    TransactionId,
    UtxoList,
)
from nunet_dms.protocol.login import (
    Challenge,
    ChallengeRequest,
    NodeLogin,
    Session,
    WalletLogin,
)

STEP_OVERDUE_S = 30
"""Beyond the block interval: then the clockwork is stuck and health says so."""

DETAIL_MAX_CHARS = 500
"""As in the protocol."""

SpeedBytes = Annotated[int, Query(alias="bytes", ge=1, le=SPEED_MAX_BYTES)]

router = APIRouter(tags=["all"])


@router.get("/v1/health", openapi_extra=shapes(None, Health))
async def health(request: Request) -> Response:
    """Say whether the Oracle can work; answered from what the clockwork last saw."""
    return await answered(_health, oracle_of(request), request.app.state.clockwork)


@router.get("/v1/oracle", openapi_extra=shapes(None, OracleInfo))
async def info(request: Request) -> Response:
    """Say who this Oracle is."""
    return await answered(views.info, oracle_of(request))


@router.get("/v1/speed", openapi_extra=shapes(None, None))
async def speed_down(request: Request, size: SpeedBytes) -> Response:
    """Return that many bytes that no compression makes shorter, to measure a line with."""
    return speed.SpeedAnswer(size, oracle_of(request).speed_places)


@router.put("/v1/speed", openapi_extra=raw_body(Taken))
async def speed_up(request: Request) -> Response:
    """Take and drop a body, to measure a line with; says how many bytes came."""
    body = within(request, SPEED_MAX_BYTES)
    client = speed.client_of(request.scope)
    return answer(await speed.take(body, oracle_of(request).speed_places, client))


@router.post("/v1/challenges", openapi_extra=shapes(ChallengeRequest, Challenge))
async def challenge(request: Request) -> Response:
    """Ask for something to sign."""
    body = await read_json(request, ChallengeRequest)
    return await answered(auth.challenge, oracle_of(request), body)


@router.post("/v1/sessions", openapi_extra=shapes((NodeLogin, WalletLogin), Session))
async def login(request: Request) -> Response:
    """Log in with a signed challenge."""
    raw = await read_raw(request, JSON_MAX_BYTES)
    proof = await run_in_threadpool(_proof, raw)
    return await answered(auth.login, oracle_of(request), proof)


@router.get("/v1/chain/parameters", openapi_extra=shapes(None, ChainParameters))
async def parameters(request: Request) -> Response:
    """Return the ledger's fee rules and present slot."""
    return await answered(views.parameters, oracle_of(request))


@router.get("/v1/chain/utxos/{address}", openapi_extra=shapes(None, UtxoList))
async def utxos(request: Request, address: str) -> Response:
    """Return an address's unspent outputs."""
    return await answered(views.utxos, oracle_of(request), address)


@router.post("/v1/chain/submit", openapi_extra=shapes(TransactionBody, TransactionId))
async def submit(request: Request) -> Response:
    """Hand a signed transaction to the ledger."""
    await wallet_of(request)
    body = await read_json(request, TransactionBody)
    raw = bytes.fromhex(body.tx)
    return await answered(views.submit, oracle_of(request), raw)


@router.post("/v1/devnet/faucet", openapi_extra=shapes(FaucetRequest, TransactionId))
async def faucet(request: Request) -> Response:
    """Get ADA and mNTX without value, on the development ledger only."""
    body = await read_json(request, FaucetRequest)
    return await answered(_faucet, oracle_of(request), body)


def _health(oracle: Oracle, clockwork: Clockwork) -> Health:
    overdue_s = oracle.clock() - clockwork.last_step_s - oracle.config.turn_interval_s
    seen = clockwork.watch.seen
    troubles = []
    if overdue_s > STEP_OVERDUE_S:
        troubles.append("the clockwork does not turn")
    if clockwork.alerts:
        troubles.append(f"{clockwork.alerts} jobs near their deadline are not paid out")
    if clockwork.conflicts:
        troubles.append(f"{clockwork.conflicts} jobs have two reports that contradict each other")
    if seen.problem:
        troubles.append(seen.problem)
    return Health(
        status="degraded" if troubles else "ok",
        version=views.VERSION,
        chain=oracle.network.name,
        height=seen.height,
        detail="; ".join(troubles)[:DETAIL_MAX_CHARS],
    )


def _proof(raw: bytes) -> NodeLogin | WalletLogin:
    tree = strict.parse(raw)
    kind = tree.get("kind") if isinstance(tree, dict) else None
    if kind == "node":
        return strict.structure(NodeLogin, tree)
    if kind == "wallet":
        return strict.structure(WalletLogin, tree)
    raise MalformedError("cannot read $.kind: must be 'node' or 'wallet'", where="$.kind")


def _faucet(oracle: Oracle, body: FaucetRequest) -> TransactionId:
    if oracle.devnet is None:
        raise RefusedError("no_faucet", f"cannot give tokens: {oracle.network.name} has no faucet")
    tx_id = oracle.devnet.faucet(parse_address(body.address), body.lovelace, body.tokens)
    return TransactionId(tx_id=tx_id.hex())
