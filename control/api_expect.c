/* SPDX-License-Identifier: MIT */
/* What the HUB's API must show of exports. */
#include "control/api_expect.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/json_record.h"
#include "common/sql_has.h"
#include "control/ledger.h"

enum { s_range_bytes = 1 << 20, s_block_bytes = 1 << 20 };

static const char S_SQL_REJECTS[] = "SELECT j.raw FROM pvrelay_reject j JOIN pvrelay_run r ON r.run = j.run"
                                    " WHERE j.retried_by IS NULL";
static const char S_SQL_NOT_TAKEN_BACK[] = " AND r.rolled_back_at IS NULL";

/* Text is copied into blocks, which are given back all at once. */
typedef struct s_block {
    struct s_block *next;
    size_t used, size;
    char data[];
} s_block_t;

typedef struct {
    s_block_t *blocks;
    size_t *index; /* hash table of groups: index + 1; 0: free */
    size_t index_size;
    uint64_t *rejects; /* XXH3-64 of the rejected records' bytes, sorted */
    size_t rejects_count;
} s_state_t;

/* ---- values ---- */

static const char *s_keep(s_state_t *state, const char *data, size_t size) {
    s_block_t *block = state->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > s_block_bytes ? size : s_block_bytes;
        block = pr_xmalloc(sizeof *block + room);
        block->next = state->blocks;
        block->used = 0;
        block->size = room;
        state->blocks = block;
    }
    char *copy = block->data + block->used;
    memcpy(copy, data, size);
    block->used += size;
    return copy;
}

static pr_value_t s_copy(s_state_t *state, const pr_value_t *value) {
    return value->kind == PR_TEXT ? pr_value_text(s_keep(state, value->text.data, value->text.size), value->text.size)
                                  : *value;
}

/* Any order will do, as long as equal values stand together. */
static int s_compare(const pr_value_t *a, const pr_value_t *b) {
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == PR_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->kind == PR_REAL)
        return (a->real > b->real) - (a->real < b->real);
    if (a->kind != PR_TEXT)
        return 0;
    size_t size = a->text.size < b->text.size ? a->text.size : b->text.size;
    int order = memcmp(a->text.data, b->text.data, size);
    return order != 0 ? order : (a->text.size > b->text.size) - (a->text.size < b->text.size);
}

static uint64_t s_hash(const pr_value_t *value) {
    if (value->kind == PR_TEXT)
        return XXH3_64bits(value->text.data, value->text.size);
    return value->kind == PR_INTEGER ? XXH3_64bits(&value->integer, sizeof value->integer) : 0;
}

/* ---- groups ---- */

static size_t *s_slot(const pr_api_expect_t *self, const pr_value_t *key) {
    const s_state_t *state = self->state;
    size_t at = (size_t)s_hash(key) & (state->index_size - 1);
    while (state->index[at] != 0 && s_compare(&self->groups[state->index[at] - 1].key, key) != 0)
        at = (at + 1) & (state->index_size - 1);
    return &state->index[at];
}

static void s_grow_index(pr_api_expect_t *self) {
    s_state_t *state = self->state;
    free(state->index);
    state->index_size = state->index_size > 0 ? state->index_size * 2 : 64;
    state->index = pr_xcalloc(state->index_size, sizeof *state->index);
    for (size_t i = 0; i < self->groups_count; i++)
        *s_slot(self, &self->groups[i].key) = i + 1;
}

static pr_api_group_t *s_group(pr_api_expect_t *self, const pr_value_t *key) {
    s_state_t *state = self->state;
    if (self->groups_count * 2 >= state->index_size)
        s_grow_index(self);
    size_t *slot = s_slot(self, key);
    if (*slot != 0)
        return &self->groups[*slot - 1];
    if ((self->groups_count & (self->groups_count - 1)) == 0) /* room doubles at powers of two */
        self->groups = pr_xrealloc(self->groups, (self->groups_count + 1) * 2 * sizeof *self->groups);
    *slot = self->groups_count + 1;
    pr_api_group_t *group = &self->groups[self->groups_count++];
    *group = (pr_api_group_t){.key = s_copy(state, key)};
    return group;
}

pr_api_group_t *pr_api_expect_find(const pr_api_expect_t *expect, const pr_value_t *key) {
    const s_state_t *state = expect->state;
    if (state->index_size == 0)
        return NULL;
    size_t slot = *s_slot(expect, key);
    return slot == 0 ? NULL : &expect->groups[slot - 1];
}

static void s_add_group(pr_api_expect_t *self, const pr_value_t *values, bool optional, pr_api_place_t place) {
    if (values[self->group_key].kind == PR_NULL)
        return;
    pr_api_group_t *group = s_group(self, &values[self->group_key]);
    if (group->known && optional && !group->optional)
        return; /* the record that was taken over stands, whatever was rejected beside it */
    group->known = true;
    group->optional = optional;
    group->place = place;
    if (group->fields == NULL)
        group->fields = pr_xcalloc(self->shown_count + 1, sizeof *group->fields);
    for (size_t i = 0; i < self->shown_count; i++)
        group->fields[i] = s_copy(self->state, &values[self->shown[i]]);
}

static void s_add_member(pr_api_expect_t *self, const pr_value_t *values, bool optional, pr_api_place_t place) {
    if (values[self->member_group].kind == PR_NULL || values[self->member_key].kind == PR_NULL)
        return;
    pr_api_group_t *group = s_group(self, &values[self->member_group]);
    size_t count = group->members_count;
    if ((count & (count - 1)) == 0)
        group->members = pr_xrealloc(group->members, (count > 0 ? count * 2 : 1) * sizeof *group->members);
    group->members[group->members_count++] = (pr_api_member_t){
        .key = s_copy(self->state, &values[self->member_key]),
        .status = self->member_status >= 0 ? s_copy(self->state, &values[self->member_status]) : pr_value_null(),
        .optional = optional,
        .place = place};
}

void pr_api_expect_add(pr_api_expect_t *expect, const pr_stream_t *stream, const pr_value_t *values, bool optional,
                       pr_api_place_t place) {
    if (stream == expect->groups_of)
        s_add_group(expect, values, optional, place);
    else
        s_add_member(expect, values, optional, place);
}

/* By key; of one key those that may be missing first, then in the order of the exports: the last one is what counts. */
static int s_order(const void *a, const void *b) {
    const pr_api_member_t *one = a;
    const pr_api_member_t *other = b;
    int order = s_compare(&one->key, &other->key);
    if (order != 0)
        return order;
    if (one->optional != other->optional)
        return one->optional ? -1 : 1;
    if (one->place.source != other->place.source)
        return one->place.source < other->place.source ? -1 : 1;
    return (one->place.offset > other->place.offset) - (one->place.offset < other->place.offset);
}

void pr_api_expect_end(pr_api_expect_t *expect) {
    for (size_t g = 0; g < expect->groups_count; g++) {
        pr_api_group_t *group = &expect->groups[g];
        size_t kept = 0;
        if (group->members_count > 0)
            qsort(group->members, group->members_count, sizeof *group->members, s_order);
        for (size_t i = 0; i < group->members_count; i++) {
            if (kept > 0 && s_compare(&group->members[kept - 1].key, &group->members[i].key) == 0)
                kept--;
            group->members[kept++] = group->members[i];
        }
        group->members_count = kept;
    }
}

pr_api_member_t *pr_api_group_find(const pr_api_group_t *group, const pr_value_t *key) {
    size_t low = 0;
    size_t high = group->members_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = s_compare(&group->members[middle].key, key);
        if (order == 0)
            return &group->members[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- what the mapping declares ---- */

/* Fields of the groups' records that must be there, are text, and are stored as they are. */
static void s_choose_shown(pr_api_expect_t *self) {
    const pr_stream_t *stream = self->groups_of;
    const pr_row_spec_t *row = pr_stream_row_by(stream, self->group_key);
    self->shown = pr_xcalloc(stream->fields_count + 1, sizeof *self->shown);
    for (size_t f = 0; row != NULL && f < stream->fields_count; f++) {
        const pr_field_t *field = &stream->fields[f];
        if (field->type == PR_TYPE_TEXT && !field->nullable && pr_row_copy_of(row, (int)f) != NULL)
            self->shown[self->shown_count++] = (int)f;
    }
}

/* The one field of the members' natural key that is not the group's. */
static int s_member_key(const pr_stream_t *stream, int group) {
    int found = -1;
    for (size_t i = 0; i < stream->key_count; i++) {
        if (stream->key[i] == group)
            continue;
        if (found >= 0)
            return -1;
        found = stream->key[i];
    }
    return found;
}

int pr_api_expect_new(const pr_mapping_t *mapping, pr_api_expect_t **ret_expect, pr_error_t *err) {
    const pr_stream_t *groups_of = NULL;
    for (size_t i = 0; groups_of == NULL && i < mapping->streams_count; i++) {
        if (mapping->streams[i].declares.stream >= 0)
            groups_of = &mapping->streams[i];
    }
    if (groups_of == NULL)
        return pr_error_set(err, PR_E_CONFIG,
                            "%s: no stream declares children, so it is not known what the API must show; see "
                            "\"declares\" in pvrelay-mapping(5)",
                            mapping->path);
    const pr_stream_t *members_of = &mapping->streams[groups_of->declares.stream];
    int key = s_member_key(members_of, groups_of->declares.children_by);
    if (key < 0)
        return pr_error_set(err, PR_E_CONFIG,
                            "%s: the key of %s must be %s and one field more for its records to be found in the API",
                            mapping->path, members_of->name, members_of->fields[groups_of->declares.children_by].name);
    pr_api_expect_t *self = pr_xcalloc(1, sizeof *self);
    self->mapping = mapping;
    self->groups_of = groups_of;
    self->members_of = members_of;
    self->group_key = groups_of->declares.by;
    self->member_group = groups_of->declares.children_by;
    self->member_key = key;
    self->member_status = members_of->distribution_of;
    self->state = pr_xcalloc(1, sizeof(s_state_t));
    s_choose_shown(self);
    *ret_expect = self;
    return 0;
}

void pr_api_expect_destroy(pr_api_expect_t **expect) {
    if (expect == NULL || *expect == NULL)
        return;
    pr_api_expect_t *self = *expect;
    s_state_t *state = self->state;
    for (size_t i = 0; i < self->groups_count; i++) {
        free(self->groups[i].fields);
        free(self->groups[i].members);
    }
    while (state->blocks != NULL) {
        s_block_t *next = state->blocks->next;
        free(state->blocks);
        state->blocks = next;
    }
    free(state->index);
    free(state->rejects);
    free(state);
    free(self->groups);
    free(self->shown);
    free(self);
    *expect = NULL;
}

/* ---- reading exports ---- */

static int s_compare_digests(const void *a, const void *b) {
    uint64_t one = *(const uint64_t *)a;
    uint64_t other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static int s_load_rejects(s_state_t *state, sqlite3 *db, pr_error_t *err) {
    int has = db != NULL ? pr_sql_has_table(db, "pvrelay_reject", err) : 0;
    if (has <= 0)
        return has;
    sqlite3_stmt *statement = NULL;
    int undo = pr_sql_has_column(db, "pvrelay_run", "rolled_back_at", err);
    if (undo < 0)
        return undo;
    char *sql = pr_xasprintf("%s%s", S_SQL_REJECTS, undo > 0 ? S_SQL_NOT_TAKEN_BACK : "");
    int result = pr_ledger_prepare(db, sql, &statement, err);
    free(sql);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        size_t count = state->rejects_count;
        if ((count & (count - 1)) == 0)
            state->rejects = pr_xrealloc(state->rejects, (count > 0 ? count * 2 : 1) * sizeof *state->rejects);
        const void *raw = sqlite3_column_blob(statement, 0);
        int size = sqlite3_column_bytes(statement, 0);
        state->rejects[state->rejects_count++] = XXH3_64bits(raw, size > 0 ? (size_t)size : 0);
        result = 0;
    }
    sqlite3_finalize(statement);
    if (state->rejects_count > 0)
        qsort(state->rejects, state->rejects_count, sizeof *state->rejects, s_compare_digests);
    return result;
}

static bool s_is_rejected(const s_state_t *state, const char *data, size_t size) {
    if (state->rejects_count == 0)
        return false;
    uint64_t digest = XXH3_64bits(data, size);
    return bsearch(&digest, state->rejects, state->rejects_count, sizeof digest, s_compare_digests) != NULL;
}

static pr_value_t s_value(const pr_json_field_t *field, bool null_text) {
    switch (field->kind) {
    case PR_JSON_INTEGER:
        return pr_value_integer(field->integer);
    case PR_JSON_REAL:
        return pr_value_real(field->real);
    case PR_JSON_TEXT:
        if (null_text && field->text_size == 4 && memcmp(field->text, "null", 4) == 0)
            return pr_value_null();
        return pr_value_text(field->text_size > 0 ? field->text : "", field->text_size);
    case PR_JSON_NULL:
    case PR_JSON_BOOLEAN:
    case PR_JSON_BIG_INTEGER:
    case PR_JSON_BIG_REAL:
    case PR_JSON_CONTAINER:
        break; /* those that no field takes: such a record was rejected */
    }
    return pr_value_null();
}

/* What reading needs beside the expectation. */
typedef struct {
    pr_json_parser_t *parser;
    pr_value_t *values; /* of the record at hand, by field */
    char *data;         /* the range's bytes */
    size_t room;
} s_reading_t;

static void *s_room(void *context, size_t size) {
    s_reading_t *reading = context;
    if (reading->room < size) {
        free(reading->data);
        reading->data = pr_xmalloc(size);
        reading->room = size;
    }
    return reading->data;
}

static void s_read_record(pr_api_expect_t *self, s_reading_t *reading, const pr_stream_t *stream, pr_slice_t slice,
                          bool null_text, pr_api_place_t place) {
    const pr_json_field_t *fields;
    size_t count;
    const char *data = reading->data + slice.offset;
    bool optional = s_is_rejected(self->state, data, slice.length);
    if (pr_json_parse_record(reading->parser, data, slice.length, &fields, &count) != 0)
        return; /* the proof of its row has something to say about it */
    for (size_t f = 0; f < stream->fields_count; f++)
        reading->values[f] = pr_value_null();
    for (size_t i = 0; i < count; i++) {
        int f = pr_stream_field_index(stream, fields[i].name, fields[i].name_size);
        if (f >= 0)
            reading->values[f] = s_value(&fields[i], null_text && stream->fields[f].nullable);
    }
    pr_api_expect_add(self, stream, reading->values, optional, place);
}

static int s_read_source(pr_api_expect_t *self, s_reading_t *reading, pr_cutter_t *cutter, uint32_t source,
                         bool (*keep_going)(void *context), void *context, pr_error_t *err) {
    const pr_plan_t *plan = pr_cutter_plan(cutter);
    int index = pr_mapping_stream_index(self->mapping, plan->sources[source].stream);
    const pr_stream_t *stream = index >= 0 ? &self->mapping->streams[index] : NULL;
    pr_position_t at = {.source = source};
    if (stream == NULL || (stream != self->groups_of && stream != self->members_of))
        return 0;
    while (at.ordinal < plan->records[source]) {
        pr_cut_t cut;
        if (keep_going != NULL && !keep_going(context))
            return pr_error_set(err, PR_E_INTERRUPTED, "interrupted; nothing was written");
        int result = pr_cutter_cut(cutter, at, s_range_bytes, s_room, reading, &cut, err);
        if (result < 0)
            return result;
        for (uint32_t i = 0; i < cut.range.count; i++)
            s_read_record(self, reading, stream, cut.slices[i], plan->sources[source].null_text,
                          (pr_api_place_t){.source = source, .offset = cut.range.begin + cut.slices[i].offset});
        at = pr_range_end(cut.range);
    }
    return 0;
}

int pr_api_expect_read(pr_api_expect_t *expect, pr_cutter_t *cutter, sqlite3 *db, bool (*keep_going)(void *context),
                       void *context, pr_error_t *err) {
    size_t most = expect->groups_of->fields_count;
    if (expect->members_of->fields_count > most)
        most = expect->members_of->fields_count;
    s_reading_t reading = {.parser = pr_json_parser_new(), .values = pr_xcalloc(most, sizeof *reading.values)};
    int result = s_load_rejects(expect->state, db, err);
    for (uint32_t s = 0; result == 0 && s < pr_cutter_plan(cutter)->count; s++)
        result = s_read_source(expect, &reading, cutter, s, keep_going, context, err);
    if (result == 0)
        pr_api_expect_end(expect);
    pr_json_parser_destroy(&reading.parser);
    free(reading.values);
    free(reading.data);
    return result;
}
