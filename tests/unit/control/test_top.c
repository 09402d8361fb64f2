/* SPDX-License-Identifier: MIT */
/* What pvrelay top shows, out of what was heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/top_model.h"

enum { s_calendar_ms = 1000000 };

/* A pipeline that a test moves. */
typedef struct {
    pr_watch_stage_t stages[PR_TOP_ROWS];
    pr_msg_progress_t progress;
    pr_meter_view_t meter;
    pr_top_input_t input;
    pr_top_model_t *model;
} s_pipeline_t;

static void s_stage(s_pipeline_t *pipeline, pr_stage_t stage, uint32_t instance, const char *who) {
    pr_watch_stage_t *it = &pipeline->stages[pipeline->input.stages_count++];
    it->stage = stage;
    it->instance = instance;
    it->up = it->bound = it->heard = true;
    it->counters.start_ms = s_calendar_ms - 5000;
    it->counters.starts = 1;
    snprintf(it->who, sizeof it->who, "%s", who);
    pipeline->meter.stages[stage].heard = true;
}

static s_pipeline_t *s_pipeline(uint32_t transformers) {
    s_pipeline_t *pipeline = calloc(1, sizeof *pipeline);
    char who[32];
    assert_non_null(pipeline);
    pipeline->model = pr_top_model_new();
    pipeline->meter.transformers = transformers;
    pipeline->input = (pr_top_input_t){.stages = pipeline->stages,
                                       .progress = &pipeline->progress,
                                       .run = {{0xAB}},
                                       .meter = &pipeline->meter,
                                       .now_ms = 100000,
                                       .calendar_ms = s_calendar_ms};
    pipeline->progress.state = PR_PROGRESS_STREAMING;
    s_stage(pipeline, PR_STAGE_READER, 1, "reader");
    for (uint32_t i = 1; i <= transformers; i++) {
        snprintf(who, sizeof who, "transformer-%u", i);
        s_stage(pipeline, PR_STAGE_TRANSFORMER, i, who);
    }
    s_stage(pipeline, PR_STAGE_WRITER, 1, "writer");
    s_stage(pipeline, PR_STAGE_VALIDATOR, 1, "validator");
    return pipeline;
}

static void s_release(s_pipeline_t *pipeline) {
    pr_top_model_destroy(&pipeline->model);
    free(pipeline);
}

static const pr_top_view_t *s_take(s_pipeline_t *pipeline, int64_t later_ms) {
    pipeline->input.now_ms += later_ms;
    pipeline->input.calendar_ms += later_ms;
    pr_top_model_take(pipeline->model, &pipeline->input);
    return pr_top_model_view(pipeline->model);
}

static void s_all_down(s_pipeline_t *pipeline) {
    for (size_t i = 0; i < pipeline->input.stages_count; i++)
        pipeline->stages[i].up = false;
    pipeline->input.progress = NULL;
}

static void test_nobody_yet(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    s_all_down(pipeline);
    for (size_t i = 0; i < pipeline->input.stages_count; i++)
        pipeline->stages[i].heard = false;
    const pr_top_view_t *view = s_take(pipeline, 5000);
    assert_string_equal(view->word, "down");
    assert_false(view->anyone);
    assert_string_equal(view->run, "");
    assert_string_equal(view->outcome, "");
    assert_int_equal(view->rows_count, 4);
    assert_true(view->rows[0].down_s < 0 && view->rows[0].records < 0 && view->rows[0].restarts < 0);
    assert_true(view->elapsed_s < 0 && view->eta_s < 0 && view->per_second < 0);
    assert_int_equal(view->seconds_count, 0);
    s_release(pipeline);
}

static void test_a_run(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pr_meter_stage_t *stages = pipeline->meter.stages;
    pipeline->meter.total = 1000;
    pipeline->meter.share = 0.2;
    pipeline->meter.eta_s = 17;
    stages[PR_STAGE_READER].records = 700;
    stages[PR_STAGE_READER].per_second = 70;
    stages[PR_STAGE_TRANSFORMER].rejects = 5;
    stages[PR_STAGE_WRITER].rejects = 4;
    stages[PR_STAGE_VALIDATOR] =
        (pr_meter_stage_t){.heard = true, .records = 250, .per_second = 50, .eta_s = 15, .lag = 350, .rejects = 2};
    pipeline->stages[0].counters.window_bytes = 4096;
    pipeline->stages[3].counters.starts = 3;
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_string_equal(view->word, "streaming");
    assert_string_equal(view->run, "ab000000-0000-0000-0000-000000000000");
    assert_int_equal(view->done, 250);
    assert_int_equal(view->total, 1000);
    assert_true(view->per_second == 50 && view->eta_s == 17 && view->share == 0.2 && view->elapsed_s == 5);
    assert_int_equal(view->rejects, 4);
    assert_int_equal(view->failures, 2);
    assert_int_equal(view->up_count, 4);
    const pr_top_row_t *reader = &view->rows[0];
    assert_string_equal(reader->who, "reader");
    assert_int_equal(reader->records, 700);
    assert_true(reader->per_second == 70);
    assert_int_equal(reader->window_bytes, 4096);
    assert_int_equal(reader->lag, -1);
    assert_int_equal(reader->rejects, -1);
    assert_int_equal(reader->restarts, 0);
    assert_int_equal(view->rows[1].rejects, 5);
    assert_int_equal(view->rows[1].window_bytes, -1);
    assert_int_equal(view->rows[3].lag, 350);
    assert_int_equal(view->rows[3].restarts, 2);
    /* Behind the last record the phase is named. */
    pipeline->progress.state = PR_PROGRESS_PROVING;
    pipeline->progress.phase = PR_PHASE_INDEXES;
    snprintf(pipeline->meter.phase, sizeof pipeline->meter.phase, "indexes 2 of 5");
    assert_string_equal(s_take(pipeline, 0)->word, "indexes 2 of 5");
    s_release(pipeline);
}

static void test_scanning(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pipeline->progress.state = PR_PROGRESS_AWAITING_PLAN;
    pipeline->meter.scanning = true;
    pipeline->meter.scanned_bytes = 10;
    pipeline->meter.scan_total_bytes = 40;
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_string_equal(view->word, "awaiting-plan");
    assert_true(view->scanning);
    assert_int_equal(view->done, 10);
    assert_int_equal(view->total, 40);
    assert_true(view->eta_s < 0);
    s_release(pipeline);
}

static void test_several_transformers(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(2);
    pr_msg_counters_t *second = &pipeline->stages[2].counters;
    pipeline->meter.stages[PR_STAGE_TRANSFORMER].records = 9000;
    pipeline->meter.stages[PR_STAGE_TRANSFORMER].lag = 30;
    second->records_ok = 100;
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_true(view->rows[2].per_second < 0); /* not known yet */
    second->records_ok = 190;
    second->records_rejected = 10;
    view = s_take(pipeline, 1000);
    assert_int_equal(view->rows[2].records, 200);
    assert_true(view->rows[2].per_second == 100);
    assert_int_equal(view->rows[2].rejects, 10);
    assert_int_equal(view->rows[1].records, 0);
    assert_true(view->rows[1].per_second == 0);
    assert_int_equal(view->rows[1].lag, 30);
    assert_int_equal(view->rows[2].lag, 30);
    /* Started again: it counts anew, and no rate comes from the difference of two lives. */
    second->start_ms++;
    second->records_ok = 5;
    view = s_take(pipeline, 250);
    assert_true(view->rows[2].per_second < 0);
    second->records_ok = 30;
    view = s_take(pipeline, 500);
    assert_true(view->rows[2].per_second == 50);
    s_release(pipeline);
}

static void test_down_and_up_again(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pr_watch_stage_t *validator = &pipeline->stages[3];
    pipeline->meter.stages[PR_STAGE_VALIDATOR].per_second = 10;
    s_take(pipeline, 0);
    validator->up = false;
    s_take(pipeline, 1000);
    const pr_top_view_t *view = s_take(pipeline, 3000);
    assert_false(view->rows[3].up);
    assert_true(view->rows[3].down_s == 3);
    assert_true(view->rows[3].per_second < 0);
    assert_int_equal(view->up_count, 3);
    validator->up = true;
    validator->counters.starts = 2;
    view = s_take(pipeline, 1000);
    assert_true(view->rows[3].up && view->rows[3].down_s < 0);
    assert_int_equal(view->rows[3].restarts, 1);
    s_release(pipeline);
}

static void test_errors(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pr_wire_text_set(&pipeline->stages[0].counters.last_error, "first");
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_string_equal(view->error_who, "reader");
    assert_string_equal(view->error, "first");
    pr_wire_text_set(&pipeline->stages[2].counters.last_error, "bad \033[2J\n  bytes \xFF");
    view = s_take(pipeline, 1000);
    assert_string_equal(view->error_who, "writer");
    assert_string_equal(view->error, "bad \\x1B[2J\\n bytes \\xFF");
    assert_string_equal(view->rows[2].error, "bad \\x1B[2J\\n bytes \\xFF");
    assert_string_equal(view->rows[0].error, "first");
    view = s_take(pipeline, 2000);
    assert_true(view->error_s == 2);
    /* A new life has none yet; what the one before said stays. */
    pr_wire_text_set(&pipeline->stages[2].counters.last_error, "");
    view = s_take(pipeline, 1000);
    assert_string_equal(view->rows[2].error, "bad \\x1B[2J\\n bytes \\xFF");
    assert_true(view->error_s == 3);
    /* With the next run they are forgotten. */
    pipeline->input.run.bytes[0] = 2;
    view = s_take(pipeline, 1000);
    assert_string_equal(view->rows[2].error, "");
    assert_string_equal(view->error, "");
    s_release(pipeline);
}

static void test_complete_and_the_next_run(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    s_take(pipeline, 0);
    pipeline->progress.state = PR_PROGRESS_COMPLETE;
    pipeline->progress.outcome = PR_E_REJECTED;
    const pr_top_view_t *view = s_take(pipeline, 1000);
    assert_string_equal(view->word, "complete");
    assert_string_equal(view->outcome, "complete, but records were rejected (exit code 3)");
    assert_false(view->good);
    double elapsed_s = view->elapsed_s;
    uint64_t seconds = view->seconds_count;
    s_all_down(pipeline);
    view = s_take(pipeline, 60000);
    assert_string_equal(view->word, "complete");
    assert_string_equal(view->outcome, "complete, but records were rejected (exit code 3)");
    assert_true(view->elapsed_s == elapsed_s);
    assert_int_equal(view->seconds_count, seconds);
    assert_true(view->eta_s < 0);
    assert_true(view->anyone);
    assert_int_equal(view->up_count, 0);

    for (size_t i = 0; i < pipeline->input.stages_count; i++)
        pipeline->stages[i].up = true;
    pipeline->input.progress = &pipeline->progress;
    pipeline->progress.state = PR_PROGRESS_STREAMING;
    pipeline->input.run.bytes[0] = 2;
    s_take(pipeline, 1000);
    view = s_take(pipeline, 2000);
    assert_string_equal(view->word, "streaming");
    assert_string_equal(view->outcome, "");
    assert_true(view->elapsed_s == 2);
    pipeline->progress.state = PR_PROGRESS_COMPLETE;
    pipeline->progress.outcome = PR_E_OK;
    view = s_take(pipeline, 1000);
    assert_string_equal(view->outcome, "complete, validated, nothing rejected (exit code 0)");
    assert_true(view->good);
    s_release(pipeline);
}

static void test_failed(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pipeline->progress.state = PR_PROGRESS_FAILED;
    pipeline->progress.outcome = PR_E_TARGET_FULL;
    pr_wire_text_set(&pipeline->progress.text, "/t.db: disk full");
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_string_equal(view->word, "failed");
    assert_string_equal(view->outcome, "stopped: TARGET_FULL: /t.db: disk full");
    assert_false(view->good);
    pr_wire_text_set(&pipeline->progress.text, "");
    pipeline->progress.outcome = 9999;
    view = s_take(pipeline, 250);
    assert_string_equal(view->outcome, "stopped: INTERNAL: internal error");
    s_release(pipeline);
}

static void test_ended_before_we_came(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pr_ending_t ending = {.run = {{0xCD}}, .code = PR_E_MALFORMED, .text = "/x.json, byte 12: not JSON"};
    s_all_down(pipeline);
    pipeline->input.ending = &ending;
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_string_equal(view->word, "failed");
    assert_string_equal(view->outcome, "stopped: MALFORMED: /x.json, byte 12: not JSON");
    assert_string_equal(view->run, "cd000000-0000-0000-0000-000000000000");
    s_release(pipeline);

    /* Of a run that was heard of, what is told of another one means nothing. */
    pipeline = s_pipeline(1);
    s_take(pipeline, 0);
    s_all_down(pipeline);
    pipeline->input.ending = &ending;
    view = s_take(pipeline, 250);
    assert_string_equal(view->word, "down");
    assert_string_equal(view->outcome, "");
    ending.run.bytes[0] = 0xAB;
    ending.code = PR_E_OK;
    view = s_take(pipeline, 250);
    assert_string_equal(view->word, "complete");
    assert_string_equal(view->outcome, "complete, validated, nothing rejected (exit code 0)");
    s_release(pipeline);
}

static void test_history(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    double columns[4];
    const pr_top_view_t *view = s_take(pipeline, 0);
    assert_int_equal(pr_top_graph(view, 4, columns), 1);
    assert_true(columns[0] < 0 && columns[3] < 0);
    for (int i = 1; i <= 3; i++) {
        pipeline->meter.stages[PR_STAGE_VALIDATOR].records += (uint64_t)i * 100;
        view = s_take(pipeline, 1000);
    }
    assert_int_equal(view->seconds_count, 3);
    assert_int_equal(pr_top_graph(view, 4, columns), 1);
    assert_true(columns[0] < 0 && columns[1] == 100 && columns[2] == 200 && columns[3] == 300);
    /* A pause of ours: its records are spread over it. */
    pipeline->meter.stages[PR_STAGE_VALIDATOR].records += 300;
    view = s_take(pipeline, 3000);
    assert_int_equal(view->seconds_count, 6);
    assert_int_equal(pr_top_graph(view, 4, columns), 2);
    assert_true(columns[0] < 0 && columns[1] == 150 && columns[2] == 200 && columns[3] == 100);
    /* Far more than is kept. */
    view = s_take(pipeline, (int64_t)PR_TOP_SECONDS * 3000);
    assert_int_equal(pr_top_graph(view, 4, columns), 38);
    assert_true(columns[0] == 0 && columns[3] == 0);
    assert_int_equal(pr_top_graph(view, 1, columns), 150);
    assert_int_equal(pr_top_graph(view, 0, columns), 1);
    s_release(pipeline);
}

static void s_assert_order(const pr_top_view_t *view, const char *expected) {
    char order[128] = "";
    for (size_t i = 0; i < view->rows_count; i++)
        snprintf(order + strlen(order), sizeof order - strlen(order), "%s%s", i > 0 ? " " : "", view->rows[i].who);
    assert_string_equal(order, expected);
}

static void test_order(void **state) {
    (void)state;
    s_pipeline_t *pipeline = s_pipeline(1);
    pr_meter_stage_t *stages = pipeline->meter.stages;
    stages[PR_STAGE_WRITER].lag = 10;
    stages[PR_STAGE_VALIDATOR].lag = 20;
    stages[PR_STAGE_TRANSFORMER].per_second = 9;
    pr_top_view_t view = *s_take(pipeline, 0);
    pr_top_sort(&view, PR_TOP_PIPELINE);
    s_assert_order(&view, "reader transformer-1 writer validator");
    pr_top_sort(&view, PR_TOP_BY_RATE);
    s_assert_order(&view, "transformer-1 reader writer validator");
    pr_top_sort(&view, PR_TOP_BY_LAG);
    s_assert_order(&view, "validator writer transformer-1 reader");
    assert_string_equal(pr_top_order_word(PR_TOP_PIPELINE), "pipeline");
    assert_string_equal(pr_top_order_word(PR_TOP_BY_RATE), "rate");
    assert_string_equal(pr_top_order_word(PR_TOP_BY_LAG), "lag");
    s_release(pipeline);
}

static void test_count(void **state) {
    (void)state;
    char text[32];
    assert_string_equal(pr_top_count(0, 7, text, sizeof text), "0");
    assert_string_equal(pr_top_count(123456, 7, text, sizeof text), "123,456");
    assert_string_equal(pr_top_count(1234567, 7, text, sizeof text), "1234567");
    assert_string_equal(pr_top_count(12345678, 7, text, sizeof text), "12346k");
    assert_string_equal(pr_top_count(123456789, 6, text, sizeof text), "123.5M");
    assert_string_equal(pr_top_count(UINT64_MAX, 6, text, sizeof text), "18447P");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_yet),
        cmocka_unit_test(test_a_run),
        cmocka_unit_test(test_scanning),
        cmocka_unit_test(test_several_transformers),
        cmocka_unit_test(test_down_and_up_again),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_complete_and_the_next_run),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_ended_before_we_came),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
