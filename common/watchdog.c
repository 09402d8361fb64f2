/* SPDX-License-Identifier: MIT */
/* systemd's watchdog. */
#include "common/watchdog.h"

#include <systemd/sd-daemon.h>

pr_watchdog_t pr_watchdog_open(void) {
    pr_watchdog_t watchdog = {.us = 0};
    if (sd_watchdog_enabled(0, &watchdog.us) <= 0)
        watchdog.us = 0;
    return watchdog;
}

void pr_watchdog_ping(pr_watchdog_t *watchdog, int64_t now_ms) {
    if (watchdog->us == 0 || (uint64_t)(now_ms - watchdog->ping_ms) * 1000 < watchdog->us / 3)
        return;
    sd_notify(0, "WATCHDOG=1");
    watchdog->ping_ms = now_ms;
}
