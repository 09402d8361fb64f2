/* SPDX-License-Identifier: MIT */
/* Words and sentences of the reject reasons, from the table in the header. */
#include "common/reject.h"

#include <string.h>

static const struct {
    const char *word;
    const char *sentence;
} s_reasons[PR_REJECT_REASONS] = {
#define X(name, number, text, says) [number] = {text, says},
    PR_REJECTS(X)
#undef X
};

const char *pr_reject_word(unsigned reason) {
    return reason < PR_REJECT_REASONS && s_reasons[reason].word != NULL ? s_reasons[reason].word : "unknown";
}

const char *pr_reject_sentence(unsigned reason) {
    return reason < PR_REJECT_REASONS && s_reasons[reason].word != NULL ? s_reasons[reason].sentence : "unknown";
}

pr_reject_reason_t pr_reject_from_word(const char *word) {
#define X(name, number, text, says)                                                                                    \
    if (strcmp(word, text) == 0) {                                                                                     \
        return PR_R_##name;                                                                                            \
    }
    PR_REJECTS(X)
#undef X
    return PR_R_NONE;
}
