/* SPDX-License-Identifier: MIT */
/* Cutting exports into ranges of whole records: from a position, the next records of one source. */
#ifndef PR_EXPORT_CUT_H
#define PR_EXPORT_CUT_H

#include <stddef.h>

#include "common/error.h"
#include "common/export.h"
#include "common/mapping.h"
#include "common/plan.h"
#include "common/position.h"

typedef struct pr_cutter pr_cutter_t;

/*  Look through the exports and make the plan. May take a second a gigabyte.
 *  paths: count files. mapping: borrowed until destroy. rule: what the text "null" is. remedy: what to do when an export turns out to have been changed
 *  while it was read, for the message; static. progress: as pr_export_scan. Errors: as pr_export_scan and
 *  pr_export_plan. ret_cutter: *returns new*. */
int pr_cutter_open(const char *const *paths, size_t count, const pr_mapping_t *mapping, pr_null_text_t rule,
                   const char *remedy, pr_export_progress_fn *progress, void *context, pr_cutter_t **ret_cutter,
                   pr_error_t *err);
void pr_cutter_destroy(pr_cutter_t **cutter);

/* The plan: borrowed. */
const pr_plan_t *pr_cutter_plan(const pr_cutter_t *cutter);

/* What the files turned out to hold: borrowed. */
pr_export_t *const *pr_cutter_exports(const pr_cutter_t *cutter, size_t *ret_count);

/*  Room for at least `size` bytes, for the cutter to fill. It asks again, for more, if not even one record fits; what was
 *  given before is then no longer used. */
typedef void *pr_cut_room_fn(void *context, size_t size);

typedef struct {
    pr_range_t range;
    int stream;               /* index into the mapping's streams */
    const pr_slice_t *slices; /* of range.count records, relative to range.begin; borrowed until the next cut */
} pr_cut_t;

/*  The records from a position on (normal, before the end), about `bytes` of them (a record that is larger is cut by
 *  itself), at most 65,536, never beyond a result set. The room last asked for then holds the range's bytes, with at
 *  least PR_JSON_PADDING zero bytes behind what was read.
 *  Errors: -PR_E_SOURCE_CHANGED (the file is no longer as it was when it was looked through), -PR_E_UNREADABLE.
 *  Blocks on the disk only. */
int pr_cutter_cut(pr_cutter_t *cutter, pr_position_t at, size_t bytes, pr_cut_room_fn *room, void *context,
                  pr_cut_t *ret_cut, pr_error_t *err);

#endif
