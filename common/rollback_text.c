/* SPDX-License-Identifier: MIT */
/* Values and keys of rows, as an operator reads them. */
#include "common/rollback_text.h"

#include <stdio.h>
#include <string.h>

#include "common/value.h"

static char *s_blob(const unsigned char *bytes, size_t count, char *buffer, size_t size) {
    size_t used = (size_t)snprintf(buffer, size, "x'");
    size_t shown = 0;
    /* Room for two digits, the ellipsis (3 bytes), the quote and the NUL. */
    for (; shown < count && used + 7 <= size; shown++)
        used += (size_t)snprintf(buffer + used, size - used, "%02x", bytes[shown]);
    snprintf(buffer + used, size - used, "%s'", shown < count ? "…" : "");
    return buffer;
}

char *pr_playback_value(sqlite3_value *value, char *buffer, size_t size) {
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
        const unsigned char *bytes = sqlite3_value_blob(value);
        return s_blob(bytes, (size_t)sqlite3_value_bytes(value), buffer, size);
    }
    default:
        break;
    }
    return pr_value_print(&shown, buffer, size);
}

void pr_playback_key(char *key, size_t size, const char *name, sqlite3_value *value) {
    char shown[PR_VALUE_TEXT];
    size_t used = strlen(key);
    snprintf(key + used, size - used, "%s%s=%s", used > 0 ? ", " : "", name,
             pr_playback_value(value, shown, sizeof shown));
}
