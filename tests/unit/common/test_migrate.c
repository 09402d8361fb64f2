/* SPDX-License-Identifier: MIT */
/* Migrations: which files apply to which database, once, and never half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "tests/unit/folder.h"

static const char S_OURS[] = PR_SOURCE_DIR "/migrations";

typedef struct {
    char folder[64]; /* of test migrations */
    sqlite3 *db;
} s_fx_t;

static int s_setup(void **state) {
    s_fx_t *fx = pr_xcalloc(1, sizeof *fx);
    snprintf(fx->folder, sizeof fx->folder, "/tmp/pvrelay-migrate-XXXXXX");
    *state = fx;
    return mkdtemp(fx->folder) == NULL || sqlite3_open(":memory:", &fx->db) != SQLITE_OK ? -1 : 0;
}

static int s_teardown(void **state) {
    s_fx_t *fx = *state;
    sqlite3_close(fx->db);
    int result = pr_test_folder_remove(fx->folder);
    free(fx);
    return result;
}

static void s_sql(s_fx_t *fx, const char *sql) {
    char *why = NULL;
    if (sqlite3_exec(fx->db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static void s_assert_sql(s_fx_t *fx, const char *sql, const char *expected) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(fx->db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
    sqlite3_finalize(statement);
}

static void s_file(s_fx_t *fx, const char *name, const char *text) {
    char path[200];
    snprintf(path, sizeof path, "%s/%s", fx->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* "name=word name=word(why)" of a result. */
static void s_assert_files(pr_migrations_t *migrations, pr_migrate_state_t state, const char *expected) {
    char text[2000] = "";
    size_t used = 0;
    for (size_t i = 0; i < migrations->count; i++) {
        const pr_migration_t *file = &migrations->files[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%s", i == 0 ? "" : " ", file->name,
                                 pr_migration_word(file->outcome));
        if (file->why != NULL)
            used += (size_t)snprintf(text + used, sizeof text - used, "(%s)", file->why);
    }
    assert_string_equal(text, expected);
    assert_int_equal(migrations->state, state);
}

static void s_apply(s_fx_t *fx, const char *folder, pr_migrate_state_t state, const char *expected) {
    pr_migrations_t *migrations = NULL;
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_migrate_apply(fx->db, folder, &migrations, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    s_assert_files(migrations, state, expected);
    pr_migrations_destroy(&migrations);
    assert_null(migrations);
}

static void s_list(s_fx_t *fx, const char *folder, pr_migrate_state_t state, const char *expected) {
    pr_migrations_t *migrations = NULL;
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_migrate_list(fx->db, folder, &migrations, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    s_assert_files(migrations, state, expected);
    pr_migrations_destroy(&migrations);
}

static void s_refused(s_fx_t *fx, const char *folder, pr_error_code_t code, const char *expected) {
    pr_migrations_t *migrations = NULL;
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_migrate_apply(fx->db, folder, &migrations, &err), -(int)code);
    assert_string_equal(err.text, expected);
    assert_null(migrations);
    assert_int_not_equal(sqlite3_get_autocommit(fx->db), 0);
}

static void test_fresh_gets_all_once(void **state) {
    s_fx_t *fx = *state;
    s_sql(fx, "CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY)");
    s_list(fx, S_OURS, PR_MIGRATE_FRESH,
           "0001_unified_schema.sql=pending 0002_pvrelay.sql=pending 0003_undo.sql=pending 0004_validation.sql=pending "
           "0005_deferred_index.sql=pending 0006_foreign_change.sql=pending 0007_mapping_text.sql=pending "
           "0008_rows_sum.sql=pending");
    s_assert_sql(fx, "SELECT count(*) FROM sqlite_master", "1");
    s_apply(
        fx, S_OURS, PR_MIGRATE_FRESH,
        "0001_unified_schema.sql=applied 0002_pvrelay.sql=applied 0003_undo.sql=applied 0004_validation.sql=applied "
        "0005_deferred_index.sql=applied 0006_foreign_change.sql=applied 0007_mapping_text.sql=applied "
        "0008_rows_sum.sql=applied");
    s_assert_sql(fx, "SELECT group_concat(id || ' ' || name) FROM d1_migrations",
                 "1 0001_unified_schema.sql,2 0002_pvrelay.sql,3 0003_undo.sql,4 0004_validation.sql,"
                 "5 0005_deferred_index.sql,6 0006_foreign_change.sql,7 0007_mapping_text.sql,8 0008_rows_sum.sql");
    s_assert_sql(fx, "SELECT sum(applied_at LIKE '20__-__-__ __:__:__') FROM d1_migrations", "8");
    s_apply(
        fx, S_OURS, PR_MIGRATE_OURS,
        "0001_unified_schema.sql=already 0002_pvrelay.sql=already 0003_undo.sql=already 0004_validation.sql=already "
        "0005_deferred_index.sql=already 0006_foreign_change.sql=already 0007_mapping_text.sql=already "
        "0008_rows_sum.sql=already");
    s_assert_sql(fx, "SELECT count(*) FROM d1_migrations", "8");
}

static void test_schema_has_everything(void **state) {
    s_fx_t *fx = *state;
    s_apply(
        fx, S_OURS, PR_MIGRATE_FRESH,
        "0001_unified_schema.sql=applied 0002_pvrelay.sql=applied 0003_undo.sql=applied 0004_validation.sql=applied "
        "0005_deferred_index.sql=applied 0006_foreign_change.sql=applied 0007_mapping_text.sql=applied "
        "0008_rows_sum.sql=applied");
    s_assert_sql(
        fx,
        "SELECT group_concat(name) FROM (SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE "
        "'sqlite%' AND name NOT LIKE 'pvrelay%' ORDER BY name)",
        "clients,d1_migrations,el_audits,el_collaborative_sessions,el_modules,interventions,isolation_tests,"
        "iv_measurements,post_incident_expertise,projects,pvserv_measurements,thermal_measurements,users,"
        "visual_inspections");
    s_assert_sql(fx,
                 "SELECT group_concat(name) FROM (SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY name)",
                 "v_dashboard_overview,v_el_audit_statistics");
    s_assert_sql(
        fx,
        "SELECT group_concat(m.name || '.' || f.\"from\" || '>' || f.\"table\" || ' ' || f.on_delete, '; ') FROM "
        "(SELECT name FROM sqlite_master WHERE name IN ('projects', 'interventions', 'el_audits', 'el_modules') "
        "ORDER BY name) AS m, pragma_foreign_key_list(m.name) AS f",
        "el_audits.intervention_id>interventions SET NULL; el_modules.technician_id>users SET NULL; "
        "el_modules.audit_token>el_audits CASCADE; el_modules.el_audit_id>el_audits CASCADE; "
        "interventions.technician_id>users NO ACTION; interventions.project_id>projects CASCADE; "
        "projects.client_id>clients CASCADE");
    s_assert_sql(
        fx,
        "SELECT group_concat(m.tbl_name || '(' || i.name || ')') FROM (SELECT name, tbl_name FROM sqlite_master "
        "WHERE type = 'index' AND tbl_name IN ('el_audits', 'el_modules') AND sql IS NOT NULL ORDER BY name) AS "
        "m, pragma_index_info(m.name) AS i",
        "el_audits(created_at),el_audits(intervention_id),el_audits(status),el_audits(audit_token),"
        "el_modules(el_audit_id),el_modules(defect_type),el_modules(severity_level),el_modules(string_number),"
        "el_modules(audit_token)");
}

static void test_triggers_and_views(void **state) {
    s_fx_t *fx = *state;
    s_apply(
        fx, S_OURS, PR_MIGRATE_FRESH,
        "0001_unified_schema.sql=applied 0002_pvrelay.sql=applied 0003_undo.sql=applied 0004_validation.sql=applied "
        "0005_deferred_index.sql=applied 0006_foreign_change.sql=applied 0007_mapping_text.sql=applied "
        "0008_rows_sum.sql=applied");
    /* Once with and once without recursive triggers. */
    s_sql(fx, "PRAGMA foreign_keys = ON;"
              "INSERT INTO clients (name) VALUES ('C');"
              "INSERT INTO projects (client_id, name, site_address) VALUES (1, 'P', 'S');"
              "INSERT INTO el_audits (audit_token, project_name, client_name, string_count, modules_per_string, "
              "total_modules, updated_at) VALUES ('t', 'P', 'C', 1, 2, 2, '2001');"
              "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string, "
              "updated_at) VALUES (1, 't', 'a', 1, 1, '2001'), (1, 't', 'b', 1, 2, '2001');"
              "UPDATE el_modules SET defect_type = 'none' WHERE id = 1;"
              "PRAGMA recursive_triggers = ON;"
              "UPDATE el_modules SET comment = 'x', updated_at = '2002' WHERE id = 1;");
    s_assert_sql(fx, "SELECT completion_rate FROM el_audits", "50.0");
    s_assert_sql(fx, "SELECT group_concat(updated_at > '2020') FROM el_modules", "1,0");
    s_assert_sql(fx, "SELECT updated_at > '2020' FROM el_audits", "1");
    s_assert_sql(
        fx,
        "SELECT modules_present || ' ' || modules_diagnosed || ' ' || modules_ok || ' ' || modules_critical FROM "
        "v_el_audit_statistics",
        "2 1 1 0");
    s_assert_sql(fx, "SELECT client_name || ' ' || interventions_total FROM v_dashboard_overview", "C 0");
}

static void test_hubs_own_database_is_adopted(void **state) {
    s_fx_t *fx = *state;
    s_sql(fx,
          "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP "
          "DEFAULT CURRENT_TIMESTAMP NOT NULL);"
          "INSERT INTO d1_migrations (name) VALUES ('0001_initial_schema.sql');"
          "CREATE TABLE el_modules (id INTEGER PRIMARY KEY);");
    s_list(fx, S_OURS, PR_MIGRATE_ADOPTED,
           "0001_unified_schema.sql=skipped(it makes more than pvrelay_ tables, and the HUB's own migrations made this "
           "database) 0002_pvrelay.sql=pending 0003_undo.sql=pending 0004_validation.sql=pending "
           "0005_deferred_index.sql=pending 0006_foreign_change.sql=pending 0007_mapping_text.sql=pending "
           "0008_rows_sum.sql=pending");
    s_apply(
        fx, S_OURS, PR_MIGRATE_ADOPTED,
        "0001_unified_schema.sql=skipped(it makes more than pvrelay_ tables, and the HUB's own migrations made this "
        "database) 0002_pvrelay.sql=applied 0003_undo.sql=applied 0004_validation.sql=applied "
        "0005_deferred_index.sql=applied 0006_foreign_change.sql=applied 0007_mapping_text.sql=applied "
        "0008_rows_sum.sql=applied");
    s_assert_sql(fx, "SELECT group_concat(name) FROM d1_migrations",
                 "0001_initial_schema.sql,0002_pvrelay.sql,0003_undo.sql,0004_validation.sql,"
                 "0005_deferred_index.sql,0006_foreign_change.sql,0007_mapping_text.sql,0008_rows_sum.sql");
    s_assert_sql(fx, "SELECT count(*) FROM sqlite_master WHERE name = 'clients'", "0");
    s_apply(
        fx, S_OURS, PR_MIGRATE_ADOPTED,
        "0001_unified_schema.sql=skipped(it makes more than pvrelay_ tables, and the HUB's own migrations made this "
        "database) 0002_pvrelay.sql=already 0003_undo.sql=already 0004_validation.sql=already "
        "0005_deferred_index.sql=already 0006_foreign_change.sql=already 0007_mapping_text.sql=already "
        "0008_rows_sum.sql=already");
}

static void test_adopted_gets_only_what_depends_on_nothing_else(void **state) {
    s_fx_t *fx = *state;
    s_sql(fx, "CREATE TABLE el_modules (id INTEGER PRIMARY KEY)");
    s_file(fx, "0002_pvrelay.sql", "CREATE TABLE pvrelay_a (x);");
    s_file(fx, "0003_more.sql", "ALTER TABLE el_modules ADD COLUMN y;");
    s_file(fx, "0005_index.sql", "ALTER TABLE pvrelay_a ADD COLUMN z; CREATE INDEX pvrelay_i ON pvrelay_a (z);");
    s_file(fx, "0006_view.sql", "CREATE TABLE pvrelay_b (x); CREATE VIEW v AS SELECT 1;");
    s_file(fx, "notes.txt", "not a migration");
    s_file(fx, "12_short.sql", "not a migration");
    s_apply(fx, fx->folder, PR_MIGRATE_ADOPTED,
            "0002_pvrelay.sql=applied 0003_more.sql=skipped(it makes more than pvrelay_ tables, and the HUB's own "
            "migrations made this database) 0005_index.sql=applied 0006_view.sql=skipped(it makes more than pvrelay_ "
            "tables, and the HUB's own migrations made this database)");
    s_assert_sql(fx, "SELECT group_concat(name) FROM pragma_table_info('el_modules')", "id");
}

static void test_foreign_database_is_refused(void **state) {
    s_fx_t *fx = *state;
    s_sql(fx, "CREATE TABLE photos (id INTEGER PRIMARY KEY)");
    s_list(fx, S_OURS, PR_MIGRATE_FOREIGN,
           "0001_unified_schema.sql=skipped(the database holds tables, but not the HUB's) "
           "0002_pvrelay.sql=skipped(the database holds tables, but not the HUB's) "
           "0003_undo.sql=skipped(the database holds tables, but not the HUB's) "
           "0004_validation.sql=skipped(the database holds tables, but not the HUB's) "
           "0005_deferred_index.sql=skipped(the database holds tables, but not the HUB's) "
           "0006_foreign_change.sql=skipped(the database holds tables, but not the HUB's) "
           "0007_mapping_text.sql=skipped(the database holds tables, but not the HUB's) "
           "0008_rows_sum.sql=skipped(the database holds tables, but not the HUB's)");
    s_refused(fx, S_OURS, PR_E_TARGET_SCHEMA,
              "the database: it holds tables, but not the HUB's (no el_modules, no record of 0001_unified_schema.sql); "
              "give a HUB database or a new file");
    s_assert_sql(fx, "SELECT group_concat(name) FROM sqlite_master", "photos");
}

static void test_failing_file_leaves_nothing_of_itself(void **state) {
    s_fx_t *fx = *state;
    s_file(fx, "0001_unified_schema.sql", "CREATE TABLE el_modules (id INTEGER PRIMARY KEY);");
    s_file(fx, "0002_bad.sql", "CREATE TABLE good (x); CREATE TABLE bad (");
    s_refused(fx, fx->folder, PR_E_TARGET, "the database: migration 0002_bad.sql: incomplete input");
    s_assert_sql(fx, "SELECT group_concat(name) FROM d1_migrations", "0001_unified_schema.sql");
    s_assert_sql(fx, "SELECT count(*) FROM sqlite_master WHERE name = 'good'", "0");
    /* Mended, it goes on from there. */
    s_file(fx, "0002_bad.sql", "CREATE TABLE good (x);");
    s_apply(fx, fx->folder, PR_MIGRATE_OURS, "0001_unified_schema.sql=already 0002_bad.sql=applied");
}

static void test_file_with_commit_is_refused(void **state) {
    s_fx_t *fx = *state;
    s_file(fx, "0001_unified_schema.sql", "CREATE TABLE a (x); COMMIT;");
    s_refused(
        fx, fx->folder, PR_E_TARGET,
        "the database: migration 0001_unified_schema.sql ends the transaction it is applied in; take its COMMIT out");
}

static void test_recorded_file_that_is_gone_is_fine(void **state) {
    s_fx_t *fx = *state;
    s_apply(
        fx, S_OURS, PR_MIGRATE_FRESH,
        "0001_unified_schema.sql=applied 0002_pvrelay.sql=applied 0003_undo.sql=applied 0004_validation.sql=applied "
        "0005_deferred_index.sql=applied 0006_foreign_change.sql=applied 0007_mapping_text.sql=applied "
        "0008_rows_sum.sql=applied");
    s_file(fx, "0009_later.sql", "CREATE TABLE later (x);");
    s_apply(fx, fx->folder, PR_MIGRATE_OURS, "0009_later.sql=applied");
}

static void s_link(s_fx_t *fx, const char *name) {
    char from[400], to[200];
    snprintf(from, sizeof from, "%s/%s", S_OURS, name);
    snprintf(to, sizeof to, "%s/%s", fx->folder, name);
    assert_int_equal(symlink(from, to), 0);
}

/* What runs were given before there was "auto" stands there still, and what was kept as text stays text. */
static void test_null_text_of_earlier_runs(void **state) {
    s_fx_t *fx = *state;
    s_link(fx, "0001_unified_schema.sql");
    s_link(fx, "0002_pvrelay.sql");
    s_apply(fx, fx->folder, PR_MIGRATE_FRESH, "0001_unified_schema.sql=applied 0002_pvrelay.sql=applied");
    s_sql(fx,
          "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
          " VALUES (1, 'a', 'complete', 'm', '0', 'null', '0', 'now'), (2, 'b', 'complete', 'm', '0', 'keep', '0', "
          "'now'); INSERT INTO pvrelay_source (run, source, path, stream, size, mtime_ns, digest, wrangler, records, "
          "bytes) VALUES (1, 0, '/x', 's', 1, 1, '0', 1, 1, 1), (2, 0, '/x', 's', 1, 1, '0', 1, 1, 1)");
    s_link(fx, "0007_mapping_text.sql");
    s_apply(fx, fx->folder, PR_MIGRATE_OURS,
            "0001_unified_schema.sql=already 0002_pvrelay.sql=already 0007_mapping_text.sql=applied");
    s_assert_sql(fx,
                 "SELECT group_concat(run || null_text || wrangler) FROM pvrelay_run JOIN pvrelay_source USING (run)",
                 "1null1,2keep0");
    s_sql(fx,
          "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
          " VALUES (3, 'c', 'complete', 'm', '0', 'auto', '0', 'now')");
    assert_int_not_equal(sqlite3_exec(fx->db, "UPDATE pvrelay_run SET null_text = 'maybe'", NULL, NULL, NULL),
                         SQLITE_OK);
}

static void test_folders_without_migrations(void **state) {
    s_fx_t *fx = *state;
    char expected[256];
    char missing[160];
    snprintf(missing, sizeof missing, "%s/none", fx->folder);
    snprintf(expected, sizeof expected, "%s: cannot read the folder of migrations: No such file or directory", missing);
    s_refused(fx, missing, PR_E_CONFIG, expected);
    snprintf(expected, sizeof expected, "%s: no migrations (files NNNN_name.sql) in this folder", fx->folder);
    s_refused(fx, fx->folder, PR_E_CONFIG, expected);
}

static void test_locked_database(void **state) {
    s_fx_t *fx = *state;
    char path[128];
    char expected[400];
    sqlite3 *other = NULL;
    snprintf(path, sizeof path, "%s/locked.sqlite", fx->folder);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(fx->db);
    assert_int_equal(sqlite3_open(path, &fx->db), SQLITE_OK);
    snprintf(expected, sizeof expected, "%s: migration 0001_unified_schema.sql: database is locked", path);
    s_refused(fx, S_OURS, PR_E_TARGET_LOCKED, expected);
    sqlite3_close(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fresh_gets_all_once),
        TEST(test_schema_has_everything),
        TEST(test_triggers_and_views),
        TEST(test_hubs_own_database_is_adopted),
        TEST(test_adopted_gets_only_what_depends_on_nothing_else),
        TEST(test_foreign_database_is_refused),
        TEST(test_failing_file_leaves_nothing_of_itself),
        TEST(test_file_with_commit_is_refused),
        TEST(test_recorded_file_that_is_gone_is_fine),
        TEST(test_null_text_of_earlier_runs),
        TEST(test_folders_without_migrations),
        TEST(test_locked_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
