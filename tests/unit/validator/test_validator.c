/* SPDX-License-Identifier: MIT */
/* The validator's part of the protocol, message by message: the proof, SQLite's signs of life and the daemon are scripted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/challenge.h"
#include "common/sql_alive.h"
#include "validator/proof.h"
#include "validator/validator.h"

/* ---- what the daemon would be ---- */

static int64_t s_now_ms;
static bool s_must_leave;
static unsigned s_verdicts, s_working;
static pr_msg_verdict_t s_verdict; /* the last one ... */
static size_t s_verdict_size;      /* ... and the size of what it found */
static pr_msg_working_t s_at_work; /* the last WORKING */

int pr_daemon_send(pr_daemon_t *daemon, zsock_t *socket, pr_message_t *message, zmq_msg_t *frames, unsigned count) {
    assert_ptr_equal(socket, daemon->out);
    if (message->id == PR_MSG_WORKING) {
        assert_int_equal(count, 0);
        s_working++;
        s_at_work = message->working;
        return 1;
    }
    assert_int_equal(message->id, PR_MSG_VERDICT);
    s_verdicts++;
    s_verdict = message->verdict;
    s_verdict_size = zmq_msg_size(&frames[0]);
    zmq_msg_close(&frames[0]);
    return 1;
}

void pr_daemon_protocol_error(pr_daemon_t *daemon, pr_protocol_kind_t kind, const pr_error_t *err) {
    (void)daemon;
    (void)kind;
    fail_msg("%s", err->text);
}

void pr_daemon_busy(pr_daemon_t *daemon) {
    (void)daemon;
}

bool pr_daemon_must_leave(pr_daemon_t *daemon) {
    (void)daemon;
    return s_must_leave;
}

int64_t pr_now_ms(void) {
    return s_now_ms;
}

int64_t pr_calendar_ms(void) {
    return 1761555792000;
}

/* ---- what SQLite and the proof would be ---- */

static bool (*s_alive)(void *context);
static void *s_alive_context;
static unsigned s_proofs;        /* of the whole */
static unsigned s_proof_seconds; /* how long one takes */

void pr_sql_alive(bool (*alive)(void *context), void *context) {
    s_alive = alive;
    s_alive_context = context;
}

int pr_proof_open(const char *target, const pr_mapping_t *mapping, const char *run_id, pr_proof_t **ret_proof,
                  pr_error_t *err) {
    (void)target;
    (void)mapping;
    (void)run_id;
    (void)err;
    *ret_proof = (pr_proof_t *)&s_proofs; /* never looked into */
    return 0;
}

void pr_proof_set_extra(pr_proof_t *proof, bool fail) {
    (void)proof;
    (void)fail;
}

void pr_proof_destroy(pr_proof_t **proof) {
    *proof = NULL;
}

/* A sign of life four times a second. */
static int s_take_time(pr_error_t *err) {
    for (unsigned i = 0; i < 4 * s_proof_seconds; i++) {
        s_now_ms += 250;
        if (!s_alive(s_alive_context))
            return pr_error_set(err, PR_E_TARGET, "cannot be read: interrupted");
    }
    return 0;
}

int pr_proof_commit(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t rejected, pr_proof_list_t *list,
                    pr_proof_read_t *ret_read, pr_error_t *err) {
    (void)proof;
    (void)checkpoint;
    (void)list;
    int result = s_take_time(err);
    if (result == 0)
        *ret_read =
            (pr_proof_read_t){.digest = 11, .rows = range.count - rejected, .rejected = rejected, .rows_sum = 13};
    return result;
}

static int s_prove(pr_proof_list_t *list, pr_error_t *err) {
    const pr_finding_t finding = {.kind = "found", .stream = "", .field = "", .detail = "", .count = 1};
    s_proofs++;
    pr_proof_list_add_finding(list, &finding);
    return s_take_time(err);
}

int pr_proof_content(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    (void)proof;
    return s_prove(list, err);
}

int pr_proof_file(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    (void)proof;
    return s_prove(list, err);
}

int pr_proof_whole(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err) {
    (void)proof;
    return s_prove(list, err);
}

int pr_proof_books(pr_proof_t *proof, uint64_t ret_numbers[PR_PROOF_BOOKS], pr_error_t *err) {
    (void)proof;
    (void)err;
    for (uint64_t i = 0; i < PR_PROOF_BOOKS; i++)
        ret_numbers[i] = 100 + i;
    return 0;
}

/* ---- a validator ---- */

typedef struct {
    pr_config_t config;
    pr_daemon_t daemon;
    void *validator;
} fixture_t;

static int s_setup(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->daemon = (pr_daemon_t){.config = &fixture->config, .stage = PR_STAGE_VALIDATOR, .run = pr_run_id_new()};
    s_now_ms = 1000;
    s_must_leave = false;
    s_verdicts = s_working = s_proofs = s_proof_seconds = 0;
    assert_int_equal(pr_validator_ops.open(&fixture->daemon, &fixture->validator, NULL), 0);
    *state = fixture;
    return 0;
}

static int s_teardown(void **state) {
    fixture_t *fixture = *state;
    pr_validator_ops.close(&fixture->validator);
    free(fixture);
    return 0;
}

static void s_say(fixture_t *fixture, const pr_message_t *message) {
    pr_error_t err = PR_ERROR_INIT;
    pr_inbound_t inbound = {.message = *message};
    inbound.message.stage = PR_STAGE_WRITER;
    inbound.message.run = fixture->daemon.run;
    int result = pr_validator_ops.on_message(fixture->validator, &inbound, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
}

static void s_finish(fixture_t *fixture, pr_whole_part_t part, uint64_t nonce) {
    const pr_message_t message = {.id = PR_MSG_FINISH,
                                  .finish = {.checkpoint = 9, .part = (uint8_t)part, .nonce = nonce}};
    s_say(fixture, &message);
}

static void s_commit(fixture_t *fixture) {
    const pr_message_t message = {.id = PR_MSG_COMMIT,
                                  .commit = {.checkpoint = 7, .count = 5, .rejected = 2, .nonce = 42}};
    s_say(fixture, &message);
}

/* ---- tests ---- */

static void test_verdict_shows_what_it_is_over(void **state) {
    s_commit(*state);
    assert_int_equal(s_verdicts, 1);
    assert_int_equal(s_verdict.checkpoint, 7);
    assert_int_equal(s_verdict.nonce, 42);
    assert_int_equal(s_verdict.rows, 3);
    assert_int_equal(s_verdict.rejected, 2);
    assert_true(s_verdict.read_digest == pr_challenge_answer(42, (const uint64_t[]){7, 11, 3, 2}, 4));
    assert_true(s_verdict.rows_digest == pr_challenge_answer(42, (const uint64_t[]){7, 13}, 2));
    assert_int_equal(s_working, 0); /* it took no time */

    s_finish(*state, PR_WHOLE_BOTH, 43);
    assert_true(s_verdict.read_digest ==
                pr_challenge_answer(43, (const uint64_t[]){PR_WHOLE_BOTH, 100, 101, 102, 103, 104}, 6));
    s_finish(*state, PR_WHOLE_FILE, 44);
    assert_true(s_verdict.read_digest ==
                pr_challenge_answer(44, (const uint64_t[]){PR_WHOLE_FILE, 100, 101, 102, 0, 0}, 6));
}

/* A proof of 70 s says so every second; the very same question is answered again without proving anything; another one is
 * another one. */
static void test_same_question_is_proved_once(void **state) {
    s_proof_seconds = 70;
    s_finish(*state, PR_WHOLE_BOTH, 43);
    assert_int_equal(s_working, 70);
    assert_int_equal(s_at_work.checkpoint, 0);
    assert_int_equal(s_at_work.nonce, 43);
    pr_msg_verdict_t first = s_verdict;
    size_t size = s_verdict_size;
    s_finish(*state, PR_WHOLE_BOTH, 43);
    assert_int_equal(s_proofs, 1);
    assert_int_equal(s_verdicts, 2);
    assert_memory_equal(&s_verdict, &first, sizeof first);
    assert_int_equal(s_verdict_size, size);
    s_finish(*state, PR_WHOLE_BOTH, 44);
    assert_int_equal(s_proofs, 2);
    s_finish(*state, PR_WHOLE_FILE, 44);
    assert_int_equal(s_proofs, 3);
}

/* Asked to leave in the midst of a proof it gives it up at once, without a word: nobody has failed. */
static void test_a_proof_is_given_up(void **state) {
    s_proof_seconds = 70;
    s_must_leave = true;
    s_finish(*state, PR_WHOLE_CONTENT, 43);
    assert_int_equal(s_now_ms, 1250);
    s_commit(*state);
    assert_int_equal(s_now_ms, 1500);
    assert_int_equal(s_verdicts, 0);

    s_must_leave = false; /* and nothing of it is left */
    s_finish(*state, PR_WHOLE_CONTENT, 43);
    assert_int_equal(s_verdicts, 1);
    size_t size = s_verdict_size;
    s_finish(*state, PR_WHOLE_CONTENT, 44);
    assert_int_equal(s_verdict_size, size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verdict_shows_what_it_is_over, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_same_question_is_proved_once, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_a_proof_is_given_up, s_setup, s_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
