/* SPDX-License-Identifier: MIT */
/* A target, exports, and runs of them in one process: what the property test of rollback plays with. */

/*  DESIGN
 *
 *  A case is a script of runs (an export each) that is played through the project's own code: the reader's batches, the
 *  transformer's function, the target. After every commit the case takes a mark: what everything looked like then. A
 *  rollback takes the marks after its point away, and the script is played on from there.
 *
 *  Other users, where a case has them, write clients and projects of their own between commits. These rows stay when we
 *  go back, so dumps leave them out, and the counters of these two tables are worked out from the marks: a counter goes
 *  back through the commits, newest first, as long as it is what the commit left. When the script is played on, our own
 *  clients and projects may get other ids than the first time; a loose dump leaves those ids out and names the rows
 *  instead.
 */
#include "tests/unit/writer/rollback_world.h"

#include <endian.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/read_at.h"
#include "reader/batch.h"
#include "tests/unit/folder.h"
#include "transformer/transform.h"

static const char S_MIGRATIONS[] = PR_SOURCE_DIR "/migrations";
static const char *const S_SHARED_TABLES[RW_SHARED] = {"clients", "projects"};

/* ---- Chance and failure
 * ----------------------------------------------------------------------------------------------- */

static uint64_t s_mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t rw_chance(rw_case_t *the_case, uint64_t below) {
    the_case->chance = s_mix(the_case->chance);
    return the_case->chance % below;
}

void rw_fail(const rw_case_t *the_case, const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail_msg("PVRELAY_SEED=%" PRIu64 " PVRELAY_CASES=1: %s", the_case->seed, text);
    abort();
}

/* The line that begins at or before `at`, cut for a message. */
static int s_line(const char *text, size_t at, const char **ret_begin) {
    size_t begin = at;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    *ret_begin = text + begin;
    size_t size = strcspn(text + begin, "\n");
    return (int)(size > 1500 ? 1500 : size);
}

void rw_assert_same(const rw_case_t *the_case, const char *what, const char *expected, const char *found) {
    size_t at = 0;
    while (expected[at] != '\0' && expected[at] == found[at])
        at++;
    if (expected[at] == found[at])
        return;
    const char *lines[2];
    int sizes[2] = {s_line(expected, at, &lines[0]), s_line(found, at, &lines[1])};
    rw_fail(the_case, "%s differs:\n  expected %.*s\n  found    %.*s", what, sizes[0], lines[0], sizes[1], lines[1]);
}

/* ---- SQL
 * -------------------------------------------------------------------------------------------------------------- */

static sqlite3 *s_connect(const char *path) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return db;
}

static void s_exec(sqlite3 *db, const char *sql) {
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static sqlite3_stmt *s_prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return statement;
}

/* The onlooker asks the same questions all the time: each is prepared once. */
struct rw_questions {
    struct {
        char *sql;
        sqlite3_stmt *statement;
    } at[96];
    size_t count;
};

static sqlite3_stmt *s_question(const rw_case_t *the_case, const char *sql) {
    struct rw_questions *questions = the_case->questions;
    for (size_t i = 0; i < questions->count; i++) {
        if (strcmp(questions->at[i].sql, sql) == 0)
            return questions->at[i].statement;
    }
    RW_CHECK(the_case, questions->count < sizeof questions->at / sizeof questions->at[0]);
    sqlite3_stmt *statement = s_prepare(the_case->db, sql);
    questions->at[questions->count].sql = pr_xstrdup(sql);
    questions->at[questions->count++].statement = statement;
    return statement;
}

void rw_look(rw_case_t *the_case) {
    if (the_case->db != NULL)
        return;
    the_case->db = s_connect(the_case->path);
    the_case->questions = pr_xcalloc(1, sizeof *the_case->questions);
}

void rw_look_away(rw_case_t *the_case) {
    struct rw_questions *questions = the_case->questions;
    for (size_t i = 0; questions != NULL && i < questions->count; i++) {
        sqlite3_finalize(questions->at[i].statement);
        free(questions->at[i].sql);
    }
    free(questions);
    sqlite3_close(the_case->db);
    the_case->questions = NULL;
    the_case->db = NULL;
}

int64_t rw_ask(const rw_case_t *the_case, const char *sql, int64_t parameter) {
    sqlite3_stmt *statement = s_question(the_case, sql);
    if (sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, parameter);
    if (sqlite3_step(statement) != SQLITE_ROW)
        rw_fail(the_case, "%s: no row", sql);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return value;
}

int64_t rw_counter(const rw_case_t *the_case, size_t table) {
    sqlite3_stmt *statement = s_question(the_case, "SELECT seq FROM sqlite_sequence WHERE name = ?1");
    sqlite3_bind_text(statement, 1, S_SHARED_TABLES[table], -1, SQLITE_STATIC);
    int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_reset(statement);
    return value;
}

/* ---- Dumps
 * ------------------------------------------------------------------------------------------------------------ */

/* Long ones as their digest. */
static void s_put_bytes(FILE *out, const unsigned char *data, int size) {
    if (size > 400) {
        fprintf(out, "%d bytes, %016" PRIx64, size, (uint64_t)XXH3_64bits(data, (size_t)size));
        return;
    }
    for (int i = 0; i < size; i++) {
        if (data[i] < 0x20 || data[i] == '\\')
            fprintf(out, "\\%02x", data[i]);
        else
            putc_unlocked(data[i], out);
    }
}

static void s_put_value(FILE *out, sqlite3_stmt *row, int column) {
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        fprintf(out, "%lld", (long long)sqlite3_column_int64(row, column));
        break;
    case SQLITE_FLOAT:
        fprintf(out, "real %.17g", sqlite3_column_double(row, column));
        break;
    case SQLITE_NULL:
        fputs("NULL", out);
        break;
    default:
        fputs(sqlite3_column_type(row, column) == SQLITE_TEXT ? "'" : "x'", out);
        s_put_bytes(out, sqlite3_column_blob(row, column), sqlite3_column_bytes(row, column));
        fputc('\'', out);
        break;
    }
}

static bool s_is_theirs(sqlite3_stmt *row) {
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        if (sqlite3_column_type(row, i) == SQLITE_TEXT &&
            strncmp((const char *)sqlite3_column_text(row, i), "another user's", 14) == 0)
            return true;
    }
    return false;
}

/* Is this a column whose value depends on what others wrote? */
static bool s_loose_column(const char *table, const char *column) {
    return (strcmp(table, "clients") == 0 && strcmp(column, "id") == 0) ||
           (strcmp(table, "projects") == 0 && (strcmp(column, "id") == 0 || strcmp(column, "client_id") == 0)) ||
           (strcmp(table, "interventions") == 0 && strcmp(column, "project_id") == 0);
}

static void s_put_row(FILE *out, const char *label, sqlite3_stmt *row, bool loose) {
    fputs(label, out);
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        if (loose && s_loose_column(label, sqlite3_column_name(row, i)))
            continue;
        fputs(i == 0 ? ": " : ", ", out);
        s_put_value(out, row, i);
    }
    fputc('\n', out);
}

/* All rows that a query gives, labelled; whose: 0 all, 1 without others', -1 only others'. */
static void s_put_query(FILE *out, const rw_case_t *the_case, const char *label, const char *sql, int64_t parameter,
                        bool loose, int whose) {
    sqlite3_stmt *row = s_question(the_case, sql);
    if (sqlite3_bind_parameter_count(row) > 0)
        sqlite3_bind_int64(row, 1, parameter);
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW) {
        if (whose == 0 || s_is_theirs(row) == (whose < 0))
            s_put_row(out, label, row, loose);
    }
    RW_CHECK(the_case, step == SQLITE_DONE);
    sqlite3_reset(row);
}

static void s_put_tables(FILE *out, const rw_case_t *the_case, bool loose, int whose) {
    sqlite3_stmt *tables = s_question(
        the_case,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'pvrelay\\_%' ESCAPE '\\' AND name "
        "NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'd1_migrations' ORDER BY name");
    while (sqlite3_step(tables) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(tables, 0);
        char *sql = pr_xasprintf("SELECT * FROM \"%s\" ORDER BY 1", table);
        s_put_query(out, the_case, table, sql, 0, loose, whose);
        free(sql);
    }
    sqlite3_reset(tables);
}

char *rw_dump(const rw_case_t *the_case, bool loose) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    s_put_tables(out, the_case, loose, 1);
    s_put_query(out, the_case, "sqlite_sequence",
                "SELECT name, seq FROM sqlite_sequence WHERE name NOT LIKE 'pvrelay\\_%' ESCAPE '\\' AND name NOT IN "
                "('clients', 'projects', 'd1_migrations') ORDER BY name",
                0, false, 0);
    s_put_query(out, the_case, "sqlite_master",
                "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                "ORDER BY type, name",
                0, false, 0);
    if (loose)
        s_put_query(
            out, the_case, "belongs",
            "SELECT i.id, i.notes, p.name, p.site_address, c.name FROM interventions AS i JOIN projects AS p ON "
            "p.id = i.project_id JOIN clients AS c ON c.id = p.client_id ORDER BY i.id",
            0, false, 0);
    fclose(out);
    return text;
}

char *rw_dump_theirs(const rw_case_t *the_case) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    s_put_tables(out, the_case, false, -1);
    fclose(out);
    return text;
}

char *rw_books(const rw_case_t *the_case, int64_t run) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    s_put_query(out, the_case, "run",
                "SELECT run, id, state, source, ordinal, \"offset\" FROM pvrelay_run WHERE run = ?1", run, false, 0);
    s_put_query(
        out, the_case, "checkpoint",
        "SELECT checkpoint, kind, source, first_ordinal, records, begin_offset, end_offset, digest, inserted, "
        "updated, unchanged, rejected, rows_inserted, rows_updated FROM pvrelay_checkpoint WHERE run = ?1 ORDER "
        "BY checkpoint",
        run, false, 0);
    s_put_query(
        out, the_case, "rows",
        "SELECT r.* FROM pvrelay_checkpoint_rows AS r JOIN pvrelay_checkpoint USING (checkpoint) WHERE run = ?1 "
        "ORDER BY checkpoint, table_name",
        run, false, 0);
    s_put_query(
        out, the_case, "undo",
        "SELECT checkpoint, size, changes FROM pvrelay_undo JOIN pvrelay_checkpoint USING (checkpoint) WHERE run "
        "= ?1 ORDER BY checkpoint",
        run, false, 0);
    s_put_query(out, the_case, "finding", "SELECT * FROM pvrelay_finding WHERE run = ?1 ORDER BY kind, stream, field",
                run, false, 0);
    s_put_query(out, the_case, "touched", "SELECT * FROM pvrelay_touched WHERE run = ?1 ORDER BY table_name, row_id",
                run, false, 0);
    s_put_query(out, the_case, "made", "SELECT * FROM pvrelay_made WHERE run = ?1 ORDER BY table_name, row_id", run,
                false, 0);
    s_put_query(
        out, the_case, "digest",
        "SELECT d.* FROM pvrelay_row_digest AS d JOIN pvrelay_checkpoint USING (checkpoint) WHERE run = ?1 ORDER BY "
        "checkpoint, table_name, page",
        run, false, 0);
    s_put_query(out, the_case, "reject", "SELECT * FROM pvrelay_reject WHERE run = ?1 ORDER BY reject", run, false, 0);
    fclose(out);
    return text;
}

/* ---- What the cases share
 * -------------------------------------------------------------------------------------------- */

static char *s_read_file(const char *path) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = NULL;
    size_t room = 0;
    assert_true(getdelim(&text, &room, '\0', file) > 0);
    fclose(file);
    return text;
}

/* In place: every `from` becomes `to`, which must not be longer. */
static void s_replace(char *text, const char *from, const char *to) {
    for (char *at = text; (at = strstr(at, from)) != NULL; at += strlen(to)) {
        memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
        for (size_t i = 0; to[i] != '\0'; i++)
            at[i] = to[i];
    }
}

/* The HUB's own migrations: other names of triggers, no index that only we need, books of its own. */
static void s_make_hub(sqlite3 *db, bool more_columns) {
    char *schema = s_read_file(PR_SOURCE_DIR "/migrations/0001_unified_schema.sql");
    s_replace(schema, "TRIGGER el_modules_updated_at", "TRIGGER hub_modules_updated");
    s_replace(schema, "TRIGGER el_audits_updated_at", "TRIGGER hub_audits_updated");
    s_exec(db,
           "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP "
           "DEFAULT CURRENT_TIMESTAMP NOT NULL); INSERT INTO d1_migrations (name) VALUES ('0001_core.sql')");
    s_exec(db, schema);
    s_exec(db, "DROP INDEX idx_clients_name; DROP INDEX idx_projects_client; DROP INDEX idx_interventions_project;"
               "CREATE TRIGGER hub_audit_log AFTER INSERT ON el_modules BEGIN UPDATE el_audits SET total_modules = "
               "total_modules + 1 WHERE id = NEW.el_audit_id; END");
    if (more_columns)
        s_exec(db, "ALTER TABLE el_modules ADD COLUMN gps TEXT DEFAULT 'unknown';"
                   "ALTER TABLE el_audits ADD COLUMN weight REAL DEFAULT 2;"
                   "ALTER TABLE users ADD COLUMN picture BLOB DEFAULT x'00ff';"
                   "CREATE TABLE photos (module INTEGER REFERENCES el_modules (id) ON DELETE CASCADE, path TEXT, "
                   "PRIMARY KEY (module, path)) WITHOUT ROWID;"
                   "CREATE TABLE notes (text); INSERT INTO notes VALUES (1), (1.5), (x'00'), (NULL)");
    free(schema);
}

/* Rows of the target's own, in every table that a run may write to, and beside. */
static const char S_OWN_ROWS[] =
    "INSERT INTO users (id, email, name, role) VALUES (7, 'anne@hub.example', 'Anne', 'admin'), (9, 'zoe@hub.example', "
    "'Zoé Béranger', 'technician');"
    "INSERT INTO clients (id, name, contact_email) VALUES (5, 'Solaïa 1', 'contact@solaia.example');"
    "INSERT INTO projects (id, client_id, name, site_address) VALUES (3, 5, 'Toiture nord', 'Pau');"
    "INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date) VALUES (9, 3, 7, "
    "'el', '2024-02-01'), (11, 3, 9, 'iv', '2024-02-02');"
    "INSERT INTO el_audits (id, intervention_id, audit_token, project_name, client_name, string_count, "
    "modules_per_string, "
    "total_modules, completion_rate) VALUES (4, 9, 'hub-1', 'Toiture nord', 'Solaïa 1', 1, 2, 2, 33.5);"
    "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number, position_in_string, "
    "defect_type, comment) VALUES (6, 4, 'hub-1', 'S1-1', 1, 1, 'none', 'à elle' || char(0) || 'x'), (7, 4, 'hub-1', "
    "'S1-2', 1, 2, 'pending', NULL);"
    "INSERT INTO el_collaborative_sessions (el_audit_id, audit_token, technician_id, session_token) VALUES (4, "
    "'hub-1', 7, "
    "'session-1');"
    "INSERT INTO iv_measurements (intervention_id, voc, pmax) VALUES (11, 41, 305.25);";

static void s_make_template(rw_shared_t *shared, size_t which) {
    pr_error_t err = PR_ERROR_INIT;
    snprintf(shared->template[which], sizeof shared->template[which], "%s/template-%zu.db", shared->folder, which);
    sqlite3 *db = s_connect(shared->template[which]);
    if (which > 0)
        s_make_hub(db, which == 2);
    pr_migrations_t *applied = NULL;
    pr_migrate_apply(db, S_MIGRATIONS, &applied, &err);
    assert_string_equal(err.text, "");
    pr_migrations_destroy(&applied);
    if (which > 0)
        s_exec(db, S_OWN_ROWS);
    sqlite3_close(db);
}

static void s_generate(const rw_shared_t *shared, uint64_t seed, unsigned family, unsigned revision) {
    static const char *const traps[][2] = {
        {"unknown-status=2", "nul-character"}, {"orphan-module=2", "text-null=9"}, {"null-text", "wrong-type"},
        {"duplicate-module=2", "extra-field"}, {"orphan-module", "duplicate-key"}, {"integer-2-53", "duplicate-module"},
    };
    char *out = pr_xasprintf("%s/exports-%u-%u", shared->folder, family, revision);
    char *audits = pr_xasprintf("%" PRIu64, 1 + s_mix(seed + family) % 3);
    char *modules = pr_xasprintf("%" PRIu64, 4 + s_mix(seed + family + 100) % 9);
    char *edits = pr_xasprintf("%u", revision);
    char *numbers = pr_xasprintf("%" PRIu64, s_mix(seed + family + 200) % 100000);
    const char *const *trap = traps[s_mix(seed + family * 10 + revision) % (sizeof traps / sizeof traps[0])];
    const char *layout = family % 3 == 1 ? "per-audit" : "pair";
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout) != NULL)
            execl(PR_EXPORT_GEN, PR_EXPORT_GEN, "--out", out, "--audits", audits, "--modules-per-audit", modules,
                  "--seed", numbers, "--revision", edits, "--layout", layout, "--trap", trap[0], "--trap", trap[1],
                  (char *)NULL);
        _exit(127);
    }
    int status = -1;
    assert_true(waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    free(out);
    free(audits);
    free(modules);
    free(edits);
    free(numbers);
}

static void s_read_token(rw_shared_t *shared, unsigned family) {
    char path[128];
    snprintf(path, sizeof path, "%s/exports-%u-0/audits.json", shared->folder, family);
    json_t *root = json_load_file(path, 0, NULL);
    const json_t *token =
        json_object_get(json_array_get(json_object_get(json_array_get(root, 0), "results"), 0), "token");
    assert_non_null(token);
    snprintf(shared->token[family], sizeof shared->token[family], "%s", json_string_value(token));
    json_decref(root);
}

void rw_shared_make(rw_shared_t *ret_shared, uint64_t seed) {
    pr_error_t err = PR_ERROR_INIT;
    memset(ret_shared, 0, sizeof *ret_shared);
    /* Real settings, real syncs: a file system in memory makes them cheap. */
    const char *base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(ret_shared->folder, sizeof ret_shared->folder, "%s/pvrelay-rollback-XXXXXX", base);
    assert_non_null(mkdtemp(ret_shared->folder));
    pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &ret_shared->mapping, &err);
    assert_string_equal(err.text, "");
    for (size_t i = 0; i < RW_TEMPLATES; i++)
        s_make_template(ret_shared, i);
    for (unsigned family = 0; family < RW_FAMILIES; family++) {
        for (unsigned revision = 0; revision < RW_REVISIONS; revision++)
            s_generate(ret_shared, seed, family, revision);
        s_read_token(ret_shared, family);
    }
}

void rw_shared_remove(rw_shared_t *shared) {
    pr_mapping_destroy(&shared->mapping);
    assert_int_equal(pr_test_folder_remove(shared->folder), 0);
}

/* ---- A case
 * ------------------------------------------------------------------------------------------------------------ */

static void s_copy_file(const char *from, const char *to) {
    FILE *in = fopen(from, "r");
    FILE *out = fopen(to, "w");
    assert_non_null(in);
    assert_non_null(out);
    char bytes[65536];
    size_t got;
    while ((got = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, got, out), got);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* Runs: of one or two databases, with growing revisions, some left unfinished. */
static void s_write_script(rw_case_t *the_case) {
    unsigned families[2] = {(unsigned)rw_chance(the_case, RW_FAMILIES), (unsigned)rw_chance(the_case, RW_FAMILIES)};
    unsigned revisions[2] = {0, 0};
    the_case->entries = 2 + rw_chance(the_case, RW_ENTRIES - 1);
    for (size_t i = 0; i < the_case->entries; i++) {
        size_t which = rw_chance(the_case, 4) == 0;
        the_case->script[i] = (rw_entry_t){.family = families[which], .revision = revisions[which], .stop = UINT64_MAX};
        if (rw_chance(the_case, 4) == 0)
            the_case->script[i].stop = rw_chance(the_case, 30);
        else if (rw_chance(the_case, 6) == 0)
            the_case->script[i].unproved = true;
        /* Mostly a later one, sometimes the same one again, so that nothing changes. */
        if (revisions[which] + 1 < RW_REVISIONS && rw_chance(the_case, 5) > 0)
            revisions[which]++;
    }
}

/* An audit and modules that the first export will find there. */
static void s_put_found_audit(rw_case_t *the_case) {
    sqlite3 *db = s_connect(the_case->path);
    const char *token = the_case->shared->token[the_case->script[0].family];
    char *sql =
        pr_xasprintf("INSERT INTO users (email, name) VALUES ('el-migration@pvrelay.invalid', 'There before');"
                     "INSERT INTO el_audits (audit_token, project_name, client_name, string_count, modules_per_string, "
                     "total_modules) VALUES ('%s', 'Old', 'Old', 1, 2, 3);"
                     "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, "
                     "position_in_string, image_url) SELECT id, audit_token, 'S1-1', 1, 1, 'photo.jpg' FROM el_audits "
                     "WHERE audit_token = '%s'",
                     token, token);
    s_exec(db, sql);
    free(sql);
    sqlite3_close(db);
}

void rw_case_make(const rw_shared_t *shared, uint64_t seed, rw_case_t *ret_case) {
    *ret_case = (rw_case_t){.shared = shared, .seed = seed, .chance = s_mix(seed)};
    snprintf(ret_case->path, sizeof ret_case->path, "%s/case.db", shared->folder);
    s_copy_file(shared->template[seed % RW_TEMPLATES], ret_case -> path);
    s_write_script(ret_case);
    ret_case->others = rw_chance(ret_case, 3) == 0;
    if (rw_chance(ret_case, 3) == 0)
        s_put_found_audit(ret_case);
}

static void s_mark_clear(rw_mark_t *mark) {
    free(mark->dump);
    free(mark->books);
}

void rw_case_remove(rw_case_t *the_case) {
    static const char *const endings[] = {"", "-wal", "-shm", "-pvrelay.lock"};
    rw_look_away(the_case);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s%s", the_case->path, endings[i]);
        unlink(path);
    }
    for (size_t i = 0; i < the_case->marks_count; i++)
        s_mark_clear(&the_case->marks[i]);
    free(the_case->marks);
}

/* ---- Playing
 * ----------------------------------------------------------------------------------------------------------- */

/* A run under way. */
typedef struct {
    rw_case_t *the_case;
    pr_target_t *target;
    pr_target_run_t run;
    rw_entry_t *entry;
    size_t at; /* of the entry in the script */
    pr_batcher_t *batcher;
    const pr_plan_t *plan;
    pr_transformer_t *transformer;
    pr_position_t position;
    char *raw;
    int64_t before[RW_SHARED];
} s_run_t;

static void s_ok(const rw_case_t *the_case, const char *what, const pr_error_t *err) {
    if (err->code != PR_E_OK)
        rw_fail(the_case, "%s: %s: %s", what, pr_error_name(err->code), err->text);
}

/* Somebody else works with the database, too. */
static void s_others_write(rw_case_t *the_case) {
    if (!the_case->others || rw_chance(the_case, 3) > 0)
        return;
    unsigned n = ++the_case->theirs;
    char *sql =
        pr_xasprintf("INSERT INTO clients (name) VALUES ('another user''s client %u');"
                     "INSERT INTO projects (client_id, name, site_address) SELECT max(id), 'another user''s project "
                     "%u', 'Foix' FROM clients WHERE name LIKE 'another user%%' AND %u %% 2 = 0 HAVING max(id) > 0",
                     n, n, n);
    s_exec(the_case->db, sql);
    free(sql);
}

static void s_before_commit(s_run_t *run) {
    s_others_write(run->the_case);
    for (size_t i = 0; i < RW_SHARED; i++)
        run->before[i] = rw_counter(run->the_case, i);
}

static void s_mark(s_run_t *run, int64_t checkpoint) {
    rw_case_t *the_case = run->the_case;
    if (the_case->marks_count == the_case->marks_room) {
        the_case->marks_room = the_case->marks_room * 2 + 16;
        the_case->marks = pr_xrealloc(the_case->marks, the_case->marks_room * sizeof *the_case->marks);
    }
    rw_mark_t mark = {.checkpoint = checkpoint,
                      .run = run->run.number,
                      .entry = run->at,
                      .dump = rw_dump(the_case, false),
                      .books = rw_books(the_case, run->run.number)};
    for (size_t i = 0; i < RW_SHARED; i++) {
        mark.before[i] = run->before[i];
        mark.after[i] = rw_counter(the_case, i);
    }
    the_case->marks[the_case->marks_count++] = mark;
}

static int s_read_raw(void *context, uint64_t offset, uint32_t length, pr_value_t *ret_raw, pr_error_t *err) {
    s_run_t *run = context;
    FILE *file = fopen(run->plan->sources[run->position.source].path, "r");
    if (file == NULL)
        return pr_error_set(err, PR_E_UNREADABLE, "cannot open the export");
    run->raw = pr_xrealloc(run->raw, length);
    fseek(file, (long)offset, SEEK_SET);
    size_t got = fread(run->raw, 1, length, file);
    fclose(file);
    if (got != length)
        return pr_error_set(err, PR_E_UNREADABLE, "cannot read the export");
    *ret_raw = pr_value_text(run->raw, length);
    return 0;
}

static pr_slice_t *s_unpack_slices(const pr_batch_t *batch, zmq_msg_t *frame) {
    pr_slice_t *slices = pr_xcalloc(batch->range.count, sizeof *slices);
    const uint8_t *packed = zmq_msg_data(frame);
    for (uint32_t i = 0; i < batch->range.count; i++) {
        uint32_t pair[2];
        memcpy(pair, packed + i * sizeof pair, sizeof pair);
        slices[i] = (pr_slice_t){.offset = le32toh(pair[0]), .length = le32toh(pair[1])};
    }
    return slices;
}

/* What the validator would have to say of a checkpoint that is proved. */
static void s_verdict(s_run_t *run, int64_t checkpoint, pr_error_t *err) {
    pr_proof_list_t *list = pr_proof_list_new(1);
    pr_proof_list_add_tally(
        list, &(pr_proof_tally_t){.stream = "modules", .group = "group", .value = "ok", .count = (uint64_t)checkpoint});
    pr_proof_list_add_finding(
        list, &(pr_finding_t){.kind = "kept_differs", .stream = "modules", .field = "x", .detail = "y", .count = 1});
    pr_target_verdict(run->target, run->run.number, checkpoint, list, err);
    pr_proof_list_destroy(&list);
}

/* What the writer does with a ROWS. */
static int64_t s_commit(s_run_t *run, const pr_batch_t *batch, const msgpack_sbuffer *payload) {
    pr_error_t err = PR_ERROR_INIT;
    const pr_stream_t *stream = &run->the_case->shared->mapping->streams[batch->stream];
    pr_rows_reader_t *rows = pr_rows_reader_new(stream, payload->data, payload->size, &err);
    s_ok(run->the_case, "rows", &err);
    pr_target_batch_begin(run->target, run->run.number, &run->plan->sources[batch->range.source], batch->range, &err);
    s_ok(run->the_case, "begin", &err);
    pr_rows_record_t record;
    for (uint64_t i = 0; pr_rows_reader_next(rows, &record, &err) > 0; i++)
        pr_target_apply(run->target, stream, &record, batch->range.first + i, s_read_raw, run, &err);
    s_ok(run->the_case, "apply", &err);
    size_t count = 0;
    const pr_note_t *notes = pr_rows_reader_notes(rows, &count);
    for (size_t i = 0; i < count; i++)
        pr_target_note(run->target, stream, &notes[i], &err);
    if (rw_chance(run->the_case, 2) == 0 && run->run.checkpoint > 0)
        s_verdict(run, run->run.checkpoint, &err);
    int64_t checkpoint = 0;
    pr_target_counts_t counts;
    pr_target_batch_commit(run->target, batch->digest, &counts, &checkpoint, &err);
    s_ok(run->the_case, "commit", &err);
    pr_rows_reader_destroy(&rows);
    return checkpoint;
}

static void s_batch(s_run_t *run) {
    pr_error_t err = PR_ERROR_INIT;
    pr_batch_t batch;
    pr_batcher_cut(run->batcher, run->position, &batch, &err);
    s_ok(run->the_case, "cut", &err);
    pr_slice_t *slices = s_unpack_slices(&batch, &batch.slices);
    msgpack_sbuffer payload;
    msgpack_sbuffer_init(&payload);
    pr_transform_counts_t counts;
    int result =
        pr_transform_batch(run->transformer, batch.stream, batch.null_text, zmq_msg_data(&batch.bytes),
                           (size_t)(batch.range.end - batch.range.begin), slices, batch.range.count, &payload, &counts);
    RW_CHECK(run->the_case, result == 0);
    s_before_commit(run);
    run->run.checkpoint = s_commit(run, &batch, &payload);
    s_mark(run, run->run.checkpoint);
    run->position = pr_position_normalise(pr_range_end(batch.range), run->plan->records, run->plan->count);
    msgpack_sbuffer_destroy(&payload);
    free(slices);
    zmq_msg_close(&batch.slices);
    zmq_msg_close(&batch.bytes);
}

static void s_finish(s_run_t *run) {
    pr_error_t err = PR_ERROR_INIT;
    int64_t checkpoint = 0;
    if (run->run.state == PR_RUN_STREAMING) {
        s_before_commit(run);
        pr_target_run_finish(run->target, run->run.number, &checkpoint, &err);
        s_ok(run->the_case, "finish", &err);
        s_mark(run, checkpoint);
    }
    if (run->entry->unproved)
        return;
    pr_target_commit_t commits[64];
    int got;
    while ((got = pr_target_unvalidated(run->target, run->run.number, 0, commits, 64, &err)) > 0) {
        for (int i = 0; i < got; i++)
            s_verdict(run, commits[i].checkpoint, &err);
        s_ok(run->the_case, "verdict", &err);
    }
    s_verdict(run, 0, &err);
    pr_target_run_complete(run->target, run->run.number, 0, 0.25, &err);
    s_ok(run->the_case, "complete", &err);
}

/* The exports of an entry. */
static void s_open_batcher(s_run_t *run) {
    pr_error_t err = PR_ERROR_INIT;
    char *paths[8];
    size_t count = 0;
    rw_case_t *the_case = run->the_case;
    char *folder = pr_xasprintf("%s/exports-%u-%u", the_case->shared->folder, run->entry->family, run->entry->revision);
    paths[count++] = pr_xasprintf("%s/audits.json", folder);
    paths[count++] = pr_xasprintf("%s/modules.json", folder);
    if (access(paths[1], R_OK) != 0) {
        free(paths[--count]);
        for (unsigned i = 1; i < 7; i++) {
            char *path = pr_xasprintf("%s/modules-%05u.json", folder, i);
            if (access(path, R_OK) == 0)
                paths[count++] = path;
            else
                free(path);
        }
    }
    /* Where a run shall stop at the very record at which it stopped the first time, batches are records. */
    size_t size = run->entry->settled && run->entry->stop != UINT64_MAX ? 1 : 1500 + rw_chance(the_case, 9000);
    pr_batcher_open((const char *const *)paths, count, the_case->shared->mapping, PR_NULL_TEXT_AUTO, size, NULL, NULL,
                    &run->batcher, &err);
    s_ok(the_case, "exports", &err);
    run->plan = pr_batcher_plan(run->batcher);
    while (count > 0)
        free(paths[--count]);
    free(folder);
}

static void s_begin(s_run_t *run) {
    pr_error_t err = PR_ERROR_INIT;
    rw_case_t *the_case = run->the_case;
    char id[37];
    snprintf(id, sizeof id, "%08x-0000-4000-8000-%012" PRIx64, ++the_case->runs, the_case->seed & 0xffffffffffff);
    pr_target_run_new_t begun = {.id = id, .plan = run->plan};
    pr_target_run_t unfinished;
    int found = pr_target_run_find(run->target, NULL, &unfinished, &err);
    s_ok(the_case, "find", &err);
    if (the_case->goes_on != 0) {
        if (found != 1 || unfinished.number != the_case->goes_on)
            rw_fail(the_case, "run %" PRId64 " should go on, but %s", the_case->goes_on,
                    found == 1 ? "another does" : "none does");
        pr_plan_t *plan = NULL;
        pr_target_run_plan(run->target, unfinished.number, &plan, &err);
        s_ok(the_case, "plan", &err);
        RW_CHECK(the_case, pr_plan_compare(plan, run->plan, &err) == 0);
        pr_plan_destroy(&plan);
        run->run = unfinished;
        return;
    }
    if (found == 1) {
        pr_target_run_abandon(run->target, unfinished.number, &err);
        s_ok(the_case, "abandon", &err);
    }
    pr_target_run_begin(run->target, &begun, &run->run, &err);
    s_ok(the_case, "begin a run", &err);
}

static void s_play_entry(rw_case_t *the_case, pr_target_t *target, size_t at) {
    s_run_t run = {.the_case = the_case, .target = target, .at = at, .entry = &the_case->script[at]};
    rw_entry_t *entry = run.entry;
    s_open_batcher(&run);
    s_begin(&run);
    run.transformer = pr_transformer_new(the_case->shared->mapping);
    run.position = pr_position_normalise(run.run.position, run.plan->records, run.plan->count);
    while (run.position.source < run.plan->count &&
           pr_position_records_before(run.position, run.plan->records, run.plan->count) < entry->stop)
        s_batch(&run);
    if (entry->stop != UINT64_MAX) {
        uint64_t done = pr_position_records_before(run.position, run.plan->records, run.plan->count);
        RW_CHECK(the_case, !entry->settled || entry->stop == done);
        entry->stop = done;
    } else {
        s_finish(&run);
    }
    entry->settled = true;
    pr_transformer_destroy(&run.transformer);
    pr_batcher_destroy(&run.batcher);
    free(run.raw);
}

void rw_play(rw_case_t *the_case) {
    pr_error_t err = PR_ERROR_INIT;
    pr_target_t *target = NULL;
    pr_target_open(the_case->path, S_MIGRATIONS, the_case->shared->mapping, &target, &err);
    s_ok(the_case, "open", &err);
    pr_target_on_foreign_change(target, PR_FOREIGN_OVERWRITE);
    pr_target_keep_undo(target, &err);
    s_ok(the_case, "keep undo", &err);
    rw_look(the_case);
    if (the_case->goes_on != 0) {
        s_play_entry(the_case, target, the_case->goes_on_entry);
        the_case->goes_on = 0;
    }
    for (; the_case->next < the_case->entries; the_case->next++)
        s_play_entry(the_case, target, the_case->next);
    pr_target_destroy(&target);
}
