/* SPDX-License-Identifier: MIT */
/* What may be done with whoever reads our output: the one place that minds TERM and NO_COLOR. */
#ifndef PR_TERMINAL_H
#define PR_TERMINAL_H

#include <stdbool.h>

/* Is a descriptor a terminal that can do more than print lines? Not so if TERM is "dumb", empty or not set. */
bool pr_terminal_moves(int file);

/* May it be given colours? If it can more than print lines, and NO_COLOR is not set, or empty (https://no-color.org). */
bool pr_terminal_colours(int file);

#endif
