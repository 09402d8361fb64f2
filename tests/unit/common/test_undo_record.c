/* SPDX-License-Identifier: MIT */
/* What the recorder writes, against what SQLite's own session records of the same changes. */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "common/undo_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/alloc.h"

static const char *const S_TABLES[] = {"thing", "pair", "text_key"};
enum { s_tables_count = 3, s_cases = 400, s_changes = 60 };

/* Two databases with the same content; one is watched by a session, the other by the recorder. */
typedef struct {
    sqlite3 *session_db, *recorder_db;
    uint64_t random;
} s_pair_t;

static void s_one(sqlite3 *db, const char *sql, bool may_fail) {
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK && !may_fail)
        fail_msg("%s: %s", sql, message);
    sqlite3_free(message);
}

/* The same on both; returns whether it worked. */
static bool s_both(s_pair_t *pair, const char *sql) {
    s_one(pair->session_db, sql, true);
    int code = sqlite3_errcode(pair->session_db);
    s_one(pair->recorder_db, sql, true);
    assert_int_equal(code, sqlite3_errcode(pair->recorder_db));
    return code == SQLITE_OK;
}

static unsigned s_random(s_pair_t *pair, unsigned below) {
    pair->random = pair->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(pair->random >> 33) % below;
}

static void s_open(sqlite3 **ret_db) {
    assert_int_equal(sqlite3_open(":memory:", ret_db), SQLITE_OK);
    /* The last column of `thing` is added to rows that are there: their records do not hold it. */
    s_one(*ret_db,
          "CREATE TABLE thing (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, size REAL DEFAULT 0, whole "
          "INTEGER, "
          "raw BLOB, anything);"
          "CREATE TABLE pair (a INTEGER, b TEXT, c REAL, PRIMARY KEY (b, a)) WITHOUT ROWID;"
          "CREATE TABLE text_key (k TEXT PRIMARY KEY NOT NULL, v TEXT);"
          "CREATE TABLE other (x);"
          "INSERT INTO thing (name, size, whole, raw, anything) VALUES ('one', 1, 2, x'00ff', 'é'), ('two', 2.5, NULL, "
          "NULL, "
          "NULL), ('three', NULL, 9223372036854775807, x'', 'a' || char(0) || 'b');"
          "INSERT INTO pair VALUES (1, 'x', 1), (2, 'x', 2.25), (1, 'y', NULL);"
          "INSERT INTO text_key VALUES ('k1', 'v1'), ('k2', '');"
          "ALTER TABLE thing ADD COLUMN colour TEXT DEFAULT 'red'",
          false);
}

static const char *s_value(s_pair_t *pair) {
    static const char *const values[] = {"NULL",
                                         "0",
                                         "1",
                                         "-1",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "1.5",
                                         "1e300",
                                         "'text'",
                                         "''",
                                         "'12'",
                                         "x'00ff00'",
                                         "x''",
                                         "'é€'",
                                         "2.0",
                                         "'red'",
                                         "char(0, 65)",
                                         "hex(zeroblob(200))"};
    return values[s_random(pair, sizeof values / sizeof values[0])];
}

/* One change at random; the same on both. Returns whether it worked: if not, it may have been taken back half done. */
static bool s_change(s_pair_t *pair) {
    static const char *const columns[] = {"size", "whole", "raw", "anything", "colour", "name"};
    char sql[500];
    unsigned id = 1 + s_random(pair, 6);
    switch (s_random(pair, 9)) {
    case 0:
    case 1:
        snprintf(sql, sizeof sql, "INSERT INTO thing (name, size, anything) VALUES ('n%u', %s, %s)", s_random(pair, 12),
                 s_value(pair), s_value(pair));
        break;
    case 2:
    case 3:
        snprintf(sql, sizeof sql, "UPDATE thing SET %s = %s WHERE id <= %u", columns[s_random(pair, 6)], s_value(pair),
                 id);
        break;
    case 4:
        snprintf(sql, sizeof sql, "DELETE FROM thing WHERE id = %u", id);
        break;
    case 5:
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE thing SET id = id + %u WHERE id = %u", 1 + s_random(pair, 40), id);
        break;
    case 6:
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO pair VALUES (%u, '%c', %s)", s_random(pair, 3),
                 (char)('x' + (char)s_random(pair, 3)), s_value(pair));
        break;
    case 7:
        snprintf(sql, sizeof sql, "UPDATE pair SET c = %s WHERE a = %u", s_value(pair), s_random(pair, 3));
        break;
    default:
        snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO text_key VALUES ('k%u', %s); INSERT INTO other VALUES (1)",
                 s_random(pair, 4), s_value(pair));
        break;
    }
    return s_both(pair, sql);
}

/* Some changes that are then taken back. */
static void s_change_in_vain(s_pair_t *pair, pr_recorder_t *recorder) {
    s_both(pair, "SAVEPOINT vain");
    for (unsigned i = s_random(pair, 5); i > 0; i--)
        s_change(pair);
    s_both(pair, "ROLLBACK TO vain; RELEASE vain");
    pr_recorder_rewind(recorder);
}

static void s_print_value(sqlite3_str *text, sqlite3_value *value) {
    if (value == NULL) {
        sqlite3_str_appendall(text, " -");
        return;
    }
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        sqlite3_str_appendf(text, " i%lld", sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT:
        sqlite3_str_appendf(text, " r%!.17g", sqlite3_value_double(value));
        break;
    case SQLITE_NULL:
        sqlite3_str_appendall(text, " NULL");
        break;
    default: {
        const unsigned char *bytes = sqlite3_value_blob(value);
        sqlite3_str_appendall(text, sqlite3_value_type(value) == SQLITE_TEXT ? " t" : " b");
        for (int i = 0; i < sqlite3_value_bytes(value); i++)
            sqlite3_str_appendf(text, "%02x", bytes[i]);
        break;
    }
    }
}

static int s_compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *s_print_change(sqlite3_changeset_iter *change) {
    const char *table = NULL;
    int columns = 0;
    int operation = 0;
    unsigned char *key = NULL;
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3changeset_op(change, &table, &columns, &operation, NULL);
    sqlite3changeset_pk(change, &key, NULL);
    sqlite3_str_appendf(text, "%s %d", table, operation);
    for (int i = 0; i < columns; i++)
        sqlite3_str_appendf(text, "%s%d", i == 0 ? " key " : ",", key[i]);
    for (int i = 0; operation != SQLITE_INSERT && i < columns; i++) {
        sqlite3_value *value = NULL;
        assert_int_equal(sqlite3changeset_old(change, i, &value), SQLITE_OK);
        s_print_value(text, value);
    }
    sqlite3_str_appendall(text, " ->");
    for (int i = 0; operation != SQLITE_DELETE && i < columns; i++) {
        sqlite3_value *value = NULL;
        assert_int_equal(sqlite3changeset_new(change, i, &value), SQLITE_OK);
        s_print_value(text, value);
    }
    return sqlite3_str_finish(text);
}

/* All changes of a changeset, in the order of their texts. *Returns new* (sqlite3_free). */
static char *s_print(const void *changes, size_t size) {
    char *lines[1000] = {NULL};
    size_t count = 0;
    sqlite3_changeset_iter *change = NULL;
    assert_int_equal(sqlite3changeset_start(&change, (int)size, (void *)(uintptr_t)changes), SQLITE_OK);
    while (sqlite3changeset_next(change) == SQLITE_ROW) {
        assert_true(count < 1000);
        lines[count++] = s_print_change(change);
    }
    assert_int_equal(sqlite3changeset_finalize(change), SQLITE_OK);
    qsort(lines, count, sizeof lines[0], s_compare_lines);
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "\n");
    for (size_t i = 0; i < count; i++) {
        sqlite3_str_appendf(text, "%s\n", lines[i]);
        sqlite3_free(lines[i]);
    }
    return sqlite3_str_finish(text);
}

/* A session does not know the default of a column that a row was written without; the recorder does. */
static void s_touch_all(s_pair_t *pair) {
    s_both(pair, "UPDATE thing SET colour = colour || ''");
}

static void s_case(unsigned seed) {
    s_pair_t pair = {.random = seed};
    sqlite3_session *session = NULL;
    pr_error_t err = PR_ERROR_INIT;
    s_open(&pair.session_db);
    s_open(&pair.recorder_db);
    s_touch_all(&pair);
    pr_recorder_t *recorder = pr_recorder_new(pair.recorder_db);
    assert_int_equal(sqlite3session_create(pair.session_db, "main", &session), SQLITE_OK);
    for (size_t i = 0; i < s_tables_count; i++) {
        assert_int_equal(pr_recorder_table(recorder, S_TABLES[i], &err), 0);
        assert_int_equal(sqlite3session_attach(session, S_TABLES[i]), SQLITE_OK);
    }
    pr_recorder_begin(recorder);
    s_both(&pair, "BEGIN");
    for (unsigned i = s_random(&pair, s_changes); i > 0; i--) {
        pr_recorder_mark(recorder);
        if (s_random(&pair, 6) == 0)
            s_change_in_vain(&pair, recorder);
        else if (!s_change(&pair))
            pr_recorder_rewind(recorder);
    }
    void *theirs = NULL;
    const void *ours = NULL;
    int theirs_size = 0;
    size_t ours_size = 0;
    assert_int_equal(sqlite3session_changeset(session, &theirs_size, &theirs), SQLITE_OK);
    assert_int_equal(pr_recorder_end(recorder, &ours, &ours_size, &err), 0);
    char *expected = s_print(theirs, (size_t)theirs_size);
    char *recorded = s_print(ours, ours_size);
    if (strcmp(expected, recorded) != 0) {
        fprintf(stderr, "seed %u: a session records:%sthe recorder:%s", seed, expected, recorded);
        fail_msg("seed %u", seed);
    }
    sqlite3_free(expected);
    sqlite3_free(recorded);
    sqlite3_free(theirs);
    sqlite3session_delete(session);
    pr_recorder_destroy(&recorder);
    sqlite3_close(pair.session_db);
    sqlite3_close(pair.recorder_db);
}

static void test_as_a_session_does(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= s_cases; seed++)
        s_case(seed);
}

/* Record one statement, and print what was recorded. *Returns new* (sqlite3_free). */
static char *s_record(sqlite3 *db, pr_recorder_t *recorder, const char *sql) {
    const void *changes = NULL;
    size_t size = 0;
    pr_error_t err = PR_ERROR_INIT;
    pr_recorder_begin(recorder);
    s_one(db, sql, false);
    assert_int_equal(pr_recorder_end(recorder, &changes, &size, &err), 0);
    char *text = s_print(changes, size);
    return text;
}

static void s_assert_recorded(sqlite3 *db, pr_recorder_t *recorder, const char *sql, const char *expected) {
    char *text = s_record(db, recorder, sql);
    assert_string_equal(text, expected);
    sqlite3_free(text);
}

/* Where a session would note NULL, which the row never held. */
static void test_default_of_an_added_column(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    pr_error_t err = PR_ERROR_INIT;
    s_open(&db);
    pr_recorder_t *recorder = pr_recorder_new(db);
    assert_int_equal(pr_recorder_table(recorder, "thing", &err), 0);
    s_assert_recorded(db, recorder, "UPDATE thing SET colour = 'blue', whole = 3 WHERE id = 2",
                      "\nthing 23 key 1,0,0,0,0,0,0 i2 - - NULL - - t726564 -> - - - i3 - - t626c7565\n");
    s_assert_recorded(db, recorder, "UPDATE thing SET colour = NULL WHERE id = 2",
                      "\nthing 23 key 1,0,0,0,0,0,0 i2 - - - - - t626c7565 -> - - - - - - NULL\n");
    s_assert_recorded(db, recorder, "UPDATE thing SET colour = 'red' WHERE id = 2",
                      "\nthing 23 key 1,0,0,0,0,0,0 i2 - - - - - NULL -> - - - - - - t726564\n");
    pr_recorder_destroy(&recorder);
    sqlite3_close(db);
}

static void test_schema_changes_between_recordings(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    const void *changes = NULL;
    size_t size = 0;
    pr_error_t err = PR_ERROR_INIT;
    s_open(&db);
    pr_recorder_t *recorder = pr_recorder_new(db);
    assert_int_equal(pr_recorder_table(recorder, "text_key", &err), 0);
    s_assert_recorded(db, recorder, "INSERT INTO text_key VALUES ('a', 'b')", "\ntext_key 18 key 1,0 -> t61 t62\n");
    s_one(db, "ALTER TABLE text_key ADD COLUMN w INTEGER DEFAULT 7", false);
    pr_recorder_begin(recorder);
    s_one(db, "DELETE FROM text_key WHERE k = 'a'", false);
    assert_int_equal(pr_recorder_end(recorder, &changes, &size, &err), -PR_E_TARGET);
    assert_non_null(strstr(err.text, "recording changes: database schema has changed"));
    assert_int_equal(pr_recorder_table(recorder, "text_key", &err), 0);
    s_assert_recorded(db, recorder, "INSERT INTO text_key (k) VALUES ('c')",
                      "\ntext_key 18 key 1,0,0 -> t63 NULL i7\n");
    pr_recorder_destroy(&recorder);
    sqlite3_close(db);
}

static void test_nothing(void **state) {
    (void)state;
    sqlite3 *db = NULL;
    size_t size = 1;
    const void *changes = &size;
    pr_error_t err = PR_ERROR_INIT;
    s_open(&db);
    pr_recorder_t *recorder = pr_recorder_new(db);
    assert_int_equal(pr_recorder_table(recorder, "thing", &err), 0);
    s_one(db, "DELETE FROM thing WHERE id = 1", false); /* not while recording */
    pr_recorder_begin(recorder);
    s_one(db, "UPDATE thing SET name = name; INSERT INTO other VALUES (2)", false);
    assert_int_equal(pr_recorder_end(recorder, &changes, &size, &err), 0);
    assert_null(changes);
    assert_int_equal(size, 0);
    pr_recorder_destroy(&recorder);
    pr_recorder_destroy(&recorder);
    sqlite3_close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_a_session_does),
        cmocka_unit_test(test_default_of_an_added_column),
        cmocka_unit_test(test_schema_changes_between_recordings),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
