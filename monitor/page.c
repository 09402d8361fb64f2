/* SPDX-License-Identifier: MIT */
/* The page of the monitor. */
#include "monitor/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char S_MARK[] = "@NONCE@";

char *pr_page_print(const char *nonce, size_t *ret_size) {
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);
    if (out == NULL)
        abort(); /* out of memory */
    const char *rest = pr_page_html;
    const char *mark;
    while ((mark = strstr(rest, S_MARK)) != NULL) {
        fwrite(rest, 1, (size_t)(mark - rest), out);
        fputs(nonce, out);
        rest = mark + sizeof S_MARK - 1;
    }
    fputs(rest, out);
    if (fclose(out) != 0)
        abort();
    return text;
}
