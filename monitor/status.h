/* SPDX-License-Identifier: MIT */
/* /api/status: everything that the page shows, as JSON. docs/man/pvrelay-monitor.8 lists the fields. */
#ifndef PR_MONITOR_STATUS_H
#define PR_MONITOR_STATUS_H

#include "control/meter.h"
#include "control/where.h"
#include "monitor/books.h"
#include "monitor/history.h"
#include "monitor/snapshot.h"

/* *Returns new* (free). */
char *pr_status_print(const pr_snapshot_t *snapshot, const pr_meter_view_t *view, const pr_where_t *where,
                      const pr_books_view_t *books, const pr_history_t *history);

#endif
