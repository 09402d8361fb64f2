/* SPDX-License-Identifier: MIT */
/* Holding a target: open to write in its books, with the lock that keeps a writer out. */
#ifndef PR_HOLD_H
#define PR_HOLD_H

#include <sqlite3.h>

#include "common/error.h"
#include "common/lock.h"

/* Begin with all zero. */
typedef struct {
    char *path;      /* of the target, absolute */
    pr_lock_t *lock; /* the one that a writer takes */
    sqlite3 *db;
} pr_hold_t;

/*  Take the target's lock, and open it. It must exist, and is not made.
 *  ret_hold: *returns new* contents; untouched on failure. Errors: -PR_E_TARGET_LOCKED at once if a writer or another
 *  such command holds it (the text names its pid), -PR_E_TARGET…. */
int pr_hold_take(const char *target, pr_hold_t *ret_hold, pr_error_t *err);

/*  Give up a run (UUID) that is not finished: it ends as abandoned in the books, as when a writer is told to begin anew.
 *  What it committed stays. One that is finished, or that the target does not know, is left as it is. */
int pr_hold_abandon(const pr_hold_t *hold, const char *run, pr_error_t *err);

/* Close the database, keep the lock. NULL-safe in what is closed already. */
void pr_hold_close(pr_hold_t *hold);

/* Close, and let go of the lock. Idempotent. */
void pr_hold_release(pr_hold_t *hold);

#endif
