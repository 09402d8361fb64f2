/* SPDX-License-Identifier: MIT */
/* A walk over the records of a range of an export. */
#ifndef PR_PROOF_WALK_H
#define PR_PROOF_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "validator/proof_state.h"

typedef struct pr_walk pr_walk_t;

/*  A record that is not known to be rejected. values: by field, borrowed for the call; NULL: it is none, or none that fits
 *  the stream, and problem says why. <0 ends the walk. */
typedef int pr_walk_fn(pr_walk_t *walk, const pr_value_t *values, const char *problem, pr_error_t *err);

struct pr_walk {
    pr_proof_t *proof;
    pr_range_t range;
    pr_walk_fn *fn;
    void *context;         /* of fn */
    pr_proof_list_t *list; /* NULL: nobody is told what is wrong with the rejects */
    int64_t checkpoint;    /* whose rejects are passed over; 0: none */
    bool skip_marked;      /* records that were found to be rejects (proof->kept) are passed over */
    /* while it goes: */
    const pr_stream_t *stream;
    pr_proof_stream_t *opened;
    size_t size; /* bytes of the range */
    size_t at;   /* bytes walked */
    size_t used; /* bytes of the record at hand */
    bool null_text;
    bool utf8;         /* all of the range is */
    bool reject_ahead; /* the statement `rejects` stands on a row */
    uint64_t records;  /* seen, rejected ones included */
    uint64_t rejected; /* seen */
    uint64_t rows_sum; /* of pr_proof_mix over the ids of the rows that the records were found to be */
};

/*  A walk over a range whose bytes are loaded (pr_proof_load) and whose stream is open. */
void pr_walk_begin(pr_walk_t *walk, pr_proof_t *proof, pr_range_t range, pr_walk_fn *fn, void *context);
int pr_walk_go(pr_walk_t *walk, pr_error_t *err);

/* Place of the record at hand. */
pr_position_t pr_walk_place(const pr_walk_t *walk);

/* A mismatch into walk->list, unless that is NULL. */
void pr_walk_fail(pr_walk_t *walk, const char *table, const char *key, const char *column, const char *expected,
                  const char *stored, uint64_t offset);

#endif
