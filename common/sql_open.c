/* SPDX-License-Identifier: MIT */
/* Opening a database that is a target, or may be one. */

/*  DESIGN
 *
 *  What is in a target was written by others. Its schema could call functions and views on behalf of whoever reads it:
 *  https://www.sqlite.org/security.html, "Untrusted SQLite Database Files", says what is done here against that, and
 *  the limits are as low as our own statements allow.
 *
 *  Reading without the right to write. A database in WAL mode is read through two files beside it, -wal and -shm, which
 *  a reader makes if they are not there. So there are three cases:
 *
 *      it may write the file and its folder     a connection that could write, and is forbidden to (query_only): closed
 *                                               last, it takes the two files away again; one that is opened to read
 *                                               only would leave them
 *      a -wal is there                          SQLite reads by means of both files, if they can be read. If not, only
 *                                               someone with more rights can
 *      none is there                            all there is lies in the file, and it is read as immutable. Somebody
 *                                               else may begin to write meanwhile, and then what was read is of no
 *                                               state. That leaves traces, because a shared lock on the file (the one
 *                                               that SQLite's readers hold) keeps the last of the writers from taking
 *                                               its -wal away: a -wal with something in it, or another size or time of
 *                                               the file. pr_sql_unchanged looks for them
 *
 *  What is needed for that hangs at the connection, as the context of a function of its own that SQLite frees when the
 *  connection is closed.
 */
#include "common/sql_open.h"
#include "common/hint.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/lock_wait.h"
#include "common/sql_busy.h"

enum {
    s_header_bytes = 20, /* of a database: up to the format versions (https://www.sqlite.org/fileformat.html, 1.3) */
    s_shared_first = 0x40000002, /* SQLite's shared lock (its os.h) */
    s_shared_size = 510,
    s_sql_bytes_max = 4 << 20,
    s_pattern_max = 1000
};

/* A database that is read as immutable. */
typedef struct {
    char *path;
    int file; /* holds the shared lock */
    struct stat opened;
} s_guard_t;

pr_error_code_t pr_sql_error_code(sqlite3 *db) {
    return pr_sql_error_code_of(db, sqlite3_errcode(db));
}

pr_error_code_t pr_sql_error_code_of(sqlite3 *db, int code) {
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a WAL whose locks were not to be had for ten seconds */
        return pr_lock_wait_stopped() ? PR_E_INTERRUPTED : PR_E_TARGET_LOCKED;
    case SQLITE_INTERRUPT:
        return PR_E_INTERRUPTED;
    case SQLITE_FULL:
        return PR_E_TARGET_FULL;
    case SQLITE_IOERR: {
        int why = sqlite3_system_errno(db);
        return why == ENOSPC || why == EDQUOT ? PR_E_TARGET_FULL : PR_E_TARGET;
    }
    default:
        return PR_E_TARGET;
    }
}

const char *pr_sql_path(sqlite3 *db) {
    const char *path = sqlite3_db_filename(db, "main");
    return path != NULL && *path != '\0' ? path : "the target";
}

int pr_sql_fail(sqlite3 *db, pr_error_t *err) {
    return pr_error_set(err, pr_sql_error_code(db), "%s: %s", pr_sql_path(db), sqlite3_errmsg(db));
}

/* ---- an immutable database ---- */

/* Size of the -wal; -1: there is none. */
static long long s_wal_bytes(const char *path) {
    struct stat facts;
    char *wal = pr_xasprintf("%s-wal", path);
    long long size = stat(wal, &facts) == 0 ? (long long)facts.st_size : -1;
    free(wal);
    return size;
}

static bool s_same_time(struct timespec one, struct timespec other) {
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

/* Has nobody written? */
static void s_unchanged(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    (void)values;
    const s_guard_t *guard = sqlite3_user_data(context);
    struct stat now;
    bool same = stat(guard->path, &now) == 0 && now.st_dev == guard->opened.st_dev &&
                now.st_ino == guard->opened.st_ino && now.st_size == guard->opened.st_size &&
                s_same_time(now.st_mtim, guard->opened.st_mtim) && s_same_time(now.st_ctim, guard->opened.st_ctim);
    sqlite3_result_int(context, same && s_wal_bytes(guard->path) <= 0 ? 1 : 0);
}

static void s_guard_free(void *context) {
    s_guard_t *guard = context;
    if (guard->file >= 0)
        close(guard->file);
    free(guard->path);
    free(guard);
}

/* The lock is before the look at the file, and nothing is read before either. */
static int s_guard_take(const char *path, s_guard_t **ret_guard, pr_error_t *err) {
    s_guard_t *guard = pr_xcalloc(1, sizeof *guard);
    struct flock shared = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = s_shared_first, .l_len = s_shared_size};
    int result = 0;
    guard->path = pr_xstrdup(path);
    guard->file = open(path, O_RDONLY | O_CLOEXEC);
    bool opened = guard->file >= 0;
    bool locked = opened && fcntl(guard->file, F_OFD_SETLK, &shared) < 0 && (errno == EAGAIN || errno == EACCES);
    if (locked)
        result = pr_error_set(err, PR_E_TARGET_LOCKED, "%s: another process writes to it; read it again later", path);
    else if (!opened || fstat(guard->file, &guard->opened) < 0)
        result = pr_error_set(err, PR_E_TARGET, "%s: cannot be opened for reading: %s", path, strerror(errno));
    if (result == 0)
        *ret_guard = guard;
    else
        s_guard_free(guard);
    return result;
}

int pr_sql_unchanged(sqlite3 *db, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = 0;
    /* A connection that is not read as immutable has no such function. */
    if (db != NULL && sqlite3_prepare_v2(db, "SELECT pvrelay_unchanged()", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 0)
        result =
            pr_error_set(err, PR_E_TARGET_LOCKED,
                         "%s: it was written to while it was read, and who may not write to its folder cannot take "
                         "part in its locking; what was read is not one state of it: read it again when nobody "
                         "writes",
                         sqlite3_db_filename(db, "main"));
    sqlite3_finalize(statement);
    return result;
}

/* A path as a URI. *Returns new*. */
static char *s_uri(const char *path) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
    char *uri = pr_xmalloc(3 * strlen(path) + sizeof "file://?immutable=1");
    char *end = uri + sprintf(uri, "file://"); /* the path is absolute */
    for (const char *at = path; *at != '\0'; at++)
        end += sprintf(end, strchr(plain, *at) != NULL ? "%c" : "%%%02X", (unsigned char)*at);
    strcpy(end, "?immutable=1");
    return uri;
}

/* ---- opening ---- */

static bool s_may(const char *path, int what) {
    return faccessat(AT_FDCWD, path, what, AT_EACCESS) == 0;
}

/* May this process write to the file and make others beside it? */
static bool s_may_write(const char *path) {
    char *copy = pr_xstrdup(path);
    bool may = s_may(path, W_OK) && s_may(dirname(copy), W_OK | X_OK);
    free(copy);
    return may;
}

/* Is it in WAL mode? What is no database is not. */
static bool s_is_wal(const char *path) {
    unsigned char header[s_header_bytes];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is = file >= 0 && read(file, header, sizeof header) == (ssize_t)sizeof header && header[19] == 2;
    if (file >= 0)
        close(file);
    return is;
}

static int s_harden(sqlite3 *db, const char *path, pr_sql_mode_t mode, pr_error_t *err) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
    sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, s_sql_bytes_max);
    sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, s_pattern_max);
    const char *settings = mode == PR_SQL_READ     ? "PRAGMA query_only = ON; PRAGMA cell_size_check = ON"
                           : mode == PR_SQL_BESIDE ? "PRAGMA query_only = ON"
                                                   : "";
    return sqlite3_exec(db, settings, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : pr_error_set(err, pr_sql_error_code(db), "%s: %s", path, sqlite3_errmsg(db));
}

/*  Open it so, and read the first page of one that is there: opening alone reads nothing. uri: what to open, if it is not
 *  the path. */
static int s_open(const char *path, const char *uri, int flags, pr_sql_mode_t mode, sqlite3 **ret_db, pr_error_t *err) {
    sqlite3 *db = NULL;
    bool writes = mode == PR_SQL_CREATE || mode == PR_SQL_WRITE;
    int code = sqlite3_open_v2(uri != NULL ? uri : path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    int result = 0;
    if (code != SQLITE_OK)
        result =
            pr_error_set(err, db != NULL ? pr_sql_error_code(db) : PR_E_TARGET, "%s: cannot be opened for %s: %s", path,
                         writes ? "writing" : "reading", db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    if (result == 0) {
        pr_sql_busy(db);
        result = s_harden(db, path, mode, err);
    }
    if (result == 0 && sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL) != SQLITE_OK)
        result = pr_error_set(err, pr_sql_error_code(db), "%s: %s", path, sqlite3_errmsg(db));
    if (result == 0)
        *ret_db = db;
    else
        sqlite3_close(db);
    return result;
}

static int s_open_immutable(const char *path, pr_sql_mode_t mode, sqlite3 **ret_db, pr_error_t *err) {
    s_guard_t *guard = NULL;
    sqlite3 *db = NULL;
    int result = s_guard_take(path, &guard, err);
    if (guard == NULL)
        return result;
    char *uri = s_uri(path);
    result = s_open(path, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, mode, &db, err);
    free(uri);
    if (result < 0) {
        s_guard_free(guard);
        return result;
    }
    /* Frees the guard if it fails, too. */
    if (sqlite3_create_function_v2(db, "pvrelay_unchanged", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, guard, s_unchanged,
                                   NULL, NULL, s_guard_free) != SQLITE_OK) {
        result = pr_error_set(err, PR_E_INTERNAL, "%s: %s", path, sqlite3_errmsg(db));
        sqlite3_close(db);
        return result;
    }
    *ret_db = db;
    return 0;
}

/* What to do about a database that cannot be read without the right to write. */
static int s_explain(const char *path, const pr_error_t *why, pr_error_t *err) {
    char *journal = pr_xasprintf("%s-journal", path);
    bool wal = s_wal_bytes(path) >= 0;
    bool left = wal || access(journal, F_OK) == 0;
    free(journal);
    if (!left)
        return pr_error_set(err, why->code, "%s", why->text);
    char command[PR_HINT_BYTES];
    return pr_error_set(err, why->code,
                        "%s; there is a file %s%s beside it, with what a writer has begun, and reading past that takes "
                        "the right to write to both and to their folder: let somebody who has it run `%s` "
                        "once, while no writer is at work",
                        why->text, path, wal ? "-wal" : "-journal",
                        pr_hint_into(command, sizeof command, "status", "--target", path, NULL));
}

/* One that this process may not write to, or not beside. */
static int s_open_without_rights(const char *path, pr_sql_mode_t mode, sqlite3 **ret_db, pr_error_t *err) {
    pr_error_t why = PR_ERROR_INIT;
    long long wal = s_is_wal(path) ? s_wal_bytes(path) : 0;
    if (wal >= 0 && s_open(path, NULL, SQLITE_OPEN_READONLY, mode, ret_db, &why) == 0)
        return 0;
    if (s_is_wal(path) && wal <= 0)
        return s_open_immutable(path, mode, ret_db, err);
    return s_explain(path, &why, err);
}

int pr_sql_open(const char *path, pr_sql_mode_t mode, sqlite3 **ret_db, pr_error_t *err) {
    static const int flags[] = {[PR_SQL_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                [PR_SQL_WRITE] = SQLITE_OPEN_READWRITE,
                                [PR_SQL_READ] = SQLITE_OPEN_READWRITE,
                                [PR_SQL_BESIDE] = SQLITE_OPEN_READONLY};
    char real[PATH_MAX];
    bool writes = mode == PR_SQL_CREATE || mode == PR_SQL_WRITE;
    bool there = realpath(path, real) != NULL;
    if (!there && mode != PR_SQL_CREATE)
        return pr_error_set(err, PR_E_TARGET, "%s: cannot be opened for %s: %s", path, writes ? "writing" : "reading",
                            strerror(errno));
    struct stat status;
    if (!there && lstat(path, &status) == 0 && S_ISLNK(status.st_mode))
        return pr_error_set(err, PR_E_TARGET, "%s: is a link to a file that is not there; name the file itself", path);
    if (there && !s_may(real, writes ? R_OK | W_OK : R_OK))
        return pr_error_set(err, PR_E_TARGET, "%s: cannot be opened for %s: %s", path, writes ? "writing" : "reading",
                            strerror(errno));
    if (!writes && !s_may_write(real))
        return s_open_without_rights(real, mode, ret_db, err);
    return s_open(path, NULL, flags[mode], mode, ret_db, err);
}
