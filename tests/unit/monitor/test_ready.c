/* SPDX-License-Identifier: MIT */
/* When the pipeline is at work, and what is said when it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/ready.h"

static void s_expect(const pr_snapshot_t *snapshot, const char *expected) {
    json_t *reasons = pr_ready_reasons(snapshot);
    char *text = json_dumps(reasons, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(reasons);
}

static void test_run(void **state) {
    pr_watch_stage_t stages[] = {{.stage = PR_STAGE_READER, .who = "reader", .up = true},
                                 {.stage = PR_STAGE_WRITER, .who = "writer", .up = true}};
    pr_msg_progress_t progress = {.state = PR_PROGRESS_STREAMING};
    pr_snapshot_t snapshot = {.stages = stages, .stages_count = 2, .progress = &progress, .now_ms = 10000};
    (void)state;
    s_expect(&snapshot, "[]");
    stages[0] = (pr_watch_stage_t){.who = "reader", .heard = true, .heard_ms = 6500};
    s_expect(&snapshot, "[\"reader has been down for 3 s\"]");
    stages[0].heard = false;
    s_expect(&snapshot, "[\"reader is down\"]");
    stages[0].up = true;
    progress.state = PR_PROGRESS_FAILED;
    progress.outcome = PR_E_MALFORMED;
    pr_wire_text_set(&progress.text, "a.json, byte 7:\tno\n\x1b[2J");
    s_expect(&snapshot, "[\"the run stopped: MALFORMED: a.json, byte 7:\\\\tno\\\\n\\\\x1B[2J\"]");
}

static void test_no_run(void **state) {
    pr_watch_stage_t stages[] = {{.stage = PR_STAGE_WRITER, .who = "writer", .up = true}};
    pr_ending_t ending = {.code = PR_E_OK};
    pr_snapshot_t snapshot = {.stages = stages, .stages_count = 1};
    (void)state;
    s_expect(&snapshot, "[\"no run is on\"]");
    snapshot.ending = &ending;
    s_expect(&snapshot, "[\"the run has ended: complete, validated, nothing rejected\"]");
    ending.code = PR_E_TARGET_FULL;
    snprintf(ending.text, sizeof ending.text, "hub.db: \xff");
    s_expect(&snapshot, "[\"the run stopped: TARGET_FULL: hub.db: \\\\xFF\"]");
}

/* Between two sets nothing is wrong; a set that stopped the spool is. */
static void test_spool(void **state) {
    pr_watch_stage_t stages[] = {{.stage = PR_STAGE_WRITER, .who = "writer", .up = true}};
    pr_ending_t ending = {.code = PR_E_REJECTED};
    pr_snapshot_t snapshot = {.stages = stages, .stages_count = 1, .spool = true};
    (void)state;
    s_expect(&snapshot, "[]");
    snapshot.ending = &ending;
    s_expect(&snapshot, "[]");
    pr_msg_progress_t progress = {.state = PR_PROGRESS_FAILED, .outcome = PR_E_MALFORMED};
    snapshot.progress = &progress;
    ending.code = PR_E_MALFORMED; /* the set is put aside */
    s_expect(&snapshot, "[]");
    progress.outcome = PR_E_TARGET_FULL;
    s_expect(&snapshot, "[\"the run stopped: TARGET_FULL: \"]");
    snapshot.progress = NULL;
    s_expect(&snapshot, "[]");
    stages[0].up = false;
    s_expect(&snapshot, "[\"writer is down\"]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_no_run),
        cmocka_unit_test(test_spool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
