/* SPDX-License-Identifier: MIT */
/* The command line of a command. */
#include "control/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "common/suggest.h"
#include "common/text.h"
#include "common/utf8.h"

int pr_options_wrong(const char *command, pr_error_t *err, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return pr_error_set(err, PR_E_USAGE, "%s; see `%s help%s%s`", text, pr_hint_program(), *command != '\0' ? " " : "",
                        command);
}

static int s_take_number(const char *command, const pr_option_t *option, const char *value, pr_error_t *err) {
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool digits = value[0] == '-' ? value[1] >= '0' && value[1] <= '9' : value[0] >= '0' && value[0] <= '9';
    if (!digits || *end != '\0' || errno != 0 || number < option->least || number > option->most) {
        if (option->most == INT64_MAX)
            return pr_options_wrong(command, err, "%s %s: a whole number from %lld is expected", option->name, value,
                                    (long long)option->least);
        return pr_options_wrong(command, err, "%s %s: a whole number from %lld to %lld is expected", option->name,
                                value, (long long)option->least, (long long)option->most);
    }
    *(int64_t *)option->into = number;
    return 0;
}

static int s_take_word(const char *command, const pr_option_t *option, const char *value, pr_error_t *err) {
    char expected[128] = "";
    for (int i = 0; option->words[i] != NULL; i++) {
        if (strcmp(option->words[i], value) == 0) {
            *(int *)option->into = i;
            return 0;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s",
                 i == 0                         ? ""
                 : option->words[i + 1] == NULL ? " or "
                                                : ", ",
                 option->words[i]);
    }
    return pr_options_wrong(command, err, "%s %s: %s is expected", option->name, value, expected);
}

static int s_take_value(const char *command, const pr_option_t *option, const char *value, pr_error_t *err) {
    switch (option->kind) {
    case PR_OPTION_FLAG:
        break;
    case PR_OPTION_TEXT:
        if (*value == '\0')
            return pr_options_wrong(command, err, "%s: the value is empty", option->name);
        if (!pr_utf8_is_valid(value, strlen(value)))
            return pr_error_set(err, PR_E_USAGE, "%s %s: " PR_TEXT_NO_PATH, option->name, value);
        *(const char **)option->into = value;
        return 0;
    case PR_OPTION_NUMBER:
        return s_take_number(command, option, value, err);
    case PR_OPTION_WORD:
        return s_take_word(command, option, value, err);
    }
    return pr_options_wrong(command, err, "%s takes no value", option->name);
}

static const pr_option_t *s_find(const pr_option_t *options, size_t count, const char *word, size_t size) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == size && memcmp(options[i].name, word, size) == 0)
            return &options[i];
    }
    return NULL;
}

/* Take the option that stands at *at, and its value; moves *at to the last word used. */
static int s_take(const pr_option_t *options, size_t count, int argc, char **argv, int *at, pr_error_t *err) {
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    size_t size = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const pr_option_t *option = s_find(options, count, word, size);
    if (option == NULL) {
        pr_suggest_t suggest = pr_suggest_begin(word, size);
        for (size_t i = 0; i < count; i++)
            pr_suggest_offer(&suggest, options[i].name);
        return pr_options_wrong(argv[0], err, "unknown option %.*s%s", (int)size, word, pr_suggest_text(&suggest));
    }
    if (equals != NULL)
        return s_take_value(argv[0], option, equals + 1, err);
    if (option->kind == PR_OPTION_FLAG) {
        *(bool *)option->into = true;
        return 0;
    }
    if (*at + 1 >= argc)
        return pr_options_wrong(argv[0], err, "%s: its value is missing", word);
    *at += 1;
    return s_take_value(argv[0], option, argv[*at], err);
}

int pr_options_parse(const pr_option_t *options, size_t count, int argc, char **argv, size_t operands_max,
                     pr_operands_t *ret_operands, pr_error_t *err) {
    pr_operands_t operands = {.at = pr_xcalloc((size_t)argc + 1, sizeof *operands.at)};
    bool only_operands = false;
    int result = 0;
    for (int at = 1; result == 0 && at < argc; at++) {
        if (!only_operands && strcmp(argv[at], "--") == 0)
            only_operands = true;
        else if (!only_operands && argv[at][0] == '-' && argv[at][1] != '\0')
            result = s_take(options, count, argc, argv, &at, err);
        else if (operands.count == operands_max)
            result = pr_options_wrong(argv[0], err, "\"%s\" is one word too many", argv[at]);
        else if (!pr_utf8_is_valid(argv[at], strlen(argv[at])))
            result = pr_error_set(err, PR_E_USAGE, "%s: " PR_TEXT_NO_PATH, argv[at]);
        else
            operands.at[operands.count++] = argv[at];
    }
    if (result < 0) {
        free(operands.at);
        return result;
    }
    *ret_operands = operands;
    return 0;
}

int pr_options_parse_alone(const pr_option_t *options, size_t count, int argc, char **argv, pr_error_t *err) {
    pr_operands_t operands = {.at = NULL};
    int result = pr_options_parse(options, count, argc, argv, 0, &operands, err);
    free(operands.at);
    return result;
}
