/* SPDX-License-Identifier: MIT */
/* Options anywhere, operands between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/options.h"

typedef struct {
    bool flag;
    const char *text;
    int64_t number;
    int word;
} s_given_t;

static int s_parse(s_given_t *given, const char *const *words, size_t max, pr_operands_t *operands, pr_error_t *err) {
    static const char *const allowed[] = {"bar", "plain", "none", NULL};
    const pr_option_t options[] = {
        {.name = "--flag", .kind = PR_OPTION_FLAG, .into = &given->flag},
        {.name = "--text", .kind = PR_OPTION_TEXT, .into = &given->text},
        {.name = "--number", .kind = PR_OPTION_NUMBER, .into = &given->number, .least = 1, .most = 64},
        {.name = "--many", .kind = PR_OPTION_NUMBER, .into = &given->number, .least = 0, .most = INT64_MAX},
        {.name = "--word", .kind = PR_OPTION_WORD, .into = &given->word, .words = allowed}};
    char *argv[16];
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    *given = (s_given_t){.word = -1};
    return pr_options_parse(options, sizeof options / sizeof options[0], argc, argv, max, operands, err);
}

static void test_anywhere(void **state) {
    (void)state;
    s_given_t given;
    pr_operands_t operands;
    const char *words[] = {"run", "a.json", "--text=x=y", "--flag", "b.json", "--number",
                           "7",   "--word", "plain",      "--",     "--c",    NULL};
    assert_int_equal(s_parse(&given, words, SIZE_MAX, &operands, NULL), 0);
    assert_true(given.flag);
    assert_string_equal(given.text, "x=y");
    assert_int_equal(given.number, 7);
    assert_int_equal(given.word, 1);
    assert_int_equal(operands.count, 3);
    assert_string_equal(operands.at[0], "a.json");
    assert_string_equal(operands.at[1], "b.json");
    assert_string_equal(operands.at[2], "--c");
    free(operands.at);
}

static void test_last_one_counts_and_a_dash_is_an_operand(void **state) {
    (void)state;
    s_given_t given;
    pr_operands_t operands;
    const char *words[] = {"run", "--text", "one", "-", "--text", "--flag", NULL};
    assert_int_equal(s_parse(&given, words, 1, &operands, NULL), 0);
    assert_string_equal(given.text, "--flag");
    assert_false(given.flag);
    assert_string_equal(operands.at[0], "-");
    free(operands.at);
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *words[5];
        const char *text;
    } cases[] = {
        {{"run", "--nope"}, "unknown option --nope; see `pvrelay help run`"},
        {{"run", "--nope=3"}, "unknown option --nope; see `pvrelay help run`"},
        {{"run", "--wrod"}, "unknown option --wrod (did you mean --word?); see `pvrelay help run`"},
        {{"run", "-x"}, "unknown option -x; see `pvrelay help run`"},
        {{"run", "--text"}, "--text: its value is missing; see `pvrelay help run`"},
        {{"run", "--text="}, "--text: the value is empty; see `pvrelay help run`"},
        {{"run", "--flag=1"}, "--flag takes no value; see `pvrelay help run`"},
        {{"run", "--number", "0"}, "--number 0: a whole number from 1 to 64 is expected; see `pvrelay help run`"},
        {{"run", "--number", "65"}, "--number 65: a whole number from 1 to 64 is expected; see `pvrelay help run`"},
        {{"run", "--number", "7x"}, "--number 7x: a whole number from 1 to 64 is expected; see `pvrelay help run`"},
        {{"run", "--number", " 7"}, "--number  7: a whole number from 1 to 64 is expected; see `pvrelay help run`"},
        {{"run", "--many", "-1"}, "--many -1: a whole number from 0 is expected; see `pvrelay help run`"},
        {{"run", "--many", "99999999999999999999"},
         "--many 99999999999999999999: a whole number from 0 is expected; see `pvrelay help run`"},
        {{"run", "--word", "all"}, "--word all: bar, plain or none is expected; see `pvrelay help run`"},
        {{"run", "a", "b", "c"}, "\"c\" is one word too many; see `pvrelay help run`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s_given_t given;
        pr_operands_t operands = {.at = NULL, .count = 77};
        pr_error_t err = PR_ERROR_INIT;
        assert_int_equal(s_parse(&given, cases[i].words, 2, &operands, &err), -PR_E_USAGE);
        assert_string_equal(err.text, cases[i].text);
        assert_null(operands.at);
        assert_int_equal(operands.count, 77);
    }
}

static void test_wrong_without_a_command(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_options_wrong("", &err, "a command is %s", "missing"), -PR_E_USAGE);
    assert_string_equal(err.text, "a command is missing; see `pvrelay help`");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anywhere),
        cmocka_unit_test(test_last_one_counts_and_a_dash_is_an_operand),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_wrong_without_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
