/* SPDX-License-Identifier: MIT */
/* How far `pvrelay verify` is: one line on stderr, redrawn in place or printed now and then. */
#ifndef PR_VERIFY_PROGRESS_H
#define PR_VERIFY_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "control/progress_view.h"

/* Begin with mode and began_ms set, the rest zero. */
typedef struct {
    pr_view_mode_t mode;
    int64_t began_ms; /* pr_now_ms, as the others */
    int64_t shown_ms;
    uint64_t done; /* when it was last shown: a line says something new, or is not printed */
    int drawn;     /* there is a line to be taken away */
} pr_verify_progress_t;

/*  The line, without '\n': "proving 45.2 % of 1,234,567 records, ETA 0:12". what: "scanning", "proving". unit: "bytes"
 *  is told in KB, MB, GB. elapsed_ms: since this kind of work began; <0: no ETA. Returns the size, as snprintf. */
size_t pr_verify_progress_text(const char *what, const char *unit, uint64_t done, uint64_t total, int64_t elapsed_ms,
                               char *buffer, size_t size);

/* Show it, if it is time: a bar 4 times a second, plain every 2 s. */
void pr_verify_progress_show(pr_verify_progress_t *progress, const char *what, const char *unit, uint64_t done,
                             uint64_t total, int64_t now_ms);

/* Another kind of work begins. */
void pr_verify_progress_begin(pr_verify_progress_t *progress, int64_t now_ms);

/* Take the line away. */
void pr_verify_progress_clear(pr_verify_progress_t *progress);

#endif
