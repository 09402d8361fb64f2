/* SPDX-License-Identifier: MIT */
/* What the HUB's API must show of exports: their groups (audits), and the members of each (modules) with their status. */
#ifndef PR_API_EXPECT_H
#define PR_API_EXPECT_H

/*  DESIGN
 *
 *  What a group is and what a member comes from the mapping: the first stream that `declares` children is the groups', its
 *  children's stream the members'. A group is known by the field that its children refer to, a member by the one other
 *  field of its natural key, and what is compared of it is the field whose `distribution` is declared.
 *
 *  Exports are read record by record, but what is expected of them is kept: some 80 bytes a member. A key that comes
 *  twice is expected as it came last, which is what a replay leaves. A record whose very bytes stand among the rejects of
 *  the target may be in the HUB all the same, if it was tried again: it is `optional`.
 */

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/export_cut.h"
#include "common/mapping.h"
#include "common/value.h"

/* Where a record lies in the exports. */
typedef struct {
    uint32_t source;
    uint64_t offset;
} pr_api_place_t;

typedef struct {
    pr_value_t key;
    pr_value_t status;
    bool optional;
    pr_api_place_t place;
} pr_api_member_t;

typedef struct {
    pr_value_t key;
    bool known;         /* its own record is in the exports; else only members of it are */
    bool optional;      /* that record is */
    pr_value_t *fields; /* of its record, by pr_api_expect_t.shown; NULL: not known */
    pr_api_place_t place;
    pr_api_member_t *members; /* after pr_api_expect_end: by key, each once */
    size_t members_count;
} pr_api_group_t;

typedef struct {
    const pr_mapping_t *mapping;
    const pr_stream_t *groups_of; /* the groups' stream ... */
    const pr_stream_t *members_of;
    int group_key;    /* ... the field that its children refer to; in the members' stream: member_group */
    int member_group; /* fields of the members' stream */
    int member_key;
    int member_status; /* -1: none is declared */
    int *shown;        /* fields of the groups' stream that an answer must show as they are, if it shows them */
    size_t shown_count;
    pr_api_group_t *groups; /* in the order of the exports */
    size_t groups_count;
    void *state; /* the implementation's */
} pr_api_expect_t;

/*  Expect nothing yet. mapping: borrowed until destroy. *Returns new*.
 *  -PR_E_CONFIG if the mapping does not declare what groups and members are. */
int pr_api_expect_new(const pr_mapping_t *mapping, pr_api_expect_t **ret_expect, pr_error_t *err);
void pr_api_expect_destroy(pr_api_expect_t **expect);

/*  Expect what the exports hold. db: the target, for its rejects; NULL: it has none.
 *  keep_going (may be NULL): asked now and then; false: -PR_E_INTERRUPTED. */
int pr_api_expect_read(pr_api_expect_t *expect, pr_cutter_t *cutter, sqlite3 *db, bool (*keep_going)(void *context),
                       void *context, pr_error_t *err);

/*  Add one record by hand: its fields' values by index of the stream (of groups or members), copied. A record without key
 *  is passed over. */
void pr_api_expect_add(pr_api_expect_t *expect, const pr_stream_t *stream, const pr_value_t *values, bool optional,
                       pr_api_place_t place);

/* All is in: sort the members of each group. pr_api_expect_read does it by itself. */
void pr_api_expect_end(pr_api_expect_t *expect);

/* The group with this key, or NULL. Borrowed. */
pr_api_group_t *pr_api_expect_find(const pr_api_expect_t *expect, const pr_value_t *key);

/* The member of the group with this key, or NULL. Borrowed. */
pr_api_member_t *pr_api_group_find(const pr_api_group_t *group, const pr_value_t *key);

#endif
