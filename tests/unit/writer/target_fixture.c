/* SPDX-License-Identifier: MIT */
/* What the tests of the target share. */
#include "target_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/unit/folder.h"
#include "writer/target_sqlite.h"

fx_t *fx_new(void) {
    fx_t *fx = pr_xcalloc(1, sizeof *fx);
    pr_error_t err = PR_ERROR_INIT;
    snprintf(fx->folder, sizeof fx->folder, "/tmp/pvrelay-target-XXXXXX");
    assert_non_null(mkdtemp(fx->folder));
    snprintf(fx->path, sizeof fx->path, "%s/hub.sqlite", fx->folder);
    snprintf(fx->migrations, sizeof fx->migrations, "%s/migrations", PR_SOURCE_DIR);
    int result = pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", NULL, NULL, &fx->mapping, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    fx->audits = &fx->mapping->streams[pr_mapping_stream_index(fx->mapping, "audits")];
    fx->modules = &fx->mapping->streams[pr_mapping_stream_index(fx->mapping, "modules")];
    return fx;
}

void fx_destroy(fx_t **fx) {
    fx_close(*fx);
    pr_plan_destroy(&(*fx)->plan);
    pr_mapping_destroy(&(*fx)->mapping);
    assert_int_equal(pr_test_folder_remove((*fx)->folder), 0);
    free(*fx);
    *fx = NULL;
}

void fx_open(fx_t *fx) {
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_target_open(fx->path, fx->migrations, fx->mapping, &fx->target, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
}

void fx_ready(fx_t *fx) {
    pr_error_t err = PR_ERROR_INIT;
    assert_int_equal(pr_target_get_ready(fx->target, &err), 0);
    fx->target->has_run = true; /* it is to stay */
}

void fx_close(fx_t *fx) {
    pr_target_destroy(&fx->target);
}

void fx_begin(fx_t *fx, const char *id, uint64_t audits, uint64_t modules) {
    pr_error_t err = PR_ERROR_INIT;
    pr_plan_destroy(&fx->plan);
    fx->plan = pr_plan_new();
    char audits_path[] = "/exports/audits.json";
    char modules_path[] = "/exports/modules.json";
    char audits_name[] = "audits";
    char modules_name[] = "modules";
    pr_plan_add(fx->plan, &(pr_plan_source_t){.path = audits_path,
                                              .stream = audits_name,
                                              .size = audits * 10 + 2,
                                              .mtime_ns = 1761555792123456789,
                                              .digest = 0xfedcba9876543210,
                                              .null_text = true,
                                              .records = audits,
                                              .bytes = audits * 10});
    pr_plan_add(fx->plan, &(pr_plan_source_t){.path = modules_path,
                                              .stream = modules_name,
                                              .size = modules * 10 + 2,
                                              .mtime_ns = 1,
                                              .digest = 7,
                                              .null_text = false,
                                              .records = modules,
                                              .bytes = modules * 10});
    pr_target_run_new_t run = {.id = id, .plan = fx->plan};
    int result = pr_target_run_begin(fx->target, &run, &fx->run, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
}

static pr_value_t s_text(const char *text) {
    return text == NULL ? pr_value_null() : pr_value_text(text, strlen(text));
}

static void s_append(fx_record_t *record, const char *text, size_t size) {
    assert_true(record->text_used + size <= FX_TEXT);
    memcpy(record->text + record->text_used, text, size);
    record->text_used += size;
}

static pr_value_t s_template(fx_record_t *record, const pr_column_t *column, const pr_value_t *fields) {
    size_t begin = record->text_used;
    for (size_t i = 0; i < column->parts_count; i++) {
        const pr_template_part_t *part = &column->parts[i];
        if (part->field < 0)
            s_append(record, part->literal, part->literal_size);
        else
            s_append(record, fields[part->field].text.data, fields[part->field].text.size);
    }
    return pr_value_text(record->text + begin, record->text_used - begin);
}

static pr_value_t s_value(fx_record_t *record, const pr_column_t *column, const pr_value_t *fields) {
    switch (column->op) {
    case PR_OP_COPY:
    case PR_OP_LOOKUP:
        return fields[column->field];
    case PR_OP_CONSTANT:
        return column->constant;
    case PR_OP_MAP:
        if (fields[column->field].kind == PR_NULL)
            return pr_value_null();
        return *pr_value_map_get(column->map, fields[column->field].text.data, fields[column->field].text.size);
    case PR_OP_DATE:
        return pr_value_text(fields[column->field].text.data, 10);
    case PR_OP_TEMPLATE:
        return s_template(record, column, fields);
    case PR_OP_PARENT:
        break;
    }
    return pr_value_null();
}

static void s_make(const pr_stream_t *stream, const pr_value_t *fields, fx_record_t *ret_record) {
    memset(&ret_record->record, 0, sizeof ret_record->record);
    ret_record->text_used = 0;
    size_t count = 0;
    for (size_t r = 0; r < stream->rows_count; r++) {
        const pr_row_spec_t *spec = &stream->rows[r];
        if (spec->if_present >= 0 && fields[spec->if_present].kind == PR_NULL)
            continue;
        ret_record->rows[count] = (pr_row_t){.spec = (unsigned)r, .values = ret_record->values[count]};
        for (size_t c = 0; c < spec->columns_count; c++)
            ret_record->values[count][c] = s_value(ret_record, &spec->columns[c], fields);
        count++;
    }
    ret_record->record.rows = ret_record->rows;
    ret_record->record.rows_count = count;
    ret_record->record.length = 10;
}

static void s_set(const pr_stream_t *stream, pr_value_t *fields, const char *name, pr_value_t value) {
    int at = pr_stream_field_index(stream, name, strlen(name));
    assert_true(at >= 0);
    fields[at] = value;
}

fx_audit_t fx_audit(const char *token) {
    return (fx_audit_t){.token = token,
                        .project = "JALIBAT",
                        .client = "JALIBAT Industrie",
                        .location = "Nîmes",
                        .status = "created",
                        .config = "{\"mode\":\"simple\"}",
                        .created = "2025-10-27 09:43:12",
                        .updated = "2025-10-27 10:00:00",
                        .strings = 11};
}

void fx_make_audit(const fx_t *fx, const fx_audit_t *audit, fx_record_t *ret_record) {
    pr_value_t fields[FX_COLUMNS];
    memset(fields, 0, sizeof fields);
    s_set(fx->audits, fields, "token", s_text(audit->token));
    s_set(fx->audits, fields, "project_name", s_text(audit->project));
    s_set(fx->audits, fields, "client_name", s_text(audit->client));
    s_set(fx->audits, fields, "location", s_text(audit->location));
    s_set(fx->audits, fields, "string_count", pr_value_integer(audit->strings));
    s_set(fx->audits, fields, "modules_per_string", pr_value_integer(22));
    s_set(fx->audits, fields, "total_modules", pr_value_integer(242));
    s_set(fx->audits, fields, "plan_file", s_text(audit->plan_file));
    s_set(fx->audits, fields, "status", s_text(audit->status));
    s_set(fx->audits, fields, "created_at", s_text(audit->created));
    s_set(fx->audits, fields, "updated_at", s_text(audit->updated));
    s_set(fx->audits, fields, "json_config", s_text(audit->config));
    s_make(fx->audits, fields, ret_record);
}

fx_module_t fx_module(const char *token, const char *id) {
    return (fx_module_t){.token = token,
                         .id = id,
                         .status = "dead",
                         .created = "2025-10-27 09:43:12",
                         .updated = "2025-10-27 10:00:00",
                         .string = 1,
                         .position = 2};
}

void fx_make_module(const fx_t *fx, const fx_module_t *module, fx_record_t *ret_record) {
    pr_value_t fields[FX_COLUMNS];
    memset(fields, 0, sizeof fields);
    s_set(fx->modules, fields, "audit_token", s_text(module->token));
    s_set(fx->modules, fields, "module_id", s_text(module->id));
    s_set(fx->modules, fields, "string_number", pr_value_integer(module->string));
    s_set(fx->modules, fields, "position_in_string", pr_value_integer(module->position));
    s_set(fx->modules, fields, "status", s_text(module->status));
    s_set(fx->modules, fields, "comment",
          module->comment_size > 0 ? pr_value_text(module->comment, module->comment_size) : s_text(module->comment));
    s_set(fx->modules, fields, "technician_id", s_text(module->technician));
    s_set(fx->modules, fields, "created_at", s_text(module->created));
    s_set(fx->modules, fields, "updated_at", s_text(module->updated));
    s_set(fx->modules, fields, "physical_row", pr_value_integer(0));
    s_make(fx->modules, fields, ret_record);
}

pr_range_t fx_range(uint32_t source, uint64_t first, uint32_t count) {
    return (pr_range_t){
        .source = source, .first = first, .count = count, .begin = 1 + first * 10, .end = 1 + (first + count) * 10};
}

int fx_raw(void *context, uint64_t offset, uint32_t length, pr_value_t *ret_raw, pr_error_t *err) {
    static char text[64];
    fx_t *fx = context;
    (void)err;
    fx->raw_reads++;
    snprintf(text, sizeof text, "raw@%" PRIu64 "+%" PRIu32, offset, length);
    *ret_raw = pr_value_text(text, strlen(text));
    return 0;
}

pr_target_counts_t fx_batch(fx_t *fx, uint32_t source, uint64_t first, const fx_record_t *records, size_t count,
                            int64_t *ret_checkpoint) {
    pr_error_t err = PR_ERROR_INIT;
    pr_target_counts_t counts = {0};
    int64_t checkpoint = 0;
    const pr_stream_t *stream = source == 0 ? fx->audits : fx->modules;
    pr_target_batch_begin(fx->target, fx->run.number, &fx->plan->sources[source],
                          fx_range(source, first, (uint32_t)count), &err);
    assert_string_equal(err.text, "");
    for (size_t i = 0; i < count; i++) {
        pr_rows_record_t record = records[i].record;
        record.offset = (uint32_t)i * 10;
        pr_target_apply(fx->target, stream, &record, first + i, fx_raw, fx, &err);
        assert_string_equal(err.text, "");
    }
    int result = pr_target_batch_commit(fx->target, 0x0123456789abcdef, &counts, &checkpoint, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    if (ret_checkpoint != NULL)
        *ret_checkpoint = checkpoint;
    return counts;
}

static sqlite3 *s_connect(const fx_t *fx) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
    return db;
}

void fx_sql(const fx_t *fx, const char *sql) {
    sqlite3 *db = s_connect(fx);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static char *s_ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    const char *text =
        sqlite3_step(statement) == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "no row";
    char *copy = pr_xstrdup(text == NULL ? "NULL" : text);
    sqlite3_finalize(statement);
    return copy;
}

char *fx_ask(const fx_t *fx, const char *sql) {
    sqlite3 *db = s_connect(fx);
    char *text = s_ask(db, sql);
    sqlite3_close(db);
    return text;
}

void fx_assert_sql(const fx_t *fx, const char *sql, const char *expected) {
    char *text = fx_ask(fx, sql);
    assert_string_equal(text, expected);
    free(text);
}

void fx_limit_pages(fx_t *fx) {
    assert_int_equal(sqlite3_exec(fx->target->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
}

char *fx_dump(const fx_t *fx) {
    sqlite3 *db = s_connect(fx);
    /* For each table a query that quotes and joins all columns of all rows, then all of these in one. */
    char *query =
        s_ask(db, "SELECT group_concat('SELECT ''' || t.name || ': '' || ' || "
                  "(SELECT group_concat('quote(\"' || c.name || '\")', ' || '','' || ') FROM "
                  "pragma_table_info(t.name) AS c) || ' AS line FROM \"' || t.name || '\"', ' UNION ALL ') "
                  "FROM sqlite_master AS t WHERE t.type = 'table' AND t.name NOT LIKE 'pvrelay\\_%' ESCAPE '\\'");
    char *all = pr_xasprintf("SELECT group_concat(line, char(10)) FROM (SELECT line FROM (%s) WHERE line NOT LIKE "
                             "'sqlite_sequence: ''pvrelay%%' ORDER BY line)",
                             query);
    char *text = s_ask(db, all);
    free(all);
    free(query);
    sqlite3_close(db);
    return text;
}
