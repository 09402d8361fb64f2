/* SPDX-License-Identifier: MIT */
/* The re-order buffer: order, duplicates, bounds, and that no payload leaks (seen by the sanitizers). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "writer/reorder.h"

static pr_inbound_t s_message(uint64_t first, uint32_t count, size_t bytes) {
    pr_inbound_t inbound = {.message = {.id = PR_MSG_ROWS, .rows = {.first = first, .count = count}},
                            .frames_count = 1};
    zmq_msg_init_size(&inbound.frames[0], bytes);
    memset(zmq_msg_data(&inbound.frames[0]), (int)first, bytes);
    return inbound;
}

static pr_range_t s_range(uint64_t first, uint32_t count) {
    return (pr_range_t){.first = first, .count = count, .begin = first * 100, .end = (first + count) * 100 - 1};
}

static bool s_keep(pr_reorder_t *reorder, uint64_t first, uint32_t count, size_t bytes) {
    pr_inbound_t inbound = s_message(first, count, bytes);
    bool kept = pr_reorder_keep(reorder, s_range(first, count), &inbound);
    assert_int_equal(inbound.frames_count, kept ? 0 : 1);
    pr_inbound_release(&inbound);
    return kept;
}

static void test_in_order(void **state) {
    (void)state;
    pr_reorder_t *reorder = pr_reorder_new(1 << 20);
    pr_inbound_t inbound;
    uint64_t dropped;
    const uint64_t firsts[] = {40, 10, 30, 20};
    for (size_t i = 0; i < 4; i++)
        assert_true(s_keep(reorder, firsts[i], 10, 100));
    assert_false(s_keep(reorder, 30, 10, 100)); /* there already */
    assert_false(pr_reorder_take(reorder, (pr_position_t){.ordinal = 5, .offset = 499}, &inbound, &dropped));
    for (uint64_t at = 10; at <= 40; at += 10) {
        assert_true(
            pr_reorder_take(reorder, (pr_position_t){.ordinal = at, .offset = at * 100 - 1}, &inbound, &dropped));
        assert_int_equal(inbound.message.rows.first, at);
        assert_int_equal(dropped, 0);
        pr_inbound_release(&inbound);
    }
    assert_int_equal(pr_reorder_count(reorder), 0);
    pr_reorder_destroy(&reorder);
    assert_null(reorder);
}

static void test_drops_what_is_in(void **state) {
    (void)state;
    pr_reorder_t *reorder = pr_reorder_new(1 << 20);
    pr_inbound_t inbound;
    uint64_t dropped;
    s_keep(reorder, 10, 10, 100);
    s_keep(reorder, 15, 10, 100); /* cut elsewhere: overlaps */
    s_keep(reorder, 30, 10, 100);
    assert_false(pr_reorder_take(reorder, (pr_position_t){.ordinal = 20, .offset = 1999}, &inbound, &dropped));
    assert_int_equal(dropped, 20);
    assert_int_equal(pr_reorder_count(reorder), 1);
    pr_reorder_destroy(&reorder);
}

static void test_bounded(void **state) {
    (void)state;
    pr_reorder_t *reorder = pr_reorder_new(100000);
    uint64_t kept = 0;
    for (uint64_t first = 0; first < 100; first++)
        kept += s_keep(reorder, first * 10 + 10, 10, 10000) ? 1 : 0;
    assert_in_range(kept, 8, 9);
    pr_reorder_destroy(&reorder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_in_order), cmocka_unit_test(test_drops_what_is_in),
                                       cmocka_unit_test(test_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
