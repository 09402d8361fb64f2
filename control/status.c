/* SPDX-License-Identifier: MIT */
/* pvrelay status: how the runs of a target stand, and what its daemons do. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/json.h"
#include "common/position.h"
#include "common/text.h"
#include "control/command.h"
#include "control/format.h"
#include "control/ledger.h"
#include "control/options.h"
#include "control/status_json.h"
#include "control/watch.h"
#include "control/where.h"

enum { s_answer_ms = 1000 }; /* a stage publishes four times a second */

const char pr_usage_status[] =
    "Usage: pvrelay status --target DB | --run-dir FOLDER | --config FILE [--json]\n"
    "Lists the runs of a target, and what the daemons of its run folder are doing just now.\n\n"
    "  --target DB        the target database; its daemons are looked for in its default run folder\n"
    "  --run-dir FOLDER   the run folder, if another one was given to run; its configuration names the target\n"
    "  --config FILE      the configuration of a managed run, which names both\n"
    "  --json             as JSON: {\"target\", \"run_dir\", \"runs\": [...], \"progress\": {...}, \"stages\": "
    "[...]}\n";

typedef struct {
    pr_where_t where;
    pr_ledger_run_t *runs;
    size_t runs_count;
    pr_watch_t *watch;              /* NULL: no run folder to look into */
    bool configured;                /* the run folder has a configuration: a run is on there, or has been */
    const pr_watch_stage_t *stages; /* the watch's */
    size_t stages_count;
    const pr_msg_progress_t *progress; /* the watch's, or NULL */
    pr_run_id_t run;                   /* whose progress */
    pr_meter_view_t view;              /* what it means */
} pr_status_t;

/* ---- listening ---- */

/* Has every stage that is there answered? */
static bool s_all_heard(const pr_status_t *status) {
    for (size_t i = 0; i < status->stages_count; i++) {
        const pr_watch_stage_t *stage = &status->stages[i];
        if (stage->bound && (!stage->heard || (stage->stage == PR_STAGE_WRITER && status->progress == NULL)))
            return false;
    }
    return true;
}

/* Listen until every stage that is there has answered, at most s_answer_ms. */
static void s_listen(pr_status_t *status) {
    int64_t until_ms = pr_now_ms() + s_answer_ms;
    status->watch = pr_watch_new(status->where.run_dir);
    for (;;) {
        status->stages = pr_watch_stages(status->watch, &status->stages_count);
        status->progress = pr_watch_progress(status->watch, &status->run);
        pr_watch_look(status->watch, &status->view);
        int64_t left_ms = until_ms - pr_now_ms();
        if (s_all_heard(status) || left_ms <= 0)
            return;
        pr_watch_listen(status->watch, (int)left_ms, -1);
    }
}

/* ---- printing ---- */

/* Where the run goes on. */
static pr_position_text_t s_position(const pr_ledger_run_t *run) {
    if (run->next_source < 0)
        return (pr_position_text_t){"the end"};
    pr_position_t at = {.source = (uint32_t)run->next_source};
    if ((uint64_t)run->next_source == run->source)
        at = (pr_position_t){.source = at.source, .ordinal = run->ordinal, .offset = run->offset};
    return pr_position_text(at);
}

static void s_print_run(const pr_ledger_run_t *run) {
    printf("run %" PRId64 "  %s  %s", run->number, pr_ledger_state(run), run->started_at);
    if (*run->ended_at != '\0')
        printf(" to %s", run->ended_at);
    printf("  %s s  %s, mapping %s", pr_format_seconds(run->seconds).text, run->kind, run->mapping);
    if (run->outcome >= 0)
        printf("  exit code %d", run->outcome);
    printf("\n  %s of %s records (%s %%): %s written, %s unchanged, %s rejected; %s validated\n",
           pr_format_count(run->records).text, pr_format_count(run->total).text,
           pr_format_progress(run->records, run->total).text, pr_format_count(run->written).text,
           pr_format_count(run->unchanged).text, pr_format_count(run->rejected).text,
           pr_format_count(run->validated).text);
    printf("  position: %s; %s checkpoints, newest %" PRId64 ", %s without verdict; %s failures; %s rejects open\n",
           s_position(run).text, pr_format_count(run->checkpoints).text, run->checkpoint,
           pr_format_count(run->unvalidated).text, pr_format_count(run->failures).text,
           pr_format_count(run->rejects_open).text);
    if (*run->error != '\0')
        printf("  stopped: %s\n", run->error);
    if (*run->rolled_back_at != '\0')
        printf("  rolled back on %s: what it wrote was taken back\n", run->rolled_back_at);
    if (*run->sealed_at != '\0')
        printf("  sealed on %s: it cannot be taken back\n", run->sealed_at);
}

/* What the run that is on is busy with, and for how long yet. */
static void s_print_now(const pr_status_t *status) {
    const pr_meter_view_t *view = &status->view;
    printf("now: %s", view->phase);
    if (view->scanning)
        printf(" %s of %s", pr_format_bytes(view->scanned_bytes).text, pr_format_bytes(view->scan_total_bytes).text);
    else if (view->share >= 0)
        printf(", %s %% of the run", pr_format_share(view->share).text);
    if (view->eta_s >= 0)
        printf(", ETA %s", pr_format_clock(view->eta_s).text);
    printf("\n");
}

static void s_print_stages(const pr_status_t *status) {
    printf("\n%-16s %-6s %14s %12s %12s %12s %10s %8s\n", "stage", "state", "records", "unchanged", "rejected",
           "batches", "up", "restarts");
    for (size_t i = 0; i < status->stages_count; i++) {
        const pr_watch_stage_t *stage = &status->stages[i];
        const pr_msg_counters_t *counters = &stage->counters;
        if (!stage->up) {
            printf("%-16s down\n", stage->who);
            continue;
        }
        double up_s = (double)(pr_calendar_ms() - (int64_t)counters->start_ms) / 1000;
        printf("%-16s %-6s %14s %12s %12s %12s %10s %8" PRIu32 "\n", stage->who, "up",
               pr_format_count(counters->records_ok).text, pr_format_count(counters->records_unchanged).text,
               pr_format_count(counters->records_rejected).text, pr_format_count(counters->batches).text,
               pr_format_clock(up_s > 0 ? up_s : 0).text, pr_status_restarts(stage));
        if (*counters->last_error.data != '\0')
            printf("  last error: %s\n", pr_text_line(counters->last_error.data).text);
    }
}

static void s_print(const pr_status_t *status) {
    if (status->where.target != NULL)
        printf("target %s\n", pr_text_line(status->where.target).text);
    for (size_t i = 0; i < status->runs_count; i++)
        s_print_run(&status->runs[i]);
    if (status->progress != NULL)
        s_print_now(status);
    if (status->where.target != NULL && status->runs_count == 0)
        printf("no runs\n");
    if (status->watch != NULL && !status->configured)
        printf("%s: no run is on there\n", pr_text_line(status->where.run_dir).text);
    if (status->watch != NULL)
        s_print_stages(status);
}

static void s_print_json(const pr_status_t *status) {
    json_t *runs = json_array();
    json_t *stages = json_array();
    for (size_t i = 0; i < status->runs_count; i++)
        pr_json_append(runs, pr_status_json_run(&status->runs[i]));
    for (size_t i = 0; i < status->stages_count; i++)
        pr_json_append(stages, pr_status_json_stage(&status->stages[i]));
    json_t *root = pr_json_pack("{s:s?, s:s?, s:o, s:o, s:o}", "target", status->where.target, "run_dir",
                                status->watch != NULL ? status->where.run_dir : NULL, "runs", runs, "progress",
                                pr_status_json_progress(status->progress, &status->view), "stages", stages);
    pr_json_print(root, JSON_INDENT(2), stdout);
    json_decref(root);
}

/* ---- the command ---- */

static int s_runs(pr_status_t *status, bool may_be_missing, pr_error_t *err) {
    sqlite3 *db = NULL;
    /* The target of a configuration need not have been made yet. */
    if (status->where.target == NULL || (may_be_missing && access(status->where.target, F_OK) < 0 && errno == ENOENT))
        return 0;
    int result = pr_ledger_open(status->where.target, &db, err);
    if (result > 0)
        result = pr_ledger_runs(db, NULL, &status->runs, &status->runs_count, err);
    result = pr_ledger_close(db, result, err);
    return result < 0 ? result : 0;
}

/* Is there a configuration in the run folder? */
static bool s_is_configured(const pr_status_t *status) {
    char *path = pr_xasprintf("%s/config.json", status->where.run_dir);
    bool configured = access(path, F_OK) == 0;
    free(path);
    return configured;
}

static int s_status(pr_status_t *status, bool folder_given, bool config_given, bool json, pr_error_t *err) {
    int result = s_runs(status, config_given, err);
    if (result < 0)
        return result;
    status->configured = status->where.run_dir != NULL && s_is_configured(status);
    /* A default run folder that is not there says nothing; one that was asked for does. */
    if (folder_given || status->configured)
        s_listen(status);
    for (size_t i = 0; i < status->runs_count; i++)
        status->runs[i].seconds = pr_status_seconds(&status->runs[i], status->progress, status->run);
    if (json)
        s_print_json(status);
    else
        s_print(status);
    return 0;
}

int pr_command_status(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    const char *run_dir = NULL;
    const char *config = NULL;
    bool json = false;
    const pr_option_t options[] = {{.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
                                   {.name = "--run-dir", .kind = PR_OPTION_TEXT, .into = &run_dir},
                                   {.name = "--config", .kind = PR_OPTION_TEXT, .into = &config},
                                   {.name = "--json", .kind = PR_OPTION_FLAG, .into = &json}};
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL && run_dir == NULL && config == NULL)
        return pr_options_wrong(argv[0], err, "--target DB, --run-dir FOLDER or --config FILE is missing");
    pr_status_t status = {.runs = NULL};
    result = pr_where_find(target, run_dir, config, &status.where, err);
    if (result == 0)
        result = s_status(&status, run_dir != NULL || config != NULL, config != NULL, json, err);
    pr_watch_destroy(&status.watch);
    pr_where_release(&status.where);
    free(status.runs);
    return result;
}
