/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and times as the operator reads them. */
#include "control/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"

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

pr_format_t pr_format_share(double share) {
    pr_format_t result = {"-"};
    if (share >= 0)
        snprintf(result.text, sizeof result.text, "%.1f", share < 1 ? floor(1000 * share) / 10 : 100.0);
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

char *pr_format_record(const char *data, size_t size) {
    char *line = pr_xcalloc(size + 1, 1);
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t') {
            if (used > 0 && line[used - 1] != ' ')
                line[used++] = ' ';
        } else {
            line[used++] = data[i];
        }
    }
    char *escaped = pr_text_escape_bytes(line, used);
    free(line);
    return escaped;
}

const char *pr_format_plural(uint64_t count) {
    return count == 1 ? "" : "s";
}
