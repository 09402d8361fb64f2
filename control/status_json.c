/* SPDX-License-Identifier: MIT */
/* Runs, stages and progress as JSON. */
#include "control/status_json.h"

#include "control/format.h"

/* A time that may not have come. *Returns new*. */
static json_t *s_time(const char *text) {
    return *text != '\0' ? json_string(text) : json_null();
}

json_t *pr_status_json_run(const pr_ledger_run_t *run) {
    json_t *json = json_pack(
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
        json_object_set_new(json, numbers[i].key, json_integer((json_int_t)numbers[i].value));
    json_object_set_new(json, "rolled_back_at", s_time(run->rolled_back_at));
    json_object_set_new(json, "sealed_at", s_time(run->sealed_at));
    json_object_set_new(json, "checkpoint", json_integer(run->checkpoint));
    json_object_set_new(json, "position",
                        json_pack("{s:I, s:I, s:I}", "source", (json_int_t)run->source, "ordinal",
                                  (json_int_t)run->ordinal, "offset", (json_int_t)run->offset));
    return json;
}

/* JSON's integers end where int64_t does; what a peer claims need not. */
static json_t *s_json_u64(uint64_t value) {
    return json_integer(value <= INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static json_t *s_json_list(pr_wire_list_t value) {
    json_t *list = json_array();
    for (size_t i = 0; i < PR_WIRE_LIST; i++)
        json_array_append_new(list, s_json_u64(value.at[i]));
    return list;
}

static json_t *s_json_u8(uint8_t value) {
    return json_integer(value);
}

static json_t *s_json_u32(uint32_t value) {
    return json_integer((json_int_t)value);
}

static json_t *s_json_text(pr_wire_text_t value) {
    return json_string(pr_format_clean(value.data));
}

json_t *pr_status_json_stage(const pr_watch_stage_t *stage) {
    json_t *json = json_pack("{s:s, s:I, s:b}", "stage", pr_stage_word(stage->stage), "instance",
                             (json_int_t)stage->instance, "up", (int)stage->up);
    if (!stage->up)
        return json;
    json_t *counters = json_object();
#define F(type, name, sentence) json_object_set_new(counters, #name, s_json_##type(stage->counters.name));
    PR_FIELDS_COUNTERS(F)
#undef F
    json_object_set_new(json, "restarts", json_integer((json_int_t)pr_status_restarts(stage)));
    json_object_set_new(json, "counters", counters);
    return json;
}

uint32_t pr_status_restarts(const pr_watch_stage_t *stage) {
    return stage->counters.starts > 0 ? stage->counters.starts - 1 : 0;
}

json_t *pr_status_json_progress(const pr_msg_progress_t *progress) {
    if (progress == NULL)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:I}", "state", pr_watch_state_word(progress->state), "committed",
                     s_json_u64(progress->committed), "validated", s_json_u64(progress->validated), "checkpoint",
                     (json_int_t)progress->checkpoint);
}
