/* SPDX-License-Identifier: MIT */
/* The progress table and line, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/progress_view.h"

static pr_meter_view_t s_midway(void) {
    pr_meter_view_t view = {.state = PR_PROGRESS_STREAMING,
                            .total = 1000000,
                            .validated = 399998,
                            .phase = "indexes 2 of 5",
                            .share = 0.4,
                            .eta_s = 61,
                            .transformers = 3};
    view.stages[PR_STAGE_READER] = (pr_meter_stage_t){true, 462000, 190000, 2.8, 0, 0};
    view.stages[PR_STAGE_TRANSFORMER] = (pr_meter_stage_t){true, 460000, 190000, 2.9, 2000, 7};
    view.stages[PR_STAGE_WRITER] = (pr_meter_stage_t){true, 450000, 180000, 3.1, 10000, 7};
    view.stages[PR_STAGE_VALIDATOR] = (pr_meter_stage_t){true, 400000, 170000, 3.5, 50000, 2};
    return view;
}

static void test_table_80(void **state) {
    (void)state;
    pr_meter_view_t view = s_midway();
    char text[4096];
    size_t size = pr_view_print_table(&view, 80, false, text, sizeof text);
    assert_string_equal(text, "stage                 records  records/s      %      ETA       lag  rejects\n"
                              "reader                462,000    190,000   46.2     0:03         -        -\n"
                              "transformer x3        460,000    190,000   46.0     0:03     2,000        7\n"
                              "writer                450,000    180,000   45.0     0:04    10,000        7\n"
                              "validator             400,000    170,000   40.0     0:04    50,000        2\n"
                              "indexes 2 of 5 40.0 % ETA 1:01 [##################............................]\n");
    assert_int_equal(size, strlen(text));
}

static void test_every_width_fits(void **state) {
    (void)state;
    pr_meter_view_t view = s_midway();
    char text[4096];
    for (unsigned columns = 20; columns < 140; columns++) {
        pr_view_print_table(&view, columns, false, text, sizeof text);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
            assert_true(strlen(line) < columns);
    }
}

static void test_narrow_leaves_columns_out(void **state) {
    (void)state;
    pr_meter_view_t view = s_midway();
    char text[4096];
    pr_view_print_table(&view, 45, false, text, sizeof text);
    assert_string_equal(text, "stage                 records  records/s\n"
                              "reader                462,000    190,000\n"
                              "transformer x3        460,000    190,000\n"
                              "writer                450,000    180,000\n"
                              "validator             400,000    170,000\n"
                              "indexes 2 of 5 40.0 % ETA 1:01 [####.......]\n");
}

static void test_colour_for_alarms_only(void **state) {
    (void)state;
    pr_meter_view_t view = s_midway();
    char text[4096];
    pr_view_print_table(&view, 80, true, text, sizeof text);
    assert_non_null(strstr(text, "2,000\033[33m        7\033[0m\n"));
    assert_non_null(strstr(text, "50,000\033[31m        2\033[0m\n"));
    view.stages[PR_STAGE_TRANSFORMER].rejects = 0;
    view.stages[PR_STAGE_WRITER].rejects = 0;
    view.stages[PR_STAGE_VALIDATOR].rejects = 0;
    pr_view_print_table(&view, 80, true, text, sizeof text);
    assert_null(strchr(text, '\033'));
}

static void test_nothing_known_yet(void **state) {
    (void)state;
    pr_meter_view_t view = {.transformers = 1, .phase = "starting", .share = -1, .eta_s = -1};
    char text[4096];
    pr_view_print_table(&view, 80, false, text, sizeof text);
    assert_string_equal(text, "stage                 records  records/s      %      ETA       lag  rejects\n"
                              "reader                      -          -      -        -         -        -\n"
                              "transformer                 -          -      -        -         -        -\n"
                              "writer                      -          -      -        -         -        -\n"
                              "validator                   -          -      -        -         -        -\n"
                              "starting [............................................................]\n");
    pr_view_print_line(&view, text, sizeof text);
    assert_string_equal(text, "starting");
}

static void test_lines(void **state) {
    (void)state;
    pr_meter_view_t view = s_midway();
    char text[512];
    pr_view_print_line(&view, text, sizeof text);
    assert_string_equal(
        text, "indexes 2 of 5 40.0 %: read 462,000, transformed 460,000, committed 450,000, validated 399,998 of "
              "1,000,000 records, 170,000/s, ETA 1:01, rejects 7, failed 2");
    view = (pr_meter_view_t){
        .scanning = true, .phase = "scanning", .scanned_bytes = 123000000, .scan_total_bytes = 421300000};
    pr_view_print_line(&view, text, sizeof text);
    assert_string_equal(text, "scanning 123.0 MB of 421.3 MB");
    pr_view_print_table(&view, 60, false, text, sizeof text);
    assert_non_null(strstr(text, "scanning 123.0 MB of 421.3 MB [#######....................]\n"));
}

static void test_cut_to_the_buffer(void **state) {
    (void)state;
    pr_meter_view_t view = s_midway();
    char whole[512];
    char part[16];
    size_t size = pr_view_print_line(&view, whole, sizeof whole);
    assert_int_equal(pr_view_print_line(&view, part, sizeof part), size);
    assert_int_equal(strlen(part), sizeof part - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_80),
        cmocka_unit_test(test_every_width_fits),
        cmocka_unit_test(test_narrow_leaves_columns_out),
        cmocka_unit_test(test_colour_for_alarms_only),
        cmocka_unit_test(test_nothing_known_yet),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_cut_to_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
