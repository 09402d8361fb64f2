/* SPDX-License-Identifier: MIT */
/* Bounds-checked cursors over a message frame, with a sticky error: check once, at the end. */
#ifndef PR_WIRE_H
#define PR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PR_WIRE_TEXT_BYTES = 512, /* room of a text field, final NUL included */
    PR_WIRE_LIST = 16         /* numbers in a list field */
};

/* The field types of messages. Numbers travel little-endian; a text as its length (16 bits) and bytes. */
typedef uint8_t pr_wire_u8_t;
typedef uint16_t pr_wire_u16_t;
typedef uint32_t pr_wire_u32_t;
typedef uint64_t pr_wire_u64_t;
typedef int64_t pr_wire_i64_t;
typedef struct {
    uint64_t at[PR_WIRE_LIST];
} pr_wire_list_t;
typedef struct {
    char data[PR_WIRE_TEXT_BYTES]; /* NUL-terminated */
} pr_wire_text_t;

/* A place in a buffer. Reading or writing beyond its end sets `failed` and does nothing from then on. */
typedef struct {
    uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
} pr_wire_t;

/* A cursor over size bytes at data, borrowed. Reading never writes to them. */
pr_wire_t pr_wire_over(void *data, size_t size);

/* True if nothing failed and the cursor stands exactly at the end. */
bool pr_wire_complete(const pr_wire_t *wire);

void pr_wire_put_u8(pr_wire_t *wire, pr_wire_u8_t value);
void pr_wire_put_u16(pr_wire_t *wire, pr_wire_u16_t value);
void pr_wire_put_u32(pr_wire_t *wire, pr_wire_u32_t value);
void pr_wire_put_u64(pr_wire_t *wire, pr_wire_u64_t value);
void pr_wire_put_i64(pr_wire_t *wire, pr_wire_i64_t value);
void pr_wire_put_list(pr_wire_t *wire, pr_wire_list_t value);
void pr_wire_put_text(pr_wire_t *wire, pr_wire_text_t value);
void pr_wire_put_bytes(pr_wire_t *wire, const void *bytes, size_t size);

/* A failed read answers 0 or "". A text that holds a NUL byte or is too long fails. */
pr_wire_u8_t pr_wire_get_u8(pr_wire_t *wire);
pr_wire_u16_t pr_wire_get_u16(pr_wire_t *wire);
pr_wire_u32_t pr_wire_get_u32(pr_wire_t *wire);
pr_wire_u64_t pr_wire_get_u64(pr_wire_t *wire);
pr_wire_i64_t pr_wire_get_i64(pr_wire_t *wire);
pr_wire_list_t pr_wire_get_list(pr_wire_t *wire);
pr_wire_text_t pr_wire_get_text(pr_wire_t *wire);
void pr_wire_get_bytes(pr_wire_t *wire, void *ret_bytes, size_t size);

/* Set a text field, cut (between UTF-8 characters) to its room. */
void pr_wire_text_set(pr_wire_text_t *text, const char *value);

#endif
