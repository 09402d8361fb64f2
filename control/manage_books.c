/* SPDX-License-Identifier: MIT */
/* What the target says about a managed run, and the run's report. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/hint.h"
#include "common/lock_wait.h"
#include "common/log.h"
#include "common/sync.h"
#include "control/begin.h"
#include "control/format.h"
#include "control/hold.h"
#include "control/ledger.h"
#include "control/manage.h"
#include "control/report.h"

/* ---- how the run stands ---- */

static pr_books_t s_state(const pr_ledger_run_t *run, pr_ending_t *ret_ending) {
    bool taken_back = *run->rolled_back_at != '\0' && run->outcome >= 0;
    if (strcmp(run->state, "complete") != 0 && !taken_back)
        return strcmp(run->state, "abandoned") == 0 ? PR_BOOKS_ABANDONED : PR_BOOKS_GOES_ON;
    pr_error_code_t code = PR_E_OK;
    if (run->outcome == pr_error_exit_code(PR_E_VALIDATION))
        code = PR_E_VALIDATION;
    else if (run->outcome == pr_error_exit_code(PR_E_REJECTED))
        code = PR_E_REJECTED;
    else if (taken_back)
        code = PR_E_REJECT_LIMIT;
    *ret_ending = (pr_ending_t){.code = code};
    pr_run_id_parse(run->id, &ret_ending->run);
    if (code == PR_E_REJECT_LIMIT)
        snprintf(ret_ending->text, sizeof ret_ending->text, "%s", run->error);
    return PR_BOOKS_ENDED;
}

int pr_manage_books(const pr_manager_t *manager, pr_books_t *ret_books, pr_ending_t *ret_ending, pr_error_t *err) {
    const pr_config_t *config = manager->config;
    sqlite3 *db = NULL;
    pr_ledger_run_t *runs = NULL;
    pr_ledger_run_t other;
    size_t count = 0;
    pr_books_t books = PR_BOOKS_UNKNOWN;
    int result = pr_ledger_open(config->target, &db, err);
    if (result > 0)
        result = pr_ledger_runs(db, config->run, &runs, &count, err);
    if (result == 0 && count > 0) {
        books = s_state(&runs[0], ret_ending);
    } else if (result == 0 && db != NULL) {
        result = pr_ledger_unfinished(db, &other, err);
        if (result > 0) {
            books = PR_BOOKS_OTHER;
            pr_error_set(err, PR_E_UNFINISHED,
                         "%s: run %" PRId64
                         " (%s) is not finished, and is not of this configuration; finish it, or give "
                         "it up with `%s run --restart`",
                         config->target, other.number, other.id, pr_hint_program());
            result = 0;
        }
    }
    free(runs);
    result = pr_ledger_close(db, result, err);
    if (result == 0)
        *ret_books = books;
    return result;
}

/* ---- the report ---- */

/* What the target knows about the run, or, if that is nothing, what we know. ret_report: *returns new*. */
static int s_make(const pr_manager_t *manager, bool known, pr_report_t **ret_report, pr_error_t *err) {
    const pr_config_t *config = manager->config;
    if (known) {
        const pr_begin_report_t facts = {
            .config = config, .mapping = manager->mapping, .whole = true, .argc = manager->argc, .argv = manager->argv};
        return pr_begin_report(&facts, ret_report, err);
    }
    sqlite3 *db = NULL;
    pr_report_t *report = pr_report_from_nothing(config->target, config->run, (const char *const *)config->sources,
                                                 config->sources_count);
    pr_report_set_command(report, manager->argc, manager->argv);
    *ret_report = report;
    /* Whatever is the matter with the target, the report shall be. */
    if (pr_ledger_open(config->target, &db, NULL) <= 0)
        db = NULL;
    int result = pr_report_describe(report, db, manager->mapping, err);
    return pr_ledger_close(db, result, err);
}

static void s_tell(const pr_manager_t *manager, const pr_report_t *report, const pr_ending_t *ending,
                   const char *folder) {
    pr_report_stream_t total = pr_report_total(report);
    bool complete = report->run.number > 0 &&
                    (ending->code == PR_E_OK || ending->code == PR_E_REJECTED || ending->code == PR_E_VALIDATION);
    if (!complete)
        pr_log(PR_LOG_ERROR, "%s stopped: %s: %s", manager->what, pr_error_name((int)ending->code), ending->text);
    if (report->run.number == 0) {
        pr_log(PR_LOG_NOTICE, "%s: nothing of it is in the target; report: %s", manager->what, folder);
        return;
    }
    pr_log(complete && ending->code == PR_E_VALIDATION ? PR_LOG_ERROR : PR_LOG_NOTICE,
           "run %" PRId64
           ": %s: read %s of %s records = written %s + unchanged %s + rejected %s; proved %s; report: %s",
           report->run.number, pr_error_sentence((int)ending->code), pr_format_count(total.read).text,
           pr_format_count(total.exported).text, pr_format_count(total.written).text,
           pr_format_count(total.unchanged).text, pr_format_count(total.rejected).text,
           pr_format_count(total.validated).text, folder);
}

/* REPORTS/run-N, REPORTS/failed-UUID of a run that has no number; REPORTS is made if need be. *Returns new*. */
static char *s_own_folder(const pr_config_t *config, const pr_report_t *report) {
    if (mkdir(config->reports, 0777) == 0)
        (void)!pr_sync_parent(config->reports);
    else if (errno != EEXIST)
        pr_log(PR_LOG_WARNING, "%s: cannot make the folder of the reports: %s", config->reports, strerror(errno));
    return report->run.number > 0 ? pr_xasprintf("%s/run-%" PRId64, config->reports, report->run.number)
                                  : pr_xasprintf("%s/failed-%s", config->reports, config->run);
}

/* A complete run whose accounts do not balance is none. */
static void s_check(const pr_report_t *report, pr_ending_t *ending) {
    pr_error_t why = PR_ERROR_INIT;
    if (report->run.number == 0 || (ending->code != PR_E_OK && ending->code != PR_E_REJECTED) ||
        pr_begin_check(report, pr_error_exit_code((int)ending->code), &why) == 0)
        return;
    pr_log_error(&why);
    ending->code = PR_E_VALIDATION;
    snprintf(ending->text, sizeof ending->text, "%s", why.text);
}

int pr_manage_report(pr_manager_t *manager, pr_ending_t *ending, const char *folder, const char *from,
                     const char *place, pr_error_t *err) {
    pr_report_t *report = NULL;
    pr_books_t books = PR_BOOKS_UNKNOWN;
    pr_ending_t ended;
    pr_error_t other = PR_ERROR_INIT;
    /* A target that cannot even be read is an outcome to report, too. */
    bool known =
        pr_manage_books(manager, &books, &ended, &other) == 0 && books != PR_BOOKS_UNKNOWN && books != PR_BOOKS_OTHER;
    pr_manage_pause_watchdog(manager);
    int result = s_make(manager, known, &report, err);
    pr_manage_resume_watchdog(manager);
    if (result < 0) {
        pr_report_destroy(&report);
        return result;
    }
    s_check(report, ending);
    if (*ending->text != '\0') {
        pr_error_t why = {.code = ending->code};
        snprintf(why.text, sizeof why.text, "%s", ending->text);
        pr_report_set_error(report, &why);
    }
    if (place != NULL)
        pr_report_move(report, from, place);
    char *own = folder == NULL ? s_own_folder(manager->config, report) : NULL;
    result = pr_report_write(report, folder != NULL ? folder : own, manager->language, err);
    if (result == 0)
        s_tell(manager, report, ending, place != NULL ? place : folder != NULL ? folder : own);
    free(own);
    pr_report_destroy(&report);
    return result;
}

/* ---- giving up ---- */

int pr_manage_abandon(pr_manager_t *manager, pr_error_t *err) {
    pr_books_t books = PR_BOOKS_UNKNOWN;
    pr_ending_t ending;
    pr_hold_t hold = {0};
    pr_error_t why = PR_ERROR_INIT;
    int64_t until_ms = pr_now_ms() + pr_lock_wait_limit_ms();
    int result = pr_manage_books(manager, &books, &ending, &why);
    if (result < 0)
        return pr_error_set(err, why.code, "%s", why.text);
    if (books != PR_BOOKS_GOES_ON)
        return 0;
    pr_error_clear(&why);
    while ((result = pr_hold_take(manager->config->target, &hold, &why)) == -PR_E_TARGET_LOCKED && !manager->stop &&
           pr_now_ms() < until_ms) {
        pr_error_clear(&why);
        pr_manage_turn(manager, NULL);
    }
    if (result == 0)
        result = pr_hold_abandon(&hold, manager->config->run, err);
    else if (result == -PR_E_TARGET_LOCKED && manager->stop)
        result = pr_error_set(err, PR_E_INTERRUPTED, "%s: interrupted; started again, it goes on", manager->what);
    else
        pr_error_set(err, why.code, "%s", why.text);
    pr_hold_release(&hold);
    return result;
}
