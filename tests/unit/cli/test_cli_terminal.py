"""`nunet onboard` at a real terminal: it shows the machine, asks, and writes what was answered."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from nunet_dms import config
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.fingerprint import WSL
from nunet_dms.machine.memory import read_memory
from nunet_dms.machine.requirements import Figures, Profile, judge
from nunet_dms.machine.virtualization import read_virtualization
from nunet_dms.paths import resolve

NUNET = Path(sys.prefix, "bin", "nunet")
ANSWER_MAX_S = 60
FAST_ENOUGH_MHZ = 4000
CLOSED_PORT = "http://127.0.0.1:1"


class Terminal:
    """A pseudo-terminal with `nunet` in it."""

    def __init__(self, home: Path, *words: str) -> None:
        self.said = ""
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [NUNET, *words],
            env={**os.environ, "NUNET_HOME": str(home), "NUNET_ORACLE": CLOSED_PORT},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt and type an answer."""
        seen = len(self.said)
        while prompt not in self.said[seen:]:
            assert self._read(), f"no {prompt!r} in {self.said!r}"
        os.write(self._ours, f"{text}\n".encode())

    def ended(self) -> int:
        """Return the exit code once it has ended."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(ANSWER_MAX_S)

    def _read(self) -> bool:
        assert select.select([self._ours], [], [], ANSWER_MAX_S)[0], self.said
        try:
            part = os.read(self._ours, 4096)
        except OSError:  # EIO: nobody holds the other end any more
            return False
        self.said += part.decode()
        return bool(part)


@pytest.fixture(autouse=True)
def large_enough(tmp_path: Path) -> None:
    """Skip where this very machine, which is onboarded here, is below the minimum."""
    figures = Figures(
        total_mhz=FAST_ENOUGH_MHZ,
        ram_mb=read_memory().total_mb,
        disk_free_mb=read_disk(tmp_path).free_mb,
        down_kbps=None,
        is_wsl=read_virtualization().kind in WSL,
    )
    if refusals := judge(figures, Profile.CPU).refusals:
        pytest.skip(f"this machine cannot be onboarded: {'; '.join(refusals)}")


@pytest.fixture
def rate() -> tuple[str, ...]:
    """The option that makes this machine fast enough, whatever its kernel says."""
    return ("--core-mhz", str(-(-FAST_ENOUGH_MHZ // read_cpu().cores)))


def test_an_answer_is_offered_and_an_empty_one_is_half(
    tmp_path: Path, rate: tuple[str, ...]
) -> None:
    at = Terminal(tmp_path / "home", "onboard", "--no-start", *rate)
    at.answer("MHz of CPU to offer", "9999999")
    at.answer("MHz of CPU to offer", "1000")
    at.answer("MB of RAM to offer", "")
    at.answer("Cardano address", "")
    at.answer("Write this? [y/N]", "y")
    assert at.ended() == 0, at.said
    assert "9999999 is not from" in at.said
    settings = config.load(resolve(environ={"NUNET_HOME": str(tmp_path / "home")}).config_file)
    assert settings.capacity.cpu_mhz == 1000
    assert settings.capacity.ram_mb == (read_memory().total_mb or 0) // 2


def test_no_leaves_nothing_behind(tmp_path: Path, rate: tuple[str, ...]) -> None:
    at = Terminal(tmp_path / "home", "onboard", "--no-start", "--cpu", "1000", *rate)
    at.answer("MB of RAM to offer", "")
    at.answer("Cardano address", "")
    at.answer("Write this? [y/N]", "n")
    assert at.ended() == 2
    assert "nothing was changed" in at.said
    assert not (tmp_path / "home").exists()
