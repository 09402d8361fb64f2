/* SPDX-License-Identifier: MIT */
/* Fuzz: a spool folder in which anything lies under any name. Sets are claimed, found again and moved until none is left;
 * nothing is lost on the way, and no path leads out of the spool. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/utf8.h"
#include "control/spool.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { s_entries_max = 24, s_name_max = 255, s_open_at_once = 8 };

static size_t s_leaves;

static int s_count_leaf(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)path;
    (void)status;
    (void)place;
    if (type != FTW_D && type != FTW_DP)
        s_leaves++;
    return 0;
}

/* All that is no folder, below the spool. */
static size_t s_count(const char *spool) {
    s_leaves = 0;
    if (nftw(spool, s_count_leaf, s_open_at_once, FTW_PHYS) != 0)
        abort();
    return s_leaves;
}

/* Make an entry: a file, a folder, a link, a FIFO. One whose name is taken or impossible is left out. */
static void s_make(const char *folder, unsigned kind, const char *name) {
    char path[PATH_MAX];
    int file;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return;
    switch (kind % 4) {
    case 0:
        file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_EXCL, 0600);
        if (file >= 0)
            close(file);
        break;
    case 1:
        (void)mkdir(path, 0700);
        break;
    case 2:
        (void)!symlink("elsewhere", path);
        break;
    case 3:
        (void)mkfifo(path, 0600);
        break;
    }
}

/*  Input: marked or not (one byte), then entries: kind, and whether it goes into the folder before it (one byte), length
 *  of the name (one byte), name. */
static bool s_fill(const char *spool, const uint8_t *data, size_t size) {
    char folder[PATH_MAX], name[s_name_max + 1];
    snprintf(folder, sizeof folder, "%s", spool);
    for (size_t at = 1, entries = 0; at + 2 <= size && entries < s_entries_max; entries++) {
        unsigned kind = data[at];
        size_t length = data[at + 1];
        at += 2;
        if (length > size - at)
            length = size - at;
        memcpy(name, data + at, length);
        name[length] = '\0';
        at += length;
        if (strlen(name) == 0 || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        s_make((kind & 4) != 0 ? folder : spool, kind, name);
        if (kind % 4 == 1)
            snprintf(folder, sizeof folder, "%s/%s", spool, name);
    }
    return (data[0] & 1) != 0;
}

static bool s_is_below(const char *path, const char *folder) {
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && path[size] == '/' && strstr(path + size, "/../") == NULL;
}

static void s_check_set(const pr_spool_t *spool, const pr_spool_set_t *set) {
    if (!s_is_below(set->folder, pr_spool_work(spool)) || strchr(set->name, '/') != NULL ||
        (set->count == 0 && set->wrong.code == PR_E_OK))
        abort();
    for (size_t i = 0; i < set->count; i++) {
        if (!s_is_below(set->files[i], set->folder) || !pr_utf8_is_valid(set->files[i], strlen(set->files[i])))
            abort();
    }
}

/* One set from its claim to its end. False: there was none, or the spool refuses itself. */
static bool s_turn(pr_spool_t *spool, unsigned choice) {
    pr_spool_set_t set, found;
    if (pr_spool_claim(spool, &set, NULL) != 1)
        return false;
    s_check_set(spool, &set);
    if ((choice & 1) != 0 && pr_spool_renew(spool, &set, NULL) < 0)
        abort();
    if (pr_spool_find(spool, &found, NULL) != 1 || strcmp(found.id, set.id) != 0 || strcmp(found.name, set.name) != 0 ||
        found.count != set.count || found.wrong.code != set.wrong.code)
        abort();
    char *place = pr_spool_place(spool, &set, (choice & 2) != 0);
    if (pr_spool_finish(spool, &set, place, NULL) < 0)
        abort();
    free(place);
    pr_spool_set_release(&found);
    if (pr_spool_find(spool, &found, NULL) != 0)
        abort();
    pr_spool_set_release(&set);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_spool_t *spool = NULL;
    pr_spool_set_t set;
    if (size == 0)
        return 0;
    char *dir = pr_xasprintf("%s/spool", pr_scratch_dir());
    if (mkdir(dir, 0700) < 0)
        abort();
    bool marked = s_fill(dir, data, size);
    size_t before = s_count(dir);
    int turns = 0;
    if (pr_spool_open(dir, marked, &spool, NULL) == 0) {
        int found = pr_spool_find(spool, &set, NULL);
        if (found == 1)
            pr_spool_set_release(&set);
        while (found == 0 && s_turn(spool, data[(size_t)turns % size])) {
            if (++turns > s_entries_max)
                abort();
        }
    }
    if (s_count(dir) != before)
        abort();
    pr_spool_destroy(&spool);
    pr_scratch_clear();
    free(dir);
    return 0;
}
