/* SPDX-License-Identifier: MIT */
/* Commits to the validator, verdicts from it. */
/*  DESIGN
 *
 *  The target says which checkpoints have no verdict; this is a cursor over them. At most s_out_max are with the
 *  validator.
 *
 *      out[0 .. sent)       sent, not answered
 *      out[sent .. count)   to be sent
 *      (the validator answers in order: what it leaves out has not reached it, and is sent again)
 *      last                 newest checkpoint put into `out`; beyond it the target is asked
 *      taken[]              verdicts that came, not recorded yet: they join the next batch's transaction
 *
 *  The whole is proved last, when all commits have verdicts: what the rows say, and that the file is sound with all its
 *  indexes. If none of these is left to be built by then, both are asked for together:
 *
 *  No verdict is believed that does not show that it is over what was asked: it must answer the nonce that went out with
 *  the question, account for every record, and tally every record that was compared (common/challenge.h). One that does
 *  not is dropped, and the question put again with another nonce: the peer that answered need not be the validator. After
 *  s_refusals_max of them it becomes a failure of the commit, so that the run ends, but not as one that is proved.
 *
 *      indexes are left         FINISH(content)  -->  its verdict is kept in `content`
 *      and then all are built   FINISH(file)     -->  both are recorded, and the run can end
 *      none is left             FINISH(both)     -->  it is recorded, and the run can end
 *
 *  A crash loses all of it and nothing: what has no verdict in the target is sent again, and the whole is asked for from
 *  its beginning. What a validator said of the content before it died stays said: nothing has changed since.
 */
#include "writer/verdicts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/alloc.h"
#include "common/challenge.h"
#include "common/failure.h"
#include "common/fault.h"

enum {
    s_out_max = 64,
    s_patience_ms = 10000, /* without an answer for so long, all is sent again, at the latest */
    s_wait_ms = 50,        /* how long a verdict waits for a batch's transaction */
    s_list_least_bytes =
        8 << 20,       /* of what a verdict may list, whatever the batch's size; 1,000 failures are a tenth of it */
    s_refusals_max = 3 /* verdicts about one thing that are not believed: then that is what is recorded */
};

/* A commit that is with the validator, or will be. */
typedef struct {
    pr_target_commit_t as;
    unsigned refusals; /* verdicts about it that were not believed */
} pr_out_t;

typedef struct {
    int64_t checkpoint; /* 0: of the whole */
    pr_proof_list_t *list;
} pr_taken_t;

struct pr_verdicts {
    pr_daemon_t *daemon;
    pr_target_t *target;
    pr_target_run_t *run;
    pr_out_t out[s_out_max];
    size_t count, sent;
    uint64_t secret; /* what the nonces are made of */
    int64_t last;
    int64_t patience_ms;   /* short with a validator that has not answered yet: what it was sent can have been lost */
    int64_t heard_ms;      /* when the validator last answered, or was given work while it had none */
    pr_whole_part_t asked; /* of the whole, sent and not answered */
    unsigned refusals;     /* of verdicts of the whole */
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
    if (getrandom(&self->secret, sizeof self->secret, 0) != (ssize_t)sizeof self->secret)
        abort(); /* few bytes never come short once the kernel has booted */
    return self;
}

/*  The nonce of a question: the same one however often it is asked, until an answer to it was not believed. checkpoint 0: of
 *  the whole. */
static uint64_t s_nonce(const pr_verdicts_t *self, int64_t checkpoint, pr_whole_part_t part, unsigned refusals) {
    const uint64_t question[] = {(uint64_t)checkpoint, (uint64_t)part, refusals};
    return pr_challenge_answer(self->secret, question, sizeof question / sizeof question[0]);
}

static uint64_t s_nonce_of_commit(const pr_verdicts_t *self, const pr_out_t *out) {
    return s_nonce(self, out->as.checkpoint, PR_WHOLE_NONE, out->refusals);
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
    pr_target_commit_t commits[s_out_max];
    int got = pr_target_unvalidated(self->target, self->run->number, self->last, commits, s_out_max - self->count, err);
    if (got < 0)
        return got;
    for (int i = 0; i < got; i++)
        self->out[self->count++] = (pr_out_t){.as = commits[i]};
    self->last = got > 0 ? commits[got - 1].checkpoint : self->run->checkpoint;
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
        const pr_target_commit_t *commit = &self->out[self->sent].as;
        pr_message_t message = {.id = PR_MSG_COMMIT,
                                .commit = {.checkpoint = commit->checkpoint,
                                           .source = commit->range.source,
                                           .first = commit->range.first,
                                           .count = commit->range.count,
                                           .begin = commit->range.begin,
                                           .end = commit->range.end,
                                           .rejected = commit->rejected,
                                           .nonce = s_nonce_of_commit(self, &self->out[self->sent])}};
        if (!s_send(self, &message, now_ms))
            return;
    }
}

static void s_send_finish(pr_verdicts_t *self, pr_whole_part_t part, int64_t now_ms) {
    pr_message_t message = {.id = PR_MSG_FINISH,
                            .finish = {.checkpoint = self->run->checkpoint,
                                       .part = (uint8_t)part,
                                       .nonce = s_nonce(self, 0, part, self->refusals)}};
    if (s_send(self, &message, now_ms))
        self->asked = part;
}

pr_whole_part_t pr_verdicts_asked(const pr_verdicts_t *self) {
    return self->asked;
}

bool pr_verdicts_content_known(const pr_verdicts_t *self) {
    return self->content != NULL;
}

int pr_verdicts_send(pr_verdicts_t *self, int64_t now_ms, pr_whole_part_t part, pr_error_t *err) {
    bool asked = self->sent > 0 || self->asked != PR_WHOLE_NONE;
    if (asked && now_ms - self->heard_ms >= self->patience_ms) {
        int64_t longer_ms = 2 * self->patience_ms;
        pr_whole_part_t again = self->asked;
        int result = pr_verdicts_send_again(self, err);
        if (result < 0)
            return result;
        if (again != PR_WHOLE_NONE) /* the same question, to be known as such; by now more of it could be asked */
            part = again;
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
    if (result == 0 && list->failures_total > 0)
        self->run->failures += list->failures_count > 0 ? list->failures_count : 1;
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

/* What a verdict says of the thing at hand, and what is right. */
typedef struct {
    const pr_msg_verdict_t *verdict;
    const pr_proof_list_t *list;
} s_said_t;

/* Records that could not be tallied, as the verdict says. */
static uint64_t s_not_tallied(const pr_proof_list_t *list) {
    uint64_t count = 0;
    for (size_t i = 0; i < list->findings_count; i++) {
        if (strcmp(list->findings[i].kind, "not_tallied") == 0)
            count += list->findings[i].count;
    }
    return count;
}

/* Do the tallies of a commit cover the records that were compared? Sums of what a peer sent may overflow: that is no more
 * than wrong. NULL, or what is wrong. */
static const char *s_doubt_tallies(const pr_verdicts_t *self, const pr_target_commit_t *commit, s_said_t said) {
    int index = commit->stream == NULL ? -1 : pr_mapping_stream_index(self->daemon->mapping, commit->stream);
    bool tallied = index >= 0 && pr_stream_tallied_by(&self->daemon->mapping->streams[index]) >= 0;
    uint64_t left_out = s_not_tallied(said.list);
    uint64_t count = left_out;
    uint64_t rows = 0;
    for (size_t i = 0; i < said.list->tallies_count; i++) {
        const pr_proof_tally_t *tally = &said.list->tallies[i];
        if (!tallied || strcmp(tally->stream, commit->stream) != 0 || tally->count > said.verdict->rows)
            return "its tallies are not those of the commit's records";
        count += tally->count;
        rows += tally->rows;
    }
    if (tallied && count != said.verdict->rows)
        return "its tallies do not cover the records that were compared";
    if (tallied && commit->rows_known && left_out == 0 && said.list->failures_total == 0 && rows != commit->rows_sum)
        return "its tallies are of other rows than those of the commit's records";
    return NULL;
}

/* What is wrong with the verdict of a commit, or NULL: it may be believed. */
static const char *s_doubt_commit(const pr_verdicts_t *self, const pr_target_commit_t *commit, s_said_t said) {
    const pr_msg_verdict_t *verdict = said.verdict;
    bool proved = said.list->failures_total == 0;
    const uint64_t read[] = {(uint64_t)commit->checkpoint, commit->digest, verdict->rows, verdict->rejected};
    const uint64_t rows[] = {(uint64_t)commit->checkpoint, commit->rows_sum};
    if (verdict->read_digest != pr_challenge_answer(verdict->nonce, read, sizeof read / sizeof read[0]))
        return "it does not show that the export's bytes were read";
    if (proved && (verdict->rejected != commit->rejected || verdict->rows != commit->range.count - commit->rejected))
        return "it does not account for the commit's records";
    if (proved && commit->rows_known &&
        verdict->rows_digest != pr_challenge_answer(verdict->nonce, rows, sizeof rows / sizeof rows[0]))
        return "it does not show that the commit's rows were read";
    return s_doubt_tallies(self, commit, said);
}

/*  What is wrong with a verdict of the whole. ret_doubt: NULL, it may be believed. Errors: of the target. */
static int s_doubt_whole(const pr_verdicts_t *self, s_said_t said, const char **ret_doubt, pr_error_t *err) {
    uint64_t read[1 + PR_TARGET_BOOKS] = {said.verdict->part};
    int result = pr_target_books(self->target, self->run->number, read + 1, err);
    if (result < 0)
        return result;
    if ((said.verdict->part & PR_WHOLE_CONTENT) == 0)
        read[4] = read[5] = 0; /* nothing was added up again */
    *ret_doubt = NULL;
    if (said.verdict->read_digest != pr_challenge_answer(said.verdict->nonce, read, sizeof read / sizeof read[0]))
        *ret_doubt = "it does not show that the run's books were read";
    else if (said.list->tallies_count > 0)
        *ret_doubt = "it tallies records, and is about none";
    return 0;
}

/* In place of a verdict that is not believed: what that means for who reads the books. *Returns new*. */
static pr_proof_list_t *s_list_of_doubt(const pr_target_commit_t *commit, const char *doubt) {
    char key[40] = "";
    pr_proof_list_t *list = pr_proof_list_new(1);
    pr_failure_t failure = {.kind = commit != NULL ? PR_FAILURE_MISMATCH : PR_FAILURE_WHOLE,
                            .stream = commit != NULL && commit->stream != NULL ? commit->stream : "",
                            .table = "pvrelay_checkpoint",
                            .key = key,
                            .column = "validated",
                            .expected = "a verdict that shows what it is over",
                            .stored = doubt};
    if (commit != NULL) {
        snprintf(key, sizeof key, "checkpoint=%lld", (long long)commit->checkpoint);
        failure.source = commit->range.source;
        failure.offset = commit->range.begin;
    }
    pr_proof_list_add_failure(list, &failure);
    return list;
}

/* Do not believe a verdict. refusals: of this question, so far. Returns whether it is to be asked again. */
static bool s_refuse(pr_verdicts_t *self, unsigned *refusals, const char *doubt) {
    pr_error_t dropped = PR_ERROR_INIT;
    pr_error_set(&dropped, PR_E_PROTOCOL, "VERDICT that is not believed: %s", doubt);
    pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
    return ++*refusals < s_refusals_max;
}

/* The verdict's list; *returns new*, or NULL if it is broken: ret_why. */
static pr_proof_list_t *s_unpack(const pr_verdicts_t *self, const pr_inbound_t *inbound, pr_error_t *ret_why) {
    pr_proof_list_t *list = NULL;
    pr_error_t why = PR_ERROR_INIT;
    zmq_msg_t *frame = (zmq_msg_t *)(uintptr_t)&inbound->frames[0];
    size_t size = zmq_msg_size(frame);
    size_t most = s_list_least_bytes + 4 * (size_t)self->daemon->config->batch_bytes;
    if (size > most)
        pr_error_set(ret_why, PR_E_PROTOCOL, "malformed verdict payload: %zu bytes, at most %zu expected", size, most);
    else if (pr_proof_list_unpack(zmq_msg_data(frame), size, &list, &why) < 0)
        pr_error_set(ret_why, PR_E_PROTOCOL, "malformed verdict payload: %s", why.text);
    return list;
}

/* Take entry `at` out of those that the validator has. */
static pr_out_t s_take_out(pr_verdicts_t *self, size_t at) {
    pr_out_t taken = self->out[at];
    self->count--;
    self->sent--;
    memmove(&self->out[at], &self->out[at + 1], (self->count - at) * sizeof self->out[0]);
    return taken;
}

/* The commit `at` is to be sent once more, before those that were not yet. */
static void s_ask_again(pr_verdicts_t *self, size_t at) {
    pr_out_t again = self->out[at];
    self->sent--;
    memmove(&self->out[at], &self->out[at + 1], (self->sent - at) * sizeof self->out[0]);
    self->out[self->sent] = again;
}

/* The validator is there, and at work. */
static void s_heard(pr_verdicts_t *self) {
    self->heard_ms = pr_now_ms();
    self->patience_ms = s_patience_ms;
}

/* Index of the commit that is with the validator and has this number; `sent`: there is none. */
static size_t s_find(const pr_verdicts_t *self, int64_t checkpoint) {
    size_t at = 0;
    while (at < self->sent && self->out[at].as.checkpoint != checkpoint)
        at++;
    return at;
}

/*  A verdict of the whole. That of its content alone is kept until that of the file completes it: the failures of both are
 *  recorded as one verdict. Takes list. */
static int s_take_part(pr_verdicts_t *self, pr_proof_list_t *list, bool *ret_whole, pr_error_t *err) {
    pr_taken_t taken = {.checkpoint = 0, .list = list};
    pr_whole_part_t part = self->asked;
    self->asked = PR_WHOLE_NONE; /* it has been answered: another answer was not asked for */
    self->refusals = 0;
    if (part & PR_WHOLE_CONTENT)
        pr_fault("writer.content-proved");
    if (part == PR_WHOLE_CONTENT) {
        self->content = list;
        return 0;
    }
    *ret_whole = true;
    if (part == PR_WHOLE_BOTH)
        return s_record(self, &taken, err);
    pr_proof_list_join(self->content, list);
    pr_proof_list_destroy(&taken.list);
    taken.list = self->content;
    self->content = NULL;
    return s_record(self, &taken, err);
}

static int s_take_whole(pr_verdicts_t *self, pr_inbound_t *inbound, bool *ret_whole, pr_error_t *err) {
    const pr_msg_verdict_t *verdict = &inbound->message.verdict;
    if (self->asked == PR_WHOLE_NONE || verdict->part != self->asked ||
        verdict->nonce != s_nonce(self, 0, self->asked, self->refusals))
        return 0;
    pr_error_t malformed = PR_ERROR_INIT;
    pr_proof_list_t *list = s_unpack(self, inbound, &malformed);
    const char *doubt = malformed.text;
    int result = list == NULL ? 0 : s_doubt_whole(self, (s_said_t){verdict, list}, &doubt, err);
    s_heard(self);
    if (result == 0 && doubt == NULL)
        return s_take_part(self, list, ret_whole, err);
    pr_proof_list_destroy(&list);
    if (result < 0)
        return result;
    if (s_refuse(self, &self->refusals, doubt)) {
        self->asked = PR_WHOLE_NONE;
        return 0;
    }
    return s_take_part(self, s_list_of_doubt(NULL, doubt), ret_whole, err);
}

static int s_take_commit(pr_verdicts_t *self, size_t at, pr_inbound_t *inbound, uint64_t *ret_records,
                         pr_error_t *err) {
    const pr_msg_verdict_t *verdict = &inbound->message.verdict;
    pr_out_t *out = &self->out[at];
    if (verdict->nonce != s_nonce_of_commit(self, out))
        return 0;
    pr_error_t malformed = PR_ERROR_INIT;
    pr_proof_list_t *list = s_unpack(self, inbound, &malformed);
    const char *doubt = list == NULL ? malformed.text : s_doubt_commit(self, &out->as, (s_said_t){verdict, list});
    s_heard(self);
    if (doubt != NULL) {
        pr_proof_list_destroy(&list);
        if (s_refuse(self, &out->refusals, doubt)) {
            s_ask_again(self, at);
            return 0;
        }
        list = s_list_of_doubt(&out->as, doubt);
    }
    for (size_t lost = doubt == NULL ? at : 0; lost > 0; lost--)
        s_ask_again(self, lost - 1); /* asked before this one, and answered before it if the validator had got it */
    const pr_target_commit_t taken = s_take_out(self, s_find(self, verdict->checkpoint)).as;
    *ret_records = taken.range.count;
    if (list->failures_total == 0)
        self->run->validated += taken.range.count - taken.rejected;
    if (self->taken_count == 0)
        self->taken_ms = self->heard_ms;
    self->taken[self->taken_count++] = (pr_taken_t){.checkpoint = verdict->checkpoint, .list = list};
    return self->taken_count == s_out_max ? pr_verdicts_record(self, err) : 0;
}

int pr_verdicts_take(pr_verdicts_t *self, pr_inbound_t *inbound, uint64_t *ret_records, bool *ret_whole,
                     pr_error_t *err) {
    int64_t checkpoint = inbound->message.verdict.checkpoint;
    *ret_records = 0;
    *ret_whole = false;
    if (checkpoint == 0)
        return s_take_whole(self, inbound, ret_whole, err);
    size_t at = s_find(self, checkpoint);
    return at < self->sent ? s_take_commit(self, at, inbound, ret_records, err)
                           : 0; /* else recorded, or not asked for */
}

void pr_verdicts_working(pr_verdicts_t *self, const pr_msg_working_t *working) {
    size_t at = s_find(self, working->checkpoint);
    if (working->checkpoint == 0
            ? self->asked != PR_WHOLE_NONE && working->nonce == s_nonce(self, 0, self->asked, self->refusals)
            : at < self->sent && working->nonce == s_nonce_of_commit(self, &self->out[at]))
        s_heard(self);
}
