/* SPDX-License-Identifier: MIT */
/* A sign of life out of long SQL statements: for a process whose watchdog must not take work for a hang. */
#ifndef PR_SQL_ALIVE_H
#define PR_SQL_ALIVE_H

/*  From now on every connection that this process opens calls alive(context) now and then while a statement runs: once
 *  per 100,000 steps of SQLite's machine, some milliseconds. (A single step can take longer: the check of a table's
 *  structure by quick_check is one; 3.40 has no call out of it.) Replaces what was said before. */
void pr_sql_alive(void (*alive)(void *context), void *context);

#endif
