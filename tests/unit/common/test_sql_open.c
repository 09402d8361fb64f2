/* SPDX-License-Identifier: MIT */
/* Opening a target: what is in its schema is not trusted, each mode can do what it says, and reading takes no right to write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/sql_open.h"
#include "tests/unit/folder.h"

enum { s_somebody = 65534 };

static char s_folder[] = "/tmp/pvr-open-XXXXXX";
static char s_path[64];

static void s_do(sqlite3 *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static void s_refused(sqlite3 *db, const char *sql, const char *why) {
    char *message = NULL;
    assert_int_not_equal(sqlite3_exec(db, sql, NULL, NULL, &message), SQLITE_OK);
    assert_non_null(strstr(message, why));
    sqlite3_free(message);
}

static int64_t s_number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static int s_set_up(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    assert_non_null(mkdtemp(s_folder));
    assert_int_equal(chmod(s_folder, 0755), 0);
    snprintf(s_path, sizeof s_path, "%s/a b%%3f.db", s_folder);
    assert_int_equal(sqlite3_open(s_path, &db), SQLITE_OK);
    s_do(db,
         "PRAGMA journal_mode = WAL; CREATE TABLE t (a); CREATE TABLE log (a); INSERT INTO t VALUES (7);"
         "CREATE VIEW v AS SELECT a FROM t; CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1); END");
    sqlite3_close(db);
    assert_int_equal(chmod(s_path, 0644), 0);
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    assert_int_equal(pr_test_folder_remove(s_folder), 0);
    memcpy(s_folder + sizeof s_folder - sizeof "XXXXXX", "XXXXXX", sizeof "XXXXXX");
    return 0;
}

static sqlite3 *s_open(pr_sql_mode_t mode) {
    sqlite3 *db = NULL;
    pr_error_t err = PR_ERROR_INIT;
    if (pr_sql_open(s_path, mode, &db, &err) < 0)
        fail_msg("%s", err.text);
    return db;
}

static void test_a_schema_is_not_trusted(void **state) {
    (void)state;
    static const pr_sql_mode_t modes[] = {PR_SQL_CREATE, PR_SQL_WRITE, PR_SQL_READ, PR_SQL_BESIDE};
    char attach[128];
    snprintf(attach, sizeof attach, "ATTACH '%s/other.db' AS other", s_folder);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        sqlite3 *db = s_open(modes[i]);
        assert_int_equal(s_number(db, "PRAGMA trusted_schema"), 0);
        s_refused(db, "SELECT * FROM v", "access to view \"v\" prohibited");
        s_refused(db, attach, "too many attached databases");
        s_do(db, "PRAGMA writable_schema = ON");
        s_refused(db, "UPDATE sqlite_master SET sql = sql", modes[i] < PR_SQL_READ ? "may not be modified" : "");
        sqlite3_close(db);
    }
    sqlite3 *db = s_open(PR_SQL_WRITE);
    s_do(db, "INSERT INTO t VALUES (8)");
    assert_int_equal(s_number(db, "SELECT count(*) FROM log"), 0);
    sqlite3_close(db);
}

static void test_modes(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[128];
    sqlite3 *db = s_open(PR_SQL_READ);
    s_refused(db, "DELETE FROM t", "readonly");
    assert_int_equal(pr_sql_unchanged(db, &err), 0);
    sqlite3_close(db);
    db = s_open(PR_SQL_BESIDE);
    s_refused(db, "DELETE FROM t", "readonly");
    sqlite3_close(db);
    s_path[strlen(s_path) - 1] = 'c';
    static const pr_sql_mode_t must_be_there[] = {PR_SQL_WRITE, PR_SQL_READ, PR_SQL_BESIDE};
    for (size_t i = 0; i < sizeof must_be_there / sizeof must_be_there[0]; i++) {
        assert_int_equal(pr_sql_open(s_path, must_be_there[i], &db, &err), -PR_E_TARGET);
        snprintf(expected, sizeof expected, "%s: cannot be opened for %s: No such file or directory", s_path,
                 i == 0 ? "writing" : "reading");
        assert_string_equal(err.text, expected);
        pr_error_clear(&err);
    }
    assert_int_equal(access(s_path, F_OK), -1);
    sqlite3_close(s_open(PR_SQL_CREATE));
    assert_int_equal(access(s_path, F_OK), 0);
}

static void test_what_is_no_database(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    sqlite3 *db = NULL;
    FILE *file = fopen(s_path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        fputs("no database ", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pr_sql_open(s_path, PR_SQL_READ, &db, &err), -PR_E_TARGET);
    assert_non_null(strstr(err.text, "file is not a database"));
}

/* As somebody who may not write: the file is read as immutable, and that somebody else wrote to it is noticed. */
static void test_reading_without_rights(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    static const char *const writes[] = {"INSERT INTO t VALUES (8)",
                                         "INSERT INTO t VALUES (9); PRAGMA wal_checkpoint(TRUNCATE)"};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        pr_error_t err = PR_ERROR_INIT;
        assert_int_equal(seteuid(s_somebody), 0);
        sqlite3 *reader = s_open(PR_SQL_READ);
        assert_int_equal(seteuid(0), 0);
        int64_t before = s_number(reader, "SELECT count(*) FROM t");
        assert_int_equal(pr_sql_unchanged(reader, &err), 0);
        sqlite3 *writer = s_open(PR_SQL_WRITE);
        s_do(writer, writes[i]);
        sqlite3_close(writer);
        assert_int_equal(pr_sql_unchanged(reader, &err), -PR_E_TARGET_LOCKED);
        assert_non_null(strstr(err.text, "it was written to while it was read"));
        sqlite3_close(reader);
        sqlite3_close(s_open(PR_SQL_READ)); /* takes the -wal away */
        assert_int_equal(seteuid(s_somebody), 0);
        reader = s_open(PR_SQL_READ);
        assert_int_equal(s_number(reader, "SELECT count(*) FROM t"), before + 1);
        sqlite3_close(reader);
        assert_int_equal(seteuid(0), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_schema_is_not_trusted, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_modes, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_database, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_reading_without_rights, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
