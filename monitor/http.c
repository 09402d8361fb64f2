/* SPDX-License-Identifier: MIT */
/* HTTP for those who only read. */
#include "monitor/http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

enum {
    s_connections = 64,
    s_connection_bytes = 32 << 10,
    s_idle_s = 10,        /* a connection on which nothing comes */
    s_patience_ms = 15000 /* from one answer to the next, at most */
};

/* A connection of a client. */
typedef struct {
    int fd; /* -1: the slot is free */
    int64_t since_ms;
} pr_client_t;

struct pr_http {
    struct MHD_Daemon *daemon;
    int fd;
    const pr_address_t *address;
    pr_http_answer_fn answer;
    void *context;
    int64_t now_ms;
    pr_client_t clients[s_connections];
};

/* ---- answering ---- */

static void s_add(struct MHD_Response *response, const char *name, const char *value) {
    MHD_add_response_header(response, name, value);
}

/* Takes answer->body. */
static enum MHD_Result s_send(struct MHD_Connection *connection, const pr_http_answer_t *answer, const char *allow) {
    struct MHD_Response *response = MHD_create_response_from_buffer(answer->size, answer->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer->body);
        return MHD_NO;
    }
    s_add(response, "Content-Type", answer->content_type);
    s_add(response, "Content-Security-Policy",
          answer->policy != NULL ? answer->policy : "default-src 'none'; frame-ancestors 'none'");
    s_add(response, "X-Content-Type-Options", "nosniff");
    s_add(response, "X-Frame-Options", "DENY");
    s_add(response, "Referrer-Policy", "no-referrer");
    s_add(response, "Cross-Origin-Resource-Policy", "same-origin");
    s_add(response, "Cache-Control", "no-store");
    if (allow != NULL)
        s_add(response, "Allow", allow);
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result s_refuse(struct MHD_Connection *connection, unsigned status, const char *text,
                                const char *allow) {
    pr_http_answer_t answer = {
        .status = status, .content_type = "text/plain; charset=utf-8", .body = pr_xstrdup(text), .size = strlen(text)};
    return s_send(connection, &answer, allow);
}

static enum MHD_Result s_request(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                                 const char *version, const char *upload, size_t *upload_size, void **state) {
    static int begun; /* its address says: the headers have been seen */
    pr_http_t *http = context;
    pr_http_answer_t answer = {.status = 0};
    (void)version;
    (void)upload;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return s_refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "This monitor only reads: GET and HEAD.\n",
                        "GET, HEAD");
    if (*state == NULL) {
        *state = &begun;
        return MHD_YES; /* the first call is before a body, if there is one */
    }
    if (*upload_size != 0)
        return MHD_NO; /* a GET with a body: nothing that reads does that */
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (!pr_address_answers(http->address, host))
        return s_refuse(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                        "This monitor answers by the names localhost, 127.0.0.1 and [::1] only.\n", NULL);
    http->answer(http->context, path, &answer);
    return s_send(connection, &answer, NULL);
}

/* ---- patience ---- */

static pr_client_t *s_client(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void s_come_or_gone(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code) {
    pr_http_t *http = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        pr_client_t *client = *socket_context;
        if (client != NULL)
            client->fd = -1;
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info != NULL && i < s_connections; i++) {
        pr_client_t *client = &http->clients[i];
        if (client->fd < 0) {
            *client = (pr_client_t){.fd = info->connect_fd, .since_ms = http->now_ms};
            *socket_context = client;
            return;
        }
    }
}

static void s_answered(void *context, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code) {
    pr_http_t *http = context;
    pr_client_t *client = s_client(connection);
    (void)state;
    if (client != NULL && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        client->since_ms = http->now_ms;
}

static void s_lose_patience(pr_http_t *http) {
    for (size_t i = 0; i < s_connections; i++) {
        const pr_client_t *client = &http->clients[i];
        if (client->fd >= 0 && http->now_ms - client->since_ms >= s_patience_ms)
            shutdown(client->fd, SHUT_RDWR); /* libmicrohttpd finds it closed and cleans up */
    }
}

/* ---- life ---- */

int pr_http_new(int fd, const pr_address_t *address, pr_http_answer_fn answer, void *context, pr_http_t **ret_http,
                pr_error_t *err) {
    pr_http_t *http = pr_xcalloc(1, sizeof *http);
    http->address = address;
    http->answer = answer;
    http->context = context;
    http->fd = -1;
    for (size_t i = 0; i < s_connections; i++)
        http->clients[i].fd = -1;
    http->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, s_request, http, MHD_OPTION_LISTEN_SOCKET, fd,
                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)s_connections, MHD_OPTION_CONNECTION_TIMEOUT,
                                    (unsigned)s_idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)s_connection_bytes,
                                    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, s_come_or_gone, http,
                                    MHD_OPTION_NOTIFY_COMPLETED, s_answered, http, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        http->daemon != NULL ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (http->daemon == NULL)
        close(fd);
    if (info == NULL) {
        pr_http_destroy(&http);
        return pr_error_set(err, PR_E_INTERNAL, "libmicrohttpd %s does not start", MHD_get_version());
    }
    http->fd = info->epoll_fd;
    *ret_http = http;
    return 0;
}

void pr_http_destroy(pr_http_t **http) {
    if (http == NULL || *http == NULL)
        return;
    if ((*http)->daemon != NULL)
        MHD_stop_daemon((*http)->daemon);
    free(*http);
    *http = NULL;
}

int pr_http_fd(const pr_http_t *http) {
    return http->fd;
}

int pr_http_timeout(const pr_http_t *http, int max_ms) {
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(http->daemon, &timeout_ms) != MHD_YES || timeout_ms > (unsigned)max_ms)
        return max_ms;
    return (int)timeout_ms;
}

void pr_http_turn(pr_http_t *http, int64_t now_ms) {
    http->now_ms = now_ms;
    MHD_run(http->daemon);
    s_lose_patience(http);
}
