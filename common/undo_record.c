/* SPDX-License-Identifier: MIT */
/* Changes of a transaction as a changeset, written as they happen. */

/*  DESIGN
 *
 *  The session extension records a changeset too, but it notes only keys while rows change and reads every row once
 *  more at the end: measured, 17,000 instructions for a row of 15 columns, a third of what inserting it costs. The
 *  preupdate hook, on which it is built, has all values at hand. So the changeset is written there and then, in the
 *  extension's own format, and the extension reads it, merges it, inverts it and plays it back.
 *
 *  The format (sqlite3session.c, "CHANGESET BLOB FORMAT"): for each table 'T', the number of columns, a byte for each
 *  with its place in the primary key, the name and a NUL; then its changes: the operation, a zero byte, and values in the
 *  order of the columns: all new ones of an INSERT, all old ones of a DELETE, and of an UPDATE the old ones of the key
 *  and of what has changed, then the new ones of what has changed. A value is a byte for its type and, big-endian, 8
 *  bytes of an integer or a real, or a varint with the size and the bytes of a text or a blob. Type 0: not there.
 *
 *  A changeset has a row at most once. What is recorded is therefore cut into segments: a change of a row that is in
 *  the running segment already begins the next one, and the extension's changegroup merges them at the end. Most
 *  batches have one segment. Which rows are in it is kept as hashes of table and key: two rows with one hash only
 *  cost a segment.
 *
 *  The database may take changes back (ROLLBACK TO): the recording is rewound to the mark. If segments went with
 *  it, the one that is now last is left as it is, and the next change begins a new one, because its hashes are gone.
 *
 *  Asking the hook for each value is most of what a row costs here. Of rows that one statement inserts by the hundred
 *  it is known what the statement gives (pr_given_t), in which order, and which of these values SQLite stores as they are
 *  (common/affinity.h); so the hook is asked for nothing but the new id. Only where all of that holds: the key is an
 *  AUTOINCREMENT id that is not given, a column that is not given has no default, no constraint of the table has a
 *  conflict clause (which could leave out a row, or change one). A row with any other value is recorded as all others
 *  are. And at the end of the statement as many rows must have come as were given.
 *
 *  Two things the hook tells otherwise than a SELECT would, both mended here: a REAL column's whole number comes as an
 *  integer in an INSERT; and the old value of a column that was added since the row was written comes as NULL instead of
 *  the column's default, in which case the row is asked for.
 */
/* Before sqlite3.h, which declares these only then. */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "common/undo_record.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "common/affinity.h"
#include "common/alloc.h"
#include "common/migrate.h"
#include "common/sql_text.h"
#include "common/sql_value.h"

enum {
    s_columns_max = 2000,
    s_seen_least = 1024,
    s_other_rows = SQLITE_INTERNAL /* which SQLite itself never says: a statement inserted other rows than were given */
};

/* Bytes that grow. */
typedef struct {
    unsigned char *at;
    size_t used, room;
} s_bytes_t;

typedef struct {
    char *name;
    unsigned char key; /* place in the primary key; 0: not in it */
    pr_affinity_t affinity;
    bool added; /* it has a default, for which an old NULL may stand */
    int given;  /* which of the given values is its; -1: none */
} s_column_t;

typedef struct {
    char *name;
    s_column_t *columns;
    size_t count;
    sqlite3_stmt *select; /* all columns, by primary key; NULL: no column is `added` */
    int id;               /* the column that is an AUTOINCREMENT id; -1: none, or a constraint has a conflict clause */
    const void *told_of;  /* pr_given_t.columns, for which columns[].given and `known` hold; NULL: none */
    bool known;           /* what is given tells all of a row but its id */
} s_table_t;

/* The statement at work, if it was told what it gives. */
typedef struct {
    const s_table_t *table; /* NULL: none */
    pr_given_t as;
    size_t next; /* row */
} s_given_t;

/* As tables: their changes in a segment, without the tables' headers. */
typedef struct {
    s_bytes_t *changes;
} s_segment_t;

struct pr_recorder {
    sqlite3 *db;
    s_table_t *tables;
    size_t tables_count;
    size_t last; /* table of the last change */
    bool recording;
    s_given_t given;
    int failed; /* SQLite's code of the first failure in the hook; SQLITE_OK: none */
    s_segment_t *segments;
    size_t segments_count, segments_room; /* those beyond the count keep their memory */
    bool fresh;                           /* the next change begins a segment */
    uint64_t *seen;                       /* hashes of the rows in the running segment, open addressing, 0: free */
    size_t seen_count, seen_room;
    size_t mark_segments;
    size_t *mark_sizes; /* as tables: of the last segment at the mark */
    s_bytes_t joined;   /* the changeset of the last recording */
};

/* ---- bytes ---- */

static unsigned char *s_reserve(s_bytes_t *bytes, size_t size) {
    if (size > bytes->room - bytes->used) {
        size_t room = bytes->room < 4096 ? 4096 : bytes->room;
        while (room - bytes->used < size)
            room *= 2;
        bytes->at = pr_xrealloc(bytes->at, room);
        bytes->room = room;
    }
    unsigned char *at = bytes->at + bytes->used;
    bytes->used += size;
    return at;
}

static void s_put_byte(s_bytes_t *bytes, unsigned char byte) {
    *s_reserve(bytes, 1) = byte;
}

static void s_put_bytes(s_bytes_t *bytes, const void *data, size_t size) {
    if (size > 0)
        memcpy(s_reserve(bytes, size), data, size);
}

/* SQLite's varint of a size below 2^31: seven bits a byte, the highest first. */
static void s_put_varint(s_bytes_t *bytes, uint32_t number) {
    unsigned shift = 0;
    while (number >> shift >= 0x80)
        shift += 7;
    for (; shift > 0; shift -= 7)
        s_put_byte(bytes, (unsigned char)(number >> shift | 0x80));
    s_put_byte(bytes, (unsigned char)(number & 0x7f));
}

static void s_put_text(s_bytes_t *bytes, unsigned char type, const void *data, size_t size) {
    s_put_byte(bytes, type);
    s_put_varint(bytes, (uint32_t)size);
    s_put_bytes(bytes, data, size);
}

static void s_put_64(s_bytes_t *bytes, unsigned char type, uint64_t number) {
    uint64_t big_endian = htobe64(number);
    unsigned char *at = s_reserve(bytes, 1 + sizeof big_endian);
    *at = type;
    memcpy(at + 1, &big_endian, sizeof big_endian);
}

static void s_put_integer(s_bytes_t *bytes, int64_t integer) {
    s_put_64(bytes, SQLITE_INTEGER, (uint64_t)integer);
}

static void s_put_real(s_bytes_t *bytes, double real) {
    uint64_t number;
    memcpy(&number, &real, sizeof number);
    s_put_64(bytes, SQLITE_FLOAT, number);
}

/* A column of REAL affinity gives back a whole number as a real. */
static void s_put_value(s_bytes_t *bytes, sqlite3_value *value, pr_affinity_t affinity) {
    int type = sqlite3_value_type(value);
    switch (type) {
    case SQLITE_INTEGER:
        if (affinity == PR_AFFINITY_REAL)
            s_put_real(bytes, (double)sqlite3_value_int64(value));
        else
            s_put_integer(bytes, sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT:
        s_put_real(bytes, sqlite3_value_double(value));
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB: {
        /* The size first: that makes UTF-8 of what is not. And not sqlite3_value_text, which copies the text to have a
         * NUL behind it. */
        size_t size = (size_t)sqlite3_value_bytes(value);
        s_put_text(bytes, (unsigned char)type, sqlite3_value_blob(value), size);
        break;
    }
    default:
        s_put_byte(bytes, SQLITE_NULL);
        break;
    }
}

/* The same of a value that is stored as it is. */
static void s_put_kept(s_bytes_t *bytes, const pr_value_t *value, pr_affinity_t affinity) {
    switch (value->kind) {
    case PR_INTEGER:
        if (affinity == PR_AFFINITY_REAL)
            s_put_real(bytes, (double)value->integer);
        else
            s_put_integer(bytes, value->integer);
        break;
    case PR_REAL:
        s_put_real(bytes, value->real);
        break;
    case PR_TEXT:
        s_put_text(bytes, SQLITE_TEXT, value->text.data, value->text.size);
        break;
    case PR_NULL:
        s_put_byte(bytes, SQLITE_NULL);
        break;
    }
}

/* ---- tables ---- */

static void s_table_clear(s_table_t *table) {
    for (size_t i = 0; i < table->count; i++)
        free(table->columns[i].name);
    free(table->columns);
    sqlite3_finalize(table->select);
    table->columns = NULL;
    table->select = NULL;
    table->count = 0;
    table->id = -1;
    table->told_of = NULL;
}

/* Its parameters are the columns of the key, numbered as the table's columns are. */
static int s_prepare_select(pr_recorder_t *recorder, s_table_t *table, sqlite3_stmt *columns, pr_error_t *err) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "SELECT * FROM main.\"%w\" WHERE 1", table->name);
    int step = SQLITE_DONE;
    for (int i = 1; (step = sqlite3_step(columns)) == SQLITE_ROW; i++) {
        if (sqlite3_column_int(columns, 2) > 0)
            sqlite3_str_appendf(sql, " AND \"%w\" IS ?%d", pr_sql_column_text(columns, 0), i);
    }
    char *text = sqlite3_str_finish(sql);
    int result = 0;
    if (step != SQLITE_DONE ||
        sqlite3_prepare_v3(recorder->db, text, -1, SQLITE_PREPARE_PERSISTENT, &table->select, NULL) != SQLITE_OK)
        result = pr_migrate_fail(recorder->db, "recording changes", err);
    sqlite3_free(text);
    return result;
}

/* Is the column an AUTOINCREMENT id? */
static bool s_is_id(pr_recorder_t *recorder, const char *table, const char *column) {
    int counted = 0;
    return sqlite3_table_column_metadata(recorder->db, "main", table, column, NULL, NULL, NULL, NULL, &counted) ==
               SQLITE_OK &&
           counted != 0;
}

/* May a constraint of the table say what to do instead of failing? */
static bool s_has_conflict_clause(pr_recorder_t *recorder, const char *table) {
    static const char sql[] = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE"
                              " AND sql NOT LIKE '%conflict%'";
    sqlite3_stmt *statement = NULL;
    bool has = true; /* unless it is known that none does */
    if (sqlite3_prepare_v2(recorder->db, sql, -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
        has = sqlite3_step(statement) != SQLITE_ROW;
    }
    sqlite3_finalize(statement);
    return has;
}

static int s_load(pr_recorder_t *recorder, s_table_t *table, pr_error_t *err) {
    sqlite3_stmt *columns = NULL;
    bool added = false;
    int step = sqlite3_prepare_v2(
        recorder->db, "SELECT name, type, pk, dflt_value IS NOT NULL FROM pragma_table_info(?1) ORDER BY cid", -1,
        &columns, NULL);
    s_table_clear(table);
    if (step == SQLITE_OK) {
        sqlite3_bind_text(columns, 1, table->name, -1, SQLITE_STATIC);
        while ((step = sqlite3_step(columns)) == SQLITE_ROW) {
            table->columns = pr_xrealloc(table->columns, (table->count + 1) * sizeof *table->columns);
            table->columns[table->count] = (s_column_t){.name = pr_xstrdup(pr_sql_column_text(columns, 0)),
                                                        .key = (unsigned char)sqlite3_column_int(columns, 2),
                                                        .affinity = pr_affinity_of(pr_sql_column_text(columns, 1)),
                                                        .added = sqlite3_column_int(columns, 3) != 0,
                                                        .given = -1};
            added = added || sqlite3_column_int(columns, 3) != 0;
            if (s_is_id(recorder, table->name, table->columns[table->count].name))
                table->id = (int)table->count;
            table->count++;
        }
    }
    int result = step == SQLITE_DONE ? 0 : pr_migrate_fail(recorder->db, "recording changes", err);
    if (result == 0 && added) {
        sqlite3_reset(columns);
        result = s_prepare_select(recorder, table, columns, err);
    }
    if (result == 0 && table->id >= 0 && s_has_conflict_clause(recorder, table->name))
        table->id = -1;
    sqlite3_finalize(columns);
    return result;
}

/* Room for one more table everywhere. */
static void s_widen(pr_recorder_t *recorder) {
    size_t count = recorder->tables_count + 1;
    recorder->tables = pr_xrealloc(recorder->tables, count * sizeof *recorder->tables);
    recorder->mark_sizes = pr_xrealloc(recorder->mark_sizes, count * sizeof *recorder->mark_sizes);
    for (size_t i = 0; i < recorder->segments_room; i++) {
        s_segment_t *segment = &recorder->segments[i];
        segment->changes = pr_xrealloc(segment->changes, count * sizeof *segment->changes);
        segment->changes[count - 1] = (s_bytes_t){.at = NULL};
    }
}

int pr_recorder_table(pr_recorder_t *recorder, const char *table, pr_error_t *err) {
    size_t at = 0;
    while (at < recorder->tables_count && strcmp(recorder->tables[at].name, table) != 0)
        at++;
    if (at == recorder->tables_count) {
        s_widen(recorder);
        recorder->tables[at] = (s_table_t){.name = pr_xstrdup(table)};
        recorder->tables_count++;
    }
    return s_load(recorder, &recorder->tables[at], err);
}

/* The recorded table of this name; NULL: none. */
static s_table_t *s_find(pr_recorder_t *recorder, const char *name) {
    for (size_t i = 0; i < recorder->tables_count; i++) {
        size_t at = (recorder->last + i) % recorder->tables_count;
        if (strcasecmp(recorder->tables[at].name, name) == 0) {
            recorder->last = at;
            return &recorder->tables[at];
        }
    }
    return NULL;
}

/* ---- segments ---- */

static void s_seen_clear(pr_recorder_t *recorder) {
    if (recorder->seen_count > 0)
        memset(recorder->seen, 0, recorder->seen_room * sizeof *recorder->seen);
    recorder->seen_count = 0;
}

static uint64_t *s_seen_slot(uint64_t *seen, size_t room, uint64_t hash) {
    size_t at = (size_t)hash & (room - 1);
    while (seen[at] != 0 && seen[at] != hash)
        at = (at + 1) & (room - 1);
    return &seen[at];
}

static void s_seen_grow(pr_recorder_t *recorder) {
    size_t room = recorder->seen_room == 0 ? s_seen_least : 2 * recorder->seen_room;
    uint64_t *seen = pr_xcalloc(room, sizeof *seen);
    for (size_t i = 0; i < recorder->seen_room; i++) {
        if (recorder->seen[i] != 0)
            *s_seen_slot(seen, room, recorder->seen[i]) = recorder->seen[i];
    }
    free(recorder->seen);
    recorder->seen = seen;
    recorder->seen_room = room;
}

/* Is it there already? If not, it is now. */
static bool s_seen(pr_recorder_t *recorder, uint64_t hash) {
    if (2 * (recorder->seen_count + 1) > recorder->seen_room)
        s_seen_grow(recorder);
    uint64_t *slot = s_seen_slot(recorder->seen, recorder->seen_room, hash);
    if (*slot == hash)
        return true;
    *slot = hash;
    recorder->seen_count++;
    return false;
}

static void s_next_segment(pr_recorder_t *recorder) {
    if (recorder->segments_count == recorder->segments_room) {
        size_t room = recorder->segments_room + 1;
        recorder->segments = pr_xrealloc(recorder->segments, room * sizeof *recorder->segments);
        recorder->segments[room - 1].changes = pr_xcalloc(recorder->tables_count, sizeof(s_bytes_t));
        recorder->segments_room = room;
    }
    s_segment_t *segment = &recorder->segments[recorder->segments_count++];
    for (size_t i = 0; i < recorder->tables_count; i++)
        segment->changes[i].used = 0;
    s_seen_clear(recorder);
    recorder->fresh = false;
}

/* Where a change of the row with this hash is to be written. */
static s_bytes_t *s_place(pr_recorder_t *recorder, const s_table_t *table, uint64_t hash) {
    uint64_t known = hash != 0 ? hash : 1;
    if (recorder->fresh)
        s_next_segment(recorder);
    if (s_seen(recorder, known)) {
        s_next_segment(recorder);
        s_seen(recorder, known);
    }
    return &recorder->segments[recorder->segments_count - 1].changes[table - recorder->tables];
}

void pr_recorder_mark(pr_recorder_t *recorder) {
    recorder->mark_segments = recorder->segments_count;
    if (recorder->segments_count == 0)
        return;
    const s_segment_t *segment = &recorder->segments[recorder->segments_count - 1];
    for (size_t i = 0; i < recorder->tables_count; i++)
        recorder->mark_sizes[i] = segment->changes[i].used;
}

void pr_recorder_rewind(pr_recorder_t *recorder) {
    recorder->given.table = NULL;
    if (recorder->segments_count != recorder->mark_segments)
        recorder->fresh = true;
    recorder->segments_count = recorder->mark_segments;
    if (recorder->segments_count == 0)
        return;
    s_segment_t *segment = &recorder->segments[recorder->segments_count - 1];
    for (size_t i = 0; i < recorder->tables_count; i++)
        segment->changes[i].used = recorder->mark_sizes[i];
}

/* ---- the hook ---- */

typedef int s_get_fn(sqlite3 *db, int column, sqlite3_value **ret_value);

static uint64_t s_hash_table(const pr_recorder_t *recorder, const s_table_t *table) {
    return (uint64_t)(table - recorder->tables) + 1;
}

static uint64_t s_hash_integer(uint64_t hash, int64_t number) {
    return XXH3_64bits_withSeed(&number, sizeof number, hash);
}

/* Hash of the row's key. */
static int s_hash(pr_recorder_t *recorder, const s_table_t *table, s_get_fn *get, uint64_t *ret_hash) {
    uint64_t hash = s_hash_table(recorder, table);
    for (size_t i = 0; i < table->count; i++) {
        sqlite3_value *value = NULL;
        if (table->columns[i].key == 0)
            continue;
        int code = get(recorder->db, (int)i, &value);
        if (code != SQLITE_OK)
            return code;
        if (sqlite3_value_type(value) == SQLITE_INTEGER) {
            hash = s_hash_integer(hash, sqlite3_value_int64(value));
        } else {
            const void *data = sqlite3_value_blob(value);
            hash = XXH3_64bits_withSeed(data, (size_t)sqlite3_value_bytes(value), hash);
        }
    }
    *ret_hash = hash;
    return SQLITE_OK;
}

/* All values, new or old, of a row that comes or goes. */
static int s_record_whole(pr_recorder_t *recorder, const s_table_t *table, int operation, s_get_fn *get) {
    uint64_t hash = 0;
    int code = s_hash(recorder, table, get, &hash);
    if (code != SQLITE_OK)
        return code;
    s_bytes_t *bytes = s_place(recorder, table, hash);
    s_put_byte(bytes, (unsigned char)operation);
    s_put_byte(bytes, 0);
    for (size_t i = 0; code == SQLITE_OK && i < table->count; i++) {
        sqlite3_value *value = NULL;
        code = get(recorder->db, (int)i, &value);
        if (code == SQLITE_OK)
            s_put_value(bytes, value, table->columns[i].affinity);
    }
    return code;
}

/* The row before its update, as a SELECT gives it. */
static int s_ask(pr_recorder_t *recorder, const s_table_t *table) {
    for (size_t i = 0; i < table->count; i++) {
        sqlite3_value *value = NULL;
        if (table->columns[i].key == 0)
            continue;
        int code = sqlite3_preupdate_old(recorder->db, (int)i, &value);
        if (code != SQLITE_OK)
            return code;
        sqlite3_bind_value(table->select, (int)i + 1, value);
    }
    int step = sqlite3_step(table->select);
    return step == SQLITE_ROW ? SQLITE_OK : step == SQLITE_DONE ? SQLITE_CORRUPT : step;
}

/*  The values of an update: old[i] and now[i] where column i has changed, old[i] alone of the key, else NULL.
 *  ret_count: how many have changed. */
static int s_compare(pr_recorder_t *recorder, const s_table_t *table, sqlite3_value **old, sqlite3_value **now,
                     size_t *ret_count) {
    size_t changed = 0;
    bool asked = false;
    for (size_t i = 0; i < table->count; i++) {
        int code = sqlite3_preupdate_old(recorder->db, (int)i, &old[i]);
        if (code == SQLITE_OK)
            code = sqlite3_preupdate_new(recorder->db, (int)i, &now[i]);
        if (code == SQLITE_OK && table->columns[i].added && !asked && sqlite3_value_type(old[i]) == SQLITE_NULL &&
            sqlite3_value_type(now[i]) != SQLITE_NULL) {
            code = s_ask(recorder, table);
            asked = true;
        }
        if (code != SQLITE_OK)
            return code;
        if (asked && table->columns[i].added && sqlite3_value_type(old[i]) == SQLITE_NULL)
            old[i] = sqlite3_column_value(table->select, (int)i);
        if (!pr_sql_value_same(old[i], now[i], table->columns[i].affinity == PR_AFFINITY_REAL)) {
            changed++;
            continue;
        }
        now[i] = NULL;
        if (table->columns[i].key == 0)
            old[i] = NULL;
    }
    *ret_count = changed;
    return SQLITE_OK;
}

static int s_record_update(pr_recorder_t *recorder, const s_table_t *table) {
    sqlite3_value *old[s_columns_max];
    sqlite3_value *now[s_columns_max];
    size_t changed = 0;
    uint64_t hash = 0;
    int code = s_compare(recorder, table, old, now, &changed);
    if (code == SQLITE_OK && changed > 0)
        code = s_hash(recorder, table, sqlite3_preupdate_old, &hash);
    if (code != SQLITE_OK || changed == 0)
        return code;
    s_bytes_t *bytes = s_place(recorder, table, hash);
    s_put_byte(bytes, SQLITE_UPDATE);
    s_put_byte(bytes, 0);
    for (size_t i = 0; i < table->count; i++) {
        if (old[i] != NULL)
            s_put_value(bytes, old[i], table->columns[i].affinity);
        else
            s_put_byte(bytes, 0);
    }
    for (size_t i = 0; i < table->count; i++) {
        if (now[i] != NULL)
            s_put_value(bytes, now[i], table->columns[i].affinity);
        else
            s_put_byte(bytes, 0);
    }
    return SQLITE_OK;
}

/* Does an update change the primary key? Then it is another row. */
static int s_moves(pr_recorder_t *recorder, const s_table_t *table, bool *ret_moves) {
    for (size_t i = 0; i < table->count; i++) {
        sqlite3_value *old = NULL;
        sqlite3_value *now = NULL;
        if (table->columns[i].key == 0)
            continue;
        int code = sqlite3_preupdate_old(recorder->db, (int)i, &old);
        if (code == SQLITE_OK)
            code = sqlite3_preupdate_new(recorder->db, (int)i, &now);
        if (code != SQLITE_OK)
            return code;
        *ret_moves = *ret_moves || !pr_sql_value_same(old, now, false);
    }
    return SQLITE_OK;
}

static int s_record(pr_recorder_t *recorder, const s_table_t *table, int operation) {
    bool moves = false;
    int code = SQLITE_OK;
    if ((int)table->count != sqlite3_preupdate_count(recorder->db) || table->count > s_columns_max)
        return SQLITE_SCHEMA;
    if (operation == SQLITE_INSERT)
        return s_record_whole(recorder, table, operation, sqlite3_preupdate_new);
    if (operation == SQLITE_DELETE)
        return s_record_whole(recorder, table, operation, sqlite3_preupdate_old);
    code = s_moves(recorder, table, &moves);
    if (code != SQLITE_OK || !moves) {
        if (code == SQLITE_OK)
            code = s_record_update(recorder, table);
        if (table->select != NULL)
            sqlite3_reset(table->select);
        return code;
    }
    code = s_record_whole(recorder, table, SQLITE_DELETE, sqlite3_preupdate_old);
    return code == SQLITE_OK ? s_record_whole(recorder, table, SQLITE_INSERT, sqlite3_preupdate_new) : code;
}

/* ---- rows whose values are given ---- */

/* Note which column is given which value, and whether that tells all of a row. */
static void s_tell(s_table_t *table, const pr_given_t *given) {
    table->told_of = given->columns;
    table->known = table->id >= 0;
    for (size_t i = 0; i < table->count; i++) {
        s_column_t *column = &table->columns[i];
        column->given = -1;
        for (size_t k = 0; k < given->columns_count; k++)
            if (given->columns[k] != NULL && sqlite3_stricmp(given->columns[k], column->name) == 0)
                column->given = (int)k;
        if ((int)i == table->id ? column->given >= 0 : column->given < 0 && column->added)
            table->known = false;
    }
}

void pr_recorder_given(pr_recorder_t *recorder, const pr_given_t *given) {
    const s_given_t *ended = &recorder->given;
    if (ended->table != NULL && ended->next != ended->as.rows && recorder->failed == SQLITE_OK)
        recorder->failed = s_other_rows;
    recorder->given.table = NULL;
    s_table_t *table = given != NULL ? s_find(recorder, given->table) : NULL;
    if (table == NULL)
        return;
    if (table->told_of != given->columns)
        s_tell(table, given);
    if (table->known)
        recorder->given = (s_given_t){.table = table, .as = *given};
}

/* Are these values of a row stored as they are? */
static bool s_are_kept(const s_table_t *table, const pr_value_t *values) {
    for (size_t i = 0; i < table->count; i++) {
        const s_column_t *column = &table->columns[i];
        if (column->given >= 0 && !pr_affinity_keeps(column->affinity, &values[column->given]))
            return false;
    }
    return true;
}

/* The next one of the given rows is about to be inserted. */
static int s_record_given(pr_recorder_t *recorder, int64_t id) {
    s_given_t *given = &recorder->given;
    const s_table_t *table = given->table;
    if (given->next == given->as.rows)
        return s_other_rows;
    const pr_value_t *values = &given->as.values[given->as.width * given->next++];
    if ((int)table->count != sqlite3_preupdate_count(recorder->db) || !s_are_kept(table, values))
        return s_record(recorder, table, SQLITE_INSERT);
    s_bytes_t *bytes = s_place(recorder, table, s_hash_integer(s_hash_table(recorder, table), id));
    s_put_byte(bytes, SQLITE_INSERT);
    s_put_byte(bytes, 0);
    for (size_t i = 0; i < table->count; i++) {
        const s_column_t *column = &table->columns[i];
        if ((int)i == table->id)
            s_put_integer(bytes, id);
        else if (column->given >= 0)
            s_put_kept(bytes, &values[column->given], column->affinity);
        else
            s_put_byte(bytes, SQLITE_NULL);
    }
    return SQLITE_OK;
}

/* ---- the hook's entry ---- */

static void s_on_change(void *context, sqlite3 *db, int operation, const char *database, const char *name,
                        sqlite3_int64 old_rowid, sqlite3_int64 new_rowid) {
    (void)db;
    (void)old_rowid;
    pr_recorder_t *recorder = context;
    if (!recorder->recording || recorder->failed != SQLITE_OK || strcmp(database, "main") != 0)
        return;
    const s_table_t *table = s_find(recorder, name);
    if (table == NULL)
        return;
    bool given = table == recorder->given.table && operation == SQLITE_INSERT;
    recorder->failed = given ? s_record_given(recorder, new_rowid) : s_record(recorder, table, operation);
}

/* ---- life ---- */

pr_recorder_t *pr_recorder_new(sqlite3 *db) {
    pr_recorder_t *recorder = pr_xcalloc(1, sizeof *recorder);
    recorder->db = db;
    sqlite3_preupdate_hook(db, s_on_change, recorder);
    return recorder;
}

void pr_recorder_destroy(pr_recorder_t **recorder) {
    if (recorder == NULL || *recorder == NULL)
        return;
    pr_recorder_t *dying = *recorder;
    sqlite3_preupdate_hook(dying->db, NULL, NULL);
    for (size_t i = 0; i < dying->segments_room; i++) {
        for (size_t k = 0; k < dying->tables_count; k++)
            free(dying->segments[i].changes[k].at);
        free(dying->segments[i].changes);
    }
    for (size_t i = 0; i < dying->tables_count; i++) {
        s_table_clear(&dying->tables[i]);
        free(dying->tables[i].name);
    }
    free(dying->tables);
    free(dying->segments);
    free(dying->seen);
    free(dying->mark_sizes);
    free(dying->joined.at);
    free(dying);
    *recorder = NULL;
}

void pr_recorder_drop(pr_recorder_t *recorder) {
    recorder->recording = false;
    recorder->given.table = NULL;
    recorder->segments_count = 0;
    recorder->mark_segments = 0;
}

void pr_recorder_begin(pr_recorder_t *recorder) {
    pr_recorder_drop(recorder);
    recorder->failed = SQLITE_OK;
    recorder->fresh = true;
    recorder->recording = true;
}

/* ---- the changeset ---- */

static void s_put_header(s_bytes_t *bytes, const s_table_t *table) {
    s_put_byte(bytes, 'T');
    s_put_varint(bytes, (uint32_t)table->count);
    for (size_t i = 0; i < table->count; i++)
        s_put_byte(bytes, table->columns[i].key);
    s_put_bytes(bytes, table->name, strlen(table->name) + 1);
}

/* A segment as a changeset of its own. */
static void s_join(pr_recorder_t *recorder, const s_segment_t *segment) {
    recorder->joined.used = 0;
    for (size_t i = 0; i < recorder->tables_count; i++) {
        if (segment->changes[i].used == 0)
            continue;
        s_put_header(&recorder->joined, &recorder->tables[i]);
        s_put_bytes(&recorder->joined, segment->changes[i].at, segment->changes[i].used);
    }
}

/* Several segments as one changeset, in the place of the joined ones: the extension merges what they do to the same row. */
static int s_merge(pr_recorder_t *recorder) {
    sqlite3_changegroup *group = NULL;
    void *changes = NULL;
    int size = 0;
    int code = sqlite3changegroup_new(&group);
    for (size_t i = 0; code == SQLITE_OK && i < recorder->segments_count; i++) {
        s_join(recorder, &recorder->segments[i]);
        if (recorder->joined.used > 0)
            code = sqlite3changegroup_add(group, (int)recorder->joined.used, recorder->joined.at);
    }
    if (code == SQLITE_OK)
        code = sqlite3changegroup_output(group, &size, &changes);
    recorder->joined.used = 0;
    if (code == SQLITE_OK)
        s_put_bytes(&recorder->joined, changes, (size_t)size);
    sqlite3_free(changes);
    sqlite3changegroup_delete(group);
    return code;
}

int pr_recorder_end(pr_recorder_t *recorder, const void **ret_changes, size_t *ret_size, pr_error_t *err) {
    int code = recorder->failed;
    recorder->joined.used = 0;
    if (code == SQLITE_OK && recorder->segments_count == 1)
        s_join(recorder, &recorder->segments[0]);
    else if (code == SQLITE_OK && recorder->segments_count > 1)
        code = s_merge(recorder);
    pr_recorder_drop(recorder);
    if (code != SQLITE_OK)
        return pr_error_set(err, PR_E_TARGET, "%s: recording changes: %s", sqlite3_db_filename(recorder->db, "main"),
                            code == s_other_rows ? "a statement inserted other rows than it was given"
                                                 : sqlite3_errstr(code));
    *ret_size = recorder->joined.used;
    *ret_changes = *ret_size > 0 ? recorder->joined.at : NULL;
    return 0;
}
