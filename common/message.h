/* SPDX-License-Identifier: MIT */
/* The one table of messages between the stages, and their codec. docs/protocol.md is made from it. */
#ifndef PR_MESSAGE_H
#define PR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/wire.h"

/*  Stages: name, number, word */
#define PR_STAGES(X)                                                                                                   \
    X(READER, 1, "reader")                                                                                             \
    X(TRANSFORMER, 2, "transformer")                                                                                   \
    X(WRITER, 3, "writer")                                                                                             \
    X(VALIDATOR, 4, "validator")

typedef enum {
#define X(name, number, word) PR_STAGE_##name = number,
    PR_STAGES(X)
#undef X
} pr_stage_t;
enum { PR_STAGE_COUNT = 5 };

/*  Messages: name, struct, number, who sends it, who gets it, payload frames behind the first, sentence.
 *
 *  Senders and receivers are masks of PR_FROM_… bits. Numbers are never reused. */
#define PR_FROM(stage)   (1U << PR_STAGE_##stage)
#define PR_FROM_PEERS    (PR_FROM(READER) | PR_FROM(TRANSFORMER) | PR_FROM(VALIDATOR))
#define PR_FROM_EVERYONE (PR_FROM_PEERS | PR_FROM(WRITER))

#define PR_MESSAGES(M)                                                                                                 \
    M(HELLO, hello, 1, PR_FROM_PEERS, "writer", 0,                                                                     \
      "A stage has started, or has heard a writer it did not know: it waits for PROGRESS.")                            \
    M(PLAN, plan, 2, PR_FROM(READER), "writer", 1,                                                                     \
      "What the exports hold: the run's sources. Frame 2: the plan as JSON.")                                          \
    M(BATCH, batch, 3, PR_FROM(READER), "transformer", 2,                                                              \
      "Records of one source that follow each other. Frame 2: their slices, (offset, length) as 32-bit numbers; "      \
      "frame 3: the export's bytes, with padding behind.")                                                             \
    M(ROWS, rows, 4, PR_FROM(TRANSFORMER), "writer", 1,                                                                \
      "What the records of a batch became. Frame 2: rows and rejects, see common/rows.h.")                             \
    M(END, end, 5, PR_FROM(READER), "writer", 0, "All batches have been sent; said again until PROGRESS answers.")     \
    M(COMMIT, commit, 6, PR_FROM(WRITER), "validator", 0, "A batch is committed: prove it.")                           \
    M(FINISH, finish, 7, PR_FROM(WRITER), "validator", 0,                                                              \
      "All is committed and every batch has its verdict: prove the whole, this part of it.")                           \
    M(VERDICT, verdict, 8, PR_FROM(VALIDATOR), "writer", 1,                                                            \
      "What the proof of a checkpoint, or of a part of the whole, found. Frame 2: see common/failure.h.")              \
    M(PROGRESS, progress, 9, PR_FROM(WRITER), "everyone", 0,                                                           \
      "Where the run stands: heartbeat, acknowledgement and flow control at once. Published.")                         \
    M(COUNTERS, counters, 10, PR_FROM_EVERYONE, "whoever watches", 0, "A stage's counters. Published.")                \
    M(BYE, bye, 11, PR_FROM_PEERS, "writer", 0, "The stage has heard `complete` or `failed` and leaves.")              \
    M(FAIL, fail, 12, PR_FROM_PEERS, "writer", 0, "The stage cannot go on, and the run cannot either.")                \
    M(WORKING, working, 13, PR_FROM(VALIDATOR), "writer", 0,                                                           \
      "The proof that was asked for goes on; said once a second while it takes that long, so that it is not asked "    \
      "for "                                                                                                           \
      "again.")

/*  Fields: type, name, sentence */
#define PR_FIELDS_HELLO(F) F(u64, incarnation, "random number of this start of the stage")
#define PR_FIELDS_PLAN(F)                                                                                              \
    F(u64, plan_digest, "XXH3-64 of what identifies the sources")                                                      \
    F(u64, mapping_digest, "XXH3-64 of the mapping file")
#define PR_FIELDS_BATCH(F)                                                                                             \
    F(u16, stream, "index into the mapping's streams")                                                                 \
    F(u8, null_text, "1: the text \"null\" in a nullable field stands for NULL")                                       \
    F(u32, source, "index into the plan's sources")                                                                    \
    F(u64, first, "ordinal of the first record within the source, from 0")                                             \
    F(u32, count, "records")                                                                                           \
    F(u64, begin, "offset of the first record's first byte in the export")                                             \
    F(u64, end, "offset of the byte after the last record")                                                            \
    F(u64, digest, "XXH3-64 of the bytes from begin to end")                                                           \
    F(u64, mapping_digest, "XXH3-64 of the mapping file")
/* Which batch it is, in messages about one. */
#define PR_FIELDS_SAME_BATCH(F)                                                                                        \
    F(u32, source, "as BATCH")                                                                                         \
    F(u64, first, "as BATCH")                                                                                          \
    F(u32, count, "as BATCH")                                                                                          \
    F(u64, begin, "as BATCH")                                                                                          \
    F(u64, end, "as BATCH")
#define PR_FIELDS_ROWS(F)                                                                                              \
    F(u16, stream, "as BATCH")                                                                                         \
    PR_FIELDS_SAME_BATCH(F)                                                                                            \
    F(u64, digest, "as BATCH")                                                                                         \
    F(u64, mapping_digest, "XXH3-64 of the mapping that made the rows")
#define PR_FIELDS_END(F) F(u64, plan_digest, "as PLAN")
#define PR_FIELDS_COMMIT(F)                                                                                            \
    F(i64, checkpoint, "number of the checkpoint")                                                                     \
    PR_FIELDS_SAME_BATCH(F)                                                                                            \
    F(u64, rejected, "records of it that were rejected")                                                               \
    F(u64, nonce, "to be answered in VERDICT (common/challenge.h)")
#define PR_FIELDS_FINISH(F)                                                                                            \
    F(i64, checkpoint, "number of the run's last checkpoint")                                                          \
    F(u8, part, "pr_whole_part_t: 1 what the rows say, 2 the database file, 3 both")                                   \
    F(u64, nonce, "to be answered in VERDICT (common/challenge.h)")
#define PR_FIELDS_VERDICT(F)                                                                                           \
    F(i64, checkpoint, "number of the checkpoint; 0: the whole")                                                       \
    F(u8, part, "of the whole: as FINISH; else 0")                                                                     \
    F(u64, nonce, "as COMMIT or FINISH")                                                                               \
    F(u64, rows, "records compared")                                                                                   \
    F(u64, rejected, "records found among the rejects")                                                                \
    F(u64, read_digest, "answer to the nonce, over what was read (common/challenge.h)")                                \
    F(u64, rows_digest, "answer to the nonce, over the rows that the records were found to be; of the whole: 0")
#define PR_FIELDS_PROGRESS(F)                                                                                          \
    F(u64, incarnation, "random number of this start of the writer")                                                   \
    F(u8, state, "pr_progress_state_t")                                                                                \
    F(u64, plan_digest, "of the run's sources; 0 while it awaits them")                                                \
    F(u32, source, "committed position: index of the source")                                                          \
    F(u64, ordinal, "committed position: records of that source")                                                      \
    F(u64, offset, "committed position: byte after the last record")                                                   \
    F(u64, committed, "records committed, over all sources")                                                           \
    F(u64, with_verdict, "records with a verdict, rejected ones included, over all sources")                           \
    F(u64, validated, "records accepted and validated: those of commits without failure")                              \
    F(u64, rejected, "records rejected, up to the committed position")                                                 \
    F(u64, failures, "failures that the target keeps of the run")                                                      \
    F(i64, checkpoint, "number of the newest checkpoint of the run")                                                   \
    F(u64, elapsed_ms, "time spent on the run, over all its continuations, milliseconds")                              \
    F(u8, phase, "pr_run_phase_t: what the run is busy with")                                                          \
    F(u64, phase_ms, "how long it has been; of indexes, with the one at hand; milliseconds")                           \
    F(u32, indexes, "indexes to be built after the last record")                                                       \
    F(u32, indexes_left, "those of them that are not built yet")                                                       \
    F(u64, index_rows, "rows that they have to take, as far as these are there; of all indexes added up")              \
    F(u64, index_rows_left, "the same of those that are not built yet")                                                \
    F(u64, target_bytes, "size of the target")                                                                         \
    F(u64, resend, "grows when the writer wants the reader to go back to the position")                                \
    F(u16, outcome, "state complete or failed: pr_error_code_t")                                                       \
    F(text, text, "state failed: why")
#define PR_FIELDS_BYE(F) F(u64, incarnation, "as HELLO")
#define PR_FIELDS_WORKING(F)                                                                                           \
    F(i64, checkpoint, "number of the checkpoint; 0: the whole")                                                       \
    F(u64, nonce, "as COMMIT or FINISH")
#define PR_FIELDS_FAIL(F)                                                                                              \
    F(u16, code, "pr_error_code_t")                                                                                    \
    F(text, text, "what, where, what to do")

/*  Counters: the same set in every stage; a stage leaves at 0 what it does not count. Prometheus names in
 *  docs/protocol.md. docs: `total` ones never go back while the stage lives. */
#define PR_FIELDS_COUNTERS(F)                                                                                          \
    F(u64, start_ms, "when the stage started, milliseconds since 1970")                                                \
    F(u32, starts, "how often it was started in this run folder, this time included")                                  \
    F(u64, records_read, "records sent, received or compared")                                                         \
    F(u64, records_ok, "records read, transformed, written or proved")                                                 \
    F(u64, records_unchanged, "records that changed nothing in the target")                                            \
    F(u64, records_rejected, "records rejected")                                                                       \
    F(u64, records_duplicate, "records of batches that were in already")                                               \
    F(u64, records_total, "records the run will read in all; 0 while unknown")                                         \
    F(u64, batches, "batches")                                                                                         \
    F(u64, bytes, "bytes of raw records")                                                                              \
    F(u64, resends, "times the reader went back to the committed position")                                            \
    F(list, protocol_errors, "messages dropped, by PR_PROTOCOL_KINDS")                                                 \
    F(u64, commit_us, "time spent in transactions, microseconds")                                                      \
    F(list, commits, "transactions, by the first of PR_COMMIT_BOUNDS_US that they kept, the others last")              \
    F(u64, window_bytes, "bytes of raw records beyond the committed position")                                         \
    F(u64, checkpoint, "newest checkpoint")                                                                            \
    F(u64, validated_checkpoint, "newest checkpoint before which all have verdicts")                                   \
    F(list, failures, "rows that failed the proof, by failure kind (common/failure.h)")                                \
    F(u64, cpu_us, "processor time of the process, user and system, all threads, microseconds")                        \
    F(u64, working_us, "time at work, microseconds")                                                                   \
    F(u64, wait_input_us, "time with nothing to do, microseconds")                                                     \
    F(u64, wait_output_us, "time with something that nobody had room for, microseconds")                               \
    F(u64, scanned_bytes, "bytes of the exports looked through before the run")                                        \
    F(u64, scan_total_bytes, "bytes of the exports in all")                                                            \
    F(u64, last_progress_ms, "when anything last moved, milliseconds since 1970")                                      \
    F(list, rejects, "records rejected, by reason number")                                                             \
    F(u8, last, "1: the last ones before the stage closes the socket they come from")                                  \
    F(text, last_error, "the stage's last warning or error, \"\" if it had none")

/*  What is wrong with a message that is dropped: name, index into `protocol_errors`, word */
#define PR_PROTOCOL_KINDS(X)                                                                                           \
    X(MALFORMED, 0, "malformed") /* not a message of ours, or not encoded as one */                                    \
    X(STRAY, 1, "stray")         /* of another run, or not for this stage */                                           \
    X(CONTENT, 2, "content")     /* its content contradicts itself, the plan or the mapping */

typedef enum {
#define X(name, index, word) PR_PROTOCOL_##name = index,
    PR_PROTOCOL_KINDS(X)
#undef X
} pr_protocol_kind_t;

/*  Upper bounds of the buckets of the histogram of commits, microseconds; one more bucket has no bound. */
#define PR_COMMIT_BOUNDS_US                                                                                            \
    { 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000 }

/* The parts of the proof of the whole: bits. */
typedef enum {
    PR_WHOLE_NONE = 0,
    PR_WHOLE_CONTENT = 1, /* what the rows and the books say; indexes may still be built meanwhile */
    PR_WHOLE_FILE = 2,    /* that the database file is sound, all its indexes included */
    PR_WHOLE_BOTH = PR_WHOLE_CONTENT | PR_WHOLE_FILE
} pr_whole_part_t;

typedef enum {
    PR_PROGRESS_AWAITING_PLAN = 1, /* the reader is asked for its PLAN */
    PR_PROGRESS_STREAMING = 2,     /* batches are taken from the position on */
    PR_PROGRESS_PROVING = 3,       /* all is committed; the proof goes on */
    PR_PROGRESS_COMPLETE = 4,      /* committed and proved; everyone may leave with `outcome` */
    PR_PROGRESS_FAILED = 5         /* the run stops; everyone leaves with `outcome` */
} pr_progress_state_t;

/*  What a run is busy with: name, number, words. All but RECORDS come after the last record is committed. */
#define PR_PHASES(X)                                                                                                   \
    X(NONE, 0, "")                                                                                                     \
    X(RECORDS, 1, "records")                                                                                           \
    X(DERIVED, 2, "derived columns")                                                                                   \
    X(VERDICTS, 3, "last verdicts")                                                                                    \
    X(INDEXES, 4, "indexes")                                                                                           \
    X(REFERENCES, 5, "references")                                                                                     \
    X(FILE, 6, "file check")                                                                                           \
    X(REFERENCES_AND_FILE, 7, "references and file check")

typedef enum {
#define X(name, number, words) PR_PHASE_##name = number,
    PR_PHASES(X)
#undef X
        PR_PHASE_COUNT
} pr_run_phase_t;

typedef enum {
#define M(name, member, number, from, to, frames, sentence) PR_MSG_##name = number,
    PR_MESSAGES(M)
#undef M
} pr_message_id_t;

#define F(type, name, sentence) pr_wire_##type##_t name;
#define M(name, member, number, from, to, frames, sentence)                                                            \
    typedef struct {                                                                                                   \
        PR_FIELDS_##name(F)                                                                                            \
    } pr_msg_##member##_t;
PR_MESSAGES(M)
#undef M
#undef F

/* Identity of a run: a UUID's 16 bytes; all zero: unknown yet. */
typedef struct {
    uint8_t bytes[16];
} pr_run_id_t;

bool pr_run_id_equal(pr_run_id_t a, pr_run_id_t b);
bool pr_run_id_known(pr_run_id_t id);
/* As text, 8-4-4-4-12 lower-case hex. buffer: at least 37 bytes. Returns buffer. */
char *pr_run_id_print(pr_run_id_t id, char *buffer);
/* From text; 0, or -PR_E_CONFIG if it is no UUID. */
int pr_run_id_parse(const char *text, pr_run_id_t *ret_id);
/* A new random one. */
pr_run_id_t pr_run_id_new(void);

/* A message, without its payload frames. */
typedef struct {
    pr_message_id_t id;
    pr_stage_t stage;  /* who sent it */
    uint32_t instance; /* transformers: 1 to N; others 1 */
    pr_run_id_t run;
    union {
#define M(name, member, number, from, to, frames, sentence) pr_msg_##member##_t member;
        PR_MESSAGES(M)
#undef M
    };
} pr_message_t;

enum {
    PR_PROTOCOL_VERSION = 6,
    PR_MESSAGE_MAX_BYTES = 4096, /* of the first frame, encoded */
    PR_MESSAGE_MAX_FRAMES = 3
};

const char *pr_message_name(unsigned id); /* "HELLO"; "?" */
unsigned pr_message_payload_frames(unsigned id);
const char *pr_stage_word(unsigned stage);      /* "reader"; "?" */
const char *pr_run_phase_words(unsigned phase); /* "file check"; "" */

enum { PR_WHO_BYTES = 32 };
/* The name of a process, which its files in the run folder begin with: "reader", "transformer-2". buffer: PR_WHO_BYTES.
 * Returns buffer. */
char *pr_stage_who(pr_stage_t stage, uint32_t instance, char *buffer);

/* Encode the first frame into buffer (PR_MESSAGE_MAX_BYTES). Returns its size. */
size_t pr_message_encode(const pr_message_t *message, void *buffer);

/*  Decode a first frame from anyone. frames: how many frames came in all.
 *  Checks, in this order: magic, version, message number, that this stage may send it, fields exactly to the end,
 *  number of frames. Returns 0, -PR_E_VERSION or -PR_E_PROTOCOL; ret_message is untouched on failure. */
int pr_message_decode(const void *data, size_t size, unsigned frames, pr_message_t *ret_message, pr_error_t *err);

/* Write the table as the protocol page of the docs (Markdown) to a FILE. */
#include <stdio.h>
void pr_message_document(FILE *out);

#endif
