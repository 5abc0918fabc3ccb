"""config.toml: read strictly with every problem named, written without losing comments."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from nunet_dms import config
from nunet_dms.cardano.network import TokenChoice
from nunet_dms.config import (
    AvailabilityConfig,
    CapacityConfig,
    Config,
    OracleConfig,
    PriceConfig,
    WalletConfig,
)
from nunet_dms.config_file import CONFIG_MAX_BYTES, CONFIG_MODE
from nunet_dms.errors import ConfigError, NotOnboardedError, UsageError

ADDRESS = "addr_test1" + "q" * 50
SETTINGS = Config(
    wallet=WalletConfig(address=ADDRESS),
    capacity=CapacityConfig(cpu_mhz=4000, ram_mb=2000, core_mhz=2500),
)
GOOD = f"""
[wallet]
address = "{ADDRESS}"
[capacity]
cpu_mhz = 4000
ram_mb = 2000
core_mhz = 2500
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    config.save(path, SETTINGS)
    assert config.load(path) == SETTINGS


def test_true_and_false_are_written_and_read_as_such(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for on_battery in (True, False):
        availability = AvailabilityConfig(hours="mon-fri 18:00-08:00", on_battery=on_battery)
        wanted = dataclasses.replace(SETTINGS, availability=availability)
        config.save(path, wanted)
        assert config.load(path) == wanted
        assert f"\non_battery = {str(on_battery).lower()}\n" in path.read_text()


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    assert config.load(written(tmp_path, GOOD)) == SETTINGS


def test_no_file_means_not_onboarded_and_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(NotOnboardedError, match="not onboarded") as caught:
        config.load(tmp_path / "config.toml")
    assert caught.value.hint == "type: nunet onboard --cpu MHZ --ram MB"


def test_a_new_file_explains_every_key(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    config.save(path, SETTINGS)
    lines = path.read_text().splitlines()
    for kind in config.SECTIONS.values():
        for field in dataclasses.fields(kind):
            at = next(n for n, line in enumerate(lines) if line.startswith(f"{field.name} ="))
            assert lines[at - 1] == f"# {config.about(field).comment}"


def test_comments_order_and_foreign_layout_survive_a_change(tmp_path: Path) -> None:
    mine = GOOD.replace("ram_mb = 2000", "ram_mb = 2000   # not more: the database needs it")
    path = written(tmp_path, "# my machine\n" + mine)
    capacity = dataclasses.replace(SETTINGS.capacity, ram_mb=3000)
    config.save(path, dataclasses.replace(SETTINGS, capacity=capacity))
    text = path.read_text()
    assert text.startswith("# my machine\n")
    assert "ram_mb = 3000   # not more: the database needs it" in text
    assert config.load(path).capacity.ram_mb == 3000


OLDER = f"""\
# mine
[wallet]
address = "{ADDRESS}"

[capacity] # the big one
cpu_mhz = 4000
ram_mb = 2000 # not more

core_mhz = 2500 # measured

# what the neighbour takes
[price]
per_ghz_hour = 5
[oracle]"""
COMPLETED = f"""\
# mine
[wallet]
address = "{ADDRESS}"

[capacity] # the big one
cpu_mhz = 4000
ram_mb = 2000 # not more

core_mhz = 2500 # measured
# Disk for job folders, in MiB.
disk_mb = 10000

# what the neighbour takes
[price]
per_ghz_hour = 5
# For 1000 MiB during one hour.
per_ram_gb_hour = 250000
# For one GPU during one hour.
per_gpu_hour = 10000000
[oracle]
# Where the Oracle answers.
url = "http://127.0.0.1:9980"
# Its ticket key (hex). Empty: taken and kept at first contact.
ticket_key = ""

[availability] # When this machine takes new jobs; those that run go on in any case
# Hours of the week, in local time: always, never, or mon-fri 18:00-08:00, sat-sun.
hours = "always"
# Take no new jobs while other programs use more than this share of the CPU; 0: never.
pause_above_percent = 0
# Whether to take jobs while on battery.
on_battery = false

[token] # Another token than the network's own: then no Oracle may name any other
# Policy id of the token (hex). Empty: the network's own.
policy = ""
# Its name in hex, 6d4e5458 is mNTX. Empty: the network's own.
name = ""
# Its decimals. -1: the network's own.
decimals = -1
"""


def test_what_an_older_file_lacks_is_added_below_its_section_s_keys_and_explained(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, OLDER)
    config.save(path, config.load(path))
    assert path.read_text() == COMPLETED
    config.save(path, config.load(path))
    assert path.read_text() == COMPLETED


@pytest.mark.parametrize(
    "price",
    [
        "price = {per_ghz_hour = 5}",
        "price.per_ghz_hour = 5",
        '["price"]\nper_ghz_hour = 5',
        "[ price ]\nper_ghz_hour=5",
        "[price]",
    ],
)
def test_any_layout_of_toml_keeps_its_values_and_takes_new_ones(tmp_path: Path, price: str) -> None:
    path = written(tmp_path, f"{price}\n{GOOD}")
    wanted = dataclasses.replace(SETTINGS, price=PriceConfig(per_ghz_hour=7, per_gpu_hour=8))
    config.save(path, wanted)
    assert config.load(path) == wanted


def test_a_layout_that_cannot_be_changed_is_left_alone_and_said(tmp_path: Path) -> None:
    text = GOOD + 'note = """\n[price]\n"""\n[price]\n'
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=r"cannot change .*: its layout is not the usual one"):
        config.save(path, SETTINGS)
    assert path.read_text() == text


def test_a_saved_file_is_closed_to_others_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    config.save(path, SETTINGS)
    assert path.stat().st_mode & 0o777 == CONFIG_MODE
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "config.toml").symlink_to(tmp_path / "kept.toml")
    config.save(tmp_path / "config.toml", SETTINGS)
    assert (tmp_path / "config.toml").is_symlink()
    assert config.load(tmp_path / "kept.toml") == SETTINGS


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, GOOD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    price = PriceConfig(per_ghz_hour=7)
    with pytest.raises(ConfigError, match=r"cannot write .*: No space left"):
        config.save(path, dataclasses.replace(SETTINGS, price=price))
    assert path.read_text() == GOOD
    assert [each.name for each in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("cpu_mhz = 4000", "cpu_mhz = 0", "[capacity] cpu_mhz must be from 1 to 10000000, not 0"),
        ("cpu_mhz = 4000", "cpu_mhz = true", "[capacity] cpu_mhz must be a whole number, not True"),
        ("cpu_mhz = 4000", "cpu_mhz = 4e3", "cpu_mhz must be a whole number, not 4000.0"),
        ("cpu_mhz = 4000", 'cpu_mhz = "x"', "[capacity] cpu_mhz must be a whole number, not 'x'"),
        ("cpu_mhz = 4000", "", "[capacity] cpu_mhz is missing"),
        ("cpu_mhz", "cpu_mzh", "[capacity] cpu_mzh is unknown (did you mean cpu_mhz?)"),
        ("[capacity]", "[capasity]", "[capasity] is unknown (did you mean [capacity]?)"),
        (f'"{ADDRESS}"', '"0x00"', "[wallet] address must be a Cardano address, not '0x00'"),
        (f'"{ADDRESS}"', "7", "[wallet] address must be text in quotes, not 7"),
        (
            "[wallet]",
            '[oracle]\nurl = "ftp://x"\n[wallet]',
            "[oracle] url must be an http or https",
        ),
        ("[wallet]", '[oracle]\nticket_key = "ab"\n[wallet]', "ticket_key must be empty, or 32"),
        ("[wallet]", "price = 3\n[wallet]", "[price] must be a section"),
        ("[wallet]", "[price]\nper_ghz_hour = -1\n[wallet]", "[price] per_ghz_hour must be from 0"),
        (
            "[wallet]",
            "[availability]\non_battery = 1\n[wallet]",
            "[availability] on_battery must be true or false, not 1",
        ),
        (
            "[wallet]",
            "[availability]\npause_above_percent = true\n[wallet]",
            "[availability] pause_above_percent must be a whole number, not True",
        ),
        (
            "[wallet]",
            "[availability]\npause_above_percent = 101\n[wallet]",
            "[availability] pause_above_percent must be from 0 to 100, not 101",
        ),
        (
            "[wallet]",
            '[availability]\nhours = "moon 18:00-08:00"\n[wallet]',
            "[availability] hours is no schedule: 'moon' is no day",
        ),
    ],
)
def test_a_wrong_value_is_named_with_file_section_and_key(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert str(caught.value).startswith(f"cannot use {path}: ")
    assert problem in str(caught.value)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "x = 1\n[capacity]\ncpu_mhz = 0\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert str(caught.value).removeprefix(f"cannot use {path}: ").split("; ") == [
        "[x] is unknown",
        "[wallet] address is missing",
        "[capacity] cpu_mhz must be from 1 to 10000000, not 0",
        "[capacity] ram_mb is missing",
        "[capacity] core_mhz is missing",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[wallet\n", "it is not TOML"),
        (b"a = 1\na = 2\n", "it is not TOML"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"#" * (CONFIG_MAX_BYTES + 1), "it has over"),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        config.load(written(tmp_path, content))


def test_a_file_that_is_no_toml_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, "[wallet\n")
    with pytest.raises(ConfigError, match=r"cannot use .*: it is not TOML"):
        config.save(path, SETTINGS)
    assert path.read_text() == "[wallet\n"


def test_settings_that_could_not_be_read_again_are_not_written(tmp_path: Path) -> None:
    wrong = dataclasses.replace(SETTINGS, oracle=OracleConfig(ticket_key="xyz"))
    with pytest.raises(UsageError, match=r"\[oracle\] ticket_key must be empty, or 32 bytes"):
        config.save(tmp_path / "config.toml", wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_file_s_place_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        config.load(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('policy = "ab"', "[token] policy must be empty, or 28 bytes as lower-case hex"),
        ('name = "mNTX"', "[token] name must be empty, or up to 32 bytes as lower-case hex"),
        ("decimals = 20", "[token] decimals must be from -1 to 19, not 20"),
        ("decimal = 2", "[token] decimal is unknown (did you mean decimals?)"),
    ],
)
def test_a_wrong_token_is_named(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path, f"{GOOD}[token]\n{line}\n")
    for load in (config.load, config.load_token):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert why in str(caught.value)


def test_a_requester_s_file_need_hold_nothing_but_the_token(tmp_path: Path) -> None:
    assert config.load_token(tmp_path / "none.toml").choice == TokenChoice()
    assert config.load_token(written(tmp_path, GOOD)).choice == TokenChoice()
    text = f"[token]\npolicy = '{'ab' * 28}'\nname = '6d4e5458'\ndecimals = 0\n"
    found = config.load_token(written(tmp_path, text)).choice
    assert found == TokenChoice(policy=b"\xab" * 28, name=b"mNTX", decimals=0)
    assert config.load_oracle(tmp_path / "config.toml") == OracleConfig()
