/* SPDX-License-Identifier: MIT */
/* The sockets between the stages: who binds what, and sending and receiving whole messages without blocking. */
#ifndef PR_SOCKET_H
#define PR_SOCKET_H

#include <czmq.h>

#include "common/error.h"
#include "common/message.h"

/*  Endpoints, each an ipc path in the run folder: name, file, type of the side that binds, of the side that connects.
 *
 *  Records go by PUSH/PULL. PROGRESS and COUNTERS go to whoever listens, so they are published; XPUB, because it
 *  tells the writer of a new listener, who then hears where the run stands at once. */
#define PR_ENDPOINTS(X)                                                                                                \
    X(RECORDS, "records.sock", ZMQ_PUSH, ZMQ_PULL)                                                                     \
    X(WRITER, "writer.sock", ZMQ_PULL, ZMQ_PUSH)                                                                       \
    X(COMMITS, "commits.sock", ZMQ_PUSH, ZMQ_PULL)                                                                     \
    X(PROGRESS, "progress.sock", ZMQ_XPUB, ZMQ_SUB)                                                                    \
    X(COUNTERS, "%s.counters", ZMQ_PUB, ZMQ_SUB)

typedef enum {
#define X(name, file, bind_type, connect_type) PR_ENDPOINT_##name,
    PR_ENDPOINTS(X)
#undef X
} pr_endpoint_t;

/*  Bind or connect an endpoint. HWM, LINGER, MAXMSGSIZE and reconnection times are set; SUB sockets subscribe to all.
 *
 *  run_dir: absolute. who: for COUNTERS the stage it belongs to ("reader", "transformer-2"), else NULL.
 *  A second bind on an ipc path would succeed and steal it: hold the stage's lock file first.
 *  ret_socket: *returns new*, zsock_destroy it. Errors: -PR_E_CONFIG (path too long, folder missing, no right). */
int pr_socket_bind(pr_endpoint_t endpoint, const char *run_dir, const char *who, zsock_t **ret_socket, pr_error_t *err);
int pr_socket_connect(pr_endpoint_t endpoint, const char *run_dir, const char *who, zsock_t **ret_socket,
                      pr_error_t *err);

/* A received message with its payload frames. */
typedef struct {
    pr_message_t message;
    zmq_msg_t frames[PR_MESSAGE_MAX_FRAMES - 1];
    unsigned frames_count;
} pr_inbound_t;

/*  Receive one message without blocking.
 *  Returns 1 (release ret_inbound), 0 if there is none, -PR_E_PROTOCOL for one that is none of ours (it is dropped). */
int pr_socket_receive(zsock_t *socket, pr_inbound_t *ret_inbound, pr_error_t *err);
void pr_inbound_release(pr_inbound_t *inbound);

/*  Send one message without blocking. frames: count payload frames; *takes* them when it returns 1.
 *  Returns 1, or 0 if it would block: nothing was sent, the frames are still the caller's. */
int pr_socket_send(zsock_t *socket, const pr_message_t *message, zmq_msg_t *frames, unsigned count);

#endif
