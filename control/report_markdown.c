/* SPDX-License-Identifier: MIT */
/* A report as Markdown, for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "common/position.h"
#include "control/markdown.h"
#include "control/remedy.h"
#include "control/report.h"

/*  DESIGN
 *
 *  One function a section, in the order of the page. A text that is not ours reaches the page only through
 *  pr_page_code and pr_page_text; a sentence is put together of such texts (S_SAY, s_say). What a section would say of
 *  nothing is one sentence: no section is left out, so that nobody has to guess.
 */

enum { s_groups_shown = 50, s_failures_shown = 100, s_examples_shown = 3, s_columns_max = 12 };

typedef struct {
    pr_page_t page;
    const pr_report_t *report;
    pr_report_language_t language;
    char *mapping_option; /* " --mapping FILE" if it was not the installation's, else "" */
    char *target;         /* quoted for a shell */
} pr_writer_t;

/* A sentence for the page, borrowed from it. Arguments: texts. */
#define S_SAY(writer, ...)                                                                                             \
    pr_page_keep(&(writer)->page, pr_string_format((writer)->language, __VA_ARGS__, (const char *)NULL))
#define S_KEEP(writer, ...) pr_page_keep(&(writer)->page, pr_xasprintf(__VA_ARGS__))

static const char *s_word(const pr_writer_t *writer, pr_string_t string) {
    return pr_string(writer->language, string);
}

static const char *s_count(pr_writer_t *writer, uint64_t count) {
    return pr_page_keep(&writer->page, pr_xstrdup(pr_string_count(writer->language, count).text));
}

static const char *s_count_or_dash(pr_writer_t *writer, int64_t count) {
    return count >= 0 ? s_count(writer, (uint64_t)count) : "–";
}

static const char *s_size(pr_writer_t *writer, uint64_t bytes) {
    return pr_page_keep(&writer->page, pr_xstrdup(pr_string_bytes(writer->language, bytes).text));
}

static const char *s_percent(pr_writer_t *writer, uint64_t part, uint64_t whole) {
    const char *unit = writer->language == PR_LANGUAGE_FRENCH ? "\xC2\xA0%" : " %";
    return whole > 0 ? S_KEEP(writer, "%s%s", pr_string_percent(writer->language, part, whole).text, unit) : "–";
}

static const char *s_code(pr_writer_t *writer, const char *text) {
    return pr_page_code(&writer->page, text);
}

static void s_section(pr_writer_t *writer, pr_string_t title) {
    fprintf(writer->page.out, "## %s\n\n", s_word(writer, title));
}

static void s_paragraph(pr_writer_t *writer, const char *text) {
    fprintf(writer->page.out, "%s\n\n", text);
}

static void s_shell(pr_writer_t *writer, const char *line) {
    pr_page_shell(&writer->page, &line, 1);
}

/* A detail of the books, in the page's language. */
static const char *s_detail(pr_writer_t *writer, const char *detail) {
    return s_code(writer, pr_page_keep(&writer->page, pr_string_detail(writer->language, detail)));
}

/* A join of stream and field: `modules.comment`; "" of nothing. */
static const char *s_where(pr_writer_t *writer, const char *stream, const char *field) {
    const char *dot = *stream != '\0' && *field != '\0' ? "." : "";
    return s_code(writer, S_KEEP(writer, "%s%s%s", stream, dot, field));
}

/* A list in one sentence: "a, b, c". text may be NULL. Returns the longer one. */
static const char *s_join(pr_writer_t *writer, const char *text, const char *more) {
    return text != NULL ? S_KEEP(writer, "%s, %s", text, more) : more;
}

/* ---- title and summary ---- */

/* It has not come to its end. What was rejected is not in the target. */
static const char *s_incomplete(pr_writer_t *writer, const pr_report_stream_t *total) {
    const char *in_target = s_count(writer, total->read - total->rejected);
    if (strcmp(writer->report->error, pr_error_name(PR_E_REJECT_LIMIT)) == 0)
        return S_SAY(writer, PR_S_INCOMPLETE_REJECTS, in_target, s_count(writer, total->exported),
                     s_count(writer, total->rejected));
    return S_SAY(writer, PR_S_INCOMPLETE, in_target, s_count(writer, total->exported));
}

static const char *s_verdict_of_verify(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    pr_report_stream_t total = pr_report_total(report);
    if (report->outcome == 4)
        return S_SAY(writer, PR_S_VERIFIED_FAILED, s_count(writer, report->failures_total));
    if (report->outcome < 0)
        return s_incomplete(writer, &total);
    if (total.rejected > 0)
        return S_SAY(writer, PR_S_VERIFIED_REJECTS, s_count(writer, total.rejected), s_count(writer, total.exported));
    return S_SAY(writer, PR_S_VERIFIED, s_count(writer, total.exported));
}

static const char *s_verdict_of_run(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    pr_report_stream_t total = pr_report_total(report);
    if (*report->run.rolled_back_at != '\0')
        return s_word(writer, report->outcome == 4   ? PR_S_TAKEN_BACK_FAILED
                              : report->outcome == 2 ? PR_S_TAKEN_BACK_REJECTS
                                                     : PR_S_TAKEN_BACK);
    if (!pr_report_is_begun(report))
        return s_word(writer, PR_S_NOT_BEGUN);
    switch (report->outcome) {
    case 0:
        return S_SAY(writer, PR_S_COMPLETE, s_count(writer, total.read));
    case 3:
        return S_SAY(writer, PR_S_COMPLETE_REJECTS, s_count(writer, total.rejected), s_count(writer, total.read));
    case 4:
        return S_SAY(writer, PR_S_FAILED_MD, s_count(writer, report->failures_total));
    default:
        return s_incomplete(writer, &total);
    }
}

static const char *s_verdict(pr_writer_t *writer) {
    static const struct {
        const char *verdict, *sign;
    } signs[] = {
        {"good", "✅"}, {"rejects", "⚠️"}, {"failed", "❌"}, {"taken_back", "⚠️"}, {"incomplete", "⚠️"}};
    const char *sign = "";
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (strcmp(signs[i].verdict, pr_report_verdict(writer->report)) == 0)
            sign = signs[i].sign;
    }
    return S_KEEP(writer, "%s %s", sign,
                  writer->report->kind == PR_REPORT_RUN ? s_verdict_of_run(writer) : s_verdict_of_verify(writer));
}

/* One line of the head: its name in bold, a hard line break at its end. */
static void s_head(pr_writer_t *writer, pr_string_t name, const char *text) {
    fprintf(writer->page.out, "**%s**%s: %s  \n", s_word(writer, name),
            writer->language == PR_LANGUAGE_FRENCH ? "\xC2\xA0" : "", text);
}

static const char *s_span(pr_writer_t *writer) {
    const pr_ledger_run_t *run = &writer->report->run;
    const char *seconds =
        pr_page_keep(&writer->page, pr_xstrdup(pr_string_seconds(writer->language, run->seconds).text));
    if (*run->ended_at == '\0')
        return S_SAY(writer, PR_S_RUN_SINCE, run->started_at, seconds);
    return S_SAY(writer, PR_S_RUN_SPAN, run->started_at, run->ended_at, seconds);
}

static void s_write_head(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    const char *title = s_word(writer, PR_S_TITLE_VERIFY);
    if (report->run.number > 0)
        title = S_SAY(writer, PR_S_TITLE_RUN, S_KEEP(writer, "%" PRId64, report->run.number));
    else if (report->kind == PR_REPORT_RUN)
        title = S_SAY(writer, PR_S_TITLE_RUN, report->run.id);
    fprintf(writer->page.out, "# %s\n\n", title);
    s_head(writer, PR_S_HEAD_DATE, S_KEEP(writer, "%s UTC", report->made_at));
    s_head(writer, PR_S_HEAD_TARGET, pr_page_code_whole(&writer->page, report->target));
    s_head(writer, PR_S_HEAD_MAPPING, s_code(writer, report->mapping_name));
    if (report->run.number > 0)
        s_head(writer, PR_S_HEAD_RUN, s_span(writer));
    s_head(writer, PR_S_HEAD_VERDICT, s_verdict(writer));
    if (*report->error != '\0')
        s_head(writer, PR_S_HEAD_ERROR,
               S_SAY(writer, PR_S_ERROR, s_code(writer, report->error), S_KEEP(writer, "%d", report->exit_code),
                     pr_page_text(&writer->page, report->error_text)));
    fputs("\n---\n\n", writer->page.out);
}

static size_t s_files(const pr_report_t *report, uint64_t *ret_bytes) {
    size_t files = 0;
    *ret_bytes = 0;
    for (size_t i = 0; i < report->sources_count; i++) {
        size_t k = 0; /* a file with two streams makes two sources */
        while (k < i && strcmp(report->sources[k].path, report->sources[i].path) != 0)
            k++;
        if (k == i) {
            files++;
            *ret_bytes += report->sources[i].size;
        }
    }
    return files;
}

static const char *s_answer_in(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    uint64_t bytes;
    size_t files = s_files(report, &bytes);
    const char *streams = NULL;
    for (size_t i = 0; i < report->streams_count; i++) {
        streams = s_join(writer, streams,
                         S_KEEP(writer, "%s %s", s_code(writer, report->streams[i].name),
                                s_count(writer, report->streams[i].exported)));
    }
    const char *answer = S_SAY(writer, PR_S_ANSWER_IN, s_count(writer, pr_report_total(report).exported),
                               s_count(writer, files), s_size(writer, bytes));
    return streams != NULL ? S_KEEP(writer, "%s (%s)", answer, streams) : answer;
}

static const char *s_answer_where(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    const char *list = NULL;
    bool gone = *report->run.rolled_back_at != '\0';
    for (size_t i = 0; i < report->tables_count && !gone; i++) {
        const pr_report_table_t *table = &report->tables[i];
        const char *name = s_code(writer, table->table);
        uint64_t now = table->rows > 0 ? (uint64_t)table->rows : 0;
        uint64_t rows = report->kind == PR_REPORT_RUN ? table->inserted : now;
        if (rows > 0)
            list = s_join(writer, list, S_SAY(writer, PR_S_ANSWER_WHERE, s_count(writer, rows), name));
        else if (table->updated > 0)
            list =
                s_join(writer, list, S_SAY(writer, PR_S_ANSWER_WHERE_CHANGED, s_count(writer, table->updated), name));
    }
    if (list == NULL)
        return s_word(writer, PR_S_ANSWER_NOWHERE);
    return report->kind == PR_REPORT_RUN ? list : S_SAY(writer, PR_S_ANSWER_HELD, list);
}

/* Kinds of findings. They are in order of kind. */
static size_t s_kinds(const pr_report_t *report) {
    size_t kinds = 0;
    for (size_t i = 0; i < report->findings_count; i++) {
        size_t k = 0;
        while (k < i && strcmp(report->findings[k].kind, report->findings[i].kind) != 0)
            k++;
        kinds += k == i;
    }
    return kinds;
}

static const char *s_answer_wrong(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    pr_report_stream_t total = pr_report_total(report);
    size_t kinds = s_kinds(report);
    const char *answer = s_word(writer, PR_S_ANSWER_WRONG_NOTHING);
    if (!pr_report_is_begun(report))
        answer = s_word(writer, PR_S_NOT_BEGUN);
    else if (report->outcome < 0)
        answer = s_incomplete(writer, &total);
    else if (report->failures_total > 0 || total.rejected > 0)
        answer =
            S_SAY(writer, PR_S_ANSWER_WRONG, s_count(writer, report->failures_total), s_count(writer, total.rejected));
    if (kinds == 0)
        return answer;
    return S_KEEP(writer, "%s%s", answer, S_SAY(writer, PR_S_ANSWER_FINDINGS, s_count(writer, kinds)));
}

static const char *s_undo_command(pr_writer_t *writer, bool dry) {
    return pr_page_keep(&writer->page, pr_report_undo_command(writer->report, dry));
}

static const char *s_answer_undo(pr_writer_t *writer) {
    const pr_report_undo_t *undo = &writer->report->undo;
    if (!pr_report_is_begun(writer->report))
        return s_word(writer, PR_S_NOT_BEGUN);
    if (!undo->known)
        return s_word(writer, PR_S_ANSWER_UNDO_NONE);
    if (undo->taken_back)
        return s_word(writer, PR_S_ANSWER_UNDO_GONE);
    if (!undo->reversible)
        return s_word(writer, PR_S_ANSWER_UNDO_NEVER);
    return pr_page_code_whole(&writer->page, s_undo_command(writer, false));
}

static void s_answer(pr_writer_t *writer, pr_string_t question, const char *answer) {
    fprintf(writer->page.out, "- **%s**%s: %s\n", s_word(writer, question),
            writer->language == PR_LANGUAGE_FRENCH ? "\xC2\xA0" : "", answer);
}

/* The accounts. A verification knows no written and unchanged ones. */
static void s_write_stream(pr_writer_t *writer, const char *name, const pr_report_stream_t *stream) {
    const char *all[] = {name,
                         s_count(writer, stream->exported),
                         s_count(writer, stream->read),
                         s_count(writer, stream->written),
                         s_count(writer, stream->unchanged),
                         s_count(writer, stream->rejected),
                         s_count(writer, stream->validated)};
    const char *few[] = {all[0], all[1], all[2], all[5], all[6]};
    if (writer->report->kind == PR_REPORT_RUN)
        pr_page_table_row(&writer->page, sizeof all / sizeof all[0], all);
    else
        pr_page_table_row(&writer->page, sizeof few / sizeof few[0], few);
}

static void s_write_accounts(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    const char *all[] = {s_word(writer, PR_S_T_STREAM),
                         s_word(writer, PR_S_T_EXPORTED),
                         s_word(writer, PR_S_T_READ),
                         s_word(writer, PR_S_T_WRITTEN),
                         s_word(writer, PR_S_T_UNCHANGED),
                         s_word(writer, PR_S_T_REJECTED),
                         s_word(writer, report->kind == PR_REPORT_RUN ? PR_S_T_VALIDATED : PR_S_T_COMPARED)};
    const char *few[] = {all[0], all[1], all[2], all[5], all[6]};
    pr_report_stream_t total = pr_report_total(report);
    if (report->kind == PR_REPORT_RUN)
        pr_page_table_begin(&writer->page, "lrrrrrr", all);
    else
        pr_page_table_begin(&writer->page, "lrrrr", few);
    for (size_t i = 0; i < report->streams_count; i++) {
        const pr_report_stream_t *stream = &report->streams[i];
        s_write_stream(writer, s_code(writer, stream->name), stream);
    }
    s_write_stream(writer, S_KEEP(writer, "**%s**", s_word(writer, PR_S_TOTAL)), &total);
    pr_page_table_end(&writer->page);
}

static void s_write_summary(pr_writer_t *writer) {
    s_section(writer, PR_S_SUMMARY);
    s_answer(writer, PR_S_ASK_IN, s_answer_in(writer));
    s_answer(writer, PR_S_ASK_WHERE, s_answer_where(writer));
    s_answer(writer, PR_S_ASK_WRONG, s_answer_wrong(writer));
    s_answer(writer, PR_S_ASK_UNDO, s_answer_undo(writer));
    fputc('\n', writer->page.out);
    s_write_accounts(writer);
}

/* ---- inventory ---- */

static void s_write_inventory(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    s_section(writer, PR_S_INVENTORY);
    if (report->sources_count == 0) {
        s_paragraph(writer, s_word(writer, PR_S_NO_FILES));
        return;
    }
    pr_page_table_begin(&writer->page, "lrlrl",
                        (const char *[]){s_word(writer, PR_S_T_FILE), s_word(writer, PR_S_T_SIZE),
                                         s_word(writer, PR_S_T_STREAM), s_word(writer, PR_S_T_RECORDS),
                                         s_word(writer, PR_S_T_DIGEST)});
    for (size_t i = 0; i < report->sources_count; i++) {
        const pr_report_source_t *source = &report->sources[i];
        bool read = *source->digest != '\0';
        const char *stream = *source->stream != '\0' ? s_code(writer, source->stream)
                             : read                  ? s_word(writer, PR_S_NO_RECORDS)
                                                     : "–";
        pr_page_table_row(&writer->page, 5,
                          (const char *[]){pr_page_code_whole(&writer->page, source->path),
                                           s_size(writer, source->size), stream,
                                           read ? s_count(writer, source->records) : "–",
                                           read ? s_code(writer, source->digest) : "–"});
    }
    pr_page_table_end(&writer->page);
}

/* ---- distributions ---- */

static const char *s_value(pr_writer_t *writer, const char *value) {
    return value == NULL ? "NULL" : *value == '\0' ? "''" : s_code(writer, value);
}

static void s_write_group(pr_writer_t *writer, const pr_report_distribution_t *distribution,
                          const pr_report_group_t *group) {
    const char *cells[s_columns_max];
    char align[s_columns_max + 1] = "l";
    size_t columns = distribution->columns_count < s_columns_max - 4 ? distribution->columns_count : s_columns_max - 4;
    bool differs = false;
    writer->page.in_table = true;
    cells[0] = S_SAY(writer, PR_S_T_VALUE, s_code(writer, distribution->of));
    for (size_t c = 0; c < columns; c++) {
        cells[c + 1] = s_code(writer, distribution->columns[c]);
        align[c + 1] = 'l';
    }
    cells[columns + 1] = s_word(writer, PR_S_T_EXPORTED);
    cells[columns + 2] = s_word(writer, PR_S_T_STORED);
    cells[columns + 3] = s_word(writer, PR_S_T_PERCENT);
    memcpy(align + columns + 1, "rrr", 4);
    pr_page_table_begin(&writer->page, align, cells);
    for (size_t i = 0; i < group->shares_count; i++) {
        const pr_report_share_t *share = &group->shares[i];
        bool other = share->stored >= 0 && (uint64_t)share->stored != share->exported;
        differs |= other;
        cells[0] = share->in_export ? s_value(writer, share->values[0]) : "–";
        for (size_t c = 0; c < columns; c++)
            cells[c + 1] = s_value(writer, share->values[c + 1]);
        cells[columns + 1] = s_count(writer, share->exported);
        cells[columns + 2] = S_KEEP(writer, "%s%s", other ? "⚠️ " : "", s_count_or_dash(writer, share->stored));
        cells[columns + 3] = s_percent(writer, share->exported, group->exported);
        pr_page_table_row(&writer->page, columns + 4, cells);
    }
    pr_page_table_end(&writer->page);
    if (differs)
        s_paragraph(writer, S_KEEP(writer, "⚠️ %s", s_word(writer, PR_S_DIFFERS)));
}

static void s_write_groups(pr_writer_t *writer, const pr_report_distribution_t *distribution) {
    for (size_t g = 0; g < distribution->groups_count && g < s_groups_shown; g++) {
        const pr_report_group_t *group = &distribution->groups[g];
        const char *key = s_code(writer, group->key);
        const char *name =
            *group->label != '\0' ? S_KEEP(writer, "%s (%s)", pr_page_text(&writer->page, group->label), key) : key;
        fprintf(writer->page.out, "#### %s\n\n", S_SAY(writer, PR_S_OF_GROUP, name, s_count(writer, group->exported)));
        s_write_group(writer, distribution, group);
    }
    if (distribution->groups_count > s_groups_shown)
        s_paragraph(writer,
                    S_SAY(writer, PR_S_MORE_GROUPS, s_count(writer, distribution->groups_count - s_groups_shown)));
}

static void s_write_distributions(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    s_section(writer, PR_S_DISTRIBUTION);
    if (report->distributions_count == 0)
        s_paragraph(writer, s_word(writer, PR_S_NO_DISTRIBUTION));
    for (size_t i = 0; i < report->distributions_count; i++) {
        const pr_report_distribution_t *distribution = &report->distributions[i];
        fprintf(writer->page.out, "### %s\n\n",
                S_SAY(writer, PR_S_DISTRIBUTION_OF, s_code(writer, distribution->stream),
                      s_code(writer, distribution->of)));
        fprintf(writer->page.out, "#### %s\n\n",
                S_SAY(writer, PR_S_OVERALL, s_count(writer, distribution->all.exported)));
        s_write_group(writer, distribution, &distribution->all);
        s_write_groups(writer, distribution);
    }
}

/* ---- mapping ---- */

/* A JSON value of the mapping as a literal. */
static const char *s_literal(pr_writer_t *writer, const json_t *value) {
    if (json_is_integer(value))
        return s_code(writer, S_KEEP(writer, "%" JSON_INTEGER_FORMAT, json_integer_value(value)));
    if (json_is_real(value))
        return s_code(writer, S_KEEP(writer, "%.15g", json_real_value(value)));
    return json_is_string(value) ? s_value(writer, json_string_value(value)) : "NULL";
}

static const char *s_field(pr_writer_t *writer, const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return s_code(writer, text != NULL ? text : "");
}

static const char *s_from(pr_writer_t *writer, const json_t *column) {
    const char *op = json_string_value(json_object_get(column, "op"));
    const char *from = s_field(writer, column, "from");
    if (strcmp(op, "constant") == 0)
        return S_SAY(writer, PR_S_FROM_CONSTANT, s_literal(writer, json_object_get(column, "constant")));
    if (strcmp(op, "map") == 0)
        return S_SAY(writer, PR_S_FROM_MAP, from, s_field(writer, column, "map"));
    if (strcmp(op, "parent") == 0)
        return S_SAY(writer, PR_S_FROM_PARENT, s_field(writer, column, "parent"));
    if (strcmp(op, "lookup") == 0)
        return S_SAY(writer, PR_S_FROM_LOOKUP, s_field(writer, column, "table"), s_field(writer, column, "table_key"),
                     from);
    if (strcmp(op, "date") == 0)
        return S_SAY(writer, PR_S_FROM_DATE, from);
    if (strcmp(op, "template") == 0)
        return S_SAY(writer, PR_S_FROM_TEMPLATE, s_field(writer, column, "text"));
    return from; /* copy */
}

static void s_write_mapping_row(pr_writer_t *writer, const json_t *stream, const json_t *row) {
    size_t i;
    json_t *column;
    const char *mode = json_string_value(json_object_get(row, "mode"));
    const char *how = s_word(writer, strcmp(mode, "upsert") == 0 ? PR_S_MODE_UPSERT : PR_S_MODE_ENSURE);
    if (json_is_string(json_object_get(row, "only_if")))
        how = s_join(writer, how, S_SAY(writer, PR_S_MAPPING_ONLY_IF, s_field(writer, row, "only_if")));
    fprintf(writer->page.out, "### %s\n\n",
            S_SAY(writer, PR_S_MAPPING_ROW, s_field(writer, stream, "stream"), s_field(writer, row, "table")));
    s_paragraph(writer, S_SAY(writer, PR_S_MAPPING_HOW, s_field(writer, row, "row"), how));
    pr_page_table_begin(&writer->page, "ll",
                        (const char *[]){s_word(writer, PR_S_T_COLUMN), s_word(writer, PR_S_T_FROM)});
    json_array_foreach(json_object_get(row, "columns"), i, column) {
        const char *name = s_field(writer, column, "column");
        if (json_is_true(json_object_get(column, "key")))
            name = S_KEEP(writer, "%s %s", name, s_word(writer, PR_S_FROM_KEY));
        pr_page_table_row(&writer->page, 2, (const char *[]){name, s_from(writer, column)});
    }
    pr_page_table_end(&writer->page);
}

static void s_write_ignored(pr_writer_t *writer, const json_t *stream) {
    size_t i;
    json_t *ignored;
    json_array_foreach(json_object_get(stream, "ignored"), i, ignored) {
        const char *reason = json_string_value(json_object_get(ignored, "reason"));
        const char *field = json_string_value(json_object_get(ignored, "field"));
        s_paragraph(writer, S_SAY(writer, PR_S_MAPPING_IGNORED,
                                  s_where(writer, json_string_value(json_object_get(stream, "stream")), field),
                                  pr_page_text(&writer->page, reason)));
    }
}

static void s_write_value_map(pr_writer_t *writer, const json_t *map) {
    size_t i;
    json_t *entry;
    fprintf(writer->page.out, "### %s\n\n", S_SAY(writer, PR_S_VALUE_MAP, s_field(writer, map, "name")));
    pr_page_table_begin(&writer->page, "ll",
                        (const char *[]){s_word(writer, PR_S_T_MAP_FROM), s_word(writer, PR_S_T_MAP_TO)});
    json_array_foreach(json_object_get(map, "values"), i, entry) {
        pr_page_table_row(&writer->page, 2,
                          (const char *[]){s_literal(writer, json_object_get(entry, "from")),
                                           s_literal(writer, json_object_get(entry, "to"))});
    }
    pr_page_table_end(&writer->page);
}

static void s_write_derived(pr_writer_t *writer, const json_t *derived) {
    fprintf(writer->page.out, "- %s = %s\n",
            s_where(writer, json_string_value(json_object_get(derived, "table")),
                    json_string_value(json_object_get(derived, "column"))),
            S_SAY(writer, PR_S_FROM_PERCENT, s_field(writer, derived, "children"),
                  s_field(writer, derived, "except_column"), s_literal(writer, json_object_get(derived, "except"))));
}

static void s_write_mapping(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    size_t i;
    size_t k;
    json_t *item;
    json_t *row;
    s_section(writer, PR_S_MAPPING);
    if (report->mapping == NULL) {
        s_paragraph(writer, s_word(writer, PR_S_MAPPING_NONE));
        return;
    }
    s_paragraph(writer,
                S_SAY(writer, PR_S_MAPPING_FILE, s_code(writer, report->mapping_name),
                      s_code(writer, report->mapping_digest), pr_page_code_whole(&writer->page, report->mapping_path)));
    json_array_foreach(json_object_get(report->mapping, "streams"), i, item) {
        json_array_foreach(json_object_get(item, "rows"), k, row) {
            s_write_mapping_row(writer, item, row);
        }
        s_write_ignored(writer, item);
    }
    json_array_foreach(json_object_get(report->mapping, "value_maps"), i, item) {
        s_write_value_map(writer, item);
    }
    const json_t *derived = json_object_get(report->mapping, "derived");
    if (json_array_size(derived) > 0)
        fprintf(writer->page.out, "### %s\n\n", s_word(writer, PR_S_DERIVED));
    json_array_foreach(derived, i, item) {
        s_write_derived(writer, item);
    }
    if (json_array_size(derived) > 0)
        fputc('\n', writer->page.out);
}

/* ---- checks ---- */

/* The sentence of a check, with its numbers. */
static const char *s_check(pr_writer_t *writer, pr_check_t check) {
    static const pr_string_t strings[] = {
#define X(name, word) PR_S_CHECK_##name,
        PR_REPORT_CHECKS(X)
#undef X
    };
    const pr_report_t *report = writer->report;
    pr_report_stream_t total = pr_report_total(report);
    if (check == PR_CHECK_COMPLETE)
        return S_SAY(writer, strings[check], s_count(writer, total.read), s_count(writer, total.exported));
    if (check == PR_CHECK_ROWS && report->checks[check] == PR_CHECK_FAILED)
        return s_word(writer, PR_S_CHECK_ROWS_FAILED);
    if (check == PR_CHECK_ROWS)
        return S_SAY(writer, strings[check], s_count(writer, total.validated),
                     s_count(writer, total.read - total.rejected));
    if (check == PR_CHECK_API)
        return S_SAY(writer, strings[check], pr_page_code_whole(&writer->page, report->api));
    return S_SAY(writer, strings[check], "");
}

static void s_write_checks(pr_writer_t *writer) {
    s_section(writer, PR_S_CHECKS);
    for (size_t i = 0; i < PR_CHECKS; i++) {
        pr_check_state_t state = writer->report->checks[i];
        const char *note = "";
        if (state == PR_CHECK_ABSENT)
            continue;
        if (state == PR_CHECK_OPEN)
            note = S_KEEP(writer, " — %s", s_word(writer, PR_S_CHECK_OPEN));
        else if (state == PR_CHECK_NOTED)
            note = S_KEEP(writer, " — ⚠️ %s", s_word(writer, PR_S_CHECK_NOTED));
        else if (state == PR_CHECK_FAILED)
            note = S_KEEP(writer, " — ❌ **%s**", s_word(writer, PR_S_CHECK_FAILED));
        fprintf(writer->page.out, "- [%c] %s%s\n", state == PR_CHECK_PASSED ? 'x' : ' ', s_check(writer, (pr_check_t)i),
                note);
    }
    fputc('\n', writer->page.out);
}

/* ---- findings ---- */

/* The first example of a finding: its detail, its place, or both. */
static const char *s_example(pr_writer_t *writer, const pr_report_finding_t *finding) {
    const char *detail = s_detail(writer, finding->detail);
    if (*finding->path == '\0')
        return detail;
    const char *place = S_SAY(writer, PR_S_PLACE_RECORD, pr_page_code_whole(&writer->page, finding->path),
                              s_count(writer, pr_record_number(finding->ordinal)));
    return *detail != '\0' ? S_KEEP(writer, "%s (%s)", detail, place) : place;
}

/* Write a finding, or several that belong together. Returns the next. */
static size_t s_write_finding(pr_writer_t *writer, size_t first) {
    const pr_report_finding_t *findings = writer->report->findings;
    const char *sentence = pr_string_finding(writer->language, findings[first].kind);
    const char *example = s_example(writer, &findings[first]);
    const char *field = findings[first].field;
    uint64_t count;
    size_t end = pr_report_findings_end(writer->report, first, &count);
    if (end - first > 1) {
        field = "";
        for (size_t i = first + 1; i < end && i < first + s_examples_shown; i++)
            example = s_join(writer, example, s_example(writer, &findings[i]));
        if (end - first > s_examples_shown)
            example = S_KEEP(writer, "%s, …", example);
    }
    pr_page_table_row(&writer->page, 4,
                      (const char *[]){s_count(writer, count), s_where(writer, findings[first].stream, field),
                                       sentence != NULL ? sentence : s_code(writer, findings[first].kind), example});
    return end;
}

static void s_write_findings(pr_writer_t *writer) {
    s_section(writer, PR_S_FINDINGS);
    if (writer->report->findings_count == 0) {
        s_paragraph(writer, s_word(writer, PR_S_NO_FINDINGS));
        return;
    }
    pr_page_table_begin(&writer->page, "rlll",
                        (const char *[]){s_word(writer, PR_S_T_COUNT), s_word(writer, PR_S_T_WHERE),
                                         s_word(writer, PR_S_T_WHAT), s_word(writer, PR_S_T_EXAMPLE)});
    for (size_t i = 0; i < writer->report->findings_count;)
        i = s_write_finding(writer, i);
    pr_page_table_end(&writer->page);
}

/* A byte of an export. */
static const char *s_place(pr_writer_t *writer, const char *path, uint64_t offset) {
    return pr_page_keep(&writer->page,
                        pr_string_byte(writer->language, pr_page_code_whole(&writer->page, path), offset));
}

/* ---- rejects ---- */

static void s_write_reject(pr_writer_t *writer, const pr_report_reject_t *reject) {
    const char *sentence = pr_string_reject(writer->language, reject->reason);
    const char *detail = s_detail(writer, reject->detail);
    const char *place = *reject->path != '\0' ? s_place(writer, reject->path, reject->offset) : "";
    pr_page_table_row(&writer->page, 5,
                      (const char *[]){s_count(writer, reject->count), s_code(writer, reject->reason),
                                       s_where(writer, reject->stream, reject->field), sentence != NULL ? sentence : "",
                                       *detail != '\0' && *place != '\0' ? S_KEEP(writer, "%s (%s)", detail, place)
                                       : *detail != '\0'                 ? detail
                                                                         : place});
}

static void s_write_rejects(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    s_section(writer, PR_S_REJECTS);
    if (report->rejects_count == 0) {
        s_paragraph(writer, s_word(writer, PR_S_NO_REJECTS));
        return;
    }
    pr_page_table_begin(&writer->page, "rllll",
                        (const char *[]){s_word(writer, PR_S_T_COUNT), s_word(writer, PR_S_T_REASON),
                                         s_word(writer, PR_S_T_WHERE), s_word(writer, PR_S_T_WHAT),
                                         s_word(writer, PR_S_T_EXAMPLE)});
    for (size_t i = 0; i < report->rejects_count; i++)
        s_write_reject(writer, &report->rejects[i]);
    pr_page_table_end(&writer->page);
    if (*report->not_given != '\0')
        s_paragraph(writer, S_SAY(writer, PR_S_NOT_GIVEN, report->not_given));
    s_paragraph(writer, s_word(writer, PR_S_REJECTS_SEE));
    if (report->run.number > 0)
        s_shell(writer, S_KEEP(writer, "%s rejects --target %s --run %" PRId64, pr_hint_program(), writer->target,
                               report->run.number));
    else
        s_shell(writer, S_KEEP(writer, "%s rejects --target %s", pr_hint_program(), writer->target));
    if (*report->run.rolled_back_at != '\0') {
        s_paragraph(writer, s_word(writer, PR_S_REJECTS_GONE));
        return;
    }
    pr_remedy_t remedies[PR_REMEDIES_MAX];
    size_t count = pr_remedies(report, remedies);
    for (size_t i = 0; i < count; i++) {
        s_paragraph(writer, S_SAY(writer, remedies[i].sentence, remedies[i].argument));
        size_t commands = 0;
        while (commands < PR_REMEDY_COMMANDS && remedies[i].commands[commands] != NULL)
            commands++;
        if (commands > 0)
            pr_page_shell(&writer->page, (const char *const *)remedies[i].commands, commands);
    }
    pr_remedies_free(remedies, count);
}

/* ---- failures ---- */

static void s_write_failure(pr_writer_t *writer, const pr_report_failure_t *failure) {
    const char *sentence = pr_string_failure(writer->language, failure->kind);
    const char *place = *failure->path != '\0' && strcmp(failure->kind, "whole") != 0
                            ? s_place(writer, failure->path, failure->offset)
                            : "";
    pr_page_table_row(&writer->page, 7,
                      (const char *[]){sentence != NULL ? sentence : s_code(writer, failure->kind),
                                       s_code(writer, failure->table), s_code(writer, failure->key),
                                       s_code(writer, failure->column), s_detail(writer, failure->expected),
                                       s_detail(writer, failure->stored), place});
}

static void s_write_failures(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    s_section(writer, PR_S_FAILURES);
    if (report->failures_total == 0) {
        s_paragraph(writer, s_word(writer, report->outcome < 0 ? PR_S_FAILURES_NOT_DONE : PR_S_NO_FAILURES));
        return;
    }
    size_t shown = report->failures_count < s_failures_shown ? report->failures_count : s_failures_shown;
    const char *total = s_count(writer, report->failures_total);
    s_paragraph(writer, shown < report->failures_total
                            ? S_SAY(writer, PR_S_FAILURES_TOTAL, total, s_count(writer, shown))
                            : S_SAY(writer, PR_S_FAILURES_ALL, total));
    pr_page_table_begin(&writer->page, "lllllll",
                        (const char *[]){s_word(writer, PR_S_T_KIND), s_word(writer, PR_S_T_TABLE),
                                         s_word(writer, PR_S_T_KEY), s_word(writer, PR_S_T_COLUMN),
                                         s_word(writer, PR_S_T_EXPECTED), s_word(writer, PR_S_T_FOUND),
                                         s_word(writer, PR_S_T_PLACE)});
    for (size_t i = 0; i < shown; i++)
        s_write_failure(writer, &report->failures[i]);
    pr_page_table_end(&writer->page);
}

/* ---- the target, the way back, reproducing ---- */

static void s_write_now(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    bool changed = report->kind == PR_REPORT_RUN && *report->run.rolled_back_at == '\0';
    s_section(writer, PR_S_NOW);
    const char *head[] = {s_word(writer, PR_S_T_TABLE), s_word(writer, PR_S_T_ROWS_INSERTED),
                          s_word(writer, PR_S_T_ROWS_UPDATED), s_word(writer, PR_S_T_ROWS_NOW)};
    if (changed)
        pr_page_table_begin(&writer->page, "lrrr", head);
    else
        pr_page_table_begin(&writer->page, "lr", (const char *[]){head[0], head[3]});
    for (size_t i = 0; i < report->tables_count; i++) {
        const pr_report_table_t *table = &report->tables[i];
        const char *cells[] = {s_code(writer, table->table), s_count(writer, table->inserted),
                               s_count(writer, table->updated), s_count_or_dash(writer, table->rows)};
        if (changed)
            pr_page_table_row(&writer->page, 4, cells);
        else
            pr_page_table_row(&writer->page, 2, (const char *[]){cells[0], cells[3]});
    }
    pr_page_table_end(&writer->page);
}

static void s_write_undo(pr_writer_t *writer) {
    const pr_report_undo_t *undo = &writer->report->undo;
    const char *run = S_KEEP(writer, "%" PRId64, undo->run);
    s_section(writer, PR_S_UNDO);
    if (!pr_report_is_begun(writer->report)) {
        s_paragraph(writer, s_word(writer, PR_S_NOT_BEGUN));
    } else if (!undo->known) {
        s_paragraph(writer, s_word(writer, PR_S_UNDO_NONE));
    } else if (undo->taken_back) {
        s_paragraph(writer, S_SAY(writer, PR_S_UNDO_GONE, run));
    } else if (!undo->reversible) {
        s_paragraph(writer, S_SAY(writer, PR_S_UNDO_NEVER, run));
    } else {
        const char *commands[] = {s_undo_command(writer, true), s_undo_command(writer, false)};
        s_paragraph(writer, undo->checkpoint > 0
                                ? S_SAY(writer, PR_S_UNDO_BEFORE, run, S_KEEP(writer, "%" PRId64, undo->checkpoint))
                                : S_SAY(writer, PR_S_UNDO_BEFORE_ALL, run));
        pr_page_shell(&writer->page, commands, 2);
    }
}

/* The command that proves the run's exports again. */
static const char *s_verify_command(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    const char *command = S_KEEP(writer, "%s verify", pr_hint_program());
    for (size_t i = 0; i < report->sources_count; i++) {
        size_t k = 0;
        while (k < i && strcmp(report->sources[k].path, report->sources[i].path) != 0)
            k++;
        if (k == i)
            command =
                S_KEEP(writer, "%s %s", command, pr_page_keep(&writer->page, pr_hint_quote(report->sources[i].path)));
    }
    return S_KEEP(writer, "%s --target %s%s%s%s", command, writer->target, writer->mapping_option,
                  report->null_text != PR_NULL_TEXT_AUTO ? " --null-text " : "",
                  report->null_text != PR_NULL_TEXT_AUTO ? pr_null_text_words[report->null_text] : "");
}

static void s_write_reproduce(pr_writer_t *writer) {
    const pr_report_t *report = writer->report;
    s_section(writer, PR_S_REPRODUCE);
    s_paragraph(writer, s_word(writer, PR_S_REPRODUCE_WITH));
    if (*report->folder != '\0')
        pr_page_shell(
            &writer->page,
            (const char *[]){S_KEEP(writer, "cd %s", pr_page_keep(&writer->page, pr_hint_quote(report->folder))),
                             report->command},
            2);
    else
        s_shell(writer, report->command);
    /* The files of a retry are gone with its run. */
    if (report->kind == PR_REPORT_RUN && strcmp(report->run.kind, "retry") != 0) {
        s_paragraph(writer, s_word(writer, PR_S_REPRODUCE_VERIFY));
        s_shell(writer, s_verify_command(writer));
    }
    pr_page_table_begin(&writer->page, "ll",
                        (const char *[]){s_word(writer, PR_S_T_PROGRAM), s_word(writer, PR_S_T_VERSION)});
    pr_page_table_row(&writer->page, 2, (const char *[]){"pvrelay", PVRELAY_VERSION});
    pr_page_table_row(&writer->page, 2, (const char *[]){"SQLite", sqlite3_libversion()});
    pr_page_table_end(&writer->page);
    fprintf(writer->page.out, "---\n\n%s\n", S_SAY(writer, PR_S_FOOTER, "pvrelay", report->made_at));
}

/* ---- all of it ---- */

char *pr_report_to_markdown(const pr_report_t *report, pr_report_language_t language) {
    static void (*const sections[])(pr_writer_t *) = {s_write_head,          s_write_summary, s_write_inventory,
                                                      s_write_distributions, s_write_mapping, s_write_checks,
                                                      s_write_findings,      s_write_rejects, s_write_failures,
                                                      s_write_now,           s_write_undo,    s_write_reproduce};
    char *text = NULL;
    size_t size;
    char *mapping = pr_hint_quote(report->mapping_file);
    pr_writer_t writer = {.report = report, .language = language, .target = pr_hint_quote(report->target)};
    writer.mapping_option = report->mapping_given ? pr_xasprintf(" --mapping %s", mapping) : pr_xstrdup("");
    writer.page.out = open_memstream(&text, &size);
    if (writer.page.out == NULL)
        abort(); /* out of memory */
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        sections[i](&writer);
        pr_page_free_texts(&writer.page);
    }
    fclose(writer.page.out);
    free(writer.mapping_option);
    free(writer.target);
    free(mapping);
    return text;
}
