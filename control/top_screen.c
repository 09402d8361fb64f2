/* SPDX-License-Identifier: MIT */
/* The screen of pvrelay top. */

/*  DESIGN
 *
 *  Everything is drawn anew each time; ncurses sends what has changed. From top to bottom:
 *
 *      title                            always
 *      bar, figures                     how far the run is
 *      notice                           the outcome, or that nobody is there
 *      graph                            records/s, 1 to s_graph_rows_max rows: it takes what nobody else needs
 *      table                            a row per process; last errors in a column if it is wide enough, else below rows
 *      newest error                     in full
 *      footer                           always
 *
 *  s_plan gives each of them its rows. When there are too few, they go in the order blank lines, graph, error (to one line),
 *  rows of the table beyond the sixth, error, head of the table, figures, bar, notice, all rows.
 */
#include "control/top_screen.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

/* ncurses has this name for a bool; ours comes from stdbool.h */
#define NCURSES_ENABLE_STDBOOL_H 1
#define NCURSES_WIDECHAR         1
#include <curses.h>
#include <term.h>
#undef columns /* term.h gives terminals' capabilities these names */
#undef lines

#include "common/alloc.h"
#include "common/text.h"
#include "control/format.h"
#include "control/terminal.h"

enum {
    s_columns_max = 512,
    s_graph_rows_max = 8,
    s_notice_lines_max = 4,
    s_error_lines_max = 5,
    s_error_column_min = 24,
    s_key_redraw = 12, /* ^L */
    s_good = 1,        /* colour pairs */
    s_warning,
    s_bad,
    s_accent
};

/* What is drawn with, in a UTF-8 locale and in another one. */
typedef struct {
    const char *levels[9]; /* of a row of the graph, from nothing to full */
    const char *full, *empty;
    const char *more;
    const char *branch;
} pr_glyphs_t;

static const pr_glyphs_t S_UTF8 = {
    .levels = {" ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"},
    .full = "\u2588",
    .empty = "\u2591",
    .more = "\u2026",
    .branch = "\u2514 "};
static const pr_glyphs_t S_ASCII = {
    .levels = {" ", "_", ".", ",", "-", "=", "+", "*", "#"}, .full = "#", .empty = ".", .more = "...", .branch = "- "};

struct pr_top_screen {
    SCREEN *terminal;
    const pr_glyphs_t *glyphs;
    bool colour;
    int rows, columns;
};

/* ---- the terminal ---- */

static void s_set_up_colours(void) {
    start_color();
    short background = use_default_colors() == OK ? -1 : COLOR_BLACK;
    init_pair(s_good, COLOR_GREEN, background);
    init_pair(s_warning, COLOR_YELLOW, background);
    init_pair(s_bad, COLOR_RED, background);
    init_pair(s_accent, COLOR_CYAN, background);
}

int pr_top_screen_open(const char *instead, pr_top_screen_t **ret_screen, pr_error_t *err) {
    const char *term = getenv("TERM");
    if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
        return pr_error_set(err, PR_E_USAGE, "top needs a terminal; `%s` does not", instead);
    setlocale(LC_CTYPE, "");
    SCREEN *terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL || tigetstr("cup") == NULL || tigetstr("clear") == NULL) {
        if (terminal != NULL) {
            endwin();
            delscreen(terminal);
        }
        return pr_error_set(err, PR_E_USAGE,
                            "TERM is \"%s\": a terminal that is not known, or that cannot show a screen; set TERM, or "
                            "use `%s`",
                            term != NULL ? term : "", instead);
    }
    pr_top_screen_t *screen = pr_xcalloc(1, sizeof *screen);
    screen->terminal = terminal;
    screen->glyphs = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? &S_UTF8 : &S_ASCII;
    screen->colour = (pr_terminal_colours(STDOUT_FILENO) && has_colors());
    if (screen->colour)
        s_set_up_colours();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    *ret_screen = screen;
    return 0;
}

void pr_top_screen_close(pr_top_screen_t **screen) {
    if (screen == NULL || *screen == NULL)
        return;
    endwin();
    delscreen((*screen)->terminal);
    free(*screen);
    *screen = NULL;
}

pr_top_key_t pr_top_screen_key(pr_top_screen_t *screen) {
    (void)screen;
    switch (getch()) {
    case ERR:
        return PR_TOP_KEY_NONE;
    case 'q':
    case 'Q':
        return PR_TOP_KEY_QUIT;
    case 'p':
    case 'P':
    case ' ':
        return PR_TOP_KEY_PAUSE;
    case 's':
    case 'S':
        return PR_TOP_KEY_SORT;
    case s_key_redraw:
        clearok(stdscr, TRUE);
        return PR_TOP_KEY_REDRAW;
    case KEY_RESIZE:
        return PR_TOP_KEY_REDRAW;
    default:
        return PR_TOP_KEY_OTHER;
    }
}

/* ---- pieces ---- */

static attr_t s_attributes(const pr_top_screen_t *screen, int pair, attr_t others) {
    return screen->colour && pair != 0 ? others | (attr_t)COLOR_PAIR(pair) : others;
}

/*  Put a text at (y, x), at most `columns` wide; what is no character for a terminal becomes '?'.
 *  Returns how wide it became. *ret_rest (may be NULL): what did not fit. */
static int s_put(int y, int x, int columns, attr_t attributes, const char *text, const char **ret_rest) {
    mbstate_t state = {0};
    int used = 0;
    attrset((int)attributes);
    move(y, x);
    while (*text != '\0') {
        wchar_t character = L'?';
        size_t size = mbrtowc(&character, text, strlen(text), &state);
        if (size == (size_t)-1 || size == (size_t)-2) {
            memset(&state, 0, sizeof state);
            character = L'?';
            for (size = 1; ((unsigned char)text[size] & 0xC0U) == 0x80U; size++) {
                /* one mark for all bytes of a character that this locale does not have */
            }
        }
        int width = wcwidth(character);
        if (width <= 0) {
            character = L'?';
            width = 1;
        }
        if (used + width > columns)
            break;
        addnwstr(&character, 1);
        used += width;
        text += size;
    }
    attrset(A_NORMAL);
    if (ret_rest != NULL)
        *ret_rest = text;
    return used;
}

static int s_print(int y, int x, int columns, attr_t attributes, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static int s_print(int y, int x, int columns, attr_t attributes, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return s_put(y, x, columns, attributes, text, NULL);
}

/* The same, cut with a mark that there is more. */
static void s_put_cut(const pr_top_screen_t *screen, int y, int x, int columns, attr_t attributes, const char *text) {
    const char *rest;
    int more = (int)pr_format_width(screen->glyphs->more);
    s_put(y, x, columns, attributes, text, &rest);
    if (*rest != '\0' && columns > more)
        s_put(y, x + columns - more, more, attributes, screen->glyphs->more, NULL);
}

static void s_fill_line(int y, int columns, attr_t attributes) {
    attrset((int)attributes);
    mvhline(y, 0, ' ', columns);
    attrset(A_NORMAL);
}

/* How many lines a text takes at a width, and, if y >= 0, its lines drawn; breaks at blanks where it can. */
static int s_wrap(const pr_top_screen_t *screen, int y, int x, int columns, int lines_max, attr_t attributes,
                  const char *text) {
    char line[2048];
    int lines = 0;
    size_t length = strlen(text);
    if (columns < 4)
        return 0;
    while (length > 0 && lines < lines_max) {
        /* Bytes are columns or more: what fits by bytes fits. Cut between characters. */
        size_t size = length < (size_t)columns ? length : (size_t)columns;
        while (size < length && size > 1 && ((unsigned char)text[size] & 0xC0U) == 0x80U)
            size--;
        size_t end = size;
        if (size < length && lines + 1 < lines_max) {
            while (end > 0 && text[end] != ' ')
                end--;
            if (end <= size / 2)
                end = size;
        } else if (size < length) {
            end = length; /* the last line takes all the rest, and is cut */
        }
        snprintf(line, sizeof line, "%.*s", (int)(end < sizeof line ? end : sizeof line - 1), text);
        if (y >= 0)
            s_put_cut(screen, y + lines, x, columns, attributes, line);
        lines++;
        text += end;
        length -= end;
        while (*text == ' ') {
            text++;
            length--;
        }
    }
    return lines;
}

/* ---- title and footer ---- */

static void s_draw_title(const pr_top_screen_t *screen, const pr_top_view_t *view, bool paused) {
    attr_t bar = s_attributes(screen, 0, A_REVERSE);
    char right[64];
    int columns = screen->columns;
    s_fill_line(0, columns, bar);
    if (paused)
        snprintf(right, sizeof right, " PAUSED ");
    else if (view->elapsed_s >= 0 && columns >= 24)
        snprintf(right, sizeof right, "%s%s ", columns >= 60 ? "elapsed " : "", pr_format_clock(view->elapsed_s).text);
    else
        *right = '\0';
    int room = columns - (int)strlen(right);
    int at = s_put(0, 0, room, bar | A_BOLD, columns >= 60 ? " pvrelay top " : " pvrelay", NULL);
    if (*view->run != '\0')
        at += s_print(0, at, room - at, bar, "%s %.*s", columns >= 60 ? " run" : "", columns >= 96 ? 36 : 8, view->run);
    s_print(0, at, room - at, bar | A_BOLD, columns >= 60 ? "  %s" : " %s", view->word);
    if (room >= 0)
        s_put(0, room, columns - room, paused ? bar | A_BOLD | A_BLINK : bar, right, NULL);
}

static void s_draw_footer(const pr_top_screen_t *screen, pr_top_order_t order, bool paused) {
    int y = screen->rows - 1;
    int at = screen->columns >= 60 ? 1 : 0;
    const char *gap = screen->columns >= 60 ? "   " : " ";
    char sort[64];
    snprintf(sort, sizeof sort, "order: %s", pr_top_order_word(order));
    const struct { const char *key, *what; } keys[] = {{"q", "quit"}, {"p", paused ? "go on" : "pause"}, {"s", sort}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        at += s_put(y, at, screen->columns - 1 - at, s_attributes(screen, s_accent, A_BOLD), keys[i].key, NULL);
        at += s_print(y, at, screen->columns - 1 - at, A_NORMAL, " %s%s", keys[i].what, gap);
    }
}

/* ---- how far the run is ---- */

static void s_draw_bar(const pr_top_screen_t *screen, int y, const pr_top_view_t *view) {
    char percent[48];
    snprintf(percent, sizeof percent, "%s %%", pr_format_share(view->share).text);
    int width = screen->columns - 10;
    if (width < 4) {
        s_put(y, 0, screen->columns, A_BOLD, percent, NULL);
        return;
    }
    int full = view->share > 0 ? (int)((view->share < 1 ? view->share : 1) * width) : 0;
    int pair = *view->outcome == '\0' || view->good ? s_good : s_warning;
    for (int i = 0; i < width; i++)
        s_put(y, 1 + i, 1, i < full ? s_attributes(screen, pair, A_NORMAL) : A_DIM,
              i < full ? screen->glyphs->full : screen->glyphs->empty, NULL);
    s_print(y, 1 + width, 9, A_BOLD, "%9s", percent);
}

static void s_add(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void s_add(char *text, size_t size, const char *format, ...) {
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static void s_draw_figures(const pr_top_screen_t *screen, int y, const pr_top_view_t *view) {
    char text[256] = "";
    bool wide = screen->columns >= 72;
    const char *gap = wide ? "   " : "  ";
    if (view->scanning)
        s_add(text, sizeof text, "scanning: %s of %s", pr_format_bytes(view->done).text,
              pr_format_bytes(view->total).text);
    else if (wide && view->total > 0)
        s_add(text, sizeof text, "%s of %s records", pr_format_count(view->done).text,
              pr_format_count(view->total).text);
    else if (view->total > 0)
        s_add(text, sizeof text, "%s", pr_format_count(view->done).text);
    if (view->per_second >= 0)
        s_add(text, sizeof text, "%s%s/s", gap, pr_format_count((uint64_t)(view->per_second + 0.5)).text);
    if (view->eta_s >= 0)
        s_add(text, sizeof text, "%sETA %s", gap, pr_format_clock(view->eta_s).text);
    int at = 1 + s_put(y, 1, screen->columns - 1, A_NORMAL, text, NULL);
    const struct {
        uint64_t count;
        const char *what;
        attr_t attributes;
    } bad[] = {{view->failures, "failed", s_attributes(screen, s_bad, A_BOLD)},
               {view->rejects, "rejected", s_attributes(screen, s_warning, A_NORMAL)}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "%s%s %s", gap, pr_format_count(bad[i].count).text, bad[i].what);
        if (bad[i].count > 0 && at + (int)strlen(text) <= screen->columns) /* half a number is worse than none */
            at += s_put(y, at, screen->columns - at, bad[i].attributes, text, NULL);
    }
}

/* ---- the graph ---- */

static void s_draw_graph(const pr_top_screen_t *screen, int y, int rows, bool labelled, const pr_top_view_t *view) {
    double columns[s_columns_max];
    int width = screen->columns - 2 < s_columns_max ? screen->columns - 2 : s_columns_max;
    double peak = 0;
    if (width < 1)
        return;
    unsigned span = pr_top_graph(view, (unsigned)width, columns);
    for (int i = 0; i < width; i++)
        peak = columns[i] > peak ? columns[i] : peak;
    if (labelled) {
        int at = s_print(y, 1, width, A_BOLD, "records/s");
        at += s_print(y, 1 + at, width - at, A_DIM, ", the last %s; peak ", pr_format_clock((double)span * width).text);
        s_print(y, 1 + at, width - at, A_NORMAL, "%s", pr_format_count((uint64_t)(peak + 0.5)).text);
        y++;
    }
    for (int i = 0; i < width; i++) {
        int eighths = peak > 0 && columns[i] > 0 ? (int)(columns[i] / peak * 8 * rows + 0.5) : 0;
        eighths = columns[i] >= 0 && eighths < 1 ? 1 : eighths; /* a second without any is a second all the same */
        for (int row = 0; row < rows; row++) {
            int level = eighths - 8 * (rows - 1 - row);
            level = level < 0 ? 0 : level > 8 ? 8 : level;
            bool nothing = !(columns[i] > 0);
            s_put(y + row, 1 + i, 1, nothing ? A_DIM : s_attributes(screen, s_accent, A_NORMAL),
                  screen->glyphs->levels[level], NULL);
        }
    }
}

/* ---- the table ---- */

enum {
    s_stage_cell,
    s_state_cell,
    s_records_cell,
    s_rate_cell,
    s_lag_cell,
    s_window_cell,
    s_rejects_cell,
    s_restarts_cell,
    s_cells
};

/* From left to right; `rank`: which of them stay when it is narrow, the lowest first. */
static const struct {
    const char *title;
    int width;
    int rank;
} S_CELLS[s_cells] = {
    [s_stage_cell] = {"stage", 15, 0},    [s_state_cell] = {"state", 10, 1},     [s_records_cell] = {"records", 11, 4},
    [s_rate_cell] = {"rec/s", 8, 2},      [s_lag_cell] = {"lag", 9, 3},          [s_window_cell] = {"window", 9, 7},
    [s_rejects_cell] = {"rejects", 8, 5}, [s_restarts_cell] = {"restarts", 9, 6}};
enum { s_rank_max = 7 };

typedef struct {
    bool shown[s_cells];
    int width;        /* of the cells that are shown */
    int error_column; /* where the last errors stand; 0: nowhere in the rows */
} pr_table_t;

static pr_table_t s_plan_table(const pr_top_screen_t *screen, const pr_top_view_t *view) {
    pr_table_t table = {.width = 0};
    for (int rank = 0; rank <= s_rank_max; rank++) {
        for (int i = 0; i < s_cells; i++) {
            if (S_CELLS[i].rank == rank && table.width + S_CELLS[i].width <= screen->columns) {
                table.shown[i] = true;
                table.width += S_CELLS[i].width;
            }
        }
    }
    bool errors = false;
    for (size_t i = 0; i < view->rows_count; i++)
        errors |= *view->rows[i].error != '\0';
    if (errors && screen->columns - table.width - 2 >= s_error_column_min)
        table.error_column = table.width + 2;
    return table;
}

static void s_draw_table_head(const pr_top_screen_t *screen, int y, const pr_table_t *table) {
    int x = 0;
    s_fill_line(y, screen->columns, s_attributes(screen, s_accent, A_UNDERLINE));
    for (int i = 0; i < s_cells; i++) {
        if (!table->shown[i])
            continue;
        bool left = i <= s_state_cell;
        s_print(y, x, S_CELLS[i].width, s_attributes(screen, s_accent, A_UNDERLINE), left ? " %-*s" : "%*s",
                left ? S_CELLS[i].width - 1 : S_CELLS[i].width, S_CELLS[i].title);
        x += S_CELLS[i].width;
    }
    if (table->error_column > 0)
        s_put(y, table->error_column, screen->columns - table->error_column,
              s_attributes(screen, s_accent, A_UNDERLINE), "last error", NULL);
}

static void s_print_state(const pr_top_row_t *row, char *buffer, size_t size) {
    enum { HOUR = 3600, DAY = 86400 };
    if (row->up)
        snprintf(buffer, size, "up");
    else if (row->down_s < 0)
        snprintf(buffer, size, "down");
    else if (row->down_s < HOUR - 1)
        snprintf(buffer, size, "down %s", pr_format_clock(row->down_s).text);
    else if (row->down_s < DAY)
        snprintf(buffer, size, "down %.0fh", row->down_s / HOUR);
    else
        snprintf(buffer, size, "down %.0fd", row->down_s / DAY);
}

static void s_print_cell(const pr_top_row_t *row, int cell, char *buffer, size_t size) {
    const int64_t counts[s_cells] = {
        [s_records_cell] = row->records,   [s_rate_cell] = row->per_second < 0 ? -1 : (int64_t)(row->per_second + 0.5),
        [s_lag_cell] = row->lag,           [s_rejects_cell] = row->rejects,
        [s_restarts_cell] = row->restarts, [s_window_cell] = row->window_bytes};
    if (cell == s_stage_cell)
        snprintf(buffer, size, "%s", row->who);
    else if (cell == s_state_cell)
        s_print_state(row, buffer, size);
    else if (counts[cell] < 0)
        snprintf(buffer, size, "-");
    else if (cell == s_window_cell)
        snprintf(buffer, size, "%s", pr_format_bytes((uint64_t)counts[cell]).text);
    else
        pr_top_count((uint64_t)counts[cell], S_CELLS[cell].width - 1, buffer, size);
}

static attr_t s_cell_attributes(const pr_top_screen_t *screen, const pr_top_row_t *row, int cell) {
    if (cell == s_state_cell)
        return row->up ? s_attributes(screen, s_good, A_NORMAL) : s_attributes(screen, s_bad, A_BOLD);
    if (cell == s_rejects_cell && row->rejects > 0)
        return row->stage == PR_STAGE_VALIDATOR ? s_attributes(screen, s_bad, A_BOLD)
                                                : s_attributes(screen, s_warning, A_NORMAL);
    if (cell == s_restarts_cell && row->restarts > 0)
        return s_attributes(screen, s_warning, A_BOLD);
    if (cell == s_stage_cell)
        return A_BOLD;
    return row->up ? A_NORMAL : A_DIM;
}

static void s_draw_row(const pr_top_screen_t *screen, int y, const pr_table_t *table, const pr_top_row_t *row) {
    char text[64];
    int x = 0;
    for (int i = 0; i < s_cells; i++) {
        if (!table->shown[i])
            continue;
        int width = S_CELLS[i].width;
        s_print_cell(row, i, text, sizeof text);
        int begin = i <= s_state_cell ? 1 : width - (int)strlen(text);
        begin = begin > 0 ? begin : 0;
        s_put(y, x + begin, width - begin, s_cell_attributes(screen, row, i), text, NULL);
        x += width;
    }
    if (table->error_column > 0)
        s_put_cut(screen, y, table->error_column, screen->columns - table->error_column,
                  s_attributes(screen, s_warning, A_NORMAL), row->error);
}

/*  lines: how many there are for the rows; below: a line below each row that has an error. When there are too few, the
 *  last ones are left out, but in the pipeline's order some of the transformers: writer and validator stay. */
static void s_draw_rows(const pr_top_screen_t *screen, int y, int lines, bool below, pr_top_order_t order,
                        const pr_table_t *table, const pr_top_view_t *view) {
    enum { TAIL = 2, ENOUGH = 5 };
    size_t count = view->rows_count;
    size_t hidden = (int)count <= lines || below ? 0 : count - (lines > 0 ? (size_t)lines - 1 : 0);
    size_t tail = order == PR_TOP_PIPELINE && lines >= ENOUGH ? TAIL : 0;
    for (size_t i = 0; i < count && (hidden < count || lines > 0); i++) {
        const pr_top_row_t *row = &view->rows[i];
        if (hidden > 0 && i == count - hidden - tail) {
            s_print(y++, 1, screen->columns - 1, A_DIM, "%s %zu more", screen->glyphs->more, hidden);
            i += hidden - 1;
            continue;
        }
        s_draw_row(screen, y++, table, row);
        if (below && *row->error != '\0') {
            int at = 3 + s_put(y, 3, screen->columns - 3, A_DIM, screen->glyphs->branch, NULL);
            s_put_cut(screen, y++, at, screen->columns - at, s_attributes(screen, s_warning, A_NORMAL), row->error);
        }
    }
}

/* ---- the newest error ---- */

static void s_draw_error(const pr_top_screen_t *screen, int y, int lines, const pr_top_view_t *view) {
    char text[PR_WIRE_TEXT_BYTES + 96];
    snprintf(text, sizeof text, "%s, %s ago: %s", view->error_who, pr_format_clock(view->error_s).text, view->error);
    s_wrap(screen, y, 1, screen->columns - 2, lines, s_attributes(screen, s_warning, A_NORMAL), text);
}

static int s_error_lines(const pr_top_screen_t *screen, const pr_top_view_t *view) {
    char text[PR_WIRE_TEXT_BYTES + 96];
    if (*view->error == '\0')
        return 0;
    snprintf(text, sizeof text, "%s, %s ago: %s", view->error_who, pr_format_clock(view->error_s).text, view->error);
    return s_wrap(screen, -1, 0, screen->columns - 2, s_error_lines_max, 0, text);
}

/* ---- all of it ---- */

/* How many lines each part gets. */
typedef struct {
    int bar, figures, notice, head, rows, error, label, graph, blanks;
    bool below;
} pr_plan_t;

/* Give up lines of a part until there are enough. */
static void s_give_up(int *part, int least, int *left) {
    while (*left < 0 && *part > least) {
        (*part)--;
        (*left)++;
    }
}

static int s_errors_in_rows(const pr_top_view_t *view) {
    int count = 0;
    for (size_t i = 0; i < view->rows_count; i++)
        count += *view->rows[i].error != '\0';
    return count;
}

static pr_plan_t s_plan(const pr_top_screen_t *screen, const pr_top_view_t *view, const pr_table_t *table, int notice) {
    enum { BLANKS = 4, GRAPH_ROWS = 3, ROWS = 6 };
    pr_plan_t plan = {.bar = 1, .figures = 1, .head = 1, .notice = notice};
    plan.rows = (int)view->rows_count;
    plan.error = s_error_lines(screen, view);
    int left = screen->rows - 2 - plan.bar - plan.figures - plan.notice - plan.head - plan.rows - plan.error;
    s_give_up(&plan.error, 1, &left);
    s_give_up(&plan.rows, ROWS, &left);
    s_give_up(&plan.error, 0, &left);
    s_give_up(&plan.head, 0, &left);
    s_give_up(&plan.figures, 0, &left);
    s_give_up(&plan.bar, 0, &left);
    s_give_up(&plan.notice, 1, &left);
    s_give_up(&plan.rows, 1, &left);
    s_give_up(&plan.notice, 0, &left);
    s_give_up(&plan.rows, 0, &left);
    if (left >= 1) {
        plan.graph = 1;
        left--;
    }
    if (left >= 1) {
        plan.label = 1;
        left--;
    }
    int below = table->error_column == 0 ? s_errors_in_rows(view) : 0;
    if (below > 0 && left >= below) {
        plan.below = true;
        left -= below;
    }
    plan.blanks = left < BLANKS ? left : BLANKS;
    left -= plan.blanks > 0 ? plan.blanks : 0;
    /* Three rows of graph before the air, five more of what is left of a big screen. */
    while (left > 0 && plan.graph < GRAPH_ROWS) {
        plan.graph++;
        left--;
    }
    while (left > 4 && plan.graph > 0 && plan.graph < s_graph_rows_max) {
        plan.graph++;
        left--;
    }
    return plan;
}

/* A blank line, while there are some to spend. */
static int s_blank(pr_plan_t *plan) {
    if (plan->blanks <= 0)
        return 0;
    plan->blanks--;
    return 1;
}

/* Nobody was ever there, and nothing is known of a run. */
static void s_draw_nobody(const pr_top_screen_t *screen, const char *notice) {
    int columns = screen->columns - 2;
    int lines = s_wrap(screen, -1, 0, columns, s_notice_lines_max, 0, notice);
    int width = lines == 1 ? (int)pr_format_width(notice) : columns;
    int y = (screen->rows - lines) / 2;
    if (screen->rows > 2)
        s_wrap(screen, y < 1 ? 1 : y, 1 + (columns - width) / 2, columns, screen->rows - 2, A_BOLD, notice);
}

static void s_draw_run(const pr_top_screen_t *screen, const pr_top_view_t *view, pr_top_order_t order,
                       const char *waiting) {
    pr_table_t table = s_plan_table(screen, view);
    int columns = screen->columns - 2;
    int outcome = s_wrap(screen, -1, 0, columns, s_notice_lines_max, 0, view->outcome);
    int wait = s_wrap(screen, -1, 0, columns, 2, 0, waiting);
    pr_plan_t plan = s_plan(screen, view, &table, outcome + wait);
    outcome = outcome < plan.notice ? outcome : plan.notice;
    int y = 1;
    y += s_blank(&plan);
    if (plan.bar > 0)
        s_draw_bar(screen, y++, view);
    if (plan.figures > 0)
        s_draw_figures(screen, y++, view);
    y += s_wrap(screen, y, 1, columns, outcome, s_attributes(screen, view->good ? s_good : s_warning, A_BOLD),
                view->outcome);
    y += s_wrap(screen, y, 1, columns, plan.notice - outcome, A_BOLD, waiting);
    y += s_blank(&plan);
    if (plan.graph > 0)
        s_draw_graph(screen, y, plan.graph, plan.label > 0, view);
    y += plan.graph + plan.label;
    y += s_blank(&plan);
    if (plan.head > 0)
        s_draw_table_head(screen, y++, &table);
    s_draw_rows(screen, y, plan.rows, plan.below, order, &table, view);
    y += plan.rows + (plan.below ? s_errors_in_rows(view) : 0);
    y += s_blank(&plan);
    if (plan.error > 0)
        s_draw_error(screen, y, plan.error, view);
}

void pr_top_screen_draw(pr_top_screen_t *screen, const pr_top_view_t *view, const char *run_dir, pr_top_order_t order,
                        bool paused) {
    char waiting[1200] = "";
    getmaxyx(stdscr, screen->rows, screen->columns);
    if (view->up_count == 0)
        snprintf(waiting, sizeof waiting, "no stage is up in %s; waiting%s", pr_text_line(run_dir).text,
                 screen->glyphs->more);
    erase();
    s_draw_title(screen, view, paused);
    if (!view->anyone && *view->outcome == '\0')
        s_draw_nobody(screen, waiting);
    else
        s_draw_run(screen, view, order, waiting);
    if (screen->rows > 1)
        s_draw_footer(screen, order, paused);
    refresh();
}
