/* SPDX-License-Identifier: MIT */
/* The inventory of a database: a HUB (the tables that the mapping writes), a legacy one (tables named as its streams),
 * or another. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/sql_has.h"
#include "common/text.h"
#include "control/inventory.h"

static int s_count_rows(sqlite3 *db, const char *table, uint64_t *ret_rows, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", table);
    int result = pr_ledger_prepare(db, sql, &statement, err);
    if (result == 0)
        result = pr_ledger_step(db, statement, err);
    if (result > 0)
        *ret_rows = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result < 0 ? result : 0;
}

/* A value for a distribution, as in exports. *Returns new*. */
static char *s_value(sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return pr_xstrdup("(null)");
    const char *text = pr_ledger_text(row, column);
    return pr_text_escape(text);
}

/* Count the values of a column per group. group NULL: overall only. */
static int s_distribution(sqlite3 *db, const char *table, const char *column, const char *group,
                          pr_inventory_part_t *part, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char *sql = group != NULL
                    ? sqlite3_mprintf("SELECT \"%w\", count(*), \"%w\" FROM \"%w\" GROUP BY 3, 1", column, group, table)
                    : sqlite3_mprintf("SELECT \"%w\", count(*) FROM \"%w\" GROUP BY 1", column, table);
    pr_inventory_field_t *field = pr_inventory_add_field(part, column, group);
    int result = pr_ledger_prepare(db, sql, &statement, err);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        char *value = s_value(statement, 0);
        char *name = group != NULL ? s_value(statement, 2) : NULL;
        pr_tally_add(&field->tally, name, value, (uint64_t)sqlite3_column_int64(statement, 1));
        free(name);
        free(value);
        result = 0;
    }
    pr_tally_sort(&field->tally);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result;
}

static int s_label(sqlite3 *db, const char *table, const char *key, const char *label, pr_inventory_part_t *part,
                   pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM \"%w\"", key, label, table);
    int result = pr_ledger_prepare(db, sql, &statement, err);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        char *name = s_value(statement, 0);
        char *text = s_value(statement, 1);
        pr_inventory_label(part, name, text);
        free(text);
        free(name);
        result = 0;
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result;
}

/* ---- a HUB ---- */

/* The column of the row that holds the field by which the stream's records are grouped; NULL: none. */
static const char *s_group_column(const pr_stream_t *stream, const pr_row_spec_t *row) {
    for (size_t c = 0; stream->key_count > 1 && c < row->columns_count; c++) {
        if (row->columns[c].op == PR_OP_COPY && row->columns[c].field == stream->key[0])
            return row->columns[c].name;
    }
    return NULL;
}

static pr_inventory_part_t *s_find_part(pr_inventory_t *inventory, const char *name) {
    for (size_t i = 0; i < inventory->parts_count; i++) {
        if (strcmp(inventory->parts[i].name, name) == 0)
            return &inventory->parts[i];
    }
    return NULL;
}

static int s_read_row_table(sqlite3 *db, const pr_mapping_t *mapping, const pr_stream_t *stream,
                            const pr_row_spec_t *row, pr_inventory_t *inventory, pr_error_t *err) {
    int has = pr_sql_has_table(db, row->table, err);
    if (has <= 0 || s_find_part(inventory, row->table) != NULL)
        return has < 0 ? has : 0;
    pr_inventory_part_t *part = pr_inventory_add_part(inventory, row->table);
    const char *group = s_group_column(stream, row);
    int result = s_count_rows(db, row->table, &part->records, err);
    for (size_t c = 0; result == 0 && c < row->columns_count; c++) {
        if (row->columns[c].op != PR_OP_MAP)
            continue;
        result = pr_sql_has_column(db, row->table, row->columns[c].name, err);
        if (result > 0)
            result = s_distribution(db, row->table, row->columns[c].name, group, part, err);
    }
    pr_inventory_parent_t parent = pr_inventory_parent(mapping, stream);
    if (result == 0 && group != NULL && parent.label_column != NULL)
        result = pr_sql_has_table(db, parent.table, err);
    return result > 0 ? s_label(db, parent.table, parent.key_column, parent.label_column, part, err) : result;
}

static int s_read_hub(sqlite3 *db, const pr_mapping_t *mapping, pr_inventory_t *inventory, pr_error_t *err) {
    int result = 0;
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++) {
        const pr_stream_t *stream = &mapping->streams[s];
        for (size_t r = 0; result == 0 && r < stream->rows_count; r++)
            result = s_read_row_table(db, mapping, stream, &stream->rows[r], inventory, err);
    }
    return result;
}

/* ---- a legacy database ---- */

/* 1, 0, <0. */
static int s_is_legacy(sqlite3 *db, const pr_stream_t *stream, pr_error_t *err) {
    int is = pr_sql_has_table(db, stream->name, err);
    for (size_t i = 0; is > 0 && i < stream->recognise_count; i++)
        is = pr_sql_has_column(db, stream->name, stream->fields[stream->recognise[i]].name, err);
    return is;
}

static int s_read_legacy_table(sqlite3 *db, const pr_mapping_t *mapping, const pr_stream_t *stream,
                               pr_inventory_t *inventory, pr_error_t *err) {
    int result = s_is_legacy(db, stream, err);
    if (result <= 0)
        return result;
    pr_inventory_part_t *part = pr_inventory_add_part(inventory, stream->name);
    result = s_count_rows(db, stream->name, &part->records, err);
    for (size_t f = 0; result == 0 && f < stream->fields_count; f++) {
        if (!pr_inventory_is_mapped(stream, (int)f, NULL))
            continue;
        result = pr_sql_has_column(db, stream->name, stream->fields[f].name, err);
        if (result > 0)
            result = s_distribution(db, stream->name, stream->fields[f].name, pr_inventory_group(stream), part, err);
    }
    pr_inventory_parent_t parent = pr_inventory_parent(mapping, stream);
    if (result == 0 && parent.stream >= 0 && parent.label >= 0)
        result = s_is_legacy(db, &mapping->streams[parent.stream], err);
    if (result > 0) {
        const pr_stream_t *parents = &mapping->streams[parent.stream];
        result =
            s_label(db, parents->name, parents->fields[parent.key].name, parents->fields[parent.label].name, part, err);
    }
    return result;
}

/* ---- any other ---- */

static int s_read_tables(sqlite3 *db, pr_inventory_t *inventory, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_prepare(
        db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1",
        &statement, err);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        const char *table = pr_ledger_text(statement, 0);
        result = s_count_rows(db, table, &pr_inventory_add_part(inventory, table)->records, err);
    }
    sqlite3_finalize(statement);
    return result;
}

int pr_inventory_read_database(const char *path, const pr_mapping_t *mapping, pr_inventory_t *inventory,
                               pr_error_t *err) {
    sqlite3 *db = NULL;
    struct stat status;
    inventory->kind = "database";
    inventory->path = pr_text_escape(path);
    inventory->size = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
    int result = pr_ledger_open(path, &db, err);
    if (result == 0)
        result = pr_error_set(err, PR_E_UNREADABLE, "%s: there is no such file", path);
    if (result > 0)
        result = s_read_hub(db, mapping, inventory, err);
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++)
        result = s_read_legacy_table(db, mapping, &mapping->streams[s], inventory, err);
    if (result == 0 && inventory->parts_count == 0) {
        result = s_read_tables(db, inventory, err);
        pr_inventory_add_finding(
            inventory, "%s holds neither the tables that the mapping writes nor those of its streams", inventory->path);
    }
    if (result == 0)
        result = pr_ledger_runs(db, NULL, &inventory->runs, &inventory->runs_count, err);
    return pr_ledger_close(db, result, err);
}
