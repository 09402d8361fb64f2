/* SPDX-License-Identifier: MIT */
/* All SQL of the writer. */
#include "writer/target_sql.h"

#include "common/alloc.h"
#include "writer/row_table.h"

const char *pr_sql_text(pr_sql_t which) {
    static const char *const texts[] = {
#define X(name, text) text,
        PR_SQLS(X)
#undef X
    };
    return texts[which];
}

const char PR_SQL_COLUMNS[] = "SELECT name, \"notnull\", dflt_value IS NOT NULL, pk, hidden, type FROM "
                              "pragma_table_xinfo(?1) ORDER BY cid";
const char PR_SQL_UNIQUE_INDEXES[] =
    "SELECT l.name, i.name FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i "
    "WHERE l.\"unique\" = 1 AND l.partial = 0 ORDER BY l.name, i.seqno";
const char PR_SQL_WITHOUT_ROWID[] = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1";
const char PR_SQL_DATA_TABLES[] = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
                                  "ESCAPE '\\' AND name NOT LIKE 'pvrelay\\_%' ESCAPE '\\' ORDER BY name";

/* SQLite's string builder gives NULL only when memory is out, and then these programs end. */
static char *s_done(sqlite3_str *text) {
    char *finished = sqlite3_str_finish(text);
    if (finished == NULL)
        pr_xmalloc(SIZE_MAX);
    return finished;
}

static void s_names(sqlite3_str *text, const pr_row_spec_t *spec, const size_t *columns, size_t count,
                    const char *before) {
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(text, "%s\"%w\"", i == 0 ? before : ", ", spec->columns[columns[i]].name);
}

/* INSERT up to what is to be inserted into these columns. */
static sqlite3_str *s_insert(const pr_row_spec_t *spec, const size_t *columns, size_t count) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "INSERT INTO \"%w\" (", spec->table);
    s_names(text, spec, columns, count, "");
    sqlite3_str_appendall(text, ")");
    return text;
}

char *pr_sql_insert(const pr_row_spec_t *spec, const size_t *columns, size_t count) {
    sqlite3_str *text = s_insert(spec, columns, count);
    sqlite3_str_appendall(text, " VALUES (");
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(text, "%s?%d", i == 0 ? "" : ", ", (int)i + 1);
    sqlite3_str_appendall(text, ")");
    return s_done(text);
}

char *pr_sql_select_by_key(const pr_row_spec_t *spec, const size_t *key, size_t key_count, const size_t *read,
                           size_t read_count) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "SELECT id");
    s_names(text, spec, read, read_count, ", ");
    sqlite3_str_appendf(text, " FROM \"%w\"", spec->table);
    for (size_t i = 0; i < key_count; i++)
        sqlite3_str_appendf(text, "%s\"%w\" IS ?%d", i == 0 ? " WHERE " : " AND ", spec->columns[key[i]].name,
                            (int)i + 1);
    sqlite3_str_appendall(text, " ORDER BY id LIMIT 1");
    return s_done(text);
}

char *pr_sql_insert_many(const pr_row_spec_t *spec, const size_t *columns, size_t count) {
    sqlite3_str *text = s_insert(spec, columns, count);
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(text, "%sc%d", i == 0 ? " SELECT " : ", ", (int)columns[i]);
    sqlite3_str_appendall(text, " FROM " PR_ROW_TABLE);
    return s_done(text);
}

/* What is read of the rows that are there. CROSS JOIN: in the order of the group, each row looked up by itself. */
static sqlite3_str *s_select_many(const pr_row_spec_t *spec, const size_t *read, size_t read_count) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "SELECT g.rowid, t.id");
    for (size_t i = 0; i < read_count; i++)
        sqlite3_str_appendf(text, ", t.\"%w\"", spec->columns[read[i]].name);
    sqlite3_str_appendf(text, " FROM " PR_ROW_TABLE " AS g CROSS JOIN \"%w\" AS t", spec->table);
    return text;
}

char *pr_sql_select_many_by_id(const pr_row_spec_t *spec, const size_t *read, size_t read_count) {
    sqlite3_str *text = s_select_many(spec, read, read_count);
    sqlite3_str_appendall(text, " ON t.id = ?1 + g.rowid");
    return s_done(text);
}

char *pr_sql_select_many(const pr_row_spec_t *spec, const size_t *key, size_t key_count, const size_t *read,
                         size_t read_count) {
    sqlite3_str *text = s_select_many(spec, read, read_count);
    for (size_t i = 0; i < key_count; i++)
        sqlite3_str_appendf(text, "%st.\"%w\" IS g.c%d", i == 0 ? " ON " : " AND ", spec->columns[key[i]].name,
                            (int)key[i]);
    return s_done(text);
}

char *pr_sql_select_by_id(const pr_row_spec_t *spec, const size_t *read, size_t read_count) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "SELECT id");
    s_names(text, spec, read, read_count, ", ");
    sqlite3_str_appendf(text, " FROM \"%w\" WHERE id = ?1", spec->table);
    return s_done(text);
}

char *pr_sql_update(const pr_row_spec_t *spec, const size_t *columns, size_t count) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "UPDATE \"%w\" SET ", spec->table);
    for (size_t i = 0; i < count; i++)
        sqlite3_str_appendf(text, "%s\"%w\" = ?%d", i == 0 ? "" : ", ", spec->columns[columns[i]].name, (int)i + 1);
    sqlite3_str_appendf(text, " WHERE id = ?%d", (int)count + 1);
    return s_done(text);
}

char *pr_sql_find(const char *table, const char *result, const char *key) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "SELECT \"%w\" FROM \"%w\" WHERE \"%w\" = ?1 ORDER BY id LIMIT 1", result, table, key);
    return s_done(text);
}

/* MATERIALIZED, because SQLite would otherwise count the children twice, once to compare and once to set. */
char *pr_sql_derive(const pr_derived_t *derived) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text,
                        "WITH d (id, percent) AS MATERIALIZED (SELECT t.row_id, "
                        "(SELECT ifnull(100.0 * count(*) FILTER (WHERE c.\"%w\" IS NOT ?2) / count(*), 0.0) "
                        "FROM \"%w\" AS c WHERE c.\"%w\" = t.row_id) "
                        "FROM pvrelay_touched AS t WHERE t.run = ?1 AND t.table_name = '%q') "
                        "UPDATE \"%w\" SET \"%w\" = d.percent FROM d "
                        "WHERE \"%w\".id = d.id AND \"%w\".\"%w\" IS NOT d.percent",
                        derived->except_column, derived->child_table, derived->child_column, derived->table,
                        derived->table, derived->column, derived->table, derived->table, derived->column);
    return s_done(text);
}
