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

static void test_a_command_can_be_pasted(void **state) {
    (void)state;
    char *command = pr_hint_command("rejects", "--target", "it's a hub.db", "--run", "7", NULL);
    assert_string_equal(command, "pvrelay rejects --target 'it'\\''s a hub.db' --run 7");
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
        cmocka_unit_test(test_a_command_can_be_pasted),
        cmocka_unit_test(test_what_commands_a_terminal_does_not),
        cmocka_unit_test(test_it_is_cut_to_the_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
