/* SPDX-License-Identifier: MIT */
/* The check that the database file is sound, beside other work. */
#ifndef PR_FILE_CHECK_H
#define PR_FILE_CHECK_H

#include "common/error.h"
#include "common/failure.h"

typedef struct pr_file_check pr_file_check_t;

/*  Begin to check the file as it is now: in a thread of its own, through a connection of its own, so that the caller can
 *  go on with its own. target: path of the database. ret_check: *returns new*; it must be ended. Errors: -PR_E_TARGET…. */
int pr_file_check_begin(const char *target, pr_file_check_t **ret_check, pr_error_t *err);

/*  Wait for the outcome, giving signs of life (pr_sql_alive), and set *check to NULL. list: what is not sound is added to
 *  it. Errors: -PR_E_TARGET…. May block for long. */
int pr_file_check_end(pr_file_check_t **check, pr_proof_list_t *list, pr_error_t *err);

#endif
