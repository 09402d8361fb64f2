/* SPDX-License-Identifier: MIT */
/* What is a changeset passes; what is none is refused before SQLite sees it, wherever it was spoilt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>
#include <zstd.h>

#include "common/changeset.h"
#include "common/undo.h"

/* A changeset of all kinds of changes and values, by SQLite itself. *Returns new* (sqlite3_free). */
static void *s_make(int *ret_size) {
    sqlite3 *db = NULL;
    sqlite3_session *session = NULL;
    void *changes = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d); CREATE TABLE \"u v\" (x, y, "
                                  "PRIMARY KEY (y, x)) WITHOUT ROWID;"
                                  "INSERT INTO t VALUES (1, 2, 3.5, 'four', x'05'), (2, NULL, '', x'', -1), (3, 1, 1, "
                                  "1, 1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3session_create(db, "main", &session), SQLITE_OK);
    sqlite3session_attach(session, NULL);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO t VALUES (7, 1 << 40, 0.1, printf('%.300c', 'x'), zeroblob(200));"
                                  "UPDATE t SET a = 'new', d = NULL WHERE id < 3; DELETE FROM t WHERE id = 3;"
                                  "INSERT INTO \"u v\" VALUES ('a', 'b'), (1, 2); DELETE FROM \"u v\" WHERE x = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3session_changeset(session, ret_size, &changes), SQLITE_OK);
    sqlite3session_delete(session);
    sqlite3_close(db);
    assert_true(*ret_size > 600);
    return changes;
}

static int s_check(const void *changes, size_t size) {
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_changeset_check(changes, size, &err);
    assert_int_equal(result, -(int)err.code);
    assert_true(result == 0 || strncmp(err.text, "at byte ", 8) == 0);
    return result;
}

static void test_what_sqlite_makes_passes(void **state) {
    (void)state;
    int size = 0;
    void *changes = s_make(&size);
    assert_int_equal(s_check(changes, (size_t)size), 0);
    assert_int_equal(s_check("", 0), 0);
    sqlite3_free(changes);
}

static void test_what_is_cut_off_is_refused(void **state) {
    (void)state;
    int size = 0;
    int whole = 0;
    char *changes = s_make(&size);
    for (size_t cut = 1; cut < (size_t)size; cut++) {
        char *part = malloc(cut); /* a byte too far is seen by the sanitizer */
        memcpy(part, changes, cut);
        whole += s_check(part, cut) == 0 ? 1 : 0;
        free(part);
    }
    assert_in_range(whole, 1, 12); /* between changes */
    sqlite3_free(changes);
}

/* Each byte with each value: what passes, SQLite walks to its end. */
static void test_what_passes_ends(void **state) {
    (void)state;
    int size = 0;
    unsigned refused = 0;
    unsigned char *changes = s_make(&size);
    for (int at = 0; at < size; at++) {
        unsigned char before = changes[at];
        for (unsigned value = 0; value < 256; value += at < 60 ? 1 : 17) {
            changes[at] = (unsigned char)value;
            if (s_check(changes, (size_t)size) < 0) {
                refused++;
                continue;
            }
            sqlite3_changeset_iter *walk = NULL;
            int steps = 0;
            assert_int_equal(sqlite3changeset_start(&walk, size, changes), SQLITE_OK);
            while (sqlite3changeset_next(walk) == SQLITE_ROW)
                assert_true(++steps < size);
            sqlite3changeset_finalize(walk);
        }
        changes[at] = before;
    }
    assert_true(refused > 1000);
    sqlite3_free(changes);
}

static void s_wrong(const char *changes, size_t size, const char *expected) {
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_changeset_check(changes, size, &err), -PR_E_TARGET);
    assert_string_equal(err.text, expected);
}

static void test_messages(void **state) {
    (void)state;
#define WRONG(bytes, expected) s_wrong(bytes, sizeof(bytes) - 1, expected)
    WRONG("T\xff", "at byte 2 of its changeset it ends too early");
    WRONG("T\xff\xff\xff\xff\xff\xff", "at byte 6 of its changeset a length is too large");
    WRONG("T\x00", "at byte 2 of its changeset a table has no such number of columns");
    WRONG("T\x02\x00\x00t\x00", "at byte 4 of its changeset a table has no primary key");
    WRONG("T\x01\x01t", "at byte 3 of its changeset a table has no name");
    WRONG("P\x01\x01t\x00", "at byte 1 of its changeset a change is of no table");
    WRONG("T\x01\x01t\x00\x63\x00", "at byte 7 of its changeset a change is of no kind");
    WRONG("T\x01\x01t\x00\x12\x00\x06", "at byte 8 of its changeset a value is of no type");
    WRONG("T\x01\x01t\x00\x12\x00\x00", "at byte 8 of its changeset a value is left out");
    WRONG("T\x01\x01t\x00\x12\x00\x01\x00", "at byte 8 of its changeset it ends too early");
    WRONG("T\x01\x01t\x00\x12\x00\x03\x7fxx", "at byte 9 of its changeset it ends too early");
#undef WRONG
}

/* As it stands in a target: packed. */
static void test_an_undo_is_looked_at(void **state) {
    (void)state;
    static const char hostile[] = "T\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    char packed[256];
    void *changes = NULL;
    pr_error_t err = PR_ERROR_INIT;
    size_t size = ZSTD_compress(packed, sizeof packed, hostile, sizeof hostile - 1, 1);
    assert_false(ZSTD_isError(size));
    assert_int_equal(pr_undo_unpack(packed, size, sizeof hostile - 1, &changes, &err), -PR_E_TARGET);
    assert_string_equal(err.text, "at byte 6 of its changeset a length is too large");
    assert_null(changes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_sqlite_makes_passes), cmocka_unit_test(test_what_is_cut_off_is_refused),
        cmocka_unit_test(test_what_passes_ends),         cmocka_unit_test(test_messages),
        cmocka_unit_test(test_an_undo_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
