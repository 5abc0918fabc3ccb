"""The Oracle's folder: `oracle.toml`, its two keys, its database, its ledger, its blobs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from nunet_dms.cardano.keys import PaymentKey, read_key_file, write_key_file
from nunet_dms.cardano.network import DEVNET
from nunet_dms.errors import ConfigError
from nunet_dms.oracle import chain_config
from nunet_dms.oracle.chain_config import NETWORK_S, ChainConfig, TokenConfig
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
DEFAULT_FILES_KEPT_DAYS = 30
FILES_KEPT_RANGE_DAYS = (1, 3650)
"""A day at least: results are fetched by people."""


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
    """Seconds between two blocks of the development ledger."""
    deadline_margin_s: int = DEFAULT_DEADLINE_MARGIN_S
    """Seconds between a job's time limit and the slot from which its requester refunds alone."""
    log_max_bytes: int = DEFAULT_LOG_MAX_BYTES
    """Of one job's log."""
    files_kept_days: int = DEFAULT_FILES_KEPT_DAYS
    """Days after a job's end, then log, inputs, results and checkpoint go; signed things stay."""
    dispute_window_s: int = NETWORK_S
    """Seconds in which a verdict may be objected to; -1: what is usual on the network."""
    chain: ChainConfig = field(default_factory=ChainConfig)
    token: TokenConfig = field(default_factory=TokenConfig)

    @property
    def turn_interval_s(self) -> float:
        """Seconds between two turns of the clock: a block of our ledger, or a look at theirs."""
        return self.block_interval_s if self.chain.is_devnet else self.chain.poll_interval_s

    @property
    def window_s(self) -> int:
        """The window for objections, in seconds."""
        if self.dispute_window_s != NETWORK_S:
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
    def chain_memory(self) -> Path:
        """What was handed in to a node of one's own, which does not remember it."""
        return self.folder / "ogmios.db"

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


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of the file: its value where it is not written, and the comment beside it."""

    default: bool | int | float | str
    comment: str


_CHAIN, _TOKEN = ChainConfig(), TokenConfig()
_KEYS: Mapping[str, Mapping[str, _Key]] = {
    "oracle": {
        "network": _Key(DEVNET.name, "devnet, preprod or mainnet"),
        "production": _Key(False, "true refuses the development ledger, and http beyond here"),
        "listen": _Key(DEFAULT_LISTEN, "host:port; port 0 lets the system choose"),
    },
    "chain": {
        "backend": _Key(_CHAIN.backend, "devnet; for a public network koios, blockfrost or ogmios"),
        "url": _Key(_CHAIN.url, "where it answers; empty: its usual address for the network"),
        "key_file": _Key(_CHAIN.key_file, "file (mode 0600) with blockfrost's or koios's key"),
        "poll_interval_s": _Key(_CHAIN.poll_interval_s, "seconds between two looks at the chain"),
        "agree": _Key(_CHAIN.agree, "a second backend that must say the same; empty: none"),
        "agree_url": _Key(_CHAIN.agree_url, "as url, for the second"),
        "agree_key_file": _Key(_CHAIN.agree_key_file, "as key_file, for the second"),
    },
    "token": {
        "policy": _Key(_TOKEN.policy, "56 hex digits; empty: the network's own token"),
        "name": _Key(_TOKEN.name, "in hex, 6d4e5458 is mNTX; empty: the network's own"),
        "decimals": _Key(_TOKEN.decimals, "-1: the network's own"),
        "confirmations": _Key(
            _TOKEN.confirmations, "blocks that a payment needs; -1: the network's"
        ),
    },
    "ledger": {
        "block_interval_s": _Key(
            DEFAULT_BLOCK_INTERVAL_S, "seconds between two blocks of the development ledger"
        ),
    },
    "jobs": {
        "deadline_margin_s": _Key(
            DEFAULT_DEADLINE_MARGIN_S,
            "seconds after a job's time limit, then its requester may refund",
        ),
        "log_max_bytes": _Key(DEFAULT_LOG_MAX_BYTES, "of one job's log"),
        "files_kept_days": _Key(
            DEFAULT_FILES_KEPT_DAYS, "days after a job's end, then its log, inputs and results go"
        ),
        "dispute_window_s": _Key(
            NETWORK_S, "seconds to object to a verdict; -1: an hour, and none on devnet"
        ),
    },
}


def _read(folder: Path, tree: dict[str, object]) -> tuple[OracleConfig, list[str]]:
    problems = [f"[{name}] is unknown" for name in sorted(tree.keys() - _KEYS.keys())]
    found: dict[str, dict[str, Any]] = {}
    for section, keys in _KEYS.items():
        given = tree.get(section, {})
        if not isinstance(given, dict):
            problems.append(f"[{section}] must be a table")
            given = {}
        problems += [f"[{section}] {key} is unknown" for key in sorted(given.keys() - keys)]
        found[section] = {key: each.default for key, each in keys.items()}
        for key, each in keys.items():
            value = given.get(key, each.default)
            if isinstance(each.default, float) and type(value) is int:
                value = float(value)
            if type(value) is type(each.default):
                found[section][key] = value
            else:
                problems.append(
                    f"[{section}] {key} must be like {each.default!r}, not {value!r:.40}"
                )
    listen = found["oracle"].pop("listen")
    host, port = split_listen(listen)
    config = OracleConfig(
        folder=folder,
        host=host,
        port=port,
        **found["oracle"],
        **found["ledger"],
        **found["jobs"],
        chain=ChainConfig(**found["chain"]),
        token=TokenConfig(**found["token"]),
    )
    return config, problems


def _check(config: OracleConfig) -> None:
    """Refuse values out of bounds; raises ConfigError naming every key and its bounds."""
    found = chain_config.problems(
        config.network, config.chain, config.token, production=config.production
    )
    for key, value, (low, high) in (
        ("[ledger] block_interval_s", config.block_interval_s, BLOCK_INTERVAL_RANGE_S),
        ("[jobs] deadline_margin_s", config.deadline_margin_s, DEADLINE_MARGIN_RANGE_S),
        ("[jobs] log_max_bytes", config.log_max_bytes, LOG_MAX_RANGE_BYTES),
        ("[jobs] files_kept_days", config.files_kept_days, FILES_KEPT_RANGE_DAYS),
        ("[jobs] dispute_window_s", config.window_s, DISPUTE_WINDOW_RANGE_S),
    ):
        if not low <= value <= high:
            found.append(f"{key} = {value}: it must be from {low} to {high}")
    if found:
        raise ConfigError(f"cannot use these settings: {'; '.join(found)}")


def _document(config: OracleConfig) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    values: dict[str, object] = {
        "network": config.network,
        "production": config.production,
        "listen": f"{host}:{config.port}",
        "block_interval_s": config.block_interval_s,
        "deadline_margin_s": config.deadline_margin_s,
        "log_max_bytes": config.log_max_bytes,
        "files_kept_days": config.files_kept_days,
        "dispute_window_s": config.dispute_window_s,
        **asdict(config.chain),
        **asdict(config.token),
    }
    document = tomlkit.document()
    document.add(tomlkit.comment("A NuNet Oracle. Its keys lie beside this file: back them up."))
    for section, keys in _KEYS.items():
        table = tomlkit.table()
        for key, each in keys.items():
            table.add(key, tomlkit.item(values[key]).comment(each.comment))
        document.add(section, table)
    return tomlkit.dumps(document)


def _write_synced(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
