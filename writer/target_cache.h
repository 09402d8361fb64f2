/* SPDX-License-Identifier: MIT */
/* What the target remembers between records: ids by natural key, and which rows are noted as touched. Bounded. */
#ifndef PR_TARGET_CACHE_H
#define PR_TARGET_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/value.h"

/* Natural key -> id. A space is one meaning of a key: a row of the mapping, or a lookup. */
typedef struct pr_id_cache pr_id_cache_t;

/* A cache of at most `entries` keys (1 to 2^31) that together take at most `bytes`; when full it is emptied. *Returns
 * new*. */
pr_id_cache_t *pr_id_cache_new(size_t entries, size_t bytes);
void pr_id_cache_destroy(pr_id_cache_t **cache);

/*  Look a key up. key: array of count pointers to values, borrowed for the call.
 *  ret_id: untouched if it is not there. */
bool pr_id_cache_get(pr_id_cache_t *cache, unsigned space, const pr_value_t *const *key, size_t count, int64_t *ret_id);

/*  Remember a key; copies it. The key must not be in the cache (get has just said so). One that is longer than a
 *  sixteenth of the bytes is not remembered. */
void pr_id_cache_put(pr_id_cache_t *cache, unsigned space, const pr_value_t *const *key, size_t count, int64_t id);

/* A mark, and back to it: what was put in since is forgotten. If the cache was emptied since, all of it is. */
typedef struct {
    uint64_t generation;
    size_t entries;
} pr_id_cache_mark_t;
pr_id_cache_mark_t pr_id_cache_mark(const pr_id_cache_t *cache);
void pr_id_cache_rewind(pr_id_cache_t *cache, pr_id_cache_mark_t mark);

void pr_id_cache_clear(pr_id_cache_t *cache);

/* A set of (table, id) that forgets: when full it is emptied. It only guards against doing idempotent work again. */
typedef struct pr_id_set pr_id_set_t;
pr_id_set_t *pr_id_set_new(size_t entries);
void pr_id_set_destroy(pr_id_set_t **set);
/* Add; false if it was there already. */
bool pr_id_set_add(pr_id_set_t *set, unsigned table, int64_t id);
void pr_id_set_clear(pr_id_set_t *set);

#endif
