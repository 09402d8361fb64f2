/* SPDX-License-Identifier: MIT */
/* Answers of the HUB's API against what is expected: what differs is named, what does not is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "control/api_compare.h"

static pr_mapping_t *s_mapping;
static pr_api_expect_t *s_expect;
static pr_proof_list_t *s_list;
static pr_api_compare_t s_compare;

static pr_value_t s_text(const char *text) {
    return pr_value_text(text, strlen(text));
}

static void s_set(const pr_stream_t *stream, pr_value_t *values, const char *name, pr_value_t value) {
    int field = pr_stream_field_index(stream, name, strlen(name));
    assert_true(field >= 0);
    values[field] = value;
}

static void s_add_audit(const char *token, const char *project, bool optional) {
    const pr_stream_t *stream = s_expect->groups_of;
    pr_value_t values[32];
    for (size_t i = 0; i < 32; i++)
        values[i] = pr_value_null();
    s_set(stream, values, "token", s_text(token));
    s_set(stream, values, "project_name", s_text(project));
    s_set(stream, values, "client_name", s_text("Client"));
    s_set(stream, values, "location", s_text("Là"));
    pr_api_expect_add(s_expect, stream, values, optional, (pr_api_place_t){.source = 0, .offset = 10});
}

static void s_add_module(const char *token, const char *id, pr_value_t status, bool optional, uint64_t offset) {
    const pr_stream_t *stream = s_expect->members_of;
    pr_value_t values[32];
    for (size_t i = 0; i < 32; i++)
        values[i] = pr_value_null();
    s_set(stream, values, "audit_token", s_text(token));
    s_set(stream, values, "module_id", s_text(id));
    s_set(stream, values, "status", status);
    pr_api_expect_add(s_expect, stream, values, optional, (pr_api_place_t){.source = 1, .offset = offset});
}

static int s_set_up(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    if (pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &s_mapping, &err) < 0 ||
        pr_api_expect_new(s_mapping, &s_expect, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    s_add_audit("t1", "Projet", false);
    s_add_module("t1", "S1-2", s_text("dead"), false, 200);
    s_add_module("t1", "S1-1", s_text("ok"), false, 100);
    s_add_module("t1", "S1-3", s_text("pending"), false, 300);
    pr_api_expect_end(s_expect);
    s_list = pr_proof_list_new(100);
    s_compare = (pr_api_compare_t){.expect = s_expect, .list = s_list};
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    pr_proof_list_destroy(&s_list);
    pr_api_expect_destroy(&s_expect);
    pr_mapping_destroy(&s_mapping);
    return 0;
}

static json_t *s_json(const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    if (json == NULL)
        fail_msg("%s: %s", error.text, text);
    return json;
}

static pr_api_group_t *s_group(const char *token) {
    pr_value_t key = s_text(token);
    pr_api_group_t *group = pr_api_expect_find(s_expect, &key);
    assert_non_null(group);
    return group;
}

/* A failure as text: everything in it. *Returns new*. */
static char *s_told(const pr_failure_t *failure) {
    return pr_xasprintf("%s %s %s: %s, %s: %s, %s @%u:%u", pr_failure_word(failure->kind), failure->stream,
                        failure->table, failure->key, failure->column, failure->expected, failure->stored,
                        failure->source, (unsigned)failure->offset);
}

/* Ends the list of failures. */
#define S_NO_MORE ((const char *)NULL)

/* These failures, in this order, NULL at the end, and no other. */
static void s_expect_failures(const char *first, ...) {
    va_list texts;
    size_t count = 0;
    va_start(texts, first);
    for (const char *text = first; text != NULL; text = va_arg(texts, const char *)) {
        assert_true(count < s_list->failures_count);
        char *told = s_told(&s_list->failures[count++]);
        assert_string_equal(told, text);
        free(told);
    }
    va_end(texts);
    for (size_t i = count; i < s_list->failures_count; i++)
        print_error("beyond: %s\n", s_told(&s_list->failures[i]));
    assert_int_equal(s_list->failures_count, count);
    assert_int_equal(s_list->failures_total, count);
}

static void s_ask(const char *answer) {
    json_t *json = s_json(answer);
    pr_api_totals_t totals;
    pr_api_compare_group(&s_compare, s_group("t1"), json, &totals);
    free(totals.by_status);
    json_decref(json);
}

static void s_ask_list(const char *answer, bool with_totals) {
    json_t *json = s_json(answer);
    pr_api_totals_t *totals = calloc(s_expect->groups_count + 1, sizeof *totals);
    assert_non_null(totals);
    if (with_totals) {
        json_t *group = s_json("{\"modules\": [{\"module_id\": \"S1-1\", \"status\": \"ok\"},"
                               "{\"module_id\": \"S1-2\", \"status\": \"dead\"},"
                               "{\"module_id\": \"S1-3\", \"status\": \"pending\"},"
                               "{\"module_id\": \"S1-4\", \"status\": \"ok\"}]}");
        pr_api_compare_group(&s_compare, s_group("t1"), group, &totals[0]);
        json_decref(group);
    }
    pr_api_compare_list(&s_compare, json, totals);
    for (size_t i = 0; i < s_expect->groups_count; i++)
        free(totals[i].by_status);
    free(totals);
    json_decref(json);
}

#define MODULES(first)                                                                                                 \
    "\"modules\": [" first                                                                                             \
    ", {\"module_identifier\": \"S1-2\", \"status\": \"dead\", \"defect_type\": \"dead_module\","                      \
    " \"severity_level\": 3}, {\"module_id\": \"S1-3\", \"module_identifier\": \"?\", \"status\": \"pending\"}]"
#define FIRST "{\"module_id\": \"S1-1\", \"status\": \"ok\", \"defect_type\": \"none\", \"severity_level\": 0}"

static void test_as_expected(void **state) {
    (void)state;
    s_ask("{\"audit\": {\"token\": \"t1\", \"project_name\": \"Projet\", \"client_name\": \"Client\", \"location\": "
          "\"Là\"}," MODULES(
              FIRST) ", \"progress\": {\"total\": 3, \"completed\": 2, \"ok\": 1, \"dead\": 1, \"inequality\": 0,"
                     " \"pending\": 1, \"percent\": 66.7}}");
    s_ask("{" MODULES(FIRST) "}"); /* what is absent is not missed */
    s_expect_failures(NULL);
    assert_int_equal(s_list->findings_count, 0);
    assert_int_equal(s_compare.groups, 2);
    assert_int_equal(s_compare.members, 6);
}

static void test_missing(void **state) {
    (void)state;
    s_ask("{\"modules\": [" FIRST ", {\"module_id\": \"S1-3\", \"status\": \"pending\"}],"
          " \"progress\": {\"total\": 2, \"completed\": 1, \"dead\": 0}}");
    s_expect_failures(
        "missing modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-2', : it among the answer's, "
        "nothing @1:200",
        "mismatch audits GET /api/el/audit/t1: token='t1', progress.total: 3, 2 @0:10",
        "mismatch audits GET /api/el/audit/t1: token='t1', progress.completed: 2, 1 @0:10",
        "mismatch audits GET /api/el/audit/t1: token='t1', progress.dead: 1, 0 @0:10", S_NO_MORE);
}

static void test_status(void **state) {
    (void)state;
    s_ask("{\"audit\": {\"audit_token\": \"t2\", \"location\": \"là\"}, " MODULES(
        "{\"module_id\": \"S1-1\", \"status\": null, \"defect_type\": \"none\", \"severity_level\": \"0\"}") "}");
    s_expect_failures(
        "mismatch audits GET /api/el/audit/t1: token='t1', token: 't1', 't2' @0:10",
        "mismatch audits GET /api/el/audit/t1: token='t1', location: 'Là', 'là' @0:10",
        "mismatch modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-1', status: 'ok', NULL @1:100",
        "mismatch modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-1', severity_level: 0, '0' "
        "@1:100",
        S_NO_MORE);
}

static void test_no_status(void **state) {
    (void)state;
    s_ask("{" MODULES("{\"module_id\": \"S1-1\"}") "}");
    s_expect_failures(
        "mismatch modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-1', status: 'ok', nothing "
        "@1:100",
        S_NO_MORE);
}

static void test_extra_is_a_finding(void **state) {
    (void)state;
    s_ask("{" MODULES(FIRST
                      ", {\"module_id\": \"S9-9\", \"status\": \"ok\"}") ", \"progress\": {\"total\": 4, \"ok\": 2}}");
    s_expect_failures(NULL);
    assert_int_equal(s_list->findings_count, 1);
    assert_string_equal(s_list->findings[0].kind, "api_extra");
    assert_string_equal(s_list->findings[0].stream, "modules");
    assert_string_equal(s_list->findings[0].field, "module_id");
    assert_string_equal(s_list->findings[0].detail, "GET /api/el/audit/t1: audit_token='t1', module_id='S9-9'");
    assert_int_equal(s_list->findings[0].count, 1);
}

static void test_extra_fails(void **state) {
    (void)state;
    s_compare.extra_fails = true;
    s_ask("{" MODULES(FIRST ", {\"module_id\": \"S9-9\"}, {\"module_id\": \"S1-1\", \"status\": \"ok\"}") "}");
    s_expect_failures(
        "extra modules GET /api/el/audit/t1: audit_token='t1', module_id='S9-9', : no such record, one in the "
        "API @0:0",
        "extra modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-1', : it once, it again @1:100",
        S_NO_MORE);
}

static void test_optional(void **state) {
    (void)state;
    s_add_module("t1", "S1-4", s_text("odd"), true, 400); /* rejected: may be there or not ... */
    s_add_module("t1", "S1-1", s_text("bad"), true, 500); /* ... and does not take the place of what was taken over */
    s_add_audit("t1", "Autre", true);
    pr_api_expect_end(s_expect);
    s_ask("{\"audit\": {\"project_name\": \"Projet\"}, " MODULES(FIRST) ", \"progress\": {\"total\": 3}}");
    s_ask("{" MODULES(FIRST ", {\"module_id\": \"S1-4\", \"status\": \"odd\"}") ", \"progress\": {\"total\": 4}}");
    s_ask_list("{\"audits\": [{\"token\": \"t1\", \"modules_total\": 77}]}", false); /* 3 or 4: not known */
    s_expect_failures(NULL);
}

static void test_the_last_one_counts(void **state) {
    (void)state;
    s_add_module("t1", "S1-1", s_text("inequality"), false, 600);
    pr_api_expect_end(s_expect);
    assert_int_equal(s_group("t1")->members_count, 3);
    s_ask("{" MODULES("{\"module_id\": \"S1-1\", \"status\": \"inequality\"}") "}");
    s_expect_failures(NULL);
}

static void test_null_status(void **state) {
    (void)state;
    s_add_module("t1", "S1-1", pr_value_null(), false, 600);
    pr_api_expect_end(s_expect);
    s_ask("{" MODULES("{\"module_id\": \"S1-1\", \"status\": null, \"defect_type\": null}") "}");
    s_expect_failures(NULL);
    s_ask("{" MODULES("{\"module_id\": \"S1-1\", \"status\": \"null\", \"defect_type\": {}}") "}");
    s_expect_failures(
        "mismatch modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-1', status: NULL, 'null' @1:600",
        "mismatch modules GET /api/el/audit/t1: audit_token='t1', module_id='S1-1', defect_type: NULL, an "
        "object @1:600",
        S_NO_MORE);
}

static void test_shapes(void **state) {
    (void)state;
    s_ask("{\"module\": []}");
    s_ask("[]");
    s_ask("{" MODULES(FIRST ", {\"id\": 1}, [7]") "}");
    s_ask_list("{\"success\": true}", false);
    s_ask_list("\"audits\"", false);
    s_ask_list("{\"success\": false, \"audits\": []}", false);
    s_expect_failures(
        "missing audits GET /api/el/audit/t1: token='t1', : an object with a list \"modules\", an object without @0:10",
        "missing audits GET /api/el/audit/t1: token='t1', : an object with a list \"modules\", a list @0:10",
        "mismatch audits GET /api/el/audit/t1: token='t1', module_id: a key in each of them, nothing @0:10",
        "mismatch audits GET /api/el/audit/t1: token='t1', module_id: a key in each of them, nothing @0:10",
        "whole audits GET /api/el/dashboard/audits: , : an object with a list \"audits\", an object without @0:0",
        "whole audits GET /api/el/dashboard/audits: , : an object with a list \"audits\", 'audits' @0:0",
        "whole audits GET /api/el/dashboard/audits: , : an object with a list \"audits\", and success, \"success\": "
        "false "
        "@0:0",
        S_NO_MORE);
}

static void test_list(void **state) {
    (void)state;
    /* Others that the HUB has do not matter, nor do members that are no objects. */
    s_ask_list(
        "{\"success\": true, \"audits\": [3, {\"token\": \"t0\"}, {\"token\": \"t1\", \"project_name\": \"Projet\","
        " \"modules_total\": 3, \"modules_ok\": 1, \"modules_completed\": 2}]}",
        false);
    s_expect_failures(NULL);
    s_ask_list(
        "{\"audits\": [{\"audit_token\": \"t1\", \"project_name\": 7, \"modules_ok\": 2, \"modules_dead\": null}]}",
        false);
    s_ask_list("{\"audits\": []}", false);
    s_expect_failures("mismatch audits GET /api/el/dashboard/audits: token='t1', project_name: 'Projet', 7 @0:10",
                      "mismatch audits GET /api/el/dashboard/audits: token='t1', modules_ok: 1, 2 @0:10",
                      "mismatch audits GET /api/el/dashboard/audits: token='t1', modules_dead: 1, NULL @0:10",
                      "missing audits GET /api/el/dashboard/audits: token='t1', : it among the answer's, nothing @0:10",
                      S_NO_MORE);
}

/* The totals of the list must be those of what the group's own answer shows, where that was seen. */
static void test_list_with_totals(void **state) {
    (void)state;
    s_ask_list("{\"audits\": [{\"token\": \"t1\", \"modules_total\": 4, \"modules_ok\": 2, \"modules_completed\": 3}]}",
               true);
    s_expect_failures(NULL);
    assert_int_equal(s_list->findings_count, 1);
}

/* Groups of which only members are known are expected to be there, but not to be listed. */
static void test_members_only(void **state) {
    (void)state;
    s_add_module("t9", "S1-1", s_text("ok"), false, 900);
    pr_api_expect_end(s_expect);
    assert_false(s_group("t9")->known);
    s_ask_list("{\"audits\": [{\"token\": \"t1\"}]}", false);
    s_expect_failures(NULL);
}

static void test_many_groups(void **state) {
    (void)state;
    char token[32];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(token, sizeof token, "many-%u", i);
        s_add_module(token, "S1-1", s_text("ok"), false, i);
    }
    pr_api_expect_end(s_expect);
    assert_int_equal(s_expect->groups_count, 1001);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(token, sizeof token, "many-%u", i);
        const pr_api_group_t *group = s_group(token);
        assert_int_equal(group->members_count, 1);
        assert_int_equal(group->members[0].place.offset, i);
    }
    pr_value_t none = s_text("many-1000");
    assert_null(pr_api_expect_find(s_expect, &none));
}

static void test_undeclared(void **state) {
    (void)state;
    pr_api_expect_t *expect = NULL;
    pr_error_t err = PR_ERROR_INIT;
    for (size_t i = 0; i < s_mapping->streams_count; i++)
        s_mapping->streams[i].declares.stream = -1;
    assert_int_equal(pr_api_expect_new(s_mapping, &expect, &err), -PR_E_CONFIG);
    assert_null(expect);
    assert_string_equal(err.text,
                        PR_SOURCE_DIR "/mappings/el-to-hub.json: no stream declares children, so it is not known "
                                      "what the API must show; see \"declares\" in pvrelay-mapping(5)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, s_set_up, s_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_as_expected),        TEST(test_missing),     TEST(test_status),    TEST(test_no_status),
        TEST(test_extra_is_a_finding), TEST(test_extra_fails), TEST(test_optional),  TEST(test_the_last_one_counts),
        TEST(test_null_status),        TEST(test_shapes),      TEST(test_list),      TEST(test_list_with_totals),
        TEST(test_members_only),       TEST(test_many_groups), TEST(test_undeclared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
