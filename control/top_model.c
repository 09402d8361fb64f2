/* SPDX-License-Identifier: MIT */
/* What pvrelay top shows. */

/*  DESIGN
 *
 *  The figures of reader, writer and validator, and of a transformer that is alone, are those of the run (control/meter.h):
 *  they go on when a process is started again. Several transformers share one queue and one lag; what each of them has
 *  done, and how fast, is that of its process.
 *
 *  The time that has elapsed counts from the earliest start of any stage that was heard; for a run that began before our
 *  eyes, with stages that were up already, from its first PROGRESS. It stands still when the run has ended.
 */
#include "control/top_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "control/format.h"

enum {
    s_samples = 16,
    s_sample_ms = 250,
    s_second_ms = 1000,
    s_graph_seconds = 150,
    s_reader_slot = 0, /* transformers: their instance */
    s_writer_slot = 65,
    s_validator_slot = 66
};

/* What was heard of one process before. */
typedef struct {
    uint64_t start_ms; /* of the life that the samples are of */
    struct {
        int64_t at_ms;
        uint64_t records;
    } samples[s_samples];
    size_t samples_count; /* ever taken in this life */
    int64_t down_ms;      /* since when it is down; 0: it is not, or never was up */
    bool was_up;
    char heard_error[PR_WIRE_TEXT_BYTES]; /* as it came */
    char error[PR_WIRE_TEXT_BYTES];       /* the last that was none of "" */
} pr_top_past_t;

struct pr_top_model {
    pr_top_view_t view;
    pr_top_past_t past[PR_TOP_ROWS];
    pr_run_id_t run;
    bool ended;             /* the run has, and elapsed_s and the history stand still */
    const char *ended_word; /* how */
    int64_t begun_calendar_ms;
    int64_t second_ms; /* when the newest second of the history was taken; 0: none yet */
    uint64_t second_records;
    int64_t error_ms;
};

pr_top_model_t *pr_top_model_new(void) {
    pr_top_model_t *model = pr_xcalloc(1, sizeof *model);
    snprintf(model->view.word, sizeof model->view.word, "down");
    model->view.share = model->view.per_second = model->view.eta_s = model->view.elapsed_s = -1;
    return model;
}

void pr_top_model_destroy(pr_top_model_t **model) {
    if (model == NULL || *model == NULL)
        return;
    free(*model);
    *model = NULL;
}

const pr_top_view_t *pr_top_model_view(const pr_top_model_t *model) {
    return &model->view;
}

static pr_top_past_t *s_past(pr_top_model_t *model, const pr_watch_stage_t *stage) {
    switch (stage->stage) {
    case PR_STAGE_READER:
        return &model->past[s_reader_slot];
    case PR_STAGE_TRANSFORMER:
        return stage->instance >= 1 && stage->instance < s_writer_slot ? &model->past[stage->instance] : NULL;
    case PR_STAGE_WRITER:
        return &model->past[s_writer_slot];
    case PR_STAGE_VALIDATOR:
        return &model->past[s_validator_slot];
    }
    return NULL;
}

/* ---- one process ---- */

static int64_t s_signed(uint64_t value) {
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static uint64_t s_done(const pr_watch_stage_t *stage) {
    return stage->counters.records_ok + stage->counters.records_rejected;
}

static void s_sample(pr_top_past_t *past, const pr_watch_stage_t *stage, int64_t now_ms) {
    if (past->start_ms != stage->counters.start_ms) {
        past->start_ms = stage->counters.start_ms;
        past->samples_count = 0;
    }
    if (past->samples_count > 0 && now_ms - past->samples[(past->samples_count - 1) % s_samples].at_ms < s_sample_ms)
        return;
    size_t at = past->samples_count++ % s_samples;
    past->samples[at].at_ms = now_ms;
    past->samples[at].records = s_done(stage);
}

static double s_rate(const pr_top_past_t *past, const pr_watch_stage_t *stage, int64_t now_ms) {
    size_t oldest = past->samples_count > s_samples ? past->samples_count % s_samples : 0;
    int64_t elapsed_ms = past->samples_count > 0 ? now_ms - past->samples[oldest].at_ms : 0;
    if (elapsed_ms < s_sample_ms)
        return -1;
    uint64_t before = past->samples[oldest].records;
    return s_done(stage) > before ? (double)(s_done(stage) - before) * 1000 / (double)elapsed_ms : 0;
}

/* Its last error, and whether that is the newest of all. */
static void s_take_error(pr_top_model_t *model, pr_top_past_t *past, const pr_watch_stage_t *stage, int64_t now_ms) {
    const char *text = stage->counters.last_error.data;
    if (strcmp(text, past->heard_error) == 0)
        return;
    snprintf(past->heard_error, sizeof past->heard_error, "%s", text);
    if (*text == '\0')
        return; /* a new life: what it said before it died is worth knowing still */
    char *clean = pr_format_record(text, strlen(text));
    snprintf(past->error, sizeof past->error, "%s", clean);
    free(clean);
    snprintf(model->view.error, sizeof model->view.error, "%s", past->error);
    snprintf(model->view.error_who, sizeof model->view.error_who, "%s", stage->who);
    model->error_ms = now_ms;
}

static void s_take_up_and_down(pr_top_past_t *past, const pr_watch_stage_t *stage, int64_t now_ms) {
    if (stage->up)
        past->down_ms = 0;
    else if (past->was_up && past->down_ms == 0)
        past->down_ms = now_ms;
    past->was_up |= stage->up;
}

static void s_fill_row(pr_top_row_t *row, const pr_top_past_t *past, const pr_watch_stage_t *stage,
                       const pr_top_input_t *input) {
    const pr_meter_stage_t *whole = &input->meter->stages[stage->stage];
    bool reader = stage->stage == PR_STAGE_READER;
    bool one_of_many = stage->stage == PR_STAGE_TRANSFORMER && input->meter->transformers > 1;
    *row = (pr_top_row_t){.stage = stage->stage,
                          .up = stage->up,
                          .down_s = -1,
                          .records = -1,
                          .per_second = -1,
                          .lag = -1,
                          .window_bytes = -1,
                          .rejects = -1,
                          .restarts = -1};
    snprintf(row->who, sizeof row->who, "%s", stage->who);
    snprintf(row->error, sizeof row->error, "%s", past->error);
    if (past->down_ms != 0)
        row->down_s = (double)(input->now_ms - past->down_ms) / 1000;
    if (stage->heard && stage->counters.starts > 0)
        row->restarts = (int64_t)stage->counters.starts - 1;
    if (!whole->heard || !stage->heard)
        return;
    row->records = s_signed(one_of_many ? s_done(stage) : whole->records);
    if (!reader) {
        row->lag = s_signed(whole->lag);
        row->rejects = s_signed(one_of_many ? stage->counters.records_rejected : whole->rejects);
    }
    if (stage->up)
        row->per_second = one_of_many ? s_rate(past, stage, input->now_ms) : whole->per_second;
    if (stage->up && reader)
        row->window_bytes = s_signed(stage->counters.window_bytes);
}

static void s_take_rows(pr_top_model_t *model, const pr_top_input_t *input) {
    pr_top_view_t *view = &model->view;
    view->rows_count = 0;
    view->up_count = 0;
    for (size_t i = 0; i < input->stages_count; i++) {
        const pr_watch_stage_t *stage = &input->stages[i];
        pr_top_past_t *past = s_past(model, stage);
        if (past == NULL || view->rows_count == PR_TOP_ROWS)
            continue;
        if (stage->up)
            s_sample(past, stage, input->now_ms);
        s_take_error(model, past, stage, input->now_ms);
        s_take_up_and_down(past, stage, input->now_ms);
        s_fill_row(&view->rows[view->rows_count++], past, stage, input);
        view->up_count += stage->up;
    }
    view->anyone |= view->up_count > 0;
    view->error_s = (double)(input->now_ms - model->error_ms) / 1000;
}

/* ---- the run ---- */

static void s_begin_run(pr_top_model_t *model, const pr_top_input_t *input) {
    bool another = pr_run_id_known(model->run);
    model->run = input->run;
    model->ended = false;
    pr_run_id_print(input->run, model->view.run);
    *model->view.outcome = '\0';
    /* Stages that were at work on another run before our eyes did not begin with this one. */
    model->begun_calendar_ms = another ? input->calendar_ms : 0;
    if (!another)
        return;
    *model->view.error = '\0';
    for (size_t i = 0; i < PR_TOP_ROWS; i++)
        *model->past[i].error = '\0';
}

static void s_take_elapsed(pr_top_model_t *model, const pr_top_input_t *input) {
    int64_t earliest_ms = 0;
    for (size_t i = 0; i < input->stages_count; i++) {
        uint64_t start_ms = input->stages[i].counters.start_ms;
        if (input->stages[i].up && start_ms > 0 && start_ms <= (uint64_t)input->calendar_ms &&
            (earliest_ms == 0 || (int64_t)start_ms < earliest_ms))
            earliest_ms = (int64_t)start_ms;
    }
    if (model->begun_calendar_ms == 0 && pr_run_id_known(model->run))
        model->begun_calendar_ms = earliest_ms;
    if (model->begun_calendar_ms != 0 && !model->ended)
        model->view.elapsed_s = (double)(input->calendar_ms - model->begun_calendar_ms) / 1000;
}

static void s_print_outcome(pr_top_view_t *view, int code, bool stopped, const char *text) {
    char *clean = pr_format_record(text, strlen(text));
    view->good = code == PR_E_OK;
    if (stopped)
        snprintf(view->outcome, sizeof view->outcome, "stopped: %s: %s", pr_error_name(code),
                 *clean != '\0' ? clean : pr_error_sentence(code));
    else
        snprintf(view->outcome, sizeof view->outcome, "%s (exit code %d)", pr_error_sentence(code),
                 pr_error_exit_code(code));
    free(clean);
}

static bool s_stops(pr_error_code_t code) {
    return code != PR_E_OK && code != PR_E_REJECTED && code != PR_E_VALIDATION;
}

static void s_take_outcome(pr_top_model_t *model, const pr_top_input_t *input) {
    const pr_msg_progress_t *progress = input->progress;
    if (progress != NULL) {
        bool ended = progress->state == PR_PROGRESS_COMPLETE || progress->state == PR_PROGRESS_FAILED;
        if (ended)
            s_print_outcome(&model->view, progress->outcome, progress->state == PR_PROGRESS_FAILED,
                            progress->text.data);
        else
            *model->view.outcome = '\0';
        model->ended = ended;
        model->ended_word = pr_watch_state_word(progress->state);
    } else if (input->ending != NULL && *model->view.outcome == '\0' && model->view.up_count == 0 &&
               (!pr_run_id_known(model->run) || pr_run_id_equal(model->run, input->ending->run))) {
        s_print_outcome(&model->view, input->ending->code, s_stops(input->ending->code), input->ending->text);
        pr_run_id_print(input->ending->run, model->view.run);
        model->ended = true;
        model->ended_word =
            pr_watch_state_word(s_stops(input->ending->code) ? PR_PROGRESS_FAILED : PR_PROGRESS_COMPLETE);
    }
}

static void s_take_figures(pr_top_model_t *model, const pr_top_input_t *input) {
    pr_top_view_t *view = &model->view;
    const pr_meter_view_t *meter = input->meter;
    const pr_meter_stage_t *last = &meter->stages[PR_STAGE_VALIDATOR];
    const char *word = model->ended ? model->ended_word : view->up_count > 0 ? "starting" : "down";
    if (input->progress != NULL)
        word = input->progress->phase > PR_PHASE_RECORDS ? meter->phase : pr_watch_state_word(input->progress->state);
    snprintf(view->word, sizeof view->word, "%s", word);
    view->scanning = meter->scanning && view->up_count > 0;
    view->done = view->scanning ? meter->scanned_bytes : last->records;
    view->total = view->scanning ? meter->scan_total_bytes : meter->total;
    view->share = view->scanning ? (double)view->done / (double)view->total : meter->share;
    bool runs = input->progress != NULL && !model->ended && !view->scanning;
    view->per_second = runs ? last->per_second : -1;
    view->eta_s = runs ? meter->eta_s : -1;
    view->rejects = meter->stages[PR_STAGE_WRITER].rejects;
    view->failures = last->rejects;
}

/* A second of history, as many times as seconds have passed. */
static void s_take_second(pr_top_model_t *model, const pr_top_input_t *input) {
    pr_top_view_t *view = &model->view;
    uint64_t records = input->meter->stages[PR_STAGE_VALIDATOR].records;
    if (!view->anyone)
        return;
    if (model->second_ms == 0 || model->ended) {
        model->second_ms = input->now_ms;
        model->second_records = records;
    }
    int64_t elapsed_ms = input->now_ms - model->second_ms;
    if (elapsed_ms < s_second_ms)
        return;
    double rate =
        records > model->second_records ? (double)(records - model->second_records) * 1000 / (double)elapsed_ms : 0;
    for (int64_t i = 0; i < elapsed_ms / s_second_ms && i < PR_TOP_SECONDS; i++)
        view->seconds[view->seconds_count++ % PR_TOP_SECONDS] = rate;
    model->second_ms = input->now_ms;
    model->second_records = records;
}

void pr_top_model_take(pr_top_model_t *model, const pr_top_input_t *input) {
    if (input->progress != NULL && pr_run_id_known(input->run) && !pr_run_id_equal(input->run, model->run)) {
        s_begin_run(model, input);
        model->second_records = input->meter->stages[PR_STAGE_VALIDATOR].records;
    }
    s_take_rows(model, input);
    s_take_outcome(model, input);
    s_take_elapsed(model, input);
    s_take_figures(model, input);
    s_take_second(model, input);
}

/* ---- for the screen ---- */

const char *pr_top_order_word(pr_top_order_t order) {
    static const char *const words[PR_TOP_ORDERS] = {"pipeline", "rate", "lag"};
    return words[order];
}

/* Does a row come before another that stands before it now? */
static bool s_precedes(const pr_top_row_t *row, const pr_top_row_t *other, pr_top_order_t order) {
    switch (order) {
    case PR_TOP_BY_RATE:
        return row->per_second > other->per_second;
    case PR_TOP_BY_LAG:
        return row->lag > other->lag;
    case PR_TOP_PIPELINE:
    case PR_TOP_ORDERS:
        break;
    }
    return false;
}

void pr_top_sort(pr_top_view_t *view, pr_top_order_t order) {
    for (size_t i = 1; i < view->rows_count; i++) {
        pr_top_row_t row = view->rows[i];
        size_t at = i;
        for (; at > 0 && s_precedes(&row, &view->rows[at - 1], order); at--)
            view->rows[at] = view->rows[at - 1];
        view->rows[at] = row;
    }
}

unsigned pr_top_graph(const pr_top_view_t *view, unsigned columns, double *ret_columns) {
    unsigned span = 1;
    while (columns > 0 && span * columns < s_graph_seconds && span * (uint64_t)columns < view->seconds_count)
        span++;
    uint64_t first = view->seconds_count > PR_TOP_SECONDS ? view->seconds_count - PR_TOP_SECONDS : 0;
    /* A column's seconds are n * span to n * span + span - 1, so that it does not change its height on its way left. */
    uint64_t newest = view->seconds_count > 0 ? (view->seconds_count - 1) / span : 0;
    for (unsigned i = 0; i < columns; i++) {
        double sum = 0;
        unsigned seconds = 0;
        uint64_t back = columns - 1 - i;
        for (unsigned k = 0; back <= newest && k < span; k++) {
            uint64_t second = (newest - back) * span + k;
            if (second >= first && second < view->seconds_count) {
                sum += view->seconds[second % PR_TOP_SECONDS];
                seconds++;
            }
        }
        ret_columns[i] = seconds > 0 ? sum / seconds : -1;
    }
    return span;
}

const char *pr_top_count(uint64_t count, int width, char *buffer, size_t size) {
    static const struct {
        double unit;
        const char *letter;
    } units[] = {{1e3, "k"}, {1e6, "M"}, {1e9, "G"}, {1e12, "T"}, {1e15, "P"}, {1e18, "E"}};
    snprintf(buffer, size, "%s", pr_format_count(count).text);
    if ((int)strlen(buffer) > width)
        snprintf(buffer, size, "%" PRIu64, count);
    for (size_t i = 0; (int)strlen(buffer) > width && i < sizeof units / sizeof units[0]; i++) {
        double value = (double)count / units[i].unit;
        snprintf(buffer, size, "%.*f%s", value < 1000 ? 1 : 0, value, units[i].letter);
    }
    return buffer;
}
