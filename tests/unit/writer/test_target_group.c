/* SPDX-License-Identifier: MIT */
/* Records in groups: nothing but the time tells them from records applied one by one. */

/*  DESIGN
 *
 *  The property: PVRELAY_CASES (default 40) cases from PVRELAY_SEED (default 1) on. Each plays a few runs of the same
 *  records into two targets: into one in batches of chance sizes, where they form groups; into the other each in a
 *  batch of its own, where no record waits for another. Then everything must be the same: rows with their ids, id
 *  counters, rejects with their messages and raw bytes, counts, and the books by row. A run is the one before it with
 *  some records changed, moved, doubled, broken or new. In some cases others change rows between the runs; in the rest
 *  both targets are taken back to before everything, where nothing may be left. What others changed is rejected, kept or
 *  overwritten, by chance, and must be the same in both; where nobody else writes there is no such thing.
 *
 *  The directed tests look into the target to make sure that the records they are about did wait in a group.
 *
 *  Everywhere the rows of a record are overwritten when it has been handed over, as the writer's reader does.
 */
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/rollback.h"
#include "target_fixture.h"
#include "tests/unit/chance.h"
#include "writer/target_group.h"
#include "writer/target_sqlite.h"

static const char S_RUN_1[] = "11111111-1111-4111-8111-111111111111";
static const char S_RUN_2[] = "22222222-2222-4222-8222-222222222222";

/* ---- What both kinds of tests need ------------------------------------------------------------------------------- */

static sqlite3 *s_look(const fx_t *fx) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
    return db;
}

static void s_put_value(FILE *out, sqlite3_stmt *row, int column) {
    static const char *const types[] = {"", "integer ", "real ", "text ", "blob ", "NULL"};
    fprintf(out, "%s=%s", sqlite3_column_name(row, column), types[sqlite3_column_type(row, column)]);
    const unsigned char *bytes = sqlite3_column_blob(row, column);
    for (int i = 0; bytes != NULL && i < sqlite3_column_bytes(row, column); i++) {
        if (bytes[i] < 0x20 || bytes[i] == '\\')
            fprintf(out, "\\%02x", bytes[i]);
        else
            putc_unlocked(bytes[i], out);
    }
}

/* All values of all rows that a query gives, with their types. malloc'ed. */
static char *s_rows(sqlite3 *db, const char *sql) {
    sqlite3_stmt *row = NULL;
    char *text = NULL;
    size_t size = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    FILE *out = open_memstream(&text, &size);
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(row); i++) {
            s_put_value(out, row, i);
            fputs(i + 1 == sqlite3_column_count(row) ? "\n" : ", ", out);
        }
    }
    assert_int_equal(step, SQLITE_DONE);
    fclose(out);
    sqlite3_finalize(row);
    return text;
}

/* The user's tables and their id counters. */
static const char *const S_CONTENT[] = {
    "SELECT * FROM users ORDER BY id",
    "SELECT * FROM clients ORDER BY id",
    "SELECT * FROM projects ORDER BY id",
    "SELECT * FROM interventions ORDER BY id",
    "SELECT * FROM el_audits ORDER BY id",
    "SELECT * FROM el_modules ORDER BY id",
    "SELECT name, seq FROM sqlite_sequence WHERE name NOT LIKE 'pvrelay%' ORDER BY name",
};
enum { s_content_count = sizeof S_CONTENT / sizeof S_CONTENT[0] };

/* What the target says about it, without the numbers of checkpoints: there are more of them where batches are small. */
static const char *const S_BOOKS[] = {
    "SELECT reject, run, source, stream, ordinal, \"offset\", length, reason, field, detail, raw, wrangler FROM "
    "pvrelay_reject ORDER BY reject",
    "SELECT run, kind, sum(records), sum(inserted), sum(updated), sum(unchanged), sum(rejected), sum(rows_inserted), "
    "sum(rows_updated) FROM pvrelay_checkpoint GROUP BY run, kind ORDER BY run, kind",
    "SELECT run, table_name, sum(r.inserted), sum(r.updated) FROM pvrelay_checkpoint_rows AS r JOIN "
    "pvrelay_checkpoint USING (checkpoint) GROUP BY run, table_name ORDER BY run, table_name",
    "SELECT run, table_name, row_id FROM pvrelay_touched ORDER BY run, table_name, row_id",
    "SELECT table_name, row_id, run, source, ordinal FROM pvrelay_made ORDER BY table_name, row_id",
    "SELECT run, state, source, ordinal, \"offset\", outcome FROM pvrelay_run ORDER BY run",
    "SELECT table_name, row_id, run, source, ordinal, outcome, detail FROM pvrelay_foreign_change ORDER BY run, "
    "source, "
    "ordinal, table_name, row_id",
    "SELECT * FROM pvrelay_finding ORDER BY run, kind, stream, field",
    "SELECT count(*) FROM pragma_foreign_key_check",
};
enum { s_books_count = sizeof S_BOOKS / sizeof S_BOOKS[0] };

/* The column of the record's last row. */
static pr_value_t *s_column(const fx_t *fx, fx_record_t *record, const char *name) {
    const pr_row_t *row = &record->rows[record->record.rows_count - 1];
    const pr_row_spec_t *spec = &fx->modules->rows[row->spec];
    for (size_t i = 0; i < spec->columns_count; i++) {
        if (strcmp(spec->columns[i].name, name) == 0)
            return &row->values[i];
    }
    fail_msg("row %s has no column %s", spec->name, name);
    abort();
}

/* How a module is written in groups, as the open target has it. */
static pr_target_row_t *s_module_row(const fx_t *fx) {
    pr_target_stream_t *stream = &fx->target->streams[fx->modules - fx->mapping->streams];
    return &stream->rows[fx->modules->rows_count - 1];
}

/* How many records the next group may have. */
static size_t *s_group_size(const fx_t *fx) {
    return &s_module_row(fx)->grouped.size;
}

/*  Apply a record as the writer does: the rows and values lie in memory that the next record overwrites; only the texts
 *  stay. */
static int s_hand_over(fx_t *fx, const pr_stream_t *stream, const fx_record_t *record, uint32_t offset,
                       uint64_t ordinal, pr_error_t *err) {
    static pr_row_t rows[FX_ROWS];
    static pr_value_t values[FX_ROWS][FX_COLUMNS];
    pr_rows_record_t given = record->record;
    given.offset = offset;
    given.rows = rows;
    for (size_t i = 0; i < given.rows_count; i++) {
        memcpy(values[i], record->rows[i].values, sizeof values[i]);
        rows[i] = (pr_row_t){.spec = record->rows[i].spec, .values = values[i]};
    }
    int result = pr_target_apply(fx->target, stream, &given, ordinal, fx_raw, fx, err);
    for (size_t i = 0; i < FX_ROWS; i++) {
        rows[i] = (pr_row_t){.spec = 0, .values = NULL};
        for (size_t c = 0; c < FX_COLUMNS; c++)
            values[i][c] = pr_value_text("of another record", 17);
    }
    return result;
}

static void s_begin_batch(fx_t *fx, uint32_t source, uint64_t first, size_t count) {
    pr_error_t err = PR_ERROR_INIT;
    pr_target_batch_begin(fx->target, fx->run.number, &fx->plan->sources[source],
                          fx_range(source, first, (uint32_t)count), &err);
    assert_string_equal(err.text, "");
}

static pr_target_counts_t s_commit_batch(fx_t *fx) {
    pr_error_t err = PR_ERROR_INIT;
    pr_target_counts_t counts = {0};
    int64_t checkpoint = 0;
    int result = pr_target_batch_commit(fx->target, 1, &counts, &checkpoint, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    return counts;
}

/* Durable it need not be: thousands of commits in little time. */
static void s_open_with_undo(fx_t *fx) {
    pr_error_t err = PR_ERROR_INIT;
    fx_open(fx);
    fx_ready(fx);
    assert_int_equal(sqlite3_exec(fx->target->db, "PRAGMA synchronous = OFF", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pr_target_keep_undo(fx->target, &err), 0);
}

static void s_finish(fx_t *fx) {
    int64_t checkpoint = 0;
    pr_error_t err = PR_ERROR_INIT;
    pr_target_run_finish(fx->target, fx->run.number, &checkpoint, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(pr_target_run_complete(fx->target, fx->run.number, 0, 1.0, &err), 0);
}

/* Back to before everything: nothing may be in conflict. */
static void s_take_all_back(fx_t *fx) {
    const pr_rollback_point_t start = {0};
    const pr_rollback_options_t options = {.reason = PR_ROLLBACK_OPERATOR, .outcome = -1};
    pr_rollback_report_t *report = NULL;
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_rollback(fx->path, &start, &options, &report, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    pr_rollback_report_destroy(&report);
}

/* ---- The property ------------------------------------------------------------------------------------------------ */

enum { s_cases_default = 40, s_list_max = 600, s_audits = 3, s_tokens = 4, s_batch_max = 600 };

/* What a record of the modules is. */
typedef enum { S_GOOD, S_STRAY, S_NO_STRING, S_NO_KEY, S_BAD_TOKEN, S_REFUSED } s_kind_t;

typedef struct {
    s_kind_t kind;
    int token, key, string, position, status, comment, technician;
} s_module_t;

typedef struct {
    uint64_t seed, chance;
    bool others;       /* change rows between the runs */
    bool one_place;    /* a second UNIQUE index */
    unsigned change;   /* one record of so many is not as it was; 0: none */
    fx_t *many, *one;  /* in groups, and one by one */
    fx_record_t *made; /* s_list_max */
    size_t count;
    s_module_t list[s_list_max];
} s_case_t;

/* What the cases did, so that a test that tries nothing cannot pass. */
static struct {
    uint64_t records, rejects, inserted, updated, unchanged;
    uint64_t foreign[3]; /* rows, by policy */
    size_t largest;      /* group */
} s_did;

static int s_below(s_case_t *self, int below) {
    return (int)pr_test_chance(&self->chance, (uint64_t)below);
}

static s_module_t s_new_module(s_case_t *self, int key) {
    return (s_module_t){.token = s_below(self, s_audits),
                        .key = key,
                        .string = key / 20,
                        .position = key % 20,
                        .status = s_below(self, 4),
                        .comment = s_below(self, 5),
                        .technician = s_below(self, 4)};
}

static void s_change_module(s_case_t *self, size_t at) {
    s_module_t *module = &self->list[at];
    size_t other = pr_test_chance(&self->chance, self->count);
    s_module_t kept = *module;
    switch (s_below(self, 11)) {
    case 0:
        module->status = s_below(self, 4);
        break;
    case 1:
        module->comment = s_below(self, 5);
        break;
    case 2:
        module->technician = s_below(self, 6);
        break;
    case 3:
        module->position = s_below(self, 20);
        break;
    case 4: /* two change places */
        *module = self->list[other];
        self->list[other] = kept;
        break;
    case 5: /* the same record twice */
        *module = self->list[other];
        break;
    case 6: /* the same key twice, other values */
        module->key = self->list[other].key;
        module->token = self->list[other].token;
        break;
    case 7: /* one that is new, in the middle */
        *module = s_new_module(self, (int)pr_test_chance(&self->chance, 4 * s_list_max));
        break;
    default:
        module->kind = (s_kind_t)s_below(self, S_REFUSED + 1);
        break;
    }
}

/* The next run: the last one, changed here and there, and perhaps longer. */
static void s_vary(s_case_t *self) {
    static const unsigned changes[] = {0, 2, 10, 40, 150, 400};
    size_t more = self->count == 0 || pr_test_chance(&self->chance, 4) == 0 ? 1 + pr_test_chance(&self->chance, 300)
                                                                            : pr_test_chance(&self->chance, 20);
    self->change = changes[pr_test_chance(&self->chance, sizeof changes / sizeof changes[0])];
    for (size_t i = 0; i < more && self->count < s_list_max; i++) {
        self->list[self->count] = s_new_module(self, (int)self->count);
        self->count++;
    }
    for (size_t i = 0; self->change > 0 && i < self->count; i++) {
        if (pr_test_chance(&self->chance, self->change) == 0)
            s_change_module(self, i);
    }
}

/* A key of the pool; some hold a NUL byte, one is empty. */
static pr_value_t s_key(fx_record_t *record, int key) {
    char *text = record->text + record->text_used;
    int size = key == 5 ? 0 : snprintf(text, FX_TEXT - record->text_used, "M%d", key);
    if (key % 7 == 3)
        text[1] = '\0';
    record->text_used += (size_t)size;
    return pr_value_text(text, (size_t)size);
}

static void s_make(const fx_t *fx, const s_module_t *from, fx_record_t *ret_record) {
    static const char *const tokens[] = {"tok0", "tok1", "tok2", "nowhere"};
    static const char *const statuses[] = {"ok", "dead", "pending", "microcracks"};
    static const char *const comments[] = {NULL, "", "cell 3 is dark", "a\0b", "fêlure"};
    static const char *const technicians[] = {NULL, NULL, "Zoé", "Ana", "Ina", "Bob"};
    fx_module_t module = fx_module(tokens[from->kind == S_STRAY ? s_tokens - 1 : from->token], "");
    module.string = from->string;
    module.position = from->position;
    module.status = statuses[from->status];
    module.comment = comments[from->comment];
    module.comment_size = from->comment == 3 ? 3 : 0;
    module.technician = technicians[from->technician];
    fx_make_module(fx, &module, ret_record);
    *s_column(fx, ret_record, "module_identifier") = s_key(ret_record, from->key);
    if (from->kind == S_NO_STRING)
        *s_column(fx, ret_record, "string_number") = pr_value_null();
    if (from->kind == S_NO_KEY)
        *s_column(fx, ret_record, "module_identifier") = pr_value_null();
    if (from->kind == S_BAD_TOKEN)
        *s_column(fx, ret_record, "audit_token") = pr_value_text("elsewhere", 9);
    if (from->kind == S_REFUSED)
        ret_record->record = (pr_rows_record_t){.length = 10,
                                                .reason = PR_R_UNKNOWN_VALUE,
                                                .field = pr_value_text("status", 6),
                                                .detail = pr_value_text("'?'", 3),
                                                .raw = pr_value_text("{\0}", 3)};
}

static void s_make_audits(s_case_t *self) {
    static const char *const tokens[] = {"tok0", "tok1", "tok2"};
    static const char *const states[] = {"created", "completed"};
    for (size_t i = 0; i < s_audits; i++) {
        fx_audit_t audit = fx_audit(tokens[i]);
        audit.client = i == 1 ? "another client" : audit.client;
        audit.status = states[s_below(self, 2)];
        fx_make_audit(self->many, &audit, &self->made[i]);
    }
}

/* All of a source in batches of at most so many records. */
static void s_give(s_case_t *self, fx_t *fx, uint32_t source, size_t count, size_t most) {
    const pr_stream_t *stream = source == 0 ? fx->audits : fx->modules;
    pr_error_t err = PR_ERROR_INIT;
    for (size_t at = 0; at < count;) {
        size_t size = most == 1 ? 1 : 1 + pr_test_chance(&self->chance, most);
        size = size < count - at ? size : count - at;
        s_begin_batch(fx, source, at, size);
        for (size_t i = 0; i < size; i++)
            s_hand_over(fx, stream, &self->made[at + i], (uint32_t)i * 10, at + i, &err);
        assert_string_equal(err.text, "");
        s_commit_batch(fx);
        at += size;
        size_t group = *s_group_size(fx);
        s_did.largest = most > 1 && group > s_did.largest ? group : s_did.largest;
    }
}

/* The first line that differs. */
static void s_assert_text(const s_case_t *self, const char *what, const char *expected, const char *found) {
    size_t at = 0;
    while (expected[at] != '\0' && expected[at] == found[at])
        at++;
    if (expected[at] == found[at])
        return;
    while (at > 0 && expected[at - 1] != '\n')
        at--;
    fail_msg("PVRELAY_SEED=%" PRIu64 " PVRELAY_CASES=1: %s\n  expected %.*s\n  found    %.*s", self->seed, what,
             (int)strcspn(expected + at, "\n"), expected + at, (int)strcspn(found + at, "\n"), found + at);
}

static void s_assert_same(const s_case_t *self, const char *const *queries, size_t count) {
    sqlite3 *dbs[2] = {s_look(self->one), s_look(self->many)};
    for (size_t i = 0; i < count; i++) {
        char *one = s_rows(dbs[0], queries[i]);
        char *many = s_rows(dbs[1], queries[i]);
        s_assert_text(self, queries[i], one, many);
        free(one);
        free(many);
    }
    sqlite3_close(dbs[0]);
    sqlite3_close(dbs[1]);
}

static void s_reopen(fx_t *fx) {
    fx_close(fx);
    s_open_with_undo(fx);
}

/* Others, or a restart of the writer, between two runs. */
static void s_between(s_case_t *self) {
    static const char *const changes[] = {
        "DELETE FROM el_modules WHERE id % 7 = 3",
        "UPDATE el_modules SET comment = 'theirs' WHERE id % 50 = 1",
        "UPDATE el_modules SET module_identifier = 'theirs ' || id WHERE id % 40 = 2",
        "PRAGMA foreign_keys = ON; DELETE FROM users WHERE name = 'Ana'",
        "PRAGMA foreign_keys = ON; DELETE FROM el_audits WHERE audit_token = 'tok1'",
    };
    if (self->others) {
        const char *change = changes[pr_test_chance(&self->chance, sizeof changes / sizeof changes[0])];
        fx_sql(self->one, change);
        fx_sql(self->many, change);
    }
    if (pr_test_chance(&self->chance, 3) == 0)
        s_reopen(self->many);
}

static void s_run(s_case_t *self, unsigned number) {
    char id[37];
    snprintf(id, sizeof id, "%08x-1111-4111-8111-111111111111", number);
    s_vary(self);
    fx_begin(self->many, id, s_audits, self->count);
    fx_begin(self->one, id, s_audits, self->count);
    pr_foreign_policy_t policy = (pr_foreign_policy_t)pr_test_chance(&self->chance, 3);
    pr_target_on_foreign_change(self->many->target, policy);
    pr_target_on_foreign_change(self->one->target, policy);
    s_make_audits(self);
    s_give(self, self->many, 0, s_audits, s_audits);
    s_give(self, self->one, 0, s_audits, 1);
    for (size_t i = 0; i < self->count; i++)
        s_make(self->many, &self->list[i], &self->made[i]);
    s_give(self, self->many, 1, self->count, pr_test_chance(&self->chance, 2) == 0 ? s_batch_max : 40);
    s_give(self, self->one, 1, self->count, 1);
    s_finish(self->many);
    s_finish(self->one);
    s_assert_same(self, S_CONTENT, s_content_count);
    s_assert_same(self, S_BOOKS, s_books_count);
    assert_int_equal(self->many->raw_reads, self->one->raw_reads);
    s_did.records += self->count;
}

static uint64_t s_number(const fx_t *fx, const char *sql) {
    char *text = fx_ask(fx, sql);
    uint64_t number = strtoull(text, NULL, 10);
    free(text);
    return number;
}

static fx_t *s_target_new(const s_case_t *self) {
    fx_t *fx = fx_new();
    s_open_with_undo(fx);
    /* It would date what others change, in one target perhaps a second later than in the other. */
    fx_sql(fx, "DROP TRIGGER el_modules_updated_at");
    if (self->one_place)
        fx_sql(fx, "CREATE UNIQUE INDEX one_place ON el_modules (el_audit_id, string_number, position_in_string)");
    return fx;
}

static void s_get_content(const fx_t *fx, char *ret_content[s_content_count]) {
    sqlite3 *db = s_look(fx);
    for (size_t i = 0; i < s_content_count; i++)
        ret_content[i] = s_rows(db, S_CONTENT[i]);
    sqlite3_close(db);
}

/* Back to before everything, where only what was there at first is left. */
static void s_go_back(s_case_t *self, char *const first[s_content_count]) {
    char *now[s_content_count];
    s_take_all_back(self->many);
    s_take_all_back(self->one);
    s_get_content(self->many, now);
    for (size_t i = 0; i < s_content_count; i++) {
        s_assert_text(self, S_CONTENT[i], first[i], now[i]);
        free(now[i]);
    }
    s_assert_same(self, S_CONTENT, s_content_count);
}

static void s_count_done(const fx_t *fx) {
    s_did.rejects += s_number(fx, "SELECT sum(rejected) FROM pvrelay_checkpoint");
    s_did.inserted += s_number(fx, "SELECT sum(inserted) FROM pvrelay_checkpoint");
    s_did.updated += s_number(fx, "SELECT sum(updated) FROM pvrelay_checkpoint");
    s_did.unchanged += s_number(fx, "SELECT sum(unchanged) FROM pvrelay_checkpoint");
    s_did.foreign[0] += s_number(fx, "SELECT count(*) FROM pvrelay_foreign_change WHERE outcome = 'rejected'");
    s_did.foreign[1] += s_number(fx, "SELECT count(*) FROM pvrelay_foreign_change WHERE outcome = 'kept'");
    s_did.foreign[2] += s_number(fx, "SELECT count(*) FROM pvrelay_foreign_change WHERE outcome = 'overwritten'");
}

static void s_play(uint64_t seed, fx_record_t *made) {
    s_case_t *self = pr_xcalloc(1, sizeof *self);
    char *first[s_content_count];
    self->seed = seed;
    self->chance = seed * UINT64_C(0xd1342543de82ef95);
    self->made = made;
    self->others = pr_test_chance(&self->chance, 3) == 0;
    self->one_place = pr_test_chance(&self->chance, 5) == 0;
    self->many = s_target_new(self);
    self->one = s_target_new(self);
    s_get_content(self->many, first);
    for (unsigned run = 1, runs = 2 + (unsigned)pr_test_chance(&self->chance, 3); run <= runs; run++) {
        if (run > 1)
            s_between(self);
        s_run(self, run);
    }
    s_count_done(self->many);
    if (!self->others) /* what only the export has changed is no foreign change */
        assert_int_equal(s_number(self->many, "SELECT count(*) FROM pvrelay_foreign_change"), 0);
    fx_close(self->many);
    fx_close(self->one);
    if (!self->others)
        s_go_back(self, first);
    for (size_t i = 0; i < s_content_count; i++)
        free(first[i]);
    fx_destroy(&self->many);
    fx_destroy(&self->one);
    free(self);
}

static void test_groups_and_single_records_are_the_same(void **state) {
    (void)state;
    uint64_t seed = pr_test_setting("PVRELAY_SEED", 1);
    uint64_t cases = pr_test_setting("PVRELAY_CASES", s_cases_default);
    fx_record_t *made = pr_xcalloc(s_list_max, sizeof *made);
    for (uint64_t i = 0; i < cases; i++)
        s_play(seed + i, made);
    free(made);
    printf("%" PRIu64 " cases, %" PRIu64 " modules; %" PRIu64 " records inserted, %" PRIu64 " updated, %" PRIu64
           " unchanged, %" PRIu64 " rejected; groups of up to %zu\n",
           cases, s_did.records, s_did.inserted, s_did.updated, s_did.unchanged, s_did.rejects, s_did.largest);
    if (cases >= s_cases_default) {
        assert_true(s_did.inserted > 50 * cases && s_did.updated > 5 * cases && s_did.unchanged > 50 * cases);
        assert_true(s_did.rejects > 5 * cases);
        assert_true(s_did.foreign[0] > 0 && s_did.foreign[1] > 0 && s_did.foreign[2] > 0);
        assert_int_equal(s_did.largest, PR_GROUP_MOST);
    }
}

/* ---- Directed ---------------------------------------------------------------------------------------------------- */

enum { s_room = 8 };

/* Modules M0, M1, … of one audit, which is in already, and the run that they are given in. */
typedef struct {
    fx_t *fx;
    fx_record_t *records;
    char names[s_room][8];
} s_world_t;

static int s_setup(void **state) {
    s_world_t *world = pr_xcalloc(1, sizeof *world);
    world->fx = fx_new();
    world->records = pr_xcalloc(s_room, sizeof *world->records);
    *state = world;
    return 0;
}

static int s_teardown(void **state) {
    s_world_t *world = *state;
    fx_destroy(&world->fx);
    free(world->records);
    free(world);
    return 0;
}

static void s_module(s_world_t *world, size_t at, int key, const char *comment) {
    snprintf(world->names[at], sizeof world->names[at], "M%d", key);
    fx_module_t module = fx_module("tok", world->names[at]);
    module.comment = comment;
    fx_make_module(world->fx, &module, &world->records[at]);
}

/* A run of one audit and `modules` modules, the audit given. */
static void s_begin(s_world_t *world, const char *id, uint64_t modules) {
    fx_audit_t audit = fx_audit("tok");
    fx_begin(world->fx, id, 1, modules);
    fx_make_audit(world->fx, &audit, &world->records[0]);
    fx_batch(world->fx, 0, 0, world->records, 1, NULL);
    for (size_t i = 0; i < s_room; i++)
        s_module(world, i, (int)i, NULL);
}

static void s_begin_modules(s_world_t *world, uint64_t first, size_t count) {
    s_begin_batch(world->fx, 1, first, count);
}

static int s_apply(s_world_t *world, uint64_t first, size_t at, pr_error_t *err) {
    return s_hand_over(world->fx, world->fx->modules, &world->records[at], (uint32_t)at * 10, first + at, err);
}

/* Give one record, after which so many wait. */
static void s_give_one(s_world_t *world, uint64_t first, size_t at, size_t waiting) {
    pr_error_t err = PR_ERROR_INIT;
    s_apply(world, first, at, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(world->fx->target->group->count, waiting);
}

/* A full group of four: the last one ends it. */
static void s_give_four(s_world_t *world, uint64_t first, size_t from) {
    for (size_t i = 0; i < PR_GROUP_LEAST; i++)
        s_give_one(world, first, from + i, (i + 1) % PR_GROUP_LEAST);
}

static void s_commit(s_world_t *world, const char *expected) {
    pr_target_counts_t counts = s_commit_batch(world->fx);
    char text[200];
    snprintf(text, sizeof text, "inserted %d updated %d unchanged %d rejected %d rows +%d ~%d", (int)counts.inserted,
             (int)counts.updated, (int)counts.unchanged, (int)counts.rejected, (int)counts.rows_inserted,
             (int)counts.rows_updated);
    assert_string_equal(text, expected);
}

static const char S_MODULES[] = "SELECT group_concat(id || ' ' || module_identifier || ' ' || ifnull(comment, '-'), "
                                "', ') FROM (SELECT * FROM el_modules ORDER BY id)";
static const char S_COUNTER[] = "SELECT seq FROM sqlite_sequence WHERE name = 'el_modules'";
static const char S_REJECTS[] = "SELECT group_concat(ordinal || ' ' || \"offset\" || ' ' || reason || ' ' || detail || "
                                "' ' || CAST(raw AS TEXT), char(10)) FROM (SELECT * FROM pvrelay_reject ORDER BY "
                                "reject)";
static const char S_ALL_NEW[] = "inserted 4 updated 0 unchanged 0 rejected 0 rows +4 ~0";

/* Take all back: nothing of ours is left, and nothing was recorded that never was. */
static void s_assert_can_be_taken_back(s_world_t *world) {
    fx_close(world->fx);
    s_take_all_back(world->fx);
    fx_assert_sql(world->fx,
                  "SELECT (SELECT count(*) FROM el_audits) || ' ' || (SELECT count(*) FROM clients) || ' ' || (SELECT "
                  "count(*) FROM sqlite_sequence WHERE name IN ('el_audits', 'clients'))",
                  "0 0 0");
}

static void test_full_group_of_new_rows(void **state) {
    s_world_t *world = *state;
    s_open_with_undo(world->fx);
    s_begin(world, S_RUN_1, 12);
    s_begin_modules(world, 0, 8);
    s_give_four(world, 0, 0);
    assert_int_equal(*s_group_size(world->fx), 2 * PR_GROUP_LEAST);
    for (size_t i = 4; i < 8; i++)
        s_give_one(world, 0, i, i - 3);
    /* What still waits goes in with the commit. */
    s_commit(world, "inserted 8 updated 0 unchanged 0 rejected 0 rows +8 ~0");
    fx_assert_sql(world->fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M2 -, 4 M3 -, 5 M4 -, 6 M5 -, 7 M6 -, 8 M7 -");
    fx_assert_sql(world->fx, "SELECT count(*) || ' ' || sum(row_id) FROM pvrelay_touched", "1 1");
    fx_assert_sql(world->fx, S_COUNTER, "8");
    fx_assert_sql(world->fx, "SELECT count(*) FROM el_modules", "8");
    s_assert_can_be_taken_back(world);
    fx_assert_sql(world->fx, "SELECT count(*) FROM el_modules", "0");
}

static void test_row_that_is_there_in_the_middle(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    s_open_with_undo(fx);
    pr_target_on_foreign_change(fx->target, PR_FOREIGN_OVERWRITE);
    s_begin(world, S_RUN_1, 4);
    fx_sql(fx, "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, "
               "position_in_string, comment) VALUES (1, 'tok', 'M2', 5, 5, 'theirs')");
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 3 updated 1 unchanged 0 rejected 0 rows +3 ~1");
    fx_assert_sql(fx, S_MODULES, "1 M2 -, 2 M0 -, 3 M1 -, 4 M3 -");
    fx_assert_sql(fx, S_COUNTER, "4");
    fx_assert_sql(fx, "SELECT inserted || ' ' || updated FROM pvrelay_checkpoint_rows WHERE table_name = 'el_modules'",
                  "3 1");
    assert_int_equal(*s_group_size(fx), PR_GROUP_LEAST);
}

static void test_key_twice_among_new_rows(void **state) {
    s_world_t *world = *state;
    s_open_with_undo(world->fx);
    s_begin(world, S_RUN_1, 4);
    s_module(world, 2, 0, "later");
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 3 updated 1 unchanged 0 rejected 0 rows +3 ~1");
    fx_assert_sql(world->fx, S_MODULES, "1 M0 later, 2 M1 -, 3 M3 -");
    fx_assert_sql(world->fx, S_COUNTER, "3");
    s_assert_can_be_taken_back(world);
}

/* M0 … M7, and then the first four again, so that rows that are there are expected. */
static void s_fill(s_world_t *world) {
    s_open_with_undo(world->fx);
    s_begin(world, S_RUN_1, 12);
    s_begin_modules(world, 0, 8);
    for (size_t i = 0; i < s_room; i++)
        s_give_one(world, 0, i, i < 4 ? (i + 1) % 4 : i - 3);
    s_commit(world, "inserted 8 updated 0 unchanged 0 rejected 0 rows +8 ~0");
    *s_group_size(world->fx) = PR_GROUP_LEAST;
    s_begin_modules(world, 8, 4);
    s_give_four(world, 8, 0);
    s_commit(world, "inserted 0 updated 0 unchanged 4 rejected 0 rows +0 ~0");
    assert_false(s_module_row(world->fx)->expect_new);
    assert_int_equal(*s_group_size(world->fx), PR_GROUP_LEAST);
    s_finish(world->fx);
    s_begin(world, S_RUN_2, 8);
}

static void test_unchanged_rows_but_one_in_the_middle(void **state) {
    s_world_t *world = *state;
    s_fill(world);
    s_module(world, 1, 1, "new");
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 0 updated 1 unchanged 3 rejected 0 rows +0 ~1");
    assert_int_equal(*s_group_size(world->fx), PR_GROUP_LEAST);
    fx_assert_sql(world->fx, S_MODULES, "1 M0 -, 2 M1 new, 3 M2 -, 4 M3 -, 5 M4 -, 6 M5 -, 7 M6 -, 8 M7 -");
    fx_assert_sql(world->fx, "SELECT count(*) FROM pvrelay_touched WHERE run = 2", "1");
    s_assert_can_be_taken_back(world);
}

/* The later record of a key counts, also where it is the one that equals what is stored. */
static void test_key_twice_among_rows_that_are_there(void **state) {
    s_world_t *world = *state;
    s_fill(world);
    s_module(world, 0, 0, "at first");
    s_module(world, 2, 0, NULL);
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 0 updated 2 unchanged 2 rejected 0 rows +0 ~2");
    fx_assert_sql(world->fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M2 -, 4 M3 -, 5 M4 -, 6 M5 -, 7 M6 -, 8 M7 -");
}

static void test_missing_row_among_rows_that_are_there(void **state) {
    s_world_t *world = *state;
    s_fill(world);
    s_module(world, 2, 99, NULL);
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 1 updated 0 unchanged 3 rejected 0 rows +1 ~0");
    assert_false(s_module_row(world->fx)->expect_new);
    fx_assert_sql(world->fx, "SELECT id FROM el_modules WHERE module_identifier = 'M99'", "9");
}

/* Where the next id is a row of another key, equal in all else, the key decides. */
static void test_another_key_where_the_next_id_was_expected(void **state) {
    s_world_t *world = *state;
    s_fill(world);
    s_module(world, 5, 99, NULL);
    s_begin_modules(world, 0, 8);
    s_give_four(world, 0, 0);
    *s_group_size(world->fx) = PR_GROUP_LEAST;
    s_give_four(world, 0, 4);
    s_commit(world, "inserted 1 updated 0 unchanged 7 rejected 0 rows +1 ~0");
    fx_assert_sql(world->fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M2 -, 4 M3 -, 5 M4 -, 6 M5 -, 7 M6 -, 8 M7 -, 9 M99 -");
}

static void test_ids_that_descend(void **state) {
    s_world_t *world = *state;
    s_fill(world);
    for (size_t i = 0; i < 4; i++)
        s_module(world, i, 7 - (int)i, i == 2 ? "new" : NULL);
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 0 updated 1 unchanged 3 rejected 0 rows +0 ~1");
    fx_assert_sql(world->fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M2 -, 4 M3 -, 5 M4 -, 6 M5 new, 7 M6 -, 8 M7 -");
}

static void test_reject_in_the_middle(void **state) {
    s_world_t *world = *state;
    s_open_with_undo(world->fx);
    s_begin(world, S_RUN_1, 7);
    *s_column(world->fx, &world->records[2], "string_number") = pr_value_null();
    *s_column(world->fx, &world->records[6], "position_in_string") = pr_value_null();
    s_begin_modules(world, 0, 7);
    s_give_four(world, 0, 0);
    assert_int_equal(world->fx->raw_reads, 1);
    for (size_t i = 4; i < 7; i++)
        s_give_one(world, 0, i, i - 3);
    assert_int_equal(world->fx->raw_reads, 1);
    s_commit(world, "inserted 5 updated 0 unchanged 0 rejected 2 rows +5 ~0");
    assert_int_equal(world->fx->raw_reads, 2);
    fx_assert_sql(
        world->fx, S_REJECTS,
        "2 21 constraint NOT NULL constraint failed: el_modules.string_number (string_number = NULL) raw@21+10\n"
        "6 61 constraint NOT NULL constraint failed: el_modules.position_in_string (position_in_string = NULL) "
        "raw@61+10");
    fx_assert_sql(world->fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M3 -, 4 M4 -, 5 M5 -");
    fx_assert_sql(world->fx, S_COUNTER, "5");
    s_assert_can_be_taken_back(world);
}

/* Foreign keys are checked when all rows of a statement are in. */
static void test_reject_that_shows_at_the_statements_end(void **state) {
    s_world_t *world = *state;
    s_open_with_undo(world->fx);
    s_begin(world, S_RUN_1, 4);
    *s_column(world->fx, &world->records[0], "audit_token") = pr_value_text("elsewhere", 9);
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 3 updated 0 unchanged 0 rejected 1 rows +3 ~0");
    fx_assert_sql(world->fx, S_REJECTS,
                  "0 1 constraint FOREIGN KEY constraint failed: el_modules (el_audit_id = 1) raw@1+10");
    fx_assert_sql(world->fx, S_MODULES, "1 M1 -, 2 M2 -, 3 M3 -");
    s_assert_can_be_taken_back(world);
}

/* UNIQUE lets NULLs repeat, so that nothing but a look tells whether there is a row already. */
static void test_null_in_the_key(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    fx_open(fx);
    fx_ready(fx);
    fx_close(fx);
    fx_sql(fx, "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, "
               "'module_identifier  TEXT NOT NULL', 'module_identifier  TEXT') WHERE name = 'el_modules'");
    s_open_with_undo(fx);
    s_begin(world, S_RUN_1, 4);
    for (size_t i = 1; i < 3; i++)
        *s_column(fx, &world->records[i], "module_identifier") = pr_value_null();
    static const size_t waiting[] = {1, 0, 0, 1};
    s_begin_modules(world, 0, 4);
    for (size_t i = 0; i < 4; i++)
        s_give_one(world, 0, i, waiting[i]);
    s_commit(world, "inserted 3 updated 0 unchanged 1 rejected 0 rows +3 ~0");
    fx_assert_sql(fx,
                  "SELECT group_concat(id || ' ' || ifnull(module_identifier, 'NULL')) FROM (SELECT * FROM el_modules "
                  "ORDER BY id)",
                  "1 M0,2 NULL,3 M3");
}

/* A record that cannot wait comes after those that do. */
static void test_order_of_what_waits_and_what_does_not(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    s_open_with_undo(fx);
    s_begin(world, S_RUN_1, 8);
    *s_column(fx, &world->records[0], "string_number") = pr_value_null();
    fx_module_t stray = fx_module("nowhere", "S");
    fx_make_module(fx, &stray, &world->records[2]);
    fx_module_t hired = fx_module("tok", "H");
    hired.technician = "Zoé";
    fx_make_module(fx, &hired, &world->records[4]);
    hired.id = "I";
    fx_make_module(fx, &hired, &world->records[5]);
    memset(&world->records[6], 0, sizeof world->records[6]);
    world->records[6].record = (pr_rows_record_t){.length = 10,
                                                  .reason = PR_R_UNKNOWN_VALUE,
                                                  .field = pr_value_text("status", 6),
                                                  .detail = pr_value_text("'?'", 3),
                                                  .raw = pr_value_text("{}", 2)};
    static const size_t waiting[] = {1, 2, 0, 1, 0, 1, 0, 1};
    s_begin_modules(world, 0, 8);
    for (size_t i = 0; i < s_room; i++)
        s_give_one(world, 0, i, waiting[i]);
    s_commit(world, "inserted 5 updated 0 unchanged 0 rejected 3 rows +6 ~0");
    fx_assert_sql(
        fx, S_REJECTS,
        "0 1 constraint NOT NULL constraint failed: el_modules.string_number (string_number = NULL) raw@1+10\n"
        "2 21 unknown_parent el_audits has no row whose audit_token is 'nowhere' raw@21+10\n"
        "6 61 unknown_value '?' {}");
    fx_assert_sql(fx, S_MODULES, "1 M1 -, 2 M3 -, 3 H -, 4 I -, 5 M7 -");
    fx_assert_sql(fx, "SELECT count(DISTINCT technician_id) || ' ' || count(technician_id) FROM el_modules", "1 2");
    fx_assert_sql(fx, "SELECT count(*) FROM pvrelay_made WHERE source = 1 AND ordinal = 4 AND table_name = 'users'",
                  "1");
    s_assert_can_be_taken_back(world);
}

static void test_full_disk_in_a_group(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    enum { s_large = 1 << 20 };
    s_open_with_undo(fx);
    s_begin(world, S_RUN_1, 8);
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, S_ALL_NEW);
    char *before = fx_dump(fx);
    *s_group_size(fx) = PR_GROUP_LEAST;
    char *large = pr_xcalloc(1, s_large);
    memset(large, 'x', s_large);
    *s_column(fx, &world->records[6], "comment") = pr_value_text(large, s_large);
    fx_limit_pages(fx);
    s_begin_modules(world, 4, 4);
    for (size_t i = 4; i < 7; i++)
        s_give_one(world, 0, i, i - 3);
    pr_error_t err = PR_ERROR_INIT;
    char expected[400];
    snprintf(
        expected, sizeof expected,
        "source 2 (modules), records 5 to 8: %s: table el_modules: database or disk is full; make room, then the same "
        "command continues",
        fx->path);
    assert_int_equal(s_apply(world, 0, 7, &err), -PR_E_TARGET_FULL);
    assert_string_equal(err.text, expected);
    /* There is room again, but what failed has failed. */
    assert_int_equal(sqlite3_exec(fx->target->db, "PRAGMA max_page_count = 100000", NULL, NULL, NULL), SQLITE_OK);
    pr_error_clear(&err);
    assert_int_equal(s_apply(world, 0, 7, &err), -PR_E_TARGET_FULL);
    assert_string_equal(err.text, expected);
    pr_target_counts_t counts;
    int64_t checkpoint = -5;
    pr_error_clear(&err);
    assert_int_equal(pr_target_batch_commit(fx->target, 0, &counts, &checkpoint, &err), -PR_E_TARGET_FULL);
    assert_string_equal(err.text, expected);
    assert_int_equal(checkpoint, -5);
    pr_target_batch_rollback(fx->target);
    assert_int_equal(fx->target->group->count, 0);
    free(large);
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    free(before);
    free(after);
    s_module(world, 6, 6, NULL);
    s_begin_modules(world, 4, 4);
    s_give_four(world, 0, 4);
    s_commit(world, S_ALL_NEW);
    fx_assert_sql(fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M2 -, 4 M3 -, 5 M4 -, 6 M5 -, 7 M6 -, 8 M7 -");
    s_assert_can_be_taken_back(world);
}

/* A stream of another table, whose records can be in groups, too. */
static const char S_SESSIONS[] =
    "{\"name\": \"sessions\", \"recognise\": [\"session\"], \"key\": [\"session\"], \"unknown_fields\": \"reject\","
    " \"fields\": {\"token\": {\"type\": \"text\"}, \"session\": {\"type\": \"text\"}},"
    " \"rows\": [{\"name\": \"session\", \"table\": \"el_collaborative_sessions\", \"mode\": \"upsert\","
    " \"key\": [\"session_token\"], \"columns\": {"
    " \"el_audit_id\": {\"lookup\": {\"table\": \"el_audits\", \"key\": \"audit_token\", \"from\": \"token\"}},"
    " \"audit_token\": {\"copy\": \"token\"}, \"session_token\": {\"copy\": \"session\"}}}]}";

static const pr_stream_t *s_add_sessions(fx_t *fx) {
    pr_error_t err = PR_ERROR_INIT;
    char path[200];
    json_t *mapping = json_load_file(PR_SOURCE_DIR "/mappings/el-to-hub.json", 0, NULL);
    assert_int_equal(json_array_append_new(json_object_get(mapping, "streams"), json_loads(S_SESSIONS, 0, NULL)), 0);
    snprintf(path, sizeof path, "%s/mapping.json", fx->folder);
    assert_int_equal(json_dump_file(mapping, path, JSON_INDENT(1)), 0);
    json_decref(mapping);
    pr_mapping_destroy(&fx->mapping);
    pr_mapping_load(path, NULL, NULL, &fx->mapping, &err);
    assert_string_equal(err.text, "");
    fx->audits = &fx->mapping->streams[pr_mapping_stream_index(fx->mapping, "audits")];
    fx->modules = &fx->mapping->streams[pr_mapping_stream_index(fx->mapping, "modules")];
    return &fx->mapping->streams[pr_mapping_stream_index(fx->mapping, "sessions")];
}

static void s_make_session(const char *session, fx_record_t *ret_record) {
    ret_record->values[0][0] = ret_record->values[0][1] = pr_value_text("tok", 3);
    ret_record->values[0][2] = pr_value_text(session, strlen(session));
    ret_record->rows[0] = (pr_row_t){.spec = 0, .values = ret_record->values[0]};
    ret_record->record = (pr_rows_record_t){.length = 10, .rows = ret_record->rows, .rows_count = 1};
}

/* A group is of one table: the record of another one ends it, and is applied by itself. */
static void test_records_of_two_tables(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    pr_error_t err = PR_ERROR_INIT;
    const pr_stream_t *sessions = s_add_sessions(fx);
    s_open_with_undo(fx);
    s_begin(world, S_RUN_1, 5);
    s_make_session("a", &world->records[2]);
    s_make_session("b", &world->records[3]);
    static const size_t waiting[] = {1, 2, 0, 1, 0};
    s_begin_modules(world, 0, 5);
    for (size_t i = 0; i < 5; i++) {
        const pr_stream_t *stream = i == 2 || i == 3 ? sessions : fx->modules;
        s_hand_over(fx, stream, &world->records[i], (uint32_t)i * 10, i, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(fx->target->group->count, waiting[i]);
    }
    s_commit(world, "inserted 5 updated 0 unchanged 0 rejected 0 rows +5 ~0");
    fx_assert_sql(fx, S_MODULES, "1 M0 -, 2 M1 -, 3 M4 -");
    fx_assert_sql(fx,
                  "SELECT group_concat(id || ' ' || session_token || ' ' || el_audit_id) FROM (SELECT * FROM "
                  "el_collaborative_sessions ORDER BY id)",
                  "1 a 1,2 b 1");
}

/* What waited is forgotten with the batch; the records' memory may go. */
static void test_rollback_while_records_wait(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    s_open_with_undo(fx);
    s_begin(world, S_RUN_1, 7);
    char *before = fx_dump(fx);
    s_begin_modules(world, 0, 3);
    for (size_t i = 0; i < 3; i++)
        s_give_one(world, 0, i, i + 1);
    pr_target_batch_rollback(fx->target);
    assert_int_equal(fx->target->group->count, 0);
    char *after = fx_dump(fx);
    assert_string_equal(before, after);
    free(before);
    free(after);
    memset(world->records, 0x5a, s_room * sizeof *world->records);
    for (size_t i = 0; i < s_room; i++)
        s_module(world, i, 10 + (int)i, NULL);
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, S_ALL_NEW);
    fx_assert_sql(fx, S_MODULES, "1 M10 -, 2 M11 -, 3 M12 -, 4 M13 -");
    /* The same with a target that is closed. */
    s_begin_modules(world, 4, 3);
    s_give_one(world, 0, 4, 1);
    s_assert_can_be_taken_back(world);
}

/* Another connection adds a column, an index and a constraint while our statements are prepared. */
static void test_schema_that_others_change_between_batches(void **state) {
    s_world_t *world = *state;
    fx_t *fx = world->fx;
    s_fill(world);
    fx_sql(fx, "ALTER TABLE el_modules ADD COLUMN gps TEXT DEFAULT 'unknown';"
               "CREATE INDEX theirs ON el_modules (gps)");
    s_begin_modules(world, 0, 4);
    s_give_four(world, 0, 0);
    s_commit(world, "inserted 0 updated 0 unchanged 4 rejected 0 rows +0 ~0");
    s_module_row(fx)->expect_new = true;
    *s_group_size(fx) = PR_GROUP_LEAST;
    for (size_t i = 4; i < 8; i++)
        s_module(world, i, 20 + (int)i, NULL);
    s_begin_modules(world, 4, 4);
    s_give_four(world, 0, 4);
    s_commit(world, S_ALL_NEW);
    fx_assert_sql(fx, "SELECT group_concat(id || ' ' || gps) FROM el_modules WHERE id > 7",
                  "8 unknown,9 unknown,10 unknown,11 unknown,12 unknown");
    fx_assert_sql(fx, "PRAGMA integrity_check", "ok");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_full_group_of_new_rows),
        TEST(test_row_that_is_there_in_the_middle),
        TEST(test_key_twice_among_new_rows),
        TEST(test_unchanged_rows_but_one_in_the_middle),
        TEST(test_key_twice_among_rows_that_are_there),
        TEST(test_missing_row_among_rows_that_are_there),
        TEST(test_another_key_where_the_next_id_was_expected),
        TEST(test_ids_that_descend),
        TEST(test_reject_in_the_middle),
        TEST(test_reject_that_shows_at_the_statements_end),
        TEST(test_null_in_the_key),
        TEST(test_order_of_what_waits_and_what_does_not),
        TEST(test_full_disk_in_a_group),
        TEST(test_records_of_two_tables),
        TEST(test_rollback_while_records_wait),
        TEST(test_schema_that_others_change_between_batches),
        cmocka_unit_test(test_groups_and_single_records_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
