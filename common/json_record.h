/* SPDX-License-Identifier: MIT */
/* Parsing one flat JSON record fast: the transformer's parser behind a small C header. */
#ifndef PR_JSON_RECORD_H
#define PR_JSON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/reject.h"

typedef enum {
    PR_JSON_NULL,
    PR_JSON_INTEGER,     /* a number without fraction or exponent that fits int64 */
    PR_JSON_BIG_INTEGER, /* one that does not fit: text holds its digits */
    PR_JSON_REAL,        /* a number with fraction or exponent */
    PR_JSON_BIG_REAL,    /* one beyond the doubles: text holds it */
    PR_JSON_TEXT,
    PR_JSON_BOOLEAN,
    PR_JSON_CONTAINER /* array or object: text holds its bytes */
} pr_json_kind_t;

typedef struct {
    const char *name; /* unescaped, not NUL-terminated */
    size_t name_size;
    pr_json_kind_t kind;
    int64_t integer; /* also 0/1 of a boolean */
    double real;
    const char *text; /* unescaped; may hold NUL bytes */
    size_t text_size;
} pr_json_field_t;

typedef struct pr_json_parser pr_json_parser_t;

/* Bytes that must be readable behind a record handed to pr_json_parse_record (their content is of no matter). */
enum { PR_JSON_PADDING = 64 };

/* A parser: not thread-safe, reusable. *Returns new*; out of memory aborts. */
pr_json_parser_t *pr_json_parser_new(void);
void pr_json_parser_destroy(pr_json_parser_t **parser);

/*  Parse one record, a JSON object of at most 1,024 fields.
 *  data: size bytes, with PR_JSON_PADDING readable bytes behind; borrowed.
 *  ret_fields: in the file's order, duplicates kept; borrowed from the parser until its next call.
 *  Returns 0, or the reason (>0) for which the record is to be rejected: PR_R_MALFORMED_JSON, PR_R_BAD_UTF8. */
int pr_json_parse_record(pr_json_parser_t *parser, const char *data, size_t size, const pr_json_field_t **ret_fields,
                         size_t *ret_count);

#endif
