/* SPDX-License-Identifier: MIT */
/* The insides of the SQLite target, shared by its parts (target_*.c) and by nobody else. */
#ifndef PR_TARGET_SQLITE_H
#define PR_TARGET_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/foreign_change.h"
#include "common/lock.h"
#include "common/mapping.h"
#include "common/row_digest.h"
#include "common/sql_place.h"
#include "common/undo.h"
#include "writer/target.h"
#include "writer/target_cache.h"
#include "writer/target_sql.h"

/* A table column by whose value rows of another table are found. */
typedef struct {
    const char *table, *key;
    unsigned space; /* of the id cache */
    sqlite3_stmt *select;
} pr_target_lookup_t;

/* A list of columns: indexes into the row spec's columns. */
typedef struct {
    size_t *at;
    size_t count;
} pr_target_columns_t;

/* A table of the user's that the mapping writes to. */
typedef struct {
    const char *name;           /* borrowed from the mapping */
    uint64_t inserted, updated; /* rows, by the open transaction */
} pr_target_table_t;

/* What became of a row of the record at hand. Negative: an error. */
typedef enum { PR_ROW_SAME, PR_ROW_INSERTED, PR_ROW_UPDATED, PR_ROW_REJECTED, PR_ROW_NONE } pr_target_row_outcome_t;

/* Which row's derived column depends on a row: none, or its own. */
enum { PR_TOUCHES_NOTHING = -2, PR_TOUCHES_ITSELF = -1 };

/* What a row of the mapping needs to be written in groups: target_group.h. */
typedef struct {
    bool may_precede;                             /* a record in a group may make it, if it is known */
    sqlite3_stmt *insert, *select, *select_by_id; /* NULL: not in groups */
    pr_target_columns_t compare;                  /* natural key, then `update` */
    int64_t last_id;                              /* of the last group that was inserted; 0: not known */
    int64_t next_id;                              /* where the rows of the next group may stand; 0: no guess */
    size_t size;                                  /* how many records the next group may have */
    const char **columns;                         /* names, as the spec's columns; NULL: the target lacks it */
} pr_target_grouped_t;

/* What became of a row that was not as pvrelay last stored it. */
typedef enum {
    PR_FOREIGN_NONE, /* it was, or did not differ */
    PR_FOREIGN_REJECTED,
    PR_FOREIGN_KEPT,
    PR_FOREIGN_OVERWRITTEN
} pr_foreign_outcome_t;

/* What a row of the mapping needs to tell ours from others': target_foreign.h. */
typedef struct {
    const char **names; /* of the columns that a replay would change; NULL: rows are never changed, and not digested */
    size_t names_count;
    size_t table; /* number of its table in the digests */
    size_t *at;   /* the digest's columns among the spec's; NULL: the row must be read to be digested */
    /* of the record at hand: */
    pr_foreign_outcome_t outcome;
    char *text;               /* the values (sqlite3_free) */
    const pr_column_t *field; /* the first column that differs */
} pr_target_foreign_t;

/* A row of the mapping, with the statements that make it. */
typedef struct {
    const pr_row_spec_t *spec;
    size_t table;                        /* index into the target's tables */
    bool *present;                       /* per column: the target has it */
    pr_target_columns_t all;             /* those that are present */
    pr_target_columns_t key;             /* natural key */
    pr_target_columns_t update;          /* compared and changed: present, not key, not keep; none in mode ENSURE */
    pr_target_columns_t through_compare; /* found_through: key columns, then `through_update` */
    pr_target_columns_t through_update;  /* found_through: `update` and the key columns that are PARENT */
    bool unique;                         /* a UNIQUE index of the target forbids a second row with the natural key */
    bool expect_new;                     /* what the last row of this spec was: a guess about the next one */
    bool clears_cache;                   /* it changes columns that cached ids are found by */
    unsigned space;                      /* of the id cache; mode ENSURE */
    int *touches;                     /* per derived column of the mapping: PR_TOUCHES_…, or the column with the id */
    pr_target_lookup_t **lookups;     /* per column; NULL: not a LOOKUP */
    int through_spec, through_column; /* the row and column of this stream whose value is the through field's */
    sqlite3_stmt *insert, *select, *change;
    sqlite3_stmt *through_find, *through_select, *through_change;
    pr_target_grouped_t grouped;
    pr_target_foreign_t foreign;
    pr_value_t *values; /* per column: of the record at hand, ids resolved */
    int64_t id;         /* of the record at hand */
    bool made;          /* the record at hand makes this row */
    int outcome;        /* pr_target_row_outcome_t, of the record at hand */
    bool noted;         /* who made it is noted in pvrelay_made */
} pr_target_row_t;

typedef struct {
    const pr_stream_t *stream;
    pr_target_row_t *rows; /* as the stream's */
    pr_target_row_t *own;  /* the one that each record is, if its id is known to the proof as well; or NULL */
} pr_target_stream_t;

/* Records that wait to be applied together: target_group.h. */
struct pr_target_group;

/* The open batch. */
typedef struct {
    bool open;
    int64_t run;
    int64_t checkpoint;
    char *stream; /* copies of what rejects need of the source */
    bool null_text;
    pr_range_t range;
    pr_target_counts_t counts;
    uint64_t rows_sum;          /* of pr_proof_mix over the ids of the rows that its records are, ... */
    bool rows_untold;           /* ... unless some record's is not known */
    pr_target_raw_fn *read_raw; /* for records that wait in the group */
    void *context;
} pr_target_batch_t;

struct pr_target {
    char *path;
    const pr_mapping_t *mapping;
    pr_lock_t *lock;
    sqlite3 *db;
    sqlite3_stmt *fixed[PR_SQL_COUNT];
    pr_target_stream_t *streams; /* as the mapping's */
    pr_target_lookup_t **lookups;
    size_t lookups_count;
    sqlite3_stmt **derive; /* as the mapping's derived */
    pr_target_table_t *tables;
    size_t tables_count;
    pr_undo_t *undo; /* NULL: none is kept */
    pr_row_digests_t *digests;
    pr_foreign_policy_t on_foreign_change;
    int64_t foreign_named; /* findings of foreign changes that name a row, in run foreign_named_run; -1: not known */
    int64_t foreign_named_run;
    size_t foreign_told; /* rejects of run foreign_told_run for which undo was asked what had been stored */
    int64_t foreign_told_run;
    int64_t foreign_kept; /* 0: no row was ever kept for others' sake; -1: not known */
    pr_id_cache_t *cache;
    pr_id_set_t *touched;
    struct pr_target_group *group;
    char *migrations;
    bool ready;   /* open, with all that a run needs; else nothing has been changed yet */
    bool made;    /* there was no such file */
    bool has_run; /* of one that was made: it is worth keeping */
    bool wants_undo;
    bool lost; /* the file at the path is another one, or none */
    pr_sql_place_t place;
    int64_t data_version;
    pr_target_batch_t batch;
    pr_error_t sticky;
    /* The run whose sources are at hand. */
    int64_t run;
    uint64_t *run_records;
    uint32_t run_sources;
};

/*  Note SQLite's last error as TARGET_LOCKED, TARGET_FULL or TARGET, with the database's path, what was being done, and
 *  what to do. */
int pr_target_fail(pr_target_t *target, pr_error_t *err, const char *doing_format, ...)
    __attribute__((format(printf, 3, 4)));

/*  Make of a target that was only looked at one that a run can be begun in: the file, if there is none, our books, the
 *  settings. Nothing if that is done. What it made is taken away again by destroy, unless a run was begun. */
int pr_target_get_ready(pr_target_t *target, pr_error_t *err);

/* Keep a failure: from here on every call but rollback returns it. result and local: of what failed, or 0. */
int pr_target_stick(pr_target_t *target, int result, const pr_error_t *local, pr_error_t *err);

/* The index of a table that the mapping writes to; made if need be. name: borrowed while the target lives. */
size_t pr_target_table(pr_target_t *target, const char *name);

/*  Bind and step a fixed statement that gives no row. types: a letter a parameter: i int64_t, d double, t
 *  NUL-terminated text or NULL, v const pr_value_t * (borrowed till the statement is done), b the same stored as a BLOB.
 */
int pr_target_do(pr_target_t *target, pr_sql_t which, pr_error_t *err, const char *types, ...);

/* Prepare a statement for the whole life of the target. Takes text (sqlite3_free). */
int pr_target_prepare(pr_target_t *target, char *text, sqlite3_stmt **ret_statement, pr_error_t *err);

/* Bind a fixed statement and hand it out for stepping; reset it after use. */
sqlite3_stmt *pr_target_bound(pr_target_t *target, pr_sql_t which, const char *types, ...);

/* Bind a value; text is borrowed until the statement is reset. */
void pr_target_bind_value(sqlite3_stmt *statement, int at, const pr_value_t *value);

#endif
