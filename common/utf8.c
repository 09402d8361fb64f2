/* SPDX-License-Identifier: MIT */
/* UTF-8, strictly. */
#include "common/utf8.h"

#include <string.h>

size_t pr_utf8_character(const char *text, size_t size, uint32_t *ret_point) {
    const uint8_t *bytes = (const uint8_t *)text;
    uint8_t first = bytes[0];
    if (first < 0x80) {
        *ret_point = first;
        return 1;
    }
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t want = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    /* The second byte tells overlong forms, surrogates and what lies beyond U+10FFFF. */
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (size < want || bytes[1] < low || bytes[1] > high)
        return 0;
    uint32_t point = first & (0x7fU >> want);
    for (size_t i = 1; i < want; i++) {
        if ((bytes[i] & 0xc0U) != 0x80U)
            return 0;
        point = point << 6 | (bytes[i] & 0x3fU);
    }
    *ret_point = point;
    return want;
}

/* Are all bytes below 0x80? Eight at a time; the last eight may have been looked at in part already. */
static bool s_is_ascii(const char *text, size_t size) {
    uint64_t all = 0;
    uint64_t eight;
    size_t at = 0;
    if (size < sizeof eight) {
        for (; at < size; at++)
            all |= (uint8_t)text[at];
        return (all & 0x80) == 0;
    }
    for (; at < size - sizeof eight; at += sizeof eight) {
        memcpy(&eight, text + at, sizeof eight);
        all |= eight;
    }
    memcpy(&eight, text + size - sizeof eight, sizeof eight);
    return ((all | eight) & UINT64_C(0x8080808080808080)) == 0;
}

bool pr_utf8_is_valid(const char *text, size_t size) {
    uint32_t point;
    if (s_is_ascii(text, size))
        return true;
    for (size_t at = 0, character; at < size; at += character) {
        character = pr_utf8_character(text + at, size - at, &point);
        if (character == 0)
            return false;
    }
    return true;
}
