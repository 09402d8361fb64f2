/* SPDX-License-Identifier: MIT */
/* Tables and columns of the target, against the mapping. */

/*  DESIGN
 *
 *  Every complaint is collected before one is returned: an operator who must mend a schema wants the whole list. Names
 *  compare without regard to case, as SQLite's do. A generated column cannot be written, so it counts as lacking. Ids
 *  are taken to be `id INTEGER PRIMARY KEY`, an alias of the rowid, in every table that rows go into or are looked up
 *  in.
 */
#include "writer/target_schema.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/sql_text.h"
#include "common/suggest.h"

typedef struct {
    char *name;
    bool required; /* NOT NULL without a default, not the primary key */
    bool id;       /* the only primary key column, INTEGER */
    bool writable;
} s_column_t;

typedef struct {
    char *name;
    s_column_t *columns; /* none: there is no such table */
    size_t count;
} s_table_t;

/* The tables looked at, and the complaints about them. */
typedef struct {
    pr_target_t *target;
    s_table_t *tables;
    size_t count;
    char **there; /* names of all data tables of the target; read when one is lacking */
    size_t there_count;
    sqlite3_str *tables_lacking, *columns_lacking, *unfilled;
} s_look_t;

static void s_complain(sqlite3_str *list, const char *table, const char *column) {
    const char *so_far = sqlite3_str_value(list);
    char *what = column == NULL ? pr_xstrdup(table) : pr_xasprintf("%s.%s", table, column);
    /* Whole words only: ", a," in ", a, b,". */
    char *wrapped = pr_xasprintf(" %s,", what);
    if (so_far == NULL || strstr(so_far, wrapped) == NULL)
        sqlite3_str_appendf(list, "%s", wrapped);
    free(wrapped);
    free(what);
}

static int s_read_columns(pr_target_t *target, s_table_t *table, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_ERROR;
    int keys = 0;
    if (sqlite3_prepare_v2(target->db, PR_SQL_COLUMNS, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC) == SQLITE_OK) {
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            table->columns = pr_xrealloc(table->columns, (table->count + 1) * sizeof *table->columns);
            bool key = sqlite3_column_int(statement, 3) > 0;
            const char *type = (const char *)sqlite3_column_text(statement, 5);
            keys += key ? 1 : 0;
            table->columns[table->count++] = (s_column_t){
                .name = pr_xstrdup(pr_sql_column_text(statement, 0)),
                .required = sqlite3_column_int(statement, 1) != 0 && sqlite3_column_int(statement, 2) == 0 && !key,
                .id = key && type != NULL && sqlite3_stricmp(type, "INTEGER") == 0,
                .writable = sqlite3_column_int(statement, 4) == 0};
        }
    }
    int result = step == SQLITE_DONE ? 0 : pr_target_fail(target, err, "reading the columns of %s", table->name);
    sqlite3_finalize(statement);
    for (size_t i = 0; keys > 1 && i < table->count; i++)
        table->columns[i].id = false;
    return result;
}

/* A table without rowid has ids that SQLite does not give: last_insert_rowid would lie. */
static int s_read_kind(pr_target_t *target, s_table_t *table, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(target->db, PR_SQL_WITHOUT_ROWID, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC) == SQLITE_OK) {
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            for (size_t i = 0; sqlite3_column_int(statement, 0) != 0 && i < table->count; i++)
                table->columns[i].id = false;
        }
    }
    int result = step == SQLITE_DONE ? 0 : pr_target_fail(target, err, "reading what table %s is", table->name);
    sqlite3_finalize(statement);
    return result;
}

static int s_read_names(s_look_t *look, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_ERROR;
    if (look->there_count > 0)
        return 0;
    if (sqlite3_prepare_v2(look->target->db, PR_SQL_DATA_TABLES, -1, &statement, NULL) == SQLITE_OK) {
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            look->there = pr_xrealloc(look->there, (look->there_count + 1) * sizeof *look->there);
            look->there[look->there_count++] = pr_xstrdup(pr_sql_column_text(statement, 0));
        }
    }
    int result = step == SQLITE_DONE ? 0 : pr_target_fail(look->target, err, "reading the names of the tables");
    sqlite3_finalize(statement);
    return result;
}

/* A table that is lacking, with the one that is there and was probably meant. */
static int s_complain_table(s_look_t *look, const char *name, pr_error_t *err) {
    pr_suggest_t near = pr_suggest_begin(name, strlen(name));
    int result = s_read_names(look, err);
    for (size_t i = 0; i < look->there_count; i++)
        pr_suggest_offer(&near, look->there[i]);
    char *told = pr_xasprintf("%s%s", name, pr_suggest_text(&near));
    s_complain(look->tables_lacking, told, NULL);
    free(told);
    return result;
}

/* The table of this name, read on first use; what it is if it does not exist: without columns, and complained about. */
static int s_table(s_look_t *look, const char *name, const s_table_t **ret_table, pr_error_t *err) {
    for (size_t i = 0; i < look->count; i++) {
        if (sqlite3_stricmp(look->tables[i].name, name) == 0) {
            *ret_table = &look->tables[i];
            return 0;
        }
    }
    look->tables = pr_xrealloc(look->tables, (look->count + 1) * sizeof *look->tables);
    s_table_t *table = &look->tables[look->count++];
    *table = (s_table_t){.name = pr_xstrdup(name)};
    int result = s_read_columns(look->target, table, err);
    if (result == 0)
        result = s_read_kind(look->target, table, err);
    if (result == 0 && table->count == 0)
        result = s_complain_table(look, name, err);
    if (result < 0)
        return result;
    *ret_table = table;
    return 0;
}

static const s_column_t *s_column(const s_table_t *table, const char *name) {
    for (size_t i = 0; i < table->count; i++) {
        if (sqlite3_stricmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    }
    return NULL;
}

/* A column that is lacking, with the one that is there and was probably meant. */
static void s_complain_column(s_look_t *look, const s_table_t *table, const char *name) {
    pr_suggest_t near = pr_suggest_begin(name, strlen(name));
    for (size_t i = 0; i < table->count; i++) {
        if (sqlite3_stricmp(table->columns[i].name, name) != 0) /* else it is there, but cannot be written */
            pr_suggest_offer(&near, table->columns[i].name);
    }
    char *told = pr_xasprintf("%s%s", name, pr_suggest_text(&near));
    s_complain(look->columns_lacking, table->name, told);
    free(told);
}

/* Demand columns of a table; a table that is not there is one complaint, not one a column. */
static int s_need(s_look_t *look, const char *name, const char *const *columns, size_t count, pr_error_t *err) {
    const s_table_t *table = NULL;
    int result = s_table(look, name, &table, err);
    for (size_t i = 0; result == 0 && table->count > 0 && i < count; i++) {
        if (s_column(table, columns[i]) == NULL)
            s_complain_column(look, table, columns[i]);
    }
    return result;
}

/* Demand `id INTEGER PRIMARY KEY`. */
static int s_need_id(s_look_t *look, const char *name, pr_error_t *err) {
    const s_table_t *table = NULL;
    int result = s_table(look, name, &table, err);
    if (result < 0 || table->count == 0)
        return result;
    const s_column_t *id = s_column(table, "id");
    if (id == NULL || !id->id)
        s_complain(look->columns_lacking, name, "id INTEGER PRIMARY KEY");
    return 0;
}

/* What the target demands and the mapping does not give. */
static void s_need_filled(s_look_t *look, const s_table_t *table, const pr_row_spec_t *spec) {
    for (size_t i = 0; i < table->count; i++) {
        bool filled = !table->columns[i].required;
        for (size_t k = 0; !filled && k < spec->columns_count; k++)
            filled = sqlite3_stricmp(spec->columns[k].name, table->columns[i].name) == 0;
        if (!filled)
            s_complain(look->unfilled, spec->table, table->columns[i].name);
    }
}

static int s_check_lookup(s_look_t *look, const pr_column_t *column, pr_error_t *err) {
    if (column->op != PR_OP_LOOKUP)
        return 0;
    int result = s_need(look, column->lookup_table, (const char *const[]){column->lookup_key}, 1, err);
    return result == 0 ? s_need_id(look, column->lookup_table, err) : result;
}

static int s_check_row(s_look_t *look, pr_target_row_t *row, pr_error_t *err) {
    const pr_row_spec_t *spec = row->spec;
    const s_table_t *table = NULL;
    int result = s_need_id(look, spec->table, err);
    for (size_t i = 0; result == 0 && i < spec->columns_count; i++)
        result = s_check_lookup(look, &spec->columns[i], err);
    if (result == 0 && spec->through_table != NULL) {
        result = s_need(look, spec->through_table, (const char *const[]){spec->through_key, spec->through_column, "id"},
                        3, err);
    }
    /* Last: the list of tables may have moved. */
    if (result == 0)
        result = s_table(look, spec->table, &table, err);
    if (table == NULL || table->count == 0)
        return result;
    for (size_t i = 0; i < spec->columns_count; i++) {
        const s_column_t *column = s_column(table, spec->columns[i].name);
        row->present[i] = column != NULL && column->writable;
        if (!row->present[i] && (!spec->columns[i].optional || spec->columns[i].key))
            s_complain_column(look, table, spec->columns[i].name);
    }
    s_need_filled(look, table, spec);
    return 0;
}

static int s_check_derived(s_look_t *look, const pr_derived_t *derived, pr_error_t *err) {
    int result = s_need(look, derived->table, (const char *const[]){"id", derived->column}, 2, err);
    if (result == 0)
        result = s_need(look, derived->child_table,
                        (const char *const[]){derived->child_column, derived->except_column}, 2, err);
    return result;
}

static bool s_is_key(const pr_row_spec_t *spec, const char *name) {
    for (size_t i = 0; name != NULL && i < spec->columns_count; i++) {
        if (spec->columns[i].key && sqlite3_stricmp(spec->columns[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Does a full UNIQUE index stand on key columns only? Then no second row with the same (not NULL) key gets in. */
static int s_read_unique(pr_target_t *target, pr_target_row_t *row, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char *index = pr_xstrdup("");
    bool within = false;
    bool unique = false;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(target->db, PR_SQL_UNIQUE_INDEXES, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, row->spec->table, -1, SQLITE_STATIC) == SQLITE_OK) {
        while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
            const char *name = pr_sql_column_text(statement, 0);
            if (strcmp(name, index) != 0) {
                unique = unique || within;
                within = true;
                free(index);
                index = pr_xstrdup(name);
            }
            within = within && s_is_key(row->spec, pr_sql_column_text(statement, 1));
        }
    }
    row->unique = unique || within;
    int result = step == SQLITE_DONE ? 0 : pr_target_fail(target, err, "reading the indexes of %s", row->spec->table);
    sqlite3_finalize(statement);
    free(index);
    return result;
}

/* One complaint list as words: "; tables a, b". */
static void s_append_list(sqlite3_str *text, const char *before, sqlite3_str *list) {
    const char *words = sqlite3_str_value(list);
    if (words != NULL)
        sqlite3_str_appendf(text, "%s%s%.*s", sqlite3_str_length(text) > 0 ? "; " : "", before,
                            sqlite3_str_length(list) - 1, words);
}

static int s_verdict(s_look_t *look, pr_error_t *err) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    s_append_list(text, "it lacks the tables", look->tables_lacking);
    s_append_list(text, "it lacks the columns", look->columns_lacking);
    s_append_list(text, "it demands values that the mapping does not give for", look->unfilled);
    int result = 0;
    if (sqlite3_str_length(text) > 0)
        result = pr_error_set(err, PR_E_TARGET_SCHEMA, "%s: not the target that mapping %s needs: %s",
                              look->target->path, look->target->mapping->name, sqlite3_str_value(text));
    sqlite3_free(sqlite3_str_finish(text));
    return result;
}

static void s_forget(s_look_t *look) {
    for (size_t i = 0; i < look->count; i++) {
        for (size_t k = 0; k < look->tables[i].count; k++)
            free(look->tables[i].columns[k].name);
        free(look->tables[i].columns);
        free(look->tables[i].name);
    }
    free(look->tables);
    for (size_t i = 0; i < look->there_count; i++)
        free(look->there[i]);
    free(look->there);
    sqlite3_free(sqlite3_str_finish(look->tables_lacking));
    sqlite3_free(sqlite3_str_finish(look->columns_lacking));
    sqlite3_free(sqlite3_str_finish(look->unfilled));
}

int pr_target_schema_check(pr_target_t *target, pr_error_t *err) {
    s_look_t look = {.target = target,
                     .tables_lacking = sqlite3_str_new(NULL),
                     .columns_lacking = sqlite3_str_new(NULL),
                     .unfilled = sqlite3_str_new(NULL)};
    int result = 0;
    for (size_t s = 0; s < target->mapping->streams_count; s++) {
        for (size_t r = 0; result == 0 && r < target->mapping->streams[s].rows_count; r++) {
            result = s_check_row(&look, &target->streams[s].rows[r], err);
            if (result == 0)
                result = s_read_unique(target, &target->streams[s].rows[r], err);
        }
    }
    for (size_t i = 0; result == 0 && i < target->mapping->derived_count; i++)
        result = s_check_derived(&look, &target->mapping->derived[i], err);
    if (result == 0)
        result = s_verdict(&look, err);
    s_forget(&look);
    return result;
}
