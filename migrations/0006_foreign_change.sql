-- SPDX-License-Identifier: MIT
-- What pvrelay last stored in its rows, so that a row which others changed since is not overwritten without a word; and
-- what became of such rows.

-- Columns that digests of a table's rows are made of: those that a replay would change, in the mapping's order. Never deleted.
CREATE TABLE pvrelay_row_shape (
    shape      INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    columns    TEXT NOT NULL,                            -- JSON: [name, ...]
    UNIQUE (table_name, columns)
);

-- Digests of the rows that a commit inserted or changed, as it left them, by pages of row ids. Of a row the newest
-- checkpoint's digest counts. A rollback deletes those of the checkpoints that it takes back.
CREATE TABLE pvrelay_row_digest (
    table_name TEXT NOT NULL,
    page       INTEGER NOT NULL,                         -- row id / 16384, rounded down
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    shape      INTEGER NOT NULL REFERENCES pvrelay_row_shape (shape),
    digests    BLOB NOT NULL                             -- common/row_digest.c: runs of row ids, then 6 bytes a row
);
CREATE UNIQUE INDEX pvrelay_row_digest_page ON pvrelay_row_digest (table_name, page, checkpoint);
CREATE INDEX pvrelay_row_digest_checkpoint ON pvrelay_row_digest (checkpoint);

-- A row that a record was to change and that was not as pvrelay last stored it. Of a row the newest checkpoint's entry
-- counts; a rollback deletes those of the checkpoints that it takes back.
CREATE TABLE pvrelay_foreign_change (
    table_name TEXT NOT NULL,
    row_id     INTEGER NOT NULL,
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    ordinal    INTEGER NOT NULL,                         -- the record, within its source
    run        INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    source     INTEGER NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('rejected', 'kept', 'overwritten', 'written')), -- written: ours again, after it was kept
    detail     TEXT,                                     -- each column: what was there, what the export says
    PRIMARY KEY (table_name, row_id, checkpoint, ordinal)
) WITHOUT ROWID;
CREATE INDEX pvrelay_foreign_change_checkpoint ON pvrelay_foreign_change (checkpoint);
