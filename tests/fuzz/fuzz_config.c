/* SPDX-License-Identifier: MIT */
/* Fuzz: any bytes as a configuration. What is accepted, saved, is read again as the same. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/config.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { s_saved_max = 1 << 20 };

/* A configuration as pr_config_save writes it. *Returns new*. */
static char *s_saved(const pr_config_t *config, const char *name) {
    char *path = pr_xasprintf("%s/%s", pr_scratch_dir(), name);
    char *text = pr_xmalloc(s_saved_max);
    pr_error_t problem = PR_ERROR_INIT;
    if (pr_config_save(config, path, &problem) < 0)
        abort();
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        abort();
    size_t size = fread(text, 1, s_saved_max - 1, file);
    fclose(file);
    text[size] = '\0';
    free(path);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_config_t *config = NULL, *again = NULL;
    pr_error_t problem = PR_ERROR_INIT;
    const char *path = pr_scratch_file("config.json", data, size);
    if (pr_config_load(path, &config, &problem) < 0) {
        if (problem.code != PR_E_CONFIG || problem.text[0] == '\0')
            abort();
        return 0;
    }
    char *once = s_saved(config, "once.json");
    char *saved = pr_xasprintf("%s/once.json", pr_scratch_dir());
    if (pr_config_load(saved, &again, &problem) < 0)
        abort();
    char *twice = s_saved(again, "twice.json");
    if (strcmp(once, twice) != 0)
        abort();
    free(saved);
    free(once);
    free(twice);
    pr_config_destroy(&config);
    pr_config_destroy(&again);
    return 0;
}
