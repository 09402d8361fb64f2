/* SPDX-License-Identifier: MIT */
/* Single values: parsing legacy records, their types, and the inverse relations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "validator/legacy.h"
#include "validator/relation.h"

/* A stream of one field of each type. */
static pr_field_t s_fields[] = {
    {.name = (char *)"id", .type = PR_TYPE_INTEGER, .ignored = "a surrogate"},
    {.name = (char *)"name", .type = PR_TYPE_TEXT, .nullable = true},
    {.name = (char *)"row", .type = PR_TYPE_INTEGER, .nullable = true},
    {.name = (char *)"volt", .type = PR_TYPE_REAL, .nullable = true},
    {.name = (char *)"token", .type = PR_TYPE_TEXT},
};
enum { S_ID, S_NAME, S_ROW, S_VOLT, S_TOKEN, S_FIELDS };
static const char *const s_names[] = {"id", "name", "row", "volt", "token"};
static pr_stream_t s_stream = {.name = (char *)"things", .fields = s_fields, .fields_count = S_FIELDS};

/* A record parsed, with the bytes its values borrow from. */
typedef struct {
    char data[1024 + PR_LEGACY_PADDING];
    pr_legacy_parser_t *parser;
    pr_legacy_record_t record;
    pr_value_t values[S_FIELDS];
    char problem[256];
    bool good;
} s_parsed_t;

static void s_parse(s_parsed_t *parsed, const char *text, bool null_text) {
    memset(parsed, 0, sizeof *parsed);
    memcpy(parsed->data, text, strlen(text));
    parsed->parser = pr_legacy_parser_new(s_names, S_FIELDS);
    parsed->good =
        pr_legacy_parse(parsed->parser, parsed->data, pr_legacy_is_utf8(text, strlen(text)), &parsed->record) &&
        pr_legacy_values(&s_stream, &parsed->record, null_text, parsed->values, parsed->problem,
                         sizeof parsed->problem);
}

static void s_parsed_free(s_parsed_t *parsed) {
    pr_legacy_parser_destroy(&parsed->parser);
}

static void s_assert_text(const pr_value_t *value, const char *text, size_t size) {
    assert_int_equal(value->kind, PR_TEXT);
    assert_int_equal(value->text.size, size);
    assert_memory_equal(value->text.data, text, size);
}

static void test_values(void **state) {
    (void)state;
    s_parsed_t parsed;
    s_parse(&parsed,
            "{\"token\": \"a\\u0000b\\n\\u00e9\\ud83d\\ude00\", \"id\" : [1, {\"name\": 3}],\n"
            "  \"volt\": 1, \"row\": -9223372036854775808, \"name\": \"null\"} , {\"next\": 1}",
            true);
    assert_true(parsed.good);
    assert_int_equal(parsed.record.used, strlen("{\"token\": \"a\\u0000b\\n\\u00e9\\ud83d\\ude00\", \"id\" : [1, "
                                                "{\"name\": 3}],\n  \"volt\": 1, \"row\": -9223372036854775808, "
                                                "\"name\": \"null\"}"));
    s_assert_text(&parsed.values[S_TOKEN], "a\0b\n\xc3\xa9\xf0\x9f\x98\x80", 10);
    assert_int_equal(parsed.values[S_ID].kind, PR_NULL);
    assert_int_equal(parsed.values[S_VOLT].kind, PR_REAL);
    assert_true(parsed.values[S_VOLT].real == 1.0);
    assert_int_equal(parsed.values[S_ROW].kind, PR_INTEGER);
    assert_true(parsed.values[S_ROW].integer == INT64_MIN);
    assert_int_equal(parsed.values[S_NAME].kind, PR_NULL);
    s_parsed_free(&parsed);
}

static void test_null_text_only_where_it_may_stand(void **state) {
    (void)state;
    s_parsed_t parsed;
    const char *record = "{\"id\":1,\"name\":\"null\",\"row\":null,\"volt\":1e2,\"token\":\"null\"}";
    s_parse(&parsed, record, true);
    assert_true(parsed.good);
    assert_int_equal(parsed.values[S_NAME].kind, PR_NULL);
    s_assert_text(&parsed.values[S_TOKEN], "null", 4); /* not nullable */
    assert_true(parsed.values[S_VOLT].real == 100.0);
    s_parsed_free(&parsed);

    s_parse(&parsed, record, false);
    assert_true(parsed.good);
    s_assert_text(&parsed.values[S_NAME], "null", 4);
    s_parsed_free(&parsed);

    s_parse(&parsed, "{\"id\":1,\"name\":\"x\",\"row\":\"null\",\"volt\":\"null\",\"token\":\"t\"}", true);
    assert_true(parsed.good);
    assert_int_equal(parsed.values[S_ROW].kind, PR_NULL);
    assert_int_equal(parsed.values[S_VOLT].kind, PR_NULL);
    s_parsed_free(&parsed);
}

static void test_records_to_reject(void **state) {
    (void)state;
    static const struct {
        const char *record;
        const char *problem;
    } cases[] = {
        {"{\"id\":1,\"name\":\"x\",\"row\":1,\"volt\":1,\"token\":\"t\",\"more\":1}",
         "the mapping does not know the field more"},
        {"{\"id\":1,\"name\":\"x\",\"row\":1,\"volt\":1,\"token\":\"t\",\"row\":1}", "the field row stands twice"},
        {"{\"id\":1,\"id\":1,\"name\":\"x\",\"row\":1,\"volt\":1,\"token\":\"t\"}", "the field id stands twice"},
        {"{\"id\":1,\"name\":\"x\",\"row\":1,\"volt\":1}", "the field token is missing"},
        {"{\"id\":1,\"name\":\"x\",\"row\":1,\"volt\":1,\"token\":null}", "the field token must not be null"},
        {"{\"id\":1,\"name\":1,\"row\":1,\"volt\":1,\"token\":\"t\"}", "the field name is not text"},
        {"{\"id\":1,\"name\":true,\"row\":1,\"volt\":1,\"token\":\"t\"}", "the field name is not text"},
        {"{\"id\":1,\"name\":[],\"row\":1,\"volt\":1,\"token\":\"t\"}", "the field name is not text"},
        {"{\"id\":1,\"name\":\"x\",\"row\":\"1\",\"volt\":1,\"token\":\"t\"}", "the field row is not an integer"},
        {"{\"id\":1,\"name\":\"x\",\"row\":1.0,\"volt\":1,\"token\":\"t\"}", "the field row is not an integer"},
        {"{\"id\":1,\"name\":\"x\",\"row\":9223372036854775808,\"volt\":1,\"token\":\"t\"}",
         "the field row does not fit 64 bits"},
        {"{\"id\":1,\"name\":\"x\",\"row\":-9223372036854775809,\"volt\":1,\"token\":\"t\"}",
         "the field row does not fit 64 bits"},
        {"{\"id\":1,\"name\":\"x\",\"row\":1,\"volt\":\"1\",\"token\":\"t\"}", "the field volt is not a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s_parsed_t parsed;
        s_parse(&parsed, cases[i].record, true);
        assert_null(parsed.record.error);
        assert_false(parsed.good);
        assert_string_equal(parsed.problem, cases[i].problem);
        s_parsed_free(&parsed);
    }
}

static void test_not_json(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"", "The document is empty."},
        {"[1]", "It is not an object, or nested too deeply."},
        {"{\"id\":}", "Invalid value."},
        {"{\"id\":01}", "Missing a comma or '}' after an object member."},
        {"{\"name\":\"\xff\"}", "Invalid encoding in string."},
        {"{\"name\":\"\xed\xa0\x80\"}", "Invalid encoding in string."},
        {"{\"name\":\"\\ud800\"}", "The surrogate pair in string is invalid."},
        {"{\"name\":\"x", "Missing a closing quotation mark in string."},
        {"12", "It is not an object, or nested too deeply."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s_parsed_t parsed;
        s_parse(&parsed, cases[i].text, true);
        assert_false(parsed.good);
        assert_string_equal(parsed.record.error, cases[i].error);
        s_parsed_free(&parsed);
    }
}

/* Parse a copy of text; whether its bytes were left as they are, as they are if the record fits the frame. */
static bool s_parse_with(pr_legacy_parser_t *parser, const char *text, char *data, size_t size,
                         pr_legacy_record_t *ret_record) {
    memset(data, 0, size);
    memcpy(data, text, strlen(text));
    pr_legacy_parse(parser, data, pr_legacy_is_utf8(text, strlen(text)), ret_record);
    return memcmp(data, text, strlen(text)) == 0;
}

static void s_assert_same(const pr_legacy_record_t *a, const pr_legacy_record_t *b) {
    assert_int_equal(a->error == NULL, b->error == NULL);
    if (a->error != NULL) {
        assert_string_equal(a->error, b->error);
        return;
    }
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->unknown == NULL, b->unknown == NULL);
    for (size_t i = 0; i < S_FIELDS; i++) {
        assert_int_equal(a->fields[i].kind, b->fields[i].kind);
        assert_int_equal(a->fields[i].twice, b->fields[i].twice);
        assert_int_equal(a->fields[i].size, b->fields[i].size);
        if (a->fields[i].kind == PR_LEGACY_TEXT || a->fields[i].kind == PR_LEGACY_NUMBER)
            assert_memory_equal(a->fields[i].text, b->fields[i].text, a->fields[i].size);
    }
}

/* A parser that knows the frame of the records before says of each record what one that knows none says. */
static void test_frame(void **state) {
    (void)state;
    static const char first[] = "{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\"\n}";
    static const struct {
        const char *text;
        bool framed;
    } cases[] = {
        {first, true},
        {"{\n  \"id\": -0,\n  \"name\": null,\n  \"row\": 123456789012345678, \"token\": \"\"\n}, {", true},
        {"{\n  \"id\": \"x\",\n  \"name\": \"0123456789abcdef, ] }: \xc3\xa9 \x7f\",\n  \"row\": 0, \"token\": null\n}",
         true},
        /* values that are not plain */
        {"{\n  \"id\": 1,\n  \"name\": \"a\\n\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\\\"\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"0123456789abcdef\\u00e9\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1.5,\n  \"name\": \"a\",\n  \"row\": 1e3, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1234567890123456789,\n  \"name\": \"a\",\n  \"row\": 1, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": true,\n  \"name\": [\"a\"],\n  \"row\": {}, \"token\": \"t\"\n}", false},
        /* what is no JSON */
        {"{\n  \"id\": 01,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": -,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": nul,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\tb\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\xff\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\"\n", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a", false},
        {"", false},
        /* another frame */
        {"{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"row\": null,  \"token\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\", \"id\": 2\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"row\": null, \"tokem\": \"t\"\n}", false},
        {"{\n  \"id\": 1,\n  \"name\": \"a\",\n  \"id\": null, \"token\": \"t\"\n}", false},
        {"{\n  \"\\u0069d\": 1,\n  \"name\": \"a\",\n  \"row\": null, \"token\": \"t\"\n}", false},
        {"{\"name\":\"a\"}", false},
        {"{}", false},
    };
    static char data[1024];
    static char fresh[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pr_legacy_parser_t *known = pr_legacy_parser_new(s_names, S_FIELDS);
        pr_legacy_parser_t *none = pr_legacy_parser_new(s_names, S_FIELDS);
        pr_legacy_record_t a;
        pr_legacy_record_t b;
        assert_false(s_parse_with(known, first, data, sizeof data, &a)); /* in place: the frame is taken from it */
        assert_true(s_parse_with(known, first, data, sizeof data, &a));
        bool framed = s_parse_with(known, cases[i].text, data, sizeof data, &a) && a.error == NULL;
        s_parse_with(none, cases[i].text, fresh, sizeof fresh, &b);
        assert_int_equal(framed, cases[i].framed || strcmp(cases[i].text, "{}") == 0); /* {} has nothing to overwrite */
        s_assert_same(&a, &b);
        /* and it still knows the first ones, or those of the new frame */
        s_parse_with(known, first, data, sizeof data, &a);
        s_parse_with(none, first, fresh, sizeof fresh, &b);
        s_assert_same(&a, &b);
        pr_legacy_parser_destroy(&known);
        pr_legacy_parser_destroy(&none);
    }
}

/* A frame is taken anew when the records change; one that no frame may be taken from leaves the old one. */
static void test_frame_is_taken_anew(void **state) {
    (void)state;
    static char data[1024];
    pr_legacy_parser_t *parser = pr_legacy_parser_new(s_names, S_FIELDS);
    pr_legacy_record_t record;
    assert_false(s_parse_with(parser, "{\"name\":\"a\"}", data, sizeof data, &record));
    assert_true(s_parse_with(parser, "{\"name\":\"b\"}", data, sizeof data, &record));
    for (int i = 0; i < 4; i++)
        assert_false(s_parse_with(parser, "{\"name\":\"a\",\"stranger\":1}", data, sizeof data, &record));
    assert_int_equal(record.unknown_size, 8);
    assert_true(s_parse_with(parser, "{\"name\":\"b\"}", data, sizeof data, &record));
    for (int i = 0; i < 4; i++)
        s_parse_with(parser, "{ \"row\":1,\"name\":\"a\"}", data, sizeof data, &record);
    assert_true(s_parse_with(parser, "{ \"row\":2,\"name\":\"b\"}", data, sizeof data, &record));
    assert_int_equal(record.fields[S_ROW].kind, PR_LEGACY_NUMBER);
    assert_int_equal(record.fields[S_TOKEN].kind, PR_LEGACY_ABSENT);
    pr_legacy_parser_destroy(&parser);
}

static void test_utf8(void **state) {
    (void)state;
    static const char *const good[] = {"", "plain text of more than eight bytes", "\xc2\x80\xdf\xbf",
                                       "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80",
                                       "1234567\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",     "\xed\xa0\x80",    "\xf0\x8f\xbf\xbf",
        "12345678\xc3", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "1234567\xe2\x82", "\xe2\x82z"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(pr_legacy_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(pr_legacy_is_utf8(bad[i], strlen(bad[i])));
}

static void test_deep_nesting_is_refused(void **state) {
    (void)state;
    size_t size = 1U << 20;
    char *data = calloc(size + PR_LEGACY_PADDING, 1);
    size_t head = (size_t)sprintf(data, "{\"id\":");
    memset(data + head, '[', size - head);
    pr_legacy_parser_t *parser = pr_legacy_parser_new(s_names, S_FIELDS);
    pr_legacy_record_t record;
    assert_false(pr_legacy_parse(parser, data, true, &record));
    assert_string_equal(record.error, "It is not an object, or nested too deeply.");
    pr_legacy_parser_destroy(&parser);
    free(data);
}

static void test_skip(void **state) {
    (void)state;
    assert_int_equal(pr_legacy_skip("{}x", 3), 2);
    assert_int_equal(pr_legacy_skip("{\"a\":\"}\\\"}\",[\"]\"]}{", 19), 18);
    assert_int_equal(pr_legacy_skip("{\"a\":", 5), 0);
    assert_int_equal(pr_legacy_skip("x{}", 3), 0);
    assert_int_equal(pr_legacy_skip("{\"\\", 3), 0);
    assert_int_equal(pr_legacy_skip("", 0), 0);
}

static pr_value_t s_text_value(const char *text) {
    return pr_value_text(text, strlen(text));
}

static bool s_holds(const pr_column_t *column, pr_affinity_t affinity, pr_value_t source, pr_value_t stored) {
    return pr_relation_holds(column, affinity, &source, &stored);
}

static void test_copy_is_type_strict(void **state) {
    (void)state;
    pr_column_t copy = {.op = PR_OP_COPY, .field = 0};
    pr_value_t one = pr_value_integer(1);
    pr_value_t null = pr_value_null();
    assert_true(s_holds(&copy, PR_AFFINITY_NONE, one, one));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, one, s_text_value("1")));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, s_text_value("1"), one));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, null, s_text_value("")));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, null, s_text_value("null")));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, null, pr_value_integer(0)));
    assert_true(s_holds(&copy, PR_AFFINITY_NONE, null, null));
    assert_true(s_holds(&copy, PR_AFFINITY_NONE, pr_value_text("a\0b", 3), pr_value_text("a\0b", 3)));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, pr_value_text("a\0b", 3), pr_value_text("a\0c", 3)));
    assert_false(s_holds(&copy, PR_AFFINITY_NONE, pr_value_text("a\0b", 3), pr_value_text("a", 1)));
}

static void test_numbers_as_the_affinity_has_them(void **state) {
    (void)state;
    pr_column_t copy = {.op = PR_OP_COPY, .field = 0};
    pr_value_t one = pr_value_integer(1);
    pr_value_t real = pr_value_real(1.0);
    assert_true(s_holds(&copy, PR_AFFINITY_REAL, real, real));
    assert_false(s_holds(&copy, PR_AFFINITY_REAL, real, one));
    assert_true(s_holds(&copy, PR_AFFINITY_NUMERIC, real, one));
    assert_true(s_holds(&copy, PR_AFFINITY_REAL, one, real));
    assert_false(s_holds(&copy, PR_AFFINITY_NUMERIC, one, real));
    assert_false(s_holds(&copy, PR_AFFINITY_NUMERIC, pr_value_real(1.5), one));
    int64_t big = (INT64_C(1) << 53) + 1;
    assert_false(s_holds(&copy, PR_AFFINITY_REAL, pr_value_integer(big), pr_value_real((double)big)));
    assert_false(s_holds(&copy, PR_AFFINITY_REAL, pr_value_real(0.1), pr_value_real(0.1 + 1e-17 + 2e-17)));
}

static void test_map_by_preimage(void **state) {
    (void)state;
    pr_map_entry_t entries[] = {
        {.from = s_text_value("ok"), .to = pr_value_integer(0)},
        {.from = s_text_value("pending"), .to = pr_value_integer(0)},
        {.from = s_text_value("dead"), .to = pr_value_integer(3)},
    };
    pr_value_map_t map = {.name = (char *)"severity", .entries = entries, .count = 3};
    pr_column_t column = {.op = PR_OP_MAP, .field = 0, .map = &map};
    assert_true(s_holds(&column, PR_AFFINITY_INTEGER, s_text_value("ok"), pr_value_integer(0)));
    assert_true(s_holds(&column, PR_AFFINITY_INTEGER, s_text_value("pending"), pr_value_integer(0)));
    assert_false(s_holds(&column, PR_AFFINITY_INTEGER, s_text_value("dead"), pr_value_integer(0)));
    assert_false(s_holds(&column, PR_AFFINITY_INTEGER, s_text_value("OK"), pr_value_integer(0)));
    assert_false(s_holds(&column, PR_AFFINITY_INTEGER, pr_value_null(), pr_value_null()));
    assert_false(s_holds(&column, PR_AFFINITY_INTEGER, s_text_value("dead"), s_text_value("3")));
}

static void test_date(void **state) {
    (void)state;
    pr_column_t column = {.op = PR_OP_DATE, .field = 0};
    pr_value_t source = s_text_value("2025-10-27 09:43:12");
    assert_true(s_holds(&column, PR_AFFINITY_NUMERIC, source, s_text_value("2025-10-27")));
    assert_false(s_holds(&column, PR_AFFINITY_NUMERIC, source, s_text_value("2025-10-28")));
    assert_false(s_holds(&column, PR_AFFINITY_NUMERIC, source, source));
    assert_false(s_holds(&column, PR_AFFINITY_NUMERIC, s_text_value("2025"), s_text_value("2025")));
    assert_true(s_holds(&column, PR_AFFINITY_NUMERIC, pr_value_null(), pr_value_null()));
}

static void test_template_taken_apart(void **state) {
    (void)state;
    pr_template_part_t parts[] = {
        {.field = 0, .address = true},
        {.field = -1, .literal = (char *)"@el.invalid", .literal_size = 11},
    };
    pr_column_t column = {.op = PR_OP_TEMPLATE, .field = -1, .parts = parts, .parts_count = 2};
    pr_value_t source = s_text_value("Ren\xc3\xa9 O'Neil=");
    assert_true(s_holds(&column, PR_AFFINITY_TEXT, source, s_text_value("Ren=C3=A9=20O=27Neil=3D@el.invalid")));
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, source, s_text_value("Ren=c3=a9=20O=27Neil=3D@el.invalid")));
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, source, s_text_value("Ren=C3=A9=20O=27Neil=3D@el.invalid2")));
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, source, s_text_value("Ren=C3=A9=20O=27Neil=3D@el.invali")));
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, source, s_text_value("Ren=C3=A9=20O=27Neil=3")));
    /* =52 is R, which stands for itself: two encodings of one text would not be injective. */
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, source, s_text_value("=52en=C3=A9=20O=27Neil=3D@el.invalid")));
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, source, pr_value_null()));
    assert_false(s_holds(&column, PR_AFFINITY_TEXT, pr_value_null(), s_text_value("@el.invalid")));

    pr_scratch_t scratch = {0};
    pr_value_t image;
    assert_true(pr_relation_image(&column, &source, &scratch, &image));
    s_assert_text(&image, "Ren=C3=A9=20O=27Neil=3D@el.invalid", 34);
    pr_value_t null = pr_value_null();
    assert_false(pr_relation_image(&column, &null, &scratch, &image));

    parts[0].address = false;
    assert_true(s_holds(&column, PR_AFFINITY_TEXT, s_text_value("x"), s_text_value("x@el.invalid")));
    assert_true(s_holds(&column, PR_AFFINITY_TEXT, pr_value_integer(-7), s_text_value("-7@el.invalid")));
    pr_scratch_free(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_null_text_only_where_it_may_stand),
        cmocka_unit_test(test_records_to_reject),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_frame_is_taken_anew),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_copy_is_type_strict),
        cmocka_unit_test(test_numbers_as_the_affinity_has_them),
        cmocka_unit_test(test_map_by_preimage),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_template_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
