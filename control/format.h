/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and times as the operator reads them. */
#ifndef PR_FORMAT_H
#define PR_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Room that every text of this header fits into, final NUL included. */
enum { PR_FORMAT_BYTES = 32 };

/* A text of at most PR_FORMAT_BYTES, by value: printf("%s", pr_format_count(n).text). */
typedef struct {
    char text[PR_FORMAT_BYTES];
} pr_format_t;

/* "1,234,567". */
pr_format_t pr_format_count(uint64_t count);

/* Decimal units, as disks are sold: "999 B", "238 KB", "421.3 MB", "1.2 GB". */
pr_format_t pr_format_bytes(uint64_t bytes);

/* part of whole in percent, one decimal, rounded: "12.6". whole 0: "-". */
pr_format_t pr_format_percent(uint64_t part, uint64_t whole);

/* The same rounded down, so that 100.0 means that all is done. */
pr_format_t pr_format_progress(uint64_t part, uint64_t whole);

/* A part of one in percent, rounded down too; negative: "-". */
pr_format_t pr_format_share(double share);

/* Seconds to go or gone: "0:03", "12:34", "1:02:03", "9d 03h"; negative or beyond a year: "-". Parts of a second count
 * as one. */
pr_format_t pr_format_clock(double seconds);

/* Seconds with as many decimals as are of use: "0.213", "12.34", "1234.5"; negative: "-". */
pr_format_t pr_format_seconds(double seconds);

/* What a noun of so many ends in: "" or "s". */
const char *pr_format_plural(uint64_t count);

/* How many columns a UTF-8 text takes on a terminal, taking every character for one column wide. */
size_t pr_format_width(const char *text);

/*  A record's bytes for a terminal, on one line: a run of white space becomes one blank, the rest is escaped
 *  (common/text.h). data: size bytes, any. *Returns new*. */
char *pr_format_record(const char *data, size_t size);

#endif
