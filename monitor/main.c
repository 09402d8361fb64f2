/* SPDX-License-Identifier: MIT */
/* pvrelay-monitor: tells over HTTP how a pipeline is. Arguments, signals, open, bind, READY=1, loop, STOPPING=1, exit code. */
#include <czmq.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/daemon.h"
#include "common/descriptors.h"
#include "common/hint.h"
#include "common/lock_wait.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/text.h"
#include "common/utf8.h"
#include "common/watchdog.h"
#include "monitor/address.h"
#include "monitor/monitor.h"

enum { s_turn_ms = 250, s_lock_wait_ms = 5000 };

static const char S_USAGE[] =
    "Usage: pvrelay-monitor --config FILE | --run-dir FOLDER | --target DB [--listen ADDRESS:PORT]\n"
    "Tells over HTTP how a pipeline is: a page for people (/), figures for Prometheus (/metrics), /healthz, /readyz,\n"
    "/api/status. It only reads.\n\n"
    "  --config FILE          the configuration of a managed run, /etc/pvrelay/NAME.json\n"
    "  --run-dir FOLDER       a run folder; its configuration names the target\n"
    "  --target DB            a target database, watched in its default run folder\n"
    "  --listen ADDRESS:PORT  where to listen (default " PR_ADDRESS_DEFAULT "; port 0: one that is free)\n"
    "  --log-level WORD       error, warning, notice (default), info or debug\n"
    "  --help, --version\n";

typedef struct {
    const char *config, *run_dir, *target, *listen;
    int level;
} pr_arguments_t;

typedef struct {
    pr_address_t address;
    pr_monitor_t *monitor;
    pr_http_t *http;
    int signals; /* signalfd */
    int wake;    /* epoll over signals and HTTP */
    pr_watchdog_t watchdog;
} pr_service_t;

/* Returns 0 go on, 1 all is said, <0. */
static int s_parse_arguments(int argc, char **argv, pr_arguments_t *ret_arguments, pr_error_t *err) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},    {"run-dir", required_argument, NULL, 'r'},
        {"target", required_argument, NULL, 't'},    {"listen", required_argument, NULL, 'l'},
        {"log-level", required_argument, NULL, 'L'}, {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},         {NULL, 0, NULL, 0}};
    pr_arguments_t arguments = {.listen = PR_ADDRESS_DEFAULT, .level = PR_LOG_NOTICE};
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments.config = optarg;
            break;
        case 'r':
            arguments.run_dir = optarg;
            break;
        case 't':
            arguments.target = optarg;
            break;
        case 'l':
            arguments.listen = optarg;
            break;
        case 'L':
            arguments.level = pr_log_level_from_word(optarg);
            if (arguments.level < 0)
                return pr_error_set(err, PR_E_USAGE,
                                    "--log-level %s: error, warning, notice, info or debug is expected", optarg);
            break;
        case 'h':
            printf("%s", S_USAGE);
            return 1;
        case 'V':
            printf("pvrelay-monitor %s\n", PVRELAY_VERSION);
            return 1;
        default:
            return pr_error_set(err, PR_E_USAGE, "unknown or incomplete option %s; see `%s --help`", argv[optind - 1],
                                pr_hint_self());
        }
    }
    if (optind < argc)
        return pr_error_set(err, PR_E_USAGE, "unexpected argument %s; see `%s --help`", argv[optind], pr_hint_self());
    if (arguments.config == NULL && arguments.run_dir == NULL && arguments.target == NULL)
        return pr_error_set(err, PR_E_USAGE,
                            "--config FILE, --run-dir FOLDER or --target DB is missing; see `%s --help`",
                            pr_hint_self());
    const char *const paths[][2] = {
        {"--config", arguments.config}, {"--run-dir", arguments.run_dir}, {"--target", arguments.target}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (paths[i][1] != NULL && !pr_utf8_is_valid(paths[i][1], strlen(paths[i][1])))
            return pr_error_set(err, PR_E_USAGE, "%s %s: " PR_TEXT_NO_PATH, paths[i][0], paths[i][1]);
    }
    *ret_arguments = arguments;
    return 0;
}

/* One descriptor for the stages' listener to wait on besides its own sockets. */
static int s_join_wakes(pr_service_t *service, pr_error_t *err) {
    struct epoll_event signals = {.events = EPOLLIN, .data.fd = service->signals};
    struct epoll_event http = {.events = EPOLLIN, .data.fd = pr_http_fd(service->http)};
    service->wake = epoll_create1(EPOLL_CLOEXEC);
    if (service->wake < 0 || epoll_ctl(service->wake, EPOLL_CTL_ADD, signals.data.fd, &signals) < 0 ||
        epoll_ctl(service->wake, EPOLL_CTL_ADD, http.data.fd, &http) < 0)
        return pr_error_set(err, PR_E_INTERNAL, "epoll: %s", strerror(errno));
    return 0;
}

static int s_open(pr_service_t *service, const pr_arguments_t *arguments, pr_error_t *err) {
    static const int signals[] = {SIGTERM, SIGINT};
    int fd = -1;
    int result = pr_address_parse(arguments->listen, &service->address, err);
    if (result == 0)
        result = pr_signals_open(signals, 2, NULL, &service->signals, err);
    if (result == 0)
        result = pr_address_listen(&service->address, &fd, err);
    if (result == 0) {
        result = pr_monitor_new(arguments->target, arguments->run_dir, arguments->config, &service->monitor, err);
        if (result < 0)
            close(fd);
    }
    if (result == 0)
        result = pr_http_new(fd, &service->address, pr_monitor_answer, service->monitor, &service->http, err);
    if (result == 0)
        result = s_join_wakes(service, err);
    return result;
}

static void s_tell(const pr_service_t *service) {
    printf("http://%s:%u/\n", service->address.host, (unsigned)service->address.port);
    fflush(stdout);
    sd_notifyf(0, "READY=1\nSTATUS=http://%s:%u/", service->address.host, (unsigned)service->address.port);
}

/* Until a signal ends it. The watchdog hears from the loop that answers. */
static void s_loop(pr_service_t *service) {
    struct signalfd_siginfo info;
    while (read(service->signals, &info, sizeof info) != (ssize_t)sizeof info) {
        pr_monitor_listen(service->monitor, pr_http_timeout(service->http, s_turn_ms), service->wake);
        int64_t now_ms = pr_now_ms();
        pr_http_turn(service->http, now_ms);
        pr_watchdog_ping(&service->watchdog, now_ms);
    }
    sd_notify(0, "STOPPING=1");
}

static void s_close(pr_service_t *service) {
    pr_http_destroy(&service->http);
    pr_monitor_destroy(&service->monitor);
    zsys_shutdown();
    if (service->wake >= 0)
        close(service->wake);
    if (service->signals >= 0)
        close(service->signals);
}

int main(int argc, char **argv) {
    pr_error_t err = PR_ERROR_INIT;
    pr_arguments_t arguments = {.listen = NULL};
    pr_service_t service = {.signals = -1, .wake = -1};
    pr_descriptors_raise();
    pr_log_open("pvrelay-monitor", PR_LOG_NOTICE);
    int result = s_parse_arguments(argc, argv, &arguments, &err);
    if (result > 0)
        return 0;
    if (result == 0) {
        pr_log_open("pvrelay-monitor", (pr_log_level_t)arguments.level);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        pr_lock_wait_set(s_lock_wait_ms, NULL, NULL);
        service.watchdog = pr_watchdog_open();
        result = s_open(&service, &arguments, &err);
    }
    if (result == 0) {
        s_tell(&service);
        s_loop(&service);
    }
    if (result < 0)
        pr_log_error(&err);
    s_close(&service);
    return result < 0 ? pr_error_exit_code(result) : 0;
}
