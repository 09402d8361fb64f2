/* SPDX-License-Identifier: MIT */
/* How often each process was started in a run folder: so that whoever watches can tell restarts. */
#ifndef PR_STARTS_H
#define PR_STARTS_H

#include <stdint.h>

/*  Count a start of this process in the file WHO.starts of the run folder. Returns how many there were, this one included;
 *  1 if the file cannot be written: it is a figure to look at, nothing depends on it. */
uint32_t pr_starts_count(const char *run_dir, const char *who);

/* Begin anew for all: remove the files. For whoever begins a run, before the stages start. */
void pr_starts_clear(const char *run_dir);

#endif
