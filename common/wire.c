/* SPDX-License-Identifier: MIT */
/* Bounds-checked cursors over a message frame. */
#include "common/wire.h"

#include <string.h>

#include "common/text.h"

pr_wire_t pr_wire_over(void *data, size_t size) {
    return (pr_wire_t){.data = data, .size = size};
}

bool pr_wire_complete(const pr_wire_t *wire) {
    return !wire->failed && wire->at == wire->size;
}

/* The next `size` bytes, or NULL and the sticky failure. */
static uint8_t *s_take(pr_wire_t *wire, size_t size) {
    if (wire->failed || size > wire->size - wire->at) {
        wire->failed = true;
        return NULL;
    }
    uint8_t *bytes = wire->data + wire->at;
    wire->at += size;
    return bytes;
}

static void s_put_number(pr_wire_t *wire, uint64_t value, size_t size) {
    uint8_t *bytes = s_take(wire, size);
    for (size_t i = 0; bytes != NULL && i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t s_get_number(pr_wire_t *wire, size_t size) {
    const uint8_t *bytes = s_take(wire, size);
    uint64_t value = 0;
    for (size_t i = 0; bytes != NULL && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void pr_wire_put_u8(pr_wire_t *wire, pr_wire_u8_t value) {
    s_put_number(wire, value, 1);
}
void pr_wire_put_u16(pr_wire_t *wire, pr_wire_u16_t value) {
    s_put_number(wire, value, 2);
}
void pr_wire_put_u32(pr_wire_t *wire, pr_wire_u32_t value) {
    s_put_number(wire, value, 4);
}
void pr_wire_put_u64(pr_wire_t *wire, pr_wire_u64_t value) {
    s_put_number(wire, value, 8);
}
void pr_wire_put_i64(pr_wire_t *wire, pr_wire_i64_t value) {
    s_put_number(wire, (uint64_t)value, 8);
}

void pr_wire_put_list(pr_wire_t *wire, pr_wire_list_t value) {
    for (size_t i = 0; i < PR_WIRE_LIST; i++)
        pr_wire_put_u64(wire, value.at[i]);
}

void pr_wire_put_text(pr_wire_t *wire, pr_wire_text_t value) {
    size_t size = strnlen(value.data, PR_WIRE_TEXT_BYTES - 1);
    pr_wire_put_u16(wire, (uint16_t)size);
    pr_wire_put_bytes(wire, value.data, size);
}

void pr_wire_put_bytes(pr_wire_t *wire, const void *bytes, size_t size) {
    uint8_t *room = s_take(wire, size);
    if (room != NULL)
        memcpy(room, bytes, size);
}

pr_wire_u8_t pr_wire_get_u8(pr_wire_t *wire) {
    return (uint8_t)s_get_number(wire, 1);
}
pr_wire_u16_t pr_wire_get_u16(pr_wire_t *wire) {
    return (uint16_t)s_get_number(wire, 2);
}
pr_wire_u32_t pr_wire_get_u32(pr_wire_t *wire) {
    return (uint32_t)s_get_number(wire, 4);
}
pr_wire_u64_t pr_wire_get_u64(pr_wire_t *wire) {
    return s_get_number(wire, 8);
}
pr_wire_i64_t pr_wire_get_i64(pr_wire_t *wire) {
    return (int64_t)s_get_number(wire, 8);
}

pr_wire_list_t pr_wire_get_list(pr_wire_t *wire) {
    pr_wire_list_t value;
    for (size_t i = 0; i < PR_WIRE_LIST; i++)
        value.at[i] = pr_wire_get_u64(wire);
    return value;
}

pr_wire_text_t pr_wire_get_text(pr_wire_t *wire) {
    pr_wire_text_t value = {.data = ""};
    size_t size = pr_wire_get_u16(wire);
    if (size >= PR_WIRE_TEXT_BYTES) {
        wire->failed = true;
        return value;
    }
    pr_wire_get_bytes(wire, value.data, size);
    if (wire->failed || !pr_text_is_clean(value.data, size)) { /* a NUL is not clean either */
        wire->failed = true;
        value.data[0] = '\0';
    }
    return value;
}

void pr_wire_get_bytes(pr_wire_t *wire, void *ret_bytes, size_t size) {
    const uint8_t *bytes = s_take(wire, size);
    if (bytes != NULL)
        memcpy(ret_bytes, bytes, size);
}

void pr_wire_text_set(pr_wire_text_t *text, const char *value) {
    memset(text->data, 0, sizeof text->data);
    pr_text_fit(value, strlen(value), text->data, sizeof text->data);
}
