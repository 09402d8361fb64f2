/* SPDX-License-Identifier: MIT */
/* pvrelay rejects: the records that were rejected, and why. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/position.h"
#include "common/text.h"
#include "common/utf8.h"
#include "control/command.h"
#include "control/format.h"
#include "control/ledger.h"
#include "control/options.h"

const char pr_usage_rejects[] =
    "Usage: pvrelay rejects --target DB [--run N] [--all] [--json]\n"
    "Lists the rejected records: reason, field, place in the export, and the record itself.\n\n"
    "  --target DB   the target database\n"
    "  --run N       only those of run number N (see pvrelay status)\n"
    "  --all         also those that were tried again since, and those of runs that were given up or rolled back\n"
    "  --json        as JSON: {\"rejects\": [{\"reject\", \"run\", \"reason\", \"stream\", \"path\", \"offset\", "
    "\"length\",\n"
    "                \"ordinal\", \"field\", \"detail\", \"raw\", \"retried_by\", \"rolled_back\"}]}; record 1 "
    "has\n"
    "                ordinal 0; a raw record that is not UTF-8 stands as hexadecimal digits in \"raw_hex\", with "
    "\"raw\" null\n";

/* ?1: run number, NULL for all; ?2: 1 to leave out what is settled. */
static const char S_SQL_REJECTS[] = "SELECT j.reject, j.run, j.reason, j.stream, coalesce(s.path, ''), j.\"offset\", "
                                    "j.length, j.ordinal, j.field, j.detail,"
                                    " j.raw, t.run"
                                    " FROM pvrelay_reject j JOIN pvrelay_run r ON r.run = j.run"
                                    " LEFT JOIN pvrelay_source s ON s.run = j.run AND s.source = j.source"
                                    " LEFT JOIN pvrelay_run t ON t.run = j.retried_by"
                                    " WHERE (?1 IS NULL OR j.run = ?1) AND (?2 = 0 OR (j.retried_by IS NULL AND (?1 IS "
                                    "NOT NULL OR r.state <> 'abandoned')))"
                                    " ORDER BY j.reject";
static const char S_SQL_SETTLED[] = "SELECT count(*) FROM pvrelay_reject WHERE (?1 IS NULL OR run = ?1)";

enum {
    C_REJECT,
    C_RUN,
    C_REASON,
    C_STREAM,
    C_PATH,
    C_OFFSET,
    C_LENGTH,
    C_ORDINAL,
    C_FIELD,
    C_DETAIL,
    C_RAW,
    C_RETRIED
};

/* What a listing is of. */
typedef struct {
    int64_t run; /* 0: all */
    bool all;
    bool json;
    pr_ledger_run_t *runs;
    size_t runs_count;
} pr_rejects_t;

static bool s_rolled_back(const pr_rejects_t *rejects, int64_t run) {
    for (size_t i = 0; i < rejects->runs_count; i++) {
        if (rejects->runs[i].number == run)
            return *rejects->runs[i].rolled_back_at != '\0';
    }
    return false;
}

/* A text that may be NULL in the database. *Returns new*. */
static json_t *s_text(sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return json_null();
    return pr_json_text(pr_ledger_text(row, column));
}

/* Bytes as hexadecimal digits. *Returns new*. */
static json_t *s_hex(const unsigned char *data, size_t size) {
    char *digits = pr_xcalloc(2 * size + 1, 1);
    for (size_t i = 0; i < size; i++)
        snprintf(digits + 2 * i, 3, "%02x", data[i]);
    json_t *result = pr_json_text(digits);
    free(digits);
    return result;
}

static json_t *s_reject_to_json(const pr_rejects_t *rejects, sqlite3_stmt *row) {
    const unsigned char *raw = sqlite3_column_blob(row, C_RAW);
    size_t size = (size_t)sqlite3_column_bytes(row, C_RAW);
    bool is_text = pr_utf8_is_valid((const char *)raw, size);
    json_t *reject = pr_json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "reject",
        (json_int_t)sqlite3_column_int64(row, C_REJECT), "run", (json_int_t)sqlite3_column_int64(row, C_RUN), "reason",
        s_text(row, C_REASON), "stream", s_text(row, C_STREAM), "path", s_text(row, C_PATH), "offset",
        (json_int_t)sqlite3_column_int64(row, C_OFFSET), "length", (json_int_t)sqlite3_column_int64(row, C_LENGTH),
        "ordinal", (json_int_t)sqlite3_column_int64(row, C_ORDINAL), "field", s_text(row, C_FIELD), "detail",
        s_text(row, C_DETAIL), "raw", is_text ? pr_json_text_bytes((const char *)raw, size) : json_null());
    if (!is_text)
        pr_json_set(reject, "raw_hex", s_hex(raw, size));
    bool retried = sqlite3_column_type(row, C_RETRIED) != SQLITE_NULL;
    pr_json_set(reject, "retried_by", retried ? json_integer(sqlite3_column_int64(row, C_RETRIED)) : json_null());
    pr_json_set(reject, "rolled_back", json_boolean(s_rolled_back(rejects, sqlite3_column_int64(row, C_RUN))));
    return reject;
}

static void s_print_reject(const pr_rejects_t *rejects, sqlite3_stmt *row) {
    const char *raw = sqlite3_column_blob(row, C_RAW);
    char *record = pr_format_record(raw != NULL ? raw : "", (size_t)sqlite3_column_bytes(row, C_RAW));
    char *detail = pr_format_record(pr_ledger_text(row, C_DETAIL), strlen(pr_ledger_text(row, C_DETAIL)));
    pr_text_line_t reason = pr_text_line(pr_ledger_text(row, C_REASON));
    pr_text_line_t stream = pr_text_line(pr_ledger_text(row, C_STREAM));
    pr_text_line_t path = pr_text_line(pr_ledger_text(row, C_PATH));
    pr_text_line_t field = pr_text_line(pr_ledger_text(row, C_FIELD));
    int64_t run = sqlite3_column_int64(row, C_RUN);
    printf("reject %lld, run %lld%s: %s in %s%s%s%s%s\n", (long long)sqlite3_column_int64(row, C_REJECT),
           (long long)run, s_rolled_back(rejects, run) ? " (rolled back)" : "", reason.text, stream.text,
           *field.text != '\0' ? "." : "", field.text, *detail != '\0' ? ": " : "", detail);
    printf("  " PR_AT_BYTE ", record %" PRIu64, path.text, (uint64_t)sqlite3_column_int64(row, C_OFFSET),
           pr_record_number((uint64_t)sqlite3_column_int64(row, C_ORDINAL)));
    if (sqlite3_column_type(row, C_RETRIED) != SQLITE_NULL)
        printf(", tried again by run %lld", (long long)sqlite3_column_int64(row, C_RETRIED));
    printf("\n  %s\n", record);
    free(detail);
    free(record);
}

static int s_bind(sqlite3_stmt *statement, int64_t run, bool all) {
    if (run > 0)
        sqlite3_bind_int64(statement, 1, run);
    if (sqlite3_bind_parameter_count(statement) > 1)
        sqlite3_bind_int(statement, 2, all ? 0 : 1);
    return 0;
}

/* How many there are, shown or not. */
static int s_count_all(sqlite3 *db, int64_t run, uint64_t *ret_count, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_prepare(db, S_SQL_SETTLED, &statement, err);
    if (result == 0) {
        s_bind(statement, run, true);
        result = pr_ledger_step(db, statement, err);
    }
    if (result > 0)
        *ret_count = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

static void s_print_count(const pr_rejects_t *rejects, uint64_t count, uint64_t total) {
    printf("%s reject%s", count == 0 ? "no" : pr_format_count(count).text, count == 1 ? "" : "s");
    if (total > count)
        printf("; %s settled since (--all lists them)", pr_format_count(total - count).text);
    if (count > 0 && s_rolled_back(rejects, rejects->run))
        printf("; the run was rolled back: retry-rejects leaves them alone");
    printf("\n");
}

static int s_list(sqlite3 *db, const pr_rejects_t *rejects, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    json_t *list = json_array();
    uint64_t count = 0;
    uint64_t total = 0;
    int result = s_count_all(db, rejects->run, &total, err);
    if (result == 0)
        result = pr_ledger_prepare(db, S_SQL_REJECTS, &statement, err);
    if (result == 0)
        s_bind(statement, rejects->run, rejects->all);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        result = 0;
        count++;
        if (rejects->json)
            pr_json_append(list, s_reject_to_json(rejects, statement));
        else
            s_print_reject(rejects, statement);
    }
    sqlite3_finalize(statement);
    if (result == 0 && rejects->json) {
        json_t *root = pr_json_pack("{s:O}", "rejects", list);
        pr_json_print(root, JSON_INDENT(2), stdout);
        json_decref(root);
    } else if (result == 0) {
        s_print_count(rejects, count, total);
    }
    json_decref(list);
    return result;
}

int pr_command_rejects(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    pr_rejects_t rejects = {0};
    const pr_option_t options[] = {
        {.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
        {.name = "--run", .kind = PR_OPTION_NUMBER, .into = &rejects.run, .least = 1, .most = INT64_MAX},
        {.name = "--all", .kind = PR_OPTION_FLAG, .into = &rejects.all},
        {.name = "--json", .kind = PR_OPTION_FLAG, .into = &rejects.json}};
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL)
        return pr_options_wrong(argv[0], err, "--target DB is missing");
    sqlite3 *db = NULL;
    result = pr_ledger_open_there(target, &db, err);
    if (result == 0)
        result = pr_ledger_check_books(db, target, err);
    if (result == 0)
        result = pr_ledger_runs(db, NULL, &rejects.runs, &rejects.runs_count, err);
    if (result == 0 && rejects.run > 0)
        result = pr_ledger_check_run(target, rejects.runs, rejects.runs_count, rejects.run, err);
    if (result == 0)
        result = s_list(db, &rejects, err);
    free(rejects.runs);
    return pr_ledger_close(db, result, err);
}
