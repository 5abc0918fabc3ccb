"""Fingerprints of tokens: CIP-14's own vectors, and those of the tokens that we know."""

from __future__ import annotations

import pytest

from nunet_dms.cardano.fingerprint import asset_fingerprint
from nunet_dms.cardano.network import MAINNET, PREPROD
from nunet_dms.cardano.value import AssetId

POLICY = "7eae28af2208be856f7a119668ae52a49b73725e326dc16579dcc373"
OTHER = "1e349c9bdea19fd6c147626a5260bc44b71635f398b67c59881df209"

CIP_14 = (
    (POLICY, "", "asset1rjklcrnsdzqp65wjgrg55sy9723kw09mlgvlc3"),
    (POLICY[:-1] + "e", "", "asset1nl0puwxmhas8fawxp8nx4e2q3wekg969n2auw3"),
    (OTHER, "", "asset1uyuxku60yqe57nusqzjx38aan3f2wq6s93f6ea"),
    (POLICY, "504154415445", "asset13n25uv0yaf5kus35fm2k86cqy60z58d9xmde92"),
    (OTHER, "504154415445", "asset1hv4p5tv2a837mzqrst04d0dcptdjmluqvdx9k3"),
    (OTHER, POLICY, "asset1aqrdypg669jgazruv5ah07nuyqe0wxjhe2el6f"),
    (POLICY, OTHER, "asset17jd78wukhtrnmjh3fngzasxm8rck0l2r4hhyyt"),
    (POLICY, "00" * 32, "asset1pkpwyknlvul7az0xx8czhl60pyel45rpje4z8w"),
)
TNTX = AssetId(bytes.fromhex("84be37380867957f86042ab6e2d5e862c94d31af1f4438a437f61950"), b"tNTX")


@pytest.mark.parametrize(("policy", "name", "fingerprint"), CIP_14)
def test_the_cip_s_vectors_hold(policy: str, name: str, fingerprint: str) -> None:
    asset = AssetId(bytes.fromhex(policy), bytes.fromhex(name))
    assert asset_fingerprint(asset) == fingerprint


def test_our_tokens_have_the_fingerprints_that_explorers_show() -> None:
    assert asset_fingerprint(MAINNET.asset) == "asset19yuner2nz27pq9pjdta50xwfyd0d2nry2l6lvu"
    assert asset_fingerprint(PREPROD.asset) == "asset1smsxm5tqps8lguepkc0568l9t6r2mcan72090a"
    assert asset_fingerprint(TNTX) == "asset1uc4kgmk7urc20c8nhrvwmkngkp6u8jrvt3vxsl"
