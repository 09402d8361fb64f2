/* SPDX-License-Identifier: MIT */
/* A walk over the records of a range of an export. */
#include "validator/proof_walk.h"

/*  DESIGN
 *
 *  White space and commas between records are passed over, a record that stands in pvrelay_reject is compared byte for
 *  byte with what is kept there and not parsed (it may be malformed), every other one is parsed and typed.
 *
 *  The parser works in place, so that after a record it could not parse the rest of the range is read again, and the
 *  record's end found by its brackets. One that it could not parse because of a number that no double holds is parsed
 *  again without it: the number may stand in a field that nobody looks at.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/position.h"
#include "common/sql_text.h"
#include "validator/database.h"
#include "validator/legacy.h"

/* No batch is nearly as long: the window of a whole pipeline is 64 MiB, a record at most 16 MiB. */
#define S_RANGE_MAX_BYTES (UINT64_C(256) << 20)

enum { S_PROBLEM_BYTES = 256 };

/* --- Reading the export --- */

static int s_open_source(pr_proof_t *proof, uint32_t source, pr_error_t *err) {
    if (proof->file >= 0 && proof->file_source == source)
        return 0;
    if (proof->file >= 0)
        close(proof->file);
    struct stat facts;
    proof->file = open(proof->sources[source].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (proof->file < 0 || fstat(proof->file, &facts) < 0)
        return pr_error_set(err, PR_E_UNREADABLE, "%s: %s", proof->sources[source].path, strerror(errno));
    if (!S_ISREG(facts.st_mode)) /* the path may be what the target's books say */
        return pr_error_set(err, PR_E_UNREADABLE, "%s: this is no regular file", proof->sources[source].path);
    proof->file_source = source;
    return 0;
}

static int s_shorter(const pr_proof_t *proof, pr_range_t range, pr_error_t *err) {
    const char *path = proof->sources[range.source].path;
    if (!proof->of_run)
        return pr_error_set(err, PR_E_SOURCE_CHANGED, "%s: has become shorter than %" PRIu64 " bytes", path, range.end);
    return pr_error_set(err, PR_E_SOURCE_CHANGED,
                        "%s: the bytes %" PRIu64 " to %" PRIu64
                        " are no longer what was committed; put the file back, or "
                        "begin anew with --restart",
                        path, range.begin, range.end);
}

/* Read [begin, end) of the open export to the buffer, at `at`. */
static int s_read(pr_proof_t *proof, pr_range_t range, uint64_t at, pr_error_t *err) {
    const char *path = proof->sources[range.source].path;
    size_t size = (size_t)(range.end - range.begin);
    while (at < size) {
        ssize_t got = pread(proof->file, proof->buffer + at, size - at, (off_t)(range.begin + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pr_error_set(err, PR_E_UNREADABLE, "%s: %s", path, strerror(errno));
        if (got == 0)
            return s_shorter(proof, range, err);
        at += (uint64_t)got;
    }
    memset(proof->buffer + size, 0, PR_LEGACY_PADDING);
    return 0;
}

int pr_proof_load(pr_proof_t *proof, pr_range_t range, uint64_t at, pr_error_t *err) {
    size_t size = (size_t)(range.end - range.begin);
    int result = s_open_source(proof, range.source, err);
    if (result != 0)
        return result;
    if (proof->capacity < size + PR_LEGACY_PADDING) {
        free(proof->buffer);
        proof->capacity = size + PR_LEGACY_PADDING;
        proof->buffer = pr_xmalloc(proof->capacity);
    }
    return s_read(proof, range, at, err);
}

int pr_proof_check_range(const pr_proof_t *proof, const char *who, pr_range_t range, pr_error_t *err) {
    if (range.source >= proof->sources_count || proof->sources[range.source].stream < 0)
        return pr_error_set(err, PR_E_PROTOCOL, "%s of source %" PRIu32 ", which there is not", who, range.source + 1);
    const pr_proof_source_t *source = &proof->sources[range.source];
    if (range.count == 0 || range.begin >= range.end || range.end > source->size ||
        range.end - range.begin > S_RANGE_MAX_BYTES || range.first > source->records ||
        range.count > source->records - range.first)
        return pr_error_set(err, PR_E_PROTOCOL,
                            "%s of %" PRIu32 " records from record %" PRIu64 " on in the bytes %" PRIu64 " to %" PRIu64
                            " of %s, which has %" PRIu64 " records in %" PRIu64 " bytes",
                            who, range.count, pr_record_number(range.first), range.begin, range.end, source->path,
                            source->records, source->size);
    return 0;
}

/* --- Walking --- */

void pr_walk_begin(pr_walk_t *walk, pr_proof_t *proof, pr_range_t range, pr_walk_fn *fn, void *context) {
    const pr_proof_source_t *source = &proof->sources[range.source];
    *walk = (pr_walk_t){.proof = proof,
                        .range = range,
                        .fn = fn,
                        .context = context,
                        .stream = &proof->mapping->streams[source->stream],
                        .opened = &proof->streams[source->stream],
                        .size = (size_t)(range.end - range.begin),
                        .null_text = source->null_text};
}

pr_position_t pr_walk_place(const pr_walk_t *walk) {
    return (pr_position_t){.source = walk->range.source,
                           .ordinal = walk->range.first + walk->records,
                           .offset = walk->range.begin + walk->at};
}

void pr_walk_fail(pr_walk_t *walk, const char *table, const char *key, const char *column, const char *expected,
                  const char *stored, uint64_t offset) {
    pr_failure_t failure = {.kind = PR_FAILURE_MISMATCH,
                            .stream = walk->stream->name,
                            .table = table,
                            .key = key,
                            .column = column,
                            .expected = expected,
                            .stored = stored,
                            .source = walk->range.source,
                            .offset = offset};
    if (walk->list != NULL)
        pr_proof_list_add_failure(walk->list, &failure);
}

static int s_next_reject(pr_walk_t *walk, pr_error_t *err) {
    int result = pr_database_step(walk->proof->db, walk->proof->path, walk->proof->rejects, err);
    walk->reject_ahead = result > 0;
    return result < 0 ? result : 0;
}

static uint64_t s_reject_offset(const pr_walk_t *walk) {
    return (uint64_t)sqlite3_column_int64(walk->proof->rejects, 1);
}

static void s_fail_reject(pr_walk_t *walk, const char *key, const char *column, uint64_t expected, uint64_t stored) {
    char expected_text[24];
    char stored_text[24];
    if (expected == stored)
        return;
    snprintf(expected_text, sizeof expected_text, "%" PRIu64, expected);
    snprintf(stored_text, sizeof stored_text, "%" PRIu64, stored);
    pr_walk_fail(walk, "pvrelay_reject", key, column, expected_text, stored_text, walk->range.begin + walk->at);
}

/* Where it says that its record stands. */
static void s_check_reject(pr_walk_t *walk, const char *key, size_t length) {
    sqlite3_stmt *statement = walk->proof->rejects;
    const char *stream = pr_sql_column_text(statement, 6);
    s_fail_reject(walk, key, "source", walk->range.source, (uint64_t)sqlite3_column_int64(statement, 3));
    s_fail_reject(walk, key, "ordinal", walk->range.first + walk->records,
                  (uint64_t)sqlite3_column_int64(statement, 4));
    s_fail_reject(walk, key, "length", length, (uint64_t)sqlite3_column_int64(statement, 5));
    if (strcmp(stream, walk->stream->name) != 0)
        pr_walk_fail(walk, "pvrelay_reject", key, "stream", walk->stream->name, stream, walk->range.begin + walk->at);
}

/* The reject that the walk stands at: what is kept must be the export's bytes. */
static int s_walk_reject(pr_walk_t *walk, pr_error_t *err) {
    sqlite3_stmt *statement = walk->proof->rejects;
    const char *raw = sqlite3_column_blob(statement, 2);
    size_t length = (size_t)sqlite3_column_bytes(statement, 2);
    const char *bytes = walk->proof->buffer + walk->at;
    size_t left = walk->size - walk->at;
    char key[40];
    snprintf(key, sizeof key, "reject=%lld", (long long)sqlite3_column_int64(statement, 0));
    if (length > left || length == 0 || memcmp(raw, bytes, length) != 0) {
        pr_walk_fail(walk, "pvrelay_reject", key, "raw", "the export's bytes", "other bytes",
                     walk->range.begin + walk->at);
        size_t found = pr_legacy_skip(bytes, left);
        length = found > 0 ? found : left;
    }
    s_check_reject(walk, key, length);
    walk->at += length;
    walk->records++;
    walk->rejected++;
    return s_next_reject(walk, err);
}

/* Rejects that begin before the walk's place belong to no record. */
static int s_pass_rejects(pr_walk_t *walk, uint64_t before, pr_error_t *err) {
    int result = 0;
    while (result == 0 && walk->reject_ahead && s_reject_offset(walk) < before) {
        char key[40];
        char stored[24];
        snprintf(key, sizeof key, "reject=%lld", (long long)sqlite3_column_int64(walk->proof->rejects, 0));
        snprintf(stored, sizeof stored, "%" PRIu64, s_reject_offset(walk));
        pr_walk_fail(walk, "pvrelay_reject", key, "offset", "the first byte of a record", stored,
                     s_reject_offset(walk));
        walk->rejected++;
        result = s_next_reject(walk, err);
    }
    return result;
}

/* The parser gave up on the record at the walk's place and has spoilt it: once more without numbers that no double holds.
 * ret_record->error stays if that does not help; used is set either way. */
static int s_parse_again(pr_walk_t *walk, pr_legacy_record_t *ret_record, pr_error_t *err) {
    const char *error = ret_record->error;
    char *begin = walk->proof->buffer + walk->at;
    int result = pr_proof_load(walk->proof, walk->range, walk->at, err);
    if (result != 0)
        return result;
    size_t length = pr_legacy_skip(begin, walk->size - walk->at);
    if (length > 0 && pr_legacy_tame(begin, length)) {
        if (pr_legacy_parse(walk->opened->parser, begin, walk->utf8, ret_record))
            return 0;
        result = pr_proof_load(walk->proof, walk->range, walk->at, err);
    }
    ret_record->error = error;
    ret_record->used = length > 0 ? length : walk->size - walk->at;
    return result;
}

static int s_walk_record(pr_walk_t *walk, pr_error_t *err) {
    pr_legacy_record_t record;
    char problem[S_PROBLEM_BYTES];
    const pr_value_t *values = NULL;
    int result = 0;
    if (!pr_legacy_parse(walk->opened->parser, walk->proof->buffer + walk->at, walk->utf8, &record))
        result = s_parse_again(walk, &record, err);
    if (result != 0)
        return result;
    if (record.error != NULL)
        snprintf(problem, sizeof problem, "the record is not valid JSON (%s)", record.error);
    else if (pr_legacy_values(walk->stream, &record, walk->null_text, walk->opened->values, problem, sizeof problem))
        values = walk->opened->values;
    walk->used = record.used;
    result = walk->fn(walk, values, problem, err);
    walk->at += walk->used;
    walk->records++;
    return result;
}

/* Pass over a record that was found to be a reject. */
static bool s_skip_marked(pr_walk_t *walk) {
    if (!walk->skip_marked || !pr_rejects_any_marked(walk->proof->kept))
        return false;
    const char *begin = walk->proof->buffer + walk->at;
    size_t length = pr_legacy_skip(begin, walk->size - walk->at);
    if (length == 0 || !pr_rejects_marked(walk->proof->kept, begin, length))
        return false;
    walk->at += length;
    walk->records++;
    walk->rejected++;
    return true;
}

static bool s_is_between(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',';
}

static int s_go(pr_walk_t *walk, pr_error_t *err) {
    int result = walk->checkpoint != 0 ? s_next_reject(walk, err) : 0;
    while (result == 0) {
        while (walk->at < walk->size && s_is_between(walk->proof->buffer[walk->at]))
            walk->at++;
        uint64_t place = walk->range.begin + walk->at;
        result = s_pass_rejects(walk, walk->at < walk->size ? place : UINT64_MAX, err);
        if (result != 0 || walk->at >= walk->size)
            break;
        if (walk->reject_ahead && s_reject_offset(walk) == place)
            result = s_walk_reject(walk, err);
        else if (!s_skip_marked(walk))
            result = s_walk_record(walk, err);
    }
    return result;
}

int pr_walk_go(pr_walk_t *walk, pr_error_t *err) {
    walk->utf8 = pr_legacy_is_utf8(walk->proof->buffer, walk->size);
    if (walk->checkpoint != 0)
        sqlite3_bind_int64(walk->proof->rejects, 1, walk->checkpoint);
    int result = s_go(walk, err);
    if (walk->checkpoint != 0)
        sqlite3_reset(walk->proof->rejects);
    return result;
}
