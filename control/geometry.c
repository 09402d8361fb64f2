/* SPDX-License-Identifier: MIT */
/* What parents declare about their children, against the children that are there. */
#include "control/geometry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

typedef struct {
    char *key;
    char *label;
    int64_t total, groups, per_group;
} pr_geometry_parent_t;

struct pr_geometry {
    const char *children; /* name of their stream */
    pr_geometry_parent_t *parents;
    size_t parents_count;
    pr_tally_t places; /* of the children: a group of the tally is a parent, its values are the groups */
};

pr_geometry_t *pr_geometry_new(const char *children) {
    pr_geometry_t *geometry = pr_xcalloc(1, sizeof *geometry);
    geometry->children = children;
    return geometry;
}

void pr_geometry_destroy(pr_geometry_t **geometry) {
    if (geometry == NULL || *geometry == NULL)
        return;
    for (size_t i = 0; i < (*geometry)->parents_count; i++) {
        free((*geometry)->parents[i].key);
        free((*geometry)->parents[i].label);
    }
    free((*geometry)->parents);
    pr_tally_clear(&(*geometry)->places);
    free(*geometry);
    *geometry = NULL;
}

void pr_geometry_declare(pr_geometry_t *geometry, const char *key, const char *label, int64_t total, int64_t groups,
                         int64_t per_group) {
    geometry->parents = pr_xrealloc(geometry->parents, (geometry->parents_count + 1) * sizeof *geometry->parents);
    geometry->parents[geometry->parents_count++] = (pr_geometry_parent_t){
        .key = pr_xstrdup(key), .label = pr_xstrdup(label), .total = total, .groups = groups, .per_group = per_group};
}

void pr_geometry_place(pr_geometry_t *geometry, const char *key, int64_t group) {
    char text[32] = "";
    if (group >= 0)
        snprintf(text, sizeof text, "%" PRId64, group);
    pr_tally_add(&geometry->places, key, text, 1);
}

/* A declared number; "?" if it is not declared. Returns buffer. */
static const char *s_declared(int64_t number, char buffer[24]) {
    if (number < 0)
        return "?";
    snprintf(buffer, 24, "%" PRId64, number);
    return buffer;
}

static void s_judge_groups(const pr_geometry_t *geometry, const pr_geometry_parent_t *parent,
                           const pr_tally_group_t *there, pr_inventory_t *inventory) {
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (size_t i = 0; i < there->values_count; i++) {
        least = there->values[i].count < least ? there->values[i].count : least;
        most = there->values[i].count > most ? there->values[i].count : most;
    }
    if (there->values_count >= PR_TALLY_VALUES_MAX)
        return; /* beyond, groups are no longer told apart */
    bool groups_differ = parent->groups >= 0 && (uint64_t)parent->groups != there->values_count;
    bool lengths_differ =
        parent->per_group >= 0 && (least != (uint64_t)parent->per_group || most != (uint64_t)parent->per_group);
    char lengths[64];
    char groups[24];
    char per_group[24];
    if (least == most)
        snprintf(lengths, sizeof lengths, "%" PRIu64, most);
    else
        snprintf(lengths, sizeof lengths, "%" PRIu64 " to %" PRIu64, least, most);
    if (groups_differ || lengths_differ)
        pr_inventory_add_finding(inventory, "%s (%s) declares %s × %s %s, there are %zu × %s", parent->label,
                                 parent->key, s_declared(parent->groups, groups),
                                 s_declared(parent->per_group, per_group), geometry->children, there->values_count,
                                 lengths);
}

void pr_geometry_judge(const pr_geometry_t *geometry, pr_inventory_t *inventory) {
    if (geometry->places.groups_count == 0)
        return; /* only the parents were read */
    for (size_t i = 0; i < geometry->parents_count; i++) {
        const pr_geometry_parent_t *parent = &geometry->parents[i];
        const pr_tally_group_t *there = pr_tally_find(&geometry->places, parent->key);
        uint64_t count = there != NULL ? there->count : 0;
        if (parent->total >= 0 && (uint64_t)parent->total != count)
            pr_inventory_add_finding(inventory, "%s (%s) declares %" PRId64 " %s, there are %" PRIu64, parent->label,
                                     parent->key, parent->total, geometry->children, count);
        if (there != NULL)
            s_judge_groups(geometry, parent, there, inventory);
    }
}
