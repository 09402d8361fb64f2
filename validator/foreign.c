/* SPDX-License-Identifier: MIT */
/* What the books tell of rows that others had changed when a record was to change them. */
#include "validator/foreign.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "validator/database.h"
#include "validator/proof_rejects.h"

struct pr_foreign {
    sqlite3 *db;
    const char *path;
    const pr_inverse_made_t *made;
    sqlite3_stmt *kept, *rejected;
};

static const char S_KEPT_OF_RUN[] =
    "SELECT run, source FROM pvrelay_foreign_change WHERE table_name = ?1 AND row_id = ?2 "
    "AND ordinal = ?3 AND outcome = 'kept' AND run = %lld";
/* A record that was rejected first may have been settled by a retry, whose sources are no exports. */
static const char S_KEPT[] = "SELECT f.run, f.source FROM pvrelay_foreign_change AS f WHERE f.table_name = ?1 AND "
                             "f.row_id = ?2 AND f.ordinal = ?3 "
                             "AND f.outcome IN ('kept', 'rejected') AND (SELECT n.outcome FROM pvrelay_foreign_change "
                             "AS n WHERE n.table_name = ?1 AND n.row_id = "
                             "?2 ORDER BY n.checkpoint DESC, n.ordinal DESC LIMIT 1) = 'kept'";
static const char S_REJECTED_OF_RUN[] =
    "SELECT 1 FROM pvrelay_foreign_change WHERE table_name = ?1 AND row_id = ?2 AND "
    "outcome = 'rejected' AND run = %lld";
static const char S_REJECTED[] =
    "SELECT 1 FROM pvrelay_foreign_change AS f JOIN pvrelay_reject AS j ON j.run = f.run AND j.checkpoint = "
    "f.checkpoint AND "
    "j.ordinal = f.ordinal WHERE f.table_name = ?1 AND f.row_id = ?2 AND f.outcome = 'rejected' AND " PR_REJECT_IS_OPEN;

static int s_has_books(sqlite3 *db, const char *path, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        db, path,
        sqlite3_mprintf(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name IN ('pvrelay_foreign_change', 'pvrelay_run', "
            "'pvrelay_source', 'pvrelay_checkpoint', 'pvrelay_reject') GROUP BY type HAVING count(*) = 5"),
        &statement, err);
    if (result == 0)
        result = pr_database_step(db, path, statement, err);
    sqlite3_finalize(statement);
    return result;
}

int pr_foreign_new(sqlite3 *db, const char *path, const pr_inverse_made_t *made, pr_foreign_t **ret_foreign,
                   pr_error_t *err) {
    int result = s_has_books(db, path, err);
    if (result <= 0) {
        if (result == 0)
            *ret_foreign = NULL;
        return result;
    }
    pr_foreign_t *foreign = pr_xcalloc(1, sizeof *foreign);
    *foreign = (pr_foreign_t){.db = db, .path = path, .made = made};
    long long run = made->run;
    result = pr_database_prepare(
        db, path, run != 0 ? sqlite3_mprintf(S_KEPT_OF_RUN, run) : sqlite3_mprintf("%s", S_KEPT), &foreign->kept, err);
    if (result == 0)
        result = pr_database_prepare(
            db, path, run != 0 ? sqlite3_mprintf(S_REJECTED_OF_RUN, run) : sqlite3_mprintf("%s", S_REJECTED),
            &foreign->rejected, err);
    if (result == 0)
        *ret_foreign = foreign;
    else
        pr_foreign_destroy(&foreign);
    return result;
}

void pr_foreign_destroy(pr_foreign_t **foreign) {
    if (foreign == NULL || *foreign == NULL)
        return;
    sqlite3_finalize((*foreign)->kept);
    sqlite3_finalize((*foreign)->rejected);
    free(*foreign);
    *foreign = NULL;
}

/* Is a run's source the one that the record is of? */
static bool s_is_source(const pr_inverse_made_t *made, int64_t run, uint32_t theirs, uint32_t ours) {
    if (made->run != 0)
        return theirs == ours;
    for (size_t i = 0; i < made->origins_count; i++)
        if (made->origins[i].run == run && made->origins[i].source == theirs && made->origins[i].ours == ours)
            return true;
    return false;
}

int pr_foreign_is_kept(pr_foreign_t *foreign, const char *table, int64_t row, uint32_t source, uint64_t ordinal,
                       pr_error_t *err) {
    if (foreign == NULL)
        return 0;
    sqlite3_stmt *statement = foreign->kept;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, row);
    sqlite3_bind_int64(statement, 3, (int64_t)ordinal);
    bool kept = false;
    int result = 0;
    while (!kept && (result = pr_database_step(foreign->db, foreign->path, statement, err)) > 0)
        kept = s_is_source(foreign->made, sqlite3_column_int64(statement, 0),
                           (uint32_t)sqlite3_column_int64(statement, 1), source);
    sqlite3_reset(statement);
    return result < 0 ? result : kept;
}

int pr_foreign_is_rejected(pr_foreign_t *foreign, const char *table, int64_t row, pr_error_t *err) {
    if (foreign == NULL)
        return 0;
    sqlite3_bind_text(foreign->rejected, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(foreign->rejected, 2, row);
    int result = pr_database_step(foreign->db, foreign->path, foreign->rejected, err);
    sqlite3_reset(foreign->rejected);
    return result;
}
