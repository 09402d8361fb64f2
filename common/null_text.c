/* SPDX-License-Identifier: MIT */
/* What the text "null" in a nullable field is: its words. */
#include "common/null_text.h"

#include <stddef.h>
#include <string.h>

const char *const pr_null_text_words[] = {"auto", "null", "keep", NULL};

pr_null_text_t pr_null_text_parse(const char *word) {
    for (int i = 0; word != NULL && pr_null_text_words[i] != NULL; i++) {
        if (strcmp(word, pr_null_text_words[i]) == 0)
            return (pr_null_text_t)i;
    }
    return PR_NULL_TEXT_AUTO;
}
