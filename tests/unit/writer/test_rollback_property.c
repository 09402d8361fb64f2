/* SPDX-License-Identifier: MIT */
/* The promise of a rollback, on hundreds of seeded histories: back at a checkpoint everything is as it was when that
 * checkpoint was made, and going forward again leads to the same end. */

/*  DESIGN
 *
 *  PVRELAY_CASES (default 210) cases from PVRELAY_SEED (default 1) on. Each: a target with rows of its own (made by our
 *  migrations, or by the HUB's, with triggers); two to four runs of generated exports on top, with inserts, updates,
 *  rejects, some runs left unfinished; then once or twice: one to three rollbacks in a row, each to a chance point,
 *  checked against the mark that was taken there, and the script played on to its end, checked against the first end.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "rollback_world.h"
#include "tests/unit/chance.h"

enum { s_cases_default = 210 };

static rw_shared_t s_shared;

/* What the cases did, so that a test that tries nothing cannot pass. */
static struct {
    uint64_t marks, rollbacks, nothing, reopened, whole, partly, mid_run, proving, with_theirs, kept_counters, dry,
        rejects, restored, digests, foreign;
} s_did;

/* What is expected of a rollback to the mark with this index (-1: before the first). */
typedef struct {
    pr_rollback_point_t point;
    int64_t at;
    uint64_t checkpoints; /* that go */
    bool undoes_own;      /* checkpoints of the point's own run are among them */
    bool reopens;         /* the point's run goes on */
    char *theirs;
    char *before;                /* what was there, all of it */
    int64_t newest;              /* live checkpoint before */
    int64_t counters[RW_SHARED]; /* as they should be after it */
    char **books;                /* of the runs up to the point's, before it; index: run */
    int64_t runs;
} s_expected_t;

static int64_t s_run_state_is(const rw_case_t *the_case, int64_t run, const char *state) {
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pvrelay_run WHERE run = ?1 AND state = '%s'", state);
    return rw_ask(the_case, sql, run);
}

static void s_choose_point(rw_case_t *the_case, s_expected_t *expected) {
    int64_t marks = (int64_t)the_case->marks_count;
    expected->at = (int64_t)rw_chance(the_case, (uint64_t)marks + 1) - 1;
    if (expected->at < 0)
        return;
    const rw_mark_t *mark = &the_case->marks[expected->at];
    bool last_of_run = expected->at + 1 == marks || the_case->marks[expected->at + 1].run != mark->run;
    bool start_of_later = last_of_run && expected->at + 1 < marks && rw_chance(the_case, 2) == 0;
    expected->point =
        (pr_rollback_point_t){.checkpoint = mark->checkpoint, .run = mark->run, .reopen = !start_of_later};
    expected->undoes_own = !last_of_run;
    expected->reopens = !start_of_later && (!last_of_run || s_run_state_is(the_case, mark->run, "abandoned") == 1);
}

/* A counter goes back, newest commit first, as long as it is what the commit left. */
static int64_t s_expect_counter(const rw_case_t *the_case, int64_t at, size_t table) {
    int64_t counter = rw_counter(the_case, table);
    for (int64_t i = (int64_t)the_case->marks_count - 1; i > at; i--) {
        const rw_mark_t *mark = &the_case->marks[i];
        if (mark->before[table] != mark->after[table] && counter == mark->after[table])
            counter = mark->before[table];
    }
    return counter;
}

static s_expected_t s_expect(rw_case_t *the_case) {
    s_expected_t expected = {.at = -1};
    s_choose_point(the_case, &expected);
    expected.checkpoints = the_case->marks_count - (uint64_t)(expected.at + 1);
    expected.newest = the_case->marks_count == 0 ? 0 : the_case->marks[the_case->marks_count - 1].checkpoint;
    expected.theirs = rw_dump_theirs(the_case);
    expected.before = rw_dump(the_case, false);
    for (size_t i = 0; i < RW_SHARED; i++)
        expected.counters[i] = s_expect_counter(the_case, expected.at, i);
    expected.runs = rw_ask(the_case, "SELECT count(*) FROM pvrelay_run", 0);
    expected.books = pr_xcalloc((size_t)expected.runs + 1, sizeof *expected.books);
    for (int64_t run = 1; run <= expected.runs; run++)
        expected.books[run] = rw_books(the_case, run);
    return expected;
}

static void s_expected_clear(s_expected_t *expected) {
    for (int64_t run = 1; run <= expected->runs; run++)
        free(expected->books[run]);
    free(expected->books);
    free(expected->theirs);
    free(expected->before);
}

static void s_check_report(const rw_case_t *the_case, const s_expected_t *expected,
                           const pr_rollback_report_t *report) {
    RW_CHECK(the_case, report->checkpoints == expected->checkpoints);
    RW_CHECK(the_case, report->conflicts_total == 0 && report->conflicts_count == 0);
    RW_CHECK(the_case, report->from == expected->newest);
    RW_CHECK(the_case, report->to == expected->point.checkpoint);
    uint64_t checkpoints = 0;
    for (size_t i = 0; i < report->runs_count; i++) {
        const pr_rollback_run_t *run = &report->runs[i];
        checkpoints += run->checkpoints;
        RW_CHECK(the_case, i == 0 || report->runs[i - 1].number < run->number);
        RW_CHECK(the_case, run->whole == (run->number != expected->point.run));
    }
    RW_CHECK(the_case, checkpoints == expected->checkpoints);
    for (size_t i = 0; i < report->tables_count; i++) {
        RW_CHECK(the_case, report->tables[i].left == 0);
        RW_CHECK(the_case, i == 0 || strcmp(report->tables[i - 1].table, report->tables[i].table) < 0);
        s_did.restored += report->tables[i].restored;
        s_did.kept_counters += report->tables[i].sequence_kept;
        RW_CHECK(the_case, !report->tables[i].sequence_kept || the_case->others);
    }
}

/* The books: of runs that stay, of the one that goes on, of those that are taken back. */
static void s_check_books(const rw_case_t *the_case, const s_expected_t *expected) {
    for (int64_t run = 1; run <= expected->runs; run++) {
        char *books = rw_books(the_case, run);
        const rw_mark_t *mark = expected->at < 0 ? NULL : &the_case->marks[expected->at];
        bool had = strstr(expected->books[run], "checkpoint: ") != NULL;
        if (run == expected->point.run && expected->reopens && mark != NULL)
            rw_assert_same(the_case, "what the books have about the run that goes on", mark->books, books);
        else if (run <= expected->point.run)
            rw_assert_same(the_case, "what the books have about a run that stays", expected->books[run], books);
        else if (had && s_run_state_is(the_case, run, "abandoned") != 1)
            rw_fail(the_case, "run %" PRId64 " was taken back, but is not abandoned", run);
        free(books);
    }
    RW_CHECK(the_case,
             rw_ask(the_case,
                    "SELECT count(*) FROM pvrelay_undo JOIN pvrelay_checkpoint USING (checkpoint) WHERE run > ?1",
                    expected->point.run) == 0);
    RW_CHECK(the_case,
             rw_ask(the_case, "SELECT count(*) FROM pvrelay_touched WHERE run > ?1", expected->point.run) == 0);
    RW_CHECK(the_case, rw_ask(the_case, "SELECT count(*) FROM pvrelay_made WHERE run > ?1", expected->point.run) == 0);
    RW_CHECK(the_case,
             rw_ask(the_case,
                    "SELECT count(*) FROM pvrelay_row_digest JOIN pvrelay_checkpoint USING (checkpoint) WHERE run > ?1",
                    expected->point.run) == 0);
    RW_CHECK(the_case,
             rw_ask(the_case,
                    "SELECT count(*) FROM (SELECT checkpoint FROM pvrelay_tally UNION ALL SELECT checkpoint FROM "
                    "pvrelay_proof_finding) WHERE checkpoint NOT IN (SELECT checkpoint FROM pvrelay_checkpoint) "
                    "AND ?1 >= 0",
                    expected->point.run) == 0);
    RW_CHECK(the_case, rw_ask(the_case,
                              "SELECT count(*) FROM pvrelay_run WHERE run > ?1 AND rolled_back_at IS NULL AND run IN "
                              "(SELECT run FROM pvrelay_checkpoint)",
                              expected->point.run) == 0);
    RW_CHECK(the_case, rw_ask(the_case,
                              "SELECT count(*) FROM pvrelay_run WHERE run <= ?1 AND rolled_back_at IS NOT NULL AND "
                              "run IN (SELECT max(run) FROM pvrelay_run WHERE run = ?1)",
                              expected->point.run) == 0);
}

static void s_check_after(const rw_case_t *the_case, const s_expected_t *expected, const char *first) {
    char *found = rw_dump(the_case, false);
    rw_assert_same(the_case, "the dump", expected->at < 0 ? first : the_case->marks[expected->at].dump, found);
    free(found);
    found = rw_dump_theirs(the_case);
    rw_assert_same(the_case, "what others wrote", expected->theirs, found);
    free(found);
    for (size_t i = 0; i < RW_SHARED; i++) {
        int64_t counter = rw_counter(the_case, i);
        if (counter != expected->counters[i])
            rw_fail(the_case, "id counter %zu: expected %" PRId64 ", found %" PRId64, i, expected->counters[i],
                    counter);
        if (the_case->theirs == 0 && expected->at >= 0)
            RW_CHECK(the_case, counter == the_case->marks[expected->at].after[i]);
    }
    s_check_books(the_case, expected);
    RW_CHECK(the_case, rw_ask(the_case, "SELECT count(*) FROM pragma_foreign_key_check", 0) == 0);
}

/* The case goes on from the point. */
static void s_settle(rw_case_t *the_case, const s_expected_t *expected) {
    while ((int64_t)the_case->marks_count > expected->at + 1) {
        rw_mark_t *mark = &the_case->marks[--the_case->marks_count];
        free(mark->dump);
        free(mark->books);
    }
    the_case->goes_on = 0;
    the_case->next = 0;
    if (expected->at < 0)
        return;
    const rw_mark_t *mark = &the_case->marks[expected->at];
    the_case->next = mark->entry + 1;
    bool unfinished =
        s_run_state_is(the_case, mark->run, "streaming") + s_run_state_is(the_case, mark->run, "proving") == 1;
    RW_CHECK(the_case, unfinished || !expected->reopens);
    if (unfinished) {
        the_case->goes_on = mark->run;
        the_case->goes_on_entry = mark->entry;
    }
    s_did.proving += (uint64_t)s_run_state_is(the_case, mark->run, "proving");
}

static void s_try(rw_case_t *the_case, const s_expected_t *expected, bool dry) {
    pr_rollback_options_t options = {.dry_run = dry, .reason = PR_ROLLBACK_OPERATOR, .outcome = -1};
    pr_rollback_report_t *report = NULL;
    pr_error_t err = PR_ERROR_INIT;
    rw_look_away(the_case);
    int result = pr_rollback(the_case->path, &expected->point, &options, &report, &err);
    if (result < 0)
        rw_fail(the_case, "rollback to checkpoint %" PRId64 " of run %" PRId64 ": %s: %s", expected->point.checkpoint,
                expected->point.run, pr_error_name(result), err.text);
    rw_look(the_case);
    s_check_report(the_case, expected, report);
    pr_rollback_report_destroy(&report);
}

static void s_roll_back(rw_case_t *the_case, const char *first) {
    s_expected_t expected = s_expect(the_case);
    if (rw_chance(the_case, 4) == 0) {
        s_try(the_case, &expected, true);
        char *now = rw_dump(the_case, false);
        rw_assert_same(the_case, "the dump after a dry run", expected.before, now);
        free(now);
        for (int64_t run = 1; run <= expected.runs; run++) {
            now = rw_books(the_case, run);
            rw_assert_same(the_case, "the books after a dry run", expected.books[run], now);
            free(now);
        }
        s_did.dry++;
    }
    s_try(the_case, &expected, false);
    s_check_after(the_case, &expected, first);
    s_did.rollbacks++;
    s_did.nothing += expected.checkpoints == 0;
    s_did.reopened += expected.reopens;
    s_did.mid_run += expected.undoes_own;
    s_did.whole += expected.at < 0;
    s_did.partly += expected.at >= 0 && expected.checkpoints > 0;
    s_did.with_theirs += *expected.theirs != '\0';
    s_settle(the_case, &expected);
    s_expected_clear(&expected);
}

/*  Others write rows of their own only: whatever was taken back, no row that we wrote is taken for changed by them. What was
 *  there before us is theirs, and overwritten. */
static void s_check_nothing_foreign(const rw_case_t *the_case) {
    RW_CHECK(the_case,
             rw_ask(the_case, "SELECT count(*) FROM pvrelay_reject WHERE reason = 'changed_in_target'", 0) == 0);
    RW_CHECK(the_case,
             rw_ask(the_case,
                    "SELECT count(*) FROM pvrelay_foreign_change WHERE detail NOT LIKE '%was not written by%'",
                    0) == 0);
    s_did.digests += (uint64_t)rw_ask(the_case, "SELECT count(*) FROM pvrelay_row_digest", 0);
    s_did.foreign += (uint64_t)rw_ask(the_case, "SELECT count(*) FROM pvrelay_foreign_change", 0);
}

static void s_play_case(uint64_t seed) {
    rw_case_t the_case;
    rw_case_make(&s_shared, seed, &the_case);
    rw_look(&the_case);
    char *first = rw_dump(&the_case, false);
    rw_play(&the_case);
    s_check_nothing_foreign(&the_case);
    char *end = rw_dump(&the_case, false);
    char *loose_end = rw_dump(&the_case, true);
    s_did.marks += the_case.marks_count;
    s_did.rejects += (uint64_t)rw_ask(&the_case, "SELECT count(*) FROM pvrelay_reject", 0);
    for (uint64_t turn = 1 + rw_chance(&the_case, 2); turn > 0; turn--) {
        for (uint64_t times = 1 + rw_chance(&the_case, 3); times > 0; times--)
            s_roll_back(&the_case, first);
        rw_play(&the_case);
        s_check_nothing_foreign(&the_case);
        bool loose = the_case.theirs > 0;
        char *again = rw_dump(&the_case, loose);
        rw_assert_same(&the_case, "the end, when played again", loose ? loose_end : end, again);
        free(again);
    }
    RW_CHECK(&the_case, rw_ask(&the_case, "SELECT count(*) FROM pragma_quick_check WHERE quick_check = 'ok'", 0) == 1);
    rw_case_remove(&the_case);
    free(first);
    free(end);
    free(loose_end);
}

static void test_back_and_forth(void **state) {
    (void)state;
    uint64_t seed = pr_test_setting("PVRELAY_SEED", 1);
    uint64_t cases = pr_test_setting("PVRELAY_CASES", s_cases_default);
    for (uint64_t i = 0; i < cases; i++)
        s_play_case(seed + i);
    printf("%" PRIu64 " cases, %" PRIu64 " commits at first, %" PRIu64 " rejects; %" PRIu64 " rollbacks (%" PRIu64
           " to before everything, %" PRIu64 " to a checkpoint, %" PRIu64 " of them within a run, %" PRIu64
           " where the target stood already), %" PRIu64 " runs that went on, %" PRIu64 " from their proof; %" PRIu64
           " beside others' rows, %" PRIu64 " counters kept for them; %" PRIu64 " tried first; %" PRIu64
           " changes restored\n",
           cases, s_did.marks, s_did.rejects, s_did.rollbacks, s_did.whole, s_did.partly, s_did.mid_run, s_did.nothing,
           s_did.reopened, s_did.proving, s_did.with_theirs, s_did.kept_counters, s_did.dry, s_did.restored);
    if (cases >= s_cases_default) {
        assert_true(s_did.rollbacks >= 2 * cases && s_did.marks > 8 * cases && s_did.rejects > cases);
        assert_true(s_did.whole > 0 && s_did.mid_run > cases / 2 && s_did.reopened > cases / 2 && s_did.proving > 0);
        assert_true(s_did.with_theirs > cases / 4 && s_did.kept_counters > 0 && s_did.dry > cases / 4);
        assert_true(s_did.restored > cases && s_did.nothing > 0 && s_did.digests > cases && s_did.foreign > 0);
    }
}

static int s_set_up(void **state) {
    (void)state;
    rw_shared_make(&s_shared, pr_test_setting("PVRELAY_SEED", 1));
    return 0;
}

static int s_tear_down(void **state) {
    (void)state;
    rw_shared_remove(&s_shared);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_back_and_forth)};
    return cmocka_run_group_tests(tests, s_set_up, s_tear_down);
}
