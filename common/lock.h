/* SPDX-License-Identifier: MIT */
/* A lock file: who holds a thing that only one process may hold, and who it is. */
#ifndef PR_LOCK_H
#define PR_LOCK_H

#include "common/error.h"

typedef struct pr_lock pr_lock_t;

/*  Take the lock of this file: make it if need be, flock it, write our pid into it.
 *  path: copied. The file must be one of its own, never the thing that is locked: closing a second descriptor of an
 *  SQLite database would drop SQLite's own POSIX locks. wait_ms: how long to wait for another holder (0: not at all), as
 *  common/lock_wait.h says. The kernel drops the lock when the holder dies, however it dies; a file that is left behind is no
 *  lock. ret_lock: *returns new*; untouched on failure. Errors: -PR_E_TARGET_LOCKED (the text names the holder),
 *  -PR_E_INTERRUPTED if waiting was stopped, -PR_E_TARGET if the file cannot be made. */
int pr_lock_take(const char *path, unsigned wait_ms, pr_lock_t **ret_lock, pr_error_t *err);

/* Unlink the file and let go of it. NULL-safe, sets *lock to NULL. */
void pr_lock_release(pr_lock_t **lock);

#endif
