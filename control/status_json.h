/* SPDX-License-Identifier: MIT */
/* Runs, stages and progress as JSON, the same wherever they are told: `pvrelay status --json` and the monitor. */
#ifndef PR_STATUS_JSON_H
#define PR_STATUS_JSON_H

#include <jansson.h>

#include "common/message.h"
#include "control/ledger.h"
#include "control/watch.h"

/* A run of the books. *Returns new*. */
json_t *pr_status_json_run(const pr_ledger_run_t *run);

/* A process of a stage; "counters" and "restarts" only while it is up. *Returns new*. */
json_t *pr_status_json_stage(const pr_watch_stage_t *stage);

/* How often a stage was started again in its run folder. */
uint32_t pr_status_restarts(const pr_watch_stage_t *stage);

/* Where the run stands, and how long it will take yet; null if progress is NULL. *Returns new*. */
json_t *pr_status_json_progress(const pr_msg_progress_t *progress, const pr_meter_view_t *view);

/* The target learns what a run took when it stops; of the run that is on PROGRESS tells. Seconds. */
double pr_status_seconds(const pr_ledger_run_t *run, const pr_msg_progress_t *progress, pr_run_id_t of);

#endif
