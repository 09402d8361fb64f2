/* SPDX-License-Identifier: MIT */
/* What a rollback does, or would do. */
#include "common/rollback_report.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/sql_text.h"

static const char *const S_WORDS[] = {
#define X(name, word, sentence) [PR_CONFLICT_##name] = word,
    PR_CONFLICTS(X)
#undef X
};

static const char *const S_SENTENCES[] = {
#define X(name, word, sentence) [PR_CONFLICT_##name] = sentence,
    PR_CONFLICTS(X)
#undef X
};

static const char S_SQL_SPAN[] = "SELECT count(*), ifnull(max(c.checkpoint), ?1) " PR_ROLLBACK_LIVE_BEYOND;

/* The newest one that keeps no undo, and why. */
static const char S_SQL_IRREVERSIBLE[] =
    "SELECT c.checkpoint, c.run, r.sealed_at " PR_ROLLBACK_LIVE_BEYOND
    " AND NOT EXISTS (SELECT 1 FROM pvrelay_undo AS u WHERE u.checkpoint = c.checkpoint)"
    " ORDER BY c.checkpoint DESC LIMIT 1";

/* A run that is not finished is taken back even if it has committed nothing yet. */
static const char S_SQL_RUNS[] =
    "SELECT r.run, count(c.checkpoint), ifnull(sum(c.records), 0) FROM pvrelay_run AS r LEFT JOIN pvrelay_checkpoint "
    "AS c "
    "ON c.run = r.run AND c.checkpoint > ?1 WHERE r.rolled_back_at IS NULL AND (r.run > ?2 OR c.checkpoint IS NOT "
    "NULL) "
    "GROUP BY r.run HAVING count(c.checkpoint) > 0 OR r.state IN ('streaming', 'proving') ORDER BY r.run";

static const char S_SQL_NAMES[] = "SELECT name FROM pvrelay_name WHERE checkpoint > ?1 ORDER BY checkpoint, name";

static const char S_SQL_TABLES[] =
    "SELECT t.table_name, sum(t.inserted), sum(t.updated) FROM pvrelay_checkpoint_rows AS t WHERE t.checkpoint IN "
    "(SELECT c.checkpoint " PR_ROLLBACK_LIVE_BEYOND ") GROUP BY t.table_name ORDER BY t.table_name";

/* What goes on: the point's run if it was abandoned or is taken back in part, or is not finished anyway. */
static const char S_SQL_CONTINUES[] = "SELECT r.run, (SELECT ifnull(sum(c.records), 0) FROM pvrelay_checkpoint AS c "
                                      "WHERE c.run = r.run AND c.checkpoint <= "
                                      "?1) FROM pvrelay_run AS r WHERE r.run = ?2 AND r.rolled_back_at IS NULL AND "
                                      "(r.state IN ('streaming', 'proving') OR "
                                      "(?3 AND r.sealed_at IS NULL AND (r.state = 'abandoned' OR EXISTS (SELECT 1 FROM "
                                      "pvrelay_checkpoint AS c WHERE c.run = "
                                      "r.run AND c.checkpoint > ?1))))";

const char *pr_conflict_word(pr_conflict_kind_t kind) {
    return S_WORDS[kind];
}

const char *pr_conflict_sentence(pr_conflict_kind_t kind) {
    return S_SENTENCES[kind];
}

void pr_rollback_report_destroy(pr_rollback_report_t **report) {
    if (report == NULL || *report == NULL)
        return;
    pr_rollback_report_t *dying = *report;
    for (size_t i = 0; i < dying->names_count; i++)
        free(dying->names[i]);
    for (size_t i = 0; i < dying->tables_count; i++)
        free(dying->tables[i].table);
    for (size_t i = 0; i < dying->conflicts_count; i++) {
        pr_conflict_t *conflict = &dying->conflicts[i];
        free(conflict->table);
        free(conflict->key);
        free(conflict->column);
        free(conflict->ours);
        free(conflict->theirs);
    }
    free(dying->runs);
    free(dying->names);
    free(dying->tables);
    free(dying->conflicts);
    free(dying);
    *report = NULL;
}

static char *s_copy(const char *text) {
    return pr_xstrdup(text != NULL ? text : "");
}

void pr_rollback_report_conflict(pr_rollback_report_t *report, const pr_conflict_t *conflict) {
    report->conflicts_total++;
    if (report->conflicts_count == PR_CONFLICTS_KEPT)
        return;
    /* Grown by doubling: at 0, 1, 2, 4, … there is no room left. */
    size_t count = report->conflicts_count;
    if ((count & (count - 1)) == 0)
        report->conflicts = pr_xrealloc(report->conflicts, (count == 0 ? 1 : 2 * count) * sizeof *report->conflicts);
    report->conflicts[report->conflicts_count++] = (pr_conflict_t){.kind = conflict->kind,
                                                                   .checkpoint = conflict->checkpoint,
                                                                   .table = s_copy(conflict->table),
                                                                   .key = s_copy(conflict->key),
                                                                   .column = s_copy(conflict->column),
                                                                   .ours = s_copy(conflict->ours),
                                                                   .theirs = s_copy(conflict->theirs)};
}

/* ---- from the books ---- */

typedef void s_row_fn(pr_rollback_report_t *report, sqlite3_stmt *row, const pr_rollback_point_t *point);

/* Every row of a question about a point: ?1 its checkpoint, ?2 its run, ?3 whether the run goes on from it. */
static int s_each(sqlite3 *db, const char *sql, const pr_rollback_point_t *point, s_row_fn *take,
                  pr_rollback_report_t *report, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int step = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (step == SQLITE_OK) {
        int parameters = sqlite3_bind_parameter_count(statement);
        sqlite3_bind_int64(statement, 1, point->checkpoint);
        if (parameters >= 2)
            sqlite3_bind_int64(statement, 2, point->run);
        if (parameters >= 3)
            sqlite3_bind_int(statement, 3, point->reopen);
        while ((step = sqlite3_step(statement)) == SQLITE_ROW)
            take(report, statement, point);
    }
    int result = 0;
    if (step != SQLITE_DONE)
        result = pr_migrate_fail(db, "reading the books", err);
    sqlite3_finalize(statement);
    return result;
}

static void s_take_span(pr_rollback_report_t *report, sqlite3_stmt *row, const pr_rollback_point_t *point) {
    (void)point;
    report->checkpoints = (uint64_t)sqlite3_column_int64(row, 0);
    report->from = sqlite3_column_int64(row, 1);
}

static void s_take_run(pr_rollback_report_t *report, sqlite3_stmt *row, const pr_rollback_point_t *point) {
    report->runs = pr_xrealloc(report->runs, (report->runs_count + 1) * sizeof *report->runs);
    report->runs[report->runs_count++] = (pr_rollback_run_t){.number = sqlite3_column_int64(row, 0),
                                                             .whole = sqlite3_column_int64(row, 0) != point->run,
                                                             .checkpoints = (uint64_t)sqlite3_column_int64(row, 1),
                                                             .records = (uint64_t)sqlite3_column_int64(row, 2)};
}

static void s_take_name(pr_rollback_report_t *report, sqlite3_stmt *row, const pr_rollback_point_t *point) {
    (void)point;
    report->names = pr_xrealloc(report->names, (report->names_count + 1) * sizeof *report->names);
    report->names[report->names_count++] = s_copy(pr_sql_column_text(row, 0));
}

static void s_take_table(pr_rollback_report_t *report, sqlite3_stmt *row, const pr_rollback_point_t *point) {
    (void)point;
    report->tables = pr_xrealloc(report->tables, (report->tables_count + 1) * sizeof *report->tables);
    report->tables[report->tables_count++] = (pr_rollback_table_t){.table = s_copy(pr_sql_column_text(row, 0)),
                                                                   .deleted = (uint64_t)sqlite3_column_int64(row, 1),
                                                                   .restored = (uint64_t)sqlite3_column_int64(row, 2)};
}

static void s_take_continues(pr_rollback_report_t *report, sqlite3_stmt *row, const pr_rollback_point_t *point) {
    (void)point;
    report->continues = sqlite3_column_int64(row, 0);
    report->position_records = (uint64_t)sqlite3_column_int64(row, 1);
}

static int s_check_undo(sqlite3 *db, const pr_rollback_point_t *point, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int step = sqlite3_prepare_v2(db, S_SQL_IRREVERSIBLE, -1, &statement, NULL);
    if (step == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, point->checkpoint);
        step = sqlite3_step(statement);
    }
    int result = 0;
    if (step == SQLITE_ROW) {
        int64_t checkpoint = sqlite3_column_int64(statement, 0);
        const char *sealed = (const char *)sqlite3_column_text(statement, 2);
        result = pr_error_set(err, PR_E_IRREVERSIBLE,
                              "%s: checkpoint %" PRId64 " of run %" PRId64
                              " cannot be taken back: %s%s; it is the earliest point that can be reached",
                              sqlite3_db_filename(db, "main"), checkpoint, (int64_t)sqlite3_column_int64(statement, 1),
                              sealed != NULL ? "the run was sealed at " : "no undo was kept with it (--undo off)",
                              sealed != NULL ? sealed : "");
    } else if (step != SQLITE_DONE) {
        result = pr_migrate_fail(db, "reading the books", err);
    }
    sqlite3_finalize(statement);
    return result;
}

int pr_rollback_plan(sqlite3 *db, const pr_rollback_point_t *point, pr_rollback_report_t **ret_report,
                     pr_error_t *err) {
    pr_rollback_report_t *report = pr_xcalloc(1, sizeof *report);
    report->to = point->checkpoint;
    int result = s_check_undo(db, point, err);
    if (result == 0)
        result = s_each(db, S_SQL_SPAN, point, s_take_span, report, err);
    if (result == 0)
        result = s_each(db, S_SQL_RUNS, point, s_take_run, report, err);
    if (result == 0)
        result = s_each(db, S_SQL_NAMES, point, s_take_name, report, err);
    if (result == 0)
        result = s_each(db, S_SQL_TABLES, point, s_take_table, report, err);
    if (result == 0)
        result = s_each(db, S_SQL_CONTINUES, point, s_take_continues, report, err);
    if (result == 0)
        *ret_report = report;
    else
        pr_rollback_report_destroy(&report);
    return result;
}
