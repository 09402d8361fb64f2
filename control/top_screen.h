/* SPDX-License-Identifier: MIT */
/* The screen of pvrelay top: a view drawn on a terminal of any size, and its keys. */
#ifndef PR_TOP_SCREEN_H
#define PR_TOP_SCREEN_H

#include <stdbool.h>

#include "common/error.h"
#include "control/top_model.h"

typedef struct pr_top_screen pr_top_screen_t;

typedef enum {
    PR_TOP_KEY_NONE, /* nothing is waiting */
    PR_TOP_KEY_QUIT,
    PR_TOP_KEY_PAUSE,
    PR_TOP_KEY_SORT,
    PR_TOP_KEY_REDRAW, /* the size has changed, or ^L */
    PR_TOP_KEY_OTHER
} pr_top_key_t;

/*  Take over the terminal of stdin and stdout. ret_screen: *returns new*. Errors: -PR_E_USAGE: there is none, or it
 *  cannot do what a screen needs; instead is the command that the text offers then. */
int pr_top_screen_open(const char *instead, pr_top_screen_t **ret_screen, pr_error_t *err);

/* Give the terminal back as it was. */
void pr_top_screen_close(pr_top_screen_t **screen);

/* Draw a view, its rows in the order in which they are. run_dir: where it is looked for. */
void pr_top_screen_draw(pr_top_screen_t *screen, const pr_top_view_t *view, const char *run_dir, pr_top_order_t order,
                        bool paused);

/* The next key that waits. Never blocks. */
pr_top_key_t pr_top_screen_key(pr_top_screen_t *screen);

#endif
