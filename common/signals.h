/* SPDX-License-Identifier: MIT */
/* Signals as something to read in a poll loop. */
#ifndef PR_SIGNALS_H
#define PR_SIGNALS_H

#include <signal.h>

#include "common/error.h"

/*  Take these signals by a signalfd from here on (struct signalfd_siginfo a read; it does not block, and is closed on
 *  exec), and ignore SIGPIPE. numbers: count of them. Call before the first thread: ZeroMQ's inherit the mask.
 *  ret_fd: the caller's to close. ret_old_mask (may be NULL): for sigprocmask in children. Errors: -PR_E_INTERNAL. */
int pr_signals_open(const int *numbers, unsigned count, sigset_t *ret_old_mask, int *ret_fd, pr_error_t *err);

#endif
