/* SPDX-License-Identifier: MIT */
/* Reading a whole piece of an open export. */
#include "common/read_at.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/position.h"

int pr_read_at(int file, const char *path, void *data, size_t size, uint64_t offset, pr_error_t *err) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(file, (char *)data + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pr_error_set(err, got < 0 ? PR_E_UNREADABLE : PR_E_SOURCE_CHANGED, PR_AT_BYTE ": %s", path,
                                offset + done, got < 0 ? strerror(errno) : "the file has become shorter");
        done += (size_t)got;
    }
    return 0;
}
