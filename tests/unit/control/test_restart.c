/* SPDX-License-Identifier: MIT */
/* The back-off table of restarts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/restart.h"

static void test_table(void **state) {
    (void)state;
    static const int delays[PR_RESTART_LIMIT + 2] = {0,
                                                     0,
                                                     20,
                                                     40,
                                                     80,
                                                     160,
                                                     320,
                                                     640,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     1000,
                                                     PR_RESTART_NEVER,
                                                     PR_RESTART_NEVER};
    for (unsigned i = 1; i < sizeof delays / sizeof delays[0]; i++)
        assert_int_equal(pr_restart_delay_ms(i), delays[i]);
}

static void test_deaths_without_progress(void **state) {
    (void)state;
    pr_restart_t restart = {0};
    for (unsigned i = 1; i < PR_RESTART_LIMIT; i++)
        assert_int_equal(pr_restart_died(&restart, 5), pr_restart_delay_ms(i));
    assert_int_equal(pr_restart_died(&restart, 5), PR_RESTART_NEVER);
    assert_int_equal(restart.deaths, PR_RESTART_LIMIT);
}

static void test_progress_forgives(void **state) {
    (void)state;
    pr_restart_t restart = {0};
    for (unsigned i = 1; i < PR_RESTART_LIMIT; i++)
        pr_restart_died(&restart, 5);
    assert_int_equal(pr_restart_died(&restart, 6), 0);
    assert_int_equal(restart.deaths, 1);
    assert_int_equal(pr_restart_died(&restart, 6), 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_deaths_without_progress),
        cmocka_unit_test(test_progress_forgives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
