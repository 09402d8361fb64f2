# SPDX-License-Identifier: MIT
"""SIGINT and SIGTERM end every command, with exit code 6, whatever it is in: a damaged target may be without end."""

import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import struct
import subprocess
import unittest

import pipeline

PVRELAY = pipeline.BIN / "pvrelay"
LEVELS, CHILDREN = 18, 40  # SQLite goes down 20 levels at most


def make_endless(path, table):
    """The table's tree: each page has many children, which are all the same page. Its rows are more than anybody will ever read."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
        size, = db.execute("PRAGMA page_size").fetchone()
        root, = db.execute("SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
        last, = db.execute("PRAGMA page_count").fetchone()
    content = bytearray(path.read_bytes())
    leaf = bytes(content[(root - 1) * size:root * size])
    pages = [root, *range(last + 1, last + LEVELS + 1)]  # the leaf, with the rows there were, is the last of them
    content += bytes(LEVELS * size)
    for page, child in zip(pages, pages[1:]):
        cells = [struct.pack(">IB", child, 1 + i) for i in range(CHILDREN)]
        head = struct.pack(">BHHHBI", 5, 0, CHILDREN, size - 5 * CHILDREN, 0, child)
        pointers = b"".join(struct.pack(">H", size - 5 * (i + 1)) for i in range(CHILDREN))
        body = head + pointers
        content[(page - 1) * size:page * size] = body + bytes(size - len(body) - 5 * CHILDREN) + b"".join(reversed(cells))
    content[(pages[-1] - 1) * size:pages[-1] * size] = leaf
    content[28:32] = struct.pack(">I", last + LEVELS)
    path.write_bytes(content)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Interrupt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = cls.enterClassContext(pipeline.folder())
        cls.exports = pipeline.generate(cls.base / "x", "--modules", 40, "--modules-per-audit", 20, "--trap", "unknown-status=2")
        pipeline.run(cls.exports, cls.base / "made.db", expect=3)

    def setUp(self):
        self.target = self.enterContext(pipeline.folder()) / "hub.db"
        shutil.copy(self.base / "made.db", self.target)

    def interrupt(self, number, *command):
        """A command that is at work, and has no end: what it says when it is told to."""
        with subprocess.Popen([str(PVRELAY), *map(str, command), "--target", str(self.target)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as process:
            pipeline.wait_until(lambda: process.poll() is not None or cpu_seconds(process.pid) > 0.3, "it to be at work")
            self.assertIsNone(process.poll(), process.stderr.read() if process.poll() is not None else "")
            process.send_signal(number)
            _, told = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 6, told)
        return told

    def test_between_the_steps_of_a_statement(self):
        make_endless(self.target, "pvrelay_reject")
        for number in (signal.SIGINT, signal.SIGTERM):
            self.assertEqual(self.interrupt(number, "rejects"), f"pvrelay: INTERRUPTED: {self.target}: interrupted\n")

    def test_inside_one_step(self):
        """count(*) of a whole table is one step of SQLite's; so the command is ended from outside it."""
        make_endless(self.target, "el_audits")
        with subprocess.Popen([str(PVRELAY), "inspect", str(self.target)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as process:
            pipeline.wait_until(lambda: cpu_seconds(process.pid) > 0.3, "it to be at work")
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=30)
        self.assertEqual((process.returncode, told[:21]), (6, "pvrelay: INTERRUPTED:"))

    def test_verify(self):
        make_endless(self.target, "el_modules")
        self.interrupt(signal.SIGINT, "verify", *self.exports)


if __name__ == "__main__":
    unittest.main()
