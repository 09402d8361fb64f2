/* SPDX-License-Identifier: MIT */
/* What SQLite makes of values in a column (its documentation, "Datatypes In SQLite", 3). */
#ifndef PR_AFFINITY_H
#define PR_AFFINITY_H

#include <stdbool.h>

#include "common/value.h"

typedef enum {
    PR_AFFINITY_NONE,
    PR_AFFINITY_TEXT,
    PR_AFFINITY_INTEGER,
    PR_AFFINITY_REAL,
    PR_AFFINITY_NUMERIC
} pr_affinity_t;

/* Affinity of a column by its declared type (NULL: none). */
pr_affinity_t pr_affinity_of(const char *declared);

/*  Is the value certainly stored with its kind and content? An integer in a REAL column counts as that: it comes back as
 *  the real of the same number. False where it is converted, or might be. */
bool pr_affinity_keeps(pr_affinity_t affinity, const pr_value_t *value);

#endif
