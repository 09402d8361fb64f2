/* SPDX-License-Identifier: MIT */
/* The monitor. */
#include "monitor/monitor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/daemon.h"
#include "control/where.h"
#include "monitor/books.h"
#include "monitor/history.h"
#include "monitor/metrics.h"
#include "monitor/page.h"
#include "monitor/ready.h"
#include "monitor/status.h"

enum { s_find_ms = 2000 };

static const char S_PLAIN[] = "text/plain; charset=utf-8";

struct pr_monitor {
    const char *target, *run_dir, *config; /* as given */
    pr_where_t where;
    uint64_t window_limit;
    int64_t found_ms; /* when it was looked for */
    pr_watch_t *watch;
    pr_books_t *books;
    pr_history_t history;
    char policy[256]; /* of the page that is being sent */
};

int pr_monitor_new(const char *target, const char *run_dir, const char *config, pr_monitor_t **ret_monitor,
                   pr_error_t *err) {
    pr_where_t where;
    int result = pr_where_find(target, run_dir, config, &where, err);
    if (result < 0)
        return result;
    pr_monitor_t *monitor = pr_xcalloc(1, sizeof *monitor);
    monitor->target = target;
    monitor->run_dir = run_dir;
    monitor->config = config;
    monitor->where = where;
    monitor->watch = pr_watch_new(where.run_dir);
    monitor->books = pr_books_new();
    *ret_monitor = monitor;
    return 0;
}

void pr_monitor_destroy(pr_monitor_t **monitor) {
    if (monitor == NULL || *monitor == NULL)
        return;
    pr_watch_destroy(&(*monitor)->watch);
    pr_books_destroy(&(*monitor)->books);
    pr_where_release(&(*monitor)->where);
    free(*monitor);
    *monitor = NULL;
}

/* ---- listening ---- */

/* The window is a setting of the run, which only its configuration tells. */
static uint64_t s_window_limit(const pr_monitor_t *monitor) {
    pr_config_t *config = NULL;
    char *path = pr_xasprintf("%s/config.json", monitor->where.run_dir);
    uint64_t limit = 0;
    if (pr_config_load_settings(path, &config, NULL) == 0 ||
        (monitor->config != NULL && pr_config_load_settings(monitor->config, &config, NULL) == 0))
        limit = config->window_bytes;
    pr_config_destroy(&config);
    free(path);
    return limit;
}

/* What --run-dir and --target do not tell stands in the run folder's config.json, which comes with the run. */
static void s_find_again(pr_monitor_t *monitor, int64_t now_ms) {
    pr_where_t where;
    if (monitor->found_ms != 0 && now_ms - monitor->found_ms < s_find_ms)
        return;
    monitor->found_ms = now_ms;
    monitor->window_limit = s_window_limit(monitor);
    if (monitor->config != NULL)
        return; /* it has told everything */
    if (pr_where_find(monitor->target, monitor->run_dir, NULL, &where, NULL) < 0)
        return;                 /* what was known before will do */
    if (where.target == NULL) { /* the run folder has gone; its target has not */
        pr_where_release(&where);
        return;
    }
    pr_where_release(&monitor->where);
    monitor->where = where;
}

/* ret_ending: room for what the snapshot borrows. */
static pr_snapshot_t s_look(const pr_monitor_t *monitor, pr_ending_t *ret_ending, pr_meter_view_t *ret_view) {
    pr_snapshot_t snapshot = {
        .spool = monitor->where.spool != NULL, .window_limit = monitor->window_limit, .now_ms = pr_now_ms()};
    snapshot.calendar_ms = pr_calendar_ms();
    snapshot.stages = pr_watch_stages(monitor->watch, &snapshot.stages_count);
    snapshot.progress = pr_watch_progress(monitor->watch, &snapshot.run);
    pr_watch_look(monitor->watch, ret_view);
    snapshot.meter = ret_view;
    snapshot.total = ret_view->total;
    if (pr_ending_load(monitor->where.run_dir, NULL, ret_ending) > 0)
        snapshot.ending = ret_ending;
    return snapshot;
}

void pr_monitor_listen(pr_monitor_t *monitor, int timeout_ms, int fd) {
    pr_meter_view_t view;
    pr_watch_listen(monitor->watch, timeout_ms, fd);
    pr_watch_look(monitor->watch, &view); /* rates are taken between looks: not only while somebody asks */
    pr_snapshot_t snapshot = {.now_ms = pr_now_ms(), .calendar_ms = pr_calendar_ms()};
    snapshot.progress = pr_watch_progress(monitor->watch, &snapshot.run);
    pr_history_note(&monitor->history, &snapshot);
    s_find_again(monitor, snapshot.now_ms);
}

/* ---- answers ---- */

static void s_answer_metrics(pr_monitor_t *monitor, const pr_snapshot_t *snapshot, const pr_meter_view_t *view,
                             pr_http_answer_t *answer) {
    (void)monitor;
    (void)view;
    answer->content_type = PR_METRICS_CONTENT_TYPE;
    answer->body = pr_metrics_print(snapshot);
}

static void s_answer_health(pr_monitor_t *monitor, const pr_snapshot_t *snapshot, const pr_meter_view_t *view,
                            pr_http_answer_t *answer) {
    (void)monitor;
    (void)snapshot;
    (void)view;
    answer->body = pr_xstrdup("ok\n");
}

static void s_answer_ready(pr_monitor_t *monitor, const pr_snapshot_t *snapshot, const pr_meter_view_t *view,
                           pr_http_answer_t *answer) {
    (void)monitor;
    (void)view;
    json_t *reasons = pr_ready_reasons(snapshot);
    const json_t *reason;
    size_t i;
    answer->status = json_array_size(reasons) == 0 ? 200 : 503;
    answer->body = pr_xstrdup(answer->status == 200 ? "ready\n" : "");
    json_array_foreach(reasons, i, reason) {
        char *text = pr_xasprintf("%s%s\n", answer->body, json_string_value(reason));
        free(answer->body);
        answer->body = text;
    }
    json_decref(reasons);
}

/* Changes when a run begins, gets into another state, or ends. */
static uint64_t s_mark(const pr_snapshot_t *snapshot) {
    uint64_t mark = snapshot->progress != NULL ? snapshot->progress->state : 0;
    uint64_t ended = snapshot->ending != NULL ? (uint64_t)snapshot->ending->code + 1 : 0;
    return mark << 32 | ended;
}

static void s_answer_status(pr_monitor_t *monitor, const pr_snapshot_t *snapshot, const pr_meter_view_t *view,
                            pr_http_answer_t *answer) {
    pr_books_view_t books;
    pr_snapshot_t whole = *snapshot;
    char id[37];
    pr_books_look(monitor->books, &monitor->where, snapshot->now_ms, s_mark(snapshot), &books);
    if (whole.total == 0 && strcmp(books.newest, pr_run_id_print(whole.run, id)) == 0)
        whole.total = books.newest_total;
    answer->content_type = "application/json";
    answer->body = pr_status_print(&whole, view, &monitor->where, &books, &monitor->history);
}

static void s_answer_page(pr_monitor_t *monitor, const pr_snapshot_t *snapshot, const pr_meter_view_t *view,
                          pr_http_answer_t *answer) {
    uint64_t random[2];
    char nonce[33];
    (void)snapshot;
    (void)view;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        abort(); /* 16 bytes are always to be had once the machine is up */
    snprintf(nonce, sizeof nonce, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
    snprintf(monitor->policy, sizeof monitor->policy,
             "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
             nonce, nonce);
    answer->content_type = "text/html; charset=utf-8";
    answer->policy = monitor->policy;
    answer->body = pr_page_print(nonce, &answer->size);
}

static const struct {
    const char *path;
    void (*answer)(pr_monitor_t *monitor, const pr_snapshot_t *snapshot, const pr_meter_view_t *view,
                   pr_http_answer_t *answer);
} s_paths[] = {
    {"/", s_answer_page},        {"/metrics", s_answer_metrics},   {"/healthz", s_answer_health},
    {"/readyz", s_answer_ready}, {"/api/status", s_answer_status},
};

void pr_monitor_answer(void *context, const char *path, pr_http_answer_t *ret_answer) {
    pr_monitor_t *monitor = context;
    pr_ending_t ending;
    pr_meter_view_t view;
    pr_http_answer_t answer = {.status = 404, .content_type = S_PLAIN};
    for (size_t i = 0; i < sizeof s_paths / sizeof s_paths[0]; i++) {
        if (strcmp(s_paths[i].path, path) == 0) {
            pr_snapshot_t snapshot = s_look(monitor, &ending, &view);
            answer.status = 200;
            s_paths[i].answer(monitor, &snapshot, &view, &answer);
        }
    }
    if (answer.body == NULL)
        answer.body = pr_xstrdup("There is /, /metrics, /healthz, /readyz and /api/status.\n");
    if (answer.size == 0)
        answer.size = strlen(answer.body);
    *ret_answer = answer;
}
