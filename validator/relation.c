/* SPDX-License-Identifier: MIT */
/* The inverse mapping of single values. */
#include "validator/relation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

enum { S_DATE_BYTES = 10 };

/* Every integer up to here is a double. */
static const int64_t S_EXACT = INT64_C(1) << 53;

static bool s_same_number(int64_t integer, double real) {
    return integer >= -S_EXACT && integer <= S_EXACT && (double)integer == real;
}

static bool s_stored_as(const pr_value_t *source, pr_affinity_t affinity, const pr_value_t *stored) {
    if (source->kind == stored->kind) {
        if (source->kind == PR_TEXT) /* most are: not worth a call */
            return source->text.size == stored->text.size &&
                   (source->text.size == 0 || memcmp(source->text.data, stored->text.data, source->text.size) == 0);
        return pr_value_equal(source, stored);
    }
    if (source->kind == PR_REAL && stored->kind == PR_INTEGER)
        return (affinity == PR_AFFINITY_INTEGER || affinity == PR_AFFINITY_NUMERIC) &&
               s_same_number(stored->integer, source->real);
    if (source->kind == PR_INTEGER && stored->kind == PR_REAL)
        return affinity == PR_AFFINITY_REAL && s_same_number(source->integer, stored->real);
    return false;
}

static bool s_is_preimage(const pr_value_map_t *map, const pr_value_t *source, pr_affinity_t affinity,
                          const pr_value_t *stored) {
    for (size_t i = 0; i < map->count; i++)
        if (s_stored_as(&map->entries[i].to, affinity, stored) && pr_value_equal(&map->entries[i].from, source))
            return true;
    return false;
}

static bool s_is_plain(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
}

static int s_hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode one byte of an encoded address. Returns the bytes taken, 0: it is not properly encoded. */
static size_t s_decode_byte(const char *text, size_t size, unsigned char *ret_byte) {
    if (size == 0)
        return 0;
    if (s_is_plain((unsigned char)text[0])) {
        *ret_byte = (unsigned char)text[0];
        return 1;
    }
    if (text[0] != '=' || size < 3 || s_hex(text[1]) < 0 || s_hex(text[2]) < 0)
        return 0;
    *ret_byte = (unsigned char)(s_hex(text[1]) * 16 + s_hex(text[2]));
    return s_is_plain(*ret_byte) ? 0 : 3;
}

static bool s_take(const char *data, size_t size, const char **at, size_t *left) {
    if (*left < size || (size > 0 && memcmp(*at, data, size) != 0))
        return false;
    *at += size;
    *left -= size;
    return true;
}

static bool s_take_address(const char *data, size_t size, const char **at, size_t *left) {
    for (size_t i = 0; i < size; i++) {
        unsigned char byte;
        size_t taken = s_decode_byte(*at, *left, &byte);
        if (taken == 0 || byte != (unsigned char)data[i])
            return false;
        *at += taken;
        *left -= taken;
    }
    return true;
}

/* Numbers in a template stand as C prints them. */
static size_t s_number_text(const pr_value_t *value, char *buffer, size_t size) {
    int length = value->kind == PR_INTEGER ? snprintf(buffer, size, "%lld", (long long)value->integer)
                                           : snprintf(buffer, size, "%.17g", value->real);
    return length > 0 ? (size_t)length : 0;
}

static pr_value_t s_part_text(const pr_value_t *value, char *buffer, size_t size) {
    if (value->kind == PR_TEXT || value->kind == PR_NULL)
        return *value;
    return pr_value_text(buffer, s_number_text(value, buffer, size));
}

/* Take the stored text apart along the template; what stands for a field must be the field. */
static bool s_template_holds(const pr_column_t *column, const pr_value_t *values, const pr_value_t *stored) {
    if (stored->kind != PR_TEXT)
        return false;
    const char *at = stored->text.data;
    size_t left = stored->text.size;
    for (size_t i = 0; i < column->parts_count; i++) {
        const pr_template_part_t *part = &column->parts[i];
        bool taken;
        if (part->field < 0) {
            taken = s_take(part->literal, part->literal_size, &at, &left);
        } else {
            char number[40];
            pr_value_t text = s_part_text(&values[part->field], number, sizeof number);
            taken = text.kind == PR_TEXT && (part->address ? s_take_address(text.text.data, text.text.size, &at, &left)
                                                           : s_take(text.text.data, text.text.size, &at, &left));
        }
        if (!taken)
            return false;
    }
    return left == 0;
}

static bool s_date_holds(const pr_value_t *source, const pr_value_t *stored) {
    if (source->kind == PR_NULL)
        return stored->kind == PR_NULL;
    return source->kind == PR_TEXT && stored->kind == PR_TEXT && stored->text.size == S_DATE_BYTES &&
           source->text.size >= S_DATE_BYTES && memcmp(source->text.data, stored->text.data, S_DATE_BYTES) == 0;
}

bool pr_relation_holds(const pr_column_t *column, pr_affinity_t affinity, const pr_value_t *values,
                       const pr_value_t *stored) {
    switch (column->op) {
    case PR_OP_COPY:
        return s_stored_as(&values[column->field], affinity, stored);
    case PR_OP_CONSTANT:
        return s_stored_as(&column->constant, affinity, stored);
    case PR_OP_MAP:
        return s_is_preimage(column->map, &values[column->field], affinity, stored);
    case PR_OP_DATE:
        return s_date_holds(&values[column->field], stored);
    case PR_OP_TEMPLATE:
        return s_template_holds(column, values, stored);
    case PR_OP_PARENT:
    case PR_OP_LOOKUP:
        break;
    }
    return false;
}

void pr_scratch_free(pr_scratch_t *scratch) {
    free(scratch->data);
    *scratch = (pr_scratch_t){0};
}

static void s_append(pr_scratch_t *scratch, const char *data, size_t size) {
    if (scratch->capacity - scratch->size < size) {
        scratch->capacity = (scratch->size + size) * 2 + 64;
        scratch->data = pr_xrealloc(scratch->data, scratch->capacity);
    }
    if (size > 0)
        memcpy(scratch->data + scratch->size, data, size);
    scratch->size += size;
}

static void s_append_address(pr_scratch_t *scratch, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (s_is_plain((unsigned char)data[i])) {
            s_append(scratch, &data[i], 1);
        } else {
            char code[4];
            snprintf(code, sizeof code, "=%02X", (unsigned)(unsigned char)data[i]);
            s_append(scratch, code, 3);
        }
    }
}

static bool s_template_image(const pr_column_t *column, const pr_value_t *values, pr_scratch_t *scratch,
                             pr_value_t *ret_value) {
    scratch->size = 0;
    for (size_t i = 0; i < column->parts_count; i++) {
        const pr_template_part_t *part = &column->parts[i];
        if (part->field < 0) {
            s_append(scratch, part->literal, part->literal_size);
            continue;
        }
        char number[40];
        pr_value_t text = s_part_text(&values[part->field], number, sizeof number);
        if (text.kind != PR_TEXT)
            return false;
        if (part->address)
            s_append_address(scratch, text.text.data, text.text.size);
        else
            s_append(scratch, text.text.data, text.text.size);
    }
    s_append(scratch, "", 1);
    *ret_value = pr_value_text(scratch->data, scratch->size - 1);
    return true;
}

bool pr_relation_image(const pr_column_t *column, const pr_value_t *values, pr_scratch_t *scratch,
                       pr_value_t *ret_value) {
    switch (column->op) {
    case PR_OP_COPY:
        *ret_value = values[column->field];
        return true;
    case PR_OP_CONSTANT:
        *ret_value = column->constant;
        return true;
    case PR_OP_MAP:
        for (size_t i = 0; i < column->map->count; i++) {
            if (pr_value_equal(&column->map->entries[i].from, &values[column->field])) {
                *ret_value = column->map->entries[i].to;
                return true;
            }
        }
        return false;
    case PR_OP_DATE: {
        const pr_value_t *source = &values[column->field];
        if (source->kind == PR_TEXT && source->text.size < S_DATE_BYTES)
            return false;
        *ret_value = source->kind == PR_TEXT ? pr_value_text(source->text.data, S_DATE_BYTES) : pr_value_null();
        return true;
    }
    case PR_OP_TEMPLATE:
        return s_template_image(column, values, scratch, ret_value);
    case PR_OP_PARENT:
    case PR_OP_LOOKUP:
        break;
    }
    return false;
}
