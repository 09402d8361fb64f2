/* SPDX-License-Identifier: MIT */
/* Building an inventory, and what the mapping says to look at. */
#include "control/inventory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

void pr_inventory_clear(pr_inventory_t *inventory) {
    for (size_t i = 0; i < inventory->parts_count; i++) {
        pr_inventory_part_t *part = &inventory->parts[i];
        for (size_t k = 0; k < part->fields_count; k++) {
            free(part->fields[k].name);
            free(part->fields[k].group_by);
            pr_tally_clear(&part->fields[k].tally);
        }
        free(part->fields);
        free(part->name);
    }
    for (size_t i = 0; i < inventory->findings_count; i++)
        free(inventory->findings[i]);
    for (size_t i = 0; i < inventory->exports_count; i++)
        pr_export_destroy(&inventory->exports[i]);
    free(inventory->exports);
    free(inventory->findings);
    free(inventory->parts);
    free(inventory->runs);
    free(inventory->path);
    memset(inventory, 0, sizeof *inventory);
}

pr_inventory_part_t *pr_inventory_add_part(pr_inventory_t *inventory, const char *name) {
    inventory->parts = pr_xrealloc(inventory->parts, (inventory->parts_count + 1) * sizeof *inventory->parts);
    pr_inventory_part_t *part = &inventory->parts[inventory->parts_count++];
    *part = (pr_inventory_part_t){.name = pr_xstrdup(name)};
    return part;
}

pr_inventory_field_t *pr_inventory_add_field(pr_inventory_part_t *part, const char *name, const char *group_by) {
    part->fields = pr_xrealloc(part->fields, (part->fields_count + 1) * sizeof *part->fields);
    pr_inventory_field_t *field = &part->fields[part->fields_count++];
    *field =
        (pr_inventory_field_t){.name = pr_xstrdup(name), .group_by = group_by != NULL ? pr_xstrdup(group_by) : NULL};
    return field;
}

void pr_inventory_add_finding(pr_inventory_t *inventory, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    inventory->findings =
        pr_xrealloc(inventory->findings, (inventory->findings_count + 1) * sizeof *inventory->findings);
    inventory->findings[inventory->findings_count++] = pr_xstrdup(text);
}

void pr_inventory_label(pr_inventory_part_t *part, const char *name, const char *label) {
    for (size_t i = 0; i < part->fields_count; i++) {
        pr_tally_group_t *group = pr_tally_find(&part->fields[i].tally, name);
        if (group == NULL)
            continue;
        free(group->label);
        group->label = pr_xstrdup(label);
    }
}

const char *pr_inventory_group(const pr_stream_t *stream) {
    return stream->key_count > 1 ? stream->fields[stream->key[0]].name : NULL;
}

bool pr_inventory_is_mapped(const pr_stream_t *stream, int field, const pr_value_map_t **ret_map) {
    for (size_t r = 0; r < stream->rows_count; r++) {
        const pr_row_spec_t *row = &stream->rows[r];
        for (size_t c = 0; c < row->columns_count; c++) {
            if (row->columns[c].op != PR_OP_MAP || row->columns[c].field != field)
                continue;
            if (ret_map != NULL)
                *ret_map = row->columns[c].map;
            return true;
        }
    }
    return false;
}

/* The column of a row that copies a field, or NULL. */
static const pr_column_t *s_copy_of(const pr_row_spec_t *row, int field) {
    for (size_t c = 0; c < row->columns_count; c++) {
        if (row->columns[c].op == PR_OP_COPY && row->columns[c].field == field)
            return &row->columns[c];
    }
    return NULL;
}

/* The lookup by which a row uses the stream's first key field, or NULL. */
static const pr_column_t *s_lookup(const pr_stream_t *stream) {
    for (size_t r = 0; r < stream->rows_count; r++) {
        const pr_row_spec_t *row = &stream->rows[r];
        for (size_t c = 0; c < row->columns_count; c++) {
            if (row->columns[c].op == PR_OP_LOOKUP && row->columns[c].field == stream->key[0])
                return &row->columns[c];
        }
    }
    return NULL;
}

/* What people know a record by: the first text among the fields that tell its stream, and not its key. */
static int s_label(const pr_stream_t *stream) {
    for (size_t i = 0; i < stream->recognise_count; i++) {
        int field = stream->recognise[i];
        if (field != stream->key[0] && stream->fields[field].type == PR_TYPE_TEXT)
            return field;
    }
    return -1;
}

pr_inventory_parent_t pr_inventory_parent(const pr_mapping_t *mapping, const pr_stream_t *stream) {
    pr_inventory_parent_t parent = {.stream = -1, .key = -1, .label = -1};
    const pr_column_t *lookup = stream->key_count > 1 ? s_lookup(stream) : NULL;
    for (size_t s = 0; lookup != NULL && s < mapping->streams_count; s++) {
        const pr_stream_t *other = &mapping->streams[s];
        for (size_t r = 0; r < other->rows_count; r++) {
            const pr_row_spec_t *row = &other->rows[r];
            const pr_column_t *key = s_copy_of(row, other->key[0]);
            if (strcmp(row->table, lookup->lookup_table) != 0 || key == NULL ||
                strcmp(key->name, lookup->lookup_key) != 0)
                continue;
            parent.stream = (int)s;
            parent.key = other->key[0];
            parent.label = s_label(other);
            parent.table = row->table;
            parent.key_column = key->name;
            const pr_column_t *label = parent.label >= 0 ? s_copy_of(row, parent.label) : NULL;
            parent.label_column = label != NULL ? label->name : NULL;
            return parent;
        }
    }
    return parent;
}
