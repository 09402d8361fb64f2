/* SPDX-License-Identifier: MIT */
/* Putting a target back to an earlier point. */
#ifndef PR_ROLLBACK_H
#define PR_ROLLBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rollback_point.h"
#include "common/rollback_report.h"

typedef enum { PR_ROLLBACK_OPERATOR, PR_ROLLBACK_VALIDATION, PR_ROLLBACK_REJECTS } pr_rollback_reason_t;

typedef struct {
    bool dry_run;     /* do everything, then take the transaction back: the report is exact */
    bool keep_theirs; /* leave what is in conflict, and what it hangs on; undo the rest */
    pr_rollback_reason_t reason;
    int outcome; /* exit code to store with a run that is taken back as a whole; -1: none */
    /* Called now and then with how many of the checkpoints are done; may be NULL. */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} pr_rollback_options_t;

/*  Do it, in one transaction, on connections of its own. The target's lock must be held by the caller.
 *  path: the database. ret_report: *returns new*, also with -PR_E_CONFLICT, when nothing was changed and it lists the
 *  conflicts; untouched on other failures. Errors: -PR_E_CONFLICT, -PR_E_IRREVERSIBLE, -PR_E_TARGET…, -PR_E_TARGET (the
 *  result did not pass quick_check; nothing was changed). May block for long; memory is bounded by the largest batch. */
int pr_rollback(const char *path, const pr_rollback_point_t *point, const pr_rollback_options_t *options,
                pr_rollback_report_t **ret_report, pr_error_t *err);

#endif
