/* SPDX-License-Identifier: MIT */
/* What `run` and `retry-rejects` share: from a configuration to the final table. */
#ifndef PR_RUN_H
#define PR_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/config.h"
#include "common/error.h"
#include "common/mapping.h"
#include "control/options.h"

/* The options of a run, as given; what was not given is NULL, -1 or false. */
typedef struct {
    const char *target;
    const char *mapping;
    const char *config;
    const char *run_dir;
    const char *report;
    int64_t transformers;
    int64_t max_rejects; /* -1: not given */
    int64_t lock_wait;   /* seconds; -1: not given */
    int null_text;       /* pr_null_text_t, -1 not given */
    int undo;            /* 0 on, 1 off, -1 not given */
    int on_failure;      /* 0 stop, 1 rollback, -1 not given */
    int on_reject_limit; /* as on_failure */
    int on_foreign;      /* pr_foreign_policy_t, -1 not given */
    int progress;        /* pr_view_mode_t, -1 not given */
    int extra;           /* 0 report, 1 fail, -1 not given */
    int language;        /* pr_report_language_t */
    bool restart;
    bool verbose;
    bool profile;
    int argc; /* the command line, from the command's word; for the report */
    char *const *argv;
} pr_run_options_t;

enum { PR_RUN_OPTIONS = 19 };

/* The options of a command line with nothing given, and the table for pr_options_parse (PR_RUN_OPTIONS entries) that
 * fills them. argv: borrowed. */
void pr_run_options_init(pr_run_options_t *options, int argc, char *const *argv, pr_option_t *ret_table);

/*  The configuration that these options make, all paths absolute, checked as far as files go. sources: count paths;
 *  with none, those of --config stay. ret_config: *returns new*. */
int pr_run_configure(const char *command, const pr_run_options_t *options, const char *const *sources, size_t count,
                     pr_config_t **ret_config, pr_error_t *err);

/*  Do it: run id, daemons, final table, report. The caller holds the lock; config->run is set here.
 *  Returns the exit code of the outcome, or a negative code. */
int pr_run_execute(pr_config_t *config, const pr_run_options_t *options, pr_error_t *err);

/* Load a mapping; all its mistakes are printed to out, each as "file:line: text"; err then says how many there were. */
int pr_run_load_mapping(const char *path, FILE *out, pr_mapping_t **ret_mapping, pr_error_t *err);

#endif
