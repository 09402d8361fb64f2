/* SPDX-License-Identifier: MIT */
/* Opening a database that is a target, or may be one: the only place where that is done. */
#ifndef PR_SQL_OPEN_H
#define PR_SQL_OPEN_H

#include <sqlite3.h>

#include "common/error.h"

typedef enum {
    PR_SQL_CREATE, /* to write; made if it is not there */
    PR_SQL_WRITE,  /* to write; must be there */
    PR_SQL_READ,   /* to read, by itself: takes away the -wal and -shm that reading makes, where it may */
    PR_SQL_BESIDE  /* to read, while another connection keeps the database open */
} pr_sql_mode_t;

/*  Open a database, and trust nothing that is in it: no view, no trigger and no function that is not harmless is run on
 *  behalf of its schema (trusted_schema, defensive mode), nothing can be attached, limits are set. No mutex: one thread at
 *  a time. A reader that may not write, to the file or into its folder, gets what can be had without (see sql_open.c).
 *  Waits for locks, whenever there is one, as common/lock_wait.h says. ret_db: *returns new* (sqlite3_close); it may be that nothing has been read yet.
 *  Errors: -PR_E_TARGET, -PR_E_TARGET_LOCKED, naming path. */
int pr_sql_open(const char *path, pr_sql_mode_t mode, sqlite3 **ret_db, pr_error_t *err);

/*  Is what a reader has read one state of the database? Only one that reads without taking part in locking may have been
 *  deceived: -PR_E_TARGET_LOCKED then. Call it when all is read, before it is believed. db NULL: 0. */
int pr_sql_unchanged(sqlite3 *db, pr_error_t *err);

/* Why SQLite failed. Never OK: BUSY and LOCKED are -PR_E_TARGET_LOCKED (-PR_E_INTERRUPTED if waiting
 * was stopped), INTERRUPT is -PR_E_INTERRUPTED, a full disk
 * -PR_E_TARGET_FULL, all else -PR_E_TARGET. */
pr_error_code_t pr_sql_error_code(sqlite3 *db);

/* The same of a code that a function returned, for those that do not leave it in the connection: sqlite3changeset_…. */
pr_error_code_t pr_sql_error_code_of(sqlite3 *db, int code);

/* What messages call the database: its path, or "the target" if it has none. Borrowed from db. */
const char *pr_sql_path(sqlite3 *db);

/* Note SQLite's last error: the path and SQLite's words. Returns -pr_sql_error_code. */
int pr_sql_fail(sqlite3 *db, pr_error_t *err);

#endif
