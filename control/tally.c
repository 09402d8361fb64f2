/* SPDX-License-Identifier: MIT */
/* Counting values, overall and per group. */
#include "control/tally.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"

enum { s_index_least = 64 };

static pr_tally_value_t *s_find_value(const pr_tally_group_t *group, const char *value) {
    for (size_t i = 0; i < group->values_count; i++) {
        if (strcmp(group->values[i].value, value) == 0)
            return &group->values[i];
    }
    return NULL;
}

static void s_count(pr_tally_group_t *group, const char *value, uint64_t count) {
    group->count += count;
    pr_tally_value_t *found = s_find_value(group, value);
    if (found == NULL && group->values_count >= PR_TALLY_VALUES_MAX) {
        value = PR_TALLY_OTHER;
        found = s_find_value(group, value);
    }
    if (found != NULL) {
        found->count += count;
        return;
    }
    group->values = pr_xrealloc(group->values, (group->values_count + 1) * sizeof *group->values);
    group->values[group->values_count++] = (pr_tally_value_t){.value = pr_xstrdup(value), .count = count};
}

/* The place of a group in the index: where it is, or where it would be. */
static size_t s_place(const pr_tally_t *tally, const char *name) {
    size_t at = XXH3_64bits(name, strlen(name)) & (tally->index_size - 1);
    while (tally->index[at] != 0 && strcmp(tally->groups[tally->index[at] - 1].name, name) != 0)
        at = (at + 1) & (tally->index_size - 1);
    return at;
}

static void s_grow(pr_tally_t *tally) {
    if (tally->groups_count * 2 < tally->index_size)
        return;
    tally->index_size = tally->index_size == 0 ? s_index_least : tally->index_size * 2;
    free(tally->index);
    tally->index = pr_xcalloc(tally->index_size, sizeof *tally->index);
    for (size_t i = 0; i < tally->groups_count; i++)
        tally->index[s_place(tally, tally->groups[i].name)] = i + 1;
}

pr_tally_group_t *pr_tally_find(const pr_tally_t *tally, const char *group) {
    if (tally->index_size == 0)
        return NULL;
    size_t found = tally->index[s_place(tally, group)];
    return found != 0 ? &tally->groups[found - 1] : NULL;
}

void pr_tally_add(pr_tally_t *tally, const char *group, const char *value, uint64_t count) {
    s_count(&tally->all, value, count);
    if (group == NULL)
        return;
    s_grow(tally);
    size_t at = s_place(tally, group);
    if (tally->index[at] == 0) {
        tally->groups = pr_xrealloc(tally->groups, (tally->groups_count + 1) * sizeof *tally->groups);
        tally->groups[tally->groups_count] = (pr_tally_group_t){.name = pr_xstrdup(group)};
        tally->index[at] = ++tally->groups_count;
    }
    s_count(&tally->groups[tally->index[at] - 1], value, count);
}

static int s_compare(const void *a, const void *b) {
    const pr_tally_value_t *left = a;
    const pr_tally_value_t *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return strcmp(left->value, right->value);
}

static void s_sort_group(pr_tally_group_t *group) {
    if (group->values_count > 1)
        qsort(group->values, group->values_count, sizeof *group->values, s_compare);
}

void pr_tally_sort(pr_tally_t *tally) {
    s_sort_group(&tally->all);
    for (size_t i = 0; i < tally->groups_count; i++)
        s_sort_group(&tally->groups[i]);
}

static void s_clear_group(pr_tally_group_t *group) {
    for (size_t i = 0; i < group->values_count; i++)
        free(group->values[i].value);
    free(group->values);
    free(group->name);
    free(group->label);
}

void pr_tally_clear(pr_tally_t *tally) {
    s_clear_group(&tally->all);
    for (size_t i = 0; i < tally->groups_count; i++)
        s_clear_group(&tally->groups[i]);
    free(tally->groups);
    free(tally->index);
    memset(tally, 0, sizeof *tally);
}
