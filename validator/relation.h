/* SPDX-License-Identifier: MIT */
/* The inverse mapping of single values: how a stored value must stand to the record it came from. */
#ifndef PR_RELATION_H
#define PR_RELATION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/affinity.h"
#include "common/mapping.h"
#include "common/value.h"

/*  Does the stored value follow from the record, going from the stored side: is it the field itself, the image of the
 *  field under the map, its first ten bytes, a text that taken apart gives the fields?
 *  column: any operation but PARENT and LOOKUP. values: the record's, by field. A whole number may be stored as an
 *  integer or a real as the affinity has it, if nothing is lost. */
bool pr_relation_holds(const pr_column_t *column, pr_affinity_t affinity, const pr_value_t *values,
                       const pr_value_t *stored);

/* Text that grows. All zero is empty. */
typedef struct {
    char *data;
    size_t size;
    size_t capacity;
} pr_scratch_t;
void pr_scratch_free(pr_scratch_t *scratch);

/*  The value a row is looked for with, and that messages print: not used to prove one.
 *  ret_value: borrows from column, values or scratch (overwritten). Returns false if the record has no image: its value
 *  is not in the map, or too short for a date. */
bool pr_relation_image(const pr_column_t *column, const pr_value_t *values, pr_scratch_t *scratch,
                       pr_value_t *ret_value);

#endif
