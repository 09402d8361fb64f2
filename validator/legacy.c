/* SPDX-License-Identifier: MIT */
/* A legacy record's values: types, the null policy, and what should have been rejected. */
#include "validator/legacy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The digits of a JSON integer as int64. Returns false if it does not fit. */
static bool s_parse_integer(const char *text, size_t size, int64_t *ret_integer) {
    enum { s_safe_digits = 18 };
    bool negative = size > 0 && text[0] == '-';
    int64_t integer = 0;
    if (size <= s_safe_digits) {
        for (size_t i = negative ? 1 : 0; i < size; i++)
            integer = integer * 10 + (text[i] - '0');
        *ret_integer = negative ? -integer : integer;
        return true;
    }
    for (size_t i = negative ? 1 : 0; i < size; i++) {
        int digit = text[i] - '0';
        /* Downwards, as the smallest int64 has no positive twin. */
        if (__builtin_mul_overflow(integer, 10, &integer) || __builtin_sub_overflow(integer, digit, &integer))
            return false;
    }
    if (!negative && integer == INT64_MIN)
        return false;
    *ret_integer = negative ? integer : -integer;
    return true;
}

static bool s_is_integer(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] == '.' || text[i] == 'e' || text[i] == 'E')
            return false;
    return true;
}

/* Why a value is none of its field, or NULL with the value. */
static const char *s_value(const pr_field_t *field, const pr_legacy_field_t *found, bool null_text,
                           pr_value_t *ret_value) {
    bool null = found->kind == PR_LEGACY_NULL || (null_text && field->nullable && found->kind == PR_LEGACY_TEXT &&
                                                  found->size == 4 && memcmp(found->text, "null", 4) == 0);
    if (null) {
        if (!field->nullable)
            return "must not be null";
        *ret_value = pr_value_null();
        return NULL;
    }
    switch (field->type) {
    case PR_TYPE_TEXT:
        if (found->kind != PR_LEGACY_TEXT)
            return "is not text";
        *ret_value = pr_value_text(found->text, found->size);
        return NULL;
    case PR_TYPE_INTEGER: {
        if (found->kind != PR_LEGACY_NUMBER || !s_is_integer(found->text, found->size))
            return "is not an integer";
        int64_t integer;
        if (!s_parse_integer(found->text, found->size, &integer))
            return "does not fit 64 bits";
        *ret_value = pr_value_integer(integer);
        return NULL;
    }
    case PR_TYPE_REAL: {
        if (found->kind != PR_LEGACY_NUMBER)
            return "is not a number";
        /* It ends before a byte that belongs to no number, so strtod stops there. */
        double real = strtod(found->text, NULL);
        if (!isfinite(real))
            return "does not fit a double";
        *ret_value = pr_value_real(real);
        return NULL;
    }
    }
    return "has no type";
}

bool pr_legacy_values(const pr_stream_t *stream, const pr_legacy_record_t *record, bool null_text,
                      pr_value_t *ret_values, char *ret_problem, size_t size) {
    if (record->unknown != NULL && !stream->unknown_fields_warn) {
        snprintf(ret_problem, size, "the mapping does not know the field %.*s",
                 record->unknown_size > 64 ? 64 : (int)record->unknown_size, record->unknown);
        return false;
    }
    for (size_t i = 0; i < stream->fields_count; i++) {
        const pr_field_t *field = &stream->fields[i];
        const pr_legacy_field_t *found = &record->fields[i];
        const char *problem = NULL;
        if (found->twice)
            problem = "stands twice";
        else if (field->ignored != NULL)
            ret_values[i] = pr_value_null();
        else if (found->kind == PR_LEGACY_ABSENT)
            problem = "is missing";
        else
            problem = s_value(field, found, null_text, &ret_values[i]);
        if (problem != NULL) {
            snprintf(ret_problem, size, "the field %s %s", field->name, problem);
            return false;
        }
    }
    return true;
}

/* Length of the JSON number that begins at text, 0: none does (RFC 8259, section 6). */
static size_t s_number_size(const char *text, size_t size) {
    size_t at = 0;
    size_t digits;
    at += at < size && text[at] == '-';
    bool zero = at < size && text[at] == '0';
    for (digits = 0; at < size && text[at] >= '0' && text[at] <= '9'; at++)
        digits++;
    if (digits == 0 || (zero && digits > 1))
        return 0;
    if (at < size && text[at] == '.') {
        for (digits = 0, at++; at < size && text[at] >= '0' && text[at] <= '9'; at++)
            digits++;
        if (digits == 0)
            return 0;
    }
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        at += at < size && (text[at] == '+' || text[at] == '-');
        for (digits = 0; at < size && text[at] >= '0' && text[at] <= '9'; at++)
            digits++;
        if (digits == 0)
            return 0;
    }
    return at;
}

/* Returns whether the number was one that the parser might refuse. A record ends in a bracket: strtod stops there. */
static bool s_tame_number(char *text, size_t size) {
    char plain[40];
    bool exponent = memchr(text, 'e', size) != NULL || memchr(text, 'E', size) != NULL;
    if (!exponent && size < 300)
        return false;
    double real = strtod(text, NULL);
    if (!isfinite(real)) {
        text[0] = '"';
        text[size - 1] = '"';
        return true;
    }
    int length = snprintf(plain, sizeof plain, "%.17g", real);
    if (strpbrk(plain, ".e") == NULL) /* it must stay one that is no integer */
        length += snprintf(plain + length, sizeof plain - (size_t)length, ".0");
    if ((size_t)length > size)
        return false;
    memcpy(text, plain, (size_t)length);
    memset(text + length, ' ', size - (size_t)length);
    return true;
}

bool pr_legacy_tame(char *data, size_t size) {
    bool any = false;
    bool text = false;
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (c == '\\' && text) {
            i++;
        } else if (c == '"') {
            text = !text;
        } else if (!text && (c == '-' || (c >= '0' && c <= '9'))) {
            size_t number = s_number_size(data + i, size - i);
            any |= number > 0 && s_tame_number(data + i, number);
            i += number > 0 ? number - 1 : 0;
        }
    }
    return any;
}

size_t pr_legacy_skip(const char *data, size_t size) {
    size_t depth = 0;
    bool text = false;
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                text = false;
        } else if (c == '"') {
            text = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && depth > 0 && --depth == 0) {
            return i + 1;
        }
        if (depth == 0)
            return 0;
    }
    return 0;
}
