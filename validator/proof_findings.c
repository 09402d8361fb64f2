/* SPDX-License-Identifier: MIT */
/* What records declare against what is there: keys that must be findable, totals and geometry, rows that were made. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "validator/proof_parts.h"

/* --- Keys --- */

static void s_fail_key(const pr_groups_t *groups, size_t at, int64_t rows, pr_proof_list_t *list) {
    char key[320];
    char stored[40];
    snprintf(stored, sizeof stored, "%" PRId64 " rows", rows);
    pr_failure_t failure = {.kind = rows == 0 ? PR_FAILURE_MISSING : PR_FAILURE_WHOLE,
                            .stream = groups->stream->name,
                            .table = groups->row->table,
                            .key = pr_group_print(groups, &groups->groups[at], key, sizeof key),
                            .column = rows == 0 ? "" : groups->by->name,
                            .expected = rows == 0 ? "a row" : "1 row",
                            .stored = rows == 0 ? "none" : stored};
    pr_proof_list_add_failure(list, &failure);
}

int pr_proof_keys(pr_proof_t *proof, const pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_groups_tell(proof, groups, PR_GROUPS_ALL, err);
    if (result == 0)
        result = pr_database_prepare(
            proof->db, proof->path,
            sqlite3_mprintf("SELECT n, (SELECT count(*) FROM \"%w\" t WHERE t.\"%w\" = g.\"key\") AS found"
                            " FROM temp.pr_group g WHERE found <> 1 ORDER BY n",
                            groups->row->table, groups->by->name),
            &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        s_fail_key(groups, (size_t)sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1), list);
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

/* --- Totals and geometry --- */

typedef struct {
    const pr_groups_t *parents;
    const pr_groups_t *children;
    sqlite3_stmt *statement; /* n, then what is declared, -1 where nothing is */
    pr_examples_t totals;
    pr_examples_t geometry;
} s_declared_t;

/* The column of a declared number; "-1", an SQL expression, if nothing is declared. *Returns new* (sqlite3_malloc). */
static char *s_declared_column(const pr_groups_t *parents, int field) {
    if (field < 0)
        return sqlite3_mprintf("-1");
    return sqlite3_mprintf("t.\"%w\"", pr_row_copy_of(parents->row, field)->name);
}

/* A declared number; "?" if it is not declared. Returns buffer. */
static const char *s_number(int64_t number, char *buffer, size_t size) {
    if (number < 0)
        return "?";
    snprintf(buffer, size, "%" PRId64, number);
    return buffer;
}

static void s_judge(s_declared_t *declared) {
    static const pr_group_t s_nothing = {0};
    const pr_group_t *parent = &declared->parents->groups[sqlite3_column_int64(declared->statement, 0)];
    int64_t total = sqlite3_column_int64(declared->statement, 1);
    int64_t lots = sqlite3_column_int64(declared->statement, 2);
    int64_t per_lot = sqlite3_column_int64(declared->statement, 3);
    const pr_group_t *there = pr_groups_find(declared->children, parent->key, strlen(parent->key));
    char key[320];
    if (there == NULL)
        there = &s_nothing;
    pr_group_print(declared->parents, parent, key, sizeof key);
    if (total >= 0 && (uint64_t)total != there->rows)
        pr_examples_add(&declared->totals, "%s declares %" PRId64 ", there are %" PRIu64, key, total, there->rows);
    bool lots_differ = lots >= 0 && (uint64_t)lots != there->lots;
    bool lengths_differ = per_lot >= 0 && ((uint64_t)per_lot != there->least || (uint64_t)per_lot != there->most);
    if (there->lots == 0 || (!lots_differ && !lengths_differ))
        return;
    char lengths[64];
    char numbers[2][24];
    if (there->least == there->most)
        snprintf(lengths, sizeof lengths, "%" PRIu64, there->most);
    else
        snprintf(lengths, sizeof lengths, "%" PRIu64 " to %" PRIu64, there->least, there->most);
    pr_examples_add(&declared->geometry, "%s declares %s × %s, there are %" PRIu64 " × %s", key,
                    s_number(lots, numbers[0], sizeof numbers[0]), s_number(per_lot, numbers[1], sizeof numbers[1]),
                    there->lots, lengths);
}

static void s_add(const pr_groups_t *parents, const char *kind, int field, const pr_examples_t *examples,
                  pr_proof_list_t *list) {
    if (examples->count == 0)
        return;
    pr_finding_t finding = {.kind = kind,
                            .stream = parents->stream->name,
                            .field = field >= 0 ? parents->stream->fields[field].name : "",
                            .detail = examples->text,
                            .count = examples->count};
    pr_proof_list_add_finding(list, &finding);
}

int pr_proof_declared(pr_proof_t *proof, const pr_groups_t *parents, const pr_groups_t *children, pr_proof_list_t *list,
                      pr_error_t *err) {
    s_declared_t declared = {.parents = parents, .children = children};
    const pr_declares_t *declares = &parents->stream->declares;
    if (children->count == 0)
        return 0; /* none were exported */
    int result = pr_groups_tell(proof, parents, PR_GROUPS_ALL, err);
    if (result == 0)
        result = pr_database_prepare(
            proof->db, proof->path,
            sqlite3_mprintf("SELECT g.n, %z, %z, %z FROM temp.pr_group g CROSS JOIN \"%w\" t ON t.\"%w\" = g.\"key\""
                            " ORDER BY g.n",
                            s_declared_column(parents, declares->total), s_declared_column(parents, declares->groups),
                            s_declared_column(parents, declares->per_group), parents->row->table, parents->by->name),
            &declared.statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, declared.statement, err)) > 0) {
        s_judge(&declared);
        result = 0;
    }
    sqlite3_finalize(declared.statement);
    if (result == 0) {
        s_add(parents, "declared_total", declares->total, &declared.totals, list);
        s_add(parents, "declared_geometry", declares->groups >= 0 ? declares->groups : declares->per_group,
              &declared.geometry, list);
    }
    return result;
}

/* --- Made rows --- */

/* The first row of mode ensure that the mapping makes in the table, or NULL. */
static const pr_row_spec_t *s_ensured(const pr_mapping_t *mapping, const char *table) {
    for (size_t s = 0; s < mapping->streams_count; s++)
        for (size_t r = 0; r < mapping->streams[s].rows_count; r++) {
            const pr_row_spec_t *row = &mapping->streams[s].rows[r];
            if (row->mode == PR_MODE_ENSURE && sqlite3_stricmp(row->table, table) == 0)
                return row;
        }
    return NULL;
}

/* The column that names a shared row to people: the first of its key that is no reference; "id" if all are. */
static const char *s_name_column(const pr_row_spec_t *row) {
    for (size_t i = 0; i < row->columns_count; i++)
        if (row->columns[i].key && row->columns[i].op != PR_OP_PARENT && row->columns[i].op != PR_OP_LOOKUP)
            return row->columns[i].name;
    return "id";
}

/* The rows that the run made in a table. */
static int s_made_in(pr_proof_t *proof, const pr_row_spec_t *row, pr_proof_list_t *list, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    pr_examples_t made = {0};
    const char *name = s_name_column(row);
    int result =
        pr_database_prepare(proof->db, proof->path,
                            sqlite3_mprintf("SELECT t.\"%w\" FROM pvrelay_made m LEFT JOIN \"%w\" t ON t.id = m.row_id"
                                            " WHERE m.run = %lld AND m.table_name = %Q ORDER BY m.row_id",
                                            name, row->table, (long long)proof->run, row->table),
                            &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        char value[160];
        pr_cell_t cell;
        pr_database_column(statement, 0, &cell);
        pr_examples_add(&made, "%s=%s", name, pr_cell_print(&cell, value, sizeof value));
        result = 0;
    }
    sqlite3_finalize(statement);
    pr_finding_t finding = {
        .kind = "made_rows", .stream = "", .field = row->table, .detail = made.text, .count = made.count};
    if (result == 0 && made.count > 0)
        pr_proof_list_add_finding(list, &finding);
    return result;
}

int pr_proof_made(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    const pr_mapping_t *mapping = proof->mapping;
    int result = 0;
    for (size_t s = 0; s < mapping->streams_count; s++)
        for (size_t r = 0; result == 0 && r < mapping->streams[s].rows_count; r++) {
            const pr_row_spec_t *row = &mapping->streams[s].rows[r];
            if (s_ensured(mapping, row->table) == row)
                result = s_made_in(proof, row, list, err);
        }
    return result;
}
