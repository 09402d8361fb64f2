/* SPDX-License-Identifier: MIT */
/* An export file as a sliding buffer, with its digest. Private to common/export*.c. */
#ifndef PR_EXPORT_INPUT_H
#define PR_EXPORT_INPUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/export.h"

/*  DESIGN
 *
 *  read() into a buffer, not mmap: a mapped file that somebody truncates kills the process that looks at it.
 *  data[at, end) is what is there and not yet consumed; filling keeps it (moved to the front) and puts more behind
 *  it, so whoever needs a whole record just fills until it is whole. Pointers into data die with every fill.
 */
typedef struct {
    char *path; /* canonical; owned */
    int fd;
    uint64_t size; /* when it was opened */
    int64_t mtime_ns;
    char *data;
    size_t room;
    size_t at;
    size_t end;
    uint64_t base; /* offset in the file of data[0] */
    size_t chunk;
    void *hash;
    pr_export_progress_fn *progress;
    void *context;
    uint64_t reported; /* bytes at the last call of progress */
} pr_input_t;

/*  Open a regular file. chunk: bytes a read, at least 1. ret_input: filled; close it with pr_input_close.
 *  -PR_E_UNREADABLE. */
int pr_input_open(const char *path, size_t chunk, pr_export_progress_fn *progress, void *context, pr_input_t *ret_input,
                  pr_error_t *err);
void pr_input_close(pr_input_t *input);

/* Put more bytes behind what is there. 1: there are more; 0: the file ends here; -PR_E_UNREADABLE, -PR_E_INTERRUPTED.
 */
int pr_input_fill(pr_input_t *input, pr_error_t *err);

/* -PR_E_SOURCE_CHANGED if the file is not what it was when it was opened. */
int pr_input_unchanged(const pr_input_t *input, pr_error_t *err);

/* XXH3-64 of all bytes that were read. */
uint64_t pr_input_digest(const pr_input_t *input);

/* Offset in the file of the next byte. */
static inline uint64_t pr_input_offset(const pr_input_t *input) {
    return input->base + input->at;
}

/*  Note an error at a place: "path, byte OFFSET (line N): text". The line is counted now, by reading the file again up
 *  to there. Returns -code. */
int pr_input_fail(const pr_input_t *input, pr_error_code_t code, uint64_t offset, pr_error_t *err, const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* pr_export_scan with reads of chunk bytes: for tests that want every byte to be a boundary. */
int pr_export_scan_chunked(const char *path, const pr_mapping_t *mapping, size_t chunk, pr_export_progress_fn *progress,
                           void *context, pr_export_t **ret_export, pr_error_t *err);

#endif
