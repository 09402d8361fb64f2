/* SPDX-License-Identifier: MIT */
/* A legacy record's values, read from the export for the proof. */
#ifndef PR_LEGACY_H
#define PR_LEGACY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mapping.h"
#include "common/value.h"
#include "validator/legacy_parser.h"

/*  Give every field of the stream its typed value.
 *  record: parsed with the names of the stream's fields, in their order. null_text: the text "null" in a nullable field
 *  stands for NULL. ret_values: stream->fields_count values, borrowed from the record; ignored fields are NULL.
 *  Returns true; or false if the record should have been rejected, with the reason in ret_problem (size bytes). */
bool pr_legacy_values(const pr_stream_t *stream, const pr_legacy_record_t *record, bool null_text,
                      pr_value_t *ret_values, char *ret_problem, size_t size);

/*  Make text, of the same length, of the numbers of a record that no double holds (1e400): where such a number stands no
 *  value of any field can be, but the parser would refuse the whole record for it. A number that only looks too large
 *  (0e999) becomes what it is. data: a record of size bytes. Returns whether there was any. */
bool pr_legacy_tame(char *data, size_t size);

/*  Length of the JSON object or array that begins at data, by brackets and strings alone; 0: it does not end within
 *  size bytes, or none begins there. */
size_t pr_legacy_skip(const char *data, size_t size);

#endif
