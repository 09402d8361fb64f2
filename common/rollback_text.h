/* SPDX-License-Identifier: MIT */
/* Values and keys of rows, as an operator reads them. */
#ifndef PR_ROLLBACK_TEXT_H
#define PR_ROLLBACK_TEXT_H

#include <sqlite3.h>
#include <stddef.h>

enum { PR_VALUE_TEXT = 160, PR_KEY_TEXT = 400 };

/* A value: NULL, 12, 1.5, 'text', x'00ff'; cut with an ellipsis. Returns buffer. */
char *pr_playback_value(sqlite3_value *value, char *buffer, size_t size);

/* Append "name=value" to a key, after a comma if it is not the first part. size: of key. */
void pr_playback_key(char *key, size_t size, const char *name, sqlite3_value *value);

#endif
