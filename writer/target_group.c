/* SPDX-License-Identifier: MIT */
/* Many records by one statement, where they allow it. */

/*  DESIGN
 *
 *  A statement of its own for each row costs as much as what it does: starting and ending it, binding, opening its
 *  cursors, descending from the roots of the B-trees, reading and writing the table's id counter. (Measured for a module:
 *  20,000 instructions, 12,700 as one of many rows of an INSERT … SELECT.) So records that follow each other wait in a
 *  group, and one statement deals with all of them, which reads them from memory (writer/row_table.h):
 *
 *      the last row was new      INSERT … SELECT: all are inserted, in order, or, if a constraint forbids one of them, none
 *      the last row was there    SELECT … JOIN by natural key: those that are there and do not differ are done
 *
 *  A replay mostly meets the rows in the order in which they were made, one id after the other. So after a group of which
 *  all were there, the join is by id first: the rows behind the last one. Where such a row has the record's natural key,
 *  it is the row that the key would lead to, as the key is UNIQUE; one that does not costs the join by key after all.
 *
 *  What the statement has not done is applied one by one by the code that knows every case (writer/target_apply.c): all
 *  of a forbidden INSERT, and what is missing or differs. So the outcome of each record, its reject and its message are
 *  the same as without groups; a wrong guess costs time and nothing else.
 *
 *  Order. The rows get their ids in the order of the records, as they would one by one. A natural key that occurs twice in
 *  a group: the INSERT is forbidden; and of what is compared nothing is done unless the ids found ascend, so that no row is
 *  met twice, and applying what is left afterwards changes no row that another record of the group was compared with.
 *
 *  Who can be in a group: records whose last row is of mode upsert, with a UNIQUE index for the natural key and no NULL in
 *  it, not looked for through another row; who made it is not noted, and nothing that is derived needs its id. The rows
 *  before it, if any, are of mode ensure and in the id cache, so that nothing need be done for them. Everything else is
 *  applied by itself, after the group is empty.
 *
 *  The size of a group doubles while all goes well and begins anew when it does not: where new and known records are
 *  mixed, little is done twice.
 */
#include "writer/target_group.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "writer/target_apply.h"
#include "writer/target_foreign.h"

static size_t s_greater(size_t a, size_t b) {
    return a > b ? a : b;
}

int pr_target_group_new(pr_target_t *target, pr_target_group_t **ret_group, pr_error_t *err) {
    const pr_mapping_t *mapping = target->mapping;
    pr_target_group_t *group = pr_xcalloc(1, sizeof *group);
    size_t width = 1;
    for (size_t s = 0; s < mapping->streams_count; s++) {
        const pr_stream_t *stream = &mapping->streams[s];
        size_t given = 0;
        for (size_t r = 0; r < stream->rows_count; r++) {
            given += stream->rows[r].columns_count;
            width = s_greater(width, stream->rows[r].columns_count);
        }
        group->given_room = s_greater(group->given_room, given);
        group->rows_room = s_greater(group->rows_room, stream->rows_count);
    }
    group->rows = pr_xcalloc(PR_GROUP_MOST * group->rows_room, sizeof *group->rows);
    group->given = pr_xcalloc(PR_GROUP_MOST * group->given_room, sizeof *group->given);
    group->values = pr_xcalloc(PR_GROUP_MOST * width, sizeof *group->values);
    group->table = (pr_row_table_t){.values = group->values, .width = width};
    if (pr_row_table_register(target->db, width, &group->table) != SQLITE_OK) {
        pr_target_group_destroy(&group);
        return pr_target_fail(target, err, "registering " PR_ROW_TABLE);
    }
    *ret_group = group;
    return 0;
}

void pr_target_group_destroy(pr_target_group_t **group) {
    if (group == NULL || *group == NULL)
        return;
    free((*group)->rows);
    free((*group)->given);
    free((*group)->values);
    free(*group);
    *group = NULL;
}

/* Can rows of this spec be written in groups? */
static bool s_suits(const pr_mapping_t *mapping, const pr_target_row_t *row) {
    if (row->spec->mode != PR_MODE_UPSERT || row->spec->through_table != NULL || !row->unique || row->noted ||
        row->clears_cache)
        return false;
    for (size_t d = 0; d < mapping->derived_count; d++) {
        if (row->touches[d] == PR_TOUCHES_ITSELF)
            return false;
    }
    return true;
}

/* Can rows of this spec be made by a record in a group, if they are known? */
static bool s_may_precede(const pr_mapping_t *mapping, const pr_target_row_t *row) {
    for (size_t d = 0; d < mapping->derived_count; d++) {
        if (row->touches[d] != PR_TOUCHES_NOTHING)
            return false;
    }
    return row->spec->mode == PR_MODE_ENSURE && row->spec->through_table == NULL;
}

int pr_target_group_prepare(pr_target_t *target, pr_target_row_t *row, pr_error_t *err) {
    row->grouped.may_precede = s_may_precede(target->mapping, row);
    if (!s_suits(target->mapping, row))
        return 0;
    row->grouped.size = PR_GROUP_LEAST;
    row->grouped.columns = pr_xcalloc(row->spec->columns_count, sizeof *row->grouped.columns);
    for (size_t i = 0; i < row->all.count; i++)
        row->grouped.columns[row->all.at[i]] = row->spec->columns[row->all.at[i]].name;
    int result = pr_target_prepare(target, pr_sql_insert_many(row->spec, row->all.at, row->all.count),
                                   &row->grouped.insert, err);
    if (result == 0)
        result = pr_target_prepare(target,
                                   pr_sql_select_many(row->spec, row->key.at, row->key.count, row->grouped.compare.at,
                                                      row->grouped.compare.count),
                                   &row->grouped.select, err);
    if (result == 0)
        result = pr_target_prepare(
            target, pr_sql_select_many_by_id(row->spec, row->grouped.compare.at, row->grouped.compare.count),
            &row->grouped.select_by_id, err);
    return result;
}

static bool s_key_has_null(const pr_target_row_t *row, const pr_value_t *values) {
    for (size_t i = 0; i < row->key.count; i++) {
        if (values[row->key.at[i]].kind == PR_NULL)
            return true;
    }
    return false;
}

/* Copy the record; its texts stay where they are. */
static void s_keep(pr_target_group_t *group, const pr_rows_record_t *record, uint64_t ordinal) {
    pr_group_record_t *kept = &group->records[group->count];
    pr_row_t *rows = &group->rows[group->count * group->rows_room];
    pr_value_t *given = &group->given[group->count * group->given_room];
    *kept = (pr_group_record_t){.ordinal = ordinal, .as = *record};
    kept->as.rows = rows;
    for (size_t i = 0; i < record->rows_count; i++) {
        size_t columns = group->stream->rows[record->rows[i].spec].spec->columns_count;
        rows[i] = (pr_row_t){.spec = record->rows[i].spec, .values = given};
        memcpy(given, record->rows[i].values, columns * sizeof *given);
        given += columns;
    }
    memcpy(&group->values[group->count * group->table.width], group->row->values,
           group->row->spec->columns_count * sizeof *group->values);
    group->count++;
}

int pr_target_group_add(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record,
                        uint64_t ordinal, pr_error_t *err) {
    pr_target_group_t *group = target->group;
    if (record->rows_count == 0)
        return 0;
    const pr_row_t *last = &record->rows[record->rows_count - 1];
    pr_target_row_t *row = &stream->rows[last->spec];
    if (row->grouped.insert == NULL || (group->count > 0 && group->row != row))
        return 0;
    int result = pr_target_known(target, stream, record, record->rows_count - 1, err);
    if (result <= 0)
        return result;
    result = pr_target_resolve(target, stream, row, last, err);
    if (result < 0)
        return result;
    if (result == PR_ROW_REJECTED || s_key_has_null(row, row->values))
        return 0;
    group->stream = stream;
    group->row = row;
    s_keep(group, record, ordinal);
    return 1;
}

bool pr_target_group_full(const pr_target_group_t *group) {
    return group->count > 0 && group->count >= group->row->grouped.size;
}

static int s_error(pr_target_t *target, const pr_target_row_t *row, pr_error_t *err) {
    return pr_target_fail(target, err, "table %s", row->spec->table);
}

static void s_set_done(pr_target_group_t *group, bool done) {
    for (size_t i = 0; i < group->count; i++)
        group->records[i].done = done;
}

/* The id of a record's row, by its natural key. */
static int s_id_by_key(pr_target_t *target, const pr_target_row_t *row, const pr_value_t *values, int64_t *ret_id,
                       pr_error_t *err) {
    for (size_t i = 0; i < row->key.count; i++)
        pr_target_bind_value(row->select, (int)i + 1, &values[row->key.at[i]]);
    int result = 0;
    if (sqlite3_step(row->select) == SQLITE_ROW)
        *ret_id = sqlite3_column_int64(row->select, 0);
    else
        result = s_error(target, row, err);
    sqlite3_reset(row->select);
    return result;
}

/*  One statement has inserted all of them: which ids they have, and their digests. The ids follow each other, unless the
 *  highest possible one is taken: SQLite then picks ids by chance (sqlite.org/autoinc.html). */
static int s_note_inserted(pr_target_t *target, pr_target_row_t *row, pr_error_t *err) {
    pr_target_group_t *group = target->group;
    int64_t last = sqlite3_last_insert_rowid(target->db);
    int64_t first = last - (int64_t)group->count + 1;
    int64_t id = first;
    int result = 0;
    if (row->grouped.last_id == 0 || row->grouped.last_id + 1 != first)
        result = s_id_by_key(target, row, group->values, &id, err);
    bool follow = id == first;
    for (size_t i = 0; result == 0 && i < group->count; i++) {
        const pr_value_t *values = &group->values[i * group->table.width];
        id = first + (int64_t)i;
        if (!follow)
            result = s_id_by_key(target, row, values, &id, err);
        group->records[i].id = id;
        if (result == 0)
            result = pr_target_foreign_stored(target, row, id, values, err);
    }
    row->grouped.last_id = follow ? last : 0;
    return result;
}

/* All or, where a constraint forbids one of them, none. */
static int s_insert(pr_target_t *target, pr_target_row_t *row, pr_error_t *err) {
    const pr_target_group_t *group = target->group;
    const pr_given_t given = {.table = row->spec->table,
                              .columns = row->grouped.columns,
                              .columns_count = row->spec->columns_count,
                              .values = group->values,
                              .width = group->table.width,
                              .rows = group->count};
    int result = 0;
    if (target->undo != NULL) {
        pr_undo_mark(target->undo);
        pr_undo_given(target->undo, &given);
    }
    int step = sqlite3_step(row->grouped.insert);
    if (step != SQLITE_DONE && step != SQLITE_CONSTRAINT)
        result = s_error(target, row, err);
    if (target->undo != NULL && step == SQLITE_DONE)
        pr_undo_given(target->undo, NULL);
    else if (target->undo != NULL)
        pr_undo_rewind(target->undo);
    sqlite3_reset(row->grouped.insert);
    s_set_done(target->group, step == SQLITE_DONE);
    return step == SQLITE_DONE ? s_note_inserted(target, row, err) : result;
}

/*  What the statement finds is done if it is as it should be, key included; nothing is if a row was met twice.
 *  ret_next: the id after that of the last row; 0 if not all are done. */
static int s_match(pr_target_t *target, const pr_target_row_t *row, sqlite3_stmt *select, int64_t *ret_next,
                   pr_error_t *err) {
    pr_target_group_t *group = target->group;
    int64_t last = INT64_MIN;
    size_t done = 0;
    bool ascend = true;
    int step;
    while ((step = sqlite3_step(select)) == SQLITE_ROW && ascend) {
        size_t at = (size_t)sqlite3_column_int64(select, 0);
        int64_t id = sqlite3_column_int64(select, 1);
        ascend = id > last;
        last = id;
        group->records[at].id = id;
        group->records[at].done =
            !pr_target_row_differs(select, 2, &group->values[at * group->table.width], &row->grouped.compare);
        done += group->records[at].done ? 1 : 0;
    }
    int result = step == SQLITE_DONE || step == SQLITE_ROW ? 0 : s_error(target, row, err);
    sqlite3_reset(select);
    *ret_next = ascend && done == group->count && last < INT64_MAX ? last + 1 : 0;
    if (!ascend)
        s_set_done(group, false);
    return result;
}

/* Those that are there and as they should be: first where they would be if they followed the last group, then by key. */
static int s_compare(pr_target_t *target, pr_target_row_t *row, pr_error_t *err) {
    int result = 0;
    if (row->grouped.next_id > 0) {
        sqlite3_bind_int64(row->grouped.select_by_id, 1, row->grouped.next_id);
        result = s_match(target, row, row->grouped.select_by_id, &row->grouped.next_id, err);
        if (result < 0 || row->grouped.next_id > 0)
            return result;
        s_set_done(target->group, false);
    }
    return s_match(target, row, row->grouped.select, &row->grouped.next_id, err);
}

/* What follows for those that are done: rows whose derived columns depend on them, and the counts. */
static int s_settle(pr_target_t *target, const pr_target_row_t *row, bool inserted, pr_target_counts_t *counts,
                    pr_error_t *err) {
    const pr_target_group_t *group = target->group;
    uint64_t done = 0;
    int result = 0;
    for (size_t i = 0; result == 0 && i < group->count; i++) {
        if (group->records[i].done) {
            done++;
            result = pr_target_touch(target, row, &group->values[i * group->table.width], err);
        }
    }
    if (inserted) {
        target->tables[row->table].inserted += done;
        counts->inserted += done;
        counts->rows_inserted += done;
    } else {
        counts->unchanged += done;
    }
    return result;
}

int pr_target_group_do(pr_target_t *target, pr_target_counts_t *counts, pr_error_t *err) {
    pr_target_group_t *group = target->group;
    pr_target_row_t *row = group->row;
    bool insert = row->expect_new;
    group->table.count = group->count;
    if (insert)
        row->grouped.next_id = 0;
    int result = insert ? s_insert(target, row, err) : s_compare(target, row, err);
    return result == 0 ? s_settle(target, row, insert, counts, err) : result;
}

void pr_target_group_empty(pr_target_group_t *group) {
    if (group == NULL || group->count == 0)
        return;
    pr_target_row_t *row = group->row;
    size_t done = 0;
    for (size_t i = 0; i < group->count; i++)
        done += group->records[i].done ? 1 : 0;
    if (done == group->count)
        row->grouped.size = 2 * row->grouped.size < PR_GROUP_MOST ? 2 * row->grouped.size : PR_GROUP_MOST;
    else if (2 * done < group->count)
        row->grouped.size = PR_GROUP_LEAST;
    else
        row->expect_new = false; /* whatever the last exception was: most were there */
    group->count = 0;
}
