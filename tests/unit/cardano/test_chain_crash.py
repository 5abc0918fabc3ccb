"""Killed at any moment, a ledger keeps what it acknowledged, and nothing appears or vanishes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import devnet_child
import pytest
from devnet_world import REQUESTER, assert_conserved

from nunet_dms.cardano.chain.devnet import Devnet

KILLS = 10
MOST_LINES = 40
LONGEST_WAIT_S = 0.02
"""Between the last line and the kill, so that it falls anywhere in what comes next."""


class Killed:
    """What one child said before it was killed."""

    def __init__(self, lines: list[str]) -> None:
        self.taken: list[bytes] = []
        self.blocks: dict[int, bytes] = {}
        for line in lines:
            self._hear(line.split())

    def _hear(self, words: list[str]) -> None:
        match words:
            case ["took", tx_id]:
                self.taken.append(bytes.fromhex(tx_id))
            case ["block", height, block_hash]:
                self.blocks[int(height)] = bytes.fromhex(block_hash)
            case ["going-back", height]:
                # Done or not when the kill came: blocks above may be gone.
                self.blocks = {
                    each: block_hash
                    for each, block_hash in self.blocks.items()
                    if each <= int(height)
                }
            case _:
                assert words[0] in {"open", "back"}


def run_and_kill(path: Path, seed: str) -> Killed:
    """Let a child use the ledger, kill it at a random moment, and return what it said."""
    rng = Random(seed)
    command = [sys.executable, devnet_child.__file__, str(path), seed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(rng.randint(1, MOST_LINES))]
        select.select([child.stdout], [], [], rng.random() * LONGEST_WAIT_S)
        assert child.poll() is None, "the child ended by itself"
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    # A line cut short was not acknowledged whole.
    return Killed([line.decode() for line in lines if line.endswith(b"\n")])


@pytest.mark.timeout(300)
def test_a_ledger_survives_every_kill(tmp_path: Path) -> None:
    seed = os.environ.get("CRASH_SEED", str(time.time_ns()))
    path = tmp_path / "devnet.db"
    taken: list[bytes] = []
    for number in range(KILLS):
        story = f"CRASH_SEED={seed}, kill {number}"
        said = run_and_kill(path, f"{seed}/{number}")
        taken += said.taken
        with Devnet(path, time.time) as ledger:
            ledger.verify()
            assert_conserved(path)
            assert ledger.tip().height >= max(said.blocks, default=0), story
            while ledger.tick():
                pass
            lost = [tx_id.hex() for tx_id in taken if ledger.transaction(tx_id) is None]
            assert not lost, story
            hashes = {
                found.height: found.block_hash for found in map(ledger.transaction, taken) if found
            }
            for height, block_hash in said.blocks.items():
                assert hashes.get(height, block_hash) == block_hash, story
            ledger.verify()
    with Devnet(path, time.time) as ledger:
        assert ledger.totals()[0].quantity(devnet_child.COIN) >= 0
        assert ledger.unspent_outputs(REQUESTER.address(0)), "the children did nothing"
    assert len(taken) >= KILLS
