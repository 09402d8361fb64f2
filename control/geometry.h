/* SPDX-License-Identifier: MIT */
/* Declared totals and string geometry of audits against the modules that are there. A contradiction is a finding, no
 * error. */
#ifndef PR_GEOMETRY_H
#define PR_GEOMETRY_H

#include <stdint.h>

#include "control/inventory.h"

typedef struct pr_geometry pr_geometry_t;

/* *Returns new*. */
pr_geometry_t *pr_geometry_new(void);
void pr_geometry_destroy(pr_geometry_t **geometry);

/* What an audit declares; negative: it declares none. Copies key and label. */
void pr_geometry_declare(pr_geometry_t *geometry, const char *key, const char *label, int64_t total, int64_t strings,
                         int64_t per_string);

/* A module of the audit `key`, on this string. */
void pr_geometry_place(pr_geometry_t *geometry, const char *key, int64_t string);

/* Add a finding for each audit whose declaration is contradicted. */
void pr_geometry_judge(const pr_geometry_t *geometry, pr_inventory_t *inventory);

/*  The names of the fields concerned. The mapping has no word for "a count that the export declares about itself", so
 *  they are looked for by name, and nothing is compared where a stream has none of them. */
#define PR_GEOMETRY_TOTAL      "total_modules"
#define PR_GEOMETRY_STRINGS    "string_count"
#define PR_GEOMETRY_PER_STRING "modules_per_string"
#define PR_GEOMETRY_STRING     "string_number"

#endif
