"""Real blocks and transactions, where somebody has them: each is read, and what it signs holds.

`NUNET_CHAIN_DATA` names a folder of them in hex: `*.block` as a node's chain-sync gives blocks
([era, block]; Byron's are passed over), `*.tx` as an indexer gives transactions. None are kept
here; several libraries for Cardano have such folders among their tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nunet_dms.cardano.address import byron_root
from nunet_dms.cardano.cbor import ARRAY, MAP, Cursor
from nunet_dms.cardano.hashes import blake2b_256
from nunet_dms.cardano.output import BYRON
from nunet_dms.cardano.transaction import read_transaction
from nunet_dms.errors import MalformedError

FOLDER = os.environ.get("NUNET_CHAIN_DATA", "")
SHELLEY, ALONZO = 2, 5
"""Numbers of eras as the node writes them; from Alonzo on a transaction has `is_valid`."""

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="NUNET_CHAIN_DATA names no folder of real blocks"
)


def span(cursor: Cursor) -> bytes:
    """Return the next item as it was encoded."""
    start, end = cursor.opaque()
    return cursor.data[start:end]


def spans(raw: bytes) -> list[bytes]:
    """Return the items of an array as they were encoded."""
    cursor = Cursor(raw)
    return [span(cursor) for _ in cursor.items(ARRAY)]


def transactions_of(block: bytes) -> Iterator[bytes]:
    """Put each transaction of a block together, from the bytes that the block has."""
    era, content = spans(block)
    if era[0] < SHELLEY:
        return
    _, bodies, witness_sets, auxiliary, *rest = spans(content)
    notes: dict[int, bytes] = {}
    cursor = Cursor(auxiliary)
    for _ in cursor.items(MAP):
        place = cursor.unsigned()
        notes[place] = span(cursor)
    invalid = {Cursor(index).unsigned() for index in (spans(rest[0]) if rest else ())}
    for place, (body, witnesses) in enumerate(zip(spans(bodies), spans(witness_sets), strict=True)):
        valid = b"" if era[0] < ALONZO else b"\xf4" if place in invalid else b"\xf5"
        head = b"\x84" if valid else b"\x83"
        yield head + body + witnesses + valid + notes.get(place, b"\xf6")


def found() -> Iterator[tuple[str, bytes]]:
    """Give every transaction in the folder with a name for it."""
    for path in sorted(Path(FOLDER).glob("*")):
        if path.suffix == ".tx":
            yield path.name, bytes.fromhex(path.read_text("ascii"))
        elif path.suffix == ".block":
            block = bytes.fromhex(path.read_text("ascii"))
            for place, raw in enumerate(transactions_of(block)):
                yield f"{path.name}#{place}", raw


def is_byron(raw: bytes) -> bool:
    """Return whether it is a transaction of Byron: its body is an array."""
    return raw[1] >> 5 == ARRAY


def test_every_transaction_is_read_and_what_it_signs_holds() -> None:
    count, refused = 0, []
    for name, raw in found():
        if is_byron(raw):
            continue
        try:
            read = read_transaction(raw)
        except MalformedError as error:
            refused.append((name, str(error)))
            continue
        count += 1
        assert read.tx_id == blake2b_256(read.body), name
        assert read.is_signed or name.endswith(".tx"), name
        assert read.invalid_witnesses() == (), name
        digest = None if read.metadata_raw is None else blake2b_256(read.metadata_raw)
        assert read.metadata_hash == digest, name
        for output in read.outputs:
            assert output.address_type != BYRON or byron_root(output.address), name
    assert count, f"there is no transaction in {FOLDER}"
    assert [name for name, why in refused if "or one twice" not in why] == []
