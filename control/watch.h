/* SPDX-License-Identifier: MIT */
/* Listening to the stages of a run folder: who is up, what they count, how the run stands. Never writes, never blocks a
 * stage. */
#ifndef PR_WATCH_H
#define PR_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"
#include "control/meter.h"

typedef struct pr_watch pr_watch_t;

enum { PR_WATCH_SILENCE_MS = 1500 }; /* a stage publishes four times a second; one that is silent so long is down */

/* One process of a stage. */
typedef struct {
    pr_stage_t stage;
    uint32_t instance;
    char who[PR_WHO_BYTES];
    bool up;                    /* heard within PR_WATCH_SILENCE_MS, and somebody listens on its socket */
    bool bound;                 /* somebody listens on its socket, as far as is known */
    bool heard;                 /* ever */
    int64_t heard_ms;           /* when last, pr_now_ms */
    pr_msg_counters_t counters; /* the newest; all zero before the first */
} pr_watch_stage_t;

/*  Listen to the stages of this run folder; it need not exist yet. Transformers beyond those that the run folder's
 *  config.json names are found by their sockets. *Returns new*. */
pr_watch_t *pr_watch_new(const char *run_dir);
void pr_watch_destroy(pr_watch_t **watch);

/*  Hear what has come; wait up to timeout_ms for the first message, or until descriptor fd (-1: none) can be read.
 *  Notices stages that come and go. */
void pr_watch_listen(pr_watch_t *watch, int timeout_ms, int fd);

/* Reader, transformers, writer, validator, in this order, up or down. Borrowed until the next call. */
const pr_watch_stage_t *pr_watch_stages(const pr_watch_t *watch, size_t *ret_count);

/* The newest PROGRESS if the writer is up, else NULL; ret_run (may be NULL): its run. Borrowed until the next call. */
const pr_msg_progress_t *pr_watch_progress(const pr_watch_t *watch, pr_run_id_t *ret_run);

/* Rates, lag, time left: control/meter.h. It begins anew when the run changes. */
void pr_watch_look(const pr_watch_t *watch, pr_meter_view_t *ret_view);

/* "awaiting-plan", "streaming", "proving", "complete", "failed"; "?" for others. */
const char *pr_watch_state_word(unsigned state);

#endif
