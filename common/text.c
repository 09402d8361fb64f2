/* SPDX-License-Identifier: MIT */
/* Text of foreign origin, escaped. */
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/utf8.h"

static const char S_ELLIPSIS[] = "…";

/* A character as it is shown. */
typedef struct {
    char text[8];
    size_t size;  /* of text */
    size_t taken; /* bytes of the original */
} pr_shown_t;

bool pr_text_is_harmless(uint32_t point) {
    return point >= 0x20 && !(point >= 0x7F && point <= 0x9F) && point != 0x061C && point != 0x200E &&
           point != 0x200F && !(point >= 0x2028 && point <= 0x202E) && !(point >= 0x2066 && point <= 0x2069) &&
           point != 0xFEFF;
}

static pr_shown_t s_show(const char *text, size_t size) {
    pr_shown_t shown = {.taken = 1};
    uint32_t point = (unsigned char)*text;
    size_t taken = pr_utf8_character(text, size, &point);
    int length;
    if (taken > 0 && pr_text_is_harmless(point)) {
        memcpy(shown.text, text, taken);
        length = (int)taken;
    } else if (point == '\n' || point == '\r' || point == '\t') {
        length = snprintf(shown.text, sizeof shown.text, "\\%c", point == '\n' ? 'n' : point == '\r' ? 'r' : 't');
    } else if (taken > 1) {
        length = snprintf(shown.text, sizeof shown.text, "\\u%04X", point & 0xFFFFU);
    } else {
        length = snprintf(shown.text, sizeof shown.text, "\\x%02X", (unsigned char)*text);
    }
    shown.size = (size_t)length;
    shown.taken = taken > 0 ? taken : 1;
    return shown;
}

static size_t s_length(const char *text, size_t size) {
    size_t length = 0;
    for (size_t at = 0; at < size;) {
        pr_shown_t shown = s_show(text + at, size - at);
        length += shown.size;
        at += shown.taken;
    }
    return length;
}

bool pr_text_is_clean(const char *text, size_t size) {
    size_t at = 0;
    for (uint32_t point = 0; at < size;) {
        size_t taken = pr_utf8_character(text + at, size - at, &point);
        if (taken == 0 || !pr_text_is_harmless(point))
            break;
        at += taken;
    }
    return at == size;
}

size_t pr_text_fit(const char *text, size_t size, char *buffer, size_t room) {
    size_t left = s_length(text, size); /* to be shown, from `at` on */
    size_t most = room - 1;
    size_t used = 0;
    bool whole = left <= most;
    size_t mark = most >= sizeof S_ELLIPSIS - 1 ? sizeof S_ELLIPSIS - 1 : 0;
    size_t head = whole ? most : (most - mark) / 2;
    bool cut = whole;
    for (size_t at = 0; at < size;) {
        pr_shown_t shown = s_show(text + at, size - at);
        if (!cut && used + shown.size > head) {
            memcpy(buffer + used, S_ELLIPSIS, mark);
            used += mark;
            cut = true;
        }
        if (!cut || used + left <= most) { /* before the gap, or all that is left fits */
            memcpy(buffer + used, shown.text, shown.size);
            used += shown.size;
        }
        left -= shown.size;
        at += shown.taken;
    }
    buffer[used] = '\0';
    return used;
}

char *pr_text_clean(char *text, size_t room) {
    char *copy = pr_xstrdup(text);
    pr_text_fit(copy, strlen(copy), text, room);
    free(copy);
    return text;
}

char *pr_text_escape_bytes(const char *text, size_t size) {
    size_t room = s_length(text, size) + 1;
    char *escaped = pr_xmalloc(room);
    pr_text_fit(text, size, escaped, room);
    return escaped;
}

pr_text_line_t pr_text_line(const char *text) {
    pr_text_line_t line = {.text = ""};
    pr_text_fit(text, strlen(text), line.text, sizeof line.text);
    return line;
}

char *pr_text_escape(const char *text) {
    return pr_text_escape_bytes(text, strlen(text));
}

void pr_text_add(pr_text_room_t *room, const char *format, ...) {
    const size_t mark = sizeof S_ELLIPSIS; /* with its NUL */
    if (room->cut)
        return;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(room->text + room->used, room->room - room->used, format, arguments);
    va_end(arguments);
    room->cut = size < 0 || (size_t)size >= room->room - room->used;
    room->used += room->cut ? 0 : (size_t)size;
    if (!room->cut)
        return;
    room->used = room->room - mark;
    while (room->used > 0 && ((unsigned char)room->text[room->used] & 0xC0U) == 0x80U) /* the midst of a character */
        room->used--;
    memcpy(room->text + room->used, S_ELLIPSIS, mark);
    room->used += mark - 1;
}
