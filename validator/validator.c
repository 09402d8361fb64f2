/* SPDX-License-Identifier: MIT */
/* The validator's part of the protocol: COMMIT and FINISH in, VERDICT out. */
/*  DESIGN
 *
 *  No state that matters: the writer keeps which commits have no verdict and sends them again to a validator it has not
 *  heard of before. The proof is opened with the first message of a run, and anew when the run changes.
 */
#include "validator/validator.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/failure.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/outbox.h"
#include "common/sql_alive.h"
#include "validator/proof.h"

enum { s_failures_max = 1000 }; /* of one commit that are told one by one; all are counted */

typedef struct {
    pr_daemon_t *daemon;
    pr_proof_t *proof;
    pr_run_id_t proof_run;
    pr_proof_list_t *list;
    pr_outbox_t outbox; /* a VERDICT that waits for room */
    bool joined;        /* a writer has been heard */
    uint64_t failures;  /* told in this run's verdicts by this process */
} pr_validator_t;

static void s_alive(void *context) {
    pr_daemon_busy(context);
}

static int s_open(pr_daemon_t *daemon, void **ret_self, pr_error_t *err) {
    (void)err;
    pr_validator_t *self = pr_xcalloc(1, sizeof *self);
    self->daemon = daemon;
    pr_sql_alive(s_alive, daemon);
    self->list = pr_proof_list_new(s_failures_max);
    *ret_self = self;
    return 0;
}

static void s_close(void **context) {
    pr_validator_t *self = *context;
    if (self == NULL)
        return;
    pr_outbox_drop(&self->outbox, self->daemon);
    pr_proof_destroy(&self->proof);
    pr_proof_list_destroy(&self->list);
    free(self);
    *context = NULL;
}

/* The proof of the run that the writer speaks of. */
static int s_open_proof(pr_validator_t *self, pr_run_id_t run, pr_error_t *err) {
    if (self->proof != NULL && pr_run_id_equal(self->proof_run, run))
        return 0;
    char id[37];
    pr_proof_destroy(&self->proof);
    self->proof_run = run;
    int result =
        pr_proof_open(self->daemon->config->target, self->daemon->mapping, pr_run_id_print(run, id), &self->proof, err);
    if (result == 0)
        pr_proof_set_extra(self->proof, self->daemon->config->extra_fail);
    return result;
}

/* part: of the whole, whose checkpoint is 0. */
static int s_send_verdict(pr_validator_t *self, int64_t checkpoint, pr_whole_part_t part, uint64_t rows,
                          pr_error_t *err) {
    void *data = NULL;
    size_t size = 0;
    if (pr_proof_list_pack(self->list, &data, &size) < 0)
        return pr_error_set(err, PR_E_INTERNAL, "checkpoint %lld: the verdict cannot be packed", (long long)checkpoint);
    for (size_t i = 0; i < PR_FAILURE_KINDS; i++)
        self->daemon->counters.failures.at[i] += self->list->failures_by_kind[i];
    self->failures += self->list->failures_total;
    pr_proof_list_clear(self->list);
    pr_message_t message = {.id = PR_MSG_VERDICT,
                            .verdict = {.checkpoint = checkpoint, .part = (uint8_t)part, .rows = rows}};
    pr_fault("validator.before-verdict");
    pr_outbox_send(&self->outbox, self->daemon, &message, data, size);
    pr_fault("validator.after-verdict");
    return 0;
}

static int s_on_commit(pr_validator_t *self, const pr_msg_commit_t *commit, pr_error_t *err) {
    pr_range_t range = {.source = commit->source,
                        .first = commit->first,
                        .count = commit->count,
                        .begin = commit->begin,
                        .end = commit->end};
    uint64_t rows = 0;
    int result = pr_proof_commit(self->proof, commit->checkpoint, range, commit->digest, commit->rejected, self->list,
                                 &rows, err);
    if (result < 0)
        return result;
    pr_msg_counters_t *counters = &self->daemon->counters;
    counters->batches++;
    counters->bytes += commit->end - commit->begin;
    counters->records_read += commit->count;
    counters->records_ok += rows;
    counters->records_rejected += commit->rejected;
    counters->checkpoint = (uint64_t)commit->checkpoint;
    counters->validated_checkpoint = (uint64_t)commit->checkpoint;
    counters->last_progress_ms = (uint64_t)pr_calendar_ms();
    return s_send_verdict(self, commit->checkpoint, PR_WHOLE_NONE, rows, err);
}

static int s_on_finish(pr_validator_t *self, const pr_msg_finish_t *finish, pr_error_t *err) {
    static int (*const proofs[])(pr_proof_t *, pr_proof_list_t *, pr_error_t *) = {
        [PR_WHOLE_CONTENT] = pr_proof_content, [PR_WHOLE_FILE] = pr_proof_file, [PR_WHOLE_BOTH] = pr_proof_whole};
    if (finish->part == PR_WHOLE_NONE || finish->part > PR_WHOLE_BOTH) {
        pr_error_t dropped = PR_ERROR_INIT;
        pr_error_set(&dropped, PR_E_PROTOCOL, "FINISH of part %u, which there is not", finish->part);
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    if (finish->part & PR_WHOLE_CONTENT)
        pr_fault("validator.before-content");
    if (finish->part & PR_WHOLE_FILE)
        pr_fault("validator.before-file");
    int result = proofs[finish->part](self->proof, self->list, err);
    return result < 0 ? result : s_send_verdict(self, 0, (pr_whole_part_t)finish->part, 0, err);
}

static int s_on_message(void *context, pr_inbound_t *inbound, pr_error_t *err) {
    pr_validator_t *self = context;
    const pr_message_t *message = &inbound->message;
    if (!pr_run_id_known(self->daemon->run))
        self->daemon->run = message->run; /* commits may come before the first PROGRESS */
    if (!pr_run_id_equal(self->daemon->run, message->run) ||
        (message->id != PR_MSG_COMMIT && message->id != PR_MSG_FINISH)) {
        pr_error_t dropped = PR_ERROR_INIT;
        pr_error_set(&dropped, PR_E_PROTOCOL, "%s that is not for the validator of this run",
                     pr_message_name(message->id));
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_STRAY, &dropped);
        return 0;
    }
    int result = s_open_proof(self, message->run, err);
    if (result < 0)
        return result;
    return message->id == PR_MSG_COMMIT ? s_on_commit(self, &message->commit, err)
                                        : s_on_finish(self, &message->finish, err);
}

static int s_on_progress(void *context, const pr_msg_progress_t *progress, bool fresh, pr_error_t *err) {
    (void)err;
    pr_validator_t *self = context;
    /* What waits is for a writer that is no more: the new one will ask again. But the first one to be heard may have
     * asked before, and will not. */
    if (fresh && self->joined)
        pr_outbox_drop(&self->outbox, self->daemon);
    self->joined = true;
    self->daemon->counters.records_total = progress->committed;
    return 0;
}

static int s_on_turn(void *context, int64_t now_ms, pr_error_t *err) {
    (void)now_ms;
    (void)err;
    pr_validator_t *self = context;
    pr_outbox_flush(&self->outbox, self->daemon);
    return 0;
}

static void s_status(void *context, char *buffer, size_t size) {
    const pr_validator_t *self = context;
    const pr_msg_counters_t *counters = &self->daemon->counters;
    snprintf(buffer, size, "%llu records proved, %llu failures, checkpoint %llu",
             (unsigned long long)counters->records_ok, (unsigned long long)self->failures,
             (unsigned long long)counters->validated_checkpoint);
}

const pr_stage_ops_t pr_validator_ops = {
    .stage = PR_STAGE_VALIDATOR,
    .program = "pvrelay-validator",
    .summary = "Reads every committed row back and compares it with the export's own bytes.",
    .open = s_open,
    .close = s_close,
    .on_message = s_on_message,
    .on_progress = s_on_progress,
    .on_turn = s_on_turn,
    .status = s_status,
};
