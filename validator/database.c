/* SPDX-License-Identifier: MIT */
/* The proof's read-only view of the target database. */
#include "validator/database.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/sql_open.h"

enum { S_LOOKASIDE_BYTES = 1200, S_LOOKASIDE_SLOTS = 128 };

/* Pages that one batch reads; in SQLite's sign convention, KiB. */
static const char *const S_SETTINGS = "PRAGMA cache_size = -16000";

int pr_database_open(const char *path, sqlite3 **ret_db, pr_error_t *err) {
    sqlite3 *db = NULL;
    int result = pr_sql_open(path, PR_SQL_BESIDE, &db, err);
    if (result == 0) {
        /* Debian builds SQLite without it; a statement allocates its cursors anew each time it is run. */
        sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, S_LOOKASIDE_BYTES, S_LOOKASIDE_SLOTS);
        if (sqlite3_exec(db, S_SETTINGS, NULL, NULL, NULL) != SQLITE_OK) /* it reads the schema */
            result = pr_database_error(db, path, "cannot be opened for reading", err);
    }
    if (result != 0) {
        sqlite3_close(db);
        return result;
    }
    *ret_db = db;
    return 0;
}

int pr_database_error(sqlite3 *db, const char *path, const char *what, pr_error_t *err) {
    return pr_error_set(err, pr_sql_error_code(db), "%s: %s: %s", path, what, sqlite3_errmsg(db));
}

int pr_database_prepare(sqlite3 *db, const char *path, char *sql, sqlite3_stmt **ret_statement, pr_error_t *err) {
    if (sql == NULL)
        abort();
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    int result = rc == SQLITE_OK ? 0 : pr_database_error(db, path, sql, err);
    sqlite3_free(sql);
    if (result == 0)
        *ret_statement = statement;
    return result;
}

int pr_database_step(sqlite3 *db, const char *path, sqlite3_stmt *statement, pr_error_t *err) {
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        return 1;
    int result = rc == SQLITE_DONE ? 0 : pr_database_error(db, path, "cannot be read", err);
    sqlite3_reset(statement);
    return result;
}

int pr_database_exec(sqlite3 *db, const char *path, const char *sql, pr_error_t *err) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : pr_database_error(db, path, sql, err);
}

void pr_database_bind(sqlite3_stmt *statement, int index, const pr_value_t *value) {
    switch (value->kind) {
    case PR_NULL:
        sqlite3_bind_null(statement, index);
        break;
    case PR_INTEGER:
        sqlite3_bind_int64(statement, index, value->integer);
        break;
    case PR_REAL:
        sqlite3_bind_double(statement, index, value->real);
        break;
    case PR_TEXT:
        /* A NULL pointer would bind NULL; empty text need not have one that points anywhere. */
        sqlite3_bind_text64(statement, index, value->text.size > 0 ? value->text.data : "", value->text.size,
                            SQLITE_STATIC, SQLITE_UTF8);
        break;
    }
}

/*  The value is fetched once, and asked for what it holds: each sqlite3_column_* call would look the column up, and note its
 *  own outcome in the connection. Allowed as the connection is open without a mutex: SQLite then tells no protected values
 *  from unprotected ones (its documentation, "Dynamically Typed Value Object"). */
void pr_database_column(sqlite3_stmt *statement, int index, pr_cell_t *ret_cell) {
    sqlite3_value *value = sqlite3_column_value(statement, index);
    ret_cell->blob = false;
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        ret_cell->value = pr_value_integer(sqlite3_value_int64(value));
        return;
    case SQLITE_FLOAT:
        ret_cell->value = pr_value_real(sqlite3_value_double(value));
        return;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_value_text(value);
        ret_cell->value = pr_value_text(text, (size_t)sqlite3_value_bytes(value));
        return;
    }
    case SQLITE_BLOB: {
        const char *bytes = sqlite3_value_blob(value);
        ret_cell->value = pr_value_text(bytes, (size_t)sqlite3_value_bytes(value));
        ret_cell->blob = true;
        return;
    }
    default:
        ret_cell->value = pr_value_null();
        return;
    }
}

char *pr_cell_print(const pr_cell_t *cell, char *buffer, size_t size) {
    if (!cell->blob)
        return pr_value_print(&cell->value, buffer, size);
    return pr_value_print_blob(cell->value.text.data, cell->value.text.size, buffer, size);
}
