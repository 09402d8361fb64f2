/* SPDX-License-Identifier: MIT */
/* A check of the target beside other work: in a thread of its own. */

/*  DESIGN
 *
 *  SQLite's quick_check reads the whole file, and takes one single step of its machine for each table: no sign of life
 *  comes out of it, however long it takes. And what it finds depends on nothing else. So it has a thread of its own; who
 *  waits for the thread can tell the world meanwhile, or go on with work of the same kind.
 *
 *  What is shared: nothing but the flag that says it has ended. The caller opens the connection and hands it over, the
 *  thread uses it alone until it is joined, and leaves what it has found in pr_beside_t, which the caller does not look at
 *  before. The connection gives no signs of life, as these would come out of the wrong thread; signals are for the caller,
 *  too. Two connections of one process share state inside SQLite, which therefore must not be set to single-thread mode
 *  (common/sql_alive.h); system/test_races looks at it with helgrind, which knows of pthread_join but not of the joins that
 *  give up after some time: that is why the end is told by a condition.
 */
#include "validator/beside.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/sql_alive.h"
#include "validator/database.h"

enum { s_failures_max = 1000, s_wait_ms = 100 };

struct pr_beside {
    char *path;
    sqlite3 *db;
    pr_beside_fn *fn;
    const void *context;
    pthread_t thread;
    pthread_mutex_t mutex; /* of `ended` */
    pthread_cond_t ending;
    bool ended;
    pr_proof_list_t *list;
    int result;
    pr_error_t err;
};

/* Each page is read once: there is nothing to keep. */
static const char S_SETTINGS[] = "PRAGMA cache_size = -2000";

static void *s_run(void *context) {
    pr_beside_t *beside = context;
    beside->result = beside->fn(beside->db, beside->path, beside->context, beside->list, &beside->err);
    pthread_mutex_lock(&beside->mutex);
    beside->ended = true;
    pthread_cond_signal(&beside->ending);
    pthread_mutex_unlock(&beside->mutex);
    return NULL;
}

/* With all signals blocked in it. Returns an errno. */
static int s_start(pr_beside_t *beside) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&beside->thread, NULL, s_run, beside);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static void s_free(pr_beside_t *beside) {
    pthread_cond_destroy(&beside->ending);
    pthread_mutex_destroy(&beside->mutex);
    sqlite3_close(beside->db);
    pr_proof_list_destroy(&beside->list);
    free(beside->path);
    free(beside);
}

int pr_beside_begin(const char *target, pr_beside_fn *fn, const void *context, pr_beside_t **ret_beside,
                    pr_error_t *err) {
    pr_beside_t *beside = pr_xcalloc(1, sizeof *beside);
    beside->path = pr_xstrdup(target);
    beside->fn = fn;
    beside->context = context;
    beside->list = pr_proof_list_new(s_failures_max);
    pthread_mutex_init(&beside->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&beside->ending, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int result = pr_database_open(target, &beside->db, err);
    if (result == 0)
        result = pr_database_exec(beside->db, target, S_SETTINGS, err);
    if (result == 0) {
        sqlite3_progress_handler(beside->db, 0, NULL, NULL);
        int code = s_start(beside);
        if (code != 0)
            result = pr_error_set(err, PR_E_INTERNAL, "%s: no thread for a check: %s", target, strerror(code));
    }
    if (result == 0)
        *ret_beside = beside;
    else
        s_free(beside);
    return result;
}

/* A sign of life; if it is answered by a wish to stop the check ends. */
static void s_give_sign(const pr_beside_t *beside) {
    if (!pr_sql_give_sign())
        sqlite3_interrupt(beside->db); /* the one call that another thread may make */
}

static void s_join(pr_beside_t *beside) {
    struct timespec until;
    s_give_sign(beside);
    pthread_mutex_lock(&beside->mutex);
    while (!beside->ended) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += s_wait_ms * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&beside->ending, &beside->mutex, &until);
        s_give_sign(beside);
    }
    pthread_mutex_unlock(&beside->mutex);
    pthread_join(beside->thread, NULL);
}

int pr_beside_end(pr_beside_t **beside, pr_proof_list_t *list, pr_error_t *err) {
    pr_beside_t *ended = *beside;
    *beside = NULL;
    s_join(ended);
    int result = ended->result;
    if (result < 0)
        pr_error_set(err, ended->err.code, "%s", ended->err.text);
    else
        pr_proof_list_join(list, ended->list);
    s_free(ended);
    return result;
}
