/* SPDX-License-Identifier: MIT */
/* What the monitor reads from disk: the target's bookkeeping and the newest report. Never writes. */
/*  DESIGN
 *
 *  Reading is asked for once a second by each page that is open, so what was read is kept: for a second, or, if reading
 *  took long, until twenty times as long has passed: then it takes at most a twentieth of the monitor's time, however big
 *  the target's books are. Only tables of pvrelay's own are read, none of the data.
 */
#ifndef PR_MONITOR_BOOKS_H
#define PR_MONITOR_BOOKS_H

#include <jansson.h>
#include <stdint.h>

#include "control/where.h"

enum { PR_BOOKS_RUNS = 10, PR_BOOKS_CHECKPOINTS = 200 };

typedef struct pr_books pr_books_t;

/* What is known of the target now. */
typedef struct {
    json_t *runs;          /* the newest PR_BOOKS_RUNS, oldest first */
    json_t *checkpoints;   /* of the newest run, commits put together to at most PR_BOOKS_CHECKPOINTS */
    json_t *rejects;       /* of the newest run: {"reason", "sentence", "count"}, most first */
    json_t *report;        /* {"path", "made_at", "run", "verdict", "outcome"} or null */
    const char *error;     /* why the target cannot be read; NULL: it can, or there is none yet */
    const char *newest;    /* id of the newest run, the last of runs; "" if there is none */
    uint64_t newest_total; /* records of its exports */
} pr_books_view_t;

pr_books_t *pr_books_new(void);
void pr_books_destroy(pr_books_t **books);

/*  Look, or remember. now_ms: pr_now_ms. mark: a number that tells how the run stands: with another one than last time
 *  what is remembered will not do (a run that has just ended is not shown as it was before its end). May block on the disk; on a target that somebody holds for at most some seconds.
 *  ret_view: borrowed until the next call. */
void pr_books_look(pr_books_t *books, const pr_where_t *where, int64_t now_ms, uint64_t mark,
                   pr_books_view_t *ret_view);

#endif
