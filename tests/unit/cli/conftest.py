"""The `nunet` command in this process, with a home of its own and a journal to look at."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_world import ADDRESS, ADMITTED_MS, Said

from nunet_dms import config
from nunet_dms.cli.main import main
from nunet_dms.config import CapacityConfig, Config, WalletConfig
from nunet_dms.node.journal import Journal
from nunet_dms.node.lock import WorkerLock
from nunet_dms.paths import Paths, resolve


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """A home of its own; times are shown in UTC."""
    monkeypatch.setenv("NUNET_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NUNET_ORACLE", raising=False)
    monkeypatch.delenv("NUNET_SCOPE", raising=False)
    time.tzset()
    yield resolve()
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def nunet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run `nunet` with these words."""

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["nunet", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def onboarded(home: Paths) -> Paths:
    """A home with settings."""
    capacity = CapacityConfig(cpu_mhz=4000, ram_mb=2000, core_mhz=2500)
    config.save(home.config_file, Config(wallet=WalletConfig(address=ADDRESS), capacity=capacity))
    return home


@pytest.fixture
def journal(onboarded: Paths) -> Iterator[Journal]:
    """The journal of that home, at a fixed time."""
    journal = Journal(onboarded.journal, lambda: ADMITTED_MS)
    yield journal
    journal.close()


@pytest.fixture
def full_disk(onboarded: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once onboarded, what this process writes as a whole file finds no room."""

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.fixture
def lock(onboarded: Paths) -> Iterator[WorkerLock]:
    """This process holds the worker's lock."""
    lock = WorkerLock(onboarded.lock_file)
    yield lock
    lock.release()
