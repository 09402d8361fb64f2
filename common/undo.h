/* SPDX-License-Identifier: MIT */
/* Recording how a commit can be taken back, in the commit itself. Reading it: common/rollback.h. */
#ifndef PR_UNDO_H
#define PR_UNDO_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/undo_record.h"

typedef struct pr_undo pr_undo_t;

/*  A recorder for a connection whose transactions change rows of these tables (of "main") and no others of the user's.
 *  The books that go back with the rows (pvrelay_touched, pvrelay_finding, pvrelay_made) are recorded besides.
 *  db: borrowed until destroy; its preupdate hook is taken. tables: copied; each must have a declared primary key and no
 *  generated column, because changes of others cannot be played back: -PR_E_TARGET_SCHEMA names those that do not.
 *  ret_undo: *returns new*. */
int pr_undo_new(sqlite3 *db, const char *const *tables, size_t count, pr_undo_t **ret_undo, pr_error_t *err);
void pr_undo_destroy(pr_undo_t **undo);

/*  Begin to record: inside the transaction, before its first change. What was recorded and not stored is dropped.
 *  Errors: -PR_E_TARGET…. */
int pr_undo_begin(pr_undo_t *undo, pr_error_t *err);

/*  Remember this point of the recording (the latest one counts), and go back to it: for changes that the transaction
 *  takes back itself, by ROLLBACK TO or because a statement failed. */
void pr_undo_mark(pr_undo_t *undo);
void pr_undo_rewind(pr_undo_t *undo);

/*  One statement is going to insert these rows (given: borrowed), or, NULL, has done so; that makes recording them
 *  cheaper. If it fails, pr_undo_rewind comes in the place of NULL. */
void pr_undo_given(pr_undo_t *undo, const pr_given_t *given);

/*  Store what was recorded as the undo of this checkpoint, inside the same transaction, after its last change:
 *  pvrelay_undo, pvrelay_undo_sequence, and pvrelay_shape where a table's columns are not what was last stored. Ends the
 *  recording. Errors: -PR_E_TARGET…; then the transaction must be rolled back. */
int pr_undo_store(pr_undo_t *undo, int64_t checkpoint, pr_error_t *err);

/* Drop what was recorded: the transaction was rolled back. NULL-safe. */
void pr_undo_drop(pr_undo_t *undo);

/* What pvrelay_undo.changes holds, unpacked, and seen to be a changeset. size: pvrelay_undo.size. ret_changes: *returns new*
 * (free); NULL if the changeset is empty. Errors: -PR_E_TARGET (damaged). */
int pr_undo_unpack(const void *blob, size_t blob_size, size_t size, void **ret_changes, pr_error_t *err);

/* Is this one of the bookkeeping tables whose rows go back with the others? */
bool pr_undo_is_book(const char *table);

#endif
