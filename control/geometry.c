/* SPDX-License-Identifier: MIT */
/* Declared totals and string geometry of audits against the modules that are there. */
#include "control/geometry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

/* An audit; the strings of its modules are counted in a tally whose groups are audits. */
typedef struct {
    char *key;
    char *label;
    int64_t total, strings, per_string;
} pr_geometry_audit_t;

struct pr_geometry {
    pr_geometry_audit_t *audits;
    size_t audits_count;
    pr_tally_t strings;
};

pr_geometry_t *pr_geometry_new(void) {
    return pr_xcalloc(1, sizeof(pr_geometry_t));
}

void pr_geometry_destroy(pr_geometry_t **geometry) {
    if (geometry == NULL || *geometry == NULL)
        return;
    for (size_t i = 0; i < (*geometry)->audits_count; i++) {
        free((*geometry)->audits[i].key);
        free((*geometry)->audits[i].label);
    }
    free((*geometry)->audits);
    pr_tally_clear(&(*geometry)->strings);
    free(*geometry);
    *geometry = NULL;
}

void pr_geometry_declare(pr_geometry_t *geometry, const char *key, const char *label, int64_t total, int64_t strings,
                         int64_t per_string) {
    geometry->audits = pr_xrealloc(geometry->audits, (geometry->audits_count + 1) * sizeof *geometry->audits);
    geometry->audits[geometry->audits_count++] = (pr_geometry_audit_t){.key = pr_xstrdup(key),
                                                                       .label = pr_xstrdup(label),
                                                                       .total = total,
                                                                       .strings = strings,
                                                                       .per_string = per_string};
}

void pr_geometry_place(pr_geometry_t *geometry, const char *key, int64_t string) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, string);
    pr_tally_add(&geometry->strings, key, text, 1);
}

static void s_judge_strings(const pr_geometry_audit_t *audit, const pr_tally_group_t *there,
                            pr_inventory_t *inventory) {
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (size_t i = 0; i < there->values_count; i++) {
        least = there->values[i].count < least ? there->values[i].count : least;
        most = there->values[i].count > most ? there->values[i].count : most;
    }
    bool exact = there->values_count < PR_TALLY_VALUES_MAX; /* beyond, strings are no longer told apart */
    bool strings_differ = audit->strings >= 0 && exact && (uint64_t)audit->strings != there->values_count;
    bool lengths_differ = audit->per_string >= 0 && exact &&
                          (least != (uint64_t)audit->per_string || most != (uint64_t)audit->per_string);
    char lengths[64];
    if (least == most)
        snprintf(lengths, sizeof lengths, "%" PRIu64, most);
    else
        snprintf(lengths, sizeof lengths, "%" PRIu64 " to %" PRIu64, least, most);
    if (strings_differ || lengths_differ)
        pr_inventory_add_finding(
            inventory, "%s (%s) declares %" PRId64 " strings of %" PRId64 " modules, there are %zu of %s", audit->label,
            audit->key, audit->strings, audit->per_string, there->values_count, lengths);
}

void pr_geometry_judge(const pr_geometry_t *geometry, pr_inventory_t *inventory) {
    if (geometry->strings.groups_count == 0)
        return; /* only audits were read */
    for (size_t i = 0; i < geometry->audits_count; i++) {
        const pr_geometry_audit_t *audit = &geometry->audits[i];
        const pr_tally_group_t *there = pr_tally_find(&geometry->strings, audit->key);
        uint64_t count = there != NULL ? there->count : 0;
        if (audit->total >= 0 && (uint64_t)audit->total != count)
            pr_inventory_add_finding(inventory, "%s (%s) declares %" PRId64 " modules, there are %" PRIu64,
                                     audit->label, audit->key, audit->total, count);
        if (there != NULL)
            s_judge_strings(audit, there, inventory);
    }
}
