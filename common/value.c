/* SPDX-License-Identifier: MIT */
/* Comparing values and showing them to a human. */
#include "common/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pr_value_equal(const pr_value_t *a, const pr_value_t *b) {
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case PR_NULL:
        return true;
    case PR_INTEGER:
        return a->integer == b->integer;
    case PR_REAL:
        return a->real == b->real || (isnan(a->real) && isnan(b->real));
    case PR_TEXT:
        return a->text.size == b->text.size &&
               (a->text.size == 0 || memcmp(a->text.data, b->text.data, a->text.size) == 0);
    }
    return false;
}

/* The shortest of the usual precisions that reads back as the same double; always recognisable as a real. */
static void s_print_real(double real, char *buffer, size_t size) {
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(buffer, size, "%.*g", precision, real);
        if (strtod(buffer, NULL) == real) {
            break;
        }
    }
    size_t used = strlen(buffer);
    if (isfinite(real) && strpbrk(buffer, ".e") == NULL && used + 3 <= size) {
        memcpy(buffer + used, ".0", 3);
    }
}

/* Bytes of the UTF-8 character at text, at least 1; broken ones count byte by byte. */
static size_t s_character_size(const char *text, size_t size) {
    unsigned char first = (unsigned char)text[0];
    size_t want = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    size_t have = 1;
    while (have < want && have < size && ((unsigned char)text[have] & 0xc0) == 0x80) {
        have++;
    }
    return have;
}

/* One character as it is shown: controls as \xNN. Returns the bytes in ret_shown, at most 4. */
static size_t s_show_character(const char *text, size_t size, char ret_shown[8]) {
    unsigned char first = (unsigned char)text[0];
    if (first < 0x20 || first == 0x7f) {
        return (size_t)snprintf(ret_shown, 8, "\\x%02x", first);
    }
    memcpy(ret_shown, text, size);
    return size;
}

static void s_print_text(const char *text, size_t text_size, char *buffer, size_t size) {
    static const char ellipsis[] = "…";
    const size_t tail = sizeof(ellipsis); /* the closing quote instead of its NUL, and the NUL */
    size_t used = 0, safe = 0, at = 0;

    if (size < tail + 3) {
        snprintf(buffer, size, "'");
        return;
    }
    buffer[used++] = '\'';
    safe = used;
    while (at < text_size) {
        char shown[8];
        size_t character = s_character_size(text + at, text_size - at);
        size_t shown_size = s_show_character(text + at, character, shown);
        if (used + shown_size + 2 > size) {
            memcpy(buffer + safe, ellipsis, sizeof(ellipsis) - 1);
            used = safe + sizeof(ellipsis) - 1;
            break;
        }
        memcpy(buffer + used, shown, shown_size);
        used += shown_size;
        at += character;
        if (used + tail + 1 <= size) {
            safe = used; /* here an ellipsis and the closing quote would still fit */
        }
    }
    buffer[used++] = '\'';
    buffer[used] = '\0';
}

char *pr_value_print(const pr_value_t *value, char *buffer, size_t size) {
    if (size == 0) {
        return buffer;
    }
    switch (value->kind) {
    case PR_NULL:
        snprintf(buffer, size, "NULL");
        break;
    case PR_INTEGER:
        snprintf(buffer, size, "%lld", (long long)value->integer);
        break;
    case PR_REAL:
        s_print_real(value->real, buffer, size);
        break;
    case PR_TEXT:
        s_print_text(value->text.data, value->text.size, buffer, size);
        break;
    }
    return buffer;
}

char *pr_value_print_blob(const void *bytes, size_t count, char *buffer, size_t size) {
    const unsigned char *byte = bytes;
    size_t used = (size_t)snprintf(buffer, size, "x'");
    size_t shown = 0;
    /* Room for two digits, the ellipsis (3 bytes), the quote and the NUL. */
    for (; shown < count && used + sizeof "00…'" <= size; shown++)
        used += (size_t)snprintf(buffer + used, size - used, "%02x", byte[shown]);
    snprintf(buffer + used, size - used, "%s'", shown < count ? "…" : "");
    return buffer;
}
