# SPDX-License-Identifier: MIT
"""Commands that are printed can be pasted, as they stand, and do what was promised: in a folder with an ugly name, pvrelay not on PATH."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import unittest

import pipeline

NAME = """Müller's "neue" $Anlage"""


class Hints(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(pipeline.folder()) / NAME
        self.folder.mkdir()
        self.environment = {**os.environ, "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(self.folder.parent)}

    def paste(self, line, expect):
        done = subprocess.run(["sh", "-c", line], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, expect, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def run_exports(self, *exports, expect, options=""):
        return self.paste(f"{pipeline.BIN}/pvrelay run {' '.join(exports)} --target hub.db {options}", expect)

    def offered(self, text):
        """The commands that stand on lines of their own below the verdict, in order."""
        return re.findall(r"^  (\S.*)$", text[text.index("\nComplete, but "):], re.M)

    def further(self, text):
        for line in re.search(r"^Look further: (.*)$", text, re.M).group(1), re.search(r"each one: (.*)$", text, re.M).group(1):
            self.paste(line, 0)

    def mend(self):
        path = self.folder / "my-mapping.json"
        mapping = json.loads(path.read_text())
        mapping["value_maps"]["defect_type"]["broken"] = "dead_module"
        mapping["value_maps"]["severity_level"]["broken"] = 3
        path.write_text(json.dumps(mapping))

    def spoil(self):
        exports = pipeline.generate(self.folder, "--modules", 20)
        modules = json.loads(exports[1].read_text())
        modules[0]["results"][3]["status"] = "broken"
        exports[1].write_text(json.dumps(modules))

    def test_after_mending_the_mapping(self):
        self.spoil()
        text = self.run_exports("audits.json", "modules.json", expect=3)
        self.further(text)
        copy, retry = self.offered(text)
        self.paste(copy, 0)
        self.mend()
        self.paste(copy, 0)  # pasted again: what was mended stays
        self.paste(retry, 0)

    def test_a_mapping_that_was_given_is_given_again(self):
        self.spoil()
        (self.folder / "my-mapping.json").write_bytes((pipeline.BIN.parent / "share/pvrelay/mappings/el-to-hub.json").read_bytes())
        text = self.run_exports("audits.json", "modules.json", expect=3, options="--mapping my-mapping.json --report proof")
        retry, = self.offered(text)
        self.assertIn(f"```sh\n{retry}\n```\n", (self.folder / "proof/report.md").read_text())
        self.mend()
        self.paste(retry, 0)

    def test_rows_that_others_changed(self):
        pipeline.generate(self.folder, "--modules", 20)
        self.run_exports("audits.json", "modules.json", expect=0)
        with contextlib.closing(sqlite3.connect(self.folder / "hub.db")) as db:
            db.execute("UPDATE el_modules SET comment = 'mine' WHERE id = 7")
            db.commit()
        text = self.run_exports("audits.json", "modules.json", expect=3)
        self.further(text)
        settle, = self.offered(text)
        self.assertNotIn("Mend ", text)
        self.paste(settle, 0)
        with contextlib.closing(sqlite3.connect(self.folder / "hub.db")) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM el_modules WHERE comment = 'mine'").fetchall(), [(0,)])

    def test_only_modules(self):
        """A retry would reject them again, and no mapping is to be mended."""
        pipeline.generate(self.folder, "--modules", 20)
        text = self.run_exports("modules.json", expect=3)
        self.assertEqual(self.offered(text), [])
        self.assertIn("\nReplay audits too: with their exports beside these, the same command does.\n", text)
        self.run_exports("modules.json", "audits.json", expect=0)

    def test_what_no_mapping_takes(self):
        pipeline.generate(self.folder, "--modules", 20, "--trap", "bad-utf8", "--trap", "duplicate-key", "--trap", "orphan-module")
        text = self.run_exports("audits.json", "modules.json", expect=3)
        self.assertEqual(self.offered(text), [])
        self.assertIn("\nComplete, but 3 of 21 records were rejected.\nMend the exports, and replay them.\nLook further: ", text)

    def test_the_report(self):
        """All shell blocks of the report, from another folder, in the order in which they stand."""
        self.spoil()
        self.run_exports("audits.json", "modules.json", expect=3, options="--report 'the report'")
        blocks = re.findall(r"^```sh\n(.*?)^```$", (self.folder / "the report/report.md").read_text(), re.M | re.S)
        self.folder = self.folder.parent
        for block, code in zip(blocks, (0, 3, 0, 3, 0), strict=True):  # rejects, retry, back, again, verify
            self.paste("set -e\n" + block, code)

    def test_from_a_usage_error(self):
        for words, code in (("status", 1), ("top --run-dir 'no such'", 1), ("rollback --target hub.db", 1)):
            text = self.paste(f"{pipeline.BIN}/pvrelay {words}", code)
            self.paste(re.search(r"`(.*)`", text).group(1), 0)
        for program in "reader", "writer", "monitor":
            text = self.paste(f"{pipeline.BIN}/pvrelay-{program}", 1)
            self.assertIn("Usage: ", self.paste(re.search(r"`(.*)`", text).group(1), 0))


if __name__ == "__main__":
    unittest.main()
