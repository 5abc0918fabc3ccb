"""What the development ledger's HTTP faces share: bodies within bounds, and facts in words."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from nunet_dms.cardano.address import Address, address_from_bytes, parse_address
from nunet_dms.cardano.chain.archive import ArchivedOutput, DevnetArchive
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import Value
from nunet_dms.errors import MalformedError, RefusedError, UnreachableError
from nunet_dms.oracle.bodies import oracle_of, read_raw

EPOCH_SLOTS = 432_000
"""As on every public network; nothing happens at their bounds here."""
QUERY_MAX_BYTES = 5 * 1024
"""Of a query's body: what Koios allows registered users."""
SUBMIT_MAX_BYTES = 64 * 1024
"""Of a transaction that is handed in; the ledger takes 16 KB."""
ERA = "Conway"
STATUS_OF = {"too_large": 413, "no_key": 403, "absent": 404}
"""Of refusals; every other one is a 400."""

Plain = Any
"""What JSON is made of."""

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Shown:
    """The ledger and its past, for one call."""

    devnet: Devnet
    archive: DevnetArchive

    @property
    def began_s(self) -> int:
        """Unix seconds of slot 0."""
        tip = self.devnet.tip()
        return tip.time_s - tip.slot

    def time_of(self, slot: int) -> int:
        """Return the Unix time of a slot."""
        return self.began_s + slot

    def output(self, ref: TxInput) -> ArchivedOutput | None:
        """Return an output that a block made."""
        return self.archive.output(ref)


def shown(request: Request) -> Shown:
    """Return the ledger that the app serves."""
    oracle = oracle_of(request)
    if oracle.devnet is None or oracle.archive is None:
        raise RefusedError("unknown_ledger", "cannot answer: this Oracle has no ledger of its own")
    return Shown(oracle.devnet, oracle.archive)


async def in_thread(work: Callable[..., Plain], *arguments: object) -> Plain:
    """Run `work` in a thread: it reads files."""
    return await run_in_threadpool(work, *arguments)


def plain(value: Plain, status: int = 200) -> Response:
    """Return JSON in the order in which it was written."""
    content = json.dumps(value, separators=(",", ":")).encode()
    return Response(content, status, media_type="application/json")


async def read_object(request: Request, limit: int = QUERY_MAX_BYTES) -> dict[str, Plain]:
    """Return a body; raises RefusedError `too_large` and MalformedError."""
    raw = await read_raw(request, limit)
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"cannot read the body: {error}") from error
    if not isinstance(tree, dict):
        raise MalformedError("cannot read the body: it is no object")
    return tree


async def guarded(answer: Awaitable[Response], refused: Callable[[int, str], Response]) -> Response:
    """Answer, with every error of ours in the face's own shape: `refused` gets status and text."""
    try:
        return await answer
    except MalformedError as error:
        return refused(400, str(error))
    except RefusedError as error:
        return refused(STATUS_OF.get(error.code, 400), str(error))
    except UnreachableError as error:
        return refused(500, str(error))


def texts_of(body: dict[str, Plain], key: str) -> list[str]:
    """Return a list of texts; raises MalformedError."""
    found = body.get(key)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise MalformedError(f"cannot read {key}: it must be a list of texts")
    return found


def hash_of(text: str) -> bytes:
    """Return a transaction's id; raises MalformedError."""
    if not _HASH.fullmatch(text):
        raise MalformedError(f"cannot read {text!r:.80}: it is no transaction hash")
    return bytes.fromhex(text)


def address_of(text: str) -> Address:
    """Return an address; raises MalformedError."""
    return parse_address(text)


def bech32_of(raw: bytes) -> str:
    """Return an output's address as people write it; in hex where it has no such form."""
    try:
        return address_from_bytes(raw).bech32
    except MalformedError:
        return raw.hex()


def amounts(value: Value) -> list[dict[str, str]]:
    """Return a value as Blockfrost writes it: unit and quantity, lovelace first."""
    found = [{"unit": "lovelace", "quantity": str(value.lovelace)}]
    found += [
        {"unit": asset.policy.hex() + asset.name.hex(), "quantity": str(amount)}
        for asset, amount in value.assets
    ]
    return found
