/* SPDX-License-Identifier: MIT */
/* common/affinity.c against SQLite itself: what is said to be stored as it is comes back as it was. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/affinity.h"
#include "tests/unit/bind.h"

static const char *const S_TYPES[] = {"INTEGER", "INT",      "BIGINT", "VARCHAR(10)", "TEXT",   "CLOB",
                                      "BLOB",    "",         "REAL",   "DOUBLE",      "FLOAT",  "NUMERIC",
                                      "DECIMAL", "DATETIME", "DATE",   "BOOLEAN",     "STRING", "FLOATING POINT",
                                      "CHARINT", "ANY"};
enum { S_TYPES_COUNT = sizeof S_TYPES / sizeof S_TYPES[0] };

#define S_TEXT(literal) pr_value_text(literal, sizeof literal - 1)

static size_t s_values(pr_value_t ret_values[80]) {
    static const int64_t integers[] = {0, 1, -1, 255, INT64_C(1) << 47, (INT64_C(1) << 53) + 1, INT64_MAX, INT64_MIN};
    static const double reals[] = {0.0, -0.0, 1.0, -1.5, 0.1, 1e15, 1e300, -1e300, 9007199254740993.0, 9.3e18, 5e-324};
    const pr_value_t texts[] = {S_TEXT(""),
                                S_TEXT("1"),
                                S_TEXT("-1.5"),
                                S_TEXT("+7"),
                                S_TEXT(" 12 "),
                                S_TEXT("1e3"),
                                S_TEXT("1E"),
                                S_TEXT("e"),
                                S_TEXT("."),
                                S_TEXT("-"),
                                S_TEXT(".5"),
                                S_TEXT("5."),
                                S_TEXT("0x10"),
                                S_TEXT("1 2"),
                                S_TEXT("\t3\n"),
                                S_TEXT("\v4\f\r"),
                                S_TEXT("12\0"),
                                S_TEXT("\0"),
                                S_TEXT("12\0 "),
                                S_TEXT("inf"),
                                S_TEXT("NaN"),
                                S_TEXT("1_0"),
                                S_TEXT("1,5"),
                                S_TEXT("2025-10-03"),
                                S_TEXT("2025-10-03 09:15:00"),
                                S_TEXT("1:2"),
                                S_TEXT("S14-5"),
                                S_TEXT("12a"),
                                S_TEXT("\xc3\xa9"),
                                S_TEXT("1\xc2\xa0"),
                                S_TEXT("99999999999999999999"),
                                S_TEXT("true"),
                                S_TEXT("1.0"),
                                S_TEXT("-0"),
                                S_TEXT("1e400")};
    size_t count = 0;
    ret_values[count++] = pr_value_null();
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        ret_values[count++] = pr_value_integer(integers[i]);
    for (size_t i = 0; i < sizeof reals / sizeof reals[0]; i++)
        ret_values[count++] = pr_value_real(reals[i]);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ret_values[count++] = texts[i];
    return count;
}

/* As it was; an integer in a REAL column as the real of that number. */
static bool s_came_back(pr_affinity_t affinity, sqlite3_value *stored, const pr_value_t *value) {
    int type = sqlite3_value_type(stored);
    double real = sqlite3_value_double(stored);
    switch (value->kind) {
    case PR_NULL:
        return type == SQLITE_NULL;
    case PR_INTEGER:
        if (affinity == PR_AFFINITY_REAL)
            return type == SQLITE_FLOAT && real == (double)value->integer;
        return type == SQLITE_INTEGER && sqlite3_value_int64(stored) == value->integer;
    case PR_REAL:
        return type == SQLITE_FLOAT && real == value->real && !signbit(real) == !signbit(value->real);
    case PR_TEXT:
        return type == SQLITE_TEXT && (size_t)sqlite3_value_bytes(stored) == value->text.size &&
               (value->text.size == 0 || memcmp(sqlite3_value_blob(stored), value->text.data, value->text.size) == 0);
    }
    return false;
}

static void test_as_sqlite_does(void **state) {
    (void)state;
    pr_value_t values[80];
    size_t count = s_values(values);
    size_t kept = 0;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (size_t t = 0; t < S_TYPES_COUNT; t++) {
        char sql[200];
        sqlite3_stmt *insert = NULL;
        snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS t; CREATE TABLE t (c %s)", S_TYPES[t]);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO t VALUES (?1) RETURNING c", -1, &insert, NULL), SQLITE_OK);
        sqlite3_stmt *read = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT c FROM t WHERE rowid = last_insert_rowid()", -1, &read, NULL),
                         SQLITE_OK);
        pr_affinity_t affinity = pr_affinity_of(S_TYPES[t]);
        for (size_t i = 0; i < count; i++) {
            pr_test_bind(insert, 1, &values[i]);
            while (sqlite3_step(insert) == SQLITE_ROW)
                continue;
            assert_int_equal(sqlite3_reset(insert), SQLITE_OK);
            assert_int_equal(sqlite3_step(read), SQLITE_ROW);
            bool keeps = pr_affinity_keeps(affinity, &values[i]);
            kept += keeps ? 1 : 0;
            if (keeps && !s_came_back(affinity, sqlite3_column_value(read, 0), &values[i]))
                fail_msg("a column %s: value %zu comes back as %s", S_TYPES[t], i, sqlite3_column_text(read, 0));
            sqlite3_reset(read);
        }
        sqlite3_finalize(insert);
        sqlite3_finalize(read);
    }
    assert_true(kept > S_TYPES_COUNT * count / 2); /* it is worth asking */
    sqlite3_close(db);
}

/* What the values of a run mostly are is known to be kept. */
static void test_what_is_kept(void **state) {
    (void)state;
    const pr_value_t moment = S_TEXT("2025-10-03 09:15:00");
    const pr_value_t number = S_TEXT("12");
    const pr_value_t seven = pr_value_integer(7);
    const pr_value_t null = pr_value_null();
    assert_true(pr_affinity_keeps(PR_AFFINITY_NUMERIC, &moment));
    assert_true(pr_affinity_keeps(PR_AFFINITY_TEXT, &number));
    assert_true(pr_affinity_keeps(PR_AFFINITY_INTEGER, &seven));
    assert_true(pr_affinity_keeps(PR_AFFINITY_REAL, &seven));
    assert_true(pr_affinity_keeps(PR_AFFINITY_REAL, &null));
    assert_false(pr_affinity_keeps(PR_AFFINITY_INTEGER, &number));
    assert_false(pr_affinity_keeps(PR_AFFINITY_TEXT, &seven));
}

static void test_of(void **state) {
    (void)state;
    assert_int_equal(pr_affinity_of(NULL), PR_AFFINITY_NONE);
    assert_int_equal(pr_affinity_of("integer"), PR_AFFINITY_INTEGER);
    assert_int_equal(pr_affinity_of("VARCHAR(10)"), PR_AFFINITY_TEXT);
    assert_int_equal(pr_affinity_of("REAL"), PR_AFFINITY_REAL);
    assert_int_equal(pr_affinity_of("DATETIME"), PR_AFFINITY_NUMERIC);
    assert_int_equal(pr_affinity_of("BLOB"), PR_AFFINITY_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_sqlite_does),
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
