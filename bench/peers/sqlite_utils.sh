#!/bin/sh
# SPDX-License-Identifier: MIT
# Peer: sqlite-utils inserts the records as they are, SQL does the rest. Arguments: AUDITS MODULES TARGET FOLDER.
set -eu
here=$(dirname "$0")
rm -f "$4/stage.db"
jq -c '.[].results[]' "$1" | sqlite-utils insert --nl --silent --batch-size 10000 "$4/stage.db" audits -
jq -c '.[].results[]' "$2" | sqlite-utils insert --nl --silent --batch-size 10000 "$4/stage.db" modules -
sqlite3 -bail "$3" <<SQL >/dev/null
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -262144;
ATTACH '$4/stage.db' AS stage;
BEGIN;
.read '$4/tables.sql'
.read '$here/from_stage.sql'
.read '$4/after.sql'
COMMIT;
SQL
rm -f "$4/stage.db"
