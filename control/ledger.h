/* SPDX-License-Identifier: MIT */
/* Reading pvrelay's bookkeeping in a target (migrations/0002_pvrelay.sql to 0006_foreign_change.sql). Never writes. */
#ifndef PR_LEDGER_H
#define PR_LEDGER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* A run, and sums over its checkpoints. Strings are never NULL. */
typedef struct {
    int64_t number;
    char id[37];
    char kind[16];  /* replay, retry */
    char state[16]; /* streaming, proving, complete, abandoned */
    char started_at[32];
    char ended_at[32];       /* "" while not ended */
    char rolled_back_at[32]; /* "" unless everything it committed was taken back; then the state is abandoned */
    char sealed_at[32];      /* "" unless its undo was dropped; both are "" in books without undo */
    char mapping[128];
    char error[1024];
    double seconds;
    int outcome; /* exit code; -1 while not ended */
    int64_t retries_through;
    uint64_t source, ordinal, offset; /* position, as the last commit left it */
    int64_t next_source;              /* the first one behind it that has records; -1: none */
    uint64_t total;                   /* records of its sources */
    uint64_t records, written, unchanged, rejected, validated;
    uint64_t checkpoints, unvalidated;
    int64_t checkpoint; /* newest; 0: none */
    uint64_t failures;
    uint64_t rejects_open; /* not yet tried again; 0 of a run that was taken back */
} pr_ledger_run_t;

/* Sums over the sources of one stream in a run. */
typedef struct {
    char name[128];
    uint64_t total; /* records of the exports */
    uint64_t bytes;
    uint64_t read, written, unchanged, rejected;
    uint64_t validated; /* accepted records in checkpoints all of whose rows were proved */
} pr_ledger_stream_t;

/*  Open a database to read it; to write it there needs no right. Returns 1, 0 if there is no such file, or <0 (-PR_E_TARGET,
 *  also for a file that is no database). ret_db: *returns new*, pr_ledger_close it. */
int pr_ledger_open(const char *path, sqlite3 **ret_db, pr_error_t *err);

/*  Close it. result: of what was done with it; returned, unless the database was written to while it was read without
 *  the right to write (pr_sql_unchanged): then -PR_E_TARGET_LOCKED, whatever err held. db NULL: nothing. */
int pr_ledger_close(sqlite3 *db, int result, pr_error_t *err);

/* The same as pr_ledger_open for a database that must be there: 0, or -PR_E_TARGET if it is not. */
int pr_ledger_open_there(const char *path, sqlite3 **ret_db, pr_error_t *err);

/* Has a run of pvrelay been here? 0, or -PR_E_TARGET_SCHEMA, which says what to do. path: as the user gave it. */
int pr_ledger_check_books(sqlite3 *db, const char *path, pr_error_t *err);

/* Prepare SQL; -PR_E_TARGET… with SQLite's words. ret_statement: *returns new*. */
int pr_ledger_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, pr_error_t *err);
/* One step: 1 a row, 0 the end, <0. */
int pr_ledger_step(sqlite3 *db, sqlite3_stmt *statement, pr_error_t *err);

/* A column as text, "" for NULL. Borrowed until the next step. */
const char *pr_ledger_text(sqlite3_stmt *statement, int column);

/* The same into a buffer, escaped for people (common/text.h). */
void pr_ledger_take(sqlite3_stmt *statement, int column, char *ret_text, size_t room);

/*  All runs, oldest first; none if there are no bookkeeping tables. id: only this one (UUID), NULL: all.
 *  ret_runs: *returns new* (free). */
int pr_ledger_runs(sqlite3 *db, const char *id, pr_ledger_run_t **ret_runs, size_t *ret_count, pr_error_t *err);

/* How it stands, for people: its state, or "rolled back". Borrowed. */
const char *pr_ledger_state(const pr_ledger_run_t *run);

/* The unfinished run (streaming or proving). 1 found, 0 none, <0. */
int pr_ledger_unfinished(sqlite3 *db, pr_ledger_run_t *ret_run, pr_error_t *err);

/*  The error that a run is not finished, with the command that finishes it. db: open on target. Returns
 *  -PR_E_UNFINISHED. */
int pr_ledger_refuse(sqlite3 *db, const char *target, const pr_ledger_run_t *run, pr_error_t *err);

/* Streams of a run, in the order in which they are applied. *Returns new* (free). */
int pr_ledger_streams(sqlite3 *db, int64_t run, pr_ledger_stream_t **ret_streams, size_t *ret_count, pr_error_t *err);

/*  What was noticed in a run, by the transformer and by the proof, as the rows of a statement: kind, stream, field,
 *  count, detail (NULL: none), path of the first one's export (NULL: it has no place), ordinal of its record. One row for
 *  each kind, stream and field, in this order. ret_statement: *returns new*, the run bound. */
int pr_ledger_findings(sqlite3 *db, int64_t run, sqlite3_stmt **ret_statement, pr_error_t *err);

/* Is there a run of this number among these, oldest first? path: the target, for the message. -PR_E_USAGE if there is none. */
int pr_ledger_check_run(const char *path, const pr_ledger_run_t *runs, size_t count, int64_t run, pr_error_t *err);

#endif
