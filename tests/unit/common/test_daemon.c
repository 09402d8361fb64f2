/* SPDX-License-Identifier: MIT */
/* The recipe of a daemon as a process of its own, with a stage that only counts: what it minds between two messages. */
#include "common/daemon.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/unit/folder.h"

enum { s_messages = 2, s_patience_ms = 30000 };

static char s_dir[] = "/tmp/pvrelay-test-daemon-XXXXXX";

/* ---- the stage, in its process ---- */

typedef struct {
    pr_daemon_t *daemon;
    unsigned handled;
} s_stage_t;

static s_stage_t s_stage;
static bool s_end_by_progress; /* else by SIGTERM */
static int s_report; /* pipe to the test: a byte when the first message is in hand, then how many there were */

static int s_open(pr_daemon_t *daemon, void **ret_self, pr_error_t *err) {
    (void)err;
    s_stage.daemon = daemon;
    *ret_self = &s_stage;
    return 0;
}

static void s_close(void **self) {
    *self = NULL;
}

static void s_wait_for(zsock_t *socket, short events) {
    zmq_pollitem_t item = {.socket = zsock_resolve(socket), .events = events};
    if (zmq_poll(&item, 1, s_patience_ms) <= 0)
        _exit(99);
}

/* In the midst of the first message the second arrives, and then what ends the run. */
static int s_on_message(void *self, pr_inbound_t *inbound, pr_error_t *err) {
    s_stage_t *stage = self;
    (void)inbound;
    (void)err;
    if (stage->handled++ > 0)
        return 0;
    s_wait_for(stage->daemon->in, ZMQ_POLLIN);
    if (!s_end_by_progress)
        return raise(SIGTERM) == 0 ? 0 : -PR_E_INTERNAL;
    if (write(s_report, "1", 1) != 1)
        _exit(98);
    s_wait_for(stage->daemon->progress, ZMQ_POLLIN);
    return 0;
}

static int s_on_progress(void *self, const pr_msg_progress_t *progress, bool fresh, pr_error_t *err) {
    (void)self;
    (void)progress;
    (void)fresh;
    (void)err;
    return 0;
}

static int s_on_turn(void *self, int64_t now_ms, pr_error_t *err) {
    (void)self;
    (void)now_ms;
    (void)err;
    return 0;
}

static void s_status(void *self, char *buffer, size_t size) {
    (void)self;
    snprintf(buffer, size, "counting");
}

static const pr_stage_ops_t s_ops = {.stage = PR_STAGE_TRANSFORMER,
                                     .program = "counting",
                                     .summary = "Counts.",
                                     .open = s_open,
                                     .close = s_close,
                                     .on_message = s_on_message,
                                     .on_progress = s_on_progress,
                                     .on_turn = s_on_turn,
                                     .status = s_status};

/* Before this process has sockets: threads do not survive a fork. Returns its pid. */
static pid_t s_start(const char *config, int *ret_report) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) {
        close(ends[1]);
        *ret_report = ends[0];
        return pid;
    }
    s_report = ends[1];
    char *arguments[] = {"counting", "--config", (char *)(uintptr_t)config, "--instance", "1", NULL};
    int code = pr_daemon_main(&s_ops, 5, arguments);
    uint8_t handled = (uint8_t)s_stage.handled;
    _exit(write(s_report, &handled, 1) == 1 ? code : 97);
}

/* ---- the others, here ---- */

static void s_send_batches(zsock_t *records, pr_run_id_t run) {
    for (unsigned i = 0; i < s_messages; i++) {
        const pr_message_t batch = {.id = PR_MSG_BATCH, .stage = PR_STAGE_READER, .instance = 1, .run = run};
        zmq_msg_t frames[2];
        zmq_msg_init_size(&frames[0], 8);
        zmq_msg_init_size(&frames[1], 8);
        s_wait_for(records, ZMQ_POLLOUT); /* until the stage is there */
        assert_int_equal(pr_socket_send(records, &batch, frames, 2), 1);
    }
}

static uint8_t s_read_byte(int report) {
    uint8_t byte = 0;
    assert_int_equal(read(report, &byte, 1), 1);
    return byte;
}

/* Run it; returns the exit code, and how many messages it handled. */
static int s_run(bool end_by_progress, uint8_t *ret_handled) {
    char config[128];
    snprintf(config, sizeof config, "%s/config.json", s_dir);
    FILE *file = fopen(config, "w");
    assert_non_null(file);
    fprintf(file, "{\"target\": \"t.db\", \"sources\": [\"x.json\"], \"run_dir\": \"%s/r\", \"mapping\": \"%s\"}",
            s_dir, PR_SOURCE_DIR "/mappings/el-to-hub.json");
    fclose(file);
    char run_dir[128];
    snprintf(run_dir, sizeof run_dir, "%s/r", s_dir);
    assert_int_equal(pr_config_make_run_dir(run_dir, NULL), 0);
    int report = -1;
    s_end_by_progress = end_by_progress;
    pid_t pid = s_start(config, &report);

    zsys_handler_set(NULL);
    zsock_t *records = NULL, *writer = NULL, *progress = NULL;
    pr_run_id_t run = pr_run_id_new();
    assert_int_equal(pr_socket_bind(PR_ENDPOINT_RECORDS, run_dir, NULL, &records, NULL), 0);
    assert_int_equal(pr_socket_bind(PR_ENDPOINT_WRITER, run_dir, NULL, &writer, NULL), 0);
    assert_int_equal(pr_socket_bind(PR_ENDPOINT_PROGRESS, run_dir, NULL, &progress, NULL), 0);
    s_send_batches(records, run);
    if (end_by_progress) {
        s_read_byte(report);
        const pr_message_t complete = {
            .id = PR_MSG_PROGRESS,
            .stage = PR_STAGE_WRITER,
            .run = run,
            .progress = {.state = PR_PROGRESS_COMPLETE, .outcome = PR_E_REJECTED, .incarnation = 1}};
        s_wait_for(progress, ZMQ_POLLIN); /* its subscription */
        assert_int_equal(pr_socket_send(progress, &complete, NULL, 0), 1);
    }
    *ret_handled = s_read_byte(report);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(report);
    zsock_set_linger(records, 0);
    zsock_destroy(&records);
    zsock_destroy(&writer);
    zsock_destroy(&progress);
    zsys_shutdown();
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- tests ---- */

/* Messages wait, each can take long: a signal is minded after the one in hand. */
static void test_signal_between_messages(void **state) {
    (void)state;
    uint8_t handled = 0;
    assert_int_equal(s_run(false, &handled), 6);
    assert_int_equal(handled, 1);
}

/* And so is the end of the run. */
static void test_progress_between_messages(void **state) {
    (void)state;
    uint8_t handled = 0;
    assert_int_equal(s_run(true, &handled), 3);
    assert_int_equal(handled, 1);
}

static int s_set_up(void **state) {
    (void)state;
    return mkdtemp(s_dir) != NULL ? 0 : -1;
}

static int s_tear_down(void **state) {
    (void)state;
    return pr_test_folder_remove(s_dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signal_between_messages),
        cmocka_unit_test(test_progress_between_messages),
    };
    return cmocka_run_group_tests(tests, s_set_up, s_tear_down);
}
