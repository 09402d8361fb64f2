/* SPDX-License-Identifier: MIT */
/* What `run`, `retry-rejects` and `manage` share: the lock of a run folder, which run goes on in it, and its report. */
#ifndef PR_BEGIN_H
#define PR_BEGIN_H

#include <stdbool.h>

#include "common/config.h"
#include "common/error.h"
#include "common/lock.h"
#include "common/mapping.h"
#include "control/meter.h"
#include "control/report.h"

/* Make the run folder and take the lock in it that a supervisor holds. Waits as common/lock_wait.h says. *Returns
 * new*. */
int pr_begin_lock(const pr_config_t *config, pr_lock_t **ret_lock, pr_error_t *err);

/*  Give the lock back. A run folder that was made for this command (config->run_dir_ours) goes with it. lock may point to
 *  NULL; then config may be NULL, too. */
void pr_begin_unlock(const pr_config_t *config, pr_lock_t **lock);

/*  Set config->run: the target's unfinished run goes on under its id, unless it is to be given up ("restart"); else a
 *  new one begins. Errors: -PR_E_UNFINISHED if a run of the other kind is not finished, -PR_E_TARGET…. */
int pr_begin_choose(pr_config_t *config, pr_error_t *err);

/* A path made absolute without looking at the disk. *Returns new*. */
char *pr_begin_absolute(const char *path);

/* Leave the configuration for the stages: RUN_DIR/config.json. ret_path (may be NULL): *returns new* (malloc). */
int pr_begin_save(const pr_config_t *config, char **ret_path, pr_error_t *err);

/* What a report is made of. */
typedef struct {
    const pr_config_t *config; /* the target, and the run in it */
    const pr_mapping_t *mapping;
    const pr_meter_t *meter; /* may be NULL */
    bool whole;              /* to be written; else for a summary */
    int argc;                /* the command line, from the command's word */
    char *const *argv;
} pr_begin_report_t;

/*  The report of a run from the books of its target. ret_report: *returns new*, as soon as the target knows the run, even
 *  if an error follows. */
int pr_begin_report(const pr_begin_report_t *facts, pr_report_t **ret_report, pr_error_t *err);

/*  Do the accounts of a complete run balance, and do target and writer agree on its exit code? 0, -PR_E_VALIDATION or
 *  -PR_E_INTERNAL. */
int pr_begin_check(const pr_report_t *report, int exit_code, pr_error_t *err);

#endif
