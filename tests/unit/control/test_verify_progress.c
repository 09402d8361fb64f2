/* SPDX-License-Identifier: MIT */
/* The line that tells how far a verification is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/verify_progress.h"

static void s_expect(const char *expected, const char *what, const char *unit, uint64_t done, uint64_t total,
                     int64_t elapsed_ms) {
    char line[160];
    size_t size = pr_verify_progress_text(what, unit, done, total, elapsed_ms, line, sizeof line);
    assert_string_equal(line, expected);
    assert_int_equal(size, strlen(expected));
}

static void test_text(void **state) {
    (void)state;
    s_expect("scanning 0.0 % of 238 KB", "scanning", "bytes", 0, 238012, 0);
    s_expect("scanning 50.0 % of 2.0 GB, ETA 0:02", "scanning", "bytes", 1000000000, 2000000000, 2000);
    s_expect("proving 25.0 % of 1,000,000 records, ETA 0:30", "proving", "records", 250000, 1000000, 10000);
    s_expect("proving 99.9 % of 1,000,000 records, ETA 0:01", "proving", "records", 999999, 1000000, 10000);
    s_expect("proving 100.0 % of 462 records", "proving", "records", 462, 462, 10000);
    s_expect("proving 25.0 % of 1,000,000 records", "proving", "records", 250000, 1000000, -1);
    s_expect("proving - % of 0 records", "proving", "records", 0, 0, 10);
}

static void test_cut(void **state) {
    (void)state;
    char line[12];
    size_t size = pr_verify_progress_text("proving", "records", 1, 2, 1000, line, sizeof line);
    assert_string_equal(line, "proving 50.");
    assert_true(size >= sizeof line);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
