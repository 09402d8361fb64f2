/* SPDX-License-Identifier: MIT */
/* The manager of a managed run: what its parts share. */
#ifndef PR_MANAGE_H
#define PR_MANAGE_H

/*  DESIGN
 *
 *  The stages are started by others; they find what to do in RUN_DIR/config.json, and the manager finds how it ended in
 *  RUN_DIR/ended.json. It has no state of its own that a crash could take away:
 *
 *      RUN_DIR/managed   the UUID of the run that a manager without a spool is on: config.json alone may be that of an
 *                        earlier `pvrelay run`. It is there from before config.json until after the report
 *      DIR/work/UUID     the same of a spool (control/spool.h)
 *      DIR/work/ended.json  how the run of that set ended, once that is decided for good
 *      the target        whether a run is begun, and how it ended: there it is found if a crash has taken ended.json
 *
 *  Every step can be taken twice: a report is written again, an abandoned run is abandoned. The last step of each run is
 *  one rename or unlink: of work/UUID, of `managed`. Under systemd the run folder is left to systemd, which removes it
 *  when the manager has ended, and not when it restarts it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/ending.h"
#include "common/error.h"
#include "common/lock.h"
#include "common/mapping.h"
#include "common/watchdog.h"
#include "control/spool.h"
#include "control/strings.h"
#include "control/watch.h"

typedef struct {
    pr_config_t *config; /* as it is written for the stages: `run` and, of a spool, `sources` change */
    pr_mapping_t *mapping;
    pr_report_language_t language;
    int argc; /* the command line, from the command's word; for the report */
    char *const *argv;
    pr_lock_t *lock;
    pr_watch_t *watch;
    int signals; /* signalfd */
    bool ready;  /* said READY=1 */
    bool stop;   /* SIGTERM or SIGINT came */
    int64_t status_ms;
    pr_watchdog_t watchdog;
    char what[160]; /* for STATUS: "run 3", "set a.json" */
} pr_manager_t;

/* ---- control/manage.c ---- */

/* Write config.json, and tell systemd that the stages can start. */
int pr_manage_publish(pr_manager_t *manager, pr_error_t *err);

/* Wait a turn, at most 100 ms: signals, STATUS (idle: instead of how the run stands; NULL: that), watchdog. */
void pr_manage_turn(pr_manager_t *manager, const char *idle);

/* Before and after long work. */
void pr_manage_pause_watchdog(const pr_manager_t *manager);
void pr_manage_resume_watchdog(const pr_manager_t *manager);

/* Wait for the run to end: 0 and ret_ending, or -PR_E_INTERRUPTED. */
int pr_manage_wait(pr_manager_t *manager, pr_ending_t *ret_ending, pr_error_t *err);

/* ---- control/manage_books.c: what the target says about the run, and the report ---- */

typedef enum {
    PR_BOOKS_UNKNOWN,   /* the target does not know it */
    PR_BOOKS_GOES_ON,   /* it is not finished */
    PR_BOOKS_ENDED,     /* complete, or taken back by itself: with an outcome */
    PR_BOOKS_ABANDONED, /* given up */
    PR_BOOKS_OTHER      /* the target does not know it, and another run is not finished */
} pr_books_t;

/*  How config->run stands in the target. ret_ending: of ENDED: how. Returns 0 or -PR_E_TARGET…; of OTHER 0 too, and err
 *  is what to say about it. */
int pr_manage_books(const pr_manager_t *manager, pr_books_t *ret_books, pr_ending_t *ret_ending, pr_error_t *err);

/*  Write the report of config->run into folder; NULL: the run's own below config->reports. place: where the sources'
 *  folder `from` is to go afterwards (NULL: nowhere), as the report shall tell their paths. A run whose accounts do not
 *  balance changes ending to VALIDATION. A line in the log says how the run ended. */
int pr_manage_report(pr_manager_t *manager, pr_ending_t *ending, const char *folder, const char *from,
                     const char *place, pr_error_t *err);

/* Give up config->run if it is not finished; waits for the writer to let go of the target. */
int pr_manage_abandon(pr_manager_t *manager, pr_error_t *err);

/* ---- control/manage_spool.c ---- */

/* Set after set, until a signal (0, or -PR_E_INTERRUPTED in the middle of one) or an outcome that is not the set's: its
 * code is in ret_ending, and 1 is returned. */
int pr_manage_spool(pr_manager_t *manager, pr_ending_t *ret_ending, pr_error_t *err);

#endif
