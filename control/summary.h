/* SPDX-License-Identifier: MIT */
/* The short form of a run's report, for a terminal. */
#ifndef PR_SUMMARY_H
#define PR_SUMMARY_H

#include <stdbool.h>
#include <stdio.h>

#include "control/report.h"

/* What becomes green or red. */
typedef enum { PR_PAINT_GOOD, PR_PAINT_BAD } pr_paint_t;

/* Print a text, in its colour if `colour`. */
void pr_summary_paint(FILE *out, bool colour, pr_paint_t paint, const char *text);

/*  The final table, findings, rejects, failures, outcome, where to look next. It needs nothing that pr_report_describe
 *  adds but the way back (report->undo). */
void pr_summary_print(const pr_report_t *report, pr_report_language_t language, bool colour, FILE *out);

#endif
