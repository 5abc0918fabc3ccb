"""Auxiliary data: the metadata that binds a payment to its job."""

from __future__ import annotations

from collections.abc import Mapping

from nunet_dms.cardano.cbor import ARRAY, MAP, Cursor, Tag, encode
from nunet_dms.errors import MalformedError

METADATA_LABEL = 78_811
"""Ours, from the range that CIP-10 leaves for private use (65536 to 131071)."""
METADATA_VERSION = 1

MAX_METADATUM_BYTES = 64
"""Longest text or byte string in metadata (the ledger's CDDL)."""

ALONZO_TAG = 259
"""Marks auxiliary data in the map form of Alonzo."""


def job_metadata(job_hash: bytes) -> bytes:
    """Return the auxiliary data that says which job a payment is for."""
    return encode({METADATA_LABEL: {"v": METADATA_VERSION, "job": job_hash}})


def read_auxiliary(cursor: Cursor) -> tuple[Mapping[int, object], bool]:
    """Read auxiliary data in any era's form; return its metadata and whether it has scripts.

    Raises MalformedError, also for what metadata may not hold.
    """
    start = cursor.major()
    if start == MAP:
        return _read_metadata(cursor), False
    if start == ARRAY:
        return _read_allegra(cursor)
    cursor.expect_tag(ALONZO_TAG)
    return _read_alonzo(cursor)


def _read_allegra(cursor: Cursor) -> tuple[Mapping[int, object], bool]:
    metadata: Mapping[int, object] = {}
    place = -1
    for place in cursor.items(ARRAY):
        if place == 0:
            metadata = _read_metadata(cursor)
        else:
            cursor.opaque()
    if place != 1:
        raise cursor.malformed("auxiliary data is not a pair of metadata and scripts")
    return metadata, True


def _read_alonzo(cursor: Cursor) -> tuple[Mapping[int, object], bool]:
    metadata: Mapping[int, object] = {}
    seen = set()
    for _ in cursor.items(MAP):
        key = cursor.unsigned()
        if key in seen:
            raise cursor.malformed("auxiliary data has the same key twice")
        seen.add(key)
        if key == 0:
            metadata = _read_metadata(cursor)
        else:
            cursor.opaque()
    return metadata, bool(seen - {0})


def _read_metadata(cursor: Cursor) -> Mapping[int, object]:
    metadata = cursor.value()
    if not isinstance(metadata, dict):
        raise cursor.malformed("metadata is not a map")
    for label, content in metadata.items():
        if type(label) is not int or label < 0:
            raise cursor.malformed("a metadata label is not an unsigned integer")
        _check_metadatum(content)
    return metadata


def _check_metadatum(content: object) -> None:
    if isinstance(content, dict):
        for key, item in content.items():
            _check_metadatum(key)
            _check_metadatum(item)
    elif isinstance(content, tuple):
        for item in content:
            _check_metadatum(item)
    elif isinstance(content, (bytes, str)):
        size = len(content if isinstance(content, bytes) else content.encode())
        if size > MAX_METADATUM_BYTES:
            raise MalformedError(f"cannot read metadata: a text or byte string has {size} bytes")
    elif isinstance(content, (bool, Tag)) or content is None:
        raise MalformedError("cannot read metadata: it holds more than numbers and strings")
