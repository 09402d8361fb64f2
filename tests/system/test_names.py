# SPDX-License-Identifier: MIT
"""Names that others chose: paths that are not UTF-8 are refused or carried exactly, and none of them speaks for pvrelay on a terminal or in a log."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
LATIN1 = b"m\xe9.json"
SHOWN = "m\\xE9.json"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def call(program, *words, cwd=None):
    """A program's exit code, and what it said, which is UTF-8 and steers nothing."""
    command = [os.fsencode(pipeline.BIN / program), *(w if isinstance(w, bytes) else os.fsencode(w) for w in words)]
    done = subprocess.run(command, capture_output=True, timeout=pipeline.DEADLINE, cwd=cwd)
    output, errors = done.stdout.decode(), done.stderr.decode()
    assert STEERING.search(output + errors) is None, (output, errors)
    return done.returncode, output, errors


class Paths(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._folder = pipeline.folder()
        cls.here = cls._folder.__enter__()
        cls.audits, cls.modules = pipeline.generate(cls.here / "x", "--modules", 20)
        cls.latin1 = os.path.join(os.fsencode(cls.here), LATIN1)
        shutil.copy(cls.modules, cls.latin1)
        cls.target = cls.here / "hub.db"

    @classmethod
    def tearDownClass(cls):
        cls._folder.__exit__(None, None, None)

    def refused(self, option, program, *words, cwd=None):
        """By name, as wrong usage, and before anything is made."""
        code, output, errors = call(program, *words, cwd=cwd)
        self.assertEqual((code, output), (1, ""), errors)
        self.assertIn(SHOWN, errors)
        self.assertIn("is not UTF-8, so it could not be written down as it is; rename the file or its folder", errors)
        self.assertEqual(errors.count("\n"), 1)
        if option is not None:
            self.assertIn(option + " ", errors)
        self.assertFalse(self.target.exists())

    def test_an_export_is_not_dropped(self):
        for word in (self.latin1, LATIN1):
            self.refused(None, "pvrelay", "run", self.audits, word, "--target", self.target, cwd=self.here)
            self.refused(None, "pvrelay", "verify", self.audits, word, "--target", self.target, cwd=self.here)
            self.refused(None, "pvrelay", "inspect", word, cwd=self.here)
            self.refused(None, "pvrelay", "lint", word, cwd=self.here)

    def test_no_option_takes_one(self):
        """Every option of every command that takes a text."""
        seen = 0
        commands = re.findall(r"^  ([a-z-]+) +\S", call("pvrelay", "help")[1], re.M)
        self.assertIn("manage", commands)
        for command in commands:
            for option in re.findall(r"^  (--[a-z-]+) (?:DB|FILE|FOLDER|DIR|URL|NAME|POINT)\b", call("pvrelay", "help", command)[1], re.M):
                for words in ((option, self.latin1), (os.fsencode(option) + b"=" + self.latin1,)):
                    self.refused(option, "pvrelay", command, *words, self.audits, cwd=self.here)
                seen += 1
        self.assertGreaterEqual(seen, 25)
        for daemon in ("reader", "transformer", "writer", "validator"):
            self.refused("--config", f"pvrelay-{daemon}", "--config", self.latin1)
        for option in ("--config", "--run-dir", "--target"):
            self.refused(option, "pvrelay-monitor", option, self.latin1)

    def test_a_folder_on_the_way(self):
        """The words are UTF-8, but the folder they are relative to is not."""
        folder = os.path.join(os.fsencode(self.here), b"d\xe9")
        os.mkdir(folder)
        for source in (self.audits, self.modules):
            shutil.copy(source, os.path.join(folder, os.fsencode(source.name)))
        code, output, errors = call("pvrelay", "run", self.audits.name, self.modules.name, "--target", "hub.db", cwd=folder)
        self.assertEqual((code, output), (1, ""))
        self.assertIn('"sources": ', errors)
        self.assertIn("d\\xE9/audits", errors)
        self.assertEqual(sorted(os.listdir(folder)), sorted(os.fsencode(s.name) for s in (self.audits, self.modules)))
        with open(os.path.join(folder, b"c.json"), "w", encoding="utf-8") as out:
            json.dump({"target": "/tmp/x.db", "sources": ["a.json"], "run_dir": str(self.here / "r")}, out)
        code, output, errors = call("pvrelay-reader", "--check", "--config", "c.json", cwd=folder)
        self.assertEqual(code, 1, errors)
        self.assertIn('"sources": ', errors)

    def test_exact_where_it_can_be(self):
        """Whatever is UTF-8 is carried as it is."""
        with pipeline.folder() as here:
            odd = here / "new\nline \x1b[31m\u202e'\" é.json"
            shutil.copy(self.modules, odd)
            code, output, errors = call("pvrelay", "run", self.audits, odd, "--target", here / "h\n.db", "--report", here / "r\t", "--progress", "plain")
            self.assertEqual(code, 0, errors)
            self.assertEqual({path for (path,) in pipeline.query(here / "h\n.db", "SELECT path FROM pvrelay_source")},
                             {str(self.audits), str(odd)})
            self.assertEqual(pipeline.query(here / "h\n.db", "SELECT count(*) FROM el_modules"), [(20,)])
            self.assertTrue((here / "r\t" / "report.md").exists())
            self.assertIsNone(STEERING.search((here / "r\t" / "report.md").read_text(encoding="utf-8")))
            for words in (("status",), ("status", "--json"), ("checkpoints",), ("checkpoints", "--json"), ("inspect", odd),
                          ("rejects", "--all"), ("verify", self.audits, odd)):
                target = () if words[0] == "inspect" else ("--target", here / "h\n.db")
                code, output, errors = call("pvrelay", *words, *target)
                self.assertEqual(code, 0, errors)
                self.assertNotIn("\nline", output)


class Names(unittest.TestCase):
    def test_no_name_forges_a_line(self):
        """Names of fields, files and values that hold a line of a log, a colour, and a change of direction."""
        forged = "x\npvrelay: COMPLETE: all is well\n\x1b[2J\u202e\u009b"
        with pipeline.folder() as here:
            audits, modules = pipeline.generate(here / "x", "--modules", 20)
            for what in ("field", "value", "set"):
                records = json.loads(modules.read_text())[0]["results"]
                if what == "field":
                    records[3][forged] = 1
                elif what == "value":
                    records[3]["status"] = forged
                else:
                    records = [{forged: 1}]
                odd = here / f"{what}-{forged[:12]}.json"
                odd.write_text(json.dumps([{"results": records, "success": True, "meta": {}}]))
                code, output, errors = call("pvrelay", "run", audits, odd, "--target", here / f"{what}.db", "--report", here / what, "--verbose")
                self.assertEqual(code, 2 if what == "set" else 3, errors)
                for line in (output + errors).splitlines():
                    self.assertFalse(line.startswith("pvrelay: COMPLETE"), line)
                if what == "set":
                    self.assertIn("x\\npvrelay: COMPLETE", errors.splitlines()[-1])
                    self.assertIn("leave it out of the export or add a stream to the mapping", errors.splitlines()[-1])
                else:
                    code, output, errors = call("pvrelay", "rejects", "--target", here / f"{what}.db")
                    self.assertIn("[2J\\u202E\\u009B", output)
                    self.assertIsNone(STEERING.search((here / what / "report.md").read_text(encoding="utf-8")))


class Sources(unittest.TestCase):
    def lines(self, pattern):
        """(file, line) of the programs' sources that the pattern finds."""
        for folder in ("bench", "common", "control", "monitor", "reader", "transformer", "validator", "writer"):
            for source in sorted((ROOT / folder).glob("*.[ch]")):
                for line in source.read_text(encoding="utf-8").splitlines():
                    if pattern.search(line):
                        yield source.name, line

    def test_values_enter_a_json_in_one_place(self):
        """jansson's own makers give NULL for what is not UTF-8, and setting NULL leaves it out."""
        raw = re.compile(r"(?<![a-z_])json_(?:string|stringn|sprintf|vsprintf|pack|vpack|pack_ex|real|object_set|object_set_new|"
                         r"array_append|array_append_new|array_insert|dumps|dumpf|dump_file|dumpb)(?:_nocheck)?\(")
        self.assertEqual([found for found in self.lines(raw) if found[0] not in ("json.c", "json.h")], [], "use common/json.h")

    def test_behind_a_colon_stands_a_line(self):
        """Lines are ints; what is wider is an offset in an export, and that one is called a byte (common/position.h)."""
        self.assertEqual(list(self.lines(re.compile(r'%s:%(?:" PRI|l|z|j)'))), [], "use PR_AT_BYTE or pr_string_byte")


if __name__ == "__main__":
    unittest.main(verbosity=2)
