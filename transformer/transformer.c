/* SPDX-License-Identifier: MIT */
/* The transformer's part of the protocol: BATCH in, ROWS out. */
/*  DESIGN
 *
 *  No state at all: a batch comes in, its rows go out, and between the two at most one ROWS waits for room. A
 *  transformer that dies takes with it what it held and what lay in its pipe; the writer sees the gap, and the reader
 *  sends it again.
 */
#include "transformer/transformer.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/export.h"
#include "common/fault.h"
#include "common/json_record.h"
#include "common/log.h"
#include "common/outbox.h"
#include "common/position.h"
#include "transformer/transform.h"

typedef struct {
    pr_daemon_t *daemon;
    pr_transformer_t *transformer;
    pr_slice_t *slices;
    size_t slices_room;
    pr_outbox_t outbox; /* ROWS that wait for room */
} pr_transformer_stage_t;

static int s_open(pr_daemon_t *daemon, void **ret_self, pr_error_t *err) {
    (void)err;
    pr_transformer_stage_t *self = pr_xcalloc(1, sizeof *self);
    self->daemon = daemon;
    self->transformer = pr_transformer_new(daemon->mapping);
    *ret_self = self;
    return 0;
}

static void s_close(void **context) {
    pr_transformer_stage_t *self = *context;
    if (self == NULL)
        return;
    pr_outbox_drop(&self->outbox, self->daemon);
    pr_transformer_destroy(&self->transformer);
    free(self->slices);
    free(self);
    *context = NULL;
}

/* Unpack the slices into self->slices and see that all of them lie inside the batch. */
static int s_unpack_slices(pr_transformer_stage_t *self, const pr_msg_batch_t *batch, pr_inbound_t *inbound,
                           pr_error_t *err) {
    const uint8_t *words = zmq_msg_data(&inbound->frames[0]);
    uint64_t bytes = batch->end - batch->begin;
    if (batch->count == 0 || zmq_msg_size(&inbound->frames[0]) != (size_t)batch->count * 2 * sizeof(uint32_t))
        return pr_error_set(err, PR_E_PROTOCOL, "BATCH whose slices are not as many as its records");
    if (batch->end <= batch->begin || bytes > UINT32_MAX || zmq_msg_size(&inbound->frames[1]) < bytes + PR_JSON_PADDING)
        return pr_error_set(err, PR_E_PROTOCOL, "BATCH that is shorter than it says");
    if (batch->count > self->slices_room) {
        self->slices_room = batch->count;
        self->slices = pr_xrealloc(self->slices, self->slices_room * sizeof *self->slices);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        uint32_t pair[2]; /* a frame's data need not be aligned */
        memcpy(pair, words + i * sizeof pair, sizeof pair);
        uint32_t offset = le32toh(pair[0]);
        uint32_t length = le32toh(pair[1]);
        if (offset > bytes || length > bytes - offset)
            return pr_error_set(err, PR_E_PROTOCOL, "BATCH with a record beyond its end");
        self->slices[i] = (pr_slice_t){.offset = offset, .length = length};
    }
    return 0;
}

static int s_check_batch(pr_transformer_stage_t *self, const pr_msg_batch_t *batch, pr_inbound_t *inbound,
                         pr_error_t *err) {
    if (batch->stream >= self->daemon->mapping->streams_count)
        return pr_error_set(err, PR_E_PROTOCOL, "BATCH of an unknown stream");
    int result = s_unpack_slices(self, batch, inbound, err);
    if (result < 0)
        return result;
    if (XXH3_64bits(zmq_msg_data(&inbound->frames[1]), (size_t)(batch->end - batch->begin)) != batch->digest)
        return pr_error_set(err, PR_E_PROTOCOL, "BATCH whose bytes are not what its digest says");
    return 0;
}

static void s_count(pr_transformer_stage_t *self, const pr_msg_batch_t *batch, const pr_transform_counts_t *counts) {
    pr_msg_counters_t *counters = &self->daemon->counters;
    counters->batches++;
    counters->bytes += batch->end - batch->begin;
    counters->records_read += batch->count;
    counters->records_ok += counts->ok;
    counters->records_rejected += counts->rejected;
    counters->last_progress_ms = (uint64_t)pr_calendar_ms();
    _Static_assert((int)PR_REJECT_REASONS <= (int)PR_WIRE_LIST, "COUNTERS has a number for each reason");
    for (size_t i = 0; i < PR_REJECT_REASONS; i++)
        counters->rejects.at[i] += counts->rejected_by_reason[i];
}

static int s_on_batch(pr_transformer_stage_t *self, pr_inbound_t *inbound, pr_error_t *err) {
    const pr_msg_batch_t *batch = &inbound->message.batch;
    int result = pr_daemon_check_mapping(self->daemon, batch->mapping_digest, err);
    if (result < 0)
        return result;
    pr_error_t dropped = PR_ERROR_INIT;
    if (s_check_batch(self, batch, inbound, &dropped) < 0) {
        pr_daemon_protocol_error(self->daemon, PR_PROTOCOL_CONTENT, &dropped);
        return 0;
    }
    pr_transform_counts_t counts = {0};
    msgpack_sbuffer rows;
    msgpack_sbuffer_init(&rows);
    result =
        pr_transform_batch(self->transformer, batch->stream, batch->null_text != 0, zmq_msg_data(&inbound->frames[1]),
                           (size_t)(batch->end - batch->begin), self->slices, batch->count, &rows, &counts);
    if (result < 0) {
        msgpack_sbuffer_destroy(&rows);
        return pr_error_set(err, PR_E_INTERNAL, "the batch from %s could not be transformed",
                            pr_position_text((pr_position_t){batch->source, batch->first, batch->begin}).text);
    }
    s_count(self, batch, &counts);
    pr_message_t message = {.id = PR_MSG_ROWS,
                            .rows = {.stream = batch->stream,
                                     .source = batch->source,
                                     .first = batch->first,
                                     .count = batch->count,
                                     .begin = batch->begin,
                                     .end = batch->end,
                                     .digest = batch->digest,
                                     .mapping_digest = self->daemon->mapping->digest}};
    size_t size = rows.size;
    pr_fault("transformer.before-rows");
    pr_outbox_send(&self->outbox, self->daemon, &message, msgpack_sbuffer_release(&rows), size);
    pr_fault("transformer.after-rows");
    return 0;
}

static int s_on_message(void *context, pr_inbound_t *inbound, pr_error_t *err) {
    pr_transformer_stage_t *self = context;
    pr_daemon_t *daemon = self->daemon;
    pr_error_t dropped = PR_ERROR_INIT;
    if (!pr_run_id_known(daemon->run))
        daemon->run = inbound->message.run; /* records may come before the first PROGRESS */
    if (inbound->message.id == PR_MSG_BATCH && pr_run_id_equal(daemon->run, inbound->message.run))
        return s_on_batch(self, inbound, err);
    pr_error_set(&dropped, PR_E_PROTOCOL, "%s of another run", pr_message_name(inbound->message.id));
    pr_daemon_protocol_error(daemon, PR_PROTOCOL_STRAY, &dropped);
    return 0;
}

static int s_on_progress(void *context, const pr_msg_progress_t *progress, bool fresh, pr_error_t *err) {
    (void)err;
    pr_transformer_stage_t *self = context;
    if (fresh) /* what waits was made for a run or a writer that is no more */
        pr_outbox_drop(&self->outbox, self->daemon);
    self->daemon->counters.checkpoint = (uint64_t)progress->checkpoint;
    return 0;
}

static int s_on_turn(void *context, int64_t now_ms, pr_error_t *err) {
    (void)now_ms;
    (void)err;
    pr_transformer_stage_t *self = context;
    pr_outbox_flush(&self->outbox, self->daemon);
    return 0;
}

static void s_status(void *context, char *buffer, size_t size) {
    const pr_transformer_stage_t *self = context;
    const pr_msg_counters_t *counters = &self->daemon->counters;
    snprintf(buffer, size, "%llu records transformed, %llu rejected", (unsigned long long)counters->records_ok,
             (unsigned long long)counters->records_rejected);
}

const pr_stage_ops_t pr_transformer_ops = {
    .stage = PR_STAGE_TRANSFORMER,
    .program = "pvrelay-transformer",
    .summary = "Turns raw records into rows by the mapping, or rejects them.",
    .open = s_open,
    .close = s_close,
    .on_message = s_on_message,
    .on_progress = s_on_progress,
    .on_turn = s_on_turn,
    .status = s_status,
};
