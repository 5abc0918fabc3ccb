"""Settings by name: found, read from what a person types, set, compared."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms import config, config_keys
from nunet_dms.config import CapacityConfig, Config, WalletConfig
from nunet_dms.config_keys import KEYS, Change
from nunet_dms.errors import UsageError

SETTINGS = Config(
    wallet=WalletConfig(address="addr_test1" + "q" * 50),
    capacity=CapacityConfig(cpu_mhz=4000, ram_mb=2000, core_mhz=2500),
)
CPU, ON_BATTERY, HOURS = (
    KEYS[name] for name in ("capacity.cpu_mhz", "availability.on_battery", "availability.hours")
)


def test_every_field_of_every_section_has_its_key_in_the_order_of_the_file() -> None:
    assert list(KEYS) == [
        f"{section}.{field.name}"
        for section, kind in config.SECTIONS.items()
        for field in dataclasses.fields(kind)
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cpu_mhz", "did you mean capacity.cpu_mhz?"),
        ("capacity.cpu_mzh", "did you mean capacity.cpu_mhz?"),
        ("capacity.cpu", "did you mean capacity.cpu_mhz?"),
        ("xyzzy", "to see every key: nunet config show"),
    ],
)
def test_an_unknown_key_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"cannot find the key '{name}'") as caught:
        config_keys.find(name)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("capacity.cpu_mhz", "5000", 5000),
        ("price.per_ghz_hour", "-5", -5),  # its bound is for the check of the whole
        ("availability.on_battery", "true", True),
        ("availability.on_battery", "false", False),
        ("availability.hours", "never", "never"),
        ("oracle.ticket_key", "", ""),
        ("oracle.ticket_key", "12", "12"),
    ],
)
def test_text_is_read_by_the_type_of_its_key(name: str, text: str, value: object) -> None:
    found = config_keys.read_value(KEYS[name], text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        *(("capacity.cpu_mhz", text, "a whole number") for text in ("", "4e3", "4.0", "0x1", "٣")),
        *(("capacity.cpu_mhz", text, "a whole number") for text in ("1_000", "--5", " 5", "true")),
        *(("availability.on_battery", text, "true or false") for text in ("True", "1", "yes", "")),
    ],
)
def test_text_of_another_type_is_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=rf"cannot set {name} to .*: it must be {why}"):
        config_keys.read_value(KEYS[name], text)


def test_a_number_of_any_length_is_out_of_bounds_and_no_crash() -> None:
    number = config_keys.read_value(CPU, "9" * 10_000)
    with pytest.raises(UsageError, match="cpu_mhz must be from 1 to"):
        config.check(config_keys.with_values(SETTINGS, {CPU: number}))


def test_values_of_several_sections_are_set_at_once_and_the_rest_stays() -> None:
    after = config_keys.with_values(SETTINGS, {CPU: 5000, ON_BATTERY: True})
    assert (after.capacity.cpu_mhz, after.availability.on_battery) == (5000, True)
    assert after.capacity.ram_mb == SETTINGS.capacity.ram_mb
    assert config_keys.changes(SETTINGS, after) == (
        Change(CPU, 5000, 4000),
        Change(ON_BATTERY, True, False),
    )


@given(st.integers(1, 10**7), st.booleans())
def test_nothing_differs_after_a_change_and_its_opposite(cpu_mhz: int, on_battery: bool) -> None:
    changed = config_keys.with_values(SETTINGS, {CPU: cpu_mhz, ON_BATTERY: on_battery})
    back = {each.key: each.was for each in config_keys.changes(SETTINGS, changed)}
    assert config_keys.with_values(changed, back) == SETTINGS  # type: ignore[arg-type]


def test_the_first_time_everything_is_new() -> None:
    first = config_keys.changes(None, SETTINGS)
    assert [each.key for each in first] == list(KEYS.values())
    assert str(first[1]) == 'oracle.ticket_key = ""'


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change(CPU, 5000, 4000), "capacity.cpu_mhz = 5000 (was 4000)"),
        (Change(ON_BATTERY, True, False), "availability.on_battery = true (was false)"),
        (Change(HOURS, "never", ""), 'availability.hours = never (was "")'),
    ],
)
def test_a_change_in_words(change: Change, text: str) -> None:
    assert str(change) == text
