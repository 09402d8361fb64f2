/* SPDX-License-Identifier: MIT */
/* What a daemon says on stderr: cut into lines, its fatal error kept apart. */
#ifndef PR_DAEMON_LINES_H
#define PR_DAEMON_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { PR_DAEMON_LINE_BYTES = 2048 };

typedef struct {
    char data[PR_DAEMON_LINE_BYTES];
    size_t used;
    pr_error_t fatal; /* the newest line "program: NAME: text" of priority error; code PR_E_OK: none */
} pr_daemon_lines_t;

/* A line is at hand: without priority prefix, without '\n'. */
typedef void pr_daemon_line_fn(void *context, const char *line);

/*  Take bytes in. program: "pvrelay-reader". Lines less urgent than `level` (systemd's numbers: 3 error, 4 warning) are
 *  dropped; one without a prefix counts as a warning. A fatal error is kept in `fatal` instead of being handed on; an
 *  older one is handed on then. */
void pr_daemon_lines_take(pr_daemon_lines_t *lines, const char *program, const char *data, size_t size, int level,
                          pr_daemon_line_fn *line, void *context);

/* The daemon is gone: what stands there without a line's end is a line too. */
void pr_daemon_lines_end(pr_daemon_lines_t *lines, const char *program, int level, pr_daemon_line_fn *line,
                         void *context);

#endif
