/* SPDX-License-Identifier: MIT */
/* Logging to stderr. */
#include "common/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

static char s_name[64] = "pvrelay";
static pr_log_level_t s_level = PR_LOG_NOTICE;
static char s_last[512];
static bool s_prefix; /* systemd reads <priority> prefixes; people do not want them */

void pr_log_open(const char *name, pr_log_level_t level) {
    snprintf(s_name, sizeof s_name, "%s", name);
    s_level = level;
    s_prefix = !isatty(STDERR_FILENO);
}

void pr_log(pr_log_level_t level, const char *format, ...) {
    if (level > s_level)
        return;
    int saved = errno;
    char line[2048];
    int head = s_prefix ? snprintf(line, sizeof line, "<%d>%s: ", (int)level, s_name)
                        : snprintf(line, sizeof line, "%s: ", s_name);
    va_list args;
    va_start(args, format);
    char raw[12288];
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    pr_text_fit(raw, strlen(raw), line + head, sizeof line - (size_t)head - 1);
    if (level <= PR_LOG_WARNING)
        pr_text_fit(line + head, strlen(line + head), s_last, sizeof s_last);
    strcat(line, "\n");
    /* One write a line, so that lines of several processes do not mix. */
    ssize_t ignored = write(STDERR_FILENO, line, strlen(line));
    (void)ignored;
    errno = saved;
}

const char *pr_log_last(void) {
    return s_last;
}

void pr_log_error(const pr_error_t *err) {
    pr_log(PR_LOG_ERROR, "%s: %s", pr_error_name((int)err->code), err->text);
}

int pr_log_level_from_word(const char *word) {
    static const struct {
        const char *word;
        pr_log_level_t level;
    } levels[] = {{"error", PR_LOG_ERROR},
                  {"warning", PR_LOG_WARNING},
                  {"notice", PR_LOG_NOTICE},
                  {"info", PR_LOG_INFO},
                  {"debug", PR_LOG_DEBUG}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i].word, word) == 0)
            return (int)levels[i].level;
    }
    return -1;
}
