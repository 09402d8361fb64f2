/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and times as the operator reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/format.h"

static void test_count(void **state) {
    (void)state;
    assert_string_equal(pr_format_count(0).text, "0");
    assert_string_equal(pr_format_count(999).text, "999");
    assert_string_equal(pr_format_count(1000).text, "1,000");
    assert_string_equal(pr_format_count(1234567).text, "1,234,567");
    assert_string_equal(pr_format_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
}

static void test_bytes(void **state) {
    (void)state;
    assert_string_equal(pr_format_bytes(0).text, "0 B");
    assert_string_equal(pr_format_bytes(999).text, "999 B");
    assert_string_equal(pr_format_bytes(238012).text, "238 KB");
    assert_string_equal(pr_format_bytes(999499).text, "999 KB");
    assert_string_equal(pr_format_bytes(999500).text, "1.0 MB");
    assert_string_equal(pr_format_bytes(421300000).text, "421.3 MB");
    assert_string_equal(pr_format_bytes(999950000).text, "1.0 GB");
    assert_string_equal(pr_format_bytes(UINT64_MAX).text, "18446744073.7 GB");
}

static void test_percent(void **state) {
    (void)state;
    /* The production figures. */
    assert_string_equal(pr_format_percent(58, 462).text, "12.6");
    assert_string_equal(pr_format_percent(87, 462).text, "18.8");
    assert_string_equal(pr_format_percent(182, 462).text, "39.4");
    assert_string_equal(pr_format_percent(135, 462).text, "29.2");
    assert_string_equal(pr_format_percent(0, 0).text, "-");
    assert_string_equal(pr_format_percent(3, 3).text, "100.0");
}

static void test_progress_is_complete_only_at_the_end(void **state) {
    (void)state;
    assert_string_equal(pr_format_progress(999999, 1000000).text, "99.9");
    assert_string_equal(pr_format_progress(1000000, 1000000).text, "100.0");
    assert_string_equal(pr_format_progress(1, 0).text, "-");
}

static void test_clock(void **state) {
    (void)state;
    assert_string_equal(pr_format_clock(-1).text, "-");
    assert_string_equal(pr_format_clock(0).text, "0:00");
    assert_string_equal(pr_format_clock(0.1).text, "0:01");
    assert_string_equal(pr_format_clock(59.5).text, "1:00");
    assert_string_equal(pr_format_clock(754).text, "12:34");
    assert_string_equal(pr_format_clock(3599.5).text, "1:00:00");
    assert_string_equal(pr_format_clock(3723).text, "1:02:03");
    assert_string_equal(pr_format_clock(86400 * 9 + 3 * 3600).text, "9d 03h");
    assert_string_equal(pr_format_clock(1e12).text, "-");
}

static void test_seconds(void **state) {
    (void)state;
    assert_string_equal(pr_format_seconds(-1).text, "-");
    assert_string_equal(pr_format_seconds(0.2134).text, "0.213");
    assert_string_equal(pr_format_seconds(12.344).text, "12.34");
    assert_string_equal(pr_format_seconds(1234.56).text, "1234.6");
}

static void test_record(void **state) {
    (void)state;
    static const char given[] = "{\r\n    \"a\": 1,\n\t\"b\": \"\x1b[31m\xff\"\n}";
    char *record = pr_format_record(given, sizeof given - 1);
    assert_string_equal(record, "{ \"a\": 1, \"b\": \"\\x1B[31m\\xFF\" }");
    free(record);
}

static void test_width(void **state) {
    (void)state;
    assert_int_equal(pr_format_width(""), 0);
    assert_int_equal(pr_format_width("é—"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),   cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_percent), cmocka_unit_test(test_progress_is_complete_only_at_the_end),
        cmocka_unit_test(test_clock),   cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_record),  cmocka_unit_test(test_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
