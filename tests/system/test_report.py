# SPDX-License-Identifier: MIT
"""The report: report.md compared whole with what it should be, report.json's keys with those that its manual page lists."""

import contextlib
import json
import os
import pathlib
import pty
import re
import sqlite3
import subprocess
import unittest

import managed
import pipeline

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
PAGE = HERE.parents[1] / "docs/man/pvrelay-report.5"
TIME = re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\b")


def normalised(text, root):
    """Without what changes from one run to the next: times, paths, digests of files, versions."""
    text = text.replace(str(pipeline.BIN.parent / "share"), "SHARE").replace(str(root), "ROOT")
    text = re.sub(r"^cd .*$", "cd FOLDER", text, flags=re.M)
    text = TIME.sub("TIME", text)
    text = re.sub(r"(UTC, )[0-9.,]+( s)", r"\1SECONDS\2", text)
    text = re.sub(r"`[0-9a-f]{16}`", "`DIGEST`", text)
    return re.sub(r"\| (pvrelay|SQLite) \| [0-9.]+ \|", r"| \1 | VERSION |", text)


def keys(value, path=""):
    """Every path of an object, as the manual page writes them."""
    if isinstance(value, dict):
        wild = re.search(r"\.target$", path) is not None
        for key, inner in value.items():
            yield from keys(inner, f"{path}.{'*' if wild else key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, path + "[]")
    else:
        yield path


def documented():
    return {line.split()[-1] for line in PAGE.read_text().splitlines() if re.match(r"\.It Li \S+$", line)}


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--preset", "production")
        cls.target = cls.root / "hub.db"
        cls.done = pipeline.run(cls.exports, cls.target, "--report", cls.root / "en")

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def read(self, folder, name="report.json"):
        text = (self.root / folder / name).read_text()
        return json.loads(text) if name.endswith(".json") else text

    def compare(self, folder, golden):
        """PVRELAY_GOLDEN=write makes the files anew; look at the difference before it is committed."""
        text = normalised(self.read(folder, "report.md"), self.root)
        if os.environ.get("PVRELAY_GOLDEN") == "write":
            (GOLDEN / golden).write_text(text)
        self.assertEqual(text.splitlines(), (GOLDEN / golden).read_text().splitlines())

    def verify(self, target, folder, *options, expect=0):
        done = subprocess.run([pipeline.BIN / "pvrelay", "verify", *self.exports, "--target", target, "--report",
                               self.root / folder, *options], capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def copy(self, name, *statements):
        """A copy of the target that somebody has changed."""
        copy = self.root / name
        with contextlib.closing(sqlite3.connect(f"file:{self.target}?mode=ro", uri=True)) as db, \
                contextlib.closing(sqlite3.connect(copy)) as other:
            db.backup(other)
            for statement in statements:
                self.assertEqual(other.execute(statement).rowcount, 1, statement)
            other.commit()
        return copy

    def assert_clean(self, text):
        """Tables have as many cells in each row as in their head; nothing is left of a template; no blank lines in a row."""
        columns = None
        for line in text.splitlines():
            cells = re.sub(r"\\\|", "", line).count("|") if line.startswith("|") else None
            if cells is not None and columns is not None:
                self.assertEqual(cells, columns, line)
            columns = cells
            self.assertNotRegex(line, r"\{\d")
        self.assertNotIn("\n\n\n", text)
        self.assertTrue(text.endswith("\n"))

    def test_english(self):
        self.compare("en", "production.en.md")
        self.assert_clean(self.read("en", "report.md"))

    def test_french(self):
        target = self.root / "fr.db"
        done = pipeline.run(self.exports, target, "--report", self.root / "fr", "--lang", "fr")
        self.compare("fr", "production.fr.md")
        self.assert_clean(self.read("fr", "report.md"))
        self.assertIn("\nTerminé\u00a0: les 464 enregistrements sont dans la base cible, et chacun a été vérifié par rapport à son "
                      "export.\n", "\n" + done.stdout)
        self.assertIn("  audits\u00a0: 2 = 2 + 0 + 0, exact\n", done.stdout)
        english = self.read("en")
        french = self.read("fr")
        for volatile in ("run", "made_at", "target", "command", "undo", "streams"):
            english.pop(volatile), french.pop(volatile)
        self.assertEqual(english, french)  # report.json has one language

    def test_the_facts(self):
        report = self.read("en")
        self.assertEqual((report["report_version"], report["kind"], report["verdict"], report["outcome"]), (1, "run", "good", 0))
        self.assertEqual([(s["stream"], s["exported"], s["written"], s["validated"], s["balances"]) for s in report["streams"]],
                         [("audits", 2, 2, 2, True), ("modules", 462, 462, 462, True)])
        (distribution,) = report["distributions"]
        self.assertEqual([(v["value"], v["target"], v["exported"], v["stored"]) for v in distribution["all"]["values"]],
                         [("ok", {"defect_type": "none", "severity_level": "0"}, 58, 58),
                          ("inequality", {"defect_type": "luminescence_inequality", "severity_level": "1"}, 135, 135),
                          ("microcracks", {"defect_type": "microcrack", "severity_level": "2"}, 87, 87),
                          ("dead", {"defect_type": "dead_module", "severity_level": "3"}, 182, 182)])
        self.assertEqual([(g["label"], g["exported"], g["stored"]) for g in distribution["groups"]],
                         [("JALIBAT", 242, 242), ("LES FORGES", 220, 220)])
        self.assertEqual({c["state"] for c in report["checks"]}, {"passed"})
        self.assertEqual([(t["table"], t["inserted"], t["rows"]) for t in report["tables"]],
                         [("users", 1, 1), ("clients", 2, 2), ("projects", 2, 2), ("interventions", 2, 2), ("el_audits", 2, 2),
                          ("el_modules", 462, 462)])
        self.assertEqual(report["undo"], {"run": 1, "possible": True, "taken_back": False, "checkpoint": 0,
                                          "command": f"pvrelay rollback --target {self.target} --to 0"})
        self.assertEqual([s["path"] for s in report["sources"]], [str(e) for e in self.exports])

    def test_the_commands_of_the_report_work(self):
        copy = self.copy("commands.db")
        text = self.read("en", "report.md").replace(str(self.target), str(copy)).replace(f"{self.root}/en", f"{self.root}/commands")
        commands = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines() if line != f"cd {os.getcwd()}"]
        self.assertEqual([c.split()[1] for c in commands], ["rollback", "rollback", "run", "verify"])
        environment = {**os.environ, "PATH": f"{pipeline.BIN}:{os.environ['PATH']}"}
        for command in (commands[3], commands[0], commands[1], commands[2], commands[3]):
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=pipeline.DEADLINE)
            self.assertEqual(done.returncode, 0, command + "\n" + done.stdout + done.stderr)
        self.assertEqual(pipeline.query(copy, "SELECT count(*) FROM el_modules"), [(462,)])

    def test_all_keys_are_documented_and_all_documented_keys_are_there(self):
        """Over a good run, one with rejects, a verification that fails, and a run that was stopped."""
        self.failed()
        self.rejects()
        seen = set()
        for folder in ("en", "failed", "rejects", self.stopped()):
            seen |= set(keys(self.read(folder)))
        groups = {"run", "undo", "distributions[].all", "api"}  # objects that may be null; api: a URL or null
        self.assertEqual(sorted(seen - documented()), [])
        self.assertEqual(sorted(documented() - seen - groups), [])

    def stopped(self):
        """The folder of the report of a managed run that did not begin."""
        root = self.root / "stopped"
        root.mkdir()
        (root / "a.json").write_text("[")
        with managed.Managed(root, [root / "a.json"], root / "hub.db") as manager:
            manager.start()
            manager.finish(self, 2)
        (folder,) = (root / "hub.db-reports").iterdir()
        return folder.relative_to(self.root)

    def failed(self):
        if (self.root / "failed").exists():
            return self.read("failed"), self.read("failed", "report.md")
        copy = self.copy("failed.db", "UPDATE el_modules SET comment = 'a|b' || char(10) || '`c' WHERE id = 7",
                         "UPDATE el_modules SET defect_type = 'none' WHERE id = 460", "DELETE FROM el_modules WHERE id = 9",
                         "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string,"
                         " defect_type, severity_level) SELECT el_audit_id, audit_token, 'MINE', 99, 99, 'none', 0 FROM el_modules"
                         " WHERE id = 1")
        self.verify(copy, "failed", expect=4)
        return self.read("failed"), self.read("failed", "report.md")

    def test_a_verification_that_fails(self):
        report, text = self.failed()
        self.assert_clean(text)
        self.assertEqual((report["kind"], report["verdict"], report["outcome"], report["run"]), ("verify", "failed", 4, None))
        self.assertEqual(report["failures_total"], len(report["failures"]))
        named = {(f["kind"], f["table"], f["column"]) for f in report["failures"]}
        for expected in (("mismatch", "el_modules", "comment"), ("mismatch", "el_modules", "defect_type"), ("missing", "el_modules", "")):
            self.assertIn(expected, named)
        states = {c["check"]: c["state"] for c in report["checks"]}
        self.assertEqual((states["rows"], states["distribution"], states["extra"], states["quick_check"], states["foreign_keys"]),
                         ("failed", "failed", "noted", "passed", "passed"))
        self.assertIn("- [ ] Every accepted record was read back and equals its export — ❌ **FAILED**\n", text)
        self.assertIn("- [x] The database file is sound (quick_check)\n", text)
        self.assertIn("| a value differs | `el_modules` |", text)
        mismatch = next(f for f in report["failures"] if f["kind"] == "mismatch")
        self.assertIn(f" | `{mismatch['path']}`, byte {mismatch['offset']} |\n", text)
        self.assertIn("| the row is missing | `el_modules` |", text)
        self.assertIn("`` 'a\\|b\\x0a`c' ``", text)
        self.assertIn("| Stream | Exported | Read | Rejected | Compared |\n", text)
        self.assertIn("⚠️ ", text)
        self.assertIn("**Verdict**: ❌ The target does not hold what was exported: ", text)
        self.assertEqual(report["undo"]["command"], f"pvrelay rollback --target {self.root}/failed.db --to 0")

    def rejects(self):
        if (self.root / "rejects").exists():
            return self.read("rejects"), self.read("rejects", "report.md")
        modules = json.loads(self.exports[1].read_text())
        modules[0]["results"][0]["status"] = "OK|`x`"
        modules[0]["results"][1]["audit_token"] = "nobody's"
        bad = self.root / "bad modules.json"
        bad.write_text(json.dumps(modules))
        pipeline.run((self.exports[0], bad), self.root / "rejects.db", "--report", self.root / "rejects", expect=3)
        return self.read("rejects"), self.read("rejects", "report.md")

    def test_rejects(self):
        report, text = self.rejects()
        self.assert_clean(text)
        self.assertEqual((report["verdict"], report["outcome"]), ("rejects", 3))
        self.assertEqual([(r["reason"], r["stream"], r["field"], r["count"], r["path"]) for r in report["rejects"]],
                         [("unknown_parent", "modules", "audit_token", 1, f"{self.root}/bad modules.json"),
                          ("unknown_value", "modules", "status", 1, f"{self.root}/bad modules.json")])
        target = f"{self.root}/rejects.db"
        self.assertIn("**Verdict**: ⚠️ Complete, but 2 of 464 records were rejected.  \n", text)
        self.assertIn("- **What is wrong**: 0 failures, 2 rejected records; ", text)
        self.assertIn("`` 'OK\\|`x`' ``", text)
        listed = subprocess.run([pipeline.BIN / "pvrelay", "rejects", "--target", target], capture_output=True, text=True, timeout=10)
        raw = (self.root / "bad modules.json").read_bytes()
        for reject, begins, record in zip(report["rejects"], (b'"nobody\'s"', b'"OK|`x`"'), (2, 1)):
            self.assertIn(begins, raw[reject["offset"]:].split(b"}")[0])
            self.assertIn(f"`{reject['path']}`, byte {reject['offset']}", text)
            self.assertIn(f"  {reject['path']}, byte {reject['offset']}, record {record}\n", listed.stdout)
        self.assertIn(f"```sh\npvrelay rejects --target {target} --run 1\n```\n", text)
        mapping = pipeline.BIN.resolve().parent / "share/pvrelay/mappings/el-to-hub.json"
        self.assertIn("Mend a copy of the mapping, and try them again:\n\n"
                      f"```sh\ncp -n {mapping} my-mapping.json\npvrelay retry-rejects --target {target} --mapping my-mapping.json\n```\n", text)
        self.assertIn(f"'{self.root}/bad modules.json' --target {target}", text)
        retried = subprocess.run([pipeline.BIN / "pvrelay", "retry-rejects", "--target", target, "--report", self.root / "retry",
                                  "--progress", "none"], capture_output=True, text=True, timeout=pipeline.DEADLINE)
        self.assertEqual(retried.returncode, 3, retried.stderr)
        report = self.read("retry")
        self.assertEqual((report["run"]["kind"], report["streams"][0]["rejected"], report["undo"]["run"]), ("retry", 2, 2))
        self.assertNotIn("pvrelay verify", self.read("retry", "report.md"))

    def test_a_run_that_changes_nothing(self):
        copy = self.copy("again.db")
        pipeline.run(self.exports, copy, "--report", self.root / "again")
        report = self.read("again")
        text = self.read("again", "report.md")
        self.assertEqual((report["verdict"], report["run"]["number"], report["streams"][1]["unchanged"]), ("good", 2, 462))
        self.assertEqual({c["state"] for c in report["checks"]}, {"passed"})
        self.assertIn("- **What went where**: nothing: no row of the target was changed\n", text)
        before = pipeline.query(copy, "SELECT max(checkpoint) FROM pvrelay_checkpoint WHERE run = 1")[0][0]
        self.assertEqual(report["undo"]["checkpoint"], before)
        self.assertIn(f"Before run 2 the target was at checkpoint {before}. ", text)

    def test_a_run_without_undo_says_so(self):
        pipeline.run(self.exports, self.root / "off.db", "--undo", "off", "--report", self.root / "off")
        self.assertEqual(self.read("off")["undo"], {"run": 1, "possible": False, "taken_back": False, "checkpoint": 0, "command": None})
        self.assertIn("\nRun 1 cannot be taken back: it was sealed, or made with --undo off.\n", self.read("off", "report.md"))

    def test_a_folder_that_cannot_be_made(self):
        done = pipeline.run(self.exports, self.root / "no.db", "--report", self.root / "no" / "such", expect=1)
        self.assertEqual(done.stderr, f"pvrelay: CONFIG: {self.root}/no/such: cannot make the folder of the report: "
                                      "No such file or directory\n")

    def on_terminal(self, target, **environment):
        """What `pvrelay run` prints on a terminal."""
        leader, follower = pty.openpty()
        process = subprocess.Popen(pipeline.run_command(self.exports, target), stdout=follower, stderr=subprocess.DEVNULL,
                                   env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm", **environment})
        os.close(follower)
        text = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while part := os.read(leader, 65536):
                text += part
        os.close(leader)
        self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0)
        return text.decode().replace("\r\n", "\n")

    def test_colour_is_for_terminals_that_want_it(self):
        self.assertNotIn("\033", self.done.stdout)
        told = "Complete: all 464 records are in the target, and each was proved against its export."
        self.assertIn(f"\n\033[32m{told}\033[0m\n", self.on_terminal(self.root / "colour1.db"))
        for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            text = self.on_terminal(self.root / "colour2.db", **environment)
            self.assertIn(f"\n{told}\n", text)
            self.assertNotIn("\033[3", text)


if __name__ == "__main__":
    unittest.main()
