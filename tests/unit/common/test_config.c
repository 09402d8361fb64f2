/* SPDX-License-Identifier: MIT */
/* The configuration: what is read is what was written, and every mistake is told whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/config.h"

static char s_folder[] = "/tmp/pvr-config-XXXXXX";
static char s_path[64];

static int s_set_up(void **state) {
    (void)state;
    if (mkdtemp(s_folder) == NULL)
        return -1;
    snprintf(s_path, sizeof s_path, "%s/run.json", s_folder);
    return setenv("PVRELAY_DATADIR", "/opt/pv", 1);
}

static int s_tear_down(void **state) {
    (void)state;
    unlink(s_path);
    return rmdir(s_folder);
}

static int s_load(const char *text, pr_config_t **ret_config, pr_error_t *err) {
    FILE *file = fopen(s_path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return pr_config_load(s_path, ret_config, err);
}

static void test_defaults_and_relative_paths(void **state) {
    (void)state;
    pr_config_t *config = NULL;
    char expected[128];
    assert_int_equal(
        s_load("{\"target\": \"hub.db\", \"sources\": [\"a.json\", \"/b.json\"], \"run_dir\": \"r\"}", &config, NULL),
        0);
    snprintf(expected, sizeof expected, "%s/hub.db", s_folder);
    assert_string_equal(config->target, expected);
    snprintf(expected, sizeof expected, "%s/a.json", s_folder);
    assert_string_equal(config->sources[0], expected);
    assert_string_equal(config->sources[1], "/b.json");
    assert_int_equal(config->sources_count, 2);
    assert_string_equal(config->mapping, "/opt/pv/mappings/el-to-hub.json");
    assert_string_equal(config->migrations, "/opt/pv/migrations");
    assert_int_equal(config->transformers, 1);
    assert_int_equal(config->max_rejects, -1);
    assert_int_equal(config->null_text, PR_NULL_TEXT_AUTO);
    assert_false(config->undo_off);
    assert_false(config->rollback_on_failure);
    assert_false(config->rollback_on_reject_limit);
    assert_false(config->extra_fail);
    assert_int_equal(config->on_foreign_change, PR_FOREIGN_REJECT);
    assert_null(config->run);
    assert_null(config->spool);
    snprintf(expected, sizeof expected, "%s/hub.db-reports", s_folder);
    assert_string_equal(config->reports, expected);
    pr_config_destroy(&config);
    assert_null(config);
    pr_config_destroy(&config);
}

static void test_settings_alone(void **state) {
    (void)state;
    pr_config_t *config = NULL;
    assert_int_equal(s_load("{\"batch_bytes\": 65536}", &config, NULL), -PR_E_CONFIG);
    assert_null(config);
    assert_int_equal(pr_config_load_settings(s_path, &config, NULL), 0);
    assert_int_equal(config->batch_bytes, 65536);
    assert_null(config->target);
    assert_null(config->run_dir);
    assert_null(config->reports);
    assert_int_equal(config->sources_count, 0);
    pr_config_destroy(&config);
}

static void test_saved_is_loaded(void **state) {
    (void)state;
    pr_config_t *config = pr_config_new();
    pr_config_t *back = NULL;
    struct stat status;
    config->target = pr_xstrdup("/x/hub.db");
    config->run_dir = pr_xstrdup("/x/r");
    config->mapping = pr_xstrdup("/x/m.json");
    config->migrations = pr_xstrdup("/x/migrations");
    config->run = pr_xstrdup("a4e19950-c73c-412c-be4d-699c9de1dde1");
    config->sources = pr_xcalloc(1, sizeof(char *));
    config->sources[config->sources_count++] = pr_xstrdup("/x/é.json");
    config->transformers = 3;
    config->max_rejects = 12;
    config->null_text = PR_NULL_TEXT_KEEP;
    config->rollback_on_failure = true;
    config->rollback_on_reject_limit = true;
    config->extra_fail = true;
    config->on_foreign_change = PR_FOREIGN_OVERWRITE;
    config->restart = true;
    config->window_bytes = 1 << 25;
    assert_int_equal(pr_config_save(config, s_path, NULL), 0);
    assert_int_equal(stat(s_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(pr_config_load(s_path, &back, NULL), 0);
    assert_string_equal(back->sources[0], "/x/é.json");
    assert_string_equal(back->run, config->run);
    assert_string_equal(back->mapping, "/x/m.json");
    assert_int_equal(back->transformers, 3);
    assert_int_equal(back->max_rejects, 12);
    assert_int_equal(back->window_bytes, 1 << 25);
    assert_int_equal(back->null_text, PR_NULL_TEXT_KEEP);
    assert_true(back->rollback_on_failure);
    assert_true(back->rollback_on_reject_limit);
    assert_true(back->extra_fail);
    assert_int_equal(back->on_foreign_change, PR_FOREIGN_OVERWRITE);
    assert_false(back->undo_off);
    assert_true(back->restart);
    pr_config_destroy(&back);
    config->rollback_on_failure = false;
    config->rollback_on_reject_limit = false;
    config->undo_off = true;
    assert_int_equal(pr_config_save(config, s_path, NULL), 0);
    assert_int_equal(pr_config_load(s_path, &back, NULL), 0);
    assert_true(back->undo_off);
    assert_false(back->rollback_on_failure);
    assert_false(back->rollback_on_reject_limit);
    pr_config_destroy(&config);
    pr_config_destroy(&back);
}

/* What the stages find in the run folder: without a set, and with one. */
static void test_spool(void **state) {
    (void)state;
    pr_config_t *config = NULL;
    pr_config_t *back = NULL;
    char expected[128];
    assert_int_equal(s_load("{\"target\": \"hub.db\", \"reports\": \"r\", \"run_dir\": \"/r\", "
                            "\"sources\": {\"spool\": \"in\", \"complete\": \"marked\"}}",
                            &config, NULL),
                     0);
    snprintf(expected, sizeof expected, "%s/in", s_folder);
    assert_string_equal(config->spool, expected);
    assert_true(config->spool_marked);
    assert_int_equal(config->sources_count, 0);
    snprintf(expected, sizeof expected, "%s/r", s_folder);
    assert_string_equal(config->reports, expected);
    assert_int_equal(pr_config_save(config, s_path, NULL), 0);
    assert_int_equal(pr_config_load(s_path, &back, NULL), 0);
    assert_string_equal(back->spool, config->spool);
    assert_true(back->spool_marked);
    assert_int_equal(back->sources_count, 0);
    assert_string_equal(back->reports, config->reports);
    assert_null(back->run);
    pr_config_destroy(&back);
    config->run = pr_xstrdup("a4e19950-c73c-412c-be4d-699c9de1dde1");
    config->spool_marked = false;
    config->sources = pr_xcalloc(2, sizeof(char *));
    config->sources[config->sources_count++] = pr_xstrdup("/x/a.json");
    config->sources[config->sources_count++] = pr_xstrdup("/x/b.json");
    assert_int_equal(pr_config_save(config, s_path, NULL), 0);
    assert_int_equal(pr_config_load(s_path, &back, NULL), 0);
    assert_string_equal(back->spool, config->spool);
    assert_false(back->spool_marked);
    assert_int_equal(back->sources_count, 2);
    assert_string_equal(back->sources[1], "/x/b.json");
    assert_string_equal(back->run, config->run);
    pr_config_destroy(&back);
    pr_config_destroy(&config);
}

static void test_managed_run_dir(void **state) {
    (void)state;
    static const char *const others[] = {"/etc/pvrelay/demo",        "/etc/pvrelay/.json",   "/etc/pvrelay/a/demo.json",
                                         "/etc/pvrelayer/demo.json", "/etc/pvrelay/.x.json", "demo.json"};
    char *run_dir = pr_config_managed_run_dir("/etc/pvrelay/demo.json");
    assert_string_equal(run_dir, "/run/pvrelay/demo");
    free(run_dir);
    run_dir = pr_config_managed_run_dir("/etc/pvrelay/el.2025.json");
    assert_string_equal(run_dir, "/run/pvrelay/el.2025");
    free(run_dir);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_null(pr_config_managed_run_dir(others[i]));
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *error; /* behind the path */
    } cases[] = {
        {"{\"target\": \"x\",}", ":1: not valid JSON: a comma before '}', where none may stand"},
        {"[]", ": expected an object"},
        {"{\"sources\": [\"a\"]}", ": \"target\" is missing"},
        {"{\"target\": \"x\"}", ": \"sources\" is missing"},
        {"{\"target\": \"x\", \"target\": \"y\"}", ":1: not valid JSON: duplicate object key near '\"target\"'"},
        {"{\"target\": 1}", ": \"target\": expected a path, as a string"},
        {"{\"sources\": []}", ": \"sources\": expected a list of at least one path, or an object with a \"spool\""},
        {"{\"sources\": \"a\"}", ": \"sources\": expected a list of at least one path, or an object with a \"spool\""},
        {"{\"sources\": {}}", ": \"sources.spool\" is missing"},
        {"{\"sources\": {\"spool\": \"\"}}", ": \"sources.spool\": expected a path, as a string"},
        {"{\"sources\": {\"spool\": 1}}", ": \"sources.spool\": expected a path, as a string"},
        {"{\"sources\": {\"spool\": \"s\", \"complete\": \"soon\"}}",
         ": \"sources.complete\": expected \"renamed\" or \"marked\""},
        {"{\"sources\": {\"spool\": \"s\", \"files\": []}}",
         ": \"sources.files\": expected a list of at least one path"},
        {"{\"sources\": {\"spool\": \"s\", \"files\": [\"\"]}}", ": \"sources.files\": expected paths, as strings"},
        {"{\"sources\": {\"spool\": \"s\", \"done\": \"d\"}}",
         ": unknown setting \"sources.done\"; see pvrelay-config(5)"},
        {"{\"target\": \"x\", \"sources\": {\"spool\": \"s\"}, \"retries_through\": 3}",
         ": \"retries_through\" and a spool: each set that arrives is a run of its own"},
        {"{\"target\": \"x\", \"sources\": {\"spool\": \"s\"}, \"restart\": true}",
         ": \"restart\" and a spool: each set that arrives is a run of its own"},
        {"{\"reports\": 1}", ": \"reports\": expected a path, as a string"},
        {"{\"sources\": [1]}", ": \"sources\": expected paths, as strings"},
        {"{\"transformers\": 0}", ": \"transformers\": expected a whole number from 1 to 64"},
        {"{\"transformers\": 1.5}", ": \"transformers\": expected a whole number from 1 to 64"},
        {"{\"target\": \"x\", // no\n}", ":1: not valid JSON: a comment, which JSON has not"},
        {"{\"target\": \"x\",\n}", ":1: not valid JSON: a comma before '}', where none may stand"},
        {"{\"nul_text\": 1}", ": unknown setting \"nul_text\" (did you mean null_text?); see pvrelay-config(5)"},
        {"{\"null_text\": \"maybe\"}", ": \"null_text\": expected \"auto\", \"null\" or \"keep\""},
        {"{\"null_text\": true}", ": \"null_text\": expected \"auto\", \"null\" or \"keep\""},
        {"{\"undo\": false}", ": \"undo\": expected \"on\" or \"off\""},
        {"{\"undo\": \"Off\"}", ": \"undo\": expected \"on\" or \"off\""},
        {"{\"on_validation_failure\": \"go\"}", ": \"on_validation_failure\": expected \"stop\" or \"rollback\""},
        {"{\"on_foreign_change\": \"ask\"}", ": \"on_foreign_change\": expected \"reject\", \"keep\" or \"overwrite\""},
        {"{\"on_reject_limit\": 1}", ": \"on_reject_limit\": expected \"stop\" or \"rollback\""},
        {"{\"extra\": \"ignore\"}", ": \"extra\": expected \"report\" or \"fail\""},
        {"{\"undo\": \"off\", \"on_validation_failure\": \"rollback\"}",
         ": \"on_validation_failure\" is \"rollback\" and \"undo\" is \"off\": there would be nothing to roll back "
         "with"},
        {"{\"on_reject_limit\": \"rollback\", \"max_rejects\": 1, \"undo\": \"off\"}",
         ": \"on_reject_limit\" is \"rollback\" and \"undo\" is \"off\": there would be nothing to roll back with"},
        {"{\"target\": \"x\", \"sources\": [\"a\"], \"on_reject_limit\": \"rollback\"}",
         ": \"on_reject_limit\" needs a limit, \"max_rejects\""},
        {"{\"restart\": 1}", ": \"restart\": expected true or false"},
        {"{\"run\": \"one\"}", ": \"run\": expected a UUID in lower case"},
        {"{\"targets\": \"x\"}", ": unknown setting \"targets\" (did you mean target?); see pvrelay-config(5)"},
        {"{\"target\": \"x\", \"sources\": [\"a\"], \"restart\": true}",
         ": \"restart\" needs \"run\", so that a writer that is started again knows its own run"},
        {"{\"target\": \"x\", \"sources\": [\"a\"], \"window_bytes\": 65536}",
         ": \"window_bytes\" is less than \"batch_bytes\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pr_config_t *config = NULL;
        pr_error_t err = PR_ERROR_INIT;
        assert_int_equal(s_load(cases[i].text, &config, &err), -PR_E_CONFIG);
        assert_null(config);
        assert_memory_equal(err.text, s_path, strlen(s_path));
        assert_string_equal(err.text + strlen(s_path), cases[i].error);
    }
    pr_config_t *config = NULL;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_config_load("/nowhere/run.json", &config, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, "/nowhere/run.json: cannot read the configuration: No such file or directory");
}

static void test_run_dir(void **state) {
    (void)state;
    char deep[128];
    pr_error_t err = PR_ERROR_INIT;
    struct stat status;
    snprintf(deep, sizeof deep, "%s/a/b", s_folder);
    assert_int_equal(pr_config_make_run_dir(deep, &err), 0);
    assert_int_equal(pr_config_make_run_dir(deep, &err), 0); /* again is no error */
    assert_int_equal(stat(deep, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    rmdir(deep);
    *strrchr(deep, '/') = '\0';
    rmdir(deep);
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(pr_config_make_run_dir(longer, &err), -PR_E_CONFIG);
    assert_non_null(strstr(err.text, ": too long for a run folder: sockets in it have paths of at most 107 bytes"));
}

/* In /tmp anybody could have made our folder before us. */
static void test_run_dir_of_another_user(void **state) {
    (void)state;
    char theirs[128];
    char inside[160];
    char expected[256];
    pr_error_t err = PR_ERROR_INIT;
    if (geteuid() != 0)
        skip(); /* only root can give a folder away */
    snprintf(theirs, sizeof theirs, "/tmp/pvr-theirs-%d", (int)getpid());
    snprintf(inside, sizeof inside, "%s/run", theirs);
    assert_int_equal(mkdir(theirs, 0755), 0);
    assert_int_equal(chown(theirs, 12345, 12345), 0);
    assert_int_equal(pr_config_make_run_dir(inside, &err), -PR_E_CONFIG);
    snprintf(expected, sizeof expected, "%s: the run folder belongs to another user", theirs);
    assert_string_equal(err.text, expected);
    pr_error_clear(&err);
    assert_int_equal(pr_config_make_run_dir(theirs, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    rmdir(theirs);
    assert_int_equal(symlink("/root", theirs), 0);
    pr_error_clear(&err);
    assert_int_equal(pr_config_make_run_dir(inside, &err), -PR_E_CONFIG);
    snprintf(expected, sizeof expected, "%s: is in the way of the run folder", theirs);
    assert_string_equal(err.text, expected);
    unlink(theirs);
}

static void s_assert_default(const char *runtime, const char *expected) {
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    char *run_dir = pr_config_default_run_dir("/x/hub.db");
    char *parent =
        expected != NULL ? pr_xasprintf("%s/pvrelay/", expected) : pr_xasprintf("/tmp/pvrelay-%u/", (unsigned)getuid());
    assert_memory_equal(run_dir, parent, strlen(parent));
    assert_int_equal(strlen(run_dir), strlen(parent) + 16);
    free(parent);
    free(run_dir);
}

/* What the environment names is taken if it is what it should be; it is not made from nothing. */
static void test_default_run_dir(void **state) {
    (void)state;
    char *runtime = pr_xasprintf("%s/runtime", s_folder);
    char *link = pr_xasprintf("%s/link", s_folder);
    s_assert_default(runtime, NULL);
    assert_int_equal(mkdir(runtime, 0700), 0);
    s_assert_default(runtime, runtime);
    char *one = pr_config_default_run_dir("/x/hub.db");
    char *other = pr_config_default_run_dir("/x/hub2.db");
    assert_string_not_equal(one, other);
    free(one);
    free(other);
    assert_int_equal(symlink(runtime, link), 0);
    s_assert_default(link, link);
    assert_int_equal(chmod(runtime, 0770), 0);
    s_assert_default(runtime, NULL);
    assert_int_equal(chmod(runtime, 0707), 0);
    s_assert_default(runtime, NULL);
    assert_int_equal(chmod(runtime, 0700), 0);
    s_assert_default("relative", NULL);
    s_assert_default("", NULL);
    if (geteuid() == 0) {
        assert_int_equal(chown(runtime, 65534, 65534), 0);
        s_assert_default(runtime, NULL);
    }
    char *deep = pr_xasprintf("%s/%080d", s_folder, 0); /* no room for sockets */
    assert_int_equal(mkdir(deep, 0700), 0);
    s_assert_default(deep, NULL);
    unlink(link);
    rmdir(deep);
    rmdir(runtime);
    free(deep);
    free(link);
    free(runtime);
}

/* Whoever may write in it could put anything in the place of a socket. */
static void test_run_dir_that_others_may_write(void **state) {
    (void)state;
    char *parent = pr_xasprintf("%s/p", s_folder);
    char *run_dir = pr_xasprintf("%s/p/r", s_folder);
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(mkdir(run_dir, 0700), 0);
    static const mode_t modes[] = {0720, 0702, 0777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(run_dir, modes[i]), 0);
        pr_error_clear(&err);
        assert_int_equal(pr_config_make_run_dir(run_dir, &err), -PR_E_CONFIG);
        char *expected =
            pr_xasprintf("%s: others may write in the run folder (mode %04o), and so into the run; make it 0700",
                         run_dir, (unsigned)modes[i]);
        assert_string_equal(err.text, expected);
        free(expected);
    }
    assert_int_equal(chmod(run_dir, 0755), 0);
    assert_int_equal(pr_config_make_run_dir(run_dir, NULL), 0);
    assert_int_equal(chmod(parent, 0777), 0);
    pr_error_clear(&err);
    assert_int_equal(pr_config_make_run_dir(run_dir, &err), -PR_E_CONFIG);
    assert_non_null(strstr(err.text, "anybody may replace what lies in it (mode 0777)"));
    assert_int_equal(chmod(parent, 01777), 0);
    assert_int_equal(pr_config_make_run_dir(run_dir, NULL), 0);
    rmdir(run_dir);
    rmdir(parent);
    free(run_dir);
    free(parent);
}

/* A configuration says what it was given, or it is not written. */
static void test_a_path_that_is_not_utf8(void **state) {
    (void)state;
    static const char *const keys[] = {"sources", "target", "mapping", "run_dir"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_config_t *config = pr_config_new();
        char *path = pr_xstrdup("/x/m\xe9");
        if (i == 0) {
            config->sources = pr_xcalloc(1, sizeof *config->sources);
            config->sources[config->sources_count++] = path;
        } else {
            *(i == 1 ? &config->target : i == 2 ? &config->mapping : &config->run_dir) = path;
        }
        assert_int_equal(pr_config_check_paths(config, NULL), -PR_E_CONFIG);
        assert_int_equal(pr_config_save(config, s_path, &err), -PR_E_CONFIG);
        char *expected =
            pr_xasprintf("\"%s\": /x/m\\xE9: is not UTF-8, so it could not be written down as it is; rename the file "
                         "or its folder",
                         keys[i]);
        assert_string_equal(err.text, expected);
        free(expected);
        pr_config_destroy(&config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults_and_relative_paths),
                                       cmocka_unit_test(test_settings_alone),
                                       cmocka_unit_test(test_saved_is_loaded),
                                       cmocka_unit_test(test_spool),
                                       cmocka_unit_test(test_managed_run_dir),
                                       cmocka_unit_test(test_mistakes),
                                       cmocka_unit_test(test_run_dir),
                                       cmocka_unit_test(test_run_dir_of_another_user),
                                       cmocka_unit_test(test_default_run_dir),
                                       cmocka_unit_test(test_run_dir_that_others_may_write),
                                       cmocka_unit_test(test_a_path_that_is_not_utf8)};
    return cmocka_run_group_tests(tests, s_set_up, s_tear_down);
}
