# SPDX-License-Identifier: MIT
"""Targets whose books say what no run has written: no command does what stands there, crashes, or goes on for ever. The campaign hostile_targets
looks for more of them; what it found stands here."""

import contextlib
import shutil
import sqlite3
import subprocess
import unittest

import pipeline

PVRELAY = pipeline.BIN / "pvrelay"


def frame(raw):
    """A zstd frame of one raw block (RFC 8878, 3.1.1): no library of Python's makes one."""
    return b"\x28\xb5\x2f\xfd" + bytes([0x20, len(raw)]) + (len(raw) << 3 | 1).to_bytes(3, "little") + raw


class HostileBooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = cls.enterClassContext(pipeline.folder())
        cls.exports = pipeline.generate(cls.base / "x", "--modules", 40, "--modules-per-audit", 20)
        pipeline.run(cls.exports, cls.base / "made.db")

    def setUp(self):
        self.folder = self.enterContext(pipeline.folder())
        self.target = self.folder / "hub.db"
        shutil.copy(self.base / "made.db", self.target)

    def spoil(self, *statements):
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("PRAGMA ignore_check_constraints = ON")
            for sql, *values in statements:
                db.execute(sql, values)
            db.commit()

    def give(self, *words, expect):
        done = subprocess.run([str(PVRELAY), *words, "--target", str(self.target)], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_an_undo_without_end(self):
        raw = b"T" + b"\xff" * 30
        self.spoil(("UPDATE pvrelay_undo SET changes = ?, size = ?", frame(raw), len(raw)))
        for options in ((), ("--dry-run",), ("--keep-theirs",)):
            self.assertIn("is damaged: at byte 6 of its changeset a length is too large; nothing was changed",
                          self.give("rollback", "--to", "0", *options, expect=5))

    def test_sql_in_place_of_an_index(self):
        elsewhere = self.folder / "elsewhere"
        for sql in (f"ATTACH '{elsewhere}' AS a; CREATE TABLE a.t (x)", "DROP TABLE users", f"VACUUM INTO '{elsewhere}'",
                    "CREATE INDEX evil ON el_modules (id); DROP TABLE users"):
            before = pipeline.dump(self.target)
            self.spoil(("INSERT OR REPLACE INTO pvrelay_deferred_index VALUES ('evil', 'el_modules', ?, 1)", sql))
            self.assertIn("is not executed", self.give("rollback", "--to", "0", expect=5))
            self.assertFalse(elsewhere.exists())
            pipeline.assert_same_dump(self, before, pipeline.dump(self.target))

    def test_a_table_into_which_no_run_writes(self):
        self.spoil(("UPDATE OR IGNORE pvrelay_checkpoint_rows SET table_name = 'pvrelay_run' WHERE table_name = 'el_modules'",))
        self.assertIn("names the table pvrelay_run, into which no run writes", self.give("rollback", "--to", "0", expect=5))

    def test_a_verdict_that_there_is_not(self):
        """It was the index of a table of words."""
        self.spoil(("UPDATE pvrelay_checkpoint SET validated = ?", 1e300))
        self.assertNotIn("yes", self.give("checkpoints", "--all", expect=0))
        self.assertNotIn('"proved": "yes"', self.give("checkpoints", "--json", expect=0))

    def test_nothing_where_something_must_be(self):
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            for table in ("pvrelay_run", "pvrelay_source", "pvrelay_checkpoint", "pvrelay_checkpoint_rows", "pvrelay_name", "pvrelay_shape"):
                db.executescript(f"PRAGMA foreign_keys = OFF; CREATE TABLE bare AS SELECT * FROM {table}; DROP TABLE {table};"
                                 f"ALTER TABLE bare RENAME TO {table}")
                for column in [row[1] for row in db.execute(f"PRAGMA table_info({table})")]:
                    if column not in ("run", "checkpoint", "source"):
                        db.execute(f'UPDATE {table} SET "{column}" = NULL')
            db.commit()
        for words in (("status",), ("status", "--json"), ("checkpoints", "--all"), ("checkpoints", "--json"), ("rejects",),
                      ("rollback", "--to", "0", "--dry-run"), ("verify", *map(str, self.exports))):
            done = subprocess.run([str(PVRELAY), *words, "--target", str(self.target)], capture_output=True, text=True, timeout=30)
            self.assertIn(done.returncode, range(6), done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
