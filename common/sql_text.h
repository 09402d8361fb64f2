/* SPDX-License-Identifier: MIT */
/* A column as text, whatever is in it: what a database says of itself is not believed. */
#ifndef PR_SQL_TEXT_H
#define PR_SQL_TEXT_H

#include <sqlite3.h>

/* "" for NULL, though the column be declared NOT NULL: a damaged file, or another hand, knows nothing of that. Borrowed until the next step. */
static inline const char *pr_sql_column_text(sqlite3_stmt *row, int column) {
    const unsigned char *text = sqlite3_column_text(row, column);
    return text != NULL ? (const char *)text : "";
}

#endif
