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
    uint64_t rows_inserted, rows_updated;
} pr_target_applied_t;

/*  Make the rows of an accepted record in the open transaction. On a reject nothing of it stays, neither in the
 *  database nor in what the target remembers. ordinal: within its source. Returns 0 (also for a reject) or -PR_E_TARGET…, after which the
 *  transaction must be rolled back. */
int pr_target_apply_rows(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record,
                         uint64_t ordinal, pr_target_applied_t *ret_applied, pr_error_t *err);

#endif
