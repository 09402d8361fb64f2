/* SPDX-License-Identifier: MIT */
/* What the parts of the proof of the whole share: the groups of the exports' records, and what the target has of them. */
#ifndef PR_PROOF_PARTS_H
#define PR_PROOF_PARTS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/failure.h"
#include "common/mapping.h"
#include "validator/database.h"
#include "validator/proof_state.h"
#include "validator/relation.h"

/* Columns of a row that show one field; more of them are not looked at. */
enum { PR_SHOWN_MAX = 8 };

/* The records that have one value in the field by which their stream is grouped (an audit's modules). */
typedef struct {
    char *key;             /* that value, as text */
    size_t tallies, tally; /* how many tallies it has, and the first of them */
    uint64_t records;      /* accepted ones */
    uint64_t rows;         /* of the target */
    uint64_t proved;       /* checksum of the rows that the records were proved to be, ... */
    uint64_t found;        /* ... and of those found in the target (pr_proof_mix) */
    uint64_t lots;         /* different groups of their positions (strings) ... */
    uint64_t least, most;  /* ... and how many rows are in the smallest and the largest */
    bool suspect;          /* rows and tallies differ */
    bool again;            /* its positions must be read sorted */
} pr_group_t;

/* The groups of a stream, by key. All zero is empty. */
typedef struct {
    const pr_stream_t *stream;
    int index;                              /* of the stream */
    int field;                              /* by which it is grouped */
    const pr_row_spec_t *row;               /* that stands for the record, ... */
    const pr_column_t *by;                  /* ... its column that copies the field, ... */
    const pr_column_t *shown[PR_SHOWN_MAX]; /* ... those that hold the distributed field, ... */
    size_t shown_count;
    const pr_column_t *lookup; /* ... and the one by which it belongs to the row that the field refers to, or NULL */
    bool partial;              /* the tallies do not tell all records of a group: the run retried rejects */
    pr_proof_tally_t *tallies; /* sorted by group */
    size_t tallies_count;
    pr_group_t *groups;
    size_t count;
} pr_groups_t;

/*  The groups that the exports have, from pvrelay_tally for a proof of a run, else from the list.
 *  stream: with a distribution, or declaring something. parents (may be NULL): groups of the stream whose records
 *  declare something about this one's; they are groups too if none of these records belongs to them.
 *  ret_groups: *returns new* (pr_groups_clear). */
int pr_groups_load(pr_proof_t *proof, int stream, const pr_groups_t *parents, const pr_proof_list_t *list,
                   pr_groups_t *ret_groups, pr_error_t *err);
void pr_groups_clear(pr_groups_t *groups);

/* The group with this key (size bytes), or NULL. */
pr_group_t *pr_groups_find(const pr_groups_t *groups, const char *key, size_t size);

typedef enum { PR_GROUPS_ALL, PR_GROUPS_SUSPECT, PR_GROUPS_AGAIN } pr_groups_which_t;

/*  Make temp.pr_group (n: index into groups, "key": typed as the field), of all groups or some; what it held before is
 *  gone. Joins go from it to the target's tables, so that their indexes serve. */
int pr_groups_tell(pr_proof_t *proof, const pr_groups_t *groups, pr_groups_which_t which, pr_error_t *err);

/* A group for messages: audit_token='…'. Returns buffer. */
char *pr_group_print(const pr_groups_t *groups, const pr_group_t *group, char *buffer, size_t size);

/* The image of a distributed field's values in a column, or a stored cell, as text that tells kinds apart. */
void pr_image_of_cell(const pr_cell_t *cell, pr_scratch_t *ret_text);
void pr_image_of_values(const pr_column_t *column, const pr_value_t *values, pr_scratch_t *scratch,
                        pr_scratch_t *ret_text);

/* How often each text is expected and stored. All zero is empty. */
typedef struct {
    char *text;
    size_t size;
    uint64_t expected, stored;
} pr_count_t;
typedef struct {
    pr_count_t *items;
    size_t count;
} pr_counts_t;
void pr_counts_add(pr_counts_t *counts, const char *text, size_t size, uint64_t expected, uint64_t stored);
bool pr_counts_agree(const pr_counts_t *counts);
void pr_counts_clear(pr_counts_t *counts);

/*  Compare the tallies of every group with what the target shows; groups that differ become suspect. Rows at the same
 *  position are a finding. Fills in rows, lots, least and most. */
int pr_proof_distribution(pr_proof_t *proof, pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err);

/*  Settle the suspect groups: the exports' records of them are read again, and each row of the target that is none of
 *  theirs is told (a finding or a failure, pr_proof_set_extra); then the distribution without those rows must be the
 *  exports'. */
int pr_proof_extra(pr_proof_t *proof, const pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err);

/* Every group's key must be found in the target, once. */
int pr_proof_keys(pr_proof_t *proof, const pr_groups_t *groups, pr_proof_list_t *list, pr_error_t *err);

/* What the parents' rows declare against the rows that pr_proof_distribution found: findings. */
int pr_proof_declared(pr_proof_t *proof, const pr_groups_t *parents, const pr_groups_t *children, pr_proof_list_t *list,
                      pr_error_t *err);

/* Shared rows that the run made: findings. */
int pr_proof_made(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err);

/* Text with the first few of many examples. All zero is empty. */
typedef struct {
    char text[1024];
    size_t size;
    uint64_t count;
} pr_examples_t;
void pr_examples_add(pr_examples_t *examples, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
