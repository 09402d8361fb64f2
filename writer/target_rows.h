/* SPDX-License-Identifier: MIT */
/* The rows of the mapping, made ready once: column lists, statements, lookups. */
#ifndef PR_TARGET_ROWS_H
#define PR_TARGET_ROWS_H

#include "common/error.h"
#include "writer/target_sqlite.h"

/* Allocate target->streams after target->mapping, without statements. */
void pr_target_rows_new(pr_target_t *target);

/*  Decide the column lists and prepare the statements. Needs what pr_target_schema_check fills in.
 *  Errors: -PR_E_MAPPING (found_through reads a field that no row carries), -PR_E_TARGET…. */
int pr_target_rows_prepare(pr_target_t *target, pr_error_t *err);

/* Finalise and free. NULL-safe in all parts. */
void pr_target_rows_destroy(pr_target_t *target);

#endif
