/* SPDX-License-Identifier: MIT */
/* The last words of a writer: as written, of that run only, and none where a file is not what it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ending.h"
#include "common/starts.h"
#include "tests/unit/folder.h"

static char s_folder[64];
static char s_path[128];

static int s_setup(void **state) {
    (void)state;
    snprintf(s_folder, sizeof s_folder, "/tmp/pvrelay-ending-XXXXXX");
    if (mkdtemp(s_folder) == NULL)
        return -1;
    snprintf(s_path, sizeof s_path, "%s/ended.json", s_folder);
    return 0;
}

static int s_teardown(void **state) {
    (void)state;
    return pr_test_folder_remove(s_folder);
}

static void test_there_and_back(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_ending_t ending = {.code = PR_E_OK};
    pr_ending_t saved = {.run = pr_run_id_new(), .code = PR_E_MALFORMED, .text = "a \"b\":7: näh"};
    pr_run_id_t other = pr_run_id_new();
    assert_int_equal(pr_ending_load(s_folder, NULL, &ending), 0);
    assert_int_equal(pr_ending_save(s_folder, &saved, &err), 0);
    assert_int_equal(pr_ending_load(s_folder, &other, &ending), 0);
    assert_int_equal(ending.code, PR_E_OK);
    assert_int_equal(pr_ending_load(s_folder, &saved.run, &ending), 1);
    assert_int_equal(ending.code, PR_E_MALFORMED);
    assert_string_equal(ending.text, saved.text);
    assert_true(pr_run_id_equal(ending.run, saved.run));
    pr_ending_clear(s_folder, &other);
    assert_int_equal(pr_ending_load(s_folder, NULL, &ending), 1);
    pr_ending_clear(s_folder, &saved.run);
    assert_int_equal(pr_ending_load(s_folder, NULL, &ending), 0);
}

static void test_what_is_none(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"run\": 7, \"error\": \"OK\", \"text\": \"\"}",
        "{\"run\": \"no-uuid\", \"error\": \"OK\", \"text\": \"\"}",
        "{\"run\": \"01234567-89ab-4def-8123-456789abcdef\", \"error\": \"NO_SUCH\", \"text\": \"\"}",
        "{\"run\": \"01234567-89ab-4def-8123-456789abcdef\", \"error\": \"OK\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pr_ending_t ending;
        FILE *file = fopen(s_path, "w");
        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        assert_int_equal(pr_ending_load(s_folder, NULL, &ending), 0);
    }
    pr_ending_clear(s_folder, NULL);
    assert_int_not_equal(access(s_path, F_OK), 0);
}

static void test_no_folder(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    pr_ending_t ending = {.run = pr_run_id_new(), .code = PR_E_OK};
    char text[512];
    char gone[256];
    snprintf(gone, sizeof gone, "%s/gone", s_folder);
    snprintf(text, sizeof text, "%s/ended.json: cannot note how the run ended: No such file or directory", gone);
    assert_int_equal(pr_ending_save(gone, &ending, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, text);
    assert_int_equal(pr_starts_count(gone, "reader"), 1);
}

static void test_starts(void **state) {
    (void)state;
    assert_int_equal(pr_starts_count(s_folder, "reader"), 1);
    assert_int_equal(pr_starts_count(s_folder, "reader"), 2);
    assert_int_equal(pr_starts_count(s_folder, "transformer-2"), 1);
    pr_starts_clear(s_folder);
    assert_int_equal(pr_starts_count(s_folder, "reader"), 1);
    char path[256];
    snprintf(path, sizeof path, "%s/reader.starts", s_folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("99999999999999999999", file);
    fclose(file);
    assert_int_equal(pr_starts_count(s_folder, "reader"), UINT32_MAX);
    pr_starts_clear(s_folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_there_and_back, s_setup, s_teardown),
                                       cmocka_unit_test_setup_teardown(test_what_is_none, s_setup, s_teardown),
                                       cmocka_unit_test_setup_teardown(test_no_folder, s_setup, s_teardown),
                                       cmocka_unit_test_setup_teardown(test_starts, s_setup, s_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
