/* SPDX-License-Identifier: MIT */
/* Stages that come, go, come back, and enemies on their sockets. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/socket.h"
#include "control/watch.h"
#include "tests/unit/folder.h"

enum { s_deadline_ms = 20000 };

typedef struct {
    char run_dir[64];
    pr_watch_t *watch;
} s_fixture_t;

static int s_set_up(void **state) {
    s_fixture_t *fixture = pr_xcalloc(1, sizeof *fixture);
    strcpy(fixture->run_dir, "/tmp/pvr-watch-XXXXXX");
    if (mkdtemp(fixture->run_dir) == NULL)
        return -1;
    *state = fixture;
    return 0;
}

static void s_remove(const char *run_dir) {
    assert_int_equal(pr_test_folder_remove(run_dir), 0);
}

static int s_tear_down(void **state) {
    s_fixture_t *fixture = *state;
    pr_watch_destroy(&fixture->watch);
    if (access(fixture->run_dir, F_OK) == 0)
        s_remove(fixture->run_dir);
    free(fixture);
    return 0;
}

static zsock_t *s_bind(const s_fixture_t *fixture, const char *who) {
    zsock_t *socket = NULL;
    pr_error_t err = PR_ERROR_INIT;
    int result = who != NULL ? pr_socket_bind(PR_ENDPOINT_COUNTERS, fixture->run_dir, who, &socket, &err)
                             : pr_socket_bind(PR_ENDPOINT_PROGRESS, fixture->run_dir, NULL, &socket, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    return socket;
}

static pr_message_t s_counters(pr_stage_t stage, uint32_t instance, uint64_t records_ok) {
    pr_message_t message = {.id = PR_MSG_COUNTERS, .stage = stage, .instance = instance};
    message.counters.start_ms = 1;
    message.counters.starts = 1;
    message.counters.records_ok = records_ok;
    return message;
}

static pr_message_t s_progress(uint8_t run, unsigned state, uint64_t committed) {
    pr_message_t message = {.id = PR_MSG_PROGRESS, .stage = PR_STAGE_WRITER, .instance = 1, .run = {{run}}};
    message.progress.state = (uint8_t)state;
    message.progress.committed = committed;
    return message;
}

static const pr_watch_stage_t *s_stage(const pr_watch_t *watch, const char *who) {
    size_t count;
    const pr_watch_stage_t *stages = pr_watch_stages(watch, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stages[i].who, who) == 0)
            return &stages[i];
    }
    return NULL;
}

/* Who is listed, in order: up ones with a plus. */
static const char *s_list(const pr_watch_t *watch) {
    static char list[1024];
    size_t count;
    const pr_watch_stage_t *stages = pr_watch_stages(watch, &count);
    *list = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s%s", i > 0 ? " " : "", stages[i].up ? "+" : "", stages[i].who);
    }
    return list;
}

/* Say it until the list is as expected. */
static void s_until_list(pr_watch_t *watch, zsock_t *socket, const pr_message_t *message, const char *expected) {
    int64_t until_ms = pr_now_ms() + s_deadline_ms;
    while (strcmp(s_list(watch), expected) != 0) {
        if (pr_now_ms() > until_ms)
            assert_string_equal(s_list(watch), expected);
        if (socket != NULL)
            pr_socket_send(socket, message, NULL, 0);
        pr_watch_listen(watch, 20, -1);
    }
}

static void test_nobody(void **state) {
    s_fixture_t *fixture = *state;
    pr_run_id_t run = {{7}};
    pr_meter_view_t view;
    char missing[80];
    snprintf(missing, sizeof missing, "%s/none", fixture->run_dir);
    fixture->watch = pr_watch_new(missing);
    pr_watch_listen(fixture->watch, 0, -1);
    assert_string_equal(s_list(fixture->watch), "reader transformer-1 writer validator");
    assert_false(s_stage(fixture->watch, "reader")->bound);
    assert_false(s_stage(fixture->watch, "reader")->heard);
    assert_null(pr_watch_progress(fixture->watch, &run));
    assert_int_equal(run.bytes[0], 7);
    pr_watch_look(fixture->watch, &view);
    assert_int_equal(view.state, 0);
    assert_int_equal(view.transformers, 1);
    pr_watch_destroy(&fixture->watch);
    assert_null(fixture->watch);
    pr_watch_destroy(&fixture->watch);
}

static void test_path_too_long(void **state) {
    s_fixture_t *fixture = *state;
    char path[300];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    fixture->watch = pr_watch_new(path);
    pr_watch_listen(fixture->watch, 1, -1);
    assert_string_equal(s_list(fixture->watch), "reader transformer-1 writer validator");
}

static void test_comes_goes_and_comes_back(void **state) {
    s_fixture_t *fixture = *state;
    fixture->watch = pr_watch_new(fixture->run_dir);
    zsock_t *reader = s_bind(fixture, "reader");
    pr_message_t message = s_counters(PR_STAGE_READER, 1, 42);
    s_until_list(fixture->watch, reader, &message, "+reader transformer-1 writer validator");
    assert_true(s_stage(fixture->watch, "reader")->bound);
    assert_int_equal(s_stage(fixture->watch, "reader")->counters.records_ok, 42);

    /* Nobody listens any more: down before the silence is long. */
    int64_t heard_ms = s_stage(fixture->watch, "reader")->heard_ms;
    zsock_destroy(&reader);
    s_until_list(fixture->watch, NULL, NULL, "reader transformer-1 writer validator");
    assert_true(pr_now_ms() - heard_ms < PR_WATCH_SILENCE_MS);
    assert_false(s_stage(fixture->watch, "reader")->bound);
    assert_true(s_stage(fixture->watch, "reader")->heard);
    assert_int_equal(s_stage(fixture->watch, "reader")->counters.records_ok, 42);

    /* The whole folder goes, and comes back. */
    s_remove(fixture->run_dir);
    pr_watch_listen(fixture->watch, 10, -1);
    assert_int_equal(mkdir(fixture->run_dir, 0700), 0);
    reader = s_bind(fixture, "reader");
    message = s_counters(PR_STAGE_READER, 1, 43);
    s_until_list(fixture->watch, reader, &message, "+reader transformer-1 writer validator");
    assert_int_equal(s_stage(fixture->watch, "reader")->counters.records_ok, 43);
    zsock_destroy(&reader);
}

static void test_folder_that_goes_under_a_stage(void **state) {
    s_fixture_t *fixture = *state;
    fixture->watch = pr_watch_new(fixture->run_dir);
    zsock_t *writer = s_bind(fixture, "writer");
    pr_message_t message = s_counters(PR_STAGE_WRITER, 1, 1);
    s_until_list(fixture->watch, writer, &message, "reader transformer-1 +writer validator");
    s_remove(fixture->run_dir); /* its socket's file too: nobody can reach it any more */
    s_until_list(fixture->watch, NULL, NULL, "reader transformer-1 writer validator");
    zsock_destroy(&writer);
}

static void test_silent_one_is_down(void **state) {
    s_fixture_t *fixture = *state;
    fixture->watch = pr_watch_new(fixture->run_dir);
    zsock_t *reader = s_bind(fixture, "reader");
    pr_message_t message = s_counters(PR_STAGE_READER, 1, 1);
    s_until_list(fixture->watch, reader, &message, "+reader transformer-1 writer validator");
    int64_t heard_ms = s_stage(fixture->watch, "reader")->heard_ms;
    s_until_list(fixture->watch, NULL, NULL, "reader transformer-1 writer validator");
    assert_true(pr_now_ms() - heard_ms > PR_WATCH_SILENCE_MS);
    assert_true(s_stage(fixture->watch, "reader")->bound);
    zsock_destroy(&reader);
}

static void test_finds_transformers(void **state) {
    s_fixture_t *fixture = *state;
    char path[PATH_MAX];
    fixture->watch = pr_watch_new(fixture->run_dir);
    zsock_t *eleventh = s_bind(fixture, "transformer-11");
    /* Names that are none, and a socket's file that was left behind. */
    static const char *const files[] = {"transformer-2.counters",  "transformer-.counters",
                                        "transformer-0.counters",  "transformer-03.counters",
                                        "transformer-65.counters", "transformer-4294967299.counters",
                                        "transformer-5.counters.x"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->run_dir, files[i]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
    }
    pr_message_t message = s_counters(PR_STAGE_TRANSFORMER, 11, 5);
    s_until_list(fixture->watch, eleventh, &message, "reader transformer-1 +transformer-11 writer validator");
    zsock_destroy(&eleventh);
    s_until_list(fixture->watch, NULL, NULL, "reader transformer-1 transformer-11 writer validator");

    /* A configuration tells how many there are; what it does not name and is not there, is forgotten. */
    snprintf(path, sizeof path, "%s/config.json", fixture->run_dir);
    FILE *config = fopen(path, "w");
    assert_non_null(config);
    fputs("{\"transformers\": 3}", config);
    fclose(config);
    s_until_list(fixture->watch, NULL, NULL, "reader transformer-1 transformer-2 transformer-3 writer validator");
    pr_meter_view_t view;
    pr_watch_look(fixture->watch, &view);
    assert_int_equal(view.transformers, 3);

    /* A broken one tells nothing. */
    config = fopen(path, "w");
    assert_non_null(config);
    fputs("{\"transformers\": 1000000}", config);
    fclose(config);
    pr_watch_listen(fixture->watch, 600, -1);
    assert_string_equal(s_list(fixture->watch), "reader transformer-1 transformer-2 transformer-3 writer validator");
}

static void test_enemies(void **state) {
    s_fixture_t *fixture = *state;
    fixture->watch = pr_watch_new(fixture->run_dir);
    zsock_t *reader = s_bind(fixture, "reader");
    zsock_t *progress = s_bind(fixture, NULL);
    pr_message_t good = s_counters(PR_STAGE_READER, 1, 1);
    s_until_list(fixture->watch, reader, &good, "+reader transformer-1 writer validator");
    pr_message_t wrong[] = {s_counters(PR_STAGE_WRITER, 1, 66), s_counters(PR_STAGE_READER, 2, 66),
                            s_counters(PR_STAGE_TRANSFORMER, 1, 66), s_progress(9, PR_PROGRESS_STREAMING, 66)};
    uint8_t encoded[PR_MESSAGE_MAX_BYTES];
    size_t size = pr_message_encode(&good, encoded);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        pr_socket_send(reader, &wrong[i], NULL, 0);
    pr_socket_send(progress, &good, NULL, 0);                                    /* not where it belongs */
    zmq_send(zsock_resolve(reader), "", 0, ZMQ_DONTWAIT);                        /* empty */
    zmq_send(zsock_resolve(reader), encoded, size - 1, ZMQ_DONTWAIT);            /* cut */
    zmq_send(zsock_resolve(reader), "GET / HTTP/1.1\r\n\r\n", 18, ZMQ_DONTWAIT); /* something else */
    zmq_send(zsock_resolve(reader), encoded, size, ZMQ_DONTWAIT | ZMQ_SNDMORE);  /* with a frame too many */
    zmq_send(zsock_resolve(reader), encoded, size, ZMQ_DONTWAIT);
    good.counters.records_ok = 2; /* what comes behind them is heard all the same */
    int64_t until_ms = pr_now_ms() + s_deadline_ms;
    while (s_stage(fixture->watch, "reader")->counters.records_ok != 2) {
        assert_int_not_equal(s_stage(fixture->watch, "reader")->counters.records_ok, 66);
        assert_true(pr_now_ms() < until_ms);
        pr_socket_send(reader, &good, NULL, 0);
        pr_watch_listen(fixture->watch, 20, -1);
    }
    assert_string_equal(s_list(fixture->watch), "+reader transformer-1 writer validator");
    assert_null(pr_watch_progress(fixture->watch, NULL));
    zsock_destroy(&reader);
    zsock_destroy(&progress);
}

static void s_until_committed(pr_watch_t *watch, zsock_t *progress, const pr_message_t *message) {
    int64_t until_ms = pr_now_ms() + s_deadline_ms;
    const pr_msg_progress_t *newest;
    while ((newest = pr_watch_progress(watch, NULL)) == NULL || newest->committed != message->progress.committed) {
        assert_true(pr_now_ms() < until_ms);
        pr_socket_send(progress, message, NULL, 0);
        pr_watch_listen(watch, 20, -1);
    }
}

static void test_progress_and_a_new_run(void **state) {
    s_fixture_t *fixture = *state;
    pr_meter_view_t view;
    pr_run_id_t run;
    fixture->watch = pr_watch_new(fixture->run_dir);
    zsock_t *progress = s_bind(fixture, NULL);
    zsock_t *writer = s_bind(fixture, "writer");
    zsock_t *transformer = s_bind(fixture, "transformer-1");
    pr_message_t message = s_counters(PR_STAGE_TRANSFORMER, 1, 500);
    s_until_list(fixture->watch, transformer, &message, "reader +transformer-1 writer validator");
    pr_message_t at = s_progress(1, PR_PROGRESS_STREAMING, 400);
    s_until_committed(fixture->watch, progress, &at);
    assert_true(s_stage(fixture->watch, "writer")->up);
    assert_non_null(pr_watch_progress(fixture->watch, &run));
    assert_int_equal(run.bytes[0], 1);
    pr_watch_look(fixture->watch, &view);
    assert_int_equal(view.state, PR_PROGRESS_STREAMING);
    assert_int_equal(view.stages[PR_STAGE_WRITER].records, 400);

    /* The next run: what was counted for the one before does not count. */
    at = s_progress(2, PR_PROGRESS_STREAMING, 10);
    s_until_committed(fixture->watch, progress, &at);
    pr_watch_progress(fixture->watch, &run);
    assert_int_equal(run.bytes[0], 2);
    pr_watch_look(fixture->watch, &view);
    assert_int_equal(view.stages[PR_STAGE_WRITER].records, 10);
    assert_int_equal(view.stages[PR_STAGE_TRANSFORMER].records, 10);

    /* The writer goes: nobody tells how the run stands. */
    zsock_destroy(&progress);
    zsock_destroy(&writer);
    s_until_list(fixture->watch, transformer, &message, "reader +transformer-1 writer validator");
    assert_null(pr_watch_progress(fixture->watch, NULL));
    zsock_destroy(&transformer);
}

static void test_a_descriptor_ends_the_wait(void **state) {
    s_fixture_t *fixture = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fixture->watch = pr_watch_new(fixture->run_dir);
    assert_int_equal(write(ends[1], "x", 1), 1);
    int64_t begun_ms = pr_now_ms();
    pr_watch_listen(fixture->watch, s_deadline_ms, ends[0]);
    assert_true(pr_now_ms() - begun_ms < s_deadline_ms / 2);
    close(ends[0]);
    close(ends[1]);
}

static void test_state_words(void **state) {
    (void)state;
    assert_string_equal(pr_watch_state_word(0), "?");
    assert_string_equal(pr_watch_state_word(PR_PROGRESS_AWAITING_PLAN), "awaiting-plan");
    assert_string_equal(pr_watch_state_word(PR_PROGRESS_STREAMING), "streaming");
    assert_string_equal(pr_watch_state_word(PR_PROGRESS_PROVING), "proving");
    assert_string_equal(pr_watch_state_word(PR_PROGRESS_COMPLETE), "complete");
    assert_string_equal(pr_watch_state_word(PR_PROGRESS_FAILED), "failed");
    assert_string_equal(pr_watch_state_word(6), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nobody, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_path_too_long, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_comes_goes_and_comes_back, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_folder_that_goes_under_a_stage, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_silent_one_is_down, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_finds_transformers, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_enemies, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_progress_and_a_new_run, s_set_up, s_tear_down),
        cmocka_unit_test_setup_teardown(test_a_descriptor_ends_the_wait, s_set_up, s_tear_down),
        cmocka_unit_test(test_state_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
