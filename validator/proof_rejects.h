/* SPDX-License-Identifier: MIT */
/* The rejects that the target keeps, found by their bytes, wherever they stand. */
#ifndef PR_PROOF_REJECTS_H
#define PR_PROOF_REJECTS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* A later run that has read the same record: what it made of it counts. */
#define PR_REJECT_READ_LATER                                                                                           \
    "SELECT 1 FROM pvrelay_source AS was JOIN pvrelay_source AS is_ ON is_.digest = was.digest AND is_.stream = "      \
    "was.stream AND is_.size = was.size AND is_.run > was.run JOIN pvrelay_run AS later ON later.run = is_.run JOIN "  \
    "pvrelay_checkpoint AS c ON c.run = is_.run AND c.source = is_.source AND c.kind = 'batch' WHERE was.run = j.run " \
    "AND was.source = j.source AND later.rolled_back_at IS NULL AND j.ordinal >= c.first_ordinal AND j.ordinal < "     \
    "c.first_ordinal + c.records"

/*  The condition that reject j still stands: its run is not taken back, it was not retried since, and no later run has read
 *  the record again. */
#define PR_REJECT_IS_OPEN                                                                                              \
    "j.run IN (SELECT run FROM pvrelay_run WHERE rolled_back_at IS NULL) AND j.retried_by IS NULL AND NOT EXISTS "     \
    "(" PR_REJECT_READ_LATER ")"

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
