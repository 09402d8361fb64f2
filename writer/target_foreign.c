/* SPDX-License-Identifier: MIT */
/* Rows that are there, differ from the export, and are not as pvrelay last stored them. */

/*  DESIGN
 *
 *  What a row's state is, and how it is known: common/row_digest.c. It is asked for only of rows of mode upsert that
 *  differ from the export, by the code that applies records one by one; a group never changes a row that is there. So a
 *  foreign change is the same whether records come in groups or not.
 *
 *      as pvrelay last stored it    the export has changed: the row is updated, whatever the policy
 *      changed since, never ours    reject      the record becomes a reject, changed_in_target; none of its rows stays
 *                                   keep        the row stays, serves as a parent, and counts as unchanged
 *                                   overwrite   the row is updated
 *
 *  A row is judged as a whole: others' change in one column makes the row others', also for a column that only the export
 *  has changed since. Rows of mode ensure are never changed. A row found_through another (writer/target_apply.c) counts as
 *  any other row if its own key columns are ours, its parent ids among what is digested; if they are not, it is
 *  somebody's real row in the place of our placeholder and is not looked at. A row that is gone is made anew. Derived columns
 *  follow from the rows that are there, whoever wrote them, and are set as always.
 *
 *  What is left behind, in the transaction of the commit: for every such row an entry in pvrelay_foreign_change, which the
 *  validator reads (a row that was kept is no failure; a row whose record was rejected for it is not extra), and a finding
 *  with the values, of the first S_NAMED_MAX rows of a run one each. A reject tells the values itself, the first S_TOLD_MAX of a
 *  run also what pvrelay had stored, if undo knows (common/last_stored.c). When a row that was kept is as we stored it again and is
 *  updated, an entry "written" says that the validator is to be strict with it again.
 *
 *  retry-rejects with another policy meets the same rows again and settles them by it: nothing is remembered of the
 *  decision that was made before.
 */
#include "writer/target_foreign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/last_stored.h"
#include "common/sql_value.h"
#include "writer/target_apply.h"

enum {
    S_NAMED_MAX = 1000,
    S_VALUE_BYTES = 400,
    S_TEXT_MAX = 8000,
    S_TOLD_MAX = 100,   /* rejects of a run that also tell what was stored */
    S_WRITERS_MAX = 64, /* commits that are asked for it */
};

static const pr_target_columns_t *s_changeable(const pr_target_row_t *row) {
    return row->spec->through_table != NULL ? &row->through_update : &row->update;
}

/* Where the columns of the table's digest are among the row's; NULL: not all of them are given. *Returns new*. */
static size_t *s_places(const pr_target_t *target, const pr_target_row_t *row) {
    const char *const *names = NULL;
    size_t count = pr_row_digests_columns(target->digests, row->foreign.table, &names);
    size_t *at = pr_xcalloc(count, sizeof *at);
    for (size_t i = 0; i < count; i++) {
        size_t c = 0;
        while (c < row->spec->columns_count &&
               (!row->present[c] || sqlite3_stricmp(row->spec->columns[c].name, names[i]) != 0))
            c++;
        if (c == row->spec->columns_count || (row->spec->columns[c].keep && !row->spec->columns[c].key)) {
            free(at);
            return NULL;
        }
        at[i] = c;
    }
    return at;
}

static void s_add_row(pr_target_t *target, pr_target_row_t *row) {
    const pr_target_columns_t *columns = s_changeable(row);
    if (row->spec->mode != PR_MODE_UPSERT || columns->count == 0)
        return;
    row->foreign.names = pr_xcalloc(columns->count, sizeof *row->foreign.names);
    for (size_t i = 0; i < columns->count; i++) {
        row->foreign.names[i] = row->spec->columns[columns->at[i]].name;
        pr_row_digests_add(target->digests, row->spec->table, row->foreign.names[i], &row->foreign.table);
    }
    row->foreign.names_count = columns->count;
}

int pr_target_foreign_prepare(pr_target_t *target, pr_error_t *err) {
    const pr_mapping_t *mapping = target->mapping;
    target->digests = pr_row_digests_new(target->db);
    target->foreign_named = -1;
    target->foreign_kept = -1;
    for (size_t s = 0; s < mapping->streams_count; s++)
        for (size_t r = 0; r < mapping->streams[s].rows_count; r++)
            s_add_row(target, &target->streams[s].rows[r]);
    int result = pr_row_digests_prepare(target->digests, err);
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++) {
        for (size_t r = 0; r < mapping->streams[s].rows_count; r++) {
            pr_target_row_t *row = &target->streams[s].rows[r];
            if (row->foreign.names != NULL)
                row->foreign.at = s_places(target, row);
        }
    }
    return result;
}

int pr_target_foreign_stored(pr_target_t *target, const pr_target_row_t *row, int64_t id, const pr_value_t *values,
                             pr_error_t *err) {
    if (row->foreign.names == NULL)
        return 0;
    return pr_row_digests_note(target->digests, row->foreign.table, id, row->foreign.at != NULL ? values : NULL,
                               row->foreign.at, err);
}

void pr_target_foreign_clear(pr_target_row_t *row) {
    row->foreign.outcome = PR_FOREIGN_NONE;
    sqlite3_free(row->foreign.text);
    row->foreign.text = NULL;
}

/*  What pvrelay last stored in the columns that are to be told, by undo; only of some rejects of a run, as it costs.
 *  ret_texts: one per column of `columns`, *each returns new*. */
static int s_find_stored(pr_target_t *target, const pr_target_row_t *row, const pr_target_columns_t *columns,
                         char **ret_texts, pr_error_t *err) {
    int64_t checkpoints[S_WRITERS_MAX];
    size_t count = 0;
    if (target->foreign_told_run != target->batch.run) {
        target->foreign_told_run = target->batch.run;
        target->foreign_told = 0;
    }
    if (target->foreign_told == S_TOLD_MAX)
        return 0;
    target->foreign_told++;
    int result =
        pr_row_digests_writers(target->digests, row->foreign.table, row->id, checkpoints, S_WRITERS_MAX, &count, err);
    if (result < 0 || count == 0)
        return result;
    const char **names = pr_xcalloc(columns->count, sizeof *names);
    for (size_t i = 0; i < columns->count; i++)
        names[i] = row->spec->columns[columns->at[i]].name;
    result = pr_last_stored(target->db, row->spec->table, row->id, checkpoints, count, names, columns->count, ret_texts,
                            err);
    free(names);
    return result;
}

/* Each column that differs: what pvrelay stored (NULL: not known), what is there, what the export says. */
static int s_tell(pr_target_t *target, pr_target_row_t *row, sqlite3_stmt *select, int first,
                  const pr_target_columns_t *columns, pr_row_state_t state, char *const *stored, pr_error_t *err) {
    char there[S_VALUE_BYTES];
    char export[S_VALUE_BYTES];
    if (sqlite3_step(select) != SQLITE_ROW) {
        int result = pr_target_fail(target, err, "table %s", row->spec->table);
        sqlite3_reset(select);
        return result;
    }
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "%s id=%lld %s: ", row->spec->table, (long long)row->id,
                        state == PR_ROW_CHANGED ? "was changed since pvrelay stored it" : "was not written by pvrelay");
    for (size_t i = 0, told = 0; i < columns->count && sqlite3_str_length(text) < S_TEXT_MAX; i++) {
        const pr_column_t *column = &row->spec->columns[columns->at[i]];
        const pr_value_t *value = &row->values[columns->at[i]];
        if (pr_target_stored_equal(select, first + (int)i, value))
            continue;
        if (row->foreign.field == NULL)
            row->foreign.field = column;
        sqlite3_str_appendf(text, "%s%s ", told++ == 0 ? "" : "; ", column->name);
        if (stored[i] != NULL)
            sqlite3_str_appendf(text, "was stored as %s, ", stored[i]);
        sqlite3_str_appendf(text, "is %s, the export says %s",
                            pr_sql_value_print(sqlite3_column_value(select, first + (int)i), there, sizeof there),
                            pr_value_print(value, export, sizeof export));
    }
    sqlite3_reset(select);
    row->foreign.text = sqlite3_str_finish(text);
    return 0;
}

int pr_target_foreign_judge(pr_target_t *target, pr_target_row_t *row, sqlite3_stmt *select, int first,
                            const pr_target_columns_t *columns, pr_error_t *err) {
    pr_row_state_t state = PR_ROW_NEVER;
    int result = pr_row_digests_state(target->digests, row->foreign.table, row->id, row->foreign.names,
                                      row->foreign.names_count, &state, err);
    if (result < 0 || state == PR_ROW_OURS)
        return result < 0 ? result : PR_ROW_UPDATED;
    pr_target_foreign_clear(row);
    row->foreign.field = NULL;
    char **stored = pr_xcalloc(columns->count, sizeof *stored);
    if (state == PR_ROW_CHANGED && target->on_foreign_change == PR_FOREIGN_REJECT)
        result = s_find_stored(target, row, columns, stored, err);
    if (result >= 0)
        result = s_tell(target, row, select, first, columns, state, stored, err);
    for (size_t i = 0; i < columns->count; i++)
        free(stored[i]);
    free(stored);
    if (result < 0)
        return result;
    switch (target->on_foreign_change) {
    case PR_FOREIGN_REJECT:
        row->foreign.outcome = PR_FOREIGN_REJECTED;
        return PR_ROW_REJECTED;
    case PR_FOREIGN_KEEP:
        row->foreign.outcome = PR_FOREIGN_KEPT;
        return PR_ROW_SAME;
    case PR_FOREIGN_OVERWRITE:
        break;
    }
    row->foreign.outcome = PR_FOREIGN_OVERWRITTEN;
    return PR_ROW_UPDATED;
}

/* ---- The books ---- */

/* A number that a query gives. */
static int s_ask(pr_target_t *target, pr_sql_t which, int64_t run, int64_t *ret_number, pr_error_t *err) {
    sqlite3_stmt *statement = pr_target_bound(target, which, "i", run);
    int result = 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else
        result = pr_target_fail(target, err, "reading foreign changes");
    sqlite3_reset(statement);
    return result;
}

int pr_target_foreign_merge(pr_target_t *target, pr_error_t *err) {
    int64_t through = 0;
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_CHECKPOINT_IRREVERSIBLE, "");
    int result = 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        through = sqlite3_column_int64(statement, 0);
    else
        result = pr_target_fail(target, err, "reading the checkpoints");
    sqlite3_reset(statement);
    return result == 0 && through > 0 ? pr_row_digests_merge(target->digests, through, err) : result;
}

/* What is counted of a run is not another's. */
static int s_count_named(pr_target_t *target, pr_error_t *err) {
    if (target->foreign_named >= 0 && target->foreign_named_run == target->batch.run)
        return 0;
    target->foreign_named_run = target->batch.run;
    return s_ask(target, PR_SQL_FOREIGN_NAMED, target->batch.run, &target->foreign_named, err);
}

static int s_find(pr_target_t *target, const pr_stream_t *stream, const pr_target_row_t *row, const char *kind,
                  uint64_t ordinal, pr_error_t *err) {
    char field[200];
    int result = s_count_named(target, err);
    if (result < 0)
        return result;
    bool named = target->foreign_named < S_NAMED_MAX;
    target->foreign_named++;
    if (named)
        snprintf(field, sizeof field, "%.100s id=%" PRId64, row->spec->table, row->id);
    return pr_target_do(target, PR_SQL_NOTE_FOREIGN, err, "itttiit", target->batch.run, kind, stream->name,
                        named ? field : "more", (int64_t)target->batch.range.source, (int64_t)ordinal,
                        named ? row->foreign.text
                              : "rows that are not named one by one; pvrelay_foreign_change has them all");
}

static int s_add(pr_target_t *target, const pr_target_row_t *row, const char *outcome, uint64_t ordinal,
                 const char *text, pr_error_t *err) {
    return pr_target_do(target, PR_SQL_FOREIGN_ADD, err, "tiiiiitt", row->spec->table, row->id,
                        target->batch.checkpoint, (int64_t)ordinal, target->batch.run,
                        (int64_t)target->batch.range.source, outcome, text);
}

/* A row of ours was changed: it may be one that was kept earlier. */
static int s_note_written(pr_target_t *target, const pr_target_row_t *row, uint64_t ordinal, pr_error_t *err) {
    int result = target->foreign_kept < 0 ? s_ask(target, PR_SQL_FOREIGN_ANY_KEPT, 0, &target->foreign_kept, err) : 0;
    if (result < 0 || target->foreign_kept == 0)
        return result;
    return pr_target_do(target, PR_SQL_FOREIGN_WRITTEN, err, "tiiiii", row->spec->table, row->id,
                        target->batch.checkpoint, (int64_t)ordinal, target->batch.run,
                        (int64_t)target->batch.range.source);
}

int pr_target_foreign_note(pr_target_t *target, const pr_stream_t *stream, const pr_target_row_t *row, uint64_t ordinal,
                           pr_error_t *err) {
    int result = 0;
    switch (row->foreign.outcome) {
    case PR_FOREIGN_NONE:
        return row->outcome == PR_ROW_UPDATED ? s_note_written(target, row, ordinal, err) : 0;
    case PR_FOREIGN_REJECTED:
        return s_add(target, row, "rejected", ordinal, NULL, err); /* the reject tells the rest */
    case PR_FOREIGN_KEPT:
        target->foreign_kept = 1;
        result = s_add(target, row, "kept", ordinal, row->foreign.text, err);
        return result == 0 ? s_find(target, stream, row, "foreign_kept", ordinal, err) : result;
    case PR_FOREIGN_OVERWRITTEN:
        result = s_add(target, row, "overwritten", ordinal, row->foreign.text, err);
        return result == 0 ? s_find(target, stream, row, "foreign_overwritten", ordinal, err) : result;
    }
    return result;
}
