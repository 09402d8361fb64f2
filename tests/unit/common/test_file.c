/* SPDX-License-Identifier: MIT */
/* Unit tests of making files. */
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/unit/folder.h"

static char *s_dir;
static char *s_path;
static char *s_victim;

static int s_setup(void **state) {
    (void)state;
    s_dir = pr_xstrdup("/tmp/pvrelay-test-file-XXXXXX");
    if (mkdtemp(s_dir) == NULL)
        return -1;
    s_path = pr_xasprintf("%s/report.md", s_dir);
    s_victim = pr_xasprintf("%s/victim", s_dir);
    return 0;
}

static int s_teardown(void **state) {
    (void)state;
    pr_test_folder_remove(s_dir);
    free(s_dir);
    free(s_path);
    free(s_victim);
    return 0;
}

static void s_assert_holds(const char *path, const char *expected) {
    char text[64] = "";
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

static size_t s_entries(void) {
    size_t count = 0;
    DIR *dir = opendir(s_dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static void test_write(void **state) {
    (void)state;
    struct stat status;
    mode_t before = umask(027);
    assert_int_equal(pr_file_write_text(s_path, "one", 0666, 1), 0);
    s_assert_holds(s_path, "one");
    assert_int_equal(pr_file_write(s_path, "two\0", 4, 0600, 0), 0);
    umask(before);
    s_assert_holds(s_path, "two");
    assert_int_equal(stat(s_path, &status), 0);
    assert_int_equal(status.st_size, 4);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(s_entries(), 1);
}

/* A link at the place, or at the name that the new file used to have, is not followed. */
static void test_planted_links(void **state) {
    (void)state;
    struct stat status;
    char *foreseen = pr_xasprintf("%s.new", s_path);
    assert_int_equal(pr_file_write_text(s_victim, "theirs", 0600, 0), 0);
    assert_int_equal(symlink(s_victim, s_path), 0);
    assert_int_equal(symlink(s_victim, foreseen), 0);
    assert_int_equal(pr_file_write_text(s_path, "ours", 0600, 1), 0);
    s_assert_holds(s_victim, "theirs");
    s_assert_holds(s_path, "ours");
    assert_int_equal(lstat(s_path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    unlink(s_path);
    assert_int_equal(symlink(s_victim, s_path), 0);
    FILE *file = pr_file_create(s_path, 0600);
    assert_non_null(file);
    fputs("created", file);
    fclose(file);
    s_assert_holds(s_victim, "theirs");
    s_assert_holds(s_path, "created");
    free(foreseen);
}

/* What cannot be written whole leaves what was there, and nothing else. */
static void test_failures(void **state) {
    (void)state;
    char *folder = pr_xasprintf("%s/folder", s_dir);
    char *inside = pr_xasprintf("%s/a", folder);
    assert_int_equal(pr_file_write_text(inside, "x", 0600, 1), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(pr_file_write_text(folder, "x", 0600, 1), -1);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(s_entries(), 1);
    assert_null(pr_file_create(folder, 0600));
    free(inside);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_planted_links, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_failures, s_setup, s_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
