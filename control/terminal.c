/* SPDX-License-Identifier: MIT */
/* What may be done with a terminal. */
#include "control/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool pr_terminal_moves(int file) {
    const char *term = getenv("TERM");
    return isatty(file) == 1 && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
}

bool pr_terminal_colours(int file) {
    const char *no = getenv("NO_COLOR");
    return pr_terminal_moves(file) && (no == NULL || *no == '\0');
}
