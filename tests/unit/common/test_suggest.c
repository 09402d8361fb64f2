/* SPDX-License-Identifier: MIT */
/* What was probably meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/suggest.h"

static const char *s_suggest(const char *wrong) {
    static const char *const words[] = {"--target", "--mapping", "--report", "ok", "dead", "microcracks", "rollback"};
    static pr_suggest_t suggest;
    suggest = pr_suggest_begin(wrong, strlen(wrong));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        pr_suggest_offer(&suggest, words[i]);
    return pr_suggest_text(&suggest);
}

static void test_near_words(void **state) {
    (void)state;
    assert_string_equal(s_suggest("--targt"), " (did you mean --target?)");
    assert_string_equal(s_suggest("--tagret"), " (did you mean --target?)");
    assert_string_equal(s_suggest("--Mapping"), " (did you mean --mapping?)");
    assert_string_equal(s_suggest("roll-back"), " (did you mean rollback?)");
    assert_string_equal(s_suggest("microcrack"), " (did you mean microcracks?)");
    assert_string_equal(s_suggest("OK"), " (did you mean ok?)");
    assert_string_equal(s_suggest("daed"), " (did you mean dead?)");
}

static void test_far_words(void **state) {
    (void)state;
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_string_equal(s_suggest(""), "");
    assert_string_equal(s_suggest("no"), "");
    assert_string_equal(s_suggest("inequality"), "");
    assert_string_equal(s_suggest(longest), "");
}

static void s_assert_slip(const char *text, const char *slip, int line) {
    int found = -1;
    const char *why = pr_suggest_json(text, strlen(text), strlen(text), &found);
    if (slip == NULL) {
        assert_null(why);
    } else {
        assert_non_null(why);
        assert_string_equal(why, slip);
    }
    assert_int_equal(found, line);
}

static void test_json_slips(void **state) {
    (void)state;
    s_assert_slip("{\"a\": 1,\n}", "a comma before '}', where none may stand", 1);
    s_assert_slip("{\"a\": [1,\n2 ,\n ]}", "a comma before ']', where none may stand", 2);
    s_assert_slip("{\n// no\n\"a\": 1}", "a comment, which JSON has not", 2);
    s_assert_slip("{\n\n/* no */\"a\": 1}", "a comment, which JSON has not", 3);
    s_assert_slip("{\"a\": \"http://x,]\", \"b\\\"//\": \",}\"", NULL, -1);
    s_assert_slip("{\"a\" 1}", NULL, -1);
    s_assert_slip("{\"a\": \"", NULL, -1);
    s_assert_slip("{\"a\\", NULL, -1);
    s_assert_slip("", NULL, -1);
    /* What stands behind the place where the parser gave up was never looked at. */
    int line = -1;
    assert_null(pr_suggest_json("{\"a\" 1,}", 8, 5, &line));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near_words),
        cmocka_unit_test(test_far_words),
        cmocka_unit_test(test_json_slips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
