"""Where things live, in each scope."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nunet_dms import paths
from nunet_dms.errors import UsageError
from nunet_dms.paths import Paths, Scope, resolve


def test_nunet_home_puts_everything_below_one_folder(tmp_path: Path) -> None:
    assert resolve(environ={"NUNET_HOME": str(tmp_path)}) == Paths(
        tmp_path, tmp_path / "state", tmp_path / "run"
    )


def test_nunet_home_wins_over_a_scope(tmp_path: Path) -> None:
    found = resolve(Scope.SYSTEM, {"NUNET_HOME": str(tmp_path), "NUNET_SCOPE": "user"})
    assert found.config_dir == tmp_path


def test_a_relative_nunet_home_is_made_absolute_at_once() -> None:
    assert resolve(environ={"NUNET_HOME": "here"}).config_dir == Path.cwd() / "here"


def test_system_scope_has_the_places_that_the_package_owns() -> None:
    found = resolve(Scope.SYSTEM, {})
    assert str(found.config_file) == "/etc/nunet-dms/config.toml"
    assert str(found.journal) == "/var/lib/nunet-dms/journal.db"
    assert str(found.lock_file) == "/run/nunet-dms/worker.lock"


def test_user_scope_keeps_the_lock_with_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cron has no XDG_RUNTIME_DIR: it must look for the lock where the terminal did."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "r"))
    with_session = resolve(Scope.USER, {})
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert resolve(Scope.USER, {}) == with_session
    assert with_session.config_file == tmp_path / "c/nunet-dms/config.toml"
    assert with_session.lock_file == tmp_path / "s/nunet-dms/run/worker.lock"


@pytest.mark.parametrize(("uid", "is_system"), [(0, True), (1000, False)])
def test_root_means_the_system(uid: int, is_system: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert (resolve(environ={}).config_dir == Path("/etc/nunet-dms")) is is_system


@pytest.mark.parametrize(("name", "is_system"), [("system", True), ("user", False)])
def test_the_scope_variable_wins_over_who_we_are(name: str, is_system: bool) -> None:
    found = resolve(environ={paths.SCOPE_VARIABLE: name})
    assert (found.config_dir == Path("/etc/nunet-dms")) is is_system


def test_an_unknown_scope_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"NUNET_SCOPE='everybody'.*system or user"):
        resolve(environ={"NUNET_SCOPE": "everybody"})


def test_every_place_lies_in_one_of_the_three_folders(tmp_path: Path) -> None:
    where = Paths(tmp_path / "c", tmp_path / "s", tmp_path / "r")
    places = {
        name: str(getattr(where, name).relative_to(tmp_path))
        for name, kind in vars(Paths).items()
        if isinstance(kind, property)
    }
    assert places == {
        "config_file": "c/config.toml",
        "journal": "s/journal.db",
        "keys_dir": "s/keys",
        "identity_key": "s/keys/identity.key",
        "settlement_key": "s/keys/settlement.skey",
        "wallets_dir": "s/wallets",
        "jobs_dir": "s/jobs",
        "lock_file": "r/worker.lock",
        "worker_log": "s/worker.log",
        "cancel_dir": "s/cancel",
        "pause_file": "s/pause.json",
        "speed_file": "s/speed.json",
        "oracle_dir": "s/oracle",
        "receipts_dir": "s/receipts",
    }
