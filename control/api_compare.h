/* SPDX-License-Identifier: MIT */
/* Answers of the HUB's API against what is expected of them. No network, no files. */
#ifndef PR_API_COMPARE_H
#define PR_API_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/failure.h"
#include "control/api_expect.h"

/*  The HUB's API, as far as it is compared; the rest comes from the mapping.
 *  GET S_ROUTE_LIST:  {"success": true, "audits": [{GROUP_KEY, fields…, "modules_"TOTAL…}], …}
 *  GET S_ROUTE_GROUP + key: {"audit": {GROUP_KEY, fields…}, "modules": [{MEMBER_KEY, STATUS, columns…}],
 *                            "progress": {TOTAL…}}
 *  The lists are called as the streams are. A key or a field may bear its name in the export or in the target. Columns
 *  are those that the mapping makes of the status. TOTAL… are "total", "completed" (members whose status does not count
 *  as open for a derived column) and the statuses themselves. What is absent and no key, list or status is not missed. */
#define PR_API_ROUTE_LIST  "/api/el/dashboard/audits"
#define PR_API_ROUTE_GROUP "/api/el/audit/"

typedef struct {
    const pr_api_expect_t *expect;
    bool extra_fails;      /* a member that the exports lack is a failure, else a finding */
    pr_proof_list_t *list; /* where failures and findings go */
    uint64_t groups;       /* compared so far */
    uint64_t members;
} pr_api_compare_t;

/*  The list of groups: well-formed, and each group of the exports in it, with its totals. totals_of: see
 *  pr_api_totals_t, by index of the group; those that are not `known` are taken from the exports. */
struct pr_api_totals;
void pr_api_compare_list(pr_api_compare_t *compare, const json_t *answer, const struct pr_api_totals *totals_of);

/*  How many members of a group have which status, in the order of the value map's entries. What the API shows beyond the
 *  exports is counted as it shows it: it is told once, not once more for each total. */
typedef struct pr_api_totals {
    bool known;
    uint64_t total, completed;
    uint64_t *by_status; /* free */
} pr_api_totals_t;

/*  One group: its members, each with its status. ret_totals: what the totals must be; by_status *returns new*. */
void pr_api_compare_group(pr_api_compare_t *compare, const pr_api_group_t *group, const json_t *answer,
                          pr_api_totals_t *ret_totals);

/* Note that there is no answer that could be compared: expected is what there should have been. group: NULL: the list. */
void pr_api_compare_unanswered(pr_api_compare_t *compare, const pr_api_group_t *group, const char *expected,
                               const char *why);

#endif
