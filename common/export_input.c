/* SPDX-License-Identifier: MIT */
/* An export file as a sliding buffer, with its digest. */
#include "common/export_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/position.h"

enum { PROGRESS_BYTES = 16 << 20 };

static int64_t s_mtime_ns(const struct stat *status) {
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

int pr_input_open(const char *path, size_t chunk, pr_export_progress_fn *progress, void *context, pr_input_t *ret_input,
                  pr_error_t *err) {
    /* O_NONBLOCK: opening a FIFO must not wait for its writer; on a regular file it means nothing. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return pr_error_set(err, PR_E_UNREADABLE, "%s: cannot be opened: %s", path, strerror(errno));
    }
    struct stat status;
    char *canonical = realpath(path, NULL);
    if (fstat(fd, &status) < 0 || canonical == NULL) {
        int problem = errno;
        free(canonical);
        close(fd);
        return pr_error_set(err, PR_E_UNREADABLE, "%s: cannot be looked at: %s", path, strerror(problem));
    }
    if (!S_ISREG(status.st_mode)) {
        int rc =
            pr_error_set(err, PR_E_UNREADABLE, "%s: is not a regular file; give the export file itself", canonical);
        free(canonical);
        close(fd);
        return rc;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint: without it reading is only slower */
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL) {
        abort();
    }
    (void)XXH3_64bits_reset(hash);
    *ret_input = (pr_input_t){.path = canonical,
                              .fd = fd,
                              .size = (uint64_t)status.st_size,
                              .mtime_ns = s_mtime_ns(&status),
                              .data = pr_xmalloc(2 * chunk),
                              .room = 2 * chunk,
                              .chunk = chunk,
                              .hash = hash,
                              .progress = progress,
                              .context = context};
    return 0;
}

void pr_input_close(pr_input_t *input) {
    if (input->path == NULL) {
        return;
    }
    close(input->fd);
    XXH3_freeState(input->hash);
    free(input->data);
    free(input->path);
    *input = (pr_input_t){.fd = -1};
}

/* Move what is not consumed to the front and make room for a chunk behind it. */
static void s_make_room(pr_input_t *input) {
    if (input->at > 0) {
        memmove(input->data, input->data + input->at, input->end - input->at);
        input->base += input->at;
        input->end -= input->at;
        input->at = 0;
    }
    if (input->room - input->end < input->chunk) {
        input->room += input->room / 2 + input->chunk;
        input->data = pr_xrealloc(input->data, input->room);
    }
}

static int s_report(pr_input_t *input, bool ended, pr_error_t *err) {
    uint64_t done = input->base + input->end;
    if (input->progress == NULL || done - input->reported < (ended ? 1 : PROGRESS_BYTES)) {
        return 0;
    }
    input->reported = done;
    if (!input->progress(input->context, done, input->size)) {
        return pr_error_set(err, PR_E_INTERRUPTED, "%s: interrupted at byte %llu of %llu; the same command begins anew",
                            input->path, (unsigned long long)done, (unsigned long long)input->size);
    }
    return 0;
}

int pr_input_fill(pr_input_t *input, pr_error_t *err) {
    s_make_room(input);
    ssize_t got;
    do {
        got = read(input->fd, input->data + input->end, input->chunk);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return pr_error_set(err, PR_E_UNREADABLE, PR_AT_BYTE ": cannot be read: %s", input->path,
                            input->base + input->end, strerror(errno));
    }
    (void)XXH3_64bits_update(input->hash, input->data + input->end, (size_t)got);
    input->end += (size_t)got;
    int rc = s_report(input, got == 0, err);
    if (rc < 0) {
        return rc;
    }
    return got > 0 ? 1 : 0;
}

int pr_input_unchanged(const pr_input_t *input, pr_error_t *err) {
    struct stat status;
    if (fstat(input->fd, &status) < 0) {
        return pr_error_set(err, PR_E_UNREADABLE, "%s: cannot be looked at: %s", input->path, strerror(errno));
    }
    if ((uint64_t)status.st_size != input->size) {
        return pr_error_set(err, PR_E_SOURCE_CHANGED,
                            "%s: changed while it was read: was %llu bytes, is %llu; wait until the export has ended, "
                            "then give the same command again",
                            input->path, (unsigned long long)input->size, (unsigned long long)status.st_size);
    }
    if (s_mtime_ns(&status) != input->mtime_ns) {
        return pr_error_set(err, PR_E_SOURCE_CHANGED,
                            "%s: was written to while it was read; wait until the export has ended, then give the same "
                            "command again",
                            input->path);
    }
    return 0;
}

uint64_t pr_input_digest(const pr_input_t *input) {
    return XXH3_64bits_digest(input->hash);
}

/* The line, from 1, on which the byte at offset stands. */
static uint64_t s_line(const pr_input_t *input, uint64_t offset) {
    char block[65536];
    uint64_t line = 1;
    for (uint64_t at = 0; at < offset;) {
        size_t want = offset - at < sizeof block ? (size_t)(offset - at) : sizeof block;
        ssize_t got = pread(input->fd, block, want, (off_t)at);
        if (got <= 0) {
            break;
        }
        for (ssize_t i = 0; i < got; i++) {
            line += block[i] == '\n';
        }
        at += (uint64_t)got;
    }
    return line;
}

int pr_input_fail(const pr_input_t *input, pr_error_code_t code, uint64_t offset, pr_error_t *err, const char *format,
                  ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return pr_error_set(err, code, PR_AT_BYTE " (line %" PRIu64 "): %s", input->path, offset, s_line(input, offset),
                        text);
}
