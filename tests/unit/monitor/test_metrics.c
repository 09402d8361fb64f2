/* SPDX-License-Identifier: MIT */
/* Counters as Prometheus takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/metrics.h"

static void s_expect(const char *text, const char *line) {
    const char *at = strstr(text, line);
    while (at != NULL && !((at == text || at[-1] == '\n') && at[strlen(line)] == '\n'))
        at = strstr(at + 1, line);
    if (at == NULL)
        fail_msg("no line \"%s\" in\n%s", line, text);
}

static pr_watch_stage_t s_stage(pr_stage_t stage, bool up) {
    return (pr_watch_stage_t){
        .stage = stage, .instance = 1, .up = up, .heard = true, .counters = {.start_ms = 1500, .starts = 3}};
}

static void test_histogram(void **state) {
    pr_watch_stage_t writer = s_stage(PR_STAGE_WRITER, true);
    const pr_snapshot_t snapshot = {.stages = &writer, .stages_count = 1};
    (void)state;
    writer.counters.commits.at[0] = 5;
    writer.counters.commits.at[1] = 2;
    writer.counters.commits.at[13] = 1;
    writer.counters.commits.at[14] = 4; /* longer than the last bound */
    writer.counters.commit_us = 12345678;
    char *text = pr_metrics_print(&snapshot);
    s_expect(text, "# TYPE pvrelay_commit_duration_seconds histogram");
    s_expect(text, "pvrelay_commit_duration_seconds_bucket{stage=\"writer\",worker=\"1\",le=\"0.001\"} 5");
    s_expect(text, "pvrelay_commit_duration_seconds_bucket{stage=\"writer\",worker=\"1\",le=\"0.0025\"} 7");
    s_expect(text, "pvrelay_commit_duration_seconds_bucket{stage=\"writer\",worker=\"1\",le=\"10\"} 7");
    s_expect(text, "pvrelay_commit_duration_seconds_bucket{stage=\"writer\",worker=\"1\",le=\"30\"} 8");
    s_expect(text, "pvrelay_commit_duration_seconds_bucket{stage=\"writer\",worker=\"1\",le=\"+Inf\"} 12");
    s_expect(text, "pvrelay_commit_duration_seconds_sum{stage=\"writer\",worker=\"1\"} 12.345678");
    s_expect(text, "pvrelay_commit_duration_seconds_count{stage=\"writer\",worker=\"1\"} 12");
    free(text);
}

static void test_counters(void **state) {
    pr_watch_stage_t stages[] = {s_stage(PR_STAGE_READER, true), s_stage(PR_STAGE_TRANSFORMER, true),
                                 s_stage(PR_STAGE_TRANSFORMER, true), s_stage(PR_STAGE_VALIDATOR, true)};
    const pr_msg_progress_t progress = {.state = PR_PROGRESS_STREAMING,
                                        .committed = 70,
                                        .validated = 60,
                                        .with_verdict = 65,
                                        .rejected = 5,
                                        .failures = 2,
                                        .phase = PR_PHASE_INDEXES,
                                        .indexes = 5,
                                        .indexes_left = 4};
    const pr_meter_view_t meter = {.share = 0.625, .eta_s = 12.5, .elapsed_s = -1};
    const pr_snapshot_t snapshot = {.stages = stages,
                                    .stages_count = 4,
                                    .progress = &progress,
                                    .run = {.bytes = {0xab}},
                                    .meter = &meter,
                                    .total = 100};
    (void)state;
    stages[0].counters.window_bytes = UINT64_C(1) << 40;
    stages[0].counters.last_progress_ms = UINT64_C(1795388353007);
    stages[0].counters.cpu_us = 1500000;
    stages[0].counters.working_us = 2250000;
    stages[0].counters.wait_input_us = 250000;
    stages[0].counters.wait_output_us = UINT64_C(86400500000);
    stages[2].instance = 2;
    stages[2].counters.rejects.at[9] = 7;
    stages[2].counters.protocol_errors.at[PR_PROTOCOL_CONTENT] = 3;
    stages[3].counters.records_ok = 55;
    stages[3].counters.failures.at[2] = 4;
    char *text = pr_metrics_print(&snapshot);
    s_expect(text, "pvrelay_stage_up{stage=\"transformer\",worker=\"2\"} 1");
    s_expect(text, "pvrelay_stage_restarts_total{stage=\"reader\",worker=\"1\"} 2");
    s_expect(text, "pvrelay_stage_start_time_seconds{stage=\"reader\",worker=\"1\"} 1.5");
    s_expect(text, "pvrelay_window_bytes{stage=\"reader\",worker=\"1\"} 1099511627776");
    s_expect(text, "# TYPE pvrelay_cpu_seconds_total counter");
    s_expect(text, "pvrelay_cpu_seconds_total{stage=\"reader\",worker=\"1\"} 1.5");
    s_expect(text, "pvrelay_working_seconds_total{stage=\"reader\",worker=\"1\"} 2.25");
    s_expect(text, "pvrelay_wait_input_seconds_total{stage=\"reader\",worker=\"1\"} 0.25");
    s_expect(text, "pvrelay_wait_output_seconds_total{stage=\"reader\",worker=\"1\"} 86400.5");
    s_expect(text, "pvrelay_last_progress_timestamp_seconds{stage=\"reader\",worker=\"1\"} 1795388353.007");
    s_expect(text, "pvrelay_rejects_total{stage=\"transformer\",worker=\"2\",reason=\"unknown_value\"} 7");
    s_expect(text, "pvrelay_rejects_total{stage=\"transformer\",worker=\"1\",reason=\"unknown_value\"} 0");
    s_expect(text, "pvrelay_protocol_errors_total{stage=\"transformer\",worker=\"2\",kind=\"content\"} 3");
    s_expect(text, "pvrelay_validation_rows_total{stage=\"validator\",worker=\"1\",result=\"proved\"} 55");
    s_expect(text, "pvrelay_validation_rows_total{stage=\"validator\",worker=\"1\",result=\"missing\"} 4");
    s_expect(text, "pvrelay_run_info{run=\"ab000000-0000-0000-0000-000000000000\",state=\"streaming\"} 1");
    s_expect(text, "pvrelay_run_records 100");
    s_expect(text, "pvrelay_committed_records 70");
    s_expect(text, "pvrelay_validated_records 60");
    s_expect(text, "pvrelay_rejected_records 5");
    s_expect(text, "pvrelay_run_failures 2");
    s_expect(text, "pvrelay_run_phase{phase=\"indexes\"} 1");
    s_expect(text, "pvrelay_run_indexes 5");
    s_expect(text, "pvrelay_run_indexes_left 4");
    s_expect(text, "pvrelay_run_progress_ratio 0.6250");
    s_expect(text, "pvrelay_run_eta_seconds 12.5000");
    assert_null(strstr(text, "\npvrelay_run_elapsed_seconds")); /* not known */
    s_expect(text, "pvrelay_build_info{version=\"" PVRELAY_VERSION "\"} 1");
    assert_null(strstr(text, "pvrelay_window_bytes{stage=\"validator\""));
    free(text);
}

/* A stage that is down, and one whose socket is there but which has not said anything yet. */
static void test_down(void **state) {
    pr_watch_stage_t stages[] = {s_stage(PR_STAGE_READER, false), s_stage(PR_STAGE_WRITER, true)};
    const pr_snapshot_t snapshot = {.stages = stages, .stages_count = 2};
    (void)state;
    stages[1].counters.start_ms = 0;
    char *text = pr_metrics_print(&snapshot);
    s_expect(text, "pvrelay_stage_up{stage=\"reader\",worker=\"1\"} 0");
    s_expect(text, "pvrelay_stage_up{stage=\"writer\",worker=\"1\"} 1");
    size_t series = 0;
    for (const char *line = text; line != NULL && *line != '\0';) {
        series += *line != '#';
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    assert_int_equal(series, 3); /* these, and build_info */
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
