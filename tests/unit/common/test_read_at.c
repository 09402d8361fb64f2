/* SPDX-License-Identifier: MIT */
/* Reading a whole piece of a file: all of it, or an error that says where it ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/read_at.h"

static void test_pieces(void **state) {
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    fputs("0123456789", file);
    assert_int_equal(fflush(file), 0);
    char data[10] = "";
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_read_at(fileno(file), "a.json", data, 4, 3, &err), 0);
    assert_memory_equal(data, "3456", 4);
    assert_int_equal(pr_read_at(fileno(file), "a.json", data, 0, 99, &err), 0);
    assert_int_equal(pr_read_at(fileno(file), "a.json", data, 4, 8, &err), -PR_E_SOURCE_CHANGED);
    assert_string_equal(err.text, "a.json, byte 10: the file has become shorter");
    fclose(file);
}

static void test_unreadable(void **state) {
    (void)state;
    char data[4];
    int ends[2];
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pipe(ends), 0); /* which knows no offsets */
    assert_int_equal(pr_read_at(ends[0], "a.json", data, 4, 7, &err), -PR_E_UNREADABLE);
    assert_string_equal(err.text, "a.json, byte 7: Illegal seek");
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_unreadable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
