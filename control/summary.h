/* SPDX-License-Identifier: MIT */
/* What became of a run, from the bookkeeping in its target: the final table and the report. */
#ifndef PR_SUMMARY_H
#define PR_SUMMARY_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>

#include "common/error.h"
#include "control/ledger.h"
#include "control/meter.h"

typedef struct pr_summary pr_summary_t;

/*  Read the summary of a run (UUID). meter (may be NULL): times per stream, as this process saw them.
 *  ret_summary: *returns new*. -PR_E_INTERNAL if the target has no such run. */
int pr_summary_load(const char *target, const char *run, const pr_meter_t *meter, pr_summary_t **ret_summary,
                    pr_error_t *err);
void pr_summary_destroy(pr_summary_t **summary);

/* The final table, findings, rejects, failures, outcome, where to look next. */
void pr_summary_print(const pr_summary_t *summary, FILE *out);

/* Do the accounts balance: read = written + unchanged + rejected in every stream, and, once complete, read = exported?
 */
bool pr_summary_balances(const pr_summary_t *summary);

/* The run itself. Borrowed. */
const pr_ledger_run_t *pr_summary_run(const pr_summary_t *summary);

/*  The report. Its keys are stable:
 *  run {number, id, kind, state, mapping, started_at, ended_at, seconds, outcome, error, rolled_back_at}, target,
 *  streams [{stream, exported, read, written, unchanged, rejected, validated, bytes, seconds, records_per_second,
 *  balances}], findings [{kind, stream, field, count, detail}], rejects [{reason, stream, field, count}], failures
 *  [{kind, stream, table, key, column, expected, stored, path, offset, checkpoint}], failures_total. *Returns new*. */
json_t *pr_summary_to_json(const pr_summary_t *summary);

/* Write the report as FOLDER/report.json (new file, rename), making the folder if need be. */
int pr_summary_write_report(const pr_summary_t *summary, const char *folder, pr_error_t *err);

#endif
