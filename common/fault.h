/* SPDX-License-Identifier: MIT */
/* Named windows at which a test can have a process killed, or stopped. Empty unless built with PVRELAY_FAULT_POINTS. */
#ifndef PR_FAULT_H
#define PR_FAULT_H

/*  A process dies by SIGKILL at the window NAME when the environment says PVRELAY_FAULT=NAME or NAME@N (the N-th time
 *  it passes, from 1) and the marker file PVRELAY_FAULT_MARKER does not exist yet; it is made just before, so that the
 *  restarted process lives.
 *  With PVRELAY_FAULT_STOP it is stopped by SIGSTOP instead, each time it passes from the N-th on, and the marker is as many
 *  bytes long as it has been stopped. */
#ifdef PVRELAY_FAULT_POINTS
void pr_fault(const char *name);
#else
static inline void pr_fault(const char *name) {
    (void)name;
}
#endif

#endif
