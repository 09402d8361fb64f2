/* SPDX-License-Identifier: MIT */
/* What a daemon says on stderr. */
#include "control/daemon_lines.h"

#include <stdio.h>
#include <string.h>

/* The code with this name, PR_E_OK if there is none. */
static pr_error_code_t s_code(const char *name, size_t size) {
    static const struct {
        const char *name;
        pr_error_code_t code;
    } codes[] = {
#define X(name, number, class, exit_code, sentence) {#name, PR_E_##name},
        PR_ERRORS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (strlen(codes[i].name) == size && memcmp(codes[i].name, name, size) == 0)
            return codes[i].code;
    }
    return PR_E_OK;
}

/* Is it "program: NAME: text"? */
static bool s_fatal(const char *program, const char *line, pr_error_t *ret_fatal) {
    size_t size = strlen(program);
    if (strncmp(line, program, size) != 0 || strncmp(line + size, ": ", 2) != 0)
        return false;
    const char *name = line + size + 2;
    const char *colon = strstr(name, ": ");
    pr_error_code_t code = colon != NULL ? s_code(name, (size_t)(colon - name)) : PR_E_OK;
    if (code == PR_E_OK)
        return false;
    pr_error_t fatal = PR_ERROR_INIT;
    pr_error_set(&fatal, code, "%s", colon + 2);
    *ret_fatal = fatal;
    return true;
}

static void s_line(pr_daemon_lines_t *lines, const char *program, int level, pr_daemon_line_fn *line, void *context) {
    const char *text = lines->data;
    int priority = 4;
    if (text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
        priority = text[1] - '0';
        text += 3;
    }
    pr_error_t fatal;
    if (priority <= 3 && s_fatal(program, text, &fatal)) {
        if (lines->fatal.code != PR_E_OK) {
            char older[PR_DAEMON_LINE_BYTES];
            snprintf(older, sizeof older, "%s: %s: %s", program, pr_error_name((int)lines->fatal.code),
                     lines->fatal.text);
            line(context, older);
        }
        lines->fatal = fatal;
    } else if (priority <= level && *text != '\0') {
        line(context, text);
    }
}

void pr_daemon_lines_take(pr_daemon_lines_t *lines, const char *program, const char *data, size_t size, int level,
                          pr_daemon_line_fn *line, void *context) {
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n') {
            pr_daemon_lines_end(lines, program, level, line, context);
        } else if (lines->used + 1 < sizeof lines->data) {
            lines->data[lines->used++] = data[i];
        }
    }
}

void pr_daemon_lines_end(pr_daemon_lines_t *lines, const char *program, int level, pr_daemon_line_fn *line,
                         void *context) {
    lines->data[lines->used] = '\0';
    lines->used = 0;
    s_line(lines, program, level, line, context);
}
