/* SPDX-License-Identifier: MIT */
/* The floor: how fast SQLite alone takes the rows of a finished target that lie parsed in memory. */

/*  DESIGN
 *
 *  First, untimed: every row of every table that a finished target holds is read into memory, one buffer a table, value
 *  after value as kind and content, so that the timed part reads forward through it and hands SQLite pointers into it.
 *  Then, timed, from opening the new database to having closed it: tables, rows through one prepared INSERT a table, a
 *  fixed number of them a transaction, under WAL, synchronous = NORMAL and foreign_keys = ON; then the indexes, triggers
 *  and views, or these before the rows if asked for. Nothing else happens: no look-up of parents (the rows hold their
 *  ids), no undo, no proof.
 *
 *  All that made it faster is on: no mutex around the connection, no statistics of memory, row ids given, lookaside memory, a large page cache, rare WAL checkpoints, no
 *  secure_delete, temporary files in memory.
 */
#include <errno.h>
#include <getopt.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/alloc.h"

enum { S_TABLES_MAX = 64, S_COLUMNS_MAX = 64, S_LOOKASIDE_SLOT = 512, S_LOOKASIDE_SLOTS = 512 };

/* The rows of one table. A value: its kind as SQLite numbers it, one byte; then eight bytes of an integer or double, or
 * four of a size and the text or blob itself; of NULL nothing. */
typedef struct {
    char *name;
    int columns;
    uint64_t rows;
    char *data;
    size_t size, room;
} floor_table_t;

typedef struct {
    const char *from, *target, *tables_sql, *after_sql;
    bool during;
    long batch;   /* rows a transaction */
    long threads; /* helpers of the sorter that makes indexes */
    floor_table_t table[S_TABLES_MAX];
    size_t count;
} floor_t;

static void s_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void s_die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("pvrelay-floor: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void s_check(sqlite3 *db, int result, const char *doing) {
    if (result != SQLITE_OK && result != SQLITE_ROW && result != SQLITE_DONE)
        s_die("%s: %s", doing, sqlite3_errmsg(db));
}

static void s_exec(sqlite3 *db, const char *sql) {
    s_check(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *s_prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    s_check(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL), sql);
    return statement;
}

/* A whole file, NUL-terminated. *Returns new*. */
static char *s_read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        s_die("%s: %s", path, strerror(errno));
    char *text = NULL;
    size_t size = 0;
    size_t got = 0;
    do {
        text = pr_xrealloc(text, size + 65536 + 1);
        got = fread(text + size, 1, 65536, file);
        size += got;
    } while (got > 0);
    if (ferror(file) || fclose(file) != 0)
        s_die("%s: cannot be read", path);
    text[size] = '\0';
    return text;
}

/* ---- The rows, into memory
 * --------------------------------------------------------------------------------------------- */

static void s_add(floor_table_t *table, const void *data, size_t size) {
    if (table->size + size > table->room) {
        table->room = 2 * table->room + size + 4096;
        table->data = pr_xrealloc(table->data, table->room);
    }
    if (size > 0)
        memcpy(table->data + table->size, data, size);
    table->size += size;
}

static void s_add_value(floor_table_t *table, sqlite3_stmt *row, int column) {
    char kind = (char)sqlite3_column_type(row, column);
    s_add(table, &kind, 1);
    if (kind == SQLITE_INTEGER) {
        int64_t value = sqlite3_column_int64(row, column);
        s_add(table, &value, sizeof value);
    } else if (kind == SQLITE_FLOAT) {
        double value = sqlite3_column_double(row, column);
        s_add(table, &value, sizeof value);
    } else if (kind != SQLITE_NULL) {
        const void *data =
            kind == SQLITE_TEXT ? (const void *)sqlite3_column_text(row, column) : sqlite3_column_blob(row, column);
        uint32_t size = (uint32_t)sqlite3_column_bytes(row, column);
        s_add(table, &size, sizeof size);
        s_add(table, data, size);
    }
}

static void s_read_table(sqlite3 *db, floor_table_t *table) {
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" ORDER BY rowid", table->name);
    sqlite3_stmt *row = s_prepare(db, sql);
    int result;
    table->columns = sqlite3_column_count(row);
    while ((result = sqlite3_step(row)) == SQLITE_ROW) {
        for (int i = 0; i < table->columns; i++)
            s_add_value(table, row, i);
        table->rows++;
    }
    s_check(db, result, sql);
    sqlite3_finalize(row);
    sqlite3_free(sql);
}

/* The tables in the order in which the schema makes them: parents first. Bookkeeping is no data. */
static void s_read_rows(floor_t *self) {
    sqlite3 *db = NULL;
    s_check(db, sqlite3_open_v2(self->from, &db, SQLITE_OPEN_READONLY, NULL), self->from);
    sqlite3_stmt *names = s_prepare(
        db,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'pvrelay_*' AND name NOT GLOB 'sqlite_*'"
        " AND name NOT GLOB 'd1_*' ORDER BY rowid");
    int result;
    while ((result = sqlite3_step(names)) == SQLITE_ROW) {
        if (self->count == S_TABLES_MAX)
            s_die("%s: more than %d tables", self->from, S_TABLES_MAX);
        floor_table_t *table = &self->table[self->count++];
        table->name = pr_xstrdup((const char *)sqlite3_column_text(names, 0));
        s_read_table(db, table);
    }
    s_check(db, result, self->from);
    sqlite3_finalize(names);
    sqlite3_close(db);
}

/* ---- The timed part
 * ---------------------------------------------------------------------------------------------------- */

/* Bind the value at data; returns the one behind it. */
static const char *s_bind(sqlite3_stmt *insert, int parameter, const char *data) {
    char kind = *data++;
    if (kind == SQLITE_INTEGER) {
        int64_t value;
        memcpy(&value, data, sizeof value);
        sqlite3_bind_int64(insert, parameter, value);
        return data + sizeof value;
    }
    if (kind == SQLITE_FLOAT) {
        double value;
        memcpy(&value, data, sizeof value);
        sqlite3_bind_double(insert, parameter, value);
        return data + sizeof value;
    }
    if (kind == SQLITE_NULL) {
        sqlite3_bind_null(insert, parameter);
        return data;
    }
    uint32_t size;
    memcpy(&size, data, sizeof size);
    data += sizeof size;
    if (kind == SQLITE_TEXT)
        sqlite3_bind_text(insert, parameter, data, (int)size, SQLITE_STATIC);
    else
        sqlite3_bind_blob(insert, parameter, data, (int)size, SQLITE_STATIC);
    return data + size;
}

static void s_insert_table(const floor_t *self, sqlite3 *db, const floor_table_t *table) {
    char marks[2 * S_COLUMNS_MAX] = "?";
    if (table->columns > S_COLUMNS_MAX)
        s_die("%s: more than %d columns", table->name, S_COLUMNS_MAX);
    for (int i = 1; i < table->columns; i++)
        memcpy(marks + 2 * i - 1, ",?", 3);
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\" VALUES (%s)", table->name, marks);
    sqlite3_stmt *insert = s_prepare(db, sql);
    const char *at = table->data;
    for (uint64_t row = 0; row < table->rows; row++) {
        if (row % (uint64_t)self->batch == 0)
            s_exec(db, row == 0 ? "BEGIN" : "COMMIT; BEGIN");
        for (int i = 0; i < table->columns; i++)
            at = s_bind(insert, i + 1, at);
        s_check(db, sqlite3_step(insert), table->name);
        sqlite3_reset(insert);
    }
    if (table->rows > 0)
        s_exec(db, "COMMIT");
    sqlite3_finalize(insert);
    sqlite3_free(sql);
}

static void s_make(const floor_t *self, const char *tables, const char *after) {
    sqlite3 *db = NULL;
    char threads[64];
    snprintf(threads, sizeof threads, "PRAGMA threads = %ld", self->threads);
    s_check(db,
            sqlite3_open_v2(self->target, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
            self->target);
    sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, S_LOOKASIDE_SLOT, S_LOOKASIDE_SLOTS);
    s_exec(
        db,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = OFF;"
        " PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384; PRAGMA temp_store = MEMORY");
    s_exec(db, threads);
    s_exec(db, tables);
    if (self->during)
        s_exec(db, after);
    for (size_t i = 0; i < self->count; i++)
        s_insert_table(self, db, &self->table[i]);
    if (!self->during) {
        s_exec(db, "BEGIN");
        s_exec(db, after);
        s_exec(db, "COMMIT");
    }
    s_check(db, sqlite3_close(db), "closing");
}

static double s_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double s_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- The command line
 * -------------------------------------------------------------------------------------------------- */

static void s_usage(FILE *out) {
    fputs("Usage: pvrelay-floor --from FINISHED.db --target NEW.db --tables FILE.sql --after FILE.sql [OPTION...]\n"
          "Inserts the rows of a finished target into a new database as fast as SQLite alone can; prints one line of "
          "JSON:\n"
          "the seconds of that alone, its CPU seconds, how many rows.\n\n"
          "  --from DB        where the rows are read from, beforehand\n"
          "  --target DB      the new database; must not be there yet\n"
          "  --tables FILE    SQL that makes the tables\n"
          "  --after FILE     SQL that makes indexes, triggers and views\n"
          "  --indexes WORD   after (default): made after the rows are in; during: kept up to date\n"
          "  --batch N        rows a transaction (default 5000)\n"
          "  --threads N      helpers of the sorter that makes indexes (default 1)\n",
          out);
}

static long s_number(const char *text, long least) {
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least)
        s_die("\"%s\" is not a number from %ld on", text, least);
    return value;
}

static void s_parse(floor_t *self, int argc, char **argv) {
    static const struct option options[] = {{"from", required_argument, NULL, 'f'},
                                            {"target", required_argument, NULL, 't'},
                                            {"tables", required_argument, NULL, 's'},
                                            {"after", required_argument, NULL, 'a'},
                                            {"indexes", required_argument, NULL, 'i'},
                                            {"batch", required_argument, NULL, 'b'},
                                            {"threads", required_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'f')
            self->from = optarg;
        else if (option == 't')
            self->target = optarg;
        else if (option == 's')
            self->tables_sql = optarg;
        else if (option == 'a')
            self->after_sql = optarg;
        else if (option == 'b')
            self->batch = s_number(optarg, 1);
        else if (option == 'j')
            self->threads = s_number(optarg, 0);
        else if (option == 'i' && (strcmp(optarg, "after") == 0 || strcmp(optarg, "during") == 0))
            self->during = strcmp(optarg, "during") == 0;
        else if (option == 'h') {
            s_usage(stdout);
            exit(0);
        } else {
            s_usage(stderr);
            exit(1);
        }
    }
    if (optind != argc || self->from == NULL || self->target == NULL || self->tables_sql == NULL ||
        self->after_sql == NULL) {
        s_usage(stderr);
        exit(1);
    }
}

int main(int argc, char **argv) {
    floor_t self = {.batch = 5000, .threads = 1};
    s_parse(&self, argc, argv);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    FILE *there = fopen(self.target, "rb");
    if (there != NULL)
        s_die("%s: is there already", self.target);
    char *tables = s_read_file(self.tables_sql);
    char *after = s_read_file(self.after_sql);
    s_read_rows(&self);

    double cpu = s_cpu();
    double begun = s_now();
    s_make(&self, tables, after);
    double seconds = s_now() - begun;
    cpu = s_cpu() - cpu;

    uint64_t rows = 0;
    for (size_t i = 0; i < self.count; i++) {
        rows += self.table[i].rows;
        free(self.table[i].name);
        free(self.table[i].data);
    }
    printf("{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"rows\": %llu}\n", seconds, cpu, (unsigned long long)rows);
    free(tables);
    free(after);
    return 0;
}
