/* SPDX-License-Identifier: MIT */
/* The check that the database file is sound, beside other work. */

/*  DESIGN
 *
 *  SQLite's quick_check reads the whole file, and takes one single step of its machine for each table: no sign of life
 *  comes out of it, however long it takes. And nothing else of the proof depends on it. So it has a thread of its own;
 *  who waits for the thread can tell the world meanwhile.
 *
 *  What is shared: nothing. The caller opens the connection and hands it over, the thread uses it alone until it is
 *  joined, and leaves what it has found in the check, which the caller does not look at before. The connection gives no
 *  signs of life, as these would come out of the wrong thread; signals are for the caller, too.
 */
#include "validator/file_check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/sql_alive.h"
#include "validator/database.h"

enum { s_failures_max = 100, s_wait_ms = 100 };

struct pr_file_check {
    char *path;
    sqlite3 *db;
    pthread_t thread;
    pr_proof_list_t *list;
    int result;
    pr_error_t err;
};

/* Each page is read once: there is nothing to keep. */
static const char S_SETTINGS[] = "PRAGMA cache_size = -2000";

static int s_check(pr_file_check_t *check) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        check->db, check->path,
        sqlite3_mprintf("SELECT quick_check FROM pragma_quick_check(%d) WHERE quick_check <> 'ok'", s_failures_max),
        &statement, &check->err);
    while (result == 0 && (result = pr_database_step(check->db, check->path, statement, &check->err)) > 0) {
        pr_failure_t failure = {.kind = PR_FAILURE_WHOLE,
                                .stream = "",
                                .table = "",
                                .key = "",
                                .column = "quick_check",
                                .expected = "ok",
                                .stored = (const char *)sqlite3_column_text(statement, 0)};
        pr_proof_list_add_failure(check->list, &failure);
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

static void *s_run(void *context) {
    pr_file_check_t *check = context;
    check->result = s_check(check);
    return NULL;
}

/* With all signals blocked in it. Returns an errno. */
static int s_start(pr_file_check_t *check) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&check->thread, NULL, s_run, check);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void s_free(pr_file_check_t *check) {
    sqlite3_close(check->db);
    pr_proof_list_destroy(&check->list);
    free(check->path);
    free(check);
}

int pr_file_check_begin(const char *target, pr_file_check_t **ret_check, pr_error_t *err) {
    pr_file_check_t *check = pr_xcalloc(1, sizeof *check);
    check->path = pr_xstrdup(target);
    check->list = pr_proof_list_new(s_failures_max);
    int result = pr_database_open(target, &check->db, err);
    if (result == 0)
        result = pr_database_exec(check->db, target, S_SETTINGS, err);
    if (result == 0) {
        sqlite3_progress_handler(check->db, 0, NULL, NULL);
        int code = s_start(check);
        if (code != 0)
            result =
                pr_error_set(err, PR_E_INTERNAL, "%s: no thread for the check of the file: %s", target, strerror(code));
    }
    if (result == 0)
        *ret_check = check;
    else
        s_free(check);
    return result;
}

static void s_join(const pr_file_check_t *check) {
    struct timespec until;
    do {
        pr_sql_give_sign();
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += s_wait_ms * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
    } while (pthread_clockjoin_np(check->thread, NULL, CLOCK_MONOTONIC, &until) == ETIMEDOUT);
}

int pr_file_check_end(pr_file_check_t **check, pr_proof_list_t *list, pr_error_t *err) {
    pr_file_check_t *ended = *check;
    *check = NULL;
    s_join(ended);
    int result = ended->result;
    if (result < 0)
        pr_error_set(err, ended->err.code, "%s", ended->err.text);
    for (size_t i = 0; result == 0 && i < ended->list->failures_count; i++)
        pr_proof_list_add_failure(list, &ended->list->failures[i]);
    s_free(ended);
    return result;
}
