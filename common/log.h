/* SPDX-License-Identifier: MIT */
/* Logging to stderr, a line an event, with systemd's <priority> prefix when stderr is not a terminal. */
#ifndef PR_LOG_H
#define PR_LOG_H

#include <stdarg.h>

#include "common/error.h"

typedef enum {
    PR_LOG_ERROR = 3,
    PR_LOG_WARNING = 4,
    PR_LOG_NOTICE = 5,
    PR_LOG_INFO = 6,
    PR_LOG_DEBUG = 7
} pr_log_level_t;

/*  Set who speaks ("reader", "transformer-2") and the lowest urgency that is printed (default NOTICE).
 *  Copies name. Call once, before the first line. */
void pr_log_open(const char *name, pr_log_level_t level);

/* Print a line: "<5>pvrelay-reader: text". Never fails, keeps errno. */
void pr_log(pr_log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*  Print a warning that others can cause as often as they like: once for each kind of text (numbers in it do not make
 *  another kind), and for so many kinds only; what comes again is counted. */
void pr_log_repeatable(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print how often each of them came, if it came again, and begin anew. */
void pr_log_repetitions(void);

/* Log an error with its name: "<3>pvrelay-reader: SOURCE_CHANGED: text". */
void pr_log_error(const pr_error_t *err);

/* The last warning or error that was logged, without prefixes; "" if none was. Borrowed until the next line. */
const char *pr_log_last(void);

/* Level by word (error, warning, notice, info, debug); -1 if it is none. */
int pr_log_level_from_word(const char *word);

#endif
