/* SPDX-License-Identifier: MIT */
/* The parts that pr_report_describe is put together from. */
#ifndef PR_REPORT_PARTS_H
#define PR_REPORT_PARTS_H

#include "control/report.h"

/*  The mapping as "mapping" of report.json: {name, path, digest, streams: [{stream, key, ignored: [{field, reason}], rows:
 *  [{row, table, mode, only_if, columns: [{column, key, op, ...}]}]}], value_maps: [{name, values: [{from, to}]}],
 *  derived: [{table, column, children, except_column, except}]}. What ... stands for follows from op, see
 *  pvrelay-report(5). *Returns new*. */
json_t *pr_report_mapping_to_json(const pr_mapping_t *mapping);

/*  The distributions that the mapping declares and the report has tallies of.
 *  stored: count what the target holds too. Errors: -PR_E_TARGET…. */
int pr_report_add_distributions(pr_report_t *report, sqlite3 *db, const pr_mapping_t *mapping, bool stored,
                                pr_error_t *err);

/* What the checks came to. All else that pr_report_describe adds must be in. mapping: NULL if it is not known. */
void pr_report_judge(pr_report_t *report, const pr_mapping_t *mapping);

#endif
