/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: lets the Nth call of a kind fail, on a file of a name, in a program of a name; or limits what a program may have. */

/*  PVRELAY_FAIL="PROGRAM CALL NAME NTH ERRNO MODE"
 *      PROGRAM  pvrelay-writer ...          CALL  open read write sync truncate socket accept eventfd malloc
 *      NAME     the file's, without folders; "-" for calls without a file
 *      NTH      from 1                      ERRNO a number
 *      MODE     once: one call of one process, whoever is started anew comes through; ever: this call and all after it;
 *               half: as once, but half of the bytes are written first
 *  PVRELAY_FAIL_LIMIT="PROGRAM KIND NUMBER"  KIND: memory (bytes of address space), files (descriptors)
 *  PVRELAY_FAIL_LOG=FILE      one line for each process in which something failed; FILE.once: mark of the modes once and half
 *  PVRELAY_FAIL_COUNTS=FILE   nothing fails; at its end each process tells "PROGRAM CALL NAME TIMES"
 *
 *  stdio writes past any preloaded write(). A stream for writing fails when it is closed or flushed: what it wrote is cut in half. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 1024, NAME_SIZE = 48, COUNTS = 256 };

typedef enum {
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_SYNC,
    CALL_TRUNCATE,
    CALL_SOCKET,
    CALL_ACCEPT,
    CALL_EVENTFD,
    CALL_MALLOC,
    CALLS
} s_call_t;

static const char *const s_calls[CALLS] = {"open",   "read",   "write",   "sync",  "truncate",
                                           "socket", "accept", "eventfd", "malloc"};

typedef struct {
    s_call_t call;
    char name[NAME_SIZE];
    unsigned long times;
} s_count_t;

static char s_names[FILES][NAME_SIZE]; /* by descriptor; "" if it is no file that was opened here */
static bool s_is_output[FILES];        /* by descriptor: of a stream for writing */
static char s_program[NAME_SIZE];

static struct {
    bool set, ever, half;
    s_call_t call;
    char name[NAME_SIZE];
    unsigned long nth;
    int number;
} s_fault;
static atomic_ulong s_passed;
static atomic_bool s_fired;

static const char *s_counts_path;
static s_count_t s_counts[COUNTS];
static size_t s_count;
static pthread_mutex_t s_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_ulong s_mallocs;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

#define REAL(name) ((__typeof__(&name))s_real(#name))

static void *s_real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

static void s_limit(const char *text) {
    char program[NAME_SIZE];
    char kind[NAME_SIZE];
    unsigned long number = 0;
    if (sscanf(text, "%47s %47s %lu", program, kind, &number) != 3 || strcmp(program, s_program) != 0)
        return;
    struct rlimit limit = {.rlim_cur = number, .rlim_max = number};
    setrlimit(strcmp(kind, "memory") == 0 ? RLIMIT_AS : RLIMIT_NOFILE, &limit);
}

__attribute__((constructor)) static void s_begin(void) {
    char program[NAME_SIZE];
    char call[NAME_SIZE];
    char mode[NAME_SIZE];
    const char *text = getenv("PVRELAY_FAIL");
    snprintf(s_program, sizeof s_program, "%.47s", program_invocation_short_name);
    s_counts_path = getenv("PVRELAY_FAIL_COUNTS");
    if (getenv("PVRELAY_FAIL_LIMIT") != NULL)
        s_limit(getenv("PVRELAY_FAIL_LIMIT"));
    if (text == NULL ||
        sscanf(text, "%47s %47s %47s %lu %d %47s", program, call, s_fault.name, &s_fault.nth, &s_fault.number, mode) !=
            6 ||
        strcmp(program, s_program) != 0)
        return;
    s_fault.ever = strcmp(mode, "ever") == 0;
    s_fault.half = strcmp(mode, "half") == 0;
    while (s_fault.call < CALLS && strcmp(s_calls[s_fault.call], call) != 0)
        s_fault.call++;
    s_fault.set = s_fault.call < CALLS;
}

__attribute__((destructor)) static void s_end(void) {
    if (s_counts_path == NULL)
        return;
    int file = REAL(open)(s_counts_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    dprintf(file, "%s malloc - %lu\n", s_program, s_mallocs);
    for (size_t i = 0; i < s_count; i++)
        dprintf(file, "%s %s %s %lu\n", s_program, s_calls[s_counts[i].call], s_counts[i].name, s_counts[i].times);
}

static void s_note_count(s_call_t call, const char *name) {
    size_t i = 0;
    pthread_mutex_lock(&s_lock);
    while (i < s_count && (s_counts[i].call != call || strcmp(s_counts[i].name, name) != 0))
        i++;
    if (i < COUNTS) {
        if (i == s_count) {
            s_counts[s_count].call = call;
            memcpy(s_counts[s_count++].name, name, NAME_SIZE);
        }
        s_counts[i].times++;
    }
    pthread_mutex_unlock(&s_lock);
}

/* This process is the one that fails, and says so. */
static bool s_fire(void) {
    const char *log = getenv("PVRELAY_FAIL_LOG");
    char path[4096];
    if (log == NULL || (s_fired && !s_fault.ever))
        return false;
    if (!s_fault.ever) {
        snprintf(path, sizeof path, "%s.once", log);
        int mark = REAL(open)(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (mark < 0)
            return false;
        REAL(close)(mark);
    }
    if (!s_fired) {
        s_fired = true;
        int file = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        int size =
            snprintf(path, sizeof path, "%s %s %s %lu\n", s_program, s_calls[s_fault.call], s_fault.name, s_fault.nth);
        if (file >= 0)
            (void)!REAL(write)(file, path, (size_t)size);
        REAL(close)(file);
    }
    return true;
}

/* Is this the call that fails? Then errno is set. */
static bool s_fails(s_call_t call, const char *name) {
    int kept = errno;
    bool fails = false;
    if (name[0] == '\0')
        return false;
    if (s_counts_path != NULL)
        s_note_count(call, name);
    else if (s_fault.set && s_fault.call == call && strcmp(s_fault.name, name) == 0) {
        unsigned long passed = ++s_passed;
        fails = (passed == s_fault.nth || (s_fault.ever && passed > s_fault.nth)) && s_fire();
    }
    errno = fails ? s_fault.number : kept;
    return fails;
}

static const char *s_name(int file) {
    return file >= 0 && file < FILES ? s_names[file] : "";
}

static const char *s_base(const char *path, char *ret_name) {
    const char *slash = strrchr(path, '/');
    snprintf(ret_name, NAME_SIZE, "%.47s", slash != NULL ? slash + 1 : path);
    return ret_name;
}

static void s_opened(int file, const char *name, bool is_output) {
    if (file < 0 || file >= FILES)
        return;
    memcpy(s_names[file], name, NAME_SIZE);
    s_is_output[file] = is_output;
}

static void s_forget(int file) {
    if (file >= 0 && file < FILES)
        s_names[file][0] = '\0';
}

#define OPEN_AS(function)                                                                                              \
    int function(const char *path, int flags, ...) {                                                                   \
        mode_t mode = 0;                                                                                               \
        char name[NAME_SIZE] = {0};                                                                                    \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                                    \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            mode = va_arg(rest, mode_t);                                                                               \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        if (s_fails(CALL_OPEN, s_base(path, name)))                                                                    \
            return -1;                                                                                                 \
        int file = REAL(function)(path, flags, mode);                                                                  \
        s_opened(file, name, false);                                                                                   \
        return file;                                                                                                   \
    }
OPEN_AS(open)
OPEN_AS(open64)

#define FOPEN_AS(function)                                                                                             \
    FILE *function(const char *path, const char *mode) {                                                               \
        char name[NAME_SIZE] = {0};                                                                                    \
        if (s_fails(CALL_OPEN, s_base(path, name)))                                                                    \
            return NULL;                                                                                               \
        FILE *file = REAL(function)(path, mode);                                                                       \
        if (file != NULL)                                                                                              \
            s_opened(fileno(file), name, mode[0] != 'r');                                                              \
        return file;                                                                                                   \
    }
FOPEN_AS(fopen)
FOPEN_AS(fopen64)

/* What a stream has written is not there: the disk was full when it was flushed. */
static bool s_output_fails(FILE *file) {
    struct stat entry;
    int number = fileno(file);
    if (number < 0 || number >= FILES || !s_is_output[number] || !s_fails(CALL_WRITE, s_names[number]))
        return false;
    int kept = errno;
    REAL(fflush)(file);
    if (fstat(number, &entry) == 0)
        (void)!REAL(ftruncate)(number, entry.st_size / 2);
    errno = kept;
    return true;
}

int fflush(FILE *file) {
    if (file != NULL && s_output_fails(file))
        return EOF;
    return REAL(fflush)(file);
}

int fclose(FILE *file) {
    bool fails = s_output_fails(file);
    int number = errno;
    s_forget(fileno(file));
    int result = REAL(fclose)(file);
    if (!fails)
        return result;
    errno = number;
    return EOF;
}

int close(int file) {
    s_forget(file);
    return REAL(close)(file);
}

ssize_t read(int file, void *data, size_t size) {
    return s_fails(CALL_READ, s_name(file)) ? -1 : REAL(read)(file, data, size);
}

ssize_t write(int file, const void *data, size_t size) {
    if (!s_fails(CALL_WRITE, s_name(file)))
        return REAL(write)(file, data, size);
    int kept = errno;
    if (s_fault.half)
        (void)!REAL(write)(file, data, size / 2);
    errno = kept;
    return -1;
}

#define PREAD_AS(function, offset_t)                                                                                   \
    ssize_t function(int file, void *data, size_t size, offset_t offset) {                                             \
        return s_fails(CALL_READ, s_name(file)) ? -1 : REAL(function)(file, data, size, offset);                       \
    }
PREAD_AS(pread, off_t)
PREAD_AS(pread64, off64_t)

#define PWRITE_AS(function, offset_t)                                                                                  \
    ssize_t function(int file, const void *data, size_t size, offset_t offset) {                                       \
        if (!s_fails(CALL_WRITE, s_name(file)))                                                                        \
            return REAL(function)(file, data, size, offset);                                                           \
        int kept = errno;                                                                                              \
        if (s_fault.half)                                                                                              \
            (void)!REAL(function)(file, data, size / 2, offset);                                                       \
        errno = kept;                                                                                                  \
        return -1;                                                                                                     \
    }
PWRITE_AS(pwrite, off_t)
PWRITE_AS(pwrite64, off64_t)

#define TRUNCATE_AS(function, offset_t)                                                                                \
    int function(int file, offset_t size) {                                                                            \
        return s_fails(CALL_TRUNCATE, s_name(file)) ? -1 : REAL(function)(file, size);                                 \
    }
TRUNCATE_AS(ftruncate, off_t)
TRUNCATE_AS(ftruncate64, off64_t)

int fsync(int file) {
    return s_fails(CALL_SYNC, s_name(file)) ? -1 : REAL(fsync)(file);
}

int fdatasync(int file) {
    return s_fails(CALL_SYNC, s_name(file)) ? -1 : REAL(fdatasync)(file);
}

int socket(int domain, int type, int protocol) {
    return s_fails(CALL_SOCKET, "-") ? -1 : REAL(socket)(domain, type, protocol);
}

int accept4(int file, struct sockaddr *address, socklen_t *length, int flags) {
    return s_fails(CALL_ACCEPT, "-") ? -1 : REAL(accept4)(file, address, length, flags);
}

int eventfd(unsigned start, int flags) {
    return s_fails(CALL_EVENTFD, "-") ? -1 : REAL(eventfd)(start, flags);
}

/* malloc is counted apart: what counts takes memory, too. */
static bool s_malloc_fails(void) {
    unsigned long passed = ++s_mallocs;
    if (!s_fault.set || s_fault.call != CALL_MALLOC || passed < s_fault.nth || (passed > s_fault.nth && !s_fault.ever))
        return false;
    if (!s_fire())
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return s_malloc_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return s_malloc_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return s_malloc_fails() ? NULL : __libc_realloc(old, size);
}
