/* SPDX-License-Identifier: MIT */
/* pvrelay run: from the command line to the final table. */
#include "control/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/hint.h"
#include "common/message.h"
#include "common/starts.h"
#include "control/begin.h"
#include "control/command.h"
#include "control/format.h"
#include "control/ledger.h"
#include "control/profile.h"
#include "control/report.h"
#include "control/summary.h"
#include "control/supervise.h"
#include "control/terminal.h"

const char pr_usage_run[] =
    "Usage: pvrelay run EXPORT… --target DB [OPTION…]\n"
    "Replays export files into a target database by four daemons, proves every row, and prints what became of each "
    "record.\n"
    "Interrupted or killed, the same command continues. Options and exports may stand in any order.\n\n"
    "  --target DB          the SQLite database; made if there is none\n"
    "  --mapping FILE       what becomes what (default: the one that comes with pvrelay)\n"
    "  --config FILE        a run's configuration, pvrelay-config(5); options override it\n"
    "  --run-dir FOLDER     where sockets, locks and the configuration of this run lie\n"
    "  --report FOLDER      write the result as FOLDER/report.json and FOLDER/report.md, pvrelay-report(5)\n"
    "  --lang WORD          the language of report.md and of the final table: en (default) or fr\n"
    "  --transformers N     how many of them, 1 to 64 (default 1)\n"
    "  --null-text WORD     what the text \"null\" is in a nullable field: null (NULL), keep (text), or auto "
    "(default): NULL\n"
    "                       in the result sets of wrangler that hold no JSON null, text in all others\n"
    "  --max-rejects N      stop when more records than these are rejected (default: no limit)\n"
    "  --on-reject-limit WORD\n"
    "                       what to do then: stop (default), or rollback: put the target back to where this run began\n"
    "  --on-validation-failure WORD\n"
    "                       what to do when the proof fails: stop (default) or rollback, as above\n"
    "  --extra WORD         what rows are that the exports lack, in audits that they have: report (default), a "
    "finding;\n"
    "                       or fail, a failure\n"
    "  --on-foreign-change WORD\n"
    "                       what becomes of a row that differs from the export and is not as pvrelay last stored it:\n"
    "                       reject (default): its record is rejected; keep: the row stays; overwrite: it becomes what\n"
    "                       the export says; of the last two each row is a finding\n"
    "  --undo WORD          off: keep nothing to roll back with, for a target that can be thrown away (default: on)\n"
    "  --lock-wait N        how many seconds to wait for a target that another process holds (default 60)\n"
    "  --restart            give up an unfinished run of this target, and begin anew\n"
    "  --progress WORD      bar (default on a terminal), plain or none\n"
    "  --profile            print at the end what each stage cost, and which one is the bottleneck\n"
    "  --verbose            pass on all that the daemons say\n";

static const char *const s_undo_words[] = {"on", "off", NULL};
static const char *const s_then_words[] = {"stop", "rollback", NULL};
static const char *const s_foreign_words[] = {
#define X(name, word) word,
    PR_FOREIGN_POLICIES(X)
#undef X
        NULL};
static const char *const s_extra_words[] = {"report", "fail", NULL};
static const char *const s_progress_words[] = {"bar", "plain", "none", NULL}; /* as pr_view_mode_t */

void pr_run_options_init(pr_run_options_t *options, int argc, char *const *argv, pr_option_t *ret_table) {
    *options = (pr_run_options_t){.transformers = -1,
                                  .max_rejects = -1,
                                  .lock_wait = -1,
                                  .null_text = -1,
                                  .undo = -1,
                                  .on_failure = -1,
                                  .on_reject_limit = -1,
                                  .on_foreign = -1,
                                  .progress = -1,
                                  .extra = -1,
                                  .language = PR_LANGUAGE_ENGLISH,
                                  .argc = argc,
                                  .argv = argv};
    const pr_option_t table[PR_RUN_OPTIONS] = {
        {.name = "--target", .kind = PR_OPTION_TEXT, .into = &options->target},
        {.name = "--mapping", .kind = PR_OPTION_TEXT, .into = &options->mapping},
        {.name = "--config", .kind = PR_OPTION_TEXT, .into = &options->config},
        {.name = "--run-dir", .kind = PR_OPTION_TEXT, .into = &options->run_dir},
        {.name = "--report", .kind = PR_OPTION_TEXT, .into = &options->report},
        {.name = "--transformers", .kind = PR_OPTION_NUMBER, .into = &options->transformers, .least = 1, .most = 64},
        {.name = "--max-rejects",
         .kind = PR_OPTION_NUMBER,
         .into = &options->max_rejects,
         .least = 0,
         .most = INT64_MAX},
        {.name = "--lock-wait",
         .kind = PR_OPTION_NUMBER,
         .into = &options->lock_wait,
         .least = 0,
         .most = PR_CONFIG_LOCK_WAIT_MOST_S},
        {.name = "--null-text", .kind = PR_OPTION_WORD, .into = &options->null_text, .words = pr_null_text_words},
        {.name = "--undo", .kind = PR_OPTION_WORD, .into = &options->undo, .words = s_undo_words},
        {.name = "--on-validation-failure",
         .kind = PR_OPTION_WORD,
         .into = &options->on_failure,
         .words = s_then_words},
        {.name = "--on-reject-limit", .kind = PR_OPTION_WORD, .into = &options->on_reject_limit, .words = s_then_words},
        {.name = "--on-foreign-change", .kind = PR_OPTION_WORD, .into = &options->on_foreign, .words = s_foreign_words},
        {.name = "--progress", .kind = PR_OPTION_WORD, .into = &options->progress, .words = s_progress_words},
        {.name = "--extra", .kind = PR_OPTION_WORD, .into = &options->extra, .words = s_extra_words},
        {.name = "--lang", .kind = PR_OPTION_WORD, .into = &options->language, .words = pr_language_words},
        {.name = "--restart", .kind = PR_OPTION_FLAG, .into = &options->restart},
        {.name = "--profile", .kind = PR_OPTION_FLAG, .into = &options->profile},
        {.name = "--verbose", .kind = PR_OPTION_FLAG, .into = &options->verbose},
    };
    memcpy(ret_table, table, sizeof table);
}

/* ---- the configuration ---- */

/* A path made absolute; its file need not be there, its folder must. *Returns new*, or NULL with errno. */
static char *s_absolute(const char *path) {
    char resolved[PATH_MAX];
    if (realpath(path, resolved) != NULL)
        return pr_xstrdup(resolved);
    char *folder_of = pr_xstrdup(path);
    char *name_of = pr_xstrdup(path);
    char *result = NULL;
    if (errno == ENOENT && realpath(dirname(folder_of), resolved) != NULL)
        result = pr_xasprintf("%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved, basename(name_of));
    free(folder_of);
    free(name_of);
    return result;
}

static void s_replace(char **text, char *by) {
    free(*text);
    *text = by;
}

static int s_set_target(pr_config_t *config, const char *target, pr_error_t *err) {
    struct stat status;
    char *absolute = s_absolute(target);
    if (absolute == NULL)
        return pr_error_set(err, PR_E_TARGET, "%s: its folder cannot be used: %s", target, strerror(errno));
    s_replace(&config->target, absolute); /* target may have been this string, and is gone now */
    if (stat(absolute, &status) == 0 && !S_ISREG(status.st_mode))
        return pr_error_set(err, PR_E_TARGET, "%s: is not a file", absolute);
    return 0;
}

static int s_check_source(const char *path, pr_error_t *err) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return pr_error_set(err, PR_E_UNREADABLE, "%s: cannot be read: %s", path, strerror(errno));
    int result = 0;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
        result = pr_error_set(err, PR_E_UNREADABLE,
                              "%s: is not a regular file; exports must be files that can be read again", path);
    close(file);
    return result;
}

static int s_set_sources(pr_config_t *config, const char *const *sources, size_t count, pr_error_t *err) {
    if (count > 0) {
        for (size_t i = 0; i < config->sources_count; i++)
            free(config->sources[i]);
        config->sources = pr_xrealloc(config->sources, count * sizeof *config->sources);
        config->sources_count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        int result = s_check_source(sources[i], err);
        if (result < 0)
            return result;
        config->sources[config->sources_count++] = s_absolute(sources[i]);
    }
    for (size_t i = 0; count == 0 && i < config->sources_count; i++) {
        int result = s_check_source(config->sources[i], err);
        if (result < 0)
            return result;
    }
    return 0;
}

static void s_set_the_rest(pr_config_t *config, const pr_run_options_t *options) {
    char *datadir = pr_config_datadir();
    if (options->mapping != NULL)
        s_replace(&config->mapping, pr_begin_absolute(options->mapping));
    else if (config->mapping == NULL)
        config->mapping = pr_config_default_mapping();
    if (config->migrations == NULL)
        config->migrations = pr_xasprintf("%s/migrations", datadir);
    bool no_run_dir = config->run_dir == NULL;
    /* A run folder that --config's own target gave is of no use for another target. */
    if (options->run_dir != NULL)
        s_replace(&config->run_dir, pr_begin_absolute(options->run_dir));
    else if (config->run_dir == NULL || options->target != NULL)
        s_replace(&config->run_dir, pr_config_default_run_dir(config->target));
    config->run_dir_ours = options->run_dir == NULL && (no_run_dir || options->target != NULL);
    if (options->transformers > 0)
        config->transformers = (uint32_t)options->transformers;
    if (options->max_rejects >= 0)
        config->max_rejects = options->max_rejects;
    if (options->lock_wait >= 0)
        config->lock_wait_s = options->lock_wait;
    if (options->null_text >= 0)
        config->null_text = (pr_null_text_t)options->null_text;
    if (options->undo >= 0)
        config->undo_off = options->undo == 1;
    if (options->on_failure >= 0)
        config->rollback_on_failure = options->on_failure == 1;
    if (options->on_reject_limit >= 0)
        config->rollback_on_reject_limit = options->on_reject_limit == 1;
    if (options->on_foreign >= 0)
        config->on_foreign_change = (pr_foreign_policy_t)options->on_foreign;
    if (options->extra >= 0)
        config->extra_fail = options->extra == 1;
    config->restart |= options->restart;
    free(datadir);
}

/* What the options and the configuration file make together may be nonsense where neither is. */
static int s_check_together(const char *command, const pr_config_t *config, pr_error_t *err) {
    if (config->undo_off && (config->rollback_on_failure || config->rollback_on_reject_limit))
        return pr_options_wrong(command, err, "%s rollback and --undo off: there would be nothing to roll back with",
                                config->rollback_on_failure ? "--on-validation-failure" : "--on-reject-limit");
    if (config->rollback_on_reject_limit && config->max_rejects < 0)
        return pr_options_wrong(command, err, "--on-reject-limit rollback needs a limit, --max-rejects N");
    return 0;
}

int pr_run_configure(const char *command, const pr_run_options_t *options, const char *const *sources, size_t count,
                     pr_config_t **ret_config, pr_error_t *err) {
    pr_config_t *config = NULL;
    if (options->config != NULL) {
        int result = pr_config_load_settings(options->config, &config, err);
        if (result < 0)
            return result;
    } else {
        config = pr_config_new();
    }
    int result = 0;
    if (options->target == NULL && config->target == NULL)
        result = pr_options_wrong(command, err, "--target DB is missing");
    if (result == 0)
        result = s_set_sources(config, sources, count, err);
    if (result == 0)
        result = s_set_target(config, options->target != NULL ? options->target : config->target, err);
    if (result == 0) {
        s_set_the_rest(config, options);
        result = s_check_together(command, config, err);
    }
    if (result == 0) /* the words are UTF-8, but what they were made absolute with need not be */
        result = pr_config_check_paths(config, err);
    if (result < 0)
        pr_config_destroy(&config);
    else
        *ret_config = config;
    return result;
}

/* ---- the run ---- */

static int s_supervise(const pr_config_t *config, const pr_run_options_t *options, pr_meter_t *meter,
                       pr_profile_t *profile, int *ret_outcome, pr_error_t *err) {
    char *path = NULL;
    int result = pr_begin_save(config, &path, err);
    if (result == 0) {
        pr_starts_clear(config->run_dir); /* those of the run before, and of this one before it was interrupted */
        pr_view_mode_t mode = options->progress >= 0 ? (pr_view_mode_t)options->progress : pr_view_default_mode();
        pr_view_t *view = pr_view_new(mode, pr_now_ms());
        const pr_supervise_t run = {.run_dir = config->run_dir,
                                    .config = path,
                                    .transformers = config->transformers,
                                    .verbose = options->verbose,
                                    .view = view,
                                    .meter = meter,
                                    .profile = profile};
        result = pr_supervise(&run, ret_outcome, err);
        pr_view_destroy(&view);
    }
    free(path);
    return result;
}

/* The run came to its outcome: show it. */
static int s_finish(const pr_report_t *report, pr_report_language_t language, int outcome, pr_error_t *err) {
    pr_summary_print(report, language, pr_terminal_colours(STDOUT_FILENO), stdout);
    int result = pr_begin_check(report, outcome, err);
    return result < 0 ? result : outcome;
}

/* The run stopped before its end: how far it has come is worth a line. */
static void s_tell_position(const pr_config_t *config, const pr_report_t *report) {
    const pr_ledger_run_t *run = &report->run;
    if (*run->rolled_back_at != '\0') {
        fprintf(stderr, "pvrelay: run %" PRId64 " was taken back: the target is as it was before it\n", run->number);
        if (run->rejected > 0) { /* without --run they count as settled */
            char number[24];
            snprintf(number, sizeof number, "%" PRId64, run->number);
            char *command = pr_hint_command("rejects", "--target", config->target, "--run", number, NULL);
            fprintf(stderr, "pvrelay: its rejects are kept: %s\n", command);
            free(command);
        }
        return;
    }
    fprintf(stderr, "pvrelay: %s of %s records are committed, %s of them rejected; %s validated\n",
            pr_format_count(run->records).text, pr_format_count(run->total).text, pr_format_count(run->rejected).text,
            pr_format_count(run->validated).text);
}

/* Put the report together, and write it if that was asked for. ret_report: *returns new*, if the target knows the run,
 * even if the report cannot be written. why: what the run stopped with, NULL: it came to its end. */
static int s_report(const pr_config_t *config, const pr_run_options_t *options, const pr_mapping_t *mapping,
                    const pr_meter_t *meter, const pr_error_t *why, pr_report_t **ret_report, pr_error_t *err) {
    const pr_begin_report_t facts = {.config = config,
                                     .mapping = mapping,
                                     .meter = meter,
                                     .whole = options->report != NULL,
                                     .argc = options->argc,
                                     .argv = options->argv};
    int result = pr_begin_report(&facts, ret_report, err);
    if (result == 0 && why != NULL)
        pr_report_set_error(*ret_report, why);
    if (result == 0 && options->report != NULL)
        result = pr_report_write(*ret_report, options->report, (pr_report_language_t)options->language, err);
    return result;
}

/* Processors that there are. */
static unsigned s_processors(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

int pr_run_execute(pr_config_t *config, const pr_run_options_t *options, pr_error_t *err) {
    int outcome = -1;
    pr_report_t *report = NULL;
    pr_mapping_t *mapping = NULL;
    int result = pr_run_load_mapping(config->mapping, stderr, &mapping, err);
    if (result == 0)
        result = pr_begin_choose(config, err);
    if (result < 0) {
        pr_mapping_destroy(&mapping);
        return result;
    }
    pr_meter_t *meter = pr_meter_new(config->transformers);
    pr_profile_t *profile = options->profile ? pr_profile_new(config->transformers, pr_now_us()) : NULL;
    result = s_supervise(config, options, meter, profile, &outcome, err);
    if (profile != NULL)
        pr_profile_finish(profile, pr_now_us());
    /* After a failure there may be no such run, or no target: then there is nothing to tell. */
    int reported =
        s_report(config, options, mapping, meter, result < 0 ? err : NULL, &report, result == 0 ? err : NULL);
    if (result < 0 && report != NULL)
        s_tell_position(config, report);
    if (result == 0)
        result = reported < 0 || report == NULL
                     ? reported
                     : s_finish(report, (pr_report_language_t)options->language, outcome, err);
    if (result >= 0 && profile != NULL)
        pr_profile_print(profile, s_processors(), stdout);
    pr_profile_destroy(&profile);
    pr_report_destroy(&report);
    pr_meter_destroy(&meter);
    pr_mapping_destroy(&mapping);
    return result;
}

/* Sets that are yet to come are for the one who stays. */
static int s_refuse_spool(const char *command, const pr_config_t *config, pr_error_t *err) {
    if (config->spool == NULL)
        return 0;
    char manage[PR_HINT_BYTES];
    return pr_options_wrong(command, err, "%s: its \"sources\" are a spool, which `%s` replays", config->path,
                            pr_hint_into(manage, sizeof manage, "manage", "--config", config->path, NULL));
}

int pr_command_run(int argc, char **argv, pr_error_t *err) {
    pr_run_options_t options;
    pr_option_t table[PR_RUN_OPTIONS];
    pr_operands_t operands;
    pr_config_t *config = NULL;
    pr_lock_t *lock = NULL;
    pr_run_options_init(&options, argc, argv, table);
    int result = pr_options_parse(table, PR_RUN_OPTIONS, argc, argv, SIZE_MAX, &operands, err);
    if (result < 0)
        return result;
    if (operands.count == 0 && options.config == NULL)
        result = pr_options_wrong(argv[0], err, "no export is given");
    if (result == 0)
        result = pr_run_configure(argv[0], &options, operands.at, operands.count, &config, err);
    if (result == 0)
        result = s_refuse_spool(argv[0], config, err);
    if (result == 0) {
        pr_command_wait_for_locks(pr_config_lock_wait_ms(config), config->target);
        result = pr_begin_lock(config, &lock, err);
    }

    if (result == 0)
        result = pr_run_execute(config, &options, err);
    pr_begin_unlock(config, &lock);
    pr_config_destroy(&config);
    free(operands.at);
    return result;
}
