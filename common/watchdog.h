/* SPDX-License-Identifier: MIT */
/* systemd's watchdog: pings from the loop that makes progress, so that a process that hangs is noticed. */
#ifndef PR_WATCHDOG_H
#define PR_WATCHDOG_H

#include <stdint.h>

/* Begin with pr_watchdog_open. */
typedef struct {
    uint64_t us;     /* what systemd waits for at most, microseconds; 0: there is no watchdog */
    int64_t ping_ms; /* when it was last told that we live, pr_now_ms */
} pr_watchdog_t;

/* What the environment asks for: sd_watchdog_enabled(3). */
pr_watchdog_t pr_watchdog_open(void);

/* Tell it that we live, if it is time to: three times as often as it must hear. Call once a turn. */
void pr_watchdog_ping(pr_watchdog_t *watchdog, int64_t now_ms);

#endif
