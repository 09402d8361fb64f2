/* SPDX-License-Identifier: MIT */
/* What was probably meant: the known word next to an unknown one, and the usual slips in JSON that people write. */
#ifndef PR_SUGGEST_H
#define PR_SUGGEST_H

#include <stddef.h>

enum { PR_SUGGEST_BYTES = 160 };

typedef struct {
    const char *wrong; /* borrowed */
    size_t size;       /* bytes */
    const char *best;  /* borrowed from who offered it; NULL: none is near */
    unsigned distance; /* of best */
    char text[PR_SUGGEST_BYTES];
} pr_suggest_t;

/* Begin with an unknown word of size bytes, then offer all known ones, in any order; of equally near ones the first wins. */
pr_suggest_t pr_suggest_begin(const char *wrong, size_t size);
void pr_suggest_offer(pr_suggest_t *suggest, const char *known);

/* " (did you mean KNOWN?)", or "" if none is near: at most one edit in three characters, never more than three. Valid while
 * suggest is. */
const char *pr_suggest_text(pr_suggest_t *suggest);

/*  Why a JSON text is refused, if it is one of the slips of who writes by hand: a comma before a closing bracket, or a
 *  comment. text: size bytes; until: offset of the place where the parser gave up. ret_line: its line, from 1.
 *  NULL: neither; ret_line is untouched then. Static. */
const char *pr_suggest_json(const char *text, size_t size, size_t until, int *ret_line);

#endif
