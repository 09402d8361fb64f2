/* SPDX-License-Identifier: MIT */
/* What records of one stream declare about those of another (mapping: "declares"), against what is there. A
 * contradiction is a finding, no error. */
#ifndef PR_GEOMETRY_H
#define PR_GEOMETRY_H

#include <stdint.h>

#include "control/inventory.h"

typedef struct pr_geometry pr_geometry_t;

/* For one declaring stream. children: name of the other one's records, borrowed. *Returns new*. */
pr_geometry_t *pr_geometry_new(const char *children);
void pr_geometry_destroy(pr_geometry_t **geometry);

/*  What a parent declares: how many children, in how many groups, of how many each; negative: it declares none. Copies
 *  key and label. */
void pr_geometry_declare(pr_geometry_t *geometry, const char *key, const char *label, int64_t total, int64_t groups,
                         int64_t per_group);

/* A child of the parent `key`, in this group; negative: in none. */
void pr_geometry_place(pr_geometry_t *geometry, const char *key, int64_t group);

/* Add a finding for each parent whose declaration is contradicted. */
void pr_geometry_judge(const pr_geometry_t *geometry, pr_inventory_t *inventory);

#endif
