/* SPDX-License-Identifier: MIT */
/* Where a stage's time goes: at work, waiting for input, waiting for output. No clock: times are passed in. */
#ifndef PR_OCCUPIED_H
#define PR_OCCUPIED_H

#include <stdint.h>

typedef enum {
    PR_OCCUPIED_WORKING,
    PR_OCCUPIED_WAIT_INPUT, /* nothing to do; it would take more */
    PR_OCCUPIED_WAIT_OUTPUT /* it has something that nobody has room for */
} pr_occupied_state_t;
enum { PR_OCCUPIED_STATES = 3 };

/* The account of one stage. At any time the three sums are the time since it was begun. */
typedef struct {
    pr_occupied_state_t state;
    int64_t until_us; /* up to when the time is in the sums */
    uint64_t us[PR_OCCUPIED_STATES];
} pr_occupied_t;

/* An account that begins now, at work. now_us: of a clock that never goes back (pr_now_us). */
pr_occupied_t pr_occupied_begin(int64_t now_us);

/*  The stage has been in its state until now, and from now on is in this one; it may be the same. A now_us before that of
 *  an earlier call counts as that. */
void pr_occupied_change(pr_occupied_t *occupied, pr_occupied_state_t state, int64_t now_us);

#endif
