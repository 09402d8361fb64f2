/* SPDX-License-Identifier: MIT */
/* Fuzz: a PLAN from a hostile peer, or one read from a target. What is understood, written again, is the same plan. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pr_plan_t *plan = NULL, *again = NULL;
    pr_error_t problem = PR_ERROR_INIT;
    char *json = NULL;
    size_t json_size = 0;
    if (pr_plan_from_json((const char *)data, size, &plan, &problem) < 0) {
        if (problem.code != PR_E_PROTOCOL || problem.text[0] == '\0')
            abort();
        return 0;
    }
    if (pr_plan_to_json(plan, &json, &json_size, NULL) < 0 || pr_plan_from_json(json, json_size, &again, NULL) < 0 ||
        pr_plan_digest(again) != pr_plan_digest(plan) || pr_plan_compare(plan, again, NULL) < 0)
        abort();
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->records[i] != plan->sources[i].records || plan->sources[i].records > INT64_MAX)
            abort();
    }
    free(json);
    pr_plan_destroy(&plan);
    pr_plan_destroy(&again);
    return 0;
}
