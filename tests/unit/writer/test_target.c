/* SPDX-License-Identifier: MIT */
/* The target on a real SQLite file: rows, rejects, positions, verdicts, and what is left after failures. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/lock_wait.h"
#include "target_fixture.h"

static const char S_RUN_1[] = "11111111-1111-4111-8111-111111111111";
static const char S_RUN_2[] = "22222222-2222-4222-8222-222222222222";
static const char S_RUN_3[] = "33333333-3333-4333-8333-333333333333";

static int s_setup(void **state) {
    *state = fx_new();
    return 0;
}

static int s_teardown(void **state) {
    fx_t *fx = *state;
    fx_destroy(&fx);
    return 0;
}

static void s_assert_counts(pr_target_counts_t counts, const char *expected) {
    char text[200];
    snprintf(text, sizeof text, "inserted %d updated %d unchanged %d rejected %d rows +%d ~%d", (int)counts.inserted,
             (int)counts.updated, (int)counts.unchanged, (int)counts.rejected, (int)counts.rows_inserted,
             (int)counts.rows_updated);
    assert_string_equal(text, expected);
}

static void s_finish(fx_t *fx) {
    int64_t checkpoint = 0;
    pr_error_t err = PR_ERROR_INIT;
    pr_target_run_finish(fx->target, fx->run.number, &checkpoint, &err);
    assert_string_equal(err.text, "");
    assert_true(checkpoint > 0);
    pr_target_run_complete(fx->target, fx->run.number, 0, 1.5, &err);
    assert_string_equal(err.text, "");
}

/* A run of one audit and two modules, one of them pending; finished. */
static void s_small_run(fx_t *fx, const char *id, const char *expected_audit, const char *expected_modules) {
    fx_record_t records[2];
    fx_audit_t audit = fx_audit("tok");
    fx_begin(fx, id, 1, 2);
    fx_make_audit(fx, &audit, &records[0]);
    s_assert_counts(fx_batch(fx, 0, 0, records, 1, NULL), expected_audit);
    fx_module_t dead = fx_module("tok", "S1-1");
    fx_module_t pending = fx_module("tok", "S1-2");
    pending.status = "pending";
    fx_make_module(fx, &dead, &records[0]);
    fx_make_module(fx, &pending, &records[1]);
    s_assert_counts(fx_batch(fx, 1, 0, records, 2, NULL), expected_modules);
    s_finish(fx);
}

static const char S_NEW_AUDIT[] = "inserted 1 updated 0 unchanged 0 rejected 0 rows +5 ~0";
static const char S_NEW_MODULES[] = "inserted 2 updated 0 unchanged 0 rejected 0 rows +2 ~0";
static const char S_SAME_AUDIT[] = "inserted 0 updated 0 unchanged 1 rejected 0 rows +0 ~0";
static const char S_SAME_MODULES[] = "inserted 0 updated 0 unchanged 2 rejected 0 rows +0 ~0";

static void test_fresh_target_gets_rows_position_and_rates(void **state) {
    fx_t *fx = *state;
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    fx_assert_sql(fx, "SELECT email || ' ' || name || ' ' || is_active FROM users",
                  "el-migration@pvrelay.invalid Technicien EL (migration) 0");
    fx_assert_sql(
        fx,
        "SELECT c.name || '/' || p.name || '/' || p.site_address || '/' || i.intervention_type || '/' || "
        "i.intervention_date || '/' || i.status || '/' || i.notes || '/' || a.audit_token FROM el_audits a JOIN "
        "interventions i ON i.id = a.intervention_id JOIN projects p ON p.id = i.project_id JOIN clients c ON c.id "
        "= p.client_id",
        "JALIBAT Industrie/JALIBAT/Nîmes/el/2025-10-27/scheduled/pvrelay: placeholder for EL audit tok/tok");
    fx_assert_sql(
        fx,
        "SELECT group_concat(module_identifier || ' ' || defect_type || ' ' || severity_level || ' ' || el_audit_id "
        "|| ' ' || typeof(comment) || ' ' || physical_row || ' ' || typeof(physical_col)) FROM el_modules",
        "S1-1 dead_module 3 1 null 0 null,S1-2 pending 0 1 null 0 null");
    fx_assert_sql(fx, "SELECT completion_rate || ' ' || typeof(completion_rate) || ' ' || updated_at FROM el_audits",
                  "50.0 real 2025-10-27 10:00:00");
    fx_assert_sql(
        fx,
        "SELECT group_concat(checkpoint || ' ' || kind || ' ' || source || ' ' || first_ordinal || ' ' || records || "
        "' ' || begin_offset || ' ' || end_offset || ' ' || digest || ' ' || rows_updated || ' ' || validated, '; ') "
        "FROM pvrelay_checkpoint",
        "1 batch 0 0 1 1 11 0123456789abcdef 0 0; 2 batch 1 0 2 1 21 0123456789abcdef 0 0; "
        "3 finish 2 0 0 0 0 0000000000000000 1 0");
    fx_assert_sql(
        fx,
        "SELECT state || ' ' || source || ' ' || ordinal || ' ' || \"offset\" || ' ' || seconds || ' ' || outcome FROM "
        "pvrelay_run",
        "complete 1 2 21 1.5 0");
    fx_assert_sql(fx, "PRAGMA journal_mode", "wal");
    fx_assert_sql(fx, "SELECT count(*) FROM pragma_foreign_key_check", "0");
}

static void test_run_as_found_again(void **state) {
    fx_t *fx = *state;
    pr_target_run_t run;
    pr_plan_t *plan = NULL;
    pr_error_t err = PR_ERROR_INIT;
    fx_record_t record;
    fx_audit_t audit = fx_audit("tok");
    fx_open(fx);
    assert_int_equal(pr_target_run_find(fx->target, NULL, &run, &err), 0);
    fx_begin(fx, S_RUN_1, 2, 0);
    assert_string_equal(fx->run.id, S_RUN_1);
    assert_int_equal(fx->run.state, PR_RUN_STREAMING);
    assert_int_equal(fx->run.outcome, -1);
    assert_true(fx->run.plan_digest == pr_plan_digest(fx->plan));
    assert_true(fx->run.mapping_digest == fx->mapping->digest);
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    assert_int_equal(pr_target_run_stopped(fx->target, fx->run.number, "interrupted", 2.5, &err), 0);
    fx_close(fx);
    fx_open(fx);
    assert_int_equal(pr_target_run_find(fx->target, NULL, &run, &err), 1);
    assert_int_equal(run.number, 1);
    assert_int_equal(run.checkpoint, 1);
    assert_int_equal(run.unvalidated, 1);
    assert_int_equal(run.position.source, 0);
    assert_int_equal(run.position.ordinal, 1);
    assert_int_equal(run.position.offset, 11);
    assert_int_equal(pr_target_run_plan(fx->target, 1, &plan, &err), 0);
    assert_int_equal(pr_plan_compare(fx->plan, plan, &err), 0);
    assert_int_equal(plan->sources[0].mtime_ns, 1761555792123456789);
    assert_true(plan->sources[0].null_text);
    pr_plan_destroy(&plan);
    fx_assert_sql(fx, "SELECT error || ' ' || seconds FROM pvrelay_run", "interrupted 2.5");
    /* It goes on where it stands; the last source has no records, so then it is at its very end. */
    audit.token = "other";
    fx_make_audit(fx, &audit, &record);
    fx->run = run;
    fx_batch(fx, 0, 1, &record, 1, NULL);
    assert_int_equal(pr_target_run_find(fx->target, S_RUN_1, &run, &err), 1);
    assert_int_equal(run.position.source, 2);
    assert_int_equal(run.position.ordinal, 0);
    assert_string_equal(err.text, "");
}

static void test_second_run_waits_for_the_first(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_target_run_t run;
    char expected[500];
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 0);
    pr_target_run_new_t second = {.id = S_RUN_2, .plan = fx->plan};
    assert_int_equal(pr_target_run_begin(fx->target, &second, &run, &err), -PR_E_UNFINISHED);
    snprintf(
        expected, sizeof expected,
        "%s: run 1 (%s) is not finished (streaming, 0 records in); give the exports it was begun with to continue it, "
        "or --restart to abandon it",
        fx->path, S_RUN_1);
    assert_string_equal(err.text, expected);
    pr_error_clear(&err);
    assert_int_equal(pr_target_run_abandon(fx->target, 1, &err), 0);
    assert_int_equal(pr_target_run_begin(fx->target, &second, &run, &err), 0);
    assert_int_equal(run.number, 2);
    fx_assert_sql(fx, "SELECT group_concat(state) FROM pvrelay_run", "abandoned,streaming");
}

static void test_replay_touches_nothing(void **state) {
    fx_t *fx = *state;
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    char *before = fx_dump(fx);
    assert_non_null(strstr(before, "sqlite_sequence: 'el_modules',2"));
    s_small_run(fx, S_RUN_2, S_SAME_AUDIT, S_SAME_MODULES);
    fx_close(fx);
    fx_open(fx);
    s_small_run(fx, S_RUN_3, S_SAME_AUDIT, S_SAME_MODULES);
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    fx_assert_sql(fx, "SELECT sum(rows_updated) FROM pvrelay_checkpoint WHERE run > 1", "0");
    free(before);
    free(after);
}

static void test_changed_record_changes_its_row_only(void **state) {
    fx_t *fx = *state;
    fx_record_t records[3];
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    fx_begin(fx, S_RUN_2, 1, 3);
    fx_audit_t audit = fx_audit("tok");
    audit.status = "completed";
    audit.updated = "2025-11-01 00:00:00";
    fx_make_audit(fx, &audit, &records[0]);
    /* The audit and its placeholder intervention. */
    s_assert_counts(fx_batch(fx, 0, 0, records, 1, NULL), "inserted 0 updated 1 unchanged 0 rejected 0 rows +0 ~2");
    fx_module_t one = fx_module("tok", "S1-1");
    fx_module_t two = fx_module("tok", "S1-2");
    fx_module_t three = fx_module("tok", "S1-3");
    two.comment = "a\0b";
    two.comment_size = 3;
    three.comment = "";
    fx_make_module(fx, &one, &records[0]);
    fx_make_module(fx, &two, &records[1]);
    fx_make_module(fx, &three, &records[2]);
    s_assert_counts(fx_batch(fx, 1, 0, records, 3, NULL), "inserted 1 updated 1 unchanged 1 rejected 0 rows +1 ~1");
    s_finish(fx);
    fx_assert_sql(fx, "SELECT i.status || ' ' || i.updated_at || ' ' || a.status FROM interventions i, el_audits a",
                  "completed 2025-11-01 00:00:00 completed");
    fx_assert_sql(fx,
                  "SELECT group_concat(id || ' ' || defect_type || ' ' || iif(comment IS NULL, 'none', hex(comment))) "
                  "FROM el_modules",
                  "1 dead_module none,2 dead_module 610062,3 dead_module ");
    fx_assert_sql(fx, "SELECT typeof(comment) FROM el_modules WHERE id = 3", "text");
    fx_assert_sql(fx, "SELECT completion_rate FROM el_audits", "100.0");
}

static void test_ensured_rows_are_made_once_and_never_changed(void **state) {
    fx_t *fx = *state;
    fx_record_t records[3];
    fx_open(fx);
    fx_ready(fx);
    fx_sql(fx, "INSERT INTO users (email, name, role) VALUES ('adrien@example.org', 'Adrien', 'admin')");
    fx_begin(fx, S_RUN_1, 2, 3);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &records[0]);
    audit = fx_audit("tok2");
    audit.created = "2026-01-01 00:00:00";
    audit.location = "elsewhere";
    fx_make_audit(fx, &audit, &records[1]);
    /* The second audit shares technician, client and project; its intervention is its own. */
    s_assert_counts(fx_batch(fx, 0, 0, records, 2, NULL), "inserted 2 updated 0 unchanged 0 rejected 0 rows +7 ~0");
    fx_assert_sql(fx, "SELECT count(*) || ' ' || max(created_at) || ' ' || max(site_address) FROM projects",
                  "1 2025-10-27 09:43:12 Nîmes");
    fx_assert_sql(fx, "SELECT count(DISTINCT intervention_id) FROM el_audits", "2");
    fx_module_t module = fx_module("tok", "1");
    module.technician = "Adrien";
    fx_make_module(fx, &module, &records[0]);
    module.id = "2";
    module.technician = "Zoé";
    fx_make_module(fx, &module, &records[1]);
    module.id = "3";
    fx_make_module(fx, &module, &records[2]);
    s_assert_counts(fx_batch(fx, 1, 0, records, 3, NULL), "inserted 3 updated 0 unchanged 0 rejected 0 rows +4 ~0");
    fx_assert_sql(
        fx,
        "SELECT group_concat(m.module_identifier || ' ' || u.email || ' ' || u.role) FROM el_modules m JOIN users u "
        "ON u.id = m.technician_id",
        "1 adrien@example.org admin,2 Zoé@el.pvrelay.invalid technician,3 Zoé@el.pvrelay.invalid technician");
}

static void test_real_intervention_in_the_placeholders_place_is_left_alone(void **state) {
    fx_t *fx = *state;
    fx_record_t record;
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    fx_sql(
        fx,
        "INSERT INTO interventions (project_id, technician_id, intervention_type, intervention_date, notes) VALUES (1, "
        "1, 'el', '2025-10-20', 'Real one');"
        "UPDATE el_audits SET intervention_id = 2, updated_at = '2025-10-27 10:00:00';"
        "DELETE FROM interventions WHERE id = 1;");
    /* The HUB's trigger has dated the audit anew. */
    pr_target_on_foreign_change(fx->target, PR_FOREIGN_OVERWRITE);
    fx_begin(fx, S_RUN_2, 1, 0);
    fx_audit_t audit = fx_audit("tok");
    audit.status = "archived";
    fx_make_audit(fx, &audit, &record);
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), "inserted 0 updated 1 unchanged 0 rejected 0 rows +0 ~1");
    fx_assert_sql(fx, "SELECT group_concat(id || ' ' || notes || ' ' || status) FROM interventions",
                  "2 Real one scheduled");
    fx_assert_sql(fx, "SELECT intervention_id || ' ' || status FROM el_audits", "2 archived");
}

static void test_placeholder_follows_its_audit_to_another_project(void **state) {
    fx_t *fx = *state;
    fx_record_t record;
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    fx_begin(fx, S_RUN_2, 1, 0);
    fx_audit_t audit = fx_audit("tok");
    audit.client = "Arkolia Énergies";
    fx_make_audit(fx, &audit, &record);
    /* A new client and project; intervention and audit change. */
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), "inserted 1 updated 0 unchanged 0 rejected 0 rows +2 ~2");
    fx_assert_sql(
        fx,
        "SELECT group_concat(i.id || ' ' || c.name) FROM interventions i JOIN projects p ON p.id = i.project_id JOIN "
        "clients c ON c.id = p.client_id",
        "1 Arkolia Énergies");
}

static void test_rejected_records_leave_nothing_but_the_reject(void **state) {
    fx_t *fx = *state;
    fx_record_t records[4];
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    fx_sql(fx, "INSERT INTO users (email, name) VALUES ('Bob@el.pvrelay.invalid', 'Robert')");
    char *before = fx_dump(fx);
    fx_begin(fx, S_RUN_2, 0, 4);
    /* Its technician would be made before its audit is missed. */
    fx_module_t orphan = fx_module("nowhere", "1");
    orphan.technician = "Zoé";
    fx_make_module(fx, &orphan, &records[0]);
    /* The e-mail is somebody else's. */
    fx_module_t taken = fx_module("tok", "S9-1");
    taken.technician = "Bob";
    fx_make_module(fx, &taken, &records[1]);
    /* One that the transformer rejected. */
    memset(&records[2], 0, sizeof records[2]);
    records[2].record = (pr_rows_record_t){.length = 10,
                                           .reason = PR_R_UNKNOWN_VALUE,
                                           .field = pr_value_text("status", 6),
                                           .detail = pr_value_text("'OK'", 4),
                                           .raw = pr_value_text("{\"a\0\":1}", 8)};
    fx_make_module(fx, &orphan, &records[3]);
    s_assert_counts(fx_batch(fx, 1, 0, records, 4, NULL), "inserted 0 updated 0 unchanged 0 rejected 4 rows +0 ~0");
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    free(before);
    free(after);
    assert_int_equal(fx->raw_reads, 3);
    fx_assert_sql(
        fx,
        "SELECT group_concat(run || '|' || checkpoint || '|' || source || '|' || stream || '|' || ordinal || '|' || "
        "\"offset\" || '|' || length || '|' || reason || '|' || ifnull(field, '-') || '|' || detail || '|' || hex(raw) "
        "|| '|' || wrangler, char(10)) FROM (SELECT * FROM pvrelay_reject ORDER BY reject LIMIT 3)",
        "2|4|1|modules|0|1|10|unknown_parent|audit_token|el_audits has no row whose audit_token is 'nowhere'|"
        "72617740312B3130|0\n"
        "2|4|1|modules|1|11|10|constraint|-|UNIQUE constraint failed: users.email (email = "
        "'Bob@el.pvrelay.invalid')|7261774031312B3130|0\n"
        "2|4|1|modules|2|21|10|unknown_value|status|'OK'|7B226100223A317D|0");
    fx_assert_sql(fx, "SELECT typeof(raw) FROM pvrelay_reject WHERE ordinal = 2", "blob");
    pr_target_run_t run;
    assert_int_equal(pr_target_run_find(fx->target, S_RUN_2, &run, NULL), 1);
    assert_int_equal(run.rejected, 4);
}

static void test_unique_failure_on_another_column(void **state) {
    fx_t *fx = *state;
    fx_record_t records[2];
    fx_open(fx);
    fx_ready(fx);
    fx_sql(fx, "CREATE UNIQUE INDEX one_place ON el_modules (el_audit_id, string_number, position_in_string)");
    fx_begin(fx, S_RUN_1, 1, 2);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &records[0]);
    fx_batch(fx, 0, 0, records, 1, NULL);
    fx_module_t module = fx_module("tok", "1");
    fx_make_module(fx, &module, &records[0]);
    module.id = "2";
    fx_make_module(fx, &module, &records[1]);
    s_assert_counts(fx_batch(fx, 1, 0, records, 2, NULL), "inserted 1 updated 0 unchanged 0 rejected 1 rows +1 ~0");
    fx_assert_sql(fx, "SELECT reason || ': ' || detail FROM pvrelay_reject",
                  "constraint: UNIQUE constraint failed: el_modules.el_audit_id, el_modules.string_number, "
                  "el_modules.position_in_string (el_audit_id = 1, string_number = 1, position_in_string = 2)");
    fx_assert_sql(fx, "SELECT seq FROM sqlite_sequence WHERE name = 'el_modules'", "1");
}

/* It is cut between two characters, and says so. */
static void test_detail_that_is_too_long(void **state) {
    fx_t *fx = *state;
    fx_record_t record;
    char said[1300] = "!", query[2048];
    for (size_t i = 0; i < 600; i++)
        strcat(said, "é");
    fx_open(fx);
    fx_ready(fx);
    snprintf(query, sizeof query, "ALTER TABLE clients ADD COLUMN more TEXT CONSTRAINT \"%s\" CHECK (name = '')", said);
    fx_sql(fx, query);
    fx_begin(fx, S_RUN_1, 1, 0);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), "inserted 0 updated 0 unchanged 0 rejected 1 rows +0 ~0");
    snprintf(query, sizeof query,
             "SELECT detail = 'CHECK constraint failed: ' || substr('%s', 1, 242) || '…' FROM pvrelay_reject", said);
    fx_assert_sql(fx, query, "1");
}

static void test_reject_late_in_a_record_takes_its_first_rows_back(void **state) {
    fx_t *fx = *state;
    fx_record_t record;
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    fx_begin(fx, S_RUN_2, 1, 0);
    fx_audit_t audit = fx_audit("tok");
    audit.project = NULL;
    audit.client = "New";
    fx_make_audit(fx, &audit, &record);
    /* The client is made first, and must go again. */
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), "inserted 0 updated 0 unchanged 0 rejected 1 rows +0 ~0");
    fx_assert_sql(fx, "SELECT reason || ': ' || detail FROM pvrelay_reject",
                  "constraint: NOT NULL constraint failed: projects.name (name = NULL)");
    fx_assert_sql(fx, "SELECT count(*) FROM clients", "1");
    /* And it is not remembered as being there. */
    pr_target_run_abandon(fx->target, 2, NULL);
    fx_begin(fx, S_RUN_3, 1, 0);
    audit.project = "P";
    fx_make_audit(fx, &audit, &record);
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), "inserted 1 updated 0 unchanged 0 rejected 0 rows +2 ~2");
    fx_assert_sql(fx, "SELECT count(*) FROM pragma_foreign_key_check", "0");
}

static void test_rollback_leaves_nothing_and_forgets(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    fx_record_t record;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 1);
    char *before = fx_dump(fx);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    assert_int_equal(pr_target_batch_begin(fx->target, 1, &fx->plan->sources[0], fx_range(0, 0, 1), &err), 0);
    assert_int_equal(pr_target_apply(fx->target, fx->audits, &record.record, 0, fx_raw, fx, &err), 0);
    pr_target_batch_rollback(fx->target);
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    free(before);
    free(after);
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_checkpoint", "0");
    /* Ids of the rows that are gone again are not used, and the rates are not forgotten. */
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), S_NEW_AUDIT);
    fx_module_t module = fx_module("tok", "1");
    fx_make_module(fx, &module, &record);
    fx_batch(fx, 1, 0, &record, 1, NULL);
    s_finish(fx);
    fx_assert_sql(fx, "SELECT id || ' ' || completion_rate FROM el_audits", "1 100.0");
    fx_assert_sql(fx, "SELECT min(checkpoint) FROM pvrelay_checkpoint", "1");
}

static void test_batch_must_follow_the_position(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[400];
    fx_record_t record;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 3, 1);
    assert_int_equal(pr_target_batch_begin(fx->target, 1, &fx->plan->sources[0], fx_range(0, 1, 1), &err),
                     -PR_E_PROTOCOL);
    snprintf(expected, sizeof expected,
             "%s: run 1 stands at source 1, record 1, byte 0; a batch from source 1, record 2, byte 11 does not follow",
             fx->path);
    assert_string_equal(err.text, expected);
    /* The error sticks until it is rolled back. */
    pr_target_counts_t counts;
    int64_t checkpoint = -5;
    pr_error_clear(&err);
    assert_int_equal(pr_target_batch_commit(fx->target, 0, &counts, &checkpoint, &err), -PR_E_PROTOCOL);
    assert_string_equal(err.text, expected);
    assert_int_equal(checkpoint, -5);
    pr_error_clear(&err);
    assert_int_equal(pr_target_run_find(fx->target, NULL, &fx->run, &err), -PR_E_PROTOCOL);
    pr_target_batch_rollback(fx->target);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    pr_error_clear(&err);
    assert_int_equal(pr_target_batch_begin(fx->target, 99, &fx->plan->sources[0], fx_range(0, 1, 1), &err),
                     -PR_E_INTERNAL);
    snprintf(expected, sizeof expected, "%s: there is no run 99", fx->path);
    assert_string_equal(err.text, expected);
    pr_target_batch_rollback(fx->target);
    assert_int_equal(pr_target_run_abandon(fx->target, 1, NULL), 0);
    pr_error_clear(&err);
    assert_int_equal(pr_target_batch_begin(fx->target, 1, &fx->plan->sources[0], fx_range(0, 1, 1), &err),
                     -PR_E_PROTOCOL);
    snprintf(expected, sizeof expected, "%s: run 1 takes no batch: it is abandoned", fx->path);
    assert_string_equal(err.text, expected);
    pr_target_batch_rollback(fx->target);
}

static void test_full_disk(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[400];
    char again[sizeof err.text] = "";
    fx_record_t record;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 20000);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    char *before = fx_dump(fx);
    fx_limit_pages(fx);
    int result = pr_target_batch_begin(fx->target, 1, &fx->plan->sources[1], fx_range(1, 0, 20000), &err);
    static char names[20000][16]; /* texts live as long as the batch */
    uint64_t ordinal = 0;
    for (; result == 0 && ordinal < 20000; ordinal++) {
        snprintf(names[ordinal], sizeof names[ordinal], "S1-%d", (int)ordinal);
        fx_module_t module = fx_module("tok", names[ordinal]);
        fx_make_module(fx, &module, &record);
        result = pr_target_apply(fx->target, fx->modules, &record.record, ordinal, fx_raw, fx, &err);
    }
    assert_int_equal(result, -PR_E_TARGET_FULL);
    /* Of the group that had become full with this record. */
    snprintf(
        expected, sizeof expected,
        "source 2 (modules), records %d to %d: %s: table el_modules: database or disk is full; make room, then the "
        "same command continues",
        (int)ordinal - 255, (int)ordinal, fx->path);
    assert_string_equal(err.text, expected);
    /* Every call says the same until the rollback. */
    snprintf(again, sizeof again, "%s", err.text);
    pr_error_clear(&err);
    assert_int_equal(pr_target_apply(fx->target, fx->modules, &record.record, ordinal, fx_raw, fx, &err),
                     -PR_E_TARGET_FULL);
    assert_string_equal(err.text, again);
    pr_target_counts_t counts;
    int64_t checkpoint = 0;
    pr_error_clear(&err);
    assert_int_equal(pr_target_batch_commit(fx->target, 0, &counts, &checkpoint, &err), -PR_E_TARGET_FULL);
    assert_string_equal(err.text, again);
    pr_target_batch_rollback(fx->target);
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    free(before);
    free(after);
    /* With room again it goes on. */
    fx_close(fx);
    fx_open(fx);
    fx_batch(fx, 1, 0, &record, 1, NULL);
}

static void test_locked_by_another_target(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_target_t *second = NULL;
    char expected[400];
    fx_open(fx);
    pr_lock_wait_set(30, NULL, NULL);
    assert_int_equal(pr_target_open(fx->path, fx->migrations, fx->mapping, &second, &err), -PR_E_TARGET_LOCKED);
    pr_lock_wait_set(0, NULL, NULL);
    snprintf(expected, sizeof expected,
             "%s: held by process %ld (test_target) (waited 30 ms); wait until it ends, or stop it", fx->path,
             (long)getpid());
    assert_string_equal(err.text, expected);
    assert_null(second);
    fx_close(fx);
    char lock[200];
    snprintf(lock, sizeof lock, "%s-pvrelay.lock", fx->path);
    assert_int_equal(access(lock, F_OK), -1);
}

/* Ends what keeps the target locked, after it has been heard a few times. */
typedef struct {
    sqlite3 *other;
    unsigned calls;
    unsigned until; /* 0: never, and waiting is over with the first call */
    char what[PR_LOCK_WAIT_TEXT_BYTES];
} s_other_t;

static bool s_on_wait(void *context, const char *what, bool begins) {
    s_other_t *self = context;
    assert_int_equal(begins, self->calls == 0);
    snprintf(self->what, sizeof self->what, "%s", what);
    self->calls++;
    if (self->calls == self->until)
        assert_int_equal(sqlite3_exec(self->other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    return self->until != 0;
}

static void test_another_writer_is_waited_for(void **state) {
    fx_t *fx = *state;
    s_other_t self = {.until = 3};
    char expected[400];
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 1);
    assert_int_equal(sqlite3_open(fx->path, &self.other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(self.other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    pr_lock_wait_set(60000, s_on_wait, &self);
    fx_record_t record;
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), S_NEW_AUDIT);
    assert_int_equal(self.calls, 3);
    snprintf(expected, sizeof expected, "%s: locked by another process", fx->path); /* it is this very process */
    assert_string_equal(self.what, expected);
    /* Told to stop: that is no fault of the target's. */
    pr_error_t err = PR_ERROR_INIT;
    self.calls = self.until = 0;
    assert_int_equal(sqlite3_exec(self.other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pr_target_run_stopped(fx->target, 1, "text", 0, &err), -PR_E_INTERRUPTED);
    pr_lock_wait_set(0, NULL, NULL);
    sqlite3_close(self.other);
}

static void test_locked_by_another_writer(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[400];
    sqlite3 *other = NULL;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 1);
    assert_int_equal(sqlite3_open(fx->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pr_target_batch_begin(fx->target, 1, &fx->plan->sources[0], fx_range(0, 0, 1), &err),
                     -PR_E_TARGET_LOCKED);
    snprintf(
        expected, sizeof expected,
        "%s: BEGIN IMMEDIATE: database is locked; another process writes to it; the same command continues when it is "
        "done",
        fx->path);
    assert_string_equal(err.text, expected);
    sqlite3_close(other);
    pr_target_batch_rollback(fx->target);
    fx_record_t record;
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    s_assert_counts(fx_batch(fx, 0, 0, &record, 1, NULL), S_NEW_AUDIT);
}

static void test_rows_that_others_remove_between_batches_are_noticed(void **state) {
    fx_t *fx = *state;
    fx_record_t record;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 2);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    fx_module_t module = fx_module("tok", "1");
    module.technician = "Zoé";
    fx_make_module(fx, &module, &record);
    fx_batch(fx, 1, 0, &record, 1, NULL);
    fx_sql(fx, "PRAGMA foreign_keys = ON; DELETE FROM users WHERE name = 'Zoé'");
    module.id = "2";
    fx_make_module(fx, &module, &record);
    s_assert_counts(fx_batch(fx, 1, 1, &record, 1, NULL), "inserted 1 updated 0 unchanged 0 rejected 0 rows +2 ~0");
}

static pr_failure_t s_failure(const char *column) {
    return (pr_failure_t){.kind = PR_FAILURE_MISMATCH,
                          .stream = "modules",
                          .table = "el_modules",
                          .key = "module_id='1'",
                          .column = column,
                          .expected = "'a'",
                          .stored = "'b'",
                          .source = 1,
                          .offset = 17};
}

static void test_verdicts(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[300];
    fx_record_t record;
    pr_target_commit_t commits[4];
    pr_target_run_t run;
    pr_failure_t failures[2] = {s_failure("comment"), s_failure("status")};
    pr_finding_t finding = {.kind = "kept_differs",
                            .stream = "audits",
                            .field = "el_audits.x",
                            .detail = "like this",
                            .count = 3,
                            .source = 1,
                            .ordinal = 4};
    pr_proof_tally_t tally = {.stream = "modules", .group = "tok", .value = "ok", .count = 7};
    pr_proof_list_t *list = pr_proof_list_new(10);
    pr_proof_list_t *clean = pr_proof_list_new(10);
    for (int i = 0; i < 2; i++)
        pr_proof_list_add_failure(list, &failures[i]);
    pr_proof_list_add_finding(list, &finding);
    pr_proof_list_add_tally(list, &tally);
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 3, 0);
    for (int i = 0; i < 2; i++) {
        fx_audit_t audit = fx_audit(i == 0 ? "tok" : "tok2");
        fx_make_audit(fx, &audit, &record);
        fx_batch(fx, 0, (uint64_t)i, &record, 1, NULL);
    }
    assert_int_equal(pr_target_unvalidated(fx->target, 1, 0, commits, 4, &err), 2);
    assert_int_equal(commits[0].checkpoint, 1);
    assert_int_equal(commits[1].checkpoint, 2);
    assert_int_equal(commits[1].range.source, 0);
    assert_int_equal(commits[1].range.first, 1);
    assert_int_equal(commits[1].range.count, 1);
    assert_int_equal(commits[1].range.begin, 11);
    assert_int_equal(commits[1].range.end, 21);
    assert_true(commits[1].digest == 0x0123456789abcdef);
    assert_int_equal(pr_target_unvalidated(fx->target, 1, 1, commits, 4, &err), 1);
    assert_int_equal(pr_target_unvalidated(fx->target, 1, 0, commits, 1, &err), 1);
    /* One of its own, then repeated with other words: the first counts. */
    assert_int_equal(pr_target_verdict(fx->target, 1, 1, list, &err), 0);
    assert_int_equal(pr_target_verdict(fx->target, 1, 1, clean, &err), 0);
    assert_int_equal(pr_target_verdict(fx->target, 1, 1, list, &err), 0);
    fx_assert_sql(
        fx,
        "SELECT group_concat(run || ' ' || checkpoint || ' ' || kind || ' ' || stream || ' ' || table_name || ' ' || "
        "row_key || ' ' || column_name || ' ' || expected || ' ' || stored || ' ' || source || ' ' || \"offset\", ';') "
        "FROM pvrelay_failure",
        "1 1 mismatch modules el_modules module_id='1' comment 'a' 'b' 1 17;1 1 mismatch modules el_modules "
        "module_id='1' status 'a' 'b' 1 17");
    /* One inside a batch goes with it. */
    assert_int_equal(pr_target_batch_begin(fx->target, 1, &fx->plan->sources[0], fx_range(0, 2, 1), &err), 0);
    assert_int_equal(pr_target_unvalidated(fx->target, 1, 0, commits, 4, &err), 1);
    assert_int_equal(pr_target_verdict(fx->target, 1, 2, clean, &err), 0);
    assert_int_equal(pr_target_verdict(fx->target, 1, 3, clean, &err), -PR_E_PROTOCOL);
    snprintf(expected, sizeof expected, "%s: run 1 has no checkpoint 3", fx->path);
    assert_string_equal(err.text, expected);
    pr_target_batch_rollback(fx->target);
    fx_assert_sql(fx, "SELECT group_concat(validated) FROM pvrelay_checkpoint", "2,0");
    pr_error_clear(&err);
    assert_int_equal(pr_target_verdict(fx->target, 1, 2, clean, &err), 0);
    fx_assert_sql(fx, "SELECT group_concat(validated) FROM pvrelay_checkpoint", "2,1");
    static const char findings[] = "SELECT group_concat(checkpoint || ' ' || kind || ' ' || stream || ' ' || field || "
                                   "' ' || count || ' ' || source "
                                   "|| ' ' || ordinal || ' ' || detail, ';') FROM pvrelay_proof_finding";
    static const char tallies[] =
        "SELECT group_concat(checkpoint || ' ' || stream || ' ' || group_key || ' ' || value || "
        "' ' || count, ';') FROM pvrelay_tally";
    fx_assert_sql(fx, findings, "1 kept_differs audits el_audits.x 3 1 4 like this");
    fx_assert_sql(fx, tallies, "1 modules tok ok 7");
    /* Of the whole, which there is at the end; one replaces the other. */
    assert_int_equal(pr_target_verdict(fx->target, 1, 0, list, &err), -PR_E_PROTOCOL);
    snprintf(expected, sizeof expected, "%s: run 1 is not finished, and is judged as a whole", fx->path);
    assert_string_equal(err.text, expected);
    pr_error_clear(&err);
    int64_t finish = 0;
    fx_audit_t last = fx_audit("tok3");
    fx_make_audit(fx, &last, &record);
    fx_batch(fx, 0, 2, &record, 1, NULL);
    assert_int_equal(pr_target_verdict(fx->target, 1, 3, clean, &err), 0);
    assert_int_equal(pr_target_run_finish(fx->target, 1, &finish, &err), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pr_target_verdict(fx->target, 1, 0, list, &err), 0);
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_failure WHERE checkpoint IS NULL", "2");
    fx_assert_sql(fx, "SELECT group_concat(checkpoint || ' ' || count) FROM pvrelay_proof_finding", "1 3,4 3");
    assert_int_equal(pr_target_run_find(fx->target, S_RUN_1, &run, NULL), 1);
    assert_int_equal(run.failures, 4); /* two of a commit, two of the whole: as many as are kept */
    assert_int_equal(pr_target_verdict(fx->target, 1, 0, clean, &err), 0);
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_failure WHERE checkpoint IS NULL", "0");
    fx_assert_sql(fx, findings, "1 kept_differs audits el_audits.x 3 1 4 like this");
    fx_assert_sql(fx, "SELECT group_concat(validated) FROM pvrelay_checkpoint", "2,1,1,1");
    assert_int_equal(pr_target_verdict(fx->target, 9, 0, clean, &err), -PR_E_INTERNAL);
    pr_proof_list_destroy(&list);
    pr_proof_list_destroy(&clean);
    assert_int_equal(pr_target_run_find(fx->target, S_RUN_1, &run, NULL), 1);
    assert_int_equal(run.failures, 2);
    assert_int_equal(run.unvalidated, 0);
}

/* Who made which row: of shared rows, of those found through others, and of those with columns that are kept. */
static void test_made_rows(void **state) {
    fx_t *fx = *state;
    static const char made[] =
        "SELECT group_concat(table_name || ' ' || row_id || ' ' || run || ' ' || checkpoint || ' ' "
        "|| source || ' ' || ordinal, ';') FROM pvrelay_made";
    fx_record_t records[3];
    fx_open(fx);
    fx_ready(fx);
    fx_sql(fx, "INSERT INTO clients (id, name) VALUES (7, 'somebody''s own')");
    fx_begin(fx, S_RUN_1, 3, 2);
    fx_audit_t audits[2] = {fx_audit("tok"), fx_audit("tok2")};
    for (int i = 0; i < 2; i++)
        fx_make_audit(fx, &audits[i], &records[i]);
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_target_keep_undo(fx->target, &err), 0);
    fx_batch(fx, 0, 0, &records[0], 1, NULL);
    fx_assert_sql(fx, made,
                  "clients 8 1 1 0 0;el_audits 1 1 1 0 0;interventions 1 1 1 0 0;projects 1 1 1 0 0;users 1 1 1 0 0");
    /* The second record shares the first one's rows, and the third is the first again: nothing new was made. */
    records[2] = records[0];
    fx_batch(fx, 0, 1, &records[1], 2, NULL);
    fx_assert_sql(fx,
                  "SELECT group_concat(table_name || ' ' || row_id || ' ' || checkpoint || ' ' || ordinal, ';') FROM "
                  "pvrelay_made WHERE checkpoint > 1",
                  "el_audits 2 2 1;interventions 2 2 1");
    /* A record that is rejected made nothing, and neither does a batch that is not committed. */
    fx_module_t orphan = fx_module("nowhere", "M1");
    fx_module_t module = fx_module("tok", "M2");
    fx_make_module(fx, &orphan, &records[0]);
    fx_make_module(fx, &module, &records[1]);
    fx_batch(fx, 1, 0, &records[0], 2, NULL);
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_made WHERE table_name <> 'users'", "6");
    fx_assert_sql(fx, "SELECT count(*) = (SELECT count(*) FROM users) FROM pvrelay_made WHERE table_name = 'users'",
                  "1");
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_made WHERE source = 1 AND ordinal = 0", "0");
    assert_string_equal(err.text, "");
}

static void test_notes_and_findings(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_target_counts_t counts;
    int64_t checkpoint = 0;
    int comment = pr_stream_field_index(fx->modules, "comment", 7);
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 0, 9);
    for (uint64_t first = 0; first < 6; first += 3) {
        pr_note_t note = {.kind = PR_NOTE_NULL_TEXT, .field = comment, .count = 2, .first = 1};
        assert_int_equal(pr_target_batch_begin(fx->target, 1, &fx->plan->sources[1], fx_range(1, first, 3), &err), 0);
        assert_int_equal(pr_target_note(fx->target, fx->modules, &note, &err), 0);
        assert_int_equal(pr_target_batch_commit(fx->target, 0, &counts, &checkpoint, &err), 0);
    }
    assert_string_equal(err.text, "");
    fx_assert_sql(fx,
                  "SELECT group_concat(kind || ' ' || stream || ' ' || field || ' ' || count || ' ' || source || ' ' "
                  "|| ordinal || "
                  "' ' || ifnull(detail, '-'), ';') FROM pvrelay_finding",
                  "null_text modules comment 4 1 1 -");
}

static void test_finish_needs_the_end_and_happens_once(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char expected[300];
    int64_t checkpoint = 0;
    int64_t again = 0;
    fx_record_t record;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 0);
    assert_int_equal(pr_target_run_finish(fx->target, 1, &checkpoint, &err), -PR_E_INTERNAL);
    snprintf(expected, sizeof expected,
             "%s: run 1 (streaming) cannot finish at source 1, record 1, byte 0; it has 2 sources", fx->path);
    assert_string_equal(err.text, expected);
    pr_error_clear(&err);
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    assert_int_equal(pr_target_run_finish(fx->target, 1, &checkpoint, &err), 0);
    assert_int_equal(checkpoint, 2);
    assert_int_equal(pr_target_run_finish(fx->target, 1, &again, &err), 0);
    assert_int_equal(again, 2);
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_checkpoint", "2");
    /* An audit without modules: 0, and the row, which had it from the start, is not touched. */
    fx_assert_sql(fx, "SELECT completion_rate FROM el_audits", "0.0");
    fx_assert_sql(fx, "SELECT rows_updated FROM pvrelay_checkpoint WHERE checkpoint = 2", "0");
    pr_target_run_t run;
    assert_int_equal(pr_target_run_find(fx->target, NULL, &run, &err), 1);
    assert_int_equal(run.state, PR_RUN_PROVING);
    assert_int_equal(run.position.source, 2);
}

static void test_finish_after_a_restart_sets_rates_of_earlier_batches(void **state) {
    fx_t *fx = *state;
    fx_record_t records[2];
    fx_open(fx);
    s_small_run(fx, S_RUN_1, S_NEW_AUDIT, S_NEW_MODULES);
    /* Somebody's rate that no run dealt with since. */
    fx_sql(fx, "INSERT INTO el_audits (audit_token, project_name, client_name, string_count, modules_per_string, "
               "total_modules, completion_rate) VALUES ('theirs', 'P', 'C', 1, 1, 1, 77)");
    fx_begin(fx, S_RUN_2, 0, 2);
    fx_module_t module = fx_module("tok", "S1-2");
    fx_make_module(fx, &module, &records[0]);
    fx_batch(fx, 1, 0, records, 1, NULL);
    fx_close(fx);
    fx_open(fx);
    module = fx_module("tok", "S1-1");
    fx_make_module(fx, &module, &records[0]);
    fx_batch(fx, 1, 1, records, 1, NULL);
    fx_assert_sql(fx, "SELECT completion_rate FROM el_audits WHERE audit_token = 'tok'", "50.0");
    s_finish(fx);
    fx_assert_sql(fx, "SELECT group_concat(completion_rate) FROM el_audits", "100.0,77.0");
}

static void test_retry_marks_what_it_tried_again(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    fx_record_t records[2];
    int64_t checkpoint = 0;
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 0, 2);
    fx_module_t module = fx_module("nowhere", "1");
    fx_make_module(fx, &module, &records[0]);
    fx_make_module(fx, &module, &records[1]);
    fx_batch(fx, 1, 0, records, 2, NULL);
    s_finish(fx);
    pr_target_run_new_t retry = {.id = S_RUN_2, .plan = fx->plan, .retries_through = 1, .null_text = PR_NULL_TEXT_KEEP};
    assert_int_equal(pr_target_run_begin(fx->target, &retry, &fx->run, &err), 0);
    assert_int_equal(fx->run.null_text, PR_NULL_TEXT_KEEP);
    fx_batch(fx, 1, 0, records, 2, NULL);
    assert_int_equal(pr_target_run_finish(fx->target, 2, &checkpoint, &err), 0);
    assert_int_equal(pr_target_run_complete(fx->target, 2, 3, 0.5, &err), 0);
    fx_assert_sql(fx, "SELECT group_concat(reject || ':' || ifnull(retried_by, '-')) FROM pvrelay_reject",
                  "1:2,2:-,3:-,4:-");
    fx_assert_sql(fx, "SELECT kind || ' ' || outcome || ' ' || retries_through FROM pvrelay_run WHERE run = 2",
                  "retry 3 1");
}

/* ---- the file ---- */

static void test_made_when_a_run_begins(void **state) {
    fx_t *fx = *state;
    pr_target_run_t run;
    fx_open(fx);
    assert_int_equal(pr_target_keep_undo(fx->target, NULL), 0);
    assert_int_equal(pr_target_run_find(fx->target, NULL, &run, NULL), 0);
    assert_int_equal(pr_target_run_find(fx->target, S_RUN_1, &run, NULL), 0);
    assert_int_equal(access(fx->path, F_OK), -1);
    pr_target_batch_rollback(fx->target); /* as when the run fails */
    fx_close(fx);
    assert_int_equal(access(fx->path, F_OK), -1);
    fx_open(fx);
    assert_int_equal(pr_target_keep_undo(fx->target, NULL), 0);
    fx_begin(fx, S_RUN_1, 1, 1);
    fx_close(fx);
    assert_int_equal(access(fx->path, F_OK), 0);
}

/* The file was made, and no run began in it. */
static void test_made_in_vain(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    char path[300];
    pr_target_t *target = NULL;
    assert_int_equal(pr_target_open(fx->path, "/proc/none", fx->mapping, &target, &err), 0);
    pr_plan_t *plan = pr_plan_new();
    pr_target_run_new_t run = {.id = S_RUN_1, .plan = plan};
    pr_target_run_t begun;
    assert_true(pr_target_run_begin(target, &run, &begun, &err) < 0);
    pr_plan_destroy(&plan);
    pr_target_destroy(&target);
    static const char *const endings[] = {"", "-wal", "-shm", "-journal", "-pvrelay.lock"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(path, sizeof path, "%s%s", fx->path, endings[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
}

/* ---- on the disk ---- */

/*  The WAL's syncs, counted, and made to fail: a VFS that is the default one but for that. */
static unsigned s_wal_syncs;
static bool s_wal_sync_fails;
static sqlite3_vfs s_vfs;
static sqlite3_io_methods s_wal_methods;
static int (*s_real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static int (*s_real_sync)(sqlite3_file *, int);

static int s_sync(sqlite3_file *file, int flags) {
    s_wal_syncs++;
    return s_wal_sync_fails ? SQLITE_IOERR_FSYNC : s_real_sync(file, flags);
}

static int s_vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags) {
    int code = s_real_open(vfs, name, file, flags, ret_flags);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_WAL) != 0) {
        s_wal_methods = *file->pMethods;
        s_real_sync = s_wal_methods.xSync;
        s_wal_methods.xSync = s_sync;
        file->pMethods = &s_wal_methods;
    }
    return code;
}

static void s_watch_syncs(bool on) {
    if (on) {
        s_vfs = *sqlite3_vfs_find(NULL);
        s_real_open = s_vfs.xOpen;
        s_vfs.xOpen = s_vfs_open;
        s_vfs.zName = "watched";
        s_vfs.pNext = NULL;
        assert_int_equal(sqlite3_vfs_register(&s_vfs, 1), SQLITE_OK);
    } else {
        assert_int_equal(sqlite3_vfs_unregister(&s_vfs), SQLITE_OK);
    }
    s_wal_syncs = 0;
    s_wal_sync_fails = false;
}

/*  Batches leave it to the checkpoints of the WAL when they get onto the disk; that a run is complete is on it when that is
 *  said, and all before, though somebody else has the database open. If it cannot be, it is not complete. */
static void test_complete_is_on_the_disk(void **state) {
    fx_t *fx = *state;
    pr_error_t err = PR_ERROR_INIT;
    int64_t checkpoint = 0;
    sqlite3 *other = NULL;
    fx_record_t record;
    s_watch_syncs(true);
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 0); /* the first write begins the WAL, and syncs its header */
    assert_int_equal(sqlite3_open(fx->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "SELECT * FROM d1_migrations", NULL, NULL, NULL), SQLITE_OK);
    s_wal_syncs = 0;
    fx_audit_t audit = fx_audit("tok");
    fx_make_audit(fx, &audit, &record);
    fx_batch(fx, 0, 0, &record, 1, NULL);
    assert_int_equal(pr_target_run_finish(fx->target, fx->run.number, &checkpoint, &err), 0);
    assert_int_equal(s_wal_syncs, 0);

    s_wal_sync_fails = true;
    assert_int_equal(pr_target_run_complete(fx->target, fx->run.number, 0, 1.5, &err), -PR_E_TARGET);
    assert_non_null(strstr(err.text, "disk I/O error"));
    assert_true(s_wal_syncs > 0);
    fx_assert_sql(fx, "SELECT state FROM pvrelay_run", "proving");

    s_wal_sync_fails = false;
    s_wal_syncs = 0;
    pr_error_clear(&err);
    assert_int_equal(pr_target_run_complete(fx->target, fx->run.number, 0, 1.5, &err), 0);
    assert_true(s_wal_syncs > 0);
    fx_assert_sql(fx, "SELECT state FROM pvrelay_run", "complete");
    fx_close(fx);
    sqlite3_close(other);
    s_watch_syncs(false);
}

/* Nor does a run that somebody gave up go on after a power cut, while the next one is as fast as ever. */
static void test_given_up_is_on_the_disk(void **state) {
    fx_t *fx = *state;
    s_watch_syncs(true);
    fx_open(fx);
    fx_begin(fx, S_RUN_1, 1, 0);
    s_wal_syncs = 0;
    assert_int_equal(pr_target_run_abandon(fx->target, 1, NULL), 0);
    assert_true(s_wal_syncs > 0);
    s_wal_syncs = 0;
    fx_begin(fx, S_RUN_2, 1, 0);
    assert_int_equal(s_wal_syncs, 0);
    fx_close(fx);
    s_watch_syncs(false);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fresh_target_gets_rows_position_and_rates),
        TEST(test_run_as_found_again),
        TEST(test_second_run_waits_for_the_first),
        TEST(test_replay_touches_nothing),
        TEST(test_changed_record_changes_its_row_only),
        TEST(test_ensured_rows_are_made_once_and_never_changed),
        TEST(test_real_intervention_in_the_placeholders_place_is_left_alone),
        TEST(test_placeholder_follows_its_audit_to_another_project),
        TEST(test_rejected_records_leave_nothing_but_the_reject),
        TEST(test_unique_failure_on_another_column),
        TEST(test_detail_that_is_too_long),
        TEST(test_reject_late_in_a_record_takes_its_first_rows_back),
        TEST(test_rollback_leaves_nothing_and_forgets),
        TEST(test_batch_must_follow_the_position),
        TEST(test_full_disk),
        TEST(test_complete_is_on_the_disk),
        TEST(test_given_up_is_on_the_disk),
        TEST(test_locked_by_another_target),
        TEST(test_made_when_a_run_begins),
        TEST(test_made_in_vain),
        TEST(test_another_writer_is_waited_for),
        TEST(test_locked_by_another_writer),
        TEST(test_rows_that_others_remove_between_batches_are_noticed),
        TEST(test_verdicts),
        TEST(test_made_rows),
        TEST(test_notes_and_findings),
        TEST(test_finish_needs_the_end_and_happens_once),
        TEST(test_finish_after_a_restart_sets_rates_of_earlier_batches),
        TEST(test_retry_marks_what_it_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
