/* SPDX-License-Identifier: MIT */
/* How a rollback is shown: whole texts, and the keys of the JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/rollback_view.h"

#define T(text) ((char *)(uintptr_t)(text)) /* nobody writes to a report's strings */

typedef void s_print_fn(const pr_rollback_view_t *view, FILE *out);

static void s_expect(s_print_fn *print, const pr_rollback_view_t *view, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(view, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void test_plan(void **state) {
    (void)state;
    pr_rollback_run_t runs[] = {{.number = 2, .checkpoints = 1, .records = 1},
                                {.number = 3, .whole = true, .checkpoints = 1200, .records = 3000000},
                                {.number = 4, .whole = true}};
    char *names[] = {T("one"), T("été")};
    pr_rollback_table_t tables[] = {{.table = T("el_modules"), .deleted = 2999000, .restored = 1000},
                                    {.table = T("a_table_with_a_long_name"), .deleted = 1}};
    pr_rollback_report_t plan = {.from = 1210,
                                 .to = 9,
                                 .checkpoints = 1201,
                                 .runs = runs,
                                 .runs_count = 3,
                                 .names = names,
                                 .names_count = 2,
                                 .tables = tables,
                                 .tables_count = 2};
    pr_rollback_view_t view = {.target = "hub.db", .plan = &plan};
    s_expect(pr_rollback_view_plan, &view,
             "Rollback of hub.db from checkpoint 1210 to checkpoint 9\n"
             "  run 4 is given up; it has committed nothing\n"
             "  run 3 is taken back as a whole: 1,200 checkpoints, 3,000,000 records\n"
             "  run 2 is taken back in part: its last 1 checkpoint, 1 record\n"
             "  names that go: one, été\n"
             "\n"
             "  table                       to delete   to restore\n"
             "  el_modules                  2,999,000        1,000\n"
             "  a_table_with_a_long_name            1            0\n"
             "  all                         2,999,001        1,000\n");
    plan = (pr_rollback_report_t){.from = 3, .checkpoints = 1, .runs = &runs[1], .runs_count = 1};
    view.dry_run = true;
    s_expect(pr_rollback_view_plan, &view,
             "Dry run: nothing is changed.\n"
             "Rollback of hub.db from checkpoint 3 to the state before any run\n"
             "  run 3 is taken back as a whole: 1,200 checkpoints, 3,000,000 records\n"
             "  no rows: what is taken back changed none\n");
    plan = (pr_rollback_report_t){.from = 9, .to = 9, .runs = &runs[2], .runs_count = 1};
    view.dry_run = false;
    s_expect(pr_rollback_view_plan, &view,
             "Rollback of hub.db to checkpoint 9, where its rows stand already\n"
             "  run 4 is given up; it has committed nothing\n");
}

static void test_result(void **state) {
    (void)state;
    pr_rollback_table_t tables[] = {{.table = T("clients"), .deleted = 3, .left = 1, .sequence_kept = true},
                                    {.table = T("el_modules"), .deleted = 40, .restored = 2},
                                    {.table = T("users"), .deleted = 1, .sequence_kept = true}};
    pr_rollback_report_t result = {.from = 12,
                                   .to = 9,
                                   .checkpoints = 3,
                                   .tables = tables,
                                   .tables_count = 3,
                                   .continues = 2,
                                   .position_records = 1000};
    pr_rollback_view_t view = {.target = "hub.db", .plan = &result, .result = &result, .total = 1464};
    s_expect(pr_rollback_view_result, &view,
             "\nDone: the target stands at checkpoint 9.\n"
             "\n"
             "  table               deleted     restored         left\n"
             "  clients                   3            0            1\n"
             "  el_modules               40            2            0\n"
             "  users                     1            0            0\n"
             "  all                      44            2            1\n"
             "\n"
             "Id counters that stay where they are, so that no id is used twice: clients, users\n"
             "Checked: foreign keys, quick_check.\n"
             "Replaying the same exports continues run 2 at record 1,001 of 1,464.\n");
    view.dry_run = true;
    result.tables_count = 0;
    s_expect(pr_rollback_view_result, &view,
             "\nThis is what would be done: the target would stand at checkpoint 9.\n"
             "Checked: foreign keys, quick_check.\n"
             "Replaying the same exports would then continue run 2 at record 1,001 of 1,464.\n"
             "Dry run: nothing was changed.\n");
    view.dry_run = false;
    result.position_records = 1464;
    result.to = 0;
    s_expect(pr_rollback_view_result, &view,
             "\nDone: the target stands at the state before any run.\n"
             "Checked: foreign keys, quick_check.\n"
             "Replaying the same exports continues run 2, all of whose records are in.\n");
}

/* One of each kind, mixed, and more than are kept. */
static void test_conflicts(void **state) {
    (void)state;
    pr_conflict_t conflicts[] = {
        {PR_CONFLICT_SCHEMA, 0, T("el_audits"), T(""), T("location"), T("TEXT"), T("none")},
        {PR_CONFLICT_CHANGED, 7, T("el_modules"), T("id=17"), T("comment"), T("NULL"), T("'mine'")},
        {PR_CONFLICT_CHILD, 0, T("interventions"), T("id=4"), T("project_id"), T("projects id=3"), T("3")},
        {PR_CONFLICT_DELETED, 7, T("el_modules"), T("id=18"), T(""), T(""), T("no row")},
        {PR_CONFLICT_UNIQUE, 8, T("el_audits"), T("id=1"), T(""), T("its earlier values"), T("id=9")},
        {PR_CONFLICT_CHANGED, 7, T("el_modules"), T("id=19"), T("severity_level"), T("2"), T("3")},
    };
    pr_rollback_report_t report = {.conflicts = conflicts, .conflicts_count = 6, .conflicts_total = 10006};
    pr_rollback_view_t view = {.target = "hub.db", .plan = &report, .result = &report, .conflict = true};
    static const char lines[] = "a row that is to be taken back was changed since\n"
                                "  changed: el_modules id=17, column comment: ours NULL, theirs 'mine'\n"
                                "  changed: el_modules id=19, column severity_level: ours 2, theirs 3\n"
                                "a row that is to be taken back was deleted since\n"
                                "  deleted: el_modules id=18: theirs no row\n"
                                "a row that is not of these runs refers to one that is to be taken back\n"
                                "  child: interventions id=4, column project_id: ours projects id=3, theirs 3\n"
                                "the earlier value of a row is taken by another row now\n"
                                "  unique: el_audits id=1: ours its earlier values, theirs id=9\n"
                                "a table is no longer what it was\n"
                                "  schema: el_audits, column location: ours TEXT, theirs none\n";
    char expected[2048];
    snprintf(expected, sizeof expected, "\nIn the way:\n%s… and 10,000 more\n", lines);
    s_expect(pr_rollback_view_conflicts, &view, expected);
    report.conflicts_total = 6;
    view.conflict = false;
    view.keep_theirs = true;
    snprintf(expected, sizeof expected, "Left as it is:\n%s", lines);
    s_expect(pr_rollback_view_conflicts, &view, expected);
    snprintf(expected, sizeof expected,
             "\nDone: the target stands at the state before any run, but for what is left.\nLeft as it is:\n%s\n"
             "Checked: foreign keys, quick_check.\nReplaying begins a new run.\n",
             lines);
    s_expect(pr_rollback_view_result, &view, expected);
}

static void test_json(void **state) {
    (void)state;
    pr_rollback_run_t run = {.number = 2, .whole = true, .checkpoints = 3, .records = 4};
    char *name = T("one");
    pr_rollback_table_t table = {.table = T("users"), .deleted = 1, .restored = 2, .left = 3, .sequence_kept = true};
    pr_conflict_t conflict = {PR_CONFLICT_CHANGED, 7, T("users"), T("id=1"), T("name"), T("'a'"), T("'b'")};
    pr_rollback_report_t report = {.from = 5,
                                   .to = 2,
                                   .checkpoints = 3,
                                   .runs = &run,
                                   .runs_count = 1,
                                   .names = &name,
                                   .names_count = 1,
                                   .tables = &table,
                                   .tables_count = 1,
                                   .conflicts = &conflict,
                                   .conflicts_count = 1,
                                   .conflicts_total = 1};
    pr_rollback_view_t view = {.target = "hub.db", .keep_theirs = true, .plan = &report, .result = &report};
    static const char told[] =
        "{\"from\":5,\"to\":2,\"checkpoints\":3,\"runs\":[{\"run\":2,\"whole\":true,\"checkpoints\":3,\"records\":4}],"
        "\"names\":[\"one\"],\"tables\":[{\"table\":\"users\",\"deleted\":1,\"restored\":2,\"left\":3,\"sequence_"
        "kept\":true}],"
        "\"continues\":null,\"position_records\":0}";
    static const char conflicts[] =
        "\"conflicts_total\":1,\"conflicts\":[{\"kind\":\"changed\",\"checkpoint\":7,"
        "\"table\":\"users\",\"key\":\"id=1\",\"column\":\"name\",\"ours\":\"'a'\",\"theirs\":\"'b'\"}]}";
    char expected[2048];
    json_t *json = pr_rollback_view_to_json(&view);
    char *text = json_dumps(json, JSON_COMPACT);
    snprintf(expected, sizeof expected,
             "{\"target\":\"hub.db\",\"dry_run\":false,\"keep_theirs\":true,\"plan\":%s,\"result\":%s,%s", told, told,
             conflicts);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
    view.conflict = true;
    json = pr_rollback_view_to_json(&view);
    text = json_dumps(json, JSON_COMPACT);
    snprintf(expected, sizeof expected,
             "{\"target\":\"hub.db\",\"dry_run\":false,\"keep_theirs\":true,\"plan\":%s,\"result\":null,%s", told,
             conflicts);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan), cmocka_unit_test(test_result),
                                       cmocka_unit_test(test_conflicts), cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
