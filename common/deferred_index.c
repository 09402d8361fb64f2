/* SPDX-License-Identifier: MIT */
/* Indexes that are put off while an empty table is filled. */
#include "common/deferred_index.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/migrate.h"

/* Prepare SQL that is made by sqlite3_mprintf, which is taken. */
static int s_prepare(sqlite3 *db, char *sql, sqlite3_stmt **ret_statement, pr_error_t *err) {
    int result = 0;
    if (sql == NULL || sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL) != SQLITE_OK)
        result = pr_migrate_fail(db, "asking for indexes", err);
    sqlite3_free(sql);
    return result;
}

/* Run SQL that is made by sqlite3_mprintf, which is taken. */
static int s_exec(sqlite3 *db, char *sql, pr_error_t *err) {
    int result = 0;
    if (sql == NULL || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        result = pr_migrate_fail(db, sql != NULL ? sql : "out of memory", err);
    sqlite3_free(sql);
    return result;
}

/* Does a query give a row? 1, 0 or <0. sql: taken. */
static int s_gives_row(sqlite3 *db, char *sql, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, sql, &statement, err);
    if (result < 0)
        return result;
    int step = sqlite3_step(statement);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        result = pr_migrate_fail(db, "asking for indexes", err);
    sqlite3_finalize(statement);
    return result < 0 ? result : step == SQLITE_ROW;
}

/* List them first, drop them then: a schema does not change under a statement that reads it. */
static int s_put_off(sqlite3 *db, int64_t run, const char *table, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_exec(db,
                        sqlite3_mprintf("INSERT INTO pvrelay_deferred_index (name, table_name, sql, run) "
                                        "SELECT m.name, m.tbl_name, m.sql, %lld FROM pragma_index_list(%Q) AS i "
                                        "JOIN sqlite_master AS m ON m.type = 'index' AND m.name = i.name "
                                        "WHERE i.\"unique\" = 0 AND m.sql IS NOT NULL",
                                        (long long)run, table),
                        err);
    if (result == 0)
        result = s_prepare(db,
                           sqlite3_mprintf("SELECT group_concat(printf('DROP INDEX \"%%w\"', name), ';') FROM "
                                           "pvrelay_deferred_index WHERE table_name = %Q COLLATE NOCASE",
                                           table),
                           &statement, err);
    if (result < 0)
        return result;
    char *drop = NULL;
    if (sqlite3_step(statement) != SQLITE_ROW)
        result = pr_migrate_fail(db, "asking for indexes", err);
    else if (sqlite3_column_type(statement, 0) != SQLITE_NULL)
        drop = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return result == 0 && drop != NULL ? s_exec(db, drop, err) : result;
}

int pr_deferred_index_put_off(sqlite3 *db, int64_t run, const char *table, pr_error_t *err) {
    int filled = s_gives_row(db, sqlite3_mprintf("SELECT 1 FROM \"%w\" LIMIT 1", table), err);
    return filled == 0 ? s_put_off(db, run, table, err) : filled < 0 ? filled : 0;
}

/* Books that are older than this have no such table. */
static int s_has_books(sqlite3 *db, pr_error_t *err) {
    return s_gives_row(
        db, sqlite3_mprintf("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'pvrelay_deferred_index'"),
        err);
}

int pr_deferred_index_listed(sqlite3 *db, pr_error_t *err) {
    int books = s_has_books(db, err);
    return books <= 0 ? books : s_gives_row(db, sqlite3_mprintf("SELECT 1 FROM pvrelay_deferred_index LIMIT 1"), err);
}

int pr_deferred_index_build(sqlite3 *db, pr_error_t *err) {
    int books = s_has_books(db, err);
    if (books <= 0)
        return books;
    sqlite3_stmt *statement = NULL;
    int result =
        s_prepare(db,
                  sqlite3_mprintf("SELECT d.name, iif(m.name IS NULL, d.sql, '') FROM pvrelay_deferred_index AS d "
                                  "LEFT JOIN sqlite_master AS m ON m.name = d.name ORDER BY d.name LIMIT 1"),
                  &statement, err);
    if (result < 0)
        return result;
    char *work = NULL;
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        work = sqlite3_mprintf("SAVEPOINT build; %s; DELETE FROM pvrelay_deferred_index WHERE name = %Q; RELEASE build",
                               sqlite3_column_text(statement, 1), sqlite3_column_text(statement, 0));
    else if (step != SQLITE_DONE)
        result = pr_migrate_fail(db, "asking for indexes", err);
    sqlite3_finalize(statement);
    if (result < 0 || work == NULL)
        return result;
    result = s_exec(db, work, err);
    if (result < 0 && sqlite3_exec(db, "ROLLBACK TO build; RELEASE build", NULL, NULL, NULL) != SQLITE_OK)
        return result; /* SQLite has rolled back itself */
    return result < 0 ? result : 1;
}

int pr_deferred_index_build_all(sqlite3 *db, pr_error_t *err) {
    int result;
    while ((result = pr_deferred_index_build(db, err)) > 0)
        continue;
    return result;
}
