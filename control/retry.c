/* SPDX-License-Identifier: MIT */
/* pvrelay retry-rejects: try the rejected records again, after mending the mapping. */

/*  DESIGN
 *
 *  The records stand in pvrelay_reject as they stood in their export. They are written to files in the run folder, one
 *  for each stream and kind of envelope, and these files are replayed by a run of kind `retry`; at its end the writer
 *  marks the rejects up to retries_through as tried again. A record that is rejected once more is a reject of the new
 *  run.
 *
 *  An interrupted retry is continued: the same rejects up to the same number make the same files, byte for byte, so the
 *  writer finds the sources as they were.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/export.h"
#include "common/file.h"
#include "common/text.h"
#include "control/begin.h"
#include "control/command.h"
#include "control/format.h"
#include "control/ledger.h"
#include "control/options.h"
#include "control/run.h"

const char pr_usage_retry[] =
    "Usage: pvrelay retry-rejects --target DB [OPTION…]\n"
    "Takes the rejected records of all complete runs that were not tried again yet, and replays them; after the "
    "mapping was\n"
    "mended they may fit. Those rejected because others changed their rows (changed_in_target) are settled by\n"
    "--on-foreign-change overwrite or keep. What does not fit is rejected anew. Exit codes as of `pvrelay run`; 0 too "
    "if there is nothing to "
    "try.\n\n"
    "  --target DB          the target database\n"
    "  --mapping FILE, --config FILE, --run-dir FOLDER, --report FOLDER, --lang WORD, --transformers N,\n"
    "  --null-text WORD, --max-rejects N, --on-reject-limit WORD, --on-validation-failure WORD,\n"
    "  --on-foreign-change WORD, --extra WORD, --undo WORD, --lock-wait N, --restart, --progress WORD, --profile, "
    "--verbose: as "
    "`pvrelay run`\n";

/* ?1: up to which reject, 0: all. The order decides what is in the files, see above. */
static const char S_SQL_CANDIDATES[] =
    "SELECT j.reject, j.stream, j.wrangler, j.raw FROM pvrelay_reject j JOIN pvrelay_run r ON r.run = j.run"
    " WHERE r.state = 'complete' AND j.retried_by IS NULL AND (?1 = 0 OR j.reject <= ?1)"
    " ORDER BY j.stream, j.wrangler, j.reject";

/* One file of records. */
typedef struct {
    char *path;
    char *stream;
    bool wrangler;
    FILE *out;
    uint64_t records;
} pr_retry_file_t;

typedef struct {
    char *folder;
    pr_retry_file_t *files;
    size_t count;
    uint64_t records;
    int64_t through; /* highest reject */
} pr_retry_t;

static void s_retry_clear(pr_retry_t *retry) {
    for (size_t i = 0; i < retry->count; i++) {
        if (retry->files[i].out != NULL)
            fclose(retry->files[i].out);
        free(retry->files[i].path);
        free(retry->files[i].stream);
    }
    free(retry->files);
    free(retry->folder);
}

/* The files were only there to be read by this run. */
static void s_remove_files(const pr_retry_t *retry) {
    if (retry->folder == NULL)
        return; /* none was made */
    for (size_t i = 0; i < retry->count; i++)
        unlink(retry->files[i].path);
    (void)rmdir(retry->folder);
}

static int s_cannot_write(const char *path, pr_error_t *err) {
    return pr_error_set(err, PR_E_CONFIG, "%s: cannot write the rejects there: %s", path, strerror(errno));
}

static int s_close_file(pr_retry_file_t *file, pr_error_t *err) {
    if (file->out == NULL)
        return 0;
    fputs(file->wrangler ? "\n],\"success\":true,\"meta\":{}}]\n" : "\n]\n", file->out);
    int failed = ferror(file->out) != 0;
    failed |= fclose(file->out) != 0;
    file->out = NULL;
    return failed ? s_cannot_write(file->path, err) : 0;
}

/* The file for a record: the last one, or a new one when stream or envelope differ. NULL with err. Borrowed. */
static pr_retry_file_t *s_file_for(pr_retry_t *retry, const char *stream, bool wrangler, pr_error_t *err) {
    pr_retry_file_t *last = retry->count > 0 ? &retry->files[retry->count - 1] : NULL;
    if (last == NULL || last->wrangler != wrangler || strcmp(last->stream, stream) != 0) {
        if (last != NULL && s_close_file(last, err) < 0)
            return NULL;
        retry->files = pr_xrealloc(retry->files, (retry->count + 1) * sizeof *retry->files);
        last = &retry->files[retry->count];
        char *path =
            pr_xasprintf("%s/rejects-%zu%s.json", retry->folder, retry->count + 1, wrangler ? "-wrangler" : "");
        *last = (pr_retry_file_t){.path = path, .stream = pr_xstrdup(stream), .wrangler = wrangler};
        retry->count++;
        last->out = pr_file_create(path, 0600);
        if (last->out == NULL) {
            s_cannot_write(path, err);
            return NULL;
        }
        fputs(wrangler ? "[{\"results\":[\n" : "[\n", last->out);
    }
    return last;
}

static int s_write_record(pr_retry_t *retry, sqlite3_stmt *row, pr_error_t *err) {
    pr_retry_file_t *file = s_file_for(retry, pr_ledger_text(row, 1), sqlite3_column_int(row, 2) != 0, err);
    if (file == NULL)
        return -PR_E_CONFIG;
    const void *raw = sqlite3_column_blob(row, 3);
    size_t size = (size_t)sqlite3_column_bytes(row, 3);
    if (file->records > 0)
        fputs(",\n", file->out);
    if (size > 0 && fwrite(raw, 1, size, file->out) != size)
        return s_cannot_write(file->path, err);
    file->records++;
    retry->records++;
    if (sqlite3_column_int64(row, 0) > retry->through)
        retry->through = sqlite3_column_int64(row, 0);
    return 0;
}

static int s_write_files(sqlite3 *db, int64_t through, pr_retry_t *retry, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    if (mkdir(retry->folder, 0700) < 0 && errno != EEXIST)
        return s_cannot_write(retry->folder, err);
    int result = pr_ledger_prepare(db, S_SQL_CANDIDATES, &statement, err);
    if (result == 0)
        sqlite3_bind_int64(statement, 1, through);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0)
        result = s_write_record(retry, statement, err);
    sqlite3_finalize(statement);
    if (result == 0 && retry->count > 0)
        result = s_close_file(&retry->files[retry->count - 1], err);
    return result;
}

/*  Which files the reader will take: one none of whose records shows its stream any more, or whose records are no JSON
 *  structure, would stop the whole run. ret_paths: *returns new* array, paths borrowed. */
static int s_choose_files(const pr_retry_t *retry, const char *mapping_path, const char ***ret_paths, size_t *ret_count,
                          pr_error_t *err) {
    pr_mapping_t *mapping = NULL;
    int result = pr_run_load_mapping(mapping_path, stderr, &mapping, err);
    if (result < 0)
        return result;
    const char **paths = pr_xcalloc(retry->count + 1, sizeof *paths);
    size_t count = 0;
    for (size_t i = 0; i < retry->count; i++) {
        const pr_retry_file_t *file = &retry->files[i];
        pr_export_t *export = NULL;
        pr_error_t why = PR_ERROR_INIT;
        if (pr_export_scan(file->path, mapping, NULL, NULL, &export, &why) == 0)
            paths[count++] = file->path;
        else
            printf("%s rejected record%s of %s cannot be tried again and stay%s rejected: %s: %s\n",
                   pr_format_count(file->records).text, pr_format_plural(file->records),
                   pr_text_line(file->stream).text, file->records == 1 ? "s" : "", pr_error_name((int)why.code),
                   why.text);
        pr_export_destroy(&export);
    }
    pr_mapping_destroy(&mapping);
    *ret_paths = paths;
    *ret_count = count;
    return 0;
}

/* The retry that is to be continued: its retries_through; 0 if a new one begins. */
static int s_unfinished(sqlite3 *db, const pr_config_t *config, int64_t *ret_through, pr_error_t *err) {
    pr_ledger_run_t run;
    int result = pr_ledger_unfinished(db, &run, err);
    if (result <= 0 || config->restart)
        return result < 0 ? result : 0;
    if (strcmp(run.kind, "retry") != 0)
        return pr_ledger_refuse(db, config->target, &run, err);
    *ret_through = run.retries_through;
    return 0;
}

static void s_tell_result(const pr_config_t *config, uint64_t tried) {
    sqlite3 *db = NULL;
    pr_ledger_run_t *runs = NULL;
    size_t count = 0;
    if (pr_ledger_open(config->target, &db, NULL) > 0 && pr_ledger_runs(db, config->run, &runs, &count, NULL) == 0 &&
        count == 1 && *runs[0].rolled_back_at != '\0')
        printf("Rejects tried again: %s; the retry was taken back, so all of them are rejected as before\n",
               pr_format_count(tried).text);
    else if (count == 1)
        printf("Rejects tried again: %s; now in: %s; rejected again: %s\n", pr_format_count(tried).text,
               pr_format_count(runs[0].written + runs[0].unchanged).text, pr_format_count(runs[0].rejected).text);
    free(runs);
    pr_ledger_close(db, 0, NULL);
}

static void s_set_sources(pr_config_t *config, const char *const *paths, size_t count) {
    for (size_t i = 0; i < config->sources_count; i++)
        free(config->sources[i]);
    config->sources = pr_xrealloc(config->sources, count * sizeof *config->sources);
    for (size_t i = 0; i < count; i++)
        config->sources[i] = pr_xstrdup(paths[i]);
    config->sources_count = count;
    free(config->spool); /* these are no set of its */
    config->spool = NULL;
}

static int s_retry(pr_config_t *config, const pr_run_options_t *options, pr_retry_t *retry, pr_error_t *err) {
    sqlite3 *db = NULL;
    const char **paths = NULL;
    size_t count = 0;
    int64_t through = 0;
    int result = pr_ledger_open_there(config->target, &db, err);
    if (result == 0)
        result = pr_ledger_check_books(db, config->target, err);
    if (result == 0)
        result = s_unfinished(db, config, &through, err);
    if (result == 0)
        result = s_write_files(db, through, retry, err);
    result = pr_ledger_close(db, result, err); /* before the writer wants it for itself */
    if (result == 0 && retry->records == 0 && through == 0) {
        printf("%s: nothing to try again: no complete run has rejects that are open\n", config->target);
        return 0;
    }
    if (result == 0)
        result = s_choose_files(retry, config->mapping, &paths, &count, err);
    if (result == 0 && count == 0) {
        result = pr_error_set(err, PR_E_REJECTED, "none of %s rejected records can be tried again",
                              pr_format_count(retry->records).text);
    } else if (result == 0) {
        s_set_sources(config, paths, count);
        config->retries_through = through > 0 ? through : retry->through;
        result = pr_run_execute(config, options, err);
        if (result >= 0)
            s_tell_result(config, retry->records);
    }
    free(paths);
    return result;
}

int pr_command_retry(int argc, char **argv, pr_error_t *err) {
    pr_run_options_t options;
    pr_option_t table[PR_RUN_OPTIONS];
    pr_config_t *config = NULL;
    pr_lock_t *lock = NULL;
    pr_retry_t retry = {0};
    pr_run_options_init(&options, argc, argv, table);
    int result = pr_options_parse_alone(table, PR_RUN_OPTIONS, argc, argv, err);
    if (result < 0)
        return result;
    result = pr_run_configure(argv[0], &options, NULL, 0, &config, err);
    if (result == 0) {
        pr_command_wait_for_locks(pr_config_lock_wait_ms(config), config->target);
        result = pr_begin_lock(config, &lock, err);
    }
    if (result == 0) {
        retry.folder = pr_xasprintf("%s/retry", config->run_dir);
        result = s_retry(config, &options, &retry, err);
    }
    if (result >= 0 && lock != NULL && config->run_dir_ours)
        s_remove_files(&retry);
    s_retry_clear(&retry);
    pr_begin_unlock(config, &lock);
    pr_config_destroy(&config);
    return result;
}
