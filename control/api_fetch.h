/* SPDX-License-Identifier: MIT */
/* Asking the HUB's API: one GET at a time, bounded in time and size. */
#ifndef PR_API_FETCH_H
#define PR_API_FETCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/value.h"

/* An answer larger than this is not taken. */
#define PR_API_ANSWER_MAX_BYTES (64U << 20)

enum {
    PR_API_CONNECT_S = 5, /* to be connected, at most */
    PR_API_TIMEOUT_S = 30 /* for a whole answer, if nothing else was asked for */
};

typedef struct pr_api_client pr_api_client_t;

typedef enum {
    PR_API_ANSWER,     /* JSON, with status 200 */
    PR_API_NO_ANSWER,  /* this question has none: another status, no JSON, too large */
    PR_API_UNREACHABLE /* the server is not there or does not answer in time: there is no use in asking on */
} pr_api_outcome_t;

/* Asked several times a second while waiting; false: give up. */
typedef bool pr_api_keep_going_fn(void *context);

/*  url: where the API's routes begin, "http://127.0.0.1:8787" or "https://hub.example/base"; no user, query or fragment.
 *  timeout_s: for each whole answer. keep_going: may be NULL. ret_client: *returns new*. -PR_E_USAGE. */
int pr_api_client_new(const char *url, int64_t timeout_s, pr_api_keep_going_fn *keep_going, void *context,
                      pr_api_client_t **ret_client, pr_error_t *err);
void pr_api_client_destroy(pr_api_client_t **client);

/* The URL without a slash at its end. Borrowed. */
const char *pr_api_client_url(const pr_api_client_t *client);

/*  GET URL + route + key (NULL: none; encoded for a path). Redirects are not followed. Blocks, within the timeout.
 *  ret_outcome: ret_answer *returns new* (json_decref) if it is PR_API_ANSWER; else ret_why says what there was instead,
 *  borrowed until the next call. -PR_E_INTERRUPTED: keep_going said so. */
int pr_api_client_get(pr_api_client_t *client, const char *route, const pr_value_t *key, pr_api_outcome_t *ret_outcome,
                      json_t **ret_answer, const char **ret_why, pr_error_t *err);

#endif
