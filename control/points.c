/* SPDX-License-Identifier: MIT */
/* The points that a target can be put back to. */
#include "control/points.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/json.h"
#include "common/rollback_point.h"
#include "common/text.h"

static const char S_SQL_POINTS[] =
    "SELECT c.checkpoint, c.run, c.kind = 'finish', coalesce(s.stream, ''), coalesce(s.path, ''), c.source,"
    " c.first_ordinal, c.records, c.inserted, c.updated, c.unchanged, c.rejected, c.rows_inserted, c.rows_updated,"
    " c.committed_at, c.validated, u.checkpoint IS NOT NULL, coalesce(length(u.changes), 0)"
    " FROM pvrelay_checkpoint c LEFT JOIN pvrelay_source s ON s.run = c.run AND s.source = c.source AND c.kind = "
    "'batch'"
    " LEFT JOIN pvrelay_undo u ON u.checkpoint = c.checkpoint ORDER BY c.checkpoint";
static const char S_SQL_NAMES[] = "SELECT name, checkpoint, made_at FROM pvrelay_name ORDER BY checkpoint, name";
static const char S_SQL_ROLLBACKS[] = "SELECT rollback, reason, from_checkpoint, to_checkpoint, checkpoints, "
                                      "rows_deleted, rows_restored, rows_left, made_at"
                                      " FROM pvrelay_rollback ORDER BY rollback";
static const char S_SQL_BYTES[] = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
static const char S_SQL_ROWS[] =
    "SELECT table_name, inserted, updated FROM pvrelay_checkpoint_rows WHERE checkpoint = ?1 ORDER BY table_name";

static uint64_t s_count(sqlite3_stmt *row, int column) {
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    return value > 0 ? (uint64_t)value : 0;
}

static char *s_copy(sqlite3_stmt *row, int column) {
    return pr_text_escape(pr_ledger_text(row, column));
}

/* Called for each row of a query. */
typedef void s_row_fn(pr_points_t *points, sqlite3_stmt *row);

static int s_each(pr_points_t *points, sqlite3 *db, const char *sql, s_row_fn *row, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    int result = pr_ledger_prepare(db, sql, &statement, err);
    while (result == 0 && (result = pr_ledger_step(db, statement, err)) > 0) {
        row(points, statement);
        result = 0;
    }
    sqlite3_finalize(statement);
    return result;
}

/* What is none of the values that there are proves nothing. */
static int s_validated(sqlite3_stmt *row, int column) {
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    return value == 1 || value == 2 ? (int)value : 0;
}

static void s_add_point(pr_points_t *points, sqlite3_stmt *row) {
    /* Grown by doubling: at 0, 1, 2, 4, … there is no room left. */
    size_t count = points->points_count;
    if ((count & (count - 1)) == 0)
        points->points = pr_xrealloc(points->points, (count == 0 ? 1 : 2 * count) * sizeof *points->points);
    pr_point_t *point = &points->points[points->points_count++];
    *point = (pr_point_t){.number = sqlite3_column_int64(row, 0),
                          .run = sqlite3_column_int64(row, 1),
                          .finish = sqlite3_column_int(row, 2) != 0,
                          .stream = s_copy(row, 3),
                          .path = s_copy(row, 4),
                          .source = s_count(row, 5),
                          .first_ordinal = s_count(row, 6),
                          .records = s_count(row, 7),
                          .inserted = s_count(row, 8),
                          .updated = s_count(row, 9),
                          .unchanged = s_count(row, 10),
                          .rejected = s_count(row, 11),
                          .rows_inserted = s_count(row, 12),
                          .rows_updated = s_count(row, 13),
                          .validated = s_validated(row, 15),
                          .undo = sqlite3_column_int(row, 16) != 0,
                          .undo_bytes = s_count(row, 17)};
    pr_ledger_take(row, 14, point->committed_at, sizeof point->committed_at);
    points->undo_points += point->undo ? 1 : 0;
    points->undo_bytes += point->undo_bytes;
}

static void s_add_name(pr_points_t *points, sqlite3_stmt *row) {
    points->names = pr_xrealloc(points->names, (points->names_count + 1) * sizeof *points->names);
    pr_point_name_t *name = &points->names[points->names_count++];
    *name = (pr_point_name_t){.name = s_copy(row, 0), .checkpoint = sqlite3_column_int64(row, 1)};
    pr_ledger_take(row, 2, name->made_at, sizeof name->made_at);
    for (size_t i = 0; i < points->points_count; i++)
        points->points[i].names += points->points[i].number == name->checkpoint ? 1 : 0;
}

static void s_add_rollback(pr_points_t *points, sqlite3_stmt *row) {
    points->rollbacks = pr_xrealloc(points->rollbacks, (points->rollbacks_count + 1) * sizeof *points->rollbacks);
    pr_point_rollback_t *rollback = &points->rollbacks[points->rollbacks_count++];
    *rollback = (pr_point_rollback_t){.number = sqlite3_column_int64(row, 0),
                                      .from = sqlite3_column_int64(row, 2),
                                      .to = sqlite3_column_int64(row, 3),
                                      .checkpoints = s_count(row, 4),
                                      .rows_deleted = s_count(row, 5),
                                      .rows_restored = s_count(row, 6),
                                      .rows_left = s_count(row, 7)};
    pr_ledger_take(row, 1, rollback->reason, sizeof rollback->reason);
    pr_ledger_take(row, 8, rollback->made_at, sizeof rollback->made_at);
}

static void s_set_bytes(pr_points_t *points, sqlite3_stmt *row) {
    points->bytes = s_count(row, 0);
}

static const pr_ledger_run_t *s_run(const pr_points_t *points, int64_t number) {
    for (size_t i = 0; i < points->runs_count; i++) {
        if (points->runs[i].number == number)
            return &points->runs[i];
    }
    return NULL;
}

/* From the newest live checkpoint down, as far as they keep their undo. */
static void s_set_reach(pr_points_t *points) {
    for (size_t i = points->points_count; i > 0; i--) {
        const pr_point_t *point = &points->points[i - 1];
        const pr_ledger_run_t *run = s_run(points, point->run);
        if (run == NULL || *run->rolled_back_at != '\0')
            continue;
        if (!point->undo) {
            points->reversible_to = point->number;
            return;
        }
    }
    points->reversible_to = 0;
}

int pr_points_load(sqlite3 *db, const char *target, pr_points_t **ret_points, pr_error_t *err) {
    pr_points_t *points = pr_xcalloc(1, sizeof *points);
    points->target = pr_text_escape(target);
    int result = pr_checkpoint_newest(db, &points->newest, err);
    if (result == 0)
        result = pr_ledger_runs(db, NULL, &points->runs, &points->runs_count, err);
    if (result == 0)
        result = s_each(points, db, S_SQL_POINTS, s_add_point, err);
    if (result == 0)
        result = s_each(points, db, S_SQL_NAMES, s_add_name, err);
    if (result == 0)
        result = s_each(points, db, S_SQL_ROLLBACKS, s_add_rollback, err);
    if (result == 0)
        result = s_each(points, db, S_SQL_BYTES, s_set_bytes, err);
    if (result == 0) {
        s_set_reach(points);
        *ret_points = points;
    } else {
        pr_points_destroy(&points);
    }
    return result;
}

void pr_points_destroy(pr_points_t **points) {
    if (points == NULL || *points == NULL)
        return;
    pr_points_t *self = *points;
    for (size_t i = 0; i < self->points_count; i++) {
        free(self->points[i].stream);
        free(self->points[i].path);
    }
    for (size_t i = 0; i < self->names_count; i++)
        free(self->names[i].name);
    free(self->target);
    free(self->runs);
    free(self->points);
    free(self->names);
    free(self->rollbacks);
    free(self);
    *points = NULL;
}

/* ---- JSON ---- */

static json_t *s_number(uint64_t number) {
    return json_integer((json_int_t)number);
}

static int s_rows_to_json(sqlite3 *db, sqlite3_stmt *statement, int64_t checkpoint, json_t **ret_rows,
                          pr_error_t *err) {
    json_t *rows = json_array();
    int result;
    sqlite3_bind_int64(statement, 1, checkpoint);
    while ((result = pr_ledger_step(db, statement, err)) > 0)
        pr_json_append(rows, pr_json_pack("{s:s, s:I, s:I}", "table", pr_ledger_text(statement, 0), "inserted",
                                          (json_int_t)sqlite3_column_int64(statement, 1), "updated",
                                          (json_int_t)sqlite3_column_int64(statement, 2)));
    sqlite3_reset(statement);
    *ret_rows = rows;
    return result;
}

static json_t *s_point_to_json(const pr_points_t *points, const pr_point_t *point, json_t *rows) {
    static const char *const proved[] = {"no", "yes", "failed"};
    json_t *json = json_object();
    json_t *names = json_array();
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"source", point->source},
                   {"first_ordinal", point->first_ordinal},
                   {"records", point->records},
                   {"inserted", point->inserted},
                   {"updated", point->updated},
                   {"unchanged", point->unchanged},
                   {"rejected", point->rejected},
                   {"rows_inserted", point->rows_inserted},
                   {"rows_updated", point->rows_updated}};
    pr_json_set(json, "checkpoint", json_integer(point->number));
    pr_json_set(json, "kind", pr_json_text(point->finish ? "finish" : "batch"));
    pr_json_set(json, "stream", pr_json_text_or_null(point->stream));
    pr_json_set(json, "path", pr_json_text_or_null(point->path));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        pr_json_set(json, numbers[i].key, s_number(numbers[i].value));
    pr_json_set(json, "rows", rows);
    pr_json_set(json, "committed_at", pr_json_text(point->committed_at));
    pr_json_set(json, "proved", pr_json_text(proved[point->validated]));
    pr_json_set(json, "undo_bytes", point->undo ? s_number(point->undo_bytes) : json_null());
    for (size_t i = 0; point->names > 0 && i < points->names_count; i++) {
        if (points->names[i].checkpoint == point->number)
            pr_json_append(names, pr_json_text(points->names[i].name));
    }
    pr_json_set(json, "names", names);
    return json;
}

static json_t *s_run_to_json(const pr_ledger_run_t *run, json_t *checkpoints) {
    return pr_json_pack("{s:I, s:s, s:s, s:s, s:o, s:s, s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "run",
                        (json_int_t)run->number, "id", run->id, "kind", run->kind, "state", pr_ledger_state(run),
                        "outcome", run->outcome >= 0 ? json_integer(run->outcome) : json_null(), "started_at",
                        run->started_at, "ended_at", pr_json_text_or_null(run->ended_at), "mapping", run->mapping,
                        "total", (json_int_t)run->total, "records", (json_int_t)run->records, "rolled_back_at",
                        pr_json_text_or_null(run->rolled_back_at), "sealed_at", pr_json_text_or_null(run->sealed_at),
                        "checkpoints", checkpoints);
}

static json_t *s_rollbacks_to_json(const pr_points_t *points) {
    json_t *list = json_array();
    for (size_t i = 0; i < points->rollbacks_count; i++) {
        const pr_point_rollback_t *rollback = &points->rollbacks[i];
        pr_json_append(list, pr_json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "rollback",
                                          (json_int_t)rollback->number, "reason", rollback->reason, "from",
                                          (json_int_t)rollback->from, "to", (json_int_t)rollback->to, "checkpoints",
                                          (json_int_t)rollback->checkpoints, "rows_deleted",
                                          (json_int_t)rollback->rows_deleted, "rows_restored",
                                          (json_int_t)rollback->rows_restored, "rows_left",
                                          (json_int_t)rollback->rows_left, "made_at", rollback->made_at));
    }
    return list;
}

static json_t *s_names_to_json(const pr_points_t *points) {
    json_t *list = json_array();
    for (size_t i = 0; i < points->names_count; i++)
        pr_json_append(list,
                       pr_json_pack("{s:s, s:I, s:s}", "name", points->names[i].name, "checkpoint",
                                    (json_int_t)points->names[i].checkpoint, "made_at", points->names[i].made_at));
    return list;
}

int pr_points_to_json(const pr_points_t *points, sqlite3 *db, int64_t run, json_t **ret_json, pr_error_t *err) {
    sqlite3_stmt *statement = NULL;
    json_t *runs = json_array();
    int result = pr_ledger_prepare(db, S_SQL_ROWS, &statement, err);
    for (size_t r = 0; result == 0 && r < points->runs_count; r++) {
        if (run != 0 && points->runs[r].number != run)
            continue;
        json_t *checkpoints = json_array();
        for (size_t i = 0; result == 0 && i < points->points_count; i++) {
            json_t *rows = NULL;
            if (points->points[i].run != points->runs[r].number)
                continue;
            result = s_rows_to_json(db, statement, points->points[i].number, &rows, err);
            pr_json_append(checkpoints, s_point_to_json(points, &points->points[i], rows));
        }
        pr_json_append(runs, s_run_to_json(&points->runs[r], checkpoints));
    }
    sqlite3_finalize(statement);
    if (result < 0) {
        json_decref(runs);
        return result;
    }
    *ret_json = pr_json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "target", points->target, "bytes",
                             (json_int_t)points->bytes, "newest", (json_int_t)points->newest, "reversible_to",
                             (json_int_t)points->reversible_to, "undo_checkpoints", (json_int_t)points->undo_points,
                             "undo_bytes", (json_int_t)points->undo_bytes, "names", s_names_to_json(points), "runs",
                             runs, "rollbacks", s_rollbacks_to_json(points));
    return 0;
}
