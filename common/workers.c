/* SPDX-License-Identifier: MIT */
/* All transformers of a run as one service. */
/*  DESIGN
 *
 *  systemd cannot read how many transformers a configuration wants, so one unit holds them all: this process starts one
 *  of its own program for each and stands for them. What they tell systemd comes here, by a datagram socket in the run
 *  folder; the kernel says which of them sent it.
 *
 *      running    READY=1 once all have said so; WATCHDOG=1 whenever each of them has, since the last: one that hangs
 *                 starves the watchdog of all
 *      ending     one has ended: by itself, then the others hear the same and have s_leave_ms for it; or it died, or we
 *                 were asked to stop: SIGTERM for the others; SIGKILL after s_kill_ms
 *
 *  One that dies takes the others with it, and the service is started again as a whole: a transformer has no state, what
 *  was under way is sent again. A kill -9 of this process leaves workers that get SIGTERM from the kernel.
 */
#include "common/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/signals.h"

enum { s_leave_ms = 5000, s_kill_ms = 10000, s_turn_ms = 100, s_exit_internal = 70, s_exit_interrupted = 6 };

typedef struct {
    pid_t pid; /* 0: gone */
    bool ready;
    bool alive; /* said WATCHDOG=1 since we last did */
    char status[128];
} pr_worker_t;

typedef struct {
    pr_worker_t *workers;
    uint32_t count;
    int signals; /* signalfd, -1: none */
    int notify;  /* where the workers tell how they are, -1: none */
    char *notify_path;
    sigset_t old_mask;
    bool said_ready;
    bool ending;
    int exit_code;   /* of the first that ended */
    int64_t term_ms; /* when those left get SIGTERM; 0: they have */
    int64_t kill_ms; /* and SIGKILL */
} pr_workers_t;

static int s_open(pr_workers_t *self, const char *run_dir, pr_error_t *err) {
    static const int signals[] = {SIGTERM, SIGINT, SIGCHLD};
    int on = 1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int result = pr_signals_open(signals, 3, &self->old_mask, &self->signals, err);
    if (result == 0)
        result = pr_config_make_run_dir(run_dir, err);
    if (result < 0)
        return result;
    self->notify_path = pr_xasprintf("%s/workers.notify", run_dir);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", self->notify_path);
    unlink(self->notify_path);
    self->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->notify < 0 || bind(self->notify, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(self->notify, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot make the socket: %s", self->notify_path, strerror(errno));
    return 0;
}

/* What runs between fork and exec. */
static void s_become(const pr_workers_t *self, char **argv, pid_t parent) {
    char pid[16];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(s_exit_interrupted);
    setenv("NOTIFY_SOCKET", self->notify_path, 1);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (getenv("WATCHDOG_USEC") != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    sigprocmask(SIG_SETMASK, &self->old_mask, NULL);
    execv("/proc/self/exe", argv);
    _exit(s_exit_internal);
}

static int s_start(pr_workers_t *self, uint32_t index, char **argv, pr_error_t *err) {
    char instance[16];
    size_t argc = 0;
    while (argv[argc] != NULL)
        argc++;
    char **with = pr_xcalloc(argc + 3, sizeof *with);
    memcpy(with, argv, argc * sizeof *with);
    snprintf(instance, sizeof instance, "%u", index + 1);
    with[argc] = "--instance";
    with[argc + 1] = instance;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        s_become(self, with, parent);
    free(with);
    if (pid < 0)
        return pr_error_set(err, PR_E_INTERNAL, "cannot start worker %u: %s", index + 1, strerror(errno));
    self->workers[index].pid = pid;
    return 0;
}

static void s_signal_all(const pr_workers_t *self, int number) {
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->workers[i].pid > 0)
            kill(self->workers[i].pid, number);
    }
}

/* Begin to end. at_once: the others get SIGTERM now. */
static void s_end(pr_workers_t *self, int exit_code, bool at_once) {
    int64_t now_ms = pr_now_ms();
    if (!self->ending)
        self->exit_code = exit_code;
    self->ending = true;
    self->term_ms = at_once ? 0 : now_ms + s_leave_ms;
    self->kill_ms = now_ms + s_kill_ms + (at_once ? 0 : s_leave_ms);
    if (at_once)
        s_signal_all(self, SIGTERM);
}

static void s_reap(pr_workers_t *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        pr_worker_t *worker = &self->workers[i];
        int status;
        if (worker->pid <= 0 || waitpid(worker->pid, &status, WNOHANG) != worker->pid)
            continue;
        worker->pid = 0;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : s_exit_internal;
        if (self->ending)
            continue;
        if (WIFSIGNALED(status))
            pr_log(PR_LOG_ERROR, "worker %u died by signal %d, %s; all are started again", i + 1, WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
        s_end(self, code, code == s_exit_internal || code == s_exit_interrupted);
    }
}

static void s_read_signals(pr_workers_t *self) {
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            s_reap(self);
        } else {
            sd_notify(0, "STOPPING=1");
            s_end(self, s_exit_interrupted, true);
        }
    }
}

/* Tell systemd how they are, all in all. */
static void s_tell(pr_workers_t *self, bool status) {
    bool all_ready = true;
    bool all_alive = true;
    for (uint32_t i = 0; i < self->count; i++) {
        all_ready = all_ready && self->workers[i].ready;
        all_alive = all_alive && self->workers[i].alive;
    }
    if (all_ready && !self->said_ready) {
        sd_notify(0, "READY=1");
        self->said_ready = true;
    }
    if (all_alive) {
        sd_notify(0, "WATCHDOG=1");
        for (uint32_t i = 0; i < self->count; i++)
            self->workers[i].alive = false;
    }
    if (status) {
        char line[1024];
        size_t used = 0;
        for (uint32_t i = 0; i < self->count && used < sizeof line; i++)
            used += (size_t)snprintf(line + used, sizeof line - used, "%s%u: %s", i > 0 ? "; " : "", i + 1,
                                     self->workers[i].status);
        pr_notify_status("%s", line);
    }
}

static void s_take_line(pr_workers_t *self, pr_worker_t *worker, const char *line) {
    if (strcmp(line, "READY=1") == 0) {
        worker->ready = true;
        worker->alive = true;
    } else if (strcmp(line, "WATCHDOG=1") == 0) {
        worker->alive = true;
    } else if (strncmp(line, "STATUS=", 7) == 0) {
        snprintf(worker->status, sizeof worker->status, "%s", line + 7);
    } else if (strncmp(line, "EXTEND_TIMEOUT_USEC=", 20) == 0) {
        sd_notify(0, line);
    }
    s_tell(self, strncmp(line, "STATUS=", 7) == 0);
}

/* Who sent the datagram; 0: unknown. */
static pid_t s_sender(struct msghdr *header) {
    struct ucred credentials;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at != NULL; at = CMSG_NXTHDR(header, at)) {
        if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&credentials, CMSG_DATA(at), sizeof credentials);
            return credentials.pid;
        }
    }
    return 0;
}

static void s_read_notify(pr_workers_t *self) {
    char data[2048];
    char control[CMSG_SPACE(sizeof(struct ucred))];
    for (;;) {
        struct iovec part = {.iov_base = data, .iov_len = sizeof data - 1};
        struct msghdr header = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t size = recvmsg(self->notify, &header, 0);
        if (size < 0)
            return;
        data[size] = '\0';
        pid_t sender = s_sender(&header);
        for (uint32_t i = 0; i < self->count; i++) {
            char *rest = data;
            char *line;
            while (sender > 0 && sender == self->workers[i].pid && (line = strsep(&rest, "\n")) != NULL)
                s_take_line(self, &self->workers[i], line);
        }
    }
}

static bool s_any_runs(const pr_workers_t *self) {
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->workers[i].pid > 0)
            return true;
    }
    return false;
}

static void s_loop(pr_workers_t *self) {
    while (s_any_runs(self)) {
        struct pollfd items[2] = {{.fd = self->signals, .events = POLLIN}, {.fd = self->notify, .events = POLLIN}};
        poll(items, 2, s_turn_ms);
        s_read_signals(self);
        s_read_notify(self);
        int64_t now_ms = pr_now_ms();
        if (self->ending && self->term_ms != 0 && now_ms >= self->term_ms) {
            s_signal_all(self, SIGTERM);
            self->term_ms = 0;
        }
        if (self->ending && now_ms >= self->kill_ms)
            s_signal_all(self, SIGKILL);
    }
}

static void s_close(pr_workers_t *self) {
    if (self->notify >= 0)
        close(self->notify);
    if (self->notify_path != NULL)
        unlink(self->notify_path);
    if (self->signals >= 0)
        close(self->signals);
    free(self->notify_path);
    free(self->workers);
}

int pr_workers_run(const char *run_dir, uint32_t count, char **argv, pr_error_t *err) {
    pr_workers_t self = {
        .workers = pr_xcalloc(count, sizeof *self.workers), .count = count, .signals = -1, .notify = -1};
    int result = s_open(&self, run_dir, err);
    for (uint32_t i = 0; result == 0 && i < count; i++)
        result = s_start(&self, i, argv, err);
    if (result < 0)
        s_end(&self, s_exit_internal, true);
    s_loop(&self);
    s_close(&self);
    return result < 0 ? result : self.exit_code;
}
