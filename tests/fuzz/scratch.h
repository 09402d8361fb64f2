/* SPDX-License-Identifier: MIT */
/* A folder in memory for fuzz targets whose code under test wants a path, and files in it that are rewritten in place. */
#ifndef PR_FUZZ_SCRATCH_H
#define PR_FUZZ_SCRATCH_H

#include <stddef.h>

/*  Make the folder, in /dev/shm if that is there, else in /tmp; it is removed, with its files, when the process exits.
 *  Aborts on failure. Returns its path, borrowed. */
const char *pr_scratch_dir(void);

/*  Give the file `name` of the folder this content. It stays open, so that one execution costs no open, no close and no
 *  removal. Aborts on failure. Returns its path, borrowed. */
const char *pr_scratch_file(const char *name, const void *data, size_t size);

/* Remove all that stands below the folder. */
void pr_scratch_clear(void);

#endif
