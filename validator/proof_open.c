/* SPDX-License-Identifier: MIT */
/* Opening a proof: of a run, or of exports whatever run brought them in. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/sql_has.h"
#include "common/sql_text.h"
#include "validator/database.h"
#include "validator/proof_state.h"

enum { S_SCRATCH_MAX = 1000 };

/* --- Of a run --- */

static int s_load_run(pr_proof_t *proof, const char *run_id, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path, sqlite3_mprintf("SELECT run FROM pvrelay_run WHERE id = %Q", run_id), &statement, err);
    if (result == 0)
        result = pr_database_step(proof->db, proof->path, statement, err);
    if (result > 0) {
        proof->run = sqlite3_column_int64(statement, 0);
        result = 0;
    } else if (result == 0) {
        result = pr_error_set(err, PR_E_TARGET, "%s: has no run %s", proof->path, run_id);
    }
    sqlite3_finalize(statement);
    return result;
}

static void s_keep_source(pr_proof_t *proof, const pr_proof_source_t *source, const char *path) {
    proof->sources = pr_xrealloc(proof->sources, (proof->sources_count + 1) * sizeof *source);
    proof->sources[proof->sources_count] = *source;
    proof->sources[proof->sources_count++].path = pr_xstrdup(path);
}

static int s_add_source(pr_proof_t *proof, sqlite3_stmt *statement, pr_error_t *err) {
    const char *stream = pr_sql_column_text(statement, 2);
    pr_proof_source_t source = {.stream = stream[0] == '\0' ? -1 : pr_mapping_stream_index(proof->mapping, stream),
                                .null_text = sqlite3_column_int(statement, 3) != 0,
                                .records = (uint64_t)sqlite3_column_int64(statement, 4),
                                .size = (uint64_t)sqlite3_column_int64(statement, 5)};
    if (source.stream < 0 && stream[0] != '\0')
        return pr_error_set(err, PR_E_MAPPING,
                            "%s: the run has a source of stream %s, which the mapping %s does not know", proof->path,
                            stream, proof->mapping->path);
    if (sqlite3_column_int64(statement, 0) != (int64_t)proof->sources_count)
        return pr_error_set(err, PR_E_TARGET, "%s: pvrelay_source lacks source %" PRIu32 " of the run", proof->path,
                            proof->sources_count);
    s_keep_source(proof, &source, pr_sql_column_text(statement, 1));
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
    return pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT reject, \"offset\", raw, source, ordinal, length, stream FROM pvrelay_reject "
                        "WHERE checkpoint = ?1 ORDER BY \"offset\""),
        &proof->rejects, err);
}

static int s_look_for_books(pr_proof_t *proof, pr_error_t *err) {
    int has = pr_sql_has_table(proof->db, "pvrelay_made", err);
    proof->made.known = has > 0;
    return has < 0 ? has : 0;
}

static pr_proof_t *s_new(const char *target, const pr_mapping_t *mapping) {
    pr_proof_t *proof = pr_xcalloc(1, sizeof *proof);
    proof->path = pr_xstrdup(target);
    proof->mapping = mapping;
    proof->file = -1;
    proof->streams = pr_xcalloc(mapping->streams_count, sizeof *proof->streams);
    proof->scratch = pr_proof_list_new(S_SCRATCH_MAX);
    return proof;
}

/* Hand the proof out if it came out well. */
static int s_opened(pr_proof_t *proof, int result, pr_proof_t **ret_proof) {
    if (result == 0) {
        proof->place = pr_sql_place_take(proof->db, proof->path);
        *ret_proof = proof;
    } else {
        pr_proof_destroy(&proof);
    }
    return result;
}

int pr_proof_open(const char *target, const pr_mapping_t *mapping, const char *run_id, pr_proof_t **ret_proof,
                  pr_error_t *err) {
    pr_proof_t *proof = s_new(target, mapping);
    proof->of_run = true;
    int result = pr_database_open(target, &proof->db, err);
    if (result == 0)
        result = s_load_run(proof, run_id, err);
    if (result == 0)
        result = s_load_sources(proof, err);
    if (result == 0)
        result = s_look_for_books(proof, err);
    if (result == 0)
        result = s_prepare(proof, err);
    proof->made.run = proof->run;
    return s_opened(proof, result, ret_proof);
}

/* --- Of exports --- */

static int s_add_planned(pr_proof_t *proof, const pr_plan_source_t *planned, pr_error_t *err) {
    pr_proof_source_t source = {
        .stream = planned->stream[0] == '\0' ? -1 : pr_mapping_stream_index(proof->mapping, planned->stream),
        .null_text = planned->null_text,
        .records = planned->records,
        .size = planned->size};
    if (source.stream < 0 && planned->stream[0] != '\0')
        return pr_error_set(err, PR_E_MAPPING, "%s is of stream %s, which the mapping %s does not know", planned->path,
                            planned->stream, proof->mapping->path);
    s_keep_source(proof, &source, planned->path);
    return 0;
}

/* Note which of the plan's sources this source of a run is. */
static void s_add_origins(pr_proof_t *proof, const pr_plan_t *plan, sqlite3_stmt *statement) {
    const char *stream = pr_sql_column_text(statement, 2);
    const char *digest = pr_sql_column_text(statement, 3);
    for (uint32_t i = 0; i < plan->count; i++) {
        char hex[17];
        snprintf(hex, sizeof hex, "%016" PRIx64, plan->sources[i].digest);
        if (strcmp(hex, digest) != 0 || strcmp(plan->sources[i].stream, stream) != 0 ||
            plan->sources[i].size != (uint64_t)sqlite3_column_int64(statement, 4))
            continue;
        pr_inverse_origin_t origin = {.run = sqlite3_column_int64(statement, 0),
                                      .source = (uint32_t)sqlite3_column_int64(statement, 1),
                                      .ours = i};
        proof->made.origins =
            pr_xrealloc(proof->made.origins, (proof->made.origins_count + 1) * sizeof *proof->made.origins);
        proof->made.origins[proof->made.origins_count++] = origin;
    }
}

static int s_load_origins(pr_proof_t *proof, const pr_plan_t *plan, pr_error_t *err) {
    if (!proof->made.known)
        return 0;
    sqlite3_stmt *statement = NULL;
    int result = pr_database_prepare(
        proof->db, proof->path,
        sqlite3_mprintf("SELECT s.run, s.source, s.stream, s.digest, s.size FROM pvrelay_source AS s JOIN pvrelay_run "
                        "AS r ON r.run = s.run WHERE r.rolled_back_at IS NULL"),
        &statement, err);
    while (result == 0 && (result = pr_database_step(proof->db, proof->path, statement, err)) > 0) {
        s_add_origins(proof, plan, statement);
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

int pr_proof_open_exports(const char *target, const pr_mapping_t *mapping, const pr_plan_t *plan,
                          pr_proof_t **ret_proof, pr_error_t *err) {
    pr_proof_t *proof = s_new(target, mapping);
    int result = pr_database_open(target, &proof->db, err);
    for (uint32_t i = 0; i < plan->count && result == 0; i++)
        result = s_add_planned(proof, &plan->sources[i], err);
    if (result == 0)
        result = s_look_for_books(proof, err);
    if (result == 0)
        result = s_load_origins(proof, plan, err);
    if (result == 0)
        result = pr_rejects_load(proof->db, proof->path, &proof->kept, err);
    return s_opened(proof, result, ret_proof);
}

/* --- Streams --- */

/* What of the stream's records is tallied, and which row each of them is. */
static void s_choose_tally(const pr_stream_t *stream, pr_proof_stream_t *opened) {
    const pr_row_spec_t *own = pr_stream_own_row(stream);
    opened->tally_by = pr_stream_tallied_by(stream);
    opened->tally_of = stream->distribution_of;
    opened->own_row = own != NULL ? (int)(own - stream->rows) : -1;
}

int pr_proof_stream_open(pr_proof_t *proof, int index, pr_error_t *err) {
    const pr_stream_t *stream = &proof->mapping->streams[index];
    pr_proof_stream_t *opened = &proof->streams[index];
    if (opened->inverse != NULL)
        return 0;
    int result = pr_inverse_new(proof->db, proof->path, stream, &proof->made, &opened->inverse, err);
    if (result != 0)
        return result;
    opened->names = pr_xcalloc(stream->fields_count, sizeof *opened->names);
    for (size_t i = 0; i < stream->fields_count; i++)
        opened->names[i] = stream->fields[i].name;
    opened->parser = pr_legacy_parser_new(opened->names, stream->fields_count);
    opened->values = pr_xcalloc(stream->fields_count, sizeof *opened->values);
    opened->pending = pr_pending_new(stream);
    s_choose_tally(stream, opened);
    return 0;
}

/* --- Closing --- */

static void s_stream_close(pr_proof_stream_t *stream) {
    pr_legacy_parser_destroy(&stream->parser);
    pr_inverse_destroy(&stream->inverse);
    free(stream->names);
    free(stream->values);
    pr_pending_destroy(&stream->pending);
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
    free(self->made.origins);
    free(self->ranges);
    pr_rejects_destroy(&self->kept);
    pr_proof_list_destroy(&self->scratch);
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
