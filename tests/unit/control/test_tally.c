/* SPDX-License-Identifier: MIT */
/* Counting values, overall and per group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "control/tally.h"

static void test_groups_and_order(void **state) {
    (void)state;
    pr_tally_t tally = {0};
    assert_null(pr_tally_find(&tally, "A"));
    pr_tally_add(&tally, "A", "ok", 1);
    pr_tally_add(&tally, "B", "dead", 3);
    pr_tally_add(&tally, "A", "dead", 1);
    pr_tally_add(&tally, "A", "dead", 1);
    pr_tally_add(&tally, NULL, "ok", 1);
    pr_tally_sort(&tally);
    assert_int_equal(tally.all.count, 7);
    assert_int_equal(tally.all.values_count, 2);
    assert_string_equal(tally.all.values[0].value, "dead");
    assert_int_equal(tally.all.values[0].count, 5);
    assert_int_equal(tally.groups_count, 2);
    assert_string_equal(tally.groups[0].name, "A");
    assert_int_equal(pr_tally_find(&tally, "A")->count, 3);
    assert_string_equal(pr_tally_find(&tally, "A")->values[0].value, "dead");
    assert_int_equal(pr_tally_find(&tally, "B")->values_count, 1);
    assert_null(pr_tally_find(&tally, "C"));
    pr_tally_clear(&tally);
    assert_int_equal(tally.groups_count, 0);
}

static void test_many_groups(void **state) {
    (void)state;
    pr_tally_t tally = {0};
    char name[32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            snprintf(name, sizeof name, "audit-%d", i);
            pr_tally_add(&tally, name, "ok", 1);
        }
    }
    assert_int_equal(tally.groups_count, 5000);
    assert_int_equal(pr_tally_find(&tally, "audit-4999")->count, 2);
    pr_tally_clear(&tally);
}

static void test_too_many_values_are_counted_together(void **state) {
    (void)state;
    pr_tally_t tally = {0};
    char value[32];
    for (int i = 0; i < PR_TALLY_VALUES_MAX + 50; i++) {
        snprintf(value, sizeof value, "v%d", i);
        pr_tally_add(&tally, NULL, value, 1);
    }
    pr_tally_sort(&tally);
    assert_int_equal(tally.all.values_count, PR_TALLY_VALUES_MAX + 1);
    assert_string_equal(tally.all.values[0].value, PR_TALLY_OTHER);
    assert_int_equal(tally.all.values[0].count, 50);
    assert_int_equal(tally.all.count, PR_TALLY_VALUES_MAX + 50);
    pr_tally_clear(&tally);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_and_order),
        cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_too_many_values_are_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
