/* SPDX-License-Identifier: MIT */
/* The command line of a daemon. */
#include "common/daemon_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hint.h"
#include "common/text.h"
#include "common/utf8.h"

static void s_usage(const pr_stage_ops_t *ops) {
    printf(
        "Usage: %s --config FILE [OPTION…]\n%s\n\n"
        "  -c, --config FILE     the run's configuration (pvrelay-config(5))\n"
        "%s"
        "      --check           check configuration and mapping, then exit\n"
        "      --log-level WORD  error, warning, notice, info or debug (default notice)\n"
        "  -h, --help            this text\n"
        "  -V, --version         the version\n\n"
        "Exit codes: 0 complete, 1 usage or configuration, 2 unreadable or malformed export, 3 complete with rejects,\n"
        "4 validation failed, 5 target error, 6 interrupted (can be continued), 70 internal error.\n",
        ops->program, ops->summary,
        ops->stage == PR_STAGE_TRANSFORMER ? "  -i, --instance N      which of the transformers this is, from 1; "
                                             "without it all of them run, as this one's children\n"
                                           : "");
}

static int s_parse_instance(const char *word, uint32_t *ret_instance, pr_error_t *err) {
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || value < 1 || value > 64)
        return pr_error_set(err, PR_E_USAGE, "--instance %s: a number from 1 to 64 is expected", word);
    *ret_instance = (uint32_t)value;
    return 0;
}

int pr_daemon_options_parse(const pr_stage_ops_t *ops, int argc, char **argv, pr_daemon_options_t *ret_options,
                            pr_error_t *err) {
    enum { OPTION_CHECK = 256, OPTION_LEVEL };
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"instance", required_argument, NULL, 'i'},
                                            {"check", no_argument, NULL, OPTION_CHECK},
                                            {"log-level", required_argument, NULL, OPTION_LEVEL},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    pr_daemon_options_t given = {.level = PR_LOG_NOTICE};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "c:i:hV", options, NULL)) != -1) {
        int level;
        switch (option) {
        case 'c':
            if (!pr_utf8_is_valid(optarg, strlen(optarg)))
                return pr_error_set(err, PR_E_USAGE, "--config %s: " PR_TEXT_NO_PATH, optarg);
            given.config = optarg;
            break;
        case 'i':
            if (ops->stage != PR_STAGE_TRANSFORMER)
                return pr_error_set(err, PR_E_USAGE, "--instance: there is one %s only", ops->program);
            if (s_parse_instance(optarg, &given.instance, err) < 0)
                return -PR_E_USAGE;
            break;
        case OPTION_CHECK:
            given.check = true;
            break;
        case OPTION_LEVEL:
            level = pr_log_level_from_word(optarg);
            if (level < 0)
                return pr_error_set(err, PR_E_USAGE,
                                    "--log-level %s: error, warning, notice, info or debug is expected", optarg);
            given.level = (pr_log_level_t)level;
            break;
        case 'h':
            s_usage(ops);
            return 1;
        case 'V':
            printf("%s %s\n", ops->program, PVRELAY_VERSION);
            return 1;
        default:
            return pr_error_set(err, PR_E_USAGE, "unknown or incomplete option %s; see `%s --help`", argv[optind - 1],
                                pr_hint_self());
        }
    }
    if (optind < argc)
        return pr_error_set(err, PR_E_USAGE, "unexpected argument %s; see `%s --help`", argv[optind], pr_hint_self());
    if (given.config == NULL)
        return pr_error_set(err, PR_E_USAGE, "--config FILE is missing; see `%s --help`", pr_hint_self());
    *ret_options = given;
    return 0;
}
