/* SPDX-License-Identifier: MIT */
/* The last minutes of a run's throughput, a point a second. */
#ifndef PR_MONITOR_HISTORY_H
#define PR_MONITOR_HISTORY_H

#include <jansson.h>

#include "monitor/snapshot.h"

enum { PR_HISTORY_POINTS = 300, PR_HISTORY_INTERVAL_MS = 1000 };

typedef struct {
    int64_t at_ms;    /* calendar */
    double committed; /* records a second since the point before; <0: not known (no writer, another run) */
    double validated;
} pr_history_point_t;

/* Start it as all zero. */
typedef struct {
    pr_history_point_t points[PR_HISTORY_POINTS]; /* a ring */
    size_t count;                                 /* ever noted */
    bool known;                                   /* the figures of the point before are: */
    pr_run_id_t run;
    uint64_t committed, validated;
    int64_t now_ms;
} pr_history_t;

/* Note a point if it is time for one. */
void pr_history_note(pr_history_t *history, const pr_snapshot_t *snapshot);

/* [[at_ms, committed, validated]…], oldest first, null for what is not known. *Returns new*. */
json_t *pr_history_to_json(const pr_history_t *history);

#endif
