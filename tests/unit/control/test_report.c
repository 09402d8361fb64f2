/* SPDX-License-Identifier: MIT */
/* control/report.h: facts, checks and distributions, whatever they hold. */
#include "control/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "control/report_proof.h"

#define S_SCHEMA                                                                                                       \
    "CREATE TABLE el_audits (id INTEGER PRIMARY KEY, audit_token TEXT, project_name TEXT);"                            \
    "CREATE TABLE el_modules (id INTEGER PRIMARY KEY, audit_token TEXT, defect_type TEXT, severity_level INTEGER);"    \
    "INSERT INTO el_audits VALUES (1, 'a', 'Zoé'), (2, 'b', 'Été | x'), (3, 'c', 'not ours');"                      \
    "INSERT INTO el_modules (audit_token, defect_type, severity_level) VALUES ('a', 'none', 0), ('a', 'none', 0),"     \
    " ('b', 'dead_module', 3), ('b', NULL, NULL), ('c', 'none', 0);"

typedef struct {
    sqlite3 *db;
    pr_mapping_t *mapping;
    pr_report_t *report;
} s_fixture_t;

static int s_setup(void **state) {
    s_fixture_t *fx = pr_xcalloc(1, sizeof *fx);
    assert_int_equal(pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &fx->mapping, NULL), 0);
    assert_int_equal(sqlite3_open(":memory:", &fx->db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(fx->db, S_SCHEMA, NULL, NULL, NULL), SQLITE_OK);
    fx->report = pr_report_new(PR_REPORT_VERIFY, "/x/hub 1.db");
    fx->report->outcome = 0;
    *state = fx;
    return 0;
}

static int s_teardown(void **state) {
    s_fixture_t *fx = *state;
    pr_report_destroy(&fx->report);
    pr_report_destroy(&fx->report);
    pr_mapping_destroy(&fx->mapping);
    sqlite3_close(fx->db);
    free(fx);
    return 0;
}

static void s_describe(s_fixture_t *fx) {
    assert_int_equal(pr_report_describe(fx->report, fx->db, fx->mapping, NULL), 0);
}

static void test_words_are_quoted_for_a_shell(void **state) {
    s_fixture_t *fx = *state;
    static const char *const cases[][2] = {
        {"a/b-c.json", "a/b-c.json"}, {"", "''"}, {"a b", "'a b'"}, {"it's", "'it'\\''s'"}, {"$x;", "'$x;'"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *quoted = pr_hint_quote(cases[i][0]);
        assert_string_equal(quoted, cases[i][1]);
        free(quoted);
    }
    pr_report_set_command(fx->report, 3, (char *[]){"verify", "a b", "\xFF"});
    assert_string_equal(fx->report->command, "pvrelay verify 'a b' '\\xFF'");
    char *command = pr_report_undo_command(fx->report, true);
    assert_string_equal(command, "pvrelay rollback --target '/x/hub 1.db' --to 0 --dry-run");
    free(command);
}

static void test_distribution(void **state) {
    s_fixture_t *fx = *state;
    pr_report_add_tally(fx->report, "modules", "b", "dead", 1);
    pr_report_add_tally(fx->report, "modules", "a", "ok", 1);
    pr_report_add_tally(fx->report, "modules", "b", "", 1);
    pr_report_add_tally(fx->report, "modules", "a", "ok", 1);
    pr_report_add_tally(fx->report, "audits", "a", "", 1); /* no distribution is declared there */
    s_describe(fx);
    assert_int_equal(fx->report->distributions_count, 1);
    const pr_report_distribution_t *distribution = &fx->report->distributions[0];
    assert_string_equal(distribution->label_name, "project_name");
    assert_int_equal(distribution->columns_count, 2);
    assert_int_equal(distribution->groups_count, 2);
    assert_string_equal(distribution->groups[0].label, "Zoé"); /* by label, byte for byte */
    assert_string_equal(distribution->groups[1].label, "Été | x");
    assert_int_equal(distribution->groups[0].shares_count, 1);
    assert_int_equal(distribution->groups[0].exported, 2);
    assert_int_equal(distribution->groups[0].stored, 2);
    const pr_report_group_t *group = &distribution->groups[1];
    assert_int_equal(group->shares_count, 2);
    assert_string_equal(group->shares[0].values[0], "dead");
    assert_string_equal(group->shares[0].values[2], "3");
    assert_null(group->shares[1].values[0]);
    assert_null(group->shares[1].values[1]);
    assert_int_equal(group->shares[1].stored, 1);
    assert_int_equal(distribution->all.exported, 4);
    assert_int_equal(distribution->all.stored, 4); /* group c is not ours */
    assert_int_equal(fx->report->checks[PR_CHECK_DISTRIBUTION], PR_CHECK_PASSED);
    assert_int_equal(fx->report->checks[PR_CHECK_API], PR_CHECK_ABSENT);
}

static void test_rows_that_only_the_target_has(void **state) {
    s_fixture_t *fx = *state;
    pr_report_add_tally(fx->report, "modules", "b", "dead", 1);
    pr_report_add_finding(fx->report, &(pr_report_finding_t){.kind = "extra_row", .stream = "modules", .count = 1});
    s_describe(fx);
    const pr_report_group_t *group = &fx->report->distributions[0].groups[0];
    assert_int_equal(group->shares_count, 2);
    assert_false(group->shares[1].in_export);
    assert_int_equal(group->shares[1].exported, 0);
    assert_int_equal(group->shares[1].stored, 1);
    assert_int_equal(fx->report->checks[PR_CHECK_DISTRIBUTION], PR_CHECK_NOTED);
    assert_int_equal(fx->report->checks[PR_CHECK_EXTRA], PR_CHECK_NOTED);
}

static void test_each_failure_fails_its_check(void **state) {
    (void)state;
    static const struct {
        const char *kind, *table, *column, *stored;
        pr_check_t check;
    } cases[] = {
        {"mismatch", "el_modules", "comment", "1", PR_CHECK_ROWS},
        {"missing", "el_modules", "", "", PR_CHECK_ROWS},
        {"extra", "el_modules", "", "", PR_CHECK_EXTRA},
        {"missing", "GET /api/el/audit/a", "", "", PR_CHECK_API},
        {"whole", "", "quick_check", "row 1 missing", PR_CHECK_QUICK_CHECK},
        {"whole", "pvrelay_checkpoint", "records", "1", PR_CHECK_ACCOUNTS},
        {"whole", "el_modules", "el_audit_id", "refers to none", PR_CHECK_FOREIGN_KEYS},
        {"whole", "el_audits", "completion_rate", "0.0", PR_CHECK_DERIVED},
        {"whole", "el_modules", "defect_type", "'none': 1", PR_CHECK_DISTRIBUTION},
        {"whole", "el_audits", "audit_token", "none", PR_CHECK_KEYS},
        {"whole", "el_audits", "", "", PR_CHECK_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *fresh;
        s_setup(&fresh);
        s_fixture_t *fx = fresh;
        pr_report_add_tally(fx->report, "modules", "a", "ok", 2);
        free(fx->report->api);
        fx->report->api = pr_xstrdup("http://127.0.0.1");
        fx->report->checks[PR_CHECK_API] = PR_CHECK_PASSED;
        pr_report_add_failure(fx->report, &(pr_report_failure_t){.kind = cases[i].kind,
                                                                 .table = cases[i].table,
                                                                 .column = cases[i].column,
                                                                 .stored = cases[i].stored});
        s_describe(fx);
        for (int check = 0; check < PR_CHECKS; check++)
            assert_int_equal(fx->report->checks[check],
                             check == (int)cases[i].check ? PR_CHECK_FAILED : PR_CHECK_PASSED);
        s_teardown(&fresh);
    }
}

static void test_nothing_is_ticked_that_was_not_looked_at(void **state) {
    s_fixture_t *fx = *state;
    fx->report->outcome = -1;
    pr_report_stream_t *stream = pr_report_stream(fx->report, "modules");
    stream->exported = 5;
    stream->read = 3;
    stream->validated = 3;
    assert_ptr_equal(pr_report_stream(fx->report, "modules"), stream);
    s_describe(fx);
    for (int check = 0; check < PR_CHECKS; check++)
        assert_int_not_equal(fx->report->checks[check], PR_CHECK_PASSED);
    assert_int_equal(fx->report->checks[PR_CHECK_COMPLETE], PR_CHECK_OPEN);
    assert_string_equal(pr_report_verdict(fx->report), "incomplete");
}

static void test_findings_of_rows_are_told_together(void **state) {
    s_fixture_t *fx = *state;
    static const char *const kinds[] = {"declared_total", "declared_total", "extra_row", "extra_row", "made_rows"};
    uint64_t count;
    for (size_t i = 0; i < 5; i++)
        pr_report_add_finding(fx->report, &(pr_report_finding_t){.kind = kinds[i], .stream = "m", .count = i + 1});
    assert_int_equal(pr_report_findings_end(fx->report, 0, &count), 1);
    assert_int_equal(pr_report_findings_end(fx->report, 2, &count), 4);
    assert_int_equal(count, 7);
    assert_int_equal(pr_report_findings_end(fx->report, 4, &count), 5);
    assert_int_equal(count, 5);
}

static void test_a_proof_is_copied(void **state) {
    s_fixture_t *fx = *state;
    pr_proof_list_t *list = pr_proof_list_new(1);
    const pr_failure_t failure = {.kind = PR_FAILURE_MISSING,
                                  .stream = "m",
                                  .table = "t",
                                  .key = "k",
                                  .column = "",
                                  .expected = "1",
                                  .stored = "",
                                  .source = 1,
                                  .offset = 7};
    pr_proof_list_add_failure(list, &failure);
    pr_proof_list_add_failure(list, &failure);
    pr_proof_list_add_finding(
        list,
        &(pr_finding_t){
            .kind = "null_text", .stream = "m", .field = "f", .detail = "", .count = 3, .source = 0, .ordinal = 2});
    pr_proof_list_add_finding(
        list, &(pr_finding_t){.kind = "made_rows", .stream = "", .field = "users", .detail = "", .count = 1});
    pr_proof_list_add_tally(list, &(pr_proof_tally_t){.stream = "m", .group = "g", .value = "v", .count = 4});
    pr_report_add_source(fx->report, &(pr_plan_source_t){.path = "/x/a", .stream = "m", .digest = 0xAB});
    pr_report_add_source(fx->report, &(pr_plan_source_t){.path = "/x/b", .stream = "m"});
    pr_report_add_proof(fx->report, list);
    pr_proof_list_destroy(&list);
    assert_int_equal(fx->report->failures_total, 2);
    assert_int_equal(fx->report->failures_count, 1);
    assert_string_equal(fx->report->failures[0].kind, "missing");
    assert_string_equal(fx->report->failures[0].path, "/x/b");
    assert_string_equal(fx->report->findings[0].path, "/x/a");
    assert_int_equal(fx->report->findings[0].ordinal, 2);
    assert_string_equal(fx->report->findings[1].path, "");
    assert_int_equal(fx->report->tallies[0].count, 4);
    assert_string_equal(fx->report->sources[0].digest, "00000000000000ab");
}

/* How often a text stands in another. */
static size_t s_times(const char *text, const char *what) {
    size_t times = 0;
    while ((text = strstr(text, what)) != NULL) {
        text += strlen(what);
        times++;
    }
    return times;
}

static void test_long_lists_are_cut_in_markdown_and_whole_in_json(void **state) {
    s_fixture_t *fx = *state;
    fx->report->outcome = 4;
    for (int i = 0; i < 1200; i++)
        pr_report_add_failure(fx->report,
                              &(pr_report_failure_t){.kind = "missing", .table = "t", .key = "k|\xFF\n", .path = "p"});
    for (int i = 0; i < 60; i++) {
        char *group = pr_xasprintf("g%02d", i);
        pr_report_add_tally(fx->report, "modules", group, "ok", 1);
        free(group);
    }
    s_describe(fx);
    for (int language = 0; language < PR_LANGUAGES; language++) {
        char *page = pr_report_to_markdown(fx->report, (pr_report_language_t)language);
        assert_int_equal(s_times(page, "| `k\\|\\xFF\\n` |"), 100);
        assert_int_equal(s_times(page, "#### "), 51);
        free(page);
    }
    json_t *json = pr_report_to_json(fx->report);
    assert_int_equal(json_array_size(json_object_get(json, "failures")), PR_REPORT_FAILURES_MAX);
    assert_int_equal(json_integer_value(json_object_get(json, "failures_total")), 1200);
    json_t *distribution = json_array_get(json_object_get(json, "distributions"), 0);
    assert_int_equal(json_array_size(json_object_get(distribution, "groups")), 60);
    json_decref(json);
}

static void test_a_report_that_cannot_be_written(void **state) {
    s_fixture_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    s_describe(fx);
    assert_int_equal(pr_report_write(fx->report, "/proc/no", PR_LANGUAGE_FRENCH, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, "/proc/no: cannot make the folder of the report: No such file or directory");
    err = (pr_error_t)PR_ERROR_INIT;
    assert_int_equal(pr_report_write(fx->report, "/proc/self", PR_LANGUAGE_FRENCH, &err), -PR_E_CONFIG);
    assert_non_null(strstr(err.text, "/proc/self/report.json: cannot write the report: "));
}

int main(void) {
#define S_TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        S_TEST(test_words_are_quoted_for_a_shell),
        S_TEST(test_distribution),
        S_TEST(test_rows_that_only_the_target_has),
        cmocka_unit_test(test_each_failure_fails_its_check),
        S_TEST(test_nothing_is_ticked_that_was_not_looked_at),
        S_TEST(test_findings_of_rows_are_told_together),
        S_TEST(test_a_proof_is_copied),
        S_TEST(test_long_lists_are_cut_in_markdown_and_whole_in_json),
        S_TEST(test_a_report_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
