/* SPDX-License-Identifier: MIT */
/* Commands that messages offer. */
#include "common/hint.h"

#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/text.h"

static const char s_name[] = "pvrelay";
static pthread_once_t s_once = PTHREAD_ONCE_INIT;
static char *s_program, *s_self;

static bool s_is_plain(const char *word) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_";
    return *word != '\0' && strspn(word, plain) == strlen(word);
}

char *pr_hint_quote(const char *word) {
    if (s_is_plain(word))
        return pr_xstrdup(word);
    char *quoted = pr_xcalloc(4 * strlen(word) + 3, 1);
    size_t used = 0;
    quoted[used++] = '\'';
    for (const char *at = word; *at != '\0'; at++) {
        if (*at != '\'') {
            quoted[used++] = *at;
            continue;
        }
        for (const char *escape = "'\\''"; *escape != '\0'; escape++)
            quoted[used++] = *escape;
    }
    quoted[used] = '\'';
    return quoted;
}

/* Is what PATH finds under this name this file? */
static bool s_is_on_path(const char *name, const struct stat *file) {
    const char *path = getenv("PATH");
    for (const char *at = path; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ":");
        char *candidate = pr_xasprintf("%.*s/%s", (int)size, size > 0 ? at : ".", name);
        struct stat found;
        bool is_there = access(candidate, X_OK) == 0 && stat(candidate, &found) == 0 && S_ISREG(found.st_mode);
        free(candidate);
        if (is_there)
            return found.st_dev == file->st_dev && found.st_ino == file->st_ino;
        at += size + (at[size] == ':' ? 1 : 0);
    }
    return false;
}

/* What calls the program of this name that lies in our own folder. */
static char *s_find(const char *folder, int folder_bytes, const char *name) {
    char *beside = pr_xasprintf("%.*s/%s", folder_bytes, folder, name);
    struct stat file;
    bool is_there = access(beside, X_OK) == 0 && stat(beside, &file) == 0;
    char *found = is_there && !s_is_on_path(name, &file) ? pr_hint_quote(beside) : pr_xstrdup(name);
    free(beside);
    return found;
}

static void s_find_programs(void) {
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    self[size > 0 ? size : 0] = '\0';
    const char *slash = strrchr(self, '/');
    if (slash == NULL) {
        s_program = pr_xstrdup(s_name);
        s_self = pr_xstrdup(s_name);
        return;
    }
    s_program = s_find(self, (int)(slash - self), s_name);
    s_self = s_find(self, (int)(slash - self), slash + 1);
}

const char *pr_hint_program(void) {
    pthread_once(&s_once, s_find_programs);
    return s_program;
}

const char *pr_hint_self(void) {
    pthread_once(&s_once, s_find_programs);
    return s_self;
}

/* Takes command. */
static char *s_append(char *command, const char *word) {
    char *quoted = pr_hint_quote(word);
    char *longer = pr_xasprintf("%s %s", command, quoted);
    free(quoted);
    free(command);
    return longer;
}

static char *s_clean(char *command) {
    char *clean = pr_text_escape(command);
    free(command);
    return clean;
}

static char *s_command(const char *word, va_list words) {
    char *command = pr_xstrdup(pr_hint_program());
    for (; word != NULL; word = va_arg(words, const char *))
        command = s_append(command, word);
    return s_clean(command);
}

char *pr_hint_line(int argc, char *const *argv) {
    char *command = pr_xstrdup(pr_hint_program());
    for (int i = 0; i < argc; i++)
        command = s_append(command, argv[i]);
    return s_clean(command);
}

char *pr_hint_command(const char *word, ...) {
    va_list words;
    va_start(words, word);
    char *command = s_command(word, words);
    va_end(words);
    return command;
}

const char *pr_hint_into(char *buffer, unsigned size, const char *word, ...) {
    va_list words;
    va_start(words, word);
    char *command = s_command(word, words);
    va_end(words);
    snprintf(buffer, size, "%s", command);
    free(command);
    return buffer;
}
