/* SPDX-License-Identifier: MIT */
/* The hot pieces of the pipeline one by one, without processes and messages around them: how much each does in a second. */

/*  DESIGN
 *
 *  Everything a piece needs is made before it is measured: batches cut from the exports, their payloads, a filled target.
 *  A piece is three functions: prepare and clean, which are not measured, and run, which says how many units it did. All
 *  calls of run go through pr_micro_measured, which is never inlined, so that callgrind can be told to count that function
 *  and what it calls, and nothing else. Under --once each piece runs once; what it then executes depends on the exports,
 *  the compiler and the libraries only.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <gnu/libc-version.h>
#include <msgpack.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "common/alloc.h"
#include "common/export.h"
#include "common/export_cut.h"
#include "common/json_record.h"
#include "common/rows.h"
#include "common/sql_alive.h"
#include "transformer/transform.h"
#include "validator/proof.h"
#include "writer/target.h"

enum {
    S_BATCH_BYTES = 1 << 20 /* as the pipeline does unless told otherwise */,
    S_FAILURES_MAX = 10,
    S_REPEATS_MAX = 101
};
static const char S_RUN[] = "00000000-0000-4000-8000-000000000001";

/* A batch, with all that becomes of it. */
typedef struct {
    pr_range_t range;
    int stream;
    bool null_text;
    uint64_t digest;
    char *bytes; /* of the range, with PR_JSON_PADDING and more behind */
    pr_slice_t *slices;
    msgpack_sbuffer payload;
    pr_rows_record_t *records; /* the payload decoded; texts are borrowed from it */
    int64_t checkpoint;        /* in the filled target */
} micro_batch_t;

typedef struct {
    const char *exports[2]; /* paths */
    const char *mapping_path, *migrations, *folder;
    const char *only; /* a piece's name; NULL: all */
    double seconds;   /* at least, of one repeat */
    long repeats;
    bool once, json;
    pr_mapping_t *mapping;
    pr_cutter_t *cutter;
    char *room; /* what the cutter filled last */
    micro_batch_t *batches;
    size_t count;
    uint64_t records, bytes; /* of all batches */
    /* of the piece being measured */
    pr_transformer_t *transformer;
    pr_slice_t *slices;
    msgpack_sbuffer out;
    char target_path[4096];
    pr_target_t *target;
    pr_target_run_t run;
    pr_proof_t *proof;
    pr_proof_list_t *list;
} micro_t;

static void s_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void s_die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("pvrelay-micro: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void s_check(int result, const pr_error_t *err) {
    if (result < 0)
        s_die("%s", err->text[0] != '\0' ? err->text : "a piece failed");
}

/* ---- Batches and their payloads
 * ---------------------------------------------------------------------------------------- */

static void *s_room(void *context, size_t size) {
    micro_t *self = context;
    self->room = pr_xrealloc(self->room, size);
    return self->room;
}

static void s_cut(micro_t *self) {
    pr_error_t err = PR_ERROR_INIT;
    s_check(pr_cutter_open(self->exports, 2, self->mapping, PR_NULL_TEXT_AUTO, "leave the exports alone", NULL, NULL,
                           &self->cutter, &err),
            &err);
    const pr_plan_t *plan = pr_cutter_plan(self->cutter);
    pr_position_t at = pr_position_normalise((pr_position_t){0, 0, 0}, plan->records, plan->count);
    while (at.source < plan->count) {
        pr_cut_t cut;
        s_check(pr_cutter_cut(self->cutter, at, S_BATCH_BYTES, s_room, self, &cut, &err), &err);
        self->batches = pr_xrealloc(self->batches, (self->count + 1) * sizeof *self->batches);
        micro_batch_t *batch = &self->batches[self->count++];
        size_t size = (size_t)(cut.range.end - cut.range.begin);
        *batch = (micro_batch_t){.range = cut.range,
                                 .stream = cut.stream,
                                 .null_text = plan->sources[at.source].null_text,
                                 .digest = XXH3_64bits(self->room, size),
                                 .bytes = self->room,
                                 .slices = pr_xcalloc(cut.range.count, sizeof *batch->slices)};
        memcpy(batch->slices, cut.slices, cut.range.count * sizeof *batch->slices);
        self->room = NULL;
        self->records += cut.range.count;
        self->bytes += size;
        at = pr_position_normalise(pr_range_end(cut.range), plan->records, plan->count);
    }
}

static size_t s_size(const micro_batch_t *batch) {
    return (size_t)(batch->range.end - batch->range.begin);
}

static void s_transform(const micro_t *self, const micro_batch_t *batch, pr_transformer_t *transformer,
                        msgpack_sbuffer *out) {
    pr_transform_counts_t counts;
    if (pr_transform_batch(transformer, (unsigned)batch->stream, batch->null_text, batch->bytes, s_size(batch),
                           batch->slices, batch->range.count, out, &counts) < 0 ||
        counts.ok != batch->range.count)
        s_die("%s: a record is not taken over: these exports are not for measuring", self->exports[1]);
}

static void s_make_payloads(micro_t *self) {
    pr_transformer_t *transformer = pr_transformer_new(self->mapping);
    for (size_t i = 0; i < self->count; i++) {
        msgpack_sbuffer_init(&self->batches[i].payload);
        s_transform(self, &self->batches[i], transformer, &self->batches[i].payload);
    }
    pr_transformer_destroy(&transformer);
}

static const pr_stream_t *s_stream(const micro_t *self, const micro_batch_t *batch) {
    return &self->mapping->streams[batch->stream];
}

/* Copy a record so that it outlives its reader; its texts stay in the payload. */
static pr_rows_record_t s_copy(const pr_stream_t *stream, const pr_rows_record_t *record) {
    pr_rows_record_t copy = *record;
    copy.rows = pr_xcalloc(record->rows_count, sizeof *copy.rows);
    for (size_t r = 0; r < record->rows_count; r++) {
        size_t columns = stream->rows[record->rows[r].spec].columns_count;
        copy.rows[r].spec = record->rows[r].spec;
        copy.rows[r].values = pr_xcalloc(columns, sizeof(pr_value_t));
        memcpy(copy.rows[r].values, record->rows[r].values, columns * sizeof(pr_value_t));
    }
    return copy;
}

/* Read a payload; each record goes to `each`. */
static void s_decode(const micro_t *self, const micro_batch_t *batch,
                     void (*each)(void *context, const pr_rows_record_t *record, uint32_t index), void *context) {
    pr_error_t err = PR_ERROR_INIT;
    pr_rows_reader_t *reader =
        pr_rows_reader_new(s_stream(self, batch), batch->payload.data, batch->payload.size, &err);
    if (reader == NULL)
        s_die("%s", err.text);
    pr_rows_record_t record;
    uint32_t count = 0;
    int result;
    while ((result = pr_rows_reader_next(reader, &record, &err)) > 0) {
        if (each != NULL)
            each(context, &record, count);
        count++;
    }
    s_check(result, &err);
    if (count != batch->range.count)
        s_die("%u records of a payload were read, not %u", count, batch->range.count);
    pr_rows_reader_destroy(&reader);
}

typedef struct {
    const pr_stream_t *stream;
    micro_batch_t *batch;
} copying_t;

static void s_keep(void *context, const pr_rows_record_t *record, uint32_t index) {
    const copying_t *copying = context;
    copying->batch->records[index] = s_copy(copying->stream, record);
}

static void s_forget_records(micro_batch_t *batch) {
    for (uint32_t i = 0; batch->records != NULL && i < batch->range.count; i++) {
        for (size_t r = 0; r < batch->records[i].rows_count; r++)
            free(batch->records[i].rows[r].values);
        free(batch->records[i].rows);
    }
    free(batch->records);
    batch->records = NULL;
}

/* ---- The pieces
 * -------------------------------------------------------------------------------------------------------- */

static void s_no_prepare(micro_t *self) {
    (void)self;
}

static uint64_t s_run_scan(micro_t *self) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_export_t *export = NULL;
        s_check(pr_export_scan(self->exports[i], self->mapping, NULL, NULL, &export, &err), &err);
        bytes += export->size;
        pr_export_destroy(&export);
    }
    return bytes;
}

static void s_prepare_slice(micro_t *self) {
    uint32_t most = 0;
    for (size_t i = 0; i < self->count; i++)
        most = self->batches[i].range.count > most ? self->batches[i].range.count : most;
    self->slices = pr_xcalloc(most, sizeof *self->slices);
}

static uint64_t s_run_slice(micro_t *self) {
    for (size_t i = 0; i < self->count; i++) {
        const micro_batch_t *batch = &self->batches[i];
        size_t used = 0;
        if (pr_export_slice(batch->bytes, s_size(batch), self->slices, batch->range.count, &used) != batch->range.count)
            s_die("a batch is cut otherwise than before");
    }
    return self->bytes;
}

static void s_clean_slice(micro_t *self) {
    free(self->slices);
    self->slices = NULL;
}

static uint64_t s_run_transform(micro_t *self) {
    for (size_t i = 0; i < self->count; i++) {
        msgpack_sbuffer_clear(&self->out);
        s_transform(self, &self->batches[i], self->transformer, &self->out);
    }
    return self->records;
}

static void s_prepare_transform(micro_t *self) {
    self->transformer = pr_transformer_new(self->mapping);
    msgpack_sbuffer_init(&self->out);
    (void)s_run_transform(self); /* what buffers cost when they grow is the allocator's affair */
}

static void s_clean_transform(micro_t *self) {
    msgpack_sbuffer_destroy(&self->out);
    pr_transformer_destroy(&self->transformer);
}

static uint64_t s_run_decode(micro_t *self) {
    for (size_t i = 0; i < self->count; i++)
        s_decode(self, &self->batches[i], NULL, NULL);
    return self->records;
}

static void s_encode(const pr_stream_t *stream, const pr_rows_record_t *record, msgpack_packer *packer) {
    pr_rows_pack_accepted(packer, record->offset, record->length, record->rows_count);
    for (size_t r = 0; r < record->rows_count; r++) {
        const pr_row_t *row = &record->rows[r];
        const pr_row_spec_t *spec = &stream->rows[row->spec];
        size_t values = 0;
        for (size_t c = 0; c < spec->columns_count; c++)
            values += spec->columns[c].op != PR_OP_PARENT;
        pr_rows_pack_row(packer, row->spec, values);
        for (size_t c = 0; c < spec->columns_count; c++) {
            if (spec->columns[c].op != PR_OP_PARENT)
                pr_rows_pack_value(packer, &row->values[c]);
        }
    }
}

static uint64_t s_run_encode(micro_t *self) {
    for (size_t i = 0; i < self->count; i++) {
        const micro_batch_t *batch = &self->batches[i];
        msgpack_packer packer;
        msgpack_sbuffer_clear(&self->out);
        msgpack_packer_init(&packer, &self->out, msgpack_sbuffer_write);
        pr_rows_pack_notes(&packer, NULL, 0);
        for (uint32_t k = 0; k < batch->range.count; k++)
            s_encode(s_stream(self, batch), &batch->records[k], &packer);
    }
    return self->records;
}

static void s_prepare_encode(micro_t *self) {
    for (size_t i = 0; i < self->count; i++) {
        micro_batch_t *batch = &self->batches[i];
        copying_t copying = {.stream = s_stream(self, batch), .batch = batch};
        batch->records = pr_xcalloc(batch->range.count, sizeof *batch->records);
        s_decode(self, batch, s_keep, &copying);
    }
    msgpack_sbuffer_init(&self->out);
    (void)s_run_encode(self);
}

static void s_clean_encode(micro_t *self) {
    for (size_t i = 0; i < self->count; i++)
        s_forget_records(&self->batches[i]);
    msgpack_sbuffer_destroy(&self->out);
}

static void s_unlink_target(const micro_t *self) {
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[sizeof self->target_path + 8];
        snprintf(path, sizeof path, "%s%s", self->target_path, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT)
            s_die("%s: %s", path, strerror(errno));
    }
}

/* A fresh target with a run that begins. */
static void s_open_target(micro_t *self, bool undo) {
    pr_error_t err = PR_ERROR_INIT;
    pr_target_run_new_t run = {.id = S_RUN, .plan = pr_cutter_plan(self->cutter)};
    s_unlink_target(self);
    s_check(pr_target_open(self->target_path, self->migrations, self->mapping, &self->target, &err), &err);
    if (undo)
        s_check(pr_target_keep_undo(self->target, &err), &err);
    s_check(pr_target_run_begin(self->target, &run, &self->run, &err), &err);
}

static void s_prepare_commit(micro_t *self) {
    s_open_target(self, false);
}

static void s_prepare_commit_undo(micro_t *self) {
    s_open_target(self, true);
}

static int s_no_raw(void *context, uint64_t offset, uint32_t length, pr_value_t *ret_raw, pr_error_t *err) {
    (void)context;
    (void)length;
    (void)ret_raw;
    return pr_error_set(err, PR_E_INTERNAL, "the target rejects the record at byte %llu", (unsigned long long)offset);
}

static void s_commit(micro_t *self, micro_batch_t *batch) {
    pr_error_t err = PR_ERROR_INIT;
    const pr_stream_t *stream = s_stream(self, batch);
    pr_rows_reader_t *reader = pr_rows_reader_new(stream, batch->payload.data, batch->payload.size, &err);
    if (reader == NULL)
        s_die("%s", err.text);
    const pr_plan_source_t *source = &pr_cutter_plan(self->cutter)->sources[batch->range.source];
    s_check(pr_target_batch_begin(self->target, self->run.number, source, batch->range, &err), &err);
    pr_rows_record_t record;
    uint64_t ordinal = batch->range.first;
    int result;
    while ((result = pr_rows_reader_next(reader, &record, &err)) > 0)
        s_check(pr_target_apply(self->target, stream, &record, ordinal++, s_no_raw, NULL, &err), &err);
    s_check(result, &err);
    pr_target_counts_t counts;
    s_check(pr_target_batch_commit(self->target, batch->digest, &counts, &batch->checkpoint, &err), &err);
    if (counts.inserted != batch->range.count)
        s_die("%llu records were inserted, not %u", (unsigned long long)counts.inserted, batch->range.count);
    pr_rows_reader_destroy(&reader);
}

static uint64_t s_run_commit(micro_t *self) {
    for (size_t i = 0; i < self->count; i++)
        s_commit(self, &self->batches[i]);
    return self->records;
}

static void s_clean_commit(micro_t *self) {
    pr_target_destroy(&self->target);
    s_unlink_target(self);
}

static void s_prepare_proof(micro_t *self) {
    pr_error_t err = PR_ERROR_INIT;
    s_prepare_commit(self);
    (void)s_run_commit(self);
    pr_target_destroy(&self->target);
    s_check(pr_proof_open(self->target_path, self->mapping, S_RUN, &self->proof, &err), &err);
    self->list = pr_proof_list_new(S_FAILURES_MAX);
}

static uint64_t s_run_proof(micro_t *self) {
    uint64_t proved = 0;
    for (size_t i = 0; i < self->count; i++) {
        const micro_batch_t *batch = &self->batches[i];
        pr_error_t err = PR_ERROR_INIT;
        pr_proof_read_t read = {0};
        pr_proof_list_clear(self->list);
        s_check(pr_proof_commit(self->proof, batch->checkpoint, batch->range, 0, self->list, &read, &err), &err);
        if (self->list->failures_total > 0)
            s_die("the proof fails: %s %s", self->list->failures[0].key, self->list->failures[0].column);
        proved += read.rows;
    }
    return proved;
}

static void s_clean_proof(micro_t *self) {
    pr_proof_list_destroy(&self->list);
    pr_proof_destroy(&self->proof);
    s_unlink_target(self);
}

typedef struct {
    const char *name, *unit; /* unit: "MB" is counted in bytes */
    void (*prepare)(micro_t *self);
    uint64_t (*run)(micro_t *self);
    void (*clean)(micro_t *self);
    const char *sentence;
} micro_piece_t;

static const micro_piece_t s_pieces[] = {
    {"scan", "MB", s_no_prepare, s_run_scan, s_no_prepare,
     "the reader looks through whole files: structure and digest"},
    {"slice", "MB", s_prepare_slice, s_run_slice, s_clean_slice, "records found in a buffer"},
    {"transform", "records", s_prepare_transform, s_run_transform, s_clean_transform, "bytes to the payload of rows"},
    {"encode", "records", s_prepare_encode, s_run_encode, s_clean_encode, "rows in memory to the payload"},
    {"decode", "records", s_no_prepare, s_run_decode, s_no_prepare, "the payload to rows in memory"},
    {"commit", "records", s_prepare_commit, s_run_commit, s_clean_commit, "payload into a fresh target, undo off"},
    {"commit-undo", "records", s_prepare_commit_undo, s_run_commit, s_clean_commit,
     "payload into a fresh target, undo on"},
    {"proof", "records", s_prepare_proof, s_run_proof, s_clean_proof, "stored rows against the export's bytes"},
};
enum { S_PIECES = sizeof s_pieces / sizeof s_pieces[0] };

/* ---- Measuring
 * --------------------------------------------------------------------------------------------------------- */

uint64_t pr_micro_measured(micro_t *self, const micro_piece_t *piece);

/* What callgrind counts. */
__attribute__((noinline)) uint64_t pr_micro_measured(micro_t *self, const micro_piece_t *piece) {
    uint64_t units = piece->run(self);
    __asm__ volatile("" ::: "memory"); /* no tail call: it must be seen to return */
    return units;
}

static double s_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Units a second, over as many runs as fill the time. */
static double s_rate(micro_t *self, const micro_piece_t *piece) {
    double spent = 0;
    uint64_t units = 0;
    while (spent < self->seconds) {
        piece->prepare(self);
        double begun = s_now();
        units += pr_micro_measured(self, piece);
        spent += s_now() - begun;
        piece->clean(self);
    }
    double rate = (double)units / spent;
    return strcmp(piece->unit, "MB") == 0 ? rate / 1e6 : rate;
}

static int s_by_size(const void *a, const void *b) {
    double one = *(const double *)a;
    double other = *(const double *)b;
    return (one > other) - (one < other);
}

static void s_measure(micro_t *self, const micro_piece_t *piece, bool first) {
    double rates[S_REPEATS_MAX] = {0};
    for (long i = 0; i < self->repeats; i++)
        rates[i] = s_rate(self, piece);
    qsort(rates, (size_t)self->repeats, sizeof rates[0], s_by_size);
    double median = rates[self->repeats / 2];
    double least = rates[0];
    double most = rates[self->repeats - 1];
    if (self->json)
        printf("%s\n  {\"piece\": \"%s\", \"unit\": \"%s/s\", \"median\": %.1f, \"min\": %.1f, \"max\": %.1f}",
               first ? "[" : ",", piece->name, piece->unit, median, least, most);
    else
        printf("%-12s %10.0f %-9s %10.0f-%-10.0f %s\n", piece->name, median,
               strcmp(piece->unit, "MB") == 0 ? "MB/s" : "records/s", least, most, piece->sentence);
    fflush(stdout);
}

static void s_once(micro_t *self, const micro_piece_t *piece) {
    piece->prepare(self);
    uint64_t units = pr_micro_measured(self, piece);
    piece->clean(self);
    printf("%s %llu\n", piece->name, (unsigned long long)units);
}

/* ---- The command line
 * -------------------------------------------------------------------------------------------------- */

static void s_usage(FILE *out) {
    fputs(
        "Usage: pvrelay-micro AUDITS.json MODULES.json --mapping FILE --migrations FOLDER --folder FOLDER [OPTION...]\n"
        "Measures the pieces of the pipeline one by one, on exports without rejects; prints what each does in a "
        "second:\n"
        "median, least and most of several repeats.\n\n"
        "  --folder FOLDER  where targets are made; best in memory\n"
        "  --seconds S      at least, of each repeat (default 1)\n"
        "  --repeats N      odd, at most 101 (default 7)\n"
        "  --only PIECE     one piece only\n"
        "  --once           run each piece once; for callgrind --toggle-collect=pr_micro_measured\n"
        "  --json           as JSON\n"
        "  --pieces         list the pieces' names\n"
        "  --toolchain      what this was built with, and what it runs with, as JSON\n",
        out);
}

/* What a count of instructions depends on beside the exports. */
static void s_print_toolchain(void) {
    printf("{\"compiler\": \"" PR_COMPILER "\", \"build\": \"" PR_BUILD
           "\", \"sqlite\": \"%s\", \"libc\": \"%s\", \"msgpack\": \"%s\","
           " \"zstd\": \"%s\", \"simdjson\": \"" PR_SIMDJSON "\", \"rapidjson\": \"" PR_RAPIDJSON "\"}\n",
           sqlite3_sourceid(), gnu_get_libc_version(), msgpack_version(), ZSTD_versionString());
}

static double s_real(const char *text, double least) {
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least))
        s_die("\"%s\" is not a number from %g on", text, least);
    return value;
}

static void s_parse(micro_t *self, int argc, char **argv) {
    static const struct option options[] = {
        {"mapping", required_argument, NULL, 'm'}, {"migrations", required_argument, NULL, 'g'},
        {"folder", required_argument, NULL, 'f'},  {"seconds", required_argument, NULL, 's'},
        {"repeats", required_argument, NULL, 'r'}, {"only", required_argument, NULL, 'o'},
        {"once", no_argument, NULL, '1'},          {"json", no_argument, NULL, 'j'},
        {"pieces", no_argument, NULL, 'p'},        {"toolchain", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'm':
            self->mapping_path = optarg;
            break;
        case 'g':
            self->migrations = optarg;
            break;
        case 'f':
            self->folder = optarg;
            break;
        case 's':
            self->seconds = s_real(optarg, 0.001);
            break;
        case 'r':
            self->repeats = (long)s_real(optarg, 1);
            break;
        case 'o':
            self->only = optarg;
            break;
        case '1':
            self->once = true;
            break;
        case 'j':
            self->json = true;
            break;
        case 'p':
            for (size_t i = 0; i < S_PIECES; i++)
                puts(s_pieces[i].name);
            exit(0);
        case 't':
            s_print_toolchain();
            exit(0);
        case 'h':
            s_usage(stdout);
            exit(0);
        default:
            s_usage(stderr);
            exit(1);
        }
    }
    if (argc - optind != 2 || self->mapping_path == NULL || self->migrations == NULL || self->folder == NULL ||
        self->repeats > S_REPEATS_MAX || self->repeats % 2 == 0) {
        s_usage(stderr);
        exit(1);
    }
    self->exports[0] = argv[optind];
    self->exports[1] = argv[optind + 1];
}

static void s_end(micro_t *self) {
    for (size_t i = 0; i < self->count; i++) {
        msgpack_sbuffer_destroy(&self->batches[i].payload);
        free(self->batches[i].slices);
        free(self->batches[i].bytes);
    }
    free(self->batches);
    free(self->room);
    pr_cutter_destroy(&self->cutter);
    pr_mapping_destroy(&self->mapping);
}

int main(int argc, char **argv) {
    micro_t self = {.seconds = 1, .repeats = 7};
    pr_error_t err = PR_ERROR_INIT;
    pr_sql_prepare(); /* as the stages do */
    s_parse(&self, argc, argv);
    snprintf(self.target_path, sizeof self.target_path, "%s/micro.db", self.folder);
    s_check(pr_mapping_load(self.mapping_path, NULL, NULL, &self.mapping, &err), &err);
    s_cut(&self);
    s_make_payloads(&self);
    bool any = false;
    for (size_t i = 0; i < S_PIECES; i++) {
        if (self.only != NULL && strcmp(self.only, s_pieces[i].name) != 0)
            continue;
        if (self.once)
            s_once(&self, &s_pieces[i]);
        else
            s_measure(&self, &s_pieces[i], !any);
        any = true;
    }
    if (!any)
        s_die("there is no piece \"%s\"; --pieces lists them", self.only);
    if (self.json && !self.once)
        puts("\n]");
    s_end(&self);
    return 0;
}
