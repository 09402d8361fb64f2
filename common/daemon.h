/* SPDX-License-Identifier: MIT */
/* The recipe of a daemon: arguments, config, signals, open, sockets, READY, loop, drain, STOPPING, exit code. */
#ifndef PR_DAEMON_H
#define PR_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/error.h"
#include "common/mapping.h"
#include "common/message.h"
#include "common/socket.h"

/* What every stage has at hand while it lives. Stages read all of it and write only what is said to be theirs. */
typedef struct {
    const pr_config_t *config;
    const pr_mapping_t *mapping;
    pr_stage_t stage;
    uint32_t instance;
    uint64_t incarnation;       /* random number of this start */
    pr_run_id_t run;            /* zero until known; the writer sets it, the others hear it */
    pr_msg_counters_t counters; /* the stage's to count */
    zsock_t *in;                /* PULL: the stage's data; messages go to on_message */
    zsock_t *out;               /* PUSH: the stage's results; the transformers' and the validator's go to the writer */
    zsock_t *writer;            /* PUSH to the writer; NULL in the writer */
    zsock_t *progress;          /* SUB of PROGRESS; XPUB in the writer */
    bool hold;                  /* the stage's: do not receive from `in` for now */
    bool want_out;              /* the stage's: wake up when `out` has room */
    bool full;                  /* the stage's: it could go on, but for what it has sent, which must be taken first */
    bool leave;                 /* the stage's: end the loop, with `outcome` */
    int outcome;                /* pr_error_code_t */
} pr_daemon_t;

/*  What a stage does. All callbacks return 0 (on_turn: 1 if it has more to do at once) or a negative code, which ends
 *  the daemon: it is logged, told to the writer (FAIL), and its exit code is the process's. */
typedef struct {
    pr_stage_t stage;
    const char *program; /* "pvrelay-reader" */
    const char *summary; /* for --help, one line */
    /* Open files and databases; may take long. Nothing is bound yet. ret_self: *returns new*. */
    int (*open)(pr_daemon_t *daemon, void **ret_self, pr_error_t *err);
    void (*close)(void **self);
    /* A message came in; its payload is the stage's to release or to keep (then set frames_count to 0). */
    int (*on_message)(void *self, pr_inbound_t *inbound, pr_error_t *err);
    /* PROGRESS came (not in the writer). fresh: from a writer or of a run that was not known before. complete and
     * failed are dealt with by the recipe. */
    int (*on_progress)(void *self, const pr_msg_progress_t *progress, bool fresh, pr_error_t *err);
    /* Once a turn, at least every 25 ms. */
    int (*on_turn)(void *self, int64_t now_ms, pr_error_t *err);
    /* All sockets were closed and opened anew: what was on its way to us or from us is lost. May be NULL. */
    int (*on_reopened)(void *self, pr_error_t *err);
    /* SIGTERM or SIGINT came: finish what is begun, begin nothing. May be NULL. */
    int (*on_drain)(void *self, pr_error_t *err);
    /* The stage waits for a lock, in the middle of one of the other callbacks: tell those who listen. May be NULL. */
    void (*on_wait)(void *self);
    /* A line for `systemctl status`. */
    void (*status)(void *self, char *buffer, size_t size);
} pr_stage_ops_t;

/*  Run a daemon from its main. Returns the exit code. A transformer that is given no --instance runs all of the
 *  configuration's transformers, each as a process of its own (common/workers.h). */
int pr_daemon_main(const pr_stage_ops_t *ops, int argc, char **argv);

/* Send a message from this stage and run. As pr_socket_send. */
int pr_daemon_send(pr_daemon_t *daemon, zsock_t *socket, pr_message_t *message, zmq_msg_t *frames, unsigned count);

/* Count and log a message that is dropped; each text is logged once. */
void pr_daemon_protocol_error(pr_daemon_t *daemon, pr_protocol_kind_t kind, const pr_error_t *err);

/*  The writer's, before it publishes that the run is complete or failed: leave that as its last words (common/ending.h).
 *  code: pr_error_code_t; text: of a run that stopped: why. */
void pr_daemon_ended(pr_daemon_t *daemon, int code, const char *text);

/*  Does a peer work with the mapping that this stage does? digest: of the mapping of the reader, from which all batches come.
 *  Returns 0 or -PR_E_MAPPING. */
int pr_daemon_check_mapping(const pr_daemon_t *daemon, uint64_t digest, pr_error_t *err);

/* For long work in `open`: has somebody asked us to stop? And: publish the counters, tell systemd that we are alive. */
bool pr_daemon_interrupted(void);
void pr_daemon_busy(pr_daemon_t *daemon);

/*  For long work on a message, in a stage other than the writer: has somebody asked us to stop, or does PROGRESS, which is
 *  heard here, say that the run has ended? Then it is to be given up. */
bool pr_daemon_must_leave(pr_daemon_t *daemon);

/* Milliseconds and microseconds of a clock that never goes back; milliseconds of the calendar (since 1970). */
int64_t pr_now_ms(void);
int64_t pr_now_us(void);
int64_t pr_calendar_ms(void);

#endif
