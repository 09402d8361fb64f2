/* SPDX-License-Identifier: MIT */
/* Reading pvrelay's bookkeeping in a target. */
#include "control/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "common/migrate.h"
#include "common/sql_has.h"
#include "common/sql_open.h"
#include "common/sql_text.h"
#include "common/text.h"

/* Two %s: how the run tells when it was taken back and sealed; NULL where the books know neither. */
static const char S_SQL_RUNS[] =
    "SELECT r.run, r.id, r.kind, r.state, r.started_at, r.ended_at, r.mapping_name, r.error, r.seconds, r.outcome,"
    " r.retries_through, r.source, r.ordinal, r.\"offset\","
    " (SELECT sum(s.records) FROM pvrelay_source s WHERE s.run = r.run),"
    " c.records, c.written, c.unchanged, c.rejected, c.validated, c.checkpoints, c.unvalidated, c.newest,"
    " (SELECT count(*) FROM pvrelay_failure f WHERE f.run = r.run),"
    " (SELECT count(*) FROM pvrelay_reject j WHERE j.run = r.run AND j.retried_by IS NULL), %s, %s,"
    " (SELECT min(s.source) FROM pvrelay_source s WHERE s.run = r.run AND s.source >= r.source AND"
    "  s.records > iif(s.source = r.source, r.ordinal, 0))"
    " FROM pvrelay_run r LEFT JOIN"
    " (SELECT run, sum(records) AS records, sum(inserted + updated) AS written, sum(unchanged) AS unchanged,"
    "  sum(rejected) AS rejected, sum(CASE validated WHEN 1 THEN records - rejected ELSE 0 END) AS validated,"
    "  count(*) AS checkpoints, sum(validated = 0 AND kind = 'batch') AS unvalidated, max(checkpoint) AS newest"
    "  FROM pvrelay_checkpoint GROUP BY run) c ON c.run = r.run"
    " WHERE ?1 IS NULL OR r.id = ?1 ORDER BY r.run";

static const char S_SQL_STREAMS[] =
    "SELECT s.stream, sum(s.records), sum(s.bytes), sum(c.records), sum(c.written), sum(c.unchanged), sum(c.rejected),"
    " sum(c.validated)"
    " FROM pvrelay_source s LEFT JOIN"
    " (SELECT source, sum(records) AS records, sum(inserted + updated) AS written, sum(unchanged) AS unchanged,"
    "  sum(rejected) AS rejected, sum(CASE validated WHEN 1 THEN records - rejected ELSE 0 END) AS validated"
    "  FROM pvrelay_checkpoint WHERE run = ?1 AND kind = 'batch' GROUP BY source) c ON c.source = s.source"
    " WHERE s.run = ?1 AND s.stream <> '' GROUP BY s.stream ORDER BY min(s.source)";

/*  One %s: the findings of the proof, which old books do not have. min() picks the first one's row for the bare columns
 *  (https://sqlite.org/lang_select.html#bareagg); what the proof of the whole found (finish) has no place. */
static const char S_SQL_FINDINGS[] =
    "SELECT f.kind, f.stream, f.field, sum(f.count), f.detail, s.path, f.ordinal, min((f.place << 40) + f.ordinal) FROM"
    " (SELECT kind, stream, field, count, detail, source, source AS place, ordinal FROM pvrelay_finding"
    "  WHERE run = ?1%s) f"
    " LEFT JOIN pvrelay_source s ON s.run = ?1 AND s.source = f.source GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
static const char S_SQL_PROOF_FINDINGS[] =
    " UNION ALL SELECT p.kind, p.stream, p.field, p.count, p.detail, CASE c.kind WHEN 'batch' THEN p.source END,"
    " p.source, p.ordinal FROM pvrelay_proof_finding p JOIN pvrelay_checkpoint c ON c.checkpoint = p.checkpoint"
    " WHERE c.run = ?1";

int pr_ledger_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, pr_error_t *err) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return pr_sql_fail(db, err);
    *ret_statement = statement;
    return 0;
}

int pr_ledger_step(sqlite3 *db, sqlite3_stmt *statement, pr_error_t *err) {
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        return 1;
    return step == SQLITE_DONE ? 0 : pr_sql_fail(db, err);
}

void pr_ledger_take(sqlite3_stmt *statement, int column, char *ret_text, size_t room) {
    const char *text = pr_ledger_text(statement, column);
    pr_text_fit(text, strlen(text), ret_text, room);
}

const char *pr_ledger_text(sqlite3_stmt *statement, int column) {
    return pr_sql_column_text(statement, column);
}

int pr_ledger_open(const char *path, sqlite3 **ret_db, pr_error_t *err) {
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int result = pr_sql_open(path, PR_SQL_READ, ret_db, err);
    return result < 0 ? result : 1;
}

int pr_ledger_close(sqlite3 *db, int result, pr_error_t *err) {
    pr_error_t changed = PR_ERROR_INIT;
    if (pr_sql_unchanged(db, &changed) < 0) {
        pr_error_clear(err); /* whatever failed: this may well be why */
        result = pr_error_set(err, changed.code, "%s", changed.text);
    }
    sqlite3_close(db);
    return result;
}

int pr_ledger_open_there(const char *path, sqlite3 **ret_db, pr_error_t *err) {
    int result = pr_ledger_open(path, ret_db, err);
    if (result == 0)
        return pr_error_set(err, PR_E_TARGET, "%s: there is no such file", path);
    return result < 0 ? result : 0;
}

int pr_ledger_check_books(sqlite3 *db, const char *path, pr_error_t *err) {
    int has = pr_sql_has_table(db, "pvrelay_reject", err);
    if (has == 0)
        return pr_error_set(err, PR_E_TARGET_SCHEMA,
                            "%s: no run of pvrelay has been here; replay exports into it first", path);
    return has < 0 ? has : 0;
}

static uint64_t s_count(sqlite3_stmt *statement, int column) {
    sqlite3_int64 value = sqlite3_column_int64(statement, column);
    return value > 0 ? (uint64_t)value : 0;
}

static void s_read_run(sqlite3_stmt *row, pr_ledger_run_t *ret_run) {
    pr_ledger_run_t run = {.number = sqlite3_column_int64(row, 0)};
    pr_ledger_take(row, 1, run.id, sizeof run.id);
    pr_ledger_take(row, 2, run.kind, sizeof run.kind);
    pr_ledger_take(row, 3, run.state, sizeof run.state);
    pr_ledger_take(row, 4, run.started_at, sizeof run.started_at);
    pr_ledger_take(row, 5, run.ended_at, sizeof run.ended_at);
    pr_ledger_take(row, 6, run.mapping, sizeof run.mapping);
    pr_ledger_take(row, 7, run.error, sizeof run.error);
    run.seconds = sqlite3_column_double(row, 8);
    sqlite3_int64 outcome = sqlite3_column_int64(row, 9);
    run.outcome = sqlite3_column_type(row, 9) == SQLITE_NULL || outcome < 0 || outcome > UINT8_MAX ? -1 : (int)outcome;
    run.retries_through = sqlite3_column_int64(row, 10);
    run.source = s_count(row, 11);
    run.ordinal = s_count(row, 12);
    run.offset = s_count(row, 13);
    run.total = s_count(row, 14);
    run.records = s_count(row, 15);
    run.written = s_count(row, 16);
    run.unchanged = s_count(row, 17);
    run.rejected = s_count(row, 18);
    run.validated = s_count(row, 19);
    run.checkpoints = s_count(row, 20);
    run.unvalidated = s_count(row, 21);
    run.checkpoint = sqlite3_column_int64(row, 22);
    run.failures = s_count(row, 23);
    pr_ledger_take(row, 25, run.rolled_back_at, sizeof run.rolled_back_at);
    pr_ledger_take(row, 26, run.sealed_at, sizeof run.sealed_at);
    run.next_source = sqlite3_column_type(row, 27) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, 27);
    run.rejects_open = *run.rolled_back_at == '\0' ? s_count(row, 24) : 0;
    *ret_run = run;
}

/* Books that were made before undo lack its columns. ret_sql: *returns new* (sqlite3_free). 1, 0 (no books), <0. */
static int s_sql_runs(sqlite3 *db, char **ret_sql, pr_error_t *err) {
    int has = pr_sql_has_table(db, "pvrelay_run", err);
    if (has <= 0)
        return has;
    int undo = pr_sql_has_column(db, "pvrelay_run", "rolled_back_at", err);
    if (undo < 0)
        return undo;
    *ret_sql = sqlite3_mprintf(S_SQL_RUNS, undo > 0 ? "r.rolled_back_at" : "NULL", undo > 0 ? "r.sealed_at" : "NULL");
    return 1;
}

int pr_ledger_runs(sqlite3 *db, const char *id, pr_ledger_run_t **ret_runs, size_t *ret_count, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    char *sql = NULL;
    int result = s_sql_runs(db, &sql, err);
    if (result > 0)
        result = pr_ledger_prepare(db, sql, &statement, err);
    sqlite3_free(sql);
    if (statement != NULL && id != NULL)
        sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    while (statement != NULL && result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        runs = pr_xrealloc(runs, (count + 1) * sizeof *runs);
        s_read_run(statement, &runs[count++]);
        result = 0;
    }
    sqlite3_finalize(statement);
    if (result < 0) {
        free(runs);
        return result;
    }
    *ret_runs = runs;
    *ret_count = count;
    return 0;
}

const char *pr_ledger_state(const pr_ledger_run_t *run) {
    return *run->rolled_back_at != '\0' ? "rolled back" : run->state;
}

int pr_ledger_unfinished(sqlite3 *db, pr_ledger_run_t *ret_run, pr_error_t *err) {
    pr_ledger_run_t *runs;
    size_t count;
    int found = 0;
    int result = pr_ledger_runs(db, NULL, &runs, &count, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(runs[i].state, "streaming") == 0 || strcmp(runs[i].state, "proving") == 0) {
            *ret_run = runs[i];
            found = 1;
        }
    }
    free(runs);
    return found;
}

enum { s_exports_max = 4 };

/* The paths of a run's exports. ret_paths: *each returns new*. How many; 0 if there are too many to be told, or not known. */
static int s_exports(sqlite3 *db, int64_t run, char *ret_paths[s_exports_max]) {
    static const char sql[] = "SELECT path FROM pvrelay_source WHERE run = ?1 GROUP BY path ORDER BY min(source)";
    sqlite3_stmt *statement = NULL;
    int count = 0;
    int step = pr_ledger_prepare(db, sql, &statement, NULL);
    if (step == 0) {
        sqlite3_bind_int64(statement, 1, run);
        while ((step = pr_ledger_step(db, statement, NULL)) > 0 && count < s_exports_max)
            ret_paths[count++] = pr_xstrdup(pr_ledger_text(statement, 0));
    }
    sqlite3_finalize(statement);
    while (step != 0 && count > 0)
        free(ret_paths[--count]);
    return count;
}

/* The command that goes on with a run; NULL if it is too long to be told. *Returns new*. */
static char *s_continue(sqlite3 *db, const char *target, const pr_ledger_run_t *run) {
    bool retry = strcmp(run->kind, "retry") == 0;
    char *exports[s_exports_max];
    char *words[s_exports_max + 3] = {retry ? "retry-rejects" : "run"};
    int count = retry ? 0 : s_exports(db, run->number, exports);
    if (count == 0 && !retry)
        return NULL;
    for (int i = 0; i < count; i++)
        words[1 + i] = exports[i];
    words[1 + count] = "--target";
    words[2 + count] = (char *)(uintptr_t)target;
    char *command = pr_hint_line(count + 3, words);
    for (int i = 0; i < count; i++)
        free(exports[i]);
    return command;
}

int pr_ledger_refuse(sqlite3 *db, const char *target, const pr_ledger_run_t *run, pr_error_t *err) {
    char *command = s_continue(db, target, run);
    pr_error_set(err, PR_E_UNFINISHED,
                 "%s: run %" PRId64 " (%s) is not finished; finish it with %s%s%s, or give it up with --restart",
                 target, run->number, strcmp(run->kind, "retry") == 0 ? "a retry of rejects" : "a replay",
                 command != NULL ? "`" : "", command != NULL ? command : "the command that began it",
                 command != NULL ? "`" : "");
    free(command);
    return -PR_E_UNFINISHED;
}

int pr_ledger_streams(sqlite3 *db, int64_t run, pr_ledger_stream_t **ret_streams, size_t *ret_count, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    pr_ledger_stream_t *streams = NULL;
    size_t count = 0;
    int result = pr_ledger_prepare(db, S_SQL_STREAMS, &statement, err);
    if (result == 0)
        sqlite3_bind_int64(statement, 1, run);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        streams = pr_xrealloc(streams, (count + 1) * sizeof *streams);
        pr_ledger_stream_t *stream = &streams[count++];
        memset(stream, 0, sizeof *stream);
        pr_ledger_take(statement, 0, stream->name, sizeof stream->name);
        stream->total = s_count(statement, 1);
        stream->bytes = s_count(statement, 2);
        stream->read = s_count(statement, 3);
        stream->written = s_count(statement, 4);
        stream->unchanged = s_count(statement, 5);
        stream->rejected = s_count(statement, 6);
        stream->validated = s_count(statement, 7);
        result = 0;
    }
    sqlite3_finalize(statement);
    if (result < 0) {
        free(streams);
        return result;
    }
    *ret_streams = streams;
    *ret_count = count;
    return 0;
}

int pr_ledger_findings(sqlite3 *db, int64_t run, sqlite3_stmt **ret_statement, pr_error_t *err) {
    int proof = pr_sql_has_table(db, "pvrelay_proof_finding", err);
    if (proof < 0)
        return proof;
    char *sql = sqlite3_mprintf(S_SQL_FINDINGS, proof > 0 ? S_SQL_PROOF_FINDINGS : "");
    int result = pr_ledger_prepare(db, sql, ret_statement, err);
    if (result == 0)
        sqlite3_bind_int64(*ret_statement, 1, run);
    sqlite3_free(sql);
    return result;
}

int pr_ledger_check_run(const char *path, const pr_ledger_run_t *runs, size_t count, int64_t run, pr_error_t *err) {
    for (size_t i = 0; i < count; i++) {
        if (runs[i].number == run)
            return 0;
    }
    if (count == 0)
        return pr_error_set(err, PR_E_USAGE, "%s: there is no run %" PRId64 "; there is none at all", path, run);
    return pr_error_set(err, PR_E_USAGE, "%s: there is no run %" PRId64 "; the newest is %" PRId64, path, run,
                        runs[count - 1].number);
}
