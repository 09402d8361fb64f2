/* SPDX-License-Identifier: MIT */
/* Rows in memory as a table that SQL can select from. */

/*  DESIGN
 *
 *  The least that SQLite asks of a virtual table: it can be read from its first row to its last, and nothing else. It is
 *  eponymous (there without CREATE VIRTUAL TABLE), so that nothing of it gets into the database's schema. Texts are
 *  handed over without a copy: they outlive the statement.
 */
#include "writer/row_table.h"

#include <stdlib.h>

#include "common/alloc.h"

/* What belongs to the module: freed with it. */
typedef struct {
    size_t columns;
    const pr_row_table_t *table;
} s_module_t;

typedef struct {
    sqlite3_vtab base;
    const pr_row_table_t *table;
} s_vtab_t;

typedef struct {
    sqlite3_vtab_cursor base;
    const pr_row_table_t *table;
    size_t row;
} s_cursor_t;

static int s_connect(sqlite3 *db, void *context, int argc, const char *const *argv, sqlite3_vtab **ret_vtab,
                     char **ret_error) {
    (void)argc;
    (void)argv;
    (void)ret_error;
    const s_module_t *module = context;
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendall(sql, "CREATE TABLE x (");
    for (size_t i = 0; i < module->columns; i++)
        sqlite3_str_appendf(sql, "%sc%d", i == 0 ? "" : ", ", (int)i);
    sqlite3_str_appendall(sql, ")");
    char *text = sqlite3_str_finish(sql);
    int code = text == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, text);
    sqlite3_free(text);
    if (code != SQLITE_OK)
        return code;
    s_vtab_t *vtab = pr_xcalloc(1, sizeof *vtab);
    vtab->table = module->table;
    *ret_vtab = &vtab->base;
    return SQLITE_OK;
}

static int s_disconnect(sqlite3_vtab *vtab) {
    free(vtab);
    return SQLITE_OK;
}

/* There is one plan: all rows, in order. Few, compared with what they are joined with. */
static int s_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    (void)vtab;
    info->estimatedCost = 1.0;
    info->estimatedRows = 1;
    return SQLITE_OK;
}

static int s_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor) {
    const s_vtab_t *vtab = (const s_vtab_t *)base;
    s_cursor_t *cursor = pr_xcalloc(1, sizeof *cursor);
    cursor->table = vtab->table;
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int s_close(sqlite3_vtab_cursor *cursor) {
    free(cursor);
    return SQLITE_OK;
}

static int s_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc, sqlite3_value **argv) {
    (void)plan;
    (void)plan_text;
    (void)argc;
    (void)argv;
    s_cursor_t *cursor = (s_cursor_t *)base;
    cursor->row = 0;
    return SQLITE_OK;
}

static int s_next(sqlite3_vtab_cursor *base) {
    s_cursor_t *cursor = (s_cursor_t *)base;
    cursor->row++;
    return SQLITE_OK;
}

static int s_eof(sqlite3_vtab_cursor *base) {
    const s_cursor_t *cursor = (const s_cursor_t *)base;
    return cursor->row >= cursor->table->count;
}

static int s_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    const s_cursor_t *cursor = (const s_cursor_t *)base;
    const pr_row_table_t *table = cursor->table;
    if ((size_t)column >= table->width)
        return SQLITE_OK; /* NULL */
    const pr_value_t *value = &table->values[cursor->row * table->width + (size_t)column];
    switch (value->kind) {
    case PR_NULL:
        break; /* what a column is if nothing is said */
    case PR_INTEGER:
        sqlite3_result_int64(context, value->integer);
        break;
    case PR_REAL:
        sqlite3_result_double(context, value->real);
        break;
    case PR_TEXT:
        sqlite3_result_text64(context, value->text.data, value->text.size, SQLITE_STATIC, SQLITE_UTF8);
        break;
    }
    return SQLITE_OK;
}

static int s_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid) {
    const s_cursor_t *cursor = (const s_cursor_t *)base;
    *ret_rowid = (sqlite3_int64)cursor->row;
    return SQLITE_OK;
}

int pr_row_table_register(sqlite3 *db, size_t columns, const pr_row_table_t *table) {
    static const sqlite3_module methods = {
        .xConnect = s_connect,
        .xBestIndex = s_best_index,
        .xDisconnect = s_disconnect,
        .xOpen = s_open,
        .xClose = s_close,
        .xFilter = s_filter,
        .xNext = s_next,
        .xEof = s_eof,
        .xColumn = s_column,
        .xRowid = s_rowid,
    };
    s_module_t *module = pr_xcalloc(1, sizeof *module);
    module->columns = columns;
    module->table = table;
    return sqlite3_create_module_v2(db, PR_ROW_TABLE, &methods, module, free);
}
