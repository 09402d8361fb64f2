/* SPDX-License-Identifier: MIT */
/* The target: where rows, positions and rejects are committed together. Today SQLite; another one would implement this
 * header. */
#ifndef PR_TARGET_H
#define PR_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/failure.h"
#include "common/foreign_change.h"
#include "common/mapping.h"
#include "common/null_text.h"
#include "common/plan.h"
#include "common/position.h"
#include "common/rollback.h"
#include "common/rows.h"

typedef struct pr_target pr_target_t;

/* How a run stands, as the target has it. */
typedef enum { PR_RUN_STREAMING, PR_RUN_PROVING, PR_RUN_COMPLETE, PR_RUN_ABANDONED } pr_run_state_t;

typedef struct {
    int64_t number; /* pvrelay_run.run */
    char id[37];    /* UUID, NUL-terminated */
    pr_run_state_t state;
    uint64_t mapping_digest;
    pr_null_text_t null_text;
    uint64_t plan_digest;
    pr_position_t position; /* committed; normalised against the run's sources */
    int64_t checkpoint;     /* newest of the run, 0: none */
    int64_t unvalidated;    /* checkpoints of the run without a verdict */
    bool taken_back;        /* everything it committed was taken back; state abandoned */
    uint64_t rejected;      /* records, so far */
    uint64_t validated;     /* records accepted, of checkpoints without failure */
    uint64_t failures;      /* that the target keeps; at least one of each checkpoint that has any */
    double seconds;         /* spent on it until it was found */
    int outcome;            /* exit code; -1 while not ended */
} pr_target_run_t;

/*  Open a target. A file that is not there, an empty one, and a HUB without our books are only looked at, and stay as they
 *  are until pr_target_run_begin; a file that was made then, and in which no run began, destroy takes away. It takes the lock (waits as common/lock_wait.h says; -PR_E_TARGET_LOCKED names the holder), apply the
 *  migrations to a fresh database (none of its own tables), add only the bookkeeping to one with tables, check that
 *  every mapped table and column is there (-PR_E_TARGET_SCHEMA lists all that lack, but for optional ones, which are
 *  then left out), turn triggers off on this connection, foreign_keys on, WAL, synchronous NORMAL. mapping: borrowed
 *  until destroy. ret_target: *returns new*. May block. */
int pr_target_open(const char *path, const char *migrations, const pr_mapping_t *mapping, pr_target_t **ret_target,
                   pr_error_t *err);

/*  Keep with every commit from here on how it can be taken back (common/undo.h). Errors: -PR_E_TARGET_SCHEMA (a table
 *  whose changes cannot be recorded), -PR_E_TARGET…. */
int pr_target_keep_undo(pr_target_t *target, pr_error_t *err);

/*  Is the database that is open still the one at the path? 0, also while none has been written to, or -PR_E_TARGET, which
 *  says what to do; nothing is committed to it then. */
int pr_target_check_place(pr_target_t *target, pr_error_t *err);

/* What becomes of rows that are not as pvrelay last stored them, from here on. At first their records are rejected. */
void pr_target_on_foreign_change(pr_target_t *target, pr_foreign_policy_t policy);

/* Rolls back what is open, closes, releases the lock. NULL-safe. */
void pr_target_destroy(pr_target_t **target);

/*  Find a run by UUID, or with id NULL the unfinished one (streaming or proving). 1 found, 0 none, <0 error. */
int pr_target_run_find(pr_target_t *target, const char *id, pr_target_run_t *ret_run, pr_error_t *err);

/* What a new run is. */
typedef struct {
    const char *id; /* UUID */
    pr_null_text_t null_text;
    int64_t retries_through; /* > 0: a retry of the rejects up to this number */
    const pr_plan_t *plan;
} pr_target_run_new_t;

/*  Begin a run: its row and its sources, in one transaction; of a large one, indexes of empty tables are put off
 *  (common/deferred_index.h). Refuses (-PR_E_UNFINISHED) while another one is unfinished. */
int pr_target_run_begin(pr_target_t *target, const pr_target_run_new_t *run, pr_target_run_t *ret_run, pr_error_t *err);

/* Abandon an unfinished run: it cannot be continued any more; what it committed stays. On the disk when it returns. */
int pr_target_run_abandon(pr_target_t *target, int64_t run, pr_error_t *err);

/* The plan a run was begun with (paths, sizes, digests, records). *Returns new* in ret_plan. */
int pr_target_run_plan(pr_target_t *target, int64_t run, pr_plan_t **ret_plan, pr_error_t *err);

/* Note why a run stopped before its end (pvrelay_run.error), and add to its time. text NULL: none. On the disk when it
 * returns. */
int pr_target_run_stopped(pr_target_t *target, int64_t run, const char *text, double seconds, pr_error_t *err);

/* Counts of one batch, by record and by row. */
typedef struct {
    uint64_t inserted, updated, unchanged, rejected; /* records */
    uint64_t rows_inserted, rows_updated;
} pr_target_counts_t;

/*  One batch, one transaction: begin, then apply for every record in order, note, verdicts as they are at hand, commit.
 *  Records may wait and be written together, the last of them by commit: their texts must live until commit or rollback.
 *  Sticky: after a failure every call but rollback returns the same error, and nothing is committed. */
int pr_target_batch_begin(pr_target_t *target, int64_t run, const pr_plan_source_t *source, pr_range_t range,
                          pr_error_t *err);

/*  Apply one record: an accepted one makes its rows (or becomes a reject here: unknown_parent, constraint, changed_in_target — then
 *  nothing of it stays, and its raw bytes are `raw`, which the caller has at hand or reads from the export), a rejected
 *  one is stored. read_raw is called only when the target itself rejects, perhaps a record that has waited, at most once for each; it fills ret_raw (borrowed till
 *  the next call) or fails. It must be the same for all records of a batch. ordinal: within the source. */
typedef int pr_target_raw_fn(void *context, uint64_t offset, uint32_t length, pr_value_t *ret_raw, pr_error_t *err);
int pr_target_apply(pr_target_t *target, const pr_stream_t *stream, const pr_rows_record_t *record, uint64_t ordinal,
                    pr_target_raw_fn *read_raw, void *context, pr_error_t *err);

/* Count a finding in the open batch. */
int pr_target_note(pr_target_t *target, const pr_stream_t *stream, const pr_note_t *note, pr_error_t *err);

/*  Record a verdict: checkpoint validated (1) or with failures (2), with up to the first 1,000 of them, the findings and
 *  the tallies. checkpoint 0: of the whole, whose findings are those of the finish checkpoint. Inside an open batch it
 *  joins it, else it is a transaction of its own. Of a commit the first verdict counts, and repeating it changes nothing;
 *  one of the whole replaces the one before. */
int pr_target_verdict(pr_target_t *target, int64_t run, int64_t checkpoint, const pr_proof_list_t *list,
                      pr_error_t *err);

/*  Commit: rows, rejects, findings, checkpoint and the run's new position. digest: of the batch's bytes.
 *  ret_counts, ret_checkpoint: untouched on failure. A failed COMMIT is rolled back. */
int pr_target_batch_commit(pr_target_t *target, uint64_t digest, pr_target_counts_t *ret_counts,
                           int64_t *ret_checkpoint, pr_error_t *err);
void pr_target_batch_rollback(pr_target_t *target);

/*  After the last batch: derived columns of the rows the run dealt with, a checkpoint of kind finish, the state `proving`;
 *  one transaction. */
int pr_target_run_finish(pr_target_t *target, int64_t run, int64_t *ret_checkpoint, pr_error_t *err);

/* Size of the target; 0 if it cannot be read just now. Not while a statement of this connection is at work. */
uint64_t pr_target_bytes(pr_target_t *target);

/*  How many indexes that were put off are not built yet? Returns that or <0. ret_rows: how many rows they will have to
 *  take, as far as these are there, added up. */
int pr_target_indexes_left(pr_target_t *target, uint64_t *ret_rows, pr_error_t *err);

/*  Build one of these indexes, in a transaction of its own. Returns 1, 0 if none is left, or <0. May block
 *  for long. */
int pr_target_build_index(pr_target_t *target, pr_error_t *err);

/*  After the proof: state `complete`, outcome, time; a retry marks the rejects it tried again. One transaction. When it returns
 *  all of the run is on the disk, whoever else has the database open; what cannot be synced is an error. */
int pr_target_run_complete(pr_target_t *target, int64_t run, int outcome, double seconds, pr_error_t *err);

/* How a run that is taken back ends. */
typedef struct {
    pr_rollback_reason_t reason;
    int outcome;      /* exit code */
    const char *text; /* why, as pr_target_run_stopped */
    double seconds;   /* as there */
} pr_target_take_back_t;

/*  Put the target back to where this run began, and end the run; all or nothing. What is open is rolled back first. After it
 *  the target can only be destroyed; if it fails, it is as it was. Errors: those of pr_rollback; with -PR_E_CONFLICT the
 *  text says how many and how to see them. May block for long. */
int pr_target_run_take_back(pr_target_t *target, int64_t run, const pr_target_take_back_t *how, pr_error_t *err);

/* A commit that waits for its verdict. */
typedef struct {
    int64_t checkpoint;
    pr_range_t range;
    uint64_t digest; /* of the batch's bytes */
    uint64_t rejected;
    const char *stream; /* borrowed from the mapping; NULL: it has none of that name */
    bool rows_known;
    uint64_t rows_sum; /* sum of pr_proof_mix over the ids of the rows that its records are, if rows_known */
} pr_target_commit_t;

/*  The run's batch checkpoints without a verdict, after checkpoint `after`, oldest first, at most max.
 *  Returns how many were put into commits, or <0. */
int pr_target_unvalidated(pr_target_t *target, int64_t run, int64_t after, pr_target_commit_t *commits, size_t max,
                          pr_error_t *err);

/*  What the books say of a run, for the proof of the whole: batch checkpoints, their records, their rejects; records
 *  tallied, checksum of their rows. */
enum { PR_TARGET_BOOKS = 5 };
int pr_target_books(pr_target_t *target, int64_t run, uint64_t ret_numbers[PR_TARGET_BOOKS], pr_error_t *err);

#endif
