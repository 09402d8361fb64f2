/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: writes down what a process asks of the disk below a folder, so that a power cut can be played afterwards. */

/*  PVRELAY_RECORD_ROOT is the folder, PVRELAY_RECORD the file that all processes of a run append to; support/disk.py reads it.
 *
 *  A record is appended by one write() with O_APPEND, so all processes have one order. What changes a file is written down after
 *  it was done, a sync before (what was written down until then is meant) and after (now it is on the disk): the record never
 *  claims more durability than there was. Files are known by inode, and from OPEN on by that of the last file of this number.
 *
 *  stdio calls the C library's own open and write, past any preloaded ones. So of a file opened by fopen the whole content is
 *  written down whenever it is flushed, closed or synced. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 4096, OPENED_NEW = 1, OPENED_TRUNCATED = 2, OPENED_FOLDER = 4 };

typedef enum { OPEN = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, MKDIR, RMDIR, LINK } s_kind_t;

typedef struct {
    uint32_t kind;
    uint32_t length; /* of the data */
    uint32_t second; /* of the data that follows it: a second path */
    uint32_t process;
    uint64_t object; /* inode */
    uint64_t where;  /* offset, size, flags, or number of a sync */
} s_head_t;

static int s_log = -1;
static const char *s_root;
static _Atomic uint64_t s_inode[FILES]; /* by descriptor: of a file below the root, else 0 */
static atomic_bool s_is_stdio[FILES];
static _Atomic uint32_t s_syncs;

#define REAL(name) ((__typeof__(&name))s_real(#name))

static void *s_real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

__attribute__((constructor)) static void s_begin(void) {
    const char *path = getenv("PVRELAY_RECORD");
    s_root = getenv("PVRELAY_RECORD_ROOT");
    if (path != NULL && s_root != NULL)
        s_log = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static bool s_below(const char *path) {
    size_t length = s_log < 0 ? 0 : strlen(s_root);
    return length > 0 && strncmp(path, s_root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void s_note(s_kind_t kind, uint64_t object, uint64_t where, const void *data, size_t size, const char *second) {
    int kept = errno;
    size_t more = second != NULL ? strlen(second) : 0;
    s_head_t head = {.kind = kind,
                     .length = (uint32_t)size,
                     .second = (uint32_t)more,
                     .process = (uint32_t)getpid(),
                     .object = object,
                     .where = where};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)data, size}, {(void *)(uintptr_t)second, more}};
    if (writev(s_log, parts, 3) != (ssize_t)(sizeof head + size + more))
        abort(); /* a record with a hole proves nothing */
    errno = kept;
}

static uint64_t s_object(int file) {
    return file >= 0 && file < FILES ? s_inode[file] : 0;
}

static void s_forget(int file) {
    if (file >= 0 && file < FILES)
        s_inode[file] = 0;
}

/* A file below the root was opened. is_new: it was not there before. */
static void s_opened(int file, const char *path, bool is_new, bool truncated, bool by_stdio) {
    int kept = errno;
    struct stat entry;
    if (file >= 0 && file < FILES && fstat(file, &entry) == 0) {
        s_inode[file] = entry.st_ino;
        s_is_stdio[file] = by_stdio;
        s_note(OPEN, entry.st_ino,
               (is_new ? OPENED_NEW : 0u) | (truncated ? OPENED_TRUNCATED : 0u) |
                   (S_ISDIR(entry.st_mode) ? OPENED_FOLDER : 0u),
               path, strlen(path), NULL);
    }
    errno = kept;
}

static bool s_missing(const char *path) {
    int kept = errno;
    struct stat entry;
    bool missing = lstat(path, &entry) < 0;
    errno = kept;
    return missing;
}

/* The whole of a file that stdio writes. */
static void s_whole(int file) {
    uint64_t object = s_object(file);
    char buffer[65536];
    char name[64];
    int kept = errno;
    if (object == 0 || !s_is_stdio[file])
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    int again = REAL(open)(name, O_RDONLY | O_CLOEXEC);
    if (again >= 0) {
        uint64_t offset = 0;
        for (ssize_t got; (got = pread(again, buffer, sizeof buffer, (off_t)offset)) > 0; offset += (uint64_t)got)
            s_note(WRITE, object, offset, buffer, (size_t)got, NULL);
        REAL(close)(again);
    }
    errno = kept;
}

#define OPEN_AS(name)                                                                                                  \
    int name(const char *path, int flags, ...) {                                                                       \
        mode_t mode = 0;                                                                                               \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                                    \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            mode = va_arg(rest, mode_t);                                                                               \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        bool below = s_below(path);                                                                                    \
        bool is_new = below && (flags & O_CREAT) != 0 && s_missing(path);                                              \
        int file = REAL(name)(path, flags, mode);                                                                      \
        if (below)                                                                                                     \
            s_opened(file, path, is_new, (flags & O_TRUNC) != 0, false);                                               \
        else                                                                                                           \
            s_forget(file);                                                                                            \
        return file;                                                                                                   \
    }
OPEN_AS(open)
OPEN_AS(open64)

#define FOPEN_AS(name)                                                                                                 \
    FILE *name(const char *path, const char *mode) {                                                                   \
        bool below = s_below(path);                                                                                    \
        bool is_new = below && mode[0] != 'r' && s_missing(path);                                                      \
        FILE *file = REAL(name)(path, mode);                                                                           \
        if (file != NULL && below)                                                                                     \
            s_opened(fileno(file), path, is_new, mode[0] == 'w', mode[0] != 'r');                                      \
        return file;                                                                                                   \
    }
FOPEN_AS(fopen)
FOPEN_AS(fopen64)

int fflush(FILE *file) {
    int result = REAL(fflush)(file);
    if (file != NULL)
        s_whole(fileno(file));
    return result;
}

int fclose(FILE *file) {
    int number = fileno(file);
    if (s_object(number) != 0 && s_is_stdio[number]) {
        REAL(fflush)(file);
        s_whole(number);
    }
    s_forget(number);
    return REAL(fclose)(file);
}

int close(int file) {
    s_forget(file);
    return REAL(close)(file);
}

ssize_t write(int file, const void *data, size_t size) {
    ssize_t written = REAL(write)(file, data, size);
    uint64_t object = s_object(file);
    if (object != 0 && written > 0)
        s_note(WRITE, object, (uint64_t)(lseek(file, 0, SEEK_CUR) - written), data, (size_t)written, NULL);
    return written;
}

#define PWRITE_AS(name, offset_t)                                                                                      \
    ssize_t name(int file, const void *data, size_t size, offset_t offset) {                                           \
        ssize_t written = REAL(name)(file, data, size, offset);                                                        \
        uint64_t object = s_object(file);                                                                              \
        if (object != 0 && written > 0)                                                                                \
            s_note(WRITE, object, (uint64_t)offset, data, (size_t)written, NULL);                                      \
        return written;                                                                                                \
    }
PWRITE_AS(pwrite, off_t)
PWRITE_AS(pwrite64, off64_t)

#define TRUNCATE_AS(name, offset_t)                                                                                    \
    int name(int file, offset_t size) {                                                                                \
        int result = REAL(name)(file, size);                                                                           \
        uint64_t object = s_object(file);                                                                              \
        if (object != 0 && result == 0)                                                                                \
            s_note(TRUNCATE, object, (uint64_t)size, NULL, 0, NULL);                                                   \
        return result;                                                                                                 \
    }
TRUNCATE_AS(ftruncate, off_t)
TRUNCATE_AS(ftruncate64, off64_t)

#define SYNC_AS(name)                                                                                                  \
    int name(int file) {                                                                                               \
        uint64_t object = s_object(file);                                                                              \
        uint64_t number = 0;                                                                                           \
        if (object != 0) {                                                                                             \
            s_whole(file);                                                                                             \
            number = ++s_syncs;                                                                                        \
            s_note(SYNC_BEGIN, object, number, NULL, 0, NULL);                                                         \
        }                                                                                                              \
        int result = REAL(name)(file);                                                                                 \
        if (object != 0 && result == 0)                                                                                \
            s_note(SYNC_END, object, number, NULL, 0, NULL);                                                           \
        return result;                                                                                                 \
    }
SYNC_AS(fsync)
SYNC_AS(fdatasync)

int rename(const char *from, const char *to) {
    int result = REAL(rename)(from, to);
    if (result == 0 && (s_below(from) || s_below(to)))
        s_note(RENAME, 0, 0, from, strlen(from), to);
    return result;
}

int link(const char *from, const char *to) {
    int result = REAL(link)(from, to);
    if (result == 0 && (s_below(from) || s_below(to)))
        s_note(LINK, 0, 0, from, strlen(from), to);
    return result;
}

#define PATH_AS(name, kind)                                                                                            \
    int name(const char *path) {                                                                                       \
        int result = REAL(name)(path);                                                                                 \
        if (result == 0 && s_below(path))                                                                              \
            s_note(kind, 0, 0, path, strlen(path), NULL);                                                              \
        return result;                                                                                                 \
    }
PATH_AS(unlink, UNLINK)
PATH_AS(remove, UNLINK)
PATH_AS(rmdir, RMDIR)

int mkdir(const char *path, mode_t mode) {
    int result = REAL(mkdir)(path, mode);
    if (result == 0 && s_below(path))
        s_note(MKDIR, 0, 0, path, strlen(path), NULL);
    return result;
}
