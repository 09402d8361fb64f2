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
#include "tests/unit/bind.h"

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

/* What the recorder says of the case is what the session says; both end, and their databases. */
static void s_end_case(s_pair_t *pair, sqlite3_session **session, pr_recorder_t **recorder, const char *name) {
    pr_error_t err = PR_ERROR_INIT;
    void *theirs = NULL;
    const void *ours = NULL;
    int theirs_size = 0;
    size_t ours_size = 0;
    assert_int_equal(sqlite3session_changeset(*session, &theirs_size, &theirs), SQLITE_OK);
    if (pr_recorder_end(*recorder, &ours, &ours_size, &err) != 0)
        fail_msg("%s: %s", name, err.text);
    char *expected = s_print(theirs, (size_t)theirs_size);
    char *recorded = s_print(ours, ours_size);
    if (strcmp(expected, recorded) != 0)
        fail_msg("%s: a session records:%sthe recorder:%s", name, expected, recorded);
    sqlite3_free(expected);
    sqlite3_free(recorded);
    sqlite3_free(theirs);
    sqlite3session_delete(*session);
    pr_recorder_destroy(recorder);
    sqlite3_close(pair->session_db);
    sqlite3_close(pair->recorder_db);
}

static void s_case(unsigned seed) {
    char name[32];
    snprintf(name, sizeof name, "seed %u", seed);
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
    s_end_case(&pair, &session, &recorder, name);
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

/* ---- rows whose values are given ---- */

enum { s_given_columns = 9, s_given_rows = 6 };

static const char *const S_GIVEN[s_given_columns] = {"w", "t", "r", "n", "d", "b", "x", NULL, "key"};

/* Tables with these columns; in all but the first two of which not all can be known beforehand. */
static const struct {
    const char *sql;
    bool believed;
} s_given_tables[] = {
#define S_COLUMNS "w INTEGER, t TEXT, r REAL, n NUMERIC, d DATETIME, b BLOB, x, key TEXT"
    {"CREATE TABLE g (id INTEGER PRIMARY KEY AUTOINCREMENT, " S_COLUMNS ", more TEXT, UNIQUE (key))", true},
    {"CREATE TABLE g (" S_COLUMNS " UNIQUE, more, id INTEGER PRIMARY KEY AUTOINCREMENT)", true},
    {"CREATE TABLE g (id INTEGER PRIMARY KEY, " S_COLUMNS ")", false},
    {"CREATE TABLE g (id INTEGER PRIMARY KEY AUTOINCREMENT, " S_COLUMNS ", more TEXT DEFAULT 'red')", false},
    {"CREATE TABLE g (id INTEGER PRIMARY KEY AUTOINCREMENT, " S_COLUMNS ", UNIQUE (key) ON CONFLICT IGNORE)", false},
    {"CREATE TABLE g (id INTEGER PRIMARY KEY AUTOINCREMENT, " S_COLUMNS " UNIQUE On /* */ Conflict REPLACE)", false},
    {"CREATE TABLE g (" S_COLUMNS ", PRIMARY KEY (key)) WITHOUT ROWID", false},
#undef S_COLUMNS
};
enum { s_given_tables_count = sizeof s_given_tables / sizeof s_given_tables[0] };

static pr_value_t s_given_value(s_pair_t *pair) {
    static const char *const texts[] = {"", "12", "1e5", " 7", "2025-10-03 09:15:00", "S14-5", "\xc3\xa9", "0x1", "-"};
    static const double reals[] = {0.0, -0.0, 2.0, 1.5, -1e300, 9007199254740993.0};
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1 << 20};
    switch (s_random(pair, 5)) {
    case 0:
        return pr_value_null();
    case 1:
        return pr_value_integer(integers[s_random(pair, 6)]);
    case 2:
        return pr_value_real(reals[s_random(pair, 6)]);
    case 3:
        return pr_value_text("a\0b", 3);
    default: {
        const char *text = texts[s_random(pair, 9)];
        return pr_value_text(text, strlen(text));
    }
    }
}

/* Insert rows (those of values, which is s_given_columns wide) by one statement. Returns SQLite's code. */
static int s_insert_given(sqlite3 *db, const pr_value_t *values, size_t rows) {
    sqlite3_stmt *statement = NULL;
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendall(sql, "INSERT INTO g (w, t, r, n, d, b, x, key) VALUES ");
    for (size_t r = 0; r < rows; r++)
        sqlite3_str_appendf(sql, "%s(?, ?, ?, ?, ?, ?, ?, ?)", r > 0 ? ", " : "");
    char *text = sqlite3_str_finish(sql);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    sqlite3_free(text);
    int at = 1;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < s_given_columns; c++)
            if (S_GIVEN[c] != NULL)
                pr_test_bind(statement, at++, &values[r * s_given_columns + c]);
    sqlite3_step(statement);
    return sqlite3_finalize(statement);
}

static pr_given_t s_given(const pr_value_t *values, size_t rows) {
    return (pr_given_t){.table = "G",
                        .columns = S_GIVEN,
                        .columns_count = s_given_columns,
                        .values = values,
                        .width = s_given_columns,
                        .rows = rows};
}

/* Rows with keys that now and then were there before. */
static size_t s_draw(s_pair_t *pair, pr_value_t *ret_values, char keys[s_given_rows][16]) {
    size_t rows = 1 + s_random(pair, s_given_rows);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < s_given_columns; c++)
            ret_values[r * s_given_columns + c] = s_given_value(pair);
        snprintf(keys[r], sizeof keys[r], "k%u", s_random(pair, 80));
        ret_values[r * s_given_columns + s_given_columns - 1] = pr_value_text(keys[r], strlen(keys[r]));
    }
    return rows;
}

static void s_given_case(size_t table, unsigned seed) {
    char name[48];
    snprintf(name, sizeof name, "table %zu, seed %u", table, seed);
    s_pair_t pair = {.random = seed * 77777u + table};
    pr_error_t err = PR_ERROR_INIT;
    sqlite3_session *session = NULL;
    assert_int_equal(sqlite3_open(":memory:", &pair.session_db), SQLITE_OK);
    assert_int_equal(sqlite3_open(":memory:", &pair.recorder_db), SQLITE_OK);
    s_both(&pair, s_given_tables[table].sql);
    pr_recorder_t *recorder = pr_recorder_new(pair.recorder_db);
    assert_int_equal(sqlite3session_create(pair.session_db, "main", &session), SQLITE_OK);
    assert_int_equal(pr_recorder_table(recorder, "g", &err), 0);
    assert_int_equal(sqlite3session_attach(session, "g"), SQLITE_OK);
    pr_recorder_begin(recorder);
    for (unsigned i = 0; i < 8; i++) {
        char keys[s_given_rows][16];
        pr_value_t values[s_given_rows * s_given_columns];
        size_t rows = s_draw(&pair, values, keys);
        const pr_given_t given = s_given(values, rows);
        pr_recorder_mark(recorder);
        pr_recorder_given(recorder, &given);
        int code = s_insert_given(pair.session_db, values, rows);
        assert_int_equal(s_insert_given(pair.recorder_db, values, rows), code);
        if (code == SQLITE_OK)
            pr_recorder_given(recorder, NULL);
        else
            pr_recorder_rewind(recorder);
        s_both(&pair, s_random(&pair, 2) == 0 ? "UPDATE g SET t = 'other' WHERE w > 0" : "DELETE FROM g WHERE x = 1");
    }
    s_end_case(&pair, &session, &recorder, name);
}

static void test_given_as_a_session_does(void **state) {
    (void)state;
    for (size_t table = 0; table < s_given_tables_count; table++)
        for (unsigned seed = 1; seed <= 120; seed++)
            s_given_case(table, seed);
}

/* A lie shows what is believed: where not all can be known, nothing is. */
static void test_when_the_given_is_believed(void **state) {
    (void)state;
    for (size_t table = 0; table < s_given_tables_count; table++) {
        sqlite3 *db = NULL;
        pr_error_t err = PR_ERROR_INIT;
        const void *changes = NULL;
        size_t size = 0;
        pr_value_t truth[s_given_columns];
        pr_value_t lie[s_given_columns];
        for (size_t c = 0; c < s_given_columns; c++)
            truth[c] = lie[c] = pr_value_text("true", 4);
        lie[1] = pr_value_text("lie", 3);
        assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
        s_one(db, s_given_tables[table].sql, false);
        pr_recorder_t *recorder = pr_recorder_new(db);
        assert_int_equal(pr_recorder_table(recorder, "g", &err), 0);
        for (int convertible = 0; convertible < 2; convertible++) {
            if (convertible) /* a text that a column of numbers may convert */
                lie[0] = truth[0] = pr_value_text("12", 2);
            const pr_given_t given = s_given(lie, 1);
            pr_recorder_begin(recorder);
            pr_recorder_given(recorder, &given);
            assert_int_equal(s_insert_given(db, truth, 1), SQLITE_OK);
            pr_recorder_given(recorder, NULL);
            assert_int_equal(pr_recorder_end(recorder, &changes, &size, &err), 0);
            char *text = s_print(changes, size);
            bool believed = strstr(text, "t6c6965") != NULL;
            if (believed != (s_given_tables[table].believed && !convertible))
                fail_msg("table %zu: %s", table, text);
            sqlite3_free(text);
            s_one(db, "DELETE FROM g", false);
        }
        pr_recorder_destroy(&recorder);
        sqlite3_close(db);
    }
}

/* A statement that inserts more or less than it said: nothing of it may be recorded as if it were right. */
static void test_other_rows_than_given(void **state) {
    (void)state;
    for (size_t said = 1; said <= 3; said++) {
        sqlite3 *db = NULL;
        pr_error_t err = PR_ERROR_INIT;
        const void *changes = NULL;
        size_t size = 0;
        char keys[s_given_rows][16];
        s_pair_t pair = {.random = said};
        pr_value_t values[s_given_rows * s_given_columns];
        s_draw(&pair, values, keys);
        for (size_t i = 0; i < 3 * s_given_columns; i++)
            values[i] = pr_value_null();
        assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
        s_one(db, s_given_tables[0].sql, false);
        pr_recorder_t *recorder = pr_recorder_new(db);
        assert_int_equal(pr_recorder_table(recorder, "g", &err), 0);
        pr_recorder_begin(recorder);
        const pr_given_t given = s_given(values, said);
        pr_recorder_given(recorder, &given);
        assert_int_equal(s_insert_given(db, values, 2), SQLITE_OK);
        pr_recorder_given(recorder, NULL);
        assert_int_equal(pr_recorder_end(recorder, &changes, &size, &err), said == 2 ? 0 : -PR_E_TARGET);
        if (said != 2)
            assert_non_null(strstr(err.text, "a statement inserted other rows than it was given"));
        pr_recorder_begin(recorder); /* the next recording knows nothing of it */
        s_one(db, "INSERT INTO g (key) VALUES ('x')", false);
        assert_int_equal(pr_recorder_end(recorder, &changes, &size, &err), 0);
        pr_recorder_destroy(&recorder);
        sqlite3_close(db);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_a_session_does),
        cmocka_unit_test(test_default_of_an_added_column),
        cmocka_unit_test(test_schema_changes_between_recordings),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_given_as_a_session_does),
        cmocka_unit_test(test_when_the_given_is_believed),
        cmocka_unit_test(test_other_rows_than_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
