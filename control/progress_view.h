/* SPDX-License-Identifier: MIT */
/* Progress before the operator's eyes: a table redrawn in place on a terminal, or plain lines. */
#ifndef PR_PROGRESS_VIEW_H
#define PR_PROGRESS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/meter.h"

typedef enum { PR_VIEW_BAR, PR_VIEW_PLAIN, PR_VIEW_NONE } pr_view_mode_t;

/*  The table as text: a line per stage under a headline, and a bar. Lines end with '\n'.
 *  columns: of the terminal, 20 or more; lines are at most columns - 1 wide, narrower than 76 they lose columns from
 *  the right. colour: rejects and failures stand out. Returns the size, as snprintf does; the text is cut to size. */
size_t pr_view_print_table(const pr_meter_view_t *view, unsigned columns, bool colour, char *buffer, size_t size);

/* The same in one line without '\n'. */
size_t pr_view_print_line(const pr_meter_view_t *view, char *buffer, size_t size);

typedef struct pr_view pr_view_t;

/* A view that writes to stderr. now_ms: pr_now_ms, as in the other functions. *Returns new*. */
pr_view_t *pr_view_new(pr_view_mode_t mode, int64_t now_ms);
void pr_view_destroy(pr_view_t **view);

/* What the mode is when none was asked for: a bar on a terminal that can do it, else plain. */
pr_view_mode_t pr_view_default_mode(void);

/* Show how things stand, if it is time: bar 4 times a second, plain every 2 s. */
void pr_view_show(pr_view_t *view, pr_meter_t *meter, int64_t now_ms);

/* Print a line (without '\n') above the table, or just so. */
void pr_view_say(pr_view_t *view, const char *line);

/* Take the table away. */
void pr_view_clear(pr_view_t *view);

#endif
