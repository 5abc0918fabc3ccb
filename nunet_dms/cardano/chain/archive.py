"""A development ledger's past, as explorers show it: blocks, outputs and their spenders."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from nunet_dms.cardano.output import TxOutput
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId, Value
from nunet_dms.errors import ConfigError, UnreachableError
from nunet_dms.sql import queries

BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ArchivedBlock:
    """One block and the ids of its transactions, in their order."""

    height: int
    slot: int
    block_hash: bytes
    previous_hash: bytes
    tx_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ArchivedOutput:
    """One output that a block made; `spent_by` is None until a block has spent it."""

    ref: TxInput
    output: TxOutput
    height: int
    spent_by: bytes | None


class DevnetArchive:
    """A reading connection of its own to a development ledger's file; any thread may call.

    The file must be there already. Raises ConfigError when it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._queries = queries("nunet_dms.cardano.chain", "archive.sql")
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise ConfigError(f"cannot read the ledger {path}: {error}") from error
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()

    def block(self, height: int) -> ArchivedBlock | None:
        """Return the block of that height, or None."""
        rows = self._all("block", height=height)
        if not rows:
            return None
        row = rows[0]
        inside = self._all("block_transactions", height=height)
        tx_ids = tuple([bytes(each["tx_id"]) for each in inside])
        return ArchivedBlock(height, row["slot"], row["hash"], row["previous_hash"], tx_ids)

    def output(self, ref: TxInput) -> ArchivedOutput | None:
        """Return an output that a block made, spent or not, or None."""
        rows = self._all("output", tx_id=ref.tx_id, output_index=ref.index)
        if not rows:
            return None
        row = rows[0]
        assets = {
            AssetId(each["policy"], each["name"]): each["quantity"]
            for each in rows
            if each["policy"] is not None
        }
        output = TxOutput(
            row["address"],
            Value.of(row["lovelace"], assets),
            has_datum=row["datum"] is not None,
            size=row["size"],
            datum=row["datum"],
        )
        is_spent = row["spent_height"] is not None
        return ArchivedOutput(ref, output, row["height"], row["spent_by"] if is_spent else None)

    def _all(self, name: str, **values: bytes | int) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._db.execute(self._queries[name], values).fetchall()
            except sqlite3.OperationalError as error:
                raise UnreachableError(f"cannot read the ledger: {error}") from error
