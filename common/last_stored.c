/* SPDX-License-Identifier: MIT */
/* What pvrelay last stored in a row, as far as the target's undo tells. */

/*  DESIGN
 *
 *  The changeset of a commit that inserted the row holds all its values, that of one that changed it those that it changed.
 *  So the commits that wrote the row are walked from the newest on, until every column is known, or one has no undo:
 *  what that one stored is not known, and what earlier ones stored need not be the last.
 */
/* Before sqlite3.h, which declares sessions only then. */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "common/last_stored.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/migrate.h"
#include "common/sql_value.h"
#include "common/undo.h"

enum { S_VALUE_BYTES = 400 };

typedef struct {
    sqlite3 *db;
    const char *table;
    int64_t id;
    int id_at;     /* where the table has its id, ... */
    int *at;       /* ... and the columns; -1: nowhere */
    bool *settled; /* by a newer commit */
    size_t count;
    char **texts;
} s_search_t;

static int s_fail(sqlite3 *db, pr_error_t *err) {
    return pr_migrate_fail(db, "reading what was stored", err);
}

static int s_find_columns(s_search_t *search, const char *const *columns, pr_error_t *err) {
    static const char sql[] = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";
    sqlite3_stmt *names = NULL;
    int step = SQLITE_ERROR;
    search->id_at = -1;
    for (size_t i = 0; i < search->count; i++)
        search->at[i] = -1;
    if (sqlite3_prepare_v2(search->db, sql, -1, &names, NULL) == SQLITE_OK) {
        sqlite3_bind_text(names, 1, search->table, -1, SQLITE_STATIC);
        for (int n = 0; (step = sqlite3_step(names)) == SQLITE_ROW; n++) {
            const char *name = (const char *)sqlite3_column_text(names, 0);
            if (sqlite3_stricmp(name, "id") == 0)
                search->id_at = n;
            for (size_t i = 0; i < search->count; i++)
                if (sqlite3_stricmp(name, columns[i]) == 0)
                    search->at[i] = n;
        }
    }
    int result = step == SQLITE_DONE ? 0 : s_fail(search->db, err);
    sqlite3_finalize(names);
    return result;
}

/* Is the change one of the row? */
static bool s_is_of_row(const s_search_t *search, sqlite3_changeset_iter *change, int *ret_columns,
                        int *ret_operation) {
    const char *name = NULL;
    sqlite3_value *id = NULL;
    if (sqlite3changeset_op(change, &name, ret_columns, ret_operation, NULL) != SQLITE_OK ||
        sqlite3_stricmp(name, search->table) != 0 || search->id_at < 0 || search->id_at >= *ret_columns)
        return false;
    int code = *ret_operation == SQLITE_INSERT ? sqlite3changeset_new(change, search->id_at, &id)
                                               : sqlite3changeset_old(change, search->id_at, &id);
    return code == SQLITE_OK && id != NULL && sqlite3_value_int64(id) == search->id;
}

/* Take what the change gives. Returns whether there is nothing more to be found in earlier ones. */
static bool s_take(s_search_t *search, sqlite3_changeset_iter *change, int columns, int operation) {
    char text[S_VALUE_BYTES];
    bool all = true;
    for (size_t i = 0; operation != SQLITE_DELETE && i < search->count; i++) {
        sqlite3_value *value = NULL;
        if (!search->settled[i] && search->at[i] >= 0 && search->at[i] < columns &&
            sqlite3changeset_new(change, search->at[i], &value) == SQLITE_OK && value != NULL) {
            search->texts[i] = pr_xstrdup(pr_sql_value_print(value, text, sizeof text));
            search->settled[i] = true;
        }
        all = all && search->settled[i];
    }
    return all || operation != SQLITE_UPDATE;
}

/* Look through a commit's changes. Returns whether to look no further. */
static bool s_look_through(s_search_t *search, void *changes, int size) {
    sqlite3_changeset_iter *change = NULL;
    bool ends = false;
    bool met = false;
    int columns = 0;
    int operation = 0;
    int code = sqlite3changeset_start(&change, size, changes);
    while (code == SQLITE_OK && !met && sqlite3changeset_next(change) == SQLITE_ROW) {
        met = s_is_of_row(search, change, &columns, &operation);
        if (met)
            ends = s_take(search, change, columns, operation);
    }
    sqlite3changeset_finalize(change);
    return ends || !met; /* a commit that wrote the row, and does not tell how, is not to be relied on */
}

/* Look at one commit. 1: look no further; 0; <0. */
static int s_look_at(s_search_t *search, sqlite3_stmt *undo, int64_t checkpoint, pr_error_t *err) {
    pr_error_t damage = PR_ERROR_INIT;
    void *changes = NULL;
    int result = 1;
    sqlite3_bind_int64(undo, 1, checkpoint);
    int step = sqlite3_step(undo);
    if (step == SQLITE_ROW) {
        int64_t size = sqlite3_column_int64(undo, 0);
        const void *blob = sqlite3_column_blob(undo, 1);
        if (pr_undo_unpack(blob, (size_t)sqlite3_column_bytes(undo, 1), (size_t)size, &changes, &damage) == 0 &&
            changes != NULL)
            result = s_look_through(search, changes, (int)size) ? 1 : 0;
    } else if (step != SQLITE_DONE) {
        result = s_fail(search->db, err);
    }
    free(changes);
    sqlite3_reset(undo);
    return result;
}

int pr_last_stored(sqlite3 *db, const char *table, int64_t id, const int64_t *checkpoints, size_t checkpoints_count,
                   const char *const *columns, size_t columns_count, char **ret_texts, pr_error_t *err) {
    static const char sql[] = "SELECT size, changes FROM pvrelay_undo WHERE checkpoint = ?1";
    sqlite3_stmt *undo = NULL;
    s_search_t search = {.db = db,
                         .table = table,
                         .id = id,
                         .at = pr_xcalloc(columns_count + 1, sizeof *search.at),
                         .settled = pr_xcalloc(columns_count + 1, sizeof *search.settled),
                         .count = columns_count,
                         .texts = ret_texts};
    for (size_t i = 0; i < columns_count; i++)
        ret_texts[i] = NULL;
    int result = s_find_columns(&search, columns, err);
    if (result == 0 && sqlite3_prepare_v2(db, sql, -1, &undo, NULL) != SQLITE_OK)
        result = s_fail(db, err);
    for (size_t i = 0; result == 0 && i < checkpoints_count; i++)
        result = s_look_at(&search, undo, checkpoints[i], err);
    sqlite3_finalize(undo);
    free(search.at);
    free(search.settled);
    if (result < 0) {
        for (size_t i = 0; i < columns_count; i++) {
            free(ret_texts[i]);
            ret_texts[i] = NULL;
        }
    }
    return result < 0 ? result : 0;
}
