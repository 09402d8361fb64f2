/* SPDX-License-Identifier: MIT */
/* The points that a target can be put back to, from its books. Never writes. */
#ifndef PR_POINTS_H
#define PR_POINTS_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "control/ledger.h"

/* A name that the user gave. */
typedef struct {
    char *name; /* clean for a terminal, as all strings here */
    int64_t checkpoint;
    char made_at[32];
} pr_point_name_t;

/* A checkpoint. */
typedef struct {
    int64_t number;
    int64_t run;
    bool finish;  /* of the kind: derived columns, after the last batch */
    char *stream; /* "" of a finish */
    char *path;   /* of the export; "" of a finish */
    uint64_t source, first_ordinal, records;
    uint64_t inserted, updated, unchanged, rejected; /* records */
    uint64_t rows_inserted, rows_updated;
    char committed_at[32];
    int validated; /* 0 not yet, 1 every row proved, 2 with failures */
    bool undo;     /* it can be taken back */
    uint64_t undo_bytes;
    size_t names; /* how many it has */
} pr_point_t;

/* Something that was taken back. */
typedef struct {
    int64_t number;
    char reason[16]; /* operator, validation, rejects */
    int64_t from, to;
    uint64_t checkpoints, rows_deleted, rows_restored, rows_left;
    char made_at[32];
} pr_point_rollback_t;

typedef struct {
    char *target;
    uint64_t bytes; /* of the database */
    pr_ledger_run_t *runs;
    size_t runs_count;
    pr_point_t *points; /* by number */
    size_t points_count;
    pr_point_name_t *names; /* by checkpoint, then name */
    size_t names_count;
    pr_point_rollback_t *rollbacks; /* oldest first */
    size_t rollbacks_count;
    int64_t newest;        /* live checkpoint; 0: none */
    int64_t reversible_to; /* earliest checkpoint that can be gone back to; 0: before any run */
    uint64_t undo_points, undo_bytes;
} pr_points_t;

/*  Read them. target: its path, copied. ret_points: *returns new*. Errors: -PR_E_TARGET_SCHEMA if there are no books or
 *  they know no undo (the text says what to do), -PR_E_TARGET…. */
int pr_points_load(sqlite3 *db, const char *target, pr_points_t **ret_points, pr_error_t *err);
void pr_points_destroy(pr_points_t **points);

/*  As JSON; the keys are stable, see pr_usage_checkpoints. run: only that one's checkpoints; 0: all. Reads once more what
 *  the checkpoints did to each table. ret_json: *returns new*. */
int pr_points_to_json(const pr_points_t *points, sqlite3 *db, int64_t run, json_t **ret_json, pr_error_t *err);

#endif
