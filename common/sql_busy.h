/* SPDX-License-Identifier: MIT */
/* What a connection does when another process has locked the database: it waits, as the process waits for locks. */
#ifndef PR_SQL_BUSY_H
#define PR_SQL_BUSY_H

#include <sqlite3.h>

/*  In place of sqlite3_busy_timeout: wherever SQLite would say BUSY (a statement, a commit, the first read), wait as
 *  pr_lock_wait_set says, and only then fail. */
void pr_sql_busy(sqlite3 *db);

/*  Put a database into WAL mode. While anybody else has it open in another mode SQLite says BUSY, and asks no busy handler:
 *  here it is waited for all the same. Returns what sqlite3_exec returned last. */
int pr_sql_wal(sqlite3 *db);

#endif
