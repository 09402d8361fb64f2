/* SPDX-License-Identifier: MIT */
/* What the transformer does to records: raw bytes and a mapping in, rows or rejects out. A pure function. */
#ifndef PR_TRANSFORM_H
#define PR_TRANSFORM_H

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/export.h"
#include "common/mapping.h"
#include "common/reject.h"

/* Caches and buffers; no state that one batch leaves for the next. Not thread-safe. */
typedef struct pr_transformer pr_transformer_t;

typedef struct {
    uint64_t ok;       /* records that became rows */
    uint64_t rejected; /* records that did not */
    uint64_t rejected_by_reason[PR_REJECT_REASONS];
} pr_transform_counts_t;

/*  mapping: borrowed until destroy. *Returns new*. */
pr_transformer_t *pr_transformer_new(const pr_mapping_t *mapping);
/* NULL-safe, sets *transformer to NULL. */
void pr_transformer_destroy(pr_transformer_t **transformer);

/*  Turn the records of one batch into the payload of a ROWS message (common/rows.h).
 *
 *  stream: index into the mapping's streams. null_text: the text "null" in a nullable field stands for NULL, else it is
 *  text; both are noted. bytes: size bytes, with PR_JSON_PADDING readable bytes behind; borrowed.
 *  slices: where the count records lie in it. out: the payload is appended. ret_counts: of this batch alone.
 *
 *  Every record becomes rows or one reject, for the first of these that is wrong with it: its JSON, its UTF-8, a
 *  duplicate key, an unknown field, a missing field; then, in the mapping's order of fields, type, NULL and range; then,
 *  in its order of columns, values (maps, dates, NULL in templates). A reject's detail shows the value as pr_value_print
 *  does, and tells what is wrong with other fields, one problem each ("; also FIELD: REASON VALUE"); it has at most
 *  1,023 bytes, and what does not fit is counted ("; and N more"). Of a record that cannot be parsed nothing else is
 *  told. A field of type real takes any number that fits a double; integers are noted as rounded in integer fields only,
 *  because only there the database held more digits than the exporter prints.
 *
 *  Returns 0, or -PR_E_PROTOCOL if there is no such stream or a slice lies outside the bytes: then nothing is appended.
 */
int pr_transform_batch(pr_transformer_t *transformer, unsigned stream, bool null_text, const char *bytes, size_t size,
                       const pr_slice_t *slices, size_t count, msgpack_sbuffer *out, pr_transform_counts_t *ret_counts);

#endif
