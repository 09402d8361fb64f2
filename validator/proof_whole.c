/* SPDX-License-Identifier: MIT */
/* The proof of the whole: what no single commit can show. */
#include "validator/proof.h"

/*  DESIGN
 *
 *  A check is a query whose rows are the failures: table, key, column, expected, stored, all text. So adding a check is
 *  adding a query. All run in one read transaction.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "validator/database.h"
#include "validator/proof_state.h"

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

    "SELECT 0, '', '', '', 'quick_check', 'ok', quick_check FROM pragma_quick_check(100) WHERE quick_check <> 'ok'",
};

static const char *s_text(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

/* Run a check: each of its rows (source, stream, table, key, column, expected, stored) is a failure. Takes sql. */
static int s_check(pr_proof_t *proof, char *sql, pr_proof_list_t *list, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(proof->db, proof->path, sql, &statement, err);
    if (result == 0 && sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, proof->run);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        pr_failure_t failure = {.kind = PR_FAILURE_WHOLE,
                                .source = (uint32_t)sqlite3_column_int64(statement, 0),
                                .stream = s_text(statement, 1),
                                .table = s_text(statement, 2),
                                .key = s_text(statement, 3),
                                .column = s_text(statement, 4),
                                .expected = s_text(statement, 5),
                                .stored = s_text(statement, 6)};
        pr_proof_list_add_failure(list, &failure);
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

static bool s_is_mapped(const pr_mapping_t *mapping, const char *table) {
    for (size_t i = 0; i < mapping->streams_count; i++)
        for (size_t j = 0; j < mapping->streams[i].rows_count; j++)
            if (sqlite3_stricmp(mapping->streams[i].rows[j].table, table) == 0)
                return true;
    return false;
}

/*  Dangling references in tables that the mapping fills are failures; those in other tables were there before, or are
 *  somebody else's: a finding. */
static int s_check_foreign_keys(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    uint64_t elsewhere = 0;
    char detail[640] = "";
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT c.\"table\", c.rowid, c.parent, f.\"from\" FROM pragma_foreign_key_check() c "
                        "LEFT JOIN pragma_foreign_key_list(c.\"table\") f ON f.id = c.fkid AND f.seq = 0"),
        &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        char key[64];
        char expected[256];
        snprintf(key, sizeof key, "id=%lld", (long long)sqlite3_column_int64(statement, 1));
        snprintf(expected, sizeof expected, "a row of %.200s", s_text(statement, 2));
        pr_failure_t failure = {.kind = PR_FAILURE_WHOLE,
                                .stream = "",
                                .table = s_text(statement, 0),
                                .key = key,
                                .column = s_text(statement, 3),
                                .expected = expected,
                                .stored = "refers to none"};
        if (s_is_mapped(proof->mapping, failure.table))
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

/* Recompute a derived column for the rows the run dealt with. Percentages are equal if they are to nine digits: the
 * order of the operations may differ. */
static int s_check_derived(pr_proof_t *proof, const pr_derived_t *derived, pr_proof_list_t *list, pr_error_t *err) {
    char *except = s_literal(&derived->except_value);
    char *sql = sqlite3_mprintf(
        "WITH recomputed AS (SELECT p.row_id AS id, t.id IS NOT NULL AS there, t.\"%w\" AS stored,"
        "  (SELECT CASE count(*) WHEN 0 THEN 0.0 ELSE 100.0 * total(c.\"%w\" IS NOT %s) / count(*) END"
        "   FROM \"%w\" c WHERE c.\"%w\" = p.row_id) AS expected"
        " FROM pvrelay_touched p LEFT JOIN \"%w\" t ON t.id = p.row_id"
        " WHERE p.run = ?1 AND p.table_name = %Q) "
        "SELECT 0, '', %Q, 'id=' || id, %Q, expected, CASE WHEN there THEN quote(stored) ELSE 'no such row' END "
        "FROM recomputed WHERE NOT there OR typeof(stored) NOT IN ('real', 'integer') OR abs(stored - expected) > 1e-7 "
        "ORDER BY id",
        derived->column, derived->except_column, except, derived->child_table, derived->child_column, derived->table,
        derived->table, derived->table, derived->column);
    sqlite3_free(except);
    return s_check(proof, sql, list, err);
}

static int s_check_all(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; i < sizeof S_CHECKS / sizeof S_CHECKS[0] && result == 0; i++)
        result = s_check(proof, sqlite3_mprintf("%s", S_CHECKS[i]), list, err);
    if (result == 0)
        result = s_check_foreign_keys(proof, list, err);
    for (size_t i = 0; i < proof->mapping->derived_count && result == 0; i++)
        result = s_check_derived(proof, &proof->mapping->derived[i], list, err);
    return result;
}

int pr_proof_whole(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    int result = pr_database_exec(proof->db, proof->path, "BEGIN", err);
    if (result != 0)
        return result;
    result = s_check_all(proof, list, err);
    int ended = pr_database_exec(proof->db, proof->path, result == 0 ? "COMMIT" : "ROLLBACK", result == 0 ? err : NULL);
    return result != 0 ? result : ended;
}
