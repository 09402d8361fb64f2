/* SPDX-License-Identifier: MIT */
/* The re-order buffer. It holds a handful of messages, so it is searched from end to end. */
#include "writer/reorder.h"

#include <stdlib.h>

#include "common/alloc.h"

typedef struct {
    pr_range_t range;
    pr_inbound_t inbound;
    size_t bytes;
} pr_early_t;

struct pr_reorder {
    pr_early_t *kept;
    size_t count, room;
    size_t bytes, max_bytes;
};

pr_reorder_t *pr_reorder_new(size_t max_bytes) {
    pr_reorder_t *self = pr_xcalloc(1, sizeof *self);
    self->max_bytes = max_bytes;
    return self;
}

void pr_reorder_destroy(pr_reorder_t **reorder) {
    if (reorder == NULL || *reorder == NULL)
        return;
    pr_reorder_t *self = *reorder;
    for (size_t i = 0; i < self->count; i++)
        pr_inbound_release(&self->kept[i].inbound);
    free(self->kept);
    free(self);
    *reorder = NULL;
}

bool pr_reorder_keep(pr_reorder_t *self, pr_range_t range, pr_inbound_t *inbound) {
    size_t bytes = sizeof(pr_early_t);
    for (unsigned i = 0; i < inbound->frames_count; i++)
        bytes += zmq_msg_size(&inbound->frames[i]);
    if (bytes > self->max_bytes - self->bytes)
        return false;
    for (size_t i = 0; i < self->count; i++) {
        if (self->kept[i].range.source == range.source && self->kept[i].range.first == range.first)
            return false;
    }
    if (self->count == self->room) {
        self->room = self->room == 0 ? 16 : self->room * 2;
        self->kept = pr_xrealloc(self->kept, self->room * sizeof *self->kept);
    }
    self->kept[self->count++] = (pr_early_t){.range = range, .inbound = *inbound, .bytes = bytes};
    self->bytes += bytes;
    inbound->frames_count = 0;
    return true;
}

/* Remove entry i; its payload is the caller's. */
static void s_remove(pr_reorder_t *self, size_t i) {
    self->bytes -= self->kept[i].bytes;
    self->kept[i] = self->kept[--self->count];
}

bool pr_reorder_take(pr_reorder_t *self, pr_position_t at, pr_inbound_t *ret_inbound, uint64_t *ret_dropped) {
    uint64_t dropped = 0;
    bool found = false;
    for (size_t i = 0; i < self->count;) {
        pr_early_t *early = &self->kept[i];
        pr_range_relation_t relation = pr_range_relation(early->range, at);
        if (relation == PR_RANGE_EARLY) {
            i++;
        } else if (relation == PR_RANGE_NEXT && !found) {
            *ret_inbound = early->inbound;
            found = true;
            s_remove(self, i);
        } else { /* what has been committed meanwhile, from another batch */
            dropped += early->range.count;
            pr_inbound_release(&early->inbound);
            s_remove(self, i);
        }
    }
    *ret_dropped = dropped;
    return found;
}

size_t pr_reorder_count(const pr_reorder_t *self) {
    return self->count;
}
