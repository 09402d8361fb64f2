/* SPDX-License-Identifier: MIT */
/* What SQLite makes of values in a column. */
#include "common/affinity.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static bool s_declared_with(const char *declared, const char *word) {
    size_t size = strlen(word);
    for (const char *at = declared; *at != '\0'; at++)
        if (strncasecmp(at, word, size) == 0)
            return true;
    return false;
}

pr_affinity_t pr_affinity_of(const char *declared) {
    if (declared == NULL || declared[0] == '\0')
        return PR_AFFINITY_NONE;
    if (s_declared_with(declared, "INT"))
        return PR_AFFINITY_INTEGER;
    if (s_declared_with(declared, "CHAR") || s_declared_with(declared, "CLOB") || s_declared_with(declared, "TEXT"))
        return PR_AFFINITY_TEXT;
    if (s_declared_with(declared, "BLOB"))
        return PR_AFFINITY_NONE;
    if (s_declared_with(declared, "REAL") || s_declared_with(declared, "FLOA") || s_declared_with(declared, "DOUB"))
        return PR_AFFINITY_REAL;
    return PR_AFFINITY_NUMERIC;
}

/* May a column of numbers take this text for one? Not if there is a byte that no number has: mostly a time's colon. */
static bool s_may_be_number(const char *text, size_t size) {
    if (size > 0 && memchr(text, ':', size) != NULL)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool digit = c >= '0' && c <= '9';
        bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        if (!digit && !blank && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E')
            return false;
    }
    return true;
}

bool pr_affinity_keeps(pr_affinity_t affinity, const pr_value_t *value) {
    switch (value->kind) {
    case PR_NULL:
        return true;
    case PR_INTEGER:
        return affinity != PR_AFFINITY_TEXT;
    case PR_REAL:
        return (affinity == PR_AFFINITY_REAL || affinity == PR_AFFINITY_NONE) && !isnan(value->real) &&
               (value->real != 0.0 || !signbit(value->real)); /* -0.0 may come back as 0.0 */
    case PR_TEXT:
        return affinity == PR_AFFINITY_TEXT || affinity == PR_AFFINITY_NONE ||
               !s_may_be_number(value->text.data, value->text.size);
    }
    return false;
}
