/* SPDX-License-Identifier: MIT */
/* Unit tests of text of foreign origin. */
#include "common/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *given, *expected;
} s_cases[] = {
    {"", ""},
    {"Énergies — ok \xf0\x9f\x98\x80", "Énergies — ok \xf0\x9f\x98\x80"},
    {"a\\n stays, as \" does", "a\\n stays, as \" does"},
    {"a\nforged: line\r\n\t", "a\\nforged: line\\r\\n\\t"},
    {"\x1b[2J\x7f\x01", "\\x1B[2J\\x7F\\x01"},
    {"\xc2\x9b"
     "31m\xc2\x85",
     "\\u009B31m\\u0085"}, /* C1 */
    {"safe\xe2\x80\xae"
     "nosj.a",
     "safe\\u202Enosj.a"},
    {"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad", "\\u202A\\u202B\\u202C\\u202D"},
    {"\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", "\\u2066\\u2067\\u2068\\u2069"},
    {"\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\xa9\xd8\x9c\xef\xbb\xbf",
     "\\u200E\\u200F\\u2028\\u2029\\u061C\\uFEFF"},
    {"\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa", "\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa"}, /* their neighbours */
    {"C\xe2 ble", "C\\xE2 ble"},
    {"cut \xc3", "cut \\xC3"},
    {"\xc0\x80", "\\xC0\\x80"},                   /* overlong */
    {"\xed\xa0\x80", "\\xED\\xA0\\x80"},          /* a surrogate */
    {"\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
};

static void test_escape(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof s_cases / sizeof s_cases[0]; i++) {
        char *escaped = pr_text_escape(s_cases[i].given);
        assert_string_equal(escaped, s_cases[i].expected);
        assert_true(pr_text_is_clean(escaped, strlen(escaped)));
        assert_int_equal(pr_text_is_clean(s_cases[i].given, strlen(s_cases[i].given)),
                         strcmp(s_cases[i].given, s_cases[i].expected) == 0);
        char *again = pr_text_escape(escaped);
        assert_string_equal(again, escaped);
        free(again);
        free(escaped);
        assert_string_equal(pr_text_line(s_cases[i].given).text, s_cases[i].expected);
    }
    char *bytes = pr_text_escape_bytes("a\0b", 3);
    assert_string_equal(bytes, "a\\x00b");
    free(bytes);
}

static void test_clean_in_its_buffer(void **state) {
    (void)state;
    char buffer[16] = "a\nb\xff";
    assert_ptr_equal(pr_text_clean(buffer, sizeof buffer), buffer);
    assert_string_equal(buffer, "a\\nb\\xFF");
}

/* What is too long loses its middle: the beginning says where, the end says why. */
static void test_fit(void **state) {
    (void)state;
    char buffer[64];
    assert_int_equal(pr_text_fit("0123456789", 10, buffer, 11), 10);
    assert_string_equal(buffer, "0123456789");
    assert_int_equal(pr_text_fit("0123456789", 10, buffer, 10), 9);
    assert_string_equal(buffer, "012…789");
    assert_int_equal(pr_text_fit("0123456789", 10, buffer, 3), 2);
    assert_string_equal(buffer, "09");
    assert_int_equal(pr_text_fit("0123456789", 10, buffer, 1), 0);
    assert_string_equal(buffer, "");
}

/* Whatever the text and the room, it is clean, it ends, and it is no longer than the room. */
static void test_any_room(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof s_cases / sizeof s_cases[0]; i++) {
        size_t whole = strlen(s_cases[i].expected);
        for (size_t room = 1; room <= whole + 2; room++) {
            char buffer[64];
            memset(buffer, '#', sizeof buffer);
            size_t used = pr_text_fit(s_cases[i].given, strlen(s_cases[i].given), buffer, room);
            assert_true(used < room);
            assert_int_equal(strlen(buffer), used);
            assert_true(pr_text_is_clean(buffer, used));
            assert_int_equal(buffer[room], '#');
            if (room > whole)
                assert_string_equal(buffer, s_cases[i].expected);
        }
    }
}

/* What grows is cut once, between characters, says so, and then stays as it is. */
static void test_add(void **state) {
    static const char whole[] = "aé€😀=12, aé€😀=12";
    (void)state;
    for (size_t size = 4; size <= sizeof whole + 1; size++) {
        char buffer[64];
        memset(buffer, '#', sizeof buffer);
        pr_text_room_t room = {.text = buffer, .room = size};
        pr_text_add(&room, "%s=%d", "aé€😀", 12);
        pr_text_add(&room, ", %s=%d", "aé€😀", 12);
        bool fits = size >= sizeof whole;
        assert_int_equal(room.cut, !fits);
        assert_int_equal(strlen(buffer), room.used);
        assert_true(room.used < size &&
                    room.used + 4 + 3 > (fits ? room.used : size)); /* no more is cut than must be */
        assert_true(pr_text_is_clean(buffer, room.used));
        assert_int_equal(buffer[size], '#');
        size_t same = fits ? room.used : room.used - strlen("…");
        assert_memory_equal(buffer, whole, same);
        assert_string_equal(buffer + same, fits ? "" : "…");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape), cmocka_unit_test(test_clean_in_its_buffer),
        cmocka_unit_test(test_fit),    cmocka_unit_test(test_any_room),
        cmocka_unit_test(test_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
