/* SPDX-License-Identifier: MIT */
/* What the text "null" in a nullable field is: --null-text, "null_text", pvrelay_run.null_text. */
#ifndef PR_NULL_TEXT_H
#define PR_NULL_TEXT_H

/*  Before version 4.72 `wrangler d1 execute --local` printed NULL as the text "null", in columns of all types; --remote
 *  never did. So in one result set either all NULLs print so or none does, and a JSON null in it proves that its texts
 *  "null" are text. */
typedef enum {
    PR_NULL_TEXT_AUTO, /* decided for each result set: NULL in those of wrangler that hold no JSON null, else text */
    PR_NULL_TEXT_NULL, /* NULL in every result set */
    PR_NULL_TEXT_KEEP, /* text in every result set */
    /* For rejects that are tried again, never chosen by a user: NULL in result sets of wrangler, whatever they hold. Those
     * that were decided so are given again in that shape (control/retry.c). */
    PR_NULL_TEXT_ENVELOPE
} pr_null_text_t;

/* The words of the first three, NULL-terminated. */
extern const char *const pr_null_text_words[];

/* From one of the words; PR_NULL_TEXT_AUTO for anything else, NULL included. */
pr_null_text_t pr_null_text_parse(const char *word);

#endif
