/* SPDX-License-Identifier: MIT */
/* Changes of a transaction as a changeset of SQLite's session extension, written as they happen. */
#ifndef PR_UNDO_RECORD_H
#define PR_UNDO_RECORD_H

#include <sqlite3.h>
#include <stddef.h>

#include "common/error.h"
#include "common/value.h"

typedef struct pr_recorder pr_recorder_t;

/*  Takes the connection's preupdate hook, which there is one of: no session may be used on it besides. db: borrowed until
 *  destroy. *Returns new*. */
pr_recorder_t *pr_recorder_new(sqlite3 *db);
void pr_recorder_destroy(pr_recorder_t **recorder);

/*  Record the changes of a table of "main" from now on, or look at its columns again: after the schema has changed, and
 *  not while a recording is under way. It must have a primary key and no generated column. Errors: -PR_E_TARGET…. */
int pr_recorder_table(pr_recorder_t *recorder, const char *table, pr_error_t *err);

/* Begin a recording; what an earlier one left is dropped. */
void pr_recorder_begin(pr_recorder_t *recorder);

/* Rows that one statement inserts, in this order: what it gives the columns. */
typedef struct {
    const char *table;
    const char *const *columns; /* names; NULL: not of the table. The array tells one statement from another */
    size_t columns_count;
    const pr_value_t *values; /* width of them a row, the columns' first */
    size_t width, rows;
} pr_given_t;

/*  This statement is going to run (given: borrowed, as are its texts), or, NULL, it has inserted all these rows. What a row
 *  is in the end is then mostly known without asking. If the statement fails, pr_recorder_rewind comes in the place of
 *  NULL. Failures are told by pr_recorder_end. */
void pr_recorder_given(pr_recorder_t *recorder, const pr_given_t *given);

/* Remember this point of the recording; there is one such point. */
void pr_recorder_mark(pr_recorder_t *recorder);

/* Drop what was recorded since the mark, or since the begin: the database has taken it back. */
void pr_recorder_rewind(pr_recorder_t *recorder);

/*  End the recording. ret_changes: the changeset, borrowed until the next end or destroy; NULL and size 0 if nothing has
 *  changed. Errors: -PR_E_TARGET…, also one met while recording. */
int pr_recorder_end(pr_recorder_t *recorder, const void **ret_changes, size_t *ret_size, pr_error_t *err);

/* End the recording and drop it. */
void pr_recorder_drop(pr_recorder_t *recorder);

#endif
