/* SPDX-License-Identifier: MIT */
/* What was last stored in a row, from the undo of hand-made commits: known, overtaken, sealed, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/last_stored.h"
#include "common/migrate.h"
#include "common/undo.h"

static const char *const S_TABLES[] = {"t", "other"};

enum { s_columns = 4 };
static const char *const S_COLUMNS[s_columns] = {"a", "B", "c", "nowhere"}; /* of any case, as SQLite's */

typedef struct {
    sqlite3 *db;
    pr_undo_t *undo;
    int64_t checkpoint;
} s_world_t;

static void s_exec(const s_world_t *world, const char *sql) {
    char *why = NULL;
    if (sqlite3_exec(world->db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static void s_commit(s_world_t *world, const char *changes) {
    pr_error_t err = PR_ERROR_INIT;
    s_exec(world, "BEGIN");
    assert_int_equal(pr_undo_begin(world->undo, &err), 0);
    s_exec(world, changes);
    assert_int_equal(pr_undo_store(world->undo, ++world->checkpoint, &err), 0);
    s_exec(world, "COMMIT");
}

/* 1 inserts rows 7 and 8, and row 7 of another table; 2 changes a and b of row 7, 3 its b alone; 4 changes row 8. */
static int s_setup(void **state) {
    s_world_t *world = calloc(1, sizeof *world);
    pr_error_t err = PR_ERROR_INIT;
    pr_migrations_t *applied = NULL;
    assert_non_null(world);
    assert_int_equal(sqlite3_open(":memory:", &world->db), SQLITE_OK);
    pr_migrate_apply(world->db, PR_SOURCE_DIR "/migrations", &applied, &err);
    assert_string_equal(err.text, "");
    pr_migrations_destroy(&applied);
    s_exec(world, "PRAGMA foreign_keys = OFF; CREATE TABLE other (id INTEGER PRIMARY KEY, a, b, c);"
                  "CREATE TABLE t (first, id INTEGER PRIMARY KEY, a, b, c)");
    assert_int_equal(pr_undo_new(world->db, S_TABLES, 2, &world->undo, &err), 0);
    s_commit(world, "INSERT INTO other VALUES (7, 'not', 'of', 'ours');"
                    "INSERT INTO t VALUES (0, 7, 'a1', 1, x'00ff'), (0, 8, 'a8', 2.5, 'c8')");
    s_commit(world, "UPDATE other SET a = 'no'; UPDATE t SET a = 'é', b = NULL WHERE id = 7");
    s_commit(world, "UPDATE t SET b = 3 WHERE id = 7");
    s_commit(world, "UPDATE t SET c = 'later' WHERE id = 8");
    *state = world;
    return 0;
}

static int s_teardown(void **state) {
    s_world_t *world = *state;
    pr_undo_destroy(&world->undo);
    assert_int_equal(sqlite3_close(world->db), SQLITE_OK);
    free(world);
    return 0;
}

/* What is known of a row of t: "a|b|c|nowhere", - where nothing is. checkpoints: those that wrote it, newest first. */
static void s_assert_known(const s_world_t *world, int64_t id, const char *checkpoints, const char *expected) {
    pr_error_t err = PR_ERROR_INIT;
    char *texts[s_columns], known[1024] = "";
    int64_t writers[8];
    size_t count = 0;
    for (; checkpoints[count] != '\0'; count++)
        writers[count] = checkpoints[count] - '0';
    assert_int_equal(pr_last_stored(world->db, "t", id, writers, count, S_COLUMNS, s_columns, texts, &err), 0);
    assert_string_equal(err.text, "");
    for (size_t i = 0; i < s_columns; i++) {
        strcat(known, i > 0 ? "|" : "");
        strcat(known, texts[i] != NULL ? texts[i] : "-");
        free(texts[i]);
    }
    assert_string_equal(known, expected);
}

static void test_newest_of_each_column(void **state) {
    s_assert_known(*state, 7, "321", "'é'|3|x'00ff'|-");
    s_assert_known(*state, 8, "41", "'a8'|2.5|'later'|-");
    s_assert_known(*state, 7, "1", "'a1'|1|x'00ff'|-");
    s_assert_known(*state, 7, "21", "'é'|NULL|x'00ff'|-"); /* NULL was stored, which is not "not known" */
}

static void test_nobody_wrote_it(void **state) {
    s_assert_known(*state, 7, "", "-|-|-|-");
    s_assert_known(*state, 9, "321", "-|-|-|-");  /* these commits do not tell how */
    s_assert_known(*state, 8, "321", "-|-|-|-");  /* nor does the newest, and an older one need not be the last */
    s_assert_known(*state, 7, "9321", "-|-|-|-"); /* the newest has no undo at all */
}

/* What a sealed or damaged commit stored is not known, and what earlier ones stored neither; what newer ones did is. */
static void test_a_commit_that_does_not_tell(void **state) {
    s_world_t *world = *state;
    static const char of_another_row[] = "UPDATE pvrelay_undo SET (size, changes) = (SELECT size, changes FROM "
                                         "pvrelay_undo WHERE checkpoint = 4) WHERE checkpoint = 2";
    static const char *const blows[] = {"DELETE FROM pvrelay_undo WHERE checkpoint = 2",
                                        "UPDATE pvrelay_undo SET size = 0, changes = x'' WHERE checkpoint = 2",
                                        "UPDATE pvrelay_undo SET changes = x'28b52ffd00' WHERE checkpoint = 2",
                                        "UPDATE pvrelay_undo SET size = size + 1 WHERE checkpoint = 2", of_another_row};
    for (size_t i = 0; i < sizeof blows / sizeof blows[0]; i++) {
        s_exec(world, "SAVEPOINT s");
        s_exec(world, blows[i]);
        s_assert_known(world, 7, "321", "-|3|-|-");
        s_exec(world, "ROLLBACK TO s; RELEASE s");
    }
    s_assert_known(world, 7, "321", "'é'|3|x'00ff'|-");
}

/* A column that came later was stored by those alone that knew it; the others are found where they are now. */
static void test_columns_that_came_later(void **state) {
    s_world_t *world = *state;
    s_exec(world, "ALTER TABLE t ADD COLUMN nowhere");
    s_assert_known(world, 7, "321", "'é'|3|x'00ff'|-");
    s_commit(world, "UPDATE t SET nowhere = 'here' WHERE id = 7");
    s_assert_known(world, 7, "5321", "'é'|3|x'00ff'|'here'");
}

static void test_long_values_are_cut(void **state) {
    s_world_t *world = *state;
    char expected[1024] = "'";
    s_commit(world, "UPDATE t SET a = replace(hex(zeroblob(500)), '00', 'é'), b = 0, c = 0 WHERE id = 7");
    for (size_t i = 0; i < 197; i++)
        strcat(expected, "é");
    strcat(expected, "…'|0|0|-");
    s_assert_known(world, 7, "5", expected);
}

/* An error leaves nothing to be freed. */
static void test_target_that_cannot_be_read(void **state) {
    s_world_t *world = *state;
    pr_error_t err = PR_ERROR_INIT;
    char *texts[s_columns];
    const int64_t writers[] = {3, 2, 1};
    memset(texts, 0xff, sizeof texts);
    s_exec(world, "DROP TABLE pvrelay_undo");
    assert_int_equal(pr_last_stored(world->db, "t", 7, writers, 3, S_COLUMNS, s_columns, texts, &err), -PR_E_TARGET);
    assert_non_null(strstr(err.text, "pvrelay_undo"));
    for (size_t i = 0; i < s_columns; i++)
        assert_null(texts[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_newest_of_each_column),   TEST(test_nobody_wrote_it),     TEST(test_a_commit_that_does_not_tell),
        TEST(test_columns_that_came_later), TEST(test_long_values_are_cut), TEST(test_target_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
