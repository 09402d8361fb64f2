/* SPDX-License-Identifier: MIT */
/* The transformer: batches of raw records to rows. */
#ifndef PR_TRANSFORMER_H
#define PR_TRANSFORMER_H

#include "common/daemon.h"

extern const pr_stage_ops_t pr_transformer_ops;

#endif
