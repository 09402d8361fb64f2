/* SPDX-License-Identifier: MIT */
/* Many records by one statement, where they allow it. */
#ifndef PR_TARGET_GROUP_H
#define PR_TARGET_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rows.h"
#include "writer/row_table.h"
#include "writer/target_sqlite.h"

enum { PR_GROUP_LEAST = 4, PR_GROUP_MOST = 256 };

/* A record that waits in the group. */
typedef struct {
    uint64_t ordinal;    /* within its source */
    pr_rows_record_t as; /* as it came, copied; its texts are borrowed from the batch's payload */
    bool done;           /* by the group's statement, ... */
    int64_t id;          /* ... which inserted or found the row with this id */
} pr_group_record_t;

/* Records of one stream that follow each other, none of them written yet. */
typedef struct pr_target_group {
    pr_target_stream_t *stream; /* of those that wait */
    pr_target_row_t *row;       /* the one that each of them makes */
    size_t count;
    pr_group_record_t records[PR_GROUP_MOST];
    pr_row_t *rows;    /* of `as`: rows_room a record */
    pr_value_t *given; /* of `rows`: given_room a record */
    size_t rows_room, given_room;
    pr_value_t *values;   /* of `row`, ids in the place of symbolic references: table.width a record */
    pr_row_table_t table; /* `values`, for SQL */
} pr_target_group_t;

/* *Returns new*: room for rows of the mapping's streams; registers the table that the group's statements select from. */
int pr_target_group_new(pr_target_t *target, pr_target_group_t **ret_group, pr_error_t *err);
void pr_target_group_destroy(pr_target_group_t **group);

/* Prepare what a row of this spec needs to be written in groups; leaves it out where that cannot be. */
int pr_target_group_prepare(pr_target_t *target, pr_target_row_t *row, pr_error_t *err);

/*  Let this accepted record wait. Its texts are borrowed until the group is empty.
 *  Returns 1; 0: it cannot be in a group, or not in this one, and must be applied by itself, after those that wait; <0. */
int pr_target_group_add(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record,
                        uint64_t ordinal, pr_error_t *err);

/* Is there no room for another one? */
bool pr_target_group_full(const pr_target_group_t *group);

/*  Write or compare those that wait (at least one) by one statement; which of them that was enough for is told by `done`. The others are
 *  to be applied one by one, in order. counts: of those that are done. 0 or <0. */
int pr_target_group_do(pr_target_t *target, pr_target_counts_t *counts, pr_error_t *err);

/* All have been applied, or taken back: forget them, and learn from how many were not done. NULL-safe. */
void pr_target_group_empty(pr_target_group_t *group);

#endif
