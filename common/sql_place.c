/* SPDX-License-Identifier: MIT */
/* Is an open database still the file at its path? */
#include "common/sql_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

static bool s_is(const char *path, dev_t dev, ino_t ino) {
    struct stat now;
    return stat(path, &now) == 0 && now.st_dev == dev && now.st_ino == ino;
}

pr_sql_place_t pr_sql_place_take(sqlite3 *db, const char *path) {
    pr_sql_place_t place = {0};
    struct stat status;
    const char *real = sqlite3_db_filename(db, "main");
    if (stat(path, &status) == 0) {
        place.dev = status.st_dev;
        place.ino = status.st_ino;
    }
    if (real != NULL && *real != '\0' && stat(sqlite3_filename_wal(real), &status) == 0) {
        place.wal_dev = status.st_dev;
        place.wal_ino = status.st_ino;
    }
    return place;
}

int pr_sql_place_check(sqlite3 *db, const char *path, const pr_sql_place_t *place, pr_error_t *err) {
    const char *real = sqlite3_db_filename(db, "main");
    int moved = 0;
    /* Of its own file SQLite knows; it was opened a moment before we looked. */
    sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved == 0 && s_is(path, place->dev, place->ino) &&
        (place->wal_ino == 0 || real == NULL || s_is(sqlite3_filename_wal(real), place->wal_dev, place->wal_ino)))
        return 0;
    return pr_error_set(err, PR_E_TARGET,
                        "%s: is no longer the file that was opened: it, or its -wal, was renamed, replaced or deleted "
                        "meanwhile; put it back where it was, then the same command continues",
                        path);
}

void pr_sql_place_leave(sqlite3 *db) {
    int on = 1;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

void pr_sql_place_remove(const char *path, const pr_sql_place_t *place) {
    static const char *const beside[] = {"-wal", "-shm", "-journal"};
    if (!s_is(path, place->dev, place->ino))
        return;
    unlink(path);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        char *name = pr_xasprintf("%s%s", path, beside[i]);
        unlink(name);
        free(name);
    }
}
