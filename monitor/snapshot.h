/* SPDX-License-Identifier: MIT */
/* How things stand at one moment: what every answer of the monitor is made from. */
#ifndef PR_MONITOR_SNAPSHOT_H
#define PR_MONITOR_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ending.h"
#include "control/watch.h"

/* Everything is borrowed. */
typedef struct {
    const pr_watch_stage_t *stages; /* reader, transformers, writer, validator */
    size_t stages_count;
    const pr_msg_progress_t *progress; /* NULL: no writer is up */
    pr_run_id_t run;                   /* that PROGRESS speaks of; zero: none */
    const pr_ending_t *ending;         /* the last words of a writer; NULL: there are none */
    const pr_meter_view_t *meter;      /* what all that means */
    bool spool;                        /* waiting for the next set is what such a pipeline does */
    uint64_t total;                    /* records of the run's exports; 0: not known */
    uint64_t window_limit;             /* bytes that the reader may be ahead; 0: not known */
    int64_t now_ms;                    /* pr_now_ms */
    int64_t calendar_ms;
} pr_snapshot_t;

#endif
