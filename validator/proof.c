/* SPDX-License-Identifier: MIT */
/* The proof of commits and of ranges: the export's bytes, record by record, against the stored rows. */
#include "validator/proof.h"

/*  DESIGN
 *
 *  A commit is proved in one read transaction, so that the writer's next commits do not show through. In it:
 *  the checkpoint's row must say what the message said; the export's bytes must have the digest that was committed;
 *  then the bytes are walked (proof_walk.c), and every record that was not rejected is handed to the inverse mapping.
 *
 *  What a record fails with is gathered apart first (scratch): a later record with the same natural key may explain it
 *  (proof_pending.c). The rest of the batch is looked at in passing; for a run, so are the batches that were committed
 *  since, as the proof may come after them; for exports, so are the ranges that follow. Only what is stored in a row
 *  that another record shares, or in a column that is only ever set with a new row, cannot be explained so.
 *
 *  A range of exports has no checkpoint: which of its records were rejected is known by their bytes, and asked only of
 *  those that fail.
 */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/position.h"
#include "common/sql_text.h"
#include "validator/database.h"
#include "validator/proof_state.h"
#include "validator/proof_walk.h"

enum {
    S_PROBLEM_BYTES = 256,
    S_TALLY_BYTES = 4096,     /* of a tallied text; longer ones cannot travel */
    S_UNEXPLAINED_MAX = 1000, /* failures of a run after which no explanation is looked for any more */
    S_TALLIED_KEY_BYTES = 200
};

/* --- Tallies --- */

/* A value as text. Returns false if it cannot be told as such. */
static bool s_tally_text(const pr_value_t *value, char buffer[S_TALLY_BYTES + 1]) {
    switch (value->kind) {
    case PR_NULL:
        buffer[0] = '\0';
        return true;
    case PR_INTEGER:
        snprintf(buffer, S_TALLY_BYTES, "%" PRId64, value->integer);
        return true;
    case PR_REAL:
        snprintf(buffer, S_TALLY_BYTES, "%.17g", value->real);
        return true;
    case PR_TEXT:
        if (value->text.size > S_TALLY_BYTES ||
            (value->text.size > 0 && memchr(value->text.data, '\0', value->text.size) != NULL))
            return false;
        memcpy(buffer, value->text.data, value->text.size);
        buffer[value->text.size] = '\0';
        return true;
    }
    return false;
}

/* Records that cannot be tallied, as their group or value cannot be told. */
static void s_not_tallied(pr_walk_t *walk, const pr_proof_tallying_t *tallying, uint64_t count) {
    char detail[S_TALLIED_KEY_BYTES];
    pr_finding_t finding = {.kind = "not_tallied",
                            .stream = walk->stream->name,
                            .field = walk->stream->fields[walk->opened->tally_by].name,
                            .detail = pr_value_print(&tallying->group, detail, sizeof detail),
                            .count = count,
                            .source = tallying->place.source,
                            .ordinal = tallying->place.ordinal};
    pr_proof_list_add_finding(walk->list, &finding);
}

/* Put what was tallied of the group at hand into the list. */
static void s_tally_flush(pr_walk_t *walk) {
    pr_proof_tallying_t *tallying = &walk->opened->tallying;
    char group[S_TALLY_BYTES + 1];
    char value[S_TALLY_BYTES + 1];
    for (size_t i = 0; i < tallying->count; i++) {
        pr_proof_tally_t tally = {.stream = walk->stream->name,
                                  .group = group,
                                  .value = value,
                                  .count = tallying->counts[i],
                                  .rows = tallying->rows[i]};
        if (s_tally_text(&tallying->group, group) && s_tally_text(&tallying->values[i], value))
            pr_proof_list_add_tally(walk->list, &tally);
        else
            s_not_tallied(walk, tallying, tallying->counts[i]);
    }
    tallying->count = 0;
}

/* Count the record at hand, and the row that it was found to be. Records of a group mostly follow each other, and have
 * few values. */
static void s_tally(pr_walk_t *walk, const pr_value_t *values) {
    const pr_proof_stream_t *opened = walk->opened;
    int64_t id = opened->own_row >= 0 ? pr_inverse_row_id(opened->inverse, (size_t)opened->own_row) : 0;
    uint64_t row = id != 0 ? pr_proof_mix(id) : 0;
    pr_proof_tallying_t *tallying = &walk->opened->tallying;
    walk->rows_sum += row;
    if (opened->tally_by < 0)
        return;
    const pr_value_t none = pr_value_null();
    const pr_value_t *group = &values[opened->tally_by];
    const pr_value_t *value = opened->tally_of >= 0 ? &values[opened->tally_of] : &none;
    if (tallying->count > 0 && !pr_value_equal(&tallying->group, group))
        s_tally_flush(walk);
    for (size_t i = 0; i < tallying->count; i++) {
        if (pr_value_equal(&tallying->values[i], value)) {
            tallying->counts[i]++;
            tallying->rows[i] += row;
            return;
        }
    }
    if (tallying->count == PR_TALLY_VALUES)
        s_tally_flush(walk);
    if (tallying->count == 0) {
        tallying->group = *group;
        tallying->place = pr_walk_place(walk);
    }
    tallying->values[tallying->count] = *value;
    tallying->rows[tallying->count] = row;
    tallying->counts[tallying->count++] = 1;
}

/* Walk, and tally what is walked. */
static int s_walk(pr_walk_t *walk, pr_error_t *err) {
    walk->opened->tallying.count = 0;
    int result = pr_walk_go(walk, err);
    s_tally_flush(walk);
    return result;
}

/* --- Records --- */

/* A record that should have been rejected, and was not. */
static void s_fail_record(pr_walk_t *walk, const char *problem) {
    char key[40];
    char expected[S_PROBLEM_BYTES + 16];
    pr_position_t place = pr_walk_place(walk);
    snprintf(key, sizeof key, "record=%" PRIu64, pr_record_number(place.ordinal));
    snprintf(expected, sizeof expected, "a reject: %s", problem);
    pr_walk_fail(walk, "", key, "", expected, "accepted", place.offset);
}

/* Compare a record; what it fails with is in proof->scratch. */
static int s_compare(pr_walk_t *walk, const pr_value_t *values, bool again, pr_error_t *err) {
    pr_position_t place = pr_walk_place(walk);
    pr_inverse_record_t record = {
        .values = values, .source = place.source, .ordinal = place.ordinal, .offset = place.offset, .again = again};
    if (walk->proof->scratch->failures_total > 0)
        pr_proof_list_clear(walk->proof->scratch);
    return pr_inverse_check(walk->opened->inverse, &record, walk->proof->scratch, err);
}

/* The record at hand has been compared: it counts, and explains earlier ones or waits for an explanation itself. */
static void s_settle(pr_walk_t *walk, const pr_value_t *values) {
    const pr_proof_list_t *failed = walk->proof->scratch;
    pr_pending_t *pending = walk->opened->pending;
    s_tally(walk, values);
    for (size_t i = 0; i < failed->failures_count; i++)
        pr_proof_list_add_failure(walk->list, &failed->failures[i]);
    if (failed->failures_total > 0 && !pr_inverse_is_final(walk->opened->inverse))
        pr_pending_add(pending, values, pr_walk_place(walk), failed->failures_by_kind);
    else if (failed->failures_total == 0 && pr_pending_has(pending, values))
        pr_pending_settle(pending, values, pr_walk_place(walk), walk->list);
}

/* --- One commit --- */

static void s_fail_count(pr_walk_t *walk, const char *column, uint64_t expected, uint64_t stored) {
    char key[40];
    char expected_text[24];
    char stored_text[24];
    snprintf(key, sizeof key, "checkpoint=%" PRId64, walk->checkpoint);
    snprintf(expected_text, sizeof expected_text, "%" PRIu64, expected);
    snprintf(stored_text, sizeof stored_text, "%" PRIu64, stored);
    pr_walk_fail(walk, "pvrelay_checkpoint", key, column, expected_text, stored_text, walk->range.begin);
}

/* context: uint64_t *, records compared. */
static int s_on_committed(pr_walk_t *walk, const pr_value_t *values, const char *problem, pr_error_t *err) {
    uint64_t *compared = walk->context;
    if (values == NULL) {
        s_fail_record(walk, problem);
        return 0;
    }
    int result = s_compare(walk, values, false, err);
    if (result != 0)
        return result;
    s_settle(walk, values);
    ++*compared;
    return 0;
}

/*  The checkpoint's row must be the commit that was announced. ret_all_new: every record of it was inserted.
 *  ret_digest: of the bytes that were committed. */
static int s_check_checkpoint(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t rejected,
                              bool *ret_all_new, uint64_t *ret_digest, pr_error_t *err) {
    sqlite3_stmt *statement = proof->checkpoint;
    sqlite3_bind_int64(statement, 1, checkpoint);
    sqlite3_bind_int64(statement, 2, proof->run);
    int result = pr_database_step(proof->db, proof->path, statement, err);
    if (result == 0)
        return pr_error_set(err, PR_E_TARGET, "%s: has no checkpoint %" PRId64, proof->path, checkpoint);
    if (result < 0)
        return result;
    const uint64_t announced[] = {range.source, range.first, range.count, range.begin, range.end, rejected};
    bool same = true;
    for (int i = 0; i < 6; i++)
        same &= (uint64_t)sqlite3_column_int64(statement, i) == announced[i];
    const char *digits = (const char *)sqlite3_column_text(statement, 7);
    *ret_digest = digits != NULL ? strtoull(digits, NULL, 16) : 0;
    *ret_all_new = (uint64_t)sqlite3_column_int64(statement, 6) == range.count - rejected;
    sqlite3_reset(statement);
    if (!same)
        return pr_error_set(err, PR_E_PROTOCOL, "%s: checkpoint %" PRId64 " is another commit than was announced",
                            proof->path, checkpoint);
    return 0;
}

/* The bytes that are loaded must be those that were committed. ret_digest (may be NULL): of what they are. */
static int s_check_digest(const pr_proof_t *proof, pr_range_t range, uint64_t committed, uint64_t *ret_digest,
                          pr_error_t *err) {
    uint64_t digest = XXH3_64bits(proof->buffer, (size_t)(range.end - range.begin));
    if (ret_digest != NULL)
        *ret_digest = digest;
    if (digest == committed)
        return 0;
    return pr_error_set(err, PR_E_SOURCE_CHANGED,
                        "%s: the bytes %" PRIu64 " to %" PRIu64
                        " are no longer what was committed; put the file back, or begin anew with --restart",
                        proof->sources[range.source].path, range.begin, range.end);
}

/* --- Explanations in later commits --- */

/* context: pr_proof_list_t *, where the failures to be explained are. */
static int s_on_later(pr_walk_t *walk, const pr_value_t *values, const char *problem, pr_error_t *err) {
    (void)problem;
    if (values == NULL || !pr_pending_has(walk->opened->pending, values))
        return 0;
    int result = s_compare(walk, values, true, err);
    if (result == 0 && walk->proof->scratch->failures_total == 0)
        pr_pending_settle(walk->opened->pending, values, pr_walk_place(walk), walk->context);
    return result;
}

static int s_explain_by(pr_proof_t *proof, sqlite3_stmt *later, int stream, pr_proof_list_t *list, pr_error_t *err) {
    pr_range_t range = {.source = (uint32_t)sqlite3_column_int64(later, 1),
                        .first = (uint64_t)sqlite3_column_int64(later, 2),
                        .count = (uint32_t)sqlite3_column_int64(later, 3),
                        .begin = (uint64_t)sqlite3_column_int64(later, 4),
                        .end = (uint64_t)sqlite3_column_int64(later, 5)};
    int result = pr_proof_check_range(proof, "a commit", range, err);
    if (result != 0 || proof->sources[range.source].stream != stream)
        return result;
    result = pr_proof_load(proof, range, 0, err);
    if (result == 0)
        result = s_check_digest(proof, range, strtoull(pr_sql_column_text(later, 6), NULL, 16), NULL, err);
    if (result != 0)
        return result;
    pr_walk_t walk;
    pr_walk_begin(&walk, proof, range, s_on_later, list);
    walk.checkpoint = sqlite3_column_int64(later, 0);
    return pr_walk_go(&walk, err);
}

/* Look for what explains the failures of a commit in those that were committed since. */
static int s_explain(pr_proof_t *proof, int64_t checkpoint, int stream, pr_proof_list_t *list, pr_error_t *err) {
    pr_pending_t *pending = proof->streams[stream].pending;
    sqlite3_stmt *later = NULL;
    if (pr_pending_count(pending) == 0 || proof->unexplained >= S_UNEXPLAINED_MAX)
        return 0;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT checkpoint, source, first_ordinal, records, begin_offset, end_offset, digest FROM "
                        "pvrelay_checkpoint WHERE run = %lld AND checkpoint > %lld AND kind = 'batch' ORDER BY "
                        "checkpoint",
                        (long long)proof->run, (long long)checkpoint),
        &later, err);
    while (result == 0 && pr_pending_count(pending) > 0 &&
           (result = pr_database_step(proof->db, proof->path, later, err)) > 0)
        result = s_explain_by(proof, later, stream, list, err);
    sqlite3_finalize(later);
    return result < 0 ? result : 0;
}

static int s_prove(pr_walk_t *walk, uint64_t rejected, uint64_t *ret_digest, pr_error_t *err) {
    pr_proof_t *proof = walk->proof;
    bool all_new = false;
    uint64_t committed = 0;
    int result = s_check_checkpoint(proof, walk->checkpoint, walk->range, rejected, &all_new, &committed, err);
    if (result == 0)
        result = pr_proof_load(proof, walk->range, 0, err);
    if (result == 0)
        result = s_check_digest(proof, walk->range, committed, ret_digest, err);
    if (result != 0)
        return result;
    uint64_t before = walk->list->failures_total;
    pr_pending_clear(walk->opened->pending);
    pr_inverse_begin(walk->opened->inverse, all_new, proof->extra_fail);
    result = s_walk(walk, err);
    if (result == 0 && walk->records != walk->range.count)
        s_fail_count(walk, "records", walk->records, walk->range.count);
    if (result == 0 && walk->rejected != rejected)
        s_fail_count(walk, "rejected", walk->rejected, rejected);
    if (result == 0)
        result = s_explain(proof, walk->checkpoint, proof->sources[walk->range.source].stream, walk->list, err);
    pr_inverse_end(walk->opened->inverse, result == 0 ? walk->list : NULL);
    if (result == 0)
        proof->unexplained += walk->list->failures_total - before;
    return result;
}

/* End a read transaction. Nothing was written: after an error there is nothing to undo but the open transaction. */
static int s_end(pr_proof_t *proof, int result, pr_error_t *err) {
    int ended = pr_database_exec(proof->db, proof->path, result == 0 ? "COMMIT" : "ROLLBACK", result == 0 ? err : NULL);
    return result != 0 ? result : ended;
}

/* A range that there can be, its stream open, in a read transaction. */
static int s_begin(pr_proof_t *proof, const char *who, pr_range_t range, pr_error_t *err) {
    int result = pr_proof_check_range(proof, who, range, err);
    if (result == 0)
        result = pr_proof_stream_open(proof, proof->sources[range.source].stream, err);
    if (result == 0)
        result = pr_sql_place_check(proof->db, proof->path, &proof->place, err);
    return result == 0 ? pr_database_exec(proof->db, proof->path, "BEGIN", err) : result;
}

int pr_proof_commit(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t rejected, pr_proof_list_t *list,
                    pr_proof_read_t *ret_read, pr_error_t *err) {
    assert(proof->of_run);
    int result = s_begin(proof, "a commit", range, err);
    if (result != 0)
        return result;
    pr_proof_read_t read = {0};
    pr_walk_t walk;
    pr_walk_begin(&walk, proof, range, s_on_committed, &read.rows);
    walk.list = list;
    walk.checkpoint = checkpoint;
    result = s_end(proof, s_prove(&walk, rejected, &read.digest, err), err);
    if (result != 0)
        return result;
    read.rejected = walk.rejected;
    read.rows_sum = walk.rows_sum;
    *ret_read = read;
    return 0;
}

/* --- One range of exports --- */

/* Whether the record at hand is kept as a reject; its bytes in the buffer are spoilt. 1, 0, <0. */
static int s_is_kept(pr_walk_t *walk, pr_error_t *err) {
    pr_proof_t *proof = walk->proof;
    char *raw = pr_xmalloc(walk->used);
    size_t at = 0;
    int result = 0;
    while (at < walk->used && result == 0) {
        ssize_t got = pread(proof->file, raw + at, walk->used - at, (off_t)(walk->range.begin + walk->at + at));
        if (got > 0)
            at += (size_t)got;
        else if (got == 0 || errno != EINTR)
            result = pr_error_set(err, PR_E_UNREADABLE, "%s: %s", proof->sources[walk->range.source].path,
                                  got == 0 ? "it has become shorter" : strerror(errno));
    }
    if (result == 0)
        result = pr_rejects_have(proof->kept, raw, walk->used, true);
    free(raw);
    return result;
}

/* context: uint64_t *, records that count as rejected. */
static int s_on_exported(pr_walk_t *walk, const pr_value_t *values, const char *problem, pr_error_t *err) {
    uint64_t *rejected = walk->context;
    int result = values != NULL ? s_compare(walk, values, false, err) : 0;
    bool failed = values == NULL || walk->proof->scratch->failures_total > 0;
    if (result == 0 && failed)
        result = s_is_kept(walk, err);
    if (result < 0)
        return result;
    if (result > 0)
        ++*rejected;
    else if (values == NULL)
        s_fail_record(walk, problem);
    else
        s_settle(walk, values);
    return 0;
}

static int s_prove_range(pr_walk_t *walk, pr_error_t *err) {
    pr_proof_t *proof = walk->proof;
    int result = pr_proof_load(proof, walk->range, 0, err);
    if (result != 0)
        return result;
    pr_inverse_begin(walk->opened->inverse, false, proof->extra_fail);
    result = s_walk(walk, err);
    if (result == 0 && walk->records != walk->range.count)
        result = pr_error_set(err, PR_E_SOURCE_CHANGED,
                              "%s: the bytes %" PRIu64 " to %" PRIu64 " are %" PRIu64 " records, and were %" PRIu32,
                              proof->sources[walk->range.source].path, walk->range.begin, walk->range.end,
                              walk->records, walk->range.count);
    pr_inverse_end(walk->opened->inverse, result == 0 ? walk->list : NULL);
    return result;
}

int pr_proof_range(pr_proof_t *proof, pr_range_t range, pr_proof_list_t *list, uint64_t *ret_compared,
                   uint64_t *ret_rejected, pr_error_t *err) {
    assert(!proof->of_run);
    int result = s_begin(proof, "a range", range, err);
    if (result != 0)
        return result;
    uint64_t rejected = 0;
    pr_walk_t walk;
    pr_walk_begin(&walk, proof, range, s_on_exported, &rejected);
    walk.list = list;
    result = s_end(proof, s_prove_range(&walk, err), err);
    if (result != 0)
        return result;
    proof->ranges = pr_xrealloc(proof->ranges, (proof->ranges_count + 1) * sizeof range);
    proof->ranges[proof->ranges_count++] = range;
    *ret_compared = walk.records - rejected;
    *ret_rejected = rejected;
    return 0;
}

/* --- Records alone --- */

typedef struct {
    pr_proof_record_fn *fn;
    void *context;
} s_reader_t;

static int s_on_read(pr_walk_t *walk, const pr_value_t *values, const char *problem, pr_error_t *err) {
    (void)problem;
    const s_reader_t *reader = walk->context;
    pr_position_t place = pr_walk_place(walk);
    return values == NULL ? 0 : reader->fn(reader->context, values, place.source, place.ordinal, place.offset, err);
}

/* The checkpoint of a run that this range is. */
static int s_checkpoint_of(pr_proof_t *proof, pr_range_t range, int64_t *ret_checkpoint, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf(
            "SELECT checkpoint FROM pvrelay_checkpoint WHERE run = %lld AND source = %u AND first_ordinal = "
            "%lld AND kind = 'batch'",
            (long long)proof->run, (unsigned)range.source, (long long)range.first),
        &statement, err);
    if (result == 0)
        result = pr_database_step(proof->db, proof->path, statement, err);
    if (result > 0)
        *ret_checkpoint = sqlite3_column_int64(statement, 0);
    else if (result == 0)
        result = pr_error_set(err, PR_E_TARGET, "%s: has no checkpoint that begins at %s", proof->path,
                              pr_position_text(pr_range_begin(range)).text);
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

int pr_proof_walk(pr_proof_t *proof, pr_range_t range, pr_proof_record_fn *fn, void *context, pr_error_t *err) {
    s_reader_t reader = {.fn = fn, .context = context};
    int64_t checkpoint = 0;
    int result = pr_proof_check_range(proof, "a range", range, err);
    if (result == 0)
        result = pr_proof_stream_open(proof, proof->sources[range.source].stream, err);
    if (result == 0 && proof->of_run)
        result = s_checkpoint_of(proof, range, &checkpoint, err);
    if (result == 0)
        result = pr_proof_load(proof, range, 0, err);
    if (result != 0)
        return result;
    pr_walk_t walk;
    pr_walk_begin(&walk, proof, range, s_on_read, &reader);
    walk.checkpoint = checkpoint;
    walk.skip_marked = !proof->of_run;
    return pr_walk_go(&walk, err);
}
