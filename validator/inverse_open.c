/* SPDX-License-Identifier: MIT */
/* The inverse mapping's statements: one set a row of the stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/sql_has.h"
#include "common/sql_text.h"
#include "validator/inverse_state.h"

static char *s_sql_columns(const pr_inverse_row_t *row) {
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

static char *s_sql_key(const pr_stream_t *stream, const pr_inverse_row_t *row) {
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

static int s_prepare_lookup(pr_inverse_t *inverse, pr_inverse_column_t *column, pr_error_t *err) {
    const char *table = column->column->lookup_table;
    const char *key = column->column->lookup_key;
    column->lookups = pr_xcalloc(PR_INVERSE_SLOTS, sizeof *column->lookups);
    int result = pr_database_prepare(inverse->db, inverse->path,
                                     sqlite3_mprintf("SELECT id FROM \"%w\" WHERE \"%w\" = ?1", table, key),
                                     &column->lookup, err);
    if (result != 0)
        return result;
    return pr_database_prepare(inverse->db, inverse->path,
                               sqlite3_mprintf("SELECT 1 FROM \"%w\" WHERE id = ?1 AND \"%w\" = ?2", table, key),
                               &column->confirm, err);
}

/* Does the value follow from the fields that the row's key copies, or from none? */
static bool s_is_key_field(const pr_row_spec_t *spec, int field) {
    for (size_t i = 0; i < spec->columns_count; i++)
        if (spec->columns[i].key && spec->columns[i].op == PR_OP_COPY && spec->columns[i].field == field)
            return true;
    return false;
}

static bool s_is_common(const pr_row_spec_t *spec, const pr_column_t *column) {
    switch (column->op) {
    case PR_OP_CONSTANT:
        return true;
    case PR_OP_COPY:
    case PR_OP_MAP:
    case PR_OP_DATE:
    case PR_OP_LOOKUP:
        return s_is_key_field(spec, column->field);
    case PR_OP_TEMPLATE:
        for (size_t i = 0; i < column->parts_count; i++)
            if (column->parts[i].field >= 0 && !s_is_key_field(spec, column->parts[i].field))
                return false;
        return true;
    case PR_OP_PARENT:
        break;
    }
    /* In a shared row another record may have meant another parent; a row of a record's own has but one. */
    return spec->mode == PR_MODE_UPSERT;
}

/* Of a required column that is not there: is its table? */
static int s_refuse(pr_inverse_t *inverse, const char *table, const char *column, pr_error_t *err) {
    int has = pr_sql_has_table(inverse->db, table, err);
    if (has < 0)
        return has;
    if (has == 0)
        return pr_error_set(err, PR_E_TARGET_SCHEMA,
                            "%s: there is no table %s, which the mapping needs; give a HUB database, or replay exports "
                            "into this one first",
                            inverse->path, table);
    return pr_error_set(err, PR_E_TARGET_SCHEMA, "%s: table %s has no column %s, which the mapping needs",
                        inverse->path, table, column);
}

static int s_find_columns(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    const pr_row_spec_t *spec = row->spec;
    row->noted = spec->mode == PR_MODE_ENSURE || spec->through_table != NULL;
    row->columns = pr_xcalloc(spec->columns_count, sizeof *row->columns);
    for (size_t i = 0; i < spec->columns_count; i++) {
        const pr_column_t *column = &spec->columns[i];
        row->columns[i].column = column;
        row->columns[i].common = s_is_common(spec, column);
        row->noted |= column->keep;
        int has = pr_sql_has_column(inverse->db, spec->table, column->name, err);
        if (has < 0)
            return has;
        if (has == 0 && !column->optional)
            return s_refuse(inverse, spec->table, column->name, err);
        row->columns[i].cell = has == 0 ? -1 : (int)row->cells_count++;
        row->parent_in_key |= has != 0 && column->key && column->op == PR_OP_PARENT;
    }
    return 0;
}

static bool s_is_key_column(const pr_inverse_row_t *row, const char *name) {
    for (size_t i = 0; i < row->spec->columns_count; i++)
        if (row->columns[i].column->key && row->columns[i].cell >= 0 &&
            sqlite3_stricmp(row->columns[i].column->name, name) == 0)
            return true;
    return false;
}

/* Whether a UNIQUE index of the target lies within the natural key. 1, 0, <0. */
static int s_is_unique(pr_inverse_t *inverse, const pr_inverse_row_t *row, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char index[256] = "";
    bool within = false; /* all columns of the index at hand so far are of the key */
    int unique = 0;
    int result = pr_database_prepare(
        inverse->db, inverse->path,
        sqlite3_mprintf("SELECT l.name, ifnull(i.name, '') FROM pragma_index_list(%Q) AS l, pragma_index_info(l.name) "
                        "AS i WHERE l.\"unique\" = 1 AND l.partial = 0 ORDER BY l.name",
                        row->spec->table),
        &statement, err);
    while (result == 0 && (result = pr_database_step(inverse->db, inverse->path, statement, err)) > 0) {
        const char *name = pr_sql_column_text(statement, 0);
        if (strcmp(index, name) != 0) {
            unique |= within;
            within = true;
            snprintf(index, sizeof index, "%s", name);
        }
        within &= s_is_key_column(row, pr_sql_column_text(statement, 1));
        result = 0;
    }
    sqlite3_finalize(statement);
    return result < 0 ? result : unique | (int)within;
}

/* A second row with the natural key can be told to be none of ours only if the books say who made the first. */
static int s_prepare_second(pr_inverse_t *inverse, pr_inverse_row_t *row, const char *key, pr_error_t *err) {
    if (!inverse->made->known || !row->noted)
        return 0;
    int unique = s_is_unique(inverse, row, err);
    if (unique != 0)
        return unique < 0 ? unique : 0;
    return pr_database_prepare(inverse->db, inverse->path,
                               sqlite3_mprintf("SELECT id FROM \"%w\" WHERE %s AND id <> ?%d ORDER BY id LIMIT 1",
                                               row->spec->table, key, (int)row->spec->columns_count + 1),
                               &row->second, err);
}

int pr_inverse_row_open(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
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
    if (result == 0)
        result = s_prepare_second(inverse, row, key, err);
    sqlite3_free(columns);
    sqlite3_free(key);
    for (size_t i = 0; i < spec->columns_count && result == 0; i++) {
        pr_inverse_column_t *column = &row->columns[i];
        if (column->cell >= 0)
            column->affinity = pr_affinity_of(sqlite3_column_decltype(row->by_id, column->cell + 1));
        if (column->cell >= 0 && column->column->op == PR_OP_LOOKUP)
            result = s_prepare_lookup(inverse, column, err);
    }
    row->key_cells = pr_xcalloc(row->cells_count, sizeof *row->key_cells);
    row->slots = pr_xcalloc(PR_INVERSE_SLOTS, sizeof *row->slots);
    row->made_slots = pr_xcalloc(PR_INVERSE_SLOTS, sizeof *row->made_slots);
    for (size_t i = 0; i < PR_INVERSE_SLOTS; i++)
        row->slots[i].cells = pr_xcalloc(row->cells_count, sizeof *row->slots[i].cells);
    return result;
}

static void s_column_close(pr_inverse_column_t *column) {
    sqlite3_finalize(column->lookup);
    sqlite3_finalize(column->confirm);
    if (column->lookups != NULL)
        for (size_t i = 0; i < PR_INVERSE_SLOTS; i++)
            free(column->lookups[i].text);
    free(column->lookups);
    pr_scratch_free(&column->scratch);
}

void pr_inverse_row_close(pr_inverse_row_t *row) {
    sqlite3_finalize(row->by_key);
    sqlite3_finalize(row->by_id);
    sqlite3_finalize(row->through);
    sqlite3_finalize(row->next);
    sqlite3_finalize(row->second);
    if (row->columns != NULL)
        for (size_t i = 0; i < row->spec->columns_count; i++)
            s_column_close(&row->columns[i]);
    free(row->columns);
    if (row->slots != NULL)
        for (size_t i = 0; i < PR_INVERSE_SLOTS; i++) {
            free(row->slots[i].cells);
            free(row->slots[i].text);
        }
    free(row->slots);
    free(row->made_slots);
    free(row->key_cells);
}
