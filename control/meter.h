/* SPDX-License-Identifier: MIT */
/* What the stages publish, put together: how far each stage is, how fast, how long yet. No clock, no sockets. */
#ifndef PR_METER_H
#define PR_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

typedef struct pr_meter pr_meter_t;

/* One stage, as it is shown. */
typedef struct {
    bool heard;        /* its counters (writer, validator: PROGRESS too) have been heard */
    uint64_t records;  /* of the run that lie behind the stage, those of earlier continuations included */
    double per_second; /* over the last seconds; <0: not known yet */
    double eta_s;      /* until it has nothing left to do in this run, records or not; <0: not known */
    uint64_t lag;      /* records that the stage before has done and this one has not */
    uint64_t rejects;  /* transformer, writer: records rejected of those; validator: failures that the target keeps */
} pr_meter_stage_t;

typedef struct {
    unsigned state; /* pr_progress_state_t; 0: no PROGRESS heard yet */
    bool scanning;  /* the reader looks the exports through */
    uint64_t scanned_bytes, scan_total_bytes;
    uint64_t total;     /* records of the run; 0: not known yet */
    uint64_t validated; /* records accepted and validated, as the run's report counts them */
    char phase[48];     /* what is going on: "replaying", "indexes 2 of 5", "file check" */
    double share;       /* of the run's time that has passed, 0 to 1; 1 only when it is complete; <0: not known */
    double eta_s;       /* until it is complete; <0: not known */
    double elapsed_s;   /* spent on the run, over all its continuations; <0: not known */
    unsigned transformers;
    uint64_t resends;
    pr_meter_stage_t stages[PR_STAGE_COUNT]; /* by pr_stage_t */
} pr_meter_view_t;

/* What one source took while this meter listened. */
typedef struct {
    double seconds;
    uint64_t records;
} pr_meter_source_t;

/* transformers: how many take part. *Returns new*. */
pr_meter_t *pr_meter_new(uint32_t transformers);
void pr_meter_destroy(pr_meter_t **meter);

/*  The run may have begun before this meter did: what the stages have counted in their lives until they are first heard
 *  is taken as done in this run. */
void pr_meter_join(pr_meter_t *meter);

/* What a stage has counted until now is not of this run. */
void pr_meter_discount(pr_meter_t *meter, pr_stage_t stage, uint32_t instance, const pr_msg_counters_t *counters);

/* Hear a message; now_ms: pr_now_ms. Instances that cannot be are ignored. */
void pr_meter_progress(pr_meter_t *meter, const pr_msg_progress_t *progress, int64_t now_ms);
void pr_meter_counters(pr_meter_t *meter, pr_stage_t stage, uint32_t instance, const pr_msg_counters_t *counters);

/* How things stand. Never fails; what is not known yet is 0 or <0 as said above. */
void pr_meter_look(pr_meter_t *meter, int64_t now_ms, pr_meter_view_t *ret_view);

/* A number that changes whenever the run as a whole moves. */
uint64_t pr_meter_mark(const pr_meter_t *meter);

/* The newest PROGRESS, or NULL. Borrowed. */
const pr_msg_progress_t *pr_meter_newest(const pr_meter_t *meter);

/* Time and records per source of the plan, by index; *ret_count of them. Borrowed. */
const pr_meter_source_t *pr_meter_sources(const pr_meter_t *meter, size_t *ret_count);

#endif
