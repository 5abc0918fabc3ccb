"""Values, networks, hashes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.cardano.hashes import blake2b_224, blake2b_256
from nunet_dms.cardano.network import DEVNET, MAINNET, NETWORKS, PREPROD, network_named
from nunet_dms.cardano.value import AssetId, Value, total
from nunet_dms.errors import ConfigError

A, B = AssetId(b"a" * 28, b"x"), AssetId(b"b" * 28, b"")
VALUES = st.builds(
    Value.of,
    st.integers(0, 2**63),
    st.dictionaries(st.sampled_from([A, B]), st.integers(0, 2**63)),
)


def test_assets_are_sorted_and_zeros_vanish() -> None:
    assert Value(5, ((B, 2), (A, 0))).assets == ((B, 2),)
    assert Value.of(5, {B: 2, A: 1}) == Value.of(5, {A: 1, B: 2})


@given(VALUES, VALUES)
def test_what_is_added_can_be_taken_away(left: Value, right: Value) -> None:
    assert left + right - right == left
    assert total((left, right)) == right + left
    assert (left + right).quantity(A) == left.quantity(A) + right.quantity(A)


def test_a_difference_may_be_negative_and_says_so() -> None:
    assert (Value.of(1, {A: 1}) - Value.of(1, {A: 2})).is_negative
    assert (Value(1) - Value(2)).is_negative
    assert not (Value.of(1, {A: 1}) - Value.of(1, {A: 1})).is_negative


def test_an_asset_is_written_with_a_dot() -> None:
    assert str(A) == "61" * 28 + ".78"


def test_hashes_are_blake2b_of_their_length() -> None:
    """The digest of nothing, as in the reference implementation of BLAKE2."""
    assert blake2b_256(b"").hex().startswith("0e5751c026e543b2e8ab2eb06099daa1")
    assert blake2b_224(b"").hex().startswith("836cc68931c2e4e3e838602eca1902591d216837bafddfe6")


def test_the_networks_are_those_of_the_tokens() -> None:
    assert [network.network_id for network in (DEVNET, PREPROD, MAINNET)] == [0, 0, 1]
    assert PREPROD.asset.name == b"mNTX"
    assert MAINNET.asset.name == b"NTX"
    assert len({network.magic for network in NETWORKS.values()}) == len(NETWORKS)
    assert network_named("preprod") is PREPROD


def test_unknown_networks_and_an_unset_policy_are_named() -> None:
    with pytest.raises(ConfigError, match="known are devnet, preprod, mainnet"):
        network_named("mainet")
    with pytest.raises(ConfigError, match="devnet"):
        _ = DEVNET.asset
