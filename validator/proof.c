/* SPDX-License-Identifier: MIT */
/* The proof of one commit: the export's bytes, record by record, against the stored rows. */
#include "validator/proof.h"

/*  DESIGN
 *
 *  A commit is proved in one read transaction, so that the writer's next commits do not show through. In it:
 *  the checkpoint's row must say what the message said; the export's bytes must have the digest that was committed;
 *  then the bytes are walked: white space and commas between records are skipped, a record that stands in
 *  pvrelay_reject is compared byte for byte with what is kept there and not parsed (it may be malformed), every other
 *  one is parsed, typed and handed to the inverse mapping.
 *
 *  The parser works in place, so that after a record it could not parse the rest of the batch is read again, and the
 *  record's end found by its brackets.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "validator/database.h"
#include "validator/legacy.h"
#include "validator/proof_state.h"

/* No batch is nearly as long: the window of a whole pipeline is 64 MiB, a record at most 16 MiB. */
#define S_RANGE_MAX_BYTES (UINT64_C(256) << 20)

enum { S_PROBLEM_BYTES = 256 };

/* --- Opening --- */

static int s_load_run(pr_proof_t *proof, const char *run_id, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(proof->db, proof->path,
                                     sqlite3_mprintf("SELECT run, null_text FROM pvrelay_run WHERE id = %Q", run_id),
                                     &statement, err);
    if (result == 0)
        result = pr_database_step(proof->db, proof->path, statement, err);
    if (result > 0) {
        proof->run = sqlite3_column_int64(statement, 0);
        proof->null_text = strcmp((const char *)sqlite3_column_text(statement, 1), "null") == 0;
        result = 0;
    } else if (result == 0) {
        result = pr_error_set(err, PR_E_TARGET, "%s: has no run %s", proof->path, run_id);
    }
    sqlite3_finalize(statement);
    return result;
}

static int s_add_source(pr_proof_t *proof, sqlite3_stmt *statement, pr_error_t *err) {
    const char *stream = (const char *)sqlite3_column_text(statement, 2);
    pr_proof_source_t source = {.stream = stream[0] == '\0' ? -1 : pr_mapping_stream_index(proof->mapping, stream),
                                .wrangler = sqlite3_column_int(statement, 3) != 0,
                                .records = (uint64_t)sqlite3_column_int64(statement, 4),
                                .size = (uint64_t)sqlite3_column_int64(statement, 5)};
    if (source.stream < 0 && stream[0] != '\0')
        return pr_error_set(err, PR_E_MAPPING,
                            "%s: the run has a source of stream %s, which the mapping %s does not know", proof->path,
                            stream, proof->mapping->path);
    if (sqlite3_column_int64(statement, 0) != (int64_t)proof->sources_count)
        return pr_error_set(err, PR_E_TARGET, "%s: pvrelay_source lacks source %" PRIu32 " of the run", proof->path,
                            proof->sources_count);
    source.path = pr_xstrdup((const char *)sqlite3_column_text(statement, 1));
    proof->sources = pr_xrealloc(proof->sources, (proof->sources_count + 1) * sizeof source);
    proof->sources[proof->sources_count++] = source;
    return 0;
}

static int s_load_sources(pr_proof_t *proof, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT source, path, stream, wrangler, records, size FROM pvrelay_source WHERE run = %lld "
                        "ORDER BY source",
                        (long long)proof->run),
        &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0)
        result = s_add_source(proof, statement, err);
    sqlite3_finalize(statement);
    return result;
}

static int s_prepare(pr_proof_t *proof, pr_error_t *err) {
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT source, first_ordinal, records, begin_offset, end_offset, rejected, inserted, digest "
                        "FROM pvrelay_checkpoint WHERE checkpoint = ?1 AND run = ?2 AND kind = 'batch'"),
        &proof->checkpoint, err);
    if (result != 0)
        return result;
    return pr_database_prepare(proof->db, proof->path,
                               sqlite3_mprintf("SELECT reject, \"offset\", raw FROM pvrelay_reject "
                                               "WHERE checkpoint = ?1 ORDER BY \"offset\""),
                               &proof->rejects, err);
}

int pr_proof_open(const char *target, const pr_mapping_t *mapping, const char *run_id, pr_proof_t **ret_proof,
                  pr_error_t *err) {
    pr_proof_t *proof = pr_xcalloc(1, sizeof *proof);
    proof->path = pr_xstrdup(target);
    proof->mapping = mapping;
    proof->file = -1;
    proof->streams = pr_xcalloc(mapping->streams_count, sizeof *proof->streams);
    int result = pr_database_open(target, &proof->db, err);
    if (result == 0)
        result = s_load_run(proof, run_id, err);
    if (result == 0)
        result = s_load_sources(proof, err);
    if (result == 0)
        result = s_prepare(proof, err);
    if (result != 0) {
        pr_proof_destroy(&proof);
        return result;
    }
    *ret_proof = proof;
    return 0;
}

static void s_stream_close(pr_proof_stream_t *stream) {
    pr_legacy_parser_destroy(&stream->parser);
    pr_inverse_destroy(&stream->inverse);
    free(stream->names);
    free(stream->values);
}

void pr_proof_destroy(pr_proof_t **proof) {
    if (proof == NULL || *proof == NULL)
        return;
    pr_proof_t *self = *proof;
    for (size_t i = 0; i < self->mapping->streams_count; i++)
        s_stream_close(&self->streams[i]);
    free(self->streams);
    for (uint32_t i = 0; i < self->sources_count; i++)
        free(self->sources[i].path);
    free(self->sources);
    sqlite3_finalize(self->checkpoint);
    sqlite3_finalize(self->rejects);
    sqlite3_close(self->db);
    if (self->file >= 0)
        close(self->file);
    free(self->buffer);
    free(self->path);
    free(self);
    *proof = NULL;
}

/* The parser and inverse mapping of a stream. */
static int s_stream_open(pr_proof_t *proof, int index, pr_error_t *err) {
    const pr_stream_t *stream = &proof->mapping->streams[index];
    pr_proof_stream_t *opened = &proof->streams[index];
    if (opened->inverse != NULL)
        return 0;
    int result = pr_inverse_new(proof->db, proof->path, stream, &opened->inverse, err);
    if (result != 0)
        return result;
    opened->names = pr_xcalloc(stream->fields_count, sizeof *opened->names);
    for (size_t i = 0; i < stream->fields_count; i++)
        opened->names[i] = stream->fields[i].name;
    opened->parser = pr_legacy_parser_new(opened->names, stream->fields_count);
    opened->values = pr_xcalloc(stream->fields_count, sizeof *opened->values);
    return 0;
}

/* --- Reading the export --- */

static int s_open_source(pr_proof_t *proof, uint32_t source, pr_error_t *err) {
    if (proof->file >= 0 && proof->file_source == source)
        return 0;
    if (proof->file >= 0)
        close(proof->file);
    proof->file = open(proof->sources[source].path, O_RDONLY | O_CLOEXEC);
    if (proof->file < 0)
        return pr_error_set(err, PR_E_UNREADABLE, "%s: %s", proof->sources[source].path, strerror(errno));
    proof->file_source = source;
    return 0;
}

static int s_source_changed(const char *path, uint64_t begin, uint64_t end, pr_error_t *err) {
    return pr_error_set(err, PR_E_SOURCE_CHANGED,
                        "%s: the bytes %" PRIu64 " to %" PRIu64
                        " are no longer what was committed; put the file back, or "
                        "begin anew with --restart",
                        path, begin, end);
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
            return s_source_changed(path, range.begin, range.end, err);
        at += (uint64_t)got;
    }
    memset(proof->buffer + size, 0, PR_LEGACY_PADDING);
    return 0;
}

static int s_load_bytes(pr_proof_t *proof, pr_range_t range, uint64_t digest, pr_error_t *err) {
    size_t size = (size_t)(range.end - range.begin);
    int result = s_open_source(proof, range.source, err);
    if (result != 0)
        return result;
    if (proof->capacity < size + PR_LEGACY_PADDING) {
        free(proof->buffer);
        proof->capacity = size + PR_LEGACY_PADDING;
        proof->buffer = pr_xmalloc(proof->capacity);
    }
    result = s_read(proof, range, 0, err);
    if (result == 0 && XXH3_64bits(proof->buffer, size) != digest)
        result = s_source_changed(proof->sources[range.source].path, range.begin, range.end, err);
    return result;
}

/* --- One commit --- */

/* A walk over a batch's bytes. */
typedef struct {
    pr_proof_t *proof;
    const pr_stream_t *stream;
    pr_proof_stream_t *opened;
    int64_t checkpoint;
    pr_range_t range;
    size_t size; /* bytes of the batch */
    size_t at;   /* bytes walked */
    bool null_text;
    bool utf8;         /* all of the batch is */
    bool reject_ahead; /* the statement `rejects` stands on a row */
    uint64_t records;  /* seen, rejected ones included */
    uint64_t rejected; /* seen */
    uint64_t compared;
    pr_proof_list_t *list;
} s_walk_t;

static void s_fail(s_walk_t *walk, const char *table, const char *key, const char *column, const char *expected,
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
    pr_proof_list_add_failure(walk->list, &failure);
}

static void s_fail_count(s_walk_t *walk, const char *column, uint64_t expected, uint64_t stored) {
    char key[40];
    char expected_text[24];
    char stored_text[24];
    snprintf(key, sizeof key, "checkpoint=%" PRId64, walk->checkpoint);
    snprintf(expected_text, sizeof expected_text, "%" PRIu64, expected);
    snprintf(stored_text, sizeof stored_text, "%" PRIu64, stored);
    s_fail(walk, "pvrelay_checkpoint", key, column, expected_text, stored_text, walk->range.begin);
}

/* A record that should have been rejected, and was not. */
static void s_fail_record(s_walk_t *walk, const char *problem, uint64_t offset) {
    char key[40];
    char expected[S_PROBLEM_BYTES + 16];
    snprintf(key, sizeof key, "ordinal=%" PRIu64, walk->range.first + walk->records);
    snprintf(expected, sizeof expected, "a reject: %s", problem);
    s_fail(walk, "", key, "", expected, "accepted", offset);
}

static int s_next_reject(s_walk_t *walk, pr_error_t *err) {
    int result = pr_database_step(walk->proof->db, walk->proof->path, walk->proof->rejects, err);
    walk->reject_ahead = result > 0;
    return result < 0 ? result : 0;
}

static uint64_t s_reject_offset(const s_walk_t *walk) {
    return (uint64_t)sqlite3_column_int64(walk->proof->rejects, 1);
}

/* The reject that the walk stands at: what is kept must be the export's bytes. */
static int s_walk_reject(s_walk_t *walk, pr_error_t *err) {
    sqlite3_stmt *statement = walk->proof->rejects;
    const char *raw = sqlite3_column_blob(statement, 2);
    size_t length = (size_t)sqlite3_column_bytes(statement, 2);
    const char *bytes = walk->proof->buffer + walk->at;
    size_t left = walk->size - walk->at;
    char key[40];
    snprintf(key, sizeof key, "reject=%lld", (long long)sqlite3_column_int64(statement, 0));
    if (length > left || length == 0 || memcmp(raw, bytes, length) != 0) {
        s_fail(walk, "pvrelay_reject", key, "raw", "the export's bytes", "other bytes", walk->range.begin + walk->at);
        size_t found = pr_legacy_skip(bytes, left);
        length = found > 0 ? found : left;
    }
    walk->at += length;
    walk->records++;
    walk->rejected++;
    return s_next_reject(walk, err);
}

/* Rejects that begin before the walk's place belong to no record. */
static int s_pass_rejects(s_walk_t *walk, uint64_t before, pr_error_t *err) {
    int result = 0;
    while (result == 0 && walk->reject_ahead && s_reject_offset(walk) < before) {
        char key[40];
        char stored[24];
        snprintf(key, sizeof key, "reject=%lld", (long long)sqlite3_column_int64(walk->proof->rejects, 0));
        snprintf(stored, sizeof stored, "%" PRIu64, s_reject_offset(walk));
        s_fail(walk, "pvrelay_reject", key, "offset", "the first byte of a record", stored, s_reject_offset(walk));
        walk->rejected++;
        result = s_next_reject(walk, err);
    }
    return result;
}

/* The parser gave up on the record at the walk's place and has spoilt it. */
static int s_walk_unparsed(s_walk_t *walk, const char *error, pr_error_t *err) {
    char problem[S_PROBLEM_BYTES];
    snprintf(problem, sizeof problem, "the record is not valid JSON (%s)", error);
    s_fail_record(walk, problem, walk->range.begin + walk->at);
    int result = s_read(walk->proof, walk->range, walk->at, err);
    if (result != 0)
        return result;
    size_t length = pr_legacy_skip(walk->proof->buffer + walk->at, walk->size - walk->at);
    walk->at = length > 0 ? walk->at + length : walk->size;
    walk->records++;
    return 0;
}

static int s_walk_record(s_walk_t *walk, pr_error_t *err) {
    pr_legacy_record_t record;
    char problem[S_PROBLEM_BYTES];
    uint64_t offset = walk->range.begin + walk->at;
    if (!pr_legacy_parse(walk->opened->parser, walk->proof->buffer + walk->at, walk->utf8, &record))
        return s_walk_unparsed(walk, record.error, err);
    int result = 0;
    if (!pr_legacy_values(walk->stream, &record, walk->null_text, walk->opened->values, problem, sizeof problem)) {
        s_fail_record(walk, problem, offset);
    } else {
        pr_inverse_record_t proved = {.values = walk->opened->values,
                                      .source = walk->range.source,
                                      .ordinal = walk->range.first + walk->records,
                                      .offset = offset};
        result = pr_inverse_check(walk->opened->inverse, &proved, walk->list, err);
        walk->compared++;
    }
    walk->at += record.used;
    walk->records++;
    return result;
}

static bool s_is_between(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',';
}

static int s_walk(s_walk_t *walk, pr_error_t *err) {
    int result = s_next_reject(walk, err);
    while (result == 0) {
        while (walk->at < walk->size && s_is_between(walk->proof->buffer[walk->at]))
            walk->at++;
        uint64_t place = walk->range.begin + walk->at;
        result = s_pass_rejects(walk, walk->at < walk->size ? place : UINT64_MAX, err);
        if (result != 0 || walk->at >= walk->size)
            break;
        if (walk->reject_ahead && s_reject_offset(walk) == place)
            result = s_walk_reject(walk, err);
        else
            result = s_walk_record(walk, err);
    }
    sqlite3_reset(walk->proof->rejects);
    return result;
}

static int s_check_range(const pr_proof_t *proof, pr_range_t range, pr_error_t *err) {
    if (range.source >= proof->sources_count || proof->sources[range.source].stream < 0)
        return pr_error_set(err, PR_E_PROTOCOL, "a commit of source %" PRIu32 ", which the run has not", range.source);
    const pr_proof_source_t *source = &proof->sources[range.source];
    if (range.count == 0 || range.begin >= range.end || range.end > source->size ||
        range.end - range.begin > S_RANGE_MAX_BYTES || range.first > source->records ||
        range.count > source->records - range.first)
        return pr_error_set(err, PR_E_PROTOCOL,
                            "a commit of %" PRIu32 " records from %" PRIu64 " in the bytes %" PRIu64 " to %" PRIu64
                            " of %s, which has %" PRIu64 " records in %" PRIu64 " bytes",
                            range.count, range.first, range.begin, range.end, source->path, source->records,
                            source->size);
    return 0;
}

/* The checkpoint's row must be the commit that was announced. ret_all_new: every record of it was inserted. */
static int s_check_checkpoint(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t digest,
                              uint64_t rejected, bool *ret_all_new, pr_error_t *err) {
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
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, digest);
    const char *stored = (const char *)sqlite3_column_text(statement, 7);
    same &= stored != NULL && strcmp(stored, digits) == 0;
    *ret_all_new = (uint64_t)sqlite3_column_int64(statement, 6) == range.count - rejected;
    sqlite3_reset(statement);
    if (!same)
        return pr_error_set(err, PR_E_PROTOCOL, "%s: checkpoint %" PRId64 " is another commit than was announced",
                            proof->path, checkpoint);
    return 0;
}

static int s_prove(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t digest, uint64_t rejected,
                   s_walk_t *walk, pr_error_t *err) {
    bool all_new = false;
    int result = s_check_checkpoint(proof, checkpoint, range, digest, rejected, &all_new, err);
    if (result == 0)
        result = s_load_bytes(proof, range, digest, err);
    if (result != 0)
        return result;
    walk->utf8 = pr_legacy_is_utf8(proof->buffer, walk->size);
    sqlite3_bind_int64(proof->rejects, 1, checkpoint);
    pr_inverse_begin(walk->opened->inverse, all_new);
    result = s_walk(walk, err);
    if (result == 0 && walk->records != range.count)
        s_fail_count(walk, "records", walk->records, range.count);
    if (result == 0 && walk->rejected != rejected)
        s_fail_count(walk, "rejected", walk->rejected, rejected);
    pr_inverse_end(walk->opened->inverse, result == 0 ? walk->list : NULL);
    return result;
}

int pr_proof_commit(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t digest, uint64_t rejected,
                    pr_proof_list_t *list, uint64_t *ret_rows, pr_error_t *err) {
    int result = s_check_range(proof, range, err);
    if (result != 0)
        return result;
    const pr_proof_source_t *source = &proof->sources[range.source];
    result = s_stream_open(proof, source->stream, err);
    if (result == 0)
        result = pr_database_exec(proof->db, proof->path, "BEGIN", err);
    if (result != 0)
        return result;
    s_walk_t walk = {.proof = proof,
                     .stream = &proof->mapping->streams[source->stream],
                     .opened = &proof->streams[source->stream],
                     .checkpoint = checkpoint,
                     .range = range,
                     .size = (size_t)(range.end - range.begin),
                     .null_text = proof->null_text && source->wrangler,
                     .list = list};
    result = s_prove(proof, checkpoint, range, digest, rejected, &walk, err);
    /* Nothing was written: after an error there is nothing to undo but the open transaction. */
    int ended = pr_database_exec(proof->db, proof->path, result == 0 ? "COMMIT" : "ROLLBACK", result == 0 ? err : NULL);
    if (result == 0)
        result = ended;
    if (result == 0)
        *ret_rows = walk.compared;
    return result;
}
