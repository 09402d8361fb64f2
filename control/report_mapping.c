/* SPDX-License-Identifier: MIT */
/* The mapping, as a report shows it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/json.h"
#include "control/report_parts.h"

static json_t *s_value(const pr_value_t *value) {
    switch (value->kind) {
    case PR_INTEGER:
        return json_integer(value->integer);
    case PR_REAL:
        return pr_json_real(value->real);
    case PR_TEXT:
        return pr_json_text_bytes(value->text.data, value->text.size); /* the mapping file is UTF-8 */
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
    json_t *json = pr_json_text(text);
    free(text);
    return json;
}

static json_t *s_column_to_json(const pr_stream_t *stream, const pr_column_t *column) {
    static const char *const ops[] = {
        [PR_OP_COPY] = "copy",        [PR_OP_CONSTANT] = "constant", [PR_OP_MAP] = "map",
        [PR_OP_PARENT] = "parent",    [PR_OP_LOOKUP] = "lookup",     [PR_OP_DATE] = "date",
        [PR_OP_TEMPLATE] = "template"};
    json_t *json = pr_json_pack("{s:o, s:b, s:s}", "column", pr_json_text(column->name), "key", (int)column->key, "op",
                                ops[column->op]);
    if (column->field >= 0)
        pr_json_set(json, "from", pr_json_text(stream->fields[column->field].name));
    switch (column->op) {
    case PR_OP_CONSTANT:
        pr_json_set(json, "constant", s_value(&column->constant));
        break;
    case PR_OP_MAP:
        pr_json_set(json, "map", pr_json_text(column->map->name));
        break;
    case PR_OP_PARENT:
        pr_json_set(json, "parent", pr_json_text(stream->rows[column->parent].table));
        break;
    case PR_OP_LOOKUP:
        pr_json_set(json, "table", pr_json_text(column->lookup_table));
        pr_json_set(json, "table_key", pr_json_text(column->lookup_key));
        break;
    case PR_OP_TEMPLATE:
        pr_json_set(json, "text", s_template(stream, column));
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
            pr_json_append(columns, s_column_to_json(stream, &row->columns[c]));
        pr_json_append(
            rows,
            pr_json_pack("{s:o, s:o, s:s, s:o, s:o}", "row", pr_json_text(row->name), "table", pr_json_text(row->table),
                         "mode", row->mode == PR_MODE_UPSERT ? "upsert" : "ensure", "only_if",
                         row->if_present >= 0 ? pr_json_text(stream->fields[row->if_present].name) : json_null(),
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
            pr_json_append(key, pr_json_text(stream->fields[stream->key[k]].name));
        for (size_t f = 0; f < stream->fields_count; f++) {
            if (stream->fields[f].ignored != NULL)
                pr_json_append(ignored, pr_json_pack("{s:o, s:o}", "field", pr_json_text(stream->fields[f].name),
                                                     "reason", pr_json_text(stream->fields[f].ignored)));
        }
        pr_json_append(streams, pr_json_pack("{s:o, s:o, s:o, s:o}", "stream", pr_json_text(stream->name), "key", key,
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
            pr_json_append(values,
                           pr_json_pack("{s:o, s:o}", "from", s_value(&entry->from), "to", s_value(&entry->to)));
        }
        pr_json_append(maps, pr_json_pack("{s:o, s:o}", "name", pr_json_text(mapping->maps[m].name), "values", values));
    }
    return maps;
}

static json_t *s_derived_to_json(const pr_mapping_t *mapping) {
    json_t *list = json_array();
    for (size_t i = 0; i < mapping->derived_count; i++) {
        const pr_derived_t *derived = &mapping->derived[i];
        pr_json_append(list, pr_json_pack("{s:o, s:o, s:o, s:o, s:o}", "table", pr_json_text(derived->table), "column",
                                          pr_json_text(derived->column), "children", pr_json_text(derived->child_table),
                                          "except_column", pr_json_text(derived->except_column), "except",
                                          s_value(&derived->except_value)));
    }
    return list;
}

json_t *pr_report_mapping_to_json(const pr_mapping_t *mapping) {
    char digest[24];
    snprintf(digest, sizeof digest, "%016" PRIx64, mapping->digest);
    return pr_json_pack("{s:o, s:o, s:s, s:o, s:o, s:o}", "name", pr_json_text(mapping->name), "path",
                        pr_json_text(mapping->path != NULL ? mapping->path : ""), "digest", digest, "streams",
                        s_streams_to_json(mapping), "value_maps", s_maps_to_json(mapping), "derived",
                        s_derived_to_json(mapping));
}
