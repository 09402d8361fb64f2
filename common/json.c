/* SPDX-License-Identifier: MIT */
/* Making JSON. */
#include "common/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "common/utf8.h"

/* A value that was made. It is not if there was no memory, or by a fault of ours: to go on without it would lose it. */
static json_t *s_made(json_t *value) {
    if (value == NULL) {
        fputs("<2>pvrelay: a value of a JSON could not be made\n", stderr);
        abort();
    }
    return value;
}

json_t *pr_json_text_bytes(const char *text, size_t size) {
    if (pr_utf8_is_valid(text, size))
        return s_made(json_stringn_nocheck(text, size));
    char *escaped = pr_text_escape_bytes(text, size);
    json_t *value = s_made(json_string_nocheck(escaped));
    free(escaped);
    return value;
}

json_t *pr_json_text(const char *text) {
    return text != NULL ? pr_json_text_bytes(text, strlen(text)) : json_null();
}

json_t *pr_json_text_or_null(const char *text) {
    return pr_json_text(text != NULL && *text != '\0' ? text : NULL);
}

json_t *pr_json_real(double number) {
    return isfinite(number) ? s_made(json_real(number)) : json_null();
}

void pr_json_set(json_t *object, const char *key, json_t *value) {
    char *escaped = pr_utf8_is_valid(key, strlen(key)) ? NULL : pr_text_escape(key);
    if (json_object_set_new_nocheck(object, escaped != NULL ? escaped : key, s_made(value)) < 0)
        (void)s_made(NULL);
    free(escaped);
}

void pr_json_append(json_t *array, json_t *value) {
    if (json_array_append_new(array, s_made(value)) < 0)
        (void)s_made(NULL);
}

/* ---- packing ---- */

typedef struct {
    const char *at; /* in the format */
    va_list arguments;
} pr_packer_t;

static char s_next(pr_packer_t *packer) {
    packer->at += strspn(packer->at, " ,:");
    return *packer->at != '\0' ? *packer->at++ : '\0';
}

static json_t *s_pack(pr_packer_t *packer, char format);

static json_t *s_pack_object(pr_packer_t *packer) {
    json_t *object = s_made(json_object());
    for (char format; (format = s_next(packer)) != '}' && format != '\0';) {
        const char *key = va_arg(packer->arguments, const char *);
        pr_json_set(object, key, s_pack(packer, s_next(packer)));
    }
    return object;
}

static json_t *s_pack_array(pr_packer_t *packer) {
    json_t *array = s_made(json_array());
    for (char format; (format = s_next(packer)) != ']' && format != '\0';)
        pr_json_append(array, s_pack(packer, format));
    return array;
}

static json_t *s_pack(pr_packer_t *packer, char format) {
    switch (format) {
    case '{':
        return s_pack_object(packer);
    case '[':
        return s_pack_array(packer);
    case 's':
        packer->at += *packer->at == '?';
        return pr_json_text(va_arg(packer->arguments, const char *));
    case 'I':
        return s_made(json_integer(va_arg(packer->arguments, json_int_t)));
    case 'i':
        return s_made(json_integer(va_arg(packer->arguments, int)));
    case 'b':
        return json_boolean(va_arg(packer->arguments, int));
    case 'f':
        return pr_json_real(va_arg(packer->arguments, double));
    case 'n':
        return json_null();
    case 'o':
        return s_made(va_arg(packer->arguments, json_t *));
    case 'O':
        return s_made(json_incref(va_arg(packer->arguments, json_t *)));
    default:
        return s_made(NULL);
    }
}

json_t *pr_json_pack(const char *format, ...) {
    pr_packer_t packer = {.at = format};
    va_start(packer.arguments, format);
    json_t *value = s_pack(&packer, s_next(&packer));
    va_end(packer.arguments);
    return value;
}

/* ---- text ---- */

char *pr_json_dump(const json_t *json, size_t flags) {
    char *plain = json_dumps(json, flags | JSON_ENCODE_ANY);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (plain == NULL || out == NULL)
        (void)s_made(NULL);
    size_t plain_size = strlen(plain);
    for (size_t at = 0, taken; at < plain_size; at += taken) {
        uint32_t point = 0;
        taken = pr_utf8_character(plain + at, plain_size - at, &point); /* jansson writes nothing but UTF-8 */
        if (point != '\n' && !pr_text_is_harmless(point))
            fprintf(out, "\\u%04" PRIX32, point);
        else
            fwrite(plain + at, 1, taken, out);
    }
    if (fclose(out) != 0)
        (void)s_made(NULL);
    free(plain);
    return text;
}

void pr_json_print(const json_t *json, size_t flags, FILE *out) {
    char *text = pr_json_dump(json, flags);
    fprintf(out, "%s\n", text);
    free(text);
}
