# SPDX-License-Identifier: MIT
"""`pvrelay verify`, and what it names."""

import json
import subprocess

import pipeline


def verify(exports, target, *options):
    """Its exit code, and the object it prints."""
    done = subprocess.run([pipeline.BIN / "pvrelay", "verify", *map(str, exports), "--target", str(target), "--progress", "none", "--json",
                           *map(str, options)], capture_output=True, text=True, timeout=pipeline.DEADLINE, check=False)
    if done.returncode not in (0, 4):
        raise AssertionError(f"pvrelay verify ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.returncode, json.loads(done.stdout)


def failures(told):
    """What it names: (kind, table, key, column) of each failure; all of them are told, and each once."""
    if len(told["failures"]) != told["failures_total"]:
        raise AssertionError(f"{told['failures_total']} failures, {len(told['failures'])} told")
    # A distribution is told value by value, so that several failures may have one place.
    whole = {tuple(one[name] for name in ("kind", "table", "key", "column", "expected", "stored", "path", "offset")) for one in told["failures"]}
    if len(whole) != len(told["failures"]):
        raise AssertionError(f"told twice: {json.dumps(told['failures'], indent=1)}")
    return [(one["kind"], one["table"], one["key"], one["column"]) for one in told["failures"]]
