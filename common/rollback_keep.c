/* SPDX-License-Identifier: MIT */
/* What a rollback must not take. */

/*  DESIGN
 *
 *  Foreign keys are off while changes are played back, so nothing cascades: a row that refers to one that is gone is
 *  simply left dangling, and is found afterwards, whoever made it and whatever its ON DELETE says. So is a row of ours
 *  whose earlier value, put back, refers to what somebody deleted since. What dangled before as well is not ours to
 *  judge: a second connection still sees the database as it was, and tells.
 *
 *  Putting a row back copies it from that connection as it was. It may refer to a further row that is gone; so the
 *  search is repeated until it finds nothing: as often as references are deep, four times in the HUB.
 *
 *  The search reads the child table while parents are being put back. Each child is probed when it is reached, so the
 *  second child of a parent no longer dangles; in a table that refers to itself the repetition covers what the
 *  running search may or may not see.
 */
#include "common/rollback_keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/sql_text.h"
#include "common/sql_value.h"

struct pr_keep {
    sqlite3 *db, *before;
    pr_playback_tables_t *tables;
    pr_rollback_report_t *report;
    sqlite3_stmt *note;
    sqlite3_stmt *find;
};

/* A foreign key of a table. */
typedef struct {
    char *table;
    int64_t number; /* pragma_foreign_key_list.id */
} s_reference_t;

typedef struct {
    s_reference_t *at;
    size_t count;
} s_references_t;

/* The columns of a foreign key: from[i] refers to to[i] of the parent. */
typedef struct {
    char *parent;
    char **from, **to;
    size_t count;
} s_link_t;

/* A link with the statements that follow it. */
typedef struct {
    const char *table;
    s_link_t link;
    pr_playback_column_t *parent_columns;
    size_t parent_columns_count;
    char **key; /* of the child: its primary key, or its rowid */
    size_t key_count;
    pr_playback_column_t *child_columns;
    size_t child_columns_count;
    sqlite3_stmt *dangling; /* db: key, then from, of the children whose parent is gone */
    sqlite3_stmt *past;     /* before: all columns of such a child as it was, then whether it referred to the same */
    sqlite3_stmt *child_insert, *child_update; /* db: put the child back as it was */
    sqlite3_stmt *parent;                      /* before: the row (all columns) that they refer to */
    sqlite3_stmt *insert;                      /* db: put that row back */
    sqlite3_stmt *update; /* db: the same, of a row that is there under the same primary key; NULL: it has no such */
} s_search_t;

static int s_fail(sqlite3 *db, pr_error_t *err) {
    return pr_migrate_fail(db, "looking for what refers to the rows", err);
}

static int s_prepare(sqlite3 *db, char *sql, sqlite3_stmt **ret_statement, pr_error_t *err) {
    int result = 0;
    if (sql == NULL)
        return pr_error_set(err, PR_E_INTERNAL, "out of memory");
    if (sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL) != SQLITE_OK)
        result = s_fail(db, err);
    sqlite3_free(sql);
    return result;
}

int pr_keep_new(sqlite3 *db, sqlite3 *before, pr_playback_tables_t *tables, pr_rollback_report_t *report,
                pr_keep_t **ret_keep, pr_error_t *err) {
    pr_keep_t *keep = pr_xcalloc(1, sizeof *keep);
    keep->db = db;
    keep->before = before;
    keep->tables = tables;
    keep->report = report;
    int result = 0;
    if (sqlite3_exec(
            db,
            "CREATE TEMP TABLE pvrelay_kept (table_name TEXT, row_key TEXT, PRIMARY KEY (table_name, row_key)) "
            "WITHOUT ROWID",
            NULL, NULL, NULL) != SQLITE_OK)
        result = s_fail(db, err);
    if (result == 0)
        result =
            s_prepare(db, sqlite3_mprintf("INSERT OR IGNORE INTO temp.pvrelay_kept VALUES (?1, ?2)"), &keep->note, err);
    if (result == 0)
        result =
            s_prepare(db, sqlite3_mprintf("SELECT 1 FROM temp.pvrelay_kept WHERE table_name = ?1 AND row_key = ?2"),
                      &keep->find, err);
    if (result == 0)
        *ret_keep = keep;
    else
        pr_keep_destroy(&keep);
    return result;
}

void pr_keep_destroy(pr_keep_t **keep) {
    if (keep == NULL || *keep == NULL)
        return;
    sqlite3_finalize((*keep)->note);
    sqlite3_finalize((*keep)->find);
    free(*keep);
    *keep = NULL;
}

int pr_keep_row(pr_keep_t *keep, const char *table, const char *key, pr_error_t *err) {
    sqlite3_bind_text(keep->note, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(keep->note, 2, key, -1, SQLITE_STATIC);
    int result = sqlite3_step(keep->note) == SQLITE_DONE ? 0 : s_fail(keep->db, err);
    sqlite3_reset(keep->note);
    return result == 0 ? sqlite3_changes(keep->db) : result;
}

/* 1, 0, <0. */
static int s_is_kept(pr_keep_t *keep, const char *table, const char *key, pr_error_t *err) {
    sqlite3_bind_text(keep->find, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(keep->find, 2, key, -1, SQLITE_STATIC);
    int step = sqlite3_step(keep->find);
    int result = step == SQLITE_ROW || step == SQLITE_DONE ? step == SQLITE_ROW : s_fail(keep->db, err);
    sqlite3_reset(keep->find);
    return result;
}

/* ---- putting a row back ---- */

static char *s_finish(sqlite3_str *sql) {
    return sqlite3_str_finish(sql);
}

/* SELECT of all columns. */
static void s_append_columns(sqlite3_str *sql, const pr_playback_column_t *columns, size_t count) {
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\"", i > 0 ? ", " : "", columns[i].name);
}

static char *s_insert_sql(const char *table, const pr_playback_column_t *columns, size_t count) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "INSERT OR IGNORE INTO main.\"%w\" (", table);
    s_append_columns(sql, columns, count);
    sqlite3_str_appendall(sql, ") VALUES (");
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(sql, "%s?%d", i > 0 ? ", " : "", (int)i + 1);
    sqlite3_str_appendall(sql, ")");
    return s_finish(sql);
}

/* By primary key; its parameters are those of the insert. */
static char *s_update_sql(const char *table, const pr_playback_column_t *columns, size_t count) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendf(sql, "UPDATE OR IGNORE main.\"%w\" SET ", table);
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(sql, "%s\"%w\" = ?%d", i > 0 ? ", " : "", columns[i].name, (int)i + 1);
    sqlite3_str_appendall(sql, " WHERE 1");
    for (size_t i = 0; i < count; i++) {
        if (columns[i].key > 0)
            sqlite3_str_appendf(sql, " AND \"%w\" IS ?%d", columns[i].name, (int)i + 1);
    }
    return s_finish(sql);
}

static bool s_has_key(const pr_playback_column_t *columns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (columns[i].key > 0)
            return true;
    }
    return false;
}

/* The key of the row that a statement stands on, whose columns are these. */
static void s_row_key(sqlite3_stmt *row, const pr_playback_column_t *columns, size_t count, char *ret_key,
                      size_t size) {
    ret_key[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (columns[i].key > 0)
            pr_sql_value_append_key(ret_key, size, columns[i].name, sqlite3_column_value(row, (int)i));
    }
}

static int s_step_with(pr_keep_t *keep, sqlite3_stmt *statement, sqlite3_stmt *row, size_t count, pr_error_t *err) {
    for (size_t i = 0; i < count; i++)
        sqlite3_bind_value(statement, (int)i + 1, sqlite3_column_value(row, (int)i));
    int result = sqlite3_step(statement) == SQLITE_DONE ? sqlite3_changes(keep->db) : s_fail(keep->db, err);
    sqlite3_reset(statement);
    return result;
}

/* Put back the row that `row` (of the connection that sees the past) stands on. 1: done, 0: it cannot be, <0. */
static int s_put_back(pr_keep_t *keep, const char *table, sqlite3_stmt *row, const pr_playback_column_t *columns,
                      size_t count, sqlite3_stmt *insert, sqlite3_stmt *update, pr_error_t *err) {
    char key[PR_KEY_TEXT];
    pr_playback_table_t *playback = pr_playback_table_find(keep->tables, table);
    bool inserted = true;
    int result = s_step_with(keep, insert, row, count, err);
    if (result == 0 && update != NULL) {
        inserted = false;
        result = s_step_with(keep, update, row, count, err);
    }
    if (result <= 0)
        return result;
    if (playback != NULL) {
        uint64_t *done = inserted ? &playback->deleted : &playback->restored;
        *done -= *done > 0 ? 1 : 0;
        playback->left++;
    }
    s_row_key(row, columns, count, key, sizeof key);
    result = pr_keep_row(keep, table, key, err);
    return result < 0 ? result : 1;
}

/* ---- columns that were added since ---- */

/* The rows of the past that carry a value in a column that changesets do not know. */
static char *s_added_sql(const pr_playback_table_t *table) {
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(sql, "SELECT ");
    s_append_columns(sql, table->columns, table->columns_count);
    sqlite3_str_appendf(sql, " FROM main.\"%w\" WHERE 0", table->name);
    for (size_t i = table->known; i < table->columns_count; i++)
        sqlite3_str_appendf(sql, " OR \"%w\" IS NOT (%s\n)", table->columns[i].name, table->columns[i].fallback);
    return s_finish(sql);
}

static int s_keep_added(pr_keep_t *keep, const pr_playback_table_t *table, pr_error_t *err) {
    sqlite3_stmt *row = NULL;
    sqlite3_stmt *insert = NULL;
    int result = s_prepare(keep->before, s_added_sql(table), &row, err);
    if (result == 0)
        result = s_prepare(keep->db, s_insert_sql(table->name, table->columns, table->columns_count), &insert, err);
    int step = SQLITE_DONE;
    while (result >= 0 && (step = sqlite3_step(row)) == SQLITE_ROW)
        result = s_put_back(keep, table->name, row, table->columns, table->columns_count, insert, NULL, err);
    if (result >= 0 && step != SQLITE_DONE)
        result = s_fail(keep->before, err);
    sqlite3_finalize(row);
    sqlite3_finalize(insert);
    return result < 0 ? result : 0;
}

int pr_keep_added(pr_keep_t *keep, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < keep->tables->count; i++) {
        const pr_playback_table_t *table = &keep->tables->at[i];
        if (!table->blocked && table->known < table->columns_count)
            result = s_keep_added(keep, table, err);
    }
    return result;
}

/* ---- children ---- */

static bool s_has_reference(const s_references_t *references, const char *table, int64_t number) {
    for (size_t i = 0; i < references->count; i++) {
        if (references->at[i].number == number && strcmp(references->at[i].table, table) == 0)
            return true;
    }
    return false;
}

static void s_references_clear(s_references_t *references) {
    for (size_t i = 0; i < references->count; i++)
        free(references->at[i].table);
    free(references->at);
}

/* Which foreign keys are broken anywhere. */
static int s_broken(pr_keep_t *keep, s_references_t *ret_references, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    s_references_t references = {.at = NULL};
    int result = s_prepare(keep->db, sqlite3_mprintf("PRAGMA main.foreign_key_check"), &statement, err);
    int step = SQLITE_DONE;
    while (result == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *table = pr_sql_column_text(statement, 0);
        int64_t number = sqlite3_column_int64(statement, 3);
        if (s_has_reference(&references, table, number))
            continue;
        references.at = pr_xrealloc(references.at, (references.count + 1) * sizeof *references.at);
        references.at[references.count++] = (s_reference_t){.table = pr_xstrdup(table), .number = number};
    }
    if (result == 0 && step != SQLITE_DONE)
        result = s_fail(keep->db, err);
    sqlite3_finalize(statement);
    if (result == 0)
        *ret_references = references;
    else
        s_references_clear(&references);
    return result;
}

static void s_add_text(char ***list, size_t count, const char *text) {
    *list = pr_xrealloc(*list, (count + 1) * sizeof **list);
    (*list)[count] = pr_xstrdup(text);
}

static void s_free_list(char **list, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

/* "to" is NULL where the key refers to the parent's primary key without saying so. */
static const char *s_primary(const s_search_t *search, int place) {
    for (size_t i = 0; i < search->parent_columns_count; i++) {
        if (search->parent_columns[i].key == place)
            return search->parent_columns[i].name;
    }
    return "rowid";
}

static int s_load_link(pr_keep_t *keep, const s_reference_t *reference, s_search_t *search, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result =
        s_prepare(keep->db,
                  sqlite3_mprintf("SELECT \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(%Q) WHERE id "
                                  "= %lld ORDER BY seq",
                                  reference->table, (long long)reference->number),
                  &statement, err);
    s_link_t *link = &search->link;
    int step = SQLITE_DONE;
    while (result == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        if (link->parent == NULL) {
            link->parent = pr_xstrdup(pr_sql_column_text(statement, 0));
            result = pr_playback_columns(keep->before, link->parent, &search->parent_columns,
                                         &search->parent_columns_count, err);
        }
        const char *to = (const char *)sqlite3_column_text(statement, 2);
        s_add_text(&link->from, link->count, pr_sql_column_text(statement, 1));
        s_add_text(&link->to, link->count, to != NULL ? to : s_primary(search, (int)link->count + 1));
        link->count++;
    }
    if (result == 0 && step != SQLITE_DONE)
        result = s_fail(keep->db, err);
    sqlite3_finalize(statement);
    return result;
}

static int s_load_key(pr_keep_t *keep, s_search_t *search, pr_error_t *err) {
    int result =
        pr_playback_columns(keep->db, search->table, &search->child_columns, &search->child_columns_count, err);
    for (size_t i = 0; result == 0 && i < search->child_columns_count; i++) {
        if (search->child_columns[i].key > 0)
            s_add_text(&search->key, search->key_count++, search->child_columns[i].name);
    }
    if (result == 0 && search->key_count == 0)
        s_add_text(&search->key, search->key_count++, "rowid");
    return result;
}

/* Its parameters are the columns of `dangling`. */
static char *s_past_sql(const s_search_t *search) {
    const s_link_t *link = &search->link;
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(sql, "SELECT ");
    s_append_columns(sql, search->child_columns, search->child_columns_count);
    sqlite3_str_appendall(sql, ", 1");
    for (size_t i = 0; i < link->count; i++)
        sqlite3_str_appendf(sql, " AND \"%w\" IS ?%d", link->from[i], (int)(search->key_count + i) + 1);
    sqlite3_str_appendf(sql, " FROM main.\"%w\" WHERE 1", search->table);
    for (size_t i = 0; i < search->key_count; i++)
        sqlite3_str_appendf(sql, " AND \"%w\" IS ?%d", search->key[i], (int)i + 1);
    return s_finish(sql);
}

static char *s_dangling_sql(const s_search_t *search) {
    const s_link_t *link = &search->link;
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(sql, "SELECT ");
    for (size_t i = 0; i < search->key_count; i++)
        sqlite3_str_appendf(sql, "c.\"%w\", ", search->key[i]);
    for (size_t i = 0; i < link->count; i++)
        sqlite3_str_appendf(sql, "%sc.\"%w\"", i > 0 ? ", " : "", link->from[i]);
    sqlite3_str_appendf(sql, " FROM main.\"%w\" AS c WHERE 1", search->table);
    for (size_t i = 0; i < link->count; i++)
        sqlite3_str_appendf(sql, " AND c.\"%w\" IS NOT NULL", link->from[i]);
    sqlite3_str_appendf(sql, " AND NOT EXISTS (SELECT 1 FROM main.\"%w\" AS p WHERE 1", link->parent);
    for (size_t i = 0; i < link->count; i++)
        sqlite3_str_appendf(sql, " AND p.\"%w\" = c.\"%w\"", link->to[i], link->from[i]);
    sqlite3_str_appendall(sql, ")");
    return s_finish(sql);
}

static char *s_parent_sql(const s_search_t *search) {
    const s_link_t *link = &search->link;
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(sql, "SELECT ");
    s_append_columns(sql, search->parent_columns, search->parent_columns_count);
    sqlite3_str_appendf(sql, " FROM main.\"%w\" WHERE 1", link->parent);
    for (size_t i = 0; i < link->count; i++)
        sqlite3_str_appendf(sql, " AND \"%w\" = ?%d", link->to[i], (int)i + 1);
    return s_finish(sql);
}

static int s_search_prepare(pr_keep_t *keep, const s_reference_t *reference, s_search_t *search, pr_error_t *err) {
    search->table = reference->table;
    int result = s_load_link(keep, reference, search, err);
    if (result == 0)
        result = s_load_key(keep, search, err);
    /* A parent table that did not exist before either: all its children dangled before. */
    if (result < 0 || search->parent_columns_count == 0)
        return result;
    const pr_playback_column_t *child = search->child_columns;
    const pr_playback_column_t *columns = search->parent_columns;
    size_t count = search->parent_columns_count;
    result = s_prepare(keep->db, s_dangling_sql(search), &search->dangling, err);
    if (result == 0)
        result = s_prepare(keep->before, s_parent_sql(search), &search->parent, err);
    if (result == 0)
        result = s_prepare(keep->db, s_insert_sql(search->link.parent, columns, count), &search->insert, err);
    if (result == 0 && s_has_key(columns, count))
        result = s_prepare(keep->db, s_update_sql(search->link.parent, columns, count), &search->update, err);
    count = search->child_columns_count;
    if (result == 0)
        result = s_prepare(keep->before, s_past_sql(search), &search->past, err);
    if (result == 0)
        result = s_prepare(keep->db, s_insert_sql(search->table, child, count), &search->child_insert, err);
    if (result == 0 && s_has_key(child, count))
        result = s_prepare(keep->db, s_update_sql(search->table, child, count), &search->child_update, err);
    return result;
}

static void s_search_clear(s_search_t *search) {
    sqlite3_finalize(search->dangling);
    sqlite3_finalize(search->parent);
    sqlite3_finalize(search->insert);
    sqlite3_finalize(search->update);
    sqlite3_finalize(search->past);
    sqlite3_finalize(search->child_insert);
    sqlite3_finalize(search->child_update);
    pr_playback_columns_free(search->child_columns, search->child_columns_count);
    pr_playback_columns_free(search->parent_columns, search->parent_columns_count);
    s_free_list(search->key, search->key_count);
    s_free_list(search->link.from, search->link.count);
    s_free_list(search->link.to, search->link.count);
    free(search->link.parent);
}

/* The columns of the reference, and their values in the child. */
static void s_reference(const s_search_t *search, char *ret_columns, char *ret_values, size_t size) {
    const s_link_t *link = &search->link;
    ret_columns[0] = '\0';
    ret_values[0] = '\0';
    for (size_t i = 0; i < link->count; i++) {
        char value[PR_VALUE_TEXT];
        size_t used = strlen(ret_columns);
        snprintf(ret_columns + used, size - used, "%s%s", i > 0 ? ", " : "", link->from[i]);
        used = strlen(ret_values);
        sqlite3_value *stored = sqlite3_column_value(search->dangling, (int)(search->key_count + i));
        snprintf(ret_values + used, size - used, "%s%s", i > 0 ? ", " : "",
                 pr_sql_value_print(stored, value, sizeof value));
    }
}

/* Tell of a child's reference, once, unless the child itself stays for a reason that was told. */
static int s_tell_child(pr_keep_t *keep, const s_search_t *search, bool gone, pr_error_t *err) {
    char key[PR_KEY_TEXT] = "";
    char columns[PR_KEY_TEXT];
    char values[PR_KEY_TEXT];
    char told[2 * PR_KEY_TEXT + 2];
    char parent_key[PR_KEY_TEXT];
    char parent[PR_KEY_TEXT + 200];
    const pr_playback_table_t *playback = pr_playback_table_find(keep->tables, search->table);
    for (size_t i = 0; i < search->key_count; i++)
        pr_sql_value_append_key(key, sizeof key, search->key[i], sqlite3_column_value(search->dangling, (int)i));
    int kept = playback != NULL && playback->blocked ? 1 : s_is_kept(keep, search->table, key, err);
    if (kept != 0)
        return kept < 0 ? kept : 0;
    s_reference(search, columns, values, sizeof columns);
    snprintf(told, sizeof told, "%s: %s", key, columns);
    int first = pr_keep_row(keep, search->table, told, err);
    if (first <= 0)
        return first;
    s_row_key(search->parent, search->parent_columns, search->parent_columns_count, parent_key, sizeof parent_key);
    snprintf(parent, sizeof parent, gone ? "%.160s: no such row any more" : "%.160s %s", search->link.parent,
             parent_key);
    const pr_conflict_t conflict = {.kind = PR_CONFLICT_CHILD,
                                    .table = (char *)(uintptr_t)search->table,
                                    .key = key,
                                    .column = columns,
                                    .ours = parent,
                                    .theirs = values};
    pr_rollback_report_conflict(keep->report, &conflict);
    return 0;
}

/*  The child refers to a row that was not there before either. If so did the child as it was, that is not ours to judge;
 *  else its own earlier value, put back, refers to what somebody deleted since. */
static int s_orphan(pr_keep_t *keep, const s_search_t *search, bool put_back, pr_error_t *err) {
    for (size_t i = 0; i < search->key_count + search->link.count; i++)
        sqlite3_bind_value(search->past, (int)i + 1, sqlite3_column_value(search->dangling, (int)i));
    int step = sqlite3_step(search->past);
    int result = 0;
    if (step == SQLITE_ROW && sqlite3_column_int(search->past, (int)search->child_columns_count) == 0) {
        result = s_tell_child(keep, search, true, err);
        if (result == 0 && put_back)
            result = s_put_back(keep, search->table, search->past, search->child_columns, search->child_columns_count,
                                search->child_insert, search->child_update, err);
    } else if (step != SQLITE_ROW && step != SQLITE_DONE) {
        result = s_fail(keep->before, err);
    }
    sqlite3_reset(search->past);
    return result;
}

/* The child that the search stands on. ret_put: a row was put back for it. */
static int s_child(pr_keep_t *keep, const s_search_t *search, bool put_back, bool *ret_put, pr_error_t *err) {
    for (size_t i = 0; i < search->link.count; i++)
        sqlite3_bind_value(search->parent, (int)i + 1,
                           sqlite3_column_value(search->dangling, (int)(search->key_count + i)));
    int step = sqlite3_step(search->parent);
    int result = 0;
    if (step == SQLITE_ROW) {
        result = s_tell_child(keep, search, false, err);
        if (result == 0 && put_back)
            result = s_put_back(keep, search->link.parent, search->parent, search->parent_columns,
                                search->parent_columns_count, search->insert, search->update, err);
    } else if (step == SQLITE_DONE) {
        result = s_orphan(keep, search, put_back, err);
    } else {
        result = s_fail(keep->before, err);
    }
    sqlite3_reset(search->parent);
    *ret_put = *ret_put || result > 0;
    return result < 0 ? result : 0;
}

static int s_follow(pr_keep_t *keep, const s_reference_t *reference, bool put_back, bool *ret_put, pr_error_t *err) {
    s_search_t search = {.table = NULL};
    int step = SQLITE_DONE;
    int result = s_search_prepare(keep, reference, &search, err);
    while (result == 0 && search.dangling != NULL && (step = sqlite3_step(search.dangling)) == SQLITE_ROW)
        result = s_child(keep, &search, put_back, ret_put, err);
    if (result == 0 && step != SQLITE_DONE)
        result = s_fail(keep->db, err);
    s_search_clear(&search);
    return result;
}

/* One search through all that dangles. ret_put: a row was put back. */
static int s_search_all(pr_keep_t *keep, bool put_back, bool *ret_put, pr_error_t *err) {
    s_references_t broken = {.at = NULL};
    int result = s_broken(keep, &broken, err);
    for (size_t i = 0; result == 0 && i < broken.count; i++)
        result = s_follow(keep, &broken.at[i], put_back, ret_put, err);
    s_references_clear(&broken);
    return result;
}

int pr_keep_children(pr_keep_t *keep, bool put_back, pr_error_t *err) {
    bool again = put_back;
    int result = s_search_all(keep, false, &again, err); /* tells all, before what is put back hides some */
    while (result == 0 && again) {
        again = false;
        result = s_search_all(keep, true, &again, err);
    }
    return result;
}
