/* SPDX-License-Identifier: MIT */
/* Commits to the validator, verdicts from it. */
/*  DESIGN
 *
 *  The target says which checkpoints have no verdict; this is a cursor over them. At most s_out_max are with the
 *  validator.
 *
 *      out[0 .. sent)       sent, not answered
 *      out[sent .. count)   to be sent
 *      last                 newest checkpoint put into `out`; beyond it the target is asked
 *      taken[]              verdicts that came, not recorded yet: they join the next batch's transaction
 *
 *  The whole is proved last, when all commits have verdicts: what the rows say, and that the file is sound with all its
 *  indexes. If none of these is left to be built by then, both are asked for together:
 *
 *      indexes are left         FINISH(content)  -->  its verdict is kept in `content`
 *      and then all are built   FINISH(file)     -->  both are recorded, and the run can end
 *      none is left             FINISH(both)     -->  it is recorded, and the run can end
 *
 *  A crash loses all of it and nothing: what has no verdict in the target is sent again, and the whole is asked for from
 *  its beginning. What a validator said of the content before it died stays said: nothing has changed since.
 */
#include "writer/verdicts.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/failure.h"
#include "common/fault.h"

enum {
    s_out_max = 64,
    s_patience_ms = 30000, /* without an answer for so long, all is sent again, at the latest */
    s_wait_ms = 50         /* how long a verdict waits for a batch's transaction */
};

typedef struct {
    int64_t checkpoint; /* 0: of the whole */
    pr_proof_list_t *list;
} pr_taken_t;

struct pr_verdicts {
    pr_daemon_t *daemon;
    pr_target_t *target;
    pr_target_run_t *run;
    pr_target_commit_t out[s_out_max];
    size_t count, sent;
    int64_t last;
    int64_t patience_ms;   /* short with a validator that has not answered yet: what it was sent can have been lost */
    int64_t heard_ms;      /* when the validator last answered, or was given work while it had none */
    pr_whole_part_t asked; /* of the whole, sent and not answered */
    pr_proof_list_t *content; /* what was found in that part of the whole; NULL: not known yet */
    pr_taken_t taken[s_out_max];
    size_t taken_count;
    int64_t taken_ms; /* when the oldest of them came */
};

pr_verdicts_t *pr_verdicts_new(pr_daemon_t *daemon, pr_target_t *target, pr_target_run_t *run) {
    pr_verdicts_t *self = pr_xcalloc(1, sizeof *self);
    self->daemon = daemon;
    self->target = target;
    self->run = run;
    self->patience_ms = s_patience_ms;
    return self;
}

void pr_verdicts_destroy(pr_verdicts_t **verdicts) {
    if (verdicts == NULL || *verdicts == NULL)
        return;
    pr_verdicts_t *self = *verdicts;
    for (size_t i = 0; i < self->taken_count; i++)
        pr_proof_list_destroy(&self->taken[i].list);
    pr_proof_list_destroy(&self->content);
    free(self);
    *verdicts = NULL;
}

/* ---- to the validator ---- */

static int s_fill(pr_verdicts_t *self, pr_error_t *err) {
    if (self->sent < self->count || self->count == s_out_max || self->last >= self->run->checkpoint)
        return 0;
    int got = pr_target_unvalidated(self->target, self->run->number, self->last, self->out + self->count,
                                    s_out_max - self->count, err);
    if (got < 0)
        return got;
    self->count += (size_t)got;
    self->last = got > 0 ? self->out[self->count - 1].checkpoint : self->run->checkpoint;
    return 0;
}

static bool s_send(pr_verdicts_t *self, pr_message_t *message, int64_t now_ms) {
    if (pr_daemon_send(self->daemon, self->daemon->out, message, NULL, 0) == 0) {
        self->daemon->want_out = true;
        return false;
    }
    if (self->sent == 0)
        self->heard_ms = now_ms;
    return true;
}

static void s_send_commits(pr_verdicts_t *self, int64_t now_ms) {
    for (; self->sent < self->count; self->sent++) {
        const pr_target_commit_t *commit = &self->out[self->sent];
        pr_message_t message = {.id = PR_MSG_COMMIT,
                                .commit = {.checkpoint = commit->checkpoint,
                                           .source = commit->range.source,
                                           .first = commit->range.first,
                                           .count = commit->range.count,
                                           .begin = commit->range.begin,
                                           .end = commit->range.end,
                                           .digest = commit->digest,
                                           .rejected = commit->rejected}};
        if (!s_send(self, &message, now_ms))
            return;
    }
}

static void s_send_finish(pr_verdicts_t *self, pr_whole_part_t part, int64_t now_ms) {
    pr_message_t message = {.id = PR_MSG_FINISH,
                            .finish = {.checkpoint = self->run->checkpoint, .part = (uint8_t)part}};
    if (s_send(self, &message, now_ms))
        self->asked = part;
}

bool pr_verdicts_content_known(const pr_verdicts_t *self) {
    return self->content != NULL;
}

int pr_verdicts_send(pr_verdicts_t *self, int64_t now_ms, pr_whole_part_t part, pr_error_t *err) {
    bool asked = self->sent > 0 || self->asked != PR_WHOLE_NONE;
    if (asked && now_ms - self->heard_ms >= self->patience_ms) {
        int64_t longer_ms = 2 * self->patience_ms;
        int result = pr_verdicts_send_again(self, err);
        if (result < 0)
            return result;
        self->patience_ms = longer_ms < s_patience_ms ? longer_ms : s_patience_ms;
    }
    int result = s_fill(self, err);
    if (result < 0)
        return result;
    s_send_commits(self, now_ms);
    bool all_answered = self->count == 0 && self->taken_count == 0 && self->last >= self->run->checkpoint;
    if (all_answered && self->asked == PR_WHOLE_NONE && part != PR_WHOLE_NONE)
        s_send_finish(self, part, now_ms);
    return 0;
}

int pr_verdicts_send_again(pr_verdicts_t *self, pr_error_t *err) {
    int result = pr_verdicts_record(self, err);
    self->count = 0;
    self->sent = 0;
    self->last = 0;
    self->asked = PR_WHOLE_NONE;
    self->patience_ms = self->daemon->config->resend_ms;
    return result;
}

/* ---- from the validator ---- */

static int s_record(pr_verdicts_t *self, pr_taken_t *taken, pr_error_t *err) {
    const pr_proof_list_t *list = taken->list;
    int result = pr_target_verdict(self->target, self->run->number, taken->checkpoint, list, err);
    if (result == 0)
        self->run->failures += list->failures_total;
    pr_proof_list_destroy(&taken->list);
    return result;
}

int pr_verdicts_record(pr_verdicts_t *self, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; i < self->taken_count; i++) {
        if (result == 0)
            result = s_record(self, &self->taken[i], err);
        else
            pr_proof_list_destroy(&self->taken[i].list);
    }
    self->taken_count = 0;
    return result;
}

bool pr_verdicts_overdue(const pr_verdicts_t *self, int64_t now_ms) {
    return self->taken_count > 0 && now_ms - self->taken_ms >= s_wait_ms;
}

/* The verdict's list, or NULL if it is broken. *Returns new*. */
static pr_proof_list_t *s_unpack(pr_verdicts_t *self, pr_inbound_t *inbound) {
    pr_error_t dropped = PR_ERROR_INIT;
    pr_proof_list_t *list = NULL;
    zmq_msg_t *frame = &inbound->frames[0];
    if (pr_proof_list_unpack(zmq_msg_data(frame), zmq_msg_size(frame), &list, &dropped) < 0)
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
    return list;
}

/* Take entry `at` out of those that the validator has. Returns its records. */
static uint64_t s_answered(pr_verdicts_t *self, size_t at) {
    uint64_t records = self->out[at].range.count;
    self->count--;
    self->sent--;
    memmove(&self->out[at], &self->out[at + 1], (self->count - at) * sizeof self->out[0]);
    return records;
}

/*  A verdict of the whole. That of its content alone is kept until that of the file completes it: the failures of both are
 *  recorded as one verdict. Takes taken->list. */
static int s_take_part(pr_verdicts_t *self, pr_taken_t *taken, bool *ret_whole, pr_error_t *err) {
    pr_whole_part_t part = self->asked;
    self->asked = PR_WHOLE_NONE; /* it has been answered: another answer was not asked for */
    if (part & PR_WHOLE_CONTENT)
        pr_fault("writer.content-proved");
    if (part == PR_WHOLE_CONTENT) {
        self->content = taken->list;
        return 0;
    }
    *ret_whole = true;
    if (part == PR_WHOLE_BOTH)
        return s_record(self, taken, err);
    pr_proof_list_join(self->content, taken->list);
    pr_proof_list_destroy(&taken->list);
    taken->list = self->content;
    self->content = NULL;
    return s_record(self, taken, err);
}

int pr_verdicts_take(pr_verdicts_t *self, pr_inbound_t *inbound, uint64_t *ret_records, bool *ret_whole,
                     pr_error_t *err) {
    const pr_msg_verdict_t *verdict = &inbound->message.verdict;
    size_t at = 0;
    *ret_records = 0;
    *ret_whole = false;
    while (at < self->sent && self->out[at].checkpoint != verdict->checkpoint)
        at++;
    bool of_whole = verdict->checkpoint == 0 && verdict->part == self->asked && self->asked != PR_WHOLE_NONE;
    if (at == self->sent && !of_whole)
        return 0; /* recorded already, or not asked for */
    pr_taken_t taken = {.checkpoint = verdict->checkpoint, .list = s_unpack(self, inbound)};
    if (taken.list == NULL)
        return 0;
    self->heard_ms = pr_now_ms();
    self->patience_ms = s_patience_ms;
    if (of_whole)
        return s_take_part(self, &taken, ret_whole, err);
    *ret_records = s_answered(self, at);
    if (self->taken_count == 0)
        self->taken_ms = self->heard_ms;
    self->taken[self->taken_count++] = taken;
    return self->taken_count == s_out_max ? pr_verdicts_record(self, err) : 0;
}
