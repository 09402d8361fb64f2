/* SPDX-License-Identifier: MIT */
/* The distribution of the stored rows against the tallies of the exports, group by group. */

/*  DESIGN
 *
 *  One pass over the rows of all groups, sorted by group (and by position where the mapping tells it), counts what each
 *  column shows and sees which rows share a position. The join goes from the groups to the table, so that the target's
 *  index by group serves; a target without one gets a transient one from SQLite.
 *
 *  A group's rows are also counted the other way, by the reference that they hold to the group's row: a row put there
 *  under another group's name would be seen by that only.
 *
 *  Counts may agree though rows do not: one is gone and another one there, or two records are one row and another row
 *  makes up for it. So tallies tell the rows, too, by a checksum over their ids, as the proof of the records found them.
 *
 *  A tally counts records, the target has rows: two records with the same key are one row. And a target may have rows
 *  that the exports lack. So a difference is no failure yet: the group is suspect, and pr_proof_extra settles it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "validator/proof_parts.h"

typedef struct {
    pr_proof_t *proof;
    pr_groups_t *groups;
    sqlite3_stmt *statement;
    pr_counts_t counts[PR_SHOWN_MAX]; /* of the group at hand, by column shown */
    pr_scratch_t text;
    size_t at; /* the group at hand */
    /* The position before, in the group at hand. */
    bool placed;
    int64_t lot, place;
    uint64_t lot_rows, place_rows;
    pr_examples_t shared; /* positions that several rows have */
} s_pass_t;

/* --- Expected --- */

/* The image of a tallied value, which is text, in a column. "" may be NULL or empty: taken as NULL where it can be. */
static void s_image_of_tally(const s_pass_t *pass, const pr_column_t *column, const char *value, pr_scratch_t *ret) {
    const pr_field_t *field = &pass->groups->stream->fields[column->field];
    pr_cell_t cell = {.value = pr_value_text(value, strlen(value))};
    if (column->op == PR_OP_MAP) {
        const pr_value_t *to = pr_value_map_get(column->map, value, strlen(value));
        if (to != NULL)
            cell.value = *to;
    } else if (value[0] == '\0' && field->nullable) {
        cell.value = pr_value_null();
    } else if (field->type == PR_TYPE_INTEGER) {
        cell.value = pr_value_integer(strtoll(value, NULL, 10));
    } else if (field->type == PR_TYPE_REAL) {
        cell.value = pr_value_real(strtod(value, NULL));
    }
    pr_image_of_cell(&cell, ret);
}

static void s_expect(s_pass_t *pass, const pr_group_t *group) {
    for (size_t i = 0; i < group->tallies; i++) {
        const pr_proof_tally_t *tally = &pass->groups->tallies[group->tally + i];
        for (size_t c = 0; tally->count > 0 && c < pass->groups->shown_count; c++) {
            s_image_of_tally(pass, pass->groups->shown[c], tally->value, &pass->text);
            pr_counts_add(&pass->counts[c], pass->text.data, pass->text.size, tally->count, 0);
        }
    }
}

/* --- Positions --- */

static void s_end_place(s_pass_t *pass) {
    const pr_groups_t *groups = pass->groups;
    char key[320];
    if (pass->placed && pass->place_rows > 1)
        pr_examples_add(&pass->shared, "%s, %s=%" PRId64 ", %s=%" PRId64 ": %" PRIu64 " rows",
                        pr_group_print(groups, &groups->groups[pass->at], key, sizeof key),
                        pr_row_copy_of(groups->row, groups->stream->position_group)->name, pass->lot,
                        pr_row_copy_of(groups->row, groups->stream->position_place)->name, pass->place,
                        pass->place_rows);
    pass->place_rows = 0;
}

static void s_end_lot(s_pass_t *pass) {
    pr_group_t *group = &pass->groups->groups[pass->at];
    s_end_place(pass);
    if (pass->lot_rows > 0) {
        group->least = group->lots == 0 || pass->lot_rows < group->least ? pass->lot_rows : group->least;
        group->most = pass->lot_rows > group->most ? pass->lot_rows : group->most;
        group->lots++;
    }
    pass->lot_rows = 0;
    pass->placed = false;
}

static void s_place(s_pass_t *pass, int column) {
    if (sqlite3_column_type(pass->statement, column) != SQLITE_INTEGER ||
        sqlite3_column_type(pass->statement, column + 1) != SQLITE_INTEGER)
        return; /* lies nowhere: the proof of the row minds that */
    int64_t lot = sqlite3_column_int64(pass->statement, column);
    int64_t place = sqlite3_column_int64(pass->statement, column + 1);
    if (pass->placed && lot != pass->lot)
        s_end_lot(pass);
    else if (pass->placed && place != pass->place)
        s_end_place(pass);
    pass->placed = true;
    pass->lot = lot;
    pass->place = place;
    pass->lot_rows++;
    pass->place_rows++;
}

/* --- The pass --- */

static void s_begin_group(s_pass_t *pass, size_t at) {
    pass->at = at;
    s_expect(pass, &pass->groups->groups[at]);
}

static void s_end_group(s_pass_t *pass) {
    pr_group_t *group = &pass->groups->groups[pass->at];
    bool agree = group->rows == group->records && group->found == group->proved;
    s_end_lot(pass);
    for (size_t c = 0; c < pass->groups->shown_count; c++) {
        agree = agree && pr_counts_agree(&pass->counts[c]);
        pr_counts_clear(&pass->counts[c]);
    }
    group->suspect = !agree && !pass->groups->partial;
}

static void s_take_row(s_pass_t *pass) {
    pr_group_t *group = &pass->groups->groups[pass->at];
    int column = 2;
    for (size_t c = 0; c < pass->groups->shown_count; c++, column++) {
        pr_cell_t cell;
        pr_database_column(pass->statement, column, &cell);
        pr_image_of_cell(&cell, &pass->text);
        pr_counts_add(&pass->counts[c], pass->text.data, pass->text.size, 0, 1);
    }
    group->rows++;
    group->found += pr_proof_mix(sqlite3_column_int64(pass->statement, 1));
    if (pass->groups->stream->position_in >= 0)
        s_place(pass, column);
}

static char *s_sql(const pr_groups_t *groups) {
    const pr_stream_t *stream = groups->stream;
    char *columns = sqlite3_mprintf("g.n, t.id");
    char *order = sqlite3_mprintf("");
    for (size_t c = 0; c < groups->shown_count; c++)
        columns = sqlite3_mprintf("%z, t.\"%w\"", columns, groups->shown[c]->name);
    if (stream->position_in >= 0) {
        const char *lot = pr_row_copy_of(groups->row, stream->position_group)->name;
        const char *place = pr_row_copy_of(groups->row, stream->position_place)->name;
        columns = sqlite3_mprintf("%z, t.\"%w\", t.\"%w\"", columns, lot, place);
        order = sqlite3_mprintf("%z, t.\"%w\", t.\"%w\"", order, lot, place);
    }
    return sqlite3_mprintf("SELECT %z FROM temp.pr_group g CROSS JOIN \"%w\" t ON t.\"%w\" = g.\"key\" ORDER BY g.n%z",
                           columns, groups->row->table, groups->by->name, order);
}

static int s_pass(s_pass_t *pass, pr_error_t *err) {
    pr_proof_t *proof = pass->proof;
    int result = pr_database_prepare(proof->db, proof->path, s_sql(pass->groups), &pass->statement, err);
    s_begin_group(pass, 0);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, pass->statement, err)) > 0) {
        size_t at = (size_t)sqlite3_column_int64(pass->statement, 0);
        while (pass->at < at) { /* groups without rows too */
            s_end_group(pass);
            s_begin_group(pass, pass->at + 1);
        }
        s_take_row(pass);
        result = 0;
    }
    for (;;) {
        s_end_group(pass);
        if (pass->at + 1 == pass->groups->count)
            break;
        s_begin_group(pass, pass->at + 1);
    }
    sqlite3_finalize(pass->statement);
    return result;
}

/* Count each group's rows by their reference to the group's own row. */
static int s_pass_lookup(pr_proof_t *proof, pr_groups_t *groups, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    size_t next = 0;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT g.n, (SELECT count(*) FROM \"%w\" t WHERE t.\"%w\" = l.id) FROM temp.pr_group g "
                        "LEFT JOIN \"%w\" l ON l.\"%w\" = g.\"key\" ORDER BY g.n",
                        groups->row->table, groups->lookup->name, groups->lookup->lookup_table,
                        groups->lookup->lookup_key),
        &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        next = (size_t)sqlite3_column_int64(statement, 0);
        if (groups->groups[next].rows != (uint64_t)sqlite3_column_int64(statement, 1) && !groups->partial)
            groups->groups[next].suspect = true;
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

int pr_proof_distribution(pr_proof_t *proof, pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err) {
    s_pass_t pass = {.proof = proof, .groups = groups};
    if (groups->count == 0)
        return 0;
    int result = pr_groups_tell(proof, groups, false, err);
    if (result == 0)
        result = s_pass(&pass, err);
    pr_scratch_free(&pass.text);
    if (result == 0 && groups->lookup != NULL)
        result = s_pass_lookup(proof, groups, err);
    if (result == 0 && pass.shared.count > 0) {
        pr_finding_t finding = {.kind = "duplicate_position",
                                .stream = groups->stream->name,
                                .field = groups->stream->fields[groups->stream->position_place].name,
                                .detail = pass.shared.text,
                                .count = pass.shared.count};
        pr_proof_list_add_finding(list, &finding);
    }
    return result;
}
