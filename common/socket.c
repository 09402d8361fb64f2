/* SPDX-License-Identifier: MIT */
/* The sockets between the stages. */
#include "common/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/descriptors.h"

enum {
    s_data_hwm = 4,                 /* messages of about a mebibyte, on each side of a pipe */
    s_publish_hwm = 100,            /* small ones; a slow listener loses some */
    s_linger_ms = 1000,             /* BYE and FAIL shall go out; SUB and PUB have nothing that somebody must get */
    s_reconnect_ms = 5,             /* a peer that restarts is back in the pipeline at once ... */
    s_reconnect_max_ms = 100,       /* ... and one that stays away is not polled for nothing */
    s_descriptors = 16,             /* for a socket, its context and its first connections */
    s_message_max_bytes = 96 << 20, /* a record of 16 MiB, its rows, and escapes: all frames of a message together */
    s_publish_max_bytes = 64 << 10  /* PROGRESS and COUNTERS, and subscriptions to them */
};

typedef struct {
    const char *file;
    int bind_type;
    int connect_type;
} pr_endpoint_entry_t;

static const pr_endpoint_entry_t s_endpoints[] = {
#define X(name, file, bind_type, connect_type) [PR_ENDPOINT_##name] = {file, bind_type, connect_type},
    PR_ENDPOINTS(X)
#undef X
};

static void s_set_options(zsock_t *socket, int type) {
    bool publishes = type == ZMQ_XPUB || type == ZMQ_PUB || type == ZMQ_SUB;
    zsock_set_sndhwm(socket, publishes ? s_publish_hwm : s_data_hwm);
    zsock_set_rcvhwm(socket, publishes ? s_publish_hwm : s_data_hwm);
    zsock_set_linger(socket, type == ZMQ_SUB || type == ZMQ_PUB ? 0 : s_linger_ms);
    zsock_set_maxmsgsize(socket, publishes ? s_publish_max_bytes : s_message_max_bytes); /* of a frame */
    zsock_set_reconnect_ivl(socket, s_reconnect_ms);
    zsock_set_reconnect_ivl_max(socket, s_reconnect_max_ms);
    if (type == ZMQ_SUB)
        zsock_set_subscribe(socket, "");
    if (type == ZMQ_XPUB) {
        int verbose = 1; /* tell of every listener, not just of the first */
        zmq_setsockopt(zsock_resolve(socket), ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose);
    }
}

/* Whoever may write to a socket takes part in the run: that is its owner, whatever the umask. libzmq makes it in this thread. */
static int s_bind(zsock_t *socket, const char *path) {
    mode_t before = umask(0177);
    int result = zsock_bind(socket, "ipc://%s", path);
    int why = errno;
    umask(before);
    errno = why;
    return result;
}

static int s_open(pr_endpoint_t endpoint, bool bind, const char *run_dir, const char *who, zsock_t **ret_socket,
                  pr_error_t *err) {
    const pr_endpoint_entry_t *entry = &s_endpoints[endpoint];
    char file[128];
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    if (endpoint == PR_ENDPOINT_COUNTERS)
        snprintf(file, sizeof file, "%s.counters", who);
    else
        snprintf(file, sizeof file, "%s", entry->file);
    int size = snprintf(path, sizeof path, "%s/%s", run_dir, file);
    if (size < 0 || (size_t)size >= sizeof path)
        return pr_error_set(err, PR_E_CONFIG, "%s/%s: a socket's path has at most %zu bytes; choose a shorter run_dir",
                            run_dir, file, sizeof path - 1);
    int result = pr_descriptors_check(s_descriptors, err);
    if (result < 0)
        return result;
    int type = bind ? entry->bind_type : entry->connect_type;
    zsock_t *socket = zsock_new(type);
    if (socket == NULL)
        return pr_error_set(err, PR_E_INTERNAL, "no ZeroMQ socket: %s", zmq_strerror(errno));
    s_set_options(socket, type);
    int failed = bind ? s_bind(socket, path) : zsock_connect(socket, "ipc://%s", path);
    if (failed < 0) {
        zsock_destroy(&socket);
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot %s the socket: %s", path, bind ? "bind" : "connect",
                            zmq_strerror(errno));
    }
    *ret_socket = socket;
    return 0;
}

int pr_socket_bind(pr_endpoint_t endpoint, const char *run_dir, const char *who, zsock_t **ret_socket,
                   pr_error_t *err) {
    return s_open(endpoint, true, run_dir, who, ret_socket, err);
}

int pr_socket_connect(pr_endpoint_t endpoint, const char *run_dir, const char *who, zsock_t **ret_socket,
                      pr_error_t *err) {
    return s_open(endpoint, false, run_dir, who, ret_socket, err);
}

static int s_receive_frame(void *socket, zmq_msg_t *frame) {
    int result;
    do {
        result = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    } while (result < 0 && errno == EINTR);
    return result;
}

int pr_socket_receive(zsock_t *socket, pr_inbound_t *ret_inbound, pr_error_t *err) {
    void *raw = zsock_resolve(socket);
    zmq_msg_t frames[PR_MESSAGE_MAX_FRAMES];
    unsigned count = 0;
    unsigned kept = 0;
    size_t bytes = 0;
    bool more = true;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (s_receive_frame(raw, &frame) < 0) {
            zmq_msg_close(&frame);
            break; /* the parts of a message come together: only before its first one */
        }
        more = zmq_msg_more(&frame) != 0;
        bytes += zmq_msg_size(&frame);
        if (kept < PR_MESSAGE_MAX_FRAMES)
            frames[kept++] = frame;
        else
            zmq_msg_close(&frame);
        count++;
    }
    if (count == 0)
        return 0;
    int result =
        bytes > s_message_max_bytes
            ? pr_error_set(err, PR_E_PROTOCOL, "a message of more than %d bytes", (int)s_message_max_bytes)
            : pr_message_decode(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), count, &ret_inbound->message, err);
    zmq_msg_close(&frames[0]);
    for (unsigned i = 1; i < kept; i++) {
        if (result == 0)
            ret_inbound->frames[i - 1] = frames[i];
        else
            zmq_msg_close(&frames[i]);
    }
    if (result < 0)
        return result;
    ret_inbound->frames_count = kept - 1;
    return 1;
}

void pr_inbound_release(pr_inbound_t *inbound) {
    for (unsigned i = 0; i < inbound->frames_count; i++)
        zmq_msg_close(&inbound->frames[i]);
    inbound->frames_count = 0;
}

static int s_send_frame(void *socket, zmq_msg_t *frame, bool more) {
    int result;
    do {
        result = zmq_msg_send(frame, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    } while (result < 0 && errno == EINTR);
    return result;
}

int pr_socket_send(zsock_t *socket, const pr_message_t *message, zmq_msg_t *frames, unsigned count) {
    void *raw = zsock_resolve(socket);
    uint8_t encoded[PR_MESSAGE_MAX_BYTES];
    size_t size = pr_message_encode(message, encoded);
    zmq_msg_t first;
    zmq_msg_init_size(&first, size);
    memcpy(zmq_msg_data(&first), encoded, size);
    if (s_send_frame(raw, &first, count > 0) < 0) {
        zmq_msg_close(&first);
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        /* Once the first part is taken, the others are: a message is sent whole or not at all. */
        if (s_send_frame(raw, &frames[i], i + 1 < count) < 0)
            zmq_msg_close(&frames[i]);
    }
    return 1;
}
