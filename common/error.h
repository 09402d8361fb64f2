/* SPDX-License-Identifier: MIT */
/* The one table of errors: what can go wrong, whose fault it is, and the exit code it ends with. */
#ifndef PR_ERROR_H
#define PR_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

/*  name, number, class, exit code, sentence
 *
 *  Numbers are never reused. Classes: NONE, CONFIG (the operator's words are wrong), DATA (the export's
 *  content is), TARGET (the database is in the way), RETRY (the same command, given again, goes on),
 *  BUG (ours).
 */
#define PR_ERRORS(X)                                                                                                   \
    X(OK, 0, NONE, 0, "complete, validated, nothing rejected")                                                         \
    X(USAGE, 1, CONFIG, 1, "the command line is wrong")                                                                \
    X(CONFIG, 2, CONFIG, 1, "the configuration is wrong")                                                              \
    X(MAPPING, 3, CONFIG, 1, "the mapping is wrong")                                                                   \
    X(UNFINISHED, 4, CONFIG, 1, "the target holds another run that is not finished")                                   \
    X(VERSION, 5, CONFIG, 1, "another version of pvrelay takes part in the run")                                       \
    X(UNREADABLE, 10, DATA, 2, "an export cannot be read")                                                             \
    X(MALFORMED, 11, DATA, 2, "an export is not well-formed")                                                          \
    X(TRUNCATED, 12, DATA, 2, "an export is truncated")                                                                \
    X(NOT_DATA, 13, DATA, 2, "an export holds a failed or summarised command, not data")                               \
    X(SOURCE_CHANGED, 14, DATA, 2, "an export is no longer what the run began with")                                   \
    X(UNKNOWN_STREAM, 15, DATA, 2, "a result set belongs to no stream of the mapping")                                 \
    X(REJECTED, 20, DATA, 3, "complete, but records were rejected")                                                    \
    X(REJECT_LIMIT, 21, DATA, 2, "more records were rejected than allowed")                                            \
    X(VALIDATION, 30, DATA, 4, "what is stored is not what was exported")                                              \
    X(TARGET, 40, TARGET, 5, "the target database refused")                                                            \
    X(TARGET_LOCKED, 41, TARGET, 5, "the target database is held by another process")                                  \
    X(TARGET_FULL, 42, TARGET, 5, "the disk under the target database is full")                                        \
    X(TARGET_SCHEMA, 43, TARGET, 5, "the target database has not the tables the mapping needs")                        \
    X(CONFLICT, 44, TARGET, 5, "what is to be taken back was changed by somebody else since")                          \
    X(IRREVERSIBLE, 45, TARGET, 5, "there is no undo to go back that far")                                             \
    X(INTERRUPTED, 50, RETRY, 6, "interrupted; the same command continues")                                            \
    X(PROTOCOL, 60, RETRY, 70, "a message breaks the protocol")                                                        \
    X(INTERNAL, 70, BUG, 70, "internal error")

typedef enum {
#define X(name, number, class, exit_code, sentence) PR_E_##name = number,
    PR_ERRORS(X)
#undef X
} pr_error_code_t;

typedef enum {
    PR_CLASS_NONE,
    PR_CLASS_CONFIG,
    PR_CLASS_DATA,
    PR_CLASS_TARGET,
    PR_CLASS_RETRY,
    PR_CLASS_BUG
} pr_error_class_t;

/* An error with its circumstances. Owned by the caller; start it as PR_ERROR_INIT. */
typedef struct {
    pr_error_code_t code;
    char text[1024]; /* what happened, where, and what to do next; one line, UTF-8, no final stop */
} pr_error_t;

#define PR_ERROR_INIT                                                                                                  \
    { .code = PR_E_OK, .text = "" }

/*  Note an error. The first one wins: an error already noted stays.
 *
 *  err (may be NULL): where to note it. code: not PR_E_OK. format: printf's; the text says what, where
 *  (file:line; of an export byte or record, see common/position.h; stream, field) and what to do next; what is in it of
 *  others is escaped, and too long a text loses its middle (common/text.h).
 *  Returns -code, so that a function can `return pr_error_set(...)`.
 */
int pr_error_set(pr_error_t *err, pr_error_code_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with a va_list. */
int pr_error_vset(pr_error_t *err, pr_error_code_t code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Forget a noted error, so that the struct can be used again. NULL-safe. */
void pr_error_clear(pr_error_t *err);

/* The code of a name ("SOURCE_CHANGED"): 0 and ret_code, or -PR_E_CONFIG. */
int pr_error_code_from_name(const char *name, pr_error_code_t *ret_code);

/* Name ("SOURCE_CHANGED"), sentence, class, exit code of a code; a negative code means the same as its
 * absolute value; an unknown one answers as INTERNAL. The strings are static. */
const char *pr_error_name(int code);
const char *pr_error_sentence(int code);
pr_error_class_t pr_error_class(int code);
int pr_error_exit_code(int code);

#endif
