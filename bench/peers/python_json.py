# SPDX-License-Identifier: MIT
"""Peer: python3, json and sqlite3. Arguments: AUDITS MODULES TARGET FOLDER."""

import gc
import json
import pathlib
import sys

import hub


def records(path):
    """All records of an export, which is read as a whole."""
    for result_set in json.loads(pathlib.Path(path).read_bytes()):
        yield from result_set["results"]


gc.disable()  # millions of objects, none of them in a cycle
audits, modules, target, folder = sys.argv[1:]
hub.load(target, folder, records(audits), records(modules))
