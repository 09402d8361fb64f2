/* SPDX-License-Identifier: MIT */
/* Unit tests of logging: a line stays a line, and what others can cause again and again is told once. */
#include "common/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char s_said[65536];

/* What is printed to stderr from here on goes to a file. Returns what stderr was. */
static int s_begin(FILE *file) {
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    pr_log_open("x", PR_LOG_NOTICE);
    return before;
}

/* Back again; s_said is what was printed. */
static void s_end(FILE *file, int before) {
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    s_said[fread(s_said, 1, sizeof s_said - 1, file)] = '\0';
    fclose(file);
}

static size_t s_lines(void) {
    size_t count = 0;
    for (const char *at = s_said; *at != '\0'; at++)
        count += *at == '\n';
    return count;
}

static void test_a_line_stays_a_line(void **state) {
    (void)state;
    FILE *file = tmpfile();
    int before = s_begin(file);
    pr_log(PR_LOG_WARNING, "a\n<0>x: forged\x1b[2J\xe2\x80\xae %s", "\xff");
    s_end(file, before);
    assert_string_equal(s_said, "<4>x: a\\n<0>x: forged\\x1B[2J\\u202E \\xFF\n");
    assert_string_equal(pr_log_last(), "a\\n<0>x: forged\\x1B[2J\\u202E \\xFF");
}

/* However long what was named is: where it is, and what is wrong with it, are told. */
static void test_a_long_name_does_not_hide_the_reason(void **state) {
    (void)state;
    char name[6000];
    memset(name, '\n', sizeof name);
    name[sizeof name - 1] = '\0';
    FILE *file = tmpfile();
    int before = s_begin(file);
    pr_log(PR_LOG_WARNING, "begin %s: the reason", name);
    s_end(file, before);
    assert_int_equal(s_lines(), 1);
    assert_memory_equal(s_said, "<4>x: begin \\n", 14);
    assert_string_equal(s_said + strlen(s_said) - 13, ": the reason\n");
}

static void test_repetitions(void **state) {
    (void)state;
    FILE *file = tmpfile();
    int before = s_begin(file);
    for (int i = 0; i < 1000; i++)
        pr_log_repeatable("unknown message %d", i);
    pr_log_repeatable("another");
    pr_log_repetitions();
    pr_log_repetitions();
    pr_log_repeatable("unknown message 5");
    s_end(file, before);
    assert_string_equal(s_said, "<4>x: unknown message 0; what is like it is only counted from here on\n"
                                "<4>x: another; what is like it is only counted from here on\n"
                                "<4>x: 1000 times in all: unknown message #\n"
                                "<4>x: unknown message 5; what is like it is only counted from here on\n");
    pr_log_repetitions();
}

/* Texts that a peer chooses do not fill the log either. */
static void test_no_end_of_kinds(void **state) {
    (void)state;
    FILE *file = tmpfile();
    int before = s_begin(file);
    for (int i = 0; i < 26 * 26 * 26; i++)
        pr_log_repeatable("%c%c%c", 'a' + i / 676, 'a' + i / 26 % 26, 'a' + i % 26);
    pr_log_repetitions();
    s_end(file, before);
    assert_int_equal(s_lines(), 34);
    assert_non_null(strstr(s_said, "<4>x: 17544 warnings of other kinds were only counted\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_stays_a_line),
        cmocka_unit_test(test_a_long_name_does_not_hide_the_reason),
        cmocka_unit_test(test_repetitions),
        cmocka_unit_test(test_no_end_of_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
