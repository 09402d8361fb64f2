/* SPDX-License-Identifier: MIT */
/* One value of a record or row: SQLite's kinds less BLOB, which an export cannot hold. */
#ifndef PR_VALUE_H
#define PR_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { PR_NULL, PR_INTEGER, PR_REAL, PR_TEXT } pr_kind_t;

/* Text is UTF-8, may hold NUL bytes, is not NUL-terminated, and is borrowed: whoever made the value says
 * from what and for how long. */
typedef struct {
    pr_kind_t kind;
    union {
        int64_t integer;
        double real;
        struct {
            const char *data;
            size_t size; /* bytes */
        } text;
    };
} pr_value_t;

static inline pr_value_t pr_value_null(void) {
    return (pr_value_t){.kind = PR_NULL};
}
static inline pr_value_t pr_value_integer(int64_t integer) {
    return (pr_value_t){.kind = PR_INTEGER, .integer = integer};
}
static inline pr_value_t pr_value_real(double real) {
    return (pr_value_t){.kind = PR_REAL, .real = real};
}
/* Borrows data, which must not be NULL, not even of size 0. */
static inline pr_value_t pr_value_text(const char *data, size_t size) {
    return (pr_value_t){.kind = PR_TEXT, .text = {.data = data, .size = size}};
}

/* Same kind and same content; NULL equals NULL; reals bit for bit except that 0.0 == -0.0 and NaN == NaN. */
bool pr_value_equal(const pr_value_t *a, const pr_value_t *b);

/*  Write a value for a human into buffer, NUL-terminated, cut to size with an ellipsis: NULL, 12, 1.5, 'text'.
 *  Returns buffer. */
char *pr_value_print(const pr_value_t *value, char *buffer, size_t size);

/* The same for a BLOB, which is no value of an export: x'00ff'. size: at least 8. */
char *pr_value_print_blob(const void *bytes, size_t count, char *buffer, size_t size);

#endif
