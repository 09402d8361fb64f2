/* SPDX-License-Identifier: MIT */
/* Fuzz: the proof's parser on any bytes: never reads behind the data, and what it takes for a record ends where its
 * brackets do. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "validator/legacy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"id", "name", "row", "volt"};
    pr_field_t fields[] = {
        {.name = (char *)"id", .type = PR_TYPE_INTEGER, .ignored = "a surrogate"},
        {.name = (char *)"name", .type = PR_TYPE_TEXT, .nullable = true},
        {.name = (char *)"row", .type = PR_TYPE_INTEGER, .nullable = true},
        {.name = (char *)"volt", .type = PR_TYPE_REAL, .nullable = true},
    };
    pr_stream_t stream = {.name = (char *)"things", .fields = fields, .fields_count = 4, .unknown_fields_warn = true};
    pr_value_t values[4];
    char problem[128];
    pr_legacy_record_t record;
    size_t length = size > 0 && data[0] == '{' ? pr_legacy_skip((const char *)data, size) : 0;
    char *copy = calloc(size + PR_LEGACY_PADDING, 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    pr_legacy_parser_t *parser = pr_legacy_parser_new(names, 4);
    if (pr_legacy_parse(parser, copy, pr_legacy_is_utf8(copy, size), &record)) {
        if (record.used > size || (length > 0 && record.used != length))
            abort();
        pr_legacy_values(&stream, &record, true, values, problem, sizeof problem);
    }
    pr_legacy_parser_destroy(&parser);
    free(copy);
    return 0;
}
