-- What the Ogmios backend remembers, since a node's ledger state holds outputs and no transactions:
-- the bytes that were handed in, and the tip when one of their outputs was first seen there.

-- name: schema
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS handed_in (
    tx_id      BLOB    PRIMARY KEY CHECK (length(tx_id) = 32),
    raw        BLOB    NOT NULL,
    height     INTEGER CHECK (height >= 0),
    block_hash BLOB    CHECK (length(block_hash) = 32),
    CHECK ((height IS NULL) = (block_hash IS NULL))
);

PRAGMA user_version = 1;

COMMIT;

-- name: use_wal
PRAGMA journal_mode = WAL;

-- name: use_full_sync
PRAGMA synchronous = FULL;

-- name: user_version
PRAGMA user_version;

-- name: keep
INSERT INTO handed_in (tx_id, raw) VALUES (:tx_id, :raw) ON CONFLICT (tx_id) DO NOTHING;

-- name: find
SELECT raw, height, block_hash FROM handed_in WHERE tx_id = :tx_id;

-- name: seen
UPDATE handed_in SET height = :height, block_hash = :block_hash WHERE tx_id = :tx_id AND height IS NULL;

-- name: vanished
UPDATE handed_in SET height = NULL, block_hash = NULL WHERE tx_id = :tx_id;
