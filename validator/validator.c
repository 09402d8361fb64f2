/* SPDX-License-Identifier: MIT */
/* The validator's part of the protocol: COMMIT and FINISH in, VERDICT out. */
/*  DESIGN
 *
 *  No state that matters: the writer keeps which commits have no verdict and sends them again to a validator it has not
 *  heard of before. The proof is opened with the first message of a run, and anew when the run changes.
 *
 *  A proof can take longer than the writer would wait: while it does WORKING says so. And it can take longer than whoever
 *  wants us gone would wait: so it looks for signals and for PROGRESS as it goes, and is given up if the stage is to leave;
 *  the writer has no verdict then, and asks the next validator. What the whole was found to be is kept: should the very
 *  same FINISH come again, asked out of impatience, its answer is sent again and nothing is proved twice.
 */
#include "validator/validator.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/challenge.h"
#include "common/failure.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/outbox.h"
#include "common/sql_alive.h"
#include "validator/proof.h"

enum {
    s_failures_max = 1000, /* of one commit that are told one by one; all are counted */
    s_working_ms = 1000
};

typedef struct {
    pr_daemon_t *daemon;
    pr_proof_t *proof;
    pr_run_id_t proof_run;
    pr_proof_list_t *list;
    pr_outbox_t outbox;       /* a VERDICT that waits for room */
    bool joined;              /* a writer has been heard */
    uint64_t failures;        /* told in this run's verdicts by this process */
    pr_msg_working_t at_work; /* what is being proved; nonce 0: nothing, or it is not said */
    int64_t working_ms;       /* when that was last said */
    bool given_up;            /* the proof at hand: the stage is to leave */
    pr_msg_finish_t finish;   /* the last one that was answered; nonce 0: none */
    pr_message_t answer;      /* to it, ... */
    void *answer_data;        /* ... and its payload */
    size_t answer_size;
} pr_validator_t;

/* In the midst of a proof. Returns whether to go on with it. */
static bool s_alive(void *context) {
    pr_validator_t *self = context;
    int64_t now_ms = pr_now_ms();
    pr_daemon_busy(self->daemon);
    if (self->at_work.nonce == 0)
        return true;
    if (self->at_work.checkpoint == 0 && !self->given_up)
        pr_fault("validator.amid-whole");
    if (now_ms - self->working_ms >= s_working_ms) {
        pr_message_t message = {.id = PR_MSG_WORKING, .working = self->at_work};
        pr_daemon_send(self->daemon, self->daemon->out, &message, NULL, 0);
        self->working_ms = now_ms;
    }
    self->given_up = self->given_up || pr_daemon_must_leave(self->daemon);
    return !self->given_up;
}

/* A proof begins, or (nonce 0) is over. */
static void s_at_work(pr_validator_t *self, int64_t checkpoint, uint64_t nonce) {
    self->at_work = (pr_msg_working_t){.checkpoint = checkpoint, .nonce = nonce};
    self->working_ms = pr_now_ms();
    self->given_up = false;
}

/*  A proof has ended with this result. Returns 1 if it was given up: that is no error, and nothing is said of it; 0, or
 *  <0. */
static int s_ended(pr_validator_t *self, int result, pr_error_t *err) {
    bool given_up = self->given_up && result < 0;
    s_at_work(self, 0, 0);
    if (!given_up)
        return result;
    pr_error_clear(err);
    pr_proof_list_clear(self->list);
    pr_proof_destroy(&self->proof);
    return 1;
}

static int s_open(pr_daemon_t *daemon, void **ret_self, pr_error_t *err) {
    (void)err;
    pr_validator_t *self = pr_xcalloc(1, sizeof *self);
    self->daemon = daemon;
    pr_sql_alive(s_alive, self);
    self->list = pr_proof_list_new(s_failures_max);
    *ret_self = self;
    return 0;
}

/* No stage is open: nobody is to be told. */
static bool s_at_rest(void *context) {
    (void)context;
    return true;
}

static void s_close(void **context) {
    pr_validator_t *self = *context;
    if (self == NULL)
        return;
    pr_outbox_drop(&self->outbox, self->daemon);
    pr_proof_destroy(&self->proof);
    pr_proof_list_destroy(&self->list);
    free(self->answer_data);
    pr_sql_alive(s_at_rest, NULL);
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

static void *s_copy(const void *data, size_t size) {
    void *copy = pr_xmalloc(size);
    memcpy(copy, data, size);
    return copy;
}

/* Keep the answer to self->finish. */
static void s_keep_answer(pr_validator_t *self, const pr_message_t *message, const void *data, size_t size) {
    free(self->answer_data);
    self->answer = *message;
    self->answer_data = s_copy(data, size);
    self->answer_size = size;
}

static void s_answer_again(pr_validator_t *self) {
    pr_outbox_send(&self->outbox, self->daemon, &self->answer, s_copy(self->answer_data, self->answer_size),
                   self->answer_size);
}

/* Send what the list holds as this verdict. */
static int s_send_verdict(pr_validator_t *self, const pr_msg_verdict_t *verdict, pr_error_t *err) {
    void *data = NULL;
    size_t size = 0;
    if (pr_proof_list_pack(self->list, &data, &size) < 0)
        return pr_error_set(err, PR_E_INTERNAL, "checkpoint %lld: the verdict cannot be packed",
                            (long long)verdict->checkpoint);
    for (size_t i = 0; i < PR_FAILURE_KINDS; i++)
        self->daemon->counters.failures.at[i] += self->list->failures_by_kind[i];
    self->failures += self->list->failures_total;
    pr_proof_list_clear(self->list);
    pr_message_t message = {.id = PR_MSG_VERDICT, .verdict = *verdict};
    if (verdict->checkpoint == 0)
        s_keep_answer(self, &message, data, size);
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
    pr_proof_read_t read;
    s_at_work(self, commit->checkpoint, commit->nonce);
    int result = s_ended(
        self, pr_proof_commit(self->proof, commit->checkpoint, range, commit->rejected, self->list, &read, err), err);
    if (result != 0)
        return result < 0 ? result : 0;
    pr_msg_counters_t *counters = &self->daemon->counters;
    counters->batches++;
    counters->bytes += commit->end - commit->begin;
    counters->records_read += commit->count;
    counters->records_ok += read.rows;
    counters->records_rejected += commit->rejected;
    counters->checkpoint = (uint64_t)commit->checkpoint;
    counters->validated_checkpoint = (uint64_t)commit->checkpoint;
    counters->last_progress_ms = (uint64_t)pr_calendar_ms();
    const uint64_t bytes[] = {(uint64_t)commit->checkpoint, read.digest, read.rows, read.rejected};
    const uint64_t rows[] = {(uint64_t)commit->checkpoint, read.rows_sum};
    const pr_msg_verdict_t verdict = {
        .checkpoint = commit->checkpoint,
        .nonce = commit->nonce,
        .rows = read.rows,
        .rejected = read.rejected,
        .read_digest = pr_challenge_answer(commit->nonce, bytes, sizeof bytes / sizeof bytes[0]),
        .rows_digest = pr_challenge_answer(commit->nonce, rows, sizeof rows / sizeof rows[0])};
    return s_send_verdict(self, &verdict, err);
}

/* Prove this part of the whole, and add up what the books say. */
static int s_prove_whole(pr_validator_t *self, unsigned part, uint64_t ret_books[PR_PROOF_BOOKS], pr_error_t *err) {
    static int (*const proofs[])(pr_proof_t *, pr_proof_list_t *, pr_error_t *) = {
        [PR_WHOLE_CONTENT] = pr_proof_content, [PR_WHOLE_FILE] = pr_proof_file, [PR_WHOLE_BOTH] = pr_proof_whole};
    int result = proofs[part](self->proof, self->list, err);
    if (result == 0)
        result = pr_proof_books(self->proof, ret_books, err);
    if ((part & PR_WHOLE_CONTENT) == 0)
        ret_books[3] = ret_books[4] = 0; /* nothing was added up again */
    return result;
}

static bool s_is_answered(const pr_validator_t *self, const pr_msg_finish_t *finish) {
    return self->finish.nonce != 0 && self->finish.nonce == finish->nonce && self->finish.part == finish->part &&
           self->finish.checkpoint == finish->checkpoint;
}

static int s_on_finish(pr_validator_t *self, const pr_msg_finish_t *finish, pr_error_t *err) {
    if (finish->part == PR_WHOLE_NONE || finish->part > PR_WHOLE_BOTH) {
        pr_error_t dropped = PR_ERROR_INIT;
        pr_error_set(&dropped, PR_E_PROTOCOL, "FINISH of part %u, which there is not", finish->part);
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    if (s_is_answered(self, finish)) {
        s_answer_again(self);
        return 0;
    }
    if (finish->part & PR_WHOLE_CONTENT)
        pr_fault("validator.before-content");
    if (finish->part & PR_WHOLE_FILE)
        pr_fault("validator.before-file");
    uint64_t read[1 + PR_PROOF_BOOKS] = {finish->part};
    s_at_work(self, 0, finish->nonce);
    int result = s_ended(self, s_prove_whole(self, finish->part, read + 1, err), err);
    if (result != 0)
        return result < 0 ? result : 0;
    self->finish = *finish;
    self->daemon->counters.checkpoint = (uint64_t)finish->checkpoint;
    if (finish->part & PR_WHOLE_FILE)
        self->daemon->counters.validated_checkpoint = (uint64_t)finish->checkpoint;
    const pr_msg_verdict_t verdict = {.part = finish->part,
                                      .nonce = finish->nonce,
                                      .read_digest =
                                          pr_challenge_answer(finish->nonce, read, sizeof read / sizeof read[0])};
    return s_send_verdict(self, &verdict, err);
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
