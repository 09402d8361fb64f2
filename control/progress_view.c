/* SPDX-License-Identifier: MIT */
/* Progress before the operator's eyes. */
#include "control/progress_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/text.h"
#include "control/format.h"
#include "control/terminal.h"

enum {
    s_bar_ms = 250,
    s_plain_ms = 2000,
    s_columns_max = 400,
    s_columns_min = 20,
    s_columns_default = 80,
    s_table_bytes = 8192,
    s_line_bytes = 3900,
    s_lines_max = 8
};

static const char *const S_STAGE_NAMES[] = {"", "reader", "transformer", "writer", "validator"};

/* Text that grows in a buffer, and remembers its size when it no longer fits. */
typedef struct {
    char *data;
    size_t size;
    size_t used;
} pr_text_t;

static void s_put(pr_text_t *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void s_put(pr_text_t *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t room = text->used < text->size ? text->size - text->used : 0;
    int added = vsnprintf(room > 0 ? text->data + text->used : NULL, room, format, args);
    va_end(args);
    text->used += added > 0 ? (size_t)added : 0;
}

/* The columns behind the stage's name, from left to right; the ones on the right go first when the terminal is narrow.
 */
enum { s_name_width = 16, s_cells = 6, s_rejects = 5 };
static const struct {
    const char *title;
    int width;
} S_COLUMNS[s_cells] = {{"records", 13}, {"records/s", 11}, {"%", 7}, {"ETA", 9}, {"lag", 10}, {"rejects", 9}};

static int s_cells_that_fit(unsigned columns) {
    int width = s_name_width;
    int cells = 0;
    while (cells < s_cells && width + S_COLUMNS[cells].width < (int)columns)
        width += S_COLUMNS[cells++].width;
    return cells;
}

static pr_format_t s_cell(const pr_meter_view_t *view, unsigned stage, int cell) {
    const pr_meter_stage_t *it = &view->stages[stage];
    static const pr_format_t none = {"-"};
    if (!it->heard)
        return none;
    switch (cell) {
    case 0:
        return pr_format_count(it->records);
    case 1:
        return it->per_second < 0 ? none : pr_format_count((uint64_t)(it->per_second + 0.5));
    case 2:
        return pr_format_progress(it->records, view->total);
    case 3:
        return pr_format_clock(it->eta_s);
    case 4:
        return stage == PR_STAGE_READER ? none : pr_format_count(it->lag);
    default:
        return stage == PR_STAGE_READER ? none : pr_format_count(it->rejects);
    }
}

static void s_put_stage(pr_text_t *text, const pr_meter_view_t *view, unsigned stage, int cells, bool colour) {
    char name[64];
    if (stage == PR_STAGE_TRANSFORMER && view->transformers > 1)
        snprintf(name, sizeof name, "%s x%u", S_STAGE_NAMES[stage], view->transformers);
    else
        snprintf(name, sizeof name, "%s", S_STAGE_NAMES[stage]);
    s_put(text, "%-*s", s_name_width, name);
    for (int i = 0; i < cells; i++) {
        bool alarm = colour && i == s_rejects && stage != PR_STAGE_READER && view->stages[stage].rejects > 0;
        s_put(text, "%s%*s%s", alarm ? (stage == PR_STAGE_VALIDATOR ? "\033[31m" : "\033[33m") : "", S_COLUMNS[i].width,
              s_cell(view, stage, i).text, alarm ? "\033[0m" : "");
    }
    s_put(text, "\n");
}

static void s_put_bar(pr_text_t *text, const pr_meter_view_t *view, unsigned columns) {
    char head[128];
    double share = view->share;
    if (view->scanning) {
        share = (double)view->scanned_bytes / (double)view->scan_total_bytes;
        snprintf(head, sizeof head, "%s %s of %s", view->phase, pr_format_bytes(view->scanned_bytes).text,
                 pr_format_bytes(view->scan_total_bytes).text);
    } else if (share < 0) {
        snprintf(head, sizeof head, "%s", view->phase);
    } else {
        snprintf(head, sizeof head, "%s %s %%%s%s", view->phase, pr_format_share(share).text,
                 view->eta_s >= 0 ? " ETA " : "", view->eta_s >= 0 ? pr_format_clock(view->eta_s).text : "");
    }
    int width = (int)columns - 4 - (int)strlen(head);
    if (width > 60)
        width = 60;
    s_put(text, "%.*s", (int)columns - 1, head);
    if (width >= 8) {
        int full = share > 0 ? (int)(width * (share < 1 ? share : 1)) : 0;
        s_put(text, " [");
        for (int i = 0; i < width; i++)
            s_put(text, "%c", i < full ? '#' : '.');
        s_put(text, "]");
    }
    s_put(text, "\n");
}

size_t pr_view_print_table(const pr_meter_view_t *view, unsigned columns, bool colour, char *buffer, size_t size) {
    pr_text_t text = {.data = buffer, .size = size};
    int cells = s_cells_that_fit(columns);
    if (cells > 0) {
        s_put(&text, "%-*s", s_name_width, "stage");
        for (int i = 0; i < cells; i++)
            s_put(&text, "%*s", S_COLUMNS[i].width, S_COLUMNS[i].title);
        s_put(&text, "\n");
        for (unsigned stage = PR_STAGE_READER; stage <= PR_STAGE_VALIDATOR; stage++)
            s_put_stage(&text, view, stage, cells, colour);
    }
    s_put_bar(&text, view, columns);
    return text.used;
}

size_t pr_view_print_line(const pr_meter_view_t *view, char *buffer, size_t size) {
    pr_text_t text = {.data = buffer, .size = size};
    const pr_meter_stage_t *stages = view->stages;
    if (view->scanning) {
        s_put(&text, "%s %s of %s", view->phase, pr_format_bytes(view->scanned_bytes).text,
              pr_format_bytes(view->scan_total_bytes).text);
        return text.used;
    }
    if (view->share < 0) {
        s_put(&text, "%s", view->phase);
        return text.used;
    }
    s_put(&text, "%s %s %%: read %s, transformed %s, committed %s, validated %s of %s records", view->phase,
          pr_format_share(view->share).text, pr_format_count(stages[PR_STAGE_READER].records).text,
          pr_format_count(stages[PR_STAGE_TRANSFORMER].records).text,
          pr_format_count(stages[PR_STAGE_WRITER].records).text, pr_format_count(view->validated).text,
          pr_format_count(view->total).text);
    if (stages[PR_STAGE_VALIDATOR].per_second >= 0)
        s_put(&text, ", %s/s", pr_format_count((uint64_t)(stages[PR_STAGE_VALIDATOR].per_second + 0.5)).text);
    if (view->eta_s >= 0)
        s_put(&text, ", ETA %s", pr_format_clock(view->eta_s).text);
    s_put(&text, ", rejects %s", pr_format_count(stages[PR_STAGE_WRITER].rejects).text);
    if (stages[PR_STAGE_VALIDATOR].rejects > 0)
        s_put(&text, ", failed %s", pr_format_count(stages[PR_STAGE_VALIDATOR].rejects).text);
    return text.used;
}

struct pr_view {
    pr_view_mode_t mode;
    bool colour;
    int64_t shown_ms;
    size_t widths[s_lines_max]; /* of the lines on the terminal */
    size_t lines;
};

pr_view_mode_t pr_view_default_mode(void) {
    return pr_terminal_moves(STDERR_FILENO) ? PR_VIEW_BAR : PR_VIEW_PLAIN;
}

pr_view_t *pr_view_new(pr_view_mode_t mode, int64_t now_ms) {
    pr_view_t *view = pr_xcalloc(1, sizeof *view);
    view->mode = mode;
    view->colour = pr_terminal_colours(STDERR_FILENO);
    view->shown_ms = now_ms; /* nothing for a run that is over at once */
    return view;
}

void pr_view_destroy(pr_view_t **view) {
    if (view == NULL || *view == NULL)
        return;
    pr_view_clear(*view);
    free(*view);
    *view = NULL;
}

static unsigned s_columns(void) {
    struct winsize window;
    unsigned columns = s_columns_default;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        columns = window.ws_col;
    return columns < s_columns_min ? s_columns_min : columns > s_columns_max ? s_columns_max : columns;
}

/* The bytes that take the table away: a terminal that has become narrower has broken its lines into more rows. */
static void s_put_clear(pr_text_t *text, pr_view_t *view, unsigned columns) {
    size_t rows = 0;
    for (size_t i = 0; i < view->lines; i++)
        rows += view->widths[i] > columns ? (view->widths[i] + columns - 1) / columns : 1;
    if (rows > 0)
        s_put(text, "\033[%zuA\r\033[J", rows);
    view->lines = 0;
}

/* How wide each line is, escape sequences not counted. */
static void s_remember_lines(pr_view_t *view, const char *table) {
    size_t width = 0;
    for (const char *at = table; *at != '\0'; at++) {
        if (*at == '\033') {
            at += strcspn(at, "m");
        } else if (*at == '\n') {
            if (view->lines < s_lines_max)
                view->widths[view->lines++] = width;
            width = 0;
        } else {
            width++;
        }
    }
}

static void s_write(const pr_text_t *text) {
    size_t size = text->used < text->size ? text->used : text->size - 1;
    for (size_t done = 0; done < size;) {
        ssize_t written = write(STDERR_FILENO, text->data + done, size - done);
        if (written <= 0)
            return; /* nobody listens: the run goes on */
        done += (size_t)written;
    }
}

static void s_show_bar(pr_view_t *view, const pr_meter_view_t *look) {
    char table[s_table_bytes];
    char data[s_table_bytes + 64];
    pr_text_t text = {.data = data, .size = sizeof data};
    unsigned columns = s_columns();
    s_put_clear(&text, view, columns);
    pr_view_print_table(look, columns, view->colour, table, sizeof table);
    s_put(&text, "%s", table);
    s_remember_lines(view, table);
    s_write(&text);
}

void pr_view_show(pr_view_t *view, pr_meter_t *meter, int64_t now_ms) {
    pr_meter_view_t look;
    pr_meter_look(meter, now_ms, &look); /* also takes the samples for the rates */
    if (view->mode == PR_VIEW_NONE || now_ms - view->shown_ms < (view->mode == PR_VIEW_BAR ? s_bar_ms : s_plain_ms))
        return;
    view->shown_ms = now_ms;
    if (view->mode == PR_VIEW_BAR) {
        s_show_bar(view, &look);
        return;
    }
    char line[512] = "pvrelay: ";
    size_t prefix = strlen(line);
    pr_view_print_line(&look, line + prefix, sizeof line - prefix);
    pr_view_say(view, line);
}

void pr_view_say(pr_view_t *view, const char *line) {
    char data[4096];
    pr_text_t text = {.data = data, .size = sizeof data};
    s_put_clear(&text, view, s_columns());
    char shown[s_line_bytes];
    pr_text_fit(line, strlen(line), shown, sizeof shown);
    s_put(&text, "%s\n", shown);
    s_write(&text);
}

void pr_view_clear(pr_view_t *view) {
    char data[64];
    pr_text_t text = {.data = data, .size = sizeof data};
    s_put_clear(&text, view, s_columns());
    s_write(&text);
}
