/* SPDX-License-Identifier: MIT */
/* The codec of messages: round trips, and what a hostile peer may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/message.h"

/* A message of each kind from a stage that may send it, with every field set to something of its own. */
static size_t s_examples(pr_message_t *examples) {
    size_t count = 0;
    uint64_t next = 3;
#define SET_u8(field)  field = (uint8_t)(next++)
#define SET_u16(field) field = (uint16_t)(next++ * 257)
#define SET_u32(field) field = (uint32_t)(next++ * 65537)
#define SET_u64(field) field = next++ * UINT64_C(0x0123456789)
#define SET_i64(field) field = -(int64_t)(next++ * UINT64_C(0x0123456789))
#define SET_list(field)                                                                                                \
    for (size_t i = 0; i < PR_WIRE_LIST; i++)                                                                          \
    field.at[i] = next++ * 7
#define SET_text(field)         pr_wire_text_set(&field, "où ça ? 🔬")
#define F(type, name, sentence) SET_##type(fields->name);
#define M(name, member, number, from, to, frames, sentence)                                                            \
    {                                                                                                                  \
        pr_message_t *message = &examples[count++];                                                                    \
        memset(message, 0, sizeof *message);                                                                           \
        message->id = PR_MSG_##name;                                                                                   \
        message->stage = (pr_stage_t)__builtin_ctz(from);                                                              \
        message->instance = 7;                                                                                         \
        message->run = pr_run_id_new();                                                                                \
        pr_msg_##member##_t *fields = &message->member;                                                                \
        PR_FIELDS_##name(F)                                                                                            \
    }
    PR_MESSAGES(M)
#undef M
#undef F
    return count;
}

enum { s_kinds_max = 32 };

static void test_round_trip(void **state) {
    (void)state;
    pr_message_t examples[s_kinds_max];
    size_t count = s_examples(examples);
    assert_int_equal(count, 13);
    for (size_t i = 0; i < count; i++) {
        uint8_t buffer[PR_MESSAGE_MAX_BYTES];
        pr_message_t back;
        memset(&back, 0, sizeof back);
        size_t size = pr_message_encode(&examples[i], buffer);
        assert_int_equal(pr_message_decode(buffer, size, 1 + pr_message_payload_frames(examples[i].id), &back, NULL),
                         0);
        assert_memory_equal(&back, &examples[i], sizeof back);
    }
}

static void test_truncated_or_longer(void **state) {
    (void)state;
    pr_message_t examples[s_kinds_max];
    size_t count = s_examples(examples);
    for (size_t i = 0; i < count; i++) {
        uint8_t buffer[PR_MESSAGE_MAX_BYTES] = {0};
        pr_message_t back;
        unsigned frames = 1 + pr_message_payload_frames(examples[i].id);
        size_t size = pr_message_encode(&examples[i], buffer);
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut + 1); /* so that a read beyond the end is seen */
            memcpy(exact, buffer, cut);
            assert_int_equal(pr_message_decode(exact, cut, frames, &back, NULL), -PR_E_PROTOCOL);
            free(exact);
        }
        assert_int_equal(pr_message_decode(buffer, size + 1, frames, &back, NULL), -PR_E_PROTOCOL);
    }
}

static void s_refused_as(pr_error_code_t code, const uint8_t *buffer, size_t size, unsigned frames, const char *text) {
    pr_error_t err = PR_ERROR_INIT;
    pr_message_t back;
    assert_int_equal(pr_message_decode(buffer, size, frames, &back, &err), -(int)code);
    assert_string_equal(err.text, text);
}

static void s_refused(const uint8_t *buffer, size_t size, unsigned frames, const char *text) {
    s_refused_as(PR_E_PROTOCOL, buffer, size, frames, text);
}

static void test_who(void **state) {
    (void)state;
    char who[PR_WHO_BYTES];
    assert_string_equal(pr_stage_who(PR_STAGE_READER, 1, who), "reader");
    assert_string_equal(pr_stage_who(PR_STAGE_TRANSFORMER, 64, who), "transformer-64");
    assert_string_equal(pr_stage_who(PR_STAGE_TRANSFORMER, UINT32_MAX, who), "transformer-4294967295");
}

static void test_refusals(void **state) {
    (void)state;
    uint8_t buffer[PR_MESSAGE_MAX_BYTES];
    pr_message_t hello = {.id = PR_MSG_HELLO, .stage = PR_STAGE_READER, .instance = 1};
    size_t size = pr_message_encode(&hello, buffer);
    s_refused(buffer, size, 2, "HELLO in 2 frames instead of 1");
    s_refused(buffer, size - 1, 1, "HELLO of 32 bytes does not end where its fields end");
    buffer[4] = PR_STAGE_WRITER;
    s_refused(buffer, size, 1, "HELLO from writer, which never sends it");
    buffer[4] = 200;
    s_refused(buffer, size, 1, "HELLO from ?, which never sends it");
    buffer[3] = 99;
    s_refused(buffer, size, 1, "unknown message 99");
    buffer[2] = 1;
    s_refused_as(PR_E_VERSION, buffer, size, 1, "protocol version 1, this program speaks 6");
    s_refused_as(PR_E_VERSION, buffer, 3, 1, "protocol version 1, this program speaks 6");
    s_refused(buffer, 2, 1, "not a message of pvrelay");
    buffer[0] = 'X';
    s_refused(buffer, size, 1, "not a message of pvrelay");
    s_refused(buffer, 0, 1, "not a message of pvrelay");
}

/* Any bytes: an answer, never a crash (run under the sanitizers too). */
static void test_random_bytes(void **state) {
    (void)state;
    pr_message_t examples[s_kinds_max];
    size_t count = s_examples(examples);
    srand(20251027);
    unsigned refused = 0;
    for (int turn = 0; turn < 20000; turn++) {
        uint8_t buffer[PR_MESSAGE_MAX_BYTES];
        pr_message_t back;
        size_t size = pr_message_encode(&examples[(size_t)rand() % count], buffer);
        for (int flips = 1 + rand() % 4; flips > 0; flips--)
            buffer[(size_t)rand() % size] ^= (uint8_t)(1U << (rand() % 8));
        if (pr_message_decode(buffer, size, (unsigned)(1 + rand() % 3), &back, NULL) < 0)
            refused++;
    }
    assert_true(refused > 1000);
}

static void test_text_is_cut_between_characters(void **state) {
    (void)state;
    char text[PR_WIRE_TEXT_BYTES + 8];
    pr_wire_text_t field;
    memset(text, 'a', sizeof text);
    memcpy(text + 253, "é", 2); /* the first half would end between its bytes */
    text[sizeof text - 1] = '\0';
    pr_wire_text_set(&field, text);
    assert_int_equal(strlen(field.data), PR_WIRE_TEXT_BYTES - 1);
    assert_memory_equal(field.data + 251, "aa…aa", 7);
}

/* What others say is shown: a text that could steer a terminal is sent escaped, and one that comes so is refused. */
static void test_texts_are_clean(void **state) {
    (void)state;
    uint8_t buffer[PR_MESSAGE_MAX_BYTES];
    pr_message_t back;
    pr_message_t message = {.id = PR_MSG_FAIL, .stage = PR_STAGE_READER, .instance = 1};
    pr_wire_text_set(&message.fail.text, "a\nb\xff");
    assert_string_equal(message.fail.text.data, "a\\nb\\xFF");
    assert_int_equal(pr_message_decode(buffer, pr_message_encode(&message, buffer), 1, &back, NULL), 0);
    static const char *const forged[] = {"a\nb", "a\xff", "\033[2J", "\xe2\x80\xae"};
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        snprintf(message.fail.text.data, sizeof message.fail.text.data, "%s", forged[i]);
        assert_int_equal(pr_message_decode(buffer, pr_message_encode(&message, buffer), 1, &back, NULL),
                         -PR_E_PROTOCOL);
    }
}

static void test_run_id(void **state) {
    (void)state;
    char text[37];
    pr_run_id_t id = pr_run_id_new();
    pr_run_id_t back;
    assert_int_equal(pr_run_id_parse(pr_run_id_print(id, text), &back), 0);
    assert_true(pr_run_id_equal(id, back));
    assert_true(pr_run_id_known(id));
    assert_int_equal(text[14], '4');
    const char *wrong[] = {"",
                           "a4e19950-c73c-412c-be4d-699c9de1dde",
                           "a4e19950-c73c-412c-be4d-699c9de1dde11",
                           "A4E19950-c73c-412c-be4d-699c9de1dde1",
                           "a4e19950+c73c-412c-be4d-699c9de1dde1",
                           "00000000-0000-0000-0000-000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(pr_run_id_parse(wrong[i], &back), -PR_E_CONFIG);
    assert_int_equal(pr_run_id_parse("a4e19950-c73c-412c-be4d-699c9de1dde1", &back), 0);
    assert_string_equal(pr_run_id_print(back, text), "a4e19950-c73c-412c-be4d-699c9de1dde1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_truncated_or_longer),
                                       cmocka_unit_test(test_who),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_random_bytes),
                                       cmocka_unit_test(test_text_is_cut_between_characters),
                                       cmocka_unit_test(test_texts_are_clean),
                                       cmocka_unit_test(test_run_id)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
