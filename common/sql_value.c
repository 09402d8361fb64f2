/* SPDX-License-Identifier: MIT */
/* Values as SQLite hands them out. */
#include "common/sql_value.h"

#include <stdio.h>
#include <string.h>

#include "common/value.h"

char *pr_sql_value_print(sqlite3_value *value, char *buffer, size_t size) {
    pr_value_t shown = pr_value_null();
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        shown = pr_value_integer(sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT:
        shown = pr_value_real(sqlite3_value_double(value));
        break;
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_value_text(value);
        shown = pr_value_text(text != NULL ? text : "", (size_t)sqlite3_value_bytes(value));
        break;
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_value_blob(value);
        return pr_value_print_blob(bytes, (size_t)sqlite3_value_bytes(value), buffer, size);
    }
    default:
        break;
    }
    return pr_value_print(&shown, buffer, size);
}

void pr_sql_value_append_key(char *key, size_t size, const char *name, sqlite3_value *value) {
    char shown[PR_VALUE_TEXT];
    size_t used = strlen(key);
    snprintf(key + used, size - used, "%s%s=%s", used > 0 ? ", " : "", name,
             pr_sql_value_print(value, shown, sizeof shown));
}

static bool s_is_number(int type) {
    return type == SQLITE_INTEGER || type == SQLITE_FLOAT;
}

bool pr_sql_value_same(sqlite3_value *a, sqlite3_value *b, bool real) {
    int type = sqlite3_value_type(a);
    int other = sqlite3_value_type(b);
    if (real && s_is_number(type) && s_is_number(other))
        return sqlite3_value_double(a) == sqlite3_value_double(b);
    if (type != other)
        return false;
    switch (type) {
    case SQLITE_INTEGER:
        return sqlite3_value_int64(a) == sqlite3_value_int64(b);
    case SQLITE_FLOAT:
        return sqlite3_value_double(a) == sqlite3_value_double(b);
    case SQLITE_NULL:
        return true;
    default: {
        const void *ours = sqlite3_value_blob(a);
        const void *theirs = sqlite3_value_blob(b);
        int size = sqlite3_value_bytes(a);
        return size == sqlite3_value_bytes(b) && (size == 0 || memcmp(ours, theirs, (size_t)size) == 0);
    }
    }
}
