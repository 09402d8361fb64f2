/* SPDX-License-Identifier: MIT */
/* The reader's part of the position protocol. */
/*  DESIGN
 *
 *  The reader holds no state that matters: the exports are the journal, the writer says where to go on.
 *
 *      sent       place up to which batches have been sent (by this process, to this writer)
 *      committed  place of the last PROGRESS
 *      window     the batches between the two, by their ends and sizes; their bytes never exceed window_bytes, but for
 *                 one batch that is larger by itself
 *
 *  Invariant: committed <= sent. A PROGRESS beyond `sent` (batches sent before a go-back have arrived after all) moves
 *  `sent`.
 *
 *  By the state of the last PROGRESS:
 *      none             send nothing
 *      awaiting plan    send PLAN, again every s_repeat_ms
 *      streaming        send batches while the window has room; at the end send END, again every s_repeat_ms
 *      proving          nothing
 *
 *  A PROGRESS from a writer not heard before is answered with PLAN too, whatever its state: the writer compares it with
 *  what the run began with, and nothing is sent until its plan_digest is ours.
 *
 *  Go back (sent := committed) when the writer asks (its `resend` has grown), when a new writer appears, or when
 *  nothing has been committed for the resend time while the window is not empty; that time doubles each time in a row,
 *  up to s_resend_max_ms, so that a slow stage is not buried in duplicates.
 */
#include "reader/reader.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/position.h"
#include "reader/batch.h"

enum { s_repeat_ms = 250, s_resend_max_ms = 30000 };

/* A batch on its way. */
typedef struct {
    pr_position_t end;
    uint64_t bytes;
} pr_in_flight_t;

typedef struct {
    pr_daemon_t *daemon;
    pr_batcher_t *batcher;
    const pr_plan_t *plan;
    char *plan_json; /* as it is sent */
    size_t plan_json_bytes;
    uint64_t plan_digest;
    pr_msg_progress_t progress; /* the last one; state 0: none */
    bool agreed;                /* its plan_digest is ours */
    pr_position_t sent;
    pr_position_t committed;
    pr_in_flight_t *window; /* a ring, oldest at window_head */
    size_t window_head, window_count, window_room;
    uint64_t window_bytes;
    pr_batch_t ready; /* cut, but there was no room to send it */
    bool has_ready;
    int64_t moved_ms;  /* when the committed position last moved, or we went back */
    int64_t resend_ms; /* how long to wait for it to move */
    int64_t repeat_ms; /* when PLAN or END was last sent */
} pr_reader_t;

static void s_drop_ready(pr_reader_t *self) {
    if (self->has_ready) {
        zmq_msg_close(&self->ready.slices);
        zmq_msg_close(&self->ready.bytes);
        self->has_ready = false;
    }
}

static void s_window_push(pr_reader_t *self, pr_in_flight_t batch) {
    if (self->window_count == self->window_room) {
        size_t room = self->window_room == 0 ? 64 : self->window_room * 2;
        pr_in_flight_t *window = pr_xcalloc(room, sizeof *window);
        for (size_t i = 0; i < self->window_count; i++)
            window[i] = self->window[(self->window_head + i) % self->window_room];
        free(self->window);
        self->window = window;
        self->window_head = 0;
        self->window_room = room;
    }
    self->window[(self->window_head + self->window_count++) % self->window_room] = batch;
    self->window_bytes += batch.bytes;
}

/* Forget the batches that are committed. */
static void s_window_shift(pr_reader_t *self, pr_position_t committed) {
    while (self->window_count > 0) {
        const pr_in_flight_t *oldest = &self->window[self->window_head];
        pr_position_t end = pr_position_normalise(oldest->end, self->plan->records, self->plan->count);
        if (pr_position_compare(end, committed) > 0)
            break;
        self->window_bytes -= oldest->bytes;
        self->window_head = (self->window_head + 1) % self->window_room;
        self->window_count--;
    }
}

static void s_go_back(pr_reader_t *self, int64_t now_ms) {
    if (self->window_count > 0 || self->has_ready) {
        self->daemon->counters.resends++;
        pr_log(PR_LOG_INFO, "going back to %s", pr_position_text(self->committed).text);
    }
    s_drop_ready(self);
    self->window_count = 0;
    self->window_bytes = 0;
    self->sent = self->committed;
    self->moved_ms = now_ms;
}

static void s_send_plan(pr_reader_t *self, int64_t now_ms) {
    self->repeat_ms = now_ms;
    zmq_msg_t frame;
    zmq_msg_init_size(&frame, self->plan_json_bytes);
    memcpy(zmq_msg_data(&frame), self->plan_json, self->plan_json_bytes);
    pr_message_t message = {
        .id = PR_MSG_PLAN, .plan = {.plan_digest = self->plan_digest, .mapping_digest = self->daemon->mapping->digest}};
    if (pr_daemon_send(self->daemon, self->daemon->writer, &message, &frame, 1) == 0)
        zmq_msg_close(&frame);
}

static void s_send_end(pr_reader_t *self, int64_t now_ms) {
    pr_fault("reader.before-end");
    pr_message_t message = {.id = PR_MSG_END, .end = {.plan_digest = self->plan_digest}};
    pr_daemon_send(self->daemon, self->daemon->writer, &message, NULL, 0);
    self->repeat_ms = now_ms;
    pr_fault("reader.after-end");
}

/* Send the batch that is ready. Returns false if there is no room. */
static bool s_send_ready(pr_reader_t *self) {
    const pr_batch_t *batch = &self->ready;
    pr_message_t message = {.id = PR_MSG_BATCH,
                            .batch = {.stream = batch->stream,
                                      .null_text = batch->null_text,
                                      .source = batch->range.source,
                                      .first = batch->range.first,
                                      .count = batch->range.count,
                                      .begin = batch->range.begin,
                                      .end = batch->range.end,
                                      .digest = batch->digest,
                                      .mapping_digest = self->daemon->mapping->digest}};
    zmq_msg_t frames[2] = {batch->slices, batch->bytes};
    if (pr_daemon_send(self->daemon, self->daemon->out, &message, frames, 2) == 0) {
        self->ready.slices = frames[0];
        self->ready.bytes = frames[1];
        self->daemon->want_out = true;
        return false;
    }
    self->has_ready = false;
    uint64_t bytes = batch->range.end - batch->range.begin;
    if (self->window_count == 0)
        self->moved_ms = pr_now_ms(); /* nothing was outstanding: the resend time begins now */
    s_window_push(self, (pr_in_flight_t){.end = pr_range_end(batch->range), .bytes = bytes});
    self->sent = pr_position_normalise(pr_range_end(batch->range), self->plan->records, self->plan->count);
    pr_msg_counters_t *counters = &self->daemon->counters;
    counters->batches++;
    counters->bytes += bytes;
    counters->records_read += batch->range.count;
    counters->records_ok += batch->range.count;
    pr_fault("reader.after-batch");
    return true;
}

static bool s_at_end(const pr_reader_t *self, pr_position_t at) {
    return at.source >= self->plan->count;
}

/* Cut and send one batch, or END. Returns 1 if there is more to do at once. */
static int s_stream(pr_reader_t *self, int64_t now_ms, pr_error_t *err) {
    if (!self->has_ready) {
        if (s_at_end(self, self->sent)) {
            if (now_ms - self->repeat_ms >= s_repeat_ms && s_at_end(self, self->committed))
                s_send_end(self, now_ms);
            return 0;
        }
        if (self->window_count > 0 &&
            self->window_bytes + self->daemon->config->batch_bytes > self->daemon->config->window_bytes) {
            self->daemon->full = true;
            return 0;
        }
        int result = pr_batcher_cut(self->batcher, self->sent, &self->ready, err);
        if (result < 0)
            return result;
        self->has_ready = true;
    }
    return s_send_ready(self) ? 1 : 0;
}

static int s_on_turn(void *context, int64_t now_ms, pr_error_t *err) {
    pr_reader_t *self = context;
    int result = 0;
    if (self->progress.state == PR_PROGRESS_AWAITING_PLAN) {
        if (now_ms - self->repeat_ms >= s_repeat_ms)
            s_send_plan(self, now_ms);
    } else if (self->progress.state == PR_PROGRESS_STREAMING && self->agreed) {
        if (self->window_count > 0 && now_ms - self->moved_ms >= self->resend_ms) {
            s_go_back(self, now_ms);
            self->resend_ms = self->resend_ms * 2 < s_resend_max_ms ? self->resend_ms * 2 : s_resend_max_ms;
        }
        result = s_stream(self, now_ms, err);
    }
    self->daemon->counters.window_bytes = self->window_bytes;
    return result;
}

static int s_on_progress(void *context, const pr_msg_progress_t *progress, bool fresh, pr_error_t *err) {
    (void)err;
    pr_reader_t *self = context;
    int64_t now_ms = pr_now_ms();
    bool asked = self->progress.state != 0 && progress->resend != self->progress.resend;
    self->progress = *progress;
    self->agreed = progress->plan_digest == self->plan_digest;
    if (fresh)
        s_send_plan(self, now_ms);
    if (!self->agreed || progress->state == PR_PROGRESS_AWAITING_PLAN)
        return 0;
    pr_position_t committed = {.source = progress->source, .ordinal = progress->ordinal, .offset = progress->offset};
    committed = pr_position_normalise(committed, self->plan->records, self->plan->count);
    if (fresh || asked) {
        self->committed = committed;
        self->resend_ms = self->daemon->config->resend_ms;
        s_go_back(self, now_ms);
    } else if (pr_position_compare(committed, self->committed) > 0) {
        self->committed = committed;
        self->moved_ms = now_ms;
        self->resend_ms = self->daemon->config->resend_ms;
        if (s_at_end(self, committed))
            self->repeat_ms = 0; /* END at once */
        s_window_shift(self, committed);
        if (pr_position_compare(self->sent, committed) < 0) {
            s_drop_ready(self);
            self->sent = committed;
        }
    }
    self->daemon->counters.checkpoint = (uint64_t)progress->checkpoint;
    self->daemon->counters.last_progress_ms = (uint64_t)pr_calendar_ms();
    return 0;
}

static bool s_scan_progress(void *context, uint64_t done_bytes, uint64_t total_bytes) {
    pr_daemon_t *daemon = context;
    daemon->counters.scanned_bytes = done_bytes;
    daemon->counters.scan_total_bytes = total_bytes;
    pr_daemon_busy(daemon);
    return !pr_daemon_interrupted();
}

/* Say what was passed over in the files beside the records. */
static void s_say_what_was_skipped(const pr_reader_t *self) {
    size_t count = 0;
    pr_export_t *const *exports = pr_batcher_exports(self->batcher, &count);
    for (size_t i = 0; i < count; i++) {
        if (exports[i]->banner_lines > 0)
            pr_log(PR_LOG_WARNING, "%s: skipped %u line%s before the JSON; export with --json to be without",
                   exports[i]->path, exports[i]->banner_lines, exports[i]->banner_lines == 1 ? "" : "s");
        for (char **key = exports[i]->unknown_meta; key != NULL && *key != NULL; key++)
            pr_log(PR_LOG_NOTICE, "%s: does not know the key \"%s\" beside the results", exports[i]->path, *key);
    }
}

static void s_close(void **context) {
    pr_reader_t *self = *context;
    if (self == NULL)
        return;
    s_drop_ready(self);
    pr_batcher_destroy(&self->batcher);
    free(self->window);
    free(self->plan_json);
    free(self);
    *context = NULL;
}

static int s_open(pr_daemon_t *daemon, void **ret_self, pr_error_t *err) {
    pr_reader_t *self = pr_xcalloc(1, sizeof *self);
    self->daemon = daemon;
    pr_null_text_t rule = daemon->config->null_text;
    if (rule == PR_NULL_TEXT_AUTO && daemon->config->retries_through > 0)
        rule = PR_NULL_TEXT_ENVELOPE;
    int result =
        pr_batcher_open((const char *const *)daemon->config->sources, daemon->config->sources_count, daemon->mapping,
                        rule, daemon->config->batch_bytes, s_scan_progress, daemon, &self->batcher, err);
    if (result == 0) {
        self->plan = pr_batcher_plan(self->batcher);
        result = pr_plan_check_given(self->plan, daemon->config->sources_count, err);
    }
    if (result == 0)
        result = pr_plan_to_json(self->plan, &self->plan_json, &self->plan_json_bytes, err);
    if (result == 0 && self->plan_json_bytes > PR_PLAN_MAX_BYTES)
        result = pr_error_set(err, PR_E_USAGE, "%u exports are too many for one run; replay them in several",
                              self->plan->count);
    if (result < 0) {
        void *context = self;
        s_close(&context);
        return result;
    }
    self->plan_digest = pr_plan_digest(self->plan);
    self->resend_ms = daemon->config->resend_ms;
    for (uint32_t i = 0; i < self->plan->count; i++)
        daemon->counters.records_total += self->plan->records[i];
    daemon->counters.scanned_bytes = daemon->counters.scan_total_bytes;
    s_say_what_was_skipped(self);
    *ret_self = self;
    return 0;
}

static int s_on_message(void *context, pr_inbound_t *inbound, pr_error_t *err) {
    (void)context;
    (void)inbound;
    (void)err;
    return 0; /* nobody sends a reader anything but PROGRESS */
}

static void s_status(void *context, char *buffer, size_t size) {
    const pr_reader_t *self = context;
    const pr_msg_counters_t *counters = &self->daemon->counters;
    snprintf(buffer, size, "%llu of %llu records sent, window %llu KiB, went back %llu times",
             (unsigned long long)counters->records_ok, (unsigned long long)counters->records_total,
             (unsigned long long)(counters->window_bytes >> 10), (unsigned long long)counters->resends);
}

const pr_stage_ops_t pr_reader_ops = {
    .stage = PR_STAGE_READER,
    .program = "pvrelay-reader",
    .summary = "Reads export files and sends their records, raw, to the transformers.",
    .open = s_open,
    .close = s_close,
    .on_message = s_on_message,
    .on_progress = s_on_progress,
    .on_turn = s_on_turn,
    .status = s_status,
};
