/* SPDX-License-Identifier: MIT */
/* Does a database have a table, a column? That it cannot be read is no answer, and is not taken for one. */
#ifndef PR_SQL_HAS_H
#define PR_SQL_HAS_H

#include <sqlite3.h>

#include "common/error.h"

/*  Is there a table of this name? A view is none: those of a target are not looked into. 1, 0, or -PR_E_TARGET… with the
 *  database's path. */
int pr_sql_has_table(sqlite3 *db, const char *table, pr_error_t *err);

/* Is there a table of this name with a column of that name? Names as SQLite compares them, in any case. The same results. */
int pr_sql_has_column(sqlite3 *db, const char *table, const char *column, pr_error_t *err);

#endif
