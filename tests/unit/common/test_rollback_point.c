/* SPDX-License-Identifier: MIT */
/* Points to go back to: found by number, name and word; named; sealed. On a real schema, with books made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/rollback_point.h"

static sqlite3 *s_db;

static void s_sql(const char *text) {
    char *message = NULL;
    if (sqlite3_exec(s_db, text, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", message, text);
}

static void s_migrate(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/migrations/%s", PR_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static char text[1 << 17];
    size_t size = fread(text, 1, sizeof text - 1, file);
    assert_true(size > 0 && size < sizeof text - 1);
    fclose(file);
    text[size] = '\0';
    s_sql(text);
}

static int s_set_up(void **state) {
    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &s_db), SQLITE_OK);
    s_migrate("0001_unified_schema.sql");
    s_migrate("0002_pvrelay.sql");
    s_migrate("0003_undo.sql");
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    assert_int_equal(sqlite3_close(s_db), SQLITE_OK); /* not busy: no statement was forgotten */
    return 0;
}

static void s_run(int run, const char *run_state) {
    char text[512];
    snprintf(
        text, sizeof text,
        "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
        " VALUES (%d, 'id-%d', '%s', 'm', '0', 'null', '0', '2025-10-27 10:00:00')",
        run, run, run_state);
    s_sql(text);
}

static void s_checkpoint(int checkpoint, int run, int validated) {
    char text[512];
    snprintf(text, sizeof text,
             "INSERT INTO pvrelay_checkpoint VALUES (%d, %d, 'batch', 0, 0, 1, 0, 1, '0', 1, 0, 0, 0, 1, 0,"
             " '2025-10-27 10:00:00', NULL, %d);"
             "INSERT INTO pvrelay_undo VALUES (%d, 100, x'0102030405')",
             checkpoint, run, validated, checkpoint);
    s_sql(text);
}

static void s_roll_back(int run) {
    char text[512];
    snprintf(text, sizeof text,
             "UPDATE pvrelay_run SET state = 'abandoned', rolled_back_at = '2025-10-28 11:00:00' WHERE run = %d;"
             "DELETE FROM pvrelay_undo WHERE checkpoint IN (SELECT checkpoint FROM pvrelay_checkpoint WHERE run = %d)",
             run, run);
    s_sql(text);
}

static int64_t s_number(const char *text) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(s_db, text, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void s_expect(const char *word, int64_t checkpoint, int64_t run, bool reopen) {
    pr_rollback_point_t point = {-1, -1, false};
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_rollback_point_find(s_db, word, &point, &err);
    if (result != 0)
        fail_msg("%s: %s", word, err.text);
    if (point.checkpoint != checkpoint || point.run != run || point.reopen != reopen)
        fail_msg("%s: checkpoint %lld of run %lld, reopen %d", word, (long long)point.checkpoint, (long long)point.run,
                 point.reopen);
}

static void s_expect_error(const char *word, int code, const char *text) {
    pr_rollback_point_t point = {-1, -1, false};
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_rollback_point_find(s_db, word, &point, &err), -code);
    assert_string_equal(err.text, text);
    assert_int_equal(point.checkpoint, -1);
}

/* Run 1: 1 to 3, all proved. Run 2: 4 to 6, taken back. Run 3: 7 to 10, 7 and 8 proved, 9 with failures, 10 proved. */
static void s_three_runs(void) {
    s_run(1, "complete");
    s_run(2, "complete");
    s_run(3, "complete");
    for (int i = 1; i <= 3; i++)
        s_checkpoint(i, 1, 1);
    for (int i = 4; i <= 6; i++)
        s_checkpoint(i, 2, 1);
    for (int i = 7; i <= 10; i++)
        s_checkpoint(i, 3, i == 9 ? 2 : 1);
    s_roll_back(2);
}

static void test_numbers(void **state) {
    (void)state;
    s_expect("0", 0, 0, true); /* there is always a state before everything */
    s_expect_error("1", PR_E_USAGE, "the target: there is no checkpoint 1; there is none at all");
    s_three_runs();
    s_expect("0", 0, 0, true);
    s_expect("1", 1, 1, true);
    s_expect("010", 10, 3, true);
    s_expect_error(
        "11", PR_E_USAGE,
        "the target: there is no checkpoint 11; there are some from 1 to 10, see `pvrelay checkpoints --target DB`");
    s_expect_error("99999999999999999999", PR_E_USAGE,
                   "the target: there is no checkpoint 99999999999999999999; there are some from 1 to 10, see "
                   "`pvrelay checkpoints --target DB`");
    s_expect_error("5", PR_E_USAGE,
                   "the target: checkpoint 5 was taken back with run 2 on 2025-10-28 11:00:00; see `pvrelay "
                   "checkpoints --target DB`");
}

static void test_newest(void **state) {
    (void)state;
    int64_t newest = -1;
    assert_int_equal(pr_checkpoint_newest(s_db, &newest, NULL), 0);
    assert_int_equal(newest, 0);
    s_three_runs();
    assert_int_equal(pr_checkpoint_newest(s_db, &newest, NULL), 0);
    assert_int_equal(newest, 10);
    s_roll_back(3);
    assert_int_equal(pr_checkpoint_newest(s_db, &newest, NULL), 0);
    assert_int_equal(newest, 3);
}

static void test_start_of_run(void **state) {
    (void)state;
    s_expect_error("start-of-run", PR_E_USAGE, "the target: nothing was committed yet");
    s_expect_error("start-of-run=1", PR_E_USAGE, "the target: there is no run 1; there is none at all");
    s_three_runs();
    s_expect("start-of-run", 3, 1, false);
    s_expect("start-of-run=3", 3, 1, false);
    s_expect("start-of-run=1", 0, 0, false);
    s_expect_error("start-of-run=2", PR_E_USAGE, "the target: run 2 was taken back already, on 2025-10-28 11:00:00");
    s_expect_error("start-of-run=4", PR_E_USAGE, "the target: there is no run 4; there are 3, 1");
    s_expect_error("start-of-run=", PR_E_USAGE,
                   "start-of-run=: a run's number is expected, see `pvrelay status --target DB`");
    s_expect_error("start-of-run=-1", PR_E_USAGE,
                   "start-of-run=-1: a run's number is expected, see `pvrelay status --target DB`");
    /* An unfinished run that committed nothing: the point before it is the newest one of the others. */
    s_run(4, "streaming");
    s_expect("start-of-run", 10, 3, false);
    s_checkpoint(11, 4, 0);
    s_expect("start-of-run", 10, 3, false);
    s_expect("start-of-run=3", 3, 1, false);
    /* Once it is given up, the run of the newest checkpoint is meant all the same. */
    s_sql("UPDATE pvrelay_run SET state = 'abandoned' WHERE run = 4");
    s_expect("start-of-run", 10, 3, false);
    s_run(5, "complete");
    s_expect("start-of-run", 10, 3, false);
    s_expect("start-of-run=5", 11, 4, false);
}

/* A run that was put back and opened again is unfinished, whatever came after it. */
static void test_start_of_a_run_opened_again(void **state) {
    (void)state;
    s_three_runs();
    s_roll_back(3);
    s_sql("UPDATE pvrelay_run SET state = 'streaming' WHERE run = 1; DELETE FROM pvrelay_checkpoint WHERE checkpoint "
          "IN (2, 3)");
    s_expect("start-of-run", 0, 0, false);
    s_checkpoint(11, 1, 0);
    s_expect("11", 11, 1, true);
    s_expect("start-of-run", 0, 0, false);
    s_expect("last-validated", 1, 1, true);
    s_expect_error(
        "2", PR_E_USAGE,
        "the target: there is no checkpoint 2; there are some from 1 to 11, see `pvrelay checkpoints --target DB`");
}

static void test_last_validated(void **state) {
    (void)state;
    s_expect_error("last-validated", PR_E_USAGE, "the target: nothing was committed yet");
    s_three_runs();
    s_expect("last-validated", 8, 3, true);
    s_sql("UPDATE pvrelay_checkpoint SET validated = 1 WHERE run = 3");
    s_expect("last-validated", 10, 3, true);
    s_run(4, "streaming"); /* it has no checkpoints: it does not count */
    s_expect("last-validated", 10, 3, true);
    s_sql("UPDATE pvrelay_checkpoint SET validated = 0 WHERE checkpoint = 7");
    s_expect("last-validated", 3, 1, false);
    s_sql("UPDATE pvrelay_checkpoint SET validated = 0 WHERE run = 1");
    s_expect("last-validated", 3, 1, false);
    s_roll_back(3);
    s_expect("last-validated", 0, 0, false);
    s_roll_back(1);
    s_expect_error("last-validated", PR_E_USAGE, "the target: nothing was committed yet");
}

static void test_names(void **state) {
    (void)state;
    int64_t checkpoint = -1;
    pr_error_t err = PR_ERROR_INIT;
    s_expect_error("base", PR_E_USAGE, "the target: there is no point called base; no name was given yet");
    assert_int_equal(pr_checkpoint_name(s_db, "base", &checkpoint, NULL), 0);
    assert_int_equal(checkpoint, 0);
    s_expect("base", 0, 0, true);
    s_three_runs();
    assert_int_equal(pr_checkpoint_name(s_db, "après-été", &checkpoint, NULL), 0);
    assert_int_equal(checkpoint, 10);
    assert_int_equal(pr_checkpoint_name(s_db, "also", &checkpoint, NULL), 0);
    assert_int_equal(checkpoint, 10);
    s_expect("après-été", 10, 3, true);
    assert_int_equal(s_number("SELECT made_at = datetime(made_at) FROM pvrelay_name WHERE name = 'base'"), 1);
    checkpoint = -1;
    assert_int_equal(pr_checkpoint_name(s_db, "also", &checkpoint, &err), -PR_E_USAGE);
    assert_string_equal(err.text, "the target: also is taken: it is checkpoint 10");
    pr_error_clear(&err);
    assert_int_equal(pr_checkpoint_name(s_db, "base", &checkpoint, &err), -PR_E_USAGE);
    assert_string_equal(err.text, "the target: base is taken: it is the state before any run");
    assert_int_equal(checkpoint, -1);
    assert_int_not_equal(sqlite3_get_autocommit(s_db), 0);
    s_sql("UPDATE pvrelay_name SET made_at = '2025-10-27 10:00:0' || length(name)");
    s_expect_error("nope", PR_E_USAGE, "the target: there is no point called nope; there are après-été, also, base");
    pr_error_clear(&err);
    assert_int_equal(pr_checkpoint_unname(s_db, "nope", &err), -PR_E_USAGE);
    assert_string_equal(err.text, "the target: there is no point called nope; there are après-été, also, base");
    assert_int_equal(pr_checkpoint_unname(s_db, "also", NULL), 0);
    assert_int_equal(pr_checkpoint_unname(s_db, "base", NULL), 0);
    s_expect_error("also", PR_E_USAGE, "the target: there is no point called also; there is après-été");
    for (char name[] = "n-a"; name[2] <= 'k'; name[2]++)
        assert_int_equal(pr_checkpoint_name(s_db, name, &checkpoint, NULL), 0);
    s_sql("UPDATE pvrelay_name SET made_at = '2025-10-27 10:00:00'");
    s_expect_error("also", PR_E_USAGE,
                   "the target: there is no point called also; there are après-été, n-a, n-b, n-c, n-d, n-e, n-f, n-g, "
                   "n-h, n-i, …");
}

static void test_what_a_name_can_be(void **state) {
    (void)state;
    static const char *const good[] = {"a",
                                       "before-les-forges",
                                       "12th",
                                       "-3",
                                       "été-2025/β",
                                       "start-of-runs",
                                       "\xF0\x9F\x9A\x80",
                                       "a234567890123456789012345678901234567890123456789012345678901234"};
    static const struct {
        const char *name, *error;
    } bad[] = {
        {"", "a name has 1 to 64 bytes, this one has 0"},
        {"12345678901234567890123456789012345678901234567890123456789012345",
         "a name has 1 to 64 bytes, this one has 65"},
        {"a b", "a name has no white space and no control characters; this one has U+0020 at byte 2"},
        {"\ta", "a name has no white space and no control characters; this one has U+0009 at byte 1"},
        {"a\x1B[1m", "a name has no white space and no control characters; this one has U+001B at byte 2"},
        {"a\x7F", "a name has no white space and no control characters; this one has U+007F at byte 2"},
        {"\xC2\x85", "a name has no white space and no control characters; this one has U+0085 at byte 1"},
        {"a\xC2\xA0", "a name has no white space and no control characters; this one has U+00A0 at byte 2"},
        {"\xE3\x80\x80", "a name has no white space and no control characters; this one has U+3000 at byte 1"},
        {"ab\xFF", "a name must be UTF-8; byte 3 of this one is not"},
        {"\xC0\x80", "a name must be UTF-8; byte 1 of this one is not"},
        {"\xED\xA0\x80", "a name must be UTF-8; byte 1 of this one is not"},
        {"a\xE3\x80", "a name must be UTF-8; byte 2 of this one is not"},
        {"a=b", "a=b: a name has no \"=\""},
        {"007", "007: a name is no number: checkpoints have numbers already"},
        {"start-of-run", "start-of-run: is no name: rollback --to has a meaning for it"},
        {"last-validated", "last-validated: is no name: rollback --to has a meaning for it"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(pr_checkpoint_check_name(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pr_error_t err = PR_ERROR_INIT;
        int64_t checkpoint = -1;
        assert_int_equal(pr_checkpoint_check_name(bad[i].name, &err), -PR_E_USAGE);
        assert_string_equal(err.text, bad[i].error);
        assert_int_equal(pr_checkpoint_name(s_db, bad[i].name, &checkpoint, NULL), -PR_E_USAGE);
    }
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_name"), 0);
}

static void test_seal(void **state) {
    (void)state;
    pr_seal_t seal;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_seal(s_db, 0, &seal, NULL), 0); /* nothing is there: nothing is given up */
    assert_int_equal(seal.run, 0);
    assert_int_equal(seal.checkpoints, 0);
    assert_int_equal(pr_seal(s_db, 1, &seal, &err), -PR_E_USAGE);
    assert_string_equal(err.text, "the target: there is no run 1; there is none at all");
    s_three_runs();
    s_sql("INSERT INTO pvrelay_undo_sequence VALUES (1, 'clients', NULL, 1), (7, 'clients', 1, 2);"
          "INSERT INTO pvrelay_shape VALUES ('clients', 1, '[]'), ('clients', 3, '[1]'), ('clients', 7, '[2]'),"
          " ('users', 1, '[]'), ('users', 8, '[1]')");
    int64_t named;
    assert_int_equal(pr_checkpoint_name(s_db, "here", &named, NULL), 0);
    assert_int_equal(pr_seal(s_db, 1, &seal, NULL), 0);
    assert_int_equal(seal.run, 1);
    assert_int_equal(seal.checkpoints, 3);
    assert_int_equal(seal.bytes, 15);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo WHERE checkpoint <= 3"), 0);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo"), 4);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo_sequence"), 1);
    /* What describes the tables for checkpoints that can still be taken back stays. */
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_shape"), 4);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_shape WHERE table_name = 'clients' AND checkpoint = 1"), 0);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_run WHERE sealed_at IS NOT NULL"), 1);
    s_sql("UPDATE pvrelay_run SET sealed_at = '2025-10-27 12:00:00' WHERE run = 1");
    assert_int_equal(pr_seal(s_db, 0, &seal, NULL), 0);
    assert_int_equal(seal.run, 3);
    assert_int_equal(seal.checkpoints, 4);
    assert_int_equal(seal.bytes, 20);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo"), 0);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_run WHERE sealed_at = '2025-10-27 12:00:00'"), 1);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_run WHERE sealed_at IS NOT NULL AND run <> 2"), 2);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_checkpoint"), 10);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_name"), 1);
    assert_int_equal(pr_seal(s_db, 0, &seal, NULL), 0); /* again: nothing more */
    assert_int_equal(seal.run, 3);
    assert_int_equal(seal.checkpoints, 0);
    assert_int_equal(seal.bytes, 0);
}

static void test_an_unfinished_run_is_not_sealed(void **state) {
    (void)state;
    static const char text[] =
        "the target: run 4 is not finished; finish it with the command that began it, or seal only "
        "the runs before it (--run)";
    pr_seal_t seal = {0};
    pr_error_t err = PR_ERROR_INIT;
    s_three_runs();
    s_run(4, "proving");
    s_checkpoint(11, 4, 1);
    assert_int_equal(pr_seal(s_db, 0, &seal, &err), -PR_E_UNFINISHED);
    assert_string_equal(err.text, text);
    pr_error_clear(&err);
    assert_int_equal(pr_seal(s_db, 4, &seal, &err), -PR_E_UNFINISHED);
    assert_string_equal(err.text, text);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo"), 8);
    assert_int_not_equal(sqlite3_get_autocommit(s_db), 0);
    assert_int_equal(pr_seal(s_db, 3, &seal, NULL), 0);
    assert_int_equal(seal.checkpoints, 7);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo"), 1);
    pr_error_clear(&err);
    assert_int_equal(pr_seal(s_db, 9, &seal, &err), -PR_E_USAGE);
    assert_string_equal(err.text, "the target: there is no run 9; there are 4, 3, 1");
}

static void s_expect_books_error(const char *text) {
    int64_t number;
    pr_seal_t seal;
    pr_rollback_point_t point;
    pr_error_t errors[6] = {PR_ERROR_INIT, PR_ERROR_INIT, PR_ERROR_INIT, PR_ERROR_INIT, PR_ERROR_INIT, PR_ERROR_INIT};
    assert_int_equal(pr_checkpoint_newest(s_db, &number, &errors[0]), -PR_E_TARGET_SCHEMA);
    assert_int_equal(pr_rollback_point_find(s_db, "0", &point, &errors[1]), -PR_E_TARGET_SCHEMA);
    assert_int_equal(pr_rollback_point_start(s_db, 1, &point, &errors[2]), -PR_E_TARGET_SCHEMA);
    assert_int_equal(pr_checkpoint_name(s_db, "a", &number, &errors[3]), -PR_E_TARGET_SCHEMA);
    assert_int_equal(pr_checkpoint_unname(s_db, "a", &errors[4]), -PR_E_TARGET_SCHEMA);
    assert_int_equal(pr_seal(s_db, 0, &seal, &errors[5]), -PR_E_TARGET_SCHEMA);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        assert_string_equal(errors[i].text, text);
}

static void test_targets_without_books(void **state) {
    (void)state;
    s_tear_down(state);
    assert_int_equal(sqlite3_open(":memory:", &s_db), SQLITE_OK);
    s_migrate("0001_unified_schema.sql");
    s_expect_books_error("the target: no run of pvrelay has been here, and it has no tables for its books; `pvrelay "
                         "migrate --target DB` makes them");
    s_migrate("0002_pvrelay.sql");
    s_expect_books_error("the target: its books are older than undo: what was committed so far cannot be taken back; "
                         "`pvrelay migrate --target DB` brings them up to date");
}

/* Whatever statement fails, nothing is left open and nothing half done. */
static void test_a_target_that_refuses(void **state) {
    (void)state;
    int64_t checkpoint;
    pr_seal_t seal;
    pr_error_t err = PR_ERROR_INIT;
    s_three_runs();
    s_sql("CREATE TRIGGER no_seal BEFORE UPDATE ON pvrelay_run BEGIN SELECT raise(ABORT, 'not today'); END;"
          "CREATE TRIGGER no_name BEFORE INSERT ON pvrelay_name BEGIN SELECT raise(ABORT, 'no names'); END");
    assert_int_equal(pr_seal(s_db, 0, &seal, &err), -PR_E_TARGET);
    assert_string_equal(err.text, "the target: not today");
    assert_int_not_equal(sqlite3_get_autocommit(s_db), 0);
    assert_int_equal(s_number("SELECT count(*) FROM pvrelay_undo"), 7);
    pr_error_clear(&err);
    assert_int_equal(pr_checkpoint_name(s_db, "a", &checkpoint, &err), -PR_E_TARGET);
    assert_string_equal(err.text, "the target: no names");
    assert_int_not_equal(sqlite3_get_autocommit(s_db), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_newest, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_start_of_run, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_start_of_a_run_opened_again, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_last_validated, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_names, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_name_can_be, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_seal, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_an_unfinished_run_is_not_sealed, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_targets_without_books, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_target_that_refuses, s_set_up, s_tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
