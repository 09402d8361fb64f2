/* SPDX-License-Identifier: MIT */
/* Values: equality, what a human is shown; words of the reject reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "common/reject.h"
#include "common/value.h"

static void s_expect(pr_value_t value, const char *shown) {
    char buffer[64];
    assert_ptr_equal(pr_value_print(&value, buffer, sizeof(buffer)), buffer);
    assert_string_equal(buffer, shown);
}

static void test_print(void **state) {
    (void)state;
    s_expect(pr_value_null(), "NULL");
    s_expect(pr_value_integer(12), "12");
    s_expect(pr_value_integer(INT64_MIN), "-9223372036854775808");
    s_expect(pr_value_real(1.5), "1.5");
    s_expect(pr_value_real(1), "1.0");
    s_expect(pr_value_real(0.1), "0.1");
    s_expect(pr_value_real(0.1 + 0.2), "0.30000000000000004");
    s_expect(pr_value_real(1e300), "1e+300");
    s_expect(pr_value_real(-INFINITY), "-inf");
    s_expect(pr_value_text("ok", 2), "'ok'");
    s_expect(pr_value_text("", 0), "''");
    s_expect(pr_value_text("a\0b\n", 4), "'a\\x00b\\x0a'");
    s_expect(pr_value_text("é😀", 6), "'é😀'");
    s_expect(pr_value_text("\xff", 1), "'\xff'");
}

static void test_print_cut(void **state) {
    char buffer[12];
    pr_value_t value = pr_value_text("123456789", 9);
    (void)state;
    assert_string_equal(pr_value_print(&value, buffer, 12), "'123456789'");
    assert_string_equal(pr_value_print(&value, buffer, 11), "'12345…'");
    value = pr_value_text("éééé", 8);
    assert_string_equal(pr_value_print(&value, buffer, 11), "'éééé'");
    assert_string_equal(pr_value_print(&value, buffer, 10), "'éé…'");
    value = pr_value_text("\1\1\1\1", 4);
    assert_string_equal(pr_value_print(&value, buffer, 12), "'\\x01…'");
    value = pr_value_integer(123456);
    assert_string_equal(pr_value_print(&value, buffer, 4), "123");
    buffer[0] = 'x';
    pr_value_print(&value, buffer, 0);
    assert_int_equal(buffer[0], 'x');
}

/* Whatever the size, the result fits and is terminated. */
static void test_print_every_size(void **state) {
    char buffer[40];
    pr_value_t value = pr_value_text("aé\0😀ééé-0123456789", 23);
    (void)state;
    for (size_t size = 1; size < sizeof(buffer); size++) {
        memset(buffer, '#', sizeof(buffer));
        pr_value_print(&value, buffer, size);
        assert_true(strlen(buffer) < size);
        assert_int_equal(buffer[size], '#');
    }
}

static void test_equal(void **state) {
    pr_value_t null = pr_value_null(), zero = pr_value_integer(0), real = pr_value_real(0.0);
    pr_value_t minus = pr_value_real(-0.0), nan = pr_value_real(NAN), text = pr_value_text("a", 1);
    pr_value_t longer = pr_value_text("a\0", 2), empty = pr_value_text(NULL, 0), other = pr_value_text("b", 1);
    (void)state;
    assert_true(pr_value_equal(&null, &null));
    assert_true(pr_value_equal(&zero, &zero));
    assert_false(pr_value_equal(&null, &zero));
    assert_false(pr_value_equal(&zero, &real));
    assert_true(pr_value_equal(&real, &minus));
    assert_true(pr_value_equal(&nan, &nan));
    assert_false(pr_value_equal(&nan, &real));
    assert_true(pr_value_equal(&text, &text));
    assert_false(pr_value_equal(&text, &longer));
    assert_false(pr_value_equal(&text, &other));
    assert_true(pr_value_equal(&empty, &empty));
    assert_false(pr_value_equal(&empty, &null));
}

static void test_reject_words(void **state) {
    (void)state;
    for (unsigned reason = 1; reason < PR_REJECT_REASONS; reason++) {
        assert_int_equal(pr_reject_from_word(pr_reject_word(reason)), reason);
        assert_string_not_equal(pr_reject_sentence(reason), "unknown");
    }
    assert_string_equal(pr_reject_word(PR_R_UNKNOWN_VALUE), "unknown_value");
    assert_string_equal(pr_reject_sentence(PR_R_UNKNOWN_VALUE), "the value map does not know the value");
    assert_string_equal(pr_reject_word(0), "unknown");
    assert_string_equal(pr_reject_word(PR_REJECT_REASONS), "unknown");
    assert_string_equal(pr_reject_sentence(99), "unknown");
    assert_int_equal(pr_reject_from_word("no such"), PR_R_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print), cmocka_unit_test(test_print_cut),    cmocka_unit_test(test_print_every_size),
        cmocka_unit_test(test_equal), cmocka_unit_test(test_reject_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
