/* SPDX-License-Identifier: MIT */
/* The codec of messages and the protocol page, both made from the table in message.h. */
#include "common/message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* First frame: magic "PV", protocol version (8 bits), message (8), stage (8), instance (32), run (16 bytes), fields. */
static const uint8_t s_magic[2] = {'P', 'V'};

typedef struct {
    unsigned number;
    const char *name;
    unsigned from;
    const char *to;
    unsigned frames;
    const char *sentence;
} pr_message_entry_t;

static const pr_message_entry_t s_messages[] = {
#define M(name, member, number, from, to, frames, sentence) {number, #name, from, to, frames, sentence},
    PR_MESSAGES(M)
#undef M
};

static const pr_message_entry_t *s_find(unsigned id) {
    for (size_t i = 0; i < sizeof s_messages / sizeof s_messages[0]; i++) {
        if (s_messages[i].number == id)
            return &s_messages[i];
    }
    return NULL;
}

const char *pr_message_name(unsigned id) {
    const pr_message_entry_t *entry = s_find(id);
    return entry != NULL ? entry->name : "?";
}

unsigned pr_message_payload_frames(unsigned id) {
    const pr_message_entry_t *entry = s_find(id);
    return entry != NULL ? entry->frames : 0;
}

const char *pr_run_phase_words(unsigned phase) {
    static const char *const words[] = {
#define X(name, number, text) [number] = text,
        PR_PHASES(X)
#undef X
    };
    return phase < PR_PHASE_COUNT ? words[phase] : "";
}

const char *pr_stage_word(unsigned stage) {
    switch (stage) {
#define X(name, number, word)                                                                                          \
    case number:                                                                                                       \
        return word;
        PR_STAGES(X)
#undef X
    }
    return "?";
}

char *pr_stage_who(pr_stage_t stage, uint32_t instance, char *buffer) {
    if (stage == PR_STAGE_TRANSFORMER)
        snprintf(buffer, PR_WHO_BYTES, "%s-%u", pr_stage_word(stage), (unsigned)instance);
    else
        snprintf(buffer, PR_WHO_BYTES, "%s", pr_stage_word(stage));
    return buffer;
}

bool pr_run_id_equal(pr_run_id_t a, pr_run_id_t b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool pr_run_id_known(pr_run_id_t id) {
    return !pr_run_id_equal(id, (pr_run_id_t){{0}});
}

char *pr_run_id_print(pr_run_id_t id, char *buffer) {
    const uint8_t *b = id.bytes;
    snprintf(buffer, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return buffer;
}

static int s_hex(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

int pr_run_id_parse(const char *text, pr_run_id_t *ret_id) {
    pr_run_id_t id;
    size_t at = 0;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-')
            return -PR_E_CONFIG;
        int high = s_hex(text[at]);
        int low = high < 0 ? -1 : s_hex(text[at + 1]);
        if (low < 0)
            return -PR_E_CONFIG;
        id.bytes[i] = (uint8_t)(high * 16 + low);
        at += 2;
    }
    if (text[at] != '\0' || !pr_run_id_known(id))
        return -PR_E_CONFIG;
    *ret_id = id;
    return 0;
}

pr_run_id_t pr_run_id_new(void) {
    pr_run_id_t id;
    if (getrandom(id.bytes, sizeof id.bytes, 0) != (ssize_t)sizeof id.bytes)
        abort();                                            /* 16 bytes never come short once the kernel has booted */
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0FU) | 0x40U); /* RFC 4122: version 4, variant 1 */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3FU) | 0x80U);
    return id;
}

size_t pr_message_encode(const pr_message_t *message, void *buffer) {
    pr_wire_t wire = pr_wire_over(buffer, PR_MESSAGE_MAX_BYTES);
    pr_wire_put_bytes(&wire, s_magic, sizeof s_magic);
    pr_wire_put_u8(&wire, PR_PROTOCOL_VERSION);
    pr_wire_put_u8(&wire, (uint8_t)message->id);
    pr_wire_put_u8(&wire, (uint8_t)message->stage);
    pr_wire_put_u32(&wire, message->instance);
    pr_wire_put_bytes(&wire, message->run.bytes, sizeof message->run.bytes);
    switch (message->id) {
#define F(type, name, sentence) pr_wire_put_##type(&wire, fields->name);
#define M(name, member, number, from, to, frames, sentence)                                                            \
    case PR_MSG_##name: {                                                                                              \
        const pr_msg_##member##_t *fields = &message->member;                                                          \
        PR_FIELDS_##name(F) break;                                                                                     \
    }
        PR_MESSAGES(M)
#undef M
#undef F
    }
    if (wire.failed)
        abort(); /* every message of the table fits: a bug of ours */
    return wire.at;
}

int pr_message_decode(const void *data, size_t size, unsigned frames, pr_message_t *ret_message, pr_error_t *err) {
    pr_message_t message = {0};
    uint8_t magic[sizeof s_magic] = {0};
    pr_wire_t wire = pr_wire_over((void *)(uintptr_t)data, size);
    pr_wire_get_bytes(&wire, magic, sizeof magic);
    unsigned version = pr_wire_get_u8(&wire);
    if (wire.failed || memcmp(magic, s_magic, sizeof magic) != 0)
        return pr_error_set(err, PR_E_PROTOCOL, "not a message of pvrelay");
    if (version != PR_PROTOCOL_VERSION)
        return pr_error_set(err, PR_E_VERSION, "protocol version %u, this program speaks %d", version,
                            PR_PROTOCOL_VERSION);
    unsigned id = pr_wire_get_u8(&wire);
    unsigned stage = pr_wire_get_u8(&wire);
    message.instance = pr_wire_get_u32(&wire);
    pr_wire_get_bytes(&wire, message.run.bytes, sizeof message.run.bytes);
    const pr_message_entry_t *entry = s_find(id);
    if (wire.failed || entry == NULL)
        return pr_error_set(err, PR_E_PROTOCOL, "unknown message %u", id);
    if (stage >= PR_STAGE_COUNT || (entry->from & (1U << stage)) == 0)
        return pr_error_set(err, PR_E_PROTOCOL, "%s from %s, which never sends it", entry->name, pr_stage_word(stage));
    message.id = (pr_message_id_t)id;
    message.stage = (pr_stage_t)stage;
    switch (message.id) {
#define F(type, name, sentence) fields->name = pr_wire_get_##type(&wire);
#define M(name, member, number, from, to, frames_, sentence)                                                           \
    case PR_MSG_##name: {                                                                                              \
        pr_msg_##member##_t *fields = &message.member;                                                                 \
        PR_FIELDS_##name(F) break;                                                                                     \
    }
        PR_MESSAGES(M)
#undef M
#undef F
    }
    if (!pr_wire_complete(&wire))
        return pr_error_set(err, PR_E_PROTOCOL, "%s of %zu bytes does not end where its fields end", entry->name, size);
    if (frames != 1 + entry->frames)
        return pr_error_set(err, PR_E_PROTOCOL, "%s in %u frames instead of %u", entry->name, frames,
                            1 + entry->frames);
    *ret_message = message;
    return 0;
}

static void s_document_senders(FILE *out, unsigned from) {
    const char *comma = "";
    for (unsigned stage = 0; stage < PR_STAGE_COUNT; stage++) {
        if ((from & (1U << stage)) != 0) {
            fprintf(out, "%s%s", comma, pr_stage_word(stage));
            comma = ", ";
        }
    }
}

void pr_message_document(FILE *out) {
    fprintf(out,
            "Protocol version %d. A message is one ZeroMQ message of one to three frames. The first frame: the bytes "
            "`PV`, protocol version (u8), message number (u8), sender's stage (u8), sender's instance (u32), run "
            "(16 bytes, a UUID; all zero: not known yet), then the message's fields. Numbers are little-endian; a text "
            "is its length (u16) and its bytes, at most %d; a list is %d u64.\n\n",
            PR_PROTOCOL_VERSION, PR_WIRE_TEXT_BYTES - 1, PR_WIRE_LIST);
#define F(type, name, sentence) fprintf(out, "| `%s` | %s | %s |\n", #name, #type, sentence);
#define M(name, member, number, from, to, frames, sentence)                                                            \
    fprintf(out, "## %s (%d)\n\n%s\n\nFrom ", #name, number, sentence);                                                \
    s_document_senders(out, from);                                                                                     \
    fprintf(out, " to %s; %d payload frame%s.\n\n| field | type | |\n|---|---|---|\n", to, (int)(frames),              \
            (frames) == 1 ? "" : "s");                                                                                 \
    PR_FIELDS_##name(F) fputc('\n', out);
    PR_MESSAGES(M)
#undef M
#undef F
}
