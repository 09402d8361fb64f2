/* SPDX-License-Identifier: MIT */
/* The payload of a ROWS message: what a batch's records became, as MessagePack. */
#ifndef PR_ROWS_H
#define PR_ROWS_H

/*  DESIGN
 *
 *  payload  = notes record*              (a sequence of MessagePack objects, one per record of the batch, in order)
 *  notes    = [ [kind, field, count, first]* ]    what was noticed without rejecting (pr_note_t)
 *  record   = accepted | rejected
 *  accepted = [ offset, length, row+ ]           offset: of the record's first byte, from the batch's begin
 *  row      = [ spec, value* ]                   spec: index into the stream's rows; a value for each column
 *                                                that is not PR_OP_PARENT, in the mapping's order. For PR_OP_LOOKUP
 *                                                the value is the key to look up.
 *                                                A row with if_present whose field is NULL is left out.
 *  rejected = [ offset, length, reason, field, detail, raw ]
 *             reason: integer; field, detail: str or nil; raw: bin, the record's bytes
 *  value    = nil | integer | float64 | str      (str holds any bytes that are valid UTF-8, NUL included)
 */

#include <msgpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/mapping.h"
#include "common/reject.h"
#include "common/value.h"

/*  What is noticed in accepted records; number, word (pvrelay_finding.kind), sentence */
#define PR_NOTES(X)                                                                                                    \
    X(NULL_TEXT, 1, "null_text", "the text \"null\" was taken for NULL")                                               \
    X(ROUNDED_INTEGER, 2, "rounded_integer", "an integer beyond 2^53 was rounded by the exporter")                     \
    X(UNKNOWN_FIELD, 3, "unknown_field", "a field that the mapping does not know was left out")                        \
    X(NULL_TEXT_KEPT, 4, "null_text_kept", "the text \"null\" was kept as text")

typedef enum {
#define X(name, number, word, sentence) PR_NOTE_##name = number,
    PR_NOTES(X)
#undef X
} pr_note_kind_t;
enum { PR_NOTE_KINDS = 5 };

typedef struct {
    unsigned kind;
    int field;      /* index into the stream's fields; -1: none */
    uint64_t count; /* records */
    uint64_t first; /* ordinal, within the batch, of the first of them */
} pr_note_t;

const char *pr_note_word(unsigned kind);
const char *pr_note_sentence(unsigned kind);

typedef struct {
    unsigned spec;      /* index into the stream's rows */
    pr_value_t *values; /* one for each column of the spec; PARENT columns are NULL here */
} pr_row_t;

typedef struct {
    uint32_t offset; /* bytes from the batch's begin */
    uint32_t length; /* bytes */
    unsigned reason; /* PR_R_NONE: accepted */
    /* rejected: */
    pr_value_t field;  /* TEXT or NULL */
    pr_value_t detail; /* TEXT or NULL */
    pr_value_t raw;    /* TEXT: the record's bytes, not necessarily UTF-8 */
    /* accepted: */
    pr_row_t *rows;
    size_t rows_count;
} pr_rows_record_t;

typedef struct pr_rows_reader pr_rows_reader_t;

/*  Read a payload. data: size bytes, borrowed until destroy. stream: what the batch is of, borrowed.
 *  Reads the notes. *Returns new* or NULL with err (PR_E_PROTOCOL: nothing in a hostile payload is trusted). */
pr_rows_reader_t *pr_rows_reader_new(const pr_stream_t *stream, const void *data, size_t size, pr_error_t *err);
void pr_rows_reader_destroy(pr_rows_reader_t **reader);

/* The notes: borrowed from the reader. */
const pr_note_t *pr_rows_reader_notes(const pr_rows_reader_t *reader, size_t *ret_count);

/*  The next record; *ret_record borrows from the reader and lives until the next call, its texts as long as the payload.
 *  Returns 1, 0 at the end (exactly at the payload's end), -PR_E_PROTOCOL. */
int pr_rows_reader_next(pr_rows_reader_t *reader, pr_rows_record_t *ret_record, pr_error_t *err);

/* Writing: the transformer packs with msgpack's own packer; these are the compound pieces of the grammar above. */
void pr_rows_pack_notes(msgpack_packer *packer, const pr_note_t *notes, size_t count);
void pr_rows_pack_accepted(msgpack_packer *packer, uint32_t offset, uint32_t length, size_t rows);
void pr_rows_pack_row(msgpack_packer *packer, unsigned spec, size_t values);
void pr_rows_pack_value(msgpack_packer *packer, const pr_value_t *value);
void pr_rows_pack_rejected(msgpack_packer *packer, uint32_t offset, uint32_t length, unsigned reason, const char *field,
                           const char *detail, const void *raw);

#endif
