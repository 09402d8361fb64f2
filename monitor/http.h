/* SPDX-License-Identifier: MIT */
/* HTTP for those who only read: GET and HEAD, in the caller's loop, without threads. */
/*  DESIGN
 *
 *  libmicrohttpd works behind one epoll descriptor; the caller waits on it together with all else and calls
 *  pr_http_turn. Nothing here waits for a client. What a client can cost is bounded: connections, memory of each, and
 *  the time it may take from its connecting, or from its last answer, to having its next one. (libmicrohttpd's own timeout
 *  begins anew with every byte: a client that sends one now and then would keep its connection for ever.)
 */
#ifndef PR_MONITOR_HTTP_H
#define PR_MONITOR_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "monitor/address.h"

typedef struct pr_http pr_http_t;

/* What a path is answered with. */
typedef struct {
    unsigned status; /* 200, 404, 503 */
    const char *content_type;
    const char *policy; /* Content-Security-Policy; copied */
    char *body;         /* malloc: taken */
    size_t size;
} pr_http_answer_t;

/* Answer a GET or HEAD. path: without query, unescaped, any bytes but NUL. ret_answer: *returns new* body. */
typedef void (*pr_http_answer_fn)(void *context, const char *path, pr_http_answer_t *ret_answer);

/*  Serve on a listening socket. fd: taken, also on failure. address: borrowed. Errors: -PR_E_INTERNAL.
 *  ret_http: *returns new*. */
int pr_http_new(int fd, const pr_address_t *address, pr_http_answer_fn answer, void *context, pr_http_t **ret_http,
                pr_error_t *err);
void pr_http_destroy(pr_http_t **http);

/* Readable when there is something to do. Borrowed. */
int pr_http_fd(const pr_http_t *http);

/* How long the caller may wait for it, at most max_ms. */
int pr_http_timeout(const pr_http_t *http, int max_ms);

/* Do what there is to do. now_ms: pr_now_ms. */
void pr_http_turn(pr_http_t *http, int64_t now_ms);

#endif
