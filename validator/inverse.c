/* SPDX-License-Identifier: MIT */
/* The inverse mapping of one stream, generated from the mapping: which rows a record must have made, and are they so. */
#include "validator/inverse.h"

/*  DESIGN
 *
 *  A record made several rows that refer to each other. The proof goes the other way round: it starts at the rows that
 *  nobody refers to, found by natural key, and follows the stored references to their parents.
 *
 *  1. Down, last spec first: a row is a candidate if a child's stored reference leads to it, or found_through does, or
 *     its natural key (as long as that holds no parent) does. A row found_through whose own key values are not ours has
 *     been put there by somebody: REPLACED, not compared, and nothing is followed from it.
 *     Unless the books say that it is ours: then it was changed, or the reference to it.
 *  2. Up, first spec first: a candidate is the row if all of its natural key is ours, parents included (they are
 *     decided by then). Otherwise the natural key is looked up. If no row has it, the candidate stays the row and the
 *     key columns that differ are the failure, as that names the very cell; without a candidate the row is missing. So it
 *     does if the books say that this very record made it.
 *  3. Then the row's columns are compared, each with the relation the mapping gives it. A parent reference must be the
 *     id of the row decided for that parent.
 *
 *  Who made a row (pvrelay_made) decides how strictly it is taken: at the record that made it every column is its own;
 *  at another one that shares it only what must be the same for all; and of a row that none of ours made only the key.
 *
 *  Records mostly come in the order in which their rows were inserted. So a row that is wanted by key is first expected
 *  to be the one that follows the last such row by id: a statement that is only stepped, which takes half the time of a
 *  look-up. If it has not our key, it is looked up after all, and the following ones are expected again after a while.
 *
 *  So shared parents cost one look-up by id, and no table is searched without an index unless something is wrong.
 *  Rows read by id, and looked-up ids, are kept in small direct-mapped tables for one batch, which is one read
 *  transaction. Rows read by key are used straight from the statement, which lives until the next record.
 */

#include <stdlib.h>

#include "common/alloc.h"
#include "validator/inverse_state.h"

enum { S_EXTRA_MAX = 1000 };

static int s_prepare_maker(pr_inverse_t *inverse, pr_error_t *err) {
    if (!inverse->made->known)
        return 0;
    return pr_database_prepare(
        inverse->db, inverse->path,
        sqlite3_mprintf(
            "SELECT m.run, m.source, m.ordinal, s.stream = %Q FROM pvrelay_made AS m LEFT JOIN pvrelay_source AS s "
            "ON s.run = m.run AND s.source = m.source WHERE m.table_name = ?1 AND m.row_id = ?2",
            inverse->stream->name),
        &inverse->maker, err);
}

int pr_inverse_new(sqlite3 *db, const char *path, const pr_stream_t *stream, const pr_inverse_made_t *made,
                   pr_inverse_t **ret_inverse, pr_error_t *err) {
    pr_inverse_t *inverse = pr_xcalloc(1, sizeof *inverse);
    inverse->db = db;
    inverse->path = path;
    inverse->stream = stream;
    inverse->made = made;
    inverse->extra = pr_proof_list_new(S_EXTRA_MAX);
    inverse->rows = pr_xcalloc(stream->rows_count, sizeof *inverse->rows);
    int result = s_prepare_maker(inverse, err);
    if (result == 0)
        result = pr_foreign_new(db, path, made, &inverse->foreign, err);
    for (size_t i = 0; i < stream->rows_count && result == 0; i++) {
        inverse->rows[i].spec = &stream->rows[i];
        result = pr_inverse_row_open(inverse, &inverse->rows[i], err);
    }
    if (result != 0) {
        pr_inverse_destroy(&inverse);
        return result;
    }
    *ret_inverse = inverse;
    return 0;
}

void pr_inverse_destroy(pr_inverse_t **inverse) {
    if (inverse == NULL || *inverse == NULL)
        return;
    for (size_t i = 0; i < (*inverse)->stream->rows_count; i++)
        if ((*inverse)->rows[i].spec != NULL)
            pr_inverse_row_close(&(*inverse)->rows[i]);
    free((*inverse)->rows);
    sqlite3_finalize((*inverse)->maker);
    pr_foreign_destroy(&(*inverse)->foreign);
    pr_proof_list_destroy(&(*inverse)->extra);
    free(*inverse);
    *inverse = NULL;
}

/* --- The passes --- */

/* The row that found_through leads to has another key than ours: whose is it? */
static int s_judge_through(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    pr_inverse_maker_t maker;
    int result = pr_inverse_maker(inverse, row, row->id, &maker, err);
    if (result < 0)
        return result;
    if (maker == PR_MAKER_NOBODY)
        row->state = PR_STANDS_REPLACED;
    else if (maker != PR_MAKER_THIS)
        row->cells = NULL;
    return 0;
}

static int s_find_through(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
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
    int result = pr_inverse_read_by_id(inverse, row, reference.value.integer, err);
    if (result != 0 || row->cells == NULL)
        return result;
    int ours = pr_inverse_has_our_key(inverse, row, false, err);
    return ours != 0 ? (ours < 0 ? ours : 0) : s_judge_through(inverse, row, err);
}

/* Hand the stored references of a candidate to the parents that have no candidate yet. */
static void s_follow(pr_inverse_t *inverse, const pr_inverse_row_t *row) {
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        const pr_inverse_column_t *column = &row->columns[i];
        if (column->column->op != PR_OP_PARENT || column->cell < 0)
            continue;
        const pr_cell_t *cell = &row->cells[column->cell];
        pr_inverse_row_t *parent = &inverse->rows[column->column->parent];
        if (cell->value.kind == PR_INTEGER && !parent->hinted) {
            parent->hinted = true;
            parent->hint = cell->value.integer;
        }
    }
}

static int s_down(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    int result = 0;
    if (row->state == PR_STANDS_NOT_MADE)
        return 0;
    if (row->through != NULL)
        result = s_find_through(inverse, row, err);
    if (result != 0 || row->state == PR_STANDS_REPLACED)
        return result;
    if (row->cells == NULL && row->hinted)
        result = pr_inverse_read_by_id(inverse, row, row->hint, err);
    if (result == 0 && row->cells == NULL && !row->parent_in_key)
        result = pr_inverse_read_next(inverse, row, err);
    if (result == 0 && row->cells == NULL && !row->parent_in_key) {
        result = pr_inverse_read_by_key(inverse, row, err);
        if (row->cells != NULL)
            pr_inverse_follow_from(row);
    }
    if (result == 0 && row->cells != NULL)
        s_follow(inverse, row);
    return result;
}

/* Somebody put a row in the place of ours; but if ours is still there, the reference was changed. */
static int s_decide_replaced(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    const pr_cell_t *cells = row->cells;
    int64_t id = row->id;
    pr_inverse_maker_t maker = PR_MAKER_NOBODY;
    row->key_ours = false;
    int result = inverse->maker != NULL ? pr_inverse_read_by_key(inverse, row, err) : 0;
    if (result == 0 && row->key_ours)
        result = pr_inverse_maker(inverse, row, row->id, &maker, err);
    if (result < 0)
        return result;
    if (maker != PR_MAKER_NOBODY) {
        row->state = PR_STANDS_FOUND;
        return 0;
    }
    row->cells = cells;
    row->id = id;
    pr_inverse_tally(inverse, &row->replaced, NULL, NULL);
    return 0;
}

/* Whether the candidate's key is ours, or the row is ours whatever its key. */
static int s_judge_candidate(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    pr_inverse_maker_t maker = PR_MAKER_NOBODY;
    /* An expected row has been asked for its key, which holds no parent: nothing that was decided since can matter. */
    int ours = row->expected ? 1 : pr_inverse_has_our_key(inverse, row, true, err);
    if (ours == 0)
        ours = pr_inverse_maker(inverse, row, row->id, &maker, err);
    else if (ours > 0)
        row->key_ours = true;
    row->pinned = maker == PR_MAKER_THIS;
    return ours < 0 ? ours : 0;
}

/* Decide which row it is. */
static int s_decide(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    if (row->state == PR_STANDS_REPLACED)
        return s_decide_replaced(inverse, row, err);
    if (row->state != PR_STANDS_OPEN)
        return 0;
    row->key_ours = false;
    int judged = row->cells != NULL ? s_judge_candidate(inverse, row, err) : 0;
    if (judged < 0)
        return judged;
    if (!row->key_ours && !row->pinned && !row->asked) {
        /* Keeps the candidate if there is no row with the key. */
        int result = pr_inverse_read_by_key(inverse, row, err);
        if (result != 0)
            return result;
        if (row->cells == row->key_cells) {
            int ours = pr_inverse_has_our_key(inverse, row, true, err);
            if (ours < 0)
                return ours;
            row->key_ours = ours > 0; /* not if the column's collation is laxer than bytes */
        }
    }
    row->state = row->cells != NULL ? PR_STANDS_FOUND : PR_STANDS_MISSING;
    return 0;
}

static void s_row_reset(const pr_inverse_t *inverse, pr_inverse_row_t *row) {
    int field = row->spec->if_present;
    row->state = field >= 0 && inverse->record->values[field].kind == PR_NULL ? PR_STANDS_NOT_MADE : PR_STANDS_OPEN;
    row->asked = false;
    row->key_ours = false;
    row->expected = false;
    row->hinted = false;
    row->pinned = false;
    row->cells = NULL;
    for (size_t i = 0; i < row->spec->columns_count; i++)
        row->columns[i].looked_up = false;
}

int pr_inverse_check(pr_inverse_t *inverse, const pr_inverse_record_t *record, pr_proof_list_t *list, pr_error_t *err) {
    size_t count = inverse->stream->rows_count;
    int result = 0;
    inverse->record = record;
    inverse->final = false;
    inverse->list = list;
    for (size_t i = 0; i < count; i++)
        s_row_reset(inverse, &inverse->rows[i]);
    for (size_t i = count; i-- > 0 && result == 0;)
        result = s_down(inverse, &inverse->rows[i], err);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = s_decide(inverse, &inverse->rows[i], err);
        if (result == 0)
            result = pr_inverse_compare(inverse, &inverse->rows[i], err);
    }
    inverse->record = NULL;
    inverse->list = NULL;
    return result;
}

int64_t pr_inverse_row_id(const pr_inverse_t *inverse, size_t row) {
    return inverse->rows[row].state == PR_STANDS_FOUND ? inverse->rows[row].id : 0;
}

bool pr_inverse_is_final(const pr_inverse_t *inverse) {
    return inverse->final;
}

void pr_inverse_begin(pr_inverse_t *inverse, bool all_new, bool extra_fail) {
    inverse->generation++;
    inverse->all_new = all_new;
    inverse->extra_fail = extra_fail;
}

void pr_inverse_end(pr_inverse_t *inverse, pr_proof_list_t *list) {
    for (size_t i = 0; i < inverse->stream->rows_count; i++) {
        pr_inverse_row_t *row = &inverse->rows[i];
        sqlite3_reset(row->by_key);
        sqlite3_reset(row->next);
        row->following = false;
        row->patience = 0;
        row->backoff = 0;
    }
    pr_inverse_report_findings(inverse, list);
}
