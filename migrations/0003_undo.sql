-- SPDX-License-Identifier: MIT
-- How each commit can be taken back, and what was taken back. Only whoever holds the target's lock writes here: the
-- writer, or pvrelay checkpoint, rollback and seal.
--
-- A checkpoint is live unless its run was taken back as a whole (pvrelay_run.rolled_back_at): the books of such a run stay
-- as history, with its rejects and failures. Of a run that was taken back in part, and goes on from there, the
-- checkpoints beyond that point are gone. Numbers of checkpoints are never used again.

ALTER TABLE pvrelay_run ADD COLUMN sealed_at TEXT;       -- its undo, and that of all runs before it, was dropped
ALTER TABLE pvrelay_run ADD COLUMN rolled_back_at TEXT;  -- everything it committed was taken back; state 'abandoned'

-- Names that the user gave to points; several may name the same one. (pvrelay_checkpoint.name is not used.)
CREATE TABLE pvrelay_name (
    name       TEXT PRIMARY KEY,
    checkpoint INTEGER NOT NULL,                         -- the newest live one when it was given; 0: there was none yet
    made_at    TEXT NOT NULL
) WITHOUT ROWID;

-- What a commit did, by table; a table to which it did nothing has no row.
CREATE TABLE pvrelay_checkpoint_rows (
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    table_name TEXT NOT NULL,
    inserted   INTEGER NOT NULL,                         -- rows
    updated    INTEGER NOT NULL,                         -- rows
    PRIMARY KEY (checkpoint, table_name)
) WITHOUT ROWID;

-- How to take a commit back. A checkpoint without a row here cannot be taken back: it was sealed, or made with undo off.
CREATE TABLE pvrelay_undo (
    checkpoint INTEGER PRIMARY KEY REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    size       INTEGER NOT NULL,                         -- bytes of the changeset
    changes    BLOB NOT NULL                             -- the commit's changeset (SQLite's session extension), zstd; X'' if it is empty
);

-- The id counters (sqlite_sequence) that a commit moved: no changeset can hold them.
CREATE TABLE pvrelay_undo_sequence (
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    table_name TEXT NOT NULL,
    before     INTEGER,                                  -- NULL: the table had no counter yet
    after      INTEGER NOT NULL,
    PRIMARY KEY (checkpoint, table_name)
) WITHOUT ROWID;

-- The columns that a table had when a checkpoint was made, and for all after it until the next row for that table.
CREATE TABLE pvrelay_shape (
    table_name TEXT NOT NULL,
    checkpoint INTEGER NOT NULL,
    columns    TEXT NOT NULL,                            -- JSON: [[name, type, place in the primary key or 0], ...]
    PRIMARY KEY (table_name, checkpoint)
) WITHOUT ROWID;

-- What was taken back.
CREATE TABLE pvrelay_rollback (
    rollback        INTEGER PRIMARY KEY,
    reason          TEXT NOT NULL CHECK (reason IN ('operator', 'validation', 'rejects')),
    from_checkpoint INTEGER NOT NULL,                    -- newest live one before
    to_checkpoint   INTEGER NOT NULL,                    -- newest live one after; 0: none
    checkpoints     INTEGER NOT NULL,                    -- how many were taken back
    rows_deleted    INTEGER NOT NULL,
    rows_restored   INTEGER NOT NULL,
    rows_left       INTEGER NOT NULL,                    -- changes that were not taken back, for others' sake
    made_at         TEXT NOT NULL
);
