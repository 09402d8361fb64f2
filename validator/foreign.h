/* SPDX-License-Identifier: MIT */
/* What the books tell of rows that others had changed when a record was to change them (pvrelay_foreign_change). */
#ifndef PR_FOREIGN_H
#define PR_FOREIGN_H

#include <sqlite3.h>
#include <stdint.h>

#include "common/error.h"
#include "common/mapping.h"
#include "validator/inverse.h"

typedef struct pr_foreign pr_foreign_t;

/*  made: whose entries count: those of its run, or, with run 0, of the runs that have read the same sources; borrowed, as
 *  are db and path. ret_foreign: *returns new*; NULL if the target has no such books, for which nothing is asked. */
int pr_foreign_new(sqlite3 *db, const char *path, const pr_inverse_made_t *made, pr_foreign_t **ret_foreign,
                   pr_error_t *err);
void pr_foreign_destroy(pr_foreign_t **foreign);

/*  Was the row left as it is when this record came? Of a proof of exports: is it still so, as no run has written it since?
 *  A row that is as pvrelay last stored it was not left to anybody, whatever the books say. spec: the row of the mapping
 *  that the record makes there, borrowed until destroy. 1, 0 or <0. foreign NULL: 0. */
int pr_foreign_is_kept(pr_foreign_t *foreign, const pr_row_spec_t *spec, int64_t row, uint32_t source, uint64_t ordinal,
                       pr_error_t *err);

/*  Is there a reject, of the run, or one that is still open, because of this row? Then it is not extra, though no accepted
 *  record proves it. 1, 0 or <0. foreign NULL: 0. */
int pr_foreign_is_rejected(pr_foreign_t *foreign, const char *table, int64_t row, pr_error_t *err);

#endif
