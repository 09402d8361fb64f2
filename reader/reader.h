/* SPDX-License-Identifier: MIT */
/* The reader: export files to batches of raw records. */
#ifndef PR_READER_H
#define PR_READER_H

#include "common/daemon.h"

extern const pr_stage_ops_t pr_reader_ops;

#endif
