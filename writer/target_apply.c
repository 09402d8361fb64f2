/* SPDX-License-Identifier: MIT */
/* One record's rows. */

/*  DESIGN
 *
 *  Why not INSERT … ON CONFLICT DO UPDATE: on a table with AUTOINCREMENT every upsert that meets a conflict burns an id
 *  in sqlite_sequence (measured, SQLite 3.40), so that a replay which changes nothing would still change the database,
 *  and the ids after a resumed run would differ from those of an uninterrupted one. A plain INSERT that fails on UNIQUE
 *  burns none.
 *
 *  So a row goes one of two ways, and which one comes first is a guess from the last row of the same kind:
 *    insert first   INSERT; if a constraint forbids it, select by natural key
 *    select first   SELECT by natural key; if there is none, INSERT
 *  A wrong guess costs time and nothing else. Insert first needs a UNIQUE index on the natural key, or on part of it,
 *  and no NULL in the key (UNIQUE lets NULLs repeat); without one, as clients(name) of the HUB, it is always select
 *  first. A row that is there is compared column by column in C, with types, and changed by id only if something
 *  differs: so no row is touched, and no trigger of another connection's view of it can tell a replay, when nothing
 *  differs. Rows of mode ensure are never changed. A constraint after which no row with the natural key is found is
 *  about something else than the key: the record is rejected with SQLite's message.
 *
 *  found_through: the row is first looked for through the row that refers to it. If the key columns that are not parent
 *  ids are ours, it is our row, perhaps under another parent now, and is changed where it differs. If not, somebody put
 *  a real row in the place of our placeholder: it is left alone and serves as the parent.
 *
 *  A record either makes all its rows or none. The savepoint for that is opened only before a row is written that is
 *  not the record's last, so that records of one row, and those whose parents are known, do without. Touched rows are
 *  noted only when the record is through; ids that were cached for a record that is then rejected are forgotten with it.
 */
#include "writer/target_apply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "writer/target_foreign.h"

/* A record on its way. */
typedef struct {
    pr_target_t *target;
    pr_target_stream_t *stream;
    const pr_rows_record_t *record;
    uint64_t ordinal; /* of the record within its source */
    size_t row;       /* index of the row at hand in the record */
    bool savepoint;
    pr_target_applied_t applied;
    pr_error_t *err;
} s_way_t;

const char *pr_target_applied_detail(const pr_target_applied_t *applied) {
    return applied->longer != NULL ? applied->longer : applied->detail;
}

static int s_error(s_way_t *way, const pr_target_row_t *row) {
    return pr_target_fail(way->target, way->err, "table %s", row->spec->table);
}

/* Does a message name this column, as "table.column" or in the expression of a CHECK? */
static bool s_names(const char *message, const char *column) {
    size_t size = strlen(column);
    for (const char *at = message; (at = strcasestr(at, column)) != NULL; at += size) {
        bool begins = at == message || (at[-1] != '_' && !isalnum((unsigned char)at[-1]));
        if (begins && at[size] != '_' && at[size] != '.' && !isalnum((unsigned char)at[size]))
            return true;
    }
    return false;
}

/*  Reject the record with SQLite's last message, and the values of the columns that it names. Of a foreign key it names
 *  none: those that hold ids of other rows are told. */
static int s_constraint(s_way_t *way, const pr_target_row_t *row) {
    pr_text_room_t detail = {.text = way->applied.detail, .room = sizeof way->applied.detail};
    bool refers = sqlite3_extended_errcode(way->target->db) == SQLITE_CONSTRAINT_FOREIGNKEY;
    const char *message = sqlite3_errmsg(way->target->db);
    const char *named = strchr(message, ':');
    const char *before = " (";
    way->applied.reason = PR_R_CONSTRAINT;
    pr_text_add(&detail, "%s", message);
    if (refers)
        pr_text_add(&detail, ": %s", row->spec->table);
    for (size_t i = 0; i < row->all.count; i++) {
        const pr_column_t *column = &row->spec->columns[row->all.at[i]];
        bool is_id = column->op == PR_OP_PARENT || column->op == PR_OP_LOOKUP;
        const pr_value_t *value = &row->values[row->all.at[i]];
        if (refers ? !is_id || value->kind == PR_NULL : !s_names(named != NULL ? named : message, column->name))
            continue;
        char printed[80];
        pr_text_add(&detail, "%s%s = %s", before, column->name, pr_value_print(value, printed, sizeof printed));
        before = ", ";
    }
    if (*before == ',')
        pr_text_add(&detail, ")");
    return PR_ROW_REJECTED;
}

/* Before a row is written: make sure that it can be taken back if a later row of the record is rejected. */
static int s_guard(s_way_t *way) {
    if (way->savepoint || way->row + 1 == way->record->rows_count)
        return 0;
    int result = pr_target_do(way->target, PR_SQL_SAVEPOINT, way->err, "");
    way->savepoint = result == 0;
    return result;
}

static void s_bind(sqlite3_stmt *statement, const pr_target_row_t *row, const pr_target_columns_t *columns) {
    for (size_t i = 0; i < columns->count; i++)
        pr_target_bind_value(statement, (int)i + 1, &row->values[columns->at[i]]);
}

/*  Equal as stored: the same kind and content. A column's affinity may have turned an integer into a real or back.
 *  The stored value is fetched once, and asked for what it holds: each sqlite3_column_* call would look it up anew. Allowed
 *  as the connection has no mutex: SQLite then tells no protected values from unprotected ones. */
bool pr_target_stored_equal(sqlite3_stmt *statement, int at, const pr_value_t *value) {
    sqlite3_value *stored = sqlite3_column_value(statement, at);
    int type = sqlite3_value_type(stored);
    switch (value->kind) {
    case PR_NULL:
        return type == SQLITE_NULL;
    case PR_INTEGER:
        return (type == SQLITE_INTEGER && sqlite3_value_int64(stored) == value->integer) ||
               (type == SQLITE_FLOAT && value->integer >= -(1LL << 53) && value->integer <= 1LL << 53 &&
                sqlite3_value_double(stored) == (double)value->integer);
    case PR_REAL:
        return (type == SQLITE_FLOAT || type == SQLITE_INTEGER) && sqlite3_value_double(stored) == value->real;
    case PR_TEXT: {
        /* The size first: that makes UTF-8 of what is not. And no sqlite3_value_text, which wants a NUL behind it. */
        if (type != SQLITE_TEXT || (size_t)sqlite3_value_bytes(stored) != value->text.size)
            return false;
        return value->text.size == 0 || memcmp(sqlite3_value_blob(stored), value->text.data, value->text.size) == 0;
    }
    }
    return false;
}

bool pr_target_row_differs(sqlite3_stmt *statement, int first, const pr_value_t *values,
                           const pr_target_columns_t *columns) {
    for (size_t i = 0; i < columns->count; i++) {
        if (!pr_target_stored_equal(statement, first + (int)i, &values[columns->at[i]]))
            return true;
    }
    return false;
}

static int s_insert(s_way_t *way, pr_target_row_t *row, bool *ret_exists) {
    int result = s_guard(way);
    if (result < 0)
        return result;
    s_bind(row->insert, row, &row->all);
    int step = sqlite3_step(row->insert);
    if (step == SQLITE_DONE) {
        row->id = sqlite3_last_insert_rowid(way->target->db);
        result = pr_target_foreign_stored(way->target, row, row->id, row->values, way->err);
        result = result == 0 ? PR_ROW_INSERTED : result;
    } else if (step == SQLITE_CONSTRAINT && !*ret_exists) {
        /* The key, or a column that would not be set at all if the row is there. Its message is still needed if no such
         * row is found. */
        s_constraint(way, row);
        way->applied.reason = PR_R_NONE;
        *ret_exists = true;
        result = PR_ROW_NONE;
    } else if (step == SQLITE_CONSTRAINT) {
        result = s_constraint(way, row);
    } else {
        result = s_error(way, row);
    }
    sqlite3_reset(row->insert);
    return result;
}

static int s_change(s_way_t *way, pr_target_row_t *row, sqlite3_stmt *statement, const pr_target_columns_t *columns) {
    int result = s_guard(way);
    if (result < 0)
        return result;
    s_bind(statement, row, columns);
    sqlite3_bind_int64(statement, (int)columns->count + 1, row->id);
    int step = sqlite3_step(statement);
    if (step != SQLITE_DONE)
        result = step == SQLITE_CONSTRAINT ? s_constraint(way, row) : s_error(way, row);
    sqlite3_reset(statement);
    if (step == SQLITE_DONE)
        result = pr_target_foreign_stored(way->target, row, row->id, row->values, way->err);
    if (result == 0)
        result = PR_ROW_UPDATED;
    if (row->clears_cache)
        pr_id_cache_clear(way->target->cache);
    return result;
}

/* Where the values that were compared stand in what `select` reads. */
typedef struct {
    sqlite3_stmt *select;
    int first;
    const pr_target_columns_t *columns;
} s_compared_t;

/* The row differs: change it, unless it is others' by now and they come first. */
static int s_differing(s_way_t *way, pr_target_row_t *row, s_compared_t compared, sqlite3_stmt *change,
                       const pr_target_columns_t *columns) {
    int result = pr_target_foreign_judge(way->target, row, compared.select, compared.first, compared.columns, way->err);
    if (result == PR_ROW_REJECTED) {
        way->applied.reason = PR_R_CHANGED_IN_TARGET;
        way->applied.longer = row->foreign.text;
        if (row->foreign.field != NULL && row->foreign.field->field >= 0)
            way->applied.field = way->stream->stream->fields[row->foreign.field->field].name;
    }
    return result == PR_ROW_UPDATED ? s_change(way, row, change, columns) : result;
}

/* Look for the row by its natural key, and change it where it differs. PR_ROW_NONE: there is none. */
static int s_find(s_way_t *way, pr_target_row_t *row) {
    s_bind(row->select, row, &row->key);
    bool differs = false;
    int step = sqlite3_step(row->select);
    int result = PR_ROW_NONE;
    if (step == SQLITE_ROW) {
        row->id = sqlite3_column_int64(row->select, 0);
        differs = pr_target_row_differs(row->select, 1, row->values, &row->update);
        result = PR_ROW_SAME;
    } else if (step != SQLITE_DONE) {
        result = s_error(way, row);
    }
    sqlite3_reset(row->select);
    const s_compared_t compared = {row->select, 1, &row->update};
    return differs ? s_differing(way, row, compared, row->change, &row->update) : result;
}

/* The two ways of the design block. */
static int s_put(s_way_t *way, pr_target_row_t *row) {
    bool insert_first = row->unique && row->expect_new;
    for (size_t i = 0; insert_first && i < row->key.count; i++)
        insert_first = row->values[row->key.at[i]].kind != PR_NULL;
    bool exists = !insert_first;
    int result = insert_first ? s_insert(way, row, &exists) : PR_ROW_NONE;
    if (result != PR_ROW_NONE)
        return result;
    result = s_find(way, row);
    if (result == PR_ROW_NONE && insert_first) {
        way->applied.reason = PR_R_CONSTRAINT;
        return PR_ROW_REJECTED;
    }
    return result == PR_ROW_NONE ? s_insert(way, row, &exists) : result;
}

/* The value of the field that found_through reads, from the row of this record that carries it. NULL: not in this
 * record. */
static const pr_value_t *s_through_value(const s_way_t *way, const pr_target_row_t *row) {
    for (size_t i = 0; i < way->record->rows_count; i++) {
        if (way->record->rows[i].spec == (unsigned)row->through_spec)
            return &way->record->rows[i].values[row->through_column];
    }
    return NULL;
}

/* Look for the id that found_through leads to. PR_ROW_NONE: it leads nowhere. */
static int s_through_id(s_way_t *way, pr_target_row_t *row) {
    const pr_value_t *value = s_through_value(way, row);
    if (value == NULL || value->kind == PR_NULL)
        return PR_ROW_NONE;
    int result = PR_ROW_NONE;
    pr_target_bind_value(row->through_find, 1, value);
    int step = sqlite3_step(row->through_find);
    if (step == SQLITE_ROW && sqlite3_column_type(row->through_find, 0) == SQLITE_INTEGER) {
        row->id = sqlite3_column_int64(row->through_find, 0);
        result = PR_ROW_SAME;
    } else if (step != SQLITE_ROW && step != SQLITE_DONE) {
        result = s_error(way, row);
    }
    sqlite3_reset(row->through_find);
    return result;
}

/* Are the key columns that are not parents' ids ours? They stand first in what the statement reads. */
static bool s_is_ours(const pr_target_row_t *row) {
    for (size_t i = 0; i < row->key.count; i++) {
        size_t column = row->key.at[i];
        if (row->spec->columns[column].op != PR_OP_PARENT &&
            !pr_target_stored_equal(row->through_select, (int)i + 1, &row->values[column]))
            return false;
    }
    return true;
}

static int s_put_through(s_way_t *way, pr_target_row_t *row) {
    int result = s_through_id(way, row);
    if (result == PR_ROW_NONE)
        return s_put(way, row);
    if (result < 0)
        return result;
    bool differs = false;
    sqlite3_bind_int64(row->through_select, 1, row->id);
    int step = sqlite3_step(row->through_select);
    if (step == SQLITE_ROW)
        differs = row->spec->mode == PR_MODE_UPSERT && s_is_ours(row) &&
                  pr_target_row_differs(row->through_select, 1, row->values, &row->through_compare);
    else
        result = step == SQLITE_DONE ? PR_ROW_NONE : s_error(way, row);
    sqlite3_reset(row->through_select);
    if (result == PR_ROW_NONE)
        return s_put(way, row);
    const s_compared_t compared = {row->through_select, 1, &row->through_compare};
    return differs ? s_differing(way, row, compared, row->through_change, &row->through_update) : result;
}

/* The key of a row or lookup as the cache wants it. */
enum { KEY_MAX = 16 };
static size_t s_cache_key(const pr_target_row_t *row, const pr_value_t *ret_key[KEY_MAX]) {
    if (row->key.count > KEY_MAX)
        return 0;
    for (size_t i = 0; i < row->key.count; i++)
        ret_key[i] = &row->values[row->key.at[i]];
    return row->key.count;
}

/* Its id from the cache. */
static bool s_cached(const pr_target_t *target, pr_target_row_t *row) {
    const pr_value_t *key[KEY_MAX];
    size_t count = s_cache_key(row, key);
    return count > 0 && pr_id_cache_get(target->cache, row->space, key, count, &row->id);
}

static int s_ensure(s_way_t *way, pr_target_row_t *row) {
    if (s_cached(way->target, row))
        return PR_ROW_SAME;
    const pr_value_t *key[KEY_MAX];
    size_t count = s_cache_key(row, key);
    int result = row->spec->through_table != NULL ? s_put_through(way, row) : s_put(way, row);
    if (count > 0 && (result == PR_ROW_SAME || result == PR_ROW_INSERTED) && row->spec->through_table == NULL)
        pr_id_cache_put(way->target->cache, row->space, key, count, row->id);
    return result;
}

static int s_unknown_parent(s_way_t *way, const pr_target_lookup_t *lookup, const pr_column_t *column,
                            const pr_value_t *value) {
    char printed[256];
    way->applied.reason = PR_R_UNKNOWN_PARENT;
    way->applied.field = way->stream->stream->fields[column->field].name;
    pr_text_room_t detail = {.text = way->applied.detail, .room = sizeof way->applied.detail};
    pr_text_add(&detail, "%s has no row whose %s is %s", lookup->table, lookup->key,
                pr_value_print(value, printed, sizeof printed));
    return PR_ROW_REJECTED;
}

/* The id a LOOKUP column refers to; NULL refers to nothing. */
static int s_look_up(s_way_t *way, const pr_target_lookup_t *lookup, const pr_column_t *column, const pr_value_t *value,
                     pr_value_t *ret_id) {
    int64_t id = 0;
    int result = PR_ROW_SAME;
    if (value->kind == PR_NULL) {
        *ret_id = pr_value_null();
        return PR_ROW_SAME;
    }
    if (pr_id_cache_get(way->target->cache, lookup->space, &value, 1, &id)) {
        *ret_id = pr_value_integer(id);
        return PR_ROW_SAME;
    }
    pr_target_bind_value(lookup->select, 1, value);
    int step = sqlite3_step(lookup->select);
    if (step == SQLITE_ROW) {
        id = sqlite3_column_int64(lookup->select, 0);
        pr_id_cache_put(way->target->cache, lookup->space, &value, 1, id);
        *ret_id = pr_value_integer(id);
    } else if (step == SQLITE_DONE) {
        result = s_unknown_parent(way, lookup, column, value);
    } else {
        result = pr_target_fail(way->target, way->err, "table %s", lookup->table);
    }
    sqlite3_reset(lookup->select);
    return result;
}

/* The row's values with ids in the place of symbolic references. */
static int s_resolve(s_way_t *way, pr_target_row_t *row, const pr_row_t *given) {
    int result = PR_ROW_SAME;
    for (size_t i = 0; result == PR_ROW_SAME && i < row->spec->columns_count; i++) {
        const pr_column_t *column = &row->spec->columns[i];
        if (column->op == PR_OP_PARENT) {
            const pr_target_row_t *parent = &way->stream->rows[column->parent];
            row->values[i] = parent->made ? pr_value_integer(parent->id) : pr_value_null();
        } else if (column->op == PR_OP_LOOKUP) {
            result = s_look_up(way, row->lookups[i], column, &given->values[i], &row->values[i]);
        } else {
            row->values[i] = given->values[i];
        }
    }
    return result;
}

int pr_target_resolve(pr_target_t *target, pr_target_stream_t *stream, pr_target_row_t *row, const pr_row_t *given,
                      pr_error_t *err) {
    s_way_t way = {.target = target, .stream = stream, .err = err};
    return s_resolve(&way, row, given);
}

int pr_target_known(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record, size_t count,
                    pr_error_t *err) {
    for (size_t r = 0; r < stream->stream->rows_count; r++)
        stream->rows[r].made = false;
    for (size_t i = 0; i < count; i++) {
        pr_target_row_t *row = &stream->rows[record->rows[i].spec];
        if (!row->grouped.may_precede)
            return 0;
        int result = pr_target_resolve(target, stream, row, &record->rows[i], err);
        if (result < 0)
            return result;
        if (result == PR_ROW_REJECTED || !s_cached(target, row))
            return 0;
        row->made = true;
    }
    return 1;
}

static int s_row(s_way_t *way, const pr_row_t *given) {
    pr_target_row_t *row = &way->stream->rows[given->spec];
    int result = s_resolve(way, row, given);
    if (result != PR_ROW_SAME)
        return result;
    if (row->spec->mode == PR_MODE_ENSURE)
        result = s_ensure(way, row);
    else
        result = row->spec->through_table != NULL ? s_put_through(way, row) : s_put(way, row);
    if (result < 0 || result == PR_ROW_REJECTED)
        return result;
    row->made = true;
    row->outcome = result;
    row->expect_new = result == PR_ROW_INSERTED;
    return result;
}

/* Note a row whose derived column d depends on what was written. */
static int s_touch_id(pr_target_t *target, size_t d, int64_t id, pr_error_t *err) {
    if (!pr_id_set_add(target->touched, (unsigned)d, id))
        return 0;
    return pr_target_do(target, PR_SQL_TOUCH, err, "iti", target->batch.run, target->mapping->derived[d].table, id);
}

int pr_target_touch(pr_target_t *target, const pr_target_row_t *row, const pr_value_t *values, pr_error_t *err) {
    int result = 0;
    for (size_t d = 0; result == 0 && d < target->mapping->derived_count; d++) {
        if (row->touches[d] >= 0 && values[row->touches[d]].kind == PR_INTEGER)
            result = s_touch_id(target, d, values[row->touches[d]].integer, err);
    }
    return result;
}

/* Note the rows whose derived columns depend on this record: its own and others. */
static int s_touch(s_way_t *way) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < way->record->rows_count; i++) {
        const pr_target_row_t *row = &way->stream->rows[way->record->rows[i].spec];
        for (size_t d = 0; result == 0 && d < way->target->mapping->derived_count; d++) {
            if (row->touches[d] == PR_TOUCHES_ITSELF)
                result = s_touch_id(way->target, d, row->id, way->err);
        }
        if (result == 0)
            result = pr_target_touch(way->target, row, row->values, way->err);
    }
    return result;
}

/* Note which record made a row whose columns cannot all be proved at any other: shared rows, and those with columns that
 * are only ever set with a new row. */
static int s_note_made(s_way_t *way) {
    const pr_target_batch_t *batch = &way->target->batch;
    int result = 0;
    for (size_t i = 0; result == 0 && i < way->record->rows_count; i++) {
        const pr_target_row_t *row = &way->stream->rows[way->record->rows[i].spec];
        if (row->noted && row->outcome == PR_ROW_INSERTED)
            result = pr_target_do(way->target, PR_SQL_MADE, way->err, "tiiiii", row->spec->table, row->id, batch->run,
                                  batch->checkpoint, (int64_t)batch->range.source, (int64_t)way->ordinal);
    }
    return result;
}

/* Note what became of rows that others had changed: of those that the record left or changed, or of the one that it was
 * rejected for. */
static int s_note_foreign(s_way_t *way, bool stays) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < way->record->rows_count; i++) {
        const pr_target_row_t *row = &way->stream->rows[way->record->rows[i].spec];
        if (stays || row->foreign.outcome == PR_FOREIGN_REJECTED)
            result = pr_target_foreign_note(way->target, way->stream->stream, row, way->ordinal, way->err);
    }
    return result;
}

/* Count what was done, by record and by table. */
static void s_count(s_way_t *way) {
    for (size_t i = 0; i < way->record->rows_count; i++) {
        const pr_target_row_t *row = &way->stream->rows[way->record->rows[i].spec];
        pr_target_table_t *table = &way->target->tables[row->table];
        uint64_t inserted = row->outcome == PR_ROW_INSERTED ? 1 : 0;
        uint64_t updated = row->outcome == PR_ROW_UPDATED ? 1 : 0;
        table->inserted += inserted;
        table->updated += updated;
        way->applied.rows_inserted += inserted;
        way->applied.rows_updated += updated;
    }
}

/* Take back what the record has written, or let it stay. */
static int s_settle(s_way_t *way, bool stays) {
    int result = 0;
    if (!way->savepoint)
        return 0;
    if (!stays)
        result = pr_target_do(way->target, PR_SQL_ROLLBACK_TO, way->err, "");
    return result == 0 ? pr_target_do(way->target, PR_SQL_RELEASE, way->err, "") : result;
}

/* What is remembered of a record that was taken back. */
static void s_forget(pr_target_t *target, pr_id_cache_mark_t mark, size_t digests) {
    pr_row_digests_rewind(target->digests, digests);
    pr_id_cache_rewind(target->cache, mark);
    if (target->undo != NULL)
        pr_undo_rewind(target->undo);
}

int pr_target_apply_rows(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record,
                         uint64_t ordinal, pr_target_applied_t *ret_applied, pr_error_t *err) {
    s_way_t way = {.target = target, .stream = stream, .record = record, .ordinal = ordinal, .err = err};
    pr_id_cache_mark_t mark = pr_id_cache_mark(target->cache);
    if (target->undo != NULL)
        pr_undo_mark(target->undo);
    size_t digests = pr_row_digests_mark(target->digests);
    int result = PR_ROW_SAME;
    for (size_t r = 0; r < stream->stream->rows_count; r++) {
        stream->rows[r].made = false;
        if (stream->rows[r].foreign.outcome != PR_FOREIGN_NONE)
            pr_target_foreign_clear(&stream->rows[r]);
    }
    for (way.row = 0; result >= 0 && result != PR_ROW_REJECTED && way.row < record->rows_count; way.row++)
        result = s_row(&way, &record->rows[way.row]);
    if (result < 0)
        return result;
    bool stays = result != PR_ROW_REJECTED;
    result = s_settle(&way, stays);
    if (result == 0 && stays)
        result = s_touch(&way);
    if (result == 0 && stays)
        result = s_note_made(&way);
    if (result == 0)
        result = s_note_foreign(&way, stays);
    if (result < 0)
        return result;
    if (stays)
        s_count(&way);
    else
        s_forget(target, mark, digests);
    *ret_applied = way.applied;
    return 0;
}
