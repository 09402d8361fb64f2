/* SPDX-License-Identifier: MIT */
/* The proof against a small target, filled as the writer fills it: clean, and with every mapped cell changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "tests/unit/folder.h"
#include "validator/proof.h"
#include "validator/proof_state.h"

#define S_RUN "0b1c6a52-4f7d-4c56-9a34-000000000001"

enum { S_AUDITS, S_MODULES, S_LINES, S_BAD_LINES, S_SOURCES };

/* --- The export and its target --- */

static const char S_AUDITS_BODY[] =
    "{\n        \"id\": 4,\n        \"token\": \"tok-a\",\n        \"project_name\": \"JALIBAT\",\n"
    "        \"client_name\": \"JALIBAT Industrie\",\n        \"location\": \"Lyon\",\n        \"string_count\": 11,\n"
    "        \"modules_per_string\": 22,\n        \"total_modules\": 242,\n        \"plan_file\": \"plan.pdf\",\n"
    "        \"status\": \"created\",\n        \"created_at\": \"2025-10-27 09:43:12\",\n"
    "        \"updated_at\": \"2025-10-28 10:00:00\",\n        \"json_config\": \"{\\\"mode\\\":\\\"simple\\\"}\"\n    "
    "  },\n"
    "      {\n        \"id\": 7,\n        \"token\": \"tok-b\",\n        \"project_name\": \"LES FORGES\",\n"
    "        \"client_name\": \"Arkolia \xc3\x89nergies\",\n        \"location\": \"N\\u00eemes\",\n        "
    "\"string_count\": 9,\n"
    "        \"modules_per_string\": 0,\n        \"total_modules\": 220,\n        \"plan_file\": \"null\",\n"
    "        \"status\": \"completed\",\n        \"created_at\": \"2025-10-27 09:43:12\",\n"
    "        \"updated_at\": \"2025-09-02 08:00:00\",\n        \"json_config\": \"null\"\n      }";

static const char S_MODULES_BODY[] =
    "{ \"id\": 1, \"audit_token\": \"tok-a\", \"module_id\": \"S1-1\", \"string_number\": 1, \"position_in_string\": "
    "1,\n"
    "  \"status\": \"ok\", \"comment\": \"null\", \"technician_id\": \"null\", \"created_at\": \"2025-10-27 "
    "10:00:00\",\n"
    "  \"updated_at\": \"2025-10-27 10:00:01\", \"physical_row\": \"null\", \"physical_col\": 0 },\n"
    "{ \"id\": 2, \"audit_token\": \"tok-a\", \"module_id\": \"S1-2\", \"string_number\": 1, \"position_in_string\": "
    "2,\n"
    "  \"status\": \"dead\", \"comment\": \"caf\\u00e9 \\u0000 \\\"fin\\\"\", \"technician_id\": \"Ren\xc3\xa9\",\n"
    "  \"created_at\": \"2025-10-27 10:00:02\", \"updated_at\": \"2025-10-27 10:00:03\",\n"
    "  \"physical_row\": 9223372036854775807, \"physical_col\": -9223372036854775808 }\r\n,\r\n"
    "{ \"id\": 3, \"audit_token\": \"tok-b\", \"module_id\": \"M001\", \"string_number\": 3, \"position_in_string\": "
    "4,\n"
    "  \"status\": \"inequality\", \"comment\": \"vu\", \"technician_id\": \"Ren\xc3\xa9\",\n"
    "  \"created_at\": \"2025-10-27 10:00:02\", \"updated_at\": \"2025-10-27 10:00:05\",\n"
    "  \"physical_row\": 5, \"physical_col\": 6 }";

#define S_LINE(id, status, comment)                                                                                    \
    "{\"id\":9,\"audit_token\":\"tok-b\",\"module_id\":\"" id "\",\"string_number\":1,\"position_in_string\":2,"       \
    "\"status\":\"" status "\",\"comment\":" comment ",\"technician_id\":null,\"created_at\":null,"                    \
    "\"updated_at\":\"2025-10-27 10:00:05\",\"physical_row\":null,\"physical_col\":null}"

static const char S_LINES_BODY[] = S_LINE("L1", "pending", "\"null\"") "\n" S_LINE("L2", "microcracks", "null");

#define S_BAD_LINE "{\"id\": , \"audit_token\": \"tok-b\" \x01}"
static const char S_BAD_LINES_BODY[] =
    S_LINE("L3", "pending", "\"\"") "\n" S_BAD_LINE "\n" S_LINE("L4", "odd", "\"x\"") "\n" S_LINE("L5", "ok", "\"y\"");

static const char *const S_ROWS =
    "INSERT INTO users (id, email, name, role, is_active, created_at, updated_at) VALUES"
    " (11, 'el-migration@pvrelay.invalid', 'Technicien EL (migration)', 'technician', 0, '2025-10-27 09:43:12',"
    "  '2025-10-27 09:43:12'),"
    " (12, 'Ren=C3=A9@el.pvrelay.invalid', 'René', 'technician', 0, '2025-10-27 10:00:02', '2025-10-27 10:00:02'),"
    " (13, 'bob@hub.example', 'Bob', 'admin', 1, '2020-01-01 00:00:00', '2020-01-01 00:00:00');"
    "INSERT INTO clients (id, name, notes, created_at, updated_at) VALUES"
    " (21, 'JALIBAT Industrie', 'pvrelay: placeholder made from an EL audit''s client_name', '2025-10-27 09:43:12',"
    "  '2025-10-27 09:43:12'),"
    " (22, 'Arkolia Énergies', 'pvrelay: placeholder made from an EL audit''s client_name', '2025-10-27 09:43:12',"
    "  '2025-10-27 09:43:12');"
    "INSERT INTO projects (id, client_id, name, site_address, notes, created_at, updated_at) VALUES"
    " (31, 21, 'JALIBAT', 'Lyon', 'pvrelay: placeholder made from an EL audit''s project_name', '2025-10-27 09:43:12',"
    "  '2025-10-27 09:43:12'),"
    " (32, 22, 'LES FORGES', 'Nîmes', 'pvrelay: placeholder made from an EL audit''s project_name',"
    "  '2025-10-27 09:43:12', '2025-10-27 09:43:12');"
    "INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date, status, notes,"
    "  created_at, updated_at) VALUES"
    " (41, 31, 11, 'el', '2025-10-27', 'scheduled', 'pvrelay: placeholder for EL audit tok-a', '2025-10-27 09:43:12',"
    "  '2025-10-28 10:00:00'),"
    " (42, 32, 11, 'el', '2025-10-27', 'completed', 'pvrelay: placeholder for EL audit tok-b', '2025-10-27 09:43:12',"
    "  '2025-09-02 08:00:00');"
    "INSERT INTO el_audits (id, intervention_id, audit_token, project_name, client_name, location, string_count,"
    "  modules_per_string, total_modules, plan_file_url, status, configuration_json, created_at, updated_at,"
    "  completion_rate) VALUES"
    " (51, 41, 'tok-a', 'JALIBAT', 'JALIBAT Industrie', 'Lyon', 11, 22, 242, 'plan.pdf', 'created',"
    "  '{\"mode\":\"simple\"}', '2025-10-27 09:43:12', '2025-10-28 10:00:00', 100.0),"
    " (52, 42, 'tok-b', 'LES FORGES', 'Arkolia Énergies', 'Nîmes', 9, 0, 220, NULL, 'completed', NULL,"
    "  '2025-10-27 09:43:12', '2025-09-02 08:00:00', 60.0);"
    "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number, position_in_string,"
    "  defect_type, severity_level, comment, technician_id, physical_row, physical_col, created_at, updated_at) VALUES"
    " (61, 51, 'tok-a', 'S1-1', 1, 1, 'none', 0, NULL, NULL, NULL, 0, '2025-10-27 10:00:00', '2025-10-27 10:00:01'),"
    " (62, 51, 'tok-a', 'S1-2', 1, 2, 'dead_module', 3, 'café ' || char(0) || ' \"fin\"', 12, 9223372036854775807,"
    "  -9223372036854775807 - 1, '2025-10-27 10:00:02', '2025-10-27 10:00:03'),"
    " (63, 52, 'tok-b', 'M001', 3, 4, 'luminescence_inequality', 1, 'vu', 12, 5, 6, '2025-10-27 10:00:02',"
    "  '2025-10-27 10:00:05'),"
    " (64, 52, 'tok-b', 'L1', 1, 2, 'pending', 0, 'null', NULL, NULL, NULL, NULL, '2025-10-27 10:00:05'),"
    " (65, 52, 'tok-b', 'L2', 1, 2, 'microcrack', 2, NULL, NULL, NULL, NULL, NULL, '2025-10-27 10:00:05'),"
    " (66, 52, 'tok-b', 'L3', 1, 2, 'pending', 0, '', NULL, NULL, NULL, NULL, '2025-10-27 10:00:05'),"
    " (67, 52, 'tok-b', 'L5', 1, 2, 'none', 0, 'y', NULL, NULL, NULL, NULL, '2025-10-27 10:00:05');"
    "INSERT INTO pvrelay_touched VALUES (1, 'el_audits', 51), (1, 'el_audits', 52);";

typedef struct {
    char folder[64];
    char *target;
    sqlite3 *db;
    pr_mapping_t *mapping;
    pr_proof_t *proof;
    char *paths[S_SOURCES];
    pr_range_t ranges[S_SOURCES];
    uint64_t digests[S_SOURCES];
    uint64_t rejected[S_SOURCES];
    pr_proof_list_t *list;
    pr_proof_read_t read; /* by the last s_prove */
} s_fixture_t;

static void s_exec(s_fixture_t *f, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(f->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static void s_exec_file(s_fixture_t *f, const char *path) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *sql = pr_xcalloc(1, 1U << 18);
    assert_true(fread(sql, 1, (1U << 18) - 1, file) > 0);
    fclose(file);
    s_exec(f, sql);
    free(sql);
}

static void s_write(const char *path, const char *prefix, const char *body, const char *suffix) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s%s%s", prefix, body, suffix);
    assert_int_equal(fclose(file), 0);
}

/* One export file, committed as one batch: checkpoint source + 1. */
static void s_add_source(s_fixture_t *f, uint32_t source, const char *name, const char *stream, bool wrangler,
                         const char *body, uint32_t records, uint64_t rejected) {
    const char *prefix = wrangler ? "[\n  {\n    \"results\": [\n      " : "\n";
    const char *suffix = wrangler ? "\n    ],\n    \"success\": true\n  }\n]\n" : "\n";
    f->paths[source] = pr_xasprintf("%s/%s", f->folder, name);
    s_write(f->paths[source], prefix, body, suffix);
    uint64_t begin = strlen(prefix);
    f->ranges[source] = (pr_range_t){.source = source, .count = records, .begin = begin, .end = begin + strlen(body)};
    f->digests[source] = XXH3_64bits(body, strlen(body));
    f->rejected[source] = rejected;
    char *sql = pr_xasprintf(
        "INSERT INTO pvrelay_source VALUES (1, %" PRIu32 ", '%s', '%s', %zu, 0, '0', %d, %" PRIu32 ", %zu);"
        "INSERT INTO pvrelay_checkpoint VALUES (%" PRIu32 ", 1, 'batch', %" PRIu32 ", 0, %" PRIu32 ", %" PRIu64
        ", %" PRIu64 ", '%016" PRIx64 "', %" PRIu64 ", 0, 0, %" PRIu64 ", 0, 0, '2025-11-01 00:00:00', NULL, 1);",
        source, f->paths[source], stream, strlen(prefix) + strlen(body) + strlen(suffix), wrangler ? 1 : 0, records,
        strlen(body), source + 1, source, records, begin, begin + strlen(body), f->digests[source], records - rejected,
        rejected);
    s_exec(f, sql);
    free(sql);
}

static void s_add_reject(s_fixture_t *f, uint32_t source, const char *body, const char *record, size_t size,
                         uint64_t ordinal) {
    sqlite3_stmt *statement = NULL;
    const char *sql =
        "INSERT INTO pvrelay_reject (run, checkpoint, source, stream, ordinal, \"offset\", length, reason, raw,"
        " wrangler) VALUES (1, ?1, ?2, 'modules', ?6, ?3, ?4, 'malformed_json', ?5, 0)";
    assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_int64(statement, 1, source + 1);
    sqlite3_bind_int64(statement, 2, source);
    sqlite3_bind_int64(statement, 3, (int64_t)f->ranges[source].begin + (record - body));
    sqlite3_bind_int64(statement, 4, (int64_t)size);
    sqlite3_bind_blob64(statement, 5, record, size, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 6, (int64_t)ordinal);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}

static int s_setup(void **state) {
    s_fixture_t *f = pr_xcalloc(1, sizeof *f);
    pr_error_t err = PR_ERROR_INIT;
    strcpy(f->folder, "/tmp/pvrelay-test-proof-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->target = pr_xasprintf("%s/hub.sqlite", f->folder);
    assert_int_equal(sqlite3_open(f->target, &f->db), SQLITE_OK);
    s_exec(f, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = 1;");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0001_unified_schema.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0002_pvrelay.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0003_undo.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0004_validation.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0005_deferred_index.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0006_foreign_change.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0007_mapping_text.sql");
    /* As the writer: the HUB's triggers stay out. */
    assert_int_equal(sqlite3_db_config(f->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    s_exec(f,
           "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at) "
           "VALUES (1, '" S_RUN "', 'proving', 'el-to-hub', '0', 'null', '0', '2025-11-01 00:00:00')");
    s_add_source(f, S_AUDITS, "audits.json", "audits", true, S_AUDITS_BODY, 2, 0);
    s_add_source(f, S_MODULES, "modules.json", "modules", true, S_MODULES_BODY, 3, 0);
    s_add_source(f, S_LINES, "modules.ndjson", "modules", false, S_LINES_BODY, 2, 0);
    s_add_source(f, S_BAD_LINES, "bad.ndjson", "modules", false, S_BAD_LINES_BODY, 4, 2);
    const char *odd = strstr(S_BAD_LINES_BODY, "{\"id\":9,\"audit_token\":\"tok-b\",\"module_id\":\"L4\"");
    s_add_reject(f, S_BAD_LINES, S_BAD_LINES_BODY, strstr(S_BAD_LINES_BODY, S_BAD_LINE), strlen(S_BAD_LINE), 1);
    s_add_reject(f, S_BAD_LINES, S_BAD_LINES_BODY, odd, strlen(S_LINE("L4", "odd", "\"x\"")), 2);
    s_exec(f, S_ROWS);
    s_exec(f, "PRAGMA foreign_keys = OFF");
    assert_int_equal(pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &f->mapping, &err), 0);
    assert_int_equal(pr_proof_open(f->target, f->mapping, S_RUN, &f->proof, &err), 0);
    f->list = pr_proof_list_new(100);
    *state = f;
    return 0;
}

static int s_teardown(void **state) {
    s_fixture_t *f = *state;
    pr_proof_destroy(&f->proof);
    pr_mapping_destroy(&f->mapping);
    pr_proof_list_destroy(&f->list);
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    for (int i = 0; i < S_SOURCES; i++)
        free(f->paths[i]);
    assert_int_equal(pr_test_folder_remove(f->folder), 0);
    free(f->target);
    free(f);
    return 0;
}

/* Prove a source's commit; the list holds what this found. Returns records compared. */
static uint64_t s_prove(s_fixture_t *f, uint32_t source) {
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_list_clear(f->list);
    int result = pr_proof_commit(f->proof, source + 1, f->ranges[source], f->rejected[source], f->list, &f->read, &err);
    if (result != 0)
        fail_msg("%s", err.text);
    assert_true(f->read.digest == f->digests[source]);
    return f->read.rows;
}

static void s_print(const pr_proof_list_t *list) {
    for (size_t i = 0; i < list->failures_count; i++) {
        const pr_failure_t *x = &list->failures[i];
        print_message("%s %s %s.%s (%s): expected %s, stored %s\n", pr_failure_word(x->kind), x->stream, x->table,
                      x->column, x->key, x->expected, x->stored);
    }
    for (size_t i = 0; i < list->findings_count; i++)
        print_message("finding %s %s %s\n", list->findings[i].kind, list->findings[i].field, list->findings[i].detail);
}

static void s_assert_counts(const s_fixture_t *f, uint64_t failures, size_t findings) {
    if (f->list->failures_total != failures || f->list->findings_count != findings)
        s_print(f->list);
    assert_int_equal(f->list->failures_total, failures);
    assert_int_equal(f->list->findings_count, findings);
}

static void s_assert_failure(const s_fixture_t *f, size_t index, pr_failure_kind_t kind, const char *place,
                             const char *key, const char *expected, const char *stored) {
    const pr_failure_t *failure = &f->list->failures[index];
    char found[256];
    snprintf(found, sizeof found, "%s.%s", failure->table, failure->column);
    assert_int_equal(failure->kind, kind);
    assert_string_equal(found, place);
    assert_string_equal(failure->key, key);
    assert_string_equal(failure->expected, expected);
    assert_string_equal(failure->stored, stored);
}

#define S_S1_1 "audit_token='tok-a', module_id='S1-1'"
#define S_S1_2 "audit_token='tok-a', module_id='S1-2'"

/* --- Clean --- */

static void test_clean(void **state) {
    s_fixture_t *f = *state;
    assert_int_equal(s_prove(f, S_AUDITS), 2);
    s_assert_counts(f, 0, 0);
    assert_int_equal(s_prove(f, S_MODULES), 3);
    s_assert_counts(f, 0, 0);
    assert_int_equal(s_prove(f, S_LINES), 2);
    s_assert_counts(f, 0, 0);
    assert_int_equal(s_prove(f, S_BAD_LINES), 2);
    s_assert_counts(f, 0, 0);
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_proof_whole(f->proof, f->list, &err), 0);
    s_assert_counts(f, 0, 0);
}

/* A record of the batch on its own: the proof does not depend on how the export was cut. */
static void test_part_of_a_source(void **state) {
    s_fixture_t *f = *state;
    const char *second = strstr(S_LINES_BODY, "\n") + 1;
    pr_range_t range = f->ranges[S_LINES];
    range.begin += (uint64_t)(second - S_LINES_BODY);
    range.first = 1;
    range.count = 1;
    f->ranges[S_LINES] = range;
    f->digests[S_LINES] = XXH3_64bits(second, strlen(second));
    char *sql = pr_xasprintf("UPDATE pvrelay_checkpoint SET first_ordinal = 1, records = 1, begin_offset = %" PRIu64
                             ", digest = '%016" PRIx64 "' WHERE checkpoint = 3; DELETE FROM el_modules WHERE id = 64",
                             range.begin, f->digests[S_LINES]);
    s_exec(f, sql);
    free(sql);
    assert_int_equal(s_prove(f, S_LINES), 1);
    s_assert_counts(f, 0, 0);
}

/* --- Another file in the target's place --- */

static void s_assert_moved(s_fixture_t *f) {
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_read_t read;
    pr_range_t range = f->ranges[S_MODULES];
    pr_proof_list_clear(f->list);
    assert_int_equal(pr_proof_commit(f->proof, S_MODULES + 1, range, 0, f->list, &read, &err), -PR_E_TARGET);
    assert_non_null(strstr(err.text, "hub.sqlite: is no longer the file that was opened"));
    int (*const parts[])(pr_proof_t *, pr_proof_list_t *, pr_error_t *) = {pr_proof_content, pr_proof_file,
                                                                           pr_proof_whole};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        pr_error_clear(&err);
        assert_int_equal(parts[i](f->proof, f->list, &err), -PR_E_TARGET);
        assert_non_null(strstr(err.text, "hub.sqlite: is no longer the file that was opened"));
    }
    s_assert_counts(f, 0, 0); /* it is said as what it is, not as rows that are missing */
}

/* Renamed, or replaced by an equal one, between two proofs: nothing is proved of a file that nobody has. Put back, it goes on. */
static void test_moved_between_proofs(void **state) {
    s_fixture_t *f = *state;
    char *elsewhere = pr_xasprintf("%s/elsewhere", f->folder);
    char *copy = pr_xasprintf("%s/copy", f->folder);
    char *into = pr_xasprintf("VACUUM INTO '%s'", copy);
    assert_int_equal(s_prove(f, S_AUDITS), 2);
    assert_int_equal(rename(f->target, elsewhere), 0);
    s_assert_moved(f);
    s_exec(f, into);
    assert_int_equal(rename(copy, f->target), 0);
    s_assert_moved(f);
    assert_int_equal(rename(elsewhere, f->target), 0);
    assert_int_equal(s_prove(f, S_MODULES), 3);
    s_assert_counts(f, 0, 0);
    free(into);
    free(copy);
    free(elsewhere);
}

/* --- Every mapped cell --- */

typedef enum { S_CELL, S_GONE, S_SHARED, S_UNSEEN, S_REPLACED } s_outcome_t;

/* A cell that is changed, and what the proof has to say about it. */
typedef struct {
    uint32_t source;
    const char *table;
    int id;
    const char *column;
    s_outcome_t outcome; /* where the books do not say who made the row */
    uint64_t failures;   /* records that name it */
    uint64_t made;       /* the same where they do: then there is no other outcome than a failure */
} s_cell_case_t;

#define S_AUDIT_CELL(column)                                                                                           \
    { S_AUDITS, "el_audits", 51, column, S_CELL, 1, 1 }
#define S_MODULE_CELL(id, column)                                                                                      \
    { S_MODULES, "el_modules", id, column, S_CELL, 1, 1 }

/* Who made what: the writer's notes. */
static const char *const S_MADE =
    "INSERT INTO pvrelay_made (table_name, row_id, run, checkpoint, source, ordinal) VALUES ('users', 11, 1, 1, 0, 0),"
    " ('clients', 21, 1, 1, 0, 0), ('clients', 22, 1, 1, 0, 1), ('projects', 31, 1, 1, 0, 0), ('projects', 32, 1, 1, "
    "0, 1),"
    " ('interventions', 41, 1, 1, 0, 0), ('interventions', 42, 1, 1, 0, 1), ('el_audits', 51, 1, 1, 0, 0),"
    " ('el_audits', 52, 1, 1, 0, 1), ('users', 12, 1, 2, 1, 1)";

static const s_cell_case_t S_CELLS[] = {
    S_AUDIT_CELL("project_name"),
    S_AUDIT_CELL("client_name"),
    S_AUDIT_CELL("location"),
    S_AUDIT_CELL("string_count"),
    S_AUDIT_CELL("modules_per_string"),
    S_AUDIT_CELL("total_modules"),
    S_AUDIT_CELL("plan_file_url"),
    S_AUDIT_CELL("status"),
    S_AUDIT_CELL("configuration_json"),
    S_AUDIT_CELL("created_at"),
    S_AUDIT_CELL("updated_at"),
    S_AUDIT_CELL("intervention_id"),
    {S_AUDITS, "el_audits", 52, "plan_file_url", S_CELL, 1, 1},
    {S_AUDITS, "el_audits", 51, "audit_token", S_GONE, 1, 1},
    {S_AUDITS, "interventions", 41, "project_id", S_CELL, 1, 1},
    {S_AUDITS, "interventions", 41, "technician_id", S_CELL, 1, 1},
    {S_AUDITS, "interventions", 41, "intervention_date", S_CELL, 1, 1},
    {S_AUDITS, "interventions", 41, "status", S_CELL, 1, 1},
    {S_AUDITS, "interventions", 41, "created_at", S_CELL, 1, 1},
    {S_AUDITS, "interventions", 41, "updated_at", S_CELL, 1, 1},
    {S_AUDITS, "interventions", 41, "intervention_type", S_REPLACED, 0, 1},
    {S_AUDITS, "interventions", 41, "notes", S_REPLACED, 0, 1},
    {S_AUDITS, "projects", 31, "client_id", S_CELL, 1, 1},
    {S_AUDITS, "projects", 31, "name", S_CELL, 1, 1},
    {S_AUDITS, "projects", 31, "site_address", S_SHARED, 0, 1},
    {S_AUDITS, "projects", 31, "notes", S_SHARED, 0, 1},
    {S_AUDITS, "projects", 31, "created_at", S_UNSEEN, 0, 1},
    {S_AUDITS, "projects", 31, "updated_at", S_UNSEEN, 0, 1},
    {S_AUDITS, "clients", 21, "name", S_CELL, 1, 1},
    {S_AUDITS, "clients", 21, "notes", S_SHARED, 0, 1},
    {S_AUDITS, "clients", 21, "created_at", S_UNSEEN, 0, 1},
    {S_AUDITS, "clients", 21, "updated_at", S_UNSEEN, 0, 1},
    {S_AUDITS, "users", 11, "email", S_CELL, 2, 2},
    {S_AUDITS, "users", 11, "name", S_SHARED, 0, 2},
    {S_AUDITS, "users", 11, "role", S_SHARED, 0, 2},
    {S_AUDITS, "users", 11, "is_active", S_SHARED, 0, 2},
    {S_AUDITS, "users", 11, "created_at", S_UNSEEN, 0, 1},
    {S_AUDITS, "users", 11, "updated_at", S_UNSEEN, 0, 1},
    S_MODULE_CELL(61, "audit_token"),
    S_MODULE_CELL(61, "string_number"),
    S_MODULE_CELL(61, "position_in_string"),
    S_MODULE_CELL(61, "defect_type"),
    S_MODULE_CELL(61, "severity_level"),
    S_MODULE_CELL(61, "comment"),
    S_MODULE_CELL(61, "technician_id"),
    S_MODULE_CELL(61, "physical_row"),
    S_MODULE_CELL(61, "physical_col"),
    S_MODULE_CELL(61, "created_at"),
    S_MODULE_CELL(61, "updated_at"),
    S_MODULE_CELL(62, "comment"),
    S_MODULE_CELL(62, "technician_id"),
    S_MODULE_CELL(62, "physical_row"),
    S_MODULE_CELL(62, "physical_col"),
    S_MODULE_CELL(62, "defect_type"),
    S_MODULE_CELL(62, "severity_level"),
    {S_MODULES, "el_modules", 61, "el_audit_id", S_GONE, 1, 1},
    {S_MODULES, "el_modules", 61, "module_identifier", S_GONE, 1, 1},
    {S_MODULES, "users", 12, "name", S_CELL, 2, 2},
    {S_MODULES, "users", 12, "email", S_SHARED, 0, 2},
    {S_MODULES, "users", 12, "role", S_SHARED, 0, 2},
    {S_MODULES, "users", 12, "is_active", S_SHARED, 0, 2},
    {S_MODULES, "users", 12, "created_at", S_UNSEEN, 0, 1},
    {S_MODULES, "users", 12, "updated_at", S_UNSEEN, 0, 1},
    {S_LINES, "el_modules", 64, "comment", S_CELL, 1, 1},
    {S_LINES, "el_modules", 64, "created_at", S_CELL, 1, 1},
};

/*  What a cell is changed to: another value of its kind, its own bytes as a BLOB, empty text or NULL, text for a number,
 *  the same number as text and as a real, the same text without its end. What the column's type makes the old value
 *  again, or does not take, is no change. */
static const char *const S_CHANGES[] = {
    "CASE typeof(\"%w\") WHEN 'text' THEN \"%w\" || 'x' WHEN 'null' THEN 7 ELSE (\"%w\" & 1023) + 1000 END",
    "CASE typeof(\"%w\") WHEN 'null' THEN x'00' ELSE CAST(\"%w\" AS BLOB) END /* \"%w\" */",
    "CASE typeof(\"%w\") WHEN 'null' THEN 'null' ELSE 'not ' || \"%w\" END /* \"%w\" */",
    "CASE typeof(\"%w\") WHEN 'null' THEN '' WHEN 'integer' THEN \"%w\" + 0.5 ELSE '' END /* \"%w\" */",
    "NULL /* \"%w\" \"%w\" \"%w\" */",
    "'' /* \"%w\" \"%w\" \"%w\" */",
    "x'' /* \"%w\" \"%w\" \"%w\" */",
    "0 /* \"%w\" \"%w\" \"%w\" */",
    "CAST(\"%w\" AS TEXT) /* \"%w\" \"%w\" */",
    "\"%w\" * 1.0 /* \"%w\" \"%w\" */",
    "substr(\"%w\", 1, length(\"%w\") - 1) /* \"%w\" */",
    "upper(\"%w\") /* \"%w\" \"%w\" */",
    "\"%w\" || char(0) /* \"%w\" \"%w\" */",
};

static char *s_cell_text(s_fixture_t *f, const s_cell_case_t *cell) {
    char *sql = sqlite3_mprintf("SELECT \"%w\" FROM \"%w\" WHERE id = %d", cell->column, cell->table, cell->id);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    char buffer[1024];
    pr_value_t value = pr_value_null();
    const unsigned char *bytes = sqlite3_column_blob(statement, 0);
    int size = sqlite3_column_bytes(statement, 0);
    int type = sqlite3_column_type(statement, 0);
    switch (type) {
    case SQLITE_INTEGER:
        value = pr_value_integer(sqlite3_column_int64(statement, 0));
        break;
    case SQLITE_FLOAT:
        value = pr_value_real(sqlite3_column_double(statement, 0));
        break;
    case SQLITE_TEXT:
        value = pr_value_text(bytes != NULL ? (const char *)bytes : "", (size_t)size);
        break;
    default:
        break;
    }
    pr_value_print(&value, buffer, sizeof buffer);
    if (type == SQLITE_BLOB) {
        strcpy(buffer, "x'");
        for (int i = 0; i < size; i++)
            sprintf(buffer + strlen(buffer), "%02x", bytes[i]);
        strcat(buffer, "'");
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return pr_xstrdup(buffer);
}

static void s_assert_named(s_fixture_t *f, const s_cell_case_t *cell, uint64_t failures, const char *expected,
                           const char *stored) {
    char place[128];
    bool gone = cell->outcome == S_GONE;
    snprintf(place, sizeof place, "%s.%s", cell->table, gone ? "" : cell->column);
    s_assert_counts(f, failures, 0);
    for (size_t i = 0; i < failures; i++) {
        const pr_failure_t *failure = &f->list->failures[i];
        s_assert_failure(f, i, gone ? PR_FAILURE_MISSING : PR_FAILURE_MISMATCH, place, failure->key,
                         gone ? failure->expected : expected, gone ? "" : stored);
        assert_int_equal(failure->source, cell->source);
        assert_true(failure->offset >= f->ranges[cell->source].begin && failure->offset < f->ranges[cell->source].end);
    }
}

static void s_assert_cell(s_fixture_t *f, const s_cell_case_t *cell, bool made, const char *expected,
                          const char *stored) {
    char place[128];
    uint64_t failures = made ? cell->made : cell->failures;
    if (failures > 0) {
        s_assert_named(f, cell, failures, expected, stored);
        return;
    }
    snprintf(place, sizeof place, "%s.%s", cell->table, cell->column);
    s_assert_counts(f, 0, cell->outcome == S_UNSEEN ? 0 : 1);
    if (cell->outcome == S_UNSEEN)
        return;
    assert_string_equal(f->list->findings[0].kind,
                        cell->outcome == S_REPLACED ? "replaced_parent" : "shared_parent_differs");
    assert_string_equal(f->list->findings[0].field, cell->outcome == S_REPLACED ? cell->table : place);
}

/* Returns whether the cell could be changed, and is another one now. */
static bool s_change_cell(s_fixture_t *f, const s_cell_case_t *cell, const char *change) {
    char *value = sqlite3_mprintf(change, cell->column, cell->column, cell->column);
    char *sql = sqlite3_mprintf("CREATE TEMP TABLE kept AS SELECT id, \"%w\" AS value FROM \"%w\" WHERE id = %d",
                                cell->column, cell->table, cell->id);
    s_exec(f, sql);
    sqlite3_free(sql);
    sql = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = %s WHERE id = %d", cell->table, cell->column, value, cell->id);
    bool changed = sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_free(sql);
    sqlite3_free(value);
    sql = sqlite3_mprintf("SELECT 1 FROM \"%w\" AS t JOIN kept ON kept.id = t.id WHERE typeof(\"%w\") <> "
                          "typeof(value) OR CAST(\"%w\" AS BLOB) IS NOT CAST(value AS BLOB)",
                          cell->table, cell->column, cell->column);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &statement, NULL), SQLITE_OK);
    changed = changed && sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return changed;
}

static void s_restore_cell(s_fixture_t *f, const s_cell_case_t *cell) {
    char *sql = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = (SELECT value FROM kept) WHERE id = %d; DROP TABLE kept",
                                cell->table, cell->column, cell->id);
    s_exec(f, sql);
    sqlite3_free(sql);
}

static void s_every_cell(s_fixture_t *f, bool made) {
    size_t changed = 0;
    for (size_t i = 0; i < sizeof S_CELLS / sizeof S_CELLS[0]; i++) {
        const s_cell_case_t *cell = &S_CELLS[i];
        for (size_t j = 0; j < sizeof S_CHANGES / sizeof S_CHANGES[0]; j++) {
            char *expected = s_cell_text(f, cell);
            if (s_change_cell(f, cell, S_CHANGES[j])) {
                char *stored = s_cell_text(f, cell);
                s_prove(f, cell->source);
                s_assert_cell(f, cell, made, expected, stored);
                free(stored);
                changed++;
            }
            s_restore_cell(f, cell);
            free(expected);
        }
    }
    assert_true(changed > 400);
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 0);
}

static void test_every_cell(void **state) {
    s_every_cell(*state, false);
}

static void test_every_cell_of_ours(void **state) {
    s_exec(*state, S_MADE);
    s_every_cell(*state, true);
}

/* --- Rows --- */

static void test_missing_rows(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM el_modules WHERE id = 62");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISSING, "el_modules.", S_S1_2, "el_audit_id=51, module_identifier='S1-2'", "");
    assert_int_equal(f->list->failures[0].offset,
                     f->ranges[S_MODULES].begin + (uint64_t)(strstr(S_MODULES_BODY, "{ \"id\": 2") - S_MODULES_BODY));

    s_exec(f, "DELETE FROM el_audits WHERE id = 51");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISSING, "el_modules.", S_S1_1,
                     "el_audit_id=id of the row of el_audits with audit_token='tok-a', which is missing, "
                     "module_identifier='S1-1'",
                     "");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISSING, "el_audits.", "token='tok-a'", "audit_token='tok-a'", "");

    s_exec(f, "DELETE FROM projects WHERE id = 32");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 1, PR_FAILURE_MISSING, "projects.", "token='tok-b'", "client_id=22, name='LES FORGES'", "");
}

static void test_missing_parent_and_its_reference(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM users WHERE id = 12; UPDATE el_modules SET technician_id = NULL WHERE id = 62");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 3, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISSING, "users.", S_S1_2, "name='René'", "");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "el_modules.technician_id", S_S1_2,
                     "id of the row of users that is missing", "NULL");
    s_assert_failure(f, 2, PR_FAILURE_MISSING, "users.", "audit_token='tok-b', module_id='M001'", "name='René'", "");
}

static void test_wrong_parents(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE el_modules SET technician_id = 13 WHERE id = 62");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_modules.technician_id", S_S1_2, "12", "13");

    /* Two rows swap their values: both are named. */
    s_exec(f, "UPDATE el_modules SET technician_id = 12 WHERE id = 62;"
              "UPDATE interventions SET project_id = 63 - project_id WHERE id IN (41, 42)");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "interventions.project_id", "token='tok-a'", "31", "32");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "interventions.project_id", "token='tok-b'", "32", "31");
}

/* Somebody puts a real intervention in the placeholder's place, with a project of its own. */
static void test_replaced_parent(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "INSERT INTO projects (id, client_id, name, site_address) VALUES (39, 22, 'the real one', 'x');"
              "INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date, status) "
              "VALUES (49, 39, 13, 'el', '2025-10-30', 'completed');"
              "UPDATE el_audits SET intervention_id = 49 WHERE id = 51; DELETE FROM interventions WHERE id = 41");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 1);
    const pr_finding_t *finding = &f->list->findings[0];
    assert_string_equal(finding->kind, "replaced_parent");
    assert_string_equal(finding->stream, "audits");
    assert_string_equal(finding->field, "interventions");
    assert_string_equal(finding->detail, "token='tok-a'");
    assert_int_equal(finding->count, 1);
    assert_int_equal(finding->ordinal, 0);
}

/* A column that is only ever set on insert may differ where rows were there before. */
static void test_kept_column(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE el_audits SET intervention_id = NULL WHERE id = 52");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_audits.intervention_id", "token='tok-b'", "42", "NULL");

    s_exec(f, "UPDATE pvrelay_checkpoint SET inserted = 1, updated = 1 WHERE checkpoint = 1");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].kind, "kept_differs");
    assert_string_equal(f->list->findings[0].field, "el_audits.intervention_id");
    assert_string_equal(f->list->findings[0].detail, "token='tok-b': 42 in the export, NULL stored");
    assert_int_equal(f->list->findings[0].ordinal, 1);
}

static void test_shared_parent_is_counted(void **state) {
    s_fixture_t *f = *state;
    /* Dates of a shared row are those of whichever record made it: nothing to report. */
    s_exec(f, "UPDATE users SET created_at = '2025-10-27 10:00:00' WHERE id = 12");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 0);
    s_exec(f, "UPDATE users SET role = 'guest' WHERE id = 12");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 1);
    const pr_finding_t *finding = &f->list->findings[0];
    assert_string_equal(finding->kind, "shared_parent_differs");
    assert_string_equal(finding->field, "users.role");
    assert_string_equal(finding->detail, S_S1_2 ": 'technician' in the export, 'guest' stored");
    assert_int_equal(finding->count, 2);
    assert_int_equal(finding->ordinal, 1);
    assert_int_equal(finding->source, S_MODULES);

    /* Each batch counts its own; one without any says nothing. */
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 1);
    assert_int_equal(f->list->findings[0].count, 2);
    assert_int_equal(f->list->findings[0].ordinal, 1);
    s_prove(f, S_LINES);
    s_assert_counts(f, 0, 0);
}

/* Where two long texts part is shown, not their equal beginnings. */
static void test_long_texts(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE el_audits SET configuration_json = configuration_json || printf('%5000c', ' ') WHERE id = 51");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 1, 0);
    assert_string_equal(f->list->failures[0].expected, "'{\"mode\":\"simple\"}'");
    assert_int_equal(strncmp(f->list->failures[0].stored, "'{\"mode\":\"simple\"} ", 19), 0);
}

/* --- The export and the rejects --- */

static void test_changed_export(void **state) {
    s_fixture_t *f = *state;
    char *body = pr_xstrdup(S_LINES_BODY);
    body[strlen(body) - 3] = 'L';
    s_write(f->paths[S_LINES], "\n", body, "\n");
    free(body);
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_read_t read = {.rows = 77};
    assert_int_equal(pr_proof_commit(f->proof, S_LINES + 1, f->ranges[S_LINES], 0, f->list, &read, &err),
                     -PR_E_SOURCE_CHANGED);
    char *text =
        pr_xasprintf("%s: the bytes 1 to %" PRIu64 " are no longer what was committed; put the file back, or begin "
                     "anew with --restart",
                     f->paths[S_LINES], f->ranges[S_LINES].end);
    assert_string_equal(err.text, text);
    assert_int_equal(read.rows, 77);

    /* Cut short. */
    assert_int_equal(truncate(f->paths[S_LINES], 30), 0);
    pr_error_clear(&err);
    assert_int_equal(pr_proof_commit(f->proof, S_LINES + 1, f->ranges[S_LINES], 0, f->list, &read, &err),
                     -PR_E_SOURCE_CHANGED);
    assert_string_equal(err.text, text);
    free(text);

    /* The next commit is proved as if nothing had been. */
    assert_int_equal(s_prove(f, S_MODULES), 3);
    s_assert_counts(f, 0, 0);

    unlink(f->paths[S_AUDITS]);
    pr_error_clear(&err);
    assert_int_equal(pr_proof_commit(f->proof, 1, f->ranges[S_AUDITS], 0, f->list, &read, &err), -PR_E_UNREADABLE);
    text = pr_xasprintf("%s: No such file or directory", f->paths[S_AUDITS]);
    assert_string_equal(err.text, text);
    free(text);
}

static void test_rejects(void **state) {
    s_fixture_t *f = *state;
    char expected_key[64];

    /* Other bytes kept than the export has. */
    s_exec(f, "UPDATE pvrelay_reject SET raw = CAST('{' || substr(raw, 2) || ' ' AS BLOB) WHERE reject = 1");
    s_prove(f, S_BAD_LINES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "pvrelay_reject.raw", "reject=1", "the export's bytes", "other bytes");

    /* Kept as another record's. */
    s_exec(f, "UPDATE pvrelay_reject SET raw = (SELECT substr(raw, 1, length(raw) - 1) FROM pvrelay_reject WHERE "
              "reject = 1), "
              "ordinal = 2, stream = 'audits', source = 9, length = 3 WHERE reject = 1");
    s_exec(f, "UPDATE pvrelay_reject SET raw = CAST('{' || substr(raw, 2) AS BLOB) WHERE reject = 1");
    s_prove(f, S_BAD_LINES);
    s_assert_counts(f, 4, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "pvrelay_reject.source", "reject=1", "3", "9");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "pvrelay_reject.ordinal", "reject=1", "1", "2");
    char length[24];
    snprintf(length, sizeof length, "%zu", strlen(S_BAD_LINE));
    s_assert_failure(f, 2, PR_FAILURE_MISMATCH, "pvrelay_reject.length", "reject=1", length, "3");
    s_assert_failure(f, 3, PR_FAILURE_MISMATCH, "pvrelay_reject.stream", "reject=1", "modules", "audits");

    /* A reject that is not kept: its record is then one that the writer must have accepted. */
    s_exec(f, "DELETE FROM pvrelay_reject WHERE reject = 1");
    s_prove(f, S_BAD_LINES);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "record=2",
                     "a reject: the record is not valid JSON (Invalid value.)", "accepted");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "pvrelay_checkpoint.rejected", "checkpoint=4", "1", "2");

    /* One that begins in the middle of a record. */
    s_exec(f, "UPDATE pvrelay_reject SET \"offset\" = \"offset\" + 3 WHERE reject = 2");
    s_prove(f, S_BAD_LINES);
    assert_int_equal(f->list->failures_total, 4);
    s_assert_failure(f, 1, PR_FAILURE_MISSING, "el_modules.", "audit_token='tok-b', module_id='L4'",
                     "el_audit_id=52, module_identifier='L4'", "");
    snprintf(expected_key, sizeof expected_key, "%" PRIu64,
             f->ranges[S_BAD_LINES].begin + 3 +
                 (uint64_t)(strstr(S_BAD_LINES_BODY, "{\"id\":9,\"audit_token\":\"tok-b\",\"module_id\":\"L4\"") -
                            S_BAD_LINES_BODY));
    s_assert_failure(f, 2, PR_FAILURE_MISMATCH, "pvrelay_reject.offset", "reject=2", "the first byte of a record",
                     expected_key);
    s_assert_failure(f, 3, PR_FAILURE_MISMATCH, "pvrelay_checkpoint.rejected", "checkpoint=4", "1", "2");
}

/* The transformer should have rejected it; the writer took it. */
static void test_accepted_though_invalid(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM pvrelay_reject WHERE reject = 2");
    s_exec(f,
           "UPDATE pvrelay_checkpoint SET rejected = 1 WHERE checkpoint = 4; INSERT INTO el_modules (el_audit_id, "
           "audit_token, module_identifier, string_number, position_in_string, defect_type, severity_level, comment, "
           "created_at, updated_at) VALUES (52, 'tok-b', 'L4', 1, 2, 'odd', 0, 'x', NULL, '2025-10-27 10:00:05')");
    f->rejected[S_BAD_LINES] = 1;
    s_prove(f, S_BAD_LINES);
    s_assert_counts(f, 2, 0);
    const char *key = "audit_token='tok-b', module_id='L4'";
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_modules.defect_type", key, "a reject: nothing follows from 'odd'",
                     "'odd'");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "el_modules.severity_level", key,
                     "a reject: nothing follows from 'odd'", "0");
}

/* "null" is text where the run says so: the rows that were right are wrong then. */
static void test_null_text_kept(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_destroy(&f->proof);
    s_exec(f, "UPDATE pvrelay_source SET wrangler = 0; UPDATE el_modules SET technician_id = 12 WHERE id = 61;"
              "UPDATE users SET name = 'null', email = 'null@el.pvrelay.invalid' WHERE id = 12");
    assert_int_equal(pr_proof_open(f->target, f->mapping, S_RUN, &f->proof, &err), 0);
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_audits.plan_file_url", "token='tok-b'", "'null'", "NULL");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "el_audits.configuration_json", "token='tok-b'", "'null'", "NULL");
    s_prove(f, S_MODULES);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "record=1", "a reject: the field physical_row is not an integer",
                     "accepted");
}

static void test_announced_wrongly(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_read_t read;
    pr_range_t range = f->ranges[S_LINES];
    assert_int_equal(pr_proof_commit(f->proof, 9, range, 0, f->list, &read, &err), -PR_E_TARGET);
    char *text = pr_xasprintf("%s: has no checkpoint 9", f->target);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 1, f->list, &read, &err), -PR_E_PROTOCOL);
    text = pr_xasprintf("%s: checkpoint 3 is another commit than was announced", f->target);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);
    range.source = S_SOURCES;
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 0, f->list, &read, &err), -PR_E_PROTOCOL);
    assert_string_equal(err.text, "a commit of source 5, which there is not");
    range = f->ranges[S_LINES];
    range.end = UINT64_MAX;
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 0, f->list, &read, NULL), -PR_E_PROTOCOL);
    range = f->ranges[S_LINES];
    range.count++;
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 0, f->list, &read, NULL), -PR_E_PROTOCOL);
}

static void test_open_failures(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_t *proof = NULL;
    assert_int_equal(pr_proof_open("/nowhere/hub.sqlite", f->mapping, S_RUN, &proof, &err), -PR_E_TARGET);
    assert_string_equal(err.text, "/nowhere/hub.sqlite: cannot be opened for reading: No such file or directory");
    pr_error_clear(&err);
    assert_int_equal(pr_proof_open(f->target, f->mapping, "other", &proof, &err), -PR_E_TARGET);
    char *text = pr_xasprintf("%s: has no run other", f->target);
    assert_string_equal(err.text, text);
    free(text);
    assert_null(proof);

    pr_error_clear(&err);
    pr_proof_read_t read;
    s_exec(f, "ALTER TABLE el_audits RENAME COLUMN location TO place");
    assert_int_equal(pr_proof_commit(f->proof, 1, f->ranges[S_AUDITS], 0, f->list, &read, &err), -PR_E_TARGET_SCHEMA);
    text = pr_xasprintf("%s: table el_audits has no column location, which the mapping needs", f->target);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);

    s_exec(f, "DROP TABLE el_modules");
    assert_int_equal(pr_proof_commit(f->proof, 1, f->ranges[S_MODULES], 0, f->list, &read, &err), -PR_E_TARGET_SCHEMA);
    text = pr_xasprintf(
        "%s: there is no table el_modules, which the mapping needs; give a HUB database, or replay exports "
        "into this one first",
        f->target);
    assert_string_equal(err.text, text);
    free(text);
}

/* The validator's connection cannot write, whatever it is made to do. */
static void test_writer_goes_on(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "BEGIN IMMEDIATE; UPDATE el_modules SET comment = 'not yet' WHERE id = 61");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 0);
    s_exec(f, "COMMIT");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_modules.comment", S_S1_1, "NULL", "'not yet'");
}

/* --- Rows that we made, and rows of others beside them --- */

/* Two rows of ours with their values swapped: each is named by the record that made it. */
static void test_swapped_values(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_MADE);
    s_exec(f, "UPDATE el_audits SET intervention_id = 83 - intervention_id");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_audits.intervention_id", "token='tok-a'", "41", "42");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "el_audits.intervention_id", "token='tok-b'", "42", "41");

    s_exec(f, "UPDATE el_audits SET intervention_id = 83 - intervention_id;"
              "UPDATE interventions SET notes = 'pvrelay: placeholder for EL audit tok-' || CASE id WHEN 41 THEN 'b' "
              "ELSE 'a' END");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "interventions.notes", "token='tok-a'",
                     "'pvrelay: placeholder for EL audit tok-a'", "'pvrelay: placeholder for EL audit tok-b'");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "interventions.notes", "token='tok-b'",
                     "'pvrelay: placeholder for EL audit tok-b'", "'pvrelay: placeholder for EL audit tok-a'");

    s_exec(f,
           "UPDATE interventions SET notes = 'pvrelay: placeholder for EL audit tok-' || CASE id WHEN 41 THEN 'a' "
           "ELSE 'b' END; UPDATE projects SET client_id = 21, name = CASE id WHEN 31 THEN 'LES FORGES' ELSE 'JALIBAT' "
           "END; UPDATE clients SET name = 'JALIBAT Industrie' WHERE id = 21");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 3, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "projects.name", "token='tok-a'", "'JALIBAT'", "'LES FORGES'");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "projects.client_id", "token='tok-b'", "22", "21");
    s_assert_failure(f, 2, PR_FAILURE_MISMATCH, "projects.name", "token='tok-b'", "'LES FORGES'", "'JALIBAT'");

    s_exec(f, "UPDATE projects SET client_id = id - 10, name = CASE id WHEN 31 THEN 'JALIBAT' ELSE 'LES FORGES' END;"
              "UPDATE el_modules SET comment = CASE id WHEN 63 THEN 'café ' || char(0) || ' \"fin\"' ELSE 'vu' END "
              "WHERE id IN (62, 63)");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "el_modules.comment", "audit_token='tok-b', module_id='M001'", "'vu'",
                     f->list->failures[0].expected);
}

/* The placeholder is still there: then it was not replaced, but the reference to it was changed. */
static void test_reference_to_another_row(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_MADE);
    s_exec(f, "INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date, status) "
              "VALUES (49, 31, 13, 'el', '2025-10-30', 'completed');"
              "UPDATE el_audits SET intervention_id = 49 WHERE id = 51");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_audits.intervention_id", "token='tok-a'", "41", "49");
    s_exec(f, "DELETE FROM interventions WHERE id = 41");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].kind, "replaced_parent");
    /* Made by another run: this one does not answer for it. */
    s_exec(f, "UPDATE pvrelay_made SET run = 2; UPDATE projects SET site_address = 'x' WHERE id = 31");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 2);
    assert_string_equal(f->list->findings[1].kind, "replaced_parent");
    assert_string_equal(f->list->findings[0].field, "projects.site_address");
}

static void test_shared_row_at_another_record(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_MADE);
    /* Another record made it: what differs is between the two records, but for what must be the same for all. */
    s_exec(f, "UPDATE pvrelay_made SET ordinal = 7 WHERE table_name = 'projects' AND row_id = 31;"
              "UPDATE projects SET site_address = 'x', notes = 'y', created_at = 'z' WHERE id = 31");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 1, 1);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "projects.notes", "token='tok-a'",
                     "'pvrelay: placeholder made from an EL audit's project_name'", "'y'");
    assert_string_equal(f->list->findings[0].kind, "shared_parent_differs");
    assert_string_equal(f->list->findings[0].detail, "token='tok-a': 'Lyon' in the export, 'x' stored");

    /* A record of another stream made it, by other rules. */
    s_exec(f, "UPDATE pvrelay_made SET source = 0 WHERE table_name = 'users' AND row_id = 12;"
              "UPDATE users SET email = 'other@pvrelay.invalid' WHERE id = 12");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].kind, "shared_parent_differs");
    assert_string_equal(f->list->findings[0].field, "users.email");
    assert_int_equal(f->list->findings[0].count, 2);
}

static void test_second_rows(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "INSERT INTO clients (id, name) VALUES (29, 'JALIBAT Industrie');"
              "INSERT INTO users (id, email, name, role) VALUES (19, 'rene@hub.example', 'René', 'technician');"
              "INSERT INTO interventions (id, project_id, technician_id, intervention_type, intervention_date, status, "
              "notes) VALUES (49, 32, 11, 'el', '2025-10-30', 'completed', 'pvrelay: placeholder for EL audit tok-b')");
    /* They may have been there before. */
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 0);
    s_exec(f, S_MADE);
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 2);
    assert_string_equal(f->list->findings[0].kind, "extra_row");
    assert_string_equal(f->list->findings[0].field, "clients id=29");
    assert_string_equal(f->list->findings[0].detail,
                        "clients: name='JALIBAT Industrie'; the row of token='tok-a' is id=21");
    assert_string_equal(f->list->findings[1].field, "interventions id=49");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].field, "users id=19");
    pr_proof_set_extra(f->proof, true);
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_EXTRA, "clients.", "id=29, name='JALIBAT Industrie'",
                     "no second row with the key of id=21", "a row");
    s_assert_failure(f, 1, PR_FAILURE_EXTRA, "interventions.",
                     "id=49, project_id=32, intervention_type='el', notes='pvrelay: placeholder for EL audit tok-b'",
                     "no second row with the key of id=42", "a row");
}

/* --- Tallies --- */

static uint64_t s_tallied(const s_fixture_t *f, const char *stream, const char *group, const char *value) {
    for (size_t i = 0; i < f->list->tallies_count; i++) {
        const pr_proof_tally_t *tally = &f->list->tallies[i];
        if (strcmp(tally->stream, stream) == 0 && strcmp(tally->group, group) == 0 && strcmp(tally->value, value) == 0)
            return tally->count;
    }
    return 0;
}

static void test_tallies(void **state) {
    s_fixture_t *f = *state;
    s_prove(f, S_MODULES);
    assert_int_equal(f->list->tallies_count, 3);
    assert_int_equal(s_tallied(f, "modules", "tok-a", "ok"), 1);
    assert_int_equal(s_tallied(f, "modules", "tok-a", "dead"), 1);
    assert_int_equal(s_tallied(f, "modules", "tok-b", "inequality"), 1);
    /* Rejected records are not counted, however the target looks. */
    s_exec(f, "DELETE FROM el_modules");
    s_prove(f, S_BAD_LINES);
    assert_int_equal(f->list->tallies_count, 2);
    assert_int_equal(s_tallied(f, "modules", "tok-b", "pending"), 1);
    assert_int_equal(s_tallied(f, "modules", "tok-b", "ok"), 1);
    /* A stream that declares something: its keys. */
    s_prove(f, S_AUDITS);
    assert_int_equal(f->list->tallies_count, 2);
    assert_int_equal(s_tallied(f, "audits", "tok-a", ""), 1);
    assert_int_equal(s_tallied(f, "audits", "tok-b", ""), 1);
}

/* --- The export said otherwise --- */

/* Give a source other bytes, as if they had been exported and committed so. */
static void s_export_again(s_fixture_t *f, uint32_t source, const char *body, uint32_t records) {
    s_write(f->paths[source], "\n", body, "\n");
    f->ranges[source] = (pr_range_t){.source = source, .count = records, .begin = 1, .end = 1 + strlen(body)};
    f->digests[source] = XXH3_64bits(body, strlen(body));
    char *sql =
        pr_xasprintf("UPDATE pvrelay_source SET size = %zu, records = %" PRIu32 " WHERE source = %" PRIu32 ";"
                     "UPDATE pvrelay_checkpoint SET records = %" PRIu32 ", begin_offset = 1, end_offset = %zu, "
                     "inserted = %" PRIu32 ", rejected = 0, digest = '%016" PRIx64 "' WHERE source = %" PRIu32,
                     strlen(body) + 2, records, source, records, strlen(body) + 1, records, f->digests[source], source);
    s_exec(f, sql);
    free(sql);
    f->rejected[source] = 0;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_destroy(&f->proof);
    assert_int_equal(pr_proof_open(f->target, f->mapping, S_RUN, &f->proof, &err), 0);
}

/* A number that no double holds, where nobody looks at it. */
static void test_numbers_beyond_a_double(void **state) {
    s_fixture_t *f = *state;
    static const char *const numbers[] = {"1e400", "-1E+999", "0e999", "1.5e-999", "12345678901234567890123"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char *body =
            pr_xasprintf("{\"id\":%s,%s\n%s", numbers[i], strstr(S_LINE("L1", "pending", "\"null\""), "\"audit"),
                         S_LINE("L2", "microcracks", "null"));
        s_export_again(f, S_LINES, body, 2);
        assert_int_equal(s_prove(f, S_LINES), 2);
        s_assert_counts(f, 0, 0);
        free(body);
    }
    /* In a field that is looked at it is a reject. */
    s_export_again(f, S_LINES,
                   "{\"id\":9,\"audit_token\":\"tok-b\",\"module_id\":\"L1\",\"string_number\":1e400,"
                   "\"position_in_string\":2,\"status\":\"pending\",\"comment\":\"null\",\"technician_id\":null,"
                   "\"created_at\":null,\"updated_at\":\"2025-10-27 10:00:05\",\"physical_row\":null,"
                   "\"physical_col\":null}",
                   1);
    s_prove(f, S_LINES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "record=1", "a reject: the field string_number is not an integer",
                     "accepted");
    /* What is no JSON stays none. */
    s_export_again(f, S_LINES, "{\"id\":1e400, \"x\" 1}", 1);
    s_prove(f, S_LINES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "record=1",
                     "a reject: the record is not valid JSON (Number too big to be stored in double.)", "accepted");
}

static void test_duplicate_in_a_commit(void **state) {
    s_fixture_t *f = *state;
    s_export_again(f, S_LINES, S_LINE("L1", "pending", "\"before\"") "\n" S_LINE("L1", "pending", "\"null\""), 2);
    s_prove(f, S_LINES);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].kind, "duplicate_key");
    assert_string_equal(f->list->findings[0].stream, "modules");
    assert_string_equal(f->list->findings[0].field, "audit_token, module_id");
    char *detail = pr_xasprintf("audit_token='tok-b', module_id='L1': source 3, record 1, byte 1 is overwritten by "
                                "source 3, record 2, byte %zu",
                                strlen(S_LINE("L1", "pending", "\"before\"")) + 2);
    assert_string_equal(f->list->findings[0].detail, detail);
    free(detail);
    assert_int_equal(f->list->findings[0].count, 1);
    assert_int_equal(f->list->findings[0].ordinal, 0);
    /* Neither is what is stored. */
    s_exec(f, "UPDATE el_modules SET comment = 'other' WHERE id = 64");
    s_prove(f, S_LINES);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_modules.comment", "audit_token='tok-b', module_id='L1'", "'before'",
                     "'other'");
    /* The first one is: the last should be. */
    s_exec(f, "UPDATE el_modules SET comment = 'before' WHERE id = 64");
    s_prove(f, S_LINES);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_modules.comment", "audit_token='tok-b', module_id='L1'", "'null'",
                     "'before'");
}

/* The very same record twice: nothing fails; the proof of the whole tells of it, by the tallies. */
static void test_the_same_record_again(void **state) {
    s_fixture_t *f = *state;
    s_export_again(f, S_LINES,
                   S_LINE("L1", "pending", "\"null\"") "\n" S_LINE("L1", "pending",
                                                                   "\"null\"") "\n" S_LINE("L2", "microcracks", "null"),
                   3);
    s_prove(f, S_LINES);
    s_assert_counts(f, 0, 0);
    assert_int_equal(s_tallied(f, "modules", "tok-b", "pending"), 2);
    s_prove(f, S_LINES);
    s_assert_counts(f, 0, 0);
}

/* The proof comes after the next commit, which has overwritten what this one wrote. */
static void test_duplicate_in_a_later_commit(void **state) {
    s_fixture_t *f = *state;
    s_export_again(f, S_MODULES, S_LINE("L1", "dead", "\"a\"") "\n" S_LINE("L2", "dead", "\"b\""), 2);
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].kind, "duplicate_key");
    assert_int_equal(f->list->findings[0].count, 2);
    s_exec(f, "UPDATE el_modules SET comment = 'other' WHERE id = 65");
    s_prove(f, S_MODULES);
    s_assert_counts(f, 3, 1);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_modules.defect_type", "audit_token='tok-b', module_id='L2'",
                     "'dead_module'", "'microcrack'");
    assert_int_equal(f->list->findings[0].count, 1);
    /* What the record made for others too is no later record's to change. */
    s_exec(f, S_MADE);
    s_exec(f, "UPDATE clients SET created_at = 'z' WHERE id = 21");
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 1, 0);
}

/* --- Exports without a run --- */

static pr_plan_t *s_plan(s_fixture_t *f) {
    static const char *const streams[] = {"audits", "modules", "modules", "modules"};
    pr_plan_t *plan = pr_plan_new();
    s_exec(f, "UPDATE pvrelay_source SET digest = printf('%016x', source + 1)");
    for (uint32_t i = 0; i < S_SOURCES; i++) {
        char stream[16];
        strcpy(stream, streams[i]);
        sqlite3_stmt *statement = NULL;
        assert_int_equal(sqlite3_prepare_v2(f->db,
                                            "SELECT size, wrangler, records FROM pvrelay_source WHERE source = ?1", -1,
                                            &statement, NULL),
                         SQLITE_OK);
        sqlite3_bind_int64(statement, 1, i);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        pr_plan_add(plan, &(pr_plan_source_t){.path = f->paths[i],
                                              .stream = stream,
                                              .size = (uint64_t)sqlite3_column_int64(statement, 0),
                                              .null_text = sqlite3_column_int(statement, 1) != 0,
                                              .records = (uint64_t)sqlite3_column_int64(statement, 2),
                                              .digest = i + 1});
        sqlite3_finalize(statement);
    }
    return plan;
}

/* Prove all ranges of a plan's exports. */
static void s_verify(s_fixture_t *f, const pr_plan_t *plan, uint64_t *ret_compared, uint64_t *ret_rejected) {
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_list_clear(f->list);
    pr_proof_destroy(&f->proof);
    assert_int_equal(pr_proof_open_exports(f->target, f->mapping, plan, &f->proof, &err), 0);
    *ret_compared = 0;
    *ret_rejected = 0;
    for (uint32_t i = 0; i < S_SOURCES; i++) {
        uint64_t compared = 0;
        uint64_t rejected = 0;
        if (pr_proof_range(f->proof, f->ranges[i], f->list, &compared, &rejected, &err) != 0)
            fail_msg("%s", err.text);
        *ret_compared += compared;
        *ret_rejected += rejected;
    }
}

static void test_exports(void **state) {
    s_fixture_t *f = *state;
    uint64_t compared;
    uint64_t rejected;
    pr_plan_t *plan = s_plan(f);
    s_verify(f, plan, &compared, &rejected);
    s_assert_counts(f, 0, 0);
    assert_int_equal(compared, 9);
    assert_int_equal(rejected, 2);
    assert_int_equal(s_tallied(f, "modules", "tok-b", "pending"), 2);
    assert_int_equal(s_tallied(f, "modules", "tok-b", "ok"), 1);
    assert_int_equal(s_tallied(f, "audits", "tok-b", ""), 1);

    /* The rejects of a run that was taken back are none. */
    s_exec(f, "UPDATE pvrelay_run SET rolled_back_at = 'then'");
    s_verify(f, plan, &compared, &rejected);
    assert_int_equal(rejected, 0);
    assert_int_equal(f->list->failures_total, 2);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "record=2",
                     "a reject: the record is not valid JSON (Invalid value.)", "accepted");
    s_assert_failure(f, 1, PR_FAILURE_MISSING, "el_modules.", "audit_token='tok-b', module_id='L4'",
                     "el_audit_id=52, module_identifier='L4'", "");

    /* Nor are those that were retried, or whose record a later run has read. */
    s_exec(f,
           "UPDATE pvrelay_run SET rolled_back_at = NULL; UPDATE pvrelay_reject SET retried_by = 1 WHERE reject = 1");
    s_verify(f, plan, &compared, &rejected);
    assert_int_equal(rejected, 1);
    s_exec(
        f,
        "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at) "
        "SELECT 2, 'other', state, mapping_name, mapping_digest, null_text, plan_digest, started_at FROM pvrelay_run;"
        "INSERT INTO pvrelay_source SELECT 2, source + 5, path, stream, size, mtime_ns, digest, wrangler, records, "
        "bytes FROM pvrelay_source; INSERT INTO pvrelay_checkpoint SELECT 99, 2, kind, source + 5, first_ordinal, 2, "
        "begin_offset, end_offset, digest, inserted, updated, unchanged, rejected, rows_inserted, rows_updated, "
        "committed_at, name, validated FROM pvrelay_checkpoint WHERE checkpoint = 4");
    s_verify(f, plan, &compared, &rejected);
    assert_int_equal(rejected, 1);
    s_exec(f, "UPDATE pvrelay_checkpoint SET records = 3 WHERE checkpoint = 99");
    s_verify(f, plan, &compared, &rejected);
    assert_int_equal(rejected, 0);

    /* A target that knows of no run at all. */
    s_exec(f, "UPDATE pvrelay_run SET rolled_back_at = NULL; DROP TABLE pvrelay_made; DROP TABLE pvrelay_tally;"
              "DROP TABLE pvrelay_proof_finding; DROP TABLE pvrelay_reject; DROP TABLE pvrelay_checkpoint;"
              "DROP TABLE pvrelay_source; DROP TABLE pvrelay_run");
    pr_proof_list_clear(f->list);
    pr_proof_destroy(&f->proof);
    assert_int_equal(pr_proof_open_exports(f->target, f->mapping, plan, &f->proof, NULL), 0);
    assert_int_equal(pr_proof_range(f->proof, f->ranges[S_AUDITS], f->list, &compared, &rejected, NULL), 0);
    s_assert_counts(f, 0, 0);
    pr_plan_destroy(&plan);
}

/* Whatever run made it, and however the exports are numbered now. */
static void test_exports_of_ours(void **state) {
    s_fixture_t *f = *state;
    uint64_t compared;
    uint64_t rejected;
    pr_plan_t *plan = s_plan(f);
    s_exec(f, S_MADE);
    s_exec(
        f,
        "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at) "
        "SELECT 2, 'other', state, mapping_name, mapping_digest, null_text, plan_digest, started_at FROM pvrelay_run;"
        "UPDATE pvrelay_source SET run = 2, source = 9 - source; UPDATE pvrelay_made SET run = 2, source = 9 - source");
    s_verify(f, plan, &compared, &rejected);
    s_assert_counts(f, 0, 0);
    for (size_t i = 0; i < sizeof S_CELLS / sizeof S_CELLS[0]; i++) {
        const s_cell_case_t *cell = &S_CELLS[i];
        char *expected = s_cell_text(f, cell);
        assert_true(s_change_cell(f, cell, S_CHANGES[0]));
        char *stored = s_cell_text(f, cell);
        uint64_t one = 0;
        pr_proof_list_clear(f->list);
        assert_int_equal(pr_proof_range(f->proof, f->ranges[cell->source], f->list, &one, &rejected, NULL), 0);
        s_assert_named(f, cell, cell->made, expected, stored);
        s_restore_cell(f, cell);
        free(expected);
        free(stored);
    }
    /* Other bytes than those of the run: who made the row cannot be told, and dates of shared rows go unproved. */
    s_exec(f, "UPDATE pvrelay_source SET digest = 'x'; UPDATE clients SET created_at = 'x', notes = 'y' WHERE id = 21");
    s_verify(f, plan, &compared, &rejected);
    s_assert_counts(f, 1, 0);
    assert_string_equal(f->list->failures[0].column, "notes");
    pr_plan_destroy(&plan);
}

static void test_exports_with_duplicates(void **state) {
    s_fixture_t *f = *state;
    uint64_t compared;
    uint64_t rejected;
    s_export_again(f, S_MODULES, S_LINE("L1", "dead", "\"a\"") "\n" S_LINE("L2", "dead", "\"b\""), 2);
    pr_plan_t *plan = s_plan(f);
    s_verify(f, plan, &compared, &rejected);
    s_assert_counts(f, 0, 1);
    assert_string_equal(f->list->findings[0].kind, "duplicate_key");
    assert_int_equal(f->list->findings[0].count, 2);
    assert_int_equal(compared, 8);
    s_exec(f, "UPDATE el_modules SET comment = 'other' WHERE id = 65");
    s_verify(f, plan, &compared, &rejected);
    s_assert_counts(f, 4, 1);
    pr_plan_destroy(&plan);
}

static void test_exports_changed(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    uint64_t compared = 77;
    uint64_t rejected = 78;
    pr_plan_t *plan = s_plan(f);
    pr_proof_destroy(&f->proof);
    assert_int_equal(pr_proof_open_exports(f->target, f->mapping, plan, &f->proof, &err), 0);
    pr_range_t range = f->ranges[S_LINES];
    range.count = 1;
    assert_int_equal(pr_proof_range(f->proof, range, f->list, &compared, &rejected, &err), -PR_E_SOURCE_CHANGED);
    char *text = pr_xasprintf("%s: the bytes 1 to %" PRIu64 " are 2 records, and were 1", f->paths[S_LINES], range.end);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);
    assert_int_equal(truncate(f->paths[S_LINES], 30), 0);
    assert_int_equal(pr_proof_range(f->proof, f->ranges[S_LINES], f->list, &compared, &rejected, &err),
                     -PR_E_SOURCE_CHANGED);
    text = pr_xasprintf("%s: has become shorter than %" PRIu64 " bytes", f->paths[S_LINES], range.end);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);
    range.end = UINT64_MAX;
    assert_int_equal(pr_proof_range(f->proof, range, f->list, &compared, &rejected, &err), -PR_E_PROTOCOL);
    assert_int_equal(compared, 77);
    assert_int_equal(rejected, 78);
    pr_plan_destroy(&plan);

    plan = pr_plan_new();
    char path[] = "/x.json";
    char stream[] = "meters";
    pr_plan_add(plan, &(pr_plan_source_t){.path = path, .stream = stream});
    pr_proof_t *proof = NULL;
    pr_error_clear(&err);
    assert_int_equal(pr_proof_open_exports(f->target, f->mapping, plan, &proof, &err), -PR_E_MAPPING);
    text = pr_xasprintf("/x.json is of stream meters, which the mapping %s does not know", f->mapping->path);
    assert_string_equal(err.text, text);
    free(text);
    assert_null(proof);
    pr_plan_destroy(&plan);
}

/* --- Records alone --- */

static int s_on_record(void *context, const pr_value_t *values, uint32_t source, uint64_t ordinal, uint64_t offset,
                       pr_error_t *err) {
    (void)err;
    char *text = context;
    size_t at = strlen(text);
    snprintf(text + at, 200 - at, "%u/%u@%u:%.*s ", (unsigned)source, (unsigned)ordinal, (unsigned)offset,
             (int)values[2].text.size, values[2].text.data);
    return strstr(text, "L5") != NULL && text[0] == '!' ? -PR_E_INTERNAL : 0;
}

static void test_walk(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[200];
    char text[200] = "";
    const char *l5 = strstr(S_BAD_LINES_BODY, "{\"id\":9,\"audit_token\":\"tok-b\",\"module_id\":\"L5\"");
    snprintf(expected, sizeof expected, "3/0@1:L3 3/3@%u:L5 ", (unsigned)(l5 - S_BAD_LINES_BODY) + 1);
    assert_int_equal(pr_proof_walk(f->proof, f->ranges[S_BAD_LINES], s_on_record, text, &err), 0);
    assert_string_equal(text, expected);
    strcpy(text, "!");
    assert_int_equal(pr_proof_walk(f->proof, f->ranges[S_BAD_LINES], s_on_record, text, &err), -PR_E_INTERNAL);
    pr_range_t range = f->ranges[S_BAD_LINES];
    range.first = 1;
    range.count = 1;
    assert_int_equal(pr_proof_walk(f->proof, range, s_on_record, text, &err), -PR_E_TARGET);

    /* Of exports: what was found to be a reject is passed over. */
    uint64_t compared;
    uint64_t rejected;
    pr_plan_t *plan = s_plan(f);
    s_verify(f, plan, &compared, &rejected);
    text[0] = '\0';
    assert_int_equal(pr_proof_walk(f->proof, f->ranges[S_BAD_LINES], s_on_record, text, &err), 0);
    assert_string_equal(text, expected);
    pr_plan_destroy(&plan);
}

/* --- The whole --- */

static void s_whole(s_fixture_t *f, const char *sql) {
    pr_error_t err = PR_ERROR_INIT;
    s_exec(f, sql);
    pr_proof_list_clear(f->list);
    if (pr_proof_whole(f->proof, f->list, &err) != 0)
        fail_msg("%s", err.text);
}

static void test_whole_accounts(void **state) {
    s_fixture_t *f = *state;
    char key[256];
    snprintf(key, sizeof key, "source=1 (%s)", f->paths[S_MODULES]);
    s_whole(f, "UPDATE pvrelay_checkpoint SET inserted = 2 WHERE checkpoint = 2");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "pvrelay_checkpoint.inserted + updated + unchanged + rejected", key, "3",
                     "2");
    s_whole(f, "UPDATE pvrelay_checkpoint SET inserted = 1, records = 2, updated = 1 WHERE checkpoint = 2");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "pvrelay_checkpoint.records", key, "3", "2");
    assert_string_equal(f->list->failures[0].stream, "modules");
    s_whole(f, "UPDATE pvrelay_checkpoint SET inserted = 2, records = 3, updated = 1 WHERE checkpoint = 2;"
               "DELETE FROM pvrelay_reject WHERE reject = 2");
    snprintf(key, sizeof key, "source=3 (%s)", f->paths[S_BAD_LINES]);
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "pvrelay_checkpoint.rejected", key, "1", "2");
}

static void test_whole_order_and_verdicts(void **state) {
    s_fixture_t *f = *state;
    s_whole(f, "UPDATE pvrelay_checkpoint SET first_ordinal = 1 WHERE checkpoint = 3");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "pvrelay_checkpoint.first_ordinal", "checkpoint=3", "0", "1");
    s_whole(f, "UPDATE pvrelay_checkpoint SET first_ordinal = 0, validated = 0 WHERE checkpoint = 3;"
               "UPDATE pvrelay_checkpoint SET validated = 2 WHERE checkpoint = 2");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "pvrelay_checkpoint.validated", "checkpoint=3", "1 or 2", "0");
}

static void test_whole_foreign_keys(void **state) {
    s_fixture_t *f = *state;
    s_whole(f, "UPDATE el_modules SET technician_id = 99 WHERE id = 61;"
               "INSERT INTO isolation_tests (id, intervention_id) VALUES (1, 999), (2, 999)");
    s_assert_counts(f, 1, 1);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "el_modules.technician_id", "id=61", "a row of users", "refers to none");
    assert_string_equal(f->list->findings[0].kind, "foreign_key_elsewhere");
    assert_string_equal(f->list->findings[0].detail,
                        "isolation_tests id=1, intervention_id: a row of interventions, refers to none");
    assert_int_equal(f->list->findings[0].count, 2);
}

static void test_whole_derived(void **state) {
    s_fixture_t *f = *state;
    s_whole(f, "UPDATE el_audits SET completion_rate = 59.5 WHERE id = 52");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "el_audits.completion_rate", "id=52", "60.0", "59.5");
    s_whole(f, "UPDATE el_audits SET completion_rate = NULL WHERE id = 52");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "el_audits.completion_rate", "id=52", "60.0", "NULL");
    s_whole(f, "UPDATE el_audits SET completion_rate = 60 WHERE id = 52;"
               "INSERT INTO el_audits (id, audit_token, project_name, client_name, string_count, modules_per_string, "
               "total_modules, completion_rate) VALUES (53, 'tok-c', 'x', 'x', 1, 1, 1, 0);"
               "INSERT INTO pvrelay_touched VALUES (1, 'el_audits', 53), (1, 'el_audits', 54)");
    s_assert_counts(f, 1, 0);
    s_assert_failure(f, 0, PR_FAILURE_WHOLE, "el_audits.completion_rate", "id=54", "0.0", "no such row");
}

#define S_TEST(test) cmocka_unit_test_setup_teardown(test, s_setup, s_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        S_TEST(test_clean),
        S_TEST(test_part_of_a_source),
        S_TEST(test_moved_between_proofs),
        S_TEST(test_every_cell),
        S_TEST(test_every_cell_of_ours),
        S_TEST(test_missing_rows),
        S_TEST(test_missing_parent_and_its_reference),
        S_TEST(test_wrong_parents),
        S_TEST(test_replaced_parent),
        S_TEST(test_kept_column),
        S_TEST(test_shared_parent_is_counted),
        S_TEST(test_long_texts),
        S_TEST(test_changed_export),
        S_TEST(test_rejects),
        S_TEST(test_accepted_though_invalid),
        S_TEST(test_null_text_kept),
        S_TEST(test_announced_wrongly),
        S_TEST(test_open_failures),
        S_TEST(test_writer_goes_on),
        S_TEST(test_swapped_values),
        S_TEST(test_reference_to_another_row),
        S_TEST(test_shared_row_at_another_record),
        S_TEST(test_second_rows),
        S_TEST(test_tallies),
        S_TEST(test_numbers_beyond_a_double),
        S_TEST(test_duplicate_in_a_commit),
        S_TEST(test_the_same_record_again),
        S_TEST(test_duplicate_in_a_later_commit),
        S_TEST(test_exports),
        S_TEST(test_exports_of_ours),
        S_TEST(test_exports_with_duplicates),
        S_TEST(test_exports_changed),
        S_TEST(test_walk),
        S_TEST(test_whole_accounts),
        S_TEST(test_whole_order_and_verdicts),
        S_TEST(test_whole_foreign_keys),
        S_TEST(test_whole_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
