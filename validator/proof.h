/* SPDX-License-Identifier: MIT */
/* The proof: stored rows, turned back into legacy records, against the export's own bytes. */
#ifndef PR_PROOF_H
#define PR_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/failure.h"
#include "common/mapping.h"
#include "common/position.h"

typedef struct pr_proof pr_proof_t;

/*  Open the proof of one run: the target, read-only, and the run's sources (pvrelay_source).
 *  mapping: borrowed until destroy. run_id: UUID, must be in pvrelay_run. */
int pr_proof_open(const char *target, const pr_mapping_t *mapping, const char *run_id, pr_proof_t **ret_proof,
                  pr_error_t *err);
void pr_proof_destroy(pr_proof_t **proof);

/*  Prove one commit, row by row. digest: of the export's bytes [range.begin, range.end); other bytes there now are
 *  -PR_E_SOURCE_CHANGED. rejected: how many of its records stand in pvrelay_reject instead of the data tables.
 *  list: failures and findings are added to it. ret_rows: records that were compared. */
int pr_proof_commit(pr_proof_t *proof, int64_t checkpoint, pr_range_t range, uint64_t digest, uint64_t rejected,
                    pr_proof_list_t *list, uint64_t *ret_rows, pr_error_t *err);

/*  Prove the whole: foreign_key_check, quick_check, accounts (read = written + unchanged + rejected per stream,
 *  against the plan), records present per stream, derived columns recomputed. */
int pr_proof_whole(pr_proof_t *proof, pr_proof_list_t *list, pr_error_t *err);

#endif
