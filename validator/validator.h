/* SPDX-License-Identifier: MIT */
/* The validator: every commit, read back and compared with the export. */
#ifndef PR_VALIDATOR_H
#define PR_VALIDATOR_H

#include "common/daemon.h"

extern const pr_stage_ops_t pr_validator_ops;

#endif
