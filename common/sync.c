/* SPDX-License-Identifier: MIT */
/* What was written is on the disk. */
#include "common/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"

int pr_sync_path(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    int result = fsync(file) == 0 || errno == EINVAL ? 0 : -1;
    int why = errno;
    close(file);
    errno = why;
    return result;
}

int pr_sync_parent(const char *path) {
    char *copy = pr_xstrdup(path);
    int result = pr_sync_path(dirname(copy));
    free(copy);
    return result;
}
