/* SPDX-License-Identifier: MIT */
/* What the parts of the proof share: the run or the exports, their sources, and a stream's parser and inverse mapping. */
#ifndef PR_PROOF_STATE_H
#define PR_PROOF_STATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sql_place.h"
#include "validator/inverse.h"
#include "validator/legacy_parser.h"
#include "validator/proof.h"
#include "validator/proof_pending.h"
#include "validator/proof_rejects.h"

typedef struct {
    char *path;
    int stream;     /* index into the mapping's streams; -1: the file holds no record */
    bool null_text; /* the text "null" in a nullable field stands for NULL */
    uint64_t records;
    uint64_t size; /* bytes of the file */
} pr_proof_source_t;

enum { PR_TALLY_VALUES = 16 };

/* Tallies of a group that are not in the list yet. Values are borrowed from the bytes that are walked. */
typedef struct {
    pr_value_t group;
    pr_position_t place; /* of the group's first record */
    pr_value_t values[PR_TALLY_VALUES];
    uint64_t counts[PR_TALLY_VALUES];
    uint64_t rows[PR_TALLY_VALUES]; /* checksums of the rows that the records were found to be */
    size_t count;
} pr_proof_tallying_t;

/* Made when the stream's first commit comes. */
typedef struct {
    const char **names; /* of the stream's fields */
    pr_legacy_parser_t *parser;
    pr_inverse_t *inverse; /* NULL: not made yet */
    pr_value_t *values;    /* of the record at hand, by field */
    int tally_by;          /* fields that are tallied: group, ... */
    int tally_of;          /* ... value; -1: none */
    int own_row; /* index of the row that each record is, which stands for it in its group as well; -1: none */
    pr_proof_tallying_t tallying;
    pr_pending_t *pending; /* records that failed and may have been overwritten by later ones */
} pr_proof_stream_t;

struct pr_proof {
    sqlite3 *db;
    pr_sql_place_t place;
    char *path; /* of the target */
    const pr_mapping_t *mapping;
    bool of_run;            /* of a run; else of exports */
    int64_t run;            /* 0: of exports */
    bool extra_fail;        /* rows that no record proves are failures */
    pr_inverse_made_t made; /* what is known of who made which row */
    pr_proof_source_t *sources;
    uint32_t sources_count;
    pr_proof_stream_t *streams; /* by stream of the mapping */
    sqlite3_stmt *checkpoint;   /* of_run */
    sqlite3_stmt *rejects;      /* of_run */
    pr_rejects_t *kept;         /* of exports: rejects by their bytes */
    pr_range_t *ranges;         /* of exports: those proved so far */
    size_t ranges_count;
    pr_proof_list_t *scratch; /* what the record at hand fails with */
    uint64_t unexplained;     /* failures that no later record explains */
    uint64_t tallied;         /* records of all groups, ... */
    uint64_t tallied_rows;    /* ... and the checksum of their rows: by the last proof of the content */
    int file;                 /* the export last read; -1: none */
    uint32_t file_source;
    char *buffer; /* the batch's bytes */
    size_t capacity;
};

/* The parser and inverse mapping of a stream, made if need be. */
int pr_proof_stream_open(pr_proof_t *proof, int stream, pr_error_t *err);

/*  Read [begin, end) of a source into proof->buffer, NUL padding behind, leaving what stands before byte `at` of it.
 *  Errors: -PR_E_UNREADABLE, -PR_E_SOURCE_CHANGED if it is shorter now. */
int pr_proof_load(pr_proof_t *proof, pr_range_t range, uint64_t at, pr_error_t *err);

/* -PR_E_PROTOCOL unless the range lies within what its source has; who: "a commit", "a range". */
int pr_proof_check_range(const pr_proof_t *proof, const char *who, pr_range_t range, pr_error_t *err);

/*  Call fn for every record of a range that parses, fits the stream and was not rejected: for a proof of a run one that
 *  does not stand in pvrelay_reject, where the range must be that of one of its checkpoints; for one of exports one that
 *  pr_proof_range did not count as rejected. Nothing is compared. Inside the caller's read transaction.
 *  values: by field, borrowed for the call. fn: <0 ends the walk, and is returned. */
typedef int pr_proof_record_fn(void *context, const pr_value_t *values, uint32_t source, uint64_t ordinal,
                               uint64_t offset, pr_error_t *err);
int pr_proof_walk(pr_proof_t *proof, pr_range_t range, pr_proof_record_fn *fn, void *context, pr_error_t *err);

#endif
