/* SPDX-License-Identifier: MIT */
/* One service, several processes: all transformers of a run under one of systemd's services. */
#ifndef PR_WORKERS_H
#define PR_WORKERS_H

#include <stdint.h>

#include "common/error.h"

/*  Run this very program `count` times, with `--instance 1` to `--instance count` added to its arguments, until all have
 *  ended. run_dir: for the socket on which they tell how they are. Towards systemd they are one: ready when all are, alive
 *  while all are, stopped together. Call before the first thread, with no signal blocked.
 *  Returns the exit code: that of the first that ended, 70 if one died; or <0 if they cannot be started. */
int pr_workers_run(const char *run_dir, uint32_t count, char **argv, pr_error_t *err);

#endif
