/* SPDX-License-Identifier: MIT */
/* pvrelay rollback: put a target back to an earlier point. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/json.h"
#include "common/rollback.h"
#include "common/text.h"
#include "control/command.h"
#include "control/format.h"
#include "control/hold.h"
#include "control/ledger.h"
#include "control/options.h"
#include "control/rollback_view.h"
#include "control/terminal.h"

enum { s_redraw_ms = 100 };

const char pr_usage_rollback[] =
    "Usage: pvrelay rollback --target DB --to POINT [--dry-run] [--keep-theirs] [--json]\n"
    "Puts the target back to an earlier point, row for row, in one transaction; the position goes back with the rows. "
    "What\n"
    "somebody else changed since, or hung under what is to go, stops it: then all of it is listed, nothing is changed, "
    "and\n"
    "the exit code is 5.\n\n"
    "  --target DB     the target database\n"
    "  --to POINT      the number of a checkpoint (see pvrelay checkpoints; 0: before any run), a name given with\n"
    "                  pvrelay checkpoint, start-of-run (where the last run began), start-of-run=RUN, or\n"
    "                  last-validated (up to where the last run is proved)\n"
    "  --dry-run       do it, tell what was done, and take it back\n"
    "  --keep-theirs   leave what is in the way as it is, and what it hangs on; take the rest back\n"
    "  --json          as JSON: {\"target\", \"dry_run\", \"keep_theirs\", \"plan\": {...}, \"result\": {...} or "
    "null,\n"
    "                  \"conflicts_total\", \"conflicts\": [{\"kind\", \"checkpoint\", \"table\", \"key\", \"column\", "
    "\"ours\",\n"
    "                  \"theirs\"}]}; plan and result: {\"from\", \"to\", \"checkpoints\", \"runs\": [{\"run\", "
    "\"whole\",\n"
    "                  \"checkpoints\", \"records\"}], \"names\", \"tables\": [{\"table\", \"deleted\", \"restored\", "
    "\"left\",\n"
    "                  \"sequence_kept\"}], \"continues\", \"position_records\"}\n";

typedef struct {
    const char *target;
    const char *to;
    bool dry_run;
    bool keep_theirs;
    bool json;
} pr_rollback_words_t;

/* ---- progress ---- */

static void s_progress(void *context, uint64_t done, uint64_t total) {
    int64_t *drawn_ms = context;
    int64_t now = pr_now_ms();
    if (now - *drawn_ms < s_redraw_ms)
        return;
    *drawn_ms = now;
    fprintf(stderr, "\r\033[K%s of %s checkpoints are taken back (%s %%)", pr_format_count(done).text,
            pr_format_count(total).text, pr_format_progress(done, total).text);
}

/* ---- the command ---- */

static const pr_ledger_run_t *s_find_run(const pr_ledger_run_t *runs, size_t count, int64_t number) {
    for (size_t i = 0; i < count; i++) {
        if (runs[i].number == number)
            return &runs[i];
    }
    return NULL;
}

/* Does the target stand there already? Not if a run is to go that has committed nothing, or one that was given up is to
 * go on. */
static bool s_is_there(const pr_rollback_report_t *plan, const pr_ledger_run_t *continues) {
    return plan->checkpoints == 0 && plan->runs_count == 0 &&
           (continues == NULL || strcmp(continues->state, "abandoned") != 0);
}

static void s_print_json(const pr_rollback_view_t *view) {
    json_t *root = pr_rollback_view_to_json(view);
    pr_json_print(root, JSON_INDENT(2), stdout);
    json_decref(root);
}

static int s_do(const char *path, const pr_rollback_point_t *point, const pr_rollback_words_t *words,
                pr_rollback_report_t **ret_result, pr_error_t *err) {
    int64_t drawn_ms = 0;
    bool terminal = pr_terminal_moves(STDERR_FILENO);
    const pr_rollback_options_t options = {.dry_run = words->dry_run,
                                           .keep_theirs = words->keep_theirs,
                                           .reason = PR_ROLLBACK_OPERATOR,
                                           .outcome = -1,
                                           .progress = terminal ? s_progress : NULL,
                                           .context = &drawn_ms};
    int result = pr_rollback(path, point, &options, ret_result, err);
    if (drawn_ms > 0)
        fprintf(stderr, "\r\033[K");
    return result;
}

static int s_conflict(const pr_rollback_view_t *view, pr_error_t *err) {
    uint64_t total = view->result->conflicts_total;
    return pr_error_set(err, PR_E_CONFLICT,
                        "%s: %s conflict%s, nothing was changed; settle %s, or take back the rest with --keep-theirs",
                        view->target, pr_format_count(total).text, pr_format_plural(total), total == 1 ? "it" : "them");
}

/* Do it and show it. The plan is shown already, unless as JSON. */
static int s_execute(const char *path, const pr_rollback_point_t *point, const pr_rollback_words_t *words,
                     pr_rollback_view_t *view, pr_error_t *err) {
    pr_rollback_report_t *report = NULL;
    pr_error_t local = PR_ERROR_INIT;
    fflush(stdout);
    int result = s_do(path, point, words, &report, &local);
    view->result = report;
    view->conflict = result == -PR_E_CONFLICT && report != NULL;
    if (result < 0 && !view->conflict) {
        result = pr_error_set(err, local.code, "%s", local.text);
    } else if (words->json) {
        s_print_json(view);
    } else if (view->conflict) {
        pr_rollback_view_conflicts(view, stdout);
    } else {
        pr_rollback_view_result(view, stdout);
    }
    if (view->conflict)
        result = s_conflict(view, err);
    view->result = NULL;
    pr_rollback_report_destroy(&report);
    return result;
}

static void s_print_there(const pr_rollback_view_t *view) {
    if (view->dry_run)
        printf("Dry run: nothing is changed.\n");
    if (view->plan->to == 0)
        printf("%s: nothing to take back: it is in the state before any run\n", view->target);
    else
        printf("%s: nothing to take back: checkpoint %" PRId64 " is the newest\n", view->target, view->plan->to);
    if (view->dry_run)
        printf("Dry run: nothing was changed.\n");
}

static int s_rollback(pr_hold_t *hold, const pr_rollback_words_t *words, pr_error_t *err) {
    pr_rollback_point_t point;
    pr_rollback_report_t *plan = NULL;
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    int result = pr_rollback_point_find(hold->db, words->to, &point, err);
    if (result == 0)
        result = pr_rollback_plan(hold->db, &point, &plan, err);
    if (result == 0)
        result = pr_ledger_runs(hold->db, NULL, &runs, &count, err);
    pr_hold_close(hold); /* the rollback has connections of its own */
    if (result == 0) {
        char *target = pr_text_escape(words->target);
        const pr_ledger_run_t *continues = s_find_run(runs, count, plan->continues);
        pr_rollback_view_t view = {.target = target,
                                   .dry_run = words->dry_run,
                                   .keep_theirs = words->keep_theirs,
                                   .total = continues != NULL ? continues->total : 0,
                                   .plan = plan};
        bool there = s_is_there(plan, continues);
        if (!words->json && !there)
            pr_rollback_view_plan(&view, stdout);
        if (!there)
            result = s_execute(hold->path, &point, words, &view, err);
        else if (words->json)
            s_print_json(&view);
        else
            s_print_there(&view);
        free(target);
    }
    free(runs);
    pr_rollback_report_destroy(&plan);
    return result;
}

int pr_command_rollback(int argc, char **argv, pr_error_t *err) {
    pr_rollback_words_t words = {0};
    const pr_option_t options[] = {{.name = "--target", .kind = PR_OPTION_TEXT, .into = &words.target},
                                   {.name = "--to", .kind = PR_OPTION_TEXT, .into = &words.to},
                                   {.name = "--dry-run", .kind = PR_OPTION_FLAG, .into = &words.dry_run},
                                   {.name = "--keep-theirs", .kind = PR_OPTION_FLAG, .into = &words.keep_theirs},
                                   {.name = "--json", .kind = PR_OPTION_FLAG, .into = &words.json}};
    pr_hold_t hold = {0};
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (words.target == NULL || words.to == NULL)
        return pr_options_wrong(argv[0], err, "--%s is missing", words.target == NULL ? "target DB" : "to POINT");
    result = pr_hold_take(words.target, &hold, err);
    if (result == 0)
        result = s_rollback(&hold, &words, err);
    pr_hold_release(&hold);
    return result;
}
