/* SPDX-License-Identifier: MIT */
/* Signals as something to read. */
#include "common/signals.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>

int pr_signals_open(const int *numbers, unsigned count, sigset_t *ret_old_mask, int *ret_fd, pr_error_t *err) {
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < count; i++)
        sigaddset(&set, numbers[i]);
    signal(SIGPIPE, SIG_IGN);
    int fd = sigprocmask(SIG_BLOCK, &set, ret_old_mask) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    if (fd < 0)
        return pr_error_set(err, PR_E_INTERNAL, "signalfd: %s", strerror(errno));
    *ret_fd = fd;
    return 0;
}
