/* SPDX-License-Identifier: MIT */
/* The proof: stored rows, turned back into legacy records, against the export's own bytes. */
#ifndef PR_PROOF_H
#define PR_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/failure.h"
#include "common/mapping.h"
#include "common/plan.h"
#include "common/position.h"

typedef struct pr_proof pr_proof_t;

/*  Open the proof of one run: the target, read-only, and the run's sources (pvrelay_source).
 *  mapping: borrowed until destroy. run_id: UUID, must be in pvrelay_run. */
int pr_proof_open(const char *target, const pr_mapping_t *mapping, const char *run_id, pr_proof_t **ret_proof,
                  pr_error_t *err);

/*  Open the proof of exports, whatever run brought them in: the target, read-only, and the plan's sources. No run is
 *  needed, nor the tables of one. mapping: borrowed until destroy; plan: copied.
 */
int pr_proof_open_exports(const char *target, const pr_mapping_t *mapping, const pr_plan_t *plan,
                          pr_proof_t **ret_proof, pr_error_t *err);

/* Whether rows that no record of the exports proves are failures; otherwise, as at first, they are findings. */
void pr_proof_set_extra(pr_proof_t *proof, bool fail);

/* NULL-safe, sets *proof to NULL. */
void pr_proof_destroy(pr_proof_t **proof);

/* What the proof of a commit has read. */
typedef struct {
    uint64_t digest;   /* XXH3-64 of the export's bytes, as they are now */
    uint64_t rows;     /* records that were compared */
    uint64_t rejected; /* records found among the rejects */
    uint64_t
        rows_sum; /* sum of pr_proof_mix over the ids of the rows that the compared ones were found to be (pr_stream_own_row) */
} pr_proof_read_t;

/*  Prove one commit, row by row. Other bytes in [range.begin, range.end) of the export than those that were committed are
 *  -PR_E_SOURCE_CHANGED. rejected: how many of its records stand in pvrelay_reject instead of the data tables.
 *  list: failures, findings and tallies are added to it. */
int pr_proof_commit(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t rejected, pr_proof_list_t *list,
                    pr_proof_read_t *ret_read, pr_error_t *err);

/*  For a proof of exports: prove a range of whole records, outside any checkpoint, in a read transaction of its own.
 *  A record that cannot be proved and whose very bytes stand in pvrelay_reject, of a run that is not taken back, neither
 *  retried nor read again by a later run, counts as rejected; of any other one what differs is a failure, as it is if its bytes are no record. A rejected record that
 *  is proved all the same, because it was retried, counts as compared.
 *  list: failures, findings and tallies are added to it; give the same one for all ranges, in the order of the exports:
 *  failures of a record are taken out of it again when a later record with the same natural key is what is stored.
 *  ret_compared, ret_rejected: records; their sum is range.count. Errors: -PR_E_SOURCE_CHANGED if the bytes are not that
 *  many records any more. */
int pr_proof_range(pr_proof_t *proof, pr_range_t range, pr_proof_list_t *list, uint64_t *ret_compared,
                   uint64_t *ret_rejected, pr_error_t *err);

/*  Prove what the whole holds: foreign_key_check, derived columns recomputed, and what the list says of the export as a
 *  whole. Reads through no index that can be put off (common/deferred_index.h). For a proof of exports, list must hold the tallies of all ranges; for a proof of a run they are read from
 *  pvrelay_tally, and the accounts of the checkpoints (read = written + unchanged + rejected per stream, against the
 *  plan) are proved too. */
int pr_proof_content(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err);

/*  What the proof of the whole is over, for its verdict: batch checkpoints, their records, their rejects, as the books say
 *  now; and records tallied, and the checksum of their rows, as the last pr_proof_content found them: in the tables, where these agree
 *  with the tallies. */
enum { PR_PROOF_BOOKS = 5 };
int pr_proof_books(pr_proof_t *proof, uint64_t ret_numbers[PR_PROOF_BOOKS], pr_error_t *err);

/* Prove that the database file is sound: quick_check. */
int pr_proof_file(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err);

/* Prove both, at the same time. */
int pr_proof_whole(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err);

#endif
