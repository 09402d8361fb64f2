/* SPDX-License-Identifier: MIT */
/* A rollback as the operator sees it: what it will do, what it did, what is in its way. */
#ifndef PR_ROLLBACK_VIEW_H
#define PR_ROLLBACK_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/rollback.h"

/* What there is to show. Borrows all. */
typedef struct {
    const char *target; /* clean for a terminal */
    bool dry_run;
    bool keep_theirs;
    uint64_t total;                     /* records of the run that continues */
    const pr_rollback_report_t *plan;   /* from the books */
    const pr_rollback_report_t *result; /* NULL: nothing was done */
    bool conflict;                      /* result only tells the conflicts */
} pr_rollback_view_t;

/* What it will do; for a dry run, first that it is one. */
void pr_rollback_view_plan(const pr_rollback_view_t *view, FILE *out);

/* What it did, or would have done, and how it goes on. */
void pr_rollback_view_result(const pr_rollback_view_t *view, FILE *out);

/* What is in the way, or what was left for its sake: a sentence for each kind, a line for each. */
void pr_rollback_view_conflicts(const pr_rollback_view_t *view, FILE *out);

/*  All of it as one object; the keys are stable:
 *  target, dry_run, keep_theirs, plan, result (null: nothing was done), conflicts_total, conflicts
 *  [{kind, checkpoint, table, key, column, ours, theirs}]. plan and result: from, to, checkpoints, runs
 *  [{run, whole, checkpoints, records}], names, tables [{table, deleted, restored, left, sequence_kept}], continues (null:
 *  none), position_records. *Returns new*. */
json_t *pr_rollback_view_to_json(const pr_rollback_view_t *view);

#endif
