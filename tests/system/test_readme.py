# SPDX-License-Identifier: MIT
"""The README's day with pvrelay, command by command, as it stands there."""

import json
import os
import pathlib
import re
import subprocess
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]

# How each command of the day must end, and what its output must tell. A command of the README that is not here fails the test.
EXPECTED = [
    ("pvrelay inspect", 0, "modules"),
    ("pvrelay run", 3, "rejected"),
    ("pvrelay rejects", 0, "unknown_value"),
    ("cp ", 0, ""),
    ("$EDITOR ", 0, ""),
    ("pvrelay lint", 0, "ok"),
    ("pvrelay retry-rejects", 0, ""),
    ("pvrelay status", 0, "complete"),
]


# The statuses that the generator's trap makes up.
UNKNOWN = ("OK", " ok", "broken", "microcrack")


def commands():
    day = re.search(r"^## A day with pvrelay\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S).group(1)
    return [line[4:] for line in day.splitlines() if line.startswith("    ")]


class Readme(unittest.TestCase):
    def test_day(self):
        with pipeline.folder() as root:
            exports = pipeline.generate(root, "--modules", 2000, "--trap", "unknown-status=3")
            self.assertEqual([e.name for e in exports], ["audits.json", "modules.json"])
            (root / "build").symlink_to(pipeline.BIN.parent)
            # The operator who adds the unknown statuses to both maps of the modules' status.
            editor = root / "editor"
            more_types = ", ".join(f'"{status}": "none"' for status in UNKNOWN)
            more_levels = ", ".join(f'"{status}": 0' for status in UNKNOWN)
            editor.write_text(f"#!/bin/sh\nsed -i 's/\"ok\": \"none\"/{more_types}, &/; s/\"ok\": 0,/{more_levels}, &/' \"$1\"\n")
            editor.chmod(0o755)
            environment = {**os.environ, "PATH": f"{pipeline.BIN}:{os.environ['PATH']}", "EDITOR": str(editor),
                           "XDG_RUNTIME_DIR": str(root)}
            found = commands()
            self.assertEqual(len(found), len(EXPECTED), found)
            for command, (start, exit_code, told) in zip(found, EXPECTED):
                self.assertTrue(command.startswith(start), f"{command} instead of {start}")
                done = subprocess.run(["sh", "-c", command], cwd=root, env=environment, capture_output=True, text=True,
                                      timeout=pipeline.DEADLINE)
                self.assertEqual(done.returncode, exit_code, f"{command}: {done.stdout}{done.stderr}")
                self.assertIn(told, done.stdout, command)
            target = root / "hub.db"
            self.assertEqual(pipeline.query(target, "SELECT count(*) FROM el_modules"), [(2000,)])
            self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_reject WHERE retried_by IS NULL"), [(0,)])

    def test_two_commands(self):
        """Both exist, and `./run` says what they do; that they work is seen on a fresh root (./run fresh)."""
        done = subprocess.run([ROOT / "run", "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        for word in re.findall(r"^    \./run (\w+)", (ROOT / "README.md").read_text(), re.M):
            self.assertRegex(done.stdout, rf"(?m)^  {word}\b")

    def test_tour(self):
        """Every folder of the tour is there, and every folder is in the tour."""
        tour = re.search(r"^## A tour of the sources\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S).group(1)
        told = set(re.findall(r"^\| `(\w+)/`", tour, re.M))
        self.assertTrue(all((ROOT / name).is_dir() for name in told), told)
        there = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")} - {"build"}
        self.assertEqual(there - told, set())


if __name__ == "__main__":
    unittest.main()
