/* SPDX-License-Identifier: MIT */
/* The command line of a command: options anywhere, operands between them. */
#ifndef PR_OPTIONS_H
#define PR_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

typedef enum {
    PR_OPTION_FLAG,   /* into: bool, set to true */
    PR_OPTION_TEXT,   /* into: const char *, borrows from argv; must not be empty */
    PR_OPTION_NUMBER, /* into: int64_t, from least to most */
    PR_OPTION_WORD    /* into: int, index of the word in `words` */
} pr_option_kind_t;

/* An option that a command knows. What is not given stays as it was. */
typedef struct {
    const char *name; /* "--target" */
    pr_option_kind_t kind;
    void *into;
    int64_t least, most;      /* NUMBER */
    const char *const *words; /* WORD: NULL-terminated */
} pr_option_t;

/* A list of operands, borrowed from argv; free(at) is the owner's. */
typedef struct {
    const char **at;
    size_t count;
} pr_operands_t;

/*  Parse argv[1…]; argv[0] is the command's name and is used in messages.
 *  "--name value" and "--name=value" mean the same; "--" ends the options; of an option given twice the last one
 *  counts. operands_max: how many operands the command takes. ret_operands->at: *returns new*; untouched on failure.
 *  Values and operands that are not UTF-8 are refused: they are paths, which must come out of a JSON as they went in.
 *  Errors: -PR_E_USAGE, with how to get help. */
int pr_options_parse(const pr_option_t *options, size_t count, int argc, char **argv, size_t operands_max,
                     pr_operands_t *ret_operands, pr_error_t *err);

/* The same for a command that takes no operand. */
int pr_options_parse_alone(const pr_option_t *options, size_t count, int argc, char **argv, pr_error_t *err);

/* Note a usage error of a command, with how to get help. Returns -PR_E_USAGE. */
int pr_options_wrong(const char *command, pr_error_t *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
