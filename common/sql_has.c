/* SPDX-License-Identifier: MIT */
/* Does a database have a table, a column? */
#include "common/sql_has.h"

#include <stddef.h>

#include "common/sql_open.h"

/* Does a query over up to two texts give a row? */
static int s_gives_row(sqlite3 *db, const char *sql, const char *one, const char *two, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int step = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (step == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, one, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, two, -1, SQLITE_STATIC); /* no harm if there is none */
        step = sqlite3_step(statement);
    }
    int result = step == SQLITE_ROW ? 1 : 0;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        result = pr_sql_fail(db, err);
    sqlite3_finalize(statement);
    return result;
}

int pr_sql_has_table(sqlite3 *db, const char *table, pr_error_t *err) {
    return s_gives_row(db, "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1", table, NULL, err);
}

int pr_sql_has_column(sqlite3 *db, const char *table, const char *column, pr_error_t *err) {
    return s_gives_row(db, "SELECT 1 FROM main.pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE", table, column,
                       err);
}
