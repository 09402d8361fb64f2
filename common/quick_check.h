/* SPDX-License-Identifier: MIT */
/* What SQLite's quick_check says. */
#ifndef PR_QUICK_CHECK_H
#define PR_QUICK_CHECK_H

#include <sqlite3.h>

#include "common/error.h"

/*  Is this line of quick_check (not "ok") a finding about the database? A page that could not be read, from a disk that
 *  fails or for want of memory, is listed like one, and says nothing of what is stored. 0: it is a finding;
 *  -PR_E_TARGET… with path: nothing is known. db: that was checked. */
int pr_quick_check_finding(sqlite3 *db, const char *path, const char *line, pr_error_t *err);

#endif
