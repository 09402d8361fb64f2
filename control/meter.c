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
 */
#include "control/meter.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

enum {
    s_samples = 16,
    s_sample_ms = 250,
    s_transformers_max = 64,
    s_sources_max = 1 << 20 /* a PROGRESS that names a higher one is not believed */
};

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
    else if (!meter->joined)
        meter->begun_at = progress->committed;
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

static uint64_t s_sum(const pr_wire_list_t *list) {
    uint64_t sum = 0;
    for (size_t i = 0; i < PR_WIRE_LIST; i++)
        sum += list->at[i];
    return sum;
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
    stages[PR_STAGE_READER].heard = meter->reader.heard;
    stages[PR_STAGE_READER].records = s_reader_position(meter, most);
    for (uint32_t i = 0; i < meter->transformers; i++) {
        const pr_meter_life_t *life = &meter->transformer[i];
        uint64_t rejected = s_rejected(life);
        transformed += s_ok(life) + rejected;
        stages[PR_STAGE_TRANSFORMER].heard |= life->heard;
        stages[PR_STAGE_TRANSFORMER].rejects += rejected;
    }
    stages[PR_STAGE_TRANSFORMER].records =
        s_clamp(transformed, meter->progress.committed, stages[PR_STAGE_READER].records);
    stages[PR_STAGE_WRITER].heard = meter->heard || meter->writer.heard;
    stages[PR_STAGE_WRITER].records = meter->progress.committed;
    stages[PR_STAGE_WRITER].rejects = s_rejected(&meter->writer);
    stages[PR_STAGE_VALIDATOR].heard = meter->heard || meter->validator.heard;
    stages[PR_STAGE_VALIDATOR].records = meter->progress.validated;
    stages[PR_STAGE_VALIDATOR].rejects =
        s_since(s_sum(&meter->validator.now.failures), s_sum(&meter->validator.before.failures));
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

void pr_meter_look(pr_meter_t *meter, int64_t now_ms, pr_meter_view_t *ret_view) {
    pr_meter_view_t view = {.transformers = meter->transformers};
    const pr_msg_counters_t *reader = &meter->reader.now;
    view.state = meter->heard ? meter->progress.state : 0;
    view.scanned_bytes = reader->scanned_bytes;
    view.scan_total_bytes = reader->scan_total_bytes;
    view.scanning = view.state < PR_PROGRESS_STREAMING && reader->scanned_bytes < reader->scan_total_bytes;
    view.total = reader->records_total;
    if (view.total < meter->progress.committed && view.total > 0)
        view.total = meter->progress.committed;
    view.resends = s_resends(&meter->reader);
    s_positions(meter, &view);
    if (view.state >= PR_PROGRESS_STREAMING)
        s_sample(meter, now_ms, &view);
    s_rates(meter, now_ms, &view);
    *ret_view = view;
}

uint64_t pr_meter_mark(const pr_meter_t *meter) {
    /* All three only grow, and each step of a run makes one of them grow. */
    return meter->progress.committed + meter->progress.validated + (uint64_t)meter->progress.checkpoint +
           meter->progress.state;
}

const pr_msg_progress_t *pr_meter_newest(const pr_meter_t *meter) {
    return meter->heard ? &meter->progress : NULL;
}

const pr_meter_source_t *pr_meter_sources(const pr_meter_t *meter, size_t *ret_count) {
    *ret_count = meter->sources_count;
    return meter->sources;
}
