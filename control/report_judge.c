/* SPDX-License-Identifier: MIT */
/* The integrity checks of a report, from what the proof found. */
#include <string.h>

#include "control/report_parts.h"

/*  DESIGN
 *
 *  A check has failed if the proof has a failure that is of it. It has passed if there is none and the proof was done:
 *  to its end, for what only the whole can show. A difference that is no failure (rows of others in the same groups)
 *  leaves it noted. So a check is never ticked for want of looking.
 */

static bool s_is_derived(const pr_mapping_t *mapping, const pr_report_failure_t *failure) {
    for (size_t i = 0; mapping != NULL && i < mapping->derived_count; i++) {
        if (strcmp(mapping->derived[i].table, failure->table) == 0 &&
            strcmp(mapping->derived[i].column, failure->column) == 0)
            return true;
    }
    return false;
}

static bool s_is_distributed(const pr_report_t *report, const pr_report_failure_t *failure) {
    for (size_t i = 0; i < report->distributions_count; i++) {
        const pr_report_distribution_t *distribution = &report->distributions[i];
        for (size_t c = 0; strcmp(distribution->table, failure->table) == 0 && c < distribution->columns_count; c++) {
            if (strcmp(distribution->columns[c], failure->column) == 0)
                return true;
        }
    }
    return false;
}

/* Is the column one by which declared parents are found? */
static bool s_is_key(const pr_mapping_t *mapping, const pr_report_failure_t *failure) {
    for (size_t s = 0; mapping != NULL && s < mapping->streams_count; s++) {
        const pr_stream_t *stream = &mapping->streams[s];
        if (stream->declares.stream < 0)
            continue;
        const pr_row_spec_t *row = pr_stream_row_by(stream, stream->declares.by);
        const pr_column_t *column = row != NULL ? pr_row_copy_of(row, stream->declares.by) : NULL;
        if (column != NULL && strcmp(row->table, failure->table) == 0 && strcmp(column->name, failure->column) == 0)
            return true;
    }
    return false;
}

/* The check that a failure is of. */
static pr_check_t s_check_of(const pr_report_t *report, const pr_mapping_t *mapping,
                             const pr_report_failure_t *failure) {
    if (strncmp(failure->table, "GET ", 4) == 0) /* a route of the API (control/api_compare.c), no table */
        return PR_CHECK_API;
    if (strcmp(failure->kind, "extra") == 0)
        return PR_CHECK_EXTRA;
    if (strcmp(failure->kind, "whole") != 0)
        return PR_CHECK_ROWS;
    if (strcmp(failure->column, "quick_check") == 0)
        return PR_CHECK_QUICK_CHECK;
    if (strcmp(failure->table, "pvrelay_checkpoint") == 0)
        return PR_CHECK_ACCOUNTS;
    if (strcmp(failure->stored, "refers to none") == 0)
        return PR_CHECK_FOREIGN_KEYS;
    if (s_is_derived(mapping, failure))
        return PR_CHECK_DERIVED;
    if (s_is_distributed(report, failure))
        return PR_CHECK_DISTRIBUTION;
    return s_is_key(mapping, failure) ? PR_CHECK_KEYS : PR_CHECK_WHOLE;
}

static bool s_has_finding(const pr_report_t *report, const char *kind) {
    for (size_t i = 0; i < report->findings_count; i++) {
        if (strcmp(report->findings[i].kind, kind) == 0)
            return true;
    }
    return false;
}

/* Does the target show the exports' distribution? */
static bool s_spreads_agree(const pr_report_t *report) {
    for (size_t d = 0; d < report->distributions_count; d++) {
        const pr_report_distribution_t *distribution = &report->distributions[d];
        for (size_t g = 0; g < distribution->groups_count; g++) {
            const pr_report_group_t *group = &distribution->groups[g];
            for (size_t i = 0; i < group->shares_count; i++) {
                if (group->shares[i].stored != (int64_t)group->shares[i].exported)
                    return false;
            }
        }
    }
    return true;
}

static bool s_spreads_known(const pr_report_t *report) {
    for (size_t d = 0; d < report->distributions_count; d++) {
        if (report->distributions[d].all.stored < 0)
            return false;
    }
    return report->distributions_count > 0;
}

/* Does the mapping declare something of this sort for any stream? */
static bool s_declares(const pr_mapping_t *mapping, bool keys) {
    for (size_t s = 0; mapping != NULL && s < mapping->streams_count; s++) {
        if (keys ? mapping->streams[s].declares.stream >= 0 : mapping->streams[s].distribution_by >= 0)
            return true;
    }
    return false;
}

/* Was the whole proved, to the end? */
static bool s_is_done(const pr_report_t *report) {
    if (report->kind == PR_REPORT_VERIFY)
        return report->outcome >= 0;
    return strcmp(report->run.state, "complete") == 0 || (*report->run.rolled_back_at != '\0' && report->outcome == 4);
}

void pr_report_judge(pr_report_t *report, const pr_mapping_t *mapping) {
    pr_check_state_t *checks = report->checks;
    pr_check_state_t api = checks[PR_CHECK_API];
    pr_report_stream_t total = pr_report_total(report);
    bool done = s_is_done(report);
    bool spread = s_declares(mapping, false);
    for (size_t i = 0; i < PR_CHECKS; i++)
        checks[i] = done ? PR_CHECK_PASSED : PR_CHECK_OPEN;
    if (pr_report_is_begun(report)) {
        checks[PR_CHECK_ACCOUNTS] = pr_report_balances(report) ? PR_CHECK_PASSED : PR_CHECK_FAILED;
        checks[PR_CHECK_COMPLETE] = total.read == total.exported ? PR_CHECK_PASSED : PR_CHECK_OPEN;
    }
    if (total.read != total.exported || total.validated != total.read - total.rejected)
        checks[PR_CHECK_ROWS] = PR_CHECK_OPEN;
    if (!spread)
        checks[PR_CHECK_DISTRIBUTION] = PR_CHECK_ABSENT;
    else if (!s_spreads_known(report))
        checks[PR_CHECK_DISTRIBUTION] = PR_CHECK_OPEN;
    else if (!s_spreads_agree(report))
        checks[PR_CHECK_DISTRIBUTION] = PR_CHECK_NOTED;
    if (!spread)
        checks[PR_CHECK_EXTRA] = PR_CHECK_ABSENT;
    else if (s_has_finding(report, "extra_row"))
        checks[PR_CHECK_EXTRA] = PR_CHECK_NOTED;
    if (!s_declares(mapping, true))
        checks[PR_CHECK_KEYS] = PR_CHECK_ABSENT;
    if (mapping == NULL || mapping->derived_count == 0)
        checks[PR_CHECK_DERIVED] = PR_CHECK_ABSENT;
    checks[PR_CHECK_API] = *report->api != '\0' ? api : PR_CHECK_ABSENT;
    for (size_t i = 0; i < report->failures_count; i++)
        checks[s_check_of(report, mapping, &report->failures[i])] = PR_CHECK_FAILED;
}
