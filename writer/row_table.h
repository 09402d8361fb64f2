/* SPDX-License-Identifier: MIT */
/* Rows in memory as a table that SQL can select from. */
#ifndef PR_ROW_TABLE_H
#define PR_ROW_TABLE_H

#include <sqlite3.h>
#include <stddef.h>

#include "common/value.h"

/* The table's name in SQL. Its columns are c0, c1, …; its rowid counts the rows from 0. */
#define PR_ROW_TABLE "pvrelay_memory_rows"

/*  What it shows: count rows of `width` values each, one behind the other. Borrowed; may be changed whenever no statement
 *  is reading from the table. A row has no columns from `width` on: they are NULL. */
typedef struct {
    const pr_value_t *values;
    size_t width;
    size_t count;
} pr_row_table_t;

/*  Make the table known to this connection (a virtual table, sqlite.org/vtab.html; nothing of it is in the database).
 *  columns: how many it has. table: borrowed while the connection lives. Returns SQLite's code. */
int pr_row_table_register(sqlite3 *db, size_t columns, const pr_row_table_t *table);

#endif
