"""The settings file between steps: what changes it, what is refused, and how often it is read."""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path

import pytest

from nunet_dms import config
from nunet_dms.cardano.address import script_address
from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.config import CapacityConfig, Config, OracleConfig, PriceConfig, WalletConfig
from nunet_dms.node import settings
from nunet_dms.node.journal import Journal
from nunet_dms.node.settings import SettingsWatch
from nunet_dms.protocol import strict
from tests.unit.node.conftest import World

WALLET = PaymentKey.from_seed(bytes(32))
SETTINGS = Config(
    wallet=WalletConfig(address=WALLET.address(0).bech32),
    capacity=CapacityConfig(cpu_mhz=4000, ram_mb=2000, core_mhz=2500),
)
DEARER = dataclasses.replace(SETTINGS, price=PriceConfig(per_ghz_hour=7))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The settings by which the worker runs."""
    path = tmp_path / "config.toml"
    config.save(path, SETTINGS)
    return path


@pytest.fixture
def watch(file: Path) -> SettingsWatch:
    """A watch that has read the file once."""
    watch = SettingsWatch(file, SETTINGS, file.with_name("journal.db"))
    assert looks(watch) == [False, False]
    return watch


def looks(watch: SettingsWatch) -> list[bool]:
    """Look twice: a change is read when it has been seen twice alike."""
    return [watch.look(), watch.look()]


def test_a_file_that_stays_is_read_once(
    watch: SettingsWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: Path) -> str:
        raise AssertionError("read again")

    monkeypatch.setattr(settings, "read_text", read)
    assert looks(watch) == [False, False]
    assert not watch.is_unsettled


def test_another_value_is_a_change_with_the_text_to_start_again_by(
    watch: SettingsWatch, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config.save(file, DEARER)
    assert looks(watch) == [False, True]
    assert config.loads(watch.changed_text, "") == DEARER
    assert caplog.messages == ["settings_changed keys=price.per_ghz_hour"]


def test_a_change_between_the_start_and_the_first_look_is_seen(file: Path) -> None:
    watch = SettingsWatch(file, DEARER, file.with_name("journal.db"))
    assert watch.look() is False
    assert watch.is_unsettled
    assert watch.look() is True


def test_a_file_is_read_only_when_it_has_come_to_rest(watch: SettingsWatch, file: Path) -> None:
    for n in range(3):
        file.write_text(f"[oracle]\n# piece {n}")
        assert watch.look() is False
        assert (watch.is_unsettled, watch.problem) == (True, "")
    config.save(file, DEARER)
    assert looks(watch) == [False, True]


@pytest.mark.parametrize(
    "text", ["# only a comment\n{}", "{}\n\n[price]\nper_ghz_hour = 1000000\n"]
)
def test_the_same_values_in_other_words_are_no_change(
    watch: SettingsWatch, file: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shorter = file.read_text().partition("[price]")[0]
    file.write_text(text.format(shorter))
    assert looks(watch) == [False, False]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("cpu_mhz = 4000", "cpu_mhz = 0", "[capacity] cpu_mhz must be from 1"),
        ("[wallet]", "[wallet", "it is not TOML"),
        ("http://127.0.0.1:9980", "http://far.example", "it must be https, or http to this"),
        (
            SETTINGS.wallet.address,
            SETTINGS.wallet.address[:-1] + "q",
            "cannot read the address: the checksum is wrong",
        ),
        (
            SETTINGS.wallet.address,
            script_address(bytes(28), 0).bech32,
            "cannot pay to a script's address",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_once_and_the_old_settings_stay(
    watch: SettingsWatch, file: Path, caplog: pytest.LogCaptureFixture, old: str, new: str, why: str
) -> None:
    file.write_text(file.read_text().replace(old, new))
    assert looks(watch) + looks(watch) == [False] * 4
    assert why in watch.problem
    assert caplog.messages == [f"settings_refused: {watch.problem}"]


def test_a_wallet_of_another_network_than_the_pinned_oracle_s_is_refused(
    watch: SettingsWatch, file: Path, world: World
) -> None:
    with Journal(file.with_name("journal.db"), lambda: 0) as journal:
        journal.pin_oracle(SETTINGS.oracle.url, strict.encode(world.info))
    mainnet = dataclasses.replace(SETTINGS, wallet=WalletConfig(address=WALLET.address(1).bech32))
    config.save(file, mainnet)
    assert looks(watch) == [False, False]
    assert "another Cardano network" in watch.problem
    elsewhere = OracleConfig(url="https://oracle.example")  # which may be of that network
    config.save(file, dataclasses.replace(mainnet, oracle=elsewhere))
    assert looks(watch) == [False, True]


def test_every_problem_is_named(watch: SettingsWatch, file: Path) -> None:
    file.write_text("[capacity]\ncpu_mhz = 0\n")
    looks(watch)
    assert "[wallet] address is missing; [capacity] cpu_mhz must be from 1" in watch.problem


def test_a_problem_is_gone_when_the_file_is_mended(watch: SettingsWatch, file: Path) -> None:
    good = file.read_text()
    file.write_text("[wallet")
    looks(watch)
    file.write_text(good)
    assert looks(watch) == [False, False]
    assert watch.problem == ""


def test_a_mended_file_may_be_a_change(watch: SettingsWatch, file: Path) -> None:
    good = file.read_text()
    file.write_text("[wallet")
    looks(watch)
    file.write_text(good.replace("cpu_mhz = 4000", "cpu_mhz = 5000"))
    assert looks(watch) == [False, True]


def test_a_file_that_is_gone_is_a_problem_until_it_is_back(
    watch: SettingsWatch, file: Path
) -> None:
    text = file.read_text()
    file.unlink()
    assert looks(watch) == [False, False]
    assert watch.problem == "this machine is not onboarded"
    file.write_text(text)
    looks(watch)
    assert watch.problem == ""


def test_a_file_of_the_same_size_and_time_is_another_by_its_inode(
    watch: SettingsWatch, file: Path
) -> None:
    known = file.stat()
    beside = file.with_name("beside")
    beside.write_text(file.read_text().replace("4000", "5000"))
    os.utime(beside, ns=(known.st_atime_ns, known.st_mtime_ns))
    beside.replace(file)
    assert file.stat().st_size == known.st_size
    assert looks(watch) == [False, True]
