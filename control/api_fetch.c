/* SPDX-License-Identifier: MIT */
/* Asking the HUB's API, by libcurl. */
#include "control/api_fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"
#include "control/format.h"
#include "control/options.h"

enum { s_why_bytes = 512, s_first_bytes = 65536 };

static const char S_COMMAND[] = "verify"; /* whose help knows about --api */

struct pr_api_client {
    CURL *curl;
    struct curl_slist *headers;
    char *url;
    long timeout_s;
    pr_api_keep_going_fn *keep_going;
    void *context;
    char *answer; /* of the request at hand */
    size_t size, room;
    bool too_large;
    char why[s_why_bytes];
};

/* ---- the URL ---- */

static bool s_has_part(CURLU *parts, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(parts, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static int s_check_parts(CURLU *parts, const char *url, pr_error_t *err) {
    char *scheme = NULL;
    CURLUcode rc = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (rc != CURLUE_OK)
        return pr_options_wrong(S_COMMAND, err, "--api %s: is no URL: %s", url, curl_url_strerror(rc));
    int result = 0;
    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        result = pr_options_wrong(S_COMMAND, err, "--api %s: an http or https URL is expected", url);
    else if (s_has_part(parts, CURLUPART_USER) || s_has_part(parts, CURLUPART_PASSWORD)) /* not to be shown */
        result = pr_options_wrong(S_COMMAND, err, "--api: a URL without user and password is expected");
    else if (s_has_part(parts, CURLUPART_QUERY) || s_has_part(parts, CURLUPART_FRAGMENT))
        result = pr_options_wrong(S_COMMAND, err, "--api %s: a URL without ? and # is expected", url);
    curl_free(scheme);
    return result;
}

static int s_check_url(const char *url, pr_error_t *err) {
    CURLU *parts = curl_url();
    if (parts == NULL)
        abort(); /* out of memory */
    int result = s_check_parts(parts, url, err);
    curl_url_cleanup(parts);
    return result;
}

/* ---- the client ---- */

static size_t s_take(char *data, size_t unit, size_t count, void *context) {
    pr_api_client_t *self = context;
    size_t size = unit * count;
    if (size > PR_API_ANSWER_MAX_BYTES - self->size) {
        self->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    while (self->room - self->size < size) {
        self->room = self->room > 0 ? self->room * 2 : s_first_bytes;
        self->answer = pr_xrealloc(self->answer, self->room);
    }
    memcpy(self->answer + self->size, data, size);
    self->size += size;
    return size;
}

static int s_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
    pr_api_client_t *self = context;
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    return self->keep_going != NULL && !self->keep_going(self->context);
}

static void s_set_up(pr_api_client_t *self) {
    CURL *curl = self->curl;
    self->headers = curl_slist_append(NULL, "Accept: application/json");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pvrelay/" PVRELAY_VERSION);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                     self->timeout_s < PR_API_CONNECT_S ? self->timeout_s : (long)PR_API_CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, self->timeout_s);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, s_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, s_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, self);
}

int pr_api_client_new(const char *url, int64_t timeout_s, pr_api_keep_going_fn *keep_going, void *context,
                      pr_api_client_t **ret_client, pr_error_t *err) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return pr_error_set(err, PR_E_INTERNAL, "libcurl cannot be used");
    int result = s_check_url(url, err);
    if (result < 0) {
        curl_global_cleanup();
        return result;
    }
    pr_api_client_t *self = pr_xcalloc(1, sizeof *self);
    self->url = pr_xstrdup(url);
    for (size_t size = strlen(url); size > 0 && self->url[size - 1] == '/'; size--)
        self->url[size - 1] = '\0';
    self->timeout_s = (long)timeout_s;
    self->keep_going = keep_going;
    self->context = context;
    self->curl = curl_easy_init();
    if (self->curl == NULL)
        abort(); /* out of memory */
    s_set_up(self);
    *ret_client = self;
    return 0;
}

void pr_api_client_destroy(pr_api_client_t **client) {
    if (client == NULL || *client == NULL)
        return;
    pr_api_client_t *self = *client;
    curl_easy_cleanup(self->curl);
    curl_slist_free_all(self->headers);
    curl_global_cleanup();
    free(self->answer);
    free(self->url);
    free(self);
    *client = NULL;
}

const char *pr_api_client_url(const pr_api_client_t *client) {
    return client->url;
}

/* ---- a question ---- */

/* *Returns new*. */
static char *s_question(pr_api_client_t *self, const char *route, const pr_value_t *key) {
    if (key == NULL)
        return pr_xasprintf("%s%s", self->url, route);
    if (key->kind != PR_TEXT)
        return pr_xasprintf("%s%s%" PRId64, self->url, route, key->integer);
    if (key->text.size == 0) /* for which libcurl would take a length of 0 for "find it out" */
        return pr_xasprintf("%s%s", self->url, route);
    char *encoded = curl_easy_escape(self->curl, key->text.data, (int)key->text.size);
    char *question = pr_xasprintf("%s%s%s", self->url, route, encoded != NULL ? encoded : "");
    curl_free(encoded);
    return question;
}

/* What libcurl's failure means to the operator. */
static pr_api_outcome_t s_failed(pr_api_client_t *self, CURLcode rc) {
    long number = 0;
    if (self->too_large) {
        snprintf(self->why, sizeof self->why, "an answer of more than %s",
                 pr_format_bytes(PR_API_ANSWER_MAX_BYTES).text);
        return PR_API_NO_ANSWER;
    }
    if (rc == CURLE_OPERATION_TIMEDOUT)
        snprintf(self->why, sizeof self->why, "no whole answer within %ld s", self->timeout_s);
    else if (rc == CURLE_COULDNT_CONNECT && curl_easy_getinfo(self->curl, CURLINFO_OS_ERRNO, &number) == CURLE_OK &&
             number != 0)
        snprintf(self->why, sizeof self->why, "no connection: %s", strerror((int)number));
    else
        snprintf(self->why, sizeof self->why, "no answer: %s", curl_easy_strerror(rc));
    return PR_API_UNREACHABLE;
}

static pr_api_outcome_t s_read_answer(pr_api_client_t *self, json_t **ret_answer) {
    long status = 0;
    json_error_t wrong;
    curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        snprintf(self->why, sizeof self->why, "status %ld%s", status,
                 status >= 300 && status < 400 ? " (redirects are not followed)" : "");
        return PR_API_NO_ANSWER;
    }
    json_t *answer = json_loadb(self->size > 0 ? self->answer : "", self->size, JSON_ALLOW_NUL, &wrong);
    if (answer == NULL) {
        snprintf(self->why, sizeof self->why, "no JSON (line %d, column %d: %s)", wrong.line, wrong.column, wrong.text);
        pr_text_clean(self->why, sizeof self->why);
        return PR_API_NO_ANSWER;
    }
    *ret_answer = answer;
    return PR_API_ANSWER;
}

int pr_api_client_get(pr_api_client_t *self, const char *route, const pr_value_t *key, pr_api_outcome_t *ret_outcome,
                      json_t **ret_answer, const char **ret_why, pr_error_t *err) {
    char *question = s_question(self, route, key);
    self->size = 0;
    self->too_large = false;
    curl_easy_setopt(self->curl, CURLOPT_URL, question);
    CURLcode rc = curl_easy_perform(self->curl);
    free(question);
    if (rc == CURLE_ABORTED_BY_CALLBACK)
        return pr_error_set(err, PR_E_INTERRUPTED, "interrupted; nothing was written");
    *ret_outcome = rc == CURLE_OK ? s_read_answer(self, ret_answer) : s_failed(self, rc);
    *ret_why = self->why;
    return 0;
}
