/* SPDX-License-Identifier: MIT */
/* Waiting for a lock that another process holds: how long, what is said of it, and who holds it. */
#ifndef PR_LOCK_WAIT_H
#define PR_LOCK_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PR_LOCK_WAIT_MANAGED_S = 86400, PR_LOCK_WAIT_BY_HAND_S = 60, PR_LOCK_WAIT_TEXT_BYTES = 640 };

/*  What a process does while it waits: called when the wait has become worth a word (a quarter of a second), and about
 *  every 50 ms from then on, in the main thread only.
 *  what: one line, "PATH: held by process 4711 (COMMAND)". begins: the first call of this wait. Returns whether to wait
 *  on; false ends the wait, and pr_lock_wait_stopped tells. */
typedef bool pr_lock_wait_fn(void *context, const char *what, bool begins);

/*  From here on this process waits at most limit_ms for each lock. turn: may be NULL; context: borrowed. At the start
 *  the limit is 0: nothing waits. */
void pr_lock_wait_set(unsigned limit_ms, pr_lock_wait_fn *turn, void *context);
unsigned pr_lock_wait_limit_ms(void);

/* One wait. Begin with all zero. */
typedef struct {
    int64_t since_ms; /* 0: not begun */
    bool told;
    char what[PR_LOCK_WAIT_TEXT_BYTES];
} pr_lock_wait_t;

/*  The lock was not to be had: sleep a little before the next try. describe: says what is waited for, and who has it.
 *  Returns false if the wait is over: limit_ms have gone by, or turn said so. */
bool pr_lock_wait_step(pr_lock_wait_t *wait, unsigned limit_ms, void (*describe)(void *of, char *buffer, size_t size),
                       void *of);

/* Was the last wait ended by turn, rather than by its limit? */
bool pr_lock_wait_stopped(void);

/*  Who a process is: "process 4711 (COMMAND LINE)", without the command where the kernel does not tell, "another process"
 *  if pid is not a pid. Control characters of the command line are replaced. */
void pr_lock_holder(long pid, char *buffer, size_t size);

/*  How to look at the run whose daemon or supervisor holds a lock: "; `pvrelay top …` shows it", or "" if there is
 *  none. path: of the lock file, or of the target. */
void pr_lock_hint(const char *path, long pid, char *buffer, size_t size);

/* The warning with which a wait begins: what, and up to when, as pr_lock_wait_set says. */
typedef struct {
    char text[PR_LOCK_WAIT_TEXT_BYTES + 64];
} pr_lock_wait_warning_t;

pr_lock_wait_warning_t pr_lock_wait_warning(const char *what);

/* A time for people: "60 s", "1 h 30 min". */
void pr_lock_wait_print(unsigned ms, char *buffer, size_t size);

#endif
