/* SPDX-License-Identifier: MIT */
/* What a verification found, in short, for a terminal. */
#ifndef PR_VERIFY_VIEW_H
#define PR_VERIFY_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "control/report.h"

/* What became of the records of one stream. */
typedef struct {
    const char *name;
    uint64_t records;  /* of the exports */
    uint64_t proved;   /* all of their values stand in the target */
    uint64_t rejected; /* they stand among the rejects */
    uint64_t failures; /* there may be several about one record */
} pr_verify_stream_t;

typedef struct {
    const pr_report_t *report; /* all facts are in */
    const pr_verify_stream_t *streams;
    size_t streams_count;
    uint64_t whole;      /* failures of the database as a whole */
    uint64_t api;        /* failures of the API */
    int64_t unfinished;  /* a run that is; 0: none */
    uint64_t api_groups; /* compared, if report->api */
    uint64_t api_members;
    const char *api_groups_name;
    const char *api_members_name;
} pr_verify_view_t;

/* colour: failures and the verdict stand out. */
void pr_verify_print(const pr_verify_view_t *view, pr_report_language_t language, bool colour, FILE *out);

#endif
