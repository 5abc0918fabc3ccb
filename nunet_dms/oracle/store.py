"""The Oracle's database: opened once, read and written in short transactions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect

from nunet_dms.errors import ConfigError
from nunet_dms.oracle.tables import METADATA

BUSY_TIMEOUT_MS = 15_000
"""How long a writer waits for another; our transactions take milliseconds."""
POOL_CONNECTIONS = 16
"""Connections kept; more than SQLite can use at once."""
POOL_OVERFLOW = 48
"""Further connections: one for each thread of the server, at most."""

SCHEMA_VERSION = 3
"""SQLite's user_version of our file; the first release had 0."""
STEPS: dict[int, tuple[str, ...]] = {
    2: (
        "ALTER TABLE jobs ADD COLUMN window_ends_s BIGINT",
        "ALTER TABLE jobs ADD COLUMN payment_missing_s BIGINT",
        "ALTER TABLE jobs ADD COLUMN gone_height BIGINT",
        "ALTER TABLE jobs ADD COLUMN payment_lost BOOLEAN DEFAULT 0 NOT NULL",
        "ALTER TABLE jobs ADD COLUMN look_at_s BIGINT",
        "ALTER TABLE jobs ADD COLUMN alert_level BIGINT DEFAULT 0 NOT NULL",
        "CREATE INDEX jobs_to_look_at ON jobs (look_at_s)",
        "CREATE INDEX jobs_by_deadline ON jobs (deadline_slot)",
        # From now on the chain is asked again for what it had of these.
        "UPDATE jobs SET look_at_s = 0 WHERE state IN ('offered', 'running', 'settled')",
    ),
    3: (
        "ALTER TABLE jobs ADD COLUMN log_dropped_bytes BIGINT DEFAULT 0 NOT NULL",
        "ALTER TABLE jobs ADD COLUMN phase TEXT",
        "ALTER TABLE jobs ADD COLUMN files_gone_s BIGINT",
        "CREATE INDEX jobs_with_files ON jobs (files_gone_s, state, submitted_ms)",
    ),
}
"""What takes a file to each version; new tables are made besides."""

log = logging.getLogger(__name__)


class Store:
    """One database; any thread may use it, no network call belongs inside a transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open, make or bring up to date the SQLite database at `path`.

        WAL, every commit synced to the disk. Raises ConfigError for one of a newer version.
        """
        engine = create_engine(
            f"sqlite:///{path}", pool_size=POOL_CONNECTIONS, max_overflow=POOL_OVERFLOW
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        store = cls(engine)
        try:
            with store.writing() as db:
                _bring_up_to_date(db, path)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the database."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the one writing transaction; it commits at the end and rolls back on any error."""
        with self._engine.connect() as plain:
            connection = plain.execution_options(nunet_writes=True)
            with connection.begin():
                yield connection


def _bring_up_to_date(db: Connection, path: Path) -> None:
    """Make the tables, or take an older file up to our version, all or nothing."""
    version = db.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"cannot use {path}: it is of version {version}, this program knows {SCHEMA_VERSION}",
            hint="a newer nunet-dms has written it: install that one again",
        )
    if version == SCHEMA_VERSION:
        return
    if inspect(db).has_table("jobs"):  # else it is new; the first release wrote no version
        for number in range(max(version, 1) + 1, SCHEMA_VERSION + 1):
            for step in STEPS[number]:
                db.exec_driver_sql(step)
    METADATA.create_all(db)
    db.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    log.info("database_ready path=%s version=%d before=%d", path, SCHEMA_VERSION, version)


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late
    cursor = connection.cursor()
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that begins as a reader and then writes fails when another wrote between.
    writes = connection.get_execution_options().get("nunet_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
