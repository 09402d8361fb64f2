/* SPDX-License-Identifier: MIT */
/* What the proof found, into a report. */
#ifndef PR_REPORT_PROOF_H
#define PR_REPORT_PROOF_H

#include "common/failure.h"
#include "control/report.h"

/*  Copy a list's failures, findings and tallies into the report. The report's sources must be in it already: the list's
 *  places are indexes of them. Call it once, with the list of the whole. */
void pr_report_add_proof(pr_report_t *report, const pr_proof_list_t *list);

#endif
