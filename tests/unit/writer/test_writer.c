/* SPDX-License-Identifier: MIT */
/* The writer's part of the protocol, message by message, on a real target and a scripted pr_daemon_send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/challenge.h"
#include "common/failure.h"
#include "common/sql_alive.h"
#include "target_fixture.h"
#include "writer/writer.h"

enum { s_commits = 21, s_commit_modules = 300 }; /* as many modules that indexes are put off */

static const char S_RUN[] = "01890a5d-ac96-774b-bcce-b302099a8057";

/* ---- what the daemon would be ---- */

static unsigned s_commits_sent;
static unsigned s_finish_sent; /* FINISH, of ... */
static pr_whole_part_t s_finish_part;
static uint64_t s_finish_nonce;
static pr_msg_commit_t s_commit[s_commits]; /* COMMIT, as last sent, by checkpoint - 1 */
static unsigned s_protocol_errors;
static char s_protocol_error[1024]; /* the last one */
static int64_t s_now_ms;
static bool s_interrupted;
static int s_outcome;           /* pr_error_code_t that the run is to end with */
static char s_ended_text[1024]; /* and what was said then */

int pr_daemon_send(pr_daemon_t *daemon, zsock_t *socket, pr_message_t *message, zmq_msg_t *frames, unsigned count) {
    (void)frames;
    assert_int_equal(count, 0);
    if (message->id == PR_MSG_PROGRESS) {
        assert_ptr_equal(socket, daemon->progress);
        return 1;
    }
    assert_ptr_equal(socket, daemon->out);
    if (message->id == PR_MSG_COMMIT) {
        s_commits_sent++;
        assert_in_range(message->commit.checkpoint, 1, s_commits);
        s_commit[message->commit.checkpoint - 1] = message->commit;
        return 1;
    }
    assert_int_equal(message->id, PR_MSG_FINISH);
    s_finish_sent++;
    s_finish_part = (pr_whole_part_t)message->finish.part;
    s_finish_nonce = message->finish.nonce;
    return 1;
}

void pr_daemon_protocol_error(pr_daemon_t *daemon, pr_protocol_kind_t kind, const pr_error_t *err) {
    (void)daemon;
    assert_int_equal(kind, PR_PROTOCOL_CONTENT);
    s_protocol_errors++;
    snprintf(s_protocol_error, sizeof s_protocol_error, "%s", err->text);
}

void pr_daemon_ended(pr_daemon_t *daemon, int code, const char *text) {
    (void)daemon;
    snprintf(s_ended_text, sizeof s_ended_text, "%s", text);
    assert_int_equal(code, s_outcome);
}

int pr_daemon_check_mapping(const pr_daemon_t *daemon, uint64_t digest, pr_error_t *err) {
    (void)daemon;
    (void)digest;
    (void)err;
    return 0;
}

void pr_daemon_busy(pr_daemon_t *daemon) {
    (void)daemon;
}

bool pr_daemon_interrupted(void) {
    return s_interrupted;
}

int64_t pr_now_ms(void) {
    return s_now_ms;
}

int64_t pr_now_us(void) {
    return 1000 * pr_now_ms();
}

int64_t pr_calendar_ms(void) {
    return 1761555792000;
}

/* ---- a writer that finds all committed, nothing proved ---- */

typedef struct {
    fx_t *fx;
    pr_config_t *config;
    pr_daemon_t daemon;
    void *writer;
    int64_t checkpoints[s_commits];
} fixture_t;

static void s_commit_all(fixture_t *fixture) {
    fx_t *fx = fixture->fx;
    fx_record_t *records = calloc(s_commit_modules, sizeof *records);
    char(*ids)[16] = calloc(s_commit_modules, sizeof *ids); /* the records' */
    assert_non_null(records);
    assert_non_null(ids);
    fx_open(fx);
    assert_int_equal(pr_target_keep_undo(fx->target, NULL), 0);
    fx_begin(fx, S_RUN, 1, (s_commits - 1) * s_commit_modules);
    fx_audit_t audit = fx_audit("A");
    fx_make_audit(fx, &audit, &records[0]);
    fx_batch(fx, 0, 0, records, 1, &fixture->checkpoints[0]);
    for (unsigned i = 1; i < s_commits; i++) {
        for (unsigned j = 0; j < s_commit_modules; j++) {
            snprintf(ids[j], sizeof ids[j], "%u-%u", i, j);
            fx_module_t module = fx_module("A", ids[j]);
            fx_make_module(fx, &module, &records[j]);
        }
        fx_batch(fx, 1, (uint64_t)(i - 1) * s_commit_modules, records, s_commit_modules, &fixture->checkpoints[i]);
    }
    free(records);
    free(ids);
    pr_error_t err = PR_ERROR_INIT;
    int64_t finish = 0;
    int result = pr_target_run_finish(fx->target, fx->run.number, &finish, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    fx_close(fx);
}

static int s_setup(void **state) {
    fixture_t *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->fx = fx_new();
    s_commit_all(fixture);
    fixture->config = pr_config_new();
    fixture->config->target = strdup(fixture->fx->path);
    fixture->config->migrations = strdup(fixture->fx->migrations);
    fixture->config->run_dir = strdup(fixture->fx->folder);
    fixture->daemon = (pr_daemon_t){.config = fixture->config,
                                    .mapping = fixture->fx->mapping,
                                    .stage = PR_STAGE_WRITER,
                                    .progress = zsock_new(ZMQ_XPUB),
                                    .out = zsock_new(ZMQ_PUSH)};
    s_commits_sent = s_finish_sent = s_protocol_errors = 0;
    s_protocol_error[0] = '\0';
    s_now_ms = 1000; /* nothing is due by time */
    s_outcome = PR_E_OK;
    s_interrupted = false;
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_writer_ops.open(&fixture->daemon, &fixture->writer, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    *state = fixture;
    return 0;
}

static int s_teardown(void **state) {
    fixture_t *fixture = *state;
    pr_writer_ops.close(&fixture->writer);
    zsock_destroy(&fixture->daemon.progress);
    zsock_destroy(&fixture->daemon.out);
    pr_config_destroy(&fixture->config);
    fx_destroy(&fixture->fx);
    free(fixture);
    return 0;
}

static uint64_t s_number(const fixture_t *fixture, const char *sql) {
    char *answer = fx_ask(fixture->fx, sql);
    uint64_t number = strtoull(answer, NULL, 10);
    free(answer);
    return number;
}

/* A verdict as the validator would give it, and what can be made of it. */
typedef struct {
    pr_msg_verdict_t says;
    pr_proof_list_t *list;
} verdict_t;

/* The digest is that of the fixture's batches; the rows' sum is what the books say. */
static verdict_t s_verdict_of_commit(fixture_t *fixture, int64_t checkpoint) {
    const pr_msg_commit_t *commit = &s_commit[checkpoint - 1];
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT rows_sum FROM pvrelay_checkpoint WHERE checkpoint = %lld", (long long)checkpoint);
    const uint64_t rows[] = {(uint64_t)checkpoint, s_number(fixture, sql)};
    const uint64_t read[] = {(uint64_t)checkpoint, UINT64_C(0x0123456789abcdef), commit->count, 0};
    verdict_t verdict = {.says = {.checkpoint = checkpoint,
                                  .nonce = commit->nonce,
                                  .rows = commit->count,
                                  .read_digest = pr_challenge_answer(commit->nonce, read, 4),
                                  .rows_digest = pr_challenge_answer(commit->nonce, rows, 2)},
                         .list = pr_proof_list_new(10)};
    const pr_stream_t *stream = commit->source == 0 ? fixture->fx->audits : fixture->fx->modules;
    pr_proof_tally_t tally = {
        .stream = stream->name, .group = "A", .value = "ok", .count = commit->count, .rows = rows[1]};
    pr_proof_list_add_tally(verdict.list, &tally);
    return verdict;
}

static verdict_t s_verdict_of_whole(fixture_t *fixture, pr_whole_part_t part) {
    static const char batches[] = "FROM pvrelay_checkpoint WHERE kind = 'batch'";
    const char *const sums[] = {"SELECT count(*) %s", "SELECT sum(records) %s", "SELECT sum(rejected) %s"};
    uint64_t read[6] = {(uint64_t)part};
    for (size_t i = 0; i < 3; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, sums[i], batches);
        read[1 + i] = s_number(fixture, sql);
    }
    if (part != PR_WHOLE_FILE) {
        read[4] = s_number(fixture, "SELECT sum(count) FROM pvrelay_tally");
        read[5] = s_number(fixture, "SELECT sum(rows) FROM pvrelay_tally");
    }
    return (verdict_t){.says = {.part = (uint8_t)part,
                                .nonce = s_finish_nonce,
                                .read_digest = pr_challenge_answer(s_finish_nonce, read, 6)},
                       .list = pr_proof_list_new(10)};
}

static void s_give_packed(fixture_t *fixture, const pr_msg_verdict_t *says, const void *data, size_t size) {
    pr_error_t err = PR_ERROR_INIT;
    pr_inbound_t inbound = {
        .message = {.id = PR_MSG_VERDICT, .stage = PR_STAGE_VALIDATOR, .run = fixture->daemon.run, .verdict = *says},
        .frames_count = 1};
    zmq_msg_init_size(&inbound.frames[0], size);
    memcpy(zmq_msg_data(&inbound.frames[0]), data, size);
    int result = pr_writer_ops.on_message(fixture->writer, &inbound, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    zmq_msg_close(&inbound.frames[0]);
}

/* Takes the verdict. */
static void s_give(fixture_t *fixture, verdict_t *verdict) {
    void *data = NULL;
    size_t size = 0;
    assert_int_equal(pr_proof_list_pack(verdict->list, &data, &size), 0);
    pr_proof_list_destroy(&verdict->list);
    s_give_packed(fixture, &verdict->says, data, size);
    free(data);
}

/* A verdict without a failure: of a commit, or (checkpoint 0) of a part of the whole. */
static void s_prove(fixture_t *fixture, int64_t checkpoint, pr_whole_part_t part) {
    verdict_t verdict = checkpoint == 0 ? s_verdict_of_whole(fixture, part) : s_verdict_of_commit(fixture, checkpoint);
    s_give(fixture, &verdict);
}

static void s_prove_commits(fixture_t *fixture) {
    for (unsigned i = 0; i < s_commits; i++)
        s_prove(fixture, fixture->checkpoints[i], PR_WHOLE_NONE);
}

/* Returns whether the next turn has something to do at once. */
static bool s_turn(fixture_t *fixture) {
    pr_error_t err = PR_ERROR_INIT;
    int result = pr_writer_ops.on_turn(fixture->writer, pr_now_ms(), &err);
    assert_string_equal(err.text, "");
    assert_in_range(result, 0, 1);
    return result == 1;
}

static unsigned s_indexes_left(const fixture_t *fixture) {
    char *left = fx_ask(fixture->fx, "SELECT count(*) FROM pvrelay_deferred_index");
    unsigned count = (unsigned)strtoul(left, NULL, 10);
    free(left);
    return count;
}

static const char *s_text(int64_t number) {
    static char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return text;
}

/* ---- tests ---- */

/*  A turn takes few messages, an index long: while verdicts come no index is begun, and with the last of them the content is
 *  asked for. */
static void test_verdicts_before_indexes(void **state) {
    fixture_t *fixture = *state;
    unsigned all = s_indexes_left(fixture);
    assert_in_range(all, 5, 20);
    assert_true(s_turn(fixture)); /* nobody has said anything: */
    unsigned left = all - 1;
    assert_int_equal(s_indexes_left(fixture), left);
    assert_int_equal(s_commits_sent, s_commits);
    for (unsigned i = 0; i < s_commits; i++) {
        assert_int_equal(s_finish_sent, 0);
        s_prove(fixture, fixture->checkpoints[i], PR_WHOLE_NONE);
        if (i % 3 == 2)
            assert_true(s_turn(fixture));
    }
    assert_int_equal(s_indexes_left(fixture), left);
    assert_int_equal(s_finish_sent, 1);
    assert_int_equal(s_finish_part, PR_WHOLE_CONTENT);
    fx_assert_sql(fixture->fx, "SELECT count(*) FROM pvrelay_checkpoint WHERE kind = 'batch' AND validated = 0", "0");
}

/* A verdict that was not asked for holds up nothing. */
static void test_repeated_verdicts_hold_up_nothing(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove(fixture, fixture->checkpoints[0], PR_WHOLE_NONE);
    s_turn(fixture);
    for (unsigned left = s_indexes_left(fixture); left > 0; left--) {
        assert_int_equal(s_indexes_left(fixture), left);
        s_prove(fixture, fixture->checkpoints[0], PR_WHOLE_NONE);
        assert_true(s_turn(fixture));
    }
    assert_int_equal(s_indexes_left(fixture), 0);
}

/* The file is asked for when the last index is there and the content is proved, whichever comes last, at once. */
static void test_file_comes_last(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove_commits(fixture);
    assert_true(s_turn(fixture));
    s_prove(fixture, 0, PR_WHOLE_CONTENT);
    unsigned turns = 0;
    for (; s_finish_sent == 1; turns++) {
        assert_in_range(turns, 0, 30);
        assert_true(s_turn(fixture) || s_finish_sent == 2); /* it never waits for a message that does not come */
    }
    assert_int_equal(s_indexes_left(fixture), 0);
    assert_int_equal(s_finish_part, PR_WHOLE_FILE);
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 2);
    s_prove(fixture, 0, PR_WHOLE_FILE);
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete0");
}

/* The content's proof takes longer than all indexes. */
static void test_content_comes_last(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove_commits(fixture);
    while (s_turn(fixture)) /* until nothing is left but waiting */
        continue;
    assert_int_equal(s_indexes_left(fixture), 0);
    s_prove(fixture, 0, PR_WHOLE_FILE); /* not what was asked for */
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 1);
    s_prove(fixture, 0, PR_WHOLE_CONTENT);
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 2);
    assert_int_equal(s_finish_part, PR_WHOLE_FILE);
    fx_assert_sql(fixture->fx, "SELECT state FROM pvrelay_run", "proving");
    s_prove(fixture, 0, PR_WHOLE_FILE);
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete0");
}

/* The last commits are proved when all indexes are there: nothing keeps the file from being proved beside the content. */
static void test_indexes_before_verdicts(void **state) {
    fixture_t *fixture = *state;
    while (s_turn(fixture))
        continue;
    assert_int_equal(s_indexes_left(fixture), 0);
    s_prove_commits(fixture);
    assert_false(s_turn(fixture));
    assert_int_equal(s_finish_sent, 1);
    assert_int_equal(s_finish_part, PR_WHOLE_BOTH);
    s_prove(fixture, 0, PR_WHOLE_BOTH);
    assert_int_equal(s_finish_sent, 1);
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete0");
}

/* A signal while an index is built: it is given up, and nothing is wrong. */
static void test_an_index_is_given_up(void **state) {
    fixture_t *fixture = *state;
    s_interrupted = true;
    while (s_turn(fixture)) /* those of tables with few rows */
        continue;
    assert_true(s_indexes_left(fixture) > 0);
    s_interrupted = false;
    while (s_turn(fixture))
        continue;
    assert_int_equal(s_indexes_left(fixture), 0);
}

/* ---- what is not believed ---- */

static void s_other_nonce(verdict_t *verdict) {
    verdict->says.nonce++;
}

static void s_digest_of_other_bytes(verdict_t *verdict) {
    verdict->says.read_digest++;
}

static void s_digest_of_other_rows(verdict_t *verdict) {
    verdict->says.rows_digest++;
}

static void s_fewer_records(verdict_t *verdict) {
    const uint64_t read[] = {(uint64_t)verdict->says.checkpoint, UINT64_C(0x0123456789abcdef), verdict->says.rows - 1,
                             0};
    verdict->says.rows--;
    verdict->says.read_digest = pr_challenge_answer(verdict->says.nonce, read, 4);
}

/* Other tallies: of this stream, this many records and rows more. */
static void s_set_tally(verdict_t *verdict, const char *stream, uint64_t count, uint64_t rows) {
    pr_proof_tally_t tally = {.stream = stream, .group = "A", .value = "ok"};
    tally.count = verdict->list->tallies[0].count + count;
    tally.rows = verdict->list->tallies[0].rows + rows;
    pr_proof_list_clear(verdict->list);
    pr_proof_list_add_tally(verdict->list, &tally);
}

static void s_no_tallies(verdict_t *verdict) {
    pr_proof_list_clear(verdict->list);
}

static void s_fewer_tallied(verdict_t *verdict) {
    s_set_tally(verdict, "modules", UINT64_MAX, 0); /* one less */
}

static void s_other_rows_tallied(verdict_t *verdict) {
    s_set_tally(verdict, "modules", 0, 1);
}

static void s_other_stream_tallied(verdict_t *verdict) {
    s_set_tally(verdict, "audits", 0, 0);
}

/* Sums that come out right because they overflow. */
static void s_overflowing_tallies(verdict_t *verdict) {
    pr_proof_tally_t more = {.stream = "modules", .group = "B", .value = "ok", .count = UINT64_MAX};
    pr_proof_list_add_tally(verdict->list, &more);
    more = (pr_proof_tally_t){.stream = "modules", .group = "C", .value = "ok", .count = 1};
    pr_proof_list_add_tally(verdict->list, &more);
}

typedef void s_forge_fn(verdict_t *verdict);

static const struct {
    s_forge_fn *forge;
    const char *doubt; /* NULL: it is dropped without a word, as one that comes late is */
} s_forgeries[] = {
    {s_other_nonce, NULL},
    {s_digest_of_other_bytes, "it does not show that the export's bytes were read"},
    {s_digest_of_other_rows, "it does not show that the commit's rows were read"},
    {s_fewer_records, "it does not account for the commit's records"},
    {s_no_tallies, "its tallies do not cover the records that were compared"},
    {s_fewer_tallied, "its tallies do not cover the records that were compared"},
    {s_other_rows_tallied, "its tallies are of other rows than those of the commit's records"},
    {s_other_stream_tallied, "its tallies are not those of the commit's records"},
    {s_overflowing_tallies, "its tallies are not those of the commit's records"},
};
enum { s_forgeries_count = sizeof s_forgeries / sizeof s_forgeries[0] };

/* A forged verdict proves nothing; the commit is asked for again, with another nonce, and an honest verdict settles it. */
static void test_forged_verdicts_are_not_believed(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    for (int64_t i = 0; i < s_forgeries_count; i++) {
        int64_t checkpoint = 2 + i; /* of modules */
        uint64_t nonce = s_commit[checkpoint - 1].nonce;
        unsigned sent = s_commits_sent;
        unsigned errors = s_protocol_errors;
        bool told = s_forgeries[i].doubt != NULL;
        verdict_t verdict = s_verdict_of_commit(fixture, checkpoint);
        s_forgeries[i].forge(&verdict);
        s_give(fixture, &verdict);
        s_turn(fixture);
        assert_int_equal(s_protocol_errors, errors + (told ? 1 : 0));
        if (told) {
            assert_string_equal(strchr(s_protocol_error, ':') + 2, s_forgeries[i].doubt);
            assert_true(s_commit[checkpoint - 1].nonce != nonce);
        }
        assert_int_equal(s_commits_sent, sent + (told ? 1 : 0));
        fx_assert_sql(fixture->fx, "SELECT count(*) FROM pvrelay_checkpoint WHERE validated <> 0",
                      i == 0 ? "0" : s_text(i));
        s_prove(fixture, checkpoint, PR_WHOLE_NONE);
        s_turn(fixture);
        fx_assert_sql(fixture->fx, "SELECT count(*) FROM pvrelay_checkpoint WHERE validated = 1", s_text(i + 1));
    }
}

/* What is no list, or far too long a one, is told as what it is. */
static void test_malformed_verdicts(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    size_t size = ((size_t)8 << 20) + 4 * (size_t)fixture->config->batch_bytes;
    char *bytes = pr_xcalloc(1, size + 1), expected[256];
    pr_error_t why = PR_ERROR_INIT;
    pr_proof_list_t *list = NULL;
    const struct {
        size_t size;
        const char *why;
    } cases[] = {{0, NULL}, {1, NULL}, {size, NULL}, {size + 1, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        verdict_t verdict = s_verdict_of_commit(fixture, 2 + (int64_t)i);
        pr_proof_list_destroy(&verdict.list);
        s_give_packed(fixture, &verdict.says, bytes, cases[i].size);
        pr_error_clear(&why);
        if (cases[i].why == NULL)
            assert_true(pr_proof_list_unpack(bytes, cases[i].size, &list, &why) < 0);
        else
            pr_error_set(&why, PR_E_PROTOCOL, "%zu bytes, at most %zu expected", size + 1, size);
        snprintf(expected, sizeof expected, "VERDICT that is not believed: malformed verdict payload: %.150s",
                 why.text);
        assert_string_equal(s_protocol_error, expected);
        assert_int_equal(s_protocol_errors, i + 1);
    }
    free(bytes);
}

/* A validator that says "proved" and reads nothing: the run ends, and not as one that is proved. */
static void test_lazy_validator_ends_the_run_with_failures(void **state) {
    fixture_t *fixture = *state;
    s_outcome = PR_E_VALIDATION;
    s_turn(fixture);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < s_commits; i++) {
            verdict_t verdict = {
                .says = {.checkpoint = fixture->checkpoints[i], .nonce = s_commit[i].nonce, .rows = s_commit[i].count},
                .list = pr_proof_list_new(1)};
            s_give(fixture, &verdict);
            s_turn(fixture);
        }
    assert_int_equal(s_protocol_errors, 3 * s_commits);
    fx_assert_sql(fixture->fx, "SELECT count(*) FROM pvrelay_checkpoint WHERE validated = 2", s_text(s_commits));
    while (s_turn(fixture))
        continue;
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(s_finish_part, PR_WHOLE_BOTH);
        fx_assert_sql(fixture->fx, "SELECT state FROM pvrelay_run", "proving");
        verdict_t verdict = {.says = {.part = PR_WHOLE_BOTH, .nonce = s_finish_nonce}, .list = pr_proof_list_new(1)};
        s_give(fixture, &verdict);
        s_turn(fixture);
    }
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", "complete4");
    fx_assert_sql(fixture->fx, "SELECT kind || ': ' || row_key || ' ' || stored FROM pvrelay_failure LIMIT 1",
                  "mismatch: checkpoint=1 it does not show that the export's bytes were read");
    fx_assert_sql(fixture->fx, "SELECT kind || ': ' || stored FROM pvrelay_failure WHERE checkpoint IS NULL",
                  "whole: it does not show that the run's books were read");
}

static const pr_failure_t s_missing = {.kind = PR_FAILURE_MISSING,
                                       .stream = "modules",
                                       .table = "el_modules",
                                       .key = "",
                                       .column = "",
                                       .expected = "a row",
                                       .stored = "no row"};

/* A verdict with failures need not be of the rows that the writer knows, as these may be what is wrong. */
static void test_failures_are_believed(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    verdict_t verdict = s_verdict_of_commit(fixture, 2);
    pr_proof_list_add_failure(verdict.list, &s_missing);
    s_digest_of_other_rows(&verdict);
    s_give(fixture, &verdict);
    s_turn(fixture);
    assert_int_equal(s_protocol_errors, 0);
    fx_assert_sql(fixture->fx, "SELECT validated FROM pvrelay_checkpoint WHERE checkpoint = 2", "2");
}

/* A stage that cannot go on ends the run; one that says so of what only it is to mend, or of nothing, ends nothing. */
static void test_failure_that_is_none(void **state) {
    fixture_t *fixture = *state;
    static const uint16_t codes[] = {PR_E_OK, PR_E_INTERNAL, PR_E_INTERRUPTED, 9999};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        pr_error_t err = PR_ERROR_INIT;
        pr_inbound_t fail = {
            .message = {
                .id = PR_MSG_FAIL, .stage = PR_STAGE_READER, .run = fixture->daemon.run, .fail = {.code = codes[i]}}};
        assert_int_equal(pr_writer_ops.on_message(fixture->writer, &fail, &err), 0);
        assert_string_equal(s_protocol_error, "FAIL with a code that ends no run");
        assert_int_equal(s_protocol_errors, i + 1);
    }
    fx_assert_sql(fixture->fx, "SELECT state || ifnull(error, '') FROM pvrelay_run", "proving");
}

/*  A stage that was just going to read what lies in the target's place by now tells what it met there; the run tells that
 *  its target is gone. Other failures are not the target's. */
static void test_failure_at_what_is_in_its_place(void **state) {
    fixture_t *fixture = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_inbound_t fail = {.message = {.id = PR_MSG_FAIL,
                                     .stage = PR_STAGE_VALIDATOR,
                                     .run = fixture->daemon.run,
                                     .fail = {.code = PR_E_TARGET, .text = {"hub.db: file is not a database"}}}};
    char *elsewhere = pr_xasprintf("%s.elsewhere", fixture->fx->path);
    assert_int_equal(rename(fixture->fx->path, elsewhere), 0);
    s_outcome = PR_E_TARGET;
    assert_int_equal(pr_writer_ops.on_message(fixture->writer, &fail, &err), 0);
    assert_int_equal(fixture->daemon.outcome, PR_E_TARGET);
    assert_non_null(strstr(s_ended_text, "is no longer the file that was opened"));
    assert_int_equal(rename(elsewhere, fixture->fx->path), 0);
    free(elsewhere);
    fx_assert_sql(fixture->fx, "SELECT state || ifnull(error, '') FROM pvrelay_run", "proving");
}

/* ---- a run that is taken back ---- */

static unsigned s_statements; /* that SQLite was given, by any connection */

static int s_on_statement(unsigned kind, void *context, void *statement, void *text) {
    (void)kind;
    (void)context;
    (void)statement;
    (void)text;
    s_statements++;
    return 0;
}

/* Whatever is heard and whatever time passes until it leaves: the target is left alone. */
static void s_assert_target_left_alone(fixture_t *fixture) {
    static const pr_message_t messages[] = {
        {.id = PR_MSG_HELLO, .stage = PR_STAGE_VALIDATOR, .hello = {.incarnation = 5}},
        {.id = PR_MSG_HELLO, .stage = PR_STAGE_TRANSFORMER, .hello = {.incarnation = 7}},
        {.id = PR_MSG_HELLO, .stage = PR_STAGE_TRANSFORMER, .hello = {.incarnation = 9}},
        {.id = PR_MSG_PLAN, .stage = PR_STAGE_READER},
        {.id = PR_MSG_ROWS, .stage = PR_STAGE_TRANSFORMER, .rows = {.count = 1}},
        {.id = PR_MSG_END, .stage = PR_STAGE_READER},
        {.id = PR_MSG_VERDICT, .stage = PR_STAGE_VALIDATOR, .verdict = {.checkpoint = 3}},
        {.id = PR_MSG_VERDICT, .stage = PR_STAGE_VALIDATOR, .verdict = {.part = PR_WHOLE_BOTH}},
        {.id = PR_MSG_WORKING, .stage = PR_STAGE_VALIDATOR, .working = {.checkpoint = 3}},
        {.id = PR_MSG_FAIL, .stage = PR_STAGE_READER, .fail = {.code = PR_E_TARGET}},
        {.id = PR_MSG_BYE, .stage = PR_STAGE_VALIDATOR}};
    pr_error_t err = PR_ERROR_INIT;
    char status[256];
    s_statements = 0;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        pr_inbound_t inbound = {.message = messages[i]};
        inbound.message.run = fixture->daemon.run;
        assert_int_equal(pr_writer_ops.on_message(fixture->writer, &inbound, &err), 0);
        s_now_ms += 250;
        assert_false(s_turn(fixture));
    }
    assert_int_equal(pr_writer_ops.on_reopened(fixture->writer, &err), 0);
    pr_writer_ops.status(fixture->writer, status, sizeof status);
    fixture->daemon.in = zsock_new(ZMQ_PULL);
    assert_int_equal(pr_writer_ops.on_drain(fixture->writer, &err), 0);
    zsock_destroy(&fixture->daemon.in);
    assert_true(fixture->daemon.leave);
    assert_string_equal(err.text, "");
    assert_int_equal(s_statements, 0);
}

static void s_assert_taken_back(const fixture_t *fixture, const char *run) {
    fx_assert_sql(fixture->fx, "SELECT state || outcome FROM pvrelay_run", run);
    fx_assert_sql(fixture->fx, "SELECT count(*) FROM el_modules", "0");
}

/* Its proof fails when verdicts of other commits are still to be written down. */
static void test_target_is_left_alone_once_its_run_failed(void **state) {
    fixture_t *fixture = *state;
    fixture->config->rollback_on_failure = true;
    s_outcome = PR_E_VALIDATION;
    s_turn(fixture);
    for (int64_t i = 1; i <= s_commits; i++) {
        verdict_t verdict = s_verdict_of_commit(fixture, i);
        if (i == 2)
            pr_proof_list_add_failure(verdict.list, &s_missing);
        s_give(fixture, &verdict);
    }
    while (s_turn(fixture))
        continue;
    if (s_finish_part == PR_WHOLE_CONTENT) {
        s_prove(fixture, 0, PR_WHOLE_CONTENT);
        s_turn(fixture);
    }
    s_prove(fixture, 0, s_finish_part);
    s_assert_taken_back(fixture, "abandoned4");
    s_assert_target_left_alone(fixture);
}

/* Too many records were rejected, and verdicts have come that no batch's transaction has taken along yet. */
static void test_target_is_left_alone_after_too_many_rejects(void **state) {
    fixture_t *fixture = *state;
    pr_error_t err = PR_ERROR_INIT;
    pr_inbound_t fail = {.message = {.id = PR_MSG_FAIL,
                                     .stage = PR_STAGE_TRANSFORMER,
                                     .run = fixture->daemon.run,
                                     .fail = {.code = PR_E_REJECT_LIMIT, .text = {"too many"}}}};
    fixture->config->rollback_on_reject_limit = true;
    s_outcome = PR_E_REJECT_LIMIT;
    s_turn(fixture);
    s_prove(fixture, 2, PR_WHOLE_NONE);
    s_prove(fixture, 3, PR_WHOLE_NONE);
    assert_int_equal(pr_writer_ops.on_message(fixture->writer, &fail, &err), 0);
    assert_string_equal(s_ended_text, "too many");
    s_assert_taken_back(fixture, "abandoned2");
    s_assert_target_left_alone(fixture);
}

/* ---- patience ---- */

/* A commit that the validator passes over has not reached it, but somebody else: it is sent again at once. */
static void test_what_is_passed_over_is_sent_again(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    assert_int_equal(s_commits_sent, s_commits);
    s_prove(fixture, 1, PR_WHOLE_NONE);
    s_prove(fixture, 4, PR_WHOLE_NONE);
    s_turn(fixture);
    assert_int_equal(s_commits_sent, s_commits + 2);
    for (int64_t i = 5; i <= s_commits; i++)
        s_prove(fixture, i, PR_WHOLE_NONE);
    s_prove(fixture, 2, PR_WHOLE_NONE);
    s_prove(fixture, 3, PR_WHOLE_NONE);
    s_turn(fixture);
    assert_int_equal(s_commits_sent, s_commits + 2);
    fx_assert_sql(fixture->fx, "SELECT count(*) FROM pvrelay_checkpoint WHERE kind = 'batch' AND validated <> 1", "0");
}

/*  What is not answered is asked again after 10 s, with the same nonce; not while the validator says that it is at work on
 *  it, and that it is at work on something else is no reason. */
static void test_a_validator_at_work_is_not_asked_again(void **state) {
    fixture_t *fixture = *state;
    while (s_turn(fixture))
        continue;
    s_prove_commits(fixture);
    s_turn(fixture);
    assert_int_equal(s_finish_sent, 1);
    uint64_t nonce = s_finish_nonce;
    pr_error_t err = PR_ERROR_INIT;
    pr_inbound_t working = {.message = {.id = PR_MSG_WORKING,
                                        .stage = PR_STAGE_VALIDATOR,
                                        .run = fixture->daemon.run,
                                        .working = {.nonce = nonce}}};
    for (unsigned seconds = 0; seconds < 120; seconds++) {
        s_now_ms += 1000;
        assert_int_equal(pr_writer_ops.on_message(fixture->writer, &working, &err), 0);
        s_turn(fixture);
    }
    assert_int_equal(s_finish_sent, 1);
    working.message.working.nonce++;
    for (unsigned seconds = 0; seconds < 10; seconds++) {
        assert_int_equal(s_finish_sent, 1);
        s_now_ms += 1000;
        assert_int_equal(pr_writer_ops.on_message(fixture->writer, &working, &err), 0);
        s_turn(fixture);
    }
    assert_int_equal(s_finish_sent, 2);
    assert_true(s_finish_nonce == nonce);
}

/*  The content was asked for, and meanwhile all indexes are built: asked out of impatience, it is the same question, not one for
 *  content and file, which would have the content proved twice. */
static void test_asked_again_it_is_the_same_question(void **state) {
    fixture_t *fixture = *state;
    s_turn(fixture);
    s_prove_commits(fixture);
    assert_true(s_turn(fixture));
    assert_int_equal(s_finish_part, PR_WHOLE_CONTENT);
    uint64_t nonce = s_finish_nonce;
    while (s_turn(fixture))
        continue;
    assert_int_equal(s_indexes_left(fixture), 0);
    assert_int_equal(s_finish_sent, 1);
    s_now_ms += 10000;
    s_turn(fixture);
    assert_int_equal(s_finish_sent, 2);
    assert_int_equal(s_finish_part, PR_WHOLE_CONTENT);
    assert_true(s_finish_nonce == nonce);
    s_prove(fixture, 0, PR_WHOLE_CONTENT);
    s_turn(fixture);
    assert_int_equal(s_finish_part, PR_WHOLE_FILE);
}

static bool s_go_on(void *context) {
    (void)context;
    return true;
}

/* The tests' indexes are small: SQLite gives its signs of life more often than it does elsewhere. */
static int s_on_steps(void *context) {
    (void)context;
    return pr_sql_give_sign() ? 0 : 1;
}

static int s_ask_often(sqlite3 *db, const char **error, const struct sqlite3_api_routines *api) {
    (void)error;
    (void)api;
    sqlite3_progress_handler(db, 1000, s_on_steps, NULL);
    sqlite3_trace_v2(db, SQLITE_TRACE_STMT, s_on_statement, NULL);
    return SQLITE_OK;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verdicts_before_indexes, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_repeated_verdicts_hold_up_nothing, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_file_comes_last, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_content_comes_last, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_indexes_before_verdicts, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_an_index_is_given_up, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_forged_verdicts_are_not_believed, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_malformed_verdicts, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_lazy_validator_ends_the_run_with_failures, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_failures_are_believed, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_failure_that_is_none, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_failure_at_what_is_in_its_place, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_target_is_left_alone_once_its_run_failed, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_target_is_left_alone_after_too_many_rejects, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_passed_over_is_sent_again, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_asked_again_it_is_the_same_question, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_a_validator_at_work_is_not_asked_again, s_setup, s_teardown),
    };
    pr_sql_alive(s_go_on, NULL); /* before the fixture's first use of SQLite */
    sqlite3_auto_extension((void (*)(void))s_ask_often);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
