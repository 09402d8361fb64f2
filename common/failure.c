/* SPDX-License-Identifier: MIT */
/* The list of failures, findings and tallies, and its codec. */
#include "common/failure.h"

/*  DESIGN
 *
 *  Packing is msgpack-c's. Unpacking is not: its unpacker allocates what an array's header promises before it has seen
 *  the items, so that five hostile bytes ask for gigabytes. The list needs three of the format's kinds (MessagePack
 *  specification: array, str, unsigned int), read here by a cursor with a sticky error that never looks behind the end.
 */

#include <msgpack.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"

enum { S_TEXT_MAX_BYTES = 4096, S_LIST_ITEMS = 4, S_FAILURE_ITEMS = 9, S_FINDING_ITEMS = 7, S_TALLY_ITEMS = 5 };

/* Strings of a failure, of a finding and of a tally, in the order they travel. */
enum { S_FAILURE_TEXTS = 6, S_FINDING_TEXTS = 4, S_TALLY_TEXTS = 3 };

const char *pr_failure_word(unsigned kind) {
    switch (kind) {
#define X(name, number, word)                                                                                          \
    case PR_FAILURE_##name:                                                                                            \
        return word;
        PR_FAILURES(X)
#undef X
    default:
        return "unknown";
    }
}

pr_proof_list_t *pr_proof_list_new(size_t max) {
    pr_proof_list_t *list = pr_xcalloc(1, sizeof *list);
    list->max = max;
    return list;
}

static void s_failure_texts(pr_failure_t *failure, const char ***ret_texts) {
    ret_texts[0] = &failure->stream;
    ret_texts[1] = &failure->table;
    ret_texts[2] = &failure->key;
    ret_texts[3] = &failure->column;
    ret_texts[4] = &failure->expected;
    ret_texts[5] = &failure->stored;
}

static void s_finding_texts(pr_finding_t *finding, const char ***ret_texts) {
    ret_texts[0] = &finding->kind;
    ret_texts[1] = &finding->stream;
    ret_texts[2] = &finding->field;
    ret_texts[3] = &finding->detail;
}

static void s_tally_texts(pr_proof_tally_t *tally, const char ***ret_texts) {
    ret_texts[0] = &tally->stream;
    ret_texts[1] = &tally->group;
    ret_texts[2] = &tally->value;
}

static void s_free_failure(pr_failure_t *failure) {
    const char **texts[S_FAILURE_TEXTS];
    s_failure_texts(failure, texts);
    for (size_t i = 0; i < S_FAILURE_TEXTS; i++)
        free((void *)*texts[i]);
}

void pr_proof_list_clear(pr_proof_list_t *list) {
    const char **texts[S_FINDING_TEXTS];
    for (size_t i = 0; i < list->failures_count; i++)
        s_free_failure(&list->failures[i]);
    for (size_t i = 0; i < list->findings_count; i++) {
        s_finding_texts(&list->findings[i], texts);
        for (size_t j = 0; j < S_FINDING_TEXTS; j++)
            free((void *)*texts[j]);
    }
    for (size_t i = 0; i < list->tallies_count; i++) {
        s_tally_texts(&list->tallies[i], texts);
        for (size_t j = 0; j < S_TALLY_TEXTS; j++)
            free((void *)*texts[j]);
    }
    free(list->failures);
    free(list->findings);
    free(list->tallies);
    free(list->tally_slots);
    *list = (pr_proof_list_t){.max = list->max};
}

void pr_proof_list_destroy(pr_proof_list_t **list) {
    if (list == NULL || *list == NULL)
        return;
    pr_proof_list_clear(*list);
    free(*list);
    *list = NULL;
}

/* Bytes of the UTF-8 character that text begins with; 0: none does. Well-formed as in Unicode 15, table 3-7. */
static size_t s_utf8_size(const unsigned char *text, size_t size) {
    size_t need = text[0] < 0x80   ? 1
                  : text[0] < 0xC2 ? 0
                  : text[0] < 0xE0 ? 2
                  : text[0] < 0xF0 ? 3
                  : text[0] < 0xF5 ? 4
                                   : 0;
    if (need == 0 || need > size)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
        (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
        return 0;
    return need;
}

/* A copy of at most S_TEXT_MAX_BYTES, cut between characters; bytes that are no UTF-8 become '?'. *Returns new*. */
static char *s_copy(const char *text, size_t size) {
    size_t max = size < S_TEXT_MAX_BYTES ? size : S_TEXT_MAX_BYTES;
    char *copy = pr_xmalloc(max + 1);
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t character = s_utf8_size((const unsigned char *)text + at, size - at);
        if (used + (character > 0 ? character : 1) > max)
            break;
        if (character == 0)
            copy[used++] = '?';
        else
            memcpy(copy + used, text + at, character);
        used += character;
        at += character > 0 ? character : 1;
    }
    copy[used] = '\0';
    return copy;
}

/* Items that there is room for when there are count: room doubles when the count reaches a power of two. */
static size_t s_room(size_t count) {
    size_t room = 1;
    while (room < count)
        room *= 2;
    return room;
}

static void *s_grow(void *items, size_t count, size_t size) {
    return (count & (count - 1)) == 0 ? pr_xrealloc(items, s_room(count + 1) * size) : items;
}

void pr_proof_list_add_failure(pr_proof_list_t *list, const pr_failure_t *failure) {
    list->failures_total++;
    if (failure->kind < PR_FAILURE_KINDS)
        list->failures_by_kind[failure->kind]++;
    if (list->failures_count >= list->max)
        return;
    const char **texts[S_FAILURE_TEXTS];
    pr_failure_t copy = *failure;
    s_failure_texts(&copy, texts);
    for (size_t i = 0; i < S_FAILURE_TEXTS; i++)
        *texts[i] = s_copy(*texts[i], strlen(*texts[i]));
    list->failures = s_grow(list->failures, list->failures_count, sizeof copy);
    list->failures[list->failures_count++] = copy;
}

void pr_proof_list_join(pr_proof_list_t *list, const pr_proof_list_t *other) {
    uint64_t left[PR_FAILURE_KINDS]; /* counted and not kept */
    memcpy(left, other->failures_by_kind, sizeof left);
    for (size_t i = 0; i < other->failures_count; i++) {
        const pr_failure_t *failure = &other->failures[i];
        pr_proof_list_add_failure(list, failure);
        if (failure->kind < PR_FAILURE_KINDS && left[failure->kind] > 0)
            left[failure->kind]--;
    }
    list->failures_total += other->failures_total - other->failures_count;
    for (size_t i = 0; i < PR_FAILURE_KINDS; i++)
        list->failures_by_kind[i] += left[i];
    for (size_t i = 0; i < other->findings_count; i++)
        pr_proof_list_add_finding(list, &other->findings[i]);
}

void pr_proof_list_remove(pr_proof_list_t *list, uint32_t source, uint64_t offset,
                          const uint64_t by_kind[PR_FAILURE_KINDS]) {
    size_t stay = 0;
    uint64_t count = 0;
    for (size_t i = 0; i < PR_FAILURE_KINDS; i++) {
        count += by_kind[i];
        list->failures_by_kind[i] -= by_kind[i] < list->failures_by_kind[i] ? by_kind[i] : list->failures_by_kind[i];
    }
    for (size_t i = 0; i < list->failures_count; i++) {
        pr_failure_t *failure = &list->failures[i];
        if (failure->source == source && failure->offset == offset)
            s_free_failure(failure);
        else
            list->failures[stay++] = *failure;
    }
    /* Room doubles when the count reaches a power of two: it must be what the count says. */
    if (stay < list->failures_count && stay > 0)
        list->failures = pr_xrealloc(list->failures, s_room(stay) * sizeof *list->failures);
    list->failures_count = stay;
    list->failures_total -= count < list->failures_total ? count : list->failures_total;
    if (list->failures_total < stay)
        list->failures_total = stay;
}

static pr_finding_t *s_find_finding(const pr_proof_list_t *list, const pr_finding_t *like) {
    for (size_t i = 0; i < list->findings_count; i++) {
        pr_finding_t *finding = &list->findings[i];
        if (strcmp(finding->kind, like->kind) == 0 && strcmp(finding->stream, like->stream) == 0 &&
            strcmp(finding->field, like->field) == 0)
            return finding;
    }
    return NULL;
}

void pr_proof_list_add_finding(pr_proof_list_t *list, const pr_finding_t *finding) {
    pr_finding_t *same = s_find_finding(list, finding);
    if (same != NULL) {
        same->count += finding->count;
        return;
    }
    const char **texts[S_FINDING_TEXTS];
    pr_finding_t copy = *finding;
    s_finding_texts(&copy, texts);
    for (size_t i = 0; i < S_FINDING_TEXTS; i++)
        *texts[i] = s_copy(*texts[i], strlen(*texts[i]));
    list->findings = s_grow(list->findings, list->findings_count, sizeof copy);
    list->findings[list->findings_count++] = copy;
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014), its upper half. */
uint64_t pr_proof_mix(int64_t id) {
    uint64_t mixed = (uint64_t)id + UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (mixed ^ (mixed >> 31)) >> 32;
}

/* The slot of a tally, or the free one where it belongs. There is always a free one. */
static uint32_t *s_tally_slot(const pr_proof_list_t *list, const pr_proof_tally_t *tally) {
    size_t mask = list->tally_slots_count - 1;
    uint64_t hash = XXH3_64bits(tally->group, strlen(tally->group));
    hash = XXH3_64bits_withSeed(tally->value, strlen(tally->value), hash);
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        uint32_t *slot = &list->tally_slots[at];
        if (*slot == 0)
            return slot;
        const pr_proof_tally_t *there = &list->tallies[*slot - 1];
        if (strcmp(there->value, tally->value) == 0 && strcmp(there->group, tally->group) == 0 &&
            strcmp(there->stream, tally->stream) == 0)
            return slot;
    }
}

/* Keep at least half of the slots free. */
static void s_tally_room(pr_proof_list_t *list) {
    if (list->tallies_count * 2 < list->tally_slots_count)
        return;
    free(list->tally_slots);
    list->tally_slots_count = list->tally_slots_count > 0 ? list->tally_slots_count * 2 : 64;
    list->tally_slots = pr_xcalloc(list->tally_slots_count, sizeof *list->tally_slots);
    for (size_t i = 0; i < list->tallies_count; i++)
        *s_tally_slot(list, &list->tallies[i]) = (uint32_t)i + 1;
}

void pr_proof_list_add_tally(pr_proof_list_t *list, const pr_proof_tally_t *tally) {
    s_tally_room(list);
    uint32_t *slot = s_tally_slot(list, tally);
    if (*slot != 0) {
        list->tallies[*slot - 1].count += tally->count;
        list->tallies[*slot - 1].rows += tally->rows;
        return;
    }
    if (list->tallies_count == UINT32_MAX - 1)
        return;
    const char **texts[S_TALLY_TEXTS];
    pr_proof_tally_t copy = *tally;
    s_tally_texts(&copy, texts);
    for (size_t i = 0; i < S_TALLY_TEXTS; i++)
        *texts[i] = pr_xstrdup(*texts[i]);
    list->tallies = s_grow(list->tallies, list->tallies_count, sizeof copy);
    list->tallies[list->tallies_count++] = copy;
    *slot = (uint32_t)list->tallies_count;
}

static int s_pack_text(msgpack_packer *packer, const char *text) {
    return msgpack_pack_str_with_body(packer, text, strlen(text));
}

int pr_proof_list_pack(const pr_proof_list_t *list, void **ret_data, size_t *ret_size) {
    const char **texts[S_FAILURE_TEXTS];
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    int failed = msgpack_pack_array(&packer, S_LIST_ITEMS);
    failed |= msgpack_pack_uint64(&packer, list->failures_total);
    failed |= msgpack_pack_array(&packer, list->failures_count);
    for (size_t i = 0; i < list->failures_count; i++) {
        pr_failure_t failure = list->failures[i];
        s_failure_texts(&failure, texts);
        failed |= msgpack_pack_array(&packer, S_FAILURE_ITEMS);
        failed |= msgpack_pack_uint64(&packer, failure.kind);
        for (size_t j = 0; j < S_FAILURE_TEXTS; j++)
            failed |= s_pack_text(&packer, *texts[j]);
        failed |= msgpack_pack_uint64(&packer, failure.source);
        failed |= msgpack_pack_uint64(&packer, failure.offset);
    }
    failed |= msgpack_pack_array(&packer, list->findings_count);
    for (size_t i = 0; i < list->findings_count; i++) {
        pr_finding_t finding = list->findings[i];
        s_finding_texts(&finding, texts);
        failed |= msgpack_pack_array(&packer, S_FINDING_ITEMS);
        for (size_t j = 0; j < S_FINDING_TEXTS; j++)
            failed |= s_pack_text(&packer, *texts[j]);
        failed |= msgpack_pack_uint64(&packer, finding.count);
        failed |= msgpack_pack_uint64(&packer, finding.source);
        failed |= msgpack_pack_uint64(&packer, finding.ordinal);
    }
    failed |= msgpack_pack_array(&packer, list->tallies_count);
    for (size_t i = 0; i < list->tallies_count; i++) {
        pr_proof_tally_t tally = list->tallies[i];
        s_tally_texts(&tally, texts);
        failed |= msgpack_pack_array(&packer, S_TALLY_ITEMS);
        for (size_t j = 0; j < S_TALLY_TEXTS; j++)
            failed |= s_pack_text(&packer, *texts[j]);
        failed |= msgpack_pack_uint64(&packer, tally.count);
        failed |= msgpack_pack_uint64(&packer, tally.rows);
    }
    if (failed != 0)
        abort(); /* a growing buffer fails only when memory is out */
    *ret_size = buffer.size;
    *ret_data = msgpack_sbuffer_release(&buffer);
    return 0;
}

/* --- Reading hostile bytes --- */

typedef struct {
    const unsigned char *at;
    size_t left;
    bool bad; /* sticky: every read after it gives 0 or "" */
} s_cursor_t;

static uint64_t s_take(s_cursor_t *cursor, size_t bytes) {
    uint64_t value = 0;
    if (cursor->bad || cursor->left < bytes) {
        cursor->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | cursor->at[i];
    cursor->at += bytes;
    cursor->left -= bytes;
    return value;
}

static uint64_t s_take_unsigned(s_cursor_t *cursor) {
    unsigned head = (unsigned)s_take(cursor, 1);
    if (head < 0x80)
        return head;
    if (head >= 0xCC && head <= 0xCF)
        return s_take(cursor, (size_t)1 << (head - 0xCC));
    cursor->bad = true;
    return 0;
}

static uint64_t s_take_array(s_cursor_t *cursor) {
    unsigned head = (unsigned)s_take(cursor, 1);
    if (head >= 0x90 && head <= 0x9F)
        return head & 0x0F;
    if (head == 0xDC || head == 0xDD)
        return s_take(cursor, head == 0xDC ? 2 : 4);
    cursor->bad = true;
    return 0;
}

/* *Returns new* text, "" when bad. */
static char *s_take_text(s_cursor_t *cursor) {
    unsigned head = (unsigned)s_take(cursor, 1);
    uint64_t size = 0;
    if (head >= 0xA0 && head <= 0xBF)
        size = head & 0x1F;
    else if (head >= 0xD9 && head <= 0xDB)
        size = s_take(cursor, (size_t)1 << (head - 0xD9));
    else
        cursor->bad = true;
    if (cursor->bad || size > cursor->left || size > S_TEXT_MAX_BYTES ||
        memchr(cursor->at, '\0', (size_t)size) != NULL) {
        cursor->bad = true;
        return pr_xstrdup("");
    }
    char *text = s_copy((const char *)cursor->at, (size_t)size);
    cursor->at += size;
    cursor->left -= (size_t)size;
    return text;
}

static uint32_t s_take_u32(s_cursor_t *cursor) {
    uint64_t value = s_take_unsigned(cursor);
    cursor->bad |= value > UINT32_MAX;
    return (uint32_t)value;
}

static void s_take_items(s_cursor_t *cursor, uint64_t count) {
    cursor->bad |= s_take_array(cursor) != count;
}

static void s_take_failure(s_cursor_t *cursor, pr_proof_list_t *list) {
    const char **texts[S_FAILURE_TEXTS];
    pr_failure_t failure = {0};
    s_failure_texts(&failure, texts);
    s_take_items(cursor, S_FAILURE_ITEMS);
    failure.kind = s_take_u32(cursor);
    cursor->bad |= failure.kind < PR_FAILURE_MISMATCH || failure.kind > PR_FAILURE_WHOLE;
    for (size_t i = 0; i < S_FAILURE_TEXTS; i++)
        *texts[i] = s_take_text(cursor);
    failure.source = s_take_u32(cursor);
    failure.offset = s_take_unsigned(cursor);
    list->failures = s_grow(list->failures, list->failures_count, sizeof failure);
    list->failures[list->failures_count++] = failure;
}

static void s_take_finding(s_cursor_t *cursor, pr_proof_list_t *list) {
    const char **texts[S_FAILURE_TEXTS];
    pr_finding_t finding = {0};
    s_finding_texts(&finding, texts);
    s_take_items(cursor, S_FINDING_ITEMS);
    for (size_t i = 0; i < S_FINDING_TEXTS; i++)
        *texts[i] = s_take_text(cursor);
    finding.count = s_take_unsigned(cursor);
    finding.source = s_take_u32(cursor);
    finding.ordinal = s_take_unsigned(cursor);
    list->findings = s_grow(list->findings, list->findings_count, sizeof finding);
    list->findings[list->findings_count++] = finding;
}

/* One that stands there twice is counted together, as where it was made. */
static void s_take_tally(s_cursor_t *cursor, pr_proof_list_t *list) {
    const char **texts[S_TALLY_TEXTS];
    pr_proof_tally_t tally = {0};
    s_tally_texts(&tally, texts);
    s_take_items(cursor, S_TALLY_ITEMS);
    for (size_t i = 0; i < S_TALLY_TEXTS; i++)
        *texts[i] = s_take_text(cursor);
    tally.count = s_take_unsigned(cursor);
    tally.rows = s_take_unsigned(cursor);
    if (!cursor->bad)
        pr_proof_list_add_tally(list, &tally);
    for (size_t i = 0; i < S_TALLY_TEXTS; i++)
        free((void *)*texts[i]);
}

int pr_proof_list_unpack(const void *data, size_t size, pr_proof_list_t **ret_list, pr_error_t *err) {
    s_cursor_t cursor = {.at = data, .left = size};
    pr_proof_list_t *list = pr_proof_list_new(SIZE_MAX);
    s_take_items(&cursor, S_LIST_ITEMS);
    list->failures_total = s_take_unsigned(&cursor);
    uint64_t failures = s_take_array(&cursor);
    for (uint64_t i = 0; i < failures && !cursor.bad; i++)
        s_take_failure(&cursor, list);
    uint64_t findings = s_take_array(&cursor);
    for (uint64_t i = 0; i < findings && !cursor.bad; i++)
        s_take_finding(&cursor, list);
    uint64_t tallies = s_take_array(&cursor);
    for (uint64_t i = 0; i < tallies && !cursor.bad; i++)
        s_take_tally(&cursor, list);
    if (cursor.bad || cursor.left != 0 || list->failures_total < list->failures_count) {
        pr_proof_list_destroy(&list);
        return pr_error_set(err, PR_E_PROTOCOL, "%zu bytes are not a list of failures, findings and tallies", size);
    }
    *ret_list = list;
    return 0;
}
