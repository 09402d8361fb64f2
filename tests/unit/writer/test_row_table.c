/* SPDX-License-Identifier: MIT */
/* Rows in memory, as SQL sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "writer/row_table.h"

enum { s_columns = 4 };

typedef struct {
    sqlite3 *db;
    pr_row_table_t table;
} s_world_t;

static s_world_t s_world;

static int s_setup(void **state) {
    memset(&s_world, 0, sizeof s_world);
    assert_int_equal(sqlite3_open(":memory:", &s_world.db), SQLITE_OK);
    assert_int_equal(pr_row_table_register(s_world.db, s_columns, &s_world.table), SQLITE_OK);
    *state = &s_world;
    return 0;
}

static int s_teardown(void **state) {
    s_world_t *world = *state;
    assert_int_equal(sqlite3_close(world->db), SQLITE_OK);
    return 0;
}

/* The first column of the only row. */
static void s_assert_gives(sqlite3 *db, const char *sql, const char *expected) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    char found[1000];
    snprintf(found, sizeof found, "%s", text == NULL ? "NULL" : text);
    int step = sqlite3_step(statement);
    sqlite3_finalize(statement);
    assert_string_equal(found, expected);
    assert_int_equal(step, SQLITE_DONE);
}

static void s_show(s_world_t *world, const pr_value_t *values, size_t width, size_t count) {
    world->table = (pr_row_table_t){.values = values, .width = width, .count = count};
}

static void test_kinds_and_order(void **state) {
    s_world_t *world = *state;
    const pr_value_t values[] = {
        pr_value_integer(INT64_MIN),
        pr_value_text("a\0b", 3),
        pr_value_real(0.1),
        pr_value_null(),
        pr_value_integer(INT64_MAX),
        pr_value_text("", 0),
        pr_value_real(-2.0),
        pr_value_integer(7),
        pr_value_null(),
        pr_value_text("\xc3\xa9", 2),
        pr_value_null(),
        pr_value_text("x", 1),
    };
    s_show(world, values, 4, 3);
    s_assert_gives(world->db,
                   "SELECT group_concat(rowid || ':' || typeof(c0) || ' ' || ifnull(c0, '-') || ' ' || typeof(c1) || "
                   "' ' || hex(c1) || ' ' || typeof(c2) || ' ' || ifnull(c2, '-') || ' ' || typeof(c3) || ' ' || "
                   "ifnull(c3, '-'), char(10)) FROM " PR_ROW_TABLE,
                   "0:integer -9223372036854775808 text 610062 real 0.1 null -\n"
                   "1:integer 9223372036854775807 text  real -2.0 integer 7\n"
                   "2:null - text C3A9 null - text x");
}

static void test_columns_beyond_the_width_are_null(void **state) {
    s_world_t *world = *state;
    const pr_value_t values[] = {pr_value_integer(1), pr_value_integer(2), pr_value_integer(3)};
    s_show(world, values, 1, 3);
    s_assert_gives(world->db, "SELECT group_concat(c0 || typeof(c1) || typeof(c3), ' ') FROM " PR_ROW_TABLE,
                   "1nullnull 2nullnull 3nullnull");
}

/* One statement, prepared once, sees what is there when it is run. */
static void test_what_is_shown_changes_between_runs(void **state) {
    s_world_t *world = *state;
    const pr_value_t first[] = {pr_value_integer(1), pr_value_integer(2)};
    const pr_value_t second[] = {pr_value_integer(10), pr_value_integer(20), pr_value_integer(30)};
    const int64_t expected[] = {3, 0, 60};
    sqlite3_stmt *sum = NULL;
    assert_int_equal(sqlite3_prepare_v2(world->db, "SELECT total(c0) FROM " PR_ROW_TABLE, -1, &sum, NULL), SQLITE_OK);
    for (int turn = 0; turn < 3; turn++) {
        if (turn == 2)
            s_show(world, second, 1, 3);
        else
            s_show(world, first, 1, turn == 0 ? 2 : 0);
        assert_int_equal(sqlite3_step(sum), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int64(sum, 0), expected[turn]);
        assert_int_equal(sqlite3_reset(sum), SQLITE_OK);
    }
    sqlite3_finalize(sum);
}

/* Cursors of one statement do not disturb each other; the rows may be the right side of a join, too. */
static void test_two_cursors(void **state) {
    s_world_t *world = *state;
    const pr_value_t values[] = {pr_value_integer(1), pr_value_integer(2), pr_value_integer(3)};
    s_show(world, values, 1, 3);
    s_assert_gives(world->db,
                   "SELECT group_concat(a.c0 || b.c0, ' ') FROM " PR_ROW_TABLE " AS a CROSS JOIN " PR_ROW_TABLE
                   " AS b WHERE a.c0 <> b.c0",
                   "12 13 21 23 31 32");
    s_assert_gives(world->db,
                   "SELECT group_concat(n || ' ' || ifnull(c0, 'none')) FROM (SELECT 2 AS n UNION ALL SELECT 9) LEFT "
                   "JOIN " PR_ROW_TABLE " ON c0 = n",
                   "2 2,9 none");
}

/* What a table is given is a copy: it stays when the rows in memory change. */
static void test_insert_select_copies(void **state) {
    s_world_t *world = *state;
    char text[] = "first";
    const pr_value_t values[] = {pr_value_text(text, 5), pr_value_text(text, 0)};
    s_show(world, values, 2, 1);
    assert_int_equal(sqlite3_exec(world->db,
                                  "CREATE TABLE t (a TEXT, b TEXT NOT NULL);"
                                  "INSERT INTO t SELECT c0, c1 FROM " PR_ROW_TABLE,
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    memset(text, 'x', 5);
    s_assert_gives(world->db, "SELECT a || '/' || b || '/' || typeof(b) FROM t", "first//text");
}

static void test_nothing_of_it_is_in_the_database(void **state) {
    s_world_t *world = *state;
    const pr_value_t values[] = {pr_value_integer(1)};
    s_show(world, values, 1, 1);
    s_assert_gives(world->db, "SELECT count(*) FROM " PR_ROW_TABLE, "1");
    s_assert_gives(world->db, "SELECT count(*) FROM sqlite_master", "0");
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(":memory:", &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "SELECT * FROM " PR_ROW_TABLE, NULL, NULL, NULL), SQLITE_ERROR);
    assert_string_equal(sqlite3_errmsg(other), "no such table: " PR_ROW_TABLE);
    sqlite3_close(other);
}

static void test_it_cannot_be_written(void **state) {
    s_world_t *world = *state;
    const pr_value_t values[] = {pr_value_integer(1)};
    s_show(world, values, 1, 1);
    static const char *const statements[] = {
        "INSERT INTO pvrelay_memory_rows (c0) VALUES (2)",
        "UPDATE pvrelay_memory_rows SET c0 = 2",
        "DELETE FROM pvrelay_memory_rows",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        assert_int_equal(sqlite3_exec(world->db, statements[i], NULL, NULL, NULL), SQLITE_ERROR);
        assert_string_equal(sqlite3_errmsg(world->db), "table " PR_ROW_TABLE " may not be modified");
    }
    assert_int_equal(sqlite3_exec(world->db, "CREATE VIRTUAL TABLE v USING " PR_ROW_TABLE, NULL, NULL, NULL),
                     SQLITE_ERROR);
    assert_string_equal(sqlite3_errmsg(world->db), "no such module: " PR_ROW_TABLE);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_kinds_and_order),
        TEST(test_columns_beyond_the_width_are_null),
        TEST(test_what_is_shown_changes_between_runs),
        TEST(test_two_cursors),
        TEST(test_insert_select_copies),
        TEST(test_nothing_of_it_is_in_the_database),
        TEST(test_it_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
