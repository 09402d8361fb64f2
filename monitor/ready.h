/* SPDX-License-Identifier: MIT */
/* Is the pipeline at work? If not: why. */
#ifndef PR_MONITOR_READY_H
#define PR_MONITOR_READY_H

#include <jansson.h>
#include <stdbool.h>

#include "monitor/snapshot.h"

/*  Why the pipeline is not at work, a text each: "writer has been down for 3 s", "the run stopped: MALFORMED: …", "no run
 *  is on"; none: all stages are up and a run is on, or a spool waits for its next set. *Returns new* (an array). */
json_t *pr_ready_reasons(const pr_snapshot_t *snapshot);

#endif
