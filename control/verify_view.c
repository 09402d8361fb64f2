/* SPDX-License-Identifier: MIT */
/* What a verification found, in short. */
#include "control/verify_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "control/format.h"

enum { s_failures_printed = 20, s_findings_of_a_kind = 5, s_name_width = 10, s_cell_width = 16 };

static const char S_RED[] = "\033[31m";
static const char S_GREEN[] = "\033[32m";
static const char S_PLAIN[] = "\033[0m";

/* Print a string of the table with its arguments, and end the line. */
#define S_SAY(out, language, ...)                                                                                      \
    do {                                                                                                               \
        char *said = pr_string_format(language, __VA_ARGS__, (char *)NULL);                                            \
        fprintf(out, "%s\n", said);                                                                                    \
        free(said);                                                                                                    \
    } while (0)

static void s_print_cell(const char *text, const char *colour, FILE *out) {
    int pad = s_cell_width - (int)pr_format_width(text);
    fprintf(out, "%*s%s%s%s", pad > 1 ? pad : 1, "", colour != NULL ? colour : "", text, colour != NULL ? S_PLAIN : "");
}

static void s_print_name(const char *name, FILE *out) {
    int pad = s_name_width - (int)pr_format_width(name);
    fprintf(out, "%s%*s", name, pad > 0 ? pad : 0, "");
}

static void s_print_row(const pr_verify_stream_t *row, pr_report_language_t language, bool colour, FILE *out) {
    s_print_name(row->name, out);
    s_print_cell(pr_string_count(language, row->records).text, NULL, out);
    s_print_cell(pr_string_count(language, row->proved).text, NULL, out);
    s_print_cell(pr_string_count(language, row->rejected).text, NULL, out);
    s_print_cell(pr_string_count(language, row->failures).text, colour && row->failures > 0 ? S_RED : NULL, out);
    fputc('\n', out);
}

/* A line of failures that belong to no record. */
static void s_print_others(const char *name, uint64_t failures, pr_report_language_t language, bool colour, FILE *out) {
    s_print_name(name, out);
    fprintf(out, "%*s", 3 * s_cell_width, "");
    s_print_cell(pr_string_count(language, failures).text, colour && failures > 0 ? S_RED : NULL, out);
    fputc('\n', out);
}

static void s_print_table(const pr_verify_view_t *view, pr_report_language_t language, bool colour, FILE *out) {
    static const pr_string_t titles[] = {PR_S_COLUMN_RECORDS, PR_S_COLUMN_PROVED, PR_S_COLUMN_REJECTED,
                                         PR_S_COLUMN_FAILURES};
    s_print_name(pr_string(language, PR_S_COLUMN_STREAM), out);
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        s_print_cell(pr_string(language, titles[i]), NULL, out);
    fputc('\n', out);
    for (size_t i = 0; i < view->streams_count; i++)
        s_print_row(&view->streams[i], language, colour, out);
    s_print_others(pr_string(language, PR_S_SHORT_WHOLE), view->whole, language, colour, out);
    if (*view->report->api != '\0')
        s_print_others("API", view->api, language, colour, out);
}

static void s_print_finding(const pr_report_finding_t *finding, pr_report_language_t language, FILE *out) {
    const char *sentence = pr_string_finding(language, finding->kind);
    fprintf(out, "  %s × ", pr_string_count(language, finding->count).text);
    if (*finding->stream != '\0' || *finding->field != '\0')
        fprintf(out, "%s%s%s: ", finding->stream, *finding->stream != '\0' && *finding->field != '\0' ? "." : "",
                finding->field);
    fprintf(out, "%s", sentence != NULL ? sentence : finding->kind);
    char *detail = pr_string_detail(language, finding->detail);
    if (*detail != '\0')
        fprintf(out, " (%s)", detail);
    free(detail);
    fputc('\n', out);
}

/* The first ones of each kind, and how many more there are. */
static void s_print_findings(const pr_report_t *report, pr_report_language_t language, FILE *out) {
    if (report->findings_count > 0)
        fprintf(out, "\n%s\n", pr_string(language, PR_S_FINDINGS));
    for (size_t i = 0; i < report->findings_count; i++) {
        size_t before = 0;
        size_t after = 0;
        for (size_t k = 0; k < report->findings_count; k++) {
            if (strcmp(report->findings[k].kind, report->findings[i].kind) == 0)
                *(k < i ? &before : &after) += 1; /* itself counts among those after */
        }
        if (before < s_findings_of_a_kind) {
            s_print_finding(&report->findings[i], language, out);
        } else if (before == s_findings_of_a_kind) {
            fprintf(out, "  ");
            S_SAY(out, language, PR_S_SHORT_MORE, pr_string_count(language, after).text);
        }
    }
}

/* Does the failure belong to a record of an export? */
static bool s_has_place(const pr_report_failure_t *failure) {
    return *failure->path != '\0' && strcmp(failure->kind, "whole") != 0 && strcmp(failure->kind, "extra") != 0;
}

static void s_print_failures(const pr_report_t *report, pr_report_language_t language, FILE *out) {
    if (report->failures_total == 0)
        return;
    fputc('\n', out);
    S_SAY(out, language, PR_S_SHORT_FAILURES, pr_string_count(language, report->failures_total).text);
    for (size_t i = 0; i < report->failures_count && i < s_failures_printed; i++) {
        const pr_report_failure_t *failure = &report->failures[i];
        char *column = *failure->column != '\0'
                           ? pr_string_format(language, PR_S_SHORT_COLUMN, failure->column, (char *)NULL)
                           : pr_xstrdup("");
        char *values = pr_string_values(language, failure->expected, failure->stored);
        fprintf(out, "  %s:%s%s%s%s%s%s", failure->kind, *failure->table != '\0' ? " " : "", failure->table,
                *failure->key != '\0' ? " " : "", failure->key, column, values);
        char *place = s_has_place(failure) ? pr_string_byte(language, failure->path, failure->offset) : NULL;
        if (place != NULL)
            fprintf(out, " (%s)", place);
        fputc('\n', out);
        free(place);
        free(column);
        free(values);
    }
    if (report->failures_total > s_failures_printed) {
        fprintf(out, "  ");
        S_SAY(out, language, PR_S_SHORT_MORE,
              pr_string_count(language, report->failures_total - s_failures_printed).text);
    }
}

static void s_print_verdict(const pr_verify_view_t *view, pr_report_language_t language, bool colour, FILE *out) {
    uint64_t records = 0;
    uint64_t rejected = 0;
    for (size_t i = 0; i < view->streams_count; i++) {
        records += view->streams[i].records;
        rejected += view->streams[i].rejected;
    }
    fprintf(out, "\n%s", !colour ? "" : view->report->failures_total > 0 ? S_RED : S_GREEN);
    char *said;
    if (view->report->failures_total > 0)
        said = pr_string_format(language, PR_S_VERIFIED_FAILED,
                                pr_string_count(language, view->report->failures_total).text, (char *)NULL);
    else if (rejected > 0)
        said = pr_string_format(language, PR_S_VERIFIED_REJECTS, pr_string_count(language, rejected).text,
                                pr_string_count(language, records).text, (char *)NULL);
    else
        said = pr_string_format(language, PR_S_VERIFIED, pr_string_count(language, records).text, (char *)NULL);
    fprintf(out, "%s%s\n", said, colour ? S_PLAIN : "");
    free(said);
}

/* How many files the sources are from. */
static uint64_t s_files(const pr_report_t *report) {
    uint64_t files = 0;
    for (size_t i = 0; i < report->sources_count; i++) {
        bool seen = false;
        for (size_t k = 0; !seen && k < i; k++)
            seen = strcmp(report->sources[k].path, report->sources[i].path) == 0;
        files += !seen;
    }
    return files;
}

void pr_verify_print(const pr_verify_view_t *view, pr_report_language_t language, bool colour, FILE *out) {
    const pr_report_t *report = view->report;
    S_SAY(out, language, PR_S_SHORT_VERIFY, report->target, pr_string_count(language, s_files(report)).text,
          report->mapping_name);
    if (view->unfinished != 0) {
        char number[24];
        snprintf(number, sizeof number, "%" PRId64, view->unfinished);
        S_SAY(out, language, PR_S_SHORT_VERIFY_RUNNING, number);
    }
    if (*report->api != '\0')
        S_SAY(out, language, PR_S_SHORT_VERIFY_API, report->api, pr_string_count(language, view->api_groups).text,
              view->api_groups_name, pr_string_count(language, view->api_members).text, view->api_members_name);
    fputc('\n', out);
    s_print_table(view, language, colour, out);
    s_print_findings(report, language, out);
    s_print_failures(report, language, out);
    s_print_verdict(view, language, colour, out);
}
