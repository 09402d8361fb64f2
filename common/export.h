/* SPDX-License-Identifier: MIT */
/* Export files: what they hold, where their records lie. Used by the reader and by `pvrelay inspect`. */
#ifndef PR_EXPORT_H
#define PR_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/mapping.h"
#include "common/null_text.h"
#include "common/plan.h"

/* How a result set is wrapped. */
typedef enum {
    PR_SHAPE_WRANGLER, /* an element {"results": [...], "success": true, "meta": {...}}, in an array or alone */
    PR_SHAPE_ARRAY,    /* a bare array of records */
    PR_SHAPE_LINES     /* records that stand alone, one after the other (NDJSON) */
} pr_shape_t;

/* Records of one stream that follow each other in one result set. (One result set is one of these; only lines of mixed
 * streams make several.) */
typedef struct {
    int stream; /* index into the mapping's streams; -1: no record */
    pr_shape_t shape;
    uint64_t records;
    uint64_t begin; /* offset of the first record's first byte */
    uint64_t end;   /* offset of the byte after the last record */
    /* Of wrangler's only: */
    bool nulls;      /* it holds a JSON null */
    bool null_texts; /* it holds a text "null"; looked for while there is no JSON null */
} pr_result_set_t;

typedef struct {
    char *path; /* absolute */
    uint64_t size;
    int64_t mtime_ns;
    uint64_t digest;       /* XXH3-64 of all bytes */
    bool bom;              /* it begins with a UTF-8 byte order mark */
    uint32_t banner_lines; /* lines before the JSON that were skipped */
    uint64_t banner_bytes;
    pr_result_set_t *sets;
    size_t sets_count;
    char **unknown_meta; /* keys of envelopes beside results, success, meta; NULL-terminated; rarely any */
} pr_export_t;

/* Progress of a long scan: bytes done of total. Return false to stop it (-PR_E_INTERRUPTED). May be NULL. */
typedef bool pr_export_progress_fn(void *context, uint64_t done_bytes, uint64_t total_bytes);

/*  Scan a whole file, in bounded memory (the largest record, at most PR_RECORD_MAX_BYTES, plus 4 MiB) at memory-like
 *  speed: its structure, its digest, its result sets. Reads values only where a result set's stream, `success` and
 *  `error` are decided. Errors, with file, byte, line and what to do: -PR_E_UNREADABLE, -PR_E_MALFORMED,
 *  -PR_E_TRUNCATED, -PR_E_NOT_DATA, -PR_E_UNKNOWN_STREAM, -PR_E_INTERRUPTED. ret_export: *returns new*; untouched on
 *  failure. */
int pr_export_scan(const char *path, const pr_mapping_t *mapping, pr_export_progress_fn *progress, void *context,
                   pr_export_t **ret_export, pr_error_t *err);
void pr_export_destroy(pr_export_t **export);

/*  D1 stores rows of at most 2,000,000 bytes; escaped as JSON they stay below this. A longer record is refused as
 *  malformed. */
#define PR_RECORD_MAX_BYTES (16U << 20)

/* Whether texts "null" in nullable fields of a result set stand for NULL. */
bool pr_export_null_text(const pr_result_set_t *set, pr_null_text_t rule);

/* Where a source of a plan lies: which export, and which of its result sets; among them those of the source's stream. */
typedef struct {
    size_t export;
    size_t first_set;
    size_t end_set; /* behind the last one */
} pr_source_place_t;

/*  Make the plan of a run: the exports' result sets by stream, in the mapping's stream order, then in the order given.
 *  Result sets of a stream that follow each other in one export are one source, as long as the text "null" is the same in
 *  all of them.
 *  ret_places (may be NULL): *returns new* array, for each source of the plan.
 *  The same file given twice (device and inode) is -PR_E_USAGE: check with pr_export_scan_all. */
int pr_export_plan(const pr_mapping_t *mapping, pr_export_t *const *exports, size_t count, pr_null_text_t rule,
                   pr_plan_t **ret_plan, pr_source_place_t **ret_places, pr_error_t *err);

/* Scan several files (pr_export_scan each); refuses the same file given twice. ret_exports: *returns new* array of
 * count. */
int pr_export_scan_all(const char *const *paths, size_t count, const pr_mapping_t *mapping,
                       pr_export_progress_fn *progress, void *context, pr_export_t ***ret_exports, pr_error_t *err);
void pr_export_destroy_all(pr_export_t ***exports, size_t count);

/* One record's place in a buffer. */
typedef struct {
    uint32_t offset; /* bytes from the buffer's start */
    uint32_t length; /* bytes */
} pr_slice_t;

/*  Slice a buffer that lies inside a result set (it begins at or before a record, after whatever came before; white
 *  space, commas and line ends between records are skipped) into records. data: size bytes. max: room in slices.
 *  ret_used: bytes up to and including the last whole record. Returns how many records are whole in the buffer and were
 *  put into slices (0: the first one is not whole yet). Never reads behind data + size. It trusts the structure that
 *  pr_export_scan has checked, but on contradiction it just ends early. */
size_t pr_export_slice(const char *data, size_t size, pr_slice_t *slices, size_t max, size_t *ret_used);

#endif
