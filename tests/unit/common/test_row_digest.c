/* SPDX-License-Identifier: MIT */
/* Digests of rows, beside a model in SQL that keeps whole rows. */

/*  DESIGN
 *
 *  The property: PVRELAY_CASES (default 10) cases from PVRELAY_SEED (default 1) on. Each plays some hundred steps with rows
 *  in several pages, negative ids among them: rows inserted and changed by us (noted), changed and removed by others, records taken
 *  back, batches stored or rolled back, checkpoints rolled back, pages merged, the recorder made anew. The model keeps
 *  a copy of each row as it was noted. Whose a row is must be the same by both at any time.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "common/alloc.h"
#include "common/row_digest.h"
#include "tests/unit/chance.h"

static const char *const S_COLUMNS[] = {"a", "b", "c", "d", "e"};
enum { s_columns = 5, s_cases_default = 10, s_steps = 400 };

typedef struct {
    sqlite3 *db;
    pr_row_digests_t *digests;
    size_t table;
    uint64_t seed, chance;
    int64_t checkpoint; /* of the open batch */
    int64_t irreversible;
} s_case_t;

static struct { uint64_t asked[3], merged, rolled_back, rewound; } s_did;

static void s_sql(s_case_t *self, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sqlite3_exec(self->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("seed %" PRIu64 ": %s: %s", self->seed, sql, sqlite3_errmsg(self->db));
    sqlite3_free(sql);
}

static int64_t s_ask(s_case_t *self, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(self->db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("seed %" PRIu64 ": %s: %s", self->seed, sql, sqlite3_errmsg(self->db));
    int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return number;
}

static void s_open(s_case_t *self, const char *const *columns, size_t count) {
    pr_error_t err = PR_ERROR_INIT;
    self->digests = pr_row_digests_new(self->db);
    for (size_t i = 0; i < count; i++)
        pr_row_digests_add(self->digests, "t", columns[i], &self->table);
    pr_row_digests_prepare(self->digests, &err);
    assert_string_equal(err.text, "");
}

static void s_set_up(s_case_t *self, uint64_t seed) {
    *self = (s_case_t){.seed = seed, .chance = seed, .checkpoint = 1};
    assert_int_equal(sqlite3_open(":memory:", &self->db), SQLITE_OK);
    char *text = NULL;
    size_t room = 0;
    FILE *file = fopen(PR_SOURCE_DIR "/migrations/0006_foreign_change.sql", "r");
    assert_non_null(file);
    assert_true(getdelim(&text, &room, '\0', file) > 0);
    fclose(file);
    s_sql(self, "%s", text);
    free(text);
    s_sql(self, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL, c INTEGER, d DATE, e, later TEXT DEFAULT 'x');"
                "CREATE TABLE model (seq INTEGER PRIMARY KEY, checkpoint, id, a TEXT, b REAL, c INTEGER, d DATE, e)");
    s_open(self, S_COLUMNS, s_columns);
}

static void s_tear_down(s_case_t *self) {
    pr_row_digests_destroy(&self->digests);
    assert_int_equal(sqlite3_close(self->db), SQLITE_OK);
}

static int64_t s_some_id(s_case_t *self) {
    static const int64_t pages[] = {0, 1, 2, 200, -1};
    return pages[pr_test_chance(&self->chance, 5)] * 16384 + (int64_t)pr_test_chance(&self->chance, 4) * 5460 +
           (int64_t)pr_test_chance(&self->chance, 5);
}

/* A value that SQLite may or may not store as it is given. */
static pr_value_t s_some_value(s_case_t *self) {
    static const char *const texts[] = {"", "x", "12", "1.50", "2025-10-27", "a\0b", "fêlure"};
    size_t at = pr_test_chance(&self->chance, 7);
    switch (pr_test_chance(&self->chance, 5)) {
    case 0:
        return pr_value_null();
    case 1:
        return pr_value_integer(pr_test_chance(&self->chance, 8) == 0 ? (INT64_C(1) << 53) + 1
                                                                      : (int64_t)pr_test_chance(&self->chance, 4) - 1);
    case 2:
        return pr_value_real(pr_test_chance(&self->chance, 2) == 0 ? -0.0
                                                                   : (double)pr_test_chance(&self->chance, 8) / 2);
    default:
        return pr_value_text(texts[at], at == 5 ? 3 : strlen(texts[at]));
    }
}

static void s_put(s_case_t *self, int64_t id, const pr_value_t *values) {
    sqlite3_stmt *put = NULL;
    assert_int_equal(
        sqlite3_prepare_v2(self->db,
                           "INSERT INTO t (id, a, b, c, d, e) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) "
                           "DO UPDATE SET a = ?2, b = ?3, c = ?4, d = ?5, e = ?6",
                           -1, &put, NULL),
        SQLITE_OK);
    sqlite3_bind_int64(put, 1, id);
    for (int i = 0; i < s_columns; i++) {
        if (values[i].kind == PR_INTEGER)
            sqlite3_bind_int64(put, i + 2, values[i].integer);
        else if (values[i].kind == PR_REAL)
            sqlite3_bind_double(put, i + 2, values[i].real);
        else if (values[i].kind == PR_TEXT)
            sqlite3_bind_text64(put, i + 2, values[i].text.data, values[i].text.size, SQLITE_STATIC, SQLITE_UTF8);
    }
    assert_int_equal(sqlite3_step(put), SQLITE_DONE);
    sqlite3_finalize(put);
}

static void s_write(s_case_t *self, int64_t id) {
    static const size_t at[] = {0, 1, 2, 3, 4};
    pr_value_t values[s_columns];
    for (size_t i = 0; i < s_columns; i++)
        values[i] = s_some_value(self);
    s_put(self, id, values);
    bool given = pr_test_chance(&self->chance, 4) > 0;
    assert_int_equal(
        pr_row_digests_note(self->digests, self->table, id, given ? values : NULL, given ? at : NULL, NULL), 0);
    s_sql(self,
          "INSERT INTO model (checkpoint, id, a, b, c, d, e) SELECT %lld, id, a, b, c, d, e FROM t WHERE id = %lld",
          (long long)self->checkpoint, (long long)id);
}

static void s_others_write(s_case_t *self, int64_t id) {
    pr_value_t values[s_columns];
    for (size_t i = 0; i < s_columns; i++)
        values[i] = s_some_value(self);
    if (pr_test_chance(&self->chance, 3) > 0)
        s_put(self, id, values);
    else
        s_sql(self, "UPDATE t SET c = c + 1 WHERE id = %lld", (long long)id);
}

/* By the model: 0 ours, 1 changed, 2 never. */
static int64_t s_expected(s_case_t *self, int64_t id) {
    return s_ask(
        self,
        "SELECT ifnull((SELECT NOT (m.a IS t.a AND m.b IS t.b AND m.c IS t.c AND m.d IS t.d AND m.e IS t.e) FROM "
        "model AS m JOIN t ON t.id = m.id WHERE m.id = %lld ORDER BY m.seq DESC LIMIT 1), 2)",
        (long long)id);
}

static void s_check(s_case_t *self, int64_t id) {
    pr_row_state_t state = PR_ROW_OURS;
    pr_error_t err = PR_ERROR_INIT;
    if (s_ask(self, "SELECT count(*) FROM t WHERE id = %lld", (long long)id) == 0)
        return;
    pr_row_digests_state(self->digests, self->table, id, S_COLUMNS, s_columns, &state, &err);
    assert_string_equal(err.text, "");
    if ((int64_t)state != s_expected(self, id))
        fail_msg("seed %" PRIu64 ", row %" PRId64 ": %d, not %" PRId64, self->seed, id, (int)state,
                 s_expected(self, id));
    s_did.asked[state]++;
}

/* Records of a batch, some of which are taken back. */
static void s_record(s_case_t *self) {
    size_t mark = pr_row_digests_mark(self->digests);
    int64_t seq = s_ask(self, "SELECT ifnull(max(seq), 0) FROM model");
    s_sql(self, "SAVEPOINT record");
    for (uint64_t rows = 1 + pr_test_chance(&self->chance, 6); rows > 0; rows--) {
        s_write(self, s_some_id(self));
        if (pr_test_chance(&self->chance, 2) == 0)
            s_check(self, s_some_id(self));
    }
    if (pr_test_chance(&self->chance, 4) == 0) {
        s_sql(self, "ROLLBACK TO record; DELETE FROM model WHERE seq > %lld", (long long)seq);
        pr_row_digests_rewind(self->digests, mark);
        s_did.rewound++;
    }
    s_sql(self, "RELEASE record");
}

static void s_batch(s_case_t *self) {
    s_sql(self, "BEGIN");
    for (uint64_t records = pr_test_chance(&self->chance, 12); records > 0; records--)
        s_record(self);
    if (pr_test_chance(&self->chance, 5) == 0) {
        s_sql(self, "ROLLBACK");
        pr_row_digests_drop(self->digests);
        return;
    }
    assert_int_equal(pr_row_digests_store(self->digests, self->checkpoint, NULL), 0);
    if (pr_test_chance(&self->chance, 6) == 0) {
        self->irreversible = self->checkpoint - (int64_t)pr_test_chance(&self->chance, 2);
        assert_int_equal(pr_row_digests_merge(self->digests, self->irreversible, NULL), 0);
        s_did.merged++;
    }
    s_sql(self, "COMMIT");
    self->checkpoint++;
}

/* Rows are left as they are: what was stored last is then what an earlier checkpoint stored. */
static void s_roll_back(s_case_t *self) {
    int64_t to = self->irreversible + (int64_t)pr_test_chance(&self->chance, 5);
    s_sql(self, "DELETE FROM pvrelay_row_digest WHERE checkpoint > %lld; DELETE FROM model WHERE checkpoint > %lld",
          (long long)to, (long long)to);
    pr_row_digests_destroy(&self->digests);
    s_open(self, S_COLUMNS, s_columns);
    s_did.rolled_back++;
}

static void s_play(uint64_t seed) {
    s_case_t self;
    s_set_up(&self, seed);
    for (int step = 0; step < s_steps; step++) {
        uint64_t what = pr_test_chance(&self.chance, 20);
        if (what < 4)
            s_batch(&self);
        else if (what < 9)
            s_others_write(&self, s_some_id(&self));
        else if (what == 9)
            s_roll_back(&self);
        else
            s_check(&self, s_some_id(&self));
    }
    s_tear_down(&self);
}

static void test_against_a_model(void **state) {
    (void)state;
    uint64_t seed = pr_test_setting("PVRELAY_SEED", 1);
    uint64_t cases = pr_test_setting("PVRELAY_CASES", s_cases_default);
    for (uint64_t i = 0; i < cases; i++)
        s_play(seed + i);
    printf("%" PRIu64 " rows ours, %" PRIu64 " changed, %" PRIu64 " never ours; %" PRIu64 " records and %" PRIu64
           " checkpoints taken back, %" PRIu64 " times merged\n",
           s_did.asked[PR_ROW_OURS], s_did.asked[PR_ROW_CHANGED], s_did.asked[PR_ROW_NEVER], s_did.rewound,
           s_did.rolled_back, s_did.merged);
    assert_true(s_did.asked[PR_ROW_OURS] > 100 * cases / 10 && s_did.asked[PR_ROW_CHANGED] > 10 * cases / 10 &&
                s_did.asked[PR_ROW_NEVER] > 10 * cases / 10);
    assert_true(s_did.merged > 0 && s_did.rolled_back > cases && s_did.rewound > cases);
}

/* Any change of a single column, also of one that equals it in a looser way. */
static void test_every_difference_counts(void **state) {
    (void)state;
    s_case_t self;
    s_set_up(&self, 1);
    static const char *const changes[] = {"a = 'X'",  "a = NULL",          "a = x'78'", "b = 1.5000000001",
                                          "c = 2",    "c = '1x'",          "d = 'ab '", "e = '1'",
                                          "e = NULL", "a = 'x' || char(0)"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        pr_row_state_t is = PR_ROW_NEVER;
        s_sql(&self, "INSERT OR REPLACE INTO t (id, a, b, c, d, e) VALUES (7, 'x', 1.5, 1, 'ab', 1)");
        assert_int_equal(pr_row_digests_note(self.digests, self.table, 7, NULL, NULL, NULL), 0);
        assert_int_equal(pr_row_digests_state(self.digests, self.table, 7, S_COLUMNS, s_columns, &is, NULL), 0);
        assert_int_equal(is, PR_ROW_OURS);
        s_sql(&self, "UPDATE t SET %s", changes[i]);
        assert_int_equal(pr_row_digests_state(self.digests, self.table, 7, S_COLUMNS, s_columns, &is, NULL), 0);
        if (is != PR_ROW_CHANGED)
            fail_msg("%s is not seen", changes[i]);
    }
    s_tear_down(&self);
}

/* The mapping comes to a column, and leaves another. */
static void test_other_columns_than_before(void **state) {
    (void)state;
    static const char *const now[] = {"a", "later"};
    s_case_t self;
    s_set_up(&self, 1);
    pr_row_state_t is = PR_ROW_NEVER;
    for (int64_t id = 1; id <= 4; id++) {
        s_sql(&self, "INSERT INTO t (id, a, b) VALUES (%lld, 'x', 1)", (long long)id);
        assert_int_equal(pr_row_digests_note(self.digests, self.table, id, NULL, NULL, NULL), 0);
    }
    assert_int_equal(pr_row_digests_store(self.digests, 1, NULL), 0);
    s_sql(&self, "UPDATE t SET b = 2 WHERE id = 2; UPDATE t SET later = NULL WHERE id = 3; UPDATE t SET later = 'y' "
                 "WHERE id = 4");
    pr_row_digests_destroy(&self.digests);
    s_open(&self, now, 2);
    static const pr_row_state_t expected[] = {PR_ROW_OURS, PR_ROW_CHANGED, PR_ROW_OURS, PR_ROW_CHANGED};
    for (int64_t id = 1; id <= 4; id++) {
        assert_int_equal(pr_row_digests_state(self.digests, self.table, id, now, 2, &is, NULL), 0);
        assert_int_equal(is, expected[id - 1]);
    }
    /* Once written anew, by the columns of today. */
    assert_int_equal(pr_row_digests_note(self.digests, self.table, 4, NULL, NULL, NULL), 0);
    assert_int_equal(pr_row_digests_store(self.digests, 2, NULL), 0);
    s_sql(&self, "UPDATE t SET b = 9 WHERE id = 4");
    assert_int_equal(pr_row_digests_state(self.digests, self.table, 4, now, 2, &is, NULL), 0);
    assert_int_equal(is, PR_ROW_OURS);
    s_tear_down(&self);
}

/* Nothing that stands in the books is believed. */
static void test_damage(void **state) {
    (void)state;
    static const char *const damages[] = {"digests = x''",
                                          "digests = substr(digests, 1, 5)",
                                          "digests = digests || x'00'",
                                          "digests = x'ffffffffff'",
                                          "digests = x'01ffff0701'",
                                          "digests = NULL",
                                          "digests = 5",
                                          "shape = 77",
                                          "digests = x'0180807f7f010203040506'"};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        s_case_t self;
        pr_row_state_t is = PR_ROW_NEVER;
        pr_error_t err = PR_ERROR_INIT;
        s_set_up(&self, 1);
        s_sql(&self, "PRAGMA ignore_check_constraints = ON; INSERT INTO t (id) VALUES (1)");
        assert_int_equal(pr_row_digests_note(self.digests, self.table, 1, NULL, NULL, NULL), 0);
        assert_int_equal(pr_row_digests_store(self.digests, 1, NULL), 0);
        pr_row_digests_destroy(&self.digests);
        s_open(&self, S_COLUMNS, s_columns);
        char *sql = sqlite3_mprintf("UPDATE OR IGNORE pvrelay_row_digest SET %s", damages[i]);
        sqlite3_exec(self.db, sql, NULL, NULL, NULL);
        sqlite3_free(sql);
        bool done = sqlite3_changes(self.db) > 0;
        int result = pr_row_digests_state(self.digests, self.table, 1, S_COLUMNS, s_columns, &is, &err);
        if (done && result != -PR_E_TARGET)
            fail_msg("%s is not noticed", damages[i]);
        if (done)
            assert_non_null(strstr(err.text, "pvrelay_row_digest of checkpoint 1, table t, is damaged"));
        s_tear_down(&self);
    }
}

/* 6 bytes a row, and next to nothing besides. */
static void test_size(void **state) {
    (void)state;
    s_case_t self;
    s_set_up(&self, 1);
    s_sql(&self, "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t (id, a) SELECT "
                 "i, i FROM n");
    for (int64_t id = 1; id <= 5000; id++)
        assert_int_equal(pr_row_digests_note(self.digests, self.table, id, NULL, NULL, NULL), 0);
    assert_int_equal(pr_row_digests_store(self.digests, 1, NULL), 0);
    assert_in_range(s_ask(&self, "SELECT sum(length(digests)) FROM pvrelay_row_digest"), 30000, 30010);
    s_tear_down(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_every_difference_counts),
        cmocka_unit_test(test_other_columns_than_before),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
