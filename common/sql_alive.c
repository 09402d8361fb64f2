/* SPDX-License-Identifier: MIT */
/* A sign of life out of long SQL statements. */
/*  SQLite's progress handlers belong to connections, and some of these are opened deep inside a rollback; so they are
 *  installed where SQLite offers a hook for every connection of the process: an automatic extension. */
#include "common/sql_alive.h"

#include <sqlite3.h>
#include <stddef.h>

enum { s_steps = 100000 };

static void (*s_alive)(void *context);
static void *s_context;

static int s_on_steps(void *context) {
    (void)context;
    s_alive(s_context);
    return 0; /* go on */
}

static int s_on_open(sqlite3 *db, const char **error, const struct sqlite3_api_routines *api) {
    (void)error;
    (void)api;
    sqlite3_progress_handler(db, s_steps, s_on_steps, NULL);
    return SQLITE_OK;
}

void pr_sql_alive(void (*alive)(void *context), void *context) {
    s_alive = alive;
    s_context = context;
    sqlite3_auto_extension((void (*)(void))s_on_open); /* once, however often it is said */
}
