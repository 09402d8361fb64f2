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

static void s_add_reject(s_fixture_t *f, uint32_t source, const char *body, const char *record, size_t size) {
    sqlite3_stmt *statement = NULL;
    const char *sql =
        "INSERT INTO pvrelay_reject (run, checkpoint, source, stream, ordinal, \"offset\", length, reason, raw,"
        " wrangler) VALUES (1, ?1, ?2, 'modules', 0, ?3, ?4, 'malformed_json', ?5, 0)";
    assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_int64(statement, 1, source + 1);
    sqlite3_bind_int64(statement, 2, source);
    sqlite3_bind_int64(statement, 3, (int64_t)f->ranges[source].begin + (record - body));
    sqlite3_bind_int64(statement, 4, (int64_t)size);
    sqlite3_bind_blob64(statement, 5, record, size, SQLITE_STATIC);
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
    s_add_reject(f, S_BAD_LINES, S_BAD_LINES_BODY, strstr(S_BAD_LINES_BODY, S_BAD_LINE), strlen(S_BAD_LINE));
    s_add_reject(f, S_BAD_LINES, S_BAD_LINES_BODY, odd, strlen(S_LINE("L4", "odd", "\"x\"")));
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
    uint64_t rows = UINT64_MAX;
    pr_proof_list_clear(f->list);
    int result = pr_proof_commit(f->proof, source + 1, f->ranges[source], f->digests[source], f->rejected[source],
                                 f->list, &rows, &err);
    if (result != 0)
        fail_msg("%s", err.text);
    return rows;
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

/* --- Every mapped cell --- */

typedef enum { S_CELL, S_GONE, S_SHARED, S_REPLACED } s_outcome_t;

/* A cell that is changed, and what the proof has to say about it. */
typedef struct {
    uint32_t source;
    const char *table;
    int id;
    const char *column;
    s_outcome_t outcome;
    uint64_t failures; /* records that name it */
} s_cell_case_t;

#define S_AUDIT_CELL(column)                                                                                           \
    { S_AUDITS, "el_audits", 51, column, S_CELL, 1 }
#define S_MODULE_CELL(id, column)                                                                                      \
    { S_MODULES, "el_modules", id, column, S_CELL, 1 }

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
    {S_AUDITS, "el_audits", 52, "plan_file_url", S_CELL, 1},
    {S_AUDITS, "el_audits", 51, "audit_token", S_GONE, 1},
    {S_AUDITS, "interventions", 41, "project_id", S_CELL, 1},
    {S_AUDITS, "interventions", 41, "technician_id", S_CELL, 1},
    {S_AUDITS, "interventions", 41, "intervention_date", S_CELL, 1},
    {S_AUDITS, "interventions", 41, "status", S_CELL, 1},
    {S_AUDITS, "interventions", 41, "created_at", S_CELL, 1},
    {S_AUDITS, "interventions", 41, "updated_at", S_CELL, 1},
    {S_AUDITS, "interventions", 41, "intervention_type", S_REPLACED, 0},
    {S_AUDITS, "interventions", 41, "notes", S_REPLACED, 0},
    {S_AUDITS, "projects", 31, "client_id", S_CELL, 1},
    {S_AUDITS, "projects", 31, "name", S_CELL, 1},
    {S_AUDITS, "projects", 31, "site_address", S_SHARED, 0},
    {S_AUDITS, "projects", 31, "notes", S_SHARED, 0},
    {S_AUDITS, "clients", 21, "name", S_CELL, 1},
    {S_AUDITS, "clients", 21, "notes", S_SHARED, 0},
    {S_AUDITS, "users", 11, "email", S_CELL, 2},
    {S_AUDITS, "users", 11, "name", S_SHARED, 0},
    {S_AUDITS, "users", 11, "role", S_SHARED, 0},
    {S_AUDITS, "users", 11, "is_active", S_SHARED, 0},
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
    S_MODULE_CELL(62, "defect_type"),
    S_MODULE_CELL(62, "severity_level"),
    {S_MODULES, "el_modules", 61, "el_audit_id", S_GONE, 1},
    {S_MODULES, "el_modules", 61, "module_identifier", S_GONE, 1},
    {S_MODULES, "users", 12, "name", S_CELL, 2},
    {S_MODULES, "users", 12, "email", S_SHARED, 0},
    {S_LINES, "el_modules", 64, "comment", S_CELL, 1},
    {S_LINES, "el_modules", 64, "created_at", S_CELL, 1},
};

/* What a cell is changed to: another value of its kind, its own bytes as a BLOB, empty text or NULL, and text for a
 * number. */
static const char *const S_CHANGES[] = {
    "CASE typeof(\"%w\") WHEN 'text' THEN \"%w\" || 'x' WHEN 'null' THEN 7 ELSE (\"%w\" & 1023) + 1000 END",
    "CASE typeof(\"%w\") WHEN 'null' THEN x'00' ELSE CAST(\"%w\" AS BLOB) END /* \"%w\" */",
    "CASE typeof(\"%w\") WHEN 'null' THEN 'null' ELSE 'not ' || \"%w\" END /* \"%w\" */",
    "CASE typeof(\"%w\") WHEN 'null' THEN '' WHEN 'integer' THEN \"%w\" + 0.5 ELSE '' END /* \"%w\" */",
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

static void s_assert_cell(s_fixture_t *f, const s_cell_case_t *cell, const char *expected, const char *stored) {
    char place[128];
    snprintf(place, sizeof place, "%s.%s", cell->table, cell->outcome == S_GONE ? "" : cell->column);
    s_assert_counts(f, cell->failures, cell->failures == 0 ? 1 : 0);
    for (size_t i = 0; i < cell->failures; i++) {
        const pr_failure_t *failure = &f->list->failures[i];
        bool gone = cell->outcome == S_GONE;
        s_assert_failure(f, i, gone ? PR_FAILURE_MISSING : PR_FAILURE_MISMATCH, place, failure->key,
                         gone ? failure->expected : expected, gone ? "" : stored);
        assert_int_equal(failure->source, cell->source);
        assert_true(failure->offset >= f->ranges[cell->source].begin && failure->offset < f->ranges[cell->source].end);
    }
    if (cell->failures > 0)
        return;
    assert_string_equal(f->list->findings[0].kind,
                        cell->outcome == S_REPLACED ? "replaced_parent" : "shared_parent_differs");
    assert_string_equal(f->list->findings[0].field, cell->outcome == S_REPLACED ? cell->table : place);
}

static void test_every_cell(void **state) {
    s_fixture_t *f = *state;
    for (size_t i = 0; i < sizeof S_CELLS / sizeof S_CELLS[0]; i++) {
        const s_cell_case_t *cell = &S_CELLS[i];
        for (size_t j = 0; j < sizeof S_CHANGES / sizeof S_CHANGES[0]; j++) {
            char *expected = s_cell_text(f, cell);
            char *change = sqlite3_mprintf(S_CHANGES[j], cell->column, cell->column, cell->column);
            char *sql = sqlite3_mprintf("CREATE TEMP TABLE kept AS SELECT * FROM \"%w\" WHERE id = %d;"
                                        "UPDATE \"%w\" SET \"%w\" = %s WHERE id = %d",
                                        cell->table, cell->id, cell->table, cell->column, change, cell->id);
            s_exec(f, sql);
            char *stored = s_cell_text(f, cell);
            s_prove(f, cell->source);
            s_assert_cell(f, cell, expected, stored);
            sqlite3_free(sql);
            sql = sqlite3_mprintf("UPDATE \"%w\" SET \"%w\" = (SELECT \"%w\" FROM kept) WHERE id = %d; DROP TABLE kept",
                                  cell->table, cell->column, cell->column, cell->id);
            s_exec(f, sql);
            sqlite3_free(sql);
            sqlite3_free(change);
            free(expected);
            free(stored);
        }
    }
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 0, 0);
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

    /* The next batch counts on; one without any says nothing. */
    s_prove(f, S_MODULES);
    s_assert_counts(f, 0, 1);
    assert_int_equal(f->list->findings[0].count, 4);
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
    uint64_t rows = 77;
    assert_int_equal(
        pr_proof_commit(f->proof, S_LINES + 1, f->ranges[S_LINES], f->digests[S_LINES], 0, f->list, &rows, &err),
        -PR_E_SOURCE_CHANGED);
    char *text =
        pr_xasprintf("%s: the bytes 1 to %" PRIu64 " are no longer what was committed; put the file back, or begin "
                     "anew with --restart",
                     f->paths[S_LINES], f->ranges[S_LINES].end);
    assert_string_equal(err.text, text);
    assert_int_equal(rows, 77);

    /* Cut short. */
    assert_int_equal(truncate(f->paths[S_LINES], 30), 0);
    pr_error_clear(&err);
    assert_int_equal(
        pr_proof_commit(f->proof, S_LINES + 1, f->ranges[S_LINES], f->digests[S_LINES], 0, f->list, &rows, &err),
        -PR_E_SOURCE_CHANGED);
    assert_string_equal(err.text, text);
    free(text);

    /* The next commit is proved as if nothing had been. */
    assert_int_equal(s_prove(f, S_MODULES), 3);
    s_assert_counts(f, 0, 0);

    unlink(f->paths[S_AUDITS]);
    pr_error_clear(&err);
    assert_int_equal(pr_proof_commit(f->proof, 1, f->ranges[S_AUDITS], f->digests[S_AUDITS], 0, f->list, &rows, &err),
                     -PR_E_UNREADABLE);
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

    /* A reject that is not kept: its record is then one that the writer must have accepted. */
    s_exec(f, "DELETE FROM pvrelay_reject WHERE reject = 1");
    s_prove(f, S_BAD_LINES);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "ordinal=1",
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
    s_exec(f, "UPDATE pvrelay_run SET null_text = 'keep'; UPDATE el_modules SET technician_id = 12 WHERE id = 61;"
              "UPDATE users SET name = 'null', email = 'null@el.pvrelay.invalid' WHERE id = 12");
    assert_int_equal(pr_proof_open(f->target, f->mapping, S_RUN, &f->proof, &err), 0);
    s_prove(f, S_AUDITS);
    s_assert_counts(f, 2, 0);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, "el_audits.plan_file_url", "token='tok-b'", "'null'", "NULL");
    s_assert_failure(f, 1, PR_FAILURE_MISMATCH, "el_audits.configuration_json", "token='tok-b'", "'null'", "NULL");
    s_prove(f, S_MODULES);
    s_assert_failure(f, 0, PR_FAILURE_MISMATCH, ".", "ordinal=0", "a reject: the field physical_row is not an integer",
                     "accepted");
}

static void test_announced_wrongly(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    uint64_t rows;
    pr_range_t range = f->ranges[S_LINES];
    assert_int_equal(pr_proof_commit(f->proof, 9, range, f->digests[S_LINES], 0, f->list, &rows, &err), -PR_E_TARGET);
    char *text = pr_xasprintf("%s: has no checkpoint 9", f->target);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);
    assert_int_equal(pr_proof_commit(f->proof, 3, range, f->digests[S_LINES] + 1, 0, f->list, &rows, &err),
                     -PR_E_PROTOCOL);
    text = pr_xasprintf("%s: checkpoint 3 is another commit than was announced", f->target);
    assert_string_equal(err.text, text);
    free(text);
    pr_error_clear(&err);
    range.source = S_SOURCES;
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 0, 0, f->list, &rows, &err), -PR_E_PROTOCOL);
    assert_string_equal(err.text, "a commit of source 4, which the run has not");
    range = f->ranges[S_LINES];
    range.end = UINT64_MAX;
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 0, 0, f->list, &rows, NULL), -PR_E_PROTOCOL);
    range = f->ranges[S_LINES];
    range.count++;
    assert_int_equal(pr_proof_commit(f->proof, 3, range, 0, 0, f->list, &rows, NULL), -PR_E_PROTOCOL);
}

static void test_open_failures(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_t *proof = NULL;
    assert_int_equal(pr_proof_open("/nowhere/hub.sqlite", f->mapping, S_RUN, &proof, &err), -PR_E_TARGET);
    assert_string_equal(err.text, "/nowhere/hub.sqlite: cannot be opened for reading: unable to open database file");
    pr_error_clear(&err);
    assert_int_equal(pr_proof_open(f->target, f->mapping, "other", &proof, &err), -PR_E_TARGET);
    char *text = pr_xasprintf("%s: has no run other", f->target);
    assert_string_equal(err.text, text);
    free(text);
    assert_null(proof);

    pr_error_clear(&err);
    uint64_t rows;
    s_exec(f, "ALTER TABLE el_audits RENAME COLUMN location TO place");
    assert_int_equal(pr_proof_commit(f->proof, 1, f->ranges[S_AUDITS], f->digests[S_AUDITS], 0, f->list, &rows, &err),
                     -PR_E_TARGET_SCHEMA);
    text = pr_xasprintf("%s: table el_audits has no column location, which the mapping needs", f->target);
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
        S_TEST(test_every_cell),
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
        S_TEST(test_whole_accounts),
        S_TEST(test_whole_order_and_verdicts),
        S_TEST(test_whole_foreign_keys),
        S_TEST(test_whole_derived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
