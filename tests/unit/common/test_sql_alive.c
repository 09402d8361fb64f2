/* SPDX-License-Identifier: MIT */
/* SQLite as a stage uses it: what was set is in effect, and long statements give signs of life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/sql_alive.h"

static bool s_count(void *context) {
    ++*(unsigned *)context;
    return true;
}

static void test_settings_are_in_effect(void **state) {
    (void)state;
    unsigned signs = 0;
    sqlite3 *db = NULL;
    pr_sql_alive(s_count, &signs);
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_true(sqlite3_memory_used() == 0); /* it is not counted */
    assert_null(sqlite3_db_mutex(db));       /* a connection opened like this has one unless there is one thread */
    /* Too late for a setting, yet harmless: it was made before SQLite's first use. */
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0), SQLITE_MISUSE);
    pr_sql_prepare();
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_long_statements_give_signs_of_life(void **state) {
    (void)state;
    unsigned before = 0;
    unsigned signs = 0;
    sqlite3 *db = NULL;
    pr_sql_alive(s_count, &before);
    pr_sql_alive(s_count, &signs); /* replaces the first */
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
                                  " SELECT max(i) FROM n",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(before, 0);
    assert_true(signs >= 10);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_are_in_effect),
        cmocka_unit_test(test_long_statements_give_signs_of_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
