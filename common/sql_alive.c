/* SPDX-License-Identifier: MIT */
/* How a stage uses SQLite: lightly, with a sign of life out of long statements. */
/*  SQLite's progress handlers belong to connections, and some of these are opened deep inside a rollback; so they are
 *  installed where SQLite offers a hook for every connection of the process: an automatic extension. */
#include "common/sql_alive.h"

#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>

enum { s_steps = 100000 };

static bool (*s_alive)(void *context);
static void *s_context;

static int s_on_steps(void *context) {
    (void)context;
    return s_alive(s_context) ? 0 : 1;
}

static int s_on_open(sqlite3 *db, const char **error, const struct sqlite3_api_routines *api) {
    (void)error;
    (void)api;
    sqlite3_progress_handler(db, s_steps, s_on_steps, NULL);
    return SQLITE_OK;
}

void pr_sql_prepare(void) {
    static bool prepared;
    if (prepared)
        return;
    int counting = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    int threads = sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    assert(counting == SQLITE_OK && threads == SQLITE_OK); /* else SQLite is in use already */
    (void)counting;
    (void)threads;
    prepared = true;
}

bool pr_sql_give_sign(void) {
    return s_alive == NULL || s_alive(s_context);
}

void pr_sql_alive(bool (*alive)(void *context), void *context) {
    s_alive = alive;
    s_context = context;
    pr_sql_prepare();                                  /* the next line is SQLite's first use */
    sqlite3_auto_extension((void (*)(void))s_on_open); /* once, however often it is said */
}
