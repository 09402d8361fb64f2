/* SPDX-License-Identifier: MIT */
/* Counting values, overall and per group: the distributions of `pvrelay inspect`. */
#ifndef PR_TALLY_H
#define PR_TALLY_H

#include <stddef.h>
#include <stdint.h>

/* How often one value occurs. */
typedef struct {
    char *value; /* NUL-terminated, printable */
    uint64_t count;
} pr_tally_value_t;

typedef struct {
    char *name;
    char *label; /* what people call it; NULL: no more than its name */
    uint64_t count;
    pr_tally_value_t *values; /* in the order of their first occurrence until sorted */
    size_t values_count;
} pr_tally_group_t;

/* A tally: begin with all zero. Groups keep the order of their first occurrence. */
typedef struct {
    pr_tally_group_t all;
    pr_tally_group_t *groups;
    size_t groups_count;
    size_t *index; /* hash table: group + 1, 0: free */
    size_t index_size;
} pr_tally_t;

enum {
    PR_TALLY_VALUES_MAX = 200 /* distinct values that are told apart in a group; more are PR_TALLY_OTHER */
};
#define PR_TALLY_OTHER "(other values)"

/* Count `count` occurrences of a value in a group. group NULL: overall only. Copies both. */
void pr_tally_add(pr_tally_t *tally, const char *group, const char *value, uint64_t count);

/* The group with this name, or NULL. Borrowed until the next pr_tally_add. */
pr_tally_group_t *pr_tally_find(const pr_tally_t *tally, const char *group);

/* Sort the values of every group, most frequent first, ties by value. */
void pr_tally_sort(pr_tally_t *tally);

void pr_tally_clear(pr_tally_t *tally);

#endif
