/* SPDX-License-Identifier: MIT */
/* The plan of a run: its sources in the order in which they are applied. */
#include "common/plan.h"

#include <endian.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/utf8.h"

pr_plan_t *pr_plan_new(void) {
    return pr_xcalloc(1, sizeof(pr_plan_t));
}

void pr_plan_destroy(pr_plan_t **plan) {
    if (plan == NULL || *plan == NULL) {
        return;
    }
    for (uint32_t i = 0; i < (*plan)->count; i++) {
        free((*plan)->sources[i].path);
        free((*plan)->sources[i].stream);
    }
    free((*plan)->sources);
    free((*plan)->records);
    free(*plan);
    *plan = NULL;
}

void pr_plan_add(pr_plan_t *plan, const pr_plan_source_t *source) {
    size_t count = (size_t)plan->count + 1;
    plan->sources = pr_xrealloc(plan->sources, count * sizeof *plan->sources);
    plan->records = pr_xrealloc(plan->records, count * sizeof *plan->records);
    pr_plan_source_t copy = *source;
    copy.path = pr_xstrdup(source->path);
    copy.stream = pr_xstrdup(source->stream);
    plan->sources[plan->count] = copy;
    plan->records[plan->count] = source->records;
    plan->count++;
}

static void s_hash_number(XXH3_state_t *hash, uint64_t number) {
    number = htole64(number);
    (void)XXH3_64bits_update(hash, &number, sizeof number);
}

/* mtime is left out: a copied or restored file is the same source if its bytes are. */
uint64_t pr_plan_digest(const pr_plan_t *plan) {
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL) {
        abort();
    }
    (void)XXH3_64bits_reset(hash);
    for (uint32_t i = 0; i < plan->count; i++) {
        const pr_plan_source_t *source = &plan->sources[i];
        /* With their final NUL, so that no two plans give the same bytes. */
        (void)XXH3_64bits_update(hash, source->path, strlen(source->path) + 1);
        (void)XXH3_64bits_update(hash, source->stream, strlen(source->stream) + 1);
        s_hash_number(hash, source->size);
        s_hash_number(hash, source->digest);
        s_hash_number(hash, source->records);
    }
    uint64_t digest = XXH3_64bits_digest(hash);
    XXH3_freeState(hash);
    return digest;
}

#define GO_ON "give the exports as they were, or begin anew with --restart"

/* "the modules of /x/modules.json" */
static void s_source_name(const pr_plan_source_t *source, char *ret_name, size_t room) {
    (void)snprintf(ret_name, room, "%s of %s", source->stream[0] != '\0' ? source->stream : "nothing", source->path);
}

static int s_source_compare(uint32_t index, const pr_plan_source_t *begun, const pr_plan_source_t *now,
                            pr_error_t *err) {
    if (strcmp(begun->path, now->path) != 0 || strcmp(begun->stream, now->stream) != 0) {
        char was[400], is[400];
        s_source_name(begun, was, sizeof was);
        s_source_name(now, is, sizeof is);
        return pr_error_set(err, PR_E_SOURCE_CHANGED, "source %" PRIu32 " was %s, is %s; " GO_ON, index + 1, was, is);
    }
    if (begun->size != now->size) {
        return pr_error_set(err, PR_E_SOURCE_CHANGED, "%s: was %" PRIu64 " bytes, is %" PRIu64 "; " GO_ON, now->path,
                            begun->size, now->size);
    }
    if (begun->digest != now->digest) {
        return pr_error_set(err, PR_E_SOURCE_CHANGED,
                            "%s: is as long as it was, but its content changed (digest %016" PRIx64 ", now %016" PRIx64
                            "); " GO_ON,
                            now->path, begun->digest, now->digest);
    }
    if (begun->records != now->records) {
        return pr_error_set(err, PR_E_SOURCE_CHANGED,
                            "%s: had %" PRIu64 " records of %s, has %" PRIu64
                            " by the mapping as it is now; begin anew with --restart",
                            now->path, begun->records, now->stream, now->records);
    }
    /* The same bytes and the same --null-text decide it, so another version of the program began the run. */
    if (begun->null_text != now->null_text) {
        return pr_error_set(
            err, PR_E_SOURCE_CHANGED,
            "%s: the text \"null\" in %s was %s when the run began, is %s now; begin anew with --restart", now->path,
            now->stream, begun->null_text ? "NULL" : "text", now->null_text ? "NULL" : "text");
    }
    return 0;
}

/* mtime is not compared: the digest tells whether the content is the same, whenever it was written. */
int pr_plan_compare(const pr_plan_t *begun, const pr_plan_t *now, pr_error_t *err) {
    for (uint32_t i = 0; i < begun->count && i < now->count; i++) {
        int rc = s_source_compare(i, &begun->sources[i], &now->sources[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    if (begun->count != now->count) {
        bool more = now->count > begun->count;
        const pr_plan_t *longer = more ? now : begun;
        char name[400];
        s_source_name(&longer->sources[more ? begun->count : now->count], name, sizeof name);
        return pr_error_set(err, PR_E_SOURCE_CHANGED, "had %" PRIu32 " sources, are %" PRIu32 " (%s: %s); " GO_ON,
                            begun->count, now->count, more ? "new" : "gone", name);
    }
    return 0;
}

int pr_plan_check_given(const pr_plan_t *plan, size_t given, pr_error_t *err) {
    size_t planned = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t before = 0;
        while (before < i && strcmp(plan->sources[before].path, plan->sources[i].path) != 0) {
            before++;
        }
        planned += before == i;
    }
    if (planned == given) {
        return 0;
    }
    return pr_error_set(err, PR_E_INTERNAL, "%zu exports were given, but %zu are planned; report it", given, planned);
}

/* ---- JSON ---- */

/* Can a source be said in JSON as it is? A path must come out as it went in, and jansson's integers are signed. */
static int s_source_check(const pr_plan_source_t *source, pr_error_t *err) {
    if (!pr_utf8_is_valid(source->path, strlen(source->path)) ||
        !pr_utf8_is_valid(source->stream, strlen(source->stream))) {
        return pr_error_set(err, PR_E_USAGE, "%s: the path is not valid UTF-8; rename the file or its folder",
                            source->path);
    }
    if (source->size > INT64_MAX || source->records > INT64_MAX || source->bytes > INT64_MAX) {
        return pr_error_set(err, PR_E_UNREADABLE, "%s: is larger than 2^63 bytes or records", source->path);
    }
    return 0;
}

static json_t *s_source_to_json(const pr_plan_source_t *source) {
    char digest[17];
    (void)snprintf(digest, sizeof digest, "%016" PRIx64, source->digest);
    return pr_json_pack("{s:s, s:s, s:I, s:I, s:s, s:b, s:I, s:I}", "path", source->path, "stream", source->stream,
                        "size", (json_int_t)source->size, "mtime_ns", (json_int_t)source->mtime_ns, "digest", digest,
                        "null_text", source->null_text ? 1 : 0, "records", (json_int_t)source->records, "bytes",
                        (json_int_t)source->bytes);
}

int pr_plan_to_json(const pr_plan_t *plan, char **ret_json, size_t *ret_size, pr_error_t *err) {
    json_t *sources = json_array();
    int rc = 0;
    for (uint32_t i = 0; i < plan->count && rc == 0; i++) {
        rc = s_source_check(&plan->sources[i], err);
        if (rc == 0) {
            pr_json_append(sources, s_source_to_json(&plan->sources[i]));
        }
    }
    json_t *whole = pr_json_pack("{s:o}", "sources", sources);
    if (rc == 0) {
        *ret_json = pr_json_dump(whole, JSON_COMPACT);
        *ret_size = strlen(*ret_json);
    }
    json_decref(whole);
    return rc;
}

static bool s_get_text(const json_t *object, const char *key, const char **ret_text) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) {
        return false;
    }
    *ret_text = json_string_value(value);
    return true;
}

static bool s_get_number(const json_t *object, const char *key, uint64_t *ret_number) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *ret_number = (uint64_t)json_integer_value(value);
    return true;
}

static bool s_get_digest(const json_t *object, const char *key, uint64_t *ret_digest) {
    const char *text;
    if (!s_get_text(object, key, &text) || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
        return false;
    }
    *ret_digest = strtoull(text, NULL, 16);
    return true;
}

/* Read one source; its strings are borrowed from json. Returns what is wrong with it, NULL: nothing. */
static const char *s_source_from_json(const json_t *json, pr_plan_source_t *ret_source) {
    pr_plan_source_t source = {0};
    const char *path;
    const char *stream;
    if (!json_is_object(json) || json_object_size(json) != 8) {
        return "is not an object of 8 members";
    }
    if (!s_get_text(json, "path", &path) || !s_get_text(json, "stream", &stream)) {
        return "has no path or stream";
    }
    if (!s_get_number(json, "size", &source.size) || !s_get_number(json, "records", &source.records) ||
        !s_get_number(json, "bytes", &source.bytes)) {
        return "has no size, records or bytes";
    }
    const json_t *mtime = json_object_get(json, "mtime_ns");
    const json_t *null_text = json_object_get(json, "null_text");
    if (!json_is_integer(mtime) || !json_is_boolean(null_text) || !s_get_digest(json, "digest", &source.digest)) {
        return "has no mtime_ns, null_text or digest";
    }
    source.mtime_ns = json_integer_value(mtime);
    source.null_text = json_is_true(null_text);
    source.path = (char *)(uintptr_t)path; /* pr_plan_add copies */
    source.stream = (char *)(uintptr_t)stream;
    *ret_source = source;
    return NULL;
}

/* Add what the array holds to the plan. */
static int s_sources_from_json(const json_t *sources, pr_plan_t *plan, pr_error_t *err) {
    uint64_t records = 0;
    size_t i;
    const json_t *json;
    json_array_foreach(sources, i, json) {
        pr_plan_source_t source;
        const char *wrong = s_source_from_json(json, &source);
        if (wrong != NULL) {
            return pr_error_set(err, PR_E_PROTOCOL, "plan: source %zu %s", i + 1, wrong);
        }
        /* Each is below 2^63, so the sum of two cannot wrap; positions count over all sources. */
        records += source.records;
        if (records > INT64_MAX) {
            return pr_error_set(err, PR_E_PROTOCOL, "plan: source %zu brings the records above 2^63", i + 1);
        }
        pr_plan_add(plan, &source);
    }
    return 0;
}

int pr_plan_from_json(const char *json, size_t size, pr_plan_t **ret_plan, pr_error_t *err) {
    json_error_t problem;
    json_t *whole = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    if (whole == NULL) {
        return pr_error_set(err, PR_E_PROTOCOL, "plan: byte %d: %s", problem.position, problem.text);
    }
    const json_t *sources = json_object_get(whole, "sources");
    int rc = 0;
    pr_plan_t *plan = pr_plan_new();
    if (!json_is_array(sources) || json_object_size(whole) != 1) {
        rc = pr_error_set(err, PR_E_PROTOCOL, "plan: is not an object with the one member \"sources\", an array");
    } else {
        rc = s_sources_from_json(sources, plan, err);
    }
    json_decref(whole);
    if (rc < 0) {
        pr_plan_destroy(&plan);
        return rc;
    }
    *ret_plan = plan;
    return 0;
}
