/* SPDX-License-Identifier: MIT */
/* Migrations of a target. */

/*  DESIGN
 *
 *  Each file and its row in d1_migrations commit together: a crash leaves a file either applied and recorded or
 *  neither.
 *
 *  A database that the HUB made itself must not get our tables of the same names. Which files are for it is found by
 *  trying them on a scratch database in memory that holds only what such files make: a file that works there and leaves
 *  nothing but pvrelay_ objects depends on nothing else and changes nothing else. So the rule needs no list of names and
 *  no parser.
 */
#include "common/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "common/alloc.h"
#include "common/sql_has.h"
#include "common/sql_open.h"

static const char S_FIRST[] = "0001_unified_schema.sql";
static const char S_WHY_ADOPTED[] =
    "it makes more than pvrelay_ tables, and the HUB's own migrations made this database";
static const char S_WHY_FOREIGN[] = "the database holds tables, but not the HUB's";

static const char S_SQL_MAKE_RECORD[] = "CREATE TABLE IF NOT EXISTS d1_migrations ("
                                        "id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, "
                                        "applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)";
static const char S_SQL_RECORD[] = "INSERT INTO d1_migrations (name) VALUES (?1)";
static const char S_SQL_RECORDED[] = "SELECT count(*) FROM d1_migrations WHERE name = ?1";
static const char S_SQL_RECORDS[] = "SELECT count(*) FROM d1_migrations";
/* Tables and views of the database's own; underscores are escaped because LIKE would take them for any character. */
static const char S_SQL_CONTENT[] =
    "SELECT count(*) FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name <> 'd1_migrations'";
static const char S_SQL_NOT_BOOKKEEPING[] =
    "SELECT count(*) FROM sqlite_master WHERE tbl_name NOT LIKE 'pvrelay\\_%' ESCAPE '\\' "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const char *pr_migration_word(pr_migration_outcome_t outcome) {
    static const char *const words[] = {"already", "pending", "applied", "skipped"};
    return words[outcome];
}

void pr_migrations_destroy(pr_migrations_t **migrations) {
    if (migrations == NULL || *migrations == NULL)
        return;
    for (size_t i = 0; i < (*migrations)->count; i++)
        free((*migrations)->files[i].name);
    free((*migrations)->files);
    free(*migrations);
    *migrations = NULL;
}

static const char *s_path(sqlite3 *db) {
    const char *path = sqlite3_db_filename(db, "main");
    return path == NULL || path[0] == '\0' ? "the database" : path;
}

int pr_migrate_fail(sqlite3 *db, const char *doing, pr_error_t *err) {
    return pr_error_set(err, pr_sql_error_code(db), "%s: %s: %s", s_path(db), doing, sqlite3_errmsg(db));
}

/* The number a statement with at most one text parameter gives. */
static int s_number(sqlite3 *db, const char *sql, const char *parameter, sqlite3_int64 *ret_number, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK && parameter != NULL)
        result = sqlite3_bind_text(statement, 1, parameter, -1, SQLITE_STATIC);
    if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement, 0);
        result = 0;
    } else {
        result = pr_migrate_fail(db, "reading what is in it", err);
    }
    sqlite3_finalize(statement);
    return result;
}

/* Is this file recorded? No table of records: no. */
static int s_recorded(sqlite3 *db, const char *name, bool *ret_recorded, pr_error_t *err) {
    sqlite3_int64 number = 0;
    int result = pr_sql_has_table(db, "d1_migrations", err);
    if (result > 0)
        result = s_number(db, name == NULL ? S_SQL_RECORDS : S_SQL_RECORDED, name, &number, err);
    if (result == 0)
        *ret_recorded = number > 0;
    return result;
}

int pr_migrate_state(sqlite3 *db, pr_migrate_state_t *ret_state, pr_error_t *err) {
    sqlite3_int64 content = 0;
    bool any = false;
    bool ours = false;
    int result = s_number(db, S_SQL_CONTENT, NULL, &content, err);
    int modules = result == 0 ? pr_sql_has_table(db, "el_modules", err) : result;
    result = modules < 0 ? modules : 0;
    if (result == 0)
        result = s_recorded(db, NULL, &any, err);
    if (result == 0)
        result = s_recorded(db, S_FIRST, &ours, err);
    if (result < 0)
        return result;
    if (content == 0 && !any)
        *ret_state = PR_MIGRATE_FRESH;
    else if (ours)
        *ret_state = PR_MIGRATE_OURS;
    else
        *ret_state = modules > 0 ? PR_MIGRATE_ADOPTED : PR_MIGRATE_FOREIGN;
    return 0;
}

/* Four digits, an underscore, something, ".sql". */
static int s_is_migration(const struct dirent *entry) {
    const char *name = entry->d_name;
    size_t size = strlen(name);
    return strspn(name, "0123456789") == 4 && name[4] == '_' && size > 9 && strcmp(name + size - 4, ".sql") == 0;
}

static int s_by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int s_folder(const char *folder, pr_migrations_t *migrations, pr_error_t *err) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, s_is_migration, s_by_name);
    if (count < 0)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot read the folder of migrations: %s", folder, strerror(errno));
    migrations->files = pr_xcalloc((size_t)count, sizeof *migrations->files);
    for (int i = 0; i < count; i++) {
        migrations->files[i].name = pr_xstrdup(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    migrations->count = (size_t)count;
    if (count == 0)
        return pr_error_set(err, PR_E_CONFIG, "%s: no migrations (files NNNN_name.sql) in this folder", folder);
    return 0;
}

static int s_read_all(int fd, size_t size, char *ret_text) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, ret_text + done, size - done);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got == 0)
            break;
        done += got > 0 ? (size_t)got : 0;
    }
    ret_text[done] = '\0';
    return 0;
}

/* The text of a file. *Returns new*. */
static int s_text(const char *folder, const char *name, char **ret_text, pr_error_t *err) {
    char *path = pr_xasprintf("%s/%s", folder, name);
    char *text = NULL;
    struct stat facts;
    int result = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &facts) == 0) {
        text = pr_xmalloc((size_t)facts.st_size + 1);
        result = s_read_all(fd, (size_t)facts.st_size, text);
    } else {
        result = -1;
    }
    if (result < 0) {
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
        free(text);
    } else {
        *ret_text = text;
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return result;
}

/* Does a file make nothing but pvrelay_ tables? What it makes stays in the scratch database if so. */
static int s_is_bookkeeping(sqlite3 *scratch, const char *sql, bool *ret_is, pr_error_t *err) {
    sqlite3_int64 others = 0;
    if (sqlite3_exec(scratch, "SAVEPOINT trial", NULL, NULL, NULL) != SQLITE_OK)
        return pr_migrate_fail(scratch, "a scratch database in memory", err);
    bool worked = sqlite3_exec(scratch, sql, NULL, NULL, NULL) == SQLITE_OK;
    int result = s_number(scratch, S_SQL_NOT_BOOKKEEPING, NULL, &others, err);
    bool is = worked && result == 0 && others == 0;
    if (!is)
        sqlite3_exec(scratch, "ROLLBACK TO trial", NULL, NULL, NULL);
    sqlite3_exec(scratch, "RELEASE trial", NULL, NULL, NULL);
    if (result == 0)
        *ret_is = is;
    return result;
}

/* Decide what happens to one file: ALREADY, PENDING or SKIPPED. */
static int s_judge(sqlite3 *db, sqlite3 *scratch, const char *folder, pr_migrate_state_t state, pr_migration_t *file,
                   pr_error_t *err) {
    bool recorded = false;
    bool bookkeeping = false;
    int result = s_recorded(db, file->name, &recorded, err);
    if (result == 0 && state == PR_MIGRATE_ADOPTED) {
        char *sql = NULL;
        result = s_text(folder, file->name, &sql, err);
        if (result == 0)
            result = s_is_bookkeeping(scratch, sql, &bookkeeping, err);
        free(sql);
    }
    if (result < 0)
        return result;
    file->outcome = PR_MIGRATION_PENDING;
    if (recorded) {
        file->outcome = PR_MIGRATION_ALREADY;
    } else if (state == PR_MIGRATE_FOREIGN || (state == PR_MIGRATE_ADOPTED && !bookkeeping)) {
        file->outcome = PR_MIGRATION_SKIPPED;
        file->why = state == PR_MIGRATE_FOREIGN ? S_WHY_FOREIGN : S_WHY_ADOPTED;
    }
    return 0;
}

int pr_migrate_list(sqlite3 *db, const char *folder, pr_migrations_t **ret_migrations, pr_error_t *err) {
    pr_migrations_t *migrations = pr_xcalloc(1, sizeof *migrations);
    sqlite3 *scratch = NULL;
    int result = s_folder(folder, migrations, err);
    if (result == 0)
        result = pr_migrate_state(db, &migrations->state, err);
    if (result == 0 && sqlite3_open(":memory:", &scratch) != SQLITE_OK)
        result = pr_migrate_fail(scratch, "a scratch database in memory", err);
    for (size_t i = 0; result == 0 && i < migrations->count; i++)
        result = s_judge(db, scratch, folder, migrations->state, &migrations->files[i], err);
    sqlite3_close(scratch);
    if (result == 0)
        *ret_migrations = migrations;
    else
        pr_migrations_destroy(&migrations);
    return result;
}

static int s_record(sqlite3 *db, const char *name) {
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_exec(db, S_SQL_MAKE_RECORD, NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_prepare_v2(db, S_SQL_RECORD, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    /* The error stays noted at the connection: finalize repeats it. */
    sqlite3_finalize(statement);
    return result;
}

/* One file and its record, in one transaction. */
static int s_apply(sqlite3 *db, const char *folder, const char *name, pr_error_t *err) {
    char *sql = NULL;
    int result = s_text(folder, name, &sql, err);
    if (result < 0)
        return result;
    bool ended = false;
    int worked = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (worked == SQLITE_OK)
        worked = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (worked == SQLITE_OK && sqlite3_get_autocommit(db) != 0)
        ended = true;
    if (worked == SQLITE_OK && !ended)
        worked = s_record(db, name);
    if (worked == SQLITE_OK && !ended)
        worked = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (ended)
        result = pr_error_set(err, PR_E_TARGET,
                              "%s: migration %s ends the transaction it is applied in; take its COMMIT out", s_path(db),
                              name);
    else if (worked != SQLITE_OK)
        result = pr_error_set(err, pr_sql_error_code(db), "%s: migration %s: %s", s_path(db), name, sqlite3_errmsg(db));
    if (sqlite3_get_autocommit(db) == 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    free(sql);
    return result;
}

int pr_migrate_apply(sqlite3 *db, const char *folder, pr_migrations_t **ret_migrations, pr_error_t *err) {
    pr_migrations_t *migrations = NULL;
    int result = pr_migrate_list(db, folder, &migrations, err);
    if (result == 0 && migrations->state == PR_MIGRATE_FOREIGN)
        result = pr_error_set(err, PR_E_TARGET_SCHEMA,
                              "%s: it holds tables, but not the HUB's (no el_modules, no record of %s); give a HUB "
                              "database or a new file",
                              s_path(db), S_FIRST);
    for (size_t i = 0; result == 0 && i < migrations->count; i++) {
        if (migrations->files[i].outcome != PR_MIGRATION_PENDING)
            continue;
        result = s_apply(db, folder, migrations->files[i].name, err);
        if (result == 0)
            migrations->files[i].outcome = PR_MIGRATION_APPLIED;
    }
    if (result == 0)
        *ret_migrations = migrations;
    else
        pr_migrations_destroy(&migrations);
    return result;
}
