/* SPDX-License-Identifier: MIT */
/* The command line of a daemon. */
#ifndef PR_DAEMON_OPTIONS_H
#define PR_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/daemon.h"
#include "common/log.h"

typedef struct {
    const char *config;
    uint32_t instance; /* 0: none was given */
    bool check;
    pr_log_level_t level;
} pr_daemon_options_t;

/*  Parse a daemon's arguments. Borrows argv.
 *  Returns 0 to go on, 1 if the answer has been given (--help, --version), or -PR_E_USAGE. */
int pr_daemon_options_parse(const pr_stage_ops_t *ops, int argc, char **argv, pr_daemon_options_t *ret_options,
                            pr_error_t *err);

#endif
