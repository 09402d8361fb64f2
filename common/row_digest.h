/* SPDX-License-Identifier: MIT */
/* What pvrelay last stored in each row, as a digest, by table and row id. */
#ifndef PR_ROW_DIGEST_H
#define PR_ROW_DIGEST_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/value.h"

typedef struct pr_row_digests pr_row_digests_t;

/* Whose a row is. */
typedef enum {
    PR_ROW_OURS,    /* as pvrelay last stored it */
    PR_ROW_CHANGED, /* pvrelay stored it, and it is not so any more */
    PR_ROW_NEVER    /* pvrelay never wrote it, as far as the target tells */
} pr_row_state_t;

/* db: borrowed until destroy; has the tables of migration 0006. *Returns new*. */
pr_row_digests_t *pr_row_digests_new(sqlite3 *db);
void pr_row_digests_destroy(pr_row_digests_t **digests);

/*  Digest rows of this table by this column, too; before anything else is called. Names are borrowed until destroy.
 *  ret_table: a number for the table, the same for all its columns. */
void pr_row_digests_add(pr_row_digests_t *digests, const char *table, const char *column, size_t *ret_table);

/* All columns are added. Errors: -PR_E_TARGET…. */
int pr_row_digests_prepare(pr_row_digests_t *digests, pr_error_t *err);

/* How many columns the table's digest is made of, and their names, in this order. */
size_t pr_row_digests_columns(const pr_row_digests_t *digests, size_t table, const char *const **ret_names);

/*  Note that the row with this id has been inserted or changed in the open transaction. values: what it was given in the
 *  table's columns, value i of them at values[at[i]]; NULL: not all of them were given, the row is read. 0 or <0. */
int pr_row_digests_note(pr_row_digests_t *digests, size_t table, int64_t id, const pr_value_t *values, const size_t *at,
                        pr_error_t *err);

/*  Whose the row with this id is. columns, count: what is about to be changed, by name: a column that the newest digest
 *  of the row does not cover (the mapping has come to it since) is ours only if it is NULL or what the table gives it by
 *  default. 0 or <0: -PR_E_TARGET if what is kept of digests is damaged. */
int pr_row_digests_state(pr_row_digests_t *digests, size_t table, int64_t id, const char *const *columns, size_t count,
                         pr_row_state_t *ret_state, pr_error_t *err);

/*  The checkpoints that wrote the row with this id, newest first, at most `most` of them. None if the open transaction has
 *  written it: what it stored is in no checkpoint yet. 0 or <0: -PR_E_TARGET if what is kept of digests is damaged. */
int pr_row_digests_writers(pr_row_digests_t *digests, size_t table, int64_t id, int64_t *ret_checkpoints, size_t most,
                           size_t *ret_count, pr_error_t *err);

/* How many rows have been noted; and back to so many of them: the database has taken the others back. */
size_t pr_row_digests_mark(const pr_row_digests_t *digests);
void pr_row_digests_rewind(pr_row_digests_t *digests, size_t mark);

/* Store what was noted with this checkpoint, in the open transaction. Errors: -PR_E_TARGET…; then it must be rolled back. */
int pr_row_digests_store(pr_row_digests_t *digests, int64_t checkpoint, pr_error_t *err);

/*  Drop what no rollback can make count again, in the open transaction: of the checkpoints up to `through`, before which no
 *  rollback can reach, only the newest digest of each row. Errors: -PR_E_TARGET…. */
int pr_row_digests_merge(pr_row_digests_t *digests, int64_t through, pr_error_t *err);

/* The transaction was rolled back: forget what was noted, and what was read. NULL-safe. */
void pr_row_digests_drop(pr_row_digests_t *digests);

#endif
