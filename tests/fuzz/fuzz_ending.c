/* SPDX-License-Identifier: MIT */
/* Fuzz: any bytes as ended.json in a run folder. What is understood, saved, is read again as the same. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/ending.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_ending_t ending = {.code = PR_E_OK}, again = {.code = PR_E_OK};
    (void)pr_scratch_file("ended.json", data, size);
    if (pr_ending_load(pr_scratch_dir(), NULL, &ending) == 0)
        return 0;
    /* Saved elsewhere: the file of the input stays open. */
    char other[96];
    snprintf(other, sizeof other, "%s/again", pr_scratch_dir());
    if (mkdir(other, 0700) < 0 && errno != EEXIST)
        abort();
    if (pr_ending_save(other, &ending, NULL) < 0 || pr_ending_load(other, &ending.run, &again) != 1 ||
        again.code != ending.code || strcmp(again.text, ending.text) != 0)
        abort();
    return 0;
}
