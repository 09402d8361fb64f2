/* SPDX-License-Identifier: MIT */
/* Cutting batches out of the exports, as the frames that travel. */
#include "reader/batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/export_cut.h"

struct pr_batcher {
    pr_cutter_t *cutter;
    size_t batch_bytes;
};

int pr_batcher_open(const char *const *paths, size_t count, const pr_mapping_t *mapping, pr_null_text_t rule,
                    size_t batch_bytes, pr_export_progress_fn *progress, void *context, pr_batcher_t **ret_batcher,
                    pr_error_t *err) {
    pr_batcher_t *self = pr_xcalloc(1, sizeof *self);
    self->batch_bytes = batch_bytes;
    int result = pr_cutter_open(paths, count, mapping, rule, "put back what the run began with, or give --restart",
                                progress, context, &self->cutter, err);
    if (result < 0)
        pr_batcher_destroy(&self);
    else
        *ret_batcher = self;
    return result;
}

void pr_batcher_destroy(pr_batcher_t **batcher) {
    if (batcher == NULL || *batcher == NULL)
        return;
    pr_cutter_destroy(&(*batcher)->cutter);
    free(*batcher);
    *batcher = NULL;
}

const pr_plan_t *pr_batcher_plan(const pr_batcher_t *batcher) {
    return pr_cutter_plan(batcher->cutter);
}

pr_export_t *const *pr_batcher_exports(const pr_batcher_t *batcher, size_t *ret_count) {
    return pr_cutter_exports(batcher->cutter, ret_count);
}

/* The frame itself is the room that is read into. */
static void *s_room(void *context, size_t size) {
    zmq_msg_t *bytes = context;
    zmq_msg_close(bytes);
    zmq_msg_init_size(bytes, size);
    return zmq_msg_data(bytes);
}

static void s_pack_slices(const pr_cut_t *cut, zmq_msg_t *ret_slices) {
    zmq_msg_init_size(ret_slices, (size_t)cut->range.count * 2 * sizeof(uint32_t));
    uint8_t *words = zmq_msg_data(ret_slices);
    for (size_t i = 0; i < cut->range.count; i++) {
        uint32_t pair[2] = {htole32(cut->slices[i].offset), htole32(cut->slices[i].length)};
        memcpy(words + i * sizeof pair, pair, sizeof pair); /* a frame's data need not be aligned */
    }
}

int pr_batcher_cut(pr_batcher_t *self, pr_position_t at, pr_batch_t *ret_batch, pr_error_t *err) {
    pr_cut_t cut;
    pr_batch_t batch;
    zmq_msg_init(&batch.bytes);
    int result = pr_cutter_cut(self->cutter, at, self->batch_bytes, s_room, &batch.bytes, &cut, err);
    if (result < 0) {
        zmq_msg_close(&batch.bytes);
        return result;
    }
    batch.range = cut.range;
    batch.stream = (uint16_t)cut.stream;
    batch.null_text = pr_cutter_plan(self->cutter)->sources[at.source].null_text;
    batch.digest = XXH3_64bits(zmq_msg_data(&batch.bytes), (size_t)(cut.range.end - cut.range.begin));
    s_pack_slices(&cut, &batch.slices);
    *ret_batch = batch;
    return 0;
}
