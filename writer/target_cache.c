/* SPDX-License-Identifier: MIT */
/* Natural key -> id, and the set of touched rows. */

/*  DESIGN
 *
 *  Entries stand in one array in the order in which they came, their keys in one buffer in the same order; buckets are
 *  chains of indexes with the newest first. So forgetting the newest ones, which a rollback asks for, takes them off the
 *  ends of array, buffer and chains, and nothing else moves. There is no LRU: a full cache is emptied, which costs a
 *  select per key once in 65,536 new keys.
 */
#include "writer/target_cache.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"

enum { NONE = UINT32_MAX };

typedef struct {
    uint64_t hash;
    int64_t id;
    size_t key; /* where its key begins in the buffer */
    size_t key_size;
    uint32_t next; /* older entry of the same bucket, or NONE */
} s_entry_t;

struct pr_id_cache {
    s_entry_t *entries;
    size_t count, max;
    uint32_t *buckets;
    size_t mask;
    char *keys;
    size_t keys_size, keys_max;
    char *scratch; /* the key asked for, packed */
    size_t scratch_size, scratch_room;
    uint64_t generation;
};

static size_t s_power(size_t at_least) {
    size_t power = 16;
    while (power < at_least)
        power *= 2;
    return power;
}

pr_id_cache_t *pr_id_cache_new(size_t entries, size_t bytes) {
    pr_id_cache_t *cache = pr_xcalloc(1, sizeof *cache);
    size_t buckets = s_power(entries * 2);
    cache->max = entries;
    cache->entries = pr_xcalloc(entries, sizeof *cache->entries);
    cache->buckets = pr_xmalloc(buckets * sizeof *cache->buckets);
    cache->mask = buckets - 1;
    cache->keys_max = bytes;
    cache->keys = pr_xmalloc(bytes);
    pr_id_cache_clear(cache);
    return cache;
}

void pr_id_cache_destroy(pr_id_cache_t **cache) {
    if (cache == NULL || *cache == NULL)
        return;
    free((*cache)->entries);
    free((*cache)->buckets);
    free((*cache)->keys);
    free((*cache)->scratch);
    free(*cache);
    *cache = NULL;
}

void pr_id_cache_clear(pr_id_cache_t *cache) {
    cache->count = 0;
    cache->keys_size = 0;
    cache->generation++;
    memset(cache->buckets, 0xff, (cache->mask + 1) * sizeof *cache->buckets);
}

static void s_pack_bytes(pr_id_cache_t *cache, const void *data, size_t size) {
    if (cache->scratch_room - cache->scratch_size < size) {
        cache->scratch_room = s_power(cache->scratch_size + size);
        cache->scratch = pr_xrealloc(cache->scratch, cache->scratch_room);
    }
    if (size > 0)
        memcpy(cache->scratch + cache->scratch_size, data, size);
    cache->scratch_size += size;
}

/* Pack space and key so that different ones never pack alike: kind and length stand before the content. */
static uint64_t s_pack(pr_id_cache_t *cache, unsigned space, const pr_value_t *const *key, size_t count) {
    cache->scratch_size = 0;
    s_pack_bytes(cache, &space, sizeof space);
    for (size_t i = 0; i < count; i++) {
        s_pack_bytes(cache, &key[i]->kind, sizeof key[i]->kind);
        switch (key[i]->kind) {
        case PR_NULL:
            break;
        case PR_INTEGER:
            s_pack_bytes(cache, &key[i]->integer, sizeof key[i]->integer);
            break;
        case PR_REAL:
            s_pack_bytes(cache, &key[i]->real, sizeof key[i]->real);
            break;
        case PR_TEXT:
            s_pack_bytes(cache, &key[i]->text.size, sizeof key[i]->text.size);
            s_pack_bytes(cache, key[i]->text.data, key[i]->text.size);
            break;
        }
    }
    return XXH3_64bits(cache->scratch, cache->scratch_size);
}

bool pr_id_cache_get(pr_id_cache_t *cache, unsigned space, const pr_value_t *const *key, size_t count,
                     int64_t *ret_id) {
    uint64_t hash = s_pack(cache, space, key, count);
    for (uint32_t i = cache->buckets[hash & cache->mask]; i != NONE; i = cache->entries[i].next) {
        const s_entry_t *entry = &cache->entries[i];
        if (entry->hash == hash && entry->key_size == cache->scratch_size &&
            memcmp(cache->keys + entry->key, cache->scratch, cache->scratch_size) == 0) {
            *ret_id = entry->id;
            return true;
        }
    }
    return false;
}

void pr_id_cache_put(pr_id_cache_t *cache, unsigned space, const pr_value_t *const *key, size_t count, int64_t id) {
    uint64_t hash = s_pack(cache, space, key, count);
    if (cache->scratch_size > cache->keys_max / 16)
        return;
    if (cache->count == cache->max || cache->keys_max - cache->keys_size < cache->scratch_size)
        pr_id_cache_clear(cache);
    uint32_t *bucket = &cache->buckets[hash & cache->mask];
    cache->entries[cache->count] =
        (s_entry_t){.hash = hash, .id = id, .key = cache->keys_size, .key_size = cache->scratch_size, .next = *bucket};
    *bucket = (uint32_t)cache->count;
    memcpy(cache->keys + cache->keys_size, cache->scratch, cache->scratch_size);
    cache->keys_size += cache->scratch_size;
    cache->count++;
}

pr_id_cache_mark_t pr_id_cache_mark(const pr_id_cache_t *cache) {
    return (pr_id_cache_mark_t){.generation = cache->generation, .entries = cache->count};
}

void pr_id_cache_rewind(pr_id_cache_t *cache, pr_id_cache_mark_t mark) {
    if (mark.generation != cache->generation) {
        pr_id_cache_clear(cache);
        return;
    }
    while (cache->count > mark.entries) {
        const s_entry_t *entry = &cache->entries[--cache->count];
        cache->buckets[entry->hash & cache->mask] = entry->next;
        cache->keys_size = entry->key;
    }
}

typedef struct {
    int64_t id;
    unsigned table; /* 0: free; table + 1 */
} s_slot_t;

struct pr_id_set {
    s_slot_t *slots;
    size_t mask, count, max;
    int64_t last_id; /* records of one audit follow each other: the last one is asked for most */
    unsigned last_table;
};

pr_id_set_t *pr_id_set_new(size_t entries) {
    pr_id_set_t *set = pr_xcalloc(1, sizeof *set);
    size_t slots = s_power(entries * 2);
    set->slots = pr_xcalloc(slots, sizeof *set->slots);
    set->mask = slots - 1;
    set->max = entries;
    return set;
}

void pr_id_set_destroy(pr_id_set_t **set) {
    if (set == NULL || *set == NULL)
        return;
    free((*set)->slots);
    free(*set);
    *set = NULL;
}

void pr_id_set_clear(pr_id_set_t *set) {
    memset(set->slots, 0, (set->mask + 1) * sizeof *set->slots);
    set->count = 0;
    set->last_table = 0;
}

/* The slot that holds it, or the free one where it would stand. */
static s_slot_t *s_slot(const pr_id_set_t *set, unsigned table, int64_t id) {
    uint64_t hash = XXH3_64bits_withSeed(&id, sizeof id, table);
    size_t i = hash & set->mask;
    while (set->slots[i].table != 0 && (set->slots[i].table != table + 1 || set->slots[i].id != id))
        i = (i + 1) & set->mask;
    return &set->slots[i];
}

bool pr_id_set_add(pr_id_set_t *set, unsigned table, int64_t id) {
    if (set->last_table == table + 1 && set->last_id == id)
        return false;
    s_slot_t *slot = s_slot(set, table, id);
    bool is_new = slot->table == 0;
    if (is_new && set->count == set->max) {
        pr_id_set_clear(set);
        slot = s_slot(set, table, id);
    }
    if (is_new) {
        *slot = (s_slot_t){.id = id, .table = table + 1};
        set->count++;
    }
    set->last_table = table + 1;
    set->last_id = id;
    return is_new;
}
