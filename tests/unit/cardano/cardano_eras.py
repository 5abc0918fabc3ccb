"""One signed transaction of each era, in the form that its CDDL gives and with all its parts.

Made here, not taken from a chain: each holds every key that its era's CDDL names.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from hashlib import sha3_256

from cardano_world import ESCROW, ORACLE, REQUESTER

from nunet_dms.cardano.cbor import Encoded, Tag, encode
from nunet_dms.cardano.hashes import blake2b_224, blake2b_256

KEY, POLICY, POOL = b"k" * 28, b"p" * 28, b"o" * 28
ACCOUNT = b"\xe0" + KEY
DIGEST = b"d" * 32
MOST = 2**64 - 1
HALF = Tag(30, (1, 2))
DATUM = Tag(121, (1, Tag(2, b"\x01" + bytes(8)), {1: 2}, b"x"))
TWICE = Encoded(b"\xa2\x01\x02\x01\x03")
"""Plutus data with a key twice, which is legal there."""

CHAIN_CODE = b"c" * 32
ATTRIBUTES = encode({2: encode(1)})


def byron_address(public: bytes) -> tuple[bytes, bytes]:
    """Return the root and the address of a Byron key, made as Byron's specification says."""
    made_of = encode([0, [0, public + CHAIN_CODE], Encoded(ATTRIBUTES)])
    root = blake2b_224(sha3_256(made_of).digest())
    content = encode([root, Encoded(ATTRIBUTES), 0])
    return root, encode([Tag(24, content), zlib.crc32(content)])


BYRON_ROOT, BYRON = byron_address(ORACLE.public)
POINTER = b"\x40" + KEY + b"\x87\x68\x02\x03"
BASE = b"\x00" + KEY + KEY
NATIVE = [3, 1, [[0, KEY], [1, []], [2, [[4, 5], [5, MOST]]]]]

INPUTS = [[b"a" * 32, 0], [b"a" * 32, 65_535]]
METADATA = {0: [1, -(2**64), b"x" * 64, "x" * 64, {b"": [], "y": {}}], MOST: ""}
POOL_REGISTRATION = [
    3, POOL, DIGEST, 1, 2, HALF, ACCOUNT, [KEY],
    [[0, 3001, b"\x7f\0\0\1", None], [1, None, "relay.example"], [2, "example"]], None,
]  # fmt: skip
CERTIFICATES = [
    [0, [0, KEY]], [1, [1, KEY]], [2, [0, KEY], POOL], POOL_REGISTRATION, [4, POOL, 300],
]  # fmt: skip

SHELLEY = {
    0: INPUTS,
    1: [[BASE, 0], [ESCROW.address.raw, MOST], [BYRON, 1], [POINTER, 2]],
    2: MOST,
    3: MOST,
    4: [*CERTIFICATES, [5, KEY, KEY, DIGEST], [6, [0, {KEY: 1}]]],
    5: {ACCOUNT: MOST},
    6: [{KEY: {0: 44}}, 208],
}
ALLEGRA = {**SHELLEY, 8: 0}
MARY = {
    **ALLEGRA,
    1: [[BASE, [1, {POLICY: {b"": 1, b"n" * 32: MOST}}]]],
    9: {POLICY: {b"": -(2**63), b"n": 2**63 - 1}},
}
ALONZO = {
    **MARY,
    1: [[BASE, [1, {POLICY: {b"": 1}}], DIGEST], [BASE, 1]],
    11: DIGEST,
    13: INPUTS,
    14: [KEY],
    15: 0,
}
BABBAGE = {
    **ALONZO,
    1: [
        [BASE, 1, DIGEST],
        {0: BASE, 1: [1, {POLICY: {b"": 1}}], 2: [0, DIGEST], 3: Tag(24, encode([0, NATIVE]))},
        {0: BASE, 1: 1, 2: [1, Tag(24, encode(DATUM))], 3: Tag(24, encode([2, b"plutus"]))},
    ],
    16: {0: BASE, 1: 1},
    17: 1,
    18: INPUTS,
}
CONWAY = {
    **{key: value for key, value in BABBAGE.items() if key != 6},
    0: Tag(258, INPUTS),
    4: Tag(
        258, [[7, [0, KEY], 1], [9, [0, KEY], [2]], [14, [0, KEY], [1, KEY]], [18, [0, KEY], 0]]
    ),
    13: Tag(258, INPUTS),
    14: Tag(258, [KEY]),
    18: Tag(258, INPUTS),
    19: {(2, KEY): {(DIGEST, 0): [1, ["https://example.org", DIGEST]]}},
    20: Tag(258, [[1, ACCOUNT, [6], ["https://example.org", DIGEST]]]),
    21: MOST,
    22: 1,
}
DIJKSTRA = {
    **{key: value for key, value in CONWAY.items() if key != 14},
    14: Tag(258, [[0, KEY], [1, KEY]]),
    23: Tag(258, [[{0: [], 1: []}, {}, None]]),
    24: {(0, KEY): None},
    25: {ACCOUNT: 1},
}

SHELLEY_WITNESSES = {1: [NATIVE]}
ALONZO_WITNESSES = {
    **SHELLEY_WITNESSES, 3: [b"v1"], 4: [DATUM, TWICE], 5: [[0, 0, DATUM, [1, 2]]],
}  # fmt: skip
CONWAY_WITNESSES = {
    1: Tag(258, [NATIVE]), 3: Tag(258, [b"v1"]), 4: Tag(258, [DATUM, TWICE]),
    5: {(0, 0): [TWICE, [1, 2]]}, 6: [b"v2"], 7: Tag(258, [b"v3"]),
}  # fmt: skip


def signed(
    body: dict[int, object],
    witnesses: dict[int, object] | None = None,
    auxiliary: object = None,
    elements: int = 4,
    write: Callable[[object], bytes] = encode,
) -> bytes:
    """Return the transaction, its metadata hash filled in, signed by a key and a Byron key."""
    if auxiliary is not None:
        body = {**body, 7: blake2b_256(write(auxiliary))}
    raw = write(body)
    tx_id = blake2b_256(raw)
    both = {
        0: [[REQUESTER.public, REQUESTER.sign(tx_id)]],
        2: [[ORACLE.public, ORACLE.sign(tx_id), CHAIN_CODE, ATTRIBUTES]],
    }
    valid = [True] if elements == 4 else []
    parts = [Encoded(raw), {**both, **(witnesses or {})}, *valid, auxiliary]
    return write(parts)


def written_openly(value: object) -> bytes:
    """Return CBOR as unlike the canonical one as may be: no lengths told, integers in 8 bytes."""
    match value:
        case bool() | None | str() | Encoded():
            return encode(value)
        case int():
            head, size = (b"\x1b", value) if value >= 0 else (b"\x3b", -1 - value)
            return head + size.to_bytes(8, "big")
        case bytes():
            return b"\x5f" + encode(value[:20]) + encode(value[20:]) + b"\xff"
        case Tag():
            return b"\xda" + value.number.to_bytes(4, "big") + written_openly(value.value)
        case dict():
            pairs = [written_openly(key) + written_openly(item) for key, item in value.items()]
            return b"\xbf" + b"".join(reversed(pairs)) + b"\xff"
    assert isinstance(value, (list, tuple))
    return b"\x9f" + b"".join(map(written_openly, value)) + b"\xff"


ALLEGRA_AUXILIARY = [METADATA, [NATIVE]]
ALONZO_AUXILIARY = Tag(259, {0: METADATA, 1: [NATIVE], 2: [b"v1"], 3: [b"v2"], 4: [b"v3"]})
ERAS = {
    "shelley": signed(SHELLEY, SHELLEY_WITNESSES, {**METADATA, 1: "long" * 50}, elements=3),
    "allegra": signed(ALLEGRA, SHELLEY_WITNESSES, ALLEGRA_AUXILIARY, elements=3),
    "mary": signed(MARY, SHELLEY_WITNESSES, ALLEGRA_AUXILIARY, elements=3),
    "alonzo": signed(ALONZO, ALONZO_WITNESSES, ALONZO_AUXILIARY),
    "babbage": signed(BABBAGE, {**ALONZO_WITNESSES, 6: [b"v2"]}, ALONZO_AUXILIARY),
    "conway": signed(CONWAY, CONWAY_WITNESSES, ALONZO_AUXILIARY),
    "dijkstra": signed(DIJKSTRA, CONWAY_WITNESSES, ALONZO_AUXILIARY, elements=3),
    "written openly": signed(CONWAY, CONWAY_WITNESSES, ALONZO_AUXILIARY, write=written_openly),
}
