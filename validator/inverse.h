/* SPDX-License-Identifier: MIT */
/* The inverse mapping of one stream: stored rows, found by natural key, against the record they came from. */
#ifndef PR_INVERSE_H
#define PR_INVERSE_H

#include <sqlite3.h>
#include <stdbool.h>
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
} pr_inverse_record_t;

/*  Prepare the statements for a stream.
 *  db, path (for messages), stream: borrowed until destroy. ret_inverse: *returns new*.
 *  Errors: -PR_E_TARGET_SCHEMA if the target lacks a table or column that is not optional, -PR_E_TARGET. */
int pr_inverse_new(sqlite3 *db, const char *path, const pr_stream_t *stream, pr_inverse_t **ret_inverse,
                   pr_error_t *err);
void pr_inverse_destroy(pr_inverse_t **inverse);

/*  Begin a batch, inside a new read transaction: what was read before is forgotten.
 *  all_new: every record of the batch was inserted, so that columns that are only ever set on insert must hold
 *  their record's value. */
void pr_inverse_begin(pr_inverse_t *inverse, bool all_new);

/*  Compare one record with what is stored; what differs is added to list.
 *  Returns 0 however much differs; errors: -PR_E_TARGET, -PR_E_TARGET_LOCKED. */
int pr_inverse_check(pr_inverse_t *inverse, const pr_inverse_record_t *record, pr_proof_list_t *list, pr_error_t *err);

/*  End the batch; no statement holds the transaction open any more. Findings that the batch added to go to list with
 *  their count over all batches since pr_inverse_new. list NULL: the batch failed, what it counted is forgotten. */
void pr_inverse_end(pr_inverse_t *inverse, pr_proof_list_t *list);

/* The record's natural key for messages: audit_token='…', module_id='…'. Returns buffer. */
char *pr_inverse_key(const pr_stream_t *stream, const pr_value_t *values, char *buffer, size_t size);

#endif
