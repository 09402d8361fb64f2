# SPDX-License-Identifier: MIT
"""Peer: python3, ijson (streaming) and sqlite3. Arguments: AUDITS MODULES TARGET FOLDER."""

import sys

import hub
import ijson

audits, modules, target, folder = sys.argv[1:]
with open(audits, "rb") as audits_file, open(modules, "rb") as modules_file:
    hub.load(target, folder, ijson.items(audits_file, "item.results.item"), ijson.items(modules_file, "item.results.item"))
