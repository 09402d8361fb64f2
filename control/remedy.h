/* SPDX-License-Identifier: MIT */
/* What settles the rejects of a run: sentences, and the commands that go with them. */
#ifndef PR_REMEDY_H
#define PR_REMEDY_H

#include <stddef.h>

#include "control/report.h"
#include "control/strings.h"

enum { PR_REMEDIES_MAX = 4, PR_REMEDY_COMMANDS = 2 };

typedef struct {
    pr_string_t sentence;
    const char *argument;               /* of the sentence, or NULL; borrowed from the report */
    char *commands[PR_REMEDY_COMMANDS]; /* as they can be pasted, in order; NULL: none */
} pr_remedy_t;

/*  What settles the rejects of a report of a run, by their reasons. ret_remedies: *returns new* commands.
 *  Returns how many there are: 0 if nothing was rejected. */
size_t pr_remedies(const pr_report_t *report, pr_remedy_t ret_remedies[PR_REMEDIES_MAX]);

void pr_remedies_free(pr_remedy_t *remedies, size_t count);

#endif
