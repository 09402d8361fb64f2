/* SPDX-License-Identifier: MIT */
/* /api/status. */
#include "monitor/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/reject.h"
#include "control/status_json.h"
#include "monitor/ready.h"

/* A figure that is not known while it is negative; JSON knows no infinity. *Returns new*. */
static json_t *s_figure(double value) {
    return value >= 0 && isfinite(value) ? pr_json_real(round(value * 10) / 10) : json_null();
}

/* JSON's integers end where int64_t does. */
static json_t *s_number(uint64_t value) {
    return json_integer(value <= INT64_MAX ? (json_int_t)value : INT64_MAX);
}

/* The rejects that a process counted, by reason: only those that there are. */
static json_t *s_rejects_to_json(const pr_msg_counters_t *counters) {
    json_t *rejects = json_object();
    for (unsigned reason = 1; reason < PR_REJECT_REASONS; reason++) {
        if (counters->rejects.at[reason] > 0)
            pr_json_set(rejects, pr_reject_word(reason), s_number(counters->rejects.at[reason]));
    }
    return rejects;
}

static json_t *s_stages_to_json(const pr_snapshot_t *snapshot) {
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->stages_count; i++) {
        const pr_watch_stage_t *stage = &snapshot->stages[i];
        json_t *json = pr_status_json_stage(stage);
        pr_json_set(json, "who", pr_json_text(stage->who));
        pr_json_set(json, "down_for_ms",
                    !stage->up && stage->heard ? json_integer(snapshot->now_ms - stage->heard_ms) : json_null());
        pr_json_set(json, "restarts", stage->heard ? json_integer((json_int_t)pr_status_restarts(stage)) : json_null());
        pr_json_set(json, "last_error",
                    stage->heard && *stage->counters.last_error.data != '\0'
                        ? pr_json_text(stage->counters.last_error.data)
                        : json_null());
        pr_json_set(json, "rejects", s_rejects_to_json(&stage->counters));
        pr_json_append(list, json);
    }
    return list;
}

/* The stages as the run goes through them: the transformers together. */
static json_t *s_flow_to_json(const pr_meter_view_t *view) {
    json_t *list = json_array();
    for (unsigned stage = PR_STAGE_READER; stage <= PR_STAGE_VALIDATOR; stage++) {
        const pr_meter_stage_t *at = &view->stages[stage];
        pr_json_append(list, pr_json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "stage", pr_stage_word(stage), "heard",
                                          (int)at->heard, "records", s_number(at->records), "per_second",
                                          s_figure(at->per_second), "lag", s_number(at->lag), "rejects",
                                          s_number(at->rejects), "eta_s", s_figure(at->eta_s)));
    }
    return list;
}

static json_t *s_progress_to_json(const pr_snapshot_t *snapshot, const pr_meter_view_t *view) {
    char id[37];
    json_t *json = pr_status_json_progress(snapshot->progress, view);
    if (snapshot->progress == NULL)
        return json;
    pr_json_set(json, "run",
                pr_run_id_known(snapshot->run) ? pr_json_text(pr_run_id_print(snapshot->run, id)) : json_null());
    pr_json_set(json, "total", s_number(snapshot->total));
    pr_json_set(json, "scanning", json_boolean(view->scanning));
    pr_json_set(json, "scanned_bytes", s_number(view->scanned_bytes));
    pr_json_set(json, "scan_total_bytes", s_number(view->scan_total_bytes));
    pr_json_set(json, "text", pr_json_text(snapshot->progress->text.data));
    return json;
}

/* The books learn what a run took when it stops; of the run that is on PROGRESS tells. *Returns new*. */
static json_t *s_runs_to_json(const pr_snapshot_t *snapshot, const pr_books_view_t *books) {
    char id[37];
    json_t *runs = json_deep_copy(books->runs);
    json_t *newest = json_array_get(runs, json_array_size(runs) > 0 ? json_array_size(runs) - 1 : 0);
    if (newest != NULL && snapshot->progress != NULL && strcmp(books->newest, pr_run_id_print(snapshot->run, id)) == 0)
        pr_json_set(newest, "seconds", pr_json_real((double)snapshot->progress->elapsed_ms / 1000));
    return runs;
}

/* How far the reader is ahead of the committed position, in bytes. */
static json_t *s_window_to_json(const pr_snapshot_t *snapshot) {
    uint64_t used = 0;
    for (size_t i = 0; i < snapshot->stages_count; i++) {
        if (snapshot->stages[i].stage == PR_STAGE_READER)
            used = snapshot->stages[i].counters.window_bytes;
    }
    return pr_json_pack("{s:o, s:o}", "bytes", s_number(used), "limit",
                        snapshot->window_limit > 0 ? s_number(snapshot->window_limit) : json_null());
}

static json_t *s_ending_to_json(const pr_ending_t *ending) {
    char id[37];
    if (ending == NULL)
        return json_null();
    return pr_json_pack("{s:s, s:s, s:s, s:i, s:o}", "run", pr_run_id_print(ending->run, id), "error",
                        pr_error_name((int)ending->code), "sentence", pr_error_sentence((int)ending->code), "exit_code",
                        pr_error_exit_code((int)ending->code), "text", pr_json_text(ending->text));
}

char *pr_status_print(const pr_snapshot_t *snapshot, const pr_meter_view_t *view, const pr_where_t *where,
                      const pr_books_view_t *books, const pr_history_t *history) {
    json_t *reasons = pr_ready_reasons(snapshot);
    json_t *root = pr_json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:O, s:O, s:o, s:o}", "version",
        PVRELAY_VERSION, "now_ms", (json_int_t)snapshot->calendar_ms, "target", pr_json_text(where->target), "run_dir",
        pr_json_text(where->run_dir), "spool", pr_json_text(where->spool), "ready",
        (int)(json_array_size(reasons) == 0), "reasons", reasons, "target_error", pr_json_text(books->error),
        "progress", s_progress_to_json(snapshot, view), "flow", s_flow_to_json(view), "stages",
        s_stages_to_json(snapshot), "ending", s_ending_to_json(snapshot->ending), "runs",
        s_runs_to_json(snapshot, books), "checkpoints", books->checkpoints, "rejects", books->rejects, "report",
        books->report, "history", pr_history_to_json(history), "window", s_window_to_json(snapshot));
    char *text = pr_json_dump(root, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(root);
    return text;
}
