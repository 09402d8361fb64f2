/* SPDX-License-Identifier: MIT */
/* The mapping, as a report shows it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "control/format.h"
#include "control/report_parts.h"

static json_t *s_text(const char *text) {
    char *clean = pr_format_clean(pr_xstrdup(text));
    json_t *json = json_string(clean);
    free(clean);
    return json;
}

static json_t *s_value(const pr_value_t *value) {
    switch (value->kind) {
    case PR_INTEGER:
        return json_integer(value->integer);
    case PR_REAL:
        return json_real(value->real);
    case PR_TEXT:
        return json_stringn(value->text.data, value->text.size); /* the mapping file is UTF-8 */
    case PR_NULL:
        break;
    }
    return json_null();
}

/* A template as it stands in the mapping file: {field}, {field:address}. */
static json_t *s_template(const pr_stream_t *stream, const pr_column_t *column) {
    char *text = pr_xstrdup("");
    for (size_t i = 0; i < column->parts_count; i++) {
        const pr_template_part_t *part = &column->parts[i];
        char *longer = part->field < 0 ? pr_xasprintf("%s%.*s", text, (int)part->literal_size, part->literal)
                                       : pr_xasprintf("%s{%s%s}", text, stream->fields[part->field].name,
                                                      part->address ? ":address" : "");
        free(text);
        text = longer;
    }
    json_t *json = s_text(text);
    free(text);
    return json;
}

static json_t *s_column_to_json(const pr_stream_t *stream, const pr_column_t *column) {
    static const char *const ops[] = {
        [PR_OP_COPY] = "copy",        [PR_OP_CONSTANT] = "constant", [PR_OP_MAP] = "map",
        [PR_OP_PARENT] = "parent",    [PR_OP_LOOKUP] = "lookup",     [PR_OP_DATE] = "date",
        [PR_OP_TEMPLATE] = "template"};
    json_t *json =
        json_pack("{s:o, s:b, s:s}", "column", s_text(column->name), "key", (int)column->key, "op", ops[column->op]);
    if (column->field >= 0)
        json_object_set_new(json, "from", s_text(stream->fields[column->field].name));
    switch (column->op) {
    case PR_OP_CONSTANT:
        json_object_set_new(json, "constant", s_value(&column->constant));
        break;
    case PR_OP_MAP:
        json_object_set_new(json, "map", s_text(column->map->name));
        break;
    case PR_OP_PARENT:
        json_object_set_new(json, "parent", s_text(stream->rows[column->parent].table));
        break;
    case PR_OP_LOOKUP:
        json_object_set_new(json, "table", s_text(column->lookup_table));
        json_object_set_new(json, "table_key", s_text(column->lookup_key));
        break;
    case PR_OP_TEMPLATE:
        json_object_set_new(json, "text", s_template(stream, column));
        break;
    case PR_OP_COPY:
    case PR_OP_DATE:
        break;
    }
    return json;
}

static json_t *s_rows_to_json(const pr_stream_t *stream) {
    json_t *rows = json_array();
    for (size_t r = 0; r < stream->rows_count; r++) {
        const pr_row_spec_t *row = &stream->rows[r];
        json_t *columns = json_array();
        for (size_t c = 0; c < row->columns_count; c++)
            json_array_append_new(columns, s_column_to_json(stream, &row->columns[c]));
        json_array_append_new(
            rows, json_pack("{s:o, s:o, s:s, s:o, s:o}", "row", s_text(row->name), "table", s_text(row->table), "mode",
                            row->mode == PR_MODE_UPSERT ? "upsert" : "ensure", "only_if",
                            row->if_present >= 0 ? s_text(stream->fields[row->if_present].name) : json_null(),
                            "columns", columns));
    }
    return rows;
}

static json_t *s_streams_to_json(const pr_mapping_t *mapping) {
    json_t *streams = json_array();
    for (size_t s = 0; s < mapping->streams_count; s++) {
        const pr_stream_t *stream = &mapping->streams[s];
        json_t *key = json_array();
        json_t *ignored = json_array();
        for (size_t k = 0; k < stream->key_count; k++)
            json_array_append_new(key, s_text(stream->fields[stream->key[k]].name));
        for (size_t f = 0; f < stream->fields_count; f++) {
            if (stream->fields[f].ignored != NULL)
                json_array_append_new(ignored, json_pack("{s:o, s:o}", "field", s_text(stream->fields[f].name),
                                                         "reason", s_text(stream->fields[f].ignored)));
        }
        json_array_append_new(streams, json_pack("{s:o, s:o, s:o, s:o}", "stream", s_text(stream->name), "key", key,
                                                 "ignored", ignored, "rows", s_rows_to_json(stream)));
    }
    return streams;
}

static json_t *s_maps_to_json(const pr_mapping_t *mapping) {
    json_t *maps = json_array();
    for (size_t m = 0; m < mapping->maps_count; m++) {
        json_t *values = json_array();
        for (size_t i = 0; i < mapping->maps[m].count; i++) {
            const pr_map_entry_t *entry = &mapping->maps[m].entries[i];
            json_array_append_new(values,
                                  json_pack("{s:o, s:o}", "from", s_value(&entry->from), "to", s_value(&entry->to)));
        }
        json_array_append_new(maps, json_pack("{s:o, s:o}", "name", s_text(mapping->maps[m].name), "values", values));
    }
    return maps;
}

static json_t *s_derived_to_json(const pr_mapping_t *mapping) {
    json_t *list = json_array();
    for (size_t i = 0; i < mapping->derived_count; i++) {
        const pr_derived_t *derived = &mapping->derived[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o, s:o}", "table", s_text(derived->table), "column",
                                              s_text(derived->column), "children", s_text(derived->child_table),
                                              "except_column", s_text(derived->except_column), "except",
                                              s_value(&derived->except_value)));
    }
    return list;
}

json_t *pr_report_mapping_to_json(const pr_mapping_t *mapping) {
    char digest[24];
    snprintf(digest, sizeof digest, "%016" PRIx64, mapping->digest);
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o}", "name", s_text(mapping->name), "path",
                     s_text(mapping->path != NULL ? mapping->path : ""), "digest", digest, "streams",
                     s_streams_to_json(mapping), "value_maps", s_maps_to_json(mapping), "derived",
                     s_derived_to_json(mapping));
}
