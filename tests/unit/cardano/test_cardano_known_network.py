"""No Oracle talks anybody into another network or another token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.cardano.known_network import known_network
from nunet_dms.cardano.network import MAINNET, PREPROD, Network, TokenChoice
from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import VerificationError
from nunet_dms.protocol.api import OracleInfo

INFO = OracleInfo(
    version="1",
    network="devnet",
    network_magic=424242,
    network_id=0,
    token_policy="00" * 28,
    token_name=b"mNTX".hex(),
    token_decimals=6,
    ticket_key="11" * 32,
    escrow_key_hash="22" * 28,
)
OTHER = AssetId(bytes([7]) * 28, b"other")


def info_of(network: Network, asset: AssetId, decimals: int) -> OracleInfo:
    """What an Oracle of that network says, with that token."""
    return replace(
        INFO,
        network=network.name,
        network_magic=network.magic,
        network_id=network.network_id,
        token_policy=asset.policy.hex(),
        token_name=asset.name.hex(),
        token_decimals=decimals,
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"network": "elsewhere"}, "wrong_network"),
        ({"network": "preprod"}, "wrong_network"),
        ({"network_id": 1}, "wrong_network"),
        ({"network": "preprod", "network_magic": 1}, "wrong_token"),
        ({"token_name": "00"}, "wrong_token"),
        ({"token_decimals": 0}, "wrong_token"),
    ],
)
def test_an_oracle_may_not_choose_network_or_token(changes: dict[str, object], code: str) -> None:
    with pytest.raises(VerificationError) as caught:
        known_network(replace(INFO, **changes))
    assert caught.value.code == code


@pytest.mark.parametrize("network", [PREPROD, MAINNET])
def test_the_token_of_a_real_network_is_its_profile_s(network: Network) -> None:
    decimals = network.token_decimals
    assert known_network(info_of(network, network.asset, decimals)) == network
    for asset in (
        OTHER,
        replace(network.asset, policy=OTHER.policy),
        replace(network.asset, name=b"NTXX"),
    ):
        with pytest.raises(VerificationError, match="is not what") as caught:
            known_network(info_of(network, asset, decimals))
        assert "config.toml" in caught.value.hint
    with pytest.raises(VerificationError, match="decimals"):
        known_network(info_of(network, network.asset, decimals + 1))


def test_the_development_ledger_s_policy_is_taken_from_the_oracle_unless_we_name_one() -> None:
    assert known_network(INFO).token_policy == bytes(28)
    ours = TokenChoice(policy=OTHER.policy)
    with pytest.raises(VerificationError) as caught:
        known_network(INFO, ours)
    assert caught.value.code == "wrong_token"


def test_our_own_settings_name_another_token_and_then_no_other_will_do() -> None:
    ours = TokenChoice(policy=OTHER.policy, name=OTHER.name, decimals=3)
    found = known_network(info_of(PREPROD, OTHER, 3), ours)
    assert (found.asset, found.token_decimals) == (OTHER, 3)
    with pytest.raises(VerificationError) as caught:
        known_network(info_of(PREPROD, PREPROD.asset, PREPROD.token_decimals), ours)
    assert caught.value.code == "wrong_token"
