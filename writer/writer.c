/* SPDX-License-Identifier: MIT */
/* The writer's part of the protocol: it decides where the run stands. */
/*  DESIGN
 *
 *  All state is in the target; what is below is derived from it at the start and moved along with each commit.
 *
 *  The run's states, as PROGRESS tells them:
 *
 *      awaiting plan  -- PLAN: begin the run -->                                        streaming
 *      streaming      -- END, at the end of the plan: finish -->                        proving
 *      proving        -- an index was put off: build one -->                            proving
 *      proving        -- every commit and the whole have their verdicts: complete -->   complete
 *      any of these   -- FAIL, target error, changed source, too many rejects -->       failed
 *      proving        -- the proof failed, and the run is to be taken back then -->     complete, with that outcome
 *      complete, failed  -- all peers said BYE, or the linger time is over -->          exit
 *
 *  Each arrow but the first and the last is one transaction, so a crash leaves the state before it or after it; the new
 *  writer reads which from pvrelay_run and goes on. What a crash loses: messages, and which peers are there. Peers
 *  answer a PROGRESS of an unknown writer with HELLO, the reader with PLAN and a go-back besides, the validator gets the
 *  commits without verdict again.
 *
 *  While proving, the writer builds the indexes that were put off, one a turn, and the validator proves the last commits
 *  and the content of the whole, which reads through none of them. A turn takes only so many messages, and an index can
 *  take seconds: as long as verdicts come none is begun, or the validator would wait for an index at every few of its last
 *  verdicts, and for all of them before it is asked for the whole. It reads in a transaction of its own (WAL): neither
 *  waits for the other; meanwhile the WAL cannot begin anew, and grows by what the indexes take. When the last index is
 *  there and the content is proved, the validator is asked for the rest: that the file is sound. If no index is left when
 *  the last commit is proved it is asked for both at once. A writer that dies in between finds the state `proving`, builds
 *  what is still listed, and asks for the whole again.
 *
 *  Invariants:
 *      a batch is taken only if it begins exactly at the committed position (pr_range_relation)
 *      PROGRESS never tells a position that is not committed
 *      a verdict is recorded only for a commit that was sent out and not yet answered (writer/verdicts.c)
 *
 *  A gap (an early batch is waiting and the one before it does not come) is healed by asking the reader to go back: at
 *  once with one transformer, as nothing overtakes there; with several after s_gap_ms; and when a transformer has come
 *  anew, with whose predecessor batches may have died.
 */
#include "writer/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/ending.h"
#include "common/fault.h"
#include "common/hint.h"
#include "common/log.h"
#include "common/plan.h"
#include "common/read_at.h"
#include "common/rows.h"
#include "common/sql_alive.h"
#include "writer/reorder.h"
#include "writer/target.h"
#include "writer/verdicts.h"

enum {
    s_gap_ms = 200,
    s_measure_ms = 1000,
    s_page = 64, /* checkpoints read at a time */
    s_failed_linger_ms = 1000,
    s_subscriptions_a_turn = 1000,
    s_peers_max = 66
};

/* A stage that has said HELLO. */
typedef struct {
    pr_stage_t stage;
    uint32_t instance;
    uint64_t incarnation;
    bool gone; /* said BYE */
} pr_peer_t;

typedef struct {
    pr_daemon_t *daemon;
    pr_target_t *target;
    pr_target_run_t run; /* number 0: not begun yet */
    pr_plan_t *plan;     /* NULL: not begun yet */
    pr_progress_state_t state;
    pr_error_t failure; /* state failed */
    pr_position_t position;
    uint64_t committed;    /* records, over all sources */
    uint64_t with_verdict; /* of those */
    uint64_t resend;
    pr_reorder_t *reorder;
    int64_t gap_ms;   /* since when an early batch has been waiting; 0: none */
    int64_t asked_ms; /* when the reader was last asked to go back */
    pr_verdicts_t *verdicts;
    bool indexed;  /* while proving: no index is left to be built */
    bool indexing; /* at this moment */
    uint32_t indexes, indexes_left;
    uint64_t index_rows, index_rows_left;
    int64_t measured_ms;
    pr_run_phase_t phase;
    int64_t phase_since_ms;
    uint64_t target_bytes;
    bool heard; /* a verdict of a commit, in this turn */
    pr_peer_t peers[s_peers_max];
    size_t peers_count;
    int64_t begun_ms; /* when this process took up the run */
    int64_t ended_ms; /* when state complete or failed was reached */
    int64_t published_ms;
    int export_file; /* for the raw bytes of records that the target itself rejects */
    uint32_t export_source;
    char *raw;
} pr_writer_t;

/* ---- telling -------------------------------------------------------------------------------------------------------
 */

/* Has the run ended? Then the target has seen its last write, and may be as it was before the run. */
static bool s_has_ended(const pr_writer_t *self) {
    return self->state == PR_PROGRESS_COMPLETE || self->state == PR_PROGRESS_FAILED;
}

/* What the run is busy with: from its state, and, while it is proved, from what is still to come. */
static pr_run_phase_t s_phase_of(const pr_writer_t *self) {
    if (self->state == PR_PROGRESS_STREAMING)
        return self->phase == PR_PHASE_DERIVED ? PR_PHASE_DERIVED : PR_PHASE_RECORDS;
    if (self->state != PR_PROGRESS_PROVING || self->verdicts == NULL)
        return PR_PHASE_NONE;
    if (!self->indexed)
        return PR_PHASE_INDEXES;
    if (self->with_verdict < self->committed)
        return PR_PHASE_VERDICTS;
    if (pr_verdicts_content_known(self->verdicts))
        return PR_PHASE_FILE;
    return pr_verdicts_asked(self->verdicts) == PR_WHOLE_CONTENT ? PR_PHASE_REFERENCES : PR_PHASE_REFERENCES_AND_FILE;
}

static void s_enter_phase(pr_writer_t *self, pr_run_phase_t phase) {
    if (phase == self->phase)
        return;
    self->phase = phase;
    self->phase_since_ms = pr_now_ms();
}

/* Time spent on the run; it stands still when the run has ended. */
static uint64_t s_elapsed_ms(const pr_writer_t *self, int64_t now_ms) {
    int64_t until_ms = self->ended_ms != 0 ? self->ended_ms : now_ms;
    return (uint64_t)(self->run.seconds * 1000) + (uint64_t)(until_ms - self->begun_ms);
}

static void s_publish(pr_writer_t *self) {
    int64_t now_ms = pr_now_ms();
    s_enter_phase(self, s_phase_of(self));
    pr_message_t message = {.id = PR_MSG_PROGRESS,
                            .progress = {.incarnation = self->daemon->incarnation,
                                         .state = (uint8_t)self->state,
                                         .plan_digest = self->plan != NULL ? self->run.plan_digest : 0,
                                         .source = self->position.source,
                                         .ordinal = self->position.ordinal,
                                         .offset = self->position.offset,
                                         .committed = self->committed,
                                         .with_verdict = self->with_verdict,
                                         .validated = self->run.validated,
                                         .rejected = self->run.rejected,
                                         .failures = self->run.failures,
                                         .checkpoint = self->run.checkpoint,
                                         .resend = self->resend,
                                         .elapsed_ms = s_elapsed_ms(self, now_ms),
                                         .phase = (uint8_t)self->phase,
                                         .phase_ms = (uint64_t)(now_ms - self->phase_since_ms),
                                         .indexes = self->indexes,
                                         .indexes_left = self->indexes_left,
                                         .index_rows = self->index_rows,
                                         .index_rows_left = self->index_rows_left,
                                         .target_bytes = self->target_bytes}};
    if (self->state == PR_PROGRESS_COMPLETE)
        message.progress.outcome = (uint16_t)self->run.outcome;
    if (self->state == PR_PROGRESS_FAILED) {
        message.progress.outcome = (uint16_t)self->failure.code;
        pr_wire_text_set(&message.progress.text, self->failure.text);
    }
    pr_daemon_send(self->daemon, self->daemon->progress, &message, NULL, 0);
    self->published_ms = now_ms;
}

/* A new listener on the XPUB hears at once where the run stands. */
static void s_greet_listeners(pr_writer_t *self) {
    bool new_listener = false;
    zmq_msg_t subscription;
    zmq_msg_init(&subscription);
    for (unsigned i = 0; i < s_subscriptions_a_turn &&
                         zmq_msg_recv(&subscription, zsock_resolve(self->daemon->progress), ZMQ_DONTWAIT) >= 0;
         i++) {
        const uint8_t *bytes = zmq_msg_data(&subscription);
        new_listener = new_listener || (zmq_msg_size(&subscription) > 0 && bytes[0] == 1);
    }
    zmq_msg_close(&subscription);
    if (new_listener)
        s_publish(self);
}

static double s_seconds(const pr_writer_t *self) {
    return (double)(pr_now_ms() - self->begun_ms) / 1000.0;
}

static void s_ended(pr_writer_t *self, pr_progress_state_t state) {
    self->state = state;
    self->ended_ms = pr_now_ms();
    /* Before anybody hears it and leaves: whoever comes later has nobody to ask. */
    if (state == PR_PROGRESS_FAILED)
        pr_daemon_ended(self->daemon, (int)self->failure.code, self->failure.text);
    else
        pr_daemon_ended(self->daemon, self->run.outcome, "");
    pr_fault("writer.ended-before-progress");
    s_publish(self);
}

/*  Put the target back to where the run began, and end the run so, which text tells why. Returns whether it was done; why
 *  not is logged, and the run stays as it is. If it was done the target is not used any more. */
static bool s_take_back(pr_writer_t *self, pr_rollback_reason_t reason, pr_error_code_t outcome, const char *text) {
    pr_error_t problem = PR_ERROR_INIT;
    const pr_target_take_back_t how = {
        .reason = reason, .outcome = pr_error_exit_code((int)outcome), .text = text, .seconds = s_seconds(self)};
    int result = pr_target_run_take_back(self->target, self->run.number, &how, &problem);
    if (result < 0) {
        pr_log_error(&problem);
        return false;
    }
    self->run.taken_back = true;
    pr_log(PR_LOG_NOTICE, "run %lld was taken back: the target is as it was before it", (long long)self->run.number);
    return true;
}

/*  The run cannot go on: note it in the target (if that still takes notes), tell everyone.
 *  Errors that a restart may mend, and our own bugs, end this process instead. */
static int s_fail(pr_writer_t *self, const pr_error_t *err) {
    pr_error_class_t class = pr_error_class((int)err->code);
    if (class == PR_CLASS_RETRY || class == PR_CLASS_BUG)
        return -(int)err->code;
    /* What a stage met that opened what lies in the target's place by now is no reason; that is. */
    pr_error_t moved = PR_ERROR_INIT;
    if (err->code == PR_E_TARGET && pr_target_check_place(self->target, &moved) < 0)
        err = &moved;
    pr_log_error(err);
    pr_target_batch_rollback(self->target);
    bool taken_back = err->code == PR_E_REJECT_LIMIT && self->daemon->config->rollback_on_reject_limit &&
                      s_take_back(self, PR_ROLLBACK_REJECTS, err->code, err->text);
    if (self->run.number != 0 && !taken_back)
        pr_target_run_stopped(self->target, self->run.number, err->text, s_seconds(self), NULL);
    self->failure = *err;
    self->daemon->outcome = (int)err->code;
    s_ended(self, PR_PROGRESS_FAILED);
    return 0;
}

static void s_ask_to_go_back(pr_writer_t *self, int64_t now_ms) {
    if (self->asked_ms != 0 && now_ms - self->asked_ms < self->daemon->config->resend_ms)
        return;
    self->asked_ms = now_ms;
    self->resend++;
    self->daemon->counters.resends++;
    s_publish(self);
}

static int s_complete(pr_writer_t *self, pr_error_t *err) {
    int outcome = PR_E_OK;
    if (self->run.failures > 0)
        outcome = PR_E_VALIDATION;
    else if (self->run.rejected > 0)
        outcome = PR_E_REJECTED;
    bool taken_back = outcome == PR_E_VALIDATION && self->daemon->config->rollback_on_failure &&
                      s_take_back(self, PR_ROLLBACK_VALIDATION, PR_E_VALIDATION, pr_error_sentence(outcome));
    if (!taken_back) {
        int result =
            pr_target_run_complete(self->target, self->run.number, pr_error_exit_code(outcome), s_seconds(self), err);
        if (result < 0)
            return result;
    }
    self->run.outcome = outcome;
    self->daemon->outcome = outcome;
    self->daemon->counters.validated_checkpoint = (uint64_t)self->run.checkpoint;
    pr_fault("writer.complete-before-progress");
    s_ended(self, PR_PROGRESS_COMPLETE);
    pr_fault("writer.complete-after-progress");
    return 0;
}

static int s_on_verdict(pr_writer_t *self, pr_inbound_t *inbound, pr_error_t *err) {
    uint64_t records = 0;
    bool whole = false;
    int result = pr_verdicts_take(self->verdicts, inbound, &records, &whole, err);
    self->with_verdict += records;
    if (records > 0) {
        self->heard = true;
        self->daemon->counters.validated_checkpoint = (uint64_t)inbound->message.verdict.checkpoint;
    }
    return result == 0 && whole ? s_complete(self, err) : result;
}

/* ---- batches -------------------------------------------------------------------------------------------------------
 */

/* The raw bytes of a record that the target rejects: the export is where they are. */
static int s_read_raw(void *context, uint64_t offset, uint32_t length, pr_value_t *ret_raw, pr_error_t *err) {
    pr_writer_t *self = context;
    if (self->export_file >= 0 && self->export_source != self->position.source) {
        close(self->export_file);
        self->export_file = -1;
    }
    const char *path = self->plan->sources[self->position.source].path;
    if (self->export_file < 0) {
        self->export_file = open(path, O_RDONLY | O_CLOEXEC);
        self->export_source = self->position.source;
        if (self->export_file < 0)
            return pr_error_set(err, PR_E_UNREADABLE, "%s: %s", path, strerror(errno));
    }
    self->raw = pr_xrealloc(self->raw, length);
    int result = pr_read_at(self->export_file, path, self->raw, length, offset, err);
    if (result < 0)
        return result;
    *ret_raw = pr_value_text(self->raw, length);
    return 0;
}

/* Apply the payload of a ROWS to the open batch. */
static int s_apply(pr_writer_t *self, const pr_stream_t *stream, pr_rows_reader_t *rows, const pr_msg_rows_t *batch,
                   pr_error_t *err) {
    size_t notes_count = 0;
    const pr_note_t *notes = pr_rows_reader_notes(rows, &notes_count);
    pr_rows_record_t record;
    uint32_t count = 0;
    int result;
    while ((result = pr_rows_reader_next(rows, &record, err)) > 0) {
        if (count == batch->count || record.offset > batch->end - batch->begin ||
            record.length > batch->end - batch->begin - record.offset)
            return pr_error_set(err, PR_E_PROTOCOL, "ROWS whose records are not those of its batch");
        result = pr_target_apply(self->target, stream, &record, batch->first + count++, s_read_raw, self, err);
        if (result < 0)
            return result;
    }
    if (result == 0 && count != batch->count)
        return pr_error_set(err, PR_E_PROTOCOL, "ROWS whose records are not those of its batch");
    for (size_t i = 0; result == 0 && i < notes_count; i++)
        result = pr_target_note(self->target, stream, &notes[i], err);
    return result;
}

/* Into the histogram of transactions. */
static void s_count_duration(pr_msg_counters_t *counters, uint64_t us) {
    static const uint64_t bounds[] = PR_COMMIT_BOUNDS_US;
    enum { s_bounds = sizeof bounds / sizeof bounds[0] };
    _Static_assert((int)s_bounds < (int)PR_WIRE_LIST, "COUNTERS has a number for each bucket and one without bound");
    size_t bucket = 0;
    while (bucket < s_bounds && us > bounds[bucket])
        bucket++;
    counters->commits.at[bucket]++;
    counters->commit_us += us;
}

static void s_count_commit(pr_writer_t *self, const pr_msg_rows_t *batch, const pr_target_counts_t *counts,
                           int64_t begun_us) {
    pr_msg_counters_t *counters = &self->daemon->counters;
    counters->batches++;
    s_count_duration(counters, (uint64_t)(pr_now_us() - begun_us));
    counters->bytes += batch->end - batch->begin;
    counters->records_read += batch->count;
    counters->records_ok += counts->inserted + counts->updated;
    counters->records_unchanged += counts->unchanged;
    counters->records_rejected += counts->rejected;
    counters->checkpoint = (uint64_t)self->run.checkpoint;
    counters->last_progress_ms = (uint64_t)pr_calendar_ms();
}

static int s_check_reject_limit(const pr_writer_t *self, pr_error_t *err) {
    int64_t limit = self->daemon->config->max_rejects;
    if (limit < 0 || self->run.rejected <= (uint64_t)limit)
        return 0;
    const bool goes = self->daemon->config->rollback_on_reject_limit;
    char number[24];
    char command[PR_HINT_BYTES];
    snprintf(number, sizeof number, "%" PRId64, self->run.number);
    return pr_error_set(err, PR_E_REJECT_LIMIT,
                        "%" PRIu64 " records are rejected, %" PRId64 " allowed; look at them with `%s`%s",
                        self->run.rejected, limit,
                        pr_hint_into(command, sizeof command, "rejects", "--target", self->daemon->config->target,
                                     goes ? "--run" : NULL, number, NULL),
                        goes ? "" : ", then give the same command with a higher --max-rejects to go on");
}

/*  One batch that begins at the committed position: one transaction. Returns 0, also when the payload turned out to be
 *  broken and the batch was dropped; <0 is a failure of the target. */
static int s_commit_batch(pr_writer_t *self, pr_range_t range, pr_inbound_t *inbound, pr_error_t *err) {
    const pr_msg_rows_t *batch = &inbound->message.rows;
    const pr_stream_t *stream = &self->daemon->mapping->streams[batch->stream];
    int64_t begun_us = pr_now_us();
    pr_error_t problem = PR_ERROR_INIT;
    pr_target_counts_t counts;
    pr_rows_reader_t *rows =
        pr_rows_reader_new(stream, zmq_msg_data(&inbound->frames[0]), zmq_msg_size(&inbound->frames[0]), &problem);
    int result = rows != NULL ? 0 : -(int)problem.code;
    if (result == 0)
        result =
            pr_target_batch_begin(self->target, self->run.number, &self->plan->sources[range.source], range, &problem);
    if (result == 0)
        result = s_apply(self, stream, rows, batch, &problem);
    if (result == 0)
        result = pr_verdicts_record(self->verdicts, &problem);
    if (result == 0)
        result = pr_target_batch_commit(self->target, batch->digest, &counts, &self->run.checkpoint, &problem);
    pr_rows_reader_destroy(&rows);
    if (result == -PR_E_PROTOCOL) {
        pr_target_batch_rollback(self->target);
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &problem);
        s_ask_to_go_back(self, begun_us / 1000);
        return 0;
    }
    if (result != 0) {
        pr_target_batch_rollback(self->target);
        return pr_error_set(err, problem.code, "%s", problem.text);
    }
    pr_fault("writer.after-commit-before-progress");
    self->position = pr_position_normalise(pr_range_end(range), self->plan->records, self->plan->count);
    self->committed += range.count;
    self->run.rejected += counts.rejected;
    self->gap_ms = 0;
    self->asked_ms = 0;
    s_count_commit(self, batch, &counts, begun_us);
    s_publish(self);
    return s_check_reject_limit(self, err);
}

static pr_range_t s_range(const pr_msg_rows_t *rows) {
    return (pr_range_t){
        .source = rows->source, .first = rows->first, .count = rows->count, .begin = rows->begin, .end = rows->end};
}

/* Is this ROWS one of this run, by the plan? */
static int s_check_rows(const pr_writer_t *self, const pr_msg_rows_t *rows, pr_error_t *err) {
    if (rows->stream >= self->daemon->mapping->streams_count || rows->source >= self->plan->count ||
        strcmp(self->plan->sources[rows->source].stream, self->daemon->mapping->streams[rows->stream].name) != 0)
        return pr_error_set(err, PR_E_PROTOCOL, "ROWS of a source that the plan has not");
    if (rows->mapping_digest != self->run.mapping_digest)
        return pr_error_set(err, PR_E_PROTOCOL, "ROWS made by another mapping");
    if (rows->count == 0 || rows->first > self->plan->records[rows->source] ||
        rows->count > self->plan->records[rows->source] - rows->first)
        return pr_error_set(err, PR_E_PROTOCOL, "ROWS beyond the end of its source");
    return 0;
}

/* Commit the early batches whose turn has come. */
static int s_commit_early(pr_writer_t *self, pr_error_t *err) {
    pr_inbound_t inbound;
    uint64_t dropped = 0;
    int result = 0;
    while (result == 0 && pr_reorder_take(self->reorder, self->position, &inbound, &dropped)) {
        result = s_commit_batch(self, s_range(&inbound.message.rows), &inbound, err);
        pr_inbound_release(&inbound);
        self->daemon->counters.records_duplicate += dropped;
    }
    self->daemon->counters.records_duplicate += dropped;
    return result;
}

static int s_on_rows(pr_writer_t *self, pr_inbound_t *inbound, pr_error_t *err) {
    const pr_msg_rows_t *rows = &inbound->message.rows;
    if (self->state != PR_PROGRESS_STREAMING) {
        self->daemon->counters.records_duplicate += rows->count;
        return 0;
    }
    pr_error_t dropped = PR_ERROR_INIT;
    pr_range_t range = s_range(rows);
    int64_t now_ms = pr_now_ms();
    if (s_check_rows(self, rows, &dropped) < 0) {
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    int result;
    switch (pr_range_relation(range, self->position)) {
    case PR_RANGE_NEXT:
        result = s_commit_batch(self, range, inbound, err);
        return result == 0 ? s_commit_early(self, err) : result;
    case PR_RANGE_DUPLICATE:
        self->daemon->counters.records_duplicate += rows->count;
        return 0;
    case PR_RANGE_EARLY:
        if (!pr_reorder_keep(self->reorder, range, inbound))
            self->daemon->counters.records_duplicate += rows->count;
        if (self->gap_ms == 0)
            self->gap_ms = now_ms;
        if (self->daemon->config->transformers == 1)
            s_ask_to_go_back(self, now_ms);
        return 0;
    case PR_RANGE_OVERLAP:
        pr_error_set(&dropped, PR_E_PROTOCOL, "ROWS that overlap the committed position");
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        s_ask_to_go_back(self, now_ms);
        return 0;
    }
    return 0;
}

/* ---- the run's life ------------------------------------------------------------------------------------------------
 */

/* The indexes that are to be built after the last record, and the size of what they are in. */
static int s_measure(pr_writer_t *self, pr_error_t *err) {
    int left = pr_target_indexes_left(self->target, &self->index_rows_left, err);
    if (left < 0)
        return left;
    self->measured_ms = pr_now_ms();
    self->indexes_left = (uint32_t)left;
    if (self->indexes < self->indexes_left)
        self->indexes = self->indexes_left;
    if (self->indexes == self->indexes_left)
        self->index_rows = self->index_rows_left;
    self->target_bytes = pr_target_bytes(self->target);
    return 0;
}

static int s_adopt_plan(pr_writer_t *self, pr_error_t *err) {
    int result = pr_target_run_plan(self->target, self->run.number, &self->plan, err);
    if (result < 0)
        return result;
    self->position = pr_position_normalise(self->run.position, self->plan->records, self->plan->count);
    self->committed = pr_position_records_before(self->position, self->plan->records, self->plan->count);
    self->with_verdict = self->committed;
    pr_target_commit_t commits[s_page];
    int64_t after = 0;
    int got;
    while ((got = pr_target_unvalidated(self->target, self->run.number, after, commits, s_page, err)) > 0) {
        for (int i = 0; i < got; i++)
            self->with_verdict -= commits[i].range.count;
        after = commits[got - 1].checkpoint;
    }
    for (uint32_t i = 0; i < self->plan->count; i++)
        self->daemon->counters.records_total += self->plan->records[i];
    return got < 0 ? got : s_measure(self, err);
}

static int s_begin_run(pr_writer_t *self, const pr_plan_t *plan, pr_error_t *err) {
    char id[37];
    pr_target_run_new_t run = {.id = pr_run_id_print(self->daemon->run, id),
                               .null_text = self->daemon->config->null_text,
                               .retries_through = self->daemon->config->retries_through,
                               .plan = plan};
    int result = pr_target_run_begin(self->target, &run, &self->run, err);
    if (result == 0)
        result = s_adopt_plan(self, err);
    if (result < 0)
        return result;
    self->state = PR_PROGRESS_STREAMING;
    pr_fault("writer.after-begin");
    s_publish(self);
    return 0;
}

static int s_on_plan(pr_writer_t *self, pr_inbound_t *inbound, pr_error_t *err) {
    pr_error_t dropped = PR_ERROR_INIT;
    pr_plan_t *plan = NULL;
    if (zmq_msg_size(&inbound->frames[0]) > PR_PLAN_MAX_BYTES) {
        pr_error_set(&dropped, PR_E_PROTOCOL, "PLAN of more than %d bytes", (int)PR_PLAN_MAX_BYTES);
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    if (pr_plan_from_json(zmq_msg_data(&inbound->frames[0]), zmq_msg_size(&inbound->frames[0]), &plan, &dropped) < 0) {
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    int result = pr_daemon_check_mapping(self->daemon, inbound->message.plan.mapping_digest, err);
    if (result == 0 && self->state == PR_PROGRESS_AWAITING_PLAN)
        result = s_begin_run(self, plan, err);
    else if (result == 0 && (self->state == PR_PROGRESS_STREAMING || self->state == PR_PROGRESS_PROVING))
        result = pr_plan_compare(self->plan, plan, err);
    pr_plan_destroy(&plan);
    return result;
}

/* All is committed. What is left to be done before the whole can be proved? */
static int s_begin_proving(pr_writer_t *self, pr_error_t *err) {
    int result = s_measure(self, err);
    self->state = PR_PROGRESS_PROVING;
    self->indexed = self->indexes_left == 0;
    return result;
}

static int s_on_end(pr_writer_t *self, const pr_msg_end_t *end, pr_error_t *err) {
    if (self->state != PR_PROGRESS_STREAMING || end->plan_digest != self->run.plan_digest ||
        self->position.source < self->plan->count)
        return 0; /* already answered, or early: it will be said again */
    pr_fault("writer.end-before-finish");
    int result = pr_verdicts_record(self->verdicts, err);
    s_enter_phase(self, PR_PHASE_DERIVED);
    s_publish(self); /* it can take its time */
    if (result == 0)
        result = pr_target_run_finish(self->target, self->run.number, &self->run.checkpoint, err);
    if (result < 0)
        return result;
    self->daemon->counters.checkpoint = (uint64_t)self->run.checkpoint;
    pr_fault("writer.end-after-finish");
    result = s_begin_proving(self, err);
    if (result == 0)
        s_publish(self);
    return result;
}

static pr_peer_t *s_peer(pr_writer_t *self, pr_stage_t stage, uint32_t instance) {
    for (size_t i = 0; i < self->peers_count; i++) {
        if (self->peers[i].stage == stage && self->peers[i].instance == instance)
            return &self->peers[i];
    }
    if (self->peers_count == s_peers_max)
        return NULL;
    self->peers[self->peers_count] = (pr_peer_t){.stage = stage, .instance = instance};
    return &self->peers[self->peers_count++];
}

static int s_on_hello(pr_writer_t *self, const pr_message_t *message, pr_error_t *err) {
    pr_peer_t *peer = s_peer(self, message->stage, message->instance);
    if (peer == NULL || peer->incarnation == message->hello.incarnation)
        return 0;
    bool again = peer->incarnation != 0;
    peer->incarnation = message->hello.incarnation;
    peer->gone = false;
    s_publish(self);
    if (s_has_ended(self))
        return 0;
    if (message->stage == PR_STAGE_VALIDATOR)
        return pr_verdicts_send_again(self->verdicts, err);
    if (again && message->stage == PR_STAGE_TRANSFORMER && self->state == PR_PROGRESS_STREAMING)
        s_ask_to_go_back(self, pr_now_ms());
    return 0;
}

static void s_on_bye(pr_writer_t *self, const pr_message_t *message) {
    pr_peer_t *peer = s_peer(self, message->stage, message->instance);
    if (peer != NULL)
        peer->gone = true;
}

static int s_on_fail(pr_writer_t *self, const pr_message_t *message, pr_error_t *err) {
    pr_error_class_t class = pr_error_class(message->fail.code);
    if (class == PR_CLASS_NONE || class == PR_CLASS_RETRY || class == PR_CLASS_BUG) {
        /* What a restart mends no stage tells; and what is wrong with it is no reason for us to end. */
        pr_error_t dropped = PR_ERROR_INIT;
        pr_error_set(&dropped, PR_E_PROTOCOL, "FAIL with a code that ends no run");
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    s_on_bye(self, message);
    if (s_has_ended(self))
        return 0;
    return pr_error_set(err, (pr_error_code_t)message->fail.code, "%s", message->fail.text.data);
}

/* Have all stages that take part gone? */
static bool s_all_gone(const pr_writer_t *self) {
    size_t gone = 0;
    for (size_t i = 0; i < self->peers_count; i++)
        gone += self->peers[i].gone ? 1 : 0;
    return gone >= 2 + (size_t)self->daemon->config->transformers;
}

/* ---- the recipe's callbacks ----------------------------------------------------------------------------------------
 */

static int s_on_any_message(pr_writer_t *self, pr_inbound_t *inbound, pr_error_t *err) {
    const pr_message_t *message = &inbound->message;
    if (pr_run_id_known(message->run) && !pr_run_id_equal(message->run, self->daemon->run) &&
        message->id != PR_MSG_HELLO) {
        pr_error_t dropped = PR_ERROR_INIT;
        pr_error_set(&dropped, PR_E_PROTOCOL, "%s of another run", pr_message_name(message->id));
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_STRAY, &dropped);
        return 0;
    }
    bool said_by_all = message->id == PR_MSG_HELLO || message->id == PR_MSG_BYE || message->id == PR_MSG_FAIL;
    if (s_has_ended(self) && !said_by_all)
        return 0;
    switch (message->id) {
    case PR_MSG_HELLO:
        return s_on_hello(self, message, err);
    case PR_MSG_PLAN:
        return s_on_plan(self, inbound, err);
    case PR_MSG_ROWS:
        return s_on_rows(self, inbound, err);
    case PR_MSG_END:
        return s_on_end(self, &message->end, err);
    case PR_MSG_VERDICT:
        return s_on_verdict(self, inbound, err);
    case PR_MSG_BYE:
        s_on_bye(self, message);
        return 0;
    case PR_MSG_FAIL:
        return s_on_fail(self, message, err);
    case PR_MSG_WORKING:
        pr_verdicts_working(self->verdicts, &message->working);
        return 0;
    case PR_MSG_BATCH:
    case PR_MSG_COMMIT:
    case PR_MSG_FINISH:
    case PR_MSG_PROGRESS:
    case PR_MSG_COUNTERS:
        break; /* not for the writer */
    }
    return 0;
}

static int s_on_message(void *context, pr_inbound_t *inbound, pr_error_t *err) {
    (void)err;
    pr_writer_t *self = context;
    pr_error_t failure = PR_ERROR_INIT;
    if (s_on_any_message(self, inbound, &failure) == 0)
        return 0;
    int result = s_fail(self, &failure);
    return result < 0 ? pr_error_set(err, failure.code, "%s", failure.text) : 0;
}

/* The part of the whole that can be proved now. */
static pr_whole_part_t s_provable(const pr_writer_t *self) {
    if (self->state != PR_PROGRESS_PROVING)
        return PR_WHOLE_NONE;
    if (!pr_verdicts_content_known(self->verdicts))
        return self->indexed ? PR_WHOLE_BOTH : PR_WHOLE_CONTENT;
    return self->indexed ? PR_WHOLE_FILE : PR_WHOLE_NONE;
}

/* Once a turn: what is due by time or by state. */
static int s_due(pr_writer_t *self, int64_t now_ms, pr_error_t *err) {
    int result = 0;
    if (self->gap_ms != 0 && pr_reorder_count(self->reorder) > 0 && now_ms - self->gap_ms >= s_gap_ms) {
        self->gap_ms = now_ms;
        s_ask_to_go_back(self, now_ms);
    }
    bool streaming = self->state == PR_PROGRESS_STREAMING;
    bool proving = self->state == PR_PROGRESS_PROVING;
    if (streaming)
        result = s_check_reject_limit(self, err); /* a writer that died at the limit, or a lower one than before */
    if (result == 0 && (proving || pr_verdicts_overdue(self->verdicts, now_ms)))
        result = pr_verdicts_record(self->verdicts, err);
    if (result == 0 && streaming && now_ms - self->measured_ms >= s_measure_ms)
        result = s_measure(self, err);
    if (result == 0 && (streaming || proving))
        result = pr_verdicts_send(self->verdicts, now_ms, s_provable(self), err);
    return result;
}

/*  Build one index that was put off, if verdicts leave the time. Returns 1 if the next turn has something to do at once: what
 *  came after them, the next index, or asking for what all of them were built for; 0, or <0. */
static int s_build_index(pr_writer_t *self, pr_error_t *err) {
    bool heard = self->heard;
    self->heard = false;
    if (self->state != PR_PROGRESS_PROVING || self->indexed)
        return 0;
    if (heard)
        return 1;
    self->phase_since_ms = pr_now_ms();
    s_publish(self); /* which one; it can take its time */
    self->indexing = true;
    int result = pr_target_build_index(self->target, err);
    self->indexing = false;
    if (result < 0 && pr_daemon_interrupted()) {
        pr_error_clear(err); /* the signal is taken next turn */
        return 0;
    }
    if (result >= 0)
        result = s_measure(self, err);
    self->indexed = result == 0 && self->indexes_left == 0;
    return result < 0 ? result : 1;
}

static int s_on_turn(void *context, int64_t now_ms, pr_error_t *err) {
    pr_writer_t *self = context;
    s_greet_listeners(self);
    if (now_ms - self->published_ms >= self->daemon->config->heartbeat_ms)
        s_publish(self);
    if (s_has_ended(self)) {
        int64_t linger_ms = self->state == PR_PROGRESS_COMPLETE ? self->daemon->config->linger_ms : s_failed_linger_ms;
        self->daemon->leave = s_all_gone(self) || now_ms - self->ended_ms >= linger_ms;
        return 0;
    }
    pr_error_t failure = PR_ERROR_INIT;
    int result = s_due(self, now_ms, &failure);
    if (result == 0)
        result = s_build_index(self, &failure);
    if (result >= 0)
        return result;
    result = s_fail(self, &failure);
    return result < 0 ? pr_error_set(err, failure.code, "%s", failure.text) : 0;
}

/* Commit what has arrived in order, and leave the rest to the next writer. */
static int s_on_drain(void *context, pr_error_t *err) {
    enum { drain_ms = 2000 };
    pr_writer_t *self = context;
    int64_t until_ms = pr_now_ms() + drain_ms;
    pr_inbound_t inbound;
    pr_error_t dropped = PR_ERROR_INIT;
    int result = 0;
    int received;
    while (result == 0 && pr_now_ms() < until_ms &&
           (received = pr_socket_receive(self->daemon->in, &inbound, &dropped)) != 0) {
        if (received > 0) {
            result = s_on_message(self, &inbound, err);
            pr_inbound_release(&inbound);
        }
    }
    if (result == 0 && self->run.number != 0 && !s_has_ended(self)) {
        result = pr_verdicts_record(self->verdicts, err);
        if (result == 0)
            result = pr_target_run_stopped(self->target, self->run.number, "interrupted", s_seconds(self), err);
    }
    s_publish(self);
    if (s_has_ended(self))
        self->daemon->leave = true; /* with its outcome, not as interrupted */
    return result;
}

/* No writer is open: nobody is to be told. */
static bool s_at_rest(void *context) {
    (void)context;
    return true;
}

static void s_close(void **context) {
    pr_writer_t *self = *context;
    if (self == NULL)
        return;
    pr_sql_alive(s_at_rest, NULL);
    pr_verdicts_destroy(&self->verdicts);
    if (self->export_file >= 0)
        close(self->export_file);
    free(self->raw);
    pr_reorder_destroy(&self->reorder);
    pr_plan_destroy(&self->plan);
    pr_target_destroy(&self->target);
    free(self);
    *context = NULL;
}

/* May the run that was found be continued with this configuration? */
static int s_check_run(const pr_writer_t *self, pr_error_t *err) {
    const pr_config_t *config = self->daemon->config;
    if (self->run.mapping_digest != self->daemon->mapping->digest)
        return pr_error_set(
            err, PR_E_UNFINISHED,
            "%s: run %lld was begun with another content of the mapping %s; put it back, or give --restart to "
            "begin anew",
            config->target, (long long)self->run.number, config->mapping);
    if (self->run.null_text != config->null_text)
        return pr_error_set(err, PR_E_UNFINISHED,
                            "%s: run %lld was begun with --null-text %s; go on with that, or give --restart",
                            config->target, (long long)self->run.number, pr_null_text_words[self->run.null_text]);
    return 0;
}

/*  The writer before this one took the run back, and died before everyone heard of it. What was too many rejects is said
 *  as a failure, a failed proof as an outcome; as when it happens. */
static void s_adopt_taken_back(pr_writer_t *self) {
    self->ended_ms = pr_now_ms();
    if (self->run.outcome == pr_error_exit_code(PR_E_VALIDATION)) {
        self->state = PR_PROGRESS_COMPLETE;
        return;
    }
    pr_error_set(&self->failure, PR_E_REJECT_LIMIT,
                 "%llu records were rejected, more than allowed, and the run was taken back",
                 (unsigned long long)self->run.rejected);
    pr_log_error(&self->failure); /* who watches this process may miss what it publishes */
    self->daemon->outcome = PR_E_REJECT_LIMIT;
    self->state = PR_PROGRESS_FAILED;
}

/* Find the run to continue, or settle on a new one. */
static int s_find_run(pr_writer_t *self, pr_error_t *err) {
    const pr_config_t *config = self->daemon->config;
    self->state = PR_PROGRESS_AWAITING_PLAN;
    int found = pr_target_run_find(self->target, config->run, &self->run, err);
    if (found < 0)
        return found;
    if (found == 0 && config->run != NULL) {
        pr_target_run_t other;
        int unfinished = pr_target_run_find(self->target, NULL, &other, err);
        if (unfinished > 0 && !config->restart)
            return pr_error_set(err, PR_E_UNFINISHED,
                                "%s: run %lld is not finished; continue it, or give --restart to abandon it",
                                config->target, (long long)other.number);
        if (unfinished > 0)
            unfinished = pr_target_run_abandon(self->target, other.number, err);
        if (unfinished < 0)
            return unfinished;
        return pr_run_id_parse(config->run, &self->daemon->run);
    }
    if (found == 0) {
        self->daemon->run = pr_run_id_new();
        return 0;
    }
    if (pr_run_id_parse(self->run.id, &self->daemon->run) < 0)
        return pr_error_set(err, PR_E_TARGET, "%s: pvrelay_run.id of run %lld is no UUID", config->target,
                            (long long)self->run.number);
    switch (self->run.state) {
    case PR_RUN_ABANDONED:
        if (self->run.taken_back && self->run.outcome >= 0) {
            s_adopt_taken_back(self);
            return 0;
        }
        return pr_error_set(err, PR_E_UNFINISHED, "%s: run %lld was abandoned; begin a new one", config->target,
                            (long long)self->run.number);
    case PR_RUN_STREAMING:
    case PR_RUN_PROVING:
        self->state = PR_PROGRESS_STREAMING;
        if (self->run.state == PR_RUN_PROVING && s_begin_proving(self, err) < 0)
            return -(int)err->code;
        return s_check_run(self, err);
    case PR_RUN_COMPLETE:
        self->state = PR_PROGRESS_COMPLETE;
        self->ended_ms = pr_now_ms();
        return 0;
    }
    return 0;
}

/* The error code behind the exit code that a complete run was recorded with. */
static int s_outcome_of_exit_code(int exit_code) {
    switch (exit_code) {
    case 3:
        return PR_E_REJECTED;
    case 4:
        return PR_E_VALIDATION;
    }
    return PR_E_OK;
}

/* In the middle of a statement: what the others must hear, so that nobody takes the writer for dead. */
static void s_on_wait(void *context) {
    pr_writer_t *self = context;
    s_greet_listeners(self);
    if (pr_now_ms() - self->published_ms >= self->daemon->config->heartbeat_ms)
        s_publish(self);
}

/* In the midst of a statement. What takes long after the last record is shown as it goes, also to a new listener. */
static bool s_alive(void *context) {
    pr_writer_t *self = context;
    bool busy = self->phase == PR_PHASE_DERIVED || self->state == PR_PROGRESS_PROVING;
    pr_daemon_busy(self->daemon);
    if (busy && self->daemon->progress != NULL)
        s_on_wait(self);
    /* What is begun is committed; but for an index, which the next writer can build as well. */
    return !self->indexing || !pr_daemon_interrupted();
}

static int s_open(pr_daemon_t *daemon, void **ret_self, pr_error_t *err) {
    pr_writer_t *self = pr_xcalloc(1, sizeof *self);
    self->daemon = daemon;
    pr_sql_alive(s_alive, self);
    self->export_file = -1;
    self->begun_ms = pr_now_ms();
    self->reorder = pr_reorder_new((size_t)daemon->config->window_bytes * 2);
    int result =
        pr_target_open(daemon->config->target, daemon->config->migrations, daemon->mapping, &self->target, err);
    if (result == 0)
        pr_target_on_foreign_change(self->target, daemon->config->on_foreign_change);
    if (result == 0 && !daemon->config->undo_off)
        result = pr_target_keep_undo(self->target, err);
    if (result == 0)
        result = s_find_run(self, err);
    if (result == 0 && self->run.number != 0)
        result = s_adopt_plan(self, err);
    if (result == 0)
        self->verdicts = pr_verdicts_new(daemon, self->target, &self->run);
    if (result < 0) {
        void *context = self;
        s_close(&context);
        return result;
    }
    if (self->state == PR_PROGRESS_COMPLETE) {
        self->run.outcome = s_outcome_of_exit_code(self->run.outcome);
        daemon->outcome = self->run.outcome;
    }
    /* The writer before this one may have died before it left its last words. */
    if (s_has_ended(self))
        s_ended(self, self->state);
    else
        pr_ending_clear(daemon->config->run_dir, &daemon->run);
    daemon->counters.checkpoint = (uint64_t)self->run.checkpoint;
    *ret_self = self;
    return 0;
}

/* ROWS, COMMITs and VERDICTs on their way are lost. */
static int s_on_reopened(void *context, pr_error_t *err) {
    pr_writer_t *self = context;
    s_publish(self);
    if (s_has_ended(self))
        return 0;
    if (self->state == PR_PROGRESS_STREAMING)
        s_ask_to_go_back(self, pr_now_ms());
    return pr_verdicts_send_again(self->verdicts, err);
}

static int s_on_progress(void *context, const pr_msg_progress_t *progress, bool fresh, pr_error_t *err) {
    (void)context;
    (void)progress;
    (void)fresh;
    (void)err;
    return 0; /* it is the writer who says it */
}

static void s_status(void *context, char *buffer, size_t size) {
    const pr_writer_t *self = context;
    snprintf(buffer, size, "%llu records committed, %llu proved, %llu rejected, checkpoint %lld",
             (unsigned long long)self->committed, (unsigned long long)self->run.validated,
             (unsigned long long)self->run.rejected, (long long)self->run.checkpoint);
}

const pr_stage_ops_t pr_writer_ops = {
    .stage = PR_STAGE_WRITER,
    .program = "pvrelay-writer",
    .summary = "Writes rows, positions and rejects into the target, one batch a transaction.",
    .open = s_open,
    .close = s_close,
    .on_message = s_on_message,
    .on_progress = s_on_progress,
    .on_turn = s_on_turn,
    .on_reopened = s_on_reopened,
    .on_drain = s_on_drain,
    .on_wait = s_on_wait,
    .status = s_status,
};
