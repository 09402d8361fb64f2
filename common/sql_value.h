/* SPDX-License-Identifier: MIT */
/* Values as SQLite hands them out: shown to an operator, joined to keys, compared. */
#ifndef PR_SQL_VALUE_H
#define PR_SQL_VALUE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

enum { PR_VALUE_TEXT = 160, PR_KEY_TEXT = 400 };

/* A value: NULL, 12, 1.5, 'text', x'00ff'; cut with an ellipsis. Returns buffer. */
char *pr_sql_value_print(sqlite3_value *value, char *buffer, size_t size);

/* Append "name=value" to a key, after a comma if it is not the first part. size: of key. */
void pr_sql_value_append_key(char *key, size_t size, const char *name, sqlite3_value *value);

/*  Same type and same content. real: of a column of REAL affinity, where a whole number may come as an integer and as a
 *  real, and is the same. */
bool pr_sql_value_same(sqlite3_value *a, sqlite3_value *b, bool real);

#endif
