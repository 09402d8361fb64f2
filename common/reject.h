/* SPDX-License-Identifier: MIT */
/* The one table of reasons for which a single record is rejected. */
#ifndef PR_REJECT_H
#define PR_REJECT_H

#include <stdint.h>

/*  name, number, word (as stored in pvrelay_reject.reason and in counters), sentence
 *  Numbers travel on the wire and are never reused. */
#define PR_REJECTS(X)                                                                                                  \
    X(MALFORMED_JSON, 1, "malformed_json", "the record is not valid JSON")                                             \
    X(BAD_UTF8, 2, "bad_utf8", "the record is not valid UTF-8")                                                        \
    X(DUPLICATE_KEY, 3, "duplicate_key", "a field stands twice in the record")                                         \
    X(MISSING_FIELD, 4, "missing_field", "a field of the stream is missing")                                           \
    X(UNKNOWN_FIELD, 5, "unknown_field", "the mapping does not know the field")                                        \
    X(WRONG_TYPE, 6, "wrong_type", "the value has the wrong type")                                                     \
    X(NULL_VALUE, 7, "null_value", "the field must not be null")                                                       \
    X(INTEGER_RANGE, 8, "integer_range", "the integer does not fit 64 bits")                                           \
    X(UNKNOWN_VALUE, 9, "unknown_value", "the value map does not know the value")                                      \
    X(BAD_DATE, 10, "bad_date", "the text does not begin with a date YYYY-MM-DD")                                      \
    X(UNKNOWN_PARENT, 11, "unknown_parent", "the row this record refers to is not in the target")                      \
    X(CONSTRAINT, 12, "constraint", "a constraint of the target forbids the row")                                      \
    X(REAL_RANGE, 13, "real_range", "the number does not fit a double")                                                \
    X(CHANGED_IN_TARGET, 14, "changed_in_target", "others changed the row that the record is to change")

typedef enum {
    PR_R_NONE = 0,
#define X(name, number, word, sentence) PR_R_##name = number,
    PR_REJECTS(X)
#undef X
} pr_reject_reason_t;

/* Number of the highest reason + 1: the size of a table indexed by reason. */
enum { PR_REJECT_REASONS = 15 };

/* Word and sentence of a reason ("unknown" for a number that is none). Static strings. */
const char *pr_reject_word(unsigned reason);
const char *pr_reject_sentence(unsigned reason);

/* The reason with this word, or PR_R_NONE. */
pr_reject_reason_t pr_reject_from_word(const char *word);

#endif
