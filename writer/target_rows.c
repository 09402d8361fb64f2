/* SPDX-License-Identifier: MIT */
/* The rows of the mapping, made ready once. */
#include "writer/target_rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "writer/target_foreign.h"
#include "writer/target_group.h"

void pr_target_rows_new(pr_target_t *target) {
    const pr_mapping_t *mapping = target->mapping;
    target->streams = pr_xcalloc(mapping->streams_count, sizeof *target->streams);
    target->derive = pr_xcalloc(mapping->derived_count, sizeof *target->derive);
    for (size_t s = 0; s < mapping->streams_count; s++) {
        const pr_stream_t *stream = &mapping->streams[s];
        target->streams[s].stream = stream;
        target->streams[s].rows = pr_xcalloc(stream->rows_count, sizeof *target->streams[s].rows);
        for (size_t r = 0; r < stream->rows_count; r++) {
            pr_target_row_t *row = &target->streams[s].rows[r];
            size_t columns = stream->rows[r].columns_count;
            row->spec = &stream->rows[r];
            row->present = pr_xcalloc(columns, sizeof *row->present);
            row->values = pr_xcalloc(columns, sizeof *row->values);
            row->lookups = pr_xcalloc(columns, sizeof(pr_target_lookup_t *));
            row->touches = pr_xcalloc(mapping->derived_count, sizeof *row->touches);
            row->expect_new = true;
        }
    }
}

static void s_row_destroy(pr_target_row_t *row) {
    sqlite3_finalize(row->insert);
    sqlite3_finalize(row->select);
    sqlite3_finalize(row->change);
    sqlite3_finalize(row->grouped.insert);
    sqlite3_finalize(row->grouped.select);
    sqlite3_finalize(row->grouped.select_by_id);
    sqlite3_finalize(row->through_find);
    sqlite3_finalize(row->through_select);
    sqlite3_finalize(row->through_change);
    free(row->present);
    free(row->values);
    free(row->lookups);
    free(row->touches);
    free(row->all.at);
    free(row->key.at);
    free(row->update.at);
    free(row->grouped.compare.at);
    free(row->grouped.columns);
    pr_target_foreign_clear(row);
    free(row->foreign.names);
    free(row->foreign.at);
    free(row->through_compare.at);
    free(row->through_update.at);
}

void pr_target_rows_destroy(pr_target_t *target) {
    for (size_t s = 0; target->streams != NULL && s < target->mapping->streams_count; s++) {
        for (size_t r = 0; r < target->mapping->streams[s].rows_count; r++)
            s_row_destroy(&target->streams[s].rows[r]);
        free(target->streams[s].rows);
    }
    free(target->streams);
    target->streams = NULL;
    for (size_t i = 0; target->derive != NULL && i < target->mapping->derived_count; i++)
        sqlite3_finalize(target->derive[i]);
    free(target->derive);
    target->derive = NULL;
    for (size_t i = 0; i < target->lookups_count; i++) {
        sqlite3_finalize(target->lookups[i]->select);
        free(target->lookups[i]);
    }
    free(target->tables);
    target->tables = NULL;
    target->tables_count = 0;
    free(target->lookups);
    target->lookups = NULL;
    target->lookups_count = 0;
}

static void s_add(pr_target_columns_t *list, size_t column, size_t room) {
    if (list->at == NULL)
        list->at = pr_xcalloc(room, sizeof *list->at);
    list->at[list->count++] = column;
}

static void s_lists(pr_target_row_t *row) {
    size_t room = 2 * row->spec->columns_count;
    row->noted = row->spec->mode == PR_MODE_ENSURE || row->spec->through_table != NULL;
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        const pr_column_t *column = &row->spec->columns[i];
        if (!row->present[i])
            continue;
        s_add(&row->all, i, room);
        row->noted |= column->keep;
        if (column->key) {
            s_add(&row->key, i, room);
            s_add(&row->through_compare, i, room);
            if (column->op == PR_OP_PARENT)
                s_add(&row->through_update, i, room);
        } else if (!column->keep && row->spec->mode == PR_MODE_UPSERT) {
            s_add(&row->update, i, room);
            s_add(&row->through_update, i, room);
        }
    }
    for (size_t i = 0; i < row->through_update.count; i++)
        s_add(&row->through_compare, row->through_update.at[i], room);
    for (size_t i = 0; i < row->key.count; i++)
        s_add(&row->grouped.compare, row->key.at[i], room);
    for (size_t i = 0; i < row->update.count; i++)
        s_add(&row->grouped.compare, row->update.at[i], room);
}

/* The lookup of this table and key, shared by all columns that look up there. */
static int s_lookup(pr_target_t *target, const pr_column_t *column, pr_target_lookup_t **ret_lookup, pr_error_t *err) {
    for (size_t i = 0; i < target->lookups_count; i++) {
        if (strcmp(target->lookups[i]->table, column->lookup_table) == 0 &&
            strcmp(target->lookups[i]->key, column->lookup_key) == 0) {
            *ret_lookup = target->lookups[i];
            return 0;
        }
    }
    pr_target_lookup_t *lookup = pr_xcalloc(1, sizeof *lookup);
    lookup->table = column->lookup_table;
    lookup->key = column->lookup_key;
    lookup->space = (unsigned)target->lookups_count;
    target->lookups = pr_xrealloc(target->lookups, (target->lookups_count + 1) * sizeof(pr_target_lookup_t *));
    target->lookups[target->lookups_count++] = lookup;
    *ret_lookup = lookup;
    return pr_target_prepare(target, pr_sql_find(lookup->table, "id", lookup->key), &lookup->select, err);
}

/* Where the field of found_through is to be read: rows carry columns, not fields. It must be a row that each record makes
 * which makes this one. */
static int s_through_source(pr_target_t *target, const pr_stream_t *stream, pr_target_row_t *row, pr_error_t *err) {
    for (size_t r = 0; r < stream->rows_count; r++) {
        int condition = stream->rows[r].if_present;
        for (size_t c = 0; c < stream->rows[r].columns_count; c++) {
            const pr_column_t *column = &stream->rows[r].columns[c];
            if (column->op == PR_OP_COPY && column->field == row->spec->through_field &&
                (condition < 0 || condition == row->spec->if_present)) {
                row->through_spec = (int)r;
                row->through_column = (int)c;
                return 0;
            }
        }
    }
    return pr_error_set(err, PR_E_MAPPING,
                        "%s: stream %s, row %s: found_through needs field %s, which no column copies in a row that is "
                        "made whenever this "
                        "one is; add one",
                        target->mapping->path == NULL ? "mapping" : target->mapping->path, stream->name,
                        row->spec->name, stream->fields[row->spec->through_field].name);
}

static int s_prepare_through(pr_target_t *target, const pr_stream_t *stream, pr_target_row_t *row, pr_error_t *err) {
    const pr_row_spec_t *spec = row->spec;
    int result = s_through_source(target, stream, row, err);
    if (result == 0)
        result = pr_target_prepare(target, pr_sql_find(spec->through_table, spec->through_column, spec->through_key),
                                   &row->through_find, err);
    if (result == 0)
        result =
            pr_target_prepare(target, pr_sql_select_by_id(spec, row->through_compare.at, row->through_compare.count),
                              &row->through_select, err);
    if (result == 0 && row->through_update.count > 0)
        result = pr_target_prepare(target, pr_sql_update(spec, row->through_update.at, row->through_update.count),
                                   &row->through_change, err);
    return result;
}

static void s_touches(const pr_mapping_t *mapping, pr_target_row_t *row) {
    for (size_t d = 0; d < mapping->derived_count; d++) {
        row->touches[d] = PR_TOUCHES_NOTHING;
        if (strcmp(mapping->derived[d].table, row->spec->table) == 0)
            row->touches[d] = PR_TOUCHES_ITSELF;
        if (strcmp(mapping->derived[d].child_table, row->spec->table) != 0)
            continue;
        for (size_t c = 0; c < row->spec->columns_count; c++) {
            if (strcmp(mapping->derived[d].child_column, row->spec->columns[c].name) == 0)
                row->touches[d] = (int)c;
        }
    }
}

static int s_prepare_row(pr_target_t *target, const pr_stream_t *stream, pr_target_row_t *row, unsigned space,
                         pr_error_t *err) {
    const pr_row_spec_t *spec = row->spec;
    int result = 0;
    s_lists(row);
    s_touches(target->mapping, row);
    row->table = pr_target_table(target, spec->table);
    row->space = space;
    for (size_t i = 0; result == 0 && i < spec->columns_count; i++) {
        if (spec->columns[i].op == PR_OP_LOOKUP)
            result = s_lookup(target, &spec->columns[i], &row->lookups[i], err);
    }
    if (result == 0)
        result = pr_target_prepare(target, pr_sql_insert(spec, row->all.at, row->all.count), &row->insert, err);
    if (result == 0)
        result = pr_target_prepare(
            target, pr_sql_select_by_key(spec, row->key.at, row->key.count, row->update.at, row->update.count),
            &row->select, err);
    if (result == 0 && row->update.count > 0)
        result = pr_target_prepare(target, pr_sql_update(spec, row->update.at, row->update.count), &row->change, err);
    if (result == 0 && spec->through_table != NULL)
        result = s_prepare_through(target, stream, row, err);
    return result;
}

size_t pr_target_table(pr_target_t *target, const char *name) {
    for (size_t i = 0; i < target->tables_count; i++) {
        if (strcmp(target->tables[i].name, name) == 0)
            return i;
    }
    target->tables = pr_xrealloc(target->tables, (target->tables_count + 1) * sizeof *target->tables);
    target->tables[target->tables_count] = (pr_target_table_t){.name = name};
    return target->tables_count++;
}

/* Does this row change a column of `table` named `column`? */
static bool s_changes(const pr_target_row_t *row, const char *table, const char *column) {
    const pr_target_columns_t *list = row->spec->through_table != NULL ? &row->through_update : &row->update;
    if (strcmp(row->spec->table, table) != 0)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(row->spec->columns[list->at[i]].name, column) == 0)
            return true;
    }
    return false;
}

/* Does this row change a column by which some cached id was found? */
static bool s_clears_cache(const pr_target_t *target, const pr_target_row_t *row) {
    for (size_t i = 0; i < target->lookups_count; i++) {
        if (s_changes(row, target->lookups[i]->table, target->lookups[i]->key))
            return true;
    }
    for (size_t s = 0; s < target->mapping->streams_count; s++) {
        for (size_t r = 0; r < target->mapping->streams[s].rows_count; r++) {
            const pr_row_spec_t *spec = &target->mapping->streams[s].rows[r];
            for (size_t c = 0; spec->mode == PR_MODE_ENSURE && c < spec->columns_count; c++) {
                if (spec->columns[c].key && s_changes(row, spec->table, spec->columns[c].name))
                    return true;
            }
        }
    }
    return false;
}

/*  The row that each record is, where the proof must find it under the id that it has here: a UNIQUE key leads to it, and its
 *  id is the target's to give. */
static pr_target_row_t *s_own_row(const pr_target_stream_t *stream) {
    const pr_row_spec_t *spec = pr_stream_own_row(stream->stream);
    if (spec == NULL)
        return NULL;
    pr_target_row_t *row = &stream->rows[spec - stream->stream->rows];
    bool own = row->unique;
    for (size_t i = 0; i < spec->columns_count; i++)
        own = own && sqlite3_stricmp(spec->columns[i].name, "id") != 0;
    return own ? row : NULL;
}

int pr_target_rows_prepare(pr_target_t *target, pr_error_t *err) {
    const pr_mapping_t *mapping = target->mapping;
    int result = 0;
    /* Lookups number their spaces from 0, rows from far above. */
    unsigned space = 1U << 30;
    for (size_t s = 0; s < mapping->streams_count; s++) {
        for (size_t r = 0; result == 0 && r < mapping->streams[s].rows_count; r++)
            result = s_prepare_row(target, &mapping->streams[s], &target->streams[s].rows[r], space++, err);
    }
    for (size_t s = 0; s < mapping->streams_count; s++) {
        for (size_t r = 0; r < mapping->streams[s].rows_count; r++)
            target->streams[s].rows[r].clears_cache = s_clears_cache(target, &target->streams[s].rows[r]);
    }
    for (size_t s = 0; s < mapping->streams_count; s++)
        target->streams[s].own = s_own_row(&target->streams[s]);
    if (result == 0)
        result = pr_target_foreign_prepare(target, err);
    if (result == 0)
        result = pr_target_group_new(target, &target->group, err);
    for (size_t s = 0; s < mapping->streams_count; s++) {
        for (size_t r = 0; result == 0 && r < mapping->streams[s].rows_count; r++)
            result = pr_target_group_prepare(target, &target->streams[s].rows[r], err);
    }
    for (size_t i = 0; i < mapping->derived_count; i++)
        pr_target_table(target, mapping->derived[i].table);
    for (size_t i = 0; result == 0 && i < mapping->derived_count; i++)
        result = pr_target_prepare(target, pr_sql_derive(&mapping->derived[i]), &target->derive[i], err);
    return result;
}
