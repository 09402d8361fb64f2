/* SPDX-License-Identifier: MIT */
/* The distribution of the stored rows against the tallies of the exports, group by group. */

/*  DESIGN
 *
 *  One pass over the table, in the order in which it lies in the file, counts for each group what each column shows, and
 *  sums up the rows. It needs no index and sorts nothing: while it runs, the target's indexes may not be there yet. A row
 *  tells its group by its own text, which is looked for among the keys; the last one is tried first, as the rows of a
 *  group mostly lie together. Only where equal bytes are not what the target means by equal (another collation, a column
 *  of numbers) a join finds the rows of each group.
 *
 *  Positions are gathered while rows of one group follow each other, and looked at when another one begins. A group whose
 *  rows lie in several places, or have a position in common, is read again, sorted.
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

enum { S_SHOWN_BYTES = 64, S_KEPT_MAX = 8 };

/* A value that a column shows, as met in the rows at hand. */
typedef struct {
    pr_cell_t cell; /* text: in bytes */
    char bytes[S_SHOWN_BYTES];
    uint64_t count;
} s_kept_t;

/* The values of a column that are not in the group's counts yet. */
typedef struct {
    s_kept_t items[S_KEPT_MAX];
    size_t count;
} s_keeping_t;

typedef struct {
    int64_t lot, place;
} s_position_t;

typedef struct {
    pr_proof_t *proof;
    pr_groups_t *groups;
    sqlite3_stmt *statement;
    pr_counts_t *counts; /* by group and column shown */
    pr_scratch_t text;
    /* The rows at hand, which follow each other. */
    pr_group_t *group; /* NULL: none yet */
    size_t key_size;   /* bytes of its key */
    s_keeping_t keeping[PR_SHOWN_MAX];
    s_position_t *positions;
    size_t positions_count, positions_room;
    /* The position before, in the group read again. */
    size_t at;
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

static pr_counts_t *s_counts_of(const s_pass_t *pass, const pr_group_t *group, size_t column) {
    return &pass->counts[(size_t)(group - pass->groups->groups) * pass->groups->shown_count + column];
}

static void s_expect(s_pass_t *pass, const pr_group_t *group) {
    for (size_t i = 0; i < group->tallies; i++) {
        const pr_proof_tally_t *tally = &pass->groups->tallies[group->tally + i];
        for (size_t c = 0; tally->count > 0 && c < pass->groups->shown_count; c++) {
            s_image_of_tally(pass, pass->groups->shown[c], tally->value, &pass->text);
            pr_counts_add(s_counts_of(pass, group, c), pass->text.data, pass->text.size, tally->count, 0);
        }
    }
}

/* --- Positions of a group that is read again --- */

static void s_take_lot(pr_group_t *group, uint64_t rows) {
    group->least = group->lots == 0 || rows < group->least ? rows : group->least;
    group->most = rows > group->most ? rows : group->most;
    group->lots++;
}

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
    if (pass->lot_rows > 0)
        s_take_lot(group, pass->lot_rows);
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

static int s_read_again(s_pass_t *pass, pr_error_t *err) {
    pr_proof_t *proof = pass->proof;
    const pr_groups_t *groups = pass->groups;
    const char *lot = pr_row_copy_of(groups->row, groups->stream->position_group)->name;
    const char *place = pr_row_copy_of(groups->row, groups->stream->position_place)->name;
    int result = pr_groups_tell(proof, groups, PR_GROUPS_AGAIN, err);
    if (result == 0)
        result = pr_database_prepare(proof->db, proof->path,
                                     sqlite3_mprintf("SELECT g.n, t.\"%w\", t.\"%w\" FROM temp.pr_group g CROSS JOIN"
                                                     " \"%w\" t ON t.\"%w\" = g.\"key\" ORDER BY 1, 2, 3",
                                                     lot, place, groups->row->table, groups->by->name),
                                     &pass->statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, pass->statement, err)) > 0) {
        size_t at = (size_t)sqlite3_column_int64(pass->statement, 0);
        if (at != pass->at)
            s_end_lot(pass);
        pass->at = at;
        s_place(pass, 1);
        result = 0;
    }
    if (result == 0)
        s_end_lot(pass);
    sqlite3_finalize(pass->statement);
    pass->statement = NULL;
    return result;
}

/* --- Positions of rows that follow each other --- */

static int s_compare_positions(const void *left, const void *right) {
    const s_position_t *a = left;
    const s_position_t *b = right;
    if (a->lot != b->lot)
        return a->lot < b->lot ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static void s_gather(s_pass_t *pass, int column) {
    pr_cell_t lot;
    pr_cell_t place;
    pr_database_column(pass->statement, column, &lot);
    pr_database_column(pass->statement, column + 1, &place);
    if (lot.value.kind != PR_INTEGER || place.value.kind != PR_INTEGER)
        return; /* lies nowhere: the proof of the row minds that */
    if (pass->positions_count == pass->positions_room) {
        pass->positions_room = pass->positions_room > 0 ? pass->positions_room * 2 : 1024;
        pass->positions = pr_xrealloc(pass->positions, pass->positions_room * sizeof *pass->positions);
    }
    pass->positions[pass->positions_count++] = (s_position_t){.lot = lot.value.integer, .place = place.value.integer};
}

/* Records mostly come by position, so that there is nothing to sort. */
static void s_sort_positions(s_position_t *positions, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (s_compare_positions(&positions[i - 1], &positions[i]) > 0) {
            qsort(positions, count, sizeof *positions, s_compare_positions);
            return;
        }
}

/* Lots and places of the rows at hand, unless they are not all of their group, or two lie at one place. */
static void s_take_positions(s_pass_t *pass) {
    pr_group_t *group = pass->group;
    s_position_t *positions = pass->positions;
    size_t count = pass->positions_count;
    size_t begin = 0;
    pass->positions_count = 0;
    group->again |= count > 0 && group->lots > 0;
    if (count == 0 || group->again)
        return;
    s_sort_positions(positions, count);
    for (size_t i = 1; i < count; i++)
        group->again |= s_compare_positions(&positions[i - 1], &positions[i]) == 0;
    for (size_t i = 1; i <= count; i++)
        if (i == count || positions[i].lot != positions[begin].lot) {
            s_take_lot(group, i - begin);
            begin = i;
        }
}

/* --- The pass --- */

static void s_count(s_pass_t *pass, size_t column, const pr_cell_t *cell, uint64_t count) {
    pr_image_of_cell(cell, &pass->text);
    pr_counts_add(s_counts_of(pass, pass->group, column), pass->text.data, pass->text.size, 0, count);
}

static void s_flush(s_pass_t *pass, size_t column) {
    s_keeping_t *keeping = &pass->keeping[column];
    for (size_t i = 0; i < keeping->count; i++)
        s_count(pass, column, &keeping->items[i].cell, keeping->items[i].count);
    keeping->count = 0;
}

static bool s_same(const pr_cell_t *a, const pr_cell_t *b) {
    return a->blob == b->blob && pr_value_equal(&a->value, &b->value);
}

/* Rows that follow each other show few values: they are counted as they stand, and put into words at the end. */
static void s_keep(s_pass_t *pass, size_t column, const pr_cell_t *cell) {
    s_keeping_t *keeping = &pass->keeping[column];
    for (size_t i = 0; i < keeping->count; i++)
        if (s_same(&keeping->items[i].cell, cell)) {
            keeping->items[i].count++;
            return;
        }
    if (cell->value.kind == PR_TEXT && cell->value.text.size > S_SHOWN_BYTES) {
        s_count(pass, column, cell, 1);
        return;
    }
    if (keeping->count == S_KEPT_MAX)
        s_flush(pass, column);
    s_kept_t *kept = &keeping->items[keeping->count++];
    kept->cell = *cell;
    kept->count = 1;
    if (cell->value.kind == PR_TEXT) {
        if (cell->value.text.size > 0)
            memcpy(kept->bytes, cell->value.text.data, cell->value.text.size);
        kept->cell.value.text.data = kept->bytes;
    }
}

/* The rows at hand end. */
static void s_end_rows(s_pass_t *pass) {
    if (pass->group == NULL)
        return;
    for (size_t c = 0; c < pass->groups->shown_count; c++)
        s_flush(pass, c);
    s_take_positions(pass);
    pass->group = NULL;
}

/* The group of the row that the statement is at; NULL: one that the exports say nothing of. */
static pr_group_t *s_group_of(const s_pass_t *pass) {
    pr_cell_t cell;
    pr_database_column(pass->statement, 0, &cell);
    if (cell.value.kind == PR_INTEGER) /* of the join: its number */
        return &pass->groups->groups[cell.value.integer];
    if (cell.value.kind != PR_TEXT || cell.blob)
        return NULL;
    if (pass->group != NULL && pass->key_size == cell.value.text.size &&
        memcmp(pass->group->key, cell.value.text.data, pass->key_size) == 0)
        return pass->group;
    return pr_groups_find(pass->groups, cell.value.text.data, cell.value.text.size);
}

static void s_take_row(s_pass_t *pass, bool positions) {
    pr_group_t *group = s_group_of(pass);
    int column = 2;
    if (group != pass->group) {
        s_end_rows(pass);
        pass->group = group;
        pass->key_size = group != NULL ? strlen(group->key) : 0;
    }
    if (group == NULL)
        return;
    for (size_t c = 0; c < pass->groups->shown_count; c++, column++) {
        pr_cell_t cell;
        pr_database_column(pass->statement, column, &cell);
        s_keep(pass, c, &cell);
    }
    group->rows++;
    group->found += pr_proof_mix(sqlite3_column_int64(pass->statement, 1));
    if (positions)
        s_gather(pass, column);
}

/*  Whether a row is in a group exactly if the column holds the bytes of its key as text: a text field, in a column that
 *  compares bytes and makes no numbers of texts. */
static bool s_is_plain(const s_pass_t *pass) {
    const pr_groups_t *groups = pass->groups;
    const char *declared = NULL;
    const char *collation = NULL;
    if (groups->stream->fields[groups->field].type != PR_TYPE_TEXT ||
        sqlite3_table_column_metadata(pass->proof->db, NULL, groups->row->table, groups->by->name, &declared,
                                      &collation, NULL, NULL, NULL) != SQLITE_OK)
        return false;
    pr_affinity_t affinity = pr_affinity_of(declared);
    return (affinity == PR_AFFINITY_TEXT || affinity == PR_AFFINITY_NONE) && sqlite3_stricmp(collation, "BINARY") == 0;
}

static char *s_sql(const pr_groups_t *groups, bool plain) {
    const pr_stream_t *stream = groups->stream;
    char *columns = sqlite3_mprintf("t.id");
    for (size_t c = 0; c < groups->shown_count; c++)
        columns = sqlite3_mprintf("%z, t.\"%w\"", columns, groups->shown[c]->name);
    if (plain && stream->position_in >= 0)
        columns = sqlite3_mprintf("%z, t.\"%w\", t.\"%w\"", columns,
                                  pr_row_copy_of(groups->row, stream->position_group)->name,
                                  pr_row_copy_of(groups->row, stream->position_place)->name);
    if (plain)
        return sqlite3_mprintf("SELECT t.\"%w\", %z FROM \"%w\" t NOT INDEXED", groups->by->name, columns,
                               groups->row->table);
    return sqlite3_mprintf("SELECT g.n, %z FROM temp.pr_group g CROSS JOIN \"%w\" t ON t.\"%w\" = g.\"key\""
                           " ORDER BY g.n",
                           columns, groups->row->table, groups->by->name);
}

/* Which groups are not as the exports say, and which must be read again for their positions. */
static void s_judge(s_pass_t *pass, bool plain) {
    pr_groups_t *groups = pass->groups;
    for (size_t g = 0; g < groups->count; g++) {
        pr_group_t *group = &groups->groups[g];
        bool agree = group->rows == group->records && group->found == group->proved;
        for (size_t c = 0; c < groups->shown_count; c++)
            agree = agree && pr_counts_agree(s_counts_of(pass, group, c));
        group->suspect = !agree && !groups->partial;
        group->again = groups->stream->position_in >= 0 && group->rows > 0 && (group->again || !plain);
        if (group->again)
            group->lots = group->least = group->most = 0;
    }
}

static int s_pass(s_pass_t *pass, pr_error_t *err) {
    pr_proof_t *proof = pass->proof;
    const pr_groups_t *groups = pass->groups;
    bool plain = s_is_plain(pass);
    bool positions = plain && groups->stream->position_in >= 0;
    int result = pr_database_prepare(proof->db, proof->path, s_sql(groups, plain), &pass->statement, err);
    for (size_t g = 0; g < groups->count; g++)
        s_expect(pass, &groups->groups[g]);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, pass->statement, err)) > 0) {
        s_take_row(pass, positions);
        result = 0;
    }
    s_end_rows(pass);
    s_judge(pass, plain);
    sqlite3_finalize(pass->statement);
    pass->statement = NULL;
    return result;
}

static bool s_any_again(const pr_groups_t *groups) {
    for (size_t g = 0; g < groups->count; g++)
        if (groups->groups[g].again)
            return true;
    return false;
}

static void s_pass_clear(s_pass_t *pass) {
    for (size_t i = 0; i < pass->groups->count * pass->groups->shown_count; i++)
        pr_counts_clear(&pass->counts[i]);
    free(pass->counts);
    free(pass->positions);
    pr_scratch_free(&pass->text);
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
    pass.counts = pr_xcalloc(groups->count * groups->shown_count + 1, sizeof *pass.counts);
    int result = pr_groups_tell(proof, groups, PR_GROUPS_ALL, err);
    if (result == 0)
        result = s_pass(&pass, err);
    if (result == 0 && groups->lookup != NULL)
        result = s_pass_lookup(proof, groups, err);
    if (result == 0 && s_any_again(groups))
        result = s_read_again(&pass, err);
    s_pass_clear(&pass);
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
