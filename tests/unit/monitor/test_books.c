/* SPDX-License-Identifier: MIT */
/* What the monitor reads of a target and of reports, and that it remembers instead of reading again at once. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "monitor/books.h"
#include "monitor/last_report.h"
#include "tests/unit/folder.h"

typedef struct {
    char folder[64];
    char *target, *reports, *spool;
    sqlite3 *db;
    pr_where_t where;
} pr_fixture_t;

static void s_sql(const pr_fixture_t *fixture, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(fixture->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static int s_set_up(void **state) {
    pr_fixture_t *fixture = pr_xcalloc(1, sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/pvrelay-test-books-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->target = pr_xasprintf("%s/hub.db", fixture->folder);
    fixture->reports = pr_xasprintf("%s/reports", fixture->folder);
    fixture->spool = pr_xasprintf("%s/spool", fixture->folder);
    fixture->where = (pr_where_t){.target = fixture->target, .reports = fixture->reports, .spool = fixture->spool};
    *state = fixture;
    return 0;
}

static int s_tear_down(void **state) {
    pr_fixture_t *fixture = *state;
    sqlite3_close(fixture->db);
    int result = pr_test_folder_remove(fixture->folder);
    free(fixture->target);
    free(fixture->reports);
    free(fixture->spool);
    free(fixture);
    return result;
}

static void s_open(pr_fixture_t *fixture) {
    assert_int_equal(sqlite3_open(fixture->target, &fixture->db), SQLITE_OK);
    for (int i = 2; i <= 4; i++) {
        static const char *const names[] = {"0002_pvrelay", "0003_undo", "0004_validation"};
        char path[256];
        char *sql = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, PR_SOURCE_DIR "/migrations/%s.sql", names[i - 2]);
        FILE *in = fopen(path, "r");
        assert_non_null(in);
        assert_true(getdelim(&sql, &size, '\0', in) > 0);
        fclose(in);
        s_sql(fixture, sql);
        free(sql);
    }
}

static void s_add_run(const pr_fixture_t *fixture, int run, int checkpoints) {
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
        " VALUES (%d, 'id-%d', 'streaming', 'm', '', 'null', '', '2026-01-01 00:00:00');"
        "INSERT INTO pvrelay_source VALUES (%d, 0, '/a', 's', 1, 1, '', 0, 1000, 1)",
        run, run, run);
    s_sql(fixture, sql);
    for (int i = 0; i < checkpoints; i++) {
        snprintf(
            sql, sizeof sql,
            "INSERT INTO pvrelay_checkpoint (run, kind, source, first_ordinal, records, begin_offset, end_offset,"
            " digest, inserted, updated, unchanged, rejected, rows_inserted, rows_updated, committed_at, validated)"
            " VALUES (%d, 'batch', 0, %d, 2, 0, 0, '', 1, 0, 0, 1, 1, 0, '2026-01-01 00:00:%02d', %d)",
            run, 2 * i, i % 60, i == 3 ? 2 : i < checkpoints - 1);
        s_sql(fixture, sql);
    }
}

static int64_t s_int(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void test_no_target(void **state) {
    pr_fixture_t *fixture = *state;
    pr_books_t *books = pr_books_new();
    pr_books_view_t view;
    pr_books_look(books, &fixture->where, 1, 0, &view);
    assert_int_equal(json_array_size(view.runs), 0);
    assert_true(json_is_null(view.report));
    assert_null(view.error);
    assert_string_equal(view.newest, "");
    pr_books_destroy(&books);
    assert_null(books);
    pr_books_destroy(&books);
}

static void test_few_checkpoints(void **state) {
    pr_fixture_t *fixture = *state;
    pr_books_t *books = pr_books_new();
    pr_books_view_t view;
    s_open(fixture);
    s_add_run(fixture, 1, 5);
    s_sql(fixture,
          "INSERT INTO pvrelay_reject (run, checkpoint, source, stream, ordinal, \"offset\", length, reason, raw,"
          " wrangler) VALUES (1, 1, 0, 's', 0, 0, 0, 'bad_utf8', x'', 0), (1, 2, 0, 's', 0, 0, 0, 'bad_date',"
          " x'', 0), (1, 2, 0, 's', 0, 0, 0, 'bad_date', x'', 0), (1, 2, 0, 's', 0, 0, 0, 'of_another_time', x'', 0)");
    pr_books_look(books, &fixture->where, 1, 0, &view);
    assert_null(view.error);
    assert_string_equal(view.newest, "id-1");
    assert_int_equal(view.newest_total, 1000);
    assert_int_equal(json_array_size(view.checkpoints), 5);
    static const int validated[] = {1, 1, 1, 2, 0};
    for (size_t i = 0; i < 5; i++) {
        const json_t *part = json_array_get(view.checkpoints, i);
        assert_int_equal(s_int(part, "number"), i + 1);
        assert_int_equal(s_int(part, "commits"), 1);
        assert_int_equal(s_int(part, "validated"), validated[i]);
    }
    char *rejects = json_dumps(view.rejects, JSON_COMPACT);
    assert_string_equal(
        rejects,
        "[{\"reason\":\"bad_date\",\"sentence\":\"the text does not begin with a date YYYY-MM-DD\",\"count\":2},"
        "{\"reason\":\"bad_utf8\",\"sentence\":\"the record is not valid UTF-8\",\"count\":1},"
        "{\"reason\":\"of_another_time\",\"sentence\":\"unknown\",\"count\":1}]");
    free(rejects);
    pr_books_destroy(&books);
}

static void test_many_runs_and_checkpoints(void **state) {
    pr_fixture_t *fixture = *state;
    pr_books_t *books = pr_books_new();
    pr_books_view_t view;
    s_open(fixture);
    for (int run = 1; run <= 12; run++)
        s_add_run(fixture, run, run == 12 ? 1001 : 1);
    pr_books_look(books, &fixture->where, 1, 0, &view);
    assert_int_equal(json_array_size(view.runs), PR_BOOKS_RUNS);
    assert_int_equal(s_int(json_array_get(view.runs, 0), "number"), 3);
    assert_int_equal(json_array_size(view.checkpoints), PR_BOOKS_CHECKPOINTS);
    int64_t commits = 0;
    int64_t failed = 0;
    for (size_t i = 0; i < PR_BOOKS_CHECKPOINTS; i++) {
        commits += s_int(json_array_get(view.checkpoints, i), "commits");
        failed += s_int(json_array_get(view.checkpoints, i), "failed");
    }
    assert_int_equal(commits, 1001);
    assert_int_equal(failed, 1);
    assert_int_equal(s_int(json_array_get(view.checkpoints, 0), "validated"), 2); /* as good as its worst */
    assert_int_equal(s_int(json_array_get(view.checkpoints, PR_BOOKS_CHECKPOINTS - 1), "validated"), 0);
    pr_books_destroy(&books);
}

static void test_remembers(void **state) {
    pr_fixture_t *fixture = *state;
    pr_books_t *books = pr_books_new();
    pr_books_view_t view;
    s_open(fixture);
    s_add_run(fixture, 1, 1);
    int64_t now_ms = pr_now_ms();
    pr_books_look(books, &fixture->where, now_ms, 0, &view);
    s_add_run(fixture, 2, 1);
    pr_books_look(books, &fixture->where, now_ms + 500, 0, &view);
    assert_string_equal(view.newest, "id-1");
    pr_books_look(books, &fixture->where, now_ms + 60000, 0, &view);
    assert_string_equal(view.newest, "id-2");
    s_add_run(fixture, 3, 1);
    pr_books_look(books, &fixture->where, now_ms + 60001, 1, &view); /* something has happened */
    assert_string_equal(view.newest, "id-3");
    pr_books_destroy(&books);
}

static void s_write_report(const char *folder, const char *name, const char *content, time_t when) {
    char path[512];
    struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    strcat(path, "/report.json");
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(content, out);
    fclose(out);
    assert_int_equal(utimensat(-1, path, times, 0), 0);
}

static void s_expect_report(const pr_fixture_t *fixture, const char *expected) {
    json_t *report = pr_last_report(&fixture->where);
    char *text = json_dumps(report, JSON_COMPACT | JSON_ENCODE_ANY);
    char *whole = pr_xasprintf(expected, fixture->folder);
    assert_string_equal(text, whole);
    free(whole);
    free(text);
    json_decref(report);
}

static void test_reports(void **state) {
    pr_fixture_t *fixture = *state;
    char *failed = pr_xasprintf("%s/failed", fixture->spool);
    s_expect_report(fixture, "null");
    s_write_report(fixture->reports, "run-1",
                   "{\"made_at\": \"2026-01-01 10:00:00\", \"verdict\": \"v\", \"outcome\": 0,"
                   " \"run\": {\"number\": 1, \"id\": \"x\", \"state\": \"complete\"}, \"more\": []}",
                   1000);
    s_expect_report(fixture, "{\"path\":\"%s/reports/run-1/report.json\",\"made_at\":\"2026-01-01 10:00:00\",\"run\":1,"
                             "\"id\":\"x\",\"state\":\"complete\",\"verdict\":\"v\",\"outcome\":0}");
    assert_int_equal(mkdir(fixture->spool, 0700), 0);
    s_write_report(failed, "set-7", "{\"outcome\": 2, \"run\": null}", 2000);
    s_expect_report(fixture,
                    "{\"path\":\"%s/spool/failed/set-7/report.json\",\"made_at\":null,\"run\":null,\"id\":null,"
                    "\"state\":null,\"verdict\":null,\"outcome\":2}");
    s_write_report(failed, "set-8", "[1, 2", 3000); /* not what it should be */
    s_expect_report(fixture, "null");
    free(failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_target, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_few_checkpoints, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_many_runs_and_checkpoints, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_remembers, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_reports, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
