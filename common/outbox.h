/* SPDX-License-Identifier: MIT */
/* One message that waits until its socket has room; meanwhile the stage takes nothing in. */
#ifndef PR_OUTBOX_H
#define PR_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/daemon.h"

/* Start it zeroed. */
typedef struct {
    pr_message_t message;
    zmq_msg_t payload;
    bool waiting;
} pr_outbox_t;

/*  Send a message with one payload frame to the daemon's `out`, or keep it: then the daemon holds its input and wakes
 *  up when there is room. Nothing may be waiting. data: size bytes that malloc made; *takes* it. */
void pr_outbox_send(pr_outbox_t *outbox, pr_daemon_t *daemon, const pr_message_t *message, void *data, size_t size);

/* Try again to send what waits, if anything does. Call it every turn. */
void pr_outbox_flush(pr_outbox_t *outbox, pr_daemon_t *daemon);

/* Forget what waits, if anything does. */
void pr_outbox_drop(pr_outbox_t *outbox, pr_daemon_t *daemon);

#endif
