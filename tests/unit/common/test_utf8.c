/* SPDX-License-Identifier: MIT */
/* Tests of common/utf8.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8.h"

/* Written by hand, from RFC 3629, section 3: every code point, there and back. */
static size_t s_encode(uint32_t point, char ret_text[4]) {
    static const uint32_t ends[] = {0x80, 0x800, 0x10000, 0x110000};
    static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
    size_t size = 1;
    while (point >= ends[size - 1])
        size++;
    for (size_t i = size; i-- > 1; point >>= 6)
        ret_text[i] = (char)(0x80U | (point & 0x3fU));
    ret_text[0] = (char)(heads[size - 1] | point);
    return size;
}

static void test_every_code_point(void **state) {
    (void)state;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        char text[4];
        uint32_t found = 0xffffffff;
        size_t size = s_encode(point, text);
        int surrogate = point >= 0xd800 && point <= 0xdfff;
        size_t used = pr_utf8_character(text, size, &found);
        if (used != (surrogate ? 0 : size) || found != (surrogate ? 0xffffffff : point))
            fail_msg("U+%04X: %zu bytes, U+%04X", point, used, found);
        if (size > 1)
            assert_int_equal(pr_utf8_character(text, size - 1, &found), 0); /* cut off */
    }
}

static void test_what_is_none(void **state) {
    (void)state;
    static const char *const broken[] = {"\x80",
                                         "\xbf",
                                         "\xc0\x80",
                                         "\xc1\xbf",
                                         "\xe0\x9f\xbf",
                                         "\xf0\x8f\xbf\xbf",
                                         "\xf4\x90\x80\x80",
                                         "\xf5\x80\x80\x80",
                                         "\xff",
                                         "\xed\xa0\x80",
                                         "\xc3(",
                                         "\xe2\x82(",
                                         "\xf0\x9f\x98(",
                                         "\xe2(\x82"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        uint32_t found = 7;
        assert_int_equal(pr_utf8_character(broken[i], strlen(broken[i]), &found), 0);
        assert_int_equal(found, 7);
    }
}

/* Every length, and every place of a character or of a stray byte in it: eight bytes are looked at together. */
static void test_texts(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        bool valid;
    } pieces[] = {{"a", true},         {"\xc3\xa9", true},     {"\xe2\x82\xac", true}, {"\xf0\x9f\x98\x80", true},
                  {"\x80", false},     {"\xff", false},        {"\xc3", false},        {"\xe2\x82", false},
                  {"\xc0\x80", false}, {"\xc3\xa9\x80", false}};
    assert_true(pr_utf8_is_valid(NULL, 0));
    for (size_t size = 1; size <= 40; size++) {
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            size_t piece = strlen(pieces[i].bytes);
            for (size_t at = 0; at + piece <= size; at++) {
                char *text = malloc(size); /* exactly: a sanitizer sees what is read beyond */
                assert_non_null(text);
                memset(text, 'x', size);
                memcpy(text + at, pieces[i].bytes, piece);
                if (pr_utf8_is_valid(text, size) != pieces[i].valid)
                    fail_msg("piece %zu at byte %zu of %zu", i, at, size);
                free(text);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
