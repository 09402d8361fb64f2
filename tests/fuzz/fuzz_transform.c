/* SPDX-License-Identifier: MIT */
/* Fuzz: a record, through parser and transform. Its payload must be one that the writer understands, and account for
 * it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_record.h"
#include "common/mapping_lint.h"
#include "common/rows.h"
#include "transformer/transform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char s_mapping_text[] =
    "{ \"pvrelay_mapping\": 1, \"name\": \"fuzz\", \"value_maps\": { \"word\": { \"ok\": \"fine\", \"\": 0 } },"
    "  \"streams\": [ { \"name\": \"s\", \"recognise\": [\"k\"], \"key\": [\"k\"], \"unknown_fields\": \"warn\","
    "    \"fields\": { \"k\": { \"type\": \"text\" }, \"i\": { \"type\": \"integer\", \"nullable\": true },"
    "      \"r\": { \"type\": \"real\", \"nullable\": true }, \"m\": { \"type\": \"text\" }, \"d\": { \"type\": "
    "\"text\" } },"
    "    \"rows\": [ { \"name\": \"extra\", \"table\": \"e\", \"mode\": \"ensure\", \"key\": [\"i\"], \"if_present\": "
    "\"i\","
    "        \"columns\": { \"i\": { \"copy\": \"i\" }, \"t\": { \"template\": \"{i}{k:address}{k}\" } } },"
    "      { \"name\": \"main\", \"table\": \"t\", \"mode\": \"upsert\", \"key\": [\"k\"],"
    "        \"columns\": { \"k\": { \"copy\": \"k\" }, \"p\": { \"parent\": \"extra\" }, \"r\": { \"copy\": \"r\" },"
    "          \"w\": { \"map\": \"word\", \"from\": \"m\" }, \"d\": { \"date\": \"d\" } } } ] } ] }";

static pr_mapping_t *s_mapping;
static pr_transformer_t *s_transformer;

static void s_require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void s_check(const msgpack_sbuffer *out, const char *bytes, size_t size, bool accepted) {
    pr_rows_record_t record;
    pr_rows_reader_t *reader = pr_rows_reader_new(&s_mapping->streams[0], out->data, out->size, NULL);
    s_require(reader != NULL);
    s_require(pr_rows_reader_next(reader, &record, NULL) == 1);
    s_require(record.offset == 0 && record.length == size && (record.reason == PR_R_NONE) == accepted);
    s_require(accepted || memcmp(record.raw.text.data, bytes, size) == 0);
    s_require(pr_rows_reader_next(reader, &record, NULL) == 0);
    pr_rows_reader_destroy(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_transform_counts_t counts;
    msgpack_sbuffer out;
    pr_slice_t slice = {.offset = 0, .length = (uint32_t)size};
    char *bytes = calloc(1, size + PR_JSON_PADDING);

    if (s_mapping == NULL) {
        s_require(pr_mapping_parse("fuzz", s_mapping_text, strlen(s_mapping_text), NULL, NULL, &s_mapping, NULL) == 0);
        s_transformer = pr_transformer_new(s_mapping);
    }
    s_require(bytes != NULL);
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    for (int wrangler = 0; wrangler < 2; wrangler++) {
        msgpack_sbuffer_init(&out);
        s_require(pr_transform_batch(s_transformer, 0, wrangler != 0, bytes, size, &slice, 1, &out, &counts) == 0);
        s_require(counts.ok + counts.rejected == 1);
        s_check(&out, bytes, size, counts.ok == 1);
        msgpack_sbuffer_destroy(&out);
    }
    free(bytes);
    return 0;
}
