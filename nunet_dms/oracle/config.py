"""The Oracle's folder: `oracle.toml`, its two keys, its database, its ledger, its blobs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from nunet_dms.cardano.keys import PaymentKey, read_key_file, write_key_file
from nunet_dms.cardano.network import DEVNET, network_named
from nunet_dms.errors import ConfigError
from nunet_dms.protocol.keys import SigningKey, read_signing_key, write_signing_key

FILE_NAME = "oracle.toml"
FILE_MAX_BYTES = 64 * 1024
"""Ours has under 2 KB."""
DEFAULT_LISTEN = "127.0.0.1:9980"
DEFAULT_BLOCK_INTERVAL_S = 2.0
DEFAULT_DEADLINE_MARGIN_S = 86_400
DEFAULT_LOG_MAX_BYTES = 64 * 1024 * 1024

BLOCK_INTERVAL_RANGE_S = (0.05, 600.0)
"""Faster is only heat; slower than ten minutes is slower than any real chain."""
DEADLINE_MARGIN_RANGE_S = (0, 365 * 86_400)
DEFAULT_DISPUTE_WINDOW_S = 3600
"""Where tokens have a value; none on the development ledger."""
DISPUTE_WINDOW_RANGE_S = (0, 7 * 86_400)
LOG_MAX_RANGE_BYTES = (1024, 16 * 1024**3)


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleConfig:
    """What an operator decides; every path follows from `folder`."""

    folder: Path
    network: str = DEVNET.name
    production: bool = False
    """A production Oracle refuses the development ledger."""
    host: str = "127.0.0.1"
    port: int = 9980
    """0 lets the operating system choose."""
    block_interval_s: float = DEFAULT_BLOCK_INTERVAL_S
    """Seconds between two blocks of the development ledger, and between two turns of the clock."""
    deadline_margin_s: int = DEFAULT_DEADLINE_MARGIN_S
    """Seconds between a job's time limit and the slot from which its requester refunds alone."""
    log_max_bytes: int = DEFAULT_LOG_MAX_BYTES
    """Of one job's log."""
    dispute_window_s: int | None = None
    """Seconds in which a verdict may be objected to; None: what is usual on the network."""

    @property
    def window_s(self) -> int:
        """The window for objections, in seconds."""
        if self.dispute_window_s is not None:
            return self.dispute_window_s
        return 0 if self.network == DEVNET.name else DEFAULT_DISPUTE_WINDOW_S

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / FILE_NAME

    @property
    def ticket_key(self) -> Path:
        """The key that signs tickets, verdicts, receipts and sessions."""
        return self.folder / "ticket.key"

    @property
    def escrow_key(self) -> Path:
        """The key that co-signs settlements."""
        return self.folder / "escrow.skey"

    @property
    def database(self) -> Path:
        """The Oracle's own database."""
        return self.folder / "oracle.db"

    @property
    def ledger(self) -> Path:
        """The development ledger."""
        return self.folder / "devnet.db"

    @property
    def blobs(self) -> Path:
        """Files of jobs, by SHA-256."""
        return self.folder / "blobs"


@dataclass(frozen=True, slots=True)
class OracleKeys:
    """The two keys of an Oracle: one for its word, one for its share in every escrow."""

    ticket: SigningKey = field(repr=False)
    escrow: PaymentKey = field(repr=False)


def init(config: OracleConfig) -> None:
    """Make the folder, the commented `oracle.toml` and both keys.

    Keys that an interrupted call left are kept. Raises ConfigError when there is an Oracle already.
    """
    _check(config)
    if config.file.exists():
        raise ConfigError(
            f"cannot make an Oracle in {config.folder}: {config.file} exists",
            hint=f"type: nunet oracle serve --dir {config.folder}",
        )
    config.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not config.ticket_key.exists():
        write_signing_key(config.ticket_key, SigningKey.generate())
    if not config.escrow_key.exists():
        write_key_file(config.escrow_key, PaymentKey.generate())
    read_keys(config)
    # Last: a folder with this file is whole.
    _write_synced(config.file, _document(config))


def read_keys(config: OracleConfig) -> OracleKeys:
    """Read both keys; raises ConfigError when one is absent or open to others."""
    return OracleKeys(read_signing_key(config.ticket_key), read_key_file(config.escrow_key))


def load(folder: Path) -> OracleConfig:
    """Read `oracle.toml`; raises ConfigError naming every wrong value with its key."""
    path = folder / FILE_NAME
    try:
        text = path.read_bytes()[: FILE_MAX_BYTES + 1].decode("utf-8")
        tree = tomlkit.parse(text).unwrap()
    except FileNotFoundError:
        raise ConfigError(
            f"cannot serve: there is no Oracle in {folder}",
            hint=f"type: nunet oracle init --dir {folder}",
        ) from None
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    config, problems = _read(folder, tree)
    if problems:
        raise ConfigError(f"cannot use {path}: " + "; ".join(problems))
    _check(config)
    return config


def split_listen(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`; raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ConfigError(f"cannot listen on {text!r}: give host:port, such as {DEFAULT_LISTEN}")
    return host.strip("[]"), int(port)


_DEFAULTS: dict[str, dict[str, object]] = {
    "oracle": {"network": DEVNET.name, "production": False, "listen": DEFAULT_LISTEN},
    "ledger": {"block_interval_s": DEFAULT_BLOCK_INTERVAL_S},
    "jobs": {
        "deadline_margin_s": DEFAULT_DEADLINE_MARGIN_S,
        "log_max_bytes": DEFAULT_LOG_MAX_BYTES,
    },
}

_WITHOUT_DEFAULT = {"jobs": frozenset({"dispute_window_s"})}
"""Keys that may be absent, since what is usual depends on the network."""


def _read(folder: Path, tree: dict[str, object]) -> tuple[OracleConfig, list[str]]:
    problems = [f"[{name}] is unknown" for name in sorted(tree.keys() - _DEFAULTS.keys())]
    found: dict[str, object] = {}
    for section, defaults in _DEFAULTS.items():
        given = tree.get(section, {})
        if not isinstance(given, dict):
            problems.append(f"[{section}] must be a table")
            given = {}
        known = defaults.keys() | _WITHOUT_DEFAULT.get(section, frozenset())
        problems += [f"[{section}] {key} is unknown" for key in sorted(given.keys() - known)]
        for key, default in defaults.items():
            value = given.get(key, default)
            if isinstance(default, float) and type(value) is int:
                value = float(value)
            if type(value) is not type(default):
                problems.append(f"[{section}] {key} must be like {default!r}, not {value!r:.40}")
                value = default
            found[key] = value
    host, port = split_listen(str(found["listen"]))
    window_s = _window_s(tree.get("jobs"), problems)
    config = OracleConfig(
        folder=folder,
        network=str(found["network"]),
        production=found["production"] is True,
        host=host,
        port=port,
        block_interval_s=float(str(found["block_interval_s"])),
        deadline_margin_s=int(str(found["deadline_margin_s"])),
        log_max_bytes=int(str(found["log_max_bytes"])),
        dispute_window_s=window_s,
    )
    return config, problems


def _window_s(jobs: object, problems: list[str]) -> int | None:
    given = jobs.get("dispute_window_s") if isinstance(jobs, dict) else None
    if given is not None and type(given) is not int:
        like = DEFAULT_DISPUTE_WINDOW_S
        problems.append(f"[jobs] dispute_window_s must be like {like}, not {given!r:.40}")
        return None
    return given


def _check(config: OracleConfig) -> None:
    """Refuse values out of bounds; raises ConfigError naming the key and both bounds."""
    network_named(config.network)
    if config.production and config.network == DEVNET.name:
        raise ConfigError(
            "cannot use [oracle] production = true with the development ledger: its tokens have "
            "no value"
        )
    for key, value, (low, high) in (
        ("[ledger] block_interval_s", config.block_interval_s, BLOCK_INTERVAL_RANGE_S),
        ("[jobs] deadline_margin_s", config.deadline_margin_s, DEADLINE_MARGIN_RANGE_S),
        ("[jobs] log_max_bytes", config.log_max_bytes, LOG_MAX_RANGE_BYTES),
        ("[jobs] dispute_window_s", config.window_s, DISPUTE_WINDOW_RANGE_S),
    ):
        if not low <= value <= high:
            raise ConfigError(f"cannot use {key} = {value}: it must be from {low} to {high}")


def _document(config: OracleConfig) -> str:
    comments = {
        "network": "devnet, preprod or mainnet",
        "production": "true refuses the development ledger",
        "listen": "host:port; port 0 lets the system choose",
        "block_interval_s": "seconds between two blocks of the development ledger",
        "deadline_margin_s": "seconds after a job's time limit, then its requester may refund",
        "log_max_bytes": "of one job's log",
    }
    host = f"[{config.host}]" if ":" in config.host else config.host
    values: dict[str, object] = {
        "network": config.network,
        "production": config.production,
        "listen": f"{host}:{config.port}",
        "block_interval_s": config.block_interval_s,
        "deadline_margin_s": config.deadline_margin_s,
        "log_max_bytes": config.log_max_bytes,
    }
    document = tomlkit.document()
    document.add(tomlkit.comment("A NuNet Oracle. Its keys lie beside this file: back them up."))
    for section, keys in _DEFAULTS.items():
        table = tomlkit.table()
        for key in keys:
            table.add(key, tomlkit.item(values[key]).comment(comments[key]))
        if section == "jobs":
            _add_window(table, config)
        document.add(section, table)
    return tomlkit.dumps(document)


def _add_window(table: Table, config: OracleConfig) -> None:
    """Add the window for objections; as a comment where the network's own holds."""
    if config.dispute_window_s is not None:
        table.add("dispute_window_s", tomlkit.item(config.dispute_window_s))
    usual = f"dispute_window_s = {DEFAULT_DISPUTE_WINDOW_S}"
    table.add(tomlkit.comment(f"{usual} # seconds to object to a verdict; none on devnet"))


def _write_synced(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
