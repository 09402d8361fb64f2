/* SPDX-License-Identifier: MIT */
/* Indexes that are put off while an empty table is filled: to build one at the end costs a third of keeping it up. */
/*  DESIGN
 *
 *  What is put off stands in the target itself (pvrelay_deferred_index), and each step is one transaction with what it
 *  does to the index: so a crash leaves every index either there or listed.
 *
 *      there  -- put off: with the beginning of a run that finds the table empty -->  listed
 *      listed -- build: when the last batch is in, one by one, while the whole is proved -->  there
 *      listed -- build: the run is given up or taken back as a whole -->              there
 *
 *  A run that is stopped, or put back into its middle, goes on without them. Only indexes that enforce nothing and that
 *  neither the writer nor the proof needs are put off: not UNIQUE, of a table whose natural key has a UNIQUE index of its
 *  own, as has the column by which its rows are counted for a derived one.
 */
#ifndef PR_DEFERRED_INDEX_H
#define PR_DEFERRED_INDEX_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/error.h"

/*  Put off the indexes of this table that are not UNIQUE, if it has no row. Inside the transaction in which the run begins.
 *  Errors: -PR_E_TARGET…. */
int pr_deferred_index_put_off(sqlite3 *db, int64_t run, const char *table, pr_error_t *err);

/* How many are listed? Returns that or <0. */
int pr_deferred_index_listed(sqlite3 *db, pr_error_t *err);

/*  How many rows those that are listed will have to take, added up: by the newest ids of their tables, so that it costs
 *  nothing. 0 or <0. */
int pr_deferred_index_rows(sqlite3 *db, uint64_t *ret_rows, pr_error_t *err);

/*  Build one of those that are listed. Returns 1, 0 if none is, <0. In a transaction of its own or of the caller's. An
 *  index that somebody made meanwhile counts as built. May block for long. */
int pr_deferred_index_build(sqlite3 *db, pr_error_t *err);

/* Build all that are listed, inside the caller's transaction. 0 or <0. May block for long. */
int pr_deferred_index_build_all(sqlite3 *db, pr_error_t *err);

#endif
