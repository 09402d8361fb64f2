/* SPDX-License-Identifier: MIT */
/* What each stage of a run costs: processor time, and where its wall time went. No clock, no sockets. */
#ifndef PR_PROFILE_H
#define PR_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/message.h"

typedef struct pr_profile pr_profile_t;

/*  The profile of a run that begins now with this many transformers. now_us, here and below: pr_now_us. *Returns new*. */
pr_profile_t *pr_profile_new(uint32_t transformers, int64_t now_us);
void pr_profile_destroy(pr_profile_t **profile);

/*  Hear a process's COUNTERS. When it was started again they begin at 0: what its predecessor had counted, as far as it
 *  was heard, is kept and added. Instances that cannot be are ignored. */
void pr_profile_counters(pr_profile_t *profile, pr_stage_t stage, uint32_t instance, const pr_msg_counters_t *counters);

/* A process has ended; cpu_us: the user and system time of all its life, from the kernel. */
void pr_profile_ended(pr_profile_t *profile, pr_stage_t stage, uint32_t instance, uint64_t cpu_us);

/* The run is in this state (pr_progress_state_t): the first time of each counts. And: the run is over. */
void pr_profile_state(pr_profile_t *profile, unsigned state, int64_t now_us);
void pr_profile_finish(pr_profile_t *profile, int64_t now_us);

/* All processes have ended: are there some whose COUNTERS were heard, but not the last ones? */
bool pr_profile_awaits_last(const pr_profile_t *profile);

/*  Print it as a table, with the bottleneck and the duration below. processors: that the machine has. */
void pr_profile_print(const pr_profile_t *profile, unsigned processors, FILE *out);

#endif
