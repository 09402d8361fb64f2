/* SPDX-License-Identifier: MIT */
/* A rollback as the operator sees it. */
#include "control/rollback_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"
#include "control/format.h"

enum { s_kinds = PR_CONFLICT_SCHEMA + 1, s_table_width = 14 };

/* "checkpoint 12". *Returns new*. */
static char *s_point(int64_t checkpoint) {
    return checkpoint == 0 ? pr_xstrdup("the state before any run") : pr_xasprintf("checkpoint %" PRId64, checkpoint);
}

static int s_width(const pr_rollback_report_t *report) {
    size_t width = s_table_width;
    for (size_t i = 0; i < report->tables_count; i++)
        width = pr_format_width(report->tables[i].table) > width ? pr_format_width(report->tables[i].table) : width;
    return (int)width;
}

/* ---- the plan ---- */

static void s_print_run(const pr_rollback_run_t *run, FILE *out) {
    if (run->checkpoints == 0)
        fprintf(out, "  run %" PRId64 " is given up; it has committed nothing\n", run->number);
    else if (run->whole)
        fprintf(out, "  run %" PRId64 " is taken back as a whole: %s checkpoint%s, %s record%s\n", run->number,
                pr_format_count(run->checkpoints).text, pr_format_plural(run->checkpoints),
                pr_format_count(run->records).text, pr_format_plural(run->records));
    else
        fprintf(out, "  run %" PRId64 " is taken back in part: its last %s checkpoint%s, %s record%s\n", run->number,
                pr_format_count(run->checkpoints).text, pr_format_plural(run->checkpoints),
                pr_format_count(run->records).text, pr_format_plural(run->records));
}

static void s_print_names(const pr_rollback_report_t *report, FILE *out) {
    if (report->names_count > 0)
        fprintf(out, "  names that go: ");
    for (size_t i = 0; i < report->names_count; i++)
        fprintf(out, "%s%s", i > 0 ? ", " : "", pr_text_line(report->names[i]).text);
    if (report->names_count > 0)
        fputc('\n', out);
}

static void s_print_planned_rows(const pr_rollback_report_t *plan, FILE *out) {
    int width = s_width(plan);
    uint64_t deleted = 0;
    uint64_t restored = 0;
    if (plan->tables_count == 0) {
        fprintf(out, "  no rows: what is taken back changed none\n");
        return;
    }
    fprintf(out, "\n  %-*s %12s %12s\n", width, "table", "to delete", "to restore");
    for (size_t i = 0; i < plan->tables_count; i++) {
        const pr_rollback_table_t *table = &plan->tables[i];
        fprintf(out, "  %-*s %12s %12s\n", width, table->table, pr_format_count(table->deleted).text,
                pr_format_count(table->restored).text);
        deleted += table->deleted;
        restored += table->restored;
    }
    fprintf(out, "  %-*s %12s %12s\n", width, "all", pr_format_count(deleted).text, pr_format_count(restored).text);
}

void pr_rollback_view_plan(const pr_rollback_view_t *view, FILE *out) {
    const pr_rollback_report_t *plan = view->plan;
    char *to = s_point(plan->to);
    if (view->dry_run)
        fprintf(out, "Dry run: nothing is changed.\n");
    if (plan->checkpoints > 0)
        fprintf(out, "Rollback of %s from checkpoint %" PRId64 " to %s\n", view->target, plan->from, to);
    else
        fprintf(out, "Rollback of %s to %s, where its rows stand already\n", view->target, to);
    for (size_t i = plan->runs_count; i > 0; i--)
        s_print_run(&plan->runs[i - 1], out);
    s_print_names(plan, out);
    if (plan->checkpoints > 0)
        s_print_planned_rows(plan, out);
    free(to);
}

/* ---- the result ---- */

static void s_print_rows(const pr_rollback_report_t *result, FILE *out) {
    int width = s_width(result);
    pr_rollback_table_t all = {0};
    if (result->tables_count == 0)
        return;
    fprintf(out, "\n  %-*s %12s %12s %12s\n", width, "table", "deleted", "restored", "left");
    for (size_t i = 0; i < result->tables_count; i++) {
        const pr_rollback_table_t *table = &result->tables[i];
        fprintf(out, "  %-*s %12s %12s %12s\n", width, table->table, pr_format_count(table->deleted).text,
                pr_format_count(table->restored).text, pr_format_count(table->left).text);
        all.deleted += table->deleted;
        all.restored += table->restored;
        all.left += table->left;
    }
    fprintf(out, "  %-*s %12s %12s %12s\n\n", width, "all", pr_format_count(all.deleted).text,
            pr_format_count(all.restored).text, pr_format_count(all.left).text);
}

static void s_print_kept_counters(const pr_rollback_report_t *result, FILE *out) {
    const char *between = "Id counters that stay where they are, so that no id is used twice: ";
    bool any = false;
    for (size_t i = 0; i < result->tables_count; i++) {
        if (!result->tables[i].sequence_kept)
            continue;
        fprintf(out, "%s%s", between, pr_text_line(result->tables[i].table).text);
        between = ", ";
        any = true;
    }
    if (any)
        fputc('\n', out);
}

static void s_print_next(const pr_rollback_view_t *view, FILE *out) {
    const pr_rollback_report_t *result = view->result;
    const char *does = view->dry_run ? "would then " : "";
    const char *s = view->dry_run ? "" : "s";
    if (result->continues == 0)
        fprintf(out, "Replaying %sbegin%s a new run.\n", does, s);
    else if (result->position_records < view->total)
        fprintf(out, "Replaying the same exports %scontinue%s run %" PRId64 " at record %s of %s.\n", does, s,
                result->continues, pr_format_count(result->position_records + 1).text,
                pr_format_count(view->total).text);
    else
        fprintf(out, "Replaying the same exports %scontinue%s run %" PRId64 ", all of whose records are in.\n", does, s,
                result->continues);
}

void pr_rollback_view_result(const pr_rollback_view_t *view, FILE *out) {
    const pr_rollback_report_t *result = view->result;
    char *to = s_point(result->to);
    fprintf(out, "\n%s: the target %s at %s%s\n", view->dry_run ? "This is what would be done" : "Done",
            view->dry_run ? "would stand" : "stands", to,
            result->conflicts_total > 0 ? ", but for what is left." : ".");
    s_print_rows(result, out);
    if (result->conflicts_total > 0) {
        pr_rollback_view_conflicts(view, out);
        fputc('\n', out);
    }
    s_print_kept_counters(result, out);
    fprintf(out, "Checked: foreign keys, quick_check.\n");
    s_print_next(view, out);
    if (view->dry_run)
        fprintf(out, "Dry run: nothing was changed.\n");
    free(to);
}

/* ---- conflicts ---- */

static void s_print_conflict(const pr_conflict_t *conflict, FILE *out) {
    fprintf(out, "  %s: %s", pr_conflict_word(conflict->kind), pr_text_line(conflict->table).text);
    if (*conflict->key != '\0')
        fprintf(out, " %s", pr_text_line(conflict->key).text);
    if (*conflict->column != '\0')
        fprintf(out, ", column %s", pr_text_line(conflict->column).text);
    if (*conflict->ours != '\0')
        fprintf(out, ": ours %s, theirs %s\n", pr_text_line(conflict->ours).text, pr_text_line(conflict->theirs).text);
    else
        fprintf(out, ": theirs %s\n", pr_text_line(conflict->theirs).text);
}

void pr_rollback_view_conflicts(const pr_rollback_view_t *view, FILE *out) {
    const pr_rollback_report_t *result = view->result;
    fprintf(out, "%s\n", view->conflict ? "\nIn the way:" : "Left as it is:");
    for (int kind = 0; kind < s_kinds; kind++) {
        bool any = false;
        for (size_t i = 0; i < result->conflicts_count; i++) {
            const pr_conflict_t *conflict = &result->conflicts[i];
            if ((int)conflict->kind != kind)
                continue;
            if (!any)
                fprintf(out, "%s\n", pr_conflict_sentence(conflict->kind));
            any = true;
            s_print_conflict(conflict, out);
        }
    }
    if (result->conflicts_total > result->conflicts_count)
        fprintf(out, "… and %s more\n", pr_format_count(result->conflicts_total - result->conflicts_count).text);
}

/* ---- JSON ---- */

static json_t *s_report_to_json(const pr_rollback_report_t *report) {
    json_t *runs = json_array();
    json_t *names = json_array();
    json_t *tables = json_array();
    for (size_t i = 0; i < report->runs_count; i++) {
        const pr_rollback_run_t *run = &report->runs[i];
        pr_json_append(runs,
                       pr_json_pack("{s:I, s:b, s:I, s:I}", "run", (json_int_t)run->number, "whole", (int)run->whole,
                                    "checkpoints", (json_int_t)run->checkpoints, "records", (json_int_t)run->records));
    }
    for (size_t i = 0; i < report->names_count; i++)
        pr_json_append(names, pr_json_text(report->names[i]));
    for (size_t i = 0; i < report->tables_count; i++) {
        const pr_rollback_table_t *table = &report->tables[i];
        pr_json_append(tables, pr_json_pack("{s:s, s:I, s:I, s:I, s:b}", "table", table->table, "deleted",
                                            (json_int_t)table->deleted, "restored", (json_int_t)table->restored, "left",
                                            (json_int_t)table->left, "sequence_kept", (int)table->sequence_kept));
    }
    return pr_json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I}", "from", (json_int_t)report->from, "to",
                        (json_int_t)report->to, "checkpoints", (json_int_t)report->checkpoints, "runs", runs, "names",
                        names, "tables", tables, "continues",
                        report->continues > 0 ? json_integer(report->continues) : json_null(), "position_records",
                        (json_int_t)report->position_records);
}

json_t *pr_rollback_view_to_json(const pr_rollback_view_t *view) {
    const pr_rollback_report_t *result = view->result;
    json_t *conflicts = json_array();
    for (size_t i = 0; result != NULL && i < result->conflicts_count; i++) {
        const pr_conflict_t *conflict = &result->conflicts[i];
        pr_json_append(conflicts,
                       pr_json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s}", "kind", pr_conflict_word(conflict->kind),
                                    "checkpoint", (json_int_t)conflict->checkpoint, "table", conflict->table, "key",
                                    conflict->key, "column", conflict->column, "ours", conflict->ours, "theirs",
                                    conflict->theirs));
    }
    return pr_json_pack("{s:s, s:b, s:b, s:o, s:o, s:I, s:o}", "target", view->target, "dry_run", (int)view->dry_run,
                        "keep_theirs", (int)view->keep_theirs, "plan", s_report_to_json(view->plan), "result",
                        result != NULL && !view->conflict ? s_report_to_json(result) : json_null(), "conflicts_total",
                        (json_int_t)(result != NULL ? result->conflicts_total : 0), "conflicts", conflicts);
}
