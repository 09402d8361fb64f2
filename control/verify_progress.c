/* SPDX-License-Identifier: MIT */
/* How far `pvrelay verify` is. */
#include "control/verify_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/format.h"

enum { s_bar_ms = 250, s_plain_ms = 2000, s_line_bytes = 160 };

size_t pr_verify_progress_text(const char *what, const char *unit, uint64_t done, uint64_t total, int64_t elapsed_ms,
                               char *buffer, size_t size) {
    bool bytes = strcmp(unit, "bytes") == 0;
    int used = snprintf(buffer, size, "%s %s %% of %s%s%s", what, pr_format_progress(done, total).text,
                        bytes ? pr_format_bytes(total).text : pr_format_count(total).text, bytes ? "" : " ",
                        bytes ? "" : unit);
    if (elapsed_ms >= 0 && done > 0 && done < total && (size_t)used < size) {
        double left_s = (double)elapsed_ms / 1000 * (double)(total - done) / (double)done;
        used += snprintf(buffer + used, size - (size_t)used, ", ETA %s", pr_format_clock(left_s).text);
    }
    return (size_t)used;
}

void pr_verify_progress_begin(pr_verify_progress_t *progress, int64_t now_ms) {
    progress->began_ms = now_ms;
    progress->done = 0;
}

void pr_verify_progress_show(pr_verify_progress_t *progress, const char *what, const char *unit, uint64_t done,
                             uint64_t total, int64_t now_ms) {
    char line[s_line_bytes];
    bool bar = progress->mode == PR_VIEW_BAR;
    if (progress->shown_ms == 0)
        progress->shown_ms = progress->began_ms; /* nothing for what is over at once */
    if (progress->mode == PR_VIEW_NONE || done == progress->done ||
        now_ms - progress->shown_ms < (bar ? s_bar_ms : s_plain_ms))
        return;
    progress->shown_ms = now_ms;
    progress->done = done;
    progress->drawn = bar;
    pr_verify_progress_text(what, unit, done, total, now_ms - progress->began_ms, line, sizeof line);
    fprintf(stderr, bar ? "\r\033[K%s" : "pvrelay: %s\n", line);
    fflush(stderr);
}

void pr_verify_progress_clear(pr_verify_progress_t *progress) {
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = 0;
}
