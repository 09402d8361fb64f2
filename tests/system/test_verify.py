# SPDX-License-Identifier: MIT
"""`pvrelay verify`: what it proves, what it tells, what it leaves alone. (That it finds every change is test_corruption's matter.)"""

import contextlib
import hashlib
import json
import os
import pathlib
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import unittest

import pipeline

PVRELAY = str(pipeline.BIN / "pvrelay")
ROOT = pathlib.Path(__file__).resolve().parents[2]
JALIBAT = "a4e19950-c73c-412c-be4d-699c9de1dde1"


def verify(exports, target, *options, environment=None):
    return subprocess.run([PVRELAY, "verify", *map(str, exports), "--target", str(target), *map(str, options)],
                          capture_output=True, text=True, env={**os.environ, **(environment or {})}, timeout=pipeline.DEADLINE)


def change(target, *statements):
    """Behind the pipeline's back: no foreign keys, no triggers."""
    with contextlib.closing(sqlite3.connect(target)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        for name, in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            db.execute(statement)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def files(folder):
    """Every file of a folder with its content and the time of its last change."""
    return {path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(folder.iterdir()) if path.is_file()}


def rows(text):
    """The short form's table: {name: (records, proved, rejected, failures)}."""
    return {line.split()[0]: tuple(int(cell.replace(",", "")) for cell in line.split()[1:])
            for line in text.splitlines() if re.match(r"\S+( +[\d,]+)+$", line)}


class Verify(unittest.TestCase):
    def setUp(self):
        self.root = self.enterContext(pipeline.folder())
        self.target = self.root / "t" / "hub.db"
        self.target.parent.mkdir()

    def migrated(self, *arguments, expect=0, options=()):
        self.exports = pipeline.generate(self.root / "x", *arguments)
        pipeline.run(self.exports, self.target, *options, expect=expect)
        return self.exports

    def verify(self, *options, expect=0, **more):
        done = verify(self.exports, self.target, *options, **more)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def failures(self, *options):
        """What `--json` tells of a target that is not what was exported."""
        report = json.loads(self.verify("--json", *options, expect=4).stdout)
        self.assertEqual((report["outcome"], report["verdict"]), (4, "failed"))
        return report["failures"]

    # ---- what it tells

    def test_all_is_well(self):
        self.migrated("--preset", "production")
        done = self.verify()
        self.assertEqual(done.stderr, "")
        self.assertEqual(rows(done.stdout), {"audits": (2, 2, 0, 0), "modules": (462, 462, 0, 0), "whole": (0,)})
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], f"Proof of {self.target} against 2 files, mapping el-to-hub")
        self.assertEqual(lines[2].split(), ["stream", "records", "proved", "rejected", "failures"])
        self.assertEqual(lines[-1], "The target holds what was exported: all 464 records were proved against the exports.")
        self.assertNotIn("\033", done.stdout)

    def test_order_and_layout_of_exports_do_not_matter(self):
        self.migrated("--modules", 900, "--trap", "several-result-sets=4", "--trap", "bom", "--trap", "banner")
        self.exports.reverse()
        self.assertEqual(rows(self.verify().stdout)["modules"], (900, 900, 0, 0))
        self.exports = [export for export in self.exports if "modules" in export.name]  # some of them will do
        self.assertEqual(rows(self.verify().stdout), {"modules": (900, 900, 0, 0), "whole": (0,)})

    def test_changed_cell(self):
        self.migrated("--preset", "production")
        change(self.target, f"UPDATE el_modules SET comment = 'moved' WHERE audit_token = '{JALIBAT}' AND module_identifier = 'S3-14'")
        failure, = self.failures()
        modules = self.exports[1]
        self.assertEqual({name: failure[name] for name in ("kind", "stream", "table", "column", "expected", "stored", "path")},
                         {"kind": "mismatch", "stream": "modules", "table": "el_modules", "column": "comment", "expected": "NULL",
                          "stored": "'moved'", "path": str(modules)})
        self.assertIn("'S3-14'", failure["key"])
        self.assertIn(b'"module_id": "S3-14"', modules.read_bytes()[failure["offset"]:].split(b"}")[0])
        done = self.verify(expect=4)
        self.assertEqual(rows(done.stdout)["modules"], (462, 461, 0, 1))
        self.assertIn(f"  mismatch: el_modules {failure['key']}, column comment: expected NULL, stored 'moved' "
                      f"({modules}, byte {failure['offset']})\n", done.stdout)
        self.assertIn("\nWhat is stored is not what was exported: 1\n", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1],
                         "The target does not hold what was exported: 1 failure. Do not use it before they are understood.")

    def test_many_failures(self):
        self.migrated("--preset", "production")
        change(self.target, "UPDATE el_modules SET physical_row = 77")
        done = self.verify(expect=4)
        self.assertEqual(rows(done.stdout)["modules"], (462, 0, 0, 462))
        self.assertEqual(len(re.findall(r"^  mismatch: el_modules .*, column physical_row: ", done.stdout, re.M)), 20)
        self.assertIn("\n  … and 442 more; --json and --report tell the first 1000\n", done.stdout)
        self.assertEqual(len(self.failures()), 462)

    def test_deleted_row(self):
        self.migrated("--preset", "production")
        change(self.target, f"DELETE FROM el_modules WHERE audit_token = '{JALIBAT}' AND module_identifier = 'S3-14'")
        missing, = [f for f in self.failures() if f["kind"] == "missing"]
        self.assertEqual((missing["table"], missing["stream"]), ("el_modules", "modules"))
        self.assertIn("'S3-14'", missing["key"])

    def test_extra_row(self):
        self.migrated("--preset", "production")
        change(self.target, "INSERT INTO el_modules (el_audit_id, audit_token, module_identifier, string_number, position_in_string,"
                            " defect_type, severity_level) SELECT id, audit_token, 'S99-1', 99, 1, 'none', 0 FROM el_audits"
                            f" WHERE audit_token = '{JALIBAT}'",
               "UPDATE el_audits SET completion_rate = 100")
        done = self.verify()
        self.assertRegex(done.stdout, r"(?m)^  1 × modules\.id=\d+: .*'S99-1'")
        extra, = [f for f in self.failures("--extra", "fail") if f["kind"] == "extra"]
        self.assertEqual(extra["table"], "el_modules")
        self.assertIn("'S99-1'", extra["key"])

    def test_rejects(self):
        self.migrated("--modules", 500, "--trap", "unknown-status=4", "--trap", "bad-utf8=2", "--trap", "orphan-module=1", expect=3)
        done = self.verify()
        records, proved, rejected, failures = rows(done.stdout)["modules"]
        self.assertEqual((proved, rejected, failures), (records - 7, 7, 0))
        self.assertIn(f"but for 7 of {sum(r[0] for n, r in rows(done.stdout).items() if n != 'whole'):,} records, which had been "
                      "rejected", done.stdout.splitlines()[-1])

    def test_null_text(self):
        self.migrated("--modules", 300, "--trap", "null-text", options=("--null-text", "keep"), expect=3)
        records, proved, rejected, failures = rows(self.verify("--null-text", "keep").stdout)["modules"]
        self.assertEqual((records, proved + rejected, failures), (300, 300, 0))
        self.assertGreater(rejected, 0)  # "null" in an integer
        wrong = [(f["expected"], f["stored"]) for f in self.failures() if f["column"] == "comment"]
        self.assertGreater(len(wrong), 200)
        self.assertEqual(set(wrong), {("NULL", "'null'")})

    def test_another_mapping_than_the_runs(self):
        """Without --mapping, the one that the run used is taken from the target, and that is said; not if it was meddled with."""
        own = self.root / "own.json"
        own.write_text((ROOT / "mappings/el-to-hub.json").read_text().replace('"luminescence_inequality"', '"uneven"'))
        self.migrated("--modules", 60, options=("--mapping", own))
        own.unlink()
        done = self.verify()
        self.assertIn("run 1 used another mapping than ", done.stderr)
        self.assertIn("kept in the target", done.stderr)
        shipped = self.verify("--mapping", ROOT / "mappings/el-to-hub.json", expect=4)
        self.assertIn("is not the mapping that run 1 used", shipped.stderr)
        change(self.target, "UPDATE pvrelay_mapping SET text = replace(text, 'uneven', 'UNEVEN')")
        self.assertIn("is not the mapping that run 1 used", self.verify(expect=4).stderr)

    def test_other_exports(self):
        """A target that a later export was replayed into: the earlier one no longer is what it holds."""
        self.migrated("--preset", "production")
        earlier = self.exports
        later = pipeline.generate(self.root / "later", "--preset", "production", "--revision", 1)
        pipeline.run(later, self.target)
        self.exports = later
        self.verify()
        self.exports = earlier
        self.assertTrue(self.failures())

    def test_without_books(self):
        """A target without a single table of pvrelay's: the rows themselves are what counts."""
        self.migrated("--preset", "production")
        tables = [name for name, in pipeline.query(self.target, "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE "
                                                                "'pvrelay_%'")]
        change(self.target, *(f'DROP TABLE "{name}"' for name in tables))
        self.assertEqual(rows(self.verify().stdout)["modules"], (462, 462, 0, 0))
        change(self.target, "UPDATE el_audits SET location = location || ' '")
        self.assertEqual({f["column"] for f in self.failures() if f["table"] == "el_audits"}, {"location"})

    def test_json_and_report(self):
        self.migrated("--preset", "production")
        report = json.loads(self.verify("--json", "--report", self.root / "report").stdout)
        self.assertEqual([(s["stream"], s["exported"], s["rejected"], s["proved"], s["failures"]) for s in report["streams"]],
                         [("audits", 2, 0, 2, 0), ("modules", 462, 0, 462, 0)])
        self.assertEqual((report["failures"], report["failures_total"]), ([], 0))
        written = json.loads((self.root / "report" / "report.json").read_text())
        self.assertEqual(set(report), set(written))
        for stream in report["streams"]:
            del stream["proved"], stream["failures"]
        self.assertEqual(report, written)
        self.assertTrue((self.root / "report" / "report.md").read_text().startswith("# "))

    def test_french(self):
        self.migrated("--preset", "production")
        done = self.verify("--lang", "fr", "--report", self.root / "report")
        self.assertEqual(done.stdout.splitlines()[0],
                         f"Vérification de {self.target} par rapport à 2 fichiers, mapping el-to-hub")
        self.assertEqual(done.stdout.splitlines()[-1], "La base cible contient ce qui a été exporté\u00a0: les 464 enregistrements "
                                                       "ont été vérifiés par rapport aux exports.")
        self.assertIn("Rapport de vérification", (self.root / "report" / "report.md").read_text())
        change(self.target, f"DELETE FROM el_modules WHERE audit_token = '{JALIBAT}' AND module_identifier = 'S3-14'",
               "UPDATE el_modules SET severity_level = NULL WHERE id = 1")
        failures = {f["kind"]: f for f in self.failures()}
        text = self.verify("--lang", "fr", expect=4).stdout
        for kind in ("missing", "mismatch"):
            self.assertIn(f" ({self.exports[1]}, octet {failures[kind]['offset']})\n", text)
        self.assertIn(f"(audit_token='{JALIBAT}' déclare 242, il y en a 241)\n", text)

    def test_unfinished_run(self):
        """What a run has yet to commit is missing, and why is said. (A run that stands before its last ten records.)"""
        self.migrated("--preset", "production")
        change(self.target, "UPDATE pvrelay_run SET state = 'streaming', ended_at = NULL, outcome = NULL",
               "DELETE FROM el_modules WHERE id > 452")
        done = self.verify(expect=4)
        self.assertIn("\nRun 1 is not finished: what it has yet to commit is missing.\n", done.stdout)
        records, proved, rejected, failures = rows(done.stdout)["modules"]
        self.assertEqual((records, proved, rejected), (462, 452, 0))
        self.assertGreaterEqual(failures, 10)

    def test_beside_a_run(self):
        """While another export is replayed into the target: what was there stays proved, and the run is not disturbed."""
        self.migrated("--modules", 2000)
        other = pipeline.generate(self.root / "other", "--modules", 40000, "--seed", 77)
        with subprocess.Popen(pipeline.run_command(other, self.target, "--run-dir", self.root / "r"), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as run:
            before = pipeline.checkpoints(self.target)
            pipeline.wait_until(lambda: pipeline.checkpoints(self.target) > before, "a commit of the other run")
            self.assertEqual(rows(self.verify().stdout)["modules"], (2000, 2000, 0, 0))
            output, errors = run.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(run.returncode, 0, output + errors)
        self.verify()
        self.exports = other
        self.verify()

    # ---- what it leaves alone

    def test_changes_nothing(self):
        """Not a byte of the target, and no file beside it; in any journal mode."""
        self.migrated("--preset", "production")
        for mode in ("wal", "delete", "truncate", "persist"):
            with contextlib.closing(sqlite3.connect(self.target)) as db:
                self.assertEqual(db.execute(f"PRAGMA journal_mode = {mode}").fetchone(), (mode,))
                db.execute("UPDATE users SET phone = 'x' WHERE 0")
            with self.subTest(mode):
                before = files(self.target.parent)
                self.verify("--report", self.root / "report")
                self.assertEqual(files(self.target.parent), before)

    def test_leaves_the_journal_of_a_killed_writer(self):
        """Commits that still stand in a -wal are read, and stay there."""
        self.migrated("--preset", "production")
        killed = ("import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
                  "db.execute('PRAGMA journal_mode = wal'); db.execute('PRAGMA wal_autocheckpoint = 0');"
                  "db.execute(\"UPDATE el_audits SET location = 'elsewhere'\"); os._exit(0)")
        subprocess.run([sys.executable, "-c", killed, self.target], check=True)
        wal = self.target.with_name("hub.db-wal")
        before = files(self.target.parent)
        self.assertGreater(wal.stat().st_size, 0)
        self.assertIn("'elsewhere'", {f["stored"] for f in self.failures()})
        after = files(self.target.parent)
        self.assertEqual(set(after) - {"hub.db-shm"}, set(before) - {"hub.db-shm"})
        for name in ("hub.db", "hub.db-wal"):
            self.assertEqual(after[name], before[name], name)

    def test_beside_a_writer(self):
        """Somebody writes, and has not committed: what is committed is what is proved."""
        self.migrated("--preset", "production")
        with contextlib.closing(sqlite3.connect(self.target, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = wal")
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE el_modules SET physical_row = 99")
            self.verify()
            db.execute("COMMIT")
            self.verify(expect=4)

    def test_read_only_file(self):
        self.migrated("--preset", "production")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("PRAGMA journal_mode = delete")
        self.target.chmod(0o444)
        self.verify()

    # ---- what is wrong with what it is given

    def test_wrong_words(self):
        export = pipeline.generate(self.root / "x", "--preset", "production")[0]
        target = self.root / "none.db"
        for arguments, code, message in (
                ((), 1, "USAGE: no export is given; see `pvrelay help verify`"),
                ((export,), 1, "USAGE: --target DB is missing; see `pvrelay help verify`"),
                ((export, "--target", target, "--extra", "drop"), 1,
                 "USAGE: --extra drop: report or fail is expected; see `pvrelay help verify`"),
                ((export, "--target", target, "--lang", "de"), 1, "USAGE: --lang de: en or fr is expected; see `pvrelay help verify`"),
                ((export, "--target", target), 5, f"TARGET: {target}: there is no such file"),
                ((export, "--target", export), 5, f"TARGET: {export}: file is not a database"),
                ((export, "--target", target, "--mapping", "/nowhere.json"), 1,
                 "CONFIG: /nowhere.json: the mapping cannot be read: No such file or directory")):
            done = subprocess.run([PVRELAY, "verify", *map(str, arguments)], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (code, ""), arguments)
            self.assertEqual(done.stderr, f"pvrelay: {message}\n")
        self.assertFalse(target.exists())

    def test_wrong_exports(self):
        self.migrated("--preset", "production")
        modules = self.exports[1]
        before = files(self.target.parent)
        for path, code, name in ((self.root / "none.json", 2, "UNREADABLE"), (self.target, 2, "UNREADABLE")):
            done = verify([path], self.target)
            self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
            self.assertTrue(done.stderr.startswith(f"pvrelay: {name}: {path}"), done.stderr)
        modules.write_bytes(modules.read_bytes()[:5000])
        done = verify(self.exports, self.target)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertTrue(done.stderr.startswith(f"pvrelay: TRUNCATED: {modules}, byte 5000 (line "), done.stderr)
        self.assertEqual(files(self.target.parent), before)

    def test_target_of_another_schema(self):
        self.exports = pipeline.generate(self.root / "x", "--preset", "production")
        with contextlib.closing(sqlite3.connect(self.target)) as db:
            db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
        done = verify(self.exports, self.target)
        self.assertEqual((done.returncode, done.stdout), (5, ""), done.stderr)
        self.assertTrue(done.stderr.startswith("pvrelay: TARGET"), done.stderr)

    # ---- progress, and an end before the end

    def test_interrupted(self):
        self.migrated("--modules", 60000)
        before = files(self.target.parent)
        with subprocess.Popen([PVRELAY, "verify", *map(str, self.exports), "--target", str(self.target)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as done:
            def catches():  # as soon as it takes the signal itself
                caught = re.search(r"^SigCgt:\s+(\w+)", pathlib.Path(f"/proc/{done.pid}/status").read_text(), re.M)
                return int(caught.group(1), 16) >> (signal.SIGINT - 1) & 1
            pipeline.wait_until(catches, "the handler of SIGINT")
            done.send_signal(signal.SIGINT)
            output, errors = done.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual((done.returncode, output, errors), (6, "", "pvrelay: INTERRUPTED: interrupted; nothing was written\n"))
        self.assertEqual(files(self.target.parent), before)

    def test_progress(self):
        self.migrated("--modules", 60000)
        self.assertEqual(self.verify().stderr, "")  # no terminal: none, unless it is asked for
        self.assertRegex(self.verify("--progress", "plain").stderr, r"\A(pvrelay: (scanning|proving) [\d.]+ % of .*\n)*\Z")
        leader, terminal = pty.openpty()
        done = subprocess.Popen([PVRELAY, "verify", *map(str, self.exports), "--target", str(self.target)], stdout=subprocess.PIPE,
                                stderr=terminal, env={**os.environ, "TERM": "xterm"})
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError), open(leader, "rb", buffering=0) as out:  # EIO: the other side is closed
            while piece := out.read(4096):
                shown += piece
        done.communicate(timeout=pipeline.DEADLINE)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(shown, rb"\A(\r\033\[K(scanning|proving) [\d.]+ % of [^\r\n]*)*(\r\033\[K)?\Z")
        if shown:
            self.assertTrue(shown.endswith(b"\r\033[K"), shown)


if __name__ == "__main__":
    unittest.main()
