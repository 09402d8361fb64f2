/* SPDX-License-Identifier: MIT */
/* What tables and columns the target really has, against what the mapping needs. */
#ifndef PR_TARGET_SCHEMA_H
#define PR_TARGET_SCHEMA_H

#include "common/error.h"
#include "writer/target_sqlite.h"

/*  Look at every table and column that the mapping names. Needs target->db and target->mapping; fills, per row,
 *  `present` and `unique`. target->streams must be allocated, with `present` for every column. Errors:
 *  -PR_E_TARGET_SCHEMA, the text lists all that lacks (cut after 1,000 bytes); -PR_E_TARGET…. Changes nothing. */
int pr_target_schema_check(pr_target_t *target, pr_error_t *err);

#endif
