/* SPDX-License-Identifier: MIT */
/* The rejects that the target keeps, found by their bytes, wherever they stand. */
#ifndef PR_PROOF_REJECTS_H
#define PR_PROOF_REJECTS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

typedef struct pr_rejects pr_rejects_t;

/*  All rejects that still stand: of runs that are not taken back, not retried since, and whose record no later run has
 *  read again. A target without books has none. Takes 24 bytes a reject.
 *  ret_rejects: *returns new*. Errors: -PR_E_TARGET…. */
int pr_rejects_load(sqlite3 *db, const char *path, pr_rejects_t **ret_rejects, pr_error_t *err);
void pr_rejects_destroy(pr_rejects_t **rejects);

/* Whether these bytes are those of a reject; mark: and note that a record was found to be it. */
bool pr_rejects_have(pr_rejects_t *rejects, const char *bytes, size_t size, bool mark);

/* Whether these bytes are those of a reject that was marked. NULL-safe. */
bool pr_rejects_marked(const pr_rejects_t *rejects, const char *bytes, size_t size);
bool pr_rejects_any_marked(const pr_rejects_t *rejects);

#endif
