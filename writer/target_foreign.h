/* SPDX-License-Identifier: MIT */
/* Rows that are there, differ from the export, and are not as pvrelay last stored them. */
#ifndef PR_TARGET_FOREIGN_H
#define PR_TARGET_FOREIGN_H

#include "common/error.h"
#include "writer/target_sqlite.h"

/*  Decide the digested columns of all rows of the mapping. Needs their column lists. Errors: -PR_E_TARGET…. */
int pr_target_foreign_prepare(pr_target_t *target, pr_error_t *err);

/*  The row differs in some of these columns, which `select` (bound, and reset) reads from column `first` on. Returns
 *  PR_ROW_UPDATED: change it; PR_ROW_SAME: leave it; PR_ROW_REJECTED: reject the record, row->foreign.text tells why; <0. */
int pr_target_foreign_judge(pr_target_t *target, pr_target_row_t *row, sqlite3_stmt *select, int first,
                            const pr_target_columns_t *columns, pr_error_t *err);

/*  Put what became of the row into the books (pvrelay_foreign_change, pvrelay_finding), if it was others': of a record
 *  that is through, or was rejected for it. */
int pr_target_foreign_note(pr_target_t *target, const pr_stream_t *stream, const pr_target_row_t *row, uint64_t ordinal,
                           pr_error_t *err);

/* Nothing of this is known of the row any more. */
void pr_target_foreign_clear(pr_target_row_t *row);

/* At the end of a run, in the open transaction: of what was stored only what can still count is kept. */
int pr_target_foreign_merge(pr_target_t *target, pr_error_t *err);

/* The row has been inserted, or changed: note its digest. */
int pr_target_foreign_stored(pr_target_t *target, const pr_target_row_t *row, int64_t id, const pr_value_t *values,
                             pr_error_t *err);

#endif
