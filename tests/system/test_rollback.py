# SPDX-License-Identifier: MIT
"""Back to an earlier point, with the programs: every kind of point and conflict, kills, full disks, rollbacks that a run does itself."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import unittest

import pipeline

# Windows of a rollback, and at which passing they strike.
WINDOWS = {
    "rollback.begun": 1,
    "rollback.between-checkpoints": 3,
    "rollback.applied": 1,
    "rollback.before-commit": 1,
    "rollback.after-commit": 1,
}


def pvrelay(*arguments, environment=None):
    return subprocess.run([pipeline.BIN / "pvrelay", *map(str, arguments)], capture_output=True, text=True, timeout=pipeline.DEADLINE,
                          env={**os.environ, **(environment or {})})


def change(target, sql):
    """By another user, who has the HUB's triggers."""
    with contextlib.closing(sqlite3.connect(target, timeout=30)) as db:
        db.executescript(sql)


def everything(target):
    """All rows of all tables, and the schema; times in the books only as there or not."""
    with contextlib.closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as db:
        db.text_factory = bytes
        content = {b"schema": db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()}
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = db.execute(f'SELECT * FROM "{table.decode()}" ORDER BY 1, 2')
            hidden = [table.startswith(b"pvrelay_") and column[0].endswith("_at") for column in rows.description]
            content[table] = [tuple(value is None if hide else value for value, hide in zip(row, hidden)) for row in rows]
    return content


class RollbackTest(unittest.TestCase):
    """Two runs, the second one of the same database some edits later, on a target with rows of its own."""

    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.shared = cls.holder.__enter__()
        size = ("--audits", 3, "--modules-per-audit", 60)
        cls.exports = [pipeline.generate(cls.shared / f"e{n}", *size, "--revision", n, "--trap", "unknown-status=2") for n in (0, 1, 2)]
        cls.config = pipeline.write_config(cls.shared / "small.json", cls.exports[0], cls.shared / "unused.db", cls.shared / "unused",
                                           batch_bytes=8192, resend_ms=300)
        base = cls.shared / "base.db"
        assert pvrelay("migrate", "--target", base).returncode == 0
        change(base, "INSERT INTO clients (name) VALUES ('Own client');"
                     "INSERT INTO projects (client_id, name, site_address) VALUES (1, 'Own project', 'Pau')")
        cls.dumps = [pipeline.dump(base)]
        cls.newest = [0]
        for exports in cls.exports[:2]:
            pipeline.run(exports, base, "--config", cls.config, "--run-dir", cls.shared / "r", expect=3)
            cls.dumps.append(pipeline.dump(base))
            cls.newest.append(pipeline.query(base, "SELECT max(checkpoint) FROM pvrelay_checkpoint")[0][0])
        assert cls.newest[1] >= 8, cls.newest
        change(base, "PRAGMA wal_checkpoint(TRUNCATE)")
        cls.base = base

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    def setUp(self):
        holder = pipeline.folder()
        self.root = holder.__enter__()
        self.addCleanup(holder.__exit__, None, None, None)
        self.target = self.root / "hub.db"
        self.begin_anew()

    def begin_anew(self):
        """The target as it was at the beginning of the test."""
        for path in self.root.glob("hub.db*"):
            path.unlink()
        self.target.write_bytes(self.base.read_bytes())

    def run_on(self, exports, *options, expect=3, **more):
        return pipeline.run(exports, self.target, "--config", self.config, "--run-dir", self.root / "d", *options, expect=expect, **more)

    def rollback(self, *arguments, expect=0, **more):
        done = pvrelay("rollback", "--target", self.target, *arguments, **more)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def same(self, expected):
        pipeline.assert_same_dump(self, expected, pipeline.dump(self.target))

    def runs(self):
        return pipeline.query(self.target, "SELECT run, state, outcome, rolled_back_at IS NOT NULL FROM pvrelay_run ORDER BY run")

    def clean(self):
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM pragma_foreign_key_check"), [(0,)])
        self.assertEqual(pipeline.query(self.target, "PRAGMA quick_check"), [("ok",)])


class Points(RollbackTest):
    def test_start_of_the_last_run_and_of_an_earlier_one(self):
        done = self.rollback("--to", "start-of-run")
        self.same(self.dumps[1])
        self.assertEqual(done.stderr, "")
        self.assertIn(f"Done: the target stands at checkpoint {self.newest[1]}.\n", done.stdout)
        self.assertTrue(done.stdout.endswith("Checked: foreign keys, quick_check.\nReplaying begins a new run.\n"), done.stdout)
        self.assertEqual(self.runs(), [(1, "complete", 3, 0), (2, "abandoned", 3, 1)])
        self.rollback("--to", "start-of-run=1")
        self.same(self.dumps[0])
        self.assertEqual([run[3] for run in self.runs()], [1, 1])
        self.clean()
        # And everything again.
        self.run_on(self.exports[0])
        self.same(self.dumps[1])
        self.run_on(self.exports[1])
        self.same(self.dumps[2])

    def test_every_checkpoint(self):
        """Back through all of them, one by one, is the way everything came; and forward again from the middle."""
        seen = []
        for checkpoint in range(self.newest[2] - 1, 2, -1):
            self.rollback("--to", checkpoint)
            self.clean()
            seen.append(len(pipeline.dump(self.target)["el_modules"]))
            if checkpoint == self.newest[1]:
                self.same(self.dumps[1])
        self.assertEqual(seen, sorted(seen, reverse=True))
        # The second run was taken back in part first, so that it had no outcome any more when the rest of it went.
        self.assertEqual(self.runs(), [(1, "streaming", None, 0), (2, "abandoned", None, 1)])
        self.run_on(self.exports[0])
        self.same(self.dumps[1])
        self.assertEqual(self.runs(), [(1, "complete", 3, 0), (2, "abandoned", None, 1)])
        self.run_on(self.exports[1])
        self.same(self.dumps[2])
        pipeline.assert_accounted(self, self.target)

    def test_within_an_earlier_run_after_several(self):
        self.run_on(self.exports[2])
        self.run_on(self.exports[0])
        done = self.rollback("--to", 4)
        total = 3 + 180
        records = pipeline.query(self.target, "SELECT sum(records) FROM pvrelay_checkpoint WHERE run = 1")[0][0]
        self.assertTrue(done.stdout.endswith(f"Replaying the same exports continues run 1 at record {records + 1} of {total}.\n"), done.stdout)
        self.assertEqual(pipeline.query(self.target, "SELECT max(checkpoint) FROM pvrelay_checkpoint WHERE run = 1"), [(4,)])
        # Other exports than those of the run that goes on are refused, as always.
        self.assertIn("pvrelay: SOURCE_CHANGED: ", self.run_on(self.exports[1], expect=2).stderr)
        self.run_on(self.exports[0])
        self.same(self.dumps[1])
        self.run_on(self.exports[1])
        self.same(self.dumps[2])

    def test_names(self):
        self.rollback("--to", "start-of-run")
        done = pvrelay("checkpoint", "avant-août", "--target", self.target)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.run_on(self.exports[1])
        self.same(self.dumps[2])
        self.rollback("--to", "avant-août")
        self.same(self.dumps[1])
        self.assertEqual(pipeline.query(self.target, "SELECT name, checkpoint FROM pvrelay_name"), [("avant-août", self.newest[1])])
        done = self.rollback("--to", 3)
        self.assertIn("  names that go: avant-août\n", done.stdout)
        done = self.rollback("--to", "avant-août", expect=1)
        self.assertIn("avant-août", done.stderr)

    def test_no_such_point(self):
        before = everything(self.target)
        for word in ("99999", "never-named", "start-of-run=7", "start-of-run=x", "-1", ""):
            done = self.rollback("--to", word, expect=1)
            self.assertEqual(done.stdout, "")
            self.assertTrue(done.stderr.startswith("pvrelay: USAGE: "), done.stderr)
        self.assertEqual(everything(self.target), before)

    def test_where_it_stands_already(self):
        before = everything(self.target)
        done = self.rollback("--to", self.newest[2])
        self.assertEqual((done.stdout, done.stderr),
                         (f"{self.target}: nothing to take back: checkpoint {self.newest[2]} is the newest\n", ""))
        self.assertEqual(everything(self.target), before)

    def test_dry_run_and_json(self):
        before = everything(self.target)
        done = self.rollback("--to", "start-of-run", "--dry-run")
        self.assertTrue(done.stdout.startswith("Dry run: nothing is changed.\n") and
                        done.stdout.endswith("Replaying would then begin a new run.\nDry run: nothing was changed.\n"), done.stdout)
        told = json.loads(self.rollback("--to", "start-of-run", "--dry-run", "--json").stdout)
        self.assertEqual((told["dry_run"], told["conflicts_total"], told["conflicts"]), (True, 0, []))
        self.assertEqual((told["plan"]["from"], told["plan"]["to"]), (self.newest[2], self.newest[1]))
        self.assertEqual(told["result"]["checkpoints"], self.newest[2] - self.newest[1])
        self.assertEqual([run["run"] for run in told["result"]["runs"]], [2])
        self.assertEqual(everything(self.target), before)
        inserted = len(self.dumps[2]["el_modules"]) - len(self.dumps[1]["el_modules"])
        done = json.loads(self.rollback("--to", "start-of-run", "--json").stdout)
        self.assertEqual([table["deleted"] for table in done["result"]["tables"] if table["table"] == "el_modules"], [inserted])
        self.assertEqual(done["result"], told["result"])
        self.same(self.dumps[1])

    def test_mid_run(self):
        """The pipeline is stopped in the middle, goes back a few commits, and on: the same end as without."""
        exports = pipeline.generate(self.root / "many", "--modules", 20000)
        reference = self.root / "reference.db"
        pipeline.run(exports, reference)
        self.target.unlink()
        process = subprocess.Popen(pipeline.run_command(exports, self.target, "--config", self.config, "--run-dir", self.root / "d"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pipeline.wait_until(lambda: pipeline.checkpoints(self.target) >= 12 or process.poll() is not None, "a dozen checkpoints")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 6)
        self.rollback("--to", 5)
        self.assertEqual(self.runs(), [(1, "streaming", None, 0)])
        self.assertEqual(pipeline.checkpoints(self.target), 5)
        self.run_on(exports, expect=0)
        pipeline.assert_same_dump(self, pipeline.dump(reference), pipeline.dump(self.target))
        self.assertEqual(self.runs(), [(1, "complete", 0, 0)])
        pipeline.assert_accounted(self, self.target)

    def test_last_validated(self):
        """A run that was stopped before all its verdicts were in."""
        config = pipeline.write_config(self.root / "run.json", self.exports[2], self.target, self.root / "d", batch_bytes=8192)
        processes = [subprocess.Popen([pipeline.BIN / f"pvrelay-{program}", "--config", config], stderr=subprocess.DEVNULL)
                     for program in ("reader", "transformer", "writer")]
        pipeline.wait_until(lambda: pipeline.query(self.target, "SELECT state FROM pvrelay_run WHERE run = 3") == [("proving",)],
                            "all to be committed")
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=pipeline.DEADLINE)
        proved = self.newest[2] + 3
        change(self.target, f"UPDATE pvrelay_checkpoint SET validated = 1 WHERE checkpoint <= {proved}")
        self.rollback("--to", "last-validated")
        self.assertEqual(pipeline.query(self.target, "SELECT max(checkpoint) FROM pvrelay_checkpoint"), [(proved,)])
        self.run_on(self.exports[2])
        self.assertEqual(self.runs()[2], (3, "complete", 3, 0))
        end = pipeline.dump(self.target)
        self.rollback("--to", "start-of-run")
        self.same(self.dumps[2])
        self.run_on(self.exports[2])
        self.same(end)


class Conflicts(RollbackTest):
    """What is told, whole; that nothing is changed; and what --keep-theirs leaves."""

    def refused(self, count, expected, to="start-of-run"):
        before = everything(self.target)
        planned = self.rollback("--to", to, "--dry-run", expect=5).stdout
        done = self.rollback("--to", to, expect=5)
        self.assertEqual(planned, "Dry run: nothing is changed.\n" + done.stdout)
        self.assertEqual(done.stderr, f"pvrelay: CONFLICT: {self.target}: {count} conflict{'s' if count > 1 else ''}, nothing was changed;"
                                      f" settle {'them' if count > 1 else 'it'}, or take back the rest with --keep-theirs\n")
        plan, told = done.stdout.split("\nIn the way:\n")
        self.assertEqual(plan, self.plan(to))
        self.assertEqual(told, expected)
        self.assertEqual(everything(self.target), before)
        by_json = json.loads(self.rollback("--to", to, "--json", expect=5).stdout)
        self.assertEqual((by_json["conflicts_total"], len(by_json["conflicts"]), by_json["result"]), (count, count, None))
        self.assertEqual(everything(self.target), before)

    def plan(self, to):
        """The plan that is printed, from the books."""
        newest = pipeline.query(self.target, "SELECT max(checkpoint) FROM pvrelay_checkpoint")[0][0]
        back = self.newest[1] if to == "start-of-run" else 0
        text = f"Rollback of {self.target} from checkpoint {newest} to {f'checkpoint {back}' if back else 'the state before any run'}\n"
        for run, checkpoints, records in pipeline.query(
                self.target, "SELECT run, count(*), sum(records) FROM pvrelay_checkpoint WHERE checkpoint > ? GROUP BY run ORDER BY run DESC", back):
            text += f"  run {run} is taken back as a whole: {checkpoints} checkpoints, {records} records\n"
        rows = pipeline.query(self.target, "SELECT table_name, sum(inserted), sum(updated) FROM pvrelay_checkpoint_rows"
                                           " WHERE checkpoint > ? GROUP BY table_name ORDER BY table_name", back)
        text += f"\n  {'table':14} {'to delete':>12} {'to restore':>12}\n"
        for row in [*rows, ("all", sum(r[1] for r in rows), sum(r[2] for r in rows))]:
            text += f"  {row[0]:14} {row[1]:>12} {row[2]:>12}\n"
        return text

    def keep(self, expected, to="start-of-run"):
        done = self.rollback("--to", to, "--keep-theirs")
        self.assertEqual(done.stderr, "")
        self.assertIn(", but for what is left.\n", done.stdout)
        self.assertEqual(re.search(r"\nLeft as it is:\n(.*?)\n\n", done.stdout + "\n", re.S)[1] + "\n", expected)
        self.clean()

    def module(self, sql):
        """A module that the second run has inserted or updated."""
        return pipeline.query(self.target, sql)[0]

    def updated(self):
        """(id, severity now) of a module whose severity the second run has changed."""
        old = {row[0]: row for row in self.dumps[1]["el_modules"]}
        for row in self.dumps[2]["el_modules"]:
            if row[0] in old and old[row[0]][7] != row[7]:
                return row[0], row[7], old[row[0]][7]
        raise AssertionError("no severity was changed")

    def inserted(self):
        return min({row[0] for row in self.dumps[2]["el_modules"]} - {row[0] for row in self.dumps[1]["el_modules"]})

    def without_triggers(self):
        change(self.target, "DROP TRIGGER el_modules_updated_at; DROP TRIGGER el_modules_completion_rate; DROP TRIGGER users_updated_at")

    def test_changed(self):
        self.without_triggers()
        number, ours, _ = self.updated()
        change(self.target, f"UPDATE el_modules SET severity_level = 9, comment = 'vu' WHERE id = {number}")
        comment = self.dumps[2]["el_modules"][[row[0] for row in self.dumps[2]["el_modules"]].index(number)]
        told = ("a row that is to be taken back was changed since\n"
                f"  changed: el_modules id={number}, column severity_level: ours {ours}, theirs 9\n")
        old = next(row for row in self.dumps[1]["el_modules"] if row[0] == number)
        if old[8] != comment[8]:
            shown = "NULL" if comment[8] is None else f"'{comment[8].decode()}'"
            told += f"  changed: el_modules id={number}, column comment: ours {shown}, theirs 'vu'\n"
        self.refused(told.count("changed: "), told)
        self.keep(told)
        self.assertEqual(pipeline.query(self.target, f"SELECT severity_level, comment FROM el_modules WHERE id = {number}"), [(9, "vu")])
        kept = [row for row in pipeline.dump(self.target)["el_modules"] if row[0] != number]
        self.assertEqual(kept, [row for row in self.dumps[1]["el_modules"] if row[0] != number])

    def test_deleted(self):
        number = self.inserted()
        change(self.target, f"DELETE FROM el_modules WHERE id = {number}")
        told = ("a row that is to be taken back was deleted since\n"
                f"  deleted: el_modules id={number}: ours a row, theirs no row\n")
        self.refused(1, told)
        self.keep(told)
        self.assertEqual(pipeline.dump(self.target)["el_modules"], self.dumps[1]["el_modules"])

    def test_child(self):
        audit, token = self.module("SELECT id, audit_token FROM el_audits ORDER BY id LIMIT 1")
        change(self.target, "INSERT INTO el_collaborative_sessions (id, el_audit_id, audit_token, session_token)"
                            f" VALUES (5, {audit}, '{token}', 'theirs')")
        told = ("a row that is not of these runs refers to one that is to be taken back\n"
                f"  child: el_collaborative_sessions id=5, column audit_token: ours el_audits id={audit}, theirs '{token}'\n"
                f"  child: el_collaborative_sessions id=5, column el_audit_id: ours el_audits id={audit}, theirs {audit}\n")
        self.refused(2, told, "start-of-run=1")
        # From the second run alone it does not hang.
        self.rollback("--to", "start-of-run")
        self.keep(told, "start-of-run=1")
        self.assertEqual(pipeline.query(self.target, "SELECT id FROM el_audits"), [(audit,)])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM el_modules"), [(0,)])
        self.assertEqual(pipeline.query(self.target, "SELECT session_token FROM el_collaborative_sessions"), [("theirs",)])
        # The rows that the audit hangs on, and no others.
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM projects"), [(2,)])
        # What was left is found again.
        self.run_on(self.exports[0])
        self.assertEqual(len(pipeline.dump(self.target)["el_modules"]), len(self.dumps[1]["el_modules"]))

    def test_unique(self):
        change(self.target, "CREATE UNIQUE INDEX theirs ON el_modules (el_audit_id, string_number, position_in_string, severity_level)")
        self.without_triggers()
        number, _, old = self.updated()
        # Another module of the same place with the severity that the first one had.
        change(self.target, "INSERT INTO el_modules (id, el_audit_id, audit_token, module_identifier, string_number, position_in_string,"
                            f" severity_level) SELECT 5000, el_audit_id, audit_token, 'theirs', string_number, position_in_string, {old}"
                            f" FROM el_modules WHERE id = {number}")
        told = ("the earlier value of a row is taken by another row now\n"
                f"  unique: el_modules id={number}: ours its earlier values, theirs another row that has them\n")
        self.refused(1, told)
        self.keep(told)
        self.assertEqual(pipeline.query(self.target, "SELECT id FROM el_modules WHERE id >= 5000"), [(5000,)])

    def test_schema(self):
        change(self.target, "ALTER TABLE el_modules ADD COLUMN gps TEXT")
        told = ("a table is no longer what it was\n"
                "  schema: el_modules, column gps: ours none, theirs TEXT\n")
        self.refused(1, told)
        self.keep(told)
        self.assertEqual([row[:-1] for row in pipeline.dump(self.target)["el_modules"]], self.dumps[1]["el_modules"])

    def test_others_own_rows_are_none(self):
        """Rows of their own, and columns that we never touched, are no conflict; ids that they took are not used again."""
        self.without_triggers()
        number = self.updated()[0]
        change(self.target, "INSERT INTO clients (name) VALUES ('theirs'); INSERT INTO projects (client_id, name, site_address) VALUES"
                            f" (1, 'theirs', 'Foix'); UPDATE el_modules SET image_url = 'photo.jpg' WHERE id = {number}")
        self.rollback("--to", "start-of-run")
        self.assertEqual(pipeline.query(self.target, f"SELECT image_url FROM el_modules WHERE id = {number}"), [("photo.jpg",)])
        change(self.target, f"UPDATE el_modules SET image_url = NULL WHERE id = {number}")
        done = self.rollback("--to", "start-of-run=1")
        self.assertIn("\nId counters that stay where they are, so that no id is used twice: clients, projects\n", done.stdout)
        found = pipeline.dump(self.target)
        self.assertEqual([row[1] for row in found["clients"]], [b"Own client", b"theirs"])
        self.assertEqual([row[2] for row in found["projects"]], [b"Own project", b"theirs"])
        for table in self.dumps[0]:
            if table not in ("clients", "projects", "sqlite_sequence"):
                self.assertEqual(found[table], self.dumps[0][table])


class Interrupted(RollbackTest):
    def test_a_writer_holds_the_target(self):
        exports = pipeline.generate(self.root / "many", "--modules", 20000)
        process = subprocess.Popen(pipeline.run_command(exports, self.target, "--config", self.config, "--run-dir", self.root / "d"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pipeline.wait_until(lambda: pipeline.checkpoints(self.target) > self.newest[2] + 1, "a checkpoint")
        writer = pipeline.pid_of(self.root / "d", "writer")
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(writer, signal.SIGSTOP)
        try:
            before = pipeline.dump(self.target)
            done = self.rollback("--to", "start-of-run=1", expect=5)
            self.assertTrue(done.stderr.startswith("pvrelay: TARGET_LOCKED: "), done.stderr)
            self.assertIn(str(writer), done.stderr)
            self.assertEqual(done.stdout, "")
            self.same(before)
        finally:
            os.kill(writer, signal.SIGCONT)
            os.kill(process.pid, signal.SIGCONT)
        self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0)
        self.rollback("--to", "start-of-run")
        self.same(self.dumps[2])

    def strike(self, window):
        """kill -9 of `pvrelay rollback`: the database is entirely before, or entirely after."""
        before = everything(self.target)
        marker = self.root / "struck"
        done = pvrelay("rollback", "--target", self.target, "--to", 3,
                       environment={"PVRELAY_FAULT": f"{window}@{WINDOWS[window]}", "PVRELAY_FAULT_MARKER": str(marker)})
        self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
        self.assertTrue(marker.exists(), f"nobody passed {window}")
        found = everything(self.target)
        other = self.root / "other.db"
        other.write_bytes(self.base.read_bytes())
        self.assertEqual(pvrelay("rollback", "--target", other, "--to", 3).returncode, 0)
        after = everything(other)
        self.assertEqual(found, after if window == "rollback.after-commit" else before)
        self.clean()
        done = self.rollback("--to", 3)
        self.assertEqual(done.stdout.startswith(f"{self.target}: nothing to take back: "), window == "rollback.after-commit", done.stdout)
        self.assertEqual(everything(self.target), after)
        self.run_on(self.exports[0])
        self.same(self.dumps[1])

    def strike_writer(self, window):
        """kill -9 of the writer while it takes its own run back: started again, it ends the same way."""
        marker = self.root / "struck"
        done = self.run_on(self.exports[2], "--max-rejects", 1, "--on-reject-limit", "rollback", expect=2,
                           environment={"PVRELAY_FAULT": f"{window}@{min(WINDOWS[window], 2)}", "PVRELAY_FAULT_MARKER": str(marker)})
        self.assertTrue(marker.exists(), f"nobody passed {window}")
        self.same(self.dumps[2])
        self.assertEqual(self.runs()[2], (3, "abandoned", 2, 1), done.stderr)
        self.assertIn("pvrelay: REJECT_LIMIT: ", done.stderr)
        self.assertEqual(pipeline.query(self.target, "SELECT reason FROM pvrelay_rollback"), [("rejects",)])

    def test_full_disk(self):
        """The disk fills up during a rollback: exit 5, nothing is changed; with room again the same command ends well."""
        if os.geteuid() != 0:
            self.skipTest("needs root, to mount a small disk")
        exports = pipeline.generate(self.root / "many", "--modules", 20000)
        disk = self.root / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", disk], capture_output=True).returncode != 0:
            self.skipTest("cannot mount a tmpfs here")
        try:
            (disk / "hub.db").write_bytes(self.target.read_bytes())
            self.target = disk / "hub.db"
            self.run_on(exports, expect=0)
            change(self.target, "PRAGMA wal_checkpoint(TRUNCATE)")
            full = pipeline.dump(self.target)
            room = (sum(path.stat().st_size for path in disk.iterdir()) // 4096 + 200) * 4
            subprocess.run(["mount", "-o", f"remount,size={room}k", disk], check=True)
            done = self.rollback("--to", "start-of-run", expect=5)
            self.assertTrue(done.stderr.startswith("pvrelay: TARGET_FULL: "), done.stderr)
            self.same(full)
            subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
            self.rollback("--to", "start-of-run")
            self.same(self.dumps[2])
        finally:
            subprocess.run(["umount", disk], check=True)


def _add(window):
    name = window.replace(".", "_").replace("-", "_")
    setattr(Interrupted, f"test_{name}", lambda self: self.strike(window))
    setattr(Interrupted, f"test_{name}_of_a_writer", lambda self: self.strike_writer(window))


for _window in WINDOWS:
    _add(_window)


class Automatic(RollbackTest):
    """A run that takes itself back."""

    def test_reject_limit(self):
        done = self.run_on(self.exports[2], "--max-rejects", 1, "--on-reject-limit", "rollback", expect=2)
        self.assertIn("pvrelay: run 3 was taken back: the target is as it was before it\n", done.stderr)
        self.assertIn("pvrelay: REJECT_LIMIT: 2 records are rejected, 1 allowed", done.stderr)
        self.same(self.dumps[2])
        self.assertEqual(self.runs()[2], (3, "abandoned", 2, 1))
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM pvrelay_reject WHERE run = 3"), [(2,)])
        told = pvrelay("rejects", "--target", self.target, "--run", 3)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertEqual(told.stdout.count("unknown_value"), 2, told.stdout)
        self.clean()
        # The same command without the limit begins anew and works.
        self.run_on(self.exports[2])
        self.assertEqual([run[1] for run in self.runs()], ["complete", "complete", "abandoned", "complete"])

    def test_reject_limit_stops_by_default(self):
        self.run_on(self.exports[2], "--max-rejects", 1, expect=2)
        self.assertEqual(self.runs()[2][1], "streaming")

    def unproved(self, spoil, window=None):
        """The daemons, the validator last: `spoil` happens between the last commit and the proof. Returns exit codes, what was said.
        window: there the writer is killed, and started again."""
        config = pipeline.write_config(self.root / "run.json", self.exports[2], self.target, self.root / "d", batch_bytes=8192,
                                       on_validation_failure="rollback", run="c3b5a1de-52b2-4a17-8d42-6a6a62b7b8a1")
        marker = self.root / "struck"
        fault = {"PVRELAY_FAULT": f"{window}@{WINDOWS[window]}", "PVRELAY_FAULT_MARKER": str(marker)} if window else {}

        def start(program):
            return subprocess.Popen([pipeline.BIN / f"pvrelay-{program}", "--config", config], stderr=subprocess.PIPE, text=True,
                                    env={**os.environ, **fault})

        processes = {program: start(program) for program in ("reader", "transformer", "writer")}
        try:
            pipeline.wait_until(lambda: pipeline.query(self.target, "SELECT state FROM pvrelay_run WHERE run = 3") == [("proving",)],
                                "all to be committed")
            change(self.target, spoil)
            processes["validator"] = start("validator")
            if window:
                self.assertEqual(processes["writer"].wait(timeout=pipeline.DEADLINE), -signal.SIGKILL)
                self.assertTrue(marker.exists(), f"nobody passed {window}")
                processes["writer"].communicate()
                processes["writer"] = start("writer")
            said = {program: process.communicate(timeout=pipeline.DEADLINE)[1] for program, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()
        return {program: process.returncode for program, process in processes.items()}, said

    def untouched(self):
        """A module that the third export leaves as the second one left it."""
        records = [{(r["audit_token"], r["module_id"]): r for r in json.loads(exports[1].read_text())[0]["results"]}
                   for exports in self.exports[1:]]
        statuses = {"ok", "dead", "inequality", "microcracks", "pending", "string_open", "not_connected"}
        return next(key for key, record in records[0].items() if records[1][key] == record and record["status"] in statuses)

    def fail_the_proof(self, window=None):
        token, module = self.untouched()
        where = f"audit_token = '{token}' AND module_identifier = '{module}'"
        before = pipeline.query(self.target, f"SELECT string_number FROM el_modules WHERE {where}")[0][0]
        codes, said = self.unproved(f"DROP TRIGGER el_modules_updated_at; UPDATE el_modules SET string_number = 77 WHERE {where}", window)
        self.assertEqual(set(codes.values()), {4}, said)
        self.assertEqual(pipeline.query(self.target, f"SELECT string_number FROM el_modules WHERE {where}"), [(77,)])
        change(self.target, f"UPDATE el_modules SET string_number = {before} WHERE {where}")
        self.same(self.dumps[2])
        self.assertEqual(self.runs()[2:], [(3, "abandoned", 4, 1)])
        self.assertEqual(pipeline.query(self.target, "SELECT kind, table_name, column_name, stored FROM pvrelay_failure WHERE checkpoint"
                                                     " IS NOT NULL"), [("mismatch", "el_modules", "string_number", "77")])
        self.assertEqual(pipeline.query(self.target, "SELECT reason FROM pvrelay_rollback"), [("validation",)])

    def test_validation_failure(self):
        self.fail_the_proof()

    def test_validation_failure_and_the_writer_dies(self):
        for window in ("rollback.applied", "rollback.after-commit"):
            with self.subTest(window=window):
                self.begin_anew()
                (self.root / "struck").unlink(missing_ok=True)
                self.fail_the_proof(window)

    def test_validation_failure_in_a_row_of_the_run(self):
        """What was spoilt is what would be taken back: a conflict. It is told, and all stays for the operator to see."""
        codes, said = self.unproved("DELETE FROM el_modules WHERE id = (SELECT max(id) FROM el_modules)")
        self.assertEqual(set(codes.values()), {4}, said)
        self.assertIn(f"CONFLICT: {self.target}: the run was not taken back, as somebody else has changed what it wrote since (conflicts: 1); see them"
                      f" with `pvrelay rollback --target {self.target} --to start-of-run --dry-run`\n", said["writer"])
        self.assertEqual(pipeline.query(self.target, "SELECT count(*) FROM pvrelay_rollback"), [(0,)])
        self.assertEqual(self.runs()[2], (3, "complete", 4, 0))
        self.rollback("--to", "start-of-run", expect=5)
        self.rollback("--to", "start-of-run", "--keep-theirs")
        pipeline_dump = pipeline.dump(self.target)
        for table in ("el_audits", "el_modules", "users", "clients", "projects"):
            self.assertEqual(pipeline_dump[table], self.dumps[2][table])


class Irreversible(RollbackTest):
    def test_undo_off(self):
        done = self.run_on(self.exports[2], "--undo", "off")
        before = everything(self.target)
        newest = pipeline.query(self.target, "SELECT max(checkpoint) FROM pvrelay_checkpoint")[0][0]
        done = self.rollback("--to", "start-of-run", expect=5)
        self.assertEqual((done.stdout, done.stderr),
                         ("", f"pvrelay: IRREVERSIBLE: {self.target}: checkpoint {newest} of run 3 cannot be taken back: no undo was kept"
                              " with it (--undo off); it is the earliest point that can be reached\n"))
        self.assertEqual(everything(self.target), before)

    def test_seal(self):
        done = pvrelay("seal", "--target", self.target, "--run", 1)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        sealed = pipeline.query(self.target, "SELECT sealed_at FROM pvrelay_run WHERE run = 1")[0][0]
        before = everything(self.target)
        done = self.rollback("--to", 2, expect=5)
        self.assertEqual((done.stdout, done.stderr),
                         ("", f"pvrelay: IRREVERSIBLE: {self.target}: checkpoint {self.newest[1]} of run 1 cannot be taken back: the run was"
                              f" sealed at {sealed}; it is the earliest point that can be reached\n"))
        self.assertEqual(everything(self.target), before)
        self.rollback("--to", "start-of-run")
        self.same(self.dumps[1])

    def test_a_run_that_is_not_finished_cannot_be_sealed(self):
        self.run_on(self.exports[2], "--max-rejects", 1, expect=2)
        before = everything(self.target)
        done = pvrelay("seal", "--target", self.target)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertTrue(done.stderr.startswith("pvrelay: UNFINISHED: "), done.stderr)
        self.assertEqual(everything(self.target), before)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
