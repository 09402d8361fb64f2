/* SPDX-License-Identifier: MIT */
/* Is this a changeset? */
#ifndef PR_CHANGESET_H
#define PR_CHANGESET_H

#include <stddef.h>

#include "common/error.h"

/*  Walk the bytes once, from end to end, and see that they are a changeset as SQLite's session extension makes them: its
 *  own iterator, given others, may never end, or read what it must not (the extension's file sqlite3session.c, "CHANGESET
 *  FORMAT"). Errors: -PR_E_TARGET, saying what is wrong at which byte. */
int pr_changeset_check(const void *changes, size_t size, pr_error_t *err);

#endif
