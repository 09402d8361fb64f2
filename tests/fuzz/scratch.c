/* SPDX-License-Identifier: MIT */
/* A folder in memory for fuzz targets. */
#include "tests/fuzz/scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { s_files = 4, s_open_at_once = 8 };

/* A file that stays open. */
typedef struct {
    char name[32];
    char path[96];
    int fd;
} s_file_t;

static char s_dir[64];
static s_file_t s_open[s_files];

static int s_remove(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status;
    (void)type;
    if (place->level > 0 && remove(path) != 0)
        abort();
    return 0;
}

void pr_scratch_clear(void) {
    if (nftw(s_dir, s_remove, s_open_at_once, FTW_DEPTH | FTW_PHYS) != 0)
        abort();
}

static void s_leave(void) {
    pr_scratch_clear();
    (void)rmdir(s_dir);
}

const char *pr_scratch_dir(void) {
    if (s_dir[0] != '\0')
        return s_dir;
    snprintf(s_dir, sizeof s_dir, "%s/pvrelay-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(s_dir) == NULL || atexit(s_leave) != 0)
        abort();
    return s_dir;
}

const char *pr_scratch_file(const char *name, const void *data, size_t size) {
    size_t i = 0;
    while (i < s_files && s_open[i].name[0] != '\0' && strcmp(s_open[i].name, name) != 0)
        i++;
    if (i == s_files)
        abort();
    s_file_t *file = &s_open[i];
    if (file->name[0] == '\0') {
        snprintf(file->name, sizeof file->name, "%s", name);
        snprintf(file->path, sizeof file->path, "%s/%s", pr_scratch_dir(), name);
        file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    if (file->fd < 0 || ftruncate(file->fd, (off_t)size) != 0 || pwrite(file->fd, data, size, 0) != (ssize_t)size)
        abort();
    return file->path;
}
