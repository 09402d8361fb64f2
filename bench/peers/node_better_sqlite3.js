// SPDX-License-Identifier: MIT
// Peer: node and better-sqlite3. Arguments: AUDITS MODULES TARGET FOLDER.
"use strict";
const [audits, modules, target, folder] = process.argv.slice(2);
const db = new (require("better-sqlite3"))(target);
db.unsafeMode(); // else it refuses journal_mode = OFF
require("./hub.js").load(db, audits, modules, folder);
