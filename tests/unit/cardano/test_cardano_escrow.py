"""Native scripts as the ledger judges them, and every way to open an escrow."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from cardano_world import (
    DEADLINE,
    ESCROW,
    JOB,
    NODE,
    ORACLE,
    REQUESTER,
    STRANGER,
    refusal_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.cardano.address import parse_address
from nunet_dms.cardano.cbor import encode
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.script import (
    MAX_SCRIPT_DEPTH,
    after_slot,
    all_of,
    any_of,
    at_least,
    before_slot,
    evaluate,
    read_script,
    script_hash,
    signature,
)
from nunet_dms.errors import MalformedError, VerificationError

A, B, C = b"a" * 28, b"b" * 28, b"c" * 28
NOBODY: frozenset[bytes] = frozenset()
PARTIES = {"requester": REQUESTER, "node": NODE, "oracle": ORACLE, "stranger": STRANGER}
SIGNERS = list(chain.from_iterable(combinations(PARTIES, size) for size in range(5)))


@pytest.mark.parametrize("names", SIGNERS, ids="+".join)
@pytest.mark.parametrize("valid_from", [None, 0, DEADLINE - 1, DEADLINE, DEADLINE + 1])
@pytest.mark.parametrize("ttl", [None, DEADLINE + 10])
def test_two_parties_open_it_or_the_requester_alone_after_the_deadline(
    names: tuple[str, ...], valid_from: int | None, ttl: int | None
) -> None:
    signers = frozenset(PARTIES[name].key_hash for name in names)
    late = valid_from is not None and valid_from >= DEADLINE
    expected = len(set(names) - {"stranger"}) >= 2 or ("requester" in names and late)
    assert evaluate(ESCROW.script, signers, valid_from, ttl) is expected


def test_the_commitment_is_no_key_that_opens_it() -> None:
    assert not evaluate(ESCROW.script, frozenset([ESCROW.commitment]), DEADLINE, None)


def test_every_term_is_in_the_address() -> None:
    changes = [
        EscrowTerms(A, ESCROW.requester, ESCROW.node, ESCROW.oracle, DEADLINE, 0),
        EscrowTerms(ESCROW.commitment, A, ESCROW.node, ESCROW.oracle, DEADLINE, 0),
        EscrowTerms(ESCROW.commitment, ESCROW.requester, A, ESCROW.oracle, DEADLINE, 0),
        EscrowTerms(ESCROW.commitment, ESCROW.requester, ESCROW.node, A, DEADLINE, 0),
        EscrowTerms(
            ESCROW.commitment, ESCROW.requester, ESCROW.node, ESCROW.oracle, DEADLINE + 1, 0
        ),
        EscrowTerms(ESCROW.commitment, ESCROW.requester, ESCROW.node, ESCROW.oracle, DEADLINE, 1),
    ]
    assert len({terms.address.raw for terms in [*changes, ESCROW]}) == len(changes) + 1


def test_the_address_never_changes_between_releases() -> None:
    """Money waits there: another encoding of the same terms would lose it."""
    assert str(ESCROW.address) == "addr_test1wp4hh00u9v7h89pn2c22e6nkpgnx6qzumc3609caxh7tfrcnnrjpm"
    assert len(ESCROW.script) == 184
    assert parse_address(ESCROW.address.bech32).payment_hash == ESCROW.script_hash
    assert ESCROW.address.payment_is_script
    assert ESCROW.address.stake is None


def test_a_commitment_is_a_hash_of_its_own_domain() -> None:
    assert commitment_for(JOB) == ESCROW.commitment
    assert commitment_for(JOB) != commitment_for(b"k" * 32)
    assert len(commitment_for(JOB)) == 28


@pytest.mark.parametrize(
    "parties", [(A, A, C), (A, B, A), (A, B, B), (A, A, A), (A, B, b"c" * 27), (b"", B, C)]
)
def test_parties_must_be_three_different_keys(parties: tuple[bytes, bytes, bytes]) -> None:
    """With one key in two places, that key alone would be two of three."""
    with pytest.raises(VerificationError) as caught:
        EscrowTerms(ESCROW.commitment, *parties, DEADLINE, 0)
    assert caught.value.code == "bad_escrow_terms"


@pytest.mark.parametrize("deadline", [-1, 2**63])
def test_the_deadline_is_a_slot(deadline: int) -> None:
    with pytest.raises(VerificationError):
        EscrowTerms(ESCROW.commitment, A, B, C, deadline, 0)


@pytest.mark.parametrize(
    ("script", "signers", "valid_from", "ttl", "passes"),
    [
        (all_of(), NOBODY, None, None, True),
        (any_of(), NOBODY, None, None, False),
        (at_least(0), NOBODY, None, None, True),
        (at_least(-1), NOBODY, None, None, True),
        (at_least(1), NOBODY, None, None, False),
        (at_least(2, signature(A), signature(B), signature(C)), {A, C}, None, None, True),
        (at_least(2, signature(A), signature(B), signature(C)), {C}, None, None, False),
        (after_slot(5), NOBODY, None, None, False),
        (after_slot(5), NOBODY, 4, None, False),
        (after_slot(5), NOBODY, 5, None, True),
        (before_slot(5), NOBODY, None, None, False),
        (before_slot(5), NOBODY, None, 5, True),
        (before_slot(5), NOBODY, None, 6, False),
        (all_of(signature(A), before_slot(5)), {A}, 0, 5, True),
    ],
)
def test_scripts_hold_as_in_the_ledger(
    script: bytes, signers: set[bytes], valid_from: int | None, ttl: int | None, passes: bool
) -> None:
    assert evaluate(script, frozenset(signers), valid_from, ttl) is passes


def test_a_script_names_its_keys() -> None:
    assert read_script(ESCROW.script).key_hashes() == {
        ESCROW.commitment,
        REQUESTER.key_hash,
        NODE.key_hash,
        ORACLE.key_hash,
    }


def test_a_script_hash_covers_the_original_bytes() -> None:
    indefinite = b"\x9f\x00\x58\x1c" + A + b"\xff"
    assert evaluate(indefinite, frozenset([A]), None, None)
    assert script_hash(indefinite) != script_hash(signature(A))


@pytest.mark.parametrize(
    "node",
    [
        0,
        [],
        [0],
        [6, 1],
        [0, b"short"],
        [0, A, A],
        [False, A],
        [1, signature(A)],
        [1, [5]],
        [3, True, []],
        [3, [], 2],
        [3, 1],
        [3, 2**63, []],
        [3, -(2**63) - 1, []],
        [4, -1],
        [4, True],
        [5, b"5"],
        [[0], A],
        {0: A},
    ],
)
def test_other_shapes_are_malformed(node: object) -> None:
    with pytest.raises(MalformedError):
        read_script(encode(node))


def test_nesting_is_limited() -> None:
    script = signature(A)
    for _ in range(MAX_SCRIPT_DEPTH):
        script = all_of(script)
    assert evaluate(script, frozenset([A]), None, None)
    with pytest.raises(MalformedError):
        read_script(all_of(script))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(ESCROW.script) * 8 - 1), st.binary(max_size=4))
def test_a_mutated_script_is_read_or_malformed(bit: int, tail: bytes) -> None:
    mutated = bytearray(ESCROW.script + tail)
    mutated[bit // 8] ^= 1 << bit % 8
    assert refusal_of(evaluate, bytes(mutated), NOBODY, None, None) in (None, "malformed")


@pytest.mark.parametrize("length", [0, 27, 29, 32])
def test_a_script_names_keys_by_hashes_of_28_bytes(length: int) -> None:
    with pytest.raises(MalformedError):
        signature(bytes(length))
