/* SPDX-License-Identifier: MIT */
/* Lock files: one holder, named to the others, and none left over. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/lock.h"
#include "common/lock_wait.h"

static char s_folder[64];
static char s_path[128];

static int s_setup(void **state) {
    (void)state;
    snprintf(s_folder, sizeof s_folder, "/tmp/pvrelay-lock-XXXXXX");
    if (mkdtemp(s_folder) == NULL)
        return -1;
    snprintf(s_path, sizeof s_path, "%s/a.lock", s_folder);
    return 0;
}

static int s_teardown(void **state) {
    (void)state;
    unlink(s_path);
    return rmdir(s_folder);
}

static pr_lock_t *s_take(void) {
    pr_lock_t *lock = NULL;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_lock_take(s_path, 0, &lock, &err), 0);
    assert_string_equal(err.text, "");
    assert_non_null(lock);
    return lock;
}

static void test_holds_our_pid_and_goes(void **state) {
    (void)state;
    char text[32] = "";
    char expected[32];
    pr_lock_t *lock = s_take();
    FILE *file = fopen(s_path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    snprintf(expected, sizeof expected, "%ld\n", (long)getpid());
    assert_string_equal(text, expected);
    pr_lock_release(&lock);
    assert_null(lock);
    assert_int_equal(access(s_path, F_OK), -1);
    pr_lock_release(&lock);
    pr_lock_release(NULL);
}

static void test_second_is_told_the_holder(void **state) {
    (void)state;
    char expected[300];
    pr_lock_t *second = NULL;
    pr_error_t err = PR_ERROR_INIT;
    pr_lock_t *lock = s_take();
    assert_int_equal(pr_lock_take(s_path, 20, &second, &err), -PR_E_TARGET_LOCKED);
    snprintf(expected, sizeof expected,
             "%s: held by process %ld (test_lock) (waited 20 ms); wait until it ends, or stop it", s_path,
             (long)getpid());
    assert_string_equal(err.text, expected);
    assert_null(second);
    pr_lock_release(&lock);
    lock = s_take();
    pr_lock_release(&lock);
}

/* Run a child that takes the lock, says so, and dies when the pipe to it closes. */
static pid_t s_child(int *ret_stop) {
    int ready[2];
    int stop[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pr_lock_t *lock = NULL;
        close(stop[1]);
        if (pr_lock_take(s_path, 0, &lock, NULL) == 0)
            (void)!write(ready[1], "x", 1);
        (void)!read(stop[0], &byte, 1);
        /* Without releasing: as if killed. */
        _exit(0);
    }
    close(ready[1]);
    close(stop[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *ret_stop = stop[1];
    return child;
}

static void test_waits_for_a_dying_holder_and_takes_its_file_over(void **state) {
    (void)state;
    char expected[300];
    int stop = -1;
    pr_lock_t *lock = NULL;
    pr_error_t err = PR_ERROR_INIT;
    pid_t child = s_child(&stop);
    assert_int_equal(pr_lock_take(s_path, 0, &lock, &err), -PR_E_TARGET_LOCKED);
    snprintf(expected, sizeof expected, "%s: held by process %ld (test_lock); wait until it ends, or stop it", s_path,
             (long)child);
    assert_string_equal(err.text, expected);
    close(stop);
    pr_error_clear(&err);
    assert_int_equal(pr_lock_take(s_path, 10000, &lock, &err), 0);
    assert_string_equal(err.text, "");
    assert_int_equal(waitpid(child, NULL, 0), child);
    pr_lock_release(&lock);
    assert_int_equal(access(s_path, F_OK), -1);
}

/* What a process that waits is told, and its answer. */
typedef struct {
    unsigned calls, begun;
    unsigned most; /* calls until it has enough */
    char what[PR_LOCK_WAIT_TEXT_BYTES];
} s_heard_t;

static bool s_on_turn(void *context, const char *what, bool begins) {
    s_heard_t *heard = context;
    heard->calls++;
    heard->begun += begins ? 1 : 0;
    snprintf(heard->what, sizeof heard->what, "%s", what);
    return heard->calls < heard->most;
}

static void test_who_waits_is_asked_whether_to_go_on(void **state) {
    (void)state;
    char expected[PR_LOCK_WAIT_TEXT_BYTES + 100];
    s_heard_t heard = {.most = 3};
    pr_lock_t *second = NULL;
    pr_error_t err = PR_ERROR_INIT;
    pr_lock_t *lock = s_take();
    pr_lock_wait_set(60000, s_on_turn, &heard);
    assert_int_equal(pr_lock_take(s_path, pr_lock_wait_limit_ms(), &second, &err), -PR_E_INTERRUPTED);
    assert_true(pr_lock_wait_stopped());
    assert_int_equal(heard.calls, 3);
    assert_int_equal(heard.begun, 1);
    snprintf(expected, sizeof expected, "%s: held by process %ld (test_lock)", s_path, (long)getpid());
    assert_string_equal(heard.what, expected);
    snprintf(expected, sizeof expected, "%s; interrupted while waiting for it", heard.what);
    assert_string_equal(err.text, expected);
    /* The next wait begins afresh; a short one is not worth a word. */
    heard = (s_heard_t){.most = 3};
    pr_error_clear(&err);
    assert_int_equal(pr_lock_take(s_path, 40, &second, &err), -PR_E_TARGET_LOCKED);
    assert_false(pr_lock_wait_stopped());
    assert_int_equal(heard.calls, 0);
    pr_lock_wait_set(0, NULL, NULL);
    pr_lock_release(&lock);
}

/* The lock file of a target names the target, that of a run folder how to look at the run. */
static void test_what_is_said_of_whose_lock(void **state) {
    (void)state;
    static const char *const names[][2] = {{"hub.db-pvrelay.lock", "hub.db"}, {"run.lock", "run.lock"}};
    for (size_t i = 0; i < 2; i++) {
        char path[200];
        char hint[300] = "";
        char expected[600];
        pr_lock_t *lock = NULL;
        pr_lock_t *second = NULL;
        pr_error_t err = PR_ERROR_INIT;
        snprintf(path, sizeof path, "%s/%s", s_folder, names[i][0]);
        assert_int_equal(pr_lock_take(path, 0, &lock, NULL), 0);
        assert_int_equal(pr_lock_take(path, 0, &second, &err), -PR_E_TARGET_LOCKED);
        if (i == 1)
            snprintf(hint, sizeof hint, "; `pvrelay top --run-dir %s` shows it", s_folder);
        snprintf(expected, sizeof expected, "%s/%s: held by process %ld (test_lock)%s; wait until it ends, or stop it",
                 s_folder, names[i][1], (long)getpid(), hint);
        assert_string_equal(err.text, expected);
        pr_lock_release(&lock);
    }
}

static void test_times_for_people(void **state) {
    (void)state;
    static const struct {
        unsigned ms;
        const char *text;
    } cases[] = {{0, "0 ms"}, {20, "20 ms"}, {60000, "60 s"}, {3600000, "60 min"}, {86400000, "24 h"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        pr_lock_wait_print(cases[i].ms, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_warning(void **state) {
    (void)state;
    pr_lock_wait_set(90000, NULL, NULL);
    assert_string_equal(pr_lock_wait_warning("hub.db: locked by process 7").text,
                        "hub.db: locked by process 7; waiting for it, up to 90 s");
    pr_lock_wait_set(0, NULL, NULL);
}

static void test_empty_file_has_no_pid(void **state) {
    (void)state;
    char expected[300];
    pr_lock_t *lock = NULL;
    pr_error_t err = PR_ERROR_INIT;
    int fd = open(s_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(pr_lock_take(s_path, 0, &lock, &err), -PR_E_TARGET_LOCKED);
    snprintf(expected, sizeof expected, "%s: held by another process; wait until it ends, or stop it", s_path);
    assert_string_equal(err.text, expected);
    close(fd);
}

static void test_release_leaves_another_file_alone(void **state) {
    (void)state;
    pr_lock_t *lock = s_take();
    assert_int_equal(unlink(s_path), 0);
    /* Somebody removed the file by hand, and another one stands there now. */
    pr_lock_t *other = s_take();
    pr_lock_release(&lock);
    assert_int_equal(access(s_path, F_OK), 0);
    pr_lock_release(&other);
    assert_int_equal(access(s_path, F_OK), -1);
}

static void test_no_folder(void **state) {
    (void)state;
    pr_lock_t *lock = NULL;
    pr_error_t err = PR_ERROR_INIT;
    char missing[160];
    char expected[256];
    snprintf(missing, sizeof missing, "%s/none/a.lock", s_folder);
    snprintf(expected, sizeof expected, "%s: cannot make the lock file: No such file or directory", missing);
    assert_int_equal(pr_lock_take(missing, 0, &lock, &err), -PR_E_TARGET);
    assert_string_equal(err.text, expected);
    assert_null(lock);
}

/* A file that has another name, too, is not ours to write in. */
static void test_planted_link(void **state) {
    (void)state;
    char victim[128];
    char expected[256];
    char text[8] = "";
    pr_lock_t *lock = NULL;
    pr_error_t err = PR_ERROR_INIT;
    snprintf(victim, sizeof victim, "%s/victim", s_folder);
    FILE *file = fopen(victim, "w");
    assert_non_null(file);
    fputs("theirs", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(link(victim, s_path), 0);
    assert_int_equal(pr_lock_take(s_path, 0, &lock, &err), -PR_E_TARGET);
    snprintf(expected, sizeof expected, "%s: cannot make the lock file: Too many links", s_path);
    assert_string_equal(err.text, expected);
    unlink(s_path);
    assert_int_equal(symlink(victim, s_path), 0);
    assert_int_equal(pr_lock_take(s_path, 0, &lock, NULL), -PR_E_TARGET);
    file = fopen(victim, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 6);
    fclose(file);
    assert_string_equal(text, "theirs");
    unlink(s_path);
    unlink(victim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planted_link),
        cmocka_unit_test(test_holds_our_pid_and_goes),
        cmocka_unit_test(test_second_is_told_the_holder),
        cmocka_unit_test(test_waits_for_a_dying_holder_and_takes_its_file_over),
        cmocka_unit_test(test_empty_file_has_no_pid),
        cmocka_unit_test(test_release_leaves_another_file_alone),
        cmocka_unit_test(test_no_folder),
        cmocka_unit_test(test_who_waits_is_asked_whether_to_go_on),
        cmocka_unit_test(test_what_is_said_of_whose_lock),
        cmocka_unit_test(test_times_for_people),
        cmocka_unit_test(test_warning),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
