/* SPDX-License-Identifier: MIT */
/* Position arithmetic: where a run stands in its sources, and what a batch is to that place. Pure functions. */
#ifndef PR_POSITION_H
#define PR_POSITION_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

/*  How people are told of a byte of an export, its path and offset: "modules.json, byte 660". What stands behind a
 *  colon is a line, as compilers have it. */
#define PR_AT_BYTE "%s, byte %" PRIu64

/*  A place between two records: `ordinal` records of source `source` lie before it; `offset` is the byte after
 *  the last of them in the file (0 before the first).
 *  Order is by (source, ordinal); the offset follows from them. */
typedef struct {
    uint32_t source;  /* index into the plan, from 0; == number of sources at the very end */
    uint64_t ordinal; /* records of this source before the place */
    uint64_t offset;  /* bytes */
} pr_position_t;

/* Records of one source that follow each other: a batch. They lie in the bytes [begin, end) of the file. */
typedef struct {
    uint32_t source;
    uint64_t first; /* ordinal of the first record, from 0 */
    uint32_t count; /* records, at least 1 */
    uint64_t begin; /* offset of the first record's first byte */
    uint64_t end;   /* offset of the byte after the last record */
} pr_range_t;

/* What a batch is to the committed position. */
typedef enum {
    PR_RANGE_NEXT,      /* begins exactly there: take it */
    PR_RANGE_DUPLICATE, /* ends at or before it: drop it, it is in */
    PR_RANGE_EARLY,     /* begins after it: keep it until its turn comes */
    PR_RANGE_OVERLAP    /* begins before and ends after it, or contradicts its offsets: protocol error */
} pr_range_relation_t;

/* <0, 0, >0 as a lies before, at, after b. */
int pr_position_compare(pr_position_t a, pr_position_t b);

/*  Judge a range against the committed position. `at` must be normal (see below). */
pr_range_relation_t pr_range_relation(pr_range_t range, pr_position_t at);

/* The place before the range's first record, and the one after its last. */
pr_position_t pr_range_begin(pr_range_t range);
pr_position_t pr_range_end(pr_range_t range);

/*  Normalise: while `at` stands at the end of a source, move it to the start of the next one.
 *  records: array of `sources` numbers, records per source (0 is allowed). Returns the normal place;
 *  {sources, 0, 0} means the very end. */
pr_position_t pr_position_normalise(pr_position_t at, const uint64_t *records, uint32_t sources);

/* Records that lie before `at`, over all sources. */
uint64_t pr_position_records_before(pr_position_t at, const uint64_t *records, uint32_t sources);

/* What people call the record with that ordinal: they count from 1. */
static inline uint64_t pr_record_number(uint64_t ordinal) {
    return ordinal + 1;
}

/*  A place, by value, as people are told of it: "source 2, record 8, byte 660", the record being the one behind it.
 *  They count sources from 1 as well; the byte is an offset. */
typedef struct {
    char text[80];
} pr_position_text_t;

pr_position_text_t pr_position_text(pr_position_t at);

#endif
