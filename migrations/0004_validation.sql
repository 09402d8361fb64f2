-- SPDX-License-Identifier: MIT
-- What the proof needs to know beyond the rows, and what it has seen, by commit; so that a validator may be killed and
-- started again at any time, and nothing is counted twice.

-- Shared rows (mode ensure: clients, projects, technicians) that a commit inserted. What is here was made by us and must be
-- what the first record that needed it says; a shared row that is not here was there before, and only its key is ours.
CREATE TABLE pvrelay_made (
    table_name TEXT NOT NULL,
    row_id     INTEGER NOT NULL,
    run        INTEGER NOT NULL REFERENCES pvrelay_run (run) ON DELETE CASCADE,
    checkpoint INTEGER NOT NULL,
    source     INTEGER NOT NULL,                         -- the record that made it
    ordinal    INTEGER NOT NULL,
    PRIMARY KEY (table_name, row_id)
) WITHOUT ROWID;

-- Findings of the validator about a commit (of the whole: the finish checkpoint); a repeated verdict replaces them.
CREATE TABLE pvrelay_proof_finding (
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    stream     TEXT NOT NULL,
    field      TEXT NOT NULL,
    count      INTEGER NOT NULL,
    source     INTEGER NOT NULL,                         -- the first one's place
    ordinal    INTEGER NOT NULL,
    detail     TEXT,
    PRIMARY KEY (checkpoint, kind, stream, field)
) WITHOUT ROWID;

-- How many accepted records of a commit have this value in this group, as the validator's own parser read them from the
-- export: the distribution that the target must show.
CREATE TABLE pvrelay_tally (
    checkpoint INTEGER NOT NULL REFERENCES pvrelay_checkpoint (checkpoint) ON DELETE CASCADE,
    stream     TEXT NOT NULL,
    group_key  TEXT NOT NULL,                            -- value of the distribution's group field, as text
    value      TEXT NOT NULL,                            -- value of the distributed field, as text; '' for NULL
    count      INTEGER NOT NULL,
    rows       INTEGER NOT NULL,                         -- checksum of the ids of the rows that these records were proved to be
    PRIMARY KEY (checkpoint, stream, group_key, value)
) WITHOUT ROWID;
