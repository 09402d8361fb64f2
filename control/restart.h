/* SPDX-License-Identifier: MIT */
/* When a daemon that died is started again. Pure functions. */
#ifndef PR_RESTART_H
#define PR_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PR_RESTART_LIMIT = 20, /* deaths in a row without any progress of the run: no use to go on */
    PR_RESTART_NEVER = -1
};

/* Deaths of one daemon. Begin with all zero. */
typedef struct {
    unsigned deaths; /* in a row, while the run did not move */
    uint64_t mark;   /* where the run stood at the last one */
} pr_restart_t;

/*  Milliseconds to wait before the start that follows the `deaths`-th death in a row (from 1): 0, 20, 40 … 1000;
 *  PR_RESTART_NEVER from the PR_RESTART_LIMIT-th on. */
int pr_restart_delay_ms(unsigned deaths);

/*  Note a death. mark: a number that changes whenever the run moves. Returns pr_restart_delay_ms of the deaths so far.
 */
int pr_restart_died(pr_restart_t *restart, uint64_t mark);

#endif
