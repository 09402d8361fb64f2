/* SPDX-License-Identifier: MIT */
/* What exports or a database hold: the result of `pvrelay inspect`, and what the mapping says to look at. */
#ifndef PR_INVENTORY_H
#define PR_INVENTORY_H

#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "common/export.h"
#include "common/mapping.h"
#include "control/ledger.h"
#include "control/tally.h"

/* The distribution of one field or column. */
typedef struct {
    char *name;
    char *group_by; /* field or column that makes the groups; NULL: there are none */
    pr_tally_t tally;
} pr_inventory_field_t;

/* A stream of records, or a table. */
typedef struct {
    char *name;
    uint64_t records;
    pr_inventory_field_t *fields;
    size_t fields_count;
} pr_inventory_part_t;

/* An inventory of exports taken together, or of one database. Begin with all zero. */
typedef struct {
    const char *kind;      /* "exports", "database" */
    char *path;            /* database: its path */
    uint64_t size;         /* bytes */
    pr_export_t **exports; /* exports: the files */
    size_t exports_count;
    pr_inventory_part_t *parts;
    size_t parts_count;
    char **findings; /* sentences */
    size_t findings_count;
    pr_ledger_run_t *runs; /* database: pvrelay's */
    size_t runs_count;
} pr_inventory_t;

void pr_inventory_clear(pr_inventory_t *inventory);

/* Add to it; copies what it is given. The pointer returned is borrowed until the next one is added. */
pr_inventory_part_t *pr_inventory_add_part(pr_inventory_t *inventory, const char *name);
pr_inventory_field_t *pr_inventory_add_field(pr_inventory_part_t *part, const char *name, const char *group_by);
void pr_inventory_add_finding(pr_inventory_t *inventory, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Name the groups called `name` of all distributions of this part. */
void pr_inventory_label(pr_inventory_part_t *part, const char *name, const char *label);

/* How the records of a stream hang together with those of another one. */
typedef struct {
    int stream;               /* index of the parents' stream; -1: none */
    int key;                  /* field of the parents' stream */
    int label;                /* field of it that people know it by; -1: none */
    const char *table;        /* in the target: where the parents lie ... */
    const char *key_column;   /* ... their key ... */
    const char *label_column; /* ... and their label; NULL: none */
} pr_inventory_parent_t;

/* The parents that the first key field of a stream refers to, by the mapping's lookups. */
pr_inventory_parent_t pr_inventory_parent(const pr_mapping_t *mapping, const pr_stream_t *stream);

/* Is the field an argument of a value map in some row of the stream? ret_map (may be NULL): the first such map. */
bool pr_inventory_is_mapped(const pr_stream_t *stream, int field, const pr_value_map_t **ret_map);

/* The name of the field that groups a stream's records: the first of several key fields; NULL: a record is its own
 * group. */
const char *pr_inventory_group(const pr_stream_t *stream);

/*  Add the files at paths to an inventory of exports: reads all of each record. A file that cannot be taken is noted in
 *  err (the first one) and printed to stderr (the others), and left out. */
int pr_inventory_read_exports(const char *const *paths, size_t count, const pr_mapping_t *mapping,
                              pr_inventory_t *inventory, pr_error_t *err);

/* Read a database: a HUB, a legacy one, both, or neither. */
int pr_inventory_read_database(const char *path, const pr_mapping_t *mapping, pr_inventory_t *inventory,
                               pr_error_t *err);

/* Print it; as JSON: *returns new*. The keys are stable, see pr_usage_inspect. */
void pr_inventory_print(const pr_inventory_t *inventory, const pr_mapping_t *mapping, FILE *out);
json_t *pr_inventory_to_json(const pr_inventory_t *inventory, const pr_mapping_t *mapping);

#endif
