/* SPDX-License-Identifier: MIT */
/* What the stages publish, put together. */

/*  DESIGN
 *
 *  Two kinds of figures come in. PROGRESS tells committed and validated positions: they are the run's, and survive any
 *  restart. COUNTERS are of one life of one stage, and start at 0 when it is started again; and a reader that goes back
 *  counts records twice. So the positions of reader and transformer are estimates, kept between what is certain:
 *
 *      committed <= transformer <= reader <= total
 *
 *  reader: committed + what its window holds, by the mean size of a record. transformer: where the run stood when the
 *  meter began + all it has dealt with over its lives. Rates are taken over the last few seconds of a ring of samples.
 *  Of a run's rejects those up to the committed position are certain in the same way.
 *
 *  The time that is left is more than that of the records: behind the last of them derived columns are set, indexes built,
 *  references and the file checked; on a first load of millions of records that is 40 % of the time. What it will take
 *  is estimated from counts (records, indexes, bytes) by costs that were measured (S_COST_…), times how much slower than
 *  there the records of this run have been taken. What takes longer than it was estimated to has a tenth of what it has
 *  taken yet to come: the time left is 0 only when the run is complete.
 */
#include "control/meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

enum {
    s_samples = 16,
    s_sample_ms = 250,
    s_transformers_max = 64,
    s_sources_max = 1 << 20 /* a PROGRESS that names a higher one is not believed */
};

/* Seconds, measured with one load of 300,000 modules and one of 1,000,000, each into an empty target. */
static const double S_COST_RECORD = 6.0e-6;     /* of the pipeline, while records are replayed */
static const double S_COST_DERIVED = 0.4e-6;    /* a record */
static const double S_COST_INDEX = 0.45e-6;     /* a row of an index */
static const double S_COST_REFERENCES = 0.8e-6; /* a record */
static const double S_COST_FILE = 4.0e-9;       /* a byte of the target */
static const double S_BYTES = 250;              /* a record, in the target with its indexes */

typedef struct {
    int64_t at_ms;
    uint64_t records[PR_STAGE_COUNT];
} pr_meter_sample_t;

/* The counters of a stage: of its life now, and the sum over its earlier ones. */
typedef struct {
    bool heard;
    pr_msg_counters_t now;
    uint64_t past_ok, past_rejected, past_resends;
    pr_msg_counters_t before; /* what it had counted in this life before the run began */
} pr_meter_life_t;

struct pr_meter {
    uint32_t transformers;
    bool heard;
    bool joined;       /* begun_at stays 0: the transformers' counters tell what lies behind */
    uint64_t begun_at; /* committed when the first PROGRESS was heard */
    uint64_t begun_rejected;
    double records_s; /* how long it has been at its records, as far as heard; <0: it never was */
    int64_t heard_ms;
    pr_msg_progress_t progress;
    pr_meter_life_t reader, writer, validator;
    pr_meter_life_t transformer[s_transformers_max];
    pr_meter_sample_t samples[s_samples];
    size_t samples_count; /* ever taken */
    pr_meter_source_t *sources;
    size_t sources_count;
};

pr_meter_t *pr_meter_new(uint32_t transformers) {
    pr_meter_t *meter = pr_xcalloc(1, sizeof *meter);
    meter->transformers = transformers < s_transformers_max ? transformers : s_transformers_max;
    meter->records_s = -1;
    return meter;
}

void pr_meter_destroy(pr_meter_t **meter) {
    if (meter == NULL || *meter == NULL)
        return;
    free((*meter)->sources);
    free(*meter);
    *meter = NULL;
}

static bool s_streaming(unsigned state) {
    return state == PR_PROGRESS_STREAMING;
}

/* What has happened since the PROGRESS before was work on the source at which that one stood. */
static void s_charge_source(pr_meter_t *meter, const pr_msg_progress_t *next, int64_t now_ms) {
    size_t source = meter->progress.source;
    if (!s_streaming(meter->progress.state) || source >= s_sources_max)
        return;
    if (source >= meter->sources_count) {
        meter->sources = pr_xrealloc(meter->sources, (source + 1) * sizeof *meter->sources);
        memset(meter->sources + meter->sources_count, 0, (source + 1 - meter->sources_count) * sizeof *meter->sources);
        meter->sources_count = source + 1;
    }
    meter->sources[source].seconds += (double)(now_ms - meter->heard_ms) / 1000;
    if (next->committed > meter->progress.committed)
        meter->sources[source].records += next->committed - meter->progress.committed;
}

void pr_meter_progress(pr_meter_t *meter, const pr_msg_progress_t *progress, int64_t now_ms) {
    if (meter->heard)
        s_charge_source(meter, progress, now_ms);
    else if (!meter->joined) {
        meter->begun_at = progress->committed;
        meter->begun_rejected = progress->rejected;
    }
    if (progress->phase == PR_PHASE_RECORDS)
        meter->records_s = (double)progress->phase_ms / 1000;
    meter->heard = true;
    meter->heard_ms = now_ms;
    meter->progress = *progress;
}

static pr_meter_life_t *s_life(pr_meter_t *meter, pr_stage_t stage, uint32_t instance) {
    switch (stage) {
    case PR_STAGE_READER:
        return &meter->reader;
    case PR_STAGE_TRANSFORMER:
        return instance >= 1 && instance <= meter->transformers ? &meter->transformer[instance - 1] : NULL;
    case PR_STAGE_WRITER:
        return &meter->writer;
    case PR_STAGE_VALIDATOR:
        return &meter->validator;
    }
    return NULL;
}

void pr_meter_join(pr_meter_t *meter) {
    meter->joined = true;
}

void pr_meter_discount(pr_meter_t *meter, pr_stage_t stage, uint32_t instance, const pr_msg_counters_t *counters) {
    pr_meter_life_t *life = s_life(meter, stage, instance);
    if (life != NULL)
        life->before = *counters;
}

/* What a counter has grown by since the run began. */
static uint64_t s_since(uint64_t now, uint64_t before) {
    return now > before ? now - before : 0;
}

static uint64_t s_ok(const pr_meter_life_t *life) {
    return life->past_ok + s_since(life->now.records_ok, life->before.records_ok);
}

static uint64_t s_rejected(const pr_meter_life_t *life) {
    return life->past_rejected + s_since(life->now.records_rejected, life->before.records_rejected);
}

static uint64_t s_resends(const pr_meter_life_t *life) {
    return life->past_resends + s_since(life->now.resends, life->before.resends);
}

void pr_meter_counters(pr_meter_t *meter, pr_stage_t stage, uint32_t instance, const pr_msg_counters_t *counters) {
    pr_meter_life_t *life = s_life(meter, stage, instance);
    if (life == NULL)
        return;
    if (life->heard && life->now.start_ms != counters->start_ms) {
        life->past_ok = s_ok(life);
        life->past_rejected = s_rejected(life);
        life->past_resends = s_resends(life);
    }
    if (life->before.start_ms != counters->start_ms)
        memset(&life->before, 0, sizeof life->before);
    life->heard = true;
    life->now = *counters;
}

static uint64_t s_clamp(uint64_t value, uint64_t least, uint64_t most) {
    return value < least ? least : value > most ? most : value;
}

static uint64_t s_reader_position(const pr_meter_t *meter, uint64_t total) {
    const pr_msg_counters_t *reader = &meter->reader.now;
    uint64_t ahead = 0;
    if (reader->bytes > 0 && reader->records_read > 0)
        ahead = (uint64_t)((double)reader->window_bytes * (double)reader->records_read / (double)reader->bytes + 0.5);
    return s_clamp(meter->progress.committed + ahead, meter->progress.committed, total);
}

static void s_positions(const pr_meter_t *meter, pr_meter_view_t *view) {
    pr_meter_stage_t *stages = view->stages;
    uint64_t most = view->total > 0 ? view->total : UINT64_MAX;
    uint64_t transformed = meter->begun_at;
    uint64_t rejected = meter->begun_rejected;
    stages[PR_STAGE_READER].heard = meter->reader.heard;
    stages[PR_STAGE_READER].records = s_reader_position(meter, most);
    for (uint32_t i = 0; i < meter->transformers; i++) {
        const pr_meter_life_t *life = &meter->transformer[i];
        transformed += s_ok(life) + s_rejected(life);
        rejected += s_rejected(life);
        stages[PR_STAGE_TRANSFORMER].heard |= life->heard;
    }
    stages[PR_STAGE_TRANSFORMER].records =
        s_clamp(transformed, meter->progress.committed, stages[PR_STAGE_READER].records);
    stages[PR_STAGE_TRANSFORMER].rejects =
        s_clamp(rejected, meter->progress.rejected,
                meter->progress.rejected + stages[PR_STAGE_TRANSFORMER].records - meter->progress.committed);
    stages[PR_STAGE_WRITER].heard = meter->heard || meter->writer.heard;
    stages[PR_STAGE_WRITER].records = meter->progress.committed;
    stages[PR_STAGE_WRITER].rejects = meter->progress.rejected;
    stages[PR_STAGE_VALIDATOR].heard = meter->heard || meter->validator.heard;
    stages[PR_STAGE_VALIDATOR].records = meter->progress.with_verdict;
    stages[PR_STAGE_VALIDATOR].rejects = meter->progress.failures;
    for (unsigned i = PR_STAGE_TRANSFORMER; i <= PR_STAGE_VALIDATOR; i++) {
        if (stages[i - 1].records > stages[i].records)
            stages[i].lag = stages[i - 1].records - stages[i].records;
    }
}

static void s_sample(pr_meter_t *meter, int64_t now_ms, const pr_meter_view_t *view) {
    if (meter->samples_count > 0 && now_ms - meter->samples[(meter->samples_count - 1) % s_samples].at_ms < s_sample_ms)
        return;
    pr_meter_sample_t *sample = &meter->samples[meter->samples_count++ % s_samples];
    sample->at_ms = now_ms;
    for (unsigned i = 0; i < PR_STAGE_COUNT; i++)
        sample->records[i] = view->stages[i].records;
}

static void s_rates(const pr_meter_t *meter, int64_t now_ms, pr_meter_view_t *view) {
    const pr_meter_sample_t *oldest =
        &meter->samples[meter->samples_count > s_samples ? meter->samples_count % s_samples : 0];
    double elapsed_s = meter->samples_count > 0 ? (double)(now_ms - oldest->at_ms) / 1000 : 0;
    for (unsigned i = PR_STAGE_READER; i <= PR_STAGE_VALIDATOR; i++) {
        pr_meter_stage_t *stage = &view->stages[i];
        stage->per_second = -1;
        stage->eta_s = -1;
        if (elapsed_s < (double)s_sample_ms / 1000)
            continue;
        stage->per_second =
            stage->records > oldest->records[i] ? (double)(stage->records - oldest->records[i]) / elapsed_s : 0;
        if (view->total > 0 && stage->records >= view->total)
            stage->eta_s = 0;
        else if (view->total > 0 && stage->per_second > 0)
            stage->eta_s = (double)(view->total - stage->records) / stage->per_second;
    }
}

/* ---- the whole run, its last phases included ---- */

/*  What a run costs behind its records, in seconds of the machine that was measured: all of it, or what is left. */
typedef struct {
    double derived, indexes, references, file;
} pr_meter_tail_t;

/* Indexes are built while the content is checked; the file is checked after them, or, where there are none, beside. */
static double s_tail_s(const pr_meter_tail_t *tail, bool indexes) {
    double beside = indexes ? tail->indexes : tail->file;
    double behind = indexes ? tail->file : 0;
    return tail->derived + (beside > tail->references ? beside : tail->references) + behind;
}

enum { s_telling_records = 10000, s_slowest = 50 };

static pr_meter_tail_t s_tail(const pr_msg_progress_t *progress, uint64_t total) {
    double records = (double)total;
    double bytes = (double)progress->target_bytes;
    double rows = (double)progress->index_rows;
    if (progress->phase <= PR_PHASE_RECORDS) { /* they grow yet */
        bytes = bytes < records * S_BYTES ? records * S_BYTES : bytes;
        rows = progress->committed > 0 ? rows * records / (double)progress->committed : 0;
    }
    return (pr_meter_tail_t){.derived = records * S_COST_DERIVED,
                             .indexes = rows * S_COST_INDEX,
                             .references = records * S_COST_REFERENCES,
                             .file = bytes * S_COST_FILE};
}

/* What is left of something that was to take all_s and has taken done_s. */
static double s_left_s(double all_s, double done_s) {
    double overdue_s = done_s > 0 ? done_s / 10 : 0;
    if (done_s < 0)
        return all_s;
    return all_s - done_s > overdue_s ? all_s - done_s : overdue_s;
}

/* What is left of the indexes. done_s: of the one at hand, which takes as many rows as the others on the average. */
static double s_indexes_left_s(const pr_msg_progress_t *progress, double done_s) {
    double all_s = (double)progress->index_rows_left * S_COST_INDEX;
    double one_s = progress->indexes_left > 0 ? all_s / progress->indexes_left : 0;
    return all_s - one_s + s_left_s(one_s, done_s);
}

/* What of the tail is left when its phase at hand has taken done_s, the time as on the machine that was measured. */
static pr_meter_tail_t s_tail_left(const pr_msg_progress_t *progress, pr_meter_tail_t tail, double done_s) {
    pr_meter_tail_t left = tail;
    switch ((pr_run_phase_t)progress->phase) {
    case PR_PHASE_NONE:
    case PR_PHASE_RECORDS:
    case PR_PHASE_COUNT:
        break;
    case PR_PHASE_DERIVED:
        left.derived = s_left_s(tail.derived, done_s);
        break;
    case PR_PHASE_VERDICTS:
        left.derived = 0;
        break;
    case PR_PHASE_INDEXES:
        left.derived = 0;
        left.indexes = s_indexes_left_s(progress, done_s);
        left.references = s_left_s(tail.references, tail.indexes - left.indexes);
        break;
    case PR_PHASE_REFERENCES:
        left.derived = left.indexes = 0;
        /* It began beside the indexes. */
        left.references = s_left_s(tail.references > tail.indexes ? tail.references - tail.indexes : 0, done_s);
        break;
    case PR_PHASE_FILE:
        left.derived = left.indexes = left.references = 0;
        left.file = s_left_s(tail.file, done_s);
        break;
    case PR_PHASE_REFERENCES_AND_FILE:
        left.derived = left.indexes = 0;
        left.references = s_left_s(tail.references, done_s);
        left.file = s_left_s(tail.file, done_s);
        break;
    }
    return left;
}

/* How many times slower than the machine that was measured this run has taken its records. */
static double s_slowness(const pr_meter_t *meter) {
    const pr_msg_progress_t *progress = &meter->progress;
    double records_s = meter->records_s;
    double records = (double)(progress->committed - meter->begun_at);
    if (records_s < 0) { /* they were in when this meter began */
        records_s = (double)progress->elapsed_ms / 1000 - (double)progress->phase_ms / 1000;
        records = (double)progress->committed;
    }
    double slowness = records < s_telling_records ? 1 : records_s / (records * S_COST_RECORD);
    /* Records that changed nothing were fast; what comes then is not. */
    return slowness < 1 ? 1 : slowness < s_slowest ? slowness : s_slowest;
}

static void s_whole(const pr_meter_t *meter, int64_t now_ms, pr_meter_view_t *view) {
    const pr_msg_progress_t *progress = &meter->progress;
    pr_meter_stage_t *validator = &view->stages[PR_STAGE_VALIDATOR];
    pr_meter_stage_t *writer = &view->stages[PR_STAGE_WRITER];
    view->share = view->eta_s = -1;
    if (view->state == PR_PROGRESS_COMPLETE) {
        view->share = 1;
        view->eta_s = 0;
    }
    if ((view->state != PR_PROGRESS_STREAMING && view->state != PR_PROGRESS_PROVING) || view->total == 0)
        return;
    bool indexes = progress->indexes > 0;
    double slowness = s_slowness(meter);
    double done_s = ((double)progress->phase_ms + (double)(now_ms - meter->heard_ms)) / 1000 / slowness;
    pr_meter_tail_t tail = s_tail(progress, view->total);
    pr_meter_tail_t left = s_tail_left(progress, tail, done_s);
    double records_all_s = (double)view->total * S_COST_RECORD;
    double records_left_s = (double)(view->total - validator->records) * S_COST_RECORD;
    double tail_left_s = s_tail_s(&left, indexes);
    double all_s = records_all_s + s_tail_s(&tail, indexes);
    double left_s = records_left_s + tail_left_s;
    view->share = left_s < all_s ? (all_s - left_s) / all_s : 0;
    if (validator->eta_s >= 0) {
        validator->eta_s += tail_left_s * slowness;
        view->eta_s = validator->eta_s;
    } else if (validator->records > 0) { /* heard for too short a time: as fast as it was on the whole */
        view->eta_s = left_s * slowness;
    }
    if (writer->eta_s >= 0)
        writer->eta_s += (left.derived + left.indexes) * slowness;
}

static void s_name_phase(const pr_meter_t *meter, pr_meter_view_t *view) {
    static const char *const states[] = {"starting", "starting", "replaying", "validating", "complete", "stopping"};
    const pr_msg_progress_t *progress = &meter->progress;
    const char *words = pr_run_phase_words(progress->phase);
    if (view->scanning)
        snprintf(view->phase, sizeof view->phase, "scanning");
    else if (view->state != PR_PROGRESS_STREAMING && view->state != PR_PROGRESS_PROVING)
        snprintf(view->phase, sizeof view->phase, "%s",
                 states[view->state < PR_PROGRESS_FAILED ? view->state : PR_PROGRESS_FAILED]);
    else if (progress->phase == PR_PHASE_INDEXES && progress->indexes_left > 0 &&
             progress->indexes_left <= progress->indexes)
        snprintf(view->phase, sizeof view->phase, "%s %" PRIu32 " of %" PRIu32, words,
                 progress->indexes - progress->indexes_left + 1, progress->indexes);
    else
        snprintf(view->phase, sizeof view->phase, "%s",
                 progress->phase > PR_PHASE_RECORDS ? words : states[view->state]);
}

void pr_meter_look(pr_meter_t *meter, int64_t now_ms, pr_meter_view_t *ret_view) {
    pr_meter_view_t view = {.transformers = meter->transformers};
    const pr_msg_counters_t *reader = &meter->reader.now;
    view.state = meter->heard ? meter->progress.state : 0;
    view.scanned_bytes = reader->scanned_bytes;
    view.scan_total_bytes = reader->scan_total_bytes;
    view.scanning = view.state < PR_PROGRESS_STREAMING && reader->scanned_bytes < reader->scan_total_bytes;
    view.total = reader->records_total > 0 ? reader->records_total : meter->writer.now.records_total;
    if (view.total < meter->progress.committed && view.total > 0)
        view.total = meter->progress.committed;
    view.resends = s_resends(&meter->reader);
    s_positions(meter, &view);
    if (view.state >= PR_PROGRESS_STREAMING)
        s_sample(meter, now_ms, &view);
    view.validated = meter->progress.validated;
    view.elapsed_s = meter->heard ? (double)meter->progress.elapsed_ms / 1000 : -1;
    s_rates(meter, now_ms, &view);
    s_whole(meter, now_ms, &view);
    s_name_phase(meter, &view);
    *ret_view = view;
}

uint64_t pr_meter_mark(const pr_meter_t *meter) {
    /* All of them only grow, and each step of a run makes one of them grow. */
    const pr_msg_progress_t *progress = &meter->progress;
    return progress->committed + progress->with_verdict + (uint64_t)progress->checkpoint + progress->state +
           progress->indexes - progress->indexes_left;
}

const pr_msg_progress_t *pr_meter_newest(const pr_meter_t *meter) {
    return meter->heard ? &meter->progress : NULL;
}

const pr_meter_source_t *pr_meter_sources(const pr_meter_t *meter, size_t *ret_count) {
    *ret_count = meter->sources_count;
    return meter->sources;
}
