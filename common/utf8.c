/* SPDX-License-Identifier: MIT */
/* UTF-8, strictly. */
#include "common/utf8.h"

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
