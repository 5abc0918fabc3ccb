-- The node's journal: one SQLite file, one writer (the worker), read-only for everybody else.
-- Opened with WAL and synchronous=FULL: a commit that returned survives a power cut.

-- name: schema
PRAGMA application_id = 1314213716;
PRAGMA user_version = 1;
CREATE TABLE job (
    job_id           TEXT PRIMARY KEY,
    ticket_id        TEXT NOT NULL UNIQUE,
    state            TEXT NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    cpu_mhz          INTEGER NOT NULL CHECK (cpu_mhz > 0),
    ram_mb           INTEGER NOT NULL CHECK (ram_mb > 0),
    disk_mb          INTEGER NOT NULL CHECK (disk_mb > 0),
    time_limit_s     INTEGER NOT NULL CHECK (time_limit_s > 0),
    price            INTEGER NOT NULL CHECK (price > 0),
    image            TEXT NOT NULL,
    offer            BLOB NOT NULL,      -- the exact offer: ticket, spec and request
    container_id     TEXT NOT NULL DEFAULT '',
    image_id         TEXT NOT NULL DEFAULT '',
    boot_id          TEXT NOT NULL DEFAULT '',
    stop_reason      TEXT NOT NULL DEFAULT '',  -- set before we stop a container
    stop_ms          INTEGER,
    reason           TEXT NOT NULL DEFAULT '',  -- set once, on leaving the running states
    detail           TEXT NOT NULL DEFAULT '',
    exit_code        INTEGER,
    ran_ms           INTEGER NOT NULL DEFAULT 0,
    cpu_ms           INTEGER,
    ram_peak_mb      INTEGER,
    earned           INTEGER,            -- base units; known when we co-sign
    settlement_tx_id TEXT NOT NULL DEFAULT '',
    admitted_ms      INTEGER NOT NULL,
    started_ms       INTEGER,
    finished_ms      INTEGER,
    changed_ms       INTEGER NOT NULL
) STRICT;
CREATE TABLE outbox (
    key         TEXT PRIMARY KEY,        -- node:ticket:report
    job_id      TEXT NOT NULL REFERENCES job (job_id),
    body        BLOB NOT NULL,           -- frozen; sent byte-equal on every try
    acked       INTEGER NOT NULL DEFAULT 0 CHECK (acked IN (0, 1)),
    parked      TEXT NOT NULL DEFAULT '' -- why the Oracle refuses it; kept as evidence
) STRICT;
CREATE TABLE seen_ticket (
    ticket_id TEXT PRIMARY KEY,
    seen_ms   INTEGER NOT NULL
) STRICT;
CREATE TABLE event (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    at_ms  INTEGER NOT NULL,
    what   TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_job ON event (job_id);
CREATE TABLE pin (                       -- what the Oracle said of itself when it was pinned
    only INTEGER PRIMARY KEY CHECK (only = 1),
    url  TEXT NOT NULL,
    info BLOB NOT NULL
) STRICT;
CREATE TABLE worker (                    -- what `nunet status` shows; written by the worker
    only         INTEGER PRIMARY KEY CHECK (only = 1),
    pid          INTEGER NOT NULL,
    version      TEXT NOT NULL,
    started_s    INTEGER NOT NULL,
    ready        INTEGER NOT NULL,
    accepting    INTEGER NOT NULL,
    oracle_state TEXT NOT NULL,
    engine_state TEXT NOT NULL,
    note         TEXT NOT NULL,
    heartbeat_s  INTEGER NOT NULL
) STRICT;

-- name: to_version_2
ALTER TABLE worker ADD COLUMN hold TEXT NOT NULL DEFAULT '';      -- why no new jobs are wanted
ALTER TABLE worker ADD COLUMN hold_note TEXT NOT NULL DEFAULT ''; -- the same in words
ALTER TABLE worker ADD COLUMN sold_cpu_mhz INTEGER NOT NULL DEFAULT 0; -- 0: not known yet
ALTER TABLE worker ADD COLUMN sold_ram_mb INTEGER NOT NULL DEFAULT 0;
CREATE TABLE registration (              -- when the node last introduced itself
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    issued_s INTEGER NOT NULL            -- the Oracle takes none that is older than the last
) STRICT;
CREATE TABLE machine (                   -- the machine as the Oracle was last told of it
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    taken_s  INTEGER NOT NULL,
    facts    BLOB NOT NULL               -- protocol.machine.MachineFacts
) STRICT;
CREATE TABLE machine_note (              -- what changed in the machine, and when
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    text  TEXT NOT NULL
) STRICT;
CREATE TABLE missed (                    -- work that went elsewhere; the Oracle's last word on it
    reason    TEXT PRIMARY KEY,
    count     INTEGER NOT NULL,
    would_pay INTEGER NOT NULL
) STRICT;
PRAGMA user_version = 2;

-- name: to_version_3
ALTER TABLE job ADD COLUMN started_mono_ms INTEGER;   -- monotonic clock of boot_id at the start
ALTER TABLE job ADD COLUMN engine_gone_ms INTEGER;    -- since when, at first, the engine was away
ALTER TABLE job ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;    -- of workers, in a row, that had it
ALTER TABLE job ADD COLUMN death_state TEXT NOT NULL DEFAULT ''; -- in this state; see poison.py
CREATE TABLE life (                      -- of the worker that has the file open, or had it last
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    journal_id TEXT NOT NULL,            -- made with the file; also in a file beside it
    boot_id    TEXT NOT NULL,
    opened_ms  INTEGER NOT NULL,
    clean      INTEGER NOT NULL CHECK (clean IN (0, 1))  -- it closed the file itself
) STRICT;
CREATE TABLE checkpoint (                -- what a job saved, the newest of each job
    job_id   TEXT PRIMARY KEY REFERENCES job (job_id),
    number   INTEGER NOT NULL,           -- from 1
    taken_ms INTEGER NOT NULL,
    manifest BLOB NOT NULL,              -- sealed CheckpointManifest; empty once the job is over
    stored   INTEGER NOT NULL CHECK (stored IN (0, 1))   -- the Oracle has all of it
) STRICT;
CREATE TABLE image (                     -- images that we pulled: no other is ever removed
    reference TEXT PRIMARY KEY,          -- noted before the pull begins
    image_id  TEXT NOT NULL DEFAULT '',  -- once it is here
    pulled_ms INTEGER NOT NULL,
    used_ms   INTEGER NOT NULL           -- when a job last needed it
) STRICT;
PRAGMA user_version = 3;

-- name: insert_job
INSERT INTO job (job_id, ticket_id, state, cpu_mhz, ram_mb, disk_mb, time_limit_s, price, image,
                 offer, admitted_ms, changed_ms)
VALUES (:job_id, :ticket_id, 'admitted', :cpu_mhz, :ram_mb, :disk_mb, :time_limit_s, :price, :image,
        :offer, :now_ms, :now_ms);

-- name: insert_seen
INSERT INTO seen_ticket (ticket_id, seen_ms) VALUES (:ticket_id, :now_ms);

-- name: reserved
SELECT COALESCE(SUM(cpu_mhz), 0), COALESCE(SUM(ram_mb), 0), COALESCE(SUM(disk_mb), 0)
FROM job WHERE state IN ('admitted', 'accepted', 'created', 'starting', 'running');

-- name: move_job
UPDATE job SET state = :new, changed_ms = :now_ms WHERE job_id = :job_id AND state = :old;

-- name: set_container
UPDATE job SET container_id = :container_id, image_id = :image_id WHERE job_id = :job_id;

-- name: set_starting
UPDATE job SET boot_id = :boot_id, started_mono_ms = :started_mono_ms WHERE job_id = :job_id;

-- name: set_started
UPDATE job SET started_ms = :started_ms, boot_id = :boot_id, started_mono_ms = :started_mono_ms
WHERE job_id = :job_id;

-- name: set_engine_gone
UPDATE job SET engine_gone_ms = :now_ms WHERE job_id = :job_id AND engine_gone_ms IS NULL;

-- name: insert_image
INSERT INTO image (reference, pulled_ms, used_ms) VALUES (:reference, :now_ms, :now_ms)
ON CONFLICT (reference) DO UPDATE SET image_id = '', pulled_ms = excluded.pulled_ms;

-- name: set_image_used
UPDATE image SET image_id = :image_id, used_ms = :now_ms WHERE reference = :reference;

-- name: delete_image
DELETE FROM image WHERE reference = :reference;

-- name: images
SELECT reference, image_id, pulled_ms, used_ms FROM image ORDER BY used_ms, reference;

-- name: set_stop
UPDATE job SET stop_reason = :reason, stop_ms = :now_ms
WHERE job_id = :job_id AND stop_reason = '';

-- name: set_end
UPDATE job SET reason = :reason, detail = :detail, exit_code = :exit_code, ran_ms = :ran_ms,
               cpu_ms = :cpu_ms, ram_peak_mb = :ram_peak_mb, finished_ms = :finished_ms
WHERE job_id = :job_id AND reason = '';

-- name: set_usage
UPDATE job SET cpu_ms = MAX(COALESCE(cpu_ms, 0), :cpu_ms),
               ram_peak_mb = MAX(COALESCE(ram_peak_mb, 0), :ram_peak_mb)
WHERE job_id = :job_id;

-- name: set_earned
UPDATE job SET earned = :earned, settlement_tx_id = :tx_id WHERE job_id = :job_id;

-- name: write_checkpoint
INSERT INTO checkpoint (job_id, number, taken_ms, manifest, stored)
VALUES (:job_id, :number, :taken_ms, :manifest, 0)
ON CONFLICT (job_id) DO UPDATE SET number = excluded.number, taken_ms = excluded.taken_ms,
    manifest = excluded.manifest, stored = 0;

-- name: checkpoint_stored
UPDATE checkpoint SET stored = 1 WHERE job_id = :job_id AND number = :number;

-- name: empty_checkpoint
UPDATE checkpoint SET manifest = x'' WHERE job_id = :job_id;

-- name: checkpoint
SELECT number, taken_ms, manifest, stored FROM checkpoint WHERE job_id = :job_id;

-- name: insert_report
INSERT INTO outbox (key, job_id, body) VALUES (:key, :job_id, :body);

-- name: report_body
SELECT body FROM outbox WHERE job_id = :job_id;

-- name: report_acked
UPDATE outbox SET acked = 1 WHERE job_id = :job_id AND acked = 0;

-- name: report_parked
UPDATE outbox SET parked = :why WHERE job_id = :job_id AND acked = 0;

-- name: outbox
SELECT outbox.job_id, outbox.parked, job.price, job.reason, job.ran_ms, job.time_limit_s,
       job.changed_ms
FROM outbox JOIN job USING (job_id) WHERE acked = 0 ORDER BY job.admitted_ms, job.job_id;

-- name: insert_event
INSERT INTO event (job_id, at_ms, what, detail) VALUES (:job_id, :now_ms, :what, :detail);

-- name: events
SELECT at_ms, what, detail FROM event WHERE job_id = :job_id ORDER BY seq;

-- name: all_jobs
SELECT * FROM job ORDER BY admitted_ms DESC, job_id LIMIT :count;

-- name: open_jobs
SELECT * FROM job WHERE state NOT IN ('settled', 'lost') ORDER BY admitted_ms, job_id;

-- name: one_job
SELECT * FROM job WHERE job_id = :job_id;

-- name: jobs_by_prefix
SELECT * FROM job WHERE job_id >= :prefix AND job_id < :prefix || 'g' ORDER BY job_id LIMIT 2;

-- name: offer
SELECT offer FROM job WHERE job_id = :job_id;

-- name: earned_total
SELECT COALESCE(SUM(earned), 0) FROM job WHERE state = 'settled';

-- name: earnings
SELECT job_id, state, reason, price, time_limit_s, ran_ms, earned, settlement_tx_id,
       admitted_ms, finished_ms, changed_ms,
       COALESCE((SELECT event.detail FROM event
                 WHERE event.job_id = job.job_id
                   AND event.what = CASE job.state WHEN 'reported' THEN 'settlement_declined'
                                                   WHEN 'signed' THEN 'receipt_refused'
                                                   WHEN 'lost' THEN 'lost' END
                 ORDER BY event.seq DESC LIMIT 1), '') AS why
FROM job WHERE :settled_too OR state NOT IN ('settled', 'lost') ORDER BY admitted_ms, job_id;

-- name: pin
SELECT url, info FROM pin WHERE only = 1;

-- name: write_pin
INSERT INTO pin (only, url, info) VALUES (1, :url, :info)
ON CONFLICT (only) DO UPDATE SET url = excluded.url, info = excluded.info;

-- name: move_pin
UPDATE pin SET url = :url WHERE only = 1;

-- name: worker
SELECT pid, version, started_s, ready, accepting, oracle_state, engine_state, note, heartbeat_s,
       hold, hold_note, sold_cpu_mhz, sold_ram_mb
FROM worker WHERE only = 1;

-- name: write_worker
INSERT INTO worker (only, pid, version, started_s, ready, accepting, oracle_state, engine_state,
                    note, heartbeat_s, hold, hold_note, sold_cpu_mhz, sold_ram_mb)
VALUES (1, :pid, :version, :started_s, :ready, :accepting, :oracle_state, :engine_state,
        :note, :heartbeat_s, :hold, :hold_note, :sold_cpu_mhz, :sold_ram_mb)
ON CONFLICT (only) DO UPDATE SET pid = excluded.pid, version = excluded.version,
    started_s = excluded.started_s, ready = excluded.ready, accepting = excluded.accepting,
    oracle_state = excluded.oracle_state, engine_state = excluded.engine_state,
    note = excluded.note, heartbeat_s = excluded.heartbeat_s,
    hold = excluded.hold, hold_note = excluded.hold_note,
    sold_cpu_mhz = excluded.sold_cpu_mhz, sold_ram_mb = excluded.sold_ram_mb;

-- name: issued
SELECT issued_s FROM registration WHERE only = 1;

-- name: write_issued
INSERT INTO registration (only, issued_s) VALUES (1, :issued_s)
ON CONFLICT (only) DO UPDATE SET issued_s = excluded.issued_s;

-- name: machine
SELECT taken_s, facts FROM machine WHERE only = 1;

-- name: write_machine
INSERT INTO machine (only, taken_s, facts) VALUES (1, :taken_s, :facts)
ON CONFLICT (only) DO UPDATE SET taken_s = excluded.taken_s, facts = excluded.facts;

-- name: machine_notes
SELECT at_ms, text FROM machine_note ORDER BY seq DESC LIMIT :count;

-- name: insert_machine_note
INSERT INTO machine_note (at_ms, text) VALUES (:now_ms, :text);

-- name: trim_machine_notes
DELETE FROM machine_note
WHERE seq <= (SELECT COALESCE(MAX(seq), 0) FROM machine_note) - :count;

-- name: trim_stories
DELETE FROM event WHERE seq IN (    -- CROSS JOIN: what is trimmed is small, jobs stay for ever
    SELECT event.seq FROM event CROSS JOIN job ON job.job_id = event.job_id
    WHERE event.at_ms < :before_ms AND job.state = 'settled' AND job.changed_ms < :before_ms
    LIMIT :count);

-- name: trim_reports
DELETE FROM outbox WHERE key IN (
    SELECT outbox.key FROM outbox CROSS JOIN job ON job.job_id = outbox.job_id
    WHERE outbox.acked = 1 AND job.state = 'settled' AND job.changed_ms < :before_ms LIMIT :count);

-- name: trim_tickets
DELETE FROM seen_ticket WHERE ticket_id IN (
    SELECT seen_ticket.ticket_id FROM seen_ticket
    CROSS JOIN job ON job.ticket_id = seen_ticket.ticket_id
    WHERE seen_ticket.seen_ms < :before_ms AND job.state IN ('settled', 'lost')
      AND job.changed_ms < :before_ms LIMIT :count);

-- name: missed
SELECT reason, count, would_pay FROM missed ORDER BY would_pay DESC, reason;

-- name: clear_missed
DELETE FROM missed;

-- name: insert_missed
INSERT INTO missed (reason, count, would_pay) VALUES (:reason, :count, :would_pay);

-- name: life
SELECT journal_id, boot_id, opened_ms, clean FROM life WHERE only = 1;

-- name: open_life
INSERT INTO life (only, journal_id, boot_id, opened_ms, clean)
VALUES (1, :journal_id, :boot_id, :opened_ms, 0)
ON CONFLICT (only) DO UPDATE SET boot_id = excluded.boot_id, opened_ms = excluded.opened_ms,
    clean = 0;

-- name: close_life
UPDATE life SET clean = 1 WHERE only = 1;

-- name: set_deaths
UPDATE job SET deaths = :deaths, death_state = :death_state WHERE job_id = :job_id;

-- name: jobs_cpu_ms
SELECT COALESCE(SUM(cpu_ms), 0) FROM job;
