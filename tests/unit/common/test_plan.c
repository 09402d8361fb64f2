/* SPDX-License-Identifier: MIT */
/* Tests of common/plan.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/plan.h"

static pr_plan_source_t s_audits(void) {
    return (pr_plan_source_t){.path = (char *)(uintptr_t) "/x/audits.json",
                              .stream = (char *)(uintptr_t) "audits",
                              .size = 1000,
                              .mtime_ns = -5,
                              .digest = 0xfedcba9876543210,
                              .null_text = true,
                              .records = 2,
                              .bytes = 900};
}

static pr_plan_source_t s_modules(void) {
    return (pr_plan_source_t){.path = (char *)(uintptr_t) "/x/modules \xc3\xa9.json",
                              .stream = (char *)(uintptr_t) "modules",
                              .size = 238012,
                              .mtime_ns = 1700000000123456789,
                              .digest = 0x1,
                              .null_text = false,
                              .records = 462,
                              .bytes = 237000};
}

static pr_plan_t *s_plan(pr_plan_source_t first, pr_plan_source_t second) {
    pr_plan_t *plan = pr_plan_new();
    pr_plan_add(plan, &first);
    pr_plan_add(plan, &second);
    return plan;
}

static void test_add_copies(void **state) {
    (void)state;
    char path[] = "/x/a", stream[] = "modules";
    pr_plan_source_t source = {.path = path, .stream = stream, .records = 7};
    pr_plan_t *plan = pr_plan_new();
    assert_int_equal(plan->count, 0);
    pr_plan_add(plan, &source);
    path[1] = stream[0] = '?';
    assert_int_equal(plan->count, 1);
    assert_string_equal(plan->sources[0].path, "/x/a");
    assert_string_equal(plan->sources[0].stream, "modules");
    assert_int_equal(plan->records[0], 7);
    pr_plan_destroy(&plan);
    assert_null(plan);
    pr_plan_destroy(&plan);
    pr_plan_destroy(NULL);
}

static void test_digest_tells_what_identifies(void **state) {
    (void)state;
    pr_plan_t *base = s_plan(s_audits(), s_modules());
    uint64_t digest = pr_plan_digest(base);
    for (int change = 0; change < 9; change++) {
        pr_plan_source_t first = s_audits();
        pr_plan_source_t second = s_modules();
        first.path = change == 1 ? (char *)(uintptr_t) "/y/audits.json" : first.path;
        first.stream = change == 2 ? (char *)(uintptr_t) "modules" : first.stream;
        second.size += change == 3;
        second.digest += change == 4;
        second.records += change == 5;
        if (change == 6) { /* the border between two strings moves */
            first.path = (char *)(uintptr_t) "/x/audits.jsona";
            first.stream = (char *)(uintptr_t) "udits";
        }
        second.mtime_ns += change == 7;
        pr_plan_t *plan = change == 8 ? s_plan(second, first) : s_plan(first, second);
        if (change == 0 || change == 7) {
            assert_true(pr_plan_digest(plan) == digest);
        } else {
            assert_true(pr_plan_digest(plan) != digest);
        }
        pr_plan_destroy(&plan);
    }
    pr_plan_destroy(&base);
}

/* Compare the usual plan with one whose second source is `second`. */
static void s_assert_compare(pr_plan_source_t second, const char *text) {
    pr_error_t err = PR_ERROR_INIT;
    pr_plan_t *begun = s_plan(s_audits(), s_modules());
    pr_plan_t *now = s_plan(s_audits(), second);
    assert_int_equal(pr_plan_compare(begun, now, &err), text == NULL ? 0 : -PR_E_SOURCE_CHANGED);
    assert_string_equal(err.text, text == NULL ? "" : text);
    pr_plan_destroy(&begun);
    pr_plan_destroy(&now);
}

/* Who began the run decided otherwise: the same texts would become other values. */
static void test_compare_null_text(void **state) {
    (void)state;
    pr_plan_source_t second = s_modules();
    second.null_text = !second.null_text;
    s_assert_compare(second,
                     "/x/modules \xc3\xa9.json: the text \"null\" in modules was text when the run began, is NULL "
                     "now; begin anew with --restart");
}

static void test_compare(void **state) {
    (void)state;
    pr_plan_source_t second = s_modules();
    s_assert_compare(second, NULL);
    second.mtime_ns++;
    s_assert_compare(second, NULL);
    second.size++;
    s_assert_compare(
        second,
        "/x/modules \xc3\xa9.json: was 238012 bytes, is 238013; give the exports as they were, or begin anew with "
        "--restart");
    second = s_modules();
    second.digest = 0xabc;
    s_assert_compare(
        second, "/x/modules \xc3\xa9.json: is as long as it was, but its content changed (digest 0000000000000001, now "
                "0000000000000abc); give the exports as they were, or begin anew with --restart");
    second = s_modules();
    second.records = 461;
    s_assert_compare(
        second,
        "/x/modules \xc3\xa9.json: had 462 records of modules, has 461 by the mapping as it is now; begin anew with "
        "--restart");
    second = s_modules();
    second.path = (char *)(uintptr_t) "/y";
    second.stream = (char *)(uintptr_t) "";
    s_assert_compare(
        second,
        "source 2 was modules of /x/modules \xc3\xa9.json, is nothing of /y; give the exports as they were, or begin "
        "anew with --restart");
}

static void test_compare_counts(void **state) {
    (void)state;
    pr_plan_t *two = s_plan(s_audits(), s_modules());
    pr_plan_t *one = pr_plan_new();
    pr_plan_source_t audits = s_audits();
    pr_plan_add(one, &audits);
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_plan_compare(two, one, &err), -PR_E_SOURCE_CHANGED);
    assert_string_equal(
        err.text, "had 2 sources, are 1 (gone: modules of /x/modules \xc3\xa9.json); give the exports as they were, or "
                  "begin anew with --restart");
    pr_error_clear(&err);
    assert_int_equal(pr_plan_compare(one, two, &err), -PR_E_SOURCE_CHANGED);
    assert_string_equal(
        err.text, "had 1 sources, are 2 (new: modules of /x/modules \xc3\xa9.json); give the exports as they were, or "
                  "begin anew with --restart");
    pr_plan_destroy(&one);
    pr_plan_destroy(&two);
}

static const char s_json[] =
    "{\"sources\":[{\"path\":\"/x/"
    "audits.json\",\"stream\":\"audits\",\"size\":1000,\"mtime_ns\":-5,\"digest\":\"fedcba9876543210\","
    "\"null_text\":true,\"records\":2,\"bytes\":900},{\"path\":\"/x/modules "
    "\xc3\xa9.json\",\"stream\":\"modules\",\"size\":238012,"
    "\"mtime_ns\":1700000000123456789,\"digest\":\"0000000000000001\",\"null_text\":false,\"records\":462,\"bytes\":"
    "237000}]}";

static void test_json_there_and_back(void **state) {
    (void)state;
    pr_plan_t *plan = s_plan(s_audits(), s_modules());
    char *json = NULL;
    size_t size = 0;
    assert_int_equal(pr_plan_to_json(plan, &json, &size, NULL), 0);
    assert_int_equal(size, strlen(s_json));
    assert_string_equal(json, s_json);
    pr_plan_t *back = NULL;
    assert_int_equal(pr_plan_from_json(json, size, &back, NULL), 0);
    assert_int_equal(pr_plan_compare(plan, back, NULL), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(back->sources[i].mtime_ns, plan->sources[i].mtime_ns);
        assert_int_equal(back->sources[i].null_text, plan->sources[i].null_text);
        assert_int_equal(back->sources[i].bytes, plan->sources[i].bytes);
        assert_int_equal(back->records[i], plan->records[i]);
    }
    free(json);
    pr_plan_destroy(&back);
    pr_plan_destroy(&plan);
}

static void test_json_empty_plan(void **state) {
    (void)state;
    pr_plan_t *plan = pr_plan_new();
    char *json;
    size_t size;
    assert_int_equal(pr_plan_to_json(plan, &json, &size, NULL), 0);
    assert_string_equal(json, "{\"sources\":[]}");
    pr_plan_t *back;
    assert_int_equal(pr_plan_from_json(json, size, &back, NULL), 0);
    assert_int_equal(back->count, 0);
    free(json);
    pr_plan_destroy(&back);
    pr_plan_destroy(&plan);
}

static void test_json_path_not_utf8(void **state) {
    (void)state;
    pr_plan_source_t audits = s_audits();
    audits.path = (char *)(uintptr_t) "/x/\xff.json";
    pr_plan_t *plan = s_plan(audits, s_modules());
    pr_error_t err = PR_ERROR_INIT;
    char *json = NULL;
    size_t size = 5;
    assert_int_equal(pr_plan_to_json(plan, &json, &size, &err), -PR_E_USAGE);
    assert_string_equal(err.text, "/x/\\xFF.json: the path is not valid UTF-8; rename the file or its folder");
    assert_null(json);
    assert_int_equal(size, 5);
    pr_plan_destroy(&plan);
}

#define SOURCE(path, size, mtime, digest, null_text, records)                                                          \
    "{\"sources\":[{\"path\":" path ",\"stream\":\"s\",\"size\":" size ",\"mtime_ns\":" mtime ",\"digest\":" digest    \
    ",\"null_text\":" null_text ",\"records\":" records ",\"bytes\":1}]}"
#define DIGEST "\"0123456789abcdef\""

static void test_json_hostile(void **state) {
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "plan: byte 0: '[' or '{' expected near end of file"},
        {"{\"sources\":[]} x", "plan: byte 16: end of file expected near 'x'"},
        {"{\"sources\":[],\"sources\":[]}", "plan: byte 23: duplicate object key near '\"sources\"'"},
        {"[]", "plan: is not an object with the one member \"sources\", an array"},
        {"{\"sources\":{}}", "plan: is not an object with the one member \"sources\", an array"},
        {"{\"sources\":[],\"a\":1}", "plan: is not an object with the one member \"sources\", an array"},
        {"{\"sources\":[1]}", "plan: source 1 is not an object of 8 members"},
        {"{\"sources\":[{}]}", "plan: source 1 is not an object of 8 members"},
        {SOURCE("1", "1", "1", DIGEST, "true", "1"), "plan: source 1 has no path or stream"},
        {SOURCE("\"/x\\u0000y\"", "1", "1", DIGEST, "true", "1"),
         "plan: byte 31: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"/x\\u0000y\"'"},
        {SOURCE("\"/x\"", "-1", "1", DIGEST, "true", "1"), "plan: source 1 has no size, records or bytes"},
        {SOURCE("\"/x\"", "1.0", "1", DIGEST, "true", "1"), "plan: source 1 has no size, records or bytes"},
        {SOURCE("\"/x\"", "1", "1", DIGEST, "true", "\"1\""), "plan: source 1 has no size, records or bytes"},
        {SOURCE("\"/x\"", "1", "null", DIGEST, "true", "1"), "plan: source 1 has no mtime_ns, null_text or digest"},
        {SOURCE("\"/x\"", "1", "1", DIGEST, "1", "1"), "plan: source 1 has no mtime_ns, null_text or digest"},
        {SOURCE("\"/x\"", "1", "1", "\"0123456789ABCDEF\"", "true", "1"),
         "plan: source 1 has no mtime_ns, null_text or digest"},
        {SOURCE("\"/x\"", "1", "1", "\"0123\"", "true", "1"), "plan: source 1 has no mtime_ns, null_text or digest"},
        {SOURCE("\"/x\"", "99999999999999999999", "1", DIGEST, "true", "1"),
         "plan: byte 65: too big integer near '99999999999999999999'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_plan_t *plan = NULL;
        assert_int_equal(pr_plan_from_json(cases[i].json, strlen(cases[i].json), &plan, &err), -PR_E_PROTOCOL);
        assert_string_equal(err.text, cases[i].text);
        assert_null(plan);
    }
}

static void test_json_sum_of_records(void **state) {
    (void)state;
    pr_plan_source_t audits = s_audits();
    audits.records = INT64_MAX;
    pr_plan_t *plan = s_plan(audits, s_modules());
    char *json;
    size_t size;
    assert_int_equal(pr_plan_to_json(plan, &json, &size, NULL), 0);
    pr_error_t err = PR_ERROR_INIT;
    pr_plan_t *back = NULL;
    assert_int_equal(pr_plan_from_json(json, size, &back, &err), -PR_E_PROTOCOL);
    assert_string_equal(err.text, "plan: source 2 brings the records above 2^63");
    free(json);
    pr_plan_destroy(&plan);
}

/* Every prefix of a plan is refused, none is read behind its end. */
static void test_json_every_prefix(void **state) {
    (void)state;
    for (size_t size = 0; size < strlen(s_json); size++) {
        char *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, s_json, size);
        pr_plan_t *plan = NULL;
        assert_int_equal(pr_plan_from_json(copy, size, &plan, NULL), -PR_E_PROTOCOL);
        assert_null(plan);
        free(copy);
    }
}

/* Each export that was given is planned, whatever the number of its result sets; one that is missing is our mistake. */
static void test_given_is_planned(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_plan_source_t again = s_modules();
    again.stream = (char *)(uintptr_t) "audits"; /* another result set of the same file, not behind the first */
    pr_plan_t *plan = s_plan(s_modules(), s_audits());
    pr_plan_add(plan, &again);
    assert_int_equal(pr_plan_check_given(plan, 2, &err), 0);
    assert_string_equal(err.text, "");
    assert_int_equal(pr_plan_check_given(plan, 3, &err), -PR_E_INTERNAL);
    assert_string_equal(err.text, "3 exports were given, but 2 are planned; report it");
    pr_error_clear(&err);
    assert_int_equal(pr_plan_check_given(plan, 1, &err), -PR_E_INTERNAL);
    pr_plan_destroy(&plan);
    plan = pr_plan_new();
    assert_int_equal(pr_plan_check_given(plan, 0, NULL), 0);
    assert_int_equal(pr_plan_check_given(plan, 1, NULL), -PR_E_INTERNAL);
    pr_plan_destroy(&plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_copies),        cmocka_unit_test(test_digest_tells_what_identifies),
        cmocka_unit_test(test_compare),           cmocka_unit_test(test_compare_null_text),
        cmocka_unit_test(test_compare_counts),    cmocka_unit_test(test_json_there_and_back),
        cmocka_unit_test(test_json_empty_plan),   cmocka_unit_test(test_json_path_not_utf8),
        cmocka_unit_test(test_json_hostile),      cmocka_unit_test(test_json_sum_of_records),
        cmocka_unit_test(test_json_every_prefix), cmocka_unit_test(test_given_is_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
