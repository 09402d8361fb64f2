/* SPDX-License-Identifier: MIT */
/* The mapping: the only place that knows which export streams exist and what rows their records become. */
#ifndef PR_MAPPING_H
#define PR_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/value.h"

typedef enum { PR_TYPE_TEXT, PR_TYPE_INTEGER, PR_TYPE_REAL } pr_type_t;

/* A field of the source records. */
typedef struct {
    char *name;
    pr_type_t type;
    bool nullable;       /* NULL is a value of it; a wrangler "null" text is then NULL (domain: before wrangler 4.72) */
    const char *ignored; /* why it is not carried over; NULL if columns use it */
} pr_field_t;

/* A value map: text -> text or integer. Entry order is the file's. */
typedef struct {
    pr_value_t from; /* TEXT */
    pr_value_t to;
} pr_map_entry_t;
typedef struct {
    char *name;
    pr_map_entry_t *entries;
    size_t count;
} pr_value_map_t;

/* The few operations that make a column's value. */
typedef enum {
    PR_OP_COPY,     /* the field as it is */
    PR_OP_CONSTANT, /* always this value */
    PR_OP_MAP,      /* the field through a value map; a value that is not in it rejects the record */
    PR_OP_PARENT,   /* id of another row of this record (NULL if that row was not made) */
    PR_OP_LOOKUP,   /* id of the row of `table` whose `key` column equals the field; none: reject unknown_parent */
    PR_OP_DATE,     /* the field's first ten characters, YYYY-MM-DD */
    PR_OP_TEMPLATE  /* constant text with fields in it */
} pr_op_t;

/* A piece of a template: literal text, or a field, either as it is or encoded for an e-mail's local part. */
typedef struct {
    int field;    /* -1: literal */
    bool address; /* {field:address}: bytes other than A-Z a-z 0-9 . - _ as =XX (upper-case hex); injective */
    char *literal;
    size_t literal_size;
} pr_template_part_t;

typedef struct {
    char *name;
    pr_op_t op;
    int field;                 /* COPY, MAP, LOOKUP, DATE: index into the stream's fields; else -1 */
    pr_value_t constant;       /* CONSTANT */
    const pr_value_map_t *map; /* MAP */
    int parent;                /* PARENT: index into the stream's rows, less than this row's own */
    char *lookup_table;        /* LOOKUP */
    char *lookup_key;          /* LOOKUP: name of the key column */
    pr_template_part_t *parts; /* TEMPLATE */
    size_t parts_count;
    bool optional; /* a target that lacks the column is accepted */
    bool keep; /* "on_update": "keep": set with a new row, never changed after; in an ENSURE row not proved either */
    bool key;  /* part of the row's natural key */
} pr_column_t;

typedef enum {
    PR_MODE_UPSERT, /* insert, or change the columns that differ */
    PR_MODE_ENSURE  /* insert if no row has the natural key; never change one that is there */
} pr_mode_t;

/* A row that a record makes. */
typedef struct {
    char *name;
    char *table;
    pr_mode_t mode;
    pr_column_t *columns;
    size_t columns_count;
    int if_present; /* made only if this field is not NULL; -1: always */
    /* "found_through": before its own key is tried, the row is looked for as the one that
     * through_table.through_column refers to, in the row whose through_key column equals field through_field.
     * If it is found and its natural key is not ours, somebody put a real row in its place: it is left alone. */
    char *through_table; /* NULL: not used */
    char *through_column;
    char *through_key;
    int through_field;
} pr_row_spec_t;

/*  "declares": a record says how many records of a later stream belong to it, and how they lie. Whether that is true is
 *  a finding, never a reject. */
typedef struct {
    int stream;      /* the children's: index into the mapping's streams; -1: nothing is declared */
    int by;          /* field of this stream that the children refer to: a key that must be findable in the target */
    int children_by; /* field of the children's stream that refers to it: the `by` of its distribution */
    int total;       /* fields of this stream, integers; -1: not declared: how many children there are, ... */
    int groups;      /* ... in how many groups of their position ... */
    int per_group;   /* ... of how many each */
} pr_declares_t;

typedef struct {
    char *name;
    pr_field_t *fields;
    size_t fields_count;
    int *recognise; /* fields that a result set must have to be of this stream */
    size_t recognise_count;
    int *key; /* natural key of the source records: indexes of fields */
    size_t key_count;
    bool unknown_fields_warn; /* a field that is not in `fields` is reported, not rejected */
    pr_row_spec_t *rows;
    size_t rows_count;
    /* What the proof of the whole and the reports look at; indexes of fields, all -1 if it is not declared. */
    int distribution_by; /* "distribution": for each value of this field ... */
    int distribution_of; /* ... how many records have which value of this one */
    int position_in;     /* "position": within each value of this field ... */
    int position_group;  /* ... a record lies in the group with this number (a string, a row) ... */
    int position_place;  /* ... at this place, where no other may be */
    pr_declares_t declares;
} pr_stream_t;

/*  A column whose value follows from other rows, set at the end of a run for the rows the run dealt with:
 *  100 * (children whose except_column is not except_value) / children, 0 without children. */
typedef struct {
    char *table;
    char *column;
    char *child_table;
    char *child_column; /* column of the child that holds table's id */
    char *except_column;
    pr_value_t except_value;
} pr_derived_t;

typedef struct {
    char *name;
    char *path;           /* the file it was read from */
    pr_stream_t *streams; /* in the order in which they must be applied */
    size_t streams_count;
    pr_value_map_t *maps;
    size_t maps_count;
    pr_derived_t *derived;
    size_t derived_count;
    uint64_t digest; /* XXH3-64 of the file's bytes */
    char *text;      /* the file's bytes */
    size_t text_bytes;
    void *arena; /* owns every string above */
} pr_mapping_t;

/* One mistake that lint found. */
typedef struct {
    int line; /* from 1; 0: the file as a whole */
    char text[512];
} pr_mapping_mistake_t;

typedef void pr_mapping_mistake_fn(void *context, const pr_mapping_mistake_t *mistake);

/*  Read and check a mapping file.
 *  report (may be NULL) is called for every mistake, in the order of lines. ret_mapping: *returns new*; untouched on
 *  failure. Returns 0, -PR_E_MAPPING (err tells the first mistake as "file:line: what, expected what"), -PR_E_CONFIG if
 *  it cannot be read. */
int pr_mapping_load(const char *path, pr_mapping_mistake_fn *report, void *context, pr_mapping_t **ret_mapping,
                    pr_error_t *err);

/* NULL-safe, sets *mapping to NULL. */
void pr_mapping_destroy(pr_mapping_t **mapping);

/* Index of the stream or field with this name (name need not be NUL-terminated), or -1. */
int pr_mapping_stream_index(const pr_mapping_t *mapping, const char *name);
int pr_stream_field_index(const pr_stream_t *stream, const char *name, size_t size);

/*  The row of the stream that stands for the record where field `by` is concerned: the first that is always made, of
 *  mode upsert, found by its own key, and copies the field. NULL: there is none (lint asks for one where a declaration
 *  needs it). */
const pr_row_spec_t *pr_stream_row_by(const pr_stream_t *stream, int by);

/* The field by which the stream's records are tallied: that of its distribution, or the key that it declares something for;
 * -1: they are not. */
int pr_stream_tallied_by(const pr_stream_t *stream);

/*  The row of the stream that each of its records is: that of the field by which they are tallied, else the last one that is
 *  always made, of mode upsert, and found by its own key. NULL: there is none. */
const pr_row_spec_t *pr_stream_own_row(const pr_stream_t *stream);

/* The column of the row, not an optional one, that copies this field, or NULL. */
const pr_column_t *pr_row_copy_of(const pr_row_spec_t *row, int field);

/*  Which stream has exactly these key names: the first whose `recognise` fields are all among them; -1: none.
 *  names, sizes: arrays of count key names (unescaped UTF-8). */
int pr_mapping_recognise(const pr_mapping_t *mapping, const char *const *names, const size_t *sizes, size_t count);

/* The map's entry for this text, or NULL. */
const pr_value_t *pr_value_map_get(const pr_value_map_t *map, const char *text, size_t size);

#endif
