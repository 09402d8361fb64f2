/* SPDX-License-Identifier: MIT */
/* Tests of common/export.c: every shape accepted and refused, at every chunk boundary; and of the plan made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/export.h"
#include "common/export_input.h"

static pr_mapping_t *s_mapping;
static char s_folder[64];
static char *s_path; /* the file that a test writes and scans */

enum { AUDITS, MODULES };

#define A(n) "{\"token\":\"t" #n "\",\"project_name\":\"p\",\"client_name\":\"c\"}"
#define M(n) "{\"audit_token\":\"t\",\"module_id\":\"S1-" #n "\",\"string_number\":1}"

static void s_write(const char *path, const char *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Put part, without its NUL, in place of what stands there. */
static void s_overwrite(char *at, const char *part) {
    while (*part != '\0') {
        *at++ = *part++;
    }
}

/* Scan text, with chunks of so many bytes. */
static int s_scan(const char *text, size_t size, size_t chunk, pr_export_t **ret_export, pr_error_t *err) {
    s_write(s_path, text, size);
    return pr_export_scan_chunked(s_path, s_mapping, chunk, NULL, NULL, ret_export, err);
}

/* A result set that a test expects. Records are found in the text by themselves. */
typedef struct {
    int stream;
    pr_shape_t shape;
    uint64_t records;
    const char *first; /* text of the first record, NULL: none */
    const char *last;
} s_set_t;

static uint64_t s_find(const char *text, const char *part) {
    const char *at = strstr(text, part);
    assert_non_null(at);
    return (uint64_t)(at - text);
}

/* text is accepted, has these sets, the same ones whatever the chunks are. */
static void s_assert_sets(const char *text, const s_set_t *sets, size_t count) {
    for (size_t chunk = 1; chunk < 200; chunk += chunk < 70 ? 1 : 43) {
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        int rc = s_scan(text, strlen(text), chunk, &export, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(rc, 0);
        assert_string_equal(export->path, s_path);
        assert_int_equal(export->size, strlen(text));
        assert_true(export->digest == XXH3_64bits(text, strlen(text)));
        assert_int_equal(export->sets_count, count);
        for (size_t i = 0; i < count; i++) {
            const pr_result_set_t *set = &export->sets[i];
            assert_int_equal(set->stream, sets[i].stream);
            assert_int_equal(set->shape, sets[i].shape);
            assert_int_equal(set->records, sets[i].records);
            if (sets[i].first != NULL) {
                assert_int_equal(set->begin, s_find(text, sets[i].first));
                assert_int_equal(set->end, s_find(text, sets[i].last) + strlen(sets[i].last));
            } else {
                assert_int_equal(set->begin, set->end);
            }
        }
        pr_export_destroy(&export);
        assert_null(export);
    }
}
#define ASSERT_SETS(text, ...)                                                                                         \
    do {                                                                                                               \
        const s_set_t expected_sets[] = {__VA_ARGS__};                                                                 \
        s_assert_sets(text, expected_sets, sizeof expected_sets / sizeof *expected_sets);                              \
    } while (0)

/* text is refused with this whole message, which begins with the file's path, whatever the chunks are. */
static void s_assert_refused(const char *text, size_t size, pr_error_code_t code, const char *message) {
    char *whole = pr_xasprintf("%s%s", s_path, message);
    for (size_t chunk = 1; chunk < 200; chunk += chunk < 70 ? 1 : 43) {
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        int rc = s_scan(text, size, chunk, &export, &err);
        assert_string_equal(err.text, whole);
        assert_int_equal(rc, -(int)code);
        assert_int_equal(err.code, code);
        assert_null(export);
    }
    free(whole);
}
#define ASSERT_REFUSED(text, code, message) s_assert_refused(text, sizeof text - 1, code, message)

/* ---- accepted ---- */

static void test_wrangler(void **state) {
    (void)state;
    ASSERT_SETS(
        "[\n  {\n    \"results\": [\n      " M(1) ",\n      " M(2) "\n    ],\n    \"success\": true,\n    \"meta\": "
                                                                   "{\n      \"duration\": 0.5\n    }\n  }\n]\n",
        {MODULES, PR_SHAPE_WRANGLER, 2, M(1), M(2)});
    ASSERT_SETS("{\"results\":[" A(1) "]}", {AUDITS, PR_SHAPE_WRANGLER, 1, A(1), A(1)});
    ASSERT_SETS("[{\"success\":true,\"meta\":{\"a\":[{\"results\":[{}]}]},\"results\" :\t[" A(1) "]}]",
                {AUDITS, PR_SHAPE_WRANGLER, 1, A(1), A(1)});
    ASSERT_SETS("{\"re\\u0073ults\":[" A(1) "]}", {AUDITS, PR_SHAPE_WRANGLER, 1, A(1), A(1)});
    ASSERT_SETS("{\"error\":null,\"results\":[" A(1) "]}", {AUDITS, PR_SHAPE_WRANGLER, 1, A(1), A(1)});
}

static void test_several_result_sets(void **state) {
    (void)state;
    ASSERT_SETS("[{\"results\":[" M(1) "],\"success\":true},{\"results\":[" A(1) "," A(2) "],\"success\":true}]",
                {MODULES, PR_SHAPE_WRANGLER, 1, M(1), M(1)}, {AUDITS, PR_SHAPE_WRANGLER, 2, A(1), A(2)});
    ASSERT_SETS("[{\"results\":[" M(1) "]}]\n[{\"results\":[" M(2) "]}]\n", {MODULES, PR_SHAPE_WRANGLER, 1, M(1), M(1)},
                {MODULES, PR_SHAPE_WRANGLER, 1, M(2), M(2)});
}

static void test_empty_sets(void **state) {
    (void)state;
    ASSERT_SETS("[{\"results\":[],\"success\":true}]", {-1, PR_SHAPE_WRANGLER, 0, NULL, NULL});
    ASSERT_SETS("[{\"results\": null ,\"success\":true}]", {-1, PR_SHAPE_WRANGLER, 0, NULL, NULL});
    ASSERT_SETS("{\"success\":true,\"results\":null}", {-1, PR_SHAPE_WRANGLER, 0, NULL, NULL});
    ASSERT_SETS(" [ ] ", {-1, PR_SHAPE_ARRAY, 0, NULL, NULL});
    ASSERT_SETS("[{\"results\":[ ]},{\"results\":[" A(1) "]}]", {-1, PR_SHAPE_WRANGLER, 0, NULL, NULL},
                {AUDITS, PR_SHAPE_WRANGLER, 1, A(1), A(1)});
}

static void test_bare_array(void **state) {
    (void)state;
    ASSERT_SETS("[" M(1) "]", {MODULES, PR_SHAPE_ARRAY, 1, M(1), M(1)});
    ASSERT_SETS("[ " M(1) " ,\r\n\t" M(2) ",\n" M(3) "\n]\n", {MODULES, PR_SHAPE_ARRAY, 3, M(1), M(3)});
    ASSERT_SETS("[" M(1) "][" A(1) "]", {MODULES, PR_SHAPE_ARRAY, 1, M(1), M(1)},
                {AUDITS, PR_SHAPE_ARRAY, 1, A(1), A(1)});
    /* A record that fits no stream is of its set's, and rejected for itself later. */
    ASSERT_SETS("[{\"x\":1}," M(1) ",{\"y\":2}]", {MODULES, PR_SHAPE_ARRAY, 3, "{\"x\":1}", "{\"y\":2}"});
}

static void test_lines(void **state) {
    (void)state;
    ASSERT_SETS(M(1), {MODULES, PR_SHAPE_LINES, 1, M(1), M(1)});
    ASSERT_SETS(M(1) "\r\n" M(2) "\r\n", {MODULES, PR_SHAPE_LINES, 2, M(1), M(2)});
    ASSERT_SETS(A(1) "\n" A(2) "\n" M(1) "\n" A(3), {AUDITS, PR_SHAPE_LINES, 2, A(1), A(2)},
                {MODULES, PR_SHAPE_LINES, 1, M(1), M(1)}, {AUDITS, PR_SHAPE_LINES, 1, A(3), A(3)});
    ASSERT_SETS("{\"x\":1}\n" M(1) "\n{\"y\":2}\n", {MODULES, PR_SHAPE_LINES, 3, "{\"x\":1}", "{\"y\":2}"});
    ASSERT_SETS(M(1) "\n[" A(1) "]\n" M(2), {MODULES, PR_SHAPE_LINES, 1, M(1), M(1)},
                {AUDITS, PR_SHAPE_ARRAY, 1, A(1), A(1)}, {MODULES, PR_SHAPE_LINES, 1, M(2), M(2)});
}

/* What is wrong inside a record is not the scanner's business, as long as its end is known. */
static void test_records_are_not_parsed(void **state) {
    (void)state;
#define ODD "{\"audit_token\":tru, \"module_id\" : \"\xff\x01\n\\u12\" \"string_number\":[{},{}] ,, 01 \"results\"}"
    ASSERT_SETS("[{\"results\":[" M(1) "," ODD ",{\"z\":0}]}]", {MODULES, PR_SHAPE_WRANGLER, 3, M(1), "{\"z\":0}"});
    ASSERT_SETS(ODD, {MODULES, PR_SHAPE_LINES, 1, ODD, ODD});
#undef ODD
    /* A mapped stream may have columns called error, success or results. */
#define OWN                                                                                                            \
    "{\"audit_token\":1,\"module_id\":2,\"string_number\":3,\"error\":\"E7\",\"success\":false,\"results\":\"[\"}"
    ASSERT_SETS(OWN, {MODULES, PR_SHAPE_LINES, 1, OWN, OWN});
#undef OWN
    ASSERT_SETS("[{\"\\u0061udit_token\":1,\"module_id\":\"}\\\"\",\"string_number\":{}}]",
                {MODULES, PR_SHAPE_ARRAY, 1, "{\"\\u0061udit", "{}}"});
}

static void test_byte_order_mark(void **state) {
    (void)state;
    s_write(s_path, "\xef\xbb\xbf[" M(1) "]", strlen(M(1)) + 5);
    pr_export_t *export = NULL;
    assert_int_equal(pr_export_scan(s_path, s_mapping, NULL, NULL, &export, NULL), 0);
    assert_true(export->bom);
    assert_int_equal(export->banner_lines, 0);
    assert_int_equal(export->sets[0].begin, 4);
    pr_export_destroy(&export);
}

static void s_assert_banner(const char *text, uint32_t lines, uint64_t bytes) {
    for (size_t chunk = 1; chunk < 80; chunk++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        int rc = s_scan(text, strlen(text), chunk, &export, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(rc, 0);
        assert_int_equal(export->banner_lines, lines);
        assert_int_equal(export->banner_bytes, bytes);
        pr_export_destroy(&export);
    }
}

static void test_banner(void **state) {
    (void)state;
    s_assert_banner("[" M(1) "]", 0, 0);
    s_assert_banner("\n \n[" M(1) "]", 0, 0);
    s_assert_banner("\n wrangler 4.40.0\n---\n[\n " M(1) "]", 3, 22);
    s_assert_banner("[WARNING] old [\n{not}\n[notice]\n  [{\"results\":[]}]", 3, 33);
    s_assert_banner("x\n[1]\n{\"results\":[]}\n", 2, 6);
}

static void test_unknown_meta(void **state) {
    (void)state;
    static const char text[] =
        "[{\"results\":[],\"success\":true,\"finalBookmark\":\"x\",\"n\":1e999999},{\"results\":[],\"meta\":{},"
        "\"finalBookmark\":12345678901234567890123,\"columns\":[\"a\"]}]";
    static const char fits[] = "[{\"results\":[],\"success\":true,\"finalBookmark\":\"x\"},{\"results\":[],\"meta\":{},"
                               "\"finalBookmark\":12345678901234567890123,\"columns\":[\"a\"]}]";
    pr_export_t *export = NULL;
    assert_int_equal(s_scan(fits, sizeof fits - 1, 7, &export, NULL), 0);
    assert_string_equal(export->unknown_meta[0], "finalBookmark");
    assert_string_equal(export->unknown_meta[1], "columns");
    assert_null(export->unknown_meta[2]);
    pr_export_destroy(&export);
    ASSERT_REFUSED(text, PR_E_MALFORMED, ", byte 54 (line 1): the value of \"n\" is not valid JSON; export it again");
}

/* ---- refused ---- */

static void test_truncated_at_every_byte(void **state) {
    (void)state;
    static const char text[] = "[\n  {\n    \"results\": [\n      " M(1) ",\n      " M(
        2) "\n    ],\n    \"success\": true,\n    "
           "\"meta\": {\n      \"a\": [1, \"}\"]\n    }\n  }\n]";
    static const char tail[] = ", after 1 whole record; export it again";
    for (size_t size = 2; size < sizeof text - 1; size++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        assert_int_equal(s_scan(text, size, 1 + size % 67, &export, &err), -PR_E_TRUNCATED);
        char *begin = pr_xasprintf("%s, byte %zu (line ", s_path, size);
        assert_memory_equal(err.text, begin, strlen(begin));
        free(begin);
        bool one = size >= s_find(text, M(1)) + strlen(M(1)) && size < s_find(text, M(2)) + strlen(M(2));
        assert_int_equal(strcmp(err.text + strlen(err.text) - strlen(tail), tail) == 0, one);
    }
}

static void test_truncated_messages(void **state) {
    (void)state;
    ASSERT_REFUSED(
        "[", PR_E_TRUNCATED,
        ", byte 1 (line 1): truncated: the file ends inside the array that the file consists of, after 0 whole "
        "records; export it again");
    ASSERT_REFUSED(
        "[\n{\"results\":[\n" M(1) ",\n{\"audit", PR_E_TRUNCATED,
        ", byte 80 (line 4): truncated: the file ends inside record 2 of result set 1, after 1 whole record; "
        "export it again");
    ASSERT_REFUSED(
        "[{\"results\":[" M(1) "," M(2), PR_E_TRUNCATED,
        ", byte 126 (line 1): truncated: the file ends inside result set 1, after 2 whole records; export it again");
    ASSERT_REFUSED(
        "[{\"results\":[]},{\"results\":[" M(1) ",", PR_E_TRUNCATED,
        ", byte 85 (line 1): truncated: the file ends inside record 2 of result set 2, after 1 whole record; export "
        "it again");
    ASSERT_REFUSED(
        "[{\"results\":[" M(1) "]", PR_E_TRUNCATED,
        ", byte 70 (line 1): truncated: the file ends inside a result set's envelope, after 1 whole record; export "
        "it again");
    ASSERT_REFUSED(
        "[{\"results\":[],\"meta\":{\"a", PR_E_TRUNCATED,
        ", byte 25 (line 1): truncated: the file ends inside the value of \"meta\", after 0 whole records; export it "
        "again");
    ASSERT_REFUSED(
        "{\"results\":[{", PR_E_TRUNCATED,
        ", byte 13 (line 1): truncated: the file ends inside record 1 of result set 1, after 0 whole records; export "
        "it again");
    ASSERT_REFUSED(
        "{\"results\":[]", PR_E_TRUNCATED,
        ", byte 13 (line 1): truncated: the file ends inside a result set's envelope, after 0 whole records; export "
        "it again");
    ASSERT_REFUSED(
        M(1) "\n{\"audit_token\":\"}", PR_E_TRUNCATED,
        ", byte 74 (line 2): truncated: the file ends inside record 2, after 1 whole record; export it again");
}

static void test_malformed(void **state) {
    (void)state;
    ASSERT_REFUSED("[" M(1) " " M(2) "]", PR_E_MALFORMED,
                   ", byte 58 (line 1): found '{', expected ',' or ']' after an element of the array; export it again");
    ASSERT_REFUSED(
        "[" M(1) ",]", PR_E_MALFORMED,
        ", byte 58 (line 1): found ']', expected '{': an array of records or of result sets; export it again");
    ASSERT_REFUSED(
        "[1, 2]", PR_E_MALFORMED,
        ", byte 1 (line 1): found '1', expected '{': an array of records or of result sets; export it again");
    ASSERT_REFUSED(
        "[" M(1) ",\n null]", PR_E_MALFORMED,
        ", byte 60 (line 2): found 'n', expected '{': an array of records or of result sets; export it again");
    ASSERT_REFUSED(M(1) "," M(2), PR_E_MALFORMED,
                   ", byte 56 (line 1): found ',', expected '[', '{' or the end of the file; export it again");
    ASSERT_REFUSED("[]\n\x1b[0m", PR_E_MALFORMED,
                   ", byte 3 (line 2): found byte 0x1b, expected '[', '{' or the end of the file; export it again");
    ASSERT_REFUSED("{\"results\":[" M(1) " " M(2) "]}", PR_E_MALFORMED,
                   ", byte 69 (line 1): found '{', expected ',' or ']' after a record; export it again");
    ASSERT_REFUSED(
        "{\"results\":[" M(1) ",\n \"x\"]}", PR_E_MALFORMED,
        ", byte 71 (line 2): record 2 of result set 1 is not an object: found '\"', expected '{'; export it again");
    ASSERT_REFUSED(
        "{\"results\":[" M(1) ",]}", PR_E_MALFORMED,
        ", byte 69 (line 1): record 2 of result set 1 is not an object: found ']', expected '{'; export it again");
    ASSERT_REFUSED(
        "{\"results\":[[1]]}", PR_E_MALFORMED,
        ", byte 12 (line 1): record 1 of result set 1 is not an object: found '[', expected '{'; export it again");
}

static void test_malformed_envelope(void **state) {
    (void)state;
    ASSERT_REFUSED("{\"results\":[] \"success\":true}", PR_E_MALFORMED,
                   ", byte 14 (line 1): found '\"', expected ',' or '}' in a result set's envelope; export it again");
    ASSERT_REFUSED("{\"results\":[],}", PR_E_MALFORMED,
                   ", byte 14 (line 1): found '}', expected a key of a result set's envelope; export it again");
    ASSERT_REFUSED(
        "{\"a\" 1, \"results\":[]}", PR_E_MALFORMED,
        ", byte 5 (line 1): found '1', expected ':' after a key of a result set's envelope; export it again");
    ASSERT_REFUSED("{\"a\tb\":1, \"results\":[]}", PR_E_MALFORMED,
                   ", byte 1 (line 1): a key of a result set's envelope is not valid JSON; export it again");
    ASSERT_REFUSED("{\"results\":[],\"meta\":{\"a\" 1}}", PR_E_MALFORMED,
                   ", byte 21 (line 1): the value of \"meta\" is not valid JSON; export it again");
    ASSERT_REFUSED("{\"results\":[],\"meta\":tru}", PR_E_MALFORMED,
                   ", byte 21 (line 1): the value of \"meta\" is not valid JSON; export it again");
    ASSERT_REFUSED("{\"results\":[],\"meta\":}", PR_E_MALFORMED,
                   ", byte 21 (line 1): the value of \"meta\" is not valid JSON; export it again");
    ASSERT_REFUSED("{\"results\":[],\"results\":[]}", PR_E_MALFORMED,
                   ", byte 24 (line 1): \"results\" stands twice in result set 1; export it again");
    ASSERT_REFUSED("{\"results\":nul}", PR_E_MALFORMED,
                   ", byte 11 (line 1): the value of \"results\" is not valid JSON; export it again");
    ASSERT_REFUSED("{\"results\":{},\"a\":[],\"results\":[]}", PR_E_MALFORMED,
                   ", byte 11 (line 1): the value of \"results\" is neither an array nor null; export it again");
}

static void test_brackets(void **state) {
    (void)state;
    ASSERT_REFUSED(
        "[{\"results\":[" M(1) ",{\"a\":[1}]}]", PR_E_MALFORMED,
        ", byte 77 (line 1): a bracket in record 2 of result set 1 is closed by '}', which is of the other kind; "
        "export it again");
    ASSERT_REFUSED(
        "{\"a\":{]", PR_E_MALFORMED,
        ", byte 6 (line 1): a bracket in record 1 is closed by ']', which is of the other kind; export it again");
    ASSERT_REFUSED(
        "{\"results\":[],\"meta\":[}", PR_E_MALFORMED,
        ", byte 22 (line 1): a bracket in the value of \"meta\" is closed by '}', which is of the other kind; export "
        "it again");
    char text[200] = "{\"a\":";
    memset(text + 5, '[', 64);
    s_assert_refused(text, 69, PR_E_MALFORMED,
                     ", byte 68 (line 1): record 1 is nested deeper than 64 levels; no export is");
}

static void test_not_data(void **state) {
    (void)state;
    ASSERT_REFUSED(
        "\n{\n  \"error\": {\n    \"text\": \"no such table: nope: SQLITE_ERROR\"\n  }\n}\n", PR_E_NOT_DATA,
        ", byte 1 (line 2): holds a failed export, not data: no such table: nope: SQLITE_ERROR; mend the cause and "
        "export it again");
    ASSERT_REFUSED(
        "[{\"error\":\"a\\nb \\u00e9\"}]", PR_E_NOT_DATA,
        ", byte 1 (line 1): holds a failed export, not data: a\\nb \xc3\xa9; mend the cause and export it again");
    ASSERT_REFUSED(
        "{\"error\":{\"code\":7}}", PR_E_NOT_DATA,
        ", byte 0 (line 1): holds a failed export, not data: {\"code\":7.0}; mend the cause and export it again");
    ASSERT_REFUSED(
        "{\"success\":false}", PR_E_NOT_DATA,
        ", byte 0 (line 1): holds a failed export, not data: \"success\" is not true; mend the cause and export it "
        "again");
    ASSERT_REFUSED(
        "[{\"results\":[" M(1) "],\"success\":true},{\"results\":[],\"success\":false}]", PR_E_NOT_DATA,
        ", byte 87 (line 1): holds a failed export, not data: \"success\" is not true; mend the cause and export it "
        "again");
    ASSERT_REFUSED("[{\"success\":false,\"results\":[" M(1) "],\"error\":{\"message\":\"D1 down\"}}]", PR_E_NOT_DATA,
                   ", byte 1 (line 1): holds a failed export, not data: D1 down; mend the cause and export it again");
#define SUMMARY "{\"Total queries executed\":2,\"Rows read\":4,\"Rows written\":1,\"Database size (MB)\":\"0.29\"}"
    ASSERT_REFUSED(
        "[{\"results\":[" SUMMARY "],\"success\":true}]", PR_E_NOT_DATA,
        ", byte 13 (line 1): holds the summary of a command given with --file (\"Total queries executed\"), not data; "
        "export with --json --command \"SELECT * FROM ...\"");
    ASSERT_REFUSED(
        "[" SUMMARY "]", PR_E_NOT_DATA,
        ", byte 1 (line 1): holds the summary of a command given with --file (\"Total queries executed\"), not data; "
        "export with --json --command \"SELECT * FROM ...\"");
#undef SUMMARY
}

#define STREAMS                                                                                                        \
    "; the streams are audits (token, project_name, client_name), modules (audit_token, module_id, string_number); "   \
    "leave it out of the export or add a stream to the mapping"

static void test_unknown_stream(void **state) {
    (void)state;
    ASSERT_REFUSED(
        "[{\"results\":[" M(1) "]},\n{\"results\":[{\"COUNT(*)\":1,\"b\":{\"token\":1}}]}]", PR_E_UNKNOWN_STREAM,
        ", byte 85 (line 2): result set 2 is of no stream of the mapping: its columns are COUNT(*), b" STREAMS);
    ASSERT_REFUSED(
        "{\"a\\n\\u00e9\":1,\"\xff\":1}\n{\"b\":1}", PR_E_UNKNOWN_STREAM,
        ", byte 0 (line 1): the record is of no stream of the mapping: its columns are a\\n\xc3\xa9, \\xFF" STREAMS);
    ASSERT_REFUSED("[{\"a\":1}]" M(1), PR_E_UNKNOWN_STREAM,
                   ", byte 1 (line 1): the record is of no stream of the mapping: its columns are a" STREAMS);
    ASSERT_REFUSED(
        "{\"error\":null,\"success\":1}", PR_E_UNKNOWN_STREAM,
        ", byte 0 (line 1): the record is of no stream of the mapping: its columns are error, success" STREAMS);
    char text[4000] = "[{";
    for (unsigned i = 0; i < 100; i++) {
        size_t size = strlen(text);
        (void)snprintf(text + size, sizeof text - size, "%s\"column_%02u\":1", i == 0 ? "" : ",", i);
    }
    strcat(text, "}]");
    s_assert_refused(
        text, strlen(text), PR_E_UNKNOWN_STREAM,
        ", byte 1 (line 1): the record is of no stream of the mapping: its columns are column_00, column_01, "
        "column_02, column_03, column_04, column_05, column_06, column_07, column_08, column_09, column_10, "
        "column_11, column_12, column_13, column_14, column_15, column_16, column_17, column_18, column_19, "
        "column_20, column_21, column_22, column_23, column_24 and 75 more" STREAMS);
}

static void test_no_json(void **state) {
    (void)state;
    ASSERT_REFUSED("", PR_E_MALFORMED, ", byte 0 (line 1): the file is empty; export it again");
    ASSERT_REFUSED("\xef\xbb\xbf\n \n", PR_E_MALFORMED, ", byte 3 (line 1): the file is empty; export it again");
    ASSERT_REFUSED(
        "PRAGMA defer_foreign_keys=TRUE;\nINSERT INTO a VALUES('[');\n", PR_E_MALFORMED,
        ", byte 0 (line 1): is not JSON: no line begins with [ or {; export with --json --command \"SELECT * FROM "
        "...\"");
    ASSERT_REFUSED("\x1f\x8b\x08 anything", PR_E_UNREADABLE, ": is compressed: gunzip it first");
    ASSERT_REFUSED("\xff\xfe[\0{\0", PR_E_UNREADABLE,
                   ": is UTF-16, as PowerShell's > makes it: convert it to UTF-8 first");
    ASSERT_REFUSED("\xfe\xff\0[", PR_E_UNREADABLE, ": is UTF-16: convert it to UTF-8 first");
    ASSERT_REFUSED("SQLite format 3\0\x10", PR_E_UNREADABLE, ": is a SQLite database, not an export of one");
}

static void test_banner_without_end(void **state) {
    (void)state;
    size_t size = 100000;
    char *text = pr_xmalloc(size);
    memset(text, '.', size);
    s_overwrite(text + 70000, "\n[]\n"); /* JSON, but too late to believe in */
    pr_error_t err = PR_ERROR_INIT;
    pr_export_t *export = NULL;
    assert_int_equal(s_scan(text, size, 4096, &export, &err), -PR_E_MALFORMED);
    free(text);
}

static void test_long_records(void **state) {
    (void)state;
    static const char head[] = "[{\"results\":[{\"audit_token\":1,\"module_id\":2,\"string_number\":\"";
    size_t fits =
        PR_RECORD_MAX_BYTES - (sizeof head - 1 - 13) - 2; /* what makes the record exactly as long as allowed */
    for (size_t more = 0; more < 2; more++) {
        size_t size = sizeof head - 1 + fits + more + 5;
        char *text = pr_xmalloc(size);
        s_overwrite(text, head);
        memset(text + sizeof head - 1, 'x', fits + more);
        s_overwrite(text + size - 5, "\"}]}]");
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        int rc = s_scan(text, size, 256 << 10, &export, &err);
        free(text);
        if (more == 0) {
            assert_int_equal(rc, 0);
            assert_int_equal(export->sets[0].end - export->sets[0].begin, PR_RECORD_MAX_BYTES);
            pr_export_destroy(&export);
        } else {
            assert_int_equal(rc, -PR_E_MALFORMED);
            char *whole =
                pr_xasprintf("%s, byte 13 (line 1): record 1 of result set 1 is longer than 16777216 bytes; D1 holds "
                             "no such row",
                             s_path);
            assert_string_equal(err.text, whole);
            free(whole);
        }
    }
}

static void test_unreadable(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_export_t *export = NULL;
    char *missing = pr_xasprintf("%s/none/a.json", s_folder);
    char *why = pr_xasprintf("%s: cannot be opened: No such file or directory", missing);
    assert_int_equal(pr_export_scan(missing, s_mapping, NULL, NULL, &export, &err), -PR_E_UNREADABLE);
    assert_string_equal(err.text, why);
    free(why);
    free(missing);
    pr_error_clear(&err);
    char *whole = pr_xasprintf("%s: is not a regular file; give the export file itself", s_folder);
    assert_int_equal(pr_export_scan(s_folder, s_mapping, NULL, NULL, &export, &err), -PR_E_UNREADABLE);
    assert_string_equal(err.text, whole);
    free(whole);
    char *fifo = pr_xasprintf("%s/fifo", s_folder);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    pr_error_clear(&err);
    assert_int_equal(pr_export_scan(fifo, s_mapping, NULL, NULL, &export, &err), -PR_E_UNREADABLE);
    assert_int_equal(unlink(fifo), 0);
    free(fifo);
    assert_null(export);
}

/* ---- while it is read ---- */

static bool s_append(void *context, uint64_t done_bytes, uint64_t total_bytes) {
    (void)total_bytes;
    FILE *file = fopen(s_path, "ab");
    assert_non_null(file);
    char *more = context; /* appended once: what was appended is read too */
    assert_true(fputs(more, file) >= 0);
    more[0] = '\0';
    assert_int_equal(fclose(file), 0);
    return done_bytes > 0;
}

static void test_file_grows(void **state) {
    (void)state;
    char *whole =
        pr_xasprintf("%s: changed while it was read: was 57 bytes, is 58; wait until the export has ended, then "
                     "give the same command again",
                     s_path);
    /* Whether what is there is a whole export or not. */
    static const char *const texts[] = {M(1) "\n", "[" M(1)};
    for (unsigned i = 0; i < 2; i++) {
        s_write(s_path, texts[i], strlen(texts[i]));
        char more[] = "\n";
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        assert_int_equal(pr_export_scan(s_path, s_mapping, s_append, more, &export, &err), -PR_E_SOURCE_CHANGED);
        assert_string_equal(err.text, whole);
    }
    free(whole);
}

static bool s_touch(void *context, uint64_t done_bytes, uint64_t total_bytes) {
    (void)context;
    static const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(-1, s_path, times, 0), 0);
    return done_bytes == total_bytes;
}

static void test_file_is_written_to(void **state) {
    (void)state;
    s_write(s_path, M(1), strlen(M(1)));
    pr_error_t err = PR_ERROR_INIT;
    pr_export_t *export = NULL;
    assert_int_equal(pr_export_scan(s_path, s_mapping, s_touch, NULL, &export, &err), -PR_E_SOURCE_CHANGED);
    char *whole =
        pr_xasprintf("%s: was written to while it was read; wait until the export has ended, then give the same "
                     "command again",
                     s_path);
    assert_string_equal(err.text, whole);
    free(whole);
}

typedef struct {
    unsigned calls;
    uint64_t last;
    unsigned stop_at;
} s_progress_t;

static bool s_count(void *context, uint64_t done_bytes, uint64_t total_bytes) {
    s_progress_t *progress = context;
    assert_true(done_bytes > progress->last);
    assert_true(done_bytes - progress->last >= 16 << 20 || done_bytes == total_bytes);
    progress->last = done_bytes;
    return ++progress->calls != progress->stop_at;
}

static void test_progress(void **state) {
    (void)state;
    size_t size = (33 << 20) + 5;
    char *text = pr_xmalloc(size);
    memset(text, ' ', size);
    s_overwrite(text, "[]");
    s_write(s_path, text, size);
    free(text);
    s_progress_t progress = {0};
    pr_export_t *export = NULL;
    assert_int_equal(pr_export_scan(s_path, s_mapping, s_count, &progress, &export, NULL), 0);
    assert_int_equal(progress.calls, 3);
    assert_int_equal(progress.last, size);
    pr_export_destroy(&export);
    progress = (s_progress_t){.stop_at = 2};
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_export_scan(s_path, s_mapping, s_count, &progress, &export, &err), -PR_E_INTERRUPTED);
    char *whole = pr_xasprintf("%s: interrupted at byte 33554432 of 34603013; the same command begins anew", s_path);
    assert_string_equal(err.text, whole);
    free(whole);
    assert_null(export);
}

/* ---- at random ---- */

static uint64_t s_seed;
static uint64_t s_random(uint64_t below) {
    s_seed ^= s_seed >> 12;
    s_seed ^= s_seed << 25;
    s_seed ^= s_seed >> 27;
    return (s_seed * 0x2545f4914f6cdd1dU >> 33) % below;
}

typedef struct {
    char text[8192];
    size_t size;
    uint64_t records;
    size_t begin[256];
    size_t end[256];
} s_sample_t;

static void s_put(s_sample_t *sample, const char *text) {
    size_t size = strlen(text);
    assert_true(sample->size + size < sizeof sample->text);
    memcpy(sample->text + sample->size, text, size + 1);
    sample->size += size;
}

static void s_put_blanks(s_sample_t *sample) {
    static const char *const blanks[] = {"", "", " ", "\n", "\r\n", "\t", "\n      "};
    s_put(sample, blanks[s_random(7)]);
}

/* A module with a comment and an extra field made of what could confuse a scanner. */
static void s_put_record(s_sample_t *sample) {
    static const char *const pieces[] = {"\\\"", "\\\\",    "{", "}",        "[",       "]",        ",",
                                         ":",    "results", " ", "\xc3\xa9", "\\u007b", "\\\\\\\"", "x"};
    static const char *const extras[] = {"1",      "null", "\"\"", "[]", "{}", "[{\"results\":[{}]},\"]\"]",
                                         "-1.5e3", "true"};
    sample->begin[sample->records] = sample->size;
    s_put(sample, "{\"audit_token\":\"t\",");
    s_put_blanks(sample);
    s_put(sample, "\"module_id\":\"");
    for (uint64_t i = s_random(30); i > 0; i--) {
        s_put(sample, pieces[s_random(sizeof pieces / sizeof *pieces)]);
    }
    s_put(sample, "\",\"extra\":");
    s_put(sample, extras[s_random(sizeof extras / sizeof *extras)]);
    s_put(sample, ",\"string_number\":1");
    s_put_blanks(sample);
    s_put(sample, "}");
    sample->end[sample->records++] = sample->size;
}

static void s_put_records(s_sample_t *sample, const char *separator) {
    for (uint64_t i = 1 + s_random(9); i > 0; i--) {
        s_put_blanks(sample);
        s_put_record(sample);
        s_put_blanks(sample);
        s_put(sample, i > 1 ? separator : "");
    }
}

/* A file of one kind of shape. Returns the kind. */
static pr_shape_t s_put_file(s_sample_t *sample) {
    pr_shape_t shape = (pr_shape_t)s_random(3);
    for (uint64_t values = 1 + s_random(3); values > 0; values--) {
        s_put_blanks(sample);
        if (shape == PR_SHAPE_LINES) {
            s_put_records(sample, "");
        } else if (shape == PR_SHAPE_ARRAY) {
            s_put(sample, "[");
            s_put_records(sample, ",");
            s_put(sample, "]");
        } else {
            s_put(sample,
                  s_random(2) ? "[{\"meta\":{\"results\":[{}]},\"results\":[" : "[{\"results\":[]},{\"results\" : [");
            s_put_records(sample, ",");
            s_put(sample, s_random(2) ? "]}]" : "],\"success\":true},{\"results\":null}]");
        }
        s_put_blanks(sample);
    }
    return shape;
}

/* The records of an accepted file, found by slicing its sets in windows of random sizes, are those that were put in. */
static void s_assert_sliced(const s_sample_t *sample, const pr_export_t *export, pr_shape_t shape) {
    uint64_t record = 0;
    for (size_t i = 0; i < export->sets_count; i++) {
        const pr_result_set_t *set = &export->sets[i];
        assert_int_equal(set->shape, shape);
        uint64_t at = set->begin;
        uint64_t counted = 0;
        size_t window = 1 + s_random(700);
        while (counted < set->records) {
            size_t size = at + window < set->end ? window : set->end - at;
            pr_slice_t slices[4];
            size_t used;
            size_t count = pr_export_slice(sample->text + at, size, slices, 4, &used);
            for (size_t j = 0; j < count; j++) {
                assert_int_equal(at + slices[j].offset, sample->begin[record]);
                assert_int_equal(at + slices[j].offset + slices[j].length, sample->end[record]);
                record++;
            }
            counted += count;
            at += used;
            assert_true(count > 0 || at + size < set->end);
            window += count == 0 ? 100 : 0;
        }
        assert_int_equal(counted, set->records);
        assert_int_equal(set->records == 0 ? set->end : at, set->end);
    }
    assert_int_equal(record, sample->records);
}

static void test_random_files(void **state) {
    (void)state;
    s_seed = 3;
    s_sample_t *sample = pr_xmalloc(sizeof *sample);
    for (int round = 0; round < 2000; round++) {
        sample->size = sample->records = 0;
        pr_shape_t shape = s_put_file(sample);
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        int rc = s_scan(sample->text, sample->size, 1 + s_random(200), &export, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(rc, 0);
        s_assert_sliced(sample, export, shape);
        pr_export_destroy(&export);
    }
    free(sample);
}

/* A damaged byte never crashes the scan, and what is then accepted is consistent with slicing. */
static void test_random_damage(void **state) {
    (void)state;
    s_seed = 4;
    unsigned accepted = 0, refused = 0;
    s_sample_t *sample = pr_xmalloc(sizeof *sample);
    pr_slice_t slices[1024];
    for (int round = 0; round < 2000; round++) {
        sample->size = sample->records = 0;
        (void)s_put_file(sample);
        for (uint64_t i = s_random(3); i < 3; i++) {
            sample->text[s_random(sample->size)] = "\"\\{}[],:\n x\0\xff"[s_random(13)];
        }
        pr_export_t *export = NULL;
        pr_error_t err = PR_ERROR_INIT;
        int rc = s_scan(sample->text, sample->size, 1 + s_random(200), &export, &err);
        if (rc < 0) {
            refused++;
            assert_int_equal(err.code, -rc);
            assert_true(err.text[0] != '\0');
            continue;
        }
        accepted++;
        for (size_t i = 0; i < export->sets_count; i++) {
            const pr_result_set_t *set = &export->sets[i];
            size_t used;
            assert_int_equal(pr_export_slice(sample->text + set->begin, set->end - set->begin, slices, 1024, &used),
                             set->records);
            assert_int_equal(used, set->end - set->begin);
        }
        pr_export_destroy(&export);
    }
    assert_true(accepted > 100 && refused > 100);
    free(sample);
}

/* ---- the text "null" ---- */

#define N(n, comment) "{\"audit_token\":\"t\",\"module_id\":\"S1-" #n "\",\"string_number\":1,\"comment\":" comment "}"

/* What the scan of text tells of each of its sets, whatever the chunks are: n: a JSON null, t: a text, -: neither. */
static void s_assert_nulls(const char *text, const char *expected) {
    for (size_t chunk = 1; chunk < 200; chunk += chunk < 70 ? 1 : 43) {
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        char found[16] = "";
        (void)s_scan(text, strlen(text), chunk, &export, &err);
        assert_string_equal(err.text, "");
        for (size_t i = 0; i < export->sets_count; i++) {
            found[i] = export->sets[i].nulls ? 'n' : export->sets[i].null_texts ? 't' : '-';
        }
        assert_string_equal(found, expected);
        pr_export_destroy(&export);
    }
}

static void test_nulls_are_noticed(void **state) {
    (void)state;
    s_assert_nulls("[{\"results\":[" N(1, "1") "," N(2, "\"null\"") "," N(3, "2") "]}]", "t");
    s_assert_nulls("[{\"results\":[" N(1, "\"null\"") "," N(2, "1") "," N(3, "null") "]}]", "n");
    s_assert_nulls("[{\"results\":[" N(1, "[ null]") "]}]", "n");
    s_assert_nulls(
        "[{\"results\":[" N(1, "\"n, null: null\"") "," N(2, "\"{\\\"a\\\":null,\\\"b\\\":\\\"null\\\"}\"") "]}]", "-");
    /* What stands behind a record, in the envelope, is none of its. */
    s_assert_nulls("[{\"results\":[" N(1, "true") "],\"n\":null,\"meta\":{\"n\":null}}]", "-");
    s_assert_nulls("[{\"error\":null,\"results\":[" N(1, "false") "]}]", "-");
    /* A damaged record is no proof of anything. */
    s_assert_nulls("[{\"results\":[" N(1, "nan") "," N(2, "Infinity") "]}]", "-");
    /* Each result set by itself; a bare array is not looked at. */
    s_assert_nulls(
        "[{\"results\":[" N(1, "null") "]},{\"results\":[" N(2, "\"null\"") "]},{\"results\":[" N(3, "1") "]}]", "nt-");
    s_assert_nulls("[" N(1, "null") "," N(2, "\"null\"") "]", "-");
}

static void test_null_text_rules(void **state) {
    (void)state;
    const pr_result_set_t old = {.shape = PR_SHAPE_WRANGLER, .null_texts = true};
    const pr_result_set_t remote = {.shape = PR_SHAPE_WRANGLER, .nulls = true};
    const pr_result_set_t bare = {.shape = PR_SHAPE_ARRAY};
    static const struct {
        pr_null_text_t rule;
        bool old, remote, bare;
    } expected[] = {{PR_NULL_TEXT_AUTO, true, false, false},
                    {PR_NULL_TEXT_NULL, true, true, true},
                    {PR_NULL_TEXT_KEEP, false, false, false},
                    {PR_NULL_TEXT_ENVELOPE, true, true, false}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(pr_export_null_text(&old, expected[i].rule), expected[i].old);
        assert_int_equal(pr_export_null_text(&remote, expected[i].rule), expected[i].remote);
        assert_int_equal(pr_export_null_text(&bare, expected[i].rule), expected[i].bare);
    }
    assert_int_equal(pr_null_text_parse("auto"), PR_NULL_TEXT_AUTO);
    assert_int_equal(pr_null_text_parse("null"), PR_NULL_TEXT_NULL);
    assert_int_equal(pr_null_text_parse("keep"), PR_NULL_TEXT_KEEP);
    assert_int_equal(pr_null_text_parse("KEEP"), PR_NULL_TEXT_AUTO);
    assert_int_equal(pr_null_text_parse(NULL), PR_NULL_TEXT_AUTO);
}

/* The sources of a plan, of a file with these result sets: "records/null_text", in order. */
static void s_assert_sources(const char *text, pr_null_text_t rule, const char *expected) {
    pr_export_t *export = NULL;
    pr_plan_t *plan = NULL;
    char found[64] = "";
    assert_int_equal(s_scan(text, strlen(text), 4096, &export, NULL), 0);
    assert_int_equal(pr_export_plan(s_mapping, &export, 1, rule, &plan, NULL, NULL), 0);
    for (uint32_t i = 0; i < plan->count; i++) {
        size_t used = strlen(found);
        (void)snprintf(found + used, sizeof found - used, "%s%d/%d", i == 0 ? "" : " ", (int)plan->sources[i].records,
                       plan->sources[i].null_text);
        assert_int_equal(plan->records[i], plan->sources[i].records);
    }
    assert_string_equal(found, expected);
    pr_plan_destroy(&plan);
    pr_export_destroy(&export);
}

/* Result sets that hold neither go with their neighbours; another source begins only where the text means another thing. */
static void test_sources_by_null_text(void **state) {
    (void)state;
    static const char sets[] = "[{\"results\":[" N(1, "1") "]},{\"results\":[" N(2, "null") "]},{\"results\":[" N(
        3, "1") "]},{\"results\":[" N(4, "\"null\"") "]},{\"results\":[" N(5, "1") "]},{\"results\":[" N(6,
                                                                                                         "null") "]}]";
    s_assert_sources(sets, PR_NULL_TEXT_AUTO, "3/0 2/1 1/0");
    s_assert_sources(sets, PR_NULL_TEXT_NULL, "6/1");
    s_assert_sources(sets, PR_NULL_TEXT_KEEP, "6/0");
    s_assert_sources(sets, PR_NULL_TEXT_ENVELOPE, "6/1");
    s_assert_sources("[{\"results\":[" N(1, "1") "]}]", PR_NULL_TEXT_AUTO, "1/1");
    s_assert_sources("[{\"results\":[" N(1, "\"null\"") "]}]\n" N(2, "\"null\""), PR_NULL_TEXT_AUTO, "1/1 1/0");
    s_assert_sources("[{\"results\":[" N(1, "\"null\"") "]}]\n" N(2, "\"null\""), PR_NULL_TEXT_NULL, "2/1");
}

/* ---- several files, and the plan ---- */

static char *s_file(const char *name, const char *text) {
    char *path = pr_xasprintf("%s/%s", s_folder, name);
    s_write(path, text, strlen(text));
    return path;
}

static void test_scan_all_and_plan(void **state) {
    (void)state;
    char *both =
        s_file("both.json", "[{\"results\":[" M(1) "]},{\"results\":[" A(1) "]},{\"results\":[" M(2) "," M(3) "]}]");
    char *none = s_file("none.json", "[]");
    char *audits = s_file("audits.json", A(2));
    const char *paths[] = {both, none, audits};
    pr_export_t **exports = NULL;
    assert_int_equal(pr_export_scan_all(paths, 3, s_mapping, NULL, NULL, &exports, NULL), 0);
    pr_plan_t *plan = NULL;
    pr_source_place_t *places = NULL;
    assert_int_equal(pr_export_plan(s_mapping, exports, 3, PR_NULL_TEXT_AUTO, &plan, &places, NULL), 0);
    static const struct {
        size_t export;
        const char *stream;
        bool null_text;
        uint64_t records, bytes;
    } expected[] = {
        {0, "audits", true, 1, sizeof A(1) - 1},
        {2, "audits", false, 1, sizeof A(2) - 1},
        {0, "modules", true, 3, 3 * (sizeof M(1) - 1) + 1},
        {1, "", false, 0, 0},
    };
    assert_int_equal(plan->count, 4);
    for (size_t i = 0; i < 4; i++) {
        const pr_plan_source_t *source = &plan->sources[i];
        assert_int_equal(places[i].export, expected[i].export);
        assert_string_equal(source->path, paths[expected[i].export]);
        assert_string_equal(source->stream, expected[i].stream);
        assert_int_equal(source->null_text, expected[i].null_text);
        assert_int_equal(source->records, expected[i].records);
        assert_int_equal(source->bytes, expected[i].bytes);
        assert_int_equal(source->size, exports[places[i].export]->size);
        assert_int_equal(source->mtime_ns, exports[places[i].export]->mtime_ns);
        assert_true(source->digest == exports[places[i].export]->digest);
    }
    pr_plan_destroy(&plan);
    free(places);
    assert_int_equal(pr_export_plan(s_mapping, exports, 3, PR_NULL_TEXT_AUTO, &plan, NULL, NULL), 0);
    pr_plan_destroy(&plan);
    pr_export_t *twice[] = {exports[0], exports[0]};
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_export_plan(s_mapping, twice, 2, PR_NULL_TEXT_AUTO, &plan, NULL, &err), -PR_E_USAGE);
    pr_export_destroy_all(&exports, 3);
    assert_null(exports);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(unlink(paths[i]), 0);
        free((char *)(uintptr_t)paths[i]);
    }
}

/* Refuse a and b given together, with this message, which begins with the path of b. */
static void s_assert_both_refused(const char *a, const char *b, pr_error_code_t code, const char *begin,
                                  const char *middle, const char *end) {
    const char *const paths[] = {a, b};
    pr_export_t **exports = NULL;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_export_scan_all(paths, 2, s_mapping, NULL, NULL, &exports, &err), -(int)code);
    assert_null(exports);
    char whole[512];
    (void)snprintf(whole, sizeof whole, "%s%s%s%s", b, begin, middle, end);
    assert_string_equal(err.text, whole);
}

static void test_scan_all_refuses(void **state) {
    (void)state;
    char *file = s_file("a.json", M(1));
    char *other = s_file("b.json", M(2));
    s_assert_both_refused(file, file, PR_E_USAGE, ": is given twice; give every export once", "", "");
    assert_int_equal(unlink(other), 0);
    s_assert_both_refused(file, other, PR_E_UNREADABLE, ": cannot be opened: No such file or directory", "", "");
    assert_int_equal(link(file, other), 0);
    s_assert_both_refused(file, other, PR_E_USAGE, ": is the same file as ", file, "; give every export once");
    assert_int_equal(unlink(other), 0);
    assert_int_equal(unlink(file), 0);
    free(other);
    free(file);
}

static int s_set_up(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    if (pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &s_mapping, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    (void)snprintf(s_folder, sizeof s_folder, "/tmp/pvrelay-test-export-XXXXXX");
    if (mkdtemp(s_folder) == NULL) {
        return -1;
    }
    s_path = pr_xasprintf("%s/export.json", s_folder);
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    pr_mapping_destroy(&s_mapping);
    (void)unlink(s_path);
    free(s_path);
    return rmdir(s_folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrangler),
        cmocka_unit_test(test_several_result_sets),
        cmocka_unit_test(test_empty_sets),
        cmocka_unit_test(test_bare_array),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_records_are_not_parsed),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_banner),
        cmocka_unit_test(test_unknown_meta),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_truncated_messages),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_malformed_envelope),
        cmocka_unit_test(test_brackets),
        cmocka_unit_test(test_not_data),
        cmocka_unit_test(test_unknown_stream),
        cmocka_unit_test(test_no_json),
        cmocka_unit_test(test_banner_without_end),
        cmocka_unit_test(test_long_records),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_file_grows),
        cmocka_unit_test(test_file_is_written_to),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_random_files),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_nulls_are_noticed),
        cmocka_unit_test(test_null_text_rules),
        cmocka_unit_test(test_sources_by_null_text),
        cmocka_unit_test(test_scan_all_and_plan),
        cmocka_unit_test(test_scan_all_refuses),
    };
    return cmocka_run_group_tests(tests, s_set_up, s_tear_down);
}
