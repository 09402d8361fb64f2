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

/* What settles rejects of a reason. */
typedef enum { S_SETTLE, S_REPLAY, S_MEND_EXPORTS, S_MEND_EITHER } s_way_t;

static s_way_t s_way(const pr_report_t *report, const char *reason) {
    switch (pr_reject_from_word(reason)) {
    case PR_R_CHANGED_IN_TARGET:
        return S_SETTLE;
    case PR_R_UNKNOWN_PARENT:
        return *report->not_given != '\0' ? S_REPLAY : S_MEND_EXPORTS;
    case PR_R_MALFORMED_JSON:
    case PR_R_BAD_UTF8:
    case PR_R_DUPLICATE_KEY: /* no mapping takes these */
        return S_MEND_EXPORTS;
    default:
        return S_MEND_EITHER;
    }
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
    bool ways[S_MEND_EITHER + 1] = {false};
    size_t count = 0;
    for (size_t i = 0; i < report->rejects_count; i++)
        ways[s_way(report, report->rejects[i].reason)] = true;
    if (ways[S_REPLAY])
        ret_remedies[count++] = (pr_remedy_t){.sentence = PR_S_GIVE, .argument = report->not_given};
    if (ways[S_SETTLE])
        ret_remedies[count++] = s_settle(report);
    if (ways[S_MEND_EITHER])
        ret_remedies[count++] = s_mend(report);
    if (ways[S_MEND_EITHER] || ways[S_MEND_EXPORTS])
        ret_remedies[count++] =
            (pr_remedy_t){.sentence = ways[S_MEND_EITHER] ? PR_S_OR_MEND_EXPORTS : PR_S_MEND_EXPORTS};
    return count;
}

void pr_remedies_free(pr_remedy_t *remedies, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < PR_REMEDY_COMMANDS; k++)
            free(remedies[i].commands[k]);
    }
}
