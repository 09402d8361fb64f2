/* SPDX-License-Identifier: MIT */
/* The proof of the whole against a small target: distributions, keys, extra rows, declarations, books. */
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
#include <xxhash.h>

#include "common/alloc.h"
#include "tests/unit/folder.h"
#include "validator/proof.h"

#define S_RUN "0b1c6a52-4f7d-4c56-9a34-000000000001"

enum { S_AUDITS, S_MODULES, S_MORE, S_SOURCES };

/* --- The exports --- */

typedef struct {
    const char *token;
    int total, strings, per_string;
} s_audit_t;

/* tok-a is as declared, tok-b is not, tok-c has no module, and its target's row neither. */
static const s_audit_t S_AUDIT_RECORDS[] = {{"tok-a", 4, 2, 2}, {"tok-b", 9, 1, 9}, {"tok-c", 0, 0, 0}};

typedef struct {
    uint32_t source;
    const char *token, *module;
    int string, position;
    const char *status, *defect;
    int severity;
} s_module_t;

static const s_module_t S_MODULE_RECORDS[] = {
    {S_MODULES, "tok-a", "S1-1", 1, 1, "ok", "none", 0},
    {S_MODULES, "tok-a", "S1-2", 1, 2, "dead", "dead_module", 3},
    {S_MODULES, "tok-a", "S2-1", 2, 1, "ok", "none", 0},
    {S_MODULES, "tok-b", "M1", 1, 1, "pending", "pending", 0},
    {S_MORE, "tok-a", "S2-2", 2, 2, "microcracks", "microcrack", 2},
    {S_MORE, "tok-b", "M2", 1, 1, "string_open", "string_open", 2},
    {S_MORE, "tok-b", "M3", 2, 1, "ok", "none", 0},
};
enum {
    S_AUDITS_COUNT = sizeof S_AUDIT_RECORDS / sizeof S_AUDIT_RECORDS[0],
    S_MODULES_COUNT = sizeof S_MODULE_RECORDS / sizeof S_MODULE_RECORDS[0]
};

typedef struct {
    char folder[64];
    char *target;
    sqlite3 *db;
    pr_mapping_t *mapping;
    pr_plan_t *plan;
    char *paths[S_SOURCES];
    char *bodies[S_SOURCES];
    uint32_t records[S_SOURCES];
    pr_range_t ranges[S_SOURCES];
    pr_proof_list_t *list;
} s_fixture_t;

static void s_exec(s_fixture_t *f, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(f->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static void s_exec_format(s_fixture_t *f, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    s_exec(f, sql);
    sqlite3_free(sql);
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

/* Add a line to an export. Takes line. */
static void s_line(s_fixture_t *f, uint32_t source, char *line) {
    char *old = f->bodies[source];
    f->bodies[source] = pr_xasprintf("%s%s%s", old != NULL ? old : "", old != NULL ? "\n" : "", line);
    f->records[source]++;
    free(old);
    free(line);
}

static void s_export_audit(s_fixture_t *f, const s_audit_t *audit) {
    s_line(f, S_AUDITS,
           pr_xasprintf("{\"id\":1,\"token\":\"%s\",\"project_name\":\"P\",\"client_name\":\"C\",\"location\":\"L\","
                        "\"string_count\":%d,\"modules_per_string\":%d,\"total_modules\":%d,\"plan_file\":null,"
                        "\"status\":\"created\",\"created_at\":\"2025-10-27 09:43:12\",\"updated_at\":null,"
                        "\"json_config\":null}",
                        audit->token, audit->strings, audit->per_string, audit->total));
}

static void s_export_module(s_fixture_t *f, const s_module_t *module) {
    s_line(f, module->source,
           pr_xasprintf("{\"id\":1,\"audit_token\":\"%s\",\"module_id\":\"%s\",\"string_number\":%d,"
                        "\"position_in_string\":%d,\"status\":\"%s\",\"comment\":null,\"technician_id\":null,"
                        "\"created_at\":null,\"updated_at\":null,\"physical_row\":null,\"physical_col\":null}",
                        module->token, module->module, module->string, module->position, module->status));
}

/* --- The target, as the writer leaves it --- */

static void s_store_audit(s_fixture_t *f, const s_audit_t *audit) {
    s_exec_format(f,
                  "INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date, status,"
                  " notes, created_at, updated_at) VALUES (1, 1, 'el', '2025-10-27', 'scheduled',"
                  " 'pvrelay: placeholder for EL audit ' || %Q, '2025-10-27 09:43:12', NULL);"
                  "INSERT INTO el_audits (intervention_id, audit_token, project_name, client_name, location,"
                  " string_count, modules_per_string, total_modules, status, created_at, updated_at, completion_rate)"
                  " VALUES (last_insert_rowid(), %Q, 'P', 'C', 'L', %d, %d, %d, 'created', '2025-10-27 09:43:12', NULL,"
                  " 0.0)",
                  audit->token, audit->token, audit->strings, audit->per_string, audit->total);
}

static void s_store_module(s_fixture_t *f, const s_module_t *module) {
    s_exec_format(f,
                  "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number,"
                  " position_in_string, defect_type, severity_level, created_at, updated_at) VALUES"
                  " ((SELECT id FROM el_audits WHERE audit_token = %Q), %Q, %Q, %d, %d, %Q, %d, NULL, NULL)",
                  module->token, module->token, module->module, module->string, module->position, module->defect,
                  module->severity);
}

static void s_complete(s_fixture_t *f) {
    s_exec(f, "UPDATE el_audits SET completion_rate = coalesce((SELECT 100.0 * total(defect_type IS NOT 'pending')"
              " / count(*) FROM el_modules m WHERE m.el_audit_id = el_audits.id), 0.0)");
}

/* The tallies that the validator sends with a source's verdict. */
static void s_tally(s_fixture_t *f, int64_t checkpoint, const char *stream, const char *group, const char *value) {
    s_exec_format(f,
                  "INSERT INTO pvrelay_tally VALUES (%lld, %Q, %Q, %Q, 1, mix(%lld))"
                  " ON CONFLICT DO UPDATE SET count = count + 1, rows = rows + excluded.rows",
                  (long long)checkpoint, stream, group, value, (long long)sqlite3_last_insert_rowid(f->db));
}

/* Write one export, one checkpoint: source + 1. */
static void s_commit(s_fixture_t *f, uint32_t source, const char *stream) {
    f->paths[source] = pr_xasprintf("%s/%" PRIu32 ".ndjson", f->folder, source);
    FILE *file = fopen(f->paths[source], "w");
    assert_non_null(file);
    fprintf(file, "%s\n", f->bodies[source]);
    assert_int_equal(fclose(file), 0);
    size_t size = strlen(f->bodies[source]);
    uint64_t digest = XXH3_64bits(f->bodies[source], size);
    f->ranges[source] = (pr_range_t){.source = source, .count = f->records[source], .end = size};
    pr_plan_source_t planned = {.path = f->paths[source],
                                .stream = (char *)stream,
                                .size = size + 1,
                                .records = f->records[source],
                                .bytes = size};
    pr_plan_add(f->plan, &planned);
    s_exec_format(
        f,
        "INSERT INTO pvrelay_source VALUES (1, %u, %Q, %Q, %llu, 0, '0', 0, %u, %llu);"
        "INSERT INTO pvrelay_checkpoint VALUES (%u, 1, 'batch', %u, 0, %u, 0, %llu, '%016llx', %u, 0, 0, 0, 0,"
        " 0, '2025-11-01 00:00:00', NULL, 1)",
        source, f->paths[source], stream, (unsigned long long)size + 1, f->records[source], (unsigned long long)size,
        source + 1, source, f->records[source], (unsigned long long)size, (unsigned long long)digest,
        f->records[source]);
}

static void s_fill(s_fixture_t *f) {
    s_exec(f,
           "INSERT INTO users (id, email, name, role, is_active, created_at, updated_at) VALUES (1,"
           " 'el-migration@pvrelay.invalid', 'Technicien EL (migration)', 'technician', 0, '2025-10-27 09:43:12',"
           " '2025-10-27 09:43:12');"
           "INSERT INTO clients (id, name, notes, created_at, updated_at) VALUES (1, 'C',"
           " 'pvrelay: placeholder made from an EL audit''s client_name', '2025-10-27 09:43:12',"
           " '2025-10-27 09:43:12');"
           "INSERT INTO projects (id, client_id, name, site_address, notes, created_at, updated_at) VALUES (1, 1, 'P',"
           " 'L', 'pvrelay: placeholder made from an EL audit''s project_name', '2025-10-27 09:43:12',"
           " '2025-10-27 09:43:12');");
    for (size_t i = 0; i < S_AUDITS_COUNT; i++) {
        s_export_audit(f, &S_AUDIT_RECORDS[i]);
        s_store_audit(f, &S_AUDIT_RECORDS[i]);
        s_tally(f, S_AUDITS + 1, "audits", S_AUDIT_RECORDS[i].token, "");
    }
    for (size_t i = 0; i < S_MODULES_COUNT; i++) {
        s_export_module(f, &S_MODULE_RECORDS[i]);
        s_store_module(f, &S_MODULE_RECORDS[i]);
        s_tally(f, S_MODULE_RECORDS[i].source + 1, "modules", S_MODULE_RECORDS[i].token, S_MODULE_RECORDS[i].status);
    }
    s_complete(f);
    s_commit(f, S_AUDITS, "audits");
    s_commit(f, S_MODULES, "modules");
    s_commit(f, S_MORE, "modules");
    s_exec(f, "INSERT INTO pvrelay_touched SELECT 1, 'el_audits', id FROM el_audits");
    /* Somebody else's audit, with modules, and nothing that is told of it: never our business. */
    s_exec(f, "INSERT INTO el_audits (id, audit_token, project_name, client_name, string_count, modules_per_string,"
              " total_modules, completion_rate) VALUES (900, 'theirs', 'x', 'x', 7, 7, 7, 3.0);"
              "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number,"
              " position_in_string, defect_type) VALUES (901, 900, 'theirs', 'a', 1, 1, 'none'),"
              " (902, 900, 'theirs', 'b', 1, 1, 'odd')");
}

/* SQL's mix(id), for tallies by hand. */
static void s_mix(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int64(context, (int64_t)pr_proof_mix(sqlite3_value_int64(values[0])));
}

static int s_setup(void **state) {
    s_fixture_t *f = pr_xcalloc(1, sizeof *f);
    pr_error_t err = PR_ERROR_INIT;
    strcpy(f->folder, "/tmp/pvrelay-test-whole-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->target = pr_xasprintf("%s/hub.sqlite", f->folder);
    f->plan = pr_plan_new();
    assert_int_equal(sqlite3_open(f->target, &f->db), SQLITE_OK);
    assert_int_equal(sqlite3_create_function(f->db, "mix", 1, SQLITE_UTF8, NULL, s_mix, NULL, NULL), SQLITE_OK);
    s_exec(f, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = 1;");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0001_unified_schema.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0002_pvrelay.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0003_undo.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0004_validation.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0005_deferred_index.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0006_foreign_change.sql");
    s_exec_file(f, PR_SOURCE_DIR "/migrations/0007_mapping_text.sql");
    assert_int_equal(sqlite3_db_config(f->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    s_exec(f, "PRAGMA foreign_keys = OFF");
    s_exec(f,
           "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at) "
           "VALUES (1, '" S_RUN "', 'proving', 'el-to-hub', '0', 'null', '0', '2025-11-01 00:00:00')");
    s_fill(f);
    assert_int_equal(pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &f->mapping, &err), 0);
    f->list = pr_proof_list_new(1000);
    *state = f;
    return 0;
}

static int s_teardown(void **state) {
    s_fixture_t *f = *state;
    pr_mapping_destroy(&f->mapping);
    pr_plan_destroy(&f->plan);
    pr_proof_list_destroy(&f->list);
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    for (int i = 0; i < S_SOURCES; i++) {
        free(f->paths[i]);
        free(f->bodies[i]);
    }
    assert_int_equal(pr_test_folder_remove(f->folder), 0);
    free(f->target);
    free(f);
    return 0;
}

/* --- Proving --- */

/* As a validator that was started only now: everything comes from the books. */
static void s_prove_run(s_fixture_t *f, bool extra_fail) {
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_t *proof = NULL;
    pr_proof_list_clear(f->list);
    if (pr_proof_open(f->target, f->mapping, S_RUN, &proof, &err) != 0)
        fail_msg("%s", err.text);
    pr_proof_set_extra(proof, extra_fail);
    if (pr_proof_whole(proof, f->list, &err) != 0)
        fail_msg("%s", err.text);
    pr_proof_destroy(&proof);
}

/* As `pvrelay verify`: nothing but the exports and the target. The rows' own proof is part of it. */
static void s_prove_exports(s_fixture_t *f, bool extra_fail) {
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_t *proof = NULL;
    pr_proof_list_clear(f->list);
    if (pr_proof_open_exports(f->target, f->mapping, f->plan, &proof, &err) != 0)
        fail_msg("%s", err.text);
    pr_proof_set_extra(proof, extra_fail);
    for (uint32_t i = 0; i < S_SOURCES; i++) {
        uint64_t compared = 0;
        uint64_t rejected = 0;
        if (pr_proof_range(proof, f->ranges[i], f->list, &compared, &rejected, &err) != 0)
            fail_msg("%s", err.text);
        assert_int_equal(compared + rejected, f->ranges[i].count);
    }
    if (pr_proof_whole(proof, f->list, &err) != 0)
        fail_msg("%s", err.text);
    pr_proof_destroy(&proof);
}

/* Failures and findings as text, one a line, but for what is always declared wrongly. */
static char *s_found(const s_fixture_t *f) {
    char *text = pr_xstrdup("");
    for (size_t i = 0; i < f->list->failures_count; i++) {
        const pr_failure_t *x = &f->list->failures[i];
        char *longer = pr_xasprintf("%s%s %s.%s (%s): %s, not %s\n", text, pr_failure_word(x->kind), x->table,
                                    x->column, x->key, x->stored, x->expected);
        free(text);
        text = longer;
    }
    for (size_t i = 0; i < f->list->findings_count; i++) {
        const pr_finding_t *x = &f->list->findings[i];
        if (strcmp(x->kind, "declared_total") == 0 || strcmp(x->kind, "declared_geometry") == 0 ||
            strcmp(x->kind, "duplicate_position") == 0)
            continue;
        char *longer =
            pr_xasprintf("%s%s %s.%s: %" PRIu64 ", %s\n", text, x->kind, x->stream, x->field, x->count, x->detail);
        free(text);
        text = longer;
    }
    return text;
}

static void s_assert_found(const s_fixture_t *f, const char *expected) {
    char *found = s_found(f);
    assert_string_equal(found, expected);
    free(found);
}

static const pr_finding_t *s_finding(const s_fixture_t *f, const char *kind) {
    for (size_t i = 0; i < f->list->findings_count; i++)
        if (strcmp(f->list->findings[i].kind, kind) == 0)
            return &f->list->findings[i];
    return NULL;
}

/* --- Tests --- */

static void test_clean(void **state) {
    s_fixture_t *f = *state;
    s_prove_run(f, true);
    s_assert_found(f, "");
    s_prove_exports(f, true);
    s_assert_found(f, "");
}

static void s_assert_declared(const s_fixture_t *f) {
    const pr_finding_t *total = s_finding(f, "declared_total");
    const pr_finding_t *geometry = s_finding(f, "declared_geometry");
    const pr_finding_t *shared = s_finding(f, "duplicate_position");
    assert_non_null(total);
    assert_string_equal(total->stream, "audits");
    assert_string_equal(total->field, "total_modules");
    assert_int_equal(total->count, 1);
    assert_string_equal(total->detail, "audit_token='tok-b' declares 9, there are 3");
    assert_non_null(geometry);
    assert_string_equal(geometry->field, "string_count");
    assert_int_equal(geometry->count, 1);
    assert_string_equal(geometry->detail, "audit_token='tok-b' declares 1 × 9, there are 2 × 1 to 2");
    assert_non_null(shared);
    assert_string_equal(shared->stream, "modules");
    assert_string_equal(shared->field, "position_in_string");
    assert_int_equal(shared->count, 1);
    assert_string_equal(shared->detail, "audit_token='tok-b', string_number=1, position_in_string=1: 2 rows");
}

static void test_declared(void **state) {
    s_fixture_t *f = *state;
    s_prove_run(f, false);
    s_assert_declared(f);
    s_prove_exports(f, false);
    s_assert_declared(f);
    /* Nothing declared, nothing to contradict. */
    s_exec(f, "UPDATE el_audits SET total_modules = -1, string_count = -1, modules_per_string = -1");
    s_prove_run(f, false);
    assert_null(s_finding(f, "declared_total"));
    assert_null(s_finding(f, "declared_geometry"));
}

#define S_NO_INDEXES                                                                                                   \
    "DROP INDEX idx_el_modules_audit; DROP INDEX idx_el_modules_token; DROP INDEX idx_el_modules_string;"              \
    "DROP INDEX idx_el_modules_defect; DROP INDEX idx_el_modules_severity;"

/* While the whole is proved, the indexes that were put off may not be there yet. */
static void test_without_indexes(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_NO_INDEXES);
    test_clean(state);
    s_assert_declared(f);
    s_exec(f, "UPDATE el_modules SET defect_type = 'microcrack' WHERE module_identifier = 'S1-2';");
    s_prove_run(f, false);
    s_assert_found(f, "whole el_modules.defect_type (audit_token='tok-a'): 'dead_module': 0, not 'dead_module': 1\n"
                      "whole el_modules.defect_type (audit_token='tok-a'): 'microcrack': 2, not 'microcrack': 1\n");
}

/* Groups whose rows follow each other in the table are counted in passing, also if they do not come by position. */
static void test_rows_together(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE el_modules SET id = id + 100 WHERE audit_token = 'tok-b';"
              "UPDATE el_modules SET id = 0 WHERE module_identifier = 'S2-2';");
    s_prove_run(f, false);
    s_assert_found(f, "");
    s_assert_declared(f);
    s_exec(f, "UPDATE el_modules SET position_in_string = 5 WHERE module_identifier = 'M2'");
    s_prove_run(f, false);
    assert_null(s_finding(f, "duplicate_position"));
    assert_string_equal(s_finding(f, "declared_geometry")->detail,
                        "audit_token='tok-b' declares 1 × 9, there are 2 × 1 to 2");
    s_exec(f, "UPDATE el_modules SET string_number = 'x' WHERE module_identifier = 'M3'");
    s_prove_run(f, false);
    assert_string_equal(s_finding(f, "declared_geometry")->detail,
                        "audit_token='tok-b' declares 1 × 9, there are 1 × 2");
}

/* What the target means by equal decides which rows are of a group. */
static void test_other_collation(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_NO_INDEXES "PRAGMA writable_schema = 1;"
                           "UPDATE sqlite_master SET sql = replace(sql, 'audit_token        TEXT NOT NULL REF',"
                           " 'audit_token TEXT COLLATE NOCASE NOT NULL REF') WHERE name = 'el_modules';"
                           "PRAGMA writable_schema = 0;");
    test_clean(state);
    s_assert_declared(f);
    s_exec(f, "UPDATE el_modules SET audit_token = 'TOK-A' WHERE module_identifier = 'S1-1'");
    s_prove_run(f, false);
    s_assert_found(f, "whole el_modules.audit_token (id=1): refers to none, not a row of el_audits\n");
}

/* More values than are kept in passing, and longer ones, are counted all the same. */
static void test_many_values(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)"
              "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number,"
              " position_in_string, defect_type, severity_level) SELECT 1000 + i, (SELECT id FROM el_audits WHERE"
              " audit_token = 'tok-a'), 'tok-a', 'X' || i, 7, i, CASE WHEN i < 12 THEN 'v' || i % 11 ELSE"
              " printf('%.70c', 'w') END, 0 FROM n");
    s_complete(f);
    s_prove_run(f, false);
    assert_int_equal(f->list->failures_total, 0); /* they are extra rows, and nothing else differs */
    assert_int_equal(s_finding(f, "extra_row")->count, 1);
}

static void test_distribution(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE el_modules SET defect_type = 'microcrack' WHERE module_identifier = 'S1-2';");
    s_prove_run(f, false);
    s_assert_found(f, "whole el_modules.defect_type (audit_token='tok-a'): 'dead_module': 0, not 'dead_module': 1\n"
                      "whole el_modules.defect_type (audit_token='tok-a'): 'microcrack': 2, not 'microcrack': 1\n");
    s_exec(f, "UPDATE el_modules SET defect_type = 'dead_module', severity_level = NULL"
              " WHERE module_identifier = 'S1-2'");
    s_prove_run(f, false);
    s_assert_found(f, "whole el_modules.severity_level (audit_token='tok-a'): 3: 0, not 3: 1\n"
                      "whole el_modules.severity_level (audit_token='tok-a'): NULL: 1, not NULL: 0\n");
}

static void test_swapped(void **state) {
    s_fixture_t *f = *state;
    /* Two cells that are swapped show the same distribution: only the rows' own proof sees it. */
    s_exec(f, "UPDATE el_modules SET defect_type = CASE defect_type WHEN 'none' THEN 'dead_module' ELSE 'none' END"
              " WHERE module_identifier IN ('S1-1', 'S1-2')");
    s_prove_run(f, true);
    s_assert_found(f, "");
}

static void test_missing_rows(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM el_modules WHERE module_identifier = 'S1-2'");
    s_complete(f);
    s_prove_run(f, true);
    s_assert_found(f, "whole el_modules.defect_type (audit_token='tok-a'): 'dead_module': 0, not 'dead_module': 1\n"
                      "whole el_modules.severity_level (audit_token='tok-a'): 3: 0, not 3: 1\n");
}

#define S_ADD_MODULE(id, audit, token, module)                                                                         \
    "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number, position_in_string,"      \
    " defect_type, severity_level) VALUES (" #id ", (SELECT id FROM el_audits WHERE audit_token = '" audit             \
    "'), '" token "', '" module "', 9, " #id ", 'none', 0);"

static void test_extra_rows(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_ADD_MODULE(70, "tok-a", "tok-a", "S9-1") S_ADD_MODULE(71, "tok-c", "tok-c", "S9-2"));
    s_complete(f);
    s_exec(f, "UPDATE el_audits SET completion_rate = 3.0 WHERE id = 900");
    s_prove_run(f, false);
    s_assert_found(f, "extra_row modules.id=70: 1, el_modules: audit_token='tok-a', module_identifier='S9-1'\n"
                      "extra_row modules.id=71: 1, el_modules: audit_token='tok-c', module_identifier='S9-2'\n");
    s_prove_exports(f, false);
    s_assert_found(f, "extra_row modules.id=70: 1, el_modules: audit_token='tok-a', module_identifier='S9-1'\n"
                      "extra_row modules.id=71: 1, el_modules: audit_token='tok-c', module_identifier='S9-2'\n");
    static const char failures[] =
        "extra el_modules. (audit_token='tok-a', module_identifier='S9-1', id=70): a row that no record of the exports "
        "proves, not no row\n"
        "extra el_modules. (audit_token='tok-c', module_identifier='S9-2', id=71): a row that no record of the exports "
        "proves, not no row\n";
    s_prove_run(f, true);
    s_assert_found(f, failures);
    s_prove_exports(f, true);
    s_assert_found(f, failures);
}

/* A row under one audit by name and under another one by reference. */
static void test_extra_row_astray(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, S_ADD_MODULE(70, "tok-b", "theirs", "S9-1"));
    s_complete(f);
    s_exec(f, "UPDATE el_audits SET completion_rate = 3.0 WHERE id = 900");
    s_prove_run(f, false);
    s_assert_found(f, "extra_row modules.id=70: 1, el_modules: audit_token='theirs', module_identifier='S9-1'\n");
}

/* The counts agree: one row gone, another one there, both of the same status. */
static void test_extra_row_for_a_missing_one(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM el_modules WHERE module_identifier = 'S1-1';" S_ADD_MODULE(70, "tok-a", "tok-a", "S9-1"));
    s_prove_run(f, false);
    s_assert_found(f, "whole el_modules.defect_type (audit_token='tok-a'): 'none': 1, not 'none': 2\n"
                      "whole el_modules.severity_level (audit_token='tok-a'): 0: 1, not 0: 2\n"
                      "extra_row modules.id=70: 1, el_modules: audit_token='tok-a', module_identifier='S9-1'\n");
}

static void test_many_extra_rows(void **state) {
    s_fixture_t *f = *state;
    s_exec(f,
           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)"
           " INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number,"
           " position_in_string, defect_type, severity_level) SELECT 1000 + i, a.id, 'tok-c', 'X' || i, 1, i, 'none',"
           " 0 FROM n, el_audits a WHERE a.audit_token = 'tok-c'");
    s_complete(f);
    s_exec(f, "UPDATE el_audits SET completion_rate = 3.0 WHERE id = 900");
    s_prove_run(f, false);
    uint64_t total = 0;
    size_t named = 0;
    for (size_t i = 0; i < f->list->findings_count; i++) {
        const pr_finding_t *finding = &f->list->findings[i];
        if (strcmp(finding->kind, "extra_row") == 0) {
            total += finding->count;
            named += strncmp(finding->field, "id=", 3) == 0;
        }
    }
    assert_int_equal(total, 1200);
    assert_int_equal(named, 1000);
    s_prove_run(f, true);
    assert_int_equal(f->list->failures_total, 1200);
    assert_int_equal(f->list->failures_count, 1000);
    assert_null(s_finding(f, "extra_row"));
}

#define S_SAME_KEY                                                                                                     \
    "repeated_key modules.audit_token, module_id: 1, audit_token='tok-a', module_id='S1-1': source 3, record 2, byte " \
    "226 has the row of an earlier record\n"

/* Two records with one key: the later one is what is stored, and no row is missing or extra. */
static void test_same_key_twice(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE el_modules SET defect_type = 'string_open', severity_level = 2, string_number = 1,"
              " position_in_string = 1 WHERE module_identifier = 'S1-1'");
    /* In the export of the second modules file M2 becomes a second S1-1 of tok-a. */
    s_exec(f, "DELETE FROM el_modules WHERE module_identifier = 'M2';"
              "DELETE FROM pvrelay_tally WHERE value = 'string_open';"
              "INSERT INTO pvrelay_tally VALUES (3, 'modules', 'tok-a', 'string_open', 1, mix(1))");
    s_module_t again = {S_MORE, "tok-a", "S1-1", 1, 1, "string_open", "string_open", 2};
    free(f->bodies[S_MORE]);
    f->bodies[S_MORE] = NULL;
    f->records[S_MORE] = 0;
    s_export_module(f, &S_MODULE_RECORDS[4]);
    s_export_module(f, &again);
    s_export_module(f, &S_MODULE_RECORDS[6]);
    free(f->paths[S_MORE]);
    s_exec(f, "DELETE FROM pvrelay_source WHERE source = 2; DELETE FROM pvrelay_checkpoint WHERE source = 2");
    s_commit(f, S_MORE, "modules");
    s_complete(f);
    s_exec(f, "UPDATE el_audits SET completion_rate = 3.0 WHERE id = 900");
    s_prove_run(f, true);
    s_assert_found(f, S_SAME_KEY);
    /* Nor is there room for a row that is none of theirs. */
    s_exec(f, S_ADD_MODULE(70, "tok-a", "tok-a", "S9-1"));
    s_complete(f);
    s_prove_run(f, false);
    s_assert_found(
        f, "extra_row modules.id=70: 1, el_modules: audit_token='tok-a', module_identifier='S9-1'\n" S_SAME_KEY);
    s_exec(f, "DELETE FROM el_modules WHERE id = 70");
    s_complete(f);
    /* The first one's values are not enough. */
    s_exec(f, "UPDATE el_modules SET defect_type = 'none' WHERE module_identifier = 'S1-1'");
    s_prove_run(f, true);
    s_assert_found(f, "whole el_modules.defect_type (audit_token='tok-a'): 'string_open': 0, not 'string_open': 1\n"
                      "whole el_modules.defect_type (audit_token='tok-a'): 'none': 2, not 'none': 1\n" S_SAME_KEY);
}

/* A run that retries rejects tells only some records of an audit: the others' rows are not extra. */
static void test_retry(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "UPDATE pvrelay_run SET kind = 'retry';"
              "DELETE FROM pvrelay_tally WHERE value = 'ok'");
    s_prove_run(f, true);
    s_assert_found(f, "");
    s_assert_declared(f);
}

/* Exports without any module say nothing of modules. */
static void test_parents_alone(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM pvrelay_source WHERE source > 0; DELETE FROM pvrelay_checkpoint WHERE source > 0;"
              "DELETE FROM pvrelay_tally WHERE stream = 'modules'");
    s_prove_run(f, true);
    s_assert_found(f, "");
    assert_null(s_finding(f, "declared_total"));
}

static void test_derived(void **state) {
    s_fixture_t *f = *state;
    /* Whether the writer has noted its rows or not. */
    s_exec(f, "DELETE FROM pvrelay_touched; UPDATE el_audits SET completion_rate = 1.0 WHERE audit_token = 'tok-b'");
    char expected[160];
    snprintf(expected, sizeof expected, "whole el_audits.completion_rate (id=2): 1.0, not 66.6666666666667\n");
    s_prove_run(f, false);
    s_assert_found(f, expected);
    s_prove_exports(f, false);
    s_assert_found(f, expected);
    /* And a row that only the writer has noted. */
    s_exec(f, "UPDATE el_audits SET completion_rate = 0 WHERE audit_token = 'tok-b';"
              "UPDATE el_audits SET completion_rate = 200.0 / 3 WHERE audit_token = 'tok-b';"
              "INSERT INTO pvrelay_touched VALUES (1, 'el_audits', 900)");
    s_prove_run(f, false);
    s_assert_found(f, "whole el_audits.completion_rate (id=900): 3.0, not 100.0\n");
}

static void test_keys(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DELETE FROM el_audits WHERE audit_token = 'tok-c'; DELETE FROM pvrelay_touched");
    s_prove_run(f, false);
    s_assert_found(f, "missing el_audits. (audit_token='tok-c'): none, not a row\n");
}

static void test_made(void **state) {
    s_fixture_t *f = *state;
    s_exec(f,
           "INSERT INTO pvrelay_run (run, id, state, mapping_name, mapping_digest, null_text, plan_digest, started_at)"
           " VALUES (7, 'another', 'complete', 'el-to-hub', '0', 'null', '0', '2025-11-01 00:00:00');"
           "INSERT INTO clients (id, name) VALUES (2, 'C2'), (3, 'C3'), (4, 'C4'), (5, 'C5');"
           "INSERT INTO pvrelay_made VALUES ('users', 1, 1, 1, 0, 0), ('clients', 1, 1, 1, 0, 0),"
           " ('clients', 2, 1, 1, 0, 1), ('clients', 3, 1, 1, 0, 0), ('clients', 4, 1, 1, 0, 0), ('clients', 5, 1, 1, "
           "0, 0), ('el_audits', 1, 1, 1, 0, 0), ('projects', 9, 7, 1, 0, 0)");
    s_prove_run(f, false);
    s_assert_found(f, "made_rows .users: 1, email='el-migration@pvrelay.invalid'\n"
                      "made_rows .clients: 5, name='C'; name='C2'; name='C3'; …\n");
    /* For a record that was rejected. */
    s_exec(f, "UPDATE pvrelay_checkpoint SET inserted = 2, rejected = 1 WHERE checkpoint = 1;"
              "INSERT INTO pvrelay_reject (run, checkpoint, source, stream, ordinal, \"offset\", length, reason, raw,"
              " wrangler) VALUES (1, 1, 0, 'audits', 1, 0, 2, 'unknown_value', '{}', 0)");
    s_prove_run(f, false);
    assert_int_equal(f->list->failures_total, 1);
    const pr_failure_t *failure = &f->list->failures[0];
    assert_int_equal(failure->kind, PR_FAILURE_WHOLE);
    assert_string_equal(failure->table, "clients");
    assert_string_equal(failure->key, "id=2");
    assert_string_equal(failure->expected, "no row: its record was rejected");
}

static void test_shared_rows_changed(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "INSERT INTO pvrelay_checkpoint_rows VALUES (1, 'clients', 3, 2), (1, 'users', 3, 0),"
              " (1, 'el_audits', 3, 3)");
    s_prove_run(f, false);
    s_assert_found(f, "whole pvrelay_checkpoint_rows.updated (checkpoint=1, table_name=clients): 2, not 0\n");
}

/* A rejected record's technician that stayed: the commit took an id that nothing is told of. */
static void test_row_left_behind(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "INSERT INTO users (id, email, name) VALUES (5, 'e', 'before'), (6, 'f', 'made'), (7, 'g', 'left'),"
              " (8, 'h', 'after');"
              "INSERT INTO pvrelay_made VALUES ('users', 6, 1, 2, 1, 0);"
              "INSERT INTO pvrelay_undo_sequence VALUES (2, 'users', 5, 7), (1, 'clients', NULL, 1),"
              " (2, 'el_audits', 0, 9)");
    s_prove_run(f, false);
    s_assert_found(f, "whole users. (id=7): a row, not no row: no accepted record made it\n"
                      "made_rows .users: 1, email='f'\n");
    s_exec(f, "DELETE FROM users WHERE id = 7");
    s_prove_run(f, false);
    s_assert_found(f, "made_rows .users: 1, email='f'\n");
}

/* A target without the books of any run. */
static void test_exports_without_books(void **state) {
    s_fixture_t *f = *state;
    s_exec(f, "DROP TABLE pvrelay_tally; DROP TABLE pvrelay_proof_finding; DROP TABLE pvrelay_made;"
              "DROP TABLE pvrelay_touched; DROP TABLE pvrelay_failure; DROP TABLE pvrelay_finding;"
              "DROP TABLE pvrelay_reject; DROP TABLE pvrelay_undo; DROP TABLE pvrelay_undo_sequence;"
              "DROP TABLE pvrelay_checkpoint_rows; DROP TABLE pvrelay_checkpoint; DROP TABLE pvrelay_source;"
              "DROP TABLE pvrelay_run; DROP TABLE pvrelay_rollback; DROP TABLE pvrelay_shape; DROP TABLE pvrelay_name");
    s_prove_exports(f, true);
    s_assert_found(f, "");
    s_assert_declared(f);
}

#define S_TEST(test) cmocka_unit_test_setup_teardown(test, s_setup, s_teardown)

/* The file, by itself and with all the rest: a row that its table does not allow. */
static void test_file(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_t *proof = NULL;
    s_exec(f, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'comment            TEXT',"
              " 'comment            TEXT NOT NULL') WHERE name = 'el_modules'");
    for (int whole = 0; whole < 2; whole++) {
        pr_proof_list_clear(f->list);
        assert_int_equal(pr_proof_open(f->target, f->mapping, S_RUN, &proof, &err), 0);
        assert_int_equal((whole ? pr_proof_whole : pr_proof_file)(proof, f->list, &err), 0);
        pr_proof_destroy(&proof);
        size_t found = 0;
        for (size_t i = 0; i < f->list->failures_count; i++)
            found += strcmp(f->list->failures[i].column, "quick_check") == 0 &&
                     strcmp(f->list->failures[i].stored, "NULL value in el_modules.comment") == 0;
        assert_true(found > 0);
        assert_int_equal(f->list->failures_total, found);
    }
}

static long s_root_page(s_fixture_t *f, const char *name) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(
        sqlite3_prepare_v2(f->db, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", -1, &statement, NULL),
        SQLITE_OK);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    long page = (long)sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return page;
}

/* A page whose head counts other fragments of free room than there are: its rows can still be read. */
static void test_a_damaged_page(void **state) {
    s_fixture_t *f = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_proof_t *proof = NULL;
    s_exec(f, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(pr_proof_open(f->target, f->mapping, S_RUN, &proof, &err), 0);
    FILE *file = fopen(f->target, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (s_root_page(f, "el_modules") - 1) * 4096L + 7, SEEK_SET), 0);
    assert_int_equal(fputc(50, file), 50);
    assert_int_equal(fclose(file), 0);
    pr_proof_list_clear(f->list);
    assert_int_equal(pr_proof_file(proof, f->list, &err), 0);
    pr_proof_destroy(&proof);
    assert_int_equal(f->list->failures_total, 1);
    assert_string_equal(f->list->failures[0].column, "quick_check");
    assert_non_null(strstr(f->list->failures[0].stored, "Fragmentation of "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        S_TEST(test_clean),
        S_TEST(test_declared),
        S_TEST(test_without_indexes),
        S_TEST(test_rows_together),
        S_TEST(test_other_collation),
        S_TEST(test_many_values),
        S_TEST(test_distribution),
        S_TEST(test_swapped),
        S_TEST(test_missing_rows),
        S_TEST(test_extra_rows),
        S_TEST(test_extra_row_astray),
        S_TEST(test_extra_row_for_a_missing_one),
        S_TEST(test_many_extra_rows),
        S_TEST(test_same_key_twice),
        S_TEST(test_retry),
        S_TEST(test_parents_alone),
        S_TEST(test_derived),
        S_TEST(test_keys),
        S_TEST(test_made),
        S_TEST(test_shared_rows_changed),
        S_TEST(test_row_left_behind),
        S_TEST(test_exports_without_books),
        S_TEST(test_file),
        S_TEST(test_a_damaged_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
