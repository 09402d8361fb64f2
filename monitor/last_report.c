/* SPDX-License-Identifier: MIT */
/* The newest report that managed runs left behind. */
#include "monitor/last_report.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/alloc.h"
#include "common/json.h"

enum {
    s_folders_max = 10000,  /* looked through, at most */
    s_report_max = 64 << 20 /* bytes of a report that is opened at all */
};

typedef struct {
    char path[PATH_MAX]; /* "": none yet */
    struct timespec when;
} pr_candidate_t;

static bool s_later(struct timespec a, struct timespec b) {
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Look at DIR/ENTRY/report.json for each entry. dir: NULL: there is none. */
static void s_look(const char *dir, pr_candidate_t *newest) {
    char path[PATH_MAX];
    struct stat about;
    DIR *folder = dir != NULL ? opendir(dir) : NULL;
    for (int i = 0; folder != NULL && i < s_folders_max; i++) {
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        int size = snprintf(path, sizeof path, "%s/%s/report.json", dir, entry->d_name);
        if (entry->d_name[0] == '.' || size < 0 || (size_t)size >= sizeof path || stat(path, &about) < 0)
            continue;
        if (S_ISREG(about.st_mode) && about.st_size <= s_report_max &&
            (newest->path[0] == '\0' || s_later(about.st_mtim, newest->when))) {
            memcpy(newest->path, path, (size_t)size + 1);
            newest->when = about.st_mtim;
        }
    }
    if (folder != NULL)
        closedir(folder);
}

/* A member of an object, null if it is not there. *Returns new*. */
static json_t *s_member(const json_t *object, const char *key) {
    json_t *member = json_object_get(object, key);
    return member != NULL ? json_incref(member) : json_null();
}

json_t *pr_last_report(const pr_where_t *where) {
    pr_candidate_t newest = {.path = ""};
    s_look(where->reports, &newest);
    char *done = where->spool != NULL ? pr_xasprintf("%s/done", where->spool) : NULL;
    char *failed = where->spool != NULL ? pr_xasprintf("%s/failed", where->spool) : NULL;
    s_look(done, &newest);
    s_look(failed, &newest);
    free(done);
    free(failed);
    json_t *report = newest.path[0] != '\0' ? json_load_file(newest.path, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(report)) {
        json_decref(report);
        return json_null();
    }
    const json_t *run = json_object_get(report, "run");
    json_t *summary =
        pr_json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "path", newest.path, "made_at", s_member(report, "made_at"),
                     "run", s_member(run, "number"), "id", s_member(run, "id"), "state", s_member(run, "state"),
                     "verdict", s_member(report, "verdict"), "outcome", s_member(report, "outcome"));
    json_decref(report);
    return summary;
}
