/* SPDX-License-Identifier: MIT */
/* Targets that others made: accepted as they are, or refused with the whole list of what lacks. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "target_fixture.h"

/*  A HUB that its own migrations made: other column orders, columns of its own, no UNIQUE where ours has none, triggers
 *  that would spoil everything, rows of its own. */
static const char S_HUB[] =
    "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT "
    "CURRENT_TIMESTAMP NOT NULL);"
    "INSERT INTO d1_migrations (name) VALUES ('0001_initial_schema.sql');"
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT UNIQUE NOT NULL, name TEXT NOT NULL, role "
    "TEXT NOT "
    "NULL DEFAULT 'technician', is_active BOOLEAN DEFAULT 1, created_at DATETIME, updated_at DATETIME);"
    "CREATE TABLE clients (id INTEGER PRIMARY KEY AUTOINCREMENT, notes TEXT, name TEXT NOT NULL, hub_score REAL "
    "DEFAULT 5, "
    "created_at DATETIME, updated_at DATETIME);"
    "CREATE TABLE projects (id INTEGER PRIMARY KEY AUTOINCREMENT, client_id INTEGER NOT NULL REFERENCES clients (id) "
    "ON DELETE "
    "CASCADE, name TEXT NOT NULL, site_address TEXT NOT NULL, notes TEXT, created_at DATETIME, updated_at DATETIME);"
    "CREATE TABLE interventions (id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER NOT NULL REFERENCES projects "
    "(id), "
    "technician_id INTEGER NOT NULL REFERENCES users (id), intervention_type TEXT NOT NULL, intervention_date DATE NOT "
    "NULL, "
    "status TEXT, notes TEXT, created_at DATETIME, updated_at DATETIME);"
    "CREATE TABLE el_audits (id INTEGER PRIMARY KEY AUTOINCREMENT, intervention_id INTEGER REFERENCES interventions "
    "(id) ON "
    "DELETE SET NULL, audit_token TEXT UNIQUE NOT NULL, project_name TEXT NOT NULL, client_name TEXT NOT NULL, "
    "location TEXT, "
    "string_count INTEGER NOT NULL, modules_per_string INTEGER NOT NULL, total_modules INTEGER NOT NULL, plan_file_url "
    "TEXT, "
    "configuration_json TEXT, status TEXT, completion_rate REAL DEFAULT 0, created_at DATETIME, updated_at DATETIME);"
    "CREATE TABLE el_modules (id INTEGER PRIMARY KEY AUTOINCREMENT, el_audit_id INTEGER NOT NULL REFERENCES el_audits "
    "(id) ON "
    "DELETE CASCADE, audit_token TEXT NOT NULL, module_identifier TEXT NOT NULL, string_number INTEGER NOT NULL, "
    "position_in_string INTEGER NOT NULL, defect_type TEXT, severity_level INTEGER, comment TEXT, technician_id "
    "INTEGER "
    "REFERENCES users (id), physical_row INTEGER, physical_col INTEGER, created_at DATETIME, updated_at DATETIME, "
    "UNIQUE (el_audit_id, module_identifier));"
    "CREATE TABLE hub_log (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);"
    "CREATE TRIGGER t1 AFTER INSERT ON el_modules BEGIN INSERT INTO hub_log (what) VALUES ('module'); END;"
    "CREATE TRIGGER t2 AFTER UPDATE ON el_modules BEGIN UPDATE el_modules SET updated_at = 'now' WHERE id = NEW.id; "
    "END;"
    "CREATE TRIGGER t3 AFTER UPDATE ON el_audits BEGIN UPDATE el_audits SET updated_at = 'now' WHERE id = NEW.id; END;"
    "INSERT INTO clients (name, hub_score) VALUES ('Somebody', 9), ('Twice', 1), ('Twice', 2);"
    "INSERT INTO projects (client_id, name, site_address) VALUES (1, 'Roof', 'Lyon');"
    "INSERT INTO el_audits (audit_token, project_name, client_name, string_count, modules_per_string, total_modules, "
    "updated_at) VALUES ('theirs', 'Roof', 'Somebody', 1, 1, 1, '2024-01-01');"
    "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string, "
    "updated_at) VALUES "
    "(1, 'theirs', 'X', 1, 1, '2024-01-01');"
    "DELETE FROM hub_log;";

static int s_setup(void **state) {
    *state = fx_new();
    return 0;
}

static int s_teardown(void **state) {
    fx_t *fx = *state;
    fx_destroy(&fx);
    return 0;
}

static void s_run(fx_t *fx, const char *id, const char *client) {
    fx_record_t record;
    fx_audit_t audit = fx_audit("tok");
    fx_module_t module = fx_module("tok", "S1-1");
    int64_t checkpoint = 0;
    fx_begin(fx, id, 1, 1);
    audit.client = client;
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    fx_make_module(fx, &module, &record);
    fx_batch(fx, 1, 0, &record, 1, NULL);
    assert_int_equal(pr_target_run_finish(fx->target, fx->run.number, &checkpoint, NULL), 0);
    assert_int_equal(pr_target_run_complete(fx->target, fx->run.number, 0, 1, NULL), 0);
}

static void test_hub_made_target_is_used_as_it_is(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, S_HUB);
    fx_open(fx);
    s_run(fx, "11111111-1111-4111-8111-111111111111", "Twice");
    fx_assert_sql(fx, "SELECT count(*) FROM hub_log", "0");
    fx_assert_sql(fx, "SELECT group_concat(audit_token || ' ' || updated_at || ' ' || completion_rate) FROM el_audits",
                  "theirs 2024-01-01 0.0,tok 2025-10-27 10:00:00 100.0");
    fx_assert_sql(fx, "SELECT group_concat(module_identifier || ' ' || updated_at) FROM el_modules",
                  "X 2024-01-01,S1-1 2025-10-27 10:00:00");
    /* The older one of two with the same name is the client; none is added. */
    fx_assert_sql(fx, "SELECT group_concat(id || ' ' || hub_score) FROM clients", "1 9.0,2 1.0,3 2.0");
    fx_assert_sql(fx, "SELECT group_concat(client_id) FROM projects", "1,2");
    fx_assert_sql(fx, "SELECT group_concat(name) FROM d1_migrations",
                  "0001_initial_schema.sql,0002_pvrelay.sql,0003_undo.sql,0004_validation.sql,"
                  "0005_deferred_index.sql,0006_foreign_change.sql,0007_mapping_text.sql,0008_rows_sum.sql");
    fx_assert_sql(fx, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'", "3");
    char *before = fx_dump(fx);
    s_run(fx, "22222222-2222-4222-8222-222222222222", "Twice");
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void s_refused(fx_t *fx, const char *expected) {
    pr_error_t err = PR_ERROR_INIT;
    char text[2000];
    char *before = fx_ask(fx, "SELECT group_concat(name) FROM sqlite_master");
    assert_int_equal(pr_target_open(fx->path, fx->migrations, fx->mapping, &fx->target, &err), -PR_E_TARGET_SCHEMA);
    snprintf(text, sizeof text, "%s: %s", fx->path, expected);
    assert_string_equal(err.text, text);
    assert_null(fx->target);
    fx_assert_sql(fx, "SELECT group_concat(name) FROM sqlite_master", before);
    fx_assert_sql(fx, "PRAGMA journal_mode", "delete");
    free(before);
    /* The lock is gone with the refusal. */
    snprintf(text, sizeof text, "%s-pvrelay.lock", fx->path);
    assert_int_equal(access(text, F_OK), -1);
}

static void test_all_that_lacks_is_listed(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, S_HUB);
    fx_sql(
        fx,
        "DROP TRIGGER t1; DROP TRIGGER t2; DROP TRIGGER t3; PRAGMA foreign_keys = OFF;"
        "DROP TABLE interventions;"
        "ALTER TABLE el_modules DROP COLUMN comment;"
        "ALTER TABLE el_modules DROP COLUMN severity_level;"
        "ALTER TABLE el_audits DROP COLUMN completion_rate;"
        "ALTER TABLE clients ADD COLUMN siret TEXT NOT NULL DEFAULT '';"
        "DROP TABLE projects; CREATE TABLE projects (id TEXT PRIMARY KEY, client_id INTEGER, name TEXT, site_address "
        "TEXT, notes TEXT, created_at, updated_at, vat TEXT NOT NULL)");
    s_refused(fx,
              "not the target that mapping el-to-hub needs: it lacks the tables interventions; it lacks the columns "
              "projects.id INTEGER PRIMARY KEY, el_modules.severity_level, el_modules.comment, "
              "el_audits.completion_rate; it demands values that the mapping does not give for projects.vat");
}

static void test_foreign_database(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, "CREATE TABLE photos (id INTEGER PRIMARY KEY)");
    s_refused(fx,
              "it holds tables, but not the HUB's (no el_modules, no record of 0001_unified_schema.sql); give a HUB "
              "database or a new file");
}

static void test_id_must_be_an_alias_of_the_rowid(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, S_HUB);
    fx_sql(fx, "DROP TABLE clients; CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT, notes TEXT, created_at, "
               "updated_at) WITHOUT ROWID");
    s_refused(fx, "not the target that mapping el-to-hub needs: it lacks the columns clients.id INTEGER PRIMARY KEY");
}

static void test_a_column_of_another_name_is_told(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, S_HUB);
    fx_sql(fx, "ALTER TABLE clients RENAME COLUMN notes TO note");
    s_refused(fx,
              "not the target that mapping el-to-hub needs: it lacks the columns clients.notes (did you mean note?)");
}

static void test_a_table_of_another_name_is_told(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, S_HUB);
    fx_sql(fx, "ALTER TABLE projects RENAME TO project; ALTER TABLE users RENAME TO people;"
               "CREATE TABLE pvrelay_users (id INTEGER PRIMARY KEY)"); /* ours is never meant */
    s_refused(fx, "not the target that mapping el-to-hub needs: it lacks the tables users, projects (did you mean "
                  "project?)");
}

static void test_generated_column_cannot_be_written(void **state) {
    fx_t *fx = *state;
    fx_sql(fx, S_HUB);
    fx_sql(fx, "ALTER TABLE clients DROP COLUMN notes; ALTER TABLE clients ADD COLUMN notes TEXT AS (name)");
    s_refused(fx, "not the target that mapping el-to-hub needs: it lacks the columns clients.notes");
}

/* What the mapping marks as optional and the target lacks is left out of everything. */
static void test_optional_columns_are_left_out(void **state) {
    fx_t *fx = *state;
    pr_row_spec_t *spec = &fx->mapping->streams[1].rows[1];
    for (size_t i = 0; i < spec->columns_count; i++) {
        if (strcmp(spec->columns[i].name, "comment") == 0 || strcmp(spec->columns[i].name, "technician_id") == 0)
            spec->columns[i].optional = true;
    }
    fx_sql(fx, S_HUB);
    fx_sql(fx,
           "DROP TRIGGER t1; DROP TRIGGER t2; DROP TRIGGER t3; ALTER TABLE el_modules DROP COLUMN comment; ALTER TABLE "
           "el_modules DROP COLUMN technician_id");
    fx_open(fx);
    s_run(fx, "11111111-1111-4111-8111-111111111111", "C");
    s_run(fx, "22222222-2222-4222-8222-222222222222", "C");
    fx_assert_sql(fx, "SELECT module_identifier || ' ' || defect_type FROM el_modules WHERE id = 2",
                  "S1-1 dead_module");
    fx_assert_sql(fx, "SELECT sum(unchanged) FROM pvrelay_checkpoint WHERE run = 2", "2");
}

static void test_not_a_database(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char text[400];
    FILE *file = fopen(fx->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 200; i++)
        fputs("this is no database\n", file);
    fclose(file);
    assert_int_equal(pr_target_open(fx->path, fx->migrations, fx->mapping, &fx->target, &err), -PR_E_TARGET);
    snprintf(text, sizeof text, "%s: file is not a database", fx->path);
    assert_string_equal(err.text, text);
}

static void test_no_folder(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char missing[160];
    char expected[256];
    snprintf(missing, sizeof missing, "%s.none/hub.sqlite", fx->path);
    snprintf(expected, sizeof expected, "%s-pvrelay.lock: cannot make the lock file: No such file or directory",
             missing);
    assert_int_equal(pr_target_open(missing, fx->migrations, fx->mapping, &fx->target, &err), -PR_E_TARGET);
    assert_string_equal(err.text, expected);
}

static void test_found_through_needs_its_field(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char text[600];
    fx->mapping->streams[0].rows[3].through_field = pr_stream_field_index(fx->audits, "id", 2);
    fx_open(fx);
    pr_plan_t *plan = pr_plan_new();
    pr_target_run_new_t run = {.id = "a4e19950-c73c-412c-be4d-699c9de1dde1", .plan = plan};
    assert_int_equal(pr_target_run_begin(fx->target, &run, &fx->run, &err), -PR_E_MAPPING);
    pr_plan_destroy(&plan);
    snprintf(text, sizeof text,
             "%s: stream audits, row intervention: found_through needs field id, which no column copies in a row that "
             "is made "
             "whenever this one is; add one",
             fx->mapping->path);
    assert_string_equal(err.text, text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hub_made_target_is_used_as_it_is),
        TEST(test_all_that_lacks_is_listed),
        TEST(test_foreign_database),
        TEST(test_id_must_be_an_alias_of_the_rowid),
        TEST(test_a_column_of_another_name_is_told),
        TEST(test_a_table_of_another_name_is_told),
        TEST(test_generated_column_cannot_be_written),
        TEST(test_optional_columns_are_left_out),
        TEST(test_not_a_database),
        TEST(test_no_folder),
        TEST(test_found_through_needs_its_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
