/* SPDX-License-Identifier: MIT */
/* The insides of the inverse mapping, shared by its parts (inverse_*.c) and by nobody else. */
#ifndef PR_INVERSE_STATE_H
#define PR_INVERSE_STATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "validator/database.h"
#include "validator/foreign.h"
#include "validator/inverse.h"
#include "validator/relation.h"

enum { PR_INVERSE_SLOTS = 64 };

/* A looked-up id. */
typedef struct {
    uint64_t generation; /* of the batch it was read in */
    char *text;          /* room for the key's text */
    size_t text_size;
    pr_value_t key;
    int64_t id;
} pr_inverse_lookup_t;

/* Occurrences of a finding in the batch. */
typedef struct {
    uint64_t count;
    uint32_t source; /* the first one's place */
    uint64_t first;  /* ordinal */
    char detail[320];
} pr_inverse_tally_t;

typedef struct {
    const pr_column_t *column;
    pr_affinity_t affinity;
    bool common; /* the same for every record that shares the row: a constant, or made of what its key copies */
    int cell;    /* index into a row's cells; -1: the target lacks it, as it may */
    pr_scratch_t scratch;
    /* LOOKUP */
    sqlite3_stmt *lookup;  /* id by key */
    sqlite3_stmt *confirm; /* does the row with this id have this key */
    pr_inverse_lookup_t *lookups;
    bool looked_up; /* for the record at hand: */
    bool lookup_found;
    int64_t lookup_id;
    /* findings */
    pr_inverse_tally_t shared;
    pr_inverse_tally_t kept;
    pr_inverse_tally_t theirs; /* the row was left to others */
} pr_inverse_column_t;

/* A row read by id. */
typedef struct {
    uint64_t generation;
    int64_t id;
    pr_cell_t *cells;
    char *text;
    size_t capacity;
} pr_inverse_slot_t;

/* Who made a row, as far as that is to be relied on. */
typedef enum {
    PR_MAKER_NOBODY,    /* nobody of ours, or a run that this proof does not answer for: only its key must be ours */
    PR_MAKER_OTHER,     /* another record of the stream */
    PR_MAKER_ELSEWHERE, /* a record of another stream, or one that cannot be told */
    PR_MAKER_THIS       /* the record at hand */
} pr_inverse_maker_t;

/* The books' answer, as read. */
typedef struct {
    uint64_t generation;
    int64_t id;
    bool made;
    bool of_stream; /* by a record of this stream */
    int64_t run;
    uint32_t source;
    uint64_t ordinal;
} pr_inverse_made_slot_t;

/* What is known of a row for the record at hand. */
typedef enum {
    PR_STANDS_NOT_MADE,
    PR_STANDS_OPEN,
    PR_STANDS_FOUND,
    PR_STANDS_REPLACED,
    PR_STANDS_MISSING
} pr_inverse_stands_t;

typedef struct {
    const pr_row_spec_t *spec;
    pr_inverse_column_t *columns;
    size_t cells_count;
    bool parent_in_key;
    bool noted; /* who made such rows is noted in the books */
    sqlite3_stmt *by_key;
    sqlite3_stmt *by_id;
    sqlite3_stmt *through; /* NULL: not found_through */
    sqlite3_stmt *next;    /* rows that follow an id, in order */
    sqlite3_stmt *second;  /* another row with the natural key; NULL: the target forbids it, or it cannot be told */
    bool following;        /* `next` stands on or after the last row found by key */
    unsigned patience;     /* records to let pass before it is tried again */
    unsigned backoff;
    pr_inverse_slot_t *slots;
    pr_inverse_made_slot_t *made_slots;
    pr_cell_t *key_cells; /* of the row read by key */
    pr_inverse_tally_t replaced;
    /* for the record at hand: */
    pr_inverse_stands_t state;
    bool asked;    /* the natural key has been looked up */
    bool key_ours; /* and the row at hand has it */
    bool expected; /* the candidate is the row that was expected next, and has it */
    bool pinned;   /* it is the row at hand whatever its key: the books say that this record made it */
    bool hinted;
    int64_t hint;           /* id a child refers to */
    const pr_cell_t *cells; /* the candidate, then the row; NULL: none */
    int64_t id;
} pr_inverse_row_t;

struct pr_inverse {
    sqlite3 *db;
    const char *path;
    const pr_stream_t *stream;
    const pr_inverse_made_t *made;
    sqlite3_stmt *maker; /* NULL: the target has no such books */
    pr_foreign_t *foreign;
    pr_inverse_row_t *rows;
    uint64_t generation;
    bool all_new;
    bool extra_fail;
    pr_proof_list_t *extra; /* rows that are there twice, of the batch */
    /* the record at hand: */
    const pr_inverse_record_t *record;
    bool final; /* it failed in what no other record can have changed */
    pr_proof_list_t *list;
};

/* --- inverse_open.c --- */

int pr_inverse_row_open(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err);
void pr_inverse_row_close(pr_inverse_row_t *row);

/* --- inverse_read.c --- */

/* Make the row with this id the candidate, if there is one. */
int pr_inverse_read_by_id(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t id, pr_error_t *err);
/* Look the natural key up; a row found is the candidate. Parents in the key must be decided. */
int pr_inverse_read_by_key(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err);
/* Expect the row that follows the last one by id; it becomes the candidate if it has our key. */
int pr_inverse_read_next(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err);
/* A row was found by key: expect the ones that follow it. */
void pr_inverse_follow_from(pr_inverse_row_t *row);
/* The id the record's key leads to, once a record. */
int pr_inverse_look_up(pr_inverse_t *inverse, pr_inverse_column_t *column, pr_error_t *err);
/* Who made the row with this id. */
int pr_inverse_maker(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t id, pr_inverse_maker_t *ret_maker,
                     pr_error_t *err);
/* Another row with the natural key of the row at hand. 1 with its id, 0, <0. */
int pr_inverse_read_second(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t *ret_id, pr_error_t *err);

/* --- inverse_compare.c --- */

/* Whether a stored value follows from the record. 1 holds, 0 differs, <0. */
int pr_inverse_holds(pr_inverse_t *inverse, pr_inverse_column_t *column, const pr_cell_t *cell, pr_error_t *err);
/* Whether the candidate has our natural key; with_parents: parents in it too. 1, 0, <0. */
int pr_inverse_has_our_key(pr_inverse_t *inverse, pr_inverse_row_t *row, bool with_parents, pr_error_t *err);
/* Compare the row, once it is decided; what differs is reported. */
int pr_inverse_compare(pr_inverse_t *inverse, pr_inverse_row_t *row, pr_error_t *err);

/* --- inverse_report.c --- */

void pr_inverse_report_missing(pr_inverse_t *inverse, pr_inverse_row_t *row);
void pr_inverse_report_mismatch(pr_inverse_t *inverse, const pr_inverse_row_t *row, pr_inverse_column_t *column,
                                const pr_cell_t *cell);
/* The row with this id has the natural key of the row at hand, which is another one. */
void pr_inverse_report_second(pr_inverse_t *inverse, pr_inverse_row_t *row, int64_t id);
/* Count a finding; the first one's circumstances are kept. column, cell: NULL if it is about the row. */
void pr_inverse_tally(pr_inverse_t *inverse, pr_inverse_tally_t *tally, pr_inverse_column_t *column,
                      const pr_cell_t *cell);
/* The batch's findings into list, unless that is NULL; begin anew. */
void pr_inverse_report_findings(pr_inverse_t *inverse, pr_proof_list_t *list);

#endif
