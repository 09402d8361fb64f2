/* SPDX-License-Identifier: MIT */
/* Writing Markdown (https://github.github.com/gfm/) whose texts may hold anything. */
#ifndef PR_MARKDOWN_H
#define PR_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A page being written. Texts that its functions return are *borrowed* until pr_page_free_texts. */
typedef struct {
    FILE *out;
    bool in_table; /* the cells of a table need more escapes */
    char **texts;
    size_t texts_count;
} pr_page_t;

/* Keep a text for the page: *takes* it. Returns it, borrowed. */
const char *pr_page_keep(pr_page_t *page, char *text);
void pr_page_free_texts(pr_page_t *page);

/* The longest text, in characters, that is shown of a value; the rest becomes an ellipsis. */
enum { PR_PAGE_VALUE_MAX = 200 };

/*  A text as a code span, all of it as it is but for line breaks (↵) and control characters (blank), cut to
 *  PR_PAGE_VALUE_MAX. "" for an empty text. */
const char *pr_page_code(pr_page_t *page, const char *text);

/* The same, not cut: for paths and commands. */
const char *pr_page_code_whole(pr_page_t *page, const char *text);

/* A text as plain text: what Markdown would take for markup is escaped; line breaks and control characters as above. */
const char *pr_page_text(pr_page_t *page, const char *text);

/* Lines as they are, as a code block for a shell. */
void pr_page_shell(pr_page_t *page, const char *const *lines, size_t count);

/*  A table: its head, then its rows. align: a letter for each column, l or r. cells: as pr_page_code and pr_page_text made
 *  them while in_table was set, which begin does and end undoes. */
void pr_page_table_begin(pr_page_t *page, const char *align, const char *const *cells);
void pr_page_table_row(pr_page_t *page, size_t columns, const char *const *cells);
void pr_page_table_end(pr_page_t *page);

#endif
