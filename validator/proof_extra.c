/* SPDX-License-Identifier: MIT */
/* Rows of the target that no record of the exports proves, named one by one. */
#include "common/position.h"
#include "validator/proof.h"

/*  DESIGN
 *
 *  Only for groups whose rows and tallies differ; elsewhere it costs nothing. The rows of these groups are read into a
 *  table in memory, by id. Then the exports are walked again: each of their records finds its row by natural key and
 *  marks it; a later record with the same key marks it again, as its values are those that are stored, and is told as
 *  a repetition. A row without a mark is extra, unless others changed it and its record was rejected for that; one that was
 *  left to others shows what it shows. What is left must show the distribution of the records that marked it.
 *
 *  Memory grows with the rows of the suspect groups (some 100 bytes a row).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "validator/foreign.h"
#include "validator/proof_parts.h"

enum { S_NAMED_MAX = 1000, S_KEY_PARTS_MAX = 32, S_DEPTH_MAX = 16, S_NONE = UINT32_MAX };

/* A row of a suspect group. */
typedef struct {
    int64_t id;
    uint32_t group;
    bool referred;                 /* found by its reference only: its group's name is another one's */
    bool seen;                     /* a record of the exports is it */
    uint32_t stored[PR_SHOWN_MAX]; /* what its columns show: index into texts */
    uint32_t image[PR_SHOWN_MAX];  /* what its record says they show */
} s_row_t;

/* Finds a record's row by its natural key. */
typedef struct {
    sqlite3_stmt *statement;
    const pr_column_t *columns[S_KEY_PARTS_MAX]; /* by parameter */
    pr_scratch_t scratch[S_KEY_PARTS_MAX];
    int count;
} s_finder_t;

typedef struct {
    pr_proof_t *proof;
    const pr_groups_t *groups;
    pr_proof_list_t *list;
    s_row_t *rows; /* by id */
    size_t rows_count;
    pr_counts_t texts;   /* of all columns: only their places are used */
    pr_counts_t *counts; /* by group and column */
    pr_scratch_t text, scratch;
    s_finder_t finder;
    pr_foreign_t *foreign;
    uint64_t extra;
    uint64_t repeated;          /* records whose row an earlier one is already */
    char repeated_detail[1200]; /* the first of them */
    uint32_t repeated_source;
    uint64_t repeated_ordinal;
} s_search_t;

void pr_proof_set_extra(pr_proof_t *proof, bool fail) {
    proof->extra_fail = fail;
}

/* --- The rows of the suspect groups --- */

/* The place of a text among all that were met: few, as they are values of a distribution. */
static uint32_t s_intern(s_search_t *search) {
    size_t at = 0;
    const pr_counts_t *texts = &search->texts;
    while (at < texts->count && (texts->items[at].size != search->text.size ||
                                 memcmp(texts->items[at].text, search->text.data, search->text.size) != 0))
        at++;
    if (at == texts->count)
        pr_counts_add(&search->texts, search->text.data, search->text.size, 0, 0);
    return (uint32_t)at;
}

static int s_compare_rows(const void *left, const void *right) {
    const s_row_t *a = left;
    const s_row_t *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return (int)a->referred - (int)b->referred;
}

static char *s_shown(const pr_groups_t *groups) {
    char *columns = sqlite3_mprintf("t.id, g.n");
    for (size_t c = 0; c < groups->shown_count; c++)
        columns = sqlite3_mprintf("%z, t.\"%w\"", columns, groups->shown[c]->name);
    return columns;
}

/* Add the rows that a query gives: id, n, columns shown. Takes sql. */
static int s_load_rows(s_search_t *search, bool referred, char *sql, pr_error_t *err) {
    pr_proof_t *proof = search->proof;
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(proof->db, proof->path, sql, &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        size_t at = search->rows_count++;
        if ((at & (at - 1)) == 0)
            search->rows = pr_xrealloc(search->rows, (at > 0 ? at * 2 : 1) * sizeof *search->rows);
        s_row_t *row = &search->rows[at];
        *row = (s_row_t){.id = sqlite3_column_int64(statement, 0),
                         .group = (uint32_t)sqlite3_column_int64(statement, 1),
                         .referred = referred};
        for (size_t c = 0; c < search->groups->shown_count; c++) {
            pr_cell_t cell;
            pr_database_column(statement, (int)c + 2, &cell);
            pr_image_of_cell(&cell, &search->text);
            row->stored[c] = s_intern(search);
        }
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

static void s_sort_rows(s_search_t *search) {
    size_t kept = 0;
    if (search->rows_count > 0)
        qsort(search->rows, search->rows_count, sizeof *search->rows, s_compare_rows);
    for (size_t i = 0; i < search->rows_count; i++)
        if (i == 0 || search->rows[i].id != search->rows[kept - 1].id)
            search->rows[kept++] = search->rows[i];
    search->rows_count = kept;
}

static int s_load_all_rows(s_search_t *search, pr_error_t *err) {
    const pr_groups_t *groups = search->groups;
    int result =
        s_load_rows(search, false,
                    sqlite3_mprintf("SELECT %z FROM temp.pr_group g CROSS JOIN \"%w\" t ON t.\"%w\" = g.\"key\"",
                                    s_shown(groups), groups->row->table, groups->by->name),
                    err);
    if (result == 0 && groups->lookup != NULL)
        result =
            s_load_rows(search, true,
                        sqlite3_mprintf("SELECT %z FROM temp.pr_group g CROSS JOIN \"%w\" l ON l.\"%w\" = g.\"key\""
                                        " CROSS JOIN \"%w\" t ON t.\"%w\" = l.id",
                                        s_shown(groups), groups->lookup->lookup_table, groups->lookup->lookup_key,
                                        groups->row->table, groups->lookup->name),
                        err);
    s_sort_rows(search);
    return result;
}

static s_row_t *s_find_row(const s_search_t *search, int64_t id) {
    s_row_t wanted = {.id = id};
    size_t from = 0;
    size_t to = search->rows_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (search->rows[middle].id < wanted.id)
            from = middle + 1;
        else
            to = middle;
    }
    return from < search->rows_count && search->rows[from].id == id ? &search->rows[from] : NULL;
}

/* --- A record's row --- */

/* The condition that a row's natural key is the record's; parents are found by theirs. *Returns new* (sqlite3_malloc). */
static char *s_sql_key(s_finder_t *finder, const pr_stream_t *stream, const pr_row_spec_t *row, int depth) {
    char *where = sqlite3_mprintf("");
    for (size_t i = 0; i < row->columns_count; i++) {
        const pr_column_t *column = &row->columns[i];
        if (!column->key)
            continue;
        const char *and = where != NULL && where[0] != '\0' ? " AND " : "";
        if (column->op == PR_OP_PARENT && depth < S_DEPTH_MAX) {
            const pr_row_spec_t *parent = &stream->rows[column->parent];
            where = sqlite3_mprintf("%z%s\"%w\" IS (SELECT id FROM \"%w\" WHERE %z)", where, and, column->name,
                                    parent->table, s_sql_key(finder, stream, parent, depth + 1));
            continue;
        }
        if (finder->count == S_KEY_PARTS_MAX)
            continue; /* no mapping comes near */
        finder->columns[finder->count++] = column;
        if (column->op == PR_OP_LOOKUP)
            where = sqlite3_mprintf("%z%s\"%w\" IS (SELECT id FROM \"%w\" WHERE \"%w\" = ?%d)", where, and,
                                    column->name, column->lookup_table, column->lookup_key, finder->count);
        else
            where = sqlite3_mprintf("%z%s\"%w\" IS ?%d", where, and, column->name, finder->count);
    }
    return where;
}

static int s_finder_open(s_search_t *search, pr_error_t *err) {
    const pr_groups_t *groups = search->groups;
    char *where = s_sql_key(&search->finder, groups->stream, groups->row, 0);
    return pr_database_prepare(search->proof->db, search->proof->path,
                               sqlite3_mprintf("SELECT min(id) FROM \"%w\" WHERE %z", groups->row->table, where),
                               &search->finder.statement, err);
}

/* 1 and the id; 0: no row has the key; <0. */
static int s_finder_find(s_search_t *search, const pr_value_t *values, int64_t *ret_id, pr_error_t *err) {
    s_finder_t *finder = &search->finder;
    for (int i = 0; i < finder->count; i++) {
        const pr_column_t *column = finder->columns[i];
        pr_value_t value = pr_value_null();
        if (column->op == PR_OP_LOOKUP)
            value = values[column->field];
        else if (!pr_relation_image(column, values, &finder->scratch[i], &value))
            return 0;
        pr_database_bind(finder->statement, i + 1, &value);
    }
    int result = pr_database_step(search->proof->db, search->proof->path, finder->statement, err);
    if (result > 0) {
        result = sqlite3_column_type(finder->statement, 0) == SQLITE_INTEGER;
        *ret_id = sqlite3_column_int64(finder->statement, 0);
    }
    sqlite3_reset(finder->statement);
    return result;
}

/* --- The walk --- */

static pr_counts_t *s_counts_of(const s_search_t *search, size_t group, size_t column) {
    return &search->counts[group * search->groups->shown_count + column];
}

static pr_group_t *s_group_of(const s_search_t *search, const pr_value_t *values) {
    const pr_value_t *value = &values[search->groups->field];
    char number[24];
    if (value->kind == PR_TEXT)
        return pr_groups_find(search->groups, value->text.data, value->text.size);
    int length = snprintf(number, sizeof number, "%" PRId64, value->integer);
    return pr_groups_find(search->groups, number, (size_t)length);
}

/* A key that stands twice makes the count of its group differ from its rows, so that none is missed here. */
static void s_note_repetition(s_search_t *search, const pr_value_t *values, uint32_t source, uint64_t ordinal,
                              uint64_t offset) {
    char key[1000];
    if (search->repeated++ > 0)
        return;
    snprintf(search->repeated_detail, sizeof search->repeated_detail, "%s: %s has the row of an earlier record",
             pr_inverse_key(search->groups->stream, values, key, sizeof key),
             pr_position_text((pr_position_t){source, ordinal, offset}).text);
    search->repeated_source = source;
    search->repeated_ordinal = ordinal;
}

static int s_take_record(void *context, const pr_value_t *values, uint32_t source, uint64_t ordinal, uint64_t offset,
                         pr_error_t *err) {
    s_search_t *search = context;
    const pr_group_t *group = s_group_of(search, values);
    int64_t id = 0;
    if (group == NULL || !group->suspect)
        return 0;
    int found = s_finder_find(search, values, &id, err);
    if (found < 0)
        return found;
    s_row_t *row = found > 0 ? s_find_row(search, id) : NULL;
    int kept = row != NULL ? pr_foreign_is_kept(search->foreign, search->groups->row, id, source, ordinal, err) : 0;
    if (kept < 0)
        return kept;
    for (size_t c = 0; c < search->groups->shown_count; c++) {
        pr_image_of_values(search->groups->shown[c], values, &search->scratch, &search->text);
        if (row != NULL)
            row->image[c] = kept > 0 ? row->stored[c] : s_intern(search);
        else /* a row that is missing */
            pr_counts_add(s_counts_of(search, (size_t)(group - search->groups->groups), c), search->text.data,
                          search->text.size, 1, 0);
    }
    if (row != NULL && row->seen)
        s_note_repetition(search, values, source, ordinal, offset);
    if (row != NULL)
        row->seen = true;
    return 0;
}

static int s_walk_exports(s_search_t *search, pr_error_t *err) {
    pr_proof_t *proof = search->proof;
    for (size_t i = 0; i < proof->ranges_count; i++) {
        if (proof->sources[proof->ranges[i].source].stream != search->groups->index)
            continue;
        int result = pr_proof_walk(proof, proof->ranges[i], s_take_record, search, err);
        if (result != 0)
            return result;
    }
    return 0;
}

/* The ranges of a run are its checkpoints'. */
static int s_walk_run(s_search_t *search, pr_error_t *err) {
    pr_proof_t *proof = search->proof;
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT source, first_ordinal, records, begin_offset, end_offset FROM pvrelay_checkpoint"
                        " WHERE run = %lld AND kind = 'batch' ORDER BY source, first_ordinal",
                        (long long)proof->run),
        &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        pr_range_t range = {.source = (uint32_t)sqlite3_column_int64(statement, 0),
                            .first = (uint64_t)sqlite3_column_int64(statement, 1),
                            .count = (uint32_t)sqlite3_column_int64(statement, 2),
                            .begin = (uint64_t)sqlite3_column_int64(statement, 3),
                            .end = (uint64_t)sqlite3_column_int64(statement, 4)};
        result = 0;
        if (range.source < proof->sources_count && proof->sources[range.source].stream == search->groups->index)
            result = pr_proof_walk(proof, range, s_take_record, search, err);
    }
    sqlite3_finalize(statement);
    return result;
}

/* --- What it shows --- */

/* A row's key for messages: the group, the key columns that are values of its own, and the id. */
static int s_print_row(s_search_t *search, int64_t id, char *buffer, size_t size, pr_error_t *err) {
    const pr_groups_t *groups = search->groups;
    pr_proof_t *proof = search->proof;
    const pr_column_t *columns[S_KEY_PARTS_MAX] = {groups->by};
    int count = 1;
    char *sql = sqlite3_mprintf("SELECT \"%w\"", groups->by->name);
    for (size_t i = 0; i < groups->row->columns_count && count < S_KEY_PARTS_MAX; i++) {
        const pr_column_t *column = &groups->row->columns[i];
        if (!column->key || column == groups->by)
            continue;
        if (column->op == PR_OP_PARENT || column->op == PR_OP_LOOKUP)
            continue;
        columns[count++] = column;
        sql = sqlite3_mprintf("%z, \"%w\"", sql, column->name);
    }
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("%z FROM \"%w\" WHERE id = %lld", sql, groups->row->table, (long long)id), &statement, err);
    if (result == 0)
        result = pr_database_step(proof->db, proof->path, statement, err);
    size_t at = 0;
    for (int i = 0; result > 0 && i < count && at < size; i++) {
        char value[256];
        pr_cell_t cell;
        pr_database_column(statement, i, &cell);
        at += (size_t)snprintf(buffer + at, size - at, "%s%s=%s", i > 0 ? ", " : "", columns[i]->name,
                               pr_cell_print(&cell, value, sizeof value));
    }
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

static uint32_t s_first_source(const s_search_t *search) {
    const pr_proof_t *proof = search->proof;
    for (uint32_t i = 0; i < proof->sources_count; i++)
        if (proof->sources[i].stream == search->groups->index)
            return i;
    return 0;
}

static void s_add_finding(s_search_t *search, const char *field, const char *detail, uint64_t count) {
    pr_finding_t finding = {.kind = "extra_row",
                            .stream = search->groups->stream->name,
                            .field = field,
                            .detail = detail,
                            .count = count,
                            .source = s_first_source(search)};
    pr_proof_list_add_finding(search->list, &finding);
}

static void s_tell_repetitions(s_search_t *search) {
    const pr_stream_t *stream = search->groups->stream;
    char field[256] = "";
    size_t at = 0;
    if (search->repeated == 0)
        return;
    for (size_t i = 0; i < stream->key_count && at < sizeof field; i++)
        at += (size_t)snprintf(field + at, sizeof field - at, "%s%s", i > 0 ? ", " : "",
                               stream->fields[stream->key[i]].name);
    pr_finding_t finding = {.kind = "repeated_key",
                            .stream = stream->name,
                            .field = field,
                            .detail = search->repeated_detail,
                            .count = search->repeated,
                            .source = search->repeated_source,
                            .ordinal = search->repeated_ordinal};
    pr_proof_list_add_finding(search->list, &finding);
}

static int s_tell_row(s_search_t *search, const s_row_t *row, pr_error_t *err) {
    char key[1200] = "";
    char id[40];
    snprintf(id, sizeof id, "id=%" PRId64, row->id);
    search->extra++;
    if (search->extra > S_NAMED_MAX && !search->proof->extra_fail)
        return 0;
    if (search->extra <= S_NAMED_MAX) {
        int result = s_print_row(search, row->id, key, sizeof key, err);
        if (result != 0)
            return result;
    }
    if (!search->proof->extra_fail) {
        char detail[1400];
        snprintf(detail, sizeof detail, "%s: %s", search->groups->row->table, key);
        s_add_finding(search, id, detail, 1);
        return 0;
    }
    char named[1300];
    snprintf(named, sizeof named, "%s%s%s", key, key[0] != '\0' ? ", " : "", id);
    pr_failure_t failure = {.kind = PR_FAILURE_EXTRA,
                            .stream = search->groups->stream->name,
                            .table = search->groups->row->table,
                            .key = named,
                            .column = "",
                            .expected = "no row",
                            .stored = "a row that no record of the exports proves",
                            .source = s_first_source(search)};
    pr_proof_list_add_failure(search->list, &failure);
    return 0;
}

/* A row that others changed, and whose record was rejected for it, has a record. */
static int s_tell_unless_rejected(s_search_t *search, const s_row_t *row, pr_error_t *err) {
    int rejected = pr_foreign_is_rejected(search->foreign, search->groups->row->table, row->id, err);
    return rejected == 0 ? s_tell_row(search, row, err) : (rejected < 0 ? rejected : 0);
}

static int s_tell_rows(s_search_t *search, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < search->rows_count; i++)
        if (!search->rows[i].seen)
            result = s_tell_unless_rejected(search, &search->rows[i], err);
    if (result == 0 && !search->proof->extra_fail && search->extra > S_NAMED_MAX)
        s_add_finding(search, "more", "rows that are not named one by one", search->extra - S_NAMED_MAX);
    return result;
}

/* How many rows have a value: 'dead_module': 12. */
static void s_print_count(const pr_count_t *count, uint64_t number, char *buffer, size_t size) {
    char value[256];
    pr_value_t text = pr_value_text(count->text + 1, count->size - 1);
    switch (count->text[0]) {
    case 'T':
    case 'B':
        pr_value_print(&text, value, sizeof value);
        break;
    case 'N':
        snprintf(value, sizeof value, "NULL");
        break;
    default:
        snprintf(value, sizeof value, "%s", count->text + 1);
        break;
    }
    snprintf(buffer, size, "%s: %" PRIu64, value, number);
}

static void s_tell_counts(s_search_t *search, size_t group, size_t column) {
    const pr_counts_t *counts = s_counts_of(search, group, column);
    char key[320];
    char expected[320];
    char stored[320];
    for (size_t i = 0; i < counts->count; i++) {
        const pr_count_t *count = &counts->items[i];
        if (count->expected == count->stored)
            continue;
        s_print_count(count, count->expected, expected, sizeof expected);
        s_print_count(count, count->stored, stored, sizeof stored);
        pr_failure_t failure = {.kind = PR_FAILURE_WHOLE,
                                .stream = search->groups->stream->name,
                                .table = search->groups->row->table,
                                .key = pr_group_print(search->groups, &search->groups->groups[group], key, sizeof key),
                                .column = search->groups->shown[column]->name,
                                .expected = expected,
                                .stored = stored,
                                .source = s_first_source(search)};
        pr_proof_list_add_failure(search->list, &failure);
    }
}

/* The distribution without the extra rows. */
static void s_compare_counts(s_search_t *search) {
    const pr_counts_t *texts = &search->texts;
    for (size_t i = 0; i < search->rows_count; i++) {
        const s_row_t *row = &search->rows[i];
        for (size_t c = 0; row->seen && c < search->groups->shown_count; c++) {
            pr_counts_t *counts = s_counts_of(search, row->group, c);
            const pr_count_t *image = &texts->items[row->image[c]];
            const pr_count_t *stored = &texts->items[row->stored[c]];
            pr_counts_add(counts, image->text, image->size, 1, 0);
            pr_counts_add(counts, stored->text, stored->size, 0, 1);
        }
    }
    for (size_t g = 0; g < search->groups->count; g++)
        for (size_t c = 0; search->groups->groups[g].suspect && c < search->groups->shown_count; c++)
            s_tell_counts(search, g, c);
}

static void s_search_clear(s_search_t *search) {
    for (size_t i = 0; i < search->groups->count * search->groups->shown_count; i++)
        pr_counts_clear(&search->counts[i]);
    for (int i = 0; i < search->finder.count; i++)
        pr_scratch_free(&search->finder.scratch[i]);
    sqlite3_finalize(search->finder.statement);
    pr_foreign_destroy(&search->foreign);
    pr_counts_clear(&search->texts);
    pr_scratch_free(&search->text);
    pr_scratch_free(&search->scratch);
    free(search->counts);
    free(search->rows);
}

int pr_proof_extra(pr_proof_t *proof, const pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err) {
    bool any = false;
    for (size_t g = 0; g < groups->count; g++)
        any = any || groups->groups[g].suspect;
    if (!any)
        return 0;
    s_search_t search = {.proof = proof, .groups = groups, .list = list};
    search.counts = pr_xcalloc(groups->count * groups->shown_count + 1, sizeof *search.counts);
    int result = pr_groups_tell(proof, groups, PR_GROUPS_SUSPECT, err);
    if (result == 0)
        result = s_load_all_rows(&search, err);
    if (result == 0)
        result = s_finder_open(&search, err);
    if (result == 0)
        result = pr_foreign_new(proof->db, proof->path, &proof->made, &search.foreign, err);
    if (result == 0)
        result = proof->of_run ? s_walk_run(&search, err) : s_walk_exports(&search, err);
    if (result == 0)
        result = s_tell_rows(&search, err);
    if (result == 0) {
        s_tell_repetitions(&search);
        s_compare_counts(&search);
    }
    s_search_clear(&search);
    return result;
}
