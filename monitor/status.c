/* SPDX-License-Identifier: MIT */
/* /api/status. */
#include "monitor/status.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/reject.h"
#include "control/format.h"
#include "control/status_json.h"
#include "monitor/ready.h"

/* A text from elsewhere, whatever is in it; null if it is NULL. *Returns new*. */
static json_t *s_text(const char *text) {
    if (text == NULL)
        return json_null();
    char *copy = pr_xstrdup(text);
    json_t *json = json_string(pr_format_clean(copy));
    free(copy);
    return json;
}

/* A figure that is not known while it is negative; JSON knows no infinity. *Returns new*. */
static json_t *s_figure(double value) {
    return value >= 0 && isfinite(value) ? json_real(round(value * 10) / 10) : json_null();
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
            json_object_set_new(rejects, pr_reject_word(reason), s_number(counters->rejects.at[reason]));
    }
    return rejects;
}

static json_t *s_stages_to_json(const pr_snapshot_t *snapshot) {
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->stages_count; i++) {
        const pr_watch_stage_t *stage = &snapshot->stages[i];
        json_t *json = pr_status_json_stage(stage);
        json_object_set_new(json, "who", json_string(stage->who));
        json_object_set_new(json, "down_for_ms",
                            !stage->up && stage->heard ? json_integer(snapshot->now_ms - stage->heard_ms)
                                                       : json_null());
        json_object_set_new(json, "restarts",
                            stage->heard ? json_integer((json_int_t)pr_status_restarts(stage)) : json_null());
        json_object_set_new(json, "last_error",
                            stage->heard && *stage->counters.last_error.data != '\0'
                                ? s_text(stage->counters.last_error.data)
                                : json_null());
        json_object_set_new(json, "rejects", s_rejects_to_json(&stage->counters));
        json_array_append_new(list, json);
    }
    return list;
}

/* The stages as the run goes through them: the transformers together. */
static json_t *s_flow_to_json(const pr_meter_view_t *view) {
    json_t *list = json_array();
    for (unsigned stage = PR_STAGE_READER; stage <= PR_STAGE_VALIDATOR; stage++) {
        const pr_meter_stage_t *at = &view->stages[stage];
        json_array_append_new(list, json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "stage", pr_stage_word(stage),
                                              "heard", (int)at->heard, "records", s_number(at->records), "per_second",
                                              s_figure(at->per_second), "lag", s_number(at->lag), "rejects",
                                              s_number(at->rejects), "eta_s", s_figure(at->eta_s)));
    }
    return list;
}

static json_t *s_progress_to_json(const pr_snapshot_t *snapshot, const pr_meter_view_t *view) {
    char id[37];
    json_t *json = pr_status_json_progress(snapshot->progress);
    if (snapshot->progress == NULL)
        return json;
    json_object_set_new(json, "run",
                        pr_run_id_known(snapshot->run) ? json_string(pr_run_id_print(snapshot->run, id)) : json_null());
    json_object_set_new(json, "total", s_number(snapshot->total));
    json_object_set_new(json, "eta_s", s_figure(view->stages[PR_STAGE_VALIDATOR].eta_s));
    json_object_set_new(json, "scanning", json_boolean(view->scanning));
    json_object_set_new(json, "scanned_bytes", s_number(view->scanned_bytes));
    json_object_set_new(json, "scan_total_bytes", s_number(view->scan_total_bytes));
    json_object_set_new(json, "text", s_text(snapshot->progress->text.data));
    return json;
}

/* How far the reader is ahead of the committed position, in bytes. */
static json_t *s_window_to_json(const pr_snapshot_t *snapshot) {
    uint64_t used = 0;
    for (size_t i = 0; i < snapshot->stages_count; i++) {
        if (snapshot->stages[i].stage == PR_STAGE_READER)
            used = snapshot->stages[i].counters.window_bytes;
    }
    return json_pack("{s:o, s:o}", "bytes", s_number(used), "limit",
                     snapshot->window_limit > 0 ? s_number(snapshot->window_limit) : json_null());
}

static json_t *s_ending_to_json(const pr_ending_t *ending) {
    char id[37];
    if (ending == NULL)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:i, s:o}", "run", pr_run_id_print(ending->run, id), "error",
                     pr_error_name((int)ending->code), "sentence", pr_error_sentence((int)ending->code), "exit_code",
                     pr_error_exit_code((int)ending->code), "text", s_text(ending->text));
}

char *pr_status_print(const pr_snapshot_t *snapshot, const pr_meter_view_t *view, const pr_where_t *where,
                      const pr_books_view_t *books, const pr_history_t *history) {
    json_t *reasons = pr_ready_reasons(snapshot);
    json_t *root = json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:O, s:O, s:O, s:o, s:o}", "version",
        PVRELAY_VERSION, "now_ms", (json_int_t)snapshot->calendar_ms, "target", s_text(where->target), "run_dir",
        s_text(where->run_dir), "spool", s_text(where->spool), "ready", (int)(json_array_size(reasons) == 0), "reasons",
        reasons, "target_error", s_text(books->error), "progress", s_progress_to_json(snapshot, view), "flow",
        s_flow_to_json(view), "stages", s_stages_to_json(snapshot), "ending", s_ending_to_json(snapshot->ending),
        "runs", books->runs, "checkpoints", books->checkpoints, "rejects", books->rejects, "report", books->report,
        "history", pr_history_to_json(history), "window", s_window_to_json(snapshot));
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(root);
    if (text == NULL)
        abort(); /* out of memory: everything in it is valid */
    return text;
}
