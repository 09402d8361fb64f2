/* SPDX-License-Identifier: MIT */
/* What systemd is told. */
#ifndef PR_NOTIFY_H
#define PR_NOTIFY_H

/*  Set STATUS=, one line whatever is in it: a newline would begin another assignment, sd_notify(3). */
void pr_notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
