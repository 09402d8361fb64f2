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
        .state = (uint8_t)state, .source = source, .committed = committed, .validated = validated};
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
    assert_true(view.stages[PR_STAGE_WRITER].eta_s == 9.5);
    assert_true(view.stages[PR_STAGE_VALIDATOR].eta_s == 19.5);
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
    pr_msg_counters_t validator = {.start_ms = 1, .failures = {{1, 2}}};
    pr_msg_progress_t at = s_progress(PR_PROGRESS_STREAMING, 0, 0, 0);
    pr_meter_discount(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_discount(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_discount(meter, PR_STAGE_TRANSFORMER, 2, &transformer); /* there is none: ignored */
    pr_meter_discount(meter, PR_STAGE_VALIDATOR, 1, &validator);
    pr_meter_progress(meter, &at, 0);
    reader.resends = 8;
    transformer.records_ok = 1020;
    transformer.records_rejected = 6;
    validator.failures.at[2] = 4;
    pr_meter_counters(meter, PR_STAGE_READER, 1, &reader);
    pr_meter_counters(meter, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_meter_counters(meter, PR_STAGE_VALIDATOR, 1, &validator);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
