/* SPDX-License-Identifier: MIT */
/* What the reader of mapping files needs to complain well: lines of a JSON text, a list of mistakes, rules for names.
 */
#ifndef PR_MAPPING_LINT_H
#define PR_MAPPING_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/mapping.h"

/* Where a JSON value stands: the line of its key, or its own line if it has none. */
typedef struct pr_line_node pr_line_node_t;
struct pr_line_node {
    int line;
    char *key;                /* unescaped; NULL: the root or an array's element */
    pr_line_node_t *children; /* members (duplicates kept) or elements, in the file's order */
    size_t count;
};

/*  Index the lines of a JSON text that jansson has accepted (other text gives a useless index, but harms nothing).
 *  text: size bytes. *Returns new*. */
pr_line_node_t *pr_line_index_new(const char *text, size_t size);
void pr_line_index_destroy(pr_line_node_t **index);

/* The last member with this key (as jansson keeps the last), or NULL. Borrowed. */
const pr_line_node_t *pr_line_member(const pr_line_node_t *node, const char *key);
/* The element with this index, or NULL. Borrowed. */
const pr_line_node_t *pr_line_element(const pr_line_node_t *node, size_t index);

/* A growing list of mistakes. Start it as {0}. */
typedef struct {
    pr_mapping_mistake_t *mistakes;
    size_t count;
} pr_lint_t;

/* Note a mistake. format: printf's; "what, expected what". Too long a text is cut. */
void pr_lint_add(pr_lint_t *lint, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Note every key that stands twice in one object, anywhere under the node. */
void pr_lint_duplicate_keys(pr_lint_t *lint, const pr_line_node_t *node);

/* Put the mistakes in the order of lines (of the same line: in the order they were found). */
void pr_lint_sort(pr_lint_t *lint);
void pr_lint_clear(pr_lint_t *lint);

/* [A-Za-z_][A-Za-z0-9_]* */
bool pr_lint_is_identifier(const char *text);
/* Does the name begin with pvrelay_ or sqlite_, in whatever case? */
bool pr_lint_is_reserved_table(const char *text);

/*  The same as pr_mapping_load for a text at hand; path is only for messages. */
int pr_mapping_parse(const char *path, const char *text, size_t size, pr_mapping_mistake_fn *report, void *context,
                     pr_mapping_t **ret_mapping, pr_error_t *err);

#endif
