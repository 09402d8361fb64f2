/* SPDX-License-Identifier: MIT */
/* The commands of pvrelay: one line each here is all it takes to add one. */
#ifndef PR_COMMAND_H
#define PR_COMMAND_H

#include "common/error.h"

/*  word, function, summary. The usage text of a command is pr_usage_FUNCTION, beside the function. */
#define PR_COMMANDS(X)                                                                                                 \
    X("run", run, "replay exports into a target database, and prove it")                                               \
    X("manage", manage, "look after the runs of a configuration whose daemons systemd starts")                         \
    X("verify", verify, "prove at any time that a target holds what exports hold")                                     \
    X("inspect", inspect, "what exports or databases hold")                                                            \
    X("rejects", rejects, "the records that were rejected, and why")                                                   \
    X("retry-rejects", retry, "try the rejected records again, after mending the mapping")                             \
    X("status", status, "how the runs of a target stand, and what its daemons do")                                     \
    X("top", top, "a live screen of what a run's daemons do")                                                          \
    X("checkpoints", checkpoints, "the points that a target can be put back to")                                       \
    X("checkpoint", checkpoint, "give the newest of them a name")                                                      \
    X("rollback", rollback, "put a target back to an earlier point, row for row")                                      \
    X("seal", seal, "give up the way back, and the room that it takes")                                                \
    X("migrate", migrate, "make or bring up to date a target's tables")                                                \
    X("lint", lint, "check a mapping file")

/*  A command: argv[0] is its own word. Prints its result to stdout.
 *  Returns the exit code, or a negative code and err, which main prints. --help is dealt with before. */
typedef int pr_command_fn(int argc, char **argv, pr_error_t *err);

#define X(word, function, summary)                                                                                     \
    pr_command_fn pr_command_##function;                                                                               \
    extern const char pr_usage_##function[];
PR_COMMANDS(X)
#undef X

/* The whole program: find the command, run it, print its error. Returns the exit code. */
int pr_command_main(int argc, char **argv);

/*  From here on this command waits for locks at most limit_ms, and says so on stderr. target (may be NULL): what the locks
 *  are for; borrowed for as long as anything is waited for. */
void pr_command_wait_for_locks(unsigned limit_ms, const char *target);

#endif
