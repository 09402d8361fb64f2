/* SPDX-License-Identifier: MIT */
/* pvrelay status: how the runs of a target stand, and what its daemons do. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/daemon.h"
#include "common/socket.h"
#include "control/command.h"
#include "control/format.h"
#include "control/ledger.h"
#include "control/options.h"

enum {
    s_answer_ms = 1000, /* a stage publishes four times a second */
    s_transformers_max = 64
};

const char pr_usage_status[] =
    "Usage: pvrelay status --target DB | --run-dir FOLDER [--json]\n"
    "Lists the runs of a target, and what the daemons of its run folder are doing just now.\n\n"
    "  --target DB        the target database; its daemons are looked for in its default run folder\n"
    "  --run-dir FOLDER   the run folder, if another one was given to run; its configuration names the target\n"
    "  --json             as JSON: {\"target\", \"run_dir\", \"runs\": [...], \"progress\": {...}, \"stages\": "
    "[...]}\n";

/* A stage that may be alive. */
typedef struct {
    pr_stage_t stage;
    uint32_t instance;
    char who[32];
    zsock_t *socket; /* NULL: nobody is there */
    bool heard;
    pr_msg_counters_t counters;
} pr_live_t;

typedef struct {
    char *target;
    char *run_dir; /* NULL: none is known */
    pr_ledger_run_t *runs;
    size_t runs_count;
    pr_live_t live[s_transformers_max + 3];
    size_t live_count;
    bool progress_heard;
    pr_msg_progress_t progress;
} pr_status_t;

/* ---- listening ---- */

/* Does anybody listen on this socket file? Asking saves waiting for the dead. */
static bool s_is_bound(const char *run_dir, const char *file) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", run_dir, file);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return false;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = probe >= 0 && connect(probe, (struct sockaddr *)&address, sizeof address) == 0;
    if (probe >= 0)
        close(probe);
    return bound;
}

static void s_add_live(pr_status_t *status, pr_stage_t stage, uint32_t instance) {
    pr_live_t *live = &status->live[status->live_count++];
    char file[64];
    *live = (pr_live_t){.stage = stage, .instance = instance};
    if (stage == PR_STAGE_TRANSFORMER)
        snprintf(live->who, sizeof live->who, "%s-%" PRIu32, pr_stage_word(stage), instance);
    else
        snprintf(live->who, sizeof live->who, "%s", pr_stage_word(stage));
    snprintf(file, sizeof file, "%s.counters", live->who);
    if (s_is_bound(status->run_dir, file) &&
        pr_socket_connect(PR_ENDPOINT_COUNTERS, status->run_dir, live->who, &live->socket, NULL) < 0)
        live->socket = NULL;
}

static void s_hear(pr_status_t *status, zsock_t *socket) {
    pr_inbound_t inbound;
    int received;
    while ((received = pr_socket_receive(socket, &inbound, NULL)) != 0) {
        if (received < 0)
            continue; /* not one of ours */
        const pr_message_t *message = &inbound.message;
        if (message->id == PR_MSG_PROGRESS) {
            status->progress = message->progress;
            status->progress_heard = true;
        }
        for (size_t i = 0; message->id == PR_MSG_COUNTERS && i < status->live_count; i++) {
            pr_live_t *live = &status->live[i];
            if (live->stage == message->stage && live->instance == message->instance) {
                live->counters = message->counters;
                live->heard = true;
            }
        }
        pr_inbound_release(&inbound);
    }
}

static bool s_all_heard(const pr_status_t *status, const zsock_t *progress) {
    bool all = progress == NULL || status->progress_heard;
    for (size_t i = 0; i < status->live_count; i++)
        all = all && (status->live[i].socket == NULL || status->live[i].heard);
    return all;
}

/* Listen until every stage that is there has answered, at most s_answer_ms. */
static void s_listen(pr_status_t *status, uint32_t transformers) {
    zsock_t *progress = NULL;
    zmq_pollitem_t items[s_transformers_max + 4];
    int count = 0;
    zsys_handler_set(NULL);
    s_add_live(status, PR_STAGE_READER, 1);
    for (uint32_t i = 1; i <= transformers && i <= s_transformers_max; i++)
        s_add_live(status, PR_STAGE_TRANSFORMER, i);
    s_add_live(status, PR_STAGE_WRITER, 1);
    s_add_live(status, PR_STAGE_VALIDATOR, 1);
    if (s_is_bound(status->run_dir, "progress.sock") &&
        pr_socket_connect(PR_ENDPOINT_PROGRESS, status->run_dir, NULL, &progress, NULL) == 0)
        items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(progress), .events = ZMQ_POLLIN};
    for (size_t i = 0; i < status->live_count; i++) {
        if (status->live[i].socket != NULL)
            items[count++] = (zmq_pollitem_t){.socket = zsock_resolve(status->live[i].socket), .events = ZMQ_POLLIN};
    }
    int64_t until_ms = pr_now_ms() + s_answer_ms;
    while (!s_all_heard(status, progress) && pr_now_ms() < until_ms) {
        zmq_poll(items, count, (long)(until_ms - pr_now_ms() > 0 ? until_ms - pr_now_ms() : 0));
        if (progress != NULL)
            s_hear(status, progress);
        for (size_t i = 0; i < status->live_count; i++) {
            if (status->live[i].socket != NULL)
                s_hear(status, status->live[i].socket);
        }
    }
    if (progress != NULL)
        zsock_set_linger(progress, 0); /* a subscription that nobody takes must not keep us */
    zsock_destroy(&progress);
    for (size_t i = 0; i < status->live_count; i++) {
        if (status->live[i].socket != NULL)
            zsock_set_linger(status->live[i].socket, 0);
        zsock_destroy(&status->live[i].socket);
    }
    zsys_shutdown();
}

/* ---- printing ---- */

static void s_print_run(const pr_ledger_run_t *run) {
    printf("run %" PRId64 "  %s  %s", run->number, pr_ledger_state(run), run->started_at);
    if (*run->ended_at != '\0')
        printf(" to %s", run->ended_at);
    printf("  %s s  %s, mapping %s", pr_format_seconds(run->seconds).text, run->kind, run->mapping);
    if (run->outcome >= 0)
        printf("  exit code %d", run->outcome);
    printf("\n  %s of %s records (%s %%): %s written, %s unchanged, %s rejected; %s validated\n",
           pr_format_count(run->records).text, pr_format_count(run->total).text,
           pr_format_progress(run->records, run->total).text, pr_format_count(run->written).text,
           pr_format_count(run->unchanged).text, pr_format_count(run->rejected).text,
           pr_format_count(run->validated).text);
    printf("  position: source %" PRIu64 ", record %" PRIu64 ", byte %" PRIu64 "; %s checkpoints, newest %" PRId64
           ", %s without verdict; %s failures; %s rejects open\n",
           run->source, run->ordinal, run->offset, pr_format_count(run->checkpoints).text, run->checkpoint,
           pr_format_count(run->unvalidated).text, pr_format_count(run->failures).text,
           pr_format_count(run->rejects_open).text);
    if (*run->error != '\0')
        printf("  stopped: %s\n", run->error);
    if (*run->rolled_back_at != '\0')
        printf("  rolled back on %s: what it wrote was taken back\n", run->rolled_back_at);
    if (*run->sealed_at != '\0')
        printf("  sealed on %s: it cannot be taken back\n", run->sealed_at);
}

static void s_print_stages(const pr_status_t *status) {
    printf("\n%-16s %-6s %14s %12s %12s %12s %10s\n", "stage", "state", "records", "unchanged", "rejected", "batches",
           "up");
    for (size_t i = 0; i < status->live_count; i++) {
        const pr_live_t *live = &status->live[i];
        const pr_msg_counters_t *counters = &live->counters;
        if (!live->heard) {
            printf("%-16s down\n", live->who);
            continue;
        }
        double up_s = (double)(pr_calendar_ms() - (int64_t)counters->start_ms) / 1000;
        printf("%-16s %-6s %14s %12s %12s %12s %10s\n", live->who, "up", pr_format_count(counters->records_ok).text,
               pr_format_count(counters->records_unchanged).text, pr_format_count(counters->records_rejected).text,
               pr_format_count(counters->batches).text, pr_format_clock(up_s > 0 ? up_s : 0).text);
    }
}

static void s_print(const pr_status_t *status) {
    printf("target %s\n", status->target);
    for (size_t i = 0; i < status->runs_count; i++)
        s_print_run(&status->runs[i]);
    if (status->runs_count == 0)
        printf("no runs\n");
    if (status->live_count > 0)
        s_print_stages(status);
}

/* A time that may not have come. *Returns new*. */
static json_t *s_time(const char *text) {
    return *text != '\0' ? json_string(text) : json_null();
}

static json_t *s_run_to_json(const pr_ledger_run_t *run) {
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:s?, s:f, s:o, s:s?}", "number", (json_int_t)run->number, "id", run->id,
        "kind", run->kind, "state", pr_ledger_state(run), "mapping", run->mapping, "started_at", run->started_at,
        "ended_at", *run->ended_at != '\0' ? run->ended_at : NULL, "seconds", run->seconds, "outcome",
        run->outcome >= 0 ? json_integer(run->outcome) : json_null(), "error", *run->error != '\0' ? run->error : NULL);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"total", run->total},
                   {"records", run->records},
                   {"written", run->written},
                   {"unchanged", run->unchanged},
                   {"rejected", run->rejected},
                   {"validated", run->validated},
                   {"checkpoints", run->checkpoints},
                   {"unvalidated", run->unvalidated},
                   {"failures", run->failures},
                   {"rejects_open", run->rejects_open}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_object_set_new(json, numbers[i].key, json_integer((json_int_t)numbers[i].value));
    json_object_set_new(json, "rolled_back_at", s_time(run->rolled_back_at));
    json_object_set_new(json, "sealed_at", s_time(run->sealed_at));
    json_object_set_new(json, "checkpoint", json_integer(run->checkpoint));
    json_object_set_new(json, "position",
                        json_pack("{s:I, s:I, s:I}", "source", (json_int_t)run->source, "ordinal",
                                  (json_int_t)run->ordinal, "offset", (json_int_t)run->offset));
    return json;
}

static json_t *s_json_u64(uint64_t value) {
    return json_integer((json_int_t)value);
}

static json_t *s_json_list(pr_wire_list_t value) {
    json_t *list = json_array();
    for (size_t i = 0; i < PR_WIRE_LIST; i++)
        json_array_append_new(list, json_integer((json_int_t)value.at[i]));
    return list;
}

static json_t *s_stage_to_json(const pr_live_t *live) {
    json_t *json = json_pack("{s:s, s:I, s:b}", "stage", pr_stage_word(live->stage), "instance",
                             (json_int_t)live->instance, "up", (int)live->heard);
    if (!live->heard)
        return json;
    json_t *counters = json_object();
#define F(type, name, sentence) json_object_set_new(counters, #name, s_json_##type(live->counters.name));
    PR_FIELDS_COUNTERS(F)
#undef F
    json_object_set_new(json, "counters", counters);
    return json;
}

static const char *s_state_word(unsigned state) {
    static const char *const words[] = {"?", "awaiting-plan", "streaming", "proving", "complete", "failed"};
    return state < sizeof words / sizeof words[0] ? words[state] : words[0];
}

static void s_print_json(const pr_status_t *status) {
    json_t *runs = json_array();
    json_t *stages = json_array();
    json_t *progress = json_null();
    for (size_t i = 0; i < status->runs_count; i++)
        json_array_append_new(runs, s_run_to_json(&status->runs[i]));
    for (size_t i = 0; i < status->live_count; i++)
        json_array_append_new(stages, s_stage_to_json(&status->live[i]));
    if (status->progress_heard)
        progress =
            json_pack("{s:s, s:I, s:I, s:I}", "state", s_state_word(status->progress.state), "committed",
                      (json_int_t)status->progress.committed, "validated", (json_int_t)status->progress.validated,
                      "checkpoint", (json_int_t)status->progress.checkpoint);
    json_t *root = json_pack("{s:s, s:s?, s:o, s:o, s:o}", "target", status->target, "run_dir", status->run_dir, "runs",
                             runs, "progress", progress, "stages", stages);
    json_dumpf(root, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(root);
}

/* ---- the command ---- */

/* Find target and run folder from what was given; ret_transformers: how many the run folder's configuration tells. */
static int s_find(pr_status_t *status, const char *target, const char *run_dir, uint32_t *ret_transformers,
                  pr_error_t *err) {
    char absolute[PATH_MAX];
    pr_config_t *config = NULL;
    if (target != NULL && realpath(target, absolute) == NULL)
        return pr_error_set(err, PR_E_TARGET, "%s: %s", target, strerror(errno));
    char *folder = run_dir != NULL ? pr_xstrdup(run_dir) : pr_config_default_run_dir(absolute);
    char *path = pr_xasprintf("%s/config.json", folder);
    /* Without --run-dir there may be none: then no daemons are looked for. */
    int result = 0;
    if (run_dir != NULL || access(path, F_OK) == 0)
        result = pr_config_load(path, &config, err);
    if (result == 0 && config != NULL) {
        status->run_dir = pr_xstrdup(folder);
        *ret_transformers = config->transformers;
    }
    if (result == 0 && target != NULL)
        status->target = pr_xstrdup(absolute);
    else if (config != NULL)
        status->target = pr_xstrdup(config->target);
    pr_config_destroy(&config);
    free(path);
    free(folder);
    return result;
}

static int s_status(pr_status_t *status, bool json, uint32_t transformers, pr_error_t *err) {
    sqlite3 *db = NULL;
    int result = pr_ledger_open(status->target, &db, err);
    if (result > 0)
        result = pr_ledger_runs(db, NULL, &status->runs, &status->runs_count, err);
    sqlite3_close(db);
    if (result < 0)
        return result;
    if (status->run_dir != NULL)
        s_listen(status, transformers);
    pr_format_clean(status->target);
    if (json)
        s_print_json(status);
    else
        s_print(status);
    return 0;
}

int pr_command_status(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    const char *run_dir = NULL;
    bool json = false;
    const pr_option_t options[] = {{.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
                                   {.name = "--run-dir", .kind = PR_OPTION_TEXT, .into = &run_dir},
                                   {.name = "--json", .kind = PR_OPTION_FLAG, .into = &json}};
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL && run_dir == NULL)
        return pr_options_wrong(argv[0], err, "--target DB or --run-dir FOLDER is missing");
    pr_status_t *status = pr_xcalloc(1, sizeof *status);
    uint32_t transformers = 1;
    result = s_find(status, target, run_dir, &transformers, err);
    if (result == 0)
        result = s_status(status, json, transformers, err);
    free(status->target);
    free(status->run_dir);
    free(status->runs);
    free(status);
    return result;
}
