/* SPDX-License-Identifier: MIT */
/* The newest report that managed runs left behind. */
#ifndef PR_MONITOR_LAST_REPORT_H
#define PR_MONITOR_LAST_REPORT_H

#include <jansson.h>

#include "control/where.h"

/*  {"path", "made_at", "run" (number), "id", "state", "verdict", "outcome" (exit code)} of the newest report.json in a
 *  folder of REPORTS, of SPOOL/done or of SPOOL/failed; null if there is none. What cannot be read counts as none.
 *  *Returns new*. */
json_t *pr_last_report(const pr_where_t *where);

#endif
