/* SPDX-License-Identifier: MIT */
/* Holding a target. */
#include "control/hold.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/deferred_index.h"
#include "common/migrate.h"
#include "common/sql_open.h"

int pr_hold_take(const char *target, pr_hold_t *ret_hold, pr_error_t *err) {
    char path[PATH_MAX];
    pr_hold_t hold = {0};
    if (realpath(target, path) == NULL)
        return errno == ENOENT ? pr_error_set(err, PR_E_TARGET, "%s: there is no such file", target)
                               : pr_error_set(err, PR_E_TARGET, "%s: %s", target, strerror(errno));
    char *lock = pr_xasprintf("%s-pvrelay.lock", path);
    int result = pr_lock_take(lock, 0, &hold.lock, err);
    free(lock);
    if (result == 0)
        result = pr_sql_open(path, PR_SQL_WRITE, &hold.db, err);
    if (result < 0) {
        pr_lock_release(&hold.lock);
        return result;
    }
    hold.path = pr_xstrdup(path);
    *ret_hold = hold;
    return 0;
}

int pr_hold_abandon(const pr_hold_t *hold, const char *run, pr_error_t *err) {
    static const char sql[] =
        "UPDATE pvrelay_run SET state = 'abandoned', ended_at = datetime('now') WHERE id = ?1 AND "
        "state IN ('streaming', 'proving')";
    sqlite3_stmt *statement = NULL;
    int result = 0;
    if (sqlite3_prepare_v2(hold->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_bind_text(statement, 1, run, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(statement) != SQLITE_DONE)
        result = pr_error_set(err, pr_sql_error_code(hold->db), "%s: giving up the run %s: %s", hold->path, run,
                              sqlite3_errmsg(hold->db));
    sqlite3_finalize(statement);
    return result == 0 ? pr_deferred_index_build_all(hold->db, err) : result;
}

void pr_hold_close(pr_hold_t *hold) {
    sqlite3_close(hold->db);
    hold->db = NULL;
}

void pr_hold_release(pr_hold_t *hold) {
    pr_hold_close(hold);
    pr_lock_release(&hold->lock);
    free(hold->path);
    hold->path = NULL;
}
