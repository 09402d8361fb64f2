/* SPDX-License-Identifier: MIT */
/* Making files: the one place where the project does. */
#ifndef PR_FILE_H
#define PR_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/*  DESIGN
 *
 *  A file may be made in a folder that others can write, too (a report's). There a link may be planted at any name that can
 *  be foreseen, and whoever opens it writes somewhere else. So a file is made with O_EXCL and O_NOFOLLOW under a name that
 *  nobody can know, and then renamed, which replaces a link and does not follow it. A crash leaves the file with the odd
 *  name behind (PATH.0123456789abcdef.new); nothing reads it.
 */

/*  Write a file, whole or not at all; what stood at path is replaced. mode: less the umask. durable: it is on the disk when
 *  this returns. 0, or -1 with errno; then what stood at path still
 *  does, unless it was the folder that could not be synced. */
int pr_file_write(const char *path, const void *data, size_t size, mode_t mode, int durable);

/* pr_file_write of a text. */
int pr_file_write_text(const char *path, const char *text, mode_t mode, int durable);

/*  Make an empty file to be written in place; what stood at path is removed. For folders of our own. NULL with errno.
 *  *Returns new* (fclose). */
FILE *pr_file_create(const char *path, mode_t mode);

#endif
