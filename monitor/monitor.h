/* SPDX-License-Identifier: MIT */
/* The monitor: what it listens to, what it remembers, what it answers. */
#ifndef PR_MONITOR_H
#define PR_MONITOR_H

#include <stdint.h>

#include "common/error.h"
#include "monitor/http.h"

typedef struct pr_monitor pr_monitor_t;

/*  target, run_dir, config: as pr_where_find; borrowed as long as the monitor lives. ret_monitor: *returns new*.
 *  Errors: -PR_E_CONFIG, -PR_E_TARGET. */
int pr_monitor_new(const char *target, const char *run_dir, const char *config, pr_monitor_t **ret_monitor,
                   pr_error_t *err);
void pr_monitor_destroy(pr_monitor_t **monitor);

/* Listen to the stages for up to timeout_ms, or until fd can be read; note what is to be remembered. */
void pr_monitor_listen(pr_monitor_t *monitor, int timeout_ms, int fd);

/* A pr_http_answer_fn; context: the monitor. */
void pr_monitor_answer(void *context, const char *path, pr_http_answer_t *ret_answer);

#endif
