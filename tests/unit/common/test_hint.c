/* SPDX-License-Identifier: MIT */
/* Unit test of common/hint. */
#include "common/hint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"

static void test_a_command_can_be_pasted(void **state) {
    (void)state;
    char *command = pr_hint_command("rejects", "--target", "it's a hub.db", "--run", "7", NULL);
    assert_string_equal(command, "pvrelay rejects --target 'it'\\''s a hub.db' --run 7");
    free(command);
}

static void test_the_words_of_a_command_line(void **state) {
    (void)state;
    char *const words[] = {"status", "--target", "my hub.db"};
    char *command = pr_hint_line(3, words);
    assert_string_equal(command, "pvrelay status --target 'my hub.db'");
    free(command);
}

/* This program is not on PATH: it is called by its path. */
static void test_what_calls_this_program(void **state) {
    (void)state;
    const char *self = pr_hint_self();
    assert_non_null(strstr(self, "/test_hint"));
    char *command = pr_xasprintf("test -x %s", self);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a shell reads it back */
    free(command);
}

static void test_what_commands_a_terminal_does_not(void **state) {
    (void)state;
    char *command = pr_hint_command("inspect", "a\x1b[2J\nb", NULL);
    assert_string_equal(command, "pvrelay inspect 'a\\x1B[2J\\nb'");
    free(command);
}

static void test_it_is_cut_to_the_room_there_is(void **state) {
    (void)state;
    char room[12];
    assert_string_equal(pr_hint_into(room, sizeof room, "status", NULL), "pvrelay sta");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_command_can_be_pasted),        cmocka_unit_test(test_the_words_of_a_command_line),
        cmocka_unit_test(test_what_calls_this_program),        cmocka_unit_test(test_what_commands_a_terminal_does_not),
        cmocka_unit_test(test_it_is_cut_to_the_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
