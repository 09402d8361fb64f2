/* SPDX-License-Identifier: MIT */
/* The configuration of a run, from and to JSON. */
#include "common/config.h"

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/file.h"
#include "common/json.h"
#include "common/lock_wait.h"
#include "common/message.h"
#include "common/suggest.h"
#include "common/text.h"
#include "common/utf8.h"

/*  Whole-number settings: key, member, type, least, most */
#define PR_CONFIG_NUMBERS(X)                                                                                           \
    X("transformers", transformers, uint32_t, 1, 64)                                                                   \
    X("max_rejects", max_rejects, int64_t, -1, INT64_MAX)                                                              \
    X("retries_through", retries_through, int64_t, 0, INT64_MAX)                                                       \
    X("batch_bytes", batch_bytes, uint32_t, 1, 16 << 20)                                                               \
    X("window_bytes", window_bytes, uint64_t, 1 << 16, INT64_C(1) << 32)                                               \
    X("heartbeat_ms", heartbeat_ms, uint32_t, 10, 10000)                                                               \
    X("resend_ms", resend_ms, uint32_t, 50, 600000)                                                                    \
    X("lock_wait_s", lock_wait_s, int64_t, -1, PR_CONFIG_LOCK_WAIT_MOST_S)                                             \
    X("linger_ms", linger_ms, uint32_t, 0, 600000)

/*  Settings of one of two words: key, member (bool), the word for false, which is the default, and for true */
#define PR_CONFIG_WORDS(X)                                                                                             \
    X("undo", undo_off, "on", "off")                                                                                   \
    X("on_validation_failure", rollback_on_failure, "stop", "rollback")                                                \
    X("on_reject_limit", rollback_on_reject_limit, "stop", "rollback")                                                 \
    X("extra", extra_fail, "report", "fail")

/* The words of "on_foreign_change", by policy. */
static const char *const S_FOREIGN_WORDS[] = {
#define X(name, word) word,
    PR_FOREIGN_POLICIES(X)
#undef X
        NULL};

/*  Settings of one of several words: key, member, type, the words in the type's order, NULL-terminated */
#define PR_CONFIG_CHOICES(X)                                                                                           \
    X("null_text", null_text, pr_null_text_t, pr_null_text_words)                                                      \
    X("on_foreign_change", on_foreign_change, pr_foreign_policy_t, S_FOREIGN_WORDS)

/*  Path settings: key, member */
#define PR_CONFIG_PATHS(X)                                                                                             \
    X("target", target)                                                                                                \
    X("mapping", mapping)                                                                                              \
    X("migrations", migrations)                                                                                        \
    X("reports", reports)                                                                                              \
    X("run_dir", run_dir)

/* Where the configurations of managed runs lie, and their run folders. */
#define PR_CONFIG_MANAGED     "/etc/pvrelay/"
#define PR_CONFIG_MANAGED_RUN "/run/pvrelay/"

pr_config_t *pr_config_new(void) {
    pr_config_t *config = pr_xcalloc(1, sizeof *config);
    config->transformers = 1;
    config->max_rejects = -1;
    /* Measured: commits of 2,500 records cost 3 % more than of 5,000, and the pipeline fills sooner. */
    config->batch_bytes = 1 << 20;
    config->window_bytes = 16 << 20;
    config->heartbeat_ms = 100;
    config->resend_ms = 1000;
    config->lock_wait_s = -1;
    config->linger_ms = 5000;
    return config;
}

unsigned pr_config_lock_wait_ms(const pr_config_t *config) {
    return (unsigned)(config->lock_wait_s < 0 ? PR_LOCK_WAIT_BY_HAND_S : config->lock_wait_s) * 1000;
}

void pr_config_destroy(pr_config_t **config) {
    if (config == NULL || *config == NULL)
        return;
    pr_config_t *self = *config;
    for (size_t i = 0; i < self->sources_count; i++)
        free(self->sources[i]);
    free(self->sources);
    free(self->spool);
    free(self->path);
    free(self->run);
#define X(key, member) free(self->member);
    PR_CONFIG_PATHS(X)
#undef X
    free(self);
    *config = NULL;
}

char *pr_config_datadir(void) {
    const char *given = getenv("PVRELAY_DATADIR");
    if (given != NULL && *given != '\0')
        return pr_xstrdup(given);
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size < 0)
        return pr_xstrdup("/usr/share/pvrelay");
    program[size] = '\0';
    for (int i = 0; i < 2; i++) { /* the program's name, then its folder's */
        char *slash = strrchr(program, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    return pr_xasprintf("%s/share/pvrelay", program);
}

char *pr_config_default_mapping(void) {
    char *datadir = pr_config_datadir();
    char *path = pr_xasprintf("%s/mappings/el-to-hub.json", datadir);
    free(datadir);
    return path;
}

/* Paths of sockets are short: is there room behind a run folder's for the longest name, "/transformer-64.counters"? */
static bool s_has_room(const char *run_dir) {
    enum { s_longest_name = 24 };
    return strlen(run_dir) + s_longest_name < sizeof((struct sockaddr_un *)0)->sun_path;
}

/* Is it a folder of our own, which nobody else can write? Then it may be what XDG_RUNTIME_DIR says it is. */
static bool s_is_private(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

char *pr_config_default_run_dir(const char *target) {
    uint64_t hash = XXH3_64bits(target, strlen(target));
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && *runtime == '/' && s_is_private(runtime)) {
        char *run_dir = pr_xasprintf("%s/pvrelay/%016llx", runtime, (unsigned long long)hash);
        if (s_has_room(run_dir) && pr_utf8_is_valid(run_dir, strlen(run_dir)))
            return run_dir;
        free(run_dir);
    }
    return pr_xasprintf("/tmp/pvrelay-%u/%016llx", (unsigned)getuid(), (unsigned long long)hash);
}

char *pr_config_managed_run_dir(const char *path) {
    static const char suffix[] = ".json";
    size_t head = sizeof PR_CONFIG_MANAGED - 1;
    if (strncmp(path, PR_CONFIG_MANAGED, head) != 0)
        return NULL;
    const char *name = path + head;
    size_t size = strlen(name);
    size_t tail = sizeof suffix - 1;
    if (size <= tail || strcmp(name + size - tail, suffix) != 0 || name[0] == '.' || strchr(name, '/') != NULL)
        return NULL;
    return pr_xasprintf(PR_CONFIG_MANAGED_RUN "%.*s", (int)(size - tail), name);
}

/*  Make a folder, or accept one that is there: our own if it has to be (`ours`), and in a place where anyone may make
 *  folders (/tmp) not one that somebody else has made in our name. ret_shared: it is such a place itself. */
static int s_make_folder(const char *path, bool ours, bool in_shared, bool *ret_shared, pr_error_t *err) {
    struct stat status;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot make the run folder: %s", path, strerror(errno));
    if (lstat(path, &status) < 0 || !(S_ISDIR(status.st_mode) || (!ours && !in_shared && S_ISLNK(status.st_mode))))
        return pr_error_set(err, PR_E_CONFIG, "%s: is in the way of the run folder", path);
    if (status.st_uid != geteuid() && (ours || (in_shared && status.st_uid != 0)))
        return pr_error_set(err, PR_E_CONFIG, "%s: the run folder belongs to another user", path);
    if (ours && (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return pr_error_set(err, PR_E_CONFIG,
                            "%s: others may write in the run folder (mode %04o), and so into the run; make it 0700",
                            path, (unsigned)status.st_mode & 07777U);
    if (S_ISDIR(status.st_mode) && (status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0)
        return pr_error_set(
            err, PR_E_CONFIG,
            "%s: anybody may replace what lies in it (mode %04o); choose another place for the run folder", path,
            (unsigned)status.st_mode & 07777U);
    *ret_shared = S_ISDIR(status.st_mode) && (status.st_mode & S_IWOTH) != 0;
    return 0;
}

int pr_config_make_run_dir(const char *run_dir, pr_error_t *err) {
    if (!s_has_room(run_dir))
        return pr_error_set(err, PR_E_CONFIG,
                            "%s: too long for a run folder: sockets in it have paths of at most 107 bytes; choose a "
                            "shorter one (--run-dir, \"run_dir\")",
                            run_dir);
    char path[PATH_MAX];
    bool shared = false;
    int result = 0;
    snprintf(path, sizeof path, "%s", run_dir);
    for (char *slash = strchr(path + 1, '/'); result == 0 && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        result = s_make_folder(path, false, shared, &shared, err);
        *slash = '/';
    }
    return result == 0 ? s_make_folder(path, true, shared, &shared, err) : result;
}

/* A path relative to a folder. *Returns new*. */
static char *s_resolve(const char *folder, const char *path) {
    return path[0] == '/' ? pr_xstrdup(path) : pr_xasprintf("%s/%s", folder, path);
}

typedef struct {
    const char *path;
    char *folder;
    pr_config_t *config;
    pr_error_t *err;
} pr_config_reader_t;

static int s_wrong(pr_config_reader_t *reader, const char *key, const char *expected) {
    return pr_error_set(reader->err, PR_E_CONFIG, "%s: \"%s\": expected %s", reader->path, key, expected);
}

static int s_read_number(pr_config_reader_t *reader, const char *key, const json_t *value, int64_t least, int64_t most,
                         int64_t *ret_number) {
    char expected[96];
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)least, (long long)most);
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most)
        return s_wrong(reader, key, expected);
    *ret_number = json_integer_value(value);
    return 0;
}

static int s_read_word(pr_config_reader_t *reader, const char *key, const json_t *value, const char *no,
                       const char *yes, bool *ret_yes) {
    char expected[64];
    const char *word = json_is_string(value) ? json_string_value(value) : "";
    snprintf(expected, sizeof expected, "\"%s\" or \"%s\"", no, yes);
    if (strcmp(word, no) != 0 && strcmp(word, yes) != 0)
        return s_wrong(reader, key, expected);
    *ret_yes = strcmp(word, yes) == 0;
    return 0;
}

static int s_read_choice(pr_config_reader_t *reader, const char *key, const json_t *value, const char *const *words,
                         unsigned *ret_choice) {
    char expected[128] = "";
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), words[i]) == 0) {
            *ret_choice = i;
            return 0;
        }
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s\"%s\"",
                 i == 0                 ? ""
                 : words[i + 1] != NULL ? ", "
                                        : " or ",
                 words[i]);
    }
    return s_wrong(reader, key, expected);
}

static int s_read_list(pr_config_reader_t *reader, const char *key, const json_t *value) {
    pr_config_t *config = reader->config;
    if (!json_is_array(value) || json_array_size(value) == 0)
        return s_wrong(reader, key, "a list of at least one path");
    config->sources = pr_xcalloc(json_array_size(value), sizeof *config->sources);
    size_t i;
    json_t *path;
    json_array_foreach(value, i, path) {
        if (!json_is_string(path) || json_string_length(path) == 0)
            return s_wrong(reader, key, "paths, as strings");
        config->sources[config->sources_count++] = s_resolve(reader->folder, json_string_value(path));
    }
    return 0;
}

/* "sources": {"spool": DIR, "complete": "renamed" | "marked", "files": [...]} */
static int s_read_spool(pr_config_reader_t *reader, const json_t *value) {
    pr_config_t *config = reader->config;
    const char *key;
    json_t *part;
    int result = 0;
    json_object_foreach((json_t *)(uintptr_t)value, key, part) {
        if (strcmp(key, "spool") == 0 && json_is_string(part) && json_string_length(part) > 0)
            config->spool = s_resolve(reader->folder, json_string_value(part));
        else if (strcmp(key, "spool") == 0)
            result = s_wrong(reader, "sources.spool", "a path, as a string");
        else if (strcmp(key, "complete") == 0)
            result = s_read_word(reader, "sources.complete", part, "renamed", "marked", &config->spool_marked);
        else if (strcmp(key, "files") == 0)
            result = s_read_list(reader, "sources.files", part);
        else
            result = pr_error_set(reader->err, PR_E_CONFIG, "%s: unknown setting \"sources.%s\"; see pvrelay-config(5)",
                                  reader->path, key);
        if (result < 0)
            return result;
    }
    if (config->spool == NULL)
        return pr_error_set(reader->err, PR_E_CONFIG, "%s: \"sources.spool\" is missing", reader->path);
    return 0;
}

static int s_read_sources(pr_config_reader_t *reader, const json_t *value) {
    if (json_is_object(value))
        return s_read_spool(reader, value);
    if (!json_is_array(value) || json_array_size(value) == 0)
        return s_wrong(reader, "sources", "a list of at least one path, or an object with a \"spool\"");
    return s_read_list(reader, "sources", value);
}

static int s_read_setting(pr_config_reader_t *reader, const char *key, const json_t *value) {
    pr_config_t *config = reader->config;
    int64_t number = 0;
#define X(name, member, type, least, most)                                                                             \
    if (strcmp(key, name) == 0) {                                                                                      \
        if (s_read_number(reader, key, value, least, most, &number) < 0)                                               \
            return -PR_E_CONFIG;                                                                                       \
        config->member = (type)number;                                                                                 \
        return 0;                                                                                                      \
    }
    PR_CONFIG_NUMBERS(X)
#undef X
#define X(name, member)                                                                                                \
    if (strcmp(key, name) == 0) {                                                                                      \
        if (!json_is_string(value) || json_string_length(value) == 0)                                                  \
            return s_wrong(reader, key, "a path, as a string");                                                        \
        config->member = s_resolve(reader->folder, json_string_value(value));                                          \
        return 0;                                                                                                      \
    }
    PR_CONFIG_PATHS(X)
#undef X
#define X(name, member, no, yes)                                                                                       \
    if (strcmp(key, name) == 0)                                                                                        \
        return s_read_word(reader, key, value, no, yes, &config->member);
    PR_CONFIG_WORDS(X)
#undef X
#define X(name, member, type, words)                                                                                   \
    if (strcmp(key, name) == 0) {                                                                                      \
        unsigned choice = 0;                                                                                           \
        if (s_read_choice(reader, key, value, words, &choice) < 0)                                                     \
            return -PR_E_CONFIG;                                                                                       \
        config->member = (type)choice;                                                                                 \
        return 0;                                                                                                      \
    }
    PR_CONFIG_CHOICES(X)
#undef X
    if (strcmp(key, "sources") == 0)
        return s_read_sources(reader, value);
    if (strcmp(key, "run") == 0) {
        pr_run_id_t id;
        if (!json_is_string(value) || pr_run_id_parse(json_string_value(value), &id) < 0)
            return s_wrong(reader, key, "a UUID in lower case");
        config->run = pr_xstrdup(json_string_value(value));
        return 0;
    }
    if (strcmp(key, "restart") == 0) {
        config->restart = json_is_true(value);
        return json_is_boolean(value) ? 0 : s_wrong(reader, key, "true or false");
    }
    pr_suggest_t suggest = pr_suggest_begin(key, strlen(key));
#define X(name, ...) pr_suggest_offer(&suggest, name);
    PR_CONFIG_NUMBERS(X)
    PR_CONFIG_WORDS(X)
    PR_CONFIG_CHOICES(X)
    PR_CONFIG_PATHS(X)
#undef X
    pr_suggest_offer(&suggest, "sources");
    pr_suggest_offer(&suggest, "run");
    pr_suggest_offer(&suggest, "restart");
    return pr_error_set(reader->err, PR_E_CONFIG, "%s: unknown setting \"%s\"%s; see pvrelay-config(5)", reader->path,
                        key, pr_suggest_text(&suggest));
}

/*  The run folder of a file directly in /etc/pvrelay, NULL for others. It may be a link to a file elsewhere: its name is
 *  what counts. *Returns new*. */
static char *s_managed_run_dir(const char *path) {
    char folder[PATH_MAX];
    char *folder_of = pr_xstrdup(path);
    char *name_of = pr_xstrdup(path);
    char *result = NULL;
    if (realpath(dirname(folder_of), folder) != NULL) {
        char *absolute = pr_xasprintf("%s/%s", folder, basename(name_of));
        result = pr_config_managed_run_dir(absolute);
        free(absolute);
    }
    free(folder_of);
    free(name_of);
    return result;
}

static int s_check_settings(pr_config_reader_t *reader) {
    pr_config_t *config = reader->config;
    char *datadir = pr_config_datadir();
    if (config->mapping == NULL)
        config->mapping = pr_config_default_mapping();
    if (config->migrations == NULL)
        config->migrations = pr_xasprintf("%s/migrations", datadir);
    free(datadir);
    if (config->run_dir == NULL)
        config->run_dir = s_managed_run_dir(reader->path);
    if (config->window_bytes < config->batch_bytes)
        return pr_error_set(reader->err, PR_E_CONFIG, "%s: \"window_bytes\" is less than \"batch_bytes\"",
                            reader->path);
    if (config->undo_off && (config->rollback_on_failure || config->rollback_on_reject_limit))
        return pr_error_set(reader->err, PR_E_CONFIG,
                            "%s: \"%s\" is \"rollback\" and \"undo\" is \"off\": there would be nothing to roll back "
                            "with",
                            reader->path, config->rollback_on_failure ? "on_validation_failure" : "on_reject_limit");
    return 0;
}

static int s_check_path(const char *where, const char *key, const char *path, pr_error_t *err) {
    if (path == NULL || pr_utf8_is_valid(path, strlen(path)))
        return 0;
    return pr_error_set(err, PR_E_CONFIG, "%s%s\"%s\": %s: " PR_TEXT_NO_PATH, where, *where != '\0' ? ": " : "", key,
                        path);
}

/* where: the file they come from, "" for none. */
static int s_check_paths(const pr_config_t *config, const char *where, pr_error_t *err) {
    int result = s_check_path(where, "sources", config->spool, err);
    for (size_t i = 0; result == 0 && i < config->sources_count; i++)
        result = s_check_path(where, "sources", config->sources[i], err);
#define X(key, member)                                                                                                 \
    if (result == 0)                                                                                                   \
        result = s_check_path(where, key, config->member, err);
    PR_CONFIG_PATHS(X)
#undef X
    return result;
}

int pr_config_check_paths(const pr_config_t *config, pr_error_t *err) {
    return s_check_paths(config, "", err);
}

/* What a run cannot do without. */
static int s_check_whole(pr_config_reader_t *reader) {
    pr_config_t *config = reader->config;
    if (config->target == NULL)
        return pr_error_set(reader->err, PR_E_CONFIG, "%s: \"target\" is missing", reader->path);
    if (config->sources_count == 0 && config->spool == NULL)
        return pr_error_set(reader->err, PR_E_CONFIG, "%s: \"sources\" is missing", reader->path);
    if (config->spool != NULL && (config->restart || config->retries_through > 0))
        return pr_error_set(reader->err, PR_E_CONFIG,
                            "%s: \"%s\" and a spool: each set that arrives is a run of its own", reader->path,
                            config->restart ? "restart" : "retries_through");
    if (config->restart && config->run == NULL)
        return pr_error_set(reader->err, PR_E_CONFIG,
                            "%s: \"restart\" needs \"run\", so that a writer that is started again knows its own run",
                            reader->path);
    if (config->rollback_on_reject_limit && config->max_rejects < 0)
        return pr_error_set(reader->err, PR_E_CONFIG, "%s: \"on_reject_limit\" needs a limit, \"max_rejects\"",
                            reader->path);
    if (config->run_dir == NULL)
        config->run_dir = pr_config_default_run_dir(config->target);
    if (config->reports == NULL)
        config->reports = pr_xasprintf("%s-reports", config->target);
    return 0;
}

/* Say why the file is no JSON; the slips that people make in their own words. */
static int s_not_json(const char *path, const char *absolute, const json_error_t *why, pr_error_t *err) {
    enum { s_read_bytes = 1 << 16 };
    char *text = pr_xcalloc(s_read_bytes, 1);
    FILE *file = fopen(absolute, "rbe");
    size_t size = file != NULL ? fread(text, 1, s_read_bytes, file) : 0;
    int line = why->line;
    const char *slip = why->position > 0 ? pr_suggest_json(text, size, (size_t)why->position, &line) : NULL;
    int result =
        pr_error_set(err, PR_E_CONFIG, "%s:%d: not valid JSON: %s", path, line, slip != NULL ? slip : why->text);
    if (file != NULL)
        fclose(file);
    free(text);
    return result;
}

static int s_load(const char *path, bool whole, pr_config_t **ret_config, pr_error_t *err) {
    json_error_t json_error;
    char absolute[PATH_MAX];
    if (realpath(path, absolute) == NULL)
        return pr_error_set(err, PR_E_CONFIG, "%s: cannot read the configuration: %s", path, strerror(errno));
    json_t *root = json_load_file(absolute, JSON_REJECT_DUPLICATES, &json_error);
    if (root == NULL)
        return s_not_json(path, absolute, &json_error, err);
    pr_config_reader_t reader = {.path = path, .config = pr_config_new(), .err = err};
    reader.config->path = pr_xstrdup(absolute);
    *strrchr(absolute, '/') = '\0';
    reader.folder = absolute;
    int result = json_is_object(root) ? 0 : pr_error_set(err, PR_E_CONFIG, "%s: expected an object", path);
    const char *key;
    json_t *value;
    if (result == 0) {
        json_object_foreach(root, key, value) {
            result = s_read_setting(&reader, key, value);
            if (result < 0)
                break;
        }
    }
    if (result == 0)
        result = s_check_settings(&reader);
    if (result == 0 && whole)
        result = s_check_whole(&reader);
    if (result == 0) /* the strings are UTF-8, but the folder that they are relative to need not be */
        result = s_check_paths(reader.config, path, err);
    json_decref(root);
    if (result < 0)
        pr_config_destroy(&reader.config);
    else
        *ret_config = reader.config;
    return result;
}

int pr_config_load(const char *path, pr_config_t **ret_config, pr_error_t *err) {
    return s_load(path, true, ret_config, err);
}

int pr_config_load_settings(const char *path, pr_config_t **ret_config, pr_error_t *err) {
    return s_load(path, false, ret_config, err);
}

static json_t *s_sources_to_json(const pr_config_t *config) {
    json_t *list = json_array();
    for (size_t i = 0; i < config->sources_count; i++)
        pr_json_append(list, pr_json_text(config->sources[i]));
    if (config->spool == NULL)
        return list;
    json_t *spool = json_object();
    pr_json_set(spool, "spool", pr_json_text(config->spool));
    pr_json_set(spool, "complete", pr_json_text(config->spool_marked ? "marked" : "renamed"));
    if (config->sources_count > 0)
        pr_json_set(spool, "files", json_incref(list));
    json_decref(list);
    return spool;
}

static json_t *s_to_json(const pr_config_t *config) {
    json_t *root = json_object();
    pr_json_set(root, "sources", s_sources_to_json(config));
#define X(key, member)                                                                                                 \
    if (config->member != NULL)                                                                                        \
        pr_json_set(root, key, pr_json_text(config->member));
    PR_CONFIG_PATHS(X)
#undef X
#define X(key, member, type, least, most) pr_json_set(root, key, json_integer((json_int_t)config->member));
    PR_CONFIG_NUMBERS(X)
#undef X
    if (config->run != NULL)
        pr_json_set(root, "run", pr_json_text(config->run));
#define X(key, member, no, yes) pr_json_set(root, key, pr_json_text(config->member ? (yes) : (no)));
    PR_CONFIG_WORDS(X)
#undef X
#define X(key, member, type, words) pr_json_set(root, key, pr_json_text((words)[config->member]));
    PR_CONFIG_CHOICES(X)
#undef X
    pr_json_set(root, "restart", json_boolean(config->restart));
    return root;
}

/* Does the configuration in a file say all that this one says? */
static int s_check_saved(const pr_config_t *config, const char *path, pr_error_t *err) {
    pr_config_t *saved = NULL;
    int result = pr_config_load_settings(path, &saved, err);
    if (result < 0)
        return result;
    json_t *ours = s_to_json(config);
    json_t *theirs = s_to_json(saved);
    const char *key;
    json_t *value;
    json_object_foreach(ours, key, value) {
        if (!json_equal(value, json_object_get(theirs, key)))
            result = pr_error_set(err, PR_E_INTERNAL, "%s: \"%s\" is not what was given; report it", path, key);
    }
    json_decref(ours);
    json_decref(theirs);
    pr_config_destroy(&saved);
    return result;
}

int pr_config_save(const pr_config_t *config, const char *path, pr_error_t *err) {
    int result = pr_config_check_paths(config, err);
    if (result < 0)
        return result;
    json_t *root = s_to_json(config);
    char *text = pr_json_dump(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (pr_file_write_text(path, text, 0600, 1) < 0)
        result = pr_error_set(err, PR_E_CONFIG, "%s: cannot write the configuration: %s", path, strerror(errno));
    if (result == 0)
        result = s_check_saved(config, path, err);
    free(text);
    json_decref(root);
    return result;
}
