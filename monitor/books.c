/* SPDX-License-Identifier: MIT */
/* What the monitor reads from disk. */
#include "monitor/books.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/json.h"
#include "common/reject.h"
#include "control/ledger.h"
#include "control/status_json.h"
#include "monitor/last_report.h"

enum {
    s_fresh_ms = 1000,
    s_rest = 20 /* times as long as reading took */
};

/*  Commits, put together in groups of neighbours: a group is as good as its worst commit. ?2: how many groups. */
static const char S_SQL_CHECKPOINTS[] =
    "SELECT min(checkpoint), max(checkpoint), count(*), max(committed_at), sum(records), sum(rejected),"
    " sum(validated = 0), sum(validated = 2), max(name)"
    " FROM (SELECT checkpoint, committed_at, records, rejected, validated, name,"
    "  ntile(?2) OVER (ORDER BY checkpoint) AS part FROM pvrelay_checkpoint WHERE run = ?1)"
    " GROUP BY part ORDER BY 1";
static const char S_SQL_REJECTS[] =
    "SELECT reason, count(*) FROM pvrelay_reject WHERE run = ?1 GROUP BY reason ORDER BY 2 DESC, 1";

struct pr_books {
    json_t *runs, *checkpoints, *rejects, *report;
    char newest[37];
    uint64_t newest_total;
    pr_error_t error;
    uint64_t mark;   /* at that time */
    int64_t read_ms; /* when it was read; 0: never */
    int64_t rest_ms; /* how long that will do */
};

static void s_forget(pr_books_t *books) {
    json_decref(books->runs);
    json_decref(books->checkpoints);
    json_decref(books->rejects);
    json_decref(books->report);
    books->runs = json_array();
    books->checkpoints = json_array();
    books->rejects = json_array();
    books->report = json_null();
    books->newest[0] = '\0';
    books->newest_total = 0;
    pr_error_clear(&books->error);
}

pr_books_t *pr_books_new(void) {
    pr_books_t *books = pr_xcalloc(1, sizeof *books);
    s_forget(books);
    return books;
}

void pr_books_destroy(pr_books_t **books) {
    if (books == NULL || *books == NULL)
        return;
    json_decref((*books)->runs);
    json_decref((*books)->checkpoints);
    json_decref((*books)->rejects);
    json_decref((*books)->report);
    free(*books);
    *books = NULL;
}

/* A text of the books, whatever is in it; null if it is none. *Returns new*. */
static json_t *s_text(sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return json_null();
    return pr_json_text(pr_ledger_text(row, column));
}

static json_t *s_checkpoint_to_json(sqlite3_stmt *row) {
    sqlite3_int64 pending = sqlite3_column_int64(row, 6);
    sqlite3_int64 failed = sqlite3_column_int64(row, 7);
    int validated = failed > 0 ? 2 : pending > 0 ? 0 : 1;
    return pr_json_pack("{s:I, s:I, s:I, s:o, s:I, s:I, s:i, s:I, s:I, s:o}", "first",
                        (json_int_t)sqlite3_column_int64(row, 0), "number", (json_int_t)sqlite3_column_int64(row, 1),
                        "commits", (json_int_t)sqlite3_column_int64(row, 2), "committed_at", s_text(row, 3), "records",
                        (json_int_t)sqlite3_column_int64(row, 4), "rejected", (json_int_t)sqlite3_column_int64(row, 5),
                        "validated", validated, "pending", (json_int_t)pending, "failed", (json_int_t)failed, "name",
                        s_text(row, 8));
}

static json_t *s_reject_to_json(sqlite3_stmt *row) {
    const char *sentence = pr_reject_sentence(pr_reject_from_word(pr_ledger_text(row, 0)));
    return pr_json_pack("{s:o, s:s, s:I}", "reason", s_text(row, 0), "sentence", sentence, "count",
                        (json_int_t)sqlite3_column_int64(row, 1));
}

/* The rows of a statement about a run, as JSON, into list. */
static int s_read_rows(sqlite3 *db, const char *sql, int64_t run, json_t *(*to_json)(sqlite3_stmt *row), json_t *list,
                       pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_prepare(db, sql, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, run);
        if (sqlite3_bind_parameter_count(statement) > 1)
            sqlite3_bind_int(statement, 2, PR_BOOKS_CHECKPOINTS);
        while ((result = pr_ledger_step(db, statement, err)) > 0)
            pr_json_append(list, to_json(statement));
    }
    sqlite3_finalize(statement);
    return result;
}

static int s_read_target(pr_books_t *books, sqlite3 *db, pr_error_t *err) {
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    int result = pr_ledger_runs(db, NULL, &runs, &count, err);
    if (result == 0 && count > 0) {
        const pr_ledger_run_t *newest = &runs[count - 1];
        for (size_t i = count > PR_BOOKS_RUNS ? count - PR_BOOKS_RUNS : 0; i < count; i++)
            pr_json_append(books->runs, pr_status_json_run(&runs[i]));
        snprintf(books->newest, sizeof books->newest, "%s", newest->id);
        books->newest_total = newest->total;
        result = s_read_rows(db, S_SQL_CHECKPOINTS, newest->number, s_checkpoint_to_json, books->checkpoints, err);
        if (result == 0)
            result = s_read_rows(db, S_SQL_REJECTS, newest->number, s_reject_to_json, books->rejects, err);
    }
    free(runs);
    return result;
}

static void s_read(pr_books_t *books, const pr_where_t *where) {
    sqlite3 *db = NULL;
    s_forget(books);
    if (where->target != NULL && pr_ledger_open(where->target, &db, &books->error) > 0)
        pr_ledger_close(db, s_read_target(books, db, &books->error), &books->error);
    books->report = pr_last_report(where);
}

void pr_books_look(pr_books_t *books, const pr_where_t *where, int64_t now_ms, uint64_t mark,
                   pr_books_view_t *ret_view) {
    if (books->read_ms == 0 || mark != books->mark || now_ms - books->read_ms >= books->rest_ms) {
        s_read(books, where);
        int64_t done_ms = pr_now_ms();
        int64_t rest_ms = (done_ms - now_ms) * s_rest;
        books->mark = mark;
        books->read_ms = done_ms;
        books->rest_ms = rest_ms > s_fresh_ms ? rest_ms : s_fresh_ms;
    }
    *ret_view = (pr_books_view_t){.runs = books->runs,
                                  .checkpoints = books->checkpoints,
                                  .rejects = books->rejects,
                                  .report = books->report,
                                  .error = books->error.code != PR_E_OK ? books->error.text : NULL,
                                  .newest = books->newest,
                                  .newest_total = books->newest_total};
}
