/* SPDX-License-Identifier: MIT */
/* Allocation that cannot fail: out of memory is fatal in these programs, and the supervisor restarts them. */
#ifndef PR_ALLOC_H
#define PR_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

/* As their namesakes in libc, but they never return NULL: out of memory logs one line and aborts. All *return new*. */
void *pr_xmalloc(size_t size);
void *pr_xcalloc(size_t count, size_t size);
void *pr_xrealloc(void *memory, size_t size);
char *pr_xstrdup(const char *text);
char *pr_xstrndup(const char *text, size_t size);
char *pr_xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
