/* SPDX-License-Identifier: MIT */
/* Removes a test's folder with all that is in it. */
#ifndef PR_TEST_FOLDER_H
#define PR_TEST_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static inline int pr_test_folder_remove_one(const char *path, const struct stat *about, int kind, struct FTW *place) {
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

/* Returns 0, or not 0 if something is still there. Links are removed, not followed. */
static inline int pr_test_folder_remove(const char *path) {
    return nftw(path, pr_test_folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
