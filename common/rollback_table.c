/* SPDX-License-Identifier: MIT */
/* The tables into which changes are played back. */
#include "common/rollback_table.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/sql_text.h"

static const char S_SQL_COLUMNS[] =
    "SELECT name, type, ifnull(dflt_value, 'NULL'), pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid";

/* The shapes that were in force for the commits after ?2: from the last one noted up to the first of them, newest first. */
static const char S_SQL_SHAPES[] =
    "SELECT s.columns FROM pvrelay_shape AS s WHERE s.table_name = ?1 AND s.checkpoint >= ifnull((SELECT "
    "max(o.checkpoint) FROM pvrelay_shape AS o WHERE o.table_name = ?1 AND o.checkpoint <= "
    "(SELECT min(c.checkpoint) FROM pvrelay_checkpoint AS c JOIN pvrelay_run AS r ON r.run = c.run AND "
    "r.rolled_back_at "
    "IS NULL WHERE c.checkpoint > ?2)), 0) ORDER BY s.checkpoint DESC";

static int s_fail(sqlite3 *db, pr_error_t *err) {
    return pr_migrate_fail(db, "reading the schema", err);
}

void pr_playback_columns_free(pr_playback_column_t *columns, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(columns[i].name);
        free(columns[i].type);
        free(columns[i].fallback);
    }
    free(columns);
}

int pr_playback_columns(sqlite3 *db, const char *table, pr_playback_column_t **ret_columns, size_t *ret_count,
                        pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    pr_playback_column_t *columns = NULL;
    size_t count = 0;
    int step = sqlite3_prepare_v2(db, S_SQL_COLUMNS, -1, &statement, NULL);
    if (step == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            columns = pr_xrealloc(columns, (count + 1) * sizeof *columns);
            columns[count++] = (pr_playback_column_t){.name = pr_xstrdup(pr_sql_column_text(statement, 0)),
                                                      .type = pr_xstrdup(pr_sql_column_text(statement, 1)),
                                                      .fallback = pr_xstrdup(pr_sql_column_text(statement, 2)),
                                                      .key = sqlite3_column_int(statement, 3)};
        }
    }
    int result = step == SQLITE_DONE ? 0 : s_fail(db, err);
    sqlite3_finalize(statement);
    if (result < 0) {
        pr_playback_columns_free(columns, count);
        return result;
    }
    *ret_columns = columns;
    *ret_count = count;
    return 0;
}

pr_playback_table_t *pr_playback_table_find(const pr_playback_tables_t *tables, const char *name) {
    for (size_t i = 0; i < tables->count; i++) {
        if (strcasecmp(tables->at[i].name, name) == 0)
            return &tables->at[i];
    }
    return NULL;
}

void pr_playback_tables_clear(pr_playback_tables_t *tables) {
    for (size_t i = 0; i < tables->count; i++) {
        free(tables->at[i].name);
        pr_playback_columns_free(tables->at[i].columns, tables->at[i].columns_count);
    }
    free(tables->at);
    *tables = (pr_playback_tables_t){.at = NULL};
}

/* ---- what a table was, against what it is ---- */

/* report NULL: it was told before. */
static void s_differs(pr_rollback_report_t *report, const char *table, const char *column, const char *then,
                      const char *now) {
    if (report == NULL)
        return;
    const pr_conflict_t conflict = {.kind = PR_CONFLICT_SCHEMA,
                                    .table = (char *)(uintptr_t)table,
                                    .column = (char *)(uintptr_t)column,
                                    .ours = (char *)(uintptr_t)then,
                                    .theirs = (char *)(uintptr_t)now};
    pr_rollback_report_conflict(report, &conflict);
}

static const char *s_type(const char *type) {
    return *type != '\0' ? type : "no type";
}

static const pr_playback_column_t *s_find(const pr_playback_table_t *table, const char *name) {
    for (size_t i = 0; i < table->columns_count; i++) {
        if (strcasecmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    }
    return NULL;
}

/* What became of a column. */
typedef enum { COLUMN_SAME, COLUMN_MOVED, COLUMN_OTHER } s_column_fate_t;

/* A column that was at `place`, against now. What is OTHER has been told. */
static s_column_fate_t s_compare_column(pr_rollback_report_t *report, const pr_playback_table_t *table, size_t place,
                                        const char *name, const char *type, int key) {
    const pr_playback_column_t *now = s_find(table, name);
    if (now == NULL) {
        s_differs(report, table->name, name, s_type(type), "none");
        return COLUMN_OTHER;
    }
    if (strcasecmp(now->type, type) != 0) {
        s_differs(report, table->name, name, s_type(type), s_type(now->type));
        return COLUMN_OTHER;
    }
    if (now->key != key) {
        s_differs(report, table->name, name, key > 0 ? "in the primary key" : "not in the primary key",
                  now->key > 0 ? "in the primary key" : "not in the primary key");
        return COLUMN_OTHER;
    }
    return (size_t)(now - table->columns) == place ? COLUMN_SAME : COLUMN_MOVED;
}

static bool s_was_there(const json_t *then, const char *name) {
    for (size_t i = 0; i < json_array_size(then); i++) {
        const char *other = json_string_value(json_array_get(json_array_get(then, i), 0));
        if (other != NULL && strcasecmp(other, name) == 0)
            return true;
    }
    return false;
}

/*  Notes what differs, if a report is given. Returns whether anything does.
 *  Where a column was dropped, those behind it have moved: that is told only if nothing else is. */
static bool s_compare(pr_rollback_report_t *report, pr_playback_table_t *table, const json_t *then) {
    size_t columns = json_array_size(then);
    size_t others = 0;
    size_t moved = 0;
    for (size_t i = 0; i < columns; i++) {
        json_t *column = json_array_get(then, i);
        const char *name = json_string_value(json_array_get(column, 0));
        const char *type = json_string_value(json_array_get(column, 1));
        int key = (int)json_integer_value(json_array_get(column, 2));
        s_column_fate_t fate =
            s_compare_column(report, table, i, name != NULL ? name : "", type != NULL ? type : "", key);
        others += fate == COLUMN_OTHER ? 1 : 0;
        moved += fate == COLUMN_MOVED ? 1 : 0;
    }
    table->blocked = table->blocked || others + moved > 0;
    for (size_t i = 0; i < table->columns_count; i++) {
        if (!s_was_there(then, table->columns[i].name)) {
            s_differs(report, table->name, table->columns[i].name, "none", s_type(table->columns[i].type));
            others++;
        }
    }
    if (moved > 0 && others == 0)
        s_differs(report, table->name, "", "another order of columns", "this order of columns");
    table->known = columns < table->known ? columns : table->known;
    return others + moved > 0;
}

/* The newest shape that differs is told; the rest only decide whether changes fit. */
static int s_load_shapes(sqlite3 *db, int64_t after, pr_rollback_report_t *report, pr_playback_table_t *table,
                         pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    bool told = false;
    int step = sqlite3_prepare_v2(db, S_SQL_SHAPES, -1, &statement, NULL);
    if (step == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, after);
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            json_t *then = json_loads(pr_sql_column_text(statement, 0), 0, NULL);
            told = s_compare(told ? NULL : report, table, then) || told;
            json_decref(then);
        }
    }
    int result = step == SQLITE_DONE ? 0 : s_fail(db, err);
    sqlite3_finalize(statement);
    return result;
}

static int s_load_table(sqlite3 *db, int64_t after, pr_rollback_report_t *report, pr_playback_table_t *table,
                        pr_error_t *err) {
    int result = pr_playback_columns(db, table->name, &table->columns, &table->columns_count, err);
    table->known = table->columns_count;
    if (result < 0)
        return result;
    /* The name is what the books say: it must not be theirs, nor SQLite's. */
    if (sqlite3_strnicmp(table->name, "pvrelay_", 8) == 0 || sqlite3_strnicmp(table->name, "sqlite_", 7) == 0 ||
        sqlite3_stricmp(table->name, "d1_migrations") == 0)
        return pr_error_set(
            err, PR_E_TARGET,
            "%s: pvrelay_checkpoint_rows names the table %s, into which no run writes; nothing was changed",
            sqlite3_db_filename(db, "main"), table->name);
    if (table->columns_count == 0) {
        table->blocked = true;
        s_differs(report, table->name, "", "a table", "none");
        return 0;
    }
    return s_load_shapes(db, after, report, table, err);
}

int pr_playback_tables_load(sqlite3 *db, int64_t after, pr_rollback_report_t *report, pr_playback_tables_t *ret_tables,
                            pr_error_t *err) {
    pr_playback_tables_t tables = {.at = pr_xcalloc(report->tables_count, sizeof *tables.at)};
    int result = 0;
    for (size_t i = 0; result == 0 && i < report->tables_count; i++) {
        tables.at[i].name = pr_xstrdup(report->tables[i].table);
        tables.count++;
        result = s_load_table(db, after, report, &tables.at[i], err);
    }
    if (result == 0)
        *ret_tables = tables;
    else
        pr_playback_tables_clear(&tables);
    return result;
}
