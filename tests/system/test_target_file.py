# SPDX-License-Identifier: MIT
"""The target as a file: made only when a run begins, untouched by what is refused, and missed when it is taken away under a run."""

import contextlib
import os
import shutil
import re
import signal
import sqlite3
import subprocess
import unittest

import pipeline


class TargetFile(unittest.TestCase):
    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.place = self.root / "place"
        self.place.mkdir()
        self.target = self.place / "hub.db"
        self.run_dir = self.root / "d"

    def command(self, *words, expect):
        done = subprocess.run([str(pipeline.BIN / "pvrelay"), *map(str, words)], capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def refused(self):
        """Exports that are refused, by what is wrong with them, and the exit code."""
        exports = pipeline.generate(self.root / "good", "--preset", "production")
        failed = self.root / "failed.json"
        failed.write_text('{"error": {"text": "no such table"}}')
        cut = self.root / "cut.json"
        cut.write_bytes(exports[1].read_bytes()[:50000])
        unknown = self.root / "unknown.json"
        unknown.write_text('[{"results": [{"a": 1}], "success": true, "meta": {}}]')
        mapping = self.root / "mapping.json"
        mapping.write_text("{}")
        missing = self.root / "missing.json"
        return (([failed], 2), ([exports[0], cut], 2), ([unknown], 2), ([missing], 2), ([*exports, "--mapping", mapping], 1),
                ([*exports, "--lock-wait", "x"], 1))

    def test_a_refused_start_leaves_nothing(self):
        for words, code in self.refused():
            with self.subTest(words=words):
                self.command("run", *words, "--target", self.target, "--run-dir", self.run_dir, "--progress", "none", expect=code)
                self.assertEqual(list(self.place.iterdir()), [])

    def test_a_hub_that_never_saw_us_stays_as_it_is(self):
        """Not a byte of it changes, and nothing lies beside it."""
        self.command("migrate", "--target", self.root / "ours.db", expect=0)
        with contextlib.closing(sqlite3.connect(self.root / "ours.db")) as ours, contextlib.closing(sqlite3.connect(self.target)) as hub:
            for (sql,) in ours.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
                                       " AND tbl_name NOT LIKE 'pvrelay%' AND name <> 'd1_migrations' ORDER BY rowid").fetchall():
                hub.execute(sql)
            hub.commit()
        before = self.target.read_bytes()
        for words, code in self.refused():
            with self.subTest(words=words):
                self.command("run", *words, "--target", self.target, "--run-dir", self.run_dir, "--progress", "none", expect=code)
                self.assertEqual([entry.name for entry in self.place.iterdir()], ["hub.db"])
                self.assertEqual(self.target.read_bytes(), before)
        pipeline.run(sorted((self.root / "good").iterdir()), self.target, "--run-dir", self.run_dir)
        pipeline.assert_accounted(self, self.target)

    def taken_away(self, what, expect_left):
        """what(target) is done to a target in the middle of a run: it ends with exit code 5 and says why."""
        exports = pipeline.generate(self.root / "many", "--modules", 30000)
        config = pipeline.write_config(self.root / "c.json", exports, self.target, self.run_dir, batch_bytes=65536, window_bytes=262144)
        process = subprocess.Popen(pipeline.run_command(exports, self.target, "--config", config, "--run-dir", self.run_dir), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        pipeline.wait_until(lambda: pipeline.checkpoints(self.target) >= 2, "two checkpoints")
        transformer = pipeline.pid_of(self.run_dir, "transformer-1")
        os.kill(transformer, signal.SIGSTOP)
        try:
            what(self.target)
        finally:
            os.kill(transformer, signal.SIGCONT)
        errors = process.communicate(timeout=pipeline.DEADLINE)[1]
        self.assertEqual(process.returncode, 5, errors)
        # Whichever stage noticed first: one that commits to it, or one that was just going to read what lies there now.
        self.assertIn(f"pvrelay: TARGET: {self.target}: is no longer the file that was opened: it, or its -wal, was renamed, replaced or deleted"
                      " meanwhile; put it back where it was, then the same command continues\n", errors)
        for name in ("hub.db-wal", "hub.db-shm"):  # may be there, but hold nothing for whatever database comes to lie beside them
            with contextlib.suppress(FileNotFoundError):
                self.assertFalse(name.endswith("-wal") and (self.place / name).stat().st_size)
                (self.place / name).unlink()
        self.assertEqual(sorted(entry.name for entry in self.place.iterdir()), expect_left)
        return exports, config

    def test_renamed(self):
        """Put back, it goes on."""
        other = self.place / "other.db"
        exports, config = self.taken_away(lambda target: target.rename(other), ["other.db"])
        other.rename(self.target)
        pipeline.run(exports, self.target, "--config", config, "--run-dir", self.run_dir)
        pipeline.assert_accounted(self, self.target)

    def test_replaced(self):
        """What is in its place now is not touched, its -wal neither."""
        theirs = self.root / "theirs.db"
        with contextlib.closing(sqlite3.connect(theirs)) as db:
            db.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        before = theirs.read_bytes()
        self.taken_away(lambda target: shutil.copy(theirs, self.place / "new") and (self.place / "new").rename(target), ["hub.db"])
        self.assertEqual(self.target.read_bytes(), before)

    def test_deleted(self):
        self.taken_away(lambda target: target.unlink(), [])

    def test_its_wal_deleted(self):
        self.taken_away(lambda target: target.with_name("hub.db-wal").unlink(), ["hub.db"])


if __name__ == "__main__":
    unittest.main()
