/* SPDX-License-Identifier: MIT */
/* How long a row takes through the target: records from memory, no messages, no validator. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "target_fixture.h"

enum { BATCH = 5000 };
static const char *const S_STATUSES[] = {"ok", "dead", "microcracks", "inequality", "pending"};

static double s_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Make the record of one module; the texts it borrows live until the next one. */
static void s_module(const fx_t *fx, uint64_t number, uint64_t per_audit, fx_record_t *ret_record) {
    static char token[64];
    static char name[32];
    snprintf(token, sizeof token, "a4e19950-c73c-412c-be4d-%012" PRIu64, number / per_audit);
    snprintf(name, sizeof name, "S%" PRIu64 "-%" PRIu64, number % per_audit / 26, number % per_audit % 26);
    fx_module_t module = fx_module(token, name);
    module.status = S_STATUSES[number % 5];
    module.string = (int64_t)(number % per_audit / 26);
    module.position = (int64_t)(number % per_audit % 26);
    fx_make_module(fx, &module, ret_record);
}

/* All modules in batches; returns seconds. */
static double s_modules(fx_t *fx, uint64_t rows, uint64_t per_audit) {
    fx_record_t *record = pr_xcalloc(1, sizeof *record);
    pr_error_t err = PR_ERROR_INIT;
    double begun = s_now();
    for (uint64_t first = 0; first < rows; first += BATCH) {
        uint32_t count = (uint32_t)(rows - first < BATCH ? rows - first : BATCH);
        pr_target_counts_t counts;
        int64_t checkpoint = 0;
        int result =
            pr_target_batch_begin(fx->target, fx->run.number, &fx->plan->sources[1], fx_range(1, first, count), &err);
        for (uint64_t i = 0; result == 0 && i < count; i++) {
            s_module(fx, first + i, per_audit, record);
            result = pr_target_apply(fx->target, fx->modules, &record->record, first + i, fx_raw, fx, &err);
        }
        if (result == 0)
            result = pr_target_batch_commit(fx->target, 1, &counts, &checkpoint, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(result, 0);
    }
    double seconds = s_now() - begun;
    /* Making the records is not the target's time: made once more, without it, and taken off. */
    begun = s_now();
    for (uint64_t i = 0; i < rows; i++)
        s_module(fx, i, per_audit, record);
    seconds -= s_now() - begun;
    free(record);
    return seconds;
}

static void s_pass(fx_t *fx, const char *id, uint64_t rows, uint64_t per_audit, const char *what) {
    uint64_t audits = (rows + per_audit - 1) / per_audit;
    fx_record_t *record = pr_xcalloc(1, sizeof *record);
    char token[64];
    fx_begin(fx, id, audits, rows);
    double begun = s_now();
    for (uint64_t a = 0; a < audits; a++) {
        snprintf(token, sizeof token, "a4e19950-c73c-412c-be4d-%012" PRIu64, a);
        fx_audit_t audit = fx_audit(token);
        fx_make_audit(fx, &audit, record);
        fx_batch(fx, 0, a, record, 1, NULL);
    }
    free(record);
    double audited = s_now();
    double seconds = s_modules(fx, rows, per_audit);
    double streamed = s_now();
    int64_t checkpoint = 0;
    assert_int_equal(pr_target_run_finish(fx->target, fx->run.number, &checkpoint, NULL), 0);
    assert_int_equal(pr_target_run_complete(fx->target, fx->run.number, 0, 1, NULL), 0);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%s: %" PRIu64 " audits, a batch each, %.1f us; %" PRIu64
           " modules, %d a batch, %.2f us; finish %.3f s; peak RSS "
           "%.1f MB\n",
           what, audits, (audited - begun) / (double)audits * 1e6, rows, BATCH, seconds / (double)rows * 1e6,
           s_now() - streamed, (double)usage.ru_maxrss / 1024);
}

int main(int argc, char **argv) {
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t per_audit = argc > 2 ? strtoull(argv[2], NULL, 10) : 500;
    fx_t *fx = fx_new();
    fx_open(fx);
    fx_ready(fx);
    if (argc > 3 && strcmp(argv[3], "undo") == 0)
        assert_int_equal(pr_target_keep_undo(fx->target, NULL), 0);
    s_pass(fx, "00000000-0000-4000-8000-000000000001", rows, per_audit, "first load");
    s_pass(fx, "00000000-0000-4000-8000-000000000002", rows, per_audit, "unchanged ");
    fx_destroy(&fx);
    return 0;
}
