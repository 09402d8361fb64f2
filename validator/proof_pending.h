/* SPDX-License-Identifier: MIT */
/* Records that failed, by natural key: if a later record with the same key is what is stored, they were overwritten. */
#ifndef PR_PROOF_PENDING_H
#define PR_PROOF_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/failure.h"
#include "common/mapping.h"
#include "common/position.h"
#include "common/value.h"

typedef struct pr_pending pr_pending_t;

/* For records of this stream (borrowed until destroy). *Returns new*. */
pr_pending_t *pr_pending_new(const pr_stream_t *stream);
void pr_pending_destroy(pr_pending_t **pending);
void pr_pending_clear(pr_pending_t *pending);
size_t pr_pending_count(const pr_pending_t *pending);

/*  Note a record, the place it begins at, and how many failures of each kind were added to the list. When there are very
 *  many, no more are noted. */
void pr_pending_add(pr_pending_t *pending, const pr_value_t *values, pr_position_t place,
                    const uint64_t by_kind[PR_FAILURE_KINDS]);

/* The stream's key fields, for findings about keys: "audit_token, module_id". Returns buffer. */
char *pr_pending_fields(const pr_pending_t *pending, char *buffer, size_t size);

/* Is a record with this one's key noted? */
bool pr_pending_has(const pr_pending_t *pending, const pr_value_t *values);

/*  This record, which comes later, is what is stored: the noted ones with its key are findings duplicate_key then, and
 *  their failures are taken out of the list. Returns how many failures. */
uint64_t pr_pending_settle(pr_pending_t *pending, const pr_value_t *values, pr_position_t place, pr_proof_list_t *list);

#endif
