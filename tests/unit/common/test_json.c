/* SPDX-License-Identifier: MIT */
/* Unit tests of making JSON. */
#include "common/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Takes json. */
static void s_check(json_t *json, const char *expected) {
    char *text = pr_json_dump(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void test_no_text_is_lost(void **state) {
    (void)state;
    s_check(pr_json_text("m\xc3\xa9.json"), "\"m\xc3\xa9.json\"");
    s_check(pr_json_text("m\xe9.json"), "\"m\\\\xE9.json\"");
    s_check(pr_json_text(NULL), "null");
    s_check(pr_json_text(""), "\"\"");
    s_check(pr_json_text_or_null(""), "null");
    s_check(pr_json_text_or_null("\xff"), "\"\\\\xFF\"");
    s_check(pr_json_text_bytes("a\0b", 3), "\"a\\u0000b\"");
    json_t *list = json_array();
    pr_json_append(list, pr_json_text("\xe9"));
    s_check(list, "[\"\\\\xE9\"]");
    json_t *object = json_object();
    pr_json_set(object, "k\xe9", pr_json_text("\xe9"));
    s_check(object, "{\"k\\\\xE9\":\"\\\\xE9\"}");
}

static void test_pack(void **state) {
    (void)state;
    json_t *mine = json_integer(3);
    s_check(pr_json_pack("{s:s, s:s?, s:s, s:I, s:i, s:b, s:f, s:n, s:o, s:O, s:[], s:{s:s, s:[i, i]}}", "a", "x\xe9",
                         "b", NULL, "c", NULL, "d", (json_int_t)1 << 40, "e", -1, "f", 1, "g", 0.5, "h", "i",
                         json_integer(2), "j", mine, "k", "l", "m", "n", "o", 1, 2),
            "{\"a\":\"x\\\\xE9\",\"b\":null,\"c\":null,\"d\":1099511627776,\"e\":-1,\"f\":true,\"g\":0.5,\"h\":null,"
            "\"i\":2,"
            "\"j\":3,\"k\":[],\"l\":{\"m\":\"n\",\"o\":[1,2]}}");
    s_check(mine, "3");
    s_check(pr_json_pack("[f, f]", (double)INFINITY, (double)NAN), "[null,null]");
}

/* Nothing that steers a terminal or turns a line round comes out, and whoever reads it gets what went in. */
static void test_dump_is_harmless_and_exact(void **state) {
    (void)state;
    static const char given[] = "a\x1b[31m\n\xe2\x80\xae\xc2\x9b\x7f\xe2\x80\xa8é";
    json_t *json = pr_json_pack("{s:s}", "\xe2\x80\xae", given);
    char *text = pr_json_dump(json, JSON_INDENT(2));
    assert_string_equal(text, "{\n  \"\\u202E\": \"a\\u001B[31m\\n\\u202E\\u009B\\u007F\\u2028é\"\n}");
    json_t *read = json_loads(text, 0, NULL);
    assert_true(json_equal(read, json));
    json_decref(read);
    json_decref(json);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_text_is_lost),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_dump_is_harmless_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
