/* SPDX-License-Identifier: MIT */
/* UTF-8, strictly. */
#ifndef PR_UTF8_H
#define PR_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  The character at text, of which size bytes (at least 1) may be read: how many bytes it has, or 0 if there is none (RFC
 *  3629: no overlong forms, no surrogates, to U+10FFFF). ret_point: its code point; untouched if there is none. */
size_t pr_utf8_character(const char *text, size_t size, uint32_t *ret_point);

/* Are these size bytes characters and nothing else? text may be NULL if size is 0. */
bool pr_utf8_is_valid(const char *text, size_t size);

#endif
