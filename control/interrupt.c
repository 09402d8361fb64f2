/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM end every command. */
#include "control/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "common/sql_alive.h"

enum { s_grace_s = 2 };

static volatile sig_atomic_t s_interrupted;
static volatile sig_atomic_t s_exit_code;

static void s_on_signal(int number) {
    (void)number;
    s_interrupted = 1;
    alarm(s_grace_s);
}

/* What may be called in a handler is little (signal-safety(7)). */
static void s_on_alarm(int number) {
    static const char text[] =
        "pvrelay: INTERRUPTED: ended at once, in the midst of something that takes long; what is not "
        "committed is not done\n";
    (void)number;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(s_exit_code);
}

static void s_catch(int number, void (*handler)(int), int flags) {
    struct sigaction old;
    const struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    /* Who started us with a signal ignored, as nohup does, means it. */
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static bool s_go_on(void *context) {
    (void)context;
    return s_interrupted == 0;
}

void pr_interrupt_catch(void) {
    s_exit_code = pr_error_exit_code(PR_E_INTERRUPTED);
    s_catch(SIGINT, s_on_signal, (int)SA_RESETHAND | SA_RESTART);
    s_catch(SIGTERM, s_on_signal, (int)SA_RESETHAND | SA_RESTART);
    s_catch(SIGALRM, s_on_alarm, 0);
    pr_sql_alive(s_go_on, NULL);
}

bool pr_interrupted(void) {
    return s_interrupted != 0;
}

int pr_interrupt_check(const char *text, pr_error_t *err) {
    return s_interrupted == 0 ? 0 : pr_error_set(err, PR_E_INTERRUPTED, "%s", text);
}
