/* SPDX-License-Identifier: MIT */
/* Fuzz: a mapping file. It is refused with mistakes in the order of lines, or what comes out is consistent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mapping_lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    size_t count;
    int line;
} s_mistakes_t;

static void s_require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void s_note(void *context, const pr_mapping_mistake_t *mistake) {
    s_mistakes_t *mistakes = context;
    s_require(mistake->line >= mistakes->line && mistake->text[0] != '\0');
    mistakes->line = mistake->line;
    mistakes->count++;
}

static void s_check_column(const pr_stream_t *stream, size_t row, const pr_column_t *column) {
    bool reads =
        column->op == PR_OP_COPY || column->op == PR_OP_MAP || column->op == PR_OP_LOOKUP || column->op == PR_OP_DATE;
    s_require(pr_lint_is_identifier(column->name));
    s_require(reads ? column->field >= 0 && (size_t)column->field < stream->fields_count : column->field == -1);
    s_require((column->op == PR_OP_MAP) == (column->map != NULL));
    s_require(column->op == PR_OP_PARENT ? column->parent >= 0 && (size_t)column->parent < row : column->parent == -1);
    for (size_t i = 0; i < column->parts_count; i++) {
        s_require(column->parts[i].field < (int)stream->fields_count);
        s_require(column->parts[i].field >= 0 || strlen(column->parts[i].literal) == column->parts[i].literal_size);
    }
}

static void s_check_stream(const pr_stream_t *stream) {
    bool always = false;
    s_require(stream->rows_count > 0 && stream->key_count > 0 && stream->recognise_count > 0);
    for (size_t i = 0; i < stream->rows_count; i++) {
        const pr_row_spec_t *row = &stream->rows[i];
        bool key = false;
        always = always || row->if_present < 0;
        s_require(row->if_present < (int)stream->fields_count && !pr_lint_is_reserved_table(row->table));
        for (size_t k = 0; k < row->columns_count; k++) {
            s_check_column(stream, i, &row->columns[k]);
            key = key || row->columns[k].key;
        }
        s_require(key);
    }
    s_require(always);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_mapping_t *mapping = NULL;
    pr_error_t err = PR_ERROR_INIT;
    s_mistakes_t mistakes = {0};
    int rc = pr_mapping_parse("fuzz", (const char *)data, size, s_note, &mistakes, &mapping, &err);
    s_require((rc == 0) == (mapping != NULL) && (rc == 0) == (mistakes.count == 0) && err.code == (unsigned)-rc);
    for (size_t i = 0; mapping != NULL && i < mapping->streams_count; i++) {
        s_check_stream(&mapping->streams[i]);
    }
    pr_mapping_destroy(&mapping);
    return 0;
}
