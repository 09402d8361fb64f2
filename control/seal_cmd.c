/* SPDX-License-Identifier: MIT */
/* pvrelay seal: give up the way back, and the room that it takes. */
#include <inttypes.h>
#include <stdio.h>

#include "common/rollback_point.h"
#include "control/command.h"
#include "control/format.h"
#include "control/hold.h"
#include "control/options.h"

const char pr_usage_seal[] = "Usage: pvrelay seal --target DB [--run R]\n"
                             "Ends the reversibility of a run and of all runs before it: their undo is dropped, all "
                             "else is kept. There is no way "
                             "back\n"
                             "from this.\n\n"
                             "  --target DB   the target database\n"
                             "  --run R       the newest run to seal (default: all runs)\n";

static void s_print(const pr_seal_t *seal) {
    if (seal->run == 0) {
        printf("nothing to seal: there has been no run\n");
        return;
    }
    if (seal->checkpoints == 0) {
        printf("run %" PRId64 " and all before it: nothing to give up, no undo is kept of them\n", seal->run);
        return;
    }
    printf("sealed: run %" PRId64 " and all before it\n", seal->run);
    printf("given up: undo of %s checkpoint%s, %s; what they wrote can no longer be taken back\n",
           pr_format_count(seal->checkpoints).text, seal->checkpoints == 1 ? "" : "s",
           pr_format_bytes(seal->bytes).text);
    printf("the room is free inside the file, for later runs; SQLite's VACUUM gives it to the disk\n");
}

int pr_command_seal(int argc, char **argv, pr_error_t *err) {
    const char *target = NULL;
    int64_t run = 0;
    const pr_option_t options[] = {
        {.name = "--target", .kind = PR_OPTION_TEXT, .into = &target},
        {.name = "--run", .kind = PR_OPTION_NUMBER, .into = &run, .least = 1, .most = INT64_MAX}};
    pr_hold_t hold = {0};
    pr_seal_t seal;
    int result = pr_options_parse_alone(options, sizeof options / sizeof options[0], argc, argv, err);
    if (result < 0)
        return result;
    if (target == NULL)
        return pr_options_wrong(argv[0], err, "--target DB is missing");
    result = pr_hold_take(target, &hold, err);
    if (result == 0)
        result = pr_seal(hold.db, run, &seal, err);
    if (result == 0)
        s_print(&seal);
    pr_hold_release(&hold);
    return result;
}
