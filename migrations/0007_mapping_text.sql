-- SPDX-License-Identifier: MIT
-- The text of the mappings that runs used, so that a verification can take the very one: whose file may be gone or changed since.
CREATE TABLE pvrelay_mapping (
    digest TEXT PRIMARY KEY,                             -- XXH3-64 of the text, 16 hex digits, as pvrelay_run.mapping_digest
    text   BLOB NOT NULL                                 -- the file's bytes
) WITHOUT ROWID;

-- What the text "null" is in nullable fields is decided for each source, unless --null-text was given: 'auto'. The column `wrangler` of
-- pvrelay_source and pvrelay_reject says what was decided: 1: it stands for NULL, 0: it is text.
ALTER TABLE pvrelay_run ADD COLUMN null_rule TEXT NOT NULL DEFAULT 'auto' CHECK (null_rule IN ('auto', 'null', 'keep'));
UPDATE pvrelay_run SET null_rule = null_text;
UPDATE pvrelay_source SET wrangler = 0 WHERE run IN (SELECT run FROM pvrelay_run WHERE null_text = 'keep');
UPDATE pvrelay_reject SET wrangler = 0 WHERE run IN (SELECT run FROM pvrelay_run WHERE null_text = 'keep');
ALTER TABLE pvrelay_run DROP COLUMN null_text;
ALTER TABLE pvrelay_run RENAME COLUMN null_rule TO null_text;
