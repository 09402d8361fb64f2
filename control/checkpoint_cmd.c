/* SPDX-License-Identifier: MIT */
/* pvrelay checkpoint: give the newest checkpoint a name, or take a name away. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/migrate.h"
#include "common/rollback_point.h"
#include "common/text.h"
#include "control/command.h"
#include "control/hold.h"
#include "control/options.h"

const char pr_usage_checkpoint[] =
    "Usage: pvrelay checkpoint NAME --target DB [--remove]\n"
    "Gives the newest checkpoint a name, by which `pvrelay rollback --to NAME` goes back to it. It may have several. "
    "Before\n"
    "the first run the name stands for the state before any run.\n\n"
    "  NAME          1 to 64 bytes without white space, control characters and \"=\"; no number\n"
    "  --target DB   the target database; if it has no tables for pvrelay's books yet, they are made\n"
    "  --remove      take this name away; the checkpoint stays\n";

/* Make the books' tables that the target lacks, and say so. */
static int s_migrate(sqlite3 *db, pr_error_t *err) {
    pr_migrations_t *migrations = NULL;
    char *datadir = pr_config_datadir();
    char *folder = pr_xasprintf("%s/migrations", datadir);
    int result = pr_migrate_apply(db, folder, &migrations, err);
    for (size_t i = 0; result == 0 && i < migrations->count; i++) {
        if (migrations->files[i].outcome == PR_MIGRATION_APPLIED)
            printf("applied  %s\n", migrations->files[i].name);
    }
    pr_migrations_destroy(&migrations);
    free(folder);
    free(datadir);
    return result;
}

static int s_name(sqlite3 *db, const char *name, pr_error_t *err) {
    int64_t checkpoint = 0;
    pr_rollback_point_t point = {0};
    char number[32];
    int result = pr_checkpoint_check_name(name, err); /* before anything is made */
    if (result == 0)
        result = s_migrate(db, err);
    if (result == 0)
        result = pr_checkpoint_name(db, name, &checkpoint, err);
    if (result == 0) {
        snprintf(number, sizeof number, "%" PRId64, checkpoint);
        result = pr_rollback_point_find(db, number, &point, err);
    }
    if (result == 0 && checkpoint == 0)
        printf("the state before any run is now also called %s\n", pr_text_line(name).text);
    else if (result == 0)
        printf("checkpoint %" PRId64 " of run %" PRId64 " is now also called %s\n", checkpoint, point.run,
               pr_text_line(name).text);
    return result;
}

int pr_command_checkpoint(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    bool removes = false;
    const pr_option_t options[] = {{.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
                                   {.name = "--remove", .kind = PR_OPTION_FLAG, .into = &removes}};
    pr_operands_t operands;
    pr_hold_t hold = {0};
    int result = pr_options_parse(options, sizeof options / sizeof options[0], argc, argv, 1, &operands, err);
    if (result < 0)
        return result;
    if (operands.count == 0)
        result = pr_options_wrong(argv[0], err, "NAME is missing");
    else if (target == NULL)
        result = pr_options_wrong(argv[0], err, "--target DB is missing");
    if (result == 0)
        result = pr_hold_take(target, &hold, err);
    if (result == 0 && removes) {
        result = pr_checkpoint_unname(hold.db, operands.at[0], err);
        if (result == 0)
            printf("the name %s is removed; what it stood for stays\n", pr_text_line(operands.at[0]).text);
    } else if (result == 0) {
        result = s_name(hold.db, operands.at[0], err);
    }
    pr_hold_release(&hold);
    free(operands.at);
    return result;
}
