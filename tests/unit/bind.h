/* SPDX-License-Identifier: MIT */
/* Values of records as parameters of a test's own statements. */
#ifndef PR_TEST_BIND_H
#define PR_TEST_BIND_H

#include <sqlite3.h>

#include "common/value.h"

/* at: from 1. Texts are not copied. */
static inline void pr_test_bind(sqlite3_stmt *statement, int at, const pr_value_t *value) {
    if (value->kind == PR_NULL)
        sqlite3_bind_null(statement, at);
    else if (value->kind == PR_INTEGER)
        sqlite3_bind_int64(statement, at, value->integer);
    else if (value->kind == PR_REAL)
        sqlite3_bind_double(statement, at, value->real);
    else
        sqlite3_bind_text(statement, at, value->text.data, (int)value->text.size, SQLITE_STATIC);
}

#endif
