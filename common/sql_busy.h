/* SPDX-License-Identifier: MIT */
/* What a connection does when another process has locked the database: it waits, as the process waits for locks. */
#ifndef PR_SQL_BUSY_H
#define PR_SQL_BUSY_H

#include <sqlite3.h>

/*  In place of sqlite3_busy_timeout: wherever SQLite would say BUSY (a statement, a commit, the first read), wait as
 *  pr_lock_wait_set says, and only then fail. */
void pr_sql_busy(sqlite3 *db);

#endif
