/* SPDX-License-Identifier: MIT */
/* Counting starts. */
#include "common/starts.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/file.h"

uint32_t pr_starts_count(const char *run_dir, const char *who) {
    char *path = pr_xasprintf("%s/%s.starts", run_dir, who);
    char text[16] = "";
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(text, sizeof text, file) == NULL)
            text[0] = '\0';
        fclose(file);
    }
    unsigned long before = strtoul(text, NULL, 10);
    uint32_t starts = before < UINT32_MAX ? (uint32_t)before + 1 : UINT32_MAX;
    snprintf(text, sizeof text, "%" PRIu32 "\n", starts);
    (void)pr_file_write_text(path, text, 0644, 0);
    free(path);
    return starts;
}

void pr_starts_clear(const char *run_dir) {
    glob_t found = {0};
    char *pattern = pr_xasprintf("%s/*.starts", run_dir);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    }
    globfree(&found);
    free(pattern);
}
