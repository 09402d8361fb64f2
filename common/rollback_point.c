/* SPDX-License-Identifier: MIT */
/* Finding points to go back to, naming them, and giving up the way back. */

/*  DESIGN
 *
 *  Live checkpoints are those of runs that were not taken back. Their runs do not interleave: a run begins after the one
 *  before it has ended, and a run that is opened again has no live run after it. So "everything after checkpoint N" is
 *  the rest of one run and whole runs behind it, and a run is one unbroken stretch of the live checkpoints.
 */
#include "common/rollback_point.h"
#include "common/hint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/migrate.h"
#include "common/sql_has.h"
#include "common/sql_open.h"
#include "common/sql_text.h"
#include "common/utf8.h"

enum { s_name_bytes = 64, s_names_told = 10 };

static const char S_START[] = "start-of-run";
static const char S_VALIDATED[] = "last-validated";

/* The newest live checkpoint of the runs before ?2 and before checkpoint ?1. */
static const char S_SQL_BEFORE[] =
    "SELECT c.checkpoint, c.run FROM pvrelay_checkpoint c JOIN pvrelay_run r ON r.run = c.run"
    " WHERE r.rolled_back_at IS NULL AND c.checkpoint < ?1 AND c.run < ?2"
    " ORDER BY c.checkpoint DESC LIMIT 1";
static const char S_SQL_CHECKPOINT[] = "SELECT c.run, coalesce(r.rolled_back_at, '') FROM pvrelay_checkpoint c"
                                       " JOIN pvrelay_run r ON r.run = c.run WHERE c.checkpoint = ?1";
static const char S_SQL_RANGE[] = "SELECT coalesce(min(c.checkpoint), 0), coalesce(max(c.checkpoint), 0)"
                                  " FROM pvrelay_checkpoint c JOIN pvrelay_run r ON r.run = c.run"
                                  " WHERE r.rolled_back_at IS NULL";
static const char S_SQL_NAME[] = "SELECT checkpoint FROM pvrelay_name WHERE name = ?1";
static const char S_SQL_NAMES[] = "SELECT group_concat(name, ', '), count(*) FROM"
                                  " (SELECT name FROM pvrelay_name ORDER BY made_at DESC, name LIMIT ?1)";
static const char S_SQL_ADD_NAME[] =
    "INSERT INTO pvrelay_name (name, checkpoint, made_at) VALUES (?1, ?2, datetime('now'))";
static const char S_SQL_DROP_NAME[] = "DELETE FROM pvrelay_name WHERE name = ?1";
static const char S_SQL_RUN[] = "SELECT coalesce(r.rolled_back_at, ''),"
                                " (SELECT min(c.checkpoint) FROM pvrelay_checkpoint c WHERE c.run = r.run)"
                                " FROM pvrelay_run r WHERE r.run = ?1";
static const char S_SQL_RUNS[] =
    "SELECT group_concat(run, ', '), count(*) FROM"
    " (SELECT run FROM pvrelay_run WHERE rolled_back_at IS NULL ORDER BY run DESC LIMIT ?1)";
static const char S_SQL_UNFINISHED[] = "SELECT run FROM pvrelay_run WHERE state IN ('streaming', 'proving')"
                                       " AND rolled_back_at IS NULL AND run <= ?1 ORDER BY run DESC LIMIT 1";
static const char S_SQL_VALIDATED[] = "SELECT max(checkpoint) FROM pvrelay_checkpoint WHERE run = ?1 AND checkpoint <"
                                      " coalesce((SELECT min(checkpoint) FROM pvrelay_checkpoint WHERE run = ?1 AND "
                                      "validated <> 1), 9223372036854775807)";
static const char S_SQL_NEWEST_RUN[] = "SELECT coalesce(max(run), 0) FROM pvrelay_run";
static const char S_SQL_UNDO[] = "SELECT count(*), coalesce(sum(length(u.changes)), 0) FROM pvrelay_undo u"
                                 " JOIN pvrelay_checkpoint c ON c.checkpoint = u.checkpoint WHERE c.run <= ?1";
static const char S_SQL_DROP_UNDO[] =
    "DELETE FROM pvrelay_undo WHERE checkpoint IN (SELECT checkpoint FROM pvrelay_checkpoint WHERE run <= ?1)";
static const char S_SQL_DROP_SEQUENCE[] =
    "DELETE FROM pvrelay_undo_sequence WHERE checkpoint IN (SELECT checkpoint FROM pvrelay_checkpoint WHERE run <= ?1)";
/* A shape holds until the next one of its table: one that was followed before the seal describes nothing any more. */
static const char S_SQL_DROP_SHAPE[] =
    "DELETE FROM pvrelay_shape WHERE EXISTS (SELECT 1 FROM pvrelay_shape n WHERE n.table_name = "
    "pvrelay_shape.table_name"
    " AND n.checkpoint > pvrelay_shape.checkpoint"
    " AND n.checkpoint <= (SELECT max(checkpoint) FROM pvrelay_checkpoint WHERE run <= ?1))";
static const char S_SQL_SEALED[] = "UPDATE pvrelay_run SET sealed_at = datetime('now')"
                                   " WHERE run <= ?1 AND sealed_at IS NULL AND rolled_back_at IS NULL";

/* ---- asking ---- */

static int s_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, pr_error_t *err) {
    return sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL) == SQLITE_OK ? 0 : pr_sql_fail(db, err);
}

/* 1 a row, 0 none, <0. */
static int s_step(sqlite3 *db, sqlite3_stmt *statement, pr_error_t *err) {
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        return 1;
    return step == SQLITE_DONE ? 0 : pr_sql_fail(db, err);
}

/* The first column of the first row of a query over one number. 1, 0 if there is no row or it is NULL, <0. */
static int s_number(sqlite3 *db, const char *sql, int64_t parameter, int64_t *ret_number, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, sql, &statement, err);
    if (result == 0 && sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, parameter);
    if (result == 0)
        result = s_step(db, statement, err);
    if (result > 0 && sqlite3_column_type(statement, 0) == SQLITE_NULL)
        result = 0;
    if (result > 0)
        *ret_number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

/* Do something that has no result, with a number, or a text and a number. */
static int s_do(sqlite3 *db, const char *sql, const char *text, int64_t number, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, sql, &statement, err);
    if (result == 0 && text != NULL)
        sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
    if (result == 0 && sqlite3_bind_parameter_count(statement) >= (text != NULL ? 2 : 1))
        sqlite3_bind_int64(statement, text != NULL ? 2 : 1, number);
    if (result == 0)
        result = s_step(db, statement, err);
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

/* The command that tells more about this target. */
typedef struct {
    char text[PR_HINT_BYTES];
} s_hint_t;

static s_hint_t s_see(const char *command, sqlite3 *db) {
    s_hint_t hint = {.text = ""};
    const char *path = sqlite3_db_filename(db, "main");
    pr_hint_into(hint.text, sizeof hint.text, command, "--target", path != NULL && *path != '\0' ? path : "DB", NULL);
    return hint;
}

/* Are there books, and such that tell what can be taken back? */
static int s_check_books(sqlite3 *db, pr_error_t *err) {
    int runs = pr_sql_has_table(db, "pvrelay_run", err);
    int names = runs > 0 ? pr_sql_has_table(db, "pvrelay_name", err) : 0;
    if (runs < 0 || names < 0)
        return runs < 0 ? runs : names;
    if (runs == 0)
        return pr_error_set(err, PR_E_TARGET_SCHEMA,
                            "%s: no run of pvrelay has been here, and it has no tables for its books; `%s` makes them",
                            pr_sql_path(db), s_see("migrate", db).text);
    if (names == 0)
        return pr_error_set(err, PR_E_TARGET_SCHEMA,
                            "%s: its books are older than undo: what was committed so far cannot be taken back; "
                            "`%s` brings them up to date",
                            pr_sql_path(db), s_see("migrate", db).text);
    return 0;
}

/* ---- points ---- */

static int s_nothing(sqlite3 *db, pr_error_t *err) {
    return pr_error_set(err, PR_E_USAGE, "%s: nothing was committed yet", pr_sql_path(db));
}

/* The newest live checkpoint before this checkpoint and run; all zero if there is none. */
static int s_before(sqlite3 *db, int64_t checkpoint, int64_t run, pr_rollback_point_t *ret_point, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    pr_rollback_point_t point = {0};
    int result = s_prepare(db, S_SQL_BEFORE, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, checkpoint);
        sqlite3_bind_int64(statement, 2, run);
        result = s_step(db, statement, err);
    }
    if (result > 0) {
        point.checkpoint = sqlite3_column_int64(statement, 0);
        point.run = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    if (result < 0)
        return result;
    *ret_point = point;
    return 0;
}

int pr_checkpoint_newest(sqlite3 *db, int64_t *ret_checkpoint, pr_error_t *err) {
    pr_rollback_point_t newest = {0};
    int result = s_check_books(db, err);
    if (result == 0)
        result = s_before(db, INT64_MAX, INT64_MAX, &newest, err);
    if (result == 0)
        *ret_checkpoint = newest.checkpoint;
    return result;
}

/* There is no such checkpoint: tell which there are. */
static int s_no_checkpoint(sqlite3 *db, const char *word, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, S_SQL_RANGE, &statement, err);
    if (result == 0)
        result = s_step(db, statement, err);
    if (result > 0 && sqlite3_column_int64(statement, 0) > 0)
        result =
            pr_error_set(err, PR_E_USAGE, "%s: there is no checkpoint %s; there are some from %lld to %lld, see `%s`",
                         pr_sql_path(db), word, (long long)sqlite3_column_int64(statement, 0),
                         (long long)sqlite3_column_int64(statement, 1), s_see("checkpoints", db).text);
    else if (result > 0)
        result =
            pr_error_set(err, PR_E_USAGE, "%s: there is no checkpoint %s; there is none at all", pr_sql_path(db), word);
    sqlite3_finalize(statement);
    return result;
}

/* Checkpoint `number`, which the user called `word`. */
static int s_find_checkpoint(sqlite3 *db, int64_t number, const char *word, pr_rollback_point_t *ret_point,
                             pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    if (number == 0) {
        *ret_point = (pr_rollback_point_t){.reopen = true};
        return 0;
    }
    int result = s_prepare(db, S_SQL_CHECKPOINT, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, number);
        result = s_step(db, statement, err);
    }
    if (result == 0) {
        result = s_no_checkpoint(db, word, err);
    } else if (result > 0) {
        pr_rollback_point_t point = {number, sqlite3_column_int64(statement, 0), true};
        const char *gone = (const char *)sqlite3_column_text(statement, 1);
        result = 0;
        if (gone != NULL && *gone != '\0')
            result = pr_error_set(err, PR_E_USAGE,
                                  "%s: checkpoint %" PRId64 " was taken back with run %" PRId64 " on %s; see `%s`",
                                  pr_sql_path(db), number, point.run, gone, s_see("checkpoints", db).text);
        else
            *ret_point = point;
    }
    sqlite3_finalize(statement);
    return result;
}

static bool s_is_number(const char *word) {
    return *word != '\0' && word[strspn(word, "0123456789")] == '\0';
}

/* There is no such name or run: tell which there are, newest first. */
static int s_tell_others(sqlite3 *db, const char *sql, const char *what, const char *none, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, sql, &statement, err);
    if (result == 0) {
        sqlite3_bind_int(statement, 1, s_names_told);
        result = s_step(db, statement, err);
    }
    if (result > 0 && sqlite3_column_int(statement, 1) > 0)
        result = pr_error_set(err, PR_E_USAGE, "%s: %s; there %s %s%s", pr_sql_path(db), what,
                              sqlite3_column_int(statement, 1) == 1 ? "is" : "are", pr_sql_column_text(statement, 0),
                              sqlite3_column_int(statement, 1) == s_names_told ? ", …" : "");
    else if (result > 0)
        result = pr_error_set(err, PR_E_USAGE, "%s: %s; %s", pr_sql_path(db), what, none);
    sqlite3_finalize(statement);
    return result;
}

static int s_no_name(sqlite3 *db, const char *name, pr_error_t *err) {
    char what[128];
    sqlite3_snprintf(sizeof what, what, "there is no point called %.80s", name);
    return s_tell_others(db, S_SQL_NAMES, what, "no name was given yet", err);
}

/* The checkpoint that a name stands for. 1 found, 0 not, <0. */
static int s_lookup(sqlite3 *db, const char *name, int64_t *ret_checkpoint, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, S_SQL_NAME, &statement, err);
    if (result == 0) {
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
        result = s_step(db, statement, err);
    }
    if (result > 0)
        *ret_checkpoint = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

static int s_find_name(sqlite3 *db, const char *name, pr_rollback_point_t *ret_point, pr_error_t *err) {
    int64_t checkpoint = 0;
    char word[32];
    int found = s_lookup(db, name, &checkpoint, err);
    if (found <= 0)
        return found < 0 ? found : s_no_name(db, name, err);
    sqlite3_snprintf(sizeof word, word, "%lld", (long long)checkpoint);
    return s_find_checkpoint(db, checkpoint, word, ret_point, err);
}

int pr_rollback_point_start(sqlite3 *db, int64_t run, pr_rollback_point_t *ret_point, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    char what[64];
    int result = s_check_books(db, err);
    if (result == 0)
        result = s_prepare(db, S_SQL_RUN, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, run);
        result = s_step(db, statement, err);
    }
    if (result > 0) {
        const char *gone = (const char *)sqlite3_column_text(statement, 0);
        int64_t first =
            sqlite3_column_type(statement, 1) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(statement, 1);
        if (gone != NULL && *gone != '\0')
            result = pr_error_set(err, PR_E_USAGE, "%s: run %" PRId64 " was taken back already, on %s", pr_sql_path(db),
                                  run, gone);
        else
            result = s_before(db, first, run, ret_point, err);
    } else if (result == 0) {
        sqlite3_snprintf(sizeof what, what, "there is no run %lld", (long long)run);
        result = s_tell_others(db, S_SQL_RUNS, what, "there is none at all", err);
    }
    sqlite3_finalize(statement);
    return result;
}

/* The run that is meant when none is named: the unfinished one, else the one with the newest live checkpoint. */
static int s_find_start(sqlite3 *db, const char *run, pr_rollback_point_t *ret_point, pr_error_t *err) {
    int64_t number = 0;
    if (run != NULL) {
        if (!s_is_number(run))
            return pr_error_set(err, PR_E_USAGE, "%s=%.80s: a run's number is expected, see `%s`", S_START, run,
                                s_see("status", db).text);
        return pr_rollback_point_start(db, strtoll(run, NULL, 10), ret_point, err);
    }
    int found = s_number(db, S_SQL_UNFINISHED, INT64_MAX, &number, err);
    if (found == 0) {
        pr_rollback_point_t newest = {0};
        found = s_before(db, INT64_MAX, INT64_MAX, &newest, err);
        if (found == 0 && newest.checkpoint == 0)
            return s_nothing(db, err);
        number = newest.run;
    }
    return found < 0 ? found : pr_rollback_point_start(db, number, ret_point, err);
}

static int s_find_validated(sqlite3 *db, pr_rollback_point_t *ret_point, pr_error_t *err) {
    pr_rollback_point_t newest = {0};
    int64_t checkpoint = 0;
    int result = s_before(db, INT64_MAX, INT64_MAX, &newest, err);
    if (result == 0 && newest.checkpoint == 0)
        return s_nothing(db, err);
    if (result == 0)
        result = s_number(db, S_SQL_VALIDATED, newest.run, &checkpoint, err);
    if (result == 0)
        return pr_rollback_point_start(db, newest.run, ret_point, err);
    if (result > 0)
        *ret_point = (pr_rollback_point_t){checkpoint, newest.run, true};
    return result < 0 ? result : 0;
}

int pr_rollback_point_find(sqlite3 *db, const char *word, pr_rollback_point_t *ret_point, pr_error_t *err) {
    size_t start = strlen(S_START);
    int result = s_check_books(db, err);
    if (result < 0)
        return result;
    if (s_is_number(word))
        return s_find_checkpoint(db, strtoll(word, NULL, 10), word, ret_point, err);
    if (strcmp(word, S_VALIDATED) == 0)
        return s_find_validated(db, ret_point, err);
    if (strncmp(word, S_START, start) == 0 && (word[start] == '\0' || word[start] == '='))
        return s_find_start(db, word[start] == '=' ? word + start + 1 : NULL, ret_point, err);
    return s_find_name(db, word, ret_point, err);
}

/* ---- names ---- */

/* White space (Unicode's property), or a control character. */
static bool s_is_blank(uint32_t point) {
    return point <= 0x20 || (point >= 0x7F && point <= 0xA0) || point == 0x1680 ||
           (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 || point == 0x202F ||
           point == 0x205F || point == 0x3000;
}

int pr_checkpoint_check_name(const char *name, pr_error_t *err) {
    size_t size = strlen(name);
    if (size == 0 || size > s_name_bytes)
        return pr_error_set(err, PR_E_USAGE, "a name has 1 to %d bytes, this one has %zu", s_name_bytes, size);
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t bytes = pr_utf8_character(name + at, size - at, &point);
        if (bytes == 0)
            return pr_error_set(err, PR_E_USAGE, "a name must be UTF-8; byte %zu of this one is not", at + 1);
        if (s_is_blank(point))
            return pr_error_set(err, PR_E_USAGE,
                                "a name has no white space and no control characters; this one has U+%04X at byte %zu",
                                (unsigned)point, at + 1);
        at += bytes;
    }
    if (strchr(name, '=') != NULL)
        return pr_error_set(err, PR_E_USAGE, "%s: a name has no \"=\"", name);
    if (s_is_number(name))
        return pr_error_set(err, PR_E_USAGE, "%s: a name is no number: checkpoints have numbers already", name);
    if (strcmp(name, S_START) == 0 || strcmp(name, S_VALIDATED) == 0)
        return pr_error_set(err, PR_E_USAGE, "%s: is no name: rollback --to has a meaning for it", name);
    return 0;
}

/* End a transaction: commit if all went well. After a failed COMMIT it may still be open. */
static int s_end(sqlite3 *db, int result, pr_error_t *err) {
    if (result == 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        result = pr_sql_fail(db, err);
    if (result < 0 && sqlite3_get_autocommit(db) == 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

static int s_begin(sqlite3 *db, pr_error_t *err) {
    return sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK ? 0 : pr_sql_fail(db, err);
}

static int s_taken(sqlite3 *db, const char *name, int64_t checkpoint, pr_error_t *err) {
    if (checkpoint == 0)
        return pr_error_set(err, PR_E_USAGE, "%s: %s is taken: it is the state before any run", pr_sql_path(db), name);
    return pr_error_set(err, PR_E_USAGE, "%s: %s is taken: it is checkpoint %" PRId64, pr_sql_path(db), name,
                        checkpoint);
}

int pr_checkpoint_name(sqlite3 *db, const char *name, int64_t *ret_checkpoint, pr_error_t *err) {
    int64_t other = 0;
    int64_t newest = 0;
    int result = pr_checkpoint_check_name(name, err);
    if (result == 0)
        result = s_check_books(db, err);
    if (result == 0)
        result = s_begin(db, err);
    if (result < 0)
        return result;
    int found = s_lookup(db, name, &other, err);
    if (found > 0)
        result = s_taken(db, name, other, err);
    else
        result = found;
    if (result == 0)
        result = pr_checkpoint_newest(db, &newest, err);
    if (result == 0)
        result = s_do(db, S_SQL_ADD_NAME, name, newest, err);
    result = s_end(db, result, err);
    if (result == 0)
        *ret_checkpoint = newest;
    return result;
}

int pr_checkpoint_unname(sqlite3 *db, const char *name, pr_error_t *err) {
    int result = s_check_books(db, err);
    if (result == 0)
        result = s_do(db, S_SQL_DROP_NAME, name, 0, err);
    if (result == 0 && sqlite3_changes(db) == 0)
        result = s_no_name(db, name, err);
    return result;
}

/* ---- sealing ---- */

/* Which run to seal up to, and whether that can be. */
static int s_check_seal(sqlite3 *db, int64_t run, int64_t *ret_run, pr_error_t *err) {
    int64_t unfinished = 0;
    int64_t through = run;
    sqlite3_stmt *statement = NULL;
    char what[64];
    int result = 0;
    if (run == 0) {
        result = s_number(db, S_SQL_NEWEST_RUN, 0, &through, err);
    } else {
        result = s_prepare(db, S_SQL_RUN, &statement, err);
        if (result == 0) {
            sqlite3_bind_int64(statement, 1, run);
            result = s_step(db, statement, err);
        }
        sqlite3_finalize(statement);
        if (result == 0) {
            sqlite3_snprintf(sizeof what, what, "there is no run %lld", (long long)run);
            return s_tell_others(db, S_SQL_RUNS, what, "there is none at all", err);
        }
    }
    if (result > 0)
        result = s_number(db, S_SQL_UNFINISHED, through, &unfinished, err);
    if (result > 0)
        return pr_error_set(err, PR_E_UNFINISHED,
                            "%s: run %" PRId64 " is not finished; finish it with the command that began it, or seal "
                            "only the runs before it (--run)",
                            pr_sql_path(db), unfinished);
    if (result == 0)
        *ret_run = through;
    return result;
}

static int s_read_undo(sqlite3 *db, int64_t run, pr_seal_t *ret_seal, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = s_prepare(db, S_SQL_UNDO, &statement, err);
    if (result == 0) {
        sqlite3_bind_int64(statement, 1, run);
        result = s_step(db, statement, err);
    }
    if (result > 0)
        *ret_seal = (pr_seal_t){.run = run,
                                .checkpoints = (uint64_t)sqlite3_column_int64(statement, 0),
                                .bytes = (uint64_t)sqlite3_column_int64(statement, 1)};
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

int pr_seal(sqlite3 *db, int64_t run, pr_seal_t *ret_seal, pr_error_t *err) {
    static const char *const drops[] = {S_SQL_DROP_UNDO, S_SQL_DROP_SEQUENCE, S_SQL_DROP_SHAPE, S_SQL_SEALED};
    pr_seal_t seal = {0};
    int64_t through = 0;
    int result = s_check_books(db, err);
    if (result == 0)
        result = s_begin(db, err);
    if (result < 0)
        return result;
    result = s_check_seal(db, run, &through, err);
    if (result == 0)
        result = s_read_undo(db, through, &seal, err);
    for (size_t i = 0; result == 0 && i < sizeof drops / sizeof drops[0]; i++)
        result = s_do(db, drops[i], NULL, through, err);
    result = s_end(db, result, err);
    if (result == 0)
        *ret_seal = seal;
    return result;
}
