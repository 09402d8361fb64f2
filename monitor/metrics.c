/* SPDX-License-Identifier: MIT */
/* The counters as Prometheus takes them. */
#include "monitor/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/failure.h"
#include "common/reject.h"

static const uint64_t s_bounds_us[] = PR_COMMIT_BOUNDS_US;
enum { s_bounds = sizeof s_bounds_us / sizeof s_bounds_us[0] };
_Static_assert((int)s_bounds < (int)PR_WIRE_LIST, "the bounds and the bucket without one fit the counters");
_Static_assert((int)PR_REJECT_REASONS <= (int)PR_WIRE_LIST, "the reasons fit the counters");
_Static_assert((int)PR_FAILURE_KINDS <= (int)PR_WIRE_LIST, "the kinds of failures fit the counters");

static double s_seconds(uint64_t milliseconds) {
    return (double)milliseconds / 1000;
}

/* What every series of a process begins with: "pvrelay_NAME{stage="reader",worker="1"". */
static void s_begin(FILE *out, const char *name, const pr_watch_stage_t *stage) {
    fprintf(out, "pvrelay_%s{stage=\"%s\",worker=\"%" PRIu32 "\"", name, pr_stage_word(stage->stage), stage->instance);
}

/* A series with one label more. */
static void s_labelled(FILE *out, const char *name, const pr_watch_stage_t *stage, const char *label, const char *word,
                       uint64_t value) {
    s_begin(out, name, stage);
    fprintf(out, ",%s=\"%s\"} %" PRIu64 "\n", label, word, value);
}

/* ---- of a process ---- */

static void s_records(FILE *out, const char *name, const pr_watch_stage_t *stage) {
    const pr_msg_counters_t *counters = &stage->counters;
    s_labelled(out, name, stage, "result", "ok", counters->records_ok);
    s_labelled(out, name, stage, "result", "unchanged", counters->records_unchanged);
    s_labelled(out, name, stage, "result", "rejected", counters->records_rejected);
    s_labelled(out, name, stage, "result", "duplicate", counters->records_duplicate);
}

static void s_rejects(FILE *out, const char *name, const pr_watch_stage_t *stage) {
    for (unsigned reason = 1; reason < PR_REJECT_REASONS; reason++)
        s_labelled(out, name, stage, "reason", pr_reject_word(reason), stage->counters.rejects.at[reason]);
}

static void s_protocol_errors(FILE *out, const char *name, const pr_watch_stage_t *stage) {
#define X(kind, index, word) s_labelled(out, name, stage, "kind", word, stage->counters.protocol_errors.at[index]);
    PR_PROTOCOL_KINDS(X)
#undef X
}

static void s_commits(FILE *out, const char *name, const pr_watch_stage_t *stage) {
    const uint64_t *commits = stage->counters.commits.at;
    uint64_t sum = 0;
    for (size_t i = 0; i <= s_bounds; i++) {
        char series[64];
        sum += commits[i];
        snprintf(series, sizeof series, "%s_bucket", name);
        s_begin(out, series, stage);
        if (i < s_bounds)
            fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", (double)s_bounds_us[i] / 1e6, sum);
        else
            fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
    }
    fprintf(out, "pvrelay_%s_sum{stage=\"%s\",worker=\"%" PRIu32 "\"} %.6f\n", name, pr_stage_word(stage->stage),
            stage->instance, (double)stage->counters.commit_us / 1e6);
    fprintf(out, "pvrelay_%s_count{stage=\"%s\",worker=\"%" PRIu32 "\"} %" PRIu64 "\n", name,
            pr_stage_word(stage->stage), stage->instance, sum);
}

static void s_validation(FILE *out, const char *name, const pr_watch_stage_t *stage) {
    s_labelled(out, name, stage, "result", "proved", stage->counters.records_ok);
    for (unsigned kind = 1; kind < PR_FAILURE_KINDS; kind++)
        s_labelled(out, name, stage, "result", pr_failure_word(kind), stage->counters.failures.at[kind]);
}

/* ---- of the whole ---- */

static void s_build_info(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    (void)snapshot;
    fprintf(out, "pvrelay_%s{version=\"%s\"} 1\n", name, PVRELAY_VERSION);
}

static void s_stage_up(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    for (size_t i = 0; i < snapshot->stages_count; i++) {
        s_begin(out, name, &snapshot->stages[i]);
        fprintf(out, "} %d\n", snapshot->stages[i].up ? 1 : 0);
    }
}

static void s_run_info(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    char id[37];
    if (snapshot->progress != NULL && pr_run_id_known(snapshot->run))
        fprintf(out, "pvrelay_%s{run=\"%s\",state=\"%s\"} 1\n", name, pr_run_id_print(snapshot->run, id),
                pr_watch_state_word(snapshot->progress->state));
}

static void s_run_records(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->total > 0)
        fprintf(out, "pvrelay_%s %" PRIu64 "\n", name, snapshot->total);
}

static void s_committed_records(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL)
        fprintf(out, "pvrelay_%s %" PRIu64 "\n", name, snapshot->progress->committed);
}

static void s_validated_records(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL)
        fprintf(out, "pvrelay_%s %" PRIu64 "\n", name, snapshot->progress->validated);
}

static void s_rejected_records(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL)
        fprintf(out, "pvrelay_%s %" PRIu64 "\n", name, snapshot->progress->rejected);
}

static void s_run_failures(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL)
        fprintf(out, "pvrelay_%s %" PRIu64 "\n", name, snapshot->progress->failures);
}

static void s_run_phase(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL && *pr_run_phase_words(snapshot->progress->phase) != '\0')
        fprintf(out, "pvrelay_%s{phase=\"%s\"} 1\n", name, pr_run_phase_words(snapshot->progress->phase));
}

static void s_run_indexes(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL)
        fprintf(out, "pvrelay_%s %" PRIu32 "\n", name, snapshot->progress->indexes);
}

static void s_run_indexes_left(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->progress != NULL)
        fprintf(out, "pvrelay_%s %" PRIu32 "\n", name, snapshot->progress->indexes_left);
}

/* A figure of the meter, if it is known. */
static void s_figure(FILE *out, const char *name, const pr_snapshot_t *snapshot, double value) {
    if (snapshot->progress != NULL && value >= 0)
        fprintf(out, "pvrelay_%s %.4f\n", name, value);
}

static void s_run_progress(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->meter != NULL)
        s_figure(out, name, snapshot, snapshot->meter->share);
}

static void s_run_eta(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->meter != NULL)
        s_figure(out, name, snapshot, snapshot->meter->eta_s);
}

static void s_run_elapsed(FILE *out, const char *name, const pr_snapshot_t *snapshot) {
    if (snapshot->meter != NULL)
        s_figure(out, name, snapshot, snapshot->meter->elapsed_s);
}

/* ---- the table at work ---- */

#define WHOLE(name, type, help, function)
#define STAGE(name, type, help, stages, function)
#define PLAIN(name, type, help, stages, expression)                                                                    \
    static void s_plain_##name(FILE *out, const char *family, const pr_watch_stage_t *stage) {                         \
        const pr_msg_counters_t *counters = &stage->counters;                                                          \
        s_begin(out, family, stage);                                                                                   \
        fprintf(out, "} %.16g\n", expression);                                                                         \
    }
PR_METRICS(WHOLE, STAGE, PLAIN)
#undef WHOLE
#undef STAGE
#undef PLAIN

typedef struct {
    const char *name, *type, *help;
    unsigned stages;
    void (*whole)(FILE *out, const char *name, const pr_snapshot_t *snapshot);
    void (*stage)(FILE *out, const char *name, const pr_watch_stage_t *stage);
} pr_metric_t;

static const pr_metric_t s_metrics[] = {
#define WHOLE(name, type, help, function)           {#name, #type, help, 0, function, NULL},
#define STAGE(name, type, help, stages, function)   {#name, #type, help, stages, NULL, function},
#define PLAIN(name, type, help, stages, expression) {#name, #type, help, stages, NULL, s_plain_##name},
    PR_METRICS(WHOLE, STAGE, PLAIN)
#undef WHOLE
#undef STAGE
#undef PLAIN
};

static void s_family(FILE *out, const pr_metric_t *metric, const pr_snapshot_t *snapshot) {
    fprintf(out, "# HELP pvrelay_%s %s\n# TYPE pvrelay_%s %s\n", metric->name, metric->help, metric->name,
            metric->type);
    if (metric->whole != NULL)
        metric->whole(out, metric->name, snapshot);
    for (size_t i = 0; metric->stage != NULL && i < snapshot->stages_count; i++) {
        const pr_watch_stage_t *stage = &snapshot->stages[i];
        /* A stage is up as soon as its socket is there; what it counts is known when it has said so. */
        if (stage->up && stage->counters.start_ms > 0 && (metric->stages & 1U << stage->stage) != 0)
            metric->stage(out, metric->name, stage);
    }
}

char *pr_metrics_print(const pr_snapshot_t *snapshot) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        abort(); /* out of memory */
    for (size_t i = 0; i < sizeof s_metrics / sizeof s_metrics[0]; i++)
        s_family(out, &s_metrics[i], snapshot);
    if (fclose(out) != 0)
        abort();
    return text;
}
