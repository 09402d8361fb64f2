/* SPDX-License-Identifier: MIT */
/* Logging to stderr. */
#include "common/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
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

/* ---- what may come again and again ---- */

enum { s_kinds_max = 32, s_kind_bytes = 160 };

typedef struct {
    char text[s_kind_bytes]; /* digits are '#' */
    uint64_t count;
} pr_log_kind_t;

static pr_log_kind_t s_kinds[s_kinds_max];
static size_t s_kinds_count;
static uint64_t s_others; /* of kinds that there was no room for */

/* Note a text. Is it the first of its kind? */
static bool s_is_new(const char *text, bool *ret_first_other) {
    char kind[s_kind_bytes];
    size_t used = 0;
    for (const char *at = text; *at != '\0' && used + 1 < sizeof kind; at++) {
        bool digit = *at >= '0' && *at <= '9';
        if (!digit || used == 0 || kind[used - 1] != '#')
            kind[used++] = digit ? '#' : *at;
    }
    kind[used] = '\0';
    for (size_t i = 0; i < s_kinds_count; i++) {
        if (strcmp(s_kinds[i].text, kind) == 0) {
            s_kinds[i].count++;
            return false;
        }
    }
    if (s_kinds_count == s_kinds_max) {
        *ret_first_other = ++s_others == 1;
        return false;
    }
    memcpy(s_kinds[s_kinds_count].text, kind, used + 1);
    s_kinds[s_kinds_count++].count = 1;
    return true;
}

void pr_log_repeatable(const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool first_other = false;
    if (s_is_new(text, &first_other))
        pr_log(PR_LOG_WARNING, "%s; what is like it is only counted from here on", text);
    else if (first_other)
        pr_log(PR_LOG_WARNING, "%s; from here on other kinds are only counted, too", text);
}

void pr_log_repetitions(void) {
    for (size_t i = 0; i < s_kinds_count; i++) {
        if (s_kinds[i].count > 1)
            pr_log(PR_LOG_WARNING, "%llu times in all: %s", (unsigned long long)s_kinds[i].count, s_kinds[i].text);
    }
    if (s_others > 1)
        pr_log(PR_LOG_WARNING, "%llu warnings of other kinds were only counted", (unsigned long long)s_others);
    s_kinds_count = 0;
    s_others = 0;
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
