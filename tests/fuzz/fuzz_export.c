/* SPDX-License-Identifier: MIT */
/* Fuzz: any bytes as an export file. The answer must not depend on how the file is read in pieces, and slicing must
 * find the records that scanning counted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/export.h"
#include "common/export_input.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pr_mapping_t *s_mapping;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    if (pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &s_mapping, NULL) < 0) {
        abort();
    }
    return 0;
}

static void s_check_slices(const char *data, const pr_export_t *export) {
    for (size_t i = 0; i < export->sets_count; i++) {
        const pr_result_set_t *set = &export->sets[i];
        pr_slice_t *slices = calloc((size_t)set->records + 1, sizeof *slices);
        size_t size = (size_t)(set->end - set->begin);
        size_t used;
        if (slices == NULL ||
            pr_export_slice(data + set->begin, size, slices, set->records + 1, &used) != set->records || used != size) {
            abort();
        }
        free(slices);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = pr_scratch_file("export.json", data, size);
    pr_error_t errors[2] = {PR_ERROR_INIT, PR_ERROR_INIT};
    pr_export_t *exports[2] = {NULL, NULL};
    /* Once in one piece, once in up to some 32 of a size that the input chooses: every byte can be a boundary, and a long
     * input does not cost a read a byte. */
    size_t chunks[2] = {1U << 14, 1 + size / 32 + (size > 0 ? data[size / 2] % 32 : 0)};
    for (unsigned i = 0; i < 2; i++) {
        if (pr_export_scan_chunked(path, s_mapping, chunks[i], NULL, NULL, &exports[i], &errors[i]) == 0) {
            s_check_slices((const char *)data, exports[i]);
        }
    }
    if (errors[0].code != errors[1].code || strcmp(errors[0].text, errors[1].text) != 0) {
        abort();
    }
    pr_export_destroy(&exports[0]);
    pr_export_destroy(&exports[1]);
    return 0;
}
