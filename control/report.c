/* SPDX-License-Identifier: MIT */
/* The heap of facts that a report is made of. */
#include "control/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "common/text.h"
#include "control/report_proof.h"

/* A text as a report holds it. *Returns new*. */
static char *s_copy(const char *text) {
    return pr_text_escape(text != NULL ? text : "");
}

/* The time in UTC. *Returns new*. */
static char *s_now(void) {
    char text[32];
    struct tm tm;
    time_t now = time(NULL);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &tm));
    return pr_xstrdup(text);
}

pr_report_t *pr_report_new(pr_report_kind_t kind, const char *target) {
    pr_report_t *report = pr_xcalloc(1, sizeof *report);
    report->kind = kind;
    report->target = s_copy(target);
    report->command = pr_xstrdup("");
    report->folder = pr_xstrdup("");
    report->api = pr_xstrdup("");
    report->error = pr_xstrdup("");
    report->error_text = pr_xstrdup("");
    report->mapping_file = pr_xstrdup("");
    report->not_given = pr_xstrdup("");
    report->mapping_name = pr_xstrdup("");
    report->mapping_path = pr_xstrdup("");
    report->mapping_digest = pr_xstrdup("");
    report->made_at = s_now();
    report->outcome = -1;
    return report;
}

pr_report_t *pr_report_from_nothing(const char *target, const char *run, const char *const *paths, size_t count) {
    struct stat status;
    pr_report_t *report = pr_report_new(PR_REPORT_RUN, target);
    snprintf(report->run.id, sizeof report->run.id, "%s", run);
    snprintf(report->run.kind, sizeof report->run.kind, "replay");
    snprintf(report->run.state, sizeof report->run.state, "failed");
    report->run.outcome = -1;
    for (size_t i = 0; i < count; i++) {
        char *path = pr_xstrdup(paths[i]);
        bool there = lstat(path, &status) == 0 && S_ISREG(status.st_mode);
        pr_report_add_source(report, &(pr_plan_source_t){.path = path, .size = there ? (uint64_t)status.st_size : 0});
        *report->sources[i].digest = '\0'; /* nobody has read it to its end */
        free(path);
    }
    return report;
}

/* A path below `from`, as below `to`: *returns new* in place of it. Others stay. */
static char *s_moved(char *path, const char *from, const char *to) {
    size_t size = strlen(from);
    if (strncmp(path, from, size) != 0 || path[size] != '/')
        return path;
    char *moved = pr_xasprintf("%s%s", to, path + size);
    free(path);
    return moved;
}

/* The same of a text that is only borrowed by others of this file. */
static const char *s_moved_text(const char *path, const char *from, const char *to) {
    return s_moved((char *)(uintptr_t)path, from, to); /* what s_copy made */
}

/* The same wherever it stands in a text. Takes text, *returns new*. */
static char *s_moved_within(char *text, const char *from, const char *to) {
    char *found;
    char *moved = pr_xstrdup("");
    const char *rest = text;
    while (*from != '\0' && (found = strstr(rest, from)) != NULL) {
        char *longer = pr_xasprintf("%s%.*s%s", moved, (int)(found - rest), rest, to);
        free(moved);
        moved = longer;
        rest = found + strlen(from);
    }
    char *whole = pr_xasprintf("%s%s", moved, rest);
    free(moved);
    free(text);
    return whole;
}

void pr_report_move(pr_report_t *report, const char *from, const char *to) {
    char *old = s_copy(from); /* as the paths are that were copied */
    char *new = s_copy(to);
    for (size_t i = 0; i < report->sources_count; i++)
        report->sources[i].path = s_moved(report->sources[i].path, old, new);
    for (size_t i = 0; i < report->findings_count; i++)
        report->findings[i].path = s_moved_text(report->findings[i].path, old, new);
    for (size_t i = 0; i < report->rejects_count; i++)
        report->rejects[i].path = s_moved_text(report->rejects[i].path, old, new);
    for (size_t i = 0; i < report->failures_count; i++)
        report->failures[i].path = s_moved_text(report->failures[i].path, old, new);
    report->error_text = s_moved_within(report->error_text, old, new);
    free(old);
    free(new);
}

void pr_report_set_error(pr_report_t *report, const pr_error_t *why) {
    free(report->error);
    free(report->error_text);
    report->error = pr_xstrdup(pr_error_name((int)why->code));
    report->error_text = s_copy(why->text);
    report->exit_code = pr_error_exit_code((int)why->code);
}

/* ---- destroying ---- */

static void s_free_group(pr_report_group_t *group, size_t columns) {
    for (size_t i = 0; i < group->shares_count; i++) {
        for (size_t k = 0; k <= columns; k++)
            free(group->shares[i].values[k]);
        free(group->shares[i].values);
    }
    free(group->shares);
    free(group->key);
    free(group->label);
}

static void s_free_distribution(pr_report_distribution_t *distribution) {
    s_free_group(&distribution->all, distribution->columns_count);
    for (size_t i = 0; i < distribution->groups_count; i++)
        s_free_group(&distribution->groups[i], distribution->columns_count);
    for (size_t i = 0; i < distribution->columns_count; i++)
        free(distribution->columns[i]);
    free(distribution->groups);
    free(distribution->columns);
    free(distribution->stream);
    free(distribution->by);
    free(distribution->of);
    free(distribution->table);
    free(distribution->label_name);
}

static void s_free_texts(const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        free((void *)texts[i]); /* what s_copy made */
}

/* The strings of each element of a list of the report. */
#define S_FREE_EACH(list, count, ...)                                                                                  \
    for (size_t i = 0; i < (count); i++) {                                                                             \
        const char *const texts[] = {__VA_ARGS__};                                                                     \
        s_free_texts(texts, sizeof texts / sizeof texts[0]);                                                           \
    }                                                                                                                  \
    free(list)

void pr_report_destroy(pr_report_t **report) {
    if (report == NULL || *report == NULL)
        return;
    pr_report_t *self = *report;
    S_FREE_EACH(self->sources, self->sources_count, self->sources[i].path, self->sources[i].stream,
                self->sources[i].digest);
    S_FREE_EACH(self->streams, self->streams_count, self->streams[i].name);
    S_FREE_EACH(self->findings, self->findings_count, self->findings[i].kind, self->findings[i].stream,
                self->findings[i].field, self->findings[i].detail, self->findings[i].path);
    S_FREE_EACH(self->rejects, self->rejects_count, self->rejects[i].reason, self->rejects[i].stream,
                self->rejects[i].field, self->rejects[i].detail, self->rejects[i].path);
    S_FREE_EACH(self->failures, self->failures_count, self->failures[i].kind, self->failures[i].stream,
                self->failures[i].table, self->failures[i].key, self->failures[i].column, self->failures[i].expected,
                self->failures[i].stored, self->failures[i].path);
    S_FREE_EACH(self->tallies, self->tallies_count, self->tallies[i].stream, self->tallies[i].group,
                self->tallies[i].value);
    S_FREE_EACH(self->tables, self->tables_count, self->tables[i].table);
    for (size_t i = 0; i < self->distributions_count; i++)
        s_free_distribution(&self->distributions[i]);
    free(self->distributions);
    json_decref(self->mapping);
    const char *const texts[] = {self->target,     self->command,      self->made_at,      self->api,
                                 self->error,      self->mapping_name, self->mapping_path, self->mapping_digest,
                                 self->error_text, self->not_given,    self->mapping_file, self->folder};
    s_free_texts(texts, sizeof texts / sizeof texts[0]);
    free(self);
    *report = NULL;
}

/* ---- filling ---- */

char *pr_report_undo_command(const pr_report_t *report, bool dry) {
    char to[24];
    snprintf(to, sizeof to, "%" PRId64, report->undo.checkpoint);
    return pr_hint_command("rollback", "--target", report->target, "--to", to, dry ? "--dry-run" : NULL, NULL);
}

void pr_report_set_mapping_file(pr_report_t *report, const char *path, bool given) {
    free(report->mapping_file);
    report->mapping_file = s_copy(path);
    report->mapping_given = given;
}

void pr_report_set_command(pr_report_t *report, int argc, char *const *argv) {
    free(report->command);
    report->command = pr_hint_line(argc, argv);
    char *here = getcwd(NULL, 0);
    free(report->folder);
    report->folder = pr_text_escape(here != NULL ? here : "");
    free(here);
}

void pr_report_add_source(pr_report_t *report, const pr_plan_source_t *source) {
    report->sources = pr_xrealloc(report->sources, (report->sources_count + 1) * sizeof *report->sources);
    report->sources[report->sources_count++] =
        (pr_report_source_t){.path = s_copy(source->path),
                             .stream = s_copy(source->stream),
                             .digest = pr_xasprintf("%016llx", (unsigned long long)source->digest),
                             .size = source->size,
                             .records = source->records,
                             .bytes = source->bytes};
}

pr_report_stream_t *pr_report_stream(pr_report_t *report, const char *name) {
    char *copy = s_copy(name);
    for (size_t i = 0; i < report->streams_count; i++) {
        if (strcmp(report->streams[i].name, copy) != 0)
            continue;
        free(copy);
        return &report->streams[i];
    }
    report->streams = pr_xrealloc(report->streams, (report->streams_count + 1) * sizeof *report->streams);
    pr_report_stream_t *stream = &report->streams[report->streams_count++];
    *stream = (pr_report_stream_t){.name = copy, .seconds = -1};
    return stream;
}

void pr_report_add_finding(pr_report_t *report, const pr_report_finding_t *finding) {
    report->findings = pr_xrealloc(report->findings, (report->findings_count + 1) * sizeof *report->findings);
    report->findings[report->findings_count++] = (pr_report_finding_t){.kind = s_copy(finding->kind),
                                                                       .stream = s_copy(finding->stream),
                                                                       .field = s_copy(finding->field),
                                                                       .detail = s_copy(finding->detail),
                                                                       .path = s_copy(finding->path),
                                                                       .count = finding->count,
                                                                       .ordinal = finding->ordinal};
}

void pr_report_add_reject(pr_report_t *report, const pr_report_reject_t *reject) {
    report->rejects = pr_xrealloc(report->rejects, (report->rejects_count + 1) * sizeof *report->rejects);
    report->rejects[report->rejects_count++] = (pr_report_reject_t){.reason = s_copy(reject->reason),
                                                                    .stream = s_copy(reject->stream),
                                                                    .field = s_copy(reject->field),
                                                                    .detail = s_copy(reject->detail),
                                                                    .path = s_copy(reject->path),
                                                                    .offset = reject->offset,
                                                                    .count = reject->count};
}

void pr_report_add_failure(pr_report_t *report, const pr_report_failure_t *failure) {
    report->failures_total++;
    if (report->failures_count == PR_REPORT_FAILURES_MAX)
        return;
    report->failures = pr_xrealloc(report->failures, (report->failures_count + 1) * sizeof *report->failures);
    report->failures[report->failures_count++] = (pr_report_failure_t){.kind = s_copy(failure->kind),
                                                                       .stream = s_copy(failure->stream),
                                                                       .table = s_copy(failure->table),
                                                                       .key = s_copy(failure->key),
                                                                       .column = s_copy(failure->column),
                                                                       .expected = s_copy(failure->expected),
                                                                       .stored = s_copy(failure->stored),
                                                                       .path = s_copy(failure->path),
                                                                       .offset = failure->offset,
                                                                       .checkpoint = failure->checkpoint};
}

void pr_report_add_tally(pr_report_t *report, const char *stream, const char *group, const char *value,
                         uint64_t count) {
    if ((report->tallies_count & (report->tallies_count - 1)) == 0) { /* room for a power of two */
        size_t room = report->tallies_count == 0 ? 1 : report->tallies_count * 2;
        report->tallies = pr_xrealloc(report->tallies, room * sizeof *report->tallies);
    }
    report->tallies[report->tallies_count++] =
        (pr_report_tally_t){.stream = s_copy(stream), .group = s_copy(group), .value = s_copy(value), .count = count};
}

/* The path of a source, by its index. Borrowed. */
static const char *s_path(const pr_report_t *report, uint32_t source) {
    return source < report->sources_count ? report->sources[source].path : NULL;
}

/* Is a finding one of the proof of the whole, which is of no single record? */
static bool s_has_place(const char *kind) {
    static const char *const whole[] = {"extra_row",          "declared_total", "declared_geometry",
                                        "duplicate_position", "made_rows",      "foreign_key_elsewhere"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(whole[i], kind) == 0)
            return false;
    }
    return true;
}

void pr_report_add_proof(pr_report_t *report, const pr_proof_list_t *list) {
    for (size_t i = 0; i < list->failures_count; i++) {
        const pr_failure_t *failure = &list->failures[i];
        pr_report_add_failure(report, &(pr_report_failure_t){.kind = pr_failure_word(failure->kind),
                                                             .stream = failure->stream,
                                                             .table = failure->table,
                                                             .key = failure->key,
                                                             .column = failure->column,
                                                             .expected = failure->expected,
                                                             .stored = failure->stored,
                                                             .path = s_path(report, failure->source),
                                                             .offset = failure->offset});
    }
    report->failures_total += list->failures_total - list->failures_count;
    for (size_t i = 0; i < list->findings_count; i++) {
        const pr_finding_t *finding = &list->findings[i];
        pr_report_add_finding(
            report, &(pr_report_finding_t){.kind = finding->kind,
                                           .stream = finding->stream,
                                           .field = finding->field,
                                           .detail = finding->detail,
                                           .count = finding->count,
                                           .path = s_has_place(finding->kind) ? s_path(report, finding->source) : NULL,
                                           .ordinal = finding->ordinal});
    }
    for (size_t i = 0; i < list->tallies_count; i++)
        pr_report_add_tally(report, list->tallies[i].stream, list->tallies[i].group, list->tallies[i].value,
                            list->tallies[i].count);
}

/* ---- looking ---- */

bool pr_report_is_begun(const pr_report_t *report) {
    return report->kind == PR_REPORT_VERIFY || report->run.number > 0;
}

const char *pr_report_verdict(const pr_report_t *report) {
    if (*report->run.rolled_back_at != '\0')
        return "taken_back";
    switch (report->outcome) {
    case 0:
        return "good";
    case 3:
        return "rejects";
    case 4:
        return "failed";
    default:
        return "incomplete";
    }
}

/* Does a finding of this kind tell one row? */
static bool s_is_of_row(const char *kind) {
    return strcmp(kind, "extra_row") == 0 || strcmp(kind, "foreign_kept") == 0 ||
           strcmp(kind, "foreign_overwritten") == 0;
}

size_t pr_report_findings_end(const pr_report_t *report, size_t first, uint64_t *ret_count) {
    const pr_report_finding_t *finding = &report->findings[first];
    size_t end = first + 1;
    *ret_count = finding->count;
    while (s_is_of_row(finding->kind) && end < report->findings_count &&
           strcmp(finding->kind, report->findings[end].kind) == 0 &&
           strcmp(finding->stream, report->findings[end].stream) == 0)
        *ret_count += report->findings[end++].count;
    return end;
}

bool pr_report_stream_balances(const pr_report_t *report, const pr_report_stream_t *stream) {
    if (report->kind == PR_REPORT_VERIFY)
        return stream->read == stream->validated + stream->rejected && stream->read == stream->exported;
    bool complete = strcmp(report->run.state, "complete") == 0;
    return stream->read == stream->written + stream->unchanged + stream->rejected &&
           (!complete || stream->read == stream->exported);
}

pr_report_stream_t pr_report_total(const pr_report_t *report) {
    pr_report_stream_t total = {.seconds = -1};
    for (size_t i = 0; i < report->streams_count; i++) {
        const pr_report_stream_t *stream = &report->streams[i];
        total.exported += stream->exported;
        total.bytes += stream->bytes;
        total.read += stream->read;
        total.rejected += stream->rejected;
        total.written += stream->written;
        total.unchanged += stream->unchanged;
        total.validated += stream->validated;
        total.records_seen += stream->records_seen;
    }
    return total;
}

bool pr_report_balances(const pr_report_t *report) {
    for (size_t i = 0; i < report->streams_count; i++) {
        if (!pr_report_stream_balances(report, &report->streams[i]))
            return false;
    }
    return true;
}
