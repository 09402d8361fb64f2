/* SPDX-License-Identifier: MIT */
/* How a stage uses SQLite: lightly, with a sign of life out of long statements for its watchdog. */
#ifndef PR_SQL_ALIVE_H
#define PR_SQL_ALIVE_H

#include <stdbool.h>

/*  Set SQLite up for a process that uses each connection from one thread at a time and asks for no memory statistics: no
 *  mutexes of connections, no counting, which cost more than some of the work between them. Must come before SQLite's first use in the process, as it has no
 *  effect later: that is an assertion. Again: nothing. */
void pr_sql_prepare(void);

/*  As pr_sql_prepare, and from now on every connection that this process opens calls alive(context) now and then while a statement runs: once
 *  per 100,000 steps of SQLite's machine, some milliseconds. (A single step can take longer: the check of a table's
 *  structure by quick_check is one; 3.40 has no call out of it, so the validator has a thread for it.) Replaces what was said before.
 *  alive returns whether to go on; if not the statement ends with SQLITE_INTERRUPT. */
void pr_sql_alive(bool (*alive)(void *context), void *context);

/*  Call it now, if there is one: for a thread that waits for another one, which is busy with SQLite. Returns whether to go
 *  on. */
bool pr_sql_give_sign(void);

#endif
