"""The provider's settings, `config.toml`: read strictly, written without losing comments."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

from nunet_dms.cardano.network import TokenChoice
from nunet_dms.config_file import (
    MEND,
    Line,
    Section,
    Value,
    not_onboarded,
    read_text,
    read_tree,
    write_sections,
)
from nunet_dms.errors import ConfigError, NotOnboardedError, UsageError
from nunet_dms.protocol.bounds import AddressText, CpuMhz, DiskMb, Length, Pattern, RamMb, Range
from nunet_dms.schedule import ALWAYS, parse

DEFAULT_ORACLE_URL = "http://127.0.0.1:9980"
"""Where `nunet oracle serve` listens."""
DEFAULT_DISK_MB = 10_000
"""Disk for jobs, in MiB: images come on top."""
CORE_MHZ_MAX = 100_000
"""Of one core; ten times what the fastest ever reached."""
PRICE_MAX = 10**12
"""Base units; the bound of protocol.quote.PriceList."""

KINDS: Mapping[str, tuple[type[Value], str]] = {
    "int": (int, "a whole number"),
    "str": (str, "text in quotes"),
    "bool": (bool, "true or false"),
}
"""The types of values, and what errors call them."""

_ORACLE_URL = Pattern(r"https?://[^\s/?#@]{1,255}(/[^\s?#]{0,200})?", "an http or https address")
_POLICY = Pattern(r"([0-9a-f]{56})?", "empty, or 28 bytes as lower-case hex")
_TOKEN_NAME = Pattern(r"([0-9a-f]{2}){0,32}", "empty, or up to 32 bytes as lower-case hex")
_TICKET_KEY = Pattern(r"([0-9a-f]{64})?", "empty, or 32 bytes as lower-case hex")


@dataclass(frozen=True, slots=True)
class ScheduleText:
    """A text that `schedule.parse` can read."""

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, or None."""
        try:
            parse(str(value))
        except UsageError as error:
            return f"is no schedule: {str(error).removeprefix('cannot read the schedule: ')}"
        return None


Bound = Range | Length | Pattern | ScheduleText


class About(NamedTuple):
    """What stands in no value: the bound, if any value of its type will not do, and the comment."""

    bound: Bound | None
    comment: str


def _key(bound: Bound | None, comment: str, default: Any = dataclasses.MISSING) -> Any:
    """Return a field with its bound and the comment that stands above it in the file."""
    return field(default=default, metadata={"about": About(bound, comment)})


def _bound_of(annotated: Any) -> Bound:
    bound: Bound = get_args(annotated)[1]
    return bound


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleConfig:
    """The Oracle that this machine polls for jobs."""

    url: str = _key(_ORACLE_URL, "Where the Oracle answers.", DEFAULT_ORACLE_URL)
    ticket_key: str = _key(
        _TICKET_KEY, "Its ticket key (hex). Empty: taken and kept at first contact.", ""
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletConfig:
    """Where rewards go."""

    address: str = _key(_bound_of(AddressText), "Cardano address that is paid for finished jobs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityConfig:
    """How much of the machine is for jobs; sizes in MiB, rates in MHz."""

    cpu_mhz: int = _key(_bound_of(CpuMhz), "CPU for all jobs together, in MHz (cores x rate).")
    ram_mb: int = _key(_bound_of(RamMb), "RAM for all jobs together, in MiB.")
    disk_mb: int = _key(_bound_of(DiskMb), "Disk for job folders, in MiB.", DEFAULT_DISK_MB)
    core_mhz: int = _key(
        Range(1, CORE_MHZ_MAX),
        "Sustained rate of one core, in MHz: turns MHz into shares of cores.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceConfig:
    """What a job costs, in base units of the token."""

    per_ghz_hour: int = _key(Range(0, PRICE_MAX), "For 1000 MHz during one hour.", 1_000_000)
    per_ram_gb_hour: int = _key(Range(0, PRICE_MAX), "For 1000 MiB during one hour.", 250_000)
    per_gpu_hour: int = _key(Range(0, PRICE_MAX), "For one GPU during one hour.", 10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityConfig:
    """When this machine takes new jobs; those that run go on in any case."""

    hours: str = _key(
        ScheduleText(),
        "Hours of the week, in local time: always, never, or mon-fri 18:00-08:00, sat-sun.",
        ALWAYS,
    )
    pause_above_percent: int = _key(
        Range(0, 100),
        "Take no new jobs while other programs use more than this share of the CPU; 0: never.",
        0,
    )
    on_battery: bool = _key(None, "Whether to take jobs while on battery.", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """Another token than the network's own: then no Oracle may name any other."""

    policy: str = _key(_POLICY, "Policy id of the token (hex). Empty: the network's own.", "")
    name: str = _key(
        _TOKEN_NAME, "Its name in hex, 6d4e5458 is mNTX. Empty: the network's own.", ""
    )
    decimals: int = _key(Range(-1, 19), "Its decimals. -1: the network's own.", -1)

    @property
    def choice(self) -> TokenChoice:
        """What we pay with and are paid in, where it is not the network's own token."""
        return TokenChoice(
            policy=bytes.fromhex(self.policy) if self.policy else None,
            name=bytes.fromhex(self.name) if self.name else None,
            decimals=self.decimals if self.decimals >= 0 else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that `nunet onboard` settles."""

    oracle: OracleConfig = field(default_factory=OracleConfig)
    wallet: WalletConfig
    capacity: CapacityConfig
    price: PriceConfig = field(default_factory=PriceConfig)
    availability: AvailabilityConfig = field(default_factory=AvailabilityConfig)
    token: TokenConfig = field(default_factory=TokenConfig)


SECTIONS: Mapping[str, type[Any]] = {
    "oracle": OracleConfig,
    "wallet": WalletConfig,
    "capacity": CapacityConfig,
    "price": PriceConfig,
    "availability": AvailabilityConfig,
    "token": TokenConfig,
}
HEADER = (
    "Settings of this machine for nunet-dms. `nunet onboard` and `nunet config` keep comments.",
    "A running worker takes up any change within a few seconds; its jobs go on.",
)


def load(path: Path) -> Config:
    """Return the settings in `path`.

    Raises NotOnboardedError if there is no such file, and ConfigError that names every wrong
    section and key at once.
    """
    return loads(read_text(path), str(path))


def load_token(path: Path) -> TokenConfig:
    """Return the section [token] alone: the file of who only pays for jobs need hold no other.

    Without a file it is the default. Raises ConfigError for what is wrong in that section.
    """
    found: TokenConfig = _load_section(path, "token")
    return found


def load_oracle(path: Path) -> OracleConfig:
    """Return the section [oracle] alone, as `load_token` does."""
    found: OracleConfig = _load_section(path, "oracle")
    return found


def check_exists(path: Path) -> None:
    """Raise NotOnboardedError if there is no such file; one that cannot be used will do."""
    if not path.exists():
        raise not_onboarded()


def loads(text: str, source: str) -> Config:
    """Return the settings in a text; `source` is what errors call it. Raises as `load` does."""
    tree = read_tree(text, source)
    problems = [
        _unknown(f"[{name}]", name, SECTIONS, "[{}]") for name in tree if name not in SECTIONS
    ]
    sections = {
        name: _read_section(kind, name, tree.get(name, {}), problems)
        for name, kind in SECTIONS.items()
    }
    if problems:
        raise ConfigError(f"cannot use {source}: " + "; ".join(problems), hint=MEND)
    return Config(**sections)


def check(config: Config) -> None:
    """Raise UsageError unless `load` would take these settings; names every wrong key."""
    problems = [
        f"[{section}] {each.name} {wrong}"
        for section, kind in SECTIONS.items()
        for each in dataclasses.fields(kind)
        if (wrong := _problem(each, getattr(getattr(config, section), each.name)))
    ]
    if problems:
        raise UsageError("cannot use these settings: " + "; ".join(problems))


def is_ticket_key(text: str) -> bool:
    """Say whether a text could be an Oracle's ticket key, or the lack of one."""
    return _TICKET_KEY.problem(text) is None


def save(path: Path, config: Config) -> None:
    """Write the settings, comments kept, so that a crash leaves the old file or the new one.

    Raises UsageError for settings that `load` would refuse, and ConfigError if the file there is
    not TOML or cannot be changed.
    """
    check(config)
    sections = tuple(
        Section(
            name=name,
            comment=(kind.__doc__ or "").rstrip("."),
            lines=tuple(
                Line(each.name, getattr(getattr(config, name), each.name), about(each).comment)
                for each in dataclasses.fields(kind)
            ),
        )
        for name, kind in SECTIONS.items()
    )
    write_sections(path, HEADER, sections)


def about(each: dataclasses.Field[Any]) -> About:
    """Return what is known of a key beside its name and its value."""
    known: About = each.metadata["about"]
    return known


def _load_section(path: Path, name: str) -> Any:
    kind = SECTIONS[name]
    try:
        tree = read_tree(read_text(path), str(path))
    except NotOnboardedError:
        return kind()
    problems: list[str] = []
    found = _read_section(kind, name, tree.get(name, {}), problems)
    if problems:
        raise ConfigError(f"cannot use {path}: " + "; ".join(problems), hint=MEND)
    return found


def _read_section(kind: type[Any], section: str, table: object, problems: list[str]) -> Any:
    """Return the section's values; adds a sentence to `problems` for each that is wrong."""
    if not isinstance(table, dict):
        problems.append(f"[{section}] must be a section")
        return None
    fields = {each.name: each for each in dataclasses.fields(kind)}
    before = len(problems)
    problems += [
        _unknown(f"[{section}] {name}", name, fields, "{}") for name in table if name not in fields
    ]
    for name, each in fields.items():
        if name in table:
            wrong = _problem(each, table[name])
        else:
            wrong = "is missing" if each.default is dataclasses.MISSING else ""
        if wrong:
            problems.append(f"[{section}] {name} {wrong}")
    return kind(**table) if len(problems) == before else None


def _problem(each: dataclasses.Field[Any], value: object) -> str:
    kind, name = KINDS[str(each.type)]
    if type(value) is not kind:
        return f"must be {name}, not {value!r:.40}"
    bound = about(each).bound
    return (bound.problem(value) or "") if bound else ""


def _unknown(what: str, name: str, known: Mapping[str, object], shape: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{what:.80} is unknown" + (f" (did you mean {shape.format(near[0])}?)" if near else "")
