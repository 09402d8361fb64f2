/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and times as the operator reads them. */
#include "control/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/alloc.h"

pr_format_t pr_format_count(uint64_t count) {
    pr_format_t result;
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t at = 0;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            result.text[at++] = ',';
        result.text[at++] = digits[i];
    }
    result.text[at] = '\0';
    return result;
}

pr_format_t pr_format_bytes(uint64_t bytes) {
    pr_format_t result;
    if (bytes < 1000)
        snprintf(result.text, sizeof result.text, "%" PRIu64 " B", bytes);
    else if (bytes < 999500)
        snprintf(result.text, sizeof result.text, "%.0f KB", (double)bytes / 1e3);
    else if (bytes < 999950000)
        snprintf(result.text, sizeof result.text, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(result.text, sizeof result.text, "%.1f GB", (double)bytes / 1e9);
    return result;
}

pr_format_t pr_format_percent(uint64_t part, uint64_t whole) {
    pr_format_t result = {"-"};
    if (whole > 0)
        snprintf(result.text, sizeof result.text, "%.1f", 100.0 * (double)part / (double)whole);
    return result;
}

pr_format_t pr_format_progress(uint64_t part, uint64_t whole) {
    pr_format_t result = {"-"};
    if (whole > 0)
        snprintf(result.text, sizeof result.text, "%.1f", floor(1000.0 * (double)part / (double)whole) / 10);
    return result;
}

pr_format_t pr_format_clock(double seconds) {
    enum { MINUTE = 60, HOUR = 3600, DAY = 86400, YEAR = 31536000 };
    pr_format_t result = {"-"};
    if (!(seconds >= 0) || seconds > YEAR)
        return result;
    unsigned all = (unsigned)ceil(seconds);
    if (all < HOUR)
        snprintf(result.text, sizeof result.text, "%u:%02u", all / MINUTE, all % MINUTE);
    else if (all < DAY)
        snprintf(result.text, sizeof result.text, "%u:%02u:%02u", all / HOUR, all % HOUR / MINUTE, all % MINUTE);
    else
        snprintf(result.text, sizeof result.text, "%ud %02uh", all / DAY, all % DAY / HOUR);
    return result;
}

pr_format_t pr_format_seconds(double seconds) {
    pr_format_t result = {"-"};
    if (seconds >= 0)
        snprintf(result.text, sizeof result.text, "%.*f", seconds < 10 ? 3 : seconds < 1000 ? 2 : 1, seconds);
    return result;
}

size_t pr_format_width(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0U) != 0x80U;
    return width;
}

/* Bytes of the UTF-8 character at text (RFC 3629), 0 if there is none. Stops at a NUL by itself. */
static size_t s_character(const unsigned char *text) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t extra = 0; extra < sizeof forms / sizeof forms[0]; extra++) {
        if ((text[0] & forms[extra].mask) != forms[extra].lead)
            continue;
        uint32_t point = text[0] & (unsigned char)~forms[extra].mask;
        for (size_t i = 1; i <= extra; i++) {
            if ((text[i] & 0xC0U) != 0x80U)
                return 0;
            point = point << 6 | (text[i] & 0x3FU);
        }
        bool bad = point < forms[extra].least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF);
        return bad ? 0 : extra + 1;
    }
    return 0;
}

char *pr_format_clean(char *text) {
    for (char *at = text; *at != '\0';) {
        size_t size = s_character((const unsigned char *)at);
        if (size == 0)
            *at = '?';
        at += size == 0 ? 1 : size;
    }
    return text;
}

char *pr_format_record(const char *data, size_t size) {
    char *line = pr_xcalloc(size + 1, 1);
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t') {
            if (used > 0 && line[used - 1] != ' ')
                line[used++] = ' ';
        } else {
            line[used++] = byte < 0x20 || byte == 0x7F ? '?' : data[i];
        }
    }
    return pr_format_clean(line);
}

char *pr_format_value(const char *data, size_t size) {
    char *text = pr_xcalloc(size + 1, 1);
    for (size_t i = 0; i < size; i++)
        text[i] = (unsigned char)data[i] < 0x20 || data[i] == 0x7F ? '?' : data[i];
    return pr_format_clean(text);
}
