/* SPDX-License-Identifier: MIT */
/* Tests of validator/beside.c: what is found, and that the caller can go on meanwhile. */
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
#include "tests/unit/folder.h"
#include "validator/beside.h"
#include "validator/database.h"

static char s_folder[] = "/tmp/pvr-beside-XXXXXX";
static char s_path[64];
static unsigned s_signs;

static bool s_count(void *context) {
    ++*(unsigned *)context;
    return true;
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
    assert_int_equal(pr_test_folder_remove(s_folder), 0);
    memcpy(s_folder + sizeof s_folder - sizeof "XXXXXX", "XXXXXX", sizeof "XXXXXX");
    return 0;
}

/* Run fn; ret_err, if it fails. Returns what it found, of which 10 failures are kept. *Returns new*. */
static pr_proof_list_t *s_find(pr_beside_fn *fn, const void *context, pr_error_t *ret_err) {
    pr_beside_t *beside = NULL;
    pr_proof_list_t *list = pr_proof_list_new(10);
    int result = pr_beside_begin(s_path, fn, context, &beside, ret_err);
    if (result == 0)
        result = pr_beside_end(&beside, list, ret_err);
    assert_int_equal(result, -(int)ret_err->code);
    assert_null(beside);
    return list;
}

/* As many failures as context says, and a finding. */
static int s_fail_often(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list, pr_error_t *err) {
    (void)db;
    (void)err;
    const pr_failure_t failure = {
        .kind = PR_FAILURE_WHOLE, .stream = "", .table = target, .key = "", .column = "", .expected = "", .stored = ""};
    const pr_finding_t finding = {.kind = "kind", .stream = "", .field = "", .detail = "", .count = 7};
    for (int i = *(const int *)context; i > 0; i--)
        pr_proof_list_add_failure(list, &failure);
    pr_proof_list_add_finding(list, &finding);
    return 0;
}

static void test_what_is_found(void **state) {
    (void)state;
    static const int often = 2500; /* more than the thread's own list keeps */
    pr_error_t err = PR_ERROR_INIT;
    s_signs = 0;
    pr_proof_list_t *list = s_find(s_fail_often, &often, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(list->failures_total, often);
    assert_int_equal(list->failures_by_kind[PR_FAILURE_WHOLE], often);
    assert_int_equal(list->failures_count, 10);
    assert_string_equal(list->failures[9].table, s_path);
    assert_int_equal(list->findings_count, 1);
    assert_int_equal(list->findings[0].count, 7);
    assert_true(s_signs > 0);
    pr_proof_list_destroy(&list);
}

static int s_count_rows(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list, pr_error_t *err) {
    (void)context;
    (void)list;
    return pr_database_exec(db, target,
                            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
                            " SELECT count(*) FROM n JOIN t ON t.rowid = n.i; PRAGMA quick_check",
                            err);
}

/* While the check reads, another connection of the process writes, and the check's own gives no signs of life. */
static void test_beside_other_work(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_beside_t *beside = NULL;
    pr_proof_list_t *list = pr_proof_list_new(10);
    sqlite3 *db = s_open();
    sqlite3_progress_handler(db, 0, NULL, NULL);
    for (int i = 0; i < 10; i++) {
        s_signs = 0;
        assert_int_equal(pr_beside_begin(s_path, s_count_rows, NULL, &beside, &err), 0);
        s_do(db, "INSERT INTO t SELECT a, b || 'x' FROM t LIMIT 500; DELETE FROM t WHERE rowid % 97 = 5");
        assert_int_equal(s_signs, 0);
        assert_int_equal(pr_beside_end(&beside, list, &err), 0);
    }
    sqlite3_close(db);
    assert_int_equal(list->failures_total, 0);
    pr_proof_list_destroy(&list);
}

static int s_write(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list, pr_error_t *err) {
    s_fail_often(db, target, context, list, err);
    return pr_database_exec(db, target, "DELETE FROM t", err);
}

/* Of a check that failed nothing is known. And it cannot write. */
static void test_a_check_that_fails(void **state) {
    (void)state;
    static const int often = 3;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_list_t *list = s_find(s_write, &often, &err);
    assert_int_equal(err.code, PR_E_TARGET);
    assert_non_null(strstr(err.text, "attempt to write a readonly database"));
    assert_int_equal(list->failures_total, 0);
    pr_proof_list_destroy(&list);
}

static void test_what_is_no_database(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    FILE *file = fopen(s_path, "wb");
    assert_non_null(file);
    fputs("This is no database, whatever its name may say of it; and it is longer than one's header would be, ", file);
    assert_int_equal(fclose(file), 0);
    pr_proof_list_t *list = s_find(s_count_rows, NULL, &err);
    assert_int_equal(err.code, PR_E_TARGET);
    assert_non_null(strstr(err.text, "file is not a database"));
    pr_proof_list_destroy(&list);
    assert_int_equal(unlink(s_path), 0);
    pr_error_clear(&err);
    list = s_find(s_count_rows, NULL, &err);
    assert_int_equal(err.code, PR_E_TARGET);
    assert_non_null(strstr(err.text, "cannot be opened for reading"));
    pr_proof_list_destroy(&list);
}

static bool s_stop(void *context) {
    (void)context;
    return false;
}

static int s_for_ever(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list, pr_error_t *err) {
    (void)context;
    (void)list;
    return pr_database_exec(
        db, target, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", err);
}

/* Whoever waits is told to stop: the check ends. */
static void test_given_up(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_beside_t *beside = NULL;
    pr_proof_list_t *list = pr_proof_list_new(10);
    assert_int_equal(pr_beside_begin(s_path, s_for_ever, NULL, &beside, &err), 0);
    pr_sql_alive(s_stop, NULL);
    assert_int_equal(pr_beside_end(&beside, list, &err), -PR_E_INTERRUPTED);
    assert_non_null(strstr(err.text, "interrupted"));
    pr_proof_list_destroy(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_found, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_beside_other_work, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_check_that_fails, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_database, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_given_up, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
