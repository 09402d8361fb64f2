/* SPDX-License-Identifier: MIT */
/* The inverse mapping of one stream, generated from the mapping. */
#include "validator/inverse.h"

/*  DESIGN
 *
 *  A record made several rows that refer to each other. The proof goes the other way round: it starts at the rows that
 *  nobody refers to, found by natural key, and follows the stored references to their parents.
 *
 *  1. Down, last spec first: a row is a candidate if a child's stored reference leads to it, or found_through does, or
 *     its natural key (as long as that holds no parent) does. A row found_through whose own key values are not ours has
 *     been put there by somebody: REPLACED, not compared, and nothing is followed from it.
 *  2. Up, first spec first: a candidate is the row if all of its natural key is ours, parents included (they are
 *     decided by then). Otherwise the natural key is looked up. If no row has it, the candidate stays the row and the
 *     key columns that differ are the failure, as that names the very cell; without a candidate the row is missing.
 *  3. Then the row's columns are compared, each with the relation the mapping gives it. A parent reference must be the
 *     id of the row decided for that parent.
 *
 *  Records mostly come in the order in which their rows were inserted. So a row that is wanted by key is first expected
 *  to be the one that follows the last such row by id: a statement that is only stepped, which takes half the time of a
 *  look-up. If it has not our key, it is looked up after all, and the following ones are expected again after a while.
 *
 *  So shared parents cost one look-up by id, and no table is searched without an index unless something is wrong.
 *  Rows read by id, and looked-up ids, are kept in small direct-mapped tables for one batch, which is one read
 *  transaction. Rows read by key are used straight from the statement, which lives until the next record.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "validator/database.h"
#include "validator/relation.h"

enum { S_SLOTS = 64, S_PRINT_BYTES = 1024, S_KEY_BYTES = 1024, S_BACKOFF_MAX = 63 };

/* A looked-up id. */
typedef struct {
    uint64_t generation; /* of the batch it was read in */
    char *text;          /* room for the key's text */
    size_t text_size;
    pr_value_t key;
    int64_t id;
} s_lookup_slot_t;

/* Occurrences of a finding. */
typedef struct {
    uint64_t count;  /* in this batch */
    uint64_t before; /* in the batches before */
    uint32_t source; /* the first one's place */
    uint64_t first;  /* ordinal */
    char detail[320];
} s_tally_t;

typedef struct {
    const pr_column_t *column;
    pr_affinity_t affinity;
    int cell; /* index into a row's cells; -1: the target lacks it, as it may */
    pr_scratch_t scratch;
    /* LOOKUP */
    sqlite3_stmt *lookup;  /* id by key */
    sqlite3_stmt *confirm; /* does the row with this id have this key */
    s_lookup_slot_t *lookups;
    bool looked_up; /* for the record at hand: */
    bool lookup_found;
    int64_t lookup_id;
    /* findings */
    s_tally_t shared;
    s_tally_t kept;
} s_column_t;

/* A row read by id. */
typedef struct {
    uint64_t generation;
    int64_t id;
    pr_cell_t *cells;
    char *text;
    size_t capacity;
} s_slot_t;

/* What is known of a row for the record at hand. */
typedef enum { S_NOT_MADE, S_OPEN, S_FOUND, S_REPLACED, S_MISSING } s_state_t;

typedef struct {
    const pr_row_spec_t *spec;
    s_column_t *columns;
    size_t cells_count;
    bool parent_in_key;
    sqlite3_stmt *by_key;
    sqlite3_stmt *by_id;
    sqlite3_stmt *through; /* NULL: not found_through */
    sqlite3_stmt *next;    /* rows that follow an id, in order */
    bool following;        /* `next` stands on or after the last row found by key */
    unsigned patience;     /* records to let pass before it is tried again */
    unsigned backoff;
    s_slot_t *slots;
    pr_cell_t *key_cells; /* of the row read by key */
    s_tally_t replaced;
    /* for the record at hand: */
    s_state_t state;
    bool asked;    /* the natural key has been looked up */
    bool key_ours; /* and the row at hand has it */
    bool hinted;
    int64_t hint;           /* id a child refers to */
    const pr_cell_t *cells; /* the candidate, then the row; NULL: none */
    int64_t id;
} s_row_t;

struct pr_inverse {
    sqlite3 *db;
    const char *path;
    const pr_stream_t *stream;
    s_row_t *rows;
    uint64_t generation;
    bool all_new;
    /* the record at hand: */
    const pr_inverse_record_t *record;
    pr_proof_list_t *list;
};

/* --- Statements --- */

static char *s_sql_columns(const s_row_t *row) {
    char *columns = sqlite3_mprintf("id");
    for (size_t i = 0; i < row->spec->columns_count && columns != NULL; i++) {
        if (row->columns[i].cell < 0)
            continue;
        char *longer = sqlite3_mprintf("%s, \"%w\"", columns, row->columns[i].column->name);
        sqlite3_free(columns);
        columns = longer;
    }
    return columns;
}

/* NULL is found by IS only, which is why nullable key columns have it; the others get the plainer =. */
static bool s_may_be_null(const pr_stream_t *stream, const pr_column_t *column) {
    switch (column->op) {
    case PR_OP_COPY:
    case PR_OP_DATE:
        return stream->fields[column->field].nullable;
    case PR_OP_CONSTANT:
        return column->constant.kind == PR_NULL;
    case PR_OP_PARENT:
        return true;
    case PR_OP_MAP:
    case PR_OP_LOOKUP:
    case PR_OP_TEMPLATE:
        break;
    }
    return false;
}

static char *s_sql_key(const pr_stream_t *stream, const s_row_t *row) {
    char *where = sqlite3_mprintf("");
    for (size_t i = 0; i < row->spec->columns_count && where != NULL; i++) {
        const pr_column_t *column = row->columns[i].column;
        if (!column->key || row->columns[i].cell < 0)
            continue;
        char *longer = sqlite3_mprintf("%s%s\"%w\" %s ?%d", where, where[0] == '\0' ? "" : " AND ", column->name,
                                       s_may_be_null(stream, column) ? "IS" : "=", (int)i + 1);
        sqlite3_free(where);
        where = longer;
    }
    return where;
}

static int s_prepare_lookup(pr_inverse_t *inverse, s_column_t *column, pr_error_t *err) {
    const char *table = column->column->lookup_table;
    const char *key = column->column->lookup_key;
    column->lookups = pr_xcalloc(S_SLOTS, sizeof *column->lookups);
    int result = pr_database_prepare(inverse->db, inverse->path,
                                     sqlite3_mprintf("SELECT id FROM \"%w\" WHERE \"%w\" = ?1", table, key),
                                     &column->lookup, err);
    if (result != 0)
        return result;
    return pr_database_prepare(inverse->db, inverse->path,
                               sqlite3_mprintf("SELECT 1 FROM \"%w\" WHERE id = ?1 AND \"%w\" = ?2", table, key),
                               &column->confirm, err);
}

/* Whether the target has the column. 1, 0, <0. */
static int s_has_column(pr_inverse_t *inverse, const char *table, const char *column, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        inverse->db, inverse->path,
        sqlite3_mprintf("SELECT 1 FROM pragma_table_xinfo(%Q) WHERE name = %Q COLLATE NOCASE", table, column),
        &statement, err);
    if (result == 0)
        result = pr_database_step(inverse->db, inverse->path, statement, err);
    sqlite3_finalize(statement);
    return result;
}

static int s_find_columns(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    const pr_row_spec_t *spec = row->spec;
    row->columns = pr_xcalloc(spec->columns_count, sizeof *row->columns);
    for (size_t i = 0; i < spec->columns_count; i++) {
        const pr_column_t *column = &spec->columns[i];
        row->columns[i].column = column;
        int has = s_has_column(inverse, spec->table, column->name, err);
        if (has < 0)
            return has;
        if (has == 0 && !column->optional)
            return pr_error_set(err, PR_E_TARGET_SCHEMA, "%s: table %s has no column %s, which the mapping needs",
                                inverse->path, spec->table, column->name);
        row->columns[i].cell = has == 0 ? -1 : (int)row->cells_count++;
        row->parent_in_key |= has != 0 && column->key && column->op == PR_OP_PARENT;
    }
    return 0;
}

static int s_row_open(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    const pr_row_spec_t *spec = row->spec;
    int result = s_find_columns(inverse, row, err);
    if (result != 0)
        return result;
    char *columns = s_sql_columns(row);
    char *key = s_sql_key(inverse->stream, row);
    result = pr_database_prepare(inverse->db, inverse->path,
                                 sqlite3_mprintf("SELECT %s FROM \"%w\" WHERE %s", columns, spec->table, key),
                                 &row->by_key, err);
    if (result == 0)
        result = pr_database_prepare(inverse->db, inverse->path,
                                     sqlite3_mprintf("SELECT %s FROM \"%w\" WHERE id = ?1", columns, spec->table),
                                     &row->by_id, err);
    if (result == 0)
        result = pr_database_prepare(
            inverse->db, inverse->path,
            sqlite3_mprintf("SELECT %s FROM \"%w\" WHERE id > ?1 ORDER BY id", columns, spec->table), &row->next, err);
    if (result == 0 && spec->through_table != NULL)
        result = pr_database_prepare(inverse->db, inverse->path,
                                     sqlite3_mprintf("SELECT \"%w\" FROM \"%w\" WHERE \"%w\" = ?1",
                                                     spec->through_column, spec->through_table, spec->through_key),
                                     &row->through, err);
    sqlite3_free(columns);
    sqlite3_free(key);
    for (size_t i = 0; i < spec->columns_count && result == 0; i++) {
        s_column_t *column = &row->columns[i];
        if (column->cell >= 0)
            column->affinity = pr_affinity_of(sqlite3_column_decltype(row->by_id, column->cell + 1));
        if (column->cell >= 0 && column->column->op == PR_OP_LOOKUP)
            result = s_prepare_lookup(inverse, column, err);
    }
    row->key_cells = pr_xcalloc(row->cells_count, sizeof *row->key_cells);
    row->slots = pr_xcalloc(S_SLOTS, sizeof *row->slots);
    for (size_t i = 0; i < S_SLOTS; i++)
        row->slots[i].cells = pr_xcalloc(row->cells_count, sizeof *row->slots[i].cells);
    return result;
}

static void s_column_close(s_column_t *column) {
    sqlite3_finalize(column->lookup);
    sqlite3_finalize(column->confirm);
    if (column->lookups != NULL)
        for (size_t i = 0; i < S_SLOTS; i++)
            free(column->lookups[i].text);
    free(column->lookups);
    pr_scratch_free(&column->scratch);
}

static void s_row_close(s_row_t *row) {
    sqlite3_finalize(row->by_key);
    sqlite3_finalize(row->by_id);
    sqlite3_finalize(row->through);
    sqlite3_finalize(row->next);
    if (row->columns != NULL)
        for (size_t i = 0; i < row->spec->columns_count; i++)
            s_column_close(&row->columns[i]);
    free(row->columns);
    if (row->slots != NULL)
        for (size_t i = 0; i < S_SLOTS; i++) {
            free(row->slots[i].cells);
            free(row->slots[i].text);
        }
    free(row->slots);
    free(row->key_cells);
}

int pr_inverse_new(sqlite3 *db, const char *path, const pr_stream_t *stream, pr_inverse_t **ret_inverse,
                   pr_error_t *err) {
    pr_inverse_t *inverse = pr_xcalloc(1, sizeof *inverse);
    inverse->db = db;
    inverse->path = path;
    inverse->stream = stream;
    inverse->rows = pr_xcalloc(stream->rows_count, sizeof *inverse->rows);
    for (size_t i = 0; i < stream->rows_count; i++) {
        inverse->rows[i].spec = &stream->rows[i];
        int result = s_row_open(inverse, &inverse->rows[i], err);
        if (result != 0) {
            pr_inverse_destroy(&inverse);
            return result;
        }
    }
    *ret_inverse = inverse;
    return 0;
}

void pr_inverse_destroy(pr_inverse_t **inverse) {
    if (inverse == NULL || *inverse == NULL)
        return;
    for (size_t i = 0; i < (*inverse)->stream->rows_count; i++)
        if ((*inverse)->rows[i].spec != NULL)
            s_row_close(&(*inverse)->rows[i]);
    free((*inverse)->rows);
    free(*inverse);
    *inverse = NULL;
}

/* --- Reading rows --- */

static void s_slot_fill(s_row_t *row, s_slot_t *slot) {
    size_t needed = 0;
    for (size_t i = 0; i < row->cells_count; i++) {
        pr_database_column(row->by_id, (int)i + 1, &slot->cells[i]);
        if (slot->cells[i].value.kind == PR_TEXT)
            needed += slot->cells[i].value.text.size;
    }
    if (needed > slot->capacity) {
        slot->text = pr_xrealloc(slot->text, needed);
        slot->capacity = needed;
    }
    size_t at = 0;
    for (size_t i = 0; i < row->cells_count; i++) {
        pr_value_t *value = &slot->cells[i].value;
        if (value->kind != PR_TEXT || value->text.size == 0)
            continue;
        memcpy(slot->text + at, value->text.data, value->text.size);
        value->text.data = slot->text + at;
        at += value->text.size;
    }
}

/* Make the row with this id the candidate, if there is one. */
static int s_read_by_id(pr_inverse_t *inverse, s_row_t *row, int64_t id, pr_error_t *err) {
    s_slot_t *slot = &row->slots[(uint64_t)id % S_SLOTS];
    if (slot->generation != inverse->generation || slot->id != id) {
        sqlite3_bind_int64(row->by_id, 1, id);
        int found = pr_database_step(inverse->db, inverse->path, row->by_id, err);
        if (found <= 0)
            return found;
        s_slot_fill(row, slot);
        slot->generation = inverse->generation;
        slot->id = id;
        sqlite3_reset(row->by_id);
    }
    row->cells = slot->cells;
    row->id = id;
    return 0;
}

static bool s_lookup_is(const s_lookup_slot_t *slot, const pr_value_t *key) {
    return pr_value_equal(&slot->key, key);
}

static void s_lookup_keep(s_lookup_slot_t *slot, uint64_t generation, const pr_value_t *key, int64_t id) {
    if (key->kind == PR_TEXT && key->text.size > slot->text_size) {
        slot->text = pr_xrealloc(slot->text, key->text.size);
        slot->text_size = key->text.size;
    }
    slot->key = *key;
    if (key->kind == PR_TEXT) {
        if (key->text.size > 0)
            memcpy(slot->text, key->text.data, key->text.size);
        slot->key.text.data = key->text.size > 0 ? slot->text : "";
    }
    slot->generation = generation;
    slot->id = id;
}

/* The id the record's key leads to, once a record. */
static int s_look_up(pr_inverse_t *inverse, s_column_t *column, pr_error_t *err) {
    if (column->looked_up)
        return 0;
    column->looked_up = true;
    column->lookup_found = false;
    const pr_value_t *key = &inverse->record->values[column->column->field];
    if (key->kind == PR_NULL)
        return 0;
    uint64_t hash = key->kind == PR_TEXT ? XXH3_64bits(key->text.data, key->text.size) : (uint64_t)key->integer;
    s_lookup_slot_t *slot = &column->lookups[hash % S_SLOTS];
    if (slot->generation != inverse->generation || !s_lookup_is(slot, key)) {
        pr_database_bind(column->lookup, 1, key);
        int found = pr_database_step(inverse->db, inverse->path, column->lookup, err);
        if (found <= 0)
            return found;
        s_lookup_keep(slot, inverse->generation, key, sqlite3_column_int64(column->lookup, 0));
        sqlite3_reset(column->lookup);
    }
    column->lookup_found = true;
    column->lookup_id = slot->id;
    return 0;
}

static void s_use_current(s_row_t *row, sqlite3_stmt *statement) {
    row->id = sqlite3_column_int64(statement, 0);
    for (size_t i = 0; i < row->cells_count; i++)
        pr_database_column(statement, (int)i + 1, &row->key_cells[i]);
    row->cells = row->key_cells;
}

/* The value a key column must have. Returns 1, 0 if there can be none, <0. */
static int s_key_value(pr_inverse_t *inverse, s_column_t *column, pr_value_t *ret_value, pr_error_t *err) {
    if (column->column->op == PR_OP_LOOKUP) {
        int result = s_look_up(inverse, column, err);
        if (result != 0 || !column->lookup_found)
            return result;
        *ret_value = pr_value_integer(column->lookup_id);
        return 1;
    }
    if (column->column->op == PR_OP_PARENT) {
        const s_row_t *parent = &inverse->rows[column->column->parent];
        *ret_value = parent->state == S_NOT_MADE ? pr_value_null() : pr_value_integer(parent->id);
        return parent->state != S_MISSING;
    }
    return pr_relation_image(column->column, inverse->record->values, &column->scratch, ret_value);
}

/* Look the natural key up; a row found is the candidate. Parents in the key must be decided. */
static int s_read_by_key(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    bool complete = true;
    row->asked = true;
    sqlite3_reset(row->by_key);
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        s_column_t *column = &row->columns[i];
        if (!column->column->key || column->cell < 0)
            continue;
        pr_value_t value;
        int has = s_key_value(inverse, column, &value, err);
        if (has < 0)
            return has;
        if (has > 0)
            pr_database_bind(row->by_key, (int)i + 1, &value);
        complete &= has > 0;
    }
    if (!complete)
        return 0;
    int found = pr_database_step(inverse->db, inverse->path, row->by_key, err);
    if (found <= 0)
        return found;
    s_use_current(row, row->by_key);
    row->key_ours = true;
    return 0;
}

/* --- Comparing --- */

static bool s_parent_holds(const pr_inverse_t *inverse, const s_column_t *column, const pr_cell_t *cell) {
    const s_row_t *parent = &inverse->rows[column->column->parent];
    switch (parent->state) {
    case S_NOT_MADE:
        return cell->value.kind == PR_NULL;
    case S_MISSING:
        /* The parent itself is the failure; a reference that still points to where it was is not another one. */
        return cell->value.kind == PR_INTEGER;
    case S_OPEN:
    case S_FOUND:
    case S_REPLACED:
        break;
    }
    return cell->value.kind == PR_INTEGER && cell->value.integer == parent->id;
}

/* 1 holds, 0 differs, <0. */
static int s_lookup_holds(pr_inverse_t *inverse, s_column_t *column, const pr_cell_t *cell, pr_error_t *err) {
    const pr_value_t *key = &inverse->record->values[column->column->field];
    if (key->kind == PR_NULL)
        return cell->value.kind == PR_NULL;
    int result = s_look_up(inverse, column, err);
    if (result != 0)
        return result;
    if (cell->value.kind != PR_INTEGER)
        return 0;
    if (column->lookup_found && column->lookup_id == cell->value.integer)
        return 1;
    /* A key that is not unique leads to several rows: any of them is right. */
    sqlite3_bind_int64(column->confirm, 1, cell->value.integer);
    pr_database_bind(column->confirm, 2, key);
    int holds = pr_database_step(inverse->db, inverse->path, column->confirm, err);
    if (holds > 0)
        sqlite3_reset(column->confirm);
    return holds;
}

/* 1 holds, 0 differs, <0. */
static int s_holds(pr_inverse_t *inverse, s_column_t *column, const pr_cell_t *cell, pr_error_t *err) {
    if (cell->blob)
        return 0;
    switch (column->column->op) {
    case PR_OP_PARENT:
        return s_parent_holds(inverse, column, cell);
    case PR_OP_LOOKUP:
        return s_lookup_holds(inverse, column, cell, err);
    case PR_OP_COPY:
    case PR_OP_CONSTANT:
    case PR_OP_MAP:
    case PR_OP_DATE:
    case PR_OP_TEMPLATE:
        break;
    }
    return pr_relation_holds(column->column, column->affinity, inverse->record->values, &cell->value);
}

/* Whether the candidate has our natural key; with_parents: parents in it too. 1, 0, <0. */
static int s_has_our_key(pr_inverse_t *inverse, s_row_t *row, bool with_parents, pr_error_t *err) {
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        s_column_t *column = &row->columns[i];
        if (!column->column->key || column->cell < 0 || (!with_parents && column->column->op == PR_OP_PARENT))
            continue;
        int holds = s_holds(inverse, column, &row->cells[column->cell], err);
        if (holds <= 0)
            return holds;
    }
    return 1;
}

char *pr_inverse_key(const pr_stream_t *stream, const pr_value_t *values, char *buffer, size_t size) {
    size_t at = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < stream->key_count; i++) {
        char value[256];
        int printed =
            snprintf(buffer + at, size - at, "%s%s=%s", i > 0 ? ", " : "", stream->fields[stream->key[i]].name,
                     pr_value_print(&values[stream->key[i]], value, sizeof value));
        at = at + (size_t)printed < size ? at + (size_t)printed : size - 1;
    }
    return buffer;
}

static void s_fail(pr_inverse_t *inverse, const s_row_t *row, pr_failure_kind_t kind, const char *column,
                   const char *expected, const char *stored) {
    char key[S_KEY_BYTES];
    pr_failure_t failure = {.kind = kind,
                            .stream = inverse->stream->name,
                            .table = row->spec->table,
                            .key = pr_inverse_key(inverse->stream, inverse->record->values, key, sizeof key),
                            .column = column,
                            .expected = expected,
                            .stored = stored,
                            .source = inverse->record->source,
                            .offset = inverse->record->offset};
    pr_proof_list_add_failure(inverse->list, &failure);
}

/* What should stand in a column, for a human. */
static void s_print_expected(pr_inverse_t *inverse, s_column_t *column, char *buffer, size_t size) {
    const pr_column_t *spec = column->column;
    pr_value_t image = pr_value_null();
    char key[256];
    if (spec->op == PR_OP_PARENT) {
        const s_row_t *parent = &inverse->rows[spec->parent];
        if (parent->state == S_MISSING) {
            snprintf(buffer, size, "id of the row of %s that is missing", parent->spec->table);
            return;
        }
        image = parent->state == S_NOT_MADE ? pr_value_null() : pr_value_integer(parent->id);
    } else if (spec->op == PR_OP_LOOKUP) {
        const pr_value_t *from = &inverse->record->values[spec->field];
        if (from->kind != PR_NULL && !column->lookup_found) {
            snprintf(buffer, size, "id of the row of %s with %s=%s, which is missing", spec->lookup_table,
                     spec->lookup_key, pr_value_print(from, key, sizeof key));
            return;
        }
        image = from->kind == PR_NULL ? pr_value_null() : pr_value_integer(column->lookup_id);
    } else if (!pr_relation_image(spec, inverse->record->values, &column->scratch, &image)) {
        snprintf(buffer, size, "a reject: nothing follows from %s",
                 spec->field >= 0 ? pr_value_print(&inverse->record->values[spec->field], key, sizeof key) : "NULL");
        return;
    }
    pr_value_print(&image, buffer, size);
}

/* Two long texts can look the same where they are cut: show them from a little before the first difference. */
static void s_print_difference(pr_inverse_t *inverse, s_column_t *column, const pr_cell_t *cell, char *expected,
                               char *stored, size_t size) {
    pr_value_t image;
    if (strcmp(expected, stored) != 0 || cell->blob || cell->value.kind != PR_TEXT ||
        !pr_relation_image(column->column, inverse->record->values, &column->scratch, &image) || image.kind != PR_TEXT)
        return;
    size_t shorter = image.text.size < cell->value.text.size ? image.text.size : cell->value.text.size;
    size_t at = 0;
    while (at < shorter && image.text.data[at] == cell->value.text.data[at])
        at++;
    size_t from = at > 40 ? at - 40 : 0;
    while (from > 0 && ((unsigned char)image.text.data[from] & 0xC0) == 0x80)
        from--;
    int prefix = snprintf(expected, size, "%zu bytes, from byte %zu: ", image.text.size, from);
    pr_value_t rest = pr_value_text(image.text.data + from, image.text.size - from);
    pr_value_print(&rest, expected + prefix, size - (size_t)prefix);
    prefix = snprintf(stored, size, "%zu bytes, from byte %zu: ", cell->value.text.size, from);
    rest = pr_value_text(cell->value.text.data + from, cell->value.text.size - from);
    pr_value_print(&rest, stored + prefix, size - (size_t)prefix);
}

static void s_mismatch(pr_inverse_t *inverse, const s_row_t *row, s_column_t *column, const pr_cell_t *cell) {
    char expected[S_PRINT_BYTES];
    char stored[S_PRINT_BYTES];
    s_print_expected(inverse, column, expected, sizeof expected);
    pr_cell_print(cell, stored, sizeof stored);
    s_print_difference(inverse, column, cell, expected, stored, sizeof expected);
    s_fail(inverse, row, PR_FAILURE_MISMATCH, column->column->name, expected, stored);
}

/* Count a finding; the first one's circumstances are kept. */
static void s_tally(pr_inverse_t *inverse, s_tally_t *tally, s_column_t *column, const pr_cell_t *cell) {
    if (tally->count++ > 0 || tally->before > 0)
        return;
    char expected[96] = "";
    char stored[96] = "";
    char key[128];
    pr_inverse_key(inverse->stream, inverse->record->values, key, sizeof key);
    tally->source = inverse->record->source;
    tally->first = inverse->record->ordinal;
    if (column == NULL || cell == NULL) {
        snprintf(tally->detail, sizeof tally->detail, "%.100s", key);
        return;
    }
    s_print_expected(inverse, column, expected, sizeof expected);
    pr_cell_print(cell, stored, sizeof stored);
    snprintf(tally->detail, sizeof tally->detail, "%.90s: %.75s in the export, %.75s stored", key, expected, stored);
}

/* --- The three passes --- */

static int s_find_through(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    const pr_value_t *key = &inverse->record->values[row->spec->through_field];
    if (key->kind == PR_NULL)
        return 0;
    pr_database_bind(row->through, 1, key);
    int found = pr_database_step(inverse->db, inverse->path, row->through, err);
    if (found <= 0)
        return found;
    pr_cell_t reference;
    pr_database_column(row->through, 0, &reference);
    sqlite3_reset(row->through);
    if (reference.value.kind != PR_INTEGER)
        return 0;
    int result = s_read_by_id(inverse, row, reference.value.integer, err);
    if (result != 0 || row->cells == NULL)
        return result;
    int ours = s_has_our_key(inverse, row, false, err);
    if (ours == 0) {
        row->state = S_REPLACED;
        s_tally(inverse, &row->replaced, NULL, NULL);
    }
    return ours < 0 ? ours : 0;
}

/* Expect the row that follows the last one by id; it becomes the candidate if it has our key. */
static int s_read_next(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    if (!row->following)
        return 0;
    row->following = false;
    int found = pr_database_step(inverse->db, inverse->path, row->next, err);
    if (found <= 0)
        return found;
    s_use_current(row, row->next);
    int ours = s_has_our_key(inverse, row, true, err);
    if (ours < 0)
        return ours;
    row->following = ours > 0;
    if (row->following) {
        row->backoff = 0;
    } else {
        row->cells = NULL;
        row->backoff = row->backoff < S_BACKOFF_MAX ? row->backoff * 2 + 1 : S_BACKOFF_MAX;
        row->patience = row->backoff;
    }
    return 0;
}

/* A row was found by key: expect the ones that follow it. */
static void s_follow_from(s_row_t *row) {
    if (row->patience > 0) {
        row->patience--;
        return;
    }
    sqlite3_reset(row->next);
    sqlite3_bind_int64(row->next, 1, row->id);
    row->following = true;
}

/* Hand the stored references of a candidate to the parents that have no candidate yet. */
static void s_follow(pr_inverse_t *inverse, const s_row_t *row) {
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        const s_column_t *column = &row->columns[i];
        if (column->column->op != PR_OP_PARENT || column->cell < 0)
            continue;
        const pr_cell_t *cell = &row->cells[column->cell];
        s_row_t *parent = &inverse->rows[column->column->parent];
        if (cell->value.kind == PR_INTEGER && !parent->hinted) {
            parent->hinted = true;
            parent->hint = cell->value.integer;
        }
    }
}

static int s_down(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    int result = 0;
    if (row->state == S_NOT_MADE)
        return 0;
    if (row->through != NULL)
        result = s_find_through(inverse, row, err);
    if (result != 0 || row->state == S_REPLACED)
        return result;
    if (row->cells == NULL && row->hinted)
        result = s_read_by_id(inverse, row, row->hint, err);
    if (result == 0 && row->cells == NULL && !row->parent_in_key)
        result = s_read_next(inverse, row, err);
    if (result == 0 && row->cells == NULL && !row->parent_in_key) {
        result = s_read_by_key(inverse, row, err);
        if (row->cells != NULL)
            s_follow_from(row);
    }
    if (result == 0 && row->cells != NULL)
        s_follow(inverse, row);
    return result;
}

/* Decide which row it is. */
static int s_decide(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    if (row->state != S_OPEN)
        return 0;
    if (row->cells != NULL) {
        int ours = s_has_our_key(inverse, row, true, err);
        if (ours < 0)
            return ours;
        row->key_ours = ours > 0;
    }
    if (!row->key_ours && !row->asked) {
        /* Keeps the candidate if there is no row with the key. */
        int result = s_read_by_key(inverse, row, err);
        if (result != 0)
            return result;
        if (row->cells == row->key_cells) {
            int ours = s_has_our_key(inverse, row, true, err);
            if (ours < 0)
                return ours;
            row->key_ours = ours > 0; /* not if the column's collation is laxer than bytes */
        }
    }
    row->state = row->cells != NULL ? S_FOUND : S_MISSING;
    return 0;
}

static void s_missing(pr_inverse_t *inverse, s_row_t *row) {
    char key[S_PRINT_BYTES] = "";
    size_t at = 0;
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        s_column_t *column = &row->columns[i];
        if (!column->column->key || column->cell < 0)
            continue;
        char value[256];
        s_print_expected(inverse, column, value, sizeof value);
        int printed = snprintf(key + at, sizeof key - at, "%s%s=%s", at > 0 ? ", " : "", column->column->name, value);
        at = at + (size_t)printed < sizeof key ? at + (size_t)printed : sizeof key - 1;
    }
    s_fail(inverse, row, PR_FAILURE_MISSING, "", key, "");
}

static void s_differs(pr_inverse_t *inverse, s_row_t *row, s_column_t *column, const pr_cell_t *cell) {
    if (row->spec->mode == PR_MODE_ENSURE && !column->column->key)
        s_tally(inverse, &column->shared, column, cell);
    else if (column->column->keep && !inverse->all_new)
        s_tally(inverse, &column->kept, column, cell);
    else
        s_mismatch(inverse, row, column, cell);
}

static int s_compare(pr_inverse_t *inverse, s_row_t *row, pr_error_t *err) {
    if (row->state == S_MISSING)
        s_missing(inverse, row);
    if (row->state != S_FOUND)
        return 0;
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        s_column_t *column = &row->columns[i];
        if (column->cell < 0 || (column->column->key && row->key_ours))
            continue;
        if (row->spec->mode == PR_MODE_ENSURE && column->column->keep)
            continue; /* of whichever record made the shared row: says nothing about this one */
        const pr_cell_t *cell = &row->cells[column->cell];
        int holds = s_holds(inverse, column, cell, err);
        if (holds < 0)
            return holds;
        if (holds == 0)
            s_differs(inverse, row, column, cell);
    }
    return 0;
}

static void s_row_reset(const pr_inverse_t *inverse, s_row_t *row) {
    int field = row->spec->if_present;
    row->state = field >= 0 && inverse->record->values[field].kind == PR_NULL ? S_NOT_MADE : S_OPEN;
    row->asked = false;
    row->key_ours = false;
    row->hinted = false;
    row->cells = NULL;
    for (size_t i = 0; i < row->spec->columns_count; i++)
        row->columns[i].looked_up = false;
}

int pr_inverse_check(pr_inverse_t *inverse, const pr_inverse_record_t *record, pr_proof_list_t *list, pr_error_t *err) {
    size_t count = inverse->stream->rows_count;
    int result = 0;
    inverse->record = record;
    inverse->list = list;
    for (size_t i = 0; i < count; i++)
        s_row_reset(inverse, &inverse->rows[i]);
    for (size_t i = count; i-- > 0 && result == 0;)
        result = s_down(inverse, &inverse->rows[i], err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = s_decide(inverse, &inverse->rows[i], err);
        if (result == 0)
            result = s_compare(inverse, &inverse->rows[i], err);
    }
    inverse->record = NULL;
    inverse->list = NULL;
    return result;
}

void pr_inverse_begin(pr_inverse_t *inverse, bool all_new) {
    inverse->generation++;
    inverse->all_new = all_new;
    for (size_t i = 0; i < inverse->stream->rows_count; i++) {
        s_row_t *row = &inverse->rows[i];
        row->replaced.count = 0;
        for (size_t j = 0; j < row->spec->columns_count; j++) {
            row->columns[j].shared.count = 0;
            row->columns[j].kept.count = 0;
        }
    }
}

static void s_report(const pr_inverse_t *inverse, const s_row_t *row, const s_column_t *column, s_tally_t *tally,
                     const char *kind, pr_proof_list_t *list) {
    if (tally->count == 0 || list == NULL)
        return;
    tally->before += tally->count;
    char field[256];
    snprintf(field, sizeof field, "%s%s%s", row->spec->table, column != NULL ? "." : "",
             column != NULL ? column->column->name : "");
    pr_finding_t finding = {.kind = kind,
                            .stream = inverse->stream->name,
                            .field = field,
                            .detail = tally->detail,
                            .count = tally->before,
                            .source = tally->source,
                            .ordinal = tally->first};
    pr_proof_list_add_finding(list, &finding);
}

void pr_inverse_end(pr_inverse_t *inverse, pr_proof_list_t *list) {
    for (size_t i = 0; i < inverse->stream->rows_count; i++) {
        s_row_t *row = &inverse->rows[i];
        sqlite3_reset(row->by_key);
        sqlite3_reset(row->next);
        row->following = false;
        row->patience = 0;
        row->backoff = 0;
        s_report(inverse, row, NULL, &row->replaced, "replaced_parent", list);
        for (size_t j = 0; j < row->spec->columns_count; j++) {
            s_report(inverse, row, &row->columns[j], &row->columns[j].shared, "shared_parent_differs", list);
            s_report(inverse, row, &row->columns[j], &row->columns[j].kept, "kept_differs", list);
        }
    }
}
