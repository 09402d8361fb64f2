/* SPDX-License-Identifier: MIT */
/* Indexes that are put off while an empty table is filled. */
#include "common/deferred_index.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/sql_has.h"
#include "common/sql_text.h"

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

/*  The name of one of the table's indexes that may be put off; NULL: there is none. Not more than one at a time: a schema
 *  does not change under a statement that reads it. ret_name: *returns new*. */
static int s_next(sqlite3 *db, const char *table, char **ret_name, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db,
                           sqlite3_mprintf("SELECT m.name FROM pragma_index_list(%Q) AS i "
                                           "JOIN sqlite_master AS m ON m.type = 'index' AND m.name = i.name "
                                           "WHERE i.\"unique\" = 0 AND m.sql IS NOT NULL LIMIT 1",
                                           table),
                           &statement, err);
    if (result < 0)
        return result;
    int step = sqlite3_step(statement);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        result = pr_migrate_fail(db, "asking for indexes", err);
    else
        *ret_name = step == SQLITE_ROW ? pr_xstrdup(pr_sql_column_text(statement, 0)) : NULL;
    sqlite3_finalize(statement);
    return result;
}

/* One is listed, and dropped. What was listed under its name before was built since. */
static int s_put_off_one(sqlite3 *db, int64_t run, const char *name, pr_error_t *err) {
    int result = s_exec(db,
                        sqlite3_mprintf("INSERT OR REPLACE INTO pvrelay_deferred_index (name, table_name, sql, run) "
                                        "SELECT name, tbl_name, sql, %lld FROM sqlite_master WHERE type = 'index' AND "
                                        "name = %Q",
                                        (long long)run, name),
                        err);
    return result == 0 ? s_exec(db, sqlite3_mprintf("DROP INDEX main.\"%w\"", name), err) : result;
}

static int s_put_off(sqlite3 *db, int64_t run, const char *table, pr_error_t *err) {
    char *name = NULL;
    int result = s_next(db, table, &name, err);
    while (result == 0 && name != NULL) {
        result = s_put_off_one(db, run, name, err);
        free(name);
        name = NULL;
        if (result == 0)
            result = s_next(db, table, &name, err);
    }
    return result;
}

int pr_deferred_index_put_off(sqlite3 *db, int64_t run, const char *table, pr_error_t *err) {
    int filled = s_gives_row(db, sqlite3_mprintf("SELECT 1 FROM \"%w\" LIMIT 1", table), err);
    return filled == 0 ? s_put_off(db, run, table, err) : filled < 0 ? filled : 0;
}

/* Books that are older than this have no such table. */
static int s_has_books(sqlite3 *db, pr_error_t *err) {
    return pr_sql_has_table(db, "pvrelay_deferred_index", err);
}

int pr_deferred_index_listed(sqlite3 *db, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_has_books(db, err);
    if (result > 0)
        result = s_prepare(db, sqlite3_mprintf("SELECT count(*) FROM pvrelay_deferred_index"), &statement, err);
    if (statement != NULL)
        result = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0)
                                                       : pr_migrate_fail(db, "asking for indexes", err);
    sqlite3_finalize(statement);
    return result;
}

/* The newest id of a table; 0: it has none, or there is no such table any more. */
static uint64_t s_newest_id(sqlite3 *db, const char *table) {
    sqlite3_stmt *statement = NULL;
    sqlite3_int64 id = 0;
    if (s_prepare(db, sqlite3_mprintf("SELECT max(rowid) FROM \"%w\"", table), &statement, NULL) == 0 &&
        sqlite3_step(statement) == SQLITE_ROW)
        id = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return id > 0 ? (uint64_t)id : 0;
}

int pr_deferred_index_rows(sqlite3 *db, uint64_t *ret_rows, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    uint64_t rows = 0;
    int result = s_has_books(db, err);
    if (result > 0)
        result = s_prepare(
            db, sqlite3_mprintf("SELECT table_name, count(*) FROM pvrelay_deferred_index GROUP BY table_name"),
            &statement, err);
    int step = SQLITE_DONE;
    while (statement != NULL && (step = sqlite3_step(statement)) == SQLITE_ROW)
        rows += s_newest_id(db, (const char *)sqlite3_column_text(statement, 0)) *
                (uint64_t)sqlite3_column_int64(statement, 1);
    if (result == 0 && step != SQLITE_DONE)
        result = pr_migrate_fail(db, "asking for indexes", err);
    sqlite3_finalize(statement);
    if (result >= 0)
        *ret_rows = rows;
    return result < 0 ? result : 0;
}

/* ---- building: SQL from the target's books is executed here, and nowhere else ---- */

/* An index as the books have it. */
typedef struct {
    char *name, *table, *sql;
    bool there; /* something of this name is in the schema */
    bool asked; /* the statement makes it, and has said so once */
} s_index_t;

static void s_index_clear(s_index_t *index) {
    free(index->name);
    free(index->table);
    free(index->sql);
}

static bool s_is(const char *text, const char *other) {
    return text != NULL && sqlite3_stricmp(text, other) == 0;
}

/*  What the statement of an index may do: make this index of this table, once, and what SQLite itself needs for it. (It sees
 *  to it that the functions of an index are deterministic and, as the schema is not trusted, harmless.) */
static int s_allow(void *context, int action, const char *one, const char *two, const char *database,
                   const char *trigger) {
    s_index_t *index = context;
    bool allowed = false;
    switch (action) {
    case SQLITE_CREATE_INDEX:
        allowed = !index->asked && s_is(one, index->name) && s_is(two, index->table);
        index->asked = true;
        break;
    case SQLITE_REINDEX:
        allowed = s_is(one, index->name);
        break;
    case SQLITE_INSERT:
        allowed = s_is(one, "sqlite_master");
        break;
    case SQLITE_READ:
        allowed = s_is(one, index->table);
        break;
    case SQLITE_FUNCTION:
        return trigger == NULL ? SQLITE_OK : SQLITE_DENY;
    default:
        break;
    }
    return allowed && trigger == NULL && s_is(database, "main") ? SQLITE_OK : SQLITE_DENY;
}

static int s_refuse(sqlite3 *db, const s_index_t *index, const char *why, pr_error_t *err) {
    const char *path = sqlite3_db_filename(db, "main");
    return pr_error_set(err, PR_E_TARGET,
                        "%s: pvrelay_deferred_index: what stands there to make the index %s of %s is not executed: %s; "
                        "look at that row, make the index if you want it, and delete the row",
                        path != NULL && *path != '\0' ? path : "the database", index->name, index->table, why);
}

/* Is what was made one that may be put off? */
static int s_check_made(sqlite3 *db, const s_index_t *index, pr_error_t *err) {
    int plain = s_gives_row(db,
                            sqlite3_mprintf("SELECT 1 FROM pragma_index_list(%Q) WHERE name = %Q COLLATE NOCASE AND "
                                            "\"unique\" = 0",
                                            index->table, index->name),
                            err);
    return plain == 0 ? s_refuse(db, index, "it makes a UNIQUE index, and such are never put off", err)
                      : (plain < 0 ? plain : 0);
}

/* Exactly one statement, which does what it is meant to do and nothing else. */
static int s_make(sqlite3 *db, s_index_t *index, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    const char *rest = "";
    int result = 0;
    sqlite3_set_authorizer(db, s_allow, index);
    int code = sqlite3_prepare_v2(db, index->sql, -1, &statement, &rest);
    if (code == SQLITE_AUTH || (code == SQLITE_OK && (!index->asked || sqlite3_stmt_isexplain(statement) != 0)))
        result = s_refuse(db, index, "it does not make this index, or more than that", err);
    else if (code == SQLITE_OK && rest[strspn(rest, " \t\r\n;")] != '\0')
        result = s_refuse(db, index, "it is more than one statement", err);
    else if (code != SQLITE_OK || sqlite3_step(statement) != SQLITE_DONE)
        result = pr_migrate_fail(db, index->sql, err);
    sqlite3_finalize(statement);
    sqlite3_set_authorizer(db, NULL, NULL);
    return result == 0 ? s_check_made(db, index, err) : result;
}

/* The first that is listed. 1, 0 if none is, <0. ret_index: *returns new* contents. */
static int s_first(sqlite3 *db, s_index_t *ret_index, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result =
        s_prepare(db,
                  sqlite3_mprintf("SELECT d.name, d.table_name, d.sql, m.name IS NOT NULL FROM pvrelay_deferred_index "
                                  "AS d LEFT JOIN sqlite_master AS m ON m.name = d.name ORDER BY d.name LIMIT 1"),
                  &statement, err);
    if (result < 0)
        return result;
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *ret_index = (s_index_t){.name = pr_xstrdup(pr_sql_column_text(statement, 0)),
                                 .table = pr_xstrdup(pr_sql_column_text(statement, 1)),
                                 .sql = pr_xstrdup(pr_sql_column_text(statement, 2)),
                                 .there = sqlite3_column_int(statement, 3) != 0};
    else if (step != SQLITE_DONE)
        result = pr_migrate_fail(db, "asking for indexes", err);
    sqlite3_finalize(statement);
    return result < 0 ? result : step == SQLITE_ROW;
}

/* Make it, and take it off the list. */
static int s_build(sqlite3 *db, s_index_t *index, pr_error_t *err) {
    int result = s_exec(db, sqlite3_mprintf("SAVEPOINT build"), err);
    if (result < 0)
        return result;
    if (!index->there)
        result = s_make(db, index, err);
    if (result == 0)
        result = s_exec(db, sqlite3_mprintf("DELETE FROM pvrelay_deferred_index WHERE name IS %Q", index->name), err);
    if (result == 0 && sqlite3_changes(db) == 0)
        result = s_refuse(db, index, "its name is no text", err);
    if (result == 0)
        result = s_exec(db, sqlite3_mprintf("RELEASE build"), err);
    if (result < 0)
        sqlite3_exec(db, "ROLLBACK TO build; RELEASE build", NULL, NULL, NULL); /* or SQLite has done so itself */
    return result;
}

int pr_deferred_index_build(sqlite3 *db, pr_error_t *err) {
    s_index_t index = {.name = NULL};
    int result = s_has_books(db, err);
    if (result > 0)
        result = s_first(db, &index, err);
    if (result > 0) {
        int built = s_build(db, &index, err);
        result = built < 0 ? built : 1;
    }
    s_index_clear(&index);
    return result;
}

int pr_deferred_index_build_all(sqlite3 *db, pr_error_t *err) {
    int result;
    while ((result = pr_deferred_index_build(db, err)) > 0)
        continue;
    return result;
}
