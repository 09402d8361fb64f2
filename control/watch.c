/* SPDX-License-Identifier: MIT */
/* Listening to the stages of a run folder. */

/*  DESIGN
 *
 *  A SUB socket for each stage's COUNTERS and one for PROGRESS, connected once: ZeroMQ goes on trying the path while
 *  nobody is there, also when the folder itself has gone and comes back. What tells up from down:
 *
 *      heard within PR_WATCH_SILENCE_MS, and not found dead        up
 *      silent for longer than s_probe_silence_ms                    its socket is tried, at most twice a second
 *          nobody listens (killed, stopped, folder gone)            down at once
 *          somebody does (stopped by SIGSTOP, starved)              down after PR_WATCH_SILENCE_MS
 *
 *  A stage is believed on its own socket only: COUNTERS of another one, or any other message, is dropped there. What a
 *  turn takes from a socket is bounded, so that a flood on one does not hide the others.
 *
 *  Transformers: those of config.json, those on whose sockets somebody listens, and those that were heard since
 *  config.json was last written.
 */
#include "control/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/socket.h"

enum {
    s_transformers_max = 64,
    s_reader_slot = 0, /* transformers: 1 to 64 */
    s_writer_slot = s_transformers_max + 1,
    s_validator_slot,
    s_slots,
    s_probe_ms = 500,
    s_probe_silence_ms = 300, /* a stage publishes every 250 ms */
    s_slice_ms = 100,
    s_messages_a_turn = 1000,
    s_config_max_bytes = 16 << 20
};

typedef struct {
    pr_watch_stage_t stage;
    zsock_t *socket; /* NULL: not listened to */
    int64_t probed_ms;
} pr_watch_slot_t;

struct pr_watch {
    char *run_dir;
    pr_watch_slot_t slots[s_slots];
    pr_watch_stage_t stages[s_slots]; /* the listed ones, put together anew in each turn */
    size_t stages_count;
    zsock_t *progress_socket;
    bool progress_heard; /* from the writer that is up */
    pr_msg_progress_t progress;
    pr_run_id_t run; /* whose progress; all zero: none heard yet */
    pr_meter_t *meter;
    int64_t scanned_ms;
    struct stat config; /* config.json as it was read last */
    uint32_t configured;
};

/* ---- who is there ---- */

/* Does anybody listen on this stage's socket file? */
static bool s_is_bound(const char *run_dir, const char *who) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.counters", run_dir, who);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return false;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EAGAIN: somebody who has not come to accept others before us. */
    bool bound = probe >= 0 && (connect(probe, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN);
    if (probe >= 0)
        close(probe);
    return bound;
}

static void s_name_slot(pr_watch_slot_t *slot, pr_stage_t stage, uint32_t instance) {
    slot->stage.stage = stage;
    slot->stage.instance = instance;
    pr_stage_who(stage, instance, slot->stage.who);
}

static void s_open_slot(pr_watch_t *watch, pr_watch_slot_t *slot) {
    /* A path that is too long for a socket: nobody can be there. */
    if (slot->socket == NULL &&
        pr_socket_connect(PR_ENDPOINT_COUNTERS, watch->run_dir, slot->stage.who, &slot->socket, NULL) < 0)
        slot->socket = NULL;
}

static void s_close_slot(pr_watch_slot_t *slot) {
    zsock_destroy(&slot->socket);
    memset(&slot->stage.counters, 0, sizeof slot->stage.counters);
    slot->stage.up = slot->stage.bound = slot->stage.heard = false;
    slot->probed_ms = 0;
}

/* Try its socket, if it is time to and there is a reason. */
static void s_probe(const pr_watch_t *watch, pr_watch_slot_t *slot, int64_t now_ms) {
    pr_watch_stage_t *stage = &slot->stage;
    if (stage->up && now_ms - stage->heard_ms <= s_probe_silence_ms)
        return;
    if (slot->probed_ms == 0 || now_ms - slot->probed_ms >= s_probe_ms) {
        slot->probed_ms = now_ms;
        stage->bound = s_is_bound(watch->run_dir, stage->who);
    }
    if (!stage->bound || now_ms - stage->heard_ms > PR_WATCH_SILENCE_MS)
        stage->up = false;
}

/* How many transformers config.json names; unchanged when it cannot be read just now. ret_changed: it was written. */
static void s_read_config(pr_watch_t *watch, bool *ret_changed) {
    struct stat status;
    char *path = pr_xasprintf("%s/config.json", watch->run_dir);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    free(path);
    *ret_changed = false;
    if (file < 0)
        return;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= s_config_max_bytes &&
        (status.st_ino != watch->config.st_ino || status.st_size != watch->config.st_size ||
         memcmp(&status.st_mtim, &watch->config.st_mtim, sizeof status.st_mtim) != 0)) {
        json_t *root = json_loadfd(file, 0, NULL);
        const json_t *number = json_object_get(root, "transformers");
        json_int_t transformers = json_is_integer(number) ? json_integer_value(number) : 1;
        if (root != NULL && transformers >= 1 && transformers <= s_transformers_max) {
            watch->configured = (uint32_t)transformers;
            watch->config = status;
            *ret_changed = true;
        }
        json_decref(root);
    }
    close(file);
}

/* The instance of a file "transformer-N.counters"; 0: another file. */
static uint32_t s_instance_of(const char *file) {
    static const char prefix[] = "transformer-";
    const char *at = file + sizeof prefix - 1;
    uint32_t instance = 0;
    if (strncmp(file, prefix, sizeof prefix - 1) != 0 || *at == '0')
        return 0;
    for (; *at >= '0' && *at <= '9' && instance <= s_transformers_max; at++)
        instance = instance * 10 + (uint32_t)(*at - '0');
    return strcmp(at, ".counters") == 0 && instance <= s_transformers_max ? instance : 0;
}

/* Which transformers are listened to. */
static void s_scan(pr_watch_t *watch, int64_t now_ms) {
    bool found[s_transformers_max + 1] = {false};
    bool changed;
    if (watch->scanned_ms != 0 && now_ms - watch->scanned_ms < s_probe_ms)
        return;
    watch->scanned_ms = now_ms;
    s_read_config(watch, &changed);
    DIR *folder = opendir(watch->run_dir);
    if (folder != NULL) {
        const struct dirent *entry;
        while ((entry = readdir(folder)) != NULL)
            found[s_instance_of(entry->d_name)] = true;
        closedir(folder);
    }
    for (uint32_t i = 1; i <= s_transformers_max; i++) {
        pr_watch_slot_t *slot = &watch->slots[i];
        bool wanted =
            i <= watch->configured || slot->stage.up || (slot->socket != NULL && slot->stage.heard && !changed);
        if (!wanted && found[i])
            wanted = s_is_bound(watch->run_dir, slot->stage.who);
        if (wanted)
            s_open_slot(watch, slot);
        else if (slot->socket != NULL)
            s_close_slot(slot);
    }
}

/* Stages that come and go. */
static void s_keep_up(pr_watch_t *watch, int64_t now_ms) {
    s_scan(watch, now_ms);
    watch->stages_count = 0;
    for (uint32_t i = 0; i < s_slots; i++) {
        pr_watch_slot_t *slot = &watch->slots[i];
        bool transformer = slot->stage.stage == PR_STAGE_TRANSFORMER;
        if (transformer && slot->socket == NULL && i > watch->configured)
            continue;
        s_probe(watch, slot, now_ms);
        watch->stages[watch->stages_count++] = slot->stage;
    }
    if (!watch->slots[s_writer_slot].stage.up)
        watch->progress_heard = false;
}

/* ---- beginning and end ---- */

pr_watch_t *pr_watch_new(const char *run_dir) {
    pr_watch_t *watch = pr_xcalloc(1, sizeof *watch);
    zsys_handler_set(NULL); /* signals are the program's own */
    watch->run_dir = pr_xstrdup(run_dir);
    watch->configured = 1;
    watch->meter = pr_meter_new(s_transformers_max);
    pr_meter_join(watch->meter);
    s_name_slot(&watch->slots[s_reader_slot], PR_STAGE_READER, 1);
    for (uint32_t i = 1; i <= s_transformers_max; i++)
        s_name_slot(&watch->slots[i], PR_STAGE_TRANSFORMER, i);
    s_name_slot(&watch->slots[s_writer_slot], PR_STAGE_WRITER, 1);
    s_name_slot(&watch->slots[s_validator_slot], PR_STAGE_VALIDATOR, 1);
    s_open_slot(watch, &watch->slots[s_reader_slot]);
    s_open_slot(watch, &watch->slots[s_writer_slot]);
    s_open_slot(watch, &watch->slots[s_validator_slot]);
    if (pr_socket_connect(PR_ENDPOINT_PROGRESS, run_dir, NULL, &watch->progress_socket, NULL) < 0)
        watch->progress_socket = NULL;
    s_keep_up(watch, pr_now_ms());
    return watch;
}

void pr_watch_destroy(pr_watch_t **watch) {
    if (watch == NULL || *watch == NULL)
        return;
    pr_watch_t *self = *watch;
    for (size_t i = 0; i < s_slots; i++)
        zsock_destroy(&self->slots[i].socket);
    zsock_destroy(&self->progress_socket);
    pr_meter_destroy(&self->meter);
    free(self->run_dir);
    free(self);
    *watch = NULL;
}

/* ---- listening ---- */

static void s_heard(pr_watch_slot_t *slot, int64_t now_ms) {
    slot->stage.heard = true;
    slot->stage.heard_ms = now_ms;
    slot->stage.up = slot->stage.bound = true;
}

/* A run that was not known before. What the stages have counted until now was of the one before. */
static void s_change_run(pr_watch_t *watch, pr_run_id_t run) {
    if (pr_run_id_known(watch->run)) {
        pr_meter_destroy(&watch->meter);
        watch->meter = pr_meter_new(s_transformers_max);
        for (size_t i = 0; i < s_slots; i++) {
            const pr_watch_stage_t *stage = &watch->slots[i].stage;
            if (stage->heard)
                pr_meter_discount(watch->meter, stage->stage, stage->instance, &stage->counters);
        }
    }
    watch->run = run;
}

static void s_take_progress(pr_watch_t *watch, const pr_message_t *message, int64_t now_ms) {
    if (message->id != PR_MSG_PROGRESS)
        return;
    if (pr_run_id_known(message->run) && !pr_run_id_equal(message->run, watch->run))
        s_change_run(watch, message->run);
    watch->progress = message->progress;
    watch->progress_heard = true;
    s_heard(&watch->slots[s_writer_slot], now_ms);
    pr_meter_progress(watch->meter, &message->progress, now_ms);
}

static void s_take_counters(pr_watch_t *watch, pr_watch_slot_t *slot, const pr_message_t *message, int64_t now_ms) {
    if (message->id != PR_MSG_COUNTERS || message->stage != slot->stage.stage ||
        message->instance != slot->stage.instance)
        return;
    slot->stage.counters = message->counters;
    s_heard(slot, now_ms);
    /* One that has not heard of the new run yet counts for the old one. */
    bool of_run =
        !pr_run_id_known(message->run) || !pr_run_id_known(watch->run) || pr_run_id_equal(message->run, watch->run);
    if (of_run)
        pr_meter_counters(watch->meter, slot->stage.stage, slot->stage.instance, &message->counters);
    else
        pr_meter_discount(watch->meter, slot->stage.stage, slot->stage.instance, &message->counters);
}

/* Take what has come on a socket; slot NULL: it is the one of PROGRESS. Has any message of ours come? */
static bool s_hear(pr_watch_t *watch, zsock_t *socket, pr_watch_slot_t *slot, int64_t now_ms) {
    pr_inbound_t inbound;
    bool any = false;
    int received = 1;
    for (int i = 0; socket != NULL && i < s_messages_a_turn; i++) {
        received = pr_socket_receive(socket, &inbound, NULL);
        if (received == 0)
            break;
        if (received < 0)
            continue; /* none of ours */
        if (slot == NULL)
            s_take_progress(watch, &inbound.message, now_ms);
        else
            s_take_counters(watch, slot, &inbound.message, now_ms);
        pr_inbound_release(&inbound);
        any = true;
    }
    return any;
}

/* Returns true if there is a reason to go back to the caller. */
static bool s_turn(pr_watch_t *watch, long wait_ms, int fd) {
    zmq_pollitem_t items[s_slots + 2];
    int count = 0;
    bool woken = false;
    if (fd >= 0)
        items[count++] = (zmq_pollitem_t){.fd = fd, .events = ZMQ_POLLIN};
    if (watch->progress_socket != NULL)
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(watch->progress_socket), .events = ZMQ_POLLIN};
    for (size_t i = 0; i < s_slots; i++) {
        if (watch->slots[i].socket != NULL)
            items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(watch->slots[i].socket), .events = ZMQ_POLLIN};
    }
    int ready = zmq_poll(items, count, wait_ms);
    if (ready < 0 || (fd >= 0 && items[0].revents != 0))
        woken = true; /* a signal, or the descriptor */
    int64_t now_ms = pr_now_ms();
    woken |= s_hear(watch, watch->progress_socket, NULL, now_ms); /* first: which run is on */
    for (size_t i = 0; i < s_slots; i++)
        woken |= s_hear(watch, watch->slots[i].socket, &watch->slots[i], now_ms);
    s_keep_up(watch, now_ms);
    return woken;
}

void pr_watch_listen(pr_watch_t *watch, int timeout_ms, int fd) {
    int64_t until_ms = pr_now_ms() + timeout_ms;
    int64_t left_ms = timeout_ms > 0 ? timeout_ms : 0;
    while (!s_turn(watch, (long)(left_ms < s_slice_ms ? left_ms : s_slice_ms), fd)) {
        left_ms = until_ms - pr_now_ms();
        if (left_ms <= 0)
            break;
    }
}

/* ---- how things stand ---- */

const pr_watch_stage_t *pr_watch_stages(const pr_watch_t *watch, size_t *ret_count) {
    *ret_count = watch->stages_count;
    return watch->stages;
}

const pr_msg_progress_t *pr_watch_progress(const pr_watch_t *watch, pr_run_id_t *ret_run) {
    if (!watch->progress_heard)
        return NULL;
    if (ret_run != NULL)
        *ret_run = watch->run;
    return &watch->progress;
}

void pr_watch_look(const pr_watch_t *watch, pr_meter_view_t *ret_view) {
    pr_meter_look(watch->meter, pr_now_ms(), ret_view);
    ret_view->transformers = 0;
    for (size_t i = 0; i < watch->stages_count; i++)
        ret_view->transformers += watch->stages[i].stage == PR_STAGE_TRANSFORMER;
}

const char *pr_watch_state_word(unsigned state) {
    static const char *const words[] = {"?", "awaiting-plan", "streaming", "proving", "complete", "failed"};
    return state < sizeof words / sizeof words[0] ? words[state] : words[0];
}
