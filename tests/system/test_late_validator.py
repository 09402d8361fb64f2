# SPDX-License-Identifier: MIT
"""A validator that is killed again and again, one that comes when everything is committed, and one that takes long: every row is proved,
counted once."""

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import unittest

import pipeline

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/mutants"))

import world  # noqa: E402

KILLS = int(os.environ.get("PVRELAY_KILLS", "8"))
SEED = int(os.environ.get("PVRELAY_SEED", "1"))

# A client and a technician that are there already, with other values than the export says: findings of the proof.
OWN_ROWS = """
INSERT INTO users (id, email, name, role) VALUES (70, 'k@hub.example', 'K. N''Diaye', 'admin');
INSERT INTO clients (id, name, notes) VALUES (50, 'Énergies du Sud', 'our best client');
"""


def what_was_found(target):
    """All that the proof left in the books: per commit, by its place, and altogether. Numbers of checkpoints may differ."""
    place = "SELECT c.kind, c.source, c.first_ordinal, c.records, "
    return {
        "verdicts": pipeline.query(target, place + "c.validated FROM pvrelay_checkpoint c ORDER BY 1, 2, 3"),
        "findings": pipeline.query(target, place + "f.kind, f.stream, f.field, f.count, f.source, f.ordinal, f.detail"
                                   " FROM pvrelay_proof_finding f JOIN pvrelay_checkpoint c USING (checkpoint) ORDER BY 1, 2, 3, 5, 6, 7"),
        "tallies": pipeline.query(target, place + "t.stream, t.group_key, t.value, t.count"
                                  " FROM pvrelay_tally t JOIN pvrelay_checkpoint c USING (checkpoint) ORDER BY 1, 2, 3, 5, 6, 7"),
        "notes": pipeline.query(target, "SELECT kind, stream, field, count, source, ordinal, detail FROM pvrelay_finding ORDER BY 1, 2, 3"),
        "failures": pipeline.query(target, "SELECT kind, table_name, row_key, column_name, expected, stored FROM pvrelay_failure"
                                   " ORDER BY failure"),
        "made": pipeline.query(target, "SELECT table_name, row_id, source, ordinal FROM pvrelay_made ORDER BY 1, 2"),
    }


class ByHand(unittest.TestCase):
    """Daemons that the test starts itself."""

    @classmethod
    def tearDownClass(cls):
        cls.holder.__exit__(None, None, None)

    @classmethod
    def new_target(cls, name):
        target = cls.root / f"{name}.db"
        target.write_bytes(cls.base.read_bytes())
        return target

    def start(self, program, config, run_dir, environment=None):
        """A daemon by hand; it is there when it holds its lock."""
        arguments = ["--instance", "1"] if program == "transformer" else []
        process = subprocess.Popen([pipeline.BIN / f"pvrelay-{program}", "--config", config, *arguments], stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **(environment or {})})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        who = f"{program}-1" if program == "transformer" else program
        pipeline.wait_until(lambda: process.poll() is not None or pipeline.pid_of(run_dir, who) == process.pid, f"{who} to start")
        return process


class LateValidator(ByHand):
    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        generated = pipeline.generate(cls.root / "exports", "--audits", 30, "--modules-per-audit", 120, "--trap", "unknown-status=9",
                                      "--trap", "orphan-module=3", "--trap", "null-text", "--trap", "integer-2-53=4", "--trap", "duplicate-module=20")
        # Keys that stand twice: in one commit and far apart, alike and with other values.
        again = [{**world.module(number, index, 0), "id": 9000 + number, "comment": value} for number in (1, 2) for index in (0, 7, 23)
                 for value in ("later", world.module(number, index, 0)["comment"])]
        cls.exports = [*generated, *world.make(cls.root / "world", rejects=True), world.write(cls.root / "world", "again", again)]
        cls.settings = {"batch_bytes": 16384, "window_bytes": 65536, "resend_ms": 300}
        cls.base = cls.root / "base.db"
        subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", cls.base], check=True, stdout=subprocess.DEVNULL)
        with contextlib.closing(sqlite3.connect(cls.base)) as db:
            db.executescript(OWN_ROWS)
        cls.reference = cls.new_target("reference")
        config = pipeline.write_config(cls.root / "reference.json", cls.exports, cls.reference, cls.root / "r", **cls.settings)
        pipeline.run(cls.exports, cls.reference, "--config", config, "--run-dir", cls.root / "r", expect=3)
        cls.found = what_was_found(cls.reference)
        cls.rows = pipeline.dump(cls.reference)

    def begin(self, name):
        """A target, and all daemons but the validator, on their way."""
        target, run_dir = self.new_target(name), self.root / f"d-{name}"
        config = pipeline.write_config(self.root / f"{name}.json", self.exports, target, run_dir, **self.settings)
        others = {program: self.start(program, config, run_dir) for program in ("reader", "transformer", "writer")}
        return target, run_dir, config, others

    def wait_for_all_commits(self, target):
        total = sum(row[3] for row in self.found["verdicts"])
        pipeline.wait_until(lambda: pipeline.checkpoints(target) > 0 and
                            pipeline.query(target, "SELECT sum(records) FROM pvrelay_checkpoint")[0][0] == total, "everything to be committed")

    def end(self, target, processes):
        for who, process in processes.items():
            _, errors = process.communicate(timeout=pipeline.DEADLINE)
            self.assertEqual(process.returncode, 3, f"{who}: {errors}")
        self.assert_as_undisturbed(target)

    def assert_as_undisturbed(self, target):
        found = what_was_found(target)
        self.assertEqual({row[-1] for row in found["verdicts"]}, {1}, "not every row is proved")
        for what, rows in self.found.items():
            with self.subTest(books=what):
                self.assertEqual(found[what], rows)
        pipeline.assert_same_dump(self, self.rows, pipeline.dump(target))
        pipeline.assert_accounted(self, target)

    def test_reference(self):
        """There is something to lose: commits, findings of the proof and of the transformer, tallies of each commit with modules."""
        self.assertGreater(len(self.found["verdicts"]), 60)
        self.assertEqual(self.found["failures"], [])
        self.assertIn("shared_parent_differs", {row[4] for row in self.found["findings"]})
        self.assertIn("null_text", {row[0] for row in self.found["notes"]})
        for stream in ("audits", "modules"):
            accepted = pipeline.query(self.reference, "SELECT sum(c.records - c.rejected) FROM pvrelay_checkpoint c JOIN pvrelay_source s"
                                      " USING (run, source) WHERE s.stream = ? AND c.kind = 'batch'", stream)[0][0]
            self.assertEqual(sum(row[-1] for row in self.found["tallies"] if row[4] == stream), accepted, stream)
        self.assertGreater(len(self.found["made"]), 20)

    def test_started_last(self):
        """When the validator starts the writer has committed the last record."""
        target, run_dir, config, processes = self.begin("last")
        self.wait_for_all_commits(target)
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_checkpoint WHERE validated <> 0"), [(0,)])
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_tally"), [(0,)])
        processes["validator"] = self.start("validator", config, run_dir)
        self.end(target, processes)

    def test_killed_in_the_middle(self):
        """Killed whenever some more commits have been proved, started again each time; the writer goes on meanwhile."""
        target, run_dir, config, processes = self.begin("middle")
        chance = random.Random(SEED)
        validator, proved = self.start("validator", config, run_dir), 0

        def more_proved():
            if validator.poll() is not None:
                raise AssertionError(f"the validator ended with {validator.returncode}: {validator.stderr.read()}")
            with contextlib.suppress(sqlite3.OperationalError):
                count = pipeline.query(target, "SELECT count(*) FROM pvrelay_checkpoint WHERE validated <> 0")[0][0]
                return count if count > proved else 0
            return 0

        killed = 0
        while killed < KILLS and proved < len(self.found["verdicts"]) * killed // KILLS + 20:
            proved = pipeline.wait_until(more_proved, f"a verdict after {proved}") + chance.randrange(3)
            if proved >= len(self.found["verdicts"]) - 4:
                break
            validator.kill()
            validator.wait()
            killed += 1
            validator = self.start("validator", config, run_dir)
        self.assertGreaterEqual(killed, 3)
        self.end(target, {**processes, "validator": validator})

    def test_killed_at_its_windows(self):
        """Before a verdict is sent, and just after: the writer gets it never or once more, and counts it once."""
        for window in ("validator.before-verdict", "validator.after-verdict"):
            with self.subTest(window=window):
                target, run_dir, config, processes = self.begin(window.replace(".", "-"))
                for turn in (1, 3, 7, 2):
                    validator = self.start("validator", config, run_dir, {"PVRELAY_FAULT": f"{window}@{turn}",
                                                                          "PVRELAY_FAULT_MARKER": str(self.root / f"{window}-{turn}")})
                    validator.wait(timeout=pipeline.DEADLINE)
                    self.assertEqual(validator.returncode, -9, validator.stderr.read())
                self.end(target, {**processes, "validator": self.start("validator", config, run_dir)})

    def test_killed_at_the_proof_of_the_whole(self):
        """The last verdict is that of the whole: it is given anew, and its findings are stored once."""
        target, run_dir, config, processes = self.begin("whole")
        self.wait_for_all_commits(target)
        for turn, part in enumerate(("content", "content", "file", "file")):
            validator = self.start("validator", config, run_dir, {"PVRELAY_FAULT": f"validator.before-{part}",
                                                                  "PVRELAY_FAULT_MARKER": str(self.root / f"whole-struck-{turn}")})
            validator.wait(timeout=pipeline.DEADLINE)
            self.assertEqual(validator.returncode, -9, validator.stderr.read())
            self.assertEqual(pipeline.query(target, "SELECT kind FROM pvrelay_checkpoint WHERE validated = 0"), [("finish",)])
        self.end(target, {**processes, "validator": self.start("validator", config, run_dir)})

    def test_killed_by_the_run(self):
        """`pvrelay run` starts a validator that dies anew, as often as it dies."""
        target, run_dir = self.new_target("run"), self.root / "d-run"
        config = pipeline.write_config(self.root / "run.json", self.exports, target, run_dir, **self.settings)
        pipeline.run(self.exports, target, "--config", config, "--run-dir", run_dir, expect=3,
                     environment={"PVRELAY_FAULT": "validator.after-verdict@5", "PVRELAY_FAULT_MARKER": str(self.root / "run-struck")})
        self.assertTrue((self.root / "run-struck").exists())
        self.assert_as_undisturbed(target)


class LongProof(ByHand):
    """A proof of the whole that takes longer than the writer's patience, which is short with a validator that has not answered yet."""

    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--modules", 40000)

    def proving(self, name, window):
        """A run whose commits are all proved, by a validator that died then; another one, which answers to nothing but the whole, is stopped
        at this window. Returns target, run folder, the stages by name, and what grows with each time it passes the window."""
        target, run_dir, marker = self.root / f"{name}.db", self.root / name, self.root / f"{name}-passed"
        config = pipeline.write_config(self.root / f"{name}.json", self.exports, target, run_dir, resend_ms=50)
        stages = {program: self.start(program, config, run_dir) for program in ("reader", "transformer", "writer")}
        first = self.start("validator", config, run_dir, {"PVRELAY_FAULT": "validator.before-content",
                                                          "PVRELAY_FAULT_MARKER": str(self.root / f"{name}-struck")})
        self.assertEqual(first.wait(timeout=pipeline.DEADLINE), -signal.SIGKILL, first.stderr.read())
        stages["validator"] = self.start("validator", config, run_dir, {"PVRELAY_FAULT": window, "PVRELAY_FAULT_STOP": "1",
                                                                        "PVRELAY_FAULT_MARKER": str(marker)})
        pipeline.wait_until(lambda: self.is_stopped(stages["validator"]), "the validator to be at it")
        return config, target, run_dir, stages, marker

    @staticmethod
    def is_stopped(process):
        return pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    @staticmethod
    def elapsed(target, run_dir):
        status = subprocess.run([pipeline.BIN / "pvrelay", "status", "--target", target, "--run-dir", run_dir, "--json"], check=True,
                                capture_output=True, text=True).stdout
        return json.loads(status)["progress"]["elapsed_s"]

    def finished(self, target, stages):
        """All end well; nothing is left over."""
        for name, process in stages.items():
            self.assertEqual(process.wait(timeout=pipeline.DEADLINE), 0, f"{name}: {process.stderr.read()}")
        self.assertEqual(pipeline.query(target, "SELECT state, outcome FROM pvrelay_run"), [("complete", 0)])
        pipeline.assert_accounted(self, target)

    def test_it_is_done_once(self):
        """Meanwhile the writer asks again, and again: the answer to the first is the answer to all."""
        _, target, run_dir, stages, marker = self.proving("once", "validator.before-content")
        begun = self.elapsed(target, run_dir)
        pipeline.wait_until(lambda: self.elapsed(target, run_dir) > begun + 0.5, "the writer to have asked several times")
        stages["validator"].send_signal(signal.SIGCONT)
        pipeline.wait_until(lambda: stages["writer"].poll() is not None or marker.stat().st_size > 1, "the end, or another proof")
        self.assertEqual(marker.stat().st_size, 1, "proofs")
        self.finished(target, stages)

    def test_asked_to_leave_in_the_midst(self):
        """It gives the proof up where it stands, without a word; the next validator proves it."""
        config, target, run_dir, stages, marker = self.proving("left", "validator.amid-whole")
        stages["validator"].terminate()
        stages["validator"].send_signal(signal.SIGCONT)
        pipeline.wait_until(lambda: stages["validator"].poll() is not None or marker.stat().st_size > 1, "its end, or more of the proof")
        self.assertEqual(marker.stat().st_size, 1, "it went on")
        self.assertEqual(stages["validator"].wait(timeout=pipeline.DEADLINE), 6, stages["validator"].stderr.read())
        self.assertEqual(pipeline.query(target, "SELECT state FROM pvrelay_run"), [("proving",)])
        stages["validator"] = self.start("validator", config, run_dir)
        self.finished(target, stages)


INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name NOT GLOB 'pvrelay_*' ORDER BY name"


class IndexesLeft(ByHand):
    """A writer that dies when all is committed and some of the indexes that were put off are built: none is forgotten, whatever comes next."""

    @classmethod
    def setUpClass(cls):
        cls.holder = pipeline.folder()
        cls.root = cls.holder.__enter__()
        cls.exports = pipeline.generate(cls.root / "exports", "--modules", 6000)
        cls.base = cls.root / "base.db"
        subprocess.run([pipeline.BIN / "pvrelay", "migrate", "--target", cls.base], check=True, stdout=subprocess.DEVNULL)
        cls.indexes = pipeline.query(cls.base, INDEXES)
        cls.reference = cls.new_target("reference")
        pipeline.run(cls.exports, cls.reference, "--run-dir", cls.root / "r")
        cls.rows = pipeline.dump(cls.reference)

    def interrupted(self, name):
        """A run without a validator, whose writer is killed behind the second index; all others are then killed too."""
        target, run_dir = self.new_target(name), self.root / f"d-{name}"
        config = pipeline.write_config(self.root / f"{name}.json", self.exports, target, run_dir)
        others = [self.start(program, config, run_dir) for program in ("reader", "transformer")]
        writer = self.start("writer", config, run_dir, {"PVRELAY_FAULT": "writer.index-built@2",
                                                        "PVRELAY_FAULT_MARKER": str(self.root / f"{name}-struck")})
        writer.wait(timeout=pipeline.DEADLINE)
        self.assertEqual(writer.returncode, -9, writer.stderr.read())
        for process in others:
            process.kill()
            process.wait()
        self.assertEqual(pipeline.query(target, "SELECT state FROM pvrelay_run"), [("proving",)])
        left = pipeline.query(target, "SELECT count(*) FROM pvrelay_deferred_index")[0][0]
        self.assertGreater(left, 0)
        self.assertEqual(len(pipeline.query(target, INDEXES)), len(self.indexes) - left)
        return target, run_dir

    def assert_indexed(self, target):
        self.assertEqual(pipeline.query(target, INDEXES), self.indexes)
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM pvrelay_deferred_index"), [(0,)])

    def test_the_run_goes_on(self):
        target, run_dir = self.interrupted("on")
        pipeline.run(self.exports, target, "--run-dir", run_dir)
        self.assert_indexed(target)
        self.assertEqual(pipeline.dump(target), self.rows)

    def test_the_run_is_taken_back(self):
        target, _ = self.interrupted("back")
        subprocess.run([pipeline.BIN / "pvrelay", "rollback", "--target", target, "--to", "start-of-run"], check=True, stdout=subprocess.DEVNULL)
        self.assert_indexed(target)
        self.assertEqual(pipeline.query(target, "SELECT count(*) FROM el_modules"), [(0,)])

    def test_the_run_is_given_up(self):
        target, run_dir = self.interrupted("up")
        done = pipeline.run(self.exports, target, "--run-dir", run_dir, "--restart")
        self.assertIn("Complete: all 6,012 records are in the target", done.stdout)
        self.assert_indexed(target)


if __name__ == "__main__":
    unittest.main()
