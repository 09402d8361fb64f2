/* SPDX-License-Identifier: MIT */
/* A daemon's stderr, cut into lines; its fatal error kept apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/daemon_lines.h"

typedef struct {
    char text[8192];
} s_heard_t;

static void s_hear(void *context, const char *line) {
    s_heard_t *heard = context;
    size_t used = strlen(heard->text);
    snprintf(heard->text + used, sizeof heard->text - used, "%s|", line);
}

static void s_take(pr_daemon_lines_t *lines, s_heard_t *heard, const char *data) {
    pr_daemon_lines_take(lines, "pvrelay-reader", data, strlen(data), 4, s_hear, heard);
}

static void test_lines_in_pieces(void **state) {
    (void)state;
    pr_daemon_lines_t lines = {0};
    s_heard_t heard = {0};
    s_take(&lines, &heard, "<4>pvrelay-reader: resent\n<6>too quiet\n<5>also\nno pre");
    assert_string_equal(heard.text, "pvrelay-reader: resent|");
    s_take(&lines, &heard, "fix\n\n");
    assert_string_equal(heard.text, "pvrelay-reader: resent|no prefix|");
    s_take(&lines, &heard, "left over");
    pr_daemon_lines_end(&lines, "pvrelay-reader", 4, s_hear, &heard);
    assert_string_equal(heard.text, "pvrelay-reader: resent|no prefix|left over|");
    assert_int_equal(lines.fatal.code, PR_E_OK);
}

static void test_fatal_is_kept(void **state) {
    (void)state;
    pr_daemon_lines_t lines = {0};
    s_heard_t heard = {0};
    s_take(&lines, &heard, "<3>pvrelay-reader: TRUNCATED: a.json, byte 12: ends: early\n");
    assert_string_equal(heard.text, "");
    assert_int_equal(lines.fatal.code, PR_E_TRUNCATED);
    assert_string_equal(lines.fatal.text, "a.json, byte 12: ends: early");
    s_take(&lines, &heard, "<3>pvrelay-reader: TARGET: second\n");
    assert_string_equal(heard.text, "pvrelay-reader: TRUNCATED: a.json, byte 12: ends: early|");
    assert_int_equal(lines.fatal.code, PR_E_TARGET);
}

static void test_what_is_no_fatal_error(void **state) {
    (void)state;
    pr_daemon_lines_t lines = {0};
    s_heard_t heard = {0};
    s_take(&lines, &heard, "<3>pvrelay-writer: TARGET: another program's\n");
    s_take(&lines, &heard, "<3>pvrelay-reader: NOSUCHNAME: text\n");
    s_take(&lines, &heard, "<4>pvrelay-reader: TARGET: a warning only\n");
    assert_string_equal(heard.text, "pvrelay-writer: TARGET: another program's|pvrelay-reader: NOSUCHNAME: text|"
                                    "pvrelay-reader: TARGET: a warning only|");
    assert_int_equal(lines.fatal.code, PR_E_OK);
}

static void test_a_long_line_is_cut(void **state) {
    (void)state;
    pr_daemon_lines_t lines = {0};
    s_heard_t heard = {0};
    char data[PR_DAEMON_LINE_BYTES * 2 + 2];
    memset(data, 'x', sizeof data);
    data[sizeof data - 2] = '\n';
    data[sizeof data - 1] = '\0';
    s_take(&lines, &heard, data);
    assert_int_equal(strlen(heard.text), PR_DAEMON_LINE_BYTES); /* the line and the bar behind it */
    s_take(&lines, &heard, "next\n");
    assert_string_equal(heard.text + PR_DAEMON_LINE_BYTES, "next|");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_in_pieces),
        cmocka_unit_test(test_fatal_is_kept),
        cmocka_unit_test(test_what_is_no_fatal_error),
        cmocka_unit_test(test_a_long_line_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
