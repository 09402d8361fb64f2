/* SPDX-License-Identifier: MIT */
/* The SQLite target: opening, closing, binding, and the batch transaction. */

/*  DESIGN
 *
 *  States: idle; batch open; failed. A call that fails inside a batch, and a batch that cannot begin or commit, leave
 *  the target failed: every call but pr_target_batch_rollback returns the same error, and nothing is committed. Calls
 *  with a transaction of their own (runs, verdicts, findings outside a batch) roll back themselves and leave the target
 *  idle.
 *
 *  One transaction holds a batch: its rows, its checkpoint (made at its beginning, because rejects refer to it, and
 *  completed at its end), rejects, findings, touched rows, how to take it all back, verdicts that came in meanwhile, and
 *  the run's position. The continuity check (the batch begins where the run stands) reads the position inside that same
 *  transaction. A crash at any moment leaves the database as after the last COMMIT; SQLite rolls the rest back when it
 *  is opened next.
 *
 *  What is remembered between records (ids by natural key, touched rows) is true of the database as this connection
 *  sees it: it is taken back with the transaction that it came from, and forgotten when PRAGMA data_version says that
 *  another connection has written.
 *
 *  Connection settings, and why:
 *    triggers off              the HUB's would overwrite updated_at and count every audit again for each row
 *    foreign_keys on           always
 *    WAL, NORMAL               readers (the validator) do not stop the writer; a power cut may lose the newest commits,
 *                              never half of one, and the run's position goes with them
 *    wal_autocheckpoint 4,000  pages (16 MB): a batch rewrites the same index pages as the one before; fewer, larger
 *                              checkpoints write them once
 *    cache_size 32 MiB         the hot parts of the indexes of a few million modules
 *    secure_delete off         Debian's SQLite zeroes what a page split or an update frees; it costs a memset for each.
 *                              It is a property of this connection, and what it would hide was in the exports
 *    temp_store memory         savepoints and statement journals
 */
#include "writer/target_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/fault.h"
#include "common/lock_wait.h"
#include "common/migrate.h"
#include "common/position.h"
#include "common/reject.h"
#include "common/sql_busy.h"
#include "common/sql_has.h"
#include "common/sql_open.h"
#include "writer/target_apply.h"
#include "writer/target_group.h"
#include "writer/target_rows.h"
#include "writer/target_run.h"
#include "writer/target_schema.h"

enum { CACHE_ENTRIES = 65536, CACHE_BYTES = 8 << 20, TOUCHED_ENTRIES = 65536 };

int pr_target_fail(pr_target_t *target, pr_error_t *err, const char *doing_format, ...) {
    char doing[400];
    va_list args;
    va_start(args, doing_format);
    vsnprintf(doing, sizeof doing, doing_format, args);
    va_end(args);
    pr_error_code_t code = pr_sql_error_code(target->db);
    const char *next = "";
    if (code == PR_E_TARGET_LOCKED)
        next = "; another process writes to it; the same command continues when it is done";
    else if (code == PR_E_INTERRUPTED)
        next = "; interrupted while waiting for it; the same command continues";
    else if (code == PR_E_TARGET_FULL)
        next = "; make room, then the same command continues";
    return pr_error_set(err, code, "%s: %s: %s%s", target->path, doing, sqlite3_errmsg(target->db), next);
}

int pr_target_prepare(pr_target_t *target, char *text, sqlite3_stmt **ret_statement, pr_error_t *err) {
    int result = 0;
    if (sqlite3_prepare_v3(target->db, text, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL) != SQLITE_OK)
        result = pr_target_fail(target, err, "preparing \"%.200s\"", text);
    sqlite3_free(text);
    return result;
}

void pr_target_bind_value(sqlite3_stmt *statement, int at, const pr_value_t *value) {
    switch (value->kind) {
    case PR_NULL:
        sqlite3_bind_null(statement, at);
        break;
    case PR_INTEGER:
        sqlite3_bind_int64(statement, at, value->integer);
        break;
    case PR_REAL:
        sqlite3_bind_double(statement, at, value->real);
        break;
    case PR_TEXT:
        /* A NULL pointer would bind NULL, and an empty text is not NULL. */
        sqlite3_bind_text64(statement, at, value->text.size == 0 ? "" : value->text.data, value->text.size,
                            SQLITE_STATIC, SQLITE_UTF8);
        break;
    }
}

static void s_bind_blob(sqlite3_stmt *statement, int at, const pr_value_t *value) {
    if (value->kind == PR_TEXT && value->text.size > 0)
        sqlite3_bind_blob64(statement, at, value->text.data, value->text.size, SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(statement, at, 0);
}

static sqlite3_stmt *s_bound(pr_target_t *target, pr_sql_t which, const char *types, va_list args) {
    sqlite3_stmt *statement = target->fixed[which];
    for (int at = 1; types[at - 1] != '\0'; at++) {
        switch (types[at - 1]) {
        case 'i':
            sqlite3_bind_int64(statement, at, va_arg(args, int64_t));
            break;
        case 'd':
            sqlite3_bind_double(statement, at, va_arg(args, double));
            break;
        case 't':
            sqlite3_bind_text(statement, at, va_arg(args, const char *), -1, SQLITE_STATIC);
            break;
        case 'v':
            pr_target_bind_value(statement, at, va_arg(args, const pr_value_t *));
            break;
        case 'b':
            s_bind_blob(statement, at, va_arg(args, const pr_value_t *));
            break;
        default:
            assert(!"a letter of the types that is none");
        }
    }
    return statement;
}

sqlite3_stmt *pr_target_bound(pr_target_t *target, pr_sql_t which, const char *types, ...) {
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = s_bound(target, which, types, args);
    va_end(args);
    return statement;
}

int pr_target_do(pr_target_t *target, pr_sql_t which, pr_error_t *err, const char *types, ...) {
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = s_bound(target, which, types, args);
    va_end(args);
    int result = 0;
    if (sqlite3_step(statement) != SQLITE_DONE)
        result = pr_target_fail(target, err, "%.60s", pr_sql_text(which));
    sqlite3_reset(statement);
    return result;
}

/* Opening -----------------------------------------------------------------------------------------------------------
 */

static int s_exec(pr_target_t *target, const char *sql, pr_error_t *err) {
    if (sqlite3_exec(target->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return pr_target_fail(target, err, "%s", sql);
    return 0;
}

static int s_connect(pr_target_t *target, pr_error_t *err) {
    int off = -1;
    int opened = pr_sql_open(target->path, PR_SQL_CREATE, &target->db, err);
    if (opened < 0)
        return opened;
    if (sqlite3_db_config(target->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &off) != SQLITE_OK || off != 0)
        return pr_error_set(err, PR_E_TARGET, "%s: this SQLite cannot turn triggers off", target->path);
    int result = s_exec(target, "PRAGMA foreign_keys = ON", err);
    if (result == 0)
        result = s_exec(target, "PRAGMA cache_size = -32768", err);
    if (result == 0)
        result = s_exec(target, "PRAGMA temp_store = MEMORY", err);
    if (result == 0)
        result = s_exec(target, "PRAGMA secure_delete = OFF", err);
    return result;
}

/* After the schema is accepted: a refused database keeps its journal mode. */
static int s_settings(pr_target_t *target, pr_error_t *err) {
    int result = pr_sql_wal(target->db) == SQLITE_OK ? 0 : pr_target_fail(target, err, "PRAGMA journal_mode = WAL");
    if (result == 0)
        result = s_exec(target, "PRAGMA synchronous = NORMAL", err);
    if (result == 0)
        result = s_exec(target, "PRAGMA wal_autocheckpoint = 4000", err);
    return result;
}

/*  Migrate and check. What the HUB made is checked before our books are added to it, so that a refused database stays
 *  as it was; what is ours or fresh is migrated first, because a migration may bring the column that a check would miss.
 */
static int s_schema(pr_target_t *target, const char *migrations, pr_error_t *err) {
    pr_migrate_state_t state = PR_MIGRATE_FRESH;
    pr_migrations_t *applied = NULL;
    int result = pr_migrate_state(target->db, &state, err);
    if (result == 0 && state == PR_MIGRATE_ADOPTED)
        result = pr_target_schema_check(target, err);
    if (result == 0)
        result = pr_migrate_apply(target->db, migrations, &applied, err);
    if (result == 0 && state != PR_MIGRATE_ADOPTED)
        result = pr_target_schema_check(target, err);
    pr_migrations_destroy(&applied);
    return result;
}

static int s_prepare(pr_target_t *target, pr_error_t *err) {
    for (int i = 0; i < PR_SQL_COUNT; i++) {
        const char *text = pr_sql_text((pr_sql_t)i);
        if (sqlite3_prepare_v3(target->db, text, -1, SQLITE_PREPARE_PERSISTENT, &target->fixed[i], NULL) != SQLITE_OK)
            return pr_target_fail(target, err, "preparing \"%.200s\"", text);
    }
    return pr_target_rows_prepare(target, err);
}

static int s_keep_undo(pr_target_t *target, pr_error_t *err) {
    const char **tables = pr_xcalloc(target->tables_count, sizeof *tables);
    for (size_t i = 0; i < target->tables_count; i++)
        tables[i] = target->tables[i].name;
    int result = pr_undo_new(target->db, tables, target->tables_count, &target->undo, err);
    free(tables);
    return result;
}

int pr_target_get_ready(pr_target_t *target, pr_error_t *err) {
    int result = 0;
    if (target->ready)
        return 0;
    if (target->db == NULL) {
        target->made = access(target->path, F_OK) < 0 && errno == ENOENT;
        result = s_connect(target, err);
        if (target->db != NULL)
            target->place = pr_sql_place_take(target->db, target->path);
    }
    if (result == 0)
        result = s_schema(target, target->migrations, err);
    if (result == 0)
        result = s_settings(target, err);
    if (result == 0)
        result = s_prepare(target, err);
    if (result < 0)
        return result;
    target->place = pr_sql_place_take(target->db, target->path);
    target->ready = true;
    return target->wants_undo ? s_keep_undo(target, err) : 0;
}

/*  What is there? A file that is not, an empty one, and a HUB that has never seen us stay as they are until a run begins:
 *  an export that is refused leaves no trace. What can be refused at once is. */
static int s_look(pr_target_t *target, pr_error_t *err) {
    struct stat status;
    pr_migrate_state_t state = PR_MIGRATE_FRESH;
    if (stat(target->path, &status) < 0 && errno == ENOENT)
        return 0;
    int result = s_connect(target, err);
    if (result == 0)
        result = pr_migrate_state(target->db, &state, err);
    int books = result == 0 ? pr_sql_has_table(target->db, "pvrelay_run", err) : result;
    if (books < 0)
        return books;
    if (books == 0 && state == PR_MIGRATE_ADOPTED)
        return pr_target_schema_check(target, err);
    return books == 0 && state == PR_MIGRATE_FRESH ? 0 : pr_target_get_ready(target, err);
}

int pr_target_open(const char *path, const char *migrations, const pr_mapping_t *mapping, pr_target_t **ret_target,
                   pr_error_t *err) {
    pr_target_t *target = pr_xcalloc(1, sizeof *target);
    target->path = pr_xstrdup(path);
    target->migrations = pr_xstrdup(migrations);
    target->mapping = mapping;
    target->cache = pr_id_cache_new(CACHE_ENTRIES, CACHE_BYTES);
    target->touched = pr_id_set_new(TOUCHED_ENTRIES);
    pr_target_rows_new(target);
    char *lock = pr_xasprintf("%s-pvrelay.lock", path);
    int result = pr_lock_take(lock, pr_lock_wait_limit_ms(), &target->lock, err);
    free(lock);
    if (result == 0)
        result = s_look(target, err);
    if (result == 0)
        *ret_target = target;
    else
        pr_target_destroy(&target);
    return result;
}

void pr_target_destroy(pr_target_t **target) {
    if (target == NULL || *target == NULL)
        return;
    pr_target_t *dying = *target;
    if (dying->db != NULL && sqlite3_get_autocommit(dying->db) == 0)
        sqlite3_exec(dying->db, "ROLLBACK", NULL, NULL, NULL);
    pr_undo_destroy(&dying->undo);
    pr_row_digests_destroy(&dying->digests);
    pr_target_rows_destroy(dying);
    pr_target_group_destroy(&dying->group);
    for (int i = 0; i < PR_SQL_COUNT; i++)
        sqlite3_finalize(dying->fixed[i]);
    if (dying->lost)
        pr_sql_place_leave(dying->db);
    sqlite3_close(dying->db);
    if (dying->made && !dying->has_run)
        pr_sql_place_remove(dying->path, &dying->place);
    pr_lock_release(&dying->lock);
    pr_id_cache_destroy(&dying->cache);
    pr_id_set_destroy(&dying->touched);
    free(dying->batch.stream);
    free(dying->run_records);
    free(dying->migrations);
    free(dying->path);
    free(dying);
    *target = NULL;
}

int pr_target_check_place(pr_target_t *target, pr_error_t *err) {
    int result = target->ready ? pr_sql_place_check(target->db, target->path, &target->place, err) : 0;
    target->lost = target->lost || result < 0;
    return result;
}

int pr_target_keep_undo(pr_target_t *target, pr_error_t *err) {
    target->wants_undo = true;
    return target->ready ? s_keep_undo(target, err) : 0;
}

void pr_target_on_foreign_change(pr_target_t *target, pr_foreign_policy_t policy) {
    target->on_foreign_change = policy;
}

/* Transactions ------------------------------------------------------------------------------------------------------
 */

int pr_target_again(const pr_target_t *target, pr_error_t *err) {
    if (target->sticky.code == PR_E_OK)
        return 0;
    return pr_error_set(err, target->sticky.code, "%s", target->sticky.text);
}

int pr_target_stick(pr_target_t *target, int result, const pr_error_t *local, pr_error_t *err) {
    if (result >= 0)
        return result;
    target->sticky = *local;
    return pr_target_again(target, err);
}

void pr_target_roll_back(pr_target_t *target) {
    if (!target->ready)
        return;
    /* SQLite may have rolled back itself (a full disk), or not (a failed COMMIT): only autocommit tells. */
    if (sqlite3_get_autocommit(target->db) == 0) {
        sqlite3_step(target->fixed[PR_SQL_ROLLBACK]);
        sqlite3_reset(target->fixed[PR_SQL_ROLLBACK]);
    }
    pr_undo_drop(target->undo);
    pr_row_digests_drop(target->digests);
    target->foreign_named = -1;
    target->foreign_kept = -1;
    pr_id_cache_clear(target->cache);
    pr_id_set_clear(target->touched);
    pr_target_group_empty(target->group);
    target->run = 0;
}

int pr_target_commit(pr_target_t *target, pr_error_t *err) {
    int result = pr_target_check_place(target, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_COMMIT, err, "");
    if (result < 0)
        pr_target_roll_back(target);
    return result;
}

int pr_target_commit_to_disk(pr_target_t *target, bool at_once, pr_error_t *err) {
    return s_exec(target, at_once ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err);
}

int pr_target_own_begin(pr_target_t *target, pr_error_t *err) {
    assert(!target->batch.open);
    return pr_target_do(target, PR_SQL_BEGIN, err, "");
}

int pr_target_own_end(pr_target_t *target, int result, pr_error_t *err) {
    if (result >= 0)
        return pr_target_commit(target, err);
    pr_target_roll_back(target);
    return result;
}

void pr_target_tables_clear(pr_target_t *target) {
    for (size_t i = 0; i < target->tables_count; i++) {
        target->tables[i].inserted = 0;
        target->tables[i].updated = 0;
    }
}

int pr_target_checkpoint_settle(pr_target_t *target, int64_t checkpoint, pr_error_t *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < target->tables_count; i++) {
        const pr_target_table_t *table = &target->tables[i];
        if (table->inserted > 0 || table->updated > 0)
            result = pr_target_do(target, PR_SQL_CHECKPOINT_ROWS, err, "itii", checkpoint, table->name,
                                  (int64_t)table->inserted, (int64_t)table->updated);
    }
    if (result == 0)
        result = pr_row_digests_store(target->digests, checkpoint, err);
    return result == 0 && target->undo != NULL ? pr_undo_store(target->undo, checkpoint, err) : result;
}

/* Batches -----------------------------------------------------------------------------------------------------------
 */

/* Forget cached ids if another connection has written since. */
static int s_notice_others(pr_target_t *target, pr_error_t *err) {
    sqlite3_stmt *statement = target->fixed[PR_SQL_DATA_VERSION];
    int result = 0;
    if (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t version = sqlite3_column_int64(statement, 0);
        if (version != target->data_version)
            pr_id_cache_clear(target->cache);
        target->data_version = version;
    } else {
        result = pr_target_fail(target, err, "reading data_version");
    }
    sqlite3_reset(statement);
    return result;
}

/* The continuity check. */
static int s_check_range(pr_target_t *target, int64_t run, pr_range_t range, pr_error_t *err) {
    pr_position_t at = {0, 0, 0};
    pr_run_state_t state = PR_RUN_STREAMING;
    int result = pr_target_run_position(target, run, &at, &state, err);
    if (result < 0)
        return result;
    if (state != PR_RUN_STREAMING)
        return pr_error_set(err, PR_E_PROTOCOL, "%s: run %" PRId64 " takes no batch: it is %s", target->path, run,
                            pr_target_state_word(state));
    if (range.source >= target->run_sources || pr_range_relation(range, at) != PR_RANGE_NEXT)
        return pr_error_set(err, PR_E_PROTOCOL, "%s: run %" PRId64 " stands at %s; a batch from %s does not follow",
                            target->path, run, pr_position_text(at).text, pr_position_text(pr_range_begin(range)).text);
    return 0;
}

static int s_batch_begin(pr_target_t *target, int64_t run, const pr_plan_source_t *source, pr_range_t range,
                         pr_error_t *err) {
    int result = pr_target_do(target, PR_SQL_BEGIN, err, "");
    if (result == 0)
        result = s_notice_others(target, err);
    if (result == 0)
        result = s_check_range(target, run, range, err);
    if (result == 0 && target->undo != NULL)
        result = pr_undo_begin(target->undo, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_CHECKPOINT_OPEN, err, "iiiiii", run, (int64_t)range.source,
                              (int64_t)range.first, (int64_t)range.count, (int64_t)range.begin, (int64_t)range.end);
    if (result < 0)
        return result;
    pr_target_tables_clear(target);
    /* What is touched is noted per run. */
    if (target->batch.run != run)
        pr_id_set_clear(target->touched);
    free(target->batch.stream);
    target->batch = (pr_target_batch_t){.open = true,
                                        .run = run,
                                        .checkpoint = sqlite3_last_insert_rowid(target->db),
                                        .stream = pr_xstrdup(source->stream),
                                        .null_text = source->null_text,
                                        .range = range};
    return 0;
}

int pr_target_batch_begin(pr_target_t *target, int64_t run, const pr_plan_source_t *source, pr_range_t range,
                          pr_error_t *err) {
    assert(!target->batch.open);
    int result = pr_target_again(target, err);
    if (result < 0)
        return result;
    pr_error_t local = PR_ERROR_INIT;
    result = s_batch_begin(target, run, source, range, &local);
    if (result < 0)
        pr_target_roll_back(target);
    return pr_target_stick(target, result, &local, err);
}

static int s_reject(pr_target_t *target, const pr_rows_record_t *record, uint64_t ordinal, unsigned reason,
                    const pr_value_t *field, const pr_value_t *detail, const pr_value_t *raw, pr_error_t *err) {
    const pr_target_batch_t *batch = &target->batch;
    target->batch.counts.rejected++;
    return pr_target_do(target, PR_SQL_REJECT_INSERT, err, "iiitiiitvvbi", batch->run, batch->checkpoint,
                        (int64_t)batch->range.source, batch->stream, (int64_t)ordinal,
                        (int64_t)(batch->range.begin + record->offset), (int64_t)record->length, pr_reject_word(reason),
                        field, detail, raw, (int64_t)batch->null_text);
}

/* A record that the target itself has just rejected. */
static int s_reject_ours(pr_target_t *target, const pr_rows_record_t *record, uint64_t ordinal,
                         const pr_target_applied_t *applied, pr_error_t *err) {
    pr_value_t raw = pr_value_null();
    int result = target->batch.read_raw(target->batch.context, target->batch.range.begin + record->offset,
                                        record->length, &raw, err);
    if (result < 0)
        return result;
    pr_value_t field = applied->field == NULL ? pr_value_null() : pr_value_text(applied->field, strlen(applied->field));
    pr_value_t detail = pr_value_text(pr_target_applied_detail(applied), strlen(pr_target_applied_detail(applied)));
    return s_reject(target, record, ordinal, applied->reason, &field, &detail, &raw, err);
}

static void s_count(pr_target_counts_t *counts, const pr_target_applied_t *applied) {
    if (applied->rows_inserted > 0)
        counts->inserted++;
    else if (applied->rows_updated > 0)
        counts->updated++;
    else
        counts->unchanged++;
    counts->rows_inserted += applied->rows_inserted;
    counts->rows_updated += applied->rows_updated;
}

/* An error inside records says which ones. */
static int s_in_records(const pr_target_t *target, int result, uint64_t first, uint64_t last, const pr_error_t *cause,
                        pr_error_t *err) {
    char records[64];
    if (result >= 0)
        return result;
    if (first == last)
        snprintf(records, sizeof records, "record %" PRIu64, pr_record_number(first));
    else
        snprintf(records, sizeof records, "records %" PRIu64 " to %" PRIu64, pr_record_number(first),
                 pr_record_number(last));
    return pr_error_set(err, cause->code, "source %" PRIu32 " (%s), %s: %s", target->batch.range.source + 1,
                        target->batch.stream, records, cause->text);
}

/* The record is in: note which row it is. */
static void s_count_row(pr_target_batch_t *batch, const pr_target_stream_t *stream) {
    bool told = stream->own != NULL && stream->own->made;
    for (size_t i = 0; told && i < stream->own->key.count; i++) /* UNIQUE lets NULLs repeat */
        told = stream->own->values[stream->own->key.at[i]].kind != PR_NULL;
    if (told)
        batch->rows_sum += pr_proof_mix(stream->own->id);
    else
        batch->rows_untold = true;
}

/* One record by itself. */
static int s_apply_one(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record,
                       uint64_t ordinal, pr_error_t *err) {
    pr_error_t cause;
    pr_target_applied_t applied;
    cause.code = PR_E_OK;
    int result = 0;
    if (record->reason != PR_R_NONE) {
        result =
            s_reject(target, record, ordinal, record->reason, &record->field, &record->detail, &record->raw, &cause);
    } else {
        result = pr_target_apply_rows(target, stream, record, ordinal, &applied, &cause);
        if (result == 0 && applied.reason != PR_R_NONE)
            result = s_reject_ours(target, record, ordinal, &applied, &cause);
        else if (result == 0) {
            s_count(&target->batch.counts, &applied);
            s_count_row(&target->batch, stream);
        }
    }
    return s_in_records(target, result, ordinal, ordinal, &cause, err);
}

/* The records that wait in the group: together, and what that leaves over one by one. */
static int s_apply_group(pr_target_t *target, pr_error_t *err) {
    pr_target_group_t *group = target->group;
    if (group->count == 0)
        return 0;
    pr_error_t cause;
    cause.code = PR_E_OK;
    int result = s_in_records(target, pr_target_group_do(target, &target->batch.counts, &cause),
                              group->records[0].ordinal, group->records[group->count - 1].ordinal, &cause, err);
    for (size_t i = 0; result == 0 && i < group->count; i++) {
        const pr_group_record_t *record = &group->records[i];
        if (!record->done)
            result = s_apply_one(target, group->stream, &record->as, record->ordinal, err);
        else if (group->row == group->stream->own)
            target->batch.rows_sum += pr_proof_mix(record->id);
        else
            target->batch.rows_untold = true;
    }
    if (result == 0)
        pr_target_group_empty(group);
    return result;
}

/* Into the group; what cannot wait there is applied after those that do. */
static int s_apply(pr_target_t *target, pr_target_stream_t *stream, const pr_rows_record_t *record, uint64_t ordinal,
                   pr_error_t *err) {
    pr_error_t cause;
    cause.code = PR_E_OK;
    int waits = record->reason == PR_R_NONE ? pr_target_group_add(target, stream, record, ordinal, &cause) : 0;
    int result = s_in_records(target, waits < 0 ? waits : 0, ordinal, ordinal, &cause, err);
    if (result == 0 && (waits == 0 || pr_target_group_full(target->group)))
        result = s_apply_group(target, err);
    return result == 0 && waits == 0 ? s_apply_one(target, stream, record, ordinal, err) : result;
}

int pr_target_apply(pr_target_t *target, const pr_stream_t *stream, const pr_rows_record_t *record, uint64_t ordinal,
                    pr_target_raw_fn *read_raw, void *context, pr_error_t *err) {
    if (target->sticky.code != PR_E_OK)
        return pr_target_again(target, err);
    assert(target->batch.open);
    pr_error_t local;
    local.code = PR_E_OK;
    target->batch.read_raw = read_raw;
    target->batch.context = context;
    int result = s_apply(target, &target->streams[stream - target->mapping->streams], record, ordinal, &local);
    return result == 0 ? 0 : pr_target_stick(target, result, &local, err);
}

int pr_target_note(pr_target_t *target, const pr_stream_t *stream, const pr_note_t *note, pr_error_t *err) {
    if (target->sticky.code != PR_E_OK)
        return pr_target_again(target, err);
    assert(target->batch.open);
    pr_error_t local = PR_ERROR_INIT;
    const char *field = note->field < 0 ? "" : stream->fields[note->field].name;
    int result = pr_target_do(target, PR_SQL_NOTE_ADD, &local, "itttiii", target->batch.run, pr_note_word(note->kind),
                              stream->name, field, (int64_t)note->count, (int64_t)target->batch.range.source,
                              (int64_t)(target->batch.range.first + note->first));
    return pr_target_stick(target, result, &local, err);
}

static int s_batch_commit(pr_target_t *target, uint64_t digest, pr_error_t *err) {
    const pr_target_batch_t *batch = &target->batch;
    const pr_target_counts_t *counts = &batch->counts;
    pr_position_t end = pr_range_end(batch->range);
    char hex[17];
    snprintf(hex, sizeof hex, "%016" PRIx64, digest);
    int result = s_apply_group(target, err);
    pr_value_t rows_sum = batch->rows_untold ? pr_value_null() : pr_value_integer((int64_t)batch->rows_sum);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_CHECKPOINT_CLOSE, err, "itiiiiiiv", batch->checkpoint, hex,
                              (int64_t)counts->inserted, (int64_t)counts->updated, (int64_t)counts->unchanged,
                              (int64_t)counts->rejected, (int64_t)counts->rows_inserted, (int64_t)counts->rows_updated,
                              &rows_sum);
    if (result == 0)
        result = pr_target_checkpoint_settle(target, batch->checkpoint, err);
    if (result == 0)
        result = pr_target_do(target, PR_SQL_RUN_MOVE, err, "iiii", batch->run, (int64_t)end.source,
                              (int64_t)end.ordinal, (int64_t)end.offset);
    if (result < 0) {
        pr_target_roll_back(target);
        return result;
    }
    if (counts->rejected > 0)
        pr_fault("writer.reject-before-commit");
    pr_fault("writer.before-commit");
    result = pr_target_commit(target, err);
    if (result == 0)
        pr_fault("writer.after-commit");
    return result;
}

int pr_target_batch_commit(pr_target_t *target, uint64_t digest, pr_target_counts_t *ret_counts,
                           int64_t *ret_checkpoint, pr_error_t *err) {
    int result = pr_target_again(target, err);
    if (result < 0)
        return result;
    assert(target->batch.open);
    pr_error_t local = PR_ERROR_INIT;
    result = s_batch_commit(target, digest, &local);
    target->batch.open = false;
    if (result < 0)
        return pr_target_stick(target, result, &local, err);
    *ret_counts = target->batch.counts;
    *ret_checkpoint = target->batch.checkpoint;
    return 0;
}

void pr_target_batch_rollback(pr_target_t *target) {
    pr_target_roll_back(target);
    target->batch.open = false;
    pr_error_clear(&target->sticky);
}
