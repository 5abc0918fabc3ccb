"""The provider's settings, `config.toml`: read strictly, written without losing comments."""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args

from nunet_dms.errors import ConfigError, NotOnboardedError, UsageError
from nunet_dms.protocol.bounds import AddressText, CpuMhz, DiskMb, Length, Pattern, RamMb, Range
from nunet_dms.wholefile import write_whole

CONFIG_MAX_BYTES = 256 * 1024
"""Of config.toml; ours has about 2 KB with its comments."""
CONFIG_MODE = 0o640
"""No secret is in it, but an address and a price are nobody else's business."""
DEFAULT_ORACLE_URL = "http://127.0.0.1:9980"
"""Where `nunet oracle serve` listens."""
DEFAULT_DISK_MB = 10_000
"""Disk for jobs, in MiB: images come on top."""
PRICE_MAX = 10**12
"""Base units; the bound of protocol.quote.PriceList."""

Bound = Range | Length | Pattern

_ORACLE_URL = Pattern(r"https?://[^\s/?#@]{1,255}(/[^\s?#]{0,200})?", "an http or https address")
_TICKET_KEY = Pattern(r"([0-9a-f]{64})?", "empty, or 32 bytes as lower-case hex")


class _About(NamedTuple):
    bound: Bound
    comment: str


def _key(bound: Bound, comment: str, default: Any = dataclasses.MISSING) -> Any:
    """Return a field with its bound and the comment that stands above it in the file."""
    return field(default=default, metadata={"about": _About(bound, comment)})


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
        Range(1, 100_000), "Sustained rate of one core, in MHz: turns MHz into shares of cores."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceConfig:
    """What a job costs, in base units of the token."""

    per_ghz_hour: int = _key(Range(0, PRICE_MAX), "For 1000 MHz during one hour.", 1_000_000)
    per_ram_gb_hour: int = _key(Range(0, PRICE_MAX), "For 1000 MiB during one hour.", 250_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that `nunet onboard` settles."""

    oracle: OracleConfig = field(default_factory=OracleConfig)
    wallet: WalletConfig
    capacity: CapacityConfig
    price: PriceConfig = field(default_factory=PriceConfig)


SECTIONS: Mapping[str, type[Any]] = {
    "oracle": OracleConfig,
    "wallet": WalletConfig,
    "capacity": CapacityConfig,
    "price": PriceConfig,
}
HEADER = (
    "Settings of this machine for nunet-dms. `nunet onboard` writes them and keeps comments.",
    "After a change by hand: nunet worker stop, then nunet worker start.",
)


def load(path: Path) -> Config:
    """Return the settings in `path`.

    Raises NotOnboardedError if there is no such file, and ConfigError that names every wrong
    section and key at once.
    """
    tree = _read_tree(path)
    problems = [
        _unknown(f"[{name}]", name, SECTIONS, "[{}]") for name in tree if name not in SECTIONS
    ]
    sections = {
        name: _read_section(kind, name, tree.get(name, {}), problems)
        for name, kind in SECTIONS.items()
    }
    if problems:
        raise ConfigError(
            f"cannot use {path}: " + "; ".join(problems), hint="correct the file, then try again"
        )
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
    not TOML or the folder cannot be written.
    """
    check(config)
    import tomlkit  # noqa: PLC0415 - 30 ms that reading does not need
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415 - as above

    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        document = tomlkit.parse(_read_text(target)) if target.exists() else _new_document()
    except TOMLKitError as error:
        raise ConfigError(f"cannot change {path}: it is not TOML: {error}") from error
    for section, kind in SECTIONS.items():
        values = getattr(config, section)
        table = document.setdefault(section, tomlkit.table())
        for each in dataclasses.fields(kind):
            value = getattr(values, each.name)
            if table.get(each.name) != value:
                table[each.name] = value
    try:
        write_whole(target, tomlkit.dumps(document).encode(), CONFIG_MODE)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def _new_document() -> Any:
    """Return the default file: every key with its comment, values to be filled in."""
    import tomlkit  # noqa: PLC0415 - see save

    document = tomlkit.document()
    for line in HEADER:
        document.add(tomlkit.comment(line))
    for section, kind in SECTIONS.items():
        document.add(tomlkit.nl())
        table = tomlkit.table()
        table.comment((kind.__doc__ or "").rstrip("."))
        for each in dataclasses.fields(kind):
            about: _About = each.metadata["about"]
            table.add(tomlkit.comment(about.comment))
            table.add(each.name, 0 if each.type == "int" else "")
        document.add(section, table)
    return document


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(CONFIG_MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotOnboardedError(
            "this machine is not onboarded", hint="type: nunet onboard --cpu MHZ --ram MB"
        ) from None
    except PermissionError:
        raise ConfigError(
            f"cannot read {path}: it is not yours to read",
            hint="use sudo, or --user for your own",
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > CONFIG_MAX_BYTES:
        raise ConfigError(f"cannot use {path}: it has over {CONFIG_MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot use {path}: byte {error.start} is not UTF-8") from None


def _read_tree(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        if sys.version_info >= (3, 11):
            import tomllib  # noqa: PLC0415 - not in 3.10

            return tomllib.loads(text)
        import tomlkit  # noqa: PLC0415 - 30 ms, only where tomllib is missing

        return tomlkit.parse(text).unwrap()
    except ValueError as error:
        raise ConfigError(f"cannot use {path}: it is not TOML: {error}") from error


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
    about: _About = each.metadata["about"]
    if each.type == "int" and type(value) is not int:
        return f"must be a whole number, not {value!r:.40}"
    if each.type == "str" and type(value) is not str:
        return f"must be text in quotes, not {value!r:.40}"
    return about.bound.problem(value) or ""


def _unknown(what: str, name: str, known: Mapping[str, object], shape: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{what:.80} is unknown" + (f" (did you mean {shape.format(near[0])}?)" if near else "")
