/* SPDX-License-Identifier: MIT */
/* Making JSON: the one place where a value enters it. */
#ifndef PR_JSON_H
#define PR_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/*  DESIGN
 *
 *  jansson's json_string() and json_pack() give NULL for a text that is not UTF-8, and setting NULL leaves the key or the
 *  element out: so a path once vanished from a configuration without a word. Nothing here returns NULL: a text that is not
 *  UTF-8 stands in it escaped (common/text.h), and a value that somebody failed to make ends the process as memory that is
 *  not there does. Where a text must be exact (a path that is opened again), check with pr_utf8_is_valid first, and refuse.
 *  `lint/test_json` looks for jansson's own calls elsewhere.
 */

/* A text; exact if it is UTF-8, else escaped. NULL is null. *Returns new*. */
json_t *pr_json_text(const char *text);
json_t *pr_json_text_bytes(const char *text, size_t size);

/* The same, but an empty text is null, too. *Returns new*. */
json_t *pr_json_text_or_null(const char *text);

/* A number; what JSON cannot hold is null. *Returns new*. */
json_t *pr_json_real(double number);

/*  jansson's json_pack, of its formats those with { } [ ] s (NULL is null, "s?" too) I i b f n o (*takes*, never NULL) and O
 *  (*borrows*). *Returns new*. */
json_t *pr_json_pack(const char *format, ...);

/* Set a member, append an element. *Takes* value. */
void pr_json_set(json_t *object, const char *key, json_t *value);
void pr_json_append(json_t *array, json_t *value);

/*  As text, with jansson's flags. Characters that steer a terminal or the direction of text stand as \u202E, which is the
 *  same to whoever reads JSON. *Returns new* (malloc). */
char *pr_json_dump(const json_t *json, size_t flags);

/* The same to a stream, with a final newline. */
void pr_json_print(const json_t *json, size_t flags, FILE *out);

#endif
