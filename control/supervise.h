/* SPDX-License-Identifier: MIT */
/* Supervising the daemons of a run: start, restart, progress, an orderly end. */
#ifndef PR_SUPERVISE_H
#define PR_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "control/meter.h"
#include "control/profile.h"
#include "control/progress_view.h"

typedef struct {
    const char *run_dir; /* absolute */
    const char *config;  /* absolute path of the configuration that the daemons read */
    uint32_t transformers;
    bool verbose;          /* pass on all the daemons say, not only warnings and worse */
    pr_view_t *view;       /* borrowed */
    pr_meter_t *meter;     /* borrowed */
    pr_profile_t *profile; /* borrowed; NULL: nobody wants one */
} pr_supervise_t;

/*  The folder with the daemons' programs: $PVRELAY_LIBEXECDIR, else the one that this program lies in. *Returns new*.
 */
char *pr_supervise_programs(void);

/*  Run the daemons to the end of the run. Blocks until all have ended. Takes over SIGINT, SIGTERM, SIGHUP, SIGCHLD,
 *  SIGPIPE of the process; make no ZeroMQ socket before. Returns 0 when the run came to its outcome, ret_outcome then
 *  being the exit code (0, 3 or 4). Otherwise a negative code, err being the one message the operator needs: a daemon's
 *  fatal error, -PR_E_INTERRUPTED after Ctrl-C, or ours. */
int pr_supervise(const pr_supervise_t *run, int *ret_outcome, pr_error_t *err);

#endif
