/* SPDX-License-Identifier: MIT */
/* Position arithmetic. */
#include "common/position.h"

#include <stdio.h>

int pr_position_compare(pr_position_t a, pr_position_t b) {
    if (a.source != b.source)
        return a.source < b.source ? -1 : 1;
    if (a.ordinal != b.ordinal)
        return a.ordinal < b.ordinal ? -1 : 1;
    return 0;
}

pr_position_t pr_range_begin(pr_range_t range) {
    return (pr_position_t){.source = range.source, .ordinal = range.first, .offset = range.begin};
}

pr_position_t pr_range_end(pr_range_t range) {
    return (pr_position_t){.source = range.source, .ordinal = range.first + range.count, .offset = range.end};
}

pr_range_relation_t pr_range_relation(pr_range_t range, pr_position_t at) {
    if (range.count == 0 || range.end <= range.begin)
        return PR_RANGE_OVERLAP;
    if (pr_position_compare(pr_range_end(range), at) <= 0)
        return PR_RANGE_DUPLICATE;
    int order = pr_position_compare(pr_range_begin(range), at);
    if (order > 0)
        return PR_RANGE_EARLY;
    if (order < 0)
        return PR_RANGE_OVERLAP;
    return range.begin >= at.offset ? PR_RANGE_NEXT : PR_RANGE_OVERLAP;
}

pr_position_t pr_position_normalise(pr_position_t at, const uint64_t *records, uint32_t sources) {
    while (at.source < sources && at.ordinal >= records[at.source])
        at = (pr_position_t){.source = at.source + 1};
    return at;
}

uint64_t pr_position_records_before(pr_position_t at, const uint64_t *records, uint32_t sources) {
    uint64_t before = 0;
    for (uint32_t i = 0; i < sources && i < at.source; i++)
        before += records[i];
    return at.source < sources ? before + at.ordinal : before;
}

pr_position_text_t pr_position_text(pr_position_t at) {
    pr_position_text_t result;
    (void)snprintf(result.text, sizeof result.text, "source %" PRIu64 ", record %" PRIu64 ", byte %" PRIu64,
                   (uint64_t)at.source + 1, pr_record_number(at.ordinal), at.offset);
    return result;
}
