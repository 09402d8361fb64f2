/* SPDX-License-Identifier: MIT */
/* Cutting batches out of the exports: from a position, the next records of one source. */
#ifndef PR_BATCH_H
#define PR_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "common/error.h"
#include "common/export.h"
#include "common/mapping.h"
#include "common/plan.h"
#include "common/position.h"

typedef struct pr_batcher pr_batcher_t;

/* A batch with its payload frames. */
typedef struct {
    pr_range_t range;
    uint16_t stream;
    bool null_text;   /* as pr_plan_source_t */
    uint64_t digest;  /* XXH3-64 of the bytes */
    zmq_msg_t slices; /* pr_slice_t in little-endian, one a record, relative to the range's begin */
    zmq_msg_t bytes;  /* the range's bytes, with at least PR_JSON_PADDING more behind */
} pr_batch_t;

/*  Look through the exports and make the plan. May take a second a gigabyte.
 *  paths: count files. mapping: borrowed until destroy. batch_bytes: how large a batch shall be (a record that is
 *  larger makes a batch of its own). progress: as pr_export_scan. Errors: as pr_export_scan and pr_export_plan.
 *  ret_batcher: *returns new*. */
int pr_batcher_open(const char *const *paths, size_t count, const pr_mapping_t *mapping, pr_null_text_t rule,
                    size_t batch_bytes, pr_export_progress_fn *progress, void *context, pr_batcher_t **ret_batcher,
                    pr_error_t *err);
void pr_batcher_destroy(pr_batcher_t **batcher);

/* The plan: borrowed. */
const pr_plan_t *pr_batcher_plan(const pr_batcher_t *batcher);

/* What the files turned out to hold: borrowed. */
pr_export_t *const *pr_batcher_exports(const pr_batcher_t *batcher, size_t *ret_count);

/*  The batch that begins at a position (normal, before the end). ret_batch: the frames are the caller's to send or to
 *  close. Errors: -PR_E_SOURCE_CHANGED (the file is no longer as it was when it was looked through), -PR_E_UNREADABLE.
 *  Blocks on the disk only. */
int pr_batcher_cut(pr_batcher_t *batcher, pr_position_t at, pr_batch_t *ret_batch, pr_error_t *err);

#endif
