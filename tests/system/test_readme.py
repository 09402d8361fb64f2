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
    ("pvrelay verify", 0, "The target holds what was exported"),
    ("pvrelay status", 0, "complete"),
]


# The statuses that the generator's trap makes up.
UNKNOWN = ("OK", " ok", "broken", "microcrack")


def settled(text):
    """What differs from run to run (times, sizes, shares) made the same, with the width of columns kept."""
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "YYYY-MM-DD", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", text)
    text = re.sub(r"\b\d\d-\d\d HH:MM:SS", "MM-DD HH:MM:SS", text)
    text = re.sub(r"(\(| ) *[\d.]+ (?:B|KB|MB|GB)\b", r"\1SIZE", text)
    return re.sub(r"\b[\d.]+ % of the database", "N % of the database", text)


def commands():
    return [line[4:] for line in section("A day with pvrelay").splitlines() if line.startswith("    ")]


def section(title):
    return re.search(rf"^## {title}\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S).group(1)


def session(title):
    """The commands of a section, each with the output that stands under it; None: none is shown."""
    found = []
    shows = False  # does this line belong to the output of the last command?
    for line in section(title).splitlines():
        if line.startswith("    $ "):
            found.append((line[6:], []))
            shows = True
        elif shows and (line == "" or line.startswith("    ")):
            found[-1][1].append(line[4:])
        else:
            shows = False
    return [(command, "\n".join(lines).rstrip("\n") + "\n" if any(lines) else None) for command, lines in found]


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

    def test_going_back(self):
        """Every command of the section, and all that it shows of their output, but for times and sizes."""
        codes = [0, 0, 0, 0, 0, 5, 0, 0, 0]
        with pipeline.folder() as root:
            pipeline.generate(root / "october", "--preset", "production")
            pipeline.generate(root / "november", "--preset", "production", "--revision", 2)
            environment = {**os.environ, "PATH": f"{pipeline.BIN}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(root)}
            dumps = {}
            found = session("Going back")
            self.assertEqual([command.split()[1] for command, output in found if command.startswith("pvrelay ")],
                             ["run", "checkpoint", "run", "checkpoints", "rollback", "rollback", "seal"])
            self.assertEqual([output is not None for command, output in found],
                             [False, True, False, True, False, True, False, True, True])
            for (command, output), code in zip(found, codes):
                done = subprocess.run(["sh", "-c", command], cwd=root, env=environment, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=pipeline.DEADLINE)
                self.assertEqual(done.returncode, code, f"{command}: {done.stdout}")
                if output is not None:
                    self.assertEqual(settled(done.stdout), settled(output), command)
                if command.startswith("pvrelay run"):
                    dumps[command.split()[2]] = pipeline.dump(root / "hub.db")
            now, then = pipeline.dump(root / "hub.db"), dumps["october/*.json"]
            self.assertEqual(now["interventions"].pop()[3:5], (b"thermique", b"2025-11-20"))  # theirs, and the id that it took
            now["sqlite_sequence"] = [row for row in now["sqlite_sequence"] if row[0] != b"interventions"]
            then["sqlite_sequence"] = [row for row in then["sqlite_sequence"] if row[0] != b"interventions"]
            pipeline.assert_same_dump(self, now, then)

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
