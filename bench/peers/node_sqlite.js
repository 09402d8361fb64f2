// SPDX-License-Identifier: MIT
// Peer: node's own node:sqlite. Arguments: AUDITS MODULES TARGET FOLDER.
"use strict";
const [audits, modules, target, folder] = process.argv.slice(2);
require("./hub.js").load(new (require("node:sqlite").DatabaseSync)(target), audits, modules, folder);
