/* SPDX-License-Identifier: MIT */
/* The list of failures and findings: bounds, codec, hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/failure.h"

static const pr_failure_t s_failure = {.kind = PR_FAILURE_MISMATCH,
                                       .stream = "modules",
                                       .table = "el_modules",
                                       .key = "audit_token='a4e1', module_id='S1-1'",
                                       .column = "comment",
                                       .expected = "NULL",
                                       .stored = "'null'",
                                       .source = 3,
                                       .offset = UINT64_C(5000000000)};

static const pr_finding_t s_finding = {.kind = "shared_parent_differs",
                                       .stream = "audits",
                                       .field = "projects.site_address",
                                       .detail = "token='x': 'Montr\xc3\xa9"
                                                 "al'",
                                       .count = UINT64_MAX,
                                       .source = UINT32_MAX,
                                       .ordinal = 70000};

static const pr_proof_tally_t s_tally = {.stream = "modules",
                                         .group = "a4e1",
                                         .value = "\xc3\xa9",
                                         .count = UINT64_C(5000000001),
                                         .rows = UINT64_C(1) << 40};

static pr_proof_list_t *s_list(void) {
    pr_proof_list_t *list = pr_proof_list_new(2);
    pr_failure_t failure = s_failure;
    pr_proof_list_add_failure(list, &failure);
    failure.kind = PR_FAILURE_WHOLE;
    failure.stored = "";
    pr_proof_list_add_failure(list, &failure);
    pr_proof_list_add_failure(list, &failure); /* counted, not kept */
    pr_proof_list_add_finding(list, &s_finding);
    pr_proof_list_add_tally(list, &s_tally);
    return list;
}

static void s_assert_failure(const pr_failure_t *a, const pr_failure_t *b) {
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->stream, b->stream);
    assert_string_equal(a->table, b->table);
    assert_string_equal(a->key, b->key);
    assert_string_equal(a->column, b->column);
    assert_string_equal(a->expected, b->expected);
    assert_string_equal(a->stored, b->stored);
    assert_int_equal(a->source, b->source);
    assert_true(a->offset == b->offset);
}

static void test_words(void **state) {
    (void)state;
    assert_string_equal(pr_failure_word(PR_FAILURE_MISMATCH), "mismatch");
    assert_string_equal(pr_failure_word(PR_FAILURE_MISSING), "missing");
    assert_string_equal(pr_failure_word(PR_FAILURE_EXTRA), "extra");
    assert_string_equal(pr_failure_word(PR_FAILURE_WHOLE), "whole");
    assert_string_equal(pr_failure_word(0), "unknown");
    assert_string_equal(pr_failure_word(5), "unknown");
}

static void test_round_trip(void **state) {
    (void)state;
    pr_proof_list_t *list = s_list();
    pr_proof_list_t *back = NULL;
    void *data = NULL;
    size_t size = 0;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_proof_list_pack(list, &data, &size), 0);
    assert_int_equal(pr_proof_list_unpack(data, size, &back, &err), 0);
    assert_int_equal(back->failures_total, 3);
    assert_int_equal(back->failures_count, 2);
    s_assert_failure(&back->failures[0], &list->failures[0]);
    s_assert_failure(&back->failures[1], &list->failures[1]);
    assert_string_equal(back->failures[1].stored, "");
    assert_int_equal(back->findings_count, 1);
    assert_string_equal(back->findings[0].kind, s_finding.kind);
    assert_string_equal(back->findings[0].stream, s_finding.stream);
    assert_string_equal(back->findings[0].field, s_finding.field);
    assert_string_equal(back->findings[0].detail, s_finding.detail);
    assert_true(back->findings[0].count == UINT64_MAX);
    assert_true(back->findings[0].source == UINT32_MAX);
    assert_true(back->findings[0].ordinal == 70000);
    assert_int_equal(back->tallies_count, 1);
    assert_string_equal(back->tallies[0].stream, "modules");
    assert_string_equal(back->tallies[0].group, "a4e1");
    assert_string_equal(back->tallies[0].value, "\xc3\xa9");
    assert_true(back->tallies[0].count == s_tally.count);
    assert_true(back->tallies[0].rows == s_tally.rows);
    free(data);
    pr_proof_list_destroy(&back);
    pr_proof_list_destroy(&list);
    assert_null(list);
    pr_proof_list_destroy(&list);
}

static void test_empty_and_many(void **state) {
    (void)state;
    pr_proof_list_t *list = pr_proof_list_new(70000);
    pr_proof_list_t *back = NULL;
    void *data = NULL;
    size_t size = 0;
    assert_int_equal(pr_proof_list_pack(list, &data, &size), 0);
    assert_int_equal(size, 5);
    assert_int_equal(pr_proof_list_unpack(data, size, &back, NULL), 0);
    assert_int_equal(back->failures_total, 0);
    pr_proof_list_destroy(&back);
    free(data);

    for (int i = 0; i < 70000; i++)
        pr_proof_list_add_failure(list, &s_failure);
    assert_int_equal(pr_proof_list_pack(list, &data, &size), 0);
    assert_int_equal(pr_proof_list_unpack(data, size, &back, NULL), 0);
    assert_int_equal(back->failures_count, 70000);
    s_assert_failure(&back->failures[69999], &s_failure);
    pr_proof_list_destroy(&back);
    free(data);
    pr_proof_list_clear(list);
    assert_int_equal(list->failures_total, 0);
    assert_int_equal(list->max, 70000);
    pr_proof_list_destroy(&list);
}

/* Cut off at every byte, and with every byte changed to every other value: refused or understood, never worse. */
static void test_hostile(void **state) {
    (void)state;
    pr_proof_list_t *list = s_list();
    void *data = NULL;
    size_t size = 0;
    pr_proof_list_pack(list, &data, &size);
    for (size_t cut = 0; cut < size; cut++) {
        pr_proof_list_t *back = NULL;
        pr_error_t err = PR_ERROR_INIT;
        char *memory = malloc(1 + cut); /* ends where the list does, so that a sanitizer sees every byte read too far */
        char *exact = memory + 1;
        memcpy(exact, data, cut);
        assert_int_equal(pr_proof_list_unpack(exact, cut, &back, &err), -PR_E_PROTOCOL);
        assert_null(back);
        char text[100];
        snprintf(text, sizeof text, "%zu bytes are not a list of failures, findings and tallies", cut);
        assert_string_equal(err.text, text);
        free(memory);
    }
    unsigned char *bytes = data;
    for (size_t at = 0; at < size; at++) {
        unsigned char original = bytes[at];
        for (unsigned value = 0; value < 256; value++) {
            pr_proof_list_t *back = NULL;
            bytes[at] = (unsigned char)value;
            int result = pr_proof_list_unpack(data, size, &back, NULL);
            assert_true(result == 0 || result == -PR_E_PROTOCOL);
            assert_true((result == 0) == (back != NULL));
            pr_proof_list_destroy(&back);
        }
        bytes[at] = original;
    }
    free(data);
    pr_proof_list_destroy(&list);
}

static void s_assert_refused(const void *data, size_t size) {
    pr_proof_list_t *back = NULL;
    assert_int_equal(pr_proof_list_unpack(data, size, &back, NULL), -PR_E_PROTOCOL);
    assert_null(back);
}

static void test_hostile_by_hand(void **state) {
    (void)state;
    s_assert_refused("\x94\x00\xdd\xff\xff\xff\xff", 7);         /* four thousand million failures promised */
    s_assert_refused("\x94\x00\x90\xdd\xff\xff\xff\xff", 8);     /* findings */
    s_assert_refused("\x94\x00\x90\x90\xdd\xff\xff\xff\xff", 9); /* tallies */
    s_assert_refused("\x93\x00\x90\x90", 4);                     /* as it was before there were tallies */
    s_assert_refused("\x94\x00\x90\x90\x90\x00", 6);             /* a byte too many */
    s_assert_refused("\x94\xff\x90\x90\x90", 5);                 /* a negative total */
    s_assert_refused("\x94\x00\x91\x99\x05\xa0\xa0\xa0\xa0\xa0\xa0\x00\x00\x90\x90", 15);     /* no such kind */
    s_assert_refused("\x94\x00\x91\x99\x01\xa0\xa0\xa0\xa0\xa0\xa0\x00\x00\x90\x90", 15);     /* more than the total */
    s_assert_refused("\x94\x01\x91\x99\x01\xa1\x00\xa0\xa0\xa0\xa0\xa0\x00\x00\x90\x90", 16); /* NUL in a text */
    pr_proof_list_t *back = NULL;
    assert_int_equal(
        pr_proof_list_unpack("\x94\x01\x91\x99\x01\xa1z\xa0\xa0\xa0\xa0\xa0\x00\x00\x90\x90", 16, &back, NULL), 0);
    assert_string_equal(back->failures[0].stream, "z");
    pr_proof_list_destroy(&back);
    /* Bytes that are no UTF-8 are replaced. */
    assert_int_equal(
        pr_proof_list_unpack("\x94\x01\x91\x99\x01\xa2\xc3z\xa0\xa0\xa0\xa0\xa0\x00\x00\x90\x90", 17, &back, NULL), 0);
    assert_string_equal(back->failures[0].stream, "?z");
    pr_proof_list_destroy(&back);
}

/* Findings and tallies of one name are one; failures can be taken out again. */
static void test_what_is_the_same_is_one(void **state) {
    (void)state;
    pr_proof_list_t *list = pr_proof_list_new(100);
    pr_finding_t finding = s_finding;
    for (uint64_t i = 1; i <= 3; i++) {
        finding.count = i;
        finding.detail = i == 1 ? "first" : "later";
        finding.ordinal = i;
        pr_proof_list_add_finding(list, &finding);
    }
    finding.field = "other";
    pr_proof_list_add_finding(list, &finding);
    assert_int_equal(list->findings_count, 2);
    assert_int_equal(list->findings[0].count, 6);
    assert_int_equal(list->findings[0].ordinal, 1);
    assert_string_equal(list->findings[0].detail, "first");
    for (int i = 0; i < 3000; i++) {
        char group[16];
        pr_proof_tally_t tally = {.stream = i % 2 == 0 ? "a" : "b", .group = group, .value = "", .count = 1};
        snprintf(group, sizeof group, "%d", i % 1500 / 2);
        pr_proof_list_add_tally(list, &tally);
    }
    assert_int_equal(list->tallies_count, 1500);
    for (size_t i = 0; i < list->tallies_count; i++)
        assert_int_equal(list->tallies[i].count, 2);
    pr_proof_list_destroy(&list);
}

static void test_remove(void **state) {
    (void)state;
    pr_proof_list_t *list = pr_proof_list_new(5);
    pr_failure_t failure = s_failure;
    const uint64_t none[PR_FAILURE_KINDS] = {0};
    const uint64_t two[PR_FAILURE_KINDS] = {[PR_FAILURE_MISMATCH] = 2};
    for (uint64_t i = 0; i < 8; i++) {
        failure.offset = i / 2;
        pr_proof_list_add_failure(list, &failure);
    }
    assert_int_equal(list->failures_count, 5);
    assert_int_equal(list->failures_by_kind[s_failure.kind], 8);
    pr_proof_list_remove(list, s_failure.source + 1, 1, none);
    assert_int_equal(list->failures_count, 5);
    pr_proof_list_remove(list, s_failure.source, 1, two);
    assert_int_equal(list->failures_count, 3);
    assert_int_equal(list->failures_total, 6);
    assert_int_equal(list->failures_by_kind[s_failure.kind], 6); /* what was explained is counted no more */
    assert_true(list->failures[0].offset == 0);
    assert_true(list->failures[2].offset == 2);
    /* Some of them were counted and not kept. */
    pr_proof_list_remove(list, s_failure.source, 2, two);
    assert_int_equal(list->failures_count, 2);
    assert_int_equal(list->failures_total, 4);
    pr_proof_list_remove(list, s_failure.source, 0, two);
    assert_int_equal(list->failures_count, 0);
    assert_int_equal(list->failures_total, 2);
    for (uint64_t i = 0; i < 5; i++)
        pr_proof_list_add_failure(list, &failure);
    assert_int_equal(list->failures_count, 5);
    s_assert_failure(&list->failures[4], &failure);
    pr_proof_list_destroy(&list);
}

static void test_texts_are_cut_between_characters(void **state) {
    (void)state;
    pr_proof_list_t *list = pr_proof_list_new(10);
    char text[5000];
    memset(text, 'x', sizeof text);
    memcpy(text + 4095, "\xc3\xa9", 2);
    text[sizeof text - 1] = '\0';
    pr_failure_t failure = s_failure;
    failure.stored = text;
    failure.expected = "\xed\xa0\x80|\xf4\x90\x80\x80|\xe0\x80\x80|\xf0\x9f\x98\x80|\xc3";
    pr_proof_list_add_failure(list, &failure);
    assert_int_equal(strlen(list->failures[0].stored), 4095);
    assert_string_equal(list->failures[0].expected, "???|????|???|\xf0\x9f\x98\x80|?");
    pr_proof_list_destroy(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_empty_and_many),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_what_is_the_same_is_one),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_hostile_by_hand),
        cmocka_unit_test(test_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
