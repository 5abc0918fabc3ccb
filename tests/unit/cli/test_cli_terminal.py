"""`nunet onboard` at a real terminal: it shows the machine, asks, and writes what was answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_world import Terminal

from nunet_dms import config
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.fingerprint import WSL
from nunet_dms.machine.memory import read_memory
from nunet_dms.machine.requirements import Figures, Profile, judge
from nunet_dms.machine.virtualization import read_virtualization
from nunet_dms.paths import resolve

FAST_ENOUGH_MHZ = 4000


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
