/* SPDX-License-Identifier: MIT */
/* The payload of a ROWS message: round trip, and that nothing hostile gets through or does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rows.h"

/* A stream with two rows: the first made only if field 1 is not NULL, the second always. */
static pr_field_t s_fields[] = {{.name = (char[]){"a"}}, {.name = (char[]){"b"}, .nullable = true}};
static pr_column_t s_columns0[] = {{.name = (char[]){"x"}, .op = PR_OP_COPY},
                                   {.name = (char[]){"y"}, .op = PR_OP_CONSTANT}};
static pr_column_t s_columns1[] = {{.name = (char[]){"p"}, .op = PR_OP_PARENT},
                                   {.name = (char[]){"q"}, .op = PR_OP_COPY},
                                   {.name = (char[]){"r"}, .op = PR_OP_LOOKUP},
                                   {.name = (char[]){"s"}, .op = PR_OP_MAP}};
static pr_row_spec_t s_specs[] = {
    {.name = (char[]){"zero"}, .columns = s_columns0, .columns_count = 2, .if_present = 1},
    {.name = (char[]){"one"}, .columns = s_columns1, .columns_count = 4, .if_present = -1},
};
static const pr_stream_t s_stream = {
    .name = (char[]){"test"}, .fields = s_fields, .fields_count = 2, .rows = s_specs, .rows_count = 2};

typedef struct {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
} s_payload_t;

static void s_init(s_payload_t *payload) {
    msgpack_sbuffer_init(&payload->buffer);
    msgpack_packer_init(&payload->packer, &payload->buffer, msgpack_sbuffer_write);
}

static void s_pack_values(s_payload_t *payload, const pr_value_t *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        pr_rows_pack_value(&payload->packer, &values[i]);
    }
}

/* Notes, an accepted record with both rows, a rejected one, an accepted one with one row. */
static void s_pack_good(s_payload_t *payload) {
    const pr_note_t notes[] = {{.kind = PR_NOTE_NULL_TEXT, .field = 1, .count = 2, .first = 0},
                               {.kind = PR_NOTE_UNKNOWN_FIELD, .field = -1, .count = UINT32_MAX, .first = 3}};
    const pr_value_t zero[] = {pr_value_text("a\0b", 3), pr_value_integer(INT64_MIN)};
    const pr_value_t one[] = {pr_value_real(-1.25), pr_value_null(), pr_value_integer(INT64_MAX)};
    const pr_value_t last[] = {pr_value_integer(200), pr_value_text("é😀 and more than thirty-one bytes in it", 41),
                               pr_value_text("", 0)};
    s_init(payload);
    pr_rows_pack_notes(&payload->packer, notes, 2);
    pr_rows_pack_accepted(&payload->packer, 2, 100, 2);
    pr_rows_pack_row(&payload->packer, 0, 2);
    s_pack_values(payload, zero, 2);
    pr_rows_pack_row(&payload->packer, 1, 3);
    s_pack_values(payload, one, 3);
    pr_rows_pack_rejected(&payload->packer, 104, 3, PR_R_UNKNOWN_VALUE, "a", "'OK'", "\xff{\0");
    pr_rows_pack_rejected(&payload->packer, 108, 0, PR_R_MALFORMED_JSON, NULL, NULL, "");
    pr_rows_pack_accepted(&payload->packer, 70000, 1, 1);
    pr_rows_pack_row(&payload->packer, 1, 3);
    s_pack_values(payload, last, 3);
}

/* Read all: the number of records, or the error's text in ret_err. Reads every value's bytes, for the sanitizer. */
static int s_read_all(const void *data, size_t size, pr_error_t *ret_err) {
    pr_rows_record_t record;
    pr_error_t err = PR_ERROR_INIT;
    int count = 0, rc;
    uint64_t sum = 0;
    /* A copy of exactly the size: a byte read behind it is seen. */
    void *copy = malloc(size == 0 ? 1 : size);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    pr_rows_reader_t *reader = pr_rows_reader_new(&s_stream, copy, size, &err);
    if (reader == NULL) {
        *ret_err = err;
        free(copy);
        return -PR_E_PROTOCOL;
    }
    while ((rc = pr_rows_reader_next(reader, &record, &err)) == 1) {
        const pr_value_t *texts[] = {&record.field, &record.detail, &record.raw};
        count++;
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; texts[i]->kind == PR_TEXT && k < texts[i]->text.size; k++) {
                sum += (unsigned char)texts[i]->text.data[k];
            }
        }
        assert_true(record.rows_count <= s_stream.rows_count);
        for (size_t i = 0; i < record.rows_count; i++) {
            assert_true(record.rows[i].spec < s_stream.rows_count);
            for (size_t k = 0; k < s_specs[record.rows[i].spec].columns_count; k++) {
                const pr_value_t *value = &record.rows[i].values[k];
                for (size_t b = 0; value->kind == PR_TEXT && b < value->text.size; b++) {
                    sum += (unsigned char)value->text.data[b];
                }
            }
        }
    }
    assert_true(sum < UINT32_MAX);
    if (rc < 0) {
        pr_error_t again = PR_ERROR_INIT;
        assert_int_equal(pr_rows_reader_next(reader, &record, &again), -PR_E_PROTOCOL);
        assert_string_equal(again.text, err.text);
        *ret_err = err;
    }
    pr_rows_reader_destroy(&reader);
    free(copy);
    return rc < 0 ? rc : count;
}

static void s_expect_text(const pr_value_t *value, const char *text, size_t size) {
    pr_value_t expected = pr_value_text(text, size);
    assert_true(pr_value_equal(value, &expected));
}

static void test_round_trip(void **state) {
    s_payload_t payload;
    pr_rows_record_t record;
    size_t notes_count;
    (void)state;
    s_pack_good(&payload);
    pr_rows_reader_t *reader = pr_rows_reader_new(&s_stream, payload.buffer.data, payload.buffer.size, NULL);
    assert_non_null(reader);
    const pr_note_t *notes = pr_rows_reader_notes(reader, &notes_count);
    assert_int_equal(notes_count, 2);
    assert_int_equal(notes[0].kind, PR_NOTE_NULL_TEXT);
    assert_int_equal(notes[0].field, 1);
    assert_int_equal(notes[0].count, 2);
    assert_int_equal(notes[0].first, 0);
    assert_int_equal(notes[1].field, -1);
    assert_int_equal(notes[1].count, UINT32_MAX);
    assert_int_equal(notes[1].first, 3);

    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
    assert_int_equal(record.offset, 2);
    assert_int_equal(record.length, 100);
    assert_int_equal(record.reason, PR_R_NONE);
    assert_int_equal(record.rows_count, 2);
    assert_int_equal(record.rows[0].spec, 0);
    s_expect_text(&record.rows[0].values[0], "a\0b", 3);
    assert_int_equal(record.rows[0].values[1].integer, INT64_MIN);
    assert_int_equal(record.rows[1].spec, 1);
    assert_int_equal(record.rows[1].values[0].kind, PR_NULL);
    assert_int_equal(record.rows[1].values[1].kind, PR_REAL);
    assert_true(record.rows[1].values[1].real == -1.25);
    assert_int_equal(record.rows[1].values[2].kind, PR_NULL);
    assert_int_equal(record.rows[1].values[3].integer, INT64_MAX);

    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
    assert_int_equal(record.offset, 104);
    assert_int_equal(record.reason, PR_R_UNKNOWN_VALUE);
    s_expect_text(&record.field, "a", 1);
    s_expect_text(&record.detail, "'OK'", 4);
    s_expect_text(&record.raw, "\xff{\0", 3);
    assert_int_equal(record.rows_count, 0);

    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
    assert_int_equal(record.reason, PR_R_MALFORMED_JSON);
    assert_int_equal(record.field.kind, PR_NULL);
    assert_int_equal(record.detail.kind, PR_NULL);

    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
    assert_int_equal(record.offset, 70000);
    assert_int_equal(record.rows_count, 1);
    assert_int_equal(record.rows[0].spec, 1);
    assert_int_equal(record.rows[0].values[1].integer, 200);
    assert_int_equal(record.rows[0].values[3].text.size, 0);

    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 0);
    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 0);
    pr_rows_reader_destroy(&reader);
    pr_rows_reader_destroy(&reader);
    msgpack_sbuffer_destroy(&payload.buffer);
}

/* msgpack-c gives no address for what is empty; whoever reads a value may rely on one. */
static void test_empty_texts(void **state) {
    s_payload_t payload;
    pr_rows_record_t record;
    const pr_value_t empty[] = {pr_value_text("", 0), pr_value_text("", 0), pr_value_text("", 0)};
    (void)state;
    s_init(&payload);
    pr_rows_pack_notes(&payload.packer, NULL, 0);
    pr_rows_pack_rejected(&payload.packer, 0, 0, PR_R_MALFORMED_JSON, "", "", "");
    pr_rows_pack_accepted(&payload.packer, 0, 0, 1);
    pr_rows_pack_row(&payload.packer, 1, 3);
    s_pack_values(&payload, empty, 3);
    pr_rows_reader_t *reader = pr_rows_reader_new(&s_stream, payload.buffer.data, payload.buffer.size, NULL);
    assert_non_null(reader);

    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
    const pr_value_t *texts[] = {&record.field, &record.detail, &record.raw};
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(texts[i]->text.data);
        s_expect_text(texts[i], "", 0);
    }
    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
    for (size_t i = 1; i < 4; i++) {
        assert_non_null(record.rows[0].values[i].text.data);
        s_expect_text(&record.rows[0].values[i], "", 0);
    }
    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 0);
    pr_rows_reader_destroy(&reader);
    msgpack_sbuffer_destroy(&payload.buffer);
}

/* Cut anywhere: an error, or, exactly between two records, fewer records. */
static void test_truncation(void **state) {
    s_payload_t payload;
    int whole = 0;
    (void)state;
    s_pack_good(&payload);
    for (size_t size = 0; size < payload.buffer.size; size++) {
        pr_error_t err = PR_ERROR_INIT;
        int rc = s_read_all(payload.buffer.data, size, &err);
        if (rc >= 0) {
            assert_int_equal(rc, whole++);
        } else {
            assert_int_equal(err.code, PR_E_PROTOCOL);
        }
    }
    assert_int_equal(whole, 4); /* after the notes and after each record but the last */
    msgpack_sbuffer_destroy(&payload.buffer);
}

static void test_flipped_bytes(void **state) {
    uint64_t random = 7;
    int refused = 0;
    s_payload_t payload;
    (void)state;
    s_pack_good(&payload);
    for (int round = 0; round < 100000; round++) {
        pr_error_t err = PR_ERROR_INIT;
        char *copy = malloc(payload.buffer.size);
        memcpy(copy, payload.buffer.data, payload.buffer.size);
        for (int i = 0; i < 1 + round % 4; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            copy[(random >> 33) % payload.buffer.size] ^= (char)(1U << ((random >> 50) & 7));
        }
        refused += s_read_all(copy, payload.buffer.size, &err) < 0;
        free(copy);
    }
    assert_in_range(refused, 20000, 99000);
    msgpack_sbuffer_destroy(&payload.buffer);
}

#define NOTES_BAD      "rows payload of %zu bytes for stream test: its notes are malformed"
#define RECORD_BAD     "rows payload of %zu bytes for stream test: record %d at byte %d is malformed"
#define BYTES(literal) literal, sizeof(literal) - 1

static void test_hostile_notes(void **state) {
    static const struct {
        const char *data;
        size_t size;
    } cases[] = {
        {BYTES("")},
        {BYTES("\xc0")},                 /* nil */
        {BYTES("\x01")},                 /* a number */
        {BYTES("\x80")},                 /* a map */
        {BYTES("\xdd\xff\xff\xff\xff")}, /* four billion elements, it says */
        {BYTES("\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff")},
        {BYTES("\xdc\x00\x02\x94\x01\x00\x01\x00")}, /* one of two */
        {BYTES("\x91\x91\x91\x91\x91\x91\x90")},     /* too deep */
        {BYTES("\x91\x93\x01\x00\x01")},             /* three parts */
        {BYTES("\x91\x95\x01\x00\x01\x00\x00")},     /* five parts */
        {BYTES("\x91\x94\x00\x00\x01\x00")},         /* kind 0 */
        {BYTES("\x91\x94\x05\x00\x01\x00")},         /* kind 5 */
        {BYTES("\x91\x94\xff\x00\x01\x00")},         /* kind -1 */
        {BYTES("\x91\x94\x01\x02\x01\x00")},         /* field 2 of 2 */
        {BYTES("\x91\x94\x01\xfe\x01\x00")},         /* field -2 */
        {BYTES("\x91\x94\x01\xc0\x01\x00")},         /* field nil */
        {BYTES("\x91\x94\x01\x00\xff\x00")},         /* count -1 */
        {BYTES("\x91\x94\x01\x00\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff")},
        {BYTES("\x91\x94\x01\x00\x01\xc3")}, /* a boolean */
        {BYTES("\xc1")},                     /* never used in MessagePack */
        {BYTES("\xd4\x00\x00")},             /* extension */
        {BYTES("\xc7\xff\x00\x00")},         /* extension */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pr_error_t err = PR_ERROR_INIT;
        char expected[160];
        snprintf(expected, sizeof(expected), NOTES_BAD, cases[i].size);
        assert_int_equal(s_read_all(cases[i].data, cases[i].size, &err), -PR_E_PROTOCOL);
        assert_string_equal(err.text, expected);
    }
}

static void test_too_many_notes(void **state) {
    (void)state;
    for (size_t count = 4096; count <= 4097; count++) {
        pr_note_t *notes = calloc(count, sizeof(*notes));
        pr_error_t err = PR_ERROR_INIT;
        s_payload_t payload;
        for (size_t i = 0; i < count; i++) {
            notes[i] = (pr_note_t){.kind = 1, .field = 0, .count = 1, .first = i};
        }
        s_init(&payload);
        pr_rows_pack_notes(&payload.packer, notes, count);
        assert_int_equal(s_read_all(payload.buffer.data, payload.buffer.size, &err),
                         count == 4096 ? 0 : -PR_E_PROTOCOL);
        msgpack_sbuffer_destroy(&payload.buffer);
        free(notes);
    }
}

/* Each after empty notes (0x90). A good row 1: 94 01 c0 c0 c0; a good row 0: 93 00 c0 c0. */
static void test_hostile_records(void **state) {
    static const struct {
        const char *data;
        size_t size;
    } cases[] = {
        {BYTES("\x90\xc0")},
        {BYTES("\x90\x90")},
        {BYTES("\x90\x92\x00\x01")},                                         /* no row */
        {BYTES("\x90\x93\xff\x01\x94\x01\xc0\xc0\xc0")},                     /* offset -1 */
        {BYTES("\x90\x93\xc0\x01\x94\x01\xc0\xc0\xc0")},                     /* offset nil */
        {BYTES("\x90\x93\xcf\0\0\0\1\0\0\0\0\x01\x94\x01\xc0\xc0\xc0")},     /* offset 2^32 */
        {BYTES("\x90\x93\xce\xff\xff\xff\xff\x01\x94\x01\xc0\xc0\xc0")},     /* ends behind 2^32 */
        {BYTES("\x90\x93\x00\xff\x94\x01\xc0\xc0\xc0")},                     /* length -1 */
        {BYTES("\x90\x93\x00\x01\x93\x01\xc0\xc0")},                         /* a value too few */
        {BYTES("\x90\x93\x00\x01\x95\x01\xc0\xc0\xc0\xc0")},                 /* a value too many */
        {BYTES("\x90\x93\x00\x01\x94\x02\xc0\xc0\xc0")},                     /* no such spec */
        {BYTES("\x90\x93\x00\x01\x94\xff\xc0\xc0\xc0")},                     /* spec -1 */
        {BYTES("\x90\x93\x00\x01\x90")},                                     /* no spec */
        {BYTES("\x90\x93\x00\x01\x93\x00\xc0\xc0")},                         /* the row that is always made is not */
        {BYTES("\x90\x94\x00\x01\x94\x01\xc0\xc0\xc0\x93\x00\xc0\xc0")},     /* wrong order */
        {BYTES("\x90\x94\x00\x01\x94\x01\xc0\xc0\xc0\x94\x01\xc0\xc0\xc0")}, /* twice the same */
        {BYTES("\x90\x95\x00\x01\x93\x00\xc0\xc0\x94\x01\xc0\xc0\xc0\x94\x01\xc0\xc0\xc0")},
        {BYTES("\x90\x94\x00\x01\x94\x01\xc0\xc0\xc0\xc0")},               /* nil instead of a row */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xc2")},                   /* a boolean value */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\x90")},                   /* an array value */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xc4\x00")},               /* a binary value */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xca\0\0\0\0")},           /* a float 32 */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xcf\x80\0\0\0\0\0\0\0")}, /* 2^63 */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xa1\xff")},               /* not UTF-8 */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xa2\xc0\x80")},           /* overlong */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xa3\xed\xa0\x80")},       /* a surrogate */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xa4\xf4\x90\x80\x80")},   /* beyond U+10FFFF */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xa9"
               "aaaaaaaa\xe2")},                                         /* cut character after eight letters */
        {BYTES("\x90\x93\x00\x01\x94\x01\xc0\xc0\xdb\xff\xff\xff\xff")}, /* a string of four billion bytes */
        {BYTES("\x90\x93\x00\x01\xdd\xff\xff\xff\xff\x01\xc0\xc0\xc0")}, /* a row of four billion values */
        {BYTES("\x90\x96\x00\x01\x00\xc0\xc0\xc4\x01X")},                /* reason 0 */
        {BYTES("\x90\x96\x00\x01\x0f\xc0\xc0\xc4\x01X")},                /* reason 15 */
        {BYTES("\x90\x96\x00\x01\x01\xc0\xc0\xc4\x02XX")},               /* raw is longer than the record */
        {BYTES("\x90\x96\x00\x01\x01\xc0\xc0\xa1X")},                    /* raw is a str */
        {BYTES("\x90\x96\x00\x01\x01\x01\xc0\xc4\x01X")},                /* field is a number */
        {BYTES("\x90\x96\x00\x01\x01\xc0\xa1\x80\xc4\x01X")},            /* detail is not UTF-8 */
        {BYTES("\x90\x95\x00\x01\x01\xc0\xc0")},                         /* no raw */
        {BYTES("\x90\x97\x00\x01\x01\xc0\xc0\xc4\x01X\xc0")},            /* too much */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pr_error_t err = PR_ERROR_INIT;
        char expected[160];
        snprintf(expected, sizeof(expected), RECORD_BAD, cases[i].size, 1, 1);
        if (s_read_all(cases[i].data, cases[i].size, &err) != -PR_E_PROTOCOL) {
            fail_msg("case %zu was accepted", i);
        }
        assert_string_equal(err.text, expected);
    }
}

static void test_second_record_bad(void **state) {
    static const char data[] = "\x90\x93\x00\x01\x94\x01\xc0\xc0\xc0\xc0";
    pr_error_t err = PR_ERROR_INIT;
    (void)state;
    assert_int_equal(s_read_all(data, sizeof(data) - 1, &err), -PR_E_PROTOCOL);
    assert_string_equal(err.text, "rows payload of 10 bytes for stream test: record 2 at byte 9 is malformed");
}

static void test_note_words(void **state) {
    (void)state;
    assert_string_equal(pr_note_word(PR_NOTE_NULL_TEXT), "null_text");
    assert_string_equal(pr_note_word(PR_NOTE_ROUNDED_INTEGER), "rounded_integer");
    assert_string_equal(pr_note_word(PR_NOTE_UNKNOWN_FIELD), "unknown_field");
    assert_string_equal(pr_note_word(PR_NOTE_NULL_TEXT_KEPT), "null_text_kept");
    assert_string_equal(pr_note_sentence(PR_NOTE_NULL_TEXT), "the text \"null\" was taken for NULL");
    assert_string_equal(pr_note_word(0), "unknown");
    assert_string_equal(pr_note_sentence(PR_NOTE_KINDS), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_flipped_bytes),     cmocka_unit_test(test_hostile_notes),
        cmocka_unit_test(test_too_many_notes),    cmocka_unit_test(test_hostile_records),
        cmocka_unit_test(test_second_record_bad), cmocka_unit_test(test_note_words),
        cmocka_unit_test(test_empty_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
