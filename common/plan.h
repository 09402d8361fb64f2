/* SPDX-License-Identifier: MIT */
/* The plan of a run: its sources in the order in which they are applied. */
#ifndef PR_PLAN_H
#define PR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/position.h"

enum { PR_PLAN_MAX_BYTES = 16 << 20 }; /* of a plan as JSON: some ten thousands of exports */

/* Records of one stream in one export file. A file with two streams makes two sources; so does one with result sets of
 * one stream in which the text "null" is not the same. */
typedef struct {
    char *path;    /* absolute */
    char *stream;  /* name; "" if the file holds no record at all */
    uint64_t size; /* bytes of the file */
    int64_t mtime_ns;
    uint64_t digest; /* XXH3-64 of the file */
    bool null_text;  /* the text "null" in a nullable field stands for NULL (common/null_text.h) */
    uint64_t records;
    uint64_t bytes; /* from the first byte of each of its result sets' records to the end of the last, summed */
} pr_plan_source_t;

typedef struct {
    pr_plan_source_t *sources;
    uint32_t count;
    uint64_t *records; /* records per source, for position arithmetic */
} pr_plan_t;

/* An empty plan. *Returns new*. */
pr_plan_t *pr_plan_new(void);
void pr_plan_destroy(pr_plan_t **plan);

/* Append a source: copies it, strings and all. */
void pr_plan_add(pr_plan_t *plan, const pr_plan_source_t *source);

/* XXH3-64 over what identifies the sources: path, stream, size, digest, records (mtime is not part of it). */
uint64_t pr_plan_digest(const pr_plan_t *plan);

/*  Compare what a run began with to what is there now. 0 if equal, else -PR_E_SOURCE_CHANGED with the first difference
 *  ("modules.json: was 238012 bytes, is 238013; ..., --restart begins anew"). */
int pr_plan_compare(const pr_plan_t *begun, const pr_plan_t *now, pr_error_t *err);

/*  Is every export that was given part of the plan, and no other? given: how many files were given, no two the same.
 *  -PR_E_INTERNAL. */
int pr_plan_check_given(const pr_plan_t *plan, size_t given, pr_error_t *err);

/* As JSON text and back. ret_json: *returns new* (malloc). Hostile text is refused with -PR_E_PROTOCOL. */
int pr_plan_to_json(const pr_plan_t *plan, char **ret_json, size_t *ret_size, pr_error_t *err);
int pr_plan_from_json(const char *json, size_t size, pr_plan_t **ret_plan, pr_error_t *err);

#endif
