/* SPDX-License-Identifier: MIT */
/* Putting a target back to an earlier point. */

/*  DESIGN
 *
 *  One transaction, in this order; whatever fails, and a crash anywhere before the COMMIT, leaves the database as it was:
 *
 *      1  what is to be taken back (rollback_report), and whether its tables are still what they were (rollback_table)
 *      2  the changesets, inverted, newest first: rows in conflict are left, and noted
 *      3  rows that others refer to and that are gone now: conflicts too (rollback_keep)
 *      4  conflicts, and theirs are not to be kept: ROLLBACK, and the list is all that comes of it
 *      5  the id counters
 *      6  the books: position, runs, checkpoints, names; and indexes that a run had put off which is over now
 *      7  quick_check; foreign keys are clean by 3
 *      8  COMMIT; or, if this was only to see, ROLLBACK
 *
 *  Connection settings, and why:
 *    triggers off        the HUB's would date every row that goes back, and count audits again
 *    foreign_keys off    nothing cascades: a cascade would take rows that are not ours, and rows of ours before their turn
 *                        comes; SQLite 3.40 has no SQLITE_CHANGESETAPPLY_FKNOACTION. Step 3 does what the constraint would
 *    synchronous FULL    "taken back" is true also after a power cut
 *  A second connection keeps a transaction open that sees the database as it was before (WAL): it tells what dangled
 *  before, and holds rows that are to be put back.
 *
 *  A changeset knows the values that it left behind. Inverted, SQLite deletes a row it had inserted only if every column
 *  is still so, and puts columns back that it had changed only if these are; what else changed in such a row stays. The
 *  rows of a run that goes on from the point take the run's notes (pvrelay_touched, pvrelay_finding) with them; the books
 *  of a run that is taken back as a whole stay, as history.
 *
 *  An id counter goes back, newest commit first, while it stands where that commit left it. If it does not, somebody else
 *  took ids since, and it stays: an id that has once been given out is not given out again.
 *
 *  Memory: one batch's changeset, SQLite's cache, and the first PR_CONFLICTS_KEPT conflicts; the rows in conflict are
 *  kept track of in a temporary table.
 */
/* Before sqlite3.h, which declares sessions only then. */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "common/rollback.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/deferred_index.h"
#include "common/fault.h"
#include "common/migrate.h"
#include "common/quick_check.h"
#include "common/rollback_keep.h"
#include "common/rollback_table.h"
#include "common/sql_busy.h"
#include "common/sql_open.h"
#include "common/sql_place.h"
#include "common/sql_text.h"
#include "common/sql_value.h"
#include "common/undo.h"

static const char *const S_REASONS[] = {"operator", "validation", "rejects"};

typedef struct {
    const char *path;
    const pr_rollback_point_t *point;
    const pr_rollback_options_t *options;
    sqlite3 *db, *before;
    pr_rollback_report_t *report;
    pr_playback_tables_t tables;
    pr_keep_t *keep;
    int64_t checkpoint; /* whose changes are being played back */
    bool whole;         /* its run is taken back as a whole */
    bool applying;
    pr_sql_place_t place;
    pr_error_t *err;     /* of the caller */
    pr_error_t callback; /* of the conflict handler, which can only say "abort" */
} s_way_t;

static int s_fail(const s_way_t *way, sqlite3 *db, const char *doing) {
    return pr_error_set(way->err, pr_sql_error_code(db), "%s: %s: %s; nothing was changed", way->path, doing,
                        sqlite3_errmsg(db));
}

static int s_exec(const s_way_t *way, sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : s_fail(way, db, sql);
}

static int s_prepare(const s_way_t *way, const char *sql, sqlite3_stmt **ret_statement) {
    return sqlite3_prepare_v2(way->db, sql, -1, ret_statement, NULL) == SQLITE_OK
               ? 0
               : s_fail(way, way->db, "preparing the rollback");
}

/* ---- connections ---- */

/* SQLite tells of each row that has been deleted or changed. */
static void s_on_update(void *context, int operation, const char *database, const char *name, sqlite3_int64 rowid) {
    (void)database;
    (void)rowid;
    s_way_t *way = context;
    pr_playback_table_t *table = way->applying ? pr_playback_table_find(&way->tables, name) : NULL;
    if (table != NULL)
        *(operation == SQLITE_DELETE ? &table->deleted : &table->restored) += 1;
}

static int s_open(const s_way_t *way, sqlite3 **ret_db) {
    return pr_sql_open(way->path, PR_SQL_WRITE, ret_db, way->err);
}

static int s_connect(s_way_t *way) {
    static const char *const settings[] = {"PRAGMA foreign_keys = OFF", "PRAGMA synchronous = FULL",
                                           "PRAGMA cache_size = -32768", "PRAGMA secure_delete = OFF",
                                           "PRAGMA wal_autocheckpoint = 4000"};
    int off = -1;
    int result = s_open(way, &way->db);
    if (result == 0 && pr_sql_wal(way->db) != SQLITE_OK)
        result = s_fail(way, way->db, "PRAGMA journal_mode = WAL");
    for (size_t i = 0; result == 0 && i < sizeof settings / sizeof settings[0]; i++)
        result = s_exec(way, way->db, settings[i]);
    if (result == 0 && (sqlite3_db_config(way->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &off) != SQLITE_OK || off != 0))
        result = pr_error_set(way->err, PR_E_TARGET, "%s: this SQLite cannot turn triggers off", way->path);
    if (result == 0)
        sqlite3_update_hook(way->db, s_on_update, way);
    return result == 0 ? s_open(way, &way->before) : result;
}

/* From here on nobody else writes, and `before` sees what was last committed. */
static int s_begin(s_way_t *way) {
    int result = s_exec(way, way->db, "BEGIN IMMEDIATE");
    if (result == 0)
        result = s_exec(way, way->before, "BEGIN");
    if (result == 0)
        result = s_exec(way, way->before, "SELECT count(*) FROM sqlite_master");
    way->place = pr_sql_place_take(way->db, way->path);
    return result;
}

/* ---- conflicts ---- */

static void s_key(sqlite3_changeset_iter *change, const pr_playback_table_t *table, int columns, char *ret_key,
                  size_t size) {
    unsigned char *primary = NULL;
    ret_key[0] = '\0';
    sqlite3changeset_pk(change, &primary, NULL);
    for (int i = 0; i < columns && (size_t)i < table->columns_count; i++) {
        sqlite3_value *value = NULL;
        if (primary[i] != 0 && sqlite3changeset_old(change, i, &value) == SQLITE_OK && value != NULL)
            pr_sql_value_append_key(ret_key, size, table->columns[i].name, value);
    }
}

/* Each column that is not what the commit left. */
static void s_tell_changed(s_way_t *way, sqlite3_changeset_iter *change, const pr_playback_table_t *table, int columns,
                           char *key) {
    char ours[PR_VALUE_TEXT];
    char theirs[PR_VALUE_TEXT];
    for (int i = 0; i < columns && (size_t)i < table->columns_count; i++) {
        sqlite3_value *left = NULL;
        sqlite3_value *now = NULL;
        if (sqlite3changeset_old(change, i, &left) != SQLITE_OK || left == NULL ||
            sqlite3changeset_conflict(change, i, &now) != SQLITE_OK || now == NULL ||
            pr_sql_value_same(left, now, false))
            continue;
        const pr_conflict_t conflict = {.kind = PR_CONFLICT_CHANGED,
                                        .checkpoint = way->checkpoint,
                                        .table = table->name,
                                        .key = key,
                                        .column = table->columns[i].name,
                                        .ours = pr_sql_value_print(left, ours, sizeof ours),
                                        .theirs = pr_sql_value_print(now, theirs, sizeof theirs)};
        pr_rollback_report_conflict(way->report, &conflict);
    }
}

static void s_tell(s_way_t *way, int kind, sqlite3_changeset_iter *change, const pr_playback_table_t *table,
                   int columns, char *key) {
    pr_conflict_t conflict = {.checkpoint = way->checkpoint, .table = table->name, .key = key};
    char ours[] = "a row";
    char earlier[] = "its earlier values";
    char none[] = "no row";
    char another[] = "another row that has them";
    switch (kind) {
    case SQLITE_CHANGESET_DATA:
        s_tell_changed(way, change, table, columns, key);
        return;
    case SQLITE_CHANGESET_NOTFOUND:
        conflict.kind = PR_CONFLICT_DELETED;
        conflict.ours = ours;
        conflict.theirs = none;
        break;
    default: /* a constraint */
        conflict.kind = PR_CONFLICT_UNIQUE;
        conflict.ours = earlier;
        conflict.theirs = another;
        break;
    }
    pr_rollback_report_conflict(way->report, &conflict);
}

/* Leave the row, and note why, once. The books' rows are left in silence: what is counted in them was counted anew. */
static int s_on_conflict(void *context, int kind, sqlite3_changeset_iter *change) {
    s_way_t *way = context;
    const char *name = NULL;
    int columns = 0;
    int operation = 0;
    char key[PR_KEY_TEXT];
    sqlite3changeset_op(change, &name, &columns, &operation, NULL);
    pr_playback_table_t *table = pr_playback_table_find(&way->tables, name);
    if (table == NULL)
        return SQLITE_CHANGESET_OMIT;
    table->left++;
    s_key(change, table, columns, key, sizeof key);
    int first = pr_keep_row(way->keep, name, key, &way->callback);
    if (first > 0)
        s_tell(way, kind, change, table, columns, key);
    return first < 0 ? SQLITE_CHANGESET_ABORT : SQLITE_CHANGESET_OMIT;
}

/* ---- changes ---- */

static int s_filter(void *context, const char *name) {
    const s_way_t *way = context;
    if (pr_undo_is_book(name))
        return way->whole ? 0 : 1;
    const pr_playback_table_t *table = pr_playback_table_find(&way->tables, name);
    return table != NULL && !table->blocked ? 1 : 0;
}

static int s_damaged(const s_way_t *way, const char *why) {
    return pr_error_set(way->err, PR_E_TARGET,
                        "%s: the undo of checkpoint %" PRId64 " is damaged: %s; nothing was changed", way->path,
                        way->checkpoint, why);
}

/* Nobody tells of what is not played back into blocked tables. */
static int s_count_blocked(s_way_t *way, void *changes, int size) {
    sqlite3_changeset_iter *change = NULL;
    int code = sqlite3changeset_start(&change, size, changes);
    while (code == SQLITE_OK && (code = sqlite3changeset_next(change)) == SQLITE_ROW) {
        const char *name = NULL;
        int columns = 0;
        int operation = 0;
        sqlite3changeset_op(change, &name, &columns, &operation, NULL);
        pr_playback_table_t *table = pr_playback_table_find(&way->tables, name);
        if (table != NULL && table->blocked)
            table->left++;
        code = SQLITE_OK;
    }
    sqlite3changeset_finalize(change);
    return code == SQLITE_DONE ? 0 : s_damaged(way, sqlite3_errstr(code));
}

static bool s_any_blocked(const s_way_t *way) {
    for (size_t i = 0; i < way->tables.count; i++) {
        if (way->tables.at[i].blocked)
            return true;
    }
    return false;
}

static int s_apply(s_way_t *way, void *changes, int size) {
    int flags = SQLITE_CHANGESETAPPLY_INVERT | SQLITE_CHANGESETAPPLY_NOSAVEPOINT;
    int result = s_any_blocked(way) ? s_count_blocked(way, changes, size) : 0;
    if (result < 0)
        return result;
    pr_error_clear(&way->callback);
    way->applying = true;
    int code = sqlite3changeset_apply_v2(way->db, size, changes, s_filter, s_on_conflict, way, NULL, NULL, flags);
    way->applying = false;
    if (code == SQLITE_ABORT && way->callback.code != PR_E_OK)
        return pr_error_set(way->err, way->callback.code, "%s", way->callback.text);
    if (code == SQLITE_CORRUPT)
        return s_damaged(way, sqlite3_errstr(code));
    return code == SQLITE_OK
               ? 0
               : pr_error_set(way->err, pr_sql_error_code_of(way->db, code),
                              "%s: taking changes back: %s; nothing was changed", way->path, sqlite3_errstr(code));
}

/* The checkpoint that `undo` stands on: number, run, size, changes. */
static int s_take_back(s_way_t *way, sqlite3_stmt *undo) {
    pr_error_t damage = PR_ERROR_INIT;
    void *changes = NULL;
    way->checkpoint = sqlite3_column_int64(undo, 0);
    way->whole = sqlite3_column_int64(undo, 1) != way->point->run || !way->point->reopen;
    int64_t size = sqlite3_column_int64(undo, 2);
    const void *blob = sqlite3_column_blob(undo, 3);
    if (pr_undo_unpack(blob, (size_t)sqlite3_column_bytes(undo, 3), (size_t)size, &changes, &damage) < 0)
        return s_damaged(way, damage.text);
    int result = changes != NULL ? s_apply(way, changes, (int)size) : 0;
    free(changes);
    return result;
}

static int s_take_all_back(s_way_t *way) {
    sqlite3_stmt *undo = NULL;
    uint64_t done = 0;
    int step = SQLITE_DONE;
    int result = s_prepare(way,
                           "SELECT u.checkpoint, c.run, u.size, u.changes " PR_ROLLBACK_LIVE_BEYOND_JOIN(
                               "JOIN pvrelay_undo AS u ON u.checkpoint = c.checkpoint") " ORDER BY c.checkpoint DESC",
                           &undo);
    if (result == 0)
        sqlite3_bind_int64(undo, 1, way->point->checkpoint);
    while (result == 0 && (step = sqlite3_step(undo)) == SQLITE_ROW) {
        result = s_take_back(way, undo);
        pr_fault("rollback.between-checkpoints");
        if (way->options->progress != NULL)
            way->options->progress(way->options->context, ++done, way->report->checkpoints);
    }
    if (result == 0 && step != SQLITE_DONE)
        result = s_fail(way, way->db, "reading the undo");
    sqlite3_finalize(undo);
    return result;
}

/* ---- id counters ---- */

/* A counter on its way back. */
typedef struct {
    bool there, moved, stopped;
    int64_t value;
} s_counter_t;

static int s_read_counter(s_way_t *way, const char *table, s_counter_t *ret_counter) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(way, "SELECT seq FROM sqlite_sequence WHERE name = ?1", &statement);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    int step = sqlite3_step(statement);
    *ret_counter = (s_counter_t){.there = step == SQLITE_ROW};
    if (step == SQLITE_ROW)
        ret_counter->value = sqlite3_column_int64(statement, 0);
    else if (step != SQLITE_DONE)
        result = s_fail(way, way->db, "reading sqlite_sequence");
    sqlite3_finalize(statement);
    return result;
}

/* Walk a table's counter back, newest commit first. */
static int s_walk_counter(s_way_t *way, const char *table, s_counter_t *counter) {
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_DONE;
    int result =
        s_prepare(way,
                  "SELECT u.before, u.after " PR_ROLLBACK_LIVE_BEYOND_JOIN(
                      "JOIN pvrelay_undo_sequence AS u ON u.checkpoint = c.checkpoint") " AND u.table_name = ?2 ORDER "
                                                                                        "BY c.checkpoint DESC",
                  &statement);
    if (result < 0)
        return result;
    sqlite3_bind_int64(statement, 1, way->point->checkpoint);
    sqlite3_bind_text(statement, 2, table, -1, SQLITE_STATIC);
    while (!counter->stopped && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        counter->stopped = !counter->there || counter->value != sqlite3_column_int64(statement, 1);
        if (counter->stopped)
            break;
        counter->moved = true;
        counter->there = sqlite3_column_type(statement, 0) != SQLITE_NULL;
        counter->value = sqlite3_column_int64(statement, 0);
    }
    if (step != SQLITE_DONE && step != SQLITE_ROW)
        result = s_fail(way, way->db, "reading the undo");
    sqlite3_finalize(statement);
    return result;
}

static int s_write_counter(s_way_t *way, const char *table, const s_counter_t *counter) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(way,
                           counter->there ? "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1"
                                          : "DELETE FROM sqlite_sequence WHERE name = ?1 AND ?2 = 0",
                           &statement);
    if (result < 0)
        return result;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, counter->value);
    if (sqlite3_step(statement) != SQLITE_DONE)
        result = s_fail(way, way->db, "putting an id counter back");
    sqlite3_finalize(statement);
    return result;
}

/* What the report says of a table, and its counter: one whose rows were left in part keeps it. */
static int s_settle_table(s_way_t *way, size_t at) {
    const pr_playback_table_t *playback = &way->tables.at[at];
    pr_rollback_table_t *table = &way->report->tables[at];
    s_counter_t counter;
    table->deleted = playback->deleted;
    table->restored = playback->restored;
    table->left = playback->left;
    int result = s_read_counter(way, table->table, &counter);
    if (result == 0)
        result = s_walk_counter(way, table->table, &counter);
    if (result < 0)
        return result;
    bool left = playback->left > 0 && counter.moved;
    table->sequence_kept = counter.stopped || left;
    return counter.moved && !left ? s_write_counter(way, table->table, &counter) : 0;
}

/* ---- the books ---- */

/*  Parameters of all: ?1 the point's checkpoint, ?2 its run, ?3 the run that goes on and was not just going on anyway
 *  (NULL: none), ?4 outcome (NULL: none), ?5 reason, ?6 … ?9 checkpoints, rows deleted, restored, left, ?10 newest live
 *  checkpoint before. The runs that are taken back as a whole are marked first; what follows looks at that mark. */
static const char *const S_BOOKS[] = {
    "INSERT INTO pvrelay_rollback (reason, from_checkpoint, to_checkpoint, checkpoints, rows_deleted, rows_restored, "
    "rows_left, made_at) VALUES (?5, ?10, ?1, ?6, ?7, ?8, ?9, datetime('now'))",
    "DELETE FROM pvrelay_undo_sequence WHERE checkpoint > ?1",
    "DELETE FROM pvrelay_undo WHERE checkpoint > ?1",
    "DELETE FROM pvrelay_row_digest WHERE checkpoint > ?1",
    "DELETE FROM pvrelay_foreign_change WHERE checkpoint > ?1",
    "DELETE FROM pvrelay_shape WHERE checkpoint > ?1",
    "DELETE FROM pvrelay_name WHERE checkpoint > ?1",
    "UPDATE pvrelay_run SET state = 'abandoned', rolled_back_at = datetime('now'), ended_at = ifnull(ended_at, "
    "datetime('now')), outcome = ifnull(?4, outcome) WHERE run > ?2 AND rolled_back_at IS NULL AND (state IN "
    "('streaming', 'proving') OR EXISTS (SELECT 1 FROM pvrelay_checkpoint AS c WHERE c.run = pvrelay_run.run AND "
    "c.checkpoint > ?1))",
    "DELETE FROM pvrelay_touched WHERE run IN (SELECT run FROM pvrelay_run WHERE rolled_back_at IS NOT NULL)",
    "DELETE FROM pvrelay_made WHERE run IN (SELECT run FROM pvrelay_run WHERE rolled_back_at IS NOT NULL)",
    "UPDATE pvrelay_reject SET retried_by = NULL WHERE retried_by = ?3 OR retried_by IN (SELECT run FROM pvrelay_run "
    "WHERE rolled_back_at IS NOT NULL)",
    "DELETE FROM pvrelay_reject WHERE run = ?3 AND checkpoint > ?1",
    "DELETE FROM pvrelay_failure WHERE run = ?3 AND (checkpoint > ?1 OR checkpoint IS NULL)",
    "DELETE FROM pvrelay_checkpoint_rows WHERE checkpoint > ?1 AND checkpoint IN (SELECT checkpoint FROM "
    "pvrelay_checkpoint WHERE run = ?3)",
    "DELETE FROM pvrelay_proof_finding WHERE checkpoint > ?1 AND checkpoint IN (SELECT checkpoint FROM "
    "pvrelay_checkpoint WHERE run = ?3)",
    "DELETE FROM pvrelay_tally WHERE checkpoint > ?1 AND checkpoint IN (SELECT checkpoint FROM pvrelay_checkpoint "
    "WHERE "
    "run = ?3)",
    "DELETE FROM pvrelay_checkpoint WHERE run = ?3 AND checkpoint > ?1",
    "UPDATE pvrelay_run SET state = CASE c.kind WHEN 'finish' THEN 'proving' ELSE 'streaming' END, ended_at = NULL, "
    "outcome = NULL, error = 'rolled back to checkpoint ' || ?1, (source, ordinal, \"offset\") = (SELECT "
    "ifnull(max(b.source), 0), ifnull(b.first_ordinal + b.records, 0), ifnull(b.end_offset, 0) FROM (SELECT source, "
    "first_ordinal, records, end_offset FROM pvrelay_checkpoint WHERE run = ?3 AND kind = 'batch' ORDER BY checkpoint "
    "DESC "
    "LIMIT 1) AS b) FROM pvrelay_checkpoint AS c WHERE pvrelay_run.run = ?3 AND c.checkpoint = ?1"};

static void s_bind_books(sqlite3_stmt *statement, const s_way_t *way, int64_t reopened) {
    const pr_rollback_report_t *report = way->report;
    uint64_t sums[] = {report->checkpoints, 0, 0, 0};
    for (size_t i = 0; i < report->tables_count; i++) {
        sums[1] += report->tables[i].deleted;
        sums[2] += report->tables[i].restored;
        sums[3] += report->tables[i].left;
    }
    int parameters = sqlite3_bind_parameter_count(statement);
    /* A number beyond the statement's last one is out of range, and not bound. */
    sqlite3_bind_int64(statement, 1, way->point->checkpoint);
    if (parameters >= 2)
        sqlite3_bind_int64(statement, 2, way->point->run);
    if (parameters >= 3 && reopened != 0)
        sqlite3_bind_int64(statement, 3, reopened);
    if (parameters >= 4 && way->options->outcome >= 0)
        sqlite3_bind_int(statement, 4, way->options->outcome);
    if (parameters >= 10) {
        sqlite3_bind_text(statement, 5, S_REASONS[way->options->reason], -1, SQLITE_STATIC);
        for (int i = 0; i < 4; i++)
            sqlite3_bind_int64(statement, 6 + i, (int64_t)sums[i]);
        sqlite3_bind_int64(statement, 10, report->from);
    }
}

static int s_books(s_way_t *way) {
    /* A run that is not finished, and of which nothing is taken back, goes on as it would have. */
    int64_t reopened = way->point->reopen && way->report->continues == way->point->run ? way->point->run : 0;
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof S_BOOKS / sizeof S_BOOKS[0]; i++) {
        sqlite3_stmt *statement = NULL;
        result = s_prepare(way, S_BOOKS[i], &statement);
        if (result == 0)
            s_bind_books(statement, way, reopened);
        if (result == 0 && sqlite3_step(statement) != SQLITE_DONE)
            result = s_fail(way, way->db, "writing the books");
        sqlite3_finalize(statement);
    }
    return result;
}

/* Indexes that a run had put off, which it will not build any more. */
static int s_indexes(const s_way_t *way) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(way, "SELECT 1 FROM pvrelay_run WHERE state IN ('streaming', 'proving')", &statement);
    int step = result == 0 ? sqlite3_step(statement) : SQLITE_DONE;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        result = s_fail(way, way->db, "asking for a run that goes on");
    sqlite3_finalize(statement);
    return result < 0 || step == SQLITE_ROW ? result : pr_deferred_index_build_all(way->db, way->err);
}

/* ---- checks ---- */

/* What quick_check says first. */
static int s_quick_check(const s_way_t *way, sqlite3 *db, char *ret_text, size_t size) {
    sqlite3_stmt *statement = NULL;
    int result = 0;
    if (sqlite3_prepare_v2(db, "PRAGMA main.quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        snprintf(ret_text, size, "%s", pr_sql_column_text(statement, 0));
        result = pr_quick_check_finding(db, way->path, ret_text, way->err);
    } else {
        result = s_fail(way, db, "quick_check");
    }
    sqlite3_finalize(statement);
    return result;
}

/* What was wrong before as well is not for a rollback to mend, and no reason to refuse it. */
static int s_check(const s_way_t *way) {
    char now[300];
    char before[300];
    int result = s_quick_check(way, way->db, now, sizeof now);
    if (result < 0 || strcmp(now, "ok") == 0)
        return result;
    result = s_quick_check(way, way->before, before, sizeof before);
    if (result == 0 && strcmp(before, "ok") == 0)
        result = pr_error_set(way->err, PR_E_TARGET, "%s: quick_check finds: %s; nothing was changed", way->path, now);
    return result;
}

/* ---- all of it ---- */

static int s_conflicts(const s_way_t *way) {
    return pr_error_set(way->err, PR_E_CONFLICT,
                        "%s: somebody else has changed since what is to be taken back to checkpoint %" PRId64
                        " (conflicts: %" PRIu64 "); nothing was changed",
                        way->path, way->point->checkpoint, way->report->conflicts_total);
}

static int s_roll_back(s_way_t *way) {
    const pr_rollback_options_t *options = way->options;
    int result = pr_rollback_plan(way->db, way->point, &way->report, way->err);
    if (result == 0)
        result = pr_playback_tables_load(way->db, way->point->checkpoint, way->report, &way->tables, way->err);
    if (result == 0)
        result = pr_keep_new(way->db, way->before, &way->tables, way->report, &way->keep, way->err);
    pr_fault("rollback.begun");
    if (result == 0)
        result = s_take_all_back(way);
    pr_fault("rollback.applied");
    if (result == 0 && options->keep_theirs)
        result = pr_keep_added(way->keep, way->err);
    if (result == 0)
        result = pr_keep_children(way->keep, options->keep_theirs, way->err);
    if (result == 0 && way->report->conflicts_total > 0 && !options->keep_theirs)
        result = s_conflicts(way);
    for (size_t i = 0; result == 0 && i < way->tables.count; i++)
        result = s_settle_table(way, i);
    if (result == 0)
        result = s_books(way);
    if (result == 0)
        result = s_indexes(way);
    return result == 0 ? s_check(way) : result;
}

static int s_end(s_way_t *way, int result) {
    bool lost = false;
    pr_keep_destroy(&way->keep); /* its statements must be gone before the transaction is */
    if (way->before != NULL)
        sqlite3_exec(way->before, "ROLLBACK", NULL, NULL, NULL);
    if (result == 0 && !way->options->dry_run) {
        pr_fault("rollback.before-commit");
        result = pr_sql_place_check(way->db, way->path, &way->place, way->err);
        lost = result < 0;
        if (result == 0)
            result = s_exec(way, way->db, "COMMIT");
        if (result == 0)
            pr_fault("rollback.after-commit");
    }
    if (way->db != NULL && sqlite3_get_autocommit(way->db) == 0)
        sqlite3_exec(way->db, "ROLLBACK", NULL, NULL, NULL);
    pr_playback_tables_clear(&way->tables);
    sqlite3_close(way->before);
    if (lost)
        pr_sql_place_leave(way->db);
    sqlite3_close(way->db);
    return result;
}

int pr_rollback(const char *path, const pr_rollback_point_t *point, const pr_rollback_options_t *options,
                pr_rollback_report_t **ret_report, pr_error_t *err) {
    pr_error_t local = PR_ERROR_INIT;
    s_way_t way = {.path = path, .point = point, .options = options, .err = &local, .callback = PR_ERROR_INIT};
    int result = s_connect(&way);
    if (result == 0)
        result = s_begin(&way);
    if (result == 0)
        result = s_roll_back(&way);
    result = s_end(&way, result);
    if (result == 0 || result == -PR_E_CONFLICT)
        *ret_report = way.report;
    else
        pr_rollback_report_destroy(&way.report);
    return result == 0 ? 0 : pr_error_set(err, local.code, "%s", local.text);
}
