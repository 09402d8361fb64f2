/* SPDX-License-Identifier: MIT */
/* A row of the target against the record it came from. */
#include "validator/inverse_state.h"

static bool s_parent_holds(const pr_inverse_t *inverse, const pr_inverse_column_t *column, const pr_cell_t *cell) {
    const pr_inverse_row_t *parent = &inverse->rows[column->column->parent];
    switch (parent->state) {
    case PR_STANDS_NOT_MADE:
        return cell->value.kind == PR_NULL;
    case PR_STANDS_MISSING:
        /* The parent itself is the failure; a reference that still points to where it was is not another one. */
        return cell->value.kind == PR_INTEGER;
    case PR_STANDS_OPEN:
    case PR_STANDS_FOUND:
    case PR_STANDS_REPLACED:
        break;
    }
    return cell->value.kind == PR_INTEGER && cell->value.integer == parent->id;
}

/* 1 holds, 0 differs, <0. */
static int s_lookup_holds(pr_inverse_t *inverse, pr_inverse_column_t *column, const pr_cell_t *cell, pr_error_t *err) {
    const pr_value_t *key = &inverse->record->values[column->column->field];
    if (key->kind == PR_NULL)
        return cell->value.kind == PR_NULL;
    int result = pr_inverse_look_up(inverse, column, err);
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

int pr_inverse_holds(pr_inverse_t *inverse, pr_inverse_column_t *column, const pr_cell_t *cell, pr_error_t *err) {
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

int pr_inverse_has_our_key(pr_inverse_t *inverse, pr_inverse_row_t *row, bool with_parents, pr_error_t *err) {
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        pr_inverse_column_t *column = &row->columns[i];
        if (!column->column->key || column->cell < 0 || (!with_parents && column->column->op == PR_OP_PARENT))
            continue;
        int holds = pr_inverse_holds(inverse, column, &row->cells[column->cell], err);
        if (holds <= 0)
            return holds;
    }
    return 1;
}

/* A failure, unless the row was left to others, who had changed it (a finding of the run, which need not be told again). */
static int s_fail_unless_kept(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_inverse_column_t *column,
                              const pr_cell_t *cell, bool final, pr_error_t *err) {
    const pr_inverse_record_t *record = inverse->record;
    int kept = row->spec->mode == PR_MODE_UPSERT
                   ? pr_foreign_is_kept(inverse->foreign, row->spec, row->id, record->source, record->ordinal, err)
                   : 0;
    inverse->final |= kept == 0 && final;
    if (kept == 0)
        pr_inverse_report_mismatch(inverse, row, column, cell);
    else if (kept > 0 && inverse->made->run == 0)
        pr_inverse_tally(inverse, &column->theirs, column, cell);
    return kept < 0 ? kept : 0;
}

/*  What a difference means. In a shared row, and in a column that is only ever set with a new row, it is a failure if
 *  this record made the row, or if every record must have it so; else the row is another's, and it is a finding. Of a
 *  batch all of whose records inserted rows each such row has a maker in the books, so one without is a failure, too. */
static int s_differs(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_inverse_column_t *column, const pr_cell_t *cell,
                     pr_error_t *err) {
    bool shared = row->spec->mode == PR_MODE_ENSURE;
    bool others = !column->column->key && (shared || column->column->keep);
    pr_inverse_maker_t maker = PR_MAKER_THIS;
    int result = others ? pr_inverse_maker(inverse, row, row->id, &maker, err) : 0;
    if (result < 0)
        return result;
    if (maker == PR_MAKER_THIS || (maker == PR_MAKER_OTHER && column->common) ||
        (maker == PR_MAKER_NOBODY && !shared && inverse->all_new))
        return s_fail_unless_kept(inverse, row, column, cell, others && maker != PR_MAKER_NOBODY, err);
    pr_inverse_tally(inverse, shared ? &column->shared : &column->kept, column, cell);
    return 0;
}

/* A second row with the natural key of one that we made was put there by somebody else: had it been there before, ours
 * would not have been made. Shared rows are looked at by the record that made them. */
static int s_find_second(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    if (row->second == NULL || !row->key_ours || inverse->record->again)
        return 0;
    pr_inverse_maker_t maker;
    int result = pr_inverse_maker(inverse, row, row->id, &maker, err);
    if (result < 0 || maker == PR_MAKER_NOBODY || (row->spec->mode == PR_MODE_ENSURE && maker != PR_MAKER_THIS))
        return result;
    int64_t id;
    int found = pr_inverse_read_second(inverse, row, &id, err);
    if (found > 0)
        pr_inverse_report_second(inverse, row, id);
    return found < 0 ? found : 0;
}

/* Compare the columns. kept_too: also those that are set when a shared row is made, and are its maker's. */
static int s_compare_columns(pr_inverse_t *inverse, pr_inverse_row_t *row, bool kept_too, pr_error_t *err) {
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        pr_inverse_column_t *column = &row->columns[i];
        if (column->cell < 0 || (column->column->key && row->key_ours) || (column->column->keep && !kept_too))
            continue;
        const pr_cell_t *cell = &row->cells[column->cell];
        int holds = pr_inverse_holds(inverse, column, cell, err);
        if (holds == 0)
            holds = s_differs(inverse, row, column, cell, err);
        if (holds < 0)
            return holds;
    }
    return 0;
}

int pr_inverse_compare(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err) {
    if (row->state == PR_STANDS_MISSING)
        pr_inverse_report_missing(inverse, row);
    if (row->state != PR_STANDS_FOUND)
        return 0;
    pr_inverse_maker_t maker = PR_MAKER_THIS;
    int result = row->spec->mode == PR_MODE_ENSURE ? pr_inverse_maker(inverse, row, row->id, &maker, err) : 0;
    if (result == 0)
        result = s_compare_columns(inverse, row, maker == PR_MAKER_THIS, err);
    return result == 0 ? s_find_second(inverse, row, err) : result;
}
