/* SPDX-License-Identifier: MIT */
/* pvrelay migrate: make or bring up to date a target's tables. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/migrate.h"
#include "common/sql_open.h"
#include "control/command.h"
#include "control/options.h"

const char pr_usage_migrate[] =
    "Usage: pvrelay migrate --target DB [--list] [--migrations FOLDER]\n"
    "Applies the numbered SQL files that the target has not yet, and records them in d1_migrations as wrangler does. "
    "A\n"
    "database that the HUB's own migrations made gets pvrelay's bookkeeping only; its tables are not altered.\n\n"
    "  --target DB           the SQLite database; made if there is none\n"
    "  --list                only tell what would be applied; change nothing\n"
    "  --migrations FOLDER   other files than the ones that come with pvrelay\n";

/* A database that is not there yet stays so under --list: an empty one in memory stands for it. */
static int s_open(const char *target, bool list, sqlite3 **ret_db, pr_error_t *err) {
    bool there = access(target, F_OK) == 0;
    return pr_sql_open(list && !there ? ":memory:" : target, list && there ? PR_SQL_READ : PR_SQL_CREATE, ret_db, err);
}

static void s_print(const pr_migrations_t *migrations) {
    static const char *const states[] = {
        [PR_MIGRATE_FRESH] = "empty",
        [PR_MIGRATE_OURS] = "made by these migrations",
        [PR_MIGRATE_ADOPTED] = "made by the HUB's own migrations",
        [PR_MIGRATE_FOREIGN] = "not a HUB database",
    };
    printf("target: %s\n", states[migrations->state]);
    for (size_t i = 0; i < migrations->count; i++) {
        const pr_migration_t *file = &migrations->files[i];
        printf("%-8s %s%s%s\n", pr_migration_word(file->outcome), file->name, file->why != NULL ? ": " : "",
               file->why != NULL ? file->why : "");
    }
}

int pr_command_migrate(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    const char *folder = NULL;
    bool list = false;
    const pr_option_t options[] = {{.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
                                   {.name = "--migrations", .kind = PR_OPTION_TEXT, .into = &folder},
                                   {.name = "--list", .kind = PR_OPTION_FLAG, .into = &list}};
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL)
        return pr_options_wrong(argv[0], err, "--target DB is missing");
    sqlite3 *db = NULL;
    pr_migrations_t *migrations = NULL;
    char *datadir = pr_config_datadir();
    char *path = folder != NULL ? pr_xstrdup(folder) : pr_xasprintf("%s/migrations", datadir);
    result = s_open(target, list, &db, err);
    if (result == 0)
        result = list ? pr_migrate_list(db, path, &migrations, err) : pr_migrate_apply(db, path, &migrations, err);
    if (result == 0)
        s_print(migrations);
    pr_migrations_destroy(&migrations);
    sqlite3_close(db);
    free(path);
    free(datadir);
    return result;
}
