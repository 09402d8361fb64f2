/* SPDX-License-Identifier: MIT */
/* The outbox against a scripted pr_daemon_send: what waits holds the stage, goes out once, and is freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/outbox.h"

static bool s_room;
static unsigned s_tries;
static unsigned s_sent;
static zsock_t *const s_out = (zsock_t *)&s_room; /* never looked into */

int pr_daemon_send(pr_daemon_t *daemon, zsock_t *socket, pr_message_t *message, zmq_msg_t *frames, unsigned count) {
    s_tries++;
    assert_ptr_equal(socket, daemon->out);
    assert_int_equal(message->id, PR_MSG_VERDICT);
    assert_int_equal(message->verdict.checkpoint, 7);
    assert_int_equal(count, 1);
    assert_int_equal(zmq_msg_size(&frames[0]), 5);
    assert_memory_equal(zmq_msg_data(&frames[0]), "bytes", 5);
    if (!s_room)
        return 0;
    s_sent++;
    zmq_msg_close(&frames[0]);
    return 1;
}

static void s_post(pr_outbox_t *outbox, pr_daemon_t *daemon, bool room) {
    pr_message_t message = {.id = PR_MSG_VERDICT, .verdict = {.checkpoint = 7}};
    s_room = room;
    s_tries = s_sent = 0;
    pr_outbox_send(outbox, daemon, &message, strdup("bytes"), 5);
}

static void test_room_at_once(void **state) {
    (void)state;
    pr_daemon_t daemon = {.out = s_out};
    pr_outbox_t outbox = {0};
    s_post(&outbox, &daemon, true);
    assert_int_equal(s_sent, 1);
    assert_false(daemon.hold);
    assert_false(daemon.want_out);
    pr_outbox_flush(&outbox, &daemon);
    pr_outbox_drop(&outbox, &daemon);
    assert_int_equal(s_tries, 1);
}

static void test_room_later(void **state) {
    (void)state;
    pr_daemon_t daemon = {.out = s_out};
    pr_outbox_t outbox = {0};
    s_post(&outbox, &daemon, false);
    daemon.want_out = false; /* the recipe asks anew each turn */
    pr_outbox_flush(&outbox, &daemon);
    assert_int_equal(s_tries, 2);
    assert_int_equal(s_sent, 0);
    assert_true(daemon.hold);
    assert_true(daemon.want_out);
    s_room = true;
    pr_outbox_flush(&outbox, &daemon);
    assert_int_equal(s_sent, 1);
    assert_false(daemon.hold);
    assert_false(daemon.want_out);
    pr_outbox_flush(&outbox, &daemon);
    assert_int_equal(s_tries, 3);
}

static void test_dropped(void **state) {
    (void)state;
    pr_daemon_t daemon = {.out = s_out};
    pr_outbox_t outbox = {0};
    s_post(&outbox, &daemon, false);
    pr_outbox_drop(&outbox, &daemon);
    assert_false(daemon.hold);
    s_room = true;
    pr_outbox_flush(&outbox, &daemon);
    assert_int_equal(s_tries, 1);
    s_post(&outbox, &daemon, true); /* it can be used again */
    assert_int_equal(s_sent, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_at_once),
        cmocka_unit_test(test_room_later),
        cmocka_unit_test(test_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
