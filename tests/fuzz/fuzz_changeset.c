/* SPDX-License-Identifier: MIT */
/* Fuzz: any bytes as the undo of a commit. What pr_changeset_check lets through SQLite reads to its end, inverts and
 * applies; as a stored frame it unpacks to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>
#include <zstd.h>

#include "common/alloc.h"
#include "common/changeset.h"
#include "common/undo.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* SQLite 3.40 does not free a value of a change that it cannot apply. */
const char *__lsan_default_suppressions(void) {
    return "leak:libsqlite3";
}

static sqlite3 *s_db;

static void s_do(const char *sql) {
    if (sqlite3_exec(s_db, sql, NULL, NULL, NULL) != SQLITE_OK)
        abort();
}

/* The tables of the seeds. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    if (sqlite3_open(":memory:", &s_db) != SQLITE_OK)
        abort();
    s_do("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d);"
         "CREATE TABLE \"u v\" (x, y, PRIMARY KEY (y, x)) WITHOUT ROWID;"
         "INSERT INTO t VALUES (1, 'new', 3.5, 'four', NULL), (7, 1099511627776, 0.1, 'x', x'00')");
    return 0;
}

static int s_conflict(void *context, int kind, sqlite3_changeset_iter *change) {
    (void)context;
    (void)change;
    return kind == SQLITE_CHANGESET_DATA || kind == SQLITE_CHANGESET_CONFLICT ? SQLITE_CHANGESET_REPLACE
                                                                              : SQLITE_CHANGESET_OMIT;
}

/* To its end, or to an error; each change takes at least one byte. */
static void s_walk(void *changes, size_t size) {
    sqlite3_changeset_iter *change = NULL;
    size_t count = 0;
    int step;
    if (sqlite3changeset_start(&change, (int)size, changes) != SQLITE_OK)
        abort();
    while ((step = sqlite3changeset_next(change)) == SQLITE_ROW) {
        if (++count > size)
            abort();
    }
    sqlite3changeset_finalize(change);
}

static void s_invert(void *changes, size_t size) {
    void *inverted = NULL;
    int inverted_size = 0;
    if (sqlite3changeset_invert((int)size, changes, &inverted_size, &inverted) == SQLITE_OK)
        s_walk(inverted, (size_t)inverted_size);
    sqlite3_free(inverted);
}

static void s_check_frame(const void *changes, size_t size) {
    size_t room = ZSTD_compressBound(size);
    void *frame = pr_xmalloc(room);
    void *again = NULL;
    size_t packed = ZSTD_compress(frame, room, changes, size, 1);
    if (ZSTD_isError(packed) || pr_undo_unpack(frame, packed, size, &again, NULL) < 0 ||
        memcmp(again, changes, size) != 0)
        abort();
    free(again);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_error_t problem = PR_ERROR_INIT;
    if (size == 0)
        return 0;
    if (pr_changeset_check(data, size, &problem) < 0) {
        void *changes = NULL;
        if (problem.code != PR_E_TARGET || problem.text[0] == '\0')
            abort();
        /* The same bytes as what is stored: first byte the size. */
        if (pr_undo_unpack(data + 1, size - 1, data[0], &changes, NULL) == 0)
            free(changes);
        return 0;
    }
    void *exact = pr_xmalloc(size); /* so that a read beyond its end is seen */
    memcpy(exact, data, size);
    s_walk(exact, size);
    s_invert(exact, size);
    s_do("BEGIN");
    (void)sqlite3changeset_apply_v2(s_db, (int)size, exact, NULL, s_conflict, NULL, NULL, NULL,
                                    SQLITE_CHANGESETAPPLY_INVERT);
    if (sqlite3_get_autocommit(s_db) == 0)
        s_do("ROLLBACK");
    s_check_frame(exact, size);
    free(exact);
    return 0;
}
