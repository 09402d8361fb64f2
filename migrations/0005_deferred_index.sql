-- SPDX-License-Identifier: MIT
-- Indexes of empty tables that a run has put off until its rows are in: what is listed here is to be built, by the run at its end, or by
-- whoever ends the run otherwise. Nothing else is lost when it is not: no index that is UNIQUE is put off.
CREATE TABLE pvrelay_deferred_index (
    name       TEXT PRIMARY KEY,
    table_name TEXT NOT NULL,
    sql        TEXT NOT NULL,                            -- the statement that makes it
    run        INTEGER NOT NULL REFERENCES pvrelay_run (run)
) WITHOUT ROWID;
