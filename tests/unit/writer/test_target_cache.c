/* SPDX-License-Identifier: MIT */
/* What the target remembers: found again, taken back, and never more than allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "writer/target_cache.h"

static void s_put(pr_id_cache_t *cache, unsigned space, pr_value_t value, int64_t id) {
    const pr_value_t *key = &value;
    pr_id_cache_put(cache, space, &key, 1, id);
}

/* The id, or -1. */
static int64_t s_get(pr_id_cache_t *cache, unsigned space, pr_value_t value) {
    const pr_value_t *key = &value;
    int64_t id = -1;
    return pr_id_cache_get(cache, space, &key, 1, &id) ? id : -1;
}

static void test_keys_are_told_apart(void **state) {
    (void)state;
    pr_id_cache_t *cache = pr_id_cache_new(100, 100000);
    const pr_value_t a = pr_value_text("a", 1);
    const pr_value_t bc = pr_value_text("bc", 2);
    const pr_value_t ab = pr_value_text("ab", 2);
    const pr_value_t c = pr_value_text("c", 1);
    const pr_value_t *one[] = {&a, &bc};
    const pr_value_t *two[] = {&ab, &c};
    int64_t id = 0;
    pr_id_cache_put(cache, 0, one, 2, 1);
    assert_false(pr_id_cache_get(cache, 0, two, 2, &id));
    assert_int_equal(id, 0);
    assert_true(pr_id_cache_get(cache, 0, one, 2, &id));
    assert_int_equal(id, 1);
    s_put(cache, 0, pr_value_integer(1), 10);
    s_put(cache, 0, pr_value_real(1), 11);
    s_put(cache, 0, pr_value_text("1", 1), 12);
    s_put(cache, 0, pr_value_null(), 13);
    s_put(cache, 0, pr_value_text(NULL, 0), 14);
    s_put(cache, 1, pr_value_integer(1), 15);
    s_put(cache, 0, pr_value_text("1\0", 2), 16);
    assert_int_equal(s_get(cache, 0, pr_value_integer(1)), 10);
    assert_int_equal(s_get(cache, 0, pr_value_real(1)), 11);
    assert_int_equal(s_get(cache, 0, pr_value_text("1", 1)), 12);
    assert_int_equal(s_get(cache, 0, pr_value_null()), 13);
    assert_int_equal(s_get(cache, 0, pr_value_text("", 0)), 14);
    assert_int_equal(s_get(cache, 1, pr_value_integer(1)), 15);
    assert_int_equal(s_get(cache, 0, pr_value_text("1\0", 2)), 16);
    assert_int_equal(s_get(cache, 2, pr_value_integer(1)), -1);
    pr_id_cache_destroy(&cache);
    assert_null(cache);
    pr_id_cache_destroy(&cache);
}

static void test_rewind_forgets_the_newest_only(void **state) {
    (void)state;
    pr_id_cache_t *cache = pr_id_cache_new(1000, 100000);
    for (int64_t i = 0; i < 500; i++)
        s_put(cache, 0, pr_value_integer(i), i);
    pr_id_cache_mark_t mark = pr_id_cache_mark(cache);
    for (int64_t i = 500; i < 900; i++)
        s_put(cache, 0, pr_value_integer(i), i);
    pr_id_cache_rewind(cache, mark);
    for (int64_t i = 0; i < 900; i++)
        assert_int_equal(s_get(cache, 0, pr_value_integer(i)), i < 500 ? i : -1);
    s_put(cache, 0, pr_value_integer(500), 7);
    assert_int_equal(s_get(cache, 0, pr_value_integer(500)), 7);
    pr_id_cache_destroy(&cache);
}

static void test_full_cache_is_emptied_and_an_old_mark_clears(void **state) {
    (void)state;
    pr_id_cache_t *cache = pr_id_cache_new(10, 100000);
    for (int64_t i = 0; i < 10; i++)
        s_put(cache, 0, pr_value_integer(i), i);
    pr_id_cache_mark_t mark = pr_id_cache_mark(cache);
    assert_int_equal(s_get(cache, 0, pr_value_integer(0)), 0);
    s_put(cache, 0, pr_value_integer(10), 10);
    assert_int_equal(s_get(cache, 0, pr_value_integer(0)), -1);
    assert_int_equal(s_get(cache, 0, pr_value_integer(10)), 10);
    pr_id_cache_rewind(cache, mark);
    assert_int_equal(s_get(cache, 0, pr_value_integer(10)), -1);
    pr_id_cache_destroy(&cache);
}

static void test_bytes_are_bounded(void **state) {
    (void)state;
    static char text[400];
    pr_id_cache_t *cache = pr_id_cache_new(1000, 1600);
    memset(text, 'x', sizeof text);
    s_put(cache, 0, pr_value_text(text, 400), 1);
    assert_int_equal(s_get(cache, 0, pr_value_text(text, 400)), -1);
    for (size_t i = 1; i <= 60; i++) {
        s_put(cache, 0, pr_value_text(text, i), (int64_t)i);
        assert_int_equal(s_get(cache, 0, pr_value_text(text, i)), i);
    }
    /* It was emptied on the way. */
    assert_int_equal(s_get(cache, 0, pr_value_text(text, 1)), -1);
    pr_id_cache_destroy(&cache);
}

static void test_set_of_touched_rows(void **state) {
    (void)state;
    pr_id_set_t *set = pr_id_set_new(100);
    assert_true(pr_id_set_add(set, 0, 1));
    assert_false(pr_id_set_add(set, 0, 1));
    assert_true(pr_id_set_add(set, 1, 1));
    assert_true(pr_id_set_add(set, 0, -1));
    assert_false(pr_id_set_add(set, 0, 1));
    pr_id_set_clear(set);
    assert_true(pr_id_set_add(set, 0, 1));
    for (int64_t i = 2; i <= 100; i++)
        assert_true(pr_id_set_add(set, 0, i));
    for (int64_t i = 1; i <= 100; i++)
        assert_false(pr_id_set_add(set, 0, i));
    /* One more empties it. */
    assert_true(pr_id_set_add(set, 0, 101));
    assert_true(pr_id_set_add(set, 0, 1));
    pr_id_set_destroy(&set);
    assert_null(set);
    pr_id_set_destroy(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_told_apart),
        cmocka_unit_test(test_rewind_forgets_the_newest_only),
        cmocka_unit_test(test_full_cache_is_emptied_and_an_old_mark_clears),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_set_of_touched_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
