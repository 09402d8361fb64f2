/* SPDX-License-Identifier: MIT */
/* Answers of the HUB's API against what is expected of them. */
#include "control/api_compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

enum { s_text_bytes = 400 };

/* ---- telling ---- */

/* The route of a group, or of the list, as the failures' table: "GET /api/el/audit/a4e1…". *Returns new*. */
static char *s_route(const pr_api_group_t *group) {
    if (group == NULL)
        return pr_xstrdup("GET " PR_API_ROUTE_LIST);
    if (group->key.kind == PR_TEXT)
        return pr_xasprintf("GET " PR_API_ROUTE_GROUP "%.*s", (int)group->key.text.size, group->key.text.data);
    return pr_xasprintf("GET " PR_API_ROUTE_GROUP "%" PRId64, group->key.integer);
}

typedef struct {
    unsigned kind;
    const pr_api_group_t *route; /* NULL: the list */
    const pr_stream_t *stream;
    const char *key; /* NULL: the group's */
    const char *column;
    const char *expected, *stored;
    pr_api_place_t place;
} s_fault_t;

static char *s_group_key(const pr_api_compare_t *self, const pr_api_group_t *group) {
    char value[s_text_bytes];
    return pr_xasprintf("%s=%s", self->expect->groups_of->fields[self->expect->group_key].name,
                        pr_value_print(&group->key, value, sizeof value));
}

static void s_fail(pr_api_compare_t *self, const s_fault_t *fault) {
    char *route = s_route(fault->route);
    pr_failure_t failure = {.kind = fault->kind,
                            .stream = fault->stream->name,
                            .table = route,
                            .key = fault->key,
                            .column = fault->column,
                            .expected = fault->expected,
                            .stored = fault->stored,
                            .source = fault->place.source,
                            .offset = fault->place.offset};
    pr_proof_list_add_failure(self->list, &failure);
    free(route);
}

/* A fault of a group as a whole. of: the group; on_list: it shows in the list, not in the group's own answer. */
static void s_fail_group(pr_api_compare_t *self, unsigned kind, const pr_api_group_t *of, bool on_list,
                         const char *column, const char *expected, const char *stored) {
    char *key = s_group_key(self, of);
    s_fail(self, &(s_fault_t){.kind = kind,
                              .route = on_list ? NULL : of,
                              .stream = self->expect->groups_of,
                              .key = key,
                              .column = column,
                              .expected = expected,
                              .stored = stored,
                              .place = of->place});
    free(key);
}

void pr_api_compare_unanswered(pr_api_compare_t *compare, const pr_api_group_t *group, const char *expected,
                               const char *why) {
    if (group != NULL)
        s_fail_group(compare, PR_FAILURE_MISSING, group, false, "", expected, why);
    else
        s_fail(compare, &(s_fault_t){.kind = PR_FAILURE_WHOLE,
                                     .stream = compare->expect->groups_of,
                                     .key = "",
                                     .column = "",
                                     .expected = expected,
                                     .stored = why});
}

/* ---- values of an answer ---- */

/* text borrows from the JSON value. false: it is a list or an object. */
static bool s_value(const json_t *json, pr_value_t *ret_value) {
    switch (json_typeof(json)) {
    case JSON_STRING:
        *ret_value = pr_value_text(json_string_value(json), json_string_length(json));
        return true;
    case JSON_INTEGER:
        *ret_value = pr_value_integer(json_integer_value(json));
        return true;
    case JSON_REAL:
        *ret_value = pr_value_real(json_real_value(json));
        return true;
    case JSON_NULL:
        *ret_value = pr_value_null();
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_OBJECT:
    case JSON_ARRAY:
        break;
    }
    return false;
}

static const char *s_print_json(const json_t *json, char *buffer, size_t size) {
    pr_value_t value;
    if (json == NULL)
        snprintf(buffer, size, "nothing");
    else if (json_is_object(json) || json_is_array(json))
        snprintf(buffer, size, json_is_object(json) ? "an object" : "a list");
    else if (json_is_boolean(json))
        snprintf(buffer, size, json_is_true(json) ? "true" : "false");
    else if (s_value(json, &value))
        pr_value_print(&value, buffer, size);
    return buffer;
}

static bool s_equal(const json_t *json, const pr_value_t *expected) {
    pr_value_t value;
    return json != NULL && s_value(json, &value) && pr_value_equal(&value, expected);
}

/* A field's member of an answer: by its name in the export, else by the name of the column that copies it. */
static const json_t *s_member(const json_t *object, const pr_stream_t *stream, int by, int field) {
    const json_t *found = json_object_get(object, stream->fields[field].name);
    if (found != NULL)
        return found;
    const pr_row_spec_t *row = pr_stream_row_by(stream, by);
    const pr_column_t *column = row != NULL ? pr_row_copy_of(row, field) : NULL;
    return column != NULL ? json_object_get(object, column->name) : NULL;
}

/* ---- totals ---- */

/* The value map whose entries are the statuses; NULL: they have none, and there are no totals by status. */
static const pr_value_map_t *s_statuses(const pr_api_expect_t *expect) {
    const pr_stream_t *stream = expect->members_of;
    for (size_t r = 0; expect->member_status >= 0 && r < stream->rows_count; r++) {
        for (size_t c = 0; c < stream->rows[r].columns_count; c++) {
            const pr_column_t *column = &stream->rows[r].columns[c];
            if (column->op == PR_OP_MAP && column->field == expect->member_status)
                return column->map;
        }
    }
    return NULL;
}

/* Does a member with this status count as open: does some derived column leave it out? */
static bool s_is_open(const pr_api_expect_t *expect, const pr_value_t *status) {
    const pr_stream_t *stream = expect->members_of;
    const pr_row_spec_t *row = pr_stream_row_by(stream, expect->member_group);
    for (size_t d = 0; row != NULL && status->kind == PR_TEXT && d < expect->mapping->derived_count; d++) {
        const pr_derived_t *derived = &expect->mapping->derived[d];
        if (strcmp(derived->child_table, row->table) != 0)
            continue;
        for (size_t c = 0; c < row->columns_count; c++) {
            const pr_column_t *column = &row->columns[c];
            if (column->op != PR_OP_MAP || strcmp(column->name, derived->except_column) != 0)
                continue;
            const pr_value_t *to = pr_value_map_get(column->map, status->text.data, status->text.size);
            if (to != NULL && pr_value_equal(to, &derived->except_value))
                return true;
        }
    }
    return false;
}

static void s_count(const pr_api_expect_t *expect, const pr_value_t *status, pr_api_totals_t *totals) {
    const pr_value_map_t *map = s_statuses(expect);
    totals->total++;
    totals->completed += !s_is_open(expect, status);
    for (size_t i = 0; map != NULL && i < map->count; i++) {
        if (pr_value_equal(&map->entries[i].from, status))
            totals->by_status[i]++;
    }
}

static void s_begin_totals(const pr_api_expect_t *expect, pr_api_totals_t *totals) {
    const pr_value_map_t *map = s_statuses(expect);
    *totals = (pr_api_totals_t){.known = true,
                                .by_status = pr_xcalloc((map != NULL ? map->count : 0) + 1, sizeof *totals->by_status)};
}

/* One total, if the object shows it. prefix: of its name there. */
static void s_compare_total(pr_api_compare_t *self, const pr_api_group_t *group, bool on_list, const json_t *object,
                            const char *prefix, const pr_value_t *name, uint64_t total) {
    char *member = pr_xasprintf("%s%.*s", prefix, (int)name->text.size, name->text.data);
    const json_t *shown = json_object_get(object, member);
    pr_value_t value = pr_value_integer((int64_t)total);
    if (shown != NULL && !s_equal(shown, &value)) {
        char expected[24];
        char stored[s_text_bytes];
        char *column = on_list ? pr_xstrdup(member) : pr_xasprintf("progress.%s", member);
        snprintf(expected, sizeof expected, "%" PRIu64, total);
        s_fail_group(self, PR_FAILURE_MISMATCH, group, on_list, column, expected,
                     s_print_json(shown, stored, sizeof stored));
        free(column);
    }
    free(member);
}

/* object: NULL: the answer shows none. */
static void s_compare_totals(pr_api_compare_t *self, const pr_api_group_t *group, bool on_list, const json_t *object,
                             const char *prefix, const pr_api_totals_t *totals) {
    const pr_value_map_t *map = s_statuses(self->expect);
    pr_value_t total = pr_value_text("total", sizeof "total" - 1);
    pr_value_t completed = pr_value_text("completed", sizeof "completed" - 1);
    s_compare_total(self, group, on_list, object, prefix, &total, totals->total);
    s_compare_total(self, group, on_list, object, prefix, &completed, totals->completed);
    for (size_t i = 0; map != NULL && i < map->count; i++)
        s_compare_total(self, group, on_list, object, prefix, &map->entries[i].from, totals->by_status[i]);
}

/* ---- a group ---- */

/* The group's own fields, where the answer has them. */
static void s_compare_fields(pr_api_compare_t *self, const pr_api_group_t *group, bool on_list, const json_t *object) {
    const pr_api_expect_t *expect = self->expect;
    for (size_t i = 0; group->fields != NULL && i < expect->shown_count; i++) {
        char expected[s_text_bytes];
        char stored[s_text_bytes];
        const json_t *shown = s_member(object, expect->groups_of, expect->group_key, expect->shown[i]);
        if (shown != NULL && !s_equal(shown, &group->fields[i]))
            s_fail_group(self, PR_FAILURE_MISMATCH, group, on_list, expect->groups_of->fields[expect->shown[i]].name,
                         pr_value_print(&group->fields[i], expected, sizeof expected),
                         s_print_json(shown, stored, sizeof stored));
    }
}

static char *s_member_key(const pr_api_compare_t *self, const pr_api_group_t *group, const pr_value_t *key) {
    const pr_stream_t *stream = self->expect->members_of;
    char in[s_text_bytes];
    char value[s_text_bytes];
    return pr_xasprintf("%s=%s, %s=%s", stream->fields[self->expect->member_group].name,
                        pr_value_print(&group->key, in, sizeof in), stream->fields[self->expect->member_key].name,
                        pr_value_print(key, value, sizeof value));
}

static void s_fail_member(pr_api_compare_t *self, unsigned kind, const pr_api_group_t *group, const pr_value_t *of,
                          pr_api_place_t place, const char *column, const char *expected, const char *stored) {
    char *key = s_member_key(self, group, of);
    s_fail(self, &(s_fault_t){.kind = kind,
                              .route = group,
                              .stream = self->expect->members_of,
                              .key = key,
                              .column = column,
                              .expected = expected,
                              .stored = stored,
                              .place = place});
    free(key);
}

static void s_compare_value(pr_api_compare_t *self, const pr_api_group_t *group, const pr_api_member_t *member,
                            const char *column, const json_t *shown, const pr_value_t *value) {
    char expected[s_text_bytes];
    char stored[s_text_bytes];
    if (!s_equal(shown, value))
        s_fail_member(self, PR_FAILURE_MISMATCH, group, &member->key, member->place, column,
                      pr_value_print(value, expected, sizeof expected), s_print_json(shown, stored, sizeof stored));
}

/* The status, and what the mapping makes of it. */
static void s_compare_status(pr_api_compare_t *self, const pr_api_group_t *group, const pr_api_member_t *member,
                             const json_t *object) {
    const pr_api_expect_t *expect = self->expect;
    const pr_stream_t *stream = expect->members_of;
    const pr_row_spec_t *row = pr_stream_row_by(stream, expect->member_group);
    if (expect->member_status < 0)
        return;
    s_compare_value(self, group, member, stream->fields[expect->member_status].name,
                    s_member(object, stream, expect->member_group, expect->member_status), &member->status);
    for (size_t c = 0; row != NULL && c < row->columns_count; c++) {
        const pr_column_t *column = &row->columns[c];
        const json_t *shown = json_object_get(object, column->name);
        if (column->op != PR_OP_MAP || column->field != expect->member_status || shown == NULL)
            continue;
        pr_value_t null = pr_value_null();
        const pr_value_t *to = member->status.kind != PR_TEXT
                                   ? &null
                                   : pr_value_map_get(column->map, member->status.text.data, member->status.text.size);
        if (to != NULL) /* else the record cannot have been accepted */
            s_compare_value(self, group, member, column->name, shown, to);
    }
}

/* A member that the exports lack. */
static void s_tell_extra(pr_api_compare_t *self, const pr_api_group_t *group, const pr_value_t *key) {
    if (self->extra_fails) {
        s_fail_member(self, PR_FAILURE_EXTRA, group, key, (pr_api_place_t){0}, "", "no such record", "one in the API");
        return;
    }
    char *route = s_route(group);
    char *text = s_member_key(self, group, key);
    char *detail = pr_xasprintf("%s: %s", route, text);
    pr_finding_t finding = {.kind = "api_extra",
                            .stream = self->expect->members_of->name,
                            .field = self->expect->members_of->fields[self->expect->member_key].name,
                            .detail = detail,
                            .count = 1};
    pr_proof_list_add_finding(self->list, &finding);
    free(detail);
    free(text);
    free(route);
}

/* One member of the answer. seen: by index of the group's members. */
static void s_take_member(pr_api_compare_t *self, const pr_api_group_t *group, const json_t *object, bool *seen,
                          pr_api_totals_t *totals) {
    const pr_api_expect_t *expect = self->expect;
    const json_t *key_json = s_member(object, expect->members_of, expect->member_group, expect->member_key);
    pr_value_t key;
    char stored[s_text_bytes];
    if (key_json == NULL || !s_value(key_json, &key)) {
        s_fail_group(self, PR_FAILURE_MISMATCH, group, false, expect->members_of->fields[expect->member_key].name,
                     "a key in each of them", s_print_json(key_json, stored, sizeof stored));
        return;
    }
    const pr_api_member_t *member = pr_api_group_find(group, &key);
    if (member == NULL) {
        pr_value_t status = pr_value_null();
        const json_t *shown = expect->member_status >= 0
                                  ? s_member(object, expect->members_of, expect->member_group, expect->member_status)
                                  : NULL;
        if (shown != NULL)
            (void)s_value(shown, &status);
        s_count(expect, &status, totals);
        s_tell_extra(self, group, &key);
        return;
    }
    bool *is_seen = &seen[member - group->members];
    if (*is_seen) {
        s_fail_member(self, PR_FAILURE_EXTRA, group, &key, member->place, "", "it once", "it again");
        return;
    }
    *is_seen = true;
    self->members++;
    s_count(expect, &member->status, totals);
    s_compare_status(self, group, member, object);
}

static void s_compare_members(pr_api_compare_t *self, const pr_api_group_t *group, const json_t *answers,
                              pr_api_totals_t *totals) {
    size_t index;
    const json_t *object;
    bool *seen = pr_xcalloc(group->members_count + 1, sizeof *seen);
    json_array_foreach(answers, index, object) {
        s_take_member(self, group, object, seen, totals);
    }
    for (size_t i = 0; i < group->members_count; i++) {
        const pr_api_member_t *member = &group->members[i];
        if (seen[i] || member->optional)
            continue;
        s_count(self->expect, &member->status, totals);
        s_fail_member(self, PR_FAILURE_MISSING, group, &member->key, member->place, "", "it among the answer's",
                      "nothing");
    }
    free(seen);
}

void pr_api_compare_group(pr_api_compare_t *compare, const pr_api_group_t *group, const json_t *answer,
                          pr_api_totals_t *ret_totals) {
    const char *list = compare->expect->members_of->name;
    char expected[s_text_bytes];
    char stored[s_text_bytes];
    const json_t *members = json_object_get(answer, list);
    *ret_totals = (pr_api_totals_t){0};
    compare->groups++;
    if (!json_is_array(members)) {
        snprintf(expected, sizeof expected, "an object with a list \"%s\"", list);
        snprintf(stored, sizeof stored, "%s", "an object without");
        if (!json_is_object(answer))
            s_print_json(answer, stored, sizeof stored);
        pr_api_compare_unanswered(compare, group, expected, stored);
        return;
    }
    s_begin_totals(compare->expect, ret_totals);
    s_compare_fields(compare, group, false, json_object_get(answer, "audit"));
    s_compare_members(compare, group, members, ret_totals);
    s_compare_totals(compare, group, false, json_object_get(answer, "progress"), "", ret_totals);
}

/* ---- the list ---- */

/* What the totals of a group are by the exports alone. */
static void s_count_group(const pr_api_expect_t *expect, const pr_api_group_t *group, pr_api_totals_t *totals) {
    s_begin_totals(expect, totals);
    for (size_t i = 0; i < group->members_count; i++) {
        if (group->members[i].optional)
            totals->known = false; /* it may be there or not */
        s_count(expect, &group->members[i].status, totals);
    }
}

static void s_compare_entry(pr_api_compare_t *self, const pr_api_group_t *group, const json_t *entry,
                            const pr_api_totals_t *totals) {
    char *prefix = pr_xasprintf("%s_", self->expect->members_of->name);
    pr_api_totals_t counted = {0};
    s_compare_fields(self, group, true, entry);
    if (!totals->known)
        s_count_group(self->expect, group, &counted);
    if (totals->known || counted.known)
        s_compare_totals(self, group, true, entry, prefix, totals->known ? totals : &counted);
    free(counted.by_status);
    free(prefix);
}

void pr_api_compare_list(pr_api_compare_t *compare, const json_t *answer, const pr_api_totals_t *totals_of) {
    const pr_api_expect_t *expect = compare->expect;
    const char *list = expect->groups_of->name;
    const json_t *entries = json_object_get(answer, list);
    char expected[s_text_bytes];
    char stored[s_text_bytes];
    size_t index;
    const json_t *entry;
    if (!json_is_array(entries) || json_is_false(json_object_get(answer, "success"))) {
        bool failed = json_is_array(entries);
        snprintf(expected, sizeof expected, "an object with a list \"%s\"%s", list, failed ? ", and success" : "");
        snprintf(stored, sizeof stored, "%s", failed ? "\"success\": false" : "an object without");
        if (!json_is_object(answer))
            s_print_json(answer, stored, sizeof stored);
        pr_api_compare_unanswered(compare, NULL, expected, stored);
        return;
    }
    bool *seen = pr_xcalloc(expect->groups_count + 1, sizeof *seen);
    json_array_foreach(entries, index, entry) {
        pr_value_t key;
        const json_t *shown = s_member(entry, expect->groups_of, expect->group_key, expect->group_key);
        const pr_api_group_t *group = shown != NULL && s_value(shown, &key) ? pr_api_expect_find(expect, &key) : NULL;
        if (group == NULL || seen[group - expect->groups]) /* the HUB has more than these exports brought */
            continue;
        seen[group - expect->groups] = true;
        s_compare_entry(compare, group, entry, &totals_of[group - expect->groups]);
    }
    for (size_t i = 0; i < expect->groups_count; i++) {
        const pr_api_group_t *group = &expect->groups[i];
        if (!seen[i] && group->known && !group->optional)
            s_fail_group(compare, PR_FAILURE_MISSING, group, true, "", "it among the answer's", "nothing");
    }
    free(seen);
}
