/* SPDX-License-Identifier: MIT */
/* The distributions of a report: the tallies of the exports beside the rows of the target. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "control/inventory.h"
#include "control/report_parts.h"

/*  DESIGN
 *
 *  A share is told from another by what its value becomes in the target (one or several columns): two values of the
 *  export that become the same cannot be told apart there, and are one share that names both. A share begins with a
 *  tally; one that only the target has is added when its rows are counted. Groups are those of the tallies: what other
 *  groups the target has is nobody's business here.
 */

enum { s_columns_max = 8 };

/* What the distribution of a stream is made of. */
typedef struct {
    const pr_stream_t *stream;
    const pr_row_spec_t *row;
    const pr_column_t *by;
    const pr_column_t *columns[s_columns_max];
    size_t columns_count;
} pr_spread_t;

/* Can the stream's distribution be told? */
static bool s_find(const pr_stream_t *stream, pr_spread_t *ret_spread) {
    if (stream->distribution_by < 0)
        return false;
    pr_spread_t spread = {.stream = stream, .row = pr_stream_row_by(stream, stream->distribution_by)};
    if (spread.row == NULL)
        return false;
    spread.by = pr_row_copy_of(spread.row, stream->distribution_by);
    for (size_t c = 0; c < spread.row->columns_count && spread.columns_count < s_columns_max; c++) {
        const pr_column_t *column = &spread.row->columns[c];
        if (column->field == stream->distribution_of && !column->optional &&
            (column->op == PR_OP_COPY || column->op == PR_OP_MAP))
            spread.columns[spread.columns_count++] = column;
    }
    *ret_spread = spread;
    return spread.by != NULL && spread.columns_count > 0;
}

static bool s_same(const char *one, const char *other) {
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static char *s_copy(const char *text) {
    return text != NULL ? pr_xstrdup(text) : NULL;
}

/* A value as text; NULL for NULL. *Returns new*. */
static char *s_text(const pr_value_t *value) {
    switch (value->kind) {
    case PR_INTEGER:
        return pr_xasprintf("%" PRId64, value->integer);
    case PR_REAL:
        return pr_xasprintf("%.15g", value->real);
    case PR_TEXT:
        return pr_text_escape_bytes(value->text.data, value->text.size);
    case PR_NULL:
        break;
    }
    return NULL;
}

/* What a value of the export ("": NULL) becomes in a column. *Returns new*, NULL for NULL. */
static char *s_image(const pr_column_t *column, const char *value) {
    if (*value == '\0')
        return NULL;
    if (column->op == PR_OP_COPY)
        return pr_xstrdup(value);
    const pr_value_t *to = pr_value_map_get(column->map, value, strlen(value));
    return to != NULL ? s_text(to) : NULL;
}

/* ---- shares ---- */

/* The share of a group with this image, added if need be. image: copied. */
static pr_report_share_t *s_share(pr_report_group_t *group, char *const *image, size_t columns) {
    for (size_t i = 0; i < group->shares_count; i++) {
        size_t same = 0;
        while (same < columns && s_same(group->shares[i].values[same + 1], image[same]))
            same++;
        if (same == columns)
            return &group->shares[i];
    }
    group->shares = pr_xrealloc(group->shares, (group->shares_count + 1) * sizeof *group->shares);
    pr_report_share_t *share = &group->shares[group->shares_count++];
    *share = (pr_report_share_t){.values = pr_xcalloc(columns + 1, sizeof *share->values)};
    for (size_t c = 0; c < columns; c++)
        share->values[c + 1] = s_copy(image[c]);
    return share;
}

/* Name the source value of a share: a second one joins the first. */
static void s_name(pr_report_share_t *share, const char *value) {
    if (!share->in_export) {
        share->in_export = true;
        share->values[0] = *value != '\0' ? pr_xstrdup(value) : NULL;
        return;
    }
    if (s_same(share->values[0], *value != '\0' ? value : NULL))
        return;
    char *both =
        pr_xasprintf("%s, %s", share->values[0] != NULL ? share->values[0] : "NULL", *value != '\0' ? value : "NULL");
    free(share->values[0]);
    share->values[0] = both;
}

static void s_add_exported(pr_report_group_t *group, const pr_report_tally_t *tally, char *const *image,
                           size_t columns) {
    pr_report_share_t *share = s_share(group, image, columns);
    s_name(share, tally->value);
    share->exported += tally->count;
    group->exported += tally->count;
}

static void s_add_stored(pr_report_group_t *group, char *const *image, size_t columns, int64_t count) {
    s_share(group, image, columns)->stored += count;
    group->stored += count;
}

/* ---- groups ---- */

static int s_compare_tallies(const void *a, const void *b) {
    const pr_report_tally_t *left = *(const pr_report_tally_t *const *)a;
    const pr_report_tally_t *right = *(const pr_report_tally_t *const *)b;
    int order = strcmp(left->group, right->group);
    return order != 0 ? order : strcmp(left->value, right->value);
}

/* The tallies of a stream, sorted by group. *Returns new*. */
static const pr_report_tally_t **s_sorted(const pr_report_t *report, const char *stream, size_t *ret_count) {
    const pr_report_tally_t **sorted = pr_xcalloc(report->tallies_count + 1, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < report->tallies_count; i++) {
        if (strcmp(report->tallies[i].stream, stream) == 0)
            sorted[count++] = &report->tallies[i];
    }
    qsort(sorted, count, sizeof *sorted, s_compare_tallies);
    *ret_count = count;
    return sorted;
}

static void s_add_tallies(pr_report_distribution_t *distribution, const pr_spread_t *spread,
                          const pr_report_tally_t *const *tallies, size_t count) {
    distribution->groups = pr_xcalloc(count + 1, sizeof *distribution->groups);
    for (size_t i = 0; i < count; i++) {
        char *image[s_columns_max];
        if (i == 0 || strcmp(tallies[i]->group, tallies[i - 1]->group) != 0)
            distribution->groups[distribution->groups_count++] =
                (pr_report_group_t){.key = pr_xstrdup(tallies[i]->group), .label = pr_xstrdup("")};
        for (size_t c = 0; c < spread->columns_count; c++)
            image[c] = s_image(spread->columns[c], tallies[i]->value);
        s_add_exported(&distribution->groups[distribution->groups_count - 1], tallies[i], image, spread->columns_count);
        s_add_exported(&distribution->all, tallies[i], image, spread->columns_count);
        for (size_t c = 0; c < spread->columns_count; c++)
            free(image[c]);
    }
}

static int s_compare_key(const void *key, const void *group) {
    return strcmp(key, ((const pr_report_group_t *)group)->key);
}

/* The rows of the target by group and columns. *Returns new* (sqlite3_free). */
static char *s_sql_stored(const pr_spread_t *spread) {
    char *columns = sqlite3_mprintf("\"%w\"", spread->by->name);
    char *order = sqlite3_mprintf("1");
    for (size_t c = 0; c < spread->columns_count; c++) {
        columns = sqlite3_mprintf("%z, \"%w\"", columns, spread->columns[c]->name);
        order = sqlite3_mprintf("%z, %d", order, (int)c + 2);
    }
    char *sql = sqlite3_mprintf("SELECT %s, count(*) FROM \"%w\" GROUP BY %s ORDER BY %s", columns, spread->row->table,
                                order, order);
    sqlite3_free(columns);
    sqlite3_free(order);
    return sql;
}

/* A cell as a report holds texts, NULL for NULL. *Returns new*. */
static char *s_cell(sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return NULL;
    return pr_text_escape(pr_ledger_text(row, column));
}

/* Count one row of s_sql_stored, if its group is one of ours. */
static void s_count_stored(pr_report_distribution_t *distribution, size_t columns, sqlite3_stmt *row) {
    char *key = s_cell(row, 0);
    char *image[s_columns_max];
    int64_t count = sqlite3_column_int64(row, (int)columns + 1);
    pr_report_group_t *group = key != NULL ? bsearch(key, distribution->groups, distribution->groups_count,
                                                     sizeof *distribution->groups, s_compare_key)
                                           : NULL;
    for (size_t c = 0; group != NULL && c < columns; c++)
        image[c] = s_cell(row, (int)c + 1);
    if (group != NULL) {
        s_add_stored(group, image, columns, count);
        s_add_stored(&distribution->all, image, columns, count);
    }
    for (size_t c = 0; group != NULL && c < columns; c++)
        free(image[c]);
    free(key);
}

static int s_add_rows(pr_report_distribution_t *distribution, sqlite3 *db, const pr_spread_t *spread, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char *sql = s_sql_stored(spread);
    int result = pr_ledger_prepare(db, sql, &statement, err);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        s_count_stored(distribution, spread->columns_count, statement);
        result = 0;
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result;
}

/* What the target does not tell. */
static void s_unknown(pr_report_group_t *group) {
    group->stored = -1;
    for (size_t i = 0; i < group->shares_count; i++)
        group->shares[i].stored = -1;
}

static void s_forget_stored(pr_report_distribution_t *distribution) {
    s_unknown(&distribution->all);
    for (size_t g = 0; g < distribution->groups_count; g++)
        s_unknown(&distribution->groups[g]);
}

/* ---- labels ---- */

/* What people call the groups, from the rows that they refer to. */
static int s_add_labels(pr_report_distribution_t *distribution, sqlite3 *db, const pr_mapping_t *mapping,
                        const pr_stream_t *stream, pr_error_t *err) {
    pr_inventory_parent_t parent = pr_inventory_parent(mapping, stream);
    if (parent.label_column == NULL)
        return 0;
    free(distribution->label_name);
    distribution->label_name = pr_xstrdup(mapping->streams[parent.stream].fields[parent.label].name);
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT \"%w\" FROM \"%w\" WHERE \"%w\" = ?1 ORDER BY 1 LIMIT 1", parent.label_column,
                                parent.table, parent.key_column);
    int result = pr_ledger_prepare(db, sql, &statement, err);
    for (size_t g = 0; result == 0 && g < distribution->groups_count; g++) {
        pr_report_group_t *group = &distribution->groups[g];
        sqlite3_bind_text(statement, 1, group->key, -1, SQLITE_STATIC);
        result = pr_ledger_step(db, statement, err);
        if (result > 0) {
            free(group->label);
            group->label = s_cell(statement, 0);
            if (group->label == NULL)
                group->label = pr_xstrdup("");
            result = 0;
        }
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result;
}

/* ---- order ---- */

static int s_compare_groups(const void *a, const void *b) {
    const pr_report_group_t *left = a;
    const pr_report_group_t *right = b;
    int order = strcmp(left->label, right->label);
    return order != 0 ? order : strcmp(left->key, right->key);
}

/* The place of a share's value in the value map; the end for one that is not in it. */
static size_t s_rank(const pr_value_map_t *map, const pr_report_share_t *share) {
    for (size_t i = 0; map != NULL && share->values[0] != NULL && i < map->count; i++) {
        const pr_value_t *from = &map->entries[i].from;
        if (strlen(share->values[0]) == from->text.size &&
            memcmp(share->values[0], from->text.data, from->text.size) == 0)
            return i;
    }
    return SIZE_MAX;
}

static bool s_is_before(const pr_value_map_t *map, const pr_report_share_t *one, const pr_report_share_t *other) {
    size_t rank = s_rank(map, one);
    size_t others = s_rank(map, other);
    if (rank != others || one->in_export != other->in_export)
        return rank != others ? rank < others : one->in_export;
    const char *text = one->values[1] != NULL ? one->values[1] : "";
    return strcmp(text, other->values[1] != NULL ? other->values[1] : "") < 0;
}

/* In the order of the value map, which is how people think of the values. There are few: by insertion. */
static void s_sort_shares(pr_report_group_t *group, const pr_value_map_t *map) {
    for (size_t i = 1; i < group->shares_count; i++) {
        for (size_t k = i; k > 0 && s_is_before(map, &group->shares[k], &group->shares[k - 1]); k--) {
            pr_report_share_t swap = group->shares[k];
            group->shares[k] = group->shares[k - 1];
            group->shares[k - 1] = swap;
        }
    }
}

static void s_sort(pr_report_distribution_t *distribution, const pr_spread_t *spread) {
    const pr_value_map_t *map = spread->columns[0]->op == PR_OP_MAP ? spread->columns[0]->map : NULL;
    s_sort_shares(&distribution->all, map);
    for (size_t g = 0; g < distribution->groups_count; g++)
        s_sort_shares(&distribution->groups[g], map);
    if (distribution->groups_count > 1)
        qsort(distribution->groups, distribution->groups_count, sizeof *distribution->groups, s_compare_groups);
}

/* ---- all of it ---- */

static pr_report_distribution_t *s_add(pr_report_t *report, const pr_spread_t *spread) {
    report->distributions =
        pr_xrealloc(report->distributions, (report->distributions_count + 1) * sizeof *report->distributions);
    pr_report_distribution_t *distribution = &report->distributions[report->distributions_count++];
    *distribution =
        (pr_report_distribution_t){.stream = pr_xstrdup(spread->stream->name),
                                   .by = pr_xstrdup(spread->stream->fields[spread->stream->distribution_by].name),
                                   .of = pr_xstrdup(spread->stream->fields[spread->stream->distribution_of].name),
                                   .table = pr_xstrdup(spread->row->table),
                                   .label_name = pr_xstrdup(""),
                                   .columns = pr_xcalloc(spread->columns_count, sizeof *distribution->columns),
                                   .columns_count = spread->columns_count};
    for (size_t c = 0; c < spread->columns_count; c++)
        distribution->columns[c] = pr_xstrdup(spread->columns[c]->name);
    return distribution;
}

int pr_report_add_distributions(pr_report_t *report, sqlite3 *db, const pr_mapping_t *mapping, bool stored,
                                pr_error_t *err) {
    int result = 0;
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++) {
        pr_spread_t spread;
        size_t count;
        if (!s_find(&mapping->streams[s], &spread))
            continue;
        const pr_report_tally_t **tallies = s_sorted(report, mapping->streams[s].name, &count);
        if (count > 0) {
            pr_report_distribution_t *distribution = s_add(report, &spread);
            s_add_tallies(distribution, &spread, tallies, count);
            if (stored)
                result = s_add_rows(distribution, db, &spread, err);
            if (result == 0)
                result = s_add_labels(distribution, db, mapping, &mapping->streams[s], err);
            s_sort(distribution, &spread);
            if (!stored)
                s_forget_stored(distribution);
        }
        free(tallies);
    }
    return result;
}
