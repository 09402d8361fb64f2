/* SPDX-License-Identifier: MIT */
/* What the inverse mapping has to say: failures with key, column and both values; findings. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "validator/inverse_state.h"

enum { S_PRINT_BYTES = 1024, S_KEY_BYTES = 1024 };

char *pr_inverse_key(const pr_stream_t *stream, const pr_value_t *values, char *buffer, size_t size) {
    pr_text_room_t key = {.text = buffer, .room = size};
    buffer[0] = '\0';
    for (size_t i = 0; i < stream->key_count; i++) {
        char value[256];
        pr_text_add(&key, "%s%s=%s", i > 0 ? ", " : "", stream->fields[stream->key[i]].name,
                    pr_value_print(&values[stream->key[i]], value, sizeof value));
    }
    return buffer;
}

static void s_fail(pr_inverse_t *inverse, const pr_inverse_row_t *row, pr_failure_kind_t kind, const char *column,
                   const char *expected, const char *stored) {
    char key[S_KEY_BYTES];
    pr_failure_t failure = {.kind = kind,
                            .stream = inverse->stream->name,
                            .table = row->spec->table,
                            .key = pr_inverse_key(inverse->stream, inverse->record->values, key, sizeof key),
                            .column = column,
                            .expected = expected,
                            .stored = stored,
                            .source = inverse->record->source,
                            .offset = inverse->record->offset};
    pr_proof_list_add_failure(inverse->list, &failure);
}

/* What should stand in a column, for a human. */
static void s_print_expected(pr_inverse_t *inverse, pr_inverse_column_t *column, char *buffer, size_t size) {
    const pr_column_t *spec = column->column;
    pr_value_t image = pr_value_null();
    char key[256];
    if (spec->op == PR_OP_PARENT) {
        const pr_inverse_row_t *parent = &inverse->rows[spec->parent];
        if (parent->state == PR_STANDS_MISSING) {
            snprintf(buffer, size, "id of the row of %s that is missing", parent->spec->table);
            return;
        }
        image = parent->state == PR_STANDS_NOT_MADE ? pr_value_null() : pr_value_integer(parent->id);
    } else if (spec->op == PR_OP_LOOKUP) {
        const pr_value_t *from = &inverse->record->values[spec->field];
        if (from->kind != PR_NULL && !column->lookup_found) {
            snprintf(buffer, size, "id of the row of %s with %s=%s, which is missing", spec->lookup_table,
                     spec->lookup_key, pr_value_print(from, key, sizeof key));
            return;
        }
        image = from->kind == PR_NULL ? pr_value_null() : pr_value_integer(column->lookup_id);
    } else if (!pr_relation_image(spec, inverse->record->values, &column->scratch, &image)) {
        snprintf(buffer, size, "a reject: nothing follows from %s",
                 spec->field >= 0 ? pr_value_print(&inverse->record->values[spec->field], key, sizeof key) : "NULL");
        return;
    }
    pr_value_print(&image, buffer, size);
}

/* Two long texts can look the same where they are cut: show them from a little before the first difference. */
static void s_print_difference(pr_inverse_t *inverse, pr_inverse_column_t *column, const pr_cell_t *cell,
                               char *expected, char *stored, size_t size) {
    pr_value_t image;
    if (strcmp(expected, stored) != 0 || cell->blob || cell->value.kind != PR_TEXT ||
        !pr_relation_image(column->column, inverse->record->values, &column->scratch, &image) || image.kind != PR_TEXT)
        return;
    size_t shorter = image.text.size < cell->value.text.size ? image.text.size : cell->value.text.size;
    size_t at = 0;
    while (at < shorter && image.text.data[at] == cell->value.text.data[at])
        at++;
    size_t from = at > 40 ? at - 40 : 0;
    while (from > 0 && ((unsigned char)image.text.data[from] & 0xC0) == 0x80)
        from--;
    int prefix = snprintf(expected, size, "%zu bytes, from byte %zu: ", image.text.size, from);
    pr_value_t rest = pr_value_text(image.text.data + from, image.text.size - from);
    pr_value_print(&rest, expected + prefix, size - (size_t)prefix);
    prefix = snprintf(stored, size, "%zu bytes, from byte %zu: ", cell->value.text.size, from);
    rest = pr_value_text(cell->value.text.data + from, cell->value.text.size - from);
    pr_value_print(&rest, stored + prefix, size - (size_t)prefix);
}

void pr_inverse_report_mismatch(pr_inverse_t *inverse, const pr_inverse_row_t *row, pr_inverse_column_t *column,
                                const pr_cell_t *cell) {
    char expected[S_PRINT_BYTES];
    char stored[S_PRINT_BYTES];
    s_print_expected(inverse, column, expected, sizeof expected);
    pr_cell_print(cell, stored, sizeof stored);
    s_print_difference(inverse, column, cell, expected, stored, sizeof expected);
    s_fail(inverse, row, PR_FAILURE_MISMATCH, column->column->name, expected, stored);
}

void pr_inverse_tally(pr_inverse_t *inverse, pr_inverse_tally_t *tally, pr_inverse_column_t *column,
                      const pr_cell_t *cell) {
    if (inverse->record->again || tally->count++ > 0)
        return;
    char expected[76] = "";
    char stored[76] = "";
    char key[101];
    pr_inverse_key(inverse->stream, inverse->record->values, key, sizeof key);
    tally->source = inverse->record->source;
    tally->first = inverse->record->ordinal;
    if (column == NULL || cell == NULL) {
        snprintf(tally->detail, sizeof tally->detail, "%s", key);
        return;
    }
    s_print_expected(inverse, column, expected, sizeof expected);
    pr_cell_print(cell, stored, sizeof stored);
    snprintf(tally->detail, sizeof tally->detail, "%s: %s in the export, %s stored", key, expected, stored);
}

/* The natural key that the row should have. */
static void s_print_key(pr_inverse_t *inverse, pr_inverse_row_t *row, char *buffer, size_t size) {
    pr_text_room_t key = {.text = buffer, .room = size};
    buffer[0] = '\0';
    for (size_t i = 0; i < row->spec->columns_count; i++) {
        pr_inverse_column_t *column = &row->columns[i];
        if (!column->column->key || column->cell < 0)
            continue;
        char value[256];
        s_print_expected(inverse, column, value, sizeof value);
        pr_text_add(&key, "%s%s=%s", key.used > 0 ? ", " : "", column->column->name, value);
    }
}

void pr_inverse_report_missing(pr_inverse_t *inverse, pr_inverse_row_t *row) {
    char key[S_PRINT_BYTES];
    s_print_key(inverse, row, key, sizeof key);
    s_fail(inverse, row, PR_FAILURE_MISSING, "", key, "");
}

void pr_inverse_report_second(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t id) {
    char key[S_KEY_BYTES];
    char record[S_KEY_BYTES];
    s_print_key(inverse, row, key, sizeof key);
    pr_inverse_key(inverse->stream, inverse->record->values, record, sizeof record);
    char named[S_KEY_BYTES + 64];
    char expected[S_KEY_BYTES + 64];
    snprintf(named, sizeof named, "id=%" PRId64 ", %s", id, key);
    snprintf(expected, sizeof expected, "no second row with the key of id=%" PRId64, row->id);
    if (inverse->extra_fail) {
        pr_failure_t failure = {.kind = PR_FAILURE_EXTRA,
                                .stream = inverse->stream->name,
                                .table = row->spec->table,
                                .key = named,
                                .column = "",
                                .expected = expected,
                                .stored = "a row",
                                .source = inverse->record->source,
                                .offset = inverse->record->offset};
        pr_proof_list_add_failure(inverse->extra, &failure);
        return;
    }
    char field[160];
    char detail[2 * S_KEY_BYTES + 160];
    snprintf(field, sizeof field, "%.100s id=%" PRId64, row->spec->table, id);
    snprintf(detail, sizeof detail, "%.100s: %s; the row of %s is id=%" PRId64, row->spec->table, key, record, row->id);
    pr_finding_t finding = {.kind = "extra_row",
                            .stream = inverse->stream->name,
                            .field = field,
                            .detail = detail,
                            .count = 1,
                            .source = inverse->record->source,
                            .ordinal = inverse->record->ordinal};
    pr_proof_list_add_finding(inverse->extra, &finding);
}

static void s_report(const pr_inverse_t *inverse, const pr_inverse_row_t *row, const pr_inverse_column_t *column,
                     pr_inverse_tally_t *tally, const char *kind, pr_proof_list_t *list) {
    uint64_t count = tally->count;
    tally->count = 0;
    if (count == 0 || list == NULL)
        return;
    char field[256];
    snprintf(field, sizeof field, "%s%s%s", row->spec->table, column != NULL ? "." : "",
             column != NULL ? column->column->name : "");
    pr_finding_t finding = {.kind = kind,
                            .stream = inverse->stream->name,
                            .field = field,
                            .detail = tally->detail,
                            .count = count,
                            .source = tally->source,
                            .ordinal = tally->first};
    pr_proof_list_add_finding(list, &finding);
}

void pr_inverse_report_findings(pr_inverse_t *inverse, pr_proof_list_t *list) {
    for (size_t i = 0; i < inverse->stream->rows_count; i++) {
        pr_inverse_row_t *row = &inverse->rows[i];
        s_report(inverse, row, NULL, &row->replaced, "replaced_parent", list);
        for (size_t j = 0; j < row->spec->columns_count; j++) {
            s_report(inverse, row, &row->columns[j], &row->columns[j].shared, "shared_parent_differs", list);
            s_report(inverse, row, &row->columns[j], &row->columns[j].kept, "kept_differs", list);
            s_report(inverse, row, &row->columns[j], &row->columns[j].theirs, "foreign_kept", list);
        }
    }
    for (size_t i = 0; i < inverse->extra->failures_count && list != NULL; i++)
        pr_proof_list_add_failure(list, &inverse->extra->failures[i]);
    for (size_t i = 0; i < inverse->extra->findings_count && list != NULL; i++)
        pr_proof_list_add_finding(list, &inverse->extra->findings[i]);
    pr_proof_list_clear(inverse->extra);
}
