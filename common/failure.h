/* SPDX-License-Identifier: MIT */
/* What the validator finds and how it travels: failures (what is stored is not what was exported) and findings. */
#ifndef PR_FAILURE_H
#define PR_FAILURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*  kind, word: mismatch (the row is there, a value differs), missing (no such row),
 *  extra (a row the export has not), whole (a check of the database as a whole) */
#define PR_FAILURES(X)                                                                                                 \
    X(MISMATCH, 1, "mismatch")                                                                                         \
    X(MISSING, 2, "missing")                                                                                           \
    X(EXTRA, 3, "extra")                                                                                               \
    X(WHOLE, 4, "whole")

typedef enum {
#define X(name, number, word) PR_FAILURE_##name = number,
    PR_FAILURES(X)
#undef X
} pr_failure_kind_t;

enum { PR_FAILURE_KINDS = 5 }; /* numbers below it */

const char *pr_failure_word(unsigned kind);

/* All strings are NUL-terminated and never NULL ("" where they do not apply). */
typedef struct {
    unsigned kind;
    const char *stream;
    const char *table;
    const char *key; /* natural key, readable: audit_token='a4e1…', module_id='S1-1' */
    const char *column;
    const char *expected; /* as pr_value_print gives it */
    const char *stored;
    uint32_t source;
    uint64_t offset; /* of the record's first byte in the export */
} pr_failure_t;

/* Something noticed by the proof that is no failure. */
typedef struct {
    const char *kind, *stream, *field, *detail;
    uint64_t count;
    uint32_t source;
    uint64_t ordinal;
} pr_finding_t;

/*  How many accepted records of the export have this value in this group (mapping: `distribution`), as the validator's
 *  own parser read them: what the target must show. */
typedef struct {
    const char *stream;
    const char *group; /* value of the group's field, as text */
    const char *value; /* value of the distributed field, as text; "" for NULL */
    uint64_t count;
    uint64_t rows; /* checksum of the rows that these records were proved to be: sum of pr_proof_mix over their ids */
} pr_proof_tally_t;

/*  A row's part of that checksum: 32 bits, so that sums fit wherever an integer does. Two rows for one, or a row for
 *  another one, change the sum where they do not change the count. */
uint64_t pr_proof_mix(int64_t id);

/*  A list that owns its strings. Keeps the first `max` failures, counts all. Findings of one kind, stream and field are
 *  one finding: counts add up, the first one's place and detail stay. So are tallies of one stream, group and value;
 *  there may be any number of them. */
typedef struct {
    pr_failure_t *failures;
    size_t failures_count;
    uint64_t failures_total;
    uint64_t failures_by_kind[PR_FAILURE_KINDS]; /* not packed */
    pr_finding_t *findings;
    size_t findings_count;
    pr_proof_tally_t *tallies;
    size_t tallies_count;
    uint32_t *tally_slots; /* hash table: index into tallies + 1; 0: free */
    size_t tally_slots_count;
    size_t max;
} pr_proof_list_t;

pr_proof_list_t *pr_proof_list_new(size_t max);
void pr_proof_list_destroy(pr_proof_list_t **list);
void pr_proof_list_clear(pr_proof_list_t *list);
/* Copy a failure or finding, strings and all, into the list. */
void pr_proof_list_add_failure(pr_proof_list_t *list, const pr_failure_t *failure);
void pr_proof_list_add_finding(pr_proof_list_t *list, const pr_finding_t *finding);
void pr_proof_list_add_tally(pr_proof_list_t *list, const pr_proof_tally_t *tally);
/* Add the failures and findings of another list: also those that it has counted and not kept. */
void pr_proof_list_join(pr_proof_list_t *list, const pr_proof_list_t *other);
/*  Take the failures of the record at this place out again: so many of each kind were added, and those that are kept go
 *  too. */
void pr_proof_list_remove(pr_proof_list_t *list, uint32_t source, uint64_t offset,
                          const uint64_t by_kind[PR_FAILURE_KINDS]);

/*  As MessagePack: [ failures_total, [[kind, stream, table, key, column, expected, stored, source, offset]*],
 *  [[kind, stream, field, detail, count, source, ordinal]*], [[stream, group, value, count, rows]*] ].
 *  ret_data: *returns new* (malloc). */
int pr_proof_list_pack(const pr_proof_list_t *list, void **ret_data, size_t *ret_size);
/* Hostile bytes: -PR_E_PROTOCOL. *Returns new*. */
int pr_proof_list_unpack(const void *data, size_t size, pr_proof_list_t **ret_list, pr_error_t *err);

#endif
