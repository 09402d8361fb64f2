/* SPDX-License-Identifier: MIT */
/* Where a run is: target and run folder, from whichever of --target, --run-dir and --config was given. */
#ifndef PR_WHERE_H
#define PR_WHERE_H

#include "common/error.h"

typedef struct {
    char *target;  /* NULL: not known */
    char *run_dir; /* NULL: none is known */
    char *reports; /* folder of the reports of managed runs; NULL: not known */
    char *spool;   /* NULL: none */
} pr_where_t;

/*  target, run_dir, config: as given, NULL: not given; at least one is. --config names a run's configuration as its
 *  author wrote it (/etc/pvrelay/NAME.json): target and run folder are those it has. --run-dir: the config.json in it, if
 *  there is one, tells the target; if there is none, the target stays NULL. --target: its default run folder.
 *  ret_where: *returns new* contents; untouched on failure. Errors: -PR_E_CONFIG, -PR_E_TARGET (no such target). */
int pr_where_find(const char *target, const char *run_dir, const char *config, pr_where_t *ret_where, pr_error_t *err);
void pr_where_release(pr_where_t *where);

#endif
