/* SPDX-License-Identifier: MIT */
/* Position arithmetic: every relation, and sources without records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/position.h"

static pr_position_t s_at(uint32_t source, uint64_t ordinal, uint64_t offset) {
    return (pr_position_t){.source = source, .ordinal = ordinal, .offset = offset};
}

static pr_range_t s_range(uint32_t source, uint64_t first, uint32_t count, uint64_t begin, uint64_t end) {
    return (pr_range_t){.source = source, .first = first, .count = count, .begin = begin, .end = end};
}

static void test_compare(void **state) {
    (void)state;
    assert_int_equal(pr_position_compare(s_at(0, 5, 10), s_at(0, 5, 99)), 0);
    assert_true(pr_position_compare(s_at(0, 5, 0), s_at(0, 6, 0)) < 0);
    assert_true(pr_position_compare(s_at(1, 0, 0), s_at(0, 6, 0)) > 0);
    assert_true(pr_position_compare(s_at(0, 6, 0), s_at(1, 0, 0)) < 0);
    assert_true(pr_position_compare(s_at(0, 7, 0), s_at(0, 6, 0)) > 0);
}

static void test_relation(void **state) {
    (void)state;
    pr_position_t at = s_at(1, 100, 4000);
    assert_int_equal(pr_range_relation(s_range(1, 100, 10, 4002, 5000), at), PR_RANGE_NEXT);
    assert_int_equal(pr_range_relation(s_range(1, 100, 10, 4000, 5000), at), PR_RANGE_NEXT);
    assert_int_equal(pr_range_relation(s_range(1, 90, 10, 3000, 4000), at), PR_RANGE_DUPLICATE);
    assert_int_equal(pr_range_relation(s_range(0, 500, 10, 9000, 9900), at), PR_RANGE_DUPLICATE);
    assert_int_equal(pr_range_relation(s_range(1, 110, 10, 5002, 6000), at), PR_RANGE_EARLY);
    assert_int_equal(pr_range_relation(s_range(2, 0, 10, 40, 600), at), PR_RANGE_EARLY);
    assert_int_equal(pr_range_relation(s_range(1, 95, 10, 3500, 4500), at), PR_RANGE_OVERLAP);
    /* It contradicts its offsets: begins before the byte the position stands at, is empty, or has no bytes. */
    assert_int_equal(pr_range_relation(s_range(1, 100, 10, 3999, 5000), at), PR_RANGE_OVERLAP);
    assert_int_equal(pr_range_relation(s_range(1, 100, 0, 4000, 5000), at), PR_RANGE_OVERLAP);
    assert_int_equal(pr_range_relation(s_range(1, 100, 10, 4000, 4000), at), PR_RANGE_OVERLAP);
}

static void test_end(void **state) {
    (void)state;
    pr_position_t end = pr_range_end(s_range(3, 7, 5, 100, 200));
    assert_int_equal(end.source, 3);
    assert_int_equal(end.ordinal, 12);
    assert_int_equal(end.offset, 200);
}

static void test_normalise(void **state) {
    (void)state;
    const uint64_t records[] = {2, 0, 3, 0};
    pr_position_t at = pr_position_normalise(s_at(0, 1, 50), records, 4);
    assert_int_equal(at.source, 0);
    assert_int_equal(at.offset, 50);
    at = pr_position_normalise(s_at(0, 2, 90), records, 4);
    assert_int_equal(at.source, 2);
    assert_int_equal(at.ordinal, 0);
    assert_int_equal(at.offset, 0);
    at = pr_position_normalise(s_at(2, 3, 90), records, 4);
    assert_int_equal(at.source, 4);
    at = pr_position_normalise(s_at(4, 0, 0), records, 4);
    assert_int_equal(at.source, 4);
    at = pr_position_normalise(s_at(0, 0, 0), records, 0);
    assert_int_equal(at.source, 0);
}

static void test_records_before(void **state) {
    (void)state;
    const uint64_t records[] = {2, 0, 3};
    assert_int_equal(pr_position_records_before(s_at(0, 1, 0), records, 3), 1);
    assert_int_equal(pr_position_records_before(s_at(2, 0, 0), records, 3), 2);
    assert_int_equal(pr_position_records_before(s_at(2, 2, 0), records, 3), 4);
    assert_int_equal(pr_position_records_before(s_at(3, 0, 0), records, 3), 5);
}

/* People count sources and records from 1; the numbers may be the largest there are. */
static void test_text(void **state) {
    (void)state;
    const uint64_t records[] = {2, 8};
    assert_string_equal(pr_position_text(s_at(0, 0, 0)).text, "source 1, record 1, byte 0");
    assert_string_equal(pr_position_text(s_at(1, 7, 660)).text, "source 2, record 8, byte 660");
    pr_range_t range = s_range(1, 6, 2, 500, 700);
    assert_string_equal(pr_position_text(pr_range_begin(range)).text, "source 2, record 7, byte 500");
    assert_string_equal(pr_position_text(pr_position_normalise(pr_range_end(range), records, 2)).text,
                        "source 3, record 1, byte 0");
    assert_string_equal(pr_position_text(s_at(UINT32_MAX, UINT64_MAX - 1, UINT64_MAX)).text,
                        "source 4294967296, record 18446744073709551615, byte 18446744073709551615");
}

/* Whatever way a source is cut into batches, they follow each other and end at the end. */
static void test_batches_follow_each_other(void **state) {
    (void)state;
    const uint64_t records[] = {17, 0, 5, 23};
    for (uint32_t size = 1; size <= 25; size++) {
        pr_position_t at = pr_position_normalise(s_at(0, 0, 0), records, 4);
        uint64_t total = 0;
        while (at.source < 4) {
            uint64_t left = records[at.source] - at.ordinal;
            uint32_t count = left < size ? (uint32_t)left : size;
            pr_range_t range = s_range(at.source, at.ordinal, count, at.offset + 2, at.offset + 2 + count * 10U);
            assert_int_equal(pr_range_relation(range, at), PR_RANGE_NEXT);
            at = pr_position_normalise(pr_range_end(range), records, 4);
            assert_int_equal(pr_range_relation(range, at), PR_RANGE_DUPLICATE);
            total += count;
            assert_int_equal(pr_position_records_before(at, records, 4), total);
        }
        assert_int_equal(total, 45);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_compare),
                                       cmocka_unit_test(test_relation),
                                       cmocka_unit_test(test_end),
                                       cmocka_unit_test(test_normalise),
                                       cmocka_unit_test(test_records_before),
                                       cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_batches_follow_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
