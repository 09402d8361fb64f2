/* SPDX-License-Identifier: MIT */
/* The last minutes of throughput. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/history.h"

static void s_note(pr_history_t *history, int64_t now_ms, uint8_t run, uint64_t committed, uint64_t validated) {
    const pr_msg_progress_t progress = {.committed = committed, .validated = validated};
    const pr_snapshot_t snapshot = {.progress = run > 0 ? &progress : NULL,
                                    .run = {.bytes = {run}},
                                    .now_ms = now_ms,
                                    .calendar_ms = 5000000 + now_ms};
    pr_history_note(history, &snapshot);
}

static void s_expect(const pr_history_t *history, const char *expected) {
    json_t *json = pr_history_to_json(history);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void test_rates(void **state) {
    pr_history_t history = {.count = 0};
    (void)state;
    s_expect(&history, "[]");
    s_note(&history, 0, 1, 100, 50);
    s_note(&history, 999, 1, 7000, 7000); /* too early */
    s_note(&history, 1000, 1, 300, 50);
    s_note(&history, 3000, 1, 500, 150); /* two seconds */
    s_note(&history, 4000, 0, 0, 0);     /* the writer is down */
    s_note(&history, 5000, 1, 900, 900); /* nobody knows since when */
    s_note(&history, 6000, 2, 10, 10);   /* another run */
    s_note(&history, 7000, 2, 5, 11);    /* taken back */
    s_expect(&history, "[[5000000,null,null],[5001000,200,0],[5003000,100,50],[5004000,null,null],[5005000,null,null],"
                       "[5006000,null,null],[5007000,null,1]]");
}

static void test_ring(void **state) {
    pr_history_t history = {.count = 0};
    (void)state;
    for (int64_t i = 0; i < PR_HISTORY_POINTS + 7; i++)
        s_note(&history, 1000 * i, 1, (uint64_t)i * 10, (uint64_t)i);
    json_t *json = pr_history_to_json(&history);
    assert_int_equal(json_array_size(json), PR_HISTORY_POINTS);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(json, 0), 0)), 5007000);
    assert_int_equal(json_integer_value(json_array_get(json_array_get(json, PR_HISTORY_POINTS - 1), 1)), 10);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates), cmocka_unit_test(test_ring)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
