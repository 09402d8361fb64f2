/* SPDX-License-Identifier: MIT */
/* The proof's own JSON parser (RapidJSON) behind a C header: one record after the other out of an export's bytes. */
#ifndef PR_LEGACY_PARSER_H
#define PR_LEGACY_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PR_LEGACY_ABSENT,
    PR_LEGACY_NULL,
    PR_LEGACY_NUMBER, /* text: as it stands in the file, valid JSON, followed by a byte that belongs to no number */
    PR_LEGACY_TEXT,   /* text: unescaped UTF-8; may hold NUL bytes */
    PR_LEGACY_BOOLEAN,
    PR_LEGACY_CONTAINER /* an array or object; its content is passed over */
} pr_legacy_kind_t;

typedef struct {
    pr_legacy_kind_t kind;
    bool twice;       /* the name stands more than once in the record; the last value is kept */
    const char *text; /* NUMBER, TEXT: borrowed from the bytes parsed */
    size_t size;      /* bytes */
} pr_legacy_field_t;

typedef struct {
    const pr_legacy_field_t *fields; /* one for each name the parser was made with; borrowed till the next call */
    const char *unknown;             /* the first name that the parser was not made with; NULL: none; borrowed */
    size_t unknown_size;
    size_t used;       /* bytes of the record */
    const char *error; /* why it is no record, a static text; NULL: it is one */
} pr_legacy_record_t;

typedef struct pr_legacy_parser pr_legacy_parser_t;

/* Bytes that must be readable behind the data handed over, the first of them NUL. */
enum { PR_LEGACY_PADDING = 64 };

/* A parser for records with these field names (NUL-terminated, borrowed until destroy). *Returns new*. */
pr_legacy_parser_t *pr_legacy_parser_new(const char *const *names, size_t count);
void pr_legacy_parser_destroy(pr_legacy_parser_t **parser);

/*  Whether all of these bytes are UTF-8 (Unicode 15, table 3-7). */
bool pr_legacy_is_utf8(const char *data, size_t size);

/*  Parse one record that begins at data and ends anywhere before the NUL byte behind the data. What follows it is not
 *  looked at. The record's bytes are overwritten. utf8: the bytes are known to be UTF-8 (pr_legacy_is_utf8), which
 *  saves looking at them one by one. Returns ret_record->error == NULL: a JSON object in valid UTF-8. Else the bytes are
 *  spoilt and only error is set. */
bool pr_legacy_parse(pr_legacy_parser_t *parser, char *data, bool utf8, pr_legacy_record_t *ret_record);

#ifdef __cplusplus
}
#endif

#endif
