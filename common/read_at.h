/* SPDX-License-Identifier: MIT */
/* Reading a whole piece of an open export. */
#ifndef PR_READ_AT_H
#define PR_READ_AT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/*  Read size bytes at offset of an open file, all of them. path: for the message. Blocks on the disk only.
 *  Returns 0, -PR_E_UNREADABLE, or -PR_E_SOURCE_CHANGED if the file ends before; data is then undefined. */
int pr_read_at(int file, const char *path, void *data, size_t size, uint64_t offset, pr_error_t *err);

#endif
