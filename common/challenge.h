/* SPDX-License-Identifier: MIT */
/* How a verdict shows what it is over: the answer to the nonce that it was asked with. */
/*  DESIGN
 *
 *  A validator that says "proved" must have read what it proves. So COMMIT and FINISH carry a nonce, and do not tell what the writer
 *  knows of the batch: the digest of the export's bytes as they were sent, and the checksum of the ids of the rows that
 *  its records are. The validator finds both where it proves, in the export and in the target, and answers with a digest
 *  of them that is seeded with the nonce. The writer has both from committing, in the target too, for the next writer, and
 *  compares: that costs it two hashes of a few bytes for each commit, and an addition for each record.
 *
 *      of a commit   read: checkpoint, digest of the bytes from begin to end as read, records compared, records rejected
 *                    rows: checkpoint, sum of pr_proof_mix over the ids of the rows that the records were found to be
 *      of the whole  read: part, checkpoints, their records and rejects as the books say; if the content is part of it also
 *                    the records that are tallied, and the checksum of their rows as the walk over the tables found them
 *
 *  Ids, and not what is in the rows, because a later record of the run may rightly have changed a row before it is proved, but
 *  never gives it another id.
 *
 *  What it is good against: a validator that is faulty or lazy (skips the export, does not look for the rows, leaves
 *  records or tallies out, answers something else than it was asked), a verdict that is repeated, and a peer that forges
 *  one from what it sees on the sockets. What not: a peer of the same user that reads the export and the target itself, or
 *  only what the books say of both, can answer; but it could write to the target, too. And that rows were read does not show
 *  that they were compared well: that is what the tests of the proof are for. That quick_check was asked shows in nothing: it
 *  has no other outcome than "ok". It is no cryptography: XXH3 keeps no secrets.
 */
#ifndef PR_CHALLENGE_H
#define PR_CHALLENGE_H

#include <stddef.h>
#include <stdint.h>

/* The digest of these numbers, seeded with the nonce. The same on every machine. */
uint64_t pr_challenge_answer(uint64_t nonce, const uint64_t *numbers, size_t count);

#endif
