-- What an explorer asks of a development ledger; the tables are those of devnet.sql. Nothing is written.

-- name: block
SELECT height, hash, previous_hash, slot FROM block WHERE height = :height;

-- name: block_transactions
SELECT tx_id FROM tx WHERE height = :height ORDER BY sequence;

-- name: output
-- As of the last block: what the mempool has spent is not spent yet.
SELECT u.address, u.lovelace, u.size, u.datum, u.height, u.spent_by, u.spent_height,
       a.policy, a.name, a.quantity
FROM utxo AS u LEFT JOIN utxo_asset AS a ON a.tx_id = u.tx_id AND a.output_index = u.output_index
WHERE u.tx_id = :tx_id AND u.output_index = :output_index AND u.height IS NOT NULL;
