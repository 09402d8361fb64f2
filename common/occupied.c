/* SPDX-License-Identifier: MIT */
/* Where a stage's time goes. */
#include "common/occupied.h"

pr_occupied_t pr_occupied_begin(int64_t now_us) {
    return (pr_occupied_t){.state = PR_OCCUPIED_WORKING, .until_us = now_us};
}

void pr_occupied_change(pr_occupied_t *occupied, pr_occupied_state_t state, int64_t now_us) {
    if (now_us > occupied->until_us) {
        occupied->us[occupied->state] += (uint64_t)(now_us - occupied->until_us);
        occupied->until_us = now_us;
    }
    occupied->state = state;
}
