/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM end every command: as it likes, if that is soon; else at once. */
#ifndef PR_INTERRUPT_H
#define PR_INTERRUPT_H

#include <stdbool.h>

#include "common/error.h"

/*  From here on SIGINT and SIGTERM (unless they are ignored) make pr_interrupted true, and SQLite's statements fail with
 *  -PR_E_INTERRUPTED. A command that has not ended two seconds later is ended, with that exit code: whatever it was in,
 *  and nothing that it does minds being killed. So does a second signal, at once. Commands with daemons to stop, or a
 *  screen to restore, take the signals over by blocking them. Call it once, before SQLite is used. */
void pr_interrupt_catch(void);

bool pr_interrupted(void);

/* 0, or -PR_E_INTERRUPTED with text. */
int pr_interrupt_check(const char *text, pr_error_t *err);

#endif
