/* SPDX-License-Identifier: MIT */
/* The recipe of a daemon. */
/*  DESIGN
 *
 *  Every main is pr_daemon_main(ops), and that reads: arguments, config (--check stops here), signals, open, sockets,
 *  READY=1, loop, drain, STOPPING=1, exit code.
 *
 *  The loop is zmq_poll over a signalfd and the stage's sockets, not a zloop: a zloop with timers only dies on SIGTERM,
 *  a nonstop one ends on EINTR (czmq 4.2.1), and a stage needs "wake me when there is room to send", which zloop has
 *  not. czmq's own signal handlers are switched off before the first socket.
 *
 *  States of a stage other than the writer, by the PROGRESS it hears:
 *
 *      alone     nothing heard yet: HELLO every s_hello_ms
 *      joined    run and writer known; a PROGRESS with another run or another writer's incarnation is `fresh`, and
 *                answered with HELLO: the stage begins anew with it
 *      complete  BYE, exit with the outcome
 *      failed    BYE, exit with the outcome
 *
 *  What a crash leaves behind: a lock file (taken over by the next start: flock ends with its process) and socket files
 *  (replaced).
 */
#include "common/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/lock.h"
#include "common/log.h"

enum {
    s_turn_ms = 25,
    s_hello_ms = 500,
    s_counters_ms = 250, /* at most four times a second */
    s_status_ms = 1000,
    s_lock_wait_ms = 10000, /* a predecessor may still be draining */
    s_messages_a_turn = 8,
    s_protocol_kinds = 32
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
    char who[32]; /* "reader", "transformer-2" */
    int signals;  /* signalfd */
    uint64_t writer_incarnation;
    bool ready;
    bool draining;
    int64_t hello_ms, counters_ms, status_ms, watchdog_ms;
    uint64_t watchdog_us;
} pr_recipe_t;

static void s_publish_counters(pr_recipe_t *recipe, int64_t now_ms);

typedef struct {
    const char *config;
    uint32_t instance;
    bool check;
    pr_log_level_t level;
} pr_arguments_t;

int64_t pr_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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

void pr_daemon_protocol_error(pr_daemon_t *daemon, const pr_error_t *err) {
    static char s_seen[s_protocol_kinds][96];
    static size_t s_seen_count;
    daemon->counters.protocol_errors++;
    for (size_t i = 0; i < s_seen_count; i++) {
        if (strncmp(s_seen[i], err->text, sizeof s_seen[i] - 1) == 0)
            return;
    }
    if (s_seen_count < s_protocol_kinds)
        snprintf(s_seen[s_seen_count++], sizeof s_seen[0], "%.95s", err->text);
    pr_log(PR_LOG_WARNING, "PROTOCOL: %s; the message is dropped, and so are others like it", err->text);
}

int pr_daemon_check_mapping(const pr_daemon_t *daemon, uint64_t digest, pr_error_t *err) {
    if (digest == daemon->mapping->digest)
        return 0;
    return pr_error_set(err, PR_E_MAPPING,
                        "%s: is not the mapping that the reader works with; start all stages with the same one",
                        daemon->mapping->path);
}

static void s_usage(const pr_stage_ops_t *ops) {
    printf(
        "Usage: %s --config FILE [OPTION…]\n%s\n\n"
        "  -c, --config FILE     the run's configuration (pvrelay-config(5))\n"
        "%s"
        "      --check           check configuration and mapping, then exit\n"
        "      --log-level WORD  error, warning, notice, info or debug (default notice)\n"
        "  -h, --help            this text\n"
        "  -V, --version         the version\n\n"
        "Exit codes: 0 complete, 1 usage or configuration, 2 unreadable or malformed export, 3 complete with rejects,\n"
        "4 validation failed, 5 target error, 6 interrupted (can be continued), 70 internal error.\n",
        ops->program, ops->summary,
        ops->stage == PR_STAGE_TRANSFORMER
            ? "  -i, --instance N      which of the transformers this is, from 1 (default 1)\n"
            : "");
}

static int s_parse_instance(const char *word, uint32_t *ret_instance, pr_error_t *err) {
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || value < 1 || value > 64)
        return pr_error_set(err, PR_E_USAGE, "--instance %s: a number from 1 to 64 is expected", word);
    *ret_instance = (uint32_t)value;
    return 0;
}

/* Returns 0 to go on, 1 if the answer has been given (--help, --version), <0. */
static int s_parse_arguments(const pr_stage_ops_t *ops, int argc, char **argv, pr_arguments_t *ret_arguments,
                             pr_error_t *err) {
    enum { OPTION_CHECK = 256, OPTION_LEVEL };
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"instance", required_argument, NULL, 'i'},
                                            {"check", no_argument, NULL, OPTION_CHECK},
                                            {"log-level", required_argument, NULL, OPTION_LEVEL},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    pr_arguments_t arguments = {.instance = 1, .level = PR_LOG_NOTICE};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "c:i:hV", options, NULL)) != -1) {
        int level;
        switch (option) {
        case 'c':
            arguments.config = optarg;
            break;
        case 'i':
            if (ops->stage != PR_STAGE_TRANSFORMER)
                return pr_error_set(err, PR_E_USAGE, "--instance: there is one %s only", ops->program);
            if (s_parse_instance(optarg, &arguments.instance, err) < 0)
                return -PR_E_USAGE;
            break;
        case OPTION_CHECK:
            arguments.check = true;
            break;
        case OPTION_LEVEL:
            level = pr_log_level_from_word(optarg);
            if (level < 0)
                return pr_error_set(err, PR_E_USAGE,
                                    "--log-level %s: error, warning, notice, info or debug is expected", optarg);
            arguments.level = (pr_log_level_t)level;
            break;
        case 'h':
            s_usage(ops);
            return 1;
        case 'V':
            printf("%s %s\n", ops->program, PVRELAY_VERSION);
            return 1;
        default:
            return pr_error_set(err, PR_E_USAGE, "unknown or incomplete option %s; see %s --help", argv[optind - 1],
                                ops->program);
        }
    }
    if (optind < argc)
        return pr_error_set(err, PR_E_USAGE, "unexpected argument %s; see %s --help", argv[optind], ops->program);
    if (arguments.config == NULL)
        return pr_error_set(err, PR_E_USAGE, "--config FILE is missing; see %s --help", ops->program);
    *ret_arguments = arguments;
    return 0;
}

static int s_load(pr_recipe_t *recipe, const char *path, pr_error_t *err) {
    int result = pr_config_load(path, &recipe->config, err);
    if (result < 0)
        return result;
    result = pr_mapping_load(recipe->config->mapping, NULL, NULL, &recipe->mapping, err);
    if (result < 0)
        return result;
    if (recipe->public.instance > recipe->config->transformers)
        return pr_error_set(err, PR_E_CONFIG, "%s: --instance %u, but \"transformers\" is %u", path,
                            recipe->public.instance, recipe->config->transformers);
    recipe->public.config = recipe->config;
    recipe->public.mapping = recipe->mapping;
    return 0;
}

static int s_catch_signals(pr_recipe_t *recipe, pr_error_t *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before the first thread: ZeroMQ's threads inherit it */
    signal(SIGPIPE, SIG_IGN);
    recipe->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (recipe->signals < 0)
        return pr_error_set(err, PR_E_INTERNAL, "signalfd: %s", strerror(errno));
    zsys_handler_set(NULL);
    return 0;
}

static int s_take_lock(pr_recipe_t *recipe, pr_error_t *err) {
    char path[PATH_MAX];
    int result = pr_config_make_run_dir(recipe->config->run_dir, err);
    if (result < 0)
        return result;
    snprintf(path, sizeof path, "%s/%s.lock", recipe->config->run_dir, recipe->who);
    return pr_lock_take(path, s_lock_wait_ms, &recipe->lock, err);
}

static int s_open_sockets(pr_recipe_t *recipe, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    const char *dir = recipe->config->run_dir;
    int result = 0;
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
    if (result == 0)
        result = pr_socket_bind(PR_ENDPOINT_COUNTERS, dir, recipe->who, &recipe->counters, err);
    if (daemon->out == NULL)
        daemon->out = daemon->writer;
    return result;
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

/* A PROGRESS, in a stage other than the writer. */
static int s_hear_progress(pr_recipe_t *recipe, const pr_message_t *message, int64_t now_ms, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    const pr_msg_progress_t *progress = &message->progress;
    bool fresh = !pr_run_id_equal(daemon->run, message->run) || recipe->writer_incarnation != progress->incarnation;
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

static int s_receive_progress(pr_recipe_t *recipe, int64_t now_ms, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    if (daemon->stage == PR_STAGE_WRITER)
        return 0; /* an XPUB's input is subscriptions: the writer reads them */
    pr_inbound_t inbound;
    pr_error_t dropped = PR_ERROR_INIT;
    int received;
    int result = 0;
    while (result == 0 && !daemon->leave && (received = pr_socket_receive(daemon->progress, &inbound, &dropped)) != 0) {
        if (received < 0) {
            pr_daemon_protocol_error(daemon, &dropped);
            pr_error_clear(&dropped);
            continue;
        }
        if (inbound.message.id == PR_MSG_PROGRESS)
            result = s_hear_progress(recipe, &inbound.message, now_ms, err);
        pr_inbound_release(&inbound);
    }
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
            pr_daemon_protocol_error(daemon, &dropped);
            continue;
        }
        result = recipe->ops->on_message(recipe->self, &inbound, err);
        pr_inbound_release(&inbound);
    }
    return result;
}

static int s_receive_signal(pr_recipe_t *recipe, pr_error_t *err) {
    struct signalfd_siginfo info;
    if (read(recipe->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    if (recipe->draining) { /* asked twice: no more patience */
        s_leave(recipe, PR_E_INTERRUPTED);
        return 0;
    }
    recipe->draining = true;
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    pr_log(PR_LOG_INFO, "draining, on signal %u", info.ssi_signo);
    int result = recipe->ops->on_drain != NULL ? recipe->ops->on_drain(recipe->self, err) : 0;
    if (!recipe->public.leave)
        s_leave(recipe, PR_E_INTERRUPTED);
    return result;
}

static void s_publish_counters(pr_recipe_t *recipe, int64_t now_ms) {
    pr_message_t message = {.id = PR_MSG_COUNTERS, .counters = recipe->public.counters};
    pr_daemon_send(&recipe->public, recipe->counters, &message, NULL, 0);
    recipe->counters_ms = now_ms;
}

/* Counters, systemd's status and watchdog: from the loop that makes progress, so that a stage that hangs is noticed. */
static void s_report(pr_recipe_t *recipe, int64_t now_ms) {
    if (now_ms - recipe->counters_ms >= s_counters_ms)
        s_publish_counters(recipe, now_ms);
    if (now_ms - recipe->status_ms >= s_status_ms) {
        char line[256] = "";
        recipe->ops->status(recipe->self, line, sizeof line);
        sd_notifyf(0, "STATUS=%s", line);
        recipe->status_ms = now_ms;
    }
    if (recipe->watchdog_us > 0 && (uint64_t)(now_ms - recipe->watchdog_ms) * 1000 >= recipe->watchdog_us / 3) {
        sd_notify(0, "WATCHDOG=1");
        recipe->watchdog_ms = now_ms;
    }
}

static int s_turn(pr_recipe_t *recipe, bool *more, pr_error_t *err) {
    pr_daemon_t *daemon = &recipe->public;
    zmq_pollitem_t items[4] = {{.fd = recipe->signals, .events = ZMQ_POLLIN}};
    int count = 1;
    items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(daemon->progress), .events = ZMQ_POLLIN};
    if (daemon->in != NULL && !daemon->hold)
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(daemon->in), .events = ZMQ_POLLIN};
    if (daemon->out != NULL && daemon->want_out)
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(daemon->out), .events = ZMQ_POLLOUT};
    if (zmq_poll(items, count, *more ? 0 : s_turn_ms) < 0 && errno != EINTR)
        return pr_error_set(err, PR_E_INTERNAL, "zmq_poll: %s", zmq_strerror(errno));
    daemon->want_out = false;
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
    if (daemon->writer != NULL && recipe->writer_incarnation == 0 && now_ms - recipe->hello_ms >= s_hello_ms)
        s_hello(recipe, now_ms);
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

/* Tell the writer that the run cannot go on. Errors that a restart mends are nobody else's business. */
static void s_tell_failure(pr_recipe_t *recipe, const pr_error_t *err) {
    pr_error_class_t class = pr_error_class((int)err->code);
    if (recipe->public.writer == NULL || class == PR_CLASS_RETRY || class == PR_CLASS_BUG)
        return;
    pr_message_t fail = {.id = PR_MSG_FAIL, .fail = {.code = (uint16_t)err->code}};
    pr_wire_text_set(&fail.fail.text, err->text);
    pr_daemon_send(&recipe->public, recipe->public.writer, &fail, NULL, 0);
}

static void s_close(pr_recipe_t *recipe) {
    pr_daemon_t *daemon = &recipe->public;
    recipe->ops->close(&recipe->self);
    if (daemon->out != daemon->writer)
        zsock_destroy(&daemon->out);
    zsock_destroy(&daemon->in);
    zsock_destroy(&daemon->writer);
    zsock_destroy(&daemon->progress);
    zsock_destroy(&recipe->counters);
    zsys_shutdown(); /* waits for what lingers */
    pr_lock_release(&recipe->lock);
    pr_mapping_destroy(&recipe->mapping);
    pr_config_destroy(&recipe->config);
    if (recipe->signals >= 0)
        close(recipe->signals);
}

static int s_run(pr_recipe_t *recipe, pr_error_t *err) {
    int result = s_catch_signals(recipe, err);
    if (result == 0)
        result = s_take_lock(recipe, err);
    if (result == 0)
        result = s_open_sockets(recipe, err);
    if (result == 0)
        result = recipe->ops->open(&recipe->public, &recipe->self, err);
    if (result == 0) {
        recipe->ready = true;
        sd_notify(0, "READY=1");
        result = s_loop(recipe, err);
    }
    sd_notify(0, "STOPPING=1");
    if (result < 0)
        s_tell_failure(recipe, err);
    return result;
}

int pr_daemon_main(const pr_stage_ops_t *ops, int argc, char **argv) {
    pr_error_t err = PR_ERROR_INIT;
    pr_arguments_t arguments = {0};
    pr_log_open(ops->program, PR_LOG_NOTICE);
    int result = s_parse_arguments(ops, argc, argv, &arguments, &err);
    if (result != 0) {
        if (result < 0)
            pr_log_error(&err);
        return result < 0 ? pr_error_exit_code(result) : 0;
    }
    pr_log_open(ops->program, arguments.level);
    pr_recipe_t recipe = {.ops = ops, .signals = -1};
    recipe.public.stage = ops->stage;
    recipe.public.instance = arguments.instance;
    recipe.public.counters.start_ms = (uint64_t)pr_calendar_ms();
    if (getrandom(&recipe.public.incarnation, sizeof recipe.public.incarnation, 0) < 0)
        recipe.public.incarnation = (uint64_t)pr_now_ms();
    recipe.public.incarnation |= 1; /* never 0: that means unknown */
    if (ops->stage == PR_STAGE_TRANSFORMER)
        snprintf(recipe.who, sizeof recipe.who, "%s-%u", pr_stage_word(ops->stage), arguments.instance);
    else
        snprintf(recipe.who, sizeof recipe.who, "%s", pr_stage_word(ops->stage));
    if (sd_watchdog_enabled(0, &recipe.watchdog_us) <= 0)
        recipe.watchdog_us = 0;
    result = s_load(&recipe, arguments.config, &err);
    if (result == 0 && !arguments.check)
        result = s_run(&recipe, &err);
    if (result < 0)
        pr_log_error(&err);
    int exit_code = pr_error_exit_code(result < 0 ? result : recipe.public.outcome);
    s_close(&recipe);
    return exit_code;
}
