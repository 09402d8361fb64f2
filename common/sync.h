/* SPDX-License-Identifier: MIT */
/* What was written is on the disk. */
#ifndef PR_SYNC_H
#define PR_SYNC_H

/*  See a folder's entries on the disk, or a file's content. Returns 0, or -1 with errno. A filesystem that has no such thing
 *  for folders keeps its entries in its own way: that is no failure. */
int pr_sync_path(const char *path);

/* See the folder that an entry is in on the disk. */
int pr_sync_parent(const char *path);

#endif
