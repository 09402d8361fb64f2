/* SPDX-License-Identifier: MIT */
/* The HUB's API against exports: what `pvrelay verify --api` asks, and in which order. */
#ifndef PR_API_CHECK_H
#define PR_API_CHECK_H

#include "control/api_compare.h"
#include "control/api_expect.h"
#include "control/api_fetch.h"

/*  Ask for the list and for each group that the exports hold, and compare. What cannot be had is a failure like what
 *  differs; when the server is not there or does not answer, the rest is not asked, and is one failure together.
 *  compare: its counts and its list are added to. -PR_E_INTERRUPTED. Blocks. */
int pr_api_check(pr_api_client_t *client, pr_api_compare_t *compare, pr_error_t *err);

#endif
