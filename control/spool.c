/* SPDX-License-Identifier: MIT */
/* A spool: claiming, finding and moving sets. */
#include "control/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/fault.h"
#include "common/message.h"
#include "common/sync.h"
#include "common/utf8.h"

struct pr_spool {
    char *dir, *work, *done, *failed;
    bool marked;
};

static const char S_MARKER[] = ".done";
static const char S_RENAMED[] = "export-"; /* a set whose own name is taken in work/UUID */

/* ---- names ---- */

static bool s_ends(const char *name, const char *suffix) {
    size_t size = strlen(name);
    size_t tail = strlen(suffix);
    return size >= tail && strcmp(name + size - tail, suffix) == 0;
}

static bool s_is_one_of(const char *name, const char *const *list) {
    while (*list != NULL && strcmp(name, *list) != 0)
        list++;
    return *list != NULL;
}

/* What is still being written, or hidden. */
static bool s_is_ignored(const char *name) {
    return name[0] == '.' || s_ends(name, ".tmp") || s_ends(name, ".part") || s_ends(name, ".partial") ||
           s_ends(name, ".new");
}

static bool s_is_export(const char *name) {
    return s_ends(name, ".json") || s_ends(name, ".jsonl") || s_ends(name, ".ndjson");
}

/* What a set's folder in work/ holds beside the set. */
static bool s_is_ours(const char *name) {
    static const char *const ours[] = {"report.json",   "report.md",      "ended.json", "report.json.new",
                                       "report.md.new", "ended.json.new", NULL};
    return s_is_one_of(name, ours);
}

static char *s_join(const char *folder, const char *name) {
    return pr_xasprintf("%s/%s", folder, name);
}

static int s_compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- the disk ---- */

/* lstat of folder/name: the file's type (S_IFREG, …), 0: there is none, <0: -errno. ret_status (may be NULL). */
static int s_look(const char *folder, const char *name, struct stat *ret_status) {
    struct stat status;
    char *path = s_join(folder, name);
    int type = lstat(path, &status) == 0 ? (int)(status.st_mode & S_IFMT) : errno == ENOENT ? 0 : -errno;
    free(path);
    if (type > 0 && ret_status != NULL)
        *ret_status = status;
    return type;
}

static bool s_is_regular(const char *folder, const char *name, struct stat *ret_status) {
    return s_look(folder, name, ret_status) == S_IFREG;
}

/* See a folder's entries on the disk. Failure is no error here: whoever finds the set where it was moves it again. */
static void s_sync(const char *path) {
    (void)!pr_sync_path(path);
}

/* Move an entry from one folder to another. 0, S_GONE if it is not there (any more), or -PR_E_CONFIG with err. */
enum { S_GONE = -10000 };

static int s_move(const char *from, const char *name, const char *to, const char *as, pr_error_t *err) {
    char *old = s_join(from, name);
    char *new = s_join(to, as);
    int result = 0;
    if (rename(old, new) == 0) {
        s_sync(to);
        s_sync(from);
    } else if (errno == ENOENT) {
        result = S_GONE;
    } else if (errno == EXDEV) {
        result = pr_error_set(err, PR_E_CONFIG,
                              "%s: cannot be moved to %s: the spool and its folders must be on one "
                              "filesystem",
                              old, new);
    } else {
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot be moved to %s: %s", old, new, strerror(errno));
    }
    free(old);
    free(new);
    return result;
}

/* The names in a folder that `wanted` takes, in order; NULL-terminated. *Returns new*, or NULL with errno. */
static char **s_list(const char *folder, bool (*wanted)(const char *name), size_t *ret_count) {
    struct dirent *entry;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return NULL;
    char **names = pr_xcalloc(1, sizeof *names);
    size_t count = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || !wanted(entry->d_name))
            continue;
        names = pr_xrealloc(names, (count + 2) * sizeof *names);
        names[count++] = pr_xstrdup(entry->d_name);
        names[count] = NULL;
    }
    closedir(dir);
    qsort(names, count, sizeof *names, s_compare_names);
    if (ret_count != NULL)
        *ret_count = count;
    return names;
}

static void s_free_names(char **names) {
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

/* ---- opening ---- */

static int s_make(const char *path, dev_t device, pr_error_t *err) {
    struct stat status;
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot make this folder of the spool: %s", path, strerror(errno));
    if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode))
        return pr_error_set(err, PR_E_CONFIG, "%s: is in the way of a folder of the spool", path);
    if (status.st_dev != device)
        return pr_error_set(err, PR_E_CONFIG, "%s: the spool and its folders must be on one filesystem", path);
    return 0;
}

int pr_spool_open(const char *dir, bool marked, pr_spool_t **ret_spool, pr_error_t *err) {
    struct stat status;
    if (stat(dir, &status) < 0)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot use the spool: %s", dir, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return pr_error_set(err, PR_E_CONFIG, "%s: the spool must be a folder", dir);
    pr_spool_t *spool = pr_xcalloc(1, sizeof *spool);
    spool->dir = pr_xstrdup(dir);
    spool->work = s_join(dir, "work");
    spool->done = s_join(dir, "done");
    spool->failed = s_join(dir, "failed");
    spool->marked = marked;
    int result = s_make(spool->work, status.st_dev, err);
    if (result == 0)
        result = s_make(spool->done, status.st_dev, err);
    if (result == 0)
        result = s_make(spool->failed, status.st_dev, err);
    if (result < 0)
        pr_spool_destroy(&spool);
    else
        *ret_spool = spool;
    return result;
}

void pr_spool_destroy(pr_spool_t **spool) {
    if (spool == NULL || *spool == NULL)
        return;
    free((*spool)->dir);
    free((*spool)->work);
    free((*spool)->done);
    free((*spool)->failed);
    free(*spool);
    *spool = NULL;
}

const char *pr_spool_work(const pr_spool_t *spool) {
    return spool->work;
}

void pr_spool_set_release(pr_spool_set_t *set) {
    for (size_t i = 0; i < set->count; i++)
        free(set->files[i]);
    free(set->files);
    free(set->folder);
    free(set->name);
    *set = (pr_spool_set_t){.folder = NULL};
}

/* ---- looking into a set ---- */

/* Can it be read? It is not read: FIFOs and devices would block. */
static void s_check_file(pr_spool_set_t *set, const char *path) {
    struct stat status;
    if (!pr_utf8_is_valid(path, strlen(path))) {
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: its name is not UTF-8", path);
        return;
    }
    if (lstat(path, &status) < 0)
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: cannot be read: %s", path, strerror(errno));
    else if (S_ISLNK(status.st_mode))
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: is a symbolic link, which a spool does not follow", path);
    else if (!S_ISREG(status.st_mode))
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: is not a regular file", path);
    int file = set->wrong.code == PR_E_OK ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (set->wrong.code == PR_E_OK && file < 0)
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: cannot be read: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
}

/* Takes path. */
static void s_add_file(pr_spool_set_t *set, char *path) {
    s_check_file(set, path);
    if (!pr_utf8_is_valid(path, strlen(path))) { /* no configuration can hold it */
        free(path);
        return;
    }
    set->files = pr_xrealloc(set->files, (set->count + 1) * sizeof *set->files);
    set->files[set->count++] = path;
}

static bool s_is_not_ignored(const char *name) {
    return !s_is_ignored(name);
}

static void s_look_into_folder(pr_spool_set_t *set, const char *folder) {
    char **names = s_list(folder, s_is_not_ignored, NULL);
    if (names == NULL)
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: cannot be read: %s", folder, strerror(errno));
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (s_is_export(names[i]) || s_look(folder, names[i], NULL) == S_IFLNK)
            s_add_file(set, s_join(folder, names[i]));
    }
    if (names != NULL && set->count == 0 && set->wrong.code == PR_E_OK)
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: holds no export: no file *.json, *.jsonl or *.ndjson", folder);
    s_free_names(names);
}

/* Fill in files and what is wrong with them. */
static void s_look_into(pr_spool_set_t *set) {
    char *path = s_join(set->folder, set->name);
    int type = s_look(set->folder, set->name, NULL);
    if (type == 0)
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: the set has vanished", set->folder);
    else if (type == S_IFDIR && pr_utf8_is_valid(path, strlen(path)))
        s_look_into_folder(set, path);
    else if (type == S_IFDIR)
        pr_error_set(&set->wrong, PR_E_UNREADABLE, "%s: its name is not UTF-8", path);
    else
        s_add_file(set, pr_xstrdup(path));
    free(path);
}

/* ---- the set that is on ---- */

static bool s_is_any(const char *name) {
    (void)name;
    return true;
}

static bool s_is_not_ours(const char *name) {
    return !s_is_ours(name);
}

/* Is this entry the marker of another one in the list? */
static bool s_is_marker(const char *name, char *const *names) {
    if (!s_ends(name, S_MARKER))
        return false;
    for (size_t i = 0; names[i] != NULL; i++) {
        size_t size = strlen(names[i]);
        if (strlen(name) == size + strlen(S_MARKER) && strncmp(names[i], name, size) == 0)
            return true;
    }
    return false;
}

/*  The marker follows its set; without a set in DIR it is of nobody else. A crash may have left it behind. */
static int s_claim_marker(const pr_spool_t *spool, const pr_spool_set_t *set, const char *name, pr_error_t *err) {
    if (!spool->marked || s_look(spool->dir, name, NULL) != 0)
        return 0;
    char *marker = pr_xasprintf("%s%s", name, S_MARKER);
    char *as = pr_xasprintf("%s%s", set->name, S_MARKER);
    int result = s_is_regular(spool->dir, marker, NULL) ? s_move(spool->dir, marker, set->folder, as, err) : 0;
    free(marker);
    free(as);
    return result == S_GONE ? 0 : result;
}

/*  What is in work/UUID: 1 and the set's name; 0 if the claim never came to anything. */
static int s_find_name(const pr_spool_t *spool, pr_spool_set_t *set, pr_error_t *err) {
    size_t all = 0;
    char **names = s_list(set->folder, s_is_any, &all);
    s_free_names(names);
    if (names == NULL)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot be read: %s", set->folder, strerror(errno));
    if (all == 0 && rmdir(set->folder) == 0)
        return 0;
    names = s_list(set->folder, s_is_not_ours, NULL);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        if (set->name == NULL && !s_is_marker(names[i], names))
            set->name = pr_xstrdup(names[i]);
    }
    s_free_names(names);
    if (set->name == NULL)
        set->name = pr_xstrdup(set->id);
    const char *name = set->name;
    size_t prefix = strlen(S_RENAMED);
    if (strncmp(name, S_RENAMED, prefix) == 0 && s_is_ours(name + prefix))
        name += prefix;
    int result = s_claim_marker(spool, set, name, err);
    return result < 0 ? result : 1;
}

static bool s_may_be_set(const char *name) {
    return name[0] != '.' && !s_is_ours(name);
}

int pr_spool_find(pr_spool_t *spool, pr_spool_set_t *ret_set, pr_error_t *err) {
    pr_run_id_t id;
    pr_spool_set_t set = {.wrong = PR_ERROR_INIT};
    int result = 0;
    char **names = s_list(spool->work, s_may_be_set, NULL);
    if (names == NULL)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot be read: %s", spool->work, strerror(errno));
    for (size_t i = 0; result >= 0 && names[i] != NULL; i++) {
        if (pr_run_id_parse(names[i], &id) < 0 || s_look(spool->work, names[i], NULL) != S_IFDIR) {
            result = pr_error_set(err, PR_E_CONFIG, "%s/%s: is not of this spool; take it away", spool->work, names[i]);
        } else if (result == 1) {
            result = pr_error_set(err, PR_E_CONFIG,
                                  "%s: holds more than one set; put all but one of them back into %s, and remove "
                                  "their folders",
                                  spool->work, spool->dir);
        } else {
            memcpy(set.id, names[i], sizeof set.id);
            set.folder = s_join(spool->work, set.id);
            result = s_find_name(spool, &set, err);
            if (result == 0)
                pr_spool_set_release(&set);
        }
    }
    s_free_names(names);
    if (result != 1) {
        pr_spool_set_release(&set);
        return result;
    }
    s_look_into(&set);
    *ret_set = set;
    return 1;
}

/* ---- claiming ---- */

typedef struct {
    char *name; /* NULL: none */
    struct timespec time;
} pr_arrival_t;

/* When a set arrived: 1, or 0 if it is none, or not complete yet. */
static int s_arrival(const pr_spool_t *spool, const char *name, struct timespec *ret_time) {
    static const char *const reserved[] = {"done", "failed", "work", "lost+found", NULL};
    struct stat status;
    if (s_is_ignored(name) || s_is_one_of(name, reserved))
        return 0;
    int type = s_look(spool->dir, name, &status);
    if (type == S_IFLNK) { /* fails later, if it would be a set */
        struct stat behind;
        char *path = s_join(spool->dir, name);
        bool folder = stat(path, &behind) == 0 && S_ISDIR(behind.st_mode);
        free(path);
        if (!folder && !s_is_export(name))
            return 0;
    } else if (type <= 0 || (type != S_IFDIR && !s_is_export(name))) {
        return 0;
    }
    if (spool->marked) {
        char *marker = pr_xasprintf("%s%s", name, S_MARKER);
        bool there = s_is_regular(spool->dir, marker, &status);
        free(marker);
        char *inside = s_join(name, S_MARKER);
        there = there || (type == S_IFDIR && s_is_regular(spool->dir, inside, &status));
        free(inside);
        if (!there)
            return 0;
    }
    *ret_time = status.st_ctim;
    return 1;
}

static bool s_is_before(const char *name, const struct timespec *time, const pr_arrival_t *other) {
    if (other->name == NULL)
        return true;
    if (time->tv_sec != other->time.tv_sec)
        return time->tv_sec < other->time.tv_sec;
    if (time->tv_nsec != other->time.tv_nsec)
        return time->tv_nsec < other->time.tv_nsec;
    return strcmp(name, other->name) < 0;
}

/* The name of the set that arrived first. 1 (*returns new*), 0 none, <0. */
static int s_first(const pr_spool_t *spool, char **ret_name, pr_error_t *err) {
    pr_arrival_t first = {.name = NULL};
    struct dirent *entry;
    DIR *dir = opendir(spool->dir);
    if (dir == NULL) {
        pr_error_set(err, PR_E_CONFIG, "%s: cannot read the spool: %s", spool->dir, strerror(errno));
        return -PR_E_CONFIG;
    }
    while ((entry = readdir(dir)) != NULL) {
        struct timespec time;
        if (s_arrival(spool, entry->d_name, &time) == 0 || !s_is_before(entry->d_name, &time, &first))
            continue;
        free(first.name);
        first = (pr_arrival_t){.name = pr_xstrdup(entry->d_name), .time = time};
    }
    closedir(dir);
    *ret_name = first.name;
    return first.name != NULL;
}

/* A new run's folder in work/. */
static int s_new_folder(const pr_spool_t *spool, pr_spool_set_t *set) {
    pr_run_id_print(pr_run_id_new(), set->id);
    free(set->folder);
    set->folder = s_join(spool->work, set->id);
    return 0;
}

int pr_spool_claim(pr_spool_t *spool, pr_spool_set_t *ret_set, pr_error_t *err) {
    pr_spool_set_t set = {.wrong = PR_ERROR_INIT};
    char *name = NULL;
    int result = s_first(spool, &name, err);
    if (result <= 0)
        return result;
    s_new_folder(spool, &set);
    set.name = s_is_ours(name) ? pr_xasprintf("%s%s", S_RENAMED, name) : pr_xstrdup(name);
    if (mkdir(set.folder, 0777) < 0)
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot make it: %s", set.folder, strerror(errno));
    else
        s_sync(spool->work);
    if (result > 0) {
        pr_fault("manage.in-claim");
        result = s_move(spool->dir, name, set.folder, set.name, err);
        if (result < 0)
            rmdir(set.folder);
    }
    if (result == 0)
        result = s_claim_marker(spool, &set, name, err);
    free(name);
    if (result < 0) {
        pr_spool_set_release(&set);
        return result == S_GONE ? 0 : result;
    }
    s_look_into(&set);
    *ret_set = set;
    return 1;
}

int pr_spool_renew(pr_spool_t *spool, pr_spool_set_t *set, pr_error_t *err) {
    pr_spool_set_t renewed = {.wrong = PR_ERROR_INIT, .name = pr_xstrdup(set->name)};
    s_new_folder(spool, &renewed);
    int result = s_move(spool->work, set->id, spool->work, renewed.id, err);
    if (result == S_GONE)
        result = pr_error_set(err, PR_E_CONFIG, "%s: has vanished", set->folder);
    if (result < 0) {
        pr_spool_set_release(&renewed);
        return result;
    }
    s_look_into(&renewed);
    pr_spool_set_release(set);
    *set = renewed;
    return 0;
}

/* ---- at its end ---- */

char *pr_spool_place(const pr_spool_t *spool, const pr_spool_set_t *set, bool done) {
    const char *parent = done ? spool->done : spool->failed;
    char *name = pr_xstrdup(set->name);
    for (unsigned i = 2; s_look(parent, name, NULL) > 0; i++) {
        free(name);
        name = pr_xasprintf("%s.%u", set->name, i);
    }
    char *place = s_join(parent, name);
    free(name);
    return place;
}

int pr_spool_finish(pr_spool_t *spool, const pr_spool_set_t *set, const char *place, pr_error_t *err) {
    const char *slash = strrchr(place, '/');
    char *parent = pr_xstrndup(place, (size_t)(slash - place));
    s_sync(set->folder);
    int result = s_move(spool->work, set->id, parent, slash + 1, err);
    if (result == S_GONE)
        result = pr_error_set(err, PR_E_CONFIG, "%s: has vanished", set->folder);
    free(parent);
    return result;
}
