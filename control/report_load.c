/* SPDX-License-Identifier: MIT */
/* The report of a run, from the books in its target. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/sql_has.h"
#include "common/text.h"
#include "control/report.h"

static const char S_SQL_SOURCES[] =
    "SELECT source, path, stream, digest, size, records, bytes FROM pvrelay_source WHERE run = ?1 ORDER BY source";
/* min() picks the first one's row for the bare columns. */
static const char S_SQL_REJECTS[] =
    "SELECT j.reason, j.stream, coalesce(j.field, ''), count(*), j.detail, s.path, j.\"offset\", min(j.reject)"
    " FROM pvrelay_reject j LEFT JOIN pvrelay_source s ON s.run = j.run AND s.source = j.source"
    " WHERE j.run = ?1 GROUP BY 1, 2, 3 ORDER BY count(*) DESC, 1, 2, 3";
static const char S_SQL_FAILURES[] =
    "SELECT f.kind, f.stream, f.table_name, f.row_key, f.column_name, f.expected, f.stored, coalesce(s.path, ''),"
    " f.\"offset\", coalesce(f.checkpoint, 0) FROM pvrelay_failure f"
    " LEFT JOIN pvrelay_source s ON s.run = f.run AND s.source = f.source WHERE f.run = ?1 ORDER BY f.failure";
static const char S_SQL_TALLIES[] =
    "SELECT t.stream, t.group_key, t.value, sum(t.count) FROM pvrelay_tally t"
    " JOIN pvrelay_checkpoint c ON c.checkpoint = t.checkpoint WHERE c.run = ?1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
static const char S_SQL_TABLES[] =
    "SELECT w.table_name, sum(w.inserted), sum(w.updated) FROM pvrelay_checkpoint_rows w"
    " JOIN pvrelay_checkpoint c ON c.checkpoint = w.checkpoint WHERE c.run = ?1 GROUP BY 1 ORDER BY 1";
static const char S_SQL_MAPPING[] = "SELECT mapping_name, mapping_digest, null_text FROM pvrelay_run WHERE run = ?1";

/* Called for each row of a query over one run. */
typedef void s_row_fn(pr_report_t *report, sqlite3_stmt *row);

/* Call row for each row. Takes statement. */
static int s_each_row(pr_report_t *report, sqlite3 *db, sqlite3_stmt *statement, s_row_fn *row, pr_error_t *err) {
    int result;
    while ((result = pr_ledger_step(db, statement, err)) > 0)
        row(report, statement);
    sqlite3_finalize(statement);
    return result;
}

static int s_each(pr_report_t *report, sqlite3 *db, const char *sql, s_row_fn *row, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_prepare(db, sql, &statement, err);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, report->run.number);
    return s_each_row(report, db, statement, row, err);
}

static uint64_t s_count(sqlite3_stmt *row, int column) {
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    return value > 0 ? (uint64_t)value : 0;
}

static void s_add_source(pr_report_t *report, sqlite3_stmt *row) {
    char *path = pr_xstrdup(pr_ledger_text(row, 1));
    char *stream = pr_xstrdup(pr_ledger_text(row, 2));
    pr_report_add_source(report, &(pr_plan_source_t){.path = path,
                                                     .stream = stream,
                                                     .digest = strtoull(pr_ledger_text(row, 3), NULL, 16),
                                                     .size = s_count(row, 4),
                                                     .records = s_count(row, 5),
                                                     .bytes = s_count(row, 6)});
    free(path);
    free(stream);
}

static void s_add_finding(pr_report_t *report, sqlite3_stmt *row) {
    pr_report_add_finding(report, &(pr_report_finding_t){.kind = pr_ledger_text(row, 0),
                                                         .stream = pr_ledger_text(row, 1),
                                                         .field = pr_ledger_text(row, 2),
                                                         .count = s_count(row, 3),
                                                         .detail = pr_ledger_text(row, 4),
                                                         .path = pr_ledger_text(row, 5),
                                                         .ordinal = s_count(row, 6)});
}

static void s_add_reject(pr_report_t *report, sqlite3_stmt *row) {
    pr_report_add_reject(report, &(pr_report_reject_t){.reason = pr_ledger_text(row, 0),
                                                       .stream = pr_ledger_text(row, 1),
                                                       .field = pr_ledger_text(row, 2),
                                                       .count = s_count(row, 3),
                                                       .detail = pr_ledger_text(row, 4),
                                                       .path = pr_ledger_text(row, 5),
                                                       .offset = s_count(row, 6)});
}

static void s_add_failure(pr_report_t *report, sqlite3_stmt *row) {
    pr_report_add_failure(report, &(pr_report_failure_t){.kind = pr_ledger_text(row, 0),
                                                         .stream = pr_ledger_text(row, 1),
                                                         .table = pr_ledger_text(row, 2),
                                                         .key = pr_ledger_text(row, 3),
                                                         .column = pr_ledger_text(row, 4),
                                                         .expected = pr_ledger_text(row, 5),
                                                         .stored = pr_ledger_text(row, 6),
                                                         .path = pr_ledger_text(row, 7),
                                                         .offset = s_count(row, 8),
                                                         .checkpoint = sqlite3_column_int64(row, 9)});
}

static void s_add_tally(pr_report_t *report, sqlite3_stmt *row) {
    pr_report_add_tally(report, pr_ledger_text(row, 0), pr_ledger_text(row, 1), pr_ledger_text(row, 2),
                        s_count(row, 3));
}

static void s_add_table(pr_report_t *report, sqlite3_stmt *row) {
    report->tables = pr_xrealloc(report->tables, (report->tables_count + 1) * sizeof *report->tables);
    report->tables[report->tables_count++] = (pr_report_table_t){.table = pr_text_escape(pr_ledger_text(row, 0)),
                                                                 .inserted = s_count(row, 1),
                                                                 .updated = s_count(row, 2),
                                                                 .rows = -1};
}

static void s_set_mapping(pr_report_t *report, sqlite3_stmt *row) {
    free(report->mapping_name);
    free(report->mapping_digest);
    report->mapping_name = pr_text_escape(pr_ledger_text(row, 0));
    report->mapping_digest = pr_text_escape(pr_ledger_text(row, 1));
    report->null_text = pr_null_text_parse(pr_ledger_text(row, 2));
}

static int s_load_streams(pr_report_t *report, sqlite3 *db, pr_error_t *err) {
    pr_ledger_stream_t *streams = NULL;
    size_t count = 0;
    int result = pr_ledger_streams(db, report->run.number, &streams, &count, err);
    for (size_t i = 0; i < count; i++) {
        pr_report_stream_t *stream = pr_report_stream(report, streams[i].name);
        stream->exported = streams[i].total;
        stream->bytes = streams[i].bytes;
        stream->read = streams[i].read;
        stream->written = streams[i].written;
        stream->unchanged = streams[i].unchanged;
        stream->rejected = streams[i].rejected;
        stream->validated = streams[i].validated;
    }
    free(streams);
    return result;
}

/* Times by source, as the meter saw them, to times by stream. */
static void s_add_times(pr_report_t *report, const pr_meter_t *meter) {
    size_t count;
    const pr_meter_source_t *seen = pr_meter_sources(meter, &count);
    for (size_t i = 0; i < count && i < report->sources_count; i++) {
        if (seen[i].records == 0 || *report->sources[i].stream == '\0')
            continue;
        pr_report_stream_t *stream = pr_report_stream(report, report->sources[i].stream);
        stream->seconds = (stream->seconds < 0 ? 0 : stream->seconds) + seen[i].seconds;
        stream->records_seen += seen[i].records;
    }
}

static int s_load_findings(pr_report_t *report, sqlite3 *db, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_findings(db, report->run.number, &statement, err);
    return result < 0 ? result : s_each_row(report, db, statement, s_add_finding, err);
}

static int s_load(pr_report_t *report, sqlite3 *db, const pr_meter_t *meter, pr_error_t *err) {
    const struct {
        const char *sql;
        s_row_fn *row;
        const char *table; /* that old books may lack; NULL: none */
    } queries[] = {{S_SQL_MAPPING, s_set_mapping, NULL},
                   {S_SQL_REJECTS, s_add_reject, NULL},
                   {S_SQL_FAILURES, s_add_failure, NULL},
                   {S_SQL_TALLIES, s_add_tally, "pvrelay_tally"},
                   {S_SQL_TABLES, s_add_table, "pvrelay_checkpoint_rows"}};
    int result = s_each(report, db, S_SQL_SOURCES, s_add_source, err);
    if (result == 0)
        result = s_load_streams(report, db, err);
    if (result == 0 && meter != NULL)
        s_add_times(report, meter);
    if (result == 0)
        result = s_load_findings(report, db, err);
    for (size_t i = 0; result == 0 && i < sizeof queries / sizeof queries[0]; i++) {
        int has = queries[i].table != NULL ? pr_sql_has_table(db, queries[i].table, err) : 1;
        result = has < 0 ? has : 0;
        if (has > 0)
            result = s_each(report, db, queries[i].sql, queries[i].row, err);
    }
    return result;
}

int pr_report_from_run(sqlite3 *db, const char *target, const char *run, const pr_meter_t *meter,
                       pr_report_t **ret_report, pr_error_t *err) {
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    int result = pr_ledger_runs(db, run, &runs, &count, err);
    if (result == 0 && count == 0)
        result = pr_error_set(err, PR_E_INTERNAL, "%s: the target does not know the run %s", target, run);
    if (result < 0) {
        free(runs);
        return result;
    }
    pr_report_t *report = pr_report_new(PR_REPORT_RUN, target);
    report->run = runs[0];
    report->outcome = runs[0].outcome;
    free(runs);
    result = s_load(report, db, meter, err);
    if (result < 0)
        pr_report_destroy(&report);
    else
        *ret_report = report;
    return result;
}
