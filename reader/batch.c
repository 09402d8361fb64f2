/* SPDX-License-Identifier: MIT */
/* Cutting batches out of the exports. */
/*  DESIGN
 *
 *  A source is the records of one stream in one file; in the file they lie in one or more result sets. A batch never
 *  spans two result sets, so all bytes between its begin and its end are records of its source and what separates them.
 *  Nothing is remembered between two cuts but the open file and a guess of the size: any position can be cut at, at any
 *  time.
 */
#include "reader/batch.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/json_record.h"
#include "common/read_at.h"

enum { s_slices_max = 65536 };

struct pr_batcher {
    const pr_mapping_t *mapping;
    pr_export_t **exports;
    size_t exports_count;
    pr_plan_t *plan;
    size_t *export_of_source;
    size_t batch_bytes;
    int file; /* of the export `file_export`; -1: none */
    size_t file_export;
    pr_slice_t *slices;
};

int pr_batcher_open(const char *const *paths, size_t count, const pr_mapping_t *mapping, size_t batch_bytes,
                    pr_export_progress_fn *progress, void *context, pr_batcher_t **ret_batcher, pr_error_t *err) {
    pr_batcher_t *self = pr_xcalloc(1, sizeof *self);
    self->mapping = mapping;
    self->batch_bytes = batch_bytes;
    self->exports_count = count;
    self->file = -1;
    self->slices = pr_xcalloc(s_slices_max, sizeof *self->slices);
    int result = pr_export_scan_all(paths, count, mapping, progress, context, &self->exports, err);
    if (result == 0)
        result = pr_export_plan(mapping, self->exports, count, &self->plan, &self->export_of_source, err);
    if (result < 0)
        pr_batcher_destroy(&self);
    else
        *ret_batcher = self;
    return result;
}

void pr_batcher_destroy(pr_batcher_t **batcher) {
    if (batcher == NULL || *batcher == NULL)
        return;
    pr_batcher_t *self = *batcher;
    if (self->file >= 0)
        close(self->file);
    if (self->exports != NULL)
        pr_export_destroy_all(&self->exports, self->exports_count);
    pr_plan_destroy(&self->plan);
    free(self->export_of_source);
    free(self->slices);
    free(self);
    *batcher = NULL;
}

const pr_plan_t *pr_batcher_plan(const pr_batcher_t *batcher) {
    return batcher->plan;
}

pr_export_t *const *pr_batcher_exports(const pr_batcher_t *batcher, size_t *ret_count) {
    *ret_count = batcher->exports_count;
    return batcher->exports;
}

/* Open the export, if it is not, and see that nobody has touched it since it was looked through. */
static int s_open_file(pr_batcher_t *self, size_t index, pr_error_t *err) {
    const pr_export_t *export = self->exports[index];
    if (self->file >= 0 && self->file_export != index) {
        close(self->file);
        self->file = -1;
    }
    if (self->file < 0) {
        self->file = open(export->path, O_RDONLY | O_CLOEXEC);
        self->file_export = index;
        if (self->file < 0)
            return pr_error_set(err, PR_E_UNREADABLE, "%s: %s", export->path, strerror(errno));
    }
    struct stat status;
    if (fstat(self->file, &status) < 0)
        return pr_error_set(err, PR_E_UNREADABLE, "%s: %s", export->path, strerror(errno));
    int64_t mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    if ((uint64_t)status.st_size != export->size || mtime_ns != export->mtime_ns)
        return pr_error_set(
            err, PR_E_SOURCE_CHANGED,
            "%s: was changed while it was being read; put back what the run began with, or give --restart",
            export->path);
    return 0;
}

/* The result set that holds record `ordinal` of a source. */
static const pr_result_set_t *s_find_set(const pr_batcher_t *self, uint32_t source, uint64_t ordinal,
                                         uint64_t *ret_left) {
    const pr_export_t *export = self->exports[self->export_of_source[source]];
    int stream = pr_mapping_stream_index(self->mapping, self->plan->sources[source].stream);
    uint64_t before = 0;
    for (size_t i = 0; i < export->sets_count; i++) {
        const pr_result_set_t *set = &export->sets[i];
        if (set->stream != stream || (set->shape == PR_SHAPE_WRANGLER) != self->plan->sources[source].wrangler)
            continue;
        if (ordinal < before + set->records) {
            *ret_left = before + set->records - ordinal;
            return set;
        }
        before += set->records;
    }
    return NULL;
}

/*  Read from offset on, `size` bytes at first and more if the first record is larger, and slice it.
 *  ret_bytes: holds the records from the first one's first byte on. */
static int s_read_records(pr_batcher_t *self, const pr_result_set_t *set, uint64_t offset, size_t max,
                          zmq_msg_t *ret_bytes, size_t *ret_count, uint64_t *ret_begin, uint64_t *ret_end,
                          pr_error_t *err) {
    size_t count = 0;
    for (size_t size = self->batch_bytes; count == 0; size *= 2) {
        bool whole = size >= set->end - offset;
        size_t wanted = whole ? (size_t)(set->end - offset) : size;
        zmq_msg_t bytes;
        zmq_msg_init_size(&bytes, wanted + PR_JSON_PADDING);
        char *data = zmq_msg_data(&bytes);
        size_t used = 0;
        int result = pr_read_at(self->file, self->exports[self->file_export]->path, data, wanted, offset, err);
        if (result == 0) {
            memset(data + wanted, 0, PR_JSON_PADDING);
            count = pr_export_slice(data, wanted, self->slices, max < s_slices_max ? max : s_slices_max, &used);
        }
        if (result == 0 && count == 0 && whole)
            result = pr_error_set(err, PR_E_SOURCE_CHANGED,
                                  "%s:%llu: no longer holds the record it held when it was looked through",
                                  self->exports[self->file_export]->path, (unsigned long long)offset);
        if (result < 0 || count == 0) {
            zmq_msg_close(&bytes);
            if (result < 0)
                return result;
            continue;
        }
        size_t skipped = self->slices[0].offset;
        memmove(data, data + skipped, wanted - skipped);
        *ret_bytes = bytes;
        *ret_count = count;
        *ret_begin = offset + skipped;
        *ret_end = offset + self->slices[count - 1].offset + self->slices[count - 1].length;
    }
    return 0;
}

static void s_pack_slices(const pr_batcher_t *self, size_t count, zmq_msg_t *ret_slices) {
    zmq_msg_init_size(ret_slices, count * 2 * sizeof(uint32_t));
    uint8_t *words = zmq_msg_data(ret_slices);
    for (size_t i = 0; i < count; i++) {
        uint32_t pair[2] = {htole32(self->slices[i].offset - self->slices[0].offset), htole32(self->slices[i].length)};
        memcpy(words + i * sizeof pair, pair, sizeof pair); /* a frame's data need not be aligned */
    }
}

int pr_batcher_cut(pr_batcher_t *self, pr_position_t at, pr_batch_t *ret_batch, pr_error_t *err) {
    const pr_plan_source_t *source = &self->plan->sources[at.source];
    uint64_t left = 0;
    const pr_result_set_t *set = s_find_set(self, at.source, at.ordinal, &left);
    if (set == NULL)
        return pr_error_set(err, PR_E_INTERNAL, "%s: no record %llu", source->path, (unsigned long long)at.ordinal);
    int result = s_open_file(self, self->export_of_source[at.source], err);
    if (result < 0)
        return result;
    uint64_t offset = at.offset > set->begin ? at.offset : set->begin;
    if (offset >= set->end)
        return pr_error_set(err, PR_E_SOURCE_CHANGED, "%s:%llu: the position lies behind its records", source->path,
                            (unsigned long long)offset);
    pr_batch_t batch = {.stream = (uint16_t)set->stream, .wrangler = source->wrangler};
    size_t count = 0;
    batch.range.source = at.source;
    batch.range.first = at.ordinal;
    size_t max = left < s_slices_max ? (size_t)left : s_slices_max;
    result = s_read_records(self, set, offset, max, &batch.bytes, &count, &batch.range.begin, &batch.range.end, err);
    if (result < 0)
        return result;
    batch.range.count = (uint32_t)count;
    batch.digest = XXH3_64bits(zmq_msg_data(&batch.bytes), (size_t)(batch.range.end - batch.range.begin));
    s_pack_slices(self, count, &batch.slices);
    *ret_batch = batch;
    return 0;
}
