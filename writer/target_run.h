/* SPDX-License-Identifier: MIT */
/* What the parts of the target that keep the books share: transactions, sticky errors, the run at hand. */
#ifndef PR_TARGET_RUN_H
#define PR_TARGET_RUN_H

#include "common/error.h"
#include "writer/target_sqlite.h"

/* A transaction of its own around bookkeeping: begin; then, with what the work between gave, commit or roll back. */
int pr_target_own_begin(pr_target_t *target, pr_error_t *err);
int pr_target_own_end(pr_target_t *target, int result, pr_error_t *err);

/* From now on every commit is on the disk when it returns (or, as usual, with the next checkpoint of the WAL). Outside any
 * transaction. */
int pr_target_commit_to_disk(pr_target_t *target, bool at_once, pr_error_t *err);

/* COMMIT; after a failure the transaction is rolled back, whatever SQLite left of it, and nothing is remembered from
 * it. */
int pr_target_commit(pr_target_t *target, pr_error_t *err);
void pr_target_roll_back(pr_target_t *target);

/* Nothing is counted by table. */
void pr_target_tables_clear(pr_target_t *target);

/* The end of a commit: its rows by table, and its undo, in the open transaction. */
int pr_target_checkpoint_settle(pr_target_t *target, int64_t checkpoint, pr_error_t *err);

/* Make the run's sources the ones at hand (target->run_records). A run that does not exist has none. */
int pr_target_run_at_hand(pr_target_t *target, int64_t run, pr_error_t *err);

/* Where the run stands, normalised, and its state. -PR_E_INTERNAL if there is no such run. */
int pr_target_run_position(pr_target_t *target, int64_t run, pr_position_t *ret_position, pr_run_state_t *ret_state,
                           pr_error_t *err);

/* The error that an earlier call left, again. 0 if there is none. */
int pr_target_again(const pr_target_t *target, pr_error_t *err);

/* Word of a state, as stored. */
const char *pr_target_state_word(pr_run_state_t state);

#endif
