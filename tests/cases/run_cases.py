#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run case directories: `pvrelay run` on a case's inputs into a fresh target, against the outcome its file `expected` tells.

`expected` is JSON:
  arguments  what stands between `pvrelay run` and --target; the inputs are relative to the case's directory
  exit       exit code
  stderr     every line of it, in order; the case directory's path stands as `.`; null: not compared
  streams    optional, per stream: records read, written, unchanged, rejected; without it the target must hold no data at all
  rejects    optional (none): [{stream, ordinal, offset, reason, field}] as `pvrelay rejects --json` lists them
  sql        optional: [[SELECT, rows]] on the target

The programs are looked for in --bin, $PVRELAY_BIN, or build/bin beside the project's sources.
usage: run_cases.py [--bin DIR] CASE...     (no CASE: all)
"""

import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DEADLINE_S = 60
STREAMS_SQL = """
    SELECT s.stream, SUM(s.records), SUM(c.written), SUM(c.unchanged), SUM(c.rejected)
    FROM pvrelay_source s
    LEFT JOIN (SELECT run, source, SUM(inserted + updated) AS written, SUM(unchanged) AS unchanged, SUM(rejected) AS rejected
               FROM pvrelay_checkpoint WHERE kind = 'batch' GROUP BY run, source) c ON c.run = s.run AND c.source = s.source
    WHERE s.run = (SELECT MAX(run) FROM pvrelay_run) AND s.records > 0
    GROUP BY s.stream"""
KEYS = {"arguments", "exit", "stderr", "streams", "rejects", "sql"}


class Case:
    def __init__(self, directory, bin_directory, work):
        self.directory = directory
        self.program = str(bin_directory / "pvrelay")
        self.target = work / "hub.db"
        self.work = work
        self.expected = json.loads((directory / "expected").read_text(encoding="utf-8"))
        self.differences = []
        unknown = set(self.expected) - KEYS
        if unknown or not {"arguments", "exit", "stderr"} <= set(self.expected):
            raise SystemExit(f"{directory}/expected: unknown or missing members: {sorted(unknown)}")

    def compare(self, what, expected, found):
        if expected != found:
            self.differences.append(f"{what}\n  expected: {expected!r}\n  found:    {found!r}")

    def pvrelay(self, *arguments):
        return subprocess.run([self.program, *arguments], cwd=self.directory, capture_output=True, timeout=DEADLINE_S,
                              stdin=subprocess.DEVNULL)

    def run(self):
        done = self.pvrelay("run", *self.expected["arguments"], "--target", str(self.target), "--run-dir", str(self.work / "run"),
                            "--progress", "none")
        self.compare("exit code", self.expected["exit"], done.returncode)
        if self.expected["stderr"] is not None:
            lines = done.stderr.decode("utf-8", "backslashreplace").replace(str(self.directory), ".").splitlines()
            self.compare("stderr", self.expected["stderr"], lines)
        if "streams" in self.expected:
            self.compare_target()
        else:
            self.compare("rows in the target", {}, self.data_in_target())
        return self.differences

    def open_target(self):
        return sqlite3.connect(f"file:{self.target}?mode=ro", uri=True)

    def data_in_target(self):
        """Tables that hold rows though nothing should have been written."""
        if not self.target.exists():
            return {}
        with self.open_target() as database:
            names = [row[0] for row in database.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'd1_migrations'")]
            counts = {name: database.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in names}
        return {name: count for name, count in counts.items() if count > 0}

    def compare_target(self):
        if not self.target.exists():
            self.differences.append("there is no target")
            return
        with self.open_target() as database:
            names = ("read", "written", "unchanged", "rejected")
            found = {row[0]: dict(zip(names, (value or 0 for value in row[1:]))) for row in database.execute(STREAMS_SQL)}
            self.compare("streams", self.expected["streams"], found)
            for statement, rows in self.expected.get("sql", []):
                self.compare(statement, rows, [list(row) for row in database.execute(statement)])
        listed = self.pvrelay("rejects", "--target", str(self.target), "--json")
        self.compare("exit code of rejects", 0, listed.returncode)
        if listed.returncode == 0:
            names = ("stream", "ordinal", "offset", "reason", "field")
            found = [{name: reject[name] for name in names} for reject in json.loads(listed.stdout)["rejects"]]
            self.compare("rejects", self.expected.get("rejects", []), found)


def run_case(directory, bin_directory):
    # In /tmp and not in $TMPDIR: the sockets in the run folder have at most 107 characters for their paths.
    with tempfile.TemporaryDirectory(prefix="pvr-case-", dir="/tmp") as work:
        try:
            differences = Case(directory, bin_directory, pathlib.Path(work)).run()
        except subprocess.TimeoutExpired as timeout:
            differences = [f"not ended after {DEADLINE_S} s: {timeout.cmd}"]
    for difference in differences:
        print(f"{directory.name}: {difference}")
    print(f"{'not ok' if differences else 'ok'} - {directory.name}")
    return not differences


def main(arguments):
    bin_directory = os.environ.get("PVRELAY_BIN") or HERE.parent.parent / "build" / "bin"
    if arguments[:1] == ["--bin"] and len(arguments) > 1:
        bin_directory, arguments = arguments[1], arguments[2:]
    bin_directory = pathlib.Path(bin_directory).resolve()
    if not (bin_directory / "pvrelay").exists():
        raise SystemExit(f"{bin_directory}/pvrelay: there is no such program; build it, or tell where it is with --bin or $PVRELAY_BIN")
    names = arguments or sorted(entry.parent.name for entry in HERE.glob("*/expected"))
    passed = [run_case(HERE / name, bin_directory) for name in names]
    return 0 if passed and all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
