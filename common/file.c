/* SPDX-License-Identifier: MIT */
/* Making files. */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/sync.h"

enum { s_tries = 100 };

static int s_make(const char *path, mode_t mode) {
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

/* A new file beside path. ret_name: *returns new*. Returns its descriptor, or -1 with errno. */
static int s_make_beside(const char *path, mode_t mode, char **ret_name) {
    for (int i = 0; i < s_tries; i++) {
        uint64_t chance = 0;
        if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
            return -1;
        char *name = pr_xasprintf("%s.%016" PRIx64 ".new", path, chance);
        int file = s_make(name, mode);
        if (file >= 0) {
            *ret_name = name;
            return file;
        }
        free(name);
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

static int s_write_all(int file, const char *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t written = write(file, data + done, size - done);
        if (written < 0 && errno != EINTR)
            return -1;
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int pr_file_write(const char *path, const void *data, size_t size, mode_t mode, int durable) {
    char *name = NULL;
    int file = s_make_beside(path, mode, &name);
    if (file < 0)
        return -1;
    int failed = s_write_all(file, data, size) < 0 || (durable && fsync(file) < 0);
    int why = errno;
    if (close(file) < 0 && !failed) {
        failed = 1;
        why = errno;
    }
    if (!failed && rename(name, path) < 0) {
        failed = 1;
        why = errno;
    }
    if (failed) {
        unlink(name);
    } else if (durable && pr_sync_parent(path) < 0) {
        failed = 1;
        why = errno;
    }
    free(name);
    errno = why;
    return failed ? -1 : 0;
}

int pr_file_write_text(const char *path, const char *text, mode_t mode, int durable) {
    return pr_file_write(path, text, strlen(text), mode, durable);
}

FILE *pr_file_create(const char *path, mode_t mode) {
    int file = s_make(path, mode);
    if (file < 0 && errno == EEXIST && unlink(path) == 0)
        file = s_make(path, mode);
    return file >= 0 ? fdopen(file, "w") : NULL;
}
