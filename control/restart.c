/* SPDX-License-Identifier: MIT */
/* When a daemon that died is started again. */
#include "control/restart.h"

int pr_restart_delay_ms(unsigned deaths) {
    static const int delays[] = {0, 0, 20, 40, 80, 160, 320, 640, 1000};
    enum { LAST = sizeof delays / sizeof delays[0] - 1 };
    if (deaths >= PR_RESTART_LIMIT)
        return PR_RESTART_NEVER;
    return delays[deaths < LAST ? deaths : LAST];
}

int pr_restart_died(pr_restart_t *restart, uint64_t mark) {
    if (restart->mark != mark)
        restart->deaths = 0;
    restart->mark = mark;
    restart->deaths++;
    return pr_restart_delay_ms(restart->deaths);
}
