/* SPDX-License-Identifier: MIT */
/* The mapping: what a good file becomes, and every complaint about a bad one (cases: tests/lint). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/mapping.h"
#include "common/mapping_lint.h"

/* ---- lint cases ---- */

static char s_report[65536];

static void s_note(void *context, const pr_mapping_mistake_t *mistake) {
    size_t used = strlen(s_report);
    (void)context;
    snprintf(s_report + used, sizeof(s_report) - used, "%d: %s\n", mistake->line, mistake->text);
}

static void s_read_file(const char *path, char *buffer, size_t size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t got = fread(buffer, 1, size - 1, file);
    buffer[got] = '\0';
    fclose(file);
}

/* The error is the first mistake: "LINE: text" of the report behind the path and without the blank. */
static void s_check_error(const pr_error_t *err, const char *path, const char *report) {
    char expected[1024];
    int line = 0, at = 0;
    assert_int_equal(sscanf(report, "%d: %n", &line, &at), 1);
    snprintf(expected, sizeof(expected), "%s:%d: %.*s", path, line, (int)strcspn(report + at, "\n"), report + at);
    assert_string_equal(err->text, expected);
}

static void s_run_case(const char *name) {
    char path[512], expected[65536];
    pr_error_t err = PR_ERROR_INIT;
    pr_mapping_t *mapping = NULL;

    snprintf(path, sizeof(path), PR_SOURCE_DIR "/tests/lint/%s/expected", name);
    s_read_file(path, expected, sizeof(expected));
    snprintf(path, sizeof(path), PR_SOURCE_DIR "/tests/lint/%s/mapping.json", name);
    s_report[0] = '\0';
    int rc = pr_mapping_load(path, s_note, NULL, &mapping, &err);
    if (strcmp(s_report, expected) != 0) {
        fail_msg("tests/lint/%s: got\n%sexpected\n%s", name, s_report, expected);
    }
    if (expected[0] == '\0') {
        assert_int_equal(rc, 0);
        assert_non_null(mapping);
        pr_mapping_destroy(&mapping);
    } else {
        assert_int_equal(rc, -PR_E_MAPPING);
        assert_int_equal(err.code, PR_E_MAPPING);
        assert_null(mapping);
        s_check_error(&err, path, expected);
    }
}

static void test_lint_cases(void **state) {
    DIR *folder = opendir(PR_SOURCE_DIR "/tests/lint");
    const struct dirent *entry;
    int count = 0;
    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            s_run_case(entry->d_name);
            count++;
        }
    }
    closedir(folder);
    assert_in_range(count, 60, 1000);
}

/* ---- what a good file becomes ---- */

static pr_mapping_t *s_load_hub(void) {
    pr_error_t err = PR_ERROR_INIT;
    pr_mapping_t *mapping = NULL;
    s_report[0] = '\0';
    int rc = pr_mapping_load(PR_SOURCE_DIR "/mappings/el-to-hub.json", s_note, NULL, &mapping, &err);
    assert_string_equal(err.text, "");
    assert_string_equal(s_report, "");
    assert_int_equal(rc, 0);
    return mapping;
}

static const pr_column_t *s_column(const pr_row_spec_t *row, const char *name) {
    for (size_t i = 0; i < row->columns_count; i++) {
        if (strcmp(row->columns[i].name, name) == 0) {
            return &row->columns[i];
        }
    }
    fail_msg("no column %s", name);
    return NULL;
}

static void s_expect_value(const pr_value_t *value, const char *shown) {
    char buffer[128];
    assert_non_null(value);
    assert_string_equal(pr_value_print(value, buffer, sizeof(buffer)), shown);
}

static void test_streams(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    const pr_stream_t *audits = &mapping->streams[0], *modules = &mapping->streams[1];
    char text[65536];
    (void)state;
    assert_string_equal(mapping->name, "el-to-hub");
    assert_string_equal(mapping->path, PR_SOURCE_DIR "/mappings/el-to-hub.json");
    s_read_file(mapping->path, text, sizeof(text));
    assert_true(mapping->digest == XXH3_64bits(text, strlen(text)));
    assert_int_equal(mapping->streams_count, 2);
    assert_string_equal(audits->name, "audits");
    assert_int_equal(audits->fields_count, 13);
    assert_int_equal(audits->rows_count, 5);
    assert_int_equal(audits->recognise_count, 3);
    assert_int_equal(audits->key_count, 1);
    assert_string_equal(audits->fields[audits->key[0]].name, "token");
    assert_false(audits->unknown_fields_warn);
    assert_string_equal(audits->fields[0].name, "id");
    assert_int_equal(audits->fields[0].type, PR_TYPE_INTEGER);
    assert_false(audits->fields[0].nullable);
    assert_string_equal(audits->fields[0].ignored, "a surrogate that nothing refers to; the HUB gives its own");
    assert_null(audits->fields[1].ignored);
    assert_string_equal(modules->fields[10].name, "physical_row");
    assert_true(modules->fields[10].nullable);
    assert_int_equal(modules->key_count, 2);
    pr_mapping_destroy(&mapping);
    pr_mapping_destroy(&mapping);
}

static void test_rows(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    const pr_stream_t *audits = &mapping->streams[0], *modules = &mapping->streams[1];
    const pr_row_spec_t *intervention = &audits->rows[3], *technician = &modules->rows[0], *module = &modules->rows[1];
    (void)state;
    assert_string_equal(intervention->name, "intervention");
    assert_string_equal(intervention->table, "interventions");
    assert_int_equal(intervention->mode, PR_MODE_UPSERT);
    assert_int_equal(intervention->if_present, -1);
    assert_string_equal(intervention->through_table, "el_audits");
    assert_string_equal(intervention->through_key, "audit_token");
    assert_string_equal(intervention->through_column, "intervention_id");
    assert_string_equal(audits->fields[intervention->through_field].name, "token");
    assert_null(module->through_table);
    assert_int_equal(module->through_field, -1);
    assert_int_equal(technician->mode, PR_MODE_ENSURE);
    assert_string_equal(modules->fields[technician->if_present].name, "technician_id");
    assert_true(s_column(technician, "name")->key);
    assert_false(s_column(technician, "email")->key);
    pr_mapping_destroy(&mapping);
}

static void test_columns(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    const pr_stream_t *audits = &mapping->streams[0], *modules = &mapping->streams[1];
    (void)state;

    const pr_column_t *column = s_column(&audits->rows[3], "intervention_date");
    assert_int_equal(column->op, PR_OP_DATE);
    assert_string_equal(audits->fields[column->field].name, "created_at");
    column = s_column(&audits->rows[3], "technician_id");
    assert_int_equal(column->op, PR_OP_PARENT);
    assert_int_equal(column->parent, 0);
    assert_int_equal(column->field, -1);
    column = s_column(&audits->rows[3], "notes");
    assert_int_equal(column->op, PR_OP_TEMPLATE);
    assert_int_equal(column->parts_count, 2);
    assert_string_equal(column->parts[0].literal, "pvrelay: placeholder for EL audit ");
    assert_int_equal(column->parts[0].literal_size, 34);
    assert_int_equal(column->parts[0].field, -1);
    assert_string_equal(audits->fields[column->parts[1].field].name, "token");
    assert_false(column->parts[1].address);
    column = s_column(&audits->rows[4], "intervention_id");
    assert_true(column->keep);
    assert_false(column->optional);
    column = s_column(&audits->rows[0], "is_active");
    assert_int_equal(column->op, PR_OP_CONSTANT);
    s_expect_value(&column->constant, "0");

    column = s_column(&modules->rows[1], "el_audit_id");
    assert_int_equal(column->op, PR_OP_LOOKUP);
    assert_true(column->key);
    assert_string_equal(column->lookup_table, "el_audits");
    assert_string_equal(column->lookup_key, "audit_token");
    assert_string_equal(modules->fields[column->field].name, "audit_token");
    column = s_column(&modules->rows[0], "email");
    assert_true(column->parts[0].address);
    assert_string_equal(column->parts[1].literal, "@el.pvrelay.invalid");
    column = s_column(&modules->rows[1], "comment");
    assert_int_equal(column->op, PR_OP_COPY);
    assert_int_equal(column->parent, -1);
    column = s_column(&modules->rows[1], "severity_level");
    assert_int_equal(column->op, PR_OP_MAP);
    assert_string_equal(column->map->name, "severity_level");
    s_expect_value(pr_value_map_get(column->map, "dead", 4), "3");
    pr_mapping_destroy(&mapping);
}

static void test_value_maps(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    const pr_value_map_t *map = &mapping->maps[0];
    (void)state;
    assert_int_equal(mapping->maps_count, 3);
    assert_string_equal(map->name, "defect_type");
    assert_int_equal(map->count, 7);
    s_expect_value(&map->entries[2].from, "'microcracks'");
    s_expect_value(&map->entries[2].to, "'microcrack'");
    s_expect_value(pr_value_map_get(map, "inequality", 10), "'luminescence_inequality'");
    assert_null(pr_value_map_get(map, "inequality", 9));
    assert_null(pr_value_map_get(map, "OK", 2));
    assert_null(pr_value_map_get(map, "ok\0", 3));
    assert_null(pr_value_map_get(map, NULL, 0));
    pr_mapping_destroy(&mapping);
}

static void test_derived(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    const pr_derived_t *derived = &mapping->derived[0];
    (void)state;
    assert_int_equal(mapping->derived_count, 1);
    assert_string_equal(derived->table, "el_audits");
    assert_string_equal(derived->column, "completion_rate");
    assert_string_equal(derived->child_table, "el_modules");
    assert_string_equal(derived->child_column, "el_audit_id");
    assert_string_equal(derived->except_column, "defect_type");
    s_expect_value(&derived->except_value, "'pending'");
    pr_mapping_destroy(&mapping);
}

static void test_declarations(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    const pr_stream_t *audits = &mapping->streams[0];
    const pr_stream_t *modules = &mapping->streams[1];
    (void)state;
    assert_int_equal(audits->distribution_by, -1);
    assert_int_equal(audits->distribution_of, -1);
    assert_int_equal(audits->position_in, -1);
    assert_int_equal(audits->position_group, -1);
    assert_int_equal(audits->position_place, -1);
    assert_int_equal(audits->declares.stream, 1);
    assert_string_equal(audits->fields[audits->declares.by].name, "token");
    assert_string_equal(modules->fields[audits->declares.children_by].name, "audit_token");
    assert_string_equal(audits->fields[audits->declares.total].name, "total_modules");
    assert_string_equal(audits->fields[audits->declares.groups].name, "string_count");
    assert_string_equal(audits->fields[audits->declares.per_group].name, "modules_per_string");
    assert_string_equal(modules->fields[modules->distribution_by].name, "audit_token");
    assert_string_equal(modules->fields[modules->distribution_of].name, "status");
    assert_string_equal(modules->fields[modules->position_in].name, "audit_token");
    assert_string_equal(modules->fields[modules->position_group].name, "string_number");
    assert_string_equal(modules->fields[modules->position_place].name, "position_in_string");
    assert_int_equal(modules->declares.stream, -1);
    assert_int_equal(modules->declares.by, -1);
    /* The rows that hold them. */
    assert_string_equal(pr_stream_row_by(audits, audits->declares.by)->table, "el_audits");
    assert_string_equal(pr_stream_row_by(modules, modules->distribution_by)->table, "el_modules");
    assert_null(pr_stream_row_by(audits, 0));
    assert_string_equal(pr_row_copy_of(&modules->rows[1], 2)->name, "module_identifier");
    assert_null(pr_row_copy_of(&modules->rows[1], modules->distribution_of));
    pr_mapping_destroy(&mapping);
}

static int s_recognise(const pr_mapping_t *mapping, const char *const *names) {
    size_t sizes[8], count = 0;
    for (; names[count] != NULL; count++) {
        sizes[count] = strlen(names[count]);
    }
    return pr_mapping_recognise(mapping, names, sizes, count);
}

static void test_questions(void **state) {
    pr_mapping_t *mapping = s_load_hub();
    (void)state;
    assert_int_equal(pr_mapping_stream_index(mapping, "modules"), 1);
    assert_int_equal(pr_mapping_stream_index(mapping, "module"), -1);
    assert_int_equal(pr_stream_field_index(&mapping->streams[0], "token_", 5), 1);
    assert_int_equal(pr_stream_field_index(&mapping->streams[0], "token_", 6), -1);
    assert_int_equal(pr_stream_field_index(&mapping->streams[0], "id\0xxxxxxxxxxxxxxxxxxxxxx", 20), -1);
    assert_int_equal(pr_stream_field_index(&mapping->streams[0], NULL, 0), -1);
    assert_int_equal(s_recognise(mapping, (const char *[]){"client_name", "x", "token", "project_name", NULL}), 0);
    assert_int_equal(s_recognise(mapping, (const char *[]){"string_number", "module_id", "audit_token", NULL}), 1);
    assert_int_equal(s_recognise(mapping, (const char *[]){"module_id", "audit_token", NULL}), -1);
    assert_int_equal(s_recognise(mapping, (const char *[]){"Total queries executed", NULL}), -1);
    assert_int_equal(s_recognise(mapping, (const char *[]){NULL}), -1);
    pr_mapping_destroy(&mapping);
}

/* ---- files that cannot be read ---- */

static void test_unreadable(void **state) {
    pr_error_t err = PR_ERROR_INIT;
    pr_mapping_t *mapping = NULL;
    (void)state;
    char folder[] = "/tmp/pvrelay-test-mapping-XXXXXX";
    char missing[64];
    char expected[160];
    assert_non_null(mkdtemp(folder));
    snprintf(missing, sizeof missing, "%s/mapping.json", folder);
    snprintf(expected, sizeof expected, "%s: the mapping cannot be read: No such file or directory", missing);
    assert_int_equal(pr_mapping_load(missing, NULL, NULL, &mapping, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, expected);
    rmdir(folder);
    pr_error_clear(&err);
    assert_int_equal(pr_mapping_load("/", NULL, NULL, &mapping, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, "/: the mapping cannot be read: Is a directory");
    pr_error_clear(&err);
    assert_int_equal(pr_mapping_load("/dev/zero", NULL, NULL, &mapping, &err), -PR_E_CONFIG);
    assert_string_equal(err.text, "/dev/zero: the mapping cannot be read: it is larger than 16777216 bytes");
    assert_null(mapping);
    /* Nobody has to listen. */
    assert_int_equal(pr_mapping_load(PR_SOURCE_DIR "/tests/lint/scalar/mapping.json", NULL, NULL, &mapping, NULL),
                     -PR_E_MAPPING);
}

/* ---- lines ---- */

static void test_line_index(void **state) {
    static const char text[] = "\n {\"a\":\n1, \"b\" : [ \"x\\\"]\", \n {\"c\":null,\n\n\"\\u0064\":[]}, "
                               "2.5e3\n],\"a\":\r\n{ },\"e\\\\\":true}";
    pr_line_node_t *root = pr_line_index_new(text, sizeof(text) - 1);
    (void)state;
    assert_int_equal(root->line, 2);
    assert_int_equal(root->count, 4);
    assert_int_equal(root->children[0].line, 2);
    assert_int_equal(pr_line_member(root, "a")->line, 7);
    assert_int_equal(pr_line_member(root, "e\\")->line, 8);
    assert_null(pr_line_member(root, "x"));
    const pr_line_node_t *list = pr_line_member(root, "b");
    assert_int_equal(list->line, 3);
    assert_int_equal(list->count, 3);
    assert_int_equal(pr_line_element(list, 0)->line, 3);
    assert_int_equal(pr_line_element(list, 1)->line, 4);
    assert_int_equal(pr_line_member(pr_line_element(list, 1), "c")->line, 4);
    assert_int_equal(pr_line_member(pr_line_element(list, 1), "d")->line, 6);
    assert_int_equal(pr_line_element(list, 2)->line, 6);
    assert_null(pr_line_element(list, 3));
    pr_line_index_destroy(&root);
    pr_line_index_destroy(&root);
}

static void test_line_index_of_rubbish(void **state) {
    static const char text[] = "{\"a\":[1,{\"b\":\"c\\\"\"},[]],\"d\":true}";
    (void)state;
    for (size_t begin = 0; begin < sizeof(text) - 1; begin++) {
        for (size_t end = begin; end < sizeof(text); end++) {
            char *copy = malloc(end - begin + 1);
            memcpy(copy, text + begin, end - begin);
            pr_line_node_t *root = pr_line_index_new(copy, end - begin);
            assert_int_equal(root->line, 1);
            pr_line_index_destroy(&root);
            free(copy);
        }
    }
}

static void test_names(void **state) {
    (void)state;
    assert_true(pr_lint_is_identifier("a"));
    assert_true(pr_lint_is_identifier("_A9z"));
    assert_false(pr_lint_is_identifier(""));
    assert_false(pr_lint_is_identifier("9a"));
    assert_false(pr_lint_is_identifier("a-b"));
    assert_false(pr_lint_is_identifier("é"));
    assert_false(pr_lint_is_identifier("a\"b"));
    assert_true(pr_lint_is_reserved_table("pvrelay_run"));
    assert_true(pr_lint_is_reserved_table("SQLITE_x"));
    assert_false(pr_lint_is_reserved_table("pvrelay"));
    assert_false(pr_lint_is_reserved_table("users"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lint_cases),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_value_maps),
        cmocka_unit_test(test_derived),
        cmocka_unit_test(test_declarations),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_line_index),
        cmocka_unit_test(test_line_index_of_rubbish),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
