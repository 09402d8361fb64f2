/* SPDX-License-Identifier: MIT */
/* Indexes that are put off: which ones, and that all of them come back as they were, whatever happened in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/deferred_index.h"

static const char S_SCHEMA[] = "CREATE TABLE pvrelay_run (run INTEGER PRIMARY KEY);"
                               "INSERT INTO pvrelay_run VALUES (7);"
                               "CREATE TABLE pvrelay_deferred_index (name TEXT PRIMARY KEY, table_name TEXT NOT NULL, "
                               "sql TEXT NOT NULL, run INTEGER NOT NULL) WITHOUT ROWID;"
                               "CREATE TABLE \"a \"\"b\" (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v INTEGER, w TEXT);"
                               "CREATE INDEX \"i \"\"1\" ON \"a \"\"b\" (v, w COLLATE NOCASE DESC);"
                               "CREATE INDEX i2 ON \"a \"\"b\" (w) WHERE v > 3;"
                               "CREATE UNIQUE INDEX i3 ON \"a \"\"b\" (v, k);"
                               "CREATE TABLE other (x); CREATE INDEX i4 ON other (x);";

static sqlite3 *s_db;

static int s_set_up(void **state) {
    (void)state;
    return sqlite3_open(":memory:", &s_db) == SQLITE_OK && sqlite3_exec(s_db, S_SCHEMA, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : -1;
}

static int s_tear_down(void **state) {
    (void)state;
    return sqlite3_close(s_db);
}

static void s_do(const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(s_db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

/* The one text that a query gives. */
static void s_assert_text(const char *sql, const char *expected) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(s_db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    assert_string_equal(text != NULL ? text : "", expected);
    sqlite3_finalize(statement);
}

static const char S_INDEXES[] =
    "SELECT group_concat(name, '|') FROM (SELECT name FROM sqlite_master WHERE type = 'index' "
    "AND sql IS NOT NULL ORDER BY name)";
static const char S_TEXTS[] =
    "SELECT group_concat(sql, '|') FROM (SELECT sql FROM sqlite_master WHERE type = 'index' AND "
    "sql IS NOT NULL ORDER BY name)";

static void test_there_and_back(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    char before[1024];
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(s_db, S_TEXTS, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    snprintf(before, sizeof before, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    s_do("BEGIN");
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "a \"b", &err), 0);
    s_do("COMMIT");
    assert_string_equal(err.text, "");
    s_assert_text(S_INDEXES, "i3|i4");
    s_assert_text("SELECT group_concat(name || ' ' || run, '|') FROM pvrelay_deferred_index", "i \"1 7|i2 7");
    s_do("INSERT INTO \"a \"\"b\" (k, v, w) VALUES ('x', 1, 'a'), ('y', 9, 'b')");
    assert_int_equal(pr_deferred_index_build(s_db, &err), 1);
    s_assert_text("SELECT count(*) FROM pvrelay_deferred_index", "1");
    assert_int_equal(pr_deferred_index_listed(s_db, &err), 1);
    assert_int_equal(pr_deferred_index_build(s_db, &err), 1);
    assert_int_equal(pr_deferred_index_listed(s_db, &err), 0);
    assert_int_equal(pr_deferred_index_build(s_db, &err), 0);
    s_assert_text(S_TEXTS, before);
    s_assert_text("PRAGMA integrity_check", "ok");
}

static void test_a_table_with_rows_keeps_its_indexes(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    s_do("INSERT INTO other VALUES (1)");
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "other", &err), 0);
    s_assert_text("SELECT count(*) FROM pvrelay_deferred_index", "0");
    s_assert_text(S_INDEXES, "i \"1|i2|i3|i4");
}

/* A transaction that is taken back takes it back, too. */
static void test_all_or_nothing(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    s_do("BEGIN");
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "other", &err), 0);
    s_do("ROLLBACK");
    s_assert_text(S_INDEXES, "i \"1|i2|i3|i4");
    s_do("BEGIN");
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "other", &err), 0);
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "a \"b", &err), 0);
    assert_int_equal(pr_deferred_index_build_all(s_db, &err), 0);
    s_do("ROLLBACK");
    s_assert_text(S_INDEXES, "i \"1|i2|i3|i4");
    s_assert_text("SELECT count(*) FROM pvrelay_deferred_index", "0");
}

/* Somebody made it meanwhile, or made something else of that name: that is theirs. */
static void test_what_is_there_meanwhile(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "other", &err), 0);
    s_do("CREATE INDEX i4 ON other (x DESC)");
    assert_int_equal(pr_deferred_index_build_all(s_db, &err), 0);
    s_assert_text("SELECT sql FROM sqlite_master WHERE name = 'i4'", "CREATE INDEX i4 ON other (x DESC)");
    s_assert_text("SELECT count(*) FROM pvrelay_deferred_index", "0");
}

static void test_what_cannot_be_built(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "other", &err), 0);
    s_do("DROP TABLE other");
    assert_int_equal(pr_deferred_index_build_all(s_db, &err), -PR_E_TARGET);
    assert_non_null(strstr(err.text, "no such table: main.other"));
    s_assert_text("SELECT count(*) FROM pvrelay_deferred_index", "1");
    assert_int_equal(sqlite3_get_autocommit(s_db), 1);
}

/* What stands in the books is executed only if it makes the index that it stands for, and does nothing else. */
static void test_hostile_books(void **state) {
    (void)state;
    static const struct {
        const char *name, *table, *sql, *why;
    } rows[] = {
        {"x", "other", "ATTACH '/tmp/pvr-never.db' AS a", "does not make this index"},
        {"x", "other", "DROP TABLE other", "does not make this index"},
        {"x", "other", "DELETE FROM other", "does not make this index"},
        {"x", "other", "UPDATE sqlite_master SET sql = ''", "may not be modified"},
        {"x", "other", "PRAGMA journal_mode = DELETE", "does not make this index"},
        {"x", "other", "SELECT 1", "does not make this index"},
        {"x", "other", "VACUUM INTO '/tmp/pvr-never.db'", "does not make this index"},
        {"x", "other", "COMMIT", "does not make this index"},
        {"x", "other", "", "does not make this index"},
        {"x", "other", "-- nothing", "does not make this index"},
        {"x", "other", "CREATE INDEX y ON other (x)", "does not make this index"},
        {"x", "other", "CREATE INDEX x ON \"a \"\"b\" (v)", "does not make this index"},
        {"x", "other", "CREATE TRIGGER x AFTER INSERT ON other BEGIN SELECT 1; END", "does not make this index"},
        {"x", "other", "CREATE TABLE x (other)", "does not make this index"},
        {"x", "other", "CREATE VIRTUAL TABLE x USING fts5(other)", "does not make this index"},
        {"x", "other", "EXPLAIN CREATE INDEX x ON other (x)", "does not make this index"},
        {"x", "other", "CREATE UNIQUE INDEX x ON other (x)", "it makes a UNIQUE index"},
        {"x", "other", "CREATE INDEX x ON other (x); DROP TABLE other", "it is more than one statement"},
        {"x", "other", "CREATE INDEX x ON other (x) WHERE x IN (SELECT v FROM \"a \"\"b\")", "subqueries prohibited"},
        {"x", "other", "CREATE INDEX x ON other (random())", "non-deterministic"},
    };
    char before[4096];
    sqlite3_stmt *statement = NULL;
    static const char all[] = "SELECT group_concat(type || name || tbl_name || sql, '|') FROM sqlite_master";
    assert_int_equal(sqlite3_prepare_v2(s_db, all, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    snprintf(before, sizeof before, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pr_error_t err = PR_ERROR_INIT;
        char *sql =
            sqlite3_mprintf("DELETE FROM pvrelay_deferred_index; INSERT INTO pvrelay_deferred_index VALUES (%Q, %Q, "
                            "%Q, 7)",
                            rows[i].name, rows[i].table, rows[i].sql);
        s_do(sql);
        sqlite3_free(sql);
        assert_int_equal(pr_deferred_index_build_all(s_db, &err), -PR_E_TARGET);
        if (strstr(err.text, rows[i].why) == NULL)
            fail_msg("%s: %s", rows[i].sql, err.text);
        assert_int_equal(sqlite3_get_autocommit(s_db), 1);
        s_assert_text(all, before);
        s_assert_text("SELECT count(*) FROM pvrelay_deferred_index", "1");
    }
}

/* Nor is anything dropped that was not put off: rows of the books that name other indexes. */
static void test_only_what_is_put_off_is_dropped(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    s_do("INSERT INTO pvrelay_deferred_index VALUES ('i3', 'other', '', 7), ('i2', 'other', '', 7), ('i4', 'a', 'b', "
         "1)");
    assert_int_equal(pr_deferred_index_put_off(s_db, 7, "other", &err), 0);
    s_assert_text(S_INDEXES, "i \"1|i2|i3");
    s_assert_text("SELECT table_name || sql FROM pvrelay_deferred_index WHERE name = 'i4'",
                  "otherCREATE INDEX i4 ON other (x)");
    assert_int_equal(pr_deferred_index_build_all(s_db, &err), 0);
    s_assert_text(S_INDEXES, "i \"1|i2|i3|i4");
}

/* Books that are older than this know of none. */
static void test_old_books(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    s_do("DROP TABLE pvrelay_deferred_index");
    assert_int_equal(pr_deferred_index_listed(s_db, &err), 0);
    assert_int_equal(pr_deferred_index_build_all(s_db, &err), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_table_with_rows_keeps_its_indexes, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_there_meanwhile, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_built, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_books, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_only_what_is_put_off_is_dropped, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_old_books, s_set_up, s_tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
