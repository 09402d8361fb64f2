/* SPDX-License-Identifier: MIT */
/* What was probably meant. */
#include "common/suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { s_longest = 48, s_edits_max = 3 };

static unsigned s_least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

static char s_lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

/* Edit distance; two neighbours that changed places are one edit, and so is nothing but the case. Both are short. */
static unsigned s_distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    unsigned rows[3][s_longest + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *before = rows[(i + 2) % 3], *before_that = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned same = s_lower(a[i - 1]) == s_lower(b[j - 1]) ? 0 : 1;
            now[j] = s_least(s_least(before[j], now[j - 1]) + 1, before[j - 1] + same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = s_least(now[j], before_that[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

pr_suggest_t pr_suggest_begin(const char *wrong, size_t size) {
    return (pr_suggest_t){.wrong = wrong, .size = size};
}

void pr_suggest_offer(pr_suggest_t *suggest, const char *known) {
    size_t size = strlen(known);
    if (suggest->size > s_longest || size > s_longest || size == 0)
        return;
    unsigned most = s_least((unsigned)(suggest->size > size ? suggest->size : size) / 3, s_edits_max);
    unsigned distance = s_distance(suggest->wrong, suggest->size, known, size);
    if (distance > most || (suggest->best != NULL && distance >= suggest->distance))
        return;
    suggest->best = known;
    suggest->distance = distance;
}

const char *pr_suggest_text(pr_suggest_t *suggest) {
    suggest->text[0] = '\0';
    if (suggest->best != NULL)
        snprintf(suggest->text, sizeof suggest->text, " (did you mean %s?)", suggest->best);
    return suggest->text;
}

static bool s_blank(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

const char *pr_suggest_json(const char *text, size_t size, size_t until, int *ret_line) {
    int line = 1, comma_line = 0; /* of the comma that nothing but blanks has followed; 0: none */
    bool inside = false;          /* a string */
    for (size_t i = 0; i < size && i <= until; i++) {
        char byte = text[i];
        if (inside) {
            i += byte == '\\';
            inside = byte != '"';
        } else if (byte == '/' && i + 1 < size && (text[i + 1] == '/' || text[i + 1] == '*')) {
            *ret_line = line;
            return "a comment, which JSON has not";
        } else if ((byte == '}' || byte == ']') && comma_line > 0) {
            *ret_line = comma_line;
            return byte == '}' ? "a comma before '}', where none may stand"
                               : "a comma before ']', where none may stand";
        } else if (byte == ',') {
            comma_line = line;
        } else if (!s_blank(byte)) {
            comma_line = 0;
            inside = byte == '"';
        }
        line += byte == '\n';
    }
    return NULL;
}
