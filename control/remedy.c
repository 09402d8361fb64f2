/* SPDX-License-Identifier: MIT */
/* What settles the rejects of a run: sentences, and the commands that go with them. */
#include "control/remedy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/hint.h"
#include "common/reject.h"

/* The name of the copy that is to be mended: what comes with pvrelay is not for that. */
#define S_COPY "my-mapping.json"

static bool s_is(const pr_report_reject_t *reject, pr_reject_reason_t reason) {
    return strcmp(reject->reason, pr_reject_word(reason)) == 0;
}

static pr_remedy_t s_settle(const pr_report_t *report) {
    const char *mapping = report->mapping_given ? "--mapping" : NULL;
    return (pr_remedy_t){
        .sentence = PR_S_SETTLE_FOREIGN,
        .commands = {pr_hint_command("retry-rejects", "--target", report->target, "--on-foreign-change", "overwrite",
                                     mapping, report->mapping_file, NULL)}};
}

static pr_remedy_t s_mend(const pr_report_t *report) {
    const char *mapping = report->mapping_given ? report->mapping_file : S_COPY;
    char *retry = pr_hint_command("retry-rejects", "--target", report->target, "--mapping", mapping, NULL);
    if (report->mapping_given)
        return (pr_remedy_t){.sentence = PR_S_MEND, .commands = {retry}};
    char *from = pr_hint_quote(report->mapping_file);
    char *copy = pr_xasprintf("cp -n %s " S_COPY, from);
    free(from);
    return (pr_remedy_t){.sentence = PR_S_MEND_COPY, .commands = {copy, retry}};
}

size_t pr_remedies(const pr_report_t *report, pr_remedy_t ret_remedies[PR_REMEDIES_MAX]) {
    size_t count = 0;
    bool foreign = false;
    bool others = false;
    bool parents = *report->not_given != '\0';
    for (size_t i = 0; i < report->rejects_count; i++) {
        const pr_report_reject_t *reject = &report->rejects[i];
        if (s_is(reject, PR_R_CHANGED_IN_TARGET))
            foreign = true;
        else if (!parents || !s_is(reject, PR_R_UNKNOWN_PARENT))
            others = true;
    }
    if (parents)
        ret_remedies[count++] = (pr_remedy_t){.sentence = PR_S_GIVE, .argument = report->not_given};
    if (foreign)
        ret_remedies[count++] = s_settle(report);
    if (others) {
        ret_remedies[count++] = s_mend(report);
        ret_remedies[count++] = (pr_remedy_t){.sentence = PR_S_MEND_EXPORTS};
    }
    return count;
}

void pr_remedies_free(pr_remedy_t *remedies, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < PR_REMEDY_COMMANDS; k++)
            free(remedies[i].commands[k]);
    }
}
