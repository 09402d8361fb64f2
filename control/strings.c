/* SPDX-License-Identifier: MIT */
/* The table of strings at work: putting in arguments, and numbers as each language writes them. */
#include "control/strings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/reject.h"
#include "common/rows.h"
#include "control/format.h"

enum { s_arguments_max = 9 };

#define S_NO_BREAK      "\xC2\xA0"     /* U+00A0 */
#define S_NO_BREAK_THIN "\xE2\x80\xAF" /* U+202F: between the digits of a number */

const char *const pr_language_words[] = {"en", "fr", NULL};

static const char *const s_strings[PR_STRINGS_COUNT][PR_LANGUAGES] = {
#define X(key, english, french) [PR_S_##key] = {english, french},
    PR_STRINGS(X)
#undef X
};

typedef struct {
    const char *word;
    const char *sentences[PR_LANGUAGES];
} pr_string_word_t;

#define X(word, english, french) {word, {english, french}},
static const pr_string_word_t s_findings[] = {PR_STRINGS_FINDINGS(X)};
static const pr_string_word_t s_failures[] = {PR_STRINGS_FAILURES(X)};
#undef X

static const char *const s_rejects_french[PR_REJECT_REASONS] = {
#define X(name, french) [PR_R_##name] = french,
    PR_STRINGS_REJECTS(X)
#undef X
};

static const char *const s_notes_french[PR_NOTE_KINDS] = {
#define X(name, french) [PR_NOTE_##name] = french,
    PR_STRINGS_NOTES(X)
#undef X
};

static const struct {
    const char *english, *french;
} s_phrases[] = {
#define X(english, french) {english, french},
    PR_STRINGS_PHRASES(X)
#undef X
};

const char *pr_string(pr_report_language_t language, pr_string_t string) {
    return s_strings[string][language];
}

static const char *s_find(const pr_string_word_t *words, size_t count, pr_report_language_t language,
                          const char *word) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].word, word) == 0)
            return words[i].sentences[language];
    }
    return NULL;
}

const char *pr_string_reject(pr_report_language_t language, const char *reason) {
    pr_reject_reason_t known = pr_reject_from_word(reason);
    if (known == PR_R_NONE)
        return NULL;
    return language == PR_LANGUAGE_FRENCH ? s_rejects_french[known] : pr_reject_sentence(known);
}

const char *pr_string_finding(pr_report_language_t language, const char *kind) {
    for (unsigned note = 1; note < PR_NOTE_KINDS; note++) {
        if (strcmp(pr_note_word(note), kind) == 0)
            return language == PR_LANGUAGE_FRENCH ? s_notes_french[note] : pr_note_sentence(note);
    }
    return s_find(s_findings, sizeof s_findings / sizeof s_findings[0], language, kind);
}

const char *pr_string_failure(pr_report_language_t language, const char *kind) {
    return s_find(s_failures, sizeof s_failures / sizeof s_failures[0], language, kind);
}

/* ---- putting a string together ---- */

/* Is the blank at `at` one that must not be broken? text: where the string begins. */
static bool s_is_tied(const char *text, const char *at) {
    return (at[1] != '\0' && strchr(":;!?%", at[1]) != NULL) || strncmp(at + 1, "»", 2) == 0 ||
           (at - text >= 2 && strncmp(at - 2, "«", 2) == 0);
}

static bool s_is_singular(pr_report_language_t language, const char *number) {
    return strcmp(number, "1") == 0 || (language == PR_LANGUAGE_FRENCH && strcmp(number, "0") == 0);
}

/* Write the place that begins at `at` ("{1}", "{1:one|many}"). Returns what follows it. */
static const char *s_put_place(FILE *out, pr_report_language_t language, const char *at, const char *const *arguments) {
    const char *argument = arguments[at[1] - '1'];
    const char *end = strchr(at, '}');
    const char *bar = strchr(at, '|');
    if (at[2] != ':')
        fputs(argument, out);
    else if (s_is_singular(language, argument))
        fwrite(at + 3, 1, (size_t)(bar - at - 3), out);
    else
        fwrite(bar + 1, 1, (size_t)(end - bar - 1), out);
    return end + 1;
}

/* The highest number of a place. */
static size_t s_places(const char *text) {
    size_t highest = 0;
    for (const char *at = text; (at = strchr(at, '{')) != NULL; at++) {
        size_t number = (size_t)(at[1] - '0');
        highest = number > highest ? number : highest;
    }
    return highest;
}

char *pr_string_format(pr_report_language_t language, pr_string_t string, ...) {
    const char *text = s_strings[string][language];
    const char *arguments[s_arguments_max] = {0};
    char *result = NULL;
    size_t size;
    va_list list;
    size_t places = s_places(text);
    va_start(list, string);
    for (size_t i = 0; i < places; i++)
        arguments[i] = va_arg(list, const char *);
    va_end(list);
    FILE *out = open_memstream(&result, &size);
    if (out == NULL)
        abort(); /* out of memory */
    for (const char *at = text; *at != '\0';) {
        if (*at == '{') {
            at = s_put_place(out, language, at, arguments);
        } else if (*at == ' ' && language == PR_LANGUAGE_FRENCH && s_is_tied(text, at)) {
            fputs(S_NO_BREAK, out);
            at++;
        } else {
            fputc(*at++, out);
        }
    }
    fclose(out);
    return result;
}

char *pr_string_byte(pr_report_language_t language, const char *path, uint64_t offset) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, offset);
    return pr_string_format(language, PR_S_PLACE_BYTE, path, digits, (char *)NULL);
}

/* ---- details ---- */

static bool s_is_word(char character) {
    return (unsigned char)character >= 0x80 || character == '_' || character == '.' || character == '=' ||
           (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z');
}

/* The phrase that stands at `at` as whole words; the count of them: none does. text: where the detail begins. */
static size_t s_phrase(const char *text, const char *at) {
    size_t count = sizeof s_phrases / sizeof s_phrases[0];
    if (at > text && s_is_word(at[-1]))
        return count;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(s_phrases[i].english);
        if (strncmp(at, s_phrases[i].english, size) == 0 && !s_is_word(at[size]))
            return i;
    }
    return count;
}

char *pr_string_detail(pr_report_language_t language, const char *detail) {
    char *result = NULL;
    size_t size;
    bool quoted = false;
    if (language == PR_LANGUAGE_ENGLISH)
        return pr_xstrdup(detail);
    FILE *out = open_memstream(&result, &size);
    if (out == NULL)
        abort(); /* out of memory */
    for (const char *at = detail; *at != '\0';) {
        size_t phrase = quoted ? sizeof s_phrases / sizeof s_phrases[0] : s_phrase(detail, at);
        if (phrase < sizeof s_phrases / sizeof s_phrases[0]) {
            fputs(s_phrases[phrase].french, out);
            at += strlen(s_phrases[phrase].english);
            continue;
        }
        quoted ^= *at == '\''; /* '' inside ends and begins again */
        if (*at == ' ' && !quoted && s_is_tied(detail, at))
            fputs(S_NO_BREAK, out);
        else
            fputc(*at, out);
        at++;
    }
    fclose(out);
    return result;
}

char *pr_string_values(pr_report_language_t language, const char *expected, const char *stored) {
    char *one = pr_string_detail(language, *expected != '\0' ? expected : "none");
    char *other = pr_string_detail(language, *stored != '\0' ? stored : "none");
    char *text = pr_string_format(language, PR_S_SHORT_EXPECTED, one, other, (char *)NULL);
    free(other);
    free(one);
    return text;
}

/* ---- numbers ---- */

/* A text of pr_format_… as French writes it: a thin space for the comma, a comma for the point, o for B. */
static pr_number_t s_number(pr_report_language_t language, const char *english) {
    pr_number_t result = {""};
    size_t used = 0;
    for (const char *at = english; *at != '\0'; at++) {
        char single[2] = {*at, '\0'};
        const char *put = single;
        if (language == PR_LANGUAGE_FRENCH)
            put = *at == ',' ? S_NO_BREAK_THIN : *at == '.' ? "," : *at == ' ' ? S_NO_BREAK : *at == 'B' ? "o" : single;
        used += (size_t)snprintf(result.text + used, sizeof result.text - used, "%s", put);
    }
    return result;
}

pr_number_t pr_string_count(pr_report_language_t language, uint64_t count) {
    return s_number(language, pr_format_count(count).text);
}

pr_number_t pr_string_bytes(pr_report_language_t language, uint64_t bytes) {
    pr_number_t result = s_number(language, pr_format_bytes(bytes).text);
    char *kilo = language == PR_LANGUAGE_FRENCH ? strchr(result.text, 'K') : NULL;
    if (kilo != NULL)
        *kilo = 'k';
    return result;
}

pr_number_t pr_string_percent(pr_report_language_t language, uint64_t part, uint64_t whole) {
    return s_number(language, pr_format_percent(part, whole).text);
}

pr_number_t pr_string_seconds(pr_report_language_t language, double seconds) {
    return s_number(language, pr_format_seconds(seconds).text);
}
