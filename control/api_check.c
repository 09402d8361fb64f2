/* SPDX-License-Identifier: MIT */
/* The HUB's API against exports. */
#include "control/api_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "control/format.h"

/* Ask for one group, and compare it. ret_reachable: the server was there. */
static int s_check_group(pr_api_client_t *client, pr_api_compare_t *compare, const pr_api_group_t *group,
                         pr_api_totals_t *ret_totals, bool *ret_reachable, pr_error_t *err) {
    pr_api_outcome_t outcome;
    json_t *answer = NULL;
    const char *why;
    int result = pr_api_client_get(client, PR_API_ROUTE_GROUP, &group->key, &outcome, &answer, &why, err);
    if (result < 0)
        return result;
    *ret_reachable = outcome != PR_API_UNREACHABLE;
    if (outcome == PR_API_ANSWER)
        pr_api_compare_group(compare, group, answer, ret_totals);
    else
        pr_api_compare_unanswered(compare, group, "status 200 and JSON", why);
    json_decref(answer);
    return 0;
}

/* A group that nothing but rejected records speak of need not be in the HUB. */
static bool s_is_due(const pr_api_group_t *group) {
    bool due = group->known && !group->optional;
    for (size_t i = 0; !due && i < group->members_count; i++)
        due = !group->members[i].optional;
    return due;
}

static int s_check_groups(pr_api_client_t *client, pr_api_compare_t *compare, pr_api_totals_t *totals,
                          pr_error_t *err) {
    const pr_api_expect_t *expect = compare->expect;
    bool reachable = true;
    uint64_t not_asked = 0;
    for (size_t i = 0; i < expect->groups_count; i++) {
        if (!s_is_due(&expect->groups[i]))
            continue;
        if (!reachable) {
            not_asked++;
            continue;
        }
        int result = s_check_group(client, compare, &expect->groups[i], &totals[i], &reachable, err);
        if (result < 0)
            return result;
    }
    if (not_asked > 0) {
        char expected[96];
        snprintf(expected, sizeof expected, "an answer for %s more", pr_format_count(not_asked).text);
        pr_api_compare_unanswered(compare, NULL, expected, "not asked: the server does not answer");
    }
    return 0;
}

int pr_api_check(pr_api_client_t *client, pr_api_compare_t *compare, pr_error_t *err) {
    pr_api_outcome_t outcome;
    json_t *answer = NULL;
    const char *why;
    int result = pr_api_client_get(client, PR_API_ROUTE_LIST, NULL, &outcome, &answer, &why, err);
    if (result < 0)
        return result;
    if (outcome != PR_API_ANSWER)
        pr_api_compare_unanswered(compare, NULL, "status 200 and JSON", why);
    if (outcome == PR_API_UNREACHABLE)
        return 0;
    /* The list comes last: what the totals must be is known when the groups have been seen. */
    pr_api_totals_t *totals = pr_xcalloc(compare->expect->groups_count + 1, sizeof *totals);
    result = s_check_groups(client, compare, totals, err);
    if (result == 0 && outcome == PR_API_ANSWER)
        pr_api_compare_list(compare, answer, totals);
    for (size_t i = 0; i < compare->expect->groups_count; i++)
        free(totals[i].by_status);
    free(totals);
    json_decref(answer);
    return result;
}
