/* SPDX-License-Identifier: MIT */
/* Allocation that cannot fail. */
#include "common/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *s_checked(void *memory) {
    if (memory == NULL) {
        fputs("<2>pvrelay: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *pr_xmalloc(size_t size) {
    return s_checked(malloc(size == 0 ? 1 : size));
}

void *pr_xcalloc(size_t count, size_t size) {
    return s_checked(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *pr_xrealloc(void *memory, size_t size) {
    return s_checked(realloc(memory, size == 0 ? 1 : size));
}

char *pr_xstrdup(const char *text) {
    return s_checked(strdup(text));
}

char *pr_xstrndup(const char *text, size_t size) {
    char *copy = pr_xmalloc(size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *pr_xasprintf(const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int size = vasprintf(&text, format, args);
    va_end(args);
    return s_checked(size < 0 ? NULL : text);
}
