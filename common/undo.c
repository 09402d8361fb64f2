/* SPDX-License-Identifier: MIT */
/* Recording how a commit can be taken back, in the commit itself. */

/*  DESIGN
 *
 *  A commit's undo is its changeset, in the format of SQLite's session extension (common/undo_record.c), stored in the
 *  very transaction that it describes: a crash leaves both or neither. Playing it back inverted takes the commit back
 *  (common/rollback.c).
 *
 *  Three things a changeset does not hold, and what is stored besides:
 *    sqlite_sequence     the counters before and after, where the commit moved them (pvrelay_undo_sequence). Both ends,
 *                        because a counter may be put back only while it is what the commit left: if somebody else took
 *                        ids since, putting it back would have ids used twice.
 *    the columns' names  a changeset knows columns by place. What the tables looked like is stored whenever it is not
 *                        what was stored last (pvrelay_shape), so that a table altered since is noticed before anything
 *                        is played back into it.
 *    tables without a declared primary key, and generated columns: refused at the start, as the extension cannot play
 *                        them back.
 *
 *  A row that a commit both inserts and changes is in the changeset once, as inserted in its final form; a row inserted
 *  and then taken back by a savepoint is not in it at all. So the numbers of a changeset can be smaller than what the
 *  commit counted.
 *
 *  Changesets repeat themselves (every row has a date, a token, mostly NULLs): zstd leaves about a tenth. Level 1 does
 *  nearly as well as the default and takes half its time.
 */
#include "common/undo.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/alloc.h"
#include "common/changeset.h"
#include "common/migrate.h"
#include "common/undo_record.h"

enum { s_level = 1, s_changes_max = 1 << 30 };

/* Books that go back with the rows. */
static const char *const S_BOOKS[] = {"pvrelay_touched", "pvrelay_finding", "pvrelay_made"};
enum { s_books_count = sizeof S_BOOKS / sizeof S_BOOKS[0] };

static const char S_STORE_SHAPE[] =
    "INSERT INTO pvrelay_shape (table_name, checkpoint, columns) SELECT ?1, ?2, now.columns FROM "
    "(SELECT json_group_array(json_array(name, type, pk)) AS columns FROM pragma_table_xinfo(?1)) AS now "
    "WHERE now.columns IS NOT "
    "(SELECT columns FROM pvrelay_shape WHERE table_name = ?1 ORDER BY checkpoint DESC LIMIT 1)";

#define S_SQLS(X)                                                                                                      \
    X(SCHEMA_VERSION, "PRAGMA schema_version")                                                                         \
    X(SEQUENCE, "SELECT seq FROM sqlite_sequence WHERE name = ?1")                                                     \
    X(UNDO, "INSERT INTO pvrelay_undo (checkpoint, size, changes) VALUES (?1, ?2, ?3)")                                \
    X(UNDO_SEQUENCE,                                                                                                   \
      "INSERT INTO pvrelay_undo_sequence (checkpoint, table_name, before, after) VALUES (?1, ?2, ?3, ?4)")             \
    X(SHAPE, S_STORE_SHAPE)

enum {
#define X(name, text) S_SQL_##name,
    S_SQLS(X)
#undef X
        S_SQL_COUNT
};

static const char *const S_TEXTS[] = {
#define X(name, text) [S_SQL_##name] = text,
    S_SQLS(X)
#undef X
};

static const char S_SQL_FIT[] =
    "SELECT ifnull(sum(pk > 0), 0), ifnull(sum(hidden >= 2), 0) FROM pragma_table_xinfo(?1)";

/* A table's id counter. */
typedef struct {
    bool there;
    int64_t value;
} s_sequence_t;

struct pr_undo {
    sqlite3 *db;
    char **tables;
    s_sequence_t *before; /* as tables */
    size_t count;
    sqlite3_stmt *statements[S_SQL_COUNT];
    pr_recorder_t *recorder;
    int64_t schema;        /* schema_version of the open transaction */
    int64_t schema_known;  /* the one that the recorder has seen; -1: none */
    int64_t shapes_stored; /* the one for which all shapes are known to be stored; -1: none */
    ZSTD_CCtx *packer;
    void *packed;
    size_t packed_room;
};

/* Step a statement that gives no row. */
static int s_done(const pr_undo_t *undo, sqlite3_stmt *statement, pr_error_t *err) {
    int result = sqlite3_step(statement) == SQLITE_DONE ? 0 : pr_migrate_fail(undo->db, "storing the undo", err);
    sqlite3_reset(statement);
    return result;
}

static int s_check_table(const pr_undo_t *undo, const char *table, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(undo->db, S_SQL_FIT, -1, &statement, NULL) != SQLITE_OK)
        return pr_migrate_fail(undo->db, "looking at the tables", err);
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    int result = 0;
    if (sqlite3_step(statement) != SQLITE_ROW)
        result = pr_migrate_fail(undo->db, "looking at the tables", err);
    else if (sqlite3_column_int(statement, 0) == 0)
        result =
            pr_error_set(err, PR_E_TARGET_SCHEMA,
                         "%s: table %s has no primary key, so that changes of it cannot be taken back; give it one, "
                         "or keep no undo (--undo off)",
                         sqlite3_db_filename(undo->db, "main"), table);
    else if (sqlite3_column_int(statement, 1) > 0)
        result = pr_error_set(err, PR_E_TARGET_SCHEMA,
                              "%s: table %s has generated columns, so that changes of it cannot be taken back; keep no "
                              "undo (--undo off)",
                              sqlite3_db_filename(undo->db, "main"), table);
    sqlite3_finalize(statement);
    return result;
}

static int s_prepare(pr_undo_t *undo, pr_error_t *err) {
    for (int i = 0; i < S_SQL_COUNT; i++) {
        if (sqlite3_prepare_v3(undo->db, S_TEXTS[i], -1, SQLITE_PREPARE_PERSISTENT, &undo->statements[i], NULL) !=
            SQLITE_OK)
            return pr_migrate_fail(undo->db, "preparing the undo", err);
    }
    return 0;
}

int pr_undo_new(sqlite3 *db, const char *const *tables, size_t count, pr_undo_t **ret_undo, pr_error_t *err) {
    pr_undo_t *undo = pr_xcalloc(1, sizeof *undo);
    undo->db = db;
    undo->schema_known = -1;
    undo->shapes_stored = -1;
    undo->recorder = pr_recorder_new(db);
    undo->tables = pr_xcalloc(count, sizeof *undo->tables);
    undo->before = pr_xcalloc(count, sizeof *undo->before);
    undo->packer = ZSTD_createCCtx();
    int result = undo->packer != NULL ? 0 : pr_error_set(err, PR_E_INTERNAL, "out of memory");
    if (result == 0) {
        ZSTD_CCtx_setParameter(undo->packer, ZSTD_c_compressionLevel, s_level);
        ZSTD_CCtx_setParameter(undo->packer, ZSTD_c_checksumFlag, 1);
    }
    for (size_t i = 0; i < count; i++)
        undo->tables[undo->count++] = pr_xstrdup(tables[i]);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = s_check_table(undo, tables[i], err);
    if (result == 0)
        result = s_prepare(undo, err);
    if (result == 0)
        *ret_undo = undo;
    else
        pr_undo_destroy(&undo);
    return result;
}

void pr_undo_destroy(pr_undo_t **undo) {
    if (undo == NULL || *undo == NULL)
        return;
    pr_undo_t *dying = *undo;
    pr_recorder_destroy(&dying->recorder);
    for (int i = 0; i < S_SQL_COUNT; i++)
        sqlite3_finalize(dying->statements[i]);
    for (size_t i = 0; i < dying->count; i++)
        free(dying->tables[i]);
    free(dying->tables);
    free(dying->before);
    ZSTD_freeCCtx(dying->packer);
    free(dying->packed);
    free(dying);
    *undo = NULL;
}

void pr_undo_drop(pr_undo_t *undo) {
    if (undo == NULL)
        return;
    pr_recorder_drop(undo->recorder);
    undo->shapes_stored = -1; /* what the transaction stored may be gone with it */
}

static int s_read_sequence(pr_undo_t *undo, const char *table, s_sequence_t *ret_sequence, pr_error_t *err) {
    sqlite3_stmt *statement = undo->statements[S_SQL_SEQUENCE];
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    int result = 0;
    if (step == SQLITE_ROW)
        *ret_sequence = (s_sequence_t){.there = true, .value = sqlite3_column_int64(statement, 0)};
    else if (step == SQLITE_DONE)
        *ret_sequence = (s_sequence_t){.there = false};
    else
        result = pr_migrate_fail(undo->db, "reading sqlite_sequence", err);
    sqlite3_reset(statement);
    return result;
}

static int s_read_schema(pr_undo_t *undo, pr_error_t *err) {
    sqlite3_stmt *statement = undo->statements[S_SQL_SCHEMA_VERSION];
    int result = 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        undo->schema = sqlite3_column_int64(statement, 0);
    else
        result = pr_migrate_fail(undo->db, "reading schema_version", err);
    sqlite3_reset(statement);
    return result;
}

/* The recorder's columns are those of the tables as they are now. */
static int s_follow_schema(pr_undo_t *undo, pr_error_t *err) {
    int result = s_read_schema(undo, err);
    if (result < 0 || undo->schema == undo->schema_known)
        return result;
    for (size_t i = 0; result == 0 && i < undo->count; i++)
        result = pr_recorder_table(undo->recorder, undo->tables[i], err);
    for (size_t i = 0; result == 0 && i < s_books_count; i++)
        result = pr_recorder_table(undo->recorder, S_BOOKS[i], err);
    if (result == 0)
        undo->schema_known = undo->schema;
    return result;
}

int pr_undo_begin(pr_undo_t *undo, pr_error_t *err) {
    int result = s_follow_schema(undo, err);
    for (size_t i = 0; result == 0 && i < undo->count; i++)
        result = s_read_sequence(undo, undo->tables[i], &undo->before[i], err);
    if (result == 0)
        pr_recorder_begin(undo->recorder);
    return result;
}

void pr_undo_mark(pr_undo_t *undo) {
    pr_recorder_mark(undo->recorder);
}

void pr_undo_rewind(pr_undo_t *undo) {
    pr_recorder_rewind(undo->recorder);
}

void pr_undo_given(pr_undo_t *undo, const pr_given_t *given) {
    pr_recorder_given(undo->recorder, given);
}

static int s_store_changes(pr_undo_t *undo, int64_t checkpoint, const void *changes, size_t size, pr_error_t *err) {
    sqlite3_stmt *statement = undo->statements[S_SQL_UNDO];
    size_t packed = 0;
    if (size > 0) {
        size_t room = ZSTD_compressBound(size);
        if (room > undo->packed_room) {
            undo->packed = pr_xrealloc(undo->packed, room);
            undo->packed_room = room;
        }
        packed = ZSTD_compress2(undo->packer, undo->packed, undo->packed_room, changes, size);
        if (ZSTD_isError(packed))
            return pr_error_set(err, PR_E_INTERNAL, "packing the undo: %s", ZSTD_getErrorName(packed));
    }
    sqlite3_bind_int64(statement, 1, checkpoint);
    sqlite3_bind_int64(statement, 2, (int64_t)size);
    if (packed > 0)
        sqlite3_bind_blob64(statement, 3, undo->packed, packed, SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(statement, 3, 0);
    return s_done(undo, statement, err);
}

static int s_store_sequence(pr_undo_t *undo, int64_t checkpoint, size_t table, pr_error_t *err) {
    sqlite3_stmt *statement = undo->statements[S_SQL_UNDO_SEQUENCE];
    const s_sequence_t *before = &undo->before[table];
    s_sequence_t after = {.there = false};
    int result = s_read_sequence(undo, undo->tables[table], &after, err);
    if (result < 0 || !after.there || (before->there && before->value == after.value))
        return result;
    sqlite3_bind_int64(statement, 1, checkpoint);
    sqlite3_bind_text(statement, 2, undo->tables[table], -1, SQLITE_STATIC);
    if (before->there)
        sqlite3_bind_int64(statement, 3, before->value);
    else
        sqlite3_bind_null(statement, 3);
    sqlite3_bind_int64(statement, 4, after.value);
    return s_done(undo, statement, err);
}

/* The shapes that are not what was stored last; the statement itself compares. */
static int s_store_shapes(pr_undo_t *undo, int64_t checkpoint, pr_error_t *err) {
    sqlite3_stmt *statement = undo->statements[S_SQL_SHAPE];
    int result = 0;
    if (undo->shapes_stored == undo->schema)
        return 0;
    for (size_t i = 0; result == 0 && i < undo->count; i++) {
        sqlite3_bind_text(statement, 1, undo->tables[i], -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, checkpoint);
        result = s_done(undo, statement, err);
    }
    if (result == 0)
        undo->shapes_stored = undo->schema;
    return result;
}

int pr_undo_store(pr_undo_t *undo, int64_t checkpoint, pr_error_t *err) {
    size_t size = 0;
    const void *changes = NULL;
    int result = pr_recorder_end(undo->recorder, &changes, &size, err);
    if (result == 0)
        result = s_store_changes(undo, checkpoint, changes, size, err);
    for (size_t i = 0; result == 0 && i < undo->count; i++)
        result = s_store_sequence(undo, checkpoint, i, err);
    return result == 0 ? s_store_shapes(undo, checkpoint, err) : result;
}

int pr_undo_unpack(const void *blob, size_t blob_size, size_t size, void **ret_changes, pr_error_t *err) {
    if (blob_size == 0 && size == 0) {
        *ret_changes = NULL;
        return 0;
    }
    if (size == 0 || size > s_changes_max || ZSTD_getFrameContentSize(blob, blob_size) != size)
        return pr_error_set(err, PR_E_TARGET, "its size is not what was stored");
    void *changes = malloc(size); /* what was stored may be made up: not to be had is no end of the process */
    if (changes == NULL)
        return pr_error_set(err, PR_E_TARGET, "there is no memory for its %zu bytes", size);
    size_t unpacked = ZSTD_decompress(changes, size, blob, blob_size);
    if (ZSTD_isError(unpacked) || unpacked != size) {
        free(changes);
        return pr_error_set(err, PR_E_TARGET, "%s",
                            ZSTD_isError(unpacked) ? ZSTD_getErrorName(unpacked) : "it is too short");
    }
    int result = pr_changeset_check(changes, size, err);
    if (result == 0)
        *ret_changes = changes;
    else
        free(changes);
    return result;
}

bool pr_undo_is_book(const char *table) {
    for (size_t i = 0; i < s_books_count; i++) {
        if (sqlite3_stricmp(table, S_BOOKS[i]) == 0)
            return true;
    }
    return false;
}
