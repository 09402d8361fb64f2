/* SPDX-License-Identifier: MIT */
/* The tables into which changes are played back: as they are now, against what they were when the changes were made. */
#ifndef PR_ROLLBACK_TABLE_H
#define PR_ROLLBACK_TABLE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rollback_report.h"

typedef struct {
    char *name;
    char *type;
    char *fallback; /* its DEFAULT, as SQL; "NULL" if it has none */
    int key;        /* place in the primary key, from 1; 0: not in it */
} pr_playback_column_t;

typedef struct {
    char *name;
    pr_playback_column_t *columns; /* now; without generated ones */
    size_t columns_count;
    size_t known;                     /* the first so many are what changesets hold; the others were added since */
    bool blocked;                     /* changesets do not fit it any more: nothing is played back into it */
    uint64_t deleted, restored, left; /* changes played back, and not */
} pr_playback_table_t;

typedef struct {
    pr_playback_table_t *at; /* by name */
    size_t count;
} pr_playback_tables_t;

/*  The tables of a report. A table whose columns are not what they were when a commit after checkpoint `after` was made
 *  is noted as conflicts (SCHEMA) in the report. ret_tables: *returns new*. Errors: -PR_E_TARGET…. */
int pr_playback_tables_load(sqlite3 *db, int64_t after, pr_rollback_report_t *report, pr_playback_tables_t *ret_tables,
                            pr_error_t *err);
void pr_playback_tables_clear(pr_playback_tables_t *tables);

/* NULL: none of that name. */
pr_playback_table_t *pr_playback_table_find(const pr_playback_tables_t *tables, const char *name);

/*  Columns of any table, as they are now, without generated ones; none if there is no such table. A table without a
 *  primary key has none with `key` > 0. *Returns new* in ret_columns; free with pr_playback_columns_free. */
int pr_playback_columns(sqlite3 *db, const char *table, pr_playback_column_t **ret_columns, size_t *ret_count,
                        pr_error_t *err);
void pr_playback_columns_free(pr_playback_column_t *columns, size_t count);

#endif
