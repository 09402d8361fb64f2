/* SPDX-License-Identifier: MIT */
/* Is the pipeline at work? */
#include "monitor/ready.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/text.h"

/* Takes text. A reason is one line, whatever a stage has said. */
static void s_add(json_t *reasons, char *text) {
    char *line = pr_text_escape(text);
    pr_json_append(reasons, pr_json_text(line));
    free(line);
    free(text);
}

static void s_add_stopped(json_t *reasons, int code, const char *text) {
    s_add(reasons, pr_xasprintf("the run stopped: %s: %s", pr_error_name(code), text));
}

/* An outcome with which a run comes to its end; with the others it stops before. */
static bool s_completes(pr_error_code_t code) {
    return code == PR_E_OK || code == PR_E_REJECTED || code == PR_E_VALIDATION;
}

/* Does what stopped this run stop the pipeline? A set that is no good is put aside, and the spool goes on. */
static bool s_stops(const pr_snapshot_t *snapshot, int code) {
    return !snapshot->spool || pr_error_class(code) != PR_CLASS_DATA;
}

static void s_add_down(json_t *reasons, const pr_snapshot_t *snapshot) {
    for (size_t i = 0; i < snapshot->stages_count; i++) {
        const pr_watch_stage_t *stage = &snapshot->stages[i];
        int64_t seconds = (snapshot->now_ms - stage->heard_ms) / 1000;
        if (stage->up)
            continue;
        s_add(reasons, stage->heard ? pr_xasprintf("%s has been down for %" PRId64 " s", stage->who, seconds)
                                    : pr_xasprintf("%s is down", stage->who));
    }
}

json_t *pr_ready_reasons(const pr_snapshot_t *snapshot) {
    json_t *reasons = json_array();
    const pr_msg_progress_t *progress = snapshot->progress;
    s_add_down(reasons, snapshot);
    if (progress != NULL && progress->state == PR_PROGRESS_FAILED && s_stops(snapshot, progress->outcome))
        s_add_stopped(reasons, progress->outcome, progress->text.data);
    else if (progress == NULL && snapshot->ending != NULL && !s_completes(snapshot->ending->code) &&
             s_stops(snapshot, (int)snapshot->ending->code))
        s_add_stopped(reasons, (int)snapshot->ending->code, snapshot->ending->text);
    else if (progress == NULL && !snapshot->spool)
        s_add(reasons, snapshot->ending != NULL
                           ? pr_xasprintf("the run has ended: %s", pr_error_sentence((int)snapshot->ending->code))
                           : pr_xstrdup("no run is on"));
    return reasons;
}
