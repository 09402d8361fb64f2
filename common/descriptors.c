/* SPDX-License-Identifier: MIT */
/* Descriptors. */
#include "common/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { s_wanted_max = 512, s_stage = 64, s_transformer = 4 };

static atomic_int s_kept = -1;

static void s_keep(void) {
    atomic_store(&s_kept, open("/dev/null", O_RDONLY | O_CLOEXEC));
}

void pr_descriptors_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (atomic_load(&s_kept) < 0)
        s_keep();
}

int pr_descriptors_check(unsigned wanted, pr_error_t *err) {
    int taken[s_wanted_max];
    unsigned count = 0;
    int why = 0;
    struct rlimit limit = {0};
    while (count < wanted && count < s_wanted_max) {
        int one = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (one < 0) {
            why = errno;
            break;
        }
        taken[count++] = one;
    }
    for (unsigned i = 0; i < count; i++)
        close(taken[i]);
    if (why != EMFILE && why != ENFILE)
        return 0;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return pr_error_set(
        err, PR_E_CONFIG,
        "too many open files: %llu are allowed%s; raise the limit (ulimit -Hn, LimitNOFILE=) and start again",
        (unsigned long long)limit.rlim_cur, why == ENFILE ? " here, but the whole system has no more" : "");
}

int pr_descriptors_check_run(unsigned transformers, pr_error_t *err) {
    return pr_descriptors_check(s_stage + s_transformer * transformers, err);
}

/* libzmq's calls come here; see the head of the header. Not declared by us elsewhere: it has libc's name. */
int accept4(int listener, void *address, socklen_t *length, int flags);
int accept4(int listener, void *address, socklen_t *length, int flags) {
    int accepted = (int)syscall(SYS_accept4, listener, address, length, flags);
    if (accepted >= 0 || (errno != EMFILE && errno != ENFILE))
        return accepted;
    int kept = atomic_exchange(&s_kept, -1);
    if (kept >= 0) {
        close(kept);
        accepted = (int)syscall(SYS_accept4, listener, address, length, flags);
        if (accepted >= 0)
            close(accepted);
        s_keep();
    }
    errno = EAGAIN;
    return -1;
}
