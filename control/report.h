/* SPDX-License-Identifier: MIT */
/* What became of a run, or what a verification found: the facts, and the report made of them. */
#ifndef PR_REPORT_H
#define PR_REPORT_H

/*  DESIGN
 *
 *  A report is a heap of facts (pr_report_t), filled from the books of a run (pr_report_from_run) or field by field
 *  (verify), then completed by what the mapping and the target say (pr_report_describe). Only then is it written, as
 *  report.json and as report.md, or printed in short (control/summary.h); these only read it. What is not known is not
 *  in it: every list may be empty, every string "".
 *
 *  All strings are valid UTF-8, whatever the books held, owned by the report, and never NULL.
 */

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/mapping.h"
#include "common/null_text.h"
#include "common/plan.h"
#include "control/ledger.h"
#include "control/meter.h"
#include "control/strings.h"

enum { PR_REPORT_VERSION = 1, PR_REPORT_FAILURES_MAX = 1000 };

typedef enum { PR_REPORT_RUN, PR_REPORT_VERIFY } pr_report_kind_t;

typedef struct {
    char *path;
    char *stream;
    char *digest; /* XXH3-64 of the file, 16 hex digits */
    uint64_t size, records, bytes;
} pr_report_source_t;

typedef struct {
    char *name;
    uint64_t exported; /* records of the exports */
    uint64_t bytes;    /* of these records */
    uint64_t read;     /* records that were dealt with */
    uint64_t rejected;
    uint64_t written, unchanged; /* run only */
    uint64_t validated;          /* accepted records that were read back and compared; of a run: and found equal */
    double seconds;              /* <0: not known */
    uint64_t records_seen;       /* in these seconds */
} pr_report_stream_t;

typedef struct {
    const char *kind, *stream, *field, *detail;
    uint64_t count;
    const char *path; /* of the first one's export; "": it has no place */
    uint64_t ordinal; /* of the first one in its source, from 0 */
} pr_report_finding_t;

typedef struct {
    const char *reason, *stream, *field, *detail; /* detail, path, offset: the first one's */
    const char *path;
    uint64_t offset;
    uint64_t count;
} pr_report_reject_t;

typedef struct {
    const char *kind, *stream, *table, *key, *column, *expected, *stored;
    const char *path;
    uint64_t offset;
    int64_t checkpoint; /* 0: none */
} pr_report_failure_t;

/* Accepted records of the exports with this value in this group. */
typedef struct {
    char *stream, *group, *value; /* value "": NULL */
    uint64_t count;
} pr_report_tally_t;

/* A target table that the mapping fills, or that the run changed. */
typedef struct {
    char *table;
    uint64_t inserted, updated; /* rows, by the run */
    int64_t rows;               /* now; <0: not known */
} pr_report_table_t;

/* One line of a distribution: records with these values, in the export and in the target. */
typedef struct {
    char **values; /* source value, then one for each column; NULL: SQL NULL, "" of a source value: no record has it */
    bool in_export;
    uint64_t exported;
    int64_t stored; /* <0: not known */
} pr_report_share_t;

typedef struct {
    char *key;   /* value of the field that groups; NULL: all of them */
    char *label; /* what people call it; "": nothing more than its key */
    pr_report_share_t *shares;
    size_t shares_count;
    uint64_t exported;
    int64_t stored;
} pr_report_group_t;

typedef struct {
    char *stream, *by, *of; /* fields */
    char *table;
    char *label_name; /* the field that the labels are from; "" */
    char **columns;   /* of the table, made from the field */
    size_t columns_count;
    pr_report_group_t all;
    pr_report_group_t *groups;
    size_t groups_count;
} pr_report_distribution_t;

/* The integrity checks; their sentences are in control/strings.h (CHECK_...). */
typedef enum {
    PR_CHECK_OPEN, /* not done, or not known */
    PR_CHECK_PASSED,
    PR_CHECK_NOTED, /* it is not so, which is a finding and no failure */
    PR_CHECK_FAILED,
    PR_CHECK_ABSENT /* there is nothing to check, or it was not asked for */
} pr_check_state_t;

#define PR_REPORT_CHECKS(X)                                                                                            \
    X(ACCOUNTS, "accounts")         /* read = written + unchanged + rejected */                                        \
    X(COMPLETE, "complete")         /* read = exported */                                                              \
    X(ROWS, "rows")                 /* each accepted record read back and equal */                                     \
    X(DISTRIBUTION, "distribution") /* of each group, target against export */                                         \
    X(KEYS, "keys")                 /* each parent that others refer to can be found by its key */                     \
    X(EXTRA, "extra")               /* no row of the export's groups that the export lacks */                          \
    X(FOREIGN_KEYS, "foreign_keys")                                                                                    \
    X(QUICK_CHECK, "quick_check")                                                                                      \
    X(DERIVED, "derived")                                                                                              \
    X(WHOLE, "whole") /* any other check of the database as a whole */                                                 \
    X(API, "api")     /* verify --api only */

typedef enum {
#define X(name, word) PR_CHECK_##name,
    PR_REPORT_CHECKS(X)
#undef X
        PR_CHECKS
} pr_check_t;

/* How the target can be put back. */
typedef struct {
    bool known;         /* there is a run to take back */
    bool reversible;    /* all that it and those after it committed can be taken back */
    bool taken_back;    /* it was */
    int64_t run;        /* the run */
    int64_t checkpoint; /* the newest one before it; 0: before any run */
} pr_report_undo_t;

typedef struct {
    pr_report_kind_t kind;
    char *target;
    char *command; /* the command line, quoted for a shell */
    char *folder;  /* the folder that it was given in; "": not known */
    char *made_at; /* UTC, YYYY-MM-DD HH:MM:SS */
    int outcome;   /* exit code: 0, 3, 4; -1: not complete */
    pr_null_text_t null_text;
    char *api;          /* verify: the URL that was checked too; "" */
    char *error;        /* name of the error that the run stopped with; "": none */
    char *error_text;   /* what it says */
    int exit_code;      /* with an error: that of the run */
    char *mapping_file; /* the mapping's file, "" if it is not known */
    bool mapping_given; /* it was named, and is not the installation's: other commands must be told of it */
    char *not_given;    /* a stream whose rows rejects refer to, and of which no record was given; "": none */

    pr_ledger_run_t run; /* number 0: none (verify), or, if it has an id, one that the target does not know */
    pr_report_source_t *sources;
    size_t sources_count;
    pr_report_stream_t *streams;
    size_t streams_count;
    pr_report_finding_t *findings;
    size_t findings_count;
    pr_report_reject_t *rejects;
    size_t rejects_count;
    pr_report_failure_t *failures; /* the first PR_REPORT_FAILURES_MAX */
    size_t failures_count;
    uint64_t failures_total;
    pr_report_tally_t *tallies;
    size_t tallies_count;

    /* What pr_report_describe adds. */
    char *mapping_name, *mapping_path, *mapping_digest;
    json_t *mapping; /* "mapping" of report.json, see pvrelay-report(5); NULL: not described */
    pr_report_table_t *tables;
    size_t tables_count;
    pr_report_distribution_t *distributions;
    size_t distributions_count;
    pr_check_state_t checks[PR_CHECKS]; /* API: as the caller says, ABSENT if api is "" */
    pr_report_undo_t undo;
} pr_report_t;

/* A report with no facts. target: its path, copied. *Returns new*. */
pr_report_t *pr_report_new(pr_report_kind_t kind, const char *target);
void pr_report_destroy(pr_report_t **report);

/* The mapping's file, and whether it is another than the installation's. path: copied. */
void pr_report_set_mapping_file(pr_report_t *report, const char *path, bool given);

/*  The report of a run (UUID) from the books of its target: all but what pr_report_describe adds.
 *  meter (may be NULL): times per stream, as this process saw them. ret_report: *returns new*.
 *  -PR_E_INTERNAL if the target has no such run; -PR_E_TARGET…. */
int pr_report_from_run(sqlite3 *db, const char *target, const char *run, const pr_meter_t *meter,
                       pr_report_t **ret_report, pr_error_t *err);

/*  The report of a run that stopped before its target knew of it: state "failed", the exports by path and size, and
 *  nothing else. run: its UUID. *Returns new*. */
pr_report_t *pr_report_from_nothing(const char *target, const char *run, const char *const *paths, size_t count);

/* The exports are to be moved: paths below the folder `from` shall be told as below `to`, also in the error. */
void pr_report_move(pr_report_t *report, const char *from, const char *to);

/* The run stopped with this error; copied. */
void pr_report_set_error(pr_report_t *report, const pr_error_t *why);

/*  Field by field: each copies what it is given. Sources in the plan's order first: places of findings and failures are
 *  indexes of them. */
void pr_report_set_command(pr_report_t *report, int argc, char *const *argv); /* argv[0]: the command's word */
void pr_report_add_source(pr_report_t *report, const pr_plan_source_t *source);
/* The stream of this name, added if need be. Borrowed until the next one is added; the caller counts in it. */
pr_report_stream_t *pr_report_stream(pr_report_t *report, const char *name);
/* Only the strings' values matter: they are copied, NULL as "". A failure counts in failures_total. */
void pr_report_add_finding(pr_report_t *report, const pr_report_finding_t *finding);
void pr_report_add_reject(pr_report_t *report, const pr_report_reject_t *reject);
void pr_report_add_failure(pr_report_t *report, const pr_report_failure_t *failure);
void pr_report_add_tally(pr_report_t *report, const char *stream, const char *group, const char *value, uint64_t count);

/* Is it of a verification, or of a run that the target knows? */
bool pr_report_is_begun(const pr_report_t *report);

/*  Add what the mapping says, and what the target (db, read-only) holds now: tables, distributions, checks, the way
 *  back. Call it once, after all facts are in. db: NULL if there is no target yet, of a run that it does not know.
 *  The target need not have books. Errors: -PR_E_TARGET…. */
int pr_report_describe(pr_report_t *report, sqlite3 *db, const pr_mapping_t *mapping, pr_error_t *err);

/* Of all that, only the way back: for a summary. */
int pr_report_describe_undo(pr_report_t *report, sqlite3 *db, pr_error_t *err);

/*  The command that puts the target back to where undo.run began; dry: that only tries it. undo must be known, and
 *  nothing taken back. *Returns new*. */
char *pr_report_undo_command(const pr_report_t *report, bool dry);

/* "good", "rejects", "failed", "taken_back", "incomplete": the verdict of report.json. Static. */
const char *pr_report_verdict(const pr_report_t *report);

/*  Findings that tell one row each (extra_row, foreign_kept, foreign_overwritten) are told together: from `first` on, where does this row of findings end,
 *  and how often is it in all? The end is first + 1 for any other finding. */
size_t pr_report_findings_end(const pr_report_t *report, size_t first, uint64_t *ret_count);

/* The sums over all streams; without name and seconds. */
pr_report_stream_t pr_report_total(const pr_report_t *report);

/* Do the accounts balance: read = written + unchanged + rejected in every stream, and, once complete, read = exported?
 */
bool pr_report_balances(const pr_report_t *report);
bool pr_report_stream_balances(const pr_report_t *report, const pr_report_stream_t *stream);

/* As JSON: pvrelay-report(5) lists the keys, which are stable. *Returns new*. */
json_t *pr_report_to_json(const pr_report_t *report);

/* As Markdown. *Returns new* (malloc). */
char *pr_report_to_markdown(const pr_report_t *report, pr_report_language_t language);

/*  Write FOLDER/report.json and FOLDER/report.md (each a new file, renamed), making the folder if need be.
 *  On the disk when it returns. -PR_E_CONFIG if that cannot be. */
int pr_report_write(const pr_report_t *report, const char *folder, pr_report_language_t language, pr_error_t *err);

#endif
