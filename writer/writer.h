/* SPDX-License-Identifier: MIT */
/* The writer: rows into the target, one batch a transaction; where the run stands, to everyone. */
#ifndef PR_WRITER_H
#define PR_WRITER_H

#include "common/daemon.h"

extern const pr_stage_ops_t pr_writer_ops;

#endif
