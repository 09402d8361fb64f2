/* SPDX-License-Identifier: MIT */
/* The page of the monitor: monitor/page.html, as the build put it into the program. */
#ifndef PR_MONITOR_PAGE_H
#define PR_MONITOR_PAGE_H

#include <stddef.h>

/* The file's bytes, NUL behind. Where it says @NONCE@ stands the nonce of the answer's Content-Security-Policy. */
extern const char pr_page_html[];

/*  The page with this nonce. ret_size: its bytes. *Returns new* (free). */
char *pr_page_print(const char *nonce, size_t *ret_size);

#endif
