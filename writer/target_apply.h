/* SPDX-License-Identifier: MIT */
/* One record's rows: found, inserted, changed or left as they are. */
#ifndef PR_TARGET_APPLY_H
#define PR_TARGET_APPLY_H

#include "common/error.h"
#include "common/reject.h"
#include "common/rows.h"
#include "writer/target_sqlite.h"

/* What became of a record. */
typedef struct {
    pr_reject_reason_t reason; /* PR_R_NONE: its rows are in */
    const char *field;         /* of the export; NULL: none. Borrowed from the mapping */
    char detail[512];          /* NUL-terminated; "" if there is none */
    const char *longer;        /* the detail, instead; borrowed until the next record. NULL: none */
    uint64_t rows_inserted, rows_updated;
} pr_target_applied_t;

/*  Make the rows of an accepted record in the open transaction. On a reject nothing of it stays, neither in the
 *  database nor in what the target remembers. ordinal: within its source. Returns 0 (also for a reject) or -PR_E_TARGET…, after which the
 *  transaction must be rolled back. */
int pr_target_apply_rows(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record,
                         uint64_t ordinal, pr_target_applied_t *ret_applied, pr_error_t *err);

/*  Fill row->values with the values of `given`, ids in the place of symbolic references. Returns PR_ROW_SAME,
 *  PR_ROW_REJECTED (a parent is unknown) or <0. */
int pr_target_resolve(pr_target_t *target, pr_target_stream_t *stream, pr_target_row_t *row, const pr_row_t *given,
                      pr_error_t *err);

/*  Are the first `count` rows of the record in the id cache, so that nothing need be done for them? If so, they are
 *  parents for the rows that follow. Returns 1, 0 or <0. */
int pr_target_known(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record, size_t count,
                    pr_error_t *err);

/* Why the record was rejected, in words. Borrowed. */
const char *pr_target_applied_detail(const pr_target_applied_t *applied);

/*  Is the value that a statement reads in column `at` this one, as stored? An integer equals the real that a column's
 *  affinity made of it. */
bool pr_target_stored_equal(sqlite3_stmt *statement, int at, const pr_value_t *value);

/*  Does what a statement reads, from column `first` on, differ from these columns of `values` (a value for each column of
 *  the spec)? */
bool pr_target_row_differs(sqlite3_stmt *statement, int first, const pr_value_t *values,
                           const pr_target_columns_t *columns);

/*  Note other rows whose derived columns depend on a row of these values. */
int pr_target_touch(pr_target_t *target, const pr_target_row_t *row, const pr_value_t *values, pr_error_t *err);

#endif
