/* SPDX-License-Identifier: MIT */
/* The inventory of export files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json_record.h"
#include "common/position.h"
#include "common/suggest.h"
#include "common/text.h"
#include "control/format.h"
#include "control/geometry.h"
#include "control/inventory.h"

enum {
    s_buffer_bytes = 1 << 20,
    s_slices = 1024,
    s_field_text_bytes = 200 /* of a value that is shown */
};
static const char S_NULL[] = "(null)";
static const char S_MISSING[] = "(missing)";
static const int64_t S_EXACT_MAX = INT64_C(1) << 53; /* beyond, the exporter has already rounded */

/* What is counted per stream while its records are read. */
typedef struct {
    const pr_stream_t *stream;
    pr_inventory_parent_t parent;
    uint64_t *null_texts; /* per field: taken for NULL */
    uint64_t *kept_texts; /* per field: "null" as text */
    uint64_t *rounded;    /* per field: beyond 2^53 */
    uint64_t *unfit;      /* per field: beyond 64 bits */
    uint64_t malformed;   /* records */
    size_t *distribution; /* per field: 1 + index of its distribution in the part, 0: none */
} pr_reading_t;

typedef struct {
    const pr_mapping_t *mapping;
    pr_inventory_t *inventory;
    pr_reading_t *readings;     /* per stream */
    pr_geometry_t **geometries; /* per stream: what its records declare; NULL: nothing */
    pr_json_parser_t *parser;
    const pr_json_field_t **at; /* the record's fields by the stream's field index */
    char ***labels;             /* per stream: pairs of key and label of its records, if it has children */
    size_t *labels_count;
} pr_inspection_t;

/* ---- one record ---- */

/* A value as text; NULL in the sense of the pipeline is "(null)". *Returns new*. */
static char *s_text(const pr_json_field_t *value, bool null_text) {
    if (value == NULL)
        return pr_xstrdup(S_MISSING);
    switch (value->kind) {
    case PR_JSON_NULL:
        return pr_xstrdup(S_NULL);
    case PR_JSON_INTEGER:
        return pr_xasprintf("%" PRId64, value->integer);
    case PR_JSON_REAL:
        return pr_xasprintf("%.17g", value->real);
    case PR_JSON_BOOLEAN:
        return pr_xstrdup(value->integer != 0 ? "true" : "false");
    case PR_JSON_TEXT:
        if (null_text && value->text_size == 4 && memcmp(value->text, "null", 4) == 0)
            return pr_xstrdup(S_NULL);
        break;
    case PR_JSON_BIG_INTEGER:
    case PR_JSON_BIG_REAL:
    case PR_JSON_CONTAINER:
        break;
    }
    return pr_text_escape_bytes(value->text,
                                value->text_size < s_field_text_bytes ? value->text_size : s_field_text_bytes);
}

/* A count that the record gives; -1: it gives none. */
static int64_t s_integer(const pr_inspection_t *self, int field) {
    const pr_json_field_t *value = field >= 0 ? self->at[field] : NULL;
    return value != NULL && value->kind == PR_JSON_INTEGER && value->integer >= 0 ? value->integer : -1;
}

/* Is the stream the parents' stream of some other one? */
static bool s_has_children(const pr_inspection_t *self, int stream) {
    for (size_t i = 0; i < self->mapping->streams_count; i++) {
        if (self->readings[i].parent.stream == stream)
            return true;
    }
    return false;
}

static int s_label_field(const pr_inspection_t *self, int stream) {
    for (size_t i = 0; i < self->mapping->streams_count; i++) {
        if (self->readings[i].parent.stream == stream)
            return self->readings[i].parent.label;
    }
    return -1;
}

/* Remember what a parent is called. */
static void s_note_parent(pr_inspection_t *self, int index) {
    const pr_stream_t *stream = &self->mapping->streams[index];
    int label_field = s_label_field(self, index);
    char *key = s_text(self->at[stream->key[0]], false);
    char *label = label_field >= 0 ? s_text(self->at[label_field], false) : pr_xstrdup(key);
    size_t count = self->labels_count[index];
    self->labels[index] = pr_xrealloc(self->labels[index], (count + 2) * sizeof **self->labels);
    self->labels[index][count] = key;
    self->labels[index][count + 1] = label;
    self->labels_count[index] += 2;
}

/* Remember what a record declares, and where it lies among those that others declare something about. */
static void s_note_geometry(pr_inspection_t *self, int index) {
    const pr_stream_t *stream = &self->mapping->streams[index];
    const pr_declares_t *declares = &stream->declares;
    if (declares->stream >= 0) {
        int label_field = s_label_field(self, index);
        char *key = s_text(self->at[declares->by], false);
        char *label = label_field >= 0 ? s_text(self->at[label_field], false) : pr_xstrdup(key);
        pr_geometry_declare(self->geometries[index], key, label, s_integer(self, declares->total),
                            s_integer(self, declares->groups), s_integer(self, declares->per_group));
        free(label);
        free(key);
    }
    for (size_t s = 0; s < self->mapping->streams_count; s++) {
        const pr_declares_t *parent = &self->mapping->streams[s].declares;
        if (parent->stream != index)
            continue;
        char *key = s_text(self->at[parent->children_by], false);
        pr_geometry_place(self->geometries[s], key, s_integer(self, stream->position_group));
        free(key);
    }
}

static void s_note_field(pr_reading_t *reading, int field, const pr_json_field_t *value, bool null_text) {
    bool nullable = reading->stream->fields[field].nullable;
    if (nullable && value->kind == PR_JSON_TEXT && value->text_size == 4 && memcmp(value->text, "null", 4) == 0)
        (null_text ? reading->null_texts : reading->kept_texts)[field]++;
    if (value->kind == PR_JSON_BIG_INTEGER)
        reading->unfit[field]++;
    if (value->kind == PR_JSON_INTEGER && (value->integer > S_EXACT_MAX || value->integer < -S_EXACT_MAX))
        reading->rounded[field]++;
}

static void s_count_values(pr_inspection_t *self, int index, bool null_text) {
    pr_reading_t *reading = &self->readings[index];
    const pr_stream_t *stream = reading->stream;
    pr_inventory_part_t *part = &self->inventory->parts[index];
    char *group = pr_inventory_group(stream) != NULL ? s_text(self->at[stream->key[0]], false) : NULL;
    for (size_t f = 0; f < stream->fields_count; f++) {
        if (reading->distribution[f] == 0)
            continue;
        char *value = s_text(self->at[f], null_text && stream->fields[f].nullable);
        pr_tally_add(&part->fields[reading->distribution[f] - 1].tally, group, value, 1);
        free(value);
    }
    free(group);
}

static void s_read_record(pr_inspection_t *self, int index, const char *data, size_t size, bool null_text) {
    pr_reading_t *reading = &self->readings[index];
    const pr_json_field_t *fields;
    size_t count;
    self->inventory->parts[index].records++;
    if (pr_json_parse_record(self->parser, data, size, &fields, &count) != 0) {
        reading->malformed++;
        return;
    }
    memset(self->at, 0, reading->stream->fields_count * sizeof *self->at);
    for (size_t i = 0; i < count; i++) {
        int field = pr_stream_field_index(reading->stream, fields[i].name, fields[i].name_size);
        if (field < 0)
            continue;
        self->at[field] = &fields[i];
        s_note_field(reading, field, &fields[i], null_text);
    }
    s_count_values(self, index, null_text);
    s_note_geometry(self, index);
    if (s_has_children(self, index))
        s_note_parent(self, index);
}

/* ---- one file ---- */

static int s_read_set(pr_inspection_t *self, int file, const char *path, const pr_result_set_t *set, pr_error_t *err) {
    size_t room = s_buffer_bytes;
    char *data = pr_xcalloc(room + PR_JSON_PADDING, 1);
    pr_slice_t slices[s_slices];
    uint64_t at = set->begin;
    int result = 0;
    while (result == 0 && at < set->end) {
        size_t want = set->end - at < room ? (size_t)(set->end - at) : room;
        ssize_t size = pread(file, data, want, (off_t)at);
        if (size <= 0) {
            result = pr_error_set(err, PR_E_UNREADABLE, PR_AT_BYTE ": %s", path, at,
                                  size < 0 ? strerror(errno) : "the file became shorter while it was read");
            break;
        }
        size_t used = 0;
        size_t count = pr_export_slice(data, (size_t)size, slices, s_slices, &used);
        for (size_t i = 0; i < count; i++)
            s_read_record(self, set->stream, data + slices[i].offset, slices[i].length,
                          pr_export_null_text(set, PR_NULL_TEXT_AUTO));
        at += used;
        if (count == 0 && room >= 2 * (size_t)PR_RECORD_MAX_BYTES)
            result =
                pr_error_set(err, PR_E_MALFORMED, PR_AT_BYTE ": no record begins here; did the file change?", path, at);
        else if (count == 0 && (size_t)size < room)
            break; /* what follows the last record */
        if (count == 0 && result == 0) {
            room *= 2;
            data = pr_xrealloc(data, room + PR_JSON_PADDING);
        }
    }
    free(data);
    return result;
}

static void s_note_file(pr_inspection_t *self, const pr_export_t *export) {
    pr_inventory_t *inventory = self->inventory;
    if (export->bom)
        pr_inventory_add_finding(inventory, "%s begins with a byte order mark; it is skipped", export->path);
    if (export->banner_lines > 0)
        pr_inventory_add_finding(inventory, "%s has %" PRIu32 " line%s before the JSON; they are skipped", export->path,
                                 export->banner_lines, pr_format_plural(export->banner_lines));
    for (char **key = export->unknown_meta; key != NULL && *key != NULL; key++)
        pr_inventory_add_finding(inventory, "%s has an unknown key \"%s\" in its envelope; it is left out",
                                 export->path, *key);
}

static int s_read_file(pr_inspection_t *self, const char *path, pr_error_t *err) {
    pr_inventory_t *inventory = self->inventory;
    pr_export_t *export = NULL;
    int result = pr_export_scan(path, self->mapping, NULL, NULL, &export, err);
    if (result < 0)
        return result;
    int file = open(export->path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        result = pr_error_set(err, PR_E_UNREADABLE, "%s: cannot be read: %s", path, strerror(errno));
    for (size_t i = 0; result == 0 && i < export->sets_count; i++) {
        if (export->sets[i].stream >= 0)
            result = s_read_set(self, file, export->path, &export->sets[i], err);
    }
    if (file >= 0)
        close(file);
    if (result < 0) {
        pr_export_destroy(&export);
        return result;
    }
    inventory->exports = pr_xrealloc(inventory->exports, (inventory->exports_count + 1) * sizeof *inventory->exports);
    inventory->exports[inventory->exports_count++] = export;
    inventory->size += export->size;
    s_note_file(self, export);
    return 0;
}

/* ---- all of them ---- */

static void s_begin(pr_inspection_t *self) {
    size_t most = 0;
    self->readings = pr_xcalloc(self->mapping->streams_count + 1, sizeof *self->readings);
    self->labels = pr_xcalloc(self->mapping->streams_count + 1, sizeof *self->labels);
    self->labels_count = pr_xcalloc(self->mapping->streams_count + 1, sizeof *self->labels_count);
    for (size_t s = 0; s < self->mapping->streams_count; s++) {
        const pr_stream_t *stream = &self->mapping->streams[s];
        pr_reading_t *reading = &self->readings[s];
        pr_inventory_part_t *part = pr_inventory_add_part(self->inventory, stream->name);
        most = stream->fields_count > most ? stream->fields_count : most;
        reading->stream = stream;
        reading->parent = pr_inventory_parent(self->mapping, stream);
        reading->null_texts = pr_xcalloc(stream->fields_count + 1, sizeof *reading->null_texts);
        reading->kept_texts = pr_xcalloc(stream->fields_count + 1, sizeof *reading->kept_texts);
        reading->rounded = pr_xcalloc(stream->fields_count + 1, sizeof *reading->rounded);
        reading->unfit = pr_xcalloc(stream->fields_count + 1, sizeof *reading->unfit);
        reading->distribution = pr_xcalloc(stream->fields_count + 1, sizeof *reading->distribution);
        for (size_t f = 0; f < stream->fields_count; f++) {
            if (!pr_inventory_is_mapped(stream, (int)f, NULL))
                continue;
            pr_inventory_add_field(part, stream->fields[f].name, pr_inventory_group(stream));
            reading->distribution[f] = part->fields_count;
        }
    }
    self->at = pr_xcalloc(most + 1, sizeof *self->at);
    self->geometries = pr_xcalloc(self->mapping->streams_count + 1, sizeof(pr_geometry_t *));
    for (size_t s = 0; s < self->mapping->streams_count; s++) {
        int children = self->mapping->streams[s].declares.stream;
        if (children >= 0)
            self->geometries[s] = pr_geometry_new(self->mapping->streams[children].name);
    }
    self->parser = pr_json_parser_new();
}

static void s_end(pr_inspection_t *self) {
    for (size_t s = 0; s < self->mapping->streams_count; s++) {
        for (size_t i = 0; i < self->labels_count[s]; i++)
            free(self->labels[s][i]);
        free(self->labels[s]);
        free(self->readings[s].null_texts);
        free(self->readings[s].kept_texts);
        free(self->readings[s].rounded);
        free(self->readings[s].unfit);
        free(self->readings[s].distribution);
        pr_geometry_destroy(&self->geometries[s]);
    }
    free(self->labels);
    free(self->labels_count);
    free(self->readings);
    free(self->at);
    free(self->geometries);
    pr_json_parser_destroy(&self->parser);
}

static void s_add_unknown(pr_inspection_t *self, const pr_stream_t *stream, size_t f, const pr_value_map_t *map,
                          const pr_tally_value_t *value) {
    pr_suggest_t suggest = pr_suggest_begin(value->value, strlen(value->value));
    for (size_t i = 0; i < map->count; i++) /* what a mapping holds ends with a NUL */
        pr_suggest_offer(&suggest, map->entries[i].from.text.data);
    pr_inventory_add_finding(self->inventory,
                             "%s × %s.%s: the value map %s does not know \"%s\"%s; such records are rejected",
                             pr_format_count(value->count).text, stream->name, stream->fields[f].name, map->name,
                             value->value, pr_suggest_text(&suggest));
}

/* Values that the value map does not know would reject their records. */
static void s_judge_values(pr_inspection_t *self, size_t s, size_t f) {
    const pr_value_map_t *map = NULL;
    const pr_reading_t *reading = &self->readings[s];
    if (reading->distribution[f] == 0 || !pr_inventory_is_mapped(reading->stream, (int)f, &map))
        return;
    const pr_tally_group_t *all = &self->inventory->parts[s].fields[reading->distribution[f] - 1].tally.all;
    for (size_t i = 0; i < all->values_count; i++) {
        const char *value = all->values[i].value;
        if (strcmp(value, S_NULL) != 0 && strcmp(value, S_MISSING) != 0 &&
            pr_value_map_get(map, value, strlen(value)) == NULL)
            s_add_unknown(self, reading->stream, f, map, &all->values[i]);
    }
}

static void s_judge(pr_inspection_t *self) {
    pr_inventory_t *inventory = self->inventory;
    for (size_t s = 0; s < self->mapping->streams_count; s++) {
        const pr_reading_t *reading = &self->readings[s];
        const char *name = reading->stream->name;
        if (reading->malformed > 0)
            pr_inventory_add_finding(inventory, "%s × %s: the record is no valid JSON; it is rejected",
                                     pr_format_count(reading->malformed).text, name);
        for (size_t f = 0; f < reading->stream->fields_count; f++) {
            const char *field = reading->stream->fields[f].name;
            if (reading->null_texts[f] > 0)
                pr_inventory_add_finding(inventory, "%s × %s.%s: the text \"null\" stands for NULL",
                                         pr_format_count(reading->null_texts[f]).text, name, field);
            if (reading->kept_texts[f] > 0)
                pr_inventory_add_finding(inventory, "%s × %s.%s: the text \"null\" is kept as text",
                                         pr_format_count(reading->kept_texts[f]).text, name, field);
            if (reading->rounded[f] > 0)
                pr_inventory_add_finding(inventory, "%s × %s.%s: an integer beyond 2^53 was rounded by the exporter",
                                         pr_format_count(reading->rounded[f]).text, name, field);
            if (reading->unfit[f] > 0)
                pr_inventory_add_finding(inventory,
                                         "%s × %s.%s: the integer does not fit 64 bits; the record is rejected",
                                         pr_format_count(reading->unfit[f]).text, name, field);
            s_judge_values(self, s, f);
        }
        int parent = reading->parent.stream;
        for (size_t i = 0; parent >= 0 && reading->parent.label >= 0 && i < self->labels_count[parent]; i += 2)
            pr_inventory_label(&inventory->parts[s], self->labels[parent][i], self->labels[parent][i + 1]);
    }
    for (size_t s = 0; s < self->mapping->streams_count; s++) {
        if (self->geometries[s] != NULL)
            pr_geometry_judge(self->geometries[s], inventory);
    }
}

int pr_inventory_read_exports(const char *const *paths, size_t count, const pr_mapping_t *mapping,
                              pr_inventory_t *inventory, pr_error_t *err) {
    pr_inspection_t self = {.mapping = mapping, .inventory = inventory};
    int result = 0;
    inventory->kind = "exports";
    s_begin(&self);
    for (size_t i = 0; i < count; i++) {
        pr_error_t why = PR_ERROR_INIT;
        if (s_read_file(&self, paths[i], &why) == 0)
            continue;
        if (result < 0)
            fprintf(stderr, "pvrelay: %s: %s\n", pr_error_name((int)why.code), why.text);
        else
            result = pr_error_set(err, why.code, "%s", why.text);
    }
    s_judge(&self);
    s_end(&self);
    for (size_t i = 0; i < inventory->parts_count; i++) {
        for (size_t f = 0; f < inventory->parts[i].fields_count; f++)
            pr_tally_sort(&inventory->parts[i].fields[f].tally);
    }
    return result;
}
