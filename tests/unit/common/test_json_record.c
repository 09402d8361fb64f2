/* SPDX-License-Identifier: MIT */
/* The record parser: kinds, exactness at the edges, and that no broken record gets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_record.h"

static pr_json_parser_t *s_parser;

static int s_setup(void **state) {
    (void)state;
    s_parser = pr_json_parser_new();
    return 0;
}

static int s_teardown(void **state) {
    (void)state;
    pr_json_parser_destroy(&s_parser);
    pr_json_parser_destroy(&s_parser);
    return 0;
}

/* Parse with the worst of paddings: one that would complete a broken record. */
static int s_parse_with(const char *data, size_t size, char padding, const pr_json_field_t **ret_fields,
                        size_t *ret_count) {
    char *buffer = malloc(size + PR_JSON_PADDING);
    memcpy(buffer, data, size);
    memset(buffer + size, padding, PR_JSON_PADDING);
    int rc = pr_json_parse_record(s_parser, buffer, size, ret_fields, ret_count);
    free(buffer);
    return rc;
}

static const pr_json_field_t *s_parse(const char *data, size_t count) {
    const pr_json_field_t *fields = NULL;
    size_t got = 99999;
    assert_int_equal(s_parse_with(data, strlen(data), '}', &fields, &got), 0);
    assert_int_equal(got, count);
    return fields;
}

static void s_expect_bytes(const char *text, size_t size, const char *expected, size_t expected_size) {
    assert_int_equal(size, expected_size);
    assert_memory_equal(text, expected, expected_size);
}

static void test_kinds(void **state) {
    const pr_json_field_t *f = s_parse("{\"a\":null,\"b\":-12,\"c\":1.50,\"d\":\"x\",\"e\":true,\"f\":false,"
                                       "\"g\": [1, {\"y\": [ ] }] ,\"h\":{} }",
                                       8);
    (void)state;
    s_expect_bytes(f[0].name, f[0].name_size, "a", 1);
    assert_int_equal(f[0].kind, PR_JSON_NULL);
    assert_int_equal(f[1].kind, PR_JSON_INTEGER);
    assert_int_equal(f[1].integer, -12);
    assert_int_equal(f[2].kind, PR_JSON_REAL);
    assert_true(f[2].real == 1.5);
    s_expect_bytes(f[2].text, f[2].text_size, "1.50", 4);
    assert_int_equal(f[3].kind, PR_JSON_TEXT);
    s_expect_bytes(f[3].text, f[3].text_size, "x", 1);
    assert_int_equal(f[4].kind, PR_JSON_BOOLEAN);
    assert_int_equal(f[4].integer, 1);
    assert_int_equal(f[5].kind, PR_JSON_BOOLEAN);
    assert_int_equal(f[5].integer, 0);
    assert_int_equal(f[6].kind, PR_JSON_CONTAINER);
    s_expect_bytes(f[6].text, f[6].text_size, "[1, {\"y\": [ ] }]", 16);
    assert_int_equal(f[7].kind, PR_JSON_CONTAINER);
    s_expect_bytes(f[7].text, f[7].text_size, "{}", 2);
    s_expect_bytes(f[7].name, f[7].name_size, "h", 1);
}

static void test_numbers(void **state) {
    static const struct {
        const char *token;
        pr_json_kind_t kind;
        int64_t integer;
        double real;
    } cases[] = {
        {"0", PR_JSON_INTEGER, 0, 0},
        {"-0", PR_JSON_INTEGER, 0, 0},
        {"9007199254740993", PR_JSON_INTEGER, INT64_C(9007199254740993), 0},
        {"9223372036854775807", PR_JSON_INTEGER, INT64_MAX, 0},
        {"-9223372036854775808", PR_JSON_INTEGER, INT64_MIN, 0},
        {"9223372036854775808", PR_JSON_BIG_INTEGER, 0, 9223372036854775808.0},
        {"-9223372036854775809", PR_JSON_BIG_INTEGER, 0, -9223372036854775808.0},
        {"18446744073709551616", PR_JSON_BIG_INTEGER, 0, 18446744073709551616.0},
        {"100000000000000000000", PR_JSON_BIG_INTEGER, 0, 1e20},
        {"1.0", PR_JSON_REAL, 0, 1},
        {"-0.0", PR_JSON_REAL, 0, 0},
        {"1e3", PR_JSON_REAL, 0, 1000},
        {"1E+3", PR_JSON_REAL, 0, 1000},
        {"25e-1", PR_JSON_REAL, 0, 2.5},
        {"0.1", PR_JSON_REAL, 0, 0.1},
        {"2.2250738585072011e-308", PR_JSON_REAL, 0, 2.2250738585072011e-308},
        {"1e-999", PR_JSON_REAL, 0, 0},
        {"1.7976931348623157e308", PR_JSON_REAL, 0, 1.7976931348623157e308},
        {"1e309", PR_JSON_BIG_REAL, 0, INFINITY},
        {"-1e309", PR_JSON_BIG_REAL, 0, -INFINITY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t tail = 0; tail < 2; tail++) {
            char record[128];
            snprintf(record, sizeof(record), tail == 0 ? "{\"n\":%s}" : "{\"n\": %s\r\n\t }", cases[i].token);
            const pr_json_field_t *field = s_parse(record, 1);
            assert_int_equal(field->kind, cases[i].kind);
            if (field->kind == PR_JSON_INTEGER) {
                assert_int_equal(field->integer, cases[i].integer);
                continue;
            }
            assert_true(field->real == cases[i].real);
            s_expect_bytes(field->text, field->text_size, cases[i].token, strlen(cases[i].token));
        }
    }
}

static void test_strings(void **state) {
    const pr_json_field_t *f =
        s_parse("{\"k\\u00e9y\":\"\\u0000a\\\"\\\\\\/\\b\\f\\n\\r\\t\","
                "\"emoji\":\"\\ud83d\\ude00 😀 é — '\",\"\":\"\",\"u\":\"ends in a backslash\\\\\"}",
                4);
    (void)state;
    s_expect_bytes(f[0].name, f[0].name_size, "kéy", 4);
    s_expect_bytes(f[0].text, f[0].text_size, "\0a\"\\/\b\f\n\r\t", 10);
    s_expect_bytes(f[1].text, f[1].text_size, "😀 😀 é — '", 18);
    assert_int_equal(f[2].name_size, 0);
    assert_int_equal(f[2].text_size, 0);
    s_expect_bytes(f[3].text, f[3].text_size, "ends in a backslash\\", 20);
}

/* Strings of every length, with and without an escape at every place: the eight-bytes-at-a-time scan has edges. */
static void test_string_lengths(void **state) {
    (void)state;
    for (size_t size = 0; size < 40; size++) {
        for (size_t escape = 0; escape <= size; escape++) {
            char record[160], expected[48];
            memset(expected, 'a', size);
            char *at =
                record + sprintf(record, "{\"%.*s\":\"", (int)size, "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");
            for (size_t i = 0; i < size; i++) {
                at += sprintf(at, "%s", i == escape ? "\\n" : "a");
                expected[i] = i == escape ? '\n' : 'a';
            }
            strcpy(at, "\"}");
            const pr_json_field_t *field = s_parse(record, 1);
            assert_int_equal(field->name_size, size);
            s_expect_bytes(field->text, field->text_size, expected, size);
        }
    }
}

static void test_duplicates_are_kept(void **state) {
    const pr_json_field_t *f = s_parse("{\"a\":1,\"a\":2}", 2);
    (void)state;
    assert_int_equal(f[0].integer, 1);
    assert_int_equal(f[1].integer, 2);
    s_parse("{}", 0);
    s_parse(" \r\n\t{ } \n", 0);
}

static void test_malformed(void **state) {
    static const char *const records[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "[{}]",
        "1",
        "\"a\"",
        "null",
        "{}{}",
        "{} {}",
        "{},",
        "{}]",
        "{}}",
        "{}x",
        "{} 1",
        "{}\"\"",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1,,\"b\":2}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1:\"b\":2}",
        "{\"a\":\"b\":1}",
        "{\"a\":\"b\":\"c\"}",
        "{\"a\"\"b\":1}",
        "{\"a\":\"b\" 1}",
        "{\"a\":\"b\"\"c\":1}",
        "{\"a\":\"b\"1}",
        "{\"a\":1\"b\":2}",
        "{\"a\"::1}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "{null:1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":1.5.5}",
        "{\"a\":0x10}",
        "{\"a\":1_000}",
        "{\"a\":1 2}",
        "{\"a\":--1}",
        "{\"a\":-01}",
        "{\"a\":1-1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":nul}",
        "{\"a\":nulll}",
        "{\"a\":nul l}",
        "{\"a\":True}",
        "{\"a\":truefalse}",
        "{\"a\":fals}",
        "{\"a\":null null}",
        "{\"a\":null,\"b\":tru}",
        "{\"a\":undefined}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\\"}",
        "{\"a\":\"b}",
        "{\"a\":\"b\n\"}",
        "{\"a\":\"b\tc\"}",
        "{\"a\":\"\x01\"}",
        "{\"a\n\":1}",
        "{\"\\q\":1}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\ud800x\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"\\ud800\":1}",
        "{\"a\":[1 2]}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1}",
        "{\"a\":[1}]",
        "{\"a\":{\"b\":1]}",
        "{\"a\":[nul]}",
        "{\"a\":[\"\\x\"]}",
        "{\"a\":[01]}",
        "{\"a\":{\"b\" 1}}",
        "{\"a\":{\"b\":1,}}",
        "{\"a\":{1:1}}",
        "{\"a\":{\"b\":\"c\":1}}",
        "{\"a\":{\"b\":1 \"c\":2}}",
        "{\"a\":[[[[1 1]]]]}",
        "{\"a\":[1:2]}",
        "{\"a\":[\"b\":1]}",
        "{\"a\":1]",
        "{\"a\":{}",
        "{\"a\":[]",
        "{\"a\":[}",
        "{\"a\":[]]}",
        "{\"a\":{}}}",
        "{\"a\":1;}",
        "{\"a\":1}\\",
        "{\"a\":1/*x*/}",
        "{\"a\":1}//",
        "\xef\xbb\xbf{}",
        "{\"a\":1\f}",
        "{\"a\":1\x0b}",
        "{\"a\":\v1}",
        "{\"a\":truE}",
        "{\"a\":\"b\"x}",
        "{\"a\"x:1}",
        "{x\"a\":1}",
        "{\"a\":x\"b\"}",
        "{\"a\":1,\"b\"}",
        "{\"a\":1,\"b\":}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        /* A padding that continues the record must not mend it. */
        for (const char *padding = " }]\"0\\e"; *padding != '\0'; padding++) {
            const pr_json_field_t *fields = NULL;
            size_t count = 7;
            int rc = s_parse_with(records[i], strlen(records[i]), *padding, &fields, &count);
            if (rc != PR_R_MALFORMED_JSON || fields != NULL || count != 7) {
                fail_msg("record %s, padding %c: %d", records[i], *padding, rc);
            }
        }
    }
}

static void test_nul_outside_strings(void **state) {
    static const struct {
        const char *data;
        size_t size;
    } records[] = {
        {"{\"a\":1}\0", 8}, {"\0{\"a\":1}", 8}, {"{\"a\":1\0}", 8}, {"{\"a\":\0001}", 8}, {"{\"a\":\"\0\"}", 9}};
    const pr_json_field_t *fields;
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        assert_int_equal(s_parse_with(records[i].data, records[i].size, ' ', &fields, &count), PR_R_MALFORMED_JSON);
    }
}

static void test_bad_utf8(void **state) {
    static const char *const records[] = {
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\xf4\x90\x80\x80\"}",
        "{\"a\":\"\xe2\x82\"}",
        "{\"\x80\":1}",
        "{\"a\":\"\xf0\x9f\x98\"}",
    };
    const pr_json_field_t *fields;
    size_t count;
    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        assert_int_equal(s_parse_with(records[i], strlen(records[i]), ' ', &fields, &count), PR_R_BAD_UTF8);
    }
    /* Exactly the record's bytes: what lies behind is of no matter. */
    assert_int_equal(s_parse_with("{\"a\":1}", 7, '\xff', &fields, &count), 0);
}

static void test_every_truncation(void **state) {
    static const char record[] = "{\"a\":\"b\\u00e9é\",\"n\":-1.5e3,\"l\":[true,null,{\"x\":12}],\"z\":false}";
    const pr_json_field_t *fields;
    size_t count;
    (void)state;
    for (size_t size = 0; size < strlen(record); size++) {
        assert_int_not_equal(s_parse_with(record, size, '}', &fields, &count), 0);
    }
    s_parse(record, 4);
}

static void test_many_fields(void **state) {
    const pr_json_field_t *fields;
    size_t count;
    (void)state;
    for (int members = 1024; members <= 1025; members++) {
        char *record = malloc(1025 * 12 + 8);
        char *at = record;
        for (int i = 0; i < members; i++) {
            at += sprintf(at, "%c\"f%d\":%d", i == 0 ? '{' : ',', i, i);
        }
        strcpy(at, "}");
        if (members == 1024) {
            assert_int_equal(s_parse(record, 1024)[1023].integer, 1023);
        } else {
            assert_int_equal(s_parse_with(record, strlen(record), ' ', &fields, &count), PR_R_MALFORMED_JSON);
        }
        free(record);
    }
}

static void test_deep_and_long(void **state) {
    const pr_json_field_t *fields;
    size_t count, size = (size_t)1 << 20;
    char *record = malloc(size + 16);
    (void)state;
    size_t head = (size_t)sprintf(record, "{\"a\":");
    memset(record + head, '[', size - head);
    assert_int_equal(s_parse_with(record, size, ']', &fields, &count), PR_R_MALFORMED_JSON);
    head = (size_t)sprintf(record, "{\"a\":\"");
    memset(record + head, 'x', size - head);
    strcpy(record + size, "\"}");
    assert_int_equal(s_parse(record, 1)->text_size, size - head);
    s_parse("{\"a\":1}", 1);
    free(record);
}

/* Seeded mutations of a record, judged by jansson as a second opinion on what is JSON. */
static void test_against_jansson(void **state) {
    static const char seed[] =
        "{\"a\":\"b\\u00e9\\\"é\",\"n\":-1.5e3,\"i\":[1,{\"x\":\"y\"}, 2 ],\"t\":true,\"z\":null,\"k\":12}";
    static const char letters[] = "{}[]:,\"\\0123456789eE+-.truefalsn \n\xc3\xa9";
    unsigned accepted = 0;
    uint64_t random = 42;
    (void)state;
    for (int round = 0; round < 200000; round++) {
        char record[sizeof(seed)];
        const pr_json_field_t *fields;
        size_t count;
        memcpy(record, seed, sizeof(seed));
        for (int i = 0; i < 1 + round % 3; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            record[(random >> 33) % (sizeof(seed) - 1)] = letters[(random >> 48) % (sizeof(letters) - 1)];
        }
        json_error_t error;
        json_t *json = json_loadb(record, sizeof(seed) - 1, JSON_ALLOW_NUL, &error);
        int rc = s_parse_with(record, sizeof(seed) - 1, ' ', &fields, &count);
        bool huge = json == NULL && json_error_code(&error) == json_error_numeric_overflow;
        if (!huge && (rc == 0) != json_is_object(json)) {
            fail_msg("%s: we say %d, jansson %s", record, rc, json_is_object(json) ? "yes" : error.text);
        }
        accepted += rc == 0;
        json_decref(json);
    }
    assert_in_range(accepted, 10000, 190000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_string_lengths),
        cmocka_unit_test(test_duplicates_are_kept),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_nul_outside_strings),
        cmocka_unit_test(test_bad_utf8),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_many_fields),
        cmocka_unit_test(test_deep_and_long),
        cmocka_unit_test(test_against_jansson),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
