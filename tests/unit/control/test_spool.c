/* SPDX-License-Identifier: MIT */
/* control/spool.h: what is a set, which one is first, and where it goes; also after a claim that was cut short. */
#include "control/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/message.h"
#include "tests/unit/folder.h"

static char s_root[] = "/tmp/pvr-spool-XXXXXX";
static char *s_dir;
static pr_spool_t *s_spool;

/* A path in the spool. Borrowed until the fourth next call. */
static const char *s_at(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", s_dir, name);
    return path;
}

static bool s_there(const char *name) {
    struct stat status;
    return lstat(s_at(name), &status) == 0;
}

static void s_put(const char *name) {
    FILE *file = fopen(s_at(name), "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void s_put_folder(const char *name) {
    assert_int_equal(mkdir(s_at(name), 0700), 0);
}

/* Give an entry a change time that nothing has yet. */
static void s_touch(const char *name) {
    static struct timespec last;
    struct stat status;
    do {
        assert_int_equal(chmod(s_at(name), 0700), 0);
        assert_int_equal(stat(s_at(name), &status), 0);
    } while (status.st_ctim.tv_sec == last.tv_sec && status.st_ctim.tv_nsec == last.tv_nsec);
    last = status.st_ctim;
}

static void s_open(bool marked) {
    pr_error_t err = PR_ERROR_INIT;
    pr_spool_destroy(&s_spool);
    assert_int_equal(pr_spool_open(s_dir, marked, &s_spool, &err), 0);
}

static void s_empty(void) {
    assert_int_equal(pr_test_folder_remove(s_dir), 0);
    assert_int_equal(mkdir(s_dir, 0700), 0);
}

static int s_set_up(void **state) {
    (void)state;
    s_empty();
    s_open(false);
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    pr_spool_destroy(&s_spool);
    pr_spool_destroy(&s_spool); /* NULL-safe */
    return 0;
}

static int s_begin(void **state) {
    (void)state;
    if (mkdtemp(s_root) == NULL)
        return -1;
    s_dir = pr_xasprintf("%s/in", s_root);
    return mkdir(s_dir, 0700);
}

static int s_end(void **state) {
    (void)state;
    free(s_dir);
    return pr_test_folder_remove(s_root);
}

/* Claim the next set, and put it away; its name must be this one, NULL: there is none. */
static void s_assert_next(const char *name) {
    pr_spool_set_t set = {.folder = NULL};
    pr_error_t err = PR_ERROR_INIT;
    int claimed = pr_spool_claim(s_spool, &set, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(claimed, name != NULL);
    if (name == NULL)
        return;
    assert_string_equal(set.name, name);
    char *place = pr_spool_place(s_spool, &set, true);
    assert_int_equal(pr_spool_finish(s_spool, &set, place, &err), 0);
    free(place);
    pr_spool_set_release(&set);
}

static void s_assert_wrong(const pr_spool_set_t *set, const char *text) {
    char *expected = pr_xasprintf("%s%s", set->folder, text);
    assert_int_equal(set->wrong.code, PR_E_UNREADABLE);
    assert_string_equal(set->wrong.text, expected);
    free(expected);
}

static void test_opening(void **state) {
    (void)state;
    pr_spool_t *spool = NULL;
    pr_error_t err = PR_ERROR_INIT;
    char *expected = pr_xasprintf("%s/none: cannot use the spool: No such file or directory", s_dir);
    assert_int_equal(pr_spool_open(s_at("none"), false, &spool, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    free(expected);
    s_put("file");
    expected = pr_xasprintf("%s/file: the spool must be a folder", s_dir);
    pr_error_clear(&err);
    assert_int_equal(pr_spool_open(s_at("file"), false, &spool, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    free(expected);
    assert_true(s_there("work") && s_there("done") && s_there("failed"));
    assert_int_equal(rmdir(s_at("done")), 0);
    s_put("done");
    expected = pr_xasprintf("%s/done: is in the way of a folder of the spool", s_dir);
    pr_error_clear(&err);
    assert_int_equal(pr_spool_open(s_dir, false, &spool, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    free(expected);
    assert_null(spool);
}

static void test_order_and_names(void **state) {
    (void)state;
    static const char *const others[] = {"a.json.tmp", "a.part",    "a.json.partial", "a.json.new", ".a.json",
                                         "a.txt",      "a.json.gz", "a.JSON",         "json",       "a.json.done"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        s_put(others[i]);
    s_put_folder("x.tmp");
    s_put_folder("lost+found");
    s_assert_next(NULL);
    s_put("z.json");
    s_touch("z.json");
    s_put_folder("m");
    s_put("m/1.json");
    s_touch("m");
    s_put("a.jsonl");
    s_touch("a.jsonl");
    s_put("k.ndjson");
    s_touch("k.ndjson");
    s_touch("z.json"); /* changed since */
    s_assert_next("m");
    s_assert_next("a.jsonl");
    s_assert_next("k.ndjson");
    s_assert_next("z.json");
    s_assert_next(NULL);
}

static void test_a_set(void **state) {
    (void)state;
    pr_spool_set_t set = {.folder = NULL};
    pr_spool_set_t found = {.folder = NULL};
    pr_run_id_t id;
    s_put_folder("set");
    s_put("set/b.json");
    s_put("set/a.ndjson");
    s_put("set/c.txt");
    s_put("set/d.json.tmp");
    s_put_folder("set/e");
    s_put("set/e/inner.json");
    assert_int_equal(pr_spool_find(s_spool, &set, NULL), 0);
    assert_int_equal(pr_spool_claim(s_spool, &set, NULL), 1);
    assert_int_equal(pr_run_id_parse(set.id, &id), 0);
    char *folder = pr_xasprintf("%s/work/%s", s_dir, set.id);
    char *first = pr_xasprintf("%s/set/a.ndjson", folder);
    char *second = pr_xasprintf("%s/set/b.json", folder);
    assert_string_equal(set.folder, folder);
    assert_int_equal(set.wrong.code, PR_E_OK);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.files[0], first);
    assert_string_equal(set.files[1], second);
    /* Whoever comes after a crash finds the same. */
    assert_int_equal(pr_spool_find(s_spool, &found, NULL), 1);
    assert_string_equal(found.id, set.id);
    assert_string_equal(found.name, "set");
    assert_int_equal(found.count, 2);
    assert_string_equal(found.files[0], first);
    /* Another run for it. */
    assert_int_equal(pr_spool_renew(s_spool, &found, NULL), 0);
    assert_string_not_equal(found.id, set.id);
    assert_int_equal(access(found.files[0], R_OK), 0);
    assert_int_equal(access(set.files[0], R_OK), -1);
    pr_spool_set_release(&set);
    pr_spool_set_release(&found);
    free(folder);
    free(first);
    free(second);
}

static void test_where_sets_go(void **state) {
    (void)state;
    static const char *const expected[] = {"done/a.json", "done/a.json.2", "done/a.json.3"};
    pr_error_t err = PR_ERROR_INIT;
    for (int i = 0; i < 3; i++) {
        pr_spool_set_t set = {.folder = NULL};
        s_put("a.json");
        assert_int_equal(pr_spool_claim(s_spool, &set, &err), 1);
        char *failed = pr_spool_place(s_spool, &set, false);
        char *done = pr_spool_place(s_spool, &set, true);
        assert_string_equal(failed, s_at("failed/a.json"));
        assert_string_equal(done, s_at(expected[i]));
        assert_int_equal(pr_spool_finish(s_spool, &set, done, &err), 0);
        assert_true(s_there(expected[i]));
        free(failed);
        free(done);
        pr_spool_set_release(&set);
    }
    assert_true(s_there("done/a.json.3/a.json"));
    /* A name that the report has. */
    s_put("report.json");
    s_assert_next("export-report.json");
    assert_true(s_there("done/export-report.json/export-report.json"));
}

static void test_wrong_sets(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {{"1", "/1: holds no export: no file *.json, *.jsonl or *.ndjson"},
                 {"2.json", "/2.json: is a symbolic link, which a spool does not follow"},
                 {"3", "/3/x: is a symbolic link, which a spool does not follow"},
                 {"4.json", "/4.json: is not a regular file"},
                 {"5", "/5: is a symbolic link, which a spool does not follow"}};
    s_put_folder("1");
    s_put("1/readme");
    assert_int_equal(symlink("/etc/passwd", s_at("2.json")), 0);
    s_put_folder("3");
    s_put("3/a.json");
    assert_int_equal(symlink("a.json", s_at("3/x")), 0);
    assert_int_equal(mkfifo(s_at("4.json"), 0600), 0);
    assert_int_equal(symlink("/etc", s_at("5")), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pr_spool_set_t set = {.folder = NULL};
        bool seen = false;
        assert_int_equal(pr_spool_claim(s_spool, &set, NULL), 1);
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) { /* they may have come within one tick */
            if (strcmp(set.name, cases[k].name) != 0)
                continue;
            s_assert_wrong(&set, cases[k].text);
            seen = true;
        }
        assert_true(seen);
        char *place = pr_spool_place(s_spool, &set, false);
        assert_int_equal(pr_spool_finish(s_spool, &set, place, NULL), 0);
        free(place);
        pr_spool_set_release(&set);
    }
    s_assert_next(NULL);
}

static void test_name_that_is_not_utf8(void **state) {
    (void)state;
    pr_spool_set_t set = {.folder = NULL};
    s_put("\xff.json");
    assert_int_equal(pr_spool_claim(s_spool, &set, NULL), 1);
    s_assert_wrong(&set, "/\\xFF.json: its name is not UTF-8");
    assert_int_equal(set.count, 0);
    pr_spool_set_release(&set);
}

static void test_marked(void **state) {
    (void)state;
    s_open(true);
    s_put("a.json");
    s_put_folder("b");
    s_put("b/1.json");
    s_put_folder("c");
    s_put("c/1.json");
    s_assert_next(NULL);
    s_put("c/.done");
    s_touch("c/.done");
    s_put("b.done");
    s_touch("b.done");
    s_put("a.json.done");
    s_touch("a.json.done");
    s_assert_next("c");
    s_assert_next("b");
    s_assert_next("a.json");
    assert_true(s_there("done/a.json/a.json.done"));
    assert_true(s_there("done/b/b.done"));
    assert_true(s_there("done/c/c/.done"));
    assert_false(s_there("a.json.done") || s_there("b.done"));
}

/* What a kill in the middle of a claim leaves behind. */
static void test_claims_cut_short(void **state) {
    (void)state;
    static const char id[] = "a4e19950-c73c-412c-be4d-699c9de1dde1";
    pr_spool_set_t set = {.folder = NULL};
    char folder[64];
    char name[128];
    snprintf(folder, sizeof folder, "work/%s", id);
    s_put_folder(folder); /* before the set has moved */
    assert_int_equal(pr_spool_find(s_spool, &set, NULL), 0);
    assert_false(s_there(folder));
    s_open(true); /* before the marker has */
    s_put_folder(folder);
    snprintf(name, sizeof name, "%s/a.json", folder);
    s_put(name);
    s_put("a.json.done");
    assert_int_equal(pr_spool_find(s_spool, &set, NULL), 1);
    assert_string_equal(set.name, "a.json");
    assert_string_equal(set.id, id);
    assert_int_equal(set.count, 1);
    snprintf(name, sizeof name, "%s/a.json.done", folder);
    assert_true(s_there(name));
    assert_false(s_there("a.json.done"));
    pr_spool_set_release(&set);
    /* A new one of that name is not its. */
    s_put("a.json");
    s_put("a.json.done");
    assert_int_equal(pr_spool_find(s_spool, &set, NULL), 1);
    assert_true(s_there("a.json.done"));
    pr_spool_set_release(&set);
    /* Nothing but its report is left. */
    assert_int_equal(unlink(s_at(name)), 0);
    snprintf(name, sizeof name, "%s/a.json", folder);
    assert_int_equal(unlink(s_at(name)), 0);
    snprintf(name, sizeof name, "%s/report.md", folder);
    s_put(name);
    assert_int_equal(pr_spool_find(s_spool, &set, NULL), 1);
    assert_string_equal(set.name, id);
    s_assert_wrong(&set, ": the set has vanished");
    pr_spool_set_release(&set);
}

static void test_what_does_not_belong_into_work(void **state) {
    (void)state;
    pr_spool_set_t set = {.folder = NULL};
    pr_error_t err = PR_ERROR_INIT;
    char *expected = pr_xasprintf("%s/work/thing: is not of this spool; take it away", s_dir);
    s_put("work/ended.json"); /* belongs there */
    assert_int_equal(pr_spool_find(s_spool, &set, &err), 0);
    s_put("work/thing");
    assert_int_equal(pr_spool_find(s_spool, &set, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    free(expected);
    assert_int_equal(unlink(s_at("work/thing")), 0);
    expected =
        pr_xasprintf("%s/work: holds more than one set; put all but one of them back into %s, and remove their folders",
                     s_dir, s_dir);
    s_put_folder("work/a4e19950-c73c-412c-be4d-699c9de1dde1");
    s_put("work/a4e19950-c73c-412c-be4d-699c9de1dde1/a.json");
    s_put_folder("work/b4e19950-c73c-412c-be4d-699c9de1dde1");
    s_put("work/b4e19950-c73c-412c-be4d-699c9de1dde1/b.json");
    pr_error_clear(&err);
    assert_int_equal(pr_spool_find(s_spool, &set, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    free(expected);
    assert_null(set.folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opening, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_order_and_names, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_set, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_where_sets_go, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_sets, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_name_that_is_not_utf8, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_marked, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_claims_cut_short, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_what_does_not_belong_into_work, s_set_up, s_tear_down)};
    return cmocka_run_group_tests(tests, s_begin, s_end);
}
