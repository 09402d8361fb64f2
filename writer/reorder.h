/* SPDX-License-Identifier: MIT */
/* The re-order buffer: batches that came before their turn. */
#ifndef PR_REORDER_H
#define PR_REORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/position.h"
#include "common/socket.h"

typedef struct pr_reorder pr_reorder_t;

/* A buffer for messages of at most max_bytes payload in all. *Returns new*. */
pr_reorder_t *pr_reorder_new(size_t max_bytes);
void pr_reorder_destroy(pr_reorder_t **reorder);

/*  Keep a ROWS message that is early. Takes its payload (frames_count becomes 0) and returns true; or returns false and
 *  takes nothing: one that begins there is kept already, or there is no room. */
bool pr_reorder_keep(pr_reorder_t *reorder, pr_range_t range, pr_inbound_t *inbound);

/*  Take out the message that begins at a position (normal); drops those that lie before it, counting their records.
 *  Returns true and ret_inbound, which is the caller's to release, or false. */
bool pr_reorder_take(pr_reorder_t *reorder, pr_position_t at, pr_inbound_t *ret_inbound, uint64_t *ret_dropped);

size_t pr_reorder_count(const pr_reorder_t *reorder);

#endif
