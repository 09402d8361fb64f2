/* SPDX-License-Identifier: MIT */
/* The recipe of a daemon. */
/*  DESIGN
 *
 *  Every main is pr_daemon_main(ops), and that reads: arguments, config (--check stops here), signals, lock, sockets,
 *  open, READY=1, loop, drain, STOPPING=1, exit code.
 *
 *  The loop is zmq_poll over a signalfd and the stage's sockets, not a zloop: a zloop with timers only dies on SIGTERM,
 *  a nonstop one ends on EINTR (czmq 4.2.1), and a stage needs "wake me when there is room to send", which zloop has
 *  not. czmq's own signal handlers are switched off before the first socket.
 *
 *  States of a stage other than the writer, by the PROGRESS it hears:
 *
 *      alone     nothing heard for s_alone_ms, or yet: HELLO every s_hello_ms, and a look at the last words of the writer
 *                (common/ending.h): it may have left before we came
 *      joined    run and writer known; a PROGRESS with another run or another writer's incarnation is `fresh`, and
 *                answered with HELLO: the stage begins anew with it
 *      complete  BYE, the run ends with the outcome
 *      failed    BYE, the run ends with the outcome
 *      (another run than the configuration names: with a spool ours is over; without one it is none of our business)
 *      failing   this stage cannot go on: FAIL every s_hello_ms, until it hears that the run stops, for s_tell_ms at most;
 *                with a spool until it does: a writer that is just being started again must not wait for us in vain.
 *                Not so if the writer speaks another version of the protocol, because only one of us was upgraded: the
 *                stage ends at once, and whoever watches over it (`pvrelay run`, systemd) ends the run
 *
 *  When a run ends the process ends, with the outcome as its exit code. Not so with a spool, unless the failure is not the
 *  export's fault: there the process closes all that belongs to the run and waits (`idle`) until the configuration, which
 *  the manager replaces, names a run that has not ended; is the file gone, so is the manager, and the process leaves as
 *  if asked to. Each run has sockets of its own, in a ZeroMQ context of its own: nothing of one run can be received in
 *  the next, and the end of the context waits until the old socket files are gone.
 *
 *  What peers can make us hold: libzmq has bounds for frames and for whole messages that wait, but none for a message that does
 *  not end, for what is subscribed to, and for connections. So the stage watches its own size: should it grow far beyond what
 *  its work can need, all its sockets are closed and opened anew, which frees what they held. What was lost with them the
 *  protocol brings back, as after a crash. Should the size stay, it was the work after all, and the bound is moved.
 *
 *  Where the time goes: the loop waits in one place, zmq_poll with a timeout. It waits for output if the stage has something
 *  that nobody has room for (want_out, full), else for input; all the rest is work, open and close included.
 *
 *  What a crash leaves behind: a lock file (taken over by the next start: flock ends with its process) and socket files
 *  (replaced).
 */
#include "common/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "common/daemon_options.h"
#include "common/descriptors.h"
#include "common/ending.h"
#include "common/fault.h"
#include "common/lock.h"
#include "common/lock_wait.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/occupied.h"
#include "common/signals.h"
#include "common/starts.h"
#include "common/watchdog.h"
#include "common/workers.h"

enum {
    s_turn_ms = 25,
    s_hello_ms = 500,
    s_alone_ms = 2000, /* without PROGRESS for so long, and for three heartbeats: the writer is gone */
    s_tell_ms = 10000,
    s_idle_ms = 100,
    s_counters_ms = 250,      /* at most four times a second */
    s_last_counters_ms = 200, /* that long they may take to leave, should a listener be stuck */
    s_status_ms = 1000,
    s_drain_wait_ms = 2000, /* for a lock, when asked to leave */
    s_messages_a_turn = 8,
    s_guard_ms = 10,              /* between looks at our own size */
    s_spare_bytes = 512 * 1048576 /* beyond what the windows may take */
};

/* The daemon with what only the recipe needs to know. */
typedef struct {
    pr_daemon_t public; /* first: stages hold a pointer to it */
    const pr_stage_ops_t *ops;
    void *self;
    pr_config_t *config;
    pr_mapping_t *mapping;
    pr_lock_t *lock;
    zsock_t *counters;
    char who[PR_WHO_BYTES];
    int signals; /* signalfd */
    const char *config_path;
    uint64_t writer_incarnation;
    bool draining;
    int64_t draining_ms; /* since when */
    bool waiting;        /* for a lock, as the log says */
    int64_t heard_ms;    /* when PROGRESS was heard last, or the run was taken up */
    int64_t hello_ms, counters_ms, status_ms;
    pr_error_t heard;    /* what went wrong when PROGRESS was heard in the midst of a message */
    int64_t guard_ms;    /* when we last looked at our own size */
    size_t memory_max;   /* at which the sockets are opened anew; 0: not set yet */
    unsigned reopenings; /* how often they were */
    bool reopened;       /* the stage has not been told yet */
    pr_watchdog_t watchdog;
    pr_occupied_t occupied;
    struct stat config_read; /* the file that the configuration was read from */
} pr_recipe_t;

static void s_publish_counters(pr_recipe_t *recipe, int64_t now_ms);
static void s_guard_memory(pr_recipe_t *recipe, int64_t now_ms);

int64_t pr_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t pr_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t pr_calendar_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool pr_daemon_interrupted(void) {
    sigset_t pending;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

void pr_daemon_busy(pr_daemon_t *daemon) {
    pr_recipe_t *recipe = (pr_recipe_t *)daemon;
    int64_t now_ms = pr_now_ms();
    s_guard_memory(recipe, now_ms);
    if (now_ms - recipe->counters_ms < s_counters_ms)
        return;
    s_publish_counters(recipe, now_ms);
    sd_notify(0, "EXTEND_TIMEOUT_USEC=10000000\nWATCHDOG=1");
}

int pr_daemon_send(pr_daemon_t *daemon, zsock_t *socket, pr_message_t *message, zmq_msg_t *frames, unsigned count) {
    message->stage = daemon->stage;
    message->instance = daemon->instance;
    message->run = daemon->run;
    return pr_socket_send(socket, message, frames, count);
}

void pr_daemon_protocol_error(pr_daemon_t *daemon, pr_protocol_kind_t kind, const pr_error_t *err) {
    daemon->counters.protocol_errors.at[kind]++;
    pr_log_repeatable("PROTOCOL: %s; the message is dropped", err->text);
}

int pr_daemon_check_mapping(const pr_daemon_t *daemon, uint64_t digest, pr_error_t *err) {
    if (digest == daemon->mapping->digest)
        return 0;
    return pr_error_set(err, PR_E_MAPPING,
                        "%s: is not the mapping that the reader works with; start all stages with the same one",
                        daemon->mapping->path);
}

/* Read configuration and mapping, in place of what was read before. */
static int s_load(pr_recipe_t *recipe, pr_error_t *err) {
    pr_config_t *config = NULL;
    pr_mapping_t *mapping = NULL;
    struct stat status = {0}; /* looked at before it is read: what comes in between is read again */
    if (stat(recipe->config_path, &status) < 0)
        status.st_ino = 0;
    int result = pr_config_load(recipe->config_path, &config, err);
    if (result == 0)
        result = pr_mapping_load(config->mapping, NULL, NULL, &mapping, err);
    if (result == 0 && recipe->public.instance > config->transformers)
        result = pr_error_set(err, PR_E_CONFIG, "%s: --instance %u, but \"transformers\" is %u", recipe->config_path,
                              recipe->public.instance, config->transformers);
    if (result < 0) {
        pr_mapping_destroy(&mapping);
        pr_config_destroy(&config);
        return result;
    }
    pr_mapping_destroy(&recipe->mapping);
    pr_config_destroy(&recipe->config);
    recipe->public.config = recipe->config = config;
    recipe->public.mapping = recipe->mapping = mapping;
    recipe->config_read = status;
    return 0;
}

/*  Another process holds a lock that we need. The log says it once, the status as long as it lasts; systemd hears that we
 *  live, and whoever listens does. A signal ends it: at once, or, if we are leaving already, soon. */
static bool s_on_lock_wait(void *context, const char *what, bool begins) {
    pr_recipe_t *recipe = context;
    int64_t now_ms = pr_now_ms();
    if (begins) {
        pr_log(PR_LOG_WARNING, "%s", pr_lock_wait_warning(what).text);
        recipe->waiting = true;
        recipe->status_ms = 0;
    }
    if (pr_daemon_interrupted() || (recipe->draining && now_ms - recipe->draining_ms >= s_drain_wait_ms))
        return false;
    if (recipe->counters != NULL)
        pr_daemon_busy(&recipe->public);
    else
        sd_notify(0, "EXTEND_TIMEOUT_USEC=10000000\nWATCHDOG=1");
    if (recipe->self != NULL && recipe->ops->on_wait != NULL)
        recipe->ops->on_wait(recipe->self);
    if (now_ms - recipe->status_ms >= s_status_ms) {
        pr_notify_status("waiting: %s", what);
        recipe->status_ms = now_ms;
    }
    return true;
}

static int s_take_lock(pr_recipe_t *recipe, pr_error_t *err) {
    char path[PATH_MAX];
    int result = pr_config_make_run_dir(recipe->config->run_dir, err);
    if (result < 0)
        return result;
    snprintf(path, sizeof path, "%s/%s.lock", recipe->config->run_dir, recipe->who);
    result = pr_lock_take(path, pr_lock_wait_limit_ms(), &recipe->lock, err);
    if (result == 0)
        recipe->public.counters.starts = pr_starts_count(recipe->config->run_dir, recipe->who);
    return result;
}

static int s_open_counters(pr_recipe_t *recipe, pr_error_t *err) {
    zsys_handler_set(NULL);
    return pr_socket_bind(PR_ENDPOINT_COUNTERS, recipe->config->run_dir, recipe->who, &recipe->counters, err);
}

static int s_open_sockets(pr_recipe_t *recipe, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    const char *dir = recipe->config->run_dir;
    int result = s_open_counters(recipe, err);
    if (result < 0)
        return result;
    switch (daemon->stage) {
    case PR_STAGE_READER:
        result = pr_socket_bind(PR_ENDPOINT_RECORDS, dir, NULL, &daemon->out, err);
        break;
    case PR_STAGE_TRANSFORMER:
        result = pr_socket_connect(PR_ENDPOINT_RECORDS, dir, NULL, &daemon->in, err);
        break;
    case PR_STAGE_WRITER:
        result = pr_socket_bind(PR_ENDPOINT_WRITER, dir, NULL, &daemon->in, err);
        if (result == 0)
            result = pr_socket_bind(PR_ENDPOINT_COMMITS, dir, NULL, &daemon->out, err);
        if (result == 0)
            result = pr_socket_bind(PR_ENDPOINT_PROGRESS, dir, NULL, &daemon->progress, err);
        break;
    case PR_STAGE_VALIDATOR:
        result = pr_socket_connect(PR_ENDPOINT_COMMITS, dir, NULL, &daemon->in, err);
        break;
    }
    if (result == 0 && daemon->stage != PR_STAGE_WRITER)
        result = pr_socket_connect(PR_ENDPOINT_WRITER, dir, NULL, &daemon->writer, err);
    if (result == 0 && daemon->stage != PR_STAGE_WRITER)
        result = pr_socket_connect(PR_ENDPOINT_PROGRESS, dir, NULL, &daemon->progress, err);
    if (daemon->out == NULL)
        daemon->out = daemon->writer;
    return result;
}

/* Close them, and wait until their files are gone. What lingers has so long. */
static void s_close_sockets(pr_recipe_t *recipe) {
    pr_daemon_t *daemon = &recipe->public;
    if (daemon->out != daemon->writer)
        zsock_destroy(&daemon->out);
    daemon->out = NULL;
    zsock_destroy(&daemon->in);
    zsock_destroy(&daemon->writer);
    zsock_destroy(&daemon->progress);
    zsock_destroy(&recipe->counters);
    zsys_shutdown();
}

/* Memory of this process that is its own. 0: not known. */
static size_t s_own_bytes(void) {
    char text[128];
    unsigned long resident = 0;
    unsigned long shared = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        close(file);
    text[got > 0 ? got : 0] = '\0';
    if (sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 || shared > resident)
        return 0;
    return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

/* All connections are given up, and what they held with them. */
static void s_reopen_sockets(pr_recipe_t *recipe) {
    pr_daemon_t *daemon = &recipe->public;
    zsock_t *const sockets[] = {daemon->in, daemon->out, daemon->writer, daemon->progress, recipe->counters};
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++)
        if (sockets[i] != NULL)
            zsock_set_linger(sockets[i], 0);
    s_close_sockets(recipe);
    s_open_sockets(recipe, &recipe->heard);
    malloc_trim(0);
    recipe->reopened = true;
}

static void s_guard_memory(pr_recipe_t *recipe, int64_t now_ms) {
    if (now_ms - recipe->guard_ms < s_guard_ms || recipe->public.progress == NULL)
        return;
    recipe->guard_ms = now_ms;
    if (recipe->memory_max == 0)
        recipe->memory_max = s_spare_bytes + 4 * (size_t)recipe->config->window_bytes;
    size_t bytes = s_own_bytes();
    if (bytes <= recipe->memory_max)
        return;
    recipe->public.counters.protocol_errors.at[PR_PROTOCOL_MALFORMED]++;
    s_reopen_sockets(recipe);
    size_t left = s_own_bytes();
    if (left > recipe->memory_max / 2)
        recipe->memory_max = left + s_spare_bytes;
    recipe->reopenings++;
    if ((recipe->reopenings & (recipe->reopenings - 1)) == 0) /* 1st, 2nd, 4th, ... */
        pr_log(PR_LOG_WARNING,
               "PROTOCOL: this process held %zu MiB, more than its work takes, and %zu without its connections: peers "
               "made "
               "it hold the rest; all have been closed and opened anew, %u times so far",
               bytes >> 20, left >> 20, recipe->reopenings);
}

static void s_hello(pr_recipe_t *recipe, int64_t now_ms) {
    pr_message_t hello = {.id = PR_MSG_HELLO, .hello = {.incarnation = recipe->public.incarnation}};
    pr_daemon_send(&recipe->public, recipe->public.writer, &hello, NULL, 0);
    recipe->hello_ms = now_ms;
}

static void s_bye(pr_recipe_t *recipe) {
    pr_message_t bye = {.id = PR_MSG_BYE, .bye = {.incarnation = recipe->public.incarnation}};
    pr_daemon_send(&recipe->public, recipe->public.writer, &bye, NULL, 0);
}

static void s_leave(pr_recipe_t *recipe, int outcome) {
    recipe->public.leave = true;
    recipe->public.outcome = outcome;
}

/* Where the configuration names the run, is this another one? */
static bool s_is_of_another_run(const pr_recipe_t *recipe, pr_run_id_t run) {
    pr_run_id_t ours;
    return recipe->config->run != NULL && pr_run_id_parse(recipe->config->run, &ours) == 0 &&
           !pr_run_id_equal(run, ours);
}

/* A PROGRESS, in a stage other than the writer. */
static int s_hear_progress(pr_recipe_t *recipe, const pr_message_t *message, int64_t now_ms, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    const pr_msg_progress_t *progress = &message->progress;
    if (s_is_of_another_run(recipe, message->run)) {
        /* We slept, and ours is long over: nothing of it may get into that one, a reader's plan least of all. */
        if (recipe->config->spool != NULL)
            s_leave(recipe, PR_E_OK);
        return 0;
    }
    bool fresh = !pr_run_id_equal(daemon->run, message->run) || recipe->writer_incarnation != progress->incarnation;
    recipe->heard_ms = now_ms;
    if (fresh) {
        daemon->run = message->run;
        recipe->writer_incarnation = progress->incarnation;
        s_hello(recipe, now_ms);
    }
    if (progress->state == PR_PROGRESS_COMPLETE) {
        pr_fault("peer.before-bye");
        s_bye(recipe);
        s_leave(recipe, progress->outcome);
        return 0;
    }
    if (progress->state == PR_PROGRESS_FAILED) {
        pr_log(PR_LOG_NOTICE, "the run stops: %s: %s", pr_error_name(progress->outcome), progress->text.data);
        s_bye(recipe);
        s_leave(recipe, progress->outcome);
        return 0;
    }
    return recipe->ops->on_progress(recipe->self, progress, fresh, err);
}

static int s_receive_signal(pr_recipe_t *recipe, pr_error_t *err) {
    struct signalfd_siginfo info;
    if (read(recipe->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    recipe->draining = true;
    recipe->draining_ms = pr_now_ms();
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    pr_log(PR_LOG_INFO, "draining, on signal %u", info.ssi_signo);
    int result = recipe->ops->on_drain != NULL ? recipe->ops->on_drain(recipe->self, err) : 0;
    if (!recipe->public.leave)
        s_leave(recipe, PR_E_INTERRUPTED);
    return result;
}

static int s_receive_progress(pr_recipe_t *recipe, int64_t now_ms, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    if (daemon->stage == PR_STAGE_WRITER)
        return 0; /* an XPUB's input is subscriptions: the writer reads them */
    pr_inbound_t inbound;
    pr_error_t dropped = PR_ERROR_INIT;
    int received;
    int result = 0;
    while (result == 0 && !daemon->leave && (received = pr_socket_receive(daemon->progress, &inbound, &dropped)) != 0) {
        if (received == -PR_E_VERSION) /* here only the writer is heard */
            return pr_error_set(
                err, PR_E_VERSION,
                "the writer is of another version of pvrelay (%s); all stages of a run must be of the same: "
                "stop them all, and start them again",
                dropped.text);
        if (received < 0) {
            pr_daemon_protocol_error(daemon, PR_PROTOCOL_MALFORMED, &dropped);
            pr_error_clear(&dropped);
            continue;
        }
        if (inbound.message.id == PR_MSG_PROGRESS)
            result = s_hear_progress(recipe, &inbound.message, now_ms, err);
        pr_inbound_release(&inbound);
    }
    return result;
}

bool pr_daemon_must_leave(pr_daemon_t *daemon) {
    pr_recipe_t *recipe = (pr_recipe_t *)daemon;
    if (!daemon->leave && recipe->heard.code == PR_E_OK)
        s_receive_progress(recipe, pr_now_ms(), &recipe->heard);
    return daemon->leave || recipe->heard.code != PR_E_OK || pr_daemon_interrupted();
}

/* Between two messages, each of which can take long: signals, PROGRESS. */
static int s_look_up(pr_recipe_t *recipe, pr_error_t *err) {
    if (recipe->heard.code != PR_E_OK) /* in the midst of the last one */
        return pr_error_set(err, recipe->heard.code, "%s", recipe->heard.text);
    int result = s_receive_signal(recipe, err);
    if (result == 0 && !recipe->public.leave)
        result = s_receive_progress(recipe, pr_now_ms(), err);
    return result;
}

static int s_receive_data(pr_recipe_t *recipe, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    int result = 0;
    for (int i = 0; result == 0 && i < s_messages_a_turn && daemon->in != NULL && !daemon->hold && !daemon->leave;
         i++) {
        pr_inbound_t inbound;
        pr_error_t dropped = PR_ERROR_INIT;
        int received = pr_socket_receive(daemon->in, &inbound, &dropped);
        if (received == 0)
            break;
        if (received < 0) {
            pr_daemon_protocol_error(daemon, PR_PROTOCOL_MALFORMED, &dropped);
            continue;
        }
        result = recipe->ops->on_message(recipe->self, &inbound, err);
        pr_inbound_release(&inbound);
        if (result == 0 && !daemon->leave)
            result = s_look_up(recipe, err);
    }
    return result;
}

/* From now on the stage is in this state. */
static void s_occupy(pr_recipe_t *recipe, pr_occupied_state_t state) {
    pr_occupied_change(&recipe->occupied, state, pr_now_us());
}

/* What the process has taken of processors and of time until now. */
static void s_count_time(pr_recipe_t *recipe) {
    pr_msg_counters_t *counters = &recipe->public.counters;
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        counters->cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
    s_occupy(recipe, recipe->occupied.state);
    counters->working_us = recipe->occupied.us[PR_OCCUPIED_WORKING];
    counters->wait_input_us = recipe->occupied.us[PR_OCCUPIED_WAIT_INPUT];
    counters->wait_output_us = recipe->occupied.us[PR_OCCUPIED_WAIT_OUTPUT];
}

static void s_publish_counters(pr_recipe_t *recipe, int64_t now_ms) {
    s_count_time(recipe);
    pr_message_t message = {.id = PR_MSG_COUNTERS, .counters = recipe->public.counters};
    pr_wire_text_set(&message.counters.last_error, pr_log_last());
    pr_daemon_send(&recipe->public, recipe->counters, &message, NULL, 0);
    recipe->counters_ms = now_ms;
}

/* Counters, systemd's status and watchdog: from the loop that makes progress, so that a stage that hangs is noticed. */
static void s_report(pr_recipe_t *recipe, int64_t now_ms) {
    if (now_ms - recipe->counters_ms >= s_counters_ms)
        s_publish_counters(recipe, now_ms);
    if (recipe->waiting)
        pr_log(PR_LOG_NOTICE, "the lock is free; going on");
    recipe->waiting = false;
    if (recipe->self != NULL && now_ms - recipe->status_ms >= s_status_ms) {
        char line[256] = "";
        recipe->ops->status(recipe->self, line, sizeof line);
        pr_notify_status("%s", line);
        recipe->status_ms = now_ms;
    }
    pr_watchdog_ping(&recipe->watchdog, now_ms);
}

/*  The last words of the writer on this run, if it has gone: taken for its PROGRESS. */
static void s_look_for_ending(pr_recipe_t *recipe, int64_t now_ms) {
    pr_daemon_t *daemon = &recipe->public;
    pr_ending_t ending;
    int64_t alone_ms = 3 * (int64_t)daemon->config->heartbeat_ms;
    alone_ms = alone_ms > s_alone_ms ? alone_ms : s_alone_ms;
    if (daemon->writer == NULL || daemon->leave || now_ms - recipe->heard_ms < alone_ms ||
        pr_ending_load(daemon->config->run_dir, &daemon->run, &ending) == 0)
        return;
    if (*ending.text != '\0')
        pr_log(PR_LOG_NOTICE, "the run stopped: %s: %s", pr_error_name((int)ending.code), ending.text);
    s_leave(recipe, (int)ending.code);
}

/* To be done every s_hello_ms while there is no writer. */
static void s_seek_writer(pr_recipe_t *recipe, int64_t now_ms) {
    if (recipe->public.writer == NULL || now_ms - recipe->hello_ms < s_hello_ms)
        return;
    if (recipe->writer_incarnation == 0)
        s_hello(recipe, now_ms);
    recipe->hello_ms = now_ms;
    s_look_for_ending(recipe, now_ms);
}

/* Look at our own size; if the sockets are other ones now, the stage must know. */
static int s_keep_small(pr_recipe_t *recipe, pr_error_t *err) {
    s_guard_memory(recipe, pr_now_ms());
    if (recipe->heard.code != PR_E_OK)
        return pr_error_set(err, recipe->heard.code, "%s", recipe->heard.text);
    if (!recipe->reopened)
        return 0;
    recipe->reopened = false;
    if (recipe->public.writer != NULL) { /* to the writer we are as good as new */
        recipe->public.incarnation += 2;
        s_hello(recipe, pr_now_ms());
    }
    return recipe->ops->on_reopened != NULL ? recipe->ops->on_reopened(recipe->self, err) : 0;
}

static int s_turn(pr_recipe_t *recipe, bool *more, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    int kept = s_keep_small(recipe, err);
    if (kept < 0)
        return kept;
    zmq_pollitem_t items[4] = {{.fd = recipe->signals, .events = ZMQ_POLLIN}};
    int count = 1;
    items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(daemon->progress), .events = ZMQ_POLLIN};
    if (daemon->in != NULL && !daemon->hold)
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(daemon->in), .events = ZMQ_POLLIN};
    if (daemon->out != NULL && daemon->want_out)
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(daemon->out), .events = ZMQ_POLLOUT};
    if (!*more)
        s_occupy(recipe, daemon->want_out || daemon->full ? PR_OCCUPIED_WAIT_OUTPUT : PR_OCCUPIED_WAIT_INPUT);
    int polled = zmq_poll(items, count, *more ? 0 : s_turn_ms);
    int why = errno;
    s_occupy(recipe, PR_OCCUPIED_WORKING);
    if (polled < 0 && why != EINTR)
        return pr_error_set(err, PR_E_INTERNAL, "zmq_poll: %s", zmq_strerror(why));
    daemon->want_out = daemon->full = false;
    int64_t now_ms = pr_now_ms();
    int result = (items[0].revents & ZMQ_POLLIN) != 0 ? s_receive_signal(recipe, err) : 0;
    if (result == 0 && !daemon->leave)
        result = s_receive_progress(recipe, now_ms, err);
    if (result == 0 && !daemon->leave)
        result = s_receive_data(recipe, err);
    if (result == 0 && !daemon->leave) {
        result = recipe->ops->on_turn(recipe->self, now_ms, err);
        *more = result > 0;
        result = result > 0 ? 0 : result;
    }
    s_seek_writer(recipe, now_ms);
    s_report(recipe, now_ms);
    return result;
}

static int s_loop(pr_recipe_t *recipe, pr_error_t *err) {
    bool more = false;
    int result = 0;
    if (recipe->public.writer != NULL)
        s_hello(recipe, pr_now_ms());
    while (result == 0 && !recipe->public.leave)
        result = s_turn(recipe, &more, err);
    s_publish_counters(recipe, pr_now_ms());
    return result;
}

/* ---- this stage cannot go on ---- */

/* Is that for the others to know? Errors that a restart mends are nobody else's business, and a writer of another version
 * would not understand. */
static bool s_is_for_good(const pr_error_t *err) {
    pr_error_class_t class = pr_error_class((int)err->code);
    return err->code != PR_E_VERSION && class != PR_CLASS_RETRY && class != PR_CLASS_BUG;
}

/* One turn of waiting for the writer's word that the run stops. Returns whether it has come, or a signal. */
static bool s_has_stopped(pr_recipe_t *recipe, int64_t now_ms) {
    pr_daemon_t *daemon = &recipe->public;
    zmq_pollitem_t items[2] = {{.fd = recipe->signals, .events = ZMQ_POLLIN},
                               {.socket = zsock_resolve(daemon->progress), .events = ZMQ_POLLIN}};
    pr_inbound_t inbound;
    pr_ending_t ending;
    bool stopped = false;
    s_occupy(recipe, PR_OCCUPIED_WAIT_INPUT);
    zmq_poll(items, 2, s_idle_ms);
    s_occupy(recipe, PR_OCCUPIED_WORKING);
    while (!stopped && pr_socket_receive(daemon->progress, &inbound, NULL) > 0) {
        const pr_message_t *message = &inbound.message;
        if (message->id == PR_MSG_PROGRESS && !pr_run_id_known(daemon->run))
            daemon->run = message->run;
        stopped = message->id == PR_MSG_PROGRESS &&
                  (s_is_of_another_run(recipe, message->run) ||
                   (message->progress.state >= PR_PROGRESS_COMPLETE && pr_run_id_equal(message->run, daemon->run)));
        pr_inbound_release(&inbound);
    }
    if (stopped)
        s_bye(recipe);
    s_report(recipe, now_ms);
    return stopped || (items[0].revents & ZMQ_POLLIN) != 0 ||
           pr_ending_load(daemon->config->run_dir, &daemon->run, &ending) > 0;
}

/* Tell the writer, until it has heard. */
static void s_tell_failure(pr_recipe_t *recipe, const pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    if (daemon->writer == NULL || daemon->progress == NULL || !s_is_for_good(err))
        return;
    int64_t told_ms = -s_hello_ms;
    int64_t now_ms = pr_now_ms();
    int64_t until_ms = recipe->config->spool != NULL ? INT64_MAX : now_ms + s_tell_ms;
    do {
        if (now_ms - told_ms >= s_hello_ms) {
            pr_message_t fail = {.id = PR_MSG_FAIL, .fail = {.code = (uint16_t)err->code}};
            pr_wire_text_set(&fail.fail.text, err->text);
            pr_daemon_send(daemon, daemon->writer, &fail, NULL, 0);
            told_ms = now_ms;
        }
        if (s_has_stopped(recipe, now_ms))
            return;
        now_ms = pr_now_ms();
    } while (now_ms < until_ms);
}

void pr_daemon_ended(pr_daemon_t *daemon, int code, const char *text) {
    pr_ending_t ending = {.run = daemon->run, .code = (pr_error_code_t)code};
    pr_error_t problem = PR_ERROR_INIT;
    snprintf(ending.text, sizeof ending.text, "%s", text);
    if (pr_run_id_known(daemon->run) && pr_ending_save(daemon->config->run_dir, &ending, &problem) < 0)
        pr_log(PR_LOG_WARNING, "%s", problem.text);
}

/* ---- one run ---- */

/* Open what belongs to a run, and take part in it until its end. */
static int s_take_part(pr_recipe_t *recipe, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    if (recipe->config->run != NULL)
        pr_run_id_parse(recipe->config->run, &daemon->run);
    recipe->heard_ms = pr_now_ms();
    int result = pr_descriptors_check_run(recipe->config->transformers, err);
    if (result == 0)
        result = s_open_sockets(recipe, err);
    if (result == 0)
        result = recipe->ops->open(daemon, &recipe->self, err);
    if (result == 0) {
        sd_notify(0, "READY=1");
        result = s_loop(recipe, err);
    }
    if (result < 0 && daemon->stage == PR_STAGE_WRITER && s_is_for_good(err))
        pr_daemon_ended(daemon, (int)err->code, err->text);
    if (result < 0)
        s_tell_failure(recipe, err);
    return result;
}

/* Close all of it. Waits for what lingers, and until the socket files are gone. */
static void s_close_run(pr_recipe_t *recipe) {
    pr_daemon_t *daemon = &recipe->public;
    recipe->ops->close(&recipe->self);
    pr_log_repetitions();
    if (recipe->counters != NULL) { /* only now: closing a database is work too */
        daemon->counters.last = 1;
        zsock_set_linger(recipe->counters, s_last_counters_ms);
        s_publish_counters(recipe, pr_now_ms());
        daemon->counters.last = 0;
    }
    s_close_sockets(recipe);
}

/* How the run ended for this process, for `systemctl status`, which keeps it. */
static void s_say_outcome(const pr_recipe_t *recipe, int result, const pr_error_t *err) {
    int outcome = result < 0 ? result : recipe->public.outcome;
    if (result < 0)
        pr_notify_status("stopped: %s: %s", pr_error_name(outcome), err->text);
    else
        pr_notify_status("%s", pr_error_sentence(outcome));
}

/* ---- set after set, with a spool ---- */

/* Forget a run that has ended, but not what was counted. */
static void s_forget_run(pr_recipe_t *recipe) {
    pr_daemon_t *daemon = &recipe->public;
    pr_msg_counters_t *counters = &daemon->counters;
    daemon->run = (pr_run_id_t){{0}};
    daemon->hold = daemon->want_out = daemon->full = daemon->leave = false;
    daemon->outcome = PR_E_OK;
    recipe->writer_incarnation = 0;
    pr_error_clear(&recipe->heard);
    recipe->reopened = false;
    counters->records_total = counters->window_bytes = counters->checkpoint = counters->validated_checkpoint = 0;
    counters->scanned_bytes = counters->scan_total_bytes = 0;
}

/* Has the configuration been replaced since it was read? */
static bool s_is_replaced(const pr_recipe_t *recipe) {
    struct stat now;
    const struct stat *read = &recipe->config_read;
    return stat(recipe->config_path, &now) < 0 || now.st_ino != read->st_ino || now.st_size != read->st_size ||
           now.st_mtim.tv_sec != read->st_mtim.tv_sec || now.st_mtim.tv_nsec != read->st_mtim.tv_nsec;
}

/* Does the configuration, as it is now, name a run that has not ended? Returns 1, 0 or <0; where it is gone: 0, and leaves. */
static int s_has_run(pr_recipe_t *recipe, pr_error_t *err) {
    pr_ending_t ending;
    pr_run_id_t run;
    int result = s_is_replaced(recipe) ? s_load(recipe, err) : 0;
    if (result < 0 && access(recipe->config_path, F_OK) < 0 && errno == ENOENT) {
        pr_log(PR_LOG_NOTICE, "%s is gone, and with it the manager: leaving", recipe->config_path);
        pr_error_clear(err);
        s_leave(recipe, PR_E_OK);
        return 0;
    }
    if (result < 0)
        return result;
    const pr_config_t *config = recipe->config;
    return config->run != NULL && config->sources_count > 0 && pr_run_id_parse(config->run, &run) == 0 &&
           pr_ending_load(config->run_dir, &run, &ending) == 0;
}

/* Wait for the next run. Returns 1, 0 (a signal, or nobody to give one: leave), or <0. */
static int s_await_run(pr_recipe_t *recipe, pr_error_t *err) {
    int result = s_has_run(recipe, err);
    if (result != 0 || recipe->public.leave)
        return result;
    result = s_open_counters(recipe, err);
    if (result < 0)
        return result;
    sd_notify(0, "READY=1\nSTATUS=idle: waiting for exports");
    bool asked = false;
    while (result == 0 && !asked && !recipe->public.leave) {
        zmq_pollitem_t item = {.fd = recipe->signals, .events = ZMQ_POLLIN};
        s_occupy(recipe, PR_OCCUPIED_WAIT_INPUT);
        asked = zmq_poll(&item, 1, s_idle_ms) > 0;
        s_occupy(recipe, PR_OCCUPIED_WORKING);
        s_report(recipe, pr_now_ms());
        if (!asked)
            result = s_has_run(recipe, err);
    }
    s_close_run(recipe);
    return result;
}

/* Was it what the exports hold, and not the configuration or the target, that made the run end so? */
static bool s_is_the_exports_matter(int outcome) {
    pr_error_class_t class = pr_error_class(outcome);
    return class == PR_CLASS_NONE || class == PR_CLASS_DATA;
}

/* Take part in the run, or with a spool in run after run. Returns 0 (public.outcome) or <0. */
static int s_run(pr_recipe_t *recipe, pr_error_t *err) {
    static const int signals[] = {SIGTERM, SIGINT};
    int result = pr_signals_open(signals, 2, NULL, &recipe->signals, err);
    pr_lock_wait_set(pr_config_lock_wait_ms(recipe->config), s_on_lock_wait, recipe);
    if (result == 0)
        result = s_take_lock(recipe, err);
    if (result == 0 && recipe->config->spool == NULL) {
        result = s_take_part(recipe, err);
        sd_notify(0, "STOPPING=1");
        s_say_outcome(recipe, result, err);
        return result;
    }
    while (result == 0 && (result = s_await_run(recipe, err)) > 0) {
        result = s_take_part(recipe, err);
        s_close_run(recipe);
        int outcome = result < 0 ? result : recipe->public.outcome;
        if (!s_is_the_exports_matter(outcome) || recipe->draining)
            break;
        if (result < 0)
            pr_log_error(err);
        pr_error_clear(err);
        result = 0;
        s_forget_run(recipe);
    }
    sd_notify(0, "STOPPING=1");
    s_say_outcome(recipe, result, err);
    return result;
}

int pr_daemon_main(const pr_stage_ops_t *ops, int argc, char **argv) {
    pr_error_t err = PR_ERROR_INIT;
    pr_daemon_options_t options = {0};
    pr_descriptors_raise();
    pr_log_open(ops->program, PR_LOG_NOTICE);
    int result = pr_daemon_options_parse(ops, argc, argv, &options, &err);
    if (result != 0) {
        if (result < 0)
            pr_log_error(&err);
        return result < 0 ? pr_error_exit_code(result) : 0;
    }
    pr_log_open(ops->program, options.level);
    pr_recipe_t recipe = {.ops = ops, .signals = -1, .config_path = options.config};
    recipe.occupied = pr_occupied_begin(pr_now_us());
    recipe.public.stage = ops->stage;
    recipe.public.instance = options.instance > 0 ? options.instance : 1;
    recipe.public.counters.start_ms = (uint64_t)pr_calendar_ms();
    if (getrandom(&recipe.public.incarnation, sizeof recipe.public.incarnation, 0) < 0)
        recipe.public.incarnation = (uint64_t)pr_now_ms();
    recipe.public.incarnation |= 1; /* never 0: that means unknown */
    pr_stage_who(ops->stage, recipe.public.instance, recipe.who);
    recipe.watchdog = pr_watchdog_open();
    result = s_load(&recipe, &err);
    int exit_code = -1;
    bool several = ops->stage == PR_STAGE_TRANSFORMER && options.instance == 0;
    if (result == 0 && !options.check && several && recipe.config->transformers > 1)
        result = exit_code = pr_workers_run(recipe.config->run_dir, recipe.config->transformers, argv, &err);
    else if (result == 0 && !options.check)
        result = s_run(&recipe, &err);
    if (result < 0)
        pr_log_error(&err);
    if (exit_code < 0)
        exit_code = pr_error_exit_code(result < 0 ? result : recipe.public.outcome);
    s_close_run(&recipe);
    pr_lock_release(&recipe.lock);
    pr_mapping_destroy(&recipe.mapping);
    pr_config_destroy(&recipe.config);
    if (recipe.signals >= 0)
        close(recipe.signals);
    return exit_code;
}
