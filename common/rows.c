/* SPDX-License-Identifier: MIT */
/* Packs and reads the payload of a ROWS message. */

/*  DESIGN
 *
 *  msgpack-c does the decoding, object by object, into a zone that is emptied before each. It allocates what an array's
 *  head claims before it has seen the elements, so s_check_object goes over an object's heads first: every array claims
 *  at most as many elements as there are bytes left, nothing is nested deeper than the grammar, every string lies inside
 *  the payload, and only the grammar's kinds occur. What msgpack-c then allocates is bounded by the payload's size.
 *
 *  The grammar is checked on the decoded objects against the stream: specs ascend, rows that are always made are there,
 *  each row has a value for each of its columns. A record is good as a whole or the payload is refused.
 */
#include "common/rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/utf8.h"

enum { S_NOTES_MAX = 4096, S_ZONE_BYTES = 16384, S_DEPTH_MAX = 3 };

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

/* ---- the guard: heads, before msgpack-c allocates for them ---- */

typedef struct {
    const uint8_t *at, *end;
} s_cursor_t;

/* A number of width bytes, big-endian; false if they are not all there. */
static bool s_take(s_cursor_t *cursor, unsigned width, size_t *ret_number) {
    size_t number = 0;
    if ((size_t)(cursor->end - cursor->at) < width) {
        return false;
    }
    for (unsigned i = 0; i < width; i++) {
        number = number << 8 | *cursor->at++;
    }
    *ret_number = number;
    return true;
}

static bool s_skip(s_cursor_t *cursor, size_t bytes) {
    if ((size_t)(cursor->end - cursor->at) < bytes) {
        return false;
    }
    cursor->at += bytes;
    return true;
}

static bool s_check_object(s_cursor_t *cursor, unsigned depth);

static bool s_check_array(s_cursor_t *cursor, size_t count, unsigned depth) {
    if (depth >= S_DEPTH_MAX || count > (size_t)(cursor->end - cursor->at)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!s_check_object(cursor, depth + 1)) {
            return false;
        }
    }
    return true;
}

/* Bytes of a head's own content (what follows it is counted by that), or that none is allowed. */
static bool s_check_object(s_cursor_t *cursor, unsigned depth) {
    size_t head, size = 0;
    if (!s_take(cursor, 1, &head)) {
        return false;
    }
    if (head <= 0x7f || head >= 0xe0 || head == 0xc0) { /* small integers, nil */
        return true;
    }
    if (head >= 0xa0 && head <= 0xbf) { /* fixstr */
        return s_skip(cursor, head & 0x1f);
    }
    if (head >= 0x90 && head <= 0x9f) { /* fixarray */
        return s_check_array(cursor, head & 0x0f, depth);
    }
    switch (head) {
    case 0xcb: /* float 64 */
        return s_skip(cursor, 8);
    case 0xcc: /* uint 8 to 64 */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return s_skip(cursor, (size_t)1 << (head - 0xcc));
    case 0xd0: /* int 8 to 64 */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return s_skip(cursor, (size_t)1 << (head - 0xd0));
    case 0xc4: /* bin 8 to 32 */
    case 0xc5:
    case 0xc6:
        return s_take(cursor, 1U << (head - 0xc4), &size) && s_skip(cursor, size);
    case 0xd9: /* str 8 to 32 */
    case 0xda:
    case 0xdb:
        return s_take(cursor, 1U << (head - 0xd9), &size) && s_skip(cursor, size);
    case 0xdc: /* array 16, 32 */
    case 0xdd:
        return s_take(cursor, 2U << (head - 0xdc), &size) && s_check_array(cursor, size, depth);
    default: /* maps, extensions, booleans, float 32: not in the grammar */
        return false;
    }
}

/* ---- UTF-8 ---- */

static bool s_is_utf8(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint64_t eight;
        uint32_t point;
        if (size - at >= sizeof(eight)) {
            memcpy(&eight, text + at, sizeof(eight));
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(eight);
                continue;
            }
        }
        size_t character = pr_utf8_character(text + at, size - at, &point);
        if (character == 0) {
            return false;
        }
        at += character;
    }
    return true;
}

/* ---- reading ---- */

struct pr_rows_reader {
    const pr_stream_t *stream;
    const char *data;
    size_t size;
    size_t at;
    uint64_t ordinal; /* records read so far, for messages */
    msgpack_zone zone;
    pr_note_t *notes;
    size_t notes_count;
    pr_row_t *rows;      /* room for one of each spec */
    pr_value_t **values; /* for each spec, room for its columns */
    size_t *wanted;      /* for each spec, how many values travel */
};

/* The next object, in the zone, which forgets the one before. */
static bool s_next_object(pr_rows_reader_t *self, msgpack_object *ret_object) {
    s_cursor_t cursor = {.at = (const uint8_t *)self->data + self->at, .end = (const uint8_t *)self->data + self->size};
    if (!s_check_object(&cursor, 0)) {
        return false;
    }
    size_t end = (size_t)((const char *)cursor.at - self->data), at = 0;
    msgpack_zone_clear(&self->zone);
    msgpack_unpack_return rc = msgpack_unpack(self->data + self->at, end - self->at, &at, &self->zone, ret_object);
    if (rc != MSGPACK_UNPACK_SUCCESS || at != end - self->at) {
        return false;
    }
    self->at = end;
    return true;
}

static bool s_unsigned(const msgpack_object *object, uint64_t max, uint64_t *ret_number) {
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER || object->via.u64 > max) {
        return false;
    }
    *ret_number = object->via.u64;
    return true;
}

static bool s_uint32(const msgpack_object *object, uint32_t *ret_number) {
    uint64_t number;
    if (!s_unsigned(object, UINT32_MAX, &number)) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* Of what is empty, msgpack-c has no address; a text always has one. */
static pr_value_t s_bytes(const char *data, size_t size) {
    return pr_value_text(size == 0 ? "" : data, size);
}

static bool s_text(const msgpack_object *object, pr_value_t *ret_value) {
    if (object->type != MSGPACK_OBJECT_STR || !s_is_utf8(object->via.str.ptr, object->via.str.size)) {
        return false;
    }
    *ret_value = s_bytes(object->via.str.ptr, object->via.str.size);
    return true;
}

static bool s_optional_text(const msgpack_object *object, pr_value_t *ret_value) {
    if (object->type == MSGPACK_OBJECT_NIL) {
        *ret_value = pr_value_null();
        return true;
    }
    return s_text(object, ret_value);
}

static bool s_value(const msgpack_object *object, pr_value_t *ret_value) {
    if (object->type == MSGPACK_OBJECT_STR) {
        return s_text(object, ret_value);
    }
    if (object->type == MSGPACK_OBJECT_NIL) {
        *ret_value = pr_value_null();
    } else if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX) {
        *ret_value = pr_value_integer((int64_t)object->via.u64);
    } else if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *ret_value = pr_value_integer(object->via.i64);
    } else if (object->type == MSGPACK_OBJECT_FLOAT64) {
        *ret_value = pr_value_real(object->via.f64);
    } else {
        return false;
    }
    return true;
}

static bool s_note(const pr_stream_t *stream, const msgpack_object *object, pr_note_t *ret_note) {
    const msgpack_object *parts = object->via.array.ptr;
    uint64_t kind, field;

    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size != 4 ||
        !s_unsigned(&parts[0], PR_NOTE_KINDS - 1, &kind) || kind == 0 ||
        !s_unsigned(&parts[2], INT64_MAX, &ret_note->count) || !s_unsigned(&parts[3], INT64_MAX, &ret_note->first)) {
        return false;
    }
    ret_note->kind = (unsigned)kind;
    if (parts[1].type == MSGPACK_OBJECT_NEGATIVE_INTEGER && parts[1].via.i64 == -1) {
        ret_note->field = -1;
        return true;
    }
    if (!s_unsigned(&parts[1], INT32_MAX, &field) || field >= stream->fields_count) {
        return false;
    }
    ret_note->field = (int)field;
    return true;
}

static bool s_read_notes(pr_rows_reader_t *self) {
    msgpack_object object;
    if (!s_next_object(self, &object) || object.type != MSGPACK_OBJECT_ARRAY || object.via.array.size > S_NOTES_MAX) {
        return false;
    }
    self->notes = pr_xcalloc(object.via.array.size, sizeof(*self->notes));
    for (uint32_t i = 0; i < object.via.array.size; i++) {
        if (!s_note(self->stream, &object.via.array.ptr[i], &self->notes[i])) {
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
    self->data = data;
    self->size = size;
    if (!msgpack_zone_init(&self->zone, S_ZONE_BYTES)) {
        abort(); /* out of memory, as in common/alloc.h */
    }
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
    msgpack_zone_destroy(&self->zone);
    free(self);
    *reader = NULL;
}

const pr_note_t *pr_rows_reader_notes(const pr_rows_reader_t *reader, size_t *ret_count) {
    *ret_count = reader->notes_count;
    return reader->notes;
}

/* One row of an accepted record. least: its spec must not be below. */
static bool s_row(pr_rows_reader_t *self, const msgpack_object *object, uint64_t least, pr_row_t *ret_row) {
    const msgpack_object *parts = object->via.array.ptr;
    uint64_t spec;

    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size == 0 ||
        !s_unsigned(&parts[0], UINT32_MAX, &spec) || spec < least || spec >= self->stream->rows_count ||
        object->via.array.size != 1 + self->wanted[spec]) {
        return false;
    }
    const pr_row_spec_t *row = &self->stream->rows[spec];
    pr_value_t *values = self->values[spec];
    for (size_t i = 0; i < row->columns_count; i++) {
        if (row->columns[i].op == PR_OP_PARENT) {
            values[i] = pr_value_null();
        } else if (!s_value(++parts, &values[i])) {
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

static bool s_accepted(pr_rows_reader_t *self, const msgpack_object *rows, size_t count, pr_rows_record_t *record) {
    size_t next = 0; /* the least spec that may come */
    if (count > self->stream->rows_count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!s_row(self, &rows[i], next, &self->rows[i]) || !s_may_skip(self->stream, next, self->rows[i].spec)) {
            return false;
        }
        next = (size_t)self->rows[i].spec + 1;
    }
    record->rows = self->rows;
    record->rows_count = count;
    return s_may_skip(self->stream, next, self->stream->rows_count);
}

static bool s_rejected(const msgpack_object *parts, size_t count, pr_rows_record_t *record) {
    uint64_t reason;
    if (count != 4 || !s_unsigned(&parts[0], PR_REJECT_REASONS - 1, &reason) || reason == PR_R_NONE ||
        !s_optional_text(&parts[1], &record->field) || !s_optional_text(&parts[2], &record->detail) ||
        parts[3].type != MSGPACK_OBJECT_BIN || parts[3].via.bin.size != record->length) {
        return false;
    }
    record->reason = (unsigned)reason;
    record->raw = s_bytes(parts[3].via.bin.ptr, parts[3].via.bin.size);
    return true;
}

static bool s_record(pr_rows_reader_t *self, const msgpack_object *object, pr_rows_record_t *record) {
    const msgpack_object *parts = object->via.array.ptr;
    if (object->type != MSGPACK_OBJECT_ARRAY || object->via.array.size < 3 || !s_uint32(&parts[0], &record->offset) ||
        !s_uint32(&parts[1], &record->length) || record->length > UINT32_MAX - record->offset) {
        return false;
    }
    if (parts[2].type == MSGPACK_OBJECT_ARRAY) {
        return s_accepted(self, parts + 2, object->via.array.size - 2, record);
    }
    return s_rejected(parts + 2, object->via.array.size - 2, record);
}

int pr_rows_reader_next(pr_rows_reader_t *reader, pr_rows_record_t *ret_record, pr_error_t *err) {
    pr_rows_record_t record = {0};
    msgpack_object object;
    size_t at = reader->at;

    if (at == reader->size) {
        return 0;
    }
    if (!s_next_object(reader, &object) || !s_record(reader, &object, &record)) {
        reader->at = at; /* asked again, it fails again */
        return pr_error_set(err, PR_E_PROTOCOL,
                            "rows payload of %zu bytes for stream %s: record %llu at byte %zu is malformed",
                            reader->size, reader->stream->name, (unsigned long long)reader->ordinal, at);
    }
    reader->ordinal++;
    *ret_record = record;
    return 1;
}
