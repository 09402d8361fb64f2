/* SPDX-License-Identifier: MIT */
/* What the tests of the target share: a folder, a mapping, records as the transformer would make them. */
#ifndef PR_TARGET_FIXTURE_H
#define PR_TARGET_FIXTURE_H

#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mapping.h"
#include "common/rows.h"
#include "writer/target.h"

enum { FX_ROWS = 8, FX_COLUMNS = 16, FX_TEXT = 4096 };

/* A record that owns its memory. */
typedef struct {
    pr_rows_record_t record;
    pr_row_t rows[FX_ROWS];
    pr_value_t values[FX_ROWS][FX_COLUMNS];
    char text[FX_TEXT]; /* of templates */
    size_t text_used;
} fx_record_t;

typedef struct {
    char folder[64];
    char path[128]; /* of the target */
    char migrations[256];
    pr_mapping_t *mapping;
    const pr_stream_t *audits, *modules;
    pr_target_t *target;
    pr_target_run_t run;
    pr_plan_t *plan;
    uint64_t raw_reads;
} fx_t;

/* A temporary folder, the mapping of the project, no target yet. *Returns new*. */
fx_t *fx_new(void);
/* Closes everything and removes the folder. */
void fx_destroy(fx_t **fx);

/* Open the target (asserts that it works) and close it. */
void fx_open(fx_t *fx);
/* As if a run had begun once: with all tables. */
void fx_ready(fx_t *fx);
void fx_close(fx_t *fx);

/* Begin a run of `audits` and then `modules` records (asserts that it works): fx->run. */
void fx_begin(fx_t *fx, const char *id, uint64_t audits, uint64_t modules);

/* Values of an audit as exported; change what a test is about, then fx_make. */
typedef struct {
    const char *token, *project, *client, *location, *status, *config, *created, *updated, *plan_file;
    int64_t strings;
} fx_audit_t;
fx_audit_t fx_audit(const char *token);
void fx_make_audit(const fx_t *fx, const fx_audit_t *audit, fx_record_t *ret_record);

/* And of a module. */
typedef struct {
    const char *token, *id, *status, *comment, *technician, *created, *updated;
    size_t comment_size; /* 0: strlen */
    int64_t string, position;
} fx_module_t;
fx_module_t fx_module(const char *token, const char *id);
void fx_make_module(const fx_t *fx, const fx_module_t *module, fx_record_t *ret_record);

/*  A batch as the writer makes it: `count` records of one source, from `first` on, ten bytes each. Asserts that
 *  every call works. Returns the counts; ret_checkpoint may be NULL. */
pr_target_counts_t fx_batch(fx_t *fx, uint32_t source, uint64_t first, const fx_record_t *records, size_t count,
                            int64_t *ret_checkpoint);
pr_range_t fx_range(uint32_t source, uint64_t first, uint32_t count);
/* The reader of raw records that fx_batch uses: "raw@OFFSET+LENGTH". context: fx_t. */
int fx_raw(void *context, uint64_t offset, uint32_t length, pr_value_t *ret_raw, pr_error_t *err);

/* Through another connection: run statements, ask for one value as text ("NULL" for NULL), malloc'ed. */
void fx_sql(const fx_t *fx, const char *sql);
char *fx_ask(const fx_t *fx, const char *sql);
void fx_assert_sql(const fx_t *fx, const char *sql, const char *expected);
/*  Tell the target's own connection that the database may not grow any more (the limit goes with the connection). It
 *  looks into the target, because nothing outside can fill a disk for a test. */
void fx_limit_pages(fx_t *fx);
/* All rows of all tables whose name does not begin with pvrelay_, sqlite_sequence included, as text. malloc'ed. */
char *fx_dump(const fx_t *fx);

#endif
