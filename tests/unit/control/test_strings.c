/* SPDX-License-Identifier: MIT */
/* control/strings.h: nothing is missing or untranslated, French is French, and sentences are put together right. */
#include "control/strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/reject.h"
#include "common/rows.h"
#include "common/text.h"

#define NB   "\xC2\xA0"
#define THIN "\xE2\x80\xAF"

/* The English sentences of common/reject.h and common/rows.h. */
#define X(name, number, word, sentence) static const char S_REJECT_##name[] = sentence;
PR_REJECTS(X)
#undef X
#define X(name, number, word, sentence) static const char S_NOTE_##name[] = sentence;
PR_NOTES(X)
#undef X

static const struct {
    const char *key;
    const char *texts[PR_LANGUAGES];
} s_all[] = {
#define X(key, english, french) {#key, {english, french}},
    PR_STRINGS(X) PR_STRINGS_FINDINGS(X) PR_STRINGS_FAILURES(X)
#undef X
#define X(name, french) {#name, {S_REJECT_##name, french}},
        PR_STRINGS_REJECTS(X)
#undef X
#define X(name, french) {#name, {S_NOTE_##name, french}},
            PR_STRINGS_NOTES(X)
#undef X
#define X(english, french) {english, {english, french}},
                PR_STRINGS_PHRASES(X)
#undef X
};
enum { s_count = sizeof s_all / sizeof s_all[0] };

/* Words that English and French write alike. */
static bool s_is_same_in_both(const char *key) {
    static const char *const same[] = {"TOTAL", "HEAD_DATE", "T_TABLE", "T_VERSION"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (strcmp(same[i], key) == 0)
            return true;
    }
    return false;
}

static void test_none_is_missing_or_untranslated(void **state) {
    (void)state;
    for (size_t i = 0; i < s_count; i++) {
        for (int language = 0; language < PR_LANGUAGES; language++) {
            char *clean = pr_text_escape(s_all[i].texts[language]);
            assert_string_not_equal(s_all[i].texts[language], "");
            assert_string_equal(s_all[i].texts[language], clean);
            free(clean);
        }
        bool same = strcmp(s_all[i].texts[0], s_all[i].texts[1]) == 0;
        if (same != s_is_same_in_both(s_all[i].key))
            fail_msg("%s: %s", s_all[i].key, s_all[i].texts[1]);
    }
    assert_int_equal(PR_STRINGS_COUNT > 100, true);
}

/* A bit for each argument that a text has a place for. Fails on a place that is none. */
static unsigned s_places(const char *text) {
    unsigned places = 0;
    for (const char *at = text; (at = strchr(at, '{')) != NULL; at++) {
        const char *end = strchr(at, '}');
        assert_non_null(end);
        assert_true(at[1] >= '1' && at[1] <= '9');
        if (at[2] == ':')
            assert_true(memchr(at, '|', (size_t)(end - at)) != NULL);
        else
            assert_ptr_equal(at + 2, end);
        places |= 1U << (at[1] - '0');
    }
    return places;
}

static void test_both_languages_have_the_same_places(void **state) {
    (void)state;
    for (size_t i = 0; i < s_count; i++) {
        unsigned english = s_places(s_all[i].texts[PR_LANGUAGE_ENGLISH]);
        if (english != s_places(s_all[i].texts[PR_LANGUAGE_FRENCH]))
            fail_msg("%s", s_all[i].key);
        assert_int_equal(english & (english + 2), 0); /* from {1} on, without gaps */
    }
}

/* Is the word at `at` whole? */
static bool s_is_letter(char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (unsigned char)character >= 0x80;
}

static void s_check_accents(const char *text) {
    static const char *const wrong[] = {
        "acceptes",  "achevee",   "annulee",   "apres",    "calculees",    "cle",         "controle",  "controles",
        "cree",      "creees",    "creer",     "decrit",   "deja",         "declare",     "declaree",  "defini",
        "differe",   "donnees",   "duree",     "ecart",    "ecarts",       "echec",       "ecrits",    "egal",
        "egales",    "entree",    "etaient",   "etait",    "etat",         "ete",         "etre",      "executif",
        "execution", "exporte",   "exportes",  "gardee",   "inacheve",     "inchanges",   "inseree",   "inserees",
        "integre",   "integrite", "meme",      "memes",    "modifie",      "modifiee",    "modifiees", "numero",
        "operateur", "partagees", "plutot",    "prepare",  "present",      "recalculees", "reference", "references",
        "refere",    "referent",  "reessayes", "rejete",   "rejetes",      "repartition", "repetez",   "repond",
        "resume",    "scelle",    "scellee",   "stocke",   "stockee",      "termine",     "traite",    "utilisee",
        "validees",  "valides",   "verifie",   "verifies", "verification", "verifier"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t size = strlen(wrong[i]);
        for (const char *at = text; (at = strcasestr(at, wrong[i])) != NULL; at++) {
            if ((at == text || !s_is_letter(at[-1])) && !s_is_letter(at[size]))
                fail_msg("%s, in: %s", wrong[i], text);
        }
    }
}

/* A blank goes before : ; ! ? % and », and after «; times and places for arguments apart. */
static void s_check_blanks(const char *text) {
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '{')
            at = strchr(at, '}');
        bool tied = strchr(":;!?%", *at) != NULL || strncmp(at, "»", 2) == 0;
        if (tied && (at == text || at[-1] != ' '))
            fail_msg("no blank before %s", at);
        if (strncmp(at, "«", 2) == 0 && at[2] != ' ')
            fail_msg("no blank after %s", at);
    }
}

static void test_french_is_written_as_french(void **state) {
    (void)state;
    size_t accents = 0;
    for (size_t i = 0; i < s_count; i++) {
        const char *text = s_all[i].texts[PR_LANGUAGE_FRENCH];
        s_check_accents(text);
        s_check_blanks(text);
        for (const char *at = text; *at != '\0'; at++)
            accents += (unsigned char)*at == 0xC3;
        assert_null(strchr(text, '"'));
    }
    assert_true(accents > s_count / 2);
}

static void test_every_word_of_the_books_has_its_sentence(void **state) {
    (void)state;
    for (unsigned reason = 1; reason < PR_REJECT_REASONS; reason++) {
        assert_string_equal(pr_string_reject(PR_LANGUAGE_ENGLISH, pr_reject_word(reason)), pr_reject_sentence(reason));
        assert_non_null(pr_string_reject(PR_LANGUAGE_FRENCH, pr_reject_word(reason)));
    }
    for (unsigned note = 1; note < PR_NOTE_KINDS; note++) {
        assert_string_equal(pr_string_finding(PR_LANGUAGE_ENGLISH, pr_note_word(note)), pr_note_sentence(note));
        assert_non_null(pr_string_finding(PR_LANGUAGE_FRENCH, pr_note_word(note)));
    }
    static const char *const failures[] = {"mismatch", "missing", "extra", "whole"};
    for (size_t i = 0; i < 4; i++)
        assert_non_null(pr_string_failure(PR_LANGUAGE_FRENCH, failures[i]));
    assert_null(pr_string_reject(PR_LANGUAGE_FRENCH, "moon"));
    assert_null(pr_string_finding(PR_LANGUAGE_FRENCH, "moon"));
    assert_null(pr_string_failure(PR_LANGUAGE_FRENCH, "moon"));
    assert_string_equal(pr_string_reject(PR_LANGUAGE_FRENCH, "duplicate_key"),
                        "un champ figure deux fois dans l'enregistrement");
    assert_string_equal(pr_language_words[PR_LANGUAGE_ENGLISH], "en");
    assert_string_equal(pr_language_words[PR_LANGUAGE_FRENCH], "fr");
    assert_null(pr_language_words[PR_LANGUAGES]);
}

/* Does a sentence come out like this? Takes text. */
static void s_is(char *text, const char *expected) {
    assert_string_equal(text, expected);
    free(text);
}

static void test_sentences_are_put_together(void **state) {
    (void)state;
    s_is(pr_string_format(PR_LANGUAGE_ENGLISH, PR_S_ANSWER_IN, "1", "2", "3 KB", (char *)NULL),
         "1 record of 2 files, 3 KB");
    s_is(pr_string_format(PR_LANGUAGE_ENGLISH, PR_S_ANSWER_IN, "0", "1", "3 KB", (char *)NULL),
         "0 records of 1 file, 3 KB");
    s_is(pr_string_format(PR_LANGUAGE_FRENCH, PR_S_ANSWER_IN, "0", "2", "3 ko", (char *)NULL),
         "0 enregistrement de 2 fichiers, 3 ko");
    s_is(pr_string_format(PR_LANGUAGE_FRENCH, PR_S_SHORT_EXPECTED, "'a : {1} %'", "2", (char *)NULL),
         NB ": attendu 'a : {1} %', stocké 2");
    s_is(pr_string_format(PR_LANGUAGE_FRENCH, PR_S_ANSWER_FINDINGS, "3", (char *)NULL),
         NB "; 3 types de constats à lire");
    s_is(pr_string_format(PR_LANGUAGE_FRENCH, PR_S_FAILED_MD, "1", (char *)NULL),
         "Terminé, mais ce n'est pas ce qui a été exporté" NB ": 1 écart. N'utilisez pas cette base cible avant de "
         "l'avoir compris.");
    s_is(pr_string_byte(PR_LANGUAGE_ENGLISH, "a.json", 1234567), "a.json, byte 1234567");
    s_is(pr_string_byte(PR_LANGUAGE_FRENCH, "a.json", 1234567), "a.json, octet 1234567");
    s_is(pr_string_format(PR_LANGUAGE_ENGLISH, PR_S_ACCOUNTS, (char *)NULL), "read = written + unchanged + rejected");
}

static void test_details_are_put_in_french_outside_of_quotes(void **state) {
    (void)state;
    static const char detail[] = "name='declares a row; there are' declares 3 × 4, there are 2 × 1 to 5";
    s_is(pr_string_detail(PR_LANGUAGE_ENGLISH, detail), detail);
    s_is(pr_string_detail(PR_LANGUAGE_FRENCH, detail),
         "name='declares a row; there are' déclare 3 × 4, il y en a 2 × 1 à 5");
    s_is(pr_string_detail(PR_LANGUAGE_FRENCH, "'it''s to be' to total, a_row, none"),
         "'it''s to be' à total, a_row, aucune");
    s_is(pr_string_detail(PR_LANGUAGE_FRENCH, "a row of users"), "une ligne de users");
    s_is(pr_string_detail(PR_LANGUAGE_FRENCH, "k='a record': source 1, record 2, byte 30 is overwritten by source 1, "
                                              "record 3, byte 60"),
         "k='a record': source 1, enregistrement 2, octet 30 est remplacé par source 1, enregistrement 3, octet "
         "60");
    s_is(pr_string_detail(PR_LANGUAGE_FRENCH, ""), "");
}

static void test_numbers(void **state) {
    (void)state;
    assert_string_equal(pr_string_count(PR_LANGUAGE_ENGLISH, 1234567).text, "1,234,567");
    assert_string_equal(pr_string_count(PR_LANGUAGE_FRENCH, 1234567).text, "1" THIN "234" THIN "567");
    assert_string_equal(pr_string_count(PR_LANGUAGE_FRENCH, UINT64_MAX).text,
                        "18" THIN "446" THIN "744" THIN "073" THIN "709" THIN "551" THIN "615");
    assert_string_equal(pr_string_bytes(PR_LANGUAGE_ENGLISH, 238012).text, "238 KB");
    assert_string_equal(pr_string_bytes(PR_LANGUAGE_FRENCH, 238012).text, "238" NB "ko");
    assert_string_equal(pr_string_bytes(PR_LANGUAGE_FRENCH, 12).text, "12" NB "o");
    assert_string_equal(pr_string_bytes(PR_LANGUAGE_FRENCH, 1234567890).text, "1,2" NB "Go");
    assert_string_equal(pr_string_percent(PR_LANGUAGE_ENGLISH, 58, 462).text, "12.6");
    assert_string_equal(pr_string_percent(PR_LANGUAGE_FRENCH, 58, 462).text, "12,6");
    assert_string_equal(pr_string_percent(PR_LANGUAGE_FRENCH, 0, 0).text, "-");
    assert_string_equal(pr_string_seconds(PR_LANGUAGE_FRENCH, 0.157).text, "0,157");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_missing_or_untranslated),
        cmocka_unit_test(test_both_languages_have_the_same_places),
        cmocka_unit_test(test_french_is_written_as_french),
        cmocka_unit_test(test_every_word_of_the_books_has_its_sentence),
        cmocka_unit_test(test_sentences_are_put_together),
        cmocka_unit_test(test_details_are_put_in_french_outside_of_quotes),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
