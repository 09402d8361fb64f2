/* SPDX-License-Identifier: MIT */
/* What became of a run. */
#include "control/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/reject.h"
#include "common/rows.h"
#include "control/format.h"

enum { s_failures_kept = 1000, s_failures_printed = 10 };

typedef struct {
    char *kind, *stream, *field, *detail;
    uint64_t count;
} pr_summary_finding_t;

typedef struct {
    char *reason, *stream, *field;
    uint64_t count;
} pr_summary_reject_t;

typedef struct {
    char *kind, *stream, *table, *key, *column, *expected, *stored, *path;
    uint64_t offset;
    int64_t checkpoint;
} pr_summary_failure_t;

struct pr_summary {
    char *target;
    pr_ledger_run_t run;
    bool reversible; /* all that it committed can be taken back */
    pr_ledger_stream_t *streams;
    double *seconds;        /* per stream, as this process saw them; <0: it saw none */
    uint64_t *records_seen; /* per stream, in that time */
    size_t streams_count;
    pr_summary_finding_t *findings;
    size_t findings_count;
    pr_summary_reject_t *rejects;
    size_t rejects_count;
    pr_summary_failure_t *failures;
    size_t failures_count;
};

static const char S_SQL_FINDINGS[] = "SELECT kind, stream, field, count, coalesce(detail, '') FROM pvrelay_finding "
                                     "WHERE run = ?1 ORDER BY kind, stream, field";
static const char S_SQL_REJECTS[] = "SELECT reason, stream, coalesce(field, ''), count(*) FROM pvrelay_reject "
                                    "WHERE run = ?1 GROUP BY 1, 2, 3 ORDER BY count(*) DESC, 1, 2, 3";
static const char S_SQL_FAILURES[] =
    "SELECT f.kind, f.stream, f.table_name, f.row_key, f.column_name, f.expected, f.stored, coalesce(s.path, ''),"
    " f.\"offset\", coalesce(f.checkpoint, 0) FROM pvrelay_failure f"
    " LEFT JOIN pvrelay_source s ON s.run = f.run AND s.source = f.source"
    " WHERE f.run = ?1 ORDER BY f.failure LIMIT ?2";
static const char S_SQL_REVERSIBLE[] =
    "SELECT count(*) > 0 AND count(u.checkpoint) = count(*) FROM pvrelay_checkpoint c"
    " LEFT JOIN pvrelay_undo u ON u.checkpoint = c.checkpoint WHERE c.run = ?1";
static const char S_SQL_SOURCES[] = "SELECT source, stream FROM pvrelay_source WHERE run = ?1 ORDER BY source";

/* Called for each row of a query over one run. */
typedef void s_row_fn(pr_summary_t *summary, sqlite3_stmt *row);

static int s_each(pr_summary_t *summary, sqlite3 *db, const char *sql, s_row_fn *row, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_prepare(db, sql, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, summary->run.number);
        if (sqlite3_bind_parameter_count(statement) > 1)
            sqlite3_bind_int(statement, 2, s_failures_kept);
        while ((result = pr_ledger_step(db, statement, err)) > 0)
            row(summary, statement);
    }
    sqlite3_finalize(statement);
    return result;
}

static char *s_copy(sqlite3_stmt *row, int column) {
    return pr_format_clean(pr_xstrdup(pr_ledger_text(row, column)));
}

static void s_add_finding(pr_summary_t *summary, sqlite3_stmt *row) {
    summary->findings = pr_xrealloc(summary->findings, (summary->findings_count + 1) * sizeof *summary->findings);
    summary->findings[summary->findings_count++] =
        (pr_summary_finding_t){.kind = s_copy(row, 0),
                               .stream = s_copy(row, 1),
                               .field = s_copy(row, 2),
                               .count = (uint64_t)sqlite3_column_int64(row, 3),
                               .detail = s_copy(row, 4)};
}

static void s_add_reject(pr_summary_t *summary, sqlite3_stmt *row) {
    summary->rejects = pr_xrealloc(summary->rejects, (summary->rejects_count + 1) * sizeof *summary->rejects);
    summary->rejects[summary->rejects_count++] = (pr_summary_reject_t){.reason = s_copy(row, 0),
                                                                       .stream = s_copy(row, 1),
                                                                       .field = s_copy(row, 2),
                                                                       .count = (uint64_t)sqlite3_column_int64(row, 3)};
}

static void s_add_failure(pr_summary_t *summary, sqlite3_stmt *row) {
    summary->failures = pr_xrealloc(summary->failures, (summary->failures_count + 1) * sizeof *summary->failures);
    summary->failures[summary->failures_count++] =
        (pr_summary_failure_t){.kind = s_copy(row, 0),
                               .stream = s_copy(row, 1),
                               .table = s_copy(row, 2),
                               .key = s_copy(row, 3),
                               .column = s_copy(row, 4),
                               .expected = s_copy(row, 5),
                               .stored = s_copy(row, 6),
                               .path = s_copy(row, 7),
                               .offset = (uint64_t)sqlite3_column_int64(row, 8),
                               .checkpoint = sqlite3_column_int64(row, 9)};
}

static void s_set_reversible(pr_summary_t *summary, sqlite3_stmt *row) {
    summary->reversible = sqlite3_column_int(row, 0) != 0;
}

static int s_load_times(pr_summary_t *summary, sqlite3 *db, const pr_meter_t *meter, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    size_t count;
    const pr_meter_source_t *sources = pr_meter_sources(meter, &count);
    int result = pr_ledger_prepare(db, S_SQL_SOURCES, &statement, err);
    if (result == 0)
        sqlite3_bind_int64(statement, 1, summary->run.number);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        size_t source = (size_t)sqlite3_column_int64(statement, 0);
        result = 0;
        for (size_t i = 0; source < count && i < summary->streams_count; i++) {
            if (sources[source].records == 0 || strcmp(summary->streams[i].name, pr_ledger_text(statement, 1)) != 0)
                continue;
            summary->seconds[i] = (summary->seconds[i] < 0 ? 0 : summary->seconds[i]) + sources[source].seconds;
            summary->records_seen[i] += sources[source].records;
        }
    }
    sqlite3_finalize(statement);
    return result;
}

static int s_load(pr_summary_t *summary, sqlite3 *db, const char *run, const pr_meter_t *meter, pr_error_t *err) {
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    int result = pr_ledger_runs(db, run, &runs, &count, err);
    if (result == 0 && count == 0)
        result = pr_error_set(err, PR_E_INTERNAL, "%s: the target does not know the run %s", summary->target, run);
    if (result == 0) {
        summary->run = runs[0];
        result = pr_ledger_streams(db, summary->run.number, &summary->streams, &summary->streams_count, err);
    }
    free(runs);
    if (result < 0)
        return result;
    summary->seconds = pr_xcalloc(summary->streams_count + 1, sizeof *summary->seconds);
    summary->records_seen = pr_xcalloc(summary->streams_count + 1, sizeof *summary->records_seen);
    for (size_t i = 0; i < summary->streams_count; i++)
        summary->seconds[i] = -1;
    if (meter != NULL)
        result = s_load_times(summary, db, meter, err);
    if (result == 0)
        result = s_each(summary, db, S_SQL_FINDINGS, s_add_finding, err);
    if (result == 0)
        result = s_each(summary, db, S_SQL_REJECTS, s_add_reject, err);
    if (result == 0)
        result = s_each(summary, db, S_SQL_FAILURES, s_add_failure, err);
    if (result == 0 && pr_ledger_has(db, "pvrelay_undo"))
        result = s_each(summary, db, S_SQL_REVERSIBLE, s_set_reversible, err);
    return result;
}

int pr_summary_load(const char *target, const char *run, const pr_meter_t *meter, pr_summary_t **ret_summary,
                    pr_error_t *err) {
    sqlite3 *db = NULL;
    int result = pr_ledger_open(target, &db, err);
    if (result <= 0)
        return result < 0 ? result : pr_error_set(err, PR_E_TARGET, "%s: there is no such file", target);
    pr_summary_t *summary = pr_xcalloc(1, sizeof *summary);
    summary->target = pr_format_clean(pr_xstrdup(target));
    result = s_load(summary, db, run, meter, err);
    sqlite3_close(db);
    if (result < 0)
        pr_summary_destroy(&summary);
    else
        *ret_summary = summary;
    return result;
}

void pr_summary_destroy(pr_summary_t **summary) {
    if (summary == NULL || *summary == NULL)
        return;
    pr_summary_t *self = *summary;
    for (size_t i = 0; i < self->findings_count; i++) {
        free(self->findings[i].kind);
        free(self->findings[i].stream);
        free(self->findings[i].field);
        free(self->findings[i].detail);
    }
    for (size_t i = 0; i < self->rejects_count; i++) {
        free(self->rejects[i].reason);
        free(self->rejects[i].stream);
        free(self->rejects[i].field);
    }
    for (size_t i = 0; i < self->failures_count; i++) {
        pr_summary_failure_t *failure = &self->failures[i];
        char *texts[] = {failure->kind,   failure->stream,   failure->table,  failure->key,
                         failure->column, failure->expected, failure->stored, failure->path};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
            free(texts[k]);
    }
    free(self->findings);
    free(self->rejects);
    free(self->failures);
    free(self->streams);
    free(self->seconds);
    free(self->records_seen);
    free(self->target);
    free(self);
    *summary = NULL;
}

const pr_ledger_run_t *pr_summary_run(const pr_summary_t *summary) {
    return &summary->run;
}

static bool s_stream_balances(const pr_summary_t *summary, const pr_ledger_stream_t *stream) {
    bool complete = strcmp(summary->run.state, "complete") == 0;
    return stream->read == stream->written + stream->unchanged + stream->rejected &&
           (!complete || stream->read == stream->total);
}

bool pr_summary_balances(const pr_summary_t *summary) {
    for (size_t i = 0; i < summary->streams_count; i++) {
        if (!s_stream_balances(summary, &summary->streams[i]))
            return false;
    }
    return true;
}

/* ---- the table ---- */

static void s_print_row(FILE *out, const char *name, const pr_ledger_stream_t *stream, double seconds,
                        uint64_t records) {
    fprintf(out, "%-7s %9s %9s %9s %8s %9s %8s %7s %7s\n", name, pr_format_count(stream->read).text,
            pr_format_count(stream->written).text, pr_format_count(stream->unchanged).text,
            pr_format_count(stream->rejected).text, pr_format_count(stream->validated).text,
            pr_format_bytes(stream->bytes).text, pr_format_seconds(seconds).text,
            seconds > 0 ? pr_format_count((uint64_t)((double)records / seconds + 0.5)).text : "-");
}

static void s_print_table(const pr_summary_t *summary, FILE *out) {
    pr_ledger_stream_t total = {0};
    fprintf(out, "%-7s %9s %9s %9s %8s %9s %8s %7s %7s\n", "stream", "read", "written", "unchanged", "rejected",
            "validated", "bytes", "seconds", "rec/s");
    for (size_t i = 0; i < summary->streams_count; i++) {
        const pr_ledger_stream_t *stream = &summary->streams[i];
        s_print_row(out, stream->name, stream, summary->seconds[i], summary->records_seen[i]);
        total.read += stream->read;
        total.written += stream->written;
        total.unchanged += stream->unchanged;
        total.rejected += stream->rejected;
        total.validated += stream->validated;
        total.bytes += stream->bytes;
    }
    s_print_row(out, "all", &total, summary->run.seconds, total.read);
    fprintf(out, "\nread = written + unchanged + rejected\n");
    for (size_t i = 0; i < summary->streams_count; i++) {
        const pr_ledger_stream_t *stream = &summary->streams[i];
        fprintf(out, "  %s: %s = %s + %s + %s%s", stream->name, pr_format_count(stream->read).text,
                pr_format_count(stream->written).text, pr_format_count(stream->unchanged).text,
                pr_format_count(stream->rejected).text,
                s_stream_balances(summary, stream) ? ", holds" : ", DOES NOT HOLD");
        if (stream->read != stream->total)
            fprintf(out, " (the exports hold %s)", pr_format_count(stream->total).text);
        fputc('\n', out);
    }
}

/* The sentence of a kind of finding, or NULL for one that is not the transformer's. */
static const char *s_note_sentence(const char *kind) {
    for (unsigned i = 1; i < PR_NOTE_KINDS; i++) {
        if (strcmp(pr_note_word(i), kind) == 0)
            return pr_note_sentence(i);
    }
    return NULL;
}

static void s_print_findings(const pr_summary_t *summary, FILE *out) {
    if (summary->findings_count > 0)
        fprintf(out, "\nFindings\n");
    for (size_t i = 0; i < summary->findings_count; i++) {
        const pr_summary_finding_t *finding = &summary->findings[i];
        const char *sentence = s_note_sentence(finding->kind);
        fprintf(out, "  %s × ", pr_format_count(finding->count).text);
        if (*finding->stream != '\0')
            fprintf(out, "%s%s%s: ", finding->stream, *finding->field != '\0' ? "." : "", finding->field);
        fprintf(out, "%s", sentence != NULL ? sentence : finding->kind);
        if (*finding->detail != '\0')
            fprintf(out, " (%s)", finding->detail);
        fputc('\n', out);
    }
}

static void s_print_rejects(const pr_summary_t *summary, FILE *out) {
    if (summary->rejects_count > 0)
        fprintf(out, "\nRejects\n");
    for (size_t i = 0; i < summary->rejects_count; i++) {
        const pr_summary_reject_t *reject = &summary->rejects[i];
        fprintf(out, "  %s × %s in %s%s%s: %s\n", pr_format_count(reject->count).text, reject->reason, reject->stream,
                *reject->field != '\0' ? "." : "", reject->field,
                pr_reject_sentence(pr_reject_from_word(reject->reason)));
    }
    if (summary->rejects_count > 0)
        fprintf(out, "  each one: pvrelay rejects --target %s", summary->target);
    if (summary->rejects_count > 0 && *summary->run.rolled_back_at != '\0')
        fprintf(out, " --run %" PRId64, summary->run.number); /* without it they count as settled */
    if (summary->rejects_count > 0)
        fputc('\n', out);
}

static void s_print_failures(const pr_summary_t *summary, FILE *out) {
    if (summary->run.failures == 0)
        return;
    fprintf(out, "\nWhat is stored is not what was exported: %s\n", pr_format_count(summary->run.failures).text);
    for (size_t i = 0; i < summary->failures_count && i < s_failures_printed; i++) {
        const pr_summary_failure_t *failure = &summary->failures[i];
        fprintf(out, "  %s: %s %s", failure->kind, failure->table, failure->key);
        if (*failure->column != '\0')
            fprintf(out, ", column %s", failure->column);
        fprintf(out, ": expected %s, stored %s", failure->expected, failure->stored);
        if (failure->checkpoint > 0)
            fprintf(out, " (%s:%" PRIu64 ", checkpoint %" PRId64 ")", failure->path, failure->offset,
                    failure->checkpoint);
        fputc('\n', out);
    }
    if (summary->run.failures > s_failures_printed)
        fprintf(out, "  … all of them: table pvrelay_failure of the target\n");
}

/* What the writer takes back, or the operator: why is known from the outcome. */
static void s_print_taken_back(const pr_ledger_run_t *run, FILE *out) {
    fprintf(out, "Taken back: ");
    if (run->outcome == 4)
        fprintf(out, "what was stored was not what was exported; ");
    else if (run->outcome == 3)
        fprintf(out, "more records were rejected than allowed; ");
    fprintf(out, "the target is as it was before this run.\n");
}

static void s_print_outcome(const pr_summary_t *summary, FILE *out) {
    const pr_ledger_run_t *run = &summary->run;
    fputc('\n', out);
    if (*run->rolled_back_at != '\0')
        s_print_taken_back(run, out);
    else if (run->outcome == 0)
        fprintf(out, "Complete: all %s records are in the target, and each was proved against its export.\n",
                pr_format_count(run->records).text);
    else if (run->outcome == 3)
        fprintf(out,
                "Complete, but %s of %s records were rejected. Mend the mapping or the exports; then\n"
                "  pvrelay retry-rejects --target %s\n",
                pr_format_count(run->rejected).text, pr_format_count(run->records).text, summary->target);
    else if (run->outcome == 4)
        fprintf(
            out,
            "Complete, but not what was exported: do not use this target before the failures above are understood.\n");
    else
        fprintf(out, "Not complete: %s of %s records are in the target. The same command continues.\n",
                pr_format_count(run->records).text, pr_format_count(run->total).text);
    if (run->outcome == 4 && *run->rolled_back_at == '\0' && summary->reversible)
        fprintf(out,
                "To put it back to where it was before this run:\n  pvrelay rollback --target %s --to start-of-run\n",
                summary->target);
    fprintf(out, "Look further: pvrelay inspect %s; pvrelay status --target %s\n", summary->target, summary->target);
}

void pr_summary_print(const pr_summary_t *summary, FILE *out) {
    const pr_ledger_run_t *run = &summary->run;
    fprintf(out, "Run %" PRId64 "%s, mapping %s, into %s\n\n", run->number,
            strcmp(run->kind, "retry") == 0 ? ", a retry of rejects" : "", run->mapping, summary->target);
    s_print_table(summary, out);
    s_print_findings(summary, out);
    s_print_rejects(summary, out);
    s_print_failures(summary, out);
    s_print_outcome(summary, out);
}

/* ---- the report ---- */

static json_t *s_streams_to_json(const pr_summary_t *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->streams_count; i++) {
        const pr_ledger_stream_t *stream = &summary->streams[i];
        double seconds = summary->seconds[i];
        json_t *rate = seconds > 0 ? json_real((double)summary->records_seen[i] / seconds) : json_null();
        json_array_append_new(
            list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "stream", stream->name,
                            "exported", (json_int_t)stream->total, "read", (json_int_t)stream->read, "written",
                            (json_int_t)stream->written, "unchanged", (json_int_t)stream->unchanged, "rejected",
                            (json_int_t)stream->rejected, "validated", (json_int_t)stream->validated, "bytes",
                            (json_int_t)stream->bytes, "seconds", seconds >= 0 ? json_real(seconds) : json_null(),
                            "records_per_second", rate, "balances", (int)s_stream_balances(summary, stream)));
    }
    return list;
}

static json_t *s_findings_to_json(const pr_summary_t *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->findings_count; i++) {
        const pr_summary_finding_t *finding = &summary->findings[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:s}", "kind", finding->kind, "stream",
                                              finding->stream, "field", finding->field, "count",
                                              (json_int_t)finding->count, "detail", finding->detail));
    }
    return list;
}

static json_t *s_rejects_to_json(const pr_summary_t *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->rejects_count; i++) {
        const pr_summary_reject_t *reject = &summary->rejects[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:I}", "reason", reject->reason, "stream", reject->stream,
                                        "field", reject->field, "count", (json_int_t)reject->count));
    }
    return list;
}

static json_t *s_failures_to_json(const pr_summary_t *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->failures_count; i++) {
        const pr_summary_failure_t *failure = &summary->failures[i];
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "kind", failure->kind, "stream",
                            failure->stream, "table", failure->table, "key", failure->key, "column", failure->column,
                            "expected", failure->expected, "stored", failure->stored, "path", failure->path, "offset",
                            (json_int_t)failure->offset, "checkpoint", (json_int_t)failure->checkpoint));
    }
    return list;
}

json_t *pr_summary_to_json(const pr_summary_t *summary) {
    const pr_ledger_run_t *run = &summary->run;
    json_t *head = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:s?, s:f, s:o, s:s?}", "number", (json_int_t)run->number, "id", run->id,
        "kind", run->kind, "state", pr_ledger_state(run), "mapping", run->mapping, "started_at", run->started_at,
        "ended_at", *run->ended_at != '\0' ? run->ended_at : NULL, "seconds", run->seconds, "outcome",
        run->outcome >= 0 ? json_integer(run->outcome) : json_null(), "error", *run->error != '\0' ? run->error : NULL);
    json_object_set_new(head, "rolled_back_at",
                        *run->rolled_back_at != '\0' ? json_string(run->rolled_back_at) : json_null());
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:I}", "run", head, "target", summary->target, "streams",
                     s_streams_to_json(summary), "findings", s_findings_to_json(summary), "rejects",
                     s_rejects_to_json(summary), "failures", s_failures_to_json(summary), "failures_total",
                     (json_int_t)run->failures);
}

int pr_summary_write_report(const pr_summary_t *summary, const char *folder, pr_error_t *err) {
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot make the folder of the report: %s", folder, strerror(errno));
    char *path = pr_xasprintf("%s/report.json", folder);
    char *temporary = pr_xasprintf("%s.new", path);
    json_t *report = pr_summary_to_json(summary);
    int result = 0;
    if (json_dump_file(report, temporary, JSON_INDENT(2)) < 0 || rename(temporary, path) < 0)
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot write the report: %s", path, strerror(errno));
    json_decref(report);
    free(temporary);
    free(path);
    return result;
}
