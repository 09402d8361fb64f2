/* SPDX-License-Identifier: MIT */
/* One message that waits until its socket has room. */
#include "common/outbox.h"

#include <stdlib.h>

static void s_free_buffer(void *data, void *hint) {
    (void)hint;
    free(data);
}

static void s_set_waiting(pr_outbox_t *outbox, pr_daemon_t *daemon, bool waiting) {
    outbox->waiting = waiting;
    daemon->hold = waiting;
    daemon->want_out = waiting;
}

void pr_outbox_send(pr_outbox_t *outbox, pr_daemon_t *daemon, const pr_message_t *message, void *data, size_t size) {
    outbox->message = *message;
    zmq_msg_init_data(&outbox->payload, data, size, s_free_buffer, NULL);
    outbox->waiting = true;
    pr_outbox_flush(outbox, daemon);
}

void pr_outbox_flush(pr_outbox_t *outbox, pr_daemon_t *daemon) {
    if (outbox->waiting)
        s_set_waiting(outbox, daemon, pr_daemon_send(daemon, daemon->out, &outbox->message, &outbox->payload, 1) == 0);
}

void pr_outbox_drop(pr_outbox_t *outbox, pr_daemon_t *daemon) {
    if (outbox->waiting) {
        zmq_msg_close(&outbox->payload);
        s_set_waiting(outbox, daemon, false);
    }
}
