/* SPDX-License-Identifier: MIT */
/* The inverse mapping of one stream: stored rows, found by natural key, against the record they came from. */
#ifndef PR_INVERSE_H
#define PR_INVERSE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/failure.h"
#include "common/mapping.h"
#include "common/value.h"

typedef struct pr_inverse pr_inverse_t;

/* A record to be proved. */
typedef struct {
    const pr_value_t *values; /* by field of the stream; borrowed */
    uint32_t source;
    uint64_t ordinal; /* within the source */
    uint64_t offset;  /* bytes, of its first byte in the export */
    bool again;       /* it was, or will be, proved in its turn: no findings are counted */
} pr_inverse_record_t;

/* A source of a run that is one of ours: the same bytes, the same stream. */
typedef struct {
    int64_t run;
    uint32_t source;
    uint32_t ours;
} pr_inverse_origin_t;

/* What the target's books know of who made which row (pvrelay_made), and how far that counts. */
typedef struct {
    bool known;                   /* the target has such books */
    int64_t run;                  /* only rows that this run made are answered for; 0: those of any run */
    pr_inverse_origin_t *origins; /* run 0: what the runs' sources are */
    size_t origins_count;
} pr_inverse_made_t;

/*  Prepare the statements for a stream.
 *  db, path (for messages), stream, made: borrowed until destroy. ret_inverse: *returns new*.
 *  Errors: -PR_E_TARGET_SCHEMA if the target lacks a table or column that is not optional, -PR_E_TARGET. */
int pr_inverse_new(sqlite3 *db, const char *path, const pr_stream_t *stream, const pr_inverse_made_t *made,
                   pr_inverse_t **ret_inverse, pr_error_t *err);
void pr_inverse_destroy(pr_inverse_t **inverse);

/*  Begin a batch, inside a new read transaction: what was read before is forgotten.
 *  all_new: every record of the batch was inserted, so that columns that are only ever set on insert must hold
 *  their record's value. extra_fail: a second row with a row's natural key is a failure, not a finding. */
void pr_inverse_begin(pr_inverse_t *inverse, bool all_new, bool extra_fail);

/*  Compare one record with what is stored; what differs is added to list as failures.
 *  Returns 0 however much differs; errors: -PR_E_TARGET, -PR_E_TARGET_LOCKED. */
int pr_inverse_check(pr_inverse_t *inverse, const pr_inverse_record_t *record, pr_proof_list_t *list, pr_error_t *err);

/*  Whether the record last compared failed in what no other record can have changed: a row that it made for others too, a
 *  column that is only ever set with a new row. */
bool pr_inverse_is_final(const pr_inverse_t *inverse);

/* Id of the row that the record last compared was found to be, by index of the stream's rows; 0: there is none. */
int64_t pr_inverse_row_id(const pr_inverse_t *inverse, size_t row);

/*  End the batch; no statement holds the transaction open any more. What the batch found besides goes to list: findings
 *  with their counts, rows that are there twice. list NULL: the batch failed, that is forgotten. */
void pr_inverse_end(pr_inverse_t *inverse, pr_proof_list_t *list);

/* The record's natural key for messages: audit_token='…', module_id='…'. Returns buffer. */
char *pr_inverse_key(const pr_stream_t *stream, const pr_value_t *values, char *buffer, size_t size);

#endif
