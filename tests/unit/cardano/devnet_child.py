"""A process that uses a ledger without end and says what was acknowledged; it is to be killed.

    devnet_child.py LEDGER SEED

Each line is said when a call has returned: `took ID`, `block HEIGHT HASH`, `back HEIGHT`. Before
a rollback it says `going-back HEIGHT`, since that may undo blocks it has told of.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from devnet_world import ADA, PROVIDER, REQUESTER

from nunet_dms.cardano import script
from nunet_dms.cardano.builder import build_transfer, new_output, sign
from nunet_dms.cardano.chain.devnet import Devnet
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import CapacityError, RefusedError

POLICY = script.signature(REQUESTER.key_hash)
COIN = AssetId(script.script_hash(POLICY), b"coin")


def say(*words: object) -> None:
    """Tell the parent, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def pay(ledger: Devnet, rng: Random) -> None:
    """Pay somebody, and mint or burn a few coins on the way."""
    utxos = ledger.unspent_outputs(REQUESTER.address(0))[:20]
    held = sum(utxo.output.value.quantity(COIN) for utxo in utxos)
    coins = rng.choice((0, 5, -min(held, 3)))
    built = build_transfer(
        utxos,
        (new_output(PROVIDER.address(0), Value(rng.randint(1, 3) * ADA)),),
        REQUESTER.address(0),
        mint=((COIN, coins),) if coins else (),
        scripts=(POLICY,) if coins else (),
    )
    say("took", ledger.submit(sign(built.raw, REQUESTER)).hex())


def go_back(ledger: Devnet, rng: Random) -> None:
    """Undo a few blocks; what they held waits again."""
    height = max(0, ledger.tip().height - rng.randint(1, 3))
    say("going-back", height)
    say("back", ledger.rollback(height).height)


def step(ledger: Devnet, rng: Random) -> None:
    """Do one thing."""
    chance = rng.random()
    if chance < 0.3:
        say("took", ledger.faucet(REQUESTER.address(0), 5 * ADA, rng.randint(0, 9)).hex())
    elif chance < 0.65:
        with suppress(RefusedError, CapacityError):
            pay(ledger, rng)
    elif chance < 0.95:
        tip = ledger.tick()
        if tip:
            say("block", tip.height, tip.block_hash.hex())
    else:
        go_back(ledger, rng)


def main() -> None:
    """Go on until killed."""
    rng = Random(sys.argv[2])
    ledger = Devnet(Path(sys.argv[1]), time.time)
    say("open")
    while True:
        step(ledger, rng)


if __name__ == "__main__":
    main()
