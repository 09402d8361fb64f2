/* SPDX-License-Identifier: MIT */
/* Records to rows: parse, check, convert, pack. */

/*  DESIGN
 *
 *  A record passes four gates: parse (JSON, UTF-8), match (which key is which field: duplicate, unknown, missing), convert
 *  (each field to a value: type, NULL, range), pack (each column from the values: maps, dates, templates). What does not
 *  get through the first is rejected there; the others add to the record's problems, one a field, and let it pass on, so
 *  that all are told. Pack writes into a scratch buffer as it goes; if there is a problem at the end the buffer is cut
 *  back and the reject is packed instead. The notes stand first in the payload but are known last: hence the scratch.
 *
 *  Notes of a record are pending until it is accepted; a rejected record notes nothing.
 *
 *  Fields come in the same order record after record, so the order of the last record is remembered and only confirmed.
 */
#include "transformer/transform.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/error.h"
#include "common/json_record.h"
#include "common/rows.h"
#include "common/suggest.h"
#include "common/value.h"

enum { S_VALUE_BYTES = 512, S_DETAIL_BYTES = 1024, S_MORE_BYTES = sizeof "; and 18446744073709551615 more" };

/* Integers up to this are exact in the exporter's JavaScript numbers. */
#define S_EXACT_MAX (INT64_C(1) << 53)

/* What the transformer knows about a stream beside the mapping. */
typedef struct {
    const pr_stream_t *stream;
    size_t *name_sizes;   /* of the fields */
    size_t *values_count; /* of the row specs: columns that travel */
    int *order;           /* fields of the last record, by place; -1: unknown */
    size_t order_max;
} s_stream_t;

typedef struct {
    pr_reject_reason_t reason;
    const char *field;  /* NULL: none */
    const char *detail; /* NULL: none */
    char field_text[128];
    char detail_text[S_VALUE_BYTES];
} s_reject_t;

typedef struct {
    uint64_t count, first;
} s_tally_t;

struct pr_transformer {
    s_stream_t *streams;
    size_t streams_count;
    pr_json_parser_t *parser;
    const pr_json_field_t **found; /* by field, for the record at hand */
    pr_value_t *values;            /* by field */
    size_t fields_max;             /* of any stream */
    s_tally_t *tallies;            /* by slot, see s_slot */
    size_t *pending;               /* slots of the record at hand */
    size_t pending_count;
    char *text; /* a template's result */
    size_t text_size, text_capacity;
    msgpack_sbuffer scratch;
    s_reject_t reject;
    s_reject_t first;            /* problem of the record at hand, ... */
    char detail[S_DETAIL_BYTES]; /* ... its detail, and all others, ... */
    size_t detail_size;
    size_t left_out; /* ... but for so many that found no room */
    size_t problems;
    bool *bad; /* by field: it has a problem; if problems > 0 */
};

/* ---- life ---- */

static void s_stream_init(s_stream_t *self, const pr_stream_t *stream) {
    self->stream = stream;
    self->name_sizes = pr_xcalloc(stream->fields_count, sizeof(*self->name_sizes));
    self->values_count = pr_xcalloc(stream->rows_count, sizeof(*self->values_count));
    self->order_max = stream->fields_count;
    self->order = pr_xcalloc(self->order_max, sizeof(*self->order));
    for (size_t i = 0; i < stream->fields_count; i++) {
        self->name_sizes[i] = strlen(stream->fields[i].name);
        self->order[i] = (int)i;
    }
    for (size_t i = 0; i < stream->rows_count; i++) {
        for (size_t k = 0; k < stream->rows[i].columns_count; k++) {
            self->values_count[i] += stream->rows[i].columns[k].op != PR_OP_PARENT;
        }
    }
}

pr_transformer_t *pr_transformer_new(const pr_mapping_t *mapping) {
    pr_transformer_t *self = pr_xcalloc(1, sizeof(*self));
    self->parser = pr_json_parser_new();
    self->streams_count = mapping->streams_count;
    self->streams = pr_xcalloc(mapping->streams_count, sizeof(*self->streams));
    for (size_t i = 0; i < mapping->streams_count; i++) {
        s_stream_init(&self->streams[i], &mapping->streams[i]);
        if (mapping->streams[i].fields_count > self->fields_max) {
            self->fields_max = mapping->streams[i].fields_count;
        }
    }
    self->found = pr_xcalloc(self->fields_max, sizeof(const pr_json_field_t *));
    self->values = pr_xcalloc(self->fields_max, sizeof(*self->values));
    self->bad = pr_xcalloc(self->fields_max, sizeof(*self->bad));
    self->tallies = pr_xcalloc(PR_NOTE_KINDS * (self->fields_max + 1), sizeof(*self->tallies));
    self->pending = pr_xcalloc(PR_NOTE_KINDS * (self->fields_max + 1), sizeof(*self->pending));
    msgpack_sbuffer_init(&self->scratch);
    return self;
}

void pr_transformer_destroy(pr_transformer_t **transformer) {
    pr_transformer_t *self = *transformer;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->streams_count; i++) {
        free(self->streams[i].name_sizes);
        free(self->streams[i].values_count);
        free(self->streams[i].order);
    }
    free(self->streams);
    pr_json_parser_destroy(&self->parser);
    free(self->found);
    free(self->values);
    free(self->bad);
    free(self->tallies);
    free(self->pending);
    free(self->text);
    msgpack_sbuffer_destroy(&self->scratch);
    free(self);
    *transformer = NULL;
}

/* ---- notes ---- */

/* Where a note is counted; field -1: none. */
static size_t s_slot(const pr_transformer_t *self, pr_note_kind_t kind, int field) {
    return (size_t)kind * (self->fields_max + 1) + (size_t)(field + 1);
}

static void s_note(pr_transformer_t *self, pr_note_kind_t kind, int field) {
    self->pending[self->pending_count++] = s_slot(self, kind, field);
}

/* The record is accepted: its notes count. */
static void s_count_notes(pr_transformer_t *self, uint64_t ordinal) {
    for (size_t i = 0; i < self->pending_count; i++) {
        s_tally_t *tally = &self->tallies[self->pending[i]];
        if (tally->count == 0) {
            tally->first = ordinal;
        }
        tally->count++;
    }
}

static void s_pack_notes(pr_transformer_t *self, msgpack_packer *packer) {
    size_t slots = PR_NOTE_KINDS * (self->fields_max + 1), count = 0;
    pr_note_t *notes = pr_xcalloc(slots, sizeof(*notes));
    for (size_t slot = 0; slot < slots; slot++) {
        if (self->tallies[slot].count > 0) {
            notes[count] = (pr_note_t){.kind = (unsigned)(slot / (self->fields_max + 1)),
                                       .field = (int)(slot % (self->fields_max + 1)) - 1,
                                       .count = self->tallies[slot].count,
                                       .first = self->tallies[slot].first};
            count++;
        }
    }
    pr_rows_pack_notes(packer, notes, count);
    free(notes);
}

/* ---- rejects: each of these returns false, so that a gate can `return s_reject(...)` ---- */

/* Text as pr_value_print shows it, less the quotes. */
static const char *s_show_bare(const char *text, size_t text_size, char *buffer, size_t size) {
    pr_value_t value = pr_value_text(text, text_size);
    pr_value_print(&value, buffer, size);
    size_t used = strlen(buffer);
    memmove(buffer, buffer + 1, used - 2);
    buffer[used - 2] = '\0';
    return buffer;
}

static bool s_reject(pr_transformer_t *self, pr_reject_reason_t reason, const char *field) {
    self->reject.reason = reason;
    self->reject.field = field;
    self->reject.detail = NULL;
    return false;
}

/* field: a name as it stands in the record. */
static bool s_reject_name(pr_transformer_t *self, pr_reject_reason_t reason, const pr_json_field_t *field) {
    s_reject_t *reject = &self->reject;
    return s_reject(self, reason,
                    s_show_bare(field->name, field->name_size, reject->field_text, sizeof(reject->field_text)));
}

static bool s_reject_value(pr_transformer_t *self, pr_reject_reason_t reason, const char *field,
                           const pr_value_t *value) {
    s_reject_t *reject = &self->reject;
    s_reject(self, reason, field);
    reject->detail = pr_value_print(value, reject->detail_text, sizeof(reject->detail_text));
    return false;
}

/* Has a field of the record at hand a problem that was told already? */
static bool s_is_bad(const pr_transformer_t *self, int field) {
    return self->problems > 0 && field >= 0 && self->bad[field];
}

__attribute__((format(printf, 2, 3))) static bool s_tell(pr_transformer_t *self, const char *format, ...) {
    size_t room = sizeof(self->detail) - S_MORE_BYTES - self->detail_size;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(self->detail + self->detail_size, room, format, arguments);
    va_end(arguments);
    bool fits = size >= 0 && (size_t)size < room;
    self->detail_size += fits ? (size_t)size : 0;
    return fits;
}

static const char *s_separator(const pr_transformer_t *self) {
    return self->detail_size > 0 ? "; " : "";
}

/*  What was just rejected is one problem of the record, of this field (-1: of one that the mapping does not know). Those
 *  that follow the first are told in its detail; those that do not fit are counted there. */
static void s_add_problem(pr_transformer_t *self, int field) {
    const s_reject_t *reject = &self->reject;
    if (self->problems == 0) {
        memset(self->bad, 0, self->fields_max * sizeof(*self->bad));
    }
    if (field >= 0 && self->bad[field]) {
        return;
    }
    if (field >= 0) {
        self->bad[field] = true;
    }
    if (self->problems++ == 0) {
        self->first = *reject;
        self->first.field = reject->field == reject->field_text ? self->first.field_text : reject->field;
        self->detail_size = self->left_out = 0;
        s_tell(self, "%s", reject->detail != NULL ? reject->detail : "");
    } else if (!s_tell(self, "%salso %s: %s%s%s", s_separator(self), reject->field, pr_reject_word(reject->reason),
                       reject->detail != NULL ? " " : "", reject->detail != NULL ? reject->detail : "")) {
        self->left_out++;
    }
}

/* The record is rejected with all its problems, if it has any. */
static bool s_settle(pr_transformer_t *self) {
    if (self->problems == 0) {
        return true;
    }
    self->detail[self->detail_size] = '\0'; /* what did not fit may lie behind */
    if (self->left_out > 0) {
        snprintf(self->detail + self->detail_size, S_MORE_BYTES, "%sand %zu more", s_separator(self), self->left_out);
    }
    self->reject.reason = self->first.reason;
    self->reject.field = self->first.field;
    self->reject.detail = self->detail[0] != '\0' ? self->detail : NULL;
    return false;
}

/* A JSON value, as it stands in the record. */
static const char *s_show_json(const pr_json_field_t *json, char *buffer, size_t size) {
    pr_value_t value = pr_value_null();
    switch (json->kind) {
    case PR_JSON_NULL:
        break;
    case PR_JSON_INTEGER:
        value = pr_value_integer(json->integer);
        break;
    case PR_JSON_TEXT:
        value = pr_value_text(json->text, json->text_size);
        break;
    case PR_JSON_BOOLEAN:
        snprintf(buffer, size, "%s", json->integer != 0 ? "true" : "false");
        return buffer;
    case PR_JSON_REAL:
    case PR_JSON_BIG_INTEGER:
    case PR_JSON_BIG_REAL:
    case PR_JSON_CONTAINER:
        return s_show_bare(json->text, json->text_size, buffer, size);
    }
    return pr_value_print(&value, buffer, size);
}

static bool s_reject_json(pr_transformer_t *self, pr_reject_reason_t reason, const pr_field_t *field,
                          const pr_json_field_t *json) {
    s_reject_t *reject = &self->reject;
    s_reject(self, reason, field->name);
    reject->detail = s_show_json(json, reject->detail_text, sizeof(reject->detail_text));
    return false;
}

/* Does a value map read the field? Then a value of another type is just one more that the map does not know. */
static bool s_is_mapped(const pr_stream_t *stream, int index) {
    for (size_t i = 0; i < stream->rows_count; i++) {
        for (size_t k = 0; k < stream->rows[i].columns_count; k++) {
            const pr_column_t *column = &stream->rows[i].columns[k];
            if (column->op == PR_OP_MAP && column->field == index) {
                return true;
            }
        }
    }
    return false;
}

/*  What is wrong, and where: jansson says it better than who looks for speed, and a malformed record is rare. Of its words
 *  only those before "near" are taken, which are its own. If it finds nothing wrong, nothing more is told. */
static bool s_reject_malformed(pr_transformer_t *self, const char *record, size_t size) {
    s_reject_t *reject = &self->reject;
    json_error_t why;
    s_reject(self, PR_R_MALFORMED_JSON, NULL);
    json_t *json = json_loadb(record, size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
    if (json == NULL && why.position >= 0) {
        int line = 0;
        const char *slip = pr_suggest_json(record, size, (size_t)why.position, &line);
        const char *near = strstr(why.text, " near ");
        snprintf(reject->detail_text, sizeof(reject->detail_text), "%.*s, before byte %d of the record",
                 slip != NULL   ? (int)strlen(slip)
                 : near != NULL ? (int)(near - why.text)
                                : (int)strlen(why.text),
                 slip != NULL ? slip : why.text, why.position);
        reject->detail = reject->detail_text;
    }
    json_decref(json);
    return false;
}

static bool s_reject_type(pr_transformer_t *self, const pr_field_t *field, const pr_json_field_t *json) {
    static const char *const expected[] = {
        [PR_TYPE_TEXT] = "text", [PR_TYPE_INTEGER] = "an integer", [PR_TYPE_REAL] = "a number"};
    s_reject_t *reject = &self->reject;
    char shown[200];
    s_reject(self, PR_R_WRONG_TYPE, field->name);
    snprintf(reject->detail_text, sizeof(reject->detail_text), "%s, expected %s",
             s_show_json(json, shown, sizeof(shown)), expected[field->type]);
    reject->detail = reject->detail_text;
    return false;
}

/* ---- match: which key is which field ---- */

static bool s_is_field(const s_stream_t *stream, int index, const pr_json_field_t *json) {
    return index >= 0 && stream->name_sizes[index] == json->name_size &&
           memcmp(stream->stream->fields[index].name, json->name, json->name_size) == 0;
}

/* The field that the record's place-th key names, or -1. */
static int s_field_at(s_stream_t *stream, size_t place, const pr_json_field_t *json) {
    if (place < stream->order_max && s_is_field(stream, stream->order[place], json)) {
        return stream->order[place];
    }
    int index = pr_stream_field_index(stream->stream, json->name, json->name_size);
    if (place < stream->order_max) {
        stream->order[place] = index;
    }
    return index;
}

/* How many of the keys before this one are the same. */
static size_t s_count_same_before(const pr_json_field_t *fields, size_t at) {
    size_t count = 0;
    for (size_t k = 0; k < at; k++) {
        count += fields[at].name_size == fields[k].name_size &&
                 memcmp(fields[at].name, fields[k].name, fields[at].name_size) == 0;
    }
    return count;
}

/* Each key that stands more than once is a problem. Called only when there is reason to look. */
static void s_add_duplicates(pr_transformer_t *self, const pr_stream_t *stream, const pr_json_field_t *fields,
                             size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (s_count_same_before(fields, i) == 1) {
            s_reject_name(self, PR_R_DUPLICATE_KEY, &fields[i]);
            s_add_problem(self, pr_stream_field_index(stream, fields[i].name, fields[i].name_size));
        }
    }
}

/* Each key that the mapping does not know is one. */
static void s_add_unknown(pr_transformer_t *self, const pr_stream_t *stream, const pr_json_field_t *fields,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (pr_stream_field_index(stream, fields[i].name, fields[i].name_size) < 0 &&
            s_count_same_before(fields, i) == 0) {
            s_reject_name(self, PR_R_UNKNOWN_FIELD, &fields[i]);
            s_add_problem(self, -1);
        }
    }
}

static void s_match(pr_transformer_t *self, s_stream_t *stream, const pr_json_field_t *fields, size_t count) {
    size_t fields_count = stream->stream->fields_count, known = 0;
    bool suspect = false, unknown = false;

    memset(self->found, 0, fields_count * sizeof(const pr_json_field_t *));
    for (size_t i = 0; i < count; i++) {
        int index = s_field_at(stream, i, &fields[i]);
        if (index < 0) {
            suspect = suspect || unknown;
            unknown = true;
        } else if (self->found[index] != NULL) {
            suspect = true;
        } else {
            self->found[index] = &fields[i];
            known++;
        }
    }
    if (suspect) {
        s_add_duplicates(self, stream->stream, fields, count);
    }
    if (unknown && stream->stream->unknown_fields_warn) {
        s_note(self, PR_NOTE_UNKNOWN_FIELD, -1);
    } else if (unknown) {
        s_add_unknown(self, stream->stream, fields, count);
    }
    for (size_t i = 0; known < fields_count && i < fields_count; i++) {
        if (self->found[i] == NULL) {
            s_reject(self, PR_R_MISSING_FIELD, stream->stream->fields[i].name);
            s_add_problem(self, (int)i);
        }
    }
}

/* ---- convert: JSON to values ---- */

static bool s_convert_integer(pr_transformer_t *self, const pr_field_t *field, int index, const pr_json_field_t *json) {
    if (json->kind == PR_JSON_BIG_INTEGER) {
        return s_reject_json(self, PR_R_INTEGER_RANGE, field, json);
    }
    if (json->kind != PR_JSON_INTEGER) {
        return s_reject_type(self, field, json);
    }
    if (json->integer > S_EXACT_MAX || json->integer < -S_EXACT_MAX) {
        s_note(self, PR_NOTE_ROUNDED_INTEGER, index);
    }
    self->values[index] = pr_value_integer(json->integer);
    return true;
}

static bool s_convert_real(pr_transformer_t *self, const pr_field_t *field, int index, const pr_json_field_t *json) {
    if (json->kind == PR_JSON_INTEGER) {
        self->values[index] = pr_value_real((double)json->integer);
        return true;
    }
    if (json->kind != PR_JSON_REAL && json->kind != PR_JSON_BIG_INTEGER && json->kind != PR_JSON_BIG_REAL) {
        return s_reject_type(self, field, json);
    }
    if (!isfinite(json->real)) {
        return s_reject_json(self, PR_R_REAL_RANGE, field, json);
    }
    self->values[index] = pr_value_real(json->real);
    return true;
}

static bool s_is_null_text(const pr_json_field_t *json) {
    return json->kind == PR_JSON_TEXT && json->text_size == 4 && memcmp(json->text, "null", 4) == 0;
}

static bool s_convert_field(pr_transformer_t *self, const pr_stream_t *stream, int index, bool null_text) {
    const pr_field_t *field = &stream->fields[index];
    const pr_json_field_t *json = self->found[index];

    if (json->kind == PR_JSON_NULL) {
        self->values[index] = pr_value_null();
        return field->nullable || s_reject(self, PR_R_NULL_VALUE, field->name);
    }
    if (field->nullable && s_is_null_text(json)) {
        s_note(self, null_text ? PR_NOTE_NULL_TEXT : PR_NOTE_NULL_TEXT_KEPT, index);
        if (null_text) {
            self->values[index] = pr_value_null();
            return true;
        }
    }
    switch (field->type) {
    case PR_TYPE_INTEGER:
        return s_convert_integer(self, field, index, json);
    case PR_TYPE_REAL:
        return s_convert_real(self, field, index, json);
    case PR_TYPE_TEXT:
        if (json->kind != PR_JSON_TEXT) {
            return s_is_mapped(stream, index) ? s_reject_json(self, PR_R_UNKNOWN_VALUE, field, json)
                                              : s_reject_type(self, field, json);
        }
        self->values[index] = pr_value_text(json->text, json->text_size);
        return true;
    }
    return false;
}

static void s_convert(pr_transformer_t *self, const pr_stream_t *stream, bool null_text) {
    for (size_t i = 0; i < stream->fields_count; i++) {
        if (self->found[i] != NULL && !s_convert_field(self, stream, (int)i, null_text)) {
            s_add_problem(self, (int)i);
        }
    }
}

/* ---- pack: values to columns ---- */

/* An sbuffer that cannot fail. */
static int s_write(void *buffer, const char *bytes, size_t size) {
    if (msgpack_sbuffer_write(buffer, bytes, size) != 0) {
        abort(); /* out of memory, as in common/alloc.h */
    }
    return 0;
}

static int s_two_digits(const char *text) {
    bool digits = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';
    return digits ? (text[0] - '0') * 10 + (text[1] - '0') : -1;
}

/* Does the text begin with a day of the Gregorian calendar, YYYY-MM-DD? */
static bool s_is_date(const char *text, size_t size) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (size < 10 || text[4] != '-' || text[7] != '-') {
        return false;
    }
    int century = s_two_digits(text), year = s_two_digits(text + 2);
    int month = s_two_digits(text + 5), day = s_two_digits(text + 8);
    if (century < 0 || year < 0 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = year % 4 == 0 && (year != 0 || century % 4 == 0);
    return day <= days[month - 1] + (month == 2 && leap);
}

static void s_text_add(pr_transformer_t *self, const char *text, size_t size) {
    if (self->text_size + size > self->text_capacity) {
        self->text_capacity = 2 * (self->text_size + size);
        self->text = pr_xrealloc(self->text, self->text_capacity);
    }
    if (size > 0) {
        memcpy(self->text + self->text_size, text, size);
        self->text_size += size;
    }
}

/* Encoded for an e-mail's local part; injective: = itself is encoded too. */
static void s_text_add_address(pr_transformer_t *self, const char *text, size_t size) {
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '-' || c == '_';
        char encoded[3] = {'=', digits[c >> 4], digits[c & 15]};
        s_text_add(self, plain ? &text[i] : encoded, plain ? 1 : sizeof(encoded));
    }
}

static bool s_template_field(pr_transformer_t *self, const pr_stream_t *stream, const pr_template_part_t *part) {
    const pr_value_t *value = &self->values[part->field];
    char digits[32];

    switch (value->kind) {
    case PR_NULL:
        return s_reject(self, PR_R_NULL_VALUE, stream->fields[part->field].name);
    case PR_INTEGER:
        s_text_add(self, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, value->integer));
        return true;
    case PR_REAL: /* lint allows no real in a template */
        return s_reject_value(self, PR_R_WRONG_TYPE, stream->fields[part->field].name, value);
    case PR_TEXT:
        if (part->address) {
            s_text_add_address(self, value->text.data, value->text.size);
        } else {
            s_text_add(self, value->text.data, value->text.size);
        }
        return true;
    }
    return false;
}

static void s_template(pr_transformer_t *self, const pr_stream_t *stream, const pr_column_t *column,
                       pr_value_t *ret_value) {
    self->text_size = 0;
    for (size_t i = 0; i < column->parts_count; i++) {
        const pr_template_part_t *part = &column->parts[i];
        if (s_is_bad(self, part->field)) {
            continue;
        }
        if (part->field < 0) {
            s_text_add(self, part->literal, part->literal_size);
        } else if (!s_template_field(self, stream, part)) {
            s_add_problem(self, part->field);
        }
    }
    *ret_value = pr_value_text(self->text, self->text_size);
}

/* A value that the map has not; its nearest one is told. */
static bool s_reject_unknown(pr_transformer_t *self, const char *field, const pr_value_map_t *map,
                             const pr_value_t *from) {
    s_reject_t *reject = &self->reject;
    char shown[256];
    pr_suggest_t near = pr_suggest_begin("", 0);
    if (from->kind == PR_TEXT) {
        near = pr_suggest_begin(from->text.data, from->text.size);
        for (size_t i = 0; i < map->count; i++) {
            pr_suggest_offer(&near, map->entries[i].from.text.data);
        }
    }
    s_reject(self, PR_R_UNKNOWN_VALUE, field);
    snprintf(reject->detail_text, sizeof(reject->detail_text), "%s%s", pr_value_print(from, shown, sizeof(shown)),
             pr_suggest_text(&near));
    reject->detail = reject->detail_text;
    return false;
}

static bool s_map(pr_transformer_t *self, const pr_stream_t *stream, const pr_column_t *column, pr_value_t *ret_value) {
    const pr_value_t *from = &self->values[column->field];
    const pr_value_t *to =
        from->kind == PR_TEXT ? pr_value_map_get(column->map, from->text.data, from->text.size) : NULL;
    if (to == NULL) {
        return s_reject_unknown(self, stream->fields[column->field].name, column->map, from);
    }
    *ret_value = *to;
    return true;
}

static bool s_date(pr_transformer_t *self, const pr_stream_t *stream, const pr_column_t *column,
                   pr_value_t *ret_value) {
    const pr_value_t *from = &self->values[column->field];
    const char *name = stream->fields[column->field].name;
    if (from->kind == PR_NULL) {
        return s_reject(self, PR_R_NULL_VALUE, name);
    }
    if (from->kind != PR_TEXT || !s_is_date(from->text.data, from->text.size)) {
        return s_reject_value(self, PR_R_BAD_DATE, name, from);
    }
    *ret_value = pr_value_text(from->text.data, 10);
    return true;
}

static void s_pack_column(pr_transformer_t *self, const pr_stream_t *stream, const pr_column_t *column,
                          msgpack_packer *packer) {
    pr_value_t made;
    const pr_value_t *value = &made;
    bool good = true;

    if (s_is_bad(self, column->field) && column->op != PR_OP_CONSTANT && column->op != PR_OP_TEMPLATE) {
        return;
    }
    switch (column->op) {
    case PR_OP_PARENT:
        return; /* the writer knows the id */
    case PR_OP_COPY:
    case PR_OP_LOOKUP:
        value = &self->values[column->field];
        break;
    case PR_OP_CONSTANT:
        value = &column->constant;
        break;
    case PR_OP_MAP:
        good = s_map(self, stream, column, &made);
        break;
    case PR_OP_DATE:
        good = s_date(self, stream, column, &made);
        break;
    case PR_OP_TEMPLATE:
        s_template(self, stream, column, &made);
        break;
    }
    if (good) {
        pr_rows_pack_value(packer, value);
    } else {
        s_add_problem(self, column->field);
    }
}

static bool s_is_made(const pr_transformer_t *self, const pr_row_spec_t *row) {
    return row->if_present < 0 || s_is_bad(self, row->if_present) || self->values[row->if_present].kind != PR_NULL;
}

static bool s_pack_record(pr_transformer_t *self, const s_stream_t *cache, pr_slice_t slice, msgpack_packer *packer) {
    const pr_stream_t *stream = cache->stream;
    size_t rows = 0;

    for (size_t i = 0; i < stream->rows_count; i++) {
        rows += s_is_made(self, &stream->rows[i]);
    }
    pr_rows_pack_accepted(packer, slice.offset, slice.length, rows);
    for (size_t i = 0; i < stream->rows_count; i++) {
        const pr_row_spec_t *row = &stream->rows[i];
        if (!s_is_made(self, row)) {
            continue;
        }
        pr_rows_pack_row(packer, (unsigned)i, cache->values_count[i]);
        for (size_t k = 0; k < row->columns_count; k++) {
            s_pack_column(self, stream, &row->columns[k], packer);
        }
    }
    return s_settle(self);
}

/* ---- the whole ---- */

/* One record, through all gates; false: rejected, the reject says why. */
static bool s_accept(pr_transformer_t *self, s_stream_t *stream, bool null_text, const char *record, pr_slice_t slice,
                     msgpack_packer *packer) {
    const pr_json_field_t *fields;
    size_t count;

    self->pending_count = 0;
    self->problems = 0;
    int reason = pr_json_parse_record(self->parser, record, slice.length, &fields, &count);
    if (reason == PR_R_MALFORMED_JSON) {
        return s_reject_malformed(self, record, slice.length);
    }
    if (reason != 0) {
        return s_reject(self, (pr_reject_reason_t)reason, NULL);
    }
    s_match(self, stream, fields, count);
    s_convert(self, stream->stream, null_text);
    return s_pack_record(self, stream, slice, packer);
}

static bool s_slices_fit(size_t size, const pr_slice_t *slices, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (slices[i].offset > size || slices[i].length > size - slices[i].offset) {
            return false;
        }
    }
    return true;
}

int pr_transform_batch(pr_transformer_t *transformer, unsigned stream, bool null_text, const char *bytes, size_t size,
                       const pr_slice_t *slices, size_t count, msgpack_sbuffer *out,
                       pr_transform_counts_t *ret_counts) {
    pr_transformer_t *self = transformer;
    pr_transform_counts_t counts = {0};
    msgpack_packer packer, out_packer;

    if (stream >= self->streams_count || !s_slices_fit(size, slices, count)) {
        return -PR_E_PROTOCOL;
    }
    msgpack_sbuffer_clear(&self->scratch);
    msgpack_packer_init(&packer, &self->scratch, s_write);
    memset(self->tallies, 0, PR_NOTE_KINDS * (self->fields_max + 1) * sizeof(*self->tallies));
    for (size_t i = 0; i < count; i++) {
        const char *record = bytes + slices[i].offset;
        size_t mark = self->scratch.size;
        if (s_accept(self, &self->streams[stream], null_text, record, slices[i], &packer)) {
            s_count_notes(self, i);
            counts.ok++;
            continue;
        }
        self->scratch.size = mark;
        pr_rows_pack_rejected(&packer, slices[i].offset, slices[i].length, self->reject.reason, self->reject.field,
                              self->reject.detail, record);
        counts.rejected++;
        counts.rejected_by_reason[self->reject.reason]++;
    }
    msgpack_packer_init(&out_packer, out, s_write);
    s_pack_notes(self, &out_packer);
    if (self->scratch.size > 0) {
        s_write(out, self->scratch.data, self->scratch.size);
    }
    *ret_counts = counts;
    return 0;
}
