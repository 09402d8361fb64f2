/* SPDX-License-Identifier: MIT */
/* Positions, rates and times out of what the stages publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/meter.h"

static pr_msg_progress_t s_progress(unsigned state, uint32_t source, uint64_t committed, uint64_t validated) {
    return (pr_msg_progress_t){
        .state = (uint8_t)state, .source = source, .committed = committed, .with_verdict = validated};
}

static void test_nothing_heard(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    pr_meter_view_t view;
    pr_meter_look(meter, 1000, &view);
    assert_int_equal(view.state, 0);
    assert_false(view.stages[PR_STAGE_READER].heard);
    assert_true(view.stages[PR_STAGE_WRITER].per_second < 0);
    assert_null(pr_meter_newest(meter));
    pr_meter_destroy(&meter);
    assert_null(meter);
    pr_meter_destroy(&meter);
}

static void test_scanning(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    pr_msg_counters_t reader = {.start_ms = 1, .scanned_bytes = 10, .scan_total_bytes = 40};
    pr_msg_progress_t awaiting = s_progress(PR_PROGRESS_AWAITING_PLAN, 0, 0, 0);
    pr_meter_view_t view;
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_progress(meter, &awaiting, 0);
    pr_meter_look(meter, 0, &view);
    assert_true(view.scanning);
    assert_int_equal(view.scanned_bytes, 10);
    reader.scanned_bytes = 40;
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_look(meter, 0, &view);
    assert_false(view.scanning);
    pr_meter_destroy(&meter);
}

static void test_positions_rates_and_eta(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(2);
    pr_meter_view_t view;
    pr_msg_counters_t reader = {
        .start_ms = 1, .records_read = 100, .bytes = 40000, .window_bytes = 20000, .records_total = 1000};
    pr_msg_counters_t transformer = {.start_ms = 1, .records_ok = 60, .records_rejected = 5};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 0, 0);
    pr_meter_progress(meter, &at, 0);
    pr_meter_look(meter, 0, &view); /* the first sample */
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 2, &transformer);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 3, &transformer); /* there is none: ignored */
    at = s_progress(PR_PROGRESS_STREAMING, 0, 50, 25);
    pr_meter_progress(meter, &at, 500);
    pr_meter_look(meter, 500, &view);
    assert_int_equal(view.total, 1000);
    assert_int_equal(view.stages[PR_STAGE_READER].records, 100); /* 50 and a window of 50 */
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].records, 65);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].lag, 35);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].rejects, 5);
    assert_int_equal(view.stages[PR_STAGE_WRITER].records, 50);
    assert_int_equal(view.stages[PR_STAGE_WRITER].lag, 15);
    assert_int_equal(view.stages[PR_STAGE_VALIDATOR].records, 25);
    assert_int_equal(view.stages[PR_STAGE_VALIDATOR].lag, 25);
    assert_true(view.stages[PR_STAGE_WRITER].per_second == 100);
    /* The records, and what comes behind them: some milliseconds for so few. */
    assert_true(view.stages[PR_STAGE_WRITER].eta_s >= 9.5 && view.stages[PR_STAGE_WRITER].eta_s < 9.51);
    assert_true(view.stages[PR_STAGE_VALIDATOR].eta_s > 19.5 && view.stages[PR_STAGE_VALIDATOR].eta_s < 19.51);
    assert_true(view.eta_s == view.stages[PR_STAGE_VALIDATOR].eta_s);
    pr_meter_destroy(&meter);
}

static void test_lives_add_up_within_what_is_certain(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    pr_meter_view_t view;
    pr_msg_counters_t first = {.start_ms = 1, .records_ok = 300};
    pr_msg_counters_t second = {.start_ms = 2, .records_ok = 400};
    pr_msg_counters_t reader = {.start_ms = 1, .records_total = 500, .resends = 1};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 200, 200);
    pr_meter_progress(meter, &at, 0);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &first);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &second);
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    reader.start_ms = 2;
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_look(meter, 0, &view);
    /* 200 + 300 + 400, some of them twice: not beyond where the reader is. */
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].records, 200);
    assert_int_equal(view.resends, 2);
    pr_meter_destroy(&meter);
}

static void test_time_goes_to_the_source_that_was_worked_on(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    size_t count;
    pr_msg_progress_t steps[] = {
        s_progress(PR_PROGRESS_AWAITING_PLAN, 0, 0, 0), s_progress(PR_PROGRESS_STREAMING, 0, 0, 0),
        s_progress(PR_PROGRESS_STREAMING, 1, 2, 0),     s_progress(PR_PROGRESS_STREAMING, 1, 300, 2),
        s_progress(PR_PROGRESS_PROVING, 2, 464, 300),   s_progress(PR_PROGRESS_COMPLETE, 2, 464, 464)};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        pr_meter_progress(meter, &steps[i], (int64_t)i * 1000);
    const pr_meter_source_t *sources = pr_meter_sources(meter, &count);
    assert_int_equal(count, 2);
    assert_true(sources[0].seconds == 1);
    assert_int_equal(sources[0].records, 2);
    assert_true(sources[1].seconds == 2);
    assert_int_equal(sources[1].records, 462);
    assert_int_equal(pr_meter_newest(meter)->state, PR_PROGRESS_COMPLETE);
    pr_meter_destroy(&meter);
}

static void test_mark_moves_with_every_step(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    uint64_t before = pr_meter_mark(meter);
    pr_msg_progress_t steps[] = {s_progress(PR_PROGRESS_AWAITING_PLAN, 0, 0, 0),
                                 s_progress(PR_PROGRESS_STREAMING, 0, 0, 0), s_progress(PR_PROGRESS_STREAMING, 0, 5, 0),
                                 s_progress(PR_PROGRESS_STREAMING, 0, 5, 5), s_progress(PR_PROGRESS_PROVING, 1, 5, 5)};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        pr_meter_progress(meter, &steps[i], 0);
        assert_true(pr_meter_mark(meter) > before);
        before = pr_meter_mark(meter);
    }
    pr_meter_progress(meter, &steps[4], 100);
    assert_int_equal(pr_meter_mark(meter), before);
    pr_meter_destroy(&meter);
}

static void test_joined_in_the_middle(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    pr_meter_view_t view;
    pr_msg_counters_t reader = {.start_ms = 1, .records_read = 600, .bytes = 6000, .window_bytes = 1000};
    pr_msg_counters_t transformer = {.start_ms = 1, .records_ok = 550};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 500, 400);
    pr_meter_join(meter);
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_progress(meter, &at, 0);
    pr_meter_look(meter, 0, &view);
    assert_int_equal(view.stages[PR_STAGE_READER].records, 600);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].records, 550); /* not 500 and 550 */
    pr_meter_destroy(&meter);
}

static void test_counted_for_the_run_before(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    pr_meter_view_t view;
    pr_msg_counters_t reader = {.start_ms = 1, .records_read = 100, .bytes = 1000, .window_bytes = 1000, .resends = 7};
    pr_msg_counters_t transformer = {.start_ms = 1, .records_ok = 1000, .records_rejected = 5};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 0, 0);
    pr_meter_discount(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_discount(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_discount(meter, PR_STAGE_TRANSFORMER, 2, &transformer); /* there is none: ignored */
    at.failures = 4;                                                 /* that the target keeps of this run */
    pr_meter_progress(meter, &at, 0);
    at.committed = 15;
    pr_meter_progress(meter, &at, 0);
    reader.resends = 8;
    transformer.records_ok = 1020;
    transformer.records_rejected = 6;
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_look(meter, 0, &view);
    assert_int_equal(view.resends, 1);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].records, 21);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].rejects, 1);
    assert_int_equal(view.stages[PR_STAGE_VALIDATOR].rejects, 4);
    /* Started again, it counts from 0, all of it for this run. */
    transformer = (pr_msg_counters_t){.start_ms = 2, .records_ok = 30};
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_look(meter, 0, &view);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].records, 51);
    pr_meter_destroy(&meter);
}

static pr_msg_progress_t s_phase(pr_run_phase_t phase, uint64_t phase_ms, uint32_t indexes_left) {
    return (pr_msg_progress_t){.state = phase <= PR_PHASE_DERIVED ? PR_PROGRESS_STREAMING : PR_PROGRESS_PROVING,
                               .committed = 3000000,
                               .with_verdict = 3000000,
                               .phase = (uint8_t)phase,
                               .phase_ms = phase_ms,
                               .elapsed_ms = 30000,
                               .indexes = 5,
                               .indexes_left = indexes_left,
                               .index_rows = 15000000,
                               .index_rows_left = 3000000 * (uint64_t)indexes_left,
                               .target_bytes = 750000000};
}

/* A load of 3 million: the records take 18 s, and what comes behind them two fifths of the whole. */
static void test_the_last_phases_are_named_and_in_the_time_left(void **state) {
    (void)state;
    static const struct {
        pr_run_phase_t phase;
        uint32_t indexes_left;
        uint64_t phase_ms;
        const char *words;
    } steps[] = {{PR_PHASE_RECORDS, 5, 18000, "replaying"},    {PR_PHASE_DERIVED, 5, 500, "derived columns"},
                 {PR_PHASE_INDEXES, 5, 0, "indexes 1 of 5"},   {PR_PHASE_INDEXES, 4, 0, "indexes 2 of 5"},
                 {PR_PHASE_INDEXES, 4, 700, "indexes 2 of 5"}, {PR_PHASE_INDEXES, 1, 900, "indexes 5 of 5"},
                 {PR_PHASE_REFERENCES, 0, 20, "references"},   {PR_PHASE_FILE, 0, 0, "file check"},
                 {PR_PHASE_FILE, 0, 2000, "file check"},       {PR_PHASE_FILE, 0, 60000, "file check"}};
    pr_meter_t *meter = pr_meter_new(1);
    pr_msg_counters_t reader = {.start_ms = 1, .records_total = 3000000};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 0, 0);
    pr_meter_view_t view;
    double share = 0;
    double eta_s = 1e9;
    int64_t now_ms = 0;
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_progress(meter, &at, 0);
    pr_meter_look(meter, 0, &view);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        at = s_phase(steps[i].phase, steps[i].phase_ms, steps[i].indexes_left);
        now_ms = 18000 + (int64_t)i * 1000;
        pr_meter_progress(meter, &at, now_ms);
        pr_meter_look(meter, now_ms, &view);
        assert_string_equal(view.phase, steps[i].words);
        if (i == 0) /* of the time, not of the records */
            assert_true(view.share > 0.55 && view.share < 0.75);
        bool overdue = i + 1 == sizeof steps / sizeof steps[0];
        assert_true(view.share < 1 && (overdue || view.share > share));
        assert_true(view.eta_s > 0 && (overdue || view.eta_s < eta_s)); /* 0:00 only when it is over */
        assert_true(view.stages[PR_STAGE_VALIDATOR].eta_s == view.eta_s);
        share = view.share;
        eta_s = view.eta_s;
    }
    /* Between two PROGRESS the clock goes on. */
    at = s_phase(PR_PHASE_FILE, 0, 0);
    pr_meter_progress(meter, &at, now_ms);
    pr_meter_look(meter, now_ms, &view);
    eta_s = view.eta_s;
    pr_meter_look(meter, now_ms + 1000, &view);
    assert_true(view.eta_s > eta_s - 1.1 && view.eta_s < eta_s - 0.9);
    at.state = PR_PROGRESS_COMPLETE;
    at.phase = PR_PHASE_NONE;
    pr_meter_progress(meter, &at, now_ms);
    pr_meter_look(meter, now_ms, &view);
    assert_true(view.share == 1 && view.eta_s == 0);
    assert_string_equal(view.phase, "complete");
    pr_meter_destroy(&meter);
}

/* What the run has rejected is told by PROGRESS, also when the transformers have not been there from its beginning. */
static void test_rejects_of_a_continued_run(void **state) {
    (void)state;
    pr_meter_t *meter = pr_meter_new(1);
    pr_meter_view_t view;
    pr_msg_counters_t reader = {
        .start_ms = 1, .records_read = 10, .bytes = 100, .window_bytes = 100, .records_total = 500};
    pr_msg_counters_t transformer = {.start_ms = 1, .records_ok = 8, .records_rejected = 2};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 200, 200);
    at.rejected = 7;
    at.validated = 193;
    pr_meter_progress(meter, &at, 0);
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_look(meter, 0, &view);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].rejects, 7);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_look(meter, 0, &view);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].rejects, 9);
    assert_int_equal(view.stages[PR_STAGE_WRITER].rejects, 7);
    assert_int_equal(view.validated, 193);
    assert_int_equal(view.stages[PR_STAGE_VALIDATOR].records, 200);
    pr_meter_destroy(&meter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_heard),
        cmocka_unit_test(test_scanning),
        cmocka_unit_test(test_positions_rates_and_eta),
        cmocka_unit_test(test_lives_add_up_within_what_is_certain),
        cmocka_unit_test(test_time_goes_to_the_source_that_was_worked_on),
        cmocka_unit_test(test_mark_moves_with_every_step),
        cmocka_unit_test(test_joined_in_the_middle),
        cmocka_unit_test(test_counted_for_the_run_before),
        cmocka_unit_test(test_the_last_phases_are_named_and_in_the_time_left),
        cmocka_unit_test(test_rejects_of_a_continued_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
