/* SPDX-License-Identifier: MIT */
/* What pvrelay last stored in a row, as far as the target's undo tells. */
#ifndef PR_LAST_STORED_H
#define PR_LAST_STORED_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*  The values of these columns in the row with this id, printed as pr_sql_value_print does. checkpoints: those that wrote the
 *  row, newest first. ret_texts: one per column: *returns new* (free); NULL: not known, as undo is off, sealed or
 *  damaged there. Unpacks a commit's changes at a time. Errors: -PR_E_TARGET…. */
int pr_last_stored(sqlite3 *db, const char *table, int64_t id, const int64_t *checkpoints, size_t checkpoints_count,
                   const char *const *columns, size_t columns_count, char **ret_texts, pr_error_t *err);

#endif
