/* SPDX-License-Identifier: MIT */
/* pvrelay manage: begin the run of a configuration, see how it ends, and report. */
#include "control/manage.h"

#include <czmq.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/fault.h"
#include "common/file.h"
#include "common/lock_wait.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/signals.h"
#include "control/begin.h"
#include "control/command.h"
#include "control/format.h"
#include "control/interrupt.h"
#include "control/options.h"
#include "control/progress_view.h"
#include "control/run.h"

enum { s_turn_ms = 100, s_status_ms = 1000, s_leave_ms = 60000, s_long_report_s = 3600, s_start_s = 30 };

const char pr_usage_manage[] =
    "Usage: pvrelay manage --config FILE [OPTION…]\n"
    "Looks after the runs of a configuration whose daemons somebody else starts and restarts, as systemd does: begins "
    "the "
    "run\n"
    "(or each set of a spool), waits for its end, and writes its report. Killed or interrupted, it goes on when it is "
    "started\n"
    "again.\n\n"
    "  --config FILE        the configuration, pvrelay-config(5)\n"
    "  --run-dir FOLDER     the run folder, in place of the configuration's; the daemons find theirs in "
    "FOLDER/config.json\n"
    "  --lang WORD          the language of report.md: en (default) or fr\n"
    "  --check              check configuration, mapping and spool, then exit\n\n"
    "Exit code: that of the run; 6 when it was interrupted, 0 if there was nothing to interrupt.\n";

/* ---- waiting ---- */

static void s_hear_signal(pr_manager_t *manager) {
    struct signalfd_siginfo info;
    if (read(manager->signals, &info, sizeof info) != (ssize_t)sizeof info || manager->stop)
        return;
    manager->stop = true;
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
    pr_log(PR_LOG_NOTICE, "stopping, on signal %u", info.ssi_signo);
}

static void s_tell_status(pr_manager_t *manager, const char *idle) {
    char line[384];
    pr_meter_view_t view;
    if (idle == NULL) {
        pr_watch_look(manager->watch, &view);
        pr_view_print_line(&view, line, sizeof line);
    }
    pr_notify_status("%s%s%s", idle == NULL ? manager->what : "", idle == NULL ? ": " : "", idle == NULL ? line : idle);
}

void pr_manage_turn(pr_manager_t *manager, const char *idle) {
    pr_watch_listen(manager->watch, s_turn_ms, manager->signals);
    s_hear_signal(manager);
    int64_t now_ms = pr_now_ms();
    if (manager->ready && !manager->stop && now_ms - manager->status_ms >= s_status_ms) {
        s_tell_status(manager, idle);
        manager->status_ms = now_ms;
    }
    if (!manager->ready)
        sd_notify(0, "EXTEND_TIMEOUT_USEC=10000000");
    pr_watchdog_ping(&manager->watchdog, now_ms);
}

/* Neither the watchdog nor the limit for starts must bite while a report counts the rows of a large target. */
static void s_let_watchdog(const pr_manager_t *manager, uint64_t us) {
    if (manager->watchdog.us > 0)
        sd_notifyf(0, "WATCHDOG=1\nWATCHDOG_USEC=%llu", (unsigned long long)us);
    if (!manager->ready)
        sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)us);
}

void pr_manage_pause_watchdog(const pr_manager_t *manager) {
    s_let_watchdog(manager, (uint64_t)s_long_report_s * 1000000);
}

void pr_manage_resume_watchdog(const pr_manager_t *manager) {
    s_let_watchdog(manager, manager->watchdog.us > 0 ? manager->watchdog.us : (uint64_t)s_start_s * 1000000);
}

int pr_manage_publish(pr_manager_t *manager, pr_error_t *err) {
    int result = pr_begin_save(manager->config, NULL, err);
    if (result == 0 && !manager->ready) {
        manager->ready = true;
        sd_notify(0, "READY=1");
    }
    return result;
}

int pr_manage_wait(pr_manager_t *manager, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_run_id_t run;
    int result = pr_run_id_parse(manager->config->run, &run);
    while (result == 0) {
        if (pr_ending_load(manager->config->run_dir, &run, ret_ending) > 0)
            return 0;
        if (manager->stop)
            return pr_error_set(err, PR_E_INTERRUPTED, "%s: interrupted; started again, it goes on", manager->what);
        pr_manage_turn(manager, NULL);
    }
    return pr_error_set(err, PR_E_INTERNAL, "%s: is no UUID", manager->config->run);
}

/* ---- the end ---- */

/* Is there the lock of this process? One that was killed leaves it, and is about to be started again. */
static bool s_is_there(const pr_config_t *config, pr_stage_t stage, uint32_t instance) {
    char path[PATH_MAX];
    char who[PR_WHO_BYTES];
    snprintf(path, sizeof path, "%s/%s.lock", config->run_dir, pr_stage_who(stage, instance, who));
    return access(path, F_OK) == 0;
}

static bool s_stage_is_there(const pr_config_t *config) {
    bool there = s_is_there(config, PR_STAGE_READER, 1) || s_is_there(config, PR_STAGE_WRITER, 1) ||
                 s_is_there(config, PR_STAGE_VALIDATOR, 1);
    for (uint32_t i = 1; i <= config->transformers && !there; i++)
        there = s_is_there(config, PR_STAGE_TRANSFORMER, i);
    return there;
}

/* They look for ended.json when the writer has gone: it must not go before them. */
static void s_wait_for_stages(pr_manager_t *manager) {
    int64_t until_ms = pr_now_ms() + s_leave_ms;
    while (s_stage_is_there(manager->config) && !manager->stop && pr_now_ms() < until_ms)
        pr_manage_turn(manager, "waiting for the daemons to leave");
}

static void s_remove(const pr_config_t *config, const char *name) {
    char *path = pr_xasprintf("%s/%s", config->run_dir, name);
    unlink(path);
    free(path);
}

/* What a manager that was killed while it wrote `managed` left behind (common/file.h). */
static void s_remove_unfinished(const pr_config_t *config) {
    static const char prefix[] = "managed.";
    DIR *folder = opendir(config->run_dir);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0)
            s_remove(config, entry->d_name);
    }
    if (folder != NULL)
        closedir(folder);
}

/*  The run is over and reported. `managed` goes before config.json and after ended.json, see above. systemd removes the
 *  whole folder; what we removed before it could make a restart in between begin a second run. */
static void s_clear(const pr_manager_t *manager) {
    if (getenv("RUNTIME_DIRECTORY") != NULL)
        return;
    pr_ending_clear(manager->config->run_dir, NULL);
    s_remove_unfinished(manager->config);
    s_remove(manager->config, "managed");
    s_remove(manager->config, "config.json");
}

/* ---- one run ---- */

static char *s_note_path(const pr_config_t *config) {
    return pr_xasprintf("%s/managed", config->run_dir);
}

/* The run that the manager before this one was on. *Returns new*, NULL if there is none. */
static char *s_load_note(const pr_config_t *config) {
    char text[37] = "";
    pr_run_id_t id;
    char *path = s_note_path(config);
    FILE *file = fopen(path, "re");
    free(path);
    if (file == NULL)
        return NULL;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    return pr_run_id_parse(text, &id) == 0 ? pr_xstrdup(text) : NULL;
}

static int s_save_note(const pr_config_t *config, pr_error_t *err) {
    char *path = s_note_path(config);
    int result = 0;
    if (pr_file_write_text(path, config->run, 0644, 1) < 0)
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot be written: %s", path, strerror(errno));
    free(path);
    return result;
}

/* Do two configurations name the same exports and target? */
static bool s_is_same_work(const pr_config_t *a, const pr_config_t *b) {
    bool same = strcmp(a->target, b->target) == 0 && a->sources_count == b->sources_count;
    for (size_t i = 0; same && i < a->sources_count; i++)
        same = strcmp(a->sources[i], b->sources[i]) == 0;
    return same;
}

/*  Go on with the run of the manager before this one: 1 (config->run is set), 0 if there is none, <0. ret_over: it has
 *  ended already, as ret_ending says. */
static int s_pick_up(pr_manager_t *manager, bool *ret_over, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_config_t *config = manager->config;
    pr_config_t *before = NULL;
    pr_run_id_t run;
    pr_books_t books = PR_BOOKS_UNKNOWN;
    char *path = pr_xasprintf("%s/config.json", config->run_dir);
    char *noted = s_load_note(config);
    bool ours = noted != NULL && pr_config_load(path, &before, NULL) == 0 && before->run != NULL &&
                strcmp(before->run, noted) == 0 && s_is_same_work(before, config) && pr_run_id_parse(noted, &run) == 0;
    pr_config_destroy(&before);
    free(path);
    if (!ours) {
        free(noted);
        return 0;
    }
    free(config->run);
    config->run = noted;
    *ret_over = pr_ending_load(config->run_dir, &run, ret_ending) > 0;
    if (*ret_over)
        return 1;
    pr_error_t other = PR_ERROR_INIT;
    int result = pr_manage_books(manager, &books, ret_ending, &other);
    if (result < 0)
        return pr_error_set(err, other.code, "%s", other.text);
    *ret_over = books == PR_BOOKS_ENDED;
    return books != PR_BOOKS_ABANDONED && books != PR_BOOKS_OTHER;
}

static int s_begin(pr_manager_t *manager, bool *ret_over, pr_ending_t *ret_ending, pr_error_t *err) {
    pr_config_t *config = manager->config;
    bool over = false;
    int picked = s_pick_up(manager, &over, ret_ending, err);
    int result = picked < 0 ? picked : 0;
    if (picked == 0)
        result = pr_begin_choose(config, err);
    if (result == 0)
        result = s_save_note(config, err);
    if (result < 0)
        return result;
    *ret_over = over;
    snprintf(manager->what, sizeof manager->what, "run %s", config->run);
    if (!over)
        pr_log(PR_LOG_NOTICE, "run %s %s: %zu export%s into %s", config->run, picked > 0 ? "goes on" : "begins",
               config->sources_count, pr_format_plural(config->sources_count), config->target);
    result = pr_manage_publish(manager, err);
    pr_fault("manage.after-config");
    if (result == 0 && picked == 0) { /* one that is there speaks of an earlier run */
        pr_ending_t old;
        if (pr_ending_load(config->run_dir, NULL, &old) > 0)
            pr_ending_clear(config->run_dir, &old.run);
    }
    return result;
}

static int s_manage_one(pr_manager_t *manager, pr_ending_t *ret_ending, pr_error_t *err) {
    bool over = false;
    int result = s_begin(manager, &over, ret_ending, err);
    if (result == 0 && !over)
        result = pr_manage_wait(manager, ret_ending, err);
    if (result == 0) {
        pr_fault("manage.before-report");
        result = pr_manage_report(manager, ret_ending, NULL, NULL, NULL, err);
        pr_fault("manage.after-report");
    }
    return result < 0 ? result : 1;
}

/* ---- the command ---- */

typedef struct {
    const char *config;
    const char *run_dir;
    int language;
    bool check;
} pr_manage_options_t;

static int s_configure(pr_manager_t *manager, const pr_manage_options_t *options, pr_error_t *err) {
    if (options->config == NULL) {
        pr_options_wrong("manage", err, "--config FILE is missing");
        return -PR_E_USAGE;
    }
    int result = pr_config_load(options->config, &manager->config, err);
    if (result < 0)
        return result;
    pr_config_t *config = manager->config;
    if (config->restart || config->retries_through > 0)
        return pr_error_set(err, PR_E_CONFIG, "%s: \"%s\" is not for a managed run; see pvrelay-config(5)",
                            options->config, config->restart ? "restart" : "retries_through");
    if (options->run_dir != NULL) {
        free(config->run_dir);
        config->run_dir = pr_begin_absolute(options->run_dir);
    }
    free(config->run);
    config->run = NULL;
    if (config->lock_wait_s < 0)
        config->lock_wait_s = PR_LOCK_WAIT_MANAGED_S;
    return pr_run_load_mapping(config->mapping, stderr, &manager->mapping, err);
}

/* A lock that another process holds: the log says it once, the status as long as it lasts. A signal ends the wait. */
static bool s_on_lock_wait(void *context, const char *what, bool begins) {
    pr_manager_t *manager = context;
    int64_t now_ms = pr_now_ms();
    if (begins)
        pr_log(PR_LOG_WARNING, "%s", pr_lock_wait_warning(what).text);
    if (begins || now_ms - manager->status_ms >= s_status_ms) {
        pr_notify_status("waiting: %s", what);
        manager->status_ms = now_ms;
    }
    if (!manager->ready)
        sd_notify(0, "EXTEND_TIMEOUT_USEC=10000000");
    pr_watchdog_ping(&manager->watchdog, now_ms);
    return !pr_daemon_interrupted();
}

static int s_open(pr_manager_t *manager, pr_error_t *err) {
    static const int signals[] = {SIGTERM, SIGINT};
    int result = pr_signals_open(signals, 2, NULL, &manager->signals, err);
    if (result == 0)
        result = pr_interrupt_check("interrupted before a run was begun", err);
    if (result < 0)
        return result;
    manager->watchdog = pr_watchdog_open();
    pr_lock_wait_set(pr_config_lock_wait_ms(manager->config), s_on_lock_wait, manager);
    result = pr_begin_lock(manager->config, &manager->lock, err);
    if (result == 0) {
        zsys_handler_set(NULL);
        manager->watch = pr_watch_new(manager->config->run_dir);
    }
    return result;
}

/*  From the first step to the last. Returns the exit code, or a negative code. */
static int s_manage(pr_manager_t *manager, pr_error_t *err) {
    pr_ending_t ending = {.code = PR_E_OK};
    int result = s_open(manager, err);
    if (result == 0)
        result = manager->config->spool != NULL ? pr_manage_spool(manager, &ending, err)
                                                : s_manage_one(manager, &ending, err);
    if (result <= 0)
        return result;
    s_wait_for_stages(manager);
    sd_notify(0, "STOPPING=1");
    pr_notify_status("%s%s%s", ending.code == PR_E_OK ? "complete" : pr_error_name((int)ending.code),
                     *ending.text != '\0' ? ": " : "", ending.text);
    pr_fault("manage.before-clear");
    s_clear(manager);
    return pr_error_exit_code((int)ending.code);
}

static int s_check_spool(const pr_config_t *config, pr_error_t *err) {
    pr_spool_t *spool = NULL;
    int result = config->spool != NULL ? pr_spool_open(config->spool, config->spool_marked, &spool, err) : 0;
    pr_spool_destroy(&spool);
    return result;
}

static void s_close(pr_manager_t *manager) {
    pr_watch_destroy(&manager->watch);
    pr_lock_release(&manager->lock);
    pr_mapping_destroy(&manager->mapping);
    pr_config_destroy(&manager->config);
    if (manager->signals >= 0)
        close(manager->signals);
}

int pr_command_manage(int argc, char **argv, pr_error_t *err) {
    pr_manage_options_t options = {.language = PR_LANGUAGE_ENGLISH};
    const pr_option_t table[] = {
        {.name = "--config", .kind = PR_OPTION_TEXT, .into = &options.config},
        {.name = "--run-dir", .kind = PR_OPTION_TEXT, .into = &options.run_dir},
        {.name = "--lang", .kind = PR_OPTION_WORD, .into = &options.language, .words = pr_language_words},
        {.name = "--check", .kind = PR_OPTION_FLAG, .into = &options.check},
    };
    int result = pr_options_parse_alone(table, sizeof table / sizeof table[0], argc, argv, err);
    if (result < 0)
        return result;
    pr_manager_t manager = {
        .language = (pr_report_language_t)options.language, .argc = argc, .argv = argv, .signals = -1};
    result = s_configure(&manager, &options, err);
    if (result == 0)
        result = options.check ? s_check_spool(manager.config, err) : s_manage(&manager, err);
    if (result < 0)
        pr_notify_status("%s: %s", pr_error_name(result), err->text);
    s_close(&manager);
    return result;
}
