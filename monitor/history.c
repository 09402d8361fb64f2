/* SPDX-License-Identifier: MIT */
/* The last minutes of a run's throughput. */
#include "monitor/history.h"

#include <math.h>

#include "common/json.h"

/* Records a second; a position that went back (the books were rolled back) is no throughput. */
static double s_rate(uint64_t now, uint64_t before, int64_t passed_ms) {
    return now >= before && passed_ms > 0 ? (double)(now - before) * 1000 / (double)passed_ms : -1;
}

void pr_history_note(pr_history_t *history, const pr_snapshot_t *snapshot) {
    const pr_msg_progress_t *progress = snapshot->progress;
    int64_t passed_ms = snapshot->now_ms - history->now_ms;
    if (history->count > 0 && passed_ms < PR_HISTORY_INTERVAL_MS)
        return;
    pr_history_point_t *point = &history->points[history->count++ % PR_HISTORY_POINTS];
    *point = (pr_history_point_t){.at_ms = snapshot->calendar_ms, .committed = -1, .validated = -1};
    if (progress != NULL && history->known && pr_run_id_equal(history->run, snapshot->run)) {
        point->committed = s_rate(progress->committed, history->committed, passed_ms);
        point->validated = s_rate(progress->validated, history->validated, passed_ms);
    }
    history->known = progress != NULL;
    history->now_ms = snapshot->now_ms;
    history->run = snapshot->run;
    if (progress != NULL) {
        history->committed = progress->committed;
        history->validated = progress->validated;
    }
}

static json_t *s_to_json(double rate) {
    return rate >= 0 ? json_integer((json_int_t)llround(rate < 1e15 ? rate : 1e15)) : json_null();
}

json_t *pr_history_to_json(const pr_history_t *history) {
    json_t *list = json_array();
    size_t kept = history->count < PR_HISTORY_POINTS ? history->count : PR_HISTORY_POINTS;
    for (size_t i = history->count - kept; i < history->count; i++) {
        const pr_history_point_t *point = &history->points[i % PR_HISTORY_POINTS];
        pr_json_append(list, pr_json_pack("[I, o, o]", (json_int_t)point->at_ms, s_to_json(point->committed),
                                          s_to_json(point->validated)));
    }
    return list;
}
