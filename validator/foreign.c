/* SPDX-License-Identifier: MIT */
/* What the books tell of rows that others had changed when a record was to change them. */
#include "validator/foreign.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/row_digest.h"
#include "common/sql_has.h"
#include "validator/database.h"
#include "validator/proof_rejects.h"

struct pr_foreign {
    sqlite3 *db;
    const char *path;
    const pr_inverse_made_t *made;
    sqlite3_stmt *kept, *rejected, *version;
    /* whose rows are: of the row of the mapping that was last asked about */
    const pr_row_spec_t *spec;
    pr_row_digests_t *digests;
    size_t table;
    const char **names; /* of the columns that a replay would change */
    size_t names_count;
    int64_t data_version; /* that pages of digests were read in */
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

/* 1, 0, <0. */
static int s_has_books(sqlite3 *db, pr_error_t *err) {
    static const char *const books[] = {"pvrelay_foreign_change", "pvrelay_run",    "pvrelay_source",
                                        "pvrelay_checkpoint",     "pvrelay_reject", "pvrelay_row_digest",
                                        "pvrelay_row_shape"};
    int has = 1;
    for (size_t i = 0; has > 0 && i < sizeof books / sizeof books[0]; i++)
        has = pr_sql_has_table(db, books[i], err);
    return has;
}

int pr_foreign_new(sqlite3 *db, const char *path, const pr_inverse_made_t *made, pr_foreign_t **ret_foreign,
                   pr_error_t *err) {
    int result = s_has_books(db, err);
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
        result = pr_database_prepare(db, path, sqlite3_mprintf("PRAGMA data_version"), &foreign->version, err);
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
    sqlite3_finalize((*foreign)->version);
    pr_row_digests_destroy(&(*foreign)->digests);
    free((*foreign)->names);
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

/* The columns that a replay changes, and the target has: what a row's state is asked by. */
static int s_take_columns(pr_foreign_t *foreign, const pr_row_spec_t *spec, pr_error_t *err) {
    int has = 0;
    free(foreign->names);
    foreign->names = pr_xcalloc(spec->columns_count + 1, sizeof *foreign->names);
    foreign->names_count = 0;
    for (size_t i = 0; has >= 0 && i < spec->columns_count; i++) {
        const pr_column_t *column = &spec->columns[i];
        if (column->key ? spec->through_table == NULL || column->op != PR_OP_PARENT : column->keep)
            continue;
        has = pr_sql_has_column(foreign->db, spec->table, column->name, err);
        if (has <= 0)
            continue;
        pr_row_digests_add(foreign->digests, spec->table, column->name, &foreign->table);
        foreign->names[foreign->names_count++] = column->name;
    }
    return has < 0 ? has : 0;
}

/* Ask about rows of this row of the mapping, as they are now. */
static int s_open_digests(pr_foreign_t *foreign, const pr_row_spec_t *spec, pr_error_t *err) {
    int result = 0;
    if (foreign->spec != spec) {
        foreign->spec = NULL;
        pr_row_digests_destroy(&foreign->digests);
        foreign->digests = pr_row_digests_new(foreign->db);
        result = s_take_columns(foreign, spec, err);
        if (result == 0)
            result = pr_row_digests_prepare(foreign->digests, err);
        foreign->spec = result == 0 ? spec : NULL;
    }
    if (result == 0)
        result = pr_database_step(foreign->db, foreign->path, foreign->version, err);
    if (result > 0 && foreign->data_version != sqlite3_column_int64(foreign->version, 0)) {
        pr_row_digests_drop(foreign->digests);
        foreign->data_version = sqlite3_column_int64(foreign->version, 0);
    }
    sqlite3_reset(foreign->version);
    return result < 0 ? result : 0;
}

/* Is the row as pvrelay last stored it? 1, 0 or <0. */
static int s_is_ours(pr_foreign_t *foreign, const pr_row_spec_t *spec, int64_t row, pr_error_t *err) {
    pr_row_state_t state = PR_ROW_NEVER;
    int result = s_open_digests(foreign, spec, err);
    if (result == 0 && foreign->names_count > 0)
        result = pr_row_digests_state(foreign->digests, foreign->table, row, foreign->names, foreign->names_count,
                                      &state, err);
    return result < 0 ? result : state == PR_ROW_OURS;
}

int pr_foreign_is_kept(pr_foreign_t *foreign, const pr_row_spec_t *spec, int64_t row, uint32_t source, uint64_t ordinal,
                       pr_error_t *err) {
    if (foreign == NULL)
        return 0;
    sqlite3_stmt *statement = foreign->kept;
    sqlite3_bind_text(statement, 1, spec->table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, row);
    sqlite3_bind_int64(statement, 3, (int64_t)ordinal);
    bool kept = false;
    int result = 0;
    while (!kept && (result = pr_database_step(foreign->db, foreign->path, statement, err)) > 0)
        kept = s_is_source(foreign->made, sqlite3_column_int64(statement, 0),
                           (uint32_t)sqlite3_column_int64(statement, 1), source);
    sqlite3_reset(statement);
    if (result < 0 || !kept)
        return result < 0 ? result : 0;
    int ours = s_is_ours(foreign, spec, row, err);
    return ours < 0 ? ours : ours == 0;
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
