/* SPDX-License-Identifier: MIT */
/* Is an open database still the file at its path? SQLite writes on into one that was renamed, replaced or deleted. */
#ifndef PR_SQL_PLACE_H
#define PR_SQL_PLACE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

/* Which files these are: the database and its -wal. */
typedef struct {
    dev_t dev, wal_dev;
    ino_t ino, wal_ino; /* 0: there was none */
} pr_sql_place_t;

/*  Note which files a connection has. Something must have been read through it, else its -wal may not be there yet.
 *  path: as the user gave it; a link counts as what it points to. */
pr_sql_place_t pr_sql_place_take(sqlite3 *db, const char *path);

/* Are they still there? 0 or -PR_E_TARGET. */
int pr_sql_place_check(sqlite3 *db, const char *path, const pr_sql_place_t *place, pr_error_t *err);

/*  Before a connection whose files are not there any more is closed, and with no transaction open: what was committed gets
 *  into the file that it has, its -wal becomes empty, and what lies beside the path, which may be another database's, is
 *  not removed. */
void pr_sql_place_leave(sqlite3 *db);

/* Take away a database that nobody else has: the file, if it is still this one, and what SQLite has put beside it. Call it
 * when the connection is closed. */
void pr_sql_place_remove(const char *path, const pr_sql_place_t *place);

#endif
