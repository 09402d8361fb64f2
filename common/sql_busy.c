/* SPDX-License-Identifier: MIT */
/* What a connection does when another process has locked the database. */
/*  Who it is SQLite does not tell. The kernel does, in /proc/locks: fcntl's F_GETLK would need a descriptor of our own, and
 *  closing it would drop SQLite's locks on the file. */
#include "common/sql_busy.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lock_wait.h"

/* Where SQLite's locks lie: sqlite.org/fileformat2.html (the lock-byte page), sqlite.org/walformat.html. */
enum { s_pending_byte = 0x40000000, s_wal_write_byte = 120, s_wal_recover_byte = 122 };

/* The process that has locked this file for writing, between these bytes. 0: none that is known. */
static long s_writer_of(const char *path, unsigned long long from, unsigned long long to) {
    struct stat status;
    char line[256];
    long found = 0;
    FILE *file = stat(path, &status) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL) {
        char kind[16];
        char mode[16];
        long pid = 0;
        unsigned long inode = 0;
        unsigned long long begin = 0;
        if (sscanf(line, "%*d: %15s %*s %15s %ld %*x:%*x:%lu %llu", kind, mode, &pid, &inode, &begin) == 5 &&
            strcmp(kind, "POSIX") == 0 && strcmp(mode, "WRITE") == 0 && inode == (unsigned long)status.st_ino &&
            begin >= from && begin <= to && pid != (long)getpid())
            found = pid;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static void s_describe(void *of, char *buffer, size_t size) {
    const char *path = sqlite3_db_filename(of, "main");
    char shm[4096];
    char holder[300];
    char hint[PR_LOCK_WAIT_TEXT_BYTES];
    if (path == NULL)
        path = "the database";
    snprintf(shm, sizeof shm, "%s-shm", path);
    long pid = s_writer_of(shm, s_wal_write_byte, s_wal_recover_byte);
    if (pid == 0)
        pid = s_writer_of(path, s_pending_byte, s_pending_byte + 2);
    pr_lock_holder(pid, holder, sizeof holder);
    pr_lock_hint(path, pid, hint, sizeof hint);
    snprintf(buffer, size, "%s: locked by %s%s", path, holder, hint);
}

static int s_on_busy(void *db, int count) {
    static _Thread_local pr_lock_wait_t wait;
    if (count == 0)
        wait = (pr_lock_wait_t){0};
    return pr_lock_wait_step(&wait, pr_lock_wait_limit_ms(), s_describe, db);
}

void pr_sql_busy(sqlite3 *db) {
    sqlite3_busy_handler(db, s_on_busy, db);
}

int pr_sql_wal(sqlite3 *db) {
    pr_lock_wait_t wait = {0};
    int result = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    while (result == SQLITE_BUSY && pr_lock_wait_step(&wait, pr_lock_wait_limit_ms(), s_describe, db))
        result = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    return result;
}
