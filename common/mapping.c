/* SPDX-License-Identifier: MIT */
/* Reads a mapping file, checks it in full, and answers questions about it. */

/*  DESIGN
 *
 *  One pass builds and checks. A spot is a jansson value together with the node of the line index that tells its line.
 *  A mistake is noted and the pass goes on with a neutral value (-1, NULL, nothing), so that one run of lint shows
 *  everything; a mapping with mistakes is thrown away at the end. What needs a whole stream (is every field used, can a
 *  key be NULL) or all streams (derived columns) is checked when that is there.
 *
 *  All memory of a mapping hangs on its arena, a list of blocks: nothing is freed before all is.
 */
#include "common/mapping.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/mapping_lint.h"
#include "common/suggest.h"

/* A mapping is written by hand; a file beyond this is something else. */
#define S_FILE_MAX_BYTES ((size_t)16 << 20)

typedef struct s_block {
    struct s_block *next;
    max_align_t memory[];
} s_block_t;

typedef struct {
    json_t *json; /* NULL: not there, or not what was expected; then `at` is the parent's */
    const pr_line_node_t *at;
} s_spot_t;

typedef struct {
    pr_mapping_t *mapping;
    pr_lint_t lint;
} s_load_t;

/* ---- memory ---- */

/* Zeroed memory that lives as long as the mapping. */
static void *s_alloc(s_load_t *load, size_t count, size_t size) {
    s_block_t *block = pr_xcalloc(1, sizeof(s_block_t) + count * size);
    block->next = load->mapping->arena;
    load->mapping->arena = block;
    return block->memory;
}

static char *s_copy(s_load_t *load, const char *text, size_t size) {
    char *copy = s_alloc(load, size + 1, 1);
    if (size > 0)
        memcpy(copy, text, size);
    return copy;
}

/* ---- spots: values with their lines, and what must be true of them ---- */

#define S_MISTAKE(load, spot, ...) pr_lint_add(&(load)->lint, (spot).at->line, __VA_ARGS__)

static const char *s_type_name(const json_t *json) {
    if (json == NULL) {
        return "nothing";
    }
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static s_spot_t s_nothing(s_spot_t parent) {
    return (s_spot_t){.json = NULL, .at = parent.at};
}

/* The member with this key, whatever it is; without a word if there is none. */
static s_spot_t s_member(s_spot_t parent, const char *key) {
    const pr_line_node_t *at = pr_line_member(parent.at, key);
    json_t *json = json_object_get(parent.json, key);
    return json != NULL && at != NULL ? (s_spot_t){.json = json, .at = at} : s_nothing(parent);
}

static s_spot_t s_element(s_spot_t parent, size_t index) {
    const pr_line_node_t *at = pr_line_element(parent.at, index);
    return (s_spot_t){.json = json_array_get(parent.json, index), .at = at != NULL ? at : parent.at};
}

/* The member with this key if it has the type; what: whose member it is, as in "a field"; expected: as in "text". */
static s_spot_t s_typed(s_load_t *load, s_spot_t parent, const char *what, const char *key, bool required,
                        json_type type, const char *expected) {
    s_spot_t spot = s_member(parent, key);
    if (spot.json == NULL) {
        if (required) {
            S_MISTAKE(load, parent, "missing key \"%s\" in %s, expected %s", key, what, expected);
        }
        return spot;
    }
    if (json_typeof(spot.json) != type) {
        S_MISTAKE(load, spot, "\"%s\" of %s is %s, expected %s", key, what, s_type_name(spot.json), expected);
        return s_nothing(parent);
    }
    return spot;
}

static s_spot_t s_object(s_load_t *load, s_spot_t parent, const char *what, const char *key, bool required) {
    return s_typed(load, parent, what, key, required, JSON_OBJECT, "an object");
}

/* An object or array that holds something. */
static s_spot_t s_not_empty(s_load_t *load, s_spot_t spot, const char *what, const char *key, const char *expected) {
    if (spot.json != NULL && json_object_size(spot.json) + json_array_size(spot.json) == 0) {
        S_MISTAKE(load, spot, "\"%s\" of %s is empty, expected %s", key, what, expected);
        return (s_spot_t){.json = NULL, .at = spot.at};
    }
    return spot;
}

static s_spot_t s_text(s_load_t *load, s_spot_t parent, const char *what, const char *key, bool required) {
    return s_typed(load, parent, what, key, required, JSON_STRING, "text");
}

/* Is this value itself (an element, say) an object? */
static bool s_is_object(s_load_t *load, s_spot_t spot, const char *what) {
    if (!json_is_object(spot.json)) {
        S_MISTAKE(load, spot, "%s is %s, expected an object", what, s_type_name(spot.json));
        return false;
    }
    return true;
}

/* keys: all that may be in the object, separated by ", ", as they are shown. */
static bool s_is_known_key(const char *keys, const char *key) {
    size_t size = strlen(key);
    for (const char *at = keys; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, key, size) == 0 && (at[size] == ',' || at[size] == '\0')) {
            return size > 0;
        }
    }
    return false;
}

static void s_check_keys(s_load_t *load, s_spot_t object, const char *what, const char *keys) {
    for (size_t i = 0; i < object.at->count; i++) {
        const pr_line_node_t *child = &object.at->children[i];
        if (child->key != NULL && !s_is_known_key(keys, child->key)) {
            pr_suggest_t suggest = pr_suggest_begin(child->key, strlen(child->key));
            char known[64]; /* each of the keys in turn; kept until the mistake is noted: the best of them is in it */
            char best[64] = "";
            for (const char *at = keys; *at != '\0'; at += strspn(at, ", ")) {
                size_t length = strcspn(at, ",");
                (void)snprintf(known, sizeof known, "%.*s", (int)length, at);
                suggest.best = suggest.best != NULL ? best : NULL;
                pr_suggest_offer(&suggest, known);
                if (suggest.best == known) {
                    memcpy(best, known, sizeof best);
                }
                at += length;
            }
            suggest.best = suggest.best != NULL ? best : NULL;
            pr_lint_add(&load->lint, child->line, "unknown key \"%s\" in %s%s, expected one of %s", child->key, what,
                        pr_suggest_text(&suggest), keys);
        }
    }
}

static void s_check_identifier(s_load_t *load, s_spot_t spot, const char *what, const char *name) {
    if (!pr_lint_is_identifier(name)) {
        S_MISTAKE(load, spot, "%s \"%s\" is no identifier, expected letters, digits and _, not beginning with a digit",
                  what, name);
    }
}

/* A required member that is an identifier: its name, or "" after a mistake. */
static char *s_identifier(s_load_t *load, s_spot_t parent, const char *what, const char *key) {
    s_spot_t spot = s_text(load, parent, what, key, true);
    if (spot.json == NULL) {
        return s_copy(load, "", 0);
    }
    s_check_identifier(load, spot, key, json_string_value(spot.json));
    return s_copy(load, json_string_value(spot.json), json_string_length(spot.json));
}

/* A required member that names a table of the target. */
static char *s_table(s_load_t *load, s_spot_t parent, const char *what, const char *key) {
    char *name = s_identifier(load, parent, what, key);
    if (pr_lint_is_reserved_table(name)) {
        S_MISTAKE(load, s_member(parent, key), "table \"%s\" is reserved, expected one of the target's data tables",
                  name);
    }
    return name;
}

static bool s_boolean(s_load_t *load, s_spot_t parent, const char *what, const char *key) {
    s_spot_t spot = s_member(parent, key);
    if (spot.json != NULL && !json_is_boolean(spot.json)) {
        S_MISTAKE(load, spot, "\"%s\" of %s is %s, expected true or false", key, what, s_type_name(spot.json));
    }
    return json_is_true(spot.json);
}

/* A member that is one of two words: 0 or 1, otherwise (also where it is missing) 0. */
static int s_choice(s_load_t *load, s_spot_t parent, const char *what, const char *key, bool required,
                    const char *const words[2]) {
    s_spot_t spot = s_text(load, parent, what, key, required);
    if (spot.json == NULL || strcmp(json_string_value(spot.json), words[0]) == 0) {
        return 0;
    }
    if (strcmp(json_string_value(spot.json), words[1]) == 0) {
        return 1;
    }
    S_MISTAKE(load, spot, "\"%s\" of %s is \"%s\", expected \"%s\" or \"%s\"", key, what, json_string_value(spot.json),
              words[0], words[1]);
    return 0;
}

/* Text or number as a value; false: something else. */
static bool s_scalar(s_load_t *load, const json_t *json, pr_value_t *ret_value) {
    if (json_is_string(json)) {
        size_t size = json_string_length(json);
        *ret_value = pr_value_text(s_copy(load, json_string_value(json), size), size);
    } else if (json_is_integer(json)) {
        *ret_value = pr_value_integer(json_integer_value(json));
    } else if (json_is_real(json)) {
        *ret_value = pr_value_real(json_real_value(json));
    } else {
        return false;
    }
    return true;
}

/* ---- value maps ---- */

static void s_read_map(s_load_t *load, s_spot_t spot, const char *name, pr_value_map_t *map) {
    const char *from;
    json_t *to;

    map->name = s_copy(load, name, strlen(name));
    s_check_identifier(load, spot, "value map", name);
    if (!s_is_object(load, spot, "a value map")) {
        return;
    }
    if (json_object_size(spot.json) == 0) {
        S_MISTAKE(load, spot, "value map \"%s\" is empty, expected at least one entry", name);
    }
    map->entries = s_alloc(load, json_object_size(spot.json), sizeof(*map->entries));
    json_object_foreach(spot.json, from, to) {
        pr_map_entry_t *entry = &map->entries[map->count++];
        size_t size = strlen(from);
        entry->from = pr_value_text(s_copy(load, from, size), size);
        if (!json_is_string(to) && !json_is_integer(to)) {
            S_MISTAKE(load, s_member(spot, from), "entry \"%s\" of a value map is %s, expected text or an integer",
                      from, s_type_name(to));
            continue;
        }
        s_scalar(load, to, &entry->to);
    }
}

static void s_read_maps(s_load_t *load, s_spot_t root) {
    pr_mapping_t *mapping = load->mapping;
    s_spot_t maps = s_object(load, root, "the mapping", "value_maps", false);
    const char *name;
    json_t *json;

    mapping->maps = s_alloc(load, json_object_size(maps.json), sizeof(*mapping->maps));
    json_object_foreach(maps.json, name, json) {
        s_read_map(load, s_member(maps, name), name, &mapping->maps[mapping->maps_count++]);
    }
}

static const pr_value_map_t *s_find_map(const pr_mapping_t *mapping, const char *name) {
    for (size_t i = 0; i < mapping->maps_count; i++) {
        if (strcmp(mapping->maps[i].name, name) == 0) {
            return &mapping->maps[i];
        }
    }
    return NULL;
}

/* ---- fields ---- */

static void s_read_field(s_load_t *load, s_spot_t spot, const char *name, pr_field_t *field) {
    static const struct {
        const char *word;
        pr_type_t type;
    } types[] = {{"text", PR_TYPE_TEXT}, {"integer", PR_TYPE_INTEGER}, {"real", PR_TYPE_REAL}};

    field->name = s_copy(load, name, strlen(name));
    s_check_identifier(load, spot, "field", name);
    if (!s_is_object(load, spot, "a field")) {
        return;
    }
    s_check_keys(load, spot, "a field", "type, nullable, ignore");
    s_spot_t type = s_typed(load, spot, "a field", "type", true, JSON_STRING, "\"text\", \"integer\" or \"real\"");
    bool known = type.json == NULL;
    for (size_t i = 0; !known && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].word, json_string_value(type.json)) == 0) {
            field->type = types[i].type;
            known = true;
        }
    }
    if (!known) {
        S_MISTAKE(load, type, "\"type\" of a field is \"%s\", expected \"text\", \"integer\" or \"real\"",
                  json_string_value(type.json));
    }
    field->nullable = s_boolean(load, spot, "a field", "nullable");
    s_spot_t ignore = s_typed(load, spot, "a field", "ignore", false, JSON_STRING, "text, the reason");
    if (ignore.json != NULL) {
        field->ignored = s_copy(load, json_string_value(ignore.json), json_string_length(ignore.json));
        if (field->ignored[0] == '\0') {
            S_MISTAKE(load, ignore, "\"ignore\" of a field is empty, expected the reason");
        }
    }
}

/* Returns the spot of the fields, for later mistakes about them. */
static s_spot_t s_read_fields(s_load_t *load, s_spot_t spot, pr_stream_t *stream) {
    s_spot_t fields = s_object(load, spot, "a stream", "fields", true);
    fields = s_not_empty(load, fields, "a stream", "fields", "at least one field");
    const char *name;
    json_t *json;

    stream->fields = s_alloc(load, json_object_size(fields.json), sizeof(*stream->fields));
    json_object_foreach(fields.json, name, json) {
        s_read_field(load, s_member(fields, name), name, &stream->fields[stream->fields_count++]);
    }
    return fields;
}

/* The index of the field that this text names, or -1 with a mistake. */
static int s_field_index(s_load_t *load, const pr_stream_t *stream, s_spot_t spot) {
    const char *name = json_string_value(spot.json);
    int index = pr_stream_field_index(stream, name, strlen(name));
    if (index < 0) {
        pr_suggest_t suggest = pr_suggest_begin(name, strlen(name));
        for (size_t i = 0; i < stream->fields_count; i++) {
            pr_suggest_offer(&suggest, stream->fields[i].name);
        }
        S_MISTAKE(load, spot, "unknown field \"%s\"%s, expected a field of stream \"%s\"", name,
                  pr_suggest_text(&suggest), stream->name);
    }
    return index;
}

/* The same for a member. */
static int s_field_member(s_load_t *load, const pr_stream_t *stream, s_spot_t parent, const char *what, const char *key,
                          bool required) {
    s_spot_t spot = s_typed(load, parent, what, key, required, JSON_STRING, "the name of a field");
    return spot.json == NULL ? -1 : s_field_index(load, stream, spot);
}

/* An array of different names of fields. */
static void s_read_field_list(s_load_t *load, s_spot_t parent, const char *key, pr_stream_t *stream, int **ret_indexes,
                              size_t *ret_count) {
    s_spot_t list = s_typed(load, parent, "a stream", key, true, JSON_ARRAY, "an array of names of fields");
    list = s_not_empty(load, list, "a stream", key, "at least one field");
    size_t count = 0;
    int *indexes = s_alloc(load, json_array_size(list.json), sizeof(*indexes));

    for (size_t i = 0; i < json_array_size(list.json); i++) {
        s_spot_t spot = s_element(list, i);
        if (!json_is_string(spot.json)) {
            S_MISTAKE(load, spot, "an element of \"%s\" is %s, expected the name of a field", key,
                      s_type_name(spot.json));
            continue;
        }
        int index = s_field_index(load, stream, spot);
        for (size_t k = 0; k < count; k++) {
            if (indexes[k] == index) {
                S_MISTAKE(load, spot, "\"%s\" names field \"%s\" twice, expected it once", key,
                          json_string_value(spot.json));
                index = -1;
                break;
            }
        }
        if (index >= 0) {
            indexes[count++] = index;
        }
    }
    *ret_indexes = indexes;
    *ret_count = count;
}

/* ---- columns ---- */

/* What a column is read in. */
typedef struct {
    pr_stream_t *stream;
    size_t row; /* index of its row */
} s_place_t;

static void s_read_constant(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    s_spot_t constant = s_member(spot, "constant");
    (void)place;
    if (!s_scalar(load, constant.json, &column->constant)) {
        S_MISTAKE(load, constant, "\"constant\" of a column is %s, expected text or a number",
                  s_type_name(constant.json));
    }
}

static void s_read_copy(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    column->field = s_field_member(load, place.stream, spot, "a column", "copy", true);
}

static void s_read_map_op(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    s_spot_t name = s_typed(load, spot, "a column", "map", true, JSON_STRING, "the name of a value map");
    if (name.json != NULL) {
        column->map = s_find_map(load->mapping, json_string_value(name.json));
        if (column->map == NULL) {
            S_MISTAKE(load, name, "unknown value map \"%s\", expected one of \"value_maps\"",
                      json_string_value(name.json));
        }
    }
    column->field = s_field_member(load, place.stream, spot, "a column with \"map\"", "from", true);
    if (column->field >= 0 && place.stream->fields[column->field].type != PR_TYPE_TEXT) {
        S_MISTAKE(load, s_member(spot, "from"), "field \"%s\" of a value map is not text, expected a text field",
                  place.stream->fields[column->field].name);
    }
}

static void s_read_parent(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    s_spot_t name = s_typed(load, spot, "a column", "parent", true, JSON_STRING, "the name of an earlier row");
    const pr_stream_t *stream = place.stream;
    if (name.json == NULL) {
        return;
    }
    const char *wanted = json_string_value(name.json);
    for (size_t i = 0; i < place.row; i++) {
        if (strcmp(stream->rows[i].name, wanted) == 0) {
            column->parent = (int)i;
            return;
        }
    }
    for (size_t i = place.row; i < stream->rows_count; i++) {
        if (stream->rows[i].name != NULL && strcmp(stream->rows[i].name, wanted) == 0) {
            S_MISTAKE(load, name, "parent \"%s\" does not come before row \"%s\", expected an earlier row", wanted,
                      stream->rows[place.row].name);
            return;
        }
    }
    S_MISTAKE(load, name, "unknown parent \"%s\", expected the name of an earlier row", wanted);
}

static void s_read_lookup(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    s_spot_t lookup = s_object(load, spot, "a column", "lookup", true);
    if (lookup.json == NULL) {
        return;
    }
    s_check_keys(load, lookup, "\"lookup\"", "table, key, from");
    column->lookup_table = s_table(load, lookup, "\"lookup\"", "table");
    column->lookup_key = s_identifier(load, lookup, "\"lookup\"", "key");
    column->field = s_field_member(load, place.stream, lookup, "\"lookup\"", "from", true);
}

static void s_read_date(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    column->field = s_field_member(load, place.stream, spot, "a column", "date", true);
    if (column->field >= 0 && place.stream->fields[column->field].type != PR_TYPE_TEXT) {
        S_MISTAKE(load, s_member(spot, "date"), "field \"%s\" of a date is not text, expected a text field",
                  place.stream->fields[column->field].name);
    }
}

/* One {field} or {field:address} of a template, without its braces. */
static void s_read_placeholder(s_load_t *load, s_spot_t spot, const pr_stream_t *stream, const char *text, size_t size,
                               pr_template_part_t *part) {
    const char *colon = memchr(text, ':', size);
    size_t name_size = colon != NULL ? (size_t)(colon - text) : size;

    part->field = pr_stream_field_index(stream, text, name_size);
    part->address = colon != NULL;
    if (colon != NULL && (size - name_size != strlen(":address") || memcmp(colon, ":address", size - name_size) != 0)) {
        S_MISTAKE(load, spot, "unknown encoding in {%.*s} of a template, expected {field} or {field:address}",
                  (int)size, text);
    }
    if (part->field < 0) {
        S_MISTAKE(load, spot, "unknown field in {%.*s} of a template, expected a field of stream \"%s\"", (int)size,
                  text, stream->name);
        return;
    }
    pr_type_t type = stream->fields[part->field].type;
    if (part->address && type != PR_TYPE_TEXT) {
        S_MISTAKE(load, spot, "field in {%.*s} of a template is not text, expected a text field", (int)size, text);
    } else if (type == PR_TYPE_REAL) {
        S_MISTAKE(load, spot, "field in {%.*s} of a template is real, expected a text or integer field", (int)size,
                  text);
    }
}

static void s_read_template(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    s_spot_t template = s_text(load, spot, "a column", "template", true);
    if (template.json == NULL) {
        return;
    }
    const char *at = json_string_value(template.json);
    size_t fields = 0;
    column->parts = s_alloc(load, strlen(at) + 1, sizeof(*column->parts)); /* as many as there can be at the most */
    while (*at != '\0') {
        size_t literal = strcspn(at, "{}");
        if (literal > 0) {
            column->parts[column->parts_count++] =
                (pr_template_part_t){.field = -1, .literal = s_copy(load, at, literal), .literal_size = literal};
            at += literal;
            continue;
        }
        size_t inner = *at == '{' ? strcspn(at + 1, "{}") : 0;
        if (*at == '}' || at[1 + inner] != '}') {
            S_MISTAKE(load, template, "stray %c in a template, expected {field} or {field:address}", *at);
            return;
        }
        s_read_placeholder(load, template, place.stream, at + 1, inner, &column->parts[column->parts_count++]);
        fields++;
        at += inner + 2;
    }
    if (fields == 0) {
        S_MISTAKE(load, template,
                  "template without a field, expected {field} or {field:address} in it, or \"constant\"");
    }
}

static const struct {
    const char *key;
    pr_op_t op;
    void (*read)(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column);
} s_ops[] = {
    {"copy", PR_OP_COPY, s_read_copy},
    {"constant", PR_OP_CONSTANT, s_read_constant},
    {"map", PR_OP_MAP, s_read_map_op},
    {"parent", PR_OP_PARENT, s_read_parent},
    {"lookup", PR_OP_LOOKUP, s_read_lookup},
    {"date", PR_OP_DATE, s_read_date},
    {"template", PR_OP_TEMPLATE, s_read_template},
};
enum { S_OPS = sizeof(s_ops) / sizeof(s_ops[0]) };
static const char s_op_names[] = "copy, constant, map, parent, lookup, date, template";

static void s_read_op(s_load_t *load, s_spot_t spot, s_place_t place, pr_column_t *column) {
    size_t first = S_OPS;
    for (size_t i = 0; i < S_OPS; i++) {
        s_spot_t op = s_member(spot, s_ops[i].key);
        if (op.json == NULL) {
            continue;
        }
        if (first < S_OPS) {
            S_MISTAKE(load, op, "column \"%s\" has both \"%s\" and \"%s\", expected one operation", column->name,
                      s_ops[first].key, s_ops[i].key);
            continue;
        }
        first = i;
    }
    if (first == S_OPS) {
        S_MISTAKE(load, spot, "column \"%s\" has no operation, expected one of %s", column->name, s_op_names);
        return;
    }
    column->op = s_ops[first].op;
    s_ops[first].read(load, spot, place, column);
    s_spot_t from = s_member(spot, "from");
    if (from.json != NULL && s_member(spot, "map").json == NULL) {
        S_MISTAKE(load, from, "\"from\" of a column without \"map\", expected it with \"map\" only");
    }
}

static void s_read_column(s_load_t *load, s_spot_t spot, const char *name, s_place_t place, pr_column_t *column) {
    *column = (pr_column_t){.name = s_copy(load, name, strlen(name)), .field = -1, .parent = -1};
    s_check_identifier(load, spot, "column", name);
    if (!s_is_object(load, spot, "a column")) {
        return;
    }
    s_check_keys(load, spot, "a column",
                 "copy, constant, map, from, parent, lookup, date, template, optional, on_update");
    s_read_op(load, spot, place, column);
    column->optional = s_boolean(load, spot, "a column", "optional");
    s_spot_t keep = s_typed(load, spot, "a column", "on_update", false, JSON_STRING, "\"keep\"");
    if (keep.json != NULL) {
        column->keep = strcmp(json_string_value(keep.json), "keep") == 0;
        if (!column->keep) {
            S_MISTAKE(load, keep, "\"on_update\" of a column is \"%s\", expected \"keep\"",
                      json_string_value(keep.json));
        }
    }
}

/* ---- rows ---- */

static pr_column_t *s_find_column(const pr_row_spec_t *row, const char *name) {
    for (size_t i = 0; i < row->columns_count; i++) {
        if (strcmp(row->columns[i].name, name) == 0) {
            return &row->columns[i];
        }
    }
    return NULL;
}

/* Can this column be NULL in a row that is made? */
static bool s_can_be_null(const pr_stream_t *stream, const pr_row_spec_t *row, const pr_column_t *column) {
    if (column->op == PR_OP_COPY || column->op == PR_OP_LOOKUP) {
        return column->field >= 0 && stream->fields[column->field].nullable && column->field != row->if_present;
    }
    if (column->op == PR_OP_PARENT && column->parent >= 0) {
        int condition = stream->rows[column->parent].if_present;
        return condition >= 0 && condition != row->if_present;
    }
    return false;
}

static void s_check_key_column(s_load_t *load, s_spot_t spot, const pr_stream_t *stream, const pr_row_spec_t *row,
                               pr_column_t *column) {
    if (column->key) {
        S_MISTAKE(load, spot, "\"key\" names column \"%s\" twice, expected it once", column->name);
    } else if (column->optional) {
        S_MISTAKE(load, spot, "key column \"%s\" is optional, expected one that every target has", column->name);
    } else if (s_can_be_null(stream, row, column)) {
        S_MISTAKE(load, spot, "key column \"%s\" can be NULL, expected one that cannot", column->name);
    }
    column->key = true;
}

static void s_read_row_key(s_load_t *load, s_spot_t spot, const pr_stream_t *stream, pr_row_spec_t *row) {
    s_spot_t key = s_typed(load, spot, "a row", "key", true, JSON_ARRAY, "an array of names of columns");
    key = s_not_empty(load, key, "a row", "key", "at least one column");
    for (size_t i = 0; i < json_array_size(key.json); i++) {
        s_spot_t name = s_element(key, i);
        if (!json_is_string(name.json)) {
            S_MISTAKE(load, name, "an element of \"key\" is %s, expected the name of a column", s_type_name(name.json));
            continue;
        }
        pr_column_t *column = s_find_column(row, json_string_value(name.json));
        if (column == NULL) {
            S_MISTAKE(load, name, "key column \"%s\" is no column of row \"%s\", expected one of its columns",
                      json_string_value(name.json), row->name);
            continue;
        }
        s_check_key_column(load, name, stream, row, column);
    }
}

static void s_read_found_through(s_load_t *load, s_spot_t spot, const pr_stream_t *stream, pr_row_spec_t *row) {
    s_spot_t through = s_object(load, spot, "a row", "found_through", false);
    if (through.json == NULL) {
        return;
    }
    s_check_keys(load, through, "\"found_through\"", "table, key, from, column");
    row->through_table = s_table(load, through, "\"found_through\"", "table");
    row->through_key = s_identifier(load, through, "\"found_through\"", "key");
    row->through_field = s_field_member(load, stream, through, "\"found_through\"", "from", true);
    row->through_column = s_identifier(load, through, "\"found_through\"", "column");
}

static void s_read_row(s_load_t *load, s_spot_t spot, pr_stream_t *stream, size_t index) {
    static const char *const modes[2] = {"upsert", "ensure"};
    pr_row_spec_t *row = &stream->rows[index];
    const char *name;
    json_t *json;

    s_check_keys(load, spot, "a row", "name, table, mode, key, if_present, found_through, columns");
    row->table = s_table(load, spot, "a row", "table");
    row->mode = s_choice(load, spot, "a row", "mode", true, modes) == 0 ? PR_MODE_UPSERT : PR_MODE_ENSURE;
    row->if_present = s_field_member(load, stream, spot, "a row", "if_present", false);
    if (row->if_present >= 0 && !stream->fields[row->if_present].nullable) {
        S_MISTAKE(load, s_member(spot, "if_present"),
                  "field \"%s\" of \"if_present\" is never NULL, expected a nullable one",
                  stream->fields[row->if_present].name);
    }
    s_read_found_through(load, spot, stream, row);
    s_spot_t columns = s_object(load, spot, "a row", "columns", true);
    columns = s_not_empty(load, columns, "a row", "columns", "at least one column");
    row->columns = s_alloc(load, json_object_size(columns.json), sizeof(*row->columns));
    json_object_foreach(columns.json, name, json) {
        s_place_t place = {.stream = stream, .row = index};
        s_read_column(load, s_member(columns, name), name, place, &row->columns[row->columns_count++]);
    }
    s_read_row_key(load, spot, stream, row);
}

/* Names first, so that a parent that comes too late can be told from one that does not exist. */
static void s_read_row_names(s_load_t *load, s_spot_t rows, pr_stream_t *stream) {
    for (size_t i = 0; i < stream->rows_count; i++) {
        s_spot_t spot = s_element(rows, i);
        stream->rows[i] = (pr_row_spec_t){.if_present = -1, .through_field = -1};
        if (!s_is_object(load, spot, "a row")) {
            stream->rows[i].name = s_copy(load, "", 0);
            stream->rows[i].table = s_copy(load, "", 0);
            continue;
        }
        char *name = s_identifier(load, spot, "a row", "name");
        for (size_t k = 0; name[0] != '\0' && k < i; k++) {
            if (strcmp(stream->rows[k].name, name) == 0) {
                S_MISTAKE(load, s_member(spot, "name"), "two rows are named \"%s\", expected different names", name);
                break;
            }
        }
        stream->rows[i].name = name;
    }
}

static void s_read_rows(s_load_t *load, s_spot_t spot, pr_stream_t *stream) {
    s_spot_t rows = s_typed(load, spot, "a stream", "rows", true, JSON_ARRAY, "an array of rows");
    rows = s_not_empty(load, rows, "a stream", "rows", "at least one row");
    bool always = json_array_size(rows.json) == 0;

    stream->rows_count = json_array_size(rows.json);
    stream->rows = s_alloc(load, stream->rows_count, sizeof(*stream->rows));
    s_read_row_names(load, rows, stream);
    for (size_t i = 0; i < stream->rows_count; i++) {
        if (json_is_object(s_element(rows, i).json)) {
            s_read_row(load, s_element(rows, i), stream, i);
        }
        always = always || stream->rows[i].if_present < 0;
    }
    if (!always) {
        S_MISTAKE(load, rows, "every row of stream \"%s\" has \"if_present\", expected one that is always made",
                  stream->name);
    }
}

/* ---- use of fields ---- */

static bool s_row_carries(const pr_row_spec_t *row, int field) {
    for (size_t i = 0; i < row->columns_count; i++) {
        const pr_column_t *column = &row->columns[i];
        if (column->field == field) {
            return true;
        }
        for (size_t k = 0; k < column->parts_count; k++) {
            if (column->parts[k].field == field) {
                return true;
            }
        }
    }
    return false;
}

/* Every field is either carried over by a column or ignored for a reason. */
static void s_check_use(s_load_t *load, s_spot_t fields, const pr_stream_t *stream) {
    for (size_t i = 0; i < stream->fields_count; i++) {
        const pr_field_t *field = &stream->fields[i];
        bool carried = false;
        for (size_t k = 0; !carried && k < stream->rows_count; k++) {
            carried = s_row_carries(&stream->rows[k], (int)i);
        }
        if (carried && field->ignored != NULL) {
            S_MISTAKE(load, s_member(fields, field->name),
                      "field \"%s\" is ignored and used by a column, expected one of both", field->name);
        } else if (!carried && field->ignored == NULL) {
            S_MISTAKE(load, s_member(fields, field->name),
                      "field \"%s\" is neither used nor ignored, expected a column that uses it, or \"ignore\"",
                      field->name);
        }
    }
}

static void s_check_stream_key(s_load_t *load, s_spot_t spot, const pr_stream_t *stream) {
    for (size_t i = 0; i < stream->key_count; i++) {
        const pr_field_t *field = &stream->fields[stream->key[i]];
        if (field->nullable) {
            S_MISTAKE(load, s_member(spot, "key"), "key field \"%s\" is nullable, expected one that is never NULL",
                      field->name);
        }
    }
}

/* ---- what streams declare about themselves ---- */

static void s_declare_nothing(pr_stream_t *stream) {
    stream->distribution_by = stream->distribution_of = -1;
    stream->position_in = stream->position_group = stream->position_place = -1;
    stream->declares =
        (pr_declares_t){.stream = -1, .by = -1, .children_by = -1, .total = -1, .groups = -1, .per_group = -1};
}

/*  A member that names a field which groups records: it makes the groups' names, so it is never NULL, and exact. The row
 *  of the stream that copies it is where the target shows the groups. */
static int s_group_member(s_load_t *load, const pr_stream_t *stream, s_spot_t parent, const char *what,
                          const char *key) {
    int index = s_field_member(load, stream, parent, what, key, true);
    s_spot_t spot = s_member(parent, key);
    if (index < 0) {
        return -1;
    }
    const pr_field_t *field = &stream->fields[index];
    if (field->nullable || field->type == PR_TYPE_REAL) {
        S_MISTAKE(load, spot, "\"%s\" of %s is field \"%s\", expected a text or integer field that is never NULL", key,
                  what, field->name);
        return -1;
    }
    if (pr_stream_row_by(stream, index) == NULL) {
        S_MISTAKE(load, spot,
                  "no row holds field \"%s\" of %s, expected a row of mode \"upsert\" without \"if_present\" or "
                  "\"found_through\" that copies it to a column that is not optional",
                  field->name, what);
        return -1;
    }
    return index;
}

/* A member that names an integer field which `row` copies. row NULL: there was a mistake already. */
static int s_count_member(s_load_t *load, const pr_stream_t *stream, const pr_row_spec_t *row, s_spot_t parent,
                          const char *what, const char *key, bool required) {
    int index = s_field_member(load, stream, parent, what, key, required);
    s_spot_t spot = s_member(parent, key);
    if (index >= 0 && stream->fields[index].type != PR_TYPE_INTEGER) {
        S_MISTAKE(load, spot, "\"%s\" of %s is field \"%s\", expected an integer field", key, what,
                  stream->fields[index].name);
        return -1;
    }
    if (index >= 0 && row != NULL && pr_row_copy_of(row, index) == NULL) {
        S_MISTAKE(load, spot,
                  "row \"%s\" does not hold field \"%s\" of %s, expected a column, not optional, that copies it",
                  row->name, stream->fields[index].name, what);
        return -1;
    }
    return index;
}

/* Does a column of the row hold the field, as it is or through a value map? */
static bool s_row_shows(const pr_row_spec_t *row, int field) {
    for (size_t i = 0; i < row->columns_count; i++) {
        const pr_column_t *column = &row->columns[i];
        if (column->field == field && (column->op == PR_OP_COPY || column->op == PR_OP_MAP)) {
            return true;
        }
    }
    return false;
}

static void s_read_distribution(s_load_t *load, s_spot_t spot, pr_stream_t *stream) {
    static const char what[] = "\"distribution\"";
    s_spot_t distribution = s_object(load, spot, "a stream", "distribution", false);
    if (distribution.json == NULL) {
        return;
    }
    s_check_keys(load, distribution, what, "by, of");
    int by = s_group_member(load, stream, distribution, what, "by");
    int of = s_field_member(load, stream, distribution, what, "of", true);
    if (by >= 0 && of >= 0 && !s_row_shows(pr_stream_row_by(stream, by), of)) {
        S_MISTAKE(load, s_member(distribution, "of"),
                  "row \"%s\" does not hold field \"%s\" of %s, expected a column that copies or maps it",
                  pr_stream_row_by(stream, by)->name, stream->fields[of].name, what);
    }
    stream->distribution_by = by;
    stream->distribution_of = of;
}

static void s_read_position(s_load_t *load, s_spot_t spot, pr_stream_t *stream) {
    static const char what[] = "\"position\"";
    s_spot_t position = s_object(load, spot, "a stream", "position", false);
    if (position.json == NULL) {
        return;
    }
    s_check_keys(load, position, what, "in, group, place");
    stream->position_in = s_group_member(load, stream, position, what, "in");
    const pr_row_spec_t *row = stream->position_in >= 0 ? pr_stream_row_by(stream, stream->position_in) : NULL;
    stream->position_group = s_count_member(load, stream, row, position, what, "group", true);
    stream->position_place = s_count_member(load, stream, row, position, what, "place", true);
    if (s_member(spot, "distribution").json == NULL) {
        S_MISTAKE(load, position, "%s of a stream without \"distribution\", expected both", what);
    } else if (stream->position_in >= 0 && stream->distribution_by >= 0 &&
               stream->position_in != stream->distribution_by) {
        S_MISTAKE(
            load, s_member(position, "in"),
            "\"in\" of %s is field \"%s\" and \"by\" of \"distribution\" is field \"%s\", expected the same field",
            what, stream->fields[stream->position_in].name, stream->fields[stream->distribution_by].name);
    }
}

/* The later stream that "children" names: its index, or -1 with a mistake. */
static int s_children_stream(s_load_t *load, s_spot_t declares, size_t index) {
    const pr_mapping_t *mapping = load->mapping;
    s_spot_t name =
        s_typed(load, declares, "\"declares\"", "children", true, JSON_STRING, "the name of a later stream");
    if (name.json == NULL) {
        return -1;
    }
    int children = pr_mapping_stream_index(mapping, json_string_value(name.json));
    if (children <= (int)index) {
        S_MISTAKE(load, name, "\"children\" of \"declares\" is \"%s\", expected the name of a later stream",
                  json_string_value(name.json));
        return -1;
    }
    const pr_stream_t *stream = &mapping->streams[children];
    if (stream->distribution_by < 0) {
        S_MISTAKE(load, name,
                  "stream \"%s\" of \"declares\" has no \"distribution\", expected one, which tells what its records "
                  "belong to",
                  stream->name);
        return -1;
    }
    return children;
}

/* When all streams are there: children come after their parents. */
static void s_read_declares(s_load_t *load, s_spot_t spot, size_t index) {
    static const char what[] = "\"declares\"";
    pr_stream_t *stream = &load->mapping->streams[index];
    s_spot_t declares = s_object(load, spot, "a stream", "declares", false);
    if (declares.json == NULL) {
        return;
    }
    s_check_keys(load, declares, what, "children, by, total, groups, per_group");
    int children = s_children_stream(load, declares, index);
    int by = s_group_member(load, stream, declares, what, "by");
    const pr_row_spec_t *row = by >= 0 ? pr_stream_row_by(stream, by) : NULL;
    stream->declares = (pr_declares_t){
        .stream = children,
        .by = by,
        .children_by = -1,
        .total = s_count_member(load, stream, row, declares, what, "total", false),
        .groups = s_count_member(load, stream, row, declares, what, "groups", false),
        .per_group = s_count_member(load, stream, row, declares, what, "per_group", false),
    };
    if (by >= 0 && stream->distribution_by >= 0 && by != stream->distribution_by) {
        S_MISTAKE(
            load, s_member(declares, "by"),
            "\"by\" of %s is field \"%s\" and \"by\" of \"distribution\" is field \"%s\", expected the same field",
            what, stream->fields[by].name, stream->fields[stream->distribution_by].name);
    }
    if (children < 0) {
        return;
    }
    const pr_stream_t *child = &load->mapping->streams[children];
    stream->declares.children_by = child->distribution_by;
    if (by >= 0 && child->fields[stream->declares.children_by].type != stream->fields[by].type) {
        S_MISTAKE(load, s_member(declares, "by"),
                  "field \"%s\" of %s has another type than field \"%s\" of stream \"%s\", expected the same type",
                  stream->fields[by].name, what, child->fields[stream->declares.children_by].name, child->name);
    }
    if (child->position_in < 0 && (stream->declares.groups >= 0 || stream->declares.per_group >= 0)) {
        S_MISTAKE(load, declares,
                  "stream \"%s\" has no \"position\", expected one for \"groups\" and \"per_group\" of %s", child->name,
                  what);
    }
}

/* ---- streams ---- */

static void s_read_stream(s_load_t *load, s_spot_t spot, pr_stream_t *stream) {
    static const char *const policies[2] = {"reject", "warn"};

    s_check_keys(load, spot, "a stream",
                 "name, recognise, key, unknown_fields, distribution, position, declares, fields, rows");
    s_declare_nothing(stream);
    stream->name = s_identifier(load, spot, "a stream", "name");
    if (stream->name[0] != '\0' && pr_mapping_stream_index(load->mapping, stream->name) >= 0) {
        S_MISTAKE(load, s_member(spot, "name"), "two streams are named \"%s\", expected different names", stream->name);
    }
    s_spot_t fields = s_read_fields(load, spot, stream);
    s_read_field_list(load, spot, "recognise", stream, &stream->recognise, &stream->recognise_count);
    s_read_field_list(load, spot, "key", stream, &stream->key, &stream->key_count);
    s_check_stream_key(load, spot, stream);
    stream->unknown_fields_warn = s_choice(load, spot, "a stream", "unknown_fields", false, policies) == 1;
    s_read_rows(load, spot, stream);
    if (stream->rows_count > 0) {
        s_check_use(load, fields, stream);
    }
    s_read_distribution(load, spot, stream);
    s_read_position(load, spot, stream);
}

static void s_read_streams(s_load_t *load, s_spot_t root) {
    pr_mapping_t *mapping = load->mapping;
    s_spot_t streams = s_typed(load, root, "the mapping", "streams", true, JSON_ARRAY, "an array of streams");
    streams = s_not_empty(load, streams, "the mapping", "streams", "at least one stream");

    mapping->streams = s_alloc(load, json_array_size(streams.json), sizeof(*mapping->streams));
    for (size_t i = 0; i < json_array_size(streams.json); i++) {
        if (s_is_object(load, s_element(streams, i), "a stream")) {
            s_read_stream(load, s_element(streams, i), &mapping->streams[mapping->streams_count]);
            mapping->streams_count++;
        }
    }
    for (size_t i = 0, at = 0; i < json_array_size(streams.json); i++) {
        if (json_is_object(s_element(streams, i).json)) {
            s_read_declares(load, s_element(streams, i), at++);
        }
    }
}

/* ---- derived columns ---- */

static bool s_rows_have(const pr_mapping_t *mapping, const char *table, const char *column) {
    for (size_t i = 0; i < mapping->streams_count; i++) {
        for (size_t k = 0; k < mapping->streams[i].rows_count; k++) {
            const pr_row_spec_t *row = &mapping->streams[i].rows[k];
            if (strcmp(row->table, table) == 0 && (column == NULL || s_find_column(row, column) != NULL)) {
                return true;
            }
        }
    }
    return false;
}

static void s_check_made(s_load_t *load, s_spot_t spot, const char *table, const char *column) {
    if (table[0] != '\0' && !s_rows_have(load->mapping, table, NULL)) {
        if (column == NULL) {
            S_MISTAKE(load, spot, "table \"%s\" is made by no row, expected the table of a row", table);
        }
    } else if (table[0] != '\0' && column != NULL && !s_rows_have(load->mapping, table, column)) {
        S_MISTAKE(load, spot, "column \"%s\" of table \"%s\" is made by no row, expected a column of a row", column,
                  table);
    }
}

static void s_read_except(s_load_t *load, s_spot_t percent, pr_derived_t *derived) {
    s_spot_t except = s_object(load, percent, "\"percent\"", "except", true);
    derived->except_column = s_copy(load, "", 0);
    if (except.json == NULL) {
        return;
    }
    if (json_object_size(except.json) != 1) {
        S_MISTAKE(load, except, "\"except\" of \"percent\" has %zu members, expected one column with its value",
                  json_object_size(except.json));
        return;
    }
    const char *column = json_object_iter_key(json_object_iter(except.json));
    s_spot_t value = s_member(except, column);
    derived->except_column = s_copy(load, column, strlen(column));
    s_check_identifier(load, value, "column", column);
    s_check_made(load, value, derived->child_table, column);
    if (!s_scalar(load, value.json, &derived->except_value)) {
        S_MISTAKE(load, value, "\"%s\" of \"except\" is %s, expected text or a number", column,
                  s_type_name(value.json));
    }
}

static void s_read_derived(s_load_t *load, s_spot_t spot, pr_derived_t *derived) {
    s_check_keys(load, spot, "a derived column", "table, column, percent");
    derived->table = s_table(load, spot, "a derived column", "table");
    s_check_made(load, s_member(spot, "table"), derived->table, NULL);
    derived->column = s_identifier(load, spot, "a derived column", "column");
    if (s_rows_have(load->mapping, derived->table, derived->column)) {
        S_MISTAKE(load, s_member(spot, "column"),
                  "column \"%s\" of table \"%s\" is derived and made by a row, expected one of both", derived->column,
                  derived->table);
    }
    s_spot_t percent = s_object(load, spot, "a derived column", "percent", true);
    if (percent.json == NULL) {
        return;
    }
    s_check_keys(load, percent, "\"percent\"", "children, by, except");
    derived->child_table = s_table(load, percent, "\"percent\"", "children");
    s_check_made(load, s_member(percent, "children"), derived->child_table, NULL);
    derived->child_column = s_identifier(load, percent, "\"percent\"", "by");
    if (derived->child_column[0] != '\0') {
        s_check_made(load, s_member(percent, "by"), derived->child_table, derived->child_column);
    }
    s_read_except(load, percent, derived);
}

static void s_read_derived_all(s_load_t *load, s_spot_t root) {
    pr_mapping_t *mapping = load->mapping;
    s_spot_t list = s_typed(load, root, "the mapping", "derived", false, JSON_ARRAY, "an array of derived columns");

    mapping->derived = s_alloc(load, json_array_size(list.json), sizeof(*mapping->derived));
    for (size_t i = 0; i < json_array_size(list.json); i++) {
        if (s_is_object(load, s_element(list, i), "a derived column")) {
            s_read_derived(load, s_element(list, i), &mapping->derived[mapping->derived_count++]);
        }
    }
}

/* ---- the whole ---- */

static void s_read_root(s_load_t *load, s_spot_t root) {
    if (!s_is_object(load, root, "the mapping")) {
        return;
    }
    s_check_keys(load, root, "the mapping", "pvrelay_mapping, name, value_maps, streams, derived");
    s_spot_t version = s_typed(load, root, "the mapping", "pvrelay_mapping", true, JSON_INTEGER, "the version, 1");
    if (version.json != NULL && json_integer_value(version.json) != 1) {
        S_MISTAKE(load, version, "\"pvrelay_mapping\" of the mapping is %lld, expected the version, 1",
                  (long long)json_integer_value(version.json));
    }
    s_spot_t name = s_text(load, root, "the mapping", "name", true);
    if (name.json != NULL) {
        if (json_string_length(name.json) == 0) {
            S_MISTAKE(load, name, "\"name\" of the mapping is empty, expected text");
        }
        load->mapping->name = s_copy(load, json_string_value(name.json), json_string_length(name.json));
    }
    s_read_maps(load, root);
    s_read_streams(load, root);
    s_read_derived_all(load, root);
}

/* The line of the first NUL byte, 0 if there is none. */
static int s_nul_line(const char *text, size_t size) {
    int line = 1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0') {
            return line;
        }
        line += text[i] == '\n';
    }
    return 0;
}

/* Every value that one map knows must be known to the other: a record with it would be rejected for the other's sake. */
static void s_check_map_knows(s_load_t *load, const pr_line_node_t *maps, const pr_stream_t *stream, int field,
                              const pr_value_map_t *map, const pr_value_map_t *other) {
    for (size_t i = 0; i < map->count; i++) {
        const pr_value_t *from = &map->entries[i].from;
        if (pr_value_map_get(other, from->text.data, from->text.size) == NULL) {
            const pr_line_node_t *at = maps != NULL ? pr_line_member(maps, other->name) : NULL;
            pr_lint_add(&load->lint, at != NULL ? at->line : 0,
                        "the value map \"%s\" lacks \"%.*s\", which \"%s\" knows, for the same field \"%s\" of stream "
                        "\"%s\"; expected both to know it, or none",
                        other->name, (int)from->text.size, from->text.data, map->name, stream->fields[field].name,
                        stream->name);
        }
    }
}

/* The map of the first column that takes a field through one, and every other one, know the same values. */
static void s_check_maps_agree(s_load_t *load, const pr_line_node_t *root) {
    const pr_line_node_t *maps = pr_line_member(root, "value_maps");
    for (size_t s = 0; s < load->mapping->streams_count; s++) {
        const pr_stream_t *stream = &load->mapping->streams[s];
        const pr_value_map_t **first = pr_xcalloc(stream->fields_count + 1, sizeof *first);
        for (size_t r = 0; r < stream->rows_count; r++) {
            for (size_t c = 0; c < stream->rows[r].columns_count; c++) {
                const pr_column_t *column = &stream->rows[r].columns[c];
                if (column->op != PR_OP_MAP || column->map == NULL || column->field < 0) {
                    continue;
                }
                if (first[column->field] == NULL) {
                    first[column->field] = column->map;
                } else if (first[column->field] != column->map) {
                    s_check_map_knows(load, maps, stream, column->field, first[column->field], column->map);
                    s_check_map_knows(load, maps, stream, column->field, column->map, first[column->field]);
                }
            }
        }
        free((void *)first);
    }
}

static void s_read_text(s_load_t *load, const char *text, size_t size) {
    json_error_t error;
    int nul_line = s_nul_line(text, size);
    /* Between two tokens jansson reads over it. The index of lines does not, and the two must agree. */
    if (nul_line > 0) {
        pr_lint_add(&load->lint, nul_line, "not valid JSON: a NUL byte, expected a JSON object");
        return;
    }
    json_t *json = json_loadb(text, size, JSON_DECODE_ANY, &error);
    if (json == NULL) {
        int line = error.line > 0 ? error.line : 0;
        const char *slip = error.position > 0 ? pr_suggest_json(text, size, (size_t)error.position, &line) : NULL;
        pr_lint_add(&load->lint, line, "not valid JSON: %s, expected a JSON object", slip != NULL ? slip : error.text);
        return;
    }
    pr_line_node_t *lines = pr_line_index_new(text, size);
    pr_lint_duplicate_keys(&load->lint, lines);
    s_read_root(load, (s_spot_t){.json = json, .at = lines});
    if (load->lint.count == 0) { /* else it may be half there */
        s_check_maps_agree(load, lines);
    }
    pr_line_index_destroy(&lines);
    json_decref(json);
}

int pr_mapping_parse(const char *path, const char *text, size_t size, pr_mapping_mistake_fn *report, void *context,
                     pr_mapping_t **ret_mapping, pr_error_t *err) {
    s_load_t load = {.mapping = pr_xcalloc(1, sizeof(pr_mapping_t))};
    int rc = 0;

    load.mapping->path = s_copy(&load, path, strlen(path));
    load.mapping->digest = XXH3_64bits(text, size);
    load.mapping->text = s_copy(&load, text, size);
    load.mapping->text_bytes = size;
    s_read_text(&load, text, size);
    pr_lint_sort(&load.lint);
    for (size_t i = 0; report != NULL && i < load.lint.count; i++) {
        report(context, &load.lint.mistakes[i]);
    }
    if (load.lint.count > 0) {
        rc = pr_error_set(err, PR_E_MAPPING, "%s:%d: %s", path, load.lint.mistakes[0].line, load.lint.mistakes[0].text);
        pr_mapping_destroy(&load.mapping);
    } else {
        *ret_mapping = load.mapping;
    }
    pr_lint_clear(&load.lint);
    return rc;
}

/* Read a file of modest size whole. *Returns new* in ret_text. */
static int s_read_file(const char *path, char **ret_text, size_t *ret_size, pr_error_t *err) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, got;
    int rc = 0;

    if (file == NULL) {
        return pr_error_set(err, PR_E_CONFIG, "%s: the mapping cannot be read: %s", path, strerror(errno));
    }
    do {
        text = pr_xrealloc(text, size + 65536);
        got = fread(text + size, 1, 65536, file);
        size += got;
    } while (got > 0 && size <= S_FILE_MAX_BYTES);
    if (ferror(file)) {
        rc = pr_error_set(err, PR_E_CONFIG, "%s: the mapping cannot be read: %s", path, strerror(errno));
    } else if (size > S_FILE_MAX_BYTES) {
        rc = pr_error_set(err, PR_E_CONFIG, "%s: the mapping cannot be read: it is larger than %zu bytes", path,
                          S_FILE_MAX_BYTES);
    }
    fclose(file);
    if (rc != 0) {
        free(text);
        return rc;
    }
    *ret_text = text;
    *ret_size = size;
    return 0;
}

int pr_mapping_load(const char *path, pr_mapping_mistake_fn *report, void *context, pr_mapping_t **ret_mapping,
                    pr_error_t *err) {
    char *text = NULL;
    size_t size = 0;
    int rc = s_read_file(path, &text, &size, err);
    if (rc == 0) {
        rc = pr_mapping_parse(path, text, size, report, context, ret_mapping, err);
        free(text);
    }
    return rc;
}

void pr_mapping_destroy(pr_mapping_t **mapping) {
    if (*mapping == NULL) {
        return;
    }
    s_block_t *block = (*mapping)->arena;
    while (block != NULL) {
        s_block_t *next = block->next;
        free(block);
        block = next;
    }
    free(*mapping);
    *mapping = NULL;
}

/* ---- questions ---- */

int pr_mapping_stream_index(const pr_mapping_t *mapping, const char *name) {
    for (size_t i = 0; i < mapping->streams_count; i++) {
        if (strcmp(mapping->streams[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const pr_column_t *pr_row_copy_of(const pr_row_spec_t *row, int field) {
    for (size_t i = 0; i < row->columns_count; i++) {
        const pr_column_t *column = &row->columns[i];
        if (column->op == PR_OP_COPY && column->field == field && !column->optional) {
            return column;
        }
    }
    return NULL;
}

/* Is it always made, of mode upsert, and found by its own key? */
static bool s_is_always_own(const pr_row_spec_t *row) {
    return row->mode == PR_MODE_UPSERT && row->if_present < 0 && row->through_table == NULL;
}

const pr_row_spec_t *pr_stream_row_by(const pr_stream_t *stream, int by) {
    for (size_t i = 0; i < stream->rows_count; i++) {
        const pr_row_spec_t *row = &stream->rows[i];
        if (s_is_always_own(row) && pr_row_copy_of(row, by) != NULL) {
            return row;
        }
    }
    return NULL;
}

int pr_stream_tallied_by(const pr_stream_t *stream) {
    if (stream->distribution_by >= 0) {
        return stream->distribution_by;
    }
    return stream->declares.stream >= 0 ? stream->declares.by : -1;
}

const pr_row_spec_t *pr_stream_own_row(const pr_stream_t *stream) {
    int by = pr_stream_tallied_by(stream);
    if (by >= 0) {
        return pr_stream_row_by(stream, by);
    }
    for (size_t i = stream->rows_count; i > 0; i--) {
        if (s_is_always_own(&stream->rows[i - 1])) {
            return &stream->rows[i - 1];
        }
    }
    return NULL;
}

int pr_stream_field_index(const pr_stream_t *stream, const char *name, size_t size) {
    for (size_t i = 0; i < stream->fields_count; i++) {
        const char *own = stream->fields[i].name;
        if (strlen(own) == size && (size == 0 || memcmp(own, name, size) == 0)) {
            return (int)i;
        }
    }
    return -1;
}

static bool s_is_among(const char *name, const char *const *names, const size_t *sizes, size_t count) {
    size_t size = strlen(name);
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] == size && memcmp(names[i], name, size) == 0) {
            return true;
        }
    }
    return false;
}

int pr_mapping_recognise(const pr_mapping_t *mapping, const char *const *names, const size_t *sizes, size_t count) {
    for (size_t i = 0; i < mapping->streams_count; i++) {
        const pr_stream_t *stream = &mapping->streams[i];
        size_t found = 0;
        while (found < stream->recognise_count &&
               s_is_among(stream->fields[stream->recognise[found]].name, names, sizes, count)) {
            found++;
        }
        if (found == stream->recognise_count) {
            return (int)i;
        }
    }
    return -1;
}

const pr_value_t *pr_value_map_get(const pr_value_map_t *map, const char *text, size_t size) {
    for (size_t i = 0; i < map->count; i++) {
        const pr_value_t *from = &map->entries[i].from;
        if (from->text.size == size && (size == 0 || memcmp(from->text.data, text, size) == 0)) {
            return &map->entries[i].to;
        }
    }
    return NULL;
}
