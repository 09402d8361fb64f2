/* SPDX-License-Identifier: MIT */
/* Tests of validator/file_check.c: what is found, and that the caller can go on meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/sql_alive.h"
#include "validator/file_check.h"

static char s_folder[] = "/tmp/pvr-file-check-XXXXXX";
static char s_path[64];
static unsigned s_signs;

static void s_count(void *context) {
    ++*(unsigned *)context;
}

static sqlite3 *s_open(void) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(s_path, &db), SQLITE_OK);
    return db;
}

static void s_do(sqlite3 *db, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static int s_set_up(void **state) {
    (void)state;
    pr_sql_alive(s_count, &s_signs);
    assert_non_null(mkdtemp(s_folder));
    snprintf(s_path, sizeof s_path, "%s/t.db", s_folder);
    sqlite3 *db = s_open();
    s_do(db, "PRAGMA journal_mode = WAL;"
             "CREATE TABLE t (a INTEGER, b TEXT); CREATE INDEX i ON t (b);"
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
             " INSERT INTO t SELECT i, printf('text %d', i) FROM n");
    sqlite3_close(db);
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    char path[80];
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(path, sizeof path, "%s%s", s_path, ends[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(s_folder), 0);
    memcpy(s_folder + sizeof s_folder - sizeof "XXXXXX", "XXXXXX", sizeof "XXXXXX");
    return 0;
}

/* Check the file; ret_err, if it fails. Returns the failures. *Returns new*. */
static pr_proof_list_t *s_check(pr_error_t *ret_err) {
    pr_file_check_t *check = NULL;
    pr_proof_list_t *list = pr_proof_list_new(10);
    int result = pr_file_check_begin(s_path, &check, ret_err);
    if (result == 0)
        result = pr_file_check_end(&check, list, ret_err);
    assert_int_equal(result, -(int)ret_err->code);
    assert_null(check);
    return list;
}

static void test_sound(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    s_signs = 0;
    pr_proof_list_t *list = s_check(&err);
    assert_string_equal(err.text, "");
    assert_int_equal(list->failures_total, 0);
    assert_true(s_signs > 0);
    pr_proof_list_destroy(&list);
}

/* While the check reads, another connection of the process writes, and both see what they should. */
static void test_beside_other_work(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_file_check_t *check = NULL;
    pr_proof_list_t *list = pr_proof_list_new(10);
    sqlite3 *db = s_open();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pr_file_check_begin(s_path, &check, &err), 0);
        s_do(db, "INSERT INTO t SELECT a, b || 'x' FROM t LIMIT 500; DELETE FROM t WHERE rowid % 97 = 5");
        assert_int_equal(pr_file_check_end(&check, list, &err), 0);
    }
    sqlite3_close(db);
    assert_int_equal(list->failures_total, 0);
    pr_proof_list_destroy(&list);
}

static void test_what_a_row_may_not_be(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    sqlite3 *db = s_open();
    s_do(db, "UPDATE t SET b = NULL WHERE a IN (7, 9);"
             "PRAGMA writable_schema = ON;"
             "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a INTEGER, b TEXT NOT NULL)' WHERE name = 't'");
    sqlite3_close(db);
    pr_proof_list_t *list = s_check(&err);
    assert_string_equal(err.text, "");
    assert_int_equal(list->failures_total, 2);
    assert_int_equal(list->failures[0].kind, PR_FAILURE_WHOLE);
    assert_string_equal(list->failures[0].column, "quick_check");
    assert_string_equal(list->failures[0].expected, "ok");
    assert_string_equal(list->failures[0].stored, "NULL value in t.b");
    pr_proof_list_destroy(&list);
}

/* A page of the table is another page's content. */
static void test_a_page_in_the_wrong_place(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    char page[4096];
    FILE *file = fopen(s_path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 20 * 4096L, SEEK_SET), 0);
    assert_int_equal(fread(page, sizeof page, 1, file), 1);
    assert_int_equal(fseek(file, 22 * 4096L, SEEK_SET), 0);
    assert_int_equal(fwrite(page, sizeof page, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    pr_proof_list_t *list = s_check(&err);
    assert_string_equal(err.text, "");
    assert_true(list->failures_total > 0);
    assert_string_equal(list->failures[0].column, "quick_check");
    pr_proof_list_destroy(&list);
}

static void test_what_is_no_database(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    FILE *file = fopen(s_path, "wb");
    assert_non_null(file);
    fputs("This is no database, whatever its name may say of it; and it is longer than one's header would be, ", file);
    assert_int_equal(fclose(file), 0);
    pr_proof_list_t *list = s_check(&err);
    assert_int_equal(err.code, PR_E_TARGET);
    assert_non_null(strstr(err.text, "file is not a database"));
    pr_proof_list_destroy(&list);
    assert_int_equal(unlink(s_path), 0);
    pr_error_clear(&err);
    list = s_check(&err);
    assert_int_equal(err.code, PR_E_TARGET);
    assert_non_null(strstr(err.text, "cannot be opened for reading"));
    pr_proof_list_destroy(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_beside_other_work, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_row_may_not_be, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_page_in_the_wrong_place, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_database, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
