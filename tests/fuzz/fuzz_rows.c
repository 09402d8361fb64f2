/* SPDX-License-Identifier: MIT */
/* Fuzz: a ROWS payload from a hostile peer. What is understood, packed again, is understood as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pr_field_t s_fields[] = {{.name = (char[]){"a"}}, {.name = (char[]){"b"}, .nullable = true}};
static pr_column_t s_columns0[] = {{.name = (char[]){"x"}, .op = PR_OP_COPY},
                                   {.name = (char[]){"y"}, .op = PR_OP_CONSTANT}};
static pr_column_t s_columns1[] = {{.name = (char[]){"p"}, .op = PR_OP_PARENT},
                                   {.name = (char[]){"q"}, .op = PR_OP_COPY},
                                   {.name = (char[]){"r"}, .op = PR_OP_LOOKUP}};
static pr_row_spec_t s_specs[] = {
    {.name = (char[]){"zero"}, .columns = s_columns0, .columns_count = 2, .if_present = 1},
    {.name = (char[]){"one"}, .columns = s_columns1, .columns_count = 3, .if_present = -1},
};
static const pr_stream_t s_stream = {
    .name = (char[]){"fuzz"}, .fields = s_fields, .fields_count = 2, .rows = s_specs, .rows_count = 2};

static char *s_text(const pr_value_t *value) {
    return value->kind == PR_NULL ? NULL : strndup(value->text.data, value->text.size);
}

static void s_pack(msgpack_packer *packer, const pr_rows_record_t *record) {
    if (record->reason != PR_R_NONE) {
        char *field = s_text(&record->field), *detail = s_text(&record->detail);
        pr_rows_pack_rejected(packer, record->offset, record->length, record->reason, field, detail,
                              record->raw.text.data);
        free(field);
        free(detail);
        return;
    }
    pr_rows_pack_accepted(packer, record->offset, record->length, record->rows_count);
    for (size_t i = 0; i < record->rows_count; i++) {
        const pr_row_t *row = &record->rows[i];
        pr_rows_pack_row(packer, row->spec, 2);
        for (size_t k = row->spec == 1; k < s_specs[row->spec].columns_count; k++) {
            pr_rows_pack_value(packer, &row->values[k]);
        }
    }
}

/* Read a payload and pack what is in it; false: refused. */
static bool s_repack(const void *data, size_t size, msgpack_sbuffer *out) {
    pr_rows_record_t record;
    msgpack_packer packer;
    size_t notes;
    int rc;
    pr_rows_reader_t *reader = pr_rows_reader_new(&s_stream, data, size, NULL);
    if (reader == NULL) {
        return false;
    }
    msgpack_packer_init(&packer, out, msgpack_sbuffer_write);
    const pr_note_t *list = pr_rows_reader_notes(reader, &notes);
    pr_rows_pack_notes(&packer, list, notes);
    while ((rc = pr_rows_reader_next(reader, &record, NULL)) == 1) {
        s_pack(&packer, &record);
    }
    pr_rows_reader_destroy(&reader);
    return rc == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    msgpack_sbuffer once, twice;
    msgpack_sbuffer_init(&once);
    msgpack_sbuffer_init(&twice);
    if (s_repack(data, size, &once)) {
        if (!s_repack(once.data, once.size, &twice) || once.size != twice.size ||
            memcmp(once.data, twice.data, once.size) != 0) {
            abort();
        }
    }
    msgpack_sbuffer_destroy(&once);
    msgpack_sbuffer_destroy(&twice);
    return 0;
}
