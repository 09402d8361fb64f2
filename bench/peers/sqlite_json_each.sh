#!/bin/sh
# SPDX-License-Identifier: MIT
# Peer: the sqlite3 shell and its JSON functions. Arguments: AUDITS MODULES TARGET FOLDER.
set -eu
here=$(dirname "$0")
sqlite3 -bail "$3" <<SQL >/dev/null
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -262144;
ATTACH ':memory:' AS stage;
BEGIN;
.read '$4/tables.sql'
CREATE TABLE stage.audits AS
SELECT value ->> 'token' AS token, value ->> 'project_name' AS project_name, value ->> 'client_name' AS client_name,
       value ->> 'location' AS location, value ->> 'string_count' AS string_count, value ->> 'modules_per_string' AS modules_per_string,
       value ->> 'total_modules' AS total_modules, value ->> 'plan_file' AS plan_file, value ->> 'status' AS status,
       value ->> 'created_at' AS created_at, value ->> 'updated_at' AS updated_at, value ->> 'json_config' AS json_config
FROM json_each(readfile('$1'), '\$[0].results');
CREATE TABLE stage.modules AS
SELECT value ->> 'audit_token' AS audit_token, value ->> 'module_id' AS module_id, value ->> 'string_number' AS string_number,
       value ->> 'position_in_string' AS position_in_string, value ->> 'status' AS status, value ->> 'comment' AS comment,
       value ->> 'technician_id' AS technician_id, value ->> 'created_at' AS created_at, value ->> 'updated_at' AS updated_at,
       value ->> 'physical_row' AS physical_row, value ->> 'physical_col' AS physical_col
FROM json_each(readfile('$2'), '\$[0].results');
.read '$here/from_stage.sql'
.read '$4/after.sql'
COMMIT;
SQL
