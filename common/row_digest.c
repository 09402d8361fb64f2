/* SPDX-License-Identifier: MIT */
/* What pvrelay last stored in each row, as a digest, by table and row id. */

/*  DESIGN
 *
 *  What a row is digested by: the columns that a replay would change (not the natural key, by which the row is found; not
 *  columns that are only set with a new row; not derived columns, which no export holds), as SQLite has stored them. All
 *  rows of the mapping that go into a table share one list of columns, the table's shape. Only mapped columns count: what
 *  others write into columns of their own is their business. A trigger of the HUB that dates `updated_at` is a change by
 *  others like any other, if the mapping fills that column.
 *
 *  48 bits of XXH3 over kinds and contents; numbers that SQLite takes for equal (2 and 2.0) are the same. A row that
 *  others changed passes for ours once in 2^48 (3.6e-15 a changed row; a million changed rows: 4e-9). The other way round
 *  nothing can go wrong: a row that is as it was stored has the digest that was stored. Where SQLite may convert a given
 *  value (common/affinity.h) the row is read back, and what is there is digested.
 *
 *  States of a row: no digest (never written by us); its newest digest is what the row holds (ours); it is not (changed).
 *  The newest is that of the highest checkpoint; a batch's own, not stored yet, is newer than all of them.
 *
 *  In the target: a commit stores the digests of the rows that it inserted or changed, packed by pages of 16,384 ids:
 *  pages, so that the newest digest of one row is found by reading the few blobs of its page, however many commits
 *  there are and however they are spread. Written in the commit's own transaction: a crash leaves both or neither. A
 *  rollback deletes those of the checkpoints it takes back, in its transaction, and what was stored before counts again
 *  (common/rollback.c). Undo is not needed for any of this.
 *
 *      blob   = runs, digests
 *      runs   = varint count, count * (varint gap, varint length)      ids in the page: `gap` are left out, `length` follow
 *      digest = 6 bytes, little-endian, never 0
 *
 *  So 6 bytes and a little a row, for each commit that wrote it. A digest that a later one supersedes is needed as long as
 *  a rollback can make it the newest again. Of checkpoints at or before one that cannot be rolled back (undo off, sealed)
 *  none can: when a run ends, their pages are merged, and only the newest digest of a row stays (pr_row_digests_merge).
 *  Pages with several shapes are left as they are: in one blob there is room for one.
 *
 *  Measured, 100,000 modules of the generator: 6.0 bytes a row in the blobs, 6.2 with pages and indexes; 90 ns a row to digest
 *  11 columns, 20 ns to store it.
 *
 *  Nothing is read while rows do not differ. Pages that are read are kept (S_SLOTS of them, 128 KiB each) and moved along
 *  with what is noted; each noted row remembers what it replaced there, so that a record that is taken back, or a batch,
 *  leaves the pages as they were. Invariant: a page that is kept shows what the target has, overlaid by all noted rows.
 *
 *  The mapping may change between runs, and the shape with it. A blob names its shape: a row is then digested by the
 *  columns of that time, and what the mapping has come to since counts as others' unless it is NULL or the default.
 */
#include "common/row_digest.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/affinity.h"
#include "common/alloc.h"
#include "common/json.h"
#include "common/migrate.h"

enum { S_PAGE_BITS = 14, S_PAGE = 1 << S_PAGE_BITS, S_SLOTS = 128, S_DIGEST_BYTES = 6, S_SHAPES_MAX = UINT16_MAX };

/* A digest and, above it, the shape it was made by: index into shapes + 1. 0: none. */
typedef uint64_t s_mark_t;
#define S_DIGEST_BITS 48
#define S_DIGEST_MASK ((UINT64_C(1) << S_DIGEST_BITS) - 1)

/* A row noted in the open transaction. */
typedef struct {
    size_t table;
    int64_t id;
    s_mark_t mark;
    s_mark_t before; /* what its page had, if that is kept */
    size_t order;    /* for sorting: of several of one row the last counts */
} s_noted_t;

typedef struct {
    const char *name;
    const char **columns;
    pr_affinity_t *affinities;
    size_t count;
    char *shape_text;   /* columns as JSON */
    size_t shape;       /* index into shapes */
    sqlite3_stmt *read; /* the columns, by id */
} s_table_t;

/* Column lists that digests of the target were made by, as met so far. */
typedef struct {
    int64_t number; /* pvrelay_row_shape.shape; 0: not stored yet */
    size_t table;
    sqlite3_stmt *read; /* its columns, by id; NULL: not asked yet, or the table has not all of them any more */
    char *text;         /* JSON */
    bool asked;
} s_shape_t;

typedef struct {
    bool valid;
    size_t table;
    int64_t page;
    s_mark_t *at; /* S_PAGE */
} s_slot_t;

#define S_SQLS(X)                                                                                                      \
    X(PAGE, "SELECT checkpoint, shape, digests FROM pvrelay_row_digest WHERE table_name = ?1 AND page = ?2 AND "       \
            "checkpoint <= ?3 ORDER BY checkpoint")                                                                    \
    X(PAGE_WRITERS, "SELECT checkpoint, digests FROM pvrelay_row_digest WHERE table_name = ?1 AND page = ?2 ORDER BY " \
                    "checkpoint DESC")                                                                                 \
    X(STORE, "INSERT INTO pvrelay_row_digest (table_name, page, checkpoint, shape, digests) VALUES (?1, ?2, ?3, ?4, "  \
             "?5)")                                                                                                    \
    X(MERGEABLE, "SELECT table_name, page, max(checkpoint) FROM pvrelay_row_digest WHERE checkpoint <= ?1 GROUP BY "   \
                 "table_name, page HAVING count(*) > 1 AND min(shape) = max(shape)")                                   \
    X(MERGED, "UPDATE pvrelay_row_digest SET digests = ?4 WHERE table_name = ?1 AND page = ?2 AND checkpoint = ?3")    \
    X(SUPERSEDED, "DELETE FROM pvrelay_row_digest WHERE table_name = ?1 AND page = ?2 AND checkpoint < ?3")            \
    X(SHAPE_FIND, "SELECT shape FROM pvrelay_row_shape WHERE table_name = ?1 AND columns = ?2")                        \
    X(SHAPE_ADD, "INSERT INTO pvrelay_row_shape (table_name, columns) VALUES (?1, ?2)")                                \
    X(SHAPE_READ, "SELECT table_name, columns FROM pvrelay_row_shape WHERE shape = ?1")                                \
    X(SHAPE_COLUMNS, "SELECT value FROM json_each(?1)")                                                                \
    X(SHAPE_HAS, "SELECT 1 FROM json_each(?1) WHERE value = ?2")

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

struct pr_row_digests {
    sqlite3 *db;
    sqlite3_stmt *statements[S_SQL_COUNT];
    s_table_t *tables;
    size_t tables_count;
    s_shape_t *shapes;
    size_t shapes_count;
    s_noted_t *noted;
    size_t noted_count, noted_room;
    s_slot_t slots[S_SLOTS];
    unsigned char *bytes; /* room for a row's bytes, or a blob */
    size_t bytes_room;
};

static int s_fail(const pr_row_digests_t *digests, const char *doing, pr_error_t *err) {
    return pr_migrate_fail(digests->db, doing, err);
}

static unsigned char *s_room(pr_row_digests_t *digests, size_t size) {
    if (size > digests->bytes_room) {
        digests->bytes_room = size < 4096 ? 4096 : 2 * size;
        digests->bytes = pr_xrealloc(digests->bytes, digests->bytes_room);
    }
    return digests->bytes;
}

/* ---- Making ---- */

pr_row_digests_t *pr_row_digests_new(sqlite3 *db) {
    pr_row_digests_t *digests = pr_xcalloc(1, sizeof *digests);
    digests->db = db;
    return digests;
}

void pr_row_digests_destroy(pr_row_digests_t **digests) {
    if (digests == NULL || *digests == NULL)
        return;
    pr_row_digests_t *dying = *digests;
    for (int i = 0; i < S_SQL_COUNT; i++)
        sqlite3_finalize(dying->statements[i]);
    for (size_t i = 0; i < dying->tables_count; i++) {
        sqlite3_finalize(dying->tables[i].read);
        free(dying->tables[i].columns);
        free(dying->tables[i].affinities);
        free(dying->tables[i].shape_text);
    }
    for (size_t i = 0; i < dying->shapes_count; i++) {
        sqlite3_finalize(dying->shapes[i].read);
        free(dying->shapes[i].text);
    }
    for (size_t i = 0; i < S_SLOTS; i++)
        free(dying->slots[i].at);
    free(dying->tables);
    free(dying->shapes);
    free(dying->noted);
    free(dying->bytes);
    free(dying);
    *digests = NULL;
}

void pr_row_digests_add(pr_row_digests_t *digests, const char *name, const char *column, size_t *ret_table) {
    size_t t = 0;
    while (t < digests->tables_count && sqlite3_stricmp(digests->tables[t].name, name) != 0)
        t++;
    if (t == digests->tables_count) {
        digests->tables = pr_xrealloc(digests->tables, ++digests->tables_count * sizeof *digests->tables);
        digests->tables[t] = (s_table_t){.name = name};
    }
    *ret_table = t;
    s_table_t *table = &digests->tables[t];
    for (size_t i = 0; i < table->count; i++)
        if (sqlite3_stricmp(table->columns[i], column) == 0)
            return;
    table->columns = pr_xrealloc(table->columns, (table->count + 1) * sizeof(const char *));
    table->columns[table->count++] = column;
}

static int s_read_affinities(const pr_row_digests_t *digests, s_table_t *table, pr_error_t *err) {
    static const char sql[] = "SELECT type FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE";
    sqlite3_stmt *statement = NULL;
    int result = 0;
    if (sqlite3_prepare_v2(digests->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return s_fail(digests, "looking at the tables", err);
    table->affinities = pr_xcalloc(table->count, sizeof *table->affinities);
    for (size_t i = 0; result == 0 && i < table->count; i++) {
        sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, table->columns[i], -1, SQLITE_STATIC);
        if (sqlite3_step(statement) == SQLITE_ROW)
            table->affinities[i] = pr_affinity_of((const char *)sqlite3_column_text(statement, 0));
        else
            result = s_fail(digests, "looking at the tables", err);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return result;
}

/* Takes sql (sqlite3_free). SQLite's code. */
static int s_prepare(const pr_row_digests_t *digests, char *sql, sqlite3_stmt **ret_statement) {
    int code = sqlite3_prepare_v3(digests->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    sqlite3_free(sql);
    return code;
}

static char *s_json(const s_table_t *table) {
    json_t *list = json_array();
    for (size_t i = 0; i < table->count; i++)
        pr_json_append(list, pr_json_text(table->columns[i]));
    char *text = pr_json_dump(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static size_t s_add_shape(pr_row_digests_t *digests, size_t table, int64_t number, const char *text) {
    digests->shapes = pr_xrealloc(digests->shapes, (digests->shapes_count + 1) * sizeof *digests->shapes);
    digests->shapes[digests->shapes_count] = (s_shape_t){.number = number, .table = table, .text = pr_xstrdup(text)};
    return digests->shapes_count++;
}

static int s_prepare_table(pr_row_digests_t *digests, size_t t, pr_error_t *err) {
    s_table_t *table = &digests->tables[t];
    int result = s_read_affinities(digests, table, err);
    if (result < 0)
        return result;
    sqlite3_str *sql = sqlite3_str_new(NULL);
    for (size_t i = 0; i < table->count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\"", i == 0 ? "SELECT " : ", ", table->columns[i]);
    sqlite3_str_appendf(sql, " FROM \"%w\" WHERE id = ?1", table->name);
    if (s_prepare(digests, sqlite3_str_finish(sql), &table->read) != SQLITE_OK)
        return s_fail(digests, "looking at the tables", err);
    table->shape_text = s_json(table);
    table->shape = s_add_shape(digests, t, 0, table->shape_text);
    return 0;
}

int pr_row_digests_prepare(pr_row_digests_t *digests, pr_error_t *err) {
    int result = 0;
    for (int i = 0; i < S_SQL_COUNT; i++) {
        if (sqlite3_prepare_v3(digests->db, S_TEXTS[i], -1, SQLITE_PREPARE_PERSISTENT, &digests->statements[i], NULL) !=
            SQLITE_OK)
            return s_fail(digests, "preparing the digests of rows", err);
    }
    for (size_t t = 0; result == 0 && t < digests->tables_count; t++)
        result = s_prepare_table(digests, t, err);
    return result;
}

size_t pr_row_digests_columns(const pr_row_digests_t *digests, size_t table, const char *const **ret_names) {
    *ret_names = digests->tables[table].columns;
    return digests->tables[table].count;
}

/* ---- Digests ---- */

/* The bytes of one value: kind, and what it holds. Returns how many. room: that there is behind what it says. */
static size_t s_put_number(unsigned char *to, int64_t integer) {
    to[0] = PR_INTEGER;
    memcpy(to + 1, &integer, sizeof integer);
    return 1 + sizeof integer;
}

static size_t s_put_real(unsigned char *to, double real) {
    /* SQLite compares numbers, not their kinds, and may store the one as the other. */
    if (real >= -9223372036854775808.0 && real < 9223372036854775808.0 && (double)(int64_t)real == real)
        return s_put_number(to, (int64_t)real);
    to[0] = PR_REAL;
    memcpy(to + 1, &real, sizeof real);
    return 1 + sizeof real;
}

static void s_put_text(pr_row_digests_t *digests, size_t *used, unsigned char kind, const void *data, size_t size) {
    uint64_t length = size;
    unsigned char *to = s_room(digests, *used + 1 + sizeof length + size) + *used;
    to[0] = kind;
    memcpy(to + 1, &length, sizeof length);
    if (size > 0)
        memcpy(to + 1 + sizeof length, data, size);
    *used += 1 + sizeof length + size;
}

static s_mark_t s_finish_digest(const pr_row_digests_t *digests, size_t used) {
    uint64_t digest = XXH3_64bits(digests->bytes, used) & S_DIGEST_MASK;
    return digest == 0 ? 1 : digest;
}

enum { S_NUMBER_BYTES = 16, S_BLOB_KIND = 16 };

/* False: SQLite may store a value otherwise than it was given. */
static bool s_digest_given(pr_row_digests_t *digests, const s_table_t *table, const pr_value_t *values,
                           const size_t *at, s_mark_t *ret_digest) {
    size_t used = 0;
    for (size_t i = 0; i < table->count; i++) {
        const pr_value_t *value = &values[at[i]];
        if (!pr_affinity_keeps(table->affinities[i], value))
            return false;
        unsigned char *to = s_room(digests, used + S_NUMBER_BYTES) + used;
        switch (value->kind) {
        case PR_NULL:
            to[0] = PR_NULL;
            used++;
            break;
        case PR_INTEGER:
            used += table->affinities[i] == PR_AFFINITY_REAL ? s_put_real(to, (double)value->integer)
                                                             : s_put_number(to, value->integer);
            break;
        case PR_REAL:
            used += s_put_real(to, value->real);
            break;
        case PR_TEXT:
            s_put_text(digests, &used, PR_TEXT, value->text.data, value->text.size);
            break;
        }
    }
    *ret_digest = s_finish_digest(digests, used);
    return true;
}

static s_mark_t s_digest_read(pr_row_digests_t *digests, sqlite3_stmt *row) {
    size_t used = 0;
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        sqlite3_value *value = sqlite3_column_value(row, i);
        unsigned char *to = s_room(digests, used + S_NUMBER_BYTES) + used;
        int type = sqlite3_value_type(value);
        switch (type) {
        case SQLITE_INTEGER:
            used += s_put_number(to, sqlite3_value_int64(value));
            break;
        case SQLITE_FLOAT:
            used += s_put_real(to, sqlite3_value_double(value));
            break;
        case SQLITE_TEXT:
        case SQLITE_BLOB: {
            size_t size = (size_t)sqlite3_value_bytes(value); /* first: it makes UTF-8 of what is not */
            s_put_text(digests, &used, type == SQLITE_TEXT ? PR_TEXT : S_BLOB_KIND, sqlite3_value_blob(value), size);
            break;
        }
        default:
            to[0] = PR_NULL;
            used++;
        }
    }
    return s_finish_digest(digests, used);
}

/* The row as it is now. 0: there is none. */
static int s_read_row(pr_row_digests_t *digests, sqlite3_stmt *read, int64_t id, s_mark_t *ret_digest,
                      pr_error_t *err) {
    sqlite3_bind_int64(read, 1, id);
    int step = sqlite3_step(read);
    int result = 0;
    if (step == SQLITE_ROW)
        *ret_digest = s_digest_read(digests, read);
    else if (step == SQLITE_DONE)
        *ret_digest = 0;
    else
        result = s_fail(digests, "reading a row", err);
    sqlite3_reset(read);
    return result;
}

/* ---- Pages ---- */

static int64_t s_page_of(int64_t id) {
    return (id >= 0 ? id : id - (S_PAGE - 1)) / S_PAGE;
}

static size_t s_place_of(int64_t id) {
    return (size_t)((uint64_t)id & (S_PAGE - 1));
}

static s_slot_t *s_slot(pr_row_digests_t *digests, size_t table, int64_t page) {
    return &digests->slots[((uint64_t)page + 31 * table) % S_SLOTS];
}

/* The place of a row in the page that is kept, or NULL. */
static s_mark_t *s_kept(pr_row_digests_t *digests, size_t table, int64_t id) {
    s_slot_t *slot = s_slot(digests, table, s_page_of(id));
    return slot->valid && slot->table == table && slot->page == s_page_of(id) ? &slot->at[s_place_of(id)] : NULL;
}

static int s_damaged(const pr_row_digests_t *digests, size_t table, int64_t checkpoint, pr_error_t *err) {
    return pr_error_set(err, PR_E_TARGET,
                        "%s: pvrelay_row_digest of checkpoint %" PRId64
                        ", table %s, is damaged; roll back to before it",
                        sqlite3_db_filename(digests->db, "main"), checkpoint, digests->tables[table].name);
}

/* What is read from a blob. */
typedef struct {
    const unsigned char *at, *end;
    bool damaged;
} s_cursor_t;

static uint64_t s_get_varint(s_cursor_t *cursor) {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        if (cursor->at == cursor->end)
            break;
        unsigned char byte = *cursor->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return number;
    }
    cursor->damaged = true;
    return 0;
}

static s_mark_t s_get_digest(s_cursor_t *cursor) {
    uint64_t digest = 0;
    if (cursor->end - cursor->at < S_DIGEST_BYTES) {
        cursor->damaged = true;
        return 0;
    }
    memcpy(&digest, cursor->at, S_DIGEST_BYTES);
    cursor->at += S_DIGEST_BYTES;
    return le64toh(digest);
}

/* Put a blob's digests into a page. False: it is damaged. */
static bool s_unpack(const void *blob, size_t size, size_t shape, s_mark_t *page) {
    s_cursor_t runs = {.at = blob, .end = (const unsigned char *)blob + size};
    uint64_t count = s_get_varint(&runs);
    s_cursor_t digests = runs;
    for (uint64_t i = 0; !digests.damaged && i < 2 * count; i++)
        s_get_varint(&digests);
    uint64_t at = 0;
    runs.damaged |= digests.damaged;
    for (uint64_t i = 0; !runs.damaged && i < count; i++) {
        at += s_get_varint(&runs);
        uint64_t length = s_get_varint(&runs);
        runs.damaged |= at + length > S_PAGE;
        for (; !runs.damaged && length > 0; length--) {
            page[at++] = s_get_digest(&digests) | (uint64_t)(shape + 1) << S_DIGEST_BITS;
            runs.damaged |= digests.damaged;
        }
    }
    return !runs.damaged && digests.at == digests.end;
}

/* The shape with this number in the books. */
static int s_find_shape(pr_row_digests_t *digests, size_t table, int64_t number, int64_t checkpoint, size_t *ret_shape,
                        pr_error_t *err) {
    for (size_t i = 0; i < digests->shapes_count; i++) {
        if (digests->shapes[i].number == number && digests->shapes[i].table == table) {
            *ret_shape = i;
            return 0;
        }
    }
    sqlite3_stmt *read = digests->statements[S_SQL_SHAPE_READ];
    sqlite3_bind_int64(read, 1, number);
    int step = sqlite3_step(read);
    int result = 0;
    if (step == SQLITE_ROW && digests->shapes_count + 1 < S_SHAPES_MAX && sqlite3_column_bytes(read, 1) > 0) {
        const char *text = (const char *)sqlite3_column_text(read, 1);
        s_shape_t *now = &digests->shapes[digests->tables[table].shape];
        *ret_shape = digests->tables[table].shape;
        if (now->number == 0 && strcmp(now->text, text) == 0)
            now->number = number;
        else
            *ret_shape = s_add_shape(digests, table, number, text);
    } else {
        result = step == SQLITE_ROW || step == SQLITE_DONE ? s_damaged(digests, table, checkpoint, err)
                                                           : s_fail(digests, "reading the digests of rows", err);
    }
    sqlite3_reset(read);
    return result;
}

/* A page as it is after checkpoint `through`. */
static int s_read_page(pr_row_digests_t *digests, size_t table, int64_t page, int64_t through, s_mark_t *at,
                       pr_error_t *err) {
    sqlite3_stmt *read = digests->statements[S_SQL_PAGE];
    int step = SQLITE_DONE;
    int result = 0;
    memset(at, 0, S_PAGE * sizeof *at);
    sqlite3_bind_text(read, 1, digests->tables[table].name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(read, 2, page);
    sqlite3_bind_int64(read, 3, through);
    while (result == 0 && (step = sqlite3_step(read)) == SQLITE_ROW) {
        size_t shape = 0;
        int64_t checkpoint = sqlite3_column_int64(read, 0);
        result = s_find_shape(digests, table, sqlite3_column_int64(read, 1), checkpoint, &shape, err);
        const void *blob = sqlite3_column_blob(read, 2);
        if (result == 0 && (blob == NULL || !s_unpack(blob, (size_t)sqlite3_column_bytes(read, 2), shape, at)))
            result = s_damaged(digests, table, checkpoint, err);
    }
    if (result == 0 && step != SQLITE_DONE)
        result = s_fail(digests, "reading the digests of rows", err);
    sqlite3_reset(read);
    return result;
}

/* What is noted shows through what is kept. */
static void s_overlay(pr_row_digests_t *digests, const s_slot_t *slot) {
    for (size_t i = 0; i < digests->noted_count; i++) {
        s_noted_t *noted = &digests->noted[i];
        if (noted->table != slot->table || s_page_of(noted->id) != slot->page)
            continue;
        noted->before = slot->at[s_place_of(noted->id)];
        slot->at[s_place_of(noted->id)] = noted->mark;
    }
}

/* The place of a row in its page, which is read if need be. */
static int s_look_up(pr_row_digests_t *digests, size_t table, int64_t id, s_mark_t *ret_mark, pr_error_t *err) {
    s_mark_t *kept = s_kept(digests, table, id);
    if (kept == NULL) {
        s_slot_t *slot = s_slot(digests, table, s_page_of(id));
        if (slot->at == NULL)
            slot->at = pr_xmalloc(S_PAGE * sizeof *slot->at);
        slot->valid = false;
        int result = s_read_page(digests, table, s_page_of(id), INT64_MAX, slot->at, err);
        if (result < 0)
            return result;
        slot->valid = true;
        slot->table = table;
        slot->page = s_page_of(id);
        s_overlay(digests, slot);
        kept = &slot->at[s_place_of(id)];
    }
    *ret_mark = *kept;
    return 0;
}

/* ---- Noting ---- */

int pr_row_digests_note(pr_row_digests_t *digests, size_t t, int64_t id, const pr_value_t *values, const size_t *at,
                        pr_error_t *err) {
    const s_table_t *table = &digests->tables[t];
    s_mark_t digest = 0;
    if (values == NULL || !s_digest_given(digests, table, values, at, &digest)) {
        int result = s_read_row(digests, table->read, id, &digest, err);
        if (result < 0)
            return result;
    }
    if (digests->noted_count == digests->noted_room) {
        digests->noted_room = digests->noted_room == 0 ? 4096 : 2 * digests->noted_room;
        digests->noted = pr_xrealloc(digests->noted, digests->noted_room * sizeof *digests->noted);
    }
    s_noted_t *noted = &digests->noted[digests->noted_count];
    *noted = (s_noted_t){.table = t,
                         .id = id,
                         .mark = digest | (uint64_t)(table->shape + 1) << S_DIGEST_BITS,
                         .order = digests->noted_count};
    digests->noted_count++;
    s_mark_t *kept = s_kept(digests, t, id);
    if (kept != NULL) {
        noted->before = *kept;
        *kept = noted->mark;
    }
    return 0;
}

size_t pr_row_digests_mark(const pr_row_digests_t *digests) {
    return digests->noted_count;
}

void pr_row_digests_rewind(pr_row_digests_t *digests, size_t mark) {
    while (digests->noted_count > mark) {
        const s_noted_t *noted = &digests->noted[--digests->noted_count];
        s_mark_t *kept = s_kept(digests, noted->table, noted->id);
        if (kept != NULL)
            *kept = noted->before;
    }
}

void pr_row_digests_drop(pr_row_digests_t *digests) {
    if (digests == NULL)
        return;
    digests->noted_count = 0;
    for (size_t i = 0; i < S_SLOTS; i++)
        digests->slots[i].valid = false;
    for (size_t t = 0; t < digests->tables_count; t++)
        digests->shapes[digests->tables[t].shape].number = 0; /* it may be gone with the transaction */
}

/* ---- Storing ---- */

static int s_compare(const void *left, const void *right) {
    const s_noted_t *a = left;
    const s_noted_t *b = right;
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* In order, each row once. Mostly they have come so. */
static void s_sort(pr_row_digests_t *digests) {
    s_noted_t *noted = digests->noted;
    size_t kept = 0;
    bool sorted = true;
    for (size_t i = 1; sorted && i < digests->noted_count; i++)
        sorted = noted[i - 1].table == noted[i].table && noted[i - 1].id < noted[i].id;
    if (sorted)
        return;
    qsort(noted, digests->noted_count, sizeof *noted, s_compare);
    for (size_t i = 0; i < digests->noted_count; i++) {
        bool same =
            i + 1 < digests->noted_count && noted[i].table == noted[i + 1].table && noted[i].id == noted[i + 1].id;
        if (!same)
            noted[kept++] = noted[i];
    }
    digests->noted_count = kept;
}

static size_t s_put_varint(unsigned char *to, uint64_t number) {
    size_t used = 0;
    while (number >= 0x80) {
        to[used++] = (unsigned char)(number | 0x80);
        number >>= 7;
    }
    to[used++] = (unsigned char)number;
    return used;
}

/* The rows of one page, in order. Returns the blob's size. */
static size_t s_pack(pr_row_digests_t *digests, const s_noted_t *rows, size_t count) {
    enum { S_VARINT_MAX = 3 };
    unsigned char *bytes = s_room(digests, S_VARINT_MAX * (1 + 2 * count) + S_DIGEST_BYTES * count);
    size_t runs = 0;
    for (size_t i = 0; i < count; i++)
        runs += i == 0 || rows[i].id != rows[i - 1].id + 1 ? 1 : 0;
    size_t used = s_put_varint(bytes, runs);
    size_t end = 0; /* of the last run, in the page */
    for (size_t i = 0; i < count;) {
        size_t begin = s_place_of(rows[i].id);
        size_t first = i;
        do
            i++;
        while (i < count && rows[i].id == rows[i - 1].id + 1);
        used += s_put_varint(bytes + used, begin - end);
        used += s_put_varint(bytes + used, i - first);
        end = begin + (i - first);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t digest = htole64(rows[i].mark & S_DIGEST_MASK);
        memcpy(bytes + used, &digest, S_DIGEST_BYTES);
        used += S_DIGEST_BYTES;
    }
    return used;
}

/* The number of a table's shape in the books, where it is put if need be. */
static int s_store_shape(pr_row_digests_t *digests, const s_table_t *table, pr_error_t *err) {
    s_shape_t *shape = &digests->shapes[table->shape];
    static const int statements[] = {S_SQL_SHAPE_FIND, S_SQL_SHAPE_ADD};
    for (int i = 0; shape->number == 0 && i < 2; i++) {
        sqlite3_stmt *statement = digests->statements[statements[i]];
        sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, table->shape_text, -1, SQLITE_STATIC);
        int step = sqlite3_step(statement);
        int result = step == SQLITE_ROW || step == SQLITE_DONE ? 0 : s_fail(digests, "storing digests of rows", err);
        if (step == SQLITE_ROW)
            shape->number = sqlite3_column_int64(statement, 0);
        else if (i == 1)
            shape->number = sqlite3_last_insert_rowid(digests->db);
        sqlite3_reset(statement);
        if (result < 0)
            return result;
    }
    return 0;
}

static int s_store_page(pr_row_digests_t *digests, int64_t checkpoint, const s_noted_t *rows, size_t count,
                        pr_error_t *err) {
    const s_table_t *table = &digests->tables[rows->table];
    int result = s_store_shape(digests, table, err);
    if (result < 0)
        return result;
    size_t size = s_pack(digests, rows, count);
    sqlite3_stmt *statement = digests->statements[S_SQL_STORE];
    sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, s_page_of(rows->id));
    sqlite3_bind_int64(statement, 3, checkpoint);
    sqlite3_bind_int64(statement, 4, digests->shapes[table->shape].number);
    sqlite3_bind_blob64(statement, 5, digests->bytes, size, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        result = s_fail(digests, "storing digests of rows", err);
    sqlite3_reset(statement);
    return result;
}

int pr_row_digests_store(pr_row_digests_t *digests, int64_t checkpoint, pr_error_t *err) {
    int result = 0;
    s_sort(digests);
    const s_noted_t *noted = digests->noted;
    for (size_t i = 0; result == 0 && i < digests->noted_count;) {
        size_t end = i + 1;
        while (end < digests->noted_count && noted[end].table == noted[i].table &&
               s_page_of(noted[end].id) == s_page_of(noted[i].id))
            end++;
        result = s_store_page(digests, checkpoint, &noted[i], end - i, err);
        i = end;
    }
    digests->noted_count = 0; /* what is kept of pages shows them already */
    return result;
}

/* ---- Merging ---- */

/* A page of which more is kept than can be needed. */
typedef struct {
    size_t table;
    int64_t page, checkpoint;
} s_mergeable_t;

/* Step a statement about a page and a checkpoint. */
static int s_do(pr_row_digests_t *digests, int which, const s_mergeable_t *page, pr_error_t *err) {
    sqlite3_stmt *statement = digests->statements[which];
    sqlite3_bind_text(statement, 1, digests->tables[page->table].name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, page->page);
    sqlite3_bind_int64(statement, 3, page->checkpoint);
    int result = sqlite3_step(statement) == SQLITE_DONE ? 0 : s_fail(digests, "merging digests of rows", err);
    sqlite3_reset(statement);
    return result;
}

/* at, rows: room for a page. */
static int s_merge_page(pr_row_digests_t *digests, const s_mergeable_t *page, s_mark_t *at, s_noted_t *rows,
                        pr_error_t *err) {
    size_t count = 0;
    int result = s_read_page(digests, page->table, page->page, page->checkpoint, at, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < S_PAGE; i++) {
        if (at[i] != 0)
            rows[count++] = (s_noted_t){.id = page->page * S_PAGE + (int64_t)i, .mark = at[i]};
    }
    size_t size = s_pack(digests, rows, count);
    sqlite3_bind_blob64(digests->statements[S_SQL_MERGED], 4, digests->bytes, size, SQLITE_STATIC);
    result = s_do(digests, S_SQL_MERGED, page, err);
    return result == 0 ? s_do(digests, S_SQL_SUPERSEDED, page, err) : result;
}

/* The pages to be merged, of tables that the mapping knows. *Returns new*. */
static int s_find_mergeable(pr_row_digests_t *digests, int64_t through, s_mergeable_t **ret_pages, size_t *ret_count,
                            pr_error_t *err) {
    sqlite3_stmt *find = digests->statements[S_SQL_MERGEABLE];
    s_mergeable_t *pages = NULL;
    size_t count = 0;
    int step;
    sqlite3_bind_int64(find, 1, through);
    while ((step = sqlite3_step(find)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(find, 0);
        for (size_t t = 0; name != NULL && t < digests->tables_count; t++) {
            if (strcmp(digests->tables[t].name, name) != 0)
                continue;
            pages = pr_xrealloc(pages, (count + 1) * sizeof *pages);
            pages[count++] = (s_mergeable_t){
                .table = t, .page = sqlite3_column_int64(find, 1), .checkpoint = sqlite3_column_int64(find, 2)};
        }
    }
    int result = step == SQLITE_DONE ? 0 : s_fail(digests, "merging digests of rows", err);
    sqlite3_reset(find);
    *ret_pages = pages;
    *ret_count = count;
    return result;
}

int pr_row_digests_merge(pr_row_digests_t *digests, int64_t through, pr_error_t *err) {
    s_mergeable_t *pages = NULL;
    size_t count = 0;
    int result = s_find_mergeable(digests, through, &pages, &count, err);
    if (result == 0 && count > 0) {
        s_mark_t *at = pr_xmalloc(S_PAGE * sizeof *at);
        s_noted_t *rows = pr_xmalloc(S_PAGE * sizeof *rows);
        for (size_t i = 0; result == 0 && i < count; i++)
            result = s_merge_page(digests, &pages[i], at, rows, err);
        free(at);
        free(rows);
    }
    free(pages);
    return result;
}

/* ---- Whose a row is ---- */

/* A statement that reads the columns of a shape. Stays NULL if the table has not all of them. */
static int s_open_shape(pr_row_digests_t *digests, s_shape_t *shape, pr_error_t *err) {
    if (shape->asked)
        return 0;
    sqlite3_stmt *names = digests->statements[S_SQL_SHAPE_COLUMNS];
    sqlite3_str *sql = sqlite3_str_new(digests->db);
    int step;
    sqlite3_bind_text(names, 1, shape->text, -1, SQLITE_STATIC);
    for (int i = 0; (step = sqlite3_step(names)) == SQLITE_ROW; i++)
        sqlite3_str_appendf(sql, "%st.\"%w\"", i == 0 ? "SELECT " : ", ", sqlite3_column_text(names, 0));
    sqlite3_str_appendf(sql, " FROM \"%w\" AS t WHERE t.id = ?1", digests->tables[shape->table].name);
    int result = step == SQLITE_DONE ? 0 : s_fail(digests, "reading the digests of rows", err);
    sqlite3_reset(names);
    char *text = sqlite3_str_finish(sql);
    if (result == 0 && text != NULL && s_prepare(digests, text, &shape->read) != SQLITE_OK)
        shape->read = NULL;
    else if (result < 0)
        sqlite3_free(text);
    shape->asked = result == 0;
    return result;
}

/* A column that the mapping has come to since: is it as a row of ours would have it? 1, 0, <0. */
static int s_is_untouched(pr_row_digests_t *digests, const s_table_t *table, int64_t id, const char *column,
                          pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT dflt_value FROM pragma_table_xinfo(%Q) WHERE name = %Q COLLATE NOCASE",
                                table->name, column);
    if (s_prepare(digests, sql, &statement) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW) {
        sqlite3_finalize(statement);
        return s_fail(digests, "looking at the tables", err);
    }
    char *fallback = sqlite3_column_type(statement, 0) == SQLITE_TEXT
                         ? pr_xstrdup((const char *)sqlite3_column_text(statement, 0))
                         : NULL;
    sqlite3_finalize(statement);
    statement = NULL;
    sql = sqlite3_mprintf("SELECT t.\"%w\" IS NULL OR t.\"%w\" IS (%s) FROM \"%w\" AS t WHERE t.id = %lld", column,
                          column, fallback != NULL ? fallback : "NULL", table->name, (long long)id);
    free(fallback);
    int result = 0;
    if (s_prepare(digests, sql, &statement) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
        result = s_fail(digests, "reading a row", err);
    else
        result = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static int s_shape_has(const pr_row_digests_t *digests, const s_shape_t *shape, const char *column, pr_error_t *err) {
    sqlite3_stmt *statement = digests->statements[S_SQL_SHAPE_HAS];
    sqlite3_bind_text(statement, 1, shape->text, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, column, -1, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    int result = step == SQLITE_ROW ? 1 : 0;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        result = s_fail(digests, "reading the digests of rows", err);
    sqlite3_reset(statement);
    return result;
}

/* The row by a shape that is not the mapping's of today. */
static int s_judge_by(pr_row_digests_t *digests, s_shape_t *shape, int64_t id, s_mark_t mark,
                      const char *const *columns, size_t count, pr_row_state_t *ret_state, pr_error_t *err) {
    s_mark_t now = 0;
    int result = s_open_shape(digests, shape, err);
    if (result == 0 && shape->read != NULL)
        result = s_read_row(digests, shape->read, id, &now, err);
    if (result < 0)
        return result;
    bool ours = now == (mark & S_DIGEST_MASK);
    for (size_t i = 0; ours && i < count; i++) {
        int is = s_shape_has(digests, shape, columns[i], err);
        if (is == 0)
            is = s_is_untouched(digests, &digests->tables[shape->table], id, columns[i], err);
        if (is < 0)
            return is;
        ours = is > 0;
    }
    *ret_state = ours ? PR_ROW_OURS : PR_ROW_CHANGED;
    return 0;
}

int pr_row_digests_writers(pr_row_digests_t *digests, size_t t, int64_t id, int64_t *ret_checkpoints, size_t most,
                           size_t *ret_count, pr_error_t *err) {
    sqlite3_stmt *pages = digests->statements[S_SQL_PAGE_WRITERS];
    int result = 0;
    int step = SQLITE_DONE;
    *ret_count = 0;
    for (size_t i = 0; i < digests->noted_count; i++) {
        if (digests->noted[i].table == t && digests->noted[i].id == id)
            return 0;
    }
    s_mark_t *at = pr_xmalloc(S_PAGE * sizeof *at);
    sqlite3_bind_text(pages, 1, digests->tables[t].name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(pages, 2, s_page_of(id));
    while (result == 0 && *ret_count < most && (step = sqlite3_step(pages)) == SQLITE_ROW) {
        int64_t checkpoint = sqlite3_column_int64(pages, 0);
        const void *blob = sqlite3_column_blob(pages, 1);
        at[s_place_of(id)] = 0;
        if (blob == NULL || !s_unpack(blob, (size_t)sqlite3_column_bytes(pages, 1), 0, at))
            result = s_damaged(digests, t, checkpoint, err);
        else if (at[s_place_of(id)] != 0)
            ret_checkpoints[(*ret_count)++] = checkpoint;
    }
    if (result == 0 && *ret_count < most && step != SQLITE_DONE)
        result = s_fail(digests, "reading the digests of rows", err);
    sqlite3_reset(pages);
    free(at);
    return result;
}

int pr_row_digests_state(pr_row_digests_t *digests, size_t t, int64_t id, const char *const *columns, size_t count,
                         pr_row_state_t *ret_state, pr_error_t *err) {
    s_mark_t mark = 0;
    s_mark_t now = 0;
    int result = s_look_up(digests, t, id, &mark, err);
    if (result < 0)
        return result;
    if (mark == 0) {
        *ret_state = PR_ROW_NEVER;
        return 0;
    }
    size_t shape = (size_t)(mark >> S_DIGEST_BITS) - 1;
    if (shape != digests->tables[t].shape)
        return s_judge_by(digests, &digests->shapes[shape], id, mark, columns, count, ret_state, err);
    result = s_read_row(digests, digests->tables[t].read, id, &now, err);
    if (result == 0)
        *ret_state = now == (mark & S_DIGEST_MASK) ? PR_ROW_OURS : PR_ROW_CHANGED;
    return result;
}
