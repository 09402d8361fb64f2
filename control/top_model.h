/* SPDX-License-Identifier: MIT */
/* What pvrelay top shows: out of what was heard, and what was heard before. No clock, no sockets, no terminal. */
#ifndef PR_TOP_MODEL_H
#define PR_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ending.h"
#include "common/message.h"
#include "control/meter.h"
#include "control/watch.h"

enum {
    PR_TOP_ROWS = 67,     /* 64 transformers and the three others */
    PR_TOP_SECONDS = 600, /* of history */
    PR_TOP_TEXT_BYTES = 1200
};

typedef enum { PR_TOP_PIPELINE, PR_TOP_BY_RATE, PR_TOP_BY_LAG, PR_TOP_ORDERS } pr_top_order_t;

/* What is known at one moment. All borrowed. */
typedef struct {
    const pr_watch_stage_t *stages;
    size_t stages_count;
    const pr_msg_progress_t *progress; /* NULL: the writer is down */
    pr_run_id_t run;                   /* whose progress */
    const pr_meter_view_t *meter;
    const pr_ending_t *ending; /* what the writer left in the run folder, or NULL */
    int64_t now_ms;            /* pr_now_ms */
    int64_t calendar_ms;       /* pr_calendar_ms */
} pr_top_input_t;

/* A process of a stage. What is not known, or means nothing for the stage, is <0. */
typedef struct {
    char who[32];
    pr_stage_t stage;
    bool up;
    double down_s; /* since when it is down; <0: it is up, or never was */
    int64_t records;
    double per_second;
    int64_t lag;
    int64_t window_bytes;
    int64_t rejects;
    int64_t restarts;
    char error[PR_WIRE_TEXT_BYTES]; /* the last one, "" if none was heard; of a terminal's characters only */
} pr_top_row_t;

typedef struct {
    char run[37];  /* UUID; "": none was heard of */
    char word[48]; /* "streaming", "starting", "down", "indexes 2 of 5" */
    bool scanning;
    uint64_t done, total; /* records with a verdict; while scanning, bytes looked through; total 0: not known yet */
    double share;         /* of the run's time, or of the scan; <0: not known */
    double per_second, eta_s, elapsed_s; /* <0: not known */
    uint64_t rejects, failures;
    size_t rows_count, up_count;
    pr_top_row_t rows[PR_TOP_ROWS];  /* in the pipeline's order, until they are sorted */
    bool anyone;                     /* a stage has been up since we listen */
    bool good;                       /* the outcome is one */
    char outcome[PR_TOP_TEXT_BYTES]; /* of the run that has ended, else "" */
    char error_who[32];              /* the newest error of all; text "" if there was none */
    char error[PR_WIRE_TEXT_BYTES];
    double error_s;                 /* how long ago it was heard */
    uint64_t seconds_count;         /* ever taken; the last PR_TOP_SECONDS of them are kept */
    double seconds[PR_TOP_SECONDS]; /* records per second, second n at n % PR_TOP_SECONDS */
} pr_top_view_t;

typedef struct pr_top_model pr_top_model_t;

/* *Returns new*. */
pr_top_model_t *pr_top_model_new(void);
void pr_top_model_destroy(pr_top_model_t **model);

/* Take in what is known now; a few times a second. */
void pr_top_model_take(pr_top_model_t *model, const pr_top_input_t *input);

/* What is to be shown. Borrowed until the next take; a copy of the struct holds all of it. */
const pr_top_view_t *pr_top_model_view(const pr_top_model_t *model);

/* Put the rows of a view into an order: by rate and by lag the greatest come first, equals as in the pipeline. */
void pr_top_sort(pr_top_view_t *view, pr_top_order_t order);
const char *pr_top_order_word(pr_top_order_t order); /* "pipeline", "rate", "lag" */

/*  The graph of records per second: the newest on the right, each column the mean of as many seconds as it takes for the
 *  graph to show the history, or 150 seconds of it; 1 if it is wide enough. Columns without any are <0. Returns seconds
 *  per column. */
unsigned pr_top_graph(const pr_top_view_t *view, unsigned columns, double *ret_columns);

/* A count in at most `width` (6 or more) characters: "1,234,567", "1234567", "1235k", "1.2M". */
const char *pr_top_count(uint64_t count, int width, char *buffer, size_t size);

#endif
