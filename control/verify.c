/* SPDX-License-Identifier: MIT */
/* pvrelay verify: the proof of a target against exports, at any time, without a run. */
/*  DESIGN
 *
 *  The validator's own proof (validator/proof.h) is called range by range; what is here decides which ranges, keeps count
 *  and tells. Nothing is written to the target. Two things would change its files all the same, and are kept from it:
 *
 *  - A database in WAL mode gets a -wal and a -shm when it is opened, and a read-only connection leaves them behind. So a
 *    connection that may write (but is forbidden to) is held open around the proof's own: closed last, it takes them away.
 *  - But if there was a -wal before, with commits in it that a killed writer left behind, that very closing would move
 *    them into the database. Then it is told not to.
 *
 *  A writer may be at work meanwhile: every range, and the whole, is proved in a read transaction of its own. What a run
 *  has yet to commit is missing then, which is said.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/daemon.h"
#include "common/export_cut.h"
#include "common/json.h"
#include "common/mapping_lint.h"
#include "common/sql_has.h"
#include "common/sql_open.h"
#include "control/api_check.h"
#include "control/begin.h"
#include "control/command.h"
#include "control/interrupt.h"
#include "control/ledger.h"
#include "control/options.h"
#include "control/report.h"
#include "control/report_proof.h"
#include "control/run.h"
#include "control/terminal.h"
#include "control/verify_progress.h"
#include "control/verify_view.h"
#include "validator/proof.h"

enum {
    s_range_bytes = 1 << 20,
    s_failures_kept = 100000, /* of one range that are looked at one by one */
    s_timeout_max_s = 3600,
    s_mapping_max_bytes = 4 << 20
};

const char pr_usage_verify[] =
    "Usage: pvrelay verify EXPORT… --target DB [OPTION…]\n"
    "Proves that a target holds what exports hold: reads every record back, field by field and with types, and checks\n"
    "the database as a whole. Needs no run, and changes nothing. Exit code 0: it does; 4: it does not.\n\n"
    "  --target DB        the SQLite database\n"
    "  --mapping FILE     what became what (default: the one that comes with pvrelay)\n"
    "  --null-text WORD   as it was given to run: auto (default), null or keep\n"
    "  --extra WORD       what a row is that the exports lack, in the groups that they have: report (default: a "
    "finding)\n"
    "                     or fail\n"
    "  --api URL          ask the HUB's API at this address too, and compare its answers with the exports\n"
    "  --api-timeout S    seconds that an answer may take (default 30)\n"
    "  --report FOLDER    write the result as FOLDER/report.json and FOLDER/report.md\n"
    "  --lang WORD        en (default) or fr: the language of the result and of report.md\n"
    "  --json             print the result as JSON instead: the keys of report.json, pvrelay-report(5); each of "
    "\"streams\"\n"
    "                     has \"proved\" and \"failures\" too\n"
    "  --progress WORD    bar (default on a terminal), plain or none (default elsewhere)\n";

static const char *const s_extra_words[] = {"report", "fail", NULL};
static const char *const s_progress_words[] = {"bar", "plain", "none", NULL}; /* as pr_view_mode_t */

typedef struct {
    const char *target;
    const char *mapping;
    const char *api;
    const char *report;
    int64_t api_timeout_s;
    int null_text; /* pr_null_text_t */
    int extra;     /* index into the words above, as the others */
    int language;
    int progress; /* -1: not given */
    bool json;
} s_options_t;

typedef struct {
    const s_options_t *options;
    pr_mapping_t *mapping;
    sqlite3 *db; /* held around the proof's own connection */
    pr_api_client_t *client;
    pr_api_expect_t *expect;
    pr_cutter_t *cutter;
    pr_proof_t *proof;
    pr_proof_list_t *list;       /* of all that was found */
    pr_proof_list_t *found;      /* of the rows, until all are proved */
    pr_verify_stream_t *streams; /* by stream of the mapping */
    uint64_t *compared;          /* the same */
    uint64_t records, records_done;
    pr_report_t *report;
    pr_verify_view_t view;
    pr_verify_progress_t progress;
    char *room; /* for the cutter */
    size_t room_bytes;
} s_verify_t;

/* ---- being interrupted ---- */

static bool s_keep_going(void *context) {
    (void)context;
    return !pr_interrupted();
}

static int s_check_stopped(pr_error_t *err) {
    return pr_interrupt_check("interrupted; nothing was written", err);
}

static bool s_scan_progress(void *context, uint64_t done, uint64_t total) {
    s_verify_t *self = context;
    pr_verify_progress_show(&self->progress, "scanning", "bytes", done, total, pr_now_ms());
    return !pr_interrupted();
}

/* ---- opening ---- */

static int s_open_target(s_verify_t *self, pr_error_t *err) {
    const char *target = self->options->target;
    char *wal = pr_xasprintf("%s-wal", target);
    bool had_wal = access(wal, F_OK) == 0;
    free(wal);
    int result = pr_ledger_open_there(target, &self->db, err);
    if (result == 0 && had_wal)
        sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return result;
}

static int s_load_mapping(s_verify_t *self, pr_error_t *err) {
    char *path = self->options->mapping != NULL ? pr_xstrdup(self->options->mapping) : pr_config_default_mapping();
    int result = pr_run_load_mapping(path, stderr, &self->mapping, err);
    free(path);
    return result;
}

/* The text of the mapping that a run used, if the target keeps it and it is that very one. *Returns new* in ret_text. */
static int s_kept_text(sqlite3 *db, const char *digest, char **ret_text, size_t *ret_size, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char found[17];
    int result = pr_sql_has_table(db, "pvrelay_mapping", err);
    if (result <= 0)
        return result;
    result = pr_ledger_prepare(db, "SELECT text FROM pvrelay_mapping WHERE digest = ?1", &statement, err);
    if (result == 0)
        sqlite3_bind_text(statement, 1, digest, -1, SQLITE_STATIC);
    if (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        const void *text = sqlite3_column_blob(statement, 0);
        size_t size = (size_t)sqlite3_column_bytes(statement, 0);
        snprintf(found, sizeof found, "%016" PRIx64, text != NULL ? (uint64_t)XXH3_64bits(text, size) : 0);
        result = 0;
        if (text != NULL && size <= s_mapping_max_bytes && strcmp(found, digest) == 0) {
            *ret_text = pr_xcalloc(size + 1, 1);
            memcpy(*ret_text, text, size);
            *ret_size = size;
        }
    }
    sqlite3_finalize(statement);
    return result;
}

/*  Is the mapping the one that the newest complete run used? If not, and none was given, take that one, whose text the target
 *  keeps. It comes from the target, so it is read as any file of somebody else's; and that it was taken is said. */
static int s_check_mapping(s_verify_t *self, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char ours[17], theirs[17] = "", *text = NULL;
    size_t size = 0;
    int64_t run = 0;
    int result = pr_sql_has_table(self->db, "pvrelay_run", err);
    if (result <= 0)
        return result;
    result = pr_ledger_prepare(self->db,
                               "SELECT run, mapping_digest FROM pvrelay_run WHERE state = 'complete' ORDER BY run "
                               "DESC LIMIT 1",
                               &statement, err);
    if (result == 0 && (result = pr_ledger_step(self->db, statement, err)) > 0) {
        run = sqlite3_column_int64(statement, 0);
        snprintf(theirs, sizeof theirs, "%s", pr_ledger_text(statement, 1));
        result = 0;
    }
    sqlite3_finalize(statement);
    snprintf(ours, sizeof ours, "%016" PRIx64, self->mapping->digest);
    if (result < 0 || run == 0 || strcmp(ours, theirs) == 0)
        return result;
    if (self->options->mapping == NULL)
        result = s_kept_text(self->db, theirs, &text, &size, err);
    if (result == 0 && text != NULL) {
        pr_mapping_t *kept = NULL;
        char *path = pr_xasprintf("the mapping of run %" PRId64 " in %s", run, self->options->target);
        fprintf(stderr,
                "pvrelay: run %" PRId64 " used another mapping than %s; taken: its text, kept in the target "
                "(--mapping FILE takes another)\n",
                run, self->mapping->path);
        result = pr_mapping_parse(path, text, size, NULL, NULL, &kept, err);
        if (result == 0) {
            pr_mapping_destroy(&self->mapping);
            self->mapping = kept;
        }
        free(path);
    } else if (result == 0) {
        fprintf(stderr, "pvrelay: %s is not the mapping that run %" PRId64 " used (its digest is %s, that one's %s)\n",
                self->mapping->path, run, ours, theirs);
    }
    free(text);
    return result;
}

static int s_open_api(s_verify_t *self, pr_error_t *err) {
    if (self->options->api == NULL)
        return 0;
    int result =
        pr_api_client_new(self->options->api, self->options->api_timeout_s, s_keep_going, NULL, &self->client, err);
    return result == 0 ? pr_api_expect_new(self->mapping, &self->expect, err) : result;
}

static int s_open_exports(s_verify_t *self, const pr_operands_t *operands, pr_error_t *err) {
    int result = pr_cutter_open(operands->at, operands->count, self->mapping, (pr_null_text_t)self->options->null_text,
                                "give the same command again", s_scan_progress, self, &self->cutter, err);
    if (result == -PR_E_INTERRUPTED) {
        pr_error_clear(err);
        return s_check_stopped(err);
    }
    return result;
}

/* Everything that can be wrong with the operator's words and files comes before the first record. */
static int s_open(s_verify_t *self, const pr_operands_t *operands, pr_error_t *err) {
    int result = s_load_mapping(self, err);
    if (result == 0)
        result = s_open_target(self, err);
    if (result == 0)
        result = s_check_mapping(self, err);
    if (result == 0)
        result = s_open_api(self, err);
    if (result == 0)
        result = s_open_exports(self, operands, err);
    if (result == 0)
        result = pr_proof_open_exports(self->options->target, self->mapping, pr_cutter_plan(self->cutter), &self->proof,
                                       err);
    if (result < 0)
        return result;
    pr_proof_set_extra(self->proof, self->options->extra == 1);
    self->list = pr_proof_list_new(PR_REPORT_FAILURES_MAX);
    self->found = pr_proof_list_new(s_failures_kept);
    self->streams = pr_xcalloc(self->mapping->streams_count + 1, sizeof *self->streams);
    self->compared = pr_xcalloc(self->mapping->streams_count + 1, sizeof *self->compared);
    return 0;
}

static void s_close(s_verify_t *self) {
    pr_verify_progress_clear(&self->progress);
    pr_report_destroy(&self->report);
    pr_proof_list_destroy(&self->list);
    pr_proof_list_destroy(&self->found);
    pr_proof_destroy(&self->proof);
    pr_cutter_destroy(&self->cutter);
    pr_api_expect_destroy(&self->expect);
    pr_api_client_destroy(&self->client);
    sqlite3_close(self->db); /* after the proof's: see above */
    pr_mapping_destroy(&self->mapping);
    free(self->streams);
    free(self->compared);
    free(self->room);
}

/* ---- the rows ---- */

static void *s_room(void *context, size_t size) {
    s_verify_t *self = context;
    if (self->room_bytes < size) {
        free(self->room);
        self->room = pr_xmalloc(size);
        self->room_bytes = size;
    }
    return self->room;
}

/* What was found in all ranges: how much of each stream failed, and the first failures for the report. */
static void s_settle(s_verify_t *self) {
    pr_proof_list_t *found = self->found;
    uint64_t untold = found->failures_total - found->failures_count;
    for (size_t i = 0; i < found->failures_count; i++) {
        const pr_failure_t *failure = &found->failures[i];
        const pr_failure_t *before = i == 0 ? NULL : &found->failures[i - 1];
        int stream = pr_mapping_stream_index(self->mapping, failure->stream);
        /* Records are proved one after the other, so that the failures of one stand together. */
        if (stream >= 0 && (before == NULL || before->offset != failure->offset || before->source != failure->source))
            self->streams[stream].proved -= self->streams[stream].proved > 0 ? 1 : 0;
        pr_proof_list_add_failure(self->list, failure);
    }
    self->list->failures_total += untold;
    for (size_t i = 0; i < found->findings_count; i++)
        pr_proof_list_add_finding(self->list, &found->findings[i]);
    for (size_t i = 0; i < found->tallies_count; i++)
        pr_proof_list_add_tally(self->list, &found->tallies[i]);
    pr_proof_list_destroy(&self->found);
}

/* Failures may become fewer with a range: a later record with the same key explains an earlier one. */
static int s_prove_range(s_verify_t *self, const pr_cut_t *cut, pr_error_t *err) {
    pr_verify_stream_t *stream = &self->streams[cut->stream];
    uint64_t before = self->found->failures_total;
    uint64_t compared = 0;
    uint64_t rejected = 0;
    int result = pr_proof_range(self->proof, cut->range, self->found, &compared, &rejected, err);
    if (result < 0)
        return result;
    stream->proved += compared;
    stream->rejected += rejected;
    stream->failures += self->found->failures_total - before;
    self->compared[cut->stream] += compared;
    self->records_done += cut->range.count;
    pr_verify_progress_show(&self->progress, "proving", "records", self->records_done, self->records, pr_now_ms());
    return 0;
}

static int s_prove_rows(s_verify_t *self, pr_error_t *err) {
    const pr_plan_t *plan = pr_cutter_plan(self->cutter);
    for (uint32_t s = 0; s < plan->count; s++)
        self->records += plan->records[s];
    pr_verify_progress_begin(&self->progress, pr_now_ms());
    pr_position_t at = pr_position_normalise((pr_position_t){0}, plan->records, plan->count);
    while (at.source < plan->count) {
        pr_cut_t cut = {0};
        int result = s_check_stopped(err);
        if (result == 0)
            result = pr_cutter_cut(self->cutter, at, s_range_bytes, s_room, self, &cut, err);
        if (result == 0)
            result = s_prove_range(self, &cut, err);
        if (result < 0)
            return result;
        at = pr_position_normalise(pr_range_end(cut.range), plan->records, plan->count);
    }
    s_settle(self);
    return 0;
}

/* ---- the whole, the API ---- */

static int s_prove_whole(s_verify_t *self, pr_error_t *err) {
    uint64_t before = self->list->failures_total;
    int result = s_check_stopped(err);
    if (result == 0)
        result = pr_proof_whole(self->proof, self->list, err);
    self->view.whole = self->list->failures_total - before;
    return result;
}

static int s_check_api(s_verify_t *self, pr_error_t *err) {
    if (self->client == NULL)
        return 0;
    uint64_t before = self->list->failures_total;
    pr_api_compare_t compare = {.expect = self->expect, .extra_fails = self->options->extra == 1, .list = self->list};
    int result = pr_api_expect_read(self->expect, self->cutter, self->db, s_keep_going, NULL, err);
    if (result == 0)
        result = pr_api_check(self->client, &compare, err);
    self->view.api = self->list->failures_total - before;
    self->view.api_groups = compare.groups;
    self->view.api_members = compare.members;
    self->view.api_groups_name = self->expect->groups_of->name;
    self->view.api_members_name = self->expect->members_of->name;
    return result;
}

/* A run that is not finished, for which records may well be missing yet. */
static int s_find_unfinished(s_verify_t *self, pr_error_t *err) {
    pr_ledger_run_t run;
    int result = pr_ledger_unfinished(self->db, &run, err);
    if (result > 0)
        self->view.unfinished = run.number;
    return result < 0 ? result : 0;
}

/* ---- telling ---- */

static void s_report_streams(s_verify_t *self) {
    const pr_plan_t *plan = pr_cutter_plan(self->cutter);
    for (uint32_t i = 0; i < plan->count; i++) {
        const pr_plan_source_t *source = &plan->sources[i];
        int index = pr_mapping_stream_index(self->mapping, source->stream);
        pr_report_add_source(self->report, source);
        if (index < 0)
            continue;
        pr_report_stream_t *stream = pr_report_stream(self->report, source->stream);
        stream->exported += source->records;
        stream->bytes += source->bytes;
        stream->validated = self->compared[index];
        stream->rejected = self->streams[index].rejected;
        stream->read = stream->validated + stream->rejected;
        self->streams[index].name = self->mapping->streams[index].name;
        self->streams[index].records += source->records;
    }
    /* Streams that the exports do not have are not shown. */
    for (size_t i = 0; i < self->mapping->streams_count; i++) {
        if (self->streams[i].name != NULL)
            self->streams[self->view.streams_count++] = self->streams[i];
    }
    self->view.streams = self->streams;
}

static int s_make_report(s_verify_t *self, int argc, char **argv, pr_error_t *err) {
    self->report = pr_report_new(PR_REPORT_VERIFY, self->options->target);
    pr_report_set_command(self->report, argc, argv);
    if (self->options->mapping != NULL) {
        char *mapping = pr_begin_absolute(self->options->mapping);
        pr_report_set_mapping_file(self->report, mapping, true);
        free(mapping);
    }
    s_report_streams(self);
    pr_report_add_proof(self->report, self->list);
    self->report->outcome = self->list->failures_total > 0 ? pr_error_exit_code(PR_E_VALIDATION) : 0;
    if (self->client != NULL) {
        free(self->report->api);
        self->report->api = pr_xstrdup(pr_api_client_url(self->client));
        self->report->checks[PR_CHECK_API] = self->view.api > 0 ? PR_CHECK_FAILED : PR_CHECK_PASSED;
    }
    self->view.report = self->report;
    return pr_report_describe(self->report, self->db, self->mapping, err);
}

static void s_print_json(const s_verify_t *self) {
    json_t *json = pr_report_to_json(self->report);
    size_t index;
    json_t *stream;
    json_array_foreach(json_object_get(json, "streams"), index, stream) {
        for (size_t i = 0; i < self->view.streams_count; i++) {
            const pr_verify_stream_t *counts = &self->view.streams[i];
            if (strcmp(json_string_value(json_object_get(stream, "stream")), counts->name) != 0)
                continue;
            pr_json_set(stream, "proved", json_integer((json_int_t)counts->proved));
            pr_json_set(stream, "failures", json_integer((json_int_t)counts->failures));
        }
    }
    pr_json_print(json, JSON_INDENT(2), stdout);
    json_decref(json);
}

static void s_print(const s_verify_t *self) {
    if (self->options->json)
        s_print_json(self);
    else
        pr_verify_print(&self->view, (pr_report_language_t)self->options->language, pr_terminal_colours(STDOUT_FILENO),
                        stdout);
}

/* ---- the command ---- */

static int s_verify(s_verify_t *self, const pr_operands_t *operands, int argc, char **argv, pr_error_t *err) {
    int result = s_open(self, operands, err);
    if (result == 0)
        result = s_find_unfinished(self, err);
    if (result == 0)
        result = s_prove_rows(self, err);
    if (result == 0)
        result = s_prove_whole(self, err);
    pr_verify_progress_clear(&self->progress);
    if (result == 0)
        result = s_check_api(self, err);
    if (result == 0)
        result = s_make_report(self, argc, argv, err);
    if (result == 0)
        result = pr_sql_unchanged(self->db, err);
    if (result < 0)
        return result;
    s_print(self);
    if (self->options->report != NULL)
        result =
            pr_report_write(self->report, self->options->report, (pr_report_language_t)self->options->language, err);
    return result < 0 ? result : self->report->outcome;
}

int pr_command_verify(int argc, char **argv, pr_error_t *err) {
    s_options_t given = {.api_timeout_s = PR_API_TIMEOUT_S, .progress = -1};
    const pr_option_t options[] = {
        {.name = "--target", .kind = PR_OPTION_TEXT, .into = &given.target},
        {.name = "--mapping", .kind = PR_OPTION_TEXT, .into = &given.mapping},
        {.name = "--null-text", .kind = PR_OPTION_WORD, .into = &given.null_text, .words = pr_null_text_words},
        {.name = "--extra", .kind = PR_OPTION_WORD, .into = &given.extra, .words = s_extra_words},
        {.name = "--api", .kind = PR_OPTION_TEXT, .into = &given.api},
        {.name = "--api-timeout",
         .kind = PR_OPTION_NUMBER,
         .into = &given.api_timeout_s,
         .least = 1,
         .most = s_timeout_max_s},
        {.name = "--report", .kind = PR_OPTION_TEXT, .into = &given.report},
        {.name = "--lang", .kind = PR_OPTION_WORD, .into = &given.language, .words = pr_language_words},
        {.name = "--progress", .kind = PR_OPTION_WORD, .into = &given.progress, .words = s_progress_words},
        {.name = "--json", .kind = PR_OPTION_FLAG, .into = &given.json}};
    pr_operands_t operands;
    int result = pr_options_parse(options, sizeof options / sizeof options[0], argc, argv, SIZE_MAX, &operands, err);
    if (result < 0)
        return result;
    if (operands.count == 0)
        result = pr_options_wrong(argv[0], err, "no export is given");
    else if (given.target == NULL)
        result = pr_options_wrong(argv[0], err, "--target DB is missing");
    if (result == 0) {
        pr_view_mode_t usual = isatty(STDERR_FILENO) ? pr_view_default_mode() : PR_VIEW_NONE;
        s_verify_t self = {.options = &given,
                           .progress = {.mode = given.progress >= 0 ? (pr_view_mode_t)given.progress : usual,
                                        .began_ms = pr_now_ms()}};
        result = s_verify(&self, &operands, argc, argv, err);
        s_close(&self);
    }
    free(operands.at);
    return result;
}
