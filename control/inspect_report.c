/* SPDX-License-Identifier: MIT */
/* An inventory as text and as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"
#include "control/format.h"
#include "control/inventory.h"

enum { s_groups_printed = 50 };

static const char *s_shape_word(pr_shape_t shape) {
    switch (shape) {
    case PR_SHAPE_WRANGLER:
        return "wrangler";
    case PR_SHAPE_ARRAY:
        return "array";
    case PR_SHAPE_LINES:
        return "lines";
    }
    return "?";
}

static const char *s_stream_name(const pr_mapping_t *mapping, const pr_result_set_t *set) {
    return set->stream >= 0 ? mapping->streams[set->stream].name : "empty";
}

/* ---- text ---- */

static void s_print_export(const pr_export_t *export, const pr_mapping_t *mapping, FILE *out) {
    fprintf(out, "%s: %s, %zu result set%s\n", pr_text_line(export->path).text, pr_format_bytes(export->size).text,
            export->sets_count, pr_format_plural(export->sets_count));
    for (size_t i = 0; i < export->sets_count; i++) {
        const pr_result_set_t *set = &export->sets[i];
        fprintf(out, "  %s: %s record%s, %s, bytes %" PRIu64 " to %" PRIu64 "\n", s_stream_name(mapping, set),
                pr_format_count(set->records).text, pr_format_plural(set->records), s_shape_word(set->shape),
                set->begin, set->end);
    }
}

/* Blanks at a value's ends would not be seen without quotes. */
static bool s_needs_quotes(const char *value) {
    size_t size = strlen(value);
    return size == 0 || value[0] == ' ' || value[size - 1] == ' ';
}

static void s_print_values(const pr_tally_group_t *group, FILE *out) {
    for (size_t i = 0; i < group->values_count; i++) {
        const char *quote = s_needs_quotes(group->values[i].value) ? "'" : "";
        fprintf(out, "%s%s%s%s: %s (%s %%)", i == 0 ? "" : ", ", quote, group->values[i].value, quote,
                pr_format_count(group->values[i].count).text,
                pr_format_percent(group->values[i].count, group->count).text);
    }
    fputc('\n', out);
}

static void s_print_part(const pr_inventory_part_t *part, FILE *out) {
    fprintf(out, "\n%s: %s\n", part->name, pr_format_count(part->records).text);
    for (size_t f = 0; f < part->fields_count; f++) {
        const pr_inventory_field_t *field = &part->fields[f];
        if (field->tally.all.count == 0)
            continue;
        fprintf(out, "  %s\n    all: ", field->name);
        s_print_values(&field->tally.all, out);
        for (size_t g = 0; g < field->tally.groups_count && g < s_groups_printed; g++) {
            const pr_tally_group_t *group = &field->tally.groups[g];
            if (group->label != NULL)
                fprintf(out, "    %s (%s), %s: ", group->label, group->name, pr_format_count(group->count).text);
            else
                fprintf(out, "    %s, %s: ", group->name, pr_format_count(group->count).text);
            s_print_values(group, out);
        }
        if (field->tally.groups_count > s_groups_printed)
            fprintf(out, "    … and %zu more (--json has them all)\n", field->tally.groups_count - s_groups_printed);
    }
}

static void s_print_run(const pr_ledger_run_t *run, FILE *out) {
    fprintf(out, "  run %" PRId64 ": %s %s, %s: %s of %s records in, %s written, %s unchanged, %s rejected",
            run->number, run->kind, pr_ledger_state(run), run->started_at, pr_format_count(run->records).text,
            pr_format_count(run->total).text, pr_format_count(run->written).text, pr_format_count(run->unchanged).text,
            pr_format_count(run->rejected).text);
    if (run->outcome >= 0)
        fprintf(out, ", exit code %d", run->outcome);
    fputc('\n', out);
}

void pr_inventory_print(const pr_inventory_t *inventory, const pr_mapping_t *mapping, FILE *out) {
    for (size_t i = 0; i < inventory->exports_count; i++)
        s_print_export(inventory->exports[i], mapping, out);
    if (inventory->path != NULL)
        fprintf(out, "%s: database, %s\n", inventory->path, pr_format_bytes(inventory->size).text);
    for (size_t i = 0; i < inventory->parts_count; i++)
        s_print_part(&inventory->parts[i], out);
    if (inventory->runs_count > 0)
        fprintf(out, "\nRuns of pvrelay\n");
    for (size_t i = 0; i < inventory->runs_count; i++)
        s_print_run(&inventory->runs[i], out);
    if (inventory->findings_count > 0)
        fprintf(out, "\nFindings\n");
    for (size_t i = 0; i < inventory->findings_count; i++)
        fprintf(out, "  %s\n", inventory->findings[i]);
}

/* ---- JSON ---- */

static json_t *s_export_to_json(const pr_export_t *export, const pr_mapping_t *mapping) {
    json_t *sets = json_array();
    char digest[24];
    snprintf(digest, sizeof digest, "%016" PRIx64, export->digest);
    for (size_t i = 0; i < export->sets_count; i++) {
        const pr_result_set_t *set = &export->sets[i];
        pr_json_append(sets,
                       pr_json_pack("{s:o, s:s, s:I, s:I, s:I}", "stream",
                                    set->stream >= 0 ? pr_json_text(mapping->streams[set->stream].name) : json_null(),
                                    "shape", s_shape_word(set->shape), "records", (json_int_t)set->records, "begin",
                                    (json_int_t)set->begin, "end", (json_int_t)set->end));
    }
    return pr_json_pack("{s:o, s:I, s:s, s:b, s:I, s:o}", "path", pr_json_text(export->path), "size",
                        (json_int_t) export->size, "digest", digest, "bom", (int)export->bom, "banner_lines",
                        (json_int_t) export->banner_lines, "result_sets", sets);
}

static json_t *s_values_to_json(const pr_tally_group_t *group) {
    json_t *values = json_array();
    for (size_t i = 0; i < group->values_count; i++)
        pr_json_append(values, pr_json_pack("{s:o, s:I, s:f}", "value", pr_json_text(group->values[i].value), "count",
                                            (json_int_t)group->values[i].count, "percent",
                                            100.0 * (double)group->values[i].count / (double)group->count));
    return values;
}

static json_t *s_field_to_json(const pr_inventory_field_t *field) {
    json_t *groups = json_array();
    for (size_t g = 0; g < field->tally.groups_count; g++) {
        const pr_tally_group_t *group = &field->tally.groups[g];
        pr_json_append(groups, pr_json_pack("{s:o, s:o, s:I, s:o}", "group", pr_json_text(group->name), "label",
                                            group->label != NULL ? pr_json_text(group->label) : json_null(), "records",
                                            (json_int_t)group->count, "values", s_values_to_json(group)));
    }
    return pr_json_pack("{s:s, s:s?, s:o, s:o}", "field", field->name, "group_by", field->group_by, "values",
                        s_values_to_json(&field->tally.all), "groups", groups);
}

static json_t *s_parts_to_json(const pr_inventory_t *inventory) {
    json_t *parts = json_array();
    for (size_t i = 0; i < inventory->parts_count; i++) {
        const pr_inventory_part_t *part = &inventory->parts[i];
        json_t *fields = json_array();
        for (size_t f = 0; f < part->fields_count; f++)
            pr_json_append(fields, s_field_to_json(&part->fields[f]));
        pr_json_append(parts, pr_json_pack("{s:o, s:I, s:o}", "name", pr_json_text(part->name), "records",
                                           (json_int_t)part->records, "distributions", fields));
    }
    return parts;
}

json_t *pr_inventory_to_json(const pr_inventory_t *inventory, const pr_mapping_t *mapping) {
    json_t *files = json_array();
    json_t *findings = json_array();
    json_t *runs = json_array();
    for (size_t i = 0; i < inventory->exports_count; i++)
        pr_json_append(files, s_export_to_json(inventory->exports[i], mapping));
    for (size_t i = 0; i < inventory->findings_count; i++)
        pr_json_append(findings, pr_json_text(inventory->findings[i]));
    for (size_t i = 0; i < inventory->runs_count; i++) {
        const pr_ledger_run_t *run = &inventory->runs[i];
        pr_json_append(runs, pr_json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "number",
                                          (json_int_t)run->number, "id", run->id, "kind", run->kind, "state",
                                          pr_ledger_state(run), "total", (json_int_t)run->total, "records",
                                          (json_int_t)run->records, "written", (json_int_t)run->written, "unchanged",
                                          (json_int_t)run->unchanged, "rejected", (json_int_t)run->rejected, "outcome",
                                          run->outcome >= 0 ? json_integer(run->outcome) : json_null()));
    }
    return pr_json_pack("{s:s, s:s?, s:I, s:o, s:o, s:o, s:o}", "kind", inventory->kind, "path", inventory->path,
                        "size", (json_int_t)inventory->size, "files", files, "parts", s_parts_to_json(inventory),
                        "runs", runs, "findings", findings);
}
