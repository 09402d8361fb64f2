/* SPDX-License-Identifier: MIT */
/* What a rollback must not take: rows in conflict, rows that others refer to, and putting such rows back. */
#ifndef PR_ROLLBACK_KEEP_H
#define PR_ROLLBACK_KEEP_H

#include <sqlite3.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/rollback_report.h"
#include "common/rollback_table.h"

typedef struct pr_keep pr_keep_t;

/*  db: the connection that rolls back; before: one whose open transaction sees the database as it was. Both, tables and
 *  report are borrowed until destroy, which must come before the end of db's transaction. ret_keep: *returns new*. */
int pr_keep_new(sqlite3 *db, sqlite3 *before, pr_playback_tables_t *tables, pr_rollback_report_t *report,
                pr_keep_t **ret_keep, pr_error_t *err);
void pr_keep_destroy(pr_keep_t **keep);

/* Note that a row stays as it is. key: as "id=17". 1: it was not noted yet, 0: it was, <0. */
int pr_keep_row(pr_keep_t *keep, const char *table, const char *key, pr_error_t *err);

/*  Put rows back that carry a value in a column that was added since: what was played back did not know of it. */
int pr_keep_added(pr_keep_t *keep, pr_error_t *err);

/*  Look for rows that refer to rows which are gone now and were there before. Those that are not kept already and are not
 *  in a table that is blocked are conflicts (CHILD). With put_back the rows they refer to are put back as they were, and so
 *  on until nothing dangles. */
int pr_keep_children(pr_keep_t *keep, bool put_back, pr_error_t *err);

#endif
