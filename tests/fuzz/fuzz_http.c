/* SPDX-License-Identifier: MIT */
/* Fuzz: any bytes on a connection to the monitor. What answers is well-formed, only GET and HEAD reach a page, and the
 * connection ends. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "monitor/address.h"
#include "monitor/http.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { s_turns_max = 4096, s_patience_turns = 8, s_patience_ms = 60000, s_answer_max = 1 << 16 };

static struct sockaddr_un s_name = {.sun_family = AF_UNIX};
static pr_address_t s_address;
static pr_http_t *s_http;
static int64_t s_now_ms = 1;
static unsigned s_pages; /* answered by the page function, of this connection */

static void s_page(void *context, const char *path, pr_http_answer_t *ret_answer) {
    (void)context;
    s_pages++;
    /* The path comes back whole, so that reading behind its end would be seen. */
    ret_answer->status = strcmp(path, "/") == 0 ? 200 : 404;
    ret_answer->content_type = "text/plain; charset=utf-8";
    ret_answer->policy = NULL;
    ret_answer->body = pr_xasprintf("page of %s\n", path);
    ret_answer->size = strlen(ret_answer->body);
}

static void s_close(void) {
    pr_http_destroy(&s_http);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    /* A unix socket: a port of the loopback would be used up by closed connections within seconds. */
    snprintf(s_name.sun_path, sizeof s_name.sun_path, "%s/http", pr_scratch_dir());
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&s_name, sizeof s_name) < 0 || listen(listener, 16) < 0 ||
        pr_address_parse("127.0.0.1:9478", &s_address, NULL) < 0 ||
        pr_http_new(listener, &s_address, s_page, NULL, &s_http, NULL) < 0)
        abort();
    return atexit(s_close);
}

static void s_check_answer(const char *answer, size_t size) {
    static const char *const heads[] = {"HTTP/1.1 ", "HTTP/1.0 "};
    if (size == 0)
        return;
    if (size < strlen(heads[0]) ||
        (memcmp(answer, heads[0], strlen(heads[0])) != 0 && memcmp(answer, heads[1], strlen(heads[1])) != 0))
        abort();
    if (s_pages > 0 && memmem(answer, size, "\r\n\r\n", 4) == NULL)
        abort();
}

/* Input: where the bytes are cut into two pieces (one byte, of 256), whether the client closes its side, the bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char answer[s_answer_max];
    size_t got = 0;
    bool ended = false;
    if (size < 2)
        return 0;
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client < 0 || connect(client, (struct sockaddr *)&s_name, sizeof s_name) < 0)
        abort();
    s_pages = 0;
    size_t cut = (size - 2) * data[0] / 255;
    (void)!send(client, data + 2, cut, MSG_NOSIGNAL);
    pr_http_turn(s_http, s_now_ms);
    (void)!send(client, data + 2 + cut, size - 2 - cut, MSG_NOSIGNAL);
    if ((data[1] & 1) != 0)
        shutdown(client, SHUT_WR);
    for (int turn = 0; !ended; turn++) {
        if (turn == s_turns_max)
            abort();                  /* it would be held for ever */
        if (turn >= s_patience_turns) /* each answer gives a connection time for the next request */
            s_now_ms += s_patience_ms;
        pr_http_turn(s_http, s_now_ms);
        ssize_t more = recv(client, answer + got, sizeof answer - got, 0);
        if (more > 0)
            got += (size_t)more;
        ended = more == 0 || (more < 0 && errno != EAGAIN && errno != EINTR) || got == sizeof answer;
    }
    s_check_answer(answer, got);
    close(client);
    pr_http_turn(s_http, s_now_ms);
    return 0;
}
