/* SPDX-License-Identifier: MIT */
/* Points to which a target can be put back: checkpoints by number, by name, by what they are. */
#ifndef PR_ROLLBACK_POINT_H
#define PR_ROLLBACK_POINT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* The target as it was right after a checkpoint. */
typedef struct {
    int64_t checkpoint; /* 0: before the first */
    int64_t run;        /* its run; 0 with checkpoint 0 */
    bool reopen;        /* the run goes on from there; false: it stays as it is, only later runs are taken back */
} pr_rollback_point_t;

/* Newest live checkpoint (of a run that was not taken back); 0: none. */
int pr_checkpoint_newest(sqlite3 *db, int64_t *ret_checkpoint, pr_error_t *err);

/*  Find the point that a word names: a number (0: before everything), a name given by the user, start-of-run (of the run
 *  with the newest live checkpoint, or of the unfinished one), start-of-run=RUN, last-validated (the newest point of the
 *  newest run up to which all of that run is proved; the point before it, if nothing of it is).
 *  Errors: -PR_E_USAGE (no such checkpoint, name or run; taken back already), with what there is; -PR_E_TARGET…. */
int pr_rollback_point_find(sqlite3 *db, const char *word, pr_rollback_point_t *ret_point, pr_error_t *err);

/* Where run `run` began. Errors as above. */
int pr_rollback_point_start(sqlite3 *db, int64_t run, pr_rollback_point_t *ret_point, pr_error_t *err);

/*  Is this a name that a user may give? 1 to 64 bytes of UTF-8 without white space, control characters and '=', no
 *  number, none of the words above. -PR_E_USAGE says what is wrong. */
int pr_checkpoint_check_name(const char *name, pr_error_t *err);

/*  Name the newest live checkpoint. One transaction; the target's lock must be held.
 *  ret_checkpoint: which it was. Errors: -PR_E_USAGE (not a name; taken already, and by what), -PR_E_TARGET…. */
int pr_checkpoint_name(sqlite3 *db, const char *name, int64_t *ret_checkpoint, pr_error_t *err);

/* Take a name away. -PR_E_USAGE: there is no such name. */
int pr_checkpoint_unname(sqlite3 *db, const char *name, pr_error_t *err);

/* What a seal gave up. */
typedef struct {
    int64_t run;          /* the newest run sealed */
    uint64_t checkpoints; /* that can no longer be taken back, and could before */
    uint64_t bytes;       /* of undo that were dropped */
} pr_seal_t;

/*  End the reversibility of a run and of all before it (0: of all runs): drop their undo, keep everything else. One
 *  transaction; the target's lock must be held. An unfinished run cannot be sealed: -PR_E_UNFINISHED; there is no such
 *  run: -PR_E_USAGE. Names of points that can no longer be reached stay: they still tell when they were. */
int pr_seal(sqlite3 *db, int64_t run, pr_seal_t *ret_seal, pr_error_t *err);

#endif
