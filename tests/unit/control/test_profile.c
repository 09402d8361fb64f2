/* SPDX-License-Identifier: MIT */
/* What each stage of a run costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "control/profile.h"

static void s_expect(const pr_profile_t *profile, unsigned processors, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    pr_profile_print(profile, processors, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static pr_msg_counters_t s_counters(uint64_t records, uint64_t working_us, uint64_t wait_input_us,
                                    uint64_t wait_output_us) {
    return (pr_msg_counters_t){.start_ms = 1,
                               .records_read = records,
                               .working_us = working_us,
                               .wait_input_us = wait_input_us,
                               .wait_output_us = wait_output_us,
                               .last = 1};
}

static void s_hear_reader(pr_profile_t *profile) {
    pr_msg_counters_t reader = s_counters(0, 500000, 100000, 2400000);
    reader.records_read = 300000;
    pr_profile_counters(profile, PR_STAGE_READER, 1, &reader);
    pr_profile_ended(profile, PR_STAGE_READER, 1, 400000);
}

static void s_hear_last_two(pr_profile_t *profile) {
    pr_msg_counters_t writer = s_counters(300000, 2610000, 190000, 200000);
    pr_msg_counters_t validator = s_counters(300000, 1500000, 1500000, 0);
    pr_profile_counters(profile, PR_STAGE_WRITER, 1, &writer);
    pr_profile_counters(profile, PR_STAGE_VALIDATOR, 1, &validator);
    pr_profile_ended(profile, PR_STAGE_WRITER, 1, 2400000);
    pr_profile_ended(profile, PR_STAGE_VALIDATOR, 1, 1450000);
}

static void test_the_table(void **state) {
    (void)state;
    pr_profile_t *profile = pr_profile_new(1, 7000000);
    pr_msg_counters_t transformer = s_counters(300000, 700000, 2300000, 0);
    s_hear_reader(profile);
    pr_profile_counters(profile, PR_STAGE_TRANSFORMER, 1, &transformer);
    pr_profile_ended(profile, PR_STAGE_TRANSFORMER, 1, 600000);
    s_hear_last_two(profile);
    pr_profile_state(profile, PR_PROGRESS_AWAITING_PLAN, 7100000);
    pr_profile_state(profile, PR_PROGRESS_STREAMING, 7310000);
    pr_profile_state(profile, PR_PROGRESS_STREAMING, 9000000); /* only the first time counts */
    pr_profile_state(profile, PR_PROGRESS_PROVING, 9310000);
    pr_profile_state(profile, PR_PROGRESS_COMPLETE, 10010000);
    pr_profile_state(profile, 255, 10010000); /* no state that there is */
    pr_profile_finish(profile, 10100000);
    s_expect(profile, 2,
             "\n"
             "stage        records  CPU s  CPU µs/record  rec/s at 100 % CPU  working s  awaiting input s  awaiting "
             "output s\n"
             "reader       300,000  0.400           1.33             750,000      0.500             0.100              "
             "2.400\n"
             "transformer  300,000  0.600           2.00             500,000      0.700             2.300              "
             "0.000\n"
             "writer       300,000  2.400           8.00             125,000      2.610             0.190              "
             "0.200\n"
             "validator    300,000  1.450           4.83             206,897      1.500             1.500              "
             "0.000\n"
             "\n"
             "The bottleneck is the writer: at work 87.0 % of its time, 2.610 s, longer than any other.\n"
             "All stages together took 4.850 s of CPU: 1.56 of 2 processors.\n"
             "The run took 3.100 s: 0.310 s to look through the exports, 2.000 s to commit all records, "
             "0.700 s to build indexes and finish the proof, 0.090 s to leave.\n");
    pr_profile_destroy(&profile);
    assert_null(profile);
    pr_profile_destroy(&profile);
    pr_profile_destroy(NULL);
}

/* Several transformers: a row each, and their sum. */
static void test_transformers_are_added_up(void **state) {
    (void)state;
    pr_profile_t *profile = pr_profile_new(2, 0);
    pr_msg_counters_t one = s_counters(100000, 2700000, 300000, 0);
    pr_msg_counters_t two = s_counters(200000, 1000000, 1000000, 1000000);
    s_hear_reader(profile);
    pr_profile_counters(profile, PR_STAGE_TRANSFORMER, 1, &one);
    pr_profile_counters(profile, PR_STAGE_TRANSFORMER, 2, &two);
    pr_profile_ended(profile, PR_STAGE_TRANSFORMER, 1, 200000);
    pr_profile_ended(profile, PR_STAGE_TRANSFORMER, 2, 400000);
    s_hear_last_two(profile);
    pr_profile_counters(profile, PR_STAGE_TRANSFORMER, 3, &one); /* there is none */
    pr_profile_ended(profile, PR_STAGE_TRANSFORMER, 0, 5);
    pr_profile_finish(profile, 3000000);
    s_expect(profile, 1,
             "\n"
             "stage          records  CPU s  CPU µs/record  rec/s at 100 % CPU  working s  awaiting input s  awaiting "
             "output s\n"
             "reader         300,000  0.400           1.33             750,000      0.500             0.100            "
             "  2.400\n"
             "transformer-1  100,000  0.200           2.00             500,000      2.700             0.300            "
             "  0.000\n"
             "transformer-2  200,000  0.400           2.00             500,000      1.000             1.000            "
             "  1.000\n"
             "transformers   300,000  0.600           2.00             500,000      3.700             1.300            "
             "  1.000\n"
             "writer         300,000  2.400           8.00             125,000      2.610             0.190            "
             "  0.200\n"
             "validator      300,000  1.450           4.83             206,897      1.500             1.500            "
             "  0.000\n"
             "\n"
             "The bottleneck is transformer-1: at work 90.0 % of its time, 2.700 s, longer than any other.\n"
             "All stages together took 4.850 s of CPU: 1.62 of 1 processor.\n"
             "The run took 3.000 s.\n");
    pr_profile_destroy(&profile);
}

/* A stage that was started again counts from 0; what it had counted before is not lost, nor told twice. */
static void test_a_stage_that_was_started_again(void **state) {
    (void)state;
    pr_profile_t *profile = pr_profile_new(1, 0);
    for (uint64_t life = 1; life <= 3; life++) {
        pr_msg_counters_t early = s_counters(10 * life, 1000, 1000, 1000);
        pr_msg_counters_t late = s_counters(1000 * life, 1000000, 200000, 30000);
        early.start_ms = late.start_ms = 77 + life;
        early.last = 0;
        late.last = life == 3;
        pr_profile_counters(profile, PR_STAGE_WRITER, 1, &early);
        pr_profile_counters(profile, PR_STAGE_WRITER, 1, &late);
        pr_profile_ended(profile, PR_STAGE_WRITER, 1, 500000);
    }
    pr_profile_finish(profile, 4000000);
    s_expect(profile, 4,
             "\n"
             "stage        records  CPU s  CPU µs/record  rec/s at 100 % CPU  working s  awaiting input s  awaiting "
             "output s\n"
             "reader             -  0.000              -                   -          -                 -              "
             "    -\n"
             "transformer        -  0.000              -                   -          -                 -              "
             "    -\n"
             "writer         6,000  1.500         250.00               4,000      3.000             0.600              "
             "0.090\n"
             "validator          -  0.000              -                   -          -                 -              "
             "    -\n"
             "\n"
             "The bottleneck is the writer: at work 81.3 % of its time, 3.000 s, longer than any other.\n"
             "All stages together took 1.500 s of CPU: 0.38 of 4 processors.\n"
             "The run took 4.000 s.\n");
    pr_profile_destroy(&profile);
}

/* The last COUNTERS are waited for from whoever was heard, and from nobody else. */
static void test_the_last_ones_are_awaited(void **state) {
    (void)state;
    pr_profile_t *profile = pr_profile_new(1, 0);
    pr_msg_counters_t counters = s_counters(1, 1, 1, 1);
    assert_false(pr_profile_awaits_last(profile));
    counters.last = 0;
    pr_profile_counters(profile, PR_STAGE_READER, 1, &counters);
    assert_true(pr_profile_awaits_last(profile));
    counters.last = 1;
    pr_profile_counters(profile, PR_STAGE_VALIDATOR, 1, &counters);
    assert_true(pr_profile_awaits_last(profile));
    pr_profile_counters(profile, PR_STAGE_READER, 1, &counters);
    assert_false(pr_profile_awaits_last(profile));
    counters.start_ms = 2; /* it was started again */
    counters.last = 0;
    pr_profile_counters(profile, PR_STAGE_READER, 1, &counters);
    assert_true(pr_profile_awaits_last(profile));
    pr_profile_destroy(&profile);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_transformers_are_added_up),
        cmocka_unit_test(test_a_stage_that_was_started_again),
        cmocka_unit_test(test_the_last_ones_are_awaited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
