/* SPDX-License-Identifier: MIT */
/* Lock files. */

/*  DESIGN
 *
 *  The lock is flock() on the file; the pid in it only serves messages. The holder unlinks the file on release, while
 *  it still has the lock. So whoever gets the lock must look whether the file it locked is still the one at the path: if
 *  the inode differs, an earlier holder has unlinked it meanwhile, and the turn is tried again on the new file. Only a
 *  holder unlinks, and only after the same check, so nobody's file is unlinked under them. A crash leaves the file
 *  behind, unlocked: the next one takes it over.
 */
#include "common/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/lock_wait.h"

struct pr_lock {
    char *path;
    int fd;
};

/* Is the open file the one that stands at the path? */
static bool s_is_at(int fd, const char *path) {
    struct stat ours;
    struct stat there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

/* The pid written in the file, 0 if there is none (yet). */
static long s_holder(int fd) {
    char text[32] = "";
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

/* One try: 1 and the descriptor, 0 and the holder, or -errno. */
static int s_try(const char *path, int *ret_fd, long *ret_holder) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int why = errno;
        *ret_holder = s_holder(fd);
        close(fd);
        return why == EWOULDBLOCK || why == EINTR ? 0 : -why;
    }
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_nlink > 1) {
        close(fd); /* not a file of ours, or somebody else's under this name, too: the pid must not go there */
        return -EMLINK;
    }
    if (!s_is_at(fd, path)) {
        *ret_holder = 0;
        close(fd);
        return 0;
    }
    *ret_fd = fd;
    return 1;
}

/* Write our pid; a failure to do so (a full disk) costs a good message only. */
static void s_sign(int fd) {
    char text[32];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) != size)
        (void)!ftruncate(fd, 0);
}

/* A lock that is not to be had, and who has it. */
typedef struct {
    const char *path;
    long holder;
} s_held_t;

/* "hub.db: held by process 4711 (pvrelay-writer …); …": of a target's lock the target is named. */
static void s_describe(void *of, char *buffer, size_t size) {
    static const char ending[] = "-pvrelay.lock";
    const s_held_t *held = of;
    char holder[300];
    char hint[PR_LOCK_WAIT_TEXT_BYTES];
    size_t shown = strlen(held->path);
    size_t tail = sizeof ending - 1;
    if (shown > tail && strcmp(held->path + shown - tail, ending) == 0)
        shown -= tail;
    pr_lock_holder(held->holder, holder, sizeof holder);
    pr_lock_hint(held->path, held->holder, hint, sizeof hint);
    snprintf(buffer, size, "%.*s: held by %s%s", (int)shown, held->path, holder, hint);
}

static int s_give_up(s_held_t *held, unsigned wait_ms, pr_error_t *err) {
    char what[PR_LOCK_WAIT_TEXT_BYTES];
    char waited[32];
    s_describe(held, what, sizeof what);
    if (pr_lock_wait_stopped())
        return pr_error_set(err, PR_E_INTERRUPTED, "%s; interrupted while waiting for it", what);
    if (wait_ms == 0)
        return pr_error_set(err, PR_E_TARGET_LOCKED, "%s; wait until it ends, or stop it", what);
    pr_lock_wait_print(wait_ms, waited, sizeof waited);
    return pr_error_set(err, PR_E_TARGET_LOCKED, "%s (waited %s); wait until it ends, or stop it", what, waited);
}

int pr_lock_take(const char *path, unsigned wait_ms, pr_lock_t **ret_lock, pr_error_t *err) {
    pr_lock_wait_t wait = {0};
    s_held_t held = {.path = path};
    int fd = -1;
    for (;;) {
        int result = s_try(path, &fd, &held.holder);
        if (result == 1)
            break;
        if (result < 0)
            return pr_error_set(err, PR_E_TARGET, "%s: cannot make the lock file: %s", path, strerror(-result));
        if (!pr_lock_wait_step(&wait, wait_ms, s_describe, &held))
            return s_give_up(&held, wait_ms, err);
    }
    s_sign(fd);
    pr_lock_t *lock = pr_xcalloc(1, sizeof *lock);
    lock->path = pr_xstrdup(path);
    lock->fd = fd;
    *ret_lock = lock;
    return 0;
}

void pr_lock_release(pr_lock_t **lock) {
    if (lock == NULL || *lock == NULL)
        return;
    if (s_is_at((*lock)->fd, (*lock)->path))
        unlink((*lock)->path);
    close((*lock)->fd);
    free((*lock)->path);
    free(*lock);
    *lock = NULL;
}
