/* SPDX-License-Identifier: MIT */
/* The short form of a run's report. */
#include "control/summary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "control/format.h"
#include "control/remedy.h"

enum { s_failures_printed = 10, s_cells = 9 };

typedef struct {
    const pr_report_t *report;
    pr_report_language_t language;
    bool colour;
    FILE *out;
} pr_printer_t;

void pr_summary_paint(FILE *out, bool colour, pr_paint_t paint, const char *text) {
    if (colour)
        fprintf(out, "\033[%sm%s\033[0m", paint == PR_PAINT_GOOD ? "32" : "31", text);
    else
        fputs(text, out);
}

/* A sentence. Arguments: texts. *Returns new*. */
#define S_TEXT(printer, ...) pr_string_format((printer)->language, __VA_ARGS__, (const char *)NULL)

/* Print a sentence. Arguments: texts. */
#define S_SAY(printer, ...) s_print((printer), pr_string_format((printer)->language, __VA_ARGS__, (const char *)NULL))

/* Takes text. */
static void s_print(const pr_printer_t *printer, char *text) {
    fputs(text, printer->out);
    free(text);
}

static void s_paint(const pr_printer_t *printer, pr_paint_t paint, char *text) {
    pr_summary_paint(printer->out, printer->colour, paint, text);
    free(text);
}

static pr_number_t s_count(const pr_printer_t *printer, uint64_t count) {
    return pr_string_count(printer->language, count);
}

/* ---- the table ---- */

/* Columns a cell takes at least: the first one stands left, the others right. */
static const size_t s_widths[s_cells] = {7, 9, 9, 9, 8, 9, 8, 7, 7};
static const pr_string_t s_heads[s_cells] = {PR_S_COLUMN_STREAM,    PR_S_COLUMN_READ,     PR_S_COLUMN_WRITTEN,
                                             PR_S_COLUMN_UNCHANGED, PR_S_COLUMN_REJECTED, PR_S_COLUMN_VALIDATED,
                                             PR_S_COLUMN_BYTES,     PR_S_COLUMN_SECONDS,  PR_S_COLUMN_RATE};

static void s_print_cells(const pr_printer_t *printer, const char *const *cells) {
    for (size_t i = 0; i < s_cells; i++) {
        size_t head = pr_format_width(pr_string(printer->language, s_heads[i]));
        size_t least = head > s_widths[i] ? head : s_widths[i];
        size_t width = pr_format_width(cells[i]);
        int blanks = width < least ? (int)(least - width) : 0;
        if (i == 0)
            fprintf(printer->out, "%s%*s", cells[i], blanks, "");
        else
            fprintf(printer->out, " %*s%s", blanks, "", cells[i]);
    }
    fputc('\n', printer->out);
}

static void s_print_row(const pr_printer_t *printer, const char *name, const pr_report_stream_t *stream) {
    double seconds = stream->seconds;
    pr_number_t rate = {"-"};
    if (seconds > 0)
        rate = s_count(printer, (uint64_t)((double)stream->records_seen / seconds + 0.5));
    pr_number_t read = s_count(printer, stream->read);
    pr_number_t written = s_count(printer, stream->written);
    pr_number_t unchanged = s_count(printer, stream->unchanged);
    pr_number_t rejected = s_count(printer, stream->rejected);
    pr_number_t validated = s_count(printer, stream->validated);
    pr_number_t bytes = pr_string_bytes(printer->language, stream->bytes);
    pr_number_t time = pr_string_seconds(printer->language, seconds);
    s_print_cells(printer, (const char *[]){name, read.text, written.text, unchanged.text, rejected.text,
                                            validated.text, bytes.text, time.text, rate.text});
}

static void s_print_account(const pr_printer_t *printer, const pr_report_stream_t *stream) {
    bool holds = pr_report_stream_balances(printer->report, stream);
    fprintf(printer->out, "  %s%s: %s = %s + %s + %s, ", stream->name,
            printer->language == PR_LANGUAGE_FRENCH ? "\xC2\xA0" : "", s_count(printer, stream->read).text,
            s_count(printer, stream->written).text, s_count(printer, stream->unchanged).text,
            s_count(printer, stream->rejected).text);
    pr_summary_paint(printer->out, printer->colour, holds ? PR_PAINT_GOOD : PR_PAINT_BAD,
                     pr_string(printer->language, holds ? PR_S_ACCOUNTS_HOLD : PR_S_ACCOUNTS_FAIL));
    if (stream->read != stream->exported) {
        fputc(' ', printer->out);
        S_SAY(printer, PR_S_ACCOUNTS_EXPORTED, s_count(printer, stream->exported).text);
    }
    fputc('\n', printer->out);
}

static void s_print_table(const pr_printer_t *printer) {
    const pr_report_t *report = printer->report;
    const char *heads[s_cells];
    pr_report_stream_t total = pr_report_total(report);
    for (size_t i = 0; i < s_cells; i++)
        heads[i] = pr_string(printer->language, s_heads[i]);
    s_print_cells(printer, heads);
    for (size_t i = 0; i < report->streams_count; i++) {
        const pr_report_stream_t *stream = &report->streams[i];
        s_print_row(printer, stream->name, stream);
    }
    total.seconds = report->run.seconds;
    total.records_seen = total.read;
    s_print_row(printer, pr_string(printer->language, PR_S_ROW_ALL), &total);
    fprintf(printer->out, "\n%s\n", pr_string(printer->language, PR_S_ACCOUNTS));
    for (size_t i = 0; i < report->streams_count; i++)
        s_print_account(printer, &report->streams[i]);
}

/* ---- findings, rejects, failures ---- */

/* Print a finding that occurs `count` times in all. many: it stands for others like it. */
static void s_print_finding(const pr_printer_t *printer, const pr_report_finding_t *finding, uint64_t count,
                            bool many) {
    const char *sentence = pr_string_finding(printer->language, finding->kind);
    const char *field = many ? "" : finding->field;
    char *detail = pr_string_detail(printer->language, finding->detail);
    fprintf(printer->out, "  %s × ", s_count(printer, count).text);
    if (*finding->stream != '\0' || *field != '\0')
        fprintf(printer->out, "%s%s%s%s: ", finding->stream, *finding->stream != '\0' && *field != '\0' ? "." : "",
                field, printer->language == PR_LANGUAGE_FRENCH ? "\xC2\xA0" : "");
    fputs(sentence != NULL ? sentence : finding->kind, printer->out);
    if (*detail != '\0')
        fprintf(printer->out, " (%s%s)", detail, many ? ", …" : "");
    fputc('\n', printer->out);
    free(detail);
}

static void s_print_findings(const pr_printer_t *printer) {
    const pr_report_t *report = printer->report;
    if (report->findings_count > 0)
        fprintf(printer->out, "\n%s\n", pr_string(printer->language, PR_S_FINDINGS));
    for (size_t i = 0; i < report->findings_count;) {
        uint64_t count;
        size_t end = pr_report_findings_end(report, i, &count);
        s_print_finding(printer, &report->findings[i], count, end - i > 1);
        i = end;
    }
}

static void s_print_rejects(const pr_printer_t *printer) {
    const pr_report_t *report = printer->report;
    if (report->rejects_count == 0)
        return;
    fprintf(printer->out, "\n%s\n", pr_string(printer->language, PR_S_REJECTS));
    for (size_t i = 0; i < report->rejects_count; i++) {
        const pr_report_reject_t *reject = &report->rejects[i];
        const char *sentence = pr_string_reject(printer->language, reject->reason);
        char *where = pr_xasprintf("%s%s%s", reject->stream, *reject->field != '\0' ? "." : "", reject->field);
        fputs("  ", printer->out);
        S_SAY(printer, PR_S_SHORT_REJECTED, s_count(printer, reject->count).text, reject->reason, where,
              sentence != NULL ? sentence : "unknown");
        fputc('\n', printer->out);
        free(where);
    }
    if (*report->not_given != '\0') {
        fputs("  ", printer->out);
        S_SAY(printer, PR_S_NOT_GIVEN, report->not_given);
        fputc('\n', printer->out);
    }
    /* Of a run that was taken back they count as settled unless it is named. */
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, report->run.number);
    char *command = *report->run.rolled_back_at != '\0'
                        ? pr_hint_command("rejects", "--target", report->target, "--run", number, NULL)
                        : pr_hint_command("rejects", "--target", report->target, NULL);
    fputs("  ", printer->out);
    S_SAY(printer, PR_S_SHORT_EACH_ONE, command);
    fputc('\n', printer->out);
    free(command);
}

static void s_print_failure(const pr_printer_t *printer, const pr_report_failure_t *failure) {
    fprintf(printer->out, "  %s%s: %s %s", failure->kind, printer->language == PR_LANGUAGE_FRENCH ? "\xC2\xA0" : "",
            failure->table, failure->key);
    if (*failure->column != '\0')
        S_SAY(printer, PR_S_SHORT_COLUMN, failure->column);
    s_print(printer, pr_string_values(printer->language, failure->expected, failure->stored));
    if (failure->checkpoint > 0) {
        char *place = pr_string_byte(printer->language, failure->path, failure->offset);
        char *checkpoint = pr_xasprintf("%" PRId64, failure->checkpoint);
        fputc(' ', printer->out);
        S_SAY(printer, PR_S_SHORT_PLACE, place, checkpoint);
        free(checkpoint);
        free(place);
    }
    fputc('\n', printer->out);
}

static void s_print_failures(const pr_printer_t *printer) {
    const pr_report_t *report = printer->report;
    if (report->failures_total == 0)
        return;
    fputc('\n', printer->out);
    s_paint(printer, PR_PAINT_BAD, S_TEXT(printer, PR_S_SHORT_FAILURES, s_count(printer, report->failures_total).text));
    fputc('\n', printer->out);
    for (size_t i = 0; i < report->failures_count && i < s_failures_printed; i++)
        s_print_failure(printer, &report->failures[i]);
    if (report->failures_total > s_failures_printed)
        fprintf(printer->out, "  %s\n", pr_string(printer->language, PR_S_SHORT_ALL_FAILURES));
}

/* ---- the outcome ---- */

/* Why it was taken back is known from the outcome. */
static pr_string_t s_taken_back(const pr_report_t *report) {
    return report->outcome == 4   ? PR_S_TAKEN_BACK_FAILED
           : report->outcome == 2 ? PR_S_TAKEN_BACK_REJECTS
                                  : PR_S_TAKEN_BACK;
}

/* What settles the rejects. */
static void s_print_remedies(const pr_printer_t *printer) {
    pr_remedy_t remedies[PR_REMEDIES_MAX];
    size_t count = pr_remedies(printer->report, remedies);
    for (size_t i = 0; i < count; i++) {
        fputc('\n', printer->out);
        S_SAY(printer, remedies[i].sentence, remedies[i].argument);
        for (size_t k = 0; k < PR_REMEDY_COMMANDS && remedies[i].commands[k] != NULL; k++)
            fprintf(printer->out, "\n  %s", remedies[i].commands[k]);
    }
    pr_remedies_free(remedies, count);
}

static void s_print_outcome(const pr_printer_t *printer) {
    const pr_report_t *report = printer->report;
    const pr_ledger_run_t *run = &report->run;
    pr_number_t records = s_count(printer, run->records);
    pr_report_language_t language = printer->language;
    fputc('\n', printer->out);
    if (*run->rolled_back_at != '\0') {
        s_paint(printer, PR_PAINT_BAD, S_TEXT(printer, s_taken_back(report)));
    } else if (report->outcome == 0) {
        s_paint(printer, PR_PAINT_GOOD, S_TEXT(printer, PR_S_COMPLETE, records.text));
    } else if (report->outcome == 3) {
        s_paint(printer, PR_PAINT_BAD,
                S_TEXT(printer, PR_S_COMPLETE_REJECTS, s_count(printer, run->rejected).text, records.text));
        s_print_remedies(printer);
    } else if (report->outcome == 4) {
        s_paint(printer, PR_PAINT_BAD, S_TEXT(printer, PR_S_COMPLETE_FAILED));
    } else {
        s_paint(printer, PR_PAINT_BAD,
                S_TEXT(printer, PR_S_INCOMPLETE, s_count(printer, run->records - run->rejected).text,
                       s_count(printer, run->total).text));
    }
    fputc('\n', printer->out);
    if (report->outcome == 4 && report->undo.reversible) {
        char *rollback = pr_hint_command("rollback", "--target", report->target, "--to", "start-of-run", NULL);
        fprintf(printer->out, "%s\n  %s\n", pr_string(language, PR_S_SHORT_PUT_BACK), rollback);
        free(rollback);
    }
}

void pr_summary_print(const pr_report_t *report, pr_report_language_t language, bool colour, FILE *out) {
    const pr_printer_t printer = {.report = report, .language = language, .colour = colour, .out = out};
    char *number = pr_xasprintf("%" PRId64, report->run.number);
    char *inspect = pr_hint_command("inspect", report->target, NULL);
    char *status = pr_hint_command("status", "--target", report->target, NULL);
    S_SAY(&printer, strcmp(report->run.kind, "retry") == 0 ? PR_S_SHORT_HEAD_RETRY : PR_S_SHORT_HEAD, number,
          report->run.mapping, report->target);
    fputs("\n\n", out);
    s_print_table(&printer);
    s_print_findings(&printer);
    s_print_rejects(&printer);
    s_print_failures(&printer);
    s_print_outcome(&printer);
    S_SAY(&printer, PR_S_SHORT_FURTHER, inspect, status);
    fputc('\n', out);
    free(status);
    free(inspect);
    free(number);
}
