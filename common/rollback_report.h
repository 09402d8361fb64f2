/* SPDX-License-Identifier: MIT */
/* What a rollback does, or would do: runs, checkpoints, rows by table, and what is in the way. */
#ifndef PR_ROLLBACK_REPORT_H
#define PR_ROLLBACK_REPORT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rollback_point.h"

/*  What can be in the way; name, word, sentence. */
#define PR_CONFLICTS(X)                                                                                                \
    X(CHANGED, "changed", "a row that is to be taken back was changed since")                                          \
    X(DELETED, "deleted", "a row that is to be taken back was deleted since")                                          \
    X(CHILD, "child", "a row that is not of these runs refers to one that is to be taken back")                        \
    X(UNIQUE, "unique", "the earlier value of a row is taken by another row now")                                      \
    X(SCHEMA, "schema", "a table is no longer what it was")

typedef enum {
#define X(name, word, sentence) PR_CONFLICT_##name,
    PR_CONFLICTS(X)
#undef X
} pr_conflict_kind_t;

/* One cell in the way. Strings are never NULL and are clean for a terminal. */
typedef struct {
    pr_conflict_kind_t kind;
    int64_t checkpoint; /* whose undo met it; CHILD and SCHEMA: 0 */
    char *table;
    char *key;    /* "id=17"; SCHEMA: "" */
    char *column; /* DELETED, UNIQUE: "" */
    /* The value as the commit left it, and the value now. DELETED: "no row" now. UNIQUE: SQLite's message. CHILD: the row
     * that is referred to ("el_audits id=3"), and the reference. SCHEMA: the column's type, or "none". */
    char *ours, *theirs;
} pr_conflict_t;

/* What was, or would be, done to a table. */
typedef struct {
    char *table;
    uint64_t deleted;   /* rows that the commits had inserted */
    uint64_t restored;  /* changes of rows that the commits had updated */
    uint64_t left;      /* changes not taken back, for a conflict's sake (keep_theirs) */
    bool sequence_kept; /* its id counter was not put back: others took ids after ours, or rows were left */
} pr_rollback_table_t;

typedef struct {
    int64_t number;
    bool whole;           /* taken back as a whole; else in part, and it goes on from the point */
    uint64_t checkpoints; /* of it that are taken back */
    uint64_t records;     /* in those */
} pr_rollback_run_t;

typedef struct {
    int64_t from;            /* newest live checkpoint before */
    int64_t to;              /* and after; 0: none */
    uint64_t checkpoints;    /* how many are taken back */
    pr_rollback_run_t *runs; /* oldest first */
    size_t runs_count;
    char **names; /* the user's names of points that are no more */
    size_t names_count;
    pr_rollback_table_t *tables; /* by name; before anything is done: as the books have it */
    size_t tables_count;
    pr_conflict_t *conflicts; /* the first PR_CONFLICTS_KEPT of them */
    size_t conflicts_count;
    uint64_t conflicts_total;
    int64_t continues;         /* run that `pvrelay run` continues now; 0: none */
    uint64_t position_records; /* of it that are in */
} pr_rollback_report_t;

enum { PR_CONFLICTS_KEPT = 10000 };

/*  What a rollback would do, from the books alone: runs, checkpoints, names, rows by table. Reads only.
 *  ret_report: *returns new*. Errors: -PR_E_IRREVERSIBLE (undo was dropped or never kept; the text says of what),
 *  -PR_E_TARGET…. A point at which the target stands already gives a report with checkpoints 0. */
int pr_rollback_plan(sqlite3 *db, const pr_rollback_point_t *point, pr_rollback_report_t **ret_report, pr_error_t *err);

void pr_rollback_report_destroy(pr_rollback_report_t **report);

/* "changed", …; its sentence. Static. */
const char *pr_conflict_word(pr_conflict_kind_t kind);
const char *pr_conflict_sentence(pr_conflict_kind_t kind);

/* Count a conflict, and keep it if there is room. conflict: its strings are copied, NULL is "". */
void pr_rollback_report_conflict(pr_rollback_report_t *report, const pr_conflict_t *conflict);

/*  FROM and WHERE of the live checkpoints beyond ?1, as "c", joined to their runs, as "r", and to more. */
#define PR_ROLLBACK_LIVE_BEYOND_JOIN(more)                                                                             \
    "FROM pvrelay_checkpoint AS c JOIN pvrelay_run AS r ON r.run = c.run AND r.rolled_back_at IS NULL " more           \
    " WHERE c.checkpoint > ?1"
#define PR_ROLLBACK_LIVE_BEYOND PR_ROLLBACK_LIVE_BEYOND_JOIN("")

#endif
