/* SPDX-License-Identifier: MIT */
/* A hostile peer: sends a running pipeline garbage, broken and well-formed lies, and steals batches. pvrelay-hostile
 * RUN_DIR SEED */
#include <czmq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "common/socket.h"

enum { s_lies = 3000, s_stolen_max = 3, s_patience_ms = 5000 };

/* The run's id, from PROGRESS; without it every message would be dropped at the first check. */
static bool s_learn_run(zsock_t *progress, pr_run_id_t *ret_run) {
    zmq_pollitem_t item = {.socket = zsock_resolve(progress), .events = ZMQ_POLLIN};
    while (zmq_poll(&item, 1, s_patience_ms) > 0) {
        pr_inbound_t inbound;
        if (pr_socket_receive(progress, &inbound, NULL) == 1) {
            *ret_run = inbound.message.run;
            pr_inbound_release(&inbound);
            return true;
        }
    }
    return false;
}

static size_t s_random(size_t below) {
    return (size_t)rand() % below;
}

/* A message of any kind that a peer may send to the writer, with random fields, sometimes of a plausible size. */
static void s_lie(pr_message_t *message, pr_run_id_t run, const pr_msg_batch_t *stolen) {
    static const struct {
        pr_message_id_t id;
        pr_stage_t stage;
    } kinds[] = {{PR_MSG_PLAN, PR_STAGE_READER},      {PR_MSG_ROWS, PR_STAGE_TRANSFORMER},
                 {PR_MSG_END, PR_STAGE_READER},       {PR_MSG_VERDICT, PR_STAGE_VALIDATOR},
                 {PR_MSG_ROWS, PR_STAGE_TRANSFORMER}, {PR_MSG_HELLO, PR_STAGE_READER}};
    size_t kind = s_random(sizeof kinds / sizeof kinds[0]);
    memset(message, 0, sizeof *message);
    message->id = kinds[kind].id;
    message->stage = kinds[kind].stage;
    message->instance = 1;
    message->run = run;
    if (message->id == PR_MSG_ROWS) {
        message->rows.stream = (uint16_t)s_random(3);
        message->rows.source = (uint32_t)s_random(4);
        message->rows.first = s_random(20000);
        message->rows.count = (uint32_t)s_random(3000);
        message->rows.begin = s_random(1000000);
        message->rows.end = message->rows.begin + s_random(1000000);
        message->rows.digest = (uint64_t)rand();
        if (rand() % 2 == 0) { /* as it should be, but for what the rows are */
            message->rows.stream = stolen->stream;
            message->rows.source = stolen->source;
            message->rows.first = stolen->first;
            message->rows.count = stolen->count;
            message->rows.begin = stolen->begin;
            message->rows.end = stolen->end;
            message->rows.digest = stolen->digest;
        }
        message->rows.mapping_digest = stolen->mapping_digest;
    } else if (message->id == PR_MSG_VERDICT) {
        message->verdict.checkpoint = INT64_C(1000000) + rand();
    } else if (message->id == PR_MSG_HELLO) {
        message->hello.incarnation = 1 + s_random(3);
    }
}

static void s_send_lie(zsock_t *writer, pr_run_id_t run, const pr_msg_batch_t *stolen) {
    pr_message_t message;
    zmq_msg_t frame;
    s_lie(&message, run, stolen);
    size_t size = s_random(200);
    zmq_msg_init_size(&frame, size);
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)zmq_msg_data(&frame))[i] = (uint8_t)rand();
    if (pr_socket_send(writer, &message, &frame, pr_message_payload_frames(message.id)) == 0 ||
        pr_message_payload_frames(message.id) == 0)
        zmq_msg_close(&frame);
}

/* Bytes that are no message, or a message with some of them turned over. */
static void s_send_garbage(zsock_t *writer, pr_run_id_t run, const pr_msg_batch_t *stolen) {
    uint8_t bytes[PR_MESSAGE_MAX_BYTES];
    pr_message_t message;
    size_t size = s_random(300);
    s_lie(&message, run, stolen);
    if (rand() % 2 == 0)
        size = pr_message_encode(&message, bytes);
    else
        memset(bytes, rand(), size);
    for (int i = rand() % 8; i > 0 && size > 0; i--)
        bytes[s_random(size)] = (uint8_t)rand();
    int more = rand() % 3;
    for (int i = 0; i <= more; i++)
        zmq_send(zsock_resolve(writer), bytes, size, ZMQ_DONTWAIT | (i < more ? ZMQ_SNDMORE : 0));
}

int main(int argc, char **argv) {
    zsock_t *progress = NULL;
    zsock_t *writer = NULL;
    zsock_t *records = NULL;
    pr_run_id_t run;
    pr_error_t err = PR_ERROR_INIT;
    if (argc != 3)
        return 1;
    srand((unsigned)atoi(argv[2]));
    if (pr_socket_connect(PR_ENDPOINT_PROGRESS, argv[1], NULL, &progress, &err) < 0 ||
        pr_socket_connect(PR_ENDPOINT_WRITER, argv[1], NULL, &writer, &err) < 0 ||
        pr_socket_connect(PR_ENDPOINT_RECORDS, argv[1], NULL, &records, &err) < 0 || !s_learn_run(progress, &run)) {
        fprintf(stderr, "pvrelay-hostile: no pipeline at %s: %s\n", argv[1], err.text);
        return 1;
    }
    int stolen = 0;
    pr_msg_batch_t last = {0};
    for (int i = 0; i < s_lies; i++) {
        pr_inbound_t inbound;
        if (rand() % 2 == 0)
            s_send_lie(writer, run, &last);
        else
            s_send_garbage(writer, run, &last);
        if (stolen < s_stolen_max && pr_socket_receive(records, &inbound, NULL) == 1) {
            last = inbound.message.batch;
            pr_inbound_release(&inbound);
            stolen++;
        }
    }
    printf("%d messages sent, %d batches stolen\n", s_lies, stolen);
    zsock_destroy(&records);
    zsock_destroy(&writer);
    zsock_destroy(&progress);
    return 0;
}
