/* SPDX-License-Identifier: MIT */
/* Runs in the target's books: begun, found, finished, completed. */
#include "writer/target_run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/deferred_index.h"
#include "common/fault.h"
#include "common/hint.h"
#include "common/position.h"
#include "common/sql_text.h"
#include "writer/target_foreign.h"

static const char *const S_STATES[] = {"streaming", "proving", "complete", "abandoned"};

const char *pr_target_state_word(pr_run_state_t state) {
    return S_STATES[state];
}

/* The CHECK of the table leaves only these four words. */
static pr_run_state_t s_state(const char *word) {
    pr_run_state_t state = PR_RUN_ABANDONED;
    for (int i = PR_RUN_STREAMING; word != NULL && i <= PR_RUN_ABANDONED; i++) {
        if (strcmp(word, S_STATES[i]) == 0)
            state = (pr_run_state_t)i;
    }
    return state;
}

static uint64_t s_column_hex(sqlite3_stmt *statement, int at) {
    return strtoull(pr_sql_column_text(statement, at), NULL, 16);
}

static pr_position_t s_column_position(sqlite3_stmt *statement, int at) {
    return (pr_position_t){.source = (uint32_t)sqlite3_column_int64(statement, at),
                           .ordinal = (uint64_t)sqlite3_column_int64(statement, at + 1),
                           .offset = (uint64_t)sqlite3_column_int64(statement, at + 2)};
}

int pr_target_run_plan(pr_target_t *target, int64_t run, pr_plan_t **ret_plan, pr_error_t *err) {
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_SOURCES, "i", run);
    pr_plan_t *plan = pr_plan_new();
    int step = SQLITE_ERROR;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        /* Two columns of text live at once, and pr_plan_add copies them; nothing else is asked of them in between. */
        pr_plan_source_t source = {.path = (char *)(uintptr_t)pr_sql_column_text(statement, 0),
                                   .stream = (char *)(uintptr_t)pr_sql_column_text(statement, 1),
                                   .size = (uint64_t)sqlite3_column_int64(statement, 2),
                                   .mtime_ns = sqlite3_column_int64(statement, 3),
                                   .digest = s_column_hex(statement, 4),
                                   .null_text = sqlite3_column_int(statement, 5) != 0,
                                   .records = (uint64_t)sqlite3_column_int64(statement, 6),
                                   .bytes = (uint64_t)sqlite3_column_int64(statement, 7)};
        pr_plan_add(plan, &source);
    }
    int result = step == SQLITE_DONE ? 0 : pr_target_fail(target, err, "reading the sources of run %" PRId64, run);
    sqlite3_reset(statement);
    if (result == 0)
        *ret_plan = plan;
    else
        pr_plan_destroy(&plan);
    return result;
}

int pr_target_run_at_hand(pr_target_t *target, int64_t run, pr_error_t *err) {
    if (target->run == run && run != 0)
        return 0;
    pr_plan_t *plan = NULL;
    int result = pr_target_run_plan(target, run, &plan, err);
    if (result != 0)
        return result;
    free(target->run_records);
    target->run_records = pr_xcalloc(plan->count, sizeof *target->run_records);
    for (uint32_t i = 0; i < plan->count; i++)
        target->run_records[i] = plan->sources[i].records;
    target->run_sources = plan->count;
    target->run = run;
    pr_plan_destroy(&plan);
    return 0;
}

static int s_no_run(const pr_target_t *target, int64_t run, pr_error_t *err) {
    return pr_error_set(err, PR_E_INTERNAL, "%s: there is no run %" PRId64, target->path, run);
}

int pr_target_run_position(pr_target_t *target, int64_t run, pr_position_t *ret_position, pr_run_state_t *ret_state,
                           pr_error_t *err) {
    int result = pr_target_run_at_hand(target, run, err);
    if (result < 0)
        return result;
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_RUN_POSITION, "i", run);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        *ret_state = s_state(pr_sql_column_text(statement, 0));
        *ret_position =
            pr_position_normalise(s_column_position(statement, 1), target->run_records, target->run_sources);
    } else {
        result =
            step == SQLITE_DONE ? s_no_run(target, run, err) : pr_target_fail(target, err, "reading run %" PRId64, run);
    }
    sqlite3_reset(statement);
    return result;
}

static int s_read_row(pr_target_t *target, pr_target_run_t *run, pr_error_t *err) {
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_RUN_READ, "i", run->number);
    int result = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        snprintf(run->id, sizeof run->id, "%s", pr_sql_column_text(statement, 0));
        run->state = s_state(pr_sql_column_text(statement, 1));
        run->mapping_digest = s_column_hex(statement, 2);
        run->null_text = pr_null_text_parse(pr_sql_column_text(statement, 3));
        run->plan_digest = s_column_hex(statement, 4);
        run->position =
            pr_position_normalise(s_column_position(statement, 5), target->run_records, target->run_sources);
        run->outcome = sqlite3_column_type(statement, 8) == SQLITE_NULL ? -1 : sqlite3_column_int(statement, 8);
        run->taken_back = sqlite3_column_int(statement, 9) != 0;
        run->seconds = sqlite3_column_double(statement, 10);
    } else {
        result = pr_target_fail(target, err, "reading run %" PRId64, run->number);
    }
    sqlite3_reset(statement);
    return result;
}

static int s_read_counts(pr_target_t *target, pr_target_run_t *run, pr_error_t *err) {
    sqlite3_stmt *checkpoints = pr_target_bound(target, PR_SQL_RUN_CHECKPOINTS, "i", run->number);
    sqlite3_stmt *failures = pr_target_bound(target, PR_SQL_RUN_FAILURES, "i", run->number);
    int result = 0;
    if (sqlite3_step(checkpoints) == SQLITE_ROW && sqlite3_step(failures) == SQLITE_ROW) {
        run->checkpoint = sqlite3_column_int64(checkpoints, 0);
        run->unvalidated = sqlite3_column_int64(checkpoints, 1);
        run->rejected = (uint64_t)sqlite3_column_int64(checkpoints, 2);
        /* A commit failed even if none of its failures is kept. */
        sqlite3_int64 failed = sqlite3_column_int64(checkpoints, 3);
        sqlite3_int64 kept = sqlite3_column_int64(failures, 0);
        run->failures = (uint64_t)(kept > failed ? kept : failed);
        run->validated = (uint64_t)sqlite3_column_int64(checkpoints, 4);
    } else {
        result = pr_target_fail(target, err, "reading the checkpoints of run %" PRId64, run->number);
    }
    sqlite3_reset(checkpoints);
    sqlite3_reset(failures);
    return result;
}

int pr_target_run_find(pr_target_t *target, const char *id, pr_target_run_t *ret_run, pr_error_t *err) {
    assert(!target->batch.open);
    int result = pr_target_again(target, err);
    if (result < 0 || !target->ready) /* no books, no run */
        return result;
    pr_target_run_t run;
    memset(&run, 0, sizeof run);
    sqlite3_stmt *statement = id == NULL ? pr_target_bound(target, PR_SQL_RUN_UNFINISHED, "")
                                         : pr_target_bound(target, PR_SQL_RUN_BY_ID, "t", id);
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        run.number = sqlite3_column_int64(statement, 0);
    else if (step != SQLITE_DONE)
        result = pr_target_fail(target, err, "looking for a run");
    sqlite3_reset(statement);
    if (result < 0)
        return result;
    if (step == SQLITE_DONE)
        return 0;
    result = pr_target_run_at_hand(target, run.number, err);
    if (result == 0)
        result = s_read_row(target, &run, err);
    if (result == 0)
        result = s_read_counts(target, &run, err);
    if (result < 0)
        return result;
    *ret_run = run;
    return 1;
}

static int s_refuse_second(pr_target_t *target, pr_error_t *err) {
    pr_target_run_t unfinished = {.number = 0};
    int result = pr_target_run_find(target, NULL, &unfinished, err);
    if (result != 1)
        return result;
    return pr_error_set(err, PR_E_UNFINISHED,
                        "%s: run %" PRId64 " (%s) is not finished (%s, %" PRIu64
                        " records in); give the exports it was begun with to continue it, or --restart to abandon it",
                        target->path, unfinished.number, unfinished.id, S_STATES[unfinished.state],
                        pr_position_records_before(unfinished.position, target->run_records, target->run_sources));
}

static int s_insert_run(pr_target_t *target, const pr_target_run_new_t *run, int64_t *ret_number, pr_error_t *err) {
    char mapping[17];
    char plan[17];
    snprintf(mapping, sizeof mapping, "%016" PRIx64, target->mapping->digest);
    snprintf(plan, sizeof plan, "%016" PRIx64, pr_plan_digest(run->plan));
    int result =
        pr_target_do(target, PR_SQL_RUN_INSERT, err, "tttttti", run->id, run->retries_through > 0 ? "retry" : "replay",
                     target->mapping->name, mapping, pr_null_text_words[run->null_text], plan, run->retries_through);
    if (result < 0)
        return result;
    int64_t number = sqlite3_last_insert_rowid(target->db);
    pr_value_t text = pr_value_text(target->mapping->text, target->mapping->text_bytes);
    result = pr_target_do(target, PR_SQL_MAPPING_INSERT, err, "tb", mapping, &text);
    *ret_number = number;
    return result;
}

static int s_insert_source(pr_target_t *target, int64_t run, uint32_t number, const pr_plan_source_t *source,
                           pr_error_t *err) {
    char digest[17];
    snprintf(digest, sizeof digest, "%016" PRIx64, source->digest);
    return pr_target_do(target, PR_SQL_SOURCE_INSERT, err, "iittiitiii", run, (int64_t)number, source->path,
                        source->stream, (int64_t)source->size, source->mtime_ns, digest, (int64_t)source->null_text,
                        (int64_t)source->records, (int64_t)source->bytes);
}

/*  Do derived columns count rows of this table by a column that no UNIQUE index begins with? Then another index may be what
 *  spares them a walk through the whole table for each row. Returns 1, 0 or <0. */
static int s_is_counted_by_index(pr_target_t *target, const char *table, pr_error_t *err) {
    static const char sql[] = "SELECT 1 FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i "
                              "WHERE l.\"unique\" = 1 AND l.partial = 0 AND i.seqno = 0 AND i.name = ?2";
    sqlite3_stmt *statement = NULL;
    int result = 0;
    if (sqlite3_prepare_v2(target->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return pr_target_fail(target, err, "asking for the indexes of table %s", table);
    for (size_t d = 0; result == 0 && d < target->mapping->derived_count; d++) {
        const pr_derived_t *derived = &target->mapping->derived[d];
        if (sqlite3_stricmp(derived->child_table, table) != 0)
            continue;
        sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, derived->child_column, -1, SQLITE_STATIC);
        int step = sqlite3_step(statement);
        if (step == SQLITE_DONE)
            result = 1;
        else if (step != SQLITE_ROW)
            result = pr_target_fail(target, err, "asking for the indexes of table %s", table);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return result;
}

/*  Put off what indexes can be: of the empty tables that this run is going to fill, if it is large enough for that to be
 *  worth two changes of the schema. */
static int s_defer_indexes(pr_target_t *target, int64_t run, const pr_plan_t *plan, pr_error_t *err) {
    enum { s_least_records = 5000 };
    uint64_t records = 0;
    for (uint32_t i = 0; i < plan->count; i++)
        records += plan->sources[i].records;
    int result = 0;
    for (size_t s = 0; records >= s_least_records && s < target->mapping->streams_count; s++) {
        const pr_target_stream_t *stream = &target->streams[s];
        for (size_t r = 0; result == 0 && r < stream->stream->rows_count; r++) {
            const pr_target_row_t *row = &stream->rows[r];
            if (!row->unique || row->spec->through_table != NULL)
                continue;
            int counted = s_is_counted_by_index(target, row->spec->table, err);
            result = counted == 0 ? pr_deferred_index_put_off(target->db, run, row->spec->table, err) : counted;
            result = result < 0 ? result : 0;
        }
    }
    return result;
}

/* An error of what knows only the connection says whose it is. */
static int s_of_target(const pr_target_t *target, int result, const pr_error_t *cause, pr_error_t *err) {
    return result < 0 ? pr_error_set(err, cause->code, "%s: %s", target->path, cause->text) : result;
}

uint64_t pr_target_bytes(pr_target_t *target) {
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_BYTES, "");
    uint64_t bytes = sqlite3_step(statement) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return bytes;
}

int pr_target_indexes_left(pr_target_t *target, uint64_t *ret_rows, pr_error_t *err) {
    pr_error_t local = PR_ERROR_INIT;
    int result = pr_target_again(target, err);
    if (result < 0)
        return result;
    result = pr_deferred_index_rows(target->db, ret_rows, &local);
    if (result == 0)
        result = pr_deferred_index_listed(target->db, &local);
    return s_of_target(target, result, &local, err);
}

/*  Indexes are sorted in files: measured, that is a fifth faster than in memory, which moreover would have to hold all of
 *  one. The sorter takes as much memory as the page cache may have, and does not get faster by it. */
int pr_target_build_index(pr_target_t *target, pr_error_t *err) {
    assert(!target->batch.open);
    pr_error_t local = PR_ERROR_INIT;
    int result = pr_target_again(target, err);
    if (result < 0)
        return result;
    sqlite3_exec(target->db, "PRAGMA temp_store = FILE; PRAGMA cache_size = -4096", NULL, NULL, NULL);
    result = pr_deferred_index_build(target->db, &local);
    sqlite3_exec(target->db, "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768", NULL, NULL, NULL);
    if (result > 0)
        pr_fault("writer.index-built");
    return s_of_target(target, result, &local, err);
}

int pr_target_run_begin(pr_target_t *target, const pr_target_run_new_t *run, pr_target_run_t *ret_run,
                        pr_error_t *err) {
    int64_t number = 0;
    int result = pr_target_again(target, err);
    if (result == 0)
        result = pr_target_get_ready(target, err);
    if (result == 0)
        result = pr_target_own_begin(target, err);
    if (result < 0)
        return result;
    result = s_refuse_second(target, err);
    if (result == 0)
        result = s_insert_run(target, run, &number, err);
    for (uint32_t i = 0; result == 0 && i < run->plan->count; i++)
        result = s_insert_source(target, number, i, &run->plan->sources[i], err);
    if (result == 0)
        result = s_defer_indexes(target, number, run->plan, err);
    result = pr_target_own_end(target, result, err);
    if (result < 0)
        return result;
    target->has_run = true;
    result = pr_target_run_find(target, run->id, ret_run, err);
    return result < 0 ? result : 0;
}

int pr_target_run_abandon(pr_target_t *target, int64_t run, pr_error_t *err) {
    assert(!target->batch.open);
    int result = pr_target_again(target, err);
    if (result == 0)
        result = pr_target_commit_to_disk(target, true, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_RUN_ABANDON, err, "i", run);
    if (result == 0)
        result = pr_target_commit_to_disk(target, false, err);
    int built = result == 0 ? 1 : result;
    while (built > 0)
        built = pr_target_build_index(target, err);
    return built;
}

int pr_target_run_stopped(pr_target_t *target, int64_t run, const char *text, double seconds, pr_error_t *err) {
    assert(!target->batch.open);
    int result = pr_target_again(target, err);
    if (result == 0)
        result = pr_target_check_place(target, err);
    if (result == 0)
        result = pr_target_commit_to_disk(target, true, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_RUN_STOPPED, err, "itd", run, text, seconds);
    return result == 0 ? pr_target_commit_to_disk(target, false, err) : result;
}

static int s_derive(pr_target_t *target, int64_t run, int64_t *ret_rows, pr_error_t *err) {
    int64_t rows = 0;
    pr_target_tables_clear(target);
    int result = 0;
    for (size_t i = 0; result == 0 && i < target->mapping->derived_count; i++) {
        sqlite3_stmt *statement = target->derive[i];
        sqlite3_bind_int64(statement, 1, run);
        pr_target_bind_value(statement, 2, &target->mapping->derived[i].except_value);
        if (sqlite3_step(statement) == SQLITE_DONE) {
            size_t table = pr_target_table(target, target->mapping->derived[i].table);
            target->tables[table].updated += (uint64_t)sqlite3_changes64(target->db);
            rows += sqlite3_changes64(target->db);
        } else

            result = pr_target_fail(target, err, "%s.%s", target->mapping->derived[i].table,
                                    target->mapping->derived[i].column);
        sqlite3_reset(statement);
    }
    if (result == 0)
        *ret_rows = rows;
    return result;
}

/* The run must stand at its end. A run that is finished already answers with the checkpoint it has: 1. */
static int s_finishable(pr_target_t *target, int64_t run, int64_t *ret_checkpoint, pr_error_t *err) {
    pr_position_t at = {0, 0, 0};
    pr_run_state_t state = PR_RUN_STREAMING;
    int result = pr_target_run_position(target, run, &at, &state, err);
    if (result < 0)
        return result;
    if (state == PR_RUN_ABANDONED || at.source != target->run_sources)
        return pr_error_set(err, PR_E_INTERNAL,
                            "%s: run %" PRId64 " (%s) cannot finish at %s; it has %" PRIu32 " sources", target->path,
                            run, S_STATES[state], pr_position_text(at).text, target->run_sources);
    if (state == PR_RUN_STREAMING)
        return 0;
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_CHECKPOINT_FINISHED, "i", run);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *ret_checkpoint = sqlite3_column_int64(statement, 0);
        result = 1;
    } else {
        result = pr_target_fail(target, err, "reading the last checkpoint of run %" PRId64, run);
    }
    sqlite3_reset(statement);
    return result;
}

static int s_finish(pr_target_t *target, int64_t run, int64_t *ret_checkpoint, pr_error_t *err) {
    int64_t rows = 0;
    int64_t checkpoint = 0;
    int result = target->undo != NULL ? pr_undo_begin(target->undo, err) : 0;
    if (result == 0)
        result = s_derive(target, run, &rows, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_CHECKPOINT_FINISH, err, "iii", run, (int64_t)target->run_sources, rows);
    if (result == 0)
        checkpoint = sqlite3_last_insert_rowid(target->db);
    if (result == 0)
        result = pr_target_checkpoint_settle(target, checkpoint, err);
    if (result == 0)
        result = pr_target_foreign_merge(target, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_RUN_PROVING, err, "i", run);
    if (result == 0) {
        pr_fault("writer.finish-before-commit");
        *ret_checkpoint = checkpoint;
    }
    return result;
}

int pr_target_run_finish(pr_target_t *target, int64_t run, int64_t *ret_checkpoint, pr_error_t *err) {
    int64_t checkpoint = 0;
    int result = pr_target_again(target, err);
    if (result == 0)
        result = pr_target_own_begin(target, err);
    if (result < 0)
        return result;
    result = s_finishable(target, run, &checkpoint, err);
    if (result == 0)
        result = s_finish(target, run, &checkpoint, err);
    result = pr_target_own_end(target, result, err);
    if (result < 0)
        return result;
    pr_fault("writer.finish-after-commit");
    *ret_checkpoint = checkpoint;
    return 0;
}

int pr_target_run_complete(pr_target_t *target, int64_t run, int outcome, double seconds, pr_error_t *err) {
    int result = pr_target_again(target, err);
    if (result == 0)
        result = pr_target_commit_to_disk(target, true, err);
    if (result == 0)
        result = pr_target_own_begin(target, err);
    if (result < 0)
        return result;
    result = pr_target_do(target, PR_SQL_RUN_COMPLETE, err, "iid", run, (int64_t)outcome, seconds);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_RUN_RETRIED, err, "i", run);
    if (result == 0)
        pr_fault("writer.complete-before-commit");
    result = pr_target_own_end(target, result, err);
    if (result == 0)
        pr_fault("writer.complete-after-commit");
    if (result == 0)
        result = pr_target_commit_to_disk(target, false, err);
    return result;
}

/* Conflicts are listed by the operator's command; here their number must do. */
static int s_conflicts(const pr_target_t *target, const pr_rollback_report_t *report, pr_error_t *err) {
    char command[PR_HINT_BYTES];
    return pr_error_set(err, PR_E_CONFLICT,
                        "%s: the run was not taken back, as somebody else has changed what it wrote since (conflicts: "
                        "%" PRIu64 "); see them with `%s`",
                        target->path, report->conflicts_total,
                        pr_hint_into(command, sizeof command, "rollback", "--target", target->path, "--to",
                                     "start-of-run", "--dry-run", NULL));
}

int pr_target_run_take_back(pr_target_t *target, int64_t run, const pr_target_take_back_t *how, pr_error_t *err) {
    pr_rollback_point_t point;
    pr_rollback_report_t *report = NULL;
    const pr_rollback_options_t options = {.reason = how->reason, .outcome = how->outcome};
    pr_error_t local = PR_ERROR_INIT;
    pr_target_batch_rollback(target);
    int result = pr_rollback_point_start(target->db, run, &point, &local);
    if (result == 0)
        result = pr_rollback(target->path, &point, &options, &report, &local);
    if (result == -PR_E_CONFLICT && report != NULL)
        result = s_conflicts(target, report, err);
    else if (result < 0)
        result = pr_error_set(err, local.code, "%s", local.text);
    else
        pr_target_run_stopped(target, run, how->text, how->seconds,
                              NULL); /* taken back it is, whatever becomes of this */
    pr_rollback_report_destroy(&report);
    return result;
}

static const char *s_stream_name(const pr_target_t *target, const char *name) {
    int stream = pr_mapping_stream_index(target->mapping, name);
    return stream < 0 ? NULL : target->mapping->streams[stream].name;
}

int pr_target_unvalidated(pr_target_t *target, int64_t run, int64_t after, pr_target_commit_t *commits, size_t max,
                          pr_error_t *err) {
    int result = pr_target_again(target, err);
    if (result < 0)
        return result;
    int64_t open = target->batch.open ? target->batch.checkpoint : 0;
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_UNVALIDATED, "iiii", run, after, open,
                                              (int64_t)(max > INT32_MAX ? INT32_MAX : max));
    int count = 0;
    int step = SQLITE_ERROR;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
        commits[count++] = (pr_target_commit_t){.checkpoint = sqlite3_column_int64(statement, 0),
                                                .range = {.source = (uint32_t)sqlite3_column_int64(statement, 1),
                                                          .first = (uint64_t)sqlite3_column_int64(statement, 2),
                                                          .count = (uint32_t)sqlite3_column_int64(statement, 3),
                                                          .begin = (uint64_t)sqlite3_column_int64(statement, 4),
                                                          .end = (uint64_t)sqlite3_column_int64(statement, 5)},
                                                .digest = s_column_hex(statement, 6),
                                                .rejected = (uint64_t)sqlite3_column_int64(statement, 7),
                                                .stream = s_stream_name(target, pr_sql_column_text(statement, 9)),
                                                .rows_known = sqlite3_column_type(statement, 8) != SQLITE_NULL,
                                                .rows_sum = (uint64_t)sqlite3_column_int64(statement, 8)};
    }
    result = step == SQLITE_DONE ? count : pr_target_fail(target, err, "reading the checkpoints of run %" PRId64, run);
    sqlite3_reset(statement);
    return result;
}

int pr_target_books(pr_target_t *target, int64_t run, uint64_t ret_numbers[PR_TARGET_BOOKS], pr_error_t *err) {
    int result = pr_target_again(target, err);
    if (result < 0)
        return result;
    sqlite3_stmt *statement = pr_target_bound(target, PR_SQL_BOOKS, "i", run);
    if (sqlite3_step(statement) != SQLITE_ROW)
        result = pr_target_fail(target, err, "adding up the checkpoints of run %" PRId64, run);
    for (int i = 0; result == 0 && i < PR_TARGET_BOOKS; i++)
        ret_numbers[i] = (uint64_t)sqlite3_column_int64(statement, i);
    sqlite3_reset(statement);
    return result;
}
