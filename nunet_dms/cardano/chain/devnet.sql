-- The development ledger: one SQLite file, WAL, synchronous=FULL, any number of writers one at a time.
-- Times are Unix seconds, amounts base units, ids and hashes raw bytes. A height is NULL while the
-- transaction that caused it waits in the mempool. What a block did is found, and can be undone, by its height.
-- STRICT is left out by devnet.py where SQLite is older than 3.37.

-- name: schema
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS genesis (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    time_s      INTEGER NOT NULL,
    faucet_seed BLOB    NOT NULL CHECK (length(faucet_seed) = 32),
    forks       INTEGER NOT NULL DEFAULT 0 CHECK (forks >= 0)
) STRICT;

-- fork is how many rollbacks there were before the block.
CREATE TABLE IF NOT EXISTS block (
    height        INTEGER PRIMARY KEY CHECK (height >= 0),
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    previous_hash BLOB    NOT NULL CHECK (length(previous_hash) = 32),
    slot          INTEGER NOT NULL CHECK (slot >= 0),
    fork          INTEGER NOT NULL DEFAULT 0 CHECK (fork >= 0)
) STRICT;

-- sequence is the order of arrival, and so the order inside a block.
CREATE TABLE IF NOT EXISTS tx (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tx_id    BLOB    NOT NULL UNIQUE CHECK (length(tx_id) = 32),
    raw      BLOB    NOT NULL,
    height   INTEGER REFERENCES block (height)
) STRICT;
CREATE INDEX IF NOT EXISTS tx_by_height ON tx (height);
CREATE INDEX IF NOT EXISTS tx_waiting ON tx (sequence) WHERE height IS NULL;

-- Spent outputs stay, so that "spent" and "never existed" remain different answers.
CREATE TABLE IF NOT EXISTS utxo (
    tx_id        BLOB    NOT NULL CHECK (length(tx_id) = 32),
    output_index INTEGER NOT NULL CHECK (output_index >= 0),
    address      BLOB    NOT NULL,
    lovelace     INTEGER NOT NULL CHECK (lovelace >= 0),
    size         INTEGER NOT NULL CHECK (size > 0),
    datum        BLOB,
    height       INTEGER REFERENCES block (height),
    spent_by     BLOB    REFERENCES tx (tx_id),
    spent_height INTEGER REFERENCES block (height),
    PRIMARY KEY (tx_id, output_index),
    CHECK (spent_height IS NULL OR (spent_by IS NOT NULL AND height IS NOT NULL AND spent_height >= height))
) STRICT;
CREATE INDEX IF NOT EXISTS utxo_unspent ON utxo (address, lovelace) WHERE spent_height IS NULL;
CREATE INDEX IF NOT EXISTS utxo_by_spender ON utxo (spent_by) WHERE spent_by IS NOT NULL;

CREATE TABLE IF NOT EXISTS utxo_asset (
    tx_id        BLOB    NOT NULL,
    output_index INTEGER NOT NULL,
    policy       BLOB    NOT NULL CHECK (length(policy) = 28),
    name         BLOB    NOT NULL CHECK (length(name) <= 32),
    quantity     INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (tx_id, output_index, policy, name),
    FOREIGN KEY (tx_id, output_index) REFERENCES utxo (tx_id, output_index) ON DELETE CASCADE
) STRICT;

-- "nDMS" and the version of this schema.
PRAGMA application_id = 0x6e444d53;
PRAGMA user_version = 3;

COMMIT;

-- name: file_identity
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) AS objects
FROM pragma_application_id, pragma_user_version;

-- name: upgrade_genesis
ALTER TABLE genesis ADD COLUMN forks INTEGER NOT NULL DEFAULT 0 CHECK (forks >= 0);

-- name: upgrade_blocks
ALTER TABLE block ADD COLUMN fork INTEGER NOT NULL DEFAULT 0 CHECK (fork >= 0);

-- name: upgrade_outputs
ALTER TABLE utxo ADD COLUMN datum BLOB;

-- name: upgrade_version
PRAGMA user_version = 3;

-- name: use_wal
PRAGMA journal_mode = WAL;

-- name: use_full_sync
-- Under WAL, NORMAL loses acknowledged commits when the power fails.
PRAGMA synchronous = FULL;

-- name: use_foreign_keys
PRAGMA foreign_keys = ON;

-- name: quick_check
PRAGMA quick_check (1);

-- name: begin_write
BEGIN IMMEDIATE;

-- name: begin_read
BEGIN DEFERRED;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: genesis
SELECT time_s, faucet_seed, forks FROM genesis WHERE id = 1;

-- name: add_genesis
INSERT INTO genesis (id, time_s, faucet_seed) VALUES (1, :time_s, :faucet_seed);

-- name: tip
SELECT height, hash, slot FROM block ORDER BY height DESC LIMIT 1;

-- name: add_block
INSERT INTO block (height, hash, previous_hash, slot, fork) VALUES (:height, :hash, :previous_hash, :slot, :fork);

-- name: blocks
SELECT height, hash, previous_hash, slot, fork FROM block ORDER BY height;

-- name: contents
-- The bytes of a block's transactions, in their order.
SELECT raw FROM tx WHERE height = :height ORDER BY sequence;

-- name: confirmed
SELECT raw, height FROM tx WHERE height IS NOT NULL ORDER BY height, sequence;

-- name: transactions_above
SELECT tx_id FROM tx WHERE height > :height ORDER BY sequence;

-- name: undo_spending
UPDATE utxo SET spent_height = NULL WHERE spent_height > :height;

-- name: undo_outputs
UPDATE utxo SET height = NULL WHERE height > :height;

-- name: undo_transactions
UPDATE tx SET height = NULL WHERE height > :height;

-- name: undo_blocks
DELETE FROM block WHERE height > :height;

-- name: count_fork
UPDATE genesis SET forks = forks + 1;

-- name: transaction_by_id
SELECT tx.raw, tx.height, block.hash AS block_hash
FROM tx LEFT JOIN block ON block.height = tx.height
WHERE tx.tx_id = :tx_id;

-- name: mempool
-- In order of arrival, so parents before children.
SELECT tx_id, raw FROM tx WHERE height IS NULL ORDER BY sequence LIMIT :limit;

-- name: mempool_count
SELECT count(*) FROM tx WHERE height IS NULL;

-- name: add_transaction
INSERT INTO tx (tx_id, raw) VALUES (:tx_id, :raw);

-- name: add_output
INSERT INTO utxo (tx_id, output_index, address, lovelace, size, datum, height)
VALUES (:tx_id, :output_index, :address, :lovelace, :size, :datum, :height);

-- name: add_asset
INSERT INTO utxo_asset (tx_id, output_index, policy, name, quantity)
VALUES (:tx_id, :output_index, :policy, :name, :quantity);

-- name: spend_output
UPDATE utxo SET spent_by = :spent_by
WHERE tx_id = :tx_id AND output_index = :output_index AND spent_by IS NULL;

-- name: confirm_transaction
UPDATE tx SET height = :height WHERE tx_id = :tx_id AND height IS NULL;

-- name: confirm_outputs
UPDATE utxo SET height = :height WHERE tx_id = :tx_id;

-- name: confirm_spending
UPDATE utxo SET spent_height = :height WHERE spent_by = :tx_id;

-- name: dependents
-- Mempool transactions that spend an output of this one.
SELECT DISTINCT spent_by FROM utxo WHERE tx_id = :tx_id AND spent_by IS NOT NULL;

-- name: release_inputs
UPDATE utxo SET spent_by = NULL WHERE spent_by = :tx_id AND spent_height IS NULL;

-- name: drop_outputs
DELETE FROM utxo WHERE tx_id = :tx_id AND height IS NULL;

-- name: drop_transaction
DELETE FROM tx WHERE tx_id = :tx_id AND height IS NULL;

-- name: output_by_reference
SELECT u.tx_id, u.output_index, u.address, u.lovelace, u.size, u.datum, u.height, u.spent_by, u.spent_height,
       a.policy, a.name, a.quantity
FROM utxo AS u LEFT JOIN utxo_asset AS a ON a.tx_id = u.tx_id AND a.output_index = u.output_index
WHERE u.tx_id = :tx_id AND u.output_index = :output_index;

-- name: unspent_outputs
-- As of the last block, richest first: dust sent to an address cannot push its real outputs over the limit.
SELECT u.tx_id, u.output_index, u.address, u.lovelace, u.size, u.datum, u.height, u.spent_by, u.spent_height,
       a.policy, a.name, a.quantity
FROM (
    SELECT * FROM utxo
    WHERE address = :address AND spent_height IS NULL AND height IS NOT NULL
    ORDER BY lovelace DESC, tx_id, output_index LIMIT :limit
) AS u LEFT JOIN utxo_asset AS a ON a.tx_id = u.tx_id AND a.output_index = u.output_index
ORDER BY u.lovelace DESC, u.tx_id, u.output_index;

-- name: richest_output
-- The mempool counts here, so that the faucet can be used many times between two blocks.
SELECT tx_id, output_index FROM utxo
WHERE address = :address AND spent_height IS NULL AND spent_by IS NULL
ORDER BY lovelace DESC, tx_id, output_index LIMIT 1;

-- name: unspent_lovelace
SELECT lovelace FROM utxo WHERE height IS NOT NULL AND spent_height IS NULL;

-- name: unspent_assets
SELECT a.policy, a.name, a.quantity
FROM utxo AS u JOIN utxo_asset AS a ON a.tx_id = u.tx_id AND a.output_index = u.output_index
WHERE u.height IS NOT NULL AND u.spent_height IS NULL;
