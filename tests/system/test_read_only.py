# SPDX-License-Identifier: MIT
"""Who may only read: what needs no right to write works without it, and else says why not. As another user, and on a read-only medium."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import pipeline

PVRELAY = pipeline.BIN / "pvrelay"
ROOT = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")

# Opens a target in WAL mode, writes, keeps it open until it is told to go on, and is then gone without closing it.
WRITER = """import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA user_version = 7").fetchall()
print("written", flush=True)
sys.stdin.readline()
os._exit(0)"""


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "takes root, to become another user")
class ReadOnly(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="pvr-", dir="/tmp")))
        cls.base.chmod(0o755)
        # A copy, in case the build lies where another user may not look.
        (cls.base / "bin").mkdir()
        shutil.copy(PVRELAY, cls.base / "bin/pvrelay")
        (cls.base / "share").mkdir()
        for data in ("mappings", "migrations"):
            shutil.copytree(ROOT / data, cls.base / "share/pvrelay" / data)
        cls.made = cls.base / "made"
        exports = pipeline.generate(cls.made / "x", "--modules", 40, "--modules-per-audit", 20, "--trap", "unknown-status=2")
        cls.names = [export.name for export in exports]
        pipeline.run(exports, cls.made / "hub.db", expect=3)

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="t-", dir=self.base)))
        for name in self.names:
            shutil.copy(self.made / "x" / name, self.folder)
        self.target = self.folder / "hub.db"
        shutil.copy(self.made / "hub.db", self.target)
        self.folder.chmod(0o755)
        for path in self.folder.iterdir():
            path.chmod(0o644)

    def commands(self):
        target = ("--target", self.target)
        yield ("verify", *(self.folder / name for name in self.names), *target), (0,)
        yield ("status", *target), (0,)
        yield ("rejects", *target), (0,)
        yield ("rejects", "--json", *target), (0,)
        yield ("checkpoints", *target), (0,)
        yield ("inspect", self.target), (0,)
        yield ("migrate", "--list", "--migrations", self.base / "share/pvrelay/migrations", *target), (0,)

    def run_as_nobody(self, *arguments, before=()):
        return subprocess.run([*AS_NOBODY, *before, str(self.base / "bin/pvrelay"), *map(str, arguments)], capture_output=True, text=True,
                              timeout=pipeline.DEADLINE, cwd="/")

    def files(self):
        return {path.name: (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_uid) for path in self.folder.iterdir()}

    def all_work(self, run=None):
        before = self.files()
        for command, codes in self.commands():
            done = (run or self.run_as_nobody)(*command)
            self.assertIn(done.returncode, codes, f"{command}\n{done.stdout}{done.stderr}")
            self.assertEqual(done.stderr, "", command)
        self.assertEqual(self.files(), before)

    def test_another_user(self):
        self.all_work()

    def test_another_user_who_may_write_the_folder_but_not_the_file(self):
        """Not even then is a file of his left behind, which the next writer could not write to."""
        self.folder.chmod(0o777)
        self.all_work()

    def test_another_user_who_may_write_the_file_but_not_the_folder(self):
        self.target.chmod(0o666)
        self.all_work()

    def test_path_with_characters_of_a_uri(self):
        self.target = self.target.rename(self.folder / "a?b#c%41 é.db")
        self.all_work()

    def test_not_in_wal_mode(self):
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            self.assertEqual(db.execute("PRAGMA journal_mode = DELETE").fetchone(), ("delete",))
        self.all_work()

    def test_a_writer_is_at_work(self):
        """Its -wal and -shm are there, and can be read."""
        with self.writer() as writer:
            self.all_work()
            writer.stdin.close()

    def test_a_read_only_medium(self):
        """Also what the killed writer left: -wal and -shm."""
        for left in (False, True):
            with self.subTest(left=left):
                if left:
                    with self.writer():
                        pass
                    self.assertGreater((self.folder / "hub.db-wal").stat().st_size, 0)
                self.all_work(self.run_on_read_only_medium)

    def run_on_read_only_medium(self, *arguments):
        inside = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        done = subprocess.run(["unshare", "--mount", "sh", "-c", inside, str(self.folder), str(self.base / "bin/pvrelay"),
                               *map(str, arguments)], capture_output=True, text=True, timeout=pipeline.DEADLINE, cwd="/")
        if "unshare" in done.stderr or "mount:" in done.stderr:
            self.skipTest("nothing can be mounted here: " + done.stderr.strip())
        return done

    def test_what_cannot_be_read_says_why(self):
        """A -wal with commits in it and nothing to read it by: no message of SQLite's alone."""
        with self.writer():
            pass
        (self.folder / "hub.db-shm").unlink()
        for command, _ in self.commands():
            done = self.run_as_nobody(*command)
            self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
            self.assertIn(f"there is a file {self.target}-wal beside it", done.stderr)
            self.assertIn(f"pvrelay status --target {self.target}`", done.stderr)
        subprocess.run([str(PVRELAY), "status", "--target", str(self.target)], check=True, stdout=subprocess.DEVNULL)
        self.all_work()

    def test_no_right_to_read(self):
        self.target.chmod(0o600)
        done = self.run_as_nobody("status", "--target", self.target)
        self.assertEqual((done.returncode, done.stderr),
                         (5, f"pvrelay: TARGET: {self.target}: cannot be opened for reading: Permission denied\n"))

    @contextlib.contextmanager
    def writer(self):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(self.target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as process:
            self.assertEqual(process.stdout.readline(), "written\n")
            yield process
            with contextlib.suppress(BrokenPipeError, ValueError):
                process.stdin.close()


if __name__ == "__main__":
    unittest.main()
