/* SPDX-License-Identifier: MIT */
/* A check of the target beside other work: in a thread of its own. */
#ifndef PR_BESIDE_H
#define PR_BESIDE_H

#include <sqlite3.h>

#include "common/error.h"
#include "common/failure.h"

typedef struct pr_beside pr_beside_t;

/*  What runs in the thread, and must use nothing but what it is given. db: a read-only connection of its own. list: what it
 *  finds. Returns 0 or <0. */
typedef int pr_beside_fn(sqlite3 *db, const char *target, const void *context, pr_proof_list_t *list, pr_error_t *err);

/*  Begin fn on the target as it is now; the caller can go on with its own. context: borrowed until the end, and not to be
 *  changed. ret_beside: *returns new*; it must be ended. Errors: -PR_E_TARGET…. */
int pr_beside_begin(const char *target, pr_beside_fn *fn, const void *context, pr_beside_t **ret_beside,
                    pr_error_t *err);

/*  Wait for the outcome, giving signs of life (pr_sql_alive), and set *beside to NULL. list: failures and findings are added
 *  to it. Errors: fn's. May block for long. */
int pr_beside_end(pr_beside_t **beside, pr_proof_list_t *list, pr_error_t *err);

#endif
