/* SPDX-License-Identifier: MIT */
/* Runs, stages and progress as JSON. */
#include "control/status_json.h"

#include <math.h>
#include <string.h>

#include "common/json.h"

json_t *pr_status_json_run(const pr_ledger_run_t *run) {
    json_t *json = pr_json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:s?, s:f, s:o, s:s?}", "number", (json_int_t)run->number, "id", run->id,
        "kind", run->kind, "state", pr_ledger_state(run), "mapping", run->mapping, "started_at", run->started_at,
        "ended_at", *run->ended_at != '\0' ? run->ended_at : NULL, "seconds", run->seconds, "outcome",
        run->outcome >= 0 ? json_integer(run->outcome) : json_null(), "error", *run->error != '\0' ? run->error : NULL);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"total", run->total},
                   {"records", run->records},
                   {"written", run->written},
                   {"unchanged", run->unchanged},
                   {"rejected", run->rejected},
                   {"validated", run->validated},
                   {"checkpoints", run->checkpoints},
                   {"unvalidated", run->unvalidated},
                   {"failures", run->failures},
                   {"rejects_open", run->rejects_open}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        pr_json_set(json, numbers[i].key, json_integer((json_int_t)numbers[i].value));
    pr_json_set(json, "rolled_back_at", pr_json_text_or_null(run->rolled_back_at));
    pr_json_set(json, "sealed_at", pr_json_text_or_null(run->sealed_at));
    pr_json_set(json, "checkpoint", json_integer(run->checkpoint));
    pr_json_set(json, "position",
                pr_json_pack("{s:I, s:I, s:I}", "source", (json_int_t)run->source, "ordinal", (json_int_t)run->ordinal,
                             "offset", (json_int_t)run->offset));
    return json;
}

/* JSON's integers end where int64_t does; what a peer claims need not. */
static json_t *s_json_u64(uint64_t value) {
    return json_integer(value <= INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static json_t *s_json_list(pr_wire_list_t value) {
    json_t *list = json_array();
    for (size_t i = 0; i < PR_WIRE_LIST; i++)
        pr_json_append(list, s_json_u64(value.at[i]));
    return list;
}

static json_t *s_json_u8(uint8_t value) {
    return json_integer(value);
}

static json_t *s_json_u32(uint32_t value) {
    return json_integer((json_int_t)value);
}

static json_t *s_json_text(pr_wire_text_t value) {
    return pr_json_text(value.data);
}

json_t *pr_status_json_stage(const pr_watch_stage_t *stage) {
    json_t *json = pr_json_pack("{s:s, s:I, s:b}", "stage", pr_stage_word(stage->stage), "instance",
                                (json_int_t)stage->instance, "up", (int)stage->up);
    if (!stage->up)
        return json;
    json_t *counters = json_object();
#define F(type, name, sentence) pr_json_set(counters, #name, s_json_##type(stage->counters.name));
    PR_FIELDS_COUNTERS(F)
#undef F
    pr_json_set(json, "restarts", json_integer((json_int_t)pr_status_restarts(stage)));
    pr_json_set(json, "counters", counters);
    return json;
}

uint32_t pr_status_restarts(const pr_watch_stage_t *stage) {
    return stage->counters.starts > 0 ? stage->counters.starts - 1 : 0;
}

/* A figure that is not known while it is negative; JSON knows no infinity. *Returns new*. */
static json_t *s_figure(double value, double unit) {
    return value >= 0 && isfinite(value) ? pr_json_real(round(value / unit) * unit) : json_null();
}

json_t *pr_status_json_progress(const pr_msg_progress_t *progress, const pr_meter_view_t *view) {
    if (progress == NULL)
        return json_null();
    return pr_json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:I}", "state",
                        pr_watch_state_word(progress->state), "phase", view->phase, "total", s_json_u64(view->total),
                        "committed", s_json_u64(progress->committed), "with_verdict",
                        s_json_u64(progress->with_verdict), "validated", s_json_u64(progress->validated), "rejected",
                        s_json_u64(progress->rejected), "failures", s_json_u64(progress->failures), "checkpoint",
                        (json_int_t)progress->checkpoint, "share", s_figure(view->share, 1e-4), "eta_s",
                        s_figure(view->eta_s, 0.1), "elapsed_s", s_figure(view->elapsed_s, 0.1), "indexes",
                        (json_int_t)progress->indexes, "indexes_left", (json_int_t)progress->indexes_left);
}

double pr_status_seconds(const pr_ledger_run_t *run, const pr_msg_progress_t *progress, pr_run_id_t of) {
    char id[37];
    bool on = progress != NULL && strcmp(run->id, pr_run_id_print(of, id)) == 0;
    return on ? (double)progress->elapsed_ms / 1000 : run->seconds;
}
