/* SPDX-License-Identifier: MIT */
/* What the commands that run a pipeline share. */
#include "control/begin.h"

#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/lock_wait.h"
#include "common/reject.h"
#include "common/text.h"
#include "control/ledger.h"

enum { s_lock_tries = 3 };

int pr_begin_lock(const pr_config_t *config, pr_lock_t **ret_lock, pr_error_t *err) {
    char *path = pr_xasprintf("%s/run.lock", config->run_dir);
    pr_error_t why = PR_ERROR_INIT;
    int result = -1;
    for (int i = 0; result < 0 && i < s_lock_tries; i++) {
        pr_error_clear(&why);
        result = pr_config_make_run_dir(config->run_dir, &why);
        if (result == 0)
            result = pr_lock_take(path, pr_lock_wait_limit_ms(), ret_lock, &why);
        if (result < 0 && access(config->run_dir, F_OK) == 0)
            break; /* else: a run that has just ended took the folder with it */
    }
    free(path);
    return result < 0 ? pr_error_set(err, why.code, "%s", why.text) : 0;
}

/* The files in the run folder that a pattern describes. *Returns new* (globfree). */
static glob_t s_find(const char *run_dir, const char *pattern) {
    glob_t found = {0};
    char *path = pr_xasprintf("%s/%s", run_dir, pattern);
    if (glob(path, GLOB_NOSORT, NULL, &found) != 0)
        found.gl_pathc = 0;
    free(path);
    return found;
}

/* Is a stage at work there after all? One that was killed has left its lock behind: that goes. */
static bool s_is_used(const char *run_dir) {
    bool used = false;
    glob_t found = s_find(run_dir, "*.lock");
    for (size_t i = 0; i < found.gl_pathc; i++) {
        pr_lock_t *lock = NULL;
        if (strcmp(strrchr(found.gl_pathv[i], '/'), "/run.lock") == 0)
            continue; /* ours */
        used = pr_lock_take(found.gl_pathv[i], 0, &lock, NULL) < 0 || used;
        pr_lock_release(&lock);
    }
    globfree(&found);
    return used;
}

/* Remove what a run left in its folder. */
static void s_clear(const char *run_dir) {
    static const char *const patterns[] = {"config.json", "ended.json", "*.starts", "*.new", "*.sock", "*.counters"};
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        glob_t found = s_find(run_dir, patterns[p]);
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
        globfree(&found);
    }
}

void pr_begin_unlock(const pr_config_t *config, pr_lock_t **lock) {
    bool goes = *lock != NULL && config->run_dir_ours && !s_is_used(config->run_dir);
    if (goes)
        s_clear(config->run_dir);
    pr_lock_release(lock);
    if (goes)
        (void)rmdir(config->run_dir); /* not if somebody has begun there meanwhile */
}

static void s_set_run(pr_config_t *config, const char *id) {
    char *copy = pr_xstrdup(id);
    free(config->run);
    config->run = copy;
}

int pr_begin_choose(pr_config_t *config, pr_error_t *err) {
    sqlite3 *db = NULL;
    pr_ledger_run_t unfinished = {.number = 0};
    char id[37];
    int result = pr_ledger_open(config->target, &db, err);
    if (result > 0)
        result = pr_ledger_unfinished(db, &unfinished, err);
    bool goes_on = result > 0 && !config->restart;
    /* One of the other kind cannot be continued by this command. */
    if (goes_on && (strcmp(unfinished.kind, "retry") == 0) != (config->retries_through > 0))
        result = pr_ledger_refuse(db, config->target, &unfinished, err);
    result = pr_ledger_close(db, result, err);
    if (result > 0 && goes_on) {
        s_set_run(config, unfinished.id);
        return 0;
    }
    if (result >= 0)
        s_set_run(config, pr_run_id_print(pr_run_id_new(), id));
    return result < 0 ? result : 0;
}

char *pr_begin_absolute(const char *path) {
    char here[PATH_MAX];
    if (path[0] == '/' || getcwd(here, sizeof here) == NULL)
        return pr_xstrdup(path);
    return pr_xasprintf("%s/%s", here, path);
}

int pr_begin_save(const pr_config_t *config, char **ret_path, pr_error_t *err) {
    char *path = pr_xasprintf("%s/config.json", config->run_dir);
    int result = pr_config_save(config, path, err);
    if (result == 0 && ret_path != NULL)
        *ret_path = path;
    else
        free(path);
    return result;
}

static bool s_is_given(const pr_report_t *report, const char *stream) {
    for (size_t i = 0; i < report->sources_count; i++) {
        if (report->sources[i].records > 0 && strcmp(report->sources[i].stream, stream) == 0)
            return true;
    }
    return false;
}

/* The stream that makes rows of this table without being told of one. NULL: none does. */
static const char *s_maker(const pr_mapping_t *mapping, const char *table, const pr_stream_t *but) {
    for (size_t i = 0; i < mapping->streams_count; i++) {
        const pr_stream_t *stream = &mapping->streams[i];
        for (size_t k = 0; stream != but && k < stream->rows_count; k++) {
            if (strcmp(stream->rows[k].table, table) == 0)
                return stream->name;
        }
    }
    return NULL;
}

/* Of rejects that refer to rows which are not there: those rows' stream, if no record of it was given. */
static void s_find_not_given(pr_report_t *report, const pr_mapping_t *mapping) {
    for (size_t i = 0; *report->not_given == '\0' && i < report->rejects_count; i++) {
        const pr_report_reject_t *reject = &report->rejects[i];
        int index = pr_mapping_stream_index(mapping, reject->stream);
        if (index < 0 || strcmp(reject->reason, pr_reject_word(PR_R_UNKNOWN_PARENT)) != 0)
            continue;
        const pr_stream_t *stream = &mapping->streams[index];
        int field = pr_stream_field_index(stream, reject->field, strlen(reject->field));
        for (size_t k = 0; k < stream->rows_count; k++) {
            for (size_t c = 0; c < stream->rows[k].columns_count; c++) {
                const pr_column_t *column = &stream->rows[k].columns[c];
                const char *maker = column->op == PR_OP_LOOKUP && column->field == field
                                        ? s_maker(mapping, column->lookup_table, stream)
                                        : NULL;
                if (maker == NULL || s_is_given(report, maker))
                    continue;
                free(report->not_given);
                report->not_given = pr_text_escape(maker);
            }
        }
    }
}

static void s_set_mapping_file(pr_report_t *report, const char *path) {
    char *usual = pr_config_default_mapping();
    pr_report_set_mapping_file(report, path, strcmp(path, usual) != 0);
    free(usual);
}

int pr_begin_report(const pr_begin_report_t *facts, pr_report_t **ret_report, pr_error_t *err) {
    const pr_config_t *config = facts->config;
    sqlite3 *db = NULL;
    pr_report_t *report = NULL;
    int result = pr_ledger_open_there(config->target, &db, err);
    if (result == 0)
        result = pr_report_from_run(db, config->target, config->run, facts->meter, &report, err);
    if (result == 0) {
        *ret_report = report;
        pr_report_set_command(report, facts->argc, facts->argv);
        s_set_mapping_file(report, config->mapping);
        if (strcmp(report->run.kind, "retry") != 0)
            s_find_not_given(report, facts->mapping);
        result = facts->whole ? pr_report_describe(report, db, facts->mapping, err)
                              : pr_report_describe_undo(report, db, err);
    }
    return pr_ledger_close(db, result, err);
}

int pr_begin_check(const pr_report_t *report, int exit_code, pr_error_t *err) {
    const pr_ledger_run_t *run = &report->run;
    if (!pr_report_balances(report))
        return pr_error_set(err, PR_E_VALIDATION,
                            "the accounts of run %" PRId64 " do not balance; keep the exports and this "
                            "target, and report it",
                            run->number);
    if (run->outcome != exit_code)
        return pr_error_set(err, PR_E_INTERNAL, "the writer ended with exit code %d, but the target says %d (%s)",
                            exit_code, run->outcome, run->state);
    return 0;
}
