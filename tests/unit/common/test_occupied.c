/* SPDX-License-Identifier: MIT */
/* Where a stage's time goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/occupied.h"

static void s_expect(const pr_occupied_t *occupied, uint64_t working, uint64_t wait_input, uint64_t wait_output) {
    assert_int_equal(occupied->us[PR_OCCUPIED_WORKING], working);
    assert_int_equal(occupied->us[PR_OCCUPIED_WAIT_INPUT], wait_input);
    assert_int_equal(occupied->us[PR_OCCUPIED_WAIT_OUTPUT], wait_output);
}

static void test_each_state_gets_its_time(void **state) {
    (void)state;
    pr_occupied_t occupied = pr_occupied_begin(1000);
    s_expect(&occupied, 0, 0, 0);
    pr_occupied_change(&occupied, PR_OCCUPIED_WAIT_INPUT, 1007);
    s_expect(&occupied, 7, 0, 0);
    pr_occupied_change(&occupied, PR_OCCUPIED_WAIT_OUTPUT, 1027);
    s_expect(&occupied, 7, 20, 0);
    pr_occupied_change(&occupied, PR_OCCUPIED_WORKING, 1327);
    s_expect(&occupied, 7, 20, 300);
    pr_occupied_change(&occupied, PR_OCCUPIED_WAIT_INPUT, 5327);
    s_expect(&occupied, 4007, 20, 300);
}

static void test_looking_does_not_change_the_state(void **state) {
    (void)state;
    pr_occupied_t occupied = pr_occupied_begin(0);
    pr_occupied_change(&occupied, PR_OCCUPIED_WAIT_OUTPUT, 10);
    for (int64_t now_us = 11; now_us <= 20; now_us++)
        pr_occupied_change(&occupied, occupied.state, now_us);
    s_expect(&occupied, 10, 0, 10);
    assert_int_equal(occupied.state, PR_OCCUPIED_WAIT_OUTPUT);
}

static void test_a_clock_that_stands_or_goes_back_adds_nothing(void **state) {
    (void)state;
    pr_occupied_t occupied = pr_occupied_begin(100);
    pr_occupied_change(&occupied, PR_OCCUPIED_WAIT_INPUT, 100);
    pr_occupied_change(&occupied, PR_OCCUPIED_WORKING, 90);
    s_expect(&occupied, 0, 0, 0);
    pr_occupied_change(&occupied, PR_OCCUPIED_WAIT_INPUT, 105); /* 5 since 100, not 15 since 90 */
    s_expect(&occupied, 5, 0, 0);
}

/* Whatever the order of states: the sums are all the time there was. */
static void test_nothing_is_lost(void **state) {
    (void)state;
    const int64_t begun_us = 123456789;
    int64_t now_us = begun_us;
    pr_occupied_t occupied = pr_occupied_begin(now_us);
    srand(20251123);
    for (int i = 0; i < 10000; i++) {
        now_us += rand() % 1000;
        pr_occupied_change(&occupied, (pr_occupied_state_t)(rand() % PR_OCCUPIED_STATES), now_us);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < PR_OCCUPIED_STATES; i++) {
        assert_true(occupied.us[i] > 0);
        sum += occupied.us[i];
    }
    assert_int_equal(sum, now_us - begun_us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_state_gets_its_time),
        cmocka_unit_test(test_looking_does_not_change_the_state),
        cmocka_unit_test(test_a_clock_that_stands_or_goes_back_adds_nothing),
        cmocka_unit_test(test_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
