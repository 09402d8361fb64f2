/* SPDX-License-Identifier: MIT */
/* Tables and columns are found, and a database that cannot be read is not one that has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/sql_has.h"

static int s_set_up(void **state) {
    static const char sql[] = "CREATE TABLE t (\"a b\" TEXT, twice AS (1 + 1)); CREATE VIEW v AS SELECT \"a b\" FROM t;"
                              "CREATE TEMP TABLE elsewhere (a)";
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    *state = db;
    return 0;
}

static int s_tear_down(void **state) {
    return sqlite3_close(*state);
}

static void test_what_is_there(void **state) {
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_sql_has_table(*state, "t", &err), 1);
    assert_int_equal(pr_sql_has_column(*state, "t", "a b", &err), 1);
    assert_int_equal(pr_sql_has_column(*state, "T", "A B", &err), 1);
    assert_int_equal(pr_sql_has_column(*state, "t", "twice", &err), 1);
    assert_int_equal(err.code, PR_E_OK);
}

static void test_what_is_not(void **state) {
    pr_error_t err = PR_ERROR_INIT;
    static const char *const tables[] = {"v", "elsewhere", "u", "", "t'; --"};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        assert_int_equal(pr_sql_has_table(*state, tables[i], &err), 0);
    assert_int_equal(pr_sql_has_column(*state, "t", "b", &err), 0);
    assert_int_equal(pr_sql_has_column(*state, "u", "a b", &err), 0);
    assert_int_equal(err.code, PR_E_OK);
}

static int s_stop(void *context) {
    (void)context;
    return 1;
}

static void test_what_cannot_be_read(void **state) {
    pr_error_t err = PR_ERROR_INIT;
    sqlite3_progress_handler(*state, 1, s_stop, NULL);
    assert_int_equal(pr_sql_has_table(*state, "t", &err), -PR_E_INTERRUPTED);
    assert_string_equal(err.text, "the target: interrupted");
    pr_error_clear(&err);
    assert_int_equal(pr_sql_has_column(*state, "t", "b", &err), -PR_E_INTERRUPTED);
    assert_string_equal(err.text, "the target: interrupted");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_there, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_read, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
