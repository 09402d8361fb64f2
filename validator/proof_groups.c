/* SPDX-License-Identifier: MIT */
/* The groups of the exports' records: their tallies, their table for joins, and how values are counted. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/sql_has.h"
#include "common/sql_text.h"
#include "validator/proof_parts.h"

/* --- Counting texts --- */

void pr_counts_add(pr_counts_t *counts, const char *text, size_t size, uint64_t expected, uint64_t stored) {
    size_t at = 0;
    while (at < counts->count && (counts->items[at].size != size || memcmp(counts->items[at].text, text, size) != 0))
        at++;
    if (at == counts->count) {
        counts->items = pr_xrealloc(counts->items, (counts->count + 1) * sizeof *counts->items);
        counts->items[counts->count++] = (pr_count_t){.text = pr_xmalloc(size + 1), .size = size};
        memcpy(counts->items[at].text, text, size);
        counts->items[at].text[size] = '\0';
    }
    counts->items[at].expected += expected;
    counts->items[at].stored += stored;
}

bool pr_counts_agree(const pr_counts_t *counts) {
    for (size_t i = 0; i < counts->count; i++)
        if (counts->items[i].expected != counts->items[i].stored)
            return false;
    return true;
}

void pr_counts_clear(pr_counts_t *counts) {
    for (size_t i = 0; i < counts->count; i++)
        free(counts->items[i].text);
    free(counts->items);
    *counts = (pr_counts_t){0};
}

void pr_examples_add(pr_examples_t *examples, const char *format, ...) {
    enum { s_examples_max = 3 };
    static const char more[] = "; …";
    va_list args;
    char example[sizeof examples->text / s_examples_max - sizeof more];
    examples->count++;
    if (examples->count > s_examples_max + 1)
        return;
    if (examples->count > s_examples_max) {
        snprintf(examples->text + examples->size, sizeof examples->text - examples->size, "%s", more);
        return;
    }
    va_start(args, format);
    vsnprintf(example, sizeof example, format, args);
    va_end(args);
    examples->size += (size_t)snprintf(examples->text + examples->size, sizeof examples->text - examples->size, "%s%s",
                                       examples->size > 0 ? "; " : "", example);
}

/* --- Tallies --- */

static int s_compare_tallies(const void *left, const void *right) {
    const pr_proof_tally_t *a = left;
    const pr_proof_tally_t *b = right;
    int order = strcmp(a->group, b->group);
    return order != 0 ? order : strcmp(a->value, b->value);
}

static void s_add_tally(pr_groups_t *groups, const char *group, const char *value, uint64_t count, uint64_t rows) {
    size_t at = groups->tallies_count++;
    if ((at & (at - 1)) == 0)
        groups->tallies = pr_xrealloc(groups->tallies, (at > 0 ? at * 2 : 1) * sizeof *groups->tallies);
    groups->tallies[at] = (pr_proof_tally_t){.stream = groups->stream->name,
                                             .group = pr_xstrdup(group),
                                             .value = pr_xstrdup(value),
                                             .count = count,
                                             .rows = rows};
}

static int s_load_of_run(pr_proof_t *proof, pr_groups_t *groups, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf(
            "SELECT t.group_key, t.value, sum(t.count), sum(t.rows), r.kind <> 'replay' FROM pvrelay_run r"
            " JOIN pvrelay_checkpoint c ON c.run = r.run JOIN pvrelay_tally t ON t.checkpoint = c.checkpoint"
            " WHERE r.run = %lld AND t.stream = %Q GROUP BY 1, 2",
            (long long)proof->run, groups->stream->name),
        &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        s_add_tally(groups, pr_sql_column_text(statement, 0), pr_sql_column_text(statement, 1),
                    (uint64_t)sqlite3_column_int64(statement, 2), (uint64_t)sqlite3_column_int64(statement, 3));
        groups->partial = sqlite3_column_int(statement, 4) != 0;
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

static void s_load_of_list(const pr_proof_list_t *list, pr_groups_t *groups) {
    for (size_t i = 0; i < list->tallies_count; i++)
        if (strcmp(list->tallies[i].stream, groups->stream->name) == 0)
            s_add_tally(groups, list->tallies[i].group, list->tallies[i].value, list->tallies[i].count,
                        list->tallies[i].rows);
}

/* --- Groups --- */

/* Do the exports hold any record of the stream? If they do not, they say nothing of its groups. */
static bool s_is_exported(const pr_proof_t *proof, int stream) {
    for (uint32_t i = 0; i < proof->sources_count; i++)
        if (proof->sources[i].stream == stream && proof->sources[i].records > 0)
            return true;
    return false;
}

static void s_make_groups(pr_groups_t *groups) {
    groups->groups = pr_xcalloc(groups->tallies_count + 1, sizeof *groups->groups);
    for (size_t i = 0; i < groups->tallies_count; i++) {
        const pr_proof_tally_t *tally = &groups->tallies[i];
        if (groups->count == 0 || strcmp(groups->groups[groups->count - 1].key, tally->group) != 0)
            groups->groups[groups->count++] = (pr_group_t){.key = pr_xstrdup(tally->group), .tally = i};
        pr_group_t *group = &groups->groups[groups->count - 1];
        group->tallies++;
        group->records += tally->count;
        group->proved += tally->rows;
    }
}

static int s_find_columns(pr_proof_t *proof, pr_groups_t *groups, pr_error_t *err) {
    const pr_stream_t *stream = groups->stream;
    groups->row = pr_stream_row_by(stream, groups->field);
    groups->by = pr_row_copy_of(groups->row, groups->field);
    for (size_t i = 0; i < groups->row->columns_count; i++) {
        const pr_column_t *column = &groups->row->columns[i];
        int has = pr_sql_has_column(proof->db, groups->row->table, column->name, err);
        if (has < 0)
            return has;
        if (has == 0)
            continue; /* an optional one: others are asked for when the stream's rows are first proved */
        bool shows = column->op == PR_OP_COPY || column->op == PR_OP_MAP;
        if (shows && stream->distribution_of >= 0 && column->field == stream->distribution_of &&
            groups->shown_count < PR_SHOWN_MAX)
            groups->shown[groups->shown_count++] = column;
        if (column->op == PR_OP_LOOKUP && column->field == groups->field)
            groups->lookup = column;
    }
    return 0;
}

int pr_groups_load(pr_proof_t *proof, int stream, const pr_groups_t *parents, const pr_proof_list_t *list,
                   pr_groups_t *ret_groups, pr_error_t *err) {
    const pr_stream_t *spec = &proof->mapping->streams[stream];
    pr_groups_t groups = {.stream = spec,
                          .index = stream,
                          .field = spec->distribution_by >= 0 ? spec->distribution_by : spec->declares.by};
    int result = 0;
    if (proof->of_run)
        result = s_load_of_run(proof, &groups, err);
    else
        s_load_of_list(list, &groups);
    if (result == 0) {
        for (size_t i = 0; parents != NULL && s_is_exported(proof, stream) && i < parents->count; i++)
            s_add_tally(&groups, parents->groups[i].key, "", 0, 0);
        if (groups.tallies_count > 0)
            qsort(groups.tallies, groups.tallies_count, sizeof *groups.tallies, s_compare_tallies);
        result = s_find_columns(proof, &groups, err);
    }
    if (result == 0) {
        s_make_groups(&groups);
        *ret_groups = groups;
    } else {
        pr_groups_clear(&groups);
    }
    return result;
}

void pr_groups_clear(pr_groups_t *groups) {
    for (size_t i = 0; i < groups->tallies_count; i++) {
        free((void *)groups->tallies[i].group);
        free((void *)groups->tallies[i].value);
    }
    for (size_t i = 0; i < groups->count; i++)
        free(groups->groups[i].key);
    free(groups->tallies);
    free(groups->groups);
    *groups = (pr_groups_t){0};
}

pr_group_t *pr_groups_find(const pr_groups_t *groups, const char *key, size_t size) {
    size_t from = 0;
    size_t to = groups->count;
    if (size > 0 && memchr(key, '\0', size) != NULL)
        return NULL;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const char *own = groups->groups[middle].key;
        int order = strncmp(own, key, size);
        if (order == 0 && own[size] == '\0')
            return &groups->groups[middle];
        if (order >= 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

static bool s_is_one(const pr_group_t *group, pr_groups_which_t which) {
    switch (which) {
    case PR_GROUPS_SUSPECT:
        return group->suspect;
    case PR_GROUPS_AGAIN:
        return group->again;
    case PR_GROUPS_ALL:
        break;
    }
    return true;
}

static int s_insert(pr_proof_t *proof, const pr_groups_t *groups, pr_groups_which_t which, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result =
        pr_database_prepare(proof->db, proof->path,
                            sqlite3_mprintf("INSERT INTO temp.pr_group (n, \"key\") VALUES (?1, ?2)"), &statement, err);
    bool number = groups->stream->fields[groups->field].type == PR_TYPE_INTEGER;
    for (size_t i = 0; result == 0 && i < groups->count; i++) {
        if (!s_is_one(&groups->groups[i], which))
            continue;
        const char *key = groups->groups[i].key;
        pr_value_t value = number ? pr_value_integer(strtoll(key, NULL, 10)) : pr_value_text(key, strlen(key));
        sqlite3_bind_int64(statement, 1, (int64_t)i);
        pr_database_bind(statement, 2, &value);
        result = pr_database_step(proof->db, proof->path, statement, err);
    }
    sqlite3_finalize(statement);
    return result;
}

int pr_groups_tell(pr_proof_t *proof, const pr_groups_t *groups, pr_groups_which_t which, pr_error_t *err) {
    int result = pr_database_exec(proof->db, proof->path, "DELETE FROM temp.pr_group", err);
    return result == 0 ? s_insert(proof, groups, which, err) : result;
}

char *pr_group_print(const pr_groups_t *groups, const pr_group_t *group, char *buffer, size_t size) {
    char value[256];
    pr_value_t text = pr_value_text(group->key, strlen(group->key));
    if (groups->stream->fields[groups->field].type == PR_TYPE_INTEGER)
        snprintf(buffer, size, "%s=%s", groups->by->name, group->key);
    else
        snprintf(buffer, size, "%s=%s", groups->by->name, pr_value_print(&text, value, sizeof value));
    return buffer;
}

/* --- Images --- */

static void s_set(pr_scratch_t *text, char kind, const char *data, size_t size) {
    if (text->capacity < size + 1) {
        text->capacity = size + 64;
        text->data = pr_xrealloc(text->data, text->capacity);
    }
    text->data[0] = kind;
    if (size > 0)
        memcpy(text->data + 1, data, size);
    text->size = size + 1;
}

/* Numbers are equal whatever kind the column's affinity stores them as: the proof of the row minds that. */
static void s_image(const pr_value_t *value, bool blob, pr_scratch_t *ret_text) {
    char number[40];
    int length;
    switch (value->kind) {
    case PR_NULL:
        s_set(ret_text, 'N', "", 0);
        break;
    case PR_INTEGER:
        length = snprintf(number, sizeof number, "%" PRId64, value->integer);
        s_set(ret_text, '#', number, (size_t)length);
        break;
    case PR_REAL:
        length = snprintf(number, sizeof number, "%.17g", value->real);
        s_set(ret_text, '#', number, (size_t)length);
        break;
    case PR_TEXT:
        s_set(ret_text, blob ? 'B' : 'T', value->text.data, value->text.size);
        break;
    }
}

void pr_image_of_cell(const pr_cell_t *cell, pr_scratch_t *ret_text) {
    s_image(&cell->value, cell->blob, ret_text);
}

void pr_image_of_values(const pr_column_t *column, const pr_value_t *values, pr_scratch_t *scratch,
                        pr_scratch_t *ret_text) {
    pr_value_t image = pr_value_null();
    if (pr_relation_image(column, values, scratch, &image))
        s_image(&image, false, ret_text);
    else
        s_set(ret_text, '?', "", 0); /* a record without an image should have been rejected */
}
