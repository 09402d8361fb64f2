/* SPDX-License-Identifier: MIT */
/* pvrelay top: a live screen of what a run's daemons do. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/daemon.h"
#include "common/ending.h"
#include "common/hint.h"
#include "control/command.h"
#include "control/options.h"
#include "control/top_model.h"
#include "control/top_screen.h"
#include "control/watch.h"
#include "control/where.h"

enum { s_turn_ms = 250 };

const char pr_usage_top[] =
    "Usage: pvrelay top --run-dir FOLDER | --target DB | --config FILE\n"
    "A live screen of a run: how far it is, and what each of its daemons does. It never touches the run, waits while\n"
    "nobody is there, and goes on when the daemons come back.\n\n"
    "  --run-dir FOLDER   the run folder\n"
    "  --target DB        the target database: its default run folder\n"
    "  --config FILE      the configuration of a managed run, which names the run folder\n\n"
    "Keys: q quits; p holds the picture, and lets it go on; s puts the rows in the pipeline's order, by rate, by "
    "lag.\n";

static volatile sig_atomic_t s_stopped;

static void s_on_stop(int number) {
    (void)number;
    s_stopped = 1;
}

typedef struct {
    const char *run_dir;
    pr_watch_t *watch;
    pr_top_model_t *model;
    pr_top_screen_t *screen;
    pr_top_view_t *shown; /* the picture: what the model said last, or when it was held */
    pr_top_order_t order;
    bool paused;
    bool quit;
} pr_top_t;

/* ---- signals ---- */

static const int S_SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { s_signals_count = sizeof S_SIGNALS / sizeof S_SIGNALS[0] };

/* Before the screen is taken over: then ncurses leaves them alone. */
static void s_catch_signals(struct sigaction *ret_old) {
    struct sigaction action = {.sa_handler = s_on_stop}; /* no SA_RESTART: waiting shall end */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < s_signals_count; i++)
        sigaction(S_SIGNALS[i], &action, &ret_old[i]);
}

static void s_release_signals(const struct sigaction *old) {
    for (size_t i = 0; i < s_signals_count; i++)
        sigaction(S_SIGNALS[i], &old[i], NULL);
}

/* Has the terminal gone? */
static bool s_hung_up(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0 && (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* ---- the loop ---- */

static void s_take(pr_top_t *top) {
    pr_top_input_t input = {.now_ms = pr_now_ms(), .calendar_ms = pr_calendar_ms()};
    pr_meter_view_t meter;
    pr_ending_t ending;
    pr_watch_look(top->watch, &meter);
    input.meter = &meter;
    input.stages = pr_watch_stages(top->watch, &input.stages_count);
    input.progress = pr_watch_progress(top->watch, &input.run);
    if (input.progress == NULL && pr_ending_load(top->run_dir, NULL, &ending) > 0)
        input.ending = &ending;
    pr_top_model_take(top->model, &input);
}

static void s_draw(pr_top_t *top) {
    if (!top->paused)
        *top->shown = *pr_top_model_view(top->model);
    pr_top_view_t *ordered = pr_xcalloc(1, sizeof *ordered);
    *ordered = *top->shown;
    pr_top_sort(ordered, top->order);
    pr_top_screen_draw(top->screen, ordered, top->run_dir, top->order, top->paused);
    free(ordered);
}

/* Has anything been asked for? */
static bool s_take_keys(pr_top_t *top) {
    bool any = false;
    pr_top_key_t key;
    while (!top->quit && (key = pr_top_screen_key(top->screen)) != PR_TOP_KEY_NONE) {
        any = true;
        if (key == PR_TOP_KEY_QUIT)
            top->quit = true;
        else if (key == PR_TOP_KEY_PAUSE)
            top->paused = !top->paused;
        else if (key == PR_TOP_KEY_SORT)
            top->order = (top->order + 1) % PR_TOP_ORDERS;
    }
    return any;
}

static void s_loop(pr_top_t *top) {
    int64_t due_ms = 0;
    while (!top->quit && !s_stopped && !s_hung_up()) {
        bool asked = s_take_keys(top);
        int64_t now_ms = pr_now_ms();
        if (now_ms >= due_ms) {
            s_take(top);
            due_ms = now_ms + s_turn_ms;
            asked = true;
        }
        if (asked)
            s_draw(top);
        pr_watch_listen(top->watch, (int)(due_ms - pr_now_ms()), STDIN_FILENO);
    }
}

/* instead: the command that needs no terminal. */
static int s_top(const char *run_dir, const char *instead, pr_error_t *err) {
    struct sigaction old[s_signals_count];
    pr_top_t top = {.run_dir = run_dir};
    s_stopped = 0;
    s_catch_signals(old);
    int result = pr_top_screen_open(instead, &top.screen, err);
    if (result == 0) {
        top.watch = pr_watch_new(run_dir);
        top.model = pr_top_model_new();
        top.shown = pr_xcalloc(1, sizeof *top.shown);
        s_loop(&top);
    }
    pr_top_screen_close(&top.screen);
    pr_watch_destroy(&top.watch);
    pr_top_model_destroy(&top.model);
    free(top.shown);
    s_release_signals(old);
    return result;
}

int pr_command_top(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    const char *run_dir = NULL;
    const char *config = NULL;
    const pr_option_t options[] = {{.name = "--run-dir", .kind = PR_OPTION_TEXT, .into = &run_dir},
                                   {.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
                                   {.name = "--config", .kind = PR_OPTION_TEXT, .into = &config}};
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL && run_dir == NULL && config == NULL)
        return pr_options_wrong(argv[0], err, "--run-dir FOLDER, --target DB or --config FILE is missing");
    pr_where_t where = {.target = NULL};
    /* A run folder that is given is enough: what its configuration says may be on its way just now. */
    if (run_dir == NULL)
        result = pr_where_find(target, NULL, config, &where, err);
    const char *option = run_dir != NULL ? "--run-dir" : config != NULL ? "--config" : "--target";
    const char *value = run_dir != NULL ? run_dir : config != NULL ? config : target;
    char *instead = pr_hint_command("status", option, value, NULL);
    if (result == 0)
        result = s_top(run_dir != NULL ? run_dir : where.run_dir, instead, err);
    free(instead);
    pr_where_release(&where);
    return result;
}
