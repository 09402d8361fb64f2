/* SPDX-License-Identifier: MIT */
/* What the mapping and the target add to a report: tables, checks, the way back. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/rollback_point.h"
#include "common/sql_has.h"
#include "control/report_parts.h"

/* ---- tables ---- */

static bool s_has_table(const pr_report_t *report, const char *table) {
    for (size_t i = 0; i < report->tables_count; i++) {
        if (strcmp(report->tables[i].table, table) == 0)
            return true;
    }
    return false;
}

static void s_append_table(pr_report_t *report, const pr_report_table_t *table) {
    report->tables = pr_xrealloc(report->tables, (report->tables_count + 1) * sizeof *report->tables);
    report->tables[report->tables_count++] = *table;
}

/* Put the tables into the order in which the mapping fills them; those that it does not fill stay behind. */
static void s_order_tables(pr_report_t *report, const pr_mapping_t *mapping) {
    pr_report_table_t *known = report->tables;
    size_t count = report->tables_count;
    report->tables = NULL;
    report->tables_count = 0;
    for (size_t s = 0; s < mapping->streams_count; s++) {
        for (size_t r = 0; r < mapping->streams[s].rows_count; r++) {
            const char *name = mapping->streams[s].rows[r].table;
            if (!s_has_table(report, name))
                s_append_table(report, &(pr_report_table_t){.table = pr_xstrdup(name), .rows = -1});
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < report->tables_count; k++) {
            if (strcmp(report->tables[k].table, known[i].table) == 0) {
                report->tables[k].inserted = known[i].inserted;
                report->tables[k].updated = known[i].updated;
            }
        }
        if (s_has_table(report, known[i].table))
            free(known[i].table);
        else
            s_append_table(report, &known[i]);
    }
    free(known);
}

static int s_count_rows(pr_report_t *report, sqlite3 *db, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < report->tables_count; i++) {
        sqlite3_stmt *statement = NULL;
        int has = pr_sql_has_table(db, report->tables[i].table, err);
        if (has < 0)
            return has;
        if (has == 0)
            continue;
        char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", report->tables[i].table);
        result = pr_ledger_prepare(db, sql, &statement, err);
        if (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
            report->tables[i].rows = sqlite3_column_int64(statement, 0);
            result = 0;
        }
        sqlite3_finalize(statement);
        sqlite3_free(sql);
    }
    return result;
}

/* ---- the way back ---- */

static const char S_SQL_REVERSIBLE[] =
    "SELECT count(*) > 0 AND count(u.checkpoint) = count(*) FROM pvrelay_checkpoint c"
    " JOIN pvrelay_run r ON r.run = c.run LEFT JOIN pvrelay_undo u ON u.checkpoint = c.checkpoint"
    " WHERE c.checkpoint > ?1 AND r.rolled_back_at IS NULL";

/* The newest run that committed something and was not taken back; 0: none. */
static int s_newest_run(sqlite3 *db, int64_t *ret_run, pr_error_t *err) {
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    int result = pr_ledger_runs(db, NULL, &runs, &count, err);
    *ret_run = 0;
    for (size_t i = 0; i < count; i++) {
        if (*runs[i].rolled_back_at == '\0' && runs[i].checkpoint > 0)
            *ret_run = runs[i].number;
    }
    free(runs);
    return result;
}

static int s_find_undo(sqlite3 *db, int64_t run, pr_report_undo_t *ret_undo, pr_error_t *err) {
    pr_rollback_point_t point;
    sqlite3_stmt *statement = NULL;
    pr_report_undo_t undo = {.known = true, .run = run};
    int result = pr_rollback_point_start(db, run, &point, err);
    if (result < 0)
        return result;
    undo.checkpoint = point.checkpoint;
    result = pr_ledger_prepare(db, S_SQL_REVERSIBLE, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, point.checkpoint);
        result = pr_ledger_step(db, statement, err);
    }
    if (result > 0)
        undo.reversible = sqlite3_column_int(statement, 0) != 0;
    sqlite3_finalize(statement);
    if (result < 0)
        return result;
    *ret_undo = undo;
    return 0;
}

int pr_report_describe_undo(pr_report_t *report, sqlite3 *db, pr_error_t *err) {
    int64_t run = report->run.number;
    int result = 0;
    if (*report->run.rolled_back_at != '\0') {
        report->undo = (pr_report_undo_t){.known = true, .taken_back = true, .run = run};
        return 0;
    }
    int has = pr_sql_has_table(db, "pvrelay_undo", err);
    if (has <= 0)
        return has;
    if (run == 0)
        result = s_newest_run(db, &run, err);
    /* A run that has committed nothing leaves nothing to take back. */
    if (result < 0 || run == 0 || (report->run.number != 0 && report->run.checkpoint == 0))
        return result;
    return s_find_undo(db, run, &report->undo, err);
}

/* ---- all of it ---- */

static void s_set(char **text, const char *by) {
    free(*text);
    *text = pr_xstrdup(by);
}

/* Take the mapping into the report, unless the run was made with another one. */
static bool s_add_mapping(pr_report_t *report, const pr_mapping_t *mapping) {
    json_t *json = pr_report_mapping_to_json(mapping);
    const char *digest = json_string_value(json_object_get(json, "digest"));
    if (*report->mapping_digest != '\0' && strcmp(report->mapping_digest, digest) != 0) {
        json_decref(json);
        return false;
    }
    s_set(&report->mapping_digest, digest);
    s_set(&report->mapping_name, json_string_value(json_object_get(json, "name")));
    s_set(&report->mapping_path, json_string_value(json_object_get(json, "path")));
    report->mapping = json;
    return true;
}

int pr_report_describe(pr_report_t *report, sqlite3 *db, const pr_mapping_t *mapping, pr_error_t *err) {
    int result = 0;
    /* Of a retry the tallies tell only the records that were tried again; of a run that is taken back nothing is left. */
    bool stored = *report->run.rolled_back_at == '\0' && strcmp(report->run.kind, "retry") != 0;
    bool ours = s_add_mapping(report, mapping);
    if (ours && db != NULL) {
        s_order_tables(report, mapping);
        result = pr_report_add_distributions(report, db, mapping, stored, err);
    }
    if (result == 0 && db != NULL)
        result = s_count_rows(report, db, err);
    if (result == 0 && pr_report_is_begun(report))
        result = pr_report_describe_undo(report, db, err);
    if (result == 0)
        pr_report_judge(report, ours ? mapping : NULL);
    return result;
}
