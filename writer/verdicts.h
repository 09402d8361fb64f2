/* SPDX-License-Identifier: MIT */
/* Commits to the validator, verdicts from it: which checkpoints still lack a proof. */
#ifndef PR_VERDICTS_H
#define PR_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/daemon.h"
#include "writer/target.h"

typedef struct pr_verdicts pr_verdicts_t;

/*  For one run. daemon, target and run are borrowed until destroy; run->failures and run->validated are counted up with what the verdicts
 *  say, and run->checkpoint tells how far the commits go. *Returns new*. */
pr_verdicts_t *pr_verdicts_new(pr_daemon_t *daemon, pr_target_t *target, pr_target_run_t *run);
void pr_verdicts_destroy(pr_verdicts_t **verdicts);

/*  Send the validator what is committed and was not sent yet, as far as there is room: COMMITs, and once all of them have
 *  their verdicts, FINISH for this part of the whole. What it has not answered for long is sent again. Call it every turn.
 *  Errors: of the target. */
int pr_verdicts_send(pr_verdicts_t *verdicts, int64_t now_ms, pr_whole_part_t part, pr_error_t *err);

/* The part of the whole that the validator was asked for and has not answered. */
pr_whole_part_t pr_verdicts_asked(const pr_verdicts_t *verdicts);

/* Has the validator told what it found in the content, and not in the file yet? */
bool pr_verdicts_content_known(const pr_verdicts_t *verdicts);

/* Forget what the validator was sent: it is a new one, and gets everything without a verdict again. */
int pr_verdicts_send_again(pr_verdicts_t *verdicts, pr_error_t *err);

/* The validator says that it is at work on this: as long as it does nothing is sent again. */
void pr_verdicts_working(pr_verdicts_t *verdicts, const pr_msg_working_t *working);

/*  Take a VERDICT. One that was not asked for is dropped; one that does not show what it is over (common/challenge.h) is not believed.
 *  ret_records: records of the commit it is about (0: dropped). ret_whole: with it the whole is proved, and that is recorded; the
 *  run can end. Returns 0 or an error of the target. */
int pr_verdicts_take(pr_verdicts_t *verdicts, pr_inbound_t *inbound, uint64_t *ret_records, bool *ret_whole,
                     pr_error_t *err);

/*  Record the verdicts taken so far; inside an open batch they join its transaction. */
int pr_verdicts_record(pr_verdicts_t *verdicts, pr_error_t *err);

/* Have they waited long enough for a batch whose transaction they could join? */
bool pr_verdicts_overdue(const pr_verdicts_t *verdicts, int64_t now_ms);

#endif
