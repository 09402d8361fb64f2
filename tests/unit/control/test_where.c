/* SPDX-License-Identifier: MIT */
/* Target and run folder out of whichever was given. */
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config.h"
#include "control/where.h"

static char s_root[64];

static int s_set_up(void **state) {
    (void)state;
    strcpy(s_root, "/tmp/pvr-where-XXXXXX");
    return mkdtemp(s_root) != NULL && unsetenv("XDG_RUNTIME_DIR") == 0 ? 0 : -1;
}

static int s_remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static int s_tear_down(void **state) {
    (void)state;
    return nftw(s_root, s_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's folder; good until the fourth call after. */
static const char *s_path(const char *name) {
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", s_root, name);
    return path;
}

static void s_write(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void s_write(const char *name, const char *format, ...) {
    FILE *file = fopen(s_path(name), "w");
    va_list args;
    assert_non_null(file);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fclose(file);
}

static pr_where_t s_find(const char *target, const char *run_dir, const char *config) {
    pr_where_t where = {.target = NULL};
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_where_find(target, run_dir, config, &where, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    return where;
}

static void s_refused(const char *target, const char *run_dir, const char *config, int code, const char *text) {
    pr_where_t where = {.target = s_root};
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_where_find(target, run_dir, config, &where, &err), -code);
    assert_string_equal(err.text, text);
    assert_ptr_equal(where.target, s_root);
}

static void test_target(void **state) {
    (void)state;
    char text[256];
    s_write("hub.db", "%s", "");
    char *folder = pr_config_default_run_dir(s_path("hub.db"));
    assert_int_equal(symlink("hub.db", s_path("other-name.db")), 0);
    pr_where_t where = s_find(s_path("other-name.db"), NULL, NULL);
    assert_string_equal(where.target, s_path("hub.db"));
    assert_string_equal(where.run_dir, folder);
    assert_null(where.spool);
    pr_where_release(&where);
    free(folder);
    snprintf(text, sizeof text, "%s/nothing.db: No such file or directory", s_root);
    s_refused(s_path("nothing.db"), NULL, NULL, PR_E_TARGET, text);
}

static void test_run_dir(void **state) {
    (void)state;
    char text[256];
    assert_int_equal(mkdir(s_path("r"), 0700), 0);
    pr_where_t where = s_find(NULL, s_path("r"), NULL);
    assert_null(where.target);
    assert_string_equal(where.run_dir, s_path("r"));
    assert_null(where.reports);
    pr_where_release(&where);
    where = s_find(NULL, s_path("none/r"), NULL);
    assert_string_equal(where.run_dir, s_path("none/r"));
    pr_where_release(&where);

    s_write("r/config.json", "{\"target\": \"%s/hub.db\", \"sources\": [\"x.json\"], \"run_dir\": \"%s/r\"}", s_root,
            s_root);
    where = s_find(NULL, s_path("r"), NULL);
    assert_string_equal(where.target, s_path("hub.db"));
    assert_string_equal(where.run_dir, s_path("r"));
    pr_where_release(&where);

    s_write("r/config.json", "{");
    snprintf(text, sizeof text, "%s/r/config.json:1: not valid JSON: string or '}' expected near end of file", s_root);
    s_refused(NULL, s_path("r"), NULL, PR_E_CONFIG, text);
}

static void test_target_in_another_folder(void **state) {
    (void)state;
    s_write("hub.db", "%s", "");
    assert_int_equal(mkdir(s_path("r"), 0700), 0);
    s_write(
        "r/config.json",
        "{\"target\": \"%s/else.db\", \"sources\": [\"x.json\"], \"run_dir\": \"%s/r\", \"reports\": \"%s/reports\"}",
        s_root, s_root, s_root);
    pr_where_t where = s_find(s_path("hub.db"), s_path("r"), NULL);
    assert_string_equal(where.target, s_path("hub.db"));
    assert_string_equal(where.run_dir, s_path("r"));
    assert_null(where.reports); /* those are of another target */
    pr_where_release(&where);
}

static void test_config(void **state) {
    (void)state;
    char text[256];
    s_write("run.json",
            "{\"target\": \"hub.db\", \"sources\": {\"spool\": \"in\"}, \"run_dir\": \"r\", \"reports\": \"reports\"}");
    pr_where_t where = s_find(NULL, NULL, s_path("run.json"));
    assert_string_equal(where.target, s_path("hub.db")); /* which need not be there yet */
    assert_string_equal(where.run_dir, s_path("r"));
    assert_string_equal(where.reports, s_path("reports"));
    assert_string_equal(where.spool, s_path("in"));
    pr_where_release(&where);
    where = s_find(NULL, "/somewhere/else", s_path("run.json"));
    assert_string_equal(where.run_dir, "/somewhere/else");
    assert_string_equal(where.target, s_path("hub.db"));
    pr_where_release(&where);
    pr_where_release(&where);
    pr_where_release(NULL);
    snprintf(text, sizeof text, "%s/none.json: cannot read the configuration: No such file or directory", s_root);
    s_refused(NULL, NULL, s_path("none.json"), PR_E_CONFIG, text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_target, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_run_dir, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_target_in_another_folder, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_config, s_set_up, s_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
