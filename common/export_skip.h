/* SPDX-License-Identifier: MIT */
/* Skipping a bracketed JSON value without parsing it: the fast core of scanning and slicing. Private to
 * common/export*.c. */
#ifndef PR_EXPORT_SKIP_H
#define PR_EXPORT_SKIP_H

/*  DESIGN
 *
 *  64 bytes at a time become four bit masks (bit i: byte i): quotes, backslashes, opening and closing brackets. A quote
 *  behind an odd run of backslashes is no quote; the prefix xor of the other quotes tells which bytes lie inside
 *  strings; only brackets outside strings are looked at one by one. What is carried from one block to the next is
 *  pr_skip_t, so that a value may be handed over in pieces cut at any byte.
 *
 *  Facts that hold whatever the bytes are: nothing is read outside data[0, size); the nesting is at most
 *  PR_SKIP_DEPTH_MAX; the portable and the SSE2 variant give the same answer. Runs of backslashes count outside
 *  strings as well: no valid JSON has any there.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PR_BLOCK_BYTES = 64, PR_SKIP_DEPTH_MAX = 64 };

/* Which of 64 bytes are what. */
typedef struct {
    uint64_t quotes;
    uint64_t backslashes;
    uint64_t opens;  /* { [ */
    uint64_t closes; /* } ] */
    uint64_t ens;    /* n */
} pr_block_t;

/* Classify PR_BLOCK_BYTES bytes; both give the same masks. The second one exists only where __SSE2__ is defined. */
void pr_block_classify_portable(const char *data, pr_block_t *ret_block);
void pr_block_classify_sse2(const char *data, pr_block_t *ret_block);

/* Where a skip stands between two pieces. All zero: at a value's opening bracket. */
typedef struct {
    uint64_t inside;  /* all ones: inside a string */
    uint64_t escaped; /* 1: the next byte is escaped */
    uint64_t kinds;   /* the open brackets, innermost in bit 0; 1: { */
    unsigned depth;   /* how many are open */
    bool nulls;       /* pr_skip_value_nulls: an n stood outside strings; of JSON's words only null has one */
} pr_skip_t;

typedef enum {
    PR_SKIP_MORE,     /* the value goes on behind this piece */
    PR_SKIP_DONE,     /* the value's last bracket is closed */
    PR_SKIP_MISMATCH, /* a bracket is closed by one of the other kind */
    PR_SKIP_DEEP      /* a bracket opens level PR_SKIP_DEPTH_MAX + 1 */
} pr_skip_result_t;

/*  Go on with a value, which began with { or [ in the first piece.
 *  data: size bytes. ret_used: MORE: size; DONE: bytes up to and including the last bracket; else the offset of the
 *  bracket at fault. */
pr_skip_result_t pr_skip_value(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used);

/* The same, and look for nulls. */
pr_skip_result_t pr_skip_value_nulls(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used);

/* This without SSE2, on every machine. */
pr_skip_result_t pr_skip_value_portable(pr_skip_t *skip, const char *data, size_t size, size_t *ret_used);

#endif
