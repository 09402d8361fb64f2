/* SPDX-License-Identifier: MIT */
/* Descriptors: enough of them, and no end of the process when there are not. */
#ifndef PR_DESCRIPTORS_H
#define PR_DESCRIPTORS_H

#include "common/error.h"

/*  DESIGN
 *
 *  libzmq and czmq assert that there is a descriptor (measured with 4.3.4 and 4.2.1): zsock_new() aborts if there is none for
 *  the socket or its context, and a listener aborts if there is none for a connection, so that whoever may connect could end a
 *  stage by holding connections. Three remedies: the soft limit is raised to the hard one; before a socket is made we look
 *  whether there is room for it; and accept4(), which libzmq calls for every connection, is ours: without a descriptor it
 *  gives back one that was kept for this, takes the connection with it, closes it, and says that there was none.
 */

/* Raise the limit as far as it goes, and keep one descriptor back. To be called once, first of all. */
void pr_descriptors_raise(void);

/* Are there so many left, at most 512? -PR_E_CONFIG, with the limit. */
int pr_descriptors_check(unsigned wanted, pr_error_t *err);

/*  Are there enough for a process that takes part in a run with so many transformers, at most 64? With fewer the stages would
 *  shut each other out, and wait for ever. -PR_E_CONFIG. */
int pr_descriptors_check_run(unsigned transformers, pr_error_t *err);

#endif
