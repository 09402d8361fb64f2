/* SPDX-License-Identifier: MIT */
/* What the parts of the proof share: the run, its sources, and a stream's parser and inverse mapping. */
#ifndef PR_PROOF_STATE_H
#define PR_PROOF_STATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "validator/inverse.h"
#include "validator/legacy_parser.h"
#include "validator/proof.h"

typedef struct {
    char *path;
    int stream; /* index into the mapping's streams; -1: the file holds no record */
    bool wrangler;
    uint64_t records;
    uint64_t size; /* bytes of the file */
} pr_proof_source_t;

/* Made when the stream's first commit comes. */
typedef struct {
    const char **names; /* of the stream's fields */
    pr_legacy_parser_t *parser;
    pr_inverse_t *inverse; /* NULL: not made yet */
    pr_value_t *values;    /* of the record at hand, by field */
} pr_proof_stream_t;

struct pr_proof {
    sqlite3 *db;
    char *path; /* of the target */
    const pr_mapping_t *mapping;
    int64_t run;
    bool null_text; /* "null" stands for NULL in sources of wrangler */
    pr_proof_source_t *sources;
    uint32_t sources_count;
    pr_proof_stream_t *streams; /* by stream of the mapping */
    sqlite3_stmt *checkpoint;
    sqlite3_stmt *rejects;
    int file; /* the export last read; -1: none */
    uint32_t file_source;
    char *buffer; /* the batch's bytes */
    size_t capacity;
};

#endif
