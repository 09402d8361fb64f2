/* SPDX-License-Identifier: MIT */
/* The proof of the whole: what no single commit can show. */
#include "validator/proof.h"

/*  DESIGN
 *
 *  A check is a query whose rows are the failures: table, key, column, expected, stored, all text. So adding a check is
 *  adding a query. All of the content run in one read transaction; references and the file itself need not, as nothing
 *  is written meanwhile, and where everything is proved at once have a thread (validator/beside.h). S_CHECKS are about the
 *  run's books; a proof of exports has none.
 *
 *  What the exports say as a whole is looked at by stream (mapping: `distribution`, `position`, `declares`), in parts of
 *  their own: the groups and their tallies (proof_groups.c), the stored distribution (proof_distribution.c), rows that
 *  the exports lack (proof_extra.c), what is declared (proof_findings.c). All of it comes from the books and the target,
 *  so that a validator that was started only for this proves as much as one that saw every commit.
 *
 *  Joins need tables of their own, temp.pr_group and temp.pr_row. They are in memory, in a connection that cannot write
 *  to the target; query_only is lifted for them, as it forbids them too.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/quick_check.h"
#include "common/sql_text.h"
#include "validator/beside.h"
#include "validator/database.h"
#include "validator/proof_parts.h"

/* Every source's checkpoints: their records add up to the planned ones, and each record is accounted for. */
#define S_ACCOUNTS                                                                                                     \
    "WITH account AS ("                                                                                                \
    " SELECT s.source, s.stream, s.path, s.records AS planned, total(c.records) AS read,"                              \
    "  total(c.inserted) + total(c.updated) + total(c.unchanged) AS applied, total(c.rejected) AS rejected,"           \
    "  (SELECT count(*) FROM pvrelay_reject r WHERE r.run = s.run AND r.source = s.source) AS kept"                    \
    " FROM pvrelay_source s LEFT JOIN pvrelay_checkpoint c"                                                            \
    "  ON c.run = s.run AND c.source = s.source AND c.kind = 'batch'"                                                  \
    " WHERE s.run = ?1 GROUP BY s.source) "

#define S_ACCOUNT_ROW(column, expected, stored)                                                                        \
    "SELECT source, stream, 'pvrelay_checkpoint', 'source=' || source || ' (' || path || ')', '" column "',"           \
    " printf('%lld', " expected "), printf('%lld', " stored ") FROM account WHERE " expected " <> " stored

static const char *const S_CHECKS[] = {
    /* read = planned; written + unchanged + rejected = read; every reject is kept */
    S_ACCOUNTS S_ACCOUNT_ROW("records", "planned", "read") " UNION ALL " S_ACCOUNT_ROW(
        "inserted + updated + unchanged + rejected", "read",
        "(applied + rejected)") " UNION ALL " S_ACCOUNT_ROW("rejected", "kept", "rejected") " ORDER BY 1",

    /* batches follow each other without gap or overlap */
    "WITH batch AS (SELECT b.source, s.stream, b.checkpoint, b.first_ordinal,"
    "  lag(b.first_ordinal + b.records, 1, 0) OVER (PARTITION BY b.source ORDER BY b.first_ordinal) AS previous_end"
    " FROM pvrelay_checkpoint b JOIN pvrelay_source s ON s.run = b.run AND s.source = b.source"
    " WHERE b.run = ?1 AND b.kind = 'batch') "
    "SELECT source, stream, 'pvrelay_checkpoint', 'checkpoint=' || checkpoint, 'first_ordinal', previous_end, "
    "first_ordinal "
    "FROM batch WHERE first_ordinal <> previous_end ORDER BY checkpoint",

    /* every batch has been proved */
    "SELECT b.source, s.stream, 'pvrelay_checkpoint', 'checkpoint=' || b.checkpoint, 'validated', '1 or 2', "
    "b.validated "
    "FROM pvrelay_checkpoint b JOIN pvrelay_source s ON s.run = b.run AND s.source = b.source "
    "WHERE b.run = ?1 AND b.kind = 'batch' AND b.validated = 0 ORDER BY b.checkpoint",

    /* a rejected record leaves nothing behind: no row was made for it */
    "SELECT m.source, r.stream, m.table_name, 'id=' || m.row_id, '', 'no row: its record was rejected', 'a row' "
    "FROM pvrelay_made m JOIN pvrelay_reject r ON r.run = m.run AND r.source = m.source AND r.ordinal = m.ordinal "
    "WHERE m.run = ?1 ORDER BY m.table_name, m.row_id",

    /* a record that was rejected because others had changed its row, and the row in the books: neither is without the other */
    "SELECT r.source, r.stream, 'pvrelay_foreign_change', 'checkpoint=' || r.checkpoint || ', ordinal=' || r.ordinal, "
    "'outcome', 'rejected', 'no entry' FROM pvrelay_reject r WHERE r.run = ?1 AND r.reason = 'changed_in_target' AND "
    "NOT "
    "EXISTS (SELECT 1 FROM pvrelay_foreign_change f WHERE f.checkpoint = r.checkpoint AND f.ordinal = r.ordinal AND "
    "f.outcome = 'rejected') ORDER BY r.reject",
    "SELECT f.source, s.stream, 'pvrelay_foreign_change', f.table_name || ' id=' || f.row_id || ', checkpoint=' || "
    "f.checkpoint, 'outcome', 'no entry: no record was rejected for it', f.outcome FROM pvrelay_foreign_change f JOIN "
    "pvrelay_source s ON s.run = f.run AND s.source = f.source WHERE f.run = ?1 AND f.outcome = 'rejected' AND NOT "
    "EXISTS "
    "(SELECT 1 FROM pvrelay_reject r WHERE r.checkpoint = f.checkpoint AND r.ordinal = f.ordinal AND r.reason = "
    "'changed_in_target') ORDER BY f.checkpoint, f.ordinal",
};

/* Whatever the exports are, the file is whole. */
#define S_QUICK_CHECK_COLUMN "quick_check"
static const char S_QUICK_CHECK[] = "SELECT 0, '', '', '', '" S_QUICK_CHECK_COLUMN
                                    "', 'ok', quick_check FROM pragma_quick_check(100) WHERE quick_check <> 'ok'";

static const char S_TABLES[] = "PRAGMA query_only = 0; PRAGMA temp_store = memory;"
                               "CREATE TEMP TABLE IF NOT EXISTS pr_group (n INTEGER PRIMARY KEY, \"key\");"
                               "CREATE TEMP TABLE IF NOT EXISTS pr_row (id INTEGER PRIMARY KEY);";
static const char S_NO_TABLES[] = "DROP TABLE IF EXISTS temp.pr_group; DROP TABLE IF EXISTS temp.pr_row;"
                                  "PRAGMA query_only = 1;";

/*  Run a check: each of its rows (source, stream, table, key, column, expected, stored) is a failure. run: for ?1, if the
 *  check has that. Takes sql. */
static int s_query(sqlite3 *db, const char *target, int64_t run, char *sql, pr_proof_list_t *list, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(db, target, sql, &statement, err);
    if (result == 0 && sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, run);
    while (result == 0 && (result = pr_database_step(db, target, statement, err)) > 0) {
        pr_failure_t failure = {.kind = PR_FAILURE_WHOLE,
                                .source = (uint32_t)sqlite3_column_int64(statement, 0),
                                .stream = pr_sql_column_text(statement, 1),
                                .table = pr_sql_column_text(statement, 2),
                                .key = pr_sql_column_text(statement, 3),
                                .column = pr_sql_column_text(statement, 4),
                                .expected = pr_sql_column_text(statement, 5),
                                .stored = pr_sql_column_text(statement, 6)};
        result = strcmp(failure.column, S_QUICK_CHECK_COLUMN) == 0
                     ? pr_quick_check_finding(db, target, failure.stored, err)
                     : 0;
        if (result == 0)
            pr_proof_list_add_failure(list, &failure);
    }
    sqlite3_finalize(statement);
    return result;
}

static int s_check(pr_proof_t *proof, char *sql, pr_proof_list_t *list, pr_error_t *err) {
    return s_query(proof->db, proof->path, proof->run, sql, list, err);
}

static bool s_is_mapped(const pr_mapping_t *mapping, const char *table) {
    for (size_t i = 0; i < mapping->streams_count; i++)
        for (size_t j = 0; j < mapping->streams[i].rows_count; j++)
            if (sqlite3_stricmp(mapping->streams[i].rows[j].table, table) == 0)
                return true;
    return false;
}

/* Does the mapping change rows of this table: by a row of mode upsert, or by a derived column? */
static bool s_is_changed(const pr_mapping_t *mapping, const char *table) {
    for (size_t i = 0; i < mapping->streams_count; i++)
        for (size_t j = 0; j < mapping->streams[i].rows_count; j++)
            if (mapping->streams[i].rows[j].mode == PR_MODE_UPSERT &&
                sqlite3_stricmp(mapping->streams[i].rows[j].table, table) == 0)
                return true;
    for (size_t i = 0; i < mapping->derived_count; i++)
        if (sqlite3_stricmp(mapping->derived[i].table, table) == 0)
            return true;
    return false;
}

/* Is this the first row of the mapping that is made in its table? */
static bool s_is_first(const pr_mapping_t *mapping, size_t stream, size_t row) {
    const char *table = mapping->streams[stream].rows[row].table;
    for (size_t i = 0; i <= stream; i++)
        for (size_t j = 0; j < (i == stream ? row : mapping->streams[i].rows_count); j++)
            if (sqlite3_stricmp(mapping->streams[i].rows[j].table, table) == 0)
                return false;
    return true;
}

/*  Dangling references in tables that the mapping (context) fills are failures; those in other tables were there before,
 *  or are somebody else's: a finding. */
static int s_check_foreign_keys(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list,
                                pr_error_t *err) {
    const pr_mapping_t *mapping = context;
    sqlite3_stmt *statement = NULL;
    uint64_t elsewhere = 0;
    char detail[640] = "";
    int result = pr_database_prepare(
        db, target,
        sqlite3_mprintf("SELECT c.\"table\", c.rowid, c.parent, f.\"from\" FROM pragma_foreign_key_check() c "
                        "LEFT JOIN pragma_foreign_key_list(c.\"table\") f ON f.id = c.fkid AND f.seq = 0"),
        &statement, err);
    while (result == 0 && (result = pr_database_step(db, target, statement, err)) > 0) {
        char key[64];
        char expected[256];
        snprintf(key, sizeof key, "id=%lld", (long long)sqlite3_column_int64(statement, 1));
        snprintf(expected, sizeof expected, "a row of %.200s", pr_sql_column_text(statement, 2));
        pr_failure_t failure = {.kind = PR_FAILURE_WHOLE,
                                .stream = "",
                                .table = pr_sql_column_text(statement, 0),
                                .key = key,
                                .column = pr_sql_column_text(statement, 3),
                                .expected = expected,
                                .stored = "refers to none"};
        if (s_is_mapped(mapping, failure.table))
            pr_proof_list_add_failure(list, &failure);
        else if (elsewhere++ == 0)
            snprintf(detail, sizeof detail, "%.60s %.60s, %.60s: %s, refers to none", failure.table, key,
                     failure.column, expected);
        result = 0;
    }
    sqlite3_finalize(statement);
    if (result == 0 && elsewhere > 0) {
        pr_finding_t finding = {
            .kind = "foreign_key_elsewhere", .stream = "", .field = "", .detail = detail, .count = elsewhere};
        pr_proof_list_add_finding(list, &finding);
    }
    return result;
}

/* An SQL literal. *Returns new* (sqlite3_malloc). */
static char *s_literal(const pr_value_t *value) {
    switch (value->kind) {
    case PR_INTEGER:
        return sqlite3_mprintf("%lld", (long long)value->integer);
    case PR_REAL:
        return sqlite3_mprintf("%!.17g", value->real);
    case PR_TEXT:
        return sqlite3_mprintf("'%.*q'", (int)value->text.size, value->text.data);
    case PR_NULL:
        break;
    }
    return sqlite3_mprintf("NULL");
}

/* --- Derived columns --- */

/* Note the rows of a derived column's table that the records of a stream lead to: their own, or those they refer to. */
static int s_note_rows(pr_proof_t *proof, const pr_derived_t *derived, const pr_groups_t *groups, pr_error_t *err) {
    const char *column = NULL;
    char *sql;
    if (groups->row != NULL && sqlite3_stricmp(groups->row->table, derived->table) == 0)
        column = groups->by->name;
    else if (groups->lookup != NULL && sqlite3_stricmp(groups->lookup->lookup_table, derived->table) == 0)
        column = groups->lookup->lookup_key;
    if (column == NULL || groups->count == 0)
        return 0;
    int result = pr_groups_tell(proof, groups, PR_GROUPS_ALL, err);
    if (result != 0)
        return result;
    sql = sqlite3_mprintf("INSERT OR IGNORE INTO temp.pr_row SELECT t.id FROM temp.pr_group g"
                          " CROSS JOIN \"%w\" t ON t.\"%w\" = g.\"key\"",
                          derived->table, column);
    if (sql == NULL)
        abort();
    result = pr_database_exec(proof->db, proof->path, sql, err);
    sqlite3_free(sql);
    return result;
}

/*  Recompute a derived column, for the rows that the records lead to and those that the run says it dealt with.
 *  Percentages are equal if they are to nine digits: the order of the operations may differ. */
static int s_check_derived(pr_proof_t *proof, const pr_derived_t *derived, const pr_groups_t *groups,
                           pr_proof_list_t *list, pr_error_t *err) {
    int result = pr_database_exec(proof->db, proof->path, "DELETE FROM temp.pr_row", err);
    for (size_t s = 0; result == 0 && s < proof->mapping->streams_count; s++)
        result = s_note_rows(proof, derived, &groups[s], err);
    if (result == 0 && proof->of_run)
        result = s_check(proof,
                         sqlite3_mprintf("INSERT OR IGNORE INTO temp.pr_row SELECT row_id FROM pvrelay_touched"
                                         " WHERE run = ?1 AND table_name = %Q",
                                         derived->table),
                         list, err);
    if (result != 0)
        return result;
    char *except = s_literal(&derived->except_value);
    char *sql = sqlite3_mprintf(
        "WITH recomputed AS (SELECT p.id, t.id IS NOT NULL AS there, t.\"%w\" AS stored,"
        "  (SELECT CASE count(*) WHEN 0 THEN 0.0 ELSE 100.0 * total(c.\"%w\" IS NOT %s) / count(*) END"
        "   FROM \"%w\" c WHERE c.\"%w\" = p.id) AS expected"
        " FROM temp.pr_row p LEFT JOIN \"%w\" t ON t.id = p.id) "
        "SELECT 0, '', %Q, 'id=' || id, %Q, expected, CASE WHEN there THEN quote(stored) ELSE 'no such row' END "
        "FROM recomputed WHERE NOT there OR typeof(stored) NOT IN ('real', 'integer') OR abs(stored - expected) > 1e-7 "
        "ORDER BY id",
        derived->column, derived->except_column, except, derived->child_table, derived->child_column, derived->table,
        derived->table, derived->column);
    sqlite3_free(except);
    return s_check(proof, sql, list, err);
}

/* --- The exports as a whole --- */

/* The streams whose records are told in tallies. */
static bool s_is_grouped(const pr_stream_t *stream) {
    return stream->distribution_by >= 0 || stream->declares.by >= 0;
}

/* Parents come before children, so that parents without a child are groups of the children too. */
static int s_load_groups(pr_proof_t *proof, const pr_proof_list_t *list, pr_groups_t *groups, pr_error_t *err) {
    const pr_mapping_t *mapping = proof->mapping;
    int result = 0;
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++) {
        const pr_groups_t *parents = NULL;
        for (size_t p = 0; p < s; p++)
            if (mapping->streams[p].declares.stream == (int)s)
                parents = &groups[p];
        if (s_is_grouped(&mapping->streams[s]))
            result = pr_groups_load(proof, (int)s, parents, list, &groups[s], err);
    }
    return result;
}

static int s_check_streams(pr_proof_t *proof, pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err) {
    const pr_mapping_t *mapping = proof->mapping;
    int result = 0;
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++) {
        if (mapping->streams[s].distribution_by >= 0)
            result = pr_proof_distribution(proof, &groups[s], list, err);
        if (result == 0 && mapping->streams[s].distribution_by >= 0)
            result = pr_proof_extra(proof, &groups[s], list, err);
        if (result == 0 && mapping->streams[s].declares.by >= 0 && groups[s].count > 0)
            result = pr_proof_keys(proof, &groups[s], list, err);
    }
    for (size_t s = 0; result == 0 && s < mapping->streams_count; s++) {
        int children = mapping->streams[s].declares.stream;
        if (children >= 0)
            result = pr_proof_declared(proof, &groups[s], &groups[children], list, err);
    }
    return result;
}

/*  A table that only rows of mode ensure are made in holds rows of others, too: none is ever changed, and of the ids that
 *  a commit took from the table's counter none is on a row that is not noted as made. (A counter that began with that
 *  commit proves nothing: a table may have lost its counter, with rows in it.) */
static int s_check_ensured_table(pr_proof_t *proof, const char *table, pr_proof_list_t *list, pr_error_t *err) {
    int result = s_check(
        proof,
        sqlite3_mprintf("SELECT c.source, '', 'pvrelay_checkpoint_rows',"
                        " 'checkpoint=' || c.checkpoint || ', table_name=' || %Q, 'updated', '0', w.updated"
                        " FROM pvrelay_checkpoint c JOIN pvrelay_checkpoint_rows w ON w.checkpoint = c.checkpoint"
                        " WHERE c.run = ?1 AND w.updated <> 0 AND w.table_name = %Q ORDER BY c.checkpoint",
                        table, table),
        list, err);
    if (result == 0)
        result =
            s_check(proof,
                    sqlite3_mprintf("SELECT f.source, '', 'pvrelay_foreign_change', f.table_name || ' id=' || f.row_id"
                                    " || ', checkpoint=' || f.checkpoint, 'outcome',"
                                    " 'no entry: rows of this table are never changed', f.outcome"
                                    " FROM pvrelay_foreign_change f WHERE f.run = ?1 AND f.table_name = %Q"
                                    " ORDER BY f.checkpoint, f.ordinal",
                                    table),
                    list, err);
    if (result != 0)
        return result;
    return s_check(proof,
                   sqlite3_mprintf("SELECT c.source, '', %Q, 'id=' || t.id, '', 'no row: no accepted record made it',"
                                   " 'a row' FROM pvrelay_checkpoint c"
                                   " JOIN pvrelay_undo_sequence q ON q.checkpoint = c.checkpoint AND q.table_name = %Q"
                                   " JOIN \"%w\" t ON t.id > q.before AND t.id <= q.after"
                                   " WHERE c.run = ?1 AND c.kind = 'batch' AND NOT EXISTS (SELECT 1 FROM pvrelay_made m"
                                   " WHERE m.table_name = %Q AND m.row_id = t.id) ORDER BY t.id",
                                   table, table, table, table),
                   list, err);
}

static int s_check_ensured(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    const pr_mapping_t *mapping = proof->mapping;
    int result = 0;
    for (size_t s = 0; s < mapping->streams_count; s++)
        for (size_t r = 0; result == 0 && r < mapping->streams[s].rows_count; r++) {
            const pr_row_spec_t *row = &mapping->streams[s].rows[r];
            if (row->mode == PR_MODE_ENSURE && !s_is_changed(mapping, row->table) && s_is_first(mapping, s, r))
                result = s_check_ensured_table(proof, row->table, list, err);
        }
    return result;
}

static int s_check_run(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; i < sizeof S_CHECKS / sizeof S_CHECKS[0] && result == 0; i++)
        result = s_check(proof, sqlite3_mprintf("%s", S_CHECKS[i]), list, err);
    return result == 0 ? s_check_ensured(proof, list, err) : result;
}

/*  Add up the groups of a stream. Where the tables were walked and agree it is their rows that count, else those that the
 *  records were proved to be: what differs is told as such. */
static void s_add_up(pr_proof_t *proof, const pr_groups_t *groups) {
    bool walked = groups->stream->distribution_by >= 0 && !groups->partial;
    for (size_t g = 0; g < groups->count; g++) {
        const pr_group_t *group = &groups->groups[g];
        proof->tallied += group->records;
        proof->tallied_rows += walked && !group->suspect ? group->found : group->proved;
    }
}

static int s_check_content(pr_proof_t *proof, pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err) {
    int result = proof->of_run ? s_check_run(proof, list, err) : 0;
    if (result == 0)
        result = s_load_groups(proof, list, groups, err);
    for (size_t i = 0; i < proof->mapping->derived_count && result == 0; i++)
        result = s_check_derived(proof, &proof->mapping->derived[i], groups, list, err);
    if (result == 0 && proof->of_run)
        result = pr_proof_made(proof, list, err);
    if (result == 0)
        result = s_check_streams(proof, groups, list, err);
    proof->tallied = proof->tallied_rows = 0;
    for (size_t s = 0; result == 0 && s < proof->mapping->streams_count; s++)
        if (s_is_grouped(&proof->mapping->streams[s]))
            s_add_up(proof, &groups[s]);
    return result;
}

/* Is the target still the file that is proved? The check beside opens what lies at its path: asked before and after it. */
static int s_check_place(const pr_proof_t *proof, pr_error_t *err) {
    return pr_sql_place_check(proof->db, proof->path, &proof->place, err);
}

/* The content but for its references. */
static int s_prove_content(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    pr_groups_t *groups = pr_xcalloc(proof->mapping->streams_count + 1, sizeof *groups);
    int result = s_check_place(proof, err);
    if (result == 0)
        result = pr_database_exec(proof->db, proof->path, S_TABLES, err);
    if (result == 0)
        result = pr_database_exec(proof->db, proof->path, "BEGIN", err);
    if (result == 0) {
        result = s_check_content(proof, groups, list, err);
        int ended =
            pr_database_exec(proof->db, proof->path, result == 0 ? "COMMIT" : "ROLLBACK", result == 0 ? err : NULL);
        result = result != 0 ? result : ended;
    }
    int dropped = pr_database_exec(proof->db, proof->path, S_NO_TABLES, result == 0 ? err : NULL);
    for (size_t s = 0; s < proof->mapping->streams_count; s++)
        pr_groups_clear(&groups[s]);
    free(groups);
    return result != 0 ? result : dropped;
}

int pr_proof_books(pr_proof_t *proof, uint64_t ret_numbers[PR_PROOF_BOOKS], pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT count(*), ifnull(sum(records), 0), ifnull(sum(rejected), 0) FROM pvrelay_checkpoint "
                        "WHERE run = %lld AND kind = 'batch'",
                        (long long)proof->run),
        &statement, err);
    if (result == 0)
        result = pr_database_step(proof->db, proof->path, statement, err);
    if (result > 0) {
        for (int i = 0; i < 3; i++)
            ret_numbers[i] = (uint64_t)sqlite3_column_int64(statement, i);
        ret_numbers[3] = proof->tallied;
        ret_numbers[4] = proof->tallied_rows;
    }
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

static int s_check_file(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list, pr_error_t *err) {
    (void)context;
    return s_query(db, target, 0, sqlite3_mprintf("%s", S_QUICK_CHECK), list, err);
}

static int s_check_foreign_keys_and_file(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list,
                                         pr_error_t *err) {
    int result = s_check_foreign_keys(db, target, context, list, err);
    return result == 0 ? s_check_file(db, target, context, list, err) : result;
}

/* Whether in parts or at once, failures come in the same order: content, references, file. */

int pr_proof_content(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    int result = s_prove_content(proof, list, err);
    return result == 0 ? s_check_foreign_keys(proof->db, proof->path, proof->mapping, list, err) : result;
}

int pr_proof_file(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    pr_beside_t *beside = NULL;
    int result = s_check_place(proof, err);
    if (result == 0)
        result = pr_beside_begin(proof->path, s_check_file, NULL, &beside, err);
    if (result == 0)
        result = pr_beside_end(&beside, list, err);
    return result == 0 ? s_check_place(proof, err) : result;
}

int pr_proof_whole(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    pr_beside_t *beside = NULL;
    int result = s_check_place(proof, err);
    if (result == 0)
        result = pr_beside_begin(proof->path, s_check_foreign_keys_and_file, proof->mapping, &beside, err);
    if (result < 0)
        return result;
    result = s_prove_content(proof, list, err);
    int checked = pr_beside_end(&beside, list, result == 0 ? err : NULL);
    if (result == 0)
        result = checked;
    return result == 0 ? s_check_place(proof, err) : result;
}
