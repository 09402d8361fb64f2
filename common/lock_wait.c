/* SPDX-License-Identifier: MIT */
/* Waiting for a lock that another process holds. */
#include "common/lock_wait.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/hint.h"

enum {
    s_short_ms = 10, /* between tries, at first */
    s_long_ms = 50,
    s_worth_a_word_ms = 250,
    s_command_bytes = 4096
};

static unsigned s_limit_ms;
static pr_lock_wait_fn *s_turn;
static void *s_context;
static bool s_stopped;

void pr_lock_wait_set(unsigned limit_ms, pr_lock_wait_fn *turn, void *context) {
    s_limit_ms = limit_ms;
    s_turn = turn;
    s_context = context;
    s_stopped = false;
}

unsigned pr_lock_wait_limit_ms(void) {
    return s_limit_ms;
}

bool pr_lock_wait_stopped(void) {
    return s_stopped;
}

static int64_t s_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A second thread (validator/beside.h) waits in silence: what turn publishes belongs to the first one. */
static bool s_is_main_thread(void) {
    return gettid() == getpid();
}

static bool s_tell(pr_lock_wait_t *wait, void (*describe)(void *of, char *buffer, size_t size), void *of) {
    bool begins = !wait->told;
    if (begins)
        describe(of, wait->what, sizeof wait->what);
    wait->told = true;
    bool on = s_turn(s_context, wait->what, begins);
    s_stopped = !on;
    return on;
}

bool pr_lock_wait_step(pr_lock_wait_t *wait, unsigned limit_ms, void (*describe)(void *of, char *buffer, size_t size),
                       void *of) {
    int64_t now_ms = s_now_ms();
    if (wait->since_ms == 0) {
        wait->since_ms = now_ms;
        if (s_is_main_thread())
            s_stopped = false;
    }
    int64_t waited_ms = now_ms - wait->since_ms;
    if (waited_ms >= limit_ms)
        return false;
    if (waited_ms >= s_worth_a_word_ms && s_turn != NULL && s_is_main_thread() && !s_tell(wait, describe, of))
        return false;
    long sleep_ms = waited_ms < s_worth_a_word_ms ? s_short_ms : s_long_ms;
    sleep_ms = sleep_ms < limit_ms - waited_ms ? sleep_ms : (long)(limit_ms - waited_ms);
    nanosleep(&(struct timespec){.tv_nsec = sleep_ms * 1000000L}, NULL);
    return true;
}

/* The command line of a process: arguments with a NUL after each. Returns its size, 0 if it is not to be known. */
static size_t s_command(long pid, char *buffer, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    int file = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    ssize_t got = read(file, buffer, size - 1);
    close(file);
    buffer[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

void pr_lock_holder(long pid, char *buffer, size_t size) {
    enum { s_shown = 200 };
    char command[s_shown];
    if (pid <= 0) {
        snprintf(buffer, size, "another process");
        return;
    }
    size_t got = s_command(pid, command, sizeof command);
    const char *slash = got > 0 ? strrchr(command, '/') : NULL; /* the first argument ends with a NUL */
    while (got > 0 && command[got - 1] == '\0')
        got--;
    for (size_t i = 0; i < got; i++) {
        if (command[i] == '\0')
            command[i] = ' ';
        else if ((unsigned char)command[i] < 0x20 || command[i] == 0x7f)
            command[i] = '?';
    }
    if (got > 0)
        snprintf(buffer, size, "process %ld (%s)", pid, slash != NULL ? slash + 1 : command);
    else
        snprintf(buffer, size, "process %ld", pid);
}

/* The argument after this word. NULL: there is none. */
static const char *s_argument_after(const char *command, size_t size, const char *word) {
    const char *end = command + size;
    for (const char *at = command; at < end; at += strlen(at) + 1) {
        const char *next = at + strlen(at) + 1;
        if (strcmp(at, word) == 0 && next < end)
            return next;
    }
    return NULL;
}

static bool s_ends_with(const char *text, const char *ending) {
    size_t size = strlen(text);
    size_t tail = strlen(ending);
    return size > tail && strcmp(text + size - tail, ending) == 0;
}

void pr_lock_hint(const char *path, long pid, char *buffer, size_t size) {
    char command[s_command_bytes];
    size_t got = s_command(pid, command, sizeof command);
    const char *config = got > 0 ? s_argument_after(command, got, "--config") : NULL;
    const char *file = NULL; /* one of the run folder */
    if (s_ends_with(path, "/run.lock"))
        file = path;
    else if (config != NULL && *config == '/' && s_ends_with(config, "/config.json"))
        file = config;
    buffer[0] = '\0';
    if (file == NULL)
        return;
    char *folder = pr_xasprintf("%.*s", (int)(strrchr(file, '/') - file), file);
    char *top = pr_hint_command("top", "--run-dir", folder, NULL);
    snprintf(buffer, size, "; `%s` shows it", top);
    free(top);
    free(folder);
}

void pr_lock_wait_print(unsigned ms, char *buffer, size_t size) {
    unsigned s = (ms + 999) / 1000;
    if (ms < 1000)
        snprintf(buffer, size, "%u ms", ms);
    else if (s <= 600)
        snprintf(buffer, size, "%u s", s);
    else if (s < 2 * 3600)
        snprintf(buffer, size, "%u min", s / 60);
    else
        snprintf(buffer, size, "%u h", s / 3600);
}

pr_lock_wait_warning_t pr_lock_wait_warning(const char *what) {
    pr_lock_wait_warning_t warning;
    char limit[32];
    pr_lock_wait_print(s_limit_ms, limit, sizeof limit);
    snprintf(warning.text, sizeof warning.text, "%s; waiting for it, up to %s", what, limit);
    return warning;
}
