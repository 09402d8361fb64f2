/* SPDX-License-Identifier: MIT */
/* How a stage uses SQLite: lightly, with a sign of life out of long statements for its watchdog. */
#ifndef PR_SQL_ALIVE_H
#define PR_SQL_ALIVE_H

/*  Set SQLite up for a process that uses it from one thread and asks for no memory statistics: no mutexes, no counting,
 *  which cost more than some of the work between them. Must come before SQLite's first use in the process, as it has no
 *  effect later: that is an assertion. Again: nothing. */
void pr_sql_prepare(void);

/*  As pr_sql_prepare, and from now on every connection that this process opens calls alive(context) now and then while a statement runs: once
 *  per 100,000 steps of SQLite's machine, some milliseconds. (A single step can take longer: the check of a table's
 *  structure by quick_check is one; 3.40 has no call out of it.) Replaces what was said before. */
void pr_sql_alive(void (*alive)(void *context), void *context);

#endif
