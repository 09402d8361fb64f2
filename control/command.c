/* SPDX-License-Identifier: MIT */
/* The commands of pvrelay: finding one, its help, its error. */
#include "control/command.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/descriptors.h"
#include "common/lock_wait.h"
#include "common/log.h"
#include "common/suggest.h"
#include "control/interrupt.h"
#include "control/options.h"

typedef struct {
    const char *word;
    pr_command_fn *function;
    const char *summary;
    const char *usage;
} pr_command_t;

static const pr_command_t s_commands[] = {
#define X(word, function, summary) {word, pr_command_##function, summary, pr_usage_##function},
    PR_COMMANDS(X)
#undef X
};
enum { s_commands_count = sizeof s_commands / sizeof s_commands[0] };

static const pr_command_t *s_find(const char *word) {
    for (size_t i = 0; i < s_commands_count; i++) {
        if (strcmp(s_commands[i].word, word) == 0)
            return &s_commands[i];
    }
    return NULL;
}

static int s_unknown(const char *word, pr_error_t *err) {
    pr_suggest_t suggest = pr_suggest_begin(word, strlen(word));
    for (size_t i = 0; i < s_commands_count; i++)
        pr_suggest_offer(&suggest, s_commands[i].word);
    pr_suggest_offer(&suggest, "help");
    return pr_options_wrong("", err, "there is no command \"%s\"%s", word, pr_suggest_text(&suggest));
}

static void s_overview(void) {
    printf("Usage: pvrelay COMMAND [OPTION…] [OPERAND…]\n"
           "Replays electroluminescence exports into the unified HUB database.\n\n");
    for (size_t i = 0; i < s_commands_count; i++)
        printf("  %-14s %s\n", s_commands[i].word, s_commands[i].summary);
    printf("  %-14s %s\n\n", "help", "this text, or what a command takes: pvrelay help COMMAND");
    printf(
        "Exit codes: 0 complete, 1 usage or configuration, 2 unreadable or malformed export, 3 complete with rejects,\n"
        "4 validation failed, 5 target error, 6 interrupted (can be continued), 70 internal error.\n");
}

static void s_help(const pr_command_t *command) {
    printf("%s", command->usage);
}

static int s_fail(const pr_error_t *err) {
    const char *urgency = getenv("JOURNAL_STREAM") != NULL ? "<3>" : ""; /* systemd's journal reads it, sd-daemon(3) */
    fprintf(stderr, "%spvrelay: %s: %s\n", urgency, pr_error_name((int)err->code), err->text);
    return pr_error_exit_code((int)err->code);
}

static bool s_asks_for_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int s_help_on(int argc, char **argv) {
    const pr_command_t *command = argc > 1 ? s_find(argv[1]) : NULL;
    pr_error_t err = PR_ERROR_INIT;
    if (argc > 1 && command == NULL) {
        s_unknown(argv[1], &err);
        return s_fail(&err);
    }
    if (command != NULL)
        s_help(command);
    else
        s_overview();
    return 0;
}

/* By hand: say at once what is waited for. */
static bool s_on_lock_wait(void *context, const char *what, bool begins) {
    const char *target = context;
    if (!begins)
        return !pr_interrupted();
    char limit[32];
    pr_lock_wait_print(pr_lock_wait_limit_ms(), limit, sizeof limit);
    if (target != NULL && strncmp(what, target, strlen(target)) != 0)
        fprintf(stderr, "pvrelay: %s is in use: %s; waiting up to %s\n", target, what, limit);
    else
        fprintf(stderr, "pvrelay: %s; waiting up to %s\n", what, limit);
    return !pr_interrupted();
}

void pr_command_wait_for_locks(unsigned limit_ms, const char *target) {
    pr_lock_wait_set(limit_ms, s_on_lock_wait, (void *)(uintptr_t)target);
}

int pr_command_main(int argc, char **argv) {
    pr_error_t err = PR_ERROR_INIT;
    pr_descriptors_raise();
    pr_log_open("pvrelay", PR_LOG_NOTICE);
    pr_interrupt_catch(); /* sets SQLite up as in the stages: verify has a second thread, with a connection of its own */
    if (argc < 2) {
        pr_options_wrong("", &err, "a command is missing");
        return s_fail(&err);
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("pvrelay %s\n", PVRELAY_VERSION);
        return 0;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return s_help_on(argc - 1, argv + 1);
    const pr_command_t *command = s_find(word);
    if (command == NULL) {
        s_unknown(word, &err);
        return s_fail(&err);
    }
    if (s_asks_for_help(argc - 1, argv + 1)) {
        s_help(command);
        return 0;
    }
    pr_command_wait_for_locks(PR_LOCK_WAIT_BY_HAND_S * 1000, NULL);
    int result = command->function(argc - 1, argv + 1, &err);
    fflush(stdout);
    return result < 0 ? s_fail(&err) : result;
}
