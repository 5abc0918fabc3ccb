"""The development ledger's SQLite file: opened or created, and its named queries run."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from nunet_dms.cardano.chain.ledger import OutputState
from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import ConfigError, UnreachableError
from nunet_dms.sql import queries

APPLICATION_ID = 0x6E444D53
"""SQLite's application_id of our files: "nDMS"."""
FIRST_VERSION = 1
SCHEMA_VERSION = 3
"""SQLite's user_version: an older file is brought up to it, a newer one is left alone."""
UPGRADES = {1: ("upgrade_genesis", "upgrade_blocks"), 2: ("upgrade_outputs",)}
"""What brings a file of a version up to the next."""
BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process that writes; its transactions take milliseconds."""
STRICT_SINCE = (3, 37, 0)
"""First SQLite with STRICT tables; an older one does without that check."""

SqlValue = bytes | int | None


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """An output as the file has it; `height` is None while its transaction waits."""

    ref: TxInput
    output: TxOutput
    height: int | None
    state: OutputState

    @property
    def is_spent_on_chain(self) -> bool:
        """Whether a block has spent it; the mempool does not count."""
        return self.state is OutputState.SPENT

    @property
    def is_unspent_on_chain(self) -> bool:
        """Whether a block has made it and none has spent it; the mempool does not count."""
        return self.height is not None and not self.is_spent_on_chain


class LedgerStore:
    """One connection to the file and one lock around it, so that any thread may call.

    Other processes may use the same file: whatever is decided is read inside `writing`.
    Raises ConfigError when the file cannot be opened, is damaged, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self._queries = queries("nunet_dms.cardano.chain", "devnet.sql")
        self._lock = threading.RLock()
        self._db = _connect(path)
        try:
            self._prepare(path)
        except sqlite3.Error as error:
            self.close()
            raise ConfigError(f"cannot open the ledger {path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, path: Path) -> None:
        identity = self.one("file_identity")
        if identity["objects"] and identity["application_id"] != APPLICATION_ID:
            raise ConfigError(f"cannot open the ledger {path}: it is another program's file")
        if identity["objects"] and not FIRST_VERSION <= identity["user_version"] <= SCHEMA_VERSION:
            raise ConfigError(
                f"cannot open the ledger {path}: its version is {identity['user_version']}, "
                f"this program knows version {SCHEMA_VERSION}"
            )
        if self.one("use_wal")[0] != "wal":
            raise ConfigError(
                f"cannot open the ledger {path}: the file system does not allow SQLite's WAL",
                hint="put it on a local disk",
            )
        self.run("use_full_sync")
        self.run("use_foreign_keys")
        verdict = self.one("quick_check")[0]
        if verdict != "ok":
            raise ConfigError(f"cannot open the ledger {path}: it is damaged: {verdict}")
        if not identity["objects"]:
            self._create_tables()
        elif identity["user_version"] < SCHEMA_VERSION:
            self._upgrade()

    def _create_tables(self) -> None:
        """Make the tables, all or none; another process may do the same at the same time."""
        schema = self._queries["schema"]
        if sqlite3.sqlite_version_info < STRICT_SINCE:
            schema = schema.replace(") STRICT;", ");")
        self._db.executescript(schema)

    def _upgrade(self) -> None:
        """Give an older file the columns that it lacks, all or none."""
        with self.writing():
            for version in range(self.one("file_identity")["user_version"], SCHEMA_VERSION):
                for step in UPGRADES[version]:
                    self.run(step)
            self.run("upgrade_version")

    def close(self) -> None:
        """Close the file; what was committed is already on disk."""
        with self._lock:
            self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the file for one transaction: committed at the end, rolled back on any error."""
        with self._lock:
            self.run("begin_write")
            try:
                yield
                self.run("commit")
            except BaseException:
                if self._db.in_transaction:
                    self.run("rollback")
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold one state of the file for several queries, whoever writes meanwhile."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self.run("begin_read")
            try:
                yield
            finally:
                self.run("commit")

    def run(self, name: str, /, **values: SqlValue) -> None:
        """Run a statement."""
        self.all(name, **values)

    def all(self, name: str, /, **values: SqlValue) -> list[sqlite3.Row]:
        """Return every row of a query; raises UnreachableError (disk full, file locked)."""
        with self._lock:
            try:
                return self._db.execute(self._queries[name], values).fetchall()
            except sqlite3.OperationalError as error:
                raise UnreachableError(f"cannot use the ledger: {error}") from error

    def one(self, name: str, /, **values: SqlValue) -> sqlite3.Row:
        """Return the first row of a query that always has one."""
        return self.all(name, **values)[0]

    def first(self, name: str, /, **values: SqlValue) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        rows = self.all(name, **values)
        return rows[0] if rows else None

    def output(self, ref: TxInput) -> StoredOutput | None:
        """Return an output that exists, spent or not, in a block or in the mempool."""
        found = self.outputs("output_by_reference", tx_id=ref.tx_id, output_index=ref.index)
        return found[0] if found else None

    def outputs(self, name: str, /, **values: SqlValue) -> tuple[StoredOutput, ...]:
        """Return the outputs of a query that has one row for each asset of each output."""
        rows = self.all(name, **values)
        grouped = groupby(rows, key=lambda row: (row["tx_id"], row["output_index"]))
        return tuple(_stored_output(list(group)) for _, group in grouped)

    def add_output(self, ref: TxInput, output: TxOutput, height: int | None) -> None:
        """Add an output and what it holds."""
        self.run(
            "add_output",
            tx_id=ref.tx_id,
            output_index=ref.index,
            address=output.address,
            lovelace=output.value.lovelace,
            size=output.size,
            datum=output.datum,
            height=height,
        )
        for asset, quantity in output.value.assets:
            self.run(
                "add_asset",
                tx_id=ref.tx_id,
                output_index=ref.index,
                policy=asset.policy,
                name=asset.name,
                quantity=quantity,
            )


def _connect(path: Path) -> sqlite3.Connection:
    """Connect to the file, which holds the faucet's key and so is its owner's alone."""
    try:
        # Only ever a new file is opened here: closing one that this process already has open
        # would drop SQLite's POSIX locks on it.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        # Autocommit: transactions begin and end where `writing` says, nowhere else.
        db = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot open the ledger {path}: {error}") from error
    db.row_factory = sqlite3.Row
    return db


def _stored_output(rows: list[sqlite3.Row]) -> StoredOutput:
    row = rows[0]
    assets = {
        AssetId(each["policy"], each["name"]): each["quantity"]
        for each in rows
        if each["policy"] is not None
    }
    if row["spent_height"] is not None:
        state = OutputState.SPENT
    elif row["spent_by"] is not None:
        state = OutputState.SPENT_IN_MEMPOOL
    else:
        state = OutputState.UNSPENT
    return StoredOutput(
        TxInput(row["tx_id"], row["output_index"]),
        TxOutput(
            row["address"],
            Value.of(row["lovelace"], assets),
            has_datum=row["datum"] is not None,
            size=row["size"],
            datum=row["datum"],
        ),
        row["height"],
        state,
    )
