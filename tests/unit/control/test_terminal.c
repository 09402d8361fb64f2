/* SPDX-License-Identifier: MIT */
/* Unit tests of what may be done with a terminal. */
#include "control/terminal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void s_set(const char *name, const char *value) {
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void test_terminal(void **state) {
    (void)state;
    static const struct {
        const char *term, *no_color;
        int moves, colours;
    } cases[] = {
        {"xterm", NULL, 1, 1}, {"xterm", "", 1, 1}, {"xterm", "1", 1, 0}, {"dumb", NULL, 0, 0},
        {"dumb", "1", 0, 0},   {"", NULL, 0, 0},    {NULL, NULL, 0, 0},
    };
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    int ends[2];
    assert_true(terminal >= 0);
    assert_int_equal(pipe(ends), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s_set("TERM", cases[i].term);
        s_set("NO_COLOR", cases[i].no_color);
        assert_int_equal(pr_terminal_moves(terminal), cases[i].moves);
        assert_int_equal(pr_terminal_colours(terminal), cases[i].colours);
        assert_false(pr_terminal_moves(ends[0]));
        assert_false(pr_terminal_colours(ends[0]));
    }
    close(terminal);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_terminal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
