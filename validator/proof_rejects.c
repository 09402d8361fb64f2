/* SPDX-License-Identifier: MIT */
/* The rejects that the target keeps, found by their bytes, wherever they stand. */
#include "validator/proof_rejects.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "validator/database.h"

typedef struct {
    XXH128_hash_t digest;
    bool marked;
} s_reject_t;

struct pr_rejects {
    s_reject_t *items; /* sorted by digest */
    size_t count;
    bool any_marked;
};

static int s_compare(const void *a, const void *b) {
    return XXH128_cmp(&((const s_reject_t *)a)->digest, &((const s_reject_t *)b)->digest);
}

static int s_has_books(sqlite3 *db, const char *path, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        db, path,
        sqlite3_mprintf("SELECT count(*) FROM pragma_table_info('pvrelay_run') AS i, sqlite_schema AS s WHERE i.name = "
                        "'rolled_back_at' AND s.name = 'pvrelay_reject'"),
        &statement, err);
    if (result == 0)
        result = pr_database_step(db, path, statement, err);
    if (result > 0)
        result = sqlite3_column_int(statement, 0) > 0;
    sqlite3_finalize(statement);
    return result;
}

static int s_load(sqlite3 *db, const char *path, pr_rejects_t *rejects, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        db, path, sqlite3_mprintf("SELECT j.raw FROM pvrelay_reject AS j WHERE " PR_REJECT_IS_OPEN), &statement, err);
    size_t room = 0;
    while (result == 0 && (result = pr_database_step(db, path, statement, err)) > 0) {
        if (rejects->count == room) {
            room = room > 0 ? room * 2 : 64;
            rejects->items = pr_xrealloc(rejects->items, room * sizeof *rejects->items);
        }
        const void *raw = sqlite3_column_blob(statement, 0);
        size_t size = (size_t)sqlite3_column_bytes(statement, 0);
        rejects->items[rejects->count++] =
            (s_reject_t){.digest = XXH3_128bits(size > 0 ? raw : "", size), .marked = false};
        result = 0;
    }
    sqlite3_finalize(statement);
    if (rejects->count > 0)
        qsort(rejects->items, rejects->count, sizeof *rejects->items, s_compare);
    return result;
}

int pr_rejects_load(sqlite3 *db, const char *path, pr_rejects_t **ret_rejects, pr_error_t *err) {
    pr_rejects_t *rejects = pr_xcalloc(1, sizeof *rejects);
    int result = s_has_books(db, path, err);
    if (result > 0)
        result = s_load(db, path, rejects, err);
    if (result < 0) {
        pr_rejects_destroy(&rejects);
        return result;
    }
    *ret_rejects = rejects;
    return 0;
}

void pr_rejects_destroy(pr_rejects_t **rejects) {
    if (rejects == NULL || *rejects == NULL)
        return;
    free((*rejects)->items);
    free(*rejects);
    *rejects = NULL;
}

/* Equal bytes may be kept more than once; they are marked at the one that this finds. */
static s_reject_t *s_find(const pr_rejects_t *rejects, const char *bytes, size_t size) {
    s_reject_t like = {.digest = XXH3_128bits(bytes, size)};
    return rejects->count > 0 ? bsearch(&like, rejects->items, rejects->count, sizeof like, s_compare) : NULL;
}

bool pr_rejects_have(pr_rejects_t *rejects, const char *bytes, size_t size, bool mark) {
    s_reject_t *found = s_find(rejects, bytes, size);
    if (found != NULL && mark) {
        found->marked = true;
        rejects->any_marked = true;
    }
    return found != NULL;
}

bool pr_rejects_any_marked(const pr_rejects_t *rejects) {
    return rejects != NULL && rejects->any_marked;
}

bool pr_rejects_marked(const pr_rejects_t *rejects, const char *bytes, size_t size) {
    const s_reject_t *found = pr_rejects_any_marked(rejects) ? s_find(rejects, bytes, size) : NULL;
    return found != NULL && found->marked;
}
