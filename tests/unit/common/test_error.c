/* SPDX-License-Identifier: MIT */
/* The table of errors: numbers are unique, the first error wins, unknown codes are internal errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"

static void test_table(void **state) {
    (void)state;
    static const int numbers[] = {
#define X(name, number, class, exit_code, sentence) number,
        PR_ERRORS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
    }
    assert_int_equal(pr_error_exit_code(PR_E_OK), 0);
    assert_int_equal(pr_error_exit_code(-PR_E_MAPPING), 1);
    assert_int_equal(pr_error_exit_code(-PR_E_TRUNCATED), 2);
    assert_int_equal(pr_error_exit_code(PR_E_REJECTED), 3);
    assert_int_equal(pr_error_exit_code(PR_E_VALIDATION), 4);
    assert_int_equal(pr_error_exit_code(-PR_E_TARGET_LOCKED), 5);
    assert_int_equal(pr_error_exit_code(-PR_E_INTERRUPTED), 6);
    assert_string_equal(pr_error_name(-PR_E_SOURCE_CHANGED), "SOURCE_CHANGED");
    assert_int_equal(pr_error_class(PR_E_TARGET_FULL), PR_CLASS_TARGET);
}

static void test_unknown(void **state) {
    (void)state;
    assert_string_equal(pr_error_name(4711), "INTERNAL");
    assert_int_equal(pr_error_exit_code(-4711), 70);
}

static void test_code_from_name(void **state) {
    (void)state;
    pr_error_code_t code = PR_E_OK;
    assert_int_equal(pr_error_code_from_name("SOURCE_CHANGED", &code), 0);
    assert_int_equal(code, PR_E_SOURCE_CHANGED);
    assert_int_equal(pr_error_code_from_name("source_changed", &code), -PR_E_CONFIG);
    assert_int_equal(code, PR_E_SOURCE_CHANGED);
}

static void test_first_wins(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_error_set(&err, PR_E_TRUNCATED, "%s:%d", "a.json", 7), -PR_E_TRUNCATED);
    assert_int_equal(pr_error_set(&err, PR_E_TARGET, "later"), -PR_E_TARGET);
    assert_int_equal(err.code, PR_E_TRUNCATED);
    assert_string_equal(err.text, "a.json:7");
    assert_int_equal(pr_error_set(NULL, PR_E_TARGET, "nobody listens"), -PR_E_TARGET);
    pr_error_clear(&err);
    assert_int_equal(err.code, PR_E_OK);
    pr_error_set(&err, PR_E_CONFIG, "%2000d", 1);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_unknown),
                                       cmocka_unit_test(test_code_from_name), cmocka_unit_test(test_first_wins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
