/* SPDX-License-Identifier: MIT */
/* Cutting batches: whatever the size and the place, each record comes once, in order, with its own bytes. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "common/json_record.h"
#include "reader/batch.h"

static char s_folder[] = "/tmp/pvr-batch-XXXXXX";
static char s_path[64];
static char *s_text; /* the export's content */
static size_t s_text_size;
static pr_mapping_t *s_mapping;

enum { s_modules = 37 };

/* Modules in two result sets with an audit's between them; one record is much longer than the rest. */
static void s_write_export(void) {
    FILE *out = open_memstream(&s_text, &s_text_size);
    fputs("[\n  {\n    \"results\": [", out);
    for (int i = 0; i < s_modules; i++) {
        if (i == 20)
            fputs("\n    ],\n    \"success\": true,\n    \"meta\": {}\n  },\n  {\n    \"results\": [\n      "
                  "{\"token\": \"t\", "
                  "\"project_name\": \"{p]\", \"client_name\": \"c\"}\n    ],\n    \"success\": true\n  },\n  {\n    "
                  "\"results\": [",
                  out);
        fprintf(out,
                "%s\n      {\n        \"audit_token\": \"t\",\n        \"module_id\": \"S1-%d\",\n        "
                "\"string_number\": 1",
                i == 0 || i == 20 ? "" : ",", i);
        if (i == 11)
            fprintf(out, ",\n        \"comment\": \"%05000d\"", 0);
        fputs("\n      }", out);
    }
    fputs("\n    ],\n    \"success\": true,\n    \"meta\": {}\n  }\n]\n", out);
    fclose(out);
    FILE *file = fopen(s_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(s_text, 1, s_text_size, file), s_text_size);
    assert_int_equal(fclose(file), 0);
}

static int s_set_up(void **state) {
    (void)state;
    if (mkdtemp(s_folder) == NULL)
        return -1;
    snprintf(s_path, sizeof s_path, "%s/modules.json", s_folder);
    return pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &s_mapping, NULL);
}

static int s_tear_down(void **state) {
    (void)state;
    pr_mapping_destroy(&s_mapping);
    free(s_text);
    unlink(s_path);
    return rmdir(s_folder);
}

static pr_batcher_t *s_open(size_t batch_bytes) {
    pr_batcher_t *batcher = NULL;
    pr_error_t err = PR_ERROR_INIT;
    const char *paths[] = {s_path};
    int result = pr_batcher_open(paths, 1, s_mapping, PR_NULL_TEXT_AUTO, batch_bytes, NULL, NULL, &batcher, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    return batcher;
}

/* Check a batch of modules against the text, record by record. Returns the position after it. */
static pr_position_t s_check(const pr_batcher_t *batcher, pr_batch_t *batch, pr_position_t at) {
    const pr_plan_t *plan = pr_batcher_plan(batcher);
    assert_int_equal(pr_range_relation(batch->range, at), PR_RANGE_NEXT);
    size_t size = (size_t)(batch->range.end - batch->range.begin);
    const char *bytes = zmq_msg_data(&batch->bytes);
    assert_true(zmq_msg_size(&batch->bytes) >= size + PR_JSON_PADDING);
    assert_memory_equal(bytes, s_text + batch->range.begin, size);
    assert_true(batch->digest == XXH3_64bits(bytes, size));
    assert_int_equal(zmq_msg_size(&batch->slices), batch->range.count * 8);
    const uint8_t *slices = zmq_msg_data(&batch->slices);
    for (uint32_t i = 0; i < batch->range.count; i++) {
        uint32_t pair[2];
        memcpy(pair, slices + i * sizeof pair, sizeof pair);
        uint32_t offset = le32toh(pair[0]);
        uint32_t length = le32toh(pair[1]);
        char *record = strndup(bytes + offset, length);
        char id[32];
        snprintf(id, sizeof id, "\"S1-%llu\"", (unsigned long long)(batch->range.first + i));
        assert_int_equal(record[0], '{');
        assert_int_equal(record[length - 1], '}');
        if (batch->range.source == 1)
            assert_non_null(strstr(record, id));
        free(record);
    }
    zmq_msg_close(&batch->slices);
    zmq_msg_close(&batch->bytes);
    return pr_position_normalise(pr_range_end(batch->range), plan->records, plan->count);
}

static void test_every_size(void **state) {
    (void)state;
    s_write_export();
    for (size_t bytes = 1; bytes < 9000; bytes = bytes < 700 ? bytes + 1 : bytes + 613) {
        pr_batcher_t *batcher = s_open(bytes);
        const pr_plan_t *plan = pr_batcher_plan(batcher);
        assert_int_equal(plan->count, 2);
        assert_string_equal(plan->sources[0].stream, "audits");
        assert_int_equal(plan->records[0], 1);
        assert_int_equal(plan->records[1], s_modules);
        pr_position_t at = {0};
        uint64_t batches = 0;
        while (at.source < plan->count) {
            pr_batch_t batch;
            assert_int_equal(pr_batcher_cut(batcher, at, &batch, NULL), 0);
            assert_int_equal(batch.stream, batch.range.source);
            assert_true(batch.null_text);
            at = s_check(batcher, &batch, at);
            batches++;
        }
        if (bytes > 8000)
            assert_int_equal(batches, 3); /* a batch never spans two result sets */
        pr_batcher_destroy(&batcher);
    }
    free(s_text);
    s_text = NULL;
}

static void test_changed_file(void **state) {
    (void)state;
    s_write_export();
    pr_batcher_t *batcher = s_open(1000);
    pr_batch_t batch;
    pr_error_t err = PR_ERROR_INIT;
    char expected[160];
    assert_int_equal(pr_batcher_cut(batcher, (pr_position_t){0}, &batch, NULL), 0);
    s_check(batcher, &batch, (pr_position_t){0});
    assert_int_equal(truncate(s_path, (off_t)s_text_size - 1), 0);
    assert_int_equal(pr_batcher_cut(batcher, (pr_position_t){.source = 1}, &batch, &err), -PR_E_SOURCE_CHANGED);
    snprintf(expected, sizeof expected,
             "%s: was changed while it was being read; put back what the run began with, or give --restart", s_path);
    assert_string_equal(err.text, expected);
    pr_batcher_destroy(&batcher);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_size), cmocka_unit_test(test_changed_file)};
    return cmocka_run_group_tests(tests, s_set_up, s_tear_down);
}
