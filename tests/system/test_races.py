# SPDX-License-Identifier: MIT
"""Data races, which no other sanitizer sees: programs with more than one thread that use SQLite, under valgrind's helgrind. It looks into
SQLite too, whose own code no compiler of ours instruments. With PVRELAY_RACES=all (./run sanitize) more of them, and larger."""

import os
import re
import shutil
import subprocess
import sys
import unittest

import pipeline

ALL = os.environ.get("PVRELAY_RACES") == "all"
FEW = ("--modules", 40, "--modules-per-audit", 20)


@unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
class Races(unittest.TestCase):
    def setUp(self):
        self.root = self.enterContext(pipeline.folder())
        self.target = self.root / "hub.db"

    def watch(self, *command, expect=0):
        """A command under helgrind: none of its threads may touch what another one is changing."""
        log = self.root / "helgrind"
        done = subprocess.run(["valgrind", "--tool=helgrind", "--history-level=approx", f"--log-file={log}", *map(str, command)],
                              capture_output=True, text=True, timeout=pipeline.DEADLINE)
        told = log.read_text()
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr + told)
        self.assertIn("ERROR SUMMARY", told)
        races = re.findall(r"Possible data race.*?(?=\n==\d+== \n==\d+== -|\Z)|lock order.*? violated.*?(?=\n==\d+== \n|\Z)", told, re.DOTALL)
        self.assertEqual(races[:3], [], f"{len(races)} in all")

    def load(self, *arguments):
        exports = pipeline.generate(self.root / "x", *arguments)
        pipeline.run(exports, self.target)
        return exports

    def test_verify(self):
        """Its quick_check and the check of the references read in a thread of their own."""
        exports = self.load(*(("--preset", "production") if ALL else FEW))
        self.watch(pipeline.BIN / "pvrelay", "verify", *exports, "--target", self.target)

    @unittest.skipUnless(ALL, "PVRELAY_RACES=all")
    def test_verify_beside_what_a_killed_writer_left(self):
        """A -wal with commits: what the two connections share is then more."""
        exports = self.load(*FEW)
        subprocess.run([sys.executable, "-c", "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
                        "db.execute('PRAGMA user_version = 7').fetchall(); os._exit(0)", self.target], check=True)
        self.assertGreater((self.root / "hub.db-wal").stat().st_size, 0)
        self.watch(pipeline.BIN / "pvrelay", "verify", *exports, "--target", self.target)


if __name__ == "__main__":
    unittest.main()
