-- SPDX-License-Identifier: MIT
-- pvrelay's own bookkeeping, in the target beside the data. Only the writer writes here; a batch's rows, its checkpoint,
-- its rejects and the run's position commit in one transaction.

-- A run: one replay of a set of exports into this database.
CREATE TABLE pvrelay_run (
    run             INTEGER PRIMARY KEY,                 -- number, from 1
    id              TEXT NOT NULL UNIQUE,                -- UUID that every message of the run carries
    kind            TEXT NOT NULL DEFAULT 'replay' CHECK (kind IN ('replay', 'retry')),
    state           TEXT NOT NULL CHECK (state IN ('streaming', 'proving', 'complete', 'abandoned')),
    mapping_name    TEXT NOT NULL,
    mapping_digest  TEXT NOT NULL,                       -- XXH3-64 of the mapping file, 16 hex digits
    null_text       TEXT NOT NULL CHECK (null_text IN ('null', 'keep')),
    plan_digest     TEXT NOT NULL,                       -- XXH3-64 over the sources, 16 hex digits
    started_at      TEXT NOT NULL,                       -- UTC, YYYY-MM-DD HH:MM:SS, as all times here
    ended_at        TEXT,
    seconds         REAL NOT NULL DEFAULT 0,             -- time spent on it, over all its continuations
    source          INTEGER NOT NULL DEFAULT 0,          -- position: index of the source, from 0
    ordinal         INTEGER NOT NULL DEFAULT 0,          -- position: records of that source that are in
    "offset"        INTEGER NOT NULL DEFAULT 0,          -- position: byte after the last of them
    retries_through INTEGER,                             -- kind 'retry': the rejects up to this number were tried again
    outcome         INTEGER,                             -- exit code it ended with
    error           TEXT                                 -- why it last stopped before its end
);

-- A source: the records of one stream in one export file, in the order in which they are applied.
CREATE TABLE pvrelay_source (
    run        INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    source     INTEGER NOT NULL,                         -- index, from 0
    path       TEXT NOT NULL,                            -- absolute
    stream     TEXT NOT NULL,                            -- '' if the file holds no record at all
    size       INTEGER NOT NULL,                         -- bytes of the file
    mtime_ns   INTEGER NOT NULL,
    digest     TEXT NOT NULL,                            -- XXH3-64 of the file, 16 hex digits
    wrangler   INTEGER NOT NULL,                         -- 1: result sets of wrangler, where the text "null" may stand for NULL
    records    INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,                         -- from the first byte of its first record to the end of its last
    PRIMARY KEY (run, source)
) WITHOUT ROWID;

-- A checkpoint: one commit.
CREATE TABLE pvrelay_checkpoint (
    checkpoint    INTEGER PRIMARY KEY AUTOINCREMENT,
    run           INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    kind          TEXT NOT NULL CHECK (kind IN ('batch', 'finish')), -- finish: derived columns, after the last batch
    source        INTEGER NOT NULL,
    first_ordinal INTEGER NOT NULL,
    records       INTEGER NOT NULL,
    begin_offset  INTEGER NOT NULL,
    end_offset    INTEGER NOT NULL,
    digest        TEXT NOT NULL,                         -- XXH3-64 of the bytes [begin_offset, end_offset), 16 hex digits
    inserted      INTEGER NOT NULL,                      -- records: at least one row inserted
    updated       INTEGER NOT NULL,                      -- records: no row inserted, at least one changed
    unchanged     INTEGER NOT NULL,
    rejected      INTEGER NOT NULL,
    rows_inserted INTEGER NOT NULL,
    rows_updated  INTEGER NOT NULL,
    committed_at  TEXT NOT NULL,
    name          TEXT UNIQUE,                           -- given by the user
    validated     INTEGER NOT NULL DEFAULT 0 CHECK (validated IN (0, 1, 2)) -- 1: every row proved, 2: with failures
);
CREATE INDEX pvrelay_checkpoint_run ON pvrelay_checkpoint (run, source, first_ordinal);
CREATE INDEX pvrelay_checkpoint_unvalidated ON pvrelay_checkpoint (run, checkpoint) WHERE validated = 0;

-- A record that was not taken over.
CREATE TABLE pvrelay_reject (
    reject     INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    source     INTEGER NOT NULL,
    stream     TEXT NOT NULL,
    ordinal    INTEGER NOT NULL,                         -- within its source, from 0
    "offset"   INTEGER NOT NULL,                         -- of its first byte in the file
    length     INTEGER NOT NULL,                         -- bytes
    reason     TEXT NOT NULL,
    field      TEXT,
    detail     TEXT,
    raw        BLOB NOT NULL,                            -- the record's bytes
    wrangler   INTEGER NOT NULL,                         -- as the source's
    retried_by INTEGER REFERENCES pvrelay_run (run) ON DELETE SET NULL
);
CREATE INDEX pvrelay_reject_checkpoint ON pvrelay_reject (checkpoint);
CREATE INDEX pvrelay_reject_run ON pvrelay_reject (run);

-- Something noticed that rejects nothing: counted by kind, stream and field.
CREATE TABLE pvrelay_finding (
    run     INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    stream  TEXT NOT NULL,
    field   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    source  INTEGER NOT NULL,                            -- the first one's place
    ordinal INTEGER NOT NULL,
    detail  TEXT,
    PRIMARY KEY (run, kind, stream, field)
) WITHOUT ROWID;

-- What the validator found wrong.
CREATE TABLE pvrelay_failure (
    failure     INTEGER PRIMARY KEY,
    run         INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    checkpoint  INTEGER,                                 -- NULL: found by the proof of the whole
    kind        TEXT NOT NULL CHECK (kind IN ('mismatch', 'missing', 'extra', 'whole')),
    stream      TEXT NOT NULL,
    table_name  TEXT NOT NULL,
    row_key     TEXT NOT NULL,
    column_name TEXT NOT NULL,
    expected    TEXT NOT NULL,
    stored      TEXT NOT NULL,
    source      INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL
);
CREATE INDEX pvrelay_failure_run ON pvrelay_failure (run);

-- Rows that the run dealt with and that have derived columns.
CREATE TABLE pvrelay_touched (
    run        INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    table_name TEXT NOT NULL,
    row_id     INTEGER NOT NULL,
    PRIMARY KEY (run, table_name, row_id)
) WITHOUT ROWID;
