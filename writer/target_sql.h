/* SPDX-License-Identifier: MIT */
/* All SQL of the writer: the fixed statements, and those that follow from the mapping. */
#ifndef PR_TARGET_SQL_H
#define PR_TARGET_SQL_H

#include <sqlite3.h>
#include <stddef.h>

#include "common/mapping.h"

#define PR_SQLS(X)                                                                                                     \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    X(COMMIT, "COMMIT")                                                                                                \
    X(ROLLBACK, "ROLLBACK")                                                                                            \
    X(SAVEPOINT, "SAVEPOINT record")                                                                                   \
    X(ROLLBACK_TO, "ROLLBACK TO record")                                                                               \
    X(RELEASE, "RELEASE record")                                                                                       \
    X(DATA_VERSION, "PRAGMA data_version")                                                                             \
    X(RUN_BY_ID, "SELECT run FROM pvrelay_run WHERE id = ?1")                                                          \
    X(RUN_UNFINISHED, "SELECT run FROM pvrelay_run WHERE state IN ('streaming', 'proving') ORDER BY run DESC LIMIT 1") \
    X(RUN_READ, "SELECT id, state, mapping_digest, null_text, plan_digest, source, ordinal, \"offset\", outcome, "     \
                "rolled_back_at IS NOT NULL, seconds FROM pvrelay_run WHERE run = ?1")                                 \
    X(RUN_CHECKPOINTS, "SELECT ifnull(max(checkpoint), 0), ifnull(sum(validated = 0 AND kind = 'batch'), 0), "         \
                       "ifnull(sum(rejected), 0), ifnull(sum(validated = 2 AND kind = 'batch'), 0), "                  \
                       "ifnull(sum(iif(validated = 1, records - rejected, 0)), 0) FROM pvrelay_checkpoint "            \
                       "WHERE run = ?1")                                                                               \
    X(RUN_FAILURES, "SELECT count(*) FROM pvrelay_failure WHERE run = ?1")                                             \
    X(BYTES, "SELECT c.page_count * s.page_size FROM pragma_page_count() c, pragma_page_size() s")                     \
    X(RUN_INSERT,                                                                                                      \
      "INSERT INTO pvrelay_run (id, kind, state, mapping_name, mapping_digest, null_text, plan_digest, started_at, "   \
      "retries_through) VALUES (?1, ?2, 'streaming', ?3, ?4, ?5, ?6, datetime('now'), nullif(?7, 0))")                 \
    X(MAPPING_INSERT, "INSERT OR IGNORE INTO pvrelay_mapping (digest, text) VALUES (?1, ?2)")                          \
    X(RUN_ABANDON,                                                                                                     \
      "UPDATE pvrelay_run SET state = 'abandoned', ended_at = datetime('now') WHERE run = ?1 AND state IN "            \
      "('streaming', 'proving')")                                                                                      \
    X(RUN_STOPPED, "UPDATE pvrelay_run SET error = ?2, seconds = seconds + ?3 WHERE run = ?1")                         \
    X(RUN_POSITION, "SELECT state, source, ordinal, \"offset\" FROM pvrelay_run WHERE run = ?1")                       \
    X(RUN_MOVE, "UPDATE pvrelay_run SET source = ?2, ordinal = ?3, \"offset\" = ?4 WHERE run = ?1")                    \
    X(RUN_PROVING, "UPDATE pvrelay_run SET state = 'proving' WHERE run = ?1")                                          \
    X(RUN_COMPLETE,                                                                                                    \
      "UPDATE pvrelay_run SET state = 'complete', outcome = ?2, seconds = seconds + ?3, ended_at = datetime('now') "   \
      "WHERE run = ?1 AND state = 'proving'")                                                                          \
    X(RUN_RETRIED, "UPDATE pvrelay_reject SET retried_by = ?1 WHERE run <> ?1 AND retried_by IS NULL AND reject <= "   \
                   "(SELECT retries_through FROM pvrelay_run WHERE run = ?1)")                                         \
    X(SOURCE_INSERT,                                                                                                   \
      "INSERT INTO pvrelay_source (run, source, path, stream, size, mtime_ns, digest, wrangler, records, bytes) "      \
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                                                              \
    X(SOURCES,                                                                                                         \
      "SELECT path, stream, size, mtime_ns, digest, wrangler, records, bytes FROM pvrelay_source WHERE run = ?1 "      \
      "ORDER BY source")                                                                                               \
    X(CHECKPOINT_OPEN,                                                                                                 \
      "INSERT INTO pvrelay_checkpoint (run, kind, source, first_ordinal, records, begin_offset, end_offset, digest, "  \
      "inserted, updated, unchanged, rejected, rows_inserted, rows_updated, committed_at) VALUES (?1, 'batch', ?2, "   \
      "?3, ?4, ?5, ?6, '', 0, 0, 0, 0, 0, 0, '')")                                                                     \
    X(CHECKPOINT_CLOSE,                                                                                                \
      "UPDATE pvrelay_checkpoint SET digest = ?2, inserted = ?3, updated = ?4, unchanged = ?5, rejected = ?6, "        \
      "rows_inserted = ?7, rows_updated = ?8, rows_sum = ?9, committed_at = datetime('now') WHERE checkpoint = ?1")    \
    X(CHECKPOINT_ROWS,                                                                                                 \
      "INSERT INTO pvrelay_checkpoint_rows (checkpoint, table_name, inserted, updated) VALUES (?1, ?2, ?3, ?4)")       \
    X(CHECKPOINT_FINISH,                                                                                               \
      "INSERT INTO pvrelay_checkpoint (run, kind, source, first_ordinal, records, begin_offset, end_offset, digest, "  \
      "inserted, updated, unchanged, rejected, rows_inserted, rows_updated, committed_at, validated) VALUES (?1, "     \
      "'finish', ?2, 0, 0, 0, 0, '0000000000000000', 0, 0, 0, 0, 0, ?3, datetime('now'), 0)")                          \
    X(CHECKPOINT_VERDICT,                                                                                              \
      "UPDATE pvrelay_checkpoint SET validated = ?3 WHERE run = ?1 AND checkpoint = ?2 AND validated = 0")             \
    X(CHECKPOINT_VERDICT_WHOLE, "UPDATE pvrelay_checkpoint SET validated = ?2 WHERE run = ?1 AND kind = 'finish'")     \
    X(CHECKPOINT_KNOWN, "SELECT 1 FROM pvrelay_checkpoint WHERE run = ?1 AND checkpoint = ?2")                         \
    X(CHECKPOINT_FINISHED, "SELECT checkpoint FROM pvrelay_checkpoint WHERE run = ?1 AND kind = 'finish'")             \
    X(UNVALIDATED,                                                                                                     \
      "SELECT c.checkpoint, c.source, c.first_ordinal, c.records, c.begin_offset, c.end_offset, c.digest, "            \
      "c.rejected, c.rows_sum, s.stream FROM pvrelay_checkpoint c JOIN pvrelay_source s USING (run, source) WHERE "    \
      "c.run = ?1 AND c.checkpoint > ?2 AND c.checkpoint <> ?3 AND c.validated = 0 AND c.kind = 'batch' "              \
      "ORDER BY c.checkpoint LIMIT ?4")                                                                                \
    X(BOOKS, "WITH batch AS (SELECT checkpoint, records, rejected FROM pvrelay_checkpoint WHERE run = ?1 AND kind = "  \
             "'batch'), "                                                                                              \
             "tally AS (SELECT t.count, t.rows FROM batch JOIN pvrelay_tally t USING (checkpoint)) "                   \
             "SELECT (SELECT count(*) FROM batch), (SELECT ifnull(sum(records), 0) FROM batch), "                      \
             "(SELECT ifnull(sum(rejected), 0) FROM batch), (SELECT ifnull(sum(count), 0) FROM tally), "               \
             "(SELECT ifnull(sum(rows), 0) FROM tally)")                                                               \
    X(REJECT_INSERT,                                                                                                   \
      "INSERT INTO pvrelay_reject (run, checkpoint, source, stream, ordinal, \"offset\", length, reason, field, "      \
      "detail, raw, wrangler) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                             \
    X(NOTE_ADD,                                                                                                        \
      "INSERT INTO pvrelay_finding (run, kind, stream, field, count, source, ordinal) VALUES (?1, ?2, ?3, ?4, ?5, "    \
      "?6, ?7) ON CONFLICT (run, kind, stream, field) DO UPDATE SET count = count + excluded.count")                   \
    X(CHECKPOINT_IRREVERSIBLE,                                                                                         \
      "SELECT ifnull(max(c.checkpoint), 0) FROM pvrelay_checkpoint AS c JOIN pvrelay_run AS r ON r.run = c.run WHERE " \
      "r.rolled_back_at IS NULL AND NOT EXISTS (SELECT 1 FROM pvrelay_undo AS u WHERE u.checkpoint = c.checkpoint)")   \
    X(NOTE_FOREIGN, "INSERT INTO pvrelay_finding (run, kind, stream, field, count, source, ordinal, detail) VALUES "   \
                    "(?1, ?2, ?3, ?4, "                                                                                \
                    "1, ?5, ?6, ?7) ON CONFLICT (run, kind, stream, field) DO UPDATE SET count = count + 1")           \
    X(FOREIGN_NAMED, "SELECT count(*) FROM pvrelay_finding WHERE run = ?1 AND kind IN ('foreign_kept', "               \
                     "'foreign_overwritten')")                                                                         \
    X(FOREIGN_ANY_KEPT, "SELECT ?1 < 0 OR EXISTS (SELECT 1 FROM pvrelay_foreign_change WHERE outcome = 'kept')")       \
    X(FOREIGN_ADD,                                                                                                     \
      "INSERT OR REPLACE INTO pvrelay_foreign_change (table_name, row_id, checkpoint, ordinal, run, source, outcome, " \
      "detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                                               \
    X(FOREIGN_WRITTEN,                                                                                                 \
      "INSERT OR IGNORE INTO pvrelay_foreign_change (table_name, row_id, checkpoint, ordinal, run, source, outcome) "  \
      "SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'written' WHERE (SELECT outcome FROM pvrelay_foreign_change WHERE table_name = " \
      "?1 AND row_id = ?2 ORDER BY checkpoint DESC, ordinal DESC LIMIT 1) = 'kept'")                                   \
    X(FAILURE_INSERT,                                                                                                  \
      "INSERT INTO pvrelay_failure (run, checkpoint, kind, stream, table_name, row_key, column_name, expected, "       \
      "stored, source, \"offset\") VALUES (?1, nullif(?2, 0), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")                  \
    X(PROOF_FORGET_WHOLE, "DELETE FROM pvrelay_proof_finding WHERE checkpoint = ?1")                                   \
    X(PROOF_FINDING,                                                                                                   \
      "INSERT INTO pvrelay_proof_finding (checkpoint, kind, stream, field, count, source, ordinal, detail) VALUES "    \
      "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (checkpoint, kind, stream, field) DO UPDATE SET count = count + "  \
      "excluded.count")                                                                                                \
    X(TALLY,                                                                                                           \
      "INSERT INTO pvrelay_tally (checkpoint, stream, group_key, value, count, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6) " \
      "ON CONFLICT (checkpoint, stream, group_key, value) DO UPDATE SET count = count + excluded.count, rows = rows "  \
      "+ "                                                                                                             \
      "excluded.rows")                                                                                                 \
    X(MADE,                                                                                                            \
      "INSERT INTO pvrelay_made (table_name, row_id, run, checkpoint, source, ordinal) VALUES (?1, ?2, ?3, ?4, ?5, "   \
      "?6) ON CONFLICT (table_name, row_id) DO UPDATE SET run = excluded.run, checkpoint = excluded.checkpoint, "      \
      "source = excluded.source, ordinal = excluded.ordinal")                                                          \
    X(FAILURE_FORGET_WHOLE, "DELETE FROM pvrelay_failure WHERE run = ?1 AND checkpoint IS NULL")                       \
    X(TOUCH, "INSERT OR IGNORE INTO pvrelay_touched (run, table_name, row_id) VALUES (?1, ?2, ?3)")

typedef enum {
#define X(name, text) PR_SQL_##name,
    PR_SQLS(X)
#undef X
        PR_SQL_COUNT
} pr_sql_t;

/* The text of a fixed statement; "RUN_READ". Static. */
const char *pr_sql_text(pr_sql_t which);

/* What is asked at open, before the fixed statements can be prepared. */
extern const char PR_SQL_COLUMNS[];        /* ?1 table: name, notnull, has default, pk, hidden, type */
extern const char PR_SQL_UNIQUE_INDEXES[]; /* ?1 table: index, column, of the full UNIQUE indexes */
extern const char PR_SQL_WITHOUT_ROWID[];  /* ?1 table: 1 if it has no rowid */
extern const char PR_SQL_DATA_TABLES[];    /* the names of the tables that are neither SQLite's nor ours */

/*  Statements that follow from the mapping. All *return new* (sqlite3_free). Names are quoted; columns: `count` indexes
 *  into spec->columns. Parameters are numbered from 1 in the order told. */

/* INSERT of these columns; parameters: their values. */
char *pr_sql_insert(const pr_row_spec_t *spec, const size_t *columns, size_t count);
/* id, then the read columns, of the first row with the natural key; parameters: the key's values. */
char *pr_sql_select_by_key(const pr_row_spec_t *spec, const size_t *key, size_t key_count, const size_t *read,
                           size_t read_count);
/* The same for a whole group, whose values stand in PR_ROW_TABLE (writer/row_table.h), column i of the spec in its column
 * ci: INSERT of all its rows, in order; for each of its rows that is there by natural key, in order: its rowid in
 * PR_ROW_TABLE, id, then the read columns; or for each whose id is parameter 1 + its rowid in PR_ROW_TABLE. */
char *pr_sql_insert_many(const pr_row_spec_t *spec, const size_t *columns, size_t count);
char *pr_sql_select_many(const pr_row_spec_t *spec, const size_t *key, size_t key_count, const size_t *read,
                         size_t read_count);
char *pr_sql_select_many_by_id(const pr_row_spec_t *spec, const size_t *read, size_t read_count);
/* As pr_sql_select_by_key, of the row with the id in parameter 1. */
char *pr_sql_select_by_id(const pr_row_spec_t *spec, const size_t *read, size_t read_count);
/* UPDATE of these columns; parameters: their values, then the id. */
char *pr_sql_update(const pr_row_spec_t *spec, const size_t *columns, size_t count);
/* `result` of the first row of table whose key column is parameter 1. */
char *pr_sql_find(const char *table, const char *result, const char *key);
/* Set a derived column of the rows touched by run ?1 where it differs; ?2: the excepted value. */
char *pr_sql_derive(const pr_derived_t *derived);

#endif
