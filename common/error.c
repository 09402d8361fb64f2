/* SPDX-License-Identifier: MIT */
/* The table of errors, looked up. */
#include "common/error.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

typedef struct {
    int number;
    const char *name;
    pr_error_class_t class;
    int exit_code;
    const char *sentence;
} pr_error_entry_t;

static const pr_error_entry_t s_errors[] = {
#define X(name, number, class, exit_code, sentence) {number, #name, PR_CLASS_##class, exit_code, sentence},
    PR_ERRORS(X)
#undef X
};

static const pr_error_entry_t *s_find(int code) {
    const pr_error_entry_t *internal = NULL;
    for (size_t i = 0; i < sizeof s_errors / sizeof s_errors[0]; i++) {
        if (s_errors[i].number == abs(code))
            return &s_errors[i];
        if (s_errors[i].number == PR_E_INTERNAL)
            internal = &s_errors[i];
    }
    return internal;
}

int pr_error_vset(pr_error_t *err, pr_error_code_t code, const char *format, va_list args) {
    if (err != NULL && err->code == PR_E_OK) {
        char raw[12288]; /* two paths and what is said about them */
        vsnprintf(raw, sizeof raw, format, args);
        err->code = code;
        pr_text_fit(raw, strlen(raw), err->text, sizeof err->text);
    }
    return -(int)code;
}

int pr_error_set(pr_error_t *err, pr_error_code_t code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int result = pr_error_vset(err, code, format, args);
    va_end(args);
    return result;
}

void pr_error_clear(pr_error_t *err) {
    if (err != NULL) {
        err->code = PR_E_OK;
        err->text[0] = '\0';
    }
}

int pr_error_code_from_name(const char *name, pr_error_code_t *ret_code) {
    for (size_t i = 0; i < sizeof s_errors / sizeof s_errors[0]; i++) {
        if (strcmp(s_errors[i].name, name) == 0) {
            *ret_code = (pr_error_code_t)s_errors[i].number;
            return 0;
        }
    }
    return -PR_E_CONFIG;
}

const char *pr_error_name(int code) {
    return s_find(code)->name;
}

const char *pr_error_sentence(int code) {
    return s_find(code)->sentence;
}

pr_error_class_t pr_error_class(int code) {
    return s_find(code)->class;
}

int pr_error_exit_code(int code) {
    return s_find(code)->exit_code;
}
