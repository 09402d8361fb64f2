# SPDX-License-Identifier: MIT
"""What the whole-daemon tests share: exports, runs, kills, dumps. No sleeps: waits are for a process, a file or a counter, with a deadline."""

import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ.get("PVRELAY_BIN", "build/test/bin")).resolve()
os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"  # the commands that messages offer are then `pvrelay …`
DEADLINE = float(os.environ.get("PVRELAY_TEST_DEADLINE", "120"))
STAGES = ("reader", "transformer-1", "writer", "validator")


def wait_until(condition, what, deadline=None):
    """Wait for condition() to be true; its value is returned."""
    end = time.monotonic() + (deadline or DEADLINE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.002)


@contextlib.contextmanager
def folder():
    """A folder of its own for a test, with a name short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="pvr-", dir="/tmp") as name:
        yield pathlib.Path(name)


def generate(directory, *arguments):
    """Make exports with the project's generator; returns them in the order of their names (audits first)."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run([BIN / "pvrelay-export-gen", "--out", directory, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return sorted(directory.iterdir())


class TargetTest(unittest.TestCase):
    """Tests that have a folder, with a target to be made and a run folder in it, and exports."""

    def setUp(self):
        holder = folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.target = self.root / "hub.db"
        self.run_dir = self.root / "d"

    def exports(self, *arguments):
        return generate(self.root / "exports", *arguments)


def run_command(exports, target, *options):
    return [str(BIN / "pvrelay"), "run", *map(str, exports), "--target", str(target), "--progress", "none", *map(str, options)]


def run(exports, target, *options, environment=None, expect=0):
    """`pvrelay run`, to its end; returns the finished process."""
    done = subprocess.run(run_command(exports, target, *options), capture_output=True, text=True, timeout=DEADLINE,
                          env={**os.environ, **(environment or {})})
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"pvrelay run ended with {done.returncode}, not {expect}:\n{done.stdout}\n{done.stderr}")
    return done


def write_config(path, exports, target, run_dir, **settings):
    path.write_text(json.dumps({"target": str(target), "sources": [str(e) for e in exports], "run_dir": str(run_dir), **settings}))
    return path


def dump(target):
    """Every row of every data table, the id counters, and the indexes: what two runs must agree on."""
    with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as db:
        db.text_factory = bytes
        tables = [name.decode() for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'pvrelay_%' AND name NOT LIKE 'sqlite_%'"
            " AND name <> 'd1_migrations' ORDER BY name")]
        content = {table: db.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall() for table in tables}
        content["indexes"] = db.execute(
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name NOT LIKE 'pvrelay_%' ORDER BY 1").fetchall()
        content["sqlite_sequence"] = db.execute(
            "SELECT name, seq FROM sqlite_sequence WHERE name NOT LIKE 'pvrelay_%' AND name <> 'd1_migrations'"
            " ORDER BY name").fetchall()
    return content


def query(target, sql, *parameters):
    with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True, timeout=30)) as db:
        return db.execute(sql, parameters).fetchall()


def checkpoints(target):
    """How many checkpoints a target has; 0 while it has not even tables."""
    try:
        return query(target, "SELECT count(*) FROM pvrelay_checkpoint")[0][0]
    except sqlite3.OperationalError:
        return 0


def assert_same_dump(test, one, other):
    test.assertEqual(one.keys(), other.keys())
    for table in one:
        test.assertEqual(len(one[table]), len(other[table]), f"rows of {table}")
        for row, twin in zip(one[table], other[table]):
            test.assertEqual(row, twin, f"a row of {table}")


def assert_accounted(test, target):
    """Promise 1 in the bookkeeping itself: read = written + unchanged + rejected, and all of it validated."""
    for stream, planned, done, unvalidated in query(
            target,
            "SELECT s.stream, s.records, coalesce(sum(c.inserted + c.updated + c.unchanged + c.rejected), 0),"
            " coalesce(sum(c.validated = 0), 0) FROM pvrelay_source s JOIN pvrelay_run r USING (run)"
            " LEFT JOIN pvrelay_checkpoint c ON c.run = s.run AND c.source = s.source AND c.kind = 'batch'"
            " WHERE r.state = 'complete' GROUP BY s.run, s.source"):
        test.assertEqual(planned, done, f"records of {stream}")
        test.assertEqual(unvalidated, 0, f"checkpoints of {stream} without a verdict")


def pid_of(run_dir, stage):
    """The process that holds a stage's lock; None if there is none."""
    try:
        pid = int((run_dir / f"{stage}.lock").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    return pid if b"pvrelay-" in command else None


def kill(pid):
    """End a process of ours the hard way; never anything else."""
    if pid is not None and pid > 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False
