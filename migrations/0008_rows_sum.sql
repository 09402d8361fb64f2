-- SPDX-License-Identifier: MIT
-- What the proof of a commit must answer, beside the digest of the export's bytes: which rows its records are. Sum of a checksum of each one's
-- id (common/failure.h, pr_proof_mix); NULL: not known, as in commits that were made before this migration.
ALTER TABLE pvrelay_checkpoint ADD COLUMN rows_sum INTEGER;
