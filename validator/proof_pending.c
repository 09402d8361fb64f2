/* SPDX-License-Identifier: MIT */
/* Records that failed, by natural key: if a later record with the same key is what is stored, they were overwritten. */
#include "validator/proof_pending.h"

/*  DESIGN
 *
 *  The same natural key can stand twice in the exports; the later record wins in the target, and the earlier one is then
 *  not what is stored. To know all keys would take memory by the record. Only those of records that failed are kept,
 *  and each later record is asked whether it has one of them: so nothing is paid while nothing fails, and nothing that
 *  fails goes unseen unless the record that overwrote it has itself been proved.
 *
 *  Keys are known by 128 bits of hash.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/position.h"
#include "validator/inverse.h"

enum { S_MAX = 100000, S_SLOTS = 1 << 15, S_KEY_BYTES = 512 };

typedef struct {
    XXH128_hash_t key;
    pr_position_t place;
    uint64_t by_kind[PR_FAILURE_KINDS]; /* its failures */
    bool settled;
    uint32_t next; /* of the same slot: index + 1; 0: none */
} s_record_t;

struct pr_pending {
    const pr_stream_t *stream;
    XXH3_state_t *hash; /* room to work in */
    uint32_t *slots;    /* index + 1 of the newest; 0: none */
    s_record_t *records;
    size_t count;
    size_t room;
    size_t open; /* not settled */
};

pr_pending_t *pr_pending_new(const pr_stream_t *stream) {
    pr_pending_t *pending = pr_xcalloc(1, sizeof *pending);
    pending->stream = stream;
    pending->hash = XXH3_createState();
    if (pending->hash == NULL)
        abort(); /* memory is out */
    return pending;
}

void pr_pending_destroy(pr_pending_t **pending) {
    if (pending == NULL || *pending == NULL)
        return;
    XXH3_freeState((*pending)->hash);
    free((*pending)->slots);
    free((*pending)->records);
    free(*pending);
    *pending = NULL;
}

void pr_pending_clear(pr_pending_t *pending) {
    if (pending->count > 0)
        memset(pending->slots, 0, S_SLOTS * sizeof *pending->slots);
    pending->count = 0;
    pending->open = 0;
}

size_t pr_pending_count(const pr_pending_t *pending) {
    return pending->open;
}

/* Kind and size go in front of each value, so that no two keys are the same bytes. */
static XXH128_hash_t s_hash(const pr_pending_t *pending, const pr_value_t *values) {
    const pr_stream_t *stream = pending->stream;
    XXH3_128bits_reset(pending->hash);
    for (size_t i = 0; i < stream->key_count; i++) {
        const pr_value_t *value = &values[stream->key[i]];
        uint64_t head[2] = {(uint64_t)value->kind, value->kind == PR_TEXT ? value->text.size : 0};
        XXH3_128bits_update(pending->hash, head, sizeof head);
        if (value->kind == PR_TEXT)
            XXH3_128bits_update(pending->hash, value->text.data, value->text.size);
        else if (value->kind == PR_INTEGER)
            XXH3_128bits_update(pending->hash, &value->integer, sizeof value->integer);
        else if (value->kind == PR_REAL)
            XXH3_128bits_update(pending->hash, &value->real, sizeof value->real);
    }
    return XXH3_128bits_digest(pending->hash);
}

static uint32_t *s_slot(const pr_pending_t *pending, XXH128_hash_t key) {
    return &pending->slots[key.low64 % S_SLOTS];
}

void pr_pending_add(pr_pending_t *pending, const pr_value_t *values, pr_position_t place,
                    const uint64_t by_kind[PR_FAILURE_KINDS]) {
    if (pending->count == S_MAX)
        return;
    if (pending->slots == NULL)
        pending->slots = pr_xcalloc(S_SLOTS, sizeof *pending->slots);
    if (pending->count == pending->room) {
        pending->room = pending->room > 0 ? pending->room * 2 : 64;
        pending->records = pr_xrealloc(pending->records, pending->room * sizeof *pending->records);
    }
    XXH128_hash_t key = s_hash(pending, values);
    uint32_t *slot = s_slot(pending, key);
    s_record_t *record = &pending->records[pending->count++];
    *record = (s_record_t){.key = key, .place = place, .next = *slot};
    memcpy(record->by_kind, by_kind, sizeof record->by_kind);
    *slot = (uint32_t)pending->count;
    pending->open++;
}

bool pr_pending_has(const pr_pending_t *pending, const pr_value_t *values) {
    if (pending->open == 0)
        return false;
    XXH128_hash_t key = s_hash(pending, values);
    for (uint32_t at = *s_slot(pending, key); at != 0; at = pending->records[at - 1].next)
        if (!pending->records[at - 1].settled && XXH128_isEqual(pending->records[at - 1].key, key))
            return true;
    return false;
}

char *pr_pending_fields(const pr_pending_t *pending, char *buffer, size_t size) {
    size_t at = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < pending->stream->key_count; i++) {
        int printed = snprintf(buffer + at, size - at, "%s%s", i > 0 ? ", " : "",
                               pending->stream->fields[pending->stream->key[i]].name);
        at = at + (size_t)printed < size ? at + (size_t)printed : size - 1;
    }
    return buffer;
}

static void s_report(const pr_pending_t *pending, const s_record_t *record, const pr_value_t *values,
                     pr_position_t place, pr_proof_list_t *list) {
    char key[S_KEY_BYTES];
    char detail[S_KEY_BYTES + 256];
    char field[256];
    pr_pending_fields(pending, field, sizeof field);
    snprintf(detail, sizeof detail, "%s: %s is overwritten by %s",
             pr_inverse_key(pending->stream, values, key, sizeof key), pr_position_text(record->place).text,
             pr_position_text(place).text);
    pr_finding_t finding = {.kind = "duplicate_key",
                            .stream = pending->stream->name,
                            .field = field,
                            .detail = detail,
                            .count = 1,
                            .source = record->place.source,
                            .ordinal = record->place.ordinal};
    pr_proof_list_add_finding(list, &finding);
}

uint64_t pr_pending_settle(pr_pending_t *pending, const pr_value_t *values, pr_position_t place,
                           pr_proof_list_t *list) {
    XXH128_hash_t key = s_hash(pending, values);
    uint64_t settled = 0;
    for (uint32_t at = *s_slot(pending, key); at != 0; at = pending->records[at - 1].next) {
        s_record_t *record = &pending->records[at - 1];
        if (record->settled || !XXH128_isEqual(record->key, key) || pr_position_compare(place, record->place) <= 0)
            continue;
        pr_proof_list_remove(list, record->place.source, record->place.offset, record->by_kind);
        s_report(pending, record, values, place, list);
        for (size_t i = 0; i < PR_FAILURE_KINDS; i++)
            settled += record->by_kind[i];
        record->settled = true;
        pending->open--;
    }
    return settled;
}
