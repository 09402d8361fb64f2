/* SPDX-License-Identifier: MIT */
/* Packs and reads the payload of a ROWS message. */

/*  DESIGN
 *
 *  msgpack-c packs. Reading is done here, straight from the payload into values: the grammar is small, every record passes
 *  here, and msgpack-c would make an object of each value first (measured: three times the instructions), allocating what
 *  an array's head claims before it has seen the elements, so that a guard would have to go over all heads before.
 *
 *  Nothing in a payload is trusted: every number and string lies inside it, no count is believed beyond what the grammar
 *  and the stream have room for, only the grammar's kinds occur, texts are UTF-8; specs ascend, rows that are always made
 *  are there, each row has a value for each of its columns. A record is good as a whole or the payload is refused.
 */
#include "common/rows.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/position.h"
#include "common/utf8.h"

enum { S_NOTES_MAX = 4096 };

static const struct {
    const char *word;
    const char *sentence;
} s_notes[PR_NOTE_KINDS] = {
#define X(name, number, text, says) [number] = {text, says},
    PR_NOTES(X)
#undef X
};

const char *pr_note_word(unsigned kind) {
    return kind < PR_NOTE_KINDS && s_notes[kind].word != NULL ? s_notes[kind].word : "unknown";
}

const char *pr_note_sentence(unsigned kind) {
    return kind < PR_NOTE_KINDS && s_notes[kind].word != NULL ? s_notes[kind].sentence : "unknown";
}

/* ---- packing ---- */

void pr_rows_pack_notes(msgpack_packer *packer, const pr_note_t *notes, size_t count) {
    msgpack_pack_array(packer, count);
    for (size_t i = 0; i < count; i++) {
        msgpack_pack_array(packer, 4);
        msgpack_pack_unsigned_int(packer, notes[i].kind);
        msgpack_pack_int(packer, notes[i].field);
        msgpack_pack_uint64(packer, notes[i].count);
        msgpack_pack_uint64(packer, notes[i].first);
    }
}

void pr_rows_pack_accepted(msgpack_packer *packer, uint32_t offset, uint32_t length, size_t rows) {
    msgpack_pack_array(packer, 2 + rows);
    msgpack_pack_uint32(packer, offset);
    msgpack_pack_uint32(packer, length);
}

void pr_rows_pack_row(msgpack_packer *packer, unsigned spec, size_t values) {
    msgpack_pack_array(packer, 1 + values);
    msgpack_pack_unsigned_int(packer, spec);
}

static void s_pack_text(msgpack_packer *packer, const char *text, size_t size) {
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, text, size);
}

void pr_rows_pack_value(msgpack_packer *packer, const pr_value_t *value) {
    switch (value->kind) {
    case PR_NULL:
        msgpack_pack_nil(packer);
        break;
    case PR_INTEGER:
        msgpack_pack_int64(packer, value->integer);
        break;
    case PR_REAL:
        msgpack_pack_double(packer, value->real);
        break;
    case PR_TEXT:
        s_pack_text(packer, value->text.data, value->text.size);
        break;
    }
}

static void s_pack_optional(msgpack_packer *packer, const char *text) {
    if (text == NULL) {
        msgpack_pack_nil(packer);
    } else {
        s_pack_text(packer, text, strlen(text));
    }
}

void pr_rows_pack_rejected(msgpack_packer *packer, uint32_t offset, uint32_t length, unsigned reason, const char *field,
                           const char *detail, const void *raw) {
    msgpack_pack_array(packer, 6);
    msgpack_pack_uint32(packer, offset);
    msgpack_pack_uint32(packer, length);
    msgpack_pack_unsigned_int(packer, reason);
    s_pack_optional(packer, field);
    s_pack_optional(packer, detail);
    msgpack_pack_bin(packer, length);
    msgpack_pack_bin_body(packer, raw, length);
}

/* ---- MessagePack items (github.com/msgpack/msgpack/blob/master/spec.md), those of the grammar ---- */

typedef struct {
    const uint8_t *at, *end;
} s_cursor_t;

typedef enum { S_NIL, S_UNSIGNED, S_NEGATIVE, S_REAL, S_STR, S_BIN, S_ARRAY } s_type_t;

typedef struct {
    s_type_t type;
    size_t size; /* of an array: items that follow; of str and bin: bytes */
    union {
        uint64_t number;  /* S_UNSIGNED */
        int64_t negative; /* below 0 */
        double real;
        const char *data; /* str and bin; in the payload */
    };
} s_item_t;

/* The big-endian number of width bytes: 1, 2, 4 or 8. */
static uint64_t s_number(const uint8_t *at, unsigned width) {
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (width) {
    case 1:
        return *at;
    case 2:
        memcpy(&two, at, sizeof(two));
        return be16toh(two);
    case 4:
        memcpy(&four, at, sizeof(four));
        return be32toh(four);
    default:
        memcpy(&eight, at, sizeof(eight));
        return be64toh(eight);
    }
}

/* That number; false if its bytes are not all there. */
static bool s_take(s_cursor_t *cursor, unsigned width, uint64_t *ret_number) {
    if ((size_t)(cursor->end - cursor->at) < width) {
        return false;
    }
    *ret_number = s_number(cursor->at, width);
    cursor->at += width;
    return true;
}

/* The bytes of a str or bin, whose size is known. */
static bool s_take_bytes(s_cursor_t *cursor, s_type_t type, uint64_t size, s_item_t *ret_item) {
    if (size > (uint64_t)(cursor->end - cursor->at)) {
        return false;
    }
    ret_item->type = type;
    ret_item->size = (size_t)size;
    ret_item->data = (const char *)cursor->at;
    cursor->at += size;
    return true;
}

static bool s_take_unsigned(s_cursor_t *cursor, unsigned width, s_item_t *ret_item) {
    ret_item->type = S_UNSIGNED;
    return s_take(cursor, width, &ret_item->number);
}

static bool s_take_signed(s_cursor_t *cursor, unsigned width, s_item_t *ret_item) {
    uint64_t number;
    if (!s_take(cursor, width, &number)) {
        return false;
    }
    uint64_t sign = UINT64_C(1) << (8 * width - 1);
    int64_t value = (int64_t)((number ^ sign) - sign);
    ret_item->type = value < 0 ? S_NEGATIVE : S_UNSIGNED;
    ret_item->negative = value;
    return true;
}

static bool s_take_real(s_cursor_t *cursor, s_item_t *ret_item) {
    uint64_t bits;
    if (!s_take(cursor, 8, &bits)) {
        return false;
    }
    ret_item->type = S_REAL;
    memcpy(&ret_item->real, &bits, sizeof(bits));
    return true;
}

static bool s_take_array(uint64_t size, s_item_t *ret_item) {
    ret_item->type = S_ARRAY;
    ret_item->size = (size_t)size;
    return true;
}

/* An item whose head says in its own byte all that there is to say of size or value. */
static bool s_take_short(s_cursor_t *cursor, unsigned head, s_item_t *ret_item) {
    if (head <= 0x7f) {
        ret_item->type = S_UNSIGNED;
        ret_item->number = head;
        return true;
    }
    if (head >= 0xe0) {
        ret_item->type = S_NEGATIVE;
        ret_item->negative = (int64_t)head - 0x100;
        return true;
    }
    if (head >= 0xa0 && head <= 0xbf) {
        return s_take_bytes(cursor, S_STR, head & 0x1f, ret_item);
    }
    return head >= 0x90 && head <= 0x9f && s_take_array(head & 0x0f, ret_item);
}

/* The next item; of an array its head alone. */
static inline bool s_item(s_cursor_t *cursor, s_item_t *ret_item) {
    uint64_t size;
    if (cursor->at == cursor->end) {
        return false;
    }
    unsigned head = *cursor->at++;
    switch (head) {
    case 0xc0:
        ret_item->type = S_NIL;
        return true;
    case 0xc4: /* bin 8, 16, 32 */
    case 0xc5:
    case 0xc6:
        return s_take(cursor, 1U << (head - 0xc4), &size) && s_take_bytes(cursor, S_BIN, size, ret_item);
    case 0xcb: /* float 64 */
        return s_take_real(cursor, ret_item);
    case 0xcc: /* uint 8, 16, 32, 64 */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return s_take_unsigned(cursor, 1U << (head - 0xcc), ret_item);
    case 0xd0: /* int 8, 16, 32, 64 */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return s_take_signed(cursor, 1U << (head - 0xd0), ret_item);
    case 0xd9: /* str 8, 16, 32 */
    case 0xda:
    case 0xdb:
        return s_take(cursor, 1U << (head - 0xd9), &size) && s_take_bytes(cursor, S_STR, size, ret_item);
    case 0xdc: /* array 16, 32 */
    case 0xdd:
        return s_take(cursor, 2U << (head - 0xdc), &size) && s_take_array(size, ret_item);
    default: /* maps, extensions, booleans, float 32: not in the grammar */
        return s_take_short(cursor, head, ret_item);
    }
}

/* ---- reading ---- */

struct pr_rows_reader {
    const pr_stream_t *stream;
    s_cursor_t cursor;
    size_t size;
    uint64_t ordinal; /* records read so far, for messages */
    pr_note_t *notes;
    size_t notes_count;
    pr_row_t *rows;      /* room for one of each spec */
    pr_value_t **values; /* for each spec, room for its columns */
    size_t *wanted;      /* for each spec, how many values travel */
};

static bool s_array(s_cursor_t *cursor, size_t *ret_size) {
    s_item_t item;
    if (!s_item(cursor, &item) || item.type != S_ARRAY) {
        return false;
    }
    *ret_size = item.size;
    return true;
}

static bool s_unsigned(s_cursor_t *cursor, uint64_t max, uint64_t *ret_number) {
    s_item_t item;
    if (!s_item(cursor, &item) || item.type != S_UNSIGNED || item.number > max) {
        return false;
    }
    *ret_number = item.number;
    return true;
}

static bool s_uint32(s_cursor_t *cursor, uint32_t *ret_number) {
    uint64_t number;
    if (!s_unsigned(cursor, UINT32_MAX, &number)) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

static bool s_value(s_cursor_t *cursor, pr_value_t *ret_value) {
    s_item_t item;
    if (!s_item(cursor, &item)) {
        return false;
    }
    switch (item.type) {
    case S_NIL:
        *ret_value = pr_value_null();
        return true;
    case S_UNSIGNED:
        *ret_value = pr_value_integer((int64_t)item.number);
        return item.number <= INT64_MAX;
    case S_NEGATIVE:
        *ret_value = pr_value_integer(item.negative);
        return true;
    case S_REAL:
        *ret_value = pr_value_real(item.real);
        return true;
    case S_STR:
        *ret_value = pr_value_text(item.data, item.size);
        return pr_utf8_is_valid(item.data, item.size);
    case S_BIN:
    case S_ARRAY:
        break;
    }
    return false;
}

static bool s_optional_text(s_cursor_t *cursor, pr_value_t *ret_value) {
    return s_value(cursor, ret_value) && (ret_value->kind == PR_NULL || ret_value->kind == PR_TEXT);
}

/* The field of a note: an index into the stream's fields, or -1. */
static bool s_note_field(const pr_stream_t *stream, s_cursor_t *cursor, int *ret_field) {
    s_item_t item;
    if (!s_item(cursor, &item)) {
        return false;
    }
    if (item.type == S_NEGATIVE && item.negative == -1) {
        *ret_field = -1;
        return true;
    }
    if (item.type != S_UNSIGNED || item.number > INT32_MAX || item.number >= stream->fields_count) {
        return false;
    }
    *ret_field = (int)item.number;
    return true;
}

static bool s_note(const pr_stream_t *stream, s_cursor_t *cursor, pr_note_t *ret_note) {
    size_t size;
    uint64_t kind;
    if (!s_array(cursor, &size) || size != 4 || !s_unsigned(cursor, PR_NOTE_KINDS - 1, &kind) || kind == 0) {
        return false;
    }
    ret_note->kind = (unsigned)kind;
    return s_note_field(stream, cursor, &ret_note->field) && s_unsigned(cursor, INT64_MAX, &ret_note->count) &&
           s_unsigned(cursor, INT64_MAX, &ret_note->first);
}

static bool s_read_notes(pr_rows_reader_t *self) {
    size_t count;
    if (!s_array(&self->cursor, &count) || count > S_NOTES_MAX) {
        return false;
    }
    self->notes = pr_xcalloc(count, sizeof(*self->notes));
    for (size_t i = 0; i < count; i++) {
        if (!s_note(self->stream, &self->cursor, &self->notes[i])) {
            return false;
        }
        self->notes_count++;
    }
    return true;
}

static void s_make_room(pr_rows_reader_t *self) {
    const pr_stream_t *stream = self->stream;
    self->rows = pr_xcalloc(stream->rows_count, sizeof(*self->rows));
    self->values = pr_xcalloc(stream->rows_count, sizeof(*self->values));
    self->wanted = pr_xcalloc(stream->rows_count, sizeof(*self->wanted));
    for (size_t i = 0; i < stream->rows_count; i++) {
        self->values[i] = pr_xcalloc(stream->rows[i].columns_count, sizeof(**self->values));
        for (size_t k = 0; k < stream->rows[i].columns_count; k++) {
            self->wanted[i] += stream->rows[i].columns[k].op != PR_OP_PARENT;
        }
    }
}

pr_rows_reader_t *pr_rows_reader_new(const pr_stream_t *stream, const void *data, size_t size, pr_error_t *err) {
    pr_rows_reader_t *self = pr_xcalloc(1, sizeof(*self));
    self->stream = stream;
    self->cursor = (s_cursor_t){.at = data, .end = (const uint8_t *)data + size};
    self->size = size;
    s_make_room(self);
    if (!s_read_notes(self)) {
        pr_error_set(err, PR_E_PROTOCOL, "rows payload of %zu bytes for stream %s: its notes are malformed", size,
                     stream->name);
        pr_rows_reader_destroy(&self);
    }
    return self;
}

void pr_rows_reader_destroy(pr_rows_reader_t **reader) {
    pr_rows_reader_t *self = *reader;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->stream->rows_count; i++) {
        free(self->values[i]);
    }
    free(self->values);
    free(self->wanted);
    free(self->rows);
    free(self->notes);
    free(self);
    *reader = NULL;
}

const pr_note_t *pr_rows_reader_notes(const pr_rows_reader_t *reader, size_t *ret_count) {
    *ret_count = reader->notes_count;
    return reader->notes;
}

/* One row of an accepted record, behind its array's head. least: its spec must not be below. */
static bool s_row(pr_rows_reader_t *self, size_t size, uint64_t least, pr_row_t *ret_row) {
    uint64_t spec;
    if (size == 0 || !s_unsigned(&self->cursor, UINT32_MAX, &spec) || spec < least ||
        spec >= self->stream->rows_count || size != 1 + self->wanted[spec]) {
        return false;
    }
    const pr_row_spec_t *row = &self->stream->rows[spec];
    pr_value_t *values = self->values[spec];
    for (size_t i = 0; i < row->columns_count; i++) {
        if (row->columns[i].op == PR_OP_PARENT) {
            values[i] = pr_value_null();
        } else if (!s_value(&self->cursor, &values[i])) {
            return false;
        }
    }
    ret_row->spec = (unsigned)spec;
    ret_row->values = values;
    return true;
}

/* May all specs in [from, to) be left out? */
static bool s_may_skip(const pr_stream_t *stream, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (stream->rows[i].if_present < 0) {
            return false;
        }
    }
    return true;
}

/* `size`: of the first row's array, whose head has been read. */
static bool s_accepted(pr_rows_reader_t *self, size_t size, size_t count, pr_rows_record_t *record) {
    size_t next = 0; /* the least spec that may come */
    if (count > self->stream->rows_count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && !s_array(&self->cursor, &size)) || !s_row(self, size, next, &self->rows[i]) ||
            !s_may_skip(self->stream, next, self->rows[i].spec)) {
            return false;
        }
        next = (size_t)self->rows[i].spec + 1;
    }
    record->rows = self->rows;
    record->rows_count = count;
    return s_may_skip(self->stream, next, self->stream->rows_count);
}

/* Behind the reason. */
static bool s_rejected(pr_rows_reader_t *self, const s_item_t *reason, pr_rows_record_t *record) {
    s_item_t raw;
    if (reason->type != S_UNSIGNED || reason->number >= PR_REJECT_REASONS || reason->number == PR_R_NONE ||
        !s_optional_text(&self->cursor, &record->field) || !s_optional_text(&self->cursor, &record->detail) ||
        !s_item(&self->cursor, &raw) || raw.type != S_BIN || raw.size != record->length) {
        return false;
    }
    record->reason = (unsigned)reason->number;
    record->raw = pr_value_text(raw.data, raw.size);
    return true;
}

static bool s_record(pr_rows_reader_t *self, pr_rows_record_t *record) {
    size_t size;
    s_item_t third;
    if (!s_array(&self->cursor, &size) || size < 3 || !s_uint32(&self->cursor, &record->offset) ||
        !s_uint32(&self->cursor, &record->length) || record->length > UINT32_MAX - record->offset ||
        !s_item(&self->cursor, &third)) {
        return false;
    }
    if (third.type == S_ARRAY) {
        return s_accepted(self, third.size, size - 2, record);
    }
    return size == 6 && s_rejected(self, &third, record);
}

int pr_rows_reader_next(pr_rows_reader_t *reader, pr_rows_record_t *ret_record, pr_error_t *err) {
    pr_rows_record_t record = {0};
    const uint8_t *at = reader->cursor.at;

    if (at == reader->cursor.end) {
        return 0;
    }
    if (!s_record(reader, &record)) {
        reader->cursor.at = at; /* asked again, it fails again */
        return pr_error_set(err, PR_E_PROTOCOL,
                            "rows payload of %zu bytes for stream %s: record %llu at byte %zu is malformed",
                            reader->size, reader->stream->name, (unsigned long long)pr_record_number(reader->ordinal),
                            reader->size - (size_t)(reader->cursor.end - at));
    }
    reader->ordinal++;
    *ret_record = record;
    return 1;
}
