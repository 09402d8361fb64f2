/* SPDX-License-Identifier: MIT */
/* Supervising the daemons of a run. */

/*  DESIGN
 *
 *  One poll loop over a signalfd, the daemons' stderr pipes, and the sockets on which they publish. Phases:
 *
 *      running   a daemon that dies (signal, exit 70, or 6 though nobody of us asked) is started again, see restart.h;
 *                one that ends with any other failure begins `stopping`; the writer's 0, 3 or 4 begins `leaving`;
 *                another stage's 0, 3 or 4 means that it heard the end from the writer: it is left alone
 *      leaving   the run has its outcome; what has not left after s_leave_ms gets SIGTERM
 *      stopping  SIGTERM for all, the writer last after a failure, so that it can still note what another stage told it
 *
 *  In the last two nothing is started again, and SIGKILL follows after a while. The loop ends when all are gone.
 *
 *  Which message the operator gets: the daemons' stderr is ours, and a fatal error in it is held back until its daemon
 *  has ended. The one whose end began `stopping` has the word, else another that ended with the same code, else the
 *  writer's PROGRESS; so an error that all stages hear of is printed once.
 *
 *  A kill -9 of this program leaves daemons that get SIGTERM from the kernel (PR_SET_PDEATHSIG), drain and exit: the
 *  same as Ctrl-C.
 */
#include "control/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/descriptors.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/socket.h"
#include "control/daemon_lines.h"
#include "control/interrupt.h"
#include "control/restart.h"

enum {
    s_turn_ms = 100,
    s_leave_ms = 2000,       /* after the writer has left with the outcome */
    s_writer_stop_ms = 1000, /* for the writer to hear why another stage failed */
    s_kill_ms = 10000,       /* from SIGTERM to SIGKILL */
    s_drain_kill_ms = 30000, /* the same after Ctrl-C: what is begun shall be committed */
    s_last_ms = 500,         /* for the last COUNTERS of those that have ended, if they are wanted */
    s_stray_ms = 1000,       /* a stage left as if the run were over, and so long after the writer says it is not */
    s_exit_internal = 70,
    s_exit_interrupted = 6,
    s_exit_no_exec = 127
};

typedef enum {
    PR_CHILD_WAITS, /* for start_ms */
    PR_CHILD_RUNS,
    PR_CHILD_GONE
} pr_child_state_t;

typedef struct {
    pr_stage_t stage;
    uint32_t instance;
    char program[32]; /* "pvrelay-reader" */
    char who[PR_WHO_BYTES];
    pr_child_state_t state;
    pid_t pid;
    int output; /* its stderr, -1: none */
    int64_t start_ms;
    int64_t gone_ms;
    int exit_code; /* of its end; -1: none yet, or by a signal */
    pr_restart_t restart;
    pr_daemon_lines_t lines;
    zsock_t *counters;
} pr_child_t;

typedef enum { PR_PHASE_RUNNING, PR_PHASE_LEAVING, PR_PHASE_STOPPING } pr_phase_t;

typedef struct {
    const pr_supervise_t *run;
    char *programs;
    pr_child_t *children;
    size_t children_count;
    int signals; /* signalfd, -1: none */
    sigset_t old_mask;
    zsock_t *progress;
    int64_t progress_ms; /* when PROGRESS was heard last */
    pr_phase_t phase;
    int64_t term_ms; /* when those left get SIGTERM; 0: they have, or need not */
    int64_t kill_ms; /* when they get SIGKILL; 0: never */
    unsigned interrupts;
    int outcome;             /* exit code of the writer that left with the outcome; -1 */
    const pr_child_t *cause; /* whose end began `stopping` */
    pr_error_t failure;      /* our own */
} pr_supervisor_t;

char *pr_supervise_programs(void) {
    const char *given = getenv("PVRELAY_LIBEXECDIR");
    if (given != NULL && *given != '\0')
        return pr_xstrdup(given);
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    program[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(program, '/');
    if (slash != NULL)
        *slash = '\0';
    return pr_xstrdup(program);
}

static void s_say(pr_supervisor_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void s_say(pr_supervisor_t *self, const char *format, ...) {
    char line[PR_DAEMON_LINE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    pr_view_say(self->run->view, line);
}

static void s_on_line(void *context, const char *line) {
    pr_supervisor_t *self = context;
    pr_view_say(self->run->view, line);
}

static int s_level(const pr_supervisor_t *self) {
    return self->run->verbose ? PR_LOG_DEBUG : PR_LOG_WARNING;
}

/* ---- starting ---- */

/* What runs between fork and exec: only what is safe in a child of a process with threads. */
static void s_become(const pr_supervisor_t *self, char *const *argv, int output, pid_t parent) {
    setpgid(0, 0); /* the terminal's Ctrl-C is for pvrelay, who tells the daemons */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(s_exit_interrupted); /* it died before it could be watched */
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        _exit(s_exit_internal);
    /* SIGPIPE stays ignored: a daemon that outlives pvrelay drains, though nobody reads its lines. */
    sigprocmask(SIG_SETMASK, &self->old_mask, NULL);
    execv(argv[0], argv);
    _exit(s_exit_no_exec);
}

static int s_start(pr_supervisor_t *self, pr_child_t *child) {
    char path[PATH_MAX];
    char instance[16];
    int output[2];
    snprintf(path, sizeof path, "%s/%s", self->programs, child->program);
    snprintf(instance, sizeof instance, "%" PRIu32, child->instance);
    char *argv[8] = {path, "--config", (char *)(uintptr_t)self->run->config};
    size_t argc = 3;
    if (child->stage == PR_STAGE_TRANSFORMER) {
        argv[argc++] = "--instance";
        argv[argc++] = instance;
    }
    if (self->run->verbose) {
        argv[argc++] = "--log-level";
        argv[argc++] = "info";
    }
    if (pipe2(output, O_CLOEXEC) < 0)
        return pr_error_set(&self->failure, errno == EMFILE || errno == ENFILE ? PR_E_CONFIG : PR_E_INTERNAL,
                            "no pipe for %s: %s", child->program, strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        s_become(self, argv, output[1], parent);
    int why = errno;
    close(output[1]);
    if (pid < 0) {
        close(output[0]);
        return pr_error_set(&self->failure, PR_E_INTERNAL, "cannot start %s: %s", child->program, strerror(why));
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    child->output = output[0];
    child->pid = pid;
    child->exit_code = -1;
    child->state = PR_CHILD_RUNS;
    memset(&child->lines, 0, sizeof child->lines);
    return 0;
}

/* ---- ending ---- */

static void s_signal_one(const pr_child_t *child, int signal_number) {
    if (child->state == PR_CHILD_RUNS)
        kill(child->pid, signal_number);
}

static void s_signal_all(pr_supervisor_t *self, int signal_number, bool writer_too) {
    for (size_t i = 0; i < self->children_count; i++) {
        if (writer_too || self->children[i].stage != PR_STAGE_WRITER)
            s_signal_one(&self->children[i], signal_number);
    }
}

/* Nothing is started any more. */
static void s_cancel_starts(pr_supervisor_t *self) {
    for (size_t i = 0; i < self->children_count; i++) {
        if (self->children[i].state == PR_CHILD_WAITS)
            self->children[i].state = PR_CHILD_GONE;
    }
}

/* A failure ends the run. cause: the daemon that failed, NULL: ourselves. */
static void s_stop(pr_supervisor_t *self, const pr_child_t *cause, int64_t now_ms) {
    if (self->phase != PR_PHASE_RUNNING)
        return;
    self->phase = PR_PHASE_STOPPING;
    self->cause = cause;
    bool writer_too = cause == NULL || cause->stage == PR_STAGE_WRITER;
    s_cancel_starts(self);
    s_signal_all(self, SIGTERM, writer_too);
    self->term_ms = writer_too ? 0 : now_ms + s_writer_stop_ms;
    self->kill_ms = now_ms + s_kill_ms;
}

static void s_interrupt(pr_supervisor_t *self, int64_t now_ms) {
    self->interrupts++;
    if (self->interrupts > 1) {
        s_say(self, "pvrelay: stopping at once");
        s_signal_all(self, SIGKILL, true);
        return;
    }
    if (self->phase != PR_PHASE_RUNNING)
        return; /* it is ending already; once more makes it quick */
    s_say(self, "pvrelay: interrupted; what is begun is committed first (once more stops at once)");
    self->phase = PR_PHASE_STOPPING;
    s_cancel_starts(self);
    s_signal_all(self, SIGTERM, true);
    self->kill_ms = now_ms + s_drain_kill_ms;
}

/* It died: start it again, now or after a while, or give up. */
static void s_restart(pr_supervisor_t *self, pr_child_t *child, const char *how, int64_t now_ms) {
    int delay_ms = pr_restart_died(&child->restart, pr_meter_mark(self->run->meter));
    if (delay_ms == PR_RESTART_NEVER) {
        pr_error_set(
            &self->failure, PR_E_INTERNAL,
            "%s died %u times in a row without any progress of the run, at last %s; the same command tries again",
            child->program, child->restart.deaths, how);
        s_stop(self, NULL, now_ms);
        return;
    }
    s_say(self, "pvrelay: %s died (%s); it is started again", child->program, how);
    child->lines.fatal.code = PR_E_OK; /* told just now */
    child->state = PR_CHILD_WAITS;
    child->start_ms = now_ms + delay_ms;
}

static bool s_is_outcome(int exit_code) {
    return exit_code == 0 || exit_code == 3 || exit_code == 4;
}

static void s_leave_with(pr_supervisor_t *self, int outcome, int64_t now_ms) {
    self->outcome = outcome;
    s_cancel_starts(self);
    if (self->phase != PR_PHASE_RUNNING)
        return; /* interrupted, and complete all the same */
    self->phase = PR_PHASE_LEAVING;
    self->term_ms = now_ms + s_leave_ms;
    self->kill_ms = now_ms + s_leave_ms + s_kill_ms;
}

/* How a daemon ended, in words. */
static void s_describe(const pr_child_t *child, int status, char *buffer, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(buffer, size, "by signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (child->lines.fatal.code != PR_E_OK)
        snprintf(buffer, size, "with exit code %d, %s: %s", WEXITSTATUS(status),
                 pr_error_name((int)child->lines.fatal.code), child->lines.fatal.text);
    else
        snprintf(buffer, size, "with exit code %d", WEXITSTATUS(status));
}

static void s_ended(pr_supervisor_t *self, pr_child_t *child, int status, int64_t now_ms) {
    char how[PR_DAEMON_LINE_BYTES];
    int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child->state = PR_CHILD_GONE;
    child->gone_ms = now_ms;
    child->exit_code = exit_code;
    s_describe(child, status, how, sizeof how);
    if (child->stage == PR_STAGE_WRITER && s_is_outcome(exit_code)) {
        s_leave_with(self, exit_code, now_ms);
    } else if (self->phase != PR_PHASE_RUNNING) {
        /* What ends now ends as it should. */
    } else if (exit_code < 0 || exit_code == s_exit_internal || exit_code == s_exit_interrupted) {
        s_restart(self, child, how, now_ms);
    } else if (child->stage == PR_STAGE_WRITER || !s_is_outcome(exit_code)) {
        s_stop(self, child, now_ms);
    }
}

/* ---- hearing ---- */

/* Take what a daemon has printed. */
static void s_read_output(pr_supervisor_t *self, pr_child_t *child) {
    char data[4096];
    ssize_t size;
    while (child->output >= 0 && (size = read(child->output, data, sizeof data)) != 0) {
        if (size > 0) {
            pr_daemon_lines_take(&child->lines, child->program, data, (size_t)size, s_level(self), s_on_line, self);
        } else if (errno != EINTR) {
            return; /* nothing more for now */
        }
    }
    if (child->output >= 0) {
        close(child->output);
        child->output = -1;
    }
}

static uint64_t s_cpu_us(const struct rusage *usage) {
    return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static void s_reap(pr_supervisor_t *self, int64_t now_ms) {
    for (size_t i = 0; i < self->children_count; i++) {
        pr_child_t *child = &self->children[i];
        int status;
        struct rusage usage;
        if (child->state != PR_CHILD_RUNS || wait4(child->pid, &status, WNOHANG, &usage) != child->pid)
            continue;
        if (self->run->profile != NULL)
            pr_profile_ended(self->run->profile, child->stage, child->instance, s_cpu_us(&usage));
        s_read_output(self, child); /* all it said is in the pipe by now */
        pr_daemon_lines_end(&child->lines, child->program, s_level(self), s_on_line, self);
        if (child->output >= 0) {
            close(child->output);
            child->output = -1;
        }
        s_ended(self, child, status, now_ms);
    }
}

static void s_read_signals(pr_supervisor_t *self, int64_t now_ms) {
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            s_reap(self, now_ms);
        else
            s_interrupt(self, now_ms);
    }
}

static void s_hear(pr_supervisor_t *self, zsock_t *socket, int64_t now_ms) {
    pr_inbound_t inbound;
    int received;
    while ((received = pr_socket_receive(socket, &inbound, NULL)) != 0) {
        if (received < 0)
            continue; /* no message of ours: nothing here depends on it */
        const pr_message_t *message = &inbound.message;
        if (message->id == PR_MSG_PROGRESS) {
            pr_meter_progress(self->run->meter, &message->progress, now_ms);
            self->progress_ms = now_ms;
            if (self->run->profile != NULL)
                pr_profile_state(self->run->profile, message->progress.state, pr_now_us());
        } else if (message->id == PR_MSG_COUNTERS) {
            pr_meter_counters(self->run->meter, message->stage, message->instance, &message->counters);
            if (self->run->profile != NULL)
                pr_profile_counters(self->run->profile, message->stage, message->instance, &message->counters);
        }
        pr_inbound_release(&inbound);
    }
}

/* ---- the loop ---- */

static bool s_only_writer_runs(const pr_supervisor_t *self) {
    for (size_t i = 0; i < self->children_count; i++) {
        if (self->children[i].state == PR_CHILD_RUNS && self->children[i].stage != PR_STAGE_WRITER)
            return false;
    }
    return true;
}

/* What is due by the clock. */
static void s_on_time(pr_supervisor_t *self, int64_t now_ms) {
    const pr_msg_progress_t *newest = pr_meter_newest(self->run->meter);
    for (size_t i = 0; self->phase == PR_PHASE_RUNNING && i < self->children_count; i++) {
        pr_child_t *child = &self->children[i];
        if (child->state == PR_CHILD_WAITS && now_ms >= child->start_ms && s_start(self, child) < 0)
            s_stop(self, NULL, now_ms);
        if (child->state == PR_CHILD_GONE && self->progress_ms > child->gone_ms + s_stray_ms && newest != NULL &&
            newest->state < PR_PROGRESS_COMPLETE)
            s_restart(self, child, "as if the run were over", now_ms);
    }
    /* The writer has noted the failure and only waits for others to hear of it: there are none. */
    bool told = self->phase == PR_PHASE_STOPPING && newest != NULL && newest->state == PR_PROGRESS_FAILED &&
                s_only_writer_runs(self);
    if (self->term_ms > 0 && (told || now_ms >= self->term_ms)) {
        s_signal_all(self, SIGTERM, true);
        self->term_ms = 0;
    }
    if (self->kill_ms > 0 && now_ms >= self->kill_ms) {
        s_signal_all(self, SIGKILL, true);
        self->kill_ms = 0;
    }
}

static bool s_anyone_left(const pr_supervisor_t *self) {
    for (size_t i = 0; i < self->children_count; i++) {
        if (self->children[i].state != PR_CHILD_GONE)
            return true;
    }
    /* All gone in `running` cannot last: the writer's end changes the phase, or it is started again. */
    return false;
}

static long s_wait_ms(const pr_supervisor_t *self, int64_t now_ms) {
    int64_t wait_ms = s_turn_ms;
    for (size_t i = 0; i < self->children_count; i++) {
        const pr_child_t *child = &self->children[i];
        if (child->state == PR_CHILD_WAITS && child->start_ms - now_ms < wait_ms)
            wait_ms = child->start_ms - now_ms;
    }
    return wait_ms > 0 ? (long)wait_ms : 0;
}

static void s_turn(pr_supervisor_t *self, zmq_pollitem_t *items) {
    int count = 0;
    items[count++] = (zmq_pollitem_t){.fd = self->signals, .events = ZMQ_POLLIN};
    items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(self->progress), .events = ZMQ_POLLIN};
    for (size_t i = 0; i < self->children_count; i++) {
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(self->children[i].counters), .events = ZMQ_POLLIN};
        if (self->children[i].output >= 0)
            items[count++] = (zmq_pollitem_t){.fd = self->children[i].output, .events = ZMQ_POLLIN};
    }
    zmq_poll(items, count, s_wait_ms(self, pr_now_ms())); /* EINTR: just another turn */
    int64_t now_ms = pr_now_ms();
    for (size_t i = 0; i < self->children_count; i++) {
        s_read_output(self, &self->children[i]);
        s_hear(self, self->children[i].counters, now_ms);
    }
    s_hear(self, self->progress, now_ms); /* before the ends: why a daemon ended may stand in it */
    s_read_signals(self, now_ms);
    s_on_time(self, now_ms);
    pr_view_show(self->run->view, self->run->meter, now_ms);
}

/*  All are gone; but what they sent last is read by a thread of ZeroMQ's, and may not have come to us yet. */
static void s_hear_the_last(pr_supervisor_t *self, zmq_pollitem_t *items) {
    int64_t now_ms = pr_now_ms();
    int64_t until_ms = now_ms + s_last_ms;
    for (size_t i = 0; i < self->children_count; i++)
        items[i] = (zmq_pollitem_t){.socket = zsock_resolve(self->children[i].counters), .events = ZMQ_POLLIN};
    for (; pr_profile_awaits_last(self->run->profile) && now_ms < until_ms; now_ms = pr_now_ms()) {
        zmq_poll(items, (int)self->children_count, (long)(until_ms - now_ms));
        for (size_t i = 0; i < self->children_count; i++)
            s_hear(self, self->children[i].counters, now_ms);
    }
}

/* ---- beginning and end of it all ---- */

static void s_add_child(pr_supervisor_t *self, pr_stage_t stage, uint32_t instance) {
    pr_child_t *child = &self->children[self->children_count++];
    memset(child, 0, sizeof *child);
    child->stage = stage;
    child->instance = instance;
    child->output = -1;
    child->exit_code = -1;
    snprintf(child->program, sizeof child->program, "pvrelay-%s", pr_stage_word(stage));
    pr_stage_who(stage, instance, child->who);
}

static int s_check_programs(const pr_supervisor_t *self, pr_error_t *err) {
    for (size_t i = 0; i < self->children_count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", self->programs, self->children[i].program);
        if (access(path, X_OK) < 0)
            return pr_error_set(err, PR_E_CONFIG, "%s: cannot be run: %s; pvrelay and its daemons belong in one folder",
                                path, strerror(errno));
    }
    return 0;
}

static int s_open_sockets(pr_supervisor_t *self, pr_error_t *err) {
    int result = pr_socket_connect(PR_ENDPOINT_PROGRESS, self->run->run_dir, NULL, &self->progress, err);
    for (size_t i = 0; result == 0 && i < self->children_count; i++)
        result = pr_socket_connect(PR_ENDPOINT_COUNTERS, self->run->run_dir, self->children[i].who,
                                   &self->children[i].counters, err);
    return result;
}

static void s_close(pr_supervisor_t *self) {
    /* A subscription that waits for a daemon which is no more must not keep us. */
    if (self->progress != NULL)
        zsock_set_linger(self->progress, 0);
    for (size_t i = 0; i < self->children_count; i++) {
        if (self->children[i].counters != NULL)
            zsock_set_linger(self->children[i].counters, 0);
        zsock_destroy(&self->children[i].counters);
        if (self->children[i].output >= 0)
            close(self->children[i].output);
    }
    zsock_destroy(&self->progress);
    zsys_shutdown();
    if (self->signals >= 0) {
        struct signalfd_siginfo info;
        while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
            /* what came after the end shall not strike when the mask is lifted */
        }
        close(self->signals);
        sigprocmask(SIG_SETMASK, &self->old_mask, NULL);
    }
    free(self->children);
    free(self->programs);
}

/* The first daemon, and the writer comes first, that has a fatal error to tell which explains this exit code. */
static const pr_child_t *s_witness(const pr_supervisor_t *self, int exit_code) {
    for (size_t i = 0; i < self->children_count; i++) {
        const pr_child_t *child = &self->children[i];
        if (child->lines.fatal.code != PR_E_OK && child->exit_code == exit_code)
            return child;
    }
    return NULL;
}

/*  Errors of daemons that ended with another code than the one that is told are worth a line each; that they were
 *  interrupted is not: we did that. */
static void s_say_the_rest(pr_supervisor_t *self, const pr_error_t *told) {
    for (size_t i = 0; i < self->children_count; i++) {
        const pr_error_t *fatal = &self->children[i].lines.fatal;
        if (fatal->code != PR_E_OK && fatal->code != PR_E_INTERRUPTED &&
            (fatal->code != told->code || strcmp(fatal->text, told->text) != 0))
            s_say(self, "%s: %s: %s", self->children[i].program, pr_error_name((int)fatal->code), fatal->text);
    }
}

static int s_verdict(pr_supervisor_t *self, pr_error_t *err) {
    const pr_msg_progress_t *newest = pr_meter_newest(self->run->meter);
    const pr_child_t *witness = self->cause;
    pr_error_t told = self->failure;
    if (told.code == PR_E_OK && witness != NULL) {
        /* The writer, if it said why: it knows what stopped the run; who ended first may have met what came of that. */
        witness = s_witness(self, witness->exit_code);
        if (witness != NULL)
            told = witness->lines.fatal;
        else if (newest != NULL && newest->state == PR_PROGRESS_FAILED)
            pr_error_set(&told, (pr_error_code_t)newest->outcome, "%s", newest->text.data);
        else
            pr_error_set(&told, PR_E_INTERNAL, "%s ended with exit code %d and did not say why", self->cause->program,
                         self->cause->exit_code);
    }
    /* Interrupted: a target that failed while it drained matters more than the interruption. */
    if (told.code == PR_E_OK && (witness = s_witness(self, pr_error_exit_code(PR_E_TARGET))) != NULL)
        told = witness->lines.fatal;
    if (told.code == PR_E_OK)
        pr_error_set(&told, PR_E_INTERRUPTED, "interrupted; the same command continues where this one stopped");
    s_say_the_rest(self, &told);
    return pr_error_set(err, told.code, "%s", told.text);
}

int pr_supervise(const pr_supervise_t *run, int *ret_outcome, pr_error_t *err) {
    pr_supervisor_t self = {.run = run, .signals = -1, .outcome = -1, .failure = PR_ERROR_INIT};
    self.programs = pr_supervise_programs();
    self.children = pr_xcalloc(run->transformers + 3, sizeof *self.children);
    s_add_child(&self, PR_STAGE_WRITER, 1);
    s_add_child(&self, PR_STAGE_READER, 1);
    for (uint32_t i = 1; i <= run->transformers; i++)
        s_add_child(&self, PR_STAGE_TRANSFORMER, i);
    s_add_child(&self, PR_STAGE_VALIDATOR, 1);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    zmq_pollitem_t *items = pr_xcalloc(2 + 2 * self.children_count, sizeof *items);
    int result = pr_descriptors_check_run(run->transformers, err);
    if (result == 0)
        result = s_check_programs(&self, err);
    if (result == 0)
        result = pr_signals_open(signals, sizeof signals / sizeof signals[0], &self.old_mask, &self.signals, err);
    zsys_handler_set(NULL);
    if (result == 0) /* from here on they are read; one that came before was not */
        result = pr_interrupt_check("interrupted before any daemon was started; the same command continues", err);
    if (result == 0)
        result = s_open_sockets(&self, err);
    if (result < 0)
        goto done;
    s_on_time(&self, pr_now_ms()); /* all wait since 0: this starts them */
    while (s_anyone_left(&self))
        s_turn(&self, items);
    if (run->profile != NULL)
        s_hear_the_last(&self, items);
    pr_view_clear(run->view);
    if (self.outcome >= 0) {
        pr_error_t none = PR_ERROR_INIT;
        s_say_the_rest(&self, &none);
        *ret_outcome = self.outcome;
    } else {
        result = s_verdict(&self, err);
    }
done:
    free(items);
    s_close(&self);
    return result;
}
