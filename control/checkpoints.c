/* SPDX-License-Identifier: MIT */
/* pvrelay checkpoints: the points that a target can be put back to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/position.h"
#include "control/command.h"
#include "control/format.h"
#include "control/options.h"
#include "control/points.h"

enum {
    s_all_printed = 20, /* of a run's checkpoints; of more only these at each end, and those that matter: */
    s_ends_printed = 3,
    s_line = 80,
    s_date = 11, /* "2025-10-27 " */
    s_number_least = 6,
    s_what_least = 10
};

const char pr_usage_checkpoints[] =
    "Usage: pvrelay checkpoints --target DB [--run R] [--all] [--json]\n"
    "Lists the points that a target can be put back to with `pvrelay rollback`: each commit of each run, what it did, "
    "whether\n"
    "it is proved, how much undo is kept for it, and its names.\n\n"
    "  --target DB   the target database\n"
    "  --run R       only the checkpoints of run R\n"
    "  --all         of a run with more than 20, all; else the first and the last, those with names and those not "
    "proved\n"
    "  --json        as JSON, always all of them: {\"target\", \"bytes\", \"newest\", \"reversible_to\", "
    "\"undo_checkpoints\",\n"
    "                \"undo_bytes\", \"names\": [{\"name\", \"checkpoint\", \"made_at\"}], \"runs\": [{\"run\", "
    "\"id\", "
    "\"kind\", \"state\",\n"
    "                \"outcome\", \"started_at\", \"ended_at\", \"mapping\", \"total\", \"records\", "
    "\"rolled_back_at\", "
    "\"sealed_at\",\n"
    "                \"checkpoints\": [{\"checkpoint\", \"kind\", \"stream\", \"path\", \"source\", \"first_ordinal\", "
    "\"records\",\n"
    "                \"inserted\", \"updated\", \"unchanged\", \"rejected\", \"rows_inserted\", \"rows_updated\", "
    "\"rows\": "
    "[{\"table\",\n"
    "                \"inserted\", \"updated\"}], \"committed_at\", \"proved\", \"undo_bytes\", \"names\"}]}], "
    "\"rollbacks\": "
    "[{\"rollback\",\n"
    "                \"reason\", \"from\", \"to\", \"checkpoints\", \"rows_deleted\", \"rows_restored\", "
    "\"rows_left\", "
    "\"made_at\"}]}\n";

/* ---- one run ---- */

/* A run's checkpoints, and how wide its columns are. */
typedef struct {
    const pr_points_t *points;
    const pr_ledger_run_t *run;
    const pr_point_t **at;
    size_t count;
    bool days; /* it took more than one: times need their date */
    int number, what, inserted, updated, time;
} pr_run_table_t;

static int s_max(int one, size_t other) {
    return (size_t)one > other ? one : (int)other;
}

/* What a checkpoint holds: "modules 1-2,500". *Returns new*. */
static char *s_what(const pr_point_t *point) {
    if (point->finish)
        return pr_xstrdup("end of run");
    if (point->records == 1)
        return pr_xasprintf("%s %s", point->stream, pr_format_count(pr_record_number(point->first_ordinal)).text);
    return pr_xasprintf("%s %s-%s", point->stream, pr_format_count(pr_record_number(point->first_ordinal)).text,
                        pr_format_count(point->first_ordinal + point->records).text);
}

static void s_measure(pr_run_table_t *table) {
    table->number = s_number_least;
    table->what = s_what_least;
    table->inserted = (int)strlen("inserted");
    table->updated = (int)strlen("updated");
    for (size_t i = 0; i < table->count; i++) {
        const pr_point_t *point = table->at[i];
        char *what = s_what(point);
        table->number = s_max(table->number, (size_t)snprintf(NULL, 0, "%" PRId64, point->number));
        table->what = s_max(table->what, pr_format_width(what));
        table->inserted = s_max(table->inserted, strlen(pr_format_count(point->rows_inserted).text));
        table->updated = s_max(table->updated, strlen(pr_format_count(point->rows_updated).text));
        table->days |= strncmp(point->committed_at, table->run->started_at, s_date) != 0;
        free(what);
    }
    table->time = table->days ? (int)strlen("10-27 10:00:00") : (int)strlen("committed");
}

/* The names of a checkpoint: on its line where they fit, else on one of their own. used: columns of the line. */
static void s_print_names(const pr_points_t *points, int64_t checkpoint, size_t used) {
    size_t width = 0;
    for (size_t i = 0; i < points->names_count; i++) {
        if (points->names[i].checkpoint == checkpoint)
            width += pr_format_width(points->names[i].name) + 2;
    }
    if (width > 0 && used + width > s_line)
        printf("\n%*s= ", s_number_least + 2, "");
    else if (width > 0)
        printf("  ");
    const char *between = "";
    for (size_t i = 0; i < points->names_count; i++) {
        if (points->names[i].checkpoint != checkpoint)
            continue;
        printf("%s%s", between, points->names[i].name);
        between = ", ";
    }
}

static void s_print_point(const pr_run_table_t *table, const pr_point_t *point) {
    static const char *const proved[] = {"no", "yes", "FAILED"};
    static const char skipped_year[] = "2025-";
    char *what = s_what(point);
    size_t skip = table->days ? strlen(skipped_year) : s_date;
    const char *time = strlen(point->committed_at) > skip ? point->committed_at + skip : point->committed_at;
    int used = printf("  %*" PRId64 "  %s%*s  %*s %*s  %-*s  %-6s %7s", table->number, point->number, what,
                      table->what - (int)pr_format_width(what), "", table->inserted,
                      pr_format_count(point->rows_inserted).text, table->updated,
                      pr_format_count(point->rows_updated).text, table->time, time, proved[point->validated],
                      point->undo ? pr_format_bytes(point->undo_bytes).text : "-");
    used -= (int)(strlen(what) - pr_format_width(what)); /* printf counts bytes */
    if (point->names > 0)
        s_print_names(table->points, point->number, (size_t)used);
    putchar('\n');
    free(what);
}

/* Does a checkpoint matter enough to be shown among many? */
static bool s_matters(const pr_run_table_t *table, size_t at) {
    const pr_point_t *point = table->at[at];
    return at < s_ends_printed || at + s_ends_printed >= table->count || point->names > 0 ||
           (point->validated != 1 && *table->run->rolled_back_at == '\0');
}

static void s_print_table(const pr_run_table_t *table, bool all) {
    size_t left = 0;
    printf("  %*s  %-*s  %*s %*s  %-*s  %-6s %7s  %s\n", table->number, "number", table->what, "what", table->inserted,
           "inserted", table->updated, "updated", table->time, "committed", "proved", "undo", "names");
    for (size_t i = 0; i < table->count; i++) {
        if (!all && table->count > s_all_printed && !s_matters(table, i)) {
            left++;
            continue;
        }
        if (left > 0)
            printf("  %*s  … %s more (--all)\n", table->number, "", pr_format_count(left).text);
        left = 0;
        s_print_point(table, table->at[i]);
    }
}

static void s_print_run(const pr_points_t *points, const pr_ledger_run_t *run, bool all) {
    pr_run_table_t table = {.points = points, .run = run};
    table.at = pr_xcalloc(points->points_count + 1, sizeof *table.at);
    for (size_t i = 0; i < points->points_count; i++) {
        if (points->points[i].run == run->number)
            table.at[table.count++] = &points->points[i];
    }
    printf("\nrun %" PRId64 "  %s  %s  %s, mapping %s\n", run->number, pr_ledger_state(run), run->started_at, run->kind,
           run->mapping);
    printf("  %s of %s records\n", pr_format_count(run->records).text, pr_format_count(run->total).text);
    if (*run->rolled_back_at != '\0')
        printf("  rolled back on %s: what it wrote was taken back\n", run->rolled_back_at);
    else if (*run->sealed_at != '\0')
        printf("  sealed on %s: it cannot be taken back\n", run->sealed_at);
    s_measure(&table);
    if (table.count > 0)
        s_print_table(&table, all);
    free(table.at);
}

/* ---- the whole ---- */

static void s_print_zero(const pr_points_t *points) {
    bool named = points->names_count > 0 && points->names[0].checkpoint == 0; /* they are sorted */
    if (!named)
        return;
    printf("\npoint 0, before any run:");
    s_print_names(points, 0, 0);
    printf("\n");
}

static void s_print_reach(const pr_points_t *points) {
    printf("\n");
    if (points->undo_points > 0)
        printf("undo kept: %s for %s checkpoint%s, %s %% of the database (%s)\n",
               pr_format_bytes(points->undo_bytes).text, pr_format_count(points->undo_points).text,
               points->undo_points == 1 ? "" : "s", pr_format_percent(points->undo_bytes, points->bytes).text,
               pr_format_bytes(points->bytes).text);
    else
        printf("undo kept: none\n");
    if (points->newest == 0)
        printf("nothing is committed that could be taken back\n");
    else if (points->reversible_to == points->newest)
        printf("not reversible: checkpoint %" PRId64 ", the newest, keeps no undo\n", points->newest);
    else if (points->reversible_to == 0)
        printf("reversible back to checkpoint 0, the state before any run\n");
    else
        printf("reversible back to checkpoint %" PRId64 "\n", points->reversible_to);
}

static void s_print_rollbacks(const pr_points_t *points) {
    static const struct {
        const char *reason, *told;
    } reasons[] = {{"operator", "by the operator"},
                   {"validation", "because the proof failed"},
                   {"rejects", "because of too many rejects"}};
    if (points->rollbacks_count > 0)
        printf("\nTaken back so far\n");
    for (size_t i = 0; i < points->rollbacks_count; i++) {
        const pr_point_rollback_t *rollback = &points->rollbacks[i];
        const char *told = rollback->reason;
        for (size_t k = 0; k < sizeof reasons / sizeof reasons[0]; k++)
            told = strcmp(rollback->reason, reasons[k].reason) == 0 ? reasons[k].told : told;
        printf("  %s  from checkpoint %" PRId64 " to %" PRId64 ", %s\n", rollback->made_at, rollback->from,
               rollback->to, told);
        printf("    %s checkpoint%s: %s row%s deleted, %s restored, %s left\n",
               pr_format_count(rollback->checkpoints).text, rollback->checkpoints == 1 ? "" : "s",
               pr_format_count(rollback->rows_deleted).text, rollback->rows_deleted == 1 ? "" : "s",
               pr_format_count(rollback->rows_restored).text, pr_format_count(rollback->rows_left).text);
    }
}

static void s_print(const pr_points_t *points, int64_t run, bool all) {
    printf("target %s\n", points->target);
    s_print_zero(points);
    for (size_t i = 0; i < points->runs_count; i++) {
        if (run == 0 || points->runs[i].number == run)
            s_print_run(points, &points->runs[i], all);
    }
    if (points->runs_count == 0)
        printf("no runs\n");
    s_print_reach(points);
    s_print_rollbacks(points);
}

static int s_list(sqlite3 *db, const char *target, int64_t run, bool all, bool json, pr_error_t *err) {
    pr_points_t *points = NULL;
    json_t *root = NULL;
    int result = pr_points_load(db, target, &points, err);
    if (result == 0 && run > 0)
        result = pr_ledger_check_run(points->target, points->runs, points->runs_count, run, err);
    if (result == 0 && json)
        result = pr_points_to_json(points, db, run, &root, err);
    if (result == 0 && json) {
        pr_json_print(root, JSON_INDENT(2), stdout);
    } else if (result == 0) {
        s_print(points, run, all);
    }
    json_decref(root);
    pr_points_destroy(&points);
    return result;
}

int pr_command_checkpoints(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    int64_t run = 0;
    bool all = false;
    bool json = false;
    const pr_option_t options[] = {
        {.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
        {.name = "--run", .kind = PR_OPTION_NUMBER, .into = &run, .least = 1, .most = INT64_MAX},
        {.name = "--all", .kind = PR_OPTION_FLAG, .into = &all},
        {.name = "--json", .kind = PR_OPTION_FLAG, .into = &json}};
    sqlite3 *db = NULL;
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL)
        return pr_options_wrong(argv[0], err, "--target DB is missing");
    result = pr_ledger_open_there(target, &db, err);
    if (result == 0)
        result = s_list(db, target, run, all, json, err);
    return pr_ledger_close(db, result, err);
}
