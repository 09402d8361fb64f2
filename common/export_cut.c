/* SPDX-License-Identifier: MIT */
/* Cutting exports into ranges of whole records. */
/*  DESIGN
 *
 *  A source is records of one stream in one file; in the file they lie in one or more result sets. A range never
 *  spans two result sets, so all bytes between its begin and its end are records of its source and what separates them.
 *  Nothing is remembered between two cuts but the open file: any position can be cut at, at any time.
 */
#include "common/export_cut.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json_record.h"
#include "common/read_at.h"

enum { s_slices_max = 65536 };

struct pr_cutter {
    const pr_mapping_t *mapping;
    const char *remedy;
    pr_export_t **exports;
    size_t exports_count;
    pr_plan_t *plan;
    pr_source_place_t *places; /* of the plan's sources */
    int file;                  /* of the export `file_export`; -1: none */
    size_t file_export;
    pr_slice_t *slices;
};

int pr_cutter_open(const char *const *paths, size_t count, const pr_mapping_t *mapping, pr_null_text_t rule,
                   const char *remedy, pr_export_progress_fn *progress, void *context, pr_cutter_t **ret_cutter,
                   pr_error_t *err) {
    pr_cutter_t *self = pr_xcalloc(1, sizeof *self);
    self->mapping = mapping;
    self->remedy = remedy;
    self->exports_count = count;
    self->file = -1;
    self->slices = pr_xcalloc(s_slices_max, sizeof *self->slices);
    int result = pr_export_scan_all(paths, count, mapping, progress, context, &self->exports, err);
    if (result == 0)
        result = pr_export_plan(mapping, self->exports, count, rule, &self->plan, &self->places, err);
    if (result < 0)
        pr_cutter_destroy(&self);
    else
        *ret_cutter = self;
    return result;
}

void pr_cutter_destroy(pr_cutter_t **cutter) {
    if (cutter == NULL || *cutter == NULL)
        return;
    pr_cutter_t *self = *cutter;
    if (self->file >= 0)
        close(self->file);
    if (self->exports != NULL)
        pr_export_destroy_all(&self->exports, self->exports_count);
    pr_plan_destroy(&self->plan);
    free(self->places);
    free(self->slices);
    free(self);
    *cutter = NULL;
}

const pr_plan_t *pr_cutter_plan(const pr_cutter_t *cutter) {
    return cutter->plan;
}

pr_export_t *const *pr_cutter_exports(const pr_cutter_t *cutter, size_t *ret_count) {
    *ret_count = cutter->exports_count;
    return cutter->exports;
}

/* Open the export, if it is not, and see that nobody has touched it since it was looked through. */
static int s_open_file(pr_cutter_t *self, size_t index, pr_error_t *err) {
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
        return pr_error_set(err, PR_E_SOURCE_CHANGED, "%s: was changed while it was being read; %s", export->path,
                            self->remedy);
    return 0;
}

/* The result set that holds record `ordinal` of a source. */
static const pr_result_set_t *s_find_set(const pr_cutter_t *self, uint32_t source, uint64_t ordinal,
                                         uint64_t *ret_left) {
    pr_source_place_t place = self->places[source];
    const pr_export_t *export = self->exports[place.export];
    int stream = pr_mapping_stream_index(self->mapping, self->plan->sources[source].stream);
    uint64_t before = 0;
    for (size_t i = place.first_set; i < place.end_set; i++) {
        const pr_result_set_t *set = &export->sets[i];
        if (set->stream != stream)
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
 *  cut: range.begin, range.end and range.count are set, the slices made relative. */
static int s_read_records(pr_cutter_t *self, const pr_result_set_t *set, uint64_t offset, size_t bytes, size_t max,
                          pr_cut_room_fn *room, void *context, pr_cut_t *cut, pr_error_t *err) {
    const char *path = self->exports[self->file_export]->path;
    size_t count = 0;
    for (size_t size = bytes; count == 0; size *= 2) {
        bool whole = size >= set->end - offset;
        size_t wanted = whole ? (size_t)(set->end - offset) : size;
        char *data = room(context, wanted + PR_JSON_PADDING);
        size_t used = 0;
        int result = pr_read_at(self->file, path, data, wanted, offset, err);
        if (result < 0)
            return result;
        memset(data + wanted, 0, PR_JSON_PADDING);
        count = pr_export_slice(data, wanted, self->slices, max, &used);
        if (count == 0 && whole)
            return pr_error_set(err, PR_E_SOURCE_CHANGED,
                                PR_AT_BYTE ": no longer holds the record it held when it was looked through", path,
                                offset);
        if (count > 0)
            memmove(data, data + self->slices[0].offset, wanted - self->slices[0].offset);
    }
    uint32_t skipped = self->slices[0].offset;
    for (size_t i = 0; i < count; i++)
        self->slices[i].offset -= skipped;
    cut->slices = self->slices;
    cut->range.count = (uint32_t)count;
    cut->range.begin = offset + skipped;
    cut->range.end = cut->range.begin + self->slices[count - 1].offset + self->slices[count - 1].length;
    return 0;
}

int pr_cutter_cut(pr_cutter_t *self, pr_position_t at, size_t bytes, pr_cut_room_fn *room, void *context,
                  pr_cut_t *ret_cut, pr_error_t *err) {
    const pr_plan_source_t *source = &self->plan->sources[at.source];
    uint64_t left = 0;
    const pr_result_set_t *set = s_find_set(self, at.source, at.ordinal, &left);
    if (set == NULL)
        return pr_error_set(err, PR_E_INTERNAL, "%s: no record %" PRIu64, source->path, pr_record_number(at.ordinal));
    int result = s_open_file(self, self->places[at.source].export, err);
    if (result < 0)
        return result;
    uint64_t offset = at.offset > set->begin ? at.offset : set->begin;
    if (offset >= set->end)
        return pr_error_set(err, PR_E_SOURCE_CHANGED, PR_AT_BYTE ": the position lies behind its records", source->path,
                            offset);
    pr_cut_t cut = {.stream = set->stream, .range = {.source = at.source, .first = at.ordinal}};
    size_t max = left < s_slices_max ? (size_t)left : s_slices_max;
    result = s_read_records(self, set, offset, bytes, max, room, context, &cut, err);
    if (result == 0)
        *ret_cut = cut;
    return result;
}
