"""Whether the network and the token that an Oracle names are those that we know.

Nodes and requesters ask here: an Oracle may lie about everything, and a token of its own making
would have our money's name and none of its worth.
"""

from __future__ import annotations

from dataclasses import replace

from nunet_dms.cardano.network import NETWORK_S_OWN, NETWORKS, Network, TokenChoice
from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import VerificationError
from nunet_dms.protocol.api import OracleInfo


def known_network(info: OracleInfo, choice: TokenChoice = NETWORK_S_OWN) -> Network:
    """Return the Oracle's network with its token; raises VerificationError if it is not ours.

    `choice` is our own settings' word about the token. Only a development network's policy may be
    of the Oracle's making, and that only where our settings name none.
    """
    ours = NETWORKS.get(info.network)
    if ours is None or (ours.magic, ours.network_id) != (info.network_magic, info.network_id):
        raise VerificationError(
            "wrong_network", f"cannot use this Oracle: its network {info.network!r:.40} is unknown"
        )
    ours = choice.of(ours)
    named = AssetId(bytes.fromhex(info.token_policy), bytes.fromhex(info.token_name))
    if (ours.token_policy or named.policy, ours.token_name) != (named.policy, named.name):
        raise VerificationError(
            "wrong_token",
            f"cannot use this Oracle: {named} is not what {ours.name} pays with",
            hint="another token has to be in your own settings: [token] in config.toml",
        )
    if ours.token_decimals != info.token_decimals:
        raise VerificationError(
            "wrong_token",
            f"cannot use this Oracle: it says that the token has {info.token_decimals} decimals, "
            f"it has {ours.token_decimals}",
            hint="if your settings are wrong, set [token] decimals in config.toml",
        )
    return replace(ours, token_policy=named.policy)
