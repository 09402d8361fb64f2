/* SPDX-License-Identifier: MIT */
/* Rollback on small sequences made by hand: every kind of conflict with its whole report, nothing changed by it, and what
 * is undone and what is left when theirs is kept. */
#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/rollback.h"
#include "common/undo.h"
#include "tests/unit/folder.h"

/* A target with rows of its own, two runs on top, and a connection that is somebody else's. */
typedef struct {
    char folder[64];
    char path[96];
    sqlite3 *db; /* ours, as the writer's: triggers off, foreign keys on */
    pr_undo_t *undo;
    int64_t run, checkpoint;
    char *start; /* dumps: before our first commit, */
    char *end;   /* and after the last */
} s_world_t;

static const char *const S_TABLES[] = {"users", "clients", "projects", "interventions", "el_audits", "el_modules"};
enum { s_tables_count = sizeof S_TABLES / sizeof S_TABLES[0] };

/* ---- SQL and dumps ---- */

static sqlite3 *s_connect(const char *path) {
    sqlite3 *db = NULL;
    int off = -1;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &off), SQLITE_OK);
    return db;
}

static void s_exec(sqlite3 *db, const char *sql) {
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

/* Through a connection of somebody else. */
static void s_theirs(const s_world_t *world, const char *sql) {
    sqlite3 *db = s_connect(world->path);
    s_exec(db, sql);
    sqlite3_close(db);
}

static void s_put_value(FILE *out, sqlite3_stmt *row, int column) {
    if (sqlite3_column_type(row, column) == SQLITE_BLOB) {
        const unsigned char *bytes = sqlite3_column_blob(row, column);
        for (int i = 0; i < sqlite3_column_bytes(row, column); i++)
            fprintf(out, "%02x", bytes[i]);
        return;
    }
    fprintf(out, "%d %s", sqlite3_column_type(row, column),
            sqlite3_column_type(row, column) == SQLITE_NULL ? "" : (const char *)sqlite3_column_text(row, column));
}

static void s_put_query(FILE *out, sqlite3 *db, const char *label, const char *sql) {
    sqlite3_stmt *row = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(row) == SQLITE_ROW) {
        fputs(label, out);
        for (int i = 0; i < sqlite3_column_count(row); i++) {
            fputs("|", out);
            s_put_value(out, row, i);
        }
        fputc('\n', out);
    }
    sqlite3_finalize(row);
}

/* Everything: schema, counters, and all rows of all tables whose name is LIKE a pattern. */
static char *s_dump(const s_world_t *world, const char *like, const char *not_like) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sqlite3 *db = s_connect(world->path);
    sqlite3_stmt *tables = NULL;
    s_put_query(out, db, "schema", "SELECT type, name, sql FROM sqlite_master ORDER BY type, name");
    char *sequence = pr_xasprintf(
        "SELECT * FROM sqlite_sequence WHERE name LIKE '%s' AND name NOT LIKE '%s' ORDER BY name", like, not_like);
    s_put_query(out, db, "sequence", sequence);
    char *names =
        pr_xasprintf("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%s' AND name NOT LIKE "
                     "'%s' AND name NOT LIKE 'sqlite%%' ORDER BY name",
                     like, not_like);
    assert_int_equal(sqlite3_prepare_v2(db, names, -1, &tables, NULL), SQLITE_OK);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(tables, 0);
        char *sql = pr_xasprintf("SELECT * FROM \"%s\" ORDER BY 1, 2", table);
        s_put_query(out, db, table, sql);
        free(sql);
    }
    sqlite3_finalize(tables);
    sqlite3_close(db);
    free(sequence);
    free(names);
    fclose(out);
    return text;
}

static char *s_dump_all(const s_world_t *world) {
    return s_dump(world, "%", "");
}

static char *s_dump_data(const s_world_t *world) {
    return s_dump(world, "%", "pvrelay%");
}

/* "a|b;c|d": what a query gives. */
static void s_assert_query(const s_world_t *world, const char *sql, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    sqlite3 *db = s_connect(world->path);
    sqlite3_stmt *row = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    for (int rows = 0; sqlite3_step(row) == SQLITE_ROW; rows++) {
        fputs(rows > 0 ? ";" : "", out);
        for (int i = 0; i < sqlite3_column_count(row); i++) {
            const char *value = (const char *)sqlite3_column_text(row, i);
            fprintf(out, "%s%s", i > 0 ? "|" : "", value != NULL ? value : "NULL");
        }
    }
    sqlite3_finalize(row);
    sqlite3_close(db);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

/* ---- Commits ---- */

static void s_begin_run(s_world_t *world) {
    world->run++;
    char *sql =
        pr_xasprintf("INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, "
                     "started_at) VALUES (%" PRId64 ", 'run-%" PRId64
                     "', 'streaming', 'm', '0', 'null', '0', '2026-01-01 00:00:00')",
                     world->run, world->run);
    s_exec(world->db, sql);
    free(sql);
}

/*  A commit as the writer makes one: a checkpoint, its rows, how to take it back. tables: those it says it changed, as
 *  "el_modules 2 1, …" (inserted, updated). kind: batch or finish. */
static void s_commit_kind(s_world_t *world, const char *kind, bool undo, const char *tables, const char *changes) {
    pr_error_t err = PR_ERROR_INIT;
    bool finish = strcmp(kind, "finish") == 0;
    int64_t checkpoint = ++world->checkpoint;
    s_exec(world->db, "BEGIN IMMEDIATE");
    if (undo)
        assert_int_equal(pr_undo_begin(world->undo, &err), 0);
    char *sql = pr_xasprintf(
        "INSERT INTO pvrelay_checkpoint (checkpoint, run, kind, source, first_ordinal, records, begin_offset, "
        "end_offset, "
        "digest, inserted, updated, unchanged, rejected, rows_inserted, rows_updated, committed_at) SELECT %" PRId64
        ", run, "
        "'%s', source, ordinal, %d, \"offset\", \"offset\" + %d, '0', 0, 0, 0, 0, 0, 0, '2026-01-01 00:00:00' FROM "
        "pvrelay_run WHERE run = %" PRId64 "; UPDATE pvrelay_run SET %s WHERE run = %" PRId64,
        checkpoint, kind, finish ? 0 : 2, finish ? 0 : 20, world->run,
        finish ? "state = 'proving'" : "ordinal = ordinal + 2, \"offset\" = \"offset\" + 20", world->run);
    s_exec(world->db, sql);
    free(sql);
    s_exec(world->db, changes);
    char table[64];
    int inserted = 0;
    int updated = 0;
    int used = 0;
    for (; sscanf(tables, " %63[a-z_] %d %d%n", table, &inserted, &updated, &used) == 3;
         tables += used + (tables[used] == ',')) {
        sql = pr_xasprintf("INSERT INTO pvrelay_checkpoint_rows VALUES (%" PRId64 ", '%s', %d, %d)", checkpoint, table,
                           inserted, updated);
        s_exec(world->db, sql);
        free(sql);
    }
    if (undo)
        assert_int_equal(pr_undo_store(world->undo, checkpoint, &err), 0);
    assert_string_equal(err.text, "");
    s_exec(world->db, "COMMIT");
}

static void s_commit(s_world_t *world, const char *tables, const char *changes) {
    s_commit_kind(world, "batch", true, tables, changes);
}

static void s_complete_run(s_world_t *world, const char *tables, const char *changes) {
    s_commit_kind(world, "finish", true, tables, changes);
    char *sql =
        pr_xasprintf("UPDATE pvrelay_checkpoint SET validated = 1 WHERE run = %" PRId64
                     "; UPDATE pvrelay_run SET state = 'complete', outcome = 0, ended_at = '2026-01-01 00:01:00' WHERE "
                     "run = %" PRId64,
                     world->run, world->run);
    s_exec(world->db, sql);
    free(sql);
}

static const char S_OWN_ROWS[] =
    "INSERT INTO users (id, email, name, updated_at) VALUES (1, 'anne@hub.example', 'Anne', 'u');"
    "INSERT INTO clients (id, name) VALUES (1, 'Own client');"
    "INSERT INTO projects (id, client_id, name, site_address) VALUES (1, 1, 'Own project', 'Pau');"
    "INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date) VALUES (1, 1, 1, "
    "'el', "
    "'2024-02-01');"
    "INSERT INTO el_audits (id, intervention_id, audit_token, project_name, client_name, string_count, "
    "modules_per_string, "
    "total_modules, status) VALUES (1, 1, 'own', 'Own project', 'Own client', 1, 2, 2, 'created');"
    "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number, position_in_string, "
    "defect_type) "
    "VALUES (1, 1, 'own', 'S1-1', 1, 1, 'none');"
    "INSERT INTO el_collaborative_sessions (el_audit_id, audit_token, session_token) VALUES (1, 'own', 'own-session');"
    "CREATE TABLE photos (module INTEGER REFERENCES el_modules (id), path TEXT, PRIMARY KEY (module, path)) WITHOUT "
    "ROWID;"
    "INSERT INTO photos VALUES (1, 'own.jpg');";

static s_world_t *s_make(void) {
    pr_error_t err = PR_ERROR_INIT;
    s_world_t *world = pr_xcalloc(1, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/pvrelay-rollback-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof world->path, "%s/hub.db", world->folder);
    world->db = s_connect(world->path);
    s_exec(world->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
    pr_migrations_t *applied = NULL;
    pr_migrate_apply(world->db, PR_SOURCE_DIR "/migrations", &applied, &err);
    assert_string_equal(err.text, "");
    pr_migrations_destroy(&applied);
    s_exec(world->db, S_OWN_ROWS);
    s_exec(world->db, "PRAGMA foreign_keys = ON");
    assert_int_equal(pr_undo_new(world->db, S_TABLES, s_tables_count, &world->undo, &err), 0);
    return world;
}

/*  Run 1, complete: checkpoint 1 inserts client 2 … audit 2 and modules 2 and 3, checkpoint 2 changes module 1, which is the
 *  target's own, and module 2, and inserts module 4 into the target's own audit; checkpoint 3 finishes it.
 *  Run 2, under way: checkpoint 4 changes module 1 again and audit 1. */
static int s_setup(void **state) {
    s_world_t *world = s_make();
    world->start = s_dump_data(world);
    s_begin_run(world);
    s_commit(world, "clients 1 0, projects 1 0, interventions 1 0, el_audits 1 0, el_modules 2 0",
             "INSERT INTO clients (name) VALUES ('New client');"
             "INSERT INTO projects (client_id, name, site_address) VALUES (2, 'New project', 'Foix');"
             "INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date) VALUES (2, "
             "1, 'el', "
             "'2024-02-01');"
             "INSERT INTO el_audits (intervention_id, audit_token, project_name, client_name, string_count, "
             "modules_per_string, total_modules) VALUES (2, 'new', 'New project', 'New client', 1, 2, 2);"
             "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string) "
             "VALUES "
             "(2, 'new', 'S1-1', 1, 1), (2, 'new', 'S1-2', 1, 2);"
             "INSERT INTO pvrelay_touched VALUES (1, 'el_audits', 2);"
             "INSERT INTO pvrelay_finding VALUES (1, 'null_text', 'modules', 'comment', 2, 1, 0, NULL)");
    s_commit(world, "el_modules 1 2",
             "UPDATE el_modules SET defect_type = 'microcrack', severity_level = 2 WHERE id = 1;"
             "UPDATE el_modules SET severity_level = 3 WHERE id = 2;"
             "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string) "
             "VALUES "
             "(1, 'own', 'S1-9', 1, 9);"
             "INSERT INTO pvrelay_touched VALUES (1, 'el_audits', 1);"
             "UPDATE pvrelay_finding SET count = 3");
    s_complete_run(world, "el_audits 0 2", "UPDATE el_audits SET completion_rate = 50");
    s_begin_run(world);
    s_commit(world, "el_audits 0 1, el_modules 0 1",
             "UPDATE el_modules SET severity_level = 1, comment = 'fissure' WHERE id = 1;"
             "UPDATE el_audits SET status = 'completed' WHERE id = 1");
    world->end = s_dump_data(world);
    *state = world;
    return 0;
}

static void s_destroy(s_world_t *world) {
    pr_undo_destroy(&world->undo);
    sqlite3_close(world->db);
    assert_int_equal(pr_test_folder_remove(world->folder), 0);
    free(world->start);
    free(world->end);
    free(world);
}

static int s_teardown(void **state) {
    s_destroy(*state);
    return 0;
}

/* ---- Rollbacks ---- */

/* The report, a line each. */
static char *s_print_report(const pr_rollback_report_t *report) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "from %" PRId64 " to %" PRId64 ": %" PRIu64 " checkpoints\n", report->from, report->to,
            report->checkpoints);
    for (size_t i = 0; i < report->runs_count; i++)
        fprintf(out, "run %" PRId64 " %s: %" PRIu64 " checkpoints, %" PRIu64 " records\n", report->runs[i].number,
                report->runs[i].whole ? "whole" : "in part", report->runs[i].checkpoints, report->runs[i].records);
    for (size_t i = 0; i < report->names_count; i++)
        fprintf(out, "name %s\n", report->names[i]);
    for (size_t i = 0; i < report->tables_count; i++) {
        const pr_rollback_table_t *table = &report->tables[i];
        fprintf(out, "%s: deleted %" PRIu64 ", restored %" PRIu64 ", left %" PRIu64 "%s\n", table->table,
                table->deleted, table->restored, table->left, table->sequence_kept ? ", sequence kept" : "");
    }
    if (report->continues != 0)
        fprintf(out, "run %" PRId64 " continues at %" PRIu64 "\n", report->continues, report->position_records);
    fclose(out);
    return text;
}

static char *s_print_conflicts(const pr_rollback_report_t *report) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    for (size_t i = 0; i < report->conflicts_count; i++) {
        const pr_conflict_t *conflict = &report->conflicts[i];
        fprintf(out, "%s @%" PRId64 " %s [%s] [%s] ours [%s] theirs [%s]\n", pr_conflict_word(conflict->kind),
                conflict->checkpoint, conflict->table, conflict->key, conflict->column, conflict->ours,
                conflict->theirs);
    }
    assert_true(report->conflicts_total == report->conflicts_count);
    fclose(out);
    return text;
}

static const pr_rollback_point_t S_ZERO = {.checkpoint = 0};

static int s_call(const s_world_t *world, pr_rollback_point_t point, bool dry, bool keep,
                  pr_rollback_report_t **ret_report, pr_error_t *err) {
    pr_rollback_options_t options = {.dry_run = dry, .keep_theirs = keep, .outcome = -1};
    return pr_rollback(world->path, &point, &options, ret_report, err);
}

/* It works, without any conflict, and the report is this. */
static void s_roll_back(const s_world_t *world, pr_rollback_point_t point, const char *expected) {
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    int result = s_call(world, point, false, false, &report, &err);
    if (result == -PR_E_CONFLICT) {
        char *conflicts = s_print_conflicts(report);
        fail_msg("%s", conflicts);
    }
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    char *text = s_print_report(report);
    assert_string_equal(text, expected);
    assert_true(report->conflicts_total == 0);
    free(text);
    pr_rollback_report_destroy(&report);
    s_assert_query(world, "SELECT count(*) FROM pragma_foreign_key_check", "0");
}

static void s_assert_same_dump(const s_world_t *world, const char *expected, bool books) {
    char *found = books ? s_dump_all(world) : s_dump_data(world);
    size_t at = 0;
    while (expected[at] != '\0' && expected[at] == found[at])
        at++;
    if (expected[at] != found[at]) {
        while (at > 0 && expected[at - 1] != '\n')
            at--;
        fail_msg("expected %.*s\nfound    %.*s", (int)strcspn(expected + at, "\n"), expected + at,
                 (int)strcspn(found + at, "\n"), found + at);
    }
    free(found);
}

/* It is refused for these conflicts, in a dry run and in earnest, and not a byte of any table is another. */
static void s_assert_conflicts(const s_world_t *world, pr_rollback_point_t point, const char *expected) {
    char *before = s_dump_all(world);
    for (int dry = 1; dry >= 0; dry--) {
        pr_error_t err = PR_ERROR_INIT;
        pr_rollback_report_t *report = NULL;
        int result = s_call(world, point, dry, false, &report, &err);
        if (result == 0) {
            char *text = s_print_report(report);
            fail_msg("no conflict: %s", text);
        }
        assert_int_equal(result, -PR_E_CONFLICT);
        char *conflicts = s_print_conflicts(report);
        assert_string_equal(conflicts, expected);
        free(conflicts);
        pr_rollback_report_destroy(&report);
        s_assert_same_dump(world, before, true);
    }
    free(before);
}

/* With theirs kept it works, tells the same conflicts, and this report. */
static void s_keep_theirs(const s_world_t *world, pr_rollback_point_t point, const char *expected_conflicts,
                          const char *expected) {
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    int result = s_call(world, point, false, true, &report, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    char *text = s_print_conflicts(report);
    assert_string_equal(text, expected_conflicts);
    free(text);
    text = s_print_report(report);
    assert_string_equal(text, expected);
    free(text);
    pr_rollback_report_destroy(&report);
    s_assert_query(world, "SELECT count(*) FROM pragma_foreign_key_check", "0");
    s_assert_query(world, "PRAGMA quick_check", "ok");
}

static const char S_ALL_RUNS[] = "from 4 to 0: 4 checkpoints\n"
                                 "run 1 whole: 3 checkpoints, 4 records\n"
                                 "run 2 whole: 1 checkpoints, 2 records\n";

static const char S_REPORT_ALL[] = "from 4 to 0: 4 checkpoints\n"
                                   "run 1 whole: 3 checkpoints, 4 records\n"
                                   "run 2 whole: 1 checkpoints, 2 records\n"
                                   "clients: deleted 1, restored 0, left 0\n"
                                   "el_audits: deleted 1, restored 3, left 0\n"
                                   "el_modules: deleted 3, restored 3, left 0\n"
                                   "interventions: deleted 1, restored 0, left 0\n"
                                   "projects: deleted 1, restored 0, left 0\n";

static char *s_join(const char *one, const char *two) {
    return pr_xasprintf("%s%s", one, two);
}

static void test_without_conflict(void **state) {
    s_world_t *world = *state;
    s_roll_back(world, S_ZERO, S_REPORT_ALL);
    s_assert_same_dump(world, world->start, false);
    s_assert_query(world, "SELECT run, state, outcome, rolled_back_at IS NOT NULL FROM pvrelay_run ORDER BY run",
                   "1|abandoned|0|1;2|abandoned|NULL|1");
    s_assert_query(world,
                   "SELECT reason, from_checkpoint, to_checkpoint, checkpoints, rows_deleted, rows_restored, rows_left "
                   "FROM pvrelay_rollback",
                   "operator|4|0|4|7|6|0");
    s_assert_query(world,
                   "SELECT (SELECT count(*) FROM pvrelay_undo), (SELECT count(*) FROM pvrelay_undo_sequence), (SELECT "
                   "count(*) FROM pvrelay_touched), (SELECT count(*) FROM pvrelay_checkpoint)",
                   "0|0|0|4");
}

static void test_step_by_step(void **state) {
    s_world_t *world = *state;
    s_exec(world->db,
           "INSERT INTO pvrelay_name VALUES ('after-run-1', 3, 't'), ('in-run-1', 1, 't'), ('late', 4, 't')");
    s_roll_back(world, (pr_rollback_point_t){.checkpoint = 3, .run = 1, .reopen = true},
                "from 4 to 3: 1 checkpoints\n"
                "run 2 whole: 1 checkpoints, 2 records\n"
                "name late\n"
                "el_audits: deleted 0, restored 1, left 0\n"
                "el_modules: deleted 0, restored 1, left 0\n");
    s_assert_query(world, "SELECT severity_level, comment FROM el_modules WHERE id = 1", "2|NULL");
    s_assert_query(world, "SELECT run, state, outcome FROM pvrelay_run ORDER BY run", "1|complete|0;2|abandoned|NULL");
    s_roll_back(world, (pr_rollback_point_t){.checkpoint = 1, .run = 1, .reopen = true},
                "from 3 to 1: 2 checkpoints\n"
                "run 1 in part: 2 checkpoints, 2 records\n"
                "name after-run-1\n"
                "el_audits: deleted 0, restored 2, left 0\n"
                "el_modules: deleted 1, restored 2, left 0\n"
                "run 1 continues at 2\n");
    s_assert_query(world,
                   "SELECT run, state, ordinal, \"offset\", outcome, ended_at, error FROM pvrelay_run WHERE run = 1",
                   "1|streaming|2|20|NULL|NULL|rolled back to checkpoint 1");
    s_assert_query(world, "SELECT checkpoint FROM pvrelay_checkpoint WHERE run = 1", "1");
    s_assert_query(world, "SELECT name FROM pvrelay_name", "in-run-1");
    s_assert_query(world, "SELECT run, table_name, row_id FROM pvrelay_touched", "1|el_audits|2");
    s_assert_query(world, "SELECT count FROM pvrelay_finding", "2");
    s_assert_query(world, "SELECT id, severity_level FROM el_modules ORDER BY id", "1|0;2|0;3|0");
    s_assert_query(world, "SELECT seq FROM sqlite_sequence WHERE name = 'el_modules'", "3");
    /* A new checkpoint after it has a number of its own. */
    s_assert_query(world, "SELECT seq FROM sqlite_sequence WHERE name = 'pvrelay_checkpoint'", "4");
    s_roll_back(world, S_ZERO,
                "from 1 to 0: 1 checkpoints\n"
                "run 1 whole: 1 checkpoints, 2 records\n"
                "name in-run-1\n"
                "clients: deleted 1, restored 0, left 0\n"
                "el_audits: deleted 1, restored 0, left 0\n"
                "el_modules: deleted 2, restored 0, left 0\n"
                "interventions: deleted 1, restored 0, left 0\n"
                "projects: deleted 1, restored 0, left 0\n");
    s_assert_same_dump(world, world->start, false);
    s_roll_back(world, S_ZERO, "from 0 to 0: 0 checkpoints\n");
    s_assert_same_dump(world, world->start, false);
}

static void test_dry_run_leaves_everything(void **state) {
    s_world_t *world = *state;
    char *before = s_dump_all(world);
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    assert_int_equal(s_call(world, S_ZERO, true, false, &report, &err), 0);
    assert_string_equal(err.text, "");
    char *text = s_print_report(report);
    assert_string_equal(text, S_REPORT_ALL);
    free(text);
    pr_rollback_report_destroy(&report);
    s_assert_same_dump(world, before, true);
    free(before);
}

static void test_rejects_and_retries(void **state) {
    s_world_t *world = *state;
    s_exec(world->db,
           "UPDATE pvrelay_run SET kind = 'retry', retries_through = 2 WHERE run = 2;"
           "INSERT INTO pvrelay_reject VALUES (1, 1, 1, 0, 'modules', 0, 0, 1, 'constraint', NULL, NULL, x'7b', 1, 2),"
           "(2, 1, 2, 0, 'modules', 0, 0, 1, 'constraint', NULL, NULL, x'7b', 1, 2),"
           "(3, 2, 4, 0, 'modules', 0, 0, 1, 'constraint', NULL, NULL, x'7b', 1, NULL);"
           "INSERT INTO pvrelay_failure VALUES (1, 1, 2, 'mismatch', 'modules', 'el_modules', 'k', 'c', 'e', 's', 0, "
           "0), (2, 2, 4, 'mismatch', 'modules', 'el_modules', 'k', 'c', 'e', 's', 0, 0), (3, 1, 1, 'missing', "
           "'modules', 'el_modules', 'k', 'c', 'e', 's', 0, 0)");
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    assert_int_equal(s_call(world, (pr_rollback_point_t){3, 1, true}, false, false, &report, &err), 0);
    pr_rollback_report_destroy(&report);
    /* What the retry had tried again is open again; its own rejects and failures stay as history. */
    s_assert_query(world, "SELECT reject, run, retried_by FROM pvrelay_reject", "1|1|NULL;2|1|NULL;3|2|NULL");
    s_assert_query(world, "SELECT failure FROM pvrelay_failure ORDER BY failure", "1;2;3");
    assert_int_equal(s_call(world, (pr_rollback_point_t){1, 1, true}, false, false, &report, &err), 0);
    pr_rollback_report_destroy(&report);
    /* Those of the part that will be done again go. */
    s_assert_query(world, "SELECT reject, run FROM pvrelay_reject", "1|1;3|2");
    s_assert_query(world, "SELECT failure FROM pvrelay_failure ORDER BY failure", "2;3");
    assert_string_equal(err.text, "");
}

static void test_outcome_of_what_is_taken_back(void **state) {
    s_world_t *world = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    pr_rollback_point_t point = {.checkpoint = 3, .run = 1, .reopen = false};
    pr_rollback_options_t options = {.reason = PR_ROLLBACK_VALIDATION, .outcome = 4};
    assert_int_equal(pr_rollback(world->path, &point, &options, &report, &err), 0);
    assert_string_equal(err.text, "");
    pr_rollback_report_destroy(&report);
    s_assert_query(world, "SELECT run, state, outcome FROM pvrelay_run ORDER BY run", "1|complete|0;2|abandoned|4");
    s_assert_query(world, "SELECT reason FROM pvrelay_rollback", "validation");
}

/* ---- Conflicts ---- */

static void test_changed_after_insert(void **state) {
    s_world_t *world = *state;
    const char *conflicts = "changed @1 el_modules [id=3] [severity_level] ours [0] theirs [7]\n"
                            "changed @1 el_modules [id=3] [comment] ours [NULL] theirs ['cassé\\x0aici']\n";
    s_theirs(world, "UPDATE el_modules SET severity_level = 7, comment = 'cassé' || char(10) || 'ici' WHERE id = 3");
    s_assert_conflicts(world, S_ZERO, conflicts);
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 0, restored 0, left 1, sequence kept\n"
                                        "el_audits: deleted 0, restored 3, left 1, sequence kept\n"
                                        "el_modules: deleted 2, restored 3, left 1, sequence kept\n"
                                        "interventions: deleted 0, restored 0, left 1, sequence kept\n"
                                        "projects: deleted 0, restored 0, left 1, sequence kept\n");
    s_keep_theirs(world, S_ZERO, conflicts, expected);
    free(expected);
    /* The row and all that it hangs on is left; the rest is as before. */
    s_assert_query(world, "SELECT id, el_audit_id, severity_level FROM el_modules", "1|1|0;3|2|7");
    s_assert_query(world, "SELECT id, intervention_id, completion_rate FROM el_audits", "1|1|0.0;2|2|50.0");
    s_assert_query(world, "SELECT id, project_id FROM interventions", "1|1;2|2");
    s_assert_query(world, "SELECT id, client_id FROM projects", "1|1;2|2");
}

static void test_changed_after_update(void **state) {
    s_world_t *world = *state;
    const char *conflicts = "changed @4 el_modules [id=1] [severity_level] ours [1] theirs [3]\n";
    s_theirs(world, "UPDATE el_modules SET severity_level = 3 WHERE id = 1");
    s_assert_conflicts(world, (pr_rollback_point_t){3, 1, true}, conflicts);
    s_keep_theirs(world, (pr_rollback_point_t){3, 1, true}, conflicts,
                  "from 4 to 3: 1 checkpoints\n"
                  "run 2 whole: 1 checkpoints, 2 records\n"
                  "el_audits: deleted 0, restored 1, left 0\n"
                  "el_modules: deleted 0, restored 0, left 1\n");
    s_assert_query(world, "SELECT severity_level, comment FROM el_modules WHERE id = 1", "3|fissure");
    s_assert_query(world, "SELECT status FROM el_audits WHERE id = 1", "created");
}

/* Columns that we did not touch are theirs to change. */
static void test_no_conflict_in_other_columns(void **state) {
    s_world_t *world = *state;
    s_theirs(
        world,
        "UPDATE el_modules SET image_url = 'photo.jpg' WHERE id = 1; UPDATE el_audits SET location = 'Pau' WHERE id "
        "= 1; UPDATE clients SET notes = 'theirs' WHERE id = 1");
    s_roll_back(world, S_ZERO, S_REPORT_ALL);
    s_assert_query(world, "SELECT severity_level, comment, image_url FROM el_modules", "0|NULL|photo.jpg");
    s_assert_query(world, "SELECT status, location FROM el_audits", "created|Pau");
}

static void test_deleted(void **state) {
    s_world_t *world = *state;
    /* Told once, by the newest of our commits that changed it. */
    const char *conflicts = "deleted @2 el_modules [id=2] [] ours [a row] theirs [no row]\n";
    s_theirs(world, "DELETE FROM el_modules WHERE id = 2");
    s_assert_conflicts(world, S_ZERO, conflicts);
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 1, restored 0, left 0\n"
                                        "el_audits: deleted 1, restored 3, left 0\n"
                                        "el_modules: deleted 2, restored 2, left 2, sequence kept\n"
                                        "interventions: deleted 1, restored 0, left 0\n"
                                        "projects: deleted 1, restored 0, left 0\n");
    s_keep_theirs(world, S_ZERO, conflicts, expected);
    free(expected);
    s_assert_query(world, "SELECT id FROM el_modules", "1");
}

static void test_child(void **state) {
    s_world_t *world = *state;
    s_theirs(world,
             "INSERT INTO el_collaborative_sessions (id, el_audit_id, audit_token, session_token) VALUES (7, 2, 'new', "
             "'theirs'); INSERT INTO photos VALUES (4, 'theirs.jpg')");
    /* A child is told with each reference that dangles. */
    const char *conflicts =
        "child @0 photos [module=4, path='theirs.jpg'] [module] ours [el_modules id=4] theirs [4]\n"
        "child @0 el_collaborative_sessions [id=7] [audit_token] ours [el_audits id=2] theirs ['new']\n"
        "child @0 el_collaborative_sessions [id=7] [el_audit_id] ours [el_audits id=2] theirs [2]\n";
    s_assert_conflicts(world, S_ZERO, conflicts);
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 0, restored 0, left 1, sequence kept\n"
                                        "el_audits: deleted 0, restored 3, left 1, sequence kept\n"
                                        "el_modules: deleted 2, restored 3, left 1, sequence kept\n"
                                        "interventions: deleted 0, restored 0, left 1, sequence kept\n"
                                        "projects: deleted 0, restored 0, left 1, sequence kept\n");
    s_keep_theirs(world, S_ZERO, conflicts, expected);
    free(expected);
    s_assert_query(world, "SELECT id FROM el_modules ORDER BY id", "1;4");
    s_assert_query(world, "SELECT id, audit_token FROM el_audits ORDER BY id", "1|own;2|new");
    s_assert_query(world, "SELECT id FROM clients ORDER BY id", "1;2");
    s_assert_query(world, "SELECT session_token FROM el_collaborative_sessions", "own-session;theirs");
}

/* Our rows may refer to our rows, and to be gone together is no conflict; nor is what was broken before we came. */
static void test_violations_of_their_own_are_no_conflict(void **state) {
    s_world_t *world = *state;
    s_theirs(
        world,
        "INSERT INTO iv_measurements (intervention_id, voc) VALUES (99, 1); UPDATE projects SET client_id = 77 WHERE "
        "id = 1");
    s_assert_query(world, "SELECT count(*) FROM pragma_foreign_key_check", "2");
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    assert_int_equal(s_call(world, S_ZERO, false, false, &report, &err), 0);
    assert_string_equal(err.text, "");
    pr_rollback_report_destroy(&report);
    s_assert_query(world, "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check ORDER BY 1",
                   "iv_measurements|1|interventions;"
                   "projects|1|clients");
    s_assert_query(world, "SELECT id FROM el_modules", "1");
}

static void test_unique(void **state) {
    s_world_t *world = *state;
    s_commit(world, "users 0 1", "UPDATE users SET email = 'anne@new.example' WHERE id = 1");
    s_theirs(world, "INSERT INTO users (id, email, name) VALUES (5, 'anne@hub.example', 'Anne again')");
    const char *conflicts = "unique @5 users [id=1] [] ours [its earlier values] theirs [another row that has them]\n";
    s_assert_conflicts(world, (pr_rollback_point_t){4, 2, true}, conflicts);
    s_keep_theirs(world, (pr_rollback_point_t){4, 2, true}, conflicts,
                  "from 5 to 4: 1 checkpoints\n"
                  "run 2 in part: 1 checkpoints, 2 records\n"
                  "users: deleted 0, restored 0, left 1\n"
                  "run 2 continues at 2\n");
    s_assert_query(world, "SELECT id, email FROM users ORDER BY id", "1|anne@new.example;5|anne@hub.example");
}

/* Rows of ours that passed a unique value on go back together, whatever their order. */
static void test_unique_among_ours_is_no_conflict(void **state) {
    s_world_t *world = *state;
    s_theirs(world,
             "INSERT INTO users (id, email, name) VALUES (2, 'bob@hub.example', 'Bob'), (3, 'zoe@hub.example', 'Zoé')");
    char *before = s_dump_data(world);
    s_commit(world, "users 0 3",
             "UPDATE users SET email = 'x' WHERE id = 1; UPDATE users SET email = 'anne@hub.example' WHERE id = 2; "
             "UPDATE users "
             "SET email = 'bob@hub.example' WHERE id = 3");
    s_commit(world, "users 0 2",
             "UPDATE users SET email = 'y' WHERE id = 3; UPDATE users SET email = 'bob@hub.example' WHERE id = 1");
    s_roll_back(world, (pr_rollback_point_t){4, 2, true},
                "from 6 to 4: 2 checkpoints\n"
                "run 2 in part: 2 checkpoints, 4 records\n"
                "users: deleted 0, restored 5, left 0\n"
                "run 2 continues at 2\n");
    s_assert_same_dump(world, before, false);
    free(before);
}

static void test_many_conflicts_are_counted(void **state) {
    s_world_t *world = *state;
    s_commit(world, "clients 10050 0",
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050) INSERT INTO clients "
             "(name) SELECT "
             "'many ' || i FROM n");
    s_theirs(world, "UPDATE clients SET name = 'theirs' WHERE name LIKE 'many%'");
    char *before = s_dump_all(world);
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    assert_int_equal(s_call(world, (pr_rollback_point_t){4, 2, true}, false, false, &report, &err), -PR_E_CONFLICT);
    assert_true(report->conflicts_total == 10050);
    assert_true(report->conflicts_count == PR_CONFLICTS_KEPT);
    for (size_t i = 0; i < report->conflicts_count; i++) {
        assert_string_equal(report->conflicts[i].column, "name");
        assert_string_equal(report->conflicts[i].theirs, "'theirs'");
    }
    pr_rollback_report_destroy(&report);
    s_assert_same_dump(world, before, true);
    free(before);
}

/* What an earlier value refers to may be gone, though nothing refers to it now. */
static void test_earlier_parent_is_gone(void **state) {
    s_world_t *world = *state;
    s_theirs(world, "INSERT INTO users (id, email, name) VALUES (2, 'bob@hub.example', 'Bob'); UPDATE el_modules SET "
                    "technician_id = 2 WHERE id = 1");
    s_commit(world, "el_modules 0 1", "UPDATE el_modules SET technician_id = 1, severity_level = 0 WHERE id = 1");
    s_theirs(world, "DELETE FROM users WHERE id = 2");
    const char *conflicts =
        "child @0 el_modules [id=1] [technician_id] ours [users: no such row any more] theirs [2]\n";
    s_assert_conflicts(world, (pr_rollback_point_t){4, 2, true}, conflicts);
    s_keep_theirs(world, (pr_rollback_point_t){4, 2, true}, conflicts,
                  "from 5 to 4: 1 checkpoints\n"
                  "run 2 in part: 1 checkpoints, 2 records\n"
                  "el_modules: deleted 0, restored 0, left 1\n"
                  "run 2 continues at 2\n");
    s_assert_query(world, "SELECT technician_id, severity_level FROM el_modules WHERE id = 1", "1|0");
}

/* ---- Schema ---- */

static void test_column_added(void **state) {
    s_world_t *world = *state;
    const char *conflicts = "schema @0 el_modules [] [gps] ours [none] theirs [TEXT]\n";
    s_theirs(world, "ALTER TABLE el_modules ADD COLUMN gps TEXT DEFAULT 'unknown'");
    s_assert_conflicts(world, S_ZERO, conflicts);
    /* What is new does not keep the rest from being undone. */
    s_keep_theirs(world, S_ZERO, conflicts, S_REPORT_ALL);
    s_assert_query(world, "SELECT id, severity_level, gps FROM el_modules", "1|0|unknown");
}

/* But what somebody wrote into the new column is a change like any other. */
static void test_column_added_and_filled(void **state) {
    s_world_t *world = *state;
    const char *conflicts = "schema @0 el_modules [] [gps] ours [none] theirs [TEXT]\n";
    s_theirs(
        world,
        "ALTER TABLE el_modules ADD COLUMN gps TEXT DEFAULT 'unknown'; UPDATE el_modules SET gps = '43.6, 1.4' WHERE "
        "id = 3");
    s_assert_conflicts(world, S_ZERO, conflicts);
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 0, restored 0, left 1, sequence kept\n"
                                        "el_audits: deleted 0, restored 3, left 1, sequence kept\n"
                                        "el_modules: deleted 2, restored 3, left 1, sequence kept\n"
                                        "interventions: deleted 0, restored 0, left 1, sequence kept\n"
                                        "projects: deleted 0, restored 0, left 1, sequence kept\n");
    s_keep_theirs(world, S_ZERO, conflicts, expected);
    free(expected);
    s_assert_query(world, "SELECT id, gps FROM el_modules", "1|unknown;3|43.6, 1.4");
}

/* Nothing can be played back into such a table: all of it is left, and the rows it hangs on. */
static void s_assert_blocked(s_world_t *world, const char *conflicts) {
    s_assert_conflicts(world, S_ZERO, conflicts);
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 0, restored 0, left 1, sequence kept\n"
                                        "el_audits: deleted 0, restored 3, left 1, sequence kept\n"
                                        "el_modules: deleted 0, restored 0, left 6, sequence kept\n"
                                        "interventions: deleted 0, restored 0, left 1, sequence kept\n"
                                        "projects: deleted 0, restored 0, left 1, sequence kept\n");
    s_keep_theirs(world, S_ZERO, conflicts, expected);
    free(expected);
    s_assert_query(world, "SELECT id, severity_level FROM el_modules ORDER BY id", "1|1;2|3;3|0;4|0");
    s_assert_query(world, "SELECT id, status FROM el_audits", "1|created;2|created");
}

static void test_column_dropped(void **state) {
    s_theirs(*state, "ALTER TABLE el_modules DROP COLUMN image_url");
    s_assert_blocked(*state, "schema @0 el_modules [] [image_url] ours [TEXT] theirs [none]\n");
}

static void test_column_renamed(void **state) {
    s_theirs(*state, "ALTER TABLE el_modules RENAME COLUMN image_url TO photo_url");
    s_assert_blocked(*state, "schema @0 el_modules [] [image_url] ours [TEXT] theirs [none]\n"
                             "schema @0 el_modules [] [photo_url] ours [none] theirs [TEXT]\n");
}

static void test_type_changed(void **state) {
    s_theirs(*state,
             "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'image_url          TEXT', "
             "'image_url          BLOB') WHERE name = 'el_modules'");
    s_assert_query(*state, "SELECT type FROM pragma_table_info('el_modules') WHERE name = 'image_url'", "BLOB");
    s_assert_blocked(*state, "schema @0 el_modules [] [image_url] ours [TEXT] theirs [BLOB]\n");
}

static void test_table_dropped(void **state) {
    s_world_t *world = *state;
    const char *conflicts = "schema @0 el_modules [] [] ours [a table] theirs [none]\n";
    s_theirs(world, "DROP TABLE photos; DROP VIEW v_el_audit_statistics; DROP TABLE el_modules");
    s_assert_conflicts(world, S_ZERO, conflicts);
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 1, restored 0, left 0\n"
                                        "el_audits: deleted 1, restored 3, left 0\n"
                                        "el_modules: deleted 0, restored 0, left 6, sequence kept\n"
                                        "interventions: deleted 1, restored 0, left 0\n"
                                        "projects: deleted 1, restored 0, left 0\n");
    s_keep_theirs(world, S_ZERO, conflicts, expected);
    free(expected);
    s_assert_query(world, "SELECT id, status FROM el_audits", "1|created");
}

static void test_other_schema_changes_are_no_conflict(void **state) {
    s_world_t *world = *state;
    s_theirs(world, "CREATE VIEW theirs AS SELECT id FROM el_modules; CREATE INDEX their_index ON el_modules (comment);"
                    "CREATE TRIGGER their_trigger AFTER DELETE ON el_modules BEGIN DELETE FROM users; END;"
                    "CREATE TRIGGER their_other AFTER UPDATE ON el_audits BEGIN DELETE FROM el_audits; END;"
                    "CREATE TABLE their_table (x); ALTER TABLE iv_measurements ADD COLUMN extra");
    s_roll_back(world, S_ZERO, S_REPORT_ALL);
    s_assert_query(world, "SELECT count(*) FROM users", "1");
    s_assert_query(world, "SELECT id, severity_level FROM el_modules ORDER BY id", "1|0");
    s_assert_query(world, "SELECT id, status FROM el_audits", "1|created");
}

/* The table was altered between two of our commits, and the writer went on with it. */
static void test_column_added_between_commits(void **state) {
    s_world_t *world = *state;
    s_theirs(world, "ALTER TABLE el_modules ADD COLUMN gps TEXT");
    s_commit(world, "el_modules 0 1", "UPDATE el_modules SET severity_level = 5 WHERE id = 1");
    s_roll_back(world, (pr_rollback_point_t){4, 2, true},
                "from 5 to 4: 1 checkpoints\n"
                "run 2 in part: 1 checkpoints, 2 records\n"
                "el_modules: deleted 0, restored 1, left 0\n"
                "run 2 continues at 2\n");
    s_assert_conflicts(world, (pr_rollback_point_t){3, 1, true},
                       "schema @0 el_modules [] [gps] ours [none] theirs [TEXT]\n");
}

/* ---- Counters ---- */

static void test_ids_that_others_took(void **state) {
    s_world_t *world = *state;
    s_theirs(world,
             "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string) "
             "VALUES (1, 'own', 'theirs', 1, 10)");
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 1, restored 0, left 0\n"
                                        "el_audits: deleted 1, restored 3, left 0\n"
                                        "el_modules: deleted 3, restored 3, left 0, sequence kept\n"
                                        "interventions: deleted 1, restored 0, left 0\n"
                                        "projects: deleted 1, restored 0, left 0\n");
    s_roll_back(world, S_ZERO, expected);
    free(expected);
    s_assert_query(
        world, "SELECT name, seq FROM sqlite_sequence WHERE name LIKE 'el_modules' OR name = 'el_audits' ORDER BY name",
        "el_audits|1;el_modules|5");
    s_assert_query(world, "SELECT id FROM el_modules", "1;5");
}

/* Even if they gave them back: an id is never used twice. */
static void test_ids_that_others_took_and_deleted(void **state) {
    s_world_t *world = *state;
    s_theirs(world, "INSERT INTO clients (name) VALUES ('theirs'); DELETE FROM clients WHERE name = 'theirs'");
    char *expected = s_join(S_ALL_RUNS, "clients: deleted 1, restored 0, left 0, sequence kept\n"
                                        "el_audits: deleted 1, restored 3, left 0\n"
                                        "el_modules: deleted 3, restored 3, left 0\n"
                                        "interventions: deleted 1, restored 0, left 0\n"
                                        "projects: deleted 1, restored 0, left 0\n");
    s_roll_back(world, S_ZERO, expected);
    free(expected);
    s_assert_query(world, "SELECT seq FROM sqlite_sequence WHERE name = 'clients'", "3");
}

/* A table that had no counter has none again. */
static void test_counter_that_was_not_there(void **state) {
    (void)state;
    s_world_t *world = s_make();
    s_exec(world->db,
           "DELETE FROM photos; DELETE FROM el_modules; DELETE FROM sqlite_sequence WHERE name = 'el_modules'");
    char *before = s_dump_data(world);
    s_begin_run(world);
    s_commit(world, "el_modules 1 0",
             "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string) "
             "VALUES "
             "(1, 'own', 'S1-9', 1, 9)");
    s_roll_back(world, S_ZERO,
                "from 1 to 0: 1 checkpoints\n"
                "run 1 whole: 1 checkpoints, 2 records\n"
                "el_modules: deleted 1, restored 0, left 0\n");
    s_assert_same_dump(world, before, false);
    free(before);
    s_destroy(world);
}

/* ---- Undo that is not there, or not right ---- */

static void s_assert_irreversible(s_world_t *world, const char *expected_tail) {
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    char *before = s_dump_all(world);
    char *expected = pr_xasprintf("%s: %s", world->path, expected_tail);
    assert_int_equal(s_call(world, S_ZERO, false, false, &report, &err), -PR_E_IRREVERSIBLE);
    assert_string_equal(err.text, expected);
    assert_null(report);
    s_assert_same_dump(world, before, true);
    free(expected);
    free(before);
}

static void test_undo_that_was_never_kept(void **state) {
    s_world_t *world = *state;
    s_commit_kind(world, "batch", false, "el_modules 0 1", "UPDATE el_modules SET severity_level = 5 WHERE id = 1");
    s_commit(world, "el_modules 0 1", "UPDATE el_modules SET severity_level = 6 WHERE id = 1");
    s_assert_irreversible(
        world, "checkpoint 5 of run 2 cannot be taken back: no undo was kept with it (--undo off); it is the "
               "earliest point that can be reached");
    s_roll_back(world, (pr_rollback_point_t){5, 2, true},
                "from 6 to 5: 1 checkpoints\n"
                "run 2 in part: 1 checkpoints, 2 records\n"
                "el_modules: deleted 0, restored 1, left 0\n"
                "run 2 continues at 4\n");
}

static void test_undo_that_was_sealed(void **state) {
    s_world_t *world = *state;
    s_exec(world->db,
           "DELETE FROM pvrelay_undo WHERE checkpoint <= 3; UPDATE pvrelay_run SET sealed_at = '2026-02-02 00:00:00' "
           "WHERE run = 1");
    s_assert_irreversible(
        world, "checkpoint 3 of run 1 cannot be taken back: the run was sealed at 2026-02-02 00:00:00; it is "
               "the earliest point that can be reached");
}

/* Every byte of an undo, turned over: it is noticed, or it makes no difference; nothing is half done. */
static void test_damaged_undo(void **state) {
    s_world_t *world = *state;
    char *before = s_dump_all(world);
    sqlite3_blob *blob = NULL;
    assert_int_equal(sqlite3_blob_open(world->db, "main", "pvrelay_undo", "changes", 2, 0, &blob), SQLITE_OK);
    int size = sqlite3_blob_bytes(blob);
    sqlite3_blob_close(blob);
    assert_true(size > 50);
    int noticed = 0;
    for (int at = 0; at < size; at++) {
        unsigned char byte = 0;
        assert_int_equal(sqlite3_blob_open(world->db, "main", "pvrelay_undo", "changes", 2, 1, &blob), SQLITE_OK);
        assert_int_equal(sqlite3_blob_read(blob, &byte, 1, at), SQLITE_OK);
        byte ^= (unsigned char)(1 << at % 8);
        assert_int_equal(sqlite3_blob_write(blob, &byte, 1, at), SQLITE_OK);
        sqlite3_blob_close(blob);
        char *damaged = s_dump_all(world);
        pr_error_t err = PR_ERROR_INIT;
        pr_rollback_report_t *report = NULL;
        int result = s_call(world, S_ZERO, true, false, &report, &err);
        pr_rollback_report_destroy(&report);
        if (result != 0) {
            assert_int_equal(result, -PR_E_TARGET);
            if (strstr(err.text, ": the undo of checkpoint 2 is damaged: ") == NULL)
                fail_msg("byte %d: %s", at, err.text);
            noticed++;
        }
        s_assert_same_dump(world, damaged, true);
        free(damaged);
        assert_int_equal(sqlite3_blob_open(world->db, "main", "pvrelay_undo", "changes", 2, 1, &blob), SQLITE_OK);
        byte ^= (unsigned char)(1 << at % 8);
        assert_int_equal(sqlite3_blob_write(blob, &byte, 1, at), SQLITE_OK);
        sqlite3_blob_close(blob);
    }
    assert_true(noticed > size * 9 / 10);
    s_assert_same_dump(world, before, true);
    free(before);
}

static void s_assert_damaged(const s_world_t *world, const char *expected_tail) {
    pr_error_t err = PR_ERROR_INIT;
    pr_rollback_report_t *report = NULL;
    char *before = s_dump_all(world);
    char *expected = pr_xasprintf("%s: %s", world->path, expected_tail);
    assert_int_equal(s_call(world, S_ZERO, false, false, &report, &err), -PR_E_TARGET);
    assert_string_equal(err.text, expected);
    assert_null(report);
    s_assert_same_dump(world, before, true);
    free(expected);
    free(before);
}

/* What unpacks well and is no changeset. */
static void test_undo_that_is_no_changeset(void **state) {
    s_world_t *world = *state;
    static const char text[] = "no changeset at all";
    char packed[256];
    size_t size = ZSTD_compress(packed, sizeof packed, text, sizeof text, 1);
    assert_false(ZSTD_isError(size));
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(world->db,
                                        "UPDATE pvrelay_undo SET size = ?1, changes = ?2 WHERE checkpoint = 2", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(statement, 1, sizeof text);
    sqlite3_bind_blob(statement, 2, packed, (int)size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    s_assert_damaged(
        world,
        "the undo of checkpoint 2 is damaged: at byte 1 of its changeset a change is of no table; nothing was changed");
}

static void test_size_of_undo_is_wrong(void **state) {
    s_exec(((s_world_t *)*state)->db, "UPDATE pvrelay_undo SET size = size + 1 WHERE checkpoint = 1");
    s_assert_damaged(*state,
                     "the undo of checkpoint 1 is damaged: its size is not what was stored; nothing was changed");
}

/* ---- Recording ---- */

static void s_assert_refused(const s_world_t *world, const char *table, const char *expected_tail) {
    pr_error_t err = PR_ERROR_INIT;
    pr_undo_t *undo = NULL;
    const char *tables[] = {"users", table};
    char *expected = pr_xasprintf("%s: table %s %s", world->path, table, expected_tail);
    assert_int_equal(pr_undo_new(world->db, tables, 2, &undo, &err), -PR_E_TARGET_SCHEMA);
    assert_string_equal(err.text, expected);
    assert_null(undo);
    free(expected);
}

static void test_tables_that_cannot_be_recorded(void **state) {
    s_world_t *world = *state;
    s_exec(world->db, "CREATE TABLE no_key (x); CREATE TABLE no_key_but_unique (x INTEGER UNIQUE);"
                      "CREATE TABLE computed (id INTEGER PRIMARY KEY, x, y AS (x + 1))");
    s_assert_refused(
        world, "no_key",
        "has no primary key, so that changes of it cannot be taken back; give it one, or keep no undo (--undo off)");
    s_assert_refused(
        world, "no_key_but_unique",
        "has no primary key, so that changes of it cannot be taken back; give it one, or keep no undo (--undo off)");
    s_assert_refused(world, "computed",
                     "has generated columns, so that changes of it cannot be taken back; keep no undo (--undo off)");
}

/* A transaction that is rolled back leaves no undo, and the next one records itself only. */
static void test_recording_after_a_dropped_transaction(void **state) {
    s_world_t *world = *state;
    pr_error_t err = PR_ERROR_INIT;
    char *before = s_dump_data(world);
    s_exec(world->db, "BEGIN IMMEDIATE");
    assert_int_equal(pr_undo_begin(world->undo, &err), 0);
    s_exec(world->db, "UPDATE users SET name = 'x'; ROLLBACK");
    pr_undo_drop(world->undo);
    s_commit(world, "el_modules 0 1", "UPDATE el_modules SET severity_level = 6 WHERE id = 1");
    s_roll_back(world, (pr_rollback_point_t){4, 2, true},
                "from 5 to 4: 1 checkpoints\n"
                "run 2 in part: 1 checkpoints, 2 records\n"
                "el_modules: deleted 0, restored 1, left 0\n"
                "run 2 continues at 2\n");
    s_assert_same_dump(world, before, false);
    free(before);
}

/* A commit that changed nothing, and one that changed something back and forth. */
static void test_commits_that_changed_nothing(void **state) {
    s_world_t *world = *state;
    s_commit(world, "", "");
    s_commit(world, "", "UPDATE users SET name = 'x'; UPDATE users SET name = 'Anne'");
    s_assert_query(world, "SELECT checkpoint, size, length(changes) FROM pvrelay_undo WHERE checkpoint > 4",
                   "5|0|0;6|0|0");
    s_roll_back(world, (pr_rollback_point_t){4, 2, true},
                "from 6 to 4: 2 checkpoints\n"
                "run 2 in part: 2 checkpoints, 4 records\n"
                "run 2 continues at 2\n");
    s_assert_same_dump(world, world->end, false);
}

/*  What a transaction takes back itself is rewound: by ROLLBACK TO, and by a statement that fails after it has changed
 *  something. Rows that were changed before the mark, and again after it, keep what was recorded before. */
static void test_rewinding(void **state) {
    s_world_t *world = *state;
    pr_error_t err = PR_ERROR_INIT;
    char *before = s_dump_data(world);
    s_exec(world->db, "BEGIN IMMEDIATE");
    assert_int_equal(pr_undo_begin(world->undo, &err), 0);
    s_exec(world->db,
           "INSERT INTO pvrelay_checkpoint (checkpoint, run, kind, source, first_ordinal, records, begin_offset, "
           "end_offset, digest, inserted, updated, unchanged, rejected, rows_inserted, rows_updated, committed_at) "
           "VALUES (5, 2, 'batch', 0, 2, 1, 20, 30, '0', 0, 0, 0, 0, 0, 0, 't');"
           "INSERT INTO pvrelay_checkpoint_rows VALUES (5, 'el_modules', 1, 1), (5, 'users', 0, 1)");
    s_exec(world->db,
           "UPDATE users SET name = 'x'; INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, "
           "string_number, position_in_string) VALUES (1, 'own', 'first', 1, 1)");
    pr_undo_mark(world->undo);
    s_exec(world->db,
           "SAVEPOINT a; UPDATE users SET name = 'y', role = 'z'; DELETE FROM el_modules WHERE module_identifier = "
           "'first'; INSERT INTO users (email, name) VALUES ('x', 'x'); ROLLBACK TO a; RELEASE a");
    pr_undo_rewind(world->undo);
    s_exec(world->db, "UPDATE users SET role = 'admin'");
    pr_undo_mark(world->undo);
    /* The row is there until the statement ends, and its foreign key is looked at. */
    assert_int_equal(sqlite3_exec(world->db,
                                  "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, "
                                  "string_number, position_in_string) VALUES (99, 'own', 'orphan', 1, 1)",
                                  NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    pr_undo_rewind(world->undo);
    s_exec(world->db, "UPDATE el_modules SET severity_level = 8 WHERE id = 1");
    assert_int_equal(pr_undo_store(world->undo, 5, &err), 0);
    s_exec(world->db, "COMMIT");
    s_assert_query(world, "SELECT name, role FROM users", "x|admin");
    s_roll_back(world, (pr_rollback_point_t){4, 2, true},
                "from 5 to 4: 1 checkpoints\n"
                "run 2 in part: 1 checkpoints, 1 records\n"
                "el_modules: deleted 1, restored 1, left 0\n"
                "users: deleted 0, restored 1, left 0\n"
                "run 2 continues at 2\n");
    s_assert_same_dump(world, before, false);
    free(before);
}

/* Values of every type come back as they were. */
static void test_values(void **state) {
    s_world_t *world = *state;
    s_theirs(world,
             "UPDATE el_audits SET completion_rate = 33.25, location = 'a' || char(0) || 'b', configuration_json = "
             "x'00ff00', status = '' WHERE id = 1; UPDATE el_modules SET physical_row = 9223372036854775807, "
             "physical_col = -9223372036854775808, severity_level = 1.5 WHERE id = 1");
    char *before = s_dump_data(world);
    s_assert_query(world, "SELECT hex(location), typeof(configuration_json) FROM el_audits WHERE id = 1",
                   "610062|blob");
    s_commit(world, "el_audits 0 1, el_modules 0 1",
             "UPDATE el_audits SET completion_rate = 1, location = NULL, configuration_json = 'x', status = NULL WHERE "
             "id = 1;"
             "UPDATE el_modules SET physical_row = 0, physical_col = NULL, severity_level = 'text' WHERE id = 1");
    s_roll_back(world, (pr_rollback_point_t){4, 2, true},
                "from 5 to 4: 1 checkpoints\n"
                "run 2 in part: 1 checkpoints, 2 records\n"
                "el_audits: deleted 0, restored 1, left 0\n"
                "el_modules: deleted 0, restored 1, left 0\n"
                "run 2 continues at 2\n");
    s_assert_same_dump(world, before, false);
    s_assert_query(world, "SELECT hex(location), hex(configuration_json) FROM el_audits WHERE id = 1", "610062|00FF00");
    free(before);
}

/* ---- Another file in the target's place ---- */

static const s_world_t *s_moves; /* whose target is renamed in the midst of the rollback; NULL: it stays */
static bool s_moves_now;

/* The rollback has looked which file it has when it has counted the tables; so before the statement after that. */
static int s_on_statement(unsigned kind, void *context, void *statement, void *text) {
    (void)kind;
    (void)context;
    (void)statement;
    char elsewhere[128];
    if (s_moves_now) {
        snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", s_moves->folder);
        assert_int_equal(rename(s_moves->path, elsewhere), 0);
        s_moves = NULL;
    }
    s_moves_now = s_moves != NULL && strcmp(text, "SELECT count(*) FROM sqlite_master") == 0;
    return 0;
}

static int s_on_open(sqlite3 *db, const char **error, const struct sqlite3_api_routines *api) {
    (void)error;
    (void)api;
    if (s_moves != NULL)
        sqlite3_trace_v2(db, SQLITE_TRACE_STMT, s_on_statement, NULL);
    return SQLITE_OK;
}

/* Renamed under the rollback: nothing is changed, neither in the file that it had nor where that was. */
static void test_moved_meanwhile(void **state) {
    s_world_t *world = *state;
    pr_rollback_point_t point;
    pr_rollback_report_t *report = NULL;
    pr_error_t err = PR_ERROR_INIT;
    const pr_rollback_options_t options = {.reason = PR_ROLLBACK_OPERATOR};
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", world->folder);
    assert_int_equal(pr_rollback_point_start(world->db, 1, &point, &err), 0);
    s_moves = world;
    assert_int_equal(pr_rollback(world->path, &point, &options, &report, &err), -PR_E_TARGET);
    assert_null(s_moves); /* it was */
    assert_null(report);
    assert_non_null(strstr(err.text, "hub.db: is no longer the file that was opened"));
    assert_int_equal(access(world->path, F_OK), -1);
    assert_int_equal(rename(elsewhere, world->path), 0);
    char *after = s_dump_data(world);
    assert_string_equal(after, world->end);
    free(after);
    pr_error_clear(&err);
    assert_int_equal(pr_rollback(world->path, &point, &options, &report, &err), 0);
    pr_rollback_report_destroy(&report);
    after = s_dump_data(world);
    assert_string_equal(after, world->start);
    free(after);
}

/* ---- interrupted ---- */

static int s_left; /* steps of SQLite's machine until it is interrupted */

static int s_on_step(void *context) {
    (void)context;
    return --s_left == 0 ? 1 : 0; /* once, as sqlite3_interrupt() */
}

/* Every connection that is opened from now on. */
static int s_watch(sqlite3 *db, char **why, const struct sqlite3_api_routines *api) {
    (void)why;
    (void)api;
    sqlite3_progress_handler(db, 1, s_on_step, NULL);
    return SQLITE_OK;
}

/*  Wherever in SQLite it is: that is what it says, and nothing is changed. The next place is 6 % further on each time. */
static void test_interrupted_anywhere(void **state) {
    s_world_t *world = *state;
    char *before = s_dump_all(world);
    int result = -1;
    size_t interrupted = 0;
    for (int steps = 1; result < 0; steps += steps / 16 + 1) {
        pr_error_t err = PR_ERROR_INIT;
        pr_rollback_report_t *report = NULL;
        assert_int_equal(sqlite3_auto_extension((void (*)(void))s_watch), SQLITE_OK);
        s_left = steps;
        result = s_call(world, S_ZERO, false, false, &report, &err);
        sqlite3_cancel_auto_extension((void (*)(void))s_watch);
        pr_rollback_report_destroy(&report);
        if (result == 0)
            break;
        interrupted++;
        if (result != -PR_E_INTERRUPTED || strstr(err.text, "interrupted") == NULL)
            fail_msg("after %d steps: %s: %s", steps, pr_error_name(result), err.text);
        char *after = s_dump_all(world);
        assert_string_equal(after, before);
        free(after);
    }
    assert_true(interrupted > 50);
    s_assert_same_dump(world, world->start, false);
    free(before);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_conflict),
        TEST(test_step_by_step),
        TEST(test_dry_run_leaves_everything),
        TEST(test_interrupted_anywhere),
        TEST(test_rejects_and_retries),
        TEST(test_outcome_of_what_is_taken_back),
        TEST(test_changed_after_insert),
        TEST(test_changed_after_update),
        TEST(test_no_conflict_in_other_columns),
        TEST(test_deleted),
        TEST(test_child),
        TEST(test_violations_of_their_own_are_no_conflict),
        TEST(test_unique),
        TEST(test_unique_among_ours_is_no_conflict),
        TEST(test_earlier_parent_is_gone),
        TEST(test_many_conflicts_are_counted),
        TEST(test_column_added),
        TEST(test_column_added_and_filled),
        TEST(test_column_dropped),
        TEST(test_column_renamed),
        TEST(test_type_changed),
        TEST(test_table_dropped),
        TEST(test_other_schema_changes_are_no_conflict),
        TEST(test_column_added_between_commits),
        TEST(test_ids_that_others_took),
        TEST(test_ids_that_others_took_and_deleted),
        TEST(test_counter_that_was_not_there),
        TEST(test_undo_that_was_never_kept),
        TEST(test_undo_that_was_sealed),
        TEST(test_damaged_undo),
        TEST(test_undo_that_is_no_changeset),
        TEST(test_size_of_undo_is_wrong),
        TEST(test_tables_that_cannot_be_recorded),
        TEST(test_recording_after_a_dropped_transaction),
        TEST(test_commits_that_changed_nothing),
        TEST(test_rewinding),
        TEST(test_values),
        TEST(test_moved_meanwhile),
    };
    sqlite3_auto_extension((void (*)(void))s_on_open);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
