/* SPDX-License-Identifier: MIT */
/* The proof's read-only view of the target database. */
#ifndef PR_DATABASE_H
#define PR_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/value.h"

/*  Open a database for reading and nothing else; waits up to 5 s for a lock.
 *  ret_db: *returns new* (sqlite3_close). Errors: -PR_E_TARGET naming path. May block. */
int pr_database_open(const char *path, sqlite3 **ret_db, pr_error_t *err);

/* Note SQLite's last error: "PATH: what: message". Returns -PR_E_TARGET_LOCKED for a busy database, else -PR_E_TARGET.
 */
int pr_database_error(sqlite3 *db, const char *path, const char *what, pr_error_t *err);

/*  Prepare a statement that is used again and again. sql: *takes* (sqlite3_malloc, NULL: out of memory, aborts).
 *  ret_statement: *returns new* (sqlite3_finalize). */
int pr_database_prepare(sqlite3 *db, const char *path, char *sql, sqlite3_stmt **ret_statement, pr_error_t *err);

/* Step: 1 a row, 0 none (the statement is reset then), <0 error (reset too). */
int pr_database_step(sqlite3 *db, const char *path, sqlite3_stmt *statement, pr_error_t *err);

/* Run a statement without results. */
int pr_database_exec(sqlite3 *db, const char *path, const char *sql, pr_error_t *err);

/* Bind a value to parameter `index` (from 1); text is not copied. */
void pr_database_bind(sqlite3_stmt *statement, int index, const pr_value_t *value);

/* A stored value; BLOBs, which no export holds, are told apart. */
typedef struct {
    pr_value_t value; /* a BLOB's bytes are in text */
    bool blob;
} pr_cell_t;

/* Read column `index` (from 0) of the current row; text borrows from the statement till its next step or reset. */
void pr_database_column(sqlite3_stmt *statement, int index, pr_cell_t *ret_cell);

/* As pr_value_print; a BLOB as x'00ff…'. Returns buffer. */
char *pr_cell_print(const pr_cell_t *cell, char *buffer, size_t size);

#endif
