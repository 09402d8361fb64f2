/* SPDX-License-Identifier: MIT */
/* Verdicts in the target's books: validated or not, failures, findings, tallies; each commit's exactly once. */
#include <inttypes.h>
#include <string.h>

#include "common/failure.h"
#include "writer/target_run.h"
#include "writer/target_sqlite.h"

enum { S_FAILURES_MAX = 1000 };

/* A verdict about something that is not there is the peer's mistake, and no reason to give up the batch. */
static int s_verdict_known(pr_target_t *target, int64_t run, int64_t checkpoint, pr_error_t *err) {
    pr_position_t at;
    pr_run_state_t state;
    if (checkpoint == 0)
        return pr_target_run_position(target, run, &at, &state, err);
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_CHECKPOINT_KNOWN, "ii", run, checkpoint);
    bool open = target->batch.open && target->batch.checkpoint == checkpoint;
    int step = sqlite3_step(statement);
    int result = 0;
    if (step == SQLITE_DONE || (step == SQLITE_ROW && open))
        result = pr_error_set(err, PR_E_PROTOCOL, "%s: run %" PRId64 " has no checkpoint %" PRId64, target->path, run,
                              checkpoint);
    else if (step != SQLITE_ROW)
        result = pr_target_fail(target, err, "reading checkpoint %" PRId64, checkpoint);
    sqlite3_reset(statement);
    return result;
}

static int s_put_failure(pr_target_t *target, int64_t run, int64_t checkpoint, const pr_failure_t *failure,
                         pr_error_t *err) {
    return pr_target_do(target, PR_SQL_FAILURE_INSERT, err, "iitttttttii", run, checkpoint,
                        pr_failure_word(failure->kind), failure->stream, failure->table, failure->key, failure->column,
                        failure->expected, failure->stored, (int64_t)failure->source, (int64_t)failure->offset);
}

static int s_put_finding(pr_target_t *target, int64_t checkpoint, const pr_finding_t *finding, pr_error_t *err) {
    return pr_target_do(target, PR_SQL_PROOF_FINDING, err, "itttiiit", checkpoint, finding->kind, finding->stream,
                        finding->field, (int64_t)finding->count, (int64_t)finding->source, (int64_t)finding->ordinal,
                        finding->detail);
}

static int s_put_tally(pr_target_t *target, int64_t checkpoint, const pr_proof_tally_t *tally, pr_error_t *err) {
    return pr_target_do(target, PR_SQL_TALLY, err, "itttii", checkpoint, tally->stream, tally->group, tally->value,
                        (int64_t)tally->count, (int64_t)tally->rows);
}

/* The checkpoint that a verdict of the whole is about. */
static int s_finish_checkpoint(pr_target_t *target, int64_t run, int64_t *ret_checkpoint, pr_error_t *err) {
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_CHECKPOINT_FINISHED, "i", run);
    int step = sqlite3_step(statement);
    int result = 0;
    if (step == SQLITE_ROW)
        *ret_checkpoint = sqlite3_column_int64(statement, 0);
    else if (step == SQLITE_DONE)
        result = pr_error_set(err, PR_E_PROTOCOL, "%s: run %" PRId64 " is not finished, and is judged as a whole",
                              target->path, run);
    else
        result = pr_target_fail(target, err, "reading the last checkpoint of run %" PRId64, run);
    sqlite3_reset(statement);
    return result;
}

/* What the verdict says, besides its one word. checkpoint 0: of the whole; books: the checkpoint it is kept with. */
static int s_put_list(pr_target_t *target, int64_t run, int64_t checkpoint, int64_t books, const pr_proof_list_t *list,
                      pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < list->failures_count && i < S_FAILURES_MAX; i++)
        result = s_put_failure(target, run, checkpoint, &list->failures[i], err);
    for (size_t i = 0; result == 0 && i < list->findings_count; i++)
        result = s_put_finding(target, books, &list->findings[i], err);
    for (size_t i = 0; result == 0 && i < list->tallies_count; i++)
        result = s_put_tally(target, books, &list->tallies[i], err);
    return result;
}

static int s_put_whole(pr_target_t *target, int64_t run, const pr_proof_list_t *list, pr_error_t *err) {
    int64_t finish = 0;
    int result = s_finish_checkpoint(target, run, &finish, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_FAILURE_FORGET_WHOLE, err, "i", run);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_PROOF_FORGET_WHOLE, err, "i", finish);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_CHECKPOINT_VERDICT_WHOLE, err, "ii", run,
                              (int64_t)(list->failures_total == 0 ? 1 : 2));
    return result == 0 ? s_put_list(target, run, 0, finish, list, err) : result;
}

/* The first verdict counts: a later one finds the checkpoint judged, and adds nothing. */
static int s_put_commit(pr_target_t *target, int64_t run, int64_t checkpoint, const pr_proof_list_t *list,
                        pr_error_t *err) {
    int result = pr_target_do(target, PR_SQL_CHECKPOINT_VERDICT, err, "iii", run, checkpoint,
                              (int64_t)(list->failures_total == 0 ? 1 : 2));
    if (result < 0 || sqlite3_changes(target->db) == 0)
        return result;
    return s_put_list(target, run, checkpoint, checkpoint, list, err);
}

static int s_put(pr_target_t *target, int64_t run, int64_t checkpoint, const pr_proof_list_t *list, pr_error_t *err) {
    return checkpoint == 0 ? s_put_whole(target, run, list, err) : s_put_commit(target, run, checkpoint, list, err);
}

int pr_target_verdict(pr_target_t *target, int64_t run, int64_t checkpoint, const pr_proof_list_t *list,
                      pr_error_t *err) {
    int result = pr_target_again(target, err);
    if (result == 0)
        result = s_verdict_known(target, run, checkpoint, err);
    if (result < 0)
        return result;
    if (target->batch.open) {
        pr_error_t local = PR_ERROR_INIT;
        result = s_put(target, run, checkpoint, list, &local);
        return pr_target_stick(target, result, &local, err);
    }
    result = pr_target_own_begin(target, err);
    if (result < 0)
        return result;
    return pr_target_own_end(target, s_put(target, run, checkpoint, list, err), err);
}
