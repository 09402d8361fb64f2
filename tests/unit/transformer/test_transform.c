/* SPDX-License-Identifier: MIT */
/* Records in, rows or rejects out: every operation, every reject reason, NULL as text in all its variants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_record.h"
#include "common/mapping_lint.h"
#include "common/rows.h"
#include "transformer/transform.h"

/* Every operation on every type; a is always wanted first so that the order of checks shows. */
static const char s_mapping_text[] =
    "{ \"pvrelay_mapping\": 1, \"name\": \"ops\","
    "  \"value_maps\": { \"word\": { \"ok\": \"fine\", \"null\": \"never\", \"\": \"empty\" }, \"number\": { \"ok\": "
    "7, "
    "  \"null\": 8, \"\": 9 } },"
    "  \"streams\": [ {"
    "    \"name\": \"ops\", \"recognise\": [\"k\"], \"key\": [\"k\"], \"unknown_fields\": \"reject\","
    "    \"fields\": { \"k\": { \"type\": \"text\" }, \"i\": { \"type\": \"integer\", \"nullable\": true },"
    "      \"r\": { \"type\": \"real\", \"nullable\": true }, \"m\": { \"type\": \"text\", \"nullable\": true },"
    "      \"d\": { \"type\": \"text\", \"nullable\": true }, \"n\": { \"type\": \"integer\" },"
    "      \"x\": { \"type\": \"integer\", \"nullable\": true, \"ignore\": \"test\" } },"
    "    \"rows\": ["
    "      { \"name\": \"extra\", \"table\": \"e\", \"mode\": \"ensure\", \"key\": [\"i\"], \"if_present\": \"i\","
    "        \"columns\": { \"i\": { \"copy\": \"i\" }, \"t\": { \"template\": \"<{i}|{k:address}|{k}>\" } } },"
    "      { \"name\": \"main\", \"table\": \"t\", \"mode\": \"upsert\", \"key\": [\"k\"],"
    "        \"columns\": { \"k\": { \"copy\": \"k\" }, \"p\": { \"parent\": \"extra\" }, \"r\": { \"copy\": \"r\" },"
    "          \"c\": { \"constant\": \"con\" }, \"c2\": { \"constant\": -5 }, \"c3\": { \"constant\": 2.5 },"
    "          \"w\": { \"map\": \"word\", \"from\": \"m\" }, \"o\": { \"map\": \"number\", \"from\": \"m\" },"
    "          \"d\": { \"date\": \"d\" }, \"l\": { \"lookup\": { \"table\": \"e\", \"key\": \"q\", \"from\": \"n\" } "
    "} } } ]"
    "  }, {"
    "    \"name\": \"loose\", \"recognise\": [\"a\"], \"key\": [\"a\"], \"unknown_fields\": \"warn\","
    "    \"fields\": { \"a\": { \"type\": \"text\" }, \"b\": { \"type\": \"text\", \"nullable\": true } },"
    "    \"rows\": [ { \"name\": \"row\", \"table\": \"t\", \"mode\": \"upsert\", \"key\": [\"a\"],"
    "      \"columns\": { \"a\": { \"copy\": \"a\" }, \"b\": { \"copy\": \"b\" }, \"t\": { \"template\": \"{b}!\" } } "
    "} ] } ] }";

static pr_mapping_t *s_mapping, *s_hub;

static int s_setup(void **state) {
    pr_error_t err = PR_ERROR_INIT;
    (void)state;
    if (pr_mapping_parse("ops.json", s_mapping_text, strlen(s_mapping_text), NULL, NULL, &s_mapping, &err) != 0 ||
        pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &s_hub, &err) != 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int s_teardown(void **state) {
    (void)state;
    pr_mapping_destroy(&s_mapping);
    pr_mapping_destroy(&s_hub);
    return 0;
}

/* ---- a payload as text ---- */

static char s_shown[16384];

__attribute__((format(printf, 1, 2))) static void s_show(const char *format, ...) {
    size_t used = strlen(s_shown);
    va_list args;
    va_start(args, format);
    vsnprintf(s_shown + used, sizeof(s_shown) - used, format, args);
    va_end(args);
}

static void s_show_text(const pr_value_t *value) {
    if (value->kind == PR_NULL) {
        s_show(" -");
    } else {
        s_show(" %.*s", (int)value->text.size, value->text.data);
    }
}

static void s_show_record(const pr_stream_t *stream, const pr_rows_record_t *record, const char *bytes) {
    char buffer[512];
    if (record->reason != PR_R_NONE) {
        s_show("reject %s", pr_reject_word(record->reason));
        s_show_text(&record->field);
        s_show_text(&record->detail);
        assert_int_equal(record->raw.text.size, record->length);
        assert_memory_equal(record->raw.text.data, bytes + record->offset, record->length);
    }
    for (size_t i = 0; i < record->rows_count; i++) {
        const pr_row_spec_t *spec = &stream->rows[record->rows[i].spec];
        s_show("%s%s(", i == 0 ? "" : " ", spec->name);
        for (size_t k = 0; k < spec->columns_count; k++) {
            s_show("%s%s", k == 0 ? "" : ", ",
                   spec->columns[k].op == PR_OP_PARENT
                       ? "^"
                       : pr_value_print(&record->rows[i].values[k], buffer, sizeof(buffer)));
        }
        s_show(")");
    }
    s_show("\n");
}

static void s_show_notes(const pr_rows_reader_t *reader, const pr_stream_t *stream) {
    size_t count;
    const pr_note_t *notes = pr_rows_reader_notes(reader, &count);
    for (size_t i = 0; i < count; i++) {
        s_show("note %s %s %u from %u\n", pr_note_word(notes[i].kind),
               notes[i].field < 0 ? "-" : stream->fields[notes[i].field].name, (unsigned)notes[i].count,
               (unsigned)notes[i].first);
    }
}

typedef struct {
    const pr_mapping_t *mapping;
    unsigned stream;
    bool null_text;
} s_setting_t;

/* Transform the records (NULL-terminated list) as one batch; the payload as text, notes last. */
static const char *s_transform(s_setting_t setting, const char *const *records) {
    const pr_stream_t *stream = &setting.mapping->streams[setting.stream];
    pr_transformer_t *transformer = pr_transformer_new(setting.mapping);
    pr_transform_counts_t counts;
    pr_rows_record_t record;
    pr_slice_t slices[64];
    size_t count = 0, size = 0;
    uint64_t ok = 0, rejected[PR_REJECT_REASONS] = {0};
    char *bytes = calloc(1, 65536);
    msgpack_sbuffer out;

    for (; records[count] != NULL; count++) {
        size += (size_t)sprintf(bytes + size, ", ");
        slices[count] = (pr_slice_t){.offset = (uint32_t)size, .length = (uint32_t)strlen(records[count])};
        size += (size_t)sprintf(bytes + size, "%s", records[count]);
    }
    s_shown[0] = '\0';
    msgpack_sbuffer_init(&out);
    assert_int_equal(
        pr_transform_batch(transformer, setting.stream, setting.null_text, bytes, size, slices, count, &out, &counts),
        0);
    pr_rows_reader_t *reader = pr_rows_reader_new(stream, out.data, out.size, NULL);
    assert_non_null(reader);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 1);
        assert_int_equal(record.offset, slices[i].offset);
        assert_int_equal(record.length, slices[i].length);
        s_show_record(stream, &record, bytes);
        ok += record.reason == PR_R_NONE;
        rejected[record.reason] += record.reason != PR_R_NONE;
    }
    assert_int_equal(pr_rows_reader_next(reader, &record, NULL), 0);
    assert_int_equal(counts.ok, ok);
    assert_int_equal(counts.ok + counts.rejected, count);
    assert_memory_equal(counts.rejected_by_reason, rejected, sizeof(rejected));
    s_show_notes(reader, stream);
    pr_rows_reader_destroy(&reader);
    msgpack_sbuffer_destroy(&out);
    pr_transformer_destroy(&transformer);
    free(bytes);
    return s_shown;
}

static const char *s_one(s_setting_t setting, const char *record) {
    const char *const records[] = {record, NULL};
    return s_transform(setting, records);
}

/* A record of stream ops out of its values. */
static const char *s_ops(bool null_text, const char *k, const char *i, const char *r, const char *m, const char *d,
                         const char *n, const char *x) {
    char record[1024];
    snprintf(record, sizeof(record), "{\"k\":%s,\"i\":%s,\"r\":%s,\"m\":%s,\"d\":%s,\"n\":%s,\"x\":%s}", k, i, r, m, d,
             n, x);
    return s_one((s_setting_t){s_mapping, 0, null_text}, record);
}

#define OK   "\"ok\""
#define DAY  "\"2024-02-29 01:02:03\""
#define K    "\"a b\""
#define TAIL "'con', -5, 2.5, 'fine', 7, '2024-02-29', "

/* ---- tests ---- */

static void test_operations(void **state) {
    (void)state;
    assert_string_equal(s_ops(true, "\"A.b-_9=é/\"", "12", "1.5", OK, DAY, "3", "4"),
                        "extra(12, '<12|A.b-_9=3D=C3=A9=2F|A.b-_9=é/>') main('A.b-_9=é/', ^, 1.5, " TAIL "3)\n");
    assert_string_equal(s_ops(true, K, "null", "2", OK, DAY, "-3", "null"), "main('a b', ^, 2.0, " TAIL "-3)\n");
    assert_string_equal(s_ops(true, "\"\\u0000\"", "null", "null", OK, DAY, "0", "null"),
                        "main('\\x00', ^, NULL, " TAIL "0)\n");
}

static void test_reals(void **state) {
    (void)state;
    assert_string_equal(s_ops(true, K, "null", "1e3", OK, DAY, "3", "4"), "main('a b', ^, 1000.0, " TAIL "3)\n");
    /* As JavaScript prints 1e20. */
    assert_string_equal(s_ops(true, K, "null", "100000000000000000000", OK, DAY, "3", "4"),
                        "main('a b', ^, 1e+20, " TAIL "3)\n");
    assert_string_equal(s_ops(true, K, "null", "9007199254740994", OK, DAY, "3", "4"),
                        "main('a b', ^, 9007199254740994.0, " TAIL "3)\n");
    assert_string_equal(s_ops(true, K, "null", "1e999", OK, DAY, "3", "4"), "reject real_range r 1e999\n");
    assert_string_equal(s_ops(true, K, "null", "\"1.5\"", OK, DAY, "3", "4"),
                        "reject wrong_type r '1.5', expected a number\n");
    assert_string_equal(s_ops(true, K, "null", "true", OK, DAY, "3", "4"),
                        "reject wrong_type r true, expected a number\n");
}

static void test_integers(void **state) {
    (void)state;
    assert_string_equal(s_ops(true, K, "9223372036854775807", "null", OK, DAY, "-9223372036854775808", "4"),
                        "extra(9223372036854775807, '<9223372036854775807|a=20b|a b>') main('a b', ^, NULL, " TAIL
                        "-9223372036854775808)\nnote rounded_integer i 1 from 0\nnote rounded_integer n 1 from 0\n");
    assert_string_equal(s_ops(true, K, "null", "null", OK, DAY, "9007199254740992", "-9007199254740993"),
                        "main('a b', ^, NULL, " TAIL "9007199254740992)\nnote rounded_integer x 1 from 0\n");
    assert_string_equal(s_ops(true, K, "9223372036854775808", "null", OK, DAY, "3", "4"),
                        "reject integer_range i 9223372036854775808\n");
    assert_string_equal(s_ops(true, K, "null", "null", OK, DAY, "3", "99999999999999999999"),
                        "reject integer_range x 99999999999999999999\n");
    assert_string_equal(s_ops(true, K, "1.0", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i 1.0, expected an integer\n");
    assert_string_equal(s_ops(true, K, "1e999", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i 1e999, expected an integer\n");
    assert_string_equal(s_ops(true, K, "false", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i false, expected an integer\n");
    assert_string_equal(s_ops(true, K, "\"12\"", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i '12', expected an integer\n");
    assert_string_equal(s_ops(true, K, "[1, 2]", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i [1, 2], expected an integer\n");
}

static void test_texts(void **state) {
    (void)state;
    assert_string_equal(s_ops(true, "12", "null", "null", OK, DAY, "3", "4"),
                        "reject wrong_type k 12, expected text\n");
    assert_string_equal(s_ops(true, "99999999999999999999", "null", "null", OK, DAY, "3", "4"),
                        "reject wrong_type k 99999999999999999999, expected text\n");
    assert_string_equal(s_ops(true, "{\"a\": 1}", "null", "null", OK, DAY, "3", "4"),
                        "reject wrong_type k {\"a\": 1}, expected text\n");
    assert_string_equal(s_ops(true, "null", "null", "null", OK, DAY, "3", "4"), "reject null_value k -\n");
    assert_string_equal(s_ops(true, K, "null", "null", OK, DAY, "null", "4"), "reject null_value n -\n");
}

static void test_null_text(void **state) {
    (void)state;
    /* Where it stands for NULL it does so in nullable fields, whatever the type, ignored or not. */
    assert_string_equal(s_ops(true, K, "\"null\"", "\"null\"", OK, DAY, "3", "\"null\""),
                        "main('a b', ^, NULL, " TAIL "3)\nnote null_text i 1 from 0\nnote null_text r 1 from 0\n"
                        "note null_text x 1 from 0\n");
    /* It is text in a field that is never NULL. */
    assert_string_equal(s_ops(true, "\"null\"", "null", "null", OK, DAY, "3", "4"),
                        "main('null', ^, NULL, " TAIL "3)\n");
    assert_string_equal(s_ops(true, K, "null", "null", OK, DAY, "\"null\"", "4"),
                        "reject wrong_type n 'null', expected an integer\n");
    /* Only exactly so. */
    assert_string_equal(s_ops(true, K, "\"NULL\"", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i 'NULL', expected an integer\n");
    /* Repaired, it is as unknown to a map as any NULL, and a date must not be NULL. */
    assert_string_equal(s_ops(true, K, "null", "null", "\"null\"", DAY, "3", "4"), "reject unknown_value m NULL\n");
    assert_string_equal(s_ops(true, K, "null", "null", OK, "\"null\"", "3", "4"), "reject null_value d -\n");
    /* Where it is kept, it is text, and that is told. */
    assert_string_equal(s_ops(false, K, "\"null\"", "null", OK, DAY, "3", "4"),
                        "reject wrong_type i 'null', expected an integer\n");
    assert_string_equal(s_ops(false, K, "null", "null", "\"null\"", DAY, "3", "4"),
                        "main('a b', ^, NULL, 'con', -5, 2.5, 'never', 8, '2024-02-29', 3)\n"
                        "note null_text_kept m 1 from 0\n");
    assert_string_equal(s_ops(false, K, "null", "null", OK, "\"null\"", "3", "4"), "reject bad_date d 'null'\n");
    assert_string_equal(s_one((s_setting_t){s_mapping, 1, false}, "{\"a\":\"null\",\"b\":\"null\"}"),
                        "row('null', 'null', 'null!')\n"
                        "note null_text_kept b 1 from 0\n");
    assert_string_equal(s_one((s_setting_t){s_mapping, 1, true}, "{\"a\":\"null\",\"b\":\"null\"}"),
                        "reject null_value b -\n");
}

static void test_maps(void **state) {
    (void)state;
    assert_string_equal(s_ops(true, K, "null", "null", "\"OK\"", DAY, "3", "4"),
                        "reject unknown_value m 'OK' (did you mean ok?)\n");
    assert_string_equal(s_ops(true, K, "null", "null", "\" ok\"", DAY, "3", "4"),
                        "reject unknown_value m ' ok' (did you mean ok?)\n");
    assert_string_equal(s_ops(true, K, "null", "null", "\"ok\\u0000\"", DAY, "3", "4"),
                        "reject unknown_value m 'ok\\x00' (did you mean ok?)\n");
    assert_string_equal(s_ops(true, K, "null", "null", "null", DAY, "3", "4"), "reject unknown_value m NULL\n");
    /* The row begun is taken back. */
    assert_string_equal(s_ops(true, K, "1", "null", "\"gone\"", DAY, "3", "4"), "reject unknown_value m 'gone'\n");
    assert_string_equal(s_ops(true, K, "null", "null", "1", DAY, "3", "4"), "reject unknown_value m 1\n");
}

static void test_dates(void **state) {
    static const char *const bad[] = {"2023-02-29", "1900-02-29",  "2025-13-01", "2025-00-10", "2025-01-00",
                                      "2025-04-31", "2025-1-01",   "2025/01/01", "25-01-01",   "2025-01-0",
                                      "",           " 2025-01-01", "2025-01-0a", "٢٠٢٥-01-01"};
    static const char *const good[] = {"2024-02-29", "2000-02-29", "2025-12-31T23:59:59Z", "0001-01-01", "2025-01-011"};
    char text[64], expected[256];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "\"%s\"", bad[i]);
        snprintf(expected, sizeof(expected), "reject bad_date d '%s'\n", bad[i]);
        assert_string_equal(s_ops(true, K, "null", "null", OK, text, "3", "4"), expected);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(text, sizeof(text), "\"%s\"", good[i]);
        snprintf(expected, sizeof(expected), "main('a b', ^, NULL, 'con', -5, 2.5, 'fine', 7, '%.10s', 3)\n", good[i]);
        assert_string_equal(s_ops(true, K, "null", "null", OK, text, "3", "4"), expected);
    }
    assert_string_equal(s_ops(true, K, "null", "null", OK, "null", "3", "4"), "reject null_value d -\n");
}

static void test_keys(void **state) {
    s_setting_t ops = {s_mapping, 0, true}, loose = {s_mapping, 1, true};
    (void)state;
    assert_string_equal(s_one(ops, "{\"k\":\"a\"}"),
                        "reject missing_field i also r: missing_field; also m: missing_field; "
                        "also d: missing_field; also n: missing_field; also x: missing_field\n");
    assert_string_equal(s_one(loose, "{}"), "reject missing_field a also b: missing_field\n");
    /* A duplicate goes before an unknown one, an unknown one before a missing one; and all are told, each once. */
    assert_string_equal(s_ops(true, "1,\"k\":\"b\"", "null", "null", OK, DAY, "3", "4"), "reject duplicate_key k -\n");
    assert_string_equal(s_ops(true, K ",\"K\":\"a\"", "null", "null", OK, DAY, "3", "4"), "reject unknown_field K -\n");
    assert_string_equal(s_ops(true, K ",\"\":1", "null", "null", OK, DAY, "3", "4"), "reject unknown_field  -\n");
    assert_string_equal(s_ops(true, K ",\"new\\n\\u0000\":1", "null", "null", OK, DAY, "3", "4"),
                        "reject unknown_field new\\x0a\\x00 -\n");
    assert_string_equal(s_one(ops, "{\"z\":1,\"k\":1,\"\\u006b\":2}"),
                        "reject duplicate_key k also z: unknown_field; also i: missing_field; also r: missing_field; "
                        "also m: missing_field; also d: missing_field; also n: missing_field; also x: "
                        "missing_field\n");
    assert_string_equal(
        s_ops(true, K ",\"z\":1,\"y\":1,\"z\":2,\"z\":3,\"r\":\"?\"", "\"?\"", "null", "\"?\"", "\"?\"", "null", "4"),
        "reject duplicate_key z also r: duplicate_key; also z: unknown_field; also y: unknown_field; also i: "
        "wrong_type "
        "'?', expected an integer; also n: null_value; also m: unknown_value '?'; also d: bad_date '?'\n");
    assert_string_equal(s_one(loose, "{\"z\":1,\"a\":3,\"z\":2}"),
                        "reject duplicate_key z also b: missing_field; also a: wrong_type 3, expected text\n");
    /* Under "warn" an unknown field is left out and noted once a record. */
    assert_string_equal(s_one(loose, "{\"z\":[1,{}],\"b\":\"x\",\"y\":1,\"a\":\"k\"}"),
                        "row('k', 'x', 'x!')\nnote unknown_field - 1 from 0\n");
    assert_string_equal(s_one(loose, "{\"z\":1,\"b\":\"x\",\"z\":1,\"a\":\"k\"}"), "reject duplicate_key z -\n");
    assert_string_equal(s_one(loose, "{\"z\":[1 2],\"b\":\"x\",\"a\":\"k\"}"),
                        "reject malformed_json - ']' expected, before byte 9 of the record\n");
    assert_string_equal(s_one(loose, "{\"z\":1}"), "reject missing_field a also b: missing_field\n");
}

static void test_broken_records(void **state) {
    s_setting_t ops = {s_mapping, 0, true};
    (void)state;
    assert_string_equal(s_one(ops, "{\"k\":\"a\""),
                        "reject malformed_json - '}' expected, before byte 8 of the record\n");
    assert_string_equal(
        s_one(ops, "{\"k\":\"a\",}"),
        "reject malformed_json - a comma before '}', where none may stand, before byte 10 of the record\n");
    assert_string_equal(s_one(ops, ""), "reject malformed_json - '[' or '{' expected, before byte 0 of the record\n");
    assert_string_equal(s_one(ops, "{\"k\":\"\xff\"}"), "reject bad_utf8 - -\n");
}

static void test_order_of_checks(void **state) {
    (void)state;
    /* Fields in the mapping's order before values in the columns' order. The first gives the reason, and all are told. */
    assert_string_equal(s_ops(true, K, "1.5", "true", "\"?\"", "\"?\"", "null", "4"),
                        "reject wrong_type i 1.5, expected an integer; also r: wrong_type true, expected a number; "
                        "also n: null_value; also m: unknown_value '?'; also d: bad_date '?'\n");
    assert_string_equal(s_ops(true, K, "null", "null", "\"?\"", "\"?\"", "null", "4"),
                        "reject null_value n also m: unknown_value '?'; also d: bad_date '?'\n");
    assert_string_equal(
        s_ops(true, K, "null", "null", "\"?\"", "\"?\"", "3", "true"),
        "reject wrong_type x true, expected an integer; also m: unknown_value '?'; also d: bad_date '?'\n");
    assert_string_equal(s_ops(true, K, "null", "null", "\"?\"", "\"?\"", "3", "4"),
                        "reject unknown_value m '?'; also d: bad_date '?'\n");
}

static void test_notes_of_a_batch(void **state) {
    static const char *const records[] = {"{\"a\":\"1\",\"b\":\"x\"}",         "{\"a\":\"2\",\"b\":\"null\"}",
                                          "{\"z\":1,\"a\":\"3\",\"b\":\"x\"}", "{\"b\":\"x\",\"a\":\"4\"}",
                                          "{\"a\":\"5\",\"z\":1,\"b\":\"x\"}", "{\"a\":6,\"z\":1,\"b\":\"x\"}",
                                          "{\"a\":\"7\",\"b\":\"x\"}",         NULL};
    static const char *const rounded[] = {
        "{\"k\":\"1\",\"i\":null,\"r\":null,\"m\":\"?\",\"d\":\"2025-01-01\",\"n\":9007199254740993,\"x\":\"null\"}",
        "{\"k\":\"2\",\"i\":null,\"r\":null,\"m\":\"ok\",\"d\":\"2025-01-01\",\"n\":9007199254740993,\"x\":\"null\"}",
        "{\"k\":\"3\",\"i\":null,\"r\":null,\"m\":\"ok\",\"d\":\"2025-01-01\",\"n\":1,\"x\":\"null\"}", NULL};
    (void)state;
    assert_string_equal(s_transform((s_setting_t){s_mapping, 1, true}, records),
                        "row('1', 'x', 'x!')\nreject null_value b -\nrow('3', 'x', 'x!')\nrow('4', 'x', 'x!')\n"
                        "row('5', 'x', 'x!')\nreject wrong_type a 6, expected text\nrow('7', 'x', 'x!')\n"
                        "note unknown_field - 2 from 2\n");
    /* A rejected record notes nothing. */
    assert_string_equal(s_transform((s_setting_t){s_mapping, 0, true}, rounded),
                        "reject unknown_value m '?'\n"
                        "main('2', ^, NULL, 'con', -5, 2.5, 'fine', 7, '2025-01-01', 9007199254740993)\n"
                        "main('3', ^, NULL, 'con', -5, 2.5, 'fine', 7, '2025-01-01', 1)\n"
                        "note null_text x 2 from 1\nnote rounded_integer n 1 from 1\n");
}

static void test_long_values_in_rejects(void **state) {
    char text[600], expected[400], start[256];
    (void)state;
    memset(text, 'y', sizeof(text));
    text[0] = '"';
    memcpy(text + sizeof(text) - 2, "\"", 2);
    memset(start, 'y', sizeof(start));
    snprintf(expected, sizeof(expected), "reject unknown_value m '%.250s…'\n", start);
    assert_string_equal(s_ops(true, K, "null", "null", text, DAY, "3", "4"), expected);
    snprintf(expected, sizeof(expected), "reject wrong_type i '%.194s…', expected an integer\n", start);
    assert_string_equal(s_ops(true, K, text, "null", OK, DAY, "3", "4"), expected);
}

/* All are told as long as there is room, then counted; no character is cut. */
static void test_more_problems_than_room(void **state) {
    static char record[65536], expected[2048], last[64];
    size_t size = 0;
    (void)state;
    for (int names = 0; names < 300; names += 7) {
        size = (size_t)sprintf(record, "{\"a\":\"1\",\"b\":\"x\",\"w\":1,\"w\":1");
        strcpy(expected, "reject duplicate_key w ");
        size_t begin = strlen(expected), told = 0;
        for (int i = 0; i < names; i++) {
            size += (size_t)sprintf(record + size, ",\"é%d\":1,\"é%d\":2", i, i);
            sprintf(last, "%salso é%d: duplicate_key", i > 0 ? "; " : "", i);
            if (told == (size_t)i &&
                strlen(expected) - begin + strlen(last) < 1024 - sizeof "; and 18446744073709551615 more") {
                strcat(expected, last);
                told++;
            }
        }
        strcpy(record + size, "}");
        if (told < (size_t)names) {
            sprintf(expected + strlen(expected), "; and %d more", names - (int)told);
        }
        strcat(expected, names > 0 ? "\n" : "-\n");
        assert_string_equal(s_one((s_setting_t){s_mapping, 1, true}, record), expected);
    }
}

static void test_hub_audit(void **state) {
    (void)state;
    assert_string_equal(
        s_one((s_setting_t){s_hub, 0, true},
              "{\"id\": 7, \"token\": \"76e6eb36\", \"project_name\": \"LES FORGES\", \"client_name\": \"Arkolia "
              "Énergies\", \"location\": \"Lyon\", \"string_count\": 10, \"modules_per_string\": 0, \"total_modules\": "
              "220, \"plan_file\": \"null\", \"status\": \"archived\", \"created_at\": \"2025-10-27 09:43:12\", "
              "\"updated_at\": \"2025-10-28 10:00:00\", \"json_config\": \"{\\\"mode\\\":\\\"simple\\\"}\"}"),
        "technician('el-migration@pvrelay.invalid', 'Technicien EL (migration)', 'technician', 0, '2025-10-27 "
        "09:43:12', "
        "'2025-10-27 09:43:12') "
        "client('Arkolia Énergies', 'pvrelay: placeholder made from an EL audit's client_name', '2025-10-27 09:43:12', "
        "'2025-10-27 09:43:12') "
        "project(^, 'LES FORGES', 'Lyon', 'pvrelay: placeholder made from an EL audit's project_name', "
        "'2025-10-27 09:43:12', '2025-10-27 09:43:12') "
        "intervention(^, ^, 'el', '2025-10-27', 'completed', 'pvrelay: placeholder for EL audit 76e6eb36', "
        "'2025-10-27 09:43:12', '2025-10-28 10:00:00') "
        "audit(^, '76e6eb36', 'LES FORGES', 'Arkolia Énergies', 'Lyon', 10, 0, 220, NULL, 'archived', "
        "'{\"mode\":\"simple\"}', '2025-10-27 09:43:12', '2025-10-28 10:00:00')\n"
        "note null_text plan_file 1 from 0\n");
}

static void test_hub_module(void **state) {
    static const char *const records[] = {
        "{\"id\": 1, \"audit_token\": \"t\", \"module_id\": \"S3-14\", \"string_number\": 3, \"position_in_string\": "
        "14, "
        "\"status\": \"microcracks\", \"comment\": \"null\", \"technician_id\": \"Zoé B\", \"created_at\": "
        "\"2025-10-27 "
        "09:43:12\", \"updated_at\": null, \"physical_row\": \"null\", \"physical_col\": 0}",
        "{\"id\": 2, \"audit_token\": \"t\", \"module_id\": \"S3-15\", \"string_number\": 3, \"position_in_string\": "
        "15, "
        "\"status\": \"dead\", \"comment\": \"fêlé\", \"technician_id\": \"null\", \"created_at\": \"2025-10-27 "
        "09:43:12\", \"updated_at\": null, \"physical_row\": 2, \"physical_col\": 0}",
        NULL};
    (void)state;
    assert_string_equal(
        s_transform((s_setting_t){s_hub, 1, true}, records),
        "technician('Zo=C3=A9=20B@el.pvrelay.invalid', 'Zoé B', 'technician', 0, '2025-10-27 09:43:12', "
        "'2025-10-27 09:43:12') "
        "module('t', 't', 'S3-14', 3, 14, 'microcrack', 2, NULL, ^, NULL, 0, '2025-10-27 09:43:12', NULL)\n"
        "module('t', 't', 'S3-15', 3, 15, 'dead_module', 3, 'fêlé', ^, 2, 0, '2025-10-27 09:43:12', NULL)\n"
        "note null_text comment 1 from 0\nnote null_text technician_id 1 from 1\n"
        "note null_text physical_row 1 from 0\n");
}

static void test_refused_batches(void **state) {
    pr_transformer_t *transformer = pr_transformer_new(s_mapping);
    pr_transform_counts_t counts = {.ok = 77};
    char bytes[2 + PR_JSON_PADDING] = "{}";
    pr_slice_t slices[] = {{0, 2}, {1, 2}, {3, 0}, {UINT32_MAX, UINT32_MAX}};
    msgpack_sbuffer out;
    (void)state;
    msgpack_sbuffer_init(&out);
    assert_int_equal(pr_transform_batch(transformer, 2, true, bytes, 2, slices, 1, &out, &counts), -PR_E_PROTOCOL);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(pr_transform_batch(transformer, 0, true, bytes, 2, &slices[i], 1, &out, &counts),
                         -PR_E_PROTOCOL);
    }
    assert_int_equal(out.size, 0);
    assert_int_equal(counts.ok, 77);
    assert_int_equal(pr_transform_batch(transformer, 0, true, bytes, 2, slices, 0, &out, &counts), 0);
    assert_int_equal(out.size, 1); /* no notes, no records */
    assert_int_equal(counts.ok, 0);
    msgpack_sbuffer_destroy(&out);
    pr_transformer_destroy(&transformer);
    pr_transformer_destroy(&transformer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_null_text),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_order_of_checks),
        cmocka_unit_test(test_notes_of_a_batch),
        cmocka_unit_test(test_long_values_in_rejects),
        cmocka_unit_test(test_more_problems_than_room),
        cmocka_unit_test(test_hub_audit),
        cmocka_unit_test(test_hub_module),
        cmocka_unit_test(test_refused_batches),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
