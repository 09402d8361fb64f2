#!/bin/sh
# SPDX-License-Identifier: MIT
# Peer: jq makes CSV, the sqlite3 shell imports it meanwhile. Arguments: AUDITS MODULES TARGET FOLDER.
set -eu
here=$(dirname "$0")
sqlite3 -bail "$3" <<SQL >/dev/null
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -262144;
ATTACH ':memory:' AS stage;
CREATE TABLE stage.audits (token TEXT, project_name TEXT, client_name TEXT, location TEXT, string_count INTEGER,
    modules_per_string INTEGER, total_modules INTEGER, plan_file TEXT, status TEXT, created_at TEXT, updated_at TEXT, json_config TEXT);
CREATE TABLE stage.modules (audit_token TEXT, module_id TEXT, string_number INTEGER, position_in_string INTEGER, status TEXT,
    comment TEXT, technician_id TEXT, created_at TEXT, updated_at TEXT, physical_row INTEGER, physical_col INTEGER);
.import --csv --schema stage "|jq -r -f '$here/audits.jq' '$1'" audits
.import --csv --schema stage "|jq -r -f '$here/modules.jq' '$2'" modules
BEGIN;
.read '$4/tables.sql'
.read '$here/from_stage.sql'
.read '$4/after.sql'
COMMIT;
SQL
