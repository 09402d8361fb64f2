/* SPDX-License-Identifier: MIT */
/* Migrations of a target: numbered SQL files, recorded as wrangler records them. */
#ifndef PR_MIGRATE_H
#define PR_MIGRATE_H

#include <sqlite3.h>
#include <stddef.h>

#include "common/error.h"

/* What a database is to the migrations. */
typedef enum {
    PR_MIGRATE_FRESH,   /* it holds nothing: every file applies */
    PR_MIGRATE_OURS,    /* 0001_unified_schema.sql is recorded: every file that is not recorded applies */
    PR_MIGRATE_ADOPTED, /* the HUB's own migrations made it: only files that make nothing but pvrelay_ tables apply */
    PR_MIGRATE_FOREIGN  /* it holds tables, but not the HUB's: nothing applies */
} pr_migrate_state_t;

typedef enum {
    PR_MIGRATION_ALREADY, /* recorded in d1_migrations */
    PR_MIGRATION_PENDING, /* list only: apply would apply it */
    PR_MIGRATION_APPLIED,
    PR_MIGRATION_SKIPPED /* not for this database */
} pr_migration_outcome_t;

typedef struct {
    char *name; /* "0001_unified_schema.sql" */
    pr_migration_outcome_t outcome;
    const char *why; /* SKIPPED: a sentence, static; else NULL */
} pr_migration_t;

typedef struct {
    pr_migrate_state_t state; /* before anything was applied */
    pr_migration_t *files;    /* in order of number */
    size_t count;
} pr_migrations_t;

/*  What the database is. Reads only.
 *  Tables of SQLite (sqlite_), of D1 (_cf_) and d1_migrations do not count as its content. Errors: -PR_E_TARGET…. */
int pr_migrate_state(sqlite3 *db, pr_migrate_state_t *ret_state, pr_error_t *err);

/*  What pr_migrate_apply would do with every file NNNN_name.sql of the folder; changes nothing.
 *  ret_migrations: *returns new*. Errors: as pr_migrate_apply's. */
int pr_migrate_list(sqlite3 *db, const char *folder, pr_migrations_t **ret_migrations, pr_error_t *err);

/*  Apply what is not recorded yet, in order of number; each file in one transaction together with its row in
 *  d1_migrations (https://developers.cloudflare.com/d1/reference/migrations/). A recorded file that is not in the folder
 *  and gaps in the numbers are fine. A file must leave the transaction alone (no BEGIN, no COMMIT), as D1 demands. db:
 *  outside a transaction. May block. ret_migrations: *returns new*; untouched on failure; files before the one that
 *  failed stay applied. Errors: -PR_E_CONFIG (the folder cannot be read or has no migrations), -PR_E_TARGET_SCHEMA (the
 *  database is FOREIGN), -PR_E_TARGET_LOCKED, -PR_E_TARGET_FULL, -PR_E_TARGET (with file and SQLite's message). */
int pr_migrate_apply(sqlite3 *db, const char *folder, pr_migrations_t **ret_migrations, pr_error_t *err);

void pr_migrations_destroy(pr_migrations_t **migrations);

/* "already", "pending", "applied", "skipped". */
const char *pr_migration_word(pr_migration_outcome_t outcome);

/* Note the connection's last error, with that code: "PATH: DOING: MESSAGE". Returns the negative code. */
int pr_migrate_fail(sqlite3 *db, const char *doing, pr_error_t *err);

#endif
