"""Auxiliary data: the metadata that binds a payment to its job."""

from __future__ import annotations

from collections.abc import Mapping

from nunet_dms.cardano.cbor import ARRAY, MAP, Cursor, encode
from nunet_dms.errors import MalformedError

METADATA_LABEL = 78_811
"""Ours, from the range that CIP-10 leaves for private use (65536 to 131071)."""
METADATA_VERSION = 1

MAX_METADATUM_BYTES = 64
"""Longest text or byte string in metadata (the ledger's CDDL from Allegra on)."""
MAX_AUXILIARY_KEY = 5
"""Metadata, native scripts, Plutus V1 to V4 (Dijkstra's CDDL)."""

ALONZO_TAG = 259
"""Marks auxiliary data in the map form of Alonzo."""


def job_metadata(job_hash: bytes) -> bytes:
    """Return the auxiliary data that says which job a payment is for."""
    return encode({METADATA_LABEL: {"v": METADATA_VERSION, "job": job_hash}})


def read_auxiliary(cursor: Cursor) -> Mapping[int, object]:
    """Read auxiliary data in any era's form and return its metadata.

    Raises MalformedError, also for what metadata may not hold.
    """
    start = cursor.major()
    if start == MAP:
        return _read_metadata(cursor, may_be_long=True)
    if start == ARRAY:
        return _read_allegra(cursor)
    cursor.expect_tag(ALONZO_TAG)
    return _read_alonzo(cursor)


def _read_allegra(cursor: Cursor) -> Mapping[int, object]:
    is_open = cursor.enter(2)
    metadata = _read_metadata(cursor)
    _pass_scripts(cursor)
    cursor.leave(is_open)
    return metadata


def _read_alonzo(cursor: Cursor) -> Mapping[int, object]:
    metadata: Mapping[int, object] = {}
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen or key > MAX_AUXILIARY_KEY:
            raise cursor.malformed("auxiliary data has an unknown key, or one twice")
        seen.add(key)
        if key == 0:
            metadata = _read_metadata(cursor)
        else:
            _pass_scripts(cursor)
    return metadata


def _pass_scripts(cursor: Cursor) -> None:
    cursor.unjudged.add("auxiliary_scripts")
    for _ in cursor.items(ARRAY):
        cursor.opaque()


def _read_metadata(cursor: Cursor, *, may_be_long: bool = False) -> Mapping[int, object]:
    metadata = cursor.value()
    if not isinstance(metadata, dict):
        raise cursor.malformed("metadata is not a map")
    longest = 0
    for label, content in metadata.items():
        if type(label) is not int or label < 0:
            raise cursor.malformed("a metadata label is not an unsigned integer")
        longest = max(longest, _longest_in(content))
    if longest > MAX_METADATUM_BYTES:
        if not may_be_long:
            raise cursor.malformed(f"metadata holds a text or byte string of {longest} bytes")
        cursor.unjudged.add("long_metadatum")  # Shelley alone let it pass
    return metadata


def _longest_in(content: object) -> int:
    """Return the bytes of the longest string in a metadatum, refusing what is none."""
    if isinstance(content, bytes):
        return len(content)
    if isinstance(content, str):
        return len(content.encode())
    if isinstance(content, tuple):
        return max(map(_longest_in, content), default=0)
    if isinstance(content, dict):
        return max(map(_longest_in, (*content, *content.values())), default=0)
    if type(content) is not int:
        raise MalformedError("cannot read metadata: it holds more than numbers and strings")
    return 0
