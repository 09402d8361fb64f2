/* SPDX-License-Identifier: MIT */
/* The writer's part of the protocol, message by message, on a real target and a scripted pr_daemon_send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/failure.h"
#include "common/sql_alive.h"
#include "target_fixture.h"
#include "writer/writer.h"

enum { s_commits = 21, s_commit_modules = 300 }; /* as many modules that indexes are put off */

static const char S_RUN[] = "01890a5d-ac96-774b-bcce-b302099a8057";

/* ---- what the daemon would be ---- */

static unsigned s_commits_sent;
static unsigned s_finish_sent; /* FINISH, of ... */
static pr_whole_part_t s_finish_part;

int pr_daemon_send(pr_daemon_t *daemon, zsock_t *socket, pr_message_t *message, zmq_msg_t *frames, unsigned count) {
    (void)frames;
    assert_int_equal(count, 0);
    if (message->id == PR_MSG_PROGRESS) {
        assert_ptr_equal(socket, daemon->progress);
        return 1;
    }
    assert_ptr_equal(socket, daemon->out);
    if (message->id == PR_MSG_COMMIT) {
        s_commits_sent++;
        return 1;
    }
    assert_int_equal(message->id, PR_MSG_FINISH);
    s_finish_sent++;
    s_finish_part = (pr_whole_part_t)message->finish.part;
    return 1;
}

void pr_daemon_protocol_error(pr_daemon_t *daemon, pr_protocol_kind_t kind, const pr_error_t *err) {
    (void)daemon;
    fail_msg("protocol error %d: %s", (int)kind, err->text);
}

void pr_daemon_ended(pr_daemon_t *daemon, int code, const char *text) {
    (void)daemon;
    (void)text;
    assert_int_equal(code, 0);
}

int pr_daemon_check_mapping(const pr_daemon_t *daemon, uint64_t digest, pr_error_t *err) {
    (void)daemon;
    (void)digest;
    (void)err;
    return 0;
}

void pr_daemon_busy(pr_daemon_t *daemon) {
    (void)daemon;
}

int64_t pr_now_ms(void) {
    return 1000; /* nothing is ever due by time */
}

int64_t pr_now_us(void) {
    return 1000 * pr_now_ms();
}

int64_t pr_calendar_ms(void) {
    return 1761555792000;
}

/* ---- a writer that finds all committed, nothing proved ---- */

typedef struct {
    fx_t *fx;
    pr_config_t *config;
    pr_daemon_t daemon;
    void *writer;
    int64_t checkpoints[s_commits];
} fixture_t;

static void s_commit_all(fixture_t *fixture) {
    fx_t *fx = fixture->fx;
    fx_record_t *records = calloc(s_commit_modules, sizeof *records);
    char(*ids)[16] = calloc(s_commit_modules, sizeof *ids); /* the records' */
    assert_non_null(records);
    assert_non_null(ids);
    fx_open(fx);
    fx_begin(fx, S_RUN, 1, (s_commits - 1) * s_commit_modules);
    fx_audit_t audit = fx_audit("A");
    fx_make_audit(fx, &audit, &records[0]);
    fx_batch(fx, 0, 0, records, 1, &fixture->checkpoints[0]);
    for (unsigned i = 1; i < s_commits; i++) {
        for (unsigned j = 0; j < s_commit_modules; j++) {
            snprintf(ids[j], sizeof ids[j], "%u-%u", i, j);
            fx_module_t module = fx_module("A", ids[j]);
            fx_make_module(fx, &module, &records[j]);
        }
        fx_batch(fx, 1, (uint64_t)(i - 1) * s_commit_modules, records, s_commit_modules, &fixture->checkpoints[i]);
    }
    free(records);
    free(ids);
    pr_error_t err = PR_ERROR_INIT;
    int64_t finish = 0;
    int result = pr_target_run_finish(fx->target, fx->run.number, &finish, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    fx_close(fx);
}

static int s_setup(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->fx = fx_new();
    s_commit_all(fixture);
    fixture->config = pr_config_new();
    fixture->config->target = strdup(fixture->fx->path);
    fixture->config->migrations = strdup(fixture->fx->migrations);
    fixture->config->run_dir = strdup(fixture->fx->folder);
    fixture->daemon = (pr_daemon_t){.config = fixture->config,
                                    .mapping = fixture->fx->mapping,
                                    .stage = PR_STAGE_WRITER,
                                    .progress = zsock_new(ZMQ_XPUB),
                                    .out = zsock_new(ZMQ_PUSH)};
    s_commits_sent = s_finish_sent = 0;
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_writer_ops.open(&fixture->daemon, &fixture->writer, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    *state = fixture;
    return 0;
}

static int s_teardown(void **state) {
    fixture_t *fixture = *state;
    pr_writer_ops.close(&fixture->writer);
    zsock_destroy(&fixture->daemon.progress);
    zsock_destroy(&fixture->daemon.out);
    pr_config_destroy(&fixture->config);
    fx_destroy(&fixture->fx);
    free(fixture);
    return 0;
}

/* A verdict without a failure: of a commit, or (checkpoint 0) of a part of the whole. */
static void s_prove(fixture_t *fixture, int64_t checkpoint, pr_whole_part_t part) {
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_list_t *list = pr_proof_list_new(1);
    void *data = NULL;
    size_t size = 0;
    assert_int_equal(pr_proof_list_pack(list, &data, &size), 0);
    pr_proof_list_destroy(&list);
    pr_inbound_t verdict = {.message = {.id = PR_MSG_VERDICT,
                                        .stage = PR_STAGE_VALIDATOR,
                                        .run = fixture->daemon.run,
                                        .verdict = {.checkpoint = checkpoint, .part = (uint8_t)part}},
                            .frames_count = 1};
    zmq_msg_init_size(&verdict.frames[0], size);
    memcpy(zmq_msg_data(&verdict.frames[0]), data, size);
    free(data);
    int result = pr_writer_ops.on_message(fixture->writer, &verdict, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    zmq_msg_close(&verdict.frames[0]);
}

static void s_prove_commits(fixture_t *fixture) {
    for (unsigned i = 0; i < s_commits; i++)
        s_prove(fixture, fixture->checkpoints[i], PR_WHOLE_NONE);
}

/* Returns whether the next turn has something to do at once. */
static bool s_turn(fixture_t *fixture) {
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_writer_ops.on_turn(fixture->writer, pr_now_ms(), &err);
    assert_string_equal(err.text, "");
    assert_in_range(result, 0, 1);
    return result == 1;
}

static unsigned s_indexes_left(const fixture_t *fixture) {
    char *left = fx_ask(fixture->fx, "SELECT count(*) FROM pvrelay_deferred_index");
    unsigned count = (unsigned)strtoul(left, NULL, 10);
    free(left);
    return count;
}

/* ---- tests ---- */

/*  A turn takes few messages, an index long: while verdicts come no index is begun, and with the last of them the content is
 *  asked for. */
static void test_verdicts_before_indexes(void **state) {
    fixture_t *fixture = *state;
    unsigned all = s_indexes_left(fixture);
    assert_in_range(all, 5, 20);
    assert_true(s_turn(fixture)); /* nobody has said anything: */
    unsigned left = all - 1;
    assert_int_equal(s_indexes_left(fixture), left);
    assert_int_equal(s_commits_sent, s_commits);
    for (unsigned i = 0; i < s_commits; i++) {
        assert_int_equal(s_finish_sent, 0);
        s_prove(fixture, fixture->checkpoints[i], PR_WHOLE_NONE);
        if (i % 3 == 2)
            assert_true(s_turn(fixture));
    }
    assert_int_equal(s_indexes_left(fixture), left);
    assert_int_equal(s_finish_sent, 1);
    assert_int_equal(s_finish_part, PR_WHOLE_CONTENT);
    fx_assert_sql(fixture->fx, "SELECT count(*) FROM pvrelay_checkpoint WHERE kind = 'batch' AND validated = 0", "0");
}

/* A verdict that was not asked for holds up nothing. */
static void test_repeated_verdicts_hold_up_nothing(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove(fixture, fixture->checkpoints[0], PR_WHOLE_NONE);
    s_turn(fixture);
    for (unsigned left = s_indexes_left(fixture); left > 0; left--) {
        assert_int_equal(s_indexes_left(fixture), left);
        s_prove(fixture, fixture->checkpoints[0], PR_WHOLE_NONE);
        assert_true(s_turn(fixture));
    }
    assert_int_equal(s_indexes_left(fixture), 0);
}

/* The file is asked for when the last index is there and the content is proved, whichever comes last, at once. */
static void test_file_comes_last(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove_commits(fixture);
    assert_true(s_turn(fixture));
    s_prove(fixture, 0, PR_WHOLE_CONTENT);
    unsigned turns = 0;
    for (; s_finish_sent == 1; turns++) {
        assert_in_range(turns, 0, 30);
        assert_true(s_turn(fixture) || s_finish_sent == 2); /* it never waits for a message that does not come */
    }
    assert_int_equal(s_indexes_left(fixture), 0);
    assert_int_equal(s_finish_part, PR_WHOLE_FILE);
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 2);
    s_prove(fixture, 0, PR_WHOLE_FILE);
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete0");
}

/* The content's proof takes longer than all indexes. */
static void test_content_comes_last(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove_commits(fixture);
    while (s_turn(fixture)) /* until nothing is left but waiting */
        continue;
    assert_int_equal(s_indexes_left(fixture), 0);
    s_prove(fixture, 0, PR_WHOLE_FILE); /* not what was asked for */
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 1);
    s_prove(fixture, 0, PR_WHOLE_CONTENT);
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 2);
    assert_int_equal(s_finish_part, PR_WHOLE_FILE);
    fx_assert_sql(fixture->fx, "SELECT state FROM pvrelay_run", "proving");
    s_prove(fixture, 0, PR_WHOLE_FILE);
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete0");
}

/* The last commits are proved when all indexes are there: nothing keeps the file from being proved beside the content. */
static void test_indexes_before_verdicts(void **state) {
    fixture_t *fixture = *state;
    while (s_turn(fixture))
        continue;
    assert_int_equal(s_indexes_left(fixture), 0);
    s_prove_commits(fixture);
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 1);
    assert_int_equal(s_finish_part, PR_WHOLE_BOTH);
    s_prove(fixture, 0, PR_WHOLE_BOTH);
    assert_int_equal(s_finish_sent, 1);
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verdicts_before_indexes, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_repeated_verdicts_hold_up_nothing, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_file_comes_last, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_content_comes_last, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_indexes_before_verdicts, s_setup, s_teardown),
    };
    pr_sql_prepare(); /* before the fixture's first use of SQLite */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
