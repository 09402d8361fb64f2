/* SPDX-License-Identifier: MIT */
/* control/markdown.h: whatever a text holds, it stays text, and its table stays a table. */
#include "control/markdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_code(void **state) {
    (void)state;
    static const struct {
        const char *text, *outside, *in_table;
    } cases[] = {
        {"el_audits", "`el_audits`", "`el_audits`"},
        {"a|b", "`a|b`", "`a\\|b`"},
        {"a\nb\tc", "`a↵b c`", "`a↵b c`"},
        {"a`b", "`` a`b ``", "`` a`b ``"},
        {"``", "``` `` ```", "``` `` ```"},
        {" a ", "`  a  `", "`  a  `"},
        {" ", "` `", "` `"},
        {"", "", ""},
        {"<b>*x*</b>", "`<b>*x*</b>`", "`<b>*x*</b>`"},
    };
    pr_page_t page = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        page.in_table = false;
        assert_string_equal(pr_page_code(&page, cases[i].text), cases[i].outside);
        page.in_table = true;
        assert_string_equal(pr_page_code(&page, cases[i].text), cases[i].in_table);
    }
    pr_page_free_texts(&page);
    assert_int_equal(page.texts_count, 0);
}

static void test_long_values_are_cut_between_characters(void **state) {
    (void)state;
    char text[1024] = "";
    char expected[1024] = "`";
    pr_page_t page = {0};
    for (int i = 0; i < PR_PAGE_VALUE_MAX; i++) {
        strcat(text, "é");
        strcat(expected, "é");
    }
    strcat(expected, "`");
    assert_string_equal(pr_page_code(&page, text), expected);
    strcpy(expected + strlen(expected) - 1, "…`");
    strcat(text, "è");
    assert_string_equal(pr_page_code(&page, text), expected);
    assert_int_equal(strlen(pr_page_code_whole(&page, text)), strlen(text) + 2);
    pr_page_free_texts(&page);
}

static void test_text(void **state) {
    (void)state;
    pr_page_t page = {0};
    assert_string_equal(pr_page_text(&page, "L'été | <a href> [x](y) _z_ *w* `v` #1 \\ & $ ~\n."),
                        "L'été \\| \\<a href\\> \\[x\\](y) \\_z\\_ \\*w\\* \\`v\\` \\#1 \\\\ \\& \\$ \\~↵.");
    pr_page_free_texts(&page);
}

static void test_table_and_shell(void **state) {
    (void)state;
    char *text = NULL;
    size_t size;
    pr_page_t page = {.out = open_memstream(&text, &size)};
    pr_page_table_begin(&page, "lr", (const char *[]){"a", "b"});
    pr_page_table_row(&page, 2, (const char *[]){pr_page_code(&page, "x|y"), ""});
    pr_page_table_end(&page);
    pr_page_shell(&page, (const char *[]){"one", "t```wo"}, 2);
    fclose(page.out);
    assert_string_equal(text, "| a | b |\n| --- | ---: |\n| `x\\|y` | |\n\n````sh\none\nt```wo\n````\n\n");
    assert_false(page.in_table);
    pr_page_free_texts(&page);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code),
        cmocka_unit_test(test_long_values_are_cut_between_characters),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_table_and_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
