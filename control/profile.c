/* SPDX-License-Identifier: MIT */
/* What each stage of a run costs. */

/*  DESIGN
 *
 *  Two sources. Processor time comes from the kernel, when a process has ended (wait4): it is exact, holds the start and
 *  the end of the process, and that of a process which was killed as well. Records and wall time come from COUNTERS, whose
 *  last ones a stage sends when all its work is done; of a stage that was killed they miss what came after the last ones,
 *  250 ms at most.
 */
#include "control/profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "control/format.h"

enum { s_columns = 8, s_text_bytes = 48 };

/* What is added up: over the lives of a process, over the transformers. */
typedef struct {
    uint64_t records, cpu_us, working_us, wait_input_us, wait_output_us;
    bool heard; /* all but cpu_us is known */
} pr_cost_t;

typedef struct {
    pr_stage_t stage;
    uint32_t instance;
    pr_cost_t past;        /* earlier lives; cpu_us: all lives that have ended */
    pr_msg_counters_t now; /* the newest of this life */
    bool heard;            /* now */
} pr_process_t;

struct pr_profile {
    uint32_t transformers;
    int64_t begun_us, ended_us;
    int64_t state_us[PR_PROGRESS_FAILED + 1]; /* when it was first heard of; 0: never */
    size_t count;
    pr_process_t processes[];
};

pr_profile_t *pr_profile_new(uint32_t transformers, int64_t now_us) {
    size_t count = (size_t)transformers + 3;
    pr_profile_t *profile = pr_xcalloc(1, sizeof *profile + count * sizeof profile->processes[0]);
    profile->transformers = transformers;
    profile->begun_us = profile->ended_us = now_us;
    profile->count = count;
    pr_process_t *at = profile->processes;
    *at++ = (pr_process_t){.stage = PR_STAGE_READER, .instance = 1};
    for (uint32_t i = 1; i <= transformers; i++)
        *at++ = (pr_process_t){.stage = PR_STAGE_TRANSFORMER, .instance = i};
    *at++ = (pr_process_t){.stage = PR_STAGE_WRITER, .instance = 1};
    *at = (pr_process_t){.stage = PR_STAGE_VALIDATOR, .instance = 1};
    return profile;
}

void pr_profile_destroy(pr_profile_t **profile) {
    if (profile == NULL)
        return;
    free(*profile);
    *profile = NULL;
}

static pr_process_t *s_process(pr_profile_t *profile, pr_stage_t stage, uint32_t instance) {
    for (size_t i = 0; i < profile->count; i++) {
        if (profile->processes[i].stage == stage && profile->processes[i].instance == instance)
            return &profile->processes[i];
    }
    return NULL;
}

static void s_add(pr_cost_t *sum, const pr_cost_t *cost) {
    sum->records += cost->records;
    sum->cpu_us += cost->cpu_us;
    sum->working_us += cost->working_us;
    sum->wait_input_us += cost->wait_input_us;
    sum->wait_output_us += cost->wait_output_us;
    sum->heard |= cost->heard;
}

/* All lives of a process together. */
static pr_cost_t s_cost(const pr_process_t *process) {
    const pr_msg_counters_t *now = &process->now;
    pr_cost_t cost = process->past;
    const pr_cost_t life = {.records = now->records_read,
                            .working_us = now->working_us,
                            .wait_input_us = now->wait_input_us,
                            .wait_output_us = now->wait_output_us,
                            .heard = process->heard};
    s_add(&cost, &life);
    return cost;
}

void pr_profile_counters(pr_profile_t *profile, pr_stage_t stage, uint32_t instance,
                         const pr_msg_counters_t *counters) {
    pr_process_t *process = s_process(profile, stage, instance);
    if (process == NULL)
        return;
    if (process->heard && process->now.start_ms != counters->start_ms)
        process->past = s_cost(process);
    process->now = *counters;
    process->heard = true;
}

void pr_profile_ended(pr_profile_t *profile, pr_stage_t stage, uint32_t instance, uint64_t cpu_us) {
    pr_process_t *process = s_process(profile, stage, instance);
    if (process != NULL)
        process->past.cpu_us += cpu_us;
}

void pr_profile_state(pr_profile_t *profile, unsigned state, int64_t now_us) {
    if (state <= PR_PROGRESS_FAILED && profile->state_us[state] == 0)
        profile->state_us[state] = now_us;
}

void pr_profile_finish(pr_profile_t *profile, int64_t now_us) {
    profile->ended_us = now_us;
}

bool pr_profile_awaits_last(const pr_profile_t *profile) {
    for (size_t i = 0; i < profile->count; i++) {
        if (profile->processes[i].heard && profile->processes[i].now.last == 0)
            return true;
    }
    return false;
}

/* ---- the table ---- */

typedef struct {
    char cells[s_columns][s_text_bytes];
} pr_profile_row_t;

static const char *const s_heads[s_columns] = {"stage",
                                               "records",
                                               "CPU s",
                                               "CPU \xC2\xB5s/record",
                                               "rec/s at 100 % CPU",
                                               "working s",
                                               "awaiting input s",
                                               "awaiting output s"};

static double s_seconds(uint64_t us) {
    return (double)us / 1e6;
}

static void s_put(pr_profile_row_t *row, unsigned column, const char *text) {
    snprintf(row->cells[column], s_text_bytes, "%s", text);
}

/* Seconds with the same decimals in every row, so that they can be compared at a glance. */
static void s_put_seconds(pr_profile_row_t *row, unsigned column, uint64_t us) {
    snprintf(row->cells[column], s_text_bytes, "%.3f", s_seconds(us));
}

static void s_fill(pr_profile_row_t *row, const char *name, const pr_cost_t *cost) {
    for (unsigned i = 0; i < s_columns; i++)
        s_put(row, i, "-");
    s_put(row, 0, name);
    s_put_seconds(row, 2, cost->cpu_us);
    if (!cost->heard)
        return;
    s_put(row, 1, pr_format_count(cost->records).text);
    if (cost->records > 0 && cost->cpu_us > 0) {
        snprintf(row->cells[3], s_text_bytes, "%.2f", (double)cost->cpu_us / (double)cost->records);
        s_put(row, 4, pr_format_count((uint64_t)((double)cost->records / s_seconds(cost->cpu_us) + 0.5)).text);
    }
    s_put_seconds(row, 5, cost->working_us);
    s_put_seconds(row, 6, cost->wait_input_us);
    s_put_seconds(row, 7, cost->wait_output_us);
}

static void s_print_rows(const pr_profile_row_t *rows, size_t count, FILE *out) {
    size_t widths[s_columns] = {0};
    for (size_t i = 0; i < count * s_columns; i++) {
        size_t width = pr_format_width(rows[i / s_columns].cells[i % s_columns]);
        if (width > widths[i % s_columns])
            widths[i % s_columns] = width;
    }
    for (size_t i = 0; i < count; i++) {
        for (unsigned column = 0; column < s_columns; column++) {
            const char *cell = rows[i].cells[column];
            int blanks = (int)(widths[column] - pr_format_width(cell));
            if (column == 0)
                fprintf(out, "%s%*s", cell, blanks, "");
            else
                fprintf(out, "  %*s%s", blanks, "", cell);
        }
        fputc('\n', out);
    }
}

static void s_print_table(const pr_profile_t *profile, FILE *out) {
    pr_profile_row_t *rows = pr_xcalloc(profile->count + 2, sizeof *rows);
    pr_cost_t transformers = {.heard = false};
    size_t count = 0;
    for (unsigned i = 0; i < s_columns; i++)
        s_put(&rows[count], i, s_heads[i]);
    count++;
    for (size_t i = 0; i < profile->count; i++) {
        const pr_process_t *process = &profile->processes[i];
        const pr_cost_t cost = s_cost(process);
        bool one_of_many = process->stage == PR_STAGE_TRANSFORMER && profile->transformers > 1;
        char who[PR_WHO_BYTES];
        pr_stage_who(process->stage, process->instance, who);
        s_fill(&rows[count++], one_of_many ? who : pr_stage_word(process->stage), &cost);
        if (!one_of_many)
            continue;
        s_add(&transformers, &cost);
        if (process->instance == profile->transformers)
            s_fill(&rows[count++], "transformers", &transformers);
    }
    s_print_rows(rows, count, out);
    free(rows);
}

/* ---- what it means ---- */

/* The process that was at work longest: the others have waited for it. NULL: none was heard. */
static const pr_process_t *s_busiest(const pr_profile_t *profile) {
    const pr_process_t *busiest = NULL;
    for (size_t i = 0; i < profile->count; i++) {
        const pr_process_t *process = &profile->processes[i];
        const pr_cost_t cost = s_cost(process);
        if (cost.heard && (busiest == NULL || cost.working_us > s_cost(busiest).working_us))
            busiest = process;
    }
    return busiest;
}

static void s_print_bottleneck(const pr_profile_t *profile, FILE *out) {
    const pr_process_t *busiest = s_busiest(profile);
    if (busiest == NULL)
        return;
    const pr_cost_t cost = s_cost(busiest);
    uint64_t life_us = cost.working_us + cost.wait_input_us + cost.wait_output_us;
    char who[PR_WHO_BYTES];
    bool one_of_many = busiest->stage == PR_STAGE_TRANSFORMER && profile->transformers > 1;
    pr_stage_who(busiest->stage, busiest->instance, who);
    fprintf(out, "The bottleneck is %s%s: at work %s %% of its time, %s s, longer than any other.\n",
            one_of_many ? "" : "the ", one_of_many ? who : pr_stage_word(busiest->stage),
            pr_format_percent(cost.working_us, life_us).text, pr_format_seconds(s_seconds(cost.working_us)).text);
}

static void s_print_processors(const pr_profile_t *profile, unsigned processors, FILE *out) {
    pr_cost_t all = {.heard = false};
    for (size_t i = 0; i < profile->count; i++) {
        const pr_cost_t cost = s_cost(&profile->processes[i]);
        s_add(&all, &cost);
    }
    double duration_s = (double)(profile->ended_us - profile->begun_us) / 1e6;
    if (duration_s > 0)
        fprintf(out, "All stages together took %s s of CPU: %.2f of %u processor%s.\n",
                pr_format_seconds(s_seconds(all.cpu_us)).text, s_seconds(all.cpu_us) / duration_s, processors,
                processors == 1 ? "" : "s");
}

static void s_print_phases(const pr_profile_t *profile, FILE *out) {
    const int64_t *at = profile->state_us;
    const int64_t ends[] = {profile->begun_us, at[PR_PROGRESS_STREAMING], at[PR_PROGRESS_PROVING],
                            at[PR_PROGRESS_COMPLETE], profile->ended_us};
    static const char *const phases[] = {"to look through the exports", "to commit all records",
                                         "to build indexes and finish the proof", "to leave"};
    fprintf(out, "The run took %s s", pr_format_seconds((double)(profile->ended_us - profile->begun_us) / 1e6).text);
    if (ends[1] > 0 && ends[2] > 0 && ends[3] > 0) {
        for (size_t i = 0; i < 4; i++)
            fprintf(out, "%s %s s %s", i == 0 ? ":" : ",",
                    pr_format_seconds((double)(ends[i + 1] - ends[i]) / 1e6).text, phases[i]);
    }
    fputs(".\n", out);
}

void pr_profile_print(const pr_profile_t *profile, unsigned processors, FILE *out) {
    fputc('\n', out);
    s_print_table(profile, out);
    fputc('\n', out);
    s_print_bottleneck(profile, out);
    s_print_processors(profile, processors, out);
    s_print_phases(profile, out);
}
