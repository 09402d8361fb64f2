/* SPDX-License-Identifier: MIT */
/* Text of foreign origin, for terminals, logs and pages: the one place where it is made harmless. */
#ifndef PR_TEXT_H
#define PR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*  DESIGN
 *
 *  Names of files, fields, sets and streams, values, and what a peer or a library says may hold anything: a newline forges
 *  a line of a log, ESC and the C1 controls command a terminal, U+202E turns a line round. So what we did not write
 *  ourselves is escaped before it is shown:
 *
 *      newline, return, tab                                  \n \r \t
 *      other control characters, bytes that are no UTF-8     \x1B
 *      U+0080 to U+009F, U+2028, U+2029, and those that steer the direction of text (U+061C, U+200E, U+200F,
 *      U+202A to U+202E, U+2066 to U+2069), U+FEFF           \u202E
 *
 *  All else stays, the backslash too; so escaping what was escaped already changes nothing, and each layer may do it.
 */

/* What is said of a path that is not UTF-8. It would have to stand in the configuration, in the target's books and in reports,
 * which are UTF-8. */
#define PR_TEXT_NO_PATH "is not UTF-8, so it could not be written down as it is; rename the file or its folder"

/* May a character be shown as it is? */
bool pr_text_is_harmless(uint32_t point);

/* Is there nothing in it to be escaped? */
bool pr_text_is_clean(const char *text, size_t size);

/*  Escape size bytes of text into buffer. What does not fit is taken out of the middle ("…"), because a message tells where
 *  at its beginning and why at its end. room: bytes of buffer, final NUL included, at least 1. text may not overlap buffer.
 *  Returns the length written. */
size_t pr_text_fit(const char *text, size_t size, char *buffer, size_t room);

/* The same for a text that stands in its buffer, a string of less than room bytes. Returns text. */
char *pr_text_clean(char *text, size_t room);

/* A text for one line of a terminal, by value: printf("%s", pr_text_line(name).text). Longer ones lose their middle. */
typedef struct {
    char text[1024];
} pr_text_line_t;

pr_text_line_t pr_text_line(const char *text);

/* All of it, escaped. *Returns new*. */
char *pr_text_escape(const char *text);

/* The same for size bytes. *Returns new*. */
char *pr_text_escape_bytes(const char *text, size_t size);

/*  A text that grows in its room, a string from the first addition on. What does not fit is cut between two characters and
 *  marked ("…"); nothing is added any more then. Begin with text and room (bytes, at least 4), all else 0. */
typedef struct {
    char *text; /* borrowed */
    size_t room, used;
    bool cut;
} pr_text_room_t;

__attribute__((format(printf, 2, 3))) void pr_text_add(pr_text_room_t *room, const char *format, ...);

#endif
