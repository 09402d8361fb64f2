/* SPDX-License-Identifier: MIT */
/* Unit tests of descriptors: nothing aborts when there are none left, and sockets are for their owner. */
#include "common/descriptors.h"

#include <czmq.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/socket.h"
#include "tests/unit/folder.h"

static char s_dir[] = "/tmp/pvrelay-test-descriptors-XXXXXX";

static int s_set_up(void **state) {
    (void)state;
    zsys_handler_set(NULL);
    return mkdtemp(s_dir) != NULL ? 0 : -1;
}

static int s_tear_down(void **state) {
    (void)state;
    zsys_shutdown();
    return pr_test_folder_remove(s_dir);
}

/* The soft limit, so that no descriptor above those that there are now can be had, and `more` beyond. Returns what it was. */
static rlim_t s_limit(rlim_t more) {
    struct rlimit limit;
    int next = dup(STDIN_FILENO);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)next + more;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void s_unlimit(rlim_t before) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_raise(void **state) {
    (void)state;
    struct rlimit limit;
    s_limit(8);
    pr_descriptors_raise();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur == limit.rlim_max);
}

/* A socket without descriptors is an error with a reason. */
static void test_no_socket(void **state) {
    (void)state;
    pr_error_t err = PR_ERROR_INIT;
    zsock_t *socket = NULL;
    rlim_t before = s_limit(6);
    int result = pr_socket_bind(PR_ENDPOINT_WRITER, s_dir, NULL, &socket, &err);
    s_unlimit(before);
    assert_int_equal(result, -PR_E_CONFIG);
    assert_null(socket);
    assert_memory_equal(err.text, "too many open files: ", 21);
    assert_non_null(strstr(err.text, "raise the limit (ulimit -Hn, LimitNOFILE=)"));
    assert_int_equal(pr_descriptors_check(16, NULL), 0);
}

static void test_mode_of_a_socket(void **state) {
    (void)state;
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct stat status;
        zsock_t *socket = NULL;
        char *path = pr_xasprintf("%s/writer.sock", s_dir);
        mode_t before = umask(masks[i]);
        int result = pr_socket_bind(PR_ENDPOINT_WRITER, s_dir, NULL, &socket, NULL);
        mode_t after = umask(before);
        assert_int_equal(result, 0);
        assert_int_equal(after, masks[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_true(S_ISSOCK(status.st_mode));
        assert_int_equal(status.st_mode & 07777, 0600);
        zsock_destroy(&socket);
        free(path);
    }
}

static int s_client(void) {
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static bool s_is_closed(int client) {
    char byte;
    return recv(client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* Whoever holds connections cannot make a listener abort: those that there is no room for are closed. */
static void test_held_connections(void **state) {
    (void)state;
    enum { CLIENTS = 12, ROOM = 4 };
    int clients[CLIENTS];
    zsock_t *socket = NULL;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pr_descriptors_raise();
    snprintf(address.sun_path, sizeof address.sun_path, "%s/writer.sock", s_dir);
    assert_int_equal(pr_socket_bind(PR_ENDPOINT_WRITER, s_dir, NULL, &socket, NULL), 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_true((clients[i] = s_client()) >= 0);
    rlim_t before = s_limit(ROOM);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(connect(clients[i], (struct sockaddr *)&address, sizeof address), 0);
    int closed = 0;
    int64_t until_ms = zclock_mono() + 20000;
    while (closed < CLIENTS - ROOM && zclock_mono() < until_ms) {
        closed = 0;
        for (int i = 0; i < CLIENTS; i++)
            closed += s_is_closed(clients[i]);
        usleep(1000);
    }
    s_unlimit(before);
    assert_true(closed >= CLIENTS - ROOM);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    zsock_destroy(&socket);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_connections), /* first: what sockets leave libzmq closes some time later */
        cmocka_unit_test(test_raise),
        cmocka_unit_test(test_no_socket),
        cmocka_unit_test(test_mode_of_a_socket),
    };
    return cmocka_run_group_tests(tests, s_set_up, s_tear_down);
}
