/* SPDX-License-Identifier: MIT */
/* A report as JSON: docs/man/pvrelay-report.5 lists the keys. */
#include <stdlib.h>

#include "common/json.h"
#include "control/report.h"

static json_t *s_number(uint64_t number) {
    return json_integer((json_int_t)number);
}

static json_t *s_run_to_json(const pr_report_t *report) {
    const pr_ledger_run_t *run = &report->run;
    if (run->number == 0 && *run->id == '\0')
        return json_null();
    return pr_json_pack("{s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:f, s:o, s:o, s:o, s:o}", "number",
                        run->number > 0 ? json_integer(run->number) : json_null(), "id", run->id, "kind", run->kind,
                        "state", pr_ledger_state(run), "mapping", run->mapping, "started_at",
                        pr_json_text_or_null(run->started_at), "ended_at", pr_json_text_or_null(run->ended_at),
                        "seconds", run->seconds, "outcome",
                        run->outcome >= 0 ? json_integer(run->outcome) : json_null(), "error",
                        pr_json_text_or_null(run->error), "rolled_back_at", pr_json_text_or_null(run->rolled_back_at),
                        "checkpoint", run->checkpoint > 0 ? json_integer(run->checkpoint) : json_null());
}

static json_t *s_mapping_to_json(const pr_report_t *report) {
    if (report->mapping != NULL)
        return json_incref(report->mapping);
    return pr_json_pack("{s:s, s:s, s:s, s:[], s:[], s:[]}", "name", report->mapping_name, "path", report->mapping_path,
                        "digest", report->mapping_digest, "streams", "value_maps", "derived");
}

static json_t *s_sources_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->sources_count; i++) {
        const pr_report_source_t *source = &report->sources[i];
        pr_json_append(list, pr_json_pack("{s:s, s:o, s:I, s:o, s:I, s:I}", "path", source->path, "stream",
                                          pr_json_text_or_null(source->stream), "size", (json_int_t)source->size,
                                          "digest", pr_json_text_or_null(source->digest), "records",
                                          (json_int_t)source->records, "bytes", (json_int_t)source->bytes));
    }
    return list;
}

static json_t *s_streams_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->streams_count; i++) {
        const pr_report_stream_t *stream = &report->streams[i];
        double seconds = stream->seconds;
        json_t *rate = seconds > 0 ? pr_json_real((double)stream->records_seen / seconds) : json_null();
        bool run = report->kind == PR_REPORT_RUN;
        pr_json_append(
            list, pr_json_pack("{s:s, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:b}", "stream", stream->name,
                               "exported", (json_int_t)stream->exported, "read", (json_int_t)stream->read, "written",
                               run ? s_number(stream->written) : json_null(), "unchanged",
                               run ? s_number(stream->unchanged) : json_null(), "rejected",
                               (json_int_t)stream->rejected, "validated", (json_int_t)stream->validated, "bytes",
                               (json_int_t)stream->bytes, "seconds", seconds >= 0 ? pr_json_real(seconds) : json_null(),
                               "records_per_second", rate, "balances", (int)pr_report_stream_balances(report, stream)));
    }
    return list;
}

static json_t *s_group_to_json(const pr_report_distribution_t *distribution, const pr_report_group_t *group) {
    json_t *values = json_array();
    for (size_t i = 0; i < group->shares_count; i++) {
        const pr_report_share_t *share = &group->shares[i];
        json_t *target = json_object();
        for (size_t c = 0; c < distribution->columns_count; c++)
            pr_json_set(target, distribution->columns[c],
                        share->values[c + 1] != NULL ? pr_json_text(share->values[c + 1]) : json_null());
        pr_json_append(
            values,
            pr_json_pack("{s:o, s:b, s:o, s:I, s:o, s:o}", "value",
                         share->values[0] != NULL ? pr_json_text(share->values[0]) : json_null(), "in_export",
                         (int)share->in_export, "target", target, "exported", (json_int_t)share->exported, "stored",
                         share->stored >= 0 ? json_integer(share->stored) : json_null(), "percent",
                         group->exported > 0 ? pr_json_real(100.0 * (double)share->exported / (double)group->exported)
                                             : json_null()));
    }
    return pr_json_pack("{s:o, s:o, s:I, s:o, s:o}", "group",
                        group->key != NULL ? pr_json_text(group->key) : json_null(), "label",
                        pr_json_text_or_null(group->label), "exported", (json_int_t)group->exported, "stored",
                        group->stored >= 0 ? json_integer(group->stored) : json_null(), "values", values);
}

static json_t *s_distributions_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->distributions_count; i++) {
        const pr_report_distribution_t *distribution = &report->distributions[i];
        json_t *columns = json_array();
        json_t *groups = json_array();
        for (size_t c = 0; c < distribution->columns_count; c++)
            pr_json_append(columns, pr_json_text(distribution->columns[c]));
        for (size_t g = 0; g < distribution->groups_count; g++)
            pr_json_append(groups, s_group_to_json(distribution, &distribution->groups[g]));
        pr_json_append(list, pr_json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o}", "stream", distribution->stream,
                                          "of", distribution->of, "by", distribution->by, "label_field",
                                          pr_json_text_or_null(distribution->label_name), "table", distribution->table,
                                          "columns", columns, "all", s_group_to_json(distribution, &distribution->all),
                                          "groups", groups));
    }
    return list;
}

static json_t *s_checks_to_json(const pr_report_t *report) {
    static const char *const states[] = {[PR_CHECK_OPEN] = "open",
                                         [PR_CHECK_PASSED] = "passed",
                                         [PR_CHECK_NOTED] = "noted",
                                         [PR_CHECK_FAILED] = "failed",
                                         [PR_CHECK_ABSENT] = NULL};
    static const char *const words[] = {
#define X(name, word) word,
        PR_REPORT_CHECKS(X)
#undef X
    };
    json_t *list = json_array();
    for (size_t i = 0; i < PR_CHECKS; i++) {
        if (report->checks[i] != PR_CHECK_ABSENT)
            pr_json_append(list, pr_json_pack("{s:s, s:s}", "check", words[i], "state", states[report->checks[i]]));
    }
    return list;
}

static json_t *s_findings_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->findings_count; i++) {
        const pr_report_finding_t *finding = &report->findings[i];
        pr_json_append(list, pr_json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:o}", "kind", finding->kind, "stream",
                                          finding->stream, "field", finding->field, "count", (json_int_t)finding->count,
                                          "detail", finding->detail, "path", pr_json_text_or_null(finding->path),
                                          "record", *finding->path != '\0' ? s_number(finding->ordinal) : json_null()));
    }
    return list;
}

static json_t *s_rejects_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->rejects_count; i++) {
        const pr_report_reject_t *reject = &report->rejects[i];
        pr_json_append(list, pr_json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:o}", "reason", reject->reason, "stream",
                                          reject->stream, "field", reject->field, "count", (json_int_t)reject->count,
                                          "detail", reject->detail, "path", pr_json_text_or_null(reject->path),
                                          "offset", *reject->path != '\0' ? s_number(reject->offset) : json_null()));
    }
    return list;
}

static json_t *s_failures_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->failures_count; i++) {
        const pr_report_failure_t *failure = &report->failures[i];
        pr_json_append(list, pr_json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "kind", failure->kind,
                                          "stream", failure->stream, "table", failure->table, "key", failure->key,
                                          "column", failure->column, "expected", failure->expected, "stored",
                                          failure->stored, "path", failure->path, "offset", (json_int_t)failure->offset,
                                          "checkpoint", (json_int_t)failure->checkpoint));
    }
    return list;
}

static json_t *s_tables_to_json(const pr_report_t *report) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->tables_count; i++) {
        const pr_report_table_t *table = &report->tables[i];
        pr_json_append(list, pr_json_pack("{s:s, s:I, s:I, s:o}", "table", table->table, "inserted",
                                          (json_int_t)table->inserted, "updated", (json_int_t)table->updated, "rows",
                                          table->rows >= 0 ? json_integer(table->rows) : json_null()));
    }
    return list;
}

static json_t *s_undo_to_json(const pr_report_t *report) {
    const pr_report_undo_t *undo = &report->undo;
    char *command = undo->known && undo->reversible ? pr_report_undo_command(report, false) : NULL;
    json_t *json = undo->known ? pr_json_pack("{s:I, s:b, s:b, s:o, s:o}", "run", (json_int_t)undo->run, "possible",
                                              (int)undo->reversible, "taken_back", (int)undo->taken_back, "checkpoint",
                                              undo->taken_back ? json_null() : json_integer(undo->checkpoint),
                                              "command", pr_json_text_or_null(command))
                               : json_null();
    free(command);
    return json;
}

static json_t *s_error_to_json(const pr_report_t *report) {
    if (*report->error == '\0')
        return json_null();
    return pr_json_pack("{s:s, s:i, s:s}", "name", report->error, "exit_code", report->exit_code, "text",
                        report->error_text);
}

json_t *pr_report_to_json(const pr_report_t *report) {
    return pr_json_pack(
        "{s:i, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, "
        "s:o, "
        "s:o}",
        "report_version", PR_REPORT_VERSION, "kind", report->kind == PR_REPORT_RUN ? "run" : "verify", "verdict",
        pr_report_verdict(report), "outcome", report->outcome >= 0 ? json_integer(report->outcome) : json_null(),
        "error", s_error_to_json(report), "made_at", report->made_at, "target", report->target, "command",
        report->command, "versions", "pvrelay", PVRELAY_VERSION, "sqlite", sqlite3_libversion(), "api",
        pr_json_text_or_null(report->api), "run", s_run_to_json(report), "mapping", s_mapping_to_json(report),
        "sources", s_sources_to_json(report), "streams", s_streams_to_json(report), "distributions",
        s_distributions_to_json(report), "checks", s_checks_to_json(report), "findings", s_findings_to_json(report),
        "rejects", s_rejects_to_json(report), "failures", s_failures_to_json(report), "failures_total",
        (json_int_t)report->failures_total, "tables", s_tables_to_json(report), "undo", s_undo_to_json(report));
}
